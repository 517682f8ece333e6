"""Connection pools: one per event loop and one for all threads, shared by every model instance.

A model's HTTP client is a thin object over a transport of this module, which finds the pool at each
request: by the running loop, so that one model serves several `asyncio.run` calls, and by process,
so that a forked worker never touches its parent's sockets. A thousand models hold one pool.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from langchain_tamma_openai.transport.http_library import http_library

if TYPE_CHECKING:
    import ssl

    import httpx2

MAX_CONNECTIONS = 1000
MAX_KEEPALIVE_CONNECTIONS = 100
KEEPALIVE_EXPIRY_S = 5.0

SocketOptions = tuple[tuple[int, int, int], ...]


@dataclass(frozen=True, slots=True)
class PoolKey:
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
        "proxy": library.Proxy(key.proxy, ssl_context=_ssl_context()) if key.proxy else None,
        "socket_options": key.socket_options or None,
        "limits": library.Limits(
            max_connections=MAX_CONNECTIONS,
            max_keepalive_connections=MAX_KEEPALIVE_CONNECTIONS,
            keepalive_expiry=KEEPALIVE_EXPIRY_S,
        ),
    }


class _Pools:
    """The pools of this process."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Start empty, without closing: after a fork the sockets belong to the parent."""
        self._lock = threading.Lock()
        self._sync: dict[PoolKey, httpx2.HTTPTransport] = {}
        self._by_loop: dict[asyncio.AbstractEventLoop, _LoopPools] = {}

    def for_threads(self, key: PoolKey) -> httpx2.HTTPTransport:
        """Return the pool that all threads share."""
        if (pool := self._sync.get(key)) is not None:
            return pool
        with self._lock:
            if key not in self._sync:
                self._sync[key] = http_library().HTTPTransport(**_transport_options(key))
            return self._sync[key]

    async def for_running_loop(self, key: PoolKey) -> httpx2.AsyncHTTPTransport:
        """Return the pool of the running event loop."""
        loop = asyncio.get_running_loop()
        if (pools := self._by_loop.get(loop)) is None:
            pools = await self._open(loop)
        return pools.get(key)

    async def _open(self, loop: asyncio.AbstractEventLoop) -> _LoopPools:
        pools = _LoopPools()
        with self._lock:
            for closed in [known for known in self._by_loop if known.is_closed()]:
                del self._by_loop[closed]
            pools = self._by_loop.setdefault(loop, pools)
        await pools.close_with_loop(lambda: self._by_loop.pop(loop, None))
        return pools


class _LoopPools:
    """The pools of one event loop; only its own thread touches them."""

    def __init__(self) -> None:
        self._pools: dict[PoolKey, httpx2.AsyncHTTPTransport] = {}
        self._closer: AsyncGenerator[None, None] | None = None

    def get(self, key: PoolKey) -> httpx2.AsyncHTTPTransport:
        if (pool := self._pools.get(key)) is None:
            pool = self._pools[key] = http_library().AsyncHTTPTransport(**_transport_options(key))
        return pool

    async def close_with_loop(self, forget: Callable[[], object]) -> None:
        """Have `loop.shutdown_asyncgens()`, which `asyncio.run` calls, close the connections.

        It is the one moment a loop offers before it ends; a generator that has begun is finalised
        then.
        """
        if self._closer is None:
            self._closer = self._close_at_end(forget)
            await anext(self._closer)

    async def _close_at_end(self, forget: Callable[[], object]) -> AsyncGenerator[None, None]:
        try:
            yield
        finally:
            forget()
            pools, self._pools = self._pools, {}
            for pool in pools.values():
                await pool.aclose()


_pools = _Pools()
os.register_at_fork(after_in_child=_pools.forget)


class _ProxyChoice:
    """Which proxy a request takes: the configured one, or the environment's for that host."""

    def __init__(self, proxy: str | None, socket_options: SocketOptions) -> None:
        self._direct = PoolKey(proxy, socket_options)
        self._by_environment = {} if proxy else _environment_proxies()

    def key(self, url: httpx2.URL) -> PoolKey:
        if not self._by_environment:
            return self._direct
        from urllib.request import proxy_bypass

        if proxy_bypass(url.host):
            return self._direct
        proxy = self._by_environment.get(url.scheme) or self._by_environment.get("all")
        if proxy and "://" not in proxy:
            proxy = f"http://{proxy}"
        return PoolKey(proxy, self._direct.socket_options)


def _environment_proxies() -> dict[str, str]:
    from urllib.request import getproxies

    proxies = getproxies()
    return proxies if any(proxies.get(name) for name in ("http", "https", "all")) else {}


class SharedTransport:
    """A sync transport over the process's shared pool; closing it leaves the pool open."""

    def __init__(self, proxy: str | None = None, socket_options: SocketOptions = ()) -> None:
        """Choose the pool.

        Args:
            proxy: URL of a proxy for every request; without it the environment's proxies apply.
            socket_options: `(level, option, value)` for each new socket.
        """
        self._choice = _ProxyChoice(proxy, socket_options)

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send one request through the shared pool."""
        return _pools.for_threads(self._choice.key(request.url)).handle_request(request)

    def close(self) -> None:
        """Do nothing: the pool is shared."""


class SharedAsyncTransport:
    """The async twin of `SharedTransport`, over the pool of the running event loop."""

    def __init__(self, proxy: str | None = None, socket_options: SocketOptions = ()) -> None:
        """Choose the pool; see `SharedTransport`."""
        self._choice = _ProxyChoice(proxy, socket_options)

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send one request through the running loop's pool."""
        pool = await _pools.for_running_loop(self._choice.key(request.url))
        return await pool.handle_async_request(request)

    async def aclose(self) -> None:
        """Do nothing: the pool is shared."""
