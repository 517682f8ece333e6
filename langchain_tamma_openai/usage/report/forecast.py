"""Where spending is going: the straight line through what was spent in each period.

Ordinary least squares over the whole periods of the range; the band is the line's standard error of
prediction, twice to either side. With few periods it is wide, and rightly so.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

_FEWEST = 3
_BAND = 2.0


@dataclass(frozen=True, slots=True)
class Point:
    """Spending up to the end of a period.

    Attributes:
        at: End of the period; UTC.
        usd: Spent until then, as the line has it.
        low_usd: Probably not less.
        high_usd: Probably not more.
    """

    at: datetime
    usd: float
    low_usd: float
    high_usd: float


@dataclass(frozen=True, slots=True)
class Forecast:
    """The way to the end of the range.

    Attributes:
        points: For each period to come.
        per_period_usd: What the line gives for the next period.
        exhausted_at: When a budget would be used up; None when it lasts, or there is none.
    """

    points: tuple[Point, ...]
    per_period_usd: float
    exhausted_at: datetime | None = None


def forecast(
    spent: Sequence[tuple[datetime, Decimal]],
    step: timedelta,
    until: datetime,
    budget_usd: Decimal | None = None,
) -> Forecast | None:
    """Continue what was spent in whole periods.

    Args:
        spent: Start of each period and what was spent in it, in order and without gaps.
        step: Length of a period.
        until: Where to stop.
        budget_usd: What may be spent in all.

    Returns:
        None where there are fewer than three periods, or nothing is to come.
    """
    if len(spent) < _FEWEST or spent[-1][0] + step >= until:
        return None
    values = [float(usd) for _, usd in spent]
    line = _Line(values)
    total = sum(values)
    points: list[Point] = []
    at = spent[-1][0] + step
    while at < until:
        number = len(values) + len(points)
        total += max(0.0, line.at(number))
        spread = _BAND * line.error(number) * math.sqrt(len(points) + 1)
        at += step
        points.append(Point(at, total, max(sum(values), total - spread), total + spread))
    limit = None if budget_usd is None else float(budget_usd)
    over = next((p.at for p in points if limit is not None and p.usd > limit), None)
    return Forecast(tuple(points), max(0.0, line.at(len(values))), over)


class _Line:
    """Least squares through values at 0, 1, 2, ..."""

    def __init__(self, values: Sequence[float]) -> None:
        count = len(values)
        self._count = count
        self._mean_x = (count - 1) / 2
        mean_y = sum(values) / count
        self._spread = sum((x - self._mean_x) ** 2 for x in range(count))
        pairs = list(enumerate(values))
        covered = sum((x - self._mean_x) * (y - mean_y) for x, y in pairs)
        self._slope = covered / self._spread
        self._start = mean_y - self._slope * self._mean_x
        residuals = sum((y - self.at(x)) ** 2 for x, y in pairs)
        self._deviation = math.sqrt(residuals / (count - 2))

    def at(self, x: float) -> float:
        return self._start + self._slope * x

    def error(self, x: float) -> float:
        distance = (x - self._mean_x) ** 2 / self._spread
        return self._deviation * math.sqrt(1 + 1 / self._count + distance)
