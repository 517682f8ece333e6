"""Explains why the dollars of one bucket and model differ, with as few causes as possible.

Amounts are looked at as vectors, one place for each kind of token that the file tells apart. What
fits exactly, and is unlikely to fit by chance, is taken for the cause; the rest is a sum of calls
that one side does not have.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from math import comb, gcd
from typing import TYPE_CHECKING

from langchain_tamma_openai.pricing_cost import Cost
from langchain_tamma_openai.usage.money import sum_exactly
from langchain_tamma_openai.usage.reconcile.drifts import left_out, moved, stale, stale_calls
from langchain_tamma_openai.usage.reconcile.implied import implied_prices
from langchain_tamma_openai.usage.reconcile.ledger import LedgerCall, Pricer
from langchain_tamma_openai.usage.reconcile.names import TIERS
from langchain_tamma_openai.usage.reconcile.result import Drift, DriftKind
from langchain_tamma_openai.usage.reconcile.search import LARGEST, Sums, Vector

if TYPE_CHECKING:
    from langchain_tamma_openai.usage.reconcile.amounts import Account

_FEMTO = 15
_BY_CHANCE = 0.01
"""What fits by chance more often than this explains nothing."""
_MOST_ALIKE = 20
_SAMPLES = 8


@dataclass(frozen=True, slots=True)
class _Change:
    """What it would change if a call was billed otherwise; at no tier, if it was not billed."""

    call: LedgerCall
    tier: str | None
    vector: Vector


class Explainer:
    """Finds causes for the difference of an account."""

    def __init__(self, pricer: Pricer) -> None:
        """Choose the prices.

        Args:
            pricer: Knows them.
        """
        self._pricer = pricer

    def drifts(self, account: Account) -> Iterator[Drift]:
        """Explain what an account lacks or has too much.

        Args:
            account: One that does not agree, or has calls without a price.
        """
        goal = _vector(account, account.missing)
        unpriced = [call for call in account.calls if call.usd is None]
        if unpriced:
            drift, goal = self._unpriced(account, unpriced, goal)
            yield drift
        old, by_old = self._stale(account)
        corrected = _minus(goal, by_old)
        if old and self._is_nothing(account, corrected):
            yield from old
            return
        exact = self._exact(account, goal)
        # Where the provider bills at the ledger's own prices, today's list is not the cause.
        if old and (not exact or self._exact(account, corrected)):
            yield from old
            goal, exact = corrected, self._exact(account, corrected)
        if exact:
            yield from exact
        elif not self._is_nothing(account, goal):
            yield from self._unnamed(account, goal)

    # --- prices ---

    def _unpriced(
        self, account: Account, calls: list[LedgerCall], goal: Vector
    ) -> tuple[Drift, Vector]:
        """Name calls without a price, and take what they cost out of the difference."""
        costs = [self._pricer.of_call(call) for call in calls]
        known = [cost for cost in costs if cost is not None]
        if len(known) == len(calls):
            worth = _total(_vector(account, account.split(cost)) for cost in known)
        else:
            worth = goal
        drift = Drift(
            DriftKind.NO_PRICE,
            provider_usd=_usd(worth),
            requests=len(calls),
            model=account.model,
            recorded_tier=account.tier,
            start=account.span[0],
            end=account.span[1],
            calls=tuple(call.name for call in calls),
        )
        return drift, _minus(goal, worth)

    def _stale(self, account: Account) -> tuple[list[Drift], Vector]:
        """Find calls at prices that are not today's, and what that changes."""
        drifts = list(stale(account.calls, self._pricer, account.span, account.model))
        changes = [
            self._change(account, self._pricer.of_call(call), call.cost)
            for call, _, _ in stale_calls(account.calls, self._pricer)
        ]
        return drifts, _total(changes) if changes else (0,) * len(account.kinds)

    @staticmethod
    def _change(account: Account, after: Cost | None, before: Cost | None) -> Vector:
        return _minus(
            _vector(account, account.split(after)), _vector(account, account.split(before))
        )

    # --- what fits exactly ---

    def _exact(self, account: Account, goal: Vector) -> list[Drift]:
        """Find causes that explain a difference to the last digit; none if there are none."""
        if self._is_nothing(account, goal) or not account.calls:
            return []
        if _is_more_of_the_same(account, goal):
            return []
        return (
            self._all_moved(account, goal)
            or self._few(account, goal, 1)
            or implied_prices(account)
            or self._few(account, goal, 2)
            or self._few(account, goal, LARGEST)
        )

    def _all_moved(self, account: Account, goal: Vector) -> list[Drift]:
        """Take all calls of a tier for billed at another one, or all for billed by a region."""
        by_tier: dict[str, list[LedgerCall]] = defaultdict(list)
        for call in account.calls:
            by_tier[call.tier].append(call)
        for recorded, calls in by_tier.items():
            for tier in TIERS:
                changes = [self._to_tier(account, call, tier) for call in calls]
                known = [change for change in changes if change is not None]
                is_priced = tier != recorded and len(known) == len(calls)
                if is_priced and self._is_nothing(account, _minus(goal, _total(known))):
                    return [moved(calls, self._pricer, account.span, tier=tier)]
        return self._all_regional(account, goal)

    def _all_regional(self, account: Account, goal: Vector) -> list[Drift]:
        calls = [call for call in account.calls if not call.is_regional]
        changes = [
            self._change(account, self._pricer.of_call(call, regional=True), known)
            for call in calls
            if (known := self._pricer.of_call(call)) is not None
        ]
        if not changes or len(changes) < len(calls) or not any(map(any, changes)):
            return []
        if not self._is_nothing(account, _minus(goal, _total(changes))):
            return []
        recorded = sum_exactly(call.usd for call in calls if call.usd is not None)
        return [
            Drift(
                DriftKind.REGIONAL_UPLIFT,
                provider_usd=recorded + _usd(_total(changes)),
                ledger_usd=recorded,
                requests=len(calls),
                model=account.model,
                service_tier=account.tier,
                start=account.span[0],
                end=account.span[1],
                calls=tuple(call.name for call in calls),
            )
        ]

    def _to_tier(self, account: Account, call: LedgerCall, tier: str) -> Vector | None:
        after = self._pricer.of_call(call, tier=tier)
        before = self._pricer.of_call(call)
        if after is None or before is None:
            return None
        return self._change(account, after, before)

    def _few(self, account: Account, goal: Vector, size: int) -> list[Drift]:
        """Take a few calls for not billed, or for billed at other tiers."""
        changes = self._changes(account)
        if size > 1 and _chance(changes, size, _slack(account)) > _BY_CHANCE:
            return []
        chosen = _chosen(changes, goal, size, _slack(account))
        if not chosen or _would_fit_others(account, changes, goal, chosen):
            return []
        return self._of_changes(account, chosen)

    def _changes(self, account: Account) -> list[_Change]:
        """List what could be otherwise; the simplest first."""
        found = [
            _Change(call, None, _minus((0,) * len(account.kinds), _recorded(account, call)))
            for call in account.calls
            if call.usd is not None
        ]
        for tier in TIERS if account.tier is None else ():
            for call in account.calls:
                change = None if call.tier == tier else self._to_tier(account, call, tier)
                if change is not None and any(change):
                    found.append(_Change(call, tier, change))
        return found

    def _of_changes(self, account: Account, changes: Sequence[_Change]) -> list[Drift]:
        groups: dict[tuple[str, str], list[LedgerCall]] = defaultdict(list)
        drifts: list[Drift] = []
        for change in changes:
            if change.tier is None:
                others = (call for call in account.calls if call is not change.call)
                drifts.append(left_out(change.call, *account.span, others=others))
            else:
                groups[change.call.tier, change.tier].append(change.call)
        for (_, tier), calls in groups.items():
            drifts.append(moved(calls, self._pricer, account.span, tier=tier))
        return drifts

    # --- what does not ---

    def _unnamed(self, account: Account, goal: Vector) -> Iterator[Drift]:
        """Say which side has more, where the file has no calls to name them by."""
        kind, calls = _unnamed_kind(account, goal)
        if kind is not None:
            yield self._sum(account, kind, goal, calls)
            return
        more = tuple(max(usd, 0) for usd in goal)
        yield self._sum(account, DriftKind.MISSING_IN_LEDGER, more)
        yield self._sum(account, DriftKind.MISSING_AT_PROVIDER, _minus(goal, more))

    @staticmethod
    def _sum(
        account: Account, kind: DriftKind, goal: Vector, calls: Sequence[LedgerCall] = ()
    ) -> Drift:
        usd = _usd(goal)
        return Drift(
            kind,
            provider_usd=max(usd, Decimal(0)),
            ledger_usd=max(-usd, Decimal(0)),
            model=account.model,
            service_tier=account.tier,
            recorded_tier=account.tier,
            start=account.span[0],
            end=account.span[1],
            calls=tuple(call.name for call in calls),
            detail=_detail(account, goal) or "the file has no calls to name them by",
        )

    @staticmethod
    def _is_nothing(account: Account, goal: Vector) -> bool:
        return all(abs(a) <= most for a, most in zip(goal, _slack(account), strict=True))


