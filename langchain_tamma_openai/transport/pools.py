"""Connection pools: one per event loop and one for all threads, shared by every model instance.

A model's HTTP client is a thin object over a transport of this module, which finds the pool at each
request: by the running loop, so that one model serves several `asyncio.run` calls, and by process,
so that a forked worker never touches its parent's sockets. A thousand models hold one pool.

Without a proxy the connections are our own (`direct`, `async_direct`); with one, and wherever
somebody has put a function of his own into the HTTP library, they are the library's.
"""

from __future__ import annotations

import atexit
import os
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, cast
from weakref import WeakSet

from langchain_tamma_openai.transport.async_direct import AsyncDirectPool
from langchain_tamma_openai.transport.direct import DirectPool, Limits
from langchain_tamma_openai.transport.http_library import http_library
from langchain_tamma_openai.transport.loops import AsyncTransport, Loops, close_idle
from langchain_tamma_openai.transport.proxies import ProxyChoice
from langchain_tamma_openai.transport.untouched import Untouched, http_untouched

if TYPE_CHECKING:
    import ssl

    import httpx2

    from langchain_tamma_openai.transport.answer import Answer, AsyncAnswer
    from langchain_tamma_openai.transport.idle import Origin
    from langchain_tamma_openai.transport.timeouts import Timeouts

MAX_CONNECTIONS = 1000
MAX_KEEPALIVE_CONNECTIONS = 100
KEEPALIVE_EXPIRY_S = 5.0

SocketOptions = tuple[tuple[int, int, int], ...]


class PoolKey(NamedTuple):
    """What makes two requests share connections.

    Attributes:
        proxy: URL of the proxy, or None for none.
        socket_options: `(level, option, value)` for each new socket.
        is_direct: Whether our own connections may be used, where there is no proxy.
    """

    proxy: str | None = None
    socket_options: SocketOptions = ()
    is_direct: bool = True


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


_LIMITS = Limits(MAX_CONNECTIONS, MAX_KEEPALIVE_CONNECTIONS, KEEPALIVE_EXPIRY_S)


def _sync_pool(key: PoolKey) -> SyncTransport:
    if key.proxy is not None or not key.is_direct:
        return _sync_transport(key)
    return DirectPool(key.socket_options, _LIMITS, _own_ssl_context, lambda: _sync_transport(key))


def _async_pool(key: PoolKey) -> AsyncTransport:
    if key.proxy is not None or not key.is_direct:
        return _async_transport(key)
    return AsyncDirectPool(
        key.socket_options, _LIMITS, _own_ssl_context, lambda: _async_transport(key)
    )


@cache
def _own_ssl_context() -> ssl.SSLContext:
    # The HTTP library sets the protocols of its own one anew for each connection.
    context: ssl.SSLContext = http_library().create_ssl_context()
    context.set_alpn_protocols(["http/1.1"])
    return context


@cache
def _direct_key(options: SocketOptions) -> PoolKey:
    return PoolKey(None, options)


@cache
def _http_untouched() -> Untouched:
    return http_untouched()


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
        response = self.pool(key).handle_request(request)
        if (stream := response.extensions.get("network_stream")) is not None:
            self._streams.add(stream)
        return response

    def pool(self, key: PoolKey) -> SyncTransport:
        """Return the pool of a key."""
        return self._pools.get(key) or self._open(key)

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
            close_idle(pool)

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
        inherited = [*self._streams]
        for pool in self._pools.values():
            if isinstance(pool, DirectPool):
                inherited += pool.after_fork()
        self._begin()
        for stream in inherited:
            with suppress(OSError):
                stream.close()


_threads = ThreadPools(_sync_pool)
_loops: Loops[PoolKey] = Loops(_async_pool)
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


class _Shared:
    """What both colours of a transport over shared pools decide alike."""

    __slots__ = ("_direct_key", "_socket_options", "proxy_for")

    def __init__(self, proxy: str | None = None, socket_options: SocketOptions = ()) -> None:
        """Choose the pool.

        Args:
            proxy: URL of a proxy for every request; without it the environment's proxies apply.
            socket_options: `(level, option, value)` for each new socket.

        Raises:
            ConfigurationError: A proxy's URL cannot be used.
        """
        self.proxy_for = ProxyChoice(proxy)
        self._socket_options = socket_options
        self._direct_key = _direct_key(socket_options)

    def _key(self, request: httpx2.Request) -> PoolKey:
        proxy = self.proxy_for(request.url)
        if proxy is not None:
            return PoolKey(proxy, self._socket_options)
        if not _http_untouched()():
            return PoolKey(None, self._socket_options, is_direct=False)
        return self._direct_key


class SharedTransport(_Shared):
    """A sync transport over the process's shared pool; closing it leaves the pool open."""

    __slots__ = ()

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send one request through the shared pool."""
        return _threads.send(self._key(request), request)

    def exchange(self, origin: Origin, head: bytes, body: bytes, timeouts: Timeouts) -> Answer:
        """Send a request that needs no proxy; see `DirectPool.exchange`."""
        pool = cast("DirectPool", _threads.pool(self._direct_key))
        return pool.exchange(origin, head, body, timeouts)

    def close(self) -> None:
        """Do nothing: the pool is shared."""


class SharedAsyncTransport(_Shared):
    """The async twin of `SharedTransport`, over the pool of the running event loop."""

    __slots__ = ()

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send one request through the running loop's pool."""
        pools = await _loops.running()
        return await pools.send(self._key(request), request)

    async def exchange(
        self, origin: Origin, head: bytes, body: bytes, timeouts: Timeouts
    ) -> AsyncAnswer:
        """Send a request that needs no proxy; see `DirectPool.exchange`."""
        pools = await _loops.running()
        pool = cast("AsyncDirectPool", pools.pool(self._direct_key))
        return await pool.exchange(origin, head, body, timeouts)

    async def aclose(self) -> None:
        """Do nothing: the pool is shared."""
