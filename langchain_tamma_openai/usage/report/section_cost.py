"""Cost over time and in all, by model, user, organization and tag."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING

from langchain_tamma_openai.usage.money import add_exactly
from langchain_tamma_openai.usage.report.charts import (
    Axis,
    Point,
    Series,
    ranked_bars,
    stacked_bars,
)
from langchain_tamma_openai.usage.report.figures import Breakdown
from langchain_tamma_openai.usage.report.sections import Cell, Section, Table
from langchain_tamma_openai.usage.report.theme import MAX_SERIES, NONE_PLACE, OTHERS_PLACE, Spec
from langchain_tamma_openai.usage.report.wording import (
    exact_usd,
    labels,
    share,
    short_usd,
    step_start,
)
from langchain_tamma_openai.usage.summary import OTHERS, UsageFigures

if TYPE_CHECKING:
    from langchain_tamma_openai.usage.report.data import UsageReport

_WORDS = {
    "model": ("model", "models"),
    "user_id": ("user", "users"),
    "organization_id": ("organization", "organizations"),
    "tag": ("tag", "tags"),
}
_TAG_NOTE = "A run with several tags counts under each of them."
_HEADS = ("requests", "input", "cached", "output", "cost", "share", "failed", "no price")


@dataclass(slots=True)
class Sums:
    """Figures of one value, added up over time."""

    requests: int = 0
    failed: int = 0
    unpriced: int = 0
    input_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    usd: Decimal = field(default_factory=Decimal)

    def add(self, figures: UsageFigures) -> None:
        """Add what was used at another time.

        Args:
            figures: The figures.
        """
        self.requests += figures.total_requests
        self.failed += figures.failed_requests
        self.unpriced += figures.unpriced_requests
        self.input_tokens += figures.input_tokens
        self.cached_tokens += figures.cached_tokens
        self.output_tokens += figures.output_tokens
        self.usd = add_exactly(self.usd, figures.known_total_usd)

    @property
    def shown_usd(self) -> str:
        """The cost; unknown when no request has a known price."""
        return exact_usd(None if 0 < self.requests == self.unpriced else self.usd)

    def cells(self, total_usd: Decimal) -> tuple[Cell, ...]:
        """Give the cells under `_HEADS`.

        Args:
            total_usd: What the share is a share of.
        """
        return (
            self.requests,
            self.input_tokens,
            self.cached_tokens,
            self.output_tokens,
            self.shown_usd,
            share(float(self.usd), float(total_usd)),
            self.failed,
            self.unpriced,
        )


def sections(report: UsageReport) -> list[Section]:
    """Give two sections for each dimension that tells runs apart.

    Args:
        report: The report.
    """
    found: list[Section] = []
    for name, breakdown in report.figures.breakdowns.items():
        if breakdown.names:
            found += _Dimension(report, name, breakdown).sections()
    return found


class _Dimension:
    """One dimension of a report, told."""

    def __init__(self, report: UsageReport, name: str, breakdown: Breakdown) -> None:
        self._report = report
        self._name = name
        self._breakdown = breakdown
        self._word, self._words = _WORDS[name]
        self._values = _values(breakdown)
        self._labels = labels(self._values, breakdown.distinct - len(breakdown.names))
        self._sums = _sums(breakdown)

    def sections(self) -> list[Section]:
        note = _TAG_NOTE if self._name == "tag" else ""
        return [
            Section(
                f"cost-over-time-by-{self._word}",
                f"Cost over time by {self._word}",
                self._text_over_time(),
                self._over_time(),
                self._matrix(),
                4,
                note,
            ),
            Section(
                f"cost-by-{self._word}",
                f"Cost by {self._word}",
                self._text(),
                self._ranked(),
                self._table(),
                2,
                note,
            ),
        ]

    @property
    def _total_usd(self) -> Decimal:
        return self._report.figures.total.known_total_usd

    def _text(self) -> str:
        first = self._breakdown.names[0]
        sums = self._sums[first]
        part = share(float(sums.usd), float(self._total_usd))
        number = self._breakdown.distinct
        many = f"{number:,} {self._words}" if number != 1 else f"1 {self._word}"
        return f"{many}; {self._labels[first]} cost most: {short_usd(sums.usd)} ({part})."

    def _text_over_time(self) -> str:
        figures = self._report.figures
        label, most = max(figures.by_time.items(), key=lambda item: item[1].known_total_usd)
        return (
            f"{short_usd(self._total_usd)} over {len(figures.by_time):,} {figures.step}s with "
            f"runs; the most expensive was {label}, with {short_usd(most.known_total_usd)}."
        )

    def _over_time(self) -> Spec:
        colors = self._chart_series()
        rest = self._chart_rest()
        cells: dict[tuple[str, str | None], Decimal] = {}
        for (time, value), figures in self._breakdown.cells.items():
            key = time, value if value in colors else OTHERS
            cells[key] = add_exactly(cells.get(key, Decimal(0)), figures.known_total_usd)
        names = labels(colors, rest)
        order = {value: place for place, value in enumerate(colors)}
        points = [
            Point(step_start(time), names[value], float(usd), exact_usd(usd), order[value])
            for (time, value), usd in cells.items()
        ]
        series = [Series(names[value], color) for value, color in colors.items()]
        step = self._report.figures.step
        return stacked_bars(points, series, step, Axis(f"US dollars per {step}", "$~s"))

    def _chart_series(self) -> dict[str | None, int]:
        """Choose what has a color of its own."""
        names = self._breakdown.names
        colors: dict[str | None, int] = {
            name: place for place, name in enumerate(names[:MAX_SERIES])
        }
        if self._chart_rest():
            colors[OTHERS] = OTHERS_PLACE
        if None in self._sums:
            colors[None] = NONE_PLACE
        return colors

    def _chart_rest(self) -> int:
        return max(0, self._breakdown.distinct - MAX_SERIES)

    def _ranked(self) -> Spec:
        colors = self._chart_series()
        points, series = [], []
        for value in self._values:
            sums = self._sums[value]
            label = self._labels[value]
            points.append(Point(None, label, float(sums.usd), sums.shown_usd))
            series.append(Series(label, colors.get(value, OTHERS_PLACE)))
        return ranked_bars(points, series, Axis("US dollars", "$~s"))

    def _table(self) -> Table:
        rows = [
            (self._labels[value], *self._sums[value].cells(self._total_usd))
            for value in self._values
        ]
        total = Sums()
        total.add(self._report.figures.total)
        all_runs = ("all", *total.cells(self._total_usd))
        return Table((self._word, *_HEADS), tuple(rows), all_runs)

    def _matrix(self) -> Table:
        figures = self._report.figures
        rows = [
            (time, *(self._cell(time, value) for value in self._values), _shown(total))
            for time, total in figures.by_time.items()
        ]
        sums = (self._sums[value].shown_usd for value in self._values)
        heads = (f"{figures.step} (UTC)", *(self._labels[value] for value in self._values), "all")
        return Table(heads, tuple(rows), ("all", *sums, _shown(figures.total)))

    def _cell(self, time: str, value: str | None) -> str | None:
        figures = self._breakdown.cells.get((time, value))
        return None if figures is None else _shown(figures)


def _values(breakdown: Breakdown) -> Sequence[str | None]:
    """Order the values: the largest, the others, runs without one."""
    found = {value for _, value in breakdown.cells}
    return [*breakdown.names, *(value for value in (OTHERS, None) if value in found)]


def _sums(breakdown: Breakdown) -> Mapping[str | None, Sums]:
    sums: dict[str | None, Sums] = {name: Sums() for name in breakdown.names}
    for (_, value), figures in breakdown.cells.items():
        sums.setdefault(value, Sums()).add(figures)
    return sums


def _shown(figures: UsageFigures) -> str:
    return exact_usd(figures.total_cost_usd)
