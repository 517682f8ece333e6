"""`reconcile`: reads both sides and compares them in the way the provider's file allows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

from langchain_tamma_openai.pricing import CostCalculator
from langchain_tamma_openai.usage.money import sum_exactly
from langchain_tamma_openai.usage.reconcile.amounts import AmountMatch
from langchain_tamma_openai.usage.reconcile.buckets import BucketMatch, span_of
from langchain_tamma_openai.usage.reconcile.calls import CallMatch
from langchain_tamma_openai.usage.reconcile.export import Export, Row, Source, read_export
from langchain_tamma_openai.usage.reconcile.ledger import LedgerCall, Pricer, billed_calls
from langchain_tamma_openai.usage.reconcile.names import STANDARD
from langchain_tamma_openai.usage.reconcile.result import Drift, DriftKind, Reconciliation

if TYPE_CHECKING:
    from langchain_tamma_openai.usage.tracker import UsageTracker

_MARGIN = timedelta(hours=6)
"""A call may have begun so long before the provider counted it."""


def reconcile(
    tracker: UsageTracker,
    source: Source,
    *,
    start: datetime | None = None,
    end: datetime | None = None,
    project: str | None = None,
    prices: CostCalculator | None = None,
    other_services: bool = True,
) -> Reconciliation:
    """Hold a provider's file against the ledger.

    The attempts of the ledger are compared, not its runs: the provider bills retries, too. A file
    with ids is compared call by call, one with tokens by bucket, model and tier, one with amounts
    by bucket and model. Aliases and dated names of a model are the same; calls that were under way
    when a bucket ended may be in either; rounded amounts are equal within their last digit.

    Args:
        tracker: The ledger.
        source: The file: a path, an open text stream, or what `json.load` gives.
        start: Only what the provider counts from this moment on; UTC.
        end: Only what it counts before this moment.
        project: Only this project of the file, by id.
        prices: Prices of your own; the built-in ones when left out.
        other_services: Whether fees that are not for tokens count as drifts.

    Raises:
        InvalidParameterError: The file is none of the known forms.
        OSError: It cannot be read.
        StorageError: The ledger cannot be read.
    """
    export = read_export(source, project)
    rows = [row for row in export.rows if _is_inside(row, start, end)]
    first, last = _range(rows, start, end)
    pricer = Pricer(prices or CostCalculator())
    calls = list(_calls(tracker, first, last, export))
    matched, drifts, notes = _compare(export, rows, calls, pricer)
    if not other_services:
        drifts = [drift for drift in drifts if drift.kind is not DriftKind.OTHER_SERVICE]
    compared = [call for call in calls if _counts(call, first, last)]
    return Reconciliation(
        form=export.form,
        drifts=tuple(sorted(drifts, key=_weight, reverse=True)),
        matched_requests=matched,
        provider_usd=sum_exactly(_billed(rows, calls, pricer)),
        ledger_usd=sum_exactly(call.usd for call in compared if call.usd is not None),
        start=first,
        end=last,
        notes=tuple(notes),
    )


def _compare(
    export: Export, rows: Sequence[Row], calls: list[LedgerCall], pricer: Pricer
) -> tuple[int, list[Drift], list[str]]:
    if export.form == "calls":
        by_call = CallMatch(rows, calls, pricer)
        drifts = list(by_call.drifts())
        return by_call.matched, drifts, []
    if export.form == "usage":
        by_bucket = BucketMatch(rows, calls, pricer)
        drifts = list(by_bucket.drifts())
        return by_bucket.matched, drifts, by_bucket.notes
    by_amount = AmountMatch(rows, calls, pricer, export.digits)
    drifts = list(by_amount.drifts())
    return by_amount.matched, drifts, by_amount.notes


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
    tracker: UsageTracker, first: datetime | None, last: datetime | None, export: Export
) -> Iterator[LedgerCall]:
    """Give the calls that the file may be about."""
    # A list of calls tells when each was answered, or begun, or even rounded to its day.
    margin = timedelta(days=1) if export.form == "calls" else _MARGIN
    start = None if first is None else first - margin
    end = None if last is None else last + margin
    return billed_calls(tracker.records(start=start, end=end))


def _counts(call: LedgerCall, first: datetime | None, last: datetime | None) -> bool:
    is_late = last is not None and call.started_at > last
    return not is_late and (first is None or call.ended_at >= first)


def _billed(rows: Sequence[Row], calls: Sequence[LedgerCall], pricer: Pricer) -> Iterator[Decimal]:
    """Give the provider's amounts; where it gives none, those of its tokens."""
    served = {call.model: call.served for call in calls}
    for row in rows:
        if row.usd is not None:
            yield row.usd
        elif row.tokens is not None and row.model is not None:
            model = served.get(row.model, row.model)
            usd = pricer.usd(row.tokens, model, row.tier or STANDARD, row.start)
            if usd is not None:
                yield usd


def _weight(drift: Drift) -> Decimal:
    known = drift.difference_usd
    return abs(known) if known is not None else Decimal(0)
