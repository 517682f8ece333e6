"""Compares tokens by bucket, model and tier, as OpenAI's usage API has them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from itertools import permutations

from langchain_tamma_openai.usage.money import sum_exactly
from langchain_tamma_openai.usage.reconcile.drifts import (
    left_out,
    moved,
    shift_note,
    tier_kind,
)
from langchain_tamma_openai.usage.reconcile.export import Row
from langchain_tamma_openai.usage.reconcile.ledger import LedgerCall, Pricer
from langchain_tamma_openai.usage.reconcile.names import BATCH, STANDARD
from langchain_tamma_openai.usage.reconcile.priced import PricedCells
from langchain_tamma_openai.usage.reconcile.result import Drift, DriftKind
from langchain_tamma_openai.usage.reconcile.search import LARGEST, Sums, Vector
from langchain_tamma_openai.usage.reconcile.spans import Shifts, Span, Spans, span_of

_COUNTED = (
    "input_tokens",
    "output_tokens",
    "cached_tokens",
    "cache_write_tokens",
    "input_audio_tokens",
    "output_audio_tokens",
    "reasoning_tokens",
)
_Key = tuple[Span, str | None, str | None]


@dataclass(slots=True, eq=False)
class TokenCell:
    """What both sides have for one bucket, model and tier.

    Attributes:
        span: The bucket.
        model: None where the file is not split by model.
        tier: None where the file is not split by tier.
        kinds: The kinds of tokens that are compared.
        counts_requests: Whether the file counts calls.
        missing: By how much the provider has more: calls, then tokens by kind.
        calls: Those of the ledger.
        unseen: Calls of the ledger whose answers were never seen.
        usd: What the provider bills, where the file tells it.
        lines: The amounts that this is a sum of.
        explained_usd: What calls that cannot be told by name add to the provider's amount.
    """

    span: Span
    model: str | None
    tier: str | None
    kinds: tuple[str, ...]
    counts_requests: bool
    missing: list[int] = field(default_factory=list)
    calls: list[LedgerCall] = field(default_factory=list)
    unseen: list[LedgerCall] = field(default_factory=list)
    usd: Decimal | None = None
    lines: list[Decimal] = field(default_factory=list)
    explained_usd: Decimal = Decimal(0)

    def __post_init__(self) -> None:
        """Begin with nothing."""
        self.missing = [0] * (1 + len(self.kinds))

    def vector(self, call: LedgerCall) -> Vector:
        """Count a call: itself, then its tokens by kind.

        Args:
            call: The call.
        """
        return (
            1 if self.counts_requests else 0,
            *(getattr(call.tokens, kind) for kind in self.kinds),
        )

    def bill(self, row: Row) -> None:
        """Count what the provider has.

        Args:
            row: A line of the file with tokens.
        """
        billed = (row.requests or 0, *(getattr(row.tokens, kind) for kind in self.kinds))
        self._change(billed, 1)
        if row.usd is not None:
            self.lines.append(row.usd)
            self.usd = sum_exactly(self.lines)

    def add(self, call: LedgerCall) -> None:
        """Count a call of the ledger."""
        if not call.is_known:
            self.unseen.append(call)
            return
        self.calls.append(call)
        self._change(self.vector(call), -1)

    def remove(self, call: LedgerCall) -> None:
        """Count it no more."""
        if not call.is_known:
            self.unseen.remove(call)
            return
        self.calls.remove(call)
        self._change(self.vector(call), 1)

    def _change(self, by: Iterable[int], sign: int) -> None:
        self.missing = [a + sign * b for a, b in zip(self.missing, by, strict=True)]

    @property
    def requests(self) -> int:
        """By how many calls the provider has more."""
        return self.missing[0]

    @property
    def tokens(self) -> dict[str, int]:
        """By how many tokens the provider has more, by kind."""
        return dict(zip(self.kinds, self.missing[1:], strict=True))

    def agrees(self) -> bool:
        """Whether both sides have the same."""
        return not any(self.missing)

    def distance(self) -> float:
        """How far the two sides are apart."""
        return sum(map(abs, self.missing))

    def is_over(self) -> bool:
        """Whether the ledger has more, and nowhere less."""
        return not self.agrees() and max(self.missing) <= 0

    def settle(self, counts: Sequence[int], usd: Decimal | None, sign: int) -> None:
        """Take what is explained, but not by single calls, out of the difference.

        Args:
            counts: Calls, and tokens by kind.
            usd: What they cost.
            sign: 1 for what only the provider has, -1 for what only the ledger has.
        """
        self._change(counts, -sign)
        self.explained_usd += sign * (usd or Decimal(0))

    def sizes(self, wanted: int) -> Iterable[int]:
        """Say how many calls a difference may consist of.

        Args:
            wanted: How many calls it is, where the file counts them.
        """
        return (wanted,) if self.counts_requests else range(1, LARGEST + 1)


class BucketMatch:
    """The comparison of tokens by bucket.

    Attributes:
        matched: How many calls agree.
        notes: What was allowed for.
    """

    def __init__(
        self,
        rows: Sequence[Row],
        calls: Iterable[LedgerCall],
        pricer: Pricer,
        start: datetime | None = None,
        end: datetime | None = None,
    ) -> None:
        """Put both sides into cells.

        Args:
            rows: The provider's.
            calls: Those of the ledger.
            pricer: Knows prices.
            start: First moment that the file is about; that of its first bucket when left out.
            end: First moment after it; that after its last bucket when left out.
        """
        self._pricer = pricer
        self._spans = Spans(rows, start, end)
        filled = [row for row in rows if row.tokens is not None]
        counted = frozenset[str]().union(*(row.counted for row in filled))
        self._kinds = tuple(kind for kind in _COUNTED if kind in (counted or _COUNTED[:2]))
        self._counts_requests = not filled or any(row.requests is not None for row in filled)
        self._by_model = any(row.model is not None for row in rows)
        self._by_tier = any(row.tier is not None for row in rows)
        self._by_batch = any(row.batch is not None for row in rows)
        self._cells: dict[_Key, TokenCell] = {}
        self._fill(rows, list(calls))
        self.matched = 0

    def _fill(self, rows: Sequence[Row], calls: Sequence[LedgerCall]) -> None:
        for row in rows:
            if (span := span_of(row)) is not None and row.tokens is not None:
                self._cell(span, row.model, self._shelf(row.tier, row.batch)).bill(row)
        shifts = Shifts(self._home)
        for call in calls:
            shifts.put(call, self._spans.homes(call))
        shifts.settle()
        self.notes = shift_note(shifts.moved)
        self.compared = [call for cell in self._cells.values() for call in cell.calls]

    def _shelf(self, tier: str | None, batch: bool | None) -> str | None:  # noqa: FBT001 - as the row has it
        """Name the tier under which calls are compared; None where the file does not tell."""
        if not self._by_tier and not self._by_batch:
            return None
        if batch and self._by_batch:
            return BATCH
        return (tier or STANDARD) if self._by_tier else STANDARD

    def _home(self, call: LedgerCall, span: Span) -> TokenCell:
        is_batch = call.tier == BATCH
        shelf = self._shelf(None if is_batch else call.tier, is_batch)
        return self._cell(span, call.model if self._by_model else None, shelf)

    def _cell(self, span: Span, model: str | None, tier: str | None) -> TokenCell:
        key = (span, model, tier)
        if key not in self._cells:
            self._cells[key] = TokenCell(*key, self._kinds, self._counts_requests)
        return self._cells[key]

    # --- what differs ---

    def drifts(self) -> Iterator[Drift]:
        """Give the differences."""
        cells = self._cells.values()
        priced = PricedCells(cells, self._pricer, tells_batches=self._by_batch)
        for family in self._families():
            yield from self._told(self._moves(family))
            for cell in family:
                found = list(self._rest(cell))
                self.matched += len(cell.calls)
                yield from self._told(priced.drifts(cell, found))

    def _told(self, drifts: Iterable[Drift]) -> Iterator[Drift]:
        """Take calls that are still compared, but do not agree, from those that do."""
        for drift in drifts:
            gone = {DriftKind.MISSING_AT_PROVIDER, DriftKind.DUPLICATE, DriftKind.MISSING_IN_LEDGER}
            if drift.kind not in gone:
                self.matched -= max(len(drift.calls), 1)
            yield drift

    def _families(self) -> list[list[TokenCell]]:
        """Put the cells of one bucket together."""
        families: dict[Span, list[TokenCell]] = defaultdict(list)
        for cell in self._cells.values():
            families[cell.span].append(cell)
        return list(families.values())

    # --- calls that are billed in another cell ---

    def _moves(self, cells: Sequence[TokenCell]) -> Iterator[Drift]:
        """Find calls that the provider billed at another tier, or for another model."""
        for choose in (_to_fit_both, _to_fit_one):
            pairs = [
                (a, b)
                for a in cells
                for b in cells
                if a is not b
                and not a.agrees()
                and not b.agrees()
                and (a.model == b.model or choose is _to_fit_both)
            ]
            for source, target in sorted(pairs, key=lambda pair: pair[0].model != pair[1].model):
                if not source.agrees() and not target.agrees() and (got := choose(source, target)):
                    yield self._moved(source, target, got)

        for source, target in permutations(cells, 2):
            if source.model == target.model and _is_move_of_some(source, target):
                yield self._some_moved(source, target)

    def _some_moved(self, source: TokenCell, target: TokenCell) -> Drift:
        """Say that some calls were billed in another cell, too many to tell which."""
        counts = target.tokens
        number = max(target.requests, 0)
        billed, recorded = self._worth(target, counts), self._worth(source, counts)
        drift = Drift(
            tier_kind(source.tier, target.tier),
            provider_usd=billed,
            ledger_usd=recorded,
            requests=number,
            model=target.model,
            service_tier=target.tier,
            recorded_tier=source.tier,
            start=target.span[0],
            end=target.span[1],
            detail="too many calls to tell which",
        )
        source.settle(target.missing, recorded, -1)
        target.settle(target.missing, billed, 1)
        return drift

    def _moved(self, source: TokenCell, target: TokenCell, calls: list[LedgerCall]) -> Drift:
        for call in calls:
            source.remove(call)
            target.add(call)
        tier = target.tier if target.tier != source.tier else None
        model = target.model if target.model != source.model else None
        return moved(calls, self._pricer, source.span, tier=tier, model=model)

    # --- calls that only one side has ---

    def _rest(self, cell: TokenCell) -> Iterator[Drift]:
        yield from self._not_billed(cell)
        if cell.requests > 0 and 0 < len(cell.unseen) <= cell.requests:
            yield self._difference(cell, DriftKind.ESTIMATED_RECORD, cell.unseen)
        elif not cell.agrees():
            yield self._difference(cell, *self._kind(cell))

    def _not_billed(self, cell: TokenCell) -> Iterator[Drift]:
        if cell.requests > 0 or not (cell.requests < 0 or cell.is_over()):
            return
        found = _subset(cell, [-each for each in cell.missing], -cell.requests)
        for call in found:
            cell.remove(call)
            yield left_out(call, *cell.span, others=cell.calls)
        if not found:
            yield self._some_not_billed(cell)

    def _some_not_billed(self, cell: TokenCell) -> Drift:
        """Say that some calls were not billed, too many to tell which."""
        tokens = {kind: -count for kind, count in cell.tokens.items()}
        drift = Drift(
            DriftKind.MISSING_AT_PROVIDER,
            ledger_usd=self._worth(cell, tokens),
            requests=-cell.requests,
            input_tokens=-tokens.get("input_tokens", 0),
            output_tokens=-tokens.get("output_tokens", 0),
            model=cell.model,
            recorded_tier=cell.tier,
            start=cell.span[0],
            end=cell.span[1],
            detail="too many calls to tell which",
        )
        cell.settle([-each for each in cell.missing], drift.ledger_usd, -1)
        return drift

    def _kind(self, cell: TokenCell) -> tuple[DriftKind, list[LedgerCall]]:
        if cell.requests > 0 or (not self._counts_requests and min(cell.missing) >= 0):
            return DriftKind.MISSING_IN_LEDGER, []
        estimates = [call for call in cell.calls if call.is_estimate]
        if estimates:
            return DriftKind.ESTIMATED_RECORD, estimates
        return DriftKind.TOKEN_MISMATCH, []

    def _difference(self, cell: TokenCell, kind: DriftKind, calls: list[LedgerCall]) -> Drift:
        tokens = cell.tokens
        words = [f"{name} {n:+,}" for name, n in tokens.items() if n]
        if kind is DriftKind.ESTIMATED_RECORD and calls and not calls[0].is_known:
            words.insert(0, "sent, and the answer was never seen")
        return Drift(
            kind,
            provider_usd=self._worth(cell, tokens),
            requests=max(cell.requests, 0),
            input_tokens=tokens.get("input_tokens", 0),
            output_tokens=tokens.get("output_tokens", 0),
            model=cell.model,
            service_tier=cell.tier,
            recorded_tier=cell.tier,
            start=cell.span[0],
            end=cell.span[1],
            calls=tuple(call.name for call in calls),
            detail="; ".join(words),
        )

    def _worth(self, cell: TokenCell, tokens: dict[str, int]) -> Decimal | None:
        """Price tokens, of which there may be fewer than none."""
        if cell.model is None:
            return None
        served = next((call.served for call in cell.calls), cell.model)
        tier = cell.tier or STANDARD
        return self._pricer.of_counts(tokens, served, tier, cell.span[0], cell.requests)


def _subset(cell: TokenCell, goal: Sequence[int], number: int) -> list[LedgerCall]:
    """Find so many calls of a cell that have exactly these counts together."""
    sums = Sums([cell.vector(call) for call in cell.calls])
    for size in cell.sizes(number):
        if (found := sums.find(tuple(goal), size)) is not None:
            return [cell.calls[place] for place in found]
    return []


def _to_fit_both(source: TokenCell, target: TokenCell) -> list[LedgerCall]:
    """Choose calls after whose move both cells agree."""
    if source.missing != [-each for each in target.missing]:
        return []
    return _subset(source, target.missing, target.requests)


def _to_fit_one(source: TokenCell, target: TokenCell) -> list[LedgerCall]:
    """Choose calls after whose move one cell agrees, and the other may lack calls in the ledger."""
    if target.requests > 0 or not target.counts_requests:
        found = _subset(source, target.missing, target.requests)
        if found:
            return found
    if source.requests < 0 or not source.counts_requests:
        rest = [a + b for a, b in zip(source.missing, target.missing, strict=True)]
        if min(rest) >= 0 and rest[0] > 0:
            return _subset(source, [-each for each in source.missing], -source.requests)
    return []


def _is_move_of_some(source: TokenCell, target: TokenCell) -> bool:
    """Whether a cell has too many calls, which another one lacks."""
    if target.requests <= 0 or min(target.missing) < 0 or min(source.missing) >= 0:
        return False
    rest = [a + b for a, b in zip(source.missing, target.missing, strict=True)]
    return min(rest) >= 0 or max(rest) <= 0
