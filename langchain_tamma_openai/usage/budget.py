"""Budgets: limits in dollars and tokens that hold however many calls run at once.

Before a request, the most that it can use is set aside in one indivisible step; after it, what it
did use is charged in its place. Nothing can be spent twice, whoever else spends at the same time.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from functools import partial
from itertools import pairwise
from typing import Literal, NoReturn, Self, TypeVar

from langchain_tamma_openai.checks import safe_url
from langchain_tamma_openai.pricing_cost import plain_decimal
from langchain_tamma_openai.resilience.bounds import check_choice, check_seconds, refuse
from langchain_tamma_openai.usage.budget_accounts import Accounts, Settled
from langchain_tamma_openai.usage.budget_amounts import (
    KEEP,
    Bound,
    BudgetLimits,
    Keep,
    Usd,
    read_tokens,
    read_usd,
    refuse_argument,
)
from langchain_tamma_openai.usage.budget_info import (
    BudgetAlert,
    BudgetStatus,
    affordable_output_tokens,
)
from langchain_tamma_openai.usage.budget_reservation import BudgetReservation
from langchain_tamma_openai.usage.budget_reserving import (
    Desk,
    OnExceeded,
    Request,
    TaskColour,
    ThreadColour,
    reserved_at_once,
    reserving,
)
from langchain_tamma_openai.usage.budget_state import Terms
from langchain_tamma_openai.usage.budget_store import open_store
from langchain_tamma_openai.usage.budget_waiting import Work, adrive, drive
from langchain_tamma_openai.usage.budget_windows import BudgetWindow, check_window, window_name

__all__ = [
    "Budget",
    "BudgetAlert",
    "BudgetReservation",
    "BudgetStatus",
    "BudgetWindow",
    "affordable_output_tokens",
    "areserve_all",
    "reserve_all",
]

logger = logging.getLogger(__name__)

T = TypeVar("T")


class Budget:
    """A limit on what calls may cost, or use, in a window of time.

    Threads, event loops and, with a store, processes and machines share it. Copies of a model
    share it too.
    """

    def __init__(  # noqa: PLR0917 - the six that matter most, in the order they are thought of
        self,
        limit_usd: Usd | None = None,
        limit_tokens: int | None = None,
        window: BudgetWindow = None,
        scope: str | Sequence[str] = (),
        on_exceeded: OnExceeded = "raise",
        store: str | None = None,
        *,
        name: str = "default",
        wait_s: float = 30.0,
        reservation_ttl_s: float = 60.0,
        on_abandoned: Literal["charge", "free"] = "charge",
        on_unknown_price: Literal["refuse", "allow"] = "refuse",
        alert_thresholds: Iterable[Usd] = (0.5, 0.8, 1.0),
        on_alert: Callable[[BudgetAlert], object] | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Set the limits. At least one of the two is needed, unless the store knows limits.

        Args:
            limit_usd: Limit in US dollars, exact; a float is read as it prints.
            limit_tokens: Limit in tokens, input and output together.
            window: "day" or "month" of the UTC calendar; a `timedelta` for steps of that length
                counted from 1970; None for a limit that never starts anew.
            scope: Names of labels, such as "organization_id", "user_id", "model", "tags" or any
                key of the run's metadata. Each combination of their values has the whole limit for
                itself; a missing value is a value of its own.
            on_exceeded: What becomes of a call that does not fit: "raise" refuses it, "warn" lets
                it go and logs one warning per window and scope, a function is given the error and
                may return True to let it go.
            store: None for the memory of this process, ``sqlite:///file`` or
                ``postgresql+psycopg://user@host/database`` to share the budget.
            name: Budgets of the same name, window and scope in one store are one budget.
            wait_s: Seconds that a call waits, in turn, while only the reservations of other calls
                are in its way; 0 for not at all.
            reservation_ttl_s: Seconds after which the reservation of a dead process expires. Those
                in use are renewed.
            on_abandoned: What becomes of them: "charge" counts their estimate as spent, because
                the request may have been billed; "free" gives it back.
            on_unknown_price: A call that nobody can price, or bound: "refuse" treats it as not
                fitting, "allow" lets it go while anything is left. Limits that can be held are.
            alert_thresholds: Shares of a limit at which to alert, once per window and scope.
            on_alert: Is given a `BudgetAlert`, in the thread that settled the call; the default
                logs it. What it raises is logged.
            clock: Seconds since 1970.

        Raises:
            ConfigurationError: A value is wrong, or a package for the store is not installed.
            StorageError: The store cannot be reached, or not written to.
        """
        self._made_from: dict[str, object] = {
            key: value for key, value in locals().items() if key != "self"
        }
        limits = BudgetLimits(
            read_usd(limit_usd, "limit_usd", refuse),
            read_tokens(limit_tokens, "limit_tokens", refuse),
        )
        check_window(window)
        names = _scope_names(scope)
        _check_policies(on_exceeded, on_abandoned, on_unknown_price, on_alert)
        if not isinstance(name, str) or not name:
            refuse("name", name, "a text that is not empty")
        if wait_s != 0 or isinstance(wait_s, bool):
            check_seconds(wait_s, "wait_s")
        check_seconds(reservation_ttl_s, "reservation_ttl_s")
        terms = Terms(
            limits,
            on_abandoned,
            _thresholds(alert_thresholds),
            float(reservation_ttl_s),
            on_unknown_price == "allow",
        )
        self._on_alert = on_alert
        opened = open_store(store)
        self._desk = Desk(
            name=name,
            ident=json.dumps([name, window_name(window), list(names)]),
            place=f"memory {id(opened)}" if opened.is_local else safe_url(str(store)),
            window=window,
            scope=names,
            on_exceeded=on_exceeded,
            wait_s=float(wait_s),
            accounts=Accounts(opened, terms, self._tell, clock),
        )
        if limits == BudgetLimits():
            self._look_for_limits()
        elif not opened.is_local:
            self._desk.accounts.declare(self._desk.ident)

    def _look_for_limits(self) -> None:
        _, limits = self._desk.accounts.look(self._desk.key({}))
        if limits == BudgetLimits():
            self.close()
            refuse("limit_usd", None, "a limit in dollars, or else limit_tokens must be given")

    @property
    def name(self) -> str:
        """The budget's name."""
        return self._desk.name

    @property
    def scope(self) -> tuple[str, ...]:
        """Names of the labels that each have a limit of their own."""
        return self._desk.scope

    @property
    def window(self) -> BudgetWindow:
        """How long spending adds up."""
        return self._desk.window

    @property
    def is_local(self) -> bool:
        """Whether it is kept in the memory of this process."""
        return self._desk.accounts.store.is_local

    def __repr__(self) -> str:
        """Show what it is; never a password."""
        limits = self._desk.accounts.terms.limits
        return (
            f"Budget(name={self.name!r}, limit_usd={limits.usd!r}, limit_tokens={limits.tokens!r}, "
            f"window={self.window!r}, scope={self.scope!r})"
        )

    def reserve(
        self,
        upper_usd: Usd | None,
        upper_tokens: int | None = None,
        labels: Mapping[str, object] | None = None,
        *,
        wait_s: float | None = None,
    ) -> BudgetReservation:
        """Set aside the most that a call can use, before it is sent.

        Args:
            upper_usd: The most that it can cost; None when nobody knows.
            upper_tokens: The most tokens it can use; None when nobody knows.
            labels: Whose call it is: "user_id", "model", "tags", keys of the run's metadata.
            wait_s: Seconds to wait instead of the budget's own.

        Returns:
            The reservation, to be settled or released.

        Raises:
            BudgetExceededError: It does not fit.
            InvalidParameterError: A negative or otherwise wrong amount.
            StorageError: The store cannot be reached.
        """
        return reserve_all([self], upper_usd, upper_tokens, labels, wait_s=wait_s)

    async def areserve(
        self,
        upper_usd: Usd | None,
        upper_tokens: int | None = None,
        labels: Mapping[str, object] | None = None,
        *,
        wait_s: float | None = None,
    ) -> BudgetReservation:
        """Set aside the most that a call can use; see `reserve`."""
        return await areserve_all([self], upper_usd, upper_tokens, labels, wait_s=wait_s)

    def status(self, **labels: object) -> BudgetStatus:
        """Describe one line in the present window.

        Args:
            **labels: Values of the labels of the scope; one left out is the missing value.

        Raises:
            InvalidParameterError: A label that is not in the scope.
            StorageError: The store cannot be reached.
        """
        self._desk.check(labels)
        return self._desk.status(*self._desk.accounts.look(self._desk.key(labels)))

    async def astatus(self, **labels: object) -> BudgetStatus:
        """Describe one line; see `status`."""
        return await self._in_thread(partial(self.status, **labels))

    def lines(self) -> list[BudgetStatus]:
        """Describe all lines that have calls in the present window.

        Raises:
            StorageError: The store cannot be reached.
        """
        found = self._desk.accounts.look_at_all(self._desk.ident)
        return [self._desk.status(*line) for line in found]

    async def alines(self) -> list[BudgetStatus]:
        """Describe all lines; see `lines`."""
        return await self._in_thread(self.lines)

    def set_limit(
        self,
        limit_usd: Usd | Keep | None = KEEP,
        limit_tokens: int | Keep | None = KEEP,
        **labels: object,
    ) -> None:
        """Change a limit while programs run. In a store it holds for all, until `clear_limit`.

        Args:
            limit_usd: Limit in dollars; None for no such limit. Left out, it stays.
            limit_tokens: Limit in tokens; None for no such limit. Left out, it stays.
            **labels: Whose limit it is; without any, it is that of all lines without their own.

        Raises:
            InvalidParameterError: A wrong amount or label, or no limit would be left.
            StorageError: The store cannot be reached.
        """
        self._desk.change_limits(labels, limit_usd, limit_tokens)

    async def aset_limit(
        self,
        limit_usd: Usd | Keep | None = KEEP,
        limit_tokens: int | Keep | None = KEEP,
        **labels: object,
    ) -> None:
        """Change a limit while programs run; see `set_limit`."""
        await self._in_thread(partial(self.set_limit, limit_usd, limit_tokens, **labels))

    def clear_limit(self, **labels: object) -> None:
        """Return to the limit that was in force before `set_limit`.

        Args:
            **labels: Whose limit it is; as for `set_limit`.

        Raises:
            InvalidParameterError: A label that is not in the scope.
            StorageError: The store cannot be reached.
        """
        self._desk.clear_limits(labels)

    async def aclear_limit(self, **labels: object) -> None:
        """Return to the limit that was in force before; see `clear_limit`."""
        await self._in_thread(partial(self.clear_limit, **labels))

    def reset(self, **labels: object) -> None:
        """Count a line from 0 again; calls under way stay reserved, and alerts can come again.

        Args:
            **labels: Values of the labels of the scope; one left out is the missing value.

        Raises:
            InvalidParameterError: A label that is not in the scope.
            StorageError: The store cannot be reached.
        """
        self._desk.check(labels)
        self._desk.accounts.reset(self._desk.key(labels))

    async def areset(self, **labels: object) -> None:
        """Count a line from 0 again; see `reset`."""
        await self._in_thread(partial(self.reset, **labels))

    def close(self) -> None:
        """Close connections; the next call opens new ones."""
        self._desk.accounts.close()

    async def aclose(self) -> None:
        """Close connections; the next call opens new ones."""
        await self._in_thread(self.close)

    def __deepcopy__(self, memo: dict[int, object]) -> Self:
        """Stay one budget: a copied model spends from the same purse."""
        return self

    def __copy__(self) -> Self:
        """Stay one budget."""
        return self

    def __reduce__(self) -> tuple[object, ...]:
        """Pickle the settings: another process begins its own memory, or shares the store."""
        return partial(type(self), **self._made_from), ()  # type: ignore[arg-type]  # as given

    async def _in_thread(self, work: Callable[[], T]) -> T:
        return await Work(work, self._desk.accounts.store.is_local).arun()

    def _tell(self, settled: Settled) -> None:
        if not settled.reached:
            return
        status = self._desk.status(settled.line, settled.limits)
        for reached in settled.reached:
            alert = BudgetAlert(Decimal(reached.threshold), reached.unit, status)
            if self._on_alert is None:
                _log(alert)
                continue
            try:
                self._on_alert(alert)
            except Exception:
                logger.exception("on_alert of the budget %r failed; the call goes on.", self.name)


