"""Processes full of real models share one budget: what the server bills stays within it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest
from budget_model_worker import LIMIT_USD, race_budget
from loopback import LoopbackServer
from postgres_places import database
from till import Till
from workers import workers_at_once

WORKER = "budget_model_worker.py"


@pytest.fixture(params=["sqlite", "postgresql"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    with database(request.param, tmp_path) as url:
        yield url


@pytest.mark.parametrize("colour", ["async", "threads"])
def test_four_processes_of_fifty_calls_use_a_budget_up_and_never_more(
    store: str, colour: str
) -> None:
    till = Till()
    with (
        LoopbackServer(till) as server,
        workers_at_once(4, WORKER, store, server.url, colour, 50) as processes,
    ):
        assert [process.wait(120) for process in processes] == [0] * 4

    assert Decimal(LIMIT_USD) * 95 / 100 <= till.usd <= Decimal(LIMIT_USD)
    budget = race_budget(store)
    status = budget.status(organization_id="o1")
    budget.close()
    assert status.spent_usd == till.usd
    assert status.spent_tokens == till.tokens
    assert (status.reserved_usd, status.reserved_tokens) == (Decimal(0), 0)


def test_a_process_that_is_killed_leaves_nothing_reserved_and_nothing_overspent(
    store: str,
) -> None:
    till = Till(delay_s=0.05)
    with (
        LoopbackServer(till) as server,
        workers_at_once(4, WORKER, store, server.url, "async", 50) as processes,
    ):
        assert server.sees(lambda: len(till.entries) > 60, 30)
        processes[0].kill()
        assert [process.wait(120) for process in processes[1:]] == [0] * 3
        time.sleep(3.5)

    budget = race_budget(store)
    status = budget.status(organization_id="o1")
    budget.close()
    assert (status.reserved_usd, status.reserved_tokens) == (Decimal(0), 0)
    assert till.usd <= status.spent_usd <= Decimal(LIMIT_USD)
    assert status.spent_usd >= Decimal(LIMIT_USD) * 95 / 100
