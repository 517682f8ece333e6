"""Odd servers: an answer or a typed error, never a raw `AttributeError`, whatever they send."""

from __future__ import annotations

import gzip
import json
from typing import Any

import httpx2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mock_api import (
    ALL_WAYS,
    PLAIN_WAYS,
    STREAM_WAYS,
    Json,
    MockAPI,
    Way,
    chunk,
    completion,
    sse,
    stream_once,
    stream_reply,
    text_events,
)

from langchain_tamma_openai import ServerError, StreamInterruptedError, TammaError
from langchain_tamma_openai.errors import MalformedResponseError, RateLimitError

plain_ways = pytest.mark.parametrize("way", PLAIN_WAYS.values(), ids=PLAIN_WAYS)
stream_ways = pytest.mark.parametrize("way", STREAM_WAYS.values(), ids=STREAM_WAYS)
all_ways = pytest.mark.parametrize("way", ALL_WAYS.values(), ids=ALL_WAYS)
END = [chunk({"content": "Hi"}), chunk({}, "stop")]


def reply(content: bytes | Json | list[Any], kind: str = "application/json", **more: str) -> Any:
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    headers = {"content-type": kind, **{name.replace("_", "-"): more[name] for name in more}}
    return lambda _sent: httpx2.Response(200, content=body, headers=headers)


def answer(**message: Any) -> Json:
    return completion(choices=[{"index": 0, "message": message, "finish_reason": "stop"}])


def calling(**function: Any) -> Json:
    call = {"id": "c1", "type": "function", "function": {"name": "f", **function}}
    return answer(content=None, tool_calls=[call])


# --- bodies that are no answer ---

NO_ANSWER: dict[str, bytes | Json | list[Any]] = {
    "html": b"<html><title>502 Bad Gateway</title></html>",
    "nothing": b"",
    "white space": b" \n",
    "bytes": b"\xff\xfe\x00\x01",
    "cut JSON": b'{"choices": [{"index": 0, "mess',
    "a list": [],
    "a number": b"1",
    "null": b"null",
    "null choices": completion(choices=None),
    "no choices": completion(choices=[]),
    "choices are an object": completion(choices={}),
    "choices are text": completion(choices="x"),
    "null choice": completion(choices=[None]),
    "text choice": completion(choices=["x"]),
    "choices missing": {"id": "x", "detail": "not found"},
    "message is text": completion(choices=[{"index": 0, "message": "Hi"}]),
    "content is a number": answer(content=5),
    "content is an object": answer(content={"a": 1}),
    "content holds null": answer(content=[None]),
    "tool calls are text": answer(content="Hi", tool_calls="x"),
    "tool call is null": answer(content="Hi", tool_calls=[None]),
    "tool call is text": answer(content="Hi", tool_calls=["x"]),
    "function is text": answer(content="Hi", tool_calls=[{"id": "c", "function": "f"}]),
    "function name is a number": calling(name=5, arguments="{}"),
    "custom tool is text": answer(content="Hi", tool_calls=[{"id": "c", "custom": "x"}]),
    "legacy function is text": answer(content="Hi", function_call="f"),
}


@plain_ways
@pytest.mark.parametrize("name", NO_ANSWER)
def test_body_that_is_no_answer(name: str, way: Way) -> None:
    api = MockAPI(reply(NO_ANSWER[name]))
    with pytest.raises(MalformedResponseError) as caught:
        way(api.tamma(), "Hi")
    assert str(caught.value).startswith("The server answered 200 with ")
    assert isinstance(caught.value, ValueError)
    assert len(api.requests) == 1


def test_error_shows_the_page_the_type_and_the_remedy() -> None:
    with pytest.raises(MalformedResponseError) as caught:
        MockAPI(reply(b"<html>" + b"x" * 5000, "text/html")).tamma().invoke("Hi")
    assert "<html>xxx" in str(caught.value)
    assert "text/html" in str(caught.value)
    assert "base_url" in str(caught.value)
    assert len(str(caught.value)) < 600


@stream_ways
@pytest.mark.parametrize(
    "page", [b"<html>502</html>", b"[1, 2, 3]", b"Bad gateway", b"\xff\xfe\x00ab"]
)
def test_page_instead_of_a_stream(page: bytes, way: Way) -> None:
    with pytest.raises(MalformedResponseError, match="no event stream") as caught:
        way(MockAPI(reply(page, "text/html")).tamma(), "Hi")
    assert "base_url" in str(caught.value)


