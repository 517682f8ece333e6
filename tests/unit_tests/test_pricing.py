"""Costs worked out by hand, and the rule that unknown is None and never an error."""

from __future__ import annotations

import logging
import pickle
import subprocess
import sys
import warnings
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal, localcontext
from typing import Any

import genai_prices
import pytest
from genai_prices.data_snapshot import DataSnapshot, get_snapshot, set_custom_snapshot
from genai_prices.types import ClauseEquals, ModelInfo, ModelPrice
from hypothesis import given, settings
from hypothesis import strategies as st

from langchain_tamma_openai import pricing
from langchain_tamma_openai.pricing import Cost, CostCalculator, default_calculator
from langchain_tamma_openai.pricing_tables import PriceLevel
from langchain_tamma_openai.wire.usage import TokenUsage, completions_usage_metadata

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
CALCULATOR = CostCalculator()
GENAI_PRICES = f"genai-prices {genai_prices.__version__}"
OUR_FILE = "langchain-tamma-openai 2026-11-22"


@pytest.fixture(autouse=True)
def forget_warnings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pricing, "_warned_models", set())


def usage(
    input_tokens: int = 0,
    output_tokens: int = 0,
    *,
    cached: int = 0,
    written: int = 0,
    written_12h: int = 0,
    audio_in: int = 0,
    audio_out: int = 0,
    reasoning: int = 0,
) -> TokenUsage:
    return TokenUsage(
        input_tokens=input_tokens,
        output_tokens=output_tokens,
        total_tokens=input_tokens + output_tokens,
        cached_tokens=cached,
        cache_write_tokens=written,
        cache_write_12h_tokens=written_12h,
        input_audio_tokens=audio_in,
        output_audio_tokens=audio_out,
        reasoning_tokens=reasoning,
    )


def cost(tokens: TokenUsage, model: str, **kwargs: Any) -> Cost:
    kwargs.setdefault("at", NOW)
    return CALCULATOR.cost(tokens, model, **kwargs)


PLAIN = usage(1000, 100)
MIXED = usage(1000, 10, cached=200, written=300)
LONG = usage(272_001, 1000, cached=72_000, written=100_000)

