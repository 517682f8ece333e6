"""The calls that the ledger says a provider must have billed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from uuid import UUID

from langchain_tamma_openai.pricing import CostCalculator
from langchain_tamma_openai.usage.reconcile.names import BATCH, STANDARD, model_of, tier_of
from langchain_tamma_openai.usage.record import (
    AttemptRecord,
    Measurement,
    UsageRecord,
)
from langchain_tamma_openai.wire.usage import TokenUsage


@dataclass(frozen=True, slots=True, eq=False)
class LedgerCall:
    """One HTTP attempt that a provider bills.

    Attributes:
        run_id: The run it belongs to.
        ids: The provider's names for it.
        started_at: When it began; UTC.
        ended_at: When it had ended.
        served: The model as it was recorded.
        tier: The tier that was recorded.
        tokens: What it used.
        usd: What it cost; None when not known.
        source: Where its price came from.
        is_estimate: Whether its tokens are an estimate.
    """

    run_id: UUID
    ids: tuple[str, ...]
    started_at: datetime
    ended_at: datetime
    served: str
    tier: str
    tokens: TokenUsage
    usd: Decimal | None
    source: str | None
    is_estimate: bool

    @property
    def model(self) -> str | None:
        """The model without its date."""
        return model_of(self.served)

    @property
    def name(self) -> str:
        """What to call it."""
        return self.ids[0] if self.ids else str(self.run_id)


def billed_calls(records: Iterable[UsageRecord]) -> Iterator[LedgerCall]:
    """Give the attempts that used tokens; what was refused or cached is billed to nobody.

    Args:
        records: Of a ledger.
    """
    for record in records:
        attempts = record.attempt_records or ((record,) if record.attempts else ())
        for attempt in attempts:
            if attempt.tokens is not None and attempt.tokens.total_tokens > 0:
                yield _call(record, attempt, attempt.tokens)


def _call(
    record: UsageRecord, attempt: AttemptRecord | UsageRecord, tokens: TokenUsage
) -> LedgerCall:
    measured = getattr(attempt, "measurement", Measurement.MEASURED)
    cost = attempt.cost
    named = (attempt.response_id, attempt.request_id)
    return LedgerCall(
        run_id=record.run_id,
        ids=tuple(each for each in named if each),
        started_at=attempt.started_at,
        ended_at=attempt.started_at + timedelta(seconds=attempt.latency_s),
        served=attempt.model or attempt.requested_model or record.model or "",
        tier=tier_of(attempt.service_tier),
        tokens=tokens,
        usd=None if cost is None else cost.total_usd,
        source=None if cost is None else cost.pricing_source,
        is_estimate=measured is Measurement.ESTIMATED or record.estimated,
    )


class Pricer:
    """What tokens cost at the prices known today, for the day of the call."""

    def __init__(self, calculator: CostCalculator) -> None:
        """Choose the prices.

        Args:
            calculator: Knows them.
        """
        self._calculator = calculator

    def usd(self, tokens: TokenUsage, model: str, tier: str, at: datetime | None) -> Decimal | None:
        """Price tokens.

        Args:
            tokens: How many.
            model: Whose.
            tier: At which tier.
            at: When.
        """
        if self._calculator.prices(model, service_tier=_named(tier), at=at, batch=tier == BATCH):
            cost = self._calculator.cost(
                tokens, model, service_tier=_named(tier), at=at, batch=tier == BATCH
            )
            return cost.total_usd
        return None

    def of_call(self, call: LedgerCall, tier: str | None = None) -> Decimal | None:
        """Price a call of the ledger, at its own tier or another.

        Args:
            call: The call.
            tier: The tier; its own when left out.
        """
        return self.usd(call.tokens, call.served, tier or call.tier, call.started_at)


def _named(tier: str) -> str | None:
    return None if tier in (STANDARD, BATCH) else tier
