"""Output that reads well on a terminal and in a pipe."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TextIO

_BAR_WIDTH = 20


class Screen:
    """Plain text; on a terminal also bold titles and one progress line that moves."""

    def __init__(self, out: TextIO) -> None:
        """Write to `out`."""
        self._out = out
        self._terminal = out.isatty()
        self._bold = self._terminal and not os.environ.get("NO_COLOR")

    def title(self, text: str) -> None:
        """Start a section."""
        self.line()
        self.line(f"\x1b[1m{text}\x1b[0m" if self._bold else text)

    def line(self, text: str = "") -> None:
        """Write one line."""
        print(text, file=self._out, flush=True)

    def piece(self, text: str) -> None:
        """Write a part of a line, to be seen at once."""
        print(text, end="", file=self._out, flush=True)

    def progress(self, done: int, total: int, note: str) -> None:
        """Show how far a batch is: in place on a terminal, else at every quarter."""
        bar = ("#" * (_BAR_WIDTH * done // total)).ljust(_BAR_WIDTH, ".")
        text = f"   [{bar}] {done}/{total}  {note}"
        if self._terminal:
            self.piece(f"\r{text}\n" if done == total else f"\r{text}")
        elif done % max(1, total // 4) == 0 or done == total:
            self.line(text)

    def table(self, rows: Sequence[Sequence[str]]) -> None:
        """Write rows in columns, the first to the left and the others to the right."""
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        for row in rows:
            cells = [cell.rjust(width) for cell, width in zip(row, widths, strict=True)]
            self.line("   " + "  ".join([row[0].ljust(widths[0]), *cells[1:]]))
