"""What a request will cost, before it is sent: the least, a likely amount and the most.

The rules of the three amounts are told in docs/pricing.md.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, localcontext
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

from langchain_tamma_openai.pricing_cost import EXACT, plain_decimal

if TYPE_CHECKING:
    from langchain_tamma_openai.pricing_tables import PriceSheet, UnitPrices
    from langchain_tamma_openai.tokens_tally import Tally

__all__ = ["CostEstimate", "RequestSize", "UpperBound"]

LIKELY_OUTPUT_TOKENS = 500
"""Output tokens of an ordinary answer, for the expected amount; a stated guess."""

MIN_CACHED_TOKENS = 1_024  # shorter prompts are neither read from the cache nor written to it
_PER_MILLION = -6
_LIMITS = frozenset({"max_output_tokens", "max_completion_tokens", "max_tokens"})


class UpperBound(NamedTuple):
    """What to set aside for a request.

    Attributes:
        usd: The most that it can cost in US dollars; None when that is not known.
        tokens: The most tokens that it can use, input and output; None when that is not known.
        input_tokens: The likely number of input tokens.
    """

    usd: Decimal | None
    tokens: int | None
    input_tokens: int


@dataclass(frozen=True, slots=True)
class RequestSize:
    """The tokens that a request can use; None where there is no limit that is known here.

    Attributes:
        low_input_tokens: The least input.
        input_tokens: The likely input.
        high_input_tokens: The most input.
        audio_tokens: Part of `input_tokens` that is audio.
        high_audio_tokens: Part of `high_input_tokens` that is audio.
        output_tokens: The likely output.
        high_output_tokens: The most output, of all choices together.
        speaks: Whether output may be audio.
        keeps_12h: Whether the prompt may be written to the cache for 12 hours.
        notes: What the counts rest on.
    """

    low_input_tokens: int
    input_tokens: int
    high_input_tokens: int | None
    audio_tokens: int
    high_audio_tokens: int
    output_tokens: int
    high_output_tokens: int | None
    speaks: bool = False
    keeps_12h: bool = False
    notes: tuple[str, ...] = ()

    @property
    def high_tokens(self) -> int | None:
        """The most tokens in all."""
        if self.high_input_tokens is None or self.high_output_tokens is None:
            return None
        return self.high_input_tokens + self.high_output_tokens


@dataclass(frozen=True, slots=True)
class CostEstimate:
    """What a request will cost in US dollars; amounts that are not known are None, never 0.

    Attributes:
        model: The model it was estimated for.
        low: The least: input from the cache where that is possible, and an empty answer.
        expected: The likely amount: nothing cached and an answer of ordinary length.
        high: The most: nothing cached, the cache written where that costs more, and an answer as
            long as the limits allow. The request cannot cost more.
        size: The tokens behind the amounts.
        pricing_source: Where the prices come from.
        unknown_reason: Why amounts are None.
    """

    model: str
    low: Decimal | None
    expected: Decimal | None
    high: Decimal | None
    size: RequestSize
    pricing_source: str | None = None
    unknown_reason: str | None = None

    @property
    def input_tokens(self) -> int:
        """The likely input tokens."""
        return self.size.input_tokens

    @property
    def low_input_tokens(self) -> int:
        """The least input tokens."""
        return self.size.low_input_tokens

    @property
    def high_input_tokens(self) -> int | None:
        """The most input tokens."""
        return self.size.high_input_tokens

    @property
    def low_output_tokens(self) -> int:
        """The least output tokens: an answer may be empty."""
        return 0

    @property
    def expected_output_tokens(self) -> int:
        """The likely output tokens."""
        return self.size.output_tokens

    @property
    def high_output_tokens(self) -> int | None:
        """The most output tokens, of all choices together."""
        return self.size.high_output_tokens

    @property
    def high_tokens(self) -> int | None:
        """The most tokens in all, for budgets in tokens."""
        return self.size.high_tokens

    @property
    def notes(self) -> tuple[str, ...]:
        """What the counts rest on where OpenAI's documents do not say it."""
        return self.size.notes

    def __str__(self) -> str:
        """Write the three amounts: `$0.00002 .. $0.005 .. $0.16`."""
        amounts = (plain_decimal(amount) for amount in (self.low, self.expected, self.high))
        return " .. ".join("unknown" if amount is None else f"${amount}" for amount in amounts)


