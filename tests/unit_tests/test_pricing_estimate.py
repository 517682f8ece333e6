"""What a request will cost: the least, a likely amount and the most, before it is sent."""

from __future__ import annotations

import base64
from dataclasses import FrozenInstanceError
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from langchain_core.messages import HumanMessage

from langchain_tamma_openai import pricing
from langchain_tamma_openai.pricing import CostCalculator
from langchain_tamma_openai.tokens import TokenCounter
from langchain_tamma_openai.wire.usage import TokenUsage

Json = dict[str, Any]
NOW = datetime(2026, 11, 24, tzinfo=UTC)
CALCULATOR = CostCalculator()
HELLO: list[Json] = [{"role": "user", "content": "hello"}]  # 8 tokens
LONG_TEXT = "word " * 2_000
IMAGE = {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}


@pytest.fixture(autouse=True)
def forget_warnings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pricing, "_warned_models", set())


def usd(input_tokens: int, in_price: str, output_tokens: int, out_price: str) -> Decimal:
    micro = Decimal(in_price) * input_tokens + Decimal(out_price) * output_tokens
    return micro / 1_000_000


def test_three_amounts_worked_out_by_hand() -> None:
    estimate = CALCULATOR.estimate(HELLO, "gpt-4o", max_tokens=1_000, at=NOW)
    assert estimate.low == usd(8, "2.50", 0, "10")
    assert estimate.expected == usd(8, "2.50", 500, "10")
    assert estimate.high == usd(8, "2.50", 1_000, "10")
    assert (estimate.low_input_tokens, estimate.input_tokens, estimate.high_input_tokens) == (
        8,
    ) * 3
    assert estimate.low_output_tokens == 0
    assert estimate.expected_output_tokens == 500
    assert estimate.high_output_tokens == 1_000
    assert estimate.high_tokens == 1_008
    assert estimate.unknown_reason is None
    assert str(estimate) == "$0.00002 .. $0.00502 .. $0.01002"


def test_an_estimate_is_frozen_and_prints_its_amounts() -> None:
    estimate = CALCULATOR.estimate(HELLO, "gpt-4o", at=NOW)
    with pytest.raises(FrozenInstanceError):
        estimate.high = Decimal(0)  # type: ignore[misc]
    assert "high=Decimal('0.1638600')" in repr(estimate)


def test_without_a_limit_the_models_longest_answer_is_the_bound() -> None:
    estimate = CALCULATOR.estimate(HELLO, "gpt-4o", at=NOW)
    assert estimate.high_output_tokens == 16_384
    assert estimate.high == usd(8, "2.50", 16_384, "10")
    too_much = CALCULATOR.estimate(HELLO, "gpt-4o", max_tokens=10**6, at=NOW)
    assert too_much.high == estimate.high


def test_the_expected_length_can_be_given() -> None:
    estimate = CALCULATOR.estimate(HELLO, "gpt-4o", expected_output_tokens=50, at=NOW)
    assert estimate.expected == usd(8, "2.50", 50, "10")
    short = CALCULATOR.estimate(HELLO, "gpt-4o", max_tokens=20, expected_output_tokens=50, at=NOW)
    assert short.expected_output_tokens == 20


def test_several_choices_are_answered_each() -> None:
    estimate = CALCULATOR.estimate(HELLO, "gpt-4o", max_tokens=100, n=3, at=NOW)
    assert estimate.high == usd(8, "2.50", 300, "10")
    assert estimate.expected == usd(8, "2.50", 300, "10")
    assert estimate.high_tokens == 308


def test_long_prompts_may_come_from_the_cache_or_be_written_to_it() -> None:
    messages = [{"role": "user", "content": LONG_TEXT}]
    for model, in_price, cached, write in (
        ("gpt-5.6-terra", "2", "0.20", "2.50"),
        ("gpt-4o", "2.50", "1.25", "2.50"),
    ):
        estimate = CALCULATOR.estimate(messages, model, max_tokens=0, at=NOW)
        tokens = estimate.input_tokens
        assert tokens > 1_024
        assert estimate.low == usd(tokens, cached, 0, "0")
        assert estimate.expected == usd(tokens, in_price, 0, "0")
        assert estimate.high == usd(tokens, write, 0, "0")


