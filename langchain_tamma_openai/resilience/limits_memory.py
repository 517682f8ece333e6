"""Rate limits of one process, shared by its threads and event loops."""

from __future__ import annotations

import os
import threading
import time
import weakref
from collections import OrderedDict, deque
from collections.abc import Callable

from langchain_tamma_openai.resilience.limits_info import RateLimitInfo
from langchain_tamma_openai.resilience.limits_meter import Limits, Meter
from langchain_tamma_openai.resilience.limits_store import (
    RECHECK_PER_PLACE_S,
    RECHECK_S,
    Note,
    Observe,
    Release,
    Settle,
    Ticket,
    too_large,
)

MOST_KEYS = 1000
"""Keys beyond this many are forgotten, the least recently used first, unless calls wait there."""


class Line:
    """One key: its meter and the calls that wait, in the order they came."""

    def __init__(self, meter: Meter) -> None:
        """Start with nobody waiting.

        Args:
            meter: Decides when a call may go.
        """
        self.meter = meter
        self.waiting: dict[str, Ticket] = {}

    @property
    def idle(self) -> bool:
        """Whether nobody waits here and nobody is under way."""
        return not (self.waiting or self.meter.calls_with_slot or self.meter.under_way)

    def advance(self, now_s: float) -> None:
        """Let through whoever is due, in order, on behalf of those who are asleep.

        A task of an event loop that stands still is let through too, so that it blocks nobody.
        """
        while (head := next(iter(self.waiting.values()), None)) is not None:
            if head.signal.alive and not self._is_too_large(head):
                if not self._may_go(head, now_s):
                    return
                self._let_through(head, now_s)
            del self.waiting[head.ident]
            head.signal.wake()

    def _may_go(self, ticket: Ticket, now_s: float) -> bool:
        if ticket.slot and not self.meter.has_slot:
            return False
        return self.meter.due_s(ticket.tokens, now_s) <= now_s

    def _let_through(self, ticket: Ticket, now_s: float) -> None:
        ticket.grant = self.meter.let_through(
            ticket.ident, ticket.tokens, now_s, ticket if ticket.slot else None
        )

    def _is_too_large(self, ticket: Ticket) -> bool:
        limit = self.meter.tokens.limit
        return limit is not None and ticket.tokens > limit

    def take(self, ticket: Ticket, now_s: float) -> float | None:
        """Let a call through or put it in line; see `Store.take`."""
        if ticket.grant is None and self._is_too_large(ticket):
            limit = self.meter.tokens.limit or 0.0
            raise too_large(ticket.tokens, limit, ticket.key)
        if not self.waiting and ticket.grant is None and self._may_go(ticket, now_s):
            self._let_through(ticket, now_s)  # nobody is before it: it needs no place in the line
            return None
        if ticket.grant is None:
            self.waiting.setdefault(ticket.ident, ticket)
        self.advance(now_s)
        if ticket.grant is not None:
            return None
        wait_s = self._next_look_s(ticket, now_s)
        if not ticket.waits:
            del self.waiting[ticket.ident]
        return wait_s

    def _next_look_s(self, ticket: Ticket, now_s: float) -> float:
        """Only the head knows when it is due; the others are woken, and look again in case."""
        if next(iter(self.waiting), None) != ticket.ident:
            return RECHECK_S + RECHECK_PER_PLACE_S * len(self.waiting)
        due_s = self.meter.due_s(ticket.tokens, now_s) - now_s
        return due_s if due_s > 0 else RECHECK_S  # a slot becomes free without a time

    def apply(self, note: Note, now_s: float) -> None:
        """Do what a note says and see who may go now."""
        meter = self.meter
        if isinstance(note, Observe):
            ident, grant = "", None
            if note.ticket is not None:
                ident, grant = note.ticket.ident, note.ticket.grant
            meter.observe(note.info, ident, grant, now_s, refused=note.refused)
        elif isinstance(note, Release):
            if note.excess_tokens:
                meter.tokens.correct(note.excess_tokens, now_s)
            meter.release(note.ticket.ident)
        elif isinstance(note, Settle):
            meter.tokens.correct(note.excess_tokens, now_s)
        else:
            self.waiting.pop(note.ticket.ident, None)
            if note.ticket.grant is not None:
                meter.give_back(note.ticket.ident, note.ticket.grant, now_s)
        if self.waiting:
            self.advance(now_s)
            self.wake_head()

    def wake_head(self) -> None:
        """Let the head of the line look at the time again."""
        if (head := next(iter(self.waiting.values()), None)) is not None:
            head.signal.wake()


