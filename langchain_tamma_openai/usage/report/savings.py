"""What reading from the provider's prompt cache saved, at list prices."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from langchain_tamma_openai.pricing import CostCalculator
from langchain_tamma_openai.usage.money import add_exactly
from langchain_tamma_openai.usage.report.figures import CacheUse

_LATE_IN_MONTH = timedelta(days=27)


@dataclass(frozen=True, slots=True)
class Savings:
    """Cached input against the same tokens uncached.

    Attributes:
        saved_usd: What was saved, less what writing to the cache cost more than plain input; None
            when nothing that was cached has a known price.
        priced_tokens: Cached tokens that the amount is about.
        unpriced_tokens: Cached tokens of models whose prices are not known.
    """

    saved_usd: Decimal | None = None
    priced_tokens: int = 0
    unpriced_tokens: int = 0


def cache_savings(uses: Iterable[CacheUse], calculator: CostCalculator) -> Savings:
    """Price cached tokens as cached and as plain input, by the prices of their month.

    The prices are those of short requests: what long contexts cost more is left out.

    Args:
        uses: What was cached.
        calculator: Knows the prices.
    """
    saved: Decimal | None = None
    priced = unpriced = 0
    for use in uses:
        found = _saved(use, calculator)
        if found is None:
            unpriced += use.tokens.cached_tokens
            continue
        saved = add_exactly(saved or Decimal(0), found)
        priced += use.tokens.cached_tokens
    return Savings(saved, priced, unpriced)


def _saved(use: CacheUse, calculator: CostCalculator) -> Decimal | None:
    if use.model is None:
        return None
    day = datetime.fromisoformat(f"{use.month}-01").replace(tzinfo=UTC) + _LATE_IN_MONTH
    sheet = calculator.prices(use.model, service_tier=use.service_tier, at=day)
    prices = None if sheet is None else sheet.for_input(0)
    if prices is None:
        return None
    plain, cached, written = (
        prices.input_usd_per_mtok,
        prices.cached_input_usd_per_mtok,
        prices.cache_write_usd_per_mtok,
    )
    per_million = Decimal(0)
    if cached is not None:
        per_million += (plain - cached) * use.tokens.cached_tokens
    if written is not None:
        per_million -= (written - plain) * use.tokens.cache_write_tokens
    return per_million.scaleb(-6)