def test_writes_for_12_hours_cost_more_or_an_unknown_amount() -> None:
    payload: Json = {
        "input": LONG_TEXT,
        "max_output_tokens": 0,
        "prompt_cache_options": {"ttl": "12h"},
    }
    estimate = CALCULATOR.estimate_payload(payload, "gpt-6.2-sol", at=NOW)
    assert estimate.high_input_tokens is not None
    assert estimate.high == usd(estimate.high_input_tokens, "5", 0, "0")
    unknown = CALCULATOR.estimate_payload(payload, "gpt-6.1-sol", at=NOW)
    assert unknown.high is None
    assert unknown.low is not None


def test_the_switch_to_long_context_is_in_the_bounds() -> None:
    near = "word " * 260_000  # below 272,000 as counted, above it as a bound
    estimate = CALCULATOR.estimate([("user", near)], "gpt-6.1-sol", max_tokens=1_000, at=NOW)
    assert estimate.input_tokens < 272_000
    assert estimate.high_input_tokens is not None
    assert estimate.high_input_tokens > 272_000
    assert estimate.expected == usd(estimate.input_tokens, "2", 500, "10")
    assert estimate.high == usd(estimate.high_input_tokens, "5", 1_000, "15")


def test_a_dearer_short_level_is_not_overlooked() -> None:
    table: dict[str, Json] = {
        "m": {
            "input_usd_per_mtok": 10,
            "output_usd_per_mtok": 0,
            "long_context": {
                "above_input_tokens": 5,
                "input_multiplier": "0.1",
                "output_multiplier": 1,
            },
        }
    }
    estimate = CostCalculator(table).estimate(HELLO, "m", max_tokens=1)
    assert estimate.low_input_tokens == 6
    assert estimate.high == usd(10, "1", 0, "0")
    table["m"]["long_context"]["above_input_tokens"] = 7
    dearer = CostCalculator(table).estimate(HELLO, "m", max_tokens=1)
    assert dearer.high == usd(7, "10", 0, "0")


def test_priority_may_be_served_as_standard() -> None:
    estimate = CALCULATOR.estimate(HELLO, "gpt-4o", max_tokens=100, service_tier="fast", at=NOW)
    assert estimate.low == usd(8, "2.50", 0, "0")
    assert estimate.high == usd(8, "4.25", 100, "17")
    flex = CALCULATOR.estimate(HELLO, "gpt-5", max_tokens=100, service_tier="flex", at=NOW)
    assert flex.low == usd(8, "0.625", 0, "0")
    assert flex.high == usd(8, "0.625", 100, "5")
    batch = CALCULATOR.estimate(HELLO, "gpt-5", max_tokens=100, batch=True, at=NOW)
    assert batch.high == flex.high


def test_regional_processing_costs_a_tenth_more() -> None:
    plain = CALCULATOR.estimate(HELLO, "gpt-5.4", max_tokens=100, at=NOW)
    regional = CALCULATOR.estimate(HELLO, "gpt-5.4", max_tokens=100, at=NOW, regional=True)
    assert plain.high is not None
    assert regional.high == plain.high * Decimal("1.1")


def test_audio_is_priced_as_audio() -> None:
    clip = base64.b64encode(bytes(48_000)).decode()  # a second: 10 tokens, 20 at most
    sound = {"type": "input_audio", "input_audio": {"data": clip, "format": "pcm16"}}
    messages = [{"role": "user", "content": [sound]}]
    options: Json = {"max_tokens": 100, "at": NOW, "modalities": ["text", "audio"]}
    estimate = CALCULATOR.estimate(messages, "gpt-audio", **options)
    assert estimate.input_tokens == 7 + 10
    assert estimate.expected == usd(7, "2.50", 100, "64") + usd(10, "32", 0, "0")
    assert estimate.high is not None
    assert estimate.high > estimate.expected
    assert CALCULATOR.estimate(messages, "gpt-4o", **options).high is None
    assert CALCULATOR.estimate(HELLO, "gpt-4o", **options).high is None


