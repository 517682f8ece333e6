"""Copies, pickles and forks of a model with every governor work, and hand no key on."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest
from mock_api import MockAPI

from langchain_tamma_openai import (
    Budget,
    ChatTammaOpenAI,
    CircuitBreaker,
    ConfigurationError,
    FallbackAccount,
    FallbackModel,
    FallbackPolicy,
    OpenAIRateLimiter,
    QuotaMemory,
    RetryPolicy,
    UsageTracker,
)


def governed(**fields: Any) -> ChatTammaOpenAI:
    everything: dict[str, Any] = {
        "model": "gpt-6-luna",
        "api_key": "sk-first-1234567890",
        "rate_limiter": OpenAIRateLimiter(requests_per_minute=600, tokens_per_minute=100_000),
        "circuit_breaker": CircuitBreaker(),
        "quota_memory": QuotaMemory(),
        "fallback_models": ["gpt-6-sol"],
        "retry": RetryPolicy(max_attempts=2),
        "stream_recovery": "regenerate",
        "total_timeout_s": 30,
        **fields,
    }
    return ChatTammaOpenAI(**everything)


COPIES: dict[str, Any] = {
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "model_copy": lambda llm: llm.model_copy(),
    "deep model_copy": lambda llm: llm.model_copy(deep=True),
}


@pytest.mark.parametrize("way", COPIES)
def test_a_copy_shares_its_governors(way: str) -> None:
    llm = governed()
    twin = COPIES[way](llm)
    assert twin.rate_limiter is llm.rate_limiter
    assert twin.circuit_breaker is llm.circuit_breaker
    assert twin.quota_memory is llm.quota_memory
    assert twin._governors.limiter is llm._governors.limiter
    assert twin._governors.breaker is llm.circuit_breaker


@pytest.mark.parametrize("way", COPIES)
def test_a_copy_answers_after_the_first_was_used(way: str) -> None:
    llm = MockAPI().tamma(circuit_breaker=CircuitBreaker(), quota_memory=QuotaMemory())
    llm.invoke("Hi")
    assert COPIES[way](llm).invoke("Hi").text == "Hello"


def test_a_pickle_has_the_same_governors_at_work_and_no_key(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-other")
    data = pickle.dumps(governed())
    assert b"sk-first" not in data
    twin = pickle.loads(data)  # noqa: S301 - our own bytes
    assert twin._governors.breaker is twin.circuit_breaker
    assert twin._governors.quota is twin.quota_memory
    assert twin._governors.limiter is twin.rate_limiter
    assert twin._fallback_policy.listed[0].model == "gpt-6-sol"
    assert twin.stream_recovery == "regenerate"
    assert twin.total_timeout_s == 30


def test_a_pickled_limiter_still_counts_attempts_and_not_runs() -> None:
    twin = pickle.loads(pickle.dumps(governed()))  # noqa: S301 - our own bytes
    before = twin.rate_limit_status().remaining_requests
    assert twin.rate_limiter.acquire(blocking=False)
    assert twin.rate_limit_status().remaining_requests == before


def test_models_made_for_other_accounts_do_not_travel_in_a_pickle() -> None:
    llm = governed(fallback_models=FallbackPolicy(accounts=[FallbackAccount("sk-second")]))
    from pydantic import SecretStr

    from langchain_tamma_openai.resilience.fallback import FallbackStep

    llm._serving(FallbackStep("gpt-6-luna", SecretStr("sk-made-for-this")))
    assert b"sk-made-for-this" not in pickle.dumps(llm)


def test_a_copy_with_another_breaker_asks_it() -> None:
    llm, other = governed(), CircuitBreaker()
    assert llm.model_copy(update={"circuit_breaker": other})._governors.breaker is other
    assert llm._governors.breaker is llm.circuit_breaker


def test_a_copy_without_governors_asks_nobody() -> None:
    off = {"circuit_breaker": None, "quota_memory": None, "rate_limiter": None}
    assert governed().model_copy(update=off)._governors is None


def test_a_copy_with_a_governor_of_the_wrong_kind_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="circuit_breaker"):
        governed().model_copy(update={"circuit_breaker": "yes"})


def test_a_copy_with_another_key_sends_that_key() -> None:
    from pydantic import SecretStr

    api = MockAPI()
    llm = api.tamma()
    llm.invoke("Hi")
    llm.model_copy(update={"openai_api_key": SecretStr("sk-new")}).invoke("Hi")
    sent = [request.headers["authorization"] for request in api.requests]
    assert sent == ["Bearer sk-test", "Bearer sk-new"]


def test_a_pickle_has_the_fallbacks_without_keys_and_says_so(
    caplog: pytest.LogCaptureFixture,
) -> None:
    models: list[FallbackModel | str] = [
        "gpt-6-sol",
        FallbackModel("llama", "sk-third", "http://localhost:1/v1"),
    ]
    policy = FallbackPolicy(models, accounts=[FallbackAccount("sk-second")])
    data = pickle.dumps(governed(fallback_models=policy))
    assert b"sk-second" not in data
    assert b"sk-third" not in data
    assert "no fallbacks with keys" in caplog.text
    twin = pickle.loads(data)  # noqa: S301 - our own bytes
    assert [model.model for model in twin._fallback_policy.listed] == ["gpt-6-sol"]


def test_a_copy_may_have_another_budget() -> None:
    first, second = Budget(5), Budget(7)
    api = MockAPI()
    llm = api.tamma(budget=first)
    llm.model_copy(update={"budget": [first, second]}).invoke("Hello")
    assert first.status().spent_usd == second.status().spent_usd > 0
    llm.model_copy(update={"budget": None}).invoke("Hello")
    llm.invoke("Hello")
    assert first.status().spent_usd == 2 * second.status().spent_usd


def test_a_copy_with_another_governor_records_once() -> None:
    tracker = UsageTracker()
    llm = MockAPI().tamma(usage_tracker=tracker)
    other = llm.model_copy(update={"budget": Budget(5)})
    assert other.callbacks is None  # the model tells its tracker itself
    other.invoke("Hello")
    assert tracker.summary().total_requests == 1
    assert [record.attempts for record in tracker.records()] == [1]
