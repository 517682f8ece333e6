"""`tamma-openai budget` on PostgreSQL."""

from __future__ import annotations

import json

import postgres_places
import pytest

from langchain_tamma_openai import Budget
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


def test_a_database_that_is_not_there_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    url = "postgresql+psycopg://user:secret-word@127.0.0.1:9/test"
    assert main(["budget", "show", "--store", url]) == 1
    told = capsys.readouterr().err
    assert told.startswith("error: StorageError: The budgets at postgresql+psycopg://")
    assert "secret-word" not in told
    assert told.count("\n") == 1
