"""Redis clients: one for the threads of a process, one for each event loop, made at first use."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from queue import SimpleQueue
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import redis
    import redis.asyncio

CONNECT_TIMEOUT_S = 2.0
ANSWER_TIMEOUT_S = 2.0
MOST_CONNECTIONS = 32
_ATTRIBUTE = "_tamma_openai_redis"
_inherited: list[object] = []
"""Clients of a parent process. They are kept, because ending one would touch what it shares."""


class LoopClient:
    """The client of one event loop; it ends with the loop."""

    def __init__(self, client: redis.asyncio.Redis) -> None:
        """Hold a client.

        Args:
            client: Connects at first use.
        """
        self.client = client
        self.turns = asyncio.Semaphore(MOST_CONNECTIONS)
        self._closer: AsyncGenerator[None, None] | None = None

    async def close_with_loop(self) -> None:
        """Have `loop.shutdown_asyncgens()`, which `asyncio.run` calls, close the connections."""
        self._closer = self._close_at_end()
        with suppress(ResourceWarning):
            await anext(self._closer)

    async def _close_at_end(self) -> AsyncGenerator[None, None]:
        try:
            yield
        finally:
            await self.client.aclose()


class RedisClients:
    """Finds the client for the present thread or event loop."""

    def __init__(self, url: str) -> None:
        """Connect to nothing yet.

        Args:
            url: ``redis://``, ``rediss://`` or ``unix://``, with options as redis-py reads them.
        """
        self._url = url
        self._begin()

    def _begin(self) -> None:
        self._pid = os.getpid()
        self._sync: redis.Redis | None = None
        # A queue that the garbage collector may use in the midst of its own use.
        self._turns: SimpleQueue[None] = SimpleQueue()
        for _ in range(MOST_CONNECTIONS):
            self._turns.put(None)

    @contextmanager
    def sync(self) -> Iterator[redis.Redis]:
        """Wait for a turn and lend the client for threads."""
        self._leave_parent()
        turns = self._turns
        turn = turns.get()
        try:
            if self._sync is None:
                self._sync = self._open_sync()
            yield self._sync
        finally:
            turns.put(turn)

    def _open_sync(self) -> redis.Redis:
        import redis
        from redis.backoff import NoBackoff
        from redis.retry import Retry

        return redis.Redis.from_url(
            self._url,
            socket_connect_timeout=CONNECT_TIMEOUT_S,
            socket_timeout=ANSWER_TIMEOUT_S,
            retry=Retry(NoBackoff(), 1),
            decode_responses=True,
        )

    @asynccontextmanager
    async def running(self) -> AsyncIterator[redis.asyncio.Redis]:
        """Wait for a turn and lend the client of the running event loop."""
        self._leave_parent()
        loop = asyncio.get_running_loop()
        clients: dict[tuple[str, int], LoopClient] | None = getattr(loop, _ATTRIBUTE, None)
        if clients is None:
            clients = {}
            setattr(loop, _ATTRIBUTE, clients)
        own = clients.get((self._url, self._pid))
        if own is None:
            own = clients[self._url, self._pid] = LoopClient(self._open())
            await own.close_with_loop()
        async with own.turns:
            yield own.client

    def _open(self) -> redis.asyncio.Redis:
        import redis.asyncio as aio
        from redis.asyncio.retry import Retry
        from redis.backoff import NoBackoff

        return aio.Redis.from_url(
            self._url,
            socket_connect_timeout=CONNECT_TIMEOUT_S,
            socket_timeout=ANSWER_TIMEOUT_S,
            retry=Retry(NoBackoff(), 1),
            decode_responses=True,
        )

    def _leave_parent(self) -> None:
        if self._pid != os.getpid():
            _inherited.append(self._sync)
            self._begin()

    def close(self) -> None:
        """Close the connections of threads; the next use opens new ones."""
        self._leave_parent()
        if self._sync is not None:
            client, self._sync = self._sync, None
            client.close()

    async def aclose(self) -> None:
        """Close the connections of the running event loop, too."""
        self.close()
        clients = getattr(asyncio.get_running_loop(), _ATTRIBUTE, {})
        if (own := clients.pop((self._url, self._pid), None)) is not None:
            await own.client.aclose()
