"""`tamma-openai usage report`: what was used and what it cost, as a page to look at."""

from __future__ import annotations

import sys
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from langchain_tamma_openai.cli import _filters, _options, _output, _report_options
from langchain_tamma_openai.cli._errors import WRONG_ARGUMENTS, CommandError, wrong_argument

if TYPE_CHECKING:
    from langchain_tamma_openai.usage.report.data import ReportFormat, UsageReport

_FORMATS = ("html", "md", "svg", "png", "json")
_ENDINGS = {"htm": "html", "markdown": "md"}


def command(
    target: Annotated[
        Path | None,
        typer.Argument(metavar="FILE", help="Where to; standard output when left out or `-`."),
    ] = None,
    store: _options.Store = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="The same as FILE."),
    ] = None,
    form: Annotated[
        str | None,
        typer.Option(
            "--format",
            "-f",
            metavar="FORMAT",
            help=f"{', '.join(_FORMATS)}. Default: the ending of FILE, else html.",
        ),
    ] = None,
    title: _report_options.Title = "Usage and cost",
    start: _filters.Start = None,
    end: _filters.End = None,
    user_id: _filters.User = None,
    organization_id: _filters.Organization = None,
    model: _filters.ServedModel = None,
    tag: _filters.Tags = None,
    status: _filters.Status = None,
    top: _report_options.Top = 10,
    step: _report_options.Step = None,
    budget_usd: _report_options.BudgetUsd = None,
    budget_window: _report_options.Window = "month",
    as_json: _options.Json = False,
) -> None:
    """Write a report of cost, tokens, times and errors as one page that needs no network.

    The charts have the tables they are drawn from behind them. Without a FILE the report goes to
    standard output; on a terminal, to usage-report.html. With --json what was written is told as
    JSON, or without a FILE the report itself is JSON.
    """
    place = _place(target, output)
    chosen = _format(place, form, as_json=as_json)
    fields = _filters.field_filters(user_id, organization_id, model, tag, status)
    filters = _filters.record_filters(start, end, fields)
    usd = _report_options.budget_usd(budget_usd)
    window = _report_options.budget_window(budget_window)
    point = _report_options.time_step(step)
    location = _options.existing_ledger(store)
    _options.spare_ledger(location, place)
    with _prepared(chosen):
        from langchain_tamma_openai import UsageTracker, usage_report

        with UsageTracker(location.url) as tracker:
            report = usage_report(
                tracker,
                title=title,
                top=top,
                step=point,
                budget_usd=usd,
                budget_window=window,
                **filters,
            )
    _write(report, place, chosen, as_json=as_json)


def _prepared(chosen: ReportFormat) -> AbstractContextManager[None]:
    """Let the script of a page be made while the ledger is read."""
    from langchain_tamma_openai.usage.report.bundle import prepared

    return prepared() if chosen == "html" else nullcontext()


def _place(target: Path | None, output: Path | None) -> Path | None:
    if target is not None and output is not None and target != output:
        raise CommandError(
            f"FILE is {str(target)!r} and --output {str(output)!r}: name one", WRONG_ARGUMENTS
        )
    place = target if target is not None else output
    return None if place is None or str(place) == "-" else place


def _format(place: Path | None, form: str | None, *, as_json: bool) -> ReportFormat:
    ending = "" if place is None else place.suffix.lstrip(".").lower()
    ending = _ENDINGS.get(ending, ending)
    default = "json" if as_json and place is None else "html"
    chosen = form or (ending if ending in _FORMATS else default)
    if chosen not in _FORMATS:
        raise wrong_argument("--format", chosen, ", ".join(_FORMATS))
    return chosen  # type: ignore[return-value]  # one of them


def _write(report: UsageReport, place: Path | None, chosen: ReportFormat, *, as_json: bool) -> None:
    if place is None and sys.stdout.isatty() and chosen not in {"md", "json"}:
        place = Path(f"usage-report.{chosen}")
    if place is None:
        content = report.render(chosen)
        sys.stdout.buffer.write(content.encode() if isinstance(content, str) else content)
        return
    report.save(place, chosen)
    number = report.figures.total.total_requests
    if as_json:
        _output.print_json({"file": str(place), "format": chosen, "requests": number})
    else:
        print(f"report of {number:,} requests written to {place}")
