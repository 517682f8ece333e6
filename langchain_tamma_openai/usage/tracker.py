"""The ledger: one record of every model run, kept where you say, and answers about them."""

from __future__ import annotations

import asyncio
import os
import weakref
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from pathlib import Path
from typing import (
    TYPE_CHECKING,
    Any,
    ClassVar,
    Literal,
    Self,
    TypeVar,
    Unpack,
    cast,
)

from langchain_tamma_openai.errors import InvalidParameterError, StorageError
from langchain_tamma_openai.resilience.bounds import (
    check_choice,
    check_positive_count,
    check_seconds,
    refuse,
)
from langchain_tamma_openai.usage.drafts import RecordDraft
from langchain_tamma_openai.usage.filters import (
    FieldFilters,
    Moment,
    RecordFilter,
    RecordFilters,
    parse_group_by,
    parse_moment,
)
from langchain_tamma_openai.usage.percentiles import COLUMNS, Measure, Percentiles, percentiles
from langchain_tamma_openai.usage.record import AttemptRecord, UsageRecord
from langchain_tamma_openai.usage.record_checks import check_record
from langchain_tamma_openai.usage.spill import Spill
from langchain_tamma_openai.usage.store.location import StoreLocation, parse_store
from langchain_tamma_openai.usage.store.memory import MemoryStore
from langchain_tamma_openai.usage.summary import GROUPS, UsageSummary
from langchain_tamma_openai.usage.writer import LedgerWriter

if TYPE_CHECKING:
    from langchain_tamma_openai.usage.export import ExportFormat, ExportTarget
    from langchain_tamma_openai.usage.report.figures import LedgerFigures, ReportPlan
    from langchain_tamma_openai.usage.store.base import RecordStore

Durability = Literal["batched", "sync"]
Item = TypeVar("Item")
Result = TypeVar("Result")


