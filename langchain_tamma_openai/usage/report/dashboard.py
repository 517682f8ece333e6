"""The report of a ledger as it is now, for a server to show. No HTTP in here."""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from langchain_tamma_openai.usage.report.gather import ReportOptions, gather
from langchain_tamma_openai.usage.report.page import Live, charts_of, page_html, page_parts

if TYPE_CHECKING:
    from langchain_tamma_openai.usage.filters import RecordFilters
    from langchain_tamma_openai.usage.report.data import UsageReport
    from langchain_tamma_openai.usage.summary import UsageSummary
    from langchain_tamma_openai.usage.tracker import UsageTracker

NEWS_PATH = "live.json"
_OLDEST_S = 60.0
"""A report is made anew after this time even if nothing ran: forecasts and ranges move on."""


@dataclass(frozen=True, slots=True)
class Shown:
    """What is shown at one time.

    Attributes:
        report: The report.
        news: Its changing parts and charts as JSON.
        tag: Of the news: equal news have equal tags.
    """

    report: UsageReport
    news: bytes
    tag: str


class Dashboard:
    """Keeps a report up to date, however many look at it. Safe for threads."""

    def __init__(
        self,
        tracker: UsageTracker,
        options: ReportOptions,
        filters: Callable[[], RecordFilters],
        interval_s: float = 5.0,
    ) -> None:
        """Prepare it; nothing is read yet.

        Args:
            tracker: The ledger.
            options: How the report is made.
            filters: Which runs, asked anew for each report: a range may move with the time.
            interval_s: Seconds between two looks at the ledger, at least.
        """
        self._tracker = tracker
        self._options = options
        self._filters = filters
        self._interval_s = interval_s
        self._lock = threading.Lock()
        self._looked_s = 0.0
        self._made_s = 0.0
        self._total: UsageSummary | None = None
        self._shown: Shown | None = None

    def shown(self) -> Shown:
        """Give what is to be shown now.

        Raises:
            StorageError: The ledger cannot be read.
        """
        with self._lock:
            now_s = time.monotonic()
            if self._shown is None or now_s - self._looked_s >= self._interval_s:
                self._shown = self._look(now_s)
                self._looked_s = now_s
            return self._shown

    def page(self) -> str:
        """Write the page, which then asks for news by itself.

        Raises:
            ConfigurationError: `vl-convert-python` is missing (extra `dashboard`).
            StorageError: The ledger cannot be read.
        """
        shown = self.shown()
        return page_html(shown.report, Live(NEWS_PATH, self._interval_s, shown.tag))

    def _look(self, now_s: float) -> Shown:
        """Make the report again if any run came or went, or if it is old."""
        filters: dict[str, Any] = {**self._filters()}
        total = self._tracker.summary(**filters)
        is_same = self._total is not None and total.as_dict() == self._total.as_dict()
        if self._shown is not None and is_same and now_s - self._made_s < _OLDEST_S:
            return self._shown
        shown = _shown(gather(self._tracker, self._options, filters))
        self._total, self._made_s = total, now_s
        return shown


def _shown(report: UsageReport) -> Shown:
    sections = report.sections()
    news: Mapping[str, object] = {
        "parts": page_parts(report, sections),
        "charts": charts_of(sections),
    }
    text = json.dumps(news, ensure_ascii=False, separators=(",", ":")).encode()
    return Shown(report, text, f'"{hashlib.sha256(text).hexdigest()[:32]}"')
