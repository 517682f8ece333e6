"""`reconcile`: reads both sides and compares them in the way the provider's file allows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

from langchain_tamma_openai.pricing import CostCalculator
from langchain_tamma_openai.usage.money import sum_exactly
from langchain_tamma_openai.usage.reconcile.amounts import AmountMatch
from langchain_tamma_openai.usage.reconcile.buckets import BucketMatch
from langchain_tamma_openai.usage.reconcile.calls import CallMatch
from langchain_tamma_openai.usage.reconcile.export import Export, Row, read_export
from langchain_tamma_openai.usage.reconcile.files import Source, refuse
from langchain_tamma_openai.usage.reconcile.ledger import (
    LedgerCall,
    Pricer,
    billed_calls,
    without_others,
)
from langchain_tamma_openai.usage.reconcile.result import Drift, DriftKind, Reconciliation
from langchain_tamma_openai.usage.reconcile.spans import span_of

if TYPE_CHECKING:
    from langchain_tamma_openai.usage.record import UsageRecord
    from langchain_tamma_openai.usage.tracker import UsageTracker

_MARGIN = timedelta(hours=6)
"""A call may have begun so long before the provider counted it."""
_STEP = 1000
_PARTIAL = "the file says that more pages follow: calls on those are missing here"


def reconcile(
    tracker: UsageTracker,
    source: Source,
    *,
    start: datetime | None = None,
    end: datetime | None = None,
    project: str | None = None,
    prices: CostCalculator | None = None,
    other_services: bool = True,
    progress: Callable[[int], None] | None = None,
) -> Reconciliation:
    """Hold a provider's file against the ledger.

    The attempts of the ledger are compared, not its runs: the provider bills retries, too. A file
    with ids is compared call by call, one with tokens by bucket, model and tier, one with amounts
    by bucket, model and kind of token. Aliases and dated names of a model are the same; calls that
    were under way when a bucket ended may be in either; rounded amounts are equal within their
    last digit. Days between the first and the last of the file that it leaves out count as days
    without usage.

    Args:
        tracker: The ledger.
        source: The file: a path, an open text stream, or what `json.load` gives; or a list of
            them, such as the pages of one export.
        start: Only what the provider counts from this moment on; UTC.
        end: Only what it counts before this moment.
        project: Only this project of the file, by id or name.
        prices: Prices of your own; the built-in ones when left out.
        other_services: Whether fees that are not for tokens count as drifts.
        progress: Told now and then how many runs of the ledger were read.

    Raises:
        InvalidParameterError: The file is none of the known forms.
        OSError: It cannot be read.
        StorageError: The ledger cannot be read.
    """
    export = read_export(source, project)
    if not export.rows and (start is None or end is None):
        refuse("source", "it holds no usage; give start and end to say what it is about")
    rows = [row for row in export.rows if _is_inside(row, start, end)]
    first, last = _range(rows, start, end)
    pricer = Pricer(prices or CostCalculator())
    calls, others = without_others(_calls(tracker, first, last, export, progress))
    if export.form == "calls":
        calls += others  # they may be listed by a gateway
    match = _MATCHES[export.form](rows, calls, pricer, start, end)
    drifts = list(match.drifts())
    if not other_services:
        drifts = [drift for drift in drifts if drift.kind is not DriftKind.OTHER_SERVICE]
    return Reconciliation(
        form=export.form,
        drifts=tuple(sorted(drifts, key=_weight, reverse=True)),
        matched_requests=match.matched,
        provider_usd=_provider_usd(export.form, rows, match.compared, drifts),
        ledger_usd=_ledger_usd(match.compared),
        start=first,
        end=last,
        notes=(*match.notes, *_notes(export, others)),
    )


def _notes(export: Export, others: Sequence[LedgerCall]) -> Iterator[str]:
    if export.is_partial:
        yield _PARTIAL
    if others and export.form != "calls":
        yield f"{len(others):,} calls of other servers than OpenAI's are left out"


_MATCHES: Mapping[str, type[CallMatch | BucketMatch | AmountMatch]] = {
    "calls": CallMatch,
    "usage": BucketMatch,
    "costs": AmountMatch,
}


def _is_inside(row: Row, start: datetime | None, end: datetime | None) -> bool:
    if row.start is None:
        return True
    return (start is None or row.start >= start) and (end is None or row.start < end)


def _range(
    rows: Sequence[Row], start: datetime | None, end: datetime | None
) -> tuple[datetime | None, datetime | None]:
    spans = [span for row in rows if (span := span_of(row)) is not None]
    first = start or min((span[0] for span in spans), default=None)
    ends = [span[1] if row.end is not None else span[0] for row in rows if (span := span_of(row))]
    return first, end or max(ends, default=None)


def _calls(
    tracker: UsageTracker,
    first: datetime | None,
    last: datetime | None,
    export: Export,
    progress: Callable[[int], None] | None,
) -> Iterator[LedgerCall]:
    """Give the calls that the file may be about."""
    # A list of calls tells when each was answered, or begun, or even rounded to its day.
    margin = timedelta(days=1) if export.form == "calls" else _MARGIN
    start = None if first is None else first - margin
    end = None if last is None else last + margin
    records: Iterable[UsageRecord] = tracker.records(start=start, end=end)
    return billed_calls(records if progress is None else _counted(records, progress))


def _counted(
    records: Iterable[UsageRecord], progress: Callable[[int], None]
) -> Iterator[UsageRecord]:
    for number, record in enumerate(records):
        if number % _STEP == 0:
            progress(number)
        yield record


def _ledger_usd(calls: Iterable[LedgerCall]) -> Decimal:
    return sum_exactly(call.usd for call in calls if call.usd is not None)


def _provider_usd(
    form: str, rows: Sequence[Row], calls: Iterable[LedgerCall], drifts: Iterable[Drift]
) -> Decimal:
    """Add the provider's amounts up; where it gives none, what its tokens cost."""
    billed = [row.usd for row in rows if row.usd is not None]
    if form == "costs" or len(billed) == sum(row.tokens is not None for row in rows):
        return sum_exactly(billed)
    known = (drift.difference_usd for drift in drifts)
    return sum_exactly([_ledger_usd(calls), *(usd for usd in known if usd is not None)])


def _weight(drift: Drift) -> Decimal:
    known = drift.difference_usd
    return abs(known) if known is not None else Decimal(0)
