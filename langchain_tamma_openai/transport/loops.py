"""Connections of one event loop: they live, and end, with it.

The pools hang on the loop itself, so that a loop which nobody keeps takes them along. A loop that
is shut down properly (`asyncio.run`, `loop.shutdown_asyncgens()`) closes them in good order; for a
loop that was closed without, `hang_up` closes the sockets that it can no longer close itself.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import AsyncGenerator, Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar
from weakref import WeakSet

if TYPE_CHECKING:
    import httpx2

_ATTRIBUTE = "_tamma_openai_pools"
_RECENT_LOOPS = 8

Key = TypeVar("Key")


class AsyncTransport(Protocol):
    """A pool of connections, as the HTTP library has it."""

    async def handle_async_request(self, request: httpx2.Request, /) -> httpx2.Response:
        """Send one request."""

    async def aclose(self) -> None:
        """Close all connections."""


def idle_connections(transport: object) -> list[Any]:
    """Return the connections of an HTTP library's transport that no request uses.

    Args:
        transport: The library's own.
    """
    pool = getattr(transport, "_pool", None)
    return [found for found in getattr(pool, "connections", ()) if found.is_idle()]


def close_idle(transport: object) -> None:
    """Close the connections of a sync transport that no request uses.

    Args:
        transport: Ours, or the HTTP library's.
    """
    if (close := getattr(transport, "close_idle", None)) is not None:
        close()
        return
    for connection in idle_connections(transport):
        connection.close()


async def aclose_idle(transport: object) -> None:
    """Close the connections of an async transport that no request uses; see `close_idle`."""
    if (close := getattr(transport, "close_idle", None)) is not None:
        await close()
        return
    for connection in idle_connections(transport):
        await connection.aclose()


class LoopPools(Generic[Key]):
    """The pools of one event loop; only its own thread uses them."""

    def __init__(self, loop: asyncio.AbstractEventLoop, make: Callable[[Key], AsyncTransport]):
        """Start without connections.

        Args:
            loop: The running loop.
            make: Makes an empty pool.
        """
        self.loop = loop
        self._make = make
        self._pools: dict[Key, AsyncTransport] = {}
        self._streams: WeakSet[object] = WeakSet()
        self._closer: AsyncGenerator[None, None] | None = None

    async def send(self, key: Key, request: httpx2.Request) -> httpx2.Response:
        """Send one request through the pool of a key."""
        response = await self.pool(key).handle_async_request(request)
        if (stream := response.extensions.get("network_stream")) is not None:
            self._streams.add(stream)
        return response

    def pool(self, key: Key) -> AsyncTransport:
        """Return the pool of a key."""
        if (pool := self._pools.get(key)) is None:
            pool = self._pools[key] = self._make(key)
        return pool

    async def close_with_loop(self) -> None:
        """Have `loop.shutdown_asyncgens()`, which `asyncio.run` calls, close the connections.

        It is the one moment a loop offers before it ends; a generator that has begun is finalised
        then.
        """
        self._closer = self._close_at_end()
        await anext(self._closer)

    async def _close_at_end(self) -> AsyncGenerator[None, None]:
        try:
            yield
        finally:
            if getattr(self.loop, _ATTRIBUTE, None) is self:
                delattr(self.loop, _ATTRIBUTE)
            pools, self._pools = self._pools, {}
            for pool in pools.values():
                await pool.aclose()

    async def close_idle(self) -> None:
        """Close the connections that no request uses."""
        for pool in list(self._pools.values()):
            await aclose_idle(pool)

    def forget(self) -> None:
        """Let go of the connections without closing them."""
        self._pools = {}
        self._streams = WeakSet()

    def hang_up(self) -> None:
        """Close the sockets of a loop that will not run again.

        A transport's own `close` asks its loop, and a closed loop refuses. uvloop has closed its
        sockets by then.
        """
        transports = getattr(self.loop, "_transports", {})
        own = [stream for pool in self._pools.values() for stream in getattr(pool, "streams", ())]
        for stream in [*self._streams, *own]:
            with suppress(Exception):
                socket = stream.get_extra_info("socket")
                if (transport := transports.get(socket.fileno())) is not None:
                    transport._call_connection_lost(None)  # noqa: SLF001 - no public way is left
        self.forget()


class Loops(Generic[Key]):
    """Finds the pools of the running event loop."""

    def __init__(self, make: Callable[[Key], AsyncTransport]) -> None:
        """Know no loop yet.

        Args:
            make: Makes an empty pool.
        """
        self._make = make
        self._begin()

    def _begin(self) -> None:
        self._lock = threading.Lock()
        self._known: WeakSet[LoopPools[Key]] = WeakSet()
        # A closed loop is kept from the garbage collector, which would complain of its sockets,
        # until `sweep` has closed them; only a few, so that loops nobody closes cannot pile up.
        self._recent: deque[LoopPools[Key]] = deque(maxlen=_RECENT_LOOPS)

    async def running(self) -> LoopPools[Key]:
        """Return the pools of the running event loop."""
        loop = asyncio.get_running_loop()
        pools: LoopPools[Key] | None = getattr(loop, _ATTRIBUTE, None)
        return await self._open(loop) if pools is None else pools

    async def _open(self, loop: asyncio.AbstractEventLoop) -> LoopPools[Key]:
        self.sweep()
        pools = LoopPools(loop, self._make)
        setattr(loop, _ATTRIBUTE, pools)
        with self._lock:
            self._known.add(pools)
            self._recent.append(pools)
        await pools.close_with_loop()
        return pools

    def sweep(self) -> None:
        """Close what loops left open that were closed without being shut down."""
        with self._lock:
            closed = [pools for pools in self._known if pools.loop.is_closed()]
            for pools in closed:
                self._known.discard(pools)
            still_open = (pools for pools in self._recent if pools not in closed)
            self._recent = deque(still_open, _RECENT_LOOPS)
        for pools in closed:
            pools.hang_up()

    def after_fork(self) -> None:
        """Let go of the parent's loops; one that ran at the fork can never run in the child."""
        inherited = list(self._known)
        self._begin()
        for pools in inherited:
            if getattr(pools.loop, _ATTRIBUTE, None) is pools:
                delattr(pools.loop, _ATTRIBUTE)
            if pools.loop.is_running():
                pools.hang_up()
            pools.forget()
