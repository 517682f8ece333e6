"""Histories are repaired on a copy, every repair is recorded, and the policy decides."""

from __future__ import annotations

import logging
from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from langchain_core.messages import (
    AIMessage,
    BaseMessage,
    ChatMessage,
    HumanMessage,
    SystemMessage,
    ToolMessage,
)
from langchain_core.messages.tool import invalid_tool_call, tool_call

from langchain_tamma_openai.errors import ConfigurationError, InvalidParameterError
from langchain_tamma_openai.history import check_history
from langchain_tamma_openai.history_repair import NO_RESULT, HistoryChecker, repair_history
from langchain_tamma_openai.parameters import Api

HELLO = HumanMessage("hello")
IMAGE = {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}


def calling(*ids: str | None) -> AIMessage:
    return AIMessage("", tool_calls=[tool_call(name="f", args={}, id=each) for each in ids])


def result(call_id: str) -> ToolMessage:
    return ToolMessage("done", tool_call_id=call_id)


def shape(messages: list[BaseMessage]) -> list[str]:
    return [
        f"{message.type} {message.tool_call_id}"
        if isinstance(message, ToolMessage)
        else message.type
        for message in messages
    ]


@pytest.mark.parametrize(
    ("messages", "expected"),
    [
        ([HELLO, calling("a"), HELLO], ["human", "ai", "tool a", "human"]),
        ([HELLO, calling("a", "b"), result("b")], ["human", "ai", "tool a", "tool b"]),
        ([HELLO, result("a")], ["human"]),
        ([calling("a"), result("a"), result("a"), HELLO], ["ai", "tool a", "human"]),
        ([calling("a"), HELLO, result("a")], ["ai", "tool a", "human"]),
        ([HELLO, AIMessage(""), HELLO], ["human", "human"]),
        ([SystemMessage(""), HELLO], ["human"]),
        ([SystemMessage("be brief"), HumanMessage("")], ["system", "human"]),
        ([calling(None), ToolMessage("x", tool_call_id="")], ["ai", "tool call_0_0"]),
        ([calling("a", "a"), result("a")], ["ai", "tool call_0_0", "tool a"]),
        ([HELLO, calling("a"), AIMessage(""), HELLO], ["human", "ai", "tool a", "human"]),
    ],
)
def test_repairs_make_the_history_one_that_the_api_takes(
    messages: list[BaseMessage], expected: list[str]
) -> None:
    before = deepcopy(messages)
    mended, repairs = repair_history(messages)
    assert shape(mended) == expected
    assert messages == before
    assert bool(repairs) == (shape(before) != expected)
    assert [each for each in check_history(mended) if each.severity == "error"] == []


def test_a_missing_result_is_an_error_that_the_model_can_read() -> None:
    mended, (repair,) = repair_history([HELLO, calling("a"), HELLO])
    assert mended[2] == ToolMessage(NO_RESULT, tool_call_id="a", name="f", status="error")
    assert repair.as_metadata() == {
        "index": 1,
        "code": "tool_call_without_result",
        "action": "added an error as the result of tool call 'a'",
    }


def test_an_invalid_call_without_an_answer_gets_one() -> None:
    call = invalid_tool_call(name="f", args="{", id="a", error="cut")
    mended, _ = repair_history([HELLO, AIMessage("", invalid_tool_calls=[call]), HELLO])
    assert shape(mended) == ["human", "ai", "tool a", "human"]


def test_an_image_for_a_model_that_cannot_see_becomes_a_line_of_text() -> None:
    messages: list[BaseMessage] = [HumanMessage([{"type": "text", "text": "look"}, IMAGE])]
    mended, (repair,) = repair_history(messages, "gpt-4")
    assert mended[0].content == [
        {"type": "text", "text": "look"},
        {"type": "text", "text": "[image left out: gpt-4 cannot take it]"},
    ]
    assert repair.code == "image_not_supported"
    assert repair_history(messages, "gpt-6-luna") == (messages, [])


def test_repairs_tell_the_place_in_the_history_as_it_was_given() -> None:
    _, repairs = repair_history([AIMessage(""), HELLO, calling("a"), HELLO, result("b")])
    assert [(each.index, each.code) for each in repairs] == [
        (0, "empty_message"),
        (2, "tool_call_without_result"),
        (4, "tool_result_without_call"),
    ]


def test_a_result_of_a_call_that_the_server_keeps_stays() -> None:
    messages: list[BaseMessage] = [result("a")]
    mended, repairs = repair_history(messages, api="responses", server_keeps_history=True)
    assert (mended, repairs) == (messages, [])


_MESSAGE: st.SearchStrategy[BaseMessage] = st.one_of(
    st.sampled_from([HELLO, AIMessage("hi"), AIMessage(""), HumanMessage(""), SystemMessage("s")]),
    st.lists(st.sampled_from(["a", "b", "c", None]), min_size=1, max_size=3).map(
        lambda ids: calling(*ids)
    ),
    st.sampled_from(["a", "b", "c", ""]).map(result),
)


@settings(deadline=None)
@given(st.lists(_MESSAGE, max_size=8), st.sampled_from(["chat_completions", "responses"]))
def test_any_history_of_known_roles_can_be_repaired(messages: list[BaseMessage], api: Api) -> None:
    before = deepcopy(messages)
    mended, repairs = repair_history(messages, api=api)
    assert messages == before
    assert [each for each in check_history(mended, api=api) if each.severity == "error"] == []
    said = [each.content for each in messages if isinstance(each, HumanMessage) and each.content]
    kept = [each.content for each in mended if isinstance(each, HumanMessage) and each.content]
    assert said == kept
    again, more = repair_history(mended, api=api)
    assert (again, more) == (mended, [])
    assert bool(repairs) or mended == messages


def test_strict_refuses_and_names_every_problem() -> None:
    checker = HistoryChecker("strict")
    with pytest.raises(InvalidParameterError) as caught:
        checker.apply([HELLO, result("a"), calling("b")])
    text = str(caught.value)
    assert "messages[1]" in text
    assert "messages[2]" in text
    assert caught.value.param == "messages"


def test_repair_sends_a_repaired_copy_and_logs_it(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        applied = HistoryChecker("repair").apply([HELLO, calling("a"), HELLO])
    assert shape(applied.messages) == ["human", "ai", "tool a", "human"]
    assert len(applied.repairs) == 1
    assert "tool call 'a'" in caplog.text


def test_repair_refuses_what_it_cannot_mend() -> None:
    with pytest.raises(InvalidParameterError, match="narrator"):
        HistoryChecker("repair").apply([ChatMessage(content="x", role="narrator")])


def test_repair_leaves_alone_what_openai_takes() -> None:
    only: list[BaseMessage] = [HumanMessage("")]
    applied = HistoryChecker("repair").apply(only)
    assert (applied.messages, applied.repairs) == (only, ())


@pytest.mark.parametrize("policy", ["strict", "repair", "off"])
def test_a_good_history_passes_as_it_is(policy: Any) -> None:
    messages = [HELLO, calling("a"), result("a")]
    applied = HistoryChecker(policy).apply(messages, "gpt-6-luna")
    assert all(a is b for a, b in zip(applied.messages, messages, strict=True))
    assert applied.repairs == ()


def test_off_sends_everything() -> None:
    broken: list[BaseMessage] = [result("a")]
    assert HistoryChecker("off").apply(broken).messages == broken


def test_an_unknown_policy_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="history_policy"):
        HistoryChecker("fix")  # type: ignore[arg-type]  # bad input on purpose
