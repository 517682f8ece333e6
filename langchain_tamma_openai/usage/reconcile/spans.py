"""Buckets of time, and calls that lie across the end of one."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import combinations
from typing import NamedTuple, Protocol

from langchain_tamma_openai.usage.reconcile.export import Row
from langchain_tamma_openai.usage.reconcile.ledger import LedgerCall

Span = tuple[datetime, datetime]
_SKEW = timedelta(seconds=5)
"""The clocks of both sides may differ by so much."""
_MOST_MOVES = 40
_LARGEST_SHIFT = 3
_MOST_EMPTY = 10_000


class Cell(Protocol):
    """What both sides have for one bucket of time."""

    span: Span

    def add(self, call: LedgerCall) -> None:
        """Count a call of the ledger."""

    def remove(self, call: LedgerCall) -> None:
        """Count it no more."""

    def agrees(self) -> bool:
        """Whether both sides have the same."""

    def distance(self) -> float:
        """How far the two sides are apart; 0 or more."""


def span_of(row: Row) -> Span | None:
    """Give the bucket of a row; a day where its end is not told.

    Args:
        row: A line of the file.
    """
    if row.start is None:
        return None
    return row.start, row.end or row.start + timedelta(days=1)


class Spans:
    """The buckets of a file, in order; days that it leaves out are buckets without usage."""

    def __init__(
        self, rows: Iterable[Row], start: datetime | None = None, end: datetime | None = None
    ) -> None:
        """Find them.

        Args:
            rows: The lines of the file.
            start: First moment that the file is about; that of its first bucket when left out.
            end: First moment after it; that after its last bucket when left out.
        """
        found = sorted({span for row in rows if (span := span_of(row)) is not None})
        self._spans = _without_gaps(found, start, end)
        self._starts = [span[0] for span in self._spans]

    def find(self, moment: datetime) -> Span | None:
        """Find the bucket of a moment; None outside of all.

        Args:
            moment: UTC.
        """
        place = bisect_right(self._starts, moment) - 1
        if place < 0 or moment >= self._spans[place][1]:
            return None
        return self._spans[place]

    def homes(self, call: LedgerCall) -> list[Span | None]:
        """Find the buckets in which a provider may count a call; None for outside of all.

        Args:
            call: The call.
        """
        moments = (call.started_at, call.ended_at)
        skewed = (call.started_at - _SKEW, call.ended_at + _SKEW)
        found = [self.find(moment) for moment in moments]
        found += [span for moment in skewed if (span := self.find(moment)) is not None]
        return list(dict.fromkeys(found))


def _without_gaps(
    found: Sequence[Span], start: datetime | None, end: datetime | None
) -> list[Span]:
    """Put empty buckets where a file has none."""
    if not found:
        return [] if start is None or end is None else [(start, end)]
    widths = [last - first for first, last in found if last > first]
    width = min(widths, default=timedelta(days=1))
    spans: list[Span] = []
    first = found[0][0]
    for _ in range(_MOST_EMPTY):
        if start is None or first - width < start:
            break
        first -= width
    for span in [*found, (end or found[-1][1], found[-1][1])]:
        for _ in range(_MOST_EMPTY):
            if first + width > span[0]:
                break
            spans.append((first, first + width))
            first += width
        if span[1] > span[0]:
            spans.append(span)
            first = max(first, span[1])
    return spans


class Move(NamedTuple):
    """A call that may be counted elsewhere; None is outside of all buckets."""

    call: LedgerCall
    source: Span | None
    target: Span | None


class Shifts:
    """Calls that may be counted in more than one bucket, put where both sides agree."""

    def __init__(self, cell: Callable[[LedgerCall, Span], Cell]) -> None:
        """Choose how the cell of a call is found.

        Args:
            cell: Gives the cell of a call in a bucket.
        """
        self._cell = cell
        self._moves: list[Move] = []
        self._done: set[int] = set()

    @property
    def moved(self) -> int:
        """How many calls are counted elsewhere than where they began."""
        return len(self._done)

    def put(self, call: LedgerCall, homes: Sequence[Span | None]) -> None:
        """Count a call where it began, and remember where else it may belong.

        Args:
            call: The call.
            homes: Its possible buckets, the one in which it began first.
        """
        first, *others = homes
        if first is not None:
            self._cell(call, first).add(call)
        self._moves += [Move(call, first, other) for other in others]

    def settle(self) -> None:
        """Move calls where that makes buckets agree, or brings them nearer."""
        for moves in self._by_cell():
            sizes = range(1, _LARGEST_SHIFT + 1) if len(moves) <= _MOST_MOVES else (1,)
            chosen = (each for size in sizes for each in combinations(moves, size))
            any(self._made(each, self._all_agree) for each in chosen)
        for move in self._moves:
            if move.source is not None and move.target is not None:
                is_late = move.target[0] <= move.call.ended_at
                self._made((move,), _Nearer(_sum(self._both(move)), is_late))

    def _by_cell(self) -> Iterator[list[Move]]:
        """Give the moves that touch each bucket that does not agree."""
        cells: dict[int, Cell] = {}
        moves: dict[int, list[Move]] = {}
        for move in self._moves:
            for cell in self._both(move):
                cells[id(cell)] = cell
                moves.setdefault(id(cell), []).append(move)
        for key, cell in cells.items():
            if not cell.agrees():
                yield moves[key]

    def _both(self, move: Move) -> list[Cell]:
        spans = (move.source, move.target)
        return [self._cell(move.call, span) for span in spans if span is not None]

    @staticmethod
    def _all_agree(cells: Sequence[Cell]) -> bool:
        return all(cell.agrees() for cell in cells)

    def _made(self, moves: Sequence[Move], is_good: Callable[[Sequence[Cell]], bool]) -> bool:
        """Make moves, and take them back where the result is not good."""
        calls = {id(move.call) for move in moves}
        if len(calls) < len(moves) or calls & self._done:
            return False
        touched = {id(cell): cell for move in moves for cell in self._both(move)}
        self._apply(moves)
        if is_good(list(touched.values())):
            self._done |= calls
            return True
        self._apply([Move(call, target, source) for call, source, target in moves])
        return False

    def _apply(self, moves: Iterable[Move]) -> None:
        for call, source, target in moves:
            if source is not None:
                self._cell(call, source).remove(call)
            if target is not None:
                self._cell(call, target).add(call)


@dataclass(frozen=True, slots=True)
class _Nearer:
    """Whether the sides are nearer to each other than before.

    Where only clocks may differ, one of the buckets has to agree as well.
    """

    before: float
    is_enough: bool

    def __call__(self, cells: Sequence[Cell]) -> bool:
        is_nearer = _sum(cells) < self.before
        return is_nearer and (self.is_enough or any(cell.agrees() for cell in cells))


def _sum(cells: Iterable[Cell]) -> float:
    return sum(cell.distance() for cell in cells)
