"""How a budget burns down, and what a straight line says of the rest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from report_records import FIRST
from usage_records import usage_record

from langchain_tamma_openai import UsageTracker
from langchain_tamma_openai.pricing_cost import Cost
from langchain_tamma_openai.usage.report.burn_down import BurnDown, Spending, Trend, forecast
from langchain_tamma_openai.usage.report.gather import ReportOptions, gather

DAY = timedelta(days=1)


def _history(amounts: Sequence[object]) -> list[Spending]:
    return [Spending(FIRST + DAY * n, Decimal(str(usd))) for n, usd in enumerate(amounts)]


def _tracker(amounts: Sequence[object], step: timedelta = DAY) -> UsageTracker:
    """Make a ledger with one run in the middle of each step."""
    tracker = UsageTracker("memory")
    for number, amount in enumerate(amounts):
        usd = None if amount is None else Decimal(str(amount))
        cost = Cost(usd, None if usd is None else Decimal(0), usd)
        at = FIRST + step * number + step / 2
        tracker.record(usage_record(number, started_at=at, cost=cost))
    return tracker


def _budget(tracker: UsageTracker, usd: object, now: datetime, **filters: Any) -> BurnDown:
    window = filters.pop("window", "month")
    options = ReportOptions(budget_usd=Decimal(str(usd)), budget_window=window, now=now)
    found = gather(tracker, options, filters).budget
    assert found is not None
    return found


def test_a_straight_line_goes_on_without_a_band() -> None:
    found = forecast(_history([1, 2, 3, 4]), Decimal(10), "day", FIRST + 4 * DAY, FIRST + 7 * DAY)
    assert [round(point.expected_usd, 9) for point in found] == [10, 15, 21, 28]
    assert all(round(p.high_usd - p.low_usd, 9) == 0 for p in found)


def test_a_day_that_is_under_way_counts_for_its_rest() -> None:
    now = FIRST + 4 * DAY + DAY / 4
    found = forecast(_history([2, 2, 2, 2]), Decimal(9), "day", now, FIRST + 6 * DAY)
    assert [(point.at - FIRST) / DAY for point in found] == [4.25, 5, 6]
    assert [point.expected_usd for point in found] == [9, 10.5, 12.5]


def test_spending_never_falls_below_nothing() -> None:
    found = forecast(_history([9, 6, 3]), Decimal(18), "day", FIRST + 3 * DAY, FIRST + 9 * DAY)
    assert [round(point.expected_usd, 9) for point in found] == [18.0] * 7


@pytest.mark.parametrize(("amounts", "points"), [([], 0), ([4], 3), ([4, 2], 2)])
def test_few_days_give_their_mean(amounts: list[int], points: int) -> None:
    now = FIRST + DAY * len(amounts)
    found = forecast(_history(amounts), Decimal(0), "day", now, FIRST + 3 * DAY)
    assert len(found) == points
    for before, after in pairwise(found):
        assert after.expected_usd - before.expected_usd == pytest.approx(
            sum(amounts) / len(amounts)
        )
        assert after.low_usd == after.high_usd


@given(st.lists(st.floats(0, 1000), min_size=3, max_size=28), st.integers(1, 30))
def test_the_band_grows_around_the_line(amounts: list[float], days: int) -> None:
    now = FIRST + DAY * len(amounts)
    found = forecast(_history(amounts), Decimal(5), "day", now, now + DAY * days)
    assert len(found) == days + 1
    for before, after in pairwise(found):
        assert after.low_usd <= after.expected_usd + 1e-6
        assert after.expected_usd <= after.high_usd + 1e-6
        assert after.expected_usd >= before.expected_usd
        assert after.high_usd - after.expected_usd >= before.high_usd - before.expected_usd - 1e-6


def test_the_band_is_the_prediction_interval_of_a_sum() -> None:
    """Worked out by hand: y = 1, 3, 2, 4; slope 0.8, s = sqrt(1.8 / 2), two steps ahead."""
    trend = Trend.fit([1, 3, 2, 4])
    assert trend.slope == pytest.approx(0.8)
    assert trend.expected(4) == pytest.approx(4.5)
    assert trend.scatter == pytest.approx(0.9**0.5)
    expected = 1.886 * 0.9**0.5 * (2 + 4 / 4 + (2.5 + 3.5) ** 2 / 5) ** 0.5
    assert trend.margin([(4, 1.0), (5, 1.0)]) == pytest.approx(expected)


def test_the_window_of_the_month_is_read_whole() -> None:
    tracker = _tracker([1] * 10)
    found = _budget(tracker, 20, FIRST + 10 * DAY, start=FIRST + 8 * DAY)
    assert found.spent_usd == 10
    assert found.remaining_usd == 10
    assert (found.starts_at, found.ends_at) == (FIRST, FIRST + 31 * DAY)
    assert len(found.spent) == 10
    assert found.used_up_at("expected_usd") == FIRST + 20 * DAY
    assert found.exceeded_at is None
    assert found.is_current


def test_a_budget_that_is_used_up_says_when() -> None:
    found = _budget(_tracker([1, 1, 5]), 3, FIRST + 3 * DAY)
    assert found.exceeded_at == FIRST + 3 * DAY
    assert found.remaining_usd == -4


def test_the_end_of_the_range_is_the_present() -> None:
    found = _budget(_tracker([1] * 20), 20, FIRST + 400 * DAY, end=FIRST + 5 * DAY)
    assert (found.as_of, found.spent_usd) == (FIRST + 5 * DAY, Decimal(5))


def test_without_runs_the_last_window_with_any_is_shown() -> None:
    found = _budget(_tracker([1] * 5), 20, FIRST + 400 * DAY)
    assert not found.is_current
    assert (found.starts_at, found.as_of) == (FIRST, FIRST + 31 * DAY)
    assert found.spent_usd == 5
    assert found.forecast == ()


def test_trends_look_back_beyond_the_window() -> None:
    tracker = _tracker([2] * 40)
    found = _budget(tracker, 100, FIRST + 32 * DAY)
    assert found.starts_at == FIRST + 31 * DAY
    assert found.fitted_steps == 28
    assert found.spent_usd == 2
    assert found.forecast[-1].expected_usd == pytest.approx(60)


@pytest.mark.parametrize(
    ("window", "step", "length"),
    [("day", "hour", DAY), (timedelta(days=7), "day", 7 * DAY), (None, "day", None)],
)
def test_every_window_has_steps_that_fit(window: Any, step: str, length: timedelta | None) -> None:
    found = _budget(_tracker([1] * 9), 20, FIRST + 9 * DAY, window=window)
    assert found.step == step
    if length is not None:
        assert found.ends_at - found.starts_at == length
    else:
        assert (found.starts_at, found.ends_at) == (FIRST, FIRST + 18 * DAY)
        assert found.spent_usd == 9


def test_what_has_no_price_is_said() -> None:
    tracker = _tracker([1, None, 1])
    tracker.record(replace(usage_record(90), started_at=FIRST, user_id="else"))
    options = ReportOptions(budget_usd=Decimal(9), now=FIRST + 3 * DAY)
    report = gather(tracker, options, {})
    assert report.budget is not None
    assert report.budget.unpriced_requests == 1
    (section,) = [section for section in report.sections() if section.id == "budget"]
    assert "1 requests have no known price: more was spent than this." in section.text
    assert "If things go on like this" in section.text
    assert "least squares" in section.note
