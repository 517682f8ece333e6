"""Which pool a request goes through, and when pools are closed, without any socket."""

from __future__ import annotations

import asyncio
import gc
import threading
import weakref
from collections.abc import Callable
from typing import Any, cast

import httpx2
import pytest

from langchain_tamma_openai.transport import pools as pools_module
from langchain_tamma_openai.transport.http_library import http_library, transport_errors
from langchain_tamma_openai.transport.loops import LoopPools, Loops
from langchain_tamma_openai.transport.pools import (
    PoolKey,
    SharedAsyncTransport,
    SharedTransport,
    ThreadPools,
)

REQUEST = httpx2.Request("GET", "https://host/v1")


class Stream:
    """Stands for the network stream of a connection."""

    def __init__(self, descriptor: int = 7) -> None:
        self.closed = False
        self.descriptor = descriptor

    def get_extra_info(self, name: str) -> object:
        assert name == "socket"
        return self

    def fileno(self) -> int:
        return self.descriptor

    def close(self) -> None:
        self.closed = True


class Pool:
    """A pool of one connection, for both colours."""

    def __init__(self, key: PoolKey | str = "key", *, with_stream: bool = True) -> None:
        self.key = key
        self.stream = Stream()
        self.with_stream = with_stream
        self.requests = 0
        self.closed = False

    def handle_request(self, _request: httpx2.Request) -> httpx2.Response:
        self.requests += 1
        extensions = {"network_stream": self.stream} if self.with_stream else {}
        return httpx2.Response(200, extensions=extensions)

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        return self.handle_request(request)

    def close(self) -> None:
        self.closed = True

    async def aclose(self) -> None:
        self.closed = True


class Maker:
    """Makes pools and keeps them."""

    def __init__(self) -> None:
        self.pools: list[Pool] = []

    def __call__(self, key: PoolKey | str) -> Pool:
        self.pools.append(Pool(key))
        return self.pools[-1]


# --- threads ---


def test_one_pool_for_each_key() -> None:
    make = Maker()
    pools = ThreadPools(make)
    for proxy in (None, "http://proxy:1", None, "http://proxy:1"):
        pools.send(PoolKey(proxy), REQUEST)
    assert [(cast("PoolKey", pool.key).proxy, pool.requests) for pool in make.pools] == [
        (None, 2),
        ("http://proxy:1", 2),
    ]


def test_threads_that_ask_together_get_one_pool() -> None:
    made: list[Pool] = []
    inside, go_on = threading.Event(), threading.Event()

    def slow(key: PoolKey) -> Pool:
        inside.set()
        assert go_on.wait(10)
        made.append(Pool(key))
        return made[-1]

    pools = ThreadPools(slow)
    threads = [threading.Thread(target=pools.send, args=(PoolKey(), REQUEST)) for _ in range(4)]
    for thread in threads:
        thread.start()
    assert inside.wait(10)
    go_on.set()
    for thread in threads:
        thread.join(10)
    assert [pool.requests for pool in made] == [4]


def test_closing_thread_pools_starts_anew() -> None:
    make = Maker()
    pools = ThreadPools(make)
    pools.send(PoolKey(), REQUEST)
    pools.close()
    pools.send(PoolKey(), REQUEST)
    assert [pool.closed for pool in make.pools] == [True, False]


def test_a_child_closes_its_handles_and_opens_its_own_pool() -> None:
    make = Maker()
    pools = ThreadPools(make)
    pools.send(PoolKey(), REQUEST)
    pools.after_fork()
    assert make.pools[0].stream.closed
    assert not make.pools[0].closed
    pools.send(PoolKey(), REQUEST)
    assert [pool.requests for pool in make.pools] == [1, 1]


def test_a_transport_without_network_streams() -> None:
    pools = ThreadPools(lambda key: Pool(key, with_stream=False))
    assert pools.send(PoolKey(), REQUEST).status_code == 200
    pools.after_fork()


# --- event loops ---


async def _send(loops: Loops[str], key: str = "key") -> LoopPools[str]:
    pools = await loops.running()
    await pools.send(key, REQUEST)
    return pools


def test_a_loop_keeps_its_pools_and_closes_them_at_its_end() -> None:
    make = Maker()
    loops: Loops[str] = Loops(make)

    async def main() -> None:
        first = await _send(loops, "a")
        assert await _send(loops, "a") is first
        await _send(loops, "b")
        assert [pool.closed for pool in make.pools[-2:]] == [False, False]

    asyncio.run(main())
    assert [(pool.key, pool.requests, pool.closed) for pool in make.pools] == [
        ("a", 2, True),
        ("b", 1, True),
    ]
    asyncio.run(main())
    assert len(make.pools) == 4


def test_no_loop_is_an_error() -> None:
    coroutine = Loops(Maker()).running()
    with pytest.raises(RuntimeError, match="no running event loop"):
        coroutine.send(None)


