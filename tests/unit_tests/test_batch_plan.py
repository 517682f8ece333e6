"""What is left of a batch, from whatever bytes a kill has left of journal and output."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from langchain_tamma_openai.batch_run.journal import Event, begin_line, event_line, replay
from langchain_tamma_openai.batch_run.plan import ResumePlan, make_plan, read_output
from langchain_tamma_openai.batch_run.problems import BatchConflictError
from langchain_tamma_openai.batch_run.results import BatchResult

HEADER = begin_line({"settings": {}})
LINES = 8


def plan_of(journal: bytes, output: bytes, **wishes: bool) -> ResumePlan:
    return make_plan(replay(io.BytesIO(journal)), read_output(io.BytesIO(output)), **wishes)


def result(line: int, *, failed: bool = False) -> bytes:
    error = {"code": "server_error", "message": "No\nluck"} if failed else None
    return BatchResult(line, text=f"answer {line}", error=error).to_json()


@st.composite
def histories(draw: st.DrawFn) -> tuple[bytes, bytes, list[int]]:
    """A journal and an output as a run writes them, in some order of its lines."""
    journal, output, asked = HEADER, b"", []
    open_lines: list[int] = []
    waiting = draw(st.permutations(range(1, LINES + 1)))
    while waiting or open_lines:
        if waiting and (not open_lines or draw(st.booleans())):
            line, *waiting = waiting
            journal += event_line(Event.SENT, line)
            open_lines.append(line)
            asked.append(line)
        else:
            line = open_lines.pop(draw(st.integers(0, len(open_lines) - 1)))
            output += result(line, failed=draw(st.booleans()))
            journal += event_line(Event.DONE, line)
    return journal, output, asked


@given(histories(), st.data())
def test_any_prefixes_give_a_plan_that_loses_nothing(
    history: tuple[bytes, bytes, list[int]], data: st.DataObject
) -> None:
    journal, output, _ = history
    journal = journal[: data.draw(st.integers(0, len(journal)))]
    output = output[: data.draw(st.integers(0, len(output)))]
    plan = plan_of(journal, output)
    # A result counts when it is whole, with or without the end of its line.
    written = {json.loads(line)["line"] for line in whole(output)}
    sent = {json.loads(line).get("sent") for line in journal.split(b"\n")[:-1]} - {None}
    assert plan.answered | plan.failed == written
    assert not any(plan.is_left(line) for line in written)
    assert all(plan.is_left(line) for line in range(1, LINES + 1) if line not in written)
    # Whatever was sent and has no result is named, and nothing else is.
    assert set(plan.unknown) == sent - written


def whole(output: bytes) -> list[bytes]:
    *lines, last = output.split(b"\n")
    try:
        return [*lines, last] if json.loads(last or b"0") else lines
    except ValueError:
        return lines


@given(histories(), st.data())
def test_what_is_torn_is_found_to_the_byte(
    history: tuple[bytes, bytes, list[int]], data: st.DataObject
) -> None:
    journal, output, _ = history
    cut = data.draw(st.integers(0, len(journal)))
    state = replay(io.BytesIO(journal[:cut]))
    assert journal[: state.whole_bytes] == journal[:cut][: journal[:cut].rfind(b"\n") + 1]
    cut = data.draw(st.integers(0, len(output)))
    found = read_output(io.BytesIO(output[:cut]))
    mended = output[:cut][: found.whole_bytes] + b"\n" * found.needs_end
    assert output.startswith(mended)
    assert 0 <= cut - found.whole_bytes < max(map(len, output.splitlines()))
    again = read_output(io.BytesIO(mended))
    assert (again.answered, again.failed) == (found.answered, found.failed)
    assert again.whole_bytes == len(mended)


@given(st.lists(st.lists(st.sampled_from([1, 2, 3]), unique=True), max_size=4))
def test_it_counts_how_often_a_line_was_sent_in_vain(processes: Sequence[Sequence[int]]) -> None:
    journal = b"".join(
        HEADER + b"".join(event_line(Event.SENT, line) for line in lines) for lines in processes
    )
    plan = plan_of(journal, b"")
    times = [sum(line in lines for lines in processes) for line in (1, 2, 3)]
    assert [plan.asked_before(line) for line in (1, 2, 3)] == times


def test_a_line_that_was_refused_is_as_new() -> None:
    sent, unsent = event_line(Event.SENT, 1), event_line(Event.UNSENT, 1)
    assert plan_of(HEADER + sent + unsent, b"").unknown == {}
    assert plan_of(HEADER + sent + unsent + sent, b"").unknown == {1: 1}


def test_errors_stay_unless_they_are_to_be_asked_again() -> None:
    journal = HEADER + b"".join(
        event_line(event, line) for line in (1, 2) for event in (Event.SENT, Event.DONE)
    )
    output = result(1) + result(2, failed=True)
    kept = plan_of(journal, output)
    assert (sorted(kept.failed), sorted(kept.retried), kept.is_left(2)) == ([2], [], False)
    asked = plan_of(journal, output, retry_errors=True)
    assert (sorted(asked.failed), sorted(asked.retried), asked.is_left(2)) == ([], [2], True)
    # The error is out of the output, and its line was noted before.
    taken_out = plan_of(journal + event_line(Event.AGAIN, 2), result(1))
    assert (taken_out.unknown, taken_out.is_left(2)) == ({}, True)


def test_what_is_unknown_can_be_left() -> None:
    plan = plan_of(HEADER + event_line(Event.SENT, 3), b"", ask_unknown=False)
    assert (plan.unknown, plan.is_left(3), plan.is_left(4)) == ({3: 1}, False, True)


def test_tokens_and_costs_are_summed() -> None:
    lines = [
        {"line": 1, "error": None, "usage": {"input_tokens": 3, "output_tokens": 2}},
        {"line": 2, "error": None, "cost_usd": "0.10"},
        {"line": 3, "error": {}, "cost_usd": "0.20", "usage": None},
        {"line": 4, "error": None, "cost_usd": "much", "usage": {"input_tokens": "many"}},
    ]
    found = read_output(f"{json.dumps(line)}\n".encode() for line in lines)
    assert (found.input_tokens, found.output_tokens, found.cost_usd) == (3, 2, Decimal("0.30"))


@pytest.mark.parametrize(
    "journal",
    [
        b"hello\n",
        b"[]\n",
        b"{}\n",
        b'{"sent": 1}\n',
        HEADER + b'{"sent": "1"}\n',
        HEADER + b'{"sent": true}\n',
        HEADER + b'{"lost": 1}\n',
        HEADER + b'{"budget": ["much", "0"]}\n',
        HEADER + b'{"budget": 3}\n',
        b'{"begin": {}}\n',
        b'{"begin": 3}\n',
    ],
)
def test_what_is_no_journal_is_refused(journal: bytes) -> None:
    with pytest.raises(BatchConflictError, match=r"line \d is not of a journal"):
        replay(io.BytesIO(journal))


def test_a_journal_of_a_later_version_is_refused() -> None:
    later = b'{"begin": {"version": 99}}\n'
    with pytest.raises(BatchConflictError, match="another version"):
        replay(io.BytesIO(later))


@pytest.mark.parametrize("line", [b"hello\n", b'{"line": 1}\n', b'{"line": 0, "error": null}\n'])
def test_what_is_no_result_is_refused(line: bytes) -> None:
    with pytest.raises(BatchConflictError, match="line 2 was not written by a batch"):
        read_output([result(1), line])


def test_two_results_of_a_line_are_refused() -> None:
    with pytest.raises(BatchConflictError, match="second result of line 1"):
        read_output([result(1), result(1)])
