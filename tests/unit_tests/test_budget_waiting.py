"""Calls that find a budget reserved wait in turn, and leave nothing behind when they give up."""

from __future__ import annotations

import asyncio
import gc
import logging
import multiprocessing
import sqlite3
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from decimal import Decimal
from pathlib import Path

import pytest
from budgets import Budgets, open_budgets

from langchain_tamma_openai.errors import BudgetExceededError, StorageError
from langchain_tamma_openai.usage import budget_sql
from langchain_tamma_openai.usage.budget import Budget, BudgetReservation, areserve_all, reserve_all

PATIENT_S = 60


@pytest.fixture(params=["memory", "sqlite"])
def budgets(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Budgets]:
    with open_budgets(request.param, tmp_path) as made:
        yield made


@pytest.fixture
def filed(tmp_path: Path) -> Iterator[Budgets]:
    with open_budgets("sqlite", tmp_path) as made:
        yield made


def test_threads_use_the_whole_budget_and_no_more(budgets: Budgets) -> None:
    budget = budgets.make(1, wait_s=PATIENT_S)
    served: list[Decimal] = []

    def spend() -> None:
        while True:
            try:
                reservation = budget.reserve("0.05")
            except BudgetExceededError:
                return
            with reservation:
                served.append(Decimal("0.0125"))
                reservation.settle("0.0125")

    with ThreadPoolExecutor(50) as pool:
        for job in [pool.submit(spend) for _ in range(50)]:
            job.result()

    status = budget.status()
    assert Decimal("0.95") < sum(served) <= 1
    assert [status.spent_usd, status.reserved_usd] == [sum(served), 0]


async def test_tasks_use_the_whole_budget_and_no_more(budgets: Budgets) -> None:
    budget = budgets.make(1, wait_s=PATIENT_S)
    served: list[Decimal] = []

    async def spend() -> None:
        while True:
            try:
                reservation = await budget.areserve("0.05")
            except BudgetExceededError:
                return
            async with reservation:
                await asyncio.sleep(0)
                served.append(Decimal("0.0125"))
                await reservation.asettle("0.0125")

    await asyncio.gather(*(spend() for _ in range(50)))

    status = await budget.astatus()
    assert Decimal("0.95") < sum(served) <= 1
    assert [status.spent_usd, status.reserved_usd] == [sum(served), 0]


async def test_tasks_are_served_in_the_order_they_came(budgets: Budgets) -> None:
    budget = budgets.make(1, wait_s=PATIENT_S)
    first = await budget.areserve(1)
    order: list[int] = []

    async def call(number: int, size: str) -> None:
        async with await budget.areserve(size) as reservation:
            order.append(number)
            await reservation.asettle(0)

    tasks = []
    for number, size in enumerate(["1", "0.1", "1", "0.2", "0.1"]):
        tasks.append(asyncio.create_task(call(number, size)))
        await asyncio.sleep(0.1)
    await first.asettle(0)
    await asyncio.gather(*tasks)

    assert order == [0, 1, 2, 3, 4]


async def test_a_call_that_need_not_wait_longer_passes_those_it_does_not_hinder(
    budgets: Budgets,
) -> None:
    budget = budgets.make(1, wait_s=PATIENT_S)
    held = await budget.areserve("0.5")
    large = asyncio.create_task(budget.areserve(1))
    await asyncio.sleep(0.1)

    for wait_s in (0.05, 0):
        (await budget.areserve("0.1", wait_s=wait_s)).release()
    assert not large.done()
    await held.asettle(0)
    await (await large).arelease()


async def test_a_cancelled_call_leaves_the_line_and_nothing_reserved(budgets: Budgets) -> None:
    budget = budgets.make(1, wait_s=PATIENT_S)
    held = await budget.areserve(1)
    waiting = [asyncio.create_task(budget.areserve("0.5")) for _ in range(3)]
    await asyncio.sleep(0.1)
    waiting[0].cancel()
    waiting[2].cancel()
    await held.arelease()
    reservation = await waiting[1]
    results = await asyncio.gather(waiting[0], waiting[2], return_exceptions=True)

    assert [type(result) for result in results] == [asyncio.CancelledError] * 2
    assert (await budget.astatus()).reserved_usd == Decimal("0.5")
    await reservation.arelease()


