"""Asks the API how far a job is, waits for its end, and cancels it."""

from __future__ import annotations

import logging
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from langchain_tamma_openai.batches.journal import Entry, Part
from langchain_tamma_openai.batches.looking import read
from langchain_tamma_openai.batches.status import BatchStatus, joined, read_batch
from langchain_tamma_openai.batches.steps import Ask, Flow, Pause, Work
from langchain_tamma_openai.errors import ConflictError, InvalidRequestError, TammaError
from langchain_tamma_openai.resilience.deadline import Deadline
from langchain_tamma_openai.resilience.headers import parse_retry_after

logger = logging.getLogger(__name__)

OnProgress = Callable[[BatchStatus], object]

_GROWTH = 1.5
_LONGEST_PAUSE_S = 60.0
_MOST_FAILED_POLLS = 20


@dataclass(slots=True)
class Known:
    """What the API last said of a job.

    Attributes:
        entry: The job.
        parts: Its batches, by the number of their file.
        retry_after_s: Seconds that the API asked to wait; None when it did not.
    """

    entry: Entry
    parts: dict[int, BatchStatus] = field(default_factory=dict)
    retry_after_s: float | None = None

    @property
    def is_ended(self) -> bool:
        """Whether all batches are known to have ended."""
        ended = [part for part in self.parts.values() if part.done]
        return len(ended) == len(self.entry.parts)

    def status(self) -> BatchStatus:
        """Take the batches together."""
        return joined(self.entry.id, [self.parts[part.number] for part in self.entry.parts])

    def take(self, part: Part, response: Any) -> None:
        """Take an answer about one batch."""
        self.parts[part.number] = read_batch(read(response))
        asked = parse_retry_after(response.headers)
        if asked is not None:
            self.retry_after_s = max(asked, self.retry_after_s or 0.0)


def polling(known: Known) -> Flow[BatchStatus]:
    """Ask how far a job is; batches that have ended are not asked again.

    Args:
        known: What is known; it is brought up to date.
    """
    known.retry_after_s = None
    for part in known.entry.parts:
        status = known.parts.get(part.number)
        if status is None or not status.done:
            known.take(part, (yield Ask("get", f"/batches/{part.batch_id}")))
    return known.status()


def waiting(
    known: Known, timeout_s: float | None, interval_s: float, on_progress: OnProgress | None
) -> Flow[BatchStatus]:
    """Ask until a job has ended, after ever longer pauses.

    Args:
        known: What is known; it is brought up to date.
        timeout_s: Longest wait in seconds; None for no limit.
        interval_s: The first pause in seconds.
        on_progress: Told of each answer.

    Raises:
        RequestTimeoutError: The job has not ended by then; it goes on.
        TammaError: The API refuses, or cannot be reached for long.
    """
    deadline = Deadline(timeout_s, "timeout_s")
    pause_s, failures = interval_s, 0
    while True:
        try:
            status = yield from polling(known)
            failures = 0
        except TammaError as error:
            failures += 1
            if not error.retryable or failures >= _MOST_FAILED_POLLS:
                raise
            logger.warning("The API did not say how far the job %s is: %s", known.entry.id, error)
            known.retry_after_s = error.retry_after_s
        else:
            if on_progress is not None:
                yield Work(partial(on_progress, status))
            if status.done:
                return status
        # Many jobs that began together must not all ask at the same moments.
        wait_s = max(pause_s * random.uniform(0.9, 1.1), known.retry_after_s or 0.0)  # noqa: S311 - no secret
        _check_time(deadline, wait_s, known)
        yield Pause(wait_s)
        pause_s = min(pause_s * _GROWTH, max(_LONGEST_PAUSE_S, interval_s))


def _check_time(deadline: Deadline, wait_s: float, known: Known) -> None:
    left_s = deadline.left_s
    if left_s is None or wait_s < left_s:
        return
    from langchain_tamma_openai.errors import RequestTimeoutError

    state = known.status().state.value if known.parts else "unknown"
    raise RequestTimeoutError(
        f"The job {known.entry.id!r} has not ended within {deadline.limit_s:g} s, its state is "
        f"{state}. It goes on: wait again, now or later, with BatchJob.load({known.entry.id!r})"
    )


def cancelling(known: Known) -> Flow[BatchStatus]:
    """Cancel the batches of a job that have not ended.

    Args:
        known: What is known; it is brought up to date.
    """
    yield from polling(known)
    for part in known.entry.parts:
        if not known.parts[part.number].done:
            try:
                known.take(part, (yield Ask("post", f"/batches/{part.batch_id}/cancel")))
            except (ConflictError, InvalidRequestError):
                # It has ended in the meantime.
                known.take(part, (yield Ask("get", f"/batches/{part.batch_id}")))
                if not known.parts[part.number].done:
                    raise
    return known.status()
