"""Advice for applications that decide themselves: the same rules as inside the model."""

from __future__ import annotations

from dataclasses import FrozenInstanceError

import httpx2
import openai
import pytest

from langchain_tamma_openai import errors
from langchain_tamma_openai.kinds import ErrorKind
from langchain_tamma_openai.resilience.advice import advise
from langchain_tamma_openai.resilience.fallback import FallbackAction, FallbackPolicy
from langchain_tamma_openai.resilience.retry import RetryPolicy

STEADY = RetryPolicy(max_attempts=3, base_delay_s=0.5, jitter=False)


def test_a_passing_failure() -> None:
    error = errors.ModelOverloadedError("busy", status_code=503, code="server_is_overloaded")
    advice = advise(error, model="gpt-6-luna", operation="the summary", policy=STEADY, attempt=2)
    assert advice.should_retry
    assert advice.delay_s == 1.0
    assert advice.fallback is FallbackAction.NEXT_MODEL
    assert advice.kind is ErrorKind.MODEL_OVERLOADED
    assert advice.severity == "medium"
    assert advice.user_message == (
        "The summary with the model 'gpt-6-luna' did not succeed. "
        "The model is overloaded right now. Please wait a moment and try again."
    )
    details = advice.technical_details
    assert details["status_code"] == 503
    assert details["code"] == "server_is_overloaded"
    assert details["attempt"] == 2
    assert details["operation"] == "the summary"
    assert details["error"] == "ModelOverloadedError"


def test_an_error_of_the_sdk_is_understood_and_the_servers_hint_obeyed() -> None:
    response = httpx2.Response(
        429,
        headers={"retry-after": "7", "x-request-id": "req_1"},
        json={"error": {"message": "slow", "type": "requests", "code": "rate_limit_exceeded"}},
        request=httpx2.Request("POST", "https://x"),
    )
    error = openai.OpenAI(api_key="k")._make_status_error_from_response(response)
    advice = advise(error, model="gpt-6-luna", operation="chat")
    assert advice.delay_s == 7
    assert advice.user_message.startswith("Chat did not succeed. The model 'gpt-6-luna' is ")
    assert "in 7 seconds" in advice.user_message
    assert advice.technical_details["retry_after_s"] == 7
    assert advice.technical_details["request_id"] == "req_1"


@pytest.mark.parametrize(
    ("error", "attempt"),
    [
        (errors.QuotaExceededError("dry"), 1),
        (errors.InvalidRequestError("wrong"), 1),
        (errors.ServerError("x"), 3),
        (errors.ServerError("x", retry_after_s=121), 1),
        (ValueError("a bug"), 1),
        (KeyboardInterrupt(), 1),
    ],
    ids=repr,
)
def test_when_waiting_does_not_help(error: BaseException, attempt: int) -> None:
    advice = advise(error, policy=STEADY, attempt=attempt)
    assert not advice.should_retry
    assert advice.delay_s is None


def test_the_policy_decides_about_the_fallback() -> None:
    policy = FallbackPolicy(["x"], actions={"server_error": "none"})
    assert advise(errors.ServerError("x"), fallback=policy).fallback is FallbackAction.NONE
    cut = errors.StreamInterruptedError("cut", delivered=True)
    assert advise(cut).fallback is FallbackAction.NONE


def test_the_errors_own_model_is_named() -> None:
    advice = advise(errors.ServerError("x", model="gpt-6-sol"))
    assert "'gpt-6-sol'" in advice.user_message
    assert advice.user_message.startswith("The request did not succeed.")
    assert advice.technical_details["model"] == "gpt-6-sol"


def test_without_any_model_the_message_still_reads_well() -> None:
    advice = advise(TimeoutError(), operation="")
    assert advice.user_message.startswith("The request did not succeed. The model took too long")


def test_no_secret_gets_through() -> None:
    advice = advise(ValueError("key sk-proj-abcdefghijklmnopqrstuvwxyz0123456789 was bad"))
    assert "abcdefghij" not in repr(advice)


def test_advice_is_frozen() -> None:
    with pytest.raises(FrozenInstanceError):
        advise(ValueError()).should_retry = True  # type: ignore[misc]
