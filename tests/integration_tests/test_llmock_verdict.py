"""A server that injects faults finds nothing to blame in how any way to call handles them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from llmock.pytest_plugin import LLMock
from ways import SEEN_WAYS, STREAM_WAYS, UNSEEN_WAYS, WAYS, of_api

from langchain_tamma_openai import QuotaExceededError, RetryPolicy, TammaError
from langchain_tamma_openai.errors import StreamInterruptedError

Fault = Callable[[LLMock], LLMock]
QUICK = RetryPolicy(max_attempts=3, base_delay_s=0.08, max_delay_s=0.4, jitter=False)
TEXT = "The sea is wide and deep, and nobody has seen the end of it."

PASSING: dict[str, Fault] = {
    "429": lambda llmock: llmock.rate_limit(times=2, retry_after=0.1),
    "408": lambda llmock: llmock.fail(408),
    "409": lambda llmock: llmock.fail(409),
    "500": lambda llmock: llmock.fail(500),
    "502": lambda llmock: llmock.fail(502),
    "503": lambda llmock: llmock.fail(503, retry_after=0.1),
    "504": lambda llmock: llmock.fail(504),
}
LASTING: dict[str, Fault] = {
    str(status): lambda llmock, status=status: llmock.fail(status, times=None)  # type: ignore[misc]
    for status in (400, 401, 403, 404, 422)
}
BROKEN: dict[str, Fault] = {
    f"{kind} after {chunks}": lambda llmock, kind=kind, chunks=chunks: getattr(llmock, kind)(  # type: ignore[misc]
        after_chunks=chunks
    )
    for kind in ("truncate", "disconnect", "corrupt")
    for chunks in (0, 1, 4)
}
BROKEN["stall"] = lambda llmock: llmock.stall(after_chunks=3, seconds=5)
apis = pytest.mark.parametrize("api", ["chat_completions", "responses"])


def _model(api: str, **fields: Any) -> Any:
    return of_api(api, retry=QUICK, stream_chunk_timeout=0.5, **fields)


@apis
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("fault", PASSING)
def test_a_passing_fault_is_survived(llmock: LLMock, fault: str, way: str, api: str) -> None:
    PASSING[fault](llmock).reply(TEXT, times=None)
    assert WAYS[way](_model(api), "Hello").strip() == TEXT
    llmock.assert_resilient(strict=True)


@apis
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("fault", LASTING)
def test_a_lasting_fault_is_one_typed_error(llmock: LLMock, fault: str, way: str, api: str) -> None:
    LASTING[fault](llmock)
    with pytest.raises(TammaError) as caught:
        WAYS[way](_model(api), "Hello")
    assert caught.value.status_code == int(fault)
    assert len(llmock.requests) == 1
    llmock.assert_resilient(strict=True)


@apis
@pytest.mark.parametrize("way", STREAM_WAYS)
@pytest.mark.parametrize("fault", BROKEN)
def test_a_broken_stream_is_asked_for_again_and_no_text_comes_twice(
    llmock: LLMock, fault: str, way: str, api: str
) -> None:
    BROKEN[fault](llmock).reply(TEXT, times=None).pace(5)
    model = _model(api, stream_recovery="regenerate")
    assert STREAM_WAYS[way](model, "Hello").strip() == TEXT
    assert len(llmock.requests) == 2
    llmock.assert_resilient(strict=True)


@apis
@pytest.mark.parametrize("way", UNSEEN_WAYS)
@pytest.mark.parametrize("fault", BROKEN)
@pytest.mark.parametrize("recovery", ["resume", "raise"])
def test_a_broken_stream_that_nobody_saw_begins_anew(
    llmock: LLMock, recovery: str, fault: str, way: str, api: str
) -> None:
    BROKEN[fault](llmock).reply(TEXT, times=None).pace(5)
    model = _model(api, stream_recovery=recovery)
    assert UNSEEN_WAYS[way](model, "Hello").strip() == TEXT
    llmock.assert_resilient(strict=True)


@apis
@pytest.mark.parametrize("way", SEEN_WAYS)
@pytest.mark.parametrize("kind", ["truncate", "disconnect", "corrupt"])
def test_a_broken_stream_that_was_seen_is_a_typed_error_with_what_came(
    llmock: LLMock, kind: str, way: str, api: str
) -> None:
    getattr(llmock, kind)(after_chunks=6)
    llmock.reply(TEXT, times=None)
    with pytest.raises(StreamInterruptedError) as caught:
        SEEN_WAYS[way](_model(api), "Hello")
    error = caught.value
    assert error.delivered
    assert not error.is_retryable
    assert error.partial is not None
    assert TEXT.startswith(error.partial.text)
    assert error.partial.text
    assert error.usage is not None
    assert error.usage["output_tokens"] > 0
    assert len(llmock.requests) == 1


@apis
@pytest.mark.parametrize("way", WAYS)
def test_a_dry_account_is_asked_once(llmock: LLMock, way: str, api: str) -> None:
    llmock.fail(429, times=None, code="insufficient_quota")
    model = _model(api, streaming=way in UNSEEN_WAYS)
    for _ in range(3):
        with pytest.raises(QuotaExceededError):
            WAYS[way](model, "Hello")
    assert len(llmock.requests) == 1


@apis
@pytest.mark.parametrize("way", WAYS)
def test_real_limits_are_waited_for(llmock: LLMock, way: str, api: str) -> None:
    llmock.limits(rpm=240)
    model = _model(api, max_retries=4)
    for number in range(6):
        WAYS[way](model, f"Hello {number}")
    llmock.assert_resilient(strict=True)
