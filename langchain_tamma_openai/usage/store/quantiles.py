"""Exact quantiles of latencies, read from a database in bounded memory.

PostgreSQL has `percentile_disc`. SQLite has nothing of the kind: it gives the times in order, and
the ranks are picked off as they come by.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, func, literal, literal_column, select

from langchain_tamma_openai.usage.report.figures import QUANTILES, Quantiles, Times, TimeStep, ranks
from langchain_tamma_openai.usage.store.queries import (
    Condition,
    fold,
    month_or_time,
    time_column,
    time_text,
    unfold,
)
from langchain_tamma_openai.usage.store.schema import LedgerTables

_FIRST: ColumnElement[Any] = literal_column("1")
_SECOND: ColumnElement[Any] = literal_column("2")
_SHARES: ColumnElement[Any] = literal_column(f"ARRAY[{', '.join(map(str, QUANTILES))}]")
_FETCHED_ROWS = 5000


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
        self._runs = tables.runs
        self._has_percentiles = tables.has_decimals
        self._conditions = conditions
        self._step = step
        self._models = models
        self._time = time_column(tables, step)
        self._model = fold(tables.runs.c.model, models)

    def read(self, connection: Connection, measure: str) -> Times:
        """Ask for the quantiles of one measure.

        Args:
            connection: In a transaction.
            measure: One of `MEASURES`.
        """
        if self._has_percentiles:
            found = [
                {key: Quantiles(int(count), tuple(map(int, us))) for key, count, us in rows}
                for rows in self._percentiles(connection, measure)
            ]
        else:
            found = self._picked(connection, measure)
        overall, times, models = found
        by_model = {unfold(self._models, place): models[place] for place in models}
        ordered = dict(sorted(by_model.items(), key=lambda item: item[0] or ""))
        return Times(next(iter(overall.values()), None), dict(sorted(times.items())), ordered)

    def _percentiles(self, connection: Connection, measure: str) -> list[Sequence[Any]]:
        column = self._runs.c[measure]
        values = func.percentile_disc(_SHARES).within_group(column)
        chosen = [
            self._wanted(select(key, func.count(), values), measure).group_by(_FIRST)
            for key in (literal(1), month_or_time(self._time, self._step), self._model)
        ]
        overall, times, models = (connection.execute(statement).all() for statement in chosen)
        named = [(self._label(time), *rest) for time, *rest in times]
        return [overall, named, models]

    def _label(self, time: object) -> str:
        return str(time) if isinstance(time, str) else time_text(self._step, time)

    def _picked(self, connection: Connection, measure: str) -> list[dict[Any, Quantiles]]:
        keys = (self._time, self._model)
        counting = self._wanted(select(*keys, func.count()), measure).group_by(_FIRST, _SECOND)
        overall, by_time, by_model = pickers = _Picker(), _Picker(), _Picker()
        labels: dict[int, str] = {}  # several days are one month
        for time, model, count in connection.execute(counting):
            label = labels.setdefault(time, self._label(time))
            for picker, key in zip(pickers, (1, label, model), strict=True):
                picker.expect(key, count)
        column: ColumnElement[Any] = self._runs.c[measure]
        ordered = self._wanted(select(column, *keys), measure).order_by(column)
        seen = 0
        for rows in _plain_rows(connection, ordered):
            overall.pass_by(1, seen, [row[0] for row in rows])
            seen += len(rows)
            by_time.see((labels[row[1]], row[0]) for row in rows)
            by_model.see((row[2], row[0]) for row in rows)
        return [picker.found() for picker in pickers]

    def _wanted(self, chosen: Select[Any], measure: str) -> Select[Any]:
        column = self._runs.c[measure]
        return chosen.where(*self._conditions, ~self._runs.c.cache_hit, column.is_not(None))


def _plain_rows(connection: Connection, chosen: Select[Any]) -> Iterator[Sequence[tuple[int, ...]]]:
    """Give rows as the driver does: there may be millions, and nothing of theirs is to convert."""
    result = connection.execute(chosen)
    cursor = result.cursor
    while cursor is not None and (rows := cursor.fetchmany(_FETCHED_ROWS)):
        yield rows
    result.close()


class _Picker:
    """Picks the values at certain ranks out of values that come in order, by key."""

    def __init__(self) -> None:
        self._counts: dict[Hashable, int] = {}
        self._steps: dict[Hashable, int] = {}
        self._values: dict[Hashable, list[int]] = {}

    def expect(self, key: Hashable, count: int) -> None:
        """Expect so many values of a key."""
        self._counts[key] = self._counts.get(key, 0) + count
        self._values[key] = []
        self._steps[key] = ranks(self._counts[key])[0]

    def see(self, pairs: Iterable[tuple[Hashable, int]]) -> None:
        """Take keys and values in the order of the values."""
        steps = self._steps
        for key, value in pairs:
            step = steps[key] = steps[key] - 1
            if not step:
                self._pick(key, value)

    def pass_by(self, key: Hashable, before: int, values: Sequence[int]) -> None:
        """Take values that are all of one key, after so many before."""
        found = self._values[key]
        for rank in ranks(self._counts[key])[len(found) :]:
            if rank - before > len(values):
                return
            found.append(values[rank - before - 1])

    def found(self) -> dict[Any, Quantiles]:
        """Give the quantiles."""
        return {
            key: Quantiles(count, tuple(self._values[key])) for key, count in self._counts.items()
        }

    def _pick(self, key: Hashable, value: int) -> None:
        """Note the value for the rank that is reached, and for those that are the same."""
        found, all_ranks = self._values[key], ranks(self._counts[key])
        reached = all_ranks[len(found)]
        found += [value] * all_ranks.count(reached)
        if len(found) < len(all_ranks):
            self._steps[key] = all_ranks[len(found)] - reached
