"""Each way a call can end: its attempt rows are what the server saw, its tokens what it delivered.

Through a real model with a tracker, over real connections, in both APIs.
"""

from __future__ import annotations

import asyncio
import json
import signal
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from decimal import Decimal
from types import FrameType
from typing import Any

import pytest
from accounting import BUSY, PRICES, PROMPT, Accountant, Entry, Plan, stream_events
from langchain_core.runnables import RunnableConfig
from loopback import Act, Json, LoopbackServer

from langchain_tamma_openai import ChatTammaOpenAI
from langchain_tamma_openai.errors import TammaError
from langchain_tamma_openai.resilience.retry import no_waiting
from langchain_tamma_openai.usage.record import (
    AttemptOutcome,
    AttemptRecord,
    Delivery,
    Measurement,
    RunStatus,
    UsageRecord,
)
from langchain_tamma_openai.usage.tracker import UsageTracker

Row = tuple[AttemptOutcome, Delivery, Measurement, int | None]
Ask = Callable[[ChatTammaOpenAI, RunnableConfig, int | None], None]
APIS = ("chat_completions", "responses")
LABELS: RunnableConfig = {
    "tags": ["blue"],
    "metadata": {"user_id": "u-1", "organization_id": "o-1", "ticket": 7},
}

OUT, DEL, MEA = AttemptOutcome, Delivery, Measurement
GOOD: Row = (OUT.SUCCESS, DEL.ANSWERED, MEA.MEASURED, 200)
GUESSED: Row = (OUT.SUCCESS, DEL.ANSWERED, MEA.ESTIMATED, 200)
CUT: Row = (OUT.CUT, DEL.ANSWERED, MEA.ESTIMATED, 200)
LOST: Row = (OUT.ERROR, DEL.SENT_OUTCOME_UNKNOWN, MEA.UNKNOWN, None)
LEFT: Row = (OUT.ABORT, DEL.SENT_OUTCOME_UNKNOWN, MEA.UNKNOWN, None)


def failed(status: int, outcome: AttemptOutcome = OUT.ERROR) -> Row:
    return outcome, DEL.ANSWERED, MEA.MEASURED, status


@dataclass(frozen=True)
class Case:
    """How a run goes, and the rows that it has to leave.

    Attributes:
        plans: What the server does.
        rows: The attempts.
        status: How the run ends.
        leave_after: Chunks after which the caller leaves; None for staying.
        fields: The model's.
        kind: What the model writes.
        unheard: Rows of requests that never reached the server.
    """

    plans: Sequence[Plan]
    rows: Sequence[Row]
    status: RunStatus = RunStatus.OK
    leave_after: int | None = None
    fields: Json = field(default_factory=dict)
    kind: str = "text"
    unheard: int = 0


HANG = Plan(before_head=Act.HOLD)
BROKEN = b'{"id": "x", "choices": "none", "output": 7, "model": "gpt-6-luna", "usage": USAGE}'
ERROR, INTERRUPTED, CANCELLED = RunStatus.ERROR, RunStatus.INTERRUPTED, RunStatus.CANCELLED
BAD_EVENT = b"data: {not json\n\n"
TWO_TRIES: Json = {"max_retries": 1}
OTHER: Json = {"fallback_models": ["gpt-6.1-sol"]}
PATIENCE: Json = {"stream_chunk_timeout": 0.2, "timeout": 0.3}

