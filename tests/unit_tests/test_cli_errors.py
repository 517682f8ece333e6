"""Whatever ends a command is one line and an exit code."""

from __future__ import annotations

import subprocess
import sys
import warnings

import pytest
import typer

from langchain_tamma_openai import (
    AuthenticationError,
    BudgetExceededError,
    ConfigurationError,
    StorageError,
)
from langchain_tamma_openai.cli._errors import CommandError, Ending, wrong_argument

ENDINGS = [
    (CommandError("file.txt: is empty"), 1, "error: file.txt: is empty\n"),
    (wrong_argument("--start", "x", "a date"), 2, "error: --start: got 'x', must be a date\n"),
    (FileNotFoundError(2, "No such file", "a.txt"), 1, "error: a.txt: No such file\n"),
    (StorageError("locked"), 1, "error: StorageError: locked\n"),
    (ConfigurationError("two\nlines"), 1, "error: ConfigurationError: two lines\n"),
    (BudgetExceededError("all spent"), 1, "error: BudgetExceededError: all spent\n"),
    (KeyboardInterrupt(), 130, "\nstopped\n"),
    (typer.Abort(), 130, "\nstopped\n"),
    (BrokenPipeError(), 141, ""),
    (typer.Exit(3), 3, ""),
    (SystemExit(4), 4, ""),
    (SystemExit("why"), 1, "why\n"),
]


@pytest.mark.parametrize(("error", "status", "line"), ENDINGS)
def test_each_ending_has_its_line_and_code(
    error: BaseException, status: int, line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with Ending() as ending:
        raise error
    assert (ending.status, capsys.readouterr().err) == (status, line)


def test_an_error_of_the_api_is_told_for_people_and_for_developers(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with Ending() as ending:
        raise AuthenticationError("Incorrect key sk-abcdefghijklmnop", status_code=401)
    line = capsys.readouterr().err
    assert ending.status == 1
    assert line.startswith("error: AuthenticationError: The AI service did not accept our cred")
    assert "Incorrect key sk-***" in line
    assert "abcdefgh" not in line
    assert line.count("\n") == 1


def test_an_unexpected_error_says_how_to_see_more(capsys: pytest.CaptureFixture[str]) -> None:
    with Ending() as ending:
        raise KeyError("sk-abcdefghijklmnop")
    line = capsys.readouterr().err
    assert ending.status == 1
    assert line.startswith("error: KeyError: 'sk-***'")
    assert "TAMMA_OPENAI_DEBUG=1" in line


def test_debug_shows_the_traceback_and_keeps_the_code(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TAMMA_OPENAI_DEBUG", "1")
    with Ending() as ending:
        raise CommandError("no", 2)
    told = capsys.readouterr().err
    assert ending.status == 2
    assert told.startswith("Traceback ")
    assert told.endswith("error: no\n")


def test_a_warning_is_one_line() -> None:
    before = warnings.formatwarning
    with Ending():
        text = warnings.formatwarning("two\nlines", UserWarning, "file.py", 1)
    assert text == "warning: two lines\n"
    assert warnings.formatwarning is before


def test_an_unknown_price_is_told_once() -> None:
    """In a process of its own: the tests themselves listen to what is logged."""
    code = (
        "from langchain_tamma_openai.cli._errors import Ending\n"
        "from langchain_tamma_openai.pricing import CostCalculator\n"
        "with Ending():\n"
        "    CostCalculator().cost({'prompt_tokens': 1, 'completion_tokens': 1}, 'no-such')\n"
    )
    done = subprocess.run(  # noqa: S603 - our own command
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    )
    assert done.stderr.count("The cost of no-such is unknown") == 1
    assert done.stderr.startswith("warning: ")


@pytest.mark.parametrize(
    "wrapped",
    [ValueError("Error building `literal` serializer: KeyboardInterrupt: "), ImportError("no")],
)
def test_ctrl_c_is_found_in_what_a_library_made_of_it(
    wrapped: Exception, capsys: pytest.CaptureFixture[str]
) -> None:
    if isinstance(wrapped, ImportError):
        wrapped.__context__ = KeyboardInterrupt()
    with Ending() as ending:
        raise wrapped
    assert (ending.status, capsys.readouterr().err) == (130, "\nstopped\n")
