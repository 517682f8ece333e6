"""The demo's output is plain in a pipe and lively on a terminal."""

from __future__ import annotations

import io

import pytest

from langchain_tamma_openai.cli._screen import Screen


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_pipe_gets_plain_lines_at_every_quarter() -> None:
    out = io.StringIO()
    screen = Screen(out)
    screen.title("A step")
    for done in range(1, 9):
        screen.progress(done, 8, "$0")
    lines = out.getvalue().splitlines()
    assert lines[:2] == ["", "A step"]
    assert [line.split()[1] for line in lines[2:]] == ["2/8", "4/8", "6/8", "8/8"]


def test_terminal_gets_one_moving_line_and_bold_titles(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    out = Terminal()
    screen = Screen(out)
    screen.title("A step")
    screen.progress(1, 2, "$0")
    screen.progress(2, 2, "$1")
    assert out.getvalue() == (
        "\n\x1b[1mA step\x1b[0m\n"
        "\r   [##########..........] 1/2  $0\r   [####################] 2/2  $1\n"
    )


def test_no_color_is_respected_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    out = Terminal()
    Screen(out).title("A step")
    assert "\x1b" not in out.getvalue()


def test_columns_of_a_table_are_aligned() -> None:
    out = io.StringIO()
    Screen(out).table([["model", "cost"], ["a", "$0.5"], ["a long name", "$12.25"]])
    assert out.getvalue().splitlines() == [
        "   model          cost",
        "   a              $0.5",
        "   a long name  $12.25",
    ]
