"""Compares dollars by bucket, model and kind of token, as OpenAI's costs API has them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from langchain_tamma_openai.pricing_cost import Cost
from langchain_tamma_openai.usage.money import add_exactly, sum_exactly
from langchain_tamma_openai.usage.reconcile.drifts import moved, shift_note
from langchain_tamma_openai.usage.reconcile.explain import Explainer
from langchain_tamma_openai.usage.reconcile.export import Row
from langchain_tamma_openai.usage.reconcile.ledger import (
    KINDS,
    LedgerCall,
    Pricer,
    has_parts,
    usd_by_kind,
)
from langchain_tamma_openai.usage.reconcile.names import (
    ALL,
    STANDARD,
    LineItem,
    read_line_item,
)
from langchain_tamma_openai.usage.reconcile.result import Drift, DriftKind
from langchain_tamma_openai.usage.reconcile.rounding import Rounding
from langchain_tamma_openai.usage.reconcile.spans import Shifts, Span, Spans, span_of

_COARSE = {
    "cached_input": "input",
    "cache_write": "input",
    "input_audio": "input",
    "output_audio": "output",
}
_NOTHING = Decimal(0)
_FLOAT = Decimal("1e-11")
"""What adding binary fractions up may change."""
_Key = tuple[Span, str | None, str | None]


@dataclass(slots=True, eq=False)
class Account:
    """What both sides have for one bucket, model and tier.

    Attributes:
        span: The bucket.
        model: None where the file is not split by model.
        tier: None where the file is not split by tier.
        kinds: The kinds of tokens that the file tells apart.
        billed: The provider's amounts by kind.
        lines: The amounts that these are sums of.
        recorded: The ledger's amounts by kind.
        calls: Those of the ledger.
        unseen: Calls of the ledger whose answers were never seen.
        rounding: How the amounts of the file are rounded.
    """

    span: Span
    model: str | None
    tier: str | None
    kinds: tuple[str, ...]
    billed: dict[str, Decimal] = field(default_factory=dict)
    lines: dict[str, list[Decimal]] = field(default_factory=dict)
    recorded: dict[str, Decimal] = field(default_factory=dict)
    calls: list[LedgerCall] = field(default_factory=list)
    unseen: list[LedgerCall] = field(default_factory=list)
    rounding: Rounding | None = None

    def bill(self, kind: str, usd: Decimal) -> None:
        """Count what the provider has.

        Args:
            kind: Of token.
            usd: The amount.
        """
        place = self.place(kind)
        self.billed[place] = add_exactly(self.billed.get(place, _NOTHING), usd)
        self.lines.setdefault(place, []).append(usd)

    def add(self, call: LedgerCall) -> None:
        """Count a call of the ledger."""
        (self.calls if call.is_known else self.unseen).append(call)
        self._change(call, 1)

    def remove(self, call: LedgerCall) -> None:
        """Count it no more."""
        (self.calls if call.is_known else self.unseen).remove(call)
        self._change(call, -1)

    def _change(self, call: LedgerCall, sign: int) -> None:
        for kind, usd in self.split(call.cost).items():
            self.recorded[kind] = add_exactly(self.recorded.get(kind, _NOTHING), sign * usd)

    def split(self, cost: Cost | None) -> dict[str, Decimal]:
        """Split a cost into the kinds that the file tells apart.

        Args:
            cost: Of a call; None when it is not known.
        """
        found = dict.fromkeys(self.kinds, _NOTHING)
        if cost is not None and cost.total_usd is not None:
            for kind, usd in usd_by_kind(cost).items():
                place = self.place(kind)
                found[place] = add_exactly(found[place], usd)
        return found

    def place(self, kind: str) -> str:
        """Name the kind under which the file has a kind of token.

        Args:
            kind: As costs have it.
        """
        kind = KINDS.get(kind, kind)
        if kind in self.kinds:
            return kind
        coarse = _COARSE.get(kind, kind)
        return coarse if coarse in self.kinds else self.kinds[0]

    @property
    def missing(self) -> dict[str, Decimal]:
        """By how much the provider's amounts are larger."""
        return {
            kind: add_exactly(self.billed.get(kind, _NOTHING), -self.recorded.get(kind, _NOTHING))
            for kind in self.kinds
        }

    def agrees(self) -> bool:
        """Whether both sides have the same."""
        return all(abs(usd) <= self.tolerance(kind) for kind, usd in self.missing.items())

    def tolerance(self, kind: str) -> Decimal:
        """Say by how much an amount may be off.

        Args:
            kind: Of token.
        """
        lines = () if self.rounding is None else map(self.rounding.slack, self.lines.get(kind, ()))
        return sum(lines, _FLOAT)

    def distance(self) -> float:
        """How far the two sides are apart."""
        return float(sum(map(abs, self.missing.values())))


