"""Tables of earlier and later versions."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from usage_folding import check_answers
from usage_records import usage_record

from langchain_tamma_openai.errors import StorageError
from langchain_tamma_openai.usage.tracker import UsageTracker

_VERSION_1 = Path(__file__).parent / "usage_version_1.sql"


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """Give a file as the first version of the tables left it, with five runs."""
    path = tmp_path / "usage.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(_VERSION_1.read_text(encoding="utf-8"))
    return path


def _version(path: Path) -> int:
    with closing(sqlite3.connect(path)) as connection:
        [(version,)] = connection.execute("SELECT version FROM tamma_usage_schema_version")
        return int(version)


def test_an_old_file_is_brought_up_to_date_and_keeps_its_runs(old: Path) -> None:
    with UsageTracker(old, "sync") as tracker:
        assert _version(old) == 2
        records = [usage_record(number, tags=("a",)) for number in range(5)]
        check_answers(tracker, records, ("day", "model"))
        tracker.record(usage_record(3))
        tracker.record(usage_record(9))
        check_answers(tracker, [*records, usage_record(9)], ("hour", "model"))
        tracker.clear(usage_record(2).started_at)
        check_answers(tracker, [*records[2:], usage_record(9)], ("month",))


def test_processes_that_start_together_bring_it_up_to_date_once(old: Path) -> None:
    program = (
        "import sys; from langchain_tamma_openai.usage.tracker import UsageTracker\n"
        "print(UsageTracker(sys.argv[1]).summary().total_requests)"
    )
    command = [sys.executable, "-W", "error", "-c", program, str(old)]
    processes = [
        subprocess.Popen(command, stdout=subprocess.PIPE, text=True)  # noqa: S603 - our own program
        for _ in range(4)
    ]
    assert [process.communicate(timeout=120)[0] for process in processes] == ["5\n"] * 4
    assert _version(old) == 2


def test_a_later_version_is_refused_and_left_alone(old: Path) -> None:
    with closing(sqlite3.connect(old)) as connection:
        connection.execute("UPDATE tamma_usage_schema_version SET version = 99")
        connection.commit()
    with pytest.raises(StorageError, match=r"schema version 99.*knows up to 2: upgrade"):
        UsageTracker(old)
    assert _version(old) == 99


def test_hourly_sums_follow_what_is_done_by_hand(tmp_path: Path) -> None:
    path = tmp_path / "usage.db"
    with UsageTracker(path, "sync") as tracker:
        for number in range(5):
            tracker.record(usage_record(number))
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("DELETE FROM tamma_usage_runs WHERE seq > 2")
            connection.commit()
        check_answers(tracker, [usage_record(number) for number in range(2)], ("model",))


def test_an_aborted_write_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "usage.db"
    with UsageTracker(path, "sync") as tracker:
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("ALTER TABLE tamma_usage_attempts RENAME TO away")
            connection.commit()
        tracker.record(usage_record())
        with closing(sqlite3.connect(path)) as connection:
            runs = connection.execute("SELECT count(*) FROM tamma_usage_runs").fetchone()
            assert runs == (0,)
            connection.execute("ALTER TABLE away RENAME TO tamma_usage_attempts")
            connection.commit()
    with UsageTracker(path) as again:
        check_answers(again, [usage_record()], ("model",))
