"""A budget in a real PostgreSQL, which may be absent, or drop its connections."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from contextlib import closing
from decimal import Decimal

import pytest
import sqlalchemy as sa
from postgres_places import schema

from langchain_tamma_openai.errors import BudgetExceededError, StorageError
from langchain_tamma_openai.usage.budget import Budget, BudgetAlert, areserve_all


@pytest.fixture
def store() -> Iterator[str]:
    with schema() as url:
        yield url


def test_a_database_that_cannot_be_reached_is_named_without_its_password() -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as free:
        port = free.getsockname()[1]
    url = f"postgresql+psycopg://root:hunter2@127.0.0.1:{port}/test"
    with pytest.raises(StorageError) as caught:
        Budget(1, store=url)

    assert f"127.0.0.1:{port}/test" in str(caught.value)
    assert "hunter2" not in repr(caught.value)
    assert "hunter2" not in str(caught.value.__dict__)


def test_the_driver_need_not_be_named(store: str) -> None:
    budget = Budget(1, store=store.replace("postgresql+psycopg://", "postgresql://"))
    budget.reserve(1).settle()
    budget.close()


def test_everything_a_budget_does_works_there(store: str) -> None:
    alerts: list[BudgetAlert] = []
    budget = Budget(1, 100, "month", ("user_id",), store=store, wait_s=0, on_alert=alerts.append)
    labels = {"user_id": "u\x001"}
    with budget.reserve("0.5", 10, labels) as reservation:
        reservation.renew()
        with pytest.raises(BudgetExceededError):
            budget.reserve("0.6", 10, labels)
        reservation.settle("0.123456789012345678901234567890", 7)
    budget.reserve("0.5", 10, labels).release()
    budget.set_limit("2.5", user_id="u\x001")
    budget.set_limit(limit_tokens=50)
    budget.reserve(2, 50, labels).settle(2, 43)
    budget.reserve(1, 1).settle()

    status = budget.status(**labels)
    assert status.spent_usd == Decimal("2.123456789012345678901234567890")
    assert [status.limit_usd, status.limit_tokens] == [Decimal("2.5"), 100]
    assert [status.spent_tokens, status.reserved_usd] == [50, 0]
    assert [(alert.unit, str(alert.threshold)) for alert in alerts] == [
        ("usd", "0.5"),
        ("usd", "0.8"),
        ("tokens", "0.5"),
        ("usd", "0.5"),
        ("usd", "0.8"),
        ("usd", "1"),
    ]
    assert {line.scope["user_id"] for line in budget.lines()} == {None, "u\x001"}
    budget.reset(**labels)
    budget.clear_limit(**labels)
    assert budget.status(**labels).remaining_tokens == 50
    budget.close()


async def test_a_call_cancelled_at_any_moment_leaves_nothing_reserved(store: str) -> None:
    day, ever = Budget(1, window="day", store=store), Budget(1, store=store)
    for step in range(40):
        task = asyncio.create_task(areserve_all([day, ever], "0.01"))
        await asyncio.sleep(step * 0.0005)
        if not task.cancel():
            await (await task).arelease()
            continue
        await asyncio.gather(task, return_exceptions=True)
    for _ in range(200):
        reserved = [(await budget.astatus()).reserved_usd for budget in (day, ever)]
        if reserved == [0, 0]:
            break
        await asyncio.sleep(0.02)

    assert reserved == [0, 0]
    await day.aclose()
    await ever.aclose()


def test_connections_that_the_server_dropped_are_replaced(store: str) -> None:
    name = "test-budget-dropped"
    budget = Budget(1, store=f"{store}&application_name={name}")
    reservation = budget.reserve("0.5")
    assert _drop_connections(store, name) == 1
    budget.status()
    assert _drop_connections(store, name) == 1
    reservation.settle("0.25")

    assert budget.status().spent_usd == Decimal("0.25")
    budget.close()


def _drop_connections(store: str, name: str) -> int:
    engine = sa.create_engine(store)
    drop = sa.text(
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
        "WHERE application_name = :name"
    )
    with engine.connect() as connection:
        dropped = len(connection.execute(drop, {"name": name}).all())
    engine.dispose()
    return dropped
