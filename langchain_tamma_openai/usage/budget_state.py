"""The decisions of a budget: what fits, what is charged, what is over. No clock, no I/O.

A store runs each of these functions as one indivisible step on the lines it keeps.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Container, Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from functools import lru_cache
from typing import Literal, NamedTuple, Protocol

from langchain_tamma_openai.pricing_cost import EXACT
from langchain_tamma_openai.usage.budget_amounts import Amounts, Bound, BudgetLimits
from langchain_tamma_openai.usage.budget_windows import Span

Number = Decimal | int
Unit = Literal["usd", "tokens"]
OnAbandoned = Literal["charge", "free"]
EVERY_LINE = "*"
"""In place of a scope: limits of all lines of a budget."""
DECLARED = "="
"""In place of a scope: limits that a program gave its budget; they are for showing and bind nobody.
No scope is called so: those are JSON lists."""
KEPT_AFTER_END_S = 86_400
"""Lines stay this long after their window for calls that end late."""


@dataclass(frozen=True, slots=True)
class LineKey:
    """Names one line: a budget, a combination of labels, and a window.

    Attributes:
        budget: Name, kind of window and names of labels, as one text.
        scope: The labels' values, as JSON.
        span: The window.
        ident: A short name for it, of fixed length.
    """

    budget: str
    scope: str
    span: Span
    ident: str = field(init=False, compare=False)

    def __post_init__(self) -> None:
        """Make the short name."""
        parts = [self.budget, self.scope, str(self.span.starts_at)]
        ident = hashlib.sha256(json.dumps(parts).encode()).hexdigest()
        object.__setattr__(self, "ident", ident)


@dataclass(slots=True)
class Line:
    """What was spent and is reserved on one line.

    Attributes:
        key: Its name.
        spent: Settled calls.
        reserved: Calls under way.
        unpriced_calls: Settled calls of unknown price.
        marks: Alerts and warnings given.
        earliest_expiry_s: No reservation expires before; None when there is none.
    """

    key: LineKey
    spent: Amounts = field(default_factory=Amounts)
    reserved: Amounts = field(default_factory=Amounts)
    unpriced_calls: int = 0
    marks: frozenset[str] = frozenset()
    earliest_expiry_s: float | None = None

    def copy(self) -> Line:
        """Give a line that changes by itself."""
        return Line(
            self.key,
            self.spent,
            self.reserved,
            self.unpriced_calls,
            self.marks,
            self.earliest_expiry_s,
        )


class HeldState(StrEnum):
    """What became of a reservation."""

    LIVE = "live"
    CHARGED = "charged"
    """Abandoned, and settled at its estimate."""
    FREED = "freed"
    """Abandoned, and given back."""


class Held(NamedTuple):
    """A reservation as a store keeps it.

    Attributes:
        ident: Unique among all processes.
        line: `LineKey.ident` of its line.
        bound: The most that the call can use.
        expires_at_s: Seconds since 1970 at which it counts as abandoned.
        state: What became of it.
    """

    ident: str
    line: str
    bound: Bound
    expires_at_s: float
    state: HeldState = HeldState.LIVE


class Transaction(Protocol):
    """What a store offers inside one indivisible step."""

    def find(self, key: LineKey) -> Line | None:
        """Give a line that no one else changes until the step is over; None for a new one."""

    def create(self, key: LineKey) -> Line:
        """Begin a line, or give the one that another process has begun meanwhile."""

    def save(self, line: Line) -> None:
        """Keep a line."""

    def keys(self, budget: str, now_s: float) -> list[LineKey]:
        """Name all lines of a budget whose windows have not ended."""

    def held(self, ident: str) -> Held | None:
        """Find a reservation; None when it is settled or forgotten."""

    def overdue(self, line: str, now_s: float) -> list[Held]:
        """Give the live reservations of a line that have expired."""

    def next_expiry_s(self, line: str) -> float | None:
        """Say when the next live reservation of a line expires."""

    def hold(self, held: Held) -> None:
        """Keep a reservation, new or changed."""

    def drop(self, ident: str) -> None:
        """Forget a reservation."""

    def forget_abandoned(self, line: str) -> None:
        """Forget the reservations of a line that are not live."""

    def limits(self, budget: str, scope: str) -> tuple[BudgetLimits | None, BudgetLimits | None]:
        """Give the limits kept for one line and for all lines of a budget."""

    def keep_limits(self, budget: str, scope: str, limits: BudgetLimits | None) -> None:
        """Keep limits, or forget them."""

    def forget_ended(self, budget: str, before_s: float) -> None:
        """Forget lines whose windows ended before, unless calls are under way there."""


@dataclass(frozen=True, slots=True)
class Terms:
    """How a budget wants its lines to be kept.

    Attributes:
        limits: What holds unless the store knows other limits.
        on_abandoned: What becomes of expired reservations.
        thresholds: Shares of a limit, as text, at which to alert.
        ttl_s: Seconds until a reservation expires that nobody renews.
        allow_unknown: Whether calls of unknown size may go.
    """

    limits: BudgetLimits
    on_abandoned: OnAbandoned = "charge"
    thresholds: tuple[str, ...] = ()
    ttl_s: float = 60.0
    allow_unknown: bool = False


class Verdict(StrEnum):
    """Whether a call fits."""

    FITS = "fits"
    BUSY = "busy"
    """It would fit, were it not for what other calls have reserved."""
    EXCEEDED = "exceeded"
    UNKNOWN = "unknown"
    """Nobody knows the most it can use, so a limit cannot be held."""


class Decision(NamedTuple):
    """What came of a wish to reserve.

    Attributes:
        verdict: Whether it fits.
        granted: Whether it was reserved.
        line: The line as it was before, where it was refused or is to be warned of.
        limits: The limits that hold.
        unit: The limit that is in the way; None when it fits.
        first: Whether nobody was warned of this line before.
    """

    verdict: Verdict
    granted: bool
    line: Line
    limits: BudgetLimits
    unit: Unit | None = None
    first: bool = False


class Take(NamedTuple):
    """A wish to reserve.

    Attributes:
        key: The line.
        held: The reservation to make.
        now_s: Seconds since 1970.
        may_take: Whether it may be made at once; False only looks.
        force: Whether to make it even if it does not fit.
    """

    key: LineKey
    held: Held
    now_s: float
    may_take: bool = True
    force: bool = False


def take(step: Transaction, terms: Terms, wish: Take, alive: Container[str]) -> Decision:
    """Reserve if it fits.

    Args:
        step: The lines.
        terms: How the budget keeps them.
        wish: What to reserve.
        alive: Reservations that this process knows to be in use, whatever their time.
    """
    line = step.find(wish.key)
    if line is None:
        step.forget_ended(wish.key.budget, wish.now_s - KEPT_AFTER_END_S)
        line = step.create(wish.key)
    sweep(step, terms, line, wish.now_s, alive)
    limits = limits_of(step, terms, wish.key)
    verdict, unit = judge(line, limits, wish.held.bound, allow_unknown=terms.allow_unknown)
    granted = wish.force or (verdict is Verdict.FITS and wish.may_take)
    first = verdict is not Verdict.FITS and granted and "warned" not in line.marks
    # Only who is refused, or warned, is told of the line; it goes on changing after this step.
    before = line if granted and not first else line.copy()
    if granted:
        line.reserved = line.reserved.with_bound(wish.held.bound)
        expiry_s, own_s = line.earliest_expiry_s, wish.held.expires_at_s
        line.earliest_expiry_s = own_s if expiry_s is None else min(expiry_s, own_s)
        if first:
            line.marks |= {"warned"}
        step.hold(wish.held)
        step.save(line)
    return Decision(verdict, granted, before, limits, unit, first)


def judge(
    line: Line, limits: BudgetLimits, bound: Bound, *, allow_unknown: bool
) -> tuple[Verdict, Unit | None]:
    """Say whether a call fits, and which limit is in its way if not.

    Args:
        line: What is spent and reserved.
        limits: The limits that hold.
        bound: The most that the call can use.
        allow_unknown: Whether a call of unknown size may go while anything is left.
    """
    usd = tokens = Verdict.FITS
    if limits.usd is not None:
        usd = _weigh(
            limits.usd, bound.usd, line.spent.usd, line.reserved.usd, allow_unknown=allow_unknown
        )
    if limits.tokens is not None:
        spent, reserved = line.spent.tokens, line.reserved.tokens
        tokens = _weigh(limits.tokens, bound.tokens, spent, reserved, allow_unknown=allow_unknown)
    for verdict in _WORST_FIRST:
        if usd is verdict:
            return verdict, "usd"
        if tokens is verdict:
            return verdict, "tokens"
    return Verdict.FITS, None


_WORST_FIRST = (Verdict.EXCEEDED, Verdict.UNKNOWN, Verdict.BUSY)


def _weigh(
    limit: Number,
    wanted: Number | None,
    spent: Number,
    reserved: Number,
    *,
    allow_unknown: bool,
) -> Verdict:
    if wanted is None:
        if not allow_unknown:
            return Verdict.UNKNOWN
        return Verdict.EXCEEDED if spent >= limit else Verdict.FITS
    alone = EXACT.add(spent, wanted)
    if alone > limit:
        return Verdict.EXCEEDED
    return Verdict.BUSY if EXACT.add(alone, reserved) > limit else Verdict.FITS


def limits_of(step: Transaction, terms: Terms, key: LineKey) -> BudgetLimits:
    """Find the limits that hold for a line: its own, those of the budget, those of the program.

    Args:
        step: The lines.
        terms: How the budget keeps them.
        key: The line.
    """
    own, common = step.limits(key.budget, key.scope)
    return own or common or terms.limits


def sweep(step: Transaction, terms: Terms, line: Line, now_s: float, alive: Container[str]) -> None:
    """Settle the abandoned reservations of a line and keep the line if that changed it.

    Args:
        step: The lines.
        terms: How the budget keeps them.
        line: The line; it is brought up to date.
        now_s: Seconds since 1970.
        alive: Reservations that this process knows to be in use, whatever their time.
    """
    if line.earliest_expiry_s is None or line.earliest_expiry_s > now_s:
        return
    for held in step.overdue(line.key.ident, now_s):
        if held.ident in alive:
            step.hold(held._replace(expires_at_s=now_s + terms.ttl_s))
            continue
        line.reserved = line.reserved.without_bound(held.bound)
        if terms.on_abandoned == "charge":
            _charge(line, held.bound)
        state = HeldState.CHARGED if terms.on_abandoned == "charge" else HeldState.FREED
        step.hold(held._replace(state=state))
    line.earliest_expiry_s = step.next_expiry_s(line.key.ident)
    step.save(line)


class Settle(NamedTuple):
    """The end of a call.

    Attributes:
        key: The line.
        ident: The reservation.
        used: What the call used; what is None counts as reserved.
        sent: Whether anything was sent; if not, nothing is charged.
    """

    key: LineKey
    ident: str
    used: Bound
    sent: bool = True


class Reached(NamedTuple):
    """A share of a limit that spending has reached for the first time."""

    threshold: str
    unit: Unit


def settle(
    step: Transaction, terms: Terms, end: Settle
) -> tuple[Line, BudgetLimits, list[Reached]] | None:
    """Charge a call in place of its reservation, even when that was abandoned meanwhile.

    Args:
        step: The lines.
        terms: How the budget keeps them.
        end: How the call ended.

    Returns:
        The line, its limits and the alerts now due; None when the call was settled before.
    """
    line = step.find(end.key)
    held = step.held(end.ident)
    if line is None or held is None:
        return None
    if held.state is HeldState.LIVE:
        line.reserved = line.reserved.without_bound(held.bound)
    elif held.state is HeldState.CHARGED:
        _charge(line, held.bound, -1)
    if end.sent:
        _charge(line, end.used.or_else(held.bound))
    step.drop(end.ident)
    limits = limits_of(step, terms, end.key)
    reached = _reached(line, limits, terms.thresholds)
    if reached:
        line.marks |= {f"{alert.unit}:{alert.threshold}" for alert in reached}
    step.save(line)
    return line.copy() if reached else line, limits, reached


def _charge(line: Line, bound: Bound, sign: int = 1) -> None:
    if sign < 0:
        line.spent = line.spent.without_bound(bound)
    else:
        line.spent = line.spent.with_bound(bound)
    line.unpriced_calls += sign * (bound.usd is None)


def _reached(line: Line, limits: BudgetLimits, thresholds: tuple[str, ...]) -> list[Reached]:
    pairs: tuple[tuple[Unit, Number | None, Number], ...] = (
        ("usd", limits.usd, line.spent.usd),
        ("tokens", limits.tokens, line.spent.tokens),
    )
    return [
        Reached(threshold, unit)
        for unit, limit, spent in pairs
        if limit is not None and spent > 0
        for threshold, amount in _shares(limit, thresholds)
        if spent >= amount and f"{unit}:{threshold}" not in line.marks
    ]


@lru_cache(maxsize=256)
def _shares(limit: Number, thresholds: tuple[str, ...]) -> tuple[tuple[str, Decimal], ...]:
    return tuple(
        (threshold, EXACT.multiply(Decimal(limit), Decimal(threshold))) for threshold in thresholds
    )


def renew(step: Transaction, key: LineKey, idents: Iterable[str], expires_at_s: float) -> None:
    """Put off the expiry of reservations.

    Args:
        step: The lines.
        key: Their line.
        idents: The reservations.
        expires_at_s: Seconds since 1970.
    """
    line = step.find(key)
    if line is None:
        return
    for ident in idents:
        held = step.held(ident)
        if held is not None and held.state is HeldState.LIVE:
            step.hold(held._replace(expires_at_s=expires_at_s))
    line.earliest_expiry_s = step.next_expiry_s(key.ident)
    step.save(line)


def reset(step: Transaction, key: LineKey) -> None:
    """Begin a line anew; calls under way stay reserved.

    Args:
        step: The lines.
        key: The line.
    """
    line = step.find(key)
    if line is None:
        return
    step.forget_abandoned(key.ident)
    step.save(Line(key, reserved=line.reserved, earliest_expiry_s=line.earliest_expiry_s))
