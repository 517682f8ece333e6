"""Fallbacks: who serves a failed call, when nobody may, and what the answer says about it."""

from __future__ import annotations

import asyncio
import copy
import pickle
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from langchain_tamma_openai import errors
from langchain_tamma_openai.kinds import ErrorKind
from langchain_tamma_openai.models import ModelCatalog
from langchain_tamma_openai.resilience.fallback import (
    FallbackAccount,
    FallbackAction,
    FallbackModel,
    FallbackPolicy,
    Fallbacks,
    FallbackStep,
    arun_with_fallbacks,
    run_with_fallbacks,
)

FIRST = FallbackStep("gpt-6-luna")
OTHER_ACCOUNT = FallbackAccount(SecretStr("sk-other"), "https://other.example/v1")


def of_kind(kind: ErrorKind) -> errors.TammaError:
    return errors.UnclassifiedError("failed", kind=kind)


def run_sync(fallbacks: Fallbacks, attempt: Callable[[FallbackStep], str]) -> str:
    return run_with_fallbacks(fallbacks, attempt)


def run_async(fallbacks: Fallbacks, attempt: Callable[[FallbackStep], str]) -> str:
    async def acall(step: FallbackStep) -> str:
        return attempt(step)

    return asyncio.run(arun_with_fallbacks(fallbacks, acall))


both = pytest.mark.parametrize("run", [run_sync, run_async], ids=["sync", "async"])

NEXT_MODEL = [
    ErrorKind.MODEL_OVERLOADED,
    ErrorKind.SERVER_ERROR,
    ErrorKind.TIMEOUT,
    ErrorKind.CONNECTION,
    ErrorKind.STREAM_INTERRUPTED,
    ErrorKind.CIRCUIT_OPEN,
    ErrorKind.RATE_LIMIT,
    ErrorKind.RATE_LIMIT_REQUESTS,
    ErrorKind.RATE_LIMIT_TOKENS,
    ErrorKind.SLOW_DOWN,
    ErrorKind.REQUEST_TOO_LARGE,
]
ACCOUNT = [ErrorKind.INSUFFICIENT_QUOTA, ErrorKind.AUTHENTICATION, ErrorKind.PERMISSION]
NOTHING = set(ErrorKind) - {*NEXT_MODEL, *ACCOUNT, ErrorKind.CONTEXT_OVERFLOW}


@pytest.mark.parametrize("kind", NEXT_MODEL)
def test_trouble_of_the_model_leads_to_the_next_model(kind: ErrorKind) -> None:
    policy = FallbackPolicy(["gpt-6-sol", "gpt-5.4"], [OTHER_ACCOUNT])
    step = policy.plan(of_kind(kind), [FIRST])
    assert step == FallbackStep("gpt-6-sol", action=FallbackAction.NEXT_MODEL, reason=kind)


@pytest.mark.parametrize("kind", ACCOUNT)
def test_trouble_with_the_account_leads_to_another_account(kind: ErrorKind) -> None:
    step = FallbackPolicy(["gpt-6-sol"], [OTHER_ACCOUNT]).plan(of_kind(kind), [FIRST])
    assert step is not None
    assert step.way == ("gpt-6-luna", SecretStr("sk-other"), "https://other.example/v1")
    assert FallbackPolicy(["gpt-6-sol"]).plan(of_kind(kind), [FIRST]) is None


@pytest.mark.parametrize("kind", sorted(NOTHING))
def test_everything_else_has_no_fallback(kind: ErrorKind) -> None:
    policy = FallbackPolicy(["gpt-6-sol"], [OTHER_ACCOUNT], larger_window="catalogue")
    assert policy.plan(of_kind(kind), [FIRST]) is None


def test_never_after_something_was_delivered() -> None:
    policy = FallbackPolicy(["gpt-6-sol"])
    cut = errors.StreamInterruptedError("cut", delivered=True)
    assert policy.plan(cut, [FIRST]) is None
    assert policy.plan(errors.StreamInterruptedError("cut"), [FIRST]) is not None


