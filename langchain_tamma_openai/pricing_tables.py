"""Price tables: what a million tokens of each kind costs, read from a mapping and checked.

The same shape serves the file inside the package and the `price_overrides` of a user.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, fields
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from itertools import pairwise
from types import MappingProxyType
from typing import NoReturn, cast

STANDARD = "standard"
"""The tier of an ordinary request; the API calls it `default`."""

_STANDARD_NAMES = frozenset({"", "auto", "default", STANDARD})

PriceTable = Mapping[str, tuple["PriceEntry", ...]]

_DATE_SUFFIX = re.compile(r"-20\d{2}-?(0[1-9]|1[0-2])-?(0[1-9]|[12]\d|3[01])$")
_BASE_LEVEL = -1


@dataclass(frozen=True, slots=True)
class UnitPrices:
    """US dollars per million tokens of each kind; None where no price of its own is known.

    Cached input and cache writes without a price cost what plain input costs. Audio and 12-hour
    cache writes without a price cannot be priced.
    """

    input_usd_per_mtok: Decimal
    output_usd_per_mtok: Decimal
    cached_input_usd_per_mtok: Decimal | None = None
    cache_write_usd_per_mtok: Decimal | None = None
    cache_write_12h_usd_per_mtok: Decimal | None = None
    input_audio_usd_per_mtok: Decimal | None = None
    output_audio_usd_per_mtok: Decimal | None = None

    def scaled(self, input_multiplier: Decimal, output_multiplier: Decimal) -> UnitPrices:
        """Multiply all input-side and all output-side prices."""
        values: dict[str, Decimal | None] = {}
        for name in PRICE_KEYS:
            value: Decimal | None = getattr(self, name)
            factor = output_multiplier if name.startswith("output") else input_multiplier
            values[name] = None if value is None else value * factor
        return UnitPrices(**cast("dict[str, Decimal]", values))


PRICE_KEYS = tuple(field.name for field in fields(UnitPrices))
_REQUIRED_KEYS = PRICE_KEYS[:2]


@dataclass(frozen=True, slots=True)
class PriceLevel:
    """Prices of requests with more than `above_input_tokens` tokens of input; None: not known."""

    above_input_tokens: int
    prices: UnitPrices | None

    def scaled(self, multiplier: Decimal) -> PriceLevel:
        """Multiply all prices."""
        prices = None if self.prices is None else self.prices.scaled(multiplier, multiplier)
        return PriceLevel(self.above_input_tokens, prices)


@dataclass(frozen=True, slots=True)
class PriceSheet:
    """Every price level of one model on one tier and day, cheapest context first."""

    levels: tuple[PriceLevel, ...]
    source: str
    valid_from: date | None = None
    valid_until: date | None = None

    def for_input(self, input_tokens: int) -> UnitPrices | None:
        """Pick the prices that hold for the whole request, by the size of its input in tokens."""
        chosen = self.levels[0].prices
        for level in self.levels[1:]:
            if input_tokens > level.above_input_tokens:
                chosen = level.prices
        return chosen


def flat_levels(prices: UnitPrices) -> tuple[PriceLevel, ...]:
    """Wrap prices that hold whatever the size of the input."""
    return (PriceLevel(_BASE_LEVEL, prices),)


@dataclass(frozen=True, slots=True)
class LongContext:
    """How the whole request is priced once its input exceeds a number of tokens."""

    above_input_tokens: int
    input_multiplier: Decimal
    output_multiplier: Decimal


@dataclass(frozen=True, slots=True)
class PriceEntry:
    """The prices of one model from `valid_from` (included) to `valid_until` (excluded), UTC."""

    prices: UnitPrices
    tiers: Mapping[str, UnitPrices | Decimal]
    long_context: LongContext | None = None
    valid_from: date | None = None
    valid_until: date | None = None
    only_if_missing: bool = False

    def holds_on(self, day: date) -> bool:
        """Whether `day` (UTC) lies in the entry's time."""
        started = self.valid_from is None or day >= self.valid_from
        return started and (self.valid_until is None or day < self.valid_until)

    def levels(self, tier: str) -> tuple[PriceLevel, ...] | None:
        """Price levels of a tier; None when the entry does not say what that tier costs."""
        prices = self._tier_prices(tier)
        if prices is None:
            return None
        if self.long_context is None:
            return flat_levels(prices)
        rule = self.long_context
        long_prices = prices.scaled(rule.input_multiplier, rule.output_multiplier)
        return (*flat_levels(prices), PriceLevel(rule.above_input_tokens, long_prices))

    def _tier_prices(self, tier: str) -> UnitPrices | None:
        if tier == STANDARD:
            return self.prices
        value = self.tiers.get(tier)
        return self.prices.scaled(value, value) if isinstance(value, Decimal) else value