def reserve_all(
    budgets: Iterable[Budget],
    upper_usd: Usd | None,
    upper_tokens: int | None = None,
    labels: Mapping[str, object] | None = None,
    *,
    wait_s: float | None = None,
) -> BudgetReservation:
    """Set aside with all of several budgets, or with none.

    They are asked in an order of their own, the same for every call, so that calls never wait for
    each other in a circle.

    Args:
        budgets: For example one by day and one by month.
        upper_usd: As for `Budget.reserve`, like the rest.
        upper_tokens: The most tokens the call can use; None when nobody knows.
        labels: Whose call it is.
        wait_s: Seconds to wait instead of each budget's own.

    Returns:
        One reservation that stands for all; settling it settles each.

    Raises:
        BudgetExceededError: It does not fit into one of them; nothing stays set aside.
        ConfigurationError: Two of them are the same budget.
        InvalidParameterError: A negative or otherwise wrong amount.
        StorageError: A store cannot be reached.
    """
    request = _request(upper_usd, upper_tokens, labels, wait_s)
    return reserve_at(desks_of(budgets), request)


def reserve_at(desks: Sequence[Desk], request: Request) -> BudgetReservation:
    """Set aside at all desks, or at none; see `reserve_all`.

    Args:
        desks: Of `desks_of`.
        request: What to set aside; its amounts are right.
    """
    claims = reserved_at_once(desks, request)
    if claims is None:
        claims = drive(reserving(desks, request, ThreadColour()))
    return BudgetReservation(claims, request.bound, request.labels)


