"""The rules of strict mode, each at its place and with its limit."""

from __future__ import annotations

from typing import Any

import pytest

from langchain_tamma_openai.tools.strict_rules import strict_problems
from langchain_tamma_openai.tools.validators import schema_text

Json = dict[str, Any]


def obj(properties: Json, **more: Any) -> Json:
    """A strict object schema with these properties."""
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
        **more,
    }


def problems(schema: Json) -> list[tuple[str, str, str]]:
    return [(p.pointer, p.code, p.severity) for p in strict_problems(schema_text(schema))]


FINE: list[Json] = [
    obj({}),
    obj({"a": {"type": "string", "description": "An a.", "title": "A", "default": "x"}}),
    obj({"a": {"type": ["string", "null"], "enum": ["a", None]}}),
    obj({"a": {"type": "string", "const": "x"}, "b": {"type": "integer", "enum": [1, 2.0]}}),
    obj({"a": {"anyOf": [{"type": "string"}, obj({"b": {"type": "null"}})]}}),
    obj({"a": {"type": "array", "items": obj({"b": {"type": "number"}}), "minItems": 1}}),
    obj({"a": {"type": "string", "pattern": "^@[a-z]+$", "format": "email"}}),
    obj({"a": {"type": "number", "minimum": 0, "exclusiveMaximum": 9, "multipleOf": 0.5}}),
    obj({"a": {"$ref": "#/$defs/n"}}, **{"$defs": {"n": obj({"n": {"$ref": "#/$defs/n"}})}}),
    obj({"a": {"anyOf": [{"$ref": "#"}, {"type": "null"}]}}),
]


@pytest.mark.parametrize("schema", FINE, ids=str)
def test_a_schema_within_the_rules_is_fine(schema: Json) -> None:
    assert problems(schema) == []


A = "/properties/a"
REFUSED: dict[str, tuple[Json, str, str]] = {
    "root is an array": ({"type": "array", "items": {"type": "string"}}, "/type", "strict_root"),
    "root is a reference": ({"$ref": "#/$defs/n", "$defs": {"n": obj({})}}, "", "strict_root"),
    "root is a union": ({**obj({}), "anyOf": [obj({})]}, "/anyOf", "strict_root"),
    "open root": (
        {"type": "object", "properties": {}, "required": []},
        "",
        "strict_additional_properties",
    ),
    "open by word": (
        {"type": "object", "properties": {}, "additionalProperties": True},
        "/additionalProperties",
        "strict_additional_properties",
    ),
    "open inside": (
        obj({"a": {"type": "object", "properties": {}}}),
        A,
        "strict_additional_properties",
    ),
    "open nullable": (
        obj({"a": {"type": ["object", "null"], "properties": {}}}),
        A,
        "strict_additional_properties",
    ),
    "open in items": (
        obj({"a": {"type": "array", "items": {"type": "object", "properties": {}}}}),
        f"{A}/items",
        "strict_additional_properties",
    ),
    "open definition": (
        obj({}, **{"$defs": {"n": {"type": "object", "properties": {}}}}),
        "/$defs/n",
        "strict_additional_properties",
    ),
    "map": (
        obj({"a": {"type": "object", "additionalProperties": {"type": "string"}}}),
        f"{A}/additionalProperties",
        "strict_additional_properties",
    ),
    "optional": ({**obj({"a": {"type": "string"}}), "required": []}, A, "strict_required"),
    "undefined required": ({**obj({}), "required": ["z"]}, "/required/0", "undefined_required"),
    "no type": (obj({"a": {"description": "anything"}}), A, "strict_type"),
    "any items": (obj({"a": {"type": "array", "items": {}}}), f"{A}/items", "strict_type"),
    "boolean schema": (obj({"a": True}), A, "strict_type"),
    "unknown format": (
        obj({"a": {"type": "string", "format": "uri"}}),
        f"{A}/format",
        "unsupported_format",
    ),
    "lookahead": (
        obj({"a": {"type": "string", "pattern": "^(?!x)"}}),
        f"{A}/pattern",
        "unsupported_pattern",
    ),
    "described reference": (
        obj({"a": {"$ref": "#/$defs/n", "description": "d"}}, **{"$defs": {"n": obj({})}}),
        A,
        "ref_siblings",
    ),
    "enum with a stranger": (
        obj({"a": {"type": "string", "enum": ["a", 1]}}),
        f"{A}/enum/1",
        "enum_type",
    ),
    "nullable enum without null in its type": (
        obj({"a": {"type": "string", "enum": ["a", None]}}),
        f"{A}/enum/1",
        "enum_type",
    ),
}
for keyword, value in {
    "allOf": [{"type": "string"}],
    "oneOf": [{"type": "string"}],
    "not": {"type": "string"},
    "if": {"type": "string"},
    "then": {"type": "string"},
    "else": {"type": "string"},
    "dependentRequired": {"a": ["b"]},
    "dependentSchemas": {"a": {"type": "string"}},
    "patternProperties": {"^a": {"type": "string"}},
    "propertyNames": {"type": "string"},
    "minProperties": 1,
    "maxProperties": 1,
    "unevaluatedProperties": {"type": "string"},
    "unevaluatedItems": {"type": "string"},
    "contains": {"type": "string"},
    "minContains": 1,
    "maxContains": 1,
    "uniqueItems": True,
    "prefixItems": [{"type": "string"}],
}.items():
    REFUSED[keyword] = (
        obj({"a": {"type": "string", keyword: value}}),
        f"{A}/{keyword}",
        "unsupported_keyword",
    )


