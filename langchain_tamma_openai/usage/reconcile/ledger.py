"""The calls that the ledger says a provider must have billed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from functools import reduce
from typing import TypedDict
from uuid import UUID

from langchain_tamma_openai.parameters.settings import is_openai
from langchain_tamma_openai.pricing import CostCalculator
from langchain_tamma_openai.pricing_cost import Cost, CostPart
from langchain_tamma_openai.pricing_region import is_regional
from langchain_tamma_openai.usage.money import add_exactly, sum_exactly
from langchain_tamma_openai.usage.reconcile.names import (
    BATCH,
    STANDARD,
    is_listed,
    model_of,
    tier_of,
)
from langchain_tamma_openai.usage.record import (
    AttemptRecord,
    Delivery,
    Measurement,
    UsageRecord,
)
from langchain_tamma_openai.wire.usage import TokenUsage

KINDS = {"reasoning": "output", "cache_write_12h": "cache_write"}
"""Kinds of tokens that providers bill under another name."""

_PER_MILLION = -6


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
        tokens: What it used; nothing where the answer was never seen.
        cost: What it cost, by kind of token; None when not known.
        is_estimate: Whether its tokens are an estimate.
        is_regional: Whether a regional address of OpenAI answered.
        is_known: Whether its answer was seen, and its tokens are known.
        is_elsewhere: Whether another provider was asked, or another server for a model that
            OpenAI does not have; a proxy in front of OpenAI is none.
    """

    run_id: UUID
    ids: tuple[str, ...]
    started_at: datetime
    ended_at: datetime
    served: str
    tier: str
    tokens: TokenUsage
    cost: Cost | None
    is_estimate: bool
    is_regional: bool = False
    is_known: bool = True
    is_elsewhere: bool = False

    @property
    def usd(self) -> Decimal | None:
        """What it cost; None when not known."""
        return None if self.cost is None else self.cost.total_usd

    @property
    def model(self) -> str | None:
        """The model without its date."""
        return model_of(self.served)

    @property
    def name(self) -> str:
        """What to call it."""
        return self.ids[0] if self.ids else str(self.run_id)


def billed_calls(records: Iterable[UsageRecord]) -> Iterator[LedgerCall]:
    """Give the attempts that used tokens, and those of which nobody knows whether they did.

    What was refused, or answered by a cache, is billed to nobody.

    Args:
        records: Of a ledger.
    """
    for record in records:
        attempts = record.attempt_records or ((record,) if record.attempts else ())
        for attempt in attempts:
            if attempt.tokens is None:
                if _may_be_billed(attempt):
                    yield _call(record, attempt, TokenUsage(), is_known=False)
            elif attempt.tokens.total_tokens > 0:
                yield _call(record, attempt, attempt.tokens)


def _may_be_billed(attempt: AttemptRecord | UsageRecord) -> bool:
    """Whether nobody knows what an attempt used."""
    if not isinstance(attempt, AttemptRecord):
        return False
    is_unknown = attempt.measurement is Measurement.UNKNOWN
    return is_unknown and attempt.delivery is not Delivery.NEVER_SENT


def _call(
    record: UsageRecord,
    attempt: AttemptRecord | UsageRecord,
    tokens: TokenUsage,
    *,
    is_known: bool = True,
) -> LedgerCall:
    is_guess, base_url = record.estimated, None
    served = attempt.model or attempt.requested_model or record.model or ""
    if isinstance(attempt, AttemptRecord):
        is_guess = attempt.measurement is Measurement.ESTIMATED
        base_url = attempt.base_url
    return LedgerCall(
        run_id=record.run_id,
        ids=tuple(each for each in (attempt.response_id, attempt.request_id) if each),
        started_at=attempt.started_at,
        ended_at=attempt.started_at + timedelta(seconds=attempt.latency_s),
        served=served,
        tier=tier_of(attempt.service_tier),
        tokens=tokens,
        cost=attempt.cost,
        is_estimate=is_guess,
        is_regional=is_regional(base_url),
        is_known=is_known,
        is_elsewhere=record.provider not in {None, "openai"}
        or not (is_openai(base_url) or is_listed(model_of(served) or "")),
    )


def without_others(
    calls: Iterable[LedgerCall],
) -> tuple[list[LedgerCall], list[LedgerCall]]:
    """Part what other servers than OpenAI's answered from the rest.

    Args:
        calls: Of the ledger.

    Returns:
        OpenAI's calls, or all where none is OpenAI's; and the others.
    """
    listed = list(calls)
    kept = [call for call in listed if not call.is_elsewhere]
    return (kept, [call for call in listed if call.is_elsewhere]) if kept else (listed, [])


def merged(calls: Sequence[LedgerCall]) -> LedgerCall:
    """Put the attempts of one run together, for a file that lists runs.

    Args:
        calls: At least one.
    """
    if len(calls) == 1:
        return calls[0]
    last = calls[-1]
    costs = [call.cost or Cost() for call in calls]
    return LedgerCall(
        run_id=last.run_id,
        ids=tuple(name for call in reversed(calls) for name in call.ids),
        started_at=calls[0].started_at,
        ended_at=last.ended_at,
        served=last.served,
        tier=last.tier,
        tokens=sum((call.tokens for call in calls), TokenUsage()),
        cost=reduce(Cost.__add__, costs),
        is_estimate=any(call.is_estimate for call in calls),
        is_regional=last.is_regional,
        is_elsewhere=last.is_elsewhere,
    )


