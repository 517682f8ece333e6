"""What the command line says about a batch, on one line and at its end."""

from __future__ import annotations

import io
from decimal import Decimal

import pytest
from rich.console import Console

from langchain_tamma_openai import BatchProgress, BatchSummary
from langchain_tamma_openai.batch_run.progress import BatchFailures, UnknownOutcome
from langchain_tamma_openai.batch_run.stopping import StopReason
from langchain_tamma_openai.cli._batch_display import picture
from langchain_tamma_openai.cli._batch_words import (
    counts,
    first_words,
    last_words,
    short_dollars,
    unknown_words,
)


def half_way() -> BatchProgress:
    return BatchProgress(
        total=2_000,
        answered=990,
        failed=10,
        in_flight=16,
        asked=500,
        input_tokens=9_000,
        output_tokens=1_000,
        cost_usd=Decimal("0.41234"),
        elapsed_s=50.0,
    )


def test_counts_say_how_far_it_is() -> None:
    assert counts(half_way(), Decimal("4.5877")) == (
        "990 answered, 10 failed, 16 in flight, 1,000 left, 200 tokens/s, $0.41 so far, "
        "budget left $4.59, ETA 2 min"
    )


def test_counts_leave_out_what_is_not_known() -> None:
    assert counts(BatchProgress(total=3), None) == "0 answered, 0 in flight, 3 left, $0.00 so far"
    unpriced = BatchProgress(total=3, answered=3, unpriced=2)
    assert "$0.00 so far and 2 unpriced" in counts(unpriced, None)


def test_the_picture_fits_a_narrow_terminal() -> None:
    console = Console(file=io.StringIO(), width=60)
    console.print(picture(half_way(), Decimal(4)))
    assert isinstance(console.file, io.StringIO)
    lines = console.file.getvalue().splitlines()
    assert max(map(len, lines)) <= 60
    assert " ".join(" ".join(lines).split()).endswith(counts(half_way(), Decimal(4)))


@pytest.mark.parametrize(
    ("usd", "text"),
    [
        ("0", "$0.00"),
        ("0.0000013", "$0.0000013"),
        ("0.00123456", "$0.0012"),
        ("0.416", "$0.42"),
        ("1234.5", "$1,234.50"),
    ],
)
def test_amounts_are_short(usd: str, text: str) -> None:
    assert short_dollars(Decimal(usd)) == text


def test_unknown_outcomes_are_named_up_to_a_number() -> None:
    assert unknown_words([]) == []
    one = UnknownOutcome(3, "c", 1, asked_again=True)
    assert unknown_words([one]) == ["1 line was sent, outcome unknown, asked again: 3 (c)"]
    many = [UnknownOutcome(line, None, 1, asked_again=False) for line in range(1, 31)]
    (text,) = unknown_words(many)
    assert text.startswith("30 lines were sent, outcome unknown, left; --in-flight ask asks them")
    assert text.endswith(": 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20"
                         " and 10 more")  # fmt: skip


def test_a_new_batch_has_no_first_words() -> None:
    assert first_words(BatchProgress(total=3), []) == []
    assert first_words(BatchProgress(total=3, answered=1, failed=1), []) == [
        "going on: 1 of 3 lines are answered and 1 failed"
    ]


def test_last_words_say_why_lines_failed() -> None:
    progress = half_way()
    progress.failures = {
        "a": BatchFailures("a", 3, 7, "Too\nodd"),
        "b": BatchFailures("b", 7, 2, "Too long"),
    }
    words = last_words(BatchSummary(StopReason.STOPPED, "", None, progress, left_in_flight=[4, 9]))
    assert words[1:] == [
        "7 failed with b, the first on line 2: Too long",
        "3 failed with a, the first on line 7: Too odd",
        "2 lines are sent, outcome unknown: 4, 9",
        "stopped; run the same command again to go on",
    ]
