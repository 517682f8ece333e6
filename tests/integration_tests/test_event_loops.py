"""One model serves any number of event loops, however they end, and leaves no socket behind."""

from __future__ import annotations

import asyncio
import gc
import warnings
from collections.abc import AsyncGenerator, Callable, Iterator
from typing import cast

import pytest
from langchain_core.messages import AIMessageChunk
from loopback import (
    Act,
    LoopbackServer,
    in_new_process,
    model_at,
    open_descriptors,
    stream_reply,
    text_events,
)

from langchain_tamma_openai import ChatTammaOpenAI

NewLoop = Callable[[], asyncio.AbstractEventLoop]


@pytest.fixture
def server() -> Iterator[LoopbackServer]:
    with LoopbackServer() as server:
        yield server


def _new_loops() -> list[NewLoop]:
    uvloop = pytest.importorskip("uvloop")
    return [asyncio.new_event_loop, uvloop.new_event_loop]


async def _stream(llm: ChatTammaOpenAI, text: str) -> str:
    return "".join([chunk.text async for chunk in llm.astream(text)])


async def _ask(llm: ChatTammaOpenAI, way: str, text: str) -> str:
    if way == "astream":
        return await _stream(llm, text)
    if way == "abatch":
        return (await llm.abatch([text]))[0].text
    return (await llm.ainvoke(text)).text


@pytest.mark.parametrize("ways", [["ainvoke"], ["astream"], ["ainvoke", "astream", "abatch"]])
def test_a_hundred_runs_in_sequence(server: LoopbackServer, ways: list[str]) -> None:
    llm = server.model()
    before = open_descriptors()
    for number in range(100):
        way = ways[number % len(ways)]
        assert asyncio.run(_ask(llm, way, f"q{number}")) == f"q{number}"
    gc.collect()
    assert len(server.requests) == server.connections == 100
    assert server.settles_at(0)
    assert open_descriptors() <= before


def test_calls_in_one_loop_share_a_connection(server: LoopbackServer) -> None:
    llm, other = server.model(), server.model(timeout=7)

    async def main() -> None:
        for model in (llm, other):
            await model.ainvoke("a")
            await _stream(model, "b c")
            await model.root_async_client.post("/chat/completions", cast_to=object, body=BODY)

    asyncio.run(main())
    assert (len(server.requests), server.connections) == (6, 1)


BODY = {"messages": [{"role": "user", "content": "x"}]}


def test_calls_at_the_same_time_get_their_own_answers(server: LoopbackServer) -> None:
    llm = server.model()

    async def main() -> list[str]:
        asks = [_ask(llm, ("ainvoke", "astream")[n % 2], f"q{n}") for n in range(40)]
        return await asyncio.gather(*asks)

    assert asyncio.run(main()) == [f"q{n}" for n in range(40)]
    assert len(server.requests) == 40
    assert server.settles_at(0)


def test_the_sdk_client_may_be_used_across_loops(server: LoopbackServer) -> None:
    client = server.model().root_async_client
    for _ in range(5):
        response = asyncio.run(client.chat.completions.create(**{**BODY, "model": "gpt-6-luna"}))
        assert response.choices[0].message.content == "x"
    assert server.settles_at(0)


def test_sync_calls_inside_and_between_loops(server: LoopbackServer) -> None:
    llm = server.model()

    async def main() -> str:
        return (await llm.ainvoke("a")).text + llm.invoke("b").text

    for _ in range(5):
        assert asyncio.run(main()) == "ab"
        assert llm.invoke("c").text == "c"
    assert server.connections == 6
    assert server.settles_at(1)


def test_loops_closed_without_being_shut_down(server: LoopbackServer) -> None:
    llm = server.model()
    before = open_descriptors()
    for number in range(10):
        loop = asyncio.new_event_loop()
        assert loop.run_until_complete(llm.ainvoke(f"q{number}")).text == f"q{number}"
        loop.close()
        del loop
        gc.collect()
    asyncio.run(llm.ainvoke("last"))
    gc.collect()
    assert server.settles_at(0)
    assert open_descriptors() <= before


def _abandon_forty_loops(url: str) -> int:
    warnings.simplefilter("ignore", ResourceWarning)  # asyncio's: the loops are not closed
    llm = model_at(url)
    before = open_descriptors()
    for _ in range(40):
        loop = asyncio.new_event_loop()
        loop.run_until_complete(llm.ainvoke("x"))
        del loop
    gc.collect()
    return open_descriptors() - before


def test_loops_that_nobody_closes_do_not_pile_up(server: LoopbackServer) -> None:
    assert in_new_process(_abandon_forty_loops, server.url) <= 10 * 4
    assert len(server.requests) == 40


@pytest.mark.filterwarnings("ignore:asynchronous generator:ResourceWarning")
def test_a_loop_may_go_on_after_its_generators_were_shut_down(server: LoopbackServer) -> None:
    llm = server.model()
    loop = asyncio.new_event_loop()
    for _ in range(3):
        assert loop.run_until_complete(llm.ainvoke("x")).text == "x"
        loop.run_until_complete(loop.shutdown_asyncgens())
    loop.close()
    asyncio.run(llm.ainvoke("x"))
    gc.collect()
    assert server.settles_at(0)


def test_uvloop(server: LoopbackServer) -> None:
    llm = server.model()
    for new_loop in _new_loops() * 3:
        with asyncio.Runner(loop_factory=new_loop) as runner:
            assert runner.run(llm.ainvoke("a")).text == "a"
            assert runner.run(_stream(llm, "b c")) == "bc"
    assert (len(server.requests), server.connections) == (12, 6)
    assert server.settles_at(0)


@pytest.mark.filterwarnings("ignore:unclosed resource:ResourceWarning")
def test_a_uvloop_closed_without_being_shut_down(server: LoopbackServer) -> None:
    llm = server.model()
    for _ in range(5):
        loop = _new_loops()[1]()
        assert loop.run_until_complete(llm.ainvoke("x")).text == "x"
        loop.close()
    assert server.settles_at(0)


def test_a_stream_left_open_as_the_loop_ends(server: LoopbackServer) -> None:
    server.script = lambda _request: stream_reply(*text_events("a b")[:2], Act.HOLD)
    llm = server.model()

    async def leave() -> AsyncGenerator[AIMessageChunk, None]:
        chunks = llm.astream("x")
        await anext(chunks)
        return cast("AsyncGenerator[AIMessageChunk, None]", chunks)

    async def leave_at_once() -> None:
        async for _ in llm.astream("x"):
            break

    for _ in range(5):
        left = asyncio.run(leave())
        asyncio.run(leave_at_once())
        del left
    gc.collect()
    assert server.settles_at(0)
    assert len(server.requests) == 10
