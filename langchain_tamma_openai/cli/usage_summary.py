"""`tamma-openai usage summary`: what was used and what it cost, by whatever is asked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, cast

import typer

from langchain_tamma_openai.cli import _filters, _options, _output
from langchain_tamma_openai.cli._errors import wrong_argument

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from langchain_tamma_openai import UsageRecord
    from langchain_tamma_openai.usage.filters import Moment
    from langchain_tamma_openai.usage.summary import UsageFigures, UsageSummary

_NUMBERS = ("requests", "input", "cached", "output", "reasoning", "cost", "failed", "latency")
_ORDERS = ("key", "cost", "tokens", "requests")


def command(
    store: _options.Store = None,
    by: Annotated[
        str,
        typer.Option(
            "--by",
            "-b",
            metavar="NAMES",
            help="Group by these, parted by commas: hour, day, month, model, user_id, "
            "organization_id, tag, status, api, service_tier and the like.",
        ),
    ] = "model",
    start: _filters.Start = None,
    end: _filters.End = None,
    user_id: _filters.User = None,
    organization_id: _filters.Organization = None,
    model: _filters.ServedModel = None,
    tag: _filters.Tags = None,
    metadata: _filters.Metadata = None,
    status: _filters.Status = None,
    sort: Annotated[
        str, typer.Option("--sort", "-s", metavar="ORDER", help=f"{', '.join(_ORDERS)}.")
    ] = "key",
    top: Annotated[
        int | None, typer.Option("--top", "-n", min=1, metavar="N", help="Only so many groups.")
    ] = None,
    as_json: _options.Json = False,
) -> None:
    """Sum up tokens and cost, by model unless told otherwise.

    Answers out of LangChain's cache cost nothing and are counted apart. A cost without a known
    price is not 0: such requests are counted and said.
    """
    if sort not in _ORDERS:
        raise wrong_argument("--sort", sort, ", ".join(_ORDERS))
    fields = _filters.field_filters(user_id, organization_id, model, tag, status)
    filters = _filters.record_filters(start, end, fields)
    names = _names(by)
    matching = _filters.with_metadata(metadata)
    with _options.ledger(store) as tracker:
        if metadata:
            span = (filters.get("start"), filters.get("end"))
            summary = _summed(matching(tracker.records(**filters)), names, span)
        else:
            summary = tracker.summary(group_by=names, **filters)
    groups = _ordered(summary, sort)[: top or None]
    if as_json:
        _output.print_json(_as_json(summary, groups))
    else:
        _print(summary, groups)


def _summed(
    records: Iterable[UsageRecord],
    names: tuple[str, ...],
    span: tuple[Moment | None, Moment | None],
) -> UsageSummary:
    from langchain_tamma_openai.usage.summary import summarize

    return summarize(records, names, cast("tuple[datetime | None, datetime | None]", span))


def _names(by: str) -> tuple[str, ...]:
    from langchain_tamma_openai.usage.summary import GROUPS

    names = tuple(name.strip() for name in by.split(",") if name.strip())
    for name in names:
        if name not in GROUPS:
            raise wrong_argument("--by", name, f"one or several of {', '.join(GROUPS)}")
    return names


def _ordered(summary: UsageSummary, sort: str) -> list[UsageFigures]:
    keys = {
        "cost": lambda group: -group.known_total_usd,
        "tokens": lambda group: -group.total_tokens,
        "requests": lambda group: -group.total_requests,
    }
    groups: list[UsageFigures] = list(summary.groups)
    return groups if sort == "key" else sorted(groups, key=keys[sort])


def _as_json(summary: UsageSummary, groups: list[UsageFigures]) -> dict[str, object]:
    return {
        "start": summary.start,
        "end": summary.end,
        "group_by": summary.group_by,
        "total": _figures(summary),
        "groups": [{"key": getattr(group, "key", {}), **_figures(group)} for group in groups],
    }


def _figures(figures: UsageFigures) -> dict[str, object]:
    return {
        **figures.as_dict(),
        "total_requests": figures.total_requests,
        "total_cost_usd": figures.total_cost_usd,
    }


def _print(summary: UsageSummary, groups: list[UsageFigures]) -> None:
    heads = [*summary.group_by, *_NUMBERS]
    rows = [[*getattr(group, "key", {}).values(), *_cells(group)] for group in groups]
    if summary.group_by:
        blanks = [""] * (len(summary.group_by) - 1)
        _output.print_table(heads, [*rows, ["all", *blanks, *_cells(summary)]], right=_NUMBERS)
    else:
        _output.print_table(heads, [_cells(summary)], right=_NUMBERS)
    for text in _remarks(summary):
        print(text)


def _cells(figures: UsageFigures) -> list[object]:
    mean_s = figures.mean_latency_s
    return [
        figures.total_requests,
        figures.input_tokens,
        figures.cached_tokens,
        figures.output_tokens,
        figures.reasoning_tokens,
        _output.dollars(figures.total_cost_usd),
        figures.failed_requests,
        None if mean_s is None else f"{mean_s:.2f} s",
    ]


def _remarks(summary: UsageSummary) -> list[str]:
    remarks = {
        "without a known price, and not in the cost": summary.unpriced_requests,
        "partly estimated": summary.estimated_requests,
        "with unknown tokens": summary.unmeasured_requests,
        "answered by LangChain's cache, at no cost": summary.cache_hits,
    }
    return [f"{number:,} {text}" for text, number in remarks.items() if number]
