"""The rate limiter as applications and models use it."""

from __future__ import annotations

import asyncio
import pickle
import random
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from langchain_core.language_models.fake_chat_models import FakeListChatModel
from langchain_core.rate_limiters import BaseRateLimiter
from virtual_time import EnforcingServer, VirtualLoop, run

from langchain_tamma_openai.errors import (
    ConfigurationError,
    InvalidParameterError,
    RateLimitError,
    RequestTooLargeError,
)
from langchain_tamma_openai.resilience.limits import OpenAIRateLimiter, Permit
from langchain_tamma_openai.resilience.limits_memory import MemoryStore
from langchain_tamma_openai.resilience.limits_meter import Limits
from langchain_tamma_openai.resilience.limits_store import TaskSignal, ThreadSignal

LEFT = {
    "x-ratelimit-limit-requests": "60",
    "x-ratelimit-remaining-requests": "58",
    "x-ratelimit-reset-requests": "2s",
}


def on(loop: VirtualLoop, **limits: float | None) -> OpenAIRateLimiter:
    """Make a limiter that keeps the time of a virtual loop."""
    store = MemoryStore(Limits(**limits), loop.time)  # type: ignore[arg-type]  # by name
    return OpenAIRateLimiter(storage=store)


class TestSettings:
    @pytest.mark.parametrize(
        "name", ["requests_per_minute", "tokens_per_minute", "max_concurrency"]
    )
    @pytest.mark.parametrize(
        "value", [0, -1, True, 1.5, float("nan"), float("inf"), "60", 10**13, [], b"1"]
    )
    def test_counts_are_whole_numbers_from_one(self, name: str, value: object) -> None:
        with pytest.raises(ConfigurationError, match=f"^{name}: got .*whole number"):
            OpenAIRateLimiter(**{name: value})  # type: ignore[arg-type]  # wrong on purpose

    @pytest.mark.parametrize("value", [-0.1, 1.1, float("nan"), True, "0.8", None])
    def test_the_threshold_is_a_share(self, value: object) -> None:
        with pytest.raises(ConfigurationError, match=r"^throttle_threshold: got .*from 0 to 1"):
            OpenAIRateLimiter(throttle_threshold=value)  # type: ignore[arg-type]  # wrong on purpose

    @pytest.mark.parametrize("value", [0, 0.0, 0.5, 1, Fraction(4, 5)])
    def test_any_share_will_do(self, value: float) -> None:
        limiter = OpenAIRateLimiter(requests_per_minute=60, throttle_threshold=value)

        assert limiter.acquire()

    @pytest.mark.parametrize("value", ["close", "", None, True])
    def test_what_to_do_without_storage_is_one_of_two(self, value: object) -> None:
        with pytest.raises(ConfigurationError, match=r"on_storage_error: .*'open' or 'closed'"):
            OpenAIRateLimiter(on_storage_error=value)  # type: ignore[arg-type]  # wrong on purpose

    @pytest.mark.parametrize("value", ["", None, 5])
    def test_the_namespace_is_not_empty(self, value: object) -> None:
        with pytest.raises(ConfigurationError, match="namespace: "):
            OpenAIRateLimiter(namespace=value)  # type: ignore[arg-type]  # wrong on purpose

    @pytest.mark.parametrize(
        "storage", ["", "memory", "memcached://host", "http://u:secret@host/0", "redis", "REDIS//"]
    )
    def test_an_unknown_storage_names_those_that_are_known(self, storage: str) -> None:
        with pytest.raises(ConfigurationError, match=r"storage: .*memory://.*redis://") as caught:
            OpenAIRateLimiter(storage=storage)

        assert "secret" not in str(caught.value)

    @pytest.mark.parametrize("url", ["redis://host:x/0", "redis://host/0?socket_timeout=soon"])
    def test_a_redis_url_that_cannot_be_read_is_refused(self, url: str) -> None:
        with pytest.raises(ConfigurationError, match=r"storage: .*cannot be read as a Redis URL"):
            OpenAIRateLimiter(storage=url)

    def test_a_missing_redis_client_names_the_extra(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "redis", None)
        monkeypatch.setitem(sys.modules, "redis.exceptions", None)

        with pytest.raises(ConfigurationError, match=r"pip install .*\[redis\]"):
            OpenAIRateLimiter(storage="redis://localhost:1/0")

    @pytest.mark.parametrize("tokens", [-1, True, 1.5, "5", None])
    def test_tokens_to_reserve_are_a_whole_number(self, tokens: object) -> None:
        with pytest.raises(InvalidParameterError, match=r"^tokens: "):
            OpenAIRateLimiter().reserve(tokens)  # type: ignore[arg-type]  # wrong on purpose

    @pytest.mark.parametrize("deadline_s", [-1, True, float("nan"), "5"])
    async def test_a_deadline_is_a_number_of_seconds(self, deadline_s: object) -> None:
        with pytest.raises(InvalidParameterError, match=r"^deadline_s: "):
            await OpenAIRateLimiter().areserve(1, deadline_s=deadline_s)  # type: ignore[arg-type]  # wrong on purpose

    def test_it_shows_its_limits_and_no_password(self) -> None:
        assert repr(OpenAIRateLimiter(60, 1000, 5)) == (
            "OpenAIRateLimiter(requests_per_minute=60, tokens_per_minute=1000, "
            "max_concurrency=5, storage='memory://')"
        )
        assert "MemoryStore" in repr(OpenAIRateLimiter(storage=MemoryStore(Limits())))

    def test_it_can_be_sent_to_another_process(self) -> None:
        limiter = OpenAIRateLimiter(60, 1000, 5, throttle_threshold=0.5, on_storage_error="closed")
        limiter.acquire()

        twin = pickle.loads(pickle.dumps(limiter))  # noqa: S301 - our own bytes

        assert repr(twin) == repr(limiter)
        assert twin.limits == limiter.limits
        assert twin.status().remaining_requests == 60

    def test_redis_is_not_loaded_for_limits_in_memory(self) -> None:
        code = (
            "import sys; from langchain_tamma_openai.resilience.limits import OpenAIRateLimiter; "
            "OpenAIRateLimiter(60).acquire(); "
            "assert not {'redis', 'openai'} & set(sys.modules), 'loaded'"
        )

        subprocess.run([sys.executable, "-c", code], check=True)  # noqa: S603 - our own code


