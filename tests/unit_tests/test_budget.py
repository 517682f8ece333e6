"""What one budget does for one caller, in memory and in a file."""

from __future__ import annotations

import asyncio
import copy
import gc
import logging
import pickle
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from budgets import Budgets, open_budgets

from langchain_tamma_openai.errors import (
    BudgetExceededError,
    ConfigurationError,
    InvalidParameterError,
)
from langchain_tamma_openai.usage.budget import (
    Budget,
    BudgetAlert,
    affordable_output_tokens,
    areserve_all,
    reserve_all,
)


@pytest.fixture(params=["memory", "sqlite"])
def budgets(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Budgets]:
    with open_budgets(request.param, tmp_path) as made:
        yield made


def test_a_reservation_counts_until_it_is_settled_at_what_the_call_cost(budgets: Budgets) -> None:
    budget = budgets.make("1.00", limit_tokens=1000)

    reservation = budget.reserve(Decimal("0.30"), 200)
    during = budget.status()
    reservation.settle(Decimal("0.1234567890123456789"), 50)
    after = budget.status()

    assert [during.spent_usd, during.reserved_usd, during.remaining_usd] == [
        0,
        Decimal("0.30"),
        Decimal("0.70"),
    ]
    assert [during.spent_tokens, during.reserved_tokens, during.remaining_tokens] == [0, 200, 800]
    assert after.spent_usd == Decimal("0.1234567890123456789")
    assert after.remaining_usd == Decimal("0.8765432109876543211")
    assert [after.spent_tokens, after.reserved_usd, after.remaining_tokens] == [50, 0, 950]


def test_a_call_that_does_not_fit_is_refused_with_all_amounts(budgets: Budgets) -> None:
    budget = budgets.make("1.00", window="day", scope=("user_id",), name="team")
    labels = {"user_id": "u1", "model": "gpt-6"}
    budget.reserve("0.5", labels=labels).settle("0.4")
    under_way = budget.reserve("0.2", labels=labels)

    with pytest.raises(BudgetExceededError) as caught:
        budget.reserve("0.7", labels=labels)

    error = caught.value
    assert (error.limit, error.spent, error.reserved) == (
        Decimal("1.00"),
        Decimal("0.4"),
        Decimal("0.2"),
    )
    assert (error.requested, error.unit, error.budget) == (Decimal("0.7"), "usd", "team")
    assert error.resets_at == datetime(2026, 11, 25, tzinfo=UTC)
    assert (error.scope, error.model) == ({"user_id": "u1"}, "gpt-6")
    assert "limit $1, spent $0.4, reserved $0.2, requested $0.7" in str(error)
    assert "2026-11-25T00:00:00+00:00" in str(error)
    copied = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own
    assert (copied.limit, copied.resets_at) == (error.limit, error.resets_at)
    under_way.release()


def test_tokens_are_a_limit_of_their_own(budgets: Budgets) -> None:
    budget = budgets.make("100", limit_tokens=1000)

    with pytest.raises(BudgetExceededError) as caught:
        budget.reserve("0.01", 1001)

    assert (caught.value.unit, caught.value.limit, caught.value.requested) == ("tokens", 1000, 1001)
    budget.reserve("0.01", 1000).release()


def test_the_whole_limit_can_be_used(budgets: Budgets) -> None:
    budget = budgets.make("0.3")
    for _ in range(3):
        budget.reserve(0.1).settle(0.1)

    assert budget.status().remaining_usd == 0
    with pytest.raises(BudgetExceededError):
        budget.reserve("0.000000000001")
    budget.reserve(0).settle()


def test_only_the_first_end_counts(budgets: Budgets) -> None:
    budget = budgets.make(1)
    settled, released = budget.reserve("0.5", 10), budget.reserve("0.5", 10)
    settled.settle("0.1", 1)
    settled.settle("0.2", 2)
    settled.release()
    released.release()
    released.settle("0.3", 3)

    status = budget.status()
    assert [status.spent_usd, status.spent_tokens, status.reserved_usd] == [Decimal("0.1"), 1, 0]
    assert settled.ended
    assert released.ended


