"""`tamma-openai usage tail`: the last runs, and those that follow as they end."""

from __future__ import annotations

import time
from collections import deque
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from langchain_tamma_openai.cli import _filters, _options, _output, _runs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from uuid import UUID

    from langchain_tamma_openai import UsageRecord, UsageTracker
    from langchain_tamma_openai.usage.filters import FieldFilters

_LONGEST_RUN = timedelta(hours=1)
"""A run is written when it ends, and found by when it began: one may be late by this much."""


_AGES = (timedelta(hours=1), timedelta(days=1), timedelta(days=30))


def command(
    store: _options.Store = None,
    number: Annotated[
        int, typer.Option("--lines", "-n", min=0, metavar="N", help="How many at first.")
    ] = 10,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on until Ctrl-C, as `tail -f` does.")
    ] = False,
    interval_s: Annotated[
        float,
        typer.Option(
            "--interval", min=0.1, max=86_400, metavar="S", help="Seconds between two looks."
        ),
    ] = 1.0,
    user_id: _filters.User = None,
    organization_id: _filters.Organization = None,
    model: _filters.ServedModel = None,
    tag: _filters.Tags = None,
    metadata: _filters.Metadata = None,
    status: _filters.Status = None,
    attempts: Annotated[
        bool, typer.Option("--attempts", "-a", help="A line for each HTTP attempt as well.")
    ] = False,
    as_json: _options.Json = False,
) -> None:
    """Show the last runs; with --follow also those that end from now on."""
    fields = _filters.field_filters(user_id, organization_id, model, tag, status)
    matching = _filters.with_metadata(metadata)
    with _options.ledger(store) as tracker:
        reader = _Reader(tracker, fields, matching)
        last = _last(reader, max(number, 1))
        if not as_json:
            print(_runs.HEAD)
        for record in [*last][len(last) - min(number, len(last)) :]:
            _show(record, attempts=attempts, as_json=as_json)
        if follow:
            for record in _following(reader, last, interval_s):
                _show(record, attempts=attempts, as_json=as_json)


class _Reader:
    """Reads the runs that are meant."""

    def __init__(
        self,
        tracker: UsageTracker,
        fields: FieldFilters,
        matching: Callable[[Iterable[UsageRecord]], Iterable[UsageRecord]],
    ) -> None:
        self._tracker = tracker
        self._fields = fields
        self._matching = matching

    def since(self, start: datetime | None) -> Iterable[UsageRecord]:
        return self._matching(self._tracker.records(**self._fields, start=start))


def _last(reader: _Reader, number: int) -> deque[UsageRecord]:
    """Give the last runs, without reading a long ledger from its beginning where few suffice."""
    now = datetime.now(UTC)
    found: deque[UsageRecord] = deque()
    for start in (*(now - age for age in _AGES), None):
        found = deque(reader.since(start), maxlen=number)
        if len(found) == number:
            break
    return found


def _following(
    reader: _Reader, last: deque[UsageRecord], interval_s: float
) -> Iterator[UsageRecord]:
    """Give runs that were not there yet, for ever."""
    start = last[-1].started_at - _LONGEST_RUN if last else None
    seen = {record.run_id for record in reader.since(start)}
    while True:
        time.sleep(interval_s)
        found: dict[UUID, UsageRecord] = {record.run_id: record for record in reader.since(start)}
        yield from (record for run_id, record in found.items() if run_id not in seen)
        seen = set(found)
        if found:
            start = max(record.started_at for record in found.values()) - _LONGEST_RUN


def _show(record: UsageRecord, *, attempts: bool, as_json: bool) -> None:
    if not as_json:
        _runs.print_run(record, attempts=attempts)
        return
    from langchain_tamma_openai.usage.record_codec import record_to_dict

    _output.print_json_line(record_to_dict(record))
