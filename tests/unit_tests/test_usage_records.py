"""One immutable record for each model run, whatever the model and however the run is started."""

from __future__ import annotations

import asyncio
import json
import logging
import threading
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import pytest
from langchain_core.caches import InMemoryCache
from langchain_core.language_models.fake_chat_models import FakeListChatModel
from langchain_core.messages import AIMessage
from langchain_core.outputs import ChatGeneration, LLMResult
from langchain_core.runnables import Runnable, RunnableConfig, RunnableLambda
from langchain_core.tools import tool
from langchain_core.tracers.run_collector import RunCollectorCallbackHandler
from pydantic import SecretStr
from recording import (
    STREAMED,
    USAGE,
    WAYS,
    Collector,
    OtherModel,
    attempt,
    call_ainvoke,
    call_astream,
)

from langchain_tamma_openai.errors import (
    RateLimitError,
)
from langchain_tamma_openai.pricing import Cost
from langchain_tamma_openai.usage.callbacks import (
    AsyncUsageCallbackHandler,
    UsageCallbackHandler,
    get_usage_callback,
)
from langchain_tamma_openai.usage.record import (
    AttemptOutcome,
    Delivery,
    Measurement,
    RunStatus,
    UsageRecord,
)
from langchain_tamma_openai.usage.runs import OpenRun, RunBook
from langchain_tamma_openai.usage.totals import RunUsage
from langchain_tamma_openai.wire.usage import TokenUsage

COST = Decimal("0.00277")
HANDLERS = [UsageCallbackHandler, AsyncUsageCallbackHandler]
Handler = UsageCallbackHandler | AsyncUsageCallbackHandler


@pytest.fixture
def ledger() -> Collector:
    return Collector()


@pytest.mark.parametrize("handler_class", HANDLERS)
@pytest.mark.parametrize("way", WAYS)
def test_every_way_to_call_a_model_gives_the_same_record(
    ledger: Collector, way: str, handler_class: type[Handler]
) -> None:
    handler = handler_class(ledger)
    WAYS[way](OtherModel(), {"callbacks": [handler]})
    record = ledger.only
    assert record.status is RunStatus.OK
    assert record.tokens == TokenUsage.from_usage_metadata(USAGE)
    assert record.cost is not None
    assert record.cost.total_usd == COST
    assert sum(part.usd for part in record.cost.parts) == COST
    assert (record.requested_model, record.model) == ("gpt-6.1-sol", "gpt-6.1-sol-2026-08-01")
    assert (record.provider, record.api) == ("openai", "chat_completions")
    assert (record.service_tier, record.response_id) == ("default", "chatcmpl-1")
    assert not record.estimated
    assert record.streamed is (way in STREAMED)
    assert (record.time_to_first_token_s is not None) is (way in STREAMED)
    assert 0 <= (record.time_to_first_token_s or 0) <= record.latency_s
    assert record.started_at.utcoffset() is not None
    (only,) = record.attempt_records
    assert (record.attempts, only.outcome, only.delivery, only.measurement) == (
        1,
        AttemptOutcome.SUCCESS,
        Delivery.ANSWERED,
        Measurement.MEASURED,
    )
    assert (only.tokens, only.cost) == (record.tokens, record.cost)
    assert handler.totals.total_cost_usd == COST


def test_a_model_without_usage_is_recorded_with_unknown_tokens(ledger: Collector) -> None:
    model = FakeListChatModel(responses=["Hi."])
    model.invoke("Hello", {"callbacks": [UsageCallbackHandler(ledger)]})
    record = ledger.only
    assert (record.tokens, record.cost, record.attempts) == (None, None, 1)
    assert record.attempt_records[0].measurement is Measurement.UNKNOWN


def test_a_record_is_immutable(ledger: Collector) -> None:
    OtherModel().invoke("Hello", {"callbacks": [UsageCallbackHandler(ledger)]})
    with pytest.raises(AttributeError):
        ledger.only.attempts = 2  # type: ignore[misc]


