"""How long to go on waiting for an answer that the server makes in the background."""

from __future__ import annotations

import time
from collections.abc import Callable

_FIRST_DELAY_S = 0.5
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
        max_failures: int = 3,
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
    def is_over(self) -> bool:
        """Whether the time is up."""
        return self.limit_s is not None and self._clock() - self._began_at_s >= self.limit_s

    def next_delay_s(self) -> float:
        """Return the seconds to wait before asking again: longer each time, to a maximum."""
        delay_s = self._delay_s
        self._delay_s = min(delay_s * _GROWTH, _LONGEST_DELAY_S)
        if self.limit_s is None:
            return delay_s
        left_s = self.limit_s - (self._clock() - self._began_at_s)
        return max(0.0, min(delay_s, left_s))

    def bears_failure(self, progress: object) -> bool:
        """Note a broken connection and tell whether to connect again.

        Args:
            progress: How far the answer had come; a new value starts the count anew.
        """
        if progress != self._progress:
            self._progress, self._failures = progress, 0
        self._failures += 1
        return self._failures <= self._max_failures and not self.is_over
