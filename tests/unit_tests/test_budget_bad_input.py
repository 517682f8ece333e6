"""Mistakes are named where they are made, and passwords never."""

from __future__ import annotations

import sqlite3
import sys
from contextlib import closing
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from langchain_tamma_openai.errors import ConfigurationError, InvalidParameterError, StorageError
from langchain_tamma_openai.usage.budget import Budget


@pytest.mark.parametrize(
    ("settings", "field"),
    [
        ({}, "limit_usd"),
        ({"limit_usd": -1}, "limit_usd"),
        ({"limit_usd": True}, "limit_usd"),
        ({"limit_usd": float("nan")}, "limit_usd"),
        ({"limit_usd": Decimal("sNaN")}, "limit_usd"),
        ({"limit_usd": "inf"}, "limit_usd"),
        ({"limit_usd": "ten"}, "limit_usd"),
        ({"limit_usd": Decimal("1e400")}, "limit_usd"),
        ({"limit_usd": [1]}, "limit_usd"),
        ({"limit_tokens": -1}, "limit_tokens"),
        ({"limit_tokens": True}, "limit_tokens"),
        ({"limit_tokens": 1.5}, "limit_tokens"),
        ({"limit_tokens": 2**63}, "limit_tokens"),
        ({"limit_usd": 1, "limit_tokens": "day"}, "limit_tokens"),
        ({"limit_usd": 1, "window": "week"}, "window"),
        ({"limit_usd": 1, "window": 3600}, "window"),
        ({"limit_usd": 1, "window": timedelta(0)}, "window"),
        ({"limit_usd": 1, "window": timedelta(days=-1)}, "window"),
        ({"limit_usd": 1, "window": timedelta.max}, "window"),
        ({"limit_usd": 1, "scope": 7}, "scope"),
        ({"limit_usd": 1, "scope": ("user_id", "user_id")}, "scope"),
        ({"limit_usd": 1, "scope": ("user_id", "")}, "scope"),
        ({"limit_usd": 1, "scope": ("user_id", 1)}, "scope"),
        ({"limit_usd": 1, "on_exceeded": "rise"}, "on_exceeded"),
        ({"limit_usd": 1, "on_exceeded": None}, "on_exceeded"),
        ({"limit_usd": 1, "on_abandoned": "forget"}, "on_abandoned"),
        ({"limit_usd": 1, "on_unknown_price": "guess"}, "on_unknown_price"),
        ({"limit_usd": 1, "on_alert": "print"}, "on_alert"),
        ({"limit_usd": 1, "alert_thresholds": 0.5}, "alert_thresholds"),
        ({"limit_usd": 1, "alert_thresholds": "half"}, "alert_thresholds"),
        ({"limit_usd": 1, "alert_thresholds": [0]}, "alert_thresholds"),
        ({"limit_usd": 1, "alert_thresholds": [None]}, "alert_thresholds"),
        ({"limit_usd": 1, "alert_thresholds": [-0.5]}, "alert_thresholds"),
        ({"limit_usd": 1, "name": ""}, "name"),
        ({"limit_usd": 1, "wait_s": -1}, "wait_s"),
        ({"limit_usd": 1, "wait_s": False}, "wait_s"),
        ({"limit_usd": 1, "reservation_ttl_s": 0}, "reservation_ttl_s"),
        ({"limit_usd": 1, "store": 5}, "store"),
        ({"limit_usd": 1, "store": "budget.db"}, "store"),
        ({"limit_usd": 1, "store": "sqlite:///"}, "store"),
        ({"limit_usd": 1, "store": "sqlite:///:memory:"}, "store"),
        ({"limit_usd": 1, "store": "postgresql+psycopg://u:hunter2@h:port/db"}, "store"),
    ],
    ids=str,
)
def test_a_wrong_setting_is_named(settings: dict[str, object], field: str) -> None:
    with pytest.raises(ConfigurationError, match=f"^{field}: got") as caught:
        Budget(**settings)  # type: ignore[arg-type]  # wrong on purpose

    assert "hunter2" not in str(caught.value)


