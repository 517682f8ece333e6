"""Every keyword of draft 2020-12 that tools use, judged as the specification says.

The cases are our own, arranged like those of the JSON Schema Test Suite: a schema, values it
takes, values it does not.
"""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from langchain_tamma_openai.tools.arguments import judge_call
from langchain_tamma_openai.tools.definitions import validate_tool_definition
from langchain_tamma_openai.tools.shapes import is_plainly_valid

Json = dict[str, Any]

EVERYTHING: list[Any] = [None, True, False, 0, 1.0, 1.5, "", "a", [], [1], {}, {"a": 1}]


def but(*kept: Any) -> list[Any]:
    """Everything except what equals one of these in value and type."""
    return [v for v in EVERYTHING if not any(type(v) is type(k) and v == k for k in kept)]


# name: (schema, valid values, invalid values)
CASES: dict[str, tuple[Any, list[Any], list[Any]]] = {
    "true": (True, EVERYTHING, []),
    "false": (False, [], EVERYTHING),
    "empty": ({}, EVERYTHING, []),
    "type null": ({"type": "null"}, [None], but(None)),
    "type boolean": ({"type": "boolean"}, [True, False], but(*[True, False])),
    "type integer": ({"type": "integer"}, [0, -1, 1.0, 10**30], but(0, 1.0)),
    "type number": ({"type": "number"}, [0, 1.5, 1e300], but(0, 1.0, 1.5)),
    "type string": ({"type": "string"}, ["", "1", "é"], but("", "a")),
    "type array": ({"type": "array", "items": True}, [[], [1]], but([], [1])),
    "type object": ({"type": "object"}, [{}, {"a": 1}], but({}, {"a": 1})),
    "type list": ({"type": ["string", "null"]}, ["", None], but(None, "", "a")),
    "const number": ({"const": 1}, [1, 1.0], [True, "1", 2, None]),
    "const false": ({"const": False}, [False], [0, 0.0, None, ""]),
    "const zero": ({"const": 0}, [0, 0.0, -0.0], [False, None]),
    "const list": ({"const": [False]}, [[False]], [[0], [], [False, False]]),
    "const object": (
        {"const": {"a": 1, "b": 2}},
        [{"b": 2, "a": 1.0}],
        [{"a": 1}, {"a": True, "b": 2}],
    ),
    "const null": ({"const": None}, [None], [0, False, ""]),
    "enum": ({"enum": ["a", 1, None]}, ["a", 1, 1.0, None], ["b", True, 0, []]),
    "enum of booleans": ({"enum": [True]}, [True], [1, 1.0, "true"]),
    "enum of objects": ({"enum": [{"a": [1]}]}, [{"a": [1.0]}], [{"a": [True]}, {"a": []}, {}]),
    "minimum": ({"minimum": 1.1}, [1.1, 2, "x", None], [1, 0.6, -5]),
    "maximum": ({"maximum": 300}, [300, 300.0, 299.5, "x"], [300.5, 301]),
    "exclusiveMinimum": ({"exclusiveMinimum": 1}, [1.0001, 2, "x"], [1, 1.0, 0]),
    "exclusiveMaximum": ({"exclusiveMaximum": 1}, [0.999, 0, "x"], [1, 1.0, 2]),
    "multipleOf int": ({"multipleOf": 2}, [10, 0, -4, 4.0, "x"], [7, 3.5]),
    "multipleOf small": ({"multipleOf": 0.0001}, [0.0075, 1], [0.00751]),
    "multipleOf half": ({"multipleOf": 1.5}, [0, 4.5], [35]),
    "minLength": ({"minLength": 2}, ["fo", "foo", "💩💩", 1], ["f", "", "💩"]),
    "maxLength": ({"maxLength": 2}, ["f", "fo", "💩💩", 100], ["foo", "💩💩💩"]),
    "length as float": ({"maxLength": 2.0}, ["fo"], ["foo"]),
    "pattern": ({"pattern": "^a*$"}, ["aaa", "", 1, None, {}], ["abc", "b"]),
    "pattern is not anchored": ({"pattern": "a+"}, ["xxaayy"], ["xyz"]),
    "pattern with a category": ({"pattern": "^\\p{L}+$"}, ["é", "abc", "日本"], ["1", ""]),
    "pattern that none can read": ({"pattern": "("}, ["x", ""], []),
    "format is an annotation": ({"format": "email"}, ["no", "a@b.c", 3], []),
    "items": ({"items": {"type": "integer"}}, [[1, 2], [], "x"], [[1, "x"]]),
    "items false": ({"items": False}, [[], {}], [[1], [None]]),
    "prefixItems": (
        {"prefixItems": [{"type": "integer"}, {"type": "string"}]},
        [[1, "a"], [1], [], [1, "a", True], {"0": "x"}],
        [["a", 1], [1, 2]],
    ),
    "prefixItems and items": (
        {"prefixItems": [{}, {}], "items": {"type": "integer"}},
        [["a", None, 1], ["a"], []],
        [["a", None, "x"]],
    ),
    "minItems": ({"minItems": 1}, [[1], [1, 2], ""], [[]]),
    "maxItems": ({"maxItems": 2}, [[], [1, 2], "foobar"], [[1, 2, 3]]),
    "uniqueItems": (
        {"uniqueItems": True},
        [[1, 2], [1, True], [0, False], ["1", 1], [{"a": 1}, {"a": 2}], [[1], [True]]],
        [[1, 1], [1.0, 1], [{"a": 1, "b": 2}, {"b": 2, "a": 1}], [[1], [1.0]], [None, None]],
    ),
    "uniqueItems false": ({"uniqueItems": False}, [[1, 1]], []),
    "contains": ({"contains": {"minimum": 5}}, [[3, 5], [6], {}], [[], [3, 4]]),
    "minContains": (
        {"contains": {"const": 1}, "minContains": 2},
        [[1, 1], [1, 2, 1]],
        [[], [1], [1, 2]],
    ),
    "maxContains": ({"contains": {"const": 1}, "maxContains": 1}, [[1], [1, 2]], [[], [1, 1]]),
    "minContains zero": ({"contains": {"const": 1}, "minContains": 0}, [[], [2]], []),
    "properties": (
        {"properties": {"a": {"type": "integer"}, "b": {"type": "string"}}},
        [{"a": 1, "b": "x"}, {}, {"c": []}, [], 12],
        [{"a": "x"}, {"a": 1, "b": {}}],
    ),
    "property never": ({"properties": {"a": True, "b": False}}, [{}, {"a": 1}], [{"b": 1}]),
    "properties named like keywords": (
        {"properties": {"$ref": {"type": "string"}, "type": {"type": "null"}}},
        [{"$ref": "x", "type": None}],
        [{"$ref": 1}, {"type": "x"}],
    ),
    "required": ({"required": ["a"]}, [{"a": None}, [], "", 12], [{}, {"b": 1}]),
    "required with odd names": (
        {"required": ['a"b', "c\nd"]},
        [{'a"b': 1, "c\nd": 2}],
        [{'a"b': 1}],
    ),
    "additionalProperties false": (
        {"properties": {"a": {}}, "patternProperties": {"^v": {}}, "additionalProperties": False},
        [{"a": 1}, {"vroom": 2}, [1], "x"],
        [{"a": 1, "b": 2}],
    ),
    "additionalProperties schema": (
        {"properties": {"a": {}}, "additionalProperties": {"type": "boolean"}},
        [{"a": 1}, {"a": 1, "c": True}],
        [{"c": 12}],
    ),
    "additionalProperties sees only its own object": (
        {"allOf": [{"properties": {"a": {}}}], "additionalProperties": {"type": "boolean"}},
        [{"a": True}],
        [{"a": 1}],
    ),
    "patternProperties": (
        {"patternProperties": {"a+": {"type": "integer"}, "^b$": {"type": "string"}}},
        [{"xaay": 1}, {"b": "x"}, {"bb": 1}, {}, "x"],
        [{"a": "x"}, {"b": 1}],
    ),
    "propertyNames": ({"propertyNames": {"maxLength": 2}}, [{"ab": 1}, {}, []], [{"abc": 1}]),
    "minProperties": ({"minProperties": 1}, [{"a": 1}, []], [{}]),
    "maxProperties": ({"maxProperties": 1}, [{}, {"a": 1}], [{"a": 1, "b": 2}]),
    "dependentRequired": (
        {"dependentRequired": {"a": ["b"]}},
        [{}, {"b": 1}, {"a": 1, "b": 2}],
        [{"a": 1}],
    ),
    "dependentSchemas": (
        {"dependentSchemas": {"a": {"required": ["b"]}}},
        [{}, {"a": 1, "b": 2}],
        [{"a": 1}],
    ),
    "anyOf": ({"anyOf": [{"type": "integer"}, {"minimum": 2}]}, [1, 2.5, 3], [1.5]),
    "anyOf with base": (
        {"type": "string", "anyOf": [{"maxLength": 2}, {"minLength": 4}]},
        ["ab"],
        [3, "abc"],
    ),
    "anyOf true": ({"anyOf": [True, False]}, EVERYTHING, []),
    "oneOf": ({"oneOf": [{"type": "integer"}, {"minimum": 2}]}, [1, 2.5], [3, 1.5]),
    "oneOf required": (
        {"oneOf": [{"required": ["a"]}, {"required": ["b"]}]},
        [{"a": 1}, {"b": 1}],
        [{}, {"a": 1, "b": 1}],
    ),
    "allOf": ({"allOf": [{"maximum": 30}, {"minimum": 20}]}, [25, 20, 30], [35, 10]),
    "not": ({"not": {"type": "integer"}}, ["x", 1.5, None], [1, 1.0]),
    "if then else": (
        {"if": {"exclusiveMaximum": 0}, "then": {"minimum": -10}, "else": {"multipleOf": 2}},
        [-1, -10, 4],
        [-100, 3],
    ),
    "then without if": ({"then": {"const": 0}}, ["x", 1], []),
    "unevaluatedProperties": (
        {"allOf": [{"properties": {"a": {}}}], "unevaluatedProperties": False},
        [{"a": 1}, {}],
        [{"a": 1, "b": 2}],
    ),
    "unevaluatedItems": (
        {"prefixItems": [{}], "unevaluatedItems": False},
        [[1], []],
        [[1, 2]],
    ),
    "reference": (
        {"$defs": {"s": {"type": "string"}}, "properties": {"a": {"$ref": "#/$defs/s"}}},
        [{"a": "x"}, {}],
        [{"a": 1}],
    ),
    "reference with siblings": (
        {
            "$defs": {"s": {"type": "string"}},
            "properties": {"a": {"$ref": "#/$defs/s", "maxLength": 1}},
        },
        [{"a": "x"}],
        [{"a": "xy"}, {"a": 1}],
    ),
    "reference to the root": (
        {"properties": {"a": {"$ref": "#"}}, "additionalProperties": False},
        [{"a": {}}, {"a": {"a": {}}}],
        [{"b": 1}, {"a": {"b": 1}}],
    ),
    "reference to an anchor": (
        {"$defs": {"s": {"$anchor": "here", "type": "integer"}}, "items": {"$ref": "#here"}},
        [[1]],
        [["x"]],
    ),
    "reference through another": (
        {
            "$defs": {"a": {"type": "integer"}, "b": {"$ref": "#/$defs/a"}},
            "items": {"$ref": "#/$defs/b"},
        },
        [[1]],
        [["x"]],
    ),
    "escaped reference": (
        {"$defs": {"a~b/c%d": {"type": "null"}}, "items": {"$ref": "#/$defs/a~0b~1c%25d"}},
        [[None]],
        [[0]],
    ),
    "reference inside an address": (
        {"$id": "urn:x:root", "$defs": {"n": {"type": "null"}}, "items": {"$ref": "#/$defs/n"}},
        [[None]],
        [[0]],
    ),
    "reference to the meta-schema": (
        {"items": {"$ref": "https://json-schema.org/draft/2020-12/schema"}},
        [[{"minLength": 1}], [True]],
        [[{"minLength": -1}], [{"type": "x"}]],
    ),
    "dynamic reference": (
        {"$dynamicAnchor": "n", "properties": {"a": {"$dynamicRef": "#n"}}, "required": ["b"]},
        [{"b": 1, "a": {"b": 2}}],
        [{"b": 1, "a": {}}],
    ),
    "tree": (
        {
            "$ref": "#/$defs/node",
            "$defs": {
                "node": {
                    "type": "object",
                    "properties": {
                        "value": {"type": "number"},
                        "nodes": {"type": "array", "items": {"$ref": "#/$defs/node"}},
                    },
                    "required": ["value"],
                }
            },
        },
        [{"value": 1, "nodes": [{"value": 2, "nodes": []}]}],
        [{"value": 1, "nodes": [{"nodes": []}]}, {}],
    ),
    "unknown keyword": ({"x-made-up": {"$ref": "#/nowhere"}, "nullable": True}, EVERYTHING, []),
    "annotations": (
        {"default": 1, "examples": [[]], "readOnly": True, "deprecated": True, "$comment": "c"},
        EVERYTHING,
        [],
    ),
}

