"""The rate limiter of a model: one permit for each request that is sent, and none is ever lost."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

import httpx2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from langchain_core.callbacks import BaseCallbackHandler
from mock_api import ALL_WAYS, MockAPI, chunk, completion, sse, stream_reply, text_events

from langchain_tamma_openai import OpenAIRateLimiter, RetryPolicy
from langchain_tamma_openai.errors import RateLimitError, TammaError

ways = pytest.mark.parametrize("way", ALL_WAYS)
AT_ONCE = RetryPolicy(max_attempts=3, base_delay_s=0, max_delay_s=0)
HEADERS = {
    "x-ratelimit-limit-requests": "500",
    "x-ratelimit-remaining-requests": "400",
    "x-ratelimit-reset-requests": "12s",
    "x-ratelimit-limit-tokens": "10000",
    "x-ratelimit-remaining-tokens": "9000",
    "x-ratelimit-reset-tokens": "6s",
}


class CountingLimiter(OpenAIRateLimiter):
    """The real one, which remembers how many permits it gave, and for how many tokens."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.reserved: list[int] = []

    def reserve(self, tokens: int = 0, *args: Any, **kwargs: Any) -> Any:
        self.reserved.append(tokens)
        return super().reserve(tokens, *args, **kwargs)

    async def areserve(self, tokens: int = 0, *args: Any, **kwargs: Any) -> Any:
        self.reserved.append(tokens)
        return await super().areserve(tokens, *args, **kwargs)


def answer(body: dict[str, Any], headers: dict[str, str] | None = None) -> httpx2.Response:
    if body.get("stream"):
        return stream_reply(sse(text_events()), headers=headers)
    return httpx2.Response(200, json=completion(), headers=headers)


def refused(retry_after_ms: str = "0") -> httpx2.Response:
    error = {"message": "Slow down.", "type": "requests", "code": "rate_limit_exceeded"}
    headers = {**HEADERS, "retry-after-ms": retry_after_ms}
    return httpx2.Response(429, json={"error": error}, headers=headers)


@ways
def test_every_request_takes_one_permit(way: str) -> None:
    replies = iter([down, down])
    api = MockAPI(lambda body: next(replies, lambda: answer(body))())
    limiter = CountingLimiter(10**6)
    ALL_WAYS[way](api.tamma(rate_limiter=limiter, retry=AT_ONCE), "Hi")
    assert len(api.requests) == len(limiter.reserved) == 3


def down() -> httpx2.Response:
    return httpx2.Response(500, json={"error": {"message": "No.", "type": "server_error"}})


@ways
def test_fallbacks_take_permits_too(way: str) -> None:
    api = MockAPI(lambda body: down() if body["model"] == "gpt-6-luna" else answer(body))
    limiter = CountingLimiter(10**6)
    ALL_WAYS[way](api.tamma(rate_limiter=limiter, fallback_models=["gpt-6-sol"]), "Hi")
    assert len(api.requests) == len(limiter.reserved) == 2


@ways
def test_a_request_is_not_counted_twice(way: str) -> None:
    limiter = OpenAIRateLimiter(6000, 10**6)
    llm = MockAPI().tamma(rate_limiter=limiter)
    for _ in range(3):
        ALL_WAYS[way](llm, "Hi")
    remaining = llm.rate_limit_status().remaining_requests
    fresh = OpenAIRateLimiter(6000, 10**6)
    for _ in range(3):
        fresh.reserve(0).release()
    expected = fresh.status().remaining_requests
    assert remaining is not None
    assert expected is not None
    assert abs(remaining - expected) < 1000
    assert (
        limiter.status("default").remaining_requests == limiter.status("unused").remaining_requests
    )


@ways
def test_tokens_are_the_prompt_and_the_most_that_may_come(way: str) -> None:
    limiter = CountingLimiter(None, 10**9)
    ALL_WAYS[way](MockAPI().tamma(rate_limiter=limiter, max_tokens=1000), "x" * 4000)
    assert 1900 < limiter.reserved[0] < 2200


@ways
def test_it_learns_from_answers(way: str) -> None:
    api = MockAPI(lambda body: answer(body, HEADERS))
    llm = api.tamma(rate_limiter=OpenAIRateLimiter())
    found = ALL_WAYS[way](llm, "Hi")
    assert llm.rate_limit_status().limit_requests == 500
    assert llm.rate_limit_status().limit_tokens == 10_000
    assert found.response_metadata["rate_limit"]["remaining_requests"] == 400


@ways
def test_it_learns_from_errors(way: str) -> None:
    llm = MockAPI(lambda _body: refused()).tamma(rate_limiter=OpenAIRateLimiter())
    with pytest.raises(RateLimitError) as caught:
        ALL_WAYS[way](llm, "Hi")
    assert llm.rate_limit_status().limit_requests == 500
    assert caught.value.rate_limit is not None
    assert caught.value.rate_limit.remaining_tokens == 9000


