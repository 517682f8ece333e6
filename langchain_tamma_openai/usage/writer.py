"""What brings records to the store, or else to the spill.

Whoever records appends to a queue and goes on. A background thread writes what has gathered, in one
transaction, when the first of it has waited for the flush interval or when there is much of it.
Whoever needs certainty waits for that transaction, and the thread does not wait at all.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass

from langchain_tamma_openai.errors import StorageError
from langchain_tamma_openai.usage import lifecycle
from langchain_tamma_openai.usage.drafts import Kept, made
from langchain_tamma_openai.usage.pending import PendingRecord, PendingRecords
from langchain_tamma_openai.usage.record import UsageRecord
from langchain_tamma_openai.usage.spill import Spill
from langchain_tamma_openai.usage.store.base import RecordStore
from langchain_tamma_openai.usage.store.engine import RecordRefusedError

logger = logging.getLogger(__name__)

_FULL_WAIT_S = 5.0
_SPILL_CHECK_S = 10.0
_RETRY_FIRST_S = 0.5
_RETRY_MAX_S = 30.0
# What a value that slipped through every check raises while it is made into a row.
_UNFIT = (RecordRefusedError, TypeError, ValueError, AttributeError, ArithmeticError)


@dataclass(slots=True)
class _Outage:
    """When to try a store again that failed: soon at first, then ever more seldom."""

    delay_s: float = 0.0
    until: float = 0.0

    def begin(self, error: StorageError) -> None:
        if not self.delay_s:
            logger.warning("%s. Records go to the spill file until it works again.", error.message)
        self.delay_s = min(max(2 * self.delay_s, _RETRY_FIRST_S), _RETRY_MAX_S)
        self.until = time.monotonic() + self.delay_s

    def end(self) -> bool:
        was_out, self.delay_s, self.until = bool(self.delay_s), 0.0, 0.0
        if was_out:
            logger.warning("The usage ledger works again.")
        return was_out

    def remaining_s(self) -> float:
        return max(0.0, self.until - time.monotonic())


class LedgerWriter:
    """Takes records from any thread, and never forgets one without saying so."""

    def __init__(
        self, store: RecordStore, spill: Spill, *, flush_interval_s: float, max_pending: int
    ) -> None:
        """Start idle; the thread begins with the first record.

        Args:
            store: Where records belong.
            spill: Where they go when the store refuses.
            flush_interval_s: Seconds that a record waits for others at most.
            max_pending: Records that wait at most.
        """
        self._store = store
        self._spill = spill
        self._limits = (flush_interval_s, max_pending)
        self._reset()
        lifecycle.register(self)

    def _reset(self) -> None:
        self._pending = PendingRecords(*self._limits)
        self._outage = _Outage()
        self._next_check = time.monotonic() + _SPILL_CHECK_S
        self._turn = threading.RLock()
        self._start_lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._is_inline = False
        self._is_abandoned = False

    @property
    def pending(self) -> int:
        """Records that are neither in the store nor in the spill yet."""
        return len(self._pending)

    def put(self, record: Kept) -> None:
        """Take a record and go on.

        When the queue is full a thread waits for room, and where there is none, or where an event
        loop must not wait, the record goes to the spill.

        Raises:
            StorageError: The queue is full, and the spill cannot be written.
        """
        self._put(PendingRecord(record))

    def put_and_wait(self, record: UsageRecord) -> None:
        """Take a record and wait until it is in the store or in the spill, flushed to the disk.

        Raises:
            StorageError: Neither takes it. It stays in the queue and is tried again.
        """
        ticket: Future[None] = Future()
        self._put(PendingRecord(record, ticket))
        ticket.result()

    def flush(self) -> None:
        """Wait until everything taken so far is in the store or in the spill.

        Raises:
            StorageError: Neither takes it. It stays in the queue and is tried again.
        """
        if self._is_inline:
            self._drain()
        elif len(self._pending):
            self._ensure_thread()
            self._pending.wait_until_settled()

    def finish(self) -> None:
        """Stop the thread and write what is left. Later records are written at once.

        Raises:
            StorageError: Neither store nor spill take what is left.
        """
        self._pending.stop()
        with self._start_lock:
            thread, self._thread, self._is_inline = self._thread, None, True
        if thread is not None and thread is not threading.current_thread():
            thread.join()
        try:
            self._drain()
        finally:
            with suppress(StorageError):
                self._take_in()
            self._spill.let_go()
            self._store.release()

    def abandon(self) -> None:
        """Let the thread end by itself; for a garbage collector, which must never wait."""
        self._is_abandoned = True

    def take_in(self) -> None:
        """Store what spill files hold; what the store refuses stays there."""
        try:
            self._take_in()
        except StorageError as exc:
            self._outage.begin(exc)

    def before_fork(self) -> None:
        """Let a write come to its end, so that a child inherits no connection."""
        self._store.before_fork()

    def after_fork_in_parent(self) -> None:
        """Go on writing."""
        self._store.after_fork_in_parent()

    def after_fork(self) -> None:
        """Start empty in a child: what waits is the parent's to write."""
        self._reset()
        self._spill.after_fork()
        self._store.after_fork()

    def _put(self, pending: PendingRecord) -> None:
        if not self._pending.append(pending):
            self._put_into_full_queue(pending)
        elif self._is_inline:
            self._drain()
            self._store.release()
        elif self._thread is None:
            self._ensure_thread()

    def _put_into_full_queue(self, pending: PendingRecord) -> None:
        in_loop = _in_event_loop()
        if not in_loop and not self._is_inline:
            self._pending.wait_for_room(_FULL_WAIT_S)
            if self._pending.append(pending):
                return
        # In an event loop the thread flushes it to the disk, unless someone waits for that.
        records = list(made([pending.record]))
        self._spill.append(records, sync=not in_loop or pending.ticket is not None)
        if pending.ticket is not None:
            pending.ticket.set_result(None)

    def _ensure_thread(self) -> None:
        with self._start_lock:
            if self._thread is not None or self._is_inline:
                return
            thread = threading.Thread(target=self._run, name="tamma-usage-ledger", daemon=True)
            lifecycle.hook_into_worker()
            try:
                thread.start()
                self._thread = thread
            except RuntimeError:  # the interpreter is about to end and starts no threads
                self._is_inline = True
        if self._is_inline:
            self._drain()

    def _run(self) -> None:
        while (batch := self._pending.next_batch(self._idle_s())) is not None:
            self._spill.sync()
            if batch:
                self._settle(batch)
            self._look_after_spill()
            if self._is_abandoned:
                self._pending.stop()
        if self._is_abandoned:
            self._store.release()

    def _idle_s(self) -> float:
        return min(_SPILL_CHECK_S, self._outage.remaining_s() or _SPILL_CHECK_S)

    def _settle(self, batch: list[PendingRecord]) -> None:
        try:
            self._write(_records(batch))
        except Exception as cause:  # noqa: BLE001 - whatever it is, records and thread must survive
            exc = cause if isinstance(cause, StorageError) else StorageError(repr(cause))
            logger.log(logging.ERROR, "%s. %s records wait.", exc.message, len(self._pending))
            self._pending.put_back(batch, exc)
            time.sleep(_RETRY_FIRST_S)
        else:
            self._pending.settle(batch)

    def _drain(self) -> None:
        """Write what waits in this thread; raise where neither store nor spill take it."""
        with self._turn:
            batch = self._pending.pop_all()
            try:
                if batch:
                    self._write(_records(batch))
            except StorageError as exc:
                self._pending.put_back(batch, exc)
                raise
            self._pending.settle(batch)

    def _write(self, records: Sequence[UsageRecord]) -> None:
        with self._turn:
            if not self._outage.remaining_s():
                try:
                    self._insert(records)
                except StorageError as exc:
                    self._outage.begin(exc)
                else:
                    if self._outage.end():
                        self._next_check = 0.0
                    return
            self._spill.append(records)

    def _insert(self, records: Sequence[UsageRecord]) -> None:
        """Store records; one that can never be stored does not stand in the way of the others."""
        try:
            self._store.insert(records)
        except _UNFIT as exc:
            if len(records) == 1:
                self._spill.reject_record(records[0], exc)
                return
            for record in records:
                self._insert([record])

    def _look_after_spill(self) -> None:
        now = time.monotonic()
        if now < self._next_check or self._outage.remaining_s():
            return
        self._next_check = now + _SPILL_CHECK_S
        if not self._spill.is_empty():
            self.take_in()

    def _take_in(self) -> None:
        number = self._spill.take_in(self._insert_between)
        if number:
            logger.warning("%s usage records from spill files are in the ledger now.", number)
        self._outage.end()

    def _insert_between(self, records: Sequence[UsageRecord]) -> None:
        """Store records of a spill file, and then those that came in the meantime."""
        with self._turn:
            self._insert(records)
        if threading.current_thread() is self._thread and (batch := self._pending.pop_due()):
            self._settle(batch)


def _records(batch: Sequence[PendingRecord]) -> list[UsageRecord]:
    return list(made(pending.record for pending in batch))


def _in_event_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
