"""Rate limits shared through a real Redis."""

from __future__ import annotations

import asyncio
import logging
import os
import pickle
import random
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest
import redis
from redis_places import URL, Proxy, namespace, require_redis

from langchain_tamma_openai.errors import RateLimitError, RequestTooLargeError, StorageError
from langchain_tamma_openai.resilience import limits_outage, limits_redis
from langchain_tamma_openai.resilience.limits import OpenAIRateLimiter
from langchain_tamma_openai.resilience.limits_info import RateLimitInfo
from langchain_tamma_openai.resilience.limits_meter import Limits
from langchain_tamma_openai.resilience.limits_outage import GuardedStore
from langchain_tamma_openai.resilience.limits_redis import RedisStore
from langchain_tamma_openai.resilience.limits_store import (
    GiveBack,
    Observe,
    ThreadSignal,
    Ticket,
)

SAID = {
    "x-ratelimit-limit-requests": "600",
    "x-ratelimit-remaining-requests": "500",
    "x-ratelimit-limit-tokens": "9000",
    "x-ratelimit-remaining-tokens": "8000",
}


@pytest.fixture
def place() -> Iterator[str]:
    with namespace() as name:
        yield name


@pytest.fixture
def way() -> Iterator[Proxy]:
    """Lead to Redis over a proxy that the test may cut."""
    require_redis()
    proxy = Proxy()
    yield proxy
    proxy.close()


def limiter(place: str, url: str = URL, **settings_: int | str) -> OpenAIRateLimiter:
    return OpenAIRateLimiter(storage=url, namespace=place, **settings_)  # type: ignore[arg-type]  # by name


class TestSharing:
    def test_two_limiters_share_the_slots(self, place: str) -> None:
        one, other = limiter(place, max_concurrency=1), limiter(place, max_concurrency=1)

        with one.reserve(), pytest.raises(RateLimitError):
            other.reserve(deadline_s=0.1)

        other.reserve(deadline_s=5).release()
        assert one.status().in_flight == 0
        assert one.status().waiting == 0

    def test_two_limiters_share_the_buckets(self, place: str) -> None:
        one = limiter(place, requests_per_minute=60, tokens_per_minute=6000)
        other = limiter(place, requests_per_minute=60, tokens_per_minute=6000)

        one.reserve(1000).release()

        status = other.status()
        assert status.remaining_requests == 59
        assert status.remaining_tokens is not None
        assert 5000 <= status.remaining_tokens < 5100

    def test_namespaces_and_keys_are_apart(self, place: str) -> None:
        one, other = limiter(place, max_concurrency=1), limiter(f"{place}:2", max_concurrency=1)

        with one.reserve(key="a{}:b"), one.reserve(key="a", deadline_s=1):
            other.reserve(key="a{}:b", deadline_s=1).release()

    async def test_threads_and_event_loops_share(self, place: str) -> None:
        shared = limiter(place, max_concurrency=1)
        async with await shared.areserve(5, "m"):
            with pytest.raises(RateLimitError):
                await asyncio.to_thread(shared.reserve, 5, "m", 0.05)

        permit = await asyncio.to_thread(shared.reserve, 5, "m", 5)
        await permit.arelease()
        assert (await shared.astatus("m")).in_flight == 0
        await shared.aclose()

    def test_many_event_loops_one_after_the_other(self, place: str) -> None:
        shared = limiter(place, requests_per_minute=6000)

        async def once() -> None:
            permit = await shared.areserve()
            await permit.asettle(10)
            await permit.arelease()

        for _ in range(3):
            asyncio.run(once())

        assert shared.status().remaining_requests in range(5997, 6001)

    async def test_closing_is_no_end(self, place: str) -> None:
        shared = limiter(place, requests_per_minute=600)
        await shared.aacquire()
        await shared.aclose()
        shared.close()

        assert await shared.aacquire()
        assert shared.acquire()
        await shared.aclose()

    def test_it_can_be_sent_to_another_process(self, place: str) -> None:
        one = limiter(place, max_concurrency=1, on_storage_error="closed")

        twin = pickle.loads(pickle.dumps(one))  # noqa: S301 - our own bytes

        with one.reserve():
            assert twin.status().in_flight == 1

    def test_keys_expire(self, place: str) -> None:
        shared = limiter(place, requests_per_minute=600, max_concurrency=5)
        with shared.reserve(), redis.Redis.from_url(URL) as client:
            ages = [client.ttl(key) for key in client.scan_iter(f"{place}:*")]

        assert len(ages) == 3
        assert all(0 < age <= limits_redis.EXPIRY_S for age in ages)


