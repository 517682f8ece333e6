"""Tools, tool choices and response formats: what is refused before a byte is sent."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, TypedDict

import pydantic
import pydantic.v1
import pytest
from langchain_core.tools import Tool as SimpleTool
from langchain_core.tools import tool
from openai.lib._parsing._completions import type_to_response_format_param

from langchain_tamma_openai.errors import InvalidParameterError, InvalidToolError, TammaError
from langchain_tamma_openai.wire.response_format import (
    response_format_to_openai,
    response_format_to_wire,
)
from langchain_tamma_openai.wire.tools import tool_choice_to_openai, tool_names, tools_to_openai


def weather(city: str, days: int = 1) -> str:
    """Get the weather.

    Args:
        city: Where.
        days: How many days.
    """
    return f"{city} {days}"


def function(name: object = "f", parameters: object = None) -> dict[str, Any]:
    inner = {"name": name} if parameters is None else {"name": name, "parameters": parameters}
    return {"type": "function", "function": inner}


OBJECT = {"type": "object", "properties": {"a": {"type": "string"}}}


@pytest.mark.parametrize("name", ["f", "a-b_C9", "x" * 64])
def test_names_the_api_accepts(name: str) -> None:
    tools = [function(name), function(name, OBJECT)]
    assert tools_to_openai(tools) == tools


@pytest.mark.parametrize("name", ["", "bad name!!", "x" * 65, "a.b", "città", None, 7])
def test_names_the_api_refuses(name: object) -> None:
    with pytest.raises(InvalidToolError, match=r"tools\[1\].*rename"):
        tools_to_openai([weather, function(name, OBJECT)])


@pytest.mark.parametrize(
    "bad",
    [
        function(parameters={"type": "string"}),
        function(parameters={"type": ["string", "null"]}),
        function(parameters=[]),
        function(parameters="schema"),
        {"title": "f", "type": "array", "items": {"type": "string"}},
        {"title": "f", "type": "string"},
        {"name": "f", "input_schema": {"type": "array"}},
        {"toolSpec": {"name": "f", "inputSchema": {"json": {"type": "string"}}}},
        {"type": "function", "name": "f", "parameters": {"type": "integer"}},
    ],
)
def test_a_schema_that_is_not_an_object(bad: dict[str, Any]) -> None:
    with pytest.raises(InvalidToolError, match=r"tools\[0\] \(f\).*object") as caught:
        tools_to_openai([bad])
    assert isinstance(caught.value, TammaError)
    assert isinstance(caught.value, ValueError)


@pytest.mark.parametrize(
    "schema",
    [{}, {"type": ["object", "null"]}, {"properties": {}}, {"$ref": "#/$defs/a"}, OBJECT],
)
def test_schemas_that_may_be_objects_are_the_servers_business(schema: dict[str, Any]) -> None:
    assert tools_to_openai([function(parameters=schema)]) == [function(parameters=schema)]


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        (object(), "an instance of object"),
        (None, "an instance of NoneType"),
        (7, "an instance of int"),
        ({"type": "object", "properties": {}}, "a dict without a name"),
        ({}, "a dict without a name"),
        (function(parameters=OBJECT | {"default": {1, 2}}), "'f'"),
        (function(parameters=OBJECT | {"default": object()}), "'f'"),
        (function(parameters=OBJECT | {"default": float("nan")}), "'f'"),
        ({"type": "mcp", "server": {1}}, "a dict without a name"),
        (lambda x: x, "<lambda>"),
        ({"type": "function"}, "None"),
        ({"type": "function", "function": "f"}, "dict with a name"),
    ],
)
def test_what_cannot_be_a_tool(bad: Any, said: str) -> None:
    with pytest.raises(InvalidToolError) as caught:
        tools_to_openai([bad])
    assert "tools[0]" in str(caught.value)
    assert said in str(caught.value)


def test_a_failing_conversion_is_a_typed_error_with_its_cause() -> None:
    def untyped(x: Unknown) -> None:  # type: ignore[name-defined] # noqa: F821
        """Do it."""

    with pytest.raises(InvalidToolError, match="'untyped'") as caught:
        tools_to_openai([untyped])
    assert isinstance(caught.value.__cause__, Exception)


@pytest.mark.parametrize("tools", [None, weather, "f", {"type": "function"}, tool(weather)])
def test_tools_have_to_be_a_list(tools: Any) -> None:
    with pytest.raises(InvalidToolError, match="list of tools"):
        tools_to_openai(tools)


def test_values_that_the_sdk_can_write_are_accepted() -> None:
    schema = OBJECT | {"default": datetime(2026, 1, 1, tzinfo=UTC)}
    assert tools_to_openai([function(parameters=schema)])[0]["function"]["parameters"] == schema


def test_two_tools_of_one_name_are_sent_as_they_are() -> None:
    assert len(tools_to_openai([weather, weather])) == 2


def test_options_in_the_extras_of_a_tool_are_sent() -> None:
    late = tool(weather, extras={"defer_loading": True, "async": False, "other": 1})
    (sent,) = tools_to_openai([late])
    assert sent["defer_loading"] is True
    assert sent["async"] is False
    assert "other" not in sent


def test_built_in_and_custom_tools_are_passed_on() -> None:
    built_in = {"type": "web_search_preview_2025_03_11", "title": "x"}
    metadata = {"type": "custom_tool", "format": {"type": "text"}}
    custom = SimpleTool(name="run code!", description="Run.", func=None, metadata=metadata)
    assert tools_to_openai([built_in, custom]) == [
        built_in,
        {
            "type": "custom",
            "name": "run code!",
            "description": "Run.",
            "format": {"type": "text"},
        },
    ]


def test_names_of_tools_in_a_namespace_count() -> None:
    nested = {"type": "namespace", "name": "crm", "tools": [{"type": "function", "name": "find"}]}
    assert tool_names([function("f"), nested, {"type": "mcp"}]) == ["f", "crm", "find"]


@pytest.mark.parametrize(
    ("choice", "sent"),
    [
        (None, None),
        (False, None),
        ("", None),
        (True, "required"),
        ("any", "required"),
        ("required", "required"),
        ("auto", "auto"),
        ("none", "none"),
        ("f", {"type": "function", "function": {"name": "f"}}),
        ("file_search", {"type": "file_search"}),
        ({"type": "function", "function": {"name": "f"}}, None),
        ({"type": "web_search"}, None),
        ({"type": "allowed_tools", "allowed_tools": {}}, None),
    ],
)
def test_choices(choice: Any, sent: Any) -> None:
    expected = choice if isinstance(choice, dict) else sent
    assert tool_choice_to_openai(choice, ["f"]) == expected


def test_a_tool_named_like_a_mode_is_chosen_by_name() -> None:
    named = {"type": "function", "function": {"name": "any"}}
    assert tool_choice_to_openai("any", ["any"]) == named


@pytest.mark.parametrize(
    "choice", ["g", "AUTO", {"type": "function", "function": {"name": "g"}}, 7, ["f"], {"f"}]
)
def test_unknown_choices(choice: Any) -> None:
    with pytest.raises(InvalidToolError, match="tool_choice") as caught:
        tool_choice_to_openai(choice, ["f"])
    assert isinstance(caught.value, ValueError)


def test_an_unknown_choice_is_told_what_there_is() -> None:
    with pytest.raises(InvalidToolError, match="auto, none, required, any, a, b"):
        tool_choice_to_openai("c", ["b", "a"])


class Inner(pydantic.BaseModel):
    """Inside."""

    x: int | None = None


class Outer(pydantic.BaseModel):
    """Outside."""

    inner: Inner = pydantic.Field(description="described")
    many: list[Inner] = []


@pydantic.dataclasses.dataclass
class Point:
    """A pydantic dataclass."""

    x: int
    next: Point | None = None


class Old(pydantic.v1.BaseModel):
    """Of the old kind."""

    x: int


class Loose(TypedDict):
    """A TypedDict."""

    x: int


@pytest.mark.parametrize("schema", [Outer, Inner, Point])
def test_classes_are_sent_as_the_sdk_sends_them(schema: type) -> None:
    sent = response_format_to_wire(schema)
    assert sent == type_to_response_format_param(schema)
    json.dumps(sent)


def test_dicts_are_sent_as_they_are() -> None:
    given = {"type": "json_object"}
    assert response_format_to_wire(given) is given


@pytest.mark.parametrize("schema", [Old, Loose, "json", None, object()])
def test_other_things_are_no_response_format(schema: Any) -> None:
    with pytest.raises(InvalidParameterError, match="response_format"):
        response_format_to_wire(schema)


def test_a_class_without_a_json_schema() -> None:
    class Callback(pydantic.BaseModel):
        """Holds a function."""

        run: Callable[[], None]

    with pytest.raises(InvalidParameterError, match="Callback has no JSON schema") as caught:
        response_format_to_wire(Callback)
    assert caught.value.__cause__ is not None


def test_an_openai_tool_can_be_the_schema() -> None:
    unwrapped = response_format_to_openai({"name": "f", "parameters": OBJECT})
    assert response_format_to_openai(function("f", OBJECT)) == unwrapped


@pytest.mark.parametrize("strict", [True, False])
def test_strict_said_twice_and_differently(*, strict: bool) -> None:
    wrapped = {"name": "f", "schema": OBJECT, "strict": not strict}
    given = {"type": "json_schema", "json_schema": wrapped}
    with pytest.raises(InvalidParameterError, match="one place"):
        response_format_to_openai(given, strict=strict)
    wrapped["strict"] = strict
    assert response_format_to_openai(given, strict=strict) is given
