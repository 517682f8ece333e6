"""Usage records in SQLite or PostgreSQL."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from itertools import groupby
from typing import Any, cast

from sqlalchemy import Connection, Result, Table, delete, func, select

from langchain_tamma_openai.errors import StorageError
from langchain_tamma_openai.usage.filters import RecordFilter
from langchain_tamma_openai.usage.percentiles import Quantiles
from langchain_tamma_openai.usage.record import UsageRecord
from langchain_tamma_openai.usage.report.figures import LedgerFigures, ReportPlan
from langchain_tamma_openai.usage.store.base import PAGE_ROWS
from langchain_tamma_openai.usage.store.engine import (
    CAN_WRITE,
    RecordRefusedError,
    make_engine,
    storage_errors,
)
from langchain_tamma_openai.usage.store.location import StoreLocation
from langchain_tamma_openai.usage.store.queries import (
    SummaryQuery,
    attempts_of,
    page_of_runs,
    read_groups,
)
from langchain_tamma_openai.usage.store.rows import (
    ATTEMPT_COLUMNS,
    TAG_COLUMNS,
    NamedRow,
    RunRows,
    encode_run,
    read_run,
    run_columns,
    to_us,
)
from langchain_tamma_openai.usage.store.schema import is_current, ledger_tables, migrate
from langchain_tamma_openai.usage.summary import GroupKey, Tally, UsageSummary, make_summary

_CLEAR_ROWS = 5000
_RETRY_S = 0.05
_FORK_WAIT_S = 5.0


class SqlStore:
    """Runs in SQLite or PostgreSQL, through one connection that writes and others that read."""

    def __init__(
        self, location: StoreLocation, *, busy_timeout_s: float = 10.0, is_durable: bool = False
    ) -> None:
        """Open the database and bring its tables up to date.

        Args:
            location: Where it is.
            busy_timeout_s: Seconds to wait for another writer of an SQLite file.
            is_durable: Whether what is committed must survive a power cut as well as a crash.

        Raises:
            ConfigurationError: A package is missing.
            StorageError: The database cannot be used, or its tables are of a later version.
        """
        self._location = location
        self._engine = make_engine(location, busy_timeout_s=busy_timeout_s, is_durable=is_durable)
        self._has_decimals = location.kind != "sqlite"
        self._mark = "%s" if self._has_decimals else "?"
        self._tables = ledger_tables(has_decimals=self._has_decimals)
        columns = run_columns(has_decimals=self._has_decimals)
        insert_runs = self._insert_sql(self._tables.runs, columns)
        self._insert_runs = f"{insert_runs} ON CONFLICT (run_id) DO NOTHING"
        self._insert_attempts = self._insert_sql(self._tables.attempts, ATTEMPT_COLUMNS)
        self._insert_tags = self._insert_sql(self._tables.tags, TAG_COLUMNS)
        # As texts: the statements of every batch take longer to build than to run.
        runs, mark = self._tables.runs.name, self._mark
        self._last_seq = f"SELECT max(seq) FROM {runs}"  # noqa: S608 - names of our own
        self._stored_seqs = f"SELECT seq FROM {runs} WHERE seq BETWEEN {mark} AND {mark}"  # noqa: S608 - names of our own
        self._write_lock = threading.Lock()
        self._is_held = False
        self._writer: Connection | None = None
        self._open(busy_timeout_s)

    def insert(self, records: Sequence[UsageRecord]) -> None:
        """Keep records, all of them or none; a run id that is known already is left out."""
        records = sorted(
            records, key=_run_id
        )  # two writers of the same runs cannot block each other
        rows = [encode_run(record, has_decimals=self._has_decimals) for record in records]
        is_old = self._writer is not None
        try:
            self._insert(rows)
        except RecordRefusedError:
            raise
        except StorageError:
            # The server may have closed a connection that lay idle; a file has no such reason.
            if not is_old or self._location.kind == "sqlite":
                raise
            self._insert(rows)

    def pages(self, wanted: RecordFilter, *, whole: bool = True) -> Iterator[list[UsageRecord]]:
        """Give records by start, a page at a time, holding nothing between two pages."""
        after: tuple[int, int] | None = None
        while True:
            with self._reading() as connection:
                chosen = page_of_runs(self._tables, wanted, after, PAGE_ROWS)
                runs = _named(connection.execute(chosen))
                seqs = [cast("int", run["seq"]) for run in runs]
                attempts = self._attempts(connection, seqs) if whole and seqs else {}
            if runs:
                pairs = zip(runs, seqs, strict=True)
                yield [read_run(run, attempts.get(seq, ())) for run, seq in pairs]
            if len(runs) < PAGE_ROWS:
                return
            after = (cast("int", runs[-1]["started_us"]), seqs[-1])

    def summary(self, wanted: RecordFilter, group_by: Sequence[str]) -> UsageSummary:
        """Add up the records that are wanted, in the database."""
        with self._reading() as connection:
            groups = self._groups(connection, wanted, group_by)
            # A run with several tags is in several groups, but counts once.
            once = self._groups(connection, wanted, ()) if "tag" in group_by else groups
        total = Tally()
        for tally in once.values():
            total.add(tally)
        shown = groups if group_by else {}
        return make_summary(total, shown, group_by, (wanted.start, wanted.end))

    def report(self, wanted: RecordFilter, plan: ReportPlan) -> LedgerFigures:
        """Read what a report needs, at one moment."""
        from langchain_tamma_openai.usage.store.report_sql import ReportReader

        with self._reading() as connection:
            return ReportReader(connection, self._tables, wanted, plan).read()

    def quantiles(
        self, wanted: RecordFilter, group_by: Sequence[str], measure: str
    ) -> dict[GroupKey, Quantiles]:
        """Order the times of the runs that are wanted, in the database."""
        from langchain_tamma_openai.usage.store.quantiles import QuantilesQuery

        query = QuantilesQuery.of(self._tables, wanted, group_by)
        with self._reading() as connection:
            return query.read(connection, measure, [range(len(group_by))])[0]

    def clear(self, before: datetime) -> int:
        """Forget the runs that started before a moment, and say how many there were."""
        cleared = 0
        while number := self._clear_some(to_us(before)):
            cleared += number
        return cleared

    def release(self) -> None:
        """Close connections; the next use opens them again."""
        with self._write_lock:
            self._drop_writer()

    def before_fork(self) -> None:
        """Close what a child must not inherit, and let nobody write.

        A writer that waits long for its turn is not waited for.
        """
        self._is_held = self._write_lock.acquire(timeout=_FORK_WAIT_S)
        if self._is_held:
            self._drop_writer()

    def after_fork_in_parent(self) -> None:
        """Go on writing."""
        if self._is_held:
            self._write_lock.release()

    def after_fork(self) -> None:
        """In a child: let go of everything that belongs to the parent process."""
        self._write_lock = threading.Lock()
        if self._writer is not None:
            _abandoned.append(self._writer)
        self._writer = None
        self._engine.dispose(close=False)

    def _open(self, timeout_s: float) -> None:
        """Bring the tables up to date; processes that start together take turns."""
        end = time.monotonic() + timeout_s
        while True:
            try:
                self._migrate()
            except StorageError as exc:
                self.release()
                # SQLite does not always wait for its turn when a file is new.
                if "locked" not in exc.message or time.monotonic() > end:
                    raise
                time.sleep(_RETRY_S)
            else:
                self.release()
                return

    def _migrate(self) -> None:
        with self._reading() as connection:
            if is_current(connection):
                return
        with self._writing() as connection:
            migrate(connection)

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        """Give a connection in a transaction that does not hold up writers."""
        with storage_errors(self._location), self._engine.connect() as connection:
            yield connection

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        """Give the connection that writes, in a transaction; after any failure it is a new one."""
        with self._write_lock, storage_errors(self._location):
            try:
                if self._writer is None:
                    options = {CAN_WRITE: True}
                    self._writer = self._engine.connect().execution_options(**options)
                with self._writer.begin():
                    yield self._writer
            except BaseException:
                self._drop_writer()
                raise

    def _drop_writer(self) -> None:
        writer, self._writer = self._writer, None
        if writer is not None:
            writer.invalidate()
            writer.close()

    def _insert_sql(self, table: Table, columns: Sequence[str]) -> str:
        marks = ", ".join([self._mark] * len(columns))
        return f"INSERT INTO {table.name} ({', '.join(columns)}) VALUES ({marks})"  # noqa: S608 - names of our own

    def _insert(self, rows: Sequence[RunRows]) -> None:
        with self._writing() as connection:
            numbered = list(zip(self._new_seqs(connection, len(rows)), rows, strict=True))
            runs = [(seq, *row.run) for seq, row in numbered]
            connection.exec_driver_sql(self._insert_runs, runs)
            kept = self._stored(connection, [seq for seq, _ in numbered])
            self._insert_parts(connection, [pair for pair in numbered if pair[0] in kept])

    def _insert_parts(
        self, connection: Connection, numbered: Sequence[tuple[int, RunRows]]
    ) -> None:
        """Keep the attempts and tags of runs."""
        attempts = [(seq, *row) for seq, rows in numbered for row in rows.attempts]
        tags = [(seq, tag) for seq, rows in numbered for tag in rows.tags]
        if attempts:
            connection.exec_driver_sql(self._insert_attempts, attempts)
        if tags:
            connection.exec_driver_sql(self._insert_tags, tags)

    def _new_seqs(self, connection: Connection, number: int) -> list[int]:
        """Number new runs. In SQLite nobody else can write in the meantime."""
        if self._has_decimals:
            numbers = func.generate_series(1, number).table_valued("n")
            chosen = select(self._tables.sequence.next_value()).select_from(numbers)
            return list(connection.scalars(chosen))
        last = connection.exec_driver_sql(self._last_seq).scalar() or 0
        return list(range(last + 1, last + 1 + number))

    def _stored(self, connection: Connection, seqs: Sequence[int]) -> set[int]:
        """Tell which of the new numbers are in the table now: the runs that were not known."""
        found = connection.exec_driver_sql(self._stored_seqs, (min(seqs), max(seqs)))
        return set(seqs).intersection(found.scalars())

    def _attempts(self, connection: Connection, seqs: Sequence[int]) -> dict[int, list[NamedRow]]:
        rows = _named(connection.execute(attempts_of(self._tables, seqs)))
        groups = groupby(rows, lambda row: cast("int", row["seq"]))
        return {seq: list(group) for seq, group in groups}

    def _groups(
        self, connection: Connection, wanted: RecordFilter, group_by: Sequence[str]
    ) -> dict[GroupKey, Tally]:
        return read_groups(connection, SummaryQuery(self._tables, wanted, group_by))

    def _clear_some(self, before_us: int) -> int:
        """Delete a few thousand runs in a transaction of their own, so that others can write."""
        runs = self._tables.runs.c
        chosen = select(runs.seq).where(runs.started_us < before_us).order_by(runs.started_us)
        with self._writing() as connection:
            locked: Any = chosen.limit(_CLEAR_ROWS).with_for_update(skip_locked=True)
            seqs = list(connection.scalars(locked))
            for table in (self._tables.attempts, self._tables.tags, self._tables.runs):
                if seqs:
                    connection.execute(delete(table).where(table.c.seq.in_(seqs)))
        return len(seqs)


_abandoned: list[object] = []
"""Connections of a parent process: closing them here would disturb it."""


def _named(result: Result[Any]) -> list[NamedRow]:
    names = list(result.keys())
    return [dict(zip(names, row, strict=True)) for row in result]


def _run_id(record: UsageRecord) -> int:
    return record.run_id.int
