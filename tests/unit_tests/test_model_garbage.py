"""A call leaves nothing behind that only the garbage collector could take away."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from mock_api import MockAPI, completion, text_events
from responses_api import answered, streamed, text_message

from langchain_tamma_openai import (
    ChatTammaOpenAI,
    CircuitBreaker,
    OpenAIRateLimiter,
    QuotaMemory,
)
from langchain_tamma_openai.usage.callbacks import get_usage_callback

CALLS = 30
GOVERNED: dict[str, Callable[[], dict[str, Any]]] = {
    "bare": dict,
    "governed": lambda: {
        "rate_limiter": OpenAIRateLimiter(requests_per_minute=10**9),
        "circuit_breaker": CircuitBreaker(),
        "quota_memory": QuotaMemory(),
        "fallback_models": ["gpt-6-sol"],
        "total_timeout_s": 60,
    },
}


def replies(body: dict[str, Any]) -> Any:
    if "input" in body:
        whole = answered(text_message("Hello"))
        return streamed(whole) if body.get("stream") else whole
    return text_events() if body.get("stream") else completion()


class BareAPI(MockAPI):
    """Keeps nothing, so that nothing is kept."""

    def _handle(self, request: Any) -> Any:
        response = super()._handle(request)
        self.requests.clear()
        self.responses.clear()
        return response


def _stream(llm: ChatTammaOpenAI) -> None:
    for _ in llm.stream("Hi"):
        pass


def _left_stream(llm: ChatTammaOpenAI) -> None:
    stream = llm.stream("Hi")
    next(stream)
    stream.close()  # type: ignore[attr-defined]  # a generator


WAYS: dict[str, Callable[[ChatTammaOpenAI], object]] = {
    "invoke": lambda llm: llm.invoke("Hi"),
    "stream": _stream,
    "left stream": _left_stream,
}


async def _astream(llm: ChatTammaOpenAI) -> None:
    async for _ in llm.astream("Hi"):
        pass


ASYNC_WAYS: dict[str, Callable[[ChatTammaOpenAI], Any]] = {
    "ainvoke": lambda llm: llm.ainvoke("Hi"),
    "astream": _astream,
}


@pytest.fixture
def no_collection() -> Iterator[None]:
    gc.collect()
    gc.freeze()
    gc.disable()
    yield
    gc.enable()
    gc.unfreeze()


def ours() -> list[str]:
    """Name what of ours the collector finds."""
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        gc.collect()
        found = [type(thing) for thing in gc.garbage]
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
    return sorted({kind.__qualname__ for kind in found if "tamma" in kind.__module__})


@pytest.mark.usefixtures("no_collection")
@pytest.mark.parametrize("watched", [False, True], ids=["unwatched", "watched"])
@pytest.mark.parametrize("governors", GOVERNED)
@pytest.mark.parametrize("api", ["chat_completions", "responses"])
@pytest.mark.parametrize("way", WAYS)
def test_calls_leave_no_reference_cycles(
    way: str, api: str, governors: str, *, watched: bool
) -> None:
    llm = BareAPI(replies).tamma(use_responses_api=api == "responses", **GOVERNED[governors]())
    WAYS[way](llm)
    gc.collect()
    for _ in range(CALLS):
        if watched:
            with get_usage_callback():
                WAYS[way](llm)
        else:
            WAYS[way](llm)
    assert ours() == []


@pytest.mark.usefixtures("no_collection")
@pytest.mark.parametrize("governors", GOVERNED)
@pytest.mark.parametrize("api", ["chat_completions", "responses"])
@pytest.mark.parametrize("way", ASYNC_WAYS)
def test_async_calls_leave_no_reference_cycles(way: str, api: str, governors: str) -> None:
    async def main() -> list[str]:
        llm = BareAPI(replies).tamma(use_responses_api=api == "responses", **GOVERNED[governors]())
        await ASYNC_WAYS[way](llm)
        gc.collect()
        for _ in range(CALLS):
            await ASYNC_WAYS[way](llm)
        return ours()

    assert asyncio.run(main()) == []