def test_an_unknown_scheme_is_named_without_its_password() -> None:
    with pytest.raises(ConfigurationError, match="sqlite:///file") as caught:
        Budget(1, store="mysql://root:hunter2@host/db")

    assert "hunter2" not in str(caught.value)
    assert "mysql://host/db" in str(caught.value)


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ((-1,), "upper_usd"),
        ((True,), "upper_usd"),
        (("x",), "upper_usd"),
        ((1, -1), "upper_tokens"),
        ((1, 1.0), "upper_tokens"),
        ((1, 1, ["user_id"]), "labels"),
    ],
)
def test_a_wrong_argument_is_named_and_nothing_is_reserved(
    arguments: tuple[object, ...], field: str
) -> None:
    budget = Budget(1)
    with pytest.raises(InvalidParameterError, match=f"^{field}: got"):
        budget.reserve(*arguments)  # type: ignore[arg-type]  # wrong on purpose
    with pytest.raises(InvalidParameterError, match="wait_s"):
        budget.reserve(1, wait_s=-1)

    assert budget.status().reserved_usd == 0


def test_a_wrong_settlement_is_named_and_can_be_corrected() -> None:
    budget = Budget(1)
    reservation = budget.reserve(1, 10)
    with pytest.raises(InvalidParameterError, match="cost_usd"):
        reservation.settle(-1)
    with pytest.raises(InvalidParameterError, match="tokens"):
        reservation.settle(1, -1)
    reservation.settle("0.5", 5)

    assert budget.status().spent_usd == Decimal("0.5")


def test_a_folder_that_does_not_exist_is_a_storage_error(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="unable to open database file"):
        Budget(1, store=f"sqlite:///{tmp_path / 'no' / 'budget.db'}")


def test_a_file_that_is_no_database_is_a_storage_error(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("This is not a database, and it is to stay as it is.\n" * 100)
    with pytest.raises(StorageError, match="not a database"):
        Budget(1, store=f"sqlite:///{path}")

    assert path.read_text().startswith("This is not a database")


def test_a_store_that_may_only_be_read_is_a_storage_error(tmp_path: Path) -> None:
    path = tmp_path / "budget.db"
    Budget(1, store=f"sqlite:///{path}").close()
    with pytest.raises(StorageError, match="readonly"):
        Budget(1, store=f"sqlite:///file:{path}?mode=ro&uri=true")


def test_a_store_of_a_later_version_is_a_storage_error(tmp_path: Path) -> None:
    path = tmp_path / "budget.db"
    Budget(1, store=f"sqlite:///{path}").close()
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE tamma_budget_schema SET version = 99")
    with pytest.raises(StorageError, match="schema 99"):
        Budget(1, store=f"sqlite:///{path}")


@pytest.mark.parametrize(
    ("module", "store", "extra"),
    [
        ("sqlalchemy", "sqlite:///budget.db", "sql"),
        ("psycopg", "postgresql+psycopg://u:hunter2@127.0.0.1/db", "postgres"),
    ],
)
def test_a_missing_package_is_named_with_its_extra(
    monkeypatch: pytest.MonkeyPatch, module: str, store: str, extra: str
) -> None:
    for name in list(sys.modules):
        if name.partition(".")[0] == module or name.endswith("usage.budget_sql"):
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, module, None)

    with pytest.raises(ConfigurationError, match=f"langchain-tamma-openai\\[{extra}\\]") as caught:
        Budget(1, store=store)
    assert "hunter2" not in str(caught.value)


def test_a_budget_without_limits_takes_those_of_the_store(tmp_path: Path) -> None:
    store = f"sqlite:///{tmp_path / 'budget.db'}"
    budget = Budget(1, store=store)
    budget.set_limit("2.5")
    budget.close()

    other = Budget(store=store)
    assert other.status().limit_usd == Decimal("2.5")
    other.close()