# Each amount is worked out from the price list by hand: (tokens x USD per million) / 1,000,000.
HAND_WORKED = [
    # standard tier
    (PLAIN, "gpt-6-luna", {}, "0.0001", "0.00005"),
    (PLAIN, "gpt-4o-2024-08-06", {}, "0.0025", "0.001"),
    (PLAIN, "gpt-4o-2024-05-13", {}, "0.005", "0.0015"),
    (PLAIN, "gpt-4", {}, "0.03", "0.006"),
    (PLAIN, "gpt-4-turbo-preview", {}, "0.01", "0.003"),
    (PLAIN, "gpt-3.5-turbo-0125", {}, "0.0005", "0.00015"),
    (PLAIN, "o3", {}, "0.002", "0.0008"),
    (PLAIN, "gpt-5.6", {}, "0.004", "0.002"),
    (PLAIN, "chat-latest", {}, "0.005", "0.003"),
    (PLAIN, "gpt-5.4-mini-2026-03-17", {"service_tier": "default"}, "0.00075", "0.00045"),
    (usage(), "gpt-4o", {}, "0", "0"),
    # cached input; a model without a cached price charges full input
    (usage(2000, 10, cached=1024), "gpt-4.1-mini", {}, "0.0004928", "0.000016"),
    (usage(2000, 10, cached=1024), "gpt-5.4-pro", {}, "0.06", "0.0018"),
    # cached and written: 500 x 2 + 200 x 0.10 + 300 x 2.50
    (MIXED, "gpt-6.1-sol", {}, "0.00177", "0.0001"),
    (MIXED, "gpt-6-luna", {}, "0.0000895", "0.000005"),
    # before gpt-5.6 a cache write costs what input costs
    (MIXED, "gpt-5.4", {}, "0.00205", "0.00015"),
    # a 12-hour write: 500 x 2 + 200 x 0.10 + 100 x 2.50 + 200 x 5
    (
        usage(1000, 10, cached=200, written=300, written_12h=200),
        "gpt-6.2-sol",
        {},
        "0.00227",
        "0.0001",
    ),
    (usage(1000, 10, written=200, written_12h=200), "gpt-6.1-terra", {}, "0.0013", "0.00005"),
    # reasoning is billed as output, inside it
    (usage(1000, 500, reasoning=450), "o4-mini", {}, "0.0011", "0.0022"),
    # audio: 60 x 2.50 + 40 x 32 in, 10 x 10 + 90 x 64 out
    (usage(100, 100, audio_in=40, audio_out=90), "gpt-audio", {}, "0.00143", "0.00586"),
    # audio prices that only the package's own file has: 60 x 2.50 + 40 x 40, 10 x 10 + 90 x 80
    (
        usage(100, 100, audio_in=40, audio_out=90),
        "gpt-4o-audio-preview-2025-06-03",
        {},
        "0.00175",
        "0.0073",
    ),
    # flex and batch are half, priority twice (fast is its other name)
    (MIXED, "gpt-6.1-sol", {"service_tier": "flex"}, "0.000885", "0.00005"),
    (MIXED, "gpt-6.1-sol", {"batch": True}, "0.000885", "0.00005"),
    (MIXED, "gpt-6.1-sol", {"service_tier": "batch"}, "0.000885", "0.00005"),
    (MIXED, "gpt-6.1-sol", {"service_tier": "priority"}, "0.00354", "0.0002"),
    (MIXED, "gpt-6.1-sol", {"service_tier": "fast"}, "0.00354", "0.0002"),
    (MIXED, "gpt-6.1-sol", {"service_tier": "Priority "}, "0.00354", "0.0002"),
    (MIXED, "gpt-6.1-sol", {"service_tier": "auto"}, "0.00177", "0.0001"),
    # published roundings: gpt-5.4 flex cached 0.13, o4-mini flex cached 0.138
    (usage(2000, 0, cached=1000), "gpt-5.4", {"service_tier": "flex"}, "0.00138", "0"),
    (usage(2000, 0, cached=1000), "o4-mini", {"service_tier": "flex"}, "0.000688", "0"),
    # odd multipliers: 2.5 on gpt-5.5, 1.75 on gpt-4.1, 1.7 on gpt-4o
    (PLAIN, "gpt-5.5", {"service_tier": "priority"}, "0.0125", "0.0075"),
    (PLAIN, "gpt-4.1", {"service_tier": "priority"}, "0.0035", "0.0014"),
    (PLAIN, "gpt-4o", {"service_tier": "priority"}, "0.00425", "0.0017"),
    # no batch rate for cached input is published for gpt-4.1: the standard one stays
    (usage(2000, 10, cached=1000), "gpt-4.1", {"batch": True}, "0.0015", "0.00004"),
    # long context: the whole request, from one token above 272,000
    (usage(272_000, 1000), "gpt-5.4", {}, "0.68", "0.015"),
    (usage(272_001, 1000), "gpt-5.4", {}, "1.360005", "0.0225"),
    # 100,001 x 4 + 72,000 x 0.20 + 100,000 x 5, 1,000 x 15
    (LONG, "gpt-6.1-sol", {}, "0.914404", "0.015"),
    (LONG, "gpt-6.1-sol", {"service_tier": "flex"}, "0.457202", "0.0075"),
    (LONG, "gpt-6.1-sol", {"service_tier": "priority"}, "1.828808", "0.03"),
    (LONG, "gpt-6.2-sol", {}, "0.914404", "0.015"),
    # 100,001 x 16 + 72,000 x 0.80 + 100,000 x 20, 1,000 x 60
    (LONG, "gpt-6.2-astra", {}, "3.657616", "0.06"),
    (usage(272_001, 1000), "gpt-4.1", {}, "0.544002", "0.008"),
    (usage(300_000, 1000), "gpt-5.5-pro", {"batch": True}, "9", "0.135"),
    (usage(300_000, 1000), "gpt-5.6-cyber", {}, "7.5", "0.1125"),
    # fine-tuned models
    (
        usage(2000, 10, cached=1000),
        "ft:gpt-4o-2024-08-06:acme::A1",
        {},
        "0.005625",
        "0.00015",
    ),
    (usage(2000, 10, cached=1000), "ft:gpt-4o-mini-2024-07-18:a::b", {}, "0.00045", "0.000012"),
    (PLAIN, "ft:gpt-4o-mini-2024-07-18:a::b", {"batch": True}, "0.00015", "0.00006"),
    (usage(2000, 10, cached=1000), "ft:gpt-4.1-2025-04-14:a::b", {}, "0.00375", "0.00012"),
    (PLAIN, "ft:gpt-3.5-turbo-0125:a::b", {}, "0.003", "0.0006"),
    (PLAIN, "ft:o4-mini-2025-04-16:a::b", {}, "0.004", "0.0016"),
    # dated ids that no list has yet
    (PLAIN, "gpt-6.2-sol-2026-11-17", {}, "0.002", "0.001"),
    (PLAIN, "gpt-4.1-2027-01-01", {}, "0.002", "0.0008"),
]


