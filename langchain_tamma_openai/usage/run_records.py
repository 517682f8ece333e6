"""Makes the record of a model run out of what was known of it and how it ended.

A model that tells of its HTTP attempts is believed: the run is their sum. For every other model one
attempt is made up from the result, and where a stream broke off, from what had arrived.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import TYPE_CHECKING, cast

from langchain_core.messages import AIMessage
from langchain_core.outputs import LLMResult

from langchain_tamma_openai.kinds import ErrorKind
from langchain_tamma_openai.pricing import Cost, default_calculator
from langchain_tamma_openai.usage.reading import (
    CACHE_SOURCE,
    priced,
    read_failure,
    read_result,
    speaking_message,
)
from langchain_tamma_openai.usage.record import (
    AttemptOutcome,
    AttemptRecord,
    Delivery,
    Measurement,
    RunStatus,
    UsageRecord,
    total_cost,
    total_tokens,
)
from langchain_tamma_openai.usage.run_labels import label, own_metadata, own_tags
from langchain_tamma_openai.usage.runs import OpenRun
from langchain_tamma_openai.usage.totals import RunUsage
from langchain_tamma_openai.wire.usage import TokenUsage, service_tier_of

if TYPE_CHECKING:
    from langchain_tamma_openai.tokens import TokenCounter

logger = logging.getLogger(__name__)

_FREE = Cost(Decimal(0), Decimal(0), Decimal(0), pricing_source=CACHE_SOURCE)
_NOTHING_SENT = Cost(Decimal(0), Decimal(0), Decimal(0))
_REFUSED_HERE = frozenset(
    {
        ErrorKind.BUDGET_EXCEEDED,
        ErrorKind.CIRCUIT_OPEN,
        ErrorKind.CONFIGURATION,
        ErrorKind.INVALID_PARAMETER,
        ErrorKind.INVALID_TOOL,
        ErrorKind.PROMPT,
        ErrorKind.STORAGE,
    }
)
"""Kinds of failure before anything is sent, unless a server's status stands beside them."""
_BROKEN_OFF = frozenset(
    {
        ErrorKind.CONNECTION,
        ErrorKind.MODEL_OVERLOADED,
        ErrorKind.SERVER_ERROR,
        ErrorKind.STREAM_INTERRUPTED,
        ErrorKind.TIMEOUT,
    }
)
_OUTCOMES = {
    ErrorKind.CONTENT_FILTER: AttemptOutcome.REFUSAL,
    ErrorKind.MALFORMED_RESPONSE: AttemptOutcome.PARSE_FAILURE,
    ErrorKind.OUTPUT_TRUNCATED: AttemptOutcome.PARSE_FAILURE,
    ErrorKind.REFUSAL: AttemptOutcome.REFUSAL,
}
_ID_PREFIXES = ("lc_run-", "run-", "lc_")


@dataclass(frozen=True, slots=True)
class _Answer:
    """What a result says about who answered."""

    metadata: Mapping[str, object]
    usage: Mapping[str, object]
    message_id: str | None

    @classmethod
    def of(cls, message: AIMessage | None) -> _Answer:
        if message is None:
            return cls({}, {}, None)
        usage = cast("Mapping[str, object] | None", message.usage_metadata)
        return cls(message.response_metadata, usage or {}, message.id)

    @property
    def response_id(self) -> str | None:
        given = label(self.metadata.get("id"))
        if given is not None or self.message_id is None:
            return given
        return None if self.message_id.startswith(_ID_PREFIXES) else self.message_id

    @property
    def request_id(self) -> str | None:
        headers = self.metadata.get("headers")
        named = headers.get("x-request-id") if isinstance(headers, Mapping) else None
        return label(self.metadata.get("request_id") or named)

    @property
    def service_tier(self) -> str | None:
        return label(self.metadata.get("service_tier")) or service_tier_of(self.usage)

    @property
    def provider(self) -> str | None:
        return label(self.metadata.get("model_provider"))

    @property
    def api(self) -> str | None:
        """Tell OpenAI's two APIs apart by their ids."""
        name = self.response_id or ""
        if name.startswith("resp_"):
            return "responses"
        return "chat_completions" if name.startswith("chatcmpl-") else None


