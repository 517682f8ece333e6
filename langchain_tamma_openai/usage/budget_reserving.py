"""How a call gets its reservation: one budget after the other, waiting where others are in the way.

Written once, as steps, for threads and event loops; see `budget_waiting`.
"""

from __future__ import annotations

import asyncio
import json
import logging
import math
import os
import time
from collections.abc import Callable, Collection, Generator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol

from langchain_tamma_openai.pricing_cost import plain_decimal
from langchain_tamma_openai.resilience.limits_store import TaskSignal, ThreadSignal
from langchain_tamma_openai.usage.budget_accounts import Accounts
from langchain_tamma_openai.usage.budget_amounts import (
    Bound,
    BudgetLimits,
    Keep,
    Usd,
    change_of_limits,
    refuse_argument,
)
from langchain_tamma_openai.usage.budget_holds import Hold, new_hold
from langchain_tamma_openai.usage.budget_info import BudgetStatus
from langchain_tamma_openai.usage.budget_state import (
    EVERY_LINE,
    Decision,
    Held,
    Line,
    LineKey,
    Settle,
    Take,
    Unit,
    Verdict,
)
from langchain_tamma_openai.usage.budget_waiting import Consult, Pause, Signal, Step, Work, later
from langchain_tamma_openai.usage.budget_windows import BudgetWindow, Span, span_at

if TYPE_CHECKING:
    from langchain_tamma_openai.errors import BudgetExceededError

logger = logging.getLogger(__name__)

OnExceeded = Literal["raise", "warn"] | Callable[["BudgetExceededError"], object]

_MOST_NAMES = 4096
_ROUNDING_S = 1e-5
_FIRST_LOOK_S = 0.02
_LAST_LOOK_S = 0.25
"""The first in line looks at a shared store after ever longer pauses between these."""
_IDLE_LOOK_S = 5.0
"""Who is woken when something changes looks this often all the same."""


class Request(NamedTuple):
    """What a call asks of its budgets.

    Attributes:
        bound: The most that it can use.
        labels: Whose call it is.
        wait_s: Seconds to wait while others are in the way; None for each budget's own.
    """

    bound: Bound
    labels: Mapping[str, object]
    wait_s: float | None


class LineNames:
    """Names of the lines of one budget in its present window, made once for each line."""

    def __init__(self) -> None:
        """Know none."""
        self._window: tuple[float, float, Span, dict[object, LineKey]] = 0.0, 0.0, Span(), {}

    def find(
        self, budget: str, window: BudgetWindow, values: tuple[object, ...], now_s: float
    ) -> LineKey:
        """Name the line of some labels at a moment.

        Args:
            budget: `Desk.ident`.
            window: When spending starts anew.
            values: The labels' values.
            now_s: Seconds since 1970.
        """
        starts_at_s, ends_at_s, span, known = self._window
        if not starts_at_s <= now_s < ends_at_s:
            span, known = span_at(window, now_s), {}
            self._window = (*_ends_s(span), span, known)
        try:
            key = known.get(values)
        except TypeError:  # a label that is a set of texts
            return LineKey(budget, json.dumps(values), span)
        if key is None:
            key = LineKey(budget, json.dumps(values), span)
            if len(known) < _MOST_NAMES:
                known[values] = key
        return key


def _ends_s(span: Span) -> tuple[float, float]:
    """Give the ends of a window in seconds; the last moments before its end are left out."""
    if span.starts_at is None or span.ends_at is None:
        return -math.inf, math.inf
    return span.starts_at.timestamp(), span.ends_at.timestamp() - _ROUNDING_S


