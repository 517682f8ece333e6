"""The parts of a report: a chart, a sentence that says what it shows, and the table behind it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from langchain_tamma_openai.usage.report.theme import Spec

if TYPE_CHECKING:
    from langchain_tamma_openai.usage.report.data import UsageReport

Cell: TypeAlias = str | int | None


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of cells; whole numbers get thousands separators, None shows as a dash.

    Attributes:
        heads: Of the columns.
        rows: The cells.
        total: A last row of sums; None without one.
        names: How many columns from the left are names and not numbers.
    """

    heads: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    total: tuple[Cell, ...] | None = None
    names: int = 1


@dataclass(frozen=True, slots=True)
class Section:
    """One part.

    Attributes:
        id: Its anchor in the page.
        title: A few words.
        text: What the chart shows, for those who cannot see it too.
        chart: What Vega draws; colours are parameters of the theme.
        table: The numbers behind the chart, exact.
        width: Sixths of the page's width on a large screen.
        note: How the numbers are to be read; empty when that is clear.
    """

    id: str
    title: str
    text: str
    chart: Spec
    table: Table
    width: int = 3
    note: str = ""


def sections_of(report: UsageReport) -> list[Section]:
    """Tell a report in sections; those without anything to show are left out.

    Args:
        report: The report.
    """
    from langchain_tamma_openai.usage.report import (
        section_budget,
        section_cost,
        section_times,
        section_tokens,
        section_troubles,
    )

    if not report.figures.total.total_requests:
        return section_budget.sections(report)
    parts: Sequence[list[Section]] = (
        section_budget.sections(report),
        section_cost.sections(report),
        section_tokens.sections(report),
        section_times.sections(report),
        section_troubles.sections(report),
    )
    return [section for part in parts for section in part]