BOTH: dict[str, Case] = {
    "success": Case([Plan()], [GOOD]),
    "success of a tool call": Case([Plan(kind="tool")], [GOOD], kind="tool"),
    "refused request": Case([Plan(status=400)], [failed(400)], ERROR),
    "failing server": Case([Plan(status=500)], [failed(500)], ERROR),
    "reset before an answer": Case([Plan(before_head=Act.DROP)], [LOST], ERROR),
    "silence before an answer": Case([HANG], [LOST], ERROR, fields=PATIENCE),
    "retry": Case([Plan(status=500), Plan()], [failed(500, OUT.RETRY), GOOD], fields=TWO_TRIES),
    "retry of what was lost": Case(
        [Plan(before_head=Act.DROP), Plan()],
        [(OUT.RETRY, *LOST[1:]), GOOD],
        fields=TWO_TRIES,
    ),
    "fallback": Case(
        [Plan(status=503), Plan()], [failed(503, OUT.FALLBACK_LOSER), GOOD], fields=OTHER
    ),
    "all tries fail": Case(
        [Plan(status=500)], [failed(500, OUT.RETRY), failed(500)], ERROR, fields=TWO_TRIES
    ),
    "no usage": Case([Plan(tells_usage=False)], [GUESSED]),
    "no usage of a tool call": Case([Plan(tells_usage=False, kind="tool")], [GUESSED], kind="tool"),
    "refusal without usage": Case(
        [Plan(kind="refusal", tells_usage=False)],
        [(OUT.REFUSAL, DEL.ANSWERED, MEA.ESTIMATED, 200)],
        kind="refusal",
    ),
    "refusal": Case(
        [Plan(kind="refusal")], [(OUT.REFUSAL, DEL.ANSWERED, MEA.MEASURED, 200)], kind="refusal"
    ),
}
PLAIN: dict[str, Case] = {
    "garbage with usage": Case(
        [Plan(raw=BROKEN)], [(OUT.PARSE_FAILURE, DEL.ANSWERED, MEA.MEASURED, 200)], ERROR
    ),
    "garbage": Case(
        [Plan(raw=b"<html>")], [(OUT.PARSE_FAILURE, DEL.ANSWERED, MEA.ESTIMATED, 200)], ERROR
    ),
    "cut in its body": Case([Plan(then=Act.DROP)], [LOST], ERROR),
    "left while waiting": Case([HANG], [LEFT], CANCELLED, leave_after=0),
}
STREAMED: dict[str, Case] = {
    f"cut after {pieces}": Case([Plan(after=pieces, then=Act.DROP)], [CUT], INTERRUPTED)
    for pieces in (1, 4, 9)
} | {
    "ended too early": Case([Plan(after=5)], [CUT], INTERRUPTED),
    "tool call cut": Case(
        [Plan(kind="tool", after=2, then=Act.DROP)], [CUT], INTERRUPTED, kind="tool"
    ),
    "refusal cut": Case(
        [Plan(kind="refusal", after=5, then=Act.DROP)],
        [CUT],
        INTERRUPTED,
        kind="refusal",
    ),
    "stall": Case([Plan(after=4, then=Act.HOLD)], [CUT], INTERRUPTED, fields=PATIENCE),
    "left": Case(
        [Plan(after=4, then=Act.HOLD)],
        [(OUT.ABORT, DEL.ANSWERED, MEA.ESTIMATED, 200)],
        CANCELLED,
        leave_after=4,
    ),
    "left at the first chunk": Case(
        [Plan(after=1, then=Act.HOLD)],
        [(OUT.ABORT, DEL.ANSWERED, MEA.ESTIMATED, 200)],
        CANCELLED,
        leave_after=1,
    ),
    "garbage in the middle": Case([Plan(after=4, then=BAD_EVENT)], [CUT], INTERRUPTED),
    "server without stream_options": Case(
        [Plan(refuses_stream_options=True, tells_usage=False)],
        [failed(400, OUT.RETRY), GUESSED],
        fields={"stream_usage": True},
    ),
}
REASONING: dict[str, Case] = {
    "reasoning cut": Case(
        [Plan(kind="reasoning", after=6, then=Act.DROP)], [CUT], INTERRUPTED, kind="reasoning"
    ),
}


# --- the ways to call -----------------------------------------------------------------------------


def invoke(model: ChatTammaOpenAI, config: RunnableConfig, leave_after: int | None) -> None:
    with suppress(TammaError, KeyboardInterrupt), interrupt(leave_after):
        model.invoke(PROMPT, config)


def ainvoke(model: ChatTammaOpenAI, config: RunnableConfig, leave_after: int | None) -> None:
    async def main() -> None:
        task = asyncio.create_task(model.ainvoke(PROMPT, config))
        if leave_after is not None:
            await asyncio.sleep(0.2)
            task.cancel()
        with suppress(TammaError, asyncio.CancelledError):
            await task
        await model.aclose()

    asyncio.run(main())


def stream(model: ChatTammaOpenAI, config: RunnableConfig, leave_after: int | None) -> None:
    chunks: Any = model.stream(PROMPT, config)
    with suppress(TammaError):
        texts = 0
        for chunk in chunks:
            texts += bool(chunk.text)
            if texts == leave_after:
                chunks.close()
                return


def astream(model: ChatTammaOpenAI, config: RunnableConfig, leave_after: int | None) -> None:
    async def main() -> None:
        chunks: Any = model.astream(PROMPT, config)
        with suppress(TammaError):
            texts = 0
            async for chunk in chunks:
                texts += bool(chunk.text)
                if texts == leave_after:
                    await chunks.aclose()
                    break
        await model.aclose()

    asyncio.run(main())


