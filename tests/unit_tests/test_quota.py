"""A dry account: remembered, said clearly, tried again by one call, waited for where asked."""

from __future__ import annotations

import asyncio
import concurrent.futures
import pickle
import threading
from typing import Any

import httpx2
import openai
import pytest
from pydantic import SecretStr

from langchain_tamma_openai import errors
from langchain_tamma_openai.resilience.quota import QuotaInfo, QuotaKey, QuotaMemory, quota_code

KEY = QuotaKey.of("sk-proj-secret-0123456789", "https://api.example/v1/")


class Clock:
    """Time that moves only when told to."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def dry(code: str = "credit_balance_exhausted") -> errors.QuotaExceededError:
    return errors.QuotaExceededError("You ran out", code=code)


def call(memory: QuotaMemory, error: BaseException | None = None, key: QuotaKey = KEY) -> None:
    with memory.guard(key):
        if error is not None:
            raise error


def run_dry(
    memory: QuotaMemory, key: QuotaKey = KEY, code: str = "credit_balance_exhausted"
) -> None:
    with pytest.raises(errors.QuotaExceededError):
        call(memory, dry(code), key)


def refused(memory: QuotaMemory) -> errors.QuotaExceededError:
    with pytest.raises(errors.QuotaExceededError, match="nothing was sent") as caught:
        call(memory)
    return caught.value


def test_calls_of_a_dry_account_fail_at_once_with_advice() -> None:
    clock = Clock()
    memory = QuotaMemory(300, clock=clock)
    run_dry(memory)
    clock.now_s = 100
    error = refused(memory)
    assert error.code == "credit_balance_exhausted"
    assert error.retry_after_s == 200
    assert not error.is_retryable
    assert "goes through in 200 s" in error.message
    assert "add credit" in error.user_message
    assert KEY.api_key_hash in error.message
    assert "secret" not in str(error)


@pytest.mark.parametrize(
    ("code", "advice"),
    [
        ("insufficient_quota", "run out of credit"),
        ("credit_balance_exhausted", "run out of credit"),
        ("organization_spend_limit_exceeded", "organization has reached its spending limit"),
        ("project_spend_limit_exceeded", "project has reached its spending limit"),
        ("organization_usage_limit_exceeded", "usage limit"),
        ("billing_hard_limit_reached", "hard limit"),
        ("billing_not_active", "Billing is not active"),
    ],
)
def test_every_billing_code_is_detected_on_the_wire_and_explained(code: str, advice: str) -> None:
    body = {"error": {"message": "m", "type": "insufficient_quota", "param": None, "code": code}}
    response = httpx2.Response(429, json=body, request=httpx2.Request("POST", "https://x"))
    error = openai.OpenAI(api_key="k")._make_status_error_from_response(response)
    memory = QuotaMemory()
    with pytest.raises(openai.RateLimitError):
        call(memory, error)
    assert advice in refused(memory).user_message
    info = memory.info(KEY)
    assert info is not None
    assert info.code == code


def test_info_says_what_is_remembered() -> None:
    clock = Clock()
    memory = QuotaMemory(300, clock=clock)
    assert memory.info(KEY) is None
    run_dry(memory, code="billing_not_active")
    info = memory.info(KEY)
    assert info == QuotaInfo(KEY, "billing_not_active", 300, probing=False, advice=info.advice)  # type: ignore[union-attr]
    clock.now_s = 300
    with memory.guard(KEY):
        found = memory.info(KEY)
        assert found is not None
        assert found.probing
    assert memory.info(KEY) is None


def test_after_the_time_one_call_finds_out() -> None:
    clock = Clock()
    memory = QuotaMemory(300, clock=clock)
    run_dry(memory)
    clock.now_s = 300
    probe = memory.guard(KEY)
    probe.__enter__()
    assert "finding out" in refused(memory).message
    error = dry()
    probe.__exit__(type(error), error, None)
    assert refused(memory).retry_after_s == 300
    clock.now_s = 600
    call(memory)
    call(memory)
    assert memory.info(KEY) is None


@pytest.mark.parametrize("error", [asyncio.CancelledError(), errors.ServerError("x")], ids=repr)
def test_a_try_that_ends_otherwise_leaves_it_to_the_next_call(error: BaseException) -> None:
    clock = Clock()
    memory = QuotaMemory(300, clock=clock)
    run_dry(memory)
    clock.now_s = 300
    with pytest.raises(type(error)):
        call(memory, error)
    with memory.guard(KEY) as guard:
        assert guard.is_probe


def test_cleared_by_hand() -> None:
    memory = QuotaMemory()
    run_dry(memory)
    memory.clear(KEY)
    call(memory)


@pytest.mark.parametrize(
    "error",
    [
        errors.RateLimitError("slow", code="rate_limit_exceeded"),
        errors.ServerError("x"),
        errors.RequestTooLargeError("x"),
        KeyboardInterrupt(),
    ],
    ids=repr,
)
def test_other_errors_are_not_remembered(error: BaseException) -> None:
    memory = QuotaMemory()
    with pytest.raises(type(error)):
        call(memory, error)
    call(memory)


def test_a_quota_error_inside_a_stream_is_remembered() -> None:
    error = errors.StreamInterruptedError("cut")
    error.__cause__ = dry("project_spend_limit_exceeded")
    assert quota_code(error) == "project_spend_limit_exceeded"
    assert quota_code(errors.QuotaExceededError("x")) == "insufficient_quota"


def test_accounts_do_not_touch_each_other() -> None:
    memory = QuotaMemory()
    run_dry(memory)
    call(memory, key=QuotaKey.of("another-key", KEY.base_url))
    call(memory, key=QuotaKey(KEY.api_key_hash))
    same = QuotaKey.of(SecretStr("sk-proj-secret-0123456789"), "https://api.example/v1")
    with pytest.raises(errors.QuotaExceededError):
        call(memory, key=same)


def test_pickle_keeps_the_settings_and_forgets_the_rest() -> None:
    memory = QuotaMemory(7)
    run_dry(memory)
    twin = pickle.loads(pickle.dumps(memory))  # noqa: S301 - our own bytes
    call(twin)
    run_dry(twin)
    info = twin.info(KEY)
    assert info is not None
    assert info.retry_after_s == pytest.approx(7, abs=1)


# --- waiting ---


def test_waits_until_the_account_is_tried_again() -> None:
    memory = QuotaMemory(0.05, wait=True)
    run_dry(memory)
    with memory.guard(KEY) as guard:
        assert guard.is_probe


async def test_waits_without_holding_up_the_loop() -> None:
    memory = QuotaMemory(0.05, wait=True)
    run_dry(memory)

    async def one() -> None:
        async with memory.guard(KEY):
            await asyncio.sleep(0.01)

    await asyncio.wait_for(asyncio.gather(*(one() for _ in range(20))), 10)
    assert memory.info(KEY) is None


@pytest.mark.parametrize("colour", ["sync", "async"])
def test_does_not_wait_longer_than_allowed(colour: str) -> None:
    memory = QuotaMemory(60, wait=True, max_wait_s=0.03)
    run_dry(memory)
    with pytest.raises(errors.QuotaExceededError, match="nothing was sent"):
        enter(memory, colour)


def enter(memory: QuotaMemory, colour: str) -> None:
    async def acall() -> None:
        async with memory.guard(KEY):
            pass

    if colour == "async":
        asyncio.run(acall())
    else:
        call(memory)


@pytest.mark.parametrize("colour", ["sync", "async"])
def test_a_wait_can_be_called_off(colour: str) -> None:
    memory = QuotaMemory(60, wait=True)
    run_dry(memory)
    asked = threading.Event()
    admit = memory._storage.admit

    def noted(name: str) -> Any:
        asked.set()
        return admit(name)

    memory._storage.admit = noted  # type: ignore[method-assign]
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(enter, memory, colour)
        assert asked.wait(10)
        memory.cancel_waiting()
        with pytest.raises(errors.QuotaExceededError):
            waiting.result(10)


async def test_a_waiting_task_can_be_cancelled() -> None:
    memory = QuotaMemory(60, wait=True)
    run_dry(memory)
    task = asyncio.create_task(memory.guard(KEY).__aenter__())
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


def test_a_waiting_call_notices_that_somebody_paid() -> None:
    memory = QuotaMemory(3600, wait=True)
    run_dry(memory)
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(enter, memory, "sync")
        memory.clear(KEY)
        waiting.result(10)


@pytest.mark.parametrize(
    ("settings", "field"),
    [
        ({"remember_s": 0}, "remember_s"),
        ({"remember_s": None}, "remember_s"),
        ({"wait": "yes"}, "wait"),
        ({"max_wait_s": -1}, "max_wait_s"),
        ({"probe_timeout_s": 0}, "probe_timeout_s"),
        ({"storage": "file:///x"}, "storage"),
    ],
)
def test_bad_settings_are_refused_by_name(settings: dict[str, Any], field: str) -> None:
    with pytest.raises(errors.ConfigurationError, match=f"^{field}: got "):
        QuotaMemory(**settings)
