"""Tool definitions: every form judged alike, every problem at once, none invented."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any, TypedDict

import pytest
from langchain_core.tools import tool
from pydantic import BaseModel, Field

from langchain_tamma_openai import InvalidToolError
from langchain_tamma_openai.tools.definitions import (
    check_tools,
    tool_schemas,
    validate_response_format,
    validate_tool_definition,
    validate_tool_definitions,
)
from langchain_tamma_openai.tools.problems import ToolProblem
from langchain_tamma_openai.wire.tools import tools_to_openai

Json = dict[str, Any]


def chat_form(name: str = "search", **schema: Any) -> Json:
    """A tool with the schema as its parameters."""
    function = {"name": name, "description": "Find things.", "parameters": schema}
    return {"type": "function", "function": function}


def with_value(schema: Any, *, strict: bool = False) -> Json:
    """A tool whose one argument has the schema."""
    made = chat_form(type="object", properties={"value": schema}, required=["value"])
    if strict:
        made["function"]["parameters"]["additionalProperties"] = False
        made["function"]["strict"] = True
    return made


def codes(tool: Any, **options: Any) -> list[str]:
    return [problem.code for problem in validate_tool_definition(tool, **options)]


def found(tool: Any, **options: Any) -> list[tuple[str, str]]:
    return [(p.pointer, p.code) for p in validate_tool_definition(tool, **options)]


@tool
def weather(city: str, days: int = 3) -> str:
    """Forecast the weather of a city."""
    return f"{city} {days}"


def plain_function(city: str, tags: list[str] | None = None) -> str:
    """Look a city up."""
    return f"{city} {tags}"


class Lookup(BaseModel):
    """Look something up."""

    key: str = Field(description="What to look for.")
    limit: int = 10


class Typed(TypedDict):
    """Look something up."""

    key: str


JSON_SCHEMA = {
    "title": "lookup",
    "description": "Look something up.",
    "type": "object",
    "properties": {"key": {"type": "string"}},
}
FLAT = {
    "type": "function",
    "name": "lookup",
    "description": "Look something up.",
    "parameters": {"type": "object", "properties": {"key": {"type": "string"}}},
}
FINE: dict[str, Any] = {
    "langchain tool": weather,
    "function": plain_function,
    "pydantic class": Lookup,
    "TypedDict": Typed,
    "titled schema": JSON_SCHEMA,
    "responses form": FLAT,
    "chat form": {"type": "function", "function": {k: v for k, v in FLAT.items() if k != "type"}},
    "function without a type": {k: v for k, v in FLAT.items() if k != "type"},
    "anthropic form": {
        "name": "lookup",
        "description": "Look something up.",
        "input_schema": FLAT["parameters"],
    },
    "web search": {"type": "web_search"},
    "file search": {"type": "file_search", "vector_store_ids": ["vs_1"]},
    "mcp": {"type": "mcp", "server_label": "docs", "server_url": "https://example.com"},
    "custom": {"type": "custom", "custom": {"name": "code"}},
    "custom, flat": {"type": "custom", "name": "code"},
    "no parameters": {"type": "function", "name": "ping", "description": "Ping."},
    "namespace": {"type": "namespace", "name": "crm", "tools": [FLAT]},
}


@pytest.mark.parametrize("name", FINE)
def test_every_form_that_can_be_bound_is_fine_when_it_is_fine(name: str) -> None:
    assert validate_tool_definition(FINE[name]) == []


@pytest.mark.parametrize("name", ["langchain tool", "function", "pydantic class", "TypedDict"])
def test_what_langchain_makes_strict_is_strict(name: str) -> None:
    assert validate_tool_definition(FINE[name], strict=True) == []


@pytest.mark.parametrize(
    "thing",
    [42, None, object(), {"foo": 1}, {"type": 3}, [], {"type": "object"}],
    ids=["number", "None", "object", "no type", "odd type", "list", "bare schema"],
)
def test_what_is_no_tool_is_a_problem_and_no_exception(thing: Any) -> None:
    assert codes(thing) == ["not_a_tool"]


def test_a_problem_says_where_what_and_what_to_do() -> None:
    [problem] = validate_tool_definition(with_value({"$ref": "#/$defs/missing"}))
    assert problem == ToolProblem(
        "/function/parameters/properties/value/$ref",
        "'#/$defs/missing' leads to nothing in this schema",
        "dangling_ref",
        "error",
        "define it under '$defs' and refer to it as '#/$defs/NAME'",
        "search",
    )
    assert str(problem) == (
        "search /function/parameters/properties/value/$ref: '#/$defs/missing' leads to nothing in "
        "this schema; define it under '$defs' and refer to it as '#/$defs/NAME'"
    )


def test_pointers_of_the_flat_form_start_at_its_own_root() -> None:
    flat = {**FLAT, "parameters": {"type": "object", "properties": {"a/b~": {"type": "strin"}}}}
    assert found(flat) == [("/parameters/properties/a~1b~0/type", "invalid_schema")]


@pytest.mark.parametrize(
    "name", ["", "x" * 65, "get weather", "naïve", "a.b", "a/b", "name\n", 7, "😀"], ids=repr
)
def test_a_name_outside_openais_rule_is_an_error(name: Any) -> None:
    assert found(chat_form(name, type="object", properties={})) == [
        ("/function/name", "invalid_name")
    ]


@pytest.mark.parametrize("name", ["a", "x" * 64, "get_weather-2", "_", "-", "0"])
def test_a_name_inside_openais_rule_is_fine(name: str) -> None:
    assert found(chat_form(name, type="object", properties={})) == []


def test_a_missing_name_is_an_error() -> None:
    assert codes({"type": "function", "description": "d"}) == ["missing_name"]
    assert codes({"type": "custom"}) == ["missing_name"]


@pytest.mark.parametrize(
    ("description", "code", "severity"),
    [
        (None, "missing_description", "warning"),
        ("  ", "missing_description", "warning"),
        ("x" * 1025, "long_description", "warning"),
        (["x"], "invalid_description", "error"),
    ],
)
def test_the_description_is_checked(description: Any, code: str, severity: str) -> None:
    made = chat_form(type="object", properties={})
    made["function"]["description"] = description
    [problem] = validate_tool_definition(made)
    assert (problem.code, problem.severity) == (code, severity)


BROKEN: dict[str, tuple[Any, str, str]] = {
    "unknown type": ({"type": "str"}, "/type", "invalid_schema"),
    "unknown type in a list": ({"type": ["string", "int"]}, "/type", "invalid_schema"),
    "type is a number": ({"type": 1}, "/type", "invalid_schema"),
    "properties is a list": ({"type": "object", "properties": []}, "/properties", "invalid_schema"),
    "property is a string": (
        {"type": "object", "properties": {"a": "string"}},
        "/properties/a",
        "invalid_schema",
    ),
    "required is a boolean": ({"type": "string", "required": True}, "/required", "invalid_schema"),
    "required twice": (
        {"type": "object", "properties": {"a": {}}, "required": ["a", "a"]},
        "/required",
        "invalid_schema",
    ),
    "items is a list": (
        {"type": "array", "items": [{"type": "string"}]},
        "/items",
        "invalid_schema",
    ),
    "enum is a string": ({"enum": "a"}, "/enum", "invalid_schema"),
    "minimum is a string": ({"type": "number", "minimum": "0"}, "/minimum", "invalid_schema"),
    "exclusiveMinimum is a boolean": (
        {"type": "number", "exclusiveMinimum": True},
        "/exclusiveMinimum",
        "invalid_schema",
    ),
    "negative length": ({"type": "string", "minLength": -1}, "/minLength", "invalid_schema"),
    "multipleOf zero": ({"type": "number", "multipleOf": 0}, "/multipleOf", "invalid_schema"),
    "anyOf empty": ({"anyOf": []}, "/anyOf", "invalid_schema"),
    "anyOf is a dict": ({"anyOf": {"type": "string"}}, "/anyOf", "invalid_schema"),
    "description is a number": (
        {"type": "string", "description": 3},
        "/description",
        "invalid_schema",
    ),
    "schema is a list": ([], "", "invalid_schema"),
    "pattern is a number": ({"type": "string", "pattern": 1}, "/pattern", "invalid_schema"),
    "array without items": ({"type": "array"}, "", "missing_items"),
    "nullable array without items": ({"type": ["array", "null"]}, "", "missing_items"),
    "empty enum": ({"type": "string", "enum": []}, "/enum", "empty_enum"),
    "enum of another type": ({"type": "string", "enum": [1, 2]}, "/enum", "unsatisfiable"),
    "const of another type": ({"type": "string", "const": 1}, "/const", "unsatisfiable"),
    "dangling reference": ({"$ref": "#/$defs/x"}, "/$ref", "dangling_ref"),
    "remote reference": ({"$ref": "https://example.com/s.json"}, "/$ref", "dangling_ref"),
    "reference to no schema": ({"$ref": "#/type"}, "/$ref", "dangling_ref"),
    "reference to itself": (
        {"$ref": "#/properties/value"},
        "/$ref",
        "ref_loop",
    ),
    "required, undefined and closed": (
        {"type": "object", "properties": {}, "required": ["a"], "additionalProperties": False},
        "/required/0",
        "undefined_required",
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_schema_is_an_error_at_its_place(name: str) -> None:
    schema, at, code = BROKEN[name]
    problems = validate_tool_definition(with_value(schema))
    assert (f"/function/parameters/properties/value{at}", code) in [
        (p.pointer, p.code) for p in problems if p.severity == "error"
    ]


DOUBTED: dict[str, tuple[Any, str]] = {
    "required but undefined": (
        {"type": "object", "properties": {}, "required": ["a"]},
        "undefined_required",
    ),
    "empty range": ({"type": "integer", "minimum": 3, "maximum": 2}, "unsatisfiable"),
    "unreadable pattern": ({"type": "string", "pattern": "("}, "unreadable_pattern"),
}


@pytest.mark.parametrize("name", DOUBTED)
def test_what_the_api_accepts_but_cannot_be_meant_is_a_warning(name: str) -> None:
    schema, code = DOUBTED[name]
    [problem] = validate_tool_definition(with_value(schema))
    assert (problem.code, problem.severity) == (code, "warning")


USUAL: list[Any] = [
    {},
    True,
    {"type": "integer", "minimum": 0, "exclusiveMaximum": 10, "multipleOf": 2},
    {"type": ["string", "null"], "enum": ["a", None]},
    {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "integer"}}]},
    {"oneOf": [{"const": 1}, {"const": "x"}]},
    {"allOf": [{"type": "object", "properties": {"a": {}}}, {"required": ["a"]}]},
    {"type": "array", "prefixItems": [{"type": "string"}], "items": False},
    {"type": "object", "additionalProperties": {"type": "number"}},
    {"type": "object", "patternProperties": {"^x-": {"type": "string"}}, "required": ["x-a"]},
    {"type": "object", "properties": {"a": {}}, "anyOf": [{"required": ["b"]}]},
    {"type": "string", "format": "whatever", "pattern": "^\\p{L}+$", "examples": ["a"]},
    {"$ref": "#/$defs/node"},
    {"$ref": "#"},
    {"$ref": "#node"},
    {"$ref": "https://json-schema.org/draft/2020-12/schema"},
    {"type": "string", "const": "a", "default": "a", "x-anything": {"type": "not a schema"}},
    {"type": "number", "enum": [1, 2.5]},
    {"type": "integer", "const": 1.0},
    {"type": "object", "properties": {"$ref": {"type": "string"}, "type": {"type": "string"}}},
    {"if": {"type": "string"}, "then": {"minLength": 1}, "else": True, "not": {"const": 0}},
]


@pytest.mark.parametrize("schema", USUAL, ids=str)
def test_a_usual_schema_raises_no_alarm(schema: Any) -> None:
    made = with_value(schema)
    node = {"type": "object", "properties": {"next": {"$ref": "#/$defs/node"}}, "$anchor": "node"}
    made["function"]["parameters"]["$defs"] = {"node": node}
    assert validate_tool_definition(made) == []


def test_escaped_and_encoded_pointers_are_resolved() -> None:
    made = with_value({"$ref": "#/$defs/a~1b%20c~0"})
    made["function"]["parameters"]["$defs"] = {"a/b c~": {"type": "string"}}
    assert validate_tool_definition(made) == []


def test_references_under_an_address_of_their_own_are_left_to_the_library() -> None:
    inner = {"$id": "urn:inner", "$defs": {"s": {"type": "string"}}, "$ref": "#/$defs/s"}
    assert validate_tool_definition(with_value(inner)) == []


def test_an_address_of_the_root_hides_no_dangling_reference() -> None:
    made = with_value({"$ref": "#/$defs/missing"})
    made["function"]["parameters"]["$id"] = "https://example.com/tool"
    assert codes(made) == ["dangling_ref"]


def test_a_loop_through_two_references_is_found_and_recursion_is_not() -> None:
    made = with_value({"$ref": "#/$defs/a"})
    made["function"]["parameters"]["$defs"] = {
        "a": {"$ref": "#/$defs/b"},
        "b": {"$ref": "#/$defs/a"},
    }
    assert set(codes(made)) == {"ref_loop"}


@pytest.mark.parametrize(
    ("parameters", "code"),
    [
        ({"type": "string"}, "not_an_object"),
        ({"properties": {}}, "not_an_object"),
        ({}, "not_an_object"),
        ({"type": "object"}, "missing_properties"),
        ([], "invalid_schema"),
        ("object", "invalid_schema"),
        ({"type": "object", "properties": {"a": {"const": float("nan")}}}, "not_json"),
        ({"type": "object", "properties": {"a": {"default": {1, 2}}}}, "not_json"),
    ],
)
def test_the_root_must_be_an_object_schema(parameters: Any, code: str) -> None:
    made = {"type": "function", "name": "t", "description": "d", "parameters": parameters}
    assert codes(made) == [code]


def test_every_problem_is_told_at_once() -> None:
    made = {
        "type": "function",
        "function": {
            "name": "bad name",
            "strict": True,
            "parameters": {
                "type": "object",
                "properties": {
                    "a": {"type": "strin"},
                    "b": {"type": "array"},
                    "c": {"$ref": "#/nowhere"},
                    "d": {"type": "string", "format": "uri"},
                },
                "required": ["a", "z"],
            },
        },
    }
    assert set(codes(made)) == {
        "invalid_name",
        "missing_description",
        "invalid_schema",
        "missing_items",
        "dangling_ref",
        "unsupported_format",
        "strict_additional_properties",
        "strict_required",
        "undefined_required",
    }


def test_a_very_deep_schema_is_a_problem_and_no_crash() -> None:
    schema: Json = {"type": "strin"}
    for _ in range(150):
        schema = {"type": "object", "properties": {"a": schema}}
    problems = validate_tool_definition(with_value(schema))
    assert [p.code for p in problems] == ["invalid_schema"]
    assert "too_large" in codes(with_value(schema, strict=True))


def test_checking_changes_nothing() -> None:
    made = with_value({"type": "object", "properties": {"a": {"$ref": "#/x"}}}, strict=True)
    before = copy.deepcopy(made)
    validate_tool_definition(made, strict=True)
    assert made == before


def test_a_list_is_checked_for_duplicates_and_size() -> None:
    problems = validate_tool_definitions([weather, FLAT, weather, {**FLAT, "name": "weather"}])
    assert [(p.pointer, p.code, p.tool) for p in problems] == [
        ("/2", "duplicate_name", "weather"),
        ("/3", "duplicate_name", "weather"),
    ]
    many = [chat_form(f"t{i}", type="object", properties={}) for i in range(129)]
    assert [p.code for p in validate_tool_definitions(many)] == ["too_many_tools"]
    assert validate_tool_definitions([{"type": "web_search"}, {"type": "web_search"}]) == []


def test_bound_tools_with_errors_are_refused_with_all_of_them() -> None:
    broken = [with_value({"type": "strin"}), chat_form("two words", type="object", properties={})]
    with pytest.raises(InvalidToolError) as raised:
        check_tools(broken)
    assert "2 problems" in str(raised.value)
    assert "/0/function/parameters/properties/value/type" in str(raised.value)
    assert "/1/function/name" in str(raised.value)


def test_bound_tools_with_warnings_pass() -> None:
    check_tools([chat_form(type="object", properties={}, required=["a"])])
    check_tools(tools_to_openai([weather, plain_function, Lookup, {"type": "web_search"}]))


def test_schemas_are_given_by_name() -> None:
    inner = {"type": "namespace", "name": "crm", "tools": [FLAT]}
    custom = {"type": "custom", "custom": {"name": "code"}}
    schemas = tool_schemas([with_value({"type": "string"}), inner, custom, {"type": "web_search"}])
    assert list(schemas) == ["search", "lookup"]
    assert schemas["lookup"] == FLAT["parameters"]


def _nested(schema: Json) -> Json:
    return {
        "type": "json_schema",
        "json_schema": {"name": "answer", "schema": schema, "strict": True},
    }


def _flat(schema: Json) -> Json:
    return {"type": "json_schema", "name": "answer", "schema": schema, "strict": True}


@pytest.mark.parametrize(("form", "prefix"), [(_nested, "/json_schema/schema"), (_flat, "/schema")])
def test_response_formats_are_held_to_the_strict_rules(
    form: Callable[[Json], Json], prefix: str
) -> None:
    good = {
        "type": "object",
        "properties": {"a": {"type": "string"}},
        "required": ["a"],
        "additionalProperties": False,
    }
    assert validate_response_format(form(good)) == []
    problems = validate_response_format(form({**good, "required": [], "anyOf": [{}]}))
    assert (f"{prefix}/anyOf", "strict_root") in [(p.pointer, p.code) for p in problems]
    assert (f"{prefix}/properties/a", "strict_required") in [(p.pointer, p.code) for p in problems]
    assert validate_response_format({"type": "json_object"}) == []
