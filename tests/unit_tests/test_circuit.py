"""Circuit breaker: when it opens, who may probe, what counts, and that nothing blocks."""

from __future__ import annotations

import asyncio
import concurrent.futures
import threading
from dataclasses import FrozenInstanceError
from typing import Any

import httpx2
import openai
import pytest
from circuits import KEY, Clock, call, call_that_succeeded, fail, refused, share
from hypothesis import given
from hypothesis import strategies as st

from langchain_tamma_openai import errors
from langchain_tamma_openai.resilience.circuit import (
    CircuitBreaker,
    CircuitEvent,
    CircuitListener,
    CircuitState,
    server_failure,
)
from langchain_tamma_openai.resilience.circuit_state import Circuit, CircuitRules, Outcome
from langchain_tamma_openai.transport.translate import translating


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