class UsageTracker:
    """Keeps a record of every model run, and adds them up.

    Safe for threads, event loops, several processes at once and forks. A run is kept once, however
    often and by however many processes it is recorded. Recording never waits for the store unless
    `durability="sync"` asks for it. What the store refuses goes to a spill file and is taken in
    later: at the next start, and every few seconds while a tracker is in use.

    Use it in a `with` block, or call `close()`; records that are still waiting are written when the
    process ends as well.
    """

    accepts_usage_records: ClassVar[bool] = True

    def __init__(
        self,
        store: str | os.PathLike[str] = "memory",
        durability: Durability = "batched",
        *,
        flush_interval_s: float = 0.2,
        max_pending: int = 10_000,
        max_records: int = 100_000,
        busy_timeout_s: float = 10.0,
        spill_path: str | os.PathLike[str] | None = None,
    ) -> None:
        """Open the ledger, bring its tables up to date and take in what spill files hold.

        Args:
            store: "memory", "sqlite:///usage.db" (or the path of a file), or
                "postgresql+psycopg://user:password@host:5432/database".
            durability: "batched": `record` returns at once, and a crash of the process loses at
                most what was recorded in the last `flush_interval_s` seconds plus the time of one
                write. "sync": `record` returns when the record is safe on the disk.
            flush_interval_s: Seconds that a record waits for others at most, to be written in one
                transaction with them.
            max_pending: Records that wait at most. When so many do, a thread waits up to 5 seconds
                for room; after that, and at once in an event loop, a record goes to the spill file.
            max_records: Runs that a ledger in memory keeps; the oldest make room for new ones.
            busy_timeout_s: Seconds to wait for another program that writes to the SQLite file.
            spill_path: Directory for spill files; by default the one of the SQLite file, and for
                PostgreSQL `langchain-tamma-openai` in `$XDG_STATE_HOME` (`~/.local/state`).

        Raises:
            ConfigurationError: An argument is wrong, or a package is missing.
            StorageError: The database cannot be used.
        """
        check_choice(durability, "durability", ("batched", "sync"))
        check_seconds(flush_interval_s, "flush_interval_s")
        check_positive_count(max_pending, "max_pending")
        check_positive_count(max_records, "max_records")
        check_seconds(busy_timeout_s, "busy_timeout_s")
        self._location = parse_store(store)
        self._durability = durability
        self._arguments: dict[str, Any] = {
            "store": self._location.url if self._location.path is None else self._location.path,
            "durability": durability,
            "flush_interval_s": flush_interval_s,
            "max_pending": max_pending,
            "max_records": max_records,
            "busy_timeout_s": busy_timeout_s,
            "spill_path": spill_path,
        }
        self._is_closed = False
        self._writer: LedgerWriter | None = None
        if self._location.kind == "memory":
            self._store: RecordStore = MemoryStore(max_records)
            return
        spill = Spill(_spill_directory(self._location, spill_path), self._location.spill_stem)
        self._store = _open_store(self._location, busy_timeout_s, is_durable=durability == "sync")
        self._writer = LedgerWriter(
            self._store, spill, flush_interval_s=flush_interval_s, max_pending=max_pending
        )
        self._writer.take_in()
        self._store.release()
        weakref.finalize(self, self._writer.abandon).atexit = False

    @property
    def store(self) -> str:
        """Where the ledger is, without secrets."""
        return self._location.shown

    @property
    def durability(self) -> Durability:
        """What `record` waits for."""
        return self._durability

    @property
    def pending(self) -> int:
        """Records that are neither in the store nor in a spill file yet."""
        return self._writer.pending if self._writer is not None else 0

    @property
    def dropped_records(self) -> int:
        """Runs that a ledger in memory dropped to make room for later ones."""
        return self._store.dropped_records if isinstance(self._store, MemoryStore) else 0

    def record(self, record: UsageRecord) -> None:
        """Keep the record of one model run with those of its attempts.

        A run that is known already is left out. With `durability="sync"` this waits for the disk:
        in an event loop use `arecord`.

        Args:
            record: The record.

        Raises:
            InvalidParameterError: It is no record, or no store could keep it.
            StorageError: The tracker is closed; or neither the store nor the spill file takes the
                record. With "sync" it then still waits in memory and is tried again.
        """
        check_record(record)
        if self._is_closed:
            self._refuse_closed()
        if self._writer is None:
            self._store.insert([record])
        elif self._durability == "sync":
            self._writer.put_and_wait(record)
        else:
            self._writer.put(record)

    def record_draft(self, draft: RecordDraft) -> None:
        """Keep a run whose record is made later, in the writer's thread or when it is asked for.

        Args:
            draft: The run; only where nothing has to wait for the disk.

        Raises:
            StorageError: The tracker is closed; or neither the store nor the spill file takes it.
        """
        if self._is_closed:
            self._refuse_closed()
        if self._writer is not None:
            self._writer.put(draft)
        elif isinstance(self._store, MemoryStore):
            self._store.keep(draft)

    async def arecord(self, record: UsageRecord) -> None:
        """Keep a record as `record` does, without ever holding up the event loop."""
        if self._durability == "sync":
            await asyncio.to_thread(self.record, record)
        else:
            self.record(record)

    def records(self, **filters: Unpack[RecordFilters]) -> Iterator[UsageRecord]:
        """Give records in the order in which the runs began, a page at a time.

        Nothing is locked or kept open between two pages. A run recorded meanwhile appears if it
        began later than those given so far.

        Args:
            filters: Which records; see `RecordFilters`.

        Raises:
            InvalidParameterError: A filter is wrong.
            StorageError: The store cannot be read.
        """
        return _flat(self._pages(filters))

    def attempts(self, **filters: Unpack[RecordFilters]) -> Iterator[AttemptRecord]:
        """Give the HTTP attempts of the runs that are wanted, run by run.

        Args:
            filters: Which runs; see `RecordFilters`.

        Raises:
            InvalidParameterError: A filter is wrong.
            StorageError: The store cannot be read.
        """
        return (attempt for run in self.records(**filters) for attempt in run.attempt_records)

    async def arecords(self, **filters: Unpack[RecordFilters]) -> AsyncIterator[UsageRecord]:
        """Give records as `records` does, without holding up the event loop."""
        pages = await asyncio.to_thread(self._pages, filters)
        while (page := await asyncio.to_thread(next, pages, None)) is not None:
            for record in page:
                yield record

    async def aattempts(self, **filters: Unpack[RecordFilters]) -> AsyncIterator[AttemptRecord]:
        """Give attempts as `attempts` does, without holding up the event loop."""
        async for record in self.arecords(**filters):
            for attempt in record.attempt_records:
                yield attempt

    def summary(
        self,
        start: Moment | None = None,
        end: Moment | None = None,
        *,
        group_by: str | Sequence[str] = (),
        **filters: Unpack[FieldFilters],
    ) -> UsageSummary:
        """Add up runs, in the database.

        Args:
            start: First moment, compared with the start of a run. A time without a zone is UTC, a
                date its first moment in UTC.
            end: First moment after the range.
            group_by: Names to group by, in this order: "hour", "day", "month" (in UTC), "tag", and
                fields such as "model", "requested_model", "user_id", "organization_id", "status".
            filters: Which runs; see `RecordFilters`.

        Raises:
            InvalidParameterError: A filter or a name is wrong.
            StorageError: The store cannot be read.
        """
        wanted = RecordFilter.parse({**filters, "start": start, "end": end})
        names = parse_group_by(group_by, GROUPS)
        self.flush()
        return self._store.summary(wanted, names)

    async def asummary(
        self,
        start: Moment | None = None,
        end: Moment | None = None,
        *,
        group_by: str | Sequence[str] = (),
        **filters: Unpack[FieldFilters],
    ) -> UsageSummary:
        """Add up runs as `summary` does, without holding up the event loop."""
        return await asyncio.to_thread(
            lambda: self.summary(start, end, group_by=group_by, **filters)
        )

    def report_figures(self, wanted: RecordFilter, plan: ReportPlan) -> LedgerFigures:
        """Read what a report is made of, all at one moment; see `usage_report`.

        Args:
            wanted: Which runs.
            plan: How much is wanted.

        Raises:
            StorageError: The store cannot be read.
        """
        self.flush()
        return self._store.report(wanted, plan)

    def percentiles(
        self,
        measure: Measure = "latency",
        *,
        group_by: str | Sequence[str] = (),
        **filters: Unpack[RecordFilters],
    ) -> tuple[Percentiles, ...]:
        """Give the times within which half, 90, 95 and 99 % of the runs were, in the database.

        Args:
            measure: "latency", or "first_token" of streams.
            group_by: Names to group by, as for `summary`.
            filters: Which runs; see `RecordFilters`.

        Returns:
            One for each group with a known time; without `group_by` one, or none.

        Raises:
            InvalidParameterError: A filter or a name is wrong.
            StorageError: The store cannot be read.
        """
        check_choice(measure, "measure", tuple(COLUMNS))
        wanted = RecordFilter.parse(cast("dict[str, object]", filters))
        names = parse_group_by(group_by, GROUPS)
        self.flush()
        return percentiles(self._store.quantiles(wanted, names, COLUMNS[measure]), names)

    def export(
        self,
        format: ExportFormat,  # noqa: A002 - the public name
        target: ExportTarget | None = None,
        *,
        progress: Callable[[int], None] | None = None,
        **filters: Unpack[RecordFilters],
    ) -> str | bytes | int:
        """Write records to a file or a stream.

        Args:
            format: "json", "jsonl", "csv" or "parquet".
            target: A path or an open stream; None gives the content back.
            progress: Told after every 1,000 records, and at the end, how many were written.
            filters: Which records; see `RecordFilters`.

        Raises:
            InvalidParameterError: A filter or the format is wrong.
            StorageError: The store cannot be read, or the file not be written.
        """
        from langchain_tamma_openai.usage.export import export_records

        records = self.records(**filters)
        return export_records(records, format, cast("ExportTarget", target), progress=progress)

    async def aexport(
        self,
        format: ExportFormat,  # noqa: A002 - the public name
        target: ExportTarget | None = None,
        *,
        progress: Callable[[int], None] | None = None,
        **filters: Unpack[RecordFilters],
    ) -> str | bytes | int:
        """Write records as `export` does, without holding up the event loop.

        `progress` is called in a thread of its own.
        """
        return await asyncio.to_thread(
            lambda: self.export(format, target, progress=progress, **filters)
        )

    def clear(self, before: Moment) -> int:
        """Delete the runs that started before a moment, with their attempts.

        Args:
            before: A time; without a zone it is UTC, and a date is its first moment in UTC.

        Returns:
            How many runs were deleted.

        Raises:
            InvalidParameterError: It is no time.
            StorageError: The store cannot be written.
        """
        moment = parse_moment(before, "before")
        if moment is None:
            raise InvalidParameterError(
                "before: got None, must be a datetime or a date; pass datetime.max to delete all",
                param="before",
            )
        self.flush()
        return self._store.clear(moment)

    async def aclear(self, before: Moment) -> int:
        """Delete runs as `clear` does, without holding up the event loop."""
        return await asyncio.to_thread(self.clear, before)

    def flush(self) -> None:
        """Wait until every record taken so far is in the store or in the spill file.

        Raises:
            StorageError: Neither takes them. They wait in memory and are tried again.
        """
        if self._writer is not None:
            self._writer.flush()

    async def aflush(self) -> None:
        """Wait as `flush` does, without holding up the event loop."""
        await asyncio.to_thread(self.flush)

    def close(self) -> None:
        """Write what waits and close all connections. Closing again does nothing.

        Raises:
            StorageError: Neither the store nor the spill file takes what waits.
        """
        self._is_closed = True
        if self._writer is not None:
            self._writer.finish()

    async def aclose(self) -> None:
        """Close as `close` does, without holding up the event loop."""
        await asyncio.to_thread(self.close)

    def __enter__(self) -> Self:
        """Give the tracker."""
        return self

    def __exit__(self, *_exc: object) -> None:
        """Close it."""
        self.close()

    async def __aenter__(self) -> Self:
        """Give the tracker."""
        return self

    async def __aexit__(self, *_exc: object) -> None:
        """Close it."""
        await self.aclose()

    def __repr__(self) -> str:
        """Name the store, without secrets."""
        return f"UsageTracker(store={self.store!r}, durability={self._durability!r})"

    def __copy__(self) -> Self:
        """Give the tracker itself: a model that is copied records to the same ledger."""
        return self

    def __deepcopy__(self, _memo: object) -> Self:
        """Give the tracker itself."""
        return self

    def __reduce__(self) -> tuple[Callable[..., UsageTracker], tuple[object, ...]]:
        """Open the same ledger in another process."""
        return _reopen, (self._arguments,)

    def _pages(self, filters: RecordFilters) -> Iterator[list[UsageRecord]]:
        wanted = RecordFilter.parse(cast("dict[str, object]", filters))
        self.flush()
        return self._store.pages(wanted)

    def _refuse_closed(self) -> None:
        raise StorageError("The usage tracker is closed; make a new one", code="closed")


