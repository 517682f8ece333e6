"""Reads a report off a ledger."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Literal, Unpack, overload

from langchain_tamma_openai.checks import shown
from langchain_tamma_openai.errors import InvalidParameterError
from langchain_tamma_openai.pricing import default_calculator
from langchain_tamma_openai.usage.budget_windows import (
    BudgetWindow,
    check_window,
)
from langchain_tamma_openai.usage.filters import RecordFilter, RecordFilters
from langchain_tamma_openai.usage.report.burn_down import BurnDown
from langchain_tamma_openai.usage.report.data import FORMATS, ReportFormat, UsageReport
from langchain_tamma_openai.usage.report.figures import LedgerFigures, ReportPlan, TimeStep
from langchain_tamma_openai.usage.report.savings import cache_savings
from langchain_tamma_openai.usage.report.wording import clean

if TYPE_CHECKING:
    from langchain_tamma_openai.pricing import CostCalculator
    from langchain_tamma_openai.usage.tracker import UsageTracker

MAX_TOP = 50
_STEPS = ("hour", "day", "month")
_NAMES = {
    "user_id": "user",
    "organization_id": "organization",
    "tags": "tags",
    "requested_model": "requested model",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportOptions:
    """How a report is made.

    Attributes:
        title: Of the page.
        top: How many models, users, organizations and tags are told apart; 1 to 50.
        step: What is added up over time: "hour", "day" or "month"; None chooses.
        budget_usd: A budget to hold the cost against.
        budget_window: "day", "month", a timedelta, or None for ever.
        calculator: Prices for what caches saved.
        now: For tests.
    """

    title: str = "Usage and cost"
    top: int = 10
    step: TimeStep | None = None
    budget_usd: Decimal | None = None
    budget_window: BudgetWindow = "month"
    calculator: CostCalculator | None = None
    now: datetime | None = None


@overload
def usage_report(
    tracker: UsageTracker,
    *,
    format: None = None,
    title: str = ...,
    top: int = ...,
    step: TimeStep | None = ...,
    budget_usd: Decimal | float | str | None = ...,
    budget_window: BudgetWindow = ...,
    calculator: CostCalculator | None = ...,
    **filters: Unpack[RecordFilters],
) -> UsageReport: ...
@overload
def usage_report(
    tracker: UsageTracker,
    *,
    format: Literal["html", "md", "svg", "json"],
    title: str = ...,
    top: int = ...,
    step: TimeStep | None = ...,
    budget_usd: Decimal | float | str | None = ...,
    budget_window: BudgetWindow = ...,
    calculator: CostCalculator | None = ...,
    **filters: Unpack[RecordFilters],
) -> str: ...
@overload
def usage_report(
    tracker: UsageTracker,
    *,
    format: Literal["png"],
    title: str = ...,
    top: int = ...,
    step: TimeStep | None = ...,
    budget_usd: Decimal | float | str | None = ...,
    budget_window: BudgetWindow = ...,
    calculator: CostCalculator | None = ...,
    **filters: Unpack[RecordFilters],
) -> bytes: ...
def usage_report(
    tracker: UsageTracker,
    *,
    format: ReportFormat | None = None,  # noqa: A002 - the public name
    title: str = "Usage and cost",
    top: int = 10,
    step: TimeStep | None = None,
    budget_usd: Decimal | float | str | None = None,
    budget_window: BudgetWindow = "month",
    calculator: CostCalculator | None = None,
    **filters: Unpack[RecordFilters],
) -> UsageReport | str | bytes:
    """Report what was used and what it cost, with charts.

    Args:
        tracker: The ledger.
        format: "html", "md", "svg", "png" or "json" gives the report in this form at once; None
            gives the `UsageReport`, which has methods for all of them.
        title: Of the page.
        top: How many models, users, organizations and tags are told apart, from 1 to 50; the rest
            are "others".
        step: What a point of the charts over time stands for: "hour", "day" or "month"; None takes
            hours up to 3 days, days up to 400 and then months.
        budget_usd: A budget in US dollars, for its burn-down and forecast.
        budget_window: How long it lasts: "day" or "month" of the UTC calendar, a timedelta, or
            None for ever. The window of `end`, or of now, is shown, and where nothing ran in it,
            the last one with any runs.
        calculator: Prices for what prompt caches saved; those of the package by default.
        filters: Which runs; see `RecordFilters`.

    Raises:
        ConfigurationError: `vl-convert-python` is missing (extra `report`); the window is wrong.
        InvalidParameterError: Another argument is wrong.
        StorageError: The ledger cannot be read.
    """
    if format is not None and format not in FORMATS:
        words = ", ".join(map(repr, FORMATS))
        raise InvalidParameterError(
            f"format: got {shown(format)}, must be one of {words}", param="format"
        )
    options = ReportOptions(
        title=title,
        top=top,
        step=step,
        budget_usd=_usd(budget_usd),
        budget_window=budget_window,
        calculator=calculator,
    )
    report = gather(tracker, options, filters)
    return report if format is None else report.render(format)


async def ausage_report(
    tracker: UsageTracker,
    *,
    title: str = "Usage and cost",
    top: int = 10,
    step: TimeStep | None = None,
    budget_usd: Decimal | float | str | None = None,
    budget_window: BudgetWindow = "month",
    calculator: CostCalculator | None = None,
    **filters: Unpack[RecordFilters],
) -> UsageReport:
    """Report as `usage_report` does, without holding up the event loop."""
    return await asyncio.to_thread(
        lambda: usage_report(
            tracker,
            title=title,
            top=top,
            step=step,
            budget_usd=budget_usd,
            budget_window=budget_window,
            calculator=calculator,
            **filters,
        )
    )


def gather(
    tracker: UsageTracker, options: ReportOptions, filters: Mapping[str, object]
) -> UsageReport:
    """Ask a ledger for all that a report says.

    Args:
        tracker: The ledger.
        options: How the report is made.
        filters: Which runs; see `RecordFilters`.

    Raises:
        ConfigurationError: The window of the budget is wrong.
        InvalidParameterError: A filter or an option is wrong.
        StorageError: The ledger cannot be read.
    """
    check_options(options)
    wanted = RecordFilter.parse(filters)
    now = options.now or datetime.now(UTC)
    figures = tracker.report_figures(wanted, ReportPlan(options.top, options.step))
    return UsageReport(
        title=options.title,
        ledger=tracker.store,
        made_at=now,
        start=wanted.start,
        end=wanted.end,
        filters=_shown_filters(wanted),
        figures=figures,
        savings=cache_savings(figures.cache_use, options.calculator or default_calculator()),
        budget=_budget(tracker, options, filters, figures, now),
        top=options.top,
    )


def check_options(options: ReportOptions) -> None:
    """Check how a report is to be made.

    Args:
        options: As given.

    Raises:
        ConfigurationError: The window of the budget is wrong.
        InvalidParameterError: Another option is wrong.
    """
    top, step, limit = options.top, options.step, options.budget_usd
    if isinstance(top, bool) or not isinstance(top, int) or not 1 <= top <= MAX_TOP:
        raise _wrong("top", top, f"a whole number from 1 to {MAX_TOP}")
    if step is not None and step not in _STEPS:
        raise _wrong("step", step, "'hour', 'day', 'month' or None")
    if not isinstance(options.title, str):
        raise _wrong("title", options.title, "a text")
    if limit is not None and not (limit.is_finite() and limit > 0):
        raise _wrong("budget_usd", str(limit), "more than 0 US dollars")
    check_window(options.budget_window)


def _usd(value: Decimal | float | str | None) -> Decimal | None:
    if value is None or isinstance(value, Decimal):
        return value
    try:
        return Decimal(str(value))
    except InvalidOperation:
        raise _wrong(
            "budget_usd", value, "an amount in US dollars, such as 100 or '99.50'"
        ) from None


def _wrong(name: str, value: object, expected: str) -> InvalidParameterError:
    return InvalidParameterError(f"{name}: got {shown(value)}, must be {expected}", param=name)


def _shown_filters(wanted: RecordFilter) -> dict[str, str]:
    named = dict(wanted.equal)
    if wanted.tags:
        named["tags"] = ", ".join(wanted.tags)
    return {_NAMES.get(name, name): clean(value) for name, value in named.items()}


def _budget(
    tracker: UsageTracker,
    options: ReportOptions,
    filters: Mapping[str, object],
    figures: LedgerFigures,
    now: datetime,
) -> BurnDown | None:
    if options.budget_usd is None:
        return None
    from langchain_tamma_openai.usage.report.budget_reading import BudgetReader

    return BudgetReader(tracker, filters, options.budget_window).read(
        options.budget_usd, figures, now
    )