@pytest.mark.parametrize("delay_s", [0, 0.0005, 0.001, 0.002, 0.004])
async def test_a_call_cancelled_at_any_moment_leaves_nothing_reserved(
    filed: Budgets, delay_s: float
) -> None:
    day, ever = filed.make(1, window="day"), filed.make(1)
    for _ in range(20):
        task = asyncio.create_task(areserve_all([day, ever], "0.01"))
        await asyncio.sleep(delay_s)
        if not task.cancel():
            await (await task).arelease()
            continue
        result = (await asyncio.gather(task, return_exceptions=True))[0]
        assert not isinstance(result, BudgetReservation)
    await asyncio.get_running_loop().shutdown_default_executor()  # threads nobody waits for

    assert day.status().reserved_usd == ever.status().reserved_usd == 0


def test_a_loop_that_ends_while_a_call_is_cancelled_leaves_nothing_reserved(
    filed: Budgets,
) -> None:
    budget = filed.make(1)

    async def leave() -> None:
        task = asyncio.create_task(budget.areserve("0.5"))
        await asyncio.sleep(0)
        task.cancel()

    for _ in range(20):
        asyncio.run(leave())

    assert budget.status().reserved_usd == 0


def test_waiting_ends_with_an_error_that_says_so(budgets: Budgets) -> None:
    budget = budgets.make(1, wait_s=0.05)
    held = budget.reserve("0.6")
    with pytest.raises(BudgetExceededError, match="is reserved by calls under way"):
        budget.reserve("0.6")
    held.settle("0.5")
    with pytest.raises(BudgetExceededError, match="cannot take this call"):
        budget.reserve("0.6", wait_s=PATIENT_S)


def test_a_waiting_call_is_refused_once_it_can_no_longer_fit(budgets: Budgets) -> None:
    budget = budgets.make(1, wait_s=PATIENT_S)
    held = budget.reserve("0.6")
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(budget.reserve, "0.6")
        held.settle("0.6")
        with pytest.raises(BudgetExceededError):
            waiting.result()


def test_a_raised_limit_lets_waiting_calls_go(budgets: Budgets) -> None:
    budget = budgets.make(1, wait_s=PATIENT_S)
    held = budget.reserve(1)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(budget.reserve, 1)
        time.sleep(0.1)
        budget.set_limit(2)
        waiting.result().release()
    held.release()


def test_a_call_blocked_at_one_budget_holds_nothing_of_the_other(budgets: Budgets) -> None:
    day, ever = budgets.make(1, window="day"), budgets.make(1)
    for blocking, free in ((day, ever), (ever, day)):
        held = blocking.reserve(1)
        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(reserve_all, [day, ever], 1, wait_s=PATIENT_S)
            time.sleep(0.1)
            assert free.status().reserved_usd == 0
            held.release()
            waiting.result().release()


def test_calls_in_opposite_order_never_wait_for_each_other(budgets: Budgets) -> None:
    day = budgets.make(1, window="day", wait_s=PATIENT_S)
    ever = budgets.make(1, wait_s=PATIENT_S)

    def call(order: list[Budget]) -> None:
        for _ in range(10):
            with reserve_all(order, 1) as reservation:
                reservation.settle(0)

    with ThreadPoolExecutor(4) as pool:
        for job in [pool.submit(call, order) for order in ([day, ever], [ever, day]) * 2]:
            job.result()
    assert day.status().reserved_usd == ever.status().reserved_usd == 0


def test_a_call_that_ends_after_it_was_given_up_is_charged_what_it_cost(filed: Budgets) -> None:
    for policy, meanwhile in (("charge", Decimal("0.3")), ("free", Decimal(0))):
        here, elsewhere = (filed.make(1, name=policy, on_abandoned=policy) for _ in range(2))
        late, unsent = here.reserve("0.2", 20), here.reserve("0.1", 10)
        filed.clock.advance(61)

        assert elsewhere.status().spent_usd == meanwhile
        late.settle("0.25", 25)
        unsent.release()
        status = elsewhere.status()
        assert [status.spent_usd, status.spent_tokens] == [Decimal("0.25"), 25]
        assert [status.reserved_usd, status.reserved_tokens] == [0, 0]


def test_a_reservation_can_be_renewed_by_hand(filed: Budgets) -> None:
    here, elsewhere = filed.make(1), filed.make(1)
    reservation = here.reserve("0.2")
    for _ in range(3):
        filed.clock.advance(50)
        reservation.renew()
        assert elsewhere.status().reserved_usd == Decimal("0.2")
    reservation.release()
    reservation.renew()


