"""Percentiles of times: the time of the run at that rank, exactly (nearest rank)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

Measure = Literal["latency", "first_token"]
COLUMNS: Mapping[Measure, str] = {"latency": "latency_us", "first_token": "first_token_us"}
SHARES = (50, 90, 95, 99)
"""Which, in percent."""
Ranks = tuple[int, ...]
"""How many runs, and the time in microseconds for each of `SHARES`."""
GroupKey = tuple[str | None, ...]
_MICROSECONDS = 10**6


@dataclass(frozen=True, slots=True)
class Percentiles:
    """Times of a group of runs, in seconds.

    Attributes:
        key: The names grouped by and the group's values.
        number: How many runs.
        p50_s: Half of them were as quick.
        p90_s: 90 of a hundred were.
        p95_s: 95 of a hundred were.
        p99_s: 99 of a hundred were.
    """

    key: Mapping[str, str | None]
    number: int
    p50_s: float
    p90_s: float
    p95_s: float
    p99_s: float


def percentiles(
    found: Mapping[GroupKey, Ranks], group_by: Sequence[str]
) -> tuple[Percentiles, ...]:
    """Read the percentiles of groups, ordered by their values.

    Args:
        found: Ranks by the values of the group.
        group_by: The names of these values.
    """
    ordered = sorted(found, key=lambda key: [(value is not None, value or "") for value in key])
    return tuple(_of(dict(zip(group_by, key, strict=True)), found[key]) for key in ordered)


def _of(key: Mapping[str, str | None], ranks: Ranks) -> Percentiles:
    number, *times = ranks
    return Percentiles(key, number, *(microseconds / _MICROSECONDS for microseconds in times))


def rank(times: Iterable[tuple[GroupKey, int | None]]) -> dict[GroupKey, Ranks]:
    """Rank times one by one, for stores that are no database.

    Args:
        times: The values of a group and a time in microseconds; None does not count.
    """
    listed: dict[GroupKey, list[int]] = {}
    for key, microseconds in times:
        if microseconds is not None:
            listed.setdefault(key, []).append(microseconds)
    return {key: _ranks(sorted(found)) for key, found in listed.items()}


def _ranks(ordered: Sequence[int]) -> Ranks:
    number = len(ordered)
    # The first rank of which `share` percent of all are at or below it.
    places = (-(-share * number // 100) - 1 for share in SHARES)
    return (number, *(ordered[place] for place in places))
