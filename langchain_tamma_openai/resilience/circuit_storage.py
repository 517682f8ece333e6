"""Where circuits live: in this process, or in Redis for all processes and machines."""

from __future__ import annotations

import itertools
import logging
import os
import threading
import time
from collections.abc import Callable
from typing import Literal, Protocol

from langchain_tamma_openai.checks import safe_url
from langchain_tamma_openai.resilience.bounds import check_choice, refuse
from langchain_tamma_openai.resilience.circuit_state import Circuit, CircuitRules, Outcome, Step

logger = logging.getLogger(__name__)

OnStorageError = Literal["open", "closed"]
"""What a call does when the shared storage cannot be reached: ``open`` lets it go out, watched by
this process alone; ``closed`` refuses it."""

MEMORY_URL = "memory://"
REDIS_SCHEMES = ("redis://", "rediss://", "unix://")
_CROWDED = 256
_REST_S = 5.0
_UNTOUCHED = Step()


class CircuitStorage(Protocol):
    """Keeps circuits by name and moves each of them in one indivisible step."""

    @property
    def is_remote(self) -> bool:
        """Whether asking it waits for a network."""

    def admit(self, name: str) -> Step:
        """Decide whether a call may go out; see `Circuit.admit`."""

    def settle(self, name: str, permit: Step, outcome: Outcome, reason: str) -> Step:
        """Take note of how a call ended; see `Circuit.settle`."""

    def look(self, name: str) -> Step:
        """Say what the next call would find."""

    def forget(self, name: str) -> None:
        """Close a circuit by hand."""

    def check(self) -> None:
        """Make sure that it can be asked."""


class MemoryStorage:
    """Circuits of this process. Safe for threads; a forked child starts with none."""

    is_remote = False

    def __init__(self, rules: CircuitRules, clock: Callable[[], float] = time.monotonic) -> None:
        """Start empty.

        Args:
            rules: When to open and close.
            clock: Seconds on a clock that never goes back.
        """
        self._rules = rules
        self._clock = clock
        self._tokens = itertools.count()
        self._start()

    def _start(self) -> None:
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._circuits: dict[str, Circuit] = {}

    def admit(self, name: str) -> Step:
        """Decide whether a call may go out; free of locks while nothing has failed."""
        self._leave_parent()
        circuit = self._circuits.get(name)
        if circuit is None:
            return _UNTOUCHED
        with self._lock:
            return circuit.admit(self._clock(), str(next(self._tokens)))

    def settle(self, name: str, permit: Step, outcome: Outcome, reason: str) -> Step:
        """Take note of how a call ended."""
        self._leave_parent()
        with self._lock:
            circuit = self._circuits.get(name)
            if circuit is None:
                if outcome is not Outcome.FAILURE:
                    return _UNTOUCHED
                self._make_room()
                circuit = self._circuits[name] = Circuit(self._rules)
            return circuit.settle(self._clock(), permit, outcome, reason)

    def look(self, name: str) -> Step:
        """Say what the next call would find."""
        self._leave_parent()
        with self._lock:
            circuit = self._circuits.get(name)
            return _UNTOUCHED if circuit is None else circuit.look(self._clock())

    def forget(self, name: str) -> None:
        """Close a circuit by hand."""
        self._leave_parent()
        with self._lock:
            self._circuits.pop(name, None)

    def check(self) -> None:
        """Do nothing: memory is always there."""

    def _leave_parent(self) -> None:
        if self._pid != os.getpid():
            # A thread that was not forked may have held the lock, and the probes were the parent's.
            self._start()

    def _make_room(self) -> None:
        if len(self._circuits) < _CROWDED:
            return
        now_s = self._clock()
        self._circuits = {n: c for n, c in self._circuits.items() if c.kept_until_s > now_s}


class WatchedStorage:
    """Shared circuits, and what to do while their storage cannot be reached.

    A call that is over is never failed for the storage's sake: its end is then not recorded.
    """

    is_remote = True

    def __init__(
        self,
        shared: CircuitStorage,
        local: CircuitStorage,
        on_error: OnStorageError,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Watch a storage.

        Args:
            shared: The storage of all processes; raises `StorageError` when it is lost.
            local: Serves in its place where calls go on.
            on_error: Whether they do.
            clock: Seconds on a clock that never goes back.
        """
        self._shared = shared
        self._local = local
        self._on_error = on_error
        self._clock = clock
        self._lost_until_s: float | None = None

    def admit(self, name: str) -> Step:
        """Decide whether a call may go out.

        Raises:
            StorageError: The storage is lost and `on_storage_error` is "closed".
        """
        return self._ask(lambda storage: storage.admit(name))

    def look(self, name: str) -> Step:
        """Say what the next call would find.

        Raises:
            StorageError: As for `admit`.
        """
        return self._ask(lambda storage: storage.look(name))

    def settle(self, name: str, permit: Step, outcome: Outcome, reason: str) -> Step:
        """Take note of how a call ended, wherever that can be noted."""
        return self._ask(lambda storage: storage.settle(name, permit, outcome, reason), over=True)

    def forget(self, name: str) -> None:
        """Close a circuit by hand, everywhere.

        Raises:
            StorageError: The storage is lost; the circuit may be open for others.
        """
        self._local.forget(name)
        self._shared.forget(name)

    def check(self) -> None:
        """Make sure that the shared storage answers.

        Raises:
            ConfigurationError: It does not.
        """
        self._shared.check()

    def _ask(self, question: Callable[[CircuitStorage], Step], *, over: bool = False) -> Step:
        from langchain_tamma_openai.errors import StorageError

        if self._on_error == "open" and self._is_resting():
            return question(self._local)
        try:
            answer = question(self._shared)
        except StorageError as error:
            self._note_loss(error)
            if self._on_error == "closed" and not over:
                raise
            return question(self._local)
        if self._lost_until_s is not None:
            self._lost_until_s = None
            logger.warning("The shared circuit storage is back.")
        return answer

    def _is_resting(self) -> bool:
        return self._lost_until_s is not None and self._clock() < self._lost_until_s

    def _note_loss(self, error: Exception) -> None:
        if self._lost_until_s is None:
            calls = "are refused" if self._on_error == "closed" else "go on, watched locally"
            logger.warning("The shared circuit storage is lost; calls %s: %s", calls, error)
        self._lost_until_s = self._clock() + _REST_S


def open_storage(
    url: str,
    rules: CircuitRules,
    *,
    key_prefix: str,
    on_error: OnStorageError,
    clock: Callable[[], float] | None,
) -> CircuitStorage:
    """Choose the storage that a URL names; nothing is connected yet.

    Args:
        url: ``memory://``, or a Redis URL.
        rules: When to open and close.
        key_prefix: First part of every Redis key.
        on_error: What calls do when Redis is lost.
        clock: Seconds; None for this process's clock in memory, the server's in Redis.

    Raises:
        ConfigurationError: Another scheme, or the package `redis` is not installed.
    """
    check_choice(on_error, "on_storage_error", ("open", "closed"))
    local = MemoryStorage(rules, clock or time.monotonic)
    if url == MEMORY_URL:
        return local
    if not isinstance(url, str) or not url.startswith(REDIS_SCHEMES):
        shown = safe_url(url) if isinstance(url, str) else url
        refuse("storage", shown, "memory:// or redis://host:6379/0 (also rediss:// and unix://)")
    from langchain_tamma_openai.resilience.circuit_redis import RedisStorage

    return WatchedStorage(RedisStorage(url, rules, key_prefix, clock), local, on_error)
