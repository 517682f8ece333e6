"""What is left of a budget, and the forecast."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING

from langchain_tamma_openai.usage.money import add_exactly
from langchain_tamma_openai.usage.report.burn_down import FITTED_STEPS, LENGTHS, BurnDown
from langchain_tamma_openai.usage.report.charts import Point, burn_down
from langchain_tamma_openai.usage.report.sections import Section, Table
from langchain_tamma_openai.usage.report.wording import exact_usd, moment, share, short_usd

if TYPE_CHECKING:
    from langchain_tamma_openai.usage.report.data import UsageReport

_TREND_STEPS = 3


def sections(report: UsageReport) -> list[Section]:
    """Give the section of the budget, if the report has one.

    Args:
        report: The report.
    """
    budget = report.budget
    if budget is None:
        return []
    ends = (budget.starts_at, budget.as_of, budget.ends_at)
    chart = burn_down(_left(budget), _ahead(budget), ends, budget.step)
    text = " ".join([_state(budget), *_outlook(budget)])
    return [Section("budget", "Budget", text, chart, _table(budget), 6, _note(budget))]


def window_words(budget: BurnDown) -> str:
    """Name the window of a budget.

    Args:
        budget: The budget.
    """
    if budget.window == "ever":
        return f"since {moment(budget.starts_at)} UTC"
    word = {"day": "day ", "month": "month "}.get(budget.window, "")
    return f"{word}{moment(budget.starts_at)} to {moment(budget.ends_at)} UTC"


def _state(budget: BurnDown) -> str:
    spent = share(float(budget.spent_usd), float(budget.limit_usd))
    left = budget.remaining_usd
    rest = f"{short_usd(left)} left" if left >= 0 else f"overrun by {short_usd(-left)}"
    window = window_words(budget) + ("" if budget.is_current else " (the last with any runs)")
    text = (
        f"{short_usd(budget.spent_usd)} of {short_usd(budget.limit_usd)} spent ({spent}), {rest}; "
        f"{window}."
    )
    if budget.unpriced_requests:
        text += (
            f" {budget.unpriced_requests:,} requests have no known price: more was spent than this."
        )
    return text


def _outlook(budget: BurnDown) -> list[str]:
    if budget.exceeded_at is not None:
        return [f"It was used up by {moment(budget.exceeded_at)}."]
    if not budget.forecast:
        return []
    last = budget.forecast[-1]
    margin = f" ({short_usd(last.low_usd)} to {short_usd(last.high_usd)})"
    has_band = last.high_usd > last.low_usd
    about = f"about {short_usd(last.expected_usd)}{margin if has_band else ''}"
    said = f"If things go on like this, {about} will be spent by {moment(last.at)}"
    expected = budget.used_up_at("expected_usd")
    soonest = budget.used_up_at("high_usd")
    if expected is not None:
        said += f"; the budget is used up around {moment(expected)}."
    elif soonest is not None:
        said += f"; at worst the budget is used up around {moment(soonest)}."
    else:
        said += "; the budget is enough."
    return [said]


def _note(budget: BurnDown) -> str:
    if budget.as_of >= budget.ends_at:
        return "The window is over; there is nothing to forecast."
    if not budget.forecast:
        return "No forecast: it needs a complete " + budget.step + " with known spending."
    steps = f"the last {budget.fitted_steps} complete {budget.step}s"
    if budget.fitted_steps < _TREND_STEPS:
        return f"The forecast is the mean of {steps}; a trend needs {_TREND_STEPS} of them."
    return (
        f"The forecast is a straight line by least squares through the spending of {steps} (at "
        f"most {FITTED_STEPS[budget.step]}), never below 0. The band is the 80 % prediction "
        f"interval of the sum, from how these {budget.step}s scatter around the line."
    )


def _left(budget: BurnDown) -> list[Point]:
    left = budget.limit_usd
    points = [_point(budget.starts_at, left)]
    for spending in budget.spent:
        left = add_exactly(left, -spending.usd)
        ends_at = min(spending.starts_at + LENGTHS[budget.step], budget.as_of)
        points.append(_point(ends_at, left))
    return points


def _point(at: datetime, left: Decimal) -> Point:
    return Point(at, "left", float(left), exact_usd(left))


def _ahead(budget: BurnDown) -> list[tuple[datetime, float, float, float, str]]:
    limit = float(budget.limit_usd)
    found = []
    for point in budget.forecast:
        left, least, most = (
            limit - usd for usd in (point.expected_usd, point.high_usd, point.low_usd)
        )
        shown = f"about {short_usd(left)} ({short_usd(least)} to {short_usd(most)})"
        found.append((point.at, left, least, most, shown))
    return found


def _table(budget: BurnDown) -> Table:
    left = budget.limit_usd
    rows: list[tuple[str | None, ...]] = []
    for spending in budget.spent:
        left = add_exactly(left, -spending.usd)
        rows.append((moment(spending.starts_at), exact_usd(spending.usd), exact_usd(left), None))
    for point in budget.forecast[1:]:
        limit = float(budget.limit_usd)
        band = f"{short_usd(limit - point.high_usd)} to {short_usd(limit - point.low_usd)}"
        about = f"about {short_usd(limit - point.expected_usd)}"
        rows.append((f"by {moment(point.at)}", "forecast", about, band))
    heads = (f"{budget.step} (UTC)", "spent", "left", "80 % band")
    total = ("all", exact_usd(budget.spent_usd), exact_usd(budget.remaining_usd), None)
    return Table(heads, tuple(rows), total)
