"""What an answer cost, in exact decimals, from dated prices.

How a price is chosen, and where the sources disagree, is told in docs/pricing.md.
"""

from __future__ import annotations

import logging
import sys
import time
import warnings
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any, TypeVar, cast

from langchain_core.messages.ai import UsageMetadata

from langchain_tamma_openai.pricing_cost import Cost, CostPart
from langchain_tamma_openai.pricing_parts import UnknownPrice, price
from langchain_tamma_openai.pricing_tables import (
    STANDARD,
    PriceEntry,
    PriceLevel,
    PriceSheet,
    PriceTable,
    lookup_names,
    parse_price_table,
    tier_name,
)
from langchain_tamma_openai.wire.usage import TokenUsage

if TYPE_CHECKING:
    from langchain_core.messages import MessageLikeRepresentation

    from langchain_tamma_openai.pricing_bound import PlainBounds
    from langchain_tamma_openai.pricing_estimate import CostEstimate, UpperBound
    from langchain_tamma_openai.pricing_genai import FoundPrices, GenaiPrices
    from langchain_tamma_openai.pricing_overview import PricingRow
    from langchain_tamma_openai.wire.tools import ToolLike

    _BoundKey = tuple[str, object, object, bool, bool]
    _Bounds = tuple[list[PriceSheet], PlainBounds]

__all__ = ["Cost", "CostCalculator", "CostPart", "default_calculator"]

logger = logging.getLogger(__name__)

_GENAI_PACKAGE = "genai_prices"
_USER_SOURCE = "user"
_DAY_S = 86_400
_MAX_CACHED_SHEETS = 4096
_MAY_BE_DOWNGRADED = frozenset({"priority", "ultrafast"})