@dataclass(frozen=True, slots=True, eq=False)
class Desk:
    """Where one budget is asked.

    Attributes:
        name: The budget's name.
        ident: Name, window and scope as one text.
        place: Names the store, without anything secret.
        window: When spending starts anew.
        scope: Names of the labels that each have a line of their own.
        on_exceeded: What to do with a call that does not fit.
        wait_s: Seconds to wait while others are in the way.
        accounts: Keeps the lines.
        names: Names of lines that were made before.
    """

    name: str
    ident: str
    place: str
    window: BudgetWindow
    scope: tuple[str, ...]
    on_exceeded: OnExceeded
    wait_s: float
    accounts: Accounts
    names: LineNames = field(default_factory=LineNames)

    def key(self, labels: Mapping[str, object]) -> LineKey:
        """Find the line of a call at this moment."""
        return self.key_at(labels, self.accounts.clock())

    def key_at(self, labels: Mapping[str, object], now_s: float) -> LineKey:
        """Find the line of a call at a moment.

        Args:
            labels: Whose call it is.
            now_s: Seconds since 1970.
        """
        values = tuple([label_value(labels.get(name)) for name in self.scope])
        return self.names.find(self.ident, self.window, values, now_s)

    def limited(self, labels: Mapping[str, object]) -> LineKey:
        """Find the line whose limits are meant; all of them without any label."""
        key = self.key(labels)
        return key if labels else replace(key, scope=EVERY_LINE)

    def check(self, labels: Mapping[str, object]) -> None:
        """Refuse labels that are not in the scope.

        Raises:
            InvalidParameterError: One is not.
        """
        for label in labels:
            if label not in self.scope:
                refuse_argument("labels", label, f"in the budget's scope {self.scope!r}")

    def change_limits(
        self,
        labels: Mapping[str, object],
        limit_usd: Usd | Keep | None,
        limit_tokens: int | Keep | None,
    ) -> None:
        """Change the limits of one line, or of all without any label; see `Budget.set_limit`."""
        self.check(labels)
        change = change_of_limits(limit_usd, limit_tokens)
        self.accounts.change_limits(self.limited(labels), change)

    def clear_limits(self, labels: Mapping[str, object]) -> None:
        """Return to the limits that were in force before; see `Budget.clear_limit`."""
        self.check(labels)
        self.accounts.change_limits(self.limited(labels), lambda _: None)

    def status(self, line: Line, limits: BudgetLimits) -> BudgetStatus:
        """Describe a line."""
        return BudgetStatus(
            name=self.name,
            scope=self.scope_of(line.key),
            limit_usd=limits.usd,
            spent_usd=line.spent.usd,
            reserved_usd=line.reserved.usd,
            limit_tokens=limits.tokens,
            spent_tokens=line.spent.tokens,
            reserved_tokens=line.reserved.tokens,
            unpriced_calls=line.unpriced_calls,
            starts_at=line.key.span.starts_at,
            resets_at=line.key.span.ends_at,
        )

    def scope_of(self, key: LineKey) -> dict[str, object]:
        """Give the labels of a line."""
        return dict(zip(self.scope, json.loads(key.scope), strict=True))

    def error(self, decision: Decision, request: Request) -> BudgetExceededError:
        """Say why a call does not fit."""
        from langchain_tamma_openai.errors import BudgetExceededError

        status = self.status(decision.line, decision.limits)
        unit: Unit = decision.unit or "usd"
        is_usd = unit == "usd"
        requested = request.bound.usd if is_usd else request.bound.tokens
        limit = status.limit_usd if is_usd else status.limit_tokens
        spent = status.spent_usd if is_usd else status.spent_tokens
        reserved = status.reserved_usd if is_usd else status.reserved_tokens
        amounts = (
            f"limit {_shown(limit)}, spent {_shown(spent)}, reserved {_shown(reserved)}, "
            f"requested {_shown(requested)}"
        )
        model = request.labels.get("model")
        return BudgetExceededError(
            f"The budget {_named(status)} {_COMPLAINTS[decision.verdict]}: {amounts}; "
            f"{_turn(status)}. {_WAYS_OUT[decision.verdict]}",
            budget=self.name,
            scope=status.scope,
            unit=unit,
            limit=limit,
            spent=spent,
            reserved=reserved,
            requested=requested,
            resets_at=status.resets_at,
            model=model if isinstance(model, str) else None,
        )


_COMPLAINTS = {
    Verdict.BUSY: "is reserved by calls under way",
    Verdict.EXCEEDED: "cannot take this call",
    Verdict.UNKNOWN: "cannot be held, because nobody knows the most this call can use",
}
_WAYS_OUT = {
    Verdict.BUSY: "Wait longer with wait_s, lower max_tokens, or raise the limit.",
    Verdict.EXCEEDED: "Lower max_tokens, or raise the limit.",
    Verdict.UNKNOWN: "Give the price with price_overrides, set max_tokens, or let such calls go "
    "with on_unknown_price='allow'.",
}


