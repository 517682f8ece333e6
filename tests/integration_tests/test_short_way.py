"""Requests that do not go through the SDK: the same bytes, and every way back to the SDK."""

from __future__ import annotations

import asyncio
import gzip
import logging
from collections.abc import Callable, Iterator
from typing import Any

import httpx2
import openai
import pytest
from raw_loopback import CLOSE, RawServer, by_kind, framed, plain, streamed

from langchain_tamma_openai import ChatTammaOpenAI
from langchain_tamma_openai.errors import (
    AuthenticationError,
    ConfigurationError,
    InvalidParameterError,
    RateLimitError,
)
from langchain_tamma_openai.transport import lanes

WAYS = ["invoke", "ainvoke", "stream", "astream"]
every_way = pytest.mark.parametrize("way", WAYS)
Message = list[dict[str, str]]
QUESTION: Message = [{"role": "user", "content": "x"}]


@pytest.fixture
def server() -> Iterator[RawServer]:
    with RawServer() as server:
        yield server


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Note each request that is made ready the short way."""
    taken: list[str] = []
    filled = lanes.Lane._filled

    def noting(lane: lanes.Lane, form: lanes.Form, request: Any) -> lanes.Prepared:
        taken.append(form.method)
        return filled(lane, form, request)

    monkeypatch.setattr(lanes.Lane, "_filled", noting)
    return taken


def ask(llm: ChatTammaOpenAI, way: str, times: int = 1, **options: Any) -> list[str]:
    """Call a model some times, async ways in one event loop."""
    if way == "invoke":
        return [llm.invoke("x", **options).text for _ in range(times)]
    if way == "stream":
        return ["".join(c.text for c in llm.stream("x", **options)) for _ in range(times)]

    async def main() -> list[str]:
        if way == "ainvoke":
            return [(await llm.ainvoke("x", **options)).text for _ in range(times)]
        return [
            "".join([chunk.text async for chunk in llm.astream("x", **options)])
            for _ in range(times)
        ]

    return asyncio.run(main())


def by_the_sdk(server: RawServer, way: str, body: dict[str, Any], **client: Any) -> bytes:
    """What the SDK itself sends with an HTTP client of its own."""
    given = {"api_key": "sk-test", "base_url": server.url, "max_retries": 0, **client}
    options = {"extra_headers": {"X-Trace": "100 %"}, "extra_query": {"a": "b c"}, "timeout": 7}

    async def main() -> None:
        async with openai.AsyncOpenAI(**given) as sdk:
            await sdk.post("/chat/completions", body=body, cast_to=httpx2.Response, options=form)

    form: Any = {
        "headers": options["extra_headers"],
        "params": options["extra_query"],
        "timeout": options["timeout"],
    }
    if way in ("ainvoke", "astream"):
        asyncio.run(main())
    else:
        with openai.OpenAI(**given) as sdk:
            sdk.post("/chat/completions", body=body, cast_to=httpx2.Response, options=form)
    return server.raw[-1]


# --- the same bytes ---


@every_way
def test_the_bytes_are_those_of_the_sdk(server: RawServer, short: list[str], way: str) -> None:
    headers = {"X-Team": "a", "OpenAI-Beta": "b=1"}
    llm = server.model(default_headers=headers, organization="org", default_query={"q": "1"})
    options = {"extra_headers": {"X-Trace": "100 %"}, "extra_query": {"a": "b c"}, "timeout": 7}
    ask(llm, way, 3, **options)
    assert len(short) == 2
    body = {"model": "gpt-6-luna", "stream": "stream" in way, "messages": []}
    expected = by_the_sdk(
        server, way, body, default_headers=headers, organization="org", default_query={"q": "1"}
    )
    heads = [raw.partition(b"\r\n\r\n")[0].split(b"\r\n") for raw in server.raw]
    lengths = [[line for line in head if line.lower().startswith(b"content-le")] for head in heads]
    assert all(len(found) == 1 for found in lengths)
    same = [
        [line for line in head if line not in found]
        for head, found in zip(heads, lengths, strict=True)
    ]
    assert same == [same[-1]] * 4
    assert expected == server.raw[-1]
    assert b"x-stainless-read-timeout: 7" in heads[1]
    assert server.raw[0] == server.raw[1] == server.raw[2]


@every_way
def test_a_body_of_another_length(server: RawServer, short: list[str], way: str) -> None:
    llm = server.model()
    ask(llm, way)
    ask(llm.bind(user="ünïcode", extra_body={"top_k": 3}), way)  # type: ignore[arg-type]
    assert len(short) == 1
    head, _, body = server.raw[-1].partition(b"\r\n\r\n")
    assert "ünïcode".encode() in body
    assert b'"top_k":3' in body
    assert b"content-length: %d" % len(body) in head.lower()


def test_a_limit_of_each_call(server: RawServer, short: list[str]) -> None:
    llm = server.model()
    for timeout in (5, 6.5, openai.Timeout(9, read=3.25)):
        llm.invoke("x", timeout=timeout)
    found = [raw.split(b"read-timeout: ")[1].split(b"\r\n")[0] for raw in server.raw]
    assert found == [b"5", b"6.5", b"3.25"]
    assert len(short) == 2


def test_a_deadline(server: RawServer, short: list[str]) -> None:
    llm = server.model(total_timeout_s=20)
    assert ask(llm, "invoke", 2) + ask(llm, "stream", 2) + ask(llm, "ainvoke", 2) == ["hi"] * 6
    assert len(short) == 4  # plain calls and streams are of one kind


# --- what changes it ---


def _new_key(llm: ChatTammaOpenAI) -> None:
    llm.root_client.api_key = "sk-new"


def _new_header(llm: ChatTammaOpenAI) -> None:
    llm.root_client._custom_headers["Authorization"] = "Bearer sk-new"


def _new_http_header(llm: ChatTammaOpenAI) -> None:
    llm.root_client._client.headers["X-New"] = "sk-new"


@pytest.mark.parametrize("change", [_new_key, _new_header, _new_http_header])
def test_a_client_that_is_changed(
    server: RawServer, short: list[str], change: Callable[[ChatTammaOpenAI], None]
) -> None:
    llm = server.model(default_headers={"X-Old": "1"})
    ask(llm, "invoke", 2)
    change(llm)
    ask(llm, "invoke", 2)
    assert [b"sk-new" in raw for raw in server.raw] == [False, False, True, True]
    assert len(short) == 2


def test_a_key_that_is_asked_for(server: RawServer, short: list[str]) -> None:
    keys = iter(["sk-1", "sk-2", "sk-3"])
    llm = server.model(api_key=lambda: next(keys))
    ask(llm, "invoke", 3)
    assert [f"Bearer sk-{n}".encode() in raw for n, raw in enumerate(server.raw, 1)] == [True] * 3
    assert short == []


def test_a_client_of_the_users_own(server: RawServer, short: list[str]) -> None:
    with httpx2.Client(headers={"X-Mine": "1"}) as http:
        ask(server.model(http_client=http), "invoke", 3)
    assert all(b"X-Mine: 1" in raw for raw in server.raw)
    assert short == []


def test_hooks(server: RawServer, short: list[str]) -> None:
    seen: list[object] = []
    llm = server.model()
    ask(llm, "invoke", 2)
    llm.root_client._client.event_hooks = {"request": [seen.append], "response": []}
    ask(llm, "invoke", 2)
    assert len(seen) == 2
    assert len(short) == 1


@pytest.mark.parametrize(
    ("owner", "name"),
    [
        (httpx2.Client, "send"),
        (httpx2.HTTPTransport, "handle_request"),
        (openai.OpenAI, "_prepare_options"),
    ],
)
def test_somebodys_function_in_the_place_of_the_libraries(
    server: RawServer,
    short: list[str],
    monkeypatch: pytest.MonkeyPatch,
    owner: type,
    name: str,
) -> None:
    llm = server.model()
    ask(llm, "invoke", 2)
    calls: list[object] = []
    original = getattr(owner, name)

    def recording(*args: Any, **kwargs: Any) -> Any:
        calls.append(args)
        return original(*args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(owner, name, recording)
        ask(llm, "invoke", 2)
    assert len(calls) == 2
    ask(llm, "invoke")
    assert len(short) == 2


@pytest.mark.parametrize("logger", ["openai._base_client", "httpcore2.http11"])
def test_details_are_logged_by_the_libraries(
    server: RawServer, short: list[str], caplog: pytest.LogCaptureFixture, logger: str
) -> None:
    llm = server.model()
    ask(llm, "invoke", 2)
    with caplog.at_level(logging.DEBUG, logger):
        ask(llm, "invoke")
    assert len(short) == 1


@every_way
def test_a_request_is_logged_as_by_the_http_library(
    server: RawServer, short: list[str], caplog: pytest.LogCaptureFixture, way: str
) -> None:
    with caplog.at_level(logging.INFO, "httpx2"):
        ask(server.model(), way, 2)
    first, second = [record for record in caplog.records if record.name == "httpx2"]
    assert first.getMessage() == second.getMessage()
    assert "/v1/chat/completions" in first.getMessage()
    assert len(short) == 1


# --- what comes back ---


@every_way
def test_errors(server: RawServer, short: list[str], way: str) -> None:
    llm = server.model()
    ask(llm, way)
    body = b'{"error": {"message": "slow down", "type": "requests", "code": "rate_limit_exceeded"}}'
    extra = b"x-request-id: req_9\r\nretry-after: 3\r\n"
    server.answer = lambda _: framed(body, b"application/json", extra, b"429 Too Many")
    with pytest.raises(RateLimitError, match="slow down") as caught:
        ask(llm, way)
    error = caught.value
    assert isinstance(error, openai.RateLimitError)
    assert (error.status_code, error.request_id, error.retry_after_s) == (429, "req_9", 3)
    assert error.response.json()["error"]["message"] == "slow down"
    assert error.response.elapsed.total_seconds() > 0
    assert error.response.http_version == "HTTP/1.1"
    assert error.response.reason_phrase == "Too Many"
    assert error.request.headers["authorization"] == "Bearer sk-test"
    assert error.request.url == f"{server.url}/chat/completions"
    assert error.request.content == server.raw[-1].partition(b"\r\n\r\n")[2]
    assert len(short) == 1


@every_way
def test_a_redirect_is_followed_by_the_sdk(server: RawServer, short: list[str], way: str) -> None:
    llm = server.model()
    ask(llm, way)

    def elsewhere(request: bytes) -> bytes:
        if request.startswith(b"POST /v2"):
            return by_kind(request)
        return b"HTTP/1.1 307 Go\r\nlocation: /v2/chat/completions\r\ncontent-length: 0\r\n\r\n"

    server.answer = elsewhere
    assert ask(llm, way, 2) == ["hi", "hi"]
    assert len(short) == 1


@every_way
def test_a_packed_answer(server: RawServer, short: list[str], way: str) -> None:
    llm = server.model()
    ask(llm, way)

    def packed(request: bytes) -> bytes:
        events = b"".join(
            piece for piece in streamed("hi").split(b"\r\n") if piece.startswith(b"data")
        )
        if b'"stream":true' not in request:
            body, kind = plain().partition(b"\r\n\r\n")[2], b"application/json"
        else:
            body, kind = events, b"text/event-stream"
        return framed(gzip.compress(body), kind, b"content-encoding: gzip\r\n")

    server.answer = packed
    assert ask(llm, way, 2) == ["hi", "hi"]
    assert len(short) == 2


@every_way
def test_cookies(server: RawServer, short: list[str], way: str) -> None:
    llm = server.model()
    ask(llm, way)
    server.answer = lambda request: by_kind(request).replace(
        b"\r\n", b"\r\nset-cookie: a=1; path=/\r\nset-cookie: b=2; max-age=1000\r\n", 1
    )
    ask(llm, way)
    server.answer = by_kind
    ask(llm, way, 2)
    found = [raw.partition(b"Cookie: ")[2].partition(b"\r\n")[0] for raw in server.raw]
    assert found[:2] == [b"", b""]
    assert {frozenset(line.split(b"; ")) for line in found[2:]} == {frozenset([b"a=1", b"b=2"])}
    assert len(short) == 3
    client = llm.root_client if way in ("invoke", "stream") else llm.root_async_client
    assert dict(client._client.cookies) == {"a": "1", "b": "2"}


@every_way
def test_a_header_that_cannot_be_sent(server: RawServer, way: str) -> None:
    with pytest.raises(ConfigurationError, match="Illegal header value"):
        ask(server.model(), way, extra_headers={"X-Bad": "a\r\nX-Injected: 1"})
    assert server.requests == []


@every_way
def test_headers_of_an_answer(server: RawServer, short: list[str], way: str) -> None:
    llm = server.model(include_response_headers=True)
    server.answer = lambda request: by_kind(request).replace(
        b"\r\n", b"\r\nX-Twice: 1\r\nx-twice: 2\r\nX-One: \xc3\xbc\r\n", 1
    )
    seen = []
    for _ in range(2):
        if way == "invoke":
            seen.append(llm.invoke("x").response_metadata["headers"])
        elif way == "ainvoke":
            seen.append(asyncio.run(llm.ainvoke("x")).response_metadata["headers"])
        elif way == "stream":
            seen.append(next(iter(llm.stream("x"))).response_metadata["headers"])
        else:

            async def first() -> Any:
                chunks = [chunk async for chunk in llm.astream("x")]
                return chunks[0].response_metadata["headers"]

            seen.append(asyncio.run(first()))
    assert seen[0] == seen[1]
    assert (seen[1]["x-twice"], seen[1]["x-one"]) == ("1, 2", "ü")
    assert len(short) == 1


@every_way
def test_a_body_that_cannot_be_written(server: RawServer, way: str) -> None:
    llm = server.model()
    ask(llm, way)
    with pytest.raises(InvalidParameterError, match="logit_bias"):
        ask(llm, way, logit_bias={"a": object()})
    assert len(server.requests) == 1


def test_a_key_that_is_refused(server: RawServer, short: list[str]) -> None:
    llm = server.model()
    ask(llm, "invoke")
    server.answer = lambda _: (
        framed(b"{}", b"application/json", b"connection: close\r\n", b"401 No") + CLOSE
    )
    with pytest.raises(AuthenticationError):
        ask(llm, "invoke")
    server.answer = by_kind
    assert ask(llm, "invoke") == ["hi"]
    assert len(short) == 2


def test_parallel_threads_share_a_form(server: RawServer) -> None:
    llm = server.model()
    assert [answer.text for answer in llm.batch(["x"] * 40)] == ["hi"] * 40
    assert len({raw.partition(b"\r\n\r\n")[0] for raw in server.raw}) == 1
