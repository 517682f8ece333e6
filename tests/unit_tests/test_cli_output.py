"""What commands print reads well in a pipe and can be parsed."""

from __future__ import annotations

import io
import json
import re
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from enum import Enum

import pytest

from langchain_tamma_openai.cli import _output


class Kind(Enum):
    ONE = "one"


@dataclass
class Row:
    cost_usd: Decimal


def test_json_keeps_decimals_exact_and_times_in_iso(capsys: pytest.CaptureFixture[str]) -> None:
    _output.print_json(
        {
            "row": Row(Decimal("0.000001")),
            "at": datetime(2026, 1, 2, tzinfo=UTC),
            "kind": Kind.ONE,
            "none": None,
            "set": frozenset({1}),
        }
    )
    assert json.loads(capsys.readouterr().out) == {
        "row": {"cost_usd": "0.000001"},
        "at": "2026-01-02T00:00:00+00:00",
        "kind": "one",
        "none": None,
        "set": [1],
    }


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_json_loses_nothing_in_any_encoding(encoding: str, monkeypatch: pytest.MonkeyPatch) -> None:
    out = io.TextIOWrapper(io.BytesIO(), encoding=encoding, errors="replace")
    monkeypatch.setattr(sys, "stdout", out)
    _output.print_json_line(["żółć 漢字 \ud800"])
    assert json.loads(out.buffer.getvalue().decode(encoding)) == ["żółć 漢字 \ud800"]


def test_columns_are_aligned_whatever_the_letters(capsys: pytest.CaptureFixture[str]) -> None:
    _output.print_table(
        ["name", "cost"],
        [["漢字", Decimal(1)], ["e\u0301", None], ["plain", 1234567]],
        right=["cost"],
        title="All",
    )
    assert capsys.readouterr().out.splitlines() == [
        "All",
        "name        cost",
        "漢字           1",
        "e\u0301              -",
        "plain  1,234,567",
    ]


def test_texts_cannot_command_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    _output.print_table(["user"], [["\x1b[2Jgone\x07"]])
    assert "\x1b" not in capsys.readouterr().out
    assert _output.printable("a\n\tb\x9b") == "a\n\tb\ufffd"


def test_progress_is_silent_in_a_pipe(capsys: pytest.CaptureFixture[str]) -> None:
    with _output.progress("Reading", 2) as bar:
        bar.update(1, "$1")
    captured = capsys.readouterr()
    assert captured.out + captured.err == ""


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_narrow_terminal_cuts_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    out = Terminal()
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setenv("NO_COLOR", "1")
    row = ["a-name-of-a-model", 1_234_567, "some words and an-unbreakable-long-word"]
    _output.print_table(["name", "count", "text"], [row], right=["count"])
    shown = re.sub(r"\x1b\[\d*m", "", out.getvalue())
    assert "a-name-of-a-model" in shown
    assert "1,234,567" in shown
    assert "\u2026" not in shown
    assert max(map(len, shown.splitlines())) <= 40


def test_columns_that_have_no_room_are_not_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Terminal()
    monkeypatch.setattr(sys, "stdout", screen)
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setenv("TERM", "xterm")
    columns = [f"column {number}" for number in range(8)]
    _output.print_table(columns, [[f"{number}.00000" for number in range(8)]], right=columns)
    assert all(text in screen.getvalue() for text in [*columns, *map("{}.00000".format, range(8))])
