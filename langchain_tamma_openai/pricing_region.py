"""Processing in a chosen region, which costs a tenth more on models of March 2026 and later.

https://developers.openai.com/api/docs/guides/data-residency
"""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import date
from decimal import Decimal
from urllib.parse import urlsplit

from langchain_tamma_openai.pricing_tables import PriceSheet

__all__ = ["is_regional", "regional_sheet"]

_MULTIPLIER = Decimal("1.1")
_FIRST_RELEASE = date(2026, 3, 5)
_REGIONAL_HOST = re.compile(r"[a-z]{2}\.api\.openai\.com")


def is_regional(base_url: str | None) -> bool:
    """Tell whether an address is one of OpenAI's regional ones, such as `eu.api.openai.com`.

    Args:
        base_url: Root of the API; None for the usual one.
    """
    try:
        host = urlsplit(base_url or "").hostname
    except ValueError:
        return False
    return host is not None and _REGIONAL_HOST.fullmatch(host) is not None


def regional_sheet(sheet: PriceSheet, model: str) -> PriceSheet:
    """Give the prices of regional processing; the same for models without a surcharge.

    Args:
        sheet: The ordinary prices.
        model: The model.
    """
    from langchain_tamma_openai.models import ModelCatalog

    released = ModelCatalog().get(model).release_date
    if released is None or released < _FIRST_RELEASE:
        return sheet
    levels = tuple(level.scaled(_MULTIPLIER) for level in sheet.levels)
    return replace(sheet, levels=levels, source=f"{sheet.source}, regional")
