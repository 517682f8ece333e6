"""The accounts of one budget: its store, who waits, and which reservations are in use."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import NamedTuple, TypeVar
from weakref import WeakSet

from langchain_tamma_openai.usage import budget_state as state
from langchain_tamma_openai.usage.budget_amounts import BudgetLimits
from langchain_tamma_openai.usage.budget_holds import Hold, LiveHolds
from langchain_tamma_openai.usage.budget_state import (
    Decision,
    Line,
    LineKey,
    Reached,
    Settle,
    Take,
    Terms,
    Transaction,
)
from langchain_tamma_openai.usage.budget_store import BudgetStore
from langchain_tamma_openai.usage.budget_waiting import WaitingRoom

logger = logging.getLogger(__name__)

T = TypeVar("T")

_RENEWALS_PER_LIFE = 3


class Settled(NamedTuple):
    """What a line looks like after a call, and what to tell.

    Attributes:
        line: The line.
        limits: Its limits.
        reached: Alerts now due.
    """

    line: Line
    limits: BudgetLimits
    reached: tuple[Reached, ...]


class Accounts:
    """Runs the decisions of `budget_state` on a store, for threads and for the collector."""

    def __init__(
        self,
        store: BudgetStore,
        terms: Terms,
        tell: Callable[[Settled], None],
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Start with nothing in use.

        Args:
            store: Keeps the lines.
            terms: How they are kept.
            tell: Called with alerts after a step.
            clock: Seconds since 1970.
        """
        self.store = store
        self.terms = terms
        self.clock = clock
        self._tell = tell
        self._begin()
        _accounts.add(self)

    def _begin(self) -> None:
        self.room = WaitingRoom()
        self._turn = _Turn()
        self._notes: deque[Settle] = deque()
        self._live = LiveHolds()
        self._renewer_lock = threading.Lock()
        self._renewer: threading.Thread | None = None

    def after_fork(self) -> None:
        """Leave to the parent process what is the parent's."""
        self.store.after_fork()
        self._begin()

    def take(self, wish: Take, hold: Hold) -> Decision:
        """Reserve if it fits; see `budget_state.take`.

        Raises:
            StorageError: The store cannot be reached.
        """
        self._live.add(hold)  # before, so that it is never taken for abandoned
        decision = self._run(lambda step: state.take(step, self.terms, wish, self._live))
        if not decision.granted:
            self._live.drop(hold.ident)
        elif not self.store.is_local:
            self._start_renewer()
        return decision

    def settle(self, end: Settle) -> None:
        """Charge a call in place of its reservation. Never fails: what cannot be written is kept.

        Args:
            end: How the call ended.
        """
        self._live.drop(end.ident)
        if self._turn.inside:
            # From the garbage collector, in the midst of a step; the end of that step writes it.
            self._notes.append(end)
        elif self._write_end(end):
            self._do_notes()

    def _do_notes(self) -> None:
        while self._notes:
            try:
                end = self._notes.popleft()
            except IndexError:  # another thread took it
                return
            if not self._write_end(end):
                return

    def _write_end(self, end: Settle) -> bool:
        try:
            found = self._step(lambda step: state.settle(step, self.terms, end))
        except Exception as error:
            from langchain_tamma_openai.errors import StorageError

            if not isinstance(error, StorageError):
                raise
            self._notes.append(end)
            logger.warning(
                "The end of a call could not be written to its budget. It is tried again with the "
                "next call; until then its reservation counts. %s",
                error,
            )
            return False
        self.room.wake(end.key.ident)
        if found is not None:
            line, limits, reached = found
            if reached:
                self._tell(Settled(line, limits, tuple(reached)))
        return True

    def renew(self, hold: Hold) -> None:
        """Put off the expiry of a reservation.

        Raises:
            StorageError: The store cannot be reached.
        """
        self._renew(hold.key, [hold.ident])

    def keep_until(self, hold: Hold, expires_at_s: float) -> None:
        """Let a reservation live until a moment, whether or not anybody renews it.

        Args:
            hold: The reservation.
            expires_at_s: Seconds since 1970.

        Raises:
            StorageError: The store cannot be reached.
        """
        self._live.drop(hold.ident)
        self._run(lambda step: state.renew(step, hold.key, [hold.ident], expires_at_s))

    def _renew(self, key: LineKey, idents: list[str]) -> None:
        expires_at_s = self.clock() + self.terms.ttl_s
        self._run(lambda step: state.renew(step, key, idents, expires_at_s))

    def look(self, key: LineKey) -> tuple[Line, BudgetLimits]:
        """Give the present state of a line.

        Raises:
            StorageError: The store cannot be reached.
        """
        return self._run(lambda step: self._look(step, key))

    def look_at_all(self, budget: str) -> list[tuple[Line, BudgetLimits]]:
        """Give the present state of all lines of the present windows.

        Raises:
            StorageError: The store cannot be reached.
        """
        keys = self._run(lambda step: step.keys(budget, self.clock()))
        return [self.look(key) for key in keys]

    def _look(self, step: Transaction, key: LineKey) -> tuple[Line, BudgetLimits]:
        line = step.find(key)
        if line is None:
            line = Line(key)
        else:
            state.sweep(step, self.terms, line, self.clock(), self._live)
        return line.copy(), state.limits_of(step, self.terms, key)

    def reset(self, key: LineKey) -> None:
        """Begin a line anew.

        Raises:
            StorageError: The store cannot be reached.
        """
        self._run(lambda step: state.reset(step, key))
        self.room.wake(key.ident)

    def change_limits(
        self, key: LineKey, change: Callable[[BudgetLimits], BudgetLimits | None]
    ) -> None:
        """Keep other limits.

        Args:
            key: The line whose limits they are; `EVERY_LINE` as its scope for all.
            change: Given the limits that hold, returns those to keep; None forgets those kept.

        Raises:
            StorageError: The store cannot be reached.
        """

        def job(step: Transaction) -> None:
            limits = change(state.limits_of(step, self.terms, key))
            step.keep_limits(key.budget, key.scope, limits)

        self._run(job)
        self.room.wake_all()

    def declare(self, budget: str) -> None:
        """Write down the limits of this program, for whoever looks at the store from outside.

        Args:
            budget: Which budget they are given to.

        Raises:
            StorageError: The store cannot be reached.
        """

        def job(step: Transaction) -> None:
            if step.limits(budget, state.DECLARED)[0] != self.terms.limits:
                step.keep_limits(budget, state.DECLARED, self.terms.limits)

        self._run(job)

    def close(self) -> None:
        """Write what is left to write and close connections."""
        self._do_notes()
        self.store.close()

    def _run(self, job: Callable[[Transaction], T]) -> T:
        result = self._step(job)
        self._do_notes()
        return result

    def _step(self, job: Callable[[Transaction], T]) -> T:
        if self._turn.inside:
            from langchain_tamma_openai.errors import StorageError

            raise StorageError(
                "A budget was asked by the garbage collector, or a signal handler, in the midst "
                "of its own work; call the model from ordinary code"
            )
        self._turn.inside = True
        try:
            return self.store.run(job)
        finally:
            self._turn.inside = False

    def _start_renewer(self) -> None:
        with self._renewer_lock:
            if self._renewer is None:
                self._renewer = threading.Thread(
                    target=self._keep_renewing, name="budget-renewer", daemon=True
                )
                self._renewer.start()

    def _keep_renewing(self) -> None:
        """Renew what is in use; end when nothing was for a while."""
        while True:
            time.sleep(self.terms.ttl_s / _RENEWALS_PER_LIFE)
            if not self._renew_all():
                with self._renewer_lock:
                    if not self._live.by_line():
                        self._renewer = None
                        return

    def _renew_all(self) -> bool:
        from langchain_tamma_openai.errors import StorageError

        by_line = self._live.by_line()
        try:
            for key, idents in by_line.items():
                self._renew(key, idents)
        except StorageError as error:  # the next round tries again
            logger.warning("Reservations of a budget could not be renewed: %s", error)
        return bool(by_line)


class _Turn(threading.local):
    """Whether this thread is in the midst of a step."""

    inside = False


_accounts: WeakSet[Accounts] = WeakSet()


def _after_fork() -> None:
    for accounts in list(_accounts):
        accounts.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
