"""The most that a request of plain texts can cost, worked out without a tally.

Nearly every request is a list of messages that are texts and nothing else. What their bound rests
on is the same for all requests of a model on a day; `pricing_estimate` says the same of any
request, and the tests compare the two.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple

from langchain_tamma_openai.pricing_cost import EXACT
from langchain_tamma_openai.pricing_estimate import (
    MIN_CACHED_TOKENS,
    UpperBound,
    model_limits,
    output_limit,
)
from langchain_tamma_openai.tokens_encodings import count_tokens, encoding_for_model
from langchain_tamma_openai.tokens_messages import message_tokens
from langchain_tamma_openai.tokens_payload import BESIDE_MESSAGES
from langchain_tamma_openai.tokens_tally import less, more

if TYPE_CHECKING:
    from langchain_tamma_openai.pricing_tables import PriceSheet

_MEASURED = frozenset({*BESIDE_MESSAGES, "n", "modalities", "prompt_cache_options"})
_PLAIN_KEYS = 2
_ODD_ROLES = frozenset({"function", "tool"})
_PER_MILLION = -6


class _Level(NamedTuple):
    """Prices per million tokens of requests with more than `above` tokens of input."""

    above: int
    end: int | None
    short: Decimal
    long: Decimal
    output: Decimal


class PlainBounds:
    """Bounds of the requests of one model, on one tier and day."""

    def __init__(self, model: str, sheets: Sequence[PriceSheet]) -> None:
        """Work out what all of them have in common.

        Args:
            model: The model to ask.
            sheets: Prices of all tiers that requests may be served at.
        """
        choice = encoding_for_model(model)
        self._model = model
        self._encoding, self._assumed = choice.name, choice.assumed
        self._window, _ = model_limits(model)
        self._message_tokens, self._reply_tokens = message_tokens(model)
        levels = [_levels(sheet) for sheet in sheets]
        self._levels = None if None in levels else [each for some in levels for each in some or ()]

    def of(self, payload: Mapping[str, Any]) -> UpperBound | None:
        """Bound a request; None where it is more than plain texts.

        Args:
            payload: The body.
        """
        if self._levels is None or not _MEASURED.isdisjoint(payload):
            return None
        messages = payload.get("messages")
        output = output_limit(self._model, payload)
        if type(messages) is not list or output is None:
            return None
        counted = self._count(messages)
        if counted is None:
            return None
        low, tokens, high = counted
        if self._window is not None:
            high = max(min(high, self._window), tokens)
        return UpperBound(self._price(low, high, output), high + output, tokens)

    def _count(self, messages: Sequence[object]) -> tuple[int, int, int] | None:
        low = tokens = high = self._reply_tokens
        encoding, assumed = self._encoding, self._assumed
        for message in messages:
            if type(message) is not dict or len(message) != _PLAIN_KEYS:
                return None
            role, content = message.get("role"), message.get("content")
            if type(role) is not str or type(content) is not str or role in _ODD_ROLES:
                return None
            texts = (role, content) if role and content else (role or content,)
            fixed = self._message_tokens
            low, tokens, high = low + fixed, tokens + fixed, high + fixed
            for text in texts:
                count = count_tokens(text, encoding) if text else 0
                tokens += count
                low += less(count) if assumed else count
                high += more(count) if assumed else count
        return low, tokens, high

    def _price(self, low: int, high: int, output: int) -> Decimal:
        dearest = Decimal(0)
        for level in self._levels or ():
            tokens = high if level.end is None else min(level.end, high)
            if tokens < low or high <= level.above:
                continue
            price = level.short if tokens < MIN_CACHED_TOKENS else level.long
            usd = EXACT.fma(price, tokens, EXACT.multiply(level.output, output))
            dearest = max(dearest, usd)
        return EXACT.scaleb(dearest, _PER_MILLION)


def _levels(sheet: PriceSheet) -> list[_Level] | None:
    """Read a sheet; None where a price of it is not known."""
    ends = [*(level.above_input_tokens for level in sheet.levels[1:]), None]
    found: list[_Level] = []
    for level, end in zip(sheet.levels, ends, strict=True):
        prices = level.prices
        if prices is None:
            return None
        short = prices.input_usd_per_mtok
        long = max(short, prices.cache_write_usd_per_mtok or Decimal(0))
        found.append(_Level(level.above_input_tokens, end, short, long, prices.output_usd_per_mtok))
    return found
