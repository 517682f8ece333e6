"""Ledgers as a model writes them, the bills they ought to get, and drifts planted into them.

The bill is reckoned from the calls by plain loops and prices written down here; nothing of the code
under test takes part in it.
"""

from __future__ import annotations

import random
import uuid
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from langchain_tamma_openai import AttemptOutcome, Cost, Delivery, Measurement, RunStatus
from langchain_tamma_openai.pricing_cost import CostPart
from langchain_tamma_openai.usage.record import AttemptRecord, UsageRecord
from langchain_tamma_openai.wire.usage import TokenUsage

DAY = timedelta(days=1)
FIRST = datetime(2026, 10, 1, tzinfo=UTC)
DAYS = 3
# Dollars per million tokens: input, cached input, output.
PRICES = {
    ("gpt-6-luna", "default"): ("0.10", "0.01", "0.50"),
    ("gpt-6-luna", "flex"): ("0.05", "0.005", "0.25"),
    ("gpt-6-luna", "priority"): ("0.20", "0.02", "1.00"),
    ("gpt-6-luna", "batch"): ("0.05", "0.005", "0.25"),
    ("gpt-4o", "default"): ("2.50", "1.25", "10.00"),
    ("gpt-4o", "priority"): ("4.25", "2.125", "17.00"),
    ("gpt-4o-mini", "default"): ("0.15", "0.075", "0.60"),
}
DATED = {"gpt-4o": "gpt-4o-2024-08-06", "gpt-4o-mini": "gpt-4o-mini-2024-07-18"}


@dataclass(frozen=True)
class Call:
    """One billed attempt, as it truly was."""

    number: int
    model: str
    tier: str
    input_tokens: int
    cached_tokens: int
    output_tokens: int
    reasoning_tokens: int
    started_at: datetime
    latency_s: float = 2.0
    factor: str = "1"
    """What the prices are multiplied with, in the ledger: 1 is today's list."""

    @property
    def response_id(self) -> str:
        return f"resp_{self.number:06}"

    @property
    def dated(self) -> str:
        return DATED.get(self.model, self.model)

    def dollars(self, factor: str = "1") -> dict[str, Decimal]:
        """Dollars by kind of token."""
        per_mtok = [Decimal(price) * Decimal(factor) for price in PRICES[self.model, self.tier]]
        counts = (self.input_tokens - self.cached_tokens, self.cached_tokens, self.output_tokens)
        kinds = ("input", "cached_input", "output")
        return {
            kind: price * count / 1_000_000
            for kind, price, count in zip(kinds, per_mtok, counts, strict=True)
        }

    def usd(self, factor: str = "1") -> Decimal:
        return sum(self.dollars(factor).values(), Decimal(0))

    @property
    def day(self) -> datetime:
        """The day on which the provider counts it."""
        end = self.started_at + timedelta(seconds=self.latency_s)
        return end.replace(hour=0, minute=0, second=0, microsecond=0)


