"""Connections of our own: used again, given up, limited, secured, and never mixed up."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import openai
import pytest
from loopback import environment
from raw_loopback import CLOSE, RawServer, by_kind, certificate, framed, plain, streamed
from test_short_way import WAYS, ask

from langchain_tamma_openai.errors import (
    ConnectionFailedError,
    RequestTimeoutError,
    StreamInterruptedError,
)
from langchain_tamma_openai.transport import connection as connection_module
from langchain_tamma_openai.transport import pools
from langchain_tamma_openai.transport.async_direct import AsyncDirectPool
from langchain_tamma_openai.transport.direct import DirectPool, Limits
from langchain_tamma_openai.transport.loops import Loops

every_way = pytest.mark.parametrize("way", WAYS)


@pytest.fixture
def server() -> Iterator[RawServer]:
    with RawServer() as server:
        yield server


@pytest.fixture(autouse=True)
def _fresh() -> Iterator[None]:
    pools.close_idle_connections()
    yield
    pools.close_idle_connections()


# --- used again ---


@every_way
def test_one_connection_for_calls_one_after_another(server: RawServer, way: str) -> None:
    assert ask(server.model(), way, 5) == ["hi"] * 5
    assert server.used == [1] * 5


@every_way
@pytest.mark.parametrize(
    "ending",
    [
        lambda answer: answer.replace(b"HTTP/1.1", b"HTTP/1.0", 1),
        lambda answer: answer.replace(b"\r\n", b"\r\nConnection: close\r\n", 1),
        lambda answer: answer + b"more",
        lambda answer: answer + CLOSE,
    ],
    ids=["1.0", "close", "more than was asked", "closed"],
)
def test_a_connection_that_cannot_be_used_again(
    server: RawServer, way: str, ending: Callable[[bytes], bytes]
) -> None:
    server.answer = lambda request: ending(by_kind(request))
    llm = server.model()
    for number in range(3):
        assert ask(llm, way) == ["hi"]
        time.sleep(0.02 if number else 0.05)
    assert server.used == [1, 2, 3]


@every_way
def test_an_answer_that_ends_with_its_connection(server: RawServer, way: str) -> None:
    def endless(request: bytes) -> bytes:
        head, _, body = by_kind(request).partition(b"\r\n\r\n")
        if b'"stream":true' in request:
            pieces = body.split(b"\r\n")
            body = b"".join(piece for piece in pieces if piece.startswith(b"data"))
            return b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n" + body + CLOSE
        return head.partition(b"content-length")[0] + b"\r\n" + body + CLOSE

    server.answer = endless
    assert ask(server.model(), way, 3) == ["hi"] * 3


@every_way
def test_a_connection_that_died_while_it_waited(server: RawServer, way: str) -> None:
    llm = server.model()

    if way in ("invoke", "stream"):
        ask(llm, way, 2)
        server.cut()
        assert ask(llm, way) == ["hi"]
    else:

        async def main() -> list[str]:
            first = await _aask(llm, way)
            second = await _aask(llm, way)
            server.cut()
            return [first, second, await _aask(llm, way)]

        assert asyncio.run(main()) == ["hi"] * 3
    assert server.used == [1, 1, 2]


async def _aask(llm: Any, way: str) -> str:
    if way == "ainvoke":
        return str((await llm.ainvoke("x")).text)
    return "".join([chunk.text async for chunk in llm.astream("x")])


def test_waiting_has_an_end(server: RawServer) -> None:
    pool, _ = _pools(Limits(10, 10, 0.0))
    origin = (*ORIGIN, server.port)
    for _ in range(2):
        pool.exchange(origin, HEAD, b"", {}).read()
    assert server.used == [1, 2]
    pool.close()


# --- broken ---


@every_way
@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (CLOSE, "Server disconnected without sending a response"),
        (b"HTTP/1.1 20" + CLOSE, "Server disconnected without sending a response"),
        (b"what is this\r\n\r\n" + CLOSE, "illegal status line"),
    ],
    ids=["nothing", "half a head", "nonsense"],
)
@pytest.mark.parametrize("calls_before", [0, 2])
def test_no_answer(
    server: RawServer, way: str, answer: bytes, words: str, calls_before: int
) -> None:
    llm = server.model()
    ask(llm, way, calls_before)
    server.answer = lambda _: answer
    with pytest.raises(ConnectionFailedError, match=words) as caught:
        ask(llm, way)
    assert isinstance(caught.value, openai.APIConnectionError)
    assert isinstance(caught.value.__cause__, openai.APIConnectionError)
    server.answer = by_kind
    assert ask(llm, way) == ["hi"]


@pytest.mark.parametrize("way", ["stream", "astream"])
@pytest.mark.parametrize("calls_before", [0, 2])
def test_half_a_stream(server: RawServer, way: str, calls_before: int) -> None:
    llm = server.model()
    ask(llm, way, calls_before)
    server.answer = lambda _: streamed("a b c")[:-300] + CLOSE
    with pytest.raises(StreamInterruptedError, match="incomplete chunked read") as caught:
        ask(llm, way)
    assert caught.value.partial is not None
    assert str(caught.value.partial.text).startswith("ab")


@pytest.mark.parametrize("way", ["invoke", "ainvoke"])
def test_half_an_answer(server: RawServer, way: str) -> None:
    llm = server.model()
    ask(llm, way, 2)
    server.answer = lambda _: plain()[:-10] + CLOSE
    with pytest.raises(ConnectionFailedError, match=r"received \d+ bytes, expected \d+"):
        ask(llm, way)


# --- timeouts ---


@every_way
@pytest.mark.parametrize("calls_before", [0, 2])
def test_a_server_that_says_nothing(server: RawServer, way: str, calls_before: int) -> None:
    llm = server.model(timeout=0.2)
    ask(llm, way, calls_before)
    server.answer = lambda _: b""
    with pytest.raises(RequestTimeoutError) as caught:
        ask(llm, way)
    cause = caught.value.__cause__
    assert isinstance(cause, openai.APITimeoutError)
    assert isinstance(cause.__cause__, httpx2.ReadTimeout)
    assert caught.value.request is not None
    server.answer = by_kind
    assert ask(llm, way) == ["hi"]


class _Deaf:
    """A server that accepts and never reads."""

    def __enter__(self) -> str:
        self._listener = socket.socket()
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self._listener.bind(("127.0.0.1", 0))
        self._listener.listen()
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}/v1"

    def __exit__(self, *_exc: object) -> None:
        self._listener.close()


@every_way
def test_a_server_that_does_not_read(server: RawServer, way: str) -> None:
    limits = openai.Timeout(5, write=0.2)
    with _Deaf() as url:
        llm = server.model(base_url=url, timeout=limits)
        with pytest.raises(RequestTimeoutError) as caught:
            ask(llm.bind(user="x" * 30_000_000), way)  # type: ignore[arg-type]
    cause = caught.value.__cause__
    assert cause is not None
    assert isinstance(cause.__cause__, httpx2.WriteTimeout)


@every_way
def test_a_server_that_does_not_accept(server: RawServer, way: str) -> None:
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        waiting = [socket.socket() for _ in range(3)]
        for sock in waiting:
            sock.settimeout(0.0)
            sock.connect_ex(full.getsockname())
        url = f"http://127.0.0.1:{full.getsockname()[1]}/v1"
        with pytest.raises(RequestTimeoutError) as caught:
            ask(server.model(base_url=url, timeout=openai.Timeout(5, connect=0.2)), way)
        for sock in waiting:
            sock.close()
    cause = caught.value.__cause__
    assert cause is not None
    assert isinstance(cause.__cause__, httpx2.ConnectTimeout)


@every_way
def test_a_name_that_nobody_knows(server: RawServer, way: str) -> None:
    with pytest.raises(ConnectionFailedError):
        ask(server.model(base_url="http://nobody.invalid/v1"), way)


# --- large requests and answers ---


@every_way
def test_an_answer_before_all_was_read(server: RawServer, way: str) -> None:
    """A server may refuse what is too large at its head."""
    llm = server.model(timeout=10)
    ask(llm, way, 2)
    error = b'{"error": {"message": "too large", "type": "invalid_request_error"}}'
    with _Refusing(framed(error, b"application/json", b"", b"413 Too Large")) as url:
        large = server.model(base_url=url, timeout=10)
        with pytest.raises((openai.APIStatusError, ConnectionFailedError)):
            ask(large.bind(user="x" * 10_000_000), way)  # type: ignore[arg-type]


class _Refusing:
    """A server that answers at the head and reads no further."""

    def __init__(self, answer: bytes) -> None:
        self._answer = answer

    def __enter__(self) -> str:
        self._listener = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self._serve, daemon=True).start()
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}/v1"

    def _serve(self) -> None:
        sock, _ = self._listener.accept()
        sock.recv(1000)
        sock.sendall(self._answer)
        sock.shutdown(socket.SHUT_WR)
        time.sleep(0.2)
        sock.close()

    def __exit__(self, *_exc: object) -> None:
        self._listener.close()


@every_way
def test_a_large_body_arrives_whole(server: RawServer, way: str) -> None:
    llm = server.model().bind(user="0123456789" * 300_000)
    assert ask(llm, way, 2) == ["hi", "hi"]  # type: ignore[arg-type]
    bodies = [raw.partition(b"\r\n\r\n")[2] for raw in server.raw]
    assert bodies[0] == bodies[1]
    assert b"0123456789" * 300_000 in bodies[1]


@every_way
def test_a_large_answer_arrives_whole(server: RawServer, way: str) -> None:
    text = " ".join(["word"] * 4_000) if "stream" in way else "word" * 500_000
    llm = server.model()
    server.answer = lambda _: streamed(text) if "stream" in way else plain(text)
    assert ask(llm, way, 2) == [text.replace(" ", "")] * 2
    assert server.used == [1, 1]


def test_a_slow_reader_holds_the_server_back(server: RawServer) -> None:
    """What nobody reads stays with the server, and is not piled up here."""
    sent: list[int] = []
    words = b"".join(
        b"%x\r\n%b\r\n" % (len(piece), piece) for piece in [b": " + b"x" * 60_000 + b"\n\n"] * 500
    )
    whole = streamed("a b")
    at = whole.index(b"\r\n", whole.index(b'"content": "a"')) + 2
    server.answer = lambda _: whole[:at] + words + whole[at:]
    del sent

    async def main() -> int:
        pieces = server.model().astream("x")
        await anext(pieces)
        await asyncio.sleep(0.3)
        loop_pools = await pools._loops.running()
        (pool,) = loop_pools._pools.values()
        (connection,) = pool.streams  # type: ignore[attr-defined]
        held = connection._waiting_bytes
        rest = "".join([chunk.text async for chunk in pieces])
        assert rest.endswith("b")
        return int(held)

    assert asyncio.run(main()) < 1_000_000


# --- given up ---


def test_a_cancelled_call_gives_its_connection_up(server: RawServer) -> None:
    llm = server.model()

    async def main() -> list[str]:
        await llm.ainvoke("x")
        await llm.ainvoke("x")
        server.answer = lambda _: b""
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(llm.ainvoke("x"), 0.1)
        server.answer = by_kind
        return [(await llm.ainvoke("x")).text, (await llm.ainvoke("x")).text]

    assert asyncio.run(main()) == ["hi", "hi"]
    assert server.used == [1, 1, 1, 2, 2]


@pytest.mark.parametrize("way", ["stream", "astream"])
def test_a_stream_that_is_left_gives_its_connection_up(server: RawServer, way: str) -> None:
    llm = server.model()
    text = " ".join(["word"] * 20_000)

    async def leave() -> None:
        chunks = llm.astream("x")
        assert (await anext(chunks)).text is not None
        await chunks.aclose()  # type: ignore[attr-defined]
        server.answer = by_kind
        assert await _aask(llm, "astream") == "hi"

    server.answer = lambda _: streamed(text)
    if way == "astream":
        asyncio.run(leave())
    else:
        chunks = llm.stream("x")
        next(chunks)
        chunks.close()  # type: ignore[attr-defined]
        server.answer = by_kind
        assert ask(llm, "stream") == ["hi"]
    assert server.used == [1, 2]


# --- limits ---


def _pools(limits: Limits) -> tuple[DirectPool, AsyncDirectPool]:
    def other() -> Any:
        return pools._sync_transport(pools.PoolKey())

    context = pools._own_ssl_context
    return DirectPool((), limits, context, other), AsyncDirectPool((), limits, context, other)


HEAD = b"POST /v1 HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\n\r\n"
ORIGIN = ("http", "127.0.0.1")


def test_threads_wait_for_a_connection(server: RawServer) -> None:
    pool, _ = _pools(Limits(2, 2, 5.0))
    origin = (*ORIGIN, server.port)
    held = [pool.exchange(origin, HEAD, b"", {}) for _ in range(2)]
    with pytest.raises(httpx2.PoolTimeout):
        pool.exchange(origin, HEAD, b"", {"pool": 0.05})
    threading.Timer(0.05, held[0].read).start()
    pool.exchange(origin, HEAD, b"", {"pool": 5}).read()
    held[1].close()
    assert server.used == [1, 2, 1]
    pool.exchange(origin, HEAD, b"", {"pool": 5}).read()
    pool.exchange(("http", "localhost", server.port), HEAD, b"", {"pool": 1}).read()
    pool.close()


def test_tasks_wait_for_a_connection(server: RawServer) -> None:
    origin = (*ORIGIN, server.port)

    async def main() -> None:
        _, pool = _pools(Limits(2, 2, 5.0))
        held = [await pool.exchange(origin, HEAD, b"", {}) for _ in range(2)]
        with pytest.raises(httpx2.PoolTimeout):
            await pool.exchange(origin, HEAD, b"", {"pool": 0.05})
        cancelled = asyncio.create_task(pool.exchange(origin, HEAD, b"", {}))
        waiting = [asyncio.create_task(pool.exchange(origin, HEAD, b"", {})) for _ in range(3)]
        await asyncio.sleep(0.02)
        await held[0].aread()
        cancelled.cancel()
        for number in range(3):
            done, _ = await asyncio.wait(waiting, timeout=5, return_when=asyncio.FIRST_COMPLETED)
            assert done, number
            for task in done:
                await task.result().aread()
                waiting.remove(task)
            if not waiting:
                break
        await held[1].aread()
        assert pool._open == 2
        await pool.aclose()
        assert pool._open == 0

    asyncio.run(main())
    assert server.connections == 2


def test_failures_leave_no_place_taken(server: RawServer) -> None:
    pool, _ = _pools(Limits(1, 1, 5.0))
    origin = (*ORIGIN, server.port)
    server.answer = lambda _: CLOSE
    for _ in range(3):
        with pytest.raises(httpx2.RemoteProtocolError):
            pool.exchange(origin, HEAD, b"", {"pool": 1})
    nowhere = _Deaf()
    with nowhere as url:
        port = int(url.split(":")[2].split("/")[0])
    for _ in range(3):
        with pytest.raises(httpx2.ConnectError):
            pool.exchange((*ORIGIN, port), HEAD, b"", {"pool": 1})
    server.answer = by_kind
    assert pool.exchange(origin, HEAD, b"", {"pool": 1}).read()
    pool.close()


def test_calls_at_once_get_a_connection_each(server: RawServer) -> None:
    llm = server.model()

    async def main() -> list[str]:
        for _ in range(2):
            answers = await asyncio.gather(*[llm.ainvoke("x") for _ in range(60)])
        return [answer.text for answer in answers]

    assert asyncio.run(main()) == ["hi"] * 60
    assert server.connections <= 61


def test_loops_beside_each_other(server: RawServer) -> None:
    llm = server.model()
    found: list[list[str]] = []
    threads = [
        threading.Thread(target=lambda: found.append(ask(llm, "ainvoke", 5))) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert found == [["hi"] * 5] * 4
    by_connection = {number: server.used.count(number) for number in set(server.used)}
    assert by_connection == dict.fromkeys(range(1, 5), 5)


# --- TLS ---


@pytest.fixture
def tls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[RawServer]:
    try:
        context, cert = certificate(tmp_path)
    except FileNotFoundError:
        pytest.skip("needs openssl")
    ours = ssl.create_default_context(cafile=str(cert))
    ours.set_alpn_protocols(["http/1.1"])
    monkeypatch.setattr(pools, "_threads", pools.ThreadPools(pools._sync_pool))
    monkeypatch.setattr(pools, "_loops", Loops(pools._async_pool))
    monkeypatch.setattr(pools, "_own_ssl_context", lambda: ours)
    with RawServer(context=context) as server:
        yield server
    pools._threads.close()


@every_way
def test_tls(tls: RawServer, way: str) -> None:
    llm = tls.model()
    text = " ".join(["word"] * 3000)
    assert ask(llm, way, 3) == ["hi"] * 3
    tls.answer = lambda _: streamed(text) if "stream" in way else plain(text)
    assert ask(llm, way) == [text.replace(" ", "") if "stream" in way else text]
    assert set(tls.used) == ({1} if way in ("invoke", "stream") else {1, 2})


@every_way
def test_a_certificate_that_nobody_vouches_for(
    tls: RawServer, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pools, "_own_ssl_context", ssl.create_default_context)
    with pytest.raises(ConnectionFailedError, match="CERTIFICATE_VERIFY_FAILED") as caught:
        ask(tls.model(), way)
    cause = caught.value.__cause__
    assert cause is not None
    assert isinstance(cause.__cause__, httpx2.ConnectError)


@every_way
def test_tls_with_a_server_that_does_not_speak_it(server: RawServer, way: str) -> None:
    url = server.url.replace("http:", "https:")
    server.answer = lambda _: b""
    limits = openai.Timeout(5, connect=0.3)
    with pytest.raises((ConnectionFailedError, RequestTimeoutError)):
        ask(server.model(base_url=url, timeout=limits), way)


# --- proxies, forks, the HTTP library ---


@every_way
def test_a_proxy(server: RawServer, way: str) -> None:
    with environment(HTTP_PROXY=server.url.removesuffix("/v1")):
        llm = server.model(base_url="http://api.example/v1")
        assert ask(llm, way, 3) == ["hi"] * 3
    assert all(raw.startswith(b"POST http://api.example/v1/chat") for raw in server.raw)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks")
def test_a_child_opens_its_own(server: RawServer) -> None:
    llm = server.model()
    ask(llm, "invoke", 2)
    child = os.fork()
    if not child:
        try:
            status = 0 if ask(llm, "invoke", 2) == ["hi"] * 2 else 1
        except BaseException:  # noqa: BLE001 - whatever it is, the child must end here
            status = 2
        os._exit(status)
    assert os.waitpid(child, 0)[1] == 0
    assert ask(llm, "invoke") == ["hi"]
    assert server.used == [1, 1, 2, 2, 1]


def test_calls_of_the_sdk_use_the_same_connections(server: RawServer) -> None:
    llm = server.model()
    ask(llm, "invoke")
    server.answer = lambda _: framed(b'{"object": "list", "data": []}', b"application/json")
    assert llm.root_client.models.list().data == []
    answer = llm.root_client.models.with_raw_response.list()
    assert answer.http_response.elapsed.total_seconds() > 0
    assert server.used == [1, 1, 1]


def test_an_upload_goes_through_the_http_library(server: RawServer) -> None:
    server.answer = lambda _: framed(b'{"id": "file-1", "object": "file"}', b"application/json")
    llm = server.model()
    uploaded = llm.root_client.files.create(file=("a.txt", b"hello"), purpose="assistants")
    assert uploaded.id == "file-1"
    assert b"hello" in server.raw[0]


def test_models_are_closed(server: RawServer) -> None:
    llm = server.model()
    ask(llm, "invoke", 2)
    llm.close()
    ask(llm, "invoke")

    async def main() -> None:
        async with server.model() as other:
            await other.ainvoke("x")
            await other.ainvoke("x")
            await other.aclose()
            await other.ainvoke("x")

    asyncio.run(main())
    assert server.used == [1, 1, 2, 3, 3, 4]


def test_a_socket_that_is_closed_is_readable() -> None:
    left, right = socket.socketpair()
    assert not connection_module.is_readable(left.fileno())
    right.close()
    assert connection_module.is_readable(left.fileno())
    left.close()
    assert connection_module.is_readable(left.fileno())
