"""Entering a call of an account that may be dry: at once, or after waiting for credit."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Self

from langchain_tamma_openai.resilience.circuit_guard import Gate, Guard
from langchain_tamma_openai.resilience.circuit_state import Step

_LOOK_AGAIN_S = 1.0
_SHORTEST_S = 0.01


@dataclass(slots=True)
class Waiting:
    """Decides how long one call still waits.

    Attributes:
        limit_s: Seconds in all; None for no limit, 0 for no wait.
        cancelled: Set to end the wait.
        clock: Seconds on a clock that never goes back.
    """

    limit_s: float | None
    cancelled: threading.Event
    clock: Callable[[], float] = time.monotonic
    _began_at_s: float | None = field(default=None, init=False)

    def pause_s(self, refused: Step) -> float:
        """Return the seconds until it is worth asking again; 0 when the wait is over.

        Others may clear the memory meanwhile, so no pause is long.

        Args:
            refused: Why the call may not go out.
        """
        now_s = self.clock()
        if self._began_at_s is None:
            self._began_at_s = now_s
        left_s = _LOOK_AGAIN_S
        if self.limit_s is not None:
            left_s = self._began_at_s + self.limit_s - now_s
        if left_s <= 0 or self.cancelled.is_set():
            return 0.0
        return min(max(_SHORTEST_S, refused.retry_after_s), left_s, _LOOK_AGAIN_S)


class QuotaGuard(Guard):
    """Watches one call of an account; see `QuotaMemory.guard`."""

    def __init__(self, gate: Gate, waiting: Waiting) -> None:
        """Prepare; nothing is asked yet.

        Args:
            gate: Decides.
            waiting: How long to wait where it refuses.
        """
        super().__init__(gate)
        self._waiting = waiting

    def __enter__(self) -> Self:
        """Let the call out, or raise `QuotaExceededError`."""
        step = self._gate.admit()
        while not step.allowed and (pause_s := self._waiting.pause_s(step)):
            self._waiting.cancelled.wait(pause_s)
            step = self._gate.admit()
        return self._allow(step)

    async def __aenter__(self) -> Self:
        """Let the call out, or raise `QuotaExceededError`."""
        step = await self._ask()
        while not step.allowed and (pause_s := self._waiting.pause_s(step)):
            await asyncio.sleep(pause_s)
            step = await self._ask()
        return self._allow(step)
