"""A process that records runs and tells of each one as soon as the ledger has taken it."""

from __future__ import annotations

import os
import sys
import time
import uuid
from decimal import Decimal

from langchain_tamma_openai.pricing_cost import Cost
from langchain_tamma_openai.usage.record import AttemptOutcome, AttemptRecord, UsageRecord
from langchain_tamma_openai.usage.record_codec import read_time
from langchain_tamma_openai.usage.tracker import UsageTracker
from langchain_tamma_openai.wire.usage import TokenUsage

NAMESPACE = uuid.UUID(int=7)
USD = Decimal("0.000000000007")


def make_record(worker: int, number: int) -> UsageRecord:
    """Make the record of one run of one worker."""
    run_id = uuid.uuid5(NAMESPACE, f"{worker}-{number}")
    tokens = TokenUsage(input_tokens=number, output_tokens=worker, total_tokens=number + worker)
    cost = Cost(USD * number, USD * worker, USD * (number + worker))
    started_at = read_time(f"2026-03-{1 + number % 28:02}T12:00:00")
    attempt = AttemptRecord(
        run_id=run_id,
        number=1,
        started_at=started_at,
        latency_s=0.1,
        outcome=AttemptOutcome.SUCCESS,
        tokens=tokens,
        cost=cost,
    )
    return UsageRecord(
        run_id=run_id,
        started_at=started_at,
        model=f"model-{number % 3}",
        user_id=f"user-{worker}",
        tokens=tokens,
        cost=cost,
        attempt_records=(attempt,),
        tags=("work",),
    )


def main() -> None:
    """Record runs; arguments: store, durability, worker, count, spill, pause in seconds."""
    store, durability, worker, count, spill, pause = sys.argv[1:]
    tracker = UsageTracker(
        store,
        durability,  # type: ignore[arg-type]
        flush_interval_s=0.05,
        busy_timeout_s=30,
        spill_path=spill,
    )
    for number in range(int(count)):
        tracker.record(make_record(int(worker), number))
        os.write(1, f"{number} {time.monotonic()}\n".encode())
        if pause != "0":
            time.sleep(float(pause))


if __name__ == "__main__":
    main()
