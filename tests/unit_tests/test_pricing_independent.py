"""Costs beside a second price list: typed from OpenAI's published table, with its own arithmetic.

The list is read by other code than the package's: floor prices in a text, rules per family, and
fractions instead of decimals. 21-22 November 2026.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from fractions import Fraction

import pytest

from langchain_tamma_openai.pricing import CostCalculator
from langchain_tamma_openai.wire.usage import TokenUsage

NOW = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
CALCULATOR = CostCalculator()

# model | input | cached | write | output | long context | flex | batch | priority | 12 h write
# "-" no such price of its own, "?" not published; prices are US dollars per million tokens.
TABLE = """
gpt-6.2-astra  8     0.40   10     40    long 1/2 1/2 2    ?
gpt-6.2-sol    2     0.10   2.50   10    long 1/2 1/2 2    5
gpt-6.1-sol    2     0.10   2.50   10    long 1/2 1/2 2    ?
gpt-6.1-terra  1     0.05   1.25   5     long 1/2 1/2 2    2.50
gpt-6-astra    10    1      12.50  50    long 1/2 1/2 2    ?
gpt-6-sol      2     0.20   2.50   10    long 1/2 1/2 2    ?
gpt-6-luna     0.10  0.01   0.125  0.50  long 1/2 1/2 2    ?
gpt-5.6-sol    4     0.40   5      20    long 1/2 1/2 2    ?
gpt-5.6        4     0.40   5      20    long 1/2 1/2 2    ?
gpt-5.6-terra  2     0.20   2.50   12    long 1/2 1/2 2    ?
gpt-5.6-luna   0.20  0.02   0.25   1.20  long 1/2 1/2 2    ?
gpt-5.5        5     0.50   -      30    long 1/2 1/2 5/2  ?
gpt-5.4        2.50  0.25   -      15    long 1/2 1/2 2    ?
gpt-5.5-pro    30    -      -      180   long 1/2 1/2 ?    ?
gpt-5.4-pro    30    -      -      180   long 1/2 1/2 ?    ?
gpt-5.4-mini   0.75  0.075  -      4.50  flat 1/2 1/2 2    ?
gpt-5.4-nano   0.20  0.02   -      1.25  flat 1/2 1/2 ?    ?
gpt-5.3-codex  1.75  0.175  -      14    flat ?   ?   2    ?
gpt-5.2        1.75  0.175  -      14    flat 1/2 1/2 2    ?
gpt-5.2-pro    21    -      -      168   flat ?   1/2 ?    ?
gpt-5.1        1.25  0.125  -      10    flat 1/2 1/2 2    ?
gpt-5          1.25  0.125  -      10    flat 1/2 1/2 2    ?
gpt-5-mini     0.25  0.025  -      2     flat 1/2 1/2 9/5  ?
gpt-5-nano     0.05  0.005  -      0.40  flat 1/2 1/2 ?    ?
gpt-5-pro      15    -      -      120   flat ?   1/2 ?    ?
chat-latest    5     0.50   -      30    flat ?   ?   ?    ?
gpt-4.1        2     0.50   -      8     flat ?   =/2 7/4  ?
gpt-4.1-mini   0.40  0.10   -      1.60  flat ?   =/2 7/4  ?
gpt-4.1-nano   0.10  0.025  -      0.40  flat ?   =/2 2    ?
gpt-4o         2.50  1.25   -      10    flat ?   =/2 17/10 ?
gpt-4o-mini    0.15  0.075  -      0.60  flat ?   =/2 5/3  ?
o3             2     0.50   -      8     flat 1/2 =/2 7/4  ?
o3-pro         20    -      -      80    flat ?   1/2 ?    ?
o1             15    7.50   -      60    flat ?   =/2 ?    ?
o1-pro         150   -      -      600   flat ?   1/2 ?    ?
o3-mini        1.10  0.55   -      4.40  flat ?   =/2 ?    ?
gpt-4-turbo    10    -      -      30    flat ?   1/2 ?    ?
gpt-4          30    -      -      60    flat ?   1/2 ?    ?
gpt-3.5-turbo  0.50  -      -      1.50  flat ?   1/2 ?    ?
"""
PUBLISHED_ROUNDINGS = {  # OpenAI prints these rounded, and bills what it prints
    ("gpt-5.4", "flex"): "0.13",
    ("gpt-5.4", "batch"): "0.13",
}
LONG_ABOVE = 272_000
ROWS = {line.split()[0]: line.split()[1:] for line in TABLE.strip().splitlines()}


def fraction(text: str, default: Fraction) -> Fraction:
    return default if text == "-" else Fraction(text)


def expected(model: str, usage: TokenUsage, tier: str) -> Fraction | None:
    """Dollars by the table; None where it has a question mark."""
    plain, cached, write, out, size, flex, batch, priority, write_12h = ROWS[model]
    rule = {"standard": "1", "flex": flex, "batch": batch, "priority": priority}[tier]
    is_long = size == "long" and usage.input_tokens > LONG_ABOVE
    if rule == "?" or (is_long and tier == "priority" and model in ("gpt-5.4", "gpt-5.5")):
        return None
    factor = Fraction(rule.replace("=/", "1/"))
    keeps_cached_rate = rule.startswith("=")
    input_factor, output_factor = factor, factor
    if is_long:
        input_factor, output_factor = factor * 2, factor * Fraction(3, 2)
    input_price = Fraction(plain)
    cached_price = fraction(cached, input_price) * (1 if keeps_cached_rate else input_factor)
    rounded = PUBLISHED_ROUNDINGS.get((model, tier))
    if rounded is not None and not is_long:
        cached_price = Fraction(rounded)
    if usage.cache_write_12h_tokens and write_12h == "?":
        return None
    written = usage.cache_write_tokens - usage.cache_write_12h_tokens
    uncached = usage.input_tokens - usage.cached_tokens - usage.cache_write_tokens
    total = uncached * input_price * input_factor + usage.cached_tokens * cached_price
    total += written * fraction(write, input_price) * input_factor
    if usage.cache_write_12h_tokens:
        total += usage.cache_write_12h_tokens * Fraction(write_12h) * input_factor
    total += usage.output_tokens * Fraction(out) * output_factor
    return total / 1_000_000


USAGES = {
    "plain": TokenUsage(1_000, 500, 1_500),
    "cached": TokenUsage(20_000, 777, 20_777, cached_tokens=13_312, reasoning_tokens=400),
    "written": TokenUsage(9_999, 1, 10_000, cached_tokens=2_048, cache_write_tokens=4_096),
    "written for 12 hours": TokenUsage(
        9_999, 10, 10_009, cache_write_tokens=4_096, cache_write_12h_tokens=1_024
    ),
    "at the edge": TokenUsage(272_000, 1_234, 273_234, cached_tokens=100_000),
    "above the edge": TokenUsage(
        272_001, 1_234, 273_235, cached_tokens=100_000, cache_write_tokens=50_000
    ),
}
TIERS = ("standard", "flex", "batch", "priority")


def cases() -> Iterator[tuple[str, str, str]]:
    for model in ROWS:
        for tier in TIERS:
            for name in USAGES:
                yield model, tier, name


def test_the_list_prices_most_of_the_cases() -> None:
    priced = [case for case in cases() if expected(case[0], USAGES[case[2]], case[1]) is not None]
    assert len(priced) > 500


@pytest.mark.filterwarnings("ignore:The cost of")
@pytest.mark.parametrize(("model", "tier", "name"), list(cases()))
def test_costs_equal_a_second_price_list(model: str, tier: str, name: str) -> None:
    usage = USAGES[name]
    asked = None if tier in ("standard", "batch") else tier
    cost = CALCULATOR.cost(usage, model, service_tier=asked, at=NOW, batch=tier == "batch")
    wanted = expected(model, usage, tier)
    got = None if cost.total_usd is None else Fraction(cost.total_usd)
    assert got == wanted
