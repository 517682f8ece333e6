"""A process with a real model and a ledger is killed at some moment: what the ledger then holds.

`TEST_CRASH_CALLS` makes the calls more than the few of every day.
"""

from __future__ import annotations

import os
import random
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from uuid import UUID

import pytest
import sqlalchemy as sa
from accounting import Accountant
from loopback import LoopbackServer
from postgres_places import database

from langchain_tamma_openai.usage.record import RunStatus
from langchain_tamma_openai.usage.tracker import UsageTracker

WORKER = Path(__file__).parent / "crash_worker.py"
CALLS = int(os.environ.get("TEST_CRASH_CALLS", "300"))
FLUSH_S, WRITE_S = 0.2, 0.8
"""The documented window of "batched": the flush interval and the time of one write."""


@pytest.fixture(params=["sqlite", "postgresql"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    with database(request.param, tmp_path) as url:
        yield url


class Victim:
    """The process, and what it said."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        self.lines: list[bytes] = []
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self.lines.append(line)

    def has_made(self, calls: int) -> bool:
        """Wait until it has made that many calls."""
        end_s = time.monotonic() + 60 + calls / 20
        while len(self.lines) < calls and time.monotonic() < end_s:
            time.sleep(0.002)
        return len(self.lines) >= calls

    def kill(self) -> dict[UUID, float]:
        """Kill it; return the runs that had returned, with the time of each."""
        self._process.kill()
        self._process.wait()
        self._reader.join()
        pairs = [line.split() for line in self.lines if line.endswith(b"\n")]
        return {UUID(run_id.decode()): float(at_s) for run_id, at_s in pairs}


@contextmanager
def victim(store: str, durability: str, url: str, spill: Path) -> Iterator[Victim]:
    command = [sys.executable, str(WORKER), store, durability, url, str(100_000)]
    root = WORKER.parent.parent.parent
    environment = {**os.environ, "XDG_STATE_HOME": str(spill), "PYTHONPATH": str(root)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as process:  # noqa: S603 - our own script
        made = Victim(process)
        try:
            yield made
        finally:
            made.kill()


def check_integrity(store: str) -> None:
    if store.startswith("sqlite"):
        with closing(sqlite3.connect(store.removeprefix("sqlite:///"))) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def recorded(store: str) -> list[UUID]:
    """Open the ledger as the next start does, and read it."""
    with UsageTracker(store) as tracker:
        records = list(tracker.records())
        assert tracker.summary().total_requests == len(records)
    assert {record.status for record in records} <= {RunStatus.OK, RunStatus.CANCELLED}
    assert all(record.attempts == 1 and record.tokens is not None for record in records)
    return [record.run_id for record in records]


@pytest.mark.parametrize("durability", ["sync", "batched"])
def test_a_killed_process_loses_nothing_that_its_durability_promised(
    store: str, durability: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    goal = random.randint(CALLS // 2, CALLS)  # noqa: S311 - no secret
    with (
        LoopbackServer(Accountant()) as server,
        victim(store, durability, server.url, tmp_path) as process,
    ):
        assert process.has_made(goal)
        killed_s = time.time()
        returned = process.kill()

    check_integrity(store)
    found = recorded(store)
    assert len(set(found)) == len(found)
    missing = returned.keys() - set(found)
    if durability == "sync":
        assert not missing
    assert all(returned[run_id] >= killed_s - FLUSH_S - WRITE_S for run_id in missing)
    assert len(returned) >= goal


@contextmanager
def out_of_order(store: str) -> Iterator[None]:
    """Let the store refuse every write for a while."""
    if store.startswith("sqlite"):
        with closing(sqlite3.connect(store.removeprefix("sqlite:///"), timeout=30)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            yield
            connection.rollback()
        return
    name = str(sa.make_url(store).query["options"]).partition("search_path=")[2]
    engine = sa.create_engine(sa.make_url(store).difference_update_query(["options"]))

    def rename(old: str, new: str) -> None:
        with engine.begin() as connection:
            connection.execute(sa.text(f'ALTER SCHEMA "{old}" RENAME TO "{new}"'))

    rename(name, f"{name}_away")
    try:
        yield
    finally:
        rename(f"{name}_away", name)
        engine.dispose()


def test_what_a_killed_process_had_spilled_is_taken_in_at_the_next_start(
    store: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    with (
        LoopbackServer(Accountant()) as server,
        victim(store, "sync", server.url, tmp_path) as process,
    ):
        assert process.has_made(20)
        with out_of_order(store):
            assert process.has_made(len(process.lines) + 60)
            returned = process.kill()
            spilled = list(tmp_path.rglob("*spill*"))

    assert spilled
    found = recorded(store)
    assert returned.keys() <= set(found)
    assert len(set(found)) == len(found)
    assert not [path for path in tmp_path.rglob("*spill*") if path.is_file()]