@pytest.mark.parametrize(("tokens", "model", "options", "input_usd", "output_usd"), HAND_WORKED)
def test_hand_worked_costs(
    tokens: TokenUsage, model: str, options: dict[str, Any], input_usd: str, output_usd: str
) -> None:
    result = cost(tokens, model, **options)
    assert (result.input_usd, result.output_usd) == (Decimal(input_usd), Decimal(output_usd))
    assert result.total_usd == Decimal(input_usd) + Decimal(output_usd)
    assert result.unknown_reason is None


@pytest.mark.parametrize(
    ("model", "before", "changed_on", "after"),
    [
        ("gpt-5.6-terra", "0.0025", datetime(2026, 7, 30, tzinfo=UTC), "0.002"),
        ("gpt-5.6-luna", "0.001", datetime(2026, 7, 30, tzinfo=UTC), "0.0002"),
        ("gpt-5.6-sol", "0.005", datetime(2026, 8, 21, tzinfo=UTC), "0.004"),
        ("o3", "0.01", datetime(2025, 6, 10, tzinfo=UTC), "0.002"),
    ],
)
def test_the_price_of_the_day_is_taken(
    model: str, before: str, changed_on: datetime, after: str
) -> None:
    earlier = cost(PLAIN, model, at=changed_on - timedelta(seconds=1))
    later = cost(PLAIN, model, at=changed_on)
    assert (earlier.input_usd, later.input_usd) == (Decimal(before), Decimal(after))


def test_the_day_is_that_of_utc() -> None:
    new_york = timezone(timedelta(hours=-4))
    evening = datetime(2026, 7, 29, 21, 0, tzinfo=new_york)  # 2026-07-30 01:00 UTC
    assert cost(PLAIN, "gpt-5.6-terra", at=evening).input_usd == Decimal("0.002")
    naive = datetime(2026, 7, 29, 23, 59)  # noqa: DTZ001 - naive times count as UTC
    assert cost(PLAIN, "gpt-5.6-terra", at=naive).input_usd == Decimal("0.0025")


def test_without_a_time_the_price_of_now_is_taken() -> None:
    assert CALCULATOR.cost(PLAIN, "gpt-4").total_usd == Decimal("0.036")


