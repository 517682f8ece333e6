"""Compares call by call: by the ids that both sides have, else by model, tokens and time."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from langchain_tamma_openai.usage.money import sum_exactly
from langchain_tamma_openai.usage.reconcile.drifts import left_out, tier_kind
from langchain_tamma_openai.usage.reconcile.export import Row
from langchain_tamma_openai.usage.reconcile.ledger import LedgerCall, Pricer, merged
from langchain_tamma_openai.usage.reconcile.names import BATCH, STANDARD, TIERS
from langchain_tamma_openai.usage.reconcile.result import Drift, DriftKind
from langchain_tamma_openai.usage.reconcile.rounding import Rounding
from langchain_tamma_openai.wire.usage import TokenUsage

_NEAR = timedelta(minutes=10)
_DAY = timedelta(days=1)
_MEANINGLESS = 3
"""An id that so many calls have names none of them."""


class CallMatch:
    """The comparison of two lists of calls.

    Attributes:
        matched: How many calls agree.
        compared: The calls of the ledger that the file is about.
    """

    def __init__(
        self,
        rows: Sequence[Row],
        calls: Iterable[LedgerCall],
        pricer: Pricer,
        start: datetime | None = None,
        end: datetime | None = None,
    ) -> None:
        """Take both sides.

        Args:
            rows: The provider's calls.
            calls: Those of the ledger.
            pricer: Knows prices.
            start: First moment that the file is about; that of its first day when left out.
            end: First moment after it; that after its last day when left out.
        """
        self._pricer = pricer
        self._pairs = _Pairs(rows, calls, start, end)
        self._rounding = self._pairs.rounding()
        self.compared = self._pairs.compared
        self.matched = 0
        self.notes: list[str] = []

    def drifts(self) -> Iterator[Drift]:
        """Give the differences."""
        for row in self._pairs.unknown:
            yield self._missing(row)
        for row, call in self._pairs.repeated:
            yield self._duplicate(row, call)
        for row, call in self._pairs.found:
            drifts = list(self._compared(row, call))
            self.matched += not drifts
            yield from drifts
        pairs = self._pairs
        known = [call for _, call in pairs.found]
        for call in pairs.left:
            yield left_out(call, others=known if pairs.is_twice(call) else ())

    def _missing(self, row: Row) -> Drift:
        tokens = row.tokens or TokenUsage()
        return Drift(
            DriftKind.MISSING_IN_LEDGER,
            provider_usd=self._billed(row, None),
            requests=1,
            input_tokens=tokens.input_tokens,
            output_tokens=tokens.output_tokens,
            model=row.model,
            service_tier=_tier_of_row(row),
            start=row.start,
            calls=row.ids[:1],
            detail="" if row.ids else row.place,
        )

    def _duplicate(self, row: Row, call: LedgerCall) -> Drift:
        return Drift(
            DriftKind.DUPLICATE,
            provider_usd=self._billed(row, call),
            requests=1,
            model=row.model or call.model,
            service_tier=_tier_of_row(row),
            start=row.start,
            calls=(call.name,),
            detail=f"billed twice: {row.place}",
        )

    def _billed(self, row: Row, call: LedgerCall | None) -> Decimal | None:
        """Give the provider's amount; where it gives none, that of its tokens."""
        if row.usd is not None or row.tokens is None or row.foreign is not None:
            return row.usd
        if call is not None:
            steps = _Steps(row, call)
            cost = self._pricer.of_call(
                call, tier=steps.tier, model=steps.model, tokens=steps.tokens
            )
            return None if cost is None else cost.total_usd
        return self._pricer.usd(
            row.tokens, row.model or "", _tier_of_row(row) or STANDARD, row.start
        )

    # --- a call that both sides have ---

    def _compared(self, row: Row, call: LedgerCall) -> Iterator[Drift]:
        """Change one thing after the other, from what was recorded to what was billed."""
        steps = _Steps(row, call)
        if row.foreign is not None:
            yield self._drift(DriftKind.CURRENCY, row, call, (None, call.usd), row.foreign)
        kinds = list(steps.kinds())
        amounts = [self._at(call, change) for change in (_Changed(), *(c for _, _, c in kinds))]
        is_told_apart = self._lead_to_the_bill(amounts, row, call)
        if not is_told_apart:
            # Then the first cause gets the whole difference.
            recorded = call.usd if call.is_known else Decimal(0)
            amounts = [recorded, *[self._billed(row, call)] * len(kinds)]
        for (kind, detail, _), before, after in zip(kinds, amounts, amounts[1:], strict=False):
            yield self._drift(kind, row, call, (after, before), detail)
        if is_told_apart or not kinds:
            yield from self._rest(row, call, steps)

    def _lead_to_the_bill(
        self, amounts: Sequence[Decimal | None], row: Row, call: LedgerCall
    ) -> bool:
        """Whether today's prices explain the bill, step by step."""
        billed = self._billed(row, call)
        known = [amount for amount in amounts if amount is not None]
        if billed is None or call.usd is None or len(known) < len(amounts):
            return False
        as_recorded = sum_exactly((call.usd, known[-1], -known[0]))
        return self._rounding.same(billed, known[-1]) or self._rounding.same(billed, as_recorded)

    def _at(self, call: LedgerCall, changed: _Changed) -> Decimal | None:
        return self._pricer.usd_of_call(
            call, model=changed.model, tokens=changed.tokens, tier=changed.tier
        )

    def _rest(self, row: Row, call: LedgerCall, steps: _Steps) -> Iterator[Drift]:
        """Name what no other model, tokens or tier explains: another price."""
        billed = self._billed(row, call)
        if row.foreign is not None or billed is None or not call.is_known:
            return
        if call.usd is None:
            yield self._drift(DriftKind.NO_PRICE, row, call, (billed, Decimal(0)), "")
            return
        expected = self._expected(call, call.usd, steps)
        if expected is not None and not self._rounding.same(billed, expected):
            yield self._price_drift(row, call, billed, expected)

    def _expected(self, call: LedgerCall, recorded: Decimal, steps: _Steps) -> Decimal | None:
        """Say what a call should have cost with what is otherwise; None where nobody knows."""
        if not steps.is_other:
            return recorded
        before = self._pricer.usd_of_call(call)
        after = self._pricer.usd_of_call(
            call, model=steps.model, tokens=steps.tokens, tier=steps.tier
        )
        if before is None or after is None:
            return None
        return sum_exactly((recorded, after, -before))

    def _price_drift(self, row: Row, call: LedgerCall, billed: Decimal, expected: Decimal) -> Drift:
        steps = _Steps(row, call)
        if row.usd is not None and steps.tier is None and row.tier is None:
            for tier in TIERS:
                if tier != call.tier and self._costs(row, call, billed, tier=tier):
                    return self._of_tier(row, call, billed, expected, tier)
        is_known = self._costs(row, call, billed)
        is_paid_by_amount = row.usd is not None and not is_known
        if is_paid_by_amount and self._costs(row, call, billed, regional=not call.is_regional):
            kind, detail = DriftKind.REGIONAL_UPLIFT, "the amount is that of a region"
            return self._drift(kind, row, call, (billed, expected), detail)
        detail = f"billed ${billed:f}, recorded ${call.usd:f}"
        more = "; the prices known today agree with the bill" if is_known else ""
        return self._drift(DriftKind.STALE_PRICE, row, call, (billed, expected), detail + more)

    def _of_tier(
        self, row: Row, call: LedgerCall, billed: Decimal, expected: Decimal, tier: str
    ) -> Drift:
        kind = tier_kind(call.tier, tier)
        drift = self._drift(kind, row, call, (billed, expected), f"the amount is that of {tier}")
        return replace(drift, service_tier=tier)

    def _costs(
        self,
        row: Row,
        call: LedgerCall,
        billed: Decimal,
        *,
        tier: str | None = None,
        regional: bool | None = None,
    ) -> bool:
        """Whether a call costs what was billed, at prices known today."""
        steps = _Steps(row, call)
        known = self._pricer.usd_of_call(
            call,
            model=steps.model,
            tokens=steps.tokens,
            tier=tier or steps.tier,
            regional=regional,
        )
        return known is not None and self._rounding.same(billed, known)

    @staticmethod
    def _drift(
        kind: DriftKind,
        row: Row,
        call: LedgerCall,
        amounts: tuple[Decimal | None, Decimal | None],
        detail: str,
    ) -> Drift:
        """Make a drift; the amounts are those billed and recorded."""
        has_tokens = kind in {DriftKind.TOKEN_MISMATCH, DriftKind.ESTIMATED_RECORD}
        tokens = row.tokens if has_tokens and row.tokens is not None else call.tokens
        return Drift(
            kind,
            provider_usd=amounts[0],
            ledger_usd=amounts[1],
            requests=1,
            input_tokens=tokens.input_tokens - call.tokens.input_tokens,
            output_tokens=tokens.output_tokens - call.tokens.output_tokens,
            model=row.model or call.model,
            service_tier=_tier_of_row(row),
            recorded_tier=call.tier,
            start=call.started_at,
            calls=(call.name,),
            detail=detail,
        )


