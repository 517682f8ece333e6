"""What many runs used together, as a whole and by group. Plain data and exact arithmetic."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Self, TypeAlias

from langchain_tamma_openai.pricing_cost import plain_decimal
from langchain_tamma_openai.usage.money import add_exactly
from langchain_tamma_openai.usage.record import RunStatus, UsageRecord
from langchain_tamma_openai.usage.record_codec import TOKEN_FIELDS, clean_text, token_values
from langchain_tamma_openai.wire.usage import TokenUsage

TIME_GROUPS = ("hour", "day", "month")
FIELD_GROUPS = (
    "model",
    "requested_model",
    "user_id",
    "organization_id",
    "status",
    "provider",
    "api",
    "service_tier",
    "prompt_id",
    "prompt_version",
    "fallback",
    "error_kind",
    "error_code",
    "root_run_id",
)
GROUPS = (*TIME_GROUPS, *FIELD_GROUPS, "tag")
GroupKey: TypeAlias = tuple[str | None, ...]
OTHERS = "\x00others"
"""Stands for all values of a group that are not told apart; stores hold no text with a NUL."""

COUNT_NAMES = (
    "total_requests",
    "cache_hits",
    "ok_requests",
    "error_requests",
    "interrupted_requests",
    "cancelled_requests",
    "unpriced_requests",
    "estimated_requests",
    "unmeasured_requests",
    "total_attempts",
    "latency_us",
    "first_token_us",
    "first_token_requests",
    *TOKEN_FIELDS,
)
"""Whole numbers that add up, in the order in which stores hand them over."""
AMOUNT_NAMES = ("input_cost_usd", "output_cost_usd", "total_cost_usd")

_MICROSECONDS = 10**6
_NO_AMOUNTS = (Decimal(0),) * len(AMOUNT_NAMES)


@dataclass(frozen=True, slots=True)
class UsageFigures:
    """Figures of a set of runs.

    A run that LangChain's cache answered counts as one of `cache_hits` and in nothing else: it used
    no tokens and cost nothing. All other figures are of the remaining runs, `total_requests`.

    Attributes:
        total_requests: Runs that went to the provider, or tried to, whatever became of them.
        cache_hits: Runs that LangChain's cache answered.
        ok_requests: Requests that ended well.
        error_requests: Requests that failed.
        interrupted_requests: Requests whose answer broke off.
        cancelled_requests: Requests that the caller left.
        unpriced_requests: Requests whose cost is not known; they are missing from the amounts. A
            run that never sent anything (0 attempts) is not among them.
        estimated_requests: Requests whose tokens or cost are partly an estimate.
        unmeasured_requests: Requests whose tokens are not known; they are missing from the tokens.
            A run that never sent anything is not among them.
        total_attempts: HTTP attempts.
        tokens: Tokens by kind.
        known_input_usd: Cost of the input of all requests whose cost is known.
        known_output_usd: Cost of their output.
        known_total_usd: Cost of both.
        latency_us: Time from start to end, added up, in microseconds.
        first_token_us: Time to the first token, added up, in microseconds.
        first_token_requests: Requests whose time to the first token is known.
    """

    total_requests: int = 0
    cache_hits: int = 0
    ok_requests: int = 0
    error_requests: int = 0
    interrupted_requests: int = 0
    cancelled_requests: int = 0
    unpriced_requests: int = 0
    estimated_requests: int = 0
    unmeasured_requests: int = 0
    total_attempts: int = 0
    tokens: TokenUsage = field(default_factory=TokenUsage)
    known_input_usd: Decimal = Decimal(0)
    known_output_usd: Decimal = Decimal(0)
    known_total_usd: Decimal = Decimal(0)
    latency_us: int = 0
    first_token_us: int = 0
    first_token_requests: int = 0

    @property
    def total_runs(self) -> int:
        """Runs of any kind: requests and cache hits."""
        return self.total_requests + self.cache_hits

    @property
    def failed_requests(self) -> int:
        """Requests that did not end well."""
        return self.total_requests - self.ok_requests

    @property
    def requests_by_status(self) -> dict[RunStatus, int]:
        """Requests by how they ended."""
        return {status: getattr(self, f"{status.value}_requests") for status in RunStatus}

    @property
    def input_tokens(self) -> int:
        """Input tokens, cached and cache-written ones included."""
        return self.tokens.input_tokens

    @property
    def output_tokens(self) -> int:
        """Output tokens, reasoning included."""
        return self.tokens.output_tokens

    @property
    def total_tokens(self) -> int:
        """Input and output tokens."""
        return self.tokens.total_tokens

    @property
    def cached_tokens(self) -> int:
        """Input tokens read from the provider's prompt cache."""
        return self.tokens.cached_tokens

    @property
    def cache_write_tokens(self) -> int:
        """Input tokens written to the provider's prompt cache."""
        return self.tokens.cache_write_tokens

    @property
    def reasoning_tokens(self) -> int:
        """Output tokens spent on reasoning."""
        return self.tokens.reasoning_tokens

    @property
    def input_cost_usd(self) -> Decimal | None:
        """Cost of the input in US dollars; see `total_cost_usd`."""
        return None if self._nothing_priced else self.known_input_usd

    @property
    def output_cost_usd(self) -> Decimal | None:
        """Cost of the output in US dollars; see `total_cost_usd`."""
        return None if self._nothing_priced else self.known_output_usd

    @property
    def total_cost_usd(self) -> Decimal | None:
        """Cost of the requests with a known cost in US dollars; None when there is none of them.

        See `unpriced_requests` for how many are missing from it.
        """
        return None if self._nothing_priced else self.known_total_usd

    @property
    def mean_latency_s(self) -> float | None:
        """Seconds from start to end, on average; None without requests."""
        return _mean_s(self.latency_us, self.total_requests)

    @property
    def mean_time_to_first_token_s(self) -> float | None:
        """Seconds to the first token, on average over the requests that know it."""
        return _mean_s(self.first_token_us, self.first_token_requests)

    @property
    def _nothing_priced(self) -> bool:
        return 0 < self.total_requests == self.unpriced_requests

    def as_dict(self) -> dict[str, int | float | str | None]:
        """Give all figures as JSON values; amounts are plain decimal strings."""
        counts = {name: getattr(self, name) for name in COUNT_NAMES if name not in TOKEN_FIELDS}
        return {
            **counts,
            **dict(zip(TOKEN_FIELDS, token_values(self.tokens), strict=True)),
            **{name: plain_decimal(getattr(self, name)) for name in AMOUNT_NAMES},
            "mean_latency_s": self.mean_latency_s,
            "mean_time_to_first_token_s": self.mean_time_to_first_token_s,
        }