@pytest.mark.parametrize(
    ("tier", "expected"), [("flex", "0.00125"), ("priority", "0.005"), ("batch", "0.00125")]
)
def test_a_tier_cost_the_same_multiple_before_the_day_it_was_verified(
    tier: str, expected: str
) -> None:
    before_the_cut = datetime(2026, 7, 29, tzinfo=UTC)
    assert cost(PLAIN, "gpt-5.6-terra", service_tier=tier, at=before_the_cut).input_usd == Decimal(
        expected
    )
    # A flat price, the same then as now.
    earlier = cost(PLAIN, "gpt-5.2", service_tier=tier, at=before_the_cut)
    assert earlier.total_usd == cost(PLAIN, "gpt-5.2", service_tier=tier).total_usd
    # 10 x as much then as now: the tier too.
    o3 = cost(PLAIN, "o3", service_tier=tier, at=datetime(2025, 5, 1, tzinfo=UTC))
    o3_now = cost(PLAIN, "o3", service_tier=tier).input_usd
    assert o3_now is not None
    assert o3.input_usd == 5 * o3_now


def test_a_promised_price_rise_of_the_fastest_tier_is_dated() -> None:
    for day, expected in ((28, "0.006"), (29, "0.012")):
        at = datetime(2027, 2, 28, tzinfo=UTC) + timedelta(days=day - 28)
        result = cost(PLAIN, "gpt-6.2-sol", service_tier="ultrafast", at=at)
        assert result.input_usd == Decimal(expected)


@pytest.mark.parametrize(
    ("model", "source"),
    [
        ("gpt-6-luna", GENAI_PRICES),
        ("gpt-6.2-sol", OUR_FILE),
        ("gpt-6.2-astra", OUR_FILE),
        ("gpt-4o-audio-preview", OUR_FILE),
    ],
)
def test_the_source_is_named(model: str, source: str) -> None:
    result = cost(PLAIN, model)
    assert (result.pricing_source, result.currency, result.estimated) == (source, "USD", False)


def test_parts_show_tokens_and_unit_prices() -> None:
    tokens = usage(1000, 100, cached=200, written=300, written_12h=100, reasoning=60)
    result = cost(tokens, "gpt-6.2-sol")
    assert [(part.kind, part.tokens, part.usd_per_mtok) for part in result.parts] == [
        ("input", 500, Decimal(2)),
        ("cached_input", 200, Decimal("0.10")),
        ("cache_write", 200, Decimal("2.50")),
        ("cache_write_12h", 100, Decimal(5)),
        ("output", 40, Decimal(10)),
        ("reasoning", 60, Decimal(10)),
    ]
    assert sum(part.usd for part in result.parts) == result.total_usd


def test_langchain_usage_is_taken_as_well() -> None:
    raw = {
        "prompt_tokens": 1000,
        "completion_tokens": 10,
        "prompt_tokens_details": {"cached_tokens": 200, "cache_write_tokens": 300},
    }
    for tier in (None, "flex", "priority"):
        tokens = completions_usage_metadata(raw, tier)
        result = CALCULATOR.cost(tokens, "gpt-6.1-sol", service_tier=tier, at=NOW)
        assert result == cost(MIXED, "gpt-6.1-sol", service_tier=tier)


