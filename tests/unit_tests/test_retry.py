"""Retries: when, how often, how long between; sync and async are asked the same questions."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import pickle
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import httpx2
import openai
import pytest
from hypothesis import given
from hypothesis import strategies as st

from langchain_tamma_openai import errors
from langchain_tamma_openai.resilience import retry as retry_module
from langchain_tamma_openai.resilience.retry import (
    RetryEvent,
    RetryPolicy,
    arun_with_retries,
    no_waiting,
    run_with_retries,
)
from langchain_tamma_openai.transport.translate import translating

STEADY = RetryPolicy(max_attempts=4, base_delay_s=0.5, jitter=False)
Run = Callable[..., str]


class Script:
    """Fails with each error in turn, then answers."""

    def __init__(self, *failures: BaseException) -> None:
        self.failures = list(failures)
        self.calls = 0

    def __call__(self) -> str:
        self.calls += 1
        if self.failures:
            raise self.failures.pop(0)
        return "done"

    async def acall(self) -> str:
        return self()


def run_sync(policy: RetryPolicy, script: Script, on_retry: Any = None) -> str:
    return run_with_retries(policy, script, on_retry)


def run_async(policy: RetryPolicy, script: Script, on_retry: Any = None) -> str:
    return asyncio.run(arun_with_retries(policy, script.acall, on_retry))


both = pytest.mark.parametrize("run", [run_sync, run_async], ids=["sync", "async"])


@pytest.fixture(autouse=True)
def _no_waiting() -> Iterator[None]:
    with no_waiting():
        yield


def failures(count: int, **details: Any) -> list[errors.ServerError]:
    return [errors.ServerError(f"failure {n + 1}", **details) for n in range(count)]


@both
def test_a_passing_failure_is_repeated_until_it_passes(run: Run) -> None:
    script = Script(*failures(2))
    assert run(RetryPolicy(), script) == "done"
    assert script.calls == 3


@both
@pytest.mark.parametrize("attempts", [1, 2, 5])
def test_attempts_never_exceed_the_policy_and_the_last_error_is_raised(
    run: Run, attempts: int
) -> None:
    all_failures = failures(9)
    script = Script(*all_failures)
    with pytest.raises(errors.ServerError) as caught:
        run(RetryPolicy(max_attempts=attempts), script)
    assert script.calls == attempts
    assert caught.value is all_failures[attempts - 1]


@both
@pytest.mark.parametrize(
    "failure",
    [
        errors.QuotaExceededError("dry"),
        errors.RequestTooLargeError("huge"),
        errors.InvalidRequestError("no"),
        errors.RateLimitError("not this time", retryable=False),
        ValueError("a bug"),
    ],
    ids=lambda failure: type(failure).__name__,
)
def test_what_does_not_pass_is_raised_at_once_and_untouched(run: Run, failure: Exception) -> None:
    script = Script(failure)
    with pytest.raises(type(failure)) as caught:
        run(RetryPolicy(), script)
    assert caught.value is failure
    assert script.calls == 1
    assert not hasattr(failure, "__notes__")


@both
@pytest.mark.parametrize("before", [[], failures(1)], ids=["first", "second"])
@pytest.mark.parametrize(
    "stop", [KeyboardInterrupt, SystemExit, asyncio.CancelledError], ids=lambda cls: cls.__name__
)
def test_a_cancellation_ends_everything(
    run: Run, stop: type[BaseException], before: list[Exception]
) -> None:
    script = Script(*before, stop())
    with pytest.raises(stop):
        run(RetryPolicy(max_attempts=9), script)
    assert script.calls == len(before) + 1


@both
def test_delays_grow_up_to_the_cap(run: Run) -> None:
    events: list[RetryEvent] = []
    policy = RetryPolicy(max_attempts=6, base_delay_s=1, max_delay_s=5, jitter=False)
    all_failures = failures(5)
    assert run(policy, Script(*all_failures), events.append) == "done"
    assert [event.delay_s for event in events] == [1.0, 2.0, 4.0, 5.0, 5.0]
    assert [event.attempt for event in events] == [1, 2, 3, 4, 5]
    assert [event.error for event in events] == all_failures
    assert all(event.elapsed_s >= 0 for event in events)
    assert all(event.retry_state is not None for event in events)


@both
def test_the_servers_wait_is_kept_exactly_even_beyond_the_cap(run: Run) -> None:
    events: list[RetryEvent] = []
    script = Script(*failures(1, retry_after_s=45.0), *failures(1))
    run(STEADY, script, events.append)
    assert [event.delay_s for event in events] == [45.0, 1.0]


@both
@pytest.mark.parametrize("before", [0, 1])
def test_an_absurd_wait_is_refused_and_the_error_says_when_to_come_back(
    run: Run, before: int
) -> None:
    script = Script(*failures(before), *failures(1, retry_after_s=3600.0))
    with pytest.raises(errors.ServerError) as caught:
        run(RetryPolicy(), script)
    assert script.calls == before + 1
    assert caught.value.__notes__ == ["The server asks to wait 3600 s; come back then."]


@both
def test_no_attempt_begins_after_the_deadline(run: Run) -> None:
    script = Script(*failures(9))
    policy = RetryPolicy(max_attempts=9, base_delay_s=1, jitter=False, max_elapsed_s=3.5)
    with pytest.raises(errors.ServerError) as caught:
        run(policy, script)
    assert script.calls == 3
    assert caught.value.__notes__ == ["Not tried again: 4 s more would pass the 3.5 s limit."]


@both
def test_a_note_is_made_once_on_an_error_that_comes_twice(run: Run) -> None:
    failure = errors.ServerError("again", retry_after_s=600.0)
    for _ in range(2):
        with pytest.raises(errors.ServerError):
            run(RetryPolicy(), Script(failure))
    assert len(failure.__notes__) == 1


@both
def test_errors_of_the_sdk_are_understood_without_translation(run: Run) -> None:
    request = httpx2.Request("POST", "https://x.test")
    response = httpx2.Response(429, headers={"retry-after-ms": "250"}, request=request)
    events: list[RetryEvent] = []
    run(STEADY, Script(openai.RateLimitError("slow", response=response, body=None)), events.append)
    assert [event.delay_s for event in events] == [0.25]


def test_an_awaitable_callback_is_awaited() -> None:
    seen: list[int] = []

    async def on_retry(event: RetryEvent) -> None:
        await asyncio.sleep(0)
        seen.append(event.attempt)

    assert run_async(STEADY, Script(*failures(2)), on_retry) == "done"
    assert seen == [1, 2]


@both
def test_a_callback_that_fails_ends_the_call(run: Run) -> None:
    def on_retry(_: RetryEvent) -> None:
        reason = "the callback's own bug"
        raise LookupError(reason)

    with pytest.raises(LookupError):
        run(STEADY, Script(*failures(2)), on_retry)


def test_a_call_cancelled_while_it_waits_stops_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retry_module._Waiting, "suspended", 0)
    script = Script(*failures(1, retry_after_s=100.0))

    async def main() -> None:
        waiting = asyncio.Event()
        retried = arun_with_retries(STEADY, script.acall, lambda _: waiting.set())
        task = asyncio.create_task(retried)
        await waiting.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert script.calls == 1


@both
def test_without_the_switch_a_retry_waits_at_least_as_long_as_told(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retry_module._Waiting, "suspended", 0)
    started_s = time.monotonic()
    assert run(STEADY, Script(*failures(1, retry_after_s=0.05))) == "done"
    assert time.monotonic() - started_s >= 0.05


def test_the_switch_restores_itself_even_when_the_block_fails() -> None:
    before = retry_module._Waiting.suspended
    with contextlib.suppress(LookupError), no_waiting(), no_waiting():
        assert retry_module._Waiting.suspended == before + 2
        raise LookupError
    assert retry_module._Waiting.suspended == before


@given(st.integers(1, 10_000), st.floats(0, 100), st.floats(1, 1e6))
def test_jitter_stays_between_zero_and_the_computed_delay(
    failed: int, base_s: float, multiplier: float
) -> None:
    policy = RetryPolicy(base_delay_s=base_s, max_delay_s=100, multiplier=multiplier)
    steady = dataclasses.replace(policy, jitter=False)
    assert 0 <= policy.backoff_s(failed) <= steady.backoff_s(failed) <= 100


def test_jitter_is_full() -> None:
    policy = RetryPolicy(base_delay_s=1.0)
    drawn = [policy.backoff_s(1) for _ in range(500)]
    assert min(drawn) < 0.1
    assert max(drawn) > 0.9
    assert len(set(drawn)) > 400


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *(("max_attempts", value) for value in (0, -1, True, 1.5, "3", None)),
        *(
            (field, value)
            for field in ("base_delay_s", "max_delay_s", "multiplier", "max_elapsed_s")
            for value in (-1, float("nan"), float("inf"), True, "1", 10**400)
        ),
        ("base_delay_s", None),
        ("base_delay_s", 1e9),
        ("max_delay_s", 0.1),
        ("multiplier", 0.5),
        ("max_elapsed_s", 0),
        ("jitter", 1),
        ("jitter", None),
    ],
)
def test_a_policy_that_cannot_be_meant_is_refused(field: str, value: Any) -> None:
    with pytest.raises(errors.ConfigurationError) as caught:
        RetryPolicy(**{field: value})
    assert isinstance(caught.value, ValueError)
    assert caught.value.param == field
    assert str(caught.value).startswith(f"{field}: got ")


def test_the_edges_of_a_policy_are_allowed() -> None:
    policy = RetryPolicy(1, 0, 0, 1, jitter=False, max_elapsed_s=0.001)
    assert policy.backoff_s(1) == 0
    assert RetryPolicy(max_attempts=10**6).backoff_s(10**6) <= 8.0


@pytest.mark.parametrize("retries", [0, 2, 10])
def test_max_retries_means_what_it_means_in_the_sdk(retries: int) -> None:
    assert RetryPolicy.from_max_retries(retries) == RetryPolicy(max_attempts=retries + 1)


@pytest.mark.parametrize("retries", [-1, True, 1.0, "2", None])
def test_a_max_retries_that_cannot_be_meant_is_refused(retries: Any) -> None:
    with pytest.raises(errors.ConfigurationError, match="max_retries: got"):
        RetryPolicy.from_max_retries(retries)


def test_a_policy_is_a_value() -> None:
    policy = RetryPolicy(max_attempts=5)
    assert pickle.loads(pickle.dumps(policy)) == policy  # noqa: S301 - our own bytes
    assert hash(policy) == hash(RetryPolicy(max_attempts=5))
    with pytest.raises(dataclasses.FrozenInstanceError):
        policy.max_attempts = 2  # type: ignore[misc]


def test_a_call_that_succeeds_loads_neither_tenacity_nor_the_sdk() -> None:
    program = (
        "import sys\n"
        "from langchain_tamma_openai.resilience.retry import RetryPolicy, run_with_retries\n"
        "from langchain_tamma_openai.transport.translate import translating\n"
        "with translating('m'):\n"
        "    assert run_with_retries(RetryPolicy(), lambda: 1) == 1\n"
        "heavy = {'tenacity', 'openai', 'httpx', 'httpx2', 'langchain_core', 'pydantic'}\n"
        "sys.exit(', '.join(heavy & set(sys.modules)) or 0)\n"
    )
    result = subprocess.run(  # noqa: S603 - a fixed program
        [sys.executable, "-c", program], check=False, capture_output=True, text=True
    )
    assert (result.returncode, result.stderr) == (0, "")


Answer = Callable[[Any], httpx2.Response]


def _sequence(*responses: httpx2.Response) -> tuple[Answer, list[Any]]:
    seen: list[Any] = []

    def answer(request: Any) -> httpx2.Response:
        seen.append(request)
        return responses[len(seen) - 1]

    return answer, seen


def _call(answer: Answer) -> Callable[[], str]:
    client = openai.OpenAI(
        api_key="sk-test-000000",
        max_retries=0,
        http_client=httpx2.Client(transport=httpx2.MockTransport(answer)),
    )

    def attempt() -> str:
        with translating("gpt-6-luna"):
            return client.models.retrieve("gpt-6-luna").id

    return attempt


def _acall(answer: Answer) -> Callable[[], Awaitable[str]]:
    client = openai.AsyncOpenAI(
        api_key="sk-test-000000",
        max_retries=0,
        http_client=httpx2.AsyncClient(transport=httpx2.MockTransport(answer)),
    )

    async def attempt() -> str:
        with translating("gpt-6-luna"):
            return (await client.models.retrieve("gpt-6-luna")).id

    return attempt


FINE = {"id": "gpt-6-luna", "object": "model", "created": 1, "owned_by": "openai"}


def run_client(answer: Answer, on_retry: Callable[[RetryEvent], None] | None = None) -> str:
    return run_with_retries(STEADY, _call(answer), on_retry)


def arun_client(answer: Answer, on_retry: Callable[[RetryEvent], None] | None = None) -> str:
    return asyncio.run(arun_with_retries(STEADY, _acall(answer), on_retry))


both_clients = pytest.mark.parametrize("run", [run_client, arun_client], ids=["sync", "async"])


@both_clients
def test_the_real_client_is_called_as_often_as_the_policy_says(run: Run) -> None:
    events: list[RetryEvent] = []
    answer, seen = _sequence(
        httpx2.Response(503, headers={"retry-after": "7"}),
        httpx2.Response(429, json={"error": {"message": "Please try again in 1.146s."}}),
        httpx2.Response(200, json=FINE),
    )
    assert run(answer, events.append) == "gpt-6-luna"
    assert len(seen) == 3
    assert [event.delay_s for event in events] == [7.0, 1.146]
    assert [type(event.error) for event in events] == [errors.ServerError, errors.RateLimitError]


@both_clients
def test_an_empty_account_is_asked_only_once(run: Run) -> None:
    body = {"error": {"message": "no credit", "code": "credit_balance_exhausted"}}
    answer, seen = _sequence(*[httpx2.Response(429, json=body)] * 3)
    with pytest.raises(errors.QuotaExceededError):
        run(answer)
    assert len(seen) == 1
