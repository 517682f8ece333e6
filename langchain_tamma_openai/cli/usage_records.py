"""`tamma-openai usage records`: runs one by one, as they began."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Annotated

import typer

from langchain_tamma_openai.cli import _filters, _options, _output, _runs

if TYPE_CHECKING:
    from collections.abc import Iterable

    from langchain_tamma_openai import UsageRecord


def command(
    store: _options.Store = None,
    start: _filters.Start = None,
    end: _filters.End = None,
    user_id: _filters.User = None,
    organization_id: _filters.Organization = None,
    model: _filters.ServedModel = None,
    tag: _filters.Tags = None,
    metadata: _filters.Metadata = None,
    status: _filters.Status = None,
    limit: Annotated[
        int | None, typer.Option("--limit", "-n", min=1, metavar="N", help="Only the first N.")
    ] = None,
    attempts: Annotated[
        bool, typer.Option("--attempts", "-a", help="A line for each HTTP attempt as well.")
    ] = False,
    as_json: _options.Json = False,
) -> None:
    """List runs in the order in which they began; with --json one JSON object a line."""
    fields = _filters.field_filters(user_id, organization_id, model, tag, status)
    filters = _filters.record_filters(start, end, fields)
    matching = _filters.with_metadata(metadata)
    with _options.ledger(store) as tracker:
        records = islice(matching(tracker.records(**filters)), limit)
        if as_json:
            _print_json(records)
        else:
            _runs.print_runs(records, attempts=attempts)


def _print_json(records: Iterable[UsageRecord]) -> None:
    from langchain_tamma_openai.usage.record_codec import record_to_dict

    for record in records:
        _output.print_json_line(record_to_dict(record))
