"""How far a job is: one batch of the API, or several taken together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any


class BatchState(StrEnum):
    """Where a batch is, in the API's words."""

    VALIDATING = "validating"
    IN_PROGRESS = "in_progress"
    FINALIZING = "finalizing"
    COMPLETED = "completed"
    EXPIRED = "expired"
    """The day was over; what was answered until then is there, and billed."""
    CANCELLING = "cancelling"
    CANCELLED = "cancelled"
    """What was answered until then is there, and billed."""
    FAILED = "failed"
    """The API refused the file; nothing was answered."""

    @property
    def is_ended(self) -> bool:
        """Whether nothing more will happen."""
        return self in _ENDED


_ENDED = frozenset(
    (BatchState.COMPLETED, BatchState.EXPIRED, BatchState.CANCELLED, BatchState.FAILED)
)
_COURSE = (
    BatchState.CANCELLING,
    BatchState.VALIDATING,
    BatchState.IN_PROGRESS,
    BatchState.FINALIZING,
    BatchState.FAILED,
    BatchState.EXPIRED,
    BatchState.CANCELLED,
    BatchState.COMPLETED,
)
"""Of several batches the job is where the first of these is."""


@dataclass(frozen=True, slots=True)
class BatchProblem:
    """Why the API refused a file.

    Attributes:
        code: The API's word for it.
        message: What it says.
        line: The line of the file, from 1; None where it is about the whole.
        param: The parameter at fault.
    """

    code: str | None = None
    message: str | None = None
    line: int | None = None
    param: str | None = None


@dataclass(frozen=True, slots=True)
class BatchStatus:
    """How far a job, or one batch of it, is.

    Attributes:
        id: Id of the job; of the batch for a part.
        state: Where it is.
        total: Requests in all.
        completed: Requests that were answered.
        failed: Requests that failed.
        created_at: When it was submitted; UTC.
        expires_at: When what is not answered is given up; UTC.
        ended_at: When it ended; None while it has not.
        problems: Why the API refused a file.
        parts: The batches of the API, where the job has more than one; each has no parts.
        input_file_id: The API's id of the requests.
        output_file_id: The API's id of the answers.
        error_file_id: The API's id of the failures.
    """

    id: str
    state: BatchState
    total: int = 0
    completed: int = 0
    failed: int = 0
    created_at: datetime | None = None
    expires_at: datetime | None = None
    ended_at: datetime | None = None
    problems: tuple[BatchProblem, ...] = ()
    parts: tuple[BatchStatus, ...] = ()
    input_file_id: str | None = None
    output_file_id: str | None = None
    error_file_id: str | None = None

    @property
    def done(self) -> bool:
        """Whether nothing more will happen; the results can be fetched."""
        return self.state.is_ended

    @property
    def pending(self) -> int:
        """Requests that are neither answered nor failed yet."""
        return max(0, self.total - self.completed - self.failed)


def read_batch(raw: Mapping[str, Any]) -> BatchStatus:
    """Read a batch as the API describes it.

    Args:
        raw: The JSON object.

    Raises:
        MalformedResponseError: It is none.
    """
    try:
        state = BatchState(raw["status"])
        ident = raw["id"]
    except (KeyError, ValueError) as error:
        from langchain_tamma_openai.errors import MalformedResponseError

        raise MalformedResponseError(
            f"The server's answer is no batch: its keys are {sorted(map(str, raw))} and its status "
            f"is {raw.get('status')!r}. Check that `base_url` names a server with the Batch API."
        ) from error
    counts = raw.get("request_counts") or {}
    ends = (raw.get(f"{name}_at") for name in ("completed", "failed", "expired", "cancelled"))
    return BatchStatus(
        id=str(ident),
        state=state,
        total=_count(counts.get("total")),
        completed=_count(counts.get("completed")),
        failed=_count(counts.get("failed")),
        created_at=_moment(raw.get("created_at")),
        expires_at=_moment(raw.get("expires_at")),
        ended_at=next((_moment(end) for end in ends if end), None) if state.is_ended else None,
        problems=tuple(_problems(raw.get("errors"))),
        input_file_id=_text(raw.get("input_file_id")),
        output_file_id=_text(raw.get("output_file_id")),
        error_file_id=_text(raw.get("error_file_id")),
    )


def joined(ident: str, parts: Sequence[BatchStatus]) -> BatchStatus:
    """Take the batches of a job together.

    Args:
        ident: The job's id.
        parts: At least one.
    """
    ended = [part.ended_at for part in parts if part.ended_at is not None]
    created = [part.created_at for part in parts if part.created_at is not None]
    expires = [part.expires_at for part in parts if part.expires_at is not None]
    only = parts[0] if len(parts) == 1 else None
    return BatchStatus(
        id=ident,
        state=min((part.state for part in parts), key=_COURSE.index),
        total=sum(part.total for part in parts),
        completed=sum(part.completed for part in parts),
        failed=sum(part.failed for part in parts),
        created_at=min(created, default=None),
        expires_at=max(expires, default=None),
        ended_at=max(ended) if len(ended) == len(parts) else None,
        problems=tuple(problem for part in parts for problem in part.problems),
        parts=() if only else tuple(parts),
        input_file_id=only.input_file_id if only else None,
        output_file_id=only.output_file_id if only else None,
        error_file_id=only.error_file_id if only else None,
    )


def _problems(raw: object) -> list[BatchProblem]:
    data = raw.get("data") if isinstance(raw, Mapping) else None
    found = [each for each in data or () if isinstance(each, Mapping)]
    return [
        BatchProblem(
            _text(each.get("code")),
            _text(each.get("message")),
            line if isinstance(line := each.get("line"), int) else None,
            _text(each.get("param")),
        )
        for each in found
    ]


def _count(value: object) -> int:
    return value if isinstance(value, int) and value > 0 else 0


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _moment(value: object) -> datetime | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or value <= 0:
        return None
    return datetime.fromtimestamp(value, UTC)