@dataclass(frozen=True, slots=True)
class _Changed:
    """What of a call is otherwise; None for the same."""

    model: str | None = None
    tokens: TokenUsage | None = None
    tier: str | None = None


class _Steps:
    """What a row says otherwise than the call of the ledger; None for the same."""

    def __init__(self, row: Row, call: LedgerCall) -> None:
        self._call = call
        self.model = None if row.model in {None, call.model} else row.model
        self.unequal = _unequal(row, call)
        self.tokens = _with_counts(call.tokens, row) if self.unequal else None
        billed = _tier_of_row(row)
        is_other = billed is not None and billed != call.tier and not _is_untold(row, call)
        self.tier = billed if is_other else None

    @property
    def is_other(self) -> bool:
        return bool(self.model or self.unequal or self.tier)

    def kinds(self) -> Iterator[tuple[DriftKind, str, _Changed]]:
        """Give each difference, and what is changed from the first to this one."""
        changed = _Changed()
        if self.model is not None:
            changed = replace(changed, model=self.model)
            yield DriftKind.MODEL_MISMATCH, f"recorded as {self._call.model}", changed
        if self.unequal:
            changed = replace(changed, tokens=self.tokens)
            is_guess = self._call.is_estimate or not self._call.is_known
            kind = DriftKind.ESTIMATED_RECORD if is_guess else DriftKind.TOKEN_MISMATCH
            yield kind, self.unequal, changed
        if self.tier is not None:
            changed = replace(changed, tier=self.tier)
            detail = f"billed as {self.tier}, recorded as {self._call.tier}"
            yield tier_kind(self._call.tier, self.tier), detail, changed


