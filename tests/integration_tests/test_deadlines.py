"""`total_timeout_s` and `max_elapsed_s` end a call in time, whatever the server holds back."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from loopback import (
    Act,
    LoopbackServer,
    Reply,
    Request,
    completion,
    event,
    json_reply,
    stream_reply,
)
from ways import PLAIN_WAYS, STREAM_WAYS, WAYS

from langchain_tamma_openai import OpenAIRateLimiter, RetryPolicy, StreamInterruptedError
from langchain_tamma_openai.errors import RateLimitError, RequestTimeoutError, TammaError

LIMIT_S = 0.5
# A tenth of a second on a quiet machine; other tests may hold this one up.
LATE_S = 0.6
Script = Callable[[Request], Reply]


def stalled(_request: Request) -> Reply:
    """Send no headers."""
    return Reply([], delay_s=20)


def dripping_answer(_request: Request) -> Reply:
    """Send a plain answer byte by byte."""
    steps: list[Any] = []
    for byte in json.dumps(completion("Hello")).encode():
        steps += [bytes([byte]), 0.02]
    return Reply(steps)


def held_answer(_request: Request) -> Reply:
    """Send half of a plain answer."""
    return Reply([b'{"id": "x", ', Act.HOLD])


def dripping_stream(_request: Request) -> Reply:
    """Send a word of a stream from time to time, for ever."""
    steps: list[Any] = []
    for _ in range(500):
        steps += [event({"content": "go "}), 0.04]
    return stream_reply(*steps)


def dripping_bytes(_request: Request) -> Reply:
    """Send an event of a stream byte by byte."""
    steps: list[Any] = []
    for byte in event({"content": "word " * 200}):
        steps += [bytes([byte]), 0.02]
    return stream_reply(*steps)


def silent_stream(_request: Request) -> Reply:
    """Open a stream and say nothing."""
    return stream_reply(Act.HOLD)


def started_stream(_request: Request) -> Reply:
    """Say one word and no more."""
    return stream_reply(event({"content": "go "}), Act.HOLD)


def commenting_stream(_request: Request) -> Reply:
    """Keep the connection alive, and say nothing."""
    steps: list[Any] = [b": alive\n\n", 0.03] * 500
    return stream_reply(*steps)


PLAIN = [stalled, dripping_answer, held_answer]
STREAMS = [
    stalled,
    dripping_stream,
    dripping_bytes,
    silent_stream,
    started_stream,
    commenting_stream,
]


def took_s(call: Callable[[], object]) -> tuple[float, TammaError]:
    began_s = time.monotonic()
    with pytest.raises(TammaError) as caught:
        call()
    return time.monotonic() - began_s, caught.value


@pytest.mark.parametrize("way", PLAIN_WAYS)
@pytest.mark.parametrize("script", PLAIN)
@pytest.mark.parametrize("setting", ["total_timeout_s", "max_elapsed_s"])
def test_a_plain_call_ends_in_time(setting: str, script: Script, way: str) -> None:
    with LoopbackServer(script) as server:
        llm = server.model(**_limit(setting))
        seconds, error = took_s(lambda: PLAIN_WAYS[way](llm, "Hi"))
    assert isinstance(error, RequestTimeoutError)
    assert error.code == "deadline"
    assert setting in str(error)
    assert not error.is_retryable
    assert LIMIT_S * 0.9 <= seconds < LIMIT_S + LATE_S
    assert len(server.requests) == 1


def _limit(setting: str) -> dict[str, Any]:
    if setting == "total_timeout_s":
        return {"total_timeout_s": LIMIT_S, "max_retries": 3}
    return {"retry": RetryPolicy(max_attempts=4, max_elapsed_s=LIMIT_S)}


@pytest.mark.parametrize("way", STREAM_WAYS)
@pytest.mark.parametrize("script", STREAMS)
@pytest.mark.parametrize("recovery", ["resume", "regenerate"])
def test_a_stream_ends_in_time(recovery: str, script: Script, way: str) -> None:
    with LoopbackServer(script) as server:
        llm = server.model(total_timeout_s=LIMIT_S, max_retries=3, stream_recovery=recovery)
        seconds, error = took_s(lambda: STREAM_WAYS[way](llm, "Hi"))
    assert isinstance(error, RequestTimeoutError | StreamInterruptedError)
    assert error.code == "deadline"
    assert not error.is_retryable
    assert LIMIT_S * 0.9 <= seconds < LIMIT_S + LATE_S
    assert len(server.requests) == 1


@pytest.mark.parametrize("way", STREAM_WAYS)
def test_only_the_beginning_of_a_stream_counts_for_the_retry_policy(way: str) -> None:
    def script(_request: Request) -> Reply:
        return stream_reply(
            event({"content": "a "}), 0.7, event({"content": "b"}), event({}, "stop")
        )

    with LoopbackServer(script) as server:
        llm = server.model(retry=RetryPolicy(max_elapsed_s=LIMIT_S))
        assert STREAM_WAYS[way](llm, "Hi") == "a b"


@pytest.mark.parametrize("way", WAYS)
def test_no_wait_for_a_retry_goes_past_the_limit(way: str) -> None:
    def script(_request: Request) -> Reply:
        error = {"error": {"message": "No.", "type": "requests", "code": "rate_limit_exceeded"}}
        return json_reply(error, 429, {"retry-after-ms": "400"})

    with LoopbackServer(script) as server:
        llm = server.model(total_timeout_s=LIMIT_S, max_retries=9)
        seconds, error = took_s(lambda: WAYS[way](llm, "Hi"))
    assert isinstance(error, RateLimitError)
    assert any("limit" in note for note in error.__notes__)
    assert seconds < LIMIT_S + LATE_S
    assert len(server.requests) == 2


@pytest.mark.parametrize("way", WAYS)
def test_the_rate_limiter_waits_no_longer_than_the_limit(way: str) -> None:
    with LoopbackServer() as server:
        limiter = OpenAIRateLimiter(max_concurrency=1)
        llm = server.model(rate_limiter=limiter, total_timeout_s=LIMIT_S, max_retries=3)
        with limiter.reserve(0, llm._limit_key("gpt-6-luna")):
            seconds, error = took_s(lambda: WAYS[way](llm, "Hi"))
        assert error.code == "rate_limiter_deadline"
        assert LIMIT_S * 0.9 <= seconds < LIMIT_S + LATE_S
        assert server.requests == []
        assert WAYS[way](llm, "Hi")


@pytest.mark.parametrize("way", WAYS)
def test_a_dry_account_is_waited_for_no_longer_than_the_limit(way: str) -> None:
    from langchain_tamma_openai import QuotaExceededError, QuotaMemory

    def script(_request: Request) -> Reply:
        error = {"error": {"message": "No.", "type": "x", "code": "insufficient_quota"}}
        return json_reply(error, 429)

    with LoopbackServer(script) as server:
        llm = server.model(quota_memory=QuotaMemory(wait=True), total_timeout_s=LIMIT_S)
        with pytest.raises(QuotaExceededError):
            WAYS[way](llm, "Hi")
        seconds, error = took_s(lambda: WAYS[way](llm, "Hi"))
    assert isinstance(error, QuotaExceededError)
    assert LIMIT_S * 0.9 <= seconds < LIMIT_S + LATE_S
    assert len(server.requests) == 1


@pytest.mark.parametrize("way", WAYS)
def test_no_fallback_begins_after_the_limit(way: str) -> None:
    with LoopbackServer(stalled) as server:
        llm = server.model(fallback_models=["gpt-6-sol"], total_timeout_s=LIMIT_S)
        seconds, error = took_s(lambda: WAYS[way](llm, "Hi"))
    assert error.code == "deadline"
    assert seconds < LIMIT_S + LATE_S
    assert [request.body["model"] for request in server.requests] == ["gpt-6-luna"]
