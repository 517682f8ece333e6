"""What a ledger in SQLite costs its caller, and how fast it answers when it holds a million runs.

python benchmarks/ledger.py [RUNS] [FILE]
"""

from __future__ import annotations

import itertools
import sys
import tempfile
import time
import tracemalloc
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

from langchain_tamma_openai.pricing_cost import Cost
from langchain_tamma_openai.usage.record import AttemptOutcome, AttemptRecord, UsageRecord
from langchain_tamma_openai.usage.tracker import UsageTracker
from langchain_tamma_openai.wire.usage import TokenUsage

FIRST = datetime(2026, 1, 1, tzinfo=UTC)
MODELS = ("gpt-6.1-sol", "gpt-5.4-mini", "gpt-5.4-nano", "gpt-4.1", "o4-mini")


def runs(number: int) -> Iterator[UsageRecord]:
    """Make runs over 90 days, of five models and a thousand users, one attempt each."""
    step = timedelta(days=90) / number
    for index in range(number):
        run_id = uuid.UUID(int=(index << 64) | 0x8000_0000_0000_0001)
        tokens = TokenUsage(1000 + index % 97, 200, 1200 + index % 97, cached_tokens=100)
        cost = Cost(Decimal("0.00125"), Decimal("0.002"), Decimal("0.00325"))
        started_at = FIRST + step * index
        model = MODELS[index % len(MODELS)]
        attempt = AttemptRecord(
            run_id=run_id,
            number=1,
            started_at=started_at,
            latency_s=0.5,
            outcome=AttemptOutcome.SUCCESS,
            model=model,
            tokens=tokens,
            cost=cost,
        )
        yield UsageRecord(
            run_id=run_id,
            started_at=started_at,
            latency_s=0.5,
            provider="openai",
            api="responses",
            requested_model=model,
            model=model,
            tokens=tokens,
            cost=cost,
            attempt_records=(attempt,),
            user_id=f"user-{index % 1000}",
            organization_id=f"org-{index % 20}",
        )


def fill(tracker: UsageTracker, number: int) -> None:
    """Record runs, and print what one costs."""
    begun = time.perf_counter()
    for record in runs(number):
        tracker.record(record)
    tracker.flush()
    took_s = time.perf_counter() - begun
    print(f"{number} runs written in {took_s:.1f} s: {number / took_s:.0f} runs/s")


def caller_cost(tracker: UsageTracker) -> None:
    """Print what `record` costs its caller, with pauses in which the writer works."""
    spent_ns = []
    for index, record in enumerate(list(runs(2000))):
        begun = time.thread_time_ns()
        tracker.record(record)
        spent_ns.append(time.thread_time_ns() - begun)
        if index % 50 == 0:
            time.sleep(0.05)
    spent_ns.sort()
    median, high = spent_ns[len(spent_ns) // 2], spent_ns[len(spent_ns) * 99 // 100]
    print(f"record() costs its caller {median / 1000:.1f} us (99 %: {high / 1000:.1f} us)")


def answer(tracker: UsageTracker) -> None:
    """Print how long summaries take and how much memory they need."""
    for group_by in (("day", "model"), ("month",), ("user_id",), ("organization_id", "day")):
        begun = time.perf_counter()
        groups = len(tracker.summary(group_by=group_by).groups)
        took_s = time.perf_counter() - begun
        peak_kb = _peak_kb(lambda names=group_by: tracker.summary(group_by=names))  # type: ignore[misc]
        print(f"summary by {', '.join(group_by)}: {took_s:.3f} s, {groups} groups, {peak_kb} kB")
    begun = time.perf_counter()
    number = _read(tracker, 100_000)
    took_s = time.perf_counter() - begun
    peak_kb = _peak_kb(lambda: _read(tracker, 10_000))
    print(f"{number} records read in {took_s:.1f} s, {peak_kb} kB at most")


def _read(tracker: UsageTracker, number: int) -> int:
    return sum(1 for _ in itertools.islice(tracker.records(), number))


def _peak_kb(work: Callable[[], object]) -> int:
    tracemalloc.start()
    work()
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak_bytes // 1024


def main() -> None:
    """Fill a ledger and ask it."""
    number = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    with tempfile.TemporaryDirectory() as directory:
        path = Path(sys.argv[2]) if len(sys.argv) > 2 else Path(directory, "usage.db")
        with UsageTracker(path.with_suffix(".cost.db")) as tracker:
            caller_cost(tracker)
        with UsageTracker(path) as tracker:
            fill(tracker, number)
            print(f"{path.stat().st_size / number:.0f} bytes a run")
            answer(tracker)


if __name__ == "__main__":
    main()