@dataclass(frozen=True, slots=True)
class _Failure:
    """What an error says."""

    error: BaseException
    kind: ErrorKind
    status: RunStatus
    code: str | None
    status_code: int | None
    request_id: str | None

    @classmethod
    def of(cls, error: BaseException, run: OpenRun) -> _Failure:
        kind = _kind_of(error)
        status_code = getattr(error, "status_code", None)
        return cls(
            error,
            kind,
            _status_of(kind, run),
            label(getattr(error, "code", None)),
            status_code if isinstance(status_code, int) else None,
            label(getattr(error, "request_id", None)),
        )

    @property
    def is_refused_here(self) -> bool:
        return self.kind in _REFUSED_HERE and self.status_code is None


def record_of_result(run: OpenRun, response: LLMResult) -> UsageRecord:
    """Make the record of a run that ended well.

    Args:
        run: What is known of it.
        response: What it answered.
    """
    ended_s = time.perf_counter()
    answer = _Answer.of(speaking_message(response))
    if run.attempts:
        return _record(run, answer, ended_s)
    read = read_result(response, run.run_id)
    if read.cache_hit:
        return _record(run, answer, ended_s, model=read.model, cache_hit=True)
    run.attempts.append(_made_up_attempt(run, answer, read, ended_s))
    return _record(run, answer, ended_s)


def record_of_answer(run: OpenRun, ended_s: float) -> UsageRecord:
    """Make the record of a run of ours that ended well, out of its attempts alone.

    Args:
        run: What is known of it, with its attempts.
        ended_s: When it ended, on the clock of `OpenRun.started_s`.
    """
    return _record(run, _Answer.of(None), ended_s)


def record_of_failure(
    run: OpenRun, error: BaseException, response: LLMResult | None
) -> UsageRecord:
    """Make the record of a run that failed, broke off or was left.

    Args:
        run: What is known of it.
        error: What ended it.
        response: What had arrived, as LangChain gives it.
    """
    ended_s = time.perf_counter()
    failure = _Failure.of(error, run)
    message = _partial(response, error)
    answer = _Answer.of(message)
    read = read_failure(response, error, run.run_id)
    tells_attempts = run.has_facts or bool(run.attempts)
    if not tells_attempts and not failure.is_refused_here:
        run.attempts.append(_made_up_failure(run, answer, failure, (read, message), ended_s))
    return _record(run, answer, ended_s, model=read.model, failure=failure)


def counted(record: UsageRecord) -> RunUsage:
    """Say what a record adds to running totals.

    Args:
        record: The record of a run.
    """
    failed = record.status is not RunStatus.OK
    if failed and not record.attempts:
        return RunUsage(record.model, failed=True, run_id=record.run_id)
    return RunUsage(
        record.model, record.tokens, record.cost, record.cache_hit, failed, record.run_id
    )


