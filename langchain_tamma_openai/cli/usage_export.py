"""`tamma-openai usage export`: records for spreadsheets and databases."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from langchain_tamma_openai.cli import _filters, _options, _output
from langchain_tamma_openai.cli._errors import CommandError, wrong_argument

if TYPE_CHECKING:
    from langchain_tamma_openai.usage.export import ExportFormat, ExportTarget

_FORMATS = ("csv", "json", "jsonl", "parquet")


def command(
    target: Annotated[
        Path | None,
        typer.Argument(metavar="FILE", help="Where to; standard output when left out or `-`."),
    ] = None,
    store: _options.Store = None,
    form: Annotated[
        str | None,
        typer.Option(
            "--format",
            "-f",
            metavar="FORMAT",
            help=f"{', '.join(_FORMATS)}. Default: the ending of FILE, else csv.",
        ),
    ] = None,
    start: _filters.Start = None,
    end: _filters.End = None,
    user_id: _filters.User = None,
    organization_id: _filters.Organization = None,
    model: _filters.ServedModel = None,
    tag: _filters.Tags = None,
    metadata: _filters.Metadata = None,
    status: _filters.Status = None,
    as_json: _options.Json = False,
) -> None:
    """Write records as CSV, JSON, JSON lines or Parquet.

    A file is replaced only once the new one is complete. The same records give the same bytes.
    With --json what was written is told as JSON, or without a FILE the records themselves are JSON.
    """
    to_stdout = target is None or str(target) == "-"
    chosen = _format(target, form, default="json" if as_json and to_stdout else "csv")
    fields = _filters.field_filters(user_id, organization_id, model, tag, status)
    filters = _filters.record_filters(start, end, fields)
    matching = _filters.with_metadata(metadata)
    if to_stdout and chosen == "parquet" and sys.stdout.isatty():
        raise CommandError("parquet is not for a terminal: name a file")
    from langchain_tamma_openai.usage.export import export_records

    _options.spare_ledger(_options.existing_ledger(store), None if to_stdout else target)
    with _options.ledger(store) as tracker:
        total = None if metadata else tracker.summary(**filters).total_runs
        with _output.progress("exporting", total) as shown:
            stream = cast("ExportTarget", sys.stdout.buffer if to_stdout else target)
            records = matching(tracker.records(**filters))
            number = export_records(records, chosen, stream, progress=shown.update)
    if not to_stdout:
        _tell(cast("Path", target), chosen, number, as_json=as_json)


def _format(target: Path | None, form: str | None, *, default: str) -> ExportFormat:
    ending = "" if target is None else target.suffix.lstrip(".").lower()
    chosen = form or (ending if ending in _FORMATS else default)
    if chosen not in _FORMATS:
        raise wrong_argument("--format", chosen, ", ".join(_FORMATS))
    return cast("ExportFormat", chosen)


def _tell(target: Path, form: str, number: int, *, as_json: bool) -> None:
    if as_json:
        _output.print_json({"file": str(target), "format": form, "records": number})
    else:
        print(f"{number:,} records written to {target}")