def some_calls(chance: random.Random, number: int) -> list[Call]:
    """Make calls that differ in everything, over three days."""
    kinds = list(PRICES)
    calls = []
    for each in range(number):
        model, tier = chance.choice(kinds)
        inputs = chance.randrange(20, 6000)
        outputs = chance.randrange(1, 1500)
        calls.append(
            Call(
                number=each,
                model=model,
                tier=tier,
                input_tokens=inputs,
                cached_tokens=chance.choice((0, 0, inputs // 64 // 2 * 64)),
                output_tokens=outputs,
                reasoning_tokens=chance.choice((0, outputs // 2)),
                started_at=FIRST + timedelta(seconds=chance.randrange(60, DAYS * 86_400 - 60)),
                latency_s=chance.choice((0.4, 2.0, 30.0)),
            )
        )
    return calls


def dice(seed: int) -> random.Random:
    """Give chances that are the same each time."""
    return random.Random(seed)  # noqa: S311 - tests, not secrets


# --- the ledger ---


def _attempt(call: Call, run_id: uuid.UUID, number: int) -> AttemptRecord:
    parts = call.dollars(call.factor)
    counts = {
        "input": call.input_tokens - call.cached_tokens,
        "cached_input": call.cached_tokens,
        "output": call.output_tokens,
    }
    spent = parts["input"] + parts["cached_input"]
    cost = Cost(
        spent,
        parts["output"],
        spent + parts["output"],
        pricing_source="genai-prices 0.2.3",
        parts=tuple(
            CostPart(kind, counts[kind], usd / counts[kind] * 1_000_000, usd)
            for kind, usd in parts.items()
            if counts[kind]
        ),
    )
    return AttemptRecord(
        run_id=run_id,
        number=number,
        started_at=call.started_at,
        latency_s=call.latency_s,
        outcome=AttemptOutcome.SUCCESS,
        requested_model=call.model,
        model=call.dated,
        service_tier=call.tier,
        response_id=call.response_id,
        request_id=f"req_{call.number}",
        tokens=TokenUsage(
            call.input_tokens,
            call.output_tokens,
            call.input_tokens + call.output_tokens,
            cached_tokens=call.cached_tokens,
            reasoning_tokens=call.reasoning_tokens,
        ),
        cost=cost,
    )


def as_records(calls: Iterable[Call], chance: random.Random) -> list[UsageRecord]:
    """Write calls down as a model does, with what nobody bills in between."""
    records = []
    for call in calls:
        run_id = uuid.uuid5(uuid.NAMESPACE_OID, f"run {call.number}")
        attempts = [_attempt(call, run_id, 1)]
        if chance.random() < 0.1:
            attempts.insert(0, _refused(call, run_id))
            attempts[1] = replace(attempts[1], number=2)
        records.append(
            UsageRecord(
                run_id=run_id,
                started_at=call.started_at,
                latency_s=call.latency_s,
                provider="openai",
                requested_model=call.model,
                model=call.dated,
                service_tier=call.tier,
                tokens=attempts[-1].tokens,
                cost=attempts[-1].cost,
                response_id=call.response_id,
                attempts=len(attempts),
                attempt_records=tuple(attempts),
            )
        )
        if chance.random() < 0.1:
            records.append(_cached(records[-1]))
    return records


def _refused(call: Call, run_id: uuid.UUID) -> AttemptRecord:
    return AttemptRecord(
        run_id=run_id,
        number=1,
        started_at=call.started_at,
        latency_s=0.1,
        outcome=AttemptOutcome.RETRY,
        requested_model=call.model,
        status_code=429,
        tokens=TokenUsage(),
        cost=Cost(Decimal(0), Decimal(0), Decimal(0)),
    )


def _cached(record: UsageRecord) -> UsageRecord:
    return replace(
        record,
        run_id=uuid.uuid5(record.run_id, "cached"),
        cache_hit=True,
        attempts=0,
        attempt_records=(),
    )


def unseen(call: Call) -> UsageRecord:
    """Write down a call whose answer never came."""
    run_id = uuid.uuid5(uuid.NAMESPACE_OID, f"run {call.number}")
    attempt = replace(
        _attempt(call, run_id, 1),
        outcome=AttemptOutcome.ERROR,
        delivery=Delivery.SENT_OUTCOME_UNKNOWN,
        measurement=Measurement.UNKNOWN,
        tokens=None,
        cost=None,
        response_id=None,
    )
    return UsageRecord(
        run_id=run_id,
        started_at=call.started_at,
        status=RunStatus.ERROR,
        requested_model=call.model,
        attempt_records=(attempt,),
    )


# --- the bill ---


def as_calls(calls: Sequence[Call]) -> list[dict[str, Any]]:
    """List calls one by one."""
    return [
        {
            "id": call.response_id,
            "created": int((call.started_at + timedelta(seconds=call.latency_s)).timestamp()),
            "model": call.dated,
            "service_tier": "default" if call.tier == "batch" else call.tier,
            "batch": call.tier == "batch",
            "usage": {
                "prompt_tokens": call.input_tokens,
                "completion_tokens": call.output_tokens,
                "prompt_tokens_details": {"cached_tokens": call.cached_tokens},
                "completion_tokens_details": {"reasoning_tokens": call.reasoning_tokens},
            },
            "cost_usd": float(call.usd()),
        }
        for call in calls
    ]


def as_nameless_calls(calls: Sequence[Call]) -> list[dict[str, Any]]:
    """List calls without ids."""
    return [{k: v for k, v in row.items() if k != "id"} for row in as_calls(calls)]


def _page(calls: Sequence[Call], results: Callable[[list[Call]], list[dict[str, Any]]]) -> Any:
    by_day: dict[datetime, list[Call]] = defaultdict(list)
    for call in calls:
        by_day[call.day].append(call)
    data = [
        {
            "object": "bucket",
            "start_time": int((FIRST + DAY * number).timestamp()),
            "end_time": int((FIRST + DAY * (number + 1)).timestamp()),
            "results": results(by_day[FIRST + DAY * number]),
        }
        for number in range(DAYS)
    ]
    return {"object": "page", "data": data, "has_more": False, "next_page": None}


def as_usage(calls: Sequence[Call]) -> Any:
    """Give a page of the Usage API."""

    def results(some: list[Call]) -> list[dict[str, Any]]:
        groups: dict[tuple[str, str], list[Call]] = defaultdict(list)
        for call in some:
            groups[call.dated, call.tier].append(call)
        return [
            {
                "object": "organization.usage.completions.result",
                "input_tokens": sum(call.input_tokens for call in group),
                "output_tokens": sum(call.output_tokens for call in group),
                "input_cached_tokens": sum(call.cached_tokens for call in group),
                "input_audio_tokens": 0,
                "output_audio_tokens": 0,
                "num_model_requests": len(group),
                "project_id": None,
                "user_id": None,
                "api_key_id": None,
                "model": model,
                "batch": tier == "batch",
                "service_tier": "default" if tier == "batch" else tier,
            }
            for (model, tier), group in groups.items()
        ]

    return _page(calls, results)


def as_costs(calls: Sequence[Call]) -> Any:
    """Give a page of the Costs API, by line item."""
    words = {"input": "input", "cached_input": "cached input", "output": "output"}

    def results(some: list[Call]) -> list[dict[str, Any]]:
        sums: dict[str, Decimal] = defaultdict(Decimal)
        for call in some:
            for kind, usd in call.dollars().items():
                sums[f"{call.dated}, {words[kind]}"] += usd
        return [_cost(item, usd) for item, usd in sums.items() if usd]

    return _page(calls, results)


def as_model_costs(calls: Sequence[Call]) -> Any:
    """Give a page of the Costs API whose line items are models."""

    def results(some: list[Call]) -> list[dict[str, Any]]:
        sums: dict[str, Decimal] = defaultdict(Decimal)
        for call in some:
            sums[call.dated] += call.usd()
        return [_cost(item, usd) for item, usd in sums.items()]

    return _page(calls, results)


def _cost(item: str, usd: Decimal) -> dict[str, Any]:
    return {
        "object": "organization.costs.result",
        "amount": {"value": float(usd), "currency": "usd"},
        "line_item": item,
        "project_id": None,
    }


# --- drifts ---


@dataclass
class Planted:
    """Drifts: what was planted, by kind and by where it must be found.

    Attributes:
        ledger: The calls as the ledger has them.
        billed: The calls as the provider bills them.
        sums: Dollars that the provider has more, by kind.
        requests: How many calls, by kind.
        places: Day and model of each.
    """

    ledger: list[Call]
    billed: list[Call]
    sums: dict[str, Decimal] = field(default_factory=lambda: defaultdict(Decimal))
    requests: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    places: list[tuple[datetime, str]] = field(default_factory=list)

    def plant(self, kind: str, call: Call) -> None:
        """Make the two sides differ by one call."""
        change = {
            "missing_in_ledger": self._missing,
            "missing_at_provider": self._unbilled,
            "wrong_service_tier": self._tier,
            "batch_discount": self._batch,
            "stale_price": self._stale,
        }[kind]
        if (usd := change(call)) is not None:
            self.sums[kind] += usd
            self.requests[kind] += 1
            self.places.append((call.day, call.model))

    def _missing(self, call: Call) -> Decimal:
        self.ledger = [each for each in self.ledger if each is not call]
        return call.usd()

    def _unbilled(self, call: Call) -> Decimal:
        self.billed = [each for each in self.billed if each is not call]
        return -call.usd()

    def _tier(self, call: Call) -> Decimal | None:
        other = {"default": "priority", "priority": "default", "flex": "default"}.get(call.tier)
        return self._rebill(call, other)

    def _batch(self, call: Call) -> Decimal | None:
        return self._rebill(call, {"batch": "default", "default": "batch"}.get(call.tier))

    def _rebill(self, call: Call, tier: str | None) -> Decimal | None:
        if tier is None or (call.model, tier) not in PRICES:
            return None
        other = replace(call, tier=tier)
        self.billed = [other if each is call else each for each in self.billed]
        return other.usd() - call.usd()

    def _stale(self, call: Call) -> Decimal:
        old = replace(call, factor="0.8")
        self.ledger = [old if each is call else each for each in self.ledger]
        return call.usd() - old.usd("0.8")