def _record(
    run: OpenRun,
    answer: _Answer,
    ended_s: float,
    *,
    model: str | None = None,
    cache_hit: bool = False,
    failure: _Failure | None = None,
) -> UsageRecord:
    """Put the record together; long because the record has many fields."""
    attempts = () if cache_hit else _in_order(run.attempts)
    last = attempts[-1] if attempts else None
    facts = run.facts
    tokens, cost, estimated = _sums(attempts, cache_hit=cache_hit)
    metadata = own_metadata(run.metadata)
    first_s = run.first_token_s
    return UsageRecord(
        run_id=run.run_id,
        parent_run_id=run.parent_run_id,
        root_run_id=run.root_run_id,
        started_at=run.started_at,
        latency_s=ended_s - run.started_s,
        time_to_first_token_s=None if first_s is None else first_s - run.started_s,
        status=RunStatus.OK if failure is None else failure.status,
        streamed=first_s is not None,
        cache_hit=cache_hit,
        provider=answer.provider or run.provider,
        api=label(facts.get("api")) or (last.api if last else None) or answer.api,
        requested_model=label(facts.get("requested_model"))
        or run.requested_model
        or (attempts[0].requested_model if attempts else None),
        model=(last.model if last else None) or model,
        service_tier=(last.service_tier if last else None) or answer.service_tier,
        tokens=tokens,
        cost=cost,
        estimated=estimated,
        attempts=len(attempts),
        attempt_records=attempts,
        fallback=label(facts.get("fallback")),
        error_kind=None if failure is None else failure.kind.value,
        error_code=None if failure is None else failure.code,
        request_id=(last.request_id if last else None) or answer.request_id,
        response_id=(last.response_id if last else None) or answer.response_id,
        user_id=label(run.metadata.get("user_id")) or label(facts.get("user")),
        organization_id=label(run.metadata.get("organization_id")),
        tags=own_tags(run.tags),
        metadata=metadata,
        prompt_id=label(facts.get("prompt_id")),
        prompt_version=label(facts.get("prompt_version")),
    )


def _in_order(attempts: list[AttemptRecord]) -> tuple[AttemptRecord, ...]:
    if len(attempts) > 1:
        attempts = sorted(attempts, key=lambda each: each.number)
    return tuple(attempts)


def _sums(
    attempts: tuple[AttemptRecord, ...], *, cache_hit: bool
) -> tuple[TokenUsage | None, Cost | None, bool]:
    """Add attempts up; where nothing was sent, nothing was used, and that is known."""
    if not attempts:
        return TokenUsage(), _FREE if cache_hit else _NOTHING_SENT, False
    if len(attempts) == 1 and (only := attempts[0]).tokens is not None:
        own = only.cost or Cost()
        return only.tokens, own, only.measurement is Measurement.ESTIMATED or own.estimated
    cost = total_cost(attempts)
    estimated = any(each.measurement is Measurement.ESTIMATED for each in attempts)
    return total_tokens(attempts), cost, estimated or (cost is not None and cost.estimated)


# --- the one attempt of a model that tells of none ---


def _made_up_attempt(
    run: OpenRun, answer: _Answer, read: RunUsage, ended_s: float
) -> AttemptRecord:
    """Take a run that ended well for one attempt that did."""
    cost = _with_parts(read, answer)
    is_estimate = cost is not None and cost.estimated
    measured = Measurement.ESTIMATED if is_estimate else Measurement.MEASURED
    first_s = run.first_token_s
    return AttemptRecord(
        run_id=run.run_id,
        number=1,
        started_at=run.started_at,
        latency_s=ended_s - run.started_s,
        outcome=AttemptOutcome.SUCCESS,
        measurement=Measurement.UNKNOWN if read.usage is None else measured,
        requested_model=run.requested_model,
        model=read.model,
        api=answer.api,
        service_tier=answer.service_tier,
        request_id=answer.request_id,
        response_id=answer.response_id,
        tokens=read.usage,
        cost=cost,
        time_to_first_token_s=None if first_s is None else first_s - run.started_s,
    )


