"""The sum of an answer: tokens of each kind times their price, in exact decimals."""

from __future__ import annotations

from decimal import Decimal, localcontext
from typing import TYPE_CHECKING

from langchain_tamma_openai.pricing_cost import EXACT, Cost, CostPart

if TYPE_CHECKING:
    from langchain_tamma_openai.pricing_tables import PriceSheet, UnitPrices
    from langchain_tamma_openai.wire.usage import TokenUsage

_PER_MILLION = -6


class UnknownPrice(Exception):  # noqa: N818 - not an error: it carries the reason to whoever handles it
    """The cost cannot be known; the message is the reason."""


def price(usage: TokenUsage, sheet: PriceSheet, *, estimated: bool) -> Cost:
    """Price what an answer used, kind by kind.

    Args:
        usage: Tokens by kind.
        sheet: Prices of the model on its tier and day.
        estimated: Whether the usage is an estimate.

    Raises:
        UnknownPrice: A kind of token has no known price, or the counts contradict each other.
    """
    prices = sheet.for_input(usage.input_tokens)
    if prices is None:
        raise UnknownPrice(f"no price is known for {usage.input_tokens} input tokens on this tier")
    with localcontext(EXACT):
        inputs = _parts(_input_kinds(usage, prices))
        outputs = _parts(_output_kinds(usage, prices))
        input_usd = sum((part.usd for part in inputs), start=Decimal(0))
        output_usd = sum((part.usd for part in outputs), start=Decimal(0))
        return Cost(
            input_usd,
            output_usd,
            input_usd + output_usd,
            pricing_source=sheet.source,
            estimated=estimated,
            parts=(*inputs, *outputs),
        )


_Kind = tuple[str, int, Decimal | None]


def _input_kinds(usage: TokenUsage, prices: UnitPrices) -> tuple[_Kind, ...]:
    plain_price = prices.input_usd_per_mtok
    cached_price, write_price = prices.cached_input_usd_per_mtok, prices.cache_write_usd_per_mtok
    written = usage.cache_write_tokens - usage.cache_write_12h_tokens
    plain = usage.input_tokens - (
        usage.cached_tokens + usage.cache_write_tokens + usage.input_audio_tokens
    )
    return (
        ("input", plain, plain_price),
        (
            "cached_input",
            usage.cached_tokens,
            plain_price if cached_price is None else cached_price,
        ),
        ("cache_write", written, plain_price if write_price is None else write_price),
        ("cache_write_12h", usage.cache_write_12h_tokens, prices.cache_write_12h_usd_per_mtok),
        ("input_audio", usage.input_audio_tokens, prices.input_audio_usd_per_mtok),
    )


def _output_kinds(usage: TokenUsage, prices: UnitPrices) -> tuple[_Kind, ...]:
    plain = usage.output_tokens - usage.reasoning_tokens - usage.output_audio_tokens
    return (
        ("output", plain, prices.output_usd_per_mtok),
        ("reasoning", usage.reasoning_tokens, prices.output_usd_per_mtok),
        ("output_audio", usage.output_audio_tokens, prices.output_audio_usd_per_mtok),
    )


def _parts(kinds: tuple[_Kind, ...]) -> tuple[CostPart, ...]:
    parts: list[CostPart] = []
    for kind, tokens, price in kinds:
        if tokens < 0:
            raise UnknownPrice(f"the counts contradict each other: {kind} would be {tokens} tokens")
        if tokens == 0:
            continue
        if price is None:
            raise UnknownPrice(f"no price is known for {kind} tokens of this model")
        parts.append(CostPart(kind, tokens, price, (price * tokens).scaleb(_PER_MILLION)))
    return tuple(parts)