# Who asked, and for what


def test_user_organization_tags_and_metadata_come_from_the_run(ledger: Collector) -> None:
    metadata = {
        "user_id": "u-1",
        "organization_id": 42,
        "feature": "search",
        "key": "sk-proj-abcdefghijk",
        "when": {"deep": [SecretStr("hidden"), float("nan"), UUID(int=1)]},
        "ls_provider_hint": "x",
        "lc_versions": {},
        "langgraph_step": 3,
        "thread_id": "t-1",
        "__pregel_task": "x",
    }
    config: RunnableConfig = {
        "callbacks": [UsageCallbackHandler(ledger)],
        "tags": ["blue", "sk-proj-abcdefghijk"],
        "metadata": metadata,
    }
    (RunnableLambda(str) | OtherModel()).invoke("Hello", config)
    record = ledger.only
    assert (record.user_id, record.organization_id) == ("u-1", "42")
    assert sorted(record.tags) == ["blue", "sk-***"]
    assert record.metadata == {
        "user_id": "u-1",
        "organization_id": 42,
        "feature": "search",
        "key": "sk-***",
        "when": {"deep": ["**********", "nan", str(UUID(int=1))]},
        "thread_id": "t-1",
    }
    json.dumps(record.metadata, allow_nan=False)


def test_what_only_the_model_knows_is_in_the_record(ledger: Collector) -> None:
    handler = UsageCallbackHandler(ledger)
    run_id = uuid4()
    facts = {
        "user": "u-2",
        "fallback": "rate_limit",
        "prompt_id": "greeting",
        "prompt_version": "3",
        "requested_model": "gpt-6-luna",
        "api": "responses",
    }
    handler.on_run_facts(run_id, facts)
    handler.on_attempt(attempt(run_id))
    handler.on_llm_end(LLMResult(generations=[]), run_id=run_id)
    record = ledger.only
    assert record.user_id == "u-2"
    assert (record.fallback, record.prompt_id, record.prompt_version) == (
        "rate_limit",
        "greeting",
        "3",
    )
    assert (record.requested_model, record.model) == ("gpt-6-luna", "gpt-6.1-sol")
    assert record.api == "responses"


def test_the_user_of_the_run_wins_over_the_users_argument(ledger: Collector) -> None:
    handler = UsageCallbackHandler(ledger)
    run_id = uuid4()
    handler.on_chat_model_start({}, [[]], run_id=run_id, metadata={"user_id": "u-1"})
    handler.on_run_facts(run_id, {"user": "u-2"})
    handler.on_llm_end(LLMResult(generations=[]), run_id=run_id)
    assert ledger.only.user_id == "u-1"


@pytest.mark.parametrize("is_async", [False, True])
def test_parents_and_roots_are_followed_through_chains_and_tools(
    ledger: Collector, *, is_async: bool
) -> None:
    @tool
    def ask(question: str) -> str:
        """Ask a model."""
        return str(OtherModel().invoke(question).content)

    handler, seen = UsageCallbackHandler(ledger), RunCollectorCallbackHandler()
    chain: Runnable[Any, AIMessage] = (
        RunnableLambda(lambda text: {"question": text}) | ask | OtherModel()
    )
    root_id = uuid4()
    config: RunnableConfig = {"callbacks": [handler, seen], "run_id": root_id}
    if is_async:
        asyncio.run(chain.ainvoke("Hello", config))
    else:
        chain.invoke("Hello", config)
    inner, outer = ledger.records
    assert {inner.root_run_id, outer.root_run_id} == {root_id}
    assert outer.parent_run_id == root_id
    assert inner.parent_run_id not in {None, root_id}
    assert handler._book is not None
    assert not handler._book._roots


