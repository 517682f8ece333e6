"""Records of model runs, drawn at random or made by hand, for the tests of the ledger."""

from __future__ import annotations

import uuid
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from hypothesis import strategies as st

from langchain_tamma_openai.pricing_cost import Cost, CostPart
from langchain_tamma_openai.usage.record import (
    AttemptOutcome,
    AttemptRecord,
    Delivery,
    Measurement,
    RunStatus,
    UsageRecord,
)
from langchain_tamma_openai.wire.usage import TokenUsage

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
MODELS = ("gpt-6.1-sol", "gpt-5.4-mini", "ft:gpt-4.1:acme::1")


def usage_record(number: int = 0, **changes: object) -> UsageRecord:
    """Make a record like those of real calls; its id follows from the number."""
    run_id = uuid.UUID(int=0x1000 + number)
    tokens = TokenUsage(input_tokens=100 + number, output_tokens=10, total_tokens=110 + number)
    usd = Decimal("0.00000125") * (100 + number)
    part = CostPart("input", 100 + number, Decimal("1.25"), usd)
    cost = Cost(usd, Decimal("0.0001"), usd + Decimal("0.0001"), parts=(part,))
    started_at = NOON + timedelta(seconds=number)
    attempt = AttemptRecord(
        run_id=run_id,
        number=1,
        started_at=started_at,
        latency_s=0.5,
        outcome=AttemptOutcome.SUCCESS,
        tokens=tokens,
        cost=cost,
    )
    record = UsageRecord(
        run_id=run_id,
        started_at=started_at,
        latency_s=0.5,
        provider="openai",
        api="responses",
        requested_model=MODELS[0],
        model=MODELS[0],
        tokens=tokens,
        cost=cost,
        attempt_records=(attempt,),
    )
    return replace(record, **changes)  # type: ignore[arg-type]


_counts = st.integers(0, 10**9)
_token_usages = st.builds(TokenUsage, *[_counts] * 12)
_usual_usd = st.integers(0, 10**15).map(lambda pico: Decimal(pico).scaleb(-12))
# Finer, larger or below zero: no price list has them, an override might.
_odd_usd = st.decimals(-(10**12), 10**12, allow_nan=False, allow_infinity=False)
amounts = st.one_of(_usual_usd, _usual_usd, _odd_usd)
_names = st.one_of(st.none(), st.text(max_size=5), st.sampled_from(MODELS))
_seconds = st.floats(0, 10**6, allow_nan=False)
_times = st.one_of(
    st.datetimes(NOON.replace(tzinfo=None), datetime(2026, 4, 2)),  # noqa: DTZ001 - a zone is added
    st.datetimes(datetime(1900, 1, 1), datetime(2100, 1, 1)),  # noqa: DTZ001 - a zone is added
).map(lambda moment: moment.replace(tzinfo=UTC))
_parts = st.builds(CostPart, st.sampled_from(["input", "output"]), _counts, amounts, amounts)


costs = st.one_of(
    st.builds(Cost, unknown_reason=_names, estimated=st.booleans()),
    st.builds(
        Cost,
        *[amounts] * 3,
        pricing_source=_names,
        estimated=st.booleans(),
        parts=st.lists(_parts, max_size=2).map(tuple),
    ),
)


@st.composite
def attempt_records(draw: st.DrawFn, run_id: uuid.UUID, number: int) -> AttemptRecord:
    """Draw one attempt of a run."""
    return AttemptRecord(
        run_id=run_id,
        number=number,
        started_at=draw(_times),
        latency_s=draw(_seconds),
        outcome=draw(st.sampled_from(AttemptOutcome)),
        delivery=draw(st.sampled_from(Delivery)),
        measurement=draw(st.sampled_from(Measurement)),
        model=draw(_names),
        status_code=draw(st.one_of(st.none(), st.integers(100, 599))),
        error_code=draw(_names),
        tokens=draw(st.one_of(st.none(), _token_usages)),
        cost=draw(st.one_of(st.none(), costs)),
        time_to_first_token_s=draw(st.one_of(st.none(), _seconds)),
    )


@st.composite
def usage_records(draw: st.DrawFn) -> UsageRecord:
    """Draw any record that a run could leave, and many that none would."""
    run_id = uuid.UUID(int=draw(st.integers(1, 40)))
    numbers = range(1, draw(st.integers(0, 2)) + 1)
    json_leaves = st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=5))
    return UsageRecord(
        run_id=run_id,
        parent_run_id=draw(st.one_of(st.none(), st.uuids())),
        started_at=draw(_times),
        latency_s=draw(_seconds),
        status=draw(st.sampled_from(RunStatus)),
        time_to_first_token_s=draw(st.one_of(st.none(), _seconds)),
        streamed=draw(st.booleans()),
        cache_hit=draw(st.booleans()),
        provider=draw(_names),
        api=draw(st.sampled_from(["chat_completions", "responses", None])),
        requested_model=draw(_names),
        model=draw(_names),
        service_tier=draw(_names),
        tokens=draw(st.one_of(st.none(), _token_usages)),
        cost=draw(st.one_of(st.none(), costs)),
        estimated=draw(st.booleans()),
        attempts=draw(st.integers(0, 5)),
        attempt_records=tuple(draw(attempt_records(run_id, number)) for number in numbers),
        error_code=draw(_names),
        user_id=draw(_names),
        organization_id=draw(_names),
        tags=tuple(draw(st.lists(st.sampled_from(["a", "b", "c", "ü", ""]), max_size=3))),
        metadata=draw(st.dictionaries(st.text(max_size=3), st.lists(json_leaves), max_size=2)),
        prompt_id=draw(_names),
    )
