"""Schemas made strict, and what stands in the way where that cannot be."""

from __future__ import annotations

import copy
from decimal import Decimal
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from pydantic import BaseModel, Field

from langchain_tamma_openai import InvalidToolError
from langchain_tamma_openai.tools.definitions import validate_tool_definition
from langchain_tamma_openai.tools.nulls import without_strict_nulls
from langchain_tamma_openai.tools.strict import to_strict
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


class Cat(BaseModel):
    kind: Literal["cat"]
    lives: int = 9


class Dog(BaseModel):
    kind: Literal["dog"]
    friend: Dog | None = None


class Order(BaseModel):
    """An order."""

    item: str = Field(min_length=1, description="What to order.")
    count: int = 1
    note: str | None = None
    price: Decimal = Decimal(1)
    pet: Annotated[Cat | Dog, Field(discriminator="kind")]
    pets: list[Cat | Dog] = []
    best: Cat = Field(description="The best.")
    tags: set[str] = set()
    size: Literal["s", "m"] = "s"


class Node(BaseModel):
    value: int
    children: list[Node] = []
    parent: Node | None = Field(None, description="Upwards.")


@pytest.mark.parametrize("model", [Order, Node, Cat, Dog])
def test_models_become_strict(model: type[BaseModel]) -> None:
    schema = to_strict(model)
    assert problems(schema) == []
    assert to_strict(schema) == schema


def test_the_strict_form_takes_what_the_model_takes() -> None:
    validator = Draft202012Validator(to_strict(Order))
    order = {
        "item": "x",
        "count": 2,
        "note": None,
        "price": "1.5",
        "pet": {"kind": "dog", "friend": {"kind": "dog", "friend": None}},
        "pets": [{"kind": "cat", "lives": 1}],
        "best": {"kind": "cat", "lives": None},
        "tags": ["a"],
        "size": "m",
    }
    validator.validate(order)
    assert not validator.is_valid({**order, "more": 1})
    assert not validator.is_valid({key: order[key] for key in order if key != "note"})


def test_null_stands_for_what_is_not_given() -> None:
    order = {
        "item": "x",
        "count": None,
        "note": None,
        "price": None,
        "pet": {"kind": "dog", "friend": None},
        "pets": None,
        "best": {"kind": "cat", "lives": None},
        "tags": None,
        "size": None,
    }
    Draft202012Validator(to_strict(Order)).validate(order)
    read = Order.model_validate(without_strict_nulls(order, Order.model_json_schema()))
    assert (read.count, read.note, read.pets, read.best.lives, read.size) == (1, None, [], 9, "s")


CONVERTED: dict[str, tuple[Any, Any]] = {
    "optional text": (
        {"type": "string", "description": "d"},
        {"type": ["string", "null"], "description": "d"},
    ),
    "optional enum": (
        {"type": "string", "enum": ["a"]},
        {"type": ["string", "null"], "enum": ["a", None]},
    ),
    "optional const": (
        {"type": "string", "const": "a"},
        {"anyOf": [{"type": "string", "const": "a"}, {"type": "null"}]},
    ),
    "optional with a default": (
        {"type": "integer", "default": 3},
        {"type": ["integer", "null"], "description": "(null: the default, 3)"},
    ),
    "nullable with a default": (
        {"type": ["integer", "null"], "default": 3},
        {"type": ["integer", "null"], "description": "(default: 3)"},
    ),
    "optional union": (
        {"anyOf": [{"type": "string"}, {"type": "integer"}]},
        {"anyOf": [{"type": "string"}, {"type": "integer"}, {"type": "null"}]},
    ),
    "optional list": (
        {"type": "array", "items": {"type": "string"}, "description": "d"},
        {
            "anyOf": [{"type": "array", "items": {"type": "string"}}, {"type": "null"}],
            "description": "d",
        },
    ),
    "optional reference": (
        {"$ref": "#/$defs/s"},
        {"anyOf": [{"$ref": "#/$defs/s"}, {"type": "null"}]},
    ),
    "described reference": (
        {"$ref": "#/$defs/n", "description": "d"},
        {"type": ["string", "null"], "description": "d"},
    ),
    "only a type is missing": (
        {"enum": ["a", 1, None]},
        {"enum": ["a", 1, None], "type": ["string", "integer", "null"]},
    ),
    "lost constraints": (
        {"type": ["array", "null"], "items": {"type": "string"}, "uniqueItems": True},
        {
            "type": ["array", "null"],
            "items": {"type": "string"},
            "description": "(uniqueItems: true)",
        },
    ),
    "lost format": (
        {"type": ["string", "null"], "format": "uri", "description": "A link."},
        {"type": ["string", "null"], "description": 'A link. (format: "uri")'},
    ),
    "kept format": (
        {"type": ["string", "null"], "format": "email"},
        {"type": ["string", "null"], "format": "email"},
    ),
    "one of": (
        {"oneOf": [{"type": "string"}, {"type": "null"}], "discriminator": {"propertyName": "x"}},
        {"anyOf": [{"type": "string"}, {"type": "null"}]},
    ),
    "all of one": (
        {"allOf": [{"$ref": "#/$defs/n"}], "description": "d"},
        {"type": ["string", "null"], "description": "d"},
    ),
}


@pytest.mark.parametrize("name", CONVERTED)
def test_an_optional_property_is_converted(name: str) -> None:
    given_schema, expected = CONVERTED[name]
    schema = {
        "type": "object",
        "properties": {"a": given_schema},
        "$defs": {"s": {"type": "string"}, "n": {"type": ["string", "null"]}},
    }
    before = copy.deepcopy(schema)
    strict = to_strict(schema)
    assert strict["properties"]["a"] == expected
    assert strict["required"] == ["a"]
    assert problems(strict) == []
    assert schema == before