class TestForLangChain:
    def test_any_model_takes_it(self) -> None:
        limiter = OpenAIRateLimiter(requests_per_minute=600)
        model = FakeListChatModel(responses=["a", "b"], rate_limiter=limiter)

        model.invoke("hi")
        asyncio.run(model.ainvoke("hi"))

        assert isinstance(limiter, BaseRateLimiter)
        assert limiter.status().remaining_requests == 598

    def test_without_blocking_it_says_whether_a_call_may_go(self) -> None:
        limiter = OpenAIRateLimiter(requests_per_minute=10)

        answers = [limiter.acquire(blocking=False) for _ in range(4)]

        assert answers[0]
        assert not answers[-1]
        assert limiter.status().waiting == 0

    async def test_without_blocking_neither_does_the_event_loop(self) -> None:
        limiter = OpenAIRateLimiter(requests_per_minute=10)

        answers = [await limiter.aacquire(blocking=False) for _ in range(4)]

        assert answers[0]
        assert not answers[-1]

    def test_a_run_takes_no_slot(self) -> None:
        limiter = OpenAIRateLimiter(max_concurrency=1)

        assert limiter.acquire()
        assert limiter.acquire()
        assert limiter.status().in_flight == 0

    def test_the_view_for_models_counts_no_runs_but_shares_the_rest(self) -> None:
        limiter = OpenAIRateLimiter(requests_per_minute=60)
        view = limiter.per_attempt()

        assert view.acquire()
        assert asyncio.run(view.aacquire())
        assert limiter.status().remaining_requests == 60

        view.reserve().release()
        assert isinstance(view, OpenAIRateLimiter)
        assert limiter.status().remaining_requests == 59