class _Pairs:
    """Rows and calls that are the same, and those without a partner.

    Attributes:
        found: Rows with their calls.
        repeated: Rows whose call another row had before.
        unknown: Rows without a call.
        left: Calls without a row.
        compared: Calls that the file is about.
    """

    def __init__(
        self,
        rows: Sequence[Row],
        calls: Iterable[LedgerCall],
        start: datetime | None,
        end: datetime | None,
    ) -> None:
        self._calls = list(calls)
        self.found: list[tuple[Row, LedgerCall]] = []
        self.repeated: list[tuple[Row, LedgerCall]] = []
        self.unknown: list[Row] = []
        self._taken: set[int] = set()
        self._names = Counter(name for call in self._calls for name in call.ids)
        self._by_id(rows)
        self._by_likeness()
        days = _days(rows)
        first, last = start or days[0], end or days[1]
        is_mixed = any(not call.is_elsewhere for call in self._calls)
        self.left = [
            call
            for call in self._calls
            if id(call) not in self._taken
            and call.is_known
            and not (is_mixed and call.is_elsewhere)
            and call.ended_at >= first
            and call.started_at < last
        ]
        self.compared = [call for _, call in self.found] + self.left

    def is_twice(self, call: LedgerCall) -> bool:
        """Whether the ledger has another call with the same id."""
        return any(1 < self._names[name] < _MEANINGLESS for name in call.ids)

    def rounding(self) -> Rounding:
        """Look at how the amounts of calls that agree otherwise are rounded."""
        pairs = ((row.usd, call.usd) for row, call in self.found if not _Steps(row, call).is_other)
        known = [(billed, usd) for billed, usd in pairs if billed is not None and usd is not None]
        smallest = min((usd for _, usd in known if usd), default=None)
        return Rounding((billed for billed, _ in known), known, smallest)

    def _by_id(self, rows: Sequence[Row]) -> None:
        by_id: dict[str, list[LedgerCall]] = defaultdict(list)
        runs: dict[str, list[LedgerCall]] = defaultdict(list)
        for call in self._calls:
            runs[str(call.run_id)].append(call)
            for name in call.ids:
                if self._names[name] < _MEANINGLESS:
                    by_id[name].append(call)
        partners: dict[str, LedgerCall] = {}
        for row in rows:
            run = next((name for name in row.ids if name in runs), None)
            known = next((name for name in row.ids if name in by_id), None)
            if run is not None:
                partner = partners.setdefault(run, merged(runs[run]))
                self._pair(row, [partner], runs[run])
            elif known is not None:
                self._pair(row, by_id[known])
            else:
                self.unknown.append(row)

    def _pair(
        self, row: Row, calls: Sequence[LedgerCall], parts: Sequence[LedgerCall] = ()
    ) -> None:
        """Pair a row with the first call of its id that has no row yet."""
        call = next((each for each in calls if id(each) not in self._taken), None)
        if call is None:
            self.repeated.append((row, calls[0]))
        else:
            self._taken.update((id(call), *map(id, parts)))
            self.found.append((row, call))

    def _by_likeness(self) -> None:
        """Pair rows and calls that cannot be told by an id, where all else is the same."""
        is_open = not self.found or any(self._is_nameless(row) for row in self.unknown)
        shelves: dict[tuple[object, ...], list[LedgerCall]] = defaultdict(list)
        for call in sorted(self._calls, key=_began):
            if id(call) not in self._taken and (is_open or not call.ids):
                key = (call.model, call.tokens.input_tokens, call.tokens.output_tokens)
                shelves[key].append(call)
        rows, self.unknown = self.unknown, []
        for row in rows:
            like = None if row.tokens is None else _taken_from(row, row.tokens, shelves)
            if like is None:
                self.unknown.append(row)
            else:
                self._taken.add(id(like))
                self.found.append((row, like))

    def _is_nameless(self, row: Row) -> bool:
        """Whether a row has no id, or one that many calls have."""
        return not row.ids or any(name in self._names for name in row.ids)


