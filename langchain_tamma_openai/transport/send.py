"""Send one request through the SDK's client and bring back raw bytes.

The SDK authenticates, builds the HTTP request and raises its errors; its models are never built and
its own retries are off: `resilience.retry` is the one owner of retries.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache, partial
from typing import TYPE_CHECKING, Any, cast

from langchain_tamma_openai.checks import check_timeout
from langchain_tamma_openai.transport.async_direct import async_body_stream
from langchain_tamma_openai.transport.direct import body_stream
from langchain_tamma_openai.transport.http_library import http_library, transport_errors
from langchain_tamma_openai.transport.lanes import Departure, depart, sdk_error, timed

if TYPE_CHECKING:
    import httpx2
    import openai

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
    departure = depart(client, request)
    answer = _take_lane(departure)
    if answer is not None:
        return answer
    response = cast("httpx2.Response", _method(client, request)(cast_to=http_library().Response))
    departure.learn(response)
    return response


async def asend(client: openai.AsyncOpenAI, request: WireRequest) -> httpx2.Response:
    """Send a request and read the whole answer; see `send`."""
    departure = depart(client, request)
    answer = await _atake_lane(departure)
    if answer is not None:
        return answer
    sent = _method(client, request)(cast_to=http_library().Response)
    response = cast("httpx2.Response", await sent)
    departure.learn(response)
    return response


def open_stream(client: openai.OpenAI, request: WireRequest) -> httpx2.Response:
    """Send a request and return its answer once the headers are there; the caller closes it.

    Returns:
        The answer: the HTTP library's, or one of ours that `transport.body` reads as well.
    """
    departure = depart(client, request)
    answer = _take_lane(departure, streams=True)
    if answer is not None:
        return answer
    stream_class = _stream_classes()[0]
    stream = _method(client, request)(cast_to=object, stream=True, stream_cls=stream_class)
    departure.learn(stream.response)
    return cast("httpx2.Response", stream.response)


async def aopen_stream(client: openai.AsyncOpenAI, request: WireRequest) -> httpx2.Response:
    """Send a request and return its answer once the headers are there; see `open_stream`."""
    departure = depart(client, request)
    answer = await _atake_lane(departure, streams=True)
    if answer is not None:
        return answer
    stream_class = _stream_classes()[1]
    stream = await _method(client, request)(cast_to=object, stream=True, stream_cls=stream_class)
    departure.learn(stream.response)
    return cast("httpx2.Response", stream.response)


def _take_lane(departure: Departure, *, streams: bool = False) -> httpx2.Response | None:
    """Send a request the short way; None where the SDK has to send it."""
    lane, prepared = departure.lane, departure.prepared
    if lane is None or prepared is None:
        return None
    form = prepared.form
    try:
        answer = lane.transport.exchange(
            form.origin, prepared.head, prepared.body, prepared.timeouts
        )
        if lane.accepts(prepared, answer) and not answer.is_packed:
            if not streams:
                answer.read()
            return cast("httpx2.Response", answer)
        if lane.redirected:
            answer.close()
            return None
        response: httpx2.Response = answer.as_response(stream=body_stream()(answer))
        if response.is_error or not streams:
            timed(response, prepared).read()
    except transport_errors() as error:
        raise sdk_error(error, prepared) from error
    if response.is_error:
        raise departure.client._make_status_error_from_response(response)  # noqa: SLF001 - as the SDK does
    return response


async def _atake_lane(departure: Departure, *, streams: bool = False) -> httpx2.Response | None:
    """Send a request the short way; see `_take_lane`."""
    lane, prepared = departure.lane, departure.prepared
    if lane is None or prepared is None:
        return None
    form = prepared.form
    try:
        answer = await lane.transport.exchange(
            form.origin, prepared.head, prepared.body, prepared.timeouts
        )
        if lane.accepts(prepared, answer) and not answer.is_packed:
            if not streams:
                await answer.aread()
            return cast("httpx2.Response", answer)
        if lane.redirected:
            await answer.aclose()
            return None
        response: httpx2.Response = answer.as_response(stream=async_body_stream()(answer))
        if response.is_error or not streams:
            await timed(response, prepared).aread()
    except transport_errors() as error:
        raise sdk_error(error, prepared) from error
    if response.is_error:
        raise departure.client._make_status_error_from_response(response)  # noqa: SLF001 - as the SDK does
    return response


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
