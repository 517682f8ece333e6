"""Runs of a model that has a tracker of its own, told to it without LangChain's callbacks.

A handler among a model's callbacks makes every call dearer, and every chunk. Here the model says
itself when a run begins and ends. Only LangChain's newer events get the handler: their end is seen
by nobody else.
"""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Protocol
from uuid import UUID

from langchain_core.outputs import ChatResult, LLMResult

from langchain_tamma_openai.usage.callbacks import ModelUsageHandler
from langchain_tamma_openai.usage.drafts import RecordDraft
from langchain_tamma_openai.usage.record import AttemptRecord
from langchain_tamma_openai.usage.runs import OpenRun

if TYPE_CHECKING:
    from langchain_core.callbacks import (
        AsyncCallbackManagerForLLMRun,
        CallbackManagerForLLMRun,
    )

    from langchain_tamma_openai.usage.run_log import AttemptDraft, RunLog
    from langchain_tamma_openai.usage.sinks import UsageRecordSink

    RunManager = CallbackManagerForLLMRun | AsyncCallbackManagerForLLMRun


class BegunRun(Protocol):
    """What LangChain knows of a run that begins; a run manager is one."""

    @property
    def run_id(self) -> UUID:
        """Its id."""

    @property
    def parent_run_id(self) -> UUID | None:
        """The run around it."""

    @property
    def tags(self) -> list[str]:
        """Its tags."""

    @property
    def metadata(self) -> dict[str, object]:
        """Its metadata."""


class ModelRuns:
    """Takes the runs of one model for its tracker."""

    def __init__(self, tracker: UsageRecordSink) -> None:
        """Take runs from now on.

        Args:
            tracker: Keeps their records.
        """
        self._handler = ModelUsageHandler(tracker)

    def begin(self, begun: BegunRun) -> ModelRun:
        """Note that a run begins.

        Args:
            begun: What LangChain knows of it, such as its manager.
        """
        return ModelRun(self._handler, begun)

    def record_past(
        self, run_manager: RunManager, log: RunLog, response: LLMResult, error: Exception | None
    ) -> None:
        """Record a run that is over before it is told of; see `usage.past` for its times.

        Args:
            run_manager: LangChain's.
            log: What the model wrote down of it.
            response: What it answered.
            error: What ended it; None for a success.
        """
        parent = run_manager.parent_run_id
        run = OpenRun(
            run_id=run_manager.run_id,
            parent_run_id=parent,
            root_run_id=None if parent is None else self._handler.root_of(parent),
            tags=run_manager.tags,
            metadata=run_manager.metadata,
            log=log,
            has_facts=True,
        )
        run.take_log()
        if error is None:
            self._handler.finish_run(run, response)
        else:
            self._handler.fail_run(run, error)

    def listen(self, run_manager: RunManager) -> None:
        """Hear of the chunks and the end of a run that has begun.

        Args:
            run_manager: LangChain's.
        """
        if self._handler not in run_manager.handlers:
            self._handler.follow(run_manager)
            run_manager.handlers = [self._handler, *run_manager.handlers]


class ModelRun(RecordDraft):
    """A run, from its beginning until its record is made.

    Attributes:
        log: What the model writes down of it; None where it got to no attempt.
    """

    __slots__ = (
        "_begun",
        "_ended_s",
        "_facts",
        "_first_token_s",
        "_handler",
        "_metadata",
        "_only",
        "_parent_run_id",
        "_root_run_id",
        "_started_s",
        "_tags",
        "log",
    )

    def __init__(self, handler: ModelUsageHandler, begun: BegunRun) -> None:
        """Begin.

        Args:
            handler: Makes its record.
            begun: What LangChain knows of it.
        """
        super().__init__(begun.run_id, datetime.now(UTC))
        self._started_s = time.perf_counter()
        self._handler = handler
        self._begun: BegunRun | None = begun
        self._parent_run_id = parent = begun.parent_run_id
        self._root_run_id = None if parent is None else handler.root_of(parent)
        self.log: RunLog | None = None
        self._only: AttemptRecord | AttemptDraft | None = None

    def on_run_log(self, log: RunLog) -> None:
        """Take the log of the run.

        Args:
            log: The log, which goes on growing.
        """
        self.log = log

    def finish(self, result: ChatResult | None = None) -> None:
        """End it well; repeating it changes nothing.

        Args:
            result: What it answered; None for a stream, whose log says all.
        """
        if not self._over(None):
            return
        log, handler = self.log, self._handler
        answered = None if log is None else log.answered
        if log is None or answered is None or not handler.takes_drafts:
            handler.finish_run(self._told()[0], _response(result))
            return
        if len(answered) == 1:
            # Nearly every run: less is kept alive for it.
            self._only, self._facts = answered[0], log.facts
            self._first_token_s, self.log = log.first_token_s, None
        handler.keep(self)

    def fail(self, error: BaseException) -> None:
        """End it otherwise; repeating it changes nothing.

        Args:
            error: What ended it.
        """
        if self._over(error):
            self._handler.fail_run(self._told()[0], error)

    async def afinish(self, result: ChatResult | None = None) -> None:
        """End it well; see `finish`. Where that waits for the disk, a thread does it."""
        if self._handler.run_inline:
            self.finish(result)
        else:
            await asyncio.to_thread(self.finish, result)

    async def afail(self, error: BaseException) -> None:
        """End it otherwise; see `fail`."""
        if self._handler.run_inline or isinstance(error, asyncio.CancelledError):
            self.fail(error)  # once cancelled, nothing may be awaited any more
        else:
            await asyncio.to_thread(self.fail, error)

    def _over(self, error: BaseException | None) -> bool:
        """Take over what LangChain knows of it; False when that was done before."""
        begun = self._begun
        if begun is None:
            return False
        self._ended_s = time.perf_counter()
        self._begun = None
        self._tags, self._metadata = tuple(begun.tags), begun.metadata
        if self.log is not None:
            self.log.end(error)
        return True

    def _told(self) -> tuple[OpenRun, float]:
        log, only = self.log, self._only
        run = OpenRun(
            run_id=self.run_id,
            parent_run_id=self._parent_run_id,
            root_run_id=self._root_run_id,
            started_at=self.started_at,
            started_s=self._started_s,
            tags=self._tags,
            metadata=self._metadata,
            log=log,
            has_facts=log is not None or only is not None,
        )
        if only is not None:
            run.attempts.append(only if isinstance(only, AttemptRecord) else only.record())
            run.facts.update(self._facts)
            run.first_token_s = self._first_token_s
        elif log is not None:
            run.take_log()
            run.first_token_s = log.first_token_s
        run.first_token_s = run.first_token_s or _first_token_s(run)
        return run, self._ended_s


def _response(result: ChatResult | None) -> LLMResult:
    if result is None:
        return LLMResult(generations=[])
    return LLMResult(generations=[result.generations], llm_output=result.llm_output)


def _first_token_s(run: OpenRun) -> float | None:
    """Say when the first chunk of a plain run came that was streamed all the same."""
    for attempt in run.attempts:
        if attempt.time_to_first_token_s is not None:
            waited_s = (attempt.started_at - run.started_at).total_seconds()
            return run.started_s + waited_s + attempt.time_to_first_token_s
    return None
