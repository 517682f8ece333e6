"""Histories that the API would refuse are found before they are sent."""

from __future__ import annotations

from typing import Any

import pytest
from langchain_core.messages import (
    AIMessage,
    BaseMessage,
    ChatMessage,
    HumanMessage,
    RemoveMessage,
    SystemMessage,
    ToolMessage,
)
from langchain_core.messages.tool import invalid_tool_call, tool_call

from langchain_tamma_openai.history import check_history
from langchain_tamma_openai.parameters import Api

IMAGE = {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}
AUDIO = {"type": "audio", "base64": "AAAA", "mime_type": "audio/wav"}
FILE = {"type": "file", "base64": "AAAA", "mime_type": "application/pdf", "filename": "a.pdf"}
HELLO = HumanMessage("hello")


def calling(*ids: str | None, content: Any = "") -> AIMessage:
    return AIMessage(content, tool_calls=[tool_call(name="f", args={}, id=each) for each in ids])


def result(call_id: str) -> ToolMessage:
    return ToolMessage("done", tool_call_id=call_id)


def codes(messages: list[BaseMessage], model: str | None = None, **options: Any) -> list[str]:
    return [problem.code for problem in check_history(messages, model, **options)]


FINE: dict[str, list[BaseMessage]] = {
    "a question": [HELLO],
    "system in the middle": [HELLO, AIMessage("hi"), SystemMessage("be brief"), HELLO],
    "assistant last": [HELLO, AIMessage("hi")],
    "two questions": [HELLO, HELLO],
    "no messages": [],
    "a call and its result": [HELLO, calling("a"), result("a")],
    "parallel calls answered in another order": [
        HELLO,
        calling("a", "b", "c"),
        result("c"),
        result("a"),
        result("b"),
    ],
    "ids numbered anew each time": [
        HELLO,
        calling("0"),
        result("0"),
        calling("0"),
        result("0"),
    ],
    "a result without content": [HELLO, calling("a"), ToolMessage("", tool_call_id="a")],
    "an invalid call that was answered": [
        HELLO,
        AIMessage(
            "", invalid_tool_calls=[invalid_tool_call(name="f", args="{", id="a", error="cut")]
        ),
        result("a"),
    ],
    "raw calls of another provider": [
        HELLO,
        AIMessage(
            "",
            additional_kwargs={
                "tool_calls": [{"id": "a", "function": {"name": "f", "arguments": "{}"}}]
            },
        ),
        result("a"),
    ],
    "only an image": [HumanMessage([IMAGE])],
    "only a refusal": [HELLO, AIMessage("", additional_kwargs={"refusal": "no"}), HELLO],
    "a refusal block": [HELLO, AIMessage([{"type": "refusal", "refusal": "no"}]), HELLO],
    "only reasoning": [HELLO, AIMessage([{"type": "reasoning", "id": "rs_1"}]), HELLO],
    "reasoning of the oldest form": [
        HELLO,
        AIMessage("", additional_kwargs={"reasoning": {"id": "rs_1"}}),
        HELLO,
    ],
    "spoken answer": [HELLO, AIMessage("", additional_kwargs={"audio": {"id": "audio_1"}}), HELLO],
    "a developer message": [ChatMessage(content="be brief", role="developer"), HELLO],
    "built-in tools": [
        HELLO,
        AIMessage(
            [
                {"type": "web_search_call", "id": "ws_1", "status": "completed"},
                {"type": "mcp_call", "id": "mcp_1"},
                {"type": "text", "text": "found"},
            ]
        ),
        HELLO,
    ],
    "server-side tools in LangChain's form": [
        HELLO,
        AIMessage(
            [
                {"type": "server_tool_call", "id": "ws_1", "name": "web_search", "args": {}},
                {"type": "server_tool_result", "tool_call_id": "ws_1", "status": "success"},
                {"type": "text", "text": "found"},
            ]
        ),
        HELLO,
    ],
    "a call to a computer and its screenshot": [
        HELLO,
        AIMessage([{"type": "computer_call", "id": "cu_1", "call_id": "c1"}]),
        ToolMessage(
            [{"type": "input_image", "image_url": "data:image/png;base64,AA=="}],
            tool_call_id="c1",
            additional_kwargs={"type": "computer_call_output"},
        ),
    ],
    "a hosted shell": [HELLO, AIMessage([{"type": "shell_call", "call_id": "s1"}]), HELLO],
    "calls as items": [
        HELLO,
        calling("a", content=[{"type": "function_call", "call_id": "a", "name": "f", "id": "fc"}]),
        result("a"),
    ],
}


@pytest.mark.parametrize("api", ["chat_completions", "responses"])
@pytest.mark.parametrize("messages", FINE.values(), ids=FINE.keys())
def test_histories_that_the_api_takes_raise_no_alarm(messages: list[BaseMessage], api: Api) -> None:
    assert check_history(messages, "gpt-6-luna", api=api) == []
    assert check_history(messages, api=api) == []


