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
from typing import TYPE_CHECKING, Any

from langchain_tamma_openai.transport.http_library import transport_errors

if TYPE_CHECKING:
    import httpx2

# What a server may still take between its last event and the end of the HTTP message.
_DRAIN_LIMIT_S = 0.25


class Reading:
    """Iterates over a streamed body and gives the connection back on the way out."""

    def __init__(self, response: httpx2.Response) -> None:
        """Read nothing yet.

        Args:
            response: An answer whose body is still to be read.
        """
        self._response = response

    def __enter__(self) -> Iterator[bytes]:
        """Return the pieces as they arrive."""
        response = self._response
        return response.iter_raw() if _is_plain(response) else response.iter_bytes()

    def __exit__(self, kind: type[BaseException] | None, *_exc: object) -> None:
        """Close the connection, or keep it for the next request if the body came to its end."""
        try:
            if kind is None and _is_worth_draining(self._response):
                self._drain()
        finally:
            self._response.close()

    def _drain(self) -> None:
        # Iterating anew reads on where the suspended iterator stands, and takes over the new limit.
        if self._response.extensions.get("network_stream") is None:
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

    def __init__(self, response: httpx2.Response) -> None:
        """Read nothing yet; see `Reading`."""
        self._response = response

    async def __aenter__(self) -> AsyncIterator[bytes]:
        """Return the pieces as they arrive."""
        response = self._response
        self._pieces = response.aiter_raw() if _is_plain(response) else response.aiter_bytes()
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


def limit_read(response: httpx2.Response, limit_s: float | None) -> None:
    """Let no single read of a streamed body wait longer than a limit.

    Args:
        response: An answer whose body is still to be read.
        limit_s: Seconds, or None to leave the request's own limit.
    """
    timeouts = response.request.extensions.get("timeout")
    if limit_s is None or not isinstance(timeouts, dict):
        return
    current = timeouts.get("read")
    timeouts["read"] = limit_s if current is None else min(current, limit_s)


def _body(response: httpx2.Response) -> Any:
    # The stream of a response is typed for both colours.
    return response.stream


def _is_worth_draining(response: httpx2.Response) -> bool:
    """Whether only the end of the message stands between the connection and its next use."""
    return not response.is_closed and response.http_version.startswith("HTTP/1")


def _is_plain(response: httpx2.Response) -> bool:
    """Whether the body comes as it is, neither compressed nor already in memory."""
    if response.is_stream_consumed:
        return False
    return response.headers.get("content-encoding", "identity") == "identity"