@ways
def test_what_is_left_is_known_without_a_limiter(way: str) -> None:
    llm = MockAPI(lambda body: answer(body, HEADERS)).tamma()
    assert llm.rate_limit_status().limit_requests is None
    ALL_WAYS[way](llm, "Hi")
    assert llm.rate_limit_status().remaining_tokens == 9000


@ways
def test_what_is_left_is_known_from_an_error_without_a_limiter(way: str) -> None:
    llm = MockAPI(lambda _body: refused()).tamma()
    with pytest.raises(RateLimitError):
        ALL_WAYS[way](llm, "Hi")
    assert llm.rate_limit_status().remaining_tokens == 9000


# --- slots ---


class Tripwire(BaseCallbackHandler):
    """Fails at the n-th new token."""

    raise_error = True

    def __init__(self, at: int) -> None:
        self.left = at

    def on_llm_new_token(self, *_args: Any, **_kwargs: Any) -> None:
        self.left -= 1
        if self.left < 0:
            raise RuntimeError("tripped")


FAULTS: dict[str, Any] = {
    "none": answer,
    "500": lambda _body: down(),
    "429": lambda _body: refused(),
    "reset": lambda _body: httpx2.ReadError("reset"),
    "connect": lambda _body: httpx2.ConnectError("refused"),
    "garbage": lambda _body: httpx2.Response(200, content=b"<html>"),
    "broken": lambda _body: stream_reply(sse([chunk({"content": "He"})], done=False)),
    "cut": lambda _body: stream_reply(
        sse([chunk({"content": "H"})], done=False), httpx2.ReadError("x")
    ),
    "corrupt": lambda _body: stream_reply(sse([b'{"broken']), headers={}),
    "odd": lambda _body: httpx2.Response(200, json={"choices": "what"}),
}
SEQUENCES = st.lists(st.sampled_from(sorted(FAULTS)), min_size=1, max_size=4)


def _api(sequence: list[str]) -> MockAPI:
    left = list(sequence)

    def reply(body: dict[str, Any]) -> Any:
        return FAULTS[left.pop(0) if left else "none"](body)

    return MockAPI(reply)


def _is_free(llm: Any, limiter: OpenAIRateLimiter) -> bool:
    return limiter.status(llm._limit_key("gpt-6-luna")).in_flight in (0, None)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    sequence=SEQUENCES,
    recovery=st.sampled_from(["raise", "regenerate"]),
    taken=st.integers(0, 8),
    trip=st.integers(0, 8),
)
def test_no_slot_is_ever_lost(sequence: list[str], recovery: str, taken: int, trip: int) -> None:
    limiter = OpenAIRateLimiter(max_concurrency=1)
    llm = _api(sequence).tamma(
        rate_limiter=limiter, retry=AT_ONCE, stream_recovery=recovery, total_timeout_s=30
    )
    config: Any = {"callbacks": [Tripwire(trip)]}
    for way in ("invoke", "stream"):
        with suppress(TammaError, RuntimeError):
            ALL_WAYS[way](llm, "Hi", config=config)
        assert _is_free(llm, limiter)
    stream: Any = llm.stream("Hi")
    try:
        for _ in range(taken):
            next(stream, None)
    except TammaError:
        pass
    stream.close()
    assert _is_free(llm, limiter)


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(sequence=SEQUENCES, taken=st.integers(0, 8), steps=st.integers(0, 30))
def test_no_slot_is_lost_by_cancellation(sequence: list[str], taken: int, steps: int) -> None:
    async def main() -> None:
        limiter = OpenAIRateLimiter(max_concurrency=1)
        llm = _api(sequence).tamma(rate_limiter=limiter, retry=AT_ONCE)

        async def read() -> None:
            async for _ in llm.astream("Hi"):
                await asyncio.sleep(0)

        for call in (llm.ainvoke("Hi"), read()):
            task = asyncio.ensure_future(call)
            for _ in range(steps):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            del task
            assert await _is_free_soon(llm, limiter)
        stream: Any = llm.astream("Hi")
        try:
            for _ in range(taken):
                await anext(stream, None)
        except TammaError:
            pass
        await stream.aclose()
        assert await _is_free_soon(llm, limiter)

    asyncio.run(main())


async def _is_free_soon(llm: Any, limiter: OpenAIRateLimiter) -> bool:
    """Wait for a stream that was being read: the loop closes it, and counts it in a thread."""
    for _ in range(500):
        if _is_free(llm, limiter):
            return True
        await asyncio.sleep(0.01)
    return False


def test_a_cancelled_wait_leaves_the_line() -> None:
    async def main() -> None:
        limiter = OpenAIRateLimiter(max_concurrency=1)
        llm = MockAPI().tamma(rate_limiter=limiter)
        permit = await limiter.areserve(0, llm._limit_key("gpt-6-luna"))
        waiting = asyncio.create_task(llm.ainvoke("Hi"))
        await asyncio.sleep(0.01)
        assert llm.rate_limit_status().waiting == 1
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        assert llm.rate_limit_status().waiting == 0
        permit.release()
        assert (await llm.ainvoke("Hi")).text == "Hello"

    asyncio.run(main())