def _reopen(arguments: dict[str, Any]) -> UsageTracker:
    return UsageTracker(**arguments)


def _open_store(location: StoreLocation, busy_timeout_s: float, *, is_durable: bool) -> RecordStore:
    try:
        from langchain_tamma_openai.usage.store.sql import SqlStore
    except ModuleNotFoundError as exc:
        if exc.name is None or not exc.name.startswith("sqlalchemy"):
            raise
        from langchain_tamma_openai.usage.store.engine import missing_package

        raise missing_package(location) from exc
    return SqlStore(location, busy_timeout_s=busy_timeout_s, is_durable=is_durable)


def _spill_directory(location: StoreLocation, spill_path: object) -> Path:
    if spill_path is not None:
        if not isinstance(spill_path, str | os.PathLike):
            refuse("spill_path", spill_path, "the path of a directory")
        path = Path(os.path.abspath(spill_path))  # noqa: PTH100 - keeps symbolic links
        if path.exists() and not path.is_dir():
            refuse("spill_path", str(path), "the path of a directory")
        return path
    if location.path is not None:
        return location.path.parent
    state = os.environ.get("XDG_STATE_HOME") or "~/.local/state"
    return Path(state).expanduser() / "langchain-tamma-openai"


def _flat(pages: Iterator[list[Item]]) -> Iterator[Item]:
    return (item for page in pages for item in page)