def test_never_for_a_cancelled_call() -> None:
    assert FallbackPolicy(["x"]).action(asyncio.CancelledError()) is FallbackAction.NONE


def test_an_interruption_is_judged_by_its_cause() -> None:
    error = errors.StreamInterruptedError("cut")
    error.__cause__ = errors.QuotaExceededError("dry")
    policy = FallbackPolicy(["gpt-6-sol"], [OTHER_ACCOUNT])
    step = policy.plan(error, [FIRST])
    assert step is not None
    assert step.action is FallbackAction.OTHER_ACCOUNT
    error.__cause__ = ValueError("not JSON")
    step = policy.plan(error, [FIRST])
    assert step is not None
    assert (step.model, step.reason) == ("gpt-6-sol", ErrorKind.STREAM_INTERRUPTED)


def test_models_are_tried_in_order_and_once() -> None:
    policy = FallbackPolicy(["a", "gpt-6-luna", "b"])
    tried, error = [FIRST], errors.ServerError("x")
    while (step := policy.plan(error, tried)) is not None:
        tried.append(step)
    assert [step.model for step in tried] == ["gpt-6-luna", "a", "b"]


def test_the_next_model_uses_the_account_that_still_has_credit() -> None:
    policy = FallbackPolicy(["gpt-6-sol"], [OTHER_ACCOUNT])
    second = policy.plan(errors.QuotaExceededError("dry"), [FIRST])
    assert second is not None
    third = policy.plan(errors.ServerError("x"), [FIRST, second])
    assert third is not None
    assert third.way == ("gpt-6-sol", SecretStr("sk-other"), "https://other.example/v1")


def test_a_model_with_its_own_key_serves_when_the_account_is_dry() -> None:
    own = FallbackModel("llama", SecretStr("sk-llama"), "http://localhost:8000/v1")
    step = FallbackPolicy(["gpt-6-sol", own]).plan(errors.QuotaExceededError("dry"), [FIRST])
    assert step is not None
    assert step.way == ("llama", SecretStr("sk-llama"), "http://localhost:8000/v1")


def test_no_key_goes_to_a_server_it_was_not_given_for() -> None:
    with pytest.raises(errors.ConfigurationError, match=r"^api_key: got None"):
        FallbackModel("llama", base_url="http://localhost:8000/v1")
    mine = FallbackModel("gpt-6-sol", SecretStr("sk-mine"))
    elsewhere = FallbackStep("gpt-6-luna", SecretStr("sk-other"), "https://other.example/v1")
    step = FallbackPolicy([mine]).plan(errors.ServerError("x"), [FIRST, elsewhere])
    assert step is not None
    assert step.way == ("gpt-6-sol", SecretStr("sk-mine"), None)


# --- larger windows ---

OVERFLOW = errors.ContextOverflowError("too long")


def test_overflow_takes_the_first_listed_model_with_a_larger_window() -> None:
    policy = FallbackPolicy(["gpt-4o-mini", "gpt-4.1", "gpt-5"])
    step = policy.plan(OVERFLOW, [FallbackStep("gpt-4o")])
    assert step == FallbackStep(
        "gpt-4.1", action=FallbackAction.LARGER_WINDOW, reason=ErrorKind.CONTEXT_OVERFLOW
    )


def test_overflow_without_a_larger_listed_model_raises() -> None:
    policy = FallbackPolicy(["gpt-4o-mini", "no-such-model"])
    assert policy.plan(OVERFLOW, [FallbackStep("gpt-4o")]) is None
    assert FallbackPolicy(["gpt-4.1"]).plan(OVERFLOW, [FallbackStep("no-such-model")]) is None


def test_windows_that_the_catalogue_does_not_know_can_be_given() -> None:
    policy = FallbackPolicy(
        [
            FallbackModel("small", context_window_tokens=8_000),
            FallbackModel("large", context_window_tokens=200_000),
        ]
    )
    step = policy.plan(OVERFLOW, [FallbackStep("small")])
    assert step is not None
    assert step.model == "large"


