"""Strict mode has no optional property: null stands in for "not given". This reads it back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from langchain_tamma_openai.tools.schema_checks import takes_null
from langchain_tamma_openai.tools.schema_walk import Schema, UnresolvedRefError, resolve


def without_strict_nulls(args: dict[str, Any], schema: Schema) -> dict[str, Any]:
    """Leave out arguments that are null, optional, and not allowed to be null.

    Args:
        args: Arguments as the model wrote them.
        schema: The tool's own schema, not its strict form.

    Returns:
        New arguments, in which the tool's defaults apply.
    """
    cleaned = _cleaned(args, schema, schema)
    return cleaned if isinstance(cleaned, dict) else args


def _cleaned(value: object, schema: object, root: Schema) -> object:
    schema = _single(schema, root)
    if isinstance(value, list) and isinstance(schema.get("items"), Mapping):
        return [_cleaned(item, schema["items"], root) for item in value]
    properties = schema.get("properties")
    if not isinstance(value, dict) or not isinstance(properties, Mapping):
        return value
    required = schema.get("required", ())
    return {
        name: _cleaned(item, properties.get(name), root)
        for name, item in value.items()
        if item is not None
        or name in required
        or name not in properties
        or takes_null(properties[name], root)
    }


def _single(schema: object, root: Schema) -> Mapping[str, Any]:
    """Follow references and the one branch of a union that is not null."""
    for _ in range(len(root) + 16):  # more steps are a loop
        if not isinstance(schema, Mapping):
            return {}
        branches = schema.get("anyOf")
        if isinstance(schema.get("$ref"), str):
            try:
                schema = resolve(root, schema["$ref"])
            except UnresolvedRefError:
                return {}
        elif isinstance(branches, list):
            others = [branch for branch in branches if branch != {"type": "null"}]
            if len(others) != 1:
                return {}
            schema = others[0]
        else:
            return schema
    return {}