def cancelled_astream(
    model: ChatTammaOpenAI, config: RunnableConfig, leave_after: int | None
) -> None:
    async def main() -> None:
        seen = asyncio.Event()

        async def read() -> None:
            texts = 0
            async for chunk in model.astream(PROMPT, config):
                texts += bool(chunk.text)
                if texts == leave_after:
                    seen.set()

        task = asyncio.create_task(read())
        await asyncio.wait_for(seen.wait(), 10)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        await model.aclose()

    asyncio.run(main())


@contextmanager
def interrupt(leave_after: int | None) -> Iterator[None]:
    """Press Ctrl-C a little later."""
    if leave_after is None:
        yield
        return

    def press(_signal: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, press)
    signal.setitimer(signal.ITIMER_REAL, 0.3)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


PLAIN_ASKS: dict[str, Ask] = {"invoke": invoke, "ainvoke": ainvoke}
STREAM_ASKS: dict[str, Ask] = {"stream": stream, "astream": astream}


# --- what has to be so ----------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def _no_waiting() -> Iterator[None]:
    with no_waiting():
        yield


def run_case(case: Case, ask: Ask, api: str) -> tuple[UsageRecord, Accountant]:
    accountant, tracker = Accountant(case.plans), UsageTracker()
    with LoopbackServer(accountant) as server:
        model = server.model(
            use_responses_api=api == "responses",
            usage_tracker=tracker,
            price_overrides=PRICES,
            **{"stream_usage": True, **case.fields},
        )
        ask(model, LABELS, case.leave_after)
    (record,) = tracker.records()
    assert list(tracker.attempts()) == list(record.attempt_records)
    return record, accountant


def check(case: Case, record: UsageRecord, entries: Sequence[Entry], api: str) -> None:
    attempts = record.attempt_records
    rows = [(a.outcome, a.delivery, a.measurement, a.status_code) for a in attempts]
    assert rows == list(case.rows)
    assert len(attempts) == len(entries) == record.attempts
    assert [a.number for a in attempts] == list(range(1, len(attempts) + 1))
    assert {a.api for a in attempts} == {api} == {entry.api for entry in entries}
    for attempt, entry in zip(attempts, entries, strict=True):
        check_amounts(attempt, entry)
    check_run(case, record)


def check_amounts(attempt: AttemptRecord, entry: Entry) -> None:
    if attempt.measurement is Measurement.UNKNOWN:
        assert attempt.tokens is None
        assert attempt.cost is None
        return
    assert attempt.tokens is not None
    assert attempt.cost is not None
    if attempt.measurement is Measurement.MEASURED:
        assert attempt.tokens.input_tokens == entry.input_tokens
        assert attempt.tokens.output_tokens == entry.output_tokens
        assert attempt.cost.total_usd == entry.usd
        assert not attempt.cost.estimated
        return
    assert attempt.cost.estimated
    assert near(attempt.tokens.input_tokens, entry.input_tokens)
    if attempt.outcome is not AttemptOutcome.PARSE_FAILURE:
        assert near(attempt.tokens.output_tokens, entry.output_tokens)


def near(estimate: int, real: int) -> bool:
    return abs(estimate - real) <= max(3, real * 0.05)


def check_run(case: Case, record: UsageRecord) -> None:
    known = [attempt for attempt in record.attempt_records if attempt.tokens is not None]
    assert record.status is case.status
    if known:
        assert record.tokens is not None
        assert record.cost is not None
        assert record.tokens.total_tokens == sum(a.tokens.total_tokens for a in known if a.tokens)
        costs = [a.cost.total_usd for a in known if a.cost and a.cost.total_usd is not None]
        assert record.cost.total_usd == sum(costs, Decimal(0))
    else:
        assert record.tokens is None
    assert record.estimated == any(row[2] is Measurement.ESTIMATED for row in case.rows)
    assert (record.user_id, record.organization_id) == ("u-1", "o-1")
    assert (record.tags, record.metadata["ticket"]) == (("blue",), 7)
    assert record.requested_model == "gpt-6-luna"
    assert record.fallback == ("server_error" if "fallback_models" in case.fields else None)
    assert (record.error_kind is None) == (case.status is RunStatus.OK)
    assert record.root_run_id == record.run_id
    assert record.latency_s >= sum(a.latency_s for a in record.attempt_records) - 0.001
    last = record.attempt_records[-1]
    if last.status_code is not None:
        assert last.request_id == record.request_id == "req_1"
    if last.outcome is AttemptOutcome.SUCCESS:
        assert record.response_id == last.response_id
        assert str(record.response_id).endswith("_7") or record.response_id == "chatcmpl-7"
        assert record.model == "gpt-6-luna"


