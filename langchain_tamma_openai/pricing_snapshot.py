"""OpenAI's prices as one release of genai-prices has them, without loading that package.

genai-prices builds the objects of some forty providers when it is loaded, which takes longer than
a first call. `data/genai_openai.json` holds what it says of OpenAI's models, written by
`scripts/genai_snapshot.py`. It is only read where it says the same as the package itself would:
beside the release it was made from, and while nobody in the process has loaded that package, whose
own updater may put other prices in place.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import cache
from typing import Any, cast

from langchain_tamma_openai.pricing_genai import (
    PRICE_NAMES,
    FoundPrices,
    Tier,
    TieredPrices,
    found_prices,
)

_PACKAGE = "genai_prices"
_DISTRIBUTION = "genai-prices"
# genai-prices reads `-20251211` as `-2025-12-11` too; such names are left to it.
_COMPACT_DATE = re.compile(r"-20\d{6}(?=-|:|$)")

_Json = Mapping[str, Any]


class UnsureError(Exception):
    """A name that the package itself has to look up."""


def current_snapshot() -> PriceSnapshot | None:
    """Return the snapshot, or None where it may not say what genai-prices would."""
    if _PACKAGE in sys.modules:
        return None
    snapshot = _load()
    return snapshot if snapshot.version == _installed_version() else None


@cache
def _load() -> PriceSnapshot:
    from importlib.resources import files

    path = files("langchain_tamma_openai") / "data" / "genai_openai.json"
    return PriceSnapshot(json.loads(path.read_text(encoding="utf-8")))


@cache
def _installed_version() -> str | None:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(_DISTRIBUTION)
    except PackageNotFoundError:
        return None


class PriceSnapshot:
    """Looks up models as genai-prices does."""

    def __init__(self, raw: _Json) -> None:
        """Take the content of the file.

        Args:
            raw: `{"version": ..., "models": [...]}`.
        """
        self.version: str = raw["version"]
        self._models: list[_Json] = raw["models"]

    def find(self, names: tuple[str, ...], tier: str, at: datetime) -> FoundPrices | None:
        """Look up the first of `names` that has prices; None when none of them does.

        Raises:
            UnsureError: A name has a form that the package itself has to look up.
        """
        for name in names:
            if _COMPACT_DATE.search(name):
                raise UnsureError(name)
            model = next((each for each in self._models if _matches(each["match"], name)), None)
            if model is not None:
                found = found_prices(_Model(model), tier, at, f"{_DISTRIBUTION} {self.version}")
                if found is not None:
                    return found
        return None


def _matches(rule: Sequence[Any], name: str) -> bool:
    """Apply a rule such as `["starts_with", "gpt-5"]` or `["or", [rule, rule]]` to a name."""
    kind, wanted = rule
    if kind in {"or", "and"}:
        each = (_matches(part, name) for part in wanted)
        return any(each) if kind == "or" else all(each)
    if kind == "equals":
        return name == cast("str", wanted)
    if kind == "starts_with":
        return name.startswith(wanted)
    if kind == "ends_with":
        return name.endswith(wanted)
    if kind == "contains":
        return wanted in name
    return re.search(wanted, name) is not None


class _Since:
    """From a day on."""

    def __init__(self, start_date: date) -> None:
        self.start_date = start_date

    def active(self, at: datetime) -> bool:
        """Whether the day has come."""
        moment = at if at.tzinfo is None else at.astimezone(UTC)
        return moment.date() >= self.start_date


class _Prices:
    """Prices by the names that genai-prices has for them; None where there is none."""

    def __init__(self, raw: _Json) -> None:
        for name in PRICE_NAMES:
            setattr(self, name, _price(raw.get(name)))


class _Variant:
    """Prices of a tier."""

    def __init__(self, raw: _Json) -> None:
        self.when: dict[str, str] = raw["when"]
        self.constraint = _since(raw["since"])
        self.prices = _Prices(raw["prices"])


class _Model:
    """A model in the form in which genai-prices has it."""

    def __init__(self, raw: _Json) -> None:
        self._prices = [(_since(each["since"]), _Prices(each["prices"])) for each in raw["prices"]]
        self.price_variants = [_Variant(each) for each in raw["variants"]]

    def get_prices(self, at: datetime) -> _Prices:
        """Return the last prices that hold by then, else the first."""
        for since, prices in reversed(self._prices):
            if since is None or since.active(at):
                return prices
        return self._prices[0][1]


def _since(raw: str | None) -> _Since | None:
    return None if raw is None else _Since(date.fromisoformat(raw))


def _price(raw: str | _Json | None) -> Decimal | TieredPrices | None:
    if raw is None:
        return None
    if isinstance(raw, str):
        return Decimal(raw)
    tiers = [Tier(start, Decimal(price)) for start, price in raw["tiers"]]
    return TieredPrices(Decimal(raw["base"]), tiers)
