"""Reading a streamed body: to its end, for a short while after it, or not at all."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, TypeAlias

import httpx2
import pytest

from langchain_tamma_openai.transport import body as body_module
from langchain_tamma_openai.transport.body import AsyncReading, Reading, limit_read

Piece: TypeAlias = bytes | Exception


class Body(httpx2.SyncByteStream, httpx2.AsyncByteStream):
    """A body that is read once: iterating anew reads on, as from a real connection."""

    def __init__(self, *pieces: Piece, waits: bool = False) -> None:
        self.left = list(pieces)
        self.waits = waits
        self.closed = False
        self.read_limits_s: list[object] = []
        self.limits: dict[str, object] = {}

    def __iter__(self) -> Iterator[bytes]:
        self.read_limits_s.append(self.limits.get("read"))
        while self.left:
            piece = self.left.pop(0)
            if isinstance(piece, Exception):
                raise piece
            yield piece

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self:
            yield piece
        if self.waits:
            await asyncio.sleep(600)

    def close(self) -> None:
        self.closed = True

    async def aclose(self) -> None:
        self.closed = True


def _response(
    body: Body, *, network: bool = True, http_version: bytes = b"HTTP/1.1", **headers: str
) -> httpx2.Response:
    limits: dict[str, object] = {"connect": 5.0, "read": 600.0, "write": 600.0, "pool": 600.0}
    body.limits = limits
    request = httpx2.Request("POST", "https://host/v1", extensions={"timeout": limits})
    extensions: dict[str, Any] = {"http_version": http_version}
    if network:
        extensions["network_stream"] = object()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx2.Response(200, headers=named, stream=body, extensions=extensions, request=request)


def _sync(response: httpx2.Response, stop_after: int) -> list[bytes]:
    seen: list[bytes] = []
    with Reading(response) as pieces:
        for piece in pieces:
            seen.append(piece)
            if len(seen) == stop_after:
                break
    return seen


def _async(response: httpx2.Response, stop_after: int) -> list[bytes]:
    async def main() -> list[bytes]:
        seen: list[bytes] = []
        async with AsyncReading(response) as pieces:
            async for piece in pieces:
                seen.append(piece)
                if len(seen) == stop_after:
                    break
        return seen

    return asyncio.run(main())


Way: TypeAlias = Callable[[httpx2.Response, int], list[bytes]]
both = pytest.mark.parametrize("read", [_sync, _async])


@pytest.fixture(autouse=True)
def _shorter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(body_module, "_DRAIN_LIMIT_S", 0.05)


@both
def test_to_the_end(read: Way) -> None:
    body = Body(b"a", b"b")
    response = _response(body)
    assert read(response, 9) == [b"a", b"b"]
    assert body.closed
    assert response.is_closed


@both
def test_what_follows_the_last_event_is_read_and_dropped(read: Way) -> None:
    body = Body(b"last", b": bye")
    assert read(_response(body), 1) == [b"last"]
    assert body.left == []
    assert body.closed


@both
@pytest.mark.parametrize("error", [httpx2.ReadTimeout("slow"), httpx2.RemoteProtocolError("cut")])
def test_a_connection_that_breaks_after_the_last_event(read: Way, error: Exception) -> None:
    body = Body(b"last", error)
    assert read(_response(body), 1) == [b"last"]
    assert body.closed


@both
def test_a_new_http_version_needs_no_reading_on(read: Way) -> None:
    body = Body(b"last", b"more")
    assert read(_response(body, http_version=b"HTTP/2"), 1) == [b"last"]
    assert body.left == [b"more"]
    assert body.closed


def test_the_wait_has_a_limit_of_its_own() -> None:
    body = Body(b"last", b"more")
    _sync(_response(body), 1)
    assert body.read_limits_s == [600.0, 0.05]


def test_a_server_that_goes_on_talking() -> None:
    class Endless(Body):
        def __iter__(self) -> Iterator[bytes]:
            while True:
                yield b": still here"

    body = Endless()
    assert _sync(_response(body), 1) == [b": still here"]
    assert body.closed


def test_an_async_server_that_says_nothing_more() -> None:
    body = Body(b"last", waits=True)
    assert _async(_response(body), 1) == [b"last"]
    assert body.closed


def test_a_transport_without_a_connection_is_just_closed() -> None:
    body = Body(b"last", b"more")
    assert _sync(_response(body, network=False), 1) == [b"last"]
    assert body.left == [b"more"]
    assert body.closed


def test_an_error_closes_at_once() -> None:
    body = Body(b"a", b"b")
    with pytest.raises(ZeroDivisionError), Reading(_response(body)) as pieces:
        _ = 1 / len(next(pieces)[1:])
    assert (body.left, body.closed) == ([b"b"], True)


async def test_an_error_closes_at_once_async() -> None:
    body = Body(b"a", b"b")
    with pytest.raises(ZeroDivisionError):
        async with AsyncReading(_response(body)) as pieces:
            _ = 1 / len((await anext(pieces))[1:])
    assert (body.left, body.closed) == ([b"b"], True)


async def test_cancellation_while_waiting_for_the_end_goes_through() -> None:
    body_module._DRAIN_LIMIT_S = 600
    body = Body(b"last", waits=True)

    async def read() -> None:
        async with AsyncReading(_response(body)) as pieces:
            await anext(pieces)

    task = asyncio.create_task(read())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert body.closed


@both
def test_a_compressed_body(read: Way) -> None:
    packed = gzip.compress(b"hello")
    response = _response(Body(packed[:9], packed[9:]), content_encoding="gzip")
    assert b"".join(read(response, 9)) == b"hello"


def test_a_body_that_is_already_in_memory() -> None:
    response = httpx2.Response(200, content=b"all", request=httpx2.Request("GET", "https://h"))
    response.read()
    assert _sync(response, 9) == [b"all"]


# --- the limit of a single read ---


@pytest.mark.parametrize(
    ("current", "limit_s", "expected"),
    [(600.0, 120.0, 120.0), (10.0, 120.0, 10.0), (None, 120.0, 120.0), (600.0, None, 600.0)],
)
def test_limit_read(current: float | None, limit_s: float | None, expected: float) -> None:
    limits = {"read": current}
    request = httpx2.Request("GET", "https://h", extensions={"timeout": limits})
    limit_read(httpx2.Response(200, request=request), limit_s)
    assert limits == {"read": expected}


def test_limit_read_of_a_request_without_timeouts() -> None:
    response = httpx2.Response(200, request=httpx2.Request("GET", "https://h"))
    limit_read(response, 1.0)
    assert "timeout" not in response.request.extensions
