"""Who takes records: the small contract between handlers and whatever keeps or shows runs."""

from __future__ import annotations

from typing import ClassVar, Protocol

from langchain_tamma_openai.usage.record import UsageRecord


class UsageRecordSink(Protocol):
    """Anything that takes the record of every run, such as `UsageTracker`.

    `accepts_usage_records = True` on the class tells it from a sink of plain `RunUsage`. One whose
    `durability` is "sync" may block in `record`; async code then calls it in a thread.
    """

    accepts_usage_records: ClassVar[bool]

    def record(self, record: UsageRecord, /) -> None:
        """Take one run."""
        ...


def accepts_records(sink: object) -> bool:
    """Whether a sink takes `UsageRecord`.

    Args:
        sink: Anything given as a tracker.
    """
    return getattr(sink, "accepts_usage_records", False) is True
