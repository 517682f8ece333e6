"""What is left of a batch: decided from its journal and its output, whatever a kill left of them.

The output is the truth about what is answered, the journal about what was sent. No I/O.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Any

from langchain_tamma_openai.batch_run.journal import JournalState
from langchain_tamma_openai.batch_run.problems import BatchConflictError


@dataclass(slots=True)
class OutputState:
    """What an output tells.

    Attributes:
        answered: Lines of the input that have an answer.
        failed: Lines that have an error.
        whole_bytes: Length of its whole results; what follows is torn.
        needs_end: The last result is whole and lacks only the end of its line.
        tokens: Tokens of all results.
        cost_usd: Price of all results whose price is known.
    """

    answered: set[int] = field(default_factory=set)
    failed: set[int] = field(default_factory=set)
    whole_bytes: int = 0
    needs_end: bool = False
    input_tokens: int = 0
    output_tokens: int = 0
    cost_usd: Decimal = Decimal(0)

    def has(self, line: int) -> bool:
        """Whether a line has a result.

        Args:
            line: Its number in the input.
        """
        return line in self.answered or line in self.failed


def read_output(lines: Iterable[bytes], name: str = "the output") -> OutputState:
    """Read an output.

    Args:
        lines: Its lines with their ends; the last may be torn.
        name: Of the file, for errors.

    Raises:
        BatchConflictError: It holds something that is no result of a batch, or one twice.
    """
    state = OutputState()
    for number, raw in enumerate(lines, start=1):
        is_ended = raw.endswith(b"\n")
        result = read_result(raw)
        if result is None:
            if not is_ended:
                break
            raise BatchConflictError(
                f"{name}: line {number} was not written by a batch; use another output"
            )
        line = result["line"]
        if state.has(line):
            raise BatchConflictError(
                f"{name}: line {number} is a second result of line {line} of the input; remove one"
            )
        _count(state, result)
        state.whole_bytes += len(raw)
        state.needs_end = not is_ended
    return state


def read_result(raw: bytes) -> dict[str, Any] | None:
    """Read one result.

    Args:
        raw: A line of an output.

    Returns:
        The result; None when it is none, or torn.
    """
    try:
        result = json.loads(raw)
    except ValueError:
        return None
    if not isinstance(result, dict) or "error" not in result:
        return None
    line = result.get("line")
    return result if isinstance(line, int) and not isinstance(line, bool) and line > 0 else None


def _count(state: OutputState, result: dict[str, Any]) -> None:
    (state.answered if result["error"] is None else state.failed).add(result["line"])
    usage = result.get("usage")
    if isinstance(usage, dict):
        state.input_tokens += _number(usage.get("input_tokens"))
        state.output_tokens += _number(usage.get("output_tokens"))
    try:
        state.cost_usd += Decimal(result.get("cost_usd") or 0)
    except (InvalidOperation, TypeError, ValueError):
        return


def _number(value: object) -> int:
    return value if isinstance(value, int) else 0


@dataclass(frozen=True, slots=True)
class ResumePlan:
    """What is left to do.

    Attributes:
        answered: Lines that are answered and stay so.
        failed: Lines whose error stays in the output.
        retried: Lines whose error is to be taken out of the output, and that are asked again.
        unknown: Lines that were sent, outcome unknown, with how often; they have no result.
        left_out: Lines of those that are not to be asked again.
    """

    answered: AbstractSet[int] = frozenset()
    failed: AbstractSet[int] = frozenset()
    retried: AbstractSet[int] = frozenset()
    unknown: dict[int, int] = field(default_factory=dict)
    left_out: AbstractSet[int] = frozenset()

    def is_left(self, line: int) -> bool:
        """Whether a line of the input is to be asked.

        Args:
            line: Its number.
        """
        return not (line in self.answered or line in self.failed or line in self.left_out)

    def asked_before(self, line: int) -> int:
        """Say how often a line was sent before without a known outcome.

        Args:
            line: Its number.
        """
        return self.unknown.get(line, 0)


def make_plan(
    journal: JournalState,
    output: OutputState,
    *,
    retry_errors: bool = False,
    ask_unknown: bool = True,
) -> ResumePlan:
    """Decide what is left to do.

    A line with a result is never asked again, whatever the journal says. One that was sent and has
    none was under way when the process died, or its result was lost with the end of the file.

    Args:
        journal: What was sent.
        output: What is answered.
        retry_errors: Whether lines with an error are asked again.
        ask_unknown: Whether lines that were sent, outcome unknown, are asked again.
    """
    lost = {line: 1 for line in journal.done if not output.has(line)}
    sent = {line: times for line, times in journal.unresolved.items() if not output.has(line)}
    unknown = dict(sorted({**lost, **sent}.items()))
    return ResumePlan(
        answered=output.answered,
        failed=set() if retry_errors else output.failed,
        retried=output.failed if retry_errors else set(),
        unknown=unknown,
        left_out=set() if ask_unknown else unknown.keys(),
    )
