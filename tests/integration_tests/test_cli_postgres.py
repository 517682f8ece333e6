"""`tamma-openai budget` and `usage` on PostgreSQL."""

from __future__ import annotations

import json

import postgres_places
import pytest
import sqlalchemy as sa

from langchain_tamma_openai import Budget, UsageTracker
from langchain_tamma_openai.__main__ import main


def test_limits_are_shown_and_changed_there_too(capsys: pytest.CaptureFixture[str]) -> None:
    with postgres_places.schema() as url:
        assert main(["budget", "show", "--store", url]) == 0
        assert "holds no budgets" in capsys.readouterr().err
        budget = Budget("5", window="day", scope="user_id", store=url)
        budget.reserve("1", labels={"user_id": "ann"}).settle("0.25")
        words = ["budget", "set", "default", "--store", url, "--limit-usd", "7", "--json"]
        assert main(words) == 0
        found = json.loads(capsys.readouterr().out)
        assert found["declared"]["limit_usd"] == "5"
        (line,) = found["lines"]
        assert (line["limit_usd"], line["spent_usd"]) == ("7", "0.25")
        assert budget.status(user_id="ann").limit_usd == 7
        budget.close()


def _tables(url: str) -> list[str]:
    engine = sa.create_engine(url)
    try:
        return sa.inspect(engine).get_table_names()
    finally:
        engine.dispose()


@pytest.mark.parametrize(
    "command",
    [
        ["usage", "summary"],
        ["usage", "report", "-o", "-"],
        ["doctor", "--base-url", "http://127.0.0.1:9/v1", "--timeout", "0.5"],
    ],
)
def test_asking_puts_no_ledger_into_a_database_that_has_none(
    command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with postgres_places.schema() as url:
        main([*command, "--store", url])
        told = capsys.readouterr()
        assert "holds no ledger" in told.out + told.err
        assert _tables(url) == []


def test_a_ledger_that_is_there_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    with postgres_places.schema() as url:
        UsageTracker(url).close()
        assert main(["usage", "summary", "--store", url]) == 0
        assert "0" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("command", "told"),
    [
        (["budget", "show"], "error: StorageError: The budgets at postgresql+psycopg://"),
        (["usage", "summary"], "error: StorageError"),
    ],
)
def test_a_database_that_is_not_there_is_one_line(
    command: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    url = "postgresql+psycopg://user:secret-word@127.0.0.1:9/test"
    assert main([*command, "--store", url]) == 1
    said = capsys.readouterr().err
    assert said.startswith(told)
    assert "secret-word" not in said
    assert said.count("\n") == 1