VALID = [(name, value) for name, (_, values, _) in CASES.items() for value in values]
INVALID = [(name, value) for name, (_, _, values) in CASES.items() for value in values]


def judged(schema: Any, value: Any) -> str | None:
    return judge_call("t", value, {"t": schema})


@pytest.mark.parametrize(("name", "value"), VALID, ids=str)
def test_a_valid_value_passes(name: str, value: Any) -> None:
    assert judged(CASES[name][0], value) is None


@pytest.mark.parametrize(("name", "value"), INVALID, ids=str)
def test_an_invalid_value_is_refused_with_a_reason(name: str, value: Any) -> None:
    reason = judged(CASES[name][0], value)
    assert reason is not None
    assert reason.startswith("The arguments do not fit the schema of the tool 't': ")


@pytest.mark.parametrize("name", CASES)
def test_a_value_inside_arguments_is_judged_the_same(name: str) -> None:
    schema, valid, invalid = CASES[name]
    if "#" in str(schema):
        return  # its references mean the root
    wrapped = {"type": "object", "properties": {"value": schema}, "required": ["value"]}
    assert [v for v in valid if judged(wrapped, {"value": v}) is not None] == []
    assert [v for v in invalid if judged(wrapped, {"value": v}) is None] == []


@pytest.mark.parametrize("name", CASES)
def test_the_schema_itself_is_a_valid_definition(name: str) -> None:
    schema = CASES[name][0]
    parameters = {"type": "object", "properties": {"value": schema}}
    if isinstance(schema, dict) and "#" in str(schema):
        parameters = {"type": "object", "properties": {}} | schema
    made = {"type": "function", "name": "t", "description": "d", "parameters": parameters}
    problems = validate_tool_definition(made)
    assert [str(p) for p in problems if p.severity == "error"] == []