def test_a_handler_of_the_model_asks_the_tracer_for_the_root(ledger: Collector) -> None:
    model = OtherModel(callbacks=[UsageCallbackHandler(ledger)])
    chain: Runnable[str, AIMessage] = RunnableLambda(str) | (RunnableLambda(str) | model)
    outer = RunnableLambda(chain.invoke)
    root_id = uuid4()
    traced: RunnableConfig = {"callbacks": [RunCollectorCallbackHandler()], "run_id": root_id}
    outer.invoke("Hello", traced)
    outer.invoke("Hello", {"run_id": uuid4()})
    with_tracer, without = ledger.records
    assert with_tracer.root_run_id == root_id
    assert without.root_run_id == without.parent_run_id != without.run_id


def test_a_run_on_its_own_is_its_own_root(ledger: Collector) -> None:
    OtherModel().invoke("Hello", {"callbacks": [UsageCallbackHandler(ledger)]})
    record = ledger.only
    assert (record.parent_run_id, record.root_run_id) == (None, record.run_id)


# Attempts


def test_a_run_is_the_sum_of_its_attempts(ledger: Collector) -> None:
    handler = UsageCallbackHandler(ledger)
    run_id = uuid4()
    half = Cost(Decimal("0.1"), Decimal("0.2"), Decimal("0.3"))
    lost = attempt(
        run_id,
        1,
        outcome=AttemptOutcome.RETRY,
        measurement=Measurement.ESTIMATED,
        tokens=TokenUsage(10, 5, 15),
        cost=half,
        request_id="req-1",
    )
    won = attempt(
        run_id,
        2,
        tokens=TokenUsage(10, 20, 30),
        cost=half,
        request_id="req-2",
        response_id="resp_2",
        service_tier="flex",
    )
    handler.on_attempt(won)
    handler.on_attempt(lost)
    message = AIMessage("Hi", usage_metadata={**USAGE})
    result = LLMResult(generations=[[ChatGeneration(message=message)]])
    for _ in range(3):
        handler.on_llm_end(result, run_id=run_id)
    record = ledger.only
    assert record.attempt_records == (lost, won)
    assert record.tokens == TokenUsage(20, 25, 45)
    assert record.cost is not None
    assert record.cost.total_usd == Decimal("0.6")
    assert record.estimated
    assert (record.request_id, record.response_id) == ("req-2", "resp_2")
    assert record.service_tier == "flex"
    assert handler.totals.total_tokens == 45


def test_attempts_that_come_too_late_change_nothing(ledger: Collector) -> None:
    handler = UsageCallbackHandler(ledger)
    run_id = uuid4()
    handler.on_llm_end(LLMResult(generations=[]), run_id=run_id)
    handler.on_attempt(attempt(run_id))
    handler.on_run_facts(run_id, {"user": "u"})
    handler.on_llm_error(ValueError("late"), run_id=run_id)
    assert ledger.only.status is RunStatus.OK
    assert handler._book is not None
    assert len(handler._book) == 0


def test_a_refusal_of_a_model_that_tells_its_attempts_sent_nothing(ledger: Collector) -> None:
    handler = UsageCallbackHandler(ledger)
    run_id = uuid4()
    handler.on_run_facts(run_id, {"api": "responses"})
    handler.on_llm_error(RateLimitError("waited too long"), run_id=run_id)
    record = ledger.only
    assert (record.attempts, record.status) == (0, RunStatus.ERROR)
    assert record.tokens == TokenUsage()
    assert record.cost is not None
    assert record.cost.total_usd == 0
    assert (handler.totals.requests, handler.totals.failed_requests) == (0, 1)


# Caches


