"""The bounded queue between those who record and the one thread that writes. No I/O."""

from __future__ import annotations

import threading
import time
from collections import deque
from concurrent.futures import Future
from dataclasses import dataclass

from langchain_tamma_openai.errors import StorageError
from langchain_tamma_openai.usage.drafts import Kept

BATCH_RECORDS = 500


@dataclass(slots=True)
class PendingRecord:
    """A record on its way.

    Attributes:
        record: The record, or the draft it is made from.
        ticket: Is done when the record is in the store or in the spill; None when nobody waits.
    """

    record: Kept
    ticket: Future[None] | None = None


class PendingRecords:
    """Records on their way, in order. Safe for threads."""

    def __init__(self, flush_interval_s: float, max_pending: int) -> None:
        """Start empty.

        Args:
            flush_interval_s: Seconds that a record waits for others at most.
            max_pending: Records that wait at most.
        """
        self._flush_interval_s = flush_interval_s
        self._max_pending = max_pending
        self._lock = threading.Lock()
        self._work = threading.Condition(self._lock)
        self._progress = threading.Condition(self._lock)
        self._queue: deque[PendingRecord] = deque()
        self._due_at = 0.0
        self._accepted = 0
        self._settled = 0
        self._waiting = 0  # callers that wait for records to be settled
        self._is_idle = False
        self._is_stopped = False
        self._failure: StorageError | None = None

    def __len__(self) -> int:
        """Count the records that are not settled."""
        return self._accepted - self._settled

    def append(self, pending: PendingRecord) -> bool:
        """Take a record, unless the queue is full."""
        queue = self._queue
        with self._lock:
            if len(queue) >= self._max_pending:
                return False
            if not queue:
                self._due_at = time.monotonic() + self._flush_interval_s
            queue.append(pending)
            self._accepted += 1
            self._waiting += pending.ticket is not None
            if self._is_idle or pending.ticket is not None or len(queue) == BATCH_RECORDS:
                self._work.notify()
        return True

    def wait_for_room(self, timeout_s: float) -> None:
        """Wait until a record may fit again."""
        with self._lock:
            self._progress.wait_for(lambda: len(self._queue) < self._max_pending, timeout_s)

    def next_batch(self, idle_s: float) -> list[PendingRecord] | None:
        """Wait for records that are due.

        Args:
            idle_s: Seconds to wait for the first.

        Returns:
            Records to settle or to put back; none when none came; None when there will be no more.
        """
        with self._lock:
            if not self._queue and not self._is_stopped:
                self._is_idle = True
                self._work.wait(idle_s)
                self._is_idle = False
            while self._queue and (wait_s := self._wait_s()) > 0:
                self._work.wait(wait_s)
            if self._is_stopped and (not self._queue or self._failure is not None):
                return None
            return self._pop()

    def pop_due(self) -> list[PendingRecord]:
        """Give records that are due now, without waiting."""
        with self._lock:
            return self._pop() if self._queue and self._wait_s() <= 0 else []

    def pop_all(self) -> list[PendingRecord]:
        """Give all records that wait."""
        with self._lock:
            taken = list(self._queue)
            self._queue.clear()
            return taken

    def settle(self, batch: list[PendingRecord]) -> None:
        """Say that records are in the store or in the spill."""
        with self._lock:
            self._failure = None
            self._settled += len(batch)
            self._forget_tickets(batch)
            self._progress.notify_all()
        for pending in batch:
            if pending.ticket is not None:
                pending.ticket.set_result(None)

    def put_back(self, batch: list[PendingRecord], failure: StorageError) -> None:
        """Say that neither store nor spill took records; they are the next again."""
        with self._lock:
            self._failure = failure
            self._forget_tickets(batch)
            self._queue.extendleft(PendingRecord(pending.record) for pending in reversed(batch))
            self._progress.notify_all()
        for pending in batch:
            if pending.ticket is not None:
                pending.ticket.set_exception(failure)

    def wait_until_settled(self) -> None:
        """Wait for all records taken so far, which are due from now on.

        Raises:
            StorageError: Neither store nor spill took them.
        """
        with self._lock:
            goal, self._failure = self._accepted, None
            self._waiting += 1
            self._work.notify()
            try:
                while self._settled < goal and self._failure is None and not self._is_stopped:
                    self._progress.wait()
                failure = self._failure if self._settled < goal else None
            finally:
                self._waiting -= 1
        if failure is not None:
            raise failure

    def stop(self) -> None:
        """Let `next_batch` end when the queue is empty."""
        with self._lock:
            self._is_stopped = True
            self._work.notify_all()
            self._progress.notify_all()

    def _pop(self) -> list[PendingRecord]:
        number = min(len(self._queue), BATCH_RECORDS)
        return [self._queue.popleft() for _ in range(number)]

    def _wait_s(self) -> float:
        """Seconds until the queue is due."""
        is_due = self._waiting or self._is_stopped or len(self._queue) >= BATCH_RECORDS
        return 0.0 if is_due else self._due_at - time.monotonic()

    def _forget_tickets(self, batch: list[PendingRecord]) -> None:
        self._waiting -= sum(pending.ticket is not None for pending in batch)