@dataclass(frozen=True, slots=True)
class UsageGroup(UsageFigures):
    """Figures of one group of runs.

    Attributes:
        key: The names grouped by and the group's values, such as
            `{"day": "2026-03-01", "model": "gpt-6.1-sol"}`. Hours read "2026-03-01T13:00Z", months
            "2026-03"; None stands for runs without a value.
    """

    key: Mapping[str, str | None] = field(default_factory=dict)

    def __repr__(self) -> str:
        """Say what was used."""
        from langchain_tamma_openai.usage.shown import figures_text

        return f"UsageGroup({dict(self.key)!r}: {figures_text(self)})"


@dataclass(frozen=True, slots=True)
class UsageSummary(UsageFigures):
    """Figures of all runs that were asked for, and of groups of them.

    Attributes:
        groups: The groups, ordered by their values. A run with several tags is in the group of
            each of them, and counts once in the summary.
        group_by: The names grouped by.
        start: First moment of the range; None without one.
        end: First moment after the range; None without one.
    """

    groups: tuple[UsageGroup, ...] = ()
    group_by: tuple[str, ...] = ()
    start: datetime | None = None
    end: datetime | None = None

    def __repr__(self) -> str:
        """Say what was used."""
        from langchain_tamma_openai.usage.shown import summary_text

        return summary_text(self)

    def _repr_html_(self) -> str:
        from langchain_tamma_openai.usage.shown import summary_html

        return summary_html(self)

    def group(self, **key: str | None) -> UsageGroup:
        """Give one group by its values, with zeros where no run belongs to it.

        Args:
            key: A value for each name grouped by.
        """
        found = (group for group in self.groups if dict(group.key) == key)
        return next(found, UsageGroup(key=key))


