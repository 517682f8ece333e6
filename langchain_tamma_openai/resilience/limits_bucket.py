"""One bucket that refills all the time: when a cost fits, and what is left after it.

Pure arithmetic on numbers that are passed in. `limits.lua` does the same sums inside Redis; a test
runs both side by side.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from langchain_tamma_openai.resilience.limits_info import MINUTE_S, Reading

SLACK_S = 2.0
"""A bucket is kept this many seconds of refill below the server's.

A call is counted here before it travels and there when it arrives, and some travel longer than
others: without slack, calls spaced out here could still arrive too close together.
"""
START_SHARE = 0.2
"""Share of the bucket to be spent at once before the server has said what is left in it."""
RAMP_S = 5.0
"""Seconds over which the rest of it opens when the server keeps silent."""
EASE = 6.0
"""Beyond the threshold the speed falls from 1 + EASE times the refill to the refill itself."""


@dataclass(slots=True)
class Bucket:
    """What may be spent on requests, or on tokens.

    Attributes:
        configured: Limit per minute the application set; None for none.
        threshold: Share of use from which calls are spaced out.
        at_s: The time `level` holds for.
        level: What is left; below zero after a debt.
        ramp_until_s: Until then the bucket opens faster than it refills.
        last_s: Time of the last spending.
        spent: Everything spent so far.
        said: Limit the server named; None before it did.
        period_s: Seconds in which the server's bucket fills.
        seen_s: When the server last named what remains; None before it did.
        by_server: Whether the server's limit is the tighter one; one per day leaves ours per
            minute.
        limit: What the bucket may hold by the tighter of both limits; None when there is no limit.
        rate: Refill per second.
        burst: What can be spent at once after a long pause.
    """

    configured: float | None
    threshold: float
    at_s: float
    level: float = 0.0
    ramp_until_s: float = 0.0
    last_s: float = -math.inf
    spent: float = 0.0
    said: float | None = None
    period_s: float = MINUTE_S
    seen_s: float | None = None
    by_server: bool = field(init=False)
    limit: float | None = field(init=False)
    rate: float = field(init=False)
    burst: float = field(init=False)
    _ramp_rate: float = field(init=False)
    _zone: float = field(init=False)

    def __post_init__(self) -> None:
        """Start where the limit is known."""
        self._derive()
        if self.configured is not None:
            self._begin(self.at_s)

    def _derive(self) -> None:
        """Work out what follows from the limits; they change seldom and are asked for often."""
        if self.said is None or self.configured is None:
            self.by_server = self.said is not None
        else:
            self.by_server = self.period_s == MINUTE_S and self.said <= self.configured
        self.limit = self.said if self.by_server else self.configured
        self.rate = (self.limit or 0.0) / (self.period_s if self.by_server else MINUTE_S)
        self.burst = (self.limit or 0.0) - self.rate * SLACK_S
        self._ramp_rate = (1.0 - START_SHARE) * self.burst / RAMP_S
        self._zone = (1.0 - self.threshold) * self.burst

    def _begin(self, now_s: float) -> None:
        """Start with a share of the bucket and let the rest follow."""
        self.at_s = now_s
        self.level = START_SHARE * self.burst
        self.ramp_until_s = now_s + RAMP_S

    @property
    def available(self) -> float:
        """What is left, with what the ramp has yet to open."""
        return self.level + self._ramp_rate * max(0.0, self.ramp_until_s - self.at_s)

    def refill(self, now_s: float) -> None:
        """Add what has come in since the last look; a clock that goes back adds nothing."""
        if now_s <= self.at_s:
            return
        gained = self.rate * (now_s - self.at_s)
        if self.at_s < self.ramp_until_s:
            gained += self._ramp_rate * (min(now_s, self.ramp_until_s) - self.at_s)
        self.level = min(self.burst, self.level + gained)
        self.at_s = now_s

    def due_s(self, cost: float, now_s: float) -> float:
        """Tell when a cost may be spent, at the earliest.

        Args:
            cost: Requests or tokens.
            now_s: The present.

        Returns:
            A time; not after `now_s` when it fits now.
        """
        if self.limit is None or cost <= 0:
            return now_s
        self.refill(now_s)
        if self.level - cost >= self._zone >= 0 and self.last_s <= now_s:
            return now_s  # there is plenty, as is usual
        if self.spent == 0 and self.at_s < self.ramp_until_s:
            return now_s  # one call has to go first: its answer tells what is left
        afford_s = now_s + self._seconds_to(min(cost, self.burst))
        left = max(self.level, min(cost, self.burst)) - cost
        return max(afford_s, self._spaced_s(cost, left))

    def _seconds_to(self, level: float) -> float:
        missing = level - self.level
        if missing <= 0:
            return 0.0
        ramp_s = max(0.0, self.ramp_until_s - self.at_s)
        fast = self.rate + self._ramp_rate
        if missing <= fast * ramp_s:
            return missing / fast
        return ramp_s + (missing - fast * ramp_s) / self.rate

    def _spaced_s(self, cost: float, left: float) -> float:
        """Tell when a cost is far enough from the last one, given what it would leave."""
        zone = self._zone
        if left >= zone or zone <= 0:
            return self.last_s
        return self.last_s + cost / (self.rate * (1.0 + EASE * max(0.0, left) / zone))

    def spend(self, cost: float, now_s: float) -> None:
        """Take a cost out, whether or not it is there."""
        self.refill(now_s)
        self.spent += cost
        self.level -= cost
        if cost > 0:
            self.last_s = now_s

    def give_back(self, cost: float, now_s: float) -> None:
        """Undo a spending that never happened."""
        self.refill(now_s)
        self.spent -= cost
        self.level = min(self.burst, self.level + cost)

    def correct(self, excess: float, now_s: float) -> None:
        """Charge what a call used beyond its estimate; less than zero when it used less.

        Nothing happens while the server itself names what is left: it charges by its own estimate
        when the call arrives and does not give back what the answer did not use.
        """
        self.refill(now_s)
        if self.seen_s is None or now_s - self.seen_s > MINUTE_S:
            self.level = min(self.burst, self.level - excess)

    def drain(self, now_s: float) -> None:
        """Believe a refusal: there is nothing left."""
        self.refill(now_s)
        self.ramp_until_s = min(self.ramp_until_s, now_s)
        self.level = min(self.level, 0.0)

    def hear(
        self, reading: Reading, now_s: float, elapsed_s: float, unsure: float, *, sure: bool
    ) -> None:
        """Move the level between the bounds that an answer sets.

        Args:
            reading: What the answer says.
            now_s: The present.
            elapsed_s: Seconds since the answered call was let through; what the server says may
                be that old.
            unsure: Cost of calls let through which the answer may not have counted yet.
            sure: Whether `unsure` is complete, so that the level may be raised.
        """
        if reading.limit is None:
            return
        self.refill(now_s)
        first = self.limit is None
        said = float(reading.limit), reading.period_s
        if said != (self.said, self.period_s):
            self.said, self.period_s = said
            self._derive()
        if first:
            self._begin(now_s)
        if reading.remaining is None:
            return
        self.level = self.available
        self.ramp_until_s = min(self.ramp_until_s, now_s)
        rate = said[0] / said[1]
        left = reading.remaining - rate * SLACK_S
        if first or (sure and self.by_server):
            self.level = left - unsure if first else max(self.level, left - unsure)
        self.level = min(self.level, left + rate * elapsed_s, self.burst)
        self.seen_s = now_s
