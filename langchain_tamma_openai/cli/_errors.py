"""How a command ends: every error is one clear line on stderr and an exit code."""

from __future__ import annotations

import os
import sys
from types import TracebackType
from typing import Final, Self

import typer

DEBUG: Final = "TAMMA_OPENAI_DEBUG"
"""Environment variable that asks for tracebacks."""

FAILED: Final = 1
WRONG_ARGUMENTS: Final = 2
INTERRUPTED: Final = 130
"""What shells report for a program stopped by Ctrl-C: 128 + SIGINT."""
BROKEN_PIPE: Final = 141
"""The same for a reader that went away, as `head` does: 128 + SIGPIPE."""


class CommandError(Exception):
    """A command cannot do what it was asked to do; its text is for people."""

    def __init__(self, text: str, status: int = FAILED) -> None:
        """Say why.

        Args:
            text: One line: what is wrong, and the way out.
            status: The exit status.
        """
        super().__init__(text)
        self.status = status


def wrong_argument(name: str, value: object, expected: str) -> CommandError:
    """Refuse an argument.

    Args:
        name: As it is typed, such as `--start`.
        value: What was given.
        expected: What may be given.
    """
    return CommandError(f"{name}: got {value!r}, must be {expected}", WRONG_ARGUMENTS)


class Ending:
    """Catches what ends a command.

    Attributes:
        status: The exit status.
    """

    def __init__(self) -> None:
        """Expect a success."""
        self.status = 0

    def __enter__(self) -> Self:
        """Catch what ends the block."""
        return self

    def __exit__(
        self, _kind: object, error: BaseException | None, _traceback: TracebackType | None
    ) -> bool:
        """Say what went wrong; nothing escapes but what ends the interpreter."""
        if error is None or isinstance(error, GeneratorExit):
            return False
        if isinstance(error, SystemExit):
            self.status = error.code if isinstance(error.code, int) else FAILED
            return True
        if os.environ.get(DEBUG) and isinstance(error, Exception):
            return False
        self.status = _status(error)
        _say(error)
        return True


def _status(error: BaseException) -> int:
    if isinstance(error, KeyboardInterrupt | typer.Abort):
        return INTERRUPTED
    if isinstance(error, BrokenPipeError):
        return BROKEN_PIPE
    if isinstance(error, CommandError):
        return error.status
    if isinstance(error, typer.Exit):
        return error.exit_code
    if isinstance(error, typer.TyperException):
        return WRONG_ARGUMENTS
    return FAILED


def _say(error: BaseException) -> None:
    if isinstance(error, BrokenPipeError):
        _silence_stdout()
        return
    text = _text(error)
    if text:
        print(text, file=sys.stderr)


def _text(error: BaseException) -> str:
    if isinstance(error, KeyboardInterrupt | typer.Abort):
        return "\nstopped"
    if isinstance(error, typer.Exit):
        return ""
    if isinstance(error, typer.TyperException):
        return _usage(error)
    return f"error: {_one_line(error)}"


def _usage(error: typer.TyperException) -> str:
    """Show the usage of the command before what is wrong with it."""
    context = getattr(error, "ctx", None)
    message = error.format_message()
    if context is None:
        return f"error: {message}"
    usage = context.get_usage()
    if not message or message == context.get_help():
        return str(context.get_help())
    return f"{usage}\nTry '{context.command_path} --help' for help.\n\nerror: {message}"


def _one_line(error: BaseException) -> str:
    from langchain_tamma_openai.redact import redact_secrets

    if isinstance(error, CommandError):
        return str(error)
    if isinstance(error, OSError) and error.strerror:
        where = f"{error.filename}: " if error.filename else ""
        return redact_secrets(f"{where}{error.strerror}")
    user_message = getattr(error, "user_message", None)
    text = user_message if isinstance(user_message, str) and _is_of_api(error) else str(error)
    return redact_secrets(" ".join(f"{type(error).__name__}: {text}".split()))


def _is_of_api(error: BaseException) -> bool:
    """Whether a server or the way to it failed: its technical text is not for people."""
    from langchain_tamma_openai.errors import (
        BudgetExceededError,
        ConfigurationError,
        InvalidParameterError,
        PromptError,
        StorageError,
    )

    ours = (
        BudgetExceededError,
        ConfigurationError,
        InvalidParameterError,
        PromptError,
        StorageError,
    )
    return not isinstance(error, ours)


def _silence_stdout() -> None:
    """Python flushes standard output once more at exit; let that go nowhere instead of failing."""
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (OSError, ValueError):
        return
