"""How a chat shows what happens: as text for people, or as JSON lines for programs."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import asdict
from decimal import Decimal
from typing import Protocol

from langchain_tamma_openai.cli import _errors, _output
from langchain_tamma_openai.cli._chat_session import Ended, Event, Text, ToolCalled, ToolReturned
from langchain_tamma_openai.usage.totals import UsageSum

_SHOWN_CHARS = 500
_EVENTS: dict[type[Event], str] = {
    Text: "text",
    ToolCalled: "tool_call",
    ToolReturned: "tool_result",
    Ended: "end",
}


class Screen(Protocol):
    """Shows a chat."""

    def show(self, event: Event) -> None:
        """Show what happens in a turn."""

    def say(self, text: str) -> None:
        """Say something about the session."""

    def fail(self, error: BaseException) -> None:
        """Say why a turn failed, where the session goes on."""


class TextScreen:
    """The answer goes to standard output; tools, costs and the rest beside it, to stderr."""

    def __init__(self, *, quiet: bool = False) -> None:
        """Start at the beginning of a line.

        Args:
            quiet: Whether to leave out everything but answers and errors.
        """
        self._quiet = quiet
        self._in_line = False
        self._to_terminal = sys.stdout.isatty()
        self._dim = sys.stderr.isatty() and not os.environ.get("NO_COLOR")

    def show(self, event: Event) -> None:
        """Show what happens in a turn."""
        if isinstance(event, Text):
            self._write(event.text)
            return
        self._end_line()
        if isinstance(event, ToolCalled):
            arguments = json.dumps(event.args, ensure_ascii=False, default=str)
            self._beside(f"[{event.name} {arguments}]")
        elif isinstance(event, ToolReturned):
            word = "" if event.status == "success" else f" {event.status}:"
            self._beside(f"[{event.name} ->{word} {_short(event.content)}]")
        else:
            self._beside(_ended(event))

    def say(self, text: str) -> None:
        """Say something about the session."""
        self._end_line()
        _output.note(_output.printable(text))

    def fail(self, error: BaseException) -> None:
        """Say why a turn failed."""
        self.say(f"error: {_errors.error_line(error)}")

    def _write(self, text: str) -> None:
        print(_output.printable(text) if self._to_terminal else text, end="", flush=True)
        self._in_line = not text.endswith("\n")

    def _end_line(self) -> None:
        if self._in_line:
            print(flush=True)
            self._in_line = False

    def _beside(self, text: str) -> None:
        if not self._quiet:
            safe = _output.printable(text)
            _output.note(f"\x1b[2m{safe}\x1b[0m" if self._dim else safe)


class JsonScreen:
    """Each event is one line of JSON, with its kind in `event`."""

    def show(self, event: Event) -> None:
        """Show what happens in a turn."""
        fields = _end_fields(event) if isinstance(event, Ended) else asdict(event)
        _output.print_json_line({"event": _EVENTS[type(event)], **fields})

    def say(self, text: str) -> None:
        """Say something about the session."""
        _output.print_json_line({"event": "notice", "text": text})

    def fail(self, error: BaseException) -> None:
        """Say why a turn failed."""
        fields = {"type": type(error).__name__, "message": _errors.error_line(error)}
        _output.print_json_line({"event": "error", **fields})


def usage_text(usage: UsageSum) -> str:
    """Write tokens and dollars in one line.

    Args:
        usage: Of a turn or a session.
    """
    cached = f" ({usage.cached_tokens:,} cached)" if usage.cached_tokens else ""
    tokens = f"{usage.input_tokens:,} tokens in{cached}, {usage.output_tokens:,} out"
    return f"{tokens}, {cost_text(usage)}"


def cost_text(usage: UsageSum) -> str:
    """Write what a sum cost, as exactly as it is known.

    Args:
        usage: Of a turn or a session.
    """
    amount = usage.total_cost_usd
    if amount is None:
        return "cost unknown"
    about = "about " if usage.estimated_requests else ""
    more = ", and calls of unknown cost" if usage.unpriced_requests else ""
    return f"{about}{_plain(amount)}{more}"


def _plain(amount: Decimal) -> str:
    return f"${amount.normalize():f}" if amount else "$0"


_STOPPED = {"answer": "", "interrupted": "stopped; "}


def _ended(event: Ended) -> str:
    stopped = {"answer": "", "interrupted": "stopped; "}.get(
        event.stopped, f"{event.stopped} ran out; "
    )
    session = "" if event.usage == event.session else f"; session {cost_text(event.session)}"
    return f"[{stopped}{event.model}: {usage_text(event.usage)}{session}]"


def _end_fields(event: Ended) -> dict[str, object]:
    return {
        "model": event.model,
        "stopped": event.stopped,
        "text": event.text,
        "usage": _sum_fields(event.usage),
        "session": _sum_fields(event.session),
    }


def _sum_fields(usage: UsageSum) -> dict[str, object]:
    return {
        "requests": usage.requests,
        "input_tokens": usage.input_tokens,
        "output_tokens": usage.output_tokens,
        "cached_tokens": usage.cached_tokens,
        "reasoning_tokens": usage.reasoning_tokens,
        "cost_usd": usage.total_cost_usd,
    }


def _short(text: str) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= _SHOWN_CHARS else f"{flat[:_SHOWN_CHARS]}... ({len(text):,} chars)"
