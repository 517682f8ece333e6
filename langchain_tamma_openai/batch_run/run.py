"""`BatchRun`: asks a model every line of a file, and goes on where it was interrupted."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable
from contextlib import suppress
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from langchain_tamma_openai.batch_run.asking import Api, Asker
from langchain_tamma_openai.batch_run.driving import Bounds, Drive
from langchain_tamma_openai.batch_run.files import STANDARD, BatchInput, InputFacts
from langchain_tamma_openai.batch_run.problems import BatchConflictError, BatchInputError
from langchain_tamma_openai.batch_run.progress import BatchProgress, BatchSummary, UnknownOutcome
from langchain_tamma_openai.batch_run.session import Session, Wishes, look
from langchain_tamma_openai.batch_run.settings import settings_of
from langchain_tamma_openai.batch_run.stopping import StopReason, message_of
from langchain_tamma_openai.resilience.bounds import check_choice, check_positive_count, refuse
from langchain_tamma_openai.usage.budget_amounts import read_usd

if TYPE_CHECKING:
    from langchain_tamma_openai.batch_run.estimate import BatchEstimate
    from langchain_tamma_openai.chat_models.base import ChatTammaOpenAI

logger = logging.getLogger(__name__)

OnBadLine = Literal["fail", "skip", "record"]
InFlight = Literal["ask", "skip"]


class BatchRun:
    """Asks a model every line of a JSON lines file, and writes each result once into another.

    A run that was interrupted, by `stop`, a crash or a kill, is gone on with by making another one
    with the same input and output: lines with a result are never asked again, and those that were
    under way are listed as sent, outcome unknown. A journal beside the output keeps what was sent;
    its lock keeps other processes away.

    Attributes:
        progress: How far it is; goes on changing while it runs.
        unknown: Lines that earlier processes sent without hearing the outcome; known from the first
            call of `on_progress` on.
        changes: A sentence for each setting that differs from what the batch was begun with; known
            from then on too, and logged.

    Examples:
        >>> from langchain_tamma_openai import BatchRun, ChatTammaOpenAI
        >>> llm = ChatTammaOpenAI(model="gpt-6-luna", max_tokens=500)
        >>> batch = BatchRun(llm, "questions.jsonl", "answers.jsonl", budget_usd="5")
        >>> summary = batch.run()  # doctest: +SKIP
        >>> summary.progress.answered, summary.progress.cost_usd  # doctest: +SKIP
        (2000, Decimal('0.4133'))
    """

    def __init__(
        self,
        llm: ChatTammaOpenAI,
        source: str | os.PathLike[str],
        output: str | os.PathLike[str],
        *,
        concurrency: int = 16,
        budget_usd: Decimal | float | str | None = None,
        api: Api | None = None,
        on_bad_line: OnBadLine = "fail",
        in_flight: InFlight = "ask",
        retry_errors: bool = False,
        ordered: bool = False,
        max_errors: int | None = None,
        limit: int | None = None,
        fsync: bool = True,
        on_progress: Callable[[BatchProgress], object] | None = None,
    ) -> None:
        """Describe the run; nothing is opened yet.

        Args:
            llm: Answers the lines. Its limiter, retries, fallbacks, tracker and budgets hold.
            source: Path of the input, or `-` for standard input. The forms of its lines are told
                in docs/batch.md.
            output: Path of the output, or `-` for standard output, which cannot be resumed.
            concurrency: Lines that are asked at once.
            budget_usd: The most that all processes which ever work on this output may spend
                together, in US dollars; the journal keeps count. None for the limit of the
                process before, if it had one.
            api: The API for lines that do not name one; None lets the model choose.
            on_bad_line: What happens when lines cannot be asked: "fail" sends nothing at all,
                "skip" leaves them out, "record" gives each an error in the output.
            in_flight: Whether to ask lines again that were sent, outcome unknown, or to leave them.
            retry_errors: Take lines with an error out of the output and ask them again.
            ordered: Put the output into the order of the input at the end.
            max_errors: Stop when more lines than this have failed.
            limit: Ask at most so many lines this time.
            fsync: Wait for the disk. Without, a killed process still loses nothing, but a power cut
                may.
            on_progress: Is called in the event loop before the first line, and after each.

        Raises:
            ConfigurationError: An argument is wrong.
        """
        _check_counts(concurrency, limit, max_errors)
        check_choice(on_bad_line, "on_bad_line", ("fail", "skip", "record"))
        check_choice(in_flight, "in_flight", ("ask", "skip"))
        if api is not None:
            check_choice(api, "api", ("responses", "chat"))
        if ordered and output == STANDARD:
            refuse("output", output, "a file when the output is to be ordered")
        self.llm = llm
        self.source = source
        self.output = None if output == STANDARD else Path(output).resolve()
        self.progress = BatchProgress()
        self.unknown: tuple[UnknownOutcome, ...] = ()
        self.changes: tuple[str, ...] = ()
        self._on_bad_line = on_bad_line
        self._ordered = ordered
        self._bounds = Bounds(concurrency, max_errors, limit)
        self._on_progress = on_progress
        self._wishes = Wishes(
            settings=settings_of(llm, api),
            api=api,
            retry_errors=retry_errors,
            ask_unknown=in_flight == "ask",
            record_bad=on_bad_line == "record",
            budget_usd=read_usd(budget_usd, "budget_usd", refuse),
            fsync=fsync,
        )
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[object] | None = None
        self._drive: Drive | None = None
        self._session: Session | None = None
        self._is_stopped = False

    # --- running ---

    def run(self) -> BatchSummary:
        """Run it to its end; see `arun`."""
        return asyncio.run(self.arun())

    async def arun(self) -> BatchSummary:
        """Ask what is left, and write the results. Once for each object.

        Returns:
            What became of it. That the budget is used up, and failures which would meet every
            line, are reasons in there and not raised.

        Raises:
            BatchInputError: Lines cannot be asked; nothing was sent.
            BatchConflictError: The files are in use, changed, or of another batch.
            OSError: A file cannot be read or written.
        """
        self._loop, self._task = asyncio.get_running_loop(), asyncio.current_task()
        source = await asyncio.to_thread(BatchInput, self.source)
        try:
            session = await self._opened(source)
            try:
                return await self._run(session)
            finally:
                self._session = self._drive = None
                session.close()
        finally:
            self._loop = None
            source.close()

    async def _opened(self, source: BatchInput) -> Session:
        """Open the session in a thread; whoever cancels that does not leave it open."""
        opening = asyncio.ensure_future(asyncio.to_thread(self._open, source))
        try:
            return await asyncio.shield(opening)
        except asyncio.CancelledError:
            with suppress(Exception):
                (await opening).close()
            raise

    async def _run(self, session: Session) -> BatchSummary:
        self._session = session
        self._begin_counting(session)
        self.unknown, self.changes = tuple(session.unknown), tuple(session.changes)
        for change in self.changes:
            logger.warning("%s", change)
        if self._on_progress is not None:
            self._on_progress(self.progress)
        asker = Asker(self._model(session), self._wishes.api)
        drive = Drive(session, asker, self._bounds, self.progress, self._on_progress)
        self._drive = drive
        if self._is_stopped:
            drive.halt(StopReason.STOPPED)
        await drive.run()
        if self._ordered:
            await asyncio.to_thread(session.order)
        return await asyncio.to_thread(self._summary, session, drive)

    def stop(self) -> None:
        """Start no more lines, and wait for those that are under way. From any thread."""
        self._is_stopped = True
        self._tell(lambda drive: drive.halt(StopReason.STOPPED))

    def abort(self) -> None:
        """Leave also what is under way: its outcome stays unknown. From any thread.

        Before the first line, `arun` is cancelled.
        """
        self._is_stopped = True
        if self._drive is not None:
            self._tell(lambda drive: drive.abort())
        elif self._loop is not None and self._task is not None:
            self._loop.call_soon_threadsafe(self._task.cancel)

    def _tell(self, order: Callable[[Drive], object]) -> None:
        if self._loop is not None and (drive := self._drive) is not None:
            self._loop.call_soon_threadsafe(order, drive)

    # --- before and after ---

    def estimate(self) -> BatchEstimate:
        """Check the input and price what is left to ask, without sending or changing anything.

        Raises:
            BatchInputError: Lines cannot be asked.
            BatchConflictError: Input or settings are not those that the output was begun with.
            OSError: A file cannot be read.
        """
        from langchain_tamma_openai.batch_run.estimate import estimate_batch

        source = BatchInput(self.source)
        try:
            facts = self._checked(source)
            standing = None
            if self.output is not None:
                standing = look(self.output)
                standing.check(facts, self._wishes.settings, source.name, self.output)
            return estimate_batch(self.llm, source, facts, standing, self._wishes)
        finally:
            source.close()

    def budget_left_usd(self) -> Decimal | None:
        """Say what is left of the budget; None without one."""
        session = self._session
        if session is None or session.budget is None:
            return None
        return session.budget.status().remaining_usd

    def _open(self, source: BatchInput) -> Session:
        if self.output is not None and self.output.exists() and not self.output.is_file():
            raise BatchConflictError(f"{self.output}: is no regular file; write to another one")
        if self.output is not None and source.is_same(self.output):
            raise BatchConflictError(f"{self.output}: is the input; write to another file")
        facts = self._checked(source)
        return Session(source, facts, self.output, self._wishes)

    def _checked(self, source: BatchInput) -> InputFacts:
        facts = source.facts()
        if facts.bad_count and self._on_bad_line == "fail":
            raise BatchInputError(facts.bad, facts.bad_count, source.name)
        return facts

    def _model(self, session: Session) -> ChatTammaOpenAI:
        if session.budget is None:
            return self.llm
        own = self.llm.budget
        budgets = [] if own is None else list(own) if isinstance(own, list | tuple) else [own]
        return self.llm.model_copy(update={"budget": [*budgets, session.budget]})

    def _begin_counting(self, session: Session) -> None:
        progress, output = self.progress, session.standing.output
        recorded = session.facts.bad_count if self._wishes.record_bad else 0
        progress.total = session.facts.lines + recorded
        progress.answered = progress.answered_before = len(session.plan.answered)
        progress.failed = len(session.plan.failed)
        progress.cost_usd = output.cost_usd

    def _summary(self, session: Session, drive: Drive) -> BatchSummary:
        status = None if session.budget is None else session.budget.status()
        return BatchSummary(
            reason=drive.reason or StopReason.DONE,
            message="" if drive.error is None else message_of(drive.error),
            output=self.output,
            progress=self.progress,
            unknown=self.unknown,
            left_in_flight=tuple(sorted(drive.left_in_flight)),
            bad_lines=tuple(session.facts.bad),
            bad_count=session.facts.bad_count,
            budget_limit_usd=None if status is None else status.limit_usd,
            budget_spent_usd=None if status is None else status.spent_usd,
            error=drive.error,
        )


def _check_counts(concurrency: int, limit: int | None, max_errors: int | None) -> None:
    check_positive_count(concurrency, "concurrency")
    if limit is not None:
        check_positive_count(limit, "limit")
    if max_errors is not None and (
        isinstance(max_errors, bool) or not isinstance(max_errors, int) or max_errors < 0
    ):
        refuse("max_errors", max_errors, "a whole number of at least 0")
