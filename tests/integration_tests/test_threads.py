"""One model serves many threads, each with an event loop of its own, and sync calls beside them."""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from loopback import LoopbackServer, open_descriptors

from langchain_tamma_openai import ChatTammaOpenAI, get_usage_callback

THREADS = 8
ROUNDS = 4


@pytest.fixture
def server() -> Iterator[LoopbackServer]:
    with LoopbackServer() as server:
        yield server


async def _three_ways(llm: ChatTammaOpenAI, name: str) -> list[str]:
    plain = await llm.ainvoke(f"{name}-plain")
    streamed = "".join([chunk.text async for chunk in llm.astream(f"{name} streamed")])
    batch = await llm.abatch([f"{name}-batch-{n}" for n in range(3)])
    return [plain.text, streamed, *(answer.text for answer in batch)]


def _expected(name: str) -> list[str]:
    batch = [f"{name}-batch-{n}" for n in range(3)]
    return [f"{name}-plain", f"{name}streamed", *batch]


def _async_thread(llm: ChatTammaOpenAI, number: int) -> None:
    for round_ in range(ROUNDS):
        name = f"async{number}.{round_}"
        assert asyncio.run(_three_ways(llm, name)) == _expected(name)


def _sync_thread(llm: ChatTammaOpenAI, number: int) -> None:
    for round_ in range(ROUNDS):
        name = f"sync{number}.{round_}"
        batch = llm.batch([f"{name}-batch-{n}" for n in range(3)])
        streamed = "".join(chunk.text for chunk in llm.stream(f"{name} streamed"))
        answers = [llm.invoke(f"{name}-plain").text, streamed, *(a.text for a in batch)]
        assert answers == _expected(name)


def test_loops_and_sync_calls_in_many_threads(server: LoopbackServer) -> None:
    llm = server.model()
    llm.invoke("warm")
    before = open_descriptors()
    with ThreadPoolExecutor(2 * THREADS) as executor:
        tasks = [executor.submit(_async_thread, llm, n) for n in range(THREADS)]
        tasks += [executor.submit(_sync_thread, llm, n) for n in range(THREADS)]
    for task in tasks:
        task.result()
    gc.collect()
    assert len(server.requests) == 1 + 2 * THREADS * ROUNDS * 5
    assert len(set(server.texts)) == len(server.requests)
    # All loops have ended; what is open belongs to the threads' own pool and may be used again.
    assert server.sees(lambda: server.open_connections <= 3 * THREADS)
    assert open_descriptors() - before <= 2 * server.open_connections


def test_one_loop_for_many_calls_of_a_thread(server: LoopbackServer) -> None:
    llm = server.model()

    def work(number: int) -> None:
        with asyncio.Runner() as runner:
            for round_ in range(ROUNDS):
                text = f"{number}.{round_}"
                assert runner.run(llm.ainvoke(text)).text == text

    with ThreadPoolExecutor(THREADS) as executor:
        list(executor.map(work, range(THREADS)))
    assert len(server.requests) == THREADS * ROUNDS
    assert server.connections == THREADS
    assert server.settles_at(0)


def test_first_use_by_all_threads_at_once(server: LoopbackServer) -> None:
    llm = server.model()
    together = threading.Barrier(THREADS)

    def work(number: int) -> str:
        together.wait(10)
        return llm.invoke(f"{number}").text

    with ThreadPoolExecutor(THREADS) as executor:
        assert list(executor.map(work, range(THREADS))) == [f"{n}" for n in range(THREADS)]
    assert llm.root_client is llm.root_client
    assert len(server.requests) == THREADS


def test_usage_of_all_threads_is_counted_once(server: LoopbackServer) -> None:
    llm = server.model()
    with get_usage_callback() as usage:
        threads = [threading.Thread(target=_async_thread, args=(llm, n)) for n in range(THREADS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert usage.requests == len(server.requests) == THREADS * ROUNDS * 5
    assert usage.total_tokens == 5 * usage.requests
