"""Counting text, messages and tools: every vector that was checked against the API."""

from __future__ import annotations

import contextlib
import copy
import io
import pickle
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from langchain_core.messages import (
    AIMessage,
    FunctionMessage,
    HumanMessage,
    SystemMessage,
    ToolMessage,
)
from langchain_core.tools import tool
from pydantic import BaseModel, Field

from langchain_tamma_openai.tokens import TokenCount, TokenCounter

Json = dict[str, Any]
COUNTER = TokenCounter()
GPT_35 = "gpt-3.5-turbo"

# OpenAI cookbook, "How to count tokens with tiktoken"
CORPORATE: list[Json] = [
    {
        "role": "system",
        "content": "You are a helpful, pattern-following assistant that translates corporate "
        "jargon into plain English.",
    },
    {
        "role": "system",
        "name": "example_user",
        "content": "New synergies will help drive top-line growth.",
    },
    {
        "role": "system",
        "name": "example_assistant",
        "content": "Things working well together will increase revenue.",
    },
    {
        "role": "system",
        "name": "example_user",
        "content": "Let's circle back when we have more bandwidth to touch base on opportunities "
        "for increased leverage.",
    },
    {
        "role": "system",
        "name": "example_assistant",
        "content": "Let's talk later when we're less busy about how to do better.",
    },
    {
        "role": "user",
        "content": "This late pivot means we don't have time to boil the ocean for the client "
        "deliverable.",
    },
]
WEATHER: list[Json] = [
    {
        "role": "system",
        "content": "You are a helpful assistant that can answer to questions about the weather.",
    },
    {"role": "user", "content": "What's the weather like in San Francisco?"},
]
WEATHER_TOOL: Json = {
    "type": "function",
    "function": {
        "name": "get_current_weather",
        "description": "Get the current weather in a given location",
        "parameters": {
            "type": "object",
            "properties": {
                "location": {
                    "type": "string",
                    "description": "The city and state, e.g. San Francisco, CA",
                },
                "unit": {
                    "type": "string",
                    "description": "The unit of temperature to return",
                    "enum": ["celsius", "fahrenheit"],
                },
            },
            "required": ["location"],
        },
    },
}
HELLO: list[Json] = [{"role": "user", "content": "hello"}]
EMPTY: Json = {"type": "object", "properties": {}}
DO_STUFF: Json = {"name": "do_stuff", "parameters": EMPTY}


def function(name: str, properties: Json | None = None, **more: Any) -> Json:
    schema = {"type": "object", "properties": properties or {}}
    return {"name": name, "parameters": schema, **more}


@pytest.mark.parametrize(
    ("text", "model", "tokens"),
    [
        ("tiktoken is great!", "gpt-4", 6),
        ("tiktoken is great!", "gpt-4o", 6),
        ("2 + 2 = 4", "gpt-4", 7),
        ("お誕生日おめでとう", "gpt-4", 9),
        ("お誕生日おめでとう", "gpt-4o", 8),
        ("antidisestablishmentarianism", "gpt-4", 6),
        ("antidisestablishmentarianism", "gpt-4o", 6),
        ("", "gpt-4o", 0),
    ],
)
def test_text_vectors(text: str, model: str, tokens: int) -> None:
    count = COUNTER.count_text(text, model)
    assert count == tokens
    assert not count.estimated


def test_token_ids() -> None:
    assert COUNTER.token_ids("tiktoken is great!", "gpt-4") == [83, 1609, 5963, 374, 2294, 0]
    assert COUNTER.token_ids("tiktoken is great!", "gpt-5") == [83, 8251, 2488, 382, 2212, 0]


@pytest.mark.parametrize("model", ["gpt-4", "gpt-4o", "gpt-oss-120b"])
@pytest.mark.parametrize(
    "text", ["<|endoftext|>", "a<|endofprompt|>b", "<|start|>system<|message|>"]
)
def test_special_token_text_counts_as_text(text: str, model: str) -> None:
    assert COUNTER.count_text(text, model) > 3


@pytest.mark.parametrize(
    ("model", "tokens"),
    [
        ("gpt-3.5-turbo", 129),
        ("gpt-4", 129),
        ("gpt-4-0613", 129),
        ("gpt-4o", 124),
        ("gpt-4o-mini", 124),
        ("gpt-3.5-turbo-0301", 127),
    ],
)
def test_message_vector(model: str, tokens: int) -> None:
    count = COUNTER.count_messages(CORPORATE, model)
    assert count == tokens
    assert count.notes == ()


