"""The tables behind the charts, with exact amounts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal

from langchain_tamma_openai.pricing_cost import plain_decimal
from langchain_tamma_openai.usage.percentiles import Percentiles
from langchain_tamma_openai.usage.report.data import OTHERS, ReportData, label
from langchain_tamma_openai.usage.summary import UsageFigures, UsageGroup

_FIGURES = ("requests", "input tokens", "cached", "output tokens", "reasoning", "cost", "not ok")
_NAMES = {"user_id": "user", "organization_id": "organization"}
_MOST_ROWS = 2000


@dataclass(frozen=True, slots=True)
class Table:
    """One table.

    Attributes:
        name: Of the chart it stands behind.
        title: Above it.
        heads: Of its columns.
        rows: Its cells, as text.
        texts: How many columns at the left are text; the others are numbers.
    """

    name: str
    title: str
    heads: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    texts: int = 1


def tables(data: ReportData) -> Iterator[Table]:
    """Make a table for each chart.

    Args:
        data: What the report says.
    """
    rows = [(label(g.key[data.period]), *figures(g)) for g in data.by_time]
    yield _table("cost", "Cost over time", (data.period, *_FIGURES), rows)
    both = [
        (label(g.key[data.period]), label(g.key["model"]), *figures(g))
        for g in data.by_time_and_model
    ]
    heads = (data.period, "model", *_FIGURES)
    yield _table("cost-by-model-and-time", "Cost over time, by model", heads, both, texts=2)
    for ranking in data.rankings:
        listed = [(label(g.key[ranking.name]), *figures(g)) for g in ranking.groups]
        if ranking.others:
            blanks = ("",) * (len(_FIGURES) - 2)
            rest = dollars(ranking.others_usd)
            listed.append((f"{ranking.others:,} {OTHERS}", *blanks, rest, ""))
        name = _NAMES.get(ranking.name, ranking.name)
        anchor = f"by-{ranking.name.removesuffix('_id')}"
        yield _table(anchor, f"By {name}", (name, *_FIGURES), listed)
    yield from _time_tables(data)
    yield _errors(data)


def figures(of: UsageFigures) -> tuple[str, ...]:
    """Give the columns that every table of sums has.

    Args:
        of: The sums.
    """
    return (
        f"{of.total_requests:,}",
        f"{of.input_tokens:,}",
        f"{of.cached_tokens:,}",
        f"{of.output_tokens:,}",
        f"{of.reasoning_tokens:,}",
        dollars(of.total_cost_usd),
        f"{of.failed_requests:,}",
    )


def dollars(amount: Decimal | None) -> str:
    """Write an amount exactly; unknown is said.

    Args:
        amount: US dollars.
    """
    return "unknown" if amount is None else f"${plain_decimal(amount)}"


def _time_tables(data: ReportData) -> Iterator[Table]:
    heads = ("runs", "50 %", "90 %", "95 %", "99 %")
    kinds: tuple[tuple[str, str, str, Sequence[Percentiles]], ...] = (
        ("latency", "Latency in seconds", data.period, data.latency),
        ("latency-by-model", "Latency by model, in seconds", "model", data.latency_by_model),
        ("first-token", "Time to the first token, in seconds", data.period, data.first_token),
    )
    for name, title, key, found in kinds:
        if found:
            rows = [(label(each.key[key]), *_times(each)) for each in found]
            yield _table(name, title, (key, *heads), rows)


def _times(of: Percentiles) -> tuple[str, ...]:
    shares = (of.p50_s, of.p90_s, of.p95_s, of.p99_s)
    return (f"{of.number:,}", *(f"{seconds:.3g}" for seconds in shares))


def _errors(data: ReportData) -> Table:
    rows = [_error_row(group, data.period) for group in data.by_time_and_error]
    heads = (data.period, "kind", "runs", "error", "interrupted", "cancelled")
    return _table("errors", "Runs that did not end well", heads, rows, texts=2)


def _error_row(group: UsageGroup, period: str) -> tuple[str, ...]:
    endings = (group.error_requests, group.interrupted_requests, group.cancelled_requests)
    kind = label(group.key["error_kind"])
    return (
        label(group.key[period]),
        kind,
        f"{group.failed_requests:,}",
        *map("{:,}".format, endings),
    )


def _table(
    name: str,
    title: str,
    heads: tuple[str, ...],
    rows: Sequence[tuple[str, ...]],
    texts: int = 1,
) -> Table:
    shown = tuple(rows[:_MOST_ROWS])
    if len(rows) > _MOST_ROWS:
        more = (f"and {len(rows) - _MOST_ROWS:,} more", *("" for _ in heads[1:]))
        shown = (*shown, more)
    return Table(name, title, heads, shown, texts)
