"""Token counts read from OpenAI and LangChain: same keys as ChatOpenAI, nothing counted twice."""

from __future__ import annotations

from dataclasses import astuple
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.messages.ai import add_usage
from langchain_openai.chat_models.base import (
    _create_usage_metadata,
    _create_usage_metadata_responses,
)

from langchain_tamma_openai.wire.usage import (
    TokenUsage,
    completions_usage_metadata,
    responses_usage_metadata,
    service_tier_of,
)

counts = st.none() | st.integers(0, 10**7)
tiers = st.sampled_from([None, "auto", "default", "flex", "priority", "fast", "scale", "batch"])


def optional(**values: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional=values)


chat_usage = optional(
    prompt_tokens=counts,
    completion_tokens=counts,
    total_tokens=counts,
    prompt_tokens_details=st.none()
    | optional(cached_tokens=counts, cache_write_tokens=counts, audio_tokens=counts),
    completion_tokens_details=st.none()
    | optional(
        reasoning_tokens=counts,
        audio_tokens=counts,
        accepted_prediction_tokens=counts,
        rejected_prediction_tokens=counts,
    ),
)
responses_usage = optional(
    input_tokens=counts,
    output_tokens=counts,
    total_tokens=counts,
    input_tokens_details=st.none() | optional(cached_tokens=counts, cache_write_tokens=counts),
    output_tokens_details=st.none() | optional(reasoning_tokens=counts),
)
usages = st.builds(TokenUsage, *[st.integers(0, 10**9)] * 12)


def without_second_write_count(theirs: Any) -> dict[str, Any]:
    """ChatOpenAI's usage, less the cache-write tokens it counts again in the tier's own key."""
    expected: dict[str, Any] = {**theirs}
    details = {**expected["input_token_details"]}
    for tier in ("flex", "priority"):
        if tier in details:
            details[tier] -= details.get(f"{tier}_cache_creation", 0)
    expected["input_token_details"] = details
    return expected


@given(chat_usage, tiers)
def test_chat_usage_equals_chat_openai(raw: dict[str, Any], tier: str | None) -> None:
    theirs = without_second_write_count(_create_usage_metadata(raw, tier))
    assert completions_usage_metadata(raw, tier) == theirs


@given(responses_usage, tiers)
def test_responses_usage_equals_chat_openai(raw: dict[str, Any], tier: str | None) -> None:
    theirs = without_second_write_count(_create_usage_metadata_responses(raw, tier))
    assert responses_usage_metadata(raw, tier) == theirs


def test_cache_writes_under_a_tier_are_counted_once() -> None:
    usage = completions_usage_metadata(
        {
            "prompt_tokens": 100,
            "completion_tokens": 20,
            "total_tokens": 120,
            "prompt_tokens_details": {"cached_tokens": 40, "cache_write_tokens": 50},
            "completion_tokens_details": {"reasoning_tokens": 15},
        },
        "flex",
    )
    assert usage["input_token_details"] == {
        "flex_cache_read": 40,
        "flex_cache_creation": 50,
        "flex": 10,
    }
    assert usage["output_token_details"] == {"flex_reasoning": 15, "flex": 5}


@given(chat_usage, tiers)
def test_usage_metadata_gives_back_the_same_counts(raw: dict[str, Any], tier: str | None) -> None:
    direct = TokenUsage.from_completions(raw)
    back = TokenUsage.from_usage_metadata(completions_usage_metadata(raw, tier))
    # LangChain's usage has no room for the prediction counts; every other kind survives.
    assert astuple(back)[:10] == astuple(direct)[:10]


@given(responses_usage, tiers)
def test_responses_usage_metadata_gives_back_the_same_counts(
    raw: dict[str, Any], tier: str | None
) -> None:
    direct = TokenUsage.from_responses(raw)
    assert TokenUsage.from_usage_metadata(responses_usage_metadata(raw, tier)) == direct


def test_mixed_tiers_that_langchain_added_up_are_added_up_too() -> None:
    raw = {
        "prompt_tokens": 10,
        "completion_tokens": 7,
        "prompt_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 3},
        "completion_tokens_details": {"reasoning_tokens": 5},
    }
    both = add_usage(
        completions_usage_metadata(raw, "flex"), completions_usage_metadata(raw, "default")
    )
    usage = TokenUsage.from_usage_metadata(both)
    assert (usage.cached_tokens, usage.cache_write_tokens, usage.reasoning_tokens) == (8, 6, 10)


