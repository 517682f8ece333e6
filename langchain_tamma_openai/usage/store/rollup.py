"""Hourly sums in SQLite, kept by triggers in the transaction that inserts or deletes a run.

They answer most summaries without reading the runs. PostgreSQL is fast enough without, and rows
that every writer changes would make its writers wait for each other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from langchain_tamma_openai.usage.store.measures import ODD, amount_measures, count_measures

if TYPE_CHECKING:
    from sqlalchemy import Connection

PREFIX = "tamma_usage_"
HOURLY = f"{PREFIX}hourly"
ROLLUP_FIELDS = ("model", "requested_model", "status", "provider", "api", "service_tier")
"""What hourly sums are kept by."""
HOUR_US = 3600 * 10**6
ERA_US = 62_135_596_800 * 10**6
"""From the year 1 to 1970, in whole hours: added so that division rounds down for all times."""


def create_hourly_sums(connection: Connection) -> None:
    """Make the table and its triggers, and fill it from the runs there are; nothing elsewhere.

    Args:
        connection: In a transaction that may write.
    """
    if connection.dialect.name == "sqlite":
        for statement in _statements():
            connection.exec_driver_sql(statement)


def _statements() -> list[str]:
    runs = f"{PREFIX}runs"
    sums = [*count_measures(""), *amount_measures("", split=True)]
    keys = ["hour", *ROLLUP_FIELDS]
    declared = ", ".join([*keys, *(f"{name} INTEGER NOT NULL" for name in sums)])
    return [
        f"CREATE TABLE {HOURLY} ({declared}, PRIMARY KEY ({', '.join(keys)})) WITHOUT ROWID",
        _backfill(runs, keys, sums),
        f"CREATE TRIGGER {HOURLY}_add AFTER INSERT ON {runs} BEGIN {_add(keys, sums)}; END",
        f"CREATE TRIGGER {HOURLY}_take AFTER DELETE ON {runs} BEGIN {_take(keys, sums)}; END",
        f"CREATE INDEX {runs}_odd ON {runs} (started_us) WHERE {ODD}",
    ]


def _backfill(runs: str, keys: list[str], sums: list[str]) -> str:
    values = _values(runs)
    chosen = [values[name] for name in keys] + [f"SUM({values[name]})" for name in sums]
    groups = ", ".join(str(number) for number in range(1, len(keys) + 1))
    values_of_groups = f"SELECT {', '.join(chosen)} FROM {runs} GROUP BY {groups}"  # noqa: S608 - names of our own
    return f"{_insert(keys, sums)} {values_of_groups}"


def _add(keys: list[str], sums: list[str]) -> str:
    values = _values("NEW")
    listed = ", ".join(values[name] for name in [*keys, *sums])
    added = ", ".join(f"{name} = {name} + excluded.{name}" for name in sums)
    return f"{_insert(keys, sums)} VALUES ({listed}) ON CONFLICT DO UPDATE SET {added}"


def _take(keys: list[str], sums: list[str]) -> str:
    values = _values("OLD")
    same = " AND ".join(f"{name} = {values[name]}" for name in keys)
    taken = ", ".join(f"{name} = {name} - {values[name]}" for name in sums)
    return (
        f"UPDATE {HOURLY} SET {taken} WHERE {same}; "  # noqa: S608 - names of our own
        f"DELETE FROM {HOURLY} WHERE {same} AND total_requests = 0 AND cache_hits = 0"
    )


def _insert(keys: list[str], sums: list[str]) -> str:
    return f"INSERT INTO {HOURLY} ({', '.join([*keys, *sums])})"


def _values(row: str) -> dict[str, str]:
    """Give what a run adds to the sums of its hour.

    The columns of the key have no type, and a 0 in them stands for NULL: NULLs would never be
    found equal, and no text equals a number.
    """
    hour = f"({row}.started_us + {ERA_US}) / {HOUR_US}"
    keys = {name: f"ifnull({row}.{name}, 0)" for name in ROLLUP_FIELDS}
    return {"hour": hour, **keys, **count_measures(row), **amount_measures(row, split=True)}
