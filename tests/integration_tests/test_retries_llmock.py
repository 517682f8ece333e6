"""Which failures are tried again, how often and when, against a server that keeps a journal."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import openai
import pytest
from llmock.pytest_plugin import LLMock

from langchain_tamma_openai import ChatTammaOpenAI, RetryPolicy
from langchain_tamma_openai.errors import (
    AuthenticationError,
    ConflictError,
    InvalidRequestError,
    NotFoundError,
    PermissionDeniedError,
    QuotaExceededError,
    RateLimitError,
    RequestTimeoutError,
    ServerError,
    TammaError,
)

QUICK = RetryPolicy(max_attempts=3, base_delay_s=0.06, max_delay_s=0.2, jitter=False)
RETRIED: dict[int, type[TammaError]] = {
    408: RequestTimeoutError,
    409: ConflictError,
    429: RateLimitError,
    500: ServerError,
    502: ServerError,
    503: ServerError,
    504: ServerError,
}
# Without it the server asks for a whole second at these; at the others the delay is our own.
SHORT_DELAYS_S = {429: 0.02, 503: 0.02, 504: 0.02}
NOT_RETRIED: dict[int, type[TammaError]] = {
    400: InvalidRequestError,
    401: AuthenticationError,
    403: PermissionDeniedError,
    404: NotFoundError,
    422: InvalidRequestError,
}


def _invoke(llm: ChatTammaOpenAI) -> str:
    return llm.invoke("Hello").text


def _ainvoke(llm: ChatTammaOpenAI) -> str:
    return asyncio.run(llm.ainvoke("Hello")).text


def _stream(llm: ChatTammaOpenAI) -> str:
    return "".join(chunk.text for chunk in llm.stream("Hello"))


def _astream(llm: ChatTammaOpenAI) -> str:
    async def main() -> str:
        return "".join([chunk.text async for chunk in llm.astream("Hello")])

    return asyncio.run(main())


Way = Callable[[ChatTammaOpenAI], str]
WAYS: dict[str, Way] = {
    "invoke": _invoke,
    "ainvoke": _ainvoke,
    "stream": _stream,
    "astream": _astream,
}


@pytest.fixture(params=WAYS.values(), ids=list(WAYS))
def way(request: pytest.FixtureRequest) -> Way:
    chosen: Way = request.param
    return chosen


def _model(**fields: Any) -> ChatTammaOpenAI:
    return ChatTammaOpenAI(**{"model": "gpt-6-luna", "retry": QUICK, **fields})


@pytest.mark.parametrize("status", RETRIED)
def test_a_passing_failure_is_tried_again(llmock: LLMock, way: Way, status: int) -> None:
    llmock.fail(status, times=2, retry_after=SHORT_DELAYS_S.get(status)).reply("Here I am")
    assert way(_model()).strip() == "Here I am"
    assert [record.status for record in llmock.requests] == [status, status, 200]
    # The SDK beneath does not count any attempt as its own retry.
    assert {record.sdk_retry_count for record in llmock.requests} <= {0, None}
    llmock.assert_resilient(strict=True)


@pytest.mark.parametrize(("status", "error"), [*RETRIED.items()][::2])
def test_a_lasting_failure_ends_with_its_error(
    llmock: LLMock, way: Way, status: int, error: type[TammaError]
) -> None:
    llmock.fail(status, times=None, retry_after=SHORT_DELAYS_S.get(status))
    with pytest.raises(error) as caught:
        way(_model())
    assert caught.value.retryable
    assert isinstance(caught.value, openai.APIError)
    assert len(llmock.requests) == 3
    llmock.assert_resilient(strict=True)


@pytest.mark.parametrize(("status", "error"), NOT_RETRIED.items())
def test_a_failure_of_ours_is_not_tried_again(
    llmock: LLMock, way: Way, status: int, error: type[TammaError]
) -> None:
    llmock.outage(status=status)
    with pytest.raises(error) as caught:
        way(_model())
    assert not caught.value.retryable
    assert len(llmock.requests) == 1
    llmock.assert_resilient(strict=True)


def test_an_exhausted_quota_is_asked_for_once(llmock: LLMock, way: Way) -> None:
    llmock.fail(429, times=None, code="insufficient_quota")
    with pytest.raises(QuotaExceededError) as caught:
        way(_model(max_retries=5, retry=None))
    assert isinstance(caught.value, openai.RateLimitError)
    assert len(llmock.requests) == 1


@pytest.mark.parametrize("status", [408, 429, 500, 503])
def test_no_retries_means_one_request(llmock: LLMock, way: Way, status: int) -> None:
    llmock.outage(status=status)
    with pytest.raises(TammaError):
        way(_model(max_retries=0, retry=None))
    assert len(llmock.requests) == 1


def test_the_servers_delay_is_obeyed(llmock: LLMock, way: Way) -> None:
    llmock.rate_limit(times=2, retry_after=0.3).reply("Here I am")
    assert way(_model()).strip() == "Here I am"
    assert len(llmock.requests) == 3
    llmock.assert_resilient(strict=True)


def test_max_retries_counts_as_the_sdk_counts(llmock: LLMock, way: Way) -> None:
    llmock.rate_limit(times=None, retry_after=0.01)
    with pytest.raises(RateLimitError):
        way(_model(max_retries=4, retry=None))
    assert len(llmock.requests) == 5
    assert {record.sdk_retry_count for record in llmock.requests} <= {0, None}


def test_an_absurd_delay_is_an_error_and_no_wait(llmock: LLMock, way: Way) -> None:
    llmock.rate_limit(times=None, retry_after=3600)
    with pytest.raises(RateLimitError) as caught:
        way(_model())
    assert caught.value.retry_after_s == 3600
    assert len(llmock.requests) == 1


def test_rate_limits_of_many_calls_at_once(llmock: LLMock) -> None:
    llmock.rate_limit(times=6, retry_after=0.05)
    answers = _model(max_retries=8, retry=None).batch([f"q{n}" for n in range(6)])
    assert len(answers) == 6
    assert len(llmock.requests) == 12


def test_a_broken_stream_is_no_silent_success(llmock: LLMock) -> None:
    for fault in (llmock.disconnect, llmock.truncate, llmock.corrupt):
        fault(after_chunks=2)
        with pytest.raises(TammaError, match=r"broke off|Connection|peer"):
            _stream(_model())
    assert len(llmock.requests) == 3
