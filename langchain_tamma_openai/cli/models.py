"""`tamma-openai models`: what is known of the models, and what they cost."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, fields
from datetime import date, datetime
from decimal import Decimal
from difflib import get_close_matches
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from langchain_tamma_openai.cli import _options, _output
from langchain_tamma_openai.cli._errors import CommandError, wrong_argument

if TYPE_CHECKING:
    from langchain_tamma_openai import ModelInfo, PricingRow

_HEADS = ("model", "context", "output", "input $/M", "cached $/M", "output $/M", "ends", "can")
_NUMBERS = ("context", "output", "input $/M", "cached $/M", "output $/M")
_PRICES = ("input", "cached_input", "cache_write", "cache_write_12h", "output")
_AUDIO_PRICES = ("input_audio", "output_audio")


class SortBy(StrEnum):
    """What the list is ordered by."""

    RELEASE = "release"
    NAME = "name"
    CONTEXT = "context"
    INPUT = "input"
    OUTPUT = "output"
    SHUTDOWN = "shutdown"


class Tier(StrEnum):
    """The price lists."""

    STANDARD = "standard"
    BATCH = "batch"
    FLEX = "flex"
    PRIORITY = "priority"
    ULTRAFAST = "ultrafast"


Prices = dict[str, list["PricingRow"]]
Key = Callable[["ModelInfo", "PricingRow | None"], Any]


def command(
    name: Annotated[
        str | None, typer.Argument(metavar="MODEL", help="One model, with all that is known.")
    ] = None,
    contains: Annotated[
        str | None, typer.Option("--filter", "-f", metavar="TEXT", help="Only names with this.")
    ] = None,
    can: Annotated[
        list[str] | None,
        typer.Option(
            "--can",
            "-c",
            metavar="ABILITY",
            help="Only models with it: tools, structured_output, reasoning, image_input, "
            "file_input, audio_input, audio_output. May be repeated.",
        ),
    ] = None,
    min_context: Annotated[
        int, typer.Option("--min-context", min=0, metavar="TOKENS", help="Only windows this large.")
    ] = 0,
    tier: Annotated[Tier, typer.Option("--tier", help="Whose prices.")] = Tier.STANDARD,
    sort: Annotated[SortBy, typer.Option("--sort", "-s", help="Order.")] = SortBy.RELEASE,
    reverse: Annotated[bool, typer.Option("--reverse", "-r", help="The other way round.")] = False,
    everything: Annotated[
        bool, typer.Option("--all", "-a", help="Also models that are shut down.")
    ] = False,
    at: Annotated[
        str | None,
        typer.Option("--at", metavar="DATE", help="Prices and lives of that day. Default: today."),
    ] = None,
    json: _options.Json = False,
) -> None:
    """List the models: context window, prices, shutdown dates, abilities.

    Prices are US dollars for a million tokens. MODEL shows one model with every price of every
    tier. Nothing is asked over the network: the catalogue comes with this package.
    """
    moment = _options.moment(at, "--at")
    prices = _prices(moment)
    if name is not None:
        _show_one(_known(name), prices, as_json=json)
        return
    day = moment.date() if moment else None
    models = _chosen(contains, can or [], min_context, None if everything else (day,))
    first = {one.name: _first(prices.get(one.name, []), tier) for one in models}
    if tier is not Tier.STANDARD:
        models = [one for one in models if first[one.name] is not None]
    models = _sorted(models, first, sort, reverse=reverse)
    if json:
        _output.print_json([_as_json(one, prices) for one in models])
    else:
        _print_list(models, first)


def _prices(at: datetime | None) -> Prices:
    from langchain_tamma_openai import CostCalculator

    found: Prices = {}
    for row in CostCalculator().pricing(at=at, include_shut_down=True):
        found.setdefault(row.model, []).append(row)
    return found


def _known(name: str) -> ModelInfo:
    from langchain_tamma_openai import ModelCatalog

    catalog = ModelCatalog()
    info = catalog.get(name)
    if not info.known:
        close = get_close_matches(name.lower(), [one.name for one in catalog.list()])
        hint = f"did you mean {' or '.join(close)}?" if close else "see tamma-openai models"
        raise CommandError(f"{name}: the catalogue has no such model; {hint}")
    return info


def _chosen(
    contains: str | None, can: Sequence[str], min_context: int, alive_on: tuple[date | None] | None
) -> list[ModelInfo]:
    from langchain_tamma_openai import ModelCatalog

    models = ModelCatalog().list()
    abilities = {ability for one in models for ability in one.capabilities}
    for ability in can:
        if ability not in abilities:
            raise wrong_argument("--can", ability, f"one of {', '.join(sorted(abilities))}")
    return [
        one
        for one in models
        if (contains or "").lower() in one.name
        and one.capabilities.issuperset(can)
        and (one.context_window_tokens or 0) >= min_context
        and not (alive_on and one.is_shut_down(alive_on[0]))
    ]


def _first(rows: Sequence[PricingRow], tier: Tier) -> PricingRow | None:
    """Give the prices of small requests."""
    return next((row for row in rows if row.tier == tier and not row.above_input_tokens), None)


def _sorted(
    models: list[ModelInfo],
    first: dict[str, PricingRow | None],
    sort: SortBy,
    *,
    reverse: bool,
) -> list[ModelInfo]:
    """Order models; those where the fact is not known come last either way."""
    if sort is SortBy.RELEASE:  # the catalogue's own order, newest first
        return models[::-1] if reverse else models
    values = {one.name: _SORT_KEYS[sort](one, first[one.name]) for one in models}
    known = [one for one in models if values[one.name] is not None]
    unknown = [one for one in models if values[one.name] is None]
    return [*sorted(known, key=lambda one: values[one.name], reverse=reverse), *unknown]


_SORT_KEYS: dict[SortBy, Key] = {
    SortBy.NAME: lambda info, _: info.name,
    SortBy.CONTEXT: lambda info, _: info.context_window_tokens,
    SortBy.INPUT: lambda _, row: row.input_usd_per_mtok if row else None,
    SortBy.OUTPUT: lambda _, row: row.output_usd_per_mtok if row else None,
    SortBy.SHUTDOWN: lambda info, _: info.shutdown_date,
}


def _print_list(models: Sequence[ModelInfo], first: dict[str, PricingRow | None]) -> None:
    if not models:
        _output.note("no model fits; leave out a filter, or add --all for those shut down")
        return
    _output.print_table(_HEADS, [_row(one, first[one.name]) for one in models], right=_NUMBERS)


def _row(info: ModelInfo, row: PricingRow | None) -> list[object]:
    return [
        info.name,
        info.context_window_tokens,
        info.max_output_tokens,
        row and _amount(row.input_usd_per_mtok),
        row and _amount(row.cached_input_usd_per_mtok),
        row and _amount(row.output_usd_per_mtok),
        info.shutdown_date,
        " ".join(sorted({ability.partition("_")[0] for ability in info.capabilities})),
    ]


def _amount(usd: Decimal | None) -> str | None:
    from langchain_tamma_openai.pricing_cost import plain_decimal

    return plain_decimal(usd)


def _facts(info: ModelInfo) -> dict[str, object]:
    facts = {
        field.name: getattr(info, field.name)
        for field in fields(info)
        if not field.name.startswith("_") and field.name != "known"
    }
    return {**facts, "capabilities": sorted(info.capabilities)}


def _rows_of(info: ModelInfo, prices: Prices) -> list[PricingRow]:
    return prices.get(info.name) or prices.get(info.base or "") or []


def _as_json(info: ModelInfo, prices: Prices) -> dict[str, object]:
    known = {"model", "context_window_tokens", "max_input_tokens", "max_output_tokens"}
    rows = [
        {name: value for name, value in asdict(row).items() if name not in known}
        for row in _rows_of(info, prices)
    ]
    return {**_facts(info), "is_shut_down": info.is_shut_down(), "prices": rows}


def _show_one(info: ModelInfo, prices: Prices, *, as_json: bool) -> None:
    if as_json:
        _output.print_json(_as_json(info, prices))
        return
    told = {name: value for name, value in _facts(info).items() if value not in (None, (), [])}
    _output.print_table(("fact", "value"), [(name, _told(value)) for name, value in told.items()])
    rows = _rows_of(info, prices)
    if rows:
        print()
        _print_prices(rows)
    if info.is_shut_down():
        successor = f"; OpenAI names {info.successor} in its place" if info.successor else ""
        _output.note(f"{info.name} was shut down on {info.shutdown_date}{successor}")


def _told(value: object) -> object:
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else value


def _print_prices(rows: Sequence[PricingRow]) -> None:
    audio = any(getattr(row, f"{_AUDIO_PRICES[0]}_usd_per_mtok") for row in rows)
    names = [*_PRICES, *(_AUDIO_PRICES if audio else ())]
    heads = ["tier", "input above", *(name.replace("_", " ") for name in names)]
    table = [
        [
            row.tier,
            row.above_input_tokens or None,
            *(_amount(getattr(row, f"{name}_usd_per_mtok")) for name in names),
        ]
        for row in rows
    ]
    title = "US dollars for a million tokens"
    _output.print_table(heads, table, title=title, right=heads[1:])
    sources = {f"source: {row.source}" for row in rows if row.source}
    print("\n".join(sorted(sources)))