BROKEN: dict[str, tuple[list[BaseMessage], list[str]]] = {
    "call without result": ([HELLO, calling("a"), HELLO], ["tool_call_without_result"]),
    "call at the end": ([HELLO, calling("a")], ["tool_call_without_result"]),
    "one of two results": ([calling("a", "b"), result("a"), HELLO], ["tool_call_without_result"]),
    "result without call": ([HELLO, result("a")], ["tool_result_without_call"]),
    "result first": ([result("a")], ["tool_result_without_call"]),
    "result with another id": (
        [HELLO, calling("a"), result("b")],
        ["tool_call_without_result", "tool_result_without_call"],
    ),
    "two results": ([calling("a"), result("a"), result("a")], ["duplicate_tool_result"]),
    "late second result": (
        [calling("a"), result("a"), HELLO, result("a")],
        ["duplicate_tool_result"],
    ),
    "same id twice": ([calling("a", "a"), result("a")], ["duplicate_tool_call_id"]),
    "no id": ([calling(None)], ["tool_call_without_id"]),
    "empty question": ([HumanMessage("")], ["empty_message"]),
    "empty answer": ([HELLO, AIMessage(""), HELLO], ["empty_message"]),
    "no parts": ([HumanMessage([])], ["empty_message"]),
    "empty parts": ([HumanMessage([{"type": "text", "text": ""}])], ["empty_message"]),
    "empty system message": ([SystemMessage(""), HELLO], ["empty_message"]),
    "unknown role": ([ChatMessage(content="x", role="narrator")], ["invalid_role"]),
    "a mark of LangGraph": ([RemoveMessage(id="1")], ["invalid_role", "empty_message"]),
    "ids used again without an answer": (
        [calling("0"), HELLO, calling("0"), result("0")],
        ["tool_call_without_result"],
    ),
}


@pytest.mark.parametrize(("messages", "expected"), BROKEN.values(), ids=BROKEN.keys())
def test_broken_histories_are_found(messages: list[BaseMessage], expected: list[str]) -> None:
    assert sorted(codes(messages)) == sorted(expected)
    assert sorted(codes(messages, api="responses")) == sorted(expected)


def test_only_chat_completions_wants_results_right_after_the_call() -> None:
    messages = [calling("a", "b"), result("a"), HELLO, result("b")]
    assert codes(messages) == ["tool_result_separated"]
    assert codes(messages, api="responses") == []


def test_a_result_may_answer_a_call_that_the_server_keeps() -> None:
    messages: list[BaseMessage] = [result("a"), result("b")]
    assert codes(messages, api="responses", server_keeps_history=True) == []
    assert codes(messages, api="responses") == ["tool_result_without_call"] * 2


@pytest.mark.parametrize(
    ("block", "model", "code"),
    [
        (IMAGE, "gpt-4", "image_not_supported"),
        (IMAGE, "gpt-3.5-turbo", "image_not_supported"),
        (IMAGE, "gpt-audio", "image_not_supported"),
        (IMAGE, "gpt-oss-120b", "image_not_supported"),
        (AUDIO, "gpt-6-luna", "audio_not_supported"),
        (FILE, "gpt-3.5-turbo", "file_not_supported"),
        (IMAGE, "gpt-6-luna", None),
        (IMAGE, "some-model", None),
        (AUDIO, "gpt-audio", None),
        (FILE, "gpt-4.1", None),
    ],
)
def test_content_that_the_model_cannot_take_is_found(
    block: dict[str, Any], model: str, code: str | None
) -> None:
    messages: list[BaseMessage] = [HumanMessage([{"type": "text", "text": "look"}, block])]
    assert codes(messages, model) == ([] if code is None else [code])


def test_json_messages_are_read_as_well() -> None:
    call = {"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    good: list[dict[str, Any]] = [
        {"role": "user", "content": "hello"},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "a", "content": ""},
    ]
    assert check_history(good) == []
    assert [each.code for each in check_history(good[:2])] == ["tool_call_without_result"]
    assert [each.code for each in check_history(good[2:])] == ["tool_result_without_call"]
    assert [each.code for each in check_history([{"role": "user", "content": None}])] == [
        "empty_message"
    ]


def test_input_items_are_read_as_well() -> None:
    good: list[dict[str, Any]] = [
        {"role": "user", "content": [{"type": "input_text", "text": "hello"}]},
        {"type": "reasoning", "id": "rs_1", "summary": []},
        {"type": "function_call", "call_id": "a", "name": "f", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "a", "output": "x"},
        {"type": "item_reference", "id": "x"},
    ]
    assert check_history(good, api="responses") == []
    found = check_history([*good[:3], *good[4:]], api="responses")
    assert [each.code for each in found] == ["tool_call_without_result"]


def test_a_problem_says_where_what_and_the_way_out() -> None:
    (problem,) = check_history([HELLO, result("call_1")])
    assert problem.index == 1
    text = str(problem)
    assert "messages[1]" in text
    assert "call_1" in text
    assert "remove the result" in text


def test_what_is_no_message_is_named_and_not_stumbled_over() -> None:
    (problem,) = check_history([3])  # type: ignore[list-item]  # bad input on purpose
    assert (problem.code, "int" in problem.message) == ("invalid_role", True)
