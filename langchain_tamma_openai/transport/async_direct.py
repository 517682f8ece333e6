"""The pool of an event loop for connections without a proxy; see `direct`."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from functools import cache
from typing import TYPE_CHECKING, Any, Literal
from weakref import WeakSet

from langchain_tamma_openai.transport.answer import AsyncAnswer
from langchain_tamma_openai.transport.async_connection import AsyncConnection, open_async
from langchain_tamma_openai.transport.connection import READ_BYTES
from langchain_tamma_openai.transport.direct import Limits, plain_body
from langchain_tamma_openai.transport.http_library import http_library
from langchain_tamma_openai.transport.idle import IdleConnections, Origin
from langchain_tamma_openai.transport.loops import aclose_idle
from langchain_tamma_openai.transport.request_head import is_plain, origin_of, request_head
from langchain_tamma_openai.transport.sockets import SocketOptions
from langchain_tamma_openai.transport.timeouts import Timeouts, timeout_error

if TYPE_CHECKING:
    import httpx2

    from langchain_tamma_openai.transport.loops import AsyncTransport


class AsyncDirectPool:
    """Sends requests of an event loop over connections that are used again."""

    def __init__(
        self,
        options: SocketOptions,
        limits: Limits,
        context: Callable[[], ssl.SSLContext],
        other: Callable[[], AsyncTransport],
    ) -> None:
        """Start without connections; see `DirectPool`."""
        self._options = options
        self._limits = limits
        self._context = context
        self._make_other = other
        self._other: AsyncTransport | None = None
        self._idle: IdleConnections[AsyncConnection] = IdleConnections(limits.idle, limits.idle_s)
        self._waiters: deque[asyncio.Future[None]] = deque()
        self._open = 0
        self._closed = False
        self._buffer = memoryview(bytearray(READ_BYTES))
        self.streams: WeakSet[Any] = WeakSet()

    async def exchange(
        self, origin: Origin, head: bytes, body: bytes, timeouts: Timeouts
    ) -> AsyncAnswer:
        """Send a request and return its answer at the head; see `DirectPool.exchange`."""
        found = self._try(origin)
        if found is None:
            found = await self._wait(origin, timeouts.get("pool"))
        connection = None
        try:
            connection = await self._connect(origin, timeouts) if found is True else found
            message = await connection.exchange(head, body, timeouts)
        except BaseException:
            self._drop(connection)
            raise
        return AsyncAnswer(connection, message, timeouts, self._put)

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send a request of the HTTP library; see its transports."""
        body = plain_body(request) if is_plain(request) else None
        if body is None:
            return await self._library_pool().handle_async_request(request)
        url = request.url
        head = request_head(request.method.encode(), url.raw_path, request.headers.raw)
        timeouts = request.extensions.get("timeout", {})
        answer = await self.exchange(origin_of(request), head, body, timeouts)
        return answer.as_response(stream=async_body_stream()(answer))

    def _library_pool(self) -> AsyncTransport:
        if self._other is None:
            self._other = self._make_other()
        return self._other

    # --- which connection ---

    async def _connect(self, origin: Origin, timeouts: Timeouts) -> AsyncConnection:
        connection = await open_async(
            lambda: AsyncConnection(origin, self._buffer, self._lost),
            origin,
            self._options,
            self._context,
            timeouts.get("connect"),
        )
        self.streams.add(connection)
        return connection

    def _try(self, origin: Origin) -> AsyncConnection | Literal[True] | None:
        """Take a connection that waits, or leave for a new one, which is True; None for neither."""
        connection, given_up = self._idle.take(origin, time.monotonic())
        self._open -= len(given_up)
        if connection is None and self._open >= self._limits.connections:
            if (oldest := self._idle.oldest()) is None:
                return None
            given_up.append(oldest)
            self._open -= 1
        for useless in given_up:
            useless.hang_up()
        if connection is None:
            self._open += 1
            return True
        return connection

    async def _wait(self, origin: Origin, limit_s: float | None) -> AsyncConnection | Literal[True]:
        waiter = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        try:
            async with asyncio.timeout(limit_s):
                while True:
                    await waiter
                    if (found := self._try(origin)) is not None:
                        return found
                    # Somebody came in between: wait on, before all others.
                    waiter = asyncio.get_running_loop().create_future()
                    self._waiters.appendleft(waiter)
        except BaseException as error:
            if waiter.done() and not waiter.cancelled():
                self._wake()  # the next one, as this one does not use what it was woken for
            else:
                self._waiters.remove(waiter)
            if isinstance(error, TimeoutError):
                raise timeout_error("pool", error) from error
            raise

    def _put(self, connection: AsyncConnection, reusable: bool) -> None:  # noqa: FBT001 - the answer's one fact
        if not (connection.rest() and reusable) or self._closed:
            self._drop(connection)
            return
        given_up = self._idle.put(connection, time.monotonic())
        self._open -= len(given_up)
        for useless in given_up:
            useless.hang_up()
        self._wake()

    def _drop(self, connection: AsyncConnection | None) -> None:
        if connection is not None:
            connection.hang_up()
        self._open -= 1
        self._wake()

    def _lost(self, connection: AsyncConnection) -> None:
        if self._idle.forget(connection):
            self._open -= 1
            self._wake()

    def _wake(self) -> None:
        while self._waiters:
            waiter = self._waiters.popleft()
            if not (waiter.done() or waiter.get_loop().is_closed()):
                waiter.set_result(None)
                return

    # --- closing ---

    async def close_idle(self) -> None:
        """Close the connections that no request uses."""
        found = self._idle.clear()
        self._open -= len(found)
        for connection in found:
            connection.hang_up()
        if self._other is not None:
            await aclose_idle(self._other)
        # A transport closes its socket in the next round of its loop.
        await asyncio.sleep(0)

    async def aclose(self) -> None:
        """Close all connections: their loop ends."""
        self._closed = True
        for connection in list(self.streams):
            connection.hang_up()
        await self.close_idle()
        if self._other is not None:
            await self._other.aclose()


@cache
def async_body_stream() -> Any:
    """Return the class of a body as the HTTP library's responses hold it."""

    class AsyncBodyStream(http_library().AsyncByteStream):  # type: ignore[misc]  # known when loaded
        def __init__(self, answer: AsyncAnswer) -> None:
            self._answer = answer

        def __aiter__(self) -> AsyncIterator[bytes]:
            return self._answer

        async def aclose(self) -> None:
            await self._answer.aclose()

    return AsyncBodyStream