def test_the_catalogue_gives_the_smallest_larger_window_that_can_do_the_same() -> None:
    policy = FallbackPolicy(larger_window="catalogue")
    step = policy.plan(OVERFLOW, [FallbackStep("gpt-4o", SecretStr("k"), "https://x.example/v1")])
    assert step is not None
    catalogue = ModelCatalog()
    old, new = catalogue.get("gpt-4o"), catalogue.get(step.model)
    assert (new.context_window_tokens or 0) > (old.context_window_tokens or 0)
    assert new.capabilities >= old.capabilities
    assert not new.is_shut_down()
    assert not new.responses_only
    assert step.way[1:] == (SecretStr("k"), "https://x.example/v1")
    between = [
        info.name
        for info in catalogue.list(include_shut_down=False)
        if (old.context_window_tokens or 0)
        < (info.context_window_tokens or 0)
        < (new.context_window_tokens or 0)
        and info.capabilities >= old.capabilities
        and not info.responses_only
    ]
    assert between == []


# --- one call ---


def failing(*failures: Exception) -> Callable[[FallbackStep], str]:
    left = list(failures)

    def attempt(step: FallbackStep) -> str:
        if left:
            raise left.pop(0)
        return step.model

    return attempt


@both
def test_the_first_that_serves_answers_and_the_answer_says_why(run: Any) -> None:
    fallbacks = Fallbacks(FallbackPolicy(["gpt-6-sol", "gpt-5.4"]), FIRST)
    failures = (errors.ModelOverloadedError("x", code="model_overloaded"), errors.ServerError("y"))
    assert run(fallbacks, failing(*failures)) == "gpt-5.4"
    assert fallbacks.metadata() == {
        "requested_model": "gpt-6-luna",
        "served_model": "gpt-5.4",
        "served_base_url": None,
        "action": "next_model",
        "reason": "server_error",
        "failed": [
            {"model": "gpt-6-luna", "error": "model_overloaded", "code": "model_overloaded"},
            {"model": "gpt-6-sol", "error": "server_error", "code": None},
        ],
    }


@both
def test_a_call_that_succeeds_says_nothing(run: Any) -> None:
    fallbacks = Fallbacks(FallbackPolicy(["gpt-6-sol"]), FIRST)
    assert run(fallbacks, failing()) == "gpt-6-luna"
    assert fallbacks.metadata() is None


@both
def test_when_nobody_serves_the_first_error_is_raised_with_notes(run: Any) -> None:
    first = errors.ModelOverloadedError("busy")
    policy = FallbackPolicy([FallbackModel("llama", SecretStr("sk-llama"), "http://u:pw@host/v1")])
    with pytest.raises(errors.ModelOverloadedError) as caught:
        run(Fallbacks(policy, FIRST), failing(first, errors.AuthenticationError("who?")))
    assert caught.value is first
    (note,) = caught.value.__notes__
    assert note == "The fallback to llama at http://host/v1 with another key failed too: who?"


@both
def test_what_was_delivered_by_a_fallback_is_never_hidden(run: Any) -> None:
    cut = errors.StreamInterruptedError("cut", delivered=True)
    fallbacks = Fallbacks(FallbackPolicy(["a", "b"]), FIRST)
    with pytest.raises(errors.StreamInterruptedError) as caught:
        run(fallbacks, failing(errors.ServerError("x"), cut))
    assert caught.value is cut


@both
def test_cancellation_goes_straight_through(run: Any) -> None:
    def attempt(step: FallbackStep) -> str:
        raise KeyboardInterrupt(step.model)

    with pytest.raises(KeyboardInterrupt, match="gpt-6-luna"):
        run(Fallbacks(FallbackPolicy(["a"]), FIRST), attempt)


