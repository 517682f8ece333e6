"""How records travel to the store, and what becomes of them when it refuses."""

from __future__ import annotations

import asyncio
import copy
import logging
import pickle
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from usage_records import NOON, usage_record

from langchain_tamma_openai.errors import (
    ConfigurationError,
    InvalidParameterError,
    StorageError,
)
from langchain_tamma_openai.pricing_cost import Cost
from langchain_tamma_openai.usage.record import UsageRecord
from langchain_tamma_openai.usage.tracker import UsageTracker
from langchain_tamma_openai.wire.usage import TokenUsage


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "usage.db"


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold the file as another program that writes does."""
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield


def _spills(path: Path) -> list[Path]:
    return sorted(path.parent.glob("usage.db.spill-*.jsonl"))


def _run_ids(tracker: UsageTracker) -> set[UUID]:
    return {record.run_id for record in tracker.records()}


def test_a_batched_record_is_in_the_file_soon(path: Path) -> None:
    with UsageTracker(path, flush_interval_s=0.01) as tracker:
        tracker.record(usage_record())
        with closing(sqlite3.connect(path)) as other:
            while not other.execute("SELECT count(*) FROM tamma_usage_runs").fetchone()[0]:
                time.sleep(0.01)
        while tracker.pending:
            time.sleep(0.001)


def test_a_sync_record_is_in_the_file_at_once(path: Path) -> None:
    with UsageTracker(path, "sync", flush_interval_s=1000) as tracker:
        tracker.record(usage_record())
        assert tracker.pending == 0
        with closing(sqlite3.connect(path)) as other:
            assert other.execute("SELECT count(*) FROM tamma_usage_runs").fetchone() == (1,)


def test_close_writes_what_waits(path: Path) -> None:
    with UsageTracker(path, flush_interval_s=1000) as tracker:
        for number in range(1200):
            tracker.record(usage_record(number))
    tracker.close()

    with UsageTracker(path) as again:
        assert again.summary().total_requests == 1200
    with pytest.raises(StorageError, match="closed"):
        tracker.record(usage_record())
    assert tracker.summary().total_requests == 1200


def test_a_run_is_kept_once_whoever_records_it(path: Path) -> None:
    with UsageTracker(path) as first, UsageTracker(path, "sync") as second:
        for tracker in (first, second, first):
            tracker.record(usage_record(user_id="ann"))
        assert first.summary().total_requests == second.summary().total_requests == 1
        assert len(list(first.attempts())) == 1


def test_what_a_locked_file_refuses_is_taken_in_at_the_next_start(path: Path) -> None:
    with UsageTracker(path, busy_timeout_s=0.05) as tracker:
        tracker.record(usage_record(1))
        tracker.flush()
    late = UsageTracker(path, busy_timeout_s=0.05)
    with _locked(path):
        late.record(usage_record(2, tags=("a",), metadata={"k": "ü"}))
        late.flush()
        assert len(_spills(path)) == 1
        late.close()
    assert len(_spills(path)) == 1

    with UsageTracker(path) as again:
        assert _spills(path) == []
        assert list(again.records(tags="a")) == [usage_record(2, tags=("a",), metadata={"k": "ü"})]


def test_a_running_tracker_takes_its_spill_in_when_the_store_works_again(path: Path) -> None:
    with UsageTracker(path, "sync", busy_timeout_s=0.05) as tracker:
        with _locked(path):
            tracker.record(usage_record(1))
        assert _spills(path)
        number = 2
        while _spills(path):
            tracker.record(usage_record(number))
            number += 1
            time.sleep(0.01)
        assert len(_run_ids(tracker)) == number - 1


def test_two_trackers_that_take_in_one_file_store_each_run_once(path: Path) -> None:
    tracker = UsageTracker(path, "sync", busy_timeout_s=0.05)
    with _locked(path):
        for number in range(20):
            tracker.record(usage_record(number))
        tracker.close()
    kept = b"".join(spill.read_bytes() for spill in _spills(path))
    assert kept.count(b"\n") == 20
    for number in range(3):
        (path.parent / f"usage.db.spill-1-{number}.jsonl").write_bytes(kept)
    threads = [threading.Thread(target=lambda: UsageTracker(path).close()) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    with UsageTracker(path) as again:
        assert again.summary().total_requests == 20
    assert _spills(path) == []


def test_a_torn_last_line_is_left_out_and_a_broken_one_is_put_aside(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    tracker = UsageTracker(path, "sync", busy_timeout_s=0.05)
    with _locked(path):
        tracker.record(usage_record(1))
        tracker.record(usage_record(2))
        tracker.close()
    [spill] = _spills(path)
    first, second = spill.read_bytes().splitlines(keepends=True)
    spill.write_bytes(first + b'{"run_id": "nobody"}\n' + second[:40])

    with caplog.at_level(logging.WARNING), UsageTracker(path) as again:
        assert _run_ids(again) == {usage_record(1).run_id}
    assert "torn" in caplog.text
    rejected = path.parent / "usage.db.rejected.jsonl"
    assert rejected.read_bytes() == b'{"run_id": "nobody"}\n'
    assert _spills(path) == []


def test_spill_files_go_where_they_are_told(path: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "spill" / "deep"
    options: dict[str, Any] = {"busy_timeout_s": 0.05, "spill_path": elsewhere}
    tracker = UsageTracker(path, "sync", **options)
    with _locked(path):
        tracker.record(usage_record())
        assert len(list(elsewhere.iterdir())) == 1
        tracker.close()
    assert _spills(path) == []

    with UsageTracker(path, spill_path=str(elsewhere)) as again:
        assert again.summary().total_requests == 1


def test_a_full_queue_in_an_event_loop_spills_and_loses_nothing(path: Path) -> None:
    async def record_many(tracker: UsageTracker) -> None:
        for number in range(300):
            await tracker.arecord(usage_record(number))

    with UsageTracker(path, max_pending=10, flush_interval_s=1000) as tracker:
        asyncio.run(record_many(tracker))
        assert _spills(path)
    with UsageTracker(path) as again:
        assert again.summary().total_requests == 300


def test_a_thread_waits_for_room_in_a_full_queue(path: Path) -> None:
    with UsageTracker(path, max_pending=10, flush_interval_s=0.01) as tracker:
        for number in range(300):
            tracker.record(usage_record(number))
        assert _spills(path) == []
        assert tracker.summary().total_requests == 300


def test_when_neither_store_nor_spill_take_a_record_the_caller_hears_of_it(
    path: Path, tmp_path: Path
) -> None:
    with UsageTracker(path, "sync", busy_timeout_s=0.05, spill_path=tmp_path / "no") as tracker:
        (tmp_path / "no").write_text("a file where a directory should be")
        with _locked(path):
            with pytest.raises(StorageError, match="spill"):
                tracker.record(usage_record(1))
            assert tracker.pending == 1
        (tmp_path / "no").unlink()
        tracker.record(usage_record(2))
        while tracker.pending:
            with suppress(StorageError):
                tracker.flush()
    with UsageTracker(path, spill_path=tmp_path / "no") as again:
        assert len(_run_ids(again)) == 2


def test_threads_record_at_once(path: Path) -> None:
    def work(first: int) -> None:
        for number in range(first, first + 250):
            tracker.record(usage_record(number))

    with UsageTracker(path, flush_interval_s=0.01) as tracker:
        threads = [threading.Thread(target=work, args=(first,)) for first in range(0, 2000, 250)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        expected = sum((Decimal(110 + n) for n in range(2000)), Decimal(0))
        assert tracker.summary().total_tokens == expected
        assert tracker.summary().total_requests == 2000


async def test_the_event_loop_goes_on_while_the_store_is_locked(path: Path) -> None:
    async with UsageTracker(path, busy_timeout_s=0.5, flush_interval_s=0.001) as tracker:
        ticks = 0

        async def tick() -> None:
            nonlocal ticks
            while True:
                await asyncio.sleep(0)
                ticks += 1

        ticking = asyncio.create_task(tick())
        with _locked(path):
            for number in range(50):
                await tracker.arecord(usage_record(number))
            await tracker.aflush()
        ticking.cancel()
        assert ticks > 100


@pytest.mark.parametrize("durability", ["batched", "sync"])
async def test_async_twins_answer_the_same(path: Path, durability: Any) -> None:
    async with UsageTracker(path, durability) as tracker:
        await asyncio.gather(*(tracker.arecord(usage_record(number)) for number in range(30)))
        records = [record async for record in tracker.arecords(start=NOON)]
        attempts = [attempt async for attempt in tracker.aattempts()]

        assert records == list(tracker.records())
        assert attempts == list(tracker.attempts())
        assert await tracker.asummary(group_by="day") == tracker.summary(group_by="day")
        assert await tracker.aclear(NOON.replace(year=2027)) == 30


def test_memory_keeps_the_last_runs_and_says_so_once() -> None:
    with UsageTracker("memory", max_records=3) as tracker:
        for number in range(3):
            tracker.record(usage_record(number))
        with pytest.warns(UserWarning, match="keeps the last 3 runs"):
            tracker.record(usage_record(3))
        tracker.record(usage_record(4))
        assert tracker.dropped_records == 2
        assert list(tracker.records()) == [usage_record(number) for number in (2, 3, 4)]


def test_a_copy_is_the_same_ledger_and_a_pickle_opens_it_again(path: Path) -> None:
    with UsageTracker(path, "sync") as tracker:
        assert copy.deepcopy(tracker) is copy.copy(tracker) is tracker
        with pickle.loads(pickle.dumps(tracker)) as again:  # noqa: S301 - our own
            again.record(usage_record())
        assert again.durability == "sync"
        assert tracker.summary().total_requests == 1


def test_a_tracker_that_nobody_keeps_writes_what_it_took(path: Path) -> None:
    UsageTracker(path, flush_interval_s=0.01).record(usage_record())
    with UsageTracker(path) as other:
        while not other.summary().total_requests:
            time.sleep(0.01)


@pytest.mark.parametrize(
    "record",
    [
        "a run",
        usage_record(run_id="x", attempt_records=()),
        usage_record(model=5),
        usage_record(latency_s=float("nan")),
        usage_record(latency_s="1"),
        usage_record(time_to_first_token_s=float("inf")),
        usage_record(attempts=-1),
        usage_record(tokens=TokenUsage(input_tokens=2**63)),
        usage_record(cost=Cost(Decimal("NaN"), Decimal(1), Decimal(1))),
        usage_record(cost=Cost(Decimal("1E-5000"), Decimal(1), Decimal(1))),
        usage_record(run_id=UUID(int=5)),
        usage_record(tags=(1,)),
        usage_record(status="fine"),
    ],
)
@pytest.mark.parametrize("store", ["memory", "file"])
def test_what_no_store_could_keep_is_refused(record: UsageRecord, store: str, path: Path) -> None:
    with UsageTracker("memory" if store == "memory" else path) as tracker:
        with pytest.raises(InvalidParameterError, match="must be"):
            tracker.record(record)
        assert tracker.summary().total_runs == 0


def test_odd_texts_are_made_storable(path: Path) -> None:
    with UsageTracker(path) as tracker:
        tracker.record(
            usage_record(user_id="a\x00\ud800", tags=("\x00",), metadata={"\x00": "\x00"})
        )
        [record] = tracker.records(user_id="a\x00\ud800", tags=["\x00"])
        assert (record.user_id, record.tags) == ("a\ufffd\ufffd", ("\ufffd",))


def test_a_secret_is_not_in_the_repr() -> None:
    with UsageTracker() as tracker:
        assert repr(tracker) == "UsageTracker(store='memory', durability='batched')"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"store": "mysql://u:hunter2@host/db"}, "store: got 'mysql://host/db', must be"),
        ({"store": "postgres"}, "must be"),
        ({"store": 5}, "must be"),
        ({"store": "sqlite://"}, "three slashes"),
        ({"store": "sqlite:///:memory:"}, "pass 'memory'"),
        ({"store": "sqlite:///"}, "must name a file"),
        ({"store": "sqlite:////no/such/place/usage.db"}, "does not exist"),
        ({"store": "sqlite:////tmp"}, "is a directory"),
        ({"store": "postgresql+psycopg://u:hunter2@h:port/d"}, "cannot be read"),
        ({"durability": "eventually"}, "durability: got 'eventually', must be one of"),
        ({"flush_interval_s": -1}, "flush_interval_s"),
        ({"flush_interval_s": 0}, "flush_interval_s"),
        ({"busy_timeout_s": float("nan")}, "busy_timeout_s"),
        ({"max_pending": 0}, "max_pending"),
        ({"max_records": -5}, "max_records"),
        ({"store": "sqlite:////tmp/u.db", "spill_path": 5}, "spill_path"),
        ({"store": "sqlite:////tmp/u.db", "spill_path": "/dev/null"}, "spill_path"),
    ],
)
def test_wrong_arguments_are_named(arguments: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigurationError, match=words) as caught:
        UsageTracker(**arguments)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("store", "package", "extra"),
    [
        ("sqlite:///usage.db", "sqlalchemy", "sql"),
        ("postgresql://root@127.0.0.1/test", "sqlalchemy", "postgres"),
        ("postgresql://root@127.0.0.1/test", "psycopg", "postgres"),
    ],
)
def test_a_missing_package_is_one_line_that_names_the_extra(
    store: str, package: str, extra: str, tmp_path: Path
) -> None:
    program = (
        "import sys; from langchain_tamma_openai.usage.tracker import UsageTracker\n"
        "assert 'sqlalchemy' not in sys.modules; UsageTracker('memory').close()\n"
        f"assert 'sqlalchemy' not in sys.modules; sys.modules[{package!r}] = None\n"
        f"try: UsageTracker({store!r})\n"
        "except Exception as exc: print(type(exc).__name__, exc)"
    )
    command = [sys.executable, "-c", program]
    ended = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=True)  # noqa: S603 - our own program

    assert ended.stdout.startswith("ConfigurationError store: ")
    assert f"pip install 'langchain-tamma-openai[{extra}]'" in ended.stdout


def test_a_file_of_another_kind_is_refused(path: Path) -> None:
    path.write_bytes(b"not a database, but long enough to be looked at" * 50)
    with pytest.raises(StorageError, match="not a database"):
        UsageTracker(path)


def test_paths_may_be_relative_and_stay_where_they_were(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with UsageTracker("sqlite:///here.db") as tracker:
        monkeypatch.chdir("/")
        tracker.record(usage_record())
        assert tracker.summary().total_requests == 1
    with UsageTracker(str(tmp_path / "here.db")) as again:
        assert again.summary().total_requests == 1


def test_replaced_fields_change_nothing_of_a_known_run(path: Path) -> None:
    with UsageTracker(path, "sync") as tracker:
        tracker.record(usage_record())
        tracker.record(replace(usage_record(), user_id="late"))
        assert list(tracker.records()) == [usage_record()]
