"""Runs as lines of text, aligned although they come one at a time."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from langchain_tamma_openai.pricing_cost import plain_decimal

if TYPE_CHECKING:
    from langchain_tamma_openai import AttemptRecord, UsageRecord

_LINE = "{:<19}  {:<11}  {:<24}  {:>9}  {:>9}  {:>14}  {:>8}  {}"
HEAD = _LINE.format(
    "started (UTC)", "status", "model", "input", "output", "cost", "seconds", "who"
).rstrip()


def print_runs(records: Iterable[UsageRecord], *, attempts: bool = False) -> None:
    """Print runs under a head, each as soon as it is there.

    Args:
        records: The runs.
        attempts: Whether each of their HTTP attempts has a line too.
    """
    print(HEAD)
    for record in records:
        print_run(record, attempts=attempts)


def print_run(record: UsageRecord, *, attempts: bool = False) -> None:
    """Print one run.

    Args:
        record: The run.
        attempts: Whether each of its HTTP attempts has a line too.
    """
    print(run_line(record), flush=True)
    if attempts:
        for attempt in record.attempt_records:
            print(_attempt_line(attempt), flush=True)


def run_line(record: UsageRecord) -> str:
    """Put a run on a line.

    Args:
        record: The run.
    """
    who = "/".join(each for each in (record.organization_id, record.user_id) if each)
    tags = " ".join(f"#{tag}" for tag in record.tags)
    why = "" if record.error_kind is None else f"({record.error_kind})"
    return _LINE.format(
        f"{record.started_at:%Y-%m-%d %H:%M:%S}",
        "cached" if record.cache_hit else record.status.value,
        record.model or record.requested_model or "-",
        *_figures(record),
        f"{record.latency_s:.2f}",
        " ".join(f"{who} {tags} {why}".split()),
    ).rstrip()


def _attempt_line(attempt: AttemptRecord) -> str:
    status = "" if attempt.status_code is None else str(attempt.status_code)
    return _LINE.format(
        f"  attempt {attempt.number}",
        attempt.outcome.value,
        attempt.model or attempt.requested_model or "-",
        *_figures(attempt),
        f"{attempt.latency_s:.2f}",
        " ".join(filter(None, (status, attempt.error_code, attempt.measurement.value))),
    ).rstrip()


def _figures(record: UsageRecord | AttemptRecord) -> tuple[str, str, str]:
    tokens, cost = record.tokens, record.cost
    amount = None if cost is None else plain_decimal(cost.total_usd)
    return (
        "-" if tokens is None else f"{tokens.input_tokens:,}",
        "-" if tokens is None else f"{tokens.output_tokens:,}",
        "unknown" if amount is None else f"${amount}",
    )