def test_metadata_names_the_server_without_its_secrets() -> None:
    account = FallbackAccount(SecretStr("sk-hidden"), "https://u:pw@other.example/v1")
    fallbacks = Fallbacks(FallbackPolicy(accounts=[account]), FIRST)
    fallbacks.next(errors.QuotaExceededError("dry"))
    assert "https://other.example/v1" in repr(fallbacks.metadata())
    for shown in (repr(fallbacks.metadata()), repr(fallbacks.tried), repr(account)):
        assert "sk-hidden" not in shown


@given(
    models=st.lists(st.sampled_from(["a", "b", "c", "gpt-4.1"]), max_size=5),
    failures=st.lists(st.sampled_from(sorted(ErrorKind)), min_size=30, max_size=30),
)
def test_every_call_comes_to_an_end_and_no_way_is_tried_twice(
    models: list[str], failures: list[ErrorKind]
) -> None:
    policy = FallbackPolicy(models, [OTHER_ACCOUNT], "catalogue")
    fallbacks = Fallbacks(policy, FallbackStep("gpt-4o"))
    with pytest.raises(errors.UnclassifiedError):
        run_with_fallbacks(fallbacks, failing(*map(of_kind, failures * 10)))
    ways = [step.way for step in fallbacks.tried]
    assert len(ways) == len(set(ways))


# --- settings ---


def test_a_key_given_as_text_is_hidden() -> None:
    account = FallbackAccount("sk-hidden-key")
    assert account.api_key == SecretStr("sk-hidden-key")
    assert "hidden" not in repr(account)


def test_the_short_form_is_a_list_of_models() -> None:
    policy = FallbackPolicy.of(["a", FallbackModel("b")])
    assert policy == FallbackPolicy([FallbackModel("a"), FallbackModel("b")])
    assert FallbackPolicy.of(policy) is policy


def test_actions_can_be_changed_by_kind() -> None:
    policy = FallbackPolicy(["a"], actions={"not_found": "next_model", "server_error": "none"})
    step = policy.plan(errors.NotFoundError("gone"), [FIRST])
    assert step is not None
    assert policy.plan(errors.ServerError("x"), [FIRST]) is None


def test_policies_can_be_copied_and_pickled() -> None:
    policy = FallbackPolicy(["a"], [OTHER_ACCOUNT], actions={"not_found": "next_model"})
    assert copy.deepcopy(policy) == policy
    assert pickle.loads(pickle.dumps(policy)) == policy  # noqa: S301 - our own bytes


@pytest.mark.parametrize(
    ("make", "field"),
    [
        (lambda: FallbackPolicy("gpt-6-sol"), "fallback_models"),
        (lambda: FallbackPolicy(7), "fallback_models"),  # type: ignore[arg-type]
        (lambda: FallbackPolicy([""]), "fallback_models"),
        (lambda: FallbackPolicy([None]), "fallback_models"),  # type: ignore[list-item]
        (lambda: FallbackPolicy(accounts="sk-x"), "accounts"),  # type: ignore[arg-type]
        (lambda: FallbackPolicy(accounts=["sk-x"]), "accounts"),  # type: ignore[list-item]
        (lambda: FallbackPolicy(larger_window="any"), "larger_window"),  # type: ignore[arg-type]
        (lambda: FallbackPolicy(actions={"oops": "none"}), "actions"),
        (lambda: FallbackPolicy(actions={"timeout": "retry"}), "actions"),
        (lambda: FallbackPolicy(actions=["timeout"]), "actions"),  # type: ignore[arg-type]
        (lambda: FallbackAccount(""), "api_key"),
        (lambda: FallbackAccount(7), "api_key"),  # type: ignore[arg-type]
        (lambda: FallbackAccount(SecretStr("k"), "ftp://x"), "base_url"),
        (lambda: FallbackModel("m", context_window_tokens=0), "context_window_tokens"),
    ],
)
def test_bad_settings_are_refused_by_name(make: Callable[[], object], field: str) -> None:
    with pytest.raises(errors.ConfigurationError, match=f"^{field}: got ") as caught:
        make()
    assert "sk-x" not in caught.value.message
