"""Circuits shared through a real Redis: one script, the same machine as in memory."""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
import os
import pickle
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from langchain_tamma_openai import errors
from langchain_tamma_openai.resilience.circuit import CircuitBreaker, CircuitState
from langchain_tamma_openai.resilience.circuit_state import Circuit, CircuitRules, Outcome, Step
from langchain_tamma_openai.resilience.quota import QuotaKey, QuotaMemory

URL = "redis://127.0.0.1:6379/0"
KEY = ("https://api.example/v1", "gpt-6-luna")


def _is_up() -> bool:
    try:
        with socket.create_connection(("127.0.0.1", 6379), timeout=1):
            return True
    except OSError:
        return False


@pytest.fixture
def prefix() -> Iterator[str]:
    redis = _redis_package()
    if not _is_up():
        if os.environ.get("CI") == "true":
            pytest.fail("no Redis on 127.0.0.1:6379; start redis-server")
        pytest.skip("no Redis on 127.0.0.1:6379; start redis-server to run this test")
    name = f"test-circuit-{uuid4().hex}"
    yield name
    with redis.Redis.from_url(URL) as client:
        for key in client.scan_iter(f"{name}*"):
            client.delete(key)


def _redis_package() -> Any:
    if os.environ.get("CI") == "true":
        import redis

        return redis
    return pytest.importorskip("redis", reason='install with pip install ".[redis]"')


def fail(breaker: CircuitBreaker) -> None:
    with pytest.raises(errors.ServerError), breaker.guard(KEY):
        raise errors.ServerError("boom")


def test_what_one_learns_the_other_knows(prefix: str) -> None:
    first = CircuitBreaker(2, 0.3, storage=URL, key_prefix=prefix)
    second = pickle.loads(pickle.dumps(first))  # noqa: S301 - our own bytes
    fail(first)
    assert second.state(KEY) is CircuitState.CLOSED
    fail(second)
    for breaker in (first, second):
        with pytest.raises(errors.CircuitOpenError) as caught, breaker.guard(KEY):
            pass
        assert 0 < (caught.value.retry_after_s or 0) <= 0.3
    time.sleep(0.35)
    assert second.state(KEY) is CircuitState.HALF_OPEN
    with first.guard(KEY) as probe:
        assert probe.is_probe
        with pytest.raises(errors.CircuitOpenError, match="as many probes"), second.guard(KEY):
            pass
    with second.guard(KEY) as ordinary:
        assert not ordinary.is_probe


def test_reset_closes_for_everyone(prefix: str) -> None:
    first, second = (CircuitBreaker(1, storage=URL, key_prefix=prefix) for _ in range(2))
    fail(first)
    second.reset(KEY)
    with first.guard(KEY):
        pass


async def test_exactly_so_many_probes_among_50_tasks_of_two_breakers(prefix: str) -> None:
    breakers = [
        CircuitBreaker(1, 0.1, half_open_max_calls=3, storage=URL, key_prefix=prefix)
        for _ in range(2)
    ]
    fail(breakers[0])
    await asyncio.sleep(0.15)
    ran: list[int] = []
    refusals: list[int] = []
    release = asyncio.Event()

    async def task(number: int) -> None:
        try:
            async with breakers[number % 2].guard(KEY):
                ran.append(number)
                await release.wait()
        except errors.CircuitOpenError:
            refusals.append(number)
            if len(refusals) == 47:
                release.set()

    await asyncio.gather(*(task(number) for number in range(50)))
    assert len(ran) == 3
    assert breakers[1].state(KEY) is CircuitState.CLOSED


async def test_a_cancelled_probe_gives_its_place_back(prefix: str) -> None:
    breaker = CircuitBreaker(1, 0.05, storage=URL, key_prefix=prefix)
    fail(breaker)
    await asyncio.sleep(0.1)
    entered = asyncio.Event()

    async def probe() -> None:
        async with breaker.guard(KEY):
            entered.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(probe())
    await asyncio.wait_for(entered.wait(), 10)
    with pytest.raises(errors.CircuitOpenError):
        await breaker.guard(KEY).__aenter__()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    async with breaker.guard(KEY) as guard:
        assert guard.is_probe


def _probe_and_die(breaker: CircuitBreaker) -> None:
    breaker.guard(KEY).__enter__()
    os._exit(9)


def test_a_killed_process_blocks_nobody_for_longer_than_the_probe_timeout(prefix: str) -> None:
    breaker = CircuitBreaker(1, 0.05, probe_timeout_s=1.0, storage=URL, key_prefix=prefix)
    fail(breaker)
    time.sleep(0.1)
    process = multiprocessing.get_context("spawn").Process(target=_probe_and_die, args=[breaker])
    process.start()
    process.join()
    assert process.exitcode == 9
    deadline_s = time.monotonic() + 10
    while time.monotonic() < deadline_s:
        try:
            with breaker.guard(KEY) as probe:
                assert probe.is_probe
                return
        except errors.CircuitOpenError:
            time.sleep(0.05)
    pytest.fail("the place of the dead process was never given away")