async def areserve_all(
    budgets: Iterable[Budget],
    upper_usd: Usd | None,
    upper_tokens: int | None = None,
    labels: Mapping[str, object] | None = None,
    *,
    wait_s: float | None = None,
) -> BudgetReservation:
    """Set aside with all of several budgets, or with none; see `reserve_all`."""
    request = _request(upper_usd, upper_tokens, labels, wait_s)
    return await areserve_at(desks_of(budgets), request)


async def areserve_at(desks: Sequence[Desk], request: Request) -> BudgetReservation:
    """Set aside at all desks, or at none; see `reserve_at`."""
    is_local = all(desk.accounts.store.is_local for desk in desks)
    claims = reserved_at_once(desks, request) if is_local else None
    if claims is None:
        claims = await adrive(reserving(desks, request, TaskColour()))
    return BudgetReservation(claims, request.bound, request.labels)


def _request(
    upper_usd: object, upper_tokens: object, labels: Mapping[str, object] | None, wait_s: object
) -> Request:
    if wait_s is not None and (
        isinstance(wait_s, bool) or not isinstance(wait_s, int | float) or not wait_s >= 0
    ):
        refuse_argument("wait_s", wait_s, "a number of seconds, 0 or more")
    if labels is not None and type(labels) is not dict and not isinstance(labels, Mapping):
        refuse_argument("labels", labels, "a mapping such as {'user_id': 'u1'}")
    bound = Bound(
        read_usd(upper_usd, "upper_usd", refuse_argument),
        read_tokens(upper_tokens, "upper_tokens", refuse_argument),
    )
    return Request(bound, labels or {}, None if wait_s is None else float(wait_s))


