"""`tamma-openai usage report`: a page to look at."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from langchain_tamma_openai.cli import _filters, _options, _output
from langchain_tamma_openai.cli._errors import CommandError, wrong_argument

if TYPE_CHECKING:
    from langchain_tamma_openai.usage.report.making import ReportFormat, UsageReport

_FORMATS = ("html", "md", "svg", "png", "json")


def command(
    target: Annotated[
        Path | None,
        typer.Argument(metavar="FILE", help="Where to; `-` is standard output. Default: report.*"),
    ] = None,
    store: _options.Store = None,
    form: Annotated[
        str | None,
        typer.Option(
            "--format",
            "-f",
            metavar="FORMAT",
            help=f"{', '.join(_FORMATS)}. Default: the ending of FILE, else html.",
        ),
    ] = None,
    title: Annotated[str, typer.Option("--title", metavar="TEXT", help="Above it.")] = "Usage",
    start: _filters.Start = None,
    end: _filters.End = None,
    user_id: _filters.User = None,
    organization_id: _filters.Organization = None,
    model: _filters.ServedModel = None,
    tag: _filters.Tags = None,
    status: _filters.Status = None,
    budget_usd: Annotated[
        str | None,
        typer.Option("--budget-usd", metavar="USD", help="What may be spent in the range."),
    ] = None,
    as_json: _options.Json = False,
) -> None:
    """Write a report of what was used: one page without a network, an image, or text.

    Cost over time and by model, user and tag, tokens by kind and what caching saved, times, errors
    and retries, and where spending is going. With --json all it says goes to standard output.
    """
    chosen = _format(target, form)
    fields = _filters.field_filters(user_id, organization_id, model, tag, status)
    _filters.record_filters(start, end, fields)
    from langchain_tamma_openai.usage.report.making import usage_report

    with _options.ledger(store) as tracker:
        report = usage_report(
            tracker,
            title=title,
            start=_options.moment(start, "--start"),
            end=_options.moment(end, "--end"),
            budget_usd=budget_usd,
            **fields,
        )
    if as_json:
        print(report.json())
    else:
        _write(report, target or Path(f"report.{chosen}"), chosen)


def _format(target: Path | None, form: str | None) -> ReportFormat:
    from langchain_tamma_openai.usage.report.making import check_format

    ending = "" if target is None else target.suffix.lstrip(".").lower()
    chosen = form or (ending if ending in _FORMATS else "html")
    if chosen not in _FORMATS:
        raise wrong_argument("--format", chosen, ", ".join(_FORMATS))
    return check_format(chosen)


def _write(report: UsageReport, target: Path, form: ReportFormat) -> None:
    if str(target) != "-":
        _output.note(f"written: {report.save(target, form)}")
        return
    if form == "png" and sys.stdout.isatty():
        raise CommandError("png is not for a terminal: name a file")
    sys.stdout.buffer.write(report.content(form))
    sys.stdout.buffer.flush()