class CostCalculator:
    """Prices token usage, by `overrides`, then the package's own file, then genai-prices.

    Safe to share between threads. Costing never raises and never asks the network: what has no
    known price gives a `Cost` of None amounts and one warning per model and process.
    """

    def __init__(self, overrides: Mapping[str, object] | None = None) -> None:
        """Check the user's price table.

        Args:
            overrides: Prices that win over all others; see `parse_price_table` for their shape.

        Raises:
            ConfigurationError: When the table is not valid, naming model, field and value.
        """
        self._overrides = overrides
        self._user: PriceTable = {} if overrides is None else parse_price_table(overrides)
        self._genai: GenaiPrices | None = None
        self._used_snapshot = False
        self._sheets: dict[tuple[object, ...], PriceSheet | str] = {}
        self._bounds: dict[_BoundKey, _Bounds] = {}

    def __reduce__(self) -> tuple[type[CostCalculator], tuple[Mapping[str, object] | None]]:
        """Pickle the table, not the caches."""
        return type(self), (self._overrides,)

    def cost(
        self,
        usage: TokenUsage | UsageMetadata | Mapping[str, object] | None,
        model: str,
        *,
        service_tier: str | None = None,
        at: datetime | None = None,
        batch: bool = False,
        estimated: bool = False,
        provider: str = "openai",
        regional: bool = False,
    ) -> Cost:
        """Price the usage of one answer.

        Args:
            usage: Tokens by kind, as `TokenUsage` or as LangChain's `UsageMetadata`.
            model: The model that served the request, as the response names it.
            service_tier: The tier the *response* names; None, "default" and "auto" are standard,
                "fast" is "priority".
            at: When the request was made (a naive time is UTC); now when left out.
            batch: Whether the request went through the Batch API.
            estimated: Whether the usage is an estimate; copied into the cost.
            provider: Name of the provider in genai-prices.
            regional: Whether a regional address of OpenAI answered (see `is_regional`).

        Returns:
            The cost; its amounts are None when the model, the tier or a kind of token has no known
            price, or when the counts contradict each other.
        """
        try:
            tokens = _token_usage(usage)
            tier = _tier_name(service_tier, batch=batch)
            sheet = self._sheet(model, tier, at, provider, regional=regional)
            return price(tokens, sheet, estimated=estimated)
        except UnknownPrice as unknown:
            reason = str(unknown)
        except Exception as exc:  # noqa: BLE001 - pricing must never fail a call that was answered
            reason = f"pricing failed with {type(exc).__name__}: {exc}"
        if usage is not None:
            _warn_once(str(model), reason)
        return Cost(estimated=estimated, unknown_reason=reason)

    def estimate(
        self,
        messages: Sequence[MessageLikeRepresentation | Mapping[str, Any]],
        model: str,
        tools: Sequence[ToolLike] | None = None,
        max_tokens: int | None = None,
        *,
        service_tier: str | None = None,
        at: datetime | None = None,
        batch: bool = False,
        expected_output_tokens: int | None = None,
        provider: str = "openai",
        regional: bool = False,
        **parameters: object,
    ) -> CostEstimate:
        """Estimate what a request will cost, before it is sent.

        Args:
            messages: LangChain messages, or JSON messages as the API takes them.
            model: The model to ask.
            tools: Tools in any form that `bind_tools` takes.
            max_tokens: The output limit of the request; that of the model when left out.
            service_tier: The tier to ask for. An answer to "priority" may be served, and billed,
                as standard; the amounts allow for both.
            at: When the request will be made (a naive time is UTC); now when left out.
            batch: Whether it goes through the Batch API.
            expected_output_tokens: The length of answer to expect, for the expected amount.
            provider: Name of the provider in genai-prices.
            regional: Whether a regional address of OpenAI is asked.
            **parameters: More of the request that matters: `n`, `tool_choice`, `response_format`,
                `modalities`, `prompt_cache_options`.

        Returns:
            The least, a likely amount and the most; None where that is not known.

        Raises:
            ValueError: A message is none.
        """
        from langchain_tamma_openai.tokens_langchain import json_message, json_tool

        payload = {
            **parameters,
            "messages": [json_message(message) for message in messages],
            "tools": [json_tool(tool) for tool in tools or ()],
            "max_tokens": max_tokens,
            "service_tier": service_tier,
        }
        return self.estimate_payload(
            payload,
            model,
            at=at,
            batch=batch,
            expected_output_tokens=expected_output_tokens,
            provider=provider,
            regional=regional,
        )

    def estimate_payload(
        self,
        payload: Mapping[str, Any],
        model: str | None = None,
        *,
        service_tier: str | None = None,
        at: datetime | None = None,
        batch: bool = False,
        expected_output_tokens: int | None = None,
        provider: str = "openai",
        regional: bool = False,
    ) -> CostEstimate:
        """Estimate what a request will cost from its body, of Chat Completions or Responses.

        Cheap enough to run before each request: texts that were counted before are not counted
        again. Never raises.

        Args:
            payload: The body.
            model: The model to ask; that of the body when left out.
            service_tier: The tier to ask for; that of the body when left out.
            at: When the request will be made (a naive time is UTC); now when left out.
            batch: Whether it goes through the Batch API.
            expected_output_tokens: The length of answer to expect, for the expected amount.
            provider: Name of the provider in genai-prices.
            regional: Whether a regional address of OpenAI is asked.
        """
        from langchain_tamma_openai.pricing_estimate import (
            price_size,
            size_of_payload,
            unknown_estimate,
        )

        name = str(payload.get("model") if model is None else model)
        size = size_of_payload(payload, name, expected_output_tokens)
        tier = payload.get("service_tier") if service_tier is None else service_tier
        try:
            sheets = self._possible_sheets(name, tier, at, provider, batch=batch, regional=regional)
            return price_size(name, size, sheets)
        except UnknownPrice as unknown:
            return unknown_estimate(name, size, str(unknown))
        except Exception as exc:  # noqa: BLE001 - an estimate must not fail a call
            reason = f"pricing failed with {type(exc).__name__}: {exc}"
            return unknown_estimate(name, size, reason)

    def upper_bound(
        self,
        payload: Mapping[str, Any],
        model: str | None = None,
        *,
        service_tier: str | None = None,
        at: datetime | None = None,
        batch: bool = False,
        regional: bool = False,
    ) -> UpperBound:
        """Give the most that a request can cost, to set it aside in a budget. Never raises.

        Args:
            payload: The body, of Chat Completions or Responses.
            model: The model to ask; that of the body when left out.
            service_tier: The tier to ask for; that of the body when left out.
            at: When the request will be made (a naive time is UTC); now when left out.
            batch: Whether it goes through the Batch API.
            regional: Whether a regional address of OpenAI is asked.
        """
        name = str(payload.get("model") if model is None else model)
        tier = payload.get("service_tier") if service_tier is None else service_tier
        try:
            day = int(time.time() // _DAY_S) if at is None else _utc(at).date()
            key = (name, tier, day, batch, regional)
            self._forget_outdated()
            sheets, plain = self._bounds.get(key) or self._bind(key, at)
            if (bound := plain.of(payload)) is not None:
                return bound
        except Exception:  # noqa: BLE001 - a bound must not fail a call
            sheets = []
        return self._any_upper_bound(payload, name, sheets)

    @staticmethod
    def _any_upper_bound(
        payload: Mapping[str, Any], name: str, sheets: list[PriceSheet]
    ) -> UpperBound:
        """Bound a request of any kind; see `pricing_bound` for plain ones."""
        from langchain_tamma_openai.pricing_estimate import (
            UpperBound,
            highest_price,
            size_of_payload,
        )

        size = size_of_payload(payload, name)
        try:
            usd = highest_price(size, sheets) if sheets else None
        except Exception:  # noqa: BLE001 - an unknown bound is None
            usd = None
        return UpperBound(usd, size.high_tokens, size.input_tokens)

    def _bind(self, key: _BoundKey, at: datetime | None) -> _Bounds:
        """Work out what the bounds of a model on a tier and day rest on."""
        from langchain_tamma_openai.pricing_bound import PlainBounds

        if len(self._bounds) >= _MAX_CACHED_SHEETS:
            self._bounds.clear()
        name, tier, _, batch, regional = key
        sheets = self._possible_sheets(name, tier, at, "openai", batch=batch, regional=regional)
        found = self._bounds[key] = sheets, PlainBounds(name, sheets)
        return found

    def prices(
        self,
        model: str,
        *,
        service_tier: str | None = None,
        at: datetime | None = None,
        batch: bool = False,
        provider: str = "openai",
        regional: bool = False,
    ) -> PriceSheet | None:
        """Look up the unit prices that `cost` would use; None, without a warning, if unknown."""
        try:
            tier = _tier_name(service_tier, batch=batch)
            return self._sheet(model, tier, at, provider, regional=regional)
        except UnknownPrice:
            return None

    def pricing(
        self, *, at: datetime | None = None, include_shut_down: bool = False
    ) -> list[PricingRow]:
        """List what the models of the catalogue, and of your own table, cost.

        Args:
            at: The day (a naive time is UTC); now when left out.
            include_shut_down: Also list models that were no longer served then.

        Returns:
            One row for each model, tier and size of request, by name; tiers without a known price
            are left out, and a model without any has one row.
        """
        from langchain_tamma_openai.models import ModelCatalog
        from langchain_tamma_openai.pricing_overview import TIERS, pricing_rows

        day = _utc(at).date()
        catalog = ModelCatalog()
        listed = {info.name: info for info in catalog.list()}
        infos = {**{name: catalog.get(name) for name in self._user}, **listed}
        rows: list[PricingRow] = []
        for _, info in sorted(infos.items()):
            if info.is_shut_down(day) and not include_shut_down:
                continue
            sheets = [(tier, self.prices(info.name, service_tier=tier, at=at)) for tier in TIERS]
            known = [(tier, sheet) for tier, sheet in sheets if sheet is not None]
            for tier, sheet in known or sheets[:1]:
                rows += pricing_rows(info, tier, sheet)
        return rows

    def _possible_sheets(
        self,
        model: str,
        tier: object,
        at: datetime | None,
        provider: str,
        *,
        batch: bool,
        regional: bool,
    ) -> list[PriceSheet]:
        """Give the prices of the tier that is asked for, and of one it may be served at instead."""
        wanted = _tier_name(cast("str | None", tier), batch=batch)
        tiers = (wanted, STANDARD) if wanted in _MAY_BE_DOWNGRADED else (wanted,)
        return [self._sheet(model, each, at, provider, regional=regional) for each in tiers]

    def _sheet(
        self, model: str, tier: str, at: datetime | None, provider: str, *, regional: bool = False
    ) -> PriceSheet:
        moment = _utc(at)
        # Other providers price by the time of day too; OpenAI's prices change at most daily.
        day: object = (
            moment.date() if provider == "openai" else moment.replace(second=0, microsecond=0)
        )
        key = (model, tier, day, provider, regional)
        self._forget_outdated()
        found = self._sheets.get(key)
        if found is None:
            if len(self._sheets) >= _MAX_CACHED_SHEETS:
                self._sheets.clear()
            found = self._find(model, tier, moment, provider)
            if regional and isinstance(found, PriceSheet) and found.source != _USER_SOURCE:
                from langchain_tamma_openai.pricing_region import regional_sheet

                found = regional_sheet(found, model)
            self._sheets[key] = found
        if isinstance(found, str):
            raise UnknownPrice(found)
        return found

    def _find(self, model: str, tier: str, at: datetime, provider: str) -> PriceSheet | str:
        """Choose the price sheet, or say why there is none."""
        if not isinstance(model, str) or not model.strip():
            return "the answer names no model"
        names = lookup_names(model)
        entry = _entry_on(self._user, names, at.date())
        source = _USER_SOURCE
        if entry is None and provider == "openai":
            shipped = _shipped_prices()
            if any(name in shipped.unpriced for name in names):
                return f"{model} has no official OpenAI API price"
            entry, source = _entry_on(shipped.table, names, at.date()), shipped.source
            if entry is not None and entry.only_if_missing and self._known(names, at):
                entry = None
        if entry is None:
            return self._find_in_genai(names, tier, at, provider)
        levels = entry.levels(tier)
        if levels is None:
            return _no_tier(model, tier)
        return PriceSheet(levels, source, entry.valid_from, entry.valid_until)

    def _known(self, names: tuple[str, ...], at: datetime) -> bool:
        return self._look_up(names, STANDARD, at, "openai") is not None

    def _find_in_genai(
        self, names: tuple[str, ...], tier: str, at: datetime, provider: str
    ) -> PriceSheet | str:
        shipped = _shipped_prices()
        found = self._look_up(names, tier, at, provider)
        if found is None:
            return f"no price is known for {names[0]}"
        if found.levels is None:
            rule = _first(shipped.tier_multipliers, names, {}).get(tier)
            standard = None if rule is None else self._look_up(names, STANDARD, at, provider)
            if rule is None or standard is None or standard.levels is None:
                return _no_tier(names[0], tier)
            levels = tuple(level.scaled(rule) for level in standard.levels)
            return PriceSheet(levels, shipped.source)
        levels = found.levels
        multiplier = _first(shipped.cache_write_12h_input_multiplier, names, None)
        if multiplier is not None:
            levels = tuple(_with_12h_writes(level, multiplier) for level in levels)
        return PriceSheet(levels, found.source)

    def _look_up(
        self, names: tuple[str, ...], tier: str, at: datetime, provider: str
    ) -> FoundPrices | None:
        """Ask genai-prices, or what the package knows of it where that is the same."""
        if self._genai is None and provider == "openai":
            from langchain_tamma_openai.pricing_snapshot import UnsureError, current_snapshot

            snapshot = current_snapshot()
            if snapshot is not None:
                self._used_snapshot = True
                with suppress(UnsureError):
                    return snapshot.find(names, tier, at)
        return self._reader().find(names, tier, at, provider)

    def _forget_outdated(self) -> None:
        if self._is_outdated():
            self._sheets.clear()
            self._bounds.clear()

    def _is_outdated(self) -> bool:
        """Whether prices may have changed since they were looked up."""
        if self._used_snapshot and _GENAI_PACKAGE in sys.modules:
            self._used_snapshot = False
            return True
        return self._genai is not None and self._genai.was_replaced()

    def _reader(self) -> GenaiPrices:
        if self._genai is None:
            from langchain_tamma_openai.pricing_genai import GenaiPrices

            self._genai = GenaiPrices()
        return self._genai


@cache
def default_calculator() -> CostCalculator:
    """Give the shared calculator without overrides."""
    return CostCalculator()


@dataclass(frozen=True, slots=True)
class _ShippedPrices:
    """The price file of the package."""

    table: PriceTable
    source: str
    cache_write_12h_input_multiplier: Mapping[str, Decimal]
    tier_multipliers: Mapping[str, Mapping[str, Decimal]]
    unpriced: frozenset[str]


@cache
def _shipped_prices() -> _ShippedPrices:
    import json
    from importlib.resources import files

    text = (files("langchain_tamma_openai") / "data" / "prices.json").read_text(encoding="utf-8")
    raw = json.loads(text)
    return _ShippedPrices(
        table=parse_price_table(raw["prices"], "data/prices.json"),
        source=f"langchain-tamma-openai {raw['as_of']}",
        cache_write_12h_input_multiplier={
            model: Decimal(value)
            for model, value in raw["cache_write_12h_input_multiplier"].items()
        },
        tier_multipliers={
            model: {tier: Decimal(value) for tier, value in tiers.items()}
            for model, tiers in raw["tier_multipliers"].items()
        },
        unpriced=frozenset(raw["unpriced"]),
    )


_Value = TypeVar("_Value")


def _first(table: Mapping[str, _Value], names: tuple[str, ...], default: _Value) -> _Value:
    return next((table[name] for name in names if name in table), default)


def _entry_on(table: PriceTable, names: tuple[str, ...], day: date) -> PriceEntry | None:
    for name in names:
        for entry in table.get(name, ()):
            if entry.holds_on(day):
                return entry
    return None


def _no_tier(model: str, tier: str) -> str:
    return f"no price is known for {model} on the {tier} tier"


def _with_12h_writes(level: PriceLevel, input_multiplier: Decimal) -> PriceLevel:
    if level.prices is None:
        return level
    price = level.prices.input_usd_per_mtok * input_multiplier
    return replace(level, prices=replace(level.prices, cache_write_12h_usd_per_mtok=price))


@lru_cache(maxsize=64)
def _tier_name(service_tier: str | None, *, batch: bool) -> str:
    tier = tier_name(service_tier)
    if not batch:
        return tier
    return "batch" if tier in {STANDARD, "batch"} else f"batch {tier}"


def _utc(at: datetime | None) -> datetime:
    if at is None:
        return datetime.now(UTC)
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)


def _token_usage(usage: TokenUsage | UsageMetadata | Mapping[str, object] | None) -> TokenUsage:
    if usage is None:
        raise UnknownPrice("the answer carries no usage")
    return usage if isinstance(usage, TokenUsage) else TokenUsage.from_usage_metadata(usage)


_warned_models: set[str] = set()


def _warn_once(model: str, reason: str) -> None:
    """Warn about a model once per process, by log and by `warnings`, and never raise."""
    if model in _warned_models:
        return
    _warned_models.add(model)
    message = (
        f"The cost of {model} is unknown: {reason}. The answer is not affected; its cost is None, "
        "not 0. Give prices with price_overrides to have it computed."
    )
    logger.warning(message)
    try:
        warnings.warn(message, UserWarning, stacklevel=3)
    except UserWarning:
        # Warnings are errors here: the log line above has to do.
        return
