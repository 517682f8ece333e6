"""Price tables of users: what they may say, and how wrong ones are refused."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from langchain_tamma_openai import pricing
from langchain_tamma_openai.errors import ConfigurationError
from langchain_tamma_openai.pricing import CostCalculator
from langchain_tamma_openai.pricing_tables import lookup_names, parse_price_table
from langchain_tamma_openai.wire.usage import TokenUsage

NOW = datetime(2026, 11, 22, tzinfo=UTC)
USAGE = TokenUsage(1000, 100, 1100, cached_tokens=200)
FLAT: dict[str, Any] = {"input_usd_per_mtok": "1", "output_usd_per_mtok": "10"}


@pytest.fixture(autouse=True)
def forget_warnings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pricing, "_warned_models", set())


def total(table: dict[str, Any], model: str, **kwargs: Any) -> Decimal | None:
    kwargs.setdefault("at", NOW)
    return CostCalculator(table).cost(USAGE, model, **kwargs).total_usd


def test_a_users_price_wins() -> None:
    calculator = CostCalculator({"gpt-4o": {**FLAT, "cached_input_usd_per_mtok": "0.5"}})
    cost = calculator.cost(USAGE, "gpt-4o", at=NOW)
    assert cost.total_usd == Decimal("0.0019")
    assert cost.pricing_source == "user"
    assert calculator.cost(USAGE, "gpt-4.1", at=NOW).pricing_source != "user"


@pytest.mark.parametrize("model", ["gpt-4o-2024-08-06", "gpt-4o-20240806"])
def test_a_price_for_a_model_holds_for_its_dated_snapshots(model: str) -> None:
    assert total({"gpt-4o": FLAT}, model) == Decimal("0.002")
    exact = {"input_usd_per_mtok": 0, "output_usd_per_mtok": 0}
    assert total({"gpt-4o": FLAT, model: exact}, model) == 0


def test_a_price_for_a_fine_tuned_family_holds_for_its_members() -> None:
    assert total({"ft:gpt-4o": FLAT}, "ft:gpt-4o-2024-08-06:acme::1") == Decimal("0.002")
    assert total({"gpt-9": FLAT}, "ft:gpt-9-2030-01-01:acme::1", provider="x") is None


def test_any_exact_number_is_accepted() -> None:
    for value in (0.1, "0.1", Decimal("0.1")):
        table = {"m": {"input_usd_per_mtok": value, "output_usd_per_mtok": 0}}
        assert total(table, "m") == Decimal("0.0001")


def test_every_kind_can_be_priced() -> None:
    prices = {
        "input_usd_per_mtok": 1,
        "cached_input_usd_per_mtok": 2,
        "cache_write_usd_per_mtok": 3,
        "cache_write_12h_usd_per_mtok": 4,
        "input_audio_usd_per_mtok": 5,
        "output_usd_per_mtok": 6,
        "output_audio_usd_per_mtok": 7,
    }
    tokens = TokenUsage(
        input_tokens=14,
        output_tokens=3,
        cached_tokens=3,
        cache_write_tokens=6,
        cache_write_12h_tokens=2,
        input_audio_tokens=4,
        output_audio_tokens=2,
    )
    cost = CostCalculator({"m": prices}).cost(tokens, "m")
    # in: 1 plain, 3 cached, 4 written, 2 written for 12 hours, 4 audio; out: 1 plain, 2 audio
    assert cost.input_usd == Decimal("0.000047")
    assert cost.output_usd == Decimal("0.000020")


def test_dated_entries_hold_on_their_days() -> None:
    table = {
        "gpt-4o": [
            {**FLAT, "valid_from": date(2026, 3, 1), "input_usd_per_mtok": 3},
            {**FLAT, "valid_from": "2026-01-01", "valid_until": "2026-03-01"},
        ]
    }
    assert total(table, "gpt-4o", at=datetime(2026, 1, 1, tzinfo=UTC)) == Decimal("0.002")
    assert total(table, "gpt-4o", at=datetime(2026, 2, 28, 23, tzinfo=UTC)) == Decimal("0.002")
    assert total(table, "gpt-4o", at=datetime(2026, 3, 1, tzinfo=UTC)) == Decimal("0.004")
    # Before the first entry the ordinary price holds.
    before = CostCalculator(table).cost(USAGE, "gpt-4o", at=datetime(2025, 12, 31, tzinfo=UTC))
    assert before.pricing_source != "user"


def test_tiers_and_long_context_can_be_given() -> None:
    entry = {
        **FLAT,
        "tiers": {"flex": "0.5", "fast": {"input_usd_per_mtok": 4, "output_usd_per_mtok": 5}},
        "long_context": {
            "above_input_tokens": 999,
            "input_multiplier": 2,
            "output_multiplier": "1.5",
        },
    }
    assert total({"m": entry}, "m") == Decimal("0.0035")
    assert total({"m": entry}, "m", service_tier="flex") == Decimal("0.00175")
    assert total({"m": entry}, "m", service_tier="priority") == Decimal("0.00875")
    entry["long_context"]["above_input_tokens"] = 1000
    assert total({"m": entry}, "m") == Decimal("0.002")


def test_a_tier_that_the_user_did_not_price_is_unknown() -> None:
    with pytest.warns(UserWarning, match="flex tier"):
        assert total({"gpt-6-luna": FLAT}, "gpt-6-luna", service_tier="flex") is None


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ([], ["price_overrides", "[]", "mapping"]),
        ({"": FLAT}, ["''", "model name"]),
        ({3: FLAT}, ["3", "model name"]),
        ({"m": "cheap"}, ["['m']", "'cheap'"]),
        ({"m": []}, ["['m']", "non-empty"]),
        ({"m": [3]}, ["['m'][0]", "mapping"]),
        ({"m": {"input_usd_per_mtok": 1}}, ["['m']", "output_usd_per_mtok"]),
        ({"m": {}}, ["input_usd_per_mtok and output_usd_per_mtok"]),
        ({"m": {**FLAT, "input_usd_per_mtok": -1}}, ["['m']['input_usd_per_mtok']", "-1"]),
        ({"m": {**FLAT, "input_usd_per_mtok": float("nan")}}, ["nan", "finite"]),
        ({"m": {**FLAT, "output_usd_per_mtok": "Infinity"}}, ["output_usd_per_mtok", "Infinity"]),
        ({"m": {**FLAT, "output_usd_per_mtok": True}}, ["True"]),
        ({"m": {**FLAT, "output_usd_per_mtok": "ten"}}, ["'ten'"]),
        ({"m": {**FLAT, "output_usd_per_mtok": [1]}}, ["[1]"]),
        ({"m": {**FLAT, "ouput_usd": 1}}, ["ouput_usd", "known are", "output_usd_per_mtok"]),
        ({"m": {**FLAT, "valid_from": "soon"}}, ["valid_from", "'soon'"]),
        ({"m": {**FLAT, "valid_from": NOW}}, ["valid_from", "date"]),
        ({"m": {**FLAT, "valid_until": 2027}}, ["valid_until", "2027"]),
        (
            {"m": {**FLAT, "valid_from": "2026-02-01", "valid_until": "2026-02-01"}},
            ["valid_until", "later than 2026-02-01"],
        ),
        ({"m": [FLAT, FLAT]}, ["['m']", "overlap", "always"]),
        (
            {
                "m": [
                    {**FLAT, "valid_until": "2026-03-02"},
                    {**FLAT, "valid_from": "2026-03-01"},
                ]
            },
            ["['m']", "2026-03-02", "2026-03-01", "overlap"],
        ),
        ({"m": {**FLAT, "tiers": {"flex": -1}}}, ["['tiers']['flex']", "-1"]),
        ({"m": {**FLAT, "tiers": {"flex": {"input_usd_per_mtok": 1}}}}, ["['flex']", "output"]),
        ({"m": {**FLAT, "tiers": {"flex": {**FLAT, "x": 1}}}}, ["['flex']", "x"]),
        ({"m": {**FLAT, "tiers": "flex"}}, ["['tiers']", "mapping"]),
        ({"m": {**FLAT, "long_context": {"above_input_tokens": 1}}}, ["input_multiplier", "None"]),
        ({"m": {**FLAT, "long_context": {"above": 1}}}, ["long_context", "above"]),
        ({"m": {**FLAT, "long_context": 3}}, ["long_context", "3"]),
        (
            {
                "m": {
                    **FLAT,
                    "long_context": {
                        "above_input_tokens": 2.5,
                        "input_multiplier": 1,
                        "output_multiplier": 1,
                    },
                }
            },
            ["['above_input_tokens']", "2.5", "whole number"],
        ),
        ({"m": {**FLAT, "tiers": {"default": "0.5"}}}, ["['tiers']['default']", "standard"]),
        ({"m": {**FLAT, "tiers": {3: "0.5"}}}, ["['tiers'][3]", "name a tier"]),
        ({"m": {**FLAT, "tiers": {"": "0.5"}}}, ["['tiers']['']", "name a tier"]),
        ({"m": {**FLAT, "tiers": {"fast": 2, "Priority": 2}}}, ["'Priority'", "twice"]),
        ({"m": {**FLAT, "only_if_missing": "yes"}}, ["only_if_missing", "'yes'", "true or false"]),
        ({"gpt-4o": FLAT, " GPT-4o": FLAT}, ["' GPT-4o'", "gpt-4o", "twice"]),
    ],
)
def test_a_wrong_table_is_refused_with_model_field_and_value(table: Any, words: list[str]) -> None:
    with pytest.raises(ConfigurationError) as caught:
        CostCalculator(table)
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize("key", ["my-model", "My-Model", " MY-MODEL "])
@pytest.mark.parametrize("asked", ["my-model", "My-Model", " my-model "])
def test_case_and_blanks_of_a_name_make_no_difference(key: str, asked: str) -> None:
    assert total({key: FLAT}, asked) == Decimal("0.002")
    flex = {key: {**FLAT, "tiers": {" Flex": "0.5"}}}
    assert total(flex, asked, service_tier="FLEX") == Decimal("0.001")


@pytest.mark.parametrize(
    ("written", "plain"),
    [
        (" gpt-4o ", "gpt-4o"),
        ("GPT-5.6-Sol-2026-07-30", "gpt-5.6-sol"),
        ("FT:GPT-4.1-MINI-2025-04-14:Org::Id", "ft:gpt-4.1-mini-2025-04-14:org::id"),
        ("ft:gpt-4.1-mini-2025-04-14:org:name:id:ckpt-step-9", "ft:gpt-4.1-mini"),
    ],
)
def test_dated_and_fine_tuned_names_are_priced_however_they_are_written(
    written: str, plain: str
) -> None:
    expected = CostCalculator().cost(USAGE, plain, at=NOW).total_usd
    assert expected is not None
    assert CostCalculator().cost(USAGE, written, at=NOW).total_usd == expected


def test_none_counts_as_not_given() -> None:
    entry = {**FLAT, "cached_input_usd_per_mtok": None, "valid_from": None, "tiers": None}
    assert total({"m": entry}, "m") == Decimal("0.002")


@pytest.mark.parametrize(
    ("model", "names"),
    [
        ("gpt-4o", ("gpt-4o",)),
        ("gpt-4o-2024-08-06", ("gpt-4o-2024-08-06", "gpt-4o")),
        ("gpt-4o-20240806", ("gpt-4o-20240806", "gpt-4o")),
        ("gpt-4-0613", ("gpt-4-0613",)),
        ("gpt-4o-2024-13-06", ("gpt-4o-2024-13-06",)),
        (
            "ft:gpt-4o-2024-08-06:a::b",
            ("ft:gpt-4o-2024-08-06:a::b", "ft:gpt-4o-2024-08-06", "ft:gpt-4o"),
        ),
        ("ft:gpt-4o", ("ft:gpt-4o",)),
    ],
)
def test_names_under_which_a_price_may_stand(model: str, names: tuple[str, ...]) -> None:
    assert lookup_names(model) == names


def test_the_file_in_the_package_is_a_valid_table() -> None:
    shipped = pricing._shipped_prices()
    assert "gpt-6.2-sol" in shipped.table
    assert parse_price_table({}) == {}
