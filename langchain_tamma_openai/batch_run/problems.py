"""What can be wrong with a batch before or while it runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from langchain_tamma_openai.errors import ConfigurationError, InvalidParameterError

_SHOWN = 20


@dataclass(frozen=True, slots=True)
class BadLine:
    """A line of input that cannot be asked.

    Attributes:
        line: Its number, from 1.
        reason: What is wrong with it, and what may stand there.
        custom_id: Its id, where it has a readable one.
    """

    line: int
    reason: str
    custom_id: str | None = None

    def __str__(self) -> str:
        """Write it as `line 3: ...`."""
        return f"line {self.line}: {self.reason}"


class BatchInputError(InvalidParameterError):
    """Lines of a batch's input cannot be asked; nothing was sent.

    Attributes:
        bad_lines: The first of them.
        count: How many there are.
        source: Name of the input.
    """

    default_code = "bad_batch_input"

    def __init__(self, bad_lines: Sequence[BadLine], count: int, source: str) -> None:
        """Name the lines.

        Args:
            bad_lines: The first of them.
            count: How many there are.
            source: Name of the input.
        """
        self.bad_lines = tuple(bad_lines)
        self.count = count
        self.source = source
        super().__init__(self.told("on_bad_line 'skip' or 'record'"))

    def told(self, option: str) -> str:
        """Name the lines.

        Args:
            option: What leaves them out, as whoever reads it writes it.
        """
        what = "1 line" if self.count == 1 else f"{self.count} lines"
        head = (
            f"{self.source}: {what} cannot be asked; nothing was sent. Correct them, or leave them "
            f"out with {option}"
        )
        lines = [f"  {bad}" for bad in self.bad_lines[:_SHOWN]]
        more = [f"  and {self.count - len(lines)} more"] if self.count > len(lines) else []
        return "\n".join([head, *lines, *more])


class BatchConflictError(ConfigurationError):
    """A batch cannot go on as it is: its files are in use, changed, or of another batch."""

    default_code = "batch_conflict"
