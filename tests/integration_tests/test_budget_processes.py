"""Processes that share one budget through a real file or a real PostgreSQL."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest
from budget_worker import MOST_TOKENS, MOST_USD, shared_budget
from postgres_places import database
from workers import Process, tell, workers

WORKER = "budget_worker.py"


@pytest.fixture(params=["sqlite", "postgresql"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    with database(request.param, tmp_path) as url:
        yield url


def _reports(processes: list[Process]) -> list[dict[str, object]]:
    tell(processes)
    outputs = [process.communicate(timeout=180)[0] for process in processes]
    assert [process.returncode for process in processes] == [0] * len(processes)
    return [json.loads(output.splitlines()[-1]) for output in outputs]


@pytest.mark.parametrize("colour", ["threads", "async"])
def test_four_processes_of_fifty_calls_never_overspend_and_use_the_budget(
    store: str, colour: str
) -> None:
    with workers(4, WORKER, "spend", store, colour, 50) as processes:
        reports = _reports(processes)

    spent = sum((Decimal(str(report["spent"])) for report in reports), Decimal(0))
    assert Decimal("0.95") <= spent <= Decimal(1)
    budget = shared_budget(store)
    status = budget.status(organization_id="o1")
    budget.close()
    assert status.spent_usd == spent
    assert status.spent_tokens == sum(int(str(report["calls"])) for report in reports)
    assert [status.reserved_usd, status.reserved_tokens] == [0, 0]


def test_an_alert_is_given_once_among_all_processes(store: str) -> None:
    with workers(4, WORKER, "spend", store, "async", 10) as processes:
        reports = _reports(processes)

    alerts = Counter(alert for report in reports for alert in _texts(report["alerts"]))
    assert {"usd 0.5": 1, "usd 0.8": 1}.items() <= alerts.items()
    assert max(alerts.values()) == 1


def _texts(value: object) -> list[str]:
    assert isinstance(value, list)
    return [str(item) for item in value]


@pytest.mark.parametrize(
    ("policy", "charged_usd"), [("charge", 2 * 5 * MOST_USD), ("free", Decimal(0))]
)
def test_what_killed_processes_had_reserved_is_settled_after_its_time(
    store: str, policy: str, charged_usd: Decimal
) -> None:
    with workers(2, WORKER, "hold", store, 3, policy) as processes:
        for process in processes:
            assert process.stdout is not None
            assert process.stdout.readline() == "holding\n"
        time.sleep(4.5)  # longer than a reservation lives: these two are renewed
        budget = shared_budget(store, reservation_ttl_s=3.0, on_abandoned=policy)
        held = budget.status(organization_id="o1")
        for process in processes:
            process.kill()
    time.sleep(3.5)

    status = budget.status(organization_id="o1")
    budget.close()
    assert [held.reserved_usd, held.reserved_tokens] == [10 * MOST_USD, 10 * MOST_TOKENS]
    assert [status.reserved_usd, status.reserved_tokens] == [0, 0]
    assert status.spent_usd == Decimal("0.002") + charged_usd


def test_many_processes_may_open_a_new_store_at_once(store: str) -> None:
    with workers(8, WORKER, "hold", store, 60, "charge") as processes:
        for process in processes:
            assert process.stdout is not None
            assert process.stdout.readline() == "holding\n"

        budget = shared_budget(store)
        reserved_usd = budget.status(organization_id="o1").reserved_usd
        budget.close()

    assert reserved_usd == 8 * 5 * MOST_USD


def test_a_call_waits_for_what_a_dead_process_had_reserved(store: str) -> None:
    with workers(1, WORKER, "hold", store, 1, "free") as processes:
        assert processes[0].stdout is not None
        assert processes[0].stdout.readline() == "holding\n"
        processes[0].kill()
        budget = shared_budget(store, reservation_ttl_s=1.0, on_abandoned="free")
        budget.set_limit(limit_usd=5 * MOST_USD)

        reservation = budget.reserve(4 * MOST_USD, 0, {"organization_id": "o1"})

    reservation.release()
    budget.close()