def _unnamed_kind(account: Account, goal: Vector) -> tuple[DriftKind | None, Sequence[LedgerCall]]:
    """Name what a sum is likely about; None for calls that either side lacks."""
    guesses = [call for call in account.calls if call.is_estimate]
    worth = sum_exactly(call.usd for call in guesses if call.usd is not None)
    if guesses and abs(_usd(goal)) <= worth:
        return DriftKind.ESTIMATED_RECORD, guesses
    if _is_other_tokens(account, goal):
        return DriftKind.TOKEN_MISMATCH, ()
    sign = _sign(goal, _slack(account))
    if sign == 1 and account.unseen:
        return DriftKind.ESTIMATED_RECORD, account.unseen
    kinds = {1: DriftKind.MISSING_IN_LEDGER, -1: DriftKind.MISSING_AT_PROVIDER}
    return kinds.get(sign), ()


def _is_other_tokens(account: Account, goal: Vector) -> bool:
    """Whether only input or only output differs, as no whole call would make them differ."""
    parts = list(zip(account.kinds, goal, _slack(account), strict=True))
    sides = {kind.startswith("output") for kind in account.kinds}
    differ = {kind.startswith("output") for kind, a, most in parts if abs(a) > most}
    return bool(account.calls) and len(sides) > 1 and len(differ) == 1


