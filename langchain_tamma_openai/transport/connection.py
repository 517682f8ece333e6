"""A connection that a thread uses: a socket, perhaps inside TLS."""

from __future__ import annotations

import select
import socket
import ssl
from collections.abc import Callable
from typing import Any

from langchain_tamma_openai.transport.http1 import Message
from langchain_tamma_openai.transport.idle import Origin
from langchain_tamma_openai.transport.sockets import SocketOptions
from langchain_tamma_openai.transport.timeouts import (
    Timeouts,
    network_error,
    protocol_error,
    timeout_error,
)

READ_BYTES = 64 * 1024
# Up to this size a request is sent in one piece; a larger body is not copied.
ONE_PIECE_BYTES = 64 * 1024


class Connection:
    """Carries one request at a time.

    Attributes:
        origin: Where it leads.
    """

    __slots__ = ("__weakref__", "_early", "_limit_s", "_sock", "_unsent", "origin")

    def __init__(self, sock: socket.socket, origin: Origin) -> None:
        """Take a socket that is connected."""
        self.origin = origin
        self._sock = sock
        self._limit_s: float | None = -1.0
        self._early = b""
        self._unsent = False

    @classmethod
    def open(
        cls,
        origin: Origin,
        options: SocketOptions,
        context: Callable[[], ssl.SSLContext],
        limit_s: float | None,
    ) -> Connection:
        """Connect.

        Args:
            origin: Where to.
            options: `(level, option, value)` for the socket.
            context: Gives what TLS needs.
            limit_s: Seconds for the connection, and again for TLS.

        Raises:
            Exception: The HTTP library's `ConnectError` or `ConnectTimeout`.
        """
        scheme, host, port = origin
        try:
            sock = socket.create_connection((host, port), limit_s)
            try:
                for option in options:
                    sock.setsockopt(*option)
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                if scheme == "https":
                    sock = context().wrap_socket(sock, server_hostname=host)
            except BaseException:
                sock.close()
                raise
        except TimeoutError as error:
            raise timeout_error("connect", error) from error
        except OSError as error:
            raise network_error("connect", error) from error
        return cls(sock, origin)

    def exchange(self, head: bytes, body: bytes, timeouts: Timeouts) -> Message:
        """Send a request and read its answer's head.

        Args:
            head: Request line and headers, with the empty line.
            body: May be empty.
            timeouts: Limits of the steps.

        Raises:
            Exception: The HTTP library's.
        """
        self._send(head, body, timeouts.get("write"))
        message = Message()
        read_s = timeouts.get("read")
        while message.head is None:
            self._early = self._feed(message, read_s)
        return message

    def _send(self, head: bytes, body: bytes, limit_s: float | None) -> None:
        try:
            if len(body) <= ONE_PIECE_BYTES:
                self._write(head + body, limit_s)
            else:
                self._write(head, limit_s)
                self._write(body, limit_s)
        except TimeoutError as error:
            raise timeout_error("write", error) from error
        except OSError:
            # A server may answer and close before it has read all.
            self._unsent = True

    def _write(self, data: bytes, limit_s: float | None) -> None:
        self._limit(limit_s)
        sent = self._sock.send(data)
        if sent < len(data):
            rest = memoryview(data)[sent:]
            while rest:
                rest = rest[self._sock.send(rest) :]

    def receive(self, message: Message, limit_s: float | None) -> bytes:
        """Return the next piece of the body, or `b""` at its end.

        Args:
            message: What has come of the answer.
            limit_s: Seconds to wait for it.

        Raises:
            Exception: The HTTP library's.
        """
        if self._early:
            data, self._early = self._early, b""
            return data
        while not message.complete:
            if data := self._feed(message, limit_s):
                return data
        return b""

    def _feed(self, message: Message, limit_s: float | None) -> bytes:
        if message.error is not None:
            raise protocol_error(message.error)
        try:
            self._limit(limit_s)
            data = self._sock.recv(READ_BYTES)
        except TimeoutError as error:
            raise timeout_error("read", error) from error
        except OSError as error:
            raise network_error("read", error) from error
        if data:
            return message.feed(data)
        message.feed_end()
        return b""

    def _limit(self, limit_s: float | None) -> None:
        # A call of the system each, so only where it changes something.
        if limit_s != self._limit_s:
            self._sock.settimeout(limit_s)
            self._limit_s = limit_s

    def is_usable(self) -> bool:
        """Whether the server still holds its end: nothing but its end can come unasked."""
        return not self._unsent and not is_readable(self._sock.fileno())

    @property
    def is_spent(self) -> bool:
        """Whether a part of its last request was never sent."""
        return self._unsent

    def close(self) -> None:
        """Close the socket."""
        self._sock.close()

    def get_extra_info(self, name: str) -> Any:
        """Return the socket, as the HTTP library's network streams do."""
        return self._sock if name == "socket" else None


def is_readable(descriptor: int) -> bool:
    """Whether reading from a socket would not wait; so also for one that is closed.

    Args:
        descriptor: Of the socket.
    """
    if descriptor < 0:
        return True
    if not hasattr(select, "poll"):
        return bool(select.select([descriptor], [], [], 0)[0])
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(0))