def test_parts_of_an_all_of_are_written_as_one_object() -> None:
    schema = {
        "type": "object",
        "properties": {
            "a": {
                "allOf": [
                    {"$ref": "#/$defs/base"},
                    {"type": "object", "properties": {"y": {"type": "null"}}, "required": ["y"]},
                ]
            }
        },
        "required": ["a"],
        "$defs": {"base": {"type": "object", "properties": {"x": {"type": "string"}}}},
    }
    merged = to_strict(schema)["properties"]["a"]
    assert merged == obj({"x": {"type": ["string", "null"]}, "y": {"type": "null"}})


def test_a_recursive_root_reference_is_put_in_its_place() -> None:
    strict = to_strict(Node)
    assert "$ref" not in strict
    assert strict["properties"]["parent"]["anyOf"][0] == {"$ref": "#/$defs/Node"}


IMPOSSIBLE: dict[str, tuple[Any, str]] = {
    "map": (
        {"type": "object", "additionalProperties": {"type": "integer"}},
        "/additionalProperties",
    ),
    "open": (
        {"type": "object", "properties": {}, "additionalProperties": True},
        "/additionalProperties",
    ),
    "bare object": ({"type": "object"}, ""),
    "anything": ({}, ""),
    "anything at all": (True, ""),
    "any items": ({"type": "array", "items": {}}, "/items"),
    "tuple": ({"type": "array", "prefixItems": [{"type": "string"}]}, "/prefixItems"),
    "negation": ({"type": "string", "not": {"const": "a"}}, "/not"),
    "condition": ({"type": "string", "if": {"const": "a"}}, "/if"),
    "key patterns": (
        {"type": "object", "properties": {}, "patternProperties": {"^a": {"type": "string"}}},
        "/patternProperties",
    ),
    "overlapping all of": (
        {"allOf": [{"type": "string", "minLength": 1}, {"type": "string", "pattern": "a"}]},
        "/allOf",
    ),
    "two unions": ({"anyOf": [{"type": "string"}], "oneOf": [{"type": "string"}]}, "/oneOf"),
    "dangling": ({"$ref": "#/$defs/x"}, "/$ref"),
    "invalid": ({"type": "strin"}, "/type"),
}


@pytest.mark.parametrize("name", IMPOSSIBLE)
def test_what_has_no_strict_form_is_refused_at_its_place(name: str) -> None:
    schema, at = IMPOSSIBLE[name]
    with pytest.raises(InvalidToolError, match=r"to_strict: ") as raised:
        to_strict({"type": "object", "properties": {"a": schema}, "required": ["a"]})
    assert f"/properties/a{at}: " in str(raised.value)


def test_everything_that_has_no_strict_form_is_told_at_once() -> None:
    class Bad(BaseModel):
        scores: dict[str, int]
        anything: Any
        pair: tuple[int, str]

    with pytest.raises(InvalidToolError) as raised:
        to_strict(Bad)
    assert "3 problems" in str(raised.value)


@pytest.mark.parametrize("bad", [None, "x", 3, {"a": {1}}, int, {"type": "string"}, {}])
def test_what_is_no_object_schema_is_refused(bad: Any) -> None:
    with pytest.raises(InvalidToolError):
        to_strict(bad)


@pytest.mark.parametrize("nested", [True, False])
def test_a_tool_is_made_strict_as_a_whole(nested: bool) -> None:  # noqa: FBT001 - a case
    function = {
        "name": "t",
        "description": "d",
        "parameters": {"type": "object", "properties": {"a": {"type": "string"}}},
    }
    made = (
        {"type": "function", "function": function} if nested else {"type": "function", **function}
    )
    assert any(p.severity == "error" for p in validate_tool_definition(made, strict=True))
    strict = to_strict(made)
    assert validate_tool_definition(strict) == []
    assert (strict["function"] if nested else strict)["strict"] is True


_LEAVES: st.SearchStrategy[Json] = st.sampled_from(
    [
        {"type": "string"},
        {"type": "integer", "minimum": 0},
        {"type": ["number", "null"]},
        {"type": "string", "enum": ["a", "b"]},
        {"type": "boolean", "default": True},
        {"type": "string", "minLength": 2, "format": "uri"},
    ]
)
_NAMES = st.sampled_from(["a", "b", "c/d", "e~"])


def _objects(inner: st.SearchStrategy[Json]) -> st.SearchStrategy[Json]:
    return st.builds(
        lambda properties, few: {
            "type": "object",
            "properties": properties,
            "required": sorted(properties)[:few],
        },
        st.dictionaries(_NAMES, inner, min_size=1, max_size=3),
        st.integers(0, 3),
    )


_SCHEMAS: st.SearchStrategy[Json] = st.recursive(
    _LEAVES,
    lambda inner: st.one_of(
        _objects(inner),
        inner.map(lambda items: {"type": "array", "items": items}),
        st.lists(inner, min_size=1, max_size=2).map(lambda branches: {"anyOf": branches}),
    ),
    max_leaves=8,
)


@given(_objects(_SCHEMAS))
def test_any_closed_schema_becomes_strict_and_stays_so(schema: Json) -> None:
    before = copy.deepcopy(schema)
    strict = to_strict(schema)
    assert schema == before
    assert [p for p in problems(strict) if p[2] == "error"] == []
    assert to_strict(strict) == strict
