"""A model tells its own tracker of plain runs, and lets it hear of streamed ones."""

from __future__ import annotations

import pytest
from langchain_core.caches import InMemoryCache
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.runnables import RunnableConfig
from mock_api import MockAPI

from langchain_tamma_openai import Budget, TammaError, UsageTracker
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
