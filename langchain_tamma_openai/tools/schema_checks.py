"""What any schema must be before it is sent: valid, resolvable, satisfiable."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any, TypeAlias

from langchain_tamma_openai.tools.problems import ToolProblem, pointer_to
from langchain_tamma_openai.tools.schema_walk import (
    Path,
    Schema,
    UnresolvedRefError,
    has_own_addresses,
    resolve,
    subschemas,
)
from langchain_tamma_openai.tools.shapes import is_plainly_valid

Problems: TypeAlias = Iterator[ToolProblem]

_KEPT_SCHEMAS = 2048
_JSON_TYPES: dict[str, tuple[type, ...]] = {
    "array": (list,),
    "boolean": (bool,),
    "integer": (int, float),
    "null": (type(None),),
    "number": (int, float),
    "object": (dict,),
    "string": (str,),
}
_RANGES = (
    ("minimum", "maximum"),
    ("minLength", "maxLength"),
    ("minItems", "maxItems"),
    ("minProperties", "maxProperties"),
)


@lru_cache(maxsize=_KEPT_SCHEMAS)
def schema_problems(text: str) -> tuple[ToolProblem, ...]:
    """Check a schema as such, whatever it is used for.

    What was found is kept for the text, so that the same schema is checked once in a process.

    Args:
        text: The schema, as `validators.schema_text` writes it.

    Returns:
        Every problem, each with a pointer into the schema; those of the meta-schema come first.
    """
    from langchain_tamma_openai.tools.validators import meta_problems

    schema = json.loads(text)
    found = [] if is_plainly_valid(schema) else list(meta_problems(schema))
    if isinstance(schema, dict):
        found += _inner_problems(schema)
    return tuple(found)


def is_of_type(value: object, name: str) -> bool:
    """Tell whether a JSON value is of a type of JSON Schema; 1.0 is an integer.

    Args:
        value: Any JSON value.
        name: One of the seven names; any other fits nothing.
    """
    if isinstance(value, bool):
        return name == "boolean"
    if name == "integer" and isinstance(value, float):
        return value.is_integer()
    return isinstance(value, _JSON_TYPES.get(name, ()))


def types_of(schema: Mapping[str, Any]) -> list[str]:
    """List the types that a schema names; none when it allows all."""
    stated = schema.get("type")
    if isinstance(stated, str):
        return [stated]
    return [name for name in stated if isinstance(name, str)] if isinstance(stated, list) else []


def takes_null(schema: object, root: Schema, seen: tuple[str, ...] = ()) -> bool:
    """Tell whether a schema allows null.

    Args:
        schema: A schema inside `root`.
        root: The whole schema, for references.
        seen: References already followed.
    """
    if not isinstance(schema, Mapping):
        return schema is True
    ref = schema.get("$ref")
    if isinstance(ref, str):
        return ref not in seen and takes_null(_found(root, ref), root, (*seen, ref))
    if None not in schema.get("enum", [None]) or schema.get("const") is not None:
        return False
    branches = schema.get("anyOf", schema.get("oneOf"))
    if isinstance(branches, list):
        return any(takes_null(branch, root, seen) for branch in branches)
    if isinstance(schema.get("allOf"), list):
        return all(takes_null(part, root, seen) for part in schema["allOf"])
    return "type" not in schema or "null" in types_of(schema)


def _found(root: Schema, ref: str) -> object:
    try:
        return resolve(root, ref)
    except UnresolvedRefError:
        return None


def _inner_problems(root: Schema) -> Problems:
    # Under an `$id` of its own `#` means a part of the schema, which only the library tells apart.
    own_addresses = has_own_addresses(root)
    for path, found in subschemas(root):
        if not isinstance(found, Mapping):
            continue
        if not own_addresses:
            yield from _ref_problems(root, path, found)
        yield from _items_problems(path, found)
        yield from _choice_problems(path, found)
        yield from _required_problems(path, found)
        yield from _range_problems(path, found)
        yield from _pattern_problems(path, found)


def _ref_problems(root: Schema, path: Path, schema: Mapping[str, Any]) -> Problems:
    ref = schema.get("$ref")
    if not isinstance(ref, str):
        return
    pointer = pointer_to((*path, "$ref"))
    try:
        target = resolve(root, ref)
    except UnresolvedRefError:
        yield ToolProblem(
            pointer,
            f"{ref!r} leads to nothing in this schema",
            "dangling_ref",
            remedy="define it under '$defs' and refer to it as '#/$defs/NAME'",
        )
        return
    if not isinstance(target, Mapping | bool):
        yield ToolProblem(
            pointer,
            f"{ref!r} leads to a {type(target).__name__}, not to a schema",
            "dangling_ref",
            remedy="refer to a schema",
        )
    elif _is_loop(root, schema):
        yield ToolProblem(
            pointer,
            f"{ref!r} leads back to itself without a property or item between",
            "ref_loop",
            remedy="put the recursion into a property or into items",
        )


def _is_loop(root: Schema, start: Mapping[str, Any]) -> bool:
    seen: list[object] = []
    found: object = start
    while isinstance(found, Mapping) and isinstance(found.get("$ref"), str):
        if any(found is earlier for earlier in seen):
            return True
        seen.append(found)
        try:
            found = resolve(root, found["$ref"])
        except UnresolvedRefError:
            return False
    return False


def _items_problems(path: Path, schema: Mapping[str, Any]) -> Problems:
    if "array" in types_of(schema) and not {"items", "prefixItems", "$ref"} & schema.keys():
        yield ToolProblem(
            pointer_to(path),
            "an array must say what its items are",
            "missing_items",
            remedy='add "items", such as {"type": "string"}',
        )


def _choice_problems(path: Path, schema: Mapping[str, Any]) -> Problems:
    choices = schema.get("enum")
    if choices == []:
        yield ToolProblem(
            pointer_to((*path, "enum")),
            "an enum without values allows nothing",
            "empty_enum",
            remedy="list at least one value, or remove the enum",
        )
    types = types_of(schema)
    keyword = "enum" if isinstance(choices, list) else "const"
    allowed = choices if isinstance(choices, list) else []
    if keyword == "const" and keyword in schema:
        allowed = [schema[keyword]]
    if types and allowed and not any(_fits(value, types) for value in allowed):
        yield ToolProblem(
            pointer_to((*path, keyword)),
            f"no value of it is of the type {' or '.join(types)}",
            "unsatisfiable",
            remedy="correct the type or the values",
        )


def _fits(value: object, types: list[str]) -> bool:
    return any(is_of_type(value, name) for name in types)


def _required_problems(path: Path, schema: Mapping[str, Any]) -> Problems:
    properties, required = schema.get("properties", {}), schema.get("required")
    if not isinstance(required, list) or not isinstance(properties, Mapping):
        return
    if "properties" not in schema and "object" not in types_of(schema):
        return  # a condition on a schema beside it, as in anyOf
    closed = schema.get("additionalProperties") is False
    combined = {"$ref", "allOf", "anyOf", "oneOf"} & schema.keys()
    if combined and not closed:
        return
    for index, name in enumerate(required):
        if isinstance(name, str) and name not in properties and not _is_matched(name, schema):
            yield ToolProblem(
                pointer_to((*path, "required", index)),
                f"{name!r} is required but not among the properties",
                "undefined_required",
                severity="error" if closed else "warning",
                remedy="define the property or take the name out",
            )


def _is_matched(name: str, schema: Mapping[str, Any]) -> bool:
    from langchain_tamma_openai.tools.validators import compiled_pattern

    patterns = schema.get("patternProperties")
    if not isinstance(patterns, Mapping):
        return False
    compiled = [compiled_pattern(pattern) for pattern in patterns if isinstance(pattern, str)]
    return any(pattern is None or pattern.search(name) for pattern in compiled)


def _range_problems(path: Path, schema: Mapping[str, Any]) -> Problems:
    for low, high in _RANGES:
        least, most = _number(schema.get(low)), _number(schema.get(high))
        if least is not None and most is not None and least > most:
            yield ToolProblem(
                pointer_to((*path, low)),
                f"{low} {least} is above {high} {most}, so nothing is allowed",
                "unsatisfiable",
                severity="warning",
                remedy="correct one of them",
            )


def _number(value: object) -> float | None:
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def _pattern_problems(path: Path, schema: Mapping[str, Any]) -> Problems:
    pattern = schema.get("pattern")
    if isinstance(pattern, str) and not _is_readable(pattern):
        yield ToolProblem(
            pointer_to((*path, "pattern")),
            "the regular expression cannot be read",
            "unreadable_pattern",
            severity="warning",
            remedy="correct it; values are not checked against it",
        )


def _is_readable(pattern: str) -> bool:
    try:
        re.compile(pattern)
    except (re.error, OverflowError, RecursionError):
        from langchain_tamma_openai.tools.validators import compiled_pattern

        return compiled_pattern(pattern) is not None
    return True