def test_an_older_draft_is_judged_by_its_own_rules() -> None:
    draft7 = {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "type": "object",
        "properties": {
            "a": {"type": "array", "items": [{"type": "string"}], "additionalItems": False}
        },
    }
    assert judged(draft7, {"a": ["x"]}) is None
    assert judged(draft7, {"a": ["x", "y"]}) is not None
    made = {"type": "function", "name": "t", "description": "d", "parameters": draft7}
    assert validate_tool_definition(made) == []


@pytest.mark.parametrize(
    "broken",
    [
        {"$ref": "#/$defs/x"},
        {"$ref": "https://example.com/never-fetched.json"},
        {"type": "strin"},
        {"properties": []},
        {"$ref": "#"},
        {"minLength": "x"},
    ],
    ids=str,
)
def test_a_broken_schema_judges_nothing_or_refuses_but_never_raises(broken: Json) -> None:
    judged(broken, {"a": "x"})
    judged({"properties": {"a": broken}}, {"a": "x"})


_KEYWORDS = [
    "type",
    "properties",
    "items",
    "required",
    "enum",
    "const",
    "anyOf",
    "allOf",
    "$ref",
    "$defs",
    "minimum",
    "maxLength",
    "multipleOf",
    "pattern",
    "additionalProperties",
    "uniqueItems",
    "prefixItems",
    "not",
    "description",
    "default",
    "format",
    "x",
    "title",
    "dependentRequired",
    "definitions",
    "dependencies",
    "minItems",
    "$id",
    "$anchor",
    "contains",
    "exclusiveMaximum",
]
_VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-2, 3)
    | st.floats(allow_nan=False, allow_infinity=False, width=16)
    | st.sampled_from(["string", "object", "a", "", "^a", "#/$defs/a", "array"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(_KEYWORDS),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(_VALUES)
def test_what_is_taken_for_plainly_valid_is_valid(value: Any) -> None:
    if is_plainly_valid(value):
        assert [e.message for e in Draft202012Validator(_META).iter_errors(value)] == []


_META: Any = Draft202012Validator.META_SCHEMA