UNKNOWN = [
    (PLAIN, "gpt-9-omega", {}),
    (PLAIN, "", {}),
    (PLAIN, "openai/gpt-4o", {}),
    (PLAIN, "text-moderation-latest", {}),
    (PLAIN, "whisper-1", {}),
    (PLAIN, "gpt-oss-120b", {}),
    (PLAIN, "ft:gpt-9-omega:a::b", {}),
    # tiers without a published price
    (PLAIN, "gpt-4o", {"service_tier": "flex"}),
    (PLAIN, "gpt-5.4-nano", {"service_tier": "priority"}),
    (PLAIN, "gpt-5.5-pro", {"service_tier": "priority"}),
    (PLAIN, "gpt-6-luna", {"service_tier": "scale"}),
    (PLAIN, "gpt-6-luna", {"service_tier": "flex", "batch": True}),
    (PLAIN, "gpt-4o-audio-preview", {"batch": True}),
    (usage(272_001, 1), "gpt-5.4", {"service_tier": "priority"}),
    # kinds of tokens without a price
    (usage(10, 10, audio_in=5), "gpt-4o", {}),
    (usage(10, 10, audio_out=5), "gpt-4o", {}),
    (usage(10, 10, written=5, written_12h=5), "gpt-6.1-sol", {}),
    # parts larger than the whole
    (usage(10, 10, cached=6, written=6), "gpt-6-luna", {}),
    (usage(10, 10, written=2, written_12h=3), "gpt-6.2-sol", {}),
    (usage(10, 10, reasoning=11), "gpt-6-luna", {}),
    (usage(10, 10, audio_in=11), "gpt-audio", {}),
    (usage(-1, 10), "gpt-6-luna", {}),
]


@pytest.mark.parametrize(("tokens", "model", "options"), UNKNOWN)
def test_what_is_not_known_is_none_with_a_reason(
    tokens: TokenUsage, model: str, options: dict[str, Any]
) -> None:
    with pytest.warns(UserWarning, match="is unknown"):
        result = cost(tokens, model, **options)
    assert (result.input_usd, result.output_usd, result.total_usd) == (None, None, None)
    assert result.unknown_reason
    assert result.parts == ()
    assert result.as_metadata() == {
        "input_usd": None,
        "output_usd": None,
        "total_usd": None,
        "currency": "USD",
        "pricing_source": None,
        "estimated": False,
    }


def test_an_unknown_model_warns_once_by_warning_and_by_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.WARNING), pytest.warns(UserWarning, match="gpt-9") as caught:
        costs = [CostCalculator().cost(PLAIN, "gpt-9-omega") for _ in range(3)]
    assert len(caught) == len(caplog.records) == 1
    assert [one.total_usd for one in costs] == [None] * 3
    assert "price_overrides" in str(caught[0].message)


def test_a_warning_cannot_fail_a_call(caplog: pytest.LogCaptureFixture) -> None:
    with warnings.catch_warnings(), caplog.at_level(logging.WARNING):
        warnings.simplefilter("error")
        assert cost(PLAIN, "gpt-9-omega").total_usd is None
    assert "gpt-9-omega" in caplog.text


@pytest.mark.parametrize("model", [None, 7, ["gpt-4o"]])
def test_a_model_name_of_any_type_cannot_fail_a_call(model: Any) -> None:
    with pytest.warns(UserWarning, match="is unknown"):
        assert CALCULATOR.cost(PLAIN, model).total_usd is None


def test_a_time_of_any_type_cannot_fail_a_call() -> None:
    wrong: Any = "yesterday"
    with pytest.warns(UserWarning, match="AttributeError"):
        assert CALCULATOR.cost(PLAIN, "gpt-4o", at=wrong).total_usd is None


def test_an_answer_without_usage_is_unknown_without_a_warning() -> None:
    result = CALCULATOR.cost(None, "gpt-4o", estimated=True)
    assert (result.total_usd, result.estimated) == (None, True)
    assert result.unknown_reason == "the answer carries no usage"


def test_an_estimate_is_marked() -> None:
    assert cost(PLAIN, "gpt-4o", estimated=True).as_metadata()["estimated"] is True


def test_amounts_are_plain_decimal_strings() -> None:
    assert cost(usage(1, 1), "gpt-6-luna", service_tier="flex").as_metadata() == {
        "input_usd": "0.00000005",
        "output_usd": "0.00000025",
        "total_usd": "0.0000003",
        "currency": "USD",
        "pricing_source": GENAI_PRICES,
        "estimated": False,
    }
    huge = cost(usage(10**15, 0), "gpt-4").as_metadata()
    assert (huge["input_usd"], huge["output_usd"]) == ("30000000000", "0")


