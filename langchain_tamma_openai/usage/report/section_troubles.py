"""Requests that failed, and those that were repeated."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

from langchain_tamma_openai.usage.report.charts import Axis, Point, Series, stacked_bars
from langchain_tamma_openai.usage.report.figures import Trouble
from langchain_tamma_openai.usage.report.sections import Cell, Section, Table
from langchain_tamma_openai.usage.report.theme import MAX_SERIES, OTHERS_PLACE
from langchain_tamma_openai.usage.report.wording import clean, share, step_start

if TYPE_CHECKING:
    from langchain_tamma_openai.usage.report.data import UsageReport

_OK: Final = "ok"
_REST: Final = "other kinds"


def sections(report: UsageReport) -> list[Section]:
    """Give the sections of failures and retries that there are any of.

    Args:
        report: The report.
    """
    failed = [trouble for trouble in report.figures.troubles if trouble.status != _OK]
    repeated = [trouble for trouble in report.figures.troubles if trouble.retries]
    found = [_failures(report, failed)] if failed else []
    return [*found, _retries(report, repeated)] if repeated else found


def _failures(report: UsageReport, failed: list[Trouble]) -> Section:
    step, total = report.figures.step, report.figures.total
    kinds = Counter[str]()
    for trouble in failed:
        kinds[_kind(trouble)] += trouble.requests
    ranked = [kind for kind, _ in kinds.most_common()]
    colors = {kind: place for place, kind in enumerate(ranked[:MAX_SERIES])}
    if len(ranked) > MAX_SERIES:
        colors[_REST] = OTHERS_PLACE
    drawn = Counter[tuple[str, str]]()
    for trouble in failed:
        kind = _kind(trouble)
        drawn[trouble.time, kind if kind in colors else _REST] += trouble.requests
    order = {kind: place for place, kind in enumerate(colors)}
    points = [
        Point(step_start(time), kind, number, f"{number:,}", order[kind])
        for (time, kind), number in drawn.items()
    ]
    series = [Series(kind, color) for kind, color in colors.items()]
    number = sum(kinds.values())
    return Section(
        "failures",
        "Requests that did not end well",
        f"{number:,} of {total.total_requests:,} requests ({share(number, total.total_requests)}); "
        f"most often {ranked[0]}: {kinds[ranked[0]]:,}.",
        stacked_bars(points, series, step, Axis(f"requests per {step}", "~s")),
        _matrix(step, ranked, failed),
        3,
        "Interrupted: the answer broke off. Cancelled: the caller left.",
    )


def _retries(report: UsageReport, repeated: list[Trouble]) -> Section:
    step, total = report.figures.step, report.figures.total
    by_time: dict[str, list[int]] = {}
    for trouble in repeated:
        counts = by_time.setdefault(trouble.time, [0, 0, 0])
        saved = trouble.repeated if trouble.status == _OK else 0
        for place, number in enumerate((trouble.repeated, saved, trouble.retries)):
            counts[place] += number
    label = "retries"
    points = [
        Point(step_start(time), label, counts[2], f"{counts[2]:,}")
        for time, counts in by_time.items()
    ]
    sums = [sum(column) for column in zip(*by_time.values(), strict=True)]
    return Section(
        "retries",
        "Retries and fallbacks",
        f"{sums[0]:,} requests ({share(sums[0], total.total_requests)}) took more than one "
        f"attempt, {sums[2]:,} more in all; {share(sums[1], sums[0])} of these ended well.",
        stacked_bars(points, [Series(label, 5)], step, Axis(f"retries per {step}", "~s")),
        Table(
            (f"{step} (UTC)", "repeated requests", "of them ended well", "retries"),
            tuple((time, *counts) for time, counts in by_time.items()),
            ("all", *sums),
        ),
        3,
        "Retries: attempts beyond the first of a request, fallbacks to other models included.",
    )


def _kind(trouble: Trouble) -> str:
    if trouble.error_kind is None:
        return trouble.status
    kind = clean(trouble.error_kind).replace("_", " ")
    return kind if trouble.status == "error" else f"{trouble.status}: {kind}"


def _matrix(step: str, kinds: list[str], failed: list[Trouble]) -> Table:
    cells = Counter[tuple[str, str]]()
    for trouble in failed:
        cells[trouble.time, _kind(trouble)] += trouble.requests
    times = sorted({trouble.time for trouble in failed})
    rows: list[tuple[Cell, ...]] = [
        (time, *(cells[time, kind] for kind in kinds), sum(cells[time, kind] for kind in kinds))
        for time in times
    ]
    sums = [sum(cells[time, kind] for time in times) for kind in kinds]
    return Table((f"{step} (UTC)", *kinds, "all"), tuple(rows), ("all", *sums, sum(sums)))
