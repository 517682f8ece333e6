"""The price list as rows, regional processing, and the fastest tier."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from langchain_tamma_openai import pricing
from langchain_tamma_openai.models import ModelCatalog
from langchain_tamma_openai.pricing import CostCalculator
from langchain_tamma_openai.pricing_overview import TIERS, PricingRow
from langchain_tamma_openai.pricing_region import is_regional
from langchain_tamma_openai.wire.usage import TokenUsage

NOW = datetime(2026, 11, 24, tzinfo=UTC)
CALCULATOR = CostCalculator()
FLAT: dict[str, Any] = {"input_usd_per_mtok": "1", "output_usd_per_mtok": "10"}
USAGE = TokenUsage(1_000, 100, 1_100)


@pytest.fixture(autouse=True)
def forget_warnings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pricing, "_warned_models", set())


def rows_of(rows: list[PricingRow], model: str) -> list[PricingRow]:
    return [row for row in rows if row.model == model]


def test_every_model_that_is_served_is_listed_once_per_tier_and_size() -> None:
    rows = CALCULATOR.pricing(at=NOW)
    served = [info.name for info in ModelCatalog().list() if not info.is_shut_down(NOW.date())]
    assert {row.model for row in rows} == set(served)
    keys = [(row.model, TIERS.index(row.tier), row.above_input_tokens) for row in rows]
    assert keys == sorted(set(keys))
    everything = CALCULATOR.pricing(at=NOW, include_shut_down=True)
    assert {row.model for row in everything} == {info.name for info in ModelCatalog().list()}


def test_a_row_tells_all_about_its_prices() -> None:
    short, long = rows_of(CALCULATOR.pricing(at=NOW), "gpt-6.1-terra")[:2]
    assert (short.tier, short.above_input_tokens) == ("standard", 0)
    assert short.input_usd_per_mtok == 1
    assert short.cached_input_usd_per_mtok == Decimal("0.05")
    assert short.cache_write_usd_per_mtok == Decimal("1.25")
    assert short.cache_write_12h_usd_per_mtok == Decimal("2.5")
    assert short.output_usd_per_mtok == 5
    assert short.context_window_tokens == 1_050_000
    assert short.max_input_tokens == 922_000
    assert short.max_output_tokens == 128_000
    assert str(short.source).startswith("genai-prices")
    assert long.above_input_tokens == 272_000
    assert long.input_usd_per_mtok == 2


def test_what_is_not_known_is_none() -> None:
    (row,) = rows_of(CALCULATOR.pricing(at=NOW), "gpt-oss-20b")
    assert row.input_usd_per_mtok is None
    assert row.source is None
    long = [row for row in rows_of(CALCULATOR.pricing(at=NOW), "gpt-5.5") if row.tier == "priority"]
    assert [row.input_usd_per_mtok for row in long] == [Decimal("12.5"), None]


def test_validity_is_told_where_it_is_known() -> None:
    fastest = [
        row for row in rows_of(CALCULATOR.pricing(at=NOW), "gpt-6.2-sol") if row.tier == "ultrafast"
    ]
    assert fastest[0].valid_until == date(2027, 3, 1)
    assert fastest[0].input_usd_per_mtok == 6


def test_rows_print() -> None:
    row = rows_of(CALCULATOR.pricing(at=NOW), "gpt-5.4-pro")[0]
    text = row.as_text()
    assert text["input_usd_per_mtok"] == "30"
    assert text["cached_input_usd_per_mtok"] == "-"
    assert text["model"] == "gpt-5.4-pro"


def test_the_users_own_models_are_listed_too() -> None:
    rows = CostCalculator({"My-Model": {**FLAT, "tiers": {"flex": "0.5"}}}).pricing(at=NOW)
    mine = rows_of(rows, "my-model")
    assert [(row.tier, row.input_usd_per_mtok, row.source) for row in mine] == [
        ("standard", 1, "user"),
        ("flex", Decimal("0.5"), "user"),
    ]


@pytest.mark.parametrize(
    ("base_url", "regional"),
    [
        (None, False),
        ("https://api.openai.com/v1", False),
        ("https://eu.api.openai.com/v1", True),
        ("https://us.api.openai.com", True),
        ("https://AE.api.openai.com/v1", True),
        ("https://eu.api.openai.com.example.com/v1", False),
        ("https://example.com/eu.api.openai.com", False),
        ("https://[broken", False),
    ],
)
def test_regional_addresses(base_url: str | None, regional: bool) -> None:  # noqa: FBT001 - a parameter
    assert is_regional(base_url) is regional


@pytest.mark.parametrize("model", ["gpt-5.4", "gpt-6-luna", "gpt-6.2-sol", "gpt-5.4-2026-03-05"])
def test_regional_processing_costs_a_tenth_more_on_newer_models(model: str) -> None:
    plain = CALCULATOR.cost(USAGE, model, at=NOW)
    regional = CALCULATOR.cost(USAGE, model, at=NOW, regional=True)
    assert plain.total_usd is not None
    assert regional.total_usd == plain.total_usd * Decimal("1.1")
    assert str(regional.pricing_source).endswith(", regional")


@pytest.mark.parametrize("model", ["gpt-4o", "gpt-5.2", "chat-latest"])
def test_regional_processing_costs_no_more_on_older_models(model: str) -> None:
    plain = CALCULATOR.cost(USAGE, model, at=NOW)
    assert CALCULATOR.cost(USAGE, model, at=NOW, regional=True) == plain


def test_a_users_own_price_is_taken_as_it_is() -> None:
    cost = CostCalculator({"gpt-5.4": FLAT}).cost(USAGE, "gpt-5.4", at=NOW, regional=True)
    assert cost.total_usd == Decimal("0.002")


def test_a_level_without_a_price_has_none_in_a_region_either() -> None:
    options: dict[str, Any] = {"service_tier": "priority", "at": NOW, "regional": True}
    sheet = CALCULATOR.prices("gpt-5.5", **options)
    assert sheet is not None
    assert sheet.levels[1].prices is None
    assert CALCULATOR.prices("nobody", **options) is None


@pytest.mark.parametrize("model", ["gpt-6-astra", "gpt-6.1-sol-2026-09-29"])
def test_the_fastest_tier_costs_six_times_the_standard(model: str) -> None:
    standard = CALCULATOR.cost(USAGE, model, at=NOW)
    fastest = CALCULATOR.cost(USAGE, model, service_tier="ultrafast", at=NOW)
    assert standard.total_usd is not None
    assert fastest.total_usd == 6 * standard.total_usd
    assert str(fastest.pricing_source).startswith("langchain-tamma-openai")
    with pytest.warns(UserWarning, match="ultrafast"):
        assert CALCULATOR.cost(USAGE, "gpt-4o", service_tier="ultrafast", at=NOW).total_usd is None
