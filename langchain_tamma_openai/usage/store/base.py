"""What every store of usage records can do."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Protocol

from langchain_tamma_openai.usage.filters import RecordFilter
from langchain_tamma_openai.usage.percentiles import GroupKey, Quantiles
from langchain_tamma_openai.usage.record import UsageRecord
from langchain_tamma_openai.usage.report.figures import LedgerFigures, ReportPlan
from langchain_tamma_openai.usage.summary import UsageSummary

PAGE_ROWS = 1000


class RecordStore(Protocol):
    """A store of usage records. Safe for threads; its errors are `StorageError`s."""

    def insert(self, records: Sequence[UsageRecord]) -> None:
        """Keep records, all of them or none; a run id that is known already is left out."""

    def pages(self, wanted: RecordFilter, *, whole: bool = True) -> Iterator[list[UsageRecord]]:
        """Give records by start, a page at a time, holding nothing between two pages.

        Args:
            wanted: Which records.
            whole: Whether they come with their attempts.
        """

    def summary(self, wanted: RecordFilter, group_by: Sequence[str]) -> UsageSummary:
        """Add up the records that are wanted."""

    def report(self, wanted: RecordFilter, plan: ReportPlan) -> LedgerFigures:
        """Read what a report needs of the records that are wanted, all at one moment."""

    def quantiles(
        self, wanted: RecordFilter, group_by: Sequence[str], measure: str
    ) -> dict[GroupKey, Quantiles]:
        """Order the times of the runs that are wanted, but for answers out of a cache.

        Args:
            wanted: Which runs.
            group_by: Names to group by.
            measure: "latency_us" or "first_token_us".
        """

    def clear(self, before: datetime) -> int:
        """Forget the runs that started before a moment, and say how many there were."""

    def release(self) -> None:
        """Close connections; the next use opens them again."""

    def before_fork(self) -> None:
        """Let go of what a child must not inherit, and let nobody write."""

    def after_fork_in_parent(self) -> None:
        """Go on writing."""

    def after_fork(self) -> None:
        """In a child: let go of everything that belongs to the parent process."""
