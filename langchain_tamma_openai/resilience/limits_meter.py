"""What is known about one key: its two buckets, its calls under way, and the server's pauses."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import NamedTuple
from weakref import ref

from langchain_tamma_openai.resilience.headers import MAX_RETRY_AFTER_S
from langchain_tamma_openai.resilience.limits_bucket import Bucket
from langchain_tamma_openai.resilience.limits_info import RateLimitInfo, readings

ARRIVED_S = 60.0
"""A call let through this long ago has reached the server, or never will."""
_ROUNDING = 1e-6


@dataclass(frozen=True, slots=True)
class Limits:
    """What the application set.

    Attributes:
        requests: Requests per minute.
        tokens: Tokens per minute.
        concurrency: Calls under way at once.
        threshold: Share of use from which calls are spaced out.
    """

    requests: int | None = None
    tokens: int | None = None
    concurrency: int | None = None
    threshold: float = 0.8


class Grant(NamedTuple):
    """A call that was let through.

    The server may count calls in another order than they were let through. What an answer may not
    have counted are the calls after its own, and those before it that were not answered yet when
    it was let through; the marks are set so that a later total less the mark is just that.

    Attributes:
        at_s: When.
        tokens: Its estimated tokens.
        requests_mark: Requests spent until then, less those not answered yet.
        tokens_mark: Tokens spent until then, less those not answered yet.
    """

    at_s: float
    tokens: float
    requests_mark: float
    tokens_mark: float


@dataclass(slots=True)
class Meter:
    """Decides for one key; knows no lock, no clock and no line of waiting calls."""

    requests: Bucket
    tokens: Bucket
    concurrency: int | None
    paused_until_s: float = -math.inf
    slots: dict[str, ref[object]] = field(default_factory=dict)
    under_way: dict[str, Grant] = field(default_factory=dict)
    tokens_under_way: float = 0.0

    @classmethod
    def of(cls, limits: Limits, now_s: float) -> Meter:
        """Start to measure."""
        return cls(
            Bucket(limits.requests, limits.threshold, now_s),
            Bucket(limits.tokens, limits.threshold, now_s),
            limits.concurrency,
        )

    def due_s(self, tokens: float, now_s: float) -> float:
        """Tell when a call may be let through; concurrency apart."""
        return max(
            self.paused_until_s, self.requests.due_s(1.0, now_s), self.tokens.due_s(tokens, now_s)
        )

    @property
    def has_slot(self) -> bool:
        """Whether one more call may be under way."""
        return (
            self.concurrency is None
            or len(self.slots) < self.concurrency
            or self.calls_with_slot < self.concurrency
        )

    @property
    def calls_with_slot(self) -> int:
        """How many calls hold a slot; the slots of calls that nobody has any more are freed."""
        for ident in [ident for ident, holder in self.slots.items() if holder() is None]:
            self.slots.pop(ident, None)
        return len(self.slots)

    def let_through(
        self, ident: str, tokens: float, now_s: float, holder: object | None = None
    ) -> Grant:
        """Charge a call and remember it until it is answered.

        Args:
            ident: Name of the call.
            tokens: Its estimated tokens.
            now_s: The present.
            holder: Holds a slot for as long as it exists, at most; None to need none.
        """
        self._forget_arrived(now_s)
        self.requests.spend(1.0, now_s)
        self.tokens.spend(tokens, now_s)
        grant = Grant(
            now_s,
            tokens,
            self.requests.spent - len(self.under_way),
            self.tokens.spent - self.tokens_under_way,
        )
        self.under_way[ident] = grant
        self.tokens_under_way += tokens
        if holder is not None and self.concurrency is not None:
            self.slots[ident] = ref(holder)
        return grant

    def _forget_arrived(self, now_s: float) -> None:
        while self.under_way:
            ident, oldest = next(iter(self.under_way.items()))
            if now_s - oldest.at_s < ARRIVED_S:
                return
            self._answered(ident)

    def _answered(self, ident: str) -> None:
        if (grant := self.under_way.pop(ident, None)) is not None:
            self.tokens_under_way -= grant.tokens

    def give_back(self, ident: str, grant: Grant, now_s: float) -> None:
        """Undo a call that was never sent."""
        self.release(ident)
        self.requests.give_back(1.0, now_s)
        self.tokens.give_back(grant.tokens, now_s)

    def release(self, ident: str) -> None:
        """End a call."""
        if self.concurrency is not None:
            self.slots.pop(ident, None)
        self._answered(ident)

    def observe(
        self, info: RateLimitInfo, ident: str, grant: Grant | None, now_s: float, *, refused: bool
    ) -> None:
        """Learn from the headers of an answer.

        Args:
            info: The headers, read.
            ident: Name of the answered call.
            grant: The answered call; None when it is not known which one it was.
            now_s: The present.
            refused: Whether the answer was a 429.
        """
        self._answered(ident)
        self._forget_arrived(now_s)
        of_requests, of_tokens = readings(info)
        if grant is None:
            elapsed_s, requests, tokens = 0.0, float(len(self.under_way)), self.tokens_under_way
        else:
            elapsed_s = now_s - grant.at_s
            requests = self.requests.spent - grant.requests_mark
            tokens = self.tokens.spent - grant.tokens_mark
        if of_requests.limit is None and of_tokens.limit is None and not refused:
            self._pause(info, now_s)
            return
        sure = grant is not None
        self.requests.hear(of_requests, now_s, elapsed_s, max(0.0, requests), sure=sure)
        self.tokens.hear(of_tokens, now_s, elapsed_s, max(0.0, tokens), sure=sure)
        if refused and of_requests.remaining is None and of_tokens.remaining is None:
            self.requests.drain(now_s)
            self.tokens.drain(now_s)
        self._pause(info, now_s)

    def _pause(self, info: RateLimitInfo, now_s: float) -> None:
        if info.retry_after_s is not None and info.retry_after_s <= MAX_RETRY_AFTER_S:
            self.paused_until_s = max(self.paused_until_s, now_s + info.retry_after_s)

    def info(self, now_s: float, waiting: int) -> RateLimitInfo:
        """Describe the present."""
        wait_s = self.due_s(0.0, now_s) - now_s
        limit_requests, remaining_requests, reset_requests_s = _seen(self.requests, now_s)
        limit_tokens, remaining_tokens, reset_tokens_s = _seen(self.tokens, now_s)
        return RateLimitInfo(
            limit_requests=limit_requests,
            remaining_requests=remaining_requests,
            reset_requests_s=reset_requests_s,
            limit_tokens=limit_tokens,
            remaining_tokens=remaining_tokens,
            reset_tokens_s=reset_tokens_s,
            retry_after_s=wait_s if wait_s > 0 else None,
            waiting=waiting,
            in_flight=None if self.concurrency is None else self.calls_with_slot,
        )


def _seen(bucket: Bucket, now_s: float) -> tuple[int | None, int | None, float | None]:
    """Give limit, remaining and seconds until full as the server's headers would."""
    if bucket.limit is None:
        return None, None, None
    bucket.refill(now_s)
    missing = max(0.0, bucket.burst - bucket.available)
    remaining = max(0.0, bucket.limit - missing)
    return int(bucket.limit), math.floor(remaining + _ROUNDING), missing / bucket.rate
