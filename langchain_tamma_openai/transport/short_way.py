"""Send what is prepared, and give what the SDK would have given; sync and async."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from langchain_tamma_openai.transport.async_direct import async_body_stream
from langchain_tamma_openai.transport.direct import body_stream
from langchain_tamma_openai.transport.http_library import transport_errors
from langchain_tamma_openai.transport.lanes import Departure, Prepared, sdk_error, timed

if TYPE_CHECKING:
    import httpx2


def take(departure: Departure, prepared: Prepared, *, streams: bool) -> httpx2.Response | None:
    """Send a request the short way.

    Args:
        departure: Whose short way.
        prepared: The request.
        streams: Whether the body is left to the caller.

    Returns:
        The answer; None where the server sends elsewhere, which the SDK follows.

    Raises:
        openai.OpenAIError: What the SDK raises for the status or the connection.
    """
    lane, form = departure.lane, prepared.form
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


async def atake(
    departure: Departure, prepared: Prepared, *, streams: bool
) -> httpx2.Response | None:
    """Send a request the short way; see `take`."""
    lane, form = departure.lane, prepared.form
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