@pytest.mark.parametrize("api", APIS)
@pytest.mark.parametrize("ask", PLAIN_ASKS.values(), ids=PLAIN_ASKS)
@pytest.mark.parametrize("case", [*BOTH.values(), *PLAIN.values()], ids=[*BOTH, *PLAIN])
def test_rows_of_a_plain_run_are_what_the_server_saw(case: Case, ask: Ask, api: str) -> None:
    record, accountant = run_case(case, ask, api)
    check(case, record, accountant.entries, api)
    assert not record.streamed
    assert record.time_to_first_token_s is None


@pytest.mark.parametrize("api", APIS)
@pytest.mark.parametrize("ask", STREAM_ASKS.values(), ids=STREAM_ASKS)
@pytest.mark.parametrize("case", [*BOTH.values(), *STREAMED.values()], ids=[*BOTH, *STREAMED])
def test_rows_of_a_streamed_run_are_what_the_server_saw(case: Case, ask: Ask, api: str) -> None:
    if case.rows[-1] is GUESSED and len(case.rows) == 2 and api == "responses":
        case = Case([Plan(tells_usage=False)], [GUESSED])  # it has no such option to refuse
    record, accountant = run_case(case, ask, api)
    check(case, record, accountant.entries, api)
    shown = case.rows[-1][3] == 200 and not (case.rows[-1] is CUT and case.kind == "refusal")
    if shown:
        assert record.streamed
        assert record.time_to_first_token_s is not None
        assert 0 < record.time_to_first_token_s <= record.latency_s
        assert record.attempt_records[-1].time_to_first_token_s is not None


@pytest.mark.parametrize("ask", STREAM_ASKS.values(), ids=STREAM_ASKS)
@pytest.mark.parametrize("case", REASONING.values(), ids=REASONING)
def test_shown_reasoning_of_a_broken_stream_is_counted(case: Case, ask: Ask) -> None:
    record, accountant = run_case(case, ask, "responses")
    check(case, record, accountant.entries, "responses")
    assert record.tokens is not None
    assert record.tokens.reasoning_tokens == record.tokens.output_tokens


@pytest.mark.parametrize("api", APIS)
def test_a_cancelled_task_leaves_the_row_of_an_aborted_stream(api: str) -> None:
    case = STREAMED["left"]
    record, accountant = run_case(case, cancelled_astream, api)
    check(case, record, accountant.entries, api)


@pytest.mark.parametrize("api", APIS)
@pytest.mark.parametrize("ask", [*PLAIN_ASKS.values(), *STREAM_ASKS.values()])
def test_what_nobody_took_is_a_row_that_was_never_sent(ask: Ask, api: str) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        tracker = UsageTracker()
        model = ChatTammaOpenAI(
            model="gpt-6-luna",
            api_key="sk-test",
            base_url=f"http://127.0.0.1:{port}/v1",
            max_retries=0,
            use_responses_api=api == "responses",
            usage_tracker=tracker,
        )
        ask(model, LABELS, None)
    (record,) = tracker.records()
    (row,) = record.attempt_records
    assert (row.outcome, row.delivery) == (AttemptOutcome.ERROR, Delivery.NEVER_SENT)
    assert row.tokens is not None
    assert row.tokens.total_tokens == 0
    assert record.cost is not None
    assert record.cost.total_usd == 0
    assert (record.status, record.attempts) == (RunStatus.ERROR, 1)
    assert record.error_kind == "connection"


@pytest.mark.parametrize("ask", STREAM_ASKS.values(), ids=STREAM_ASKS)
@pytest.mark.parametrize("api", APIS)
def test_an_error_inside_a_stream_keeps_what_came_before(ask: Ask, api: str) -> None:
    events, _ = stream_events(api, "text", None)
    assert events
    error = {"type": "error", "sequence_number": 99, "code": "server_error", "message": "Oh"}
    payload = BUSY if api == "chat_completions" else error
    named = b"" if api == "chat_completions" else b"event: error\n"
    failure = named + b"data: " + json.dumps(payload).encode() + b"\n\n"
    case = Case([Plan(after=4, then=failure)], [CUT], INTERRUPTED)
    record, accountant = run_case(case, ask, api)
    check(case, record, accountant.entries, api)
