"""Keeps the slots of running calls from expiring, for as long as their process lives."""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

if TYPE_CHECKING:
    from langchain_tamma_openai.resilience.limits_store import Ticket


class LeaseKeeper:
    """Renews leases from a thread that exists only while there are any."""

    def __init__(self, renew: Callable[[dict[str, str]], None], every_s: float) -> None:
        """Start without leases and without a thread.

        Args:
            renew: Given the key of each call that holds a slot; must not raise.
            every_s: Seconds between renewals.
        """
        self._renew = renew
        self._every_s = every_s
        self.after_fork()

    def after_fork(self) -> None:
        """Forget the leases of the parent process, which keeps them."""
        self._tickets: WeakValueDictionary[str, Ticket] = WeakValueDictionary()
        self._lock = threading.Lock()
        self._stop: SimpleQueue[None] | None = None

    def hold(self, ticket: Ticket) -> None:
        """Renew a lease from now on, until it is dropped or its ticket is no more."""
        with self._lock:
            self._tickets[ticket.ident] = ticket
            if self._stop is None:
                self._stop = SimpleQueue()
                threading.Thread(
                    target=self._run, args=(self._stop,), name="rate-limit-leases", daemon=True
                ).start()

    def drop(self, ident: str) -> None:
        """Renew it no longer; the thread ends with the last one. Never waits for a lock."""
        if self._tickets.pop(ident, None) is not None and not self._tickets:
            stop = self._stop
            if stop is not None:
                stop.put(None)

    def _run(self, stop: SimpleQueue[None]) -> None:
        while True:
            try:
                stop.get(timeout=self._every_s)
            except Empty:
                if keys := {ticket.ident: ticket.key for ticket in self._tickets.values()}:
                    self._renew(keys)
            with self._lock:
                if not self._tickets:
                    self._stop = None
                    return
