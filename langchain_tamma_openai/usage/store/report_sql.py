"""What a report needs, read from SQLite or PostgreSQL in one transaction.

The databases add up and sort; what reaches Python is bounded by the points in time and by how many
values are told apart, whatever the ledger holds.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, cast

from sqlalchemy import ColumnElement, Connection, Select, case, func, literal_column, select

from langchain_tamma_openai.usage.filters import RecordFilter
from langchain_tamma_openai.usage.report.figures import (
    CACHE_COUNTS,
    DIMENSIONS,
    MEASURES,
    SLICE_AMOUNTS,
    SLICE_COUNTS,
    Breakdown,
    LedgerFigures,
    ReportPlan,
    TimeStep,
    Trouble,
    cache_use,
    choose_step,
    ranking,
    troubles_in_order,
)
from langchain_tamma_openai.usage.store.quantiles import TimesQuery
from langchain_tamma_openai.usage.store.queries import (
    Span,
    SummaryQuery,
    read_groups,
    run_conditions,
    time_column,
    time_text,
)
from langchain_tamma_openai.usage.store.rows import from_us
from langchain_tamma_openai.usage.store.schema import LedgerTables
from langchain_tamma_openai.usage.summary import GroupKey, Tally, UsageFigures

_FEMTO_PER_MICRO = 10**9


class ReportReader:
    """Reads the figures of one report."""

    def __init__(
        self, connection: Connection, tables: LedgerTables, wanted: RecordFilter, plan: ReportPlan
    ) -> None:
        """Prepare it.

        Args:
            connection: In a transaction, so that all figures are of the same runs.
            tables: The tables.
            wanted: Which runs.
            plan: How much is wanted.
        """
        self._connection = connection
        self._tables = tables
        self._wanted = wanted
        self._plan = plan
        self._conditions = run_conditions(tables, wanted, Span.of(wanted))

    def read(self) -> LedgerFigures:
        """Ask for everything."""
        first, last = self._start("min"), self._start("max")
        step = self._plan.step or choose_step(first, last)
        by_time = self._groups((step,))
        total = Tally()
        for tally in by_time.values():
            total.add(tally)
        breakdowns = {name: self._breakdown(step, name) for name in DIMENSIONS}
        used = self._groups(("month", "model", "service_tier"), CACHE_COUNTS) if first else {}
        models = breakdowns["model"].names
        times = TimesQuery(self._tables, self._conditions, step, models)
        return LedgerFigures(
            first=first,
            last=last,
            step=step,
            total=UsageFigures(**total.fields()),
            by_time={str(k[0]): UsageFigures(**by_time[k].fields()) for k in sorted(by_time)},
            breakdowns=breakdowns,
            cache_use=cache_use(used),
            troubles=self._troubles(step),
            times={name: times.read(self._connection, name) for name in MEASURES} if first else {},
        )

    def _start(self, which: str) -> datetime | None:
        started = self._tables.runs.c.started_us
        chosen = select(getattr(func, which)(started)).where(*self._conditions)
        found = self._connection.scalar(chosen)
        return None if found is None else from_us(int(found))

    def _groups(
        self,
        group_by: Sequence[str],
        counts: Sequence[str] | None = None,
        kept: dict[str, Sequence[str]] | None = None,
    ) -> dict[GroupKey, Tally]:
        given: dict[str, Any] = {}
        if counts is not None:
            given = {"counts": counts, "amounts": SLICE_AMOUNTS}
        query = SummaryQuery(self._tables, self._wanted, group_by, kept=kept, **given)
        return read_groups(self._connection, query)

    def _breakdown(self, step: TimeStep, name: str) -> Breakdown:
        names, distinct = self._ranking(name)
        groups = self._groups((step, name), SLICE_COUNTS, {name: names})
        return Breakdown.of(names, distinct, groups)

    def _ranking(self, name: str) -> tuple[list[str], int]:
        """Find the largest values, and how many there are."""
        if name == "model":  # hourly sums know
            names = ranking(self._groups((name,), SLICE_COUNTS[:1]))
            return names[: self._plan.top], len(names)
        rows = self._connection.execute(self._largest(name)).all()
        return [str(row[0]) for row in rows], int(rows[0][1]) if rows else 0

    def _largest(self, name: str) -> Select[Any]:
        runs, tags = self._tables.runs, self._tables.tags
        value = tags.c.tag if name == "tag" else runs.c[name]
        source = tags.join(runs, tags.c.seq == runs.c.seq) if name == "tag" else runs
        by_name = value.collate("C") if self._tables.has_decimals else value
        return (
            select(value, func.count().over())
            .select_from(source)
            .where(*self._conditions, value.is_not(None), ~runs.c.cache_hit)
            .group_by(value)
            .order_by(*self._by_cost(), func.count().desc(), by_name)
            .limit(self._plan.top)
        )

    def _by_cost(self) -> list[ColumnElement[Any]]:
        """Order by cost: exactly, but for odd amounts in SQLite, which are rounded for this."""
        if self._tables.has_decimals:
            return [literal_column("COALESCE(SUM(total_cost_usd), 0) DESC")]
        odd = "CASE WHEN odd_amounts THEN CAST(total_cost_usd AS REAL) * 1e6 ELSE 0 END"
        femto = "COALESCE(SUM(total_cost_usd_femto), 0)"
        micro = f"COALESCE(SUM(total_cost_usd_micro), 0) + {femto} / {_FEMTO_PER_MICRO}"
        return [
            literal_column(f"{micro} + SUM({odd}) DESC"),
            literal_column(f"{femto} % {_FEMTO_PER_MICRO} DESC"),
        ]

    def _troubles(self, step: TimeStep) -> tuple[Trouble, ...]:
        runs = self._tables.runs.c
        repeated = runs.attempts > 1
        zero: ColumnElement[int] = literal_column("0")
        one: ColumnElement[int] = literal_column("1")
        chosen = (
            select(
                time_column(self._tables, step),
                runs.status,
                runs.error_kind,
                func.count(),
                func.sum(case((repeated, one), else_=zero)),
                func.sum(case((repeated, runs.attempts - one), else_=zero)),
            )
            .where(*self._conditions, ~runs.cache_hit, (runs.status != "ok") | repeated)
            .group_by(literal_column("1"), runs.status, runs.error_kind)
        )
        found = [_trouble(step, row) for row in self._connection.execute(chosen)]
        return troubles_in_order(found)


def _trouble(step: TimeStep, row: Any) -> Trouble:
    time, status, kind, *counts = row
    requests, repeated, retries = (int(cast("int", count)) for count in counts)
    return Trouble(time_text(step, time), status, kind, requests, repeated, retries)
