"""Exact counts: what is asked of the API's input-token endpoint, and what comes back."""

from __future__ import annotations

import asyncio
import inspect
from typing import Any

import httpx2
import openai
import pytest
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage, ToolMessage
from mock_api import MockAPI
from pydantic import BaseModel

from langchain_tamma_openai import ChatTammaOpenAI
from langchain_tamma_openai.errors import (
    AuthenticationError,
    ConfigurationError,
    InvalidToolError,
    MalformedResponseError,
)
from langchain_tamma_openai.tokens import TokenCount, TokenCounter

Json = dict[str, Any]
COUNTED: Json = {"object": "response.input_tokens", "input_tokens": 1234}
CALL = {"name": "add", "args": {"a": 1}, "id": "call_1", "type": "tool_call"}
CONVERSATION = [
    SystemMessage("Be brief."),
    HumanMessage([{"type": "text", "text": "1 + 1?"}]),
    AIMessage("", tool_calls=[CALL]),
    ToolMessage("2", tool_call_id="call_1"),
]


class Sum(BaseModel):
    """A sum."""

    total: int


def add(a: int) -> int:
    """Add one."""
    return a + 1


def count(llm: ChatTammaOpenAI, **kwargs: Any) -> int:
    return llm.get_num_tokens_from_messages(CONVERSATION, exact=True, **kwargs)


def acount(llm: ChatTammaOpenAI, **kwargs: Any) -> int:
    counting = llm.aget_num_tokens_from_messages(CONVERSATION, exact=True, **kwargs)
    return asyncio.run(counting)


@pytest.mark.parametrize("ask", [count, acount])
def test_the_api_is_asked_about_the_whole_request(ask: Any) -> None:
    api = MockAPI(COUNTED)
    llm = api.tamma(model="gpt-6.1-sol")
    counted = ask(llm, tools=[add], tool_choice="add", response_format=Sum)
    assert counted == 1234
    assert isinstance(counted, TokenCount)
    assert not counted.estimated
    assert str(api.requests[0].url).endswith("/v1/responses/input_tokens")
    body = api.bodies[0]
    assert body["model"] == "gpt-6.1-sol"
    assert [item.get("type", item.get("role")) for item in body["input"]] == [
        "message",
        "message",
        "function_call",
        "function_call_output",
    ]
    assert body["tools"][0]["name"] == "add"
    assert body["tool_choice"] == {"type": "function", "name": "add"}
    assert body["text"]["format"]["name"] == "Sum"
    assert set(body) <= set(
        inspect.signature(openai.OpenAI(api_key="x").responses.input_tokens.count).parameters
    )


@pytest.mark.parametrize("ask", [count, acount])
def test_a_plain_conversation_sends_nothing_else(ask: Any) -> None:
    api = MockAPI(COUNTED)
    ask(api.tamma())
    assert set(api.bodies[0]) == {"model", "input"}


@pytest.mark.parametrize("ask", [count, acount])
def test_failures_of_the_api_are_typed(ask: Any) -> None:
    error = {"message": "Incorrect API key provided", "code": "invalid_api_key", "type": "x"}
    api = MockAPI(httpx2.Response(401, json={"error": error}))
    with pytest.raises(AuthenticationError):
        ask(api.tamma())


@pytest.mark.parametrize("ask", [count, acount])
@pytest.mark.parametrize("body", [{}, {"input_tokens": None}, {"input_tokens": -1}])
def test_an_answer_without_a_count_is_an_error(ask: Any, body: Json) -> None:
    with pytest.raises(MalformedResponseError, match="does not say"):
        ask(MockAPI(body).tamma())


def test_a_client_or_a_model_can_be_asked() -> None:
    api = MockAPI(COUNTED)
    llm = api.tamma()
    counter = TokenCounter()
    messages: list[Json] = [{"role": "user", "content": "hello"}]
    for client in (llm, llm.root_client):
        assert counter.count_messages(messages, "gpt-4o", exact=True, client=client) == 1234
    for client in (llm, llm.root_async_client):
        counting = counter.acount_messages(messages, "gpt-4o", exact=True, client=client)
        assert asyncio.run(counting) == 1234
    assert {body["model"] for body in api.bodies} == {"gpt-4o"}


def test_without_a_client_one_is_made_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.delenv("OPENAI_ADMIN_KEY", raising=False)
    with pytest.raises(ConfigurationError, match="client="):
        TokenCounter().count_messages(["hello"], "gpt-4o", exact=True)
    with pytest.raises(ConfigurationError, match="client="):
        asyncio.run(TokenCounter().acount_messages(["hello"], "gpt-4o", exact=True))


def test_what_is_no_client_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"client: got a str.*openai\.OpenAI"):
        TokenCounter().count_messages(["hello"], "gpt-4o", exact=True, client="me")


def test_nothing_is_asked_unless_wanted() -> None:
    api = MockAPI(COUNTED)
    llm = api.tamma(model="gpt-4o")
    counted = llm.get_num_tokens_from_messages([HumanMessage("hello")])
    assert counted == 8
    assert asyncio.run(llm.aget_num_tokens_from_messages([HumanMessage("hello")])) == 8
    assert asyncio.run(TokenCounter().acount_messages(["hello"], "gpt-4o")) == 8
    assert api.requests == []


def test_the_models_counts_take_tool_choice_and_response_format() -> None:
    llm = MockAPI().tamma(model="gpt-4o")
    messages: list[BaseMessage] = [HumanMessage("hello")]
    plain = llm.get_num_tokens_from_messages(messages, [add])
    forced = llm.get_num_tokens_from_messages(messages, [add], tool_choice="add")
    assert forced == plain + 7 + 1
    assert llm.get_num_tokens_from_messages(messages, [add], tool_choice="any") == plain
    formatted = llm.get_num_tokens_from_messages(messages, response_format=Sum)
    assert formatted > llm.get_num_tokens_from_messages(messages)
    schema = Sum.model_json_schema()
    assert llm.get_num_tokens_from_messages(messages, response_format=schema) > 8
    with pytest.raises(InvalidToolError, match="nothing"):
        llm.get_num_tokens_from_messages(messages, [add], tool_choice="nothing")
