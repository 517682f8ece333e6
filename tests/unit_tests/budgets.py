"""Budgets for tests: a clock that stands still, and both stores that need no server."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from langchain_tamma_openai.usage.budget import Budget

NOON = datetime(2026, 11, 24, 12, 0, tzinfo=UTC).timestamp()


class Clock:
    """Seconds since 1970 that pass when told to."""

    def __init__(self, now_s: float = NOON) -> None:
        self.now_s = now_s

    def __call__(self) -> float:
        """Tell the time."""
        return self.now_s

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self.now_s += seconds

    def set(self, *moment: int) -> None:
        """Set a date and time, in UTC."""
        year, month, day, hour, minute, second = (*moment, 0, 0, 0)[:6]
        self.now_s = datetime(year, month, day, hour, minute, second, tzinfo=UTC).timestamp()


class Budgets:
    """Makes budgets on one store and closes them."""

    def __init__(self, store: str | None, clock: Clock) -> None:
        self.store = store
        self.clock = clock
        self._made: list[Budget] = []

    def make(self, limit_usd: object = None, **settings: object) -> Budget:
        """Make a budget that does not wait and goes by the test's clock."""
        options: dict[str, object] = {
            "limit_usd": limit_usd,
            "store": self.store,
            "clock": self.clock,
            "wait_s": 0,
            "reservation_ttl_s": 60.0,
            **settings,
        }
        budget = Budget(**options)  # type: ignore[arg-type]  # the options of a test
        self._made.append(budget)
        return budget

    def close(self) -> None:
        """Close all."""
        for budget in self._made:
            budget.close()


@contextmanager
def open_budgets(kind: str, folder: Path) -> Iterator[Budgets]:
    """Offer budgets in memory, or in a file of their own."""
    store = None if kind == "memory" else f"sqlite:///{folder / 'budgets.db'}"
    budgets = Budgets(store, Clock())
    try:
        yield budgets
    finally:
        budgets.close()
