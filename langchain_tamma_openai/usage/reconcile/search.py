"""Finds the few calls whose counts, or amounts, add up to a difference."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence

Vector = tuple[int, ...]
LARGEST = 3
"""So many calls are looked for at most, unless it is all of them, or nearly all."""

_MOST_STEPS = 300_000


class Sums:
    """Vectors of whole numbers, ready to be asked which of them add up to something."""

    def __init__(self, vectors: Sequence[Vector], slack: Vector | None = None) -> None:
        """Put them in order.

        Args:
            vectors: All of the same length.
            slack: By how much a sum may be off in each place; not at all when left out.
        """
        self._vectors = vectors
        self._order = sorted(range(len(vectors)), key=lambda place: sum(vectors[place]))
        self._keys = [sum(vectors[place]) for place in self._order]
        self._slack = slack
        self._width = sum(slack or ())
        self._steps = 0

    def find(self, goal: Vector, size: int) -> list[int] | None:
        """Find so many vectors that add up to a goal; None where there are none.

        Args:
            goal: The sum.
            size: How many.
        """
        return next(self.all(goal, size), None)

    def all(self, goal: Vector, size: int) -> Iterator[list[int]]:
        """Give all ways to add so many vectors up to a goal, as far as that is quick.

        Args:
            goal: The sum.
            size: How many.
        """
        self._steps = 0
        number = len(self._vectors)
        if 0 < size <= LARGEST:
            yield from self._search(goal, size, 0)
        elif 0 < size <= number <= size + LARGEST:
            yield from self._all_but(goal, number - size)

    def _all_but(self, goal: Vector, left_out: int) -> Iterator[list[int]]:
        total = [sum(column) for column in zip(*self._vectors, strict=True)]
        rest = tuple(a - b for a, b in zip(total, goal, strict=True))
        if left_out == 0:
            if self._is_nothing(rest):
                yield list(range(len(self._vectors)))
            return
        for found in self._search(rest, left_out, 0):
            yield [place for place in range(len(self._vectors)) if place not in found]

    def _search(self, goal: Vector, size: int, first: int) -> Iterator[list[int]]:
        if size == 1:
            yield from ([self._order[at]] for at in self._equal(goal, first))
            return
        for at in range(first, len(self._order) - size + 1):
            place = self._order[at]
            rest = tuple(a - b for a, b in zip(goal, self._vectors[place], strict=True))
            for found in self._search(rest, size - 1, at + 1):
                yield [place, *found]
            if self._steps > _MOST_STEPS:
                return

    def _equal(self, goal: Vector, first: int) -> Iterator[int]:
        key = sum(goal)
        start = bisect_left(self._keys, key - self._width, lo=first)
        end = bisect_right(self._keys, key + self._width, lo=first)
        self._steps += 1 + end - start
        for at in range(start, end):
            found = self._vectors[self._order[at]]
            if self._is_nothing(tuple(a - b for a, b in zip(goal, found, strict=True))):
                yield at

    def _is_nothing(self, rest: Vector) -> bool:
        if self._slack is None:
            return not any(rest)
        return all(abs(each) <= most for each, most in zip(rest, self._slack, strict=True))