@pytest.mark.parametrize("name", REFUSED)
def test_a_schema_outside_the_rules_is_refused_at_its_place(name: str) -> None:
    schema, pointer, code = REFUSED[name]
    assert (pointer, code, "error") in problems(schema)


def test_lengths_of_strings_are_doubted() -> None:
    schema = obj({"a": {"type": "string", "minLength": 1, "maxLength": 9}})
    assert problems(schema) == [
        (f"{A}/maxLength", "undocumented_keyword", "warning"),
        (f"{A}/minLength", "undocumented_keyword", "warning"),
    ]


def nest(levels: int) -> Json:
    schema: Json = obj({})
    for _ in range(levels - 1):
        schema = obj({"a": {"type": "array", "items": schema}})
    return schema


def texts(count: int, chars: int) -> list[str]:
    return [f"{i:05}".ljust(chars, "x") for i in range(count)]


def enum_of(values: list[str]) -> Json:
    return {"type": "string", "enum": values}


@pytest.mark.parametrize(
    ("within", "beyond"),
    [
        (nest(10), nest(11)),
        (
            obj({f"p{i}": {"type": "null"} for i in range(5000)}),
            obj({f"p{i}": {"type": "null"} for i in range(5001)}),
        ),
        (
            obj({"a": enum_of(texts(500, 5)), "b": enum_of(texts(500, 5))}),
            obj({"a": enum_of(texts(500, 5)), "b": enum_of(texts(501, 5))}),
        ),
        (obj({"a": enum_of(texts(250, 100))}), obj({"a": enum_of(texts(251, 60))})),
        (
            obj({"a" * 60_000: {"type": "string", "const": "b" * 60_000}}),
            obj({"a" * 60_000: {"type": "string", "const": "b" * 60_001}}),
        ),
    ],
    ids=["depth", "properties", "enum values", "large enum", "characters"],
)
def test_the_documented_limits_hold_exactly(within: Json, beyond: Json) -> None:
    assert problems(within) == []
    assert [code for _, code, _ in problems(beyond)] == ["too_large"]


def test_depth_is_counted_through_references_and_not_through_recursion() -> None:
    definitions = {f"d{i}": obj({"a": {"$ref": f"#/$defs/d{i + 1}"}}) for i in range(10)}
    chain = obj({"a": {"$ref": "#/$defs/d0"}}, **{"$defs": {**definitions, "d10": obj({})}})
    assert [code for _, code, _ in problems(chain)] == ["too_large"]