class TestPermit:
    def test_a_block_holds_a_slot(self) -> None:
        limiter = OpenAIRateLimiter(max_concurrency=1)

        with limiter.reserve(10, "m") as permit:
            assert (permit.key, permit.tokens) == ("m", 10)
            assert limiter.status("m").in_flight == 1

        assert limiter.status("m").in_flight == 0

    async def test_a_block_in_an_event_loop_holds_a_slot(self) -> None:
        limiter = OpenAIRateLimiter(max_concurrency=1)

        async with await limiter.areserve(10, "m"):
            assert (await limiter.astatus("m")).in_flight == 1

        assert (await limiter.astatus("m")).in_flight == 0

    def test_a_block_that_fails_frees_its_slot(self) -> None:
        limiter = OpenAIRateLimiter(max_concurrency=1)

        with pytest.raises(KeyError), limiter.reserve():
            raise KeyError

        assert limiter.status().in_flight == 0

    @pytest.mark.parametrize(
        ("actual", "remaining"), [(400, 59_600), (1600, 58_400), (None, 59_000)]
    )
    def test_real_usage_replaces_the_estimate(self, actual: int | None, remaining: int) -> None:
        limiter = OpenAIRateLimiter(tokens_per_minute=60_000)
        with limiter.reserve(1000) as permit:
            permit.settle(actual)
            permit.settle(actual)

        status = limiter.status()

        assert status.remaining_tokens is not None
        assert remaining <= status.remaining_tokens < remaining + 500

    async def test_real_usage_replaces_the_estimate_in_an_event_loop(self) -> None:
        limiter = OpenAIRateLimiter(tokens_per_minute=60)
        async with await limiter.areserve(30) as permit:
            await permit.asettle(30)
            await permit.asettle(50)  # settled already

        assert (await limiter.astatus()).remaining_tokens == 30

    def test_a_request_never_sent_gives_everything_back(self) -> None:
        limiter = OpenAIRateLimiter(60, 60_000, 1)
        permit = limiter.reserve(1000)

        permit.cancel()
        permit.cancel()
        permit.release()
        permit.settle(9000)

        status = limiter.status()
        assert (status.remaining_requests, status.remaining_tokens) == (60, 60_000)
        assert status.in_flight == 0

    async def test_a_request_never_sent_gives_everything_back_in_an_event_loop(self) -> None:
        limiter = OpenAIRateLimiter(60)
        permit = await limiter.areserve()

        await permit.acancel()
        await permit.arelease()
        await permit.acancel()

        assert (await limiter.astatus()).remaining_requests == 60

    @pytest.mark.parametrize("colour", ["sync", "async"])
    def test_headers_teach_the_true_limit(self, colour: str) -> None:
        limiter = OpenAIRateLimiter(600)
        permit = limiter.reserve(key="m")

        info = permit.observe(LEFT) if colour == "sync" else asyncio.run(permit.aobserve(LEFT))

        assert info.limit_requests == 60
        assert limiter.status("m").limit_requests == 60
        assert limiter.status("m").remaining_requests == 58
        assert limiter.status("other").limit_requests == 600

    def test_headers_without_a_permit_teach_too(self) -> None:
        limiter = OpenAIRateLimiter()

        assert limiter.observe(LEFT, "m").remaining_requests == 58
        asyncio.run(limiter.aobserve({"retry-after": "30"}, "m", 429))

        status = limiter.status("m")
        assert status.limit_requests == 60
        assert status.retry_after_s == pytest.approx(30, abs=1)

    def test_forgotten_permits_stay_counted_and_free_their_slots(self) -> None:
        limits = Limits(requests=600, concurrency=2, threshold=1.0)
        limiter = OpenAIRateLimiter(storage=MemoryStore(limits, lambda: 0.0))
        for _ in range(6):
            limiter.reserve()

        status = limiter.status()
        assert (status.remaining_requests, status.in_flight) == (594, 0)