def _detail(account: Account, goal: Vector) -> str:
    if len(goal) == 1:
        return ""
    slack = _slack(account)
    parts = zip(account.kinds, goal, slack, strict=True)
    return "; ".join(f"{kind} {_usd((a,)):+f}" for kind, a, most in parts if abs(a) > most)


def _is_more_of_the_same(account: Account, goal: Vector) -> bool:
    """Whether the provider has more calls like some that the ledger has more than once."""
    slack = _slack(account)
    alike = Counter(_recorded(account, call) for call in account.calls if call.usd is not None)
    return any(
        all(abs(a - times * b) <= most for a, b, most in zip(goal, each, slack, strict=True))
        for each, number in alike.items()
        if number > 1
        for times in range(1, _MOST_ALIKE)
    )


def _chosen(changes: Sequence[_Change], goal: Vector, size: int, slack: Vector) -> list[_Change]:
    """Find changes of different calls that add up to a difference.

    Where calls that one side lacks would explain it as well, only a single cause is as simple.
    """
    most_causes = size if _sign(goal, slack) == 0 else 1
    sums = Sums([change.vector for change in changes], slack)
    for places in sums.all(goal, size):
        chosen = [changes[place] for place in places]
        causes = {(change.tier and change.call.tier, change.tier) for change in chosen}
        if len({id(change.call) for change in chosen}) == size and len(causes) <= most_causes:
            return chosen
    return []


def _would_fit_others(
    account: Account, changes: Sequence[_Change], goal: Vector, chosen: list[_Change]
) -> bool:
    """Whether as many changes would also explain the loss of a call that is not lost.

    Where calls are alike, almost anything can be explained that way, and nothing is.
    """
    slack, size = _slack(account), len(chosen)
    sign = _sign(goal, slack)
    if sign == 0 or (sign < 0 and all(change.tier is None for change in chosen)):
        return False
    calls = [call for call in account.calls if call.usd is not None]
    for call in calls[:: max(1, len(calls) // _SAMPLES)]:
        lost = tuple(sign * usd for usd in _recorded(account, call))
        others = [change for change in changes if change.call is not call]
        if _chosen(others, lost, size, slack):
            return True
    return False


def _sign(goal: Vector, slack: Vector) -> int:
    """Say which side has more: 1 the provider, -1 the ledger, 0 each has more of something."""
    if all(a >= -most for a, most in zip(goal, slack, strict=True)):
        return 1
    return -1 if all(a <= most for a, most in zip(goal, slack, strict=True)) else 0


def _chance(changes: Sequence[_Change], size: int, slack: Vector) -> float:
    """Estimate how many sums of so many changes are the same as any by chance."""
    vectors = {change.vector for change in changes}
    room = 1.0
    for place, most in enumerate(slack):
        values = [abs(vector[place]) for vector in vectors]
        step = max(gcd(*values), most, 1)
        room *= max(1.0, size * max(values, default=0) / step)
    return comb(len(vectors), size) / room


def _recorded(account: Account, call: LedgerCall) -> Vector:
    return _vector(account, account.split(call.cost))


def _vector(account: Account, amounts: dict[str, Decimal]) -> Vector:
    """Give amounts by kind in whole femto-dollars."""
    return tuple(round(amounts[kind].scaleb(_FEMTO)) for kind in account.kinds)


def _slack(account: Account) -> Vector:
    return tuple(int(account.tolerance(kind).scaleb(_FEMTO)) for kind in account.kinds)


def _usd(vector: Vector) -> Decimal:
    return Decimal(sum(vector)).scaleb(-_FEMTO)


def _minus(left: Vector, right: Vector) -> Vector:
    return tuple(a - b for a, b in zip(left, right, strict=True))


def _total(vectors: Iterable[Vector]) -> Vector:
    return tuple(map(sum, zip(*vectors, strict=True)))