def tier_name(service_tier: str | None) -> str:
    """Name the tier that a service tier of the API is priced by.

    Args:
        service_tier: As the API writes it; None is standard.
    """
    tier = (service_tier or "").strip().lower()
    return STANDARD if tier in _STANDARD_NAMES else "priority" if tier == "fast" else tier


def normal_name(model: str) -> str:
    """Write a model's name as tables have it: without blanks around it, in lower case."""
    return model.strip().lower()


def lookup_names(model: str) -> tuple[str, ...]:
    """Names under which a model's price may be listed, most exact first.

    A dated snapshot (`gpt-4o-2024-08-06`) falls back to its undated name, a fine-tuned model
    (`ft:gpt-4o-2024-08-06:org::id`) to `ft:` and its base model, never to the base model itself.
    """
    names = [normal_name(model)]
    if names[0].startswith("ft:"):
        names.append(":".join(names[0].split(":")[:2]))
    names.append(_DATE_SUFFIX.sub("", names[-1]))
    return tuple(dict.fromkeys(names))


def parse_price_table(raw: object, where: str = "price_overrides") -> PriceTable:
    """Read and check a price table.

    Args:
        raw: Model name to a mapping of prices in US dollars per million tokens (`PRICE_KEYS`; input
            and output are required), or to a list of such mappings with `valid_from` (included) and
            `valid_until` (excluded) dates. `tiers` maps "flex", "priority", "batch" and the like
            to a multiplier or to prices; `long_context` holds `above_input_tokens`,
            `input_multiplier` and `output_multiplier`.
        where: How to call the table in error messages.

    Raises:
        ConfigurationError: For anything else, naming the model, the field and the value.
    """
    table: dict[str, tuple[PriceEntry, ...]] = {}
    for model, value in _mapping(raw, where).items():
        spot = f"{where}[{model!r}]"
        if not isinstance(model, str) or not model.strip():
            _fail(where, model, "a model name must be a non-empty string")
        name = normal_name(model)
        if name in table:
            _fail(spot, model, f"{name} is in the table twice; case and blanks make no difference")
        table[name] = _entries(value, spot)
    return MappingProxyType(table)


def _entries(value: object, spot: str) -> tuple[PriceEntry, ...]:
    if isinstance(value, Mapping):
        return (_entry(value, spot),)
    if isinstance(value, str) or not isinstance(value, Sequence) or not value:
        _fail(spot, value, "must be a mapping of prices or a non-empty list of dated mappings")
    entries = [
        _entry(_mapping(item, f"{spot}[{i}]"), f"{spot}[{i}]") for i, item in enumerate(value)
    ]
    entries.sort(key=lambda entry: entry.valid_from or date.min)
    for earlier, later in pairwise(entries):
        if earlier.valid_until is None or earlier.valid_until > (later.valid_from or date.min):
            _fail(
                spot,
                f"{_span(earlier)} and {_span(later)}",
                "the dates of two entries must not overlap",
            )
    return tuple(entries)


def _span(entry: PriceEntry) -> str:
    return f"[{entry.valid_from or 'always'}, {entry.valid_until or 'open'})"


_ENTRY_KEYS = frozenset(
    {*PRICE_KEYS, "valid_from", "valid_until", "tiers", "long_context", "only_if_missing", "source"}
)


