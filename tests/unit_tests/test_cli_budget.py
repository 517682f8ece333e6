"""`tamma-openai budget`: look at the budgets of a store, and change limits of running programs."""

from __future__ import annotations

import json
import sqlite3
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from langchain_tamma_openai import Budget, BudgetExceededError, ConfigurationError
from langchain_tamma_openai.__main__ import main
from langchain_tamma_openai.usage.budget_listing import stored_budgets

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def store(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'budget.db'}"


def shown(capsys: Capture, store: str, *options: str) -> list[dict[str, Any]]:
    assert main(["budget", "show", "--store", store, "--json", *options]) == 0
    found: list[dict[str, Any]] = json.loads(capsys.readouterr().out)
    return found


def change(store: str, *options: str) -> int:
    return main(["budget", "set", "team", "--store", store, *options])


def team(store: str, limit_usd: str = "5") -> Budget:
    return Budget(limit_usd, window="day", scope="user_id", name="team", store=store)


def test_limits_spending_and_reservations_are_shown(store: str, capsys: Capture) -> None:
    budget = Budget("5.50", limit_tokens=1000, window="month", store=store)
    budget.reserve("1", 300).settle("0.123", 45)
    held = budget.reserve("2", 100)
    (found,) = shown(capsys, store)
    assert (found["name"], found["window"], found["scope"]) == ("default", "month", [])
    assert found["declared"] == {"limit_usd": "5.50", "limit_tokens": 1000}
    assert found["changed"] is None
    (line,) = found["lines"]
    assert {name: Decimal(line[name]) for name in line if name.endswith("_usd")} == {
        "limit_usd": Decimal("5.50"),
        "spent_usd": Decimal("0.123"),
        "reserved_usd": Decimal(2),
        "remaining_usd": Decimal("3.377"),
    }
    assert (line["spent_tokens"], line["reserved_tokens"], line["remaining_tokens"]) == (
        45,
        100,
        855,
    )
    status = budget.status()
    assert status.resets_at
    assert line["resets_at"] == status.resets_at.isoformat()
    held.release()


def test_a_table_has_a_line_for_everyone(store: str, capsys: Capture) -> None:
    budget = team(store)
    for user in ("ann", "bob"):
        budget.reserve("1", labels={"user_id": user}).settle("0.25")
    assert main(["budget", "show", "--store", store.removeprefix("sqlite:///")]) == 0
    _, common, *lines = capsys.readouterr().out.splitlines()
    assert common.split()[:6] == ["team", "day", "each", "user_id", "usd", "5"]
    assert [line.split()[2:6] for line in lines if " usd " in line] == [
        ["user_id=ann", "usd", "5", "0.25"],
        ["user_id=bob", "usd", "5", "0.25"],
    ]


def test_a_budget_that_spent_nothing_is_shown_too(store: str, capsys: Capture) -> None:
    Budget(3, window=timedelta(hours=1), store=store, name="hourly")
    (found,) = shown(capsys, store)
    assert (found["window"], found["lines"]) == ("3600s", [])
    assert main(["budget", "show", "--store", store]) == 0
    assert capsys.readouterr().out.splitlines()[1].split()[:5] == [
        "hourly",
        "3600s",
        "-",
        "usd",
        "3",
    ]


def test_looking_settles_nothing(store: str, capsys: Capture) -> None:
    budget = Budget(5, store=store, on_abandoned="free", reservation_ttl_s=0.001)
    budget.reserve("2").renew()
    (found,) = shown(capsys, store)
    (line,) = found["lines"]
    assert (line["spent_usd"], line["reserved_usd"]) == ("0", "2")


def test_a_running_program_obeys_the_new_limit(store: str, capsys: Capture) -> None:
    budget = team(store)
    assert change(store, "--limit-usd", "0.50") == 0
    assert capsys.readouterr().out.splitlines()[1].split()[5] == "0.50"
    with pytest.raises(BudgetExceededError) as refused:
        budget.reserve("1", labels={"user_id": "ann"}, wait_s=0)
    assert refused.value.limit == Decimal("0.50")
    assert change(store, "--clear") == 0
    budget.reserve("1", labels={"user_id": "ann"}).settle("1")