def test_an_unknown_price_is_none_and_says_why() -> None:
    estimate = CALCULATOR.estimate(HELLO, "my-own-model", max_tokens=10, at=NOW)
    assert (estimate.low, estimate.expected, estimate.high) == (None, None, None)
    assert estimate.unknown_reason == "no price is known for my-own-model"
    assert estimate.high_tokens == 20
    assert str(estimate) == "unknown .. unknown .. unknown"


def test_an_unknown_output_limit_leaves_the_most_unknown() -> None:
    table = {"m": {"input_usd_per_mtok": 1, "output_usd_per_mtok": 1}}
    estimate = CostCalculator(table).estimate(HELLO, "m")
    assert estimate.high is None
    assert estimate.high_tokens is None
    assert estimate.low is not None
    assert estimate.expected is not None
    assert "output limit" in str(estimate.unknown_reason)


@pytest.mark.parametrize(
    "payload",
    [
        {"input": "go on", "previous_response_id": "resp_1"},
        {"input": "news?", "tools": [{"type": "web_search"}]},
        {"messages": [{"role": "user", "content": [IMAGE]}]},
    ],
)
def test_what_has_no_limit_of_its_own_may_fill_the_window(payload: Json) -> None:
    bound = CALCULATOR.upper_bound({**payload, "max_output_tokens": 100}, "gpt-5.6-luna", at=NOW)
    assert bound.tokens == 922_000 + 100
    assert bound.usd == usd(922_000, "0.50", 100, "1.80")
    assert bound.input_tokens < 20_000


def test_detail_high_bounds_a_remote_image() -> None:
    image = {**IMAGE, "image_url": {**IMAGE["image_url"], "detail": "high"}}  # type: ignore[dict-item]
    payload = {"messages": [{"role": "user", "content": [image]}], "max_tokens": 100}
    bound = CALCULATOR.upper_bound(payload, "gpt-5.6-luna", at=NOW)
    assert bound.tokens == 7 + 2_500 + 100


def test_a_request_above_the_window_is_bounded_by_what_was_counted() -> None:
    estimate = CALCULATOR.estimate([("user", "word " * 10_000)], "gpt-4", max_tokens=1, at=NOW)
    assert estimate.high_input_tokens == estimate.input_tokens > 8_192


def test_model_and_tier_are_read_from_the_payload() -> None:
    payload: Json = {
        "model": "gpt-5",
        "messages": HELLO,
        "service_tier": "flex",
        "max_completion_tokens": 100,
    }
    bound = CALCULATOR.upper_bound(payload, at=NOW)
    assert bound == (usd(8, "0.625", 100, "5"), 108, 8)
    other = CALCULATOR.upper_bound(payload, "gpt-4o", service_tier="default", at=NOW)
    assert other.usd == usd(8, "2.50", 100, "10")


def test_tools_and_schemas_are_in_the_bound() -> None:
    def add(a: int) -> int:
        """Add one."""
        return a + 1

    tools = [add]
    schema: Json = {"type": "json_schema", "json_schema": {"name": "x", "schema": {}}}
    plain = CALCULATOR.estimate(HELLO, "gpt-6-luna", max_tokens=1, at=NOW)
    with_tools = CALCULATOR.estimate(HELLO, "gpt-6-luna", tools, max_tokens=1, at=NOW)
    formatted = CALCULATOR.estimate(
        HELLO, "gpt-6-luna", max_tokens=1, at=NOW, response_format=schema
    )
    for estimate in (with_tools, formatted):
        assert estimate.input_tokens > plain.input_tokens
        assert estimate.high_input_tokens is not None
        assert estimate.high_input_tokens > estimate.input_tokens
        assert estimate.notes
    assert TokenCounter().count_messages(HELLO, "gpt-6-luna", tools) == with_tools.input_tokens


