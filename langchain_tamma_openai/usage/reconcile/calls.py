"""Compares call by call, by the ids that both sides have."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from decimal import Decimal

from langchain_tamma_openai.usage.reconcile.export import Row
from langchain_tamma_openai.usage.reconcile.ledger import LedgerCall, Pricer
from langchain_tamma_openai.usage.reconcile.names import BATCH, STANDARD
from langchain_tamma_openai.usage.reconcile.result import Drift, DriftKind

_PRICED_TIERS = (STANDARD, "flex", "priority", BATCH)
_CHEAPEST_DIGITS = 12


class CallMatch:
    """The comparison of two lists of calls.

    Attributes:
        matched: How many calls agree.
    """

    def __init__(self, rows: Sequence[Row], calls: Iterable[LedgerCall], pricer: Pricer) -> None:
        """Take both sides.

        Args:
            rows: The provider's calls.
            calls: Those of the ledger.
            pricer: Knows prices.
        """
        self._rows = rows
        self._calls = list(calls)
        self._pricer = pricer
        self.matched = 0

    def drifts(self) -> Iterator[Drift]:
        """Give the differences."""
        by_id = {name: call for call in self._calls for name in call.ids}
        seen: set[int] = set()
        for row in self._rows:
            call = next((by_id[name] for name in row.ids if name in by_id), None)
            if call is None:
                yield self._missing(row)
            elif id(call) in seen:
                yield self._duplicate(row, call)
            else:
                seen.add(id(call))
                yield from self._compared(row, call)
        yield from (
            left_out(call) for call in self._calls if id(call) not in seen and self._covers(call)
        )

    def _covers(self, call: LedgerCall) -> bool:
        """Whether the provider's file ought to have a call."""
        times = [row.start for row in self._rows if row.start is not None]
        return not times or (min(times) <= call.ended_at and call.started_at <= max(times))

    def _billed(self, row: Row, call: LedgerCall | None) -> Decimal | None:
        if row.usd is not None or row.tokens is None:
            return row.usd
        tier = row.tier or (call.tier if call is not None else STANDARD)
        model = row.model or (call.served if call is not None else "")
        return self._pricer.usd(row.tokens, model, tier, row.start)

    def _missing(self, row: Row) -> Drift:
        tokens = row.tokens
        return Drift(
            DriftKind.MISSING_IN_LEDGER,
            provider_usd=self._billed(row, None),
            requests=1,
            input_tokens=0 if tokens is None else tokens.input_tokens,
            output_tokens=0 if tokens is None else tokens.output_tokens,
            model=row.model,
            service_tier=row.tier,
            start=row.start,
            calls=row.ids[:1],
        )

    def _duplicate(self, row: Row, call: LedgerCall) -> Drift:
        return Drift(
            DriftKind.DUPLICATE,
            provider_usd=self._billed(row, call),
            requests=1,
            model=row.model or call.model,
            start=row.start,
            calls=(call.name,),
            detail=row.place,
        )

    def _compared(self, row: Row, call: LedgerCall) -> Iterator[Drift]:
        kinds = list(self._kinds(row, call))
        if not kinds:
            self.matched += 1
            return
        tokens = row.tokens or call.tokens
        for place, (kind, detail) in enumerate(kinds):
            first = place == 0
            yield Drift(
                kind,
                # The whole difference belongs to the first cause; the others only add to it.
                provider_usd=self._billed(row, call) if first else Decimal(0),
                ledger_usd=call.usd if first else Decimal(0),
                requests=1,
                input_tokens=tokens.input_tokens - call.tokens.input_tokens,
                output_tokens=tokens.output_tokens - call.tokens.output_tokens,
                model=row.model or call.model,
                service_tier=row.tier,
                recorded_tier=call.tier,
                start=call.started_at,
                calls=(call.name,),
                detail=detail,
            )

    def _kinds(self, row: Row, call: LedgerCall) -> Iterator[tuple[DriftKind, str]]:
        if row.model is not None and row.model != call.model:
            yield DriftKind.MODEL_MISMATCH, f"recorded as {call.model}"
        if unequal := _unequal_tokens(row, call):
            kind = DriftKind.ESTIMATED_RECORD if call.is_estimate else DriftKind.TOKEN_MISMATCH
            yield kind, unequal
        if row.tier is not None and row.tier != call.tier:
            yield DriftKind.WRONG_SERVICE_TIER, f"billed as {row.tier}, recorded as {call.tier}"
        elif not unequal and row.usd is not None:
            yield from self._price_kinds(row.usd, row, call)

    def _price_kinds(
        self, billed: Decimal, row: Row, call: LedgerCall
    ) -> Iterator[tuple[DriftKind, str]]:
        if call.usd is None:
            yield DriftKind.NO_PRICE, ""
        elif not same_amount(billed, call.usd):
            tier = None if row.tier is not None else self._tier_of(billed, call)
            if tier is not None:
                yield DriftKind.WRONG_SERVICE_TIER, f"the amount is that of {tier}"
                return
            known = self._pricer.of_call(call)
            is_known = known is not None and same_amount(billed, known)
            detail = f"billed ${billed:f}, recorded ${call.usd:f}"
            more = "; the prices known today agree with the bill" if is_known else ""
            yield DriftKind.STALE_PRICE, detail + more

    def _tier_of(self, billed: Decimal, call: LedgerCall) -> str | None:
        for tier in _PRICED_TIERS:
            usd = None if tier == call.tier else self._pricer.of_call(call, tier)
            if usd is not None and same_amount(billed, usd):
                return tier
        return None


def left_out(call: LedgerCall, start: datetime | None = None, end: datetime | None = None) -> Drift:
    """Say that the provider did not bill a call.

    Args:
        call: The call.
        start: First moment of its bucket; when it began, where there are none.
        end: First moment after it.
    """
    guess = "its tokens are an estimate" if call.is_estimate else ""
    return Drift(
        DriftKind.MISSING_AT_PROVIDER,
        ledger_usd=call.usd,
        requests=1,
        input_tokens=-call.tokens.input_tokens,
        output_tokens=-call.tokens.output_tokens,
        model=call.model,
        recorded_tier=call.tier,
        start=start or call.started_at,
        end=end,
        calls=(call.name,),
        detail=guess,
    )


def same_amount(left: Decimal, right: Decimal) -> bool:
    """Whether two amounts are the same but for the rounding of the one with fewer digits.

    Args:
        left: US dollars.
        right: US dollars.
    """
    digits = min(_digits(left), _digits(right), _CHEAPEST_DIGITS)
    return abs(left - right) <= Decimal(1).scaleb(-digits) / 2 + Decimal("1e-12")


def _digits(amount: Decimal) -> int:
    # Fewer than six digits are no rounding: the cheapest calls cost millionths of a dollar.
    return max(-int(amount.normalize().as_tuple().exponent), 6)


def _unequal_tokens(row: Row, call: LedgerCall) -> str:
    if row.tokens is None:
        return ""
    found = [
        f"{kind} {getattr(row.tokens, kind):,} billed, {getattr(call.tokens, kind):,} recorded"
        for kind in sorted(row.counted)
        if getattr(row.tokens, kind) != getattr(call.tokens, kind)
    ]
    return "; ".join(found)
