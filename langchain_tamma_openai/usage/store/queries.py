"""Statements that read the ledger, the same for SQLite and PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from typing import Any, NamedTuple, TypeAlias

from sqlalchemy import (
    ColumnElement,
    Connection,
    FromClause,
    Integer,
    Row,
    Select,
    case,
    cast,
    exists,
    func,
    literal_column,
    select,
    table,
)

from langchain_tamma_openai.usage.filters import RecordFilter
from langchain_tamma_openai.usage.money import join_usd
from langchain_tamma_openai.usage.store.measures import (
    ODD,
    amount_measures,
    count_measures,
)
from langchain_tamma_openai.usage.store.rollup import ERA_US, HOUR_US, HOURLY, ROLLUP_FIELDS
from langchain_tamma_openai.usage.store.rows import from_us, to_us
from langchain_tamma_openai.usage.store.schema import LedgerTables
from langchain_tamma_openai.usage.summary import (
    AMOUNT_NAMES,
    COUNT_NAMES,
    OTHERS,
    TIME_GROUPS,
    GroupKey,
    Tally,
    time_label,
)

_HOURS = {"hour": 1, "day": 24, "month": 24}  # months are put together from days
Condition: TypeAlias = ColumnElement[bool]


@dataclass(frozen=True, slots=True)
class Span:
    """A range of time in microseconds since 1970; None is open."""

    start_us: int | None
    end_us: int | None

    @classmethod
    def of(cls, wanted: RecordFilter) -> Span:
        """Give the range of a filter."""
        start, end = wanted.start, wanted.end
        return cls(None if start is None else to_us(start), None if end is None else to_us(end))


def run_conditions(tables: LedgerTables, wanted: RecordFilter, span: Span) -> list[Condition]:
    """Say which runs are wanted."""
    runs = tables.runs.c
    conditions = [runs[name] == value for name, value in wanted.equal.items()]
    if span.start_us is not None:
        conditions.append(runs.started_us >= span.start_us)
    if span.end_us is not None:
        conditions.append(runs.started_us < span.end_us)
    # Under a name of its own, for the table of tags itself may be joined to group by it.
    tags = tables.tags.alias("wanted").c
    for tag in wanted.tags:
        has_tag = select(tags.seq).where(tags.tag == tag, tags.seq == runs.seq)
        conditions.append(exists(has_tag.correlate(tables.runs)))
    return conditions


def page_of_runs(
    tables: LedgerTables, wanted: RecordFilter, after: tuple[int, int] | None, rows: int
) -> Select[Any]:
    """Choose the runs after one, by start and then in the order in which they were stored.

    Args:
        tables: The tables.
        wanted: Which runs.
        after: `started_us` and `seq` of the last run of the page before.
        rows: How many at most.
    """
    runs = tables.runs
    chosen = select(runs).where(*run_conditions(tables, wanted, Span.of(wanted)))
    if after is not None:
        started_us, seq = after
        same_start = (runs.c.started_us > started_us) | (runs.c.seq > seq)
        chosen = chosen.where(runs.c.started_us >= started_us, same_start)
    return chosen.order_by(runs.c.started_us, runs.c.seq).limit(rows)


def attempts_of(tables: LedgerTables, seqs: Sequence[int]) -> Select[Any]:
    """Choose the attempts of runs."""
    attempts = tables.attempts
    order = (attempts.c.seq, attempts.c.position)
    return select(attempts).where(attempts.c.seq.in_(seqs)).order_by(*order)


class SummaryQuery:
    """The statements that answer one summary, and what their rows mean."""

    def __init__(
        self,
        tables: LedgerTables,
        wanted: RecordFilter,
        group_by: Sequence[str],
        *,
        kept: Mapping[str, Sequence[str]] | None = None,
        counts: Sequence[str] = COUNT_NAMES,
        amounts: Sequence[str] = AMOUNT_NAMES,
    ) -> None:
        """Plan it.

        Args:
            tables: The tables.
            wanted: Which runs to add up.
            group_by: Names to group by.
            kept: Values of such names that are told apart; all others are one group, `OTHERS`.
            counts: Names among `COUNT_NAMES` in their order; the other counts stay 0.
            amounts: Names among `AMOUNT_NAMES` in their order; the other amounts stay 0.
        """
        self._tables = tables
        self._wanted = wanted
        self._group_by = tuple(group_by)
        self._kept = kept or {}
        self._source = source_of(tables, group_by)
        self._columns = [key_column(tables, name, self._kept.get(name)) for name in group_by]
        self._counts = tuple(counts)
        self._count_places = [COUNT_NAMES.index(name) for name in self._counts]
        self._split = not tables.has_decimals
        measures = amount_measures(tables.runs.name, split=self._split)
        self._amount_places = [AMOUNT_NAMES.index(name) for name in amounts]
        self._amounts = {
            name: measure
            for name, measure in measures.items()
            if name == ODD or name.removesuffix("_micro").removesuffix("_femto") in amounts
        }

    def sums(self) -> Iterator[Select[Any]]:
        """Give statements whose rows, added up by key, are the groups."""
        span = Span.of(self._wanted)
        hours = self._whole_hours(span)
        if hours is None:
            yield self._from_runs(span)
            return
        first, last = hours
        yield self._from_hours(first, last)
        if span.start_us is not None and span.start_us % HOUR_US:
            yield self._from_runs(Span(span.start_us, first))
        if span.end_us is not None and span.end_us % HOUR_US:
            yield self._from_runs(Span(last, span.end_us))

    def odd_amounts(self) -> Select[Any]:
        """Choose the runs whose amounts the sums leave out, with the key of their group."""
        runs = self._tables.runs
        conditions = run_conditions(self._tables, self._wanted, Span.of(self._wanted))
        amounts = [runs.c[name] for name in AMOUNT_NAMES]
        chosen = select(*self._run_keys(), *amounts).select_from(
            source_of(self._tables, self._group_by)
        )
        return chosen.where(*conditions, _sql(ODD), ~runs.c.cache_hit)

    def key(self, row: Row[Any]) -> GroupKey:
        """Read the key of a row of either kind."""
        pairs = zip(self._columns, row, strict=False)
        return tuple(column.label(value) for column, value in pairs)

    def tally(self, row: Row[Any]) -> tuple[Tally, int]:
        """Read the figures of a row of `sums`, and how many odd amounts they leave out."""
        values = [value or 0 for value in row[len(self._group_by) :]]
        counts, amounts = [0] * len(COUNT_NAMES), [Decimal(0)] * len(AMOUNT_NAMES)
        for place, value in zip(self._count_places, values, strict=False):
            counts[place] = int(value)
        sums = values[len(self._counts) :]
        exact = map(join_usd, sums[0:-1:2], sums[1:-1:2]) if self._split else map(Decimal, sums)
        for place, amount in zip(self._amount_places, exact, strict=True):
            amounts[place] = amount
        return Tally(counts, amounts), sums[-1] if self._split else 0

    def amounts(self, row: Row[Any]) -> list[Decimal]:
        """Read the amounts of a row of `odd_amounts`."""
        amounts = [Decimal(amount or 0) for amount in row[len(self._group_by) :]]
        wanted = self._amount_places
        return [amount if place in wanted else Decimal(0) for place, amount in enumerate(amounts)]

    def _whole_hours(self, span: Span) -> tuple[int | None, int | None] | None:
        """Find the hours that sums by hour can answer; None when there are none."""
        names = {*self._wanted.equal, *self._group_by} - set(TIME_GROUPS)
        if not self._split or self._wanted.tags or not names <= set(ROLLUP_FIELDS):
            return None
        first = None if span.start_us is None else -(-span.start_us // HOUR_US) * HOUR_US
        last = None if span.end_us is None else span.end_us // HOUR_US * HOUR_US
        is_empty = first is not None and last is not None and first >= last
        return None if is_empty else (first, last)

    def _from_runs(self, span: Span) -> Select[Any]:
        row = self._tables.runs.name
        counts = count_measures(row)
        measures = [*(counts[name] for name in self._counts), *self._amounts.values()]
        sums = [func.sum(_sql(measure)) for measure in measures]
        chosen = select(*self._run_keys(), *sums).select_from(
            source_of(self._tables, self._group_by)
        )
        conditions = run_conditions(self._tables, self._wanted, span)
        return chosen.where(*conditions).group_by(*self._key_columns())

    def _from_hours(self, first_us: int | None, last_us: int | None) -> Select[Any]:
        keys = [
            _sql(f"hour / {_HOURS[name]}")
            if name in TIME_GROUPS
            else self._folded(name, _sql(f"nullif({name}, 0)"))
            for name in self._group_by
        ]
        sums = [func.sum(_sql(name)) for name in (*self._counts, *self._amounts)]
        chosen = select(*keys, *sums).select_from(table(HOURLY))
        for name, value in self._wanted.equal.items():
            chosen = chosen.where(_sql(name) == value)
        if first_us is not None:
            chosen = chosen.where(_sql("hour") >= (first_us + ERA_US) // HOUR_US)
        if last_us is not None:
            chosen = chosen.where(_sql("hour") < (last_us + ERA_US) // HOUR_US)
        return chosen.group_by(*self._key_columns())

    def _run_keys(self) -> list[ColumnElement[Any]]:
        return [column.value for column in self._columns]

    def _key_columns(self) -> list[ColumnElement[Any]]:
        """Name the columns of the key by their places: their expressions have parameters."""
        return [_sql(str(place)) for place in range(1, len(self._group_by) + 1)]

    def _folded(self, name: str, column: ColumnElement[Any]) -> ColumnElement[Any]:
        return fold(column, self._kept[name]) if name in self._kept else column


class KeyColumn(NamedTuple):
    """What runs are told apart by.

    Attributes:
        value: Gives a number or a text for each run.
        label: Reads it; several may read the same.
        distinct: Gives one value for each label, which `label` reads too, in PostgreSQL.
    """

    value: ColumnElement[Any]
    label: Callable[[object], str | None]
    distinct: ColumnElement[Any]


def key_column(tables: LedgerTables, name: str, kept: Sequence[str] | None = None) -> KeyColumn:
    """Tell runs apart by a name that one can group by.

    Args:
        tables: The tables; for tags those of tags have to be joined, see `source_of`.
        name: One of `GROUPS`.
        kept: Values that are told apart; all others are `OTHERS`. None tells all apart.
    """
    if name in TIME_GROUPS:
        time = time_column(tables, name)
        return KeyColumn(time, partial(time_text, name), month_or_time(time, name))
    column: ColumnElement[Any] = (tables.tags if name == "tag" else tables.runs).c[name]
    if kept is None:
        return KeyColumn(column, _text, column)
    folded = fold(column, kept)
    return KeyColumn(folded, partial(unfold, kept), folded)


def source_of(tables: LedgerTables, group_by: Sequence[str]) -> FromClause:
    """Give the runs, joined with their tags where these tell them apart.

    Args:
        tables: The tables.
        group_by: Names to group by.
    """
    runs, tags = tables.runs, tables.tags
    return runs.outerjoin(tags, tags.c.seq == runs.c.seq) if "tag" in group_by else runs


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def read_groups(connection: Connection, query: SummaryQuery) -> dict[GroupKey, Tally]:
    """Add up what a query asks for, by group.

    Args:
        connection: In a transaction, so that all statements see the same runs.
        query: What is asked.
    """
    groups: dict[GroupKey, Tally] = {}
    odd = 0
    for statement in query.sums():
        for row in connection.execute(statement):
            tally, left_out = query.tally(row)
            groups.setdefault(query.key(row), Tally()).add(tally)
            odd += left_out
    if odd:
        for row in connection.execute(query.odd_amounts()):
            groups.setdefault(query.key(row), Tally()).add_amounts(query.amounts(row))
    return groups


def time_column(tables: LedgerTables, name: str) -> ColumnElement[Any]:
    """Give the hour or day of a run as a number that `time_text` reads; for a month, the day.

    Args:
        tables: The tables.
        name: One of `TIME_GROUPS`.
    """
    return _sql(f"({tables.runs.name}.started_us + {ERA_US}) / {HOUR_US * _HOURS[name]}")


def month_or_time(column: ColumnElement[Any], name: str) -> ColumnElement[Any]:
    """Give the month of a day as text, in PostgreSQL; hours and days stay as they are.

    Args:
        column: What `time_column` gives: for a month, its days.
        name: One of `TIME_GROUPS`.
    """
    if name != "month":
        return column
    day = cast(column, Integer)
    return func.to_char(_sql("DATE '0001-01-01'") + day, _sql("'YYYY-MM'"))


def time_text(name: str, value: object) -> str:
    """Read a value of `time_column` or `month_or_time`.

    Args:
        name: One of `TIME_GROUPS`.
        value: The number, or the month as text.
    """
    if isinstance(value, str):
        return value
    hour = int(str(value)) * _HOURS[name]
    return time_label(from_us(hour * HOUR_US - ERA_US), name)


def fold(column: ColumnElement[Any], kept: Sequence[str]) -> ColumnElement[int]:
    """Give the place of a value among those that are kept, -1 for NULL and -2 for all others.

    Args:
        column: A column of text.
        kept: The values.
    """
    places = [(column == value, _sql(str(place))) for place, value in enumerate(kept)]
    return case((column.is_(None), _sql("-1")), *places, else_=_sql("-2"))


def unfold(kept: Sequence[str], place: object) -> str | None:
    """Read what `fold` gives.

    Args:
        kept: The values.
        place: The number.
    """
    return (*kept, OTHERS, None)[int(str(place))]


def _sql(text: str) -> ColumnElement[Any]:
    return literal_column(text)
