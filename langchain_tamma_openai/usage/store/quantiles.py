"""Exact quantiles of times, read from a database in bounded memory.

PostgreSQL has `percentile_disc`. SQLite has nothing of the kind: it gives the times in order, and
the ranks are picked off as they come by.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from operator import itemgetter
from typing import Any, Self, TypeAlias

from sqlalchemy import ColumnElement, Connection, Select, func, literal_column, select

from langchain_tamma_openai.usage.filters import RecordFilter
from langchain_tamma_openai.usage.percentiles import QUANTILES, GroupKey, Quantiles, ranks
from langchain_tamma_openai.usage.report.figures import Times, TimeStep
from langchain_tamma_openai.usage.store.queries import (
    Condition,
    KeyColumn,
    Span,
    key_column,
    run_conditions,
    source_of,
)
from langchain_tamma_openai.usage.store.schema import LedgerTables

_SHARES: ColumnElement[Any] = literal_column(f"ARRAY[{', '.join(map(str, QUANTILES))}]")
_FETCHED_ROWS = 5000

Grouping: TypeAlias = Sequence[int]
"""Places of the names that make a key, among all that the query has."""


class QuantilesQuery:
    """Quantiles of one time of runs, by some of what they are told apart by."""

    def __init__(
        self, tables: LedgerTables, conditions: Sequence[Condition], names: dict[str, KeyColumn]
    ) -> None:
        """Prepare it.

        Args:
            tables: The tables.
            conditions: Which runs.
            names: What they are told apart by.
        """
        self._runs = tables.runs
        self._source = source_of(tables, list(names))
        self._has_percentiles = tables.has_decimals
        self._conditions = conditions
        self._columns = list(names.values())

    @classmethod
    def of(cls, tables: LedgerTables, wanted: RecordFilter, group_by: Sequence[str]) -> Self:
        """Prepare it for runs by names that one can group by.

        Args:
            tables: The tables.
            wanted: Which runs.
            group_by: Names among `GROUPS`.
        """
        columns = {name: key_column(tables, name) for name in group_by}
        return cls(tables, run_conditions(tables, wanted, Span.of(wanted)), columns)

    def read(
        self, connection: Connection, measure: str, groupings: Sequence[Grouping]
    ) -> list[dict[GroupKey, Quantiles]]:
        """Ask for the quantiles of one measure.

        Args:
            connection: In a transaction.
            measure: Column of the time, in microseconds.
            groupings: The keys to tell apart by, for each of which there is a result.
        """
        if self._has_percentiles:
            return [self._percentiles(connection, measure, grouping) for grouping in groupings]
        return self._picked(connection, measure, groupings)

    def _percentiles(
        self, connection: Connection, measure: str, grouping: Grouping
    ) -> dict[GroupKey, Quantiles]:
        columns = [self._columns[place] for place in grouping]
        values = func.percentile_disc(_SHARES).within_group(self._runs.c[measure])
        chosen = select(*(column.distinct for column in columns), func.count(), values)
        grouped = self._wanted(chosen, measure).group_by(*_places(1, len(columns)))
        return {
            _key(columns, raw): Quantiles(int(count), tuple(map(int, us)))
            for *raw, count, us in connection.execute(grouped)
            if count
        }

    def _picked(
        self, connection: Connection, measure: str, groupings: Sequence[Grouping]
    ) -> list[dict[GroupKey, Quantiles]]:
        values = [column.value for column in self._columns]
        pickers = [_Picker(self._columns, grouping) for grouping in groupings]
        counting = self._wanted(select(func.count(), *values), measure)
        for rows in _plain_rows(connection, counting.group_by(*_places(2, len(values)))):
            for row in rows:
                for picker in pickers:
                    picker.expect(row)
        time: ColumnElement[Any] = self._runs.c[measure]
        ordered = self._wanted(select(time, *values), measure).order_by(time)
        for rows in _plain_rows(connection, ordered):
            for picker in pickers:
                picker.see(rows)
        return [picker.found() for picker in pickers]

    def _wanted(self, chosen: Select[Any], measure: str) -> Select[Any]:
        known = (~self._runs.c.cache_hit, self._runs.c[measure].is_not(None))
        return chosen.select_from(self._source).where(*self._conditions, *known)


class TimesQuery:
    """Quantiles over all requests, by time and by model."""

    def __init__(
        self,
        tables: LedgerTables,
        conditions: Sequence[Condition],
        step: TimeStep,
        models: Sequence[str],
    ) -> None:
        """Prepare it.

        Args:
            tables: The tables.
            conditions: Which runs.
            step: What a point in time is.
            models: Those told apart.
        """
        columns = {step: key_column(tables, step), "model": key_column(tables, "model", models)}
        self._query = QuantilesQuery(tables, conditions, columns)

    def read(self, connection: Connection, measure: str) -> Times:
        """Ask for the quantiles of one measure.

        Args:
            connection: In a transaction.
            measure: One of `MEASURES`.
        """
        overall, times, models = self._query.read(connection, measure, ((), (0,), (1,)))
        by_model = sorted(models, key=lambda key: key[0] or "")
        return Times(
            overall.get(()),
            {str(key[0]): times[key] for key in sorted(times)},
            {key[0]: models[key] for key in by_model},
        )


def _places(first: int, number: int) -> list[ColumnElement[Any]]:
    """Name columns by their places: their expressions have parameters."""
    return [literal_column(str(place)) for place in range(first, first + number)]


def _key(columns: Sequence[KeyColumn], raw: Sequence[object]) -> GroupKey:
    return tuple(column.label(value) for column, value in zip(columns, raw, strict=True))


def _plain_rows(connection: Connection, chosen: Select[Any]) -> Iterator[Sequence[tuple[Any, ...]]]:
    """Give rows as the driver does: there may be millions, and nothing of theirs is to convert."""
    result = connection.execute(chosen)
    cursor = result.cursor
    while cursor is not None and (rows := cursor.fetchmany(_FETCHED_ROWS)):
        yield rows
    result.close()


class _Picker:
    """Picks the values at certain ranks out of rows that come in order, by one key."""

    def __init__(self, columns: Sequence[KeyColumn], grouping: Grouping) -> None:
        self._columns = [columns[place] for place in grouping]
        self._raw = itemgetter(*(place + 1 for place in grouping)) if grouping else None
        self._keys: dict[Hashable, GroupKey] = {}  # several days are one month
        self._counts: dict[GroupKey, int] = {}
        self._steps: dict[GroupKey, int] = {}
        self._values: dict[GroupKey, list[int]] = {}
        self._seen = 0

    def expect(self, row: Sequence[Any]) -> None:
        """Expect so many values, which stand first, of what follows."""
        if not (count := row[0]):
            return
        key: GroupKey = ()
        if self._raw is not None:
            raw = self._raw(row)
            key = _key(self._columns, raw if len(self._columns) > 1 else (raw,))
            self._keys[raw] = key
        self._counts[key] = self._counts.get(key, 0) + count
        self._values[key] = []
        self._steps[key] = ranks(self._counts[key])[0]

    def see(self, rows: Sequence[Sequence[Any]]) -> None:
        """Take rows in the order of the values, which stand first."""
        if self._raw is None:
            self._pass_by(rows)
            return
        steps, keys, raw_of = self._steps, self._keys, self._raw
        for row in rows:
            key = keys[raw_of(row)]
            step = steps[key] = steps[key] - 1
            if not step:
                self._pick(key, row[0])

    def _pass_by(self, rows: Sequence[Sequence[Any]]) -> None:
        """Take rows that are all of one key."""
        found = self._values[()]
        for rank in ranks(self._counts[()])[len(found) :]:
            if rank - self._seen > len(rows):
                break
            found.append(rows[rank - self._seen - 1][0])
        self._seen += len(rows)

    def found(self) -> dict[GroupKey, Quantiles]:
        """Give the quantiles."""
        return {
            key: Quantiles(count, tuple(self._values[key])) for key, count in self._counts.items()
        }

    def _pick(self, key: GroupKey, value: int) -> None:
        """Note the value for the rank that is reached, and for those that are the same."""
        found, all_ranks = self._values[key], ranks(self._counts[key])
        reached = all_ranks[len(found)]
        found += [value] * all_ranks.count(reached)
        if len(found) < len(all_ranks):
            self._steps[key] = all_ranks[len(found)] - reached
