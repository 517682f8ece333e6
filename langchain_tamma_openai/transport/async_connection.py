"""A connection of an event loop: a protocol whose bytes are read as they come."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
from collections.abc import Callable
from typing import Any, cast

from langchain_tamma_openai.transport.connection import (
    ONE_PIECE_BYTES,
    READ_BYTES,
    is_readable,
)
from langchain_tamma_openai.transport.http1 import Message
from langchain_tamma_openai.transport.idle import Origin
from langchain_tamma_openai.transport.sockets import SocketOptions
from langchain_tamma_openai.transport.timeouts import (
    Timeouts,
    network_error,
    protocol_error,
    timeout_error,
)

# More than this is not taken from the server before the reader asks for it.
_HIGH_WATER_BYTES = 2 * READ_BYTES
_EYEBALLS_S = 0.25


class AsyncConnection(asyncio.BufferedProtocol):
    """Carries one request at a time, in one event loop.

    Attributes:
        origin: Where it leads.
        on_lost: Called once when the connection has gone.
    """

    def __init__(
        self, origin: Origin, buffer: memoryview, on_lost: Callable[[AsyncConnection], None]
    ) -> None:
        """Wait to be connected.

        Args:
            origin: Where it leads.
            buffer: Takes what is read, for all connections of a loop, one after another.
            on_lost: See the class.
        """
        self.origin = origin
        self.on_lost = on_lost
        self._loop = asyncio.get_running_loop()
        self._buffer = buffer
        self._transport = cast("asyncio.Transport", None)  # until the loop has connected it
        self._descriptor = -1
        self._message: Message | None = None
        self._pieces: list[bytes] = []
        self._waiting_bytes = 0
        self._waiter: asyncio.Future[None] | None = None
        self._lost = False
        self._failure: BaseException | None = None
        self._blocked = False
        self._held = False

    # --- what the event loop calls ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport."""
        self._transport = cast("asyncio.Transport", transport)

    def get_buffer(self, _sizehint: int) -> memoryview:
        """Return where to read to."""
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Take what was read."""
        message = self._message
        if message is None:
            # Nobody has asked for anything.
            self.hang_up()
            return
        piece = message.feed(bytes(self._buffer[:nbytes]))
        if piece:
            self._pieces.append(piece)
            self._waiting_bytes += len(piece)
            if self._waiting_bytes > _HIGH_WATER_BYTES and not message.complete:
                self._hold()
        self._wake()

    def eof_received(self) -> None:
        """Take the end of what the server sends; the transport closes itself."""
        self._lost = True
        if self._message is not None:
            self._message.feed_end()
        self._wake()

    def connection_lost(self, exc: BaseException | None) -> None:
        """Take the end of the connection."""
        self._lost = True
        message = self._message
        if message is not None and not message.complete:
            if exc is None:
                message.feed_end()
            else:
                self._failure = exc
        self._blocked = False
        self._wake()
        self.on_lost(self)

    def pause_writing(self) -> None:
        """Note that the server takes no more for now."""
        self._blocked = True

    def resume_writing(self) -> None:
        """Note that it does again."""
        self._blocked = False
        self._wake()

    # --- what the pool calls ---

    async def secure(self, context: ssl.SSLContext, limit_s: float | None) -> None:
        """Begin TLS.

        Args:
            context: What it needs.
            limit_s: Seconds.
        """
        async with asyncio.timeout(limit_s):
            secured = await self._loop.start_tls(
                self._transport, self, context, server_hostname=self.origin[1]
            )
        self._transport = cast("asyncio.Transport", secured)

    def prepare(self, options: SocketOptions) -> None:
        """Set the options of the socket.

        Args:
            options: `(level, option, value)` each.
        """
        sock = self.get_extra_info("socket")
        for option in options:
            sock.setsockopt(*option)
        self._descriptor = sock.fileno()

    async def exchange(self, head: bytes, body: bytes, timeouts: Timeouts) -> Message:
        """Send a request and read its answer's head; see `Connection.exchange`."""
        transport = self._transport
        message = self._message = Message()
        if len(body) <= ONE_PIECE_BYTES:
            transport.write(head + body)
        else:
            transport.write(head)
            transport.write(body)
        while self._blocked and message.head is None and not self._lost:
            # A server may answer, or close, before it has read all.
            await self._wait("write", timeouts.get("write"))
        read_s = timeouts.get("read")
        while message.head is None:
            self._check(message)
            await self._wait("read", read_s)
        return message

    async def receive(self, message: Message, limit_s: float | None) -> bytes:
        """Return the next piece of the body, or `b""` at its end; see `Connection.receive`."""
        while not self._pieces:
            if message.complete:
                return b""
            self._check(message)
            await self._wait("read", limit_s)
        pieces = self._pieces
        piece = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        self._pieces = []
        self._waiting_bytes = 0
        if self._held:
            self._release()
        return piece

    def rest(self) -> bool:
        """Wait for nothing any more; tell whether another request can be sent."""
        self._message = None
        usable = not (self._lost or self._blocked)
        if usable and self._held:
            self._release()
        self._pieces = []
        self._waiting_bytes = 0
        return usable

    def is_usable(self) -> bool:
        """Whether the server still holds its end: nothing but its end can come unasked."""
        if self._lost or self._transport.is_closing():
            return False
        return not is_readable(self._descriptor)

    def hang_up(self) -> None:
        """Close the socket without waiting for anything."""
        self._lost = True
        self._message = None
        # What a closed loop leaves open is closed by `loops`.
        if self._transport is not None and not self._loop.is_closed():
            self._transport.abort()

    def get_extra_info(self, name: str) -> Any:
        """Return what the transport tells, such as the socket."""
        return None if self._transport is None else self._transport.get_extra_info(name)

    # --- waiting ---

    async def _wait(self, step: str, limit_s: float | None) -> None:
        waiter = self._waiter = self._loop.create_future()
        timer = None if limit_s is None else self._loop.call_later(limit_s, _expire, waiter)
        try:
            await waiter
        except TimeoutError as error:
            raise timeout_error(step) from error
        finally:
            self._waiter = None
            if timer is not None:
                timer.cancel()

    def _wake(self) -> None:
        if (waiter := self._waiter) is not None and not waiter.done():
            waiter.set_result(None)

    def _check(self, message: Message) -> None:
        if message.error is not None:
            raise protocol_error(message.error)
        if self._failure is not None:
            raise network_error("read", self._failure) from self._failure
        if self._lost:
            message.feed_end()
            if message.error is not None:
                raise protocol_error(message.error)

    def _hold(self) -> None:
        if not self._held:
            self._held = True
            self._transport.pause_reading()

    def _release(self) -> None:
        self._held = False
        if not self._lost:
            self._transport.resume_reading()


