"""What happens to calls while the shared store cannot be reached."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from langchain_tamma_openai.errors import StorageError
    from langchain_tamma_openai.resilience.limits_info import RateLimitInfo
    from langchain_tamma_openai.resilience.limits_memory import MemoryStore
    from langchain_tamma_openai.resilience.limits_redis import RedisStore
    from langchain_tamma_openai.resilience.limits_store import Note, Ticket

logger = logging.getLogger(__name__)

PROBE_S = 5.0
"""While the shared store is lost it is tried again this often, by one call."""


class GuardedStore:
    """A shared store, and a local one for when it is lost.

    Asking for a call may fail when the policy is "closed". Telling what became of one never fails:
    its answer has arrived by then and must not be lost over bookkeeping.
    """

    clock = staticmethod(time.monotonic)

    def __init__(
        self, shared: RedisStore, local: MemoryStore, policy: Literal["open", "closed"]
    ) -> None:
        """Guard a store.

        Args:
            shared: Used while it can be reached.
            local: Same limits, this process only.
            policy: "open" uses `local` in an outage, "closed" raises `StorageError`.
        """
        self._shared = shared
        self._local = local
        self._open = policy == "open"
        self._lost = False
        self._next_probe_s = 0.0

    def _is_local(self, ticket: Ticket) -> bool:
        """Tell whether a call began in the local store, or has to begin there."""
        return ticket.store is self._local or (self._open and not self._may_try())

    def _may_try(self) -> bool:
        """Allow one attempt at a lost store every few seconds."""
        if not self._lost:
            return True
        now_s = time.monotonic()
        if now_s < self._next_probe_s:
            return False
        self._next_probe_s = now_s + PROBE_S
        return True

    @contextmanager
    def _watching(self, *, fails: bool) -> Iterator[None]:
        """Notice how an attempt at the shared store ends."""
        from langchain_tamma_openai.errors import StorageError

        try:
            yield
        except StorageError as exc:
            self._missed(exc)
            if fails:
                raise
        else:
            self._reached()

    def _reached(self) -> None:
        if self._lost:
            self._lost = False
            logger.info("The shared rate limits can be reached again.")

    def _missed(self, error: StorageError) -> None:
        self._next_probe_s = time.monotonic() + PROBE_S
        if not self._lost:
            self._lost = True
            meanwhile = "each process keeps the limits by itself" if self._open else "calls fail"
            logger.warning("%s. Until then %s.", error.message, meanwhile)

    def take(self, ticket: Ticket) -> float | None:
        """Let a call through or put it in line; see `Store.take`."""
        if not self._is_local(ticket):
            with self._watching(fails=not self._open):
                return self._shared.take(ticket)
        return self._local.take(ticket)

    async def atake(self, ticket: Ticket) -> float | None:
        """Let a call through or put it in line; see `Store.take`."""
        if not self._is_local(ticket):
            with self._watching(fails=not self._open):
                return await self._shared.atake(ticket)
        return await self._local.atake(ticket)

    def tell(self, note: Note) -> None:
        """Take note of what became of a call; never fails."""
        if note.ticket is not None and note.ticket.store is self._local:
            self._local.tell(note)
        elif self._may_try():
            with self._watching(fails=False):
                self._shared.tell(note)
        else:
            self._shared.forget(note)

    async def atell(self, note: Note) -> None:
        """Take note of what became of a call; never fails."""
        if note.ticket is not None and note.ticket.store is self._local:
            self._local.tell(note)
        elif self._may_try():
            with self._watching(fails=False):
                await self._shared.atell(note)
        else:
            self._shared.forget(note)

    def status(self, key: str) -> RateLimitInfo:
        """Describe the present."""
        if not self._open or self._may_try():
            with self._watching(fails=not self._open):
                return self._shared.status(key)
        return self._local.status(key)

    async def astatus(self, key: str) -> RateLimitInfo:
        """Describe the present."""
        if not self._open or self._may_try():
            with self._watching(fails=not self._open):
                return await self._shared.astatus(key)
        return self._local.status(key)

    def close(self) -> None:
        """Close the connections of threads."""
        self._shared.close()

    async def aclose(self) -> None:
        """Close the connections of this event loop, too."""
        await self._shared.aclose()
