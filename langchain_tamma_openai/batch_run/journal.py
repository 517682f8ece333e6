"""The journal of a batch: what was sent and what became of it, as lines of JSON. No I/O.

A line is written before its request is sent, and another with its answer. Whatever a kill leaves
of the file, its whole lines tell what is left to do; a torn last line was never acted on.

    {"begin": {...}}     a process began: input, settings, limits
    {"sent": 12}         the request of line 12 of the input is about to be sent
    {"done": 12}         its result is in the output
    {"unsent": 12}       it was not answered, and is known not to be: it can be asked as if new
    {"again": 12}        its error was taken out of the output, to be asked again
    {"budget": [..]}     dollars charged and dollars reserved, before anything below was sent
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from typing import Any

from langchain_tamma_openai.batch_run.problems import BatchConflictError
from langchain_tamma_openai.batch_run.spending import possibly_spent

VERSION = 1
_END = b"\n"


class Event(StrEnum):
    """What happened to a line of the input."""

    SENT = "sent"
    DONE = "done"
    UNSENT = "unsent"
    AGAIN = "again"


def event_line(event: Event, line: int) -> bytes:
    """Write an event.

    Args:
        event: What happened.
        line: Number of the line, from 1.
    """
    return b'{"%s": %d}\n' % (event.value.encode(), line)


def begin_line(header: Mapping[str, Any]) -> bytes:
    """Write that a process begins.

    Args:
        header: What it works with, as JSON values.
    """
    begin = {"version": VERSION, **header}
    return json.dumps({"begin": begin}, ensure_ascii=False).encode() + _END


@dataclass(slots=True)
class JournalState:
    """What a journal tells.

    Attributes:
        headers: The first and the last process that began; empty when none did.
        unresolved: Lines that were sent without a known outcome, and how often.
        done: Lines whose results were written.
        spent_usd: What processes with a budget may have spent; None where none had one.
        whole_bytes: Length of its whole lines; what follows is torn.
    """

    headers: list[dict[str, Any]] = field(default_factory=list)
    unresolved: dict[int, int] = field(default_factory=dict)
    done: set[int] = field(default_factory=set)
    spent_usd: Decimal | None = None
    whole_bytes: int = 0

    def take(self, event: Event, line: int) -> None:
        """Take note of an event.

        Args:
            event: What happened.
            line: Number of the line.
        """
        if event is Event.SENT:
            self.unresolved[line] = self.unresolved.get(line, 0) + 1
            return
        self.unresolved.pop(line, None)
        if event is Event.DONE:
            self.done.add(line)
        else:
            self.done.discard(line)


def replay(lines: Iterable[bytes], name: str = "the journal") -> JournalState:
    """Read a journal.

    Args:
        lines: Its lines with their ends; the last may be torn.
        name: Of the file, for errors.

    Raises:
        BatchConflictError: It is no journal, or of a later version of this package.
    """
    state = JournalState()
    for number, raw in enumerate(lines, start=1):
        if not raw.endswith(_END):
            break
        try:
            _take(state, json.loads(raw))
        except BatchConflictError:
            raise
        except (ValueError, TypeError, AttributeError, KeyError):
            raise BatchConflictError(
                f"{name}: line {number} is not of a journal. Use another output, or remove both "
                "files to begin anew"
            ) from None
        state.whole_bytes += len(raw)
    return state


def _take(state: JournalState, record: dict[str, Any]) -> None:
    ((name, value),) = record.items()
    if name == "begin":
        _take_header(state, value)
    elif not state.headers:
        raise ValueError(name)
    elif name == "budget":
        state.spent_usd = possibly_spent(value)
    elif isinstance(value, bool) or not isinstance(value, int):
        raise ValueError(value)
    else:
        state.take(Event(name), value)


def _take_header(state: JournalState, value: dict[str, Any]) -> None:
    if value["version"] != VERSION:
        raise BatchConflictError(
            f"The journal was written by another version of this package (format "
            f"{value['version']}, this one knows {VERSION}); go on with that version"
        )
    state.headers[1:] = [value]