def _expire(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_exception(TimeoutError())


async def open_async(
    make: Callable[[], AsyncConnection],
    origin: Origin,
    options: SocketOptions,
    context: Callable[[], ssl.SSLContext],
    limit_s: float | None,
) -> AsyncConnection:
    """Connect; see `Connection.open`.

    Args:
        make: Makes the protocol.
        origin: Where to.
        options: `(level, option, value)` for the socket.
        context: Gives what TLS needs.
        limit_s: Seconds for the connection, and again for TLS.
    """
    scheme, host, port = origin
    connection = None
    try:
        async with asyncio.timeout(limit_s):
            loop = asyncio.get_running_loop()
            _, connection = await loop.create_connection(make, host, port, **_racing(loop, host))
        connection.prepare(options)
        if scheme == "https":
            await connection.secure(context(), limit_s)
    except BaseException as error:
        if connection is not None:
            connection.hang_up()
        if isinstance(error, TimeoutError):
            raise timeout_error("connect", error) from error
        if isinstance(error, OSError):
            raise network_error("connect", _reason(error)) from error
        raise
    return connection


def _racing(loop: asyncio.AbstractEventLoop, host: str) -> dict[str, Any]:
    """Have the addresses of a name tried beside each other, where the loop can."""
    is_number = ":" in host or host.replace(".", "").isdigit()
    if is_number or not isinstance(loop, asyncio.BaseEventLoop):
        return {}
    return {"happy_eyeballs_delay": _EYEBALLS_S}


def _reason(error: OSError) -> str:
    """Say what happened as a thread's socket would: asyncio's own words hide it."""
    if not error.errno or isinstance(error, ssl.SSLError | socket.gaierror):
        return str(error)
    return f"[Errno {error.errno}] {os.strerror(error.errno)}"