def test_keys_expire_by_themselves_and_good_calls_leave_none(prefix: str) -> None:
    redis = _redis_package()
    breaker = CircuitBreaker(2, 60, 30, storage=URL, key_prefix=prefix)
    with breaker.guard(KEY):
        pass
    with redis.Redis.from_url(URL, decode_responses=True) as client:
        assert list(client.scan_iter(f"{prefix}*")) == []
        fail(breaker)
        (key,) = client.scan_iter(f"{prefix}*")
        assert 0 < client.pttl(key) <= 120_000
        fail(breaker)
        assert 86_400_000 < client.pttl(key) <= 86_460_000


def test_a_redis_that_is_not_there_is_said_at_once() -> None:
    _redis_package()
    with pytest.raises(errors.ConfigurationError) as caught:
        CircuitBreaker(storage="redis://user:hunter2@127.0.0.1:1/0")
    assert "redis://127.0.0.1:1/0" in caught.value.message
    assert "memory://" in caught.value.message
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("url", ["redis://127.0.0.1:notaport/0", "redis://127.0.0.1:6379/?db=x"])
def test_a_url_that_cannot_be_read_is_a_setting_to_correct(url: str) -> None:
    _redis_package()
    with pytest.raises(errors.ConfigurationError, match=r"^storage: "):
        CircuitBreaker(storage=url)


class Forwarder:
    """Stands between a client and Redis, and can be cut."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._sockets: list[socket.socket] = []
        self.url = f"redis://127.0.0.1:{self._listener.getsockname()[1]}/0"
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                far = socket.create_connection(("127.0.0.1", 6379))
                self._sockets += [near, far]
                for ends in ((near, far), (far, near)):
                    thread = threading.Thread(target=self._forward, args=ends)
                    self._threads.append(thread)
                    thread.start()

    @staticmethod
    def _forward(source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65_536):
                sink.sendall(data)

    def cut(self) -> None:
        for one in (self._listener, *self._sockets):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()
        for thread in self._threads:
            thread.join(10)


@pytest.fixture
def forwarder() -> Iterator[Forwarder]:
    found = Forwarder()
    yield found
    found.cut()


def test_a_redis_lost_at_run_time_lets_calls_out_watched_locally(
    prefix: str, forwarder: Forwarder
) -> None:
    breaker = CircuitBreaker(2, storage=forwarder.url, key_prefix=prefix)
    with breaker.guard(KEY):
        forwarder.cut()
    with breaker.guard(KEY):
        pass
    fail(breaker)
    fail(breaker)
    with pytest.raises(errors.CircuitOpenError), breaker.guard(KEY):
        pass


def test_a_redis_lost_at_run_time_refuses_calls_where_chosen(
    prefix: str, forwarder: Forwarder
) -> None:
    breaker = CircuitBreaker(2, storage=forwarder.url, key_prefix=prefix, on_storage_error="closed")
    with breaker.guard(KEY):
        forwarder.cut()
    with pytest.raises(errors.StorageError, match="cannot be used"), breaker.guard(KEY):
        pass


def test_a_fleet_learns_together_that_its_account_is_dry(prefix: str) -> None:
    first, second = (QuotaMemory(60, storage=URL, key_prefix=prefix) for _ in range(2))
    key = QuotaKey.of("sk-proj-1")
    dry = errors.QuotaExceededError("no credit", code="credit_balance_exhausted")
    with pytest.raises(errors.QuotaExceededError), first.guard(key):
        raise dry
    with pytest.raises(errors.QuotaExceededError) as caught, second.guard(key):
        pass
    assert caught.value.code == "credit_balance_exhausted"
    assert "nothing was sent" in caught.value.message
    first.clear(key)
    assert second.info(key) is None


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("begin"), st.just(None)),
        st.tuples(st.just("end"), st.sampled_from(list(Outcome))),
        st.tuples(st.just("wait"), st.sampled_from([1, 4, 10, 25])),
        st.tuples(st.just("look"), st.just(None)),
    ),
    max_size=40,
)


def _facts(step: Step) -> tuple[object, ...]:
    return (
        step.allowed,
        step.state,
        step.previous,
        step.generation,
        step.failures,
        step.reason,
        step.retry_after_s,
        step.token is not None,
    )


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(steps=STEPS, threshold=st.integers(1, 3), places=st.integers(1, 2))
def test_the_script_and_the_machine_in_memory_agree(
    prefix: str, steps: list[tuple[str, Any]], threshold: int, places: int
) -> None:
    from langchain_tamma_openai.resilience.circuit_redis import RedisStorage

    rules = CircuitRules(threshold, 10, 20, places, 15)
    now_s = 1000.0
    here, there = Circuit(rules), RedisStorage(URL, rules, prefix, lambda: now_s)
    name = uuid4().hex
    running: list[tuple[Step, Step]] = []
    for number, (kind, value) in enumerate(steps):
        if kind == "wait":
            now_s += value
        elif kind == "begin":
            pair = here.admit(now_s, str(number)), there.admit(name)
            assert _facts(pair[0]) == _facts(pair[1])
            if pair[0].allowed:
                running.append(pair)
        elif kind == "look":
            assert _facts(here.look(now_s)) == _facts(there.look(name))
        elif running:
            mine, theirs = running.pop(0)
            ours = here.settle(now_s, mine, value, f"r{number}")
            others = there.settle(name, theirs, value, f"r{number}")
            assert _facts(ours) == _facts(others)