class Tally:
    """Figures that grow: counts in the order of `COUNT_NAMES` and amounts of `AMOUNT_NAMES`."""

    __slots__ = ("amounts", "counts")

    def __init__(
        self, counts: Iterable[int] = (), amounts: Iterable[Decimal] = _NO_AMOUNTS
    ) -> None:
        """Start with figures, or at nothing."""
        self.counts = list(counts) or [0] * len(COUNT_NAMES)
        self.amounts = list(amounts)

    def add(self, other: Tally) -> None:
        """Add the figures of other runs."""
        self.counts = [
            mine + theirs for mine, theirs in zip(self.counts, other.counts, strict=True)
        ]
        self.add_amounts(other.amounts)

    def add_amounts(self, amounts: Iterable[Decimal]) -> None:
        """Add to the amounts alone."""
        pairs = zip(self.amounts, amounts, strict=True)
        self.amounts = [add_exactly(mine, theirs) for mine, theirs in pairs]

    @classmethod
    def of(cls, record: UsageRecord) -> Self:
        """Give the figures of one run; SQL says the same in `store/measures.py`."""
        if record.cache_hit:
            return cls(counts=[int(name == "cache_hits") for name in COUNT_NAMES])
        cost, sent = record.cost, record.attempts > 0
        total = cost.total_usd if cost is not None else None
        first_token_s = record.time_to_first_token_s
        counts = (
            1,
            0,
            *(int(record.status is status) for status in RunStatus),
            int(sent and total is None),
            int(record.estimated or (cost is not None and cost.estimated)),
            int(sent and record.tokens is None),
            record.attempts,
            microseconds(record.latency_s),
            microseconds(first_token_s or 0.0),
            int(first_token_s is not None),
            *(count or 0 for count in token_values(record.tokens)),
        )
        if cost is None:
            return cls(counts)
        amounts = (cost.input_usd, cost.output_usd, total)
        return cls(counts, (amount or Decimal(0) for amount in amounts))

    def fields(self) -> dict[str, Any]:
        """Give the fields of `UsageFigures`."""
        named = dict[str, Any](zip(COUNT_NAMES, self.counts, strict=True))
        named["tokens"] = TokenUsage(*(named.pop(name) for name in TOKEN_FIELDS))
        known = ("known_input_usd", "known_output_usd", "known_total_usd")
        amounts = [Decimal(plain_decimal(amount) or 0) for amount in self.amounts]
        return named | dict(zip(known, amounts, strict=True))


def make_summary(
    total: Tally,
    groups: Mapping[GroupKey, Tally],
    group_by: Sequence[str],
    span: tuple[datetime | None, datetime | None],
) -> UsageSummary:
    """Put a summary together.

    Args:
        total: Figures of all runs, each counted once.
        groups: Figures by the values of the group.
        group_by: The names of these values.
        span: Start and end of the range.
    """
    ordered = sorted(groups, key=lambda key: [(value is not None, value or "") for value in key])
    return UsageSummary(
        **total.fields(),
        groups=tuple(
            UsageGroup(**groups[key].fields(), key=dict(zip(group_by, key, strict=True)))
            for key in ordered
        ),
        group_by=tuple(group_by),
        start=span[0],
        end=span[1],
    )


def summarize(
    records: Iterable[UsageRecord],
    group_by: Sequence[str] = (),
    span: tuple[datetime | None, datetime | None] = (None, None),
) -> UsageSummary:
    """Add up records one by one, for stores that are no database.

    Args:
        records: The runs, each once.
        group_by: Names among `GROUPS`.
        span: Start and end of the range they were taken from.
    """
    total, groups = Tally(), dict[GroupKey, Tally]()
    for record in records:
        tally = Tally.of(record)
        total.add(tally)
        for key in keys_of(record, group_by) if group_by else ():
            groups.setdefault(key, Tally()).add(tally)
    return make_summary(total, groups, group_by, span)


def time_label(moment: datetime, name: str) -> str:
    """Name the hour, day or month that a moment in UTC belongs to."""
    day = f"{moment.year:04}-{moment.month:02}-{moment.day:02}"
    return {"month": day[:7], "day": day, "hour": f"{day}T{moment.hour:02}:00Z"}[name]


def time_us(record: UsageRecord, measure: str) -> int | None:
    """Give a time of a run in microseconds; None where it is not known.

    Args:
        record: The run.
        measure: "latency_us" or "first_token_us".
    """
    seconds = record.latency_s if measure == "latency_us" else record.time_to_first_token_s
    return None if seconds is None else microseconds(seconds)


def microseconds(seconds: float) -> int:
    """Round seconds to whole microseconds, which add up the same in any order."""
    return round(seconds * _MICROSECONDS)


def keys_of(record: UsageRecord, group_by: Sequence[str]) -> list[GroupKey]:
    """Name the groups of a run: one, but for several tags.

    Args:
        record: The run.
        group_by: Names among `GROUPS`.
    """
    if "tag" not in group_by:
        return [tuple(_value(record, name) for name in group_by)]
    tags: Iterable[str | None] = dict.fromkeys(map(clean_text, record.tags)) or (None,)
    return [
        tuple(tag if name == "tag" else _value(record, name) for name in group_by) for tag in tags
    ]


def _value(record: UsageRecord, name: str) -> str | None:
    if name in TIME_GROUPS:
        return time_label(record.started_at.astimezone(UTC), name)
    value: object = getattr(record, name)
    return None if value is None else clean_text(str(value))


def _mean_s(total_us: int, count: int) -> float | None:
    return total_us / count / _MICROSECONDS if count else None
