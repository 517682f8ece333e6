"""Where the lines of a budget live: in this process, or in a database for all of them."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable
from typing import Protocol, TypeVar

from langchain_tamma_openai.checks import safe_url
from langchain_tamma_openai.resilience.bounds import refuse
from langchain_tamma_openai.usage.budget_amounts import Amounts, BudgetLimits
from langchain_tamma_openai.usage.budget_state import (
    EVERY_LINE,
    Held,
    HeldState,
    Line,
    LineKey,
    Transaction,
)

T = TypeVar("T")

_MEMORY = "memory"
_SCHEMES = ("sqlite:///", "postgresql+psycopg://", "postgresql://")
_EXPECTED = (
    "None (memory of this process), 'sqlite:///file' or 'postgresql+psycopg://user@host/database'"
)


class BudgetStore(Protocol):
    """Keeps lines and changes them in indivisible steps."""

    @property
    def is_local(self) -> bool:
        """Whether it is this process's memory, which nobody waits for."""

    def run(self, job: Callable[[Transaction], T]) -> T:
        """Do a step, wholly or not at all.

        Raises:
            StorageError: The store cannot be reached.
        """

    def after_fork(self) -> None:
        """Leave to the parent process what is the parent's."""

    def close(self) -> None:
        """Close connections; the next step opens new ones."""


class MemoryStore:
    """Lines of this process. A forked child starts with a copy, without the calls under way."""

    is_local = True

    def __init__(self) -> None:
        """Start empty."""
        self._step = _MemoryStep()
        self._lock = threading.Lock()

    def run(self, job: Callable[[Transaction], T]) -> T:
        """Do a step while nobody else does one."""
        with self._lock:
            return job(self._step)

    def after_fork(self) -> None:
        """Forget the calls under way: they are not in this process."""
        self._lock = threading.Lock()
        self._step.forget_reservations()

    def close(self) -> None:
        """Do nothing: there is nothing to close."""


class _MemoryStep:
    def __init__(self) -> None:
        self._lines: dict[str, Line] = {}
        self._held: dict[str, Held] = {}
        self._held_of: defaultdict[str, dict[str, Held]] = defaultdict(dict)
        self._limits: dict[tuple[str, str], BudgetLimits] = {}

    def find(self, key: LineKey) -> Line | None:
        return self._lines.get(key.ident)

    def create(self, key: LineKey) -> Line:
        return Line(key)

    def save(self, line: Line) -> None:
        self._lines[line.key.ident] = line

    def keys(self, budget: str, now_s: float) -> list[LineKey]:
        found = [line.key for line in self._lines.values() if line.key.budget == budget]
        return [key for key in found if _end_s(key) is None or (_end_s(key) or 0) > now_s]

    def held(self, ident: str) -> Held | None:
        return self._held.get(ident)

    def overdue(self, line: str, now_s: float) -> list[Held]:
        return [held for held in self._live(line) if held.expires_at_s <= now_s]

    def next_expiry_s(self, line: str) -> float | None:
        return min((held.expires_at_s for held in self._live(line)), default=None)

    def _live(self, line: str) -> list[Held]:
        every = self._held_of.get(line, {}).values()
        return [held for held in every if held.state is HeldState.LIVE]

    def hold(self, held: Held) -> None:
        self._held[held.ident] = self._held_of[held.line][held.ident] = held

    def drop(self, ident: str) -> None:
        if (held := self._held.pop(ident, None)) is not None:
            del self._held_of[held.line][ident]

    def forget_abandoned(self, line: str) -> None:
        for held in list(self._held_of[line].values()):
            if held.state is not HeldState.LIVE:
                self.drop(held.ident)

    def limits(self, budget: str, scope: str) -> tuple[BudgetLimits | None, BudgetLimits | None]:
        if not self._limits:
            return None, None
        return self._limits.get((budget, scope)), self._limits.get((budget, EVERY_LINE))

    def keep_limits(self, budget: str, scope: str, limits: BudgetLimits | None) -> None:
        self._limits.pop((budget, scope), None)
        if limits is not None:
            self._limits[budget, scope] = limits

    def forget_ended(self, budget: str, before_s: float) -> None:
        for ident, line in list(self._lines.items()):
            end_s = _end_s(line.key)
            if line.key.budget == budget and end_s is not None and end_s < before_s:
                if self._live(ident):
                    continue
                self.forget_abandoned(ident)
                del self._lines[ident], self._held_of[ident]

    def forget_reservations(self) -> None:
        self._held.clear()
        self._held_of.clear()
        for ident, line in self._lines.items():
            fresh = line.copy()
            fresh.reserved, fresh.earliest_expiry_s = Amounts(), None
            self._lines[ident] = fresh


def _end_s(key: LineKey) -> float | None:
    return None if key.span.ends_at is None else key.span.ends_at.timestamp()


def open_store(store: object) -> BudgetStore:
    """Choose the store that a URL names, and make sure that it can be used.

    Args:
        store: A URL; None or "memory" for the memory of this process.

    Raises:
        ConfigurationError: Another scheme, or a package is not installed.
        StorageError: The database cannot be reached, or not written to.
    """
    if store is None or store == _MEMORY:
        return MemoryStore()
    if not isinstance(store, str):
        refuse("store", store, _EXPECTED)
    if not store.startswith(_SCHEMES) or store in {"sqlite:///", "sqlite:///:memory:"}:
        refuse("store", safe_url(store), _EXPECTED)
    try:
        from langchain_tamma_openai.usage.budget_sql import SqlStore
    except ModuleNotFoundError as missing:
        raise not_installed("sql", missing) from missing
    return SqlStore(store)


def not_installed(extra: str, missing: ModuleNotFoundError) -> Exception:
    """Say which extra brings a package.

    Args:
        extra: The extra.
        missing: What was not found.
    """
    from langchain_tamma_openai.errors import ConfigurationError

    return ConfigurationError(
        f"store: a budget in a database needs the package {missing.name!r}, which is not "
        f"installed; run: pip install 'langchain-tamma-openai[{extra}]'",
        param="store",
    )
