"""Records that are made when the ledger comes to them, and not while a caller waits.

A run that ended well is noted in a few references; labels, checks and sums wait for the writer's
thread or, in memory, for the first question.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import datetime
from typing import TypeAlias
from uuid import UUID

from langchain_tamma_openai.redact import redact_secrets
from langchain_tamma_openai.usage.record import UsageRecord
from langchain_tamma_openai.usage.record_checks import check_amounts
from langchain_tamma_openai.usage.run_records import record_of_answer
from langchain_tamma_openai.usage.runs import OpenRun

logger = logging.getLogger(__name__)


class RecordDraft:
    """A run of ours that ended well; its record is made once, at the first call of `record`.

    Attributes:
        run_id: LangChain's id of the run.
        started_at: When it began; UTC.
    """

    __slots__ = ("_record", "run_id", "started_at")

    def __init__(self, run_id: UUID, started_at: datetime) -> None:
        """Note a run.

        Args:
            run_id: LangChain's id of the run.
            started_at: When it began; UTC.
        """
        self.run_id = run_id
        self.started_at = started_at
        self._record: UsageRecord | None = None

    def record(self) -> UsageRecord:
        """Make the record.

        Raises:
            InvalidParameterError: It has a value that no store could keep.
        """
        made = self._record
        if made is None:
            # Two threads may do this at once: they make the same.
            made = record_of_answer(*self._told())
            check_amounts(made)
            self._record = made
        return made

    def _told(self) -> tuple[OpenRun, float]:
        """Say what is known of the run, and when it ended."""
        raise NotImplementedError


class OpenRunDraft(RecordDraft):
    """A run that a callback handler has heard of."""

    __slots__ = ("_ended_s", "_run")

    def __init__(self, run: OpenRun, ended_s: float) -> None:
        """Note a run that has ended; what is large in it is let go.

        Args:
            run: What is known of it, its log among it.
            ended_s: When it ended, on the clock of `OpenRun.started_s`.
        """
        super().__init__(run.run_id, run.started_at)
        run.messages, run.prompts, run.params, run.received = (), (), {}, []
        self._run, self._ended_s = run, ended_s

    def _told(self) -> tuple[OpenRun, float]:
        run = replace(self._run, attempts=[*self._run.attempts], facts={**self._run.facts})
        run.take_log()
        return run, self._ended_s


Kept: TypeAlias = UsageRecord | RecordDraft


def made(kept: Iterable[Kept]) -> Iterator[UsageRecord]:
    """Make the records that are still to be made; one that cannot be made is said and left out.

    Args:
        kept: Records and drafts.
    """
    for each in kept:
        if isinstance(each, UsageRecord):
            yield each
        elif (record := _made(each)) is not None:
            yield record


def _made(draft: RecordDraft) -> UsageRecord | None:
    try:
        return draft.record()
    except Exception as error:  # noqa: BLE001 - one run must not stand in the way of the others
        logger.error(  # noqa: TRY400 - a traceback's last line may hold a secret
            "No record could be made of the model run %s: %s",
            draft.run_id,
            redact_secrets(f"{type(error).__name__}: {error}"),
        )
        return None
