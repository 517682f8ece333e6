"""How far a batch is, and what became of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

from langchain_tamma_openai.batch_run.stopping import StopReason

if TYPE_CHECKING:
    from langchain_tamma_openai.batch_run.problems import BadLine
    from langchain_tamma_openai.batch_run.results import BatchResult


@dataclass(frozen=True, slots=True)
class UnknownOutcome:
    """A line that an earlier process sent without hearing the outcome.

    Attributes:
        line: Its number in the input.
        custom_id: The user's name for it.
        times: How often it was sent.
        asked_again: Whether it was, or will be, asked again.
    """

    line: int
    custom_id: str | None
    times: int
    asked_again: bool


@dataclass(slots=True)
class BatchFailures:
    """Lines of this process that failed in the same way.

    Attributes:
        code: The server's code, or the kind of failure.
        count: How many.
        line: The first of them.
        message: What it failed with.
    """

    code: str
    count: int
    line: int
    message: str


@dataclass(slots=True)
class BatchProgress:
    """How far a batch is.

    Attributes:
        total: Lines that can be asked.
        answered: Lines with an answer, of earlier processes included.
        failed: Lines with an error, of earlier processes included.
        in_flight: Lines that were sent and have no answer yet.
        answered_before: Lines that were answered when the process began.
        asked: Lines that this process has finished.
        input_tokens: Of this process.
        output_tokens: Of this process.
        cost_usd: What all results cost whose price is known, of earlier processes included.
        session_cost_usd: The same of this process.
        unpriced: Results of this process that used tokens of unknown price.
        elapsed_s: Seconds since the first request of this process.
        failures: Lines of this process that failed, by their codes.
    """

    total: int = 0
    answered: int = 0
    failed: int = 0
    in_flight: int = 0
    answered_before: int = 0
    asked: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cost_usd: Decimal = Decimal(0)
    session_cost_usd: Decimal = Decimal(0)
    unpriced: int = 0
    elapsed_s: float = 0.0
    failures: dict[str, BatchFailures] = field(default_factory=dict)

    @property
    def left(self) -> int:
        """Lines without a result."""
        return self.total - self.answered - self.failed

    @property
    def tokens_per_second(self) -> float | None:
        """Tokens, input and output together; None before there are any."""
        tokens = self.input_tokens + self.output_tokens
        return tokens / self.elapsed_s if tokens and self.elapsed_s > 0 else None

    @property
    def eta_s(self) -> float | None:
        """Seconds until nothing is left, at the rate so far; None before there is one."""
        if not self.asked or self.elapsed_s <= 0:
            return None
        return self.left * self.elapsed_s / self.asked

    def take(self, result: BatchResult) -> None:
        """Count a result.

        Args:
            result: The result.
        """
        self.asked += 1
        if result.error is None:
            self.answered += 1
        else:
            self.failed += 1
            code, message = str(result.error["code"]), str(result.error["message"])
            same = self.failures.setdefault(code, BatchFailures(code, 0, result.line, message))
            same.count += 1
        if result.tokens is not None:
            self.input_tokens += result.tokens.input_tokens
            self.output_tokens += result.tokens.output_tokens
        if result.cost_usd is not None:
            self.cost_usd += result.cost_usd
            self.session_cost_usd += result.cost_usd
        elif result.attempts:
            self.unpriced += 1


@dataclass(frozen=True, slots=True)
class BatchSummary:
    """What became of a batch in one process.

    Attributes:
        reason: Why the process ended.
        message: What there is to say about it; empty when nothing is left.
        output: Where the results are; None for standard output.
        progress: The counts.
        unknown: Lines that earlier processes sent without hearing the outcome.
        left_in_flight: Lines of this process that were under way when it was aborted.
        bad_lines: The first lines that cannot be asked.
        bad_count: How many cannot.
        budget_limit_usd: Limit of the budget; None without one.
        budget_spent_usd: What it has charged, with the upper bounds of unknown outcomes.
        error: What stopped it; None where nothing did.
    """

    reason: StopReason
    message: str
    output: Path | None
    progress: BatchProgress
    unknown: Sequence[UnknownOutcome] = ()
    left_in_flight: Sequence[int] = ()
    bad_lines: Sequence[BadLine] = ()
    bad_count: int = 0
    budget_limit_usd: Decimal | None = None
    budget_spent_usd: Decimal | None = None
    error: Exception | None = field(default=None, compare=False)

    @property
    def is_complete(self) -> bool:
        """Whether every line that can be asked has an answer."""
        return not self.progress.left and not self.progress.failed
