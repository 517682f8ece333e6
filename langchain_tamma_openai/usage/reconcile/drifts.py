"""Drifts that calls, buckets and amounts have in common."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from decimal import Decimal

from langchain_tamma_openai.usage.money import sum_exactly
from langchain_tamma_openai.usage.reconcile.ledger import LedgerCall, Pricer
from langchain_tamma_openai.usage.reconcile.names import BATCH
from langchain_tamma_openai.usage.reconcile.result import Drift, DriftKind

_TINY = Decimal("1e-12")
_OWN_PRICES = "user"


def left_out(
    call: LedgerCall,
    start: datetime | None = None,
    end: datetime | None = None,
    others: Iterable[LedgerCall] = (),
) -> Drift:
    """Say that the provider did not bill a call.

    Args:
        call: The call.
        start: First moment of its bucket; when it began, where there are none.
        end: First moment after it.
        others: Calls that were billed; exactly one with the same id makes this one a
            duplicate.
    """
    names = set(call.ids)
    is_twice = sum(bool(names & set(other.ids)) for other in others) == 1
    detail = "its tokens are an estimate" if call.is_estimate else ""
    return Drift(
        DriftKind.DUPLICATE if is_twice else DriftKind.MISSING_AT_PROVIDER,
        ledger_usd=call.usd,
        requests=1,
        input_tokens=-call.tokens.input_tokens,
        output_tokens=-call.tokens.output_tokens,
        model=call.model,
        recorded_tier=call.tier,
        start=start or call.started_at,
        end=end,
        calls=(call.name,),
        detail="the ledger has it twice" if is_twice else detail,
    )


def moved(
    calls: Sequence[LedgerCall],
    pricer: Pricer,
    span: tuple[datetime, datetime | None],
    *,
    tier: str | None = None,
    model: str | None = None,
) -> Drift:
    """Say that the provider billed calls at another tier, or for another model.

    Args:
        calls: At least one, of one model and tier.
        pricer: Knows prices.
        span: When.
        tier: The tier that was billed; that of the calls when left out.
        model: The model that was billed; that of the calls when left out.
    """
    first = calls[0]
    kind = DriftKind.MODEL_MISMATCH if model is not None else tier_kind(first.tier, tier)
    return Drift(
        kind,
        provider_usd=total(pricer.usd_of_call(call, tier=tier, model=model) for call in calls),
        # At prices known today: what a price alone changes is a drift of its own.
        ledger_usd=total(pricer.usd_of_call(call) for call in calls),
        requests=len(calls),
        model=model or first.model,
        service_tier=tier or first.tier,
        recorded_tier=first.tier,
        start=span[0],
        end=span[1],
        calls=tuple(call.name for call in calls),
        detail="" if model is None else f"recorded as {first.model}",
    )


def tier_kind(recorded: str | None, billed: str | None) -> DriftKind:
    """Name the difference between two tiers.

    Args:
        recorded: That of the ledger.
        billed: That of the provider.
    """
    is_batch = BATCH in {recorded, billed}
    return DriftKind.BATCH_DISCOUNT if is_batch else DriftKind.WRONG_SERVICE_TIER


def stale_calls(
    calls: Iterable[LedgerCall], pricer: Pricer
) -> list[tuple[LedgerCall, Decimal, Decimal]]:
    """Find calls whose recorded cost is not that of the prices known today.

    Args:
        calls: Of the ledger.
        pricer: Knows prices.

    Returns:
        Each with what it costs and what was recorded.
    """
    priced = ((call, pricer.usd_of_call(call), call.usd) for call in calls)
    return [
        (call, known, recorded)
        for call, known, recorded in priced
        if known is not None and recorded is not None and abs(known - recorded) > _TINY
    ]


def stale(
    calls: Iterable[LedgerCall],
    pricer: Pricer,
    span: tuple[datetime, datetime],
    model: str | None,
) -> Iterable[Drift]:
    """Say which calls were recorded at other prices than those known today.

    Args:
        calls: Those of one bucket and model.
        pricer: Knows prices.
        span: The bucket.
        model: Its name; None for any.
    """
    found = stale_calls(calls, pricer)
    if found:
        is_own = all(call.cost and call.cost.pricing_source == _OWN_PRICES for call, _, _ in found)
        yield Drift(
            DriftKind.STALE_PRICE,
            provider_usd=sum_exactly(known for _, known, _ in found),
            ledger_usd=sum_exactly(recorded for _, _, recorded in found),
            requests=len(found),
            model=model,
            start=span[0],
            end=span[1],
            calls=tuple(call.name for call, _, _ in found),
            detail="recorded at prices of your own; compare with them by prices=" if is_own else "",
        )


def shift_note(number: int) -> list[str]:
    """Say that calls were counted in another bucket than that in which they began.

    Args:
        number: How many.
    """
    if not number:
        return []
    calls = "1 call was" if number == 1 else f"{number} calls were"
    return [f"{calls} under way when a bucket ended, and billed in the next one"]


def total(amounts: Iterable[Decimal | None]) -> Decimal | None:
    """Add amounts up; None when one of them is not known.

    Args:
        amounts: US dollars.
    """
    listed = list(amounts)
    known = [amount for amount in listed if amount is not None]
    return sum_exactly(known) if len(known) == len(listed) else None
