"""Connection pools: one per event loop and one for all threads, shared by every model instance.

A model's HTTP client is a thin object over a transport of this module, which finds the pool at each
request: by the running loop, so that one model serves several `asyncio.run` calls, and by process,
so that a forked worker never touches its parent's sockets. A thousand models hold one pool.
"""

from __future__ import annotations

import atexit
import os
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol
from weakref import WeakSet

from langchain_tamma_openai.transport.http_library import http_library
from langchain_tamma_openai.transport.loops import AsyncTransport, Loops, idle_connections
from langchain_tamma_openai.transport.proxies import ProxyChoice

if TYPE_CHECKING:
    import ssl

    import httpx2

MAX_CONNECTIONS = 1000
MAX_KEEPALIVE_CONNECTIONS = 100
KEEPALIVE_EXPIRY_S = 5.0

SocketOptions = tuple[tuple[int, int, int], ...]


class PoolKey(NamedTuple):
    """What makes two requests share connections.

    Attributes:
        proxy: URL of the proxy, or None for none.
        socket_options: `(level, option, value)` for each new socket.
    """

    proxy: str | None = None
    socket_options: SocketOptions = ()


@cache
def _ssl_context() -> ssl.SSLContext:
    context: ssl.SSLContext = http_library().create_ssl_context()
    return context


def _transport_options(key: PoolKey) -> dict[str, Any]:
    library = http_library()
    return {
        "verify": _ssl_context(),
        "proxy": _proxy(key.proxy) if key.proxy else None,
        "socket_options": key.socket_options or None,
        "limits": library.Limits(
            max_connections=MAX_CONNECTIONS,
            max_keepalive_connections=MAX_KEEPALIVE_CONNECTIONS,
            keepalive_expiry=KEEPALIVE_EXPIRY_S,
        ),
    }


def _proxy(url: str) -> object:
    # Only a proxy that is itself spoken to over TLS may have a context for that.
    context = _ssl_context() if url.lower().startswith("https:") else None
    proxy: object = http_library().Proxy(url, ssl_context=context)
    return proxy


def _sync_transport(key: PoolKey) -> SyncTransport:
    transport: SyncTransport = http_library().HTTPTransport(**_transport_options(key))
    return transport


def _async_transport(key: PoolKey) -> AsyncTransport:
    transport: AsyncTransport = http_library().AsyncHTTPTransport(**_transport_options(key))
    return transport


class SyncTransport(Protocol):
    """A pool of connections, as the HTTP library has it."""

    def handle_request(self, request: httpx2.Request, /) -> httpx2.Response:
        """Send one request."""

    def close(self) -> None:
        """Close all connections."""


class ThreadPools:
    """The pools that all threads of this process share."""

    def __init__(self, make: Callable[[PoolKey], SyncTransport]) -> None:
        """Start without connections.

        Args:
            make: Makes an empty pool.
        """
        self._make = make
        self._begin()

    def _begin(self) -> None:
        self._lock = threading.Lock()
        self._pools: dict[PoolKey, SyncTransport] = {}
        self._streams: WeakSet[Any] = WeakSet()

    def send(self, key: PoolKey, request: httpx2.Request) -> httpx2.Response:
        """Send one request through the pool of a key."""
        response = (self._pools.get(key) or self._open(key)).handle_request(request)
        if (stream := response.extensions.get("network_stream")) is not None:
            self._streams.add(stream)
        return response

    def _open(self, key: PoolKey) -> SyncTransport:
        with self._lock:
            if key not in self._pools:
                self._pools[key] = self._make(key)
            return self._pools[key]

    def close_idle(self) -> None:
        """Close the connections that no request uses; those of other models are among them."""
        with self._lock:
            pools = list(self._pools.values())
        for pool in pools:
            for connection in idle_connections(pool):
                connection.close()

    def close(self) -> None:
        """Close all connections; the next request opens new ones."""
        with self._lock:
            pools, self._pools = self._pools, {}
        for pool in pools.values():
            pool.close()

    def after_fork(self) -> None:
        """Close the child's handles of the parent's connections, which stay open in the parent.

        A socket that the child still held would keep a connection alive that the parent closes.
        """
        inherited = list(self._streams)
        self._begin()
        for stream in inherited:
            with suppress(OSError):
                stream.close()


_threads = ThreadPools(_sync_transport)
_loops: Loops[PoolKey] = Loops(_async_transport)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_threads.after_fork)
    os.register_at_fork(after_in_child=_loops.after_fork)
atexit.register(_threads.close)
atexit.register(_loops.sweep)


def close_idle_connections() -> None:
    """Close the connections of all threads that no request uses; the next request opens new ones.

    The pools belong to all models of the process. Whatever they are at is not disturbed.
    """
    _threads.close_idle()


async def aclose_idle_connections() -> None:
    """Close the connections of the running event loop that no request uses."""
    await (await _loops.running()).close_idle()


class SharedTransport:
    """A sync transport over the process's shared pool; closing it leaves the pool open."""

    def __init__(self, proxy: str | None = None, socket_options: SocketOptions = ()) -> None:
        """Choose the pool.

        Args:
            proxy: URL of a proxy for every request; without it the environment's proxies apply.
            socket_options: `(level, option, value)` for each new socket.

        Raises:
            ConfigurationError: A proxy's URL cannot be used.
        """
        self._proxy_for = ProxyChoice(proxy)
        self._socket_options = socket_options

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send one request through the shared pool."""
        return _threads.send(PoolKey(self._proxy_for(request.url), self._socket_options), request)

    def close(self) -> None:
        """Do nothing: the pool is shared."""


class SharedAsyncTransport:
    """The async twin of `SharedTransport`, over the pool of the running event loop."""

    def __init__(self, proxy: str | None = None, socket_options: SocketOptions = ()) -> None:
        """Choose the pool; see `SharedTransport`."""
        self._proxy_for = ProxyChoice(proxy)
        self._socket_options = socket_options

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send one request through the running loop's pool."""
        pools = await _loops.running()
        return await pools.send(
            PoolKey(self._proxy_for(request.url), self._socket_options), request
        )

    async def aclose(self) -> None:
        """Do nothing: the pool is shared."""
