"""Usage records in the memory of the process."""

from __future__ import annotations

import logging
import threading
import warnings
from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import islice
from operator import attrgetter

from langchain_tamma_openai.usage.drafts import Kept, RecordDraft, made
from langchain_tamma_openai.usage.filters import RecordFilter
from langchain_tamma_openai.usage.percentiles import GroupKey, Quantiles, quantiles_of
from langchain_tamma_openai.usage.record import UsageRecord
from langchain_tamma_openai.usage.report.figures import LedgerFigures, ReportPlan
from langchain_tamma_openai.usage.store.base import PAGE_ROWS
from langchain_tamma_openai.usage.summary import (
    UsageSummary,
    keys_of,
    summarize,
    time_us,
)

logger = logging.getLogger(__name__)
_by_start = attrgetter("started_at")


class MemoryStore:
    """The last runs of this process; the oldest make room for new ones."""

    def __init__(self, max_records: int) -> None:
        """Start empty.

        Args:
            max_records: How many runs to keep.
        """
        self.dropped_records = 0
        self._max_records = max_records
        self._records: dict[int, Kept] = {}  # by the number of the run's id
        self._lock = threading.Lock()

    def insert(self, records: Sequence[Kept]) -> None:
        """Keep records; a run id that is known already is left out."""
        with self._lock:
            for record in records:
                self._records.setdefault(record.run_id.int, record)
            excess = len(self._records) - self._max_records
            for run_id in list(islice(self._records, max(0, excess))):
                del self._records[run_id]
        if excess > 0:
            self._count_dropped(excess)

    def keep(self, draft: RecordDraft) -> None:
        """Keep a run whose record is made when it is asked for.

        Args:
            draft: The run.
        """
        if len(self._records) >= self._max_records:
            self.insert([draft])
            return
        with self._lock:
            self._records.setdefault(draft.run_id.int, draft)

    def pages(self, wanted: RecordFilter, *, whole: bool = True) -> Iterator[list[UsageRecord]]:
        """Give records by start, as they are at this moment."""
        del whole  # the attempts are there anyway
        found = sorted(self._matching(wanted), key=_by_start)
        for first in range(0, len(found), PAGE_ROWS):
            yield found[first : first + PAGE_ROWS]

    def summary(self, wanted: RecordFilter, group_by: Sequence[str]) -> UsageSummary:
        """Add up the records that are wanted."""
        return summarize(self._matching(wanted), group_by, (wanted.start, wanted.end))

    def report(self, wanted: RecordFilter, plan: ReportPlan) -> LedgerFigures:
        """Read what a report needs, from the records as they are at this moment."""
        from langchain_tamma_openai.usage.store.report_memory import read_figures

        return read_figures(self._matching(wanted), plan)

    def quantiles(
        self, wanted: RecordFilter, group_by: Sequence[str], measure: str
    ) -> dict[GroupKey, Quantiles]:
        """Order the times of the runs that are wanted."""
        runs = [record for record in self._matching(wanted) if not record.cache_hit]
        return quantiles_of(
            (key, time_us(record, measure)) for record in runs for key in keys_of(record, group_by)
        )

    def clear(self, before: datetime) -> int:
        """Forget the runs that started before a moment, and say how many there were."""
        with self._lock:
            old = [run_id for run_id, kept in self._records.items() if kept.started_at < before]
            for run_id in old:
                del self._records[run_id]
        return len(old)

    def release(self) -> None:
        """Keep everything: there is no connection to close."""

    def before_fork(self) -> None:
        """Wait until nobody writes, so that the copy is whole."""
        self._lock.acquire()

    def after_fork_in_parent(self) -> None:
        """Go on writing."""
        self._lock.release()

    def after_fork(self) -> None:
        """In a child: go on with a copy of the parent's records."""
        self._lock = threading.Lock()

    def _matching(self, wanted: RecordFilter) -> list[UsageRecord]:
        with self._lock:
            kept = list(self._records.values())
        records = list(made(kept))
        if any(isinstance(each, RecordDraft) for each in kept):
            self._replace(records)
        return [record for record in records if wanted.matches(record)]

    def _replace(self, records: Sequence[UsageRecord]) -> None:
        """Keep records in place of what they were made from."""
        with self._lock:
            for record in records:
                if record.run_id.int in self._records:
                    self._records[record.run_id.int] = record

    def _count_dropped(self, number: int) -> None:
        is_first, self.dropped_records = not self.dropped_records, self.dropped_records + number
        if is_first:
            _warn_of_dropping(self._max_records)


def _warn_of_dropping(max_records: int) -> None:
    message = (
        f"The usage tracker in memory is full: it keeps the last {max_records} runs and forgets "
        "older ones. Raise max_records, or keep all with store='sqlite:///usage.db'."
    )
    logger.warning(message)
    try:
        warnings.warn(message, UserWarning, stacklevel=5)
    except UserWarning:
        # Warnings are errors here, and keeping records must not fail a call.
        return
