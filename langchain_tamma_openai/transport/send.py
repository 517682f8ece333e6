"""Send one request through the SDK's client and bring back raw bytes.

The SDK authenticates, builds the HTTP request and raises its errors; its models are never built and
its own retries are off: `resilience.retry` is the one owner of retries. Once it has shown what it
sends, requests that differ in their bodies alone take a short way: see `lanes`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache, partial
from typing import TYPE_CHECKING, Any, cast

from langchain_tamma_openai.checks import check_timeout
from langchain_tamma_openai.transport.http_library import http_library

if TYPE_CHECKING:
    import httpx2
    import openai

    from langchain_tamma_openai.transport.lanes import Departure, Lane

LANE = "_tamma_lane"
"""Attribute of an SDK client under which its short way is found."""

_OPTION_NAMES = {
    "extra_headers": "headers",
    "extra_query": "params",
    "extra_body": "extra_json",
    "timeout": "timeout",
}


_TIMEOUT_PARTS = ("connect", "read", "write", "pool")


@dataclass(slots=True)
class WireRequest:
    """One HTTP request to the API.

    Attributes:
        path: Below the base URL, such as `/chat/completions`.
        body: The JSON body.
        options: The SDK's request options: headers, query, extra body, timeout.
        method: `"post"` or `"get"`; a GET has no body.
    """

    path: str
    body: dict[str, Any]
    options: dict[str, Any] = field(default_factory=dict)
    method: str = "post"

    @classmethod
    def from_payload(cls, path: str, payload: Mapping[str, Any]) -> WireRequest:
        """Split a payload into the body and what the SDK takes beside it.

        Args:
            path: Below the base URL.
            payload: Body parameters, and possibly `extra_headers`, `extra_query`, `extra_body` and
                `timeout` as the SDK's own methods take them.

        Raises:
            ConfigurationError: The timeout is no finite time above 0.
        """
        body = dict(payload)
        options: dict[str, Any] = {"max_retries": 0}
        for name, option in _OPTION_NAMES.items():
            if (value := body.pop(name, None)) is not None:
                options[option] = value
        if "timeout" in options:
            from langchain_tamma_openai.transport.clients import finite_timeout

            check_timeout(options["timeout"])
            options["timeout"] = finite_timeout(options["timeout"])
        return cls(path, body, options)


def send(client: openai.OpenAI, request: WireRequest) -> httpx2.Response:
    """Send a request and read the whole answer.

    Returns:
        The answer: the HTTP library's, or one of ours that has the same status, headers and body.

    Raises:
        openai.OpenAIError: What the SDK raises for the status or the connection.
    """
    departure = _depart(client, request)
    answer = _take(departure)
    if answer is not None:
        return answer
    response = cast("httpx2.Response", _method(client, request)(cast_to=http_library().Response))
    _learn(departure, response)
    return response


async def asend(client: openai.AsyncOpenAI, request: WireRequest) -> httpx2.Response:
    """Send a request and read the whole answer; see `send`."""
    departure = _depart(client, request)
    answer = await _atake(departure)
    if answer is not None:
        return answer
    sent = _method(client, request)(cast_to=http_library().Response)
    response = cast("httpx2.Response", await sent)
    _learn(departure, response)
    return response


def open_stream(client: openai.OpenAI, request: WireRequest) -> httpx2.Response:
    """Send a request and return its answer once the headers are there; the caller closes it.

    Returns:
        The answer: the HTTP library's, or one of ours that `transport.body` reads as well.
    """
    departure = _depart(client, request)
    answer = _take(departure, streams=True)
    if answer is not None:
        return answer
    stream_class = _stream_classes()[0]
    stream = _method(client, request)(cast_to=object, stream=True, stream_cls=stream_class)
    _learn(departure, stream.response)
    return cast("httpx2.Response", stream.response)


async def aopen_stream(client: openai.AsyncOpenAI, request: WireRequest) -> httpx2.Response:
    """Send a request and return its answer once the headers are there; see `open_stream`."""
    departure = _depart(client, request)
    answer = await _atake(departure, streams=True)
    if answer is not None:
        return answer
    stream_class = _stream_classes()[1]
    stream = await _method(client, request)(cast_to=object, stream=True, stream_cls=stream_class)
    _learn(departure, stream.response)
    return cast("httpx2.Response", stream.response)


def _depart(client: object, request: WireRequest) -> Departure | None:
    """Try the short way; None where the client has none."""
    lane: Lane | None = getattr(client, LANE, None)
    return None if lane is None else lane.depart(client, request)


def _take(departure: Departure | None, *, streams: bool = False) -> httpx2.Response | None:
    if departure is None or departure.prepared is None:
        return None
    from langchain_tamma_openai.transport.short_way import take

    return take(departure, departure.prepared, streams=streams)


async def _atake(departure: Departure | None, *, streams: bool = False) -> httpx2.Response | None:
    if departure is None or departure.prepared is None:
        return None
    from langchain_tamma_openai.transport.short_way import atake

    return await atake(departure, departure.prepared, streams=streams)


def _learn(departure: Departure | None, response: httpx2.Response) -> None:
    if departure is not None:
        departure.lane.learn(departure, response)


def limit_timeout(
    request: WireRequest, client: openai.OpenAI | openai.AsyncOpenAI, limit_s: float
) -> None:
    """Let no step of sending a request wait longer than a limit.

    Args:
        request: Not sent yet.
        client: Whose timeout holds where the request has none of its own.
        limit_s: Seconds.
    """
    from openai import Timeout

    given = request.options.get("timeout", client.timeout)
    limits = {part: _least(getattr(given, part, given), limit_s) for part in _TIMEOUT_PARTS}
    request.options["timeout"] = Timeout(**limits)


def _least(given_s: object, limit_s: float) -> float:
    return min(given_s, limit_s) if isinstance(given_s, int | float) else limit_s


def _method(client: openai.OpenAI | openai.AsyncOpenAI, request: WireRequest) -> Any:
    """Return the SDK's method for a request, given everything but the form of the answer."""
    if request.method == "get":
        return partial(client.get, request.path, options=cast("Any", request.options))
    return partial(
        client.post, request.path, body=request.body, options=cast("Any", request.options)
    )


async def _nothing(*items: object) -> AsyncIterator[object]:
    for item in items:
        yield item


@cache
def _stream_classes() -> tuple[Any, Any]:
    """Make the stream types the SDK hands an open response to; they leave decoding to us."""
    import openai

    # The SDK's own `__stream__` is a generator that holds the stream that holds it: a cycle.
    class RawStream(openai.Stream[object]):
        def __stream__(self) -> Iterator[object]:
            return iter(())

    class RawAsyncStream(openai.AsyncStream[object]):
        def __stream__(self) -> AsyncIterator[object]:
            return _nothing()

    return RawStream, RawAsyncStream