class TestWaiting:
    def test_too_large_is_said_at_once(self) -> None:
        limiter = OpenAIRateLimiter(tokens_per_minute=1000)

        with pytest.raises(RequestTooLargeError):
            limiter.reserve(1001)
        with pytest.raises(RequestTooLargeError):
            asyncio.run(limiter.areserve(1001))

        assert limiter.status().waiting == 0

    def test_a_deadline_ends_the_wait(self) -> None:
        limiter = OpenAIRateLimiter(max_concurrency=1)
        _held = limiter.reserve()

        with pytest.raises(RateLimitError, match=r"deadline of 0\.01 s") as caught:
            limiter.reserve(deadline_s=0.01)

        assert caught.value.code == "rate_limiter_deadline"
        assert limiter.status().waiting == 0

    async def test_a_deadline_ends_the_wait_in_an_event_loop(self) -> None:
        limiter = OpenAIRateLimiter(max_concurrency=1)
        _held = await limiter.areserve()

        with pytest.raises(RateLimitError, match="deadline of 0 s"):
            await limiter.areserve(deadline_s=0)

        assert limiter.status().waiting == 0

    def test_a_freed_slot_wakes_who_waits(self) -> None:
        limiter = OpenAIRateLimiter(max_concurrency=1)
        first = limiter.reserve()
        with ThreadPoolExecutor(1) as pool:
            second = pool.submit(limiter.reserve, deadline_s=30)
            _until(lambda: limiter.status().waiting == 1)

            first.release()

            assert second.result().waited_s > 0

    def test_an_interrupted_thread_leaves_the_line(self, monkeypatch: pytest.MonkeyPatch) -> None:
        limiter = OpenAIRateLimiter(max_concurrency=1)
        _held = limiter.reserve()

        def interrupted(_signal: ThreadSignal, _seconds: float) -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr(ThreadSignal, "pause", interrupted)
        with pytest.raises(KeyboardInterrupt):
            limiter.reserve()

        assert limiter.status().waiting == 0

    async def test_a_cancelled_task_leaves_the_line(self) -> None:
        limiter = OpenAIRateLimiter(max_concurrency=1)
        held = await limiter.areserve()
        tasks = [asyncio.create_task(limiter.areserve()) for _ in range(3)]
        await asyncio.sleep(0)

        tasks[0].cancel()
        await asyncio.gather(tasks[0], return_exceptions=True)
        held.release()

        permit = await tasks[1]
        assert limiter.status().waiting == 1
        permit.release()
        (await tasks[2]).release()
        assert limiter.status().in_flight == 0

    async def test_no_task_is_left_behind(self) -> None:
        limiter = OpenAIRateLimiter(requests_per_minute=60_000)
        threads = threading.active_count()

        await asyncio.gather(*(limiter.areserve() for _ in range(100)))

        assert len(asyncio.all_tasks()) == 1
        assert threading.active_count() == threads


def _until(holds: Callable[[], bool]) -> None:
    for _ in range(10_000):
        if holds():
            return
        threading.Event().wait(0.001)
    raise AssertionError(holds)


class TestManyAtOnce:
    def test_threads_and_event_loops_share_one_limiter(self) -> None:
        limiter = OpenAIRateLimiter(max_concurrency=3)
        most, lock, running = 0, threading.Lock(), 0

        def begin() -> None:
            nonlocal most, running
            with lock:
                running += 1
                most = max(most, running)

        def end() -> None:
            nonlocal running
            with lock:
                running -= 1

        def work() -> None:
            for _ in range(20):
                with limiter.reserve(deadline_s=60):
                    begin()
                    end()

        async def awork() -> None:
            async def once() -> None:
                async with await limiter.areserve(deadline_s=60):
                    begin()
                    await asyncio.sleep(0)
                    end()

            await asyncio.gather(*(once() for _ in range(50)))

        with ThreadPoolExecutor(8) as pool:
            jobs = [pool.submit(work) for _ in range(5)]
            jobs += [pool.submit(asyncio.run, awork()) for _ in range(3)]
            for job in jobs:
                job.result()

        status = limiter.status()
        assert most <= 3
        assert (status.waiting, status.in_flight) == (0, 0)

    @pytest.mark.parametrize("seed", range(5))
    def test_a_storm_of_cancellations_leaves_nothing(self, seed: int) -> None:
        rng = random.Random(seed)  # noqa: S311 - no secret
        loop = VirtualLoop()
        limiter = on(loop, requests=6000, tokens=600_000, concurrency=4)
        done = 0

        async def work() -> None:
            nonlocal done
            async with await limiter.areserve(rng.randint(0, 5000), "m"):
                await asyncio.sleep(rng.uniform(0.0, 0.5))
                done += 1

        async def storm() -> None:
            tasks = [asyncio.create_task(work()) for _ in range(300)]
            for task in rng.sample(tasks, 200):
                await asyncio.sleep(rng.uniform(0.0, 0.05))
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

        run(loop, storm())

        status = limiter.status("m")
        assert done >= 100
        assert (status.waiting, status.in_flight) == (0, 0)

    def test_a_loop_that_stands_still_blocks_nobody(self) -> None:
        limiter = OpenAIRateLimiter(max_concurrency=1)
        held = limiter.reserve()
        loop = asyncio.new_event_loop()
        still = loop.create_task(limiter.areserve())
        loop.run_until_complete(asyncio.sleep(0))
        with ThreadPoolExecutor(1) as pool:
            other = pool.submit(limiter.reserve, deadline_s=30)
            _until(lambda: limiter.status().waiting == 2)

            held.release()  # lets the task through, though it does not run now
            loop.run_until_complete(still).release()

            other.result().release()
        loop.close()
        assert limiter.status().in_flight == 0

    def test_a_closed_loop_blocks_nobody(self) -> None:
        limiter = OpenAIRateLimiter(max_concurrency=1)
        held = limiter.reserve()
        loop = asyncio.new_event_loop()
        waiting = limiter.areserve()
        loop.call_soon(loop.stop)
        task = loop.create_task(waiting)
        loop.run_forever()
        task._log_destroy_pending = False  # type: ignore[attr-defined]  # on purpose
        loop.close()

        held.release()

        limiter.reserve(deadline_s=5).release()
        del task

    async def test_waking_a_closed_loop_is_harmless(self) -> None:
        signal = TaskSignal()
        closed = asyncio.new_event_loop()
        closed.close()
        signal._loop = closed

        signal.wake()

        assert not signal.alive


