"""What OpenAI asks of a schema under `strict`: the rules of its guide on Structured Outputs.

Limits and keywords are those documented in 2026; keywords that the guide does not list but that
requests were seen to fail for are refused as well.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any, TypeAlias

from langchain_tamma_openai.tools.problems import Severity, ToolProblem, pointer_to
from langchain_tamma_openai.tools.schema_checks import is_of_type, types_of
from langchain_tamma_openai.tools.schema_walk import (
    Path,
    Schema,
    UnresolvedRefError,
    children,
    resolve,
    subschemas,
)

Problems: TypeAlias = Iterator[ToolProblem]

MAX_PROPERTIES = 5000
MAX_DEPTH = 10
MAX_ENUM_VALUES = 1000
MAX_NAME_CHARS = 120_000
LARGE_ENUM_VALUES = 250
MAX_LARGE_ENUM_CHARS = 15_000

FORMATS = frozenset(
    {"date", "date-time", "duration", "email", "hostname", "ipv4", "ipv6", "time", "uuid"}
)
REFUSED = frozenset(
    {
        "additionalItems",
        "allOf",
        "contains",
        "contentSchema",
        "dependencies",
        "dependentRequired",
        "dependentSchemas",
        "else",
        "if",
        "maxContains",
        "maxProperties",
        "minContains",
        "minProperties",
        "not",
        "oneOf",
        "patternProperties",
        "prefixItems",
        "propertyNames",
        "then",
        "unevaluatedItems",
        "unevaluatedProperties",
        "uniqueItems",
    }
)
DOUBTFUL = frozenset({"maxLength", "minLength"})
"""Not among the documented keywords; some models accept them."""

LOOKAROUND = re.compile(r"\(\?<?[=!]")
_HINTS = {
    "allOf": "write the combined schema out",
    "oneOf": 'use "anyOf"',
    "patternProperties": "list the properties by name",
    "prefixItems": "make it an object with one property for each place",
}


@lru_cache(maxsize=2048)
def strict_problems(text: str) -> tuple[ToolProblem, ...]:
    """Check a schema against the rules of strict mode.

    Args:
        text: The schema, as `validators.schema_text` writes it.

    Returns:
        Every problem, each with a pointer into the schema.
    """
    root = json.loads(text)
    if not isinstance(root, dict):
        return ()
    found = list(_root_problems(root))
    for path, schema in subschemas(root):
        if isinstance(schema, Mapping):
            found += _schema_problems(path, schema)
        elif isinstance(schema, bool) and path[-1:] != ("additionalProperties",):
            found.append(_vague(path))
    return (*found, *_limit_problems(root))


def _root_problems(root: Schema) -> Problems:
    if root.get("type") != "object":
        yield ToolProblem(
            pointer_to(("type",) if "type" in root else ()),
            "strict mode needs a root of type 'object'",
            "strict_root",
            remedy='make the value a property of an object; set "type": "object"',
        )
    if "anyOf" in root:
        yield ToolProblem(
            "/anyOf",
            "strict mode allows no anyOf at the root",
            "strict_root",
            remedy="make the union a property of an object",
        )


def _schema_problems(path: Path, schema: Mapping[str, Any]) -> Problems:
    yield from _keyword_problems(path, schema)
    if "$ref" in schema:
        if path and len(schema) > 1:
            siblings = ", ".join(sorted(schema.keys() - {"$ref"}))
            yield ToolProblem(
                pointer_to(path),
                f"strict mode allows nothing beside $ref, got {siblings}",
                "ref_siblings",
                remedy="move it into the schema referred to, or use to_strict",
            )
        return
    if "type" not in schema and "anyOf" not in schema and not REFUSED & schema.keys():
        yield _vague(path, "warning" if {"enum", "const"} & schema.keys() else "error")
    if is_object(schema):
        yield from _object_problems(path, schema)
    yield from _value_problems(path, schema)


def _vague(path: Path, severity: Severity = "error") -> ToolProblem:
    return ToolProblem(
        pointer_to(path),
        "strict mode needs a type for every value",
        "strict_type",
        severity=severity,
        remedy='add "type", or "anyOf" for a union',
    )


def is_object(schema: Mapping[str, Any]) -> bool:
    """Tell whether a schema describes objects, by its type or, without one, by its keywords."""
    return "object" in types_of(schema) or ("type" not in schema and "properties" in schema)


def _keyword_problems(path: Path, schema: Mapping[str, Any]) -> Problems:
    for keyword in sorted(REFUSED & schema.keys()):
        yield ToolProblem(
            pointer_to((*path, keyword)),
            f"strict mode does not know the keyword {keyword}",
            "unsupported_keyword",
            remedy=_HINTS.get(keyword, "remove it and check the value in the tool"),
        )
    for keyword in sorted(DOUBTFUL & schema.keys()):
        yield ToolProblem(
            pointer_to((*path, keyword)),
            f"the keyword {keyword} is not among those strict mode documents",
            "undocumented_keyword",
            severity="warning",
            remedy="say it in the description",
        )


def _object_problems(path: Path, schema: Mapping[str, Any]) -> Problems:
    if schema.get("additionalProperties") is not False:
        yield ToolProblem(
            pointer_to(
                (*path, "additionalProperties") if "additionalProperties" in schema else path
            ),
            "strict mode needs additionalProperties to be false on every object",
            "strict_additional_properties",
            remedy='set "additionalProperties": false; a map with free keys needs a list of pairs',
        )
    properties, required = schema.get("properties", {}), schema.get("required", [])
    if not isinstance(properties, Mapping) or not isinstance(required, list):
        return  # the meta-schema has said so
    for name in properties:
        if name not in required:
            yield ToolProblem(
                pointer_to((*path, "properties", name)),
                f"strict mode needs every property to be required, {name!r} is not",
                "strict_required",
                remedy="require it and allow null, or use to_strict",
            )
    for index, name in enumerate(required):
        if name not in properties:
            yield ToolProblem(
                pointer_to((*path, "required", index)),
                f"{name!r} is required but not among the properties",
                "undefined_required",
                remedy="define the property or take the name out",
            )


def _value_problems(path: Path, schema: Mapping[str, Any]) -> Problems:
    stated = schema.get("format")
    if isinstance(stated, str) and stated not in FORMATS:
        yield ToolProblem(
            pointer_to((*path, "format")),
            f"strict mode does not know the format {stated!r}",
            "unsupported_format",
            remedy=f"use one of {', '.join(sorted(FORMATS))}, or name it in the description",
        )
    pattern = schema.get("pattern")
    if isinstance(pattern, str) and LOOKAROUND.search(pattern):
        yield ToolProblem(
            pointer_to((*path, "pattern")),
            "strict mode allows no lookahead or lookbehind in a pattern",
            "unsupported_pattern",
            remedy="write the pattern without it",
        )
    yield from _enum_problems(path, schema)


def _enum_problems(path: Path, schema: Mapping[str, Any]) -> Problems:
    values = schema.get("enum")
    types = types_of(schema)
    if not isinstance(values, list):
        return
    fitting = [any(is_of_type(value, name) for name in types) for value in values]
    if types and any(fitting) and not all(fitting):
        yield ToolProblem(
            pointer_to((*path, "enum", fitting.index(False))),
            f"the value is not of the type {' or '.join(types)}",
            "enum_type",
            remedy="correct the type or the value",
        )
    chars = sum(len(value) for value in values if isinstance(value, str))
    if len(values) > LARGE_ENUM_VALUES and chars > MAX_LARGE_ENUM_CHARS:
        yield ToolProblem(
            pointer_to((*path, "enum")),
            f"{len(values):,} values of together {chars:,} characters; an enum of more than "
            f"{LARGE_ENUM_VALUES} values may have {MAX_LARGE_ENUM_CHARS:,}",
            "too_large",
            remedy="shorten the values or make it a plain string",
        )


def _limit_problems(root: Schema) -> Problems:
    properties, enum_values, chars = _sizes(root)
    for count, limit, what in (
        (properties, MAX_PROPERTIES, "properties"),
        (enum_values, MAX_ENUM_VALUES, "values in enums"),
        (chars, MAX_NAME_CHARS, "characters in names of properties and definitions and in values"),
        (_depth(root), MAX_DEPTH, "levels of nested objects"),
    ):
        if count > limit:
            yield ToolProblem(
                "",
                f"{count:,} {what}, strict mode allows {limit:,}",
                "too_large",
                remedy="split the schema up or leave strict off",
            )


def _sizes(root: Schema) -> tuple[int, int, int]:
    """Count properties, enum values, and the characters of names and fixed values."""
    properties = enum_values = chars = 0
    for _, schema in subschemas(root):
        if not isinstance(schema, Mapping):
            continue
        for keyword in ("properties", "$defs", "definitions"):
            named = schema.get(keyword)
            names = list(named) if isinstance(named, Mapping) else []
            chars += sum(map(len, names))
            properties += len(names) if keyword == "properties" else 0
        values = schema.get("enum")
        enum_values += len(values) if isinstance(values, list) else 0
        fixed = [*(values if isinstance(values, list) else ()), schema.get("const")]
        chars += sum(len(value) for value in fixed if isinstance(value, str))
    return properties, enum_values, chars


def _depth(root: Schema) -> int:
    """Count nested objects, through references too; a recursive reference adds nothing."""
    known: dict[int, int] = {}
    running: set[int] = set()

    def below(schema: object) -> int:
        if not isinstance(schema, Mapping) or id(schema) in running:
            return 0
        if id(schema) in known:
            return known[id(schema)]
        running.add(id(schema))
        inner = [below(child) for step, child in children(schema) if step[0] not in _DEFINITIONS]
        ref = schema.get("$ref")
        if isinstance(ref, str):
            inner.append(below(_target(root, ref)))
        running.discard(id(schema))
        known[id(schema)] = max(inner, default=0) + is_object(schema)
        return known[id(schema)]

    try:
        return below(root)
    except RecursionError:
        return MAX_PROPERTIES  # deeper than any limit


_DEFINITIONS = ("$defs", "definitions")


def _target(root: Schema, ref: str) -> object:
    try:
        return resolve(root, ref)
    except UnresolvedRefError:
        return None
