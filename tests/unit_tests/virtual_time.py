"""An event loop whose clock jumps to the next event, and a server that enforces limits on it."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine, Mapping
from selectors import SelectorKey
from typing import TypeVar

T = TypeVar("T")


class _Jumping(selectors.DefaultSelector):
    """Moves the clock instead of waiting."""

    now_s = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[SelectorKey, int]]:
        """Return what is ready, else let the time pass."""
        ready = super().select(0)
        if not ready and timeout is None:
            return super().select(None)
        if not ready and timeout is not None and timeout > 0:
            self.now_s += timeout
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    """Runs hours in milliseconds."""

    def __init__(self) -> None:
        self._jumping = _Jumping()
        super().__init__(self._jumping)

    def time(self) -> float:
        """Return the virtual seconds since the start."""
        return self._jumping.now_s


def run(loop: VirtualLoop, main: Coroutine[object, object, T]) -> T:
    """Run to the end and close the loop."""
    try:
        return loop.run_until_complete(main)
    finally:
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()


class EnforcingServer:
    """Two buckets that hold a minute's worth, refill all the time, and answer 429 when empty."""

    def __init__(self, rpm: int, tpm: int, *, share: float = 1.0, tells: bool = True) -> None:
        self.limits = (rpm, tpm)
        self.levels = [rpm * share, tpm * share]
        self.tells = tells
        self.at_s = 0.0
        self.served = 0
        self.served_tokens = 0
        self.refused = 0

    def _refill(self, now_s: float) -> None:
        for index, limit in enumerate(self.limits):
            gained = (now_s - self.at_s) * limit / 60
            self.levels[index] = min(limit, self.levels[index] + gained)
        self.at_s = now_s

    def admit(self, tokens: int, now_s: float) -> int:
        """Serve or refuse a request; returns the status."""
        self._refill(now_s)
        if self.levels[0] < 1 or self.levels[1] < tokens:
            self.refused += 1
            return 429
        self.levels[0] -= 1
        self.levels[1] -= tokens
        self.served += 1
        self.served_tokens += tokens
        return 200

    def headers(self) -> Mapping[str, str]:
        """Say what is left, or nothing."""
        found: dict[str, str] = {}
        if not self.tells:
            return found
        for kind, limit, level in zip(
            ("requests", "tokens"), self.limits, self.levels, strict=True
        ):
            found[f"x-ratelimit-limit-{kind}"] = str(limit)
            found[f"x-ratelimit-remaining-{kind}"] = str(int(level))
            found[f"x-ratelimit-reset-{kind}"] = f"{(limit - level) / limit * 60:.3f}s"
        return found

    def use(self, seconds: float) -> float:
        """Give the share of the allowed throughput that was used, of the scarcer kind."""
        allowed = [limit * (1 + seconds / 60) for limit in self.limits]
        return max(self.served / allowed[0], self.served_tokens / allowed[1])