def test_core_total_cost_on_a_cache_hit_is_not_a_token_count() -> None:
    usage: dict[str, object] = {"input_tokens": 3, "output_tokens": 4, "total_cost": 0}
    assert TokenUsage.from_usage_metadata(usage) == TokenUsage(3, 4, 7)


def test_cache_writes_split_by_lifetime_are_added() -> None:
    details = {"cache_creation": 0, "ephemeral_5m_input_tokens": 3, "ephemeral_1h_input_tokens": 4}
    usage = TokenUsage.from_usage_metadata({"input_tokens": 9, "input_token_details": details})
    assert usage.cache_write_tokens == 7


def test_every_kind_of_a_chat_answer_is_kept() -> None:
    usage = TokenUsage.from_completions(
        {
            "prompt_tokens": 1000,
            "completion_tokens": 500,
            "total_tokens": 1500,
            "prompt_tokens_details": {
                "cached_tokens": 200,
                "cache_write_tokens": 300,
                "audio_tokens": 40,
                "image_tokens": 30,
                "text_tokens": 930,
            },
            "completion_tokens_details": {
                "reasoning_tokens": 100,
                "audio_tokens": 20,
                "accepted_prediction_tokens": 5,
                "rejected_prediction_tokens": 6,
            },
        }
    )
    assert usage == TokenUsage(1000, 500, 1500, 200, 300, 0, 40, 20, 30, 100, 5, 6)


def test_long_lived_cache_writes_of_a_responses_answer_are_kept() -> None:
    usage = TokenUsage.from_responses(
        {
            "input_tokens": 10,
            "output_tokens": 1,
            "input_tokens_details": {
                "cache_write_tokens": 8,
                "cache_write_tokens_details": {"ttl_30m_tokens": 3, "ttl_12h_tokens": 5},
            },
        }
    )
    assert (usage.cache_write_tokens, usage.cache_write_12h_tokens) == (8, 5)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("12", 12),
        (12.0, 12),
        (7.9, 7),
        ("twelve", 0),
        ("²", 0),
        ("9" * 30, 0),
        (-5, 0),
        (-5.0, 0),
        (True, 0),
        (float("nan"), 0),
        (float("inf"), 0),
        (None, 0),
        ([1], 0),
        ({"a": 1}, 0),
    ],
)
def test_odd_counts_never_raise(value: object, expected: int) -> None:
    raw = {"prompt_tokens": value, "completion_tokens": 1}
    assert completions_usage_metadata(raw, "flex")["input_tokens"] == expected
    assert TokenUsage.from_completions(raw).input_tokens == expected


@pytest.mark.parametrize("details", [None, "none", 3, [], {}, {"cached_tokens": "x"}])
def test_odd_details_are_left_out(details: object) -> None:
    raw = {"prompt_tokens": 5, "completion_tokens": 1, "prompt_tokens_details": details}
    assert completions_usage_metadata(raw)["input_token_details"] == {}
    assert TokenUsage.from_completions(raw) == TokenUsage(5, 1, 6)


@given(st.lists(usages))
def test_usages_sum_field_by_field(parts: list[TokenUsage]) -> None:
    total = sum(parts, TokenUsage())
    columns = list(zip(*map(astuple, parts), strict=True)) or [()] * 12
    assert astuple(total) == tuple(sum(column) for column in columns)


def test_usages_add_only_with_usages() -> None:
    assert sum([TokenUsage(1), TokenUsage(2)]) == TokenUsage(3)
    with pytest.raises(TypeError):
        TokenUsage(1) + 1  # type: ignore[operator]
    with pytest.raises(TypeError):
        1 + TokenUsage(1)


@pytest.mark.parametrize("tier", [None, "flex", "priority"])
def test_the_tier_is_read_back_from_the_detail_keys(tier: str | None) -> None:
    raw = {"prompt_tokens": 5, "completion_tokens": 1}
    assert service_tier_of(completions_usage_metadata(raw, tier)) == tier


def test_two_tiers_in_one_sum_name_no_tier() -> None:
    raw = {"prompt_tokens": 5, "completion_tokens": 1}
    both = add_usage(
        completions_usage_metadata(raw, "flex"), completions_usage_metadata(raw, "priority")
    )
    assert service_tier_of(both) is None