def test_a_long_call_is_renewed_by_itself(tmp_path: Path) -> None:
    store = f"sqlite:///{tmp_path / 'budgets.db'}"
    here, elsewhere = (Budget(1, store=store, reservation_ttl_s=2.0) for _ in range(2))
    reservation = here.reserve("0.2")
    until_s = time.monotonic() + 3
    while time.monotonic() < until_s:
        assert elsewhere.status().spent_usd == 0
        time.sleep(0.1)

    assert elsewhere.status().reserved_usd == Decimal("0.2")
    reservation.settle("0.1")
    here.close()
    elsewhere.close()


class _Loop:
    """Garbage that ends a reservation when it is collected."""

    def __init__(self, reservation: BudgetReservation) -> None:
        self.reservation = reservation
        self.me = self

    def __del__(self) -> None:
        self.reservation.settle("0.001")


def test_calls_may_end_in_the_garbage_collector_at_any_moment(budgets: Budgets) -> None:
    budget = budgets.make(100, wait_s=PATIENT_S)
    threshold = gc.get_threshold()
    gc.set_threshold(1)
    try:
        for _ in range(100):
            _Loop(budget.reserve("0.01"))
    finally:
        gc.set_threshold(*threshold)
    gc.collect()

    status = budget.status()
    assert [status.spent_usd, status.reserved_usd] == [Decimal("0.1"), 0]


def test_a_store_lost_at_the_end_of_a_call_is_told_later(
    filed: Budgets, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(budget_sql, "BUSY_TIMEOUT_S", 0.1)
    budget = filed.make(1)
    reservation = budget.reserve("0.5")
    path = str(filed.store).removeprefix("sqlite:///")
    with closing(sqlite3.connect(path)) as other:
        other.execute("BEGIN EXCLUSIVE")
        reservation.settle("0.25")
        with pytest.raises(StorageError, match="locked"):
            budget.reserve("0.1")
        other.rollback()
    assert "tried again with the next call" in caplog.text

    budget.status()
    status = budget.status()
    assert [status.spent_usd, status.reserved_usd] == [Decimal("0.25"), 0]


@pytest.mark.skipif(sys.platform == "win32", reason="there is no fork")
def test_a_forked_child_leaves_the_calls_of_its_parent_alone(budgets: Budgets) -> None:
    budget = budgets.make(1)
    reservation = budget.reserve("0.5", 1)
    child = multiprocessing.get_context("fork").Process(
        target=_in_child, args=[budget, reservation]
    )
    child.start()
    child.join(60)

    assert child.exitcode == 0
    reservation.settle("0.5", 1)
    shared = budgets.store is not None
    assert budget.status().spent_usd == (Decimal("0.6") if shared else Decimal("0.5"))


def _in_child(budget: Budget, reservation: BudgetReservation) -> None:
    reservation.settle(1, 1000)
    budget.reserve("0.1").settle()
    budget.close()


def test_many_event_loops_may_share_a_budget(budgets: Budgets) -> None:
    budget = budgets.make(1, wait_s=PATIENT_S)

    async def spend() -> None:
        for _ in range(5):
            async with await budget.areserve("0.4") as reservation:
                await asyncio.sleep(0.001)
                await reservation.asettle("0.01")

    async def several() -> None:
        await asyncio.gather(*(spend() for _ in range(3)))

    threads = [threading.Thread(target=asyncio.run, args=[several()]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    status = budget.status()
    assert [status.spent_usd, status.reserved_usd] == [Decimal("0.6"), 0]


def test_a_closed_loop_does_not_hold_up_those_behind(budgets: Budgets) -> None:
    budget = budgets.make(1, wait_s=PATIENT_S)
    held = budget.reserve(1)
    loop = asyncio.new_event_loop()
    task = loop.create_task(budget.areserve(1))
    loop.run_until_complete(asyncio.sleep(0.1))
    with ThreadPoolExecutor(1) as pool:
        behind = pool.submit(budget.reserve, 1)
        time.sleep(0.1)
        loop.run_until_complete(loop.shutdown_default_executor())
        loop.close()
        held.release()
        behind.result().release()
    logging.getLogger("asyncio").disabled = True  # the task was destroyed on purpose
    del task, loop
    gc.collect()
    logging.getLogger("asyncio").disabled = False
