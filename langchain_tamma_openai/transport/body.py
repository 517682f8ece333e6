"""Read the body of a streamed answer, and leave its connection fit for the next one.

A stream that ends well is read to the end of the HTTP message, which follows the last event at
once, so that the connection can be used again. A stream that the caller leaves, or that breaks, has
its connection closed: the server notices, and stops.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeAlias, cast

from langchain_tamma_openai.transport.answer import Answer, AnswerBase, AsyncAnswer
from langchain_tamma_openai.transport.http_library import http_library, transport_errors

if TYPE_CHECKING:
    import httpx2

    from langchain_tamma_openai.resilience.deadline import Deadline
    from langchain_tamma_openai.transport.timeouts import Timeouts

AnyResponse: TypeAlias = "httpx2.Response | AnswerBase[Any]"

# What a server may still take between its last event and the end of the HTTP message.
_DRAIN_LIMIT_S = 0.25
_SHORTEST_LIMIT_S = 0.001
# A limit is set anew when that part of it is left, so that a silence ends at most a tenth late.
_WORTH_RENEWING = 0.9


class Reading:
    """Iterates over a streamed body and gives the connection back on the way out."""

    def __init__(self, response: httpx2.Response | Answer, deadline: Deadline | None = None):
        """Read nothing yet.

        Args:
            response: An answer whose body is still to be read.
            deadline: When it has to be whole; None, or one without a limit, for never.
        """
        self._response = response
        self._deadline = deadline

    def __enter__(self) -> Iterator[bytes]:
        """Return the pieces as they arrive."""
        response, deadline = self._response, self._deadline
        left_s = None if deadline is None else deadline.left_s
        if isinstance(response, Answer):
            return (
                iter(response)
                if left_s is None
                else raw_pieces(response, cast("Deadline", deadline))
            )
        if not _is_plain(response):
            limit_read(response, None if left_s is None else max(_SHORTEST_LIMIT_S, left_s))
            return response.iter_bytes()
        if deadline is not None and left_s is not None:
            return raw_pieces(response, deadline)
        return response.iter_raw()

    def __exit__(self, kind: type[BaseException] | None, *_exc: object) -> None:
        """Close the connection, or keep it for the next request if the body came to its end."""
        try:
            if kind is None and _is_worth_draining(self._response):
                self._drain()
        finally:
            self._response.close()

    def _drain(self) -> None:
        # Iterating anew reads on where the suspended iterator stands, and takes over the new limit.
        if not _has_a_wire(self._response):
            return
        limit_read(self._response, _DRAIN_LIMIT_S)
        end_s = time.monotonic() + _DRAIN_LIMIT_S
        with suppress(*transport_errors()):
            for _ in _body(self._response):
                if time.monotonic() > end_s:
                    return


class AsyncReading:
    """The async twin of `Reading`.

    A class and not a generator: at its end a loop closes all generators at once, and one that waits
    for another to close would fail.
    """

    def __init__(self, response: httpx2.Response | AsyncAnswer, deadline: Deadline | None = None):
        """Read nothing yet; see `Reading`."""
        self._response = response
        self._deadline = deadline

    async def __aenter__(self) -> AsyncIterator[bytes]:
        """Return the pieces as they arrive."""
        response, deadline = self._response, self._deadline
        if isinstance(response, AsyncAnswer):
            self._pieces: AsyncIterator[bytes] = response
        else:
            self._pieces = response.aiter_raw() if _is_plain(response) else response.aiter_bytes()
        if deadline is not None and deadline.left_s is not None:
            return _TimedPieces(self._pieces, deadline)
        return self._pieces

    async def __aexit__(self, kind: type[BaseException] | None, *_exc: object) -> None:
        """Close the connection, or keep it for the next request if the body came to its end."""
        try:
            if kind is None and _is_worth_draining(self._response):
                await self._drain()
        finally:
            await self._response.aclose()

    async def _drain(self) -> None:
        with suppress(TimeoutError, *transport_errors()):
            async with asyncio.timeout(_DRAIN_LIMIT_S):
                async for _ in self._pieces:
                    pass


class _TimedPieces:
    """Pieces of a body, each awaited no longer than until the deadline."""

    def __init__(self, pieces: AsyncIterator[bytes], deadline: Deadline) -> None:
        self._pieces = pieces
        self._deadline = deadline

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        async with asyncio.timeout(self._deadline.left_s):
            return await anext(self._pieces)


def raw_pieces(response: httpx2.Response | Answer, deadline: Deadline) -> Iterator[bytes]:
    """Yield a body as it arrives, and let no read wait until long after the deadline.

    The HTTP library looks at the limit of a read once, when iteration begins. Iterating anew reads
    on where the suspended iterator stands; that one is kept, as dropping it would hang up.

    Args:
        response: An answer whose body is still to be read.
        deadline: When it has to be whole.
    """
    suspended = []
    while True:
        limit_s = max(_SHORTEST_LIMIT_S, deadline.left_s or 0.0)
        limit_read(response, limit_s)
        pieces = iter(_body(response))
        suspended.append(pieces)
        for piece in pieces:
            yield piece
            if (deadline.left_s or 0.0) < limit_s * _WORTH_RENEWING:
                break
        else:
            return


def read_within(response: httpx2.Response | Answer, deadline: Deadline) -> httpx2.Response:
    """Read a whole answer before the deadline.

    Args:
        response: An answer whose body is still to be read.
        deadline: When it has to be whole.

    Returns:
        The same answer with its body.

    Raises:
        TimeoutError: The deadline came first.
        Exception: The HTTP library's, where the connection broke.
    """
    body = bytearray()
    try:
        for piece in raw_pieces(response, deadline):
            body += piece
            if deadline.is_over:
                raise TimeoutError
    finally:
        response.close()
    if isinstance(response, Answer):
        response.content = bytes(body)
        return cast("httpx2.Response", response)
    whole: httpx2.Response = http_library().Response(
        response.status_code,
        headers=response.headers,
        content=bytes(body),
        request=response.request,
        extensions=response.extensions,
    )
    return whole


def limit_read(response: AnyResponse, limit_s: float | None) -> None:
    """Let no single read of a streamed body wait longer than a limit.

    Args:
        response: An answer whose body is still to be read.
        limit_s: Seconds, or None to leave the request's own limit.
    """
    if limit_s is None or (timeouts := timeouts_of(response)) is None:
        return
    current = timeouts.get("read")
    timeouts["read"] = limit_s if current is None else min(current, limit_s)


def timeouts_of(response: AnyResponse) -> Timeouts | None:
    """Return the limits that reading a body looks at; changing them changes it.

    Args:
        response: An answer whose body is still to be read.
    """
    if isinstance(response, AnswerBase):
        return response.timeouts
    timeouts = response.request.extensions.get("timeout")
    return timeouts if isinstance(timeouts, dict) else None


def _body(response: httpx2.Response | Answer) -> Any:
    # The stream of a response is typed for both colours.
    return response if isinstance(response, Answer) else response.stream


def _has_a_wire(response: httpx2.Response | Answer) -> bool:
    """Whether a body comes over a connection."""
    return isinstance(response, Answer) or "network_stream" in response.extensions


def _is_worth_draining(response: AnyResponse) -> bool:
    """Whether only the end of the message stands between the connection and its next use."""
    if isinstance(response, AnswerBase):
        return not (response.is_closed or response.is_whole)
    return not response.is_closed and response.http_version.startswith("HTTP/1")


def _is_plain(response: httpx2.Response) -> bool:
    """Whether the body comes as it is, neither compressed nor already in memory."""
    if response.is_stream_consumed:
        return False
    return response.headers.get("content-encoding", "identity") == "identity"