class AmountMatch:
    """The comparison of amounts by bucket.

    Attributes:
        matched: How many calls agree.
        compared: The calls of the ledger that the file is about.
        notes: What was allowed for.
    """

    def __init__(
        self,
        rows: Sequence[Row],
        calls: Iterable[LedgerCall],
        pricer: Pricer,
        start: datetime | None = None,
        end: datetime | None = None,
    ) -> None:
        """Put both sides into accounts.

        Args:
            rows: The provider's.
            calls: Those of the ledger.
            pricer: Knows prices.
            start: First moment that the file is about; that of its first bucket when left out.
            end: First moment after it; that after its last bucket when left out.
        """
        listed = list(calls)
        self._pricer = pricer
        self._spans = Spans(rows, start, end)
        self._others: dict[str, list[Row]] = defaultdict(list)
        self._foreign = [row for row in rows if row.foreign is not None]
        items = self._items(rows, {call.model for call in listed if call.model is not None})
        self._by_model = any(item is not None for _, item in items)
        self._by_tier = any(item is not None and item.tier is not None for _, item in items)
        self._kinds = self._kinds_of(items, listed)
        self._accounts: dict[_Key, Account] = {}
        self._rounding: Rounding | None = None
        self._fill(items, listed)
        self.matched = 0

    def _items(self, rows: Sequence[Row], known: set[str]) -> list[tuple[Row, LineItem | None]]:
        """Read what each amount is for, and put aside what is not for tokens."""
        found: list[tuple[Row, LineItem | None]] = []
        for row in rows:
            if row.usd is None:
                continue
            item = LineItem(row.model, ALL, row.tier) if row.model else None
            if row.line_item is not None:
                text = row.line_item if row.model is None else f"{row.model}, {row.line_item}"
                item = read_line_item(row.line_item, known) or (
                    read_line_item(text, known) if row.model is not None else None
                )
                if item is None:
                    self._others[row.line_item].append(row)
                    continue
            found.append((row, item))
        return found

    @staticmethod
    def _kinds_of(
        items: Iterable[tuple[Row, LineItem | None]], calls: Iterable[LedgerCall]
    ) -> tuple[str, ...]:
        """Give the kinds that both sides can tell apart."""
        kinds = {ALL if item is None else item.kind for _, item in items}
        ours = {kind for call in calls if call.cost is not None for kind in usd_by_kind(call.cost)}
        if ALL in kinds | ours or not kinds:
            return (ALL,)
        known = (call.cost for call in calls if call.usd is not None)
        if not all(has_parts(cost) for cost in known if cost is not None):
            kinds = {_COARSE.get(kind, kind) for kind in kinds}
        return tuple(sorted(kinds | {"input", "output"}))

    def _fill(self, items: list[tuple[Row, LineItem | None]], calls: list[LedgerCall]) -> None:
        for row, item in items:
            if item is None and self._by_model:
                self._others["no line item"].append(row)
                continue
            span = span_of(row)
            if span is not None and row.usd is not None:
                model = None if item is None else item.model
                tier = None if item is None else item.tier
                account = self._account(span, model, tier or STANDARD)
                kind = ALL if item is None else item.kind
                account.bill(kind, row.usd)
        shifts = Shifts(self._home)
        for call in calls:
            shifts.put(call, self._spans.homes(call))
        self._find_rounding(calls)
        shifts.settle()
        self.notes = shift_note(shifts.moved)
        self.compared = [call for each in self._accounts.values() for call in each.calls]

    def _find_rounding(self, calls: Iterable[LedgerCall]) -> None:
        lines = [
            (account, kind, each)
            for account in self._accounts.values()
            for kind, each in account.lines.items()
        ]
        pairs = (
            (each[0], account.recorded.get(kind, _NOTHING))
            for account, kind, each in lines
            if len(each) == 1
        )
        amounts = (usd for _, _, each in lines for usd in each)
        smallest = min((call.usd for call in calls if call.usd), default=None)
        self._rounding = Rounding(amounts, pairs, smallest)
        for account in self._accounts.values():
            account.rounding = self._rounding

    def _home(self, call: LedgerCall, span: Span) -> Account:
        return self._account(span, call.model if self._by_model else None, call.tier)

    def _account(self, span: Span, model: str | None, tier: str) -> Account:
        key = (span, model, tier if self._by_tier else None)
        if key not in self._accounts:
            self._accounts[key] = Account(*key, self._kinds, rounding=self._rounding)
        return self._accounts[key]

    # --- what differs ---

    def drifts(self) -> Iterator[Drift]:
        """Give the differences."""
        yield from self._for_other_models(list(self._by_account()))
        for item, rows in self._others.items():
            yield _other_service(item, rows)
        for row in self._foreign:
            yield _foreign(row)

    def _by_account(self) -> Iterator[Drift]:
        explainer = Explainer(self._pricer)
        for account in self._accounts.values():
            if account.agrees() and all(call.usd is not None for call in account.calls):
                self.matched += len(account.calls)
                continue
            found = list(explainer.drifts(account))
            yield from found
            told = {name for drift in found for name in drift.calls}
            self.matched += sum(call.name not in told for call in account.calls)

    def _for_other_models(self, drifts: list[Drift]) -> Iterator[Drift]:
        """Put a call that one account lacks together with what another has too much."""
        by_name = {call.name: call for call in self.compared}
        extra = [drift for drift in drifts if drift.kind is DriftKind.MISSING_IN_LEDGER]
        for drift in drifts:
            call = by_name.get(drift.calls[0]) if len(drift.calls) == 1 else None
            if drift.kind is DriftKind.MISSING_AT_PROVIDER and call is not None:
                other = next((each for each in extra if self._is_of(call, drift, each)), None)
                if other is not None:
                    extra.remove(other)
                    span = (drift.start or call.started_at, drift.end)
                    yield moved([call], self._pricer, span, model=other.model)
                    continue
            if drift.kind is not DriftKind.MISSING_IN_LEDGER:
                yield drift
        yield from extra

    def _is_of(self, call: LedgerCall, gone: Drift, extra: Drift) -> bool:
        """Whether an amount is what a call would have cost with the amount's model."""
        if extra.model in {None, call.model} or (extra.start, extra.end) != (gone.start, gone.end):
            return False
        usd = self._pricer.usd_of_call(call, model=extra.model, tier=extra.service_tier)
        billed = extra.provider_usd
        return None not in {usd, billed} and abs((usd or _NOTHING) - (billed or _NOTHING)) < _FLOAT


def _other_service(item: str, rows: Sequence[Row]) -> Drift:
    return Drift(
        DriftKind.OTHER_SERVICE,
        provider_usd=sum_exactly(row.usd for row in rows if row.usd is not None),
        start=min((row.start for row in rows if row.start), default=None),
        end=max((row.end for row in rows if row.end), default=None),
        detail=item,
    )


def _foreign(row: Row) -> Drift:
    return Drift(
        DriftKind.CURRENCY,
        provider_usd=None,
        model=row.model,
        start=row.start,
        end=row.end,
        detail=" ".join(filter(None, (row.foreign, row.line_item))),
    )