@stream_ways
@pytest.mark.parametrize("page", [b"", b" ", b": welcome\n\n", b"dat", b"event: ping\n\n"])
def test_stream_that_never_begins(page: bytes, way: Way) -> None:
    with pytest.raises(StreamInterruptedError) as caught:
        way(MockAPI(stream_reply(page)).tamma(), "Hi")
    assert (caught.value.partial, caught.value.delivered) == (None, False)


# --- errors that say 200 ---


@all_ways
@pytest.mark.parametrize("error", ["boom", {"message": "boom"}, {"message": "boom", "code": 500}])
def test_error_in_the_body_is_raised_as_an_error(error: str | Json, way: Way) -> None:
    with pytest.raises(ServerError, match="boom"):
        way(MockAPI(reply({"error": error})).tamma(), "Hi")


@all_ways
def test_error_in_the_body_is_classified_by_its_code(way: Way) -> None:
    error = {"message": "slow down", "type": "requests", "code": "rate_limit_exceeded"}
    with pytest.raises(RateLimitError, match="slow down"):
        way(MockAPI(reply({"error": error, "choices": None})).tamma(), "Hi")


@all_ways
@pytest.mark.parametrize("error", [None, {}, "", []])
def test_empty_error_beside_an_answer_is_none(error: object, way: Way) -> None:
    def both(sent: Json) -> Any:
        events = [{**event, "error": error} for event in text_events()]
        return events if sent["stream"] else completion(error=error)

    assert way(MockAPI(both).tamma(), "Hi").content == "Hello"


# --- answers that can be read all the same ---


@stream_ways
def test_plain_answer_to_a_stream_request_is_read(way: Way) -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}}
    body = completion({"content": "Hello", "tool_calls": [call, {**call, "id": "c2"}]})
    streamed = way(MockAPI(reply(body)).tamma(), "Hi")
    plain = MockAPI(body).tamma().invoke("Hi")
    assert streamed.content == plain.content == "Hello"
    assert streamed.tool_calls == plain.tool_calls
    assert streamed.usage_metadata == plain.usage_metadata
    assert streamed.response_metadata["cost"] == plain.response_metadata["cost"]
    assert streamed.response_metadata["finish_reason"] == "stop"


@pytest.mark.parametrize("kind", ["text/plain", "application/json", "application/octet-stream"])
@stream_ways
def test_stream_with_another_content_type_is_read(kind: str, way: Way) -> None:
    api = MockAPI(lambda _sent: stream_reply(sse(text_events()), headers={"content-type": kind}))
    assert way(api.tamma(), "Hi").content == "Hello"


READABLE: dict[str, tuple[Json, str]] = {
    "message missing": (completion(choices=[{"index": 0, "finish_reason": "stop"}]), ""),
    "message null": (completion(choices=[{"index": 0, "message": None}]), ""),
    "content in parts": (answer(content=[{"type": "text", "text": "Hi"}]), "Hi"),
    "audio is text": (answer(content="Hi", audio="x"), "Hi"),
    "message id is a number": (answer(content="Hi", id=5), "Hi"),
    "usage is text": (completion(usage="x"), "Hello"),
    "usage is a list": (completion(usage=[1]), "Hello"),
    "usage is empty": (completion(usage={}), "Hello"),
    "usage in text": (
        completion(usage={"prompt_tokens": "3", "completion_tokens": "x", "total_tokens": "y"}),
        "Hello",
    ),
    "usage in fractions": (completion(usage={"prompt_tokens": 3.0}), "Hello"),
    "usage details are text": (
        completion(usage={"prompt_tokens": 3, "prompt_tokens_details": "x"}),
        "Hello",
    ),
    "cached tokens in text": (
        completion(usage={"prompt_tokens": 3, "prompt_tokens_details": {"cached_tokens": "2"}}),
        "Hello",
    ),
    "model is a number": (completion(model=5), "Hello"),
    "model is a list": (completion(model=["x"]), "Hello"),
    "tier is a number": (completion(service_tier=5), "Hello"),
    "tier is a list": (completion(service_tier=["flex"]), "Hello"),
    "fingerprint is a number": (completion(system_fingerprint=5), "Hello"),
    "id is a number": (completion(id=5), "Hello"),
    "created is text": (completion(created="yesterday"), "Hello"),
    "created beyond all time": (completion(created=1e300), "Hello"),
    "created in milliseconds": (completion(created=1_790_000_000_000), "Hello"),
    "created in the past": (completion(created=-5), "Hello"),
}