def test_a_cache_hit_is_a_run_without_attempts_that_cost_nothing(ledger: Collector) -> None:
    model = OtherModel(cache=InMemoryCache())
    config: RunnableConfig = {"callbacks": [UsageCallbackHandler(ledger)]}
    model.invoke("Hello", config)
    model.invoke("Hello", config)
    asked, hit = ledger.records
    assert not asked.cache_hit
    assert (hit.cache_hit, hit.attempts, hit.attempt_records) == (True, 0, ())
    assert hit.tokens == TokenUsage()
    assert hit.cost is not None
    assert hit.cost.total_usd == 0
    assert hit.cost.pricing_source == "cache"
    assert hit.model == "gpt-6.1-sol-2026-08-01"


# Robustness


class Broken(Collector):
    def record(self, record: UsageRecord, /) -> None:
        super().record(record)
        raise ValueError("password at postgresql://me:secret@host/db")


def test_a_tracker_that_fails_does_not_fail_the_call_and_is_told_of_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    handler = UsageCallbackHandler(Broken())
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            assert OtherModel().invoke("Hello", {"callbacks": [handler]}).content
    told = [entry for entry in caplog.records if "could not take note" in entry.getMessage()]
    assert len(told) == 1
    assert "secret" not in caplog.text
    assert handler.totals.requests == 3


def test_runs_that_never_end_are_bounded() -> None:
    book = RunBook(max_open_runs=10)
    ids = [uuid4() for _ in range(50)]
    for run_id in ids:
        assert book.open(OpenRun(run_id=run_id))
        book.open_chain(run_id, None)
    assert len(book) == len(book._roots) == 10
    assert book.find(ids[0]) is None
    assert book.find(ids[-1]) is not None
    assert not book.open(OpenRun(run_id=ids[-1]))
    book.close(ids[-1])
    assert book.find_or_open(ids[-1]) is None


def test_one_handler_serves_many_threads(ledger: Collector) -> None:
    model = OtherModel(callbacks=[UsageCallbackHandler(ledger)])

    def work() -> None:
        for _ in range(25):
            list(model.stream("Hello"))

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({record.run_id for record in ledger.records}) == 200
    assert {record.cost.total_usd for record in ledger.records if record.cost} == {COST}


class SyncLedger(Collector):
    durability = "sync"

    def __init__(self) -> None:
        super().__init__()
        self.threads: set[int] = set()

    def record(self, record: UsageRecord, /) -> None:
        super().record(record)
        self.threads.add(threading.get_ident())


@pytest.mark.parametrize("handler_class", HANDLERS)
async def test_a_ledger_that_blocks_is_kept_off_the_event_loop(
    handler_class: type[Handler],
) -> None:
    ledger = SyncLedger()
    handler = handler_class(ledger)
    assert handler.run_inline is (handler_class is AsyncUsageCallbackHandler)
    await call_astream(OtherModel(), {"callbacks": [handler]})
    await call_ainvoke(OtherModel(), {"callbacks": [handler]})
    streamed, plain = ledger.records
    assert (streamed.streamed, plain.streamed) == (True, False)
    assert streamed.tokens == plain.tokens == TokenUsage.from_usage_metadata(USAGE)
    assert threading.get_ident() not in ledger.threads


def test_handlers_that_only_count_listen_to_nothing_else() -> None:
    counting, recording = UsageCallbackHandler(), UsageCallbackHandler(Collector())
    for name in ("ignore_chat_model", "ignore_chain", "ignore_agent", "ignore_retriever"):
        assert getattr(counting, name)
        assert not getattr(recording, name)
    with get_usage_callback() as usage:
        OtherModel().invoke("Hello", {"callbacks": [recording]})
    assert usage.requests == 1


def test_an_answer_outside_callbacks_can_be_recorded(ledger: Collector) -> None:
    handler = UsageCallbackHandler(ledger)
    message = AIMessage(
        "x", usage_metadata={**USAGE}, response_metadata={"model_name": "gpt-6.1-sol"}
    )
    run_id = uuid4()
    handler.record_message(message, run_id)
    handler.record_message(message, run_id)
    assert ledger.only.run_id == run_id
    handler.record(RunUsage(run_id=uuid4()))
    assert handler.totals.requests == 2
