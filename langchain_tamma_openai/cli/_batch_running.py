"""Runs a batch for people: signals, the ledger, and what is said at the end."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from langchain_tamma_openai.batch_run.problems import BatchConflictError, BatchInputError
from langchain_tamma_openai.batch_run.stopping import StopReason
from langchain_tamma_openai.cli import _options, _output
from langchain_tamma_openai.cli._batch_display import Display
from langchain_tamma_openai.cli._batch_words import figures, last_words, priced_words
from langchain_tamma_openai.cli._errors import FAILED, INTERRUPTED, WRONG_ARGUMENTS, CommandError
from langchain_tamma_openai.errors import BudgetExceededError, ConfigurationError

if TYPE_CHECKING:
    from langchain_tamma_openai import BatchRun, ChatTammaOpenAI, UsageTracker
    from langchain_tamma_openai.batch_run.progress import BatchSummary

__all__ = ["Display", "Ending", "drive", "ledger", "prepared", "price", "refusals", "report"]

BUDGET_USED_UP = 3
TERMINATED = 143
"""What shells report for a program stopped by SIGTERM: 128 + SIGTERM."""

_STATUSES = {
    StopReason.BUDGET: BUDGET_USED_UP,
    StopReason.STOPPED: INTERRUPTED,
    StopReason.ABORTED: INTERRUPTED,
    StopReason.ERRORS: FAILED,
    StopReason.ERROR: FAILED,
}


@dataclass(frozen=True, slots=True)
class Ending:
    """How a batch ended.

    Attributes:
        summary: What became of it.
        status: The exit status.
    """

    summary: BatchSummary
    status: int


@contextmanager
def ledger(store: str | None) -> Iterator[UsageTracker | None]:
    """Open the ledger of a batch, and make it where it is missing.

    A record is safe before its line is answered, so the ledger has every answer of the output.

    Args:
        store: What `--store` or the environment says; None for no ledger.

    Raises:
        CommandError: It cannot be read where it is.
    """
    if not store:
        yield None
        return
    from langchain_tamma_openai import UsageTracker

    with UsageTracker(_options.store_location(store).url, "sync") as tracker:
        yield tracker


def prepared(llm: ChatTammaOpenAI, source: str, output: str, settings: dict[str, Any]) -> BatchRun:
    """Describe the run.

    Args:
        llm: Answers.
        source: The input.
        output: The output.
        settings: Arguments of `BatchRun`.

    Raises:
        CommandError: One of them is wrong.
    """
    from langchain_tamma_openai import BatchRun

    try:
        return BatchRun(llm, source, output, **settings)
    except ConfigurationError as error:
        raise CommandError(error.message, WRONG_ARGUMENTS) from None


@contextmanager
def refusals() -> Iterator[None]:
    """Tell what keeps a batch from being begun as the command line does.

    Raises:
        CommandError: The input is wrong, another batch is in the way, or a budget is used up.
    """
    try:
        yield
    except BatchInputError as error:
        told = error.told("--on-bad-line skip or record")
        raise CommandError(told, WRONG_ARGUMENTS) from None
    except BatchConflictError as error:
        raise CommandError(error.message) from None
    except BudgetExceededError as error:
        raise CommandError(error.message, BUDGET_USED_UP) from None


def price(run: BatchRun, *, as_json: bool) -> None:
    """Say what is left and what it will cost.

    Args:
        run: The batch.
        as_json: For programs.
    """
    with refusals():
        estimate = run.estimate()
    if as_json:
        _output.print_json(asdict(estimate))
    else:
        print("\n".join(priced_words(estimate)))


def drive(run: BatchRun, display: Display) -> Ending:
    """Run a batch until it ends or is interrupted.

    Args:
        run: The batch.
        display: Shows how far it is.

    Raises:
        CommandError: It cannot be begun.
        KeyboardInterrupt: It was interrupted before its first line.
    """
    signals: list[int] = []
    with refusals():
        try:
            summary = asyncio.run(_drive(run, display, signals))
        except asyncio.CancelledError:
            raise KeyboardInterrupt from None
    status = _status(summary)
    if status == INTERRUPTED and signals and signals[0] == signal.SIGTERM:
        status = TERMINATED
    return Ending(summary, status)


async def _drive(run: BatchRun, display: Display, signals: list[int]) -> BatchSummary:
    def take(number: int) -> None:
        signals.append(number)
        if len(signals) > 1:
            run.abort()
            return
        run.stop()
        display.say(
            f"stopping: {run.progress.in_flight} requests under way are waited for; "
            "once more to leave them"
        )

    with _handling(take):
        ticking = asyncio.create_task(display.follow(run))
        try:
            return await run.arun()
        finally:
            ticking.cancel()
            with suppress(asyncio.CancelledError):
                await ticking


@contextmanager
def _handling(take: Callable[[int], object]) -> Iterator[None]:
    loop = asyncio.get_running_loop()
    handled: list[int] = []
    with suppress(NotImplementedError, ValueError, RuntimeError):  # Windows; not the main thread
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, take, number)
            handled.append(number)
    try:
        yield
    finally:
        for each in handled:
            loop.remove_signal_handler(each)


def _status(summary: BatchSummary) -> int:
    if (status := _STATUSES.get(summary.reason)) is not None:
        return status
    if summary.reason is StopReason.LIMIT:
        return FAILED if summary.progress.failed else 0
    return 0 if summary.is_complete else FAILED


def report(ending: Ending, *, as_json: bool, quiet: bool, to_stdout: bool) -> None:
    """Say what became of a batch.

    Args:
        ending: How it ended.
        as_json: For programs.
        quiet: Only what kept it from its end.
        to_stdout: Whether standard output is free; else programs are told on stderr.
    """
    words = last_words(ending.summary)
    for line in words if not quiet else words[-1:] * (ending.status != 0):
        _output.note(line)
    if as_json and to_stdout:
        _output.print_json(figures(ending.summary, ending.status))
    elif as_json:
        import json

        _output.note(json.dumps(figures(ending.summary, ending.status), default=str))
