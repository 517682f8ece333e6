"""Asks the ledger for what a report says: a dozen sums, each made in the database."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Unpack

from langchain_tamma_openai.pricing import CostCalculator
from langchain_tamma_openai.pricing_cost import EXACT
from langchain_tamma_openai.usage.filters import FieldFilters, RecordFilters
from langchain_tamma_openai.usage.report.data import Ranking, ReportData, ranking
from langchain_tamma_openai.usage.report.forecast import Forecast, forecast
from langchain_tamma_openai.usage.summary import UsageGroup

if TYPE_CHECKING:
    from langchain_tamma_openai.usage.tracker import UsageTracker

_RANKED = ("model", "user_id", "organization_id", "tag")
_SHOWN = 15
_HOURS_UP_TO = timedelta(days=4)
_DAYS_UP_TO = timedelta(days=186)
_MILLION = Decimal(1_000_000)
_STEPS = {"hour": timedelta(hours=1), "day": timedelta(days=1)}
_FORMS = {"hour": "%Y-%m-%dT%H:00Z", "day": "%Y-%m-%d", "month": "%Y-%m"}


def gather(
    tracker: UsageTracker,
    *,
    title: str = "Usage",
    start: datetime | None = None,
    end: datetime | None = None,
    budget_usd: Decimal | None = None,
    **fields: Unpack[FieldFilters],
) -> ReportData:
    """Ask the ledger for everything a report says.

    Args:
        tracker: The ledger.
        title: What the report is called.
        start: First moment; None for the beginning.
        end: First moment after it; None for now.
        budget_usd: What may be spent in the range.
        fields: Which runs; see `FieldFilters`.

    Raises:
        InvalidParameterError: A filter is wrong.
        StorageError: The ledger cannot be read.
    """
    filters: RecordFilters = {**fields, "start": start, "end": end}
    days = tracker.summary(group_by=("day",), **filters)
    period = _period(days.groups, start, end)
    by_model = tracker.summary(group_by=("model",), **filters).groups
    by_time = days.groups if period == "day" else _groups(tracker, (period,), filters)
    return ReportData(
        title=title,
        store=tracker.store,
        made_at=datetime.now(UTC),
        start=start,
        end=end,
        filters={k: str(v) for k, v in fields.items() if v},
        period=period,
        total=tracker.summary(**filters),
        by_time=by_time,
        by_time_and_model=_groups(tracker, (period, "model"), filters),
        by_time_and_error=_errors(tracker, period, filters),
        rankings=_rankings(tracker, filters, by_model),
        latency=tracker.percentiles("latency", group_by=(period,), **filters),
        latency_by_model=tracker.percentiles("latency", group_by=("model",), **filters),
        first_token=tracker.percentiles("first_token", group_by=(period,), **filters),
        cache_saving_usd=cache_saving_usd(by_model),
        forecast=_forecast(by_time, period, end, budget_usd),
        budget_usd=budget_usd,
    )


def _groups(
    tracker: UsageTracker, names: Sequence[str], filters: RecordFilters
) -> tuple[UsageGroup, ...]:
    return tracker.summary(group_by=names, **filters).groups


def _period(days: Sequence[UsageGroup], start: datetime | None, end: datetime | None) -> str:
    """Choose hours for a few days, days for half a year, and months beyond."""
    named = [day for group in days if (day := group.key["day"]) is not None]
    if not named:
        return "day"
    first = start or datetime.fromisoformat(named[0]).replace(tzinfo=UTC)
    last = datetime.fromisoformat(named[-1]).replace(tzinfo=UTC) + timedelta(days=1)
    length = (end or last) - first
    if length <= _HOURS_UP_TO:
        return "hour"
    return "day" if length <= _DAYS_UP_TO else "month"


def _errors(tracker: UsageTracker, period: str, filters: RecordFilters) -> tuple[UsageGroup, ...]:
    groups = _groups(tracker, (period, "error_kind"), filters)
    return tuple(group for group in groups if group.failed_requests)


def _rankings(
    tracker: UsageTracker, filters: RecordFilters, by_model: tuple[UsageGroup, ...]
) -> tuple[Ranking, ...]:
    found = []
    for name in _RANKED:
        groups = by_model if name == "model" else _groups(tracker, (name,), filters)
        if any(group.key[name] is not None for group in groups):
            found.append(ranking(name, groups, _SHOWN))
    return tuple(found)


def cache_saving_usd(by_model: Sequence[UsageGroup]) -> Decimal | None:
    """Say what cached tokens would have cost more at today's standard prices; None if unknown.

    Args:
        by_model: Sums by model.
    """
    prices = CostCalculator()
    saved: list[Decimal] = []
    for group in by_model:
        sheet = prices.prices(group.key["model"] or "") if group.cached_tokens else None
        level = None if sheet is None else sheet.for_input(0)
        if level is None or level.cached_input_usd_per_mtok is None:
            continue
        difference = EXACT.subtract(level.input_usd_per_mtok, level.cached_input_usd_per_mtok)
        saved.append(EXACT.multiply(difference, Decimal(group.cached_tokens)) / _MILLION)
    return sum(saved, Decimal(0)) if saved else None


def _forecast(
    groups: Sequence[UsageGroup],
    period: str,
    end: datetime | None,
    budget_usd: Decimal | None,
) -> Forecast | None:
    step = _STEPS.get(period)
    known = [(label, group) for group in groups if (label := group.key[period]) is not None]
    if step is None or not known:
        return None
    spent = _without_gaps({label: group.known_total_usd for label, group in known}, period, step)
    now = datetime.now(UTC)
    whole = [(at, usd) for at, usd in spent if at + step <= now]
    until = end if end is not None and end > now else _end_of_month(spent[-1][0])
    return forecast(whole, step, until, budget_usd)


def _without_gaps(
    spent: Mapping[str, Decimal], period: str, step: timedelta
) -> list[tuple[datetime, Decimal]]:
    form = _FORMS[period]
    labels = sorted(spent)
    at, last = (
        datetime.strptime(each, form).replace(tzinfo=UTC) for each in (labels[0], labels[-1])
    )
    found = []
    while at <= last:
        found.append((at, spent.get(at.strftime(form), Decimal(0))))
        at += step
    return found


def _end_of_month(moment: datetime) -> datetime:
    first = moment.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    return (first + timedelta(days=32)).replace(day=1)