class MemoryStore:
    """Lines of one process.

    Whatever ends or corrects a call is put down as a note and done by whoever holds the lock, so
    that it never waits: it may come from the garbage collector, in the midst of another decision.
    """

    joins_ends = True

    def __init__(self, limits: Limits, clock: Callable[[], float] = time.monotonic) -> None:
        """Start empty.

        Args:
            limits: For each key.
            clock: Seconds that pass evenly.
        """
        self._limits = limits
        self.clock = clock
        self._lines: OrderedDict[str, Line] = OrderedDict()
        self._notes: deque[Note] = deque()
        self._lock = threading.Lock()
        _stores.add(self)

    def after_fork(self) -> None:
        """Start without the parent's waiting calls: they are not in this process."""
        self._lock = threading.Lock()
        self._notes.clear()
        for line in self._lines.values():
            line.waiting.clear()
            line.meter.slots.clear()
            line.meter.under_way.clear()

    def take(self, ticket: Ticket) -> float | None:
        """Let a call through or put it in line; see `Store.take`."""
        ticket.store = self
        try:
            with self._lock:
                self._do_notes()
                line = self._line(ticket.key)
                head = next(iter(line.waiting), None)
                wait_s = line.take(ticket, self.clock())
                if line.waiting and next(iter(line.waiting)) not in {head, ticket.ident}:
                    line.wake_head()
                return wait_s
        finally:
            self._tidy()

    def _line(self, key: str) -> Line:
        if (line := self._lines.get(key)) is None:
            self._forget_idle()
            line = self._lines[key] = Line(Meter.of(self._limits, self.clock()))
        if len(self._lines) > 1:
            self._lines.move_to_end(key)
        return line

    def _forget_idle(self) -> None:
        surplus = len(self._lines) - MOST_KEYS + 1
        if surplus > 0:
            idle = [key for key, line in self._lines.items() if line.idle]
            for key in idle[:surplus]:
                del self._lines[key]

    def tell(self, note: Note) -> None:
        """Take note of what became of a call.

        Where nobody waits for it, the next call does what is noted: it comes to the same then. What
        an answer says holds from now on, and is done at once.
        """
        self._notes.append(note)
        if isinstance(note, Observe) or self._is_waited_for(note.ticket.key):
            self._tidy()

    def _is_waited_for(self, key: str) -> bool:
        line = self._lines.get(key)
        return line is not None and bool(line.waiting)

    def _tidy(self) -> None:
        """Do what was noted. If another thread has the lock, it will do it when it lets go."""
        while self._notes and self._lock.acquire(blocking=False):
            try:
                self._do_notes()
            finally:
                self._lock.release()

    def _do_notes(self) -> None:
        while self._notes:
            note = self._notes.popleft()
            line = self._line(note.key if isinstance(note, Observe) else note.ticket.key)
            line.apply(note, self.clock())

    def status(self, key: str) -> RateLimitInfo:
        """Describe the present."""
        try:
            with self._lock:
                self._do_notes()
                line = self._line(key)
                return line.meter.info(self.clock(), len(line.waiting))
        finally:
            self._tidy()

    async def atake(self, ticket: Ticket) -> float | None:
        """Let a call through or put it in line."""
        return self.take(ticket)

    async def atell(self, note: Note) -> None:
        """Take note of what became of a call."""
        self.tell(note)

    async def astatus(self, key: str) -> RateLimitInfo:
        """Describe the present."""
        return self.status(key)

    def close(self) -> None:
        """Do nothing: there is nothing to close."""

    async def aclose(self) -> None:
        """Do nothing: there is nothing to close."""


_stores: weakref.WeakSet[MemoryStore] = weakref.WeakSet()


def _after_fork() -> None:
    for store in list(_stores):
        store.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
