"""Counting requests as they go over the wire: both APIs, and what an interrupted answer used."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from langchain_core.messages import (
    AIMessage,
    BaseMessage,
    HumanMessage,
    SystemMessage,
    ToolMessage,
)

from langchain_tamma_openai.tokens import TokenCounter
from langchain_tamma_openai.tokens_estimate import estimate_usage
from langchain_tamma_openai.tokens_payload import add_payload
from langchain_tamma_openai.tokens_tally import Tally
from langchain_tamma_openai.wire.messages import messages_to_completions
from langchain_tamma_openai.wire.responses_input import responses_input

Json = dict[str, Any]
COUNTER = TokenCounter()
MODEL = "gpt-4o"
FUNCTION: Json = {
    "name": "get_weather",
    "description": "Get the weather",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
}
PNG = base64.b64encode(
    b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + (1024).to_bytes(4) + (1024).to_bytes(4)
).decode()


def tally(payload: Json, model: str = MODEL) -> Tally:
    counted = Tally(model)
    add_payload(counted, payload)
    return counted


def conversation() -> list[BaseMessage]:
    call = {"name": "get_weather", "args": {"city": "Oslo"}, "id": "call_1", "type": "tool_call"}
    other = {"name": "get_weather", "args": {"city": "Rome"}, "id": "call_2", "type": "tool_call"}
    return [
        SystemMessage("You know the weather."),
        HumanMessage("And in Oslo and Rome?"),
        AIMessage("Let me look.", tool_calls=[call, other]),
        ToolMessage("rain", tool_call_id="call_1"),
        ToolMessage("sun", tool_call_id="call_2"),
        AIMessage("Rain in Oslo, sun in Rome."),
        HumanMessage([{"type": "text", "text": "Thanks"}]),
    ]


def test_a_payload_counts_like_its_messages() -> None:
    payload = {
        "model": MODEL,
        "messages": messages_to_completions(conversation()),
        "tools": [{"type": "function", "function": FUNCTION}],
    }
    expected = COUNTER.count_messages(conversation(), MODEL, [FUNCTION])
    assert tally(payload).tokens == expected


def test_one_conversation_counts_the_same_on_both_apis() -> None:
    chat = {
        "messages": messages_to_completions(conversation()),
        "tools": [{"type": "function", "function": FUNCTION}],
        "tool_choice": {"type": "function", "function": {"name": "get_weather"}},
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "out", "schema": {"type": "object", "properties": {}}},
        },
    }
    responses = {
        "input": responses_input(conversation()),
        "tools": [{"type": "function", **FUNCTION}],
        "tool_choice": {"type": "function", "name": "get_weather"},
        "text": {
            "format": {
                "type": "json_schema",
                "name": "out",
                "schema": {"type": "object", "properties": {}},
            }
        },
    }
    assert tally(chat).tokens == tally(responses).tokens


def test_instructions_are_a_system_message_and_text_input_is_the_users() -> None:
    responses = {"instructions": "Be brief.", "input": "hello"}
    chat = [("system", "Be brief."), ("user", "hello")]
    assert tally(responses).tokens == COUNTER.count_messages(chat, MODEL)


def test_functions_of_the_old_form_count_like_tools() -> None:
    messages = [{"role": "user", "content": "hello"}]
    old = {"messages": messages, "functions": [FUNCTION], "function_call": "none"}
    new = {
        "messages": messages,
        "tools": [{"type": "function", "function": FUNCTION}],
        "tool_choice": "none",
    }
    assert tally(old).tokens == tally(new).tokens


def test_images_and_files_count_the_same_in_both_forms() -> None:
    image = f"data:image/png;base64,{PNG}"
    text_file = "data:text/plain;base64," + base64.b64encode(b"some words").decode()
    chat = [
        {"type": "text", "text": "Look"},
        {"type": "image_url", "image_url": {"url": image, "detail": "high"}},
        {"type": "file", "file": {"file_data": text_file, "filename": "a.txt"}},
    ]
    responses = [
        {"type": "input_text", "text": "Look"},
        {"type": "input_image", "image_url": image, "detail": "high"},
        {"type": "input_file", "file_data": text_file, "filename": "a.txt"},
    ]
    ours = tally({"messages": [{"role": "user", "content": chat}]})
    theirs = tally({"input": [{"role": "user", "content": responses}]})
    assert ours.tokens == theirs.tokens > 765
    assert not ours.unbounded
    assert not theirs.unbounded


@pytest.mark.parametrize(
    "payload",
    [
        {"input": "go on", "previous_response_id": "resp_1"},
        {"input": "go on", "conversation": "conv_1"},
        {"input": "go on", "prompt": {"id": "pmpt_1"}},
        {"input": [{"type": "item_reference", "id": "msg_1"}]},
        {"input": "news?", "tools": [{"type": "web_search"}]},
        {"messages": [{"role": "user", "content": "news?"}], "web_search_options": {}},
        {"input": [{"role": "user", "content": [{"type": "input_file", "file_id": "file_1"}]}]},
        {
            "messages": [
                {"role": "user", "content": [{"type": "file", "file": {"file_id": "file_1"}}]}
            ]
        },
        {"messages": [{"role": "assistant", "content": None, "audio": {"id": "audio_1"}}]},
    ],
)
def test_what_only_the_api_knows_has_no_limit(payload: Json) -> None:
    counted = tally(payload)
    assert counted.unbounded
    assert counted.notes


def test_earlier_reasoning_counts_by_its_summary_or_its_size() -> None:
    plain: Json = {"type": "reasoning", "summary": [{"type": "summary_text", "text": "I see."}]}
    hidden = {**plain, "encrypted_content": "x" * 6_000}
    without = tally({"input": []}).tokens
    assert tally({"input": [plain]}).tokens - without == 3 + 1 + 3
    counted = tally({"input": [hidden]})
    assert counted.tokens - without == 1_000 + 3 + 1
    assert counted.high_tokens > counted.tokens > counted.low_tokens


# --- an answer that broke off ---------------------------------------------------------------------


def test_an_interrupted_answer_used_its_request_and_what_arrived() -> None:
    payload = {"model": MODEL, "messages": messages_to_completions(conversation())}
    usage = estimate_usage(payload, "Rain in", ['{"city": "Os', "{}"], "Hm, ", model=MODEL)
    count = COUNTER.count_text
    reasoning = count("Hm, ", MODEL)
    outputs = reasoning + sum(count(text, MODEL) for text in ("Rain in", '{"city": "Os', "{}"))
    assert usage.input_tokens == COUNTER.count_messages(conversation(), MODEL)
    assert usage.output_tokens == outputs
    assert usage.reasoning_tokens == reasoning
    assert usage.total_tokens == usage.input_tokens + outputs


def test_texts_of_several_choices_are_added_up() -> None:
    usage = estimate_usage({"input": "hi"}, ["one two", "three"], model=MODEL)
    assert usage.output_tokens == 3


def test_the_served_model_decides_when_its_tokenizer_is_known() -> None:
    text = "お誕生日おめでとう"

    def outputs(model: str, served_model: str | None) -> int:
        return estimate_usage({}, text, model=model, served_model=served_model).output_tokens

    assert outputs("gpt-4o", None) == 8
    assert outputs("gpt-4o", "gpt-4-0613") == 9
    assert outputs("gpt-4", "my-own-model") == 9
    assert outputs("my-own-model", None) == 8


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.floats(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner),
    max_leaves=8,
)
fields = st.sampled_from(
    ["messages", "input", "tools", "functions", "tool_choice", "text", "response_format", "prompt"]
)


@settings(deadline=None, max_examples=200)
@given(payload=st.dictionaries(fields, json_values), text=st.text(max_size=20))
def test_no_request_makes_an_estimate_fail(payload: Json, text: str) -> None:
    usage = estimate_usage(payload, text, text, text, model=MODEL)
    assert usage.input_tokens >= 0
    assert usage.output_tokens >= usage.reasoning_tokens


def test_what_cannot_be_counted_is_estimated_by_its_size() -> None:
    class Odd:
        def __iter__(self) -> None:
            raise RuntimeError("no")

    broken: Any = {"messages": [{"role": "user", "content": "x" * 400, "tool_calls": [1]}]}
    assert 100 <= estimate_usage(broken, model=MODEL).input_tokens <= 120
    odd: Any = Odd()
    usage = estimate_usage(odd, odd, model=MODEL)
    assert usage.input_tokens >= 0
    nothing: Any = None
    assert estimate_usage({}, model=nothing).input_tokens == 3