def size_of_payload(
    payload: Mapping[str, Any], model: str, expected_output_tokens: int | None = None
) -> RequestSize:
    """Bound the tokens of a request. Never raises: what cannot be counted has no limit.

    Args:
        payload: The body of the request, of Chat Completions or the Responses API.
        model: The model to ask.
        expected_output_tokens: The length of answers to expect; a usual one when left out.
    """
    from langchain_tamma_openai.tokens_payload import add_payload
    from langchain_tamma_openai.tokens_tally import Tally

    tally = Tally(model)
    try:
        add_payload(tally, payload)
    except Exception as exc:  # noqa: BLE001 - an estimate must not fail a call
        tally.no_limit(f"the request could not be counted: {type(exc).__name__}")
    return _size(tally, payload, expected_output_tokens)


def _size(
    tally: Tally, payload: Mapping[str, Any], expected_output_tokens: int | None
) -> RequestSize:
    choices = max(1, _number(payload.get("n")) or 1)
    high_output = output_limit(tally.model, payload)
    expected = LIKELY_OUTPUT_TOKENS if expected_output_tokens is None else expected_output_tokens
    if high_output is not None:
        high_output, expected = high_output * choices, min(expected, high_output)
    return RequestSize(
        low_input_tokens=max(0, tally.low_tokens),
        input_tokens=max(0, tally.tokens),
        high_input_tokens=_high_input(tally),
        audio_tokens=tally.audio_tokens,
        high_audio_tokens=tally.high_audio_tokens,
        output_tokens=expected * choices,
        high_output_tokens=high_output,
        speaks=_speaks(payload),
        keeps_12h=_keeps_12h(payload),
        notes=tuple(tally.notes),
    )


def _high_input(tally: Tally) -> int | None:
    """Bound the input by what was counted and by what the model takes at most."""
    window, _ = model_limits(tally.model)
    if tally.unbounded:
        return None if window is None else max(window, tally.tokens)
    if window is None:
        return tally.high_tokens
    return max(min(tally.high_tokens, window), tally.tokens)


def output_limit(model: str, payload: Mapping[str, Any]) -> int | None:
    """Give the most output of one choice; None where it is not known.

    Args:
        model: The model to ask.
        payload: The body of the request.
    """
    _, longest = model_limits(model)
    if _LIMITS.isdisjoint(payload):
        return longest
    given = [value for name in _LIMITS if (value := _number(payload.get(name))) is not None]
    asked = max(given) if given else longest
    return asked if asked is None or longest is None else min(asked, longest)


@lru_cache(maxsize=256)
def model_limits(model: str) -> tuple[int | None, int | None]:
    """Give the most input and the most output that a model takes, where that is known.

    Args:
        model: Any model id.
    """
    from langchain_tamma_openai.models import ModelCatalog

    info = ModelCatalog().get(model)
    return info.max_input_tokens or info.context_window_tokens, info.max_output_tokens


def _speaks(payload: Mapping[str, Any]) -> bool:
    modalities = payload.get("modalities")
    return isinstance(modalities, list | tuple) and "audio" in modalities


def _keeps_12h(payload: Mapping[str, Any]) -> bool:
    options = payload.get("prompt_cache_options")
    return isinstance(options, Mapping) and options.get("ttl") == "12h"


def _number(value: object) -> int | None:
    valid = isinstance(value, int) and not isinstance(value, bool) and value >= 0
    return int(value) if valid else None  # type: ignore[call-overload]  # checked


def price_size(model: str, size: RequestSize, sheets: Sequence[PriceSheet]) -> CostEstimate:
    """Price the tokens of a request.

    Args:
        model: The model.
        size: What it can use.
        sheets: Prices of the tier that was asked for, then of tiers it may be served at instead.
    """
    high = highest_price(size, sheets)
    with localcontext(EXACT):
        lows = [_low(size, sheet) for sheet in sheets]
        expected = _expected(size, sheets[0])
    return CostEstimate(
        model=model,
        low=None if (known := _all_known(lows)) is None else min(known),
        expected=expected,
        high=high,
        size=size,
        pricing_source=sheets[0].source,
        unknown_reason=_reason(size, expected, high),
    )


def highest_price(size: RequestSize, sheets: Sequence[PriceSheet]) -> Decimal | None:
    """Price the most that a request can use; None when that, or a price of it, is not known.

    Args:
        size: What it can use.
        sheets: Prices of all tiers that it may be served at.
    """
    if size.high_input_tokens is None or size.high_output_tokens is None:
        return None
    with localcontext(EXACT):
        known = _all_known([_high(size, sheet) for sheet in sheets])
    return None if known is None else max(known)