def test_costs_are_exact_whatever_the_decimal_context() -> None:
    with localcontext(prec=2):
        narrow = cost(LONG, "gpt-6.1-sol")
        doubled = narrow + narrow
    assert narrow == cost(LONG, "gpt-6.1-sol")
    assert doubled.total_usd == Decimal("1.858808")


kinds = st.integers(0, 10**9)


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.tuples(
            kinds, kinds, kinds, kinds, kinds, st.sampled_from(["gpt-6.1-sol", "gpt-6-luna"])
        ),
        min_size=1,
    ),
    st.sampled_from([None, "flex", "priority"]),
)
def test_parts_inputs_outputs_and_sums_agree_exactly(
    calls: list[tuple[int, int, int, int, int, str]], tier: str | None
) -> None:
    costs = [
        cost(
            usage(
                plain + cached + written,
                visible + reasoning,
                cached=cached,
                written=written,
                reasoning=reasoning,
            ),
            model,
            service_tier=tier,
        )
        for plain, cached, written, visible, reasoning, model in calls
    ]
    for one in costs:
        assert one.input_usd is not None
        assert one.output_usd is not None
        with localcontext(prec=100):
            assert one.input_usd + one.output_usd == one.total_usd
            assert sum(part.usd for part in one.parts) == one.total_usd
    total = sum(costs, start=Cost(Decimal(0), Decimal(0), Decimal(0)))
    with localcontext(prec=100):
        expected = sum((one.total_usd or Decimal(0) for one in costs), start=Decimal(0))
        assert total.total_usd == expected
        assert sum(part.usd for part in total.parts) == expected
    assert len(total.parts) <= 2 * 2 * 5  # merged by kind and unit price, not piled up


def test_a_sum_with_an_unknown_part_is_unknown() -> None:
    known = cost(PLAIN, "gpt-4o")
    with pytest.warns(UserWarning, match="gpt-9"):
        unknown = cost(PLAIN, "gpt-9-omega", estimated=True)
    both = sum([known, unknown])
    assert isinstance(both, Cost)
    assert both.total_usd is None
    assert both.unknown_reason == unknown.unknown_reason
    assert both.estimated
    assert both.pricing_source == GENAI_PRICES


def test_a_sum_names_all_its_sources_once() -> None:
    total = cost(PLAIN, "gpt-4o") + cost(PLAIN, "gpt-6.2-sol") + cost(PLAIN, "gpt-4o")
    assert total.pricing_source == f"{GENAI_PRICES}; {OUR_FILE}"


def test_costs_add_only_with_costs_of_their_currency() -> None:
    known: Any = cost(PLAIN, "gpt-4o")
    for other in (1, Cost(currency="EUR")):
        with pytest.raises(TypeError):
            known + other
    with pytest.raises(TypeError):
        1 + known


@pytest.mark.parametrize("model", ["gpt-6-luna", "gpt-6.2-sol"])
def test_metadata_can_be_read_back(model: str) -> None:
    result = cost(MIXED, model, estimated=True)
    back = Cost.from_metadata(result.as_metadata())
    assert back is not None
    assert back.as_metadata() == result.as_metadata()


@pytest.mark.parametrize(
    "raw",
    [
        {},
        {"input_usd": "x", "output_usd": "1", "total_usd": "1"},
        {"input_usd": "NaN", "output_usd": "1", "total_usd": "1"},
        {"input_usd": "1", "output_usd": "1"},
    ],
)
def test_what_is_no_cost_is_not_read_as_one(raw: dict[str, Any]) -> None:
    assert Cost.from_metadata(raw) is None


def test_other_providers_are_priced_by_their_own_list() -> None:
    result = cost(PLAIN, "claude-sonnet-4-5", provider="anthropic")
    assert result.total_usd == Decimal("0.0045")
    assert cost(PLAIN, "gpt-4o", provider="azure").total_usd == Decimal("0.0035")
    with pytest.warns(UserWarning, match="no price is known"):
        assert cost(PLAIN, "gpt-4o", provider="nobody").total_usd is None


