"""Records for the tests of reports: many kinds of runs, the same at each call."""

from __future__ import annotations

import math
import random
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from langchain_tamma_openai.pricing_cost import Cost
from langchain_tamma_openai.usage.record import (
    AttemptOutcome,
    AttemptRecord,
    RunStatus,
    UsageRecord,
)
from langchain_tamma_openai.wire.usage import TokenUsage

FIRST = datetime(2026, 3, 1, tzinfo=UTC)
UNPRICED = "house-model"
_MODELS = {"gpt-6.1-sol": 5.0, "gpt-5.4-mini": 6.0, "gpt-5.4-nano": 3.0, "o4-mini": 2.0}
_TAGS = ("chat", "search", "batch", "support", "eval")
_PRICES = {
    "gpt-6.1-sol": ("2", "10"),
    "gpt-5.4-mini": ("0.75", "4.5"),
    "gpt-5.4-nano": ("0.2", "1.25"),
    "o4-mini": ("1.1", "4.4"),
}


def varied_records(
    number: int, days: float = 30, first: datetime = FIRST, seed: int = 1
) -> Iterator[UsageRecord]:
    """Make runs of several models, users, organizations, tags, ends, tiers and attempts."""
    rng = random.Random(seed)  # noqa: S311 - the same records each time
    step = timedelta(days=days) / max(number, 1)
    for index in range(number):
        busy = 1 + math.sin(index / max(number, 1) * days * 2 * math.pi / 7) / 2
        yield _record(rng, seed << 32 | index, first + step * index, busy)


def _record(rng: random.Random, index: int, started_at: datetime, busy: float) -> UsageRecord:
    weights = [*_MODELS.values(), 0.4]
    model = rng.choices([*_MODELS, UNPRICED], weights)[0]
    tokens = _tokens(rng, model, busy)
    cost = _cost(model, tokens)
    status, error_kind = _end(rng)
    attempts = 3 if status is RunStatus.ERROR else rng.choices((1, 2), (20, 1))[0]
    latency_s = round(rng.lognormvariate(0.3 if "o4" not in model else 1.6, 0.6) * attempts, 6)
    streamed = rng.random() < 0.6
    run_id = uuid.UUID(int=(index << 64) | 0x8000_0000_0000_0001)
    attempt = AttemptRecord(
        run_id=run_id,
        number=1,
        started_at=started_at,
        latency_s=latency_s,
        outcome=AttemptOutcome.SUCCESS,
        model=model,
        tokens=tokens,
        cost=cost,
    )
    return UsageRecord(
        run_id=run_id,
        started_at=started_at,
        latency_s=latency_s,
        time_to_first_token_s=round(latency_s * rng.uniform(0.1, 0.4), 6) if streamed else None,
        streamed=streamed,
        status=status,
        error_kind=error_kind,
        provider="openai",
        api="responses",
        requested_model=model,
        model=model,
        service_tier="flex" if index % 9 == 0 else "default",
        tokens=tokens,
        cost=cost,
        estimated=index % 50 == 0,
        attempts=attempts,
        attempt_records=(attempt,) * attempts,
        user_id=f"user-{min(int(rng.paretovariate(0.8)), 99)}" if rng.random() < 0.95 else None,
        organization_id=("acme", "globex", "initech")[index % 3],
        tags=tuple(rng.sample(_TAGS, rng.choice((0, 1, 1, 2)))),
    )


def _tokens(rng: random.Random, model: str, busy: float) -> TokenUsage:
    input_tokens = int(rng.lognormvariate(7, 0.9) * busy)
    output_tokens = int(rng.lognormvariate(5.5, 0.7))
    cached = int(input_tokens * rng.uniform(0.2, 0.7)) if rng.random() < 0.6 else 0
    return TokenUsage(
        input_tokens=input_tokens,
        output_tokens=output_tokens,
        total_tokens=input_tokens + output_tokens,
        cached_tokens=cached,
        reasoning_tokens=output_tokens // 2 if model == "o4-mini" else 0,
    )


def _cost(model: str, tokens: TokenUsage) -> Cost:
    if model == UNPRICED:
        return Cost(unknown_reason="unknown_model")
    input_usd, output_usd = (Decimal(price).scaleb(-6) for price in _PRICES[model])
    fresh = tokens.input_tokens - tokens.cached_tokens
    in_usd = input_usd * fresh + input_usd * tokens.cached_tokens / 10
    out_usd = output_usd * tokens.output_tokens
    return Cost(in_usd, out_usd, in_usd + out_usd)


def _end(rng: random.Random) -> tuple[RunStatus, str | None]:
    drawn = rng.random()
    if drawn < 0.02:
        return RunStatus.ERROR, rng.choice(("rate_limit", "server_error", "request_timeout"))
    if drawn < 0.026:
        return RunStatus.INTERRUPTED, "stream_interrupted"
    return (RunStatus.CANCELLED if drawn < 0.03 else RunStatus.OK), None
