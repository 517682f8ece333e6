"""Recognises schemas that plainly fit the meta-schema, so that the full check can be spared.

Loading `jsonschema` takes longer than everything else a program does with its tools, and the
meta-schema of 2020-12 is slow to check against. What is not plainly fine is left to the library.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import TypeAlias

from langchain_tamma_openai.tools.schema_walk import (
    ONE_SCHEMA,
    SCHEMA_LISTS,
    SCHEMA_MAPS,
    subschemas,
)

_LEFT_TO_THE_LIBRARY = ("additionalItems", "dependencies", "dependentRequired")
TYPES = frozenset({"array", "boolean", "integer", "null", "number", "object", "string"})
Check: TypeAlias = Callable[[object], bool]


def is_plainly_valid(schema: object) -> bool:
    """Tell whether a schema surely fits the meta-schema; False means only that it may not.

    Args:
        schema: Any JSON value.
    """
    return all(
        isinstance(found, bool)
        or (isinstance(found, dict) and all(_fits(key, value) for key, value in found.items()))
        for _, found in subschemas(schema)
    )


def _fits(keyword: object, value: object) -> bool:
    if not isinstance(keyword, str):
        return False
    check = _CHECKS.get(keyword)
    if check is not None:
        return check(value)
    return not keyword.startswith("$") and keyword not in _LEFT_TO_THE_LIBRARY


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_flag(value: object) -> bool:
    return isinstance(value, bool)


def _is_list(value: object) -> bool:
    return isinstance(value, list)


def _is_anything(_value: object) -> bool:
    return True


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _is_positive(value: object) -> bool:
    return _is_number(value) and value > 0  # type: ignore[operator]


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_names(value: object) -> bool:
    texts = isinstance(value, list) and all(isinstance(name, str) for name in value)
    return texts and len(set(value)) == len(value)  # type: ignore[call-overload, arg-type]


def _is_type(value: object) -> bool:
    if isinstance(value, str):
        return value in TYPES
    return bool(value) and _is_names(value) and TYPES.issuperset(value)  # type: ignore[arg-type]


def _is_schema(value: object) -> bool:
    return isinstance(value, dict | bool)


def _is_schema_list(value: object) -> bool:
    return isinstance(value, list) and bool(value)


def _is_map(value: object) -> bool:
    return isinstance(value, Mapping) and all(isinstance(name, str) for name in value)


_CHECKS: dict[str, Check] = {
    **dict.fromkeys(SCHEMA_LISTS, _is_schema_list),
    **dict.fromkeys(ONE_SCHEMA - {"additionalItems"}, _is_schema),
    **dict.fromkeys(SCHEMA_MAPS, _is_map),
    **dict.fromkeys(
        ("$comment", "contentEncoding", "contentMediaType", "description", "format", "pattern"),
        _is_text,
    ),
    **dict.fromkeys(("$ref", "title"), _is_text),
    **dict.fromkeys(("deprecated", "readOnly", "uniqueItems", "writeOnly"), _is_flag),
    **dict.fromkeys(("exclusiveMaximum", "exclusiveMinimum", "maximum", "minimum"), _is_number),
    **dict.fromkeys(("maxItems", "maxLength", "maxProperties", "maxContains"), _is_count),
    **dict.fromkeys(("minItems", "minLength", "minProperties", "minContains"), _is_count),
    **dict.fromkeys(("enum", "examples"), _is_list),
    **dict.fromkeys(("const", "default"), _is_anything),
    "multipleOf": _is_positive,
    "required": _is_names,
    "type": _is_type,
}
