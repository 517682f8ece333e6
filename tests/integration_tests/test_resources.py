"""What calls, models and streams hold, and when they let it go: sockets, memory, hooks."""

from __future__ import annotations

import asyncio
import gc
import sys
import time
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import httpx2
import pytest
from langchain_core.tracers.context import _configure_hooks
from loopback import (
    DONE,
    Act,
    LoopbackServer,
    Step,
    in_new_process,
    model_at,
    open_descriptors,
    resident_mb,
    stream_reply,
    text_events,
)

from langchain_tamma_openai import ChatTammaOpenAI, get_usage_callback

MOST_DESCRIPTORS = 20
MOST_MB = 20.0


@pytest.fixture
def server() -> Iterator[LoopbackServer]:
    with LoopbackServer() as server:
        yield server


# --- many models ---


def _thousand_models(origin: str) -> tuple[int, int, float]:
    """Use a thousand models once sync and once async; return what that took beyond the first."""

    def make(number: int) -> ChatTammaOpenAI:
        headers = {"X-Number": f"{number}"}
        return model_at(f"{origin}/{number}/v1", timeout=5 + number / 10, default_headers=headers)

    async def ask_all(models: list[ChatTammaOpenAI]) -> int:
        for model in models:
            await model.ainvoke("async")
        return open_descriptors()

    first = make(0)
    first.invoke("sync")
    asyncio.run(ask_all([first]))
    gc.collect()
    descriptors, mb = open_descriptors(), resident_mb()
    models = [make(number) for number in range(1, 1001)]
    for model in models:
        model.invoke("sync")
    within = asyncio.run(ask_all(models))
    gc.collect()
    return within - descriptors, open_descriptors() - descriptors, resident_mb() - mb


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_thousand_models(server: LoopbackServer) -> None:
    within, after, mb = in_new_process(_thousand_models, server.origin)
    assert within <= MOST_DESCRIPTORS
    assert after <= 1
    assert mb <= MOST_MB
    assert len(server.requests) == 2 * 1001
    assert {request.headers["x-number"] for request in server.requests} == {
        f"{n}" for n in range(1001)
    }
    assert server.connections <= 4


def test_a_model_is_collected_when_nobody_keeps_it(server: LoopbackServer) -> None:
    for _ in range(3):
        llm = server.model()
        llm.invoke("x")
        asyncio.run(llm.ainvoke("x"))
    del llm
    gc.collect()
    assert not [o for o in gc.get_objects() if type(o) is ChatTammaOpenAI and o.max_retries == 0]


def test_ten_thousand_usage_callbacks_leave_no_hook() -> None:
    with get_usage_callback():
        before = len(_configure_hooks)
    for _ in range(10_000):
        with get_usage_callback():
            pass
    assert len(_configure_hooks) == before


# --- streams and their connections ---

Consume = Callable[[ChatTammaOpenAI], None]


def _run(main: Callable[[ChatTammaOpenAI], Coroutine[Any, Any, None]]) -> Consume:
    return lambda llm: asyncio.run(main(llm))


def _close_early(llm: ChatTammaOpenAI) -> None:
    chunks = llm.stream("x")
    next(chunks)
    chunks.close()  # type: ignore[attr-defined]  # a generator


def _break_early(llm: ChatTammaOpenAI) -> None:
    for _ in llm.stream("x"):
        break


async def _aclose_early(llm: ChatTammaOpenAI) -> None:
    chunks = llm.astream("x")
    await anext(chunks)
    await chunks.aclose()  # type: ignore[attr-defined]  # a generator


async def _abreak_early(llm: ChatTammaOpenAI) -> None:
    async for _ in llm.astream("x"):
        break


async def _cancel_stream(llm: ChatTammaOpenAI) -> None:
    async def consume() -> None:
        async for _ in llm.astream("x"):
            begun.set()

    begun = asyncio.Event()
    task = asyncio.create_task(consume())
    await asyncio.wait_for(begun.wait(), 5)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def _cancel_in_time(llm: ChatTammaOpenAI) -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2):
            await llm.ainvoke("x")


EARLY_ENDS: dict[str, Consume] = {
    "close": _close_early,
    "break": _break_early,
    "aclose": _run(_aclose_early),
    "break in astream": _run(_abreak_early),
    "cancelled astream": _run(_cancel_stream),
    "cancelled ainvoke": _run(_cancel_in_time),
}


@pytest.mark.parametrize("leave", EARLY_ENDS.values(), ids=EARLY_ENDS)
def test_leaving_early_closes_the_connection(server: LoopbackServer, leave: Consume) -> None:
    idle = server.open_connections
    server.script = lambda _request: stream_reply(*text_events("a b")[:2], Act.HOLD)
    leave(server.model())
    assert len(server.requests) == 1
    assert server.settles_at(idle)


