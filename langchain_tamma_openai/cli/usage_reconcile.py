"""`tamma-openai usage reconcile`: the provider's bill against the ledger."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from langchain_tamma_openai.cli import _filters, _options, _output
from langchain_tamma_openai.cli._errors import CommandError
from langchain_tamma_openai.pricing_cost import plain_decimal

if TYPE_CHECKING:
    from decimal import Decimal

    from langchain_tamma_openai import CostCalculator
    from langchain_tamma_openai.usage.reconcile import Drift, Reconciliation
    from langchain_tamma_openai.usage.reconcile.files import OneSource

DRIFT = 3
"""Exit code of a comparison that found a difference."""
_DRIFT_HEADS = ("cause", "when", "model", "calls", "billed", "recorded", "difference", "which")
_NUMBERS = ("drifts", "calls", "billed", "recorded", "difference")


def command(
    files: Annotated[
        list[Path],
        typer.Argument(
            metavar="FILE...",
            help="The provider's export, in one or several pages: JSON of the usage or costs API, "
            "the dashboard's CSV, or a list of calls. `-` is standard input.",
        ),
    ],
    store: _options.Store = None,
    start: _filters.Start = None,
    end: _filters.End = None,
    project: Annotated[
        str | None,
        typer.Option(
            "--project", metavar="ID", help="Only this project of the file, by id or name."
        ),
    ] = None,
    prices: Annotated[
        Path | None,
        typer.Option(
            "--prices", metavar="FILE", help="Your own prices, as JSON: `price_overrides`."
        ),
    ] = None,
    other_services: Annotated[
        bool,
        typer.Option(
            "--other-services/--no-other-services",
            help="Count fees that are not for tokens as drifts.",
        ),
    ] = True,
    limit: Annotated[
        int, typer.Option("--limit", "-n", min=0, metavar="N", help="List so many drifts.")
    ] = 50,
    as_json: _options.Json = False,
) -> int | None:
    """Find what the provider billed and the ledger does not say, and the other way round.

    Calls that are missing on either side, other service tiers, stale prices and other numbers of
    tokens, each with its cause and sum. Exit code 0: the two agree; 3: they do not.
    """
    from langchain_tamma_openai.usage.reconcile import reconcile

    sources = [sys.stdin if str(path) == "-" else _options.readable_file(path) for path in files]
    first, last = _options.moment(start, "--start"), _options.moment(end, "--end")
    calculator = None if prices is None else _calculator(_options.readable_file(prices))
    with _options.ledger(store) as tracker, _output.progress("reading the ledger", None) as shown:
        found = reconcile(
            tracker,
            cast("list[OneSource]", sources),
            start=first,
            end=last,
            project=project,
            prices=calculator,
            other_services=other_services,
            progress=shown.update,
        )
    if as_json:
        _output.print_json(_as_json(found))
    else:
        _print(found, limit)
    return 0 if found.agrees else DRIFT


def _calculator(path: Path) -> CostCalculator:
    import json
    from decimal import Decimal

    from langchain_tamma_openai import CostCalculator

    try:
        overrides = json.loads(path.read_text(encoding="utf-8"), parse_float=Decimal)
    except (ValueError, RecursionError) as error:
        raise CommandError(f"{path}: it is no JSON ({error})") from None
    if not isinstance(overrides, dict):
        raise CommandError(f"{path}: got {type(overrides).__name__}, not an object of prices")
    return CostCalculator(overrides)


def _as_json(found: Reconciliation) -> dict[str, object]:
    return {
        "agrees": found.agrees,
        "form": found.form,
        "start": found.start,
        "end": found.end,
        "provider_usd": found.provider_usd,
        "ledger_usd": found.ledger_usd,
        "difference_usd": found.difference_usd,
        "explained_usd": found.explained_usd,
        "unexplained_usd": found.unexplained_usd,
        "matched_requests": found.matched_requests,
        "causes": {
            kind.value: {"drifts": number, "requests": requests, "difference_usd": usd}
            for kind, (number, requests, usd) in found.by_kind().items()
        },
        "drifts": [_drift_json(drift) for drift in found.drifts],
        "notes": found.notes,
    }


def _drift_json(drift: Drift) -> dict[str, object]:
    from dataclasses import asdict

    beside = {"difference_usd": drift.difference_usd, "cause": drift.cause, "remedy": drift.remedy}
    return {**asdict(drift), **beside}


def _print(found: Reconciliation, limit: int) -> None:
    print(_range(found))
    print(f"provider  {_dollars(found.provider_usd)}")
    print(f"ledger    {_dollars(found.ledger_usd)}")
    for note in found.notes:
        print(note)
    if found.agrees:
        print(f"The two agree: {found.matched_requests:,} calls.")
        return
    difference = ", ".join(
        f"{_signed(usd)} {word}"
        for usd, word in (
            (found.difference_usd, "between them"),
            (found.explained_usd, "explained"),
            (found.unexplained_usd, "not"),
        )
    )
    print(f"difference  {difference}")
    _print_causes(found)
    if limit:
        _print_drifts(found, limit)


def _range(found: Reconciliation) -> str:
    what = {"calls": "calls one by one", "usage": "tokens", "costs": "dollars"}[found.form]
    times = ("-" if each is None else f"{each:%Y-%m-%d %H:%M}" for each in (found.start, found.end))
    return f"Comparing {what}, {' to '.join(times)} (UTC)"


def _print_causes(found: Reconciliation) -> None:
    rows = [
        [kind.value, number, requests or None, _signed(usd)]
        for kind, (number, requests, usd) in found.by_kind().items()
    ]
    rows.append(["unexplained", None, None, _signed(found.unexplained_usd)])
    print()
    _output.print_table(("cause", "drifts", "calls", "difference"), rows, right=_NUMBERS)
    print()
    first_of_kind = {drift.kind: drift for drift in reversed(found.drifts)}
    for kind in found.by_kind():
        drift = first_of_kind[kind]
        print(f"{kind.value}: {drift.cause}; {drift.remedy}")


def _print_drifts(found: Reconciliation, limit: int) -> None:
    rows = [_cells(drift) for drift in found.drifts[:limit]]
    print()
    _output.print_table(_DRIFT_HEADS, rows, right=_NUMBERS)
    if len(found.drifts) > limit:
        print(f"and {len(found.drifts) - limit:,} more; --json has all of them")


def _cells(drift: Drift) -> list[object]:
    names = ", ".join(drift.calls[:2]) + (", ..." if len(drift.calls) > 2 else "")  # noqa: PLR2004 - two names fit a line
    return [
        drift.kind.value,
        None if drift.start is None else f"{drift.start:%Y-%m-%d %H:%M}",
        drift.model,
        drift.requests or None,
        _dollars(drift.provider_usd),
        _dollars(drift.ledger_usd),
        _signed(drift.difference_usd),
        " ".join(filter(None, (names, drift.detail))) or None,
    ]


def _dollars(amount: Decimal | None) -> str:
    return "unknown" if amount is None else f"${plain_decimal(amount)}"


def _signed(amount: Decimal | None) -> str:
    if amount is None:
        return "unknown"
    return f"{'-' if amount < 0 else '+'}{_dollars(abs(amount))}"
