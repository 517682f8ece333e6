"""One immutable record for each model run, and one for each HTTP attempt inside it.

Plain data: no clock, no I/O, no LangChain. Whoever watches a run makes the records; stores,
budgets, reports, exports and traces read them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from functools import reduce
from uuid import UUID

from langchain_tamma_openai.pricing_cost import Cost
from langchain_tamma_openai.wire.usage import TokenUsage

__all__ = [
    "AttemptOutcome",
    "AttemptRecord",
    "Delivery",
    "Measurement",
    "RunStatus",
    "UsageRecord",
    "total_cost",
    "total_tokens",
]


class RunStatus(StrEnum):
    """How a model run ended."""

    OK = "ok"
    ERROR = "error"
    INTERRUPTED = "interrupted"
    """The answer broke off: the connection, the server or a time limit ended it."""
    CANCELLED = "cancelled"
    """The caller left before the end."""


class AttemptOutcome(StrEnum):
    """How one HTTP attempt ended."""

    SUCCESS = "success"
    ERROR = "error"
    ABORT = "abort"
    """The caller left while the answer was on its way."""
    CUT = "cut"
    """The answer broke off."""
    PARSE_FAILURE = "parse_failure"
    """An answer came that could not be understood."""
    REFUSAL = "refusal"
    """The model or its content filter declined."""
    RETRY = "retry"
    """It failed and was repeated."""
    FALLBACK_LOSER = "fallback_loser"
    """It failed, and another model or account was asked instead."""


class Delivery(StrEnum):
    """What is known about a request having reached the server."""

    NEVER_SENT = "never_sent"
    SENT_OUTCOME_UNKNOWN = "sent_outcome_unknown"
    """It may have been answered, and billed, without anyone hearing of it."""
    ANSWERED = "answered"


class Measurement(StrEnum):
    """Where token counts come from."""

    MEASURED = "measured"
    ESTIMATED = "estimated"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptRecord:
    """One HTTP attempt of a model run.

    Attributes:
        run_id: The run it belongs to.
        number: 1 for the first attempt of the run, fallbacks included.
        started_at: When it began; UTC.
        latency_s: Seconds until it had ended.
        outcome: How it ended.
        delivery: Whether the server is known to have had it.
        measurement: Where `tokens` comes from.
        requested_model: The model that was asked for.
        model: The model that answered; None when none did.
        base_url: Root of the API without anything secret; None for OpenAI's own.
        api: "chat_completions" or "responses".
        service_tier: The tier that the answer names.
        status_code: HTTP status; None without an answer.
        error_kind: An `ErrorKind`'s value; None for a success.
        error_code: The server's code.
        request_id: The server's `x-request-id`.
        response_id: Id of the answer.
        tokens: What it used; None when unknown. Refused requests used none.
        cost: Its price; None when unknown.
        time_to_first_token_s: Seconds until the first chunk of a stream.
    """

    run_id: UUID
    number: int
    started_at: datetime
    latency_s: float
    outcome: AttemptOutcome
    delivery: Delivery = Delivery.ANSWERED
    measurement: Measurement = Measurement.MEASURED
    requested_model: str | None = None
    model: str | None = None
    base_url: str | None = None
    api: str | None = None
    service_tier: str | None = None
    status_code: int | None = None
    error_kind: str | None = None
    error_code: str | None = None
    request_id: str | None = None
    response_id: str | None = None
    tokens: TokenUsage | None = None
    cost: Cost | None = None
    time_to_first_token_s: float | None = None

    def __post_init__(self) -> None:
        """Give the time its zone."""
        object.__setattr__(self, "started_at", _utc(self.started_at))


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageRecord:
    """One model run, whatever it took: its tokens and cost are the sums of its attempts.

    Attributes:
        run_id: LangChain's id of the run; a store keeps one record for each.
        parent_run_id: The run around it.
        root_run_id: The outermost run known; the run's own id when nothing is around it.
        started_at: When it began; UTC.
        latency_s: Seconds from start to end.
        time_to_first_token_s: Seconds until the first chunk reached the caller.
        status: How it ended.
        streamed: Whether the caller received it in chunks.
        cache_hit: LangChain's cache answered; nothing was sent, and it cost nothing.
        provider: `model_provider` of the answer, such as "openai".
        api: "chat_completions" or "responses".
        requested_model: The model that was asked for.
        model: The model that served it; None when none did.
        service_tier: The tier that the answer names.
        tokens: Tokens of all attempts; None when nothing is known.
        cost: Price of all attempts; None, or None amounts, when it is not known.
        estimated: Whether a part of tokens or cost is an estimate.
        attempts: How many requests were made; 0 for a cache hit or a refusal before sending.
        attempt_records: One record for each of them, in order.
        fallback: Why another model or account served it, as an `ErrorKind`'s value; None when
            the call was served as it was asked for.
        error_kind: An `ErrorKind`'s value; None for a run that ended well.
        error_code: The server's code.
        request_id: The server's id of the last request.
        response_id: Id of the answer.
        user_id: From the run's metadata, else the model's `user`.
        organization_id: From the run's metadata.
        tags: The run's tags.
        metadata: The run's metadata without LangChain's own entries, as JSON values.
        prompt_id: Id of the registered system prompt.
        prompt_version: Its version.
    """

    run_id: UUID
    started_at: datetime
    latency_s: float = 0.0
    status: RunStatus = RunStatus.OK
    parent_run_id: UUID | None = None
    root_run_id: UUID | None = None
    time_to_first_token_s: float | None = None
    streamed: bool = False
    cache_hit: bool = False
    provider: str | None = None
    api: str | None = None
    requested_model: str | None = None
    model: str | None = None
    service_tier: str | None = None
    tokens: TokenUsage | None = None
    cost: Cost | None = None
    estimated: bool = False
    attempts: int = 1
    attempt_records: tuple[AttemptRecord, ...] = ()
    fallback: str | None = None
    error_kind: str | None = None
    error_code: str | None = None
    request_id: str | None = None
    response_id: str | None = None
    user_id: str | None = None
    organization_id: str | None = None
    tags: tuple[str, ...] = ()
    metadata: Mapping[str, object] = field(default_factory=dict)
    prompt_id: str | None = None
    prompt_version: str | None = None

    def __post_init__(self) -> None:
        """Give the time its zone and the run its root."""
        object.__setattr__(self, "started_at", _utc(self.started_at))
        if self.root_run_id is None:
            object.__setattr__(self, "root_run_id", self.parent_run_id or self.run_id)

    @property
    def ended_at(self) -> datetime:
        """When it ended; UTC."""
        return datetime.fromtimestamp(self.started_at.timestamp() + self.latency_s, UTC)


def total_tokens(attempts: Sequence[AttemptRecord]) -> TokenUsage | None:
    """Add up what attempts used; None when nothing is known of any.

    Args:
        attempts: The attempts of one run.
    """
    known = [attempt.tokens for attempt in attempts if attempt.tokens is not None]
    return sum(known[1:], known[0]) if known else None


def total_cost(attempts: Sequence[AttemptRecord]) -> Cost | None:
    """Add up what attempts cost; unknown when an attempt with tokens has no known price.

    Args:
        attempts: The attempts of one run.
    """
    costs = [attempt.cost or Cost() for attempt in attempts if attempt.tokens is not None]
    return reduce(Cost.__add__, costs) if costs else None


def _utc(moment: datetime) -> datetime:
    """Read a time without a zone as UTC."""
    if moment.tzinfo is UTC:
        return moment
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