def desks_of(budgets: Iterable[Budget]) -> list[Desk]:
    """Give the desks of budgets, in the order in which every call asks them.

    Args:
        budgets: The budgets.

    Raises:
        ConfigurationError: Two of them are the same budget.
    """
    desks = [budget._desk for budget in budgets]  # noqa: SLF001 - same module
    if len(desks) == 1:
        return desks
    desks.sort(key=_order)
    for one, other in pairwise(desks):
        if _order(one) == _order(other):
            refuse(
                "budgets",
                one.name,
                "different budgets; give those of equal window and scope names of their own",
            )
    return desks


def _order(desk: Desk) -> tuple[str, str]:
    return desk.place, desk.ident


def _scope_names(scope: object) -> tuple[str, ...]:
    names = (scope,) if isinstance(scope, str) else scope
    expected = "names of labels, each once, such as ('organization_id', 'user_id')"
    if not isinstance(names, Sequence):
        refuse("scope", scope, expected)
    found = tuple(name for name in names if isinstance(name, str) and name)
    if len(set(found)) != len(names):
        refuse("scope", scope, expected)
    return found


def _check_policies(
    on_exceeded: object, on_abandoned: object, on_unknown_price: object, on_alert: object
) -> None:
    if not callable(on_exceeded) and on_exceeded not in ("raise", "warn"):
        refuse("on_exceeded", on_exceeded, "'raise', 'warn' or a function")
    check_choice(on_abandoned, "on_abandoned", ("charge", "free"))
    check_choice(on_unknown_price, "on_unknown_price", ("refuse", "allow"))
    if on_alert is not None and not callable(on_alert):
        refuse("on_alert", on_alert, "a function that takes a BudgetAlert")


def _thresholds(thresholds: object) -> tuple[str, ...]:
    expected = "shares of a limit greater than 0, such as (0.5, 0.8, 1.0)"
    if isinstance(thresholds, str) or not isinstance(thresholds, Iterable):
        refuse("alert_thresholds", thresholds, expected)
    shares = [read_usd(share, "alert_thresholds", _refuse_share) for share in thresholds]
    if not all(shares):
        refuse("alert_thresholds", thresholds, expected)
    return tuple(plain_decimal(share) or "" for share in sorted({s for s in shares if s}))


def _refuse_share(field: str, value: object, _expected: str) -> NoReturn:
    refuse(field, value, "shares of a limit greater than 0, such as (0.5, 0.8, 1.0)")


def _log(alert: BudgetAlert) -> None:
    status = alert.status
    is_usd = alert.unit == "usd"
    logger.log(
        logging.WARNING if alert.threshold >= 1 else logging.INFO,
        "The budget %r %s has used %s %% of its limit: %s of %s %s.",
        status.name,
        dict(status.scope) or "",
        plain_decimal(alert.threshold * 100),
        status.spent_usd if is_usd else status.spent_tokens,
        status.limit_usd if is_usd else status.limit_tokens,
        "US dollars" if is_usd else "tokens",
    )
