"""Reads a report off a ledger."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Literal, Unpack, cast, overload

from langchain_tamma_openai.checks import shown
from langchain_tamma_openai.errors import InvalidParameterError
from langchain_tamma_openai.pricing import default_calculator
from langchain_tamma_openai.usage.budget_windows import (
    BudgetWindow,
    Span,
    check_window,
    span_at,
    window_name,
)
from langchain_tamma_openai.usage.filters import RecordFilter, RecordFilters
from langchain_tamma_openai.usage.report.burn_down import (
    FITTED_STEPS,
    LENGTHS,
    BurnDown,
    Spending,
    Step,
    forecast,
)
from langchain_tamma_openai.usage.report.data import FORMATS, ReportFormat, UsageReport
from langchain_tamma_openai.usage.report.figures import LedgerFigures, ReportPlan, TimeStep
from langchain_tamma_openai.usage.report.savings import cache_savings
from langchain_tamma_openai.usage.report.wording import clean, step_start
from langchain_tamma_openai.usage.summary import UsageGroup

if TYPE_CHECKING:
    from langchain_tamma_openai.pricing import CostCalculator
    from langchain_tamma_openai.usage.tracker import UsageTracker

MAX_TOP = 50
_MAX_POINTS = 2000
_HOURLY_UP_TO = timedelta(days=3)
_STEPS = ("hour", "day", "month")
_MICROSECOND = timedelta(microseconds=1)
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
        budget=_budget(tracker, options, filters, wanted, figures, now),
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
    wanted: RecordFilter,
    figures: LedgerFigures,
    now: datetime,
) -> BurnDown | None:
    """Read the spending of a budget's window, and of the steps before it that a trend needs."""
    if options.budget_usd is None:
        return None
    as_of = min(now, wanted.end) if wanted.end else now
    window = _window(options.budget_window, as_of, figures)
    is_current = window.ends_at is None or as_of <= window.ends_at
    if not is_current and window.ends_at is not None:
        as_of = window.ends_at
    starts_at = cast("datetime", window.starts_at)
    ends_at = window.ends_at or as_of + max(as_of - starts_at, timedelta(days=7))
    step: Step = "hour" if ends_at - starts_at <= _HOURLY_UP_TO else "day"
    first = _floor(as_of, step) - FITTED_STEPS[step] * LENGTHS[step]
    fields = {name: value for name, value in filters.items() if name not in {"start", "end"}}
    groups = tracker.summary(
        min(first, starts_at), as_of, group_by=step, **cast("RecordFilters", fields)
    ).groups
    in_window = tracker.summary(starts_at, as_of, group_by=step, **cast("RecordFilters", fields))
    spent = _by_step(in_window.groups, step, starts_at, as_of)
    history = _complete(groups, step, max(first, _first_run(groups, first)), as_of)
    return BurnDown(
        limit_usd=options.budget_usd,
        window=window_name(options.budget_window),
        step=step,
        starts_at=starts_at,
        ends_at=ends_at,
        as_of=as_of,
        spent=spent,
        forecast=forecast(history, in_window.known_total_usd, step, as_of, ends_at),
        fitted_steps=len(history),
        unpriced_requests=in_window.unpriced_requests,
        is_current=is_current,
    )


def _window(window: BudgetWindow, as_of: datetime, figures: LedgerFigures) -> Span:
    """Find the window of a moment, or the last with any runs where it has none."""
    if window is None:
        first = figures.first or as_of
        return Span(_floor(min(first, as_of), "day"), None)
    found = span_at(window, (as_of - _MICROSECOND).timestamp())
    last = figures.last
    if last is None or found.starts_at is None or last >= found.starts_at:
        return found
    return span_at(window, last.timestamp())


def _by_step(
    groups: tuple[UsageGroup, ...], step: Step, start: datetime, end: datetime
) -> tuple[Spending, ...]:
    """Give the spending of each step of a range, also of those in which nothing ran."""
    costs = {str(group.key[step]): group.known_total_usd for group in groups}
    length = LENGTHS[step]
    at = _floor(start, step)
    found = {at + length * place: Decimal(0) for place in range(_count(at, end, length))}
    found |= {step_start(label): usd for label, usd in costs.items()}
    return tuple(Spending(moment, found[moment]) for moment in sorted(found))


def _count(start: datetime, end: datetime, length: timedelta) -> int:
    return min(max(-((start - end) // length), 0), _MAX_POINTS)


def _complete(
    groups: tuple[UsageGroup, ...], step: Step, start: datetime, as_of: datetime
) -> tuple[Spending, ...]:
    end = _floor(as_of, step)
    return tuple(s for s in _by_step(groups, step, start, end) if start <= s.starts_at < end)


def _first_run(groups: tuple[UsageGroup, ...], default: datetime) -> datetime:
    starts = [step_start(next(iter(group.key.values())) or "") for group in groups]
    return min(starts, default=default)


def _floor(at: datetime, step: Step) -> datetime:
    whole = at.replace(minute=0, second=0, microsecond=0)
    return whole if step == "hour" else whole.replace(hour=0)
