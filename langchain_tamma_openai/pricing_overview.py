"""The price list as plain rows: what `CostCalculator.pricing()` gives, and what a sheet becomes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING

from langchain_tamma_openai.pricing_cost import plain_decimal
from langchain_tamma_openai.pricing_tables import PRICE_KEYS, STANDARD, PriceLevel, PriceSheet

if TYPE_CHECKING:
    from langchain_tamma_openai.models import ModelInfo

__all__ = ["TIERS", "PricingRow", "pricing_rows"]

TIERS = (STANDARD, "batch", "flex", "priority", "ultrafast")
"""The tiers of the price list, in its order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PricingRow:
    """What one model costs on one tier, for requests of one size. None means not known.

    Attributes:
        model: The model.
        tier: "standard", "batch", "flex", "priority" or "ultrafast".
        above_input_tokens: The prices hold for requests with more input tokens than this, up to
            the next row of the model and tier; 0 is every request.
        input_usd_per_mtok: US dollars per million tokens of input.
        cached_input_usd_per_mtok: Input read from the cache; None: as input.
        cache_write_usd_per_mtok: Input written to the cache; None: as input.
        cache_write_12h_usd_per_mtok: Input written to the cache for 12 hours.
        output_usd_per_mtok: Output, reasoning included.
        input_audio_usd_per_mtok: Audio input.
        output_audio_usd_per_mtok: Audio output.
        context_window_tokens: Input and output together.
        max_input_tokens: The most input.
        max_output_tokens: The most output.
        source: Where the prices come from; None when there is none.
        valid_from: First day, UTC; None: not stated.
        valid_until: First day no longer, UTC; None: not stated.
        shutdown_date: Day from which the model is not served.
    """

    model: str
    tier: str
    above_input_tokens: int = 0
    input_usd_per_mtok: Decimal | None = None
    cached_input_usd_per_mtok: Decimal | None = None
    cache_write_usd_per_mtok: Decimal | None = None
    cache_write_12h_usd_per_mtok: Decimal | None = None
    output_usd_per_mtok: Decimal | None = None
    input_audio_usd_per_mtok: Decimal | None = None
    output_audio_usd_per_mtok: Decimal | None = None
    context_window_tokens: int | None = None
    max_input_tokens: int | None = None
    max_output_tokens: int | None = None
    source: str | None = None
    valid_from: date | None = None
    valid_until: date | None = None
    shutdown_date: date | None = None

    def as_text(self) -> dict[str, str]:
        """Give the row as text by column, amounts as plain decimals and unknowns as "-"."""
        values = ((field.name, getattr(self, field.name)) for field in fields(self))
        return {name: _text(value) for name, value in values}


def _text(value: object) -> str:
    if isinstance(value, Decimal):
        return plain_decimal(value) or ""
    return "-" if value is None else str(value)


def pricing_rows(info: ModelInfo, tier: str, sheet: PriceSheet | None) -> Iterator[PricingRow]:
    """Turn a price sheet into rows, one for each size of request.

    Args:
        info: The model.
        tier: The tier of the sheet.
        sheet: Its prices; None gives one row without any.
    """
    for level in sheet.levels if sheet is not None else (PriceLevel(0, None),):
        prices = {name: getattr(level.prices, name, None) for name in PRICE_KEYS}
        yield PricingRow(
            model=info.name,
            tier=tier,
            above_input_tokens=max(0, level.above_input_tokens),
            context_window_tokens=info.context_window_tokens,
            max_input_tokens=info.max_input_tokens,
            max_output_tokens=info.max_output_tokens,
            source=None if sheet is None else sheet.source,
            valid_from=None if sheet is None else sheet.valid_from,
            valid_until=None if sheet is None else sheet.valid_until,
            shutdown_date=info.shutdown_date,
            **prices,
        )