@pytest.mark.parametrize(
    ("model", "tokens"),
    [("gpt-4", [18, 10, 8, 18, 15, 19]), ("gpt-4o", [17, 10, 8, 17, 13, 18])],
)
def test_content_of_the_message_vector(model: str, tokens: list[int]) -> None:
    assert [COUNTER.count_text(each["content"], model) for each in CORPORATE] == tokens


def test_both_public_formulas_agree_on_the_tool_vector() -> None:
    """OpenAI's cookbook adds constants where the other formula renders a text."""

    def count(text: str) -> int:
        return COUNTER.count_text(text, model)

    function = WEATHER_TOOL["function"]
    for model, per_function in (("gpt-4", 10), ("gpt-4o", 7)):
        total = 12 + per_function + count(f"{function['name']}:{function['description']}") + 3
        for name, prop in function["parameters"]["properties"].items():
            total += 3 + count(f"{name}:{prop['type']}:{prop['description']}")
            if "enum" in prop:
                total += sum(3 + count(value) for value in prop["enum"]) - 3
        without = COUNTER.count_messages(WEATHER, model)
        assert COUNTER.count_messages(WEATHER, model, [WEATHER_TOOL]) == without + total


@pytest.mark.parametrize(
    ("model", "with_tool", "without"),
    [
        ("gpt-3.5-turbo", 105, 34),
        ("gpt-4", 105, 34),
        ("gpt-4o", 101, 33),
        ("gpt-4o-mini", 101, 33),
        ("gpt-4o-2024-08-06", 101, 33),
    ],
)
def test_tool_vector(model: str, with_tool: int, without: int) -> None:
    count = COUNTER.count_messages(WEATHER, model, [WEATHER_TOOL])
    assert count == with_tool
    assert not count.estimated
    assert COUNTER.count_messages(WEATHER, model) == without
    assert COUNTER.count_messages(WEATHER, model, []) == without


@pytest.mark.parametrize(
    ("messages", "functions", "tokens"),
    [
        (HELLO, [], 8),
        ([{"role": "user", "content": "hello world"}], [], 9),
        ([{"role": "system", "content": "hello"}], [], 8),
        ([{"role": "system", "content": "hello:"}], [], 9),
        (
            [
                {"role": "system", "content": "# Important: you're the best robot"},
                {"role": "user", "content": "hello robot"},
                {"role": "assistant", "content": "hello world"},
            ],
            [],
            27,
        ),
        (HELLO, [function("foo")], 31),
        (HELLO, [{"name": "foo"}], 31),
        (HELLO, [function("foo", description="Do a foo")], 36),
        (
            HELLO,
            [function("bing_bong", {"foo": {"type": "string"}}, description="Do a bing bong")],
            49,
        ),
        (
            HELLO,
            [
                function(
                    "bing_bong",
                    {
                        "foo": {"type": "string"},
                        "bar": {"type": "number", "description": "A number"},
                    },
                    description="Do a bing bong",
                )
            ],
            57,
        ),
        (
            HELLO,
            [
                function(
                    "bing_bong",
                    {
                        "foo": {
                            "type": "object",
                            "properties": {
                                "bar": {"type": "string", "enum": ["a", "b", "c"]},
                                "baz": {"type": "boolean"},
                            },
                        }
                    },
                    description="Do a bing bong",
                )
            ],
            68,
        ),
        (
            [
                {"role": "user", "content": "hello world"},
                {"role": "function", "name": "do_stuff", "content": "{}"},
            ],
            [],
            15,
        ),
        (
            [
                {"role": "user", "content": "hello world"},
                {"role": "function", "name": "do_stuff", "content": '{"foo": "bar", "baz": 1.5}'},
            ],
            [],
            28,
        ),
        (
            [
                {
                    "role": "function",
                    "name": "dance_the_tango",
                    "content": '{"a": { "b" : { "c": false}}}',
                }
            ],
            [],
            24,
        ),
        (
            [
                {
                    "role": "assistant",
                    "content": "",
                    "function_call": {
                        "name": "do_stuff",
                        "arguments": '{"foo": "bar", "baz": 1.5}',
                    },
                }
            ],
            [],
            26,
        ),
        (
            [
                {
                    "role": "assistant",
                    "content": "",
                    "function_call": {
                        "name": "do_stuff",
                        "arguments": '{"foo":"bar", "baz":\n\n 1.5}',
                    },
                }
            ],
            [],
            25,
        ),
        (
            [{"role": "system", "content": "Hello"}, {"role": "user", "content": "Hi there"}],
            [DO_STUFF],
            35,
        ),
        (
            [{"role": "system", "content": "Hello:"}, {"role": "user", "content": "Hi there"}],
            [DO_STUFF],
            35,
        ),
        (
            [
                {"role": "system", "content": "Hello:"},
                {"role": "system", "content": "Hello"},
                {"role": "user", "content": "Hi there"},
            ],
            [DO_STUFF],
            40,
        ),
        (
            HELLO,
            [
                {
                    "name": "get_recipe",
                    "parameters": {
                        "type": "object",
                        "required": ["ingredients", "instructions", "time_to_cook"],
                        "properties": {
                            "ingredients": {
                                "type": "array",
                                "items": {
                                    "type": "object",
                                    "required": ["name", "unit", "amount"],
                                    "properties": {
                                        "name": {"type": "string"},
                                        "unit": {
                                            "enum": ["grams", "ml", "cups", "pieces", "teaspoons"],
                                            "type": "string",
                                        },
                                        "amount": {"type": "number"},
                                    },
                                },
                            },
                            "instructions": {
                                "type": "array",
                                "items": {"type": "string"},
                                "description": "Steps to prepare the recipe (no numbering)",
                            },
                            "time_to_cook": {
                                "type": "number",
                                "description": "Total time to prepare the recipe in minutes",
                            },
                        },
                    },
                }
            ],
            106,
        ),
    ],
)
def test_function_vectors_of_gpt_35(
    messages: list[Json], functions: list[Json], tokens: int
) -> None:
    tools = [{"type": "function", "function": each} for each in functions]
    assert COUNTER.count_messages(messages, GPT_35, tools) == tokens
    assert COUNTER.count_messages(messages, GPT_35, functions) == tokens


