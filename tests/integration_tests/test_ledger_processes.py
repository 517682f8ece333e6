"""Ledgers that several processes share, and that outlive any of them being killed."""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from ledger_worker import USD, make_record
from postgres_places import database

from langchain_tamma_openai.usage.tracker import UsageTracker

WORKER = Path(__file__).parent / "ledger_worker.py"
INTERVAL_S = 0.05
# One write takes milliseconds; a machine that runs other tests beside may take this long.
SLACK_S = 2.0
ROUNDS = int(os.environ.get("LEDGER_KILL_ROUNDS", "2"))


@pytest.fixture(params=["sqlite", "postgres"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    with database(request.param, tmp_path) as url:
        yield url


def _start(
    store: str,
    spill: Path,
    worker: int,
    count: int,
    *,
    durability: str = "batched",
    pause: str = "0",
) -> subprocess.Popen[bytes]:
    arguments = [store, durability, worker, count, spill, pause]
    command = [sys.executable, "-W", "error", str(WORKER), *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE)  # noqa: S603 - our own script


def _run_ids(tracker: UsageTracker) -> list[UUID]:
    return [record.run_id for record in tracker.records()]


@pytest.mark.parametrize("durability", ["batched", "sync"])
@pytest.mark.parametrize("round_", range(ROUNDS))
def test_a_killed_process_loses_no_more_than_it_may(
    store: str, durability: str, round_: int, tmp_path: Path
) -> None:
    dice = random.Random(f"{durability}{round_}{ROUNDS}")  # noqa: S311 - moments, no secrets
    process = _start(store, tmp_path, 1, 100_000, durability=durability, pause="0.0002")
    lines: list[bytes] = []
    assert process.stdout is not None
    with process, process.stdout as stdout:
        lines.append(stdout.readline())  # it has begun
        reader = threading.Thread(target=lambda: lines.extend(stdout))
        reader.start()
        time.sleep(dice.uniform(0.0, 4.0))
        killed_at = time.monotonic()
        process.send_signal(signal.SIGKILL)
        reader.join()
    returned = [line.split() for line in lines if line.endswith(b"\n")]
    last_safe = killed_at if durability == "sync" else killed_at - INTERVAL_S - SLACK_S
    safe = {int(number) for number, moment in returned if float(moment) <= last_safe}

    with UsageTracker(store, spill_path=tmp_path) as again:
        kept = _run_ids(again)
        assert len(kept) == len(set(kept))
        missing = {make_record(1, number).run_id for number in safe} - set(kept)
        assert not missing
        summary = again.summary(group_by=("day", "model"))
        assert summary.total_requests == len(kept)
        assert sum(group.total_requests for group in summary.groups) == len(kept)
    assert list(tmp_path.glob("*.spill-*")) == []
    if store.startswith("sqlite"):
        with closing(sqlite3.connect(store.removeprefix("sqlite:///"))) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def test_a_killed_process_leaves_a_spill_file_that_the_next_start_takes_in(tmp_path: Path) -> None:
    path = tmp_path / "usage.db"
    UsageTracker(path).close()
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        program = (
            "import os, sys; sys.path.insert(0, sys.argv[1]); from ledger_worker import *\n"
            "tracker = UsageTracker(sys.argv[2], 'sync', busy_timeout_s=0.05)\n"
            "for number in range(50): tracker.record(make_record(1, number))\n"
            "os.kill(os.getpid(), 9)"
        )
        command = [sys.executable, "-c", program, str(WORKER.parent), str(path)]
        assert subprocess.run(command, check=False).returncode == -signal.SIGKILL  # noqa: S603 - our own program
    assert len(list(tmp_path.glob("usage.db.spill-*.jsonl"))) == 1

    with UsageTracker(path) as again:
        assert len(_run_ids(again)) == 50
    assert list(tmp_path.glob("usage.db.spill-*")) == []


def test_eight_processes_record_a_thousand_runs_each(store: str, tmp_path: Path) -> None:
    processes = [_start(store, tmp_path, worker, 1000) for worker in range(8)]
    for process in processes:
        _out, _ = process.communicate(timeout=300)
        assert process.returncode == 0

    with UsageTracker(store, spill_path=tmp_path) as tracker:
        summary = tracker.summary(group_by="user_id")
        tokens = 8 * sum(range(1000)) + 1000 * sum(range(8))
        assert summary.total_requests == 8000
        assert summary.total_tokens == tokens
        assert summary.total_cost_usd == USD * tokens
        assert [group.total_requests for group in summary.groups] == [1000] * 8
        assert len(set(_run_ids(tracker))) == 8000


def test_processes_that_record_the_same_runs_keep_each_once(store: str, tmp_path: Path) -> None:
    processes = [_start(store, tmp_path, 1, 500) for _ in range(4)]
    for process in processes:
        process.communicate(timeout=300)
        assert process.returncode == 0

    with UsageTracker(store, spill_path=tmp_path) as tracker:
        assert tracker.summary(group_by="model").total_requests == 500
        assert len(list(tracker.attempts())) == 500


@pytest.mark.parametrize("ending", ["", "sys.exit(3)", "raise KeyError"])
def test_what_waits_is_written_when_the_process_ends(ending: str, tmp_path: Path) -> None:
    program = (
        "import sys; sys.path.insert(0, sys.argv[1]); from ledger_worker import *\n"
        "tracker = UsageTracker(sys.argv[2], flush_interval_s=1000)\n"
        f"for number in range(50): tracker.record(make_record(1, number))\n{ending}"
    )
    path = tmp_path / "usage.db"
    command = [sys.executable, "-W", "error", "-c", program, str(WORKER.parent), str(path)]
    ended = subprocess.run(command, check=False, capture_output=True, text=True)  # noqa: S603 - our own program

    assert ended.stderr.count("Error") == ("KeyError" in ending)
    with UsageTracker(path) as tracker:
        assert len(_run_ids(tracker)) == 50


def test_a_record_of_the_last_moment_is_written_too(tmp_path: Path) -> None:
    program = (
        "import sys, atexit; sys.path.insert(0, sys.argv[1]); from ledger_worker import *\n"
        "tracker = UsageTracker(sys.argv[2], flush_interval_s=1000)\n"
        "tracker.record(make_record(1, 0))\n"
        "import langchain_tamma_openai.usage.lifecycle as lifecycle\n"
        "atexit.unregister(lifecycle.finish_all)\n"
        "atexit.register(lambda: tracker.record(make_record(1, 1)))\n"
        "atexit.register(lifecycle.finish_all)\n"
    )
    path = tmp_path / "usage.db"
    command = [sys.executable, "-W", "error", "-c", program, str(WORKER.parent), str(path)]
    ended = subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603 - our own program

    assert ended.stderr == ""
    with UsageTracker(path) as tracker:
        assert len(_run_ids(tracker)) == 2


def _record_in_child(tracker: UsageTracker, number: int) -> None:
    tracker.record(make_record(2, number))


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_workers_of_multiprocessing_write_what_they_took(
    store: str, method: Any, tmp_path: Path
) -> None:
    context: Any = multiprocessing.get_context(method)
    with UsageTracker(store, flush_interval_s=1000, spill_path=tmp_path) as tracker:
        tracker.record(make_record(1, 0))
        children = [
            context.Process(target=_record_in_child, args=(tracker, number)) for number in range(3)
        ]
        for child in children:
            child.start()
        for child in children:
            child.join()
            assert child.exitcode == 0
        assert tracker.summary(group_by="user_id").group(user_id="user-2").total_requests == 3
        assert tracker.summary().total_requests == 4


def test_a_forked_child_leaves_what_waits_to_its_parent(store: str, tmp_path: Path) -> None:
    with UsageTracker(store, flush_interval_s=0.02, spill_path=tmp_path) as tracker:
        for number in range(40):
            tracker.record(make_record(1, number))
            if number % 10 == 5:
                child = os.fork()
                if child == 0:
                    status = 1
                    try:
                        assert tracker.pending == 0
                        tracker.record(make_record(2, number))
                        tracker.close()
                        status = 0
                    finally:
                        os._exit(status)
                assert os.waitpid(child, 0)[1] == 0
        summary = tracker.summary(group_by="user_id")
        assert summary.group(user_id="user-1").total_requests == 40
        assert summary.group(user_id="user-2").total_requests == 4
        assert summary.total_cost_usd == USD * Decimal(summary.total_tokens)
