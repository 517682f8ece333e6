"""The pool of a process's threads for connections without a proxy.

It does what the HTTP library's pool does, at a cost that does not grow with the connections.
"""

from __future__ import annotations

import ssl
import threading
import time
from collections.abc import Callable, Iterator
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple
from weakref import WeakSet

from langchain_tamma_openai.transport.answer import Answer
from langchain_tamma_openai.transport.connection import Connection
from langchain_tamma_openai.transport.http_library import http_library
from langchain_tamma_openai.transport.idle import IdleConnections, Origin
from langchain_tamma_openai.transport.loops import close_idle
from langchain_tamma_openai.transport.request_head import is_plain, origin_of, request_head
from langchain_tamma_openai.transport.sockets import SocketOptions
from langchain_tamma_openai.transport.timeouts import Timeouts, timeout_error

if TYPE_CHECKING:
    import httpx2

    from langchain_tamma_openai.transport.pools import SyncTransport


class Limits(NamedTuple):
    """How many connections there may be, and how long.

    Attributes:
        connections: In all.
        idle: Waiting for their next request.
        idle_s: How long one may wait.
    """

    connections: int
    idle: int
    idle_s: float


class DirectPool:
    """Sends requests of all threads over connections that are used again."""

    def __init__(
        self,
        options: SocketOptions,
        limits: Limits,
        context: Callable[[], ssl.SSLContext],
        other: Callable[[], SyncTransport],
    ) -> None:
        """Start without connections.

        Args:
            options: `(level, option, value)` for each new socket.
            limits: How many connections, and how long.
            context: Gives what TLS needs.
            other: Makes the HTTP library's pool, for requests that need more than this one does.
        """
        self._options = options
        self._limits = limits
        self._context = context
        self._make_other = other
        self._other: SyncTransport | None = None
        self._changed = threading.Condition(threading.Lock())
        self._idle: IdleConnections[Connection] = IdleConnections(limits.idle, limits.idle_s)
        self._open = 0
        self._closed = False
        self.streams: WeakSet[Any] = WeakSet()

    def exchange(self, origin: Origin, head: bytes, body: bytes, timeouts: Timeouts) -> Answer:
        """Send a request and return its answer at the head.

        Args:
            origin: Where to.
            head: Request line and headers, with the empty line.
            body: May be empty.
            timeouts: Limits of the steps.

        Raises:
            Exception: The HTTP library's.
        """
        connection = self._take(origin, timeouts.get("pool"))
        try:
            if connection is None:
                connection = Connection.open(
                    origin, self._options, self._context, timeouts.get("connect")
                )
                self.streams.add(connection)
            message = connection.exchange(head, body, timeouts)
        except BaseException:
            self._drop(connection)
            raise
        return Answer(connection, message, timeouts, self._put)

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send a request of the HTTP library; see its transports."""
        body = plain_body(request) if is_plain(request) else None
        if body is None:
            return self._library_pool().handle_request(request)
        url = request.url
        head = request_head(request.method.encode(), url.raw_path, request.headers.raw)
        timeouts = request.extensions.get("timeout", {})
        answer = self.exchange(origin_of(request), head, body, timeouts)
        return answer.as_response(stream=body_stream()(answer))

    def _library_pool(self) -> SyncTransport:
        with self._changed:
            if self._other is None:
                self._other = self._make_other()
            return self._other

    # --- which connection ---

    def _take(self, origin: Origin, limit_s: float | None) -> Connection | None:
        """Take a connection that waits, or leave for a new one, which is None."""
        end_s = None if limit_s is None else time.monotonic() + limit_s
        given_up: list[Connection] = []
        with self._changed:
            try:
                while True:
                    now_s = time.monotonic()
                    connection, useless = self._idle.take(origin, now_s)
                    given_up += useless
                    self._open -= len(useless)
                    if connection is not None or self._may_open(given_up):
                        return connection
                    left_s = None if end_s is None else end_s - now_s
                    if left_s is not None and left_s <= 0:
                        raise timeout_error("pool")
                    self._changed.wait(left_s)
            finally:
                for useless_one in given_up:
                    useless_one.close()

    def _may_open(self, given_up: list[Connection]) -> bool:
        if self._open >= self._limits.connections:
            if (oldest := self._idle.oldest()) is None:
                return False
            given_up.append(oldest)
            self._open -= 1
        self._open += 1
        return True

    def _put(self, connection: Connection, reusable: bool) -> None:  # noqa: FBT001 - the answer's one fact
        if not reusable or connection.is_spent or self._closed:
            self._drop(connection)
            return
        with self._changed:
            given_up = self._idle.put(connection, time.monotonic())
            self._open -= len(given_up)
            self._changed.notify()
        for useless in given_up:
            useless.close()

    def _drop(self, connection: Connection | None) -> None:
        if connection is not None:
            connection.close()
        with self._changed:
            self._open -= 1
            self._changed.notify()

    # --- closing ---

    def close_idle(self) -> None:
        """Close the connections that no request uses."""
        with self._changed:
            found = self._idle.clear()
            self._open -= len(found)
            self._changed.notify_all()
        for connection in found:
            connection.close()
        if self._other is not None:
            close_idle(self._other)

    def after_fork(self) -> list[Any]:
        """Let go of the parent's connections, and return them to be closed in this process.

        A lock that another thread held at the fork is held for ever here.
        """
        self._changed = threading.Condition(threading.Lock())
        self._closed = True
        self._idle.clear()
        return list(self.streams)

    def close(self) -> None:
        """Close the connections that no request uses, and each other one when its answer ends."""
        self._closed = True
        self.close_idle()
        if self._other is not None:
            self._other.close()


def plain_body(request: httpx2.Request) -> bytes | None:
    """Return the body of a request; None where it is a stream.

    Args:
        request: The HTTP library's.
    """
    if not isinstance(request.stream, http_library().ByteStream):
        return None
    return b"".join(request.stream)


@cache
def body_stream() -> Any:
    """Return the class of a body as the HTTP library's responses hold it."""

    class BodyStream(http_library().SyncByteStream):  # type: ignore[misc]  # known when loaded
        def __init__(self, answer: Answer) -> None:
            self._answer = answer

        def __iter__(self) -> Iterator[bytes]:
            return iter(self._answer)

        def close(self) -> None:
            self._answer.close()

    return BodyStream
