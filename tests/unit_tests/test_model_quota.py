"""A model remembers that its account ran dry, and is told when it no longer is."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import httpx2
import pytest
from circuits import Clock
from mock_api import ALL_WAYS, MockAPI, completion, text_events

from langchain_tamma_openai import QuotaExceededError, QuotaMemory, RetryPolicy

ways = pytest.mark.parametrize("way", ALL_WAYS)
CODES = ("insufficient_quota", "billing_hard_limit_reached", "credit_balance_exhausted")


class AccountAPI(MockAPI):
    """Refuses while the account is dry."""

    def __init__(self, code: str = "insufficient_quota") -> None:
        self.is_dry = True
        self.code = code
        super().__init__(self._reply)

    def _reply(self, body: dict[str, Any]) -> Any:
        if self.is_dry:
            error = {"message": "No credit.", "type": self.code, "code": self.code, "param": None}
            return httpx2.Response(429, json={"error": error})
        return text_events() if body.get("stream") else completion()


def refused(llm: Any, way: str) -> QuotaExceededError:
    with pytest.raises(QuotaExceededError) as caught:
        ALL_WAYS[way](llm, "Hi")
    return caught.value


@ways
def test_a_dry_account_is_asked_once_and_no_more(way: str) -> None:
    api = AccountAPI()
    llm = api.tamma(max_retries=5)
    assert llm.quota_status() is None
    for _ in range(4):
        error = refused(llm, way)
        assert not error.is_retryable
        assert "credit" in error.user_message or "quota" in error.user_message
    assert len(api.requests) == 1
    status = llm.quota_status()
    assert status is not None
    assert status.code == "insufficient_quota"


@ways
def test_the_memory_can_be_turned_off(way: str) -> None:
    api = AccountAPI()
    llm = api.tamma(quota_memory=False, max_retries=5)
    for _ in range(3):
        refused(llm, way)
    assert len(api.requests) == 3
    assert llm.quota_status() is None


@ways
def test_it_is_cleared_by_hand(way: str) -> None:
    api = AccountAPI()
    llm = api.tamma()
    refused(llm, way)
    api.is_dry = False
    refused(llm, way)
    llm.clear_quota()
    assert ALL_WAYS[way](llm, "Hi").text == "Hello"
    assert llm.quota_status() is None


@ways
def test_it_is_cleared_by_the_first_success(way: str) -> None:
    api, clock = AccountAPI(), Clock()
    llm = api.tamma(quota_memory=QuotaMemory(remember_s=300, clock=clock))
    refused(llm, way)
    clock.now_s += 299
    refused(llm, way)
    assert len(api.requests) == 1
    clock.now_s += 2
    api.is_dry = False
    for _ in range(2):
        assert ALL_WAYS[way](llm, "Hi").text == "Hello"
    assert llm.quota_status() is None


@ways
def test_models_may_share_one_memory(way: str) -> None:
    memory, first, second = QuotaMemory(), AccountAPI(), AccountAPI()
    refused(first.tamma(quota_memory=memory), way)
    refused(second.tamma(quota_memory=memory, model="gpt-6-sol"), way)
    assert second.requests == []


@ways
def test_another_account_is_not_touched(way: str) -> None:
    memory, api = QuotaMemory(), AccountAPI()
    refused(api.tamma(quota_memory=memory), way)
    other = MockAPI().tamma(quota_memory=memory, api_key="sk-other")
    assert ALL_WAYS[way](other, "Hi").text == "Hello"


def test_a_wait_for_credit_ends_when_somebody_paid() -> None:
    api = AccountAPI()
    llm = api.tamma(quota_memory=QuotaMemory(wait=True, max_wait_s=20))
    refused(llm, "invoke")
    api.is_dry = False
    timer = threading.Timer(0.1, llm.clear_quota)
    timer.start()
    assert llm.invoke("Hi").text == "Hello"
    timer.join()


def test_a_wait_for_credit_can_be_cancelled_from_another_thread() -> None:
    memory = QuotaMemory(wait=True)
    llm = AccountAPI().tamma(quota_memory=memory)
    refused(llm, "invoke")
    timer = threading.Timer(0.1, memory.cancel_waiting)
    timer.start()
    refused(llm, "invoke")
    timer.join()


@pytest.mark.parametrize("way", ["ainvoke", "astream"])
def test_a_task_that_waits_for_credit_can_be_cancelled(way: str) -> None:
    async def main() -> None:
        api = AccountAPI()
        llm = api.tamma(quota_memory=QuotaMemory(wait=True))
        with pytest.raises(QuotaExceededError):
            await llm.ainvoke("Hi")

        async def read() -> None:
            async for _ in llm.astream("Hi"):
                pass

        task = asyncio.ensure_future(llm.ainvoke("Hi") if way == "ainvoke" else read())
        await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert len(api.requests) == 1

    asyncio.run(main())


# --- exactly one owner of retries ---


@ways
@pytest.mark.parametrize("code", CODES)
def test_a_quota_error_is_never_repeated_by_anyone(way: str, code: str) -> None:
    api = AccountAPI(code)
    llm = api.tamma(max_retries=5, quota_memory=False)
    refused(llm, way)
    assert len(api.requests) == 1


def test_langchains_retry_middleware_leaves_a_quota_error_alone() -> None:
    from langchain.agents import create_agent
    from langchain.agents.middleware import ModelRetryMiddleware

    api = AccountAPI()
    retrying = ModelRetryMiddleware(max_retries=3, initial_delay=0, on_failure="error")
    agent: Any = create_agent(api.tamma(max_retries=3), tools=[], middleware=[retrying])
    with pytest.raises(QuotaExceededError):
        agent.invoke({"messages": [("user", "Hi")]})
    assert len(api.requests) == 1


def test_with_retry_finds_the_memory_and_not_the_server() -> None:
    api = AccountAPI()
    llm = api.tamma(max_retries=3).with_retry(stop_after_attempt=3, wait_exponential_jitter=False)
    with pytest.raises(QuotaExceededError):
        llm.invoke("Hi")
    assert len(api.requests) == 1


def test_retry_on_may_name_the_quota_itself() -> None:
    api = AccountAPI()
    retry = RetryPolicy(3, base_delay_s=0, max_delay_s=0, retry_on=["insufficient_quota"])
    refused(api.tamma(retry=retry, quota_memory=False), "invoke")
    assert len(api.requests) == 3
