"""Shows on stderr how far a batch is: a bar on a terminal, else a line now and then."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING

from langchain_tamma_openai.cli import _output
from langchain_tamma_openai.cli._batch_words import counts, first_words

if TYPE_CHECKING:
    from decimal import Decimal

    from rich.live import Live
    from rich.table import Table

    from langchain_tamma_openai import BatchRun
    from langchain_tamma_openai.batch_run.progress import BatchProgress

_TERMINAL_S = 0.2
_LOG_S = 10.0


class Display:
    """Follows one batch."""

    def __init__(self, *, quiet: bool) -> None:
        """Show nothing yet.

        Args:
            quiet: Show nothing at all.
        """
        self._quiet = quiet
        self._begun = asyncio.Event()
        self._live: Live | None = None

    def take(self, _progress: BatchProgress) -> None:
        """Learn that the batch has begun."""
        self._begun.set()

    def say(self, text: str) -> None:
        """Say something in between.

        Args:
            text: One line.
        """
        if self._quiet:
            return
        if self._live is None:
            _output.note(text)
        else:
            self._live.console.print(text, markup=False, highlight=False)

    async def follow(self, run: BatchRun) -> None:
        """Show how far it is until cancelled.

        Args:
            run: The batch.
        """
        await self._begun.wait()
        for line in first_words(run.progress, run.unknown):
            self.say(line)
        if self._quiet:
            return
        if sys.stderr.isatty():
            await self._draw(run)
        while True:
            await asyncio.sleep(_LOG_S)
            _output.note(counts(run.progress, run.budget_left_usd()))

    async def _draw(self, run: BatchRun) -> None:
        from rich.console import Console
        from rich.live import Live

        with Live(console=Console(stderr=True), auto_refresh=False, transient=True) as live:
            self._live = live
            try:
                while True:
                    live.update(picture(run.progress, run.budget_left_usd()), refresh=True)
                    await asyncio.sleep(_TERMINAL_S)
            finally:
                self._live = None


def picture(progress: BatchProgress, budget_left_usd: Decimal | None) -> Table:
    """Draw how far a batch is.

    Args:
        progress: How far.
        budget_left_usd: What is left of its budget; None without one.
    """
    from rich.progress_bar import ProgressBar
    from rich.table import Table
    from rich.text import Text

    done = progress.answered + progress.failed
    bar = ProgressBar(total=max(1, progress.total), completed=done)
    lines = Table.grid(expand=True)
    lines.add_row(bar)
    lines.add_row(Text(counts(progress, budget_left_usd)))
    return lines