@plain_ways
@pytest.mark.parametrize("name", READABLE)
def test_odd_answer_that_can_be_read(name: str, way: Way) -> None:
    body, text = READABLE[name]
    message = way(MockAPI(reply(body)).tamma(), "Hi")
    assert message.text == text
    assert set(message.response_metadata["cost"]) >= {"total_usd", "currency", "pricing_source"}


@pytest.mark.parametrize(
    ("arguments", "valid", "invalid"),
    [
        ({"a": {"b": [1]}}, [{"a": {"b": [1]}}], []),
        ({}, [{}], []),
        ([1], [], ["[1]"]),
        (5, [], ["5"]),
        (True, [], ["true"]),
        (None, [], [""]),
    ],
)
@all_ways
def test_arguments_that_are_no_text(
    arguments: object, valid: list[Json], invalid: list[str], way: Way
) -> None:
    def both(sent: Json) -> Any:
        body = calling(arguments=arguments)
        if not sent["stream"]:
            return body
        (call,) = body["choices"][0]["message"]["tool_calls"]
        return [chunk({"tool_calls": [{"index": 0, **call}]}), chunk({}, "tool_calls")]

    message = way(MockAPI(both).tamma(use_responses_api=False), "Hi")
    assert [call["args"] for call in message.tool_calls] == valid
    assert [call["args"] or "" for call in message.invalid_tool_calls] == invalid


EVENTS: dict[str, Json] = {
    "choices are text": chunk({}, choices="x"),
    "choice is null": chunk({}, choices=[None]),
    "choice is text": chunk({}, choices=["x"]),
    "index is text": chunk({}, choices=[{"index": "0", "delta": {"content": "no"}}]),
    "tool calls are text": chunk({"tool_calls": "x"}),
    "tool calls are an object": chunk({"tool_calls": {"index": 0}}),
    "tool call is null": chunk({"tool_calls": [None]}),
    "function is null": chunk({"tool_calls": [{"index": 0, "id": "c", "function": None}]}),
    "function is text": chunk({"tool_calls": [{"index": 0, "id": "c", "function": "f"}]}),
    "custom is text": chunk({"tool_calls": [{"index": 0, "id": "c", "custom": "x"}]}),
    "legacy function is text": chunk({"function_call": "f"}),
    "refusal is a number": chunk({"refusal": 5}),
    "audio is text": chunk({"audio": "x"}),
    "logprobs are text": chunk({}, choices=[{"index": 0, "delta": {}, "logprobs": "x"}]),
    "usage is text": chunk({}, usage="x"),
    "usage is a list": chunk({}, usage=[1]),
    "usage in text": chunk({}, usage={"prompt_tokens": "3", "completion_tokens": "x"}),
    "model is a number": chunk({}, model=5),
    "tier is a list": chunk({}, service_tier=["x"]),
    "fingerprint is a list": chunk({}, system_fingerprint=["x"]),
    "created is text": chunk({}, created="x"),
    "another role": chunk({"role": "user"}),
    "delta id is a number": chunk({"id": 5}),
    "an unknown event": {"type": "ping", "cost": 0.1},
    "an empty event": {},
}


@stream_ways
@pytest.mark.parametrize("name", EVENTS)
def test_odd_event_that_can_be_read(name: str, way: Way) -> None:
    events = [EVENTS[name], EVENTS[name], *END]
    message = way(MockAPI(lambda _sent: events).tamma(), "Hi")
    assert message.text.endswith("Hi")
    assert message.response_metadata["finish_reason"] == "stop"
    assert message.tool_calls == []


UNREADABLE: dict[str, Any] = {
    "delta is text": chunk("x"),  # type: ignore[arg-type]
    "delta is a list": chunk(["x"]),  # type: ignore[arg-type]
    "content is a number": chunk({"content": 5}),
    "content is an object": chunk({"content": {"a": 1}}),
    "tool call id is a list": chunk({"tool_calls": [{"index": 0, "id": ["c"], "function": {}}]}),
}


