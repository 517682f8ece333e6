"""Streams that break, stall, lie or are left early: whole, or a typed error with what came."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx2
import openai
import pytest
from langchain_core.exceptions import ModelConnectionError, ModelTimeoutError
from mock_api import (
    PLAIN_WAYS,
    STREAM_WAYS,
    USAGE,
    Json,
    MockAPI,
    Way,
    chunk,
    is_closed,
    sse,
    stream_reply,
    text_events,
    usage_chunk,
)

from langchain_tamma_openai import StreamInterruptedError, get_usage_callback
from langchain_tamma_openai.errors import StreamStalledError
from langchain_tamma_openai.resilience.retry import no_waiting

ROLE = chunk({"role": "assistant", "content": ""})
HI = chunk({"content": "Hi"})
END = chunk({}, "stop")
BEGINNING = sse([ROLE, HI], done=False)
STREAMING_WAYS = {
    **STREAM_WAYS,
    **{f"streaming {name}": way for name, way in PLAIN_WAYS.items()},
}
ways = pytest.mark.parametrize("name", STREAMING_WAYS)


def ask(name: str, api: MockAPI, **fields: Any) -> Any:
    options: Json = {"streaming": True} if name.startswith("streaming") else {}
    return STREAMING_WAYS[name](api.tamma(**options, **fields), "Hi")


def interruption(name: str, *pieces: bytes | Exception, **fields: Any) -> StreamInterruptedError:
    api = MockAPI(stream_reply(*pieces))
    with pytest.raises(StreamInterruptedError) as caught:
        ask(name, api, **fields)
    assert len(api.requests) == 1
    assert is_closed(api.responses[0])
    return caught.value


@ways
def test_body_that_ends_early(name: str) -> None:
    error = interruption(name, BEGINNING)
    assert isinstance(error, openai.APIConnectionError)
    assert isinstance(error, ModelConnectionError)
    assert error.partial is not None
    assert error.partial.content == "Hi"
    # Of an invoked model the caller sees nothing before the end.
    assert error.delivered == (not name.startswith("streaming"))
    assert error.is_retryable == name.startswith("streaming")
    assert "gpt-6-luna" in str(error)


@ways
@pytest.mark.parametrize(
    "failure",
    [
        httpx2.ReadError("reset by peer"),
        httpx2.RemoteProtocolError("incomplete chunked read"),
        httpx2.ReadTimeout("no byte came"),
    ],
    ids=["reset", "incomplete", "timeout"],
)
def test_connection_that_breaks(name: str, failure: Exception) -> None:
    error = interruption(name, BEGINNING, failure)
    assert error.partial is not None
    assert error.partial.content == "Hi"
    assert isinstance(error.__cause__, httpx2.TransportError)
    timed_out = isinstance(failure, httpx2.ReadTimeout)
    assert isinstance(error, StreamStalledError) == timed_out
    assert isinstance(error, ModelTimeoutError) == timed_out
    assert isinstance(error, TimeoutError) == timed_out


@ways
def test_connection_that_breaks_before_the_first_chunk_may_be_tried_again(name: str) -> None:
    error = interruption(name, httpx2.ReadError("reset by peer"))
    assert (error.partial, error.delivered, error.retryable) == (None, False, True)


@ways
@pytest.mark.parametrize("done", [False, True])
def test_connection_that_breaks_after_the_answer_does_not_matter(name: str, *, done: bool) -> None:
    body = sse([ROLE, HI, END, usage_chunk()], done=done)
    api = MockAPI(stream_reply(body, httpx2.ReadError("reset by peer")))
    answer = ask(name, api)
    assert answer.content == "Hi"
    assert answer.usage_metadata["total_tokens"] == USAGE["total_tokens"]
    assert answer.response_metadata["cost"]["total_usd"] is not None
    assert is_closed(api.responses[0])


@ways
@pytest.mark.parametrize(
    "payload", [b'{"choices": [{"index": 0, "delta"', b"null", b"[1]", b"<html>502</html>"]
)
def test_event_that_is_not_a_chunk(name: str, payload: bytes) -> None:
    error = interruption(name, sse([ROLE, HI, payload, HI, END]))
    assert error.partial is not None
    assert error.partial.content == "Hi"


@ways
@pytest.mark.parametrize("done", [False, True])
def test_error_inside_the_stream(name: str, *, done: bool) -> None:
    reported: Json = {
        "message": "The server had an error",
        "type": "server_error",
        "param": None,
        "code": "server_error",
    }
    error = interruption(name, sse([ROLE, HI, {"error": reported}], done=done))
    assert "The server had an error" in str(error)
    assert error.code == "server_error"
    assert error.partial is not None
    assert error.partial.content == "Hi"


@ways
@pytest.mark.parametrize("reported", ["out of memory", {"message": ""}, {"code": 500}, ["x"]])
def test_odd_error_inside_the_stream(name: str, reported: Any) -> None:
    error = interruption(name, sse([{"error": reported}]))
    assert error.partial is None
    assert not error.delivered


@ways
def test_quota_that_runs_out_inside_the_stream_is_not_worth_a_retry(name: str) -> None:
    reported = {"message": "You exceeded your quota", "code": "insufficient_quota", "type": "x"}
    error = interruption(name, sse([{"error": reported}]))
    assert error.code == "insufficient_quota"
    assert not error.retryable


@ways
def test_comments_do_not_keep_a_stream_alive(name: str) -> None:
    comments = [b": keep-alive\n\n"] * 3
    error = interruption(name, BEGINNING, *comments, sse([END]), stream_chunk_timeout=1e-9)
    assert isinstance(error, StreamStalledError)
    assert error.partial is not None
    assert error.partial.content == "Hi"


@ways
@pytest.mark.parametrize("limit_s", [None, 0])
def test_chunk_timeout_can_be_switched_off(name: str, limit_s: float | None) -> None:
    pieces = [BEGINNING, b": keep-alive\n\n", sse([END])]
    api = MockAPI(stream_reply(*pieces))
    assert ask(name, api, stream_chunk_timeout=limit_s).content == "Hi"


@ways
def test_chunk_timeout_limits_each_read_but_not_the_wait_for_the_answer(name: str) -> None:
    api = MockAPI()
    seen: list[float] = []

    def reply(_body: Json) -> Any:
        seen.append(api.requests[-1].extensions["timeout"]["read"])
        return text_events()

    api.replies = [reply]
    ask(name, api, timeout=30, stream_chunk_timeout=5)
    ask(name, api, timeout=3, stream_chunk_timeout=5)
    assert seen == [30, 3]
    assert [request.extensions["timeout"]["read"] for request in api.requests] == [5, 3]


@ways
def test_what_came_before_a_break_is_counted_as_an_estimate(name: str) -> None:
    with get_usage_callback() as totals:
        error = interruption(name, BEGINNING)
    assert error.usage == {"input_tokens": 8, "output_tokens": 1, "total_tokens": 9}
    assert totals.total_tokens == 9
    assert totals.failed_requests == 1


@ways
def test_partial_answer_holds_cut_tool_calls_as_invalid(name: str) -> None:
    function = {"name": "pay", "arguments": '{"usd": 10'}
    call = {"index": 0, "id": "c1", "type": "function", "function": function}
    error = interruption(name, sse([ROLE, chunk({"tool_calls": [call]})], done=False))
    assert error.partial is not None
    assert error.partial.tool_calls == []
    assert error.partial.invalid_tool_calls[0]["args"] == '{"usd": 10'


@pytest.mark.parametrize("output_version", [None, "v1"])
def test_partial_answer_has_the_asked_form(output_version: str | None) -> None:
    error = interruption("stream", BEGINNING, output_version=output_version)
    assert error.partial is not None
    assert error.partial.text == "Hi"
    assert error.partial.content_blocks[0]["type"] == "text"


# --- leaving early ---


def test_closing_the_iterator_closes_the_connection() -> None:
    api = MockAPI(stream_reply(BEGINNING, sse([END])))
    stream: Any = api.tamma().stream("Hi")
    next(stream)
    assert not is_closed(api.responses[0])
    stream.close()
    assert is_closed(api.responses[0])


async def test_closing_the_async_iterator_closes_the_connection() -> None:
    api = MockAPI(stream_reply(BEGINNING, sse([END])))
    stream: Any = api.tamma().astream("Hi")
    await anext(stream)
    assert not is_closed(api.responses[0])
    await stream.aclose()
    assert is_closed(api.responses[0])


async def test_cancelling_the_task_closes_the_connection() -> None:
    waiting = asyncio.Event()

    class Endless(httpx2.AsyncByteStream):
        closed = False

        async def __aiter__(self) -> Any:
            yield BEGINNING
            waiting.set()
            await asyncio.Event().wait()

        async def aclose(self) -> None:
            self.closed = True

    body = Endless()
    headers = {"content-type": "text/event-stream"}
    api = MockAPI(httpx2.Response(200, headers=headers, stream=body))
    task = asyncio.create_task(api.tamma(streaming=True).ainvoke("Hi"))
    await waiting.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert body.closed


@pytest.mark.parametrize("way", STREAM_WAYS.values(), ids=STREAM_WAYS)
def test_finished_stream_closes_the_connection(way: Way) -> None:
    api = MockAPI(stream_reply(sse(text_events())))
    way(api.tamma(), "Hi")
    assert is_closed(api.responses[0])


# --- retries stop at the first byte ---


@ways
def test_stream_is_opened_again_after_a_failed_attempt(name: str) -> None:
    busy = httpx2.Response(503, json={"error": {"message": "busy"}}, headers={"retry-after": "0"})
    api = MockAPI(busy, text_events())
    from langchain_tamma_openai.resilience.retry import no_waiting

    with no_waiting():
        assert ask(name, api, max_retries=2).content == "Hello"
    assert len(api.requests) == 2


@pytest.mark.parametrize("name", PLAIN_WAYS)
def test_stream_of_which_only_the_end_is_seen_begins_anew(name: str) -> None:
    api = MockAPI(stream_reply(BEGINNING, httpx2.ReadError("reset")), text_events("Whole"))
    with no_waiting():
        answer = ask(f"streaming {name}", api, max_retries=2)
    assert answer.content == "Whole"
    assert len(api.requests) == 2


@pytest.mark.parametrize("name", STREAM_WAYS)
def test_stream_that_was_seen_is_not_sent_again(name: str) -> None:
    api = MockAPI(stream_reply(BEGINNING, httpx2.ReadError("reset")), text_events())
    with pytest.raises(StreamInterruptedError):
        ask(name, api, max_retries=2)
    assert len(api.requests) == 1
