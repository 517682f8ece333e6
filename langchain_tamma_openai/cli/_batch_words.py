"""What is said about a batch. No I/O."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from langchain_tamma_openai.batch_run.stopping import StopReason
from langchain_tamma_openai.cli import _output

if TYPE_CHECKING:
    from langchain_tamma_openai.batch_run.estimate import BatchEstimate
    from langchain_tamma_openai.batch_run.progress import (
        BatchProgress,
        BatchSummary,
        UnknownOutcome,
    )

_NAMED = 20
_REASONS = 5
_MESSAGE_CHARS = 300
_MINUTE_S = 60
_HOUR_S = 3600


def counts(progress: BatchProgress, budget_left_usd: Decimal | None) -> str:
    """Put how far a batch is on one line.

    Args:
        progress: How far.
        budget_left_usd: What is left of its budget; None without one.
    """
    parts = [
        f"{progress.answered:,} answered",
        f"{progress.failed:,} failed" if progress.failed else "",
        f"{progress.in_flight:,} in flight",
        f"{progress.left:,} left",
        _rate(progress.tokens_per_second),
        _cost(progress),
        "" if budget_left_usd is None else f"budget left {short_dollars(budget_left_usd)}",
        "" if progress.eta_s is None else f"ETA {_duration(progress.eta_s)}",
    ]
    return ", ".join(part for part in parts if part)


def _rate(tokens_per_second: float | None) -> str:
    return "" if tokens_per_second is None else f"{tokens_per_second:,.0f} tokens/s"


def _cost(progress: BatchProgress) -> str:
    unpriced = f" and {progress.unpriced:,} unpriced" if progress.unpriced else ""
    return f"{short_dollars(progress.cost_usd)} so far{unpriced}"


def short_dollars(usd: Decimal) -> str:
    """Write an amount to be glanced at: cents, or two digits of less than a cent.

    Args:
        usd: US dollars.
    """
    if usd == 0 or usd >= 1:
        return f"${usd:,.2f}"
    digits = max(2, 1 - usd.adjusted())
    return f"${usd:.{digits}f}"


def _duration(seconds: float) -> str:
    if seconds < _MINUTE_S:
        return f"{seconds:.0f} s"
    if seconds < _HOUR_S:
        return f"{seconds / _MINUTE_S:.0f} min"
    return f"{seconds / _HOUR_S:.1f} h"


def first_words(progress: BatchProgress, unknown: Sequence[UnknownOutcome]) -> list[str]:
    """Say what a batch goes on with; nothing for a new one.

    Args:
        progress: How far it is.
        unknown: Lines that were sent, outcome unknown.
    """
    words = []
    if progress.answered or progress.failed:
        failed = f" and {progress.failed:,} failed" if progress.failed else ""
        words.append(
            f"going on: {progress.answered:,} of {progress.total:,} lines are answered{failed}"
        )
    return [*words, *unknown_words(unknown)]


def unknown_words(unknown: Sequence[UnknownOutcome]) -> list[str]:
    """Name the lines that were sent, outcome unknown.

    Args:
        unknown: The lines.
    """
    if not unknown:
        return []
    named = [
        f"{each.line}" if each.custom_id is None else f"{each.line} ({each.custom_id})"
        for each in unknown[:_NAMED]
    ]
    more = f" and {len(unknown) - _NAMED} more" if len(unknown) > _NAMED else ""
    what = "1 line was" if len(unknown) == 1 else f"{len(unknown)} lines were"
    then = "asked again" if unknown[0].asked_again else "left; --in-flight ask asks them again"
    return [f"{what} sent, outcome unknown, {then}: {', '.join(named)}{more}"]


def last_words(summary: BatchSummary) -> list[str]:
    """Say what became of a batch.

    Args:
        summary: What became of it.
    """
    progress = summary.progress
    failed = f", {progress.failed:,} failed" if progress.failed else ""
    left = f", {progress.left:,} left" if progress.left else ""
    counted = (
        f"{progress.answered:,} of {progress.total:,} lines answered{failed}{left}; "
        f"{_output.dollars(progress.cost_usd)} in all, "
        f"{_output.dollars(progress.session_cost_usd)} now; "
        f"{progress.input_tokens:,} tokens in, {progress.output_tokens:,} out"
    )
    words = [counted, *_failures(progress)]
    if summary.bad_count:
        words.append(f"{summary.bad_count:,} lines cannot be asked: {_bad(summary)}")
    words += unknown_words(summary.unknown)
    if summary.left_in_flight:
        named = ", ".join(map(str, summary.left_in_flight[:_NAMED]))
        words.append(f"{len(summary.left_in_flight)} lines are sent, outcome unknown: {named}")
    if summary.budget_limit_usd is not None:
        spent = summary.budget_spent_usd
        words.append(
            f"budget: {_output.dollars(spent)} of {_output.dollars(summary.budget_limit_usd)} "
            "charged, unknown outcomes at their upper bounds"
        )
    return [*words, *_why(summary)]


def _failures(progress: BatchProgress) -> list[str]:
    """Say why lines failed, the commonest reason first."""
    found = sorted(progress.failures.values(), key=lambda same: -same.count)
    return [
        f"{same.count:,} failed with {same.code}, the first on line {same.line}: "
        f"{' '.join(same.message.split())[:_MESSAGE_CHARS]}"
        for same in found[:_REASONS]
    ]


def _bad(summary: BatchSummary) -> str:
    named = "; ".join(map(str, summary.bad_lines[:3]))
    return f"{named}; ..." if summary.bad_count > 3 else named  # noqa: PLR2004 - as many as are named


def _why(summary: BatchSummary) -> list[str]:
    why = {
        StopReason.BUDGET: f"the budget is used up: {summary.message} Go on with a higher "
        "--budget-usd",
        StopReason.STOPPED: "stopped; run the same command again to go on",
        StopReason.ABORTED: "stopped at once; run the same command again to go on",
        StopReason.ERRORS: f"too many lines failed, the last with: {summary.message}",
        StopReason.ERROR: f"error: {summary.message}. It would meet every line, so nothing more "
        "was sent; run the same command again when it is mended",
        StopReason.LIMIT: "as many lines as --limit says; run the same command again to go on",
    }.get(summary.reason)
    if why is not None:
        return [why]
    if summary.progress.failed:
        return ["lines with an error are asked again with --retry-errors"]
    return []


def priced_words(estimate: BatchEstimate) -> list[str]:
    """Say what is left and what it will cost.

    Args:
        estimate: The prices.
    """
    counted = (
        f"{estimate.total:,} lines, {estimate.left:,} to ask; about {estimate.input_tokens:,} "
        "tokens of input"
    )
    words = [counted]
    if estimate.answered or estimate.failed:
        words.append(f"{estimate.answered:,} are answered, {estimate.failed:,} have an error")
    if estimate.unknown:
        words.append(f"{estimate.unknown:,} were sent, outcome unknown")
    if estimate.bad_count:
        words.append(f"{estimate.bad_count:,} cannot be asked")
    if estimate.unpriced:
        words.append(f"{estimate.unpriced:,} have no known price")
    words.append(
        f"at least {_output.dollars(estimate.low_usd)}, likely "
        f"{_output.dollars(estimate.expected_usd)}, at most {_output.dollars(estimate.high_usd)}"
    )
    return words


def figures(summary: BatchSummary, status: int) -> dict[str, Any]:
    """Put what became of a batch into JSON values.

    Args:
        summary: What became of it.
        status: The exit status.
    """
    progress, limit = summary.progress, summary.budget_limit_usd
    return {
        "reason": summary.reason,
        "complete": summary.is_complete,
        "exit_status": status,
        "message": summary.message,
        "output": None if summary.output is None else str(summary.output),
        **asdict(progress),
        "failures": [asdict(same) for same in progress.failures.values()],
        "left": progress.left,
        "unknown_outcome": [asdict(each) for each in summary.unknown],
        "left_in_flight": list(summary.left_in_flight),
        "bad_lines": [asdict(each) for each in summary.bad_lines],
        "bad_count": summary.bad_count,
        "budget_limit_usd": limit,
        "budget_spent_usd": summary.budget_spent_usd,
    }