def test_tool_choice() -> None:
    tools = [{"type": "function", "function": function("foo")}]
    plain = COUNTER.count_messages(HELLO, GPT_35, tools)
    forced = {"type": "function", "function": {"name": "foo"}}
    for choice, extra in [
        ("auto", 0),
        ("required", 0),
        ("none", 1),
        (forced, 8),
        ({"type": "function", "name": "foo"}, 8),
        ({"name": "foo"}, 5),
        ({"type": "custom"}, 7),
        ({"function": 1}, 4),
    ]:
        counted = COUNTER.count_messages(HELLO, GPT_35, tools, tool_choice=choice)
        assert counted - plain == extra, choice


def test_langchain_messages_count_like_their_json() -> None:
    messages = [
        SystemMessage(CORPORATE[0]["content"]),
        *(SystemMessage(each["content"], name=each["name"]) for each in CORPORATE[1:5]),
        HumanMessage(CORPORATE[5]["content"]),
    ]
    assert COUNTER.count_messages(messages, "gpt-4") == 129
    function_result = [HumanMessage("hello world"), FunctionMessage(content="{}", name="do_stuff")]
    assert COUNTER.count_messages(function_result, GPT_35) == 15
    assert COUNTER.count_messages(["hello", ("user", "hello")], GPT_35) == 13


def test_content_in_blocks_counts_like_text() -> None:
    blocks = [SystemMessage([{"type": "text", "text": "Hello"}]), HumanMessage(["Hi there"])]
    tools = [{"type": "function", "function": DO_STUFF}]
    assert COUNTER.count_messages(blocks, GPT_35, tools) == 35
    strings: list[Json] = [{"role": "user", "content": ["hello", {"type": "text", "text": ""}]}]
    assert COUNTER.count_messages(strings, GPT_35) == 8


def test_tools_in_every_form_count_the_same() -> None:
    @tool
    def add(a: int, b: int) -> int:
        """Add two numbers."""
        return a + b

    class Add(BaseModel):
        """Add two numbers."""

        a: int
        b: int

    properties = {"a": {"type": "integer"}, "b": {"type": "integer"}}
    parameters = {"type": "object", "properties": properties, "required": ["a", "b"]}
    plain = {"name": "add", "description": "Add two numbers.", "parameters": parameters}
    expected = COUNTER.count_tools([plain], GPT_35)
    assert COUNTER.count_tools([add], GPT_35) == expected
    assert COUNTER.count_tools([Add], GPT_35) == expected
    assert expected == COUNTER.count_messages(HELLO, GPT_35, [add]) - 8
    assert COUNTER.count_tools([], GPT_35) == 0


def test_schemas_of_every_shape_are_counted() -> None:
    class Nested(BaseModel):
        """A nested thing."""

        label: str = Field(description="What it is called")

    class Everything(BaseModel):
        """Has it all."""

        maybe: int | None = None
        choice: str | float = 1.0
        nested: list[Nested]
        anything: Any
        table: dict[str, int]
        kind: str = Field(json_schema_extra={"const": "fixed"})

    count = COUNTER.count_tools([Everything], "gpt-4o")
    assert count > COUNTER.count_tools([Nested], "gpt-4o")


