"""How long to go on waiting for an answer that the server makes in the background."""

from __future__ import annotations

import time
from collections.abc import Callable

_FIRST_DELAY_S = 0.5
_MAX_FAILURES = 3
_GROWTH = 1.5
_LONGEST_DELAY_S = 10.0


class Patience:
    """Decides when to ask again, when to give up, and nothing else.

    Attributes:
        limit_s: Seconds in all.
    """

    def __init__(
        self,
        limit_s: float | None,
        *,
        max_failures: int = _MAX_FAILURES,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Start waiting.

        Args:
            limit_s: Seconds after which to give up; None for never.
            max_failures: Broken connections in a row, without any progress between them, after
                which to give up.
            clock: Seconds on a clock that never goes back.
        """
        self.limit_s = limit_s
        self._max_failures = max_failures
        self._clock = clock
        self._began_at_s = clock()
        self._delay_s = _FIRST_DELAY_S
        self._failures = 0
        self._progress: object = None

    @property
    def left_s(self) -> float | None:
        """Seconds that are left, at least 0; None where there is no limit."""
        if self.limit_s is None:
            return None
        return max(0.0, self.limit_s - (self._clock() - self._began_at_s))

    @property
    def is_over(self) -> bool:
        """Whether the time is up."""
        return self.left_s == 0.0

    def next_delay_s(self) -> float:
        """Return the seconds to wait before asking again: longer each time, to a maximum."""
        delay_s = self._delay_s
        self._delay_s = min(delay_s * _GROWTH, _LONGEST_DELAY_S)
        return self._within_limit(delay_s)

    def bears_failure(self, progress: object) -> bool:
        """Note a broken connection and tell whether to connect again.

        Args:
            progress: How far the answer had come; a new value starts the count anew.
        """
        if progress != self._progress:
            self._progress, self._failures = progress, 0
        self._failures += 1
        return self._failures <= self._max_failures and not self.is_over

    @property
    def reconnect_delay_s(self) -> float:
        """Seconds to wait before connecting again: none after a first break, then longer."""
        if self._failures <= 1:
            return 0.0
        return self._within_limit(_FIRST_DELAY_S * _GROWTH ** (self._failures - 2))

    def _within_limit(self, delay_s: float) -> float:
        left_s = self.left_s
        return delay_s if left_s is None else min(delay_s, left_s)
