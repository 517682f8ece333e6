"""From a payload to one HTTP request, through the real SDK client."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import httpx2
import openai
import pytest
from mock_api import MockAPI, completion, is_closed, sse, stream_reply, text_events

from langchain_tamma_openai.transport.send import (
    WireRequest,
    aopen_stream,
    asend,
    open_stream,
    send,
)

PATH = "/chat/completions"
Send = Callable[[MockAPI, WireRequest], httpx2.Response]


def _send(api: MockAPI, request: WireRequest) -> httpx2.Response:
    return send(api.tamma().root_client, request)


def _asend(api: MockAPI, request: WireRequest) -> httpx2.Response:
    return asyncio.run(asend(api.tamma().root_async_client, request))


def _open(api: MockAPI, request: WireRequest) -> httpx2.Response:
    response = open_stream(api.tamma().root_client, request)
    response.read()
    return response


def _aopen(api: MockAPI, request: WireRequest) -> httpx2.Response:
    async def main() -> httpx2.Response:
        response = await aopen_stream(api.tamma().root_async_client, request)
        await response.aread()
        return response

    return asyncio.run(main())


every_way = pytest.mark.parametrize("way", [_send, _asend, _open, _aopen])


@every_way
def test_body_headers_and_query(way: Send) -> None:
    api = MockAPI(completion())
    payload = {
        "model": "gpt-6-luna",
        "messages": [],
        "extra_headers": {"X-Trace": "1"},
        "extra_query": {"q": "2"},
        "extra_body": {"top_k": 3},
        "timeout": (1, 2),
    }
    response = way(api, WireRequest.from_payload(PATH, payload))
    assert response.json() == completion()
    request = api.requests[0]
    assert api.bodies == [{"model": "gpt-6-luna", "messages": [], "top_k": 3}]
    assert request.headers["x-trace"] == "1"
    assert dict(request.url.params) == {"q": "2"}
    assert request.extensions["timeout"] == {"connect": 1, "read": 2, "write": 2, "pool": 1}


def test_a_payload_is_not_changed() -> None:
    payload = {"model": "m", "timeout": 3, "extra_headers": None}
    request = WireRequest.from_payload(PATH, payload)
    assert payload == {"model": "m", "timeout": 3, "extra_headers": None}
    assert request.body == {"model": "m"}
    assert request.options == {"max_retries": 0, "timeout": 3}


@every_way
def test_a_get(way: Send) -> None:
    api = MockAPI({"id": "resp_1"})
    way(api, WireRequest("/responses/resp_1", {}, {"max_retries": 0}, "get"))
    assert (api.requests[0].method, api.requests[0].url.path) == ("GET", "/v1/responses/resp_1")
    assert api.requests[0].content == b""


@every_way
@pytest.mark.parametrize(
    ("status", "error"),
    [(401, openai.AuthenticationError), (429, openai.RateLimitError), (500, openai.APIError)],
)
def test_the_sdk_raises_its_error_once(way: Send, status: int, error: type[Exception]) -> None:
    api = MockAPI(httpx2.Response(status, json={"error": {"message": "no"}}))
    with pytest.raises(error):
        way(api, WireRequest.from_payload(PATH, {"model": "m"}))
    assert len(api.requests) == 1


@every_way
def test_a_broken_connection_is_tried_once(way: Send) -> None:
    api = MockAPI(httpx2.ConnectError("refused"))
    with pytest.raises(openai.APIConnectionError):
        way(api, WireRequest.from_payload(PATH, {"model": "m"}))
    assert len(api.requests) == 1


def test_a_stream_is_handed_over_unread() -> None:
    api = MockAPI(stream_reply(sse(text_events("ab"))))
    request: WireRequest = WireRequest.from_payload(PATH, {"model": "m", "stream": True})
    response: Any = open_stream(api.tamma().root_client, request)
    assert not response.is_stream_consumed
    assert not is_closed(response)
    assert b"".join(response.iter_raw()) == sse(text_events("ab"))
    assert is_closed(response)
