"""A model tells its own tracker of its runs, plain and streamed."""

from __future__ import annotations

import asyncio
import gc
import tracemalloc
from collections.abc import Callable
from dataclasses import fields

import httpx2
import pytest
from langchain_core.caches import InMemoryCache
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.runnables import RunnableConfig, RunnableLambda
from mock_api import MockAPI, Reply, atake, sse, stream_reply, take, text_events

from langchain_tamma_openai import Budget, TammaError, UsageCallbackHandler, UsageTracker
from langchain_tamma_openai.usage.record import RunStatus


class Listener(BaseCallbackHandler):
    """Any handler."""


def test_no_handler_is_put_among_the_callbacks_of_a_model() -> None:
    llm = MockAPI().tamma(usage_tracker=UsageTracker())
    assert llm.callbacks is None


@pytest.mark.parametrize("callbacks", [None, [Listener()]])
def test_every_kind_of_plain_run_is_recorded_once(
    callbacks: list[BaseCallbackHandler] | None,
) -> None:
    tracker = UsageTracker()
    llm = MockAPI().tamma(usage_tracker=tracker, callbacks=callbacks, cache=InMemoryCache())
    config: RunnableConfig = {
        "tags": ["mine"],
        "metadata": {"user_id": "ann"},
        "callbacks": [Listener()],
    }
    llm.invoke("Hello", config)
    llm.invoke("Hello", config)

    answered, cached = tracker.records()
    assert (answered.cache_hit, cached.cache_hit) == (False, True)
    assert answered.tags == ("mine",)
    assert {answered.user_id, cached.user_id} == {"ann"}
    assert (answered.attempts, cached.attempts) == (1, 0)


def test_a_plain_run_that_is_refused_is_recorded_without_attempts() -> None:
    tracker = UsageTracker()
    llm = MockAPI().tamma(usage_tracker=tracker, budget=Budget("0.0000001"))
    with pytest.raises(TammaError):
        llm.invoke("Hello")
    (record,) = tracker.records()
    assert (record.status, record.attempts) == (RunStatus.ERROR, 0)


def test_a_plain_run_in_chunks_says_when_the_first_came() -> None:
    tracker = UsageTracker()
    MockAPI().tamma(usage_tracker=tracker, streaming=True).invoke("Hello")
    (record,) = tracker.records()
    assert record.streamed
    assert 0 <= (record.time_to_first_token_s or -1) <= record.latency_s


BROKEN = (sse(text_events()[:3], done=False), httpx2.ReadError("reset"))
REFUSED = {"error": {"message": "no", "type": "invalid_request_error"}}


def _seen(tracker: UsageTracker) -> dict[str, object]:
    """Give the one record of a tracker without what differs from clock to clock."""
    (record,) = tracker.records()
    clocked = {"started_at", "latency_s", "time_to_first_token_s", "attempt_records"}
    told = {each.name: getattr(record, each.name) for each in fields(record)}
    attempts = [(row.outcome, row.delivery, row.tokens, row.cost) for row in record.attempt_records]
    return {**{name: told[name] for name in told.keys() - clocked}, "rows": attempts}


@pytest.mark.parametrize("is_async", [False, True])
@pytest.mark.parametrize(
    ("reply", "number"),
    [
        (lambda: stream_reply(sse(text_events())), 1000),
        (lambda: stream_reply(sse(text_events())), 2),
        (lambda: stream_reply(*BROKEN), 1000),
        (lambda: httpx2.Response(400, json=REFUSED), 1000),
    ],
    ids=["whole", "left", "broken", "refused"],
)
def test_a_streamed_run_is_recorded_as_a_handler_among_the_callbacks_would(
    reply: Callable[[], Reply], number: int, *, is_async: bool
) -> None:
    own, handlers = UsageTracker(), UsageTracker()
    llm = MockAPI(reply()).tamma(
        usage_tracker=own, stream_recovery="raise", tags=["model"], metadata={"team": "red"}
    )
    chain = RunnableLambda(lambda text: text) | llm
    config: RunnableConfig = {
        "callbacks": [UsageCallbackHandler(handlers)],
        "tags": ["mine"],
        "metadata": {"user_id": "ann"},
    }
    if is_async:
        asyncio.run(atake(chain.astream("Hello", config), number, TammaError))
    else:
        take(chain.stream("Hello", config), number, TammaError)

    seen = _seen(own)
    assert seen == _seen(handlers)
    assert seen["user_id"] == "ann"
    assert seen["tags"] == ("mine", "model")
    assert seen["parent_run_id"] is not None


def test_a_stream_that_the_end_of_its_loop_closes_is_recorded() -> None:
    tracker = UsageTracker()
    llm = MockAPI().tamma(usage_tracker=tracker)
    kept = []

    async def leave() -> None:
        for _ in range(20):
            stream = llm.astream("Hello")
            await anext(stream)
            kept.append(stream)

    asyncio.run(leave())
    assert [record.status for record in tracker.records()] == [RunStatus.CANCELLED] * 20


def test_a_stream_says_when_its_first_chunk_came() -> None:
    tracker = UsageTracker()
    list(MockAPI().tamma(usage_tracker=tracker).stream("Hello"))
    (record,) = tracker.records()
    assert record.streamed
    assert 0 <= (record.time_to_first_token_s or -1) <= record.latency_s


def test_a_stream_that_is_answered_whole_is_recorded_once() -> None:
    tracker = UsageTracker()
    list(MockAPI().tamma(usage_tracker=tracker, disable_streaming=True).stream("Hello"))
    (record,) = tracker.records()
    assert (record.streamed, record.attempts) == (False, 1)


def test_what_langchain_refuses_before_a_stream_begins_is_no_run() -> None:
    tracker = UsageTracker()
    stream = MockAPI().tamma(usage_tracker=tracker).stream(object())  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="Invalid input type"):
        next(stream)
    assert list(tracker.records()) == []


@pytest.mark.parametrize("streaming", [False, True])
def test_a_ledger_in_memory_keeps_no_request_alive(*, streaming: bool) -> None:
    api = MockAPI()
    llm = api.tamma(usage_tracker=UsageTracker(), streaming=streaming)
    llm.invoke("Hello")
    tracemalloc.start()
    for number in range(10):
        llm.invoke(f"{number}" * 1_000_000)
        api.requests.clear()
        api.responses.clear()
    gc.collect()
    kept_bytes, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert kept_bytes < 2_000_000
