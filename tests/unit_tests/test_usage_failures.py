"""Runs that fail, break off or are left: nothing that a provider bills may vanish."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import uuid4

import pytest
from langchain_core.runnables import RunnableConfig, RunnableLambda
from recording import PIECES, STREAMED, WAYS, Collector, OtherModel, attempt, call_astream

from langchain_tamma_openai.errors import (
    CircuitOpenError,
    InvalidParameterError,
    RateLimitError,
    StreamInterruptedError,
)
from langchain_tamma_openai.tokens import TokenCounter
from langchain_tamma_openai.usage.callbacks import (
    AsyncUsageCallbackHandler,
    UsageCallbackHandler,
)
from langchain_tamma_openai.usage.record import (
    AttemptOutcome,
    Delivery,
    Measurement,
    RunStatus,
)
from langchain_tamma_openai.wire.usage import TokenUsage

HANDLERS = [UsageCallbackHandler, AsyncUsageCallbackHandler]
Handler = UsageCallbackHandler | AsyncUsageCallbackHandler


@pytest.fixture
def ledger() -> Collector:
    return Collector()


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("handler_class", HANDLERS)
def test_a_failure_before_any_answer_is_a_record_with_unknown_tokens(
    ledger: Collector, way: str, handler_class: type[Handler]
) -> None:
    error = RateLimitError("slow", code="rate_limit_exceeded", status_code=429, request_id="req-9")
    with pytest.raises(RateLimitError):
        WAYS[way](OtherModel(error=error), {"callbacks": [handler_class(ledger)]})
    record = ledger.only
    assert (record.status, record.tokens, record.cost) == (RunStatus.ERROR, None, None)
    assert (record.error_kind, record.error_code) == ("rate_limit", "rate_limit_exceeded")
    assert record.request_id == "req-9"
    (only,) = record.attempt_records
    assert (only.outcome, only.delivery, only.status_code) == (
        AttemptOutcome.ERROR,
        Delivery.ANSWERED,
        429,
    )


@pytest.mark.parametrize(
    "error", [InvalidParameterError("n: got 0"), CircuitOpenError("open")], ids=["input", "circuit"]
)
def test_what_is_refused_here_made_no_attempt(ledger: Collector, error: Exception) -> None:
    with pytest.raises(type(error)):
        OtherModel(error=error).invoke("Hello", {"callbacks": [UsageCallbackHandler(ledger)]})
    assert (ledger.only.attempts, ledger.only.status) == (0, RunStatus.ERROR)


def expected_estimate(pieces: int) -> TokenUsage:
    counter = TokenCounter()
    inputs = int(counter.count_messages([("user", "Hello")], "gpt-6.1-sol"))
    outputs = int(counter.count_text("".join(PIECES[:pieces]), "gpt-6.1-sol"))
    return TokenUsage(inputs, outputs, inputs + outputs)


@pytest.mark.parametrize("handler_class", HANDLERS)
@pytest.mark.parametrize("way", sorted(STREAMED))
@pytest.mark.parametrize(
    ("error", "status", "outcome"),
    [
        (StreamInterruptedError("cut"), RunStatus.INTERRUPTED, AttemptOutcome.CUT),
        (ConnectionResetError("reset"), RunStatus.INTERRUPTED, AttemptOutcome.CUT),
        (ValueError("odd"), RunStatus.ERROR, AttemptOutcome.ERROR),
    ],
    ids=["interrupted", "reset", "odd"],
)
def test_a_stream_that_fails_is_estimated_from_what_arrived(  # noqa: PLR0917 - parametrized
    ledger: Collector,
    way: str,
    handler_class: type[Handler],
    error: Exception,
    status: RunStatus,
    outcome: AttemptOutcome,
) -> None:
    model = OtherModel(error=error, error_at=3)
    with pytest.raises(type(error)):
        WAYS[way](model, {"callbacks": [handler_class(ledger)]})
    record = ledger.only
    assert (record.status, record.estimated) == (status, True)
    assert record.tokens == expected_estimate(3)
    assert record.cost is not None
    assert record.cost.total_usd
    assert record.cost.estimated
    (only,) = record.attempt_records
    assert (only.outcome, only.measurement, only.delivery) == (
        outcome,
        Measurement.ESTIMATED,
        Delivery.ANSWERED,
    )


def test_a_stream_that_is_left_is_cancelled_and_estimated(ledger: Collector) -> None:
    stream: Any = OtherModel().stream("Hello", {"callbacks": [UsageCallbackHandler(ledger)]})
    next(stream)
    next(stream)
    stream.close()
    record = ledger.only
    assert (record.status, record.attempt_records[0].outcome) == (
        RunStatus.CANCELLED,
        AttemptOutcome.ABORT,
    )
    assert record.tokens == expected_estimate(2)


@pytest.mark.parametrize("handler_class", HANDLERS)
async def test_an_async_stream_that_is_left_is_cancelled_and_estimated(
    ledger: Collector, handler_class: type[Handler]
) -> None:
    stream: Any = OtherModel().astream("Hello", {"callbacks": [handler_class(ledger)]})
    await anext(stream)
    await stream.aclose()
    assert ledger.only.status is RunStatus.CANCELLED
    assert ledger.only.tokens == expected_estimate(1)


@pytest.mark.parametrize("handler_class", HANDLERS)
async def test_a_cancelled_task_cancels_its_stream(
    ledger: Collector, handler_class: type[Handler]
) -> None:
    model = OtherModel(hangs_at=2)
    task = asyncio.create_task(call_astream(model, {"callbacks": [handler_class(ledger)]}))
    await model.hanging.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ledger.only.status is RunStatus.CANCELLED
    assert ledger.only.tokens == expected_estimate(2)


def test_ctrl_c_cancels(ledger: Collector) -> None:
    model = OtherModel(error=KeyboardInterrupt(), error_at=1)
    with pytest.raises(KeyboardInterrupt):
        list(model.stream("Hello", {"callbacks": [UsageCallbackHandler(ledger)]}))
    assert ledger.only.status is RunStatus.CANCELLED


async def test_a_cancelled_plain_call_in_a_chain_is_recorded_when_the_chain_ends(
    ledger: Collector,
) -> None:
    model = OtherModel(hangs_at=0)
    chain = RunnableLambda(str) | model
    config: RunnableConfig = {"callbacks": [UsageCallbackHandler(ledger)]}
    task = asyncio.create_task(chain.ainvoke("Hello", config))
    await model.hanging.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    record = ledger.only
    assert (record.status, record.tokens) == (RunStatus.CANCELLED, None)
    assert record.attempt_records[0].delivery is Delivery.SENT_OUTCOME_UNKNOWN


def test_a_model_can_say_itself_that_a_run_was_abandoned(ledger: Collector) -> None:
    handler = UsageCallbackHandler(ledger)
    run_id = uuid4()
    handler.on_chat_model_start({}, [[]], run_id=run_id)
    handler.on_attempt(attempt(run_id, outcome=AttemptOutcome.ABORT))
    handler.on_run_abandoned(run_id, asyncio.CancelledError())
    handler.on_llm_error(ValueError("late"), run_id=run_id)
    assert ledger.only.status is RunStatus.CANCELLED
    assert ledger.only.attempt_records[0].outcome is AttemptOutcome.ABORT
