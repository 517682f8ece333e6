"""The arithmetic of one bucket, on made-up times."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from langchain_tamma_openai.resilience.limits_bucket import RAMP_S, SLACK_S, START_SHARE, Bucket
from langchain_tamma_openai.resilience.limits_info import DAY_S, Reading


def full(limit: float = 600.0, threshold: float = 1.0) -> Bucket:
    """Make a bucket that has been filling for a minute and knows it."""
    bucket = Bucket(limit, threshold, 0.0)
    bucket.hear(Reading(int(limit), int(limit)), 0.0, 0.0, 0.0, sure=True)
    return bucket


def test_without_a_limit_everything_is_due_now() -> None:
    bucket = Bucket(None, 0.8, 0.0)

    bucket.spend(10.0**9, 0.0)

    assert bucket.due_s(10.0**9, 5.0) == 5.0
    assert bucket.limit is None


def test_it_starts_with_a_share_and_opens_within_seconds() -> None:
    bucket = Bucket(600.0, 1.0, 0.0)
    assert bucket.level == START_SHARE * bucket.burst

    bucket.refill(RAMP_S)

    assert bucket.level == bucket.burst


def test_the_first_call_goes_at_once_however_large() -> None:
    bucket = Bucket(60_000.0, 0.8, 0.0)

    assert bucket.due_s(60_000.0, 0.0) == 0.0


def test_the_second_call_waits_for_the_ramp() -> None:
    bucket = Bucket(600.0, 1.0, 0.0)
    bucket.spend(1.0, 0.0)

    due_s = bucket.due_s(400.0, 0.0)

    assert 0.0 < due_s < RAMP_S
    bucket.refill(due_s)
    assert bucket.level == pytest.approx(400.0)


def test_beyond_the_ramp_only_the_refill_counts() -> None:
    bucket = Bucket(600.0, 1.0, 0.0)
    bucket.spend(700.0, 0.0)

    due_s = bucket.due_s(100.0, 0.0)

    assert due_s > RAMP_S
    bucket.refill(due_s)
    assert bucket.level == pytest.approx(100.0)


def test_a_cost_above_the_burst_goes_when_the_bucket_is_full() -> None:
    bucket = full()
    bucket.spend(10.0, 0.0)

    due_s = bucket.due_s(600.0, 0.0)
    bucket.spend(600.0, due_s)

    assert due_s == pytest.approx(1.0)
    assert bucket.level == pytest.approx(-bucket.rate * SLACK_S)


def test_a_clock_that_goes_back_adds_nothing() -> None:
    bucket = full()
    bucket.spend(100.0, 50.0)
    level = bucket.level

    bucket.refill(10.0)

    assert (bucket.level, bucket.at_s) == (level, 50.0)


def test_nothing_is_spaced_out_before_the_threshold() -> None:
    bucket = full(threshold=0.8)

    times = [_spend_when_due(bucket, 1.0) for _ in range(400)]

    assert times == [0.0] * 400


def test_calls_are_spaced_out_beyond_the_threshold_ever_more_slowly() -> None:
    bucket = full(threshold=0.8)
    for _ in range(470):
        _spend_when_due(bucket, 1.0)

    times = [_spend_when_due(bucket, 1.0) for _ in range(100)]
    gaps = [later - earlier for earlier, later in pairwise(times)]

    assert gaps == sorted(gaps)
    assert gaps[0] > 0
    assert gaps[-1] < 1 / bucket.rate * 1.01


def _spend_when_due(bucket: Bucket, cost: float) -> float:
    due_s = bucket.due_s(cost, bucket.at_s)
    bucket.spend(cost, due_s)
    return due_s


@given(
    st.integers(1, 10_000),
    st.floats(0.0, 1.0),
    st.lists(st.tuples(st.floats(0.0, 20.0), st.floats(0.0, 1.0)), min_size=1, max_size=60),
)
def test_no_window_holds_more_than_the_limit_and_its_refill(
    limit: int, threshold: float, calls: list[tuple[float, float]]
) -> None:
    bucket = Bucket(float(limit), threshold, 0.0)
    now_s, spent = 0.0, []
    for pause_s, share in calls:
        cost = max(1.0, share * limit)
        now_s = bucket.due_s(cost, now_s + pause_s)
        bucket.spend(cost, now_s)
        spent.append((now_s, cost))

    for first, (start_s, _) in enumerate(spent):
        total = 0.0
        for time_s, cost in spent[first:]:
            total += cost
            assert total <= limit + limit / 60 * (time_s - start_s) + 1e-6 * limit


@given(st.integers(1, 1000), st.floats(0.0, 1.0), st.lists(st.floats(0.0, 1.0), max_size=200))
def test_no_time_is_lost_while_calls_wait(
    limit: int, threshold: float, shares: list[float]
) -> None:
    bucket = Bucket(float(limit), threshold, 0.0)
    costs = [max(1.0, share * limit) for share in shares]

    for cost in costs:
        _spend_when_due(bucket, cost)

    # Whatever the order and the spacing, the refill alone would have sufficed.
    assert bucket.at_s <= RAMP_S + sum(costs) / bucket.rate + 1e-6


@given(st.integers(1, 10**6), st.lists(st.floats(0.0, 1.0), max_size=20), st.floats(0.0, 1e6))
def test_giving_back_undoes_spending(limit: int, shares: list[float], now_s: float) -> None:
    bucket, untouched = full(limit), full(limit)
    costs = [share * limit / 20 for share in shares]
    for cost in costs:
        bucket.spend(cost, 0.0)
    for cost in costs:
        bucket.give_back(cost, 0.0)

    bucket.refill(now_s)
    untouched.refill(now_s)

    assert bucket.level == pytest.approx(untouched.level)
    assert bucket.spent == pytest.approx(0.0, abs=1e-6 * limit)


@given(st.integers(0, 100), st.integers(0, 300))
def test_estimates_are_corrected_to_what_was_used(estimate: int, actual: int) -> None:
    corrected, exact = Bucket(6000.0, 1.0, 0.0), Bucket(6000.0, 1.0, 0.0)

    corrected.spend(estimate, 1.0)
    corrected.correct(actual - estimate, 1.0)
    exact.spend(actual, 1.0)

    assert corrected.level == pytest.approx(exact.level)


def test_nothing_is_corrected_while_the_server_names_what_is_left() -> None:
    bucket = full()
    bucket.spend(100.0, 0.0)
    level = bucket.level

    bucket.correct(-90.0, 0.0)
    assert bucket.level == level

    bucket.at_s = 61.0  # no header for a minute
    bucket.level = level
    bucket.correct(-10.0, 61.0)
    assert bucket.level == level + 10.0


def test_a_refusal_empties_it() -> None:
    bucket = Bucket(600.0, 1.0, 0.0)

    bucket.drain(0.0)

    assert bucket.level == 0.0
    assert bucket.ramp_until_s == 0.0


class TestHearing:
    def test_the_servers_lower_limit_holds(self) -> None:
        bucket = Bucket(600.0, 1.0, 0.0)

        bucket.hear(Reading(60, 60), 0.0, 0.0, 0.0, sure=True)

        assert bucket.limit == 60
        assert bucket.level == bucket.burst

    def test_the_applications_lower_limit_holds(self) -> None:
        bucket = Bucket(60.0, 1.0, 0.0)
        bucket.spend(50.0, 0.0)

        bucket.hear(Reading(600, 600), 0.0, 0.0, 0.0, sure=True)

        assert bucket.limit == 60
        assert bucket.level == pytest.approx(bucket.burst - 50.0)

    def test_a_limit_per_day_leaves_the_one_per_minute(self) -> None:
        bucket = Bucket(600.0, 1.0, 0.0)

        bucket.hear(Reading(200, 100, 43_200.0), 0.0, 0.0, 0.0, sure=True)

        assert bucket.limit == 600
        assert bucket.level == pytest.approx(100.0, abs=0.01)

    def test_a_limit_per_day_alone_refills_in_a_day(self) -> None:
        bucket = Bucket(None, 1.0, 0.0)

        bucket.hear(Reading(200, 100, 43_200.0), 0.0, 0.0, 0.0, sure=True)

        assert bucket.rate == pytest.approx(200 / DAY_S)

    def test_less_left_than_thought_lowers_the_level(self) -> None:
        bucket = full()

        bucket.hear(Reading(600, 100), 0.0, 0.0, 0.0, sure=True)

        assert bucket.level == 100.0 - bucket.rate * SLACK_S

    def test_what_came_in_since_the_answered_call_is_allowed_for(self) -> None:
        bucket = full()
        bucket.spend(500.0, 0.0)

        bucket.hear(Reading(600, 50), 30.0, 30.0, 0.0, sure=True)

        assert bucket.level == pytest.approx(50.0 - bucket.rate * SLACK_S + 300.0)

    def test_more_left_than_thought_raises_the_level_by_what_is_sure(self) -> None:
        bucket = full()
        bucket.spend(500.0, 0.0)

        bucket.hear(Reading(600, 400), 0.0, 0.0, 30.0, sure=True)

        assert bucket.level == 400.0 - bucket.rate * SLACK_S - 30.0

    def test_an_unsure_answer_raises_nothing(self) -> None:
        bucket = full()
        bucket.spend(500.0, 0.0)
        level = bucket.level

        bucket.hear(Reading(600, 400), 0.0, 0.0, 0.0, sure=False)

        assert bucket.level == level

    def test_the_first_limit_learned_counts_calls_on_their_way(self) -> None:
        bucket = Bucket(None, 1.0, 0.0)
        bucket.spend(100.0, 0.0)

        bucket.hear(Reading(600, 599), 1.0, 1.0, 99.0, sure=True)

        assert bucket.level == 599 - bucket.rate * SLACK_S - 99

    def test_a_limit_without_a_remainder_starts_cautiously(self) -> None:
        bucket = Bucket(None, 1.0, 0.0)

        bucket.hear(Reading(600), 7.0, 0.0, 0.0, sure=True)

        assert bucket.level == START_SHARE * bucket.burst
        assert bucket.ramp_until_s == 7.0 + RAMP_S

    def test_nothing_said_changes_nothing(self) -> None:
        bucket = Bucket(600.0, 1.0, 0.0)
        before = repr(bucket)

        bucket.hear(Reading(), 0.0, 0.0, 0.0, sure=True)

        assert repr(bucket) == before
