"""Processes full of real models share one budget: what the server bills stays within it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from decimal import Decimal
from pathlib import Path

import pytest
from budget_model_worker import LIMIT_USD, race_budget
from loopback import LoopbackServer
from postgres_places import schema
from till import Till

WORKER = Path(__file__).parent / "budget_model_worker.py"


@pytest.fixture(params=["sqlite", "postgresql"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'budget.db'}"
        return
    with schema() as url:
        yield url


@contextmanager
def workers(number: int, *arguments: object) -> Iterator[list[subprocess.Popen[str]]]:
    """Start processes, and all of them at once when they are ready."""
    command = [sys.executable, str(WORKER), *map(str, arguments)]
    environment = {**os.environ, "PYTHONPATH": str(WORKER.parent.parent.parent)}
    with ExitStack() as stack:
        processes = [
            stack.enter_context(
                subprocess.Popen(  # noqa: S603 - our own script
                    command,
                    text=True,
                    env=environment,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                )
            )
            for _ in range(number)
        ]
        try:
            for process in processes:
                assert process.stdout is not None
                assert process.stdout.readline() == "ready\n"
            for process in processes:
                assert process.stdin is not None
                process.stdin.write("go\n")
                process.stdin.flush()
            yield processes
        finally:
            for process in processes:
                process.kill()


@pytest.mark.parametrize("colour", ["async", "threads"])
def test_four_processes_of_fifty_calls_use_a_budget_up_and_never_more(
    store: str, colour: str
) -> None:
    till = Till()
    with LoopbackServer(till) as server, workers(4, store, server.url, colour, 50) as processes:
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
    with LoopbackServer(till) as server, workers(4, store, server.url, "async", 50) as processes:
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
