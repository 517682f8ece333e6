"""Runs that are told of after they happened, as the answers of a batch are.

Whoever tells of such a run sets `PAST` around it; those who note when runs begin and end look here
instead of at the clock.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime


@dataclass(frozen=True, slots=True)
class Span:
    """When a run began and ended; both have a zone."""

    began_at: datetime
    ended_at: datetime

    @property
    def latency_s(self) -> float:
        """Seconds between the two; never below 0."""
        return max(0.0, (self.ended_at - self.began_at).total_seconds())


PAST: ContextVar[Span | None] = ContextVar("tamma_past", default=None)


@contextmanager
def telling_of(span: Span) -> Iterator[None]:
    """Have runs inside the block begin and end at these moments.

    Args:
        span: The moments.
    """
    token = PAST.set(span)
    try:
        yield
    finally:
        PAST.reset(token)


def began_at() -> datetime:
    """Tell when a run that is just being told of began; now, unless it is past."""
    span = PAST.get()
    return datetime.now(UTC) if span is None else span.began_at


def began_s() -> float:
    """Tell the same on the clock that latencies are taken from, so that the latency is right."""
    span = PAST.get()
    return time.perf_counter() - (0.0 if span is None else span.latency_s)