def test_one_user_gets_a_limit_of_their_own(store: str, capsys: Capture) -> None:
    budget = team(store)
    assert change(store, "--limit-usd", "50", "--limit-tokens", "9_000", "-l", "user_id=vip") == 0
    capsys.readouterr()
    assert budget.status(user_id="vip").limit_usd == 50
    assert budget.status(user_id="vip").limit_tokens == 9000
    assert budget.status(user_id="ann").limit_usd == 5
    (found,) = shown(capsys, store, "team")
    assert [line["scope"] for line in found["lines"]] == [{"user_id": "vip"}]
    assert change(store, "--limit-usd", "none", "-l", "user_id=vip") == 0
    assert budget.status(user_id="vip").limit_usd is None


def test_the_declared_limit_is_that_of_the_latest_program(store: str, capsys: Capture) -> None:
    team(store)
    team(store, "6")
    (found,) = shown(capsys, store)
    assert found["declared"]["limit_usd"] == "6"


def test_declared_limits_bind_nobody(store: str) -> None:
    first, _ = team(store, "1"), team(store, "6")
    assert first.status().limit_usd == 1
    with pytest.raises(ConfigurationError, match="limit_usd"):
        Budget(window="day", scope="user_id", name="team", store=store)


def test_a_budget_is_defined_before_its_program_runs(store: str, capsys: Capture) -> None:
    assert change(store, "--limit-usd", "2", "--window", "day", "--scope", "user_id") == 0
    budget = team(store)
    assert budget.status(user_id="ann").limit_usd == 2
    without_limits = Budget(window="day", scope="user_id", name="team", store=store)
    assert without_limits.status(user_id="ann").limit_usd == 2
    (found,) = shown(capsys, store) if capsys.readouterr() else ()
    assert found["changed"] == {"limit_usd": "2", "limit_tokens": None}


def test_budgets_of_one_name_are_told_apart(store: str, capsys: Capture) -> None:
    day, month = (Budget(1, window=window, store=store, name="team") for window in ("day", "month"))
    assert change(store, "--limit-usd", "2") == 1
    told = capsys.readouterr().err
    assert "team (day)" in told
    assert "team (month)" in told
    assert change(store, "--limit-usd", "2", "--window", "month") == 0
    assert [one.status().limit_usd for one in (day, month)] == [1, 2]


@pytest.mark.parametrize(
    ("options", "status", "text"),
    [
        ([], 2, "--limit-usd"),
        (["--clear", "--limit-usd", "1"], 2, "--clear"),
        (["--limit-usd", "much"], 2, "limit_usd: got 'much'"),
        (["--limit-usd", "-1"], 2, "limit_usd: got '-1'"),
        (["--limit-tokens", "1.5"], 2, "--limit-tokens: got '1.5'"),
        (["--limit-usd", "none"], 2, "when there is no other limit"),
        (["--limit-usd", "1", "-l", "user_id"], 2, "--label: got 'user_id'"),
        (["--limit-usd", "1", "-l", "team=x"], 2, "labels: got 'team'"),
        (["--limit-usd", "1", "--window", "soon"], 2, "--window: got 'soon'"),
    ],
)
def test_wrong_changes_are_refused_and_change_nothing(
    options: list[str], status: int, text: str, store: str, capsys: Capture
) -> None:
    budget = team(store)
    assert change(store, *options) == status
    assert text in capsys.readouterr().err
    assert budget.status().limit_usd == 5


def test_an_unknown_budget_names_the_known_ones(store: str, capsys: Capture) -> None:
    team(store)
    for words in (["show"], ["set", "--limit-usd", "1"]):
        assert main(["budget", *words[:1], "temm", *words[1:], "--store", store]) == 1
        assert "it holds team (day by user_id)" in capsys.readouterr().err


def test_a_database_without_budgets_is_left_alone(tmp_path: Path, capsys: Capture) -> None:
    path = tmp_path / "usage.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE other (id)")
    connection.close()
    assert main(["budget", "show", "--store", str(path)]) == 0
    assert "holds no budgets" in capsys.readouterr().err
    with stored_budgets(f"sqlite:///{path}") as budgets:
        assert budgets.all() == []
    with sqlite3.connect(path) as connection:
        tables = connection.execute("SELECT name FROM sqlite_master").fetchall()
    connection.close()
    assert tables == [("other",)]


def test_a_file_that_is_no_database_is_one_line(tmp_path: Path, capsys: Capture) -> None:
    path = tmp_path / "usage.db"
    path.write_text("this is no database, and long enough to be looked at " * 20)
    assert main(["budget", "show", "--store", str(path)]) == 1
    assert capsys.readouterr().err.startswith("error: StorageError: The budgets at sqlite:///")
