"""Calls on the Responses API: what is sent, structured answers, several turns, and errors."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest
from background_api import EVENTS, numbered, response
from langchain.agents import create_agent
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.messages import AIMessage, AnyMessage, HumanMessage, SystemMessage, ToolMessage
from langchain_core.outputs import LLMResult
from langchain_core.utils._gateway import GATEWAY_METADATA_HEADER, GATEWAY_METADATA_RESPONSE_KEY
from langchain_openai import ChatOpenAI
from mock_api import Json, MockAPI, Way, stream_reply
from responses_api import (
    answered,
    every_way,
    function_call,
    model_of,
    plain_ways,
    reasoning,
    serving,
    stream_ways,
    streamed,
    text_message,
    written_all,
)

from langchain_tamma_openai import ChatTammaOpenAI
from langchain_tamma_openai.errors import (
    ContextOverflowError,
    InvalidParameterError,
    MalformedResponseError,
    QuotaExceededError,
    RateLimitError,
    ServerError,
    StreamInterruptedError,
    TammaError,
)
from langchain_tamma_openai.resilience.retry import no_waiting

# --- what is sent ---

CLASSES: tuple[Any, Any] = (ChatOpenAI, ChatTammaOpenAI)

HELLO = text_message("Hello")
SETTINGS: dict[str, Json] = {
    "store": {"store": False},
    "include": {"include": ["reasoning.encrypted_content"]},
    "truncation": {"truncation": "auto"},
    "reasoning": {"reasoning": {"effort": "low", "summary": "auto"}},
    "reasoning_effort": {"reasoning_effort": "high"},
    "verbosity": {"verbosity": "low"},
    "context_management": {
        "context_management": [{"type": "compaction", "compact_threshold": 9000}]
    },
    "prompt_cache_options": {"prompt_cache_options": {"mode": "auto", "ttl": "12h"}},
    "service_tier": {"service_tier": "flex"},
    "max_tokens": {"max_tokens": 7},
    "temperature": {"temperature": 0.5},
    "top_p": {"top_p": 0.5},
    "top_logprobs": {"top_logprobs": 2},
    "stop": {"stop": ["x"]},
    "extra_body": {"extra_body": {"odd": {"x": 1}}},
    "model_kwargs": {"model_kwargs": {"safety_identifier": "u1", "max_tool_calls": 3}},
    "gpt-5 temperature": {"model": "gpt-5-nano", "reasoning_effort": "low"},
    "streaming": {"streaming": True},
}
CALLS: dict[str, Json] = {
    "conversation": {"conversation": "conv_1"},
    "previous_response_id": {"previous_response_id": "resp_0"},
    "safety_identifier": {"safety_identifier": "u1"},
    # `metadata=` of a call is LangChain's own; OpenAI's goes with the body.
    "metadata": {"extra_body": {"metadata": {"a": "b"}}},
    "max_tool_calls": {"max_tool_calls": 2},
    "parallel_tool_calls": {"parallel_tool_calls": False},
    "prompt_cache_key": {"prompt_cache_key": "k"},
    "prompt_cache_retention": {"prompt_cache_retention": "24h"},
    "instructions": {"instructions": "Be brief."},
    "prompt": {"prompt": {"id": "pmpt_1"}},
    "text": {"text": {"verbosity": "high"}},
    "user": {"user": "u"},
    "max_completion_tokens": {"max_completion_tokens": 9},
    "reasoning": {"reasoning": {"effort": "none", "context": "auto"}},
    "stream_options": {"stream_options": {"include_obfuscation": False}},
    "web search": {"tools": [{"type": "web_search", "search_context_size": "low"}]},
    "image generation": {"tools": [{"type": "image_generation"}]},
    "tool choice": {
        "tools": [{"type": "function", "function": {"name": "f", "parameters": {}}}],
        "tool_choice": {"type": "function", "function": {"name": "f"}},
    },
    "extra_body": {"extra_body": {"odd": 1}},
    "json mode": {"response_format": {"type": "json_object"}},
}


def sent_by(model_class: Any, call: Json, way: Way, fields: Json) -> Json:
    api = serving(answered(HELLO))
    fields = {"use_responses_api": True, **fields}
    if model_class is ChatOpenAI:
        fields["stream_usage"] = True
    way(api.model(model_class, **fields), "hi", **call)
    return api.bodies[0]


@every_way
@pytest.mark.parametrize("name", SETTINGS)
def test_settings_go_out_as_chat_openai_sends_them(name: str, way: Way) -> None:
    ours = sent_by(ChatTammaOpenAI, {}, way, SETTINGS[name])
    assert ours == sent_by(ChatOpenAI, {}, way, SETTINGS[name])
    assert ours["input"]


@every_way
@pytest.mark.parametrize("name", CALLS)
def test_parameters_of_a_call_go_out_as_chat_openai_sends_them(name: str, way: Way) -> None:
    ours = sent_by(ChatTammaOpenAI, CALLS[name], way, {})
    assert ours == sent_by(ChatOpenAI, CALLS[name], way, {})


@pytest.mark.parametrize("name", [*SETTINGS, *CALLS])
def test_the_request_payload_is_that_of_chat_openai(name: str) -> None:
    fields = SETTINGS.get(name, {"model": "gpt-6-luna"})
    call = {} if name in SETTINGS else CALLS[name]
    payloads = []
    for model_class in CLASSES:
        model = MockAPI().model(model_class, use_responses_api=True, **fields)
        payloads.append(model._get_request_payload("hi", **call))
    assert payloads[1] == payloads[0]


def test_effort_joins_other_reasoning_options_which_chat_openai_cannot_send() -> None:
    api = serving(answered(HELLO))
    model_of(api, reasoning={"summary": "auto"}, reasoning_effort="low").invoke("hi")
    assert api.bodies[0]["reasoning"] == {"effort": "low", "summary": "auto"}
    with pytest.raises(TypeError, match="reasoning_effort"):
        api.model(ChatOpenAI, reasoning={"summary": "auto"}, reasoning_effort="low").invoke("hi")


@every_way
def test_headers_query_and_timeout_of_a_call_reach_the_wire(way: Way) -> None:
    api = serving(answered(HELLO))
    options: Json = {"extra_headers": {"x-a": "1"}, "extra_query": {"q": "2"}, "timeout": (1, 9)}
    way(model_of(api, default_headers={"x-b": "3"}), "hi", **options)
    request = api.requests[0]
    assert (request.headers["x-a"], request.headers["x-b"]) == ("1", "3")
    assert request.url.params["q"] == "2"
    assert request.extensions["timeout"]["connect"] == 1
    assert request.extensions["timeout"]["read"] == 9


@every_way
@pytest.mark.parametrize(
    ("fields", "call", "name"),
    [
        ({}, {"temprature": 1}, "temprature"),
        ({}, {"n": 2}, "n"),
        ({"seed": 1}, {}, "seed"),
        ({"presence_penalty": 1.0}, {}, "presence_penalty"),
        ({"logit_bias": {1: 2}}, {}, "logit_bias"),
        ({"logprobs": True}, {}, "logprobs"),
    ],
)
def test_a_parameter_the_api_lacks_is_refused_before_sending(
    fields: Json, call: Json, name: str, way: Way
) -> None:
    api = serving(answered(HELLO))
    with pytest.raises(TypeError, match=name) as caught:
        way(model_of(api, **fields), "hi", **call)
    assert isinstance(caught.value, InvalidParameterError)
    assert "Responses API" in str(caught.value)
    assert api.requests == []


@every_way
def test_an_empty_conversation_is_refused_before_sending(way: Way) -> None:
    api = serving(answered(HELLO))
    with pytest.raises(InvalidParameterError, match="messages"):
        way(model_of(api), [])
    assert api.requests == []


@pytest.mark.parametrize("name", ["previous_response_id", "conversation", "prompt"])
def test_no_message_is_needed_where_the_server_has_some(name: str) -> None:
    api = serving(answered(HELLO))
    given: Json = {name: "x"}
    assert model_of(api).invoke([], **given).text == "Hello"
    assert api.bodies[0] == {"model": "gpt-6-luna", "stream": False, name: "x", "input": []}


@pytest.mark.parametrize("value", [object(), float, {1, 2}])
def test_a_value_that_is_no_json_is_named(value: object) -> None:
    api = serving(answered(HELLO))
    with pytest.raises(InvalidParameterError, match="prompt"):
        model_of(api).invoke("hi", prompt={"a": value})
    assert api.requests == []


def test_a_configuration_update_in_a_message_starts_there() -> None:
    update = {"type": "configuration_update", "reasoning": {"effort": "high"}}
    messages = [
        HumanMessage("one"),
        AIMessage("two"),
        HumanMessage([update, {"type": "text", "text": "three"}]),
    ]
    payloads = [
        MockAPI().model(model_class, use_responses_api=True)._get_request_payload(messages)
        for model_class in CLASSES
    ]
    assert payloads[1] == payloads[0]
    assert update in payloads[1]["input"]


# --- several turns ---


@pytest.mark.parametrize("version", [None, "v0", "responses/v1", "v1"])
@pytest.mark.parametrize(
    "fields", [{}, {"store": False, "include": ["reasoning.encrypted_content"]}], ids=str
)
@every_way
def test_reasoning_comes_back_with_the_next_request(
    fields: Json, version: str | None, way: Way
) -> None:
    first = answered(
        reasoning(encrypted_content="gAAA"), function_call("add", '{"a": 1}'), reasoning(2), HELLO
    )
    inputs = []
    for model_class in (ChatOpenAI, ChatTammaOpenAI):
        api = serving(first, answered(HELLO))
        model = api.model(model_class, use_responses_api=True, output_version=version, **fields)
        history: list[AnyMessage] = [HumanMessage("hi")]
        history += [way(model, history), ToolMessage("2", tool_call_id="call_1")]
        way(model, history)
        inputs.append(api.bodies[1]["input"])
    assert inputs[1] == inputs[0]
    assert [item for item in inputs[1] if item.get("type") == "function_call_output"]


@every_way
def test_only_what_is_new_goes_out_beside_the_id_of_the_last_answer(way: Way) -> None:
    api = serving(answered(HELLO), answered(HELLO))
    model = model_of(api, use_previous_response_id=True)
    history: list[AnyMessage] = [SystemMessage("Be kind."), HumanMessage("hi")]
    history += [way(model, history), HumanMessage("and now?")]
    way(model, history)
    first, second = api.bodies
    assert "previous_response_id" not in first
    assert second["previous_response_id"] == "resp_1"
    assert [item["content"] for item in second["input"]] == ["and now?"]


def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


@pytest.mark.parametrize("version", [None, "v0", "responses/v1", "v1"])
@pytest.mark.parametrize("previous", [False, True])
def test_an_agent_runs_its_tools_and_keeps_its_reasoning(
    *, version: str | None, previous: bool
) -> None:
    api = serving(
        answered(reasoning(), function_call("add", '{"a": 1, "b": 2}'), id="resp_1"),
        answered(text_message("It is 3."), id="resp_2"),
    )
    model = model_of(api, output_version=version, use_previous_response_id=previous)
    agent = create_agent(model, [add], system_prompt="Calculate.")
    state = agent.invoke({"messages": [HumanMessage("1 + 2?")]})
    assert [message.type for message in state["messages"]] == ["human", "ai", "tool", "ai"]
    assert state["messages"][-1].text == "It is 3."
    second = api.bodies[1]
    kinds = [item.get("type", item.get("role")) for item in second["input"]]
    if previous:
        assert second["previous_response_id"] == "resp_1"
        assert kinds == ["function_call_output"]
    else:
        assert kinds == ["message", "message", "reasoning", "function_call", "function_call_output"]
    assert second["input"][-1]["output"] == "3"


def test_an_agent_streams_its_steps() -> None:
    api = serving(
        answered(reasoning(), function_call("add", '{"a": 1, "b": 2}'), id="resp_1"),
        answered(text_message("It is 3."), id="resp_2"),
    )
    agent = create_agent(model_of(api), [add])
    asked: Any = {"messages": [HumanMessage("1 + 2?")]}
    streamed_parts: Any = agent.stream(asked, stream_mode="messages")
    parts = [part for part, _ in streamed_parts]
    texts = [part.text for part in parts if part.type == "AIMessageChunk"]
    assert "".join(texts) == "It is 3."
    assert [body["stream"] for body in api.bodies] == [True, True]


# --- errors ---

FAILED = [
    ({"code": "server_error", "message": "It broke."}, ServerError),
    ({"code": "rate_limit_exceeded", "message": "Too many."}, RateLimitError),
    ({"code": "context_length_exceeded", "message": "Too long."}, ContextOverflowError),
    ({"code": "credit_balance_exhausted", "type": "insufficient_quota", "message": "Empty."},
     QuotaExceededError),
]  # fmt: skip


@plain_ways
@pytest.mark.parametrize(("error", "leaf"), FAILED)
def test_a_failed_answer_is_an_error_with_its_code(
    error: Json, leaf: type[TammaError], way: Way
) -> None:
    api = serving(answered(status="failed", error=error))
    with pytest.raises(leaf, match=error["message"]) as caught:
        way(model_of(api), "hi")
    assert caught.value.code == error["code"]


@plain_ways
def test_a_failed_answer_without_a_reason_is_an_error_too(way: Way) -> None:
    with pytest.raises(ServerError, match="resp_1 failed"):
        way(model_of(serving(answered(status="failed"))), "hi")


def breaking(*last: Json, after: int = 4) -> MockAPI:
    events = streamed(answered(text_message("Hello")))[:after]
    return MockAPI(lambda _body: stream_reply(written_all(numbered([*events, *last]))))


def flat(error: Json) -> Json:
    return {"type": "error", "param": None, **{k: v for k, v in error.items() if k != "type"}}


def nested(error: Json) -> Json:
    return {"type": "error", "error": {**error, "headers": {"x-ratelimit-limit-requests": "1"}}}


def failed(error: Json) -> Json:
    return {"type": "response.failed", "response": response("failed", error=error, output=[])}


@stream_ways
@pytest.mark.parametrize("shape", [flat, nested, failed])
@pytest.mark.parametrize("error", [error for error, _ in FAILED])
def test_an_error_within_a_stream_keeps_its_code_and_what_came(
    shape: Any, error: Json, way: Way
) -> None:
    with pytest.raises(StreamInterruptedError, match=error["message"]) as caught:
        way(model_of(breaking(shape(error))), "hi")
    assert caught.value.code == error["code"]
    assert caught.value.partial is not None
    assert caught.value.partial.text == "He"
    assert caught.value.delivered
    assert not caught.value.retryable


@stream_ways
def test_an_error_as_the_first_event_is_an_error_that_may_be_tried_again(way: Way) -> None:
    error = {"code": "server_error", "message": "It broke."}
    with pytest.raises(StreamInterruptedError) as caught:
        way(model_of(breaking(flat(error), after=0)), "hi")
    assert caught.value.partial is None
    assert caught.value.retryable


@stream_ways
@pytest.mark.parametrize("after", range(1, 9))
def test_a_stream_that_ends_without_a_last_event_is_an_error(way: Way, after: int) -> None:
    assert len(streamed(answered(text_message("Hello")))) == 10
    with pytest.raises(StreamInterruptedError, match="why it stopped") as caught:
        way(model_of(breaking(after=after)), "hi")
    assert caught.value.partial is not None
    assert caught.value.partial.text == "Hello"[: max(0, after - 2)]


@stream_ways
def test_a_stream_without_any_event_is_an_error(way: Way) -> None:
    with pytest.raises(StreamInterruptedError):
        way(model_of(MockAPI(lambda _body: stream_reply(b""))), "hi")


@stream_ways
@pytest.mark.parametrize(
    "odd",
    [b'{"type": "response.output_text', b"[1]", b"<html>", b"\xff", b'{"type": ["x"]}',
     b'{"type": "response.output_text.delta", "sequence_number": "x"}'],
)  # fmt: skip
def test_an_event_that_cannot_be_read_is_an_error_with_what_came(way: Way, odd: bytes) -> None:
    begun = written_all(streamed(answered(text_message("Hello")))[:4])
    api = MockAPI(lambda _body: stream_reply(begun + b"data: " + odd + b"\n\n"))
    with pytest.raises(StreamInterruptedError, match="cannot be read") as caught:
        way(model_of(api), "hi")
    assert caught.value.partial is not None
    assert caught.value.partial.text == "He"


@every_way
def test_an_incomplete_answer_says_why(way: Way) -> None:
    details = {"reason": "max_output_tokens"}
    whole = answered(text_message("Hel"), status="incomplete", incomplete_details=details)
    answer = way(model_of(serving(whole)), "hi")
    assert answer.text == "Hel"
    assert answer.response_metadata["status"] == "incomplete"
    assert answer.response_metadata["incomplete_details"] == details
    assert answer.response_metadata["cost"]["total_usd"] is not None


@every_way
def test_a_cut_tool_call_is_never_run(way: Way) -> None:
    details = {"reason": "max_output_tokens"}
    whole = answered(
        function_call("add", '{"a": 1'), status="incomplete", incomplete_details=details
    )
    answer = way(model_of(serving(whole)), "hi")
    assert answer.tool_calls == []
    assert [call["args"] for call in answer.invalid_tool_calls] == ['{"a": 1']


@plain_ways
@pytest.mark.parametrize(
    "body",
    [b"<html>busy</html>", b"[]", b'{"object": "list"}', b'{"output": [1]}', b'{"output": null}',
     b"", b'{"id": "x", "choices": []}'],
)  # fmt: skip
def test_a_body_that_is_no_response_is_a_typed_error(way: Way, body: bytes) -> None:
    api = MockAPI(httpx2.Response(200, content=body, headers={"content-type": "application/json"}))
    with pytest.raises(MalformedResponseError):
        way(model_of(api), "hi")


@every_way
def test_busy_servers_are_asked_again(way: Way) -> None:
    busy = httpx2.Response(503, json={"error": {"message": "busy"}})
    good = serving(answered(HELLO)).replies[0]
    api = MockAPI(busy, busy, good)
    with no_waiting():
        assert way(model_of(api, max_retries=2), "hi").text == "Hello"
    assert len(api.requests) == 3


@every_way
def test_response_headers_are_kept_where_asked_for(way: Way) -> None:
    good = serving(answered(HELLO)).replies[0]

    def reply(body: Json) -> httpx2.Response:
        given: httpx2.Response = good(body)
        given.headers["x-request-id"] = "req_7"
        return given

    answer = way(model_of(MockAPI(reply), include_response_headers=True), "hi")
    assert answer.response_metadata["headers"]["x-request-id"] == "req_7"


def test_the_events_of_this_file_are_those_of_the_server() -> None:
    kinds = {event["type"] for event in EVENTS}
    assert {event["type"] for event in streamed(answered(HELLO))} <= kinds


class Infos(BaseCallbackHandler):
    """Keeps what tracers read beside the answers."""

    def __init__(self) -> None:
        self.infos: list[Any] = []

    def on_llm_end(self, response: LLMResult, **_kwargs: Any) -> None:
        self.infos.append(response.generations[0][0].generation_info)


@every_way
def test_what_the_gateway_says_reaches_the_tracer(way: Way) -> None:
    good = serving(answered(HELLO)).replies[0]

    def reply(body: Json) -> httpx2.Response:
        given: httpx2.Response = good(body)
        given.headers[GATEWAY_METADATA_HEADER] = '{"policy": "p1"}'
        return given

    told = []
    for model_class in CLASSES:
        infos = Infos()
        model = MockAPI(reply).model(
            model_class, use_responses_api=True, api_key="lsv2_x", base_url="https://gw.example/v1"
        )
        way(model, "hi", config={"callbacks": [infos]})
        told.append((infos.infos[0] or {}).get(GATEWAY_METADATA_RESPONSE_KEY))
    assert told == [{"policy": "p1"}] * 2
