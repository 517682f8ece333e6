"""Percentiles of times: the time of the run at that rank, exactly (nearest rank)."""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal, Self, TypeVar

Key = TypeVar("Key", bound=Hashable)
Measure = Literal["latency", "first_token"]
COLUMNS: Mapping[Measure, str] = {"latency": "latency_us", "first_token": "first_token_us"}
QUANTILES: Final = (0.5, 0.9, 0.95, 0.99)
GroupKey = tuple[str | None, ...]
_MICROSECONDS = 10**6


def ranks(count: int) -> tuple[int, ...]:
    """Give the place of each quantile among so many values, from 1.

    Args:
        count: At least 1. PostgreSQL's `percentile_disc` rounds the same way.
    """
    return tuple(max(1, math.ceil(share * count)) for share in QUANTILES)


@dataclass(frozen=True, slots=True)
class Quantiles:
    """Exact quantiles of times in microseconds, by nearest rank: values that did occur.

    Attributes:
        count: How many times there are.
        values_us: One for each of `QUANTILES`.
    """

    count: int
    values_us: tuple[int, ...]

    @classmethod
    def of(cls, ordered: Sequence[int]) -> Self:
        """Read them off times in order.

        Args:
            ordered: Microseconds, at least one.
        """
        return cls(len(ordered), tuple(ordered[rank - 1] for rank in ranks(len(ordered))))


def quantiles_of(times: Iterable[tuple[Key, int | None]]) -> dict[Key, Quantiles]:
    """Order times one by one, for stores that are no database.

    Args:
        times: What they are told apart by, and microseconds; None does not count.
    """
    listed: dict[Key, list[int]] = {}
    for key, microseconds in times:
        if microseconds is not None:
            listed.setdefault(key, []).append(microseconds)
    return {key: Quantiles.of(sorted(found)) for key, found in listed.items()}


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
    found: Mapping[GroupKey, Quantiles], group_by: Sequence[str]
) -> tuple[Percentiles, ...]:
    """Read the percentiles of groups, ordered by their values.

    Args:
        found: Quantiles by the values of the group.
        group_by: The names of these values.
    """
    ordered = sorted(found, key=lambda key: [(value is not None, value or "") for value in key])
    return tuple(_of(dict(zip(group_by, key, strict=True)), found[key]) for key in ordered)


def _of(key: Mapping[str, str | None], quantiles: Quantiles) -> Percentiles:
    times_s = (us / _MICROSECONDS for us in quantiles.values_us)
    return Percentiles(key, quantiles.count, *times_s)