def test_a_block_settles_at_the_estimate_unless_it_was_ended(budgets: Budgets) -> None:
    budget = budgets.make(10)
    with budget.reserve(1, 10):
        pass
    with pytest.raises(RuntimeError, match="lost"), budget.reserve(2, 20):
        raise RuntimeError("lost")
    with budget.reserve(4, 40) as reservation:
        reservation.release()

    status = budget.status()
    assert [status.spent_usd, status.spent_tokens, status.reserved_usd] == [3, 30, 0]


def test_an_unknown_part_is_settled_at_its_estimate(budgets: Budgets) -> None:
    budget = budgets.make(10, limit_tokens=100)
    budget.reserve(1, 10).settle(None, 3)
    budget.reserve(1, 10).settle("0.5", None)

    status = budget.status()
    assert [status.spent_usd, status.spent_tokens] == [Decimal("1.5"), 13]


def test_more_than_was_reserved_is_charged_as_it_is(budgets: Budgets) -> None:
    budget = budgets.make(1)
    budget.reserve("0.5").settle("1.5")

    status = budget.status()
    assert [status.spent_usd, status.remaining_usd] == [Decimal("1.5"), 0]


def test_a_call_of_unknown_price_is_refused(budgets: Budgets) -> None:
    budget = budgets.make(1)
    with pytest.raises(BudgetExceededError, match="price_overrides") as caught:
        budget.reserve(None, 10)

    assert caught.value.requested is None


def test_a_call_of_unknown_price_may_be_allowed_while_anything_is_left(budgets: Budgets) -> None:
    budget = budgets.make(1, limit_tokens=100, on_unknown_price="allow")
    budget.reserve(None, 10).settle(None, 10)
    with pytest.raises(BudgetExceededError, match="tokens"):
        budget.reserve(None, 91)
    budget.reserve(1, 10).settle(1, 10)
    with pytest.raises(BudgetExceededError):
        budget.reserve(None, 10)

    assert budget.status().unpriced_calls == 1


def test_an_unknown_price_does_not_matter_to_a_budget_of_tokens(budgets: Budgets) -> None:
    budget = budgets.make(limit_tokens=100)
    budget.reserve(None, 100).settle(None, 50)

    assert budget.status().spent_tokens == 50


def test_each_combination_of_labels_has_the_whole_limit(budgets: Budgets) -> None:
    budget = budgets.make(1, scope=("organization_id", "tags"))
    for labels in (
        {"organization_id": "a", "tags": ["x", "y"]},
        {"organization_id": "a", "tags": ["z"]},
        {"organization_id": "b", "tags": ["x", "y"]},
        {"organization_id": "a"},
        {"tags": ("z",)},
        {},
    ):
        budget.reserve(1, labels=labels).settle(1)

    with pytest.raises(BudgetExceededError):
        budget.reserve(1, labels={"organization_id": "a", "tags": {"y", "x"}, "other": 1})
    assert budget.status(organization_id="a", tags=["y", "x", "y"]).remaining_usd == 0
    assert budget.status().spent_usd == 1
    assert budget.status(organization_id="c").spent_usd == 0
    assert len(budget.lines()) == 6
    assert {"organization_id": "a", "tags": None} in [line.scope for line in budget.lines()]


def test_labels_that_print_alike_are_one_line(budgets: Budgets) -> None:
    budget = budgets.make(1, scope="user_id")
    budget.reserve(1, labels={"user_id": 7}).settle()

    assert budget.status(user_id="7").remaining_usd == 0
    odd = "\x00\ud800" + "x" * 10_000
    budget.reserve(1, labels={"user_id": odd}).settle()
    assert budget.status(user_id=odd).spent_usd == 1


