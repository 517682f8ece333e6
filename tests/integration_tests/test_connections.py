"""How connections are made, and how long they may take: proxies and timeouts."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator

import openai
import pytest
from loopback import (
    Act,
    LoopbackServer,
    Reply,
    Request,
    completion,
    environment,
    json_reply,
    stream_reply,
    text_events,
)

from langchain_tamma_openai import ChatTammaOpenAI, RetryPolicy
from langchain_tamma_openai.errors import (
    ConfigurationError,
    ConnectionFailedError,
    RequestTimeoutError,
    StreamStalledError,
)

WAYS = ["invoke", "ainvoke", "stream", "astream"]


@pytest.fixture
def server() -> Iterator[LoopbackServer]:
    with LoopbackServer() as server:
        yield server


@pytest.fixture
def proxy() -> Iterator[LoopbackServer]:
    with LoopbackServer() as proxy:
        yield proxy


def _ask(llm: ChatTammaOpenAI, way: str, text: str = "x") -> str:
    if way == "invoke":
        return llm.invoke(text).text
    if way == "stream":
        return "".join(chunk.text for chunk in llm.stream(text))

    async def main() -> str:
        if way == "ainvoke":
            return (await llm.ainvoke(text)).text
        return "".join([chunk.text async for chunk in llm.astream(text)])

    return asyncio.run(main())


# --- proxies ---


@pytest.mark.parametrize("way", WAYS)
def test_a_proxy_that_is_given(server: LoopbackServer, proxy: LoopbackServer, way: str) -> None:
    llm = server.model(openai_proxy=proxy.origin)
    assert _ask(llm, way) == "x"
    assert server.requests == []
    assert proxy.requests[0].target == f"{server.url}/chat/completions"


@pytest.mark.parametrize("way", WAYS)
def test_a_proxy_of_the_environment(
    server: LoopbackServer, proxy: LoopbackServer, way: str
) -> None:
    with environment(HTTP_PROXY=proxy.origin, NO_PROXY="example.com"):
        assert _ask(server.model(), way) == "x"
    assert (len(server.requests), len(proxy.requests)) == (0, 1)
    with environment(HTTP_PROXY=proxy.origin, NO_PROXY="example.com, 127.0.0.1"):
        assert _ask(server.model(), way) == "x"
    assert (len(server.requests), len(proxy.requests)) == (1, 1)


@pytest.mark.parametrize("way", ["invoke", "ainvoke"])
def test_https_goes_through_a_tunnel(proxy: LoopbackServer, way: str) -> None:
    llm = proxy.model(base_url="https://api.example.invalid/v1", openai_proxy=proxy.origin)
    with pytest.raises(ConnectionFailedError):
        _ask(llm, way)
    assert [(r.method, r.target) for r in proxy.requests] == [
        ("CONNECT", "api.example.invalid:443")
    ]


def test_a_proxy_that_nobody_can_use(server: LoopbackServer) -> None:
    with environment(ALL_PROXY="ftp://proxy:1"), pytest.raises(ConfigurationError, match="ALL_PR"):
        server.model().invoke("x")


def test_models_with_and_without_a_proxy_side_by_side(
    server: LoopbackServer, proxy: LoopbackServer
) -> None:
    through, direct = server.model(openai_proxy=proxy.origin), server.model()
    for _ in range(3):
        assert through.invoke("a").text + direct.invoke("b").text == "ab"
    assert (proxy.texts, server.texts) == (["a"] * 3, ["b"] * 3)
    assert (proxy.connections, server.connections) == (1, 1)


# --- timeouts ---


def _closed_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


@pytest.mark.parametrize("way", WAYS)
def test_a_refused_connection(server: LoopbackServer, way: str) -> None:
    llm = server.model(base_url=f"http://127.0.0.1:{_closed_port()}/v1")
    with pytest.raises(ConnectionFailedError, match=r"refused|attempts failed") as caught:
        _ask(llm, way)
    assert isinstance(caught.value, openai.APIConnectionError)
    assert caught.value.retryable


def _late(_request: Request) -> Reply:
    return json_reply(completion("late"), delay_s=5)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("attempts", [1, 3])
def test_a_server_that_does_not_answer(server: LoopbackServer, way: str, attempts: int) -> None:
    server.script = _late
    llm = server.model(timeout=0.1, retry=RetryPolicy(attempts, base_delay_s=0.001))
    with pytest.raises(RequestTimeoutError) as caught:
        _ask(llm, way)
    assert isinstance(caught.value, openai.APITimeoutError)
    assert len(server.requests) == attempts
    assert server.settles_at(0)


@pytest.mark.parametrize("way", ["invoke", "ainvoke"])
@pytest.mark.parametrize("timeout", [0.1, (5, 0.1), openai.Timeout(5, read=0.1)])
def test_every_form_of_timeout(server: LoopbackServer, way: str, timeout: object) -> None:
    server.script = _late
    with pytest.raises(RequestTimeoutError):
        _ask(server.model(timeout=timeout), way)


@pytest.mark.parametrize("way", ["invoke", "ainvoke"])
def test_a_body_that_stalls(server: LoopbackServer, way: str) -> None:
    server.script = lambda _request: Reply([b'{"id": ', Act.HOLD])
    with pytest.raises(RequestTimeoutError):
        _ask(server.model(timeout=0.1), way)
    assert server.settles_at(0)


def test_a_timeout_of_one_call(server: LoopbackServer) -> None:
    server.script = _late
    with pytest.raises(RequestTimeoutError):
        server.model().invoke("x", timeout=0.1)


@pytest.mark.parametrize("way", ["stream", "astream"])
@pytest.mark.parametrize(
    "silence", [(Act.HOLD,), (0.05, b": ping\n\n") * 200], ids=["silence", "comments only"]
)
def test_a_stream_that_falls_silent(
    server: LoopbackServer, way: str, silence: tuple[bytes | float | Act, ...]
) -> None:
    server.script = lambda _request: stream_reply(*text_events("a b")[:2], *silence)
    with pytest.raises(StreamStalledError) as caught:
        _ask(server.model(stream_chunk_timeout=0.2), way)
    assert caught.value.partial is not None
    assert caught.value.partial.text == "a"
    assert len(server.requests) == 1
    assert server.settles_at(0)


@pytest.mark.parametrize("way", ["stream", "astream"])
def test_a_stream_may_take_longer_than_its_longest_silence(
    server: LoopbackServer, way: str
) -> None:
    steps = [step for event in text_events("a b c d") for step in (0.1, event)]
    server.script = lambda _request: stream_reply(*steps, b"data: [DONE]\n\n")
    assert _ask(server.model(stream_chunk_timeout=0.3), way) == "abcd"
