"""The commands that ask the ledger."""

from __future__ import annotations

import csv
import json
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from usage_records import usage_record

from langchain_tamma_openai import RunStatus, UsageTracker
from langchain_tamma_openai.__main__ import main

FIRST = datetime(2026, 3, 1, tzinfo=UTC)
MODELS = ("gpt-4o", "gpt-6-luna", "o4-mini")


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A ledger with 30 runs of 30 days, named by the environment."""
    path = tmp_path / "usage.db"
    with UsageTracker(path) as tracker:
        for number in range(30):
            tracker.record(
                usage_record(
                    number,
                    started_at=FIRST + timedelta(days=number),
                    model=MODELS[number % 3],
                    user_id=f"u-{number % 2}",
                    organization_id="acme",
                    tags=("even",) if number % 2 == 0 else (),
                    metadata={"team": "a=b" if number < 4 else "c", "floor": number % 3},
                    status=RunStatus.ERROR if number == 29 else RunStatus.OK,
                )
            )
    monkeypatch.setenv("TAMMA_OPENAI_STORE", f"sqlite:///{path}")
    return path


def _printed(capsys: pytest.CaptureFixture[str], *words: str, status: int = 0) -> str:
    assert main(["usage", *words]) == status
    captured = capsys.readouterr()
    return captured.out if status == 0 else captured.err


def _json(capsys: pytest.CaptureFixture[str], *words: str) -> Any:
    return json.loads(_printed(capsys, *words, "--json"))


pytestmark = pytest.mark.usefixtures("store")


def test_summary_says_what_the_tracker_says(
    store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = _json(capsys, "summary", "--by", "model,user_id")
    with UsageTracker(store) as tracker:
        expected = tracker.summary(group_by=("model", "user_id"))
    assert found["group_by"] == ["model", "user_id"]
    assert found["total"]["total_requests"] == expected.total_requests == 30
    assert Decimal(found["total"]["total_cost_usd"]) == expected.total_cost_usd
    assert [group["key"] for group in found["groups"]] == [dict(g.key) for g in expected.groups]
    assert [g["input_tokens"] for g in found["groups"]] == [
        group.input_tokens for group in expected.groups
    ]


def test_summary_is_a_table_with_a_total(capsys: pytest.CaptureFixture[str]) -> None:
    lines = _printed(capsys, "summary").splitlines()
    assert lines[0].split()[:2] == ["model", "requests"]
    assert [line.split()[:2] for line in lines[1:]] == [
        *([model, "10"] for model in MODELS),
        ["all", "30"],
    ]


def test_filters_and_times_restrict(capsys: pytest.CaptureFixture[str]) -> None:
    words = ("--start", "2026-03-11", "--end", "2026-03-21")
    assert _json(capsys, "summary", *words)["total"]["total_requests"] == 10
    narrow = (*words, "--user-id", "u-0", "--tag", "even", "--model", "gpt-4o")
    assert _json(capsys, "summary", *narrow)["total"]["total_requests"] == 2
    assert _json(capsys, "summary", "--status", "error")["total"]["total_requests"] == 1


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("team=a=b",), 4),
        (("floor=2",), 10),
        (("team=c", "floor=0"), 8),
        (("team=none",), 0),
        (("absent=1",), 0),
    ],
)
def test_metadata_restricts_every_command(
    words: tuple[str, ...], expected: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = [part for word in words for part in ("--metadata", word)]
    found = _json(capsys, "summary", "--by", "user_id", *options)
    assert found["total"]["total_requests"] == expected
    for command in (("records",), ("tail", "-n", "50")):
        lines = _printed(capsys, *command, "--json", *options).splitlines()
        assert len(lines) == expected
    target = str(tmp_path / "out.csv")
    assert _json(capsys, "export", target, *options)["records"] == expected


def test_groups_can_be_ordered_and_cut(capsys: pytest.CaptureFixture[str]) -> None:
    found = _json(capsys, "summary", "--by", "day", "--sort", "cost", "--top", "2")
    assert [group["key"]["day"] for group in found["groups"]] == ["2026-03-30", "2026-03-29"]


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("summary", "--by", "colour"), "--by: got 'colour', must be one or several of hour, day"),
        (("summary", "--sort", "x"), "--sort: got 'x', must be key, cost, tokens, requests"),
        (("records", "--start", "soon"), "--start: got 'soon', must be a date"),
        (("records", "--start", "2026-03-02", "--end", "2026-03-01"), "--end: got '2026-03-01'"),
        (("records", "--start", "0001-01-01T00:00:00+23:00"), "--start: got '0001-01-01T00"),
        (("tail", "--follow", "--interval", "inf"), "less than or equal to 86400"),
        (("records", "--status", "fine"), "--status: got 'fine', must be ok, error"),
        (("export", "--format", "xls"), "--format: got 'xls', must be csv, json, jsonl, parquet"),
        (("summary", "--store", "memory"), "--store: got 'memory'"),
        (("tail", "--metadata", "team"), "--metadata: got 'team', must be KEY=VALUE"),
    ],
)
def test_a_wrong_argument_is_named(
    words: tuple[str, ...], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert complaint in _printed(capsys, *words, status=2)


def test_without_a_ledger_it_says_how_to_name_one(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TAMMA_OPENAI_STORE")
    assert "TAMMA_OPENAI_STORE" in _printed(capsys, "summary", status=2)


def test_asking_makes_no_ledger(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    missing = tmp_path / "missing.db"
    assert "there is no such file" in _printed(capsys, "summary", "--store", str(missing), status=1)
    assert not missing.exists()


@pytest.mark.parametrize("command", ["summary", "records", "tail", "export", "report"])
@pytest.mark.parametrize("tables", ["", "CREATE TABLE cats (name TEXT)"])
def test_asking_puts_no_ledger_into_what_is_none(
    command: str, tables: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "cats.db"
    path.touch()
    with closing(sqlite3.connect(path)) as database:
        database.execute(tables)
    before = path.read_bytes()
    error = _printed(capsys, command, "--store", str(path), status=1)
    assert error == f"error: {path}: holds no ledger; name another with --store\n"
    assert path.read_bytes() == before


def test_records_are_json_lines_in_order(capsys: pytest.CaptureFixture[str]) -> None:
    lines = _printed(capsys, "records", "--json", "-n", "3").splitlines()
    assert [json.loads(line)["started_at"][:10] for line in lines] == [
        "2026-03-01",
        "2026-03-02",
        "2026-03-03",
    ]


def test_records_are_aligned_and_say_who(capsys: pytest.CaptureFixture[str]) -> None:
    head, first, *_, last = _printed(capsys, "records").splitlines()
    assert first.index("ok") == last.index("error") == head.index("status")
    assert first.endswith("acme/u-0 #even")


def test_records_show_their_attempts(capsys: pytest.CaptureFixture[str]) -> None:
    lines = _printed(capsys, "records", "--attempts", "-n", "2").splitlines()
    assert [line.strip().split()[0] for line in lines[2::2]] == ["attempt", "attempt"]


@pytest.mark.parametrize(("number", "expected"), [(0, 0), (2, 2), (100, 30)])
def test_tail_shows_the_last(
    number: int, expected: int, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = _printed(capsys, "tail", "--json", "-n", str(number)).splitlines()
    days = [json.loads(line)["started_at"][8:10] for line in lines]
    assert days == [f"{day:02}" for day in range(31 - expected, 31)]


@pytest.mark.parametrize("ending", ["csv", "json", "jsonl", "parquet"])
def test_export_writes_what_the_tracker_writes(
    ending: str, store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / f"out.{ending}"
    assert _json(capsys, "export", str(target), "--user-id", "u-1")["records"] == 15
    expected = tmp_path / "expected"
    with UsageTracker(store) as tracker:
        tracker.export(ending, expected, user_id="u-1")  # type: ignore[arg-type]  # one of the four
    assert target.read_bytes() == expected.read_bytes()


def test_export_goes_to_standard_output(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["usage", "export"]) == 0
    rows = list(csv.DictReader(capfd.readouterr().out.splitlines()))
    assert len(rows) == 30
    assert rows[0]["user_id"] == "u-0"


def test_export_says_what_it_wrote(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "out.csv"
    assert _printed(capsys, "export", str(target)) == f"30 records written to {target}\n"


def test_export_that_fails_leaves_the_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "error: " in _printed(capsys, "export", str(tmp_path / "no" / "x.csv"), status=1)


@pytest.mark.parametrize("command", ["export", "report"])
def test_the_ledger_is_never_written_over(
    command: str, store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = store.read_bytes()
    error = _printed(capsys, command, str(store), status=1)
    assert error == f"error: {store}: is the ledger itself; write to another file\n"
    assert store.read_bytes() == before


def test_export_to_standard_output_is_json_where_json_is_wanted(
    capfd: pytest.CaptureFixture[str],
) -> None:
    assert main(["usage", "export", "--json"]) == 0
    assert len(json.loads(capfd.readouterr().out)) == 30