@pytest.mark.parametrize(
    ("window", "before", "after", "turn"),
    [
        ("day", (2028, 2, 28, 23, 59, 59), (2028, 2, 29), (2028, 2, 29)),
        ("month", (2026, 12, 31, 23, 59, 59), (2027, 1, 1), (2027, 1, 1)),
        ("month", (2028, 2, 29), (2028, 3, 1), (2028, 3, 1)),
        (timedelta(hours=6), (2026, 11, 24, 17, 59), (2026, 11, 24, 18), (2026, 11, 24, 18)),
    ],
    ids=["day", "year", "leap", "steps"],
)
def test_spending_starts_anew_when_the_window_turns(
    budgets: Budgets,
    window: object,
    before: tuple[int, ...],
    after: tuple[int, ...],
    turn: tuple[int, int, int],
) -> None:
    budget = budgets.make(1, window=window)
    budgets.clock.set(*before)
    late = budget.reserve("0.25")
    budget.reserve("0.75").settle()
    assert budget.status().resets_at == datetime(*turn, tzinfo=UTC)

    budgets.clock.set(*after)
    fresh = budget.status()
    late.settle()

    assert fresh.spent_usd == fresh.reserved_usd == budget.status().spent_usd == 0
    assert fresh.starts_at == datetime(*turn, tzinfo=UTC)
    budget.reserve(1).settle()


def test_lines_of_long_ended_windows_are_forgotten(budgets: Budgets) -> None:
    budget = budgets.make(1, window="day", scope="user_id")
    held = budget.reserve("0.1", labels={"user_id": "under way"})
    for day in range(1, 20):
        budgets.clock.set(2027, 1, day)
        budget.reserve("0.1", labels={"user_id": "u"}).settle()

    budgets.clock.set(2026, 11, 24)
    kept = {str(line.scope["user_id"]): line for line in budget.lines()}
    assert held is not None
    assert kept["under way"].reserved_usd == Decimal("0.1")
    assert budget.status(user_id="u").spent_usd == 0
    budgets.clock.set(2027, 1, 5)
    assert budget.status(user_id="u").spent_usd == 0


def test_without_a_window_nothing_starts_anew(budgets: Budgets) -> None:
    budget = budgets.make(1)
    budget.reserve(1).settle()
    budgets.clock.advance(10**9)

    assert budget.status().remaining_usd == 0
    assert budget.status().resets_at is None
    with pytest.raises(BudgetExceededError, match="never starts anew"):
        budget.reserve(1)


@pytest.mark.parametrize(("policy", "spent_usd"), [("charge", 1), ("free", 0)])
def test_a_reservation_nobody_has_any_more_expires(
    budgets: Budgets, policy: str, spent_usd: int
) -> None:
    budget = budgets.make(2, on_abandoned=policy)
    reservation = budget.reserve(1, 10)
    budgets.clock.advance(61)
    assert budget.status().reserved_usd == 1

    del reservation
    gc.collect()
    assert budget.status().reserved_usd == 1
    budgets.clock.advance(61)

    status = budget.status()
    assert [status.reserved_usd, status.reserved_tokens] == [0, 0]
    assert [status.spent_usd, status.spent_tokens] == [spent_usd, 10 * spent_usd]


def test_alerts_are_given_once_per_threshold_unit_and_window(budgets: Budgets) -> None:
    alerts: list[BudgetAlert] = []
    budget = budgets.make(
        "1.0",
        limit_tokens=100,
        window="day",
        alert_thresholds=(1, "0.5", 0.8, 0.5),
        on_alert=alerts.append,
    )
    budget.reserve("0.1", 1).settle()
    assert alerts == []
    budget.reserve("0.7", 1).settle()
    budget.reserve("0.1", 88).settle()
    budget.reserve("0.1", 9).settle()
    budget.reserve("0", 0).settle()

    assert [(alert.unit, str(alert.threshold)) for alert in alerts] == [
        ("usd", "0.5"),
        ("usd", "0.8"),
        ("tokens", "0.5"),
        ("tokens", "0.8"),
        ("usd", "1"),
    ]
    assert alerts[0].status.spent_usd == Decimal("0.8")
    budgets.clock.advance(86_400)
    budget.reserve("0.5", 1).settle()
    assert len(alerts) == 6


