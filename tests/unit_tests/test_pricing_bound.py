"""The quick bound of plain requests says what the estimate of any request says."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from langchain_tamma_openai.models import ModelCatalog
from langchain_tamma_openai.pricing import CostCalculator, default_calculator
from langchain_tamma_openai.pricing_bound import PlainBounds

MODELS = [info.name for info in ModelCatalog().list()]
ROLES = ["system", "developer", "user", "assistant"]
messages = st.lists(
    st.builds(
        lambda role, words: {"role": role, "content": "word " * words},
        st.sampled_from(ROLES),
        st.sampled_from([0, 1, 7, 400, 1500]),
    ),
    max_size=4,
)
extras = st.fixed_dictionaries(
    {},
    optional={
        "max_completion_tokens": st.sampled_from([0, 16, 10**9]),
        "service_tier": st.sampled_from(["default", "flex", "priority", "unheard-of"]),
        "n": st.sampled_from([1, 3]),
    },
)


@settings(max_examples=150, deadline=None)
@given(st.sampled_from([*MODELS, "nobody-knows-it"]), messages, extras)
def test_the_quick_bound_is_that_of_the_estimate(
    model: str, asked: list[dict[str, str]], more: dict[str, object]
) -> None:
    payload: dict[str, object] = {"model": model, "messages": asked, **more}
    estimate = default_calculator().estimate_payload(payload)
    expected = (estimate.high, estimate.high_tokens, estimate.input_tokens)
    assert tuple(default_calculator().upper_bound(payload)) == expected


LONG = {"role": "user", "content": "word " * 3000}


@pytest.mark.parametrize("count", [1, 30, 95, 120])
def test_the_quick_bound_knows_the_levels_of_long_requests(count: int) -> None:
    prices = {
        "mine": {
            "input_usd_per_mtok": "1",
            "output_usd_per_mtok": "4",
            "long_context": {
                "above_input_tokens": 272_000,
                "input_multiplier": "2",
                "output_multiplier": "1.5",
            },
        }
    }
    calculator = CostCalculator(prices)
    payload: dict[str, object] = {"messages": [LONG] * count, "max_tokens": 1000}
    estimate = calculator.estimate_payload(payload, "mine")
    assert calculator.upper_bound(payload, "mine").usd == estimate.high is not None


@pytest.mark.parametrize(
    "beside",
    [
        {"tools": [{"type": "function", "function": {"name": "f"}}]},
        {"response_format": {"type": "json_object"}},
        {"n": 2},
        {"modalities": ["audio"]},
        {"messages": [{"role": "user", "content": [{"type": "text", "text": "Hi"}]}]},
        {"messages": [{"role": "user", "content": "Hi", "name": "Ann"}]},
        {"messages": [{"role": "function", "content": "Hi"}]},
    ],
)
def test_what_is_more_than_plain_texts_is_left_to_the_estimate(beside: dict[str, Any]) -> None:
    calculator = default_calculator()
    sheet = calculator.prices("gpt-4.1")
    assert sheet is not None
    bounds = PlainBounds("gpt-4.1", [sheet])
    plain = {"messages": [{"role": "user", "content": "Hi"}]}
    assert bounds.of(plain) is not None
    assert bounds.of({**plain, **beside}) is None
