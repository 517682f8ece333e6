"""Compares dollars by bucket and model, as OpenAI's costs API has them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import combinations

from langchain_tamma_openai.usage.money import add_exactly, sum_exactly
from langchain_tamma_openai.usage.reconcile.buckets import (
    Span,
    boundary_note,
    find_span,
    span_of,
    stale,
    total,
)
from langchain_tamma_openai.usage.reconcile.calls import left_out
from langchain_tamma_openai.usage.reconcile.export import Row
from langchain_tamma_openai.usage.reconcile.ledger import LedgerCall, Pricer
from langchain_tamma_openai.usage.reconcile.names import BATCH, STANDARD, model_of
from langchain_tamma_openai.usage.reconcile.result import Drift, DriftKind

_TIERS = (STANDARD, "flex", "priority", BATCH)
_EXACT_DIGITS = 9
_MOST_COMBINATIONS = 200_000
_LARGEST_SET = 4
_Worths = list[tuple[LedgerCall, Decimal]]


@dataclass(slots=True, eq=False)
class Account:
    """What both sides have for one bucket and model.

    Attributes:
        span: The bucket.
        model: None where the file is not split by line items.
        billed: The provider's amounts by line item.
        lines: How many amounts; each may be rounded.
        calls: Those of the ledger.
    """

    span: Span
    model: str | None
    billed: dict[str, Decimal] = field(default_factory=dict)
    lines: int = 0
    calls: list[LedgerCall] = field(default_factory=list)

    @property
    def provider_usd(self) -> Decimal:
        """The provider's sum."""
        return sum_exactly(self.billed.values())

    @property
    def ledger_usd(self) -> Decimal:
        """The ledger's sum of what it knows the price of."""
        return sum_exactly(call.usd for call in self.calls if call.usd is not None)

    @property
    def missing_usd(self) -> Decimal:
        """By how much the provider's sum is larger."""
        return add_exactly(self.provider_usd, -self.ledger_usd)


