"""Price levels read from the genai-prices package: per model, date and service tier.

Only the data that ships with genai-prices (or that the user put in its place with its own updater)
is read; nothing here asks the network.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import TYPE_CHECKING, NamedTuple, Protocol

from langchain_tamma_openai.pricing_tables import STANDARD, PriceLevel, UnitPrices, flat_levels

_KEYS = {
    "input_usd_per_mtok": "input_mtok",
    "output_usd_per_mtok": "output_mtok",
    "cached_input_usd_per_mtok": "cache_read_mtok",
    "cache_write_usd_per_mtok": "cache_write_mtok",
    "input_audio_usd_per_mtok": "input_audio_mtok",
    "output_audio_usd_per_mtok": "output_audio_mtok",
}

PRICE_NAMES = tuple(_KEYS.values())
"""What genai-prices calls the prices that are read."""

Levels = tuple[PriceLevel, ...]


class FoundPrices(NamedTuple):
    """A model that genai-prices knows; `levels` is None when it lacks the asked tier."""

    levels: Levels | None
    source: str


class Tier(NamedTuple):
    """A price from a number of input tokens on."""

    start: int
    price: Decimal


class TieredPrices(NamedTuple):
    """A price that depends on the size of the input."""

    base: Decimal
    tiers: Sequence[Tier]


if TYPE_CHECKING:

    class _Tier(Protocol):
        @property
        def start(self) -> int: ...
        @property
        def price(self) -> Decimal: ...

    class _Tiered(Protocol):
        @property
        def base(self) -> Decimal: ...
        @property
        def tiers(self) -> Sequence[_Tier]: ...

    class _Constraint(Protocol):
        def active(self, at: datetime, /) -> bool: ...

    class _Variant(Protocol):
        @property
        def when(self) -> Mapping[str, str]: ...
        @property
        def constraint(self) -> _Constraint | None: ...
        @property
        def prices(self) -> object: ...

    class _Model(Protocol):
        """A model of genai-prices, or of the snapshot of them."""

        @property
        def price_variants(self) -> Sequence[_Variant] | None: ...
        def get_prices(self, at: datetime, /) -> object: ...

    _Raw = dict[str, Decimal | _Tiered]


class GenaiPrices:
    """Reader of the genai-prices data. Importing that data takes about half a second, once."""

    def __init__(self) -> None:
        """Load the data."""
        import genai_prices
        from genai_prices import data_snapshot

        self._get_snapshot = data_snapshot.get_snapshot
        self._version = genai_prices.__version__
        self._snapshot = self._get_snapshot()

    def was_replaced(self) -> bool:
        """Whether the user's own updater has put other data in place since the last call."""
        current = self._get_snapshot()
        if current is self._snapshot:
            return False
        self._snapshot = current
        return True

    def find(
        self, names: tuple[str, ...], tier: str, at: datetime, provider: str = "openai"
    ) -> FoundPrices | None:
        """Look up the first of `names` that has prices; None when none of them does."""
        for name in names:
            try:
                _, model = self._snapshot.find_provider_model(name, None, provider, None)
            except LookupError:
                continue
            found = found_prices(model, tier, at, self._source())
            if found is not None:
                return found
        return None

    def _source(self) -> str:
        if not self._snapshot.from_auto_update:
            return f"genai-prices {self._version}"
        return f"genai-prices {self._version}, updated {self._snapshot.timestamp:%Y-%m-%d}"


def found_prices(model: _Model, tier: str, at: datetime, source: str) -> FoundPrices | None:
    """Read a model's prices; None when it has none for both input and output.

    Args:
        model: As genai-prices has it.
        tier: Name of the service tier.
        at: When the request was made.
        source: Where the prices are from.
    """
    standard = _raw_prices(model.get_prices(at))
    if not {"input_usd_per_mtok", "output_usd_per_mtok"} <= standard.keys():
        return None
    return FoundPrices(_levels_of(model, standard, tier, at), source)


def _levels_of(model: _Model, standard: _Raw, tier: str, at: datetime) -> Levels | None:
    if tier == STANDARD:
        return _levels(standard)
    variant = _variant(model, tier, at)
    if variant is None:
        return None
    prices = standard | _variant_prices(model, variant, standard, at)
    missing = _thresholds(standard) - _thresholds(prices)
    unknown = tuple(PriceLevel(start, None) for start in sorted(missing))
    return (*_levels(prices), *unknown)


def _variant(model: _Model, tier: str, at: datetime) -> _Variant | None:
    """Find the tier's prices; those first verified after `at` when none were by then."""
    wanted = {"processing": "batch"} if tier == "batch" else {"service_tier": tier}
    later = None
    for variant in model.price_variants or ():
        if variant.when != wanted:
            continue
        if variant.constraint is None or variant.constraint.active(at):
            return variant
        later = later or variant
    return later


def _variant_prices(model: _Model, variant: _Variant, standard: _Raw, at: datetime) -> _Raw:
    """Prices of a tier at `at`.

    The data dates a tier from the day it was verified. An answer that names the tier proves that it
    existed earlier, so the tier is then taken to have cost the same multiple of the standard price.
    """
    prices = _raw_prices(variant.prices)
    start: date | None = getattr(variant.constraint, "start_date", None)
    if start is None or at.astimezone(UTC).date() >= start:
        return prices
    then = _raw_prices(model.get_prices(datetime.combine(start, time(), UTC)))
    return {
        key: _scaled(value, _base(standard[key]), _base(then[key]))
        for key, value in prices.items()
        if key in standard and key in then
    }


def _raw_prices(price: object) -> _Raw:
    found = {ours: getattr(price, theirs) for ours, theirs in _KEYS.items()}
    return {key: value for key, value in found.items() if value is not None}


def _base(value: Decimal | _Tiered) -> Decimal:
    return value if isinstance(value, Decimal) else value.base


def _scaled(
    value: Decimal | _Tiered, numerator: Decimal, denominator: Decimal
) -> Decimal | _Tiered:
    if numerator == denominator:
        return value
    if isinstance(value, Decimal):
        return value * numerator / denominator
    tiers = [Tier(tier.start, tier.price * numerator / denominator) for tier in value.tiers]
    return TieredPrices(value.base * numerator / denominator, tiers)


def _thresholds(prices: _Raw) -> set[int]:
    return {
        tier.start
        for value in prices.values()
        if not isinstance(value, Decimal)
        for tier in value.tiers
    }


def _levels(prices: _Raw) -> Levels:
    base = flat_levels(_prices_above(prices, -1))
    starts = sorted(_thresholds(prices))
    return (*base, *(PriceLevel(start, _prices_above(prices, start)) for start in starts))


def _prices_above(prices: _Raw, start: int) -> UnitPrices:
    values: Mapping[str, Decimal] = {key: _above(value, start) for key, value in prices.items()}
    return UnitPrices(**values)


def _above(value: Decimal | _Tiered, start: int) -> Decimal:
    if isinstance(value, Decimal):
        return value
    reached = [tier.price for tier in value.tiers if tier.start <= start]
    return reached[-1] if reached else value.base
