"""A provider's side of the account, made from calls by other means than the code under test."""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from langchain_tamma_openai import UsageTracker
from langchain_tamma_openai.pricing_cost import Cost, CostPart
from langchain_tamma_openai.usage.record import AttemptRecord, UsageRecord
from langchain_tamma_openai.wire.usage import TokenUsage

DAY = timedelta(days=1)
FIRST = datetime(2026, 10, 1, tzinfo=UTC)
# Dollars per million tokens: input, cached input, output.
PRICES = {
    ("gpt-6-luna", "default"): ("0.10", "0.01", "0.50"),
    ("gpt-6-luna", "flex"): ("0.05", "0.005", "0.25"),
    ("gpt-6-luna", "priority"): ("0.20", "0.02", "1.00"),
    ("gpt-4o", "default"): ("2.50", "1.25", "10.00"),
    ("gpt-4o", "priority"): ("4.25", "2.125", "17.00"),
}


@dataclass(frozen=True)
class Call:
    """One call as it truly was."""

    number: int
    model: str = "gpt-6-luna"
    tier: str = "default"
    input_tokens: int = 1000
    cached_tokens: int = 0
    output_tokens: int = 100
    started_at: datetime = FIRST
    latency_s: float = 2.0

    @property
    def response_id(self) -> str:
        return f"resp_{self.number:06}"

    @property
    def parts(self) -> dict[str, Decimal]:
        """Dollars by kind of token."""
        fresh, cached, made = map(Decimal, PRICES[self.model, self.tier])
        million = Decimal(1_000_000)
        return {
            "input": (self.input_tokens - self.cached_tokens) * fresh / million,
            "cached input": self.cached_tokens * cached / million,
            "output": self.output_tokens * made / million,
        }

    @property
    def usd(self) -> Decimal:
        return sum(self.parts.values(), Decimal(0))

    @property
    def day(self) -> datetime:
        return self.started_at.replace(hour=0, minute=0, second=0, microsecond=0)


def many(number: int) -> list[Call]:
    """Make calls of three days that differ in everything."""
    kinds = list(PRICES)
    return [
        Call(
            number=each,
            model=kinds[each % len(kinds)][0],
            tier=kinds[each % len(kinds)][1],
            input_tokens=1000 + 37 * each,
            cached_tokens=(64 * (each % 4)),
            output_tokens=100 + 11 * each,
            started_at=FIRST + timedelta(hours=1 + (each * 5) % 70),
        )
        for each in range(number)
    ]


def record_of(call: Call, *, price_factor: str = "1", number: int = 1) -> UsageRecord:
    """Write a call down as the model does, with a run of one attempt."""
    parts = {kind: usd * Decimal(price_factor) for kind, usd in call.parts.items()}
    spent = parts["input"] + parts["cached input"]
    cost = Cost(
        input_usd=spent,
        output_usd=parts["output"],
        total_usd=spent + parts["output"],
        pricing_source="genai-prices 0.2.3",
        parts=(CostPart("output", call.output_tokens, Decimal(1), parts["output"]),),
    )
    total = call.input_tokens + call.output_tokens
    tokens = TokenUsage(
        call.input_tokens, call.output_tokens, total, cached_tokens=call.cached_tokens
    )
    run_id = uuid.uuid5(uuid.NAMESPACE_OID, str(call.number))
    attempt = AttemptRecord(
        run_id=run_id,
        number=number,
        started_at=call.started_at,
        latency_s=call.latency_s,
        outcome="success",  # type: ignore[arg-type]  # made an enum below
        requested_model=call.model,
        model=f"{call.model}-2024-08-06" if call.model == "gpt-4o" else call.model,
        service_tier=call.tier,
        response_id=call.response_id,
        request_id=f"req_{call.number}",
        tokens=tokens,
        cost=cost,
    )
    attempt = replace(attempt, outcome=_success())
    return UsageRecord(
        run_id=run_id,
        started_at=call.started_at,
        latency_s=call.latency_s,
        provider="openai",
        requested_model=call.model,
        model=attempt.model,
        service_tier=call.tier,
        tokens=tokens,
        cost=cost,
        response_id=call.response_id,
        attempt_records=(attempt,),
    )


def _success() -> Any:
    from langchain_tamma_openai import AttemptOutcome

    return AttemptOutcome.SUCCESS


def ledger(records: Iterable[UsageRecord]) -> UsageTracker:
    """Make a ledger."""
    tracker = UsageTracker("memory")
    for record in records:
        tracker.record(record)
    return tracker


# --- what the provider exports ---


def as_calls(calls: Sequence[Call]) -> list[dict[str, Any]]:
    """List calls one by one, as a gateway's log does."""
    return [
        {
            "id": call.response_id,
            "created_at": call.started_at.isoformat(),
            "model": f"{call.model}-2024-08-06",
            "service_tier": call.tier,
            "input_tokens": call.input_tokens,
            "input_cached_tokens": call.cached_tokens,
            "output_tokens": call.output_tokens,
            "cost_usd": str(call.usd),
        }
        for call in calls
    ]


def _buckets(calls: Sequence[Call]) -> dict[datetime, list[Call]]:
    found: dict[datetime, list[Call]] = defaultdict(list)
    for call in calls:
        found[call.day].append(call)
    return found


def _bucket(day: datetime, results: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "object": "bucket",
        "start_time": int(day.timestamp()),
        "end_time": int((day + DAY).timestamp()),
        "results": results,
    }


def as_usage(calls: Sequence[Call], days: int = 3) -> dict[str, Any]:
    """Give a page of the Usage API, grouped by model, batch and service tier."""
    data = []
    buckets = _buckets(calls)
    for day in (FIRST + DAY * number for number in range(days)):
        sums: dict[tuple[str, str], list[int]] = defaultdict(lambda: [0, 0, 0, 0])
        for call in buckets.get(day, ()):
            added = (1, call.input_tokens, call.cached_tokens, call.output_tokens)
            cell = sums[call.model, call.tier]
            sums[call.model, call.tier] = [a + b for a, b in zip(cell, added, strict=True)]
        results = [
            {
                "object": "organization.usage.completions.result",
                "num_model_requests": cell[0],
                "input_tokens": cell[1],
                "input_cached_tokens": cell[2],
                "output_tokens": cell[3],
                "input_audio_tokens": 0,
                "output_audio_tokens": 0,
                "project_id": None,
                "user_id": None,
                "api_key_id": None,
                "model": model if model != "gpt-4o" else "gpt-4o-2024-08-06",
                "batch": False,
                "service_tier": tier,
            }
            for (model, tier), cell in sums.items()
        ]
        data.append(_bucket(day, results))
    return {"object": "page", "data": data, "has_more": False, "next_page": None}


def as_costs(calls: Sequence[Call], days: int = 3) -> dict[str, Any]:
    """Give a page of the Costs API, grouped by line item."""
    data = []
    buckets = _buckets(calls)
    for day in (FIRST + DAY * number for number in range(days)):
        sums: dict[str, Decimal] = defaultdict(Decimal)
        for call in buckets.get(day, ()):
            for kind, usd in call.parts.items():
                sums[f"{call.model}-2024-08-06, {kind}"] += usd
        results = [
            {
                "object": "organization.costs.result",
                "amount": {"value": float(usd), "currency": "usd"},
                "line_item": item,
                "project_id": None,
            }
            for item, usd in sums.items()
        ]
        data.append(_bucket(day, results))
    return {"object": "page", "data": data, "has_more": False, "next_page": None}