def label_value(value: object) -> object:
    """Write a label's value so that equal ones are equal text: 7 and "7" are the same user.

    Args:
        value: Any value; a list, tuple or set counts as a set of texts, an empty one as missing.
    """
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, Mapping):
        return json.dumps(value, sort_keys=True, default=str)
    if isinstance(value, Collection) and not isinstance(value, bytes):
        return sorted({str(item) for item in value}) or None
    return str(value)


def _named(status: BudgetStatus) -> str:
    labels = ", ".join(f"{name}={value!r}" for name, value in status.scope.items())
    return f"{status.name!r} for {labels}" if labels else repr(status.name)


def _turn(status: BudgetStatus) -> str:
    if status.resets_at is None:
        return "it never starts anew by itself"
    return f"it starts anew at {status.resets_at.isoformat()}"


def _shown(amount: Decimal | int | None) -> str:
    if amount is None:
        return "an unknown amount"
    if isinstance(amount, Decimal):
        return f"${plain_decimal(amount)}"
    return f"{amount} tokens"


@dataclass(slots=True, eq=False)
class Claim:
    """A reservation of one budget.

    Attributes:
        desk: The budget.
        hold: Keeps it renewed.
        pid: The process that made it; a forked child leaves it to its parent.
    """

    desk: Desk
    hold: Hold
    pid: int

    def end(self, used: Bound, *, sent: bool) -> None:
        """Charge it or give it back."""
        if self.pid == os.getpid():
            self.desk.accounts.settle(Settle(self.hold.key, self.hold.ident, used, sent))

    def give_back(self) -> None:
        """Give it back."""
        self.end(Bound(), sent=False)


@dataclass(frozen=True, slots=True)
class Blocked:
    """Others are in the way.

    Attributes:
        desk: Where.
        key: On which line.
    """

    desk: Desk
    key: LineKey


class Colour(Protocol):
    """What threads and event loops do differently."""

    @property
    def signal(self) -> Signal:
        """Wakes the waiting call."""

    def later(self, work: Callable[[], object]) -> None:
        """Do something nobody waits for."""


class ThreadColour:
    """A thread."""

    def __init__(self) -> None:
        """Belong to the present thread."""
        self.signal = ThreadSignal()

    def later(self, work: Callable[[], object]) -> None:
        """Do it now."""
        work()


class TaskColour:
    """A task of an event loop."""

    def __init__(self) -> None:
        """Belong to the running event loop."""
        self.signal = TaskSignal()
        self._loop = asyncio.get_running_loop()

    def later(self, work: Callable[[], object]) -> None:
        """Let a thread do it."""
        later(self._loop, work)


class _Caller:
    """One call on its way through the budgets."""

    def __init__(self, desks: Sequence[Desk], request: Request, colour: Colour) -> None:
        self.desks = desks
        self.request = request
        self.colour = colour
        self._began_s = time.monotonic()
        self._place: Blocked | None = None
        self._looks = 0

    def left_s(self, desk: Desk) -> float:
        """Say how much longer to wait for a budget."""
        wait_s = desk.wait_s if self.request.wait_s is None else self.request.wait_s
        return self._began_s + wait_s - time.monotonic()

    def move(self, place: Blocked | None) -> None:
        """Leave one line, and stand in another."""
        old, signal = self._place, self.colour.signal
        self._place = place
        if old is not None and old != place:
            old.desk.accounts.room.leave(old.key.ident, signal)
        if place is not None and old != place:
            self._looks = 0
            place.desk.accounts.room.join(place.key.ident, signal)

    def is_next(self, desk: Desk, key: LineKey) -> bool:
        """Say whether nobody waits on a line before this one."""
        return desk.accounts.room.is_first(key.ident, self.colour.signal)

    def pause(self, place: Blocked) -> Pause:
        """Sleep until it is worth looking again."""
        accounts = place.desk.accounts
        look_s = _IDLE_LOOK_S
        if not accounts.store.is_local and self.is_next(place.desk, place.key):
            look_s = min(_LAST_LOOK_S, _FIRST_LOOK_S * 2**self._looks)
            self._looks = min(self._looks + 1, 8)
        return Pause(self.colour.signal, max(0.0, min(look_s, self.left_s(place.desk))))