class AmountMatch:
    """The comparison of amounts by bucket.

    Attributes:
        matched: How many calls agree.
        notes: What was allowed for.
    """

    def __init__(
        self, rows: Sequence[Row], calls: Iterable[LedgerCall], pricer: Pricer, digits: int
    ) -> None:
        """Put both sides into accounts.

        Args:
            rows: The provider's.
            calls: Those of the ledger.
            pricer: Knows prices.
            digits: How many digits the provider's amounts have after the point.
        """
        self._pricer = pricer
        self._unit = Decimal(1).scaleb(-min(digits, _EXACT_DIGITS)) / 2
        self._by_model = any(row.line_item or row.model for row in rows)
        self._accounts: dict[tuple[Span, str | None], Account] = {}
        self._others: dict[str, list[Row]] = defaultdict(list)
        self.matched = 0
        self.notes: list[str] = []
        self._fill(rows, list(calls))

    def _fill(self, rows: Sequence[Row], calls: list[LedgerCall]) -> None:
        used = {call.model for call in calls}
        spans = sorted({span for row in rows if (span := span_of(row)) is not None})
        for row in rows:
            span, model = span_of(row), _model_of(row)
            if span is None or row.usd is None:
                continue
            if self._by_model and not _is_of_tokens(model, row.line_item, used):
                self._others[row.line_item or "other"].append(row)
                continue
            account = self._account(span, model if self._by_model else None)
            item = row.line_item or row.model or ""
            account.billed[item] = add_exactly(account.billed.get(item, Decimal(0)), row.usd)
            account.lines += 1
        for call in calls:
            if (span := find_span(spans, call.started_at)) is not None:
                self._account(span, call.model if self._by_model else None).calls.append(call)
        self._spans = spans

    def _account(self, span: Span, model: str | None) -> Account:
        return self._accounts.setdefault((span, model), Account(span, model))

    def _agrees(self, account: Account) -> bool:
        return abs(account.missing_usd) <= self._slack(account)

    def _slack(self, account: Account) -> Decimal:
        """Every amount of the provider may be rounded."""
        return self._unit * max(account.lines, 1) + Decimal("1e-9")

    # --- what differs ---

    def drifts(self) -> Iterator[Drift]:
        """Give the differences."""
        self._allow_for_boundaries()
        for account in list(self._accounts.values()):
            before = len(account.calls)
            if self._agrees(account):
                self.matched += before
            else:
                found = list(self._of_account(account))
                yield from found
                told = sum(len(drift.calls) for drift in found)
                self.matched += max(0, before - told)
        for item, rows in self._others.items():
            yield _other_service(item, rows)

    def _allow_for_boundaries(self) -> None:
        moved = 0
        for account in list(self._accounts.values()):
            for call in list(account.calls):
                if call.ended_at < account.span[1] or self._agrees(account):
                    continue
                span = find_span(self._spans, max(call.ended_at, account.span[1]))
                if span is None:
                    continue
                target = self._account(span, account.model)
                before = abs(account.missing_usd) + abs(target.missing_usd)
                account.calls.remove(call)
                target.calls.append(call)
                if abs(account.missing_usd) + abs(target.missing_usd) < before:
                    moved += 1
                else:
                    target.calls.remove(call)
                    account.calls.append(call)
        if moved:
            self.notes.append(boundary_note(moved))

    def _of_account(self, account: Account) -> Iterator[Drift]:
        """Explain what an account lacks: unpriced calls, prices, tiers, calls, in this order."""
        missing = account.missing_usd
        if drift := self._unpriced(account):
            yield drift
            missing = add_exactly(missing, -(drift.provider_usd or Decimal(0)))
        if drift := self._price_drift(account, missing):
            yield drift
            missing = add_exactly(missing, -(drift.difference_usd or Decimal(0)))
        if abs(missing) <= self._slack(account):
            return
        yield from self._moved_or_missing(account, missing)

    def _unpriced(self, account: Account) -> Drift | None:
        calls = [call for call in account.calls if call.usd is None]
        if not calls:
            return None
        worth = total(self._pricer.of_call(call) for call in calls)
        return Drift(
            DriftKind.NO_PRICE,
            provider_usd=account.missing_usd if worth is None else worth,
            requests=len(calls),
            model=account.model,
            start=account.span[0],
            end=account.span[1],
            calls=tuple(call.name for call in calls),
        )

    def _price_drift(self, account: Account, missing: Decimal) -> Drift | None:
        """Take prices known today for the cause, where they bring both sides nearer."""
        for drift in stale(account.calls, self._pricer, account.span, account.model):
            change = drift.difference_usd or Decimal(0)
            if abs(add_exactly(missing, -change)) < abs(missing):
                return drift
        return None

    def _moved_or_missing(self, account: Account, missing: Decimal) -> Iterator[Drift]:
        """Take the fewest calls that explain the rest, left out or billed at another tier."""
        causes: dict[str | None, _Worths] = {}
        if missing < 0:
            causes[None] = [(call, -call.usd) for call in account.calls if call.usd is not None]
        for tier in _TIERS:
            causes[tier] = [
                (call, change)
                for call in account.calls
                if (change := self._change(call, tier)) is not None
            ]
        cause, calls = _fewest(causes, missing, self._slack(account))
        if not calls:
            yield self._unnamed(account, missing)
        elif cause is None:
            yield from (left_out(call, *account.span) for call in calls)
        else:
            yield self._moved(account, calls, cause)

    def _change(self, call: LedgerCall, tier: str) -> Decimal | None:
        """Say by how much a call is dearer at another tier."""
        if call.usd is None or tier == call.tier:
            return None
        known = self._pricer.of_call(call, tier)
        now = self._pricer.of_call(call)
        return None if known is None or now is None else add_exactly(known, -now)

    def _moved(self, account: Account, calls: list[LedgerCall], tier: str) -> Drift:
        return Drift(
            DriftKind.WRONG_SERVICE_TIER,
            provider_usd=total(self._pricer.of_call(call, tier) for call in calls),
            ledger_usd=total(self._pricer.of_call(call) for call in calls),
            requests=len(calls),
            model=account.model,
            service_tier=tier,
            recorded_tier=calls[0].tier,
            start=account.span[0],
            end=account.span[1],
            calls=tuple(call.name for call in calls),
        )

    @staticmethod
    def _unnamed(account: Account, missing: Decimal) -> Drift:
        is_more = missing > 0
        return Drift(
            DriftKind.MISSING_IN_LEDGER if is_more else DriftKind.MISSING_AT_PROVIDER,
            provider_usd=missing if is_more else Decimal(0),
            ledger_usd=Decimal(0) if is_more else -missing,
            model=account.model,
            start=account.span[0],
            end=account.span[1],
            detail="the file has no calls to name them by",
        )


def _fewest(
    causes: Mapping[str | None, _Worths], goal: Decimal, slack: Decimal
) -> tuple[str | None, list[LedgerCall]]:
    """Find the cause that explains an amount with the fewest calls, or with all there are."""
    tried = 0
    for size in range(1, _LARGEST_SET + 1):
        for cause, worths in causes.items():
            for chosen in combinations(worths, size):
                tried += 1
                if tried > _MOST_COMBINATIONS:
                    return _all(causes, goal, slack)
                if abs(add_exactly(sum_exactly(worth for _, worth in chosen), -goal)) <= slack:
                    return cause, [call for call, _ in chosen]
    return _all(causes, goal, slack)


def _all(
    causes: Mapping[str | None, _Worths], goal: Decimal, slack: Decimal
) -> tuple[str | None, list[LedgerCall]]:
    for cause, worths in causes.items():
        if worths and abs(add_exactly(sum_exactly(w for _, w in worths), -goal)) <= slack:
            return cause, [call for call, _ in worths]
    return None, []


def _model_of(row: Row) -> str | None:
    if row.model is not None:
        return row.model
    return model_of((row.line_item or "").split(",")[0])


def _is_of_tokens(model: str | None, line_item: str | None, used: set[str | None]) -> bool:
    """Whether an amount is for tokens of a chat model."""
    from langchain_tamma_openai.models import ModelCatalog

    if model in used:
        return True
    words = (line_item or "").lower()
    is_named = "input" in words or "output" in words or "," not in words
    return model is not None and is_named and ModelCatalog().get(model).known


def _other_service(item: str, rows: Sequence[Row]) -> Drift:
    return Drift(
        DriftKind.OTHER_SERVICE,
        provider_usd=sum_exactly(row.usd for row in rows if row.usd is not None),
        start=min((row.start for row in rows if row.start), default=None),
        end=max((row.end for row in rows if row.end), default=None),
        detail=item,
    )