class TestDecisions:
    def test_first_come_first_served(self, place: str) -> None:
        shared = limiter(place, tokens_per_minute=600_000, throttle_threshold=1)
        shared.reserve(1).observe({}, 429)
        went: list[tuple[float, str]] = []

        def wait(name: str, tokens: int) -> None:
            with shared.reserve(tokens) as permit:
                grant = permit._ticket.grant
                assert grant is not None
                went.append((grant.at_s, name))

        with ThreadPoolExecutor(4) as pool:
            jobs = []
            for place_in_line, (name, tokens) in enumerate(
                [("large", 8000), ("small", 100), ("next", 1000), ("last", 100)]
            ):
                jobs.append(pool.submit(wait, name, tokens))
                _until_waiting(shared, place_in_line + 1)
            for job in jobs:
                job.result()

        assert [name for _, name in sorted(went)] == ["large", "small", "next", "last"]

    async def test_a_cancelled_task_leaves_the_line(self, place: str) -> None:
        shared = limiter(place, tokens_per_minute=60_000, throttle_threshold=1)
        await (await shared.areserve(1)).aobserve({}, 429)
        large = asyncio.create_task(shared.areserve(50_000))
        await asyncio.sleep(0.1)
        small = asyncio.create_task(shared.areserve(100, deadline_s=5))
        await asyncio.sleep(0.1)

        large.cancel()

        assert (await small).waited_s < 5
        assert (await shared.astatus()).waiting == 0
        await shared.aclose()

    async def test_a_storm_of_cancellations_leaves_nothing(self, place: str) -> None:
        shared = limiter(place, requests_per_minute=60_000, max_concurrency=4)
        rng = random.Random(1)  # noqa: S311 - no secret

        async def work() -> None:
            async with await shared.areserve(10):
                await asyncio.sleep(rng.uniform(0.0, 0.01))

        tasks = [asyncio.create_task(work()) for _ in range(80)]
        for task in rng.sample(tasks, 50):
            await asyncio.sleep(rng.uniform(0.0, 0.01))
            task.cancel()
        done = await asyncio.gather(*tasks, return_exceptions=True)

        assert all(result is None or isinstance(result, asyncio.CancelledError) for result in done)
        status = await shared.astatus()
        assert (status.waiting, status.in_flight) == (0, 0)
        await shared.aclose()

    async def test_a_crowd_is_no_outage(self, place: str, caplog: pytest.LogCaptureFixture) -> None:
        shared = limiter(place, requests_per_minute=60_000, on_storage_error="closed")

        async def work() -> None:
            async with await shared.areserve(10):
                pass

        await asyncio.gather(*(work() for _ in range(400)))

        assert not caplog.records
        assert (await shared.astatus()).waiting == 0
        await shared.aclose()

    def test_without_blocking_it_says_whether_a_call_may_go(self, place: str) -> None:
        shared = limiter(place, requests_per_minute=10)

        answers = [shared.acquire(blocking=False) for _ in range(4)]

        assert answers[0]
        assert not answers[-1]
        assert shared.status().waiting == 0

    def test_too_large_is_said_at_once(self, place: str) -> None:
        shared = limiter(place, tokens_per_minute=1000)

        with pytest.raises(RequestTooLargeError, match="about 1001 tokens"):
            shared.reserve(1001)

        assert shared.status().waiting == 0

    def test_headers_teach_all_processes(self, place: str) -> None:
        one, other = limiter(place), limiter(place)
        with one.reserve(10, "m") as permit:
            permit.observe(SAID)

        status = other.status("m")

        assert (status.limit_requests, status.limit_tokens) == (600, 9000)
        assert status.remaining_requests in range(500, 520)
        assert status.remaining_tokens in range(8000, 8300)

    async def test_headers_teach_all_event_loops(self, place: str) -> None:
        shared = limiter(place)
        async with await shared.areserve(10, "m") as permit:
            await permit.aobserve(SAID)
        await shared.aobserve({"retry-after": "30"}, "m", 429)

        status = await shared.astatus("m")

        assert status.limit_requests == 600
        assert status.retry_after_s == pytest.approx(30, abs=1)
        await shared.aclose()

    def test_a_lost_answer_is_found_and_given_back(self, place: str) -> None:
        store = RedisStore(URL, Limits(requests=600, tokens=6000, concurrency=1), place)
        ticket = Ticket("lost-1", "m", 100, slot=True, waits=True, signal=ThreadSignal())
        store.take(ticket)
        ticket.grant = None  # as if the connection broke before the answer came

        store.tell(GiveBack(ticket))
        store.tell(GiveBack(ticket))

        status = store.status("m")
        assert (status.remaining_requests, status.remaining_tokens) == (600, 6000)
        assert status.in_flight == 0
        store.close()


