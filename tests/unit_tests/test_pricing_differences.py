"""Our costs beside those of genai-prices' own calculator: equal but for the documented cases."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from genai_prices import Usage, calc_price
from genai_prices.data_snapshot import get_snapshot

from langchain_tamma_openai import pricing
from langchain_tamma_openai.pricing import CostCalculator
from langchain_tamma_openai.wire.usage import TokenUsage

NOW = datetime(2026, 11, 22, tzinfo=UTC)
CALCULATOR = CostCalculator()
OPENAI = next(provider for provider in get_snapshot().providers if provider.id == "openai")
MODELS = sorted(
    model.id
    for model in OPENAI.models
    if (price := model.get_prices(NOW)).input_mtok is not None and price.output_mtok is not None
)
CONTEXTS: dict[str, dict[str, str]] = {
    "standard": {},
    "flex": {"service_tier": "flex"},
    "priority": {"service_tier": "priority"},
    "batch": {"processing": "batch"},
}
SHORT = TokenUsage(200_000, 5_000, 205_000, 70_000, 30_000, reasoning_tokens=1_000)
LONG = TokenUsage(272_001, 5_000, 277_001, 70_000, 30_000, reasoning_tokens=1_000)

# genai-prices charges full input for the cached tokens of these; the cached price is known.
CACHED_PRICE_ADDED = {
    ("gpt-4o-search-preview", "standard"),
    ("ft:gpt-4o", "standard"),
    ("ft:gpt-4o-mini", "standard"),
}
NOT_SERVED_BY_OPENAI = {"gpt-oss-120b", "gpt-oss-20b", "gpt-oss-safeguard-20b"}
LONG_CONTEXT_ADDED = {
    ("gpt-5.6-cyber", "standard"),
    ("gpt-6-cyber", "standard"),
    ("gpt-5.5-pro", "flex"),
    ("gpt-5.5-pro", "batch"),
}
LONG_CONTEXT_UNKNOWN = {("gpt-5.4", "priority"), ("gpt-5.5", "priority")}
# Names of genai-prices' own that are no model ids of the API; the ids are in their place here.
IDS = {
    "ft:gpt-4o": "ft:gpt-4o-2024-08-06:a::b",
    "ft:gpt-4o-mini": "ft:gpt-4o-mini-2024-07-18:a::b",
    "ft:gpt-3.5-turbo-": "ft:gpt-3.5-turbo-0125:a::b",
    "gpt-4o-mini-2024-07-18.ft-": "gpt-4o-mini-2024-07-18.ft-a",
    "gpt-3.5-0301": "gpt-3.5-turbo-0301",
}


@pytest.fixture(autouse=True)
def forget_warnings(monkeypatch: pytest.MonkeyPatch) -> None:
    # The unknown ones are expected here.
    monkeypatch.setattr(pricing, "_warn_once", lambda _model, _reason: None)


def theirs(model: str, usage: TokenUsage, context: dict[str, str]) -> Decimal:
    counts = Usage(
        input_tokens=usage.input_tokens,
        cache_read_tokens=usage.cached_tokens,
        cache_write_tokens=usage.cache_write_tokens,
        output_tokens=usage.output_tokens,
    )
    return calc_price(
        counts,
        model,
        provider_id="openai",
        genai_request_timestamp=NOW,
        price_context=context,
    ).total_price


def has_price_of_its_own(name: str, tier: str) -> bool:
    model = next(model for model in OPENAI.models if model.id == name)
    wanted = CONTEXTS[tier]
    return not wanted or any(variant.when == wanted for variant in model.price_variants or ())


@pytest.mark.parametrize("tier", CONTEXTS)
@pytest.mark.parametrize("name", MODELS)
def test_costs_equal_those_of_genai_prices_except_where_documented(name: str, tier: str) -> None:
    model = IDS.get(name, name)
    for usage in (SHORT, LONG):
        ours = CALCULATOR.cost(usage, model, service_tier=tier, at=NOW).total_usd
        is_long = usage is LONG
        is_unknown = (
            name in NOT_SERVED_BY_OPENAI
            or not has_price_of_its_own(name, tier)
            or (is_long and (name, tier) in LONG_CONTEXT_UNKNOWN)
        )
        assert (ours is None) == is_unknown
        if ours is not None:
            differs = (name, tier) in CACHED_PRICE_ADDED or (
                is_long and (name, tier) in LONG_CONTEXT_ADDED
            )
            assert (ours != theirs(model, usage, CONTEXTS[tier])) == differs
