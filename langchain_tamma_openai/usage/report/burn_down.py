"""How a budget burns down, and when it will be used up if things go on as they did.

The forecast is a straight line, fitted by least squares to the spending of the last complete steps
(days, or hours in a window of a few days) and drawn on to the end of the window; it never falls
below 0 a step. The band holds the true sum with 80 % if the steps scatter around the line as they
did before: the prediction interval of the sum of the steps to come, by Student's t.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final, Literal, Self, TypeAlias

from langchain_tamma_openai.usage.money import add_exactly

Step: TypeAlias = Literal["hour", "day"]
LENGTHS: Final[Mapping[Step, timedelta]] = {"hour": timedelta(hours=1), "day": timedelta(days=1)}
FITTED_STEPS: Final[Mapping[Step, int]] = {"hour": 48, "day": 28}
_TREND_STEPS = 3
"""Complete steps that a trend needs; fewer give their mean, without a band."""
# Student's t, 90 % one-sided, by degrees of freedom: the two sides leave 80 %.
_T90 = (3.078, 1.886, 1.638, 1.533, 1.476, 1.440, 1.415, 1.397, 1.383, 1.372, 1.363, 1.356)
_T90_MANY = 1.282


@dataclass(frozen=True, slots=True)
class Spending:
    """What a step cost; 0 where nothing ran.

    Attributes:
        starts_at: Its first moment; UTC.
        usd: Its cost in US dollars.
    """

    starts_at: datetime
    usd: Decimal


@dataclass(frozen=True, slots=True)
class ForecastPoint:
    """What will have been spent by a moment, in US dollars: an estimate, and its band."""

    at: datetime
    expected_usd: float
    low_usd: float
    high_usd: float


@dataclass(frozen=True, slots=True)
class BurnDown:
    """The state of a budget and its forecast.

    Attributes:
        limit_usd: The budget in US dollars.
        window: Its kind: "day", "month", "ever" or seconds as in "3600s".
        step: What a point stands for.
        starts_at: When the window began; UTC.
        ends_at: When it ends, or how far the forecast reaches where it never does.
        as_of: Up to when spending is known.
        spent: Spending of the window by step.
        forecast: The end of each step to come; empty when there is none.
        fitted_steps: How many complete steps the forecast comes from.
        unpriced_requests: Requests of the window without a known price; they are not in the sums.
        is_current: Whether the window is the one of today; otherwise it is the last with any runs.
    """

    limit_usd: Decimal
    window: str
    step: Step
    starts_at: datetime
    ends_at: datetime
    as_of: datetime
    spent: tuple[Spending, ...]
    forecast: tuple[ForecastPoint, ...] = ()
    fitted_steps: int = 0
    unpriced_requests: int = 0
    is_current: bool = True

    @property
    def spent_usd(self) -> Decimal:
        """What the window has cost so far."""
        total = Decimal(0)
        for spending in self.spent:
            total = add_exactly(total, spending.usd)
        return total

    @property
    def remaining_usd(self) -> Decimal:
        """What is left; below 0 when the budget is overrun."""
        return add_exactly(self.limit_usd, -self.spent_usd)

    @property
    def exceeded_at(self) -> datetime | None:
        """End of the step in which the budget was used up; None while something is left."""
        total = Decimal(0)
        for spending in self.spent:
            total = add_exactly(total, spending.usd)
            if total >= self.limit_usd:
                return spending.starts_at + LENGTHS[self.step]
        return None

    def used_up_at(self, bound: Literal["expected_usd", "low_usd", "high_usd"]) -> datetime | None:
        """Say when the forecast reaches the limit; None when not within the window.

        Args:
            bound: The line or an edge of its band.
        """
        before = self.as_of, float(self.spent_usd)
        for point in self.forecast:
            usd = float(getattr(point, bound))
            if usd >= self.limit_usd:
                return _crossing(before, (point.at, usd), float(self.limit_usd))
            before = point.at, usd
        return None


def _crossing(
    before: tuple[datetime, float], after: tuple[datetime, float], limit: float
) -> datetime:
    rise = after[1] - before[1]
    share = (limit - before[1]) / rise if rise > 0 else 0.0
    return before[0] + (after[0] - before[0]) * min(max(share, 0.0), 1.0)


@dataclass(frozen=True, slots=True)
class Trend:
    """A straight line through spending by step, counted from 0, and how steps scatter around it."""

    count: int
    mean_place: float
    mean_usd: float
    slope: float = 0.0
    spread: float = 0.0
    scatter: float = 0.0

    @classmethod
    def fit(cls, spending: Sequence[float]) -> Self:
        """Fit it by least squares.

        Args:
            spending: US dollars of each complete step, in order; at least one.
        """
        count = len(spending)
        mean_place, mean_usd = (count - 1) / 2, math.fsum(spending) / count
        if count < _TREND_STEPS:
            return cls(count, mean_place, mean_usd)
        spread = math.fsum((place - mean_place) ** 2 for place in range(count))
        slope = math.fsum((place - mean_place) * usd for place, usd in enumerate(spending)) / spread
        misses = (
            usd - mean_usd - slope * (place - mean_place) for place, usd in enumerate(spending)
        )
        squares = math.fsum(miss**2 for miss in misses)
        return cls(count, mean_place, mean_usd, slope, spread, math.sqrt(squares / (count - 2)))

    def expected(self, place: float) -> float:
        """Give the spending of a step, never below 0.

        Args:
            place: Where it lies, counted from the first step that was fitted.
        """
        return max(0.0, self.mean_usd + self.slope * (place - self.mean_place))

    def margin(self, weights: Sequence[tuple[float, float]]) -> float:
        """Give half the width of the 80 % band of a sum of steps.

        Args:
            weights: Place of each step, and which part of it is counted.
        """
        if not self.scatter:
            return 0.0
        own = math.fsum(weight for _, weight in weights)
        lean = math.fsum(weight * (place - self.mean_place) for place, weight in weights)
        variance = own + own**2 / self.count + lean**2 / self.spread
        return _t90(self.count - 2) * self.scatter * math.sqrt(variance)


def forecast(
    history: Sequence[Spending], spent_usd: Decimal, step: Step, as_of: datetime, ends_at: datetime
) -> tuple[ForecastPoint, ...]:
    """Draw the line on to the end of the window.

    Args:
        history: Complete steps in order, up to the one that `as_of` lies in.
        spent_usd: What the window has cost up to `as_of`.
        step: Their length.
        as_of: The moment from which on nothing is known.
        ends_at: The end of the window.
    """
    if not history or as_of >= ends_at:
        return ()
    trend, length = Trend.fit([float(spending.usd) for spending in history]), LENGTHS[step]
    first = history[0].starts_at
    spent = sum_usd = float(spent_usd)
    points = [ForecastPoint(as_of, spent, spent, spent)]
    weights: list[tuple[float, float]] = []
    at = as_of
    while at < ends_at:
        place = (at - first) // length
        after = min(first + (place + 1) * length, ends_at)
        weights.append((place, (after - at) / length))
        sum_usd += trend.expected(place) * weights[-1][1]
        margin = trend.margin(weights)
        low, high = max(spent, sum_usd - margin), sum_usd + margin
        points.append(ForecastPoint(after, sum_usd, low, high))
        at = after
    return tuple(points)


def _t90(freedom: int) -> float:
    if freedom <= len(_T90):
        return _T90[max(freedom, 1) - 1]
    # Close enough to the table beyond it: 1.35 at 13, 1.31 at 30, 1.28 without end.
    return _T90_MANY * (1 + 0.66 / freedom)
