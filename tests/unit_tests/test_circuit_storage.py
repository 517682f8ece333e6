"""Where circuits live: copies, forks, memory that stays small, a shared storage that is lost."""

from __future__ import annotations

import asyncio
import copy
import os
import pickle
import sys
import threading
from typing import Any

import pytest
from circuits import KEY, Clock, call, fail, refused, share

from langchain_tamma_openai import errors
from langchain_tamma_openai.resilience.circuit import CircuitBreaker, CircuitState
from langchain_tamma_openai.resilience.circuit_storage import MemoryStorage


@pytest.fixture
def clock() -> Clock:
    return Clock()


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
