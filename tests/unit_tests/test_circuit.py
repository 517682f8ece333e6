"""Circuit breaker: when it opens, who may probe, what counts, and that nothing blocks."""

from __future__ import annotations

import asyncio
import concurrent.futures
import copy
import os
import pickle
import sys
import threading
from dataclasses import FrozenInstanceError
from typing import Any

import httpx2
import openai
import pytest
from hypothesis import given
from hypothesis import strategies as st

from langchain_tamma_openai import errors
from langchain_tamma_openai.resilience.circuit import (
    CircuitBreaker,
    CircuitEvent,
    CircuitKey,
    CircuitListener,
    CircuitState,
    server_failure,
)
from langchain_tamma_openai.resilience.circuit_state import Circuit, CircuitRules, Outcome
from langchain_tamma_openai.resilience.circuit_storage import MemoryStorage, WatchedStorage
from langchain_tamma_openai.transport.translate import translating

KEY = CircuitKey("https://api.example/v1", "gpt-6-luna")


class Clock:
    """Time that moves only when told to."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


class Diary(CircuitListener):
    """Writes down what it hears."""

    def __init__(self) -> None:
        self.events: list[CircuitEvent] = []

    def on_open(self, event: CircuitEvent) -> None:
        self.events.append(event)

    def on_half_open(self, event: CircuitEvent) -> None:
        self.events.append(event)

    def on_close(self, event: CircuitEvent) -> None:
        self.events.append(event)

    @property
    def states(self) -> list[str]:
        return [event.state.value for event in self.events]


@pytest.fixture
def clock() -> Clock:
    return Clock()


def call(breaker: CircuitBreaker, error: BaseException | None = None, key: Any = KEY) -> None:
    with breaker.guard(key):
        if error is not None:
            raise error


def call_that_succeeded(breaker: CircuitBreaker, late: BaseException) -> None:
    with breaker.guard(KEY) as guard:
        guard.succeeded()
        raise late


def fail(breaker: CircuitBreaker, times: int = 1) -> None:
    for _ in range(times):
        with pytest.raises(errors.ServerError):
            call(breaker, errors.ServerError("boom"))


def refused(breaker: CircuitBreaker) -> errors.CircuitOpenError:
    with pytest.raises(errors.CircuitOpenError) as caught:
        call(breaker)
    return caught.value


# --- opening and closing ---


def test_opens_at_the_threshold_and_names_key_and_next_probe(clock: Clock) -> None:
    breaker = CircuitBreaker(3, 60, clock=clock)
    fail(breaker, 2)
    assert breaker.state(KEY) is CircuitState.CLOSED
    fail(breaker)
    assert breaker.state(KEY) is CircuitState.OPEN
    clock.now_s += 18
    error = refused(breaker)
    assert error.retry_after_s == 42
    assert "gpt-6-luna at https://api.example/v1 is open" in error.message
    assert "last: server_error" in error.message
    assert "next probe is allowed in 42.0 s" in error.message
    assert error.user_message.endswith("Please try again in 42 seconds.")
    assert "'gpt-6-luna'" in error.user_message
    assert not error.is_retryable


def test_a_successful_probe_closes_and_the_count_starts_anew(clock: Clock) -> None:
    diary = Diary()
    breaker = CircuitBreaker(2, 10, clock=clock, listeners=[diary])
    fail(breaker, 2)
    clock.now_s += 10
    assert breaker.state(KEY) is CircuitState.HALF_OPEN
    with breaker.guard(KEY) as probe:
        assert probe.is_probe
    assert breaker.state(KEY) is CircuitState.CLOSED
    fail(breaker)
    assert breaker.state(KEY) is CircuitState.CLOSED
    assert diary.states == ["open", "half_open", "closed"]


def test_a_failed_probe_opens_for_the_whole_time_again(clock: Clock) -> None:
    breaker = CircuitBreaker(1, 10, clock=clock)
    fail(breaker)
    clock.now_s += 15
    fail(breaker)
    clock.now_s += 9
    assert refused(breaker).retry_after_s == 1


def test_failures_outside_the_window_are_forgotten(clock: Clock) -> None:
    breaker = CircuitBreaker(2, 60, 30, clock=clock)
    fail(breaker)
    clock.now_s += 30
    fail(breaker)
    assert breaker.state(KEY) is CircuitState.CLOSED
    clock.now_s += 29
    fail(breaker)
    assert breaker.state(KEY) is CircuitState.OPEN


def test_a_success_takes_one_failure_off_the_count(clock: Clock) -> None:
    breaker = CircuitBreaker(3, clock=clock)
    fail(breaker, 2)
    call(breaker)
    fail(breaker)
    assert breaker.state(KEY) is CircuitState.CLOSED
    fail(breaker)
    assert breaker.state(KEY) is CircuitState.OPEN


def test_an_outage_after_long_good_times_opens_within_the_threshold(clock: Clock) -> None:
    breaker = CircuitBreaker(5, clock=clock)
    for _ in range(10_000):
        call(breaker)
    fail(breaker, 5)
    refused(breaker)


def test_one_failure_in_five_of_a_busy_server_does_not_open(clock: Clock) -> None:
    breaker = CircuitBreaker(5, clock=clock)
    for _ in range(500):
        fail(breaker)
        for _ in range(4):
            call(breaker)
    assert breaker.state(KEY) is CircuitState.CLOSED


def test_keys_do_not_touch_each_other(clock: Clock) -> None:
    breaker = CircuitBreaker(1, clock=clock)
    fail(breaker)
    call(breaker, key=(KEY.base_url, "gpt-6-sol"))
    call(breaker, key=("https://other.example/v1", KEY.model))
    refused(breaker)


def test_the_default_base_url_and_a_slash_at_the_end_make_no_difference(clock: Clock) -> None:
    breaker = CircuitBreaker(1, clock=clock)
    with pytest.raises(errors.ServerError):
        call(breaker, errors.ServerError("x"), key=(None, "m"))
    with pytest.raises(errors.CircuitOpenError):
        call(breaker, key=("https://api.openai.com/v1/", "m"))


def test_a_password_in_the_base_url_is_not_shown(clock: Clock) -> None:
    breaker = CircuitBreaker(1, clock=clock)
    key = ("https://user:hunter2@host/v1?token=t0p", "m")
    for expected in (errors.ServerError, errors.CircuitOpenError):
        with pytest.raises(expected) as caught:
            call(breaker, errors.ServerError("x"), key=key)
    assert "hunter2" not in str(caught.value)
    assert "t0p" not in str(caught.value)


def test_reset_closes_by_hand(clock: Clock) -> None:
    breaker = CircuitBreaker(1, clock=clock)
    fail(breaker)
    breaker.reset(KEY)
    call(breaker)
    assert breaker.state(KEY) is CircuitState.CLOSED


# --- what counts ---


def from_sdk(status: int, code: str | None = None) -> BaseException:
    body = {"error": {"message": "m", "type": "t", "param": None, "code": code}}
    response = httpx2.Response(status, json=body, request=httpx2.Request("POST", "https://x"))
    client = openai.OpenAI(api_key="k")
    return client._make_status_error_from_response(response)


def through_translation(error: Exception) -> BaseException:
    with pytest.raises(Exception) as caught, translating("m"):  # noqa: PT011 - any; it is returned
        raise error
    return caught.value


REQUEST = httpx2.Request("POST", "https://x")

COUNTED = [
    errors.ServerError("x"),
    errors.ModelOverloadedError("x"),
    errors.RequestTimeoutError("x"),
    errors.ConnectionFailedError("x"),
    errors.StreamInterruptedError("cut"),
    errors.StreamStalledError("still"),
    from_sdk(500),
    from_sdk(503, "server_is_overloaded"),
    from_sdk(408),
    openai.APIConnectionError(request=REQUEST),
    httpx2.ReadTimeout("slow"),
    ConnectionResetError(),
    TimeoutError(),
]

NOT_COUNTED = [
    errors.InvalidRequestError("x", status_code=400),
    errors.AuthenticationError("x"),
    errors.RateLimitError("x"),
    errors.QuotaExceededError("x"),
    errors.ContextOverflowError("x"),
    errors.ConfigurationError("x"),
    errors.MalformedResponseError("x"),
    errors.BudgetExceededError("x"),
    errors.ModelOverloadedError("flex has no capacity", status_code=429),
    from_sdk(400),
    from_sdk(401),
    from_sdk(404),
    from_sdk(409),
    from_sdk(429, "rate_limit_exceeded"),
    from_sdk(429, "insufficient_quota"),
    httpx2.PoolTimeout("none left"),
    concurrent.futures.CancelledError(),
    ValueError("a bug of ours"),
    asyncio.CancelledError(),
    GeneratorExit(),
    KeyboardInterrupt(),
    SystemExit(),
]


@pytest.mark.parametrize("error", COUNTED, ids=repr)
def test_failures_of_the_server_count(error: BaseException) -> None:
    breaker = CircuitBreaker(1)
    with pytest.raises(type(error)):
        call(breaker, error)
    assert breaker.state(KEY) is CircuitState.OPEN


@pytest.mark.parametrize("error", NOT_COUNTED, ids=repr)
def test_other_ends_neither_open_nor_close(error: BaseException, clock: Clock) -> None:
    breaker = CircuitBreaker(1, 10, clock=clock)
    with pytest.raises(type(error)):
        call(breaker, error)
    assert breaker.state(KEY) is CircuitState.CLOSED
    fail(breaker)
    clock.now_s += 10
    with pytest.raises(type(error)):
        call(breaker, error)
    assert breaker.state(KEY) is CircuitState.HALF_OPEN
    with breaker.guard(KEY) as probe:
        assert probe.is_probe  # its place was free again at once


def test_running_out_of_own_connections_says_nothing_about_the_server() -> None:
    translated = through_translation(httpx2.PoolTimeout("none left"))
    assert isinstance(translated, errors.RequestTimeoutError)
    assert server_failure(translated) is None
    assert server_failure(through_translation(httpx2.ReadTimeout("slow"))) == "timeout"


def test_an_interruption_is_judged_by_its_cause() -> None:
    def interruption(cause: Exception) -> errors.StreamInterruptedError:
        error = errors.StreamInterruptedError("cut")
        error.__cause__ = cause
        return error

    assert server_failure(interruption(errors.ServerError("x"))) == "stream_interrupted"
    assert server_failure(interruption(ValueError("not JSON"))) == "stream_interrupted"
    assert server_failure(interruption(errors.QuotaExceededError("x"))) is None
    assert server_failure(interruption(errors.RateLimitError("x"))) is None


def test_succeeded_ends_the_matter_early(clock: Clock) -> None:
    breaker = CircuitBreaker(1, 10, clock=clock)
    fail(breaker)
    clock.now_s += 10
    for late in (GeneratorExit(), errors.ServerError("after the end")):
        with pytest.raises(type(late)):
            call_that_succeeded(breaker, late)
        assert breaker.state(KEY) is CircuitState.CLOSED


def test_succeeding_twice_counts_once(clock: Clock) -> None:
    breaker = CircuitBreaker(3, clock=clock)
    fail(breaker, 2)
    with breaker.guard(KEY) as guard:
        guard.succeeded()
        guard.succeeded()
    fail(breaker, 2)
    assert breaker.state(KEY) is CircuitState.OPEN


# --- late news ---


def test_a_call_is_judged_only_in_the_state_it_began_in(clock: Clock) -> None:
    breaker = CircuitBreaker(1, 10, clock=clock)
    slow = [breaker.guard(KEY) for _ in range(2)]
    for guard in slow:
        guard.__enter__()
    fail(breaker)
    slow[0].__exit__(None, None, None)
    assert breaker.state(KEY) is CircuitState.OPEN  # an old success does not close it
    clock.now_s += 10
    call(breaker)
    error = errors.ServerError("old")
    slow[1].__exit__(type(error), error, None)
    assert breaker.state(KEY) is CircuitState.CLOSED  # an old failure does not open it


def test_a_probe_that_vanished_gives_its_place_away(clock: Clock) -> None:
    breaker = CircuitBreaker(1, 10, probe_timeout_s=30, clock=clock)
    fail(breaker)
    clock.now_s += 10
    lost = breaker.guard(KEY)
    lost.__enter__()
    error = refused(breaker)
    assert "when one of them has ended" in error.message
    assert error.retry_after_s == 10
    clock.now_s += 29
    assert refused(breaker).retry_after_s == 1
    assert refused(breaker).user_message.endswith("in 1 second.")
    clock.now_s += 1
    with breaker.guard(KEY) as probe:
        assert probe.is_probe
        late = errors.ServerError("x")
        lost.__exit__(type(late), late, None)
        assert breaker.state(KEY) is CircuitState.HALF_OPEN
    assert breaker.state(KEY) is CircuitState.CLOSED


# --- many at once ---


@pytest.mark.parametrize("places", [1, 3])
@pytest.mark.parametrize("remote", [False, True], ids=["memory", "shared"])
async def test_exactly_so_many_probes_among_50_tasks(places: int, *, remote: bool) -> None:
    clock = Clock()
    breaker = CircuitBreaker(1, 10, half_open_max_calls=places, clock=clock)
    if remote:
        share(breaker)
    fail(breaker)
    clock.now_s += 10
    release = asyncio.Event()
    running = refusals = 0

    async def task() -> None:
        nonlocal running, refusals
        try:
            async with breaker.guard(KEY):
                running += 1
                await release.wait()
        except errors.CircuitOpenError:
            refusals += 1
            if refusals == 50 - places:
                release.set()

    await asyncio.gather(*(task() for _ in range(50)))
    assert running == places
    assert breaker.state(KEY) is CircuitState.CLOSED


@pytest.mark.parametrize("places", [1, 3])
def test_exactly_so_many_probes_among_50_threads(places: int, clock: Clock) -> None:
    breaker = CircuitBreaker(1, 10, half_open_max_calls=places, clock=clock)
    fail(breaker)
    clock.now_s += 10
    start = threading.Barrier(50)
    release = threading.Event()
    ran: list[int] = []
    refusals: list[int] = []

    def work(number: int) -> None:
        start.wait()
        try:
            with breaker.guard(KEY):
                ran.append(number)
                release.wait(10)
        except errors.CircuitOpenError:
            refusals.append(number)
            if len(refusals) == 50 - places:
                release.set()

    with concurrent.futures.ThreadPoolExecutor(50) as pool:
        list(pool.map(work, range(50)))
    assert len(ran) == places


def test_calls_run_side_by_side(clock: Clock) -> None:
    breaker = CircuitBreaker(5, clock=clock)
    fail(breaker)  # the circuit exists now, so a lock exists too
    together = threading.Barrier(8)

    def work(_: int) -> None:
        with breaker.guard(KEY):
            together.wait(10)

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
    assert breaker.state(KEY) is CircuitState.CLOSED


async def test_a_cancelled_probe_decides_nothing_and_frees_its_place(clock: Clock) -> None:
    breaker = CircuitBreaker(1, 10, clock=clock)
    fail(breaker)
    clock.now_s += 10
    entered = asyncio.Event()

    async def probe() -> None:
        async with breaker.guard(KEY):
            entered.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(probe())
    await entered.wait()
    refused(breaker)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert breaker.state(KEY) is CircuitState.HALF_OPEN
    async with breaker.guard(KEY) as guard:
        assert guard.is_probe


# --- listeners ---


class Grumpy(Diary):
    def on_open(self, event: CircuitEvent) -> None:
        super().on_open(event)
        raise RuntimeError("I do not like this")


def test_a_listener_that_raises_breaks_no_call_and_no_other_listener(
    clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    grumpy, diary = Grumpy(), Diary()
    breaker = CircuitBreaker(1, 10, clock=clock, listeners=[grumpy, diary])
    fail(breaker)
    assert diary.events == [
        CircuitEvent(KEY, CircuitState.OPEN, CircuitState.CLOSED, 1, "server_error", 10)
    ]
    assert "I do not like this" in caplog.text
    with pytest.raises(FrozenInstanceError):
        diary.events[0].failures = 2  # type: ignore[misc]


def test_a_listener_may_use_the_breaker(clock: Clock) -> None:
    seen: list[CircuitState] = []

    class Curious(CircuitListener):
        def on_open(self, event: CircuitEvent) -> None:
            seen.append(breaker.state(event.key))

    breaker = CircuitBreaker(1, 10, clock=clock, listeners=[Curious()])
    fail(breaker)
    clock.now_s += 10
    call(breaker)  # the other hooks do nothing by default
    assert seen == [CircuitState.OPEN]


# --- copies, forks, memory ---


def test_pickle_and_deepcopy_keep_the_settings_and_forget_the_state() -> None:
    breaker = CircuitBreaker(1, 7, 8, 2)
    fail(breaker)
    for twin in (pickle.loads(pickle.dumps(breaker)), copy.deepcopy(breaker)):  # noqa: S301 - our own bytes
        assert repr(twin) == repr(breaker)
        assert twin.state(KEY) is CircuitState.CLOSED
        fail(twin)
        assert twin.state(KEY) is CircuitState.OPEN


def test_repr_shows_the_settings() -> None:
    assert repr(CircuitBreaker()) == (
        "CircuitBreaker(failure_threshold=5, recovery_timeout_s=60, window_s=60, "
        "half_open_max_calls=1, storage='memory://')"
    )


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_starts_anew_even_if_the_lock_was_held(clock: Clock) -> None:
    breaker = CircuitBreaker(1, clock=clock)
    fail(breaker)
    storage = breaker._storage
    assert isinstance(storage, MemoryStorage)
    with storage._lock:
        child = os.fork()
        if child == 0:  # pragma: no cover - runs in the child
            try:
                call(breaker)
                os._exit(0)
            except BaseException:  # noqa: BLE001 - the exit code tells
                os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    refused(breaker)


def test_circuits_that_nobody_needs_are_dropped(clock: Clock) -> None:
    breaker = CircuitBreaker(5, 10, 10, probe_timeout_s=10, clock=clock)
    for number in range(1000):
        with pytest.raises(errors.ServerError):
            call(breaker, errors.ServerError("x"), key=("https://x", f"m{number}"))
        clock.now_s += 1
    storage = breaker._storage
    assert isinstance(storage, MemoryStorage)
    assert len(storage._circuits) <= 300


def test_good_calls_leave_nothing_behind() -> None:
    breaker = CircuitBreaker()
    for number in range(100):
        call(breaker, key=("https://x", f"m{number}"))
    storage = breaker._storage
    assert isinstance(storage, MemoryStorage)
    assert storage._circuits == {}


# --- shared storage, without any server ---


class Faulty:
    """A shared storage that can be lost."""

    is_remote = True

    def __init__(self, inner: MemoryStorage) -> None:
        self.inner = inner
        self.lost = False
        self.asked = 0

    def _inner(self) -> MemoryStorage:
        self.asked += 1
        if self.lost:
            raise errors.StorageError("Redis at redis://x cannot be used")
        return self.inner

    def admit(self, name: str) -> Any:
        return self._inner().admit(name)

    def settle(self, name: str, *rest: Any) -> Any:
        return self._inner().settle(name, *rest)

    def look(self, name: str) -> Any:
        return self._inner().look(name)

    def forget(self, name: str) -> None:
        self._inner().forget(name)

    def check(self) -> None:
        self._inner()


def share(breaker: CircuitBreaker, on_error: Any = "open") -> Faulty:
    rules, clock = breaker._settings.rules, breaker._settings.clock
    assert clock is not None
    faulty = Faulty(MemoryStorage(rules, clock))
    breaker._storage = WatchedStorage(faulty, MemoryStorage(rules, clock), on_error, clock)
    return faulty


def test_a_lost_storage_lets_calls_out_watched_locally(
    clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    breaker = CircuitBreaker(2, 60, clock=clock)
    faulty = share(breaker)
    faulty.lost = True
    call(breaker)
    call(breaker)
    assert faulty.asked == 1  # it is left alone for a while
    assert caplog.text.count("is lost; calls go on") == 1
    fail(breaker, 2)
    refused(breaker)
    clock.now_s += 5
    faulty.lost = False
    call(breaker)
    assert "is back" in caplog.text


def test_a_lost_storage_refuses_calls_where_that_was_chosen(
    clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    breaker = CircuitBreaker(2, clock=clock)
    faulty = share(breaker, "closed")
    faulty.lost = True
    for _ in range(2):
        with pytest.raises(errors.StorageError):
            call(breaker)
    with pytest.raises(errors.StorageError):
        breaker.state(KEY)
    with pytest.raises(errors.StorageError):
        breaker.reset(KEY)
    assert caplog.text.count("calls are refused") == 1
    faulty.lost = False
    call(breaker)


@pytest.mark.parametrize("on_error", ["open", "closed"])
def test_an_answer_is_never_lost_for_the_storages_sake(on_error: str, clock: Clock) -> None:
    breaker = CircuitBreaker(2, clock=clock)
    faulty = share(breaker, on_error)
    fail(breaker)
    with breaker.guard(KEY):
        faulty.lost = True
    faulty.lost = False
    clock.now_s += 5
    call(breaker)
    guard = breaker.guard(KEY)
    guard.__enter__()
    faulty.lost = True
    error = errors.ServerError("boom")
    guard.__exit__(type(error), error, None)  # the server's error is not replaced either


async def test_a_task_cancelled_while_it_asks_gives_the_place_back(clock: Clock) -> None:
    breaker = CircuitBreaker(1, 10, clock=clock)
    faulty = share(breaker)
    fail(breaker)
    clock.now_s += 10
    go_on = threading.Event()
    settled = threading.Event()
    admit, settle = faulty.admit, faulty.settle

    def slow_admit(name: str) -> Any:
        go_on.wait(10)
        return admit(name)

    def noted_settle(name: str, *rest: Any) -> Any:
        try:
            return settle(name, *rest)
        finally:
            settled.set()

    faulty.admit, faulty.settle = slow_admit, noted_settle  # type: ignore[method-assign]
    task = asyncio.create_task(breaker.guard(KEY).__aenter__())
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    go_on.set()
    assert await asyncio.to_thread(settled.wait, 10)
    async with breaker.guard(KEY) as guard:
        assert guard.is_probe


async def test_a_task_cancelled_while_a_lost_storage_is_asked_just_ends(clock: Clock) -> None:
    breaker = CircuitBreaker(1, 10, clock=clock)
    faulty = share(breaker, "closed")
    go_on = threading.Event()

    def slow_admit(name: str) -> Any:
        go_on.wait(10)
        raise errors.StorageError(name)

    faulty.admit = slow_admit  # type: ignore[method-assign]
    task = asyncio.create_task(breaker.guard(KEY).__aenter__())
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    go_on.set()
    await asyncio.sleep(0.05)


# --- bad settings ---


@pytest.mark.parametrize(
    ("settings", "field"),
    [
        ({"failure_threshold": 0}, "failure_threshold"),
        ({"failure_threshold": True}, "failure_threshold"),
        ({"failure_threshold": 2.5}, "failure_threshold"),
        ({"recovery_timeout_s": 0}, "recovery_timeout_s"),
        ({"recovery_timeout_s": -1}, "recovery_timeout_s"),
        ({"recovery_timeout_s": float("nan")}, "recovery_timeout_s"),
        ({"window_s": float("inf")}, "window_s"),
        ({"window_s": 10**400}, "window_s"),
        ({"window_s": "60"}, "window_s"),
        ({"half_open_max_calls": 0}, "half_open_max_calls"),
        ({"probe_timeout_s": False}, "probe_timeout_s"),
        ({"storage": "mysql://user:secret@host"}, "storage"),
        ({"storage": 7}, "storage"),
        ({"on_storage_error": "ignore"}, "on_storage_error"),
        ({"listeners": [print]}, "listeners"),
    ],
)
def test_bad_settings_are_refused_by_name(settings: dict[str, Any], field: str) -> None:
    with pytest.raises(errors.ConfigurationError) as caught:
        CircuitBreaker(**settings)
    assert caught.value.message.startswith(f"{field}: got ")
    assert "secret" not in caught.value.message


def test_redis_without_its_package_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "redis", None)
    with pytest.raises(errors.ConfigurationError, match=r"langchain-tamma-openai\[redis\]"):
        CircuitBreaker(storage="redis://localhost")


# --- the machine itself ---

STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("call"), st.sampled_from(list(Outcome))),
        st.tuples(st.just("begin"), st.just(None)),
        st.tuples(st.just("end"), st.sampled_from(list(Outcome))),
        st.tuples(st.just("wait"), st.sampled_from([1.0, 5.0, 10.0, 30.0])),
    ),
    max_size=60,
)


@given(steps=STEPS, threshold=st.integers(min_value=1, max_value=4), places=st.integers(1, 3))
def test_never_more_probes_than_places_and_never_open_early(
    steps: list[tuple[str, Any]], threshold: int, places: int
) -> None:
    circuit = Circuit(CircuitRules(threshold, 10, 20, places, 1000))
    now_s, probes, open_calls = 0.0, 0, []
    failures = 0
    for number, (kind, value) in enumerate(steps):
        if kind == "wait":
            now_s += value
        elif kind in ("call", "begin"):
            permit = circuit.admit(now_s, str(number))
            if permit.allowed and kind == "call":
                failures += value is Outcome.FAILURE
                circuit.settle(now_s, permit, value, "r")
            elif permit.allowed:
                open_calls.append(permit)
        elif open_calls:
            failures += value is Outcome.FAILURE
            circuit.settle(now_s, open_calls.pop(0), value, "r")
        state = circuit.look(now_s).state
        probes = sum(
            permit.token is not None and permit.generation == circuit.look(now_s).generation
            for permit in open_calls
        )
        assert probes <= places
        if failures < threshold:
            assert state is CircuitState.CLOSED
