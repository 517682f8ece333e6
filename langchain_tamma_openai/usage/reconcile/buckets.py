"""Compares tokens by bucket, model and tier, as OpenAI's usage API has them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from functools import reduce

from langchain_tamma_openai.usage.money import add_exactly
from langchain_tamma_openai.usage.reconcile.calls import left_out, same_amount
from langchain_tamma_openai.usage.reconcile.export import Row
from langchain_tamma_openai.usage.reconcile.ledger import LedgerCall, Pricer
from langchain_tamma_openai.usage.reconcile.names import STANDARD
from langchain_tamma_openai.usage.reconcile.result import Drift, DriftKind
from langchain_tamma_openai.wire.usage import TokenUsage

Span = tuple[datetime, datetime]
_Key = tuple[Span, str | None, str | None]
_COUNTED = (
    "input_tokens",
    "output_tokens",
    "cached_tokens",
    "cache_write_tokens",
    "input_audio_tokens",
    "output_audio_tokens",
    "reasoning_tokens",
)


@dataclass(slots=True, eq=False)
class Cell:
    """What both sides have for one bucket, model and tier.

    Attributes:
        span: The bucket.
        model: None where the file is not split by model.
        tier: None where the file is not split by tier.
        requests: The provider's.
        tokens: The provider's.
        calls: Those of the ledger.
    """

    span: Span
    model: str | None
    tier: str | None
    requests: int = 0
    tokens: TokenUsage = field(default_factory=TokenUsage)
    calls: list[LedgerCall] = field(default_factory=list)

    def missing(self, counted: frozenset[str]) -> tuple[int, dict[str, int]]:
        """Say by how many requests and tokens the provider has more.

        Args:
            counted: The kinds of tokens that the file has.
        """
        ours = reduce(TokenUsage.__add__, (call.tokens for call in self.calls), TokenUsage())
        tokens = {
            kind: getattr(self.tokens, kind) - getattr(ours, kind)
            for kind in _COUNTED
            if kind in counted
        }
        return self.requests - len(self.calls), tokens

    def agrees(self, counted: frozenset[str]) -> bool:
        """Whether both sides have the same."""
        requests, tokens = self.missing(counted)
        return requests == 0 and not any(tokens.values())


class BucketMatch:
    """The comparison of tokens by bucket.

    Attributes:
        matched: How many calls agree.
        notes: What was allowed for.
    """

    def __init__(self, rows: Sequence[Row], calls: Iterable[LedgerCall], pricer: Pricer) -> None:
        """Put both sides into cells.

        Args:
            rows: The provider's.
            calls: Those of the ledger.
            pricer: Knows prices.
        """
        self._pricer = pricer
        self._counted = frozenset[str]().union(*(row.counted for row in rows))
        self._by_model = any(row.model is not None for row in rows)
        self._by_tier = any(row.tier is not None for row in rows)
        self._spans = sorted({span for row in rows if (span := span_of(row)) is not None})
        self._cells: dict[_Key, Cell] = {}
        self.matched = 0
        self.notes: list[str] = []
        self._fill(rows, calls)

    def _fill(self, rows: Sequence[Row], calls: Iterable[LedgerCall]) -> None:
        for row in rows:
            if (span := span_of(row)) is not None and row.tokens is not None:
                cell = self._cell(
                    span, row.model, row.tier or (STANDARD if self._by_tier else None)
                )
                cell.requests += row.requests
                cell.tokens += row.tokens
        for call in calls:
            if (span := find_span(self._spans, call.started_at)) is not None:
                self._home(call, span).calls.append(call)

    def _home(self, call: LedgerCall, span: Span) -> Cell:
        model = call.model if self._by_model else None
        return self._cell(span, model, call.tier if self._by_tier else None)

    def _cell(self, span: Span, model: str | None, tier: str | None) -> Cell:
        key = (span, model, tier)
        return self._cells.setdefault(key, Cell(*key))

    # --- what differs ---

    def drifts(self) -> Iterator[Drift]:
        """Give the differences."""
        self._allow_for_boundaries()
        for cells in self._families():
            yield from self._of_family(cells)
        for cell in self._cells.values():
            yield from self._stale(cell)
            self.matched += len(cell.calls) if cell.agrees(self._counted) else 0

    def _families(self) -> list[list[Cell]]:
        """Put the tiers of one bucket and model together."""
        families: dict[tuple[Span, str | None], list[Cell]] = defaultdict(list)
        for cell in self._cells.values():
            families[cell.span, cell.model].append(cell)
        return list(families.values())

    def _allow_for_boundaries(self) -> None:
        """Move calls that were under way at a boundary to where the provider counts them."""
        moved = 0
        for cell in list(self._cells.values()):
            for call in list(cell.calls):
                if call.ended_at < cell.span[1] or cell.agrees(self._counted):
                    continue
                span = find_span(self._spans, max(call.ended_at, cell.span[1]))
                if span is not None and self._move_if_better(call, cell, self._home(call, span)):
                    moved += 1
        if moved:
            self.notes.append(boundary_note(moved))

    def _move_if_better(self, call: LedgerCall, source: Cell, target: Cell) -> bool:
        before = self._distance(source) + self._distance(target)
        source.calls.remove(call)
        target.calls.append(call)
        if self._distance(source) + self._distance(target) < before:
            return True
        target.calls.remove(call)
        source.calls.append(call)
        return False

    def _distance(self, cell: Cell) -> int:
        requests, tokens = cell.missing(self._counted)
        return abs(requests) + sum(map(abs, tokens.values()))

    def _of_family(self, cells: list[Cell]) -> Iterator[Drift]:
        short = [cell for cell in cells if cell.missing(self._counted)[0] > 0]
        long = [cell for cell in cells if cell.missing(self._counted)[0] < 0]
        for source in long:
            for target in short:
                yield from self._tier_moves(source, target)
        for cell in cells:
            yield from self._rest(cell)

    def _tier_moves(self, source: Cell, target: Cell) -> Iterator[Drift]:
        """Find calls that the provider billed at another tier than they were recorded at."""
        number = min(-source.missing(self._counted)[0], target.missing(self._counted)[0])
        if number <= 0:
            return
        calls = self._that_fill(source, target, number)
        if not calls:
            return
        billed = [self._pricer.of_call(call, target.tier) for call in calls]
        yield Drift(
            DriftKind.WRONG_SERVICE_TIER,
            provider_usd=total(billed),
            ledger_usd=total([call.usd for call in calls]),
            requests=len(calls),
            model=source.model,
            service_tier=target.tier,
            recorded_tier=source.tier,
            start=source.span[0],
            end=source.span[1],
            calls=tuple(call.name for call in calls),
        )
        for call in calls:
            source.calls.remove(call)
            target.calls.append(call)

    def _that_fill(self, source: Cell, target: Cell, number: int) -> list[LedgerCall]:
        """Choose the calls whose move mends both cells most."""
        _, wanted = target.missing(self._counted)
        if number == len(source.calls):
            return list(source.calls)
        exact = subset(source.calls, number, wanted)
        if exact:
            return exact
        by_distance = sorted(
            source.calls,
            key=lambda call: sum(
                abs(getattr(call.tokens, kind) - count / number) for kind, count in wanted.items()
            ),
        )
        return by_distance[:number]

    def _rest(self, cell: Cell) -> Iterator[Drift]:
        requests, tokens = cell.missing(self._counted)
        if requests < 0:
            yield from self._not_billed(cell, -requests)
            requests, tokens = cell.missing(self._counted)
        if requests > 0 or (requests == 0 and any(tokens.values())):
            yield self._difference(cell, requests, tokens)

    def _not_billed(self, cell: Cell, number: int) -> Iterator[Drift]:
        _, tokens = cell.missing(self._counted)
        wanted = {kind: -count for kind, count in tokens.items()}
        found = subset(cell.calls, number, wanted)
        guessed = sorted(cell.calls, key=lambda call: not call.is_estimate)[:number]
        for call in found or guessed:
            yield left_out(call, *cell.span)
            cell.calls.remove(call)

    def _difference(self, cell: Cell, requests: int, tokens: dict[str, int]) -> Drift:
        estimates = [call.name for call in cell.calls if call.is_estimate]
        kind = DriftKind.MISSING_IN_LEDGER
        if requests == 0:
            kind = DriftKind.ESTIMATED_RECORD if estimates else DriftKind.TOKEN_MISMATCH
        return Drift(
            kind,
            provider_usd=self._worth(cell, tokens),
            requests=requests,
            input_tokens=tokens.get("input_tokens", 0),
            output_tokens=tokens.get("output_tokens", 0),
            model=cell.model,
            service_tier=cell.tier,
            recorded_tier=cell.tier,
            start=cell.span[0],
            end=cell.span[1],
            calls=tuple(estimates) if requests == 0 else (),
            detail="; ".join(f"{name} {n:+,}" for name, n in tokens.items() if n),
        )

    def _worth(self, cell: Cell, tokens: dict[str, int]) -> Decimal | None:
        """Price tokens, of which there may be fewer than none."""
        if cell.model is None:
            return None
        more = {kind: max(count, 0) for kind, count in tokens.items()}
        fewer = {kind: max(-count, 0) for kind, count in tokens.items()}
        served = next((call.served for call in cell.calls), cell.model)
        sides = [
            self._pricer.usd(_usage(side), served, cell.tier or STANDARD, cell.span[0])
            for side in (more, fewer)
        ]
        return None if None in sides else add_exactly(sides[0], -sides[1])  # type: ignore[arg-type,operator]  # neither is None

    def _stale(self, cell: Cell) -> Iterator[Drift]:
        """Find calls whose recorded cost is not that of the prices known today."""
        yield from stale(cell.calls, self._pricer, cell.span, cell.model)


def stale(
    calls: Iterable[LedgerCall], pricer: Pricer, span: Span, model: str | None
) -> Iterator[Drift]:
    """Find calls whose recorded cost is not that of the prices known today.

    Args:
        calls: Those of one bucket and model.
        pricer: Knows prices.
        span: The bucket.
        model: Its name; None for any.
    """
    found = [
        (call, known)
        for call in calls
        if call.usd is not None
        and call.source != "user"
        and (known := pricer.of_call(call)) is not None
        and not same_amount(known, call.usd)
    ]
    if found:
        yield Drift(
            DriftKind.STALE_PRICE,
            provider_usd=total([known for _, known in found]),
            ledger_usd=total([call.usd for call, _ in found]),
            requests=len(found),
            model=model,
            start=span[0],
            end=span[1],
            calls=tuple(call.name for call, _ in found),
        )


def subset(calls: Sequence[LedgerCall], number: int, wanted: dict[str, int]) -> list[LedgerCall]:
    """Find calls that have exactly so many tokens together; none where that takes too long.

    Args:
        calls: To choose from.
        number: How many to choose.
        wanted: Tokens by kind.
    """
    kinds = sorted(wanted)
    goal = tuple(wanted[kind] for kind in kinds)
    counts = [tuple(getattr(call.tokens, kind) for kind in kinds) for call in calls]
    budget = [200_000]
    order = sorted(range(len(calls)), key=lambda place: counts[place], reverse=True)

    def search(first: int, left: int, rest: tuple[int, ...]) -> list[int] | None:
        if left == 0:
            return [] if not any(rest) else None
        for place in range(first, len(order) - left + 1):
            budget[0] -= 1
            if budget[0] < 0:
                return None
            after = tuple(a - b for a, b in zip(rest, counts[order[place]], strict=True))
            if min(after) >= 0 and (found := search(place + 1, left - 1, after)) is not None:
                return [order[place], *found]
        return None

    if not kinds or min(goal) < 0:
        return []
    return [calls[place] for place in search(0, number, goal) or []]


def boundary_note(number: int) -> str:
    """Say that calls were counted in the bucket in which they ended.

    Args:
        number: How many.
    """
    return f"{number} calls were under way when a bucket ended, and billed in the next one"


def span_of(row: Row) -> Span | None:
    """Give the bucket of a row; a day where its end is not told.

    Args:
        row: A line of the file.
    """
    if row.start is None:
        return None
    return row.start, row.end or row.start + timedelta(days=1)


def find_span(spans: Sequence[Span], moment: datetime) -> Span | None:
    """Find the bucket of a moment.

    Args:
        spans: The buckets.
        moment: UTC.
    """
    return next((span for span in spans if span[0] <= moment < span[1]), None)


def total(amounts: Iterable[Decimal | None]) -> Decimal | None:
    """Add amounts up; None when one of them is not known.

    Args:
        amounts: US dollars.
    """
    listed = list(amounts)
    known = [amount for amount in listed if amount is not None]
    return reduce(add_exactly, known, Decimal(0)) if len(known) == len(listed) else None


def _usage(counts: dict[str, int]) -> TokenUsage:
    sums = counts.get("input_tokens", 0) + counts.get("output_tokens", 0)
    return TokenUsage(**counts, total_tokens=sums)