def _began(call: LedgerCall) -> datetime:
    return call.started_at


def _taken_from(
    row: Row, tokens: TokenUsage, shelves: dict[tuple[object, ...], list[LedgerCall]]
) -> LedgerCall | None:
    """Take the call of the same model and tokens that is nearest in time."""
    shelf = shelves.get((row.model, tokens.input_tokens, tokens.output_tokens), [])
    middle = 0 if row.start is None else bisect_left(shelf, row.start, key=_began)
    places = [place for place in (middle - 1, middle) if 0 <= place < len(shelf)]
    near = [place for place in places if _is_near(row, shelf[place])]
    if not near:
        return None
    return shelf.pop(min(near, key=lambda place: _apart(row, shelf[place])))


def _is_near(row: Row, call: LedgerCall) -> bool:
    if row.start is None:
        return True
    is_day = (row.start.hour, row.start.minute, row.start.second) == (0, 0, 0)
    last = row.start + (_DAY if is_day else _NEAR)
    return row.start - _NEAR <= call.ended_at and call.started_at <= last


def _apart(row: Row, call: LedgerCall) -> timedelta:
    return timedelta(0) if row.start is None else abs(call.started_at - row.start)


def _days(rows: Sequence[Row]) -> tuple[datetime, datetime]:
    """Give the days that the file is about, in UTC; all time where it tells none."""
    times = [row.start for row in rows if row.start is not None]
    if not times:
        return datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
    first, last = (
        each.replace(hour=0, minute=0, second=0, microsecond=0) for each in (min(times), max(times))
    )
    return first, last + _DAY


def _tier_of_row(row: Row) -> str | None:
    return BATCH if row.batch else row.tier


def _is_untold(row: Row, call: LedgerCall) -> bool:
    """Whether a file that does not tell batches apart is silent about one."""
    return call.tier == BATCH and row.batch is None


def _with_counts(tokens: TokenUsage, row: Row) -> TokenUsage:
    billed = row.tokens or TokenUsage()
    counts = {kind: getattr(billed, kind) for kind in row.counted}
    changed = replace(tokens, **counts)
    return replace(changed, total_tokens=changed.input_tokens + changed.output_tokens)


def _unequal(row: Row, call: LedgerCall) -> str:
    if row.tokens is None:
        return ""
    if not call.is_known:
        return "sent, and the answer was never seen"
    found = [
        f"{kind} {getattr(row.tokens, kind):,} billed, {getattr(call.tokens, kind):,} recorded"
        for kind in sorted(row.counted)
        if getattr(row.tokens, kind) != getattr(call.tokens, kind)
    ]
    return "; ".join(found)
