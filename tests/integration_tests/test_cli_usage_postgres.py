"""`tamma-openai usage` on PostgreSQL."""

from __future__ import annotations

import postgres_places
import pytest
import sqlalchemy as sa

from langchain_tamma_openai import UsageTracker
from langchain_tamma_openai.__main__ import main


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


def test_a_database_that_is_not_there_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    url = "postgresql+psycopg://user:secret-word@127.0.0.1:9/test"
    assert main(["usage", "summary", "--store", url]) == 1
    told = capsys.readouterr().err
    assert told.startswith("error: StorageError")
    assert "secret-word" not in told
    assert told.count("\n") == 1
