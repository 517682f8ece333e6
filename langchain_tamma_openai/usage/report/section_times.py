"""Latency and time to the first token, over time and by model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from langchain_tamma_openai.usage.percentiles import QUANTILES, Quantiles
from langchain_tamma_openai.usage.report.charts import Axis, Point, Series, lines, ranges
from langchain_tamma_openai.usage.report.figures import Times
from langchain_tamma_openai.usage.report.sections import Cell, Section, Table
from langchain_tamma_openai.usage.report.wording import labels, seconds, step_start

if TYPE_CHECKING:
    from langchain_tamma_openai.usage.report.data import UsageReport

NAMES: Final = tuple(f"p{100 * share:.0f}" for share in QUANTILES)
_DRAWN: Final = {"p50": 0, "p90": 1, "p99": 3}
_SERIES: Final = [Series(name, color) for name, color in _DRAWN.items()]
_MICROSECONDS: Final = 10**6
_EXACT = "Percentiles are exact, by nearest rank: each is a time that did occur."
_MEASURES: Final = (
    ("latency_us", "latency", "Latency", "of all requests, failed ones included, to their end"),
    ("first_token_us", "first-token", "Time to first token", "of streamed requests"),
)


def sections(report: UsageReport) -> list[Section]:
    """Give the sections of times.

    Args:
        report: The report.
    """
    known = [
        (slug, title, of, times)
        for measure, slug, title, of in _MEASURES
        if (times := report.figures.times.get(measure)) is not None and times.overall is not None
    ]
    over_time = [_over_time(report, *one) for one in known]
    by_model = [_by_model(report, *one) for one in known]
    return [*over_time, *by_model]


def _over_time(report: UsageReport, slug: str, title: str, of: str, times: Times) -> Section:
    step = report.figures.step
    points = [
        point for time, quantiles in times.by_time.items() for point in _points(quantiles, at=time)
    ]
    rows = tuple((time, *_cells(quantiles)) for time, quantiles in times.by_time.items())
    return Section(
        slug,
        f"{title} over time",
        _text(of, times),
        lines(points, _SERIES, step, Axis("seconds", "~s")),
        Table((f"{step} (UTC)", "requests", *NAMES), rows, _total(times)),
        3,
        _EXACT,
    )


def _by_model(report: UsageReport, slug: str, title: str, of: str, times: Times) -> Section:
    rest = report.figures.breakdowns["model"].distinct - len(
        report.figures.breakdowns["model"].names
    )
    slowest = sorted(times.by_model, key=lambda name: -times.by_model[name].values_us[0])
    named = labels(slowest, rest)
    points, rows = [], []
    for value in slowest:
        drawn = _points(times.by_model[value])
        points += drawn
        rows += [named[value]] * len(drawn)
    cells = tuple((named[value], *_cells(times.by_model[value])) for value in slowest)
    return Section(
        f"{slug}-by-model",
        f"{title} by model",
        f"{named[slowest[0]]} is the slowest: half of its requests take "
        f"{seconds(times.by_model[slowest[0]].values_us[0])} or less. Seconds {of}.",
        ranges(points, rows, _SERIES, Axis("seconds", "~s")),
        Table(("model", "requests", *NAMES), cells, _total(times)),
        3,
    )


def _points(quantiles: Quantiles, at: str | None = None) -> list[Point]:
    moment = None if at is None else step_start(at)
    return [
        Point(moment, name, us / _MICROSECONDS, seconds(us))
        for name, us in zip(NAMES, quantiles.values_us, strict=True)
        if name in _DRAWN
    ]


def _cells(quantiles: Quantiles) -> tuple[Cell, ...]:
    return (quantiles.count, *map(seconds, quantiles.values_us))


def _total(times: Times) -> tuple[Cell, ...] | None:
    return None if times.overall is None else ("all", *_cells(times.overall))


def _text(of: str, times: Times) -> str:
    if times.overall is None:
        return ""
    median, ninety, _, most = map(seconds, times.overall.values_us)
    return f"Half within {median}, 90 % within {ninety}, 99 % within {most}; {of}."
