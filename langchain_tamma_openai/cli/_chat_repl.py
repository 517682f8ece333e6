"""The chat at a terminal: reads lines, keeps going, and ends only when asked to."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from langchain_tamma_openai.cli import _chat_commands
from langchain_tamma_openai.cli._chat_screen import Screen, usage_text
from langchain_tamma_openai.cli._chat_session import Event, Session

_PROMPT = "> "
_MORE = ". "
_KEPT_LINES = 1000


def talk(session: Session, screen: Screen, *, json: bool) -> None:
    """Read questions and commands until the end.

    Args:
        session: The conversation.
        screen: Where answers go.
        json: Whether a program talks: then there is no prompt.
    """
    _take_any_bytes()
    if not json:
        screen.say(f"{session.llm.model_name}; /help lists commands, Ctrl-D ends")
    with _line_history():
        while (line := _read(screen, json=json)) is not None:
            try:
                _answer(line, session, screen)
            except _chat_commands.Quit:
                break
    if not json:
        screen.say(f"session: {usage_text(session.totals.snapshot())}")


def _take_any_bytes() -> None:
    """Let what is no UTF-8 become a mark, so that one bad line does not end the session."""
    if isinstance(sys.stdin, io.TextIOWrapper):
        sys.stdin.reconfigure(errors="replace")


def _answer(line: str, session: Session, screen: Screen) -> None:
    try:
        if _chat_commands.is_command(line):
            _chat_commands.run(line, session, screen)
        elif line:
            turn(session, line, screen)
    except KeyboardInterrupt:
        ended = session.interrupt()
        if ended is not None:
            screen.show(ended)
    except BrokenPipeError:
        raise
    except (_chat_commands.Quit, GeneratorExit):
        raise
    except Exception as error:  # noqa: BLE001 - whatever a turn ends with, the session goes on
        screen.fail(error)


def turn(session: Session, question: str, screen: Screen) -> None:
    """Ask one question and show what comes.

    Args:
        session: The conversation.
        question: The question.
        screen: Where the answer goes.
    """
    events: Generator[Event] = session.ask(question)
    try:
        for event in events:
            screen.show(event)
    finally:
        events.close()  # also ends the connection, so that nothing more is made and billed


def _read(screen: Screen, *, json: bool) -> str | None:
    """Read a question, over several lines where they end in a backslash; None at the end."""
    lines: list[str] = []
    while True:
        prompt = "" if json else _MORE if lines else _PROMPT
        try:
            line = input(prompt) if sys.stdin.isatty() and not json else _plain_line(prompt)
        except EOFError:
            return None
        except KeyboardInterrupt:
            lines.clear()
            screen.say("" if json else "\n(Ctrl-D or /quit ends)")
            continue
        if not line.endswith("\\"):
            return "\n".join([*lines, line]).strip()
        lines.append(line[:-1])


def _plain_line(prompt: str) -> str:
    """Read without the comforts of a terminal."""
    if prompt:
        print(prompt, end="", file=sys.stderr, flush=True)
    line = sys.stdin.readline()
    if not line:
        raise EOFError
    return line.rstrip("\n")


@contextmanager
def _line_history() -> Iterator[None]:
    """Remember what was typed, for the arrow keys, also of earlier sessions."""
    try:
        import readline
    except ImportError:  # Windows
        yield
        return
    path = _history_file()
    if not sys.stdin.isatty():
        yield
        return
    with suppress(OSError):
        readline.read_history_file(path)
    try:
        yield
    finally:
        with suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch(mode=0o600)
            readline.set_history_length(_KEPT_LINES)
            readline.write_history_file(path)


def _history_file() -> Path:
    state = os.environ.get("XDG_STATE_HOME") or "~/.local/state"
    return Path(state).expanduser() / "langchain-tamma-openai" / "chat_history"