@stream_ways
@pytest.mark.parametrize("name", UNREADABLE)
def test_event_that_cannot_be_read(name: str, way: Way) -> None:
    with pytest.raises(StreamInterruptedError, match="an event cannot be read") as caught:
        way(MockAPI(lambda _sent: [END[0], UNREADABLE[name], *END]).tamma(), "Hi")
    assert caught.value.partial is not None
    assert caught.value.partial.content == "Hi"


@stream_ways
def test_finish_reason_that_is_no_text_ends_the_stream(way: Way) -> None:
    last: Any = chunk({}, choices=[{"index": 0, "delta": {}, "finish_reason": 5}])
    message = way(MockAPI([END[0], last]).tamma(), "Hi")
    assert (message.content, message.response_metadata["finish_reason"]) == ("Hi", "5")


# --- compression ---


@plain_ways
def test_compressed_answer(way: Way) -> None:
    body = gzip.compress(json.dumps(completion()).encode())
    api = MockAPI(reply(body, content_encoding="gzip"))
    assert way(api.tamma(), "Hi").content == "Hello"


@stream_ways
@pytest.mark.parametrize("size", [1, 7, 10_000])
def test_compressed_stream(size: int, way: Way) -> None:
    body = gzip.compress(sse(text_events()))
    pieces = [body[start : start + size] for start in range(0, len(body), size)]
    api = MockAPI(stream_reply(*pieces, headers={"content-encoding": "gzip"}))
    assert way(api.tamma(), "Hi").content == "Hello"


@all_ways
@pytest.mark.parametrize(
    "body",
    [b"not gzip at all", gzip.compress(sse(text_events()))[:40], b""],
    ids=["not gzip", "cut", "empty"],
)
def test_compression_that_is_broken(body: bytes, way: Way) -> None:
    api = MockAPI(lambda _sent: stream_reply(body, headers={"content-encoding": "gzip"}))
    with pytest.raises(TammaError):
        way(api.tamma(), "Hi")


# --- anything at all ---

NAMES = [
    *("choices", "message", "delta", "content", "tool_calls", "function", "arguments", "name"),
    *("id", "index", "usage", "prompt_tokens", "prompt_tokens_details", "finish_reason", "error"),
    *("audio", "refusal", "logprobs", "custom", "function_call", "model"),
]
SCALARS = st.none() | st.booleans() | st.integers(-5, 5) | st.floats(allow_nan=False)
JSON_VALUES: Any = st.recursive(
    SCALARS | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=4)
    ),
    max_leaves=12,
)
DELTAS = st.dictionaries(
    st.sampled_from(["content", "tool_calls", "function_call", "audio", "refusal", "role", "id"]),
    JSON_VALUES,
)


@pytest.mark.filterwarnings("ignore::UserWarning")
@settings(max_examples=150, deadline=None)
@given(JSON_VALUES | DELTAS.map(lambda message: answer(**message)))
def test_any_json_is_an_answer_or_a_typed_error(body: Any) -> None:
    try:
        message = MockAPI(reply(body)).tamma().invoke("Hi")
    except TammaError:
        return
    assert isinstance(message.response_metadata["cost"], dict)


@pytest.mark.filterwarnings("ignore::UserWarning")
@settings(max_examples=150, deadline=None)
@given(st.lists(JSON_VALUES | DELTAS.map(chunk), max_size=4))
def test_any_events_are_an_answer_or_a_typed_error(events: list[Any]) -> None:
    body = sse([*(json.dumps(event).encode() for event in events), *END])
    try:
        message = stream_once(MockAPI(stream_reply(body)).tamma(), "Hi")
    except TammaError:
        return
    assert isinstance(message.response_metadata["cost"], dict)


@pytest.mark.filterwarnings("ignore::UserWarning")
@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=60), st.booleans())
def test_any_bytes_are_an_answer_or_a_typed_error(body: bytes, streamed: bool) -> None:  # noqa: FBT001 - drawn by Hypothesis
    api = MockAPI(lambda _sent: stream_reply(body))
    ask = STREAM_WAYS["stream"] if streamed else PLAIN_WAYS["invoke"]
    with pytest.raises(TammaError):
        ask(api.tamma(), "Hi")
