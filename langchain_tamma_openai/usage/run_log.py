"""The attempts of a model run while it goes on, for whoever writes the run down at its end.

A callback handler learns of a run first and last, the model makes the attempts in between. The
handler says that it watches a run, by the run's id; the model hands it a log; at the end the
handler takes the attempts out of it. A run that nobody watches has no log.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Literal, Protocol
from uuid import UUID

if TYPE_CHECKING:
    from langchain_tamma_openai.usage.record import AttemptRecord

__all__ = ["AttemptDraft", "OpenAttempt", "RunLog", "RunWatcher", "unwatch", "watch", "watchers"]

_MOST_WATCHED = 20_000
_watched: dict[UUID, list[RunWatcher]] = {}


class RunWatcher(Protocol):
    """Writes a run down at its end."""

    def on_run_log(self, log: RunLog) -> None:
        """Take the log of a run that has begun."""


class OpenAttempt(Protocol):
    """An attempt that is under way."""

    def close(self, error: BaseException | None) -> AttemptRecord | None:
        """End it and describe it; None when it has ended before.

        Args:
            error: What ended it; None for a success.
        """


class AttemptDraft(Protocol):
    """An attempt that has ended, and whose record is made when it is asked for."""

    def record(self) -> AttemptRecord:
        """Make the record."""


class RunLog:
    """Attempts of one run, in order, and what only the model knows about the run.

    Attributes:
        run_id: LangChain's id of the run.
        facts: "requested_model", "api", "user", "fallback", "prompt_id", "prompt_version" and the
            like, as far as they apply.
        first_token_s: When the caller got the first chunk, on `time.perf_counter`; None before.
    """

    __slots__ = ("_open", "_records", "facts", "first_token_s", "run_id")

    def __init__(self, run_id: UUID, facts: dict[str, object] | None = None) -> None:
        """Begin without attempts.

        Args:
            run_id: LangChain's id of the run.
            facts: What is known from the start; more is added to it.
        """
        self.run_id = run_id
        self.facts: dict[str, object] = {} if facts is None else facts
        self.first_token_s: float | None = None
        self._records: list[AttemptRecord | AttemptDraft] = []
        self._open: OpenAttempt | None = None

    @property
    def attempts(self) -> int:
        """How many attempts were begun."""
        return len(self._records) + (self._open is not None)

    @property
    def answered(self) -> Sequence[AttemptRecord | AttemptDraft] | None:
        """All attempts, where the last one ended well and its record is still to be made."""
        records = self._records
        if self._open is None and records and hasattr(records[-1], "record"):
            return records
        return None

    def begin(self, attempt: OpenAttempt) -> int:
        """Take an attempt that begins, and return its number, from 1.

        Args:
            attempt: To be closed if nobody else does.
        """
        self._open = attempt
        return len(self._records) + 1

    def forget(self) -> None:
        """Drop the open attempt: nothing was sent."""
        self._open = None

    def add(self, record: AttemptRecord | AttemptDraft) -> None:
        """Take the description of an attempt that has ended.

        Args:
            record: The same attempt.
        """
        self._open = None
        self._records.append(record)

    def close_open(self, attempt: OpenAttempt, record: AttemptRecord | AttemptDraft) -> None:
        """Take the description of an attempt, unless the log has closed it before.

        Args:
            attempt: The attempt that has ended.
            record: Its description.
        """
        if self._open is attempt:
            self.add(record)

    def relabel(self, outcome: Literal["retry", "fallback_loser"]) -> None:
        """Say what became of the last attempt: it is repeated, or another model is asked.

        Args:
            outcome: Its outcome in the light of that.
        """
        from langchain_tamma_openai.usage.record import AttemptOutcome

        if records := self._made():
            records[-1] = replace(records[-1], outcome=AttemptOutcome(outcome))
            self._records[:] = records

    def finish(self, error: BaseException | None = None) -> tuple[AttemptRecord, ...]:
        """Return all attempts; one that is still open ends now.

        Args:
            error: What ended the run; None for a success.
        """
        self.end(error)
        records = self._made()
        self._records[:] = records
        return tuple(records)

    def end(self, error: BaseException | None = None) -> None:
        """End the attempt that is still open; no record is made yet.

        Args:
            error: What ended the run; None for a success.
        """
        if self._open is not None and (record := self._open.close(error)) is not None:
            self.add(record)

    def _made(self) -> list[AttemptRecord]:
        from langchain_tamma_openai.usage.record import AttemptRecord

        return [
            each if isinstance(each, AttemptRecord) else each.record() for each in self._records
        ]


def watch(run_id: UUID, watcher: RunWatcher) -> None:
    """Ask for the log of a run that is about to begin.

    Args:
        run_id: LangChain's id of the run.
        watcher: Who asks.
    """
    if len(_watched) >= _MOST_WATCHED:
        # Runs that never end must not fill the memory; the oldest go first.
        _watched.pop(next(iter(_watched)), None)
    found = _watched.setdefault(run_id, [watcher])
    if watcher not in found:
        found.append(watcher)


def unwatch(run_id: UUID, watcher: RunWatcher) -> None:
    """Forget that someone watches a run, because it is over.

    Args:
        run_id: LangChain's id of the run.
        watcher: Who.
    """
    found = _watched.get(run_id)
    if found is None:
        return
    if len(found) == 1 and found[0] is watcher:
        _watched.pop(run_id, None)
        return
    left = [other for other in found if other is not watcher]
    if left:
        _watched[run_id] = left
    else:
        _watched.pop(run_id, None)


def watchers(run_id: UUID | None) -> list[RunWatcher]:
    """Return who watches a run.

    Args:
        run_id: LangChain's id of the run; None for a run without callbacks.
    """
    if run_id is None or not _watched:
        return []
    return _watched.get(run_id, [])
