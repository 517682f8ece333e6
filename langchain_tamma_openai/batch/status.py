"""How far a batch is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any


class BatchState(StrEnum):
    """States of the provider's batches; a job is in the state of the one that is least far."""

    SUBMITTING = "submitting"
    """Not all of it is known to be with the provider."""
    VALIDATING = "validating"
    IN_PROGRESS = "in_progress"
    FINALIZING = "finalizing"
    CANCELLING = "cancelling"
    COMPLETED = "completed"
    FAILED = "failed"
    EXPIRED = "expired"
    CANCELLED = "cancelled"


_ORDER = tuple(BatchState)
_ENDS = frozenset(_ORDER[_ORDER.index(BatchState.COMPLETED) :])


@dataclass(frozen=True, slots=True)
class BatchStatus:
    """How far a job is.

    Attributes:
        state: The state of the batch that is least far; a job of one batch has that one's.
        total: Requests in all.
        completed: Requests that were answered.
        failed: Requests that failed.
        batch_ids: The provider's ids.
        expires_at: When the provider gives up; UTC.
        errors: What the provider says against whole batches.
    """

    state: BatchState
    total: int = 0
    completed: int = 0
    failed: int = 0
    batch_ids: tuple[str, ...] = ()
    expires_at: datetime | None = None
    errors: tuple[str, ...] = ()

    @property
    def done(self) -> bool:
        """Whether nothing more will happen."""
        return self.state in _ENDS


def read_status(batches: Sequence[Mapping[str, Any]], total: int, missing: int) -> BatchStatus:
    """Put the states of batches together.

    Args:
        batches: The provider's objects.
        total: Requests of the job.
        missing: Parts that have no batch yet.
    """
    states = [_state(batch) for batch in batches] + [BatchState.SUBMITTING] * bool(missing)
    counts = [batch.get("request_counts") or {} for batch in batches]
    expiries = [batch["expires_at"] for batch in batches if batch.get("expires_at")]
    return BatchStatus(
        state=_least_far(states),
        total=total,
        completed=sum(int(count.get("completed") or 0) for count in counts),
        failed=sum(int(count.get("failed") or 0) for count in counts),
        batch_ids=tuple(str(batch["id"]) for batch in batches),
        expires_at=datetime.fromtimestamp(max(expiries), UTC) if expiries else None,
        errors=tuple(text for batch in batches for text in _errors(batch)),
    )


def _state(batch: Mapping[str, Any]) -> BatchState:
    try:
        return BatchState(str(batch.get("status")))
    except ValueError:
        return BatchState.IN_PROGRESS


def _least_far(states: Sequence[BatchState]) -> BatchState:
    """Unfinished before finished, and among the finished a failure before a success."""
    open_ones = [state for state in states if state not in _ENDS]
    if open_ones:
        return min(open_ones, key=_ORDER.index)
    return max(states, key=_ORDER.index, default=BatchState.COMPLETED)


def _errors(batch: Mapping[str, Any]) -> list[str]:
    listed = (batch.get("errors") or {}).get("data") or ()
    return [
        f"{error.get('message') or error.get('code') or 'unknown error'}{_where(error)}"
        for error in listed
    ]


def _where(error: Mapping[str, Any]) -> str:
    return f" (line {error['line']})" if error.get("line") else ""
