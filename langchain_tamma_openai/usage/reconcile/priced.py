"""Compares the dollars of buckets whose tokens are compared as well."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING

from langchain_tamma_openai.usage.money import add_exactly, sum_exactly
from langchain_tamma_openai.usage.reconcile.drifts import moved, stale, stale_calls, total
from langchain_tamma_openai.usage.reconcile.ledger import LedgerCall, Pricer
from langchain_tamma_openai.usage.reconcile.names import BATCH, STANDARD
from langchain_tamma_openai.usage.reconcile.result import Drift, DriftKind
from langchain_tamma_openai.usage.reconcile.rounding import Rounding

if TYPE_CHECKING:
    from langchain_tamma_openai.usage.reconcile.buckets import TokenCell

_OF_A_CELL = frozenset(
    {DriftKind.MISSING_IN_LEDGER, DriftKind.TOKEN_MISMATCH, DriftKind.ESTIMATED_RECORD}
)


class PricedCells:
    """Finds prices that differ, and gives drifts the amounts that the file has for them."""

    def __init__(self, cells: Iterable[TokenCell], pricer: Pricer, *, tells_batches: bool) -> None:
        """Look at all amounts.

        Args:
            cells: The buckets.
            pricer: Knows prices.
            tells_batches: Whether the file tells which calls are those of the Batch API.
        """
        self._pricer = pricer
        self._tells_batches = tells_batches
        listed = [cell for cell in cells if cell.usd is not None]
        pairs = [
            (cell.usd, usd)
            for cell in listed
            if cell.usd is not None and cell.agrees() and (usd := self._recorded(cell)) is not None
        ]
        amounts = (cell.usd for cell in listed if cell.usd is not None)
        smallest = min(
            (call.usd for cell in listed for call in cell.calls if call.usd), default=None
        )
        self._rounding = Rounding(amounts, pairs, smallest)

    def drifts(self, cell: TokenCell, found: Sequence[Drift]) -> Iterator[Drift]:
        """Add what prices change to what was found in the tokens of a bucket.

        Args:
            cell: The bucket.
            found: What was found in its tokens.
        """
        old = [
            *stale(cell.calls, self._pricer, cell.span, cell.model),
            *self._unpriced(cell),
        ]
        recorded = self._recorded(cell)
        own = [drift for drift in found if drift.kind in _OF_A_CELL]
        worth = total(drift.difference_usd for drift in own)
        if cell.usd is None or recorded is None or (worth is None and len(own) != 1):
            yield from (*found, *old)
            return
        gap = add_exactly(
            cell.usd, -sum_exactly((recorded, worth or Decimal(0), cell.explained_usd))
        )
        batches = list(self._batches(cell))
        if abs(gap) <= self._slack(cell):
            yield from found
        elif batches and abs(add_exactly(gap, -_sum_of(batches))) <= self._slack(cell):
            yield from (*found, *batches)
        elif old and abs(add_exactly(gap, -_sum_of(old))) <= self._slack(cell):
            yield from (*found, *old)
        elif own:
            for drift in found:
                yield self._billed(drift, gap) if drift is own[0] else drift
        else:
            yield from (*found, self._of_price(cell, recorded))

    def _recorded(self, cell: TokenCell) -> Decimal | None:
        """Add up what the ledger has, at the tier and for the model that the file tells."""
        return total(self._as_billed(cell, call) for call in cell.calls if call.usd is not None)

    def _unpriced(self, cell: TokenCell) -> Iterator[Drift]:
        """Name calls without a price in the ledger, where the file or today's list has one."""
        calls = [call for call in cell.calls if call.usd is None]
        worth = total(self._pricer.usd_of_call(call) for call in calls)
        if calls and (worth is not None or cell.usd is not None):
            yield Drift(
                DriftKind.NO_PRICE,
                provider_usd=worth,
                requests=len(calls),
                model=cell.model,
                recorded_tier=cell.tier,
                start=cell.span[0],
                end=cell.span[1],
                calls=tuple(call.name for call in calls),
            )

    def _batches(self, cell: TokenCell) -> Iterator[Drift]:
        """Say what it would be if a file that does not tell batches billed them in full."""
        calls = [call for call in cell.calls if call.tier == BATCH]
        if calls and not self._tells_batches:
            yield moved(calls, self._pricer, cell.span, tier=cell.tier or STANDARD)

    def _as_billed(self, cell: TokenCell, call: LedgerCall) -> Decimal | None:
        is_told = self._tells_batches or call.tier != BATCH
        tier = cell.tier if is_told and cell.tier not in {None, call.tier} else None
        model = cell.model if cell.model not in {None, call.model} else None
        if call.usd is None or (tier is None and model is None):
            return call.usd
        before = self._pricer.usd_of_call(call)
        after = self._pricer.usd_of_call(call, tier=tier, model=model)
        if before is None or after is None:
            return None
        return sum_exactly((call.usd, after, -before))

    def _slack(self, cell: TokenCell) -> Decimal:
        return sum_exactly(map(self._rounding.slack, cell.lines)) + Decimal("1e-11")

    @staticmethod
    def _billed(drift: Drift, gap: Decimal) -> Drift:
        if drift.provider_usd is None:
            return replace(drift, provider_usd=gap)
        return replace(drift, provider_usd=add_exactly(drift.provider_usd, gap))

    def _of_price(self, cell: TokenCell, recorded: Decimal) -> Drift:
        calls = [call for call, _, _ in stale_calls(cell.calls, self._pricer)] or cell.calls
        return Drift(
            DriftKind.STALE_PRICE,
            provider_usd=cell.usd,
            ledger_usd=recorded,
            requests=len(calls),
            model=cell.model,
            service_tier=cell.tier,
            recorded_tier=cell.tier,
            start=cell.span[0],
            end=cell.span[1],
            calls=tuple(call.name for call in calls),
            detail=f"billed ${cell.usd:f}, recorded ${recorded:f}",
        )


def _sum_of(drifts: Iterable[Drift]) -> Decimal:
    return sum_exactly(d.difference_usd for d in drifts if d.difference_usd is not None)