def test_an_alert_that_fails_or_is_left_out_does_not_fail_the_call(
    budgets: Budgets, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(alert: BudgetAlert) -> None:
        raise ValueError(alert.unit)

    caplog.set_level(logging.INFO)
    budgets.make(1, on_alert=fail, name="failing").reserve(1).settle()
    budgets.make(1, name="logged").reserve(1).settle()

    assert "on_alert of the budget 'failing' failed" in caplog.text
    assert "The budget 'logged'  has used 100 % of its limit: 1 of 1 US dollars." in caplog.text


def test_warn_lets_calls_go_and_warns_once(
    budgets: Budgets, caplog: pytest.LogCaptureFixture
) -> None:
    budget = budgets.make(1, on_exceeded="warn", alert_thresholds=(), window="day", scope="user_id")
    for user in ("a", "b"):
        budget.reserve(1, labels={"user_id": user}).settle()
    assert caplog.text == ""
    for user in ("a", "a", "b"):
        budget.reserve(1, labels={"user_id": user}).settle()

    assert budget.status(user_id="a").spent_usd == 3
    assert caplog.text.count("cannot take this call") == 2


def test_a_function_decides_about_calls_that_do_not_fit(budgets: Budgets) -> None:
    asked: list[BudgetExceededError] = []

    def decide(error: BudgetExceededError) -> bool | None:
        asked.append(error)
        if error.requested == 5:
            raise PermissionError("not you")
        return {2: True, 3: False}.get(int(error.requested or 0))

    budget = budgets.make(1, on_exceeded=decide)
    budget.reserve(2).settle()
    for amount in (3, 4):
        with pytest.raises(BudgetExceededError) as caught:
            budget.reserve(amount)
        assert caught.value is asked[-1]
    with pytest.raises(PermissionError):
        budget.reserve(5)
    assert len(asked) == 4
    assert [budget.status().spent_usd, budget.status().reserved_usd] == [2, 0]


async def test_an_async_function_decides_in_event_loops_only(budgets: Budgets) -> None:
    async def allow(error: BudgetExceededError) -> bool:
        await asyncio.sleep(0)
        return error.unit == "usd"

    budget = budgets.make(1, on_exceeded=allow)
    await (await budget.areserve(2)).asettle()
    with pytest.raises(ConfigurationError, match="on_exceeded"):
        budget.reserve(2)
    assert budget.status().reserved_usd == 0


def test_limits_can_be_changed_and_changed_back(budgets: Budgets) -> None:
    budget = budgets.make(1, scope="user_id")
    budget.set_limit("2.5")
    budget.set_limit(limit_tokens=10, user_id="vip")
    budget.set_limit(None, user_id="vip")

    assert budget.status(user_id="a").limit_usd == Decimal("2.5")
    vip = budget.status(user_id="vip")
    assert [vip.limit_usd, vip.limit_tokens] == [None, 10]
    with pytest.raises(InvalidParameterError, match="no other limit"):
        budget.set_limit(limit_tokens=None, user_id="vip")
    budget.clear_limit(user_id="vip")
    assert budget.status(user_id="vip").limit_usd == Decimal("2.5")
    budget.clear_limit()
    assert budget.status(user_id="a").limit_usd == 1


def test_a_line_can_be_reset(budgets: Budgets) -> None:
    alerts: list[BudgetAlert] = []
    budget = budgets.make(1, scope="user_id", on_alert=alerts.append, alert_thresholds=[0.5])
    under_way = budget.reserve("0.1", labels={"user_id": "a"})
    for _ in range(2):
        budget.reserve("0.9", labels={"user_id": "a"}).settle()
        budget.reset(user_id="a")
    budget.reset(user_id="never seen")

    status = budget.status(user_id="a")
    assert [status.spent_usd, status.reserved_usd, len(alerts)] == [0, Decimal("0.1"), 2]
    under_way.settle()
    assert budget.status(user_id="a").spent_usd == Decimal("0.1")


@pytest.mark.parametrize("call", ["status", "reset", "set_limit", "clear_limit"])
def test_a_label_outside_the_scope_is_a_mistake(budgets: Budgets, call: str) -> None:
    budget = budgets.make(1, scope="user_id")
    with pytest.raises(InvalidParameterError, match="user_ids"):
        getattr(budget, call)(user_ids="u")


def test_several_budgets_reserve_together_or_not_at_all(budgets: Budgets) -> None:
    day, month = budgets.make(1, window="day"), budgets.make(3, window="month")
    for _ in range(3):
        reserve_all([month, day], 1).settle()
        budgets.clock.advance(86_400)

    with pytest.raises(BudgetExceededError) as caught:
        reserve_all([day, month], 1)
    assert caught.value.limit == 3
    assert day.status().reserved_usd == 0
    reserve_all([], 1).settle()


async def test_several_budgets_reserve_together_in_an_event_loop(budgets: Budgets) -> None:
    day, month = budgets.make(1, window="day"), budgets.make(3, window="month")
    async with await areserve_all([month, day], 1) as reservation:
        await reservation.arenew()
        reservation.renew()
        await reservation.asettle("0.5")

    assert (await day.astatus()).spent_usd == (await month.astatus()).spent_usd == Decimal("0.5")
    released = await areserve_all([month, day], "0.5")
    await released.arelease()
    await released.arelease()
    await month.aset_limit(1)
    await month.aclear_limit()
    await day.areset()
    assert (await day.astatus()).spent_usd == 0
    assert len(await month.alines()) == 1
    await day.aclose()


def test_the_same_budget_twice_is_a_mistake(budgets: Budgets) -> None:
    budget = budgets.make(1)
    with pytest.raises(ConfigurationError, match="names of their own"):
        reserve_all([budget, budget], 1)


def test_a_copied_budget_is_the_same_and_a_pickled_one_has_the_same_settings(
    budgets: Budgets,
) -> None:
    budget = Budget("1.5", window="day", scope=("user_id",), store=budgets.store, name="n")
    assert copy.copy(budget) is budget
    assert copy.deepcopy({"budget": budget})["budget"] is budget
    twin = pickle.loads(pickle.dumps(budget))  # noqa: S301 - our own
    assert repr(twin) == repr(budget)
    budget.reserve(1, labels={"user_id": "u"}).settle()
    shared = budgets.store is not None
    assert twin.status(user_id="u").spent_usd == (1 if shared else 0)
    budget.close()
    twin.close()


def test_a_closed_budget_opens_again(budgets: Budgets) -> None:
    budget = budgets.make(1)
    budget.close()
    budget.reserve("0.5").settle()
    budget.close()

    assert budget.status().spent_usd == Decimal("0.5")


def test_affordable_output_tokens_are_bounded_by_both_limits(budgets: Budgets) -> None:
    budget = budgets.make("0.01", limit_tokens=5000)
    status = budget.status()

    def affordable(**amounts: object) -> int | None:
        return affordable_output_tokens(status, **amounts)  # type: ignore[arg-type]

    assert affordable(input_usd="0.004", output_usd_per_mtok=2, input_tokens=1000) == 3000
    assert affordable(input_usd="0.004", output_usd_per_mtok=1, input_tokens=1000) == 4000
    assert affordable(input_usd="0.02", output_usd_per_mtok=1) == 0
    assert affordable(input_tokens=6000) == 0
    assert affordable(input_usd=0, output_usd_per_mtok=0) == 5000
    only_usd = budgets.make("0.01", name="usd").status()
    assert affordable_output_tokens(only_usd, input_tokens=7) is None
    with pytest.raises(InvalidParameterError, match="input_tokens"):
        affordable(input_tokens=-1)