def reserved_at_once(desks: Sequence[Desk], request: Request) -> tuple[Claim, ...] | None:
    """Reserve with all budgets where nobody is in the way, as is usual; None where somebody is.

    Args:
        desks: The budgets, in the order all calls ask them.
        request: What to reserve.

    Raises:
        StorageError: A store cannot be reached.
    """
    taken: list[Claim] = []
    try:
        for desk in desks:
            claim = _taken_at_once(desk, request)
            if claim is None:
                break
            taken.append(claim)
        else:
            return tuple(taken)
    except BaseException:
        _give_all_back(taken)
        raise
    _give_all_back(taken)
    return None


def _taken_at_once(desk: Desk, request: Request) -> Claim | None:
    accounts = desk.accounts
    now_s = accounts.clock()
    key = desk.key_at(request.labels, now_s)
    if accounts.room.is_occupied(key.ident):
        return None
    claim, wish = _wish(desk, key, request.bound, now_s)
    if desk.on_exceeded == "warn":
        wish = wish._replace(force=True)
    decision = accounts.take(wish, claim.hold)
    if decision.first:
        _warn(desk, decision, request)
    return claim if decision.granted else None


def _give_all_back(claims: Sequence[Claim]) -> None:
    for claim in claims:
        claim.give_back()


def _warn(desk: Desk, decision: Decision, request: Request) -> None:
    error = desk.error(decision, request)
    logger.warning("%s The call goes all the same (on_exceeded='warn').", error)


def _wish(desk: Desk, key: LineKey, bound: Bound, now_s: float) -> tuple[Claim, Take]:
    """Name a reservation that is about to be made."""
    hold = new_hold(key)
    held = Held(hold.ident, key.ident, bound, now_s + desk.accounts.terms.ttl_s)
    return Claim(desk, hold, os.getpid()), Take(key, held, now_s)


def reserving(
    desks: Sequence[Desk], request: Request, colour: Colour
) -> Generator[Step, object, tuple[Claim, ...]]:
    """Reserve with all budgets or with none.

    Args:
        desks: The budgets, in the order all calls ask them.
        request: What to reserve.
        colour: Who waits.

    Returns:
        One claim for each.

    Raises:
        BudgetExceededError: It does not fit, and the budget's policy does not let it go.
        StorageError: A store cannot be reached.
    """
    caller = _Caller(desks, request, colour)
    try:
        while True:
            result = yield from _take_all(caller)
            if not isinstance(result, Blocked):
                return result
            caller.move(result)
            yield from caller.pause(result)
    finally:
        caller.move(None)


def _take_all(caller: _Caller) -> Generator[Step, object, tuple[Claim, ...] | Blocked]:
    taken: list[Claim] = []
    try:
        for desk in caller.desks:
            result = yield from _take_one(caller, desk)
            if isinstance(result, Blocked):
                for claim in taken:
                    yield from Work(claim.give_back, desk.accounts.store.is_local)
                return result
            taken.append(result)
    except BaseException:
        for claim in taken:
            caller.colour.later(claim.give_back)
        raise
    return tuple(taken)


def _take_one(caller: _Caller, desk: Desk) -> Generator[Step, object, Claim | Blocked]:
    key = desk.key(caller.request.labels)
    patient = caller.left_s(desk) > 0
    may_take = not patient or caller.is_next(desk, key)
    claim, decision = yield from _ask(
        caller, desk, key, may_take=may_take, force=desk.on_exceeded == "warn"
    )
    if decision.granted:
        if decision.first:
            _warn(desk, decision, caller.request)
        return claim
    if patient and decision.verdict in {Verdict.FITS, Verdict.BUSY}:
        return Blocked(desk, key)
    error = desk.error(decision, caller.request)
    if callable(desk.on_exceeded):
        answer = yield from Consult(partial(desk.on_exceeded, error))
        if answer is True:
            claim, _ = yield from _ask(caller, desk, key, may_take=True, force=True)
            return claim
    raise error


def _ask(
    caller: _Caller, desk: Desk, key: LineKey, *, may_take: bool, force: bool
) -> Generator[Step, object, tuple[Claim, Decision]]:
    accounts, now_s = desk.accounts, desk.accounts.clock()
    claim, wish = _wish(desk, key, caller.request.bound, now_s)
    wish = wish._replace(may_take=may_take, force=force)
    decision = yield from Work(
        partial(accounts.take, wish, claim.hold),
        accounts.store.is_local,
        lambda found: claim.give_back() if found.granted else None,
    )
    return claim, decision