class Pricer:
    """What tokens cost at the prices known today, for the day of the call."""

    def __init__(self, calculator: CostCalculator) -> None:
        """Choose the prices.

        Args:
            calculator: Knows them.
        """
        self._calculator = calculator

    def cost(
        self,
        tokens: TokenUsage,
        model: str,
        tier: str,
        at: datetime | None,
        *,
        regional: bool = False,
    ) -> Cost | None:
        """Price tokens; None, without a warning, where no price is known.

        Args:
            tokens: How many.
            model: Whose.
            tier: At which tier.
            at: When.
            regional: Whether a regional address of OpenAI answered.
        """
        chosen = _chosen(tier, at, regional=regional)
        if self._calculator.prices(model, **chosen) is None:
            return None
        cost = self._calculator.cost(tokens, model, **chosen)
        return None if cost.total_usd is None else cost

    def usd(self, tokens: TokenUsage, model: str, tier: str, at: datetime | None) -> Decimal | None:
        """Price tokens in all.

        Args:
            tokens: How many.
            model: Whose.
            tier: At which tier.
            at: When.
        """
        cost = self.cost(tokens, model, tier, at)
        return None if cost is None else cost.total_usd

    def of_counts(
        self, counts: Mapping[str, int], model: str, tier: str, at: datetime, requests: int
    ) -> Decimal | None:
        """Price a difference of tokens of several calls, of which there may be fewer than none.

        Args:
            counts: Tokens by kind.
            model: Whose.
            tier: At which tier.
            at: When.
            requests: How many calls they belong to: long requests may cost more.
        """
        chosen = _chosen(tier, at)
        sheet = self._calculator.prices(model, **chosen)
        inputs = max(counts.get("input_tokens", 0), 0) // max(requests, 1)
        prices = None if sheet is None else sheet.for_input(inputs)
        if prices is None:
            return None
        plain, made = prices.input_usd_per_mtok, prices.output_usd_per_mtok
        extra = {
            "input_tokens": plain,
            "output_tokens": made,
            "cached_tokens": _or(prices.cached_input_usd_per_mtok, plain) - plain,
            "cache_write_tokens": _or(prices.cache_write_usd_per_mtok, plain) - plain,
            "input_audio_tokens": _or(prices.input_audio_usd_per_mtok, plain) - plain,
            "output_audio_tokens": _or(prices.output_audio_usd_per_mtok, made) - made,
        }
        return sum_exactly(
            (counts.get(kind, 0) * usd).scaleb(_PER_MILLION) for kind, usd in extra.items()
        )

    def of_call(
        self,
        call: LedgerCall,
        *,
        tier: str | None = None,
        model: str | None = None,
        tokens: TokenUsage | None = None,
        regional: bool | None = None,
    ) -> Cost | None:
        """Price a call of the ledger as it is, or as it would be otherwise.

        Args:
            call: The call.
            tier: Another tier.
            model: Another model.
            tokens: Other tokens.
            regional: Whether a regional address answered.
        """
        return self.cost(
            tokens or call.tokens,
            model or call.served,
            tier or call.tier,
            call.started_at,
            regional=call.is_regional if regional is None else regional,
        )

    def usd_of_call(
        self,
        call: LedgerCall,
        *,
        tier: str | None = None,
        model: str | None = None,
        tokens: TokenUsage | None = None,
        regional: bool | None = None,
    ) -> Decimal | None:
        """Price a call in all; see `of_call`.

        Args:
            call: The call.
            tier: Another tier.
            model: Another model.
            tokens: Other tokens.
            regional: Whether a regional address answered.
        """
        cost = self.of_call(call, tier=tier, model=model, tokens=tokens, regional=regional)
        return None if cost is None else cost.total_usd


class _Chosen(TypedDict):
    service_tier: str | None
    at: datetime | None
    batch: bool
    regional: bool


def _chosen(tier: str, at: datetime | None, *, regional: bool = False) -> _Chosen:
    name = None if tier in {STANDARD, BATCH} else tier
    return _Chosen(service_tier=name, at=at, batch=tier == BATCH, regional=regional)


def _or(price: Decimal | None, other: Decimal) -> Decimal:
    return other if price is None else price


def usd_by_kind(cost: Cost) -> dict[str, Decimal]:
    """Split a cost by kind of token, as exactly as it is known.

    Args:
        cost: Its amounts are known.

    Returns:
        The kinds of `LineItem`; "all" alone where the cost says nothing of kinds.
    """
    if has_parts(cost):
        return _parts_by_kind(cost.parts)
    if cost.input_usd is None or cost.output_usd is None:
        return {"all": cost.total_usd or Decimal(0)}
    return {"input": cost.input_usd, "output": cost.output_usd}


def has_parts(cost: Cost) -> bool:
    """Whether a cost is split by all kinds of token.

    Args:
        cost: Its amounts are known.
    """
    return sum_exactly(part.usd for part in cost.parts) == cost.total_usd


def _parts_by_kind(parts: Iterable[CostPart]) -> dict[str, Decimal]:
    found: dict[str, Decimal] = {}
    for part in parts:
        kind = KINDS.get(part.kind, part.kind)
        found[kind] = add_exactly(found.get(kind, Decimal(0)), part.usd)
    return found
