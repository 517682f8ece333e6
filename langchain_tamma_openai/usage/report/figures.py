"""What a report needs of a ledger, read at one moment. Plain data; every store gives the same."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, Literal, Self, TypeAlias

from langchain_tamma_openai.usage.percentiles import COLUMNS, Quantiles
from langchain_tamma_openai.usage.summary import AMOUNT_NAMES, GroupKey, Tally, UsageFigures
from langchain_tamma_openai.wire.usage import TokenUsage

TimeStep: TypeAlias = Literal["hour", "day", "month"]
DIMENSIONS: Final = ("model", "user_id", "organization_id", "tag")

SLICE_COUNTS: Final = (
    "total_requests",
    "ok_requests",
    "cancelled_requests",
    "unpriced_requests",
    "input_tokens",
    "output_tokens",
    "cached_tokens",
)
"""Counts of `UsageFigures` that the slices of a breakdown have; their others are 0."""
SLICE_AMOUNTS: Final = AMOUNT_NAMES[-1:]

CACHE_COUNTS: Final = ("cached_tokens", "cache_write_tokens", "cache_write_12h_tokens")
MEASURES: Final = tuple(COLUMNS.values())
_HOURLY_UP_TO: Final = timedelta(days=3)
_DAILY_UP_TO: Final = timedelta(days=400)


def choose_step(first: datetime | None, last: datetime | None) -> TimeStep:
    """Choose what the points of a chart over time stand for.

    Args:
        first: Start of the first run.
        last: Start of the last run.
    """
    if first is None or last is None:
        return "day"
    if last - first <= _HOURLY_UP_TO:
        return "hour"
    return "day" if last - first <= _DAILY_UP_TO else "month"


@dataclass(frozen=True, slots=True)
class ReportPlan:
    """How much is wanted.

    Attributes:
        top: How many values of a dimension are told apart; the rest are `OTHERS`.
        step: What is added up over time; None chooses by the range that the runs cover.
    """

    top: int = 10
    step: TimeStep | None = None


@dataclass(frozen=True, slots=True)
class Breakdown:
    """Usage by the values of one dimension, over time.

    Attributes:
        names: The largest values, by cost and then by requests.
        distinct: How many values there are in all.
        cells: Figures (`SLICE_COUNTS` and the total cost) by time and by value, None or `OTHERS`.
    """

    names: tuple[str, ...] = ()
    distinct: int = 0
    cells: Mapping[tuple[str, str | None], UsageFigures] = field(default_factory=dict)

    @classmethod
    def of(cls, names: Sequence[str], distinct: int, groups: Mapping[GroupKey, Tally]) -> Self:
        """Make one of groups by time and value; those without a request are left out.

        Args:
            names: The largest values in order.
            distinct: How many there are in all.
            groups: The sums.
        """
        cells = {
            (str(time), value): UsageFigures(**tally.fields())
            for (time, value), tally in groups.items()
            if tally.counts[0]
        }
        return cls(tuple(names), distinct, dict(sorted(cells.items(), key=_cell_order)))


@dataclass(frozen=True, slots=True)
class Times:
    """Quantiles of one measure over all requests, by time and by model."""

    overall: Quantiles | None = None
    by_time: Mapping[str, Quantiles] = field(default_factory=dict)
    by_model: Mapping[str | None, Quantiles] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Trouble:
    """Requests that failed or were repeated.

    Attributes:
        time: The hour, day or month.
        status: How they ended, as a `RunStatus`'s value.
        error_kind: An `ErrorKind`'s value; None when there is none.
        requests: How many.
        repeated: How many of them took more than one attempt.
        retries: Attempts beyond the first, added up.
    """

    time: str
    status: str
    error_kind: str | None
    requests: int
    repeated: int
    retries: int


@dataclass(frozen=True, slots=True)
class CacheUse:
    """Tokens that a model read from and wrote to the provider's prompt cache in a month."""

    month: str
    model: str | None
    service_tier: str | None
    tokens: TokenUsage


@dataclass(frozen=True, slots=True)
class LedgerFigures:
    """All that a report needs.

    Attributes:
        first: Start of the first run; None without one.
        last: Start of the last run.
        step: What one point in time stands for.
        total: All runs.
        by_time: Runs by hour, day or month, in order.
        breakdowns: By each of `DIMENSIONS`.
        cache_use: What was read from prompt caches, where anything was.
        troubles: Failed and repeated requests.
        times: Quantiles of each of `MEASURES`.
    """

    first: datetime | None = None
    last: datetime | None = None
    step: TimeStep = "day"
    total: UsageFigures = field(default_factory=UsageFigures)
    by_time: Mapping[str, UsageFigures] = field(default_factory=dict)
    breakdowns: Mapping[str, Breakdown] = field(default_factory=dict)
    cache_use: tuple[CacheUse, ...] = ()
    troubles: tuple[Trouble, ...] = ()
    times: Mapping[str, Times] = field(default_factory=dict)


def ranking(groups: Mapping[GroupKey, Tally]) -> list[str]:
    """Order values by their cost, then by requests, then by name; None is not among them.

    Args:
        groups: Sums by value.
    """
    named = [(str(key[0]), tally) for key, tally in groups.items() if key[0] is not None]
    used = [(name, tally) for name, tally in named if tally.counts[0]]
    used.sort(key=lambda item: (-item[1].amounts[-1], -item[1].counts[0], item[0]))
    return [name for name, _ in used]


def cache_use(groups: Mapping[GroupKey, Tally]) -> tuple[CacheUse, ...]:
    """Read the use of caches off sums by month, model and tier.

    Args:
        groups: The sums.
    """
    ordered = sorted(groups.items(), key=lambda item: [value or "" for value in item[0]])
    uses = (
        CacheUse(str(month), model, tier, UsageFigures(**tally.fields()).tokens)
        for (month, model, tier), tally in ordered
    )
    return tuple(use for use in uses if use.tokens.cached_tokens or use.tokens.cache_write_tokens)


def troubles_in_order(troubles: Iterable[Trouble]) -> tuple[Trouble, ...]:
    """Add up those of the same time, status and kind, and order them by these.

    Args:
        troubles: In any order; databases give the days of a month apart.
    """
    sums: dict[tuple[str, str, str | None], tuple[int, int, int]] = {}
    for it in troubles:
        key = it.time, it.status, it.error_kind
        requests, repeated, retries = sums.get(key, (0, 0, 0))
        sums[key] = requests + it.requests, repeated + it.repeated, retries + it.retries
    ordered = sorted(sums, key=lambda key: (key[0], key[1], key[2] or ""))
    return tuple(Trouble(*key, *sums[key]) for key in ordered)


def _cell_order(item: tuple[tuple[str, str | None], object]) -> tuple[str, str]:
    time, value = item[0]
    return time, value or ""
