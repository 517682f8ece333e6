"""Reads off a ledger what a budget's window has cost, and what came before it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, cast

from langchain_tamma_openai.usage.budget_windows import BudgetWindow, Span, span_at, window_name
from langchain_tamma_openai.usage.filters import FieldFilters, RecordFilter
from langchain_tamma_openai.usage.report.burn_down import (
    FITTED_STEPS,
    LENGTHS,
    BurnDown,
    Spending,
    Step,
    forecast,
)
from langchain_tamma_openai.usage.report.figures import LedgerFigures
from langchain_tamma_openai.usage.report.wording import step_start

if TYPE_CHECKING:
    from langchain_tamma_openai.usage.summary import UsageGroup
    from langchain_tamma_openai.usage.tracker import UsageTracker

_HOURLY_UP_TO = timedelta(days=3)
_SHORTEST_OUTLOOK = timedelta(days=7)
_MAX_STEPS = 2000
_MICROSECOND = timedelta(microseconds=1)


class BudgetReader:
    """Reads the state of a budget."""

    def __init__(
        self, tracker: UsageTracker, filters: Mapping[str, object], window: BudgetWindow
    ) -> None:
        """Prepare it.

        Args:
            tracker: The ledger.
            filters: Which runs count; of a range only its end matters.
            window: How long the budget lasts.
        """
        self._tracker = tracker
        self._end = RecordFilter.parse(filters).end
        fields = {name: value for name, value in filters.items() if name not in {"start", "end"}}
        self._fields = cast("FieldFilters", fields)
        self._kind = window

    def read(self, limit_usd: Decimal, figures: LedgerFigures, now: datetime) -> BurnDown:
        """Read spending up to now, or up to the end of the range, and forecast the rest.

        Args:
            limit_usd: The budget in US dollars.
            figures: What the report found.
            now: This moment; UTC.

        Raises:
            StorageError: The ledger cannot be read.
        """
        as_of = min(now, self._end) if self._end else now
        window = self._window(as_of, figures)
        is_current = window.ends_at is None or as_of <= window.ends_at
        if not is_current:
            as_of = cast("datetime", window.ends_at)
        starts_at = cast("datetime", window.starts_at)
        ends_at = window.ends_at or as_of + max(as_of - starts_at, _SHORTEST_OUTLOOK)
        step: Step = "hour" if ends_at - starts_at <= _HOURLY_UP_TO else "day"
        found = self._tracker.summary(starts_at, as_of, group_by=step, **self._fields)
        history = self._history(step, as_of)
        return BurnDown(
            limit_usd=limit_usd,
            window=window_name(self._kind),
            step=step,
            starts_at=starts_at,
            ends_at=ends_at,
            as_of=as_of,
            spent=_by_step(found.groups, step, starts_at, as_of),
            forecast=forecast(history, found.known_total_usd, step, as_of, ends_at),
            fitted_steps=len(history),
            unpriced_requests=found.unpriced_requests,
            is_current=is_current,
        )

    def _window(self, as_of: datetime, figures: LedgerFigures) -> Span:
        """Find the window of a moment, or the last with any runs where it has none."""
        if self._kind is None:
            return Span(_floor(min(figures.first or as_of, as_of), "day"), None)
        found = span_at(self._kind, (as_of - _MICROSECOND).timestamp())
        last = figures.last
        if last is None or found.starts_at is None or last >= found.starts_at:
            return found
        return span_at(self._kind, last.timestamp())

    def _history(self, step: Step, as_of: datetime) -> tuple[Spending, ...]:
        """Read the last complete steps, from the first in which anything ran."""
        end = _floor(as_of, step)
        start = end - FITTED_STEPS[step] * LENGTHS[step]
        groups = self._tracker.summary(start, end, group_by=step, **self._fields).groups
        starts = [step_start(str(group.key[step])) for group in groups]
        return _by_step(groups, step, min(starts), end) if starts else ()


def _by_step(
    groups: Sequence[UsageGroup], step: Step, start: datetime, end: datetime
) -> tuple[Spending, ...]:
    """Give the spending of each step of a range, also of those in which nothing ran."""
    length, at = LENGTHS[step], _floor(start, step)
    number = min(max(-((at - end) // length), 0), _MAX_STEPS)
    found = {at + length * place: Decimal(0) for place in range(number)}
    found |= {step_start(str(group.key[step])): group.known_total_usd for group in groups}
    return tuple(Spending(moment, found[moment]) for moment in sorted(found))


def _floor(at: datetime, step: Step) -> datetime:
    whole = at.replace(minute=0, second=0, microsecond=0)
    return whole if step == "hour" else whole.replace(hour=0)