def test_a_loop_that_nobody_keeps_takes_its_pools_along() -> None:
    make = Maker()
    loops: Loops[str] = Loops(make)
    known = []
    for _ in range(20):
        loop = asyncio.new_event_loop()
        known.append(weakref.ref(loop.run_until_complete(_send(loops))))
        loop.close()
        del loop
    gc.collect()
    # Each new loop clears away the closed ones before it.
    assert sum(pools() is not None for pools in known) <= 1


class Connection:
    """Stands for an asyncio transport."""

    def __init__(self, error: Exception | None = None) -> None:
        self.lost = False
        self.error = error

    def _call_connection_lost(self, _exc: object) -> None:
        self.lost = True
        if self.error is not None:
            raise self.error


@pytest.mark.parametrize("error", [None, RuntimeError("Event loop is closed")])
def test_the_sockets_of_a_closed_loop_are_closed(error: Exception | None) -> None:
    loops: Loops[str] = Loops(Maker())
    loop = asyncio.new_event_loop()
    loop.run_until_complete(_send(loops))
    connection = Connection(error)
    loop._transports = {7: connection}  # type: ignore[attr-defined]  # asyncio's own
    loops.sweep()
    assert not connection.lost
    loop.close()
    loops.sweep()
    assert connection.lost


@pytest.mark.parametrize("transports", [None, {}])
def test_a_loop_that_hides_its_sockets(transports: dict[int, object] | None) -> None:
    loops: Loops[str] = Loops(lambda key: Pool(key, with_stream=transports is not None))
    loop = asyncio.new_event_loop()
    loop.run_until_complete(_send(loops))
    loop._transports = transports or {}  # type: ignore[attr-defined]
    loop.close()
    loops.sweep()


def test_a_child_forgets_the_loops_of_its_parent() -> None:
    make = Maker()
    loops: Loops[str] = Loops(make)
    loop = asyncio.new_event_loop()
    connection = Connection()
    loop._transports = {7: connection}  # type: ignore[attr-defined]
    before = loop.run_until_complete(_send(loops))
    loops.after_fork()
    after = loop.run_until_complete(_send(loops))
    assert before is not after
    # The loop may still be used, so its own handles are left alone.
    assert not connection.lost
    loop.run_until_complete(loop.shutdown_asyncgens())
    loop.close()
    assert [pool.closed for pool in make.pools] == [False, True]


def test_a_child_hangs_up_what_ran_at_the_fork() -> None:
    loops: Loops[str] = Loops(Maker())
    connection = Connection()

    async def main() -> None:
        await _send(loops)
        asyncio.get_running_loop()._transports = {7: connection}  # type: ignore[attr-defined]
        loops.after_fork()
        assert connection.lost
        loops.after_fork()

    asyncio.run(main())


def test_pools_of_a_loop_that_already_forgot_them() -> None:
    make = Maker()
    loops: Loops[str] = Loops(make)

    async def main() -> None:
        await _send(loops)
        loops.after_fork()

    asyncio.run(main())
    assert not make.pools[0].closed


# --- the transports of the SDK's clients ---


@pytest.fixture
def shared(monkeypatch: pytest.MonkeyPatch) -> Maker:
    make = Maker()
    monkeypatch.setattr(pools_module, "_threads", ThreadPools(make))
    monkeypatch.setattr(pools_module, "_loops", Loops(make))
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    return make


def test_clients_share_pools_by_proxy_and_socket_options(shared: Maker) -> None:
    plain, again = SharedTransport(), SharedTransport()
    special = SharedTransport("http://proxy:1", ((6, 1, 1),))
    for transport in (plain, again, special):
        transport.handle_request(REQUEST)
        transport.close()
    assert [(pool.key, pool.requests) for pool in shared.pools] == [
        (PoolKey(), 2),
        (PoolKey("http://proxy:1", ((6, 1, 1),)), 1),
    ]
    assert not any(pool.closed for pool in shared.pools)


def test_async_clients_share_pools_within_a_loop(shared: Maker) -> None:
    plain, again = SharedAsyncTransport(), SharedAsyncTransport()

    async def main() -> None:
        for transport in (plain, again):
            await transport.handle_async_request(REQUEST)
            await transport.aclose()
        assert [pool.closed for pool in shared.pools] == [False]

    asyncio.run(main())
    assert [(pool.requests, pool.closed) for pool in shared.pools] == [(2, True)]


KEYS = [
    PoolKey(),
    PoolKey(None, ((6, 1, 1),)),
    PoolKey("http://user:word@proxy:1"),
    PoolKey("https://proxy:1"),
]


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize(
    "make", [pools_module._sync_transport, pools_module._async_transport], ids=["sync", "async"]
)
def test_real_pools_take_every_key(make: Callable[[PoolKey], Any], key: PoolKey) -> None:
    transport = make(key)
    pool = transport._pool
    assert pool._max_connections == pools_module.MAX_CONNECTIONS
    assert pool._max_keepalive_connections == pools_module.MAX_KEEPALIVE_CONNECTIONS
    assert pool._keepalive_expiry == pools_module.KEEPALIVE_EXPIRY_S
    assert pool._ssl_context is pools_module._ssl_context()


def test_the_library_is_that_of_the_sdk() -> None:
    assert http_library() is httpx2
    assert httpx2.TransportError in transport_errors()