class Traffic:
    """Requests of random size and travel time, sent to a server that enforces limits."""

    def __init__(
        self, server: EnforcingServer, rng: random.Random, *, configured: bool = True
    ) -> None:
        self.server = server
        self.rng = rng
        self.loop = VirtualLoop()
        rpm, tpm = server.limits
        limits = {"requests": rpm, "tokens": tpm} if configured else {}
        self.limiter = on(self.loop, **limits)
        self.largest = max(2, min(tpm // 10, max(200, 4 * tpm // rpm)))

    async def once(self) -> None:
        tokens = self.rng.randint(1, self.largest)
        async with await self.limiter.areserve(tokens, "m") as permit:
            await asyncio.sleep(self.rng.uniform(0.0, 0.5))
            status = self.server.admit(tokens, self.loop.time())
            headers = self.server.headers()
            await asyncio.sleep(self.rng.uniform(0.0, 1.0))
            await permit.aobserve(headers, status)

    async def work(self, until_s: float) -> None:
        while self.loop.time() < until_s:
            await self.once()

    async def flow(self, workers: int, until_s: float) -> None:
        await self.once()
        await asyncio.gather(*(self.work(until_s) for _ in range(workers)))


SERVERS = st.one_of(
    st.builds(
        EnforcingServer,
        st.integers(20, 3000),
        st.integers(1000, 200_000),
        share=st.floats(0.2, 1.0),
    ),
    st.builds(
        EnforcingServer,
        st.integers(20, 3000),
        st.integers(1000, 200_000),
        tells=st.just(False),  # noqa: FBT003 - a value
    ),
)


@given(
    server=SERVERS,
    workers=st.integers(1, 40),
    configured=st.booleans(),
    seed=st.integers(0, 1000),
)
@settings(max_examples=10, deadline=None)
def test_a_server_that_enforces_limits_never_refuses(
    *, server: EnforcingServer, workers: int, configured: bool, seed: int
) -> None:
    """Whatever the limits and the sizes, and whatever was left at the start if the server tells."""
    rng = random.Random(seed)  # noqa: S311 - no secret
    traffic = Traffic(server, rng, configured=configured or not server.tells)

    run(traffic.loop, traffic.flow(workers, 60.0))

    assert server.served >= workers
    assert server.refused == 0


@pytest.mark.parametrize("tells", [True, False], ids=["headers", "no headers"])
@pytest.mark.parametrize(
    ("rpm", "tpm", "seconds"),
    [(600, 30_000, 10), (60, 60_000, 60), (5_000, 20_000, 10), (3, 40_000, 120)],
)
def test_nine_tenths_of_what_is_allowed_are_used(
    *, rpm: int, tpm: int, tells: bool, seconds: float
) -> None:
    server = EnforcingServer(rpm, tpm, tells=tells)
    traffic = Traffic(server, random.Random(rpm))  # noqa: S311 - no secret

    run(traffic.loop, traffic.flow(30, seconds))

    assert server.refused == 0
    assert server.use(seconds) >= 0.9


def test_permits_are_public() -> None:
    assert isinstance(OpenAIRateLimiter().reserve(), Permit)