def _made_up_failure(
    run: OpenRun,
    answer: _Answer,
    failure: _Failure,
    found: tuple[RunUsage, AIMessage | None],
    ended_s: float,
) -> AttemptRecord:
    """Take a failed run for one failed attempt, with an estimate of what it used."""
    read, message = found
    is_measured = bool(answer.usage)
    model = read.model or run.requested_model
    tokens = read.usage or _estimate(run, message, model)
    cost = read.cost if read.usage is not None else None
    if tokens is not None and cost is None:
        cost = priced(tokens, answer.metadata, model, estimated=True)
    attempt = _made_up_attempt(run, answer, replace(read, usage=tokens, cost=cost), ended_s)
    got_something = failure.status_code is not None or run.first_token_s is not None or tokens
    return replace(
        attempt,
        outcome=_outcome(failure),
        delivery=Delivery.ANSWERED if got_something else Delivery.SENT_OUTCOME_UNKNOWN,
        measurement=_measurement(tokens, is_measured=is_measured),
        cost=cost,
        status_code=failure.status_code,
        error_kind=failure.kind.value,
        error_code=failure.code,
        request_id=attempt.request_id or failure.request_id,
    )


def _measurement(tokens: TokenUsage | None, *, is_measured: bool) -> Measurement:
    if tokens is None:
        return Measurement.UNKNOWN
    return Measurement.MEASURED if is_measured else Measurement.ESTIMATED


def _with_parts(read: RunUsage, answer: _Answer) -> Cost | None:
    """Find the parts of a cost that came without them; another total is not explained by ours."""
    cost = read.cost
    if cost is None or cost.parts or cost.total_usd is None or read.usage is None:
        return cost
    model, tier = read.model or "", answer.service_tier
    if default_calculator().prices(model, service_tier=tier) is None:
        return cost
    ours = default_calculator().cost(read.usage, model, service_tier=tier)
    same = (ours.input_usd, ours.output_usd) == (cost.input_usd, cost.output_usd)
    return replace(cost, parts=ours.parts) if same else cost


def _estimate(run: OpenRun, message: AIMessage | None, model: str | None) -> TokenUsage | None:
    """Count prompt and partial answer of a stream that ended early; None when nothing came."""
    text = "".join(run.received) or (_written(message) if message is not None else "")
    if not text:
        return None
    from langchain_tamma_openai.tokens import TokenCounter

    counter = TokenCounter()
    try:
        output_tokens = int(counter.count_text(text, model or ""))
        input_tokens = _prompt_tokens(counter, run, model or "")
    except Exception:
        logger.debug("The tokens of a broken stream could not be estimated.", exc_info=True)
        return None
    return TokenUsage(input_tokens, output_tokens, input_tokens + output_tokens)


def _prompt_tokens(counter: TokenCounter, run: OpenRun, model: str) -> int:
    if run.prompts:
        return sum(counter.count_text(prompt, model) for prompt in run.prompts)
    tools = run.params.get("tools")
    return int(
        counter.count_messages(run.messages, model, tools if isinstance(tools, list) else None)
    )


def _written(message: AIMessage) -> str:
    calls = (f"{call['name']}{call['args']}" for call in message.tool_calls)
    return "".join((message.text, *calls))


def _partial(response: LLMResult | None, error: BaseException) -> AIMessage | None:
    received = None if response is None else speaking_message(response)
    partial = getattr(error, "partial", None)
    return received or (partial if isinstance(partial, AIMessage) else None)


# --- what an error means ---


def _kind_of(error: BaseException) -> ErrorKind:
    from langchain_tamma_openai.resilience.classify import ErrorClassifier

    return ErrorClassifier().classify(error).kind


def _status_of(kind: ErrorKind, run: OpenRun) -> RunStatus:
    if kind is ErrorKind.CANCELLED:
        return RunStatus.CANCELLED
    if kind is ErrorKind.STREAM_INTERRUPTED:
        return RunStatus.INTERRUPTED
    broke_off = run.first_token_s is not None and kind in _BROKEN_OFF
    return RunStatus.INTERRUPTED if broke_off else RunStatus.ERROR


def _outcome(failure: _Failure) -> AttemptOutcome:
    by_status = {
        RunStatus.CANCELLED: AttemptOutcome.ABORT,
        RunStatus.INTERRUPTED: AttemptOutcome.CUT,
    }
    return by_status.get(failure.status) or _OUTCOMES.get(failure.kind, AttemptOutcome.ERROR)