def unknown_estimate(model: str, size: RequestSize, reason: str) -> CostEstimate:
    """Give the tokens of a request whose price is not known.

    Args:
        model: The model.
        size: What it can use.
        reason: Why it has no price.
    """
    return CostEstimate(model, None, None, None, size, unknown_reason=reason)


def _reason(size: RequestSize, expected: Decimal | None, high: object) -> str | None:
    if size.high_tokens is None:
        return "how many tokens the request can use is not known; set an output limit"
    if expected is None or high is None:
        return "some tokens of the request have no known price on this tier"
    return None


def _all_known(amounts: Sequence[Decimal | None]) -> list[Decimal] | None:
    known = [amount for amount in amounts if amount is not None]
    return known if len(known) == len(amounts) else None


def _low(size: RequestSize, sheet: PriceSheet) -> Decimal | None:
    """Take the cheaper of the smallest prompt and the smallest one that can be cached."""
    prices = sheet.for_input(size.low_input_tokens)
    if prices is None:
        return None
    plain = prices.input_usd_per_mtok * size.low_input_tokens
    cached_tokens = max(size.low_input_tokens, MIN_CACHED_TOKENS)
    cached_price = prices.cached_input_usd_per_mtok
    if cached_price is None or cached_tokens > (size.high_input_tokens or cached_tokens):
        return plain.scaleb(_PER_MILLION)
    return min(plain, cached_price * cached_tokens).scaleb(_PER_MILLION)


def _expected(size: RequestSize, sheet: PriceSheet) -> Decimal | None:
    prices = sheet.for_input(size.input_tokens)
    audio_price = None if prices is None else prices.input_audio_usd_per_mtok
    if prices is None or (size.audio_tokens and audio_price is None):
        return None
    text_tokens = size.input_tokens - size.audio_tokens
    spoken = _output_price(size, prices)
    if spoken is None:
        return None
    usd = prices.input_usd_per_mtok * text_tokens + spoken * size.output_tokens
    return (usd + (audio_price or 0) * size.audio_tokens).scaleb(_PER_MILLION)


def _output_price(size: RequestSize, prices: UnitPrices) -> Decimal | None:
    if not size.speaks:
        return prices.output_usd_per_mtok
    audio_price = prices.output_audio_usd_per_mtok
    return None if audio_price is None else max(audio_price, prices.output_usd_per_mtok)


def _high(size: RequestSize, sheet: PriceSheet) -> Decimal | None:
    """Take the dearest of the price levels that the input can reach."""
    if len(sheet.levels) == 1:
        return _high_at(size, size.high_input_tokens or 0, sheet.levels[0].prices)
    reached = list(_reached(size, sheet))
    amounts = [_high_at(size, tokens, prices) for tokens, prices in reached]
    known = _all_known(amounts)
    return None if known is None else max(known)


def _reached(size: RequestSize, sheet: PriceSheet) -> Iterator[tuple[int, UnitPrices | None]]:
    """Give the most input at each price level that the input can reach, and its prices."""
    most = size.high_input_tokens or 0
    ends = [*(level.above_input_tokens for level in sheet.levels[1:]), most]
    for level, end in zip(sheet.levels, ends, strict=True):
        tokens = min(end, most)
        if tokens >= size.low_input_tokens and most > level.above_input_tokens:
            yield tokens, level.prices


def _high_at(size: RequestSize, input_tokens: int, prices: UnitPrices | None) -> Decimal | None:
    if prices is None:
        return None
    input_price = _dearest_input(size, input_tokens, prices)
    output_price = _output_price(size, prices)
    audio = min(size.high_audio_tokens, input_tokens)
    audio_price = prices.input_audio_usd_per_mtok if audio else input_price
    if input_price is None or output_price is None or audio_price is None:
        return None
    usd = input_price * (input_tokens - audio) + max(audio_price, input_price) * audio
    return (usd + output_price * (size.high_output_tokens or 0)).scaleb(_PER_MILLION)


def _dearest_input(size: RequestSize, input_tokens: int, prices: UnitPrices) -> Decimal | None:
    """Take the price of plain input, or of writing it to the cache where that costs more."""
    if input_tokens < MIN_CACHED_TOKENS:
        return prices.input_usd_per_mtok
    write_price = prices.cache_write_usd_per_mtok
    if size.keeps_12h:
        write_price = prices.cache_write_12h_usd_per_mtok
        if write_price is None:
            return None
    return max(prices.input_usd_per_mtok, write_price or Decimal(0))
