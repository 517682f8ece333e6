"""How much time is left for a call, whatever it spends it on."""

from __future__ import annotations

import time
from collections.abc import Callable

DEADLINE = "deadline"
"""Our code for a call that took longer than it may."""


class Deadline:
    """A point in time after which a call has to be over.

    Attributes:
        limit_s: Seconds in all; None for no limit.
        name: The setting it comes from, for errors.
    """

    __slots__ = ("_clock", "_ends_at_s", "limit_s", "name")

    def __init__(
        self,
        limit_s: float | None,
        name: str = "total_timeout_s",
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Start the clock.

        Args:
            limit_s: Seconds in all; None for no limit.
            name: The setting it comes from.
            clock: Seconds on a clock that never goes back.
        """
        self.limit_s = limit_s
        self.name = name
        self._clock = clock
        self._ends_at_s = None if limit_s is None else clock() + limit_s

    @property
    def left_s(self) -> float | None:
        """Seconds that are left, at least 0; None where there is no limit."""
        if self._ends_at_s is None:
            return None
        return max(0.0, self._ends_at_s - self._clock())

    @property
    def is_over(self) -> bool:
        """Whether the time is up."""
        return self.left_s == 0.0

    def earlier(self, other: Deadline) -> Deadline:
        """Return the one of two that ends first.

        Args:
            other: Another one.
        """
        if self._ends_at_s is None:
            return other
        if other._ends_at_s is None or self._ends_at_s <= other._ends_at_s:
            return self
        return other

    def error(self, model: str) -> Exception:
        """Make the error of a call that takes longer.

        Args:
            model: Name of the model.
        """
        from langchain_tamma_openai.errors import RequestTimeoutError

        return RequestTimeoutError(
            f"The call of {model} was not over after {self.limit_s:g} s (`{self.name}`), retries "
            "and waits included; allow it more time, or ask for less.",
            code=DEADLINE,
            model=model,
            retryable=False,
        )