def test_a_price_that_fails_is_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("no prices")

    calculator = CostCalculator()
    monkeypatch.setattr(calculator, "_find", fail)
    estimate = calculator.estimate(HELLO, "gpt-4o", max_tokens=10, at=NOW)
    assert estimate.high is None
    assert estimate.high_tokens == 18
    assert estimate.unknown_reason == "pricing failed with RuntimeError: no prices"


def test_what_cannot_be_counted_may_fill_the_window() -> None:
    broken: Any = {"messages": [{"role": "user", "tool_calls": [1]}], "max_tokens": 10}
    bound = CALCULATOR.upper_bound(broken, "gpt-4o", at=NOW)
    assert bound.tokens == 128_000 + 10
    assert CALCULATOR.upper_bound(broken, "my-own-model", at=NOW).tokens is None


def test_a_tier_without_a_rate_for_long_requests_has_no_known_most() -> None:
    text = {"type": "text", "text": "word " * 265_000}
    near: list[Json] = [{"role": "user", "content": [text, IMAGE]}]  # an image of 1 to 10,000
    options: Json = {"max_tokens": 10, "service_tier": "priority", "at": NOW}
    estimate = CALCULATOR.estimate(near, "gpt-5.5", **options)
    assert estimate.low is not None
    assert estimate.high is None
    sure = [("user", "word " * 280_000)]
    assert CALCULATOR.estimate(sure, "gpt-5.5", **options).low is None


def test_a_prompt_that_may_be_long_enough_to_be_cached_may_cost_less() -> None:
    near = CALCULATOR.estimate([("user", "word " * 1_100)], "gpt-6-luna", max_tokens=0, at=NOW)
    assert near.low_input_tokens < 1_024 < near.input_tokens
    assert near.low == usd(1_024, "0.01", 0, "0")
    below = CALCULATOR.estimate([("user", "word " * 100)], "gpt-6-luna", max_tokens=0, at=NOW)
    assert below.low == usd(below.low_input_tokens, "0.10", 0, "0")


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=6) | st.floats(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=6,
)
odd_fields = st.sampled_from(
    ["messages", "input", "tools", "n", "max_tokens", "service_tier", "model", "modalities"]
)


@settings(deadline=None, max_examples=200)
@given(payload=st.dictionaries(odd_fields, anything), model=st.none() | st.just("gpt-4o"))
def test_no_payload_makes_an_estimate_fail(payload: Json, model: str | None) -> None:
    bound = CALCULATOR.upper_bound(payload, model, at=NOW)
    assert bound.usd is None or bound.usd >= 0


@settings(deadline=None, max_examples=100)
@given(
    words=st.integers(0, 4_000),
    model=st.sampled_from(
        ["gpt-4o", "gpt-5.5", "gpt-6.1-sol", "gpt-6-luna", "o3", "gpt-6.1-terra"]
    ),
    tier=st.sampled_from([None, "priority", "default"]),
    limit=st.integers(1, 5_000),
    share=st.floats(0, 1),
    cached=st.floats(0, 1),
    written=st.floats(0, 1),
)
def test_no_answer_within_the_limits_costs_more_than_the_most_or_less_than_the_least(  # noqa: PLR0917 - one argument for each thing that varies
    words: int,
    model: str,
    tier: str | None,
    limit: int,
    share: float,
    cached: float,
    written: float,
) -> None:
    messages = [HumanMessage("word " * words)]
    estimate = CALCULATOR.estimate(messages, model, max_tokens=limit, service_tier=tier, at=NOW)
    tokens = estimate.input_tokens
    can_cache = tokens >= 1_024
    cached_tokens = int(tokens * cached) if can_cache else 0
    written_tokens = int((tokens - cached_tokens) * written) if can_cache else 0
    output = int(limit * share)
    usage = TokenUsage(
        tokens, output, tokens + output, cached_tokens, cache_write_tokens=written_tokens
    )
    cost = CALCULATOR.cost(usage, model, service_tier=tier, at=NOW).total_usd
    assert cost is not None
    assert estimate.low is not None
    assert estimate.high is not None
    assert estimate.low <= cost <= estimate.high
