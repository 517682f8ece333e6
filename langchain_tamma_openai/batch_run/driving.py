"""Drives the asking of a batch: so many lines at once, until nothing is left or it stops."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from langchain_tamma_openai.batch_run.asking import Asker, LineExchange, Outcome, content_of
from langchain_tamma_openai.batch_run.journal import Event
from langchain_tamma_openai.batch_run.lines import BatchLine
from langchain_tamma_openai.batch_run.problems import BadLine
from langchain_tamma_openai.batch_run.results import bad_line_result, unasked_result
from langchain_tamma_openai.batch_run.scribe import Scribe
from langchain_tamma_openai.batch_run.spending import budget_line
from langchain_tamma_openai.batch_run.stopping import Reach, StopReason, reach_of

if TYPE_CHECKING:
    from langchain_tamma_openai.batch_run.progress import BatchProgress
    from langchain_tamma_openai.batch_run.results import BatchResult
    from langchain_tamma_openai.batch_run.session import Session

_LEAST_UNREACHABLE = 5


@dataclass(slots=True, eq=False)
class _Worker:
    """One of the tasks that ask lines.

    Attributes:
        task: Itself.
        exchange: The request that it makes now; None between two.
    """

    task: asyncio.Task[None] | None = None
    exchange: LineExchange | None = None


@dataclass(frozen=True, slots=True)
class Bounds:
    """How far a drive goes.

    Attributes:
        concurrency: Lines that are asked at once.
        max_errors: Failed lines that are borne; None for any number.
        limit: Lines that are asked; None for all.
    """

    concurrency: int
    max_errors: int | None = None
    limit: int | None = None


class Drive:
    """Asks what is left of a batch.

    Attributes:
        reason: Why it ended, or is about to; None while it goes on.
        error: What stopped it; None where nothing did.
        left_in_flight: Lines that were under way when it was aborted.
    """

    def __init__(
        self,
        session: Session,
        asker: Asker,
        bounds: Bounds,
        progress: BatchProgress,
        on_progress: Callable[[BatchProgress], object] | None = None,
    ) -> None:
        """Prepare.

        Args:
            session: What is left, and where results go.
            asker: Asks.
            bounds: How far to go.
            progress: Is kept up to date.
            on_progress: Is called after each line.
        """
        self.reason: StopReason | None = None
        self.error: Exception | None = None
        self.left_in_flight: list[int] = []
        self._session = session
        self._asker = asker
        self._bounds = bounds
        self._progress = progress
        self._on_progress = on_progress
        budget = session.budget
        self._scribe = Scribe(
            session.sink, None if budget is None else partial(budget_line, budget)
        )
        self._lines: Iterator[BatchLine | BadLine] = itertools.islice(session.left(), bounds.limit)
        needed = min(bounds.concurrency, max(progress.left, 1))
        self._workers = [_Worker() for _ in range(needed)]
        self._unreachable = 0
        self._answered = 0
        self._failed = 0
        self._dead_models: dict[str, int] = {}
        self._began_s = time.monotonic()

    async def run(self) -> None:
        """Ask until nothing is left or it stops.

        Raises:
            OSError: A result cannot be written.
        """
        try:
            async with asyncio.TaskGroup() as tasks:
                for worker in self._workers:
                    worker.task = tasks.create_task(self._work(worker))
        except BaseExceptionGroup as group:
            raise _first(group) from None
        finally:
            await self._scribe.close()
        if self.reason is None:
            self.reason = StopReason.LIMIT if self._is_limited() else StopReason.DONE

    def _is_limited(self) -> bool:
        """Whether lines are left only because no more were wanted this time."""
        limit = self._bounds.limit
        return limit is not None and self._progress.asked >= limit and self._progress.left > 0

    # --- stopping ---

    def halt(self, reason: StopReason, error: Exception | None = None) -> None:
        """Start no more lines, and take back those that wait for leave to be sent.

        Args:
            reason: Why.
            error: What stops it.
        """
        if self.reason is None:
            self.reason, self.error = reason, error
            self._cancel(lambda exchange: not exchange.is_sent)

    def abort(self) -> None:
        """Leave what is under way."""
        self.reason = StopReason.ABORTED
        self._cancel(lambda _: True)

    def _cancel(self, chosen: Callable[[LineExchange], bool]) -> None:
        for worker in self._workers:
            if worker.task and worker.exchange and chosen(worker.exchange):
                worker.task.cancel()

    # --- one task ---

    async def _work(self, worker: _Worker) -> None:
        while self.reason is None and (found := next(self._lines, None)) is not None:
            if isinstance(found, BadLine):
                await self._keep(bad_line_result(found))
            else:
                await self._handle(worker, found)

    async def _handle(self, worker: _Worker, line: BatchLine) -> None:
        if line.model is not None and (first := self._dead_models.get(line.model)) is not None:
            await self._keep(unasked_result(line, first))
            return
        exchange = LineExchange(content_of(line), partial(self._note_sent, line.line))
        outcome = await self._ask(worker, line, exchange)
        if exchange.failure is not None:
            raise exchange.failure
        await self._settle(line, outcome, exchange)

    async def _note_sent(self, line: int, is_first: bool) -> None:  # noqa: FBT001 - as `LineExchange` wants it
        if is_first:
            await self._scribe.note(Event.SENT, line)
            self._progress.in_flight += 1
        else:
            await self._scribe.note_head()

    async def _ask(self, worker: _Worker, line: BatchLine, exchange: LineExchange) -> Outcome:
        worker.exchange = exchange
        try:
            asked_before = self._session.plan.asked_before(line.line)
            return await self._asker.ask(line, exchange, asked_before)
        except asyncio.CancelledError:
            if exchange.is_sent:
                self.left_in_flight.append(line.line)
            raise
        finally:
            worker.exchange = None
            self._progress.in_flight -= exchange.is_noted

    # --- what becomes of a line ---

    async def _settle(self, line: BatchLine, outcome: Outcome, exchange: LineExchange) -> None:
        if outcome.error is None:
            self._answered, self._unreachable = self._answered + 1, 0
            await self._keep(outcome.result)
        elif self._stops_all(line, outcome, outcome.error):
            if exchange.is_sent:  # it was refused, so it can be asked as if new
                await self._scribe.note(Event.UNSENT, line.line)
        else:
            self._count_failure(outcome.error)
            await self._keep(outcome.result)

    def _stops_all(self, line: BatchLine, outcome: Outcome, error: Exception) -> bool:
        """Stop if the next lines would fail in the same way, without having been answered."""
        if outcome.never_arrived:
            return self._is_unreachable(error)
        reach = reach_of(error, line)
        if reach is Reach.MODEL and len(self._session.facts.models) > 1:
            self._dead_models[outcome.result.model or ""] = line.line
            return False
        if reach is Reach.LINE:
            return False
        self.halt(StopReason.BUDGET if reach is Reach.BUDGET else StopReason.ERROR, error)
        return True

    def _is_unreachable(self, error: Exception) -> bool:
        """Say whether a server that did not take one connection is taken to be away."""
        self._unreachable += 1
        enough = max(_LEAST_UNREACHABLE, len(self._workers))
        if not self._answered or self._unreachable >= enough:
            self.halt(StopReason.ERROR, error)
        return self.reason is StopReason.ERROR

    def _count_failure(self, error: Exception) -> None:
        self._failed += 1
        if self._bounds.max_errors is not None and self._failed > self._bounds.max_errors:
            self.halt(StopReason.ERRORS, error)

    async def _keep(self, result: BatchResult) -> None:
        asked_before = self._session.plan.asked_before(result.line)
        if asked_before and not result.asked_before:
            result = replace(result, asked_before=asked_before)
        await self._scribe.keep(result)
        self._progress.take(result)
        self._progress.elapsed_s = time.monotonic() - self._began_s
        if self._on_progress is not None:
            self._on_progress(self._progress)


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    error = group.exceptions[0]
    return _first(error) if isinstance(error, BaseExceptionGroup) else error