def test_unit_prices_can_be_looked_up() -> None:
    sheet = CALCULATOR.prices("gpt-5.4", at=NOW)
    assert sheet is not None
    assert [level.above_input_tokens for level in sheet.levels] == [-1, 272_000]
    assert CALCULATOR.prices("gpt-9-omega") is None
    assert CALCULATOR.prices("gpt-4o", service_tier="flex") is None


def test_the_calculator_survives_pickling() -> None:
    own = {"mine": {"input_usd_per_mtok": "1", "output_usd_per_mtok": "2"}}
    copy = pickle.loads(pickle.dumps(CostCalculator(own)))  # noqa: S301 - our own bytes
    assert copy.cost(PLAIN, "mine").total_usd == Decimal("0.0012")
    assert copy.cost(PLAIN, "gpt-4").total_usd == Decimal("0.036")


def test_the_default_calculator_is_shared() -> None:
    assert default_calculator() is default_calculator()


def test_remembered_prices_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pricing, "_MAX_CACHED_SHEETS", 3)
    calculator = CostCalculator()
    for day in range(1, 11):
        at = datetime(2026, 11, day, tzinfo=UTC)
        assert calculator.cost(PLAIN, "gpt-4", at=at).total_usd == Decimal("0.036")
    assert len(calculator._sheets) <= 3


def test_prices_that_the_user_updated_are_taken_and_named() -> None:
    calculator = CostCalculator()
    assert calculator.cost(PLAIN, "gpt-6-luna", at=NOW).total_usd == Decimal("0.00015")
    bundled = get_snapshot()
    only_gpt_4 = [
        provider for provider in bundled.providers if provider.id in {"openai", "anthropic"}
    ]
    try:
        set_custom_snapshot(
            DataSnapshot(providers=only_gpt_4, from_auto_update=True, timestamp=NOW)
        )
        result = calculator.cost(PLAIN, "gpt-6-luna", at=NOW)
        assert result.pricing_source == f"{GENAI_PRICES}, updated 2026-11-22"
    finally:
        set_custom_snapshot(None)
    assert calculator.cost(PLAIN, "gpt-6-luna", at=NOW).pricing_source == GENAI_PRICES


def test_the_package_file_steps_back_when_genai_prices_learns_a_model() -> None:
    learned = ModelInfo(
        id="gpt-6.2-sol",
        match=ClauseEquals("gpt-6.2-sol"),
        prices=ModelPrice(input_mtok=Decimal(7), output_mtok=Decimal(70)),
    )
    openai = next(provider for provider in get_snapshot().providers if provider.id == "openai")
    provider = replace(openai, models=[learned])
    try:
        set_custom_snapshot(DataSnapshot(providers=[provider], from_auto_update=False))
        result = CostCalculator().cost(PLAIN, "gpt-6.2-sol", at=NOW)
    finally:
        set_custom_snapshot(None)
    assert (result.total_usd, result.pricing_source) == (Decimal("0.014"), GENAI_PRICES)


def test_a_level_without_prices_stays_without() -> None:
    unknown = PriceLevel(272_000, None)
    assert pricing._with_12h_writes(unknown, Decimal("2.5")) is unknown


def test_importing_loads_no_prices_and_pricing_opens_no_connection() -> None:
    code = """
import socket, sys
import langchain_tamma_openai.pricing as pricing
assert "genai_prices" not in sys.modules
def refuse(*args, **kwargs):
    raise AssertionError("network")
socket.socket = socket.create_connection = refuse
cost = pricing.CostCalculator().cost({"input_tokens": 1000, "output_tokens": 0}, "gpt-6-luna")
assert str(cost.total_usd.normalize()) == "0.0001", cost
"""
    subprocess.run([sys.executable, "-c", code], check=True)  # noqa: S603 - fixed command