async def _aclose_within_a_loop(llm: ChatTammaOpenAI, server: LoopbackServer) -> bool:
    await _aclose_early(llm)
    await _cancel_stream(llm)
    return await asyncio.to_thread(server.settles_at, 0)


def test_the_connection_is_closed_before_the_loop_ends(server: LoopbackServer) -> None:
    server.script = lambda _request: stream_reply(*text_events("a b")[:2], Act.HOLD)
    assert asyncio.run(_aclose_within_a_loop(server.model(), server))


STREAMS = ["stream", "astream"]


def _texts(llm: ChatTammaOpenAI, way: str, times: int) -> list[str]:
    if way == "stream":
        return ["".join(chunk.text for chunk in llm.stream("x")) for _ in range(times)]

    async def main() -> list[str]:
        return ["".join([chunk.text async for chunk in llm.astream("x")]) for _ in range(times)]

    return asyncio.run(main())


@pytest.mark.parametrize("way", STREAMS)
@pytest.mark.parametrize(
    "end", [(DONE,), (DONE, 0.05), (DONE, b": bye\n\n")], ids=["at once", "a little later", "word"]
)
def test_a_whole_stream_leaves_its_connection_usable(
    server: LoopbackServer, way: str, end: tuple[Step, ...]
) -> None:
    server.script = lambda _request: stream_reply(*text_events("a b"), *end)
    assert _texts(server.model(), way, 4) == ["ab"] * 4
    assert (len(server.requests), server.connections) == (4, 1)


@pytest.mark.parametrize("way", STREAMS)
@pytest.mark.parametrize("pause", [(Act.HOLD,), (b": still here\n\n", 0.02) * 500])
def test_a_server_that_stays_after_the_end_holds_nobody_up(
    server: LoopbackServer, way: str, pause: tuple[Step, ...]
) -> None:
    server.script = lambda _request: stream_reply(*text_events("a b"), DONE, *pause)
    # With the 600 s of the default timeout a wait for the server would not end within the test.
    assert _texts(server.model(stream_chunk_timeout=None), way, 2) == ["ab"] * 2
    assert server.connections == 2
    assert server.settles_at(0)


def test_the_last_chunk_comes_before_the_connection_ends(server: LoopbackServer) -> None:
    server.script = lambda _request: stream_reply(*text_events("a b"), DONE, Act.HOLD)
    chunks = server.model().stream("x")
    last = next(chunk for chunk in chunks if chunk.chunk_position == "last")
    assert server.open_connections == 1
    assert last.response_metadata["cost"]["total_usd"] is not None
    assert list(chunks) == []
    assert server.settles_at(0)


def test_a_dropped_connection_is_not_used_again(server: LoopbackServer) -> None:
    def drop(_request: object) -> Any:
        return stream_reply(*text_events("a b")[:2], Act.DROP)

    llm = server.model()
    echo, server.script = server.script, drop
    with pytest.raises(Exception, match=r"broke off|Connection|peer"):
        list(llm.stream("x"))
    server.script = echo
    assert llm.invoke("y").text == "y"
    assert server.connections == 2


def test_an_idle_connection_that_the_server_closed_is_not_used_again() -> None:
    with LoopbackServer() as server:
        llm = server.model()
        llm.invoke("x")
        port = server.port
    with pytest.raises(Exception, match="Connection"):
        llm.invoke("y")
    assert port == server.port


# --- clients of the user's own ---


def test_own_clients_are_used_and_stay_open(server: LoopbackServer) -> None:
    sync_client = httpx2.Client(headers={"x-own": "sync"})
    async_client = httpx2.AsyncClient(headers={"x-own": "async"})
    llm = server.model(http_client=sync_client, http_async_client=async_client)

    async def main() -> None:
        await llm.ainvoke("b")
        assert [chunk async for chunk in llm.astream("c d")]
        assert not async_client.is_closed
        await async_client.aclose()

    llm.invoke("a")
    assert list(llm.stream("a b"))
    asyncio.run(main())
    assert [request.headers["x-own"] for request in server.requests] == [
        *["sync"] * 2,
        *["async"] * 2,
    ]
    assert not sync_client.is_closed
    sync_client.close()
    assert server.settles_at(0)


def test_closing_our_own_client_closes_nothing_shared(server: LoopbackServer) -> None:
    llm = server.model()
    llm.invoke("x")
    llm.root_client.close()
    assert server.model().invoke("y").text == "y"
    assert server.connections == 1


def test_a_slow_reader_loses_nothing(server: LoopbackServer) -> None:
    llm = server.model(stream_chunk_timeout=0.2)
    texts = []
    for chunk in llm.stream("a b c"):
        time.sleep(0.1)
        texts.append(chunk.text)
    assert "".join(texts) == "abc"