def _entry(raw: Mapping[str, object], spot: str) -> PriceEntry:
    _refuse_unknown_keys(raw, _ENTRY_KEYS, spot)
    valid_from = _date(raw.get("valid_from"), f"{spot}['valid_from']")
    valid_until = _date(raw.get("valid_until"), f"{spot}['valid_until']")
    if valid_from is not None and valid_until is not None and valid_until <= valid_from:
        _fail(f"{spot}['valid_until']", str(valid_until), f"must be later than {valid_from}")
    return PriceEntry(
        prices=_unit_prices({key: raw[key] for key in PRICE_KEYS if key in raw}, spot),
        tiers=_tiers(raw.get("tiers"), f"{spot}['tiers']"),
        long_context=_long_context(raw.get("long_context"), f"{spot}['long_context']"),
        valid_from=valid_from,
        valid_until=valid_until,
        only_if_missing=_flag(raw.get("only_if_missing"), f"{spot}['only_if_missing']"),
    )


def _unit_prices(raw: Mapping[str, object], spot: str) -> UnitPrices:
    _refuse_unknown_keys(raw, frozenset(PRICE_KEYS), spot)
    missing = [key for key in _REQUIRED_KEYS if raw.get(key) is None]
    if missing:
        _fail(spot, dict(raw), f"needs a price for {' and '.join(missing)}")
    return UnitPrices(
        **{
            key: _amount(value, f"{spot}[{key!r}]")
            for key, value in raw.items()
            if value is not None
        }
    )


def _tiers(raw: object, spot: str) -> Mapping[str, UnitPrices | Decimal]:
    if raw is None:
        return MappingProxyType({})
    tiers: dict[str, UnitPrices | Decimal] = {}
    for tier, value in _mapping(raw, spot).items():
        place = f"{spot}[{tier!r}]"
        name = _own_tier(tier, place)
        if name in tiers:
            _fail(place, tier, f"the tier {name} is priced twice")
        if isinstance(value, Mapping):
            tiers[name] = _unit_prices(value, place)
        else:
            tiers[name] = _amount(value, place)
    return MappingProxyType(tiers)


def _own_tier(tier: object, place: str) -> str:
    """Read the name of a tier that has prices of its own."""
    name = tier_name(tier) if isinstance(tier, str) else ""
    if not isinstance(tier, str) or name == STANDARD:
        _fail(place, tier, "must name a tier such as 'flex'; standard prices stand in the entry")
    return name


def _long_context(raw: object, spot: str) -> LongContext | None:
    if raw is None:
        return None
    keys = tuple(field.name for field in fields(LongContext))
    values = _mapping(raw, spot)
    _refuse_unknown_keys(values, frozenset(keys), spot)
    above, input_multiplier, output_multiplier = (
        _amount(values.get(key), f"{spot}[{key!r}]") for key in keys
    )
    if above != int(above):
        _fail(f"{spot}['above_input_tokens']", values[keys[0]], "must be a whole number of tokens")
    return LongContext(int(above), input_multiplier, output_multiplier)


def _amount(value: object, spot: str) -> Decimal:
    """Read a price or multiplier exactly: floats count as the decimal number they print as."""
    amount: Decimal | None = None
    if isinstance(value, int | float | str | Decimal) and not isinstance(value, bool):
        try:
            amount = Decimal(repr(value) if isinstance(value, float) else value)
        except InvalidOperation:
            amount = None
    if amount is None or not amount.is_finite() or amount < 0:
        _fail(spot, value, "must be a finite number, 0 or greater")
    return amount


def _flag(value: object, spot: str) -> bool:
    if value is not None and not isinstance(value, bool):
        _fail(spot, value, "must be true or false")
    return value is True


def _date(value: object, spot: str) -> date | None:
    if value is None or (isinstance(value, date) and not isinstance(value, datetime)):
        return value
    if isinstance(value, str):
        with suppress(ValueError):
            return date.fromisoformat(value)
    return _fail(spot, value, "must be a date or a string such as '2026-11-22' (UTC)")


def _mapping(value: object, spot: str) -> Mapping[str, object]:
    if not isinstance(value, Mapping):
        _fail(spot, value, "must be a mapping")
    return cast("Mapping[str, object]", value)


def _refuse_unknown_keys(raw: Mapping[str, object], known: frozenset[str], spot: str) -> None:
    unknown = sorted(str(key) for key in raw if key not in known)
    if unknown:
        _fail(spot, ", ".join(unknown), f"unknown field; known are {', '.join(sorted(known))}")


def _fail(spot: str, value: object, requirement: str) -> NoReturn:
    from langchain_tamma_openai.errors import ConfigurationError

    raise ConfigurationError(f"{spot}: got {value!r}, {requirement}")
