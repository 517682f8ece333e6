"""A model that was used before a fork works in parent and child, and they share no connection."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import pickle
import sys
from collections.abc import Callable, Iterator

import pytest
from loopback import Act, LoopbackServer, Reply, Request, echo, stream_reply, text_events

from langchain_tamma_openai import ChatTammaOpenAI

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this platform"),
    # Python 3.12 and later warn of forks while threads run; the server has one.
    pytest.mark.filterwarnings("ignore:.*use of fork:DeprecationWarning"),
]


@pytest.fixture
def server() -> Iterator[LoopbackServer]:
    with LoopbackServer() as server:
        yield server


def _in_fork(work: Callable[[], object]) -> Callable[[], int]:
    """Run something in a forked child; the result waits for it and gives its exit code."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            work()
            code = 0
        finally:
            os._exit(code)
    return lambda: os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def _ask(llm: ChatTammaOpenAI, name: str, times: int = 5) -> None:
    async def main() -> list[str]:
        answers = [await llm.ainvoke(f"{name}-async-{n}") for n in range(times)]
        return [answer.text for answer in answers]

    assert [llm.invoke(f"{name}-{n}").text for n in range(times)] == [
        f"{name}-{n}" for n in range(times)
    ]
    assert asyncio.run(main()) == [f"{name}-async-{n}" for n in range(times)]


def _clients_of(server: LoopbackServer, name: str) -> set[int]:
    return {request.connection for request in server.requests if request.text.startswith(name)}


def test_parent_and_children_at_the_same_time(server: LoopbackServer) -> None:
    llm = server.model()
    _ask(llm, "before")
    children = [_in_fork(lambda name=f"child{n}": _ask(llm, name)) for n in range(3)]  # type: ignore[misc]
    _ask(llm, "parent")
    assert [child() for child in children] == [0, 0, 0]
    assert len(server.requests) == 5 * 10
    users = [_clients_of(server, name) for name in ("parent", "child0", "child1", "child2")]
    assert len(set().union(*users)) == sum(map(len, users))
    assert _clients_of(server, "before") & _clients_of(server, "parent")


def test_fork_while_a_loop_runs(server: LoopbackServer) -> None:
    llm = server.model()

    async def main() -> int:
        await llm.ainvoke("before")
        child = _in_fork(lambda: llm.invoke("child"))
        parent = await llm.ainvoke("parent")
        code = await asyncio.to_thread(child)
        return code if parent.text == "parent" else -1

    assert asyncio.run(main()) == 0
    assert server.settles_at(0)
    assert _clients_of(server, "before") == _clients_of(server, "parent")
    assert not _clients_of(server, "child") & _clients_of(server, "parent")


@pytest.mark.parametrize("asynchronously", [False, True])
def test_a_child_does_not_keep_the_parents_connection_open(
    server: LoopbackServer, *, asynchronously: bool
) -> None:
    def script(request: Request) -> Reply:
        if request.body.get("stream"):
            return stream_reply(*text_events("a b")[:2], Act.HOLD)
        return echo(request)

    server.script = script
    llm = server.model()
    stop, resume = os.pipe()
    waiting: Callable[[], object] = lambda: os.read(stop, 1)  # noqa: E731 - what the child does

    async def leave_a_stream() -> Callable[[], int]:
        chunks = llm.astream("x")
        async for _ in chunks:
            return _in_fork(waiting)
        raise AssertionError

    if asynchronously:
        child = asyncio.run(leave_a_stream())
    else:
        chunks = llm.stream("x")
        next(chunks)
        child = _in_fork(waiting)
        del chunks
    closed_at_once = server.settles_at(0)
    os.write(resume, b".")
    assert child() == 0
    os.close(stop)
    os.close(resume)
    assert closed_at_once


def test_a_loop_of_the_parent_used_on_in_the_child(server: LoopbackServer) -> None:
    llm = server.model()
    loop = asyncio.new_event_loop()
    loop.run_until_complete(llm.ainvoke("before"))

    def use() -> None:
        assert loop.run_until_complete(llm.ainvoke("child")).text == "child"

    # One after the other: the two loops share what they wait with.
    assert _in_fork(use)() == 0
    assert not _clients_of(server, "before") & _clients_of(server, "child")
    loop.run_until_complete(loop.shutdown_asyncgens())
    loop.close()
    assert server.settles_at(0)


def _answer_in_worker(llm: ChatTammaOpenAI, name: str) -> str:
    return llm.invoke(name).text + asyncio.run(llm.ainvoke(name)).text


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_worker_processes(
    server: LoopbackServer, method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-env")
    llm = server.model()
    _ask(llm, "before", times=1)
    work = [(llm, f"q{n}") for n in range(4)]
    with multiprocessing.get_context(method).Pool(2) as pool:
        assert pool.starmap(_answer_in_worker, work) == [f"q{n}q{n}" for n in range(4)]
        pool.close()
        pool.join()
    assert len(server.requests) == 2 + 8


def test_a_pickle_has_no_key_and_no_connection(
    server: LoopbackServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    llm = server.model(api_key="sk-very-secret", default_headers={"X-Team": "blue"})
    llm.invoke("x")
    pickled = pickle.dumps(llm)
    assert b"very-secret" not in pickled
    monkeypatch.setenv("OPENAI_API_KEY", "sk-env")
    copy = pickle.loads(pickled)  # noqa: S301 - our own
    assert copy.invoke("y").text == "y"
    assert server.requests[-1].headers["authorization"] == "Bearer sk-env"
    assert server.requests[-1].headers["x-team"] == "blue"


@pytest.mark.skipif(sys.platform == "win32", reason="reads /proc")
def test_children_end_quietly(server: LoopbackServer, capfd: pytest.CaptureFixture[str]) -> None:
    llm = server.model()
    _ask(llm, "before", times=1)
    assert _in_fork(lambda: _ask(llm, "child", times=1))() == 0
    assert capfd.readouterr().err == ""
