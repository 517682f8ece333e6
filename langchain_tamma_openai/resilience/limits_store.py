"""What a store of rate limits does, and what a waiting call looks like to it."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from langchain_tamma_openai.resilience.limits_info import RateLimitInfo
    from langchain_tamma_openai.resilience.limits_meter import Grant

RECHECK_S = 1.0
"""A waiting call looks again at least this often when it is near the head of the line."""
RECHECK_PER_PLACE_S = 0.02
"""Each place further back adds this to the time between two looks."""


class ThreadSignal:
    """Wakes a waiting thread."""

    alive = True

    def __init__(self) -> None:
        """Start asleep."""
        # The one thing to wait on that may be woken from within its own wait, by the garbage
        # collector: an Event would lock itself out.
        self._calls: SimpleQueue[None] = SimpleQueue()

    def wake(self) -> None:
        """Let `pause` return now; callable from any thread."""
        self._calls.put(None)

    def pause(self, seconds: float) -> None:
        """Sleep, or less if woken."""
        with suppress(Empty):
            self._calls.get(timeout=seconds)
            while True:
                self._calls.get_nowait()


class TaskSignal:
    """Wakes a waiting task of one event loop."""

    def __init__(self) -> None:
        """Start asleep, in the running event loop."""
        self._loop = asyncio.get_running_loop()
        self._event = asyncio.Event()

    @property
    def alive(self) -> bool:
        """Whether the task can still run."""
        return not self._loop.is_closed()

    def wake(self) -> None:
        """Let `pause` return now; callable from any thread."""
        with suppress(RuntimeError):  # the loop was closed meanwhile
            self._loop.call_soon_threadsafe(self._event.set)

    async def pause(self, seconds: float) -> None:
        """Sleep, or less if woken."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._event.wait()
        self._event.clear()


@dataclass(eq=False, slots=True, weakref_slot=True)
class Ticket:
    """A call's place in the line.

    Attributes:
        ident: Unique among all processes.
        key: What the limits belong to.
        tokens: Estimated tokens.
        slot: Whether it counts among the calls under way at once.
        waits: Whether it stands in line when it cannot go at once.
        signal: Wakes it.
        grant: Set once it was let through.
        answered: Whether its answer was observed, which ends its time on the way.
        store: The store that let it through.
    """

    ident: str
    key: str
    tokens: int
    slot: bool
    waits: bool
    signal: ThreadSignal | TaskSignal
    grant: Grant | None = None
    answered: bool = False
    store: Store | None = field(default=None, repr=False)


class GiveBack(NamedTuple):
    """A call leaves the line, or was let through and never sent."""

    ticket: Ticket


class Settle(NamedTuple):
    """A call used more tokens than estimated, or fewer (less than zero)."""

    ticket: Ticket
    excess_tokens: int


class Release(NamedTuple):
    """A call is over.

    Attributes:
        ticket: The call.
        excess_tokens: As in `Settle`, for stores that take both in one.
    """

    ticket: Ticket
    excess_tokens: int = 0


class Observe(NamedTuple):
    """An answer came, with what its headers say.

    Attributes:
        key: What the limits belong to.
        info: The headers, read.
        refused: Whether it was a 429.
        ticket: The answered call, if known.
    """

    key: str
    info: RateLimitInfo
    refused: bool = False
    ticket: Ticket | None = None


Note = GiveBack | Settle | Release | Observe


class Store(Protocol):
    """Keeps limits and lines. Each method is one decision, and never waits for a limit."""

    def clock(self) -> float:
        """Return seconds that pass evenly; only differences count."""

    def take(self, ticket: Ticket) -> float | None:
        """Let a call through (None), or put it in line and name the seconds until the next look.

        Raises:
            RequestTooLargeError: It can never go.
            StorageError: The store cannot be reached.
        """

    async def atake(self, ticket: Ticket) -> float | None:
        """Do the same from an event loop."""

    def tell(self, note: Note) -> None:
        """Take note of what became of a call.

        Raises:
            StorageError: The store cannot be reached.
        """

    async def atell(self, note: Note) -> None:
        """Do the same from an event loop."""

    def status(self, key: str) -> RateLimitInfo:
        """Describe the present.

        Raises:
            StorageError: The store cannot be reached.
        """

    async def astatus(self, key: str) -> RateLimitInfo:
        """Do the same from an event loop."""

    def close(self) -> None:
        """Close the connections of threads."""

    async def aclose(self) -> None:
        """Close the connections of this event loop, too."""


def too_large(tokens: float, limit: float, key: str) -> Exception:
    """Make the error for a request that no waiting can help.

    Args:
        tokens: Estimated tokens of the request.
        limit: Tokens per minute.
        key: What the limit belongs to.
    """
    from langchain_tamma_openai.errors import RequestTooLargeError

    return RequestTooLargeError(
        f"This request needs about {tokens:.0f} tokens, but the limit of {key!r} is {limit:.0f} "
        "per minute, so it can never be sent; shorten the input, lower max_tokens, or raise the "
        "limit"
    )