def _until_waiting(shared: OpenAIRateLimiter, number: int) -> None:
    for _ in range(1000):
        if shared.status().waiting == number:
            return
        time.sleep(0.005)
    raise AssertionError(number)


class TestLeases:
    @pytest.fixture(autouse=True)
    def _short(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(limits_redis, "SLOT_LEASE_S", 0.6)
        monkeypatch.setattr(limits_redis, "WAIT_LEASE_S", 0.3)

    def test_a_slot_is_kept_while_its_call_runs_and_no_thread_stays(self, place: str) -> None:
        shared = limiter(place, max_concurrency=2)
        threads = threading.active_count()
        first, second = shared.reserve(key="a"), shared.reserve(key="b")

        time.sleep(1.0)

        assert shared.status("a").in_flight == 1
        assert shared.status("b").in_flight == 1
        first.release()
        second.release()
        _until_threads(threads)

    def test_a_slot_whose_permit_was_forgotten_becomes_free(self, place: str) -> None:
        shared = limiter(place, max_concurrency=1)
        shared.reserve()

        shared.reserve(deadline_s=5).release()

    def test_a_slot_whose_process_died_becomes_free(self, place: str) -> None:
        shared = limiter(place, max_concurrency=1)
        permit = shared.reserve()
        _die(shared)
        assert not permit.waited_s > 5

        limiter(place, max_concurrency=1).reserve(deadline_s=5).release()

    def test_a_waiting_call_whose_process_died_blocks_nobody(self, place: str) -> None:
        store = RedisStore(URL, Limits(tokens=60_000, threshold=1.0), place)
        first = Ticket("f", "m", 1, slot=True, waits=True, signal=ThreadSignal())
        store.take(first)
        store.tell(Observe("m", RateLimitInfo(), refused=True))
        dead = Ticket("d", "m", 50_000, slot=True, waits=True, signal=ThreadSignal())
        assert store.take(dead) is not None
        store.close()

        limiter(place, tokens_per_minute=60_000).reserve(100, "m", deadline_s=8).release()

    @pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
    @pytest.mark.filterwarnings("ignore::DeprecationWarning")
    def test_a_forked_child_shares_the_limits_but_not_the_connections(self, place: str) -> None:
        shared = limiter(place, max_concurrency=2)
        held = shared.reserve()
        child = os.fork()
        if child == 0:
            code = 1
            with suppress(BaseException), shared.reserve(deadline_s=2):
                code = 0 if shared.status().in_flight == 2 else 2
            os._exit(code)

        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert shared.status().in_flight == 1
        held.release()
        assert shared.status().in_flight == 0

    def test_a_lease_that_cannot_be_renewed_is_tried_again(self, place: str, way: Proxy) -> None:
        shared = limiter(place, way.url, max_concurrency=1)
        permit = shared.reserve()
        way.cut()
        time.sleep(0.5)
        way.mend()

        permit.release()
        limiter(place, max_concurrency=1).reserve(deadline_s=5).release()


def _die(shared: OpenAIRateLimiter) -> None:
    """Forget the slots as a killed process does."""
    store = shared._store
    assert isinstance(store, GuardedStore)
    store._shared._leases._tickets.clear()


def _until_threads(number: int) -> None:
    for _ in range(400):
        if threading.active_count() <= number:
            return
        time.sleep(0.01)
    raise AssertionError(threading.enumerate())


class TestStart:
    def test_an_unreachable_redis_is_a_clear_error_without_the_password(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as unused:
            port = unused.getsockname()[1]

        with pytest.raises(StorageError) as caught:
            OpenAIRateLimiter(storage=f"redis://user:pass-word@127.0.0.1:{port}/3")

        text = str(caught.value)
        assert f"redis://127.0.0.1:{port}/3 cannot be reached" in text
        assert "storage='memory://'" in text
        assert "pass-word" not in text
        assert "pass-word" not in repr(caught.value.__cause__)

    def test_it_is_an_error_with_the_open_policy_too(self) -> None:
        with pytest.raises(StorageError):
            OpenAIRateLimiter(storage="redis://127.0.0.1:1/0", on_storage_error="open")


class TestLoss:
    def test_open_goes_on_with_the_same_limits_and_warns_once(
        self, place: str, way: Proxy, caplog: pytest.LogCaptureFixture
    ) -> None:
        shared = limiter(place, way.url, tokens_per_minute=1000, max_concurrency=1)
        shared.reserve(10).release()
        way.cut()

        with caplog.at_level(logging.INFO, limits_outage.__name__):
            for _ in range(3):
                shared.reserve(10).release()
            with pytest.raises(RequestTooLargeError):
                shared.reserve(1001)
            with shared.reserve(), pytest.raises(RateLimitError):
                shared.reserve(deadline_s=0)
            assert shared.status().limit_tokens == 1000

        assert [record.levelname for record in caplog.records] == ["WARNING"]
        assert "each process keeps the limits by itself" in caplog.text

    async def test_open_goes_on_in_event_loops(self, place: str, way: Proxy) -> None:
        shared = limiter(place, way.url, max_concurrency=1)
        permit = await shared.areserve()
        way.cut()

        async with await shared.areserve() as local:
            await local.aobserve(SAID)
            assert (await shared.astatus()).limit_requests == 600
        await permit.aobserve(SAID)
        await permit.arelease()
        await shared.aclose()

    def test_closed_refuses_calls_and_never_loses_an_answer(
        self, place: str, way: Proxy, caplog: pytest.LogCaptureFixture
    ) -> None:
        shared = limiter(place, way.url, max_concurrency=1, on_storage_error="closed")
        permit = shared.reserve(10)
        way.cut()

        for _ in range(2):
            with pytest.raises(StorageError, match="cannot be reached"):
                shared.reserve()
        with pytest.raises(StorageError):
            shared.acquire()
        with pytest.raises(StorageError):
            shared.status()
        permit.observe(SAID)
        permit.settle(20)
        permit.release()

        assert caplog.text.count("calls fail") == 1

    async def test_closed_refuses_calls_of_event_loops(self, place: str, way: Proxy) -> None:
        shared = limiter(place, way.url, on_storage_error="closed")
        permit = await shared.areserve(10)
        way.cut()

        with pytest.raises(StorageError):
            await shared.areserve()
        with pytest.raises(StorageError):
            await shared.astatus()
        await permit.asettle(20)
        await permit.arelease()
        await shared.aclose()

    def test_it_returns_when_redis_does(
        self,
        place: str,
        way: Proxy,
        caplog: pytest.LogCaptureFixture,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr(limits_outage, "PROBE_S", 0.05)
        shared = limiter(place, way.url, max_concurrency=1)
        way.cut()
        shared.reserve().release()
        way.mend()
        time.sleep(0.1)

        with caplog.at_level(logging.INFO, limits_outage.__name__):
            permit = shared.reserve()

        assert "can be reached again" in caplog.text
        assert limiter(place, max_concurrency=1).status().in_flight == 1
        permit.release()

    def test_a_call_that_waits_when_redis_is_lost_goes_on_waiting_here(
        self, place: str, way: Proxy
    ) -> None:
        shared = limiter(place, way.url, max_concurrency=1)
        held = shared.reserve()
        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(shared.reserve, 0, "default", 30)
            _until_waiting(shared, 1)

            way.cut()

            waiting.result().release()
        held.release()

    def test_what_failed_for_others_is_not_tried_again(self, place: str) -> None:
        store = RedisStore(URL, Limits(), place)

        with pytest.raises(StorageError, match="failed a moment ago"):
            _ask_after_a_failure(store)

        store.close()

    def test_an_outage_costs_calls_no_attempts_to_connect(self, place: str, way: Proxy) -> None:
        shared = limiter(place, way.url, requests_per_minute=60_000)
        way.cut()
        shared.reserve().release()
        before = way.accepted

        for _ in range(50):
            shared.reserve().release()

        assert way.accepted == before


def _ask_after_a_failure(store: RedisStore) -> None:
    """Ask while all connections are in use, and let another question fail meanwhile."""
    turns = store._clients._turns
    taken = [turns.get() for _ in range(turns.qsize())]
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(store.status, "m")
        time.sleep(0.1)
        store._failures += 1
        for turn in taken:
            turns.put(turn)
        waiting.result()
