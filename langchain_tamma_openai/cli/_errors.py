"""How a command ends: every error is one clear line on stderr and an exit code."""

from __future__ import annotations

import io
import logging
import os
import sys
import traceback
import warnings
from contextlib import suppress
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


_SAID_TWICE: Final = logging.getLogger("langchain_tamma_openai.pricing")
"""Logs what it also warns of; without a handler both would be printed."""


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
        debug: Whether tracebacks are wanted.
    """

    def __init__(self, *, as_json: bool = False) -> None:
        """Expect a success.

        Args:
            as_json: Whether an error is also told to programs, on standard output.
        """
        self.status = 0
        self.debug = bool(os.environ.get(DEBUG))
        self._as_json = as_json
        self._mute = logging.NullHandler()

    def __enter__(self) -> Self:
        """Catch what ends the block; let warnings be one line each."""
        self._format = warnings.formatwarning
        warnings.formatwarning = _one_line_warning
        _SAID_TWICE.addHandler(self._mute)
        return self

    def __exit__(
        self, _kind: object, error: BaseException | None, _traceback: TracebackType | None
    ) -> bool:
        """Say what went wrong; nothing escapes but what ends the interpreter."""
        warnings.formatwarning = self._format
        _SAID_TWICE.removeHandler(self._mute)
        if isinstance(error, GeneratorExit):
            return False
        if error is not None:
            error = _unwrapped(error)
            self.status = _status(error)
            _say(_text(error, debug=self.debug))
            if self._as_json and not isinstance(error, _NO_ERRORS):
                self._tell_programs(error)
        self._flush()
        return True

    def _tell_programs(self, error: BaseException) -> None:
        from langchain_tamma_openai.cli._output import print_json_line

        if isinstance(error, typer.TyperException):
            message = error.format_message()
        else:
            message = error_line(error)
        told = {"type": type(error).__name__, "message": message, "exit_status": self.status}
        with suppress(OSError):  # that a reader went away, or a disk is full, was said already
            print_json_line({"event": "error", **told})

    def _flush(self) -> None:
        """Write what is left now: at exit, Python would complain in its own words."""
        try:
            sys.stdout.flush()
        except OSError as error:
            silence(sys.stdout)
            if self.status == 0:
                self.status = _status(error)
                _say(_text(error, debug=self.debug))


def error_line(error: BaseException) -> str:
    """Say in one line what went wrong, without secrets.

    Args:
        error: Whatever was raised.
    """
    from langchain_tamma_openai.redact import redact_secrets

    if isinstance(error, CommandError):
        return redact_secrets(str(error))
    if isinstance(error, OSError) and error.strerror:
        where = f"{error.filename}: " if error.filename else ""
        return redact_secrets(f"{where}{error.strerror}")
    return redact_secrets(" ".join(f"{type(error).__name__}: {_message(error)}".split()))


def silence(stream: object) -> None:
    """Let what is still to be written to a broken stream go nowhere, instead of failing again.

    Args:
        stream: Standard output or standard error.
    """
    if isinstance(stream, io.TextIOBase):
        try:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, stream.fileno())
            os.close(nowhere)
        except (OSError, ValueError):
            return


def _unwrapped(error: BaseException) -> BaseException:
    """Find Ctrl-C in what a library made of it, as when it came while a module was imported."""
    if isinstance(error, CommandError | typer.Exit | SystemExit):
        return error
    link: BaseException | None = error
    while link is not None and not isinstance(link, KeyboardInterrupt):
        link = link.__cause__ or link.__context__
    if isinstance(link, KeyboardInterrupt) or "KeyboardInterrupt" in str(error):
        return KeyboardInterrupt()
    return error


def _status(error: BaseException) -> int:
    if isinstance(error, CommandError):
        return error.status
    if isinstance(error, typer.Exit):
        return error.exit_code
    if isinstance(error, SystemExit):
        return error.code if isinstance(error.code, int) else FAILED
    return next((status for kind, status in _STATUSES if isinstance(error, kind)), FAILED)


_NO_ERRORS: Final = (KeyboardInterrupt, BrokenPipeError, SystemExit, typer.Exit, typer.Abort)
"""Endings that are nobody's mistake, or were told already."""

_STATUSES: Final[tuple[tuple[type[BaseException], int], ...]] = (
    (KeyboardInterrupt, INTERRUPTED),
    (typer.Abort, INTERRUPTED),
    (BrokenPipeError, BROKEN_PIPE),
    (typer.TyperException, WRONG_ARGUMENTS),
)


def _say(text: str) -> None:
    if not text:
        return
    try:
        print(text, file=sys.stderr, flush=True)
    except OSError:
        silence(sys.stderr)


def _text(error: BaseException, *, debug: bool) -> str:
    if isinstance(error, BrokenPipeError | typer.Exit):
        return ""
    if isinstance(error, KeyboardInterrupt | typer.Abort):
        return "\nstopped"
    if isinstance(error, SystemExit):
        return error.code if isinstance(error.code, str) else ""
    if isinstance(error, typer.TyperException):
        return _usage(error)
    told = "".join(traceback.format_exception(error)) if debug else ""
    return f"{told}error: {error_line(error)}"


def _usage(error: typer.TyperException) -> str:
    """Show the usage of the command before what is wrong with it."""
    context = getattr(error, "ctx", None)
    message = error.format_message()
    if type(error).__name__ == "NoArgsIsHelpError":
        return message  # the help; on a terminal it was printed already, and this is empty
    if context is None:
        return f"error: {message}"
    return (
        f"{context.get_usage()}\nTry '{context.command_path} --help' for help.\n\nerror: {message}"
    )


def _message(error: BaseException) -> str:
    """Give what is for people of an error of ours, and of any other what it says."""
    from langchain_tamma_openai.errors import TammaError

    if not isinstance(error, TammaError):
        way_out = f"(an unexpected error; {DEBUG}=1 shows the traceback)"
        return f"{error} {way_out}" if isinstance(error, Exception) else str(error)
    if _is_ours(error):
        return error.technical_message
    return f"{error.user_message} ({error.technical_message})"


def _is_ours(error: BaseException) -> bool:
    """Whether this program found the mistake, so that its own text already says the way out."""
    from langchain_tamma_openai import errors

    ours = (
        errors.BudgetExceededError,
        errors.ConfigurationError,
        errors.InvalidParameterError,
        errors.InvalidToolError,
        errors.PromptError,
        errors.StorageError,
    )
    return isinstance(error, ours)


def _one_line_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    line: str | None = None,
) -> str:
    del category, filename, lineno, line
    return f"warning: {' '.join(str(message).split())}\n"
