"""Output that people read on a terminal and programs read in a pipe."""

from __future__ import annotations

import json
import sys
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from dataclasses import asdict, is_dataclass
from datetime import date
from decimal import Decimal
from enum import Enum
from typing import Any, Protocol

_SHORT_CHARS = 20
_GAP_CHARS = 2


class Progress(Protocol):
    """How far a long work is."""

    def update(self, done: int, note: str = "") -> None:
        """Show it.

        Args:
            done: How much is done, in the unit of the total.
            note: What else is worth knowing, such as the cost so far.
        """


def print_json(value: object) -> None:
    """Print one JSON document.

    Args:
        value: Anything of dicts, sequences, dataclasses, decimals, times and JSON values.
    """
    print(json_text(value, indent=2))


def print_json_line(value: object) -> None:
    """Print one line of JSON lines, to be seen at once.

    Args:
        value: As for `print_json`.
    """
    print(json_text(value), flush=True)


def json_text(value: object, indent: int | None = None) -> str:
    """Write a value as JSON that standard output can carry without a loss.

    Args:
        value: As for `print_json`.
        indent: Spaces for each level; None for one line.
    """
    text = json.dumps(value, default=_json_value, ensure_ascii=False, indent=indent)
    try:
        text.encode(sys.stdout.encoding or "utf-8")
    except (UnicodeEncodeError, LookupError):  # another encoding, or half a surrogate pair
        return json.dumps(value, default=_json_value, indent=indent)
    return text


def printable(text: str) -> str:
    """Take out control characters, with which a text could command the terminal.

    Args:
        text: Whatever came from a model, a file or a ledger; line ends and tabs stay.
    """
    if text.isprintable():
        return text
    return "".join(
        char
        if char in "\n\t" or unicodedata.category(char) != "Cc"
        else "\N{REPLACEMENT CHARACTER}"
        for char in text
    )


def print_table(
    columns: Sequence[str],
    rows: Sequence[Sequence[object]],
    *,
    title: str = "",
    right: Sequence[str] = (),
) -> None:
    """Print a table: ruled on a terminal, aligned plain text that is never cut in a pipe.

    Where a terminal is too narrow for names and numbers, it also gets the plain text.

    Args:
        columns: Heads.
        rows: Cells; None shows as a dash.
        title: Above it.
        right: Heads of columns of numbers.
    """
    cells = [[_cell(value) for value in row] for row in rows]
    if not (sys.stdout.isatty() and _print_ruled(columns, cells, title, right)):
        _print_aligned(columns, cells, title, right)


def _print_ruled(
    columns: Sequence[str], cells: list[list[str]], title: str, right: Sequence[str]
) -> bool:
    """Print it with lines; or say that there is no room, for rich would leave columns out."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console, needed = Console(), 0
    table = Table(title=title or None, box=box.SIMPLE_HEAD, title_justify="left", pad_edge=False)
    for index, column in enumerate(columns):
        longest = max((_width(row[index]) for row in cells), default=0)
        # Names, numbers and dates stay whole; texts go on in the next line, and nothing is cut.
        stays_whole = column in right or index == 0 or longest <= _SHORT_CHARS
        table.add_column(
            Text(column),
            justify="right" if column in right else "left",
            no_wrap=stays_whole,
            overflow="fold",
        )
        needed += _GAP_CHARS + max(longest if stays_whole else 1, _width(column))
    if needed > console.width:
        return False
    for row in cells:
        table.add_row(*map(Text, row))
    console.print(table)
    return True


def _print_aligned(
    columns: Sequence[str], cells: list[list[str]], title: str, right: Sequence[str]
) -> None:
    if title:
        print(title)
    lines = [list(columns), *cells]
    widths = [max(map(_width, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        texts = [
            _padded(text, width, right=column in right)
            for text, width, column in zip(line, widths, columns, strict=True)
        ]
        print("  ".join(texts).rstrip())


def _padded(text: str, width: int, *, right: bool) -> str:
    blanks = " " * (width - _width(text))
    return blanks + text if right else text + blanks


def _width(text: str) -> int:
    """Columns that a text takes: wide letters take two, marks on others none."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(char) else 1 + (unicodedata.east_asian_width(char) in "WF")
        for char in text
    )


def note(text: str) -> None:
    """Say something beside the output, on stderr.

    Args:
        text: One line.
    """
    print(text, file=sys.stderr, flush=True)


@contextmanager
def progress(title: str, total: int | None) -> Iterator[Progress]:
    """Show how far a work is, on stderr and on a terminal only.

    Args:
        title: What is done.
        total: How much there is; None when unknown.
    """
    if not sys.stderr.isatty():
        yield _Silent()
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as RichProgress

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
    )
    with RichProgress(*columns, console=Console(stderr=True), transient=True) as bars:
        yield _Bar(bars, bars.add_task(title, total=total, note=""))


class _Bar:
    def __init__(self, bars: object, task: int) -> None:
        self._bars = bars
        self._task = task

    def update(self, done: int, note: str = "") -> None:
        self._bars.update(self._task, completed=done, note=note)  # type: ignore[attr-defined]


class _Silent:
    def update(self, done: int, note: str = "") -> None:
        """Show nothing."""


def dollars(amount: Decimal | None) -> str:
    """Write an amount in dollars, exactly; unknown is said.

    Args:
        amount: US dollars.
    """
    return "unknown" if amount is None else f"${amount:f}"


def _cell(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return printable(" ".join(str(value).split()))


def _json_value(value: object) -> object:
    for kind, write in _JSON_FORMS:
        if isinstance(value, kind):
            return write(value)
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    return str(value)


_JSON_FORMS: tuple[tuple[type, Callable[[Any], object]], ...] = (
    (Decimal, "{:f}".format),
    (date, lambda value: value.isoformat()),
    (Enum, lambda value: value.value),
    (Mapping, dict),
    (AbstractSet, list),
)
