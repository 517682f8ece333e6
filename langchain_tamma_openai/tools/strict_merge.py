"""Writes an `allOf` as one schema, in the cases where that changes nothing."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from langchain_tamma_openai.tools.schema_walk import Schema, UnresolvedRefError, resolve

_MERGEABLE = frozenset({"description", "properties", "required", "title", "type"})


def merged_objects(schema: Schema, root: Schema) -> Schema | None:
    """Merge the parts of an `allOf` with what stands beside it.

    Args:
        schema: A schema with `allOf`.
        root: The whole schema, for references.

    Returns:
        The merged schema, or None when it would mean something else: a single part merges unless
        a keyword stands on both sides, several parts only when all are plain objects without a
        property in common.
    """
    beside = {key: value for key, value in schema.items() if key != "allOf"}
    parts = [_resolved(part, root, set()) for part in schema["allOf"]]
    if any(part is None for part in parts):
        return None
    known = [part for part in parts if part is not None]
    if len(known) == 1:
        shared = known[0].keys() & beside.keys() - {"title", "description"}
        if not shared or all(known[0][key] == beside[key] for key in shared):
            return {**known[0], **beside}
    return _joined([*known, beside])


def _joined(parts: list[Schema]) -> Schema | None:
    joined: Schema = {"type": "object", "properties": {}, "required": []}
    kept = {"$defs", "definitions"}
    for part in parts:
        if part.keys() - _MERGEABLE - kept or part.get("type", "object") != "object":
            return None
        properties: Mapping[str, Any] = part.get("properties", {})
        if properties.keys() & joined["properties"].keys():
            return None
        joined["properties"] |= properties
        joined["required"] += part.get("required", [])
        joined |= {key: part[key] for key in ("title", "description", *kept) if key in part}
    return joined


def _resolved(part: object, root: Schema, seen: set[str]) -> Schema | None:
    if not isinstance(part, Mapping):
        return None
    ref = part.get("$ref")
    if not isinstance(ref, str):
        return copy.deepcopy(dict(part))
    if ref in seen or len(part) > 1:
        return None
    try:
        return _resolved(resolve(root, ref), root, seen | {ref})
    except UnresolvedRefError:
        return None
