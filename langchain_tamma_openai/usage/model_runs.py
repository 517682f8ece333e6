"""Runs of a model that has a tracker of its own, told to it without LangChain's callbacks.

A handler among a model's callbacks makes every call dearer. Here the model says itself when a plain
run begins and ends; only a streamed run, whose chunks LangChain hands out, gets the handler.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, NamedTuple
from uuid import UUID

from langchain_core.callbacks import BaseCallbackManager
from langchain_core.outputs import ChatResult, LLMResult
from langchain_core.runnables.config import ensure_config

from langchain_tamma_openai.usage.callbacks import ModelUsageHandler
from langchain_tamma_openai.usage.drafts import RecordDraft
from langchain_tamma_openai.usage.run_log import unwatch, watch
from langchain_tamma_openai.usage.runs import OpenRun

if TYPE_CHECKING:
    from langchain_core.callbacks import (
        AsyncCallbackManagerForLLMRun,
        CallbackManagerForLLMRun,
    )
    from langchain_core.runnables import RunnableConfig

    from langchain_tamma_openai.usage.run_log import RunLog
    from langchain_tamma_openai.usage.sinks import UsageRecordSink

    RunManager = CallbackManagerForLLMRun | AsyncCallbackManagerForLLMRun


class ModelRuns:
    """Takes the runs of one model for its tracker."""

    def __init__(self, tracker: UsageRecordSink) -> None:
        """Take runs from now on.

        Args:
            tracker: Keeps their records.
        """
        self._handler = ModelUsageHandler(tracker)

    def begin(self, run_manager: RunManager) -> PlainRun:
        """Note that a plain run begins.

        Args:
            run_manager: LangChain's.
        """
        return PlainRun(self._handler, run_manager)

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

    def listening(self, config: RunnableConfig | None) -> RunnableConfig:
        """Hear of the run of a streamed call, from its beginning.

        Args:
            config: The caller's configuration.

        Returns:
            The same with our handler among its callbacks.
        """
        given = ensure_config(config).get("callbacks")
        if isinstance(given, BaseCallbackManager):
            manager = given.copy()
            manager.add_handler(self._handler, inherit=False)
            return {**(config or {}), "callbacks": manager}
        return {**(config or {}), "callbacks": [*(given or ()), self._handler]}

    def listen(self, run_manager: RunManager) -> None:
        """Hear of the chunks and the end of a run that has begun.

        Args:
            run_manager: LangChain's.
        """
        if self._handler not in run_manager.handlers:
            self._handler.follow(run_manager)
            run_manager.handlers = [self._handler, *run_manager.handlers]


class _Known(NamedTuple):
    """What is known of a run that ended."""

    started_s: float
    ended_s: float
    log: RunLog | None
    parent_run_id: UUID | None
    root_run_id: UUID | None
    tags: Sequence[str]
    metadata: Mapping[str, object]


class PlainRun(RecordDraft[_Known]):
    """A plain run, from its beginning until its record is made.

    Attributes:
        log: What the model writes down of it; None where it got to no attempt.
    """

    __slots__ = ("_handler", "_manager", "_root_run_id", "_started_s", "log")

    def __init__(self, handler: ModelUsageHandler, manager: RunManager) -> None:
        """Begin.

        Args:
            handler: Makes its record.
            manager: LangChain's.
        """
        super().__init__(manager.run_id, datetime.now(UTC))
        self._started_s = time.perf_counter()
        self._handler = handler
        self._manager: RunManager | None = manager
        parent = manager.parent_run_id
        self._root_run_id = None if parent is None else handler.root_of(parent)
        self.log: RunLog | None = None
        watch(self.run_id, self)

    def on_run_log(self, log: RunLog) -> None:
        """Take the log of the run.

        Args:
            log: The log, which goes on growing.
        """
        self.log = log

    def finish(self, result: ChatResult) -> None:
        """End it well; repeating it changes nothing.

        Args:
            result: What it answered.
        """
        ended_s = time.perf_counter()
        if (manager := self._over(None)) is None:
            return
        log, handler, known = self.log, self._handler, self._known_of(manager, ended_s)
        if log is not None and handler.may_defer(log):
            self._known = known
            handler.keep(self)
            return
        response = LLMResult(generations=[result.generations], llm_output=result.llm_output)
        handler.finish_run(self._told(known)[0], response)

    def fail(self, error: BaseException) -> None:
        """End it otherwise; repeating it changes nothing.

        Args:
            error: What ended it.
        """
        if (manager := self._over(error)) is not None:
            known = self._known_of(manager, time.perf_counter())
            self._handler.fail_run(self._told(known)[0], error)

    async def afinish(self, result: ChatResult) -> None:
        """End it well; see `finish`. Where that waits for the disk, a thread does it."""
        await self._in_turn(partial(self.finish, result))

    async def afail(self, error: BaseException) -> None:
        """End it otherwise; see `fail`."""
        if isinstance(error, asyncio.CancelledError):
            self.fail(error)  # nothing may be awaited any more
        else:
            await self._in_turn(partial(self.fail, error))

    async def _in_turn(self, work: Callable[[], None]) -> None:
        if self._handler.run_inline:
            work()
        else:
            await asyncio.to_thread(work)

    def _over(self, error: BaseException | None) -> RunManager | None:
        """Let go of the manager; None when that was done before."""
        manager, self._manager = self._manager, None
        if manager is not None:
            unwatch(self.run_id, self)
            if self.log is not None:
                self.log.end(error)
        return manager

    def _known_of(self, manager: RunManager, ended_s: float) -> _Known:
        return _Known(
            self._started_s,
            ended_s,
            self.log,
            manager.parent_run_id,
            self._root_run_id,
            manager.tags,
            manager.metadata,
        )

    def _told(self, known: _Known) -> tuple[OpenRun, float]:
        run = OpenRun(
            run_id=self.run_id,
            parent_run_id=known.parent_run_id,
            root_run_id=known.root_run_id,
            started_at=self.started_at,
            started_s=known.started_s,
            tags=known.tags,
            metadata=known.metadata,
            log=known.log,
            has_facts=known.log is not None,
        )
        run.take_log()
        run.first_token_s = _first_token_s(run)
        return run, known.ended_s


def _first_token_s(run: OpenRun) -> float | None:
    """Say when the first chunk of a plain run came that was streamed all the same."""
    for attempt in run.attempts:
        if attempt.time_to_first_token_s is not None:
            waited_s = (attempt.started_at - run.started_at).total_seconds()
            return run.started_s + waited_s + attempt.time_to_first_token_s
    return None