def test_a_list_of_types_is_a_union() -> None:
    one = function("foo", {"a": {"type": ["string", "null"]}})
    other = function("foo", {"a": {"anyOf": [{"type": "string"}, {"type": "null"}]}})
    assert COUNTER.count_tools([one], GPT_35) == COUNTER.count_tools([other], GPT_35)


def test_what_is_no_message_is_an_error() -> None:
    with pytest.raises(ValueError, match="nobody"):
        COUNTER.count_messages([("nobody", "x")], "gpt-4o")


def test_tool_calls_and_results_are_counted_as_estimates() -> None:
    call = {"name": "add", "args": {"a": 1, "b": 2}, "id": "call_1", "type": "tool_call"}
    asked = COUNTER.count_messages([AIMessage("", tool_calls=[call])], "gpt-4o")
    arguments = COUNTER.count_text('{"a": 1, "b": 2}', "gpt-4o")
    assert asked == 3 + 3 + 1 + 1 + arguments
    assert asked.estimated
    result = COUNTER.count_messages([ToolMessage("3", tool_call_id="call_1")], "gpt-4o")
    assert result == 3 + 3 + 1 + 1 + 3
    assert result.estimated
    custom = {"id": "c", "type": "custom", "custom": {"name": "add", "input": "1 2"}}
    raw: list[Json] = [{"role": "assistant", "content": None, "tool_calls": [custom]}]
    assert COUNTER.count_messages(raw, "gpt-4o") == 3 + 3 + 1 + 1 + 3


def test_other_tools_count_by_their_json() -> None:
    count = COUNTER.count_tools([{"type": "web_search"}], "gpt-4o")
    assert count == COUNTER.count_text('{"type": "web_search"}', "gpt-4o")
    assert count.estimated


def test_response_format_is_an_estimate_above_its_schema() -> None:
    schema = {"type": "object", "properties": {"answer": {"type": "string"}}}
    wire = {"type": "json_schema", "json_schema": {"name": "Answer", "schema": schema}}
    plain = COUNTER.count_messages(HELLO, "gpt-4o")
    counted = COUNTER.count_messages(HELLO, "gpt-4o", response_format=wire)
    assert counted.estimated
    assert 12 < counted - plain < 60
    for free in ({"type": "text"}, {"type": "json_object"}):
        assert COUNTER.count_messages(HELLO, "gpt-4o", response_format=free) == plain


@pytest.mark.parametrize(
    ("model", "estimated"),
    [
        ("gpt-4o", False),
        ("gpt-5.5", False),
        ("ft:gpt-4.1-mini-2025-04-14:org::abc", False),
        ("gpt-6-luna", True),
        ("chat-latest", True),
        ("my-own-model", True),
    ],
)
def test_assumed_tokenizers_are_marked(model: str, estimated: bool) -> None:  # noqa: FBT001 - a parameter
    count = COUNTER.count_text("お誕生日おめでとう", model)
    assert count == 8
    assert count.estimated is estimated
    assert all(model in note for note in count.notes)


def test_tools_of_newer_models_are_an_estimate() -> None:
    assert COUNTER.count_messages(WEATHER, "gpt-5", [WEATHER_TOOL]) == 101
    assert COUNTER.count_messages(WEATHER, "gpt-5", [WEATHER_TOOL]).estimated
    assert COUNTER.count_messages(WEATHER, "gpt-6-luna", [WEATHER_TOOL]) == 101


def test_a_count_is_an_int_that_survives_copies() -> None:
    count = TokenCount(7, ["why"])
    for again in (pickle.loads(pickle.dumps(count)), copy.deepcopy(count)):  # noqa: S301 - our own
        assert again == 7
        assert again.notes == ("why",)
    assert type(count + 1) is int
    assert not TokenCount().estimated


def test_counting_changes_nothing_it_is_given() -> None:
    messages, tools = copy.deepcopy(WEATHER), [copy.deepcopy(WEATHER_TOOL)]
    COUNTER.count_messages(messages, "gpt-4o", tools)
    assert messages == WEATHER
    assert tools == [WEATHER_TOOL]


@settings(deadline=None)
@given(st.lists(st.text(max_size=30), max_size=5))
def test_messages_add_up(texts: list[str]) -> None:
    messages = [{"role": "user", "content": text} for text in texts]
    parts = [COUNTER.count_messages([message], "gpt-4o") - 3 for message in messages]
    assert COUNTER.count_messages(messages, "gpt-4o") == 3 + sum(parts)


def test_examples_of_the_page_run() -> None:
    page = Path(__file__).parents[2] / "docs" / "counting.md"
    blocks = re.findall(r"```(\w+)\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec("\n".join(code for kind, code in blocks if kind == "python"), {})  # noqa: S102 - our own page
    assert printed.getvalue() == dict(blocks)["text"]
