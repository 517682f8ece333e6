"""The head of a report: where its numbers come from, totals, and what they leave out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from langchain_tamma_openai.usage.report.sections import Table
from langchain_tamma_openai.usage.report.wording import (
    clean,
    exact_usd,
    moment,
    seconds,
    share,
    short_count,
    short_usd,
    span,
)

if TYPE_CHECKING:
    from langchain_tamma_openai.usage.report.data import UsageReport
    from langchain_tamma_openai.usage.summary import UsageFigures


@dataclass(frozen=True, slots=True)
class Tile:
    """One large number.

    Attributes:
        name: The figure it is, as `UsageFigures` names it where it does.
        title: A few words.
        value: The number, short.
        note: Below it: the exact number, or parts of it.
        exact: The number as text for programs.
    """

    name: str
    title: str
    value: str
    note: str
    exact: str


def facts(report: UsageReport) -> list[tuple[str, str]]:
    """Say what the report is about.

    Args:
        report: The report.
    """
    figures = report.figures
    named = [("Range", span(report.start, report.end))]
    if figures.first is not None and figures.last is not None:
        named.append(("Runs", f"{moment(figures.first)} to {moment(figures.last)} UTC"))
    named += [(name.capitalize(), value) for name, value in report.filters.items()]
    return [
        *named,
        ("Ledger", clean(report.ledger)),
        ("Made", f"{moment(report.made_at)} UTC"),
    ]


def tiles(report: UsageReport) -> list[Tile]:
    """Give the large numbers.

    Args:
        report: The report.
    """
    total = report.figures.total
    troubled = total.error_requests + total.interrupted_requests
    return [
        Tile(
            "total_requests",
            "Requests",
            f"{total.total_requests:,}",
            _beside_requests(total),
            str(total.total_requests),
        ),
        Tile(
            "total_cost_usd",
            "Cost",
            short_usd(total.total_cost_usd),
            _exact_cost(total),
            exact_usd(total.total_cost_usd).lstrip("$"),
        ),
        Tile(
            "total_tokens",
            "Tokens",
            short_count(total.total_tokens),
            f"{total.input_tokens:,} in, {total.output_tokens:,} out",
            str(total.total_tokens),
        ),
        Tile(
            "cached_tokens",
            "Input from cache",
            share(total.cached_tokens, total.input_tokens),
            _saved(report),
            str(total.cached_tokens),
        ),
        Tile(
            "error_rate",
            "Error rate",
            share(troubled, total.total_requests),
            f"{total.error_requests:,} failed, {total.interrupted_requests:,} broke off, "
            f"{total.cancelled_requests:,} cancelled",
            str(troubled / total.total_requests if total.total_requests else 0),
        ),
        *_time_tiles(report),
    ]


def _beside_requests(total: UsageFigures) -> str:
    said = f"{total.ok_requests:,} ended well"
    return f"{said}; {total.cache_hits:,} cache hits" if total.cache_hits else said


def _exact_cost(total: UsageFigures) -> str:
    exact = exact_usd(total.total_cost_usd)
    if total.unpriced_requests:
        return f"exactly {exact}, without {total.unpriced_requests:,} unpriced requests"
    return f"exactly {exact}"


def _saved(report: UsageReport) -> str:
    cached = report.figures.total.cached_tokens
    if report.savings.saved_usd is None:
        return f"{cached:,} tokens"
    return f"{cached:,} tokens, saved about {short_usd(report.savings.saved_usd)}"


def _time_tiles(report: UsageReport) -> list[Tile]:
    found = []
    for measure, title in (("latency_us", "Latency"), ("first_token_us", "Time to first token")):
        times = report.figures.times.get(measure)
        if times is None or times.overall is None:
            continue
        median, ninety, _, most = times.overall.values_us
        note = f"median; 90 % {seconds(ninety)}, 99 % {seconds(most)}"
        found.append(Tile(measure, title, seconds(median), note, str(median)))
    return found


def notices(report: UsageReport) -> list[str]:
    """Say what the numbers leave out or only estimate.

    Args:
        report: The report.
    """
    total = report.figures.total
    said: list[str] = []
    number = total.total_requests
    if total.unpriced_requests:
        said.append(
            f"{total.unpriced_requests:,} of {number:,} requests "
            f"({share(total.unpriced_requests, number)}) have no known price. Their cost is "
            "unknown, not 0: the real cost is higher than the sums here."
        )
    if total.unmeasured_requests:
        said.append(
            f"{total.unmeasured_requests:,} requests ({share(total.unmeasured_requests, number)}) "
            "have unknown tokens and are missing from the sums of tokens."
        )
    if total.estimated_requests:
        said.append(
            f"{total.estimated_requests:,} requests ({share(total.estimated_requests, number)}) "
            "are partly estimated, in tokens or in cost."
        )
    return said


def totals(report: UsageReport) -> Table:
    """List all totals exactly, under the names that the package has for them.

    Args:
        report: The report.
    """
    total = report.figures.total
    rows: list[tuple[str, str | int | None]] = []
    for name, value in total.as_dict().items():
        if name.endswith("_usd"):
            rows.append((name, exact_usd(getattr(total, name))))
        elif isinstance(value, int):
            rows.append((name, value))
        else:
            rows.append((name, None if value is None else f"{value:.6f} s"))
    rows.append(("retries", sum(trouble.retries for trouble in report.figures.troubles)))
    return Table(("figure", "value"), tuple(rows))
