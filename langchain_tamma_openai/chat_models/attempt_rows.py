"""The record of one HTTP attempt: its outcome, delivery, tokens and cost.

Loaded with the first attempt that somebody watches.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

from langchain_tamma_openai.chat_models.attempts import Attempt, response_of
from langchain_tamma_openai.chat_models.observing import answer_cost
from langchain_tamma_openai.kinds import ErrorKind
from langchain_tamma_openai.resilience.classify import ErrorClassifier, class_names
from langchain_tamma_openai.usage.record import (
    AttemptOutcome,
    AttemptRecord,
    Delivery,
    Measurement,
)
from langchain_tamma_openai.wire.usage import TokenUsage

if TYPE_CHECKING:
    import httpx2

    from langchain_tamma_openai.pricing_cost import Cost
    from langchain_tamma_openai.wire.completions import AnswerFacts

_CLASSIFIER = ErrorClassifier()
_NO_RUN = UUID(int=0)
_REFUSED = 400
# What the HTTP libraries and the SDK raise before a request can have reached anyone.
_NEVER_SENT = (
    ".ConnectError",
    ".ConnectTimeout",
    ".PoolTimeout",
    ".UnsupportedProtocol",
    ".LocalProtocolError",
    ".ProxyError",
    ".InvalidURL",
)
_OUTCOMES = {
    ErrorKind.CANCELLED: AttemptOutcome.ABORT,
    ErrorKind.STREAM_INTERRUPTED: AttemptOutcome.CUT,
    ErrorKind.MALFORMED_RESPONSE: AttemptOutcome.PARSE_FAILURE,
    ErrorKind.REFUSAL: AttemptOutcome.REFUSAL,
    ErrorKind.CONTENT_FILTER: AttemptOutcome.REFUSAL,
}


@dataclass(slots=True, eq=False)
class AnsweredAttempt:
    """A measured attempt that ended well: what its record needs, and nothing larger.

    The record itself is made when it is asked for, in the thread that asks.
    """

    run_id: UUID
    number: int
    began_at: datetime
    latency_s: float
    requested_model: str
    api: str
    model: str | None
    service_tier: str | None
    tokens: TokenUsage | None
    base_url: str | None
    status_code: int
    request_id: str | None
    response_id: str | None
    cost: Cost
    first_token_s: float | None
    is_refusal: bool

    def record(self) -> AttemptRecord:
        """Make the record."""
        return AttemptRecord(
            run_id=self.run_id,
            number=self.number,
            started_at=self.began_at,
            latency_s=self.latency_s,
            outcome=AttemptOutcome.REFUSAL if self.is_refusal else AttemptOutcome.SUCCESS,
            requested_model=self.requested_model,
            model=self.model,
            base_url=self.base_url,
            api=self.api,
            service_tier=self.service_tier,
            status_code=self.status_code,
            request_id=self.request_id,
            response_id=self.response_id,
            tokens=self.tokens,
            cost=self.cost,
            time_to_first_token_s=self.first_token_s,
        )


def answered(
    attempt: Attempt, run_id: UUID, response: httpx2.Response, facts: AnswerFacts, cost: Cost
) -> AnsweredAttempt:
    """Note a measured attempt that ends well now.

    Args:
        attempt: The attempt.
        run_id: The run it belongs to.
        response: Its answer.
        facts: What was read of it; its tokens are known.
        cost: What it cost.
    """
    received, call = attempt.received, attempt._call
    return AnsweredAttempt(
        run_id,
        max(1, attempt._number),
        attempt._began_at,
        time.monotonic() - attempt._started_s,
        call.model,
        call.api,
        facts.model,
        facts.service_tier,
        facts.tokens,
        attempt._base_url,
        response.status_code,
        response.headers.get("x-request-id"),
        received.response_id,
        cost,
        attempt.first_token_s,
        received.is_refusal,
    )


def attempt_row(attempt: Attempt, error: BaseException | None) -> AttemptRecord:
    """Describe an attempt that ends now.

    Args:
        attempt: The attempt.
        error: What ended it; None for a success.
    """
    received, call = attempt.received, attempt._call
    kind = None if error is None else _CLASSIFIER.classify(error).kind
    delivery = _delivery(attempt, error)
    tokens, measurement = _tokens(attempt, error, delivery)
    facts = received.facts
    response = attempt.response or response_of(error)
    return AttemptRecord(
        run_id=_NO_RUN if attempt._log is None else attempt._log.run_id,
        number=max(1, attempt._number),
        started_at=attempt._began_at,
        latency_s=time.monotonic() - attempt._started_s,
        outcome=_outcome(attempt, kind),
        delivery=delivery,
        measurement=measurement,
        requested_model=call.model,
        model=None if facts is None else facts.model,
        base_url=attempt._base_url,
        api=call.api,
        service_tier=None if facts is None else facts.service_tier,
        status_code=None if response is None else response.status_code,
        error_kind=None if kind is None else kind.value,
        error_code=_text(getattr(error, "code", None)),
        request_id=_text(None if response is None else response.headers.get("x-request-id")),
        response_id=received.response_id,
        tokens=tokens,
        cost=_cost(attempt, tokens, measurement),
        time_to_first_token_s=attempt.first_token_s,
    )


def _outcome(attempt: Attempt, kind: ErrorKind | None) -> AttemptOutcome:
    is_answered = attempt.response is not None and not attempt.response.is_error
    return outcome_of(kind, is_answered=is_answered, is_refusal=attempt.received.is_refusal)


def outcome_of(kind: ErrorKind | None, *, is_answered: bool, is_refusal: bool) -> AttemptOutcome:
    """Say how an attempt ended.

    Args:
        kind: What went wrong; None for nothing.
        is_answered: Whether the server carried the request out.
        is_refusal: Whether the model or its content filter declined.
    """
    if kind is None:
        return AttemptOutcome.REFUSAL if is_refusal else AttemptOutcome.SUCCESS
    if not is_answered:
        return AttemptOutcome.ABORT if kind is ErrorKind.CANCELLED else AttemptOutcome.ERROR
    return _OUTCOMES.get(kind, AttemptOutcome.ERROR)


def _delivery(attempt: Attempt, error: BaseException | None) -> Delivery:
    if error is None or attempt.response is not None or response_of(error) is not None:
        return Delivery.ANSWERED
    return Delivery.NEVER_SENT if _never_sent(error) else Delivery.SENT_OUTCOME_UNKNOWN


def _never_sent(error: BaseException) -> bool:
    link: BaseException | None = error
    while link is not None:
        if any(name.endswith(_NEVER_SENT) for name in class_names(link)):
            return True
        link = link.__cause__
    return False


def _tokens(
    attempt: Attempt, error: BaseException | None, delivery: Delivery
) -> tuple[TokenUsage | None, Measurement]:
    facts = attempt.received.facts
    if facts is not None and facts.tokens is not None:
        return facts.tokens, Measurement.MEASURED
    if delivery is Delivery.NEVER_SENT or _is_refused(attempt, error):
        return TokenUsage(), Measurement.MEASURED
    if delivery is Delivery.SENT_OUTCOME_UNKNOWN:
        return None, Measurement.UNKNOWN
    estimate = attempt.received.estimate(attempt._call)
    return estimate, Measurement.UNKNOWN if estimate is None else Measurement.ESTIMATED


def _is_refused(attempt: Attempt, error: BaseException | None) -> bool:
    """Whether the server answered with an error status, which is not billed."""
    response = attempt.response or response_of(error)
    return response is not None and response.status_code >= _REFUSED


def _cost(attempt: Attempt, tokens: TokenUsage | None, measurement: Measurement) -> Cost | None:
    if tokens is None:
        return None
    if attempt.received.cost is not None and measurement is Measurement.MEASURED:
        return attempt.received.cost
    return answer_cost(
        tokens,
        attempt.received.facts,
        attempt._call.model,
        attempt._prices,
        estimated=measurement is Measurement.ESTIMATED,
        base_url=attempt._base_url,
    )


def _text(value: object) -> str | None:
    return None if value is None else str(value)
