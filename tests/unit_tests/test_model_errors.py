"""Through the model, every known error is the kind, and is retried, as docs/errors.md says."""

from __future__ import annotations

from typing import Any, get_args

import httpx2
import pytest
from langchain_core.callbacks import AsyncCallbackHandler, BaseCallbackHandler
from mock_api import ALL_WAYS, MockAPI, completion, sse, stream_reply, text_events
from openai.types.responses.response_error import ResponseError
from test_translate import ROWS, Row

import langchain_tamma_openai
from langchain_tamma_openai import RetryPolicy, advise
from langchain_tamma_openai.errors import (
    ConfigurationError,
    InvalidRequestError,
    RateLimitError,
    ServerError,
    StreamInterruptedError,
    TammaError,
)

AT_ONCE = RetryPolicy(max_attempts=2, base_delay_s=0, max_delay_s=0)
HTTP_ROWS = [row for row in ROWS if row.http != "stream"]
STREAM_ROWS = [row for row in ROWS if row.http == "stream"]
ways = pytest.mark.parametrize("way", ALL_WAYS)


def name_of(row: Row) -> str:
    return f"{row.http} {row.type} {row.code} {row.text}"


def refuse(row: Row) -> MockAPI:
    return MockAPI(lambda _body: httpx2.Response(int(row.http), json={"error": row.body}))


@pytest.mark.parametrize("way", ["invoke", "astream"])
@pytest.mark.parametrize("row", HTTP_ROWS, ids=name_of)
def test_an_http_error_is_what_the_table_says(row: Row, way: str) -> None:
    api = refuse(row)
    with pytest.raises(TammaError) as caught:
        ALL_WAYS[way](api.tamma(retry=AT_ONCE), "Hi")
    error = caught.value
    assert isinstance(error, getattr(langchain_tamma_openai.errors, row.error))
    assert (error.kind, error.is_retryable) == (row.kind, row.retried)
    assert len(api.requests) == (2 if row.retried else 1)
    assert "gpt-6-luna" in error.user_message


@pytest.mark.parametrize("way", ["stream", "ainvoke"])
@pytest.mark.parametrize("row", STREAM_ROWS, ids=name_of)
def test_an_error_inside_a_stream_is_what_the_table_says(row: Row, way: str) -> None:
    reply = sse([{"error": row.body}], done=False)
    api = MockAPI(lambda _body: stream_reply(reply))
    with pytest.raises(StreamInterruptedError) as caught:
        ALL_WAYS[way](api.tamma(retry=AT_ONCE, streaming=True), "Hi")
    assert caught.value.is_retryable == row.retried
    assert len(api.requests) == (2 if row.retried else 1)
    assert caught.value.safe_to_do == ("retry" if row.retried else "nothing")


def test_every_code_that_the_sdk_knows_is_in_the_table() -> None:
    codes = get_args(ResponseError.model_fields["code"].annotation)
    assert set(codes) <= {row.code for row in ROWS}


def test_advice_names_model_and_operation() -> None:
    with pytest.raises(TammaError) as caught:
        refuse(HTTP_ROWS[0]).tamma().invoke("Hi")
    advice = advise(caught.value, model="gpt-6-luna", operation="the summary")
    assert "gpt-6-luna" in advice.user_message
    assert "The summary" in advice.user_message


# --- retry_on ---


def failing(status: int, times: int = 1) -> MockAPI:
    left = [status] * times

    def reply(body: dict[str, Any]) -> Any:
        if left:
            error = {"message": "No.", "type": "x", "code": None}
            return httpx2.Response(left.pop(), json={"error": error})
        return text_events() if body.get("stream") else completion()

    return MockAPI(reply)


def _only(*reasons: Any) -> RetryPolicy:
    return RetryPolicy(3, base_delay_s=0, max_delay_s=0, retry_on=reasons)


@ways
@pytest.mark.parametrize(
    ("status", "retry", "requests"),
    [
        (400, _only("invalid_request"), 2),
        (400, _only(InvalidRequestError), 2),
        (400, _only(TammaError), 2),
        (500, _only("rate_limit"), 1),
        (500, _only(RateLimitError), 1),
        (500, _only(), 1),
        (500, _only(ServerError, "timeout"), 2),
    ],
)
def test_retry_on_names_kinds_and_classes(
    way: str, status: int, retry: RetryPolicy, requests: int
) -> None:
    api = failing(status)
    try:
        ALL_WAYS[way](api.tamma(retry=retry), "Hi")
    except TammaError as error:
        assert error.status_code == status  # noqa: PT017 - both ends are right
    assert len(api.requests) == requests


@ways
def test_retry_on_may_be_a_function_of_the_error(way: str) -> None:
    asked: list[Exception] = []

    def decide(error: Exception) -> bool:
        asked.append(error)
        return getattr(error, "status_code", None) == 418

    retry = RetryPolicy(3, base_delay_s=0, max_delay_s=0, retry_on=decide)
    assert ALL_WAYS[way](failing(418).tamma(retry=retry), "Hi").text == "Hello"
    assert len(asked) == 1


@pytest.mark.parametrize("value", ["server_error", 5, ["no_such_kind"], [int], [KeyboardInterrupt]])
def test_retry_on_of_another_type_is_refused(value: Any) -> None:
    with pytest.raises(ConfigurationError, match="retry_on"):
        RetryPolicy(retry_on=value)


# --- LangChain's callbacks ---


class Listener(BaseCallbackHandler):
    """Keeps what is repeated."""

    def __init__(self) -> None:
        self.states: list[tuple[int, BaseException]] = []

    def on_retry(self, retry_state: Any, **_kwargs: Any) -> None:
        self.states.append((retry_state.attempt_number, retry_state.outcome.exception()))


class AsyncListener(AsyncCallbackHandler):
    """Keeps what is repeated, asynchronously."""

    def __init__(self) -> None:
        self.states: list[tuple[int, BaseException]] = []

    async def on_retry(self, retry_state: Any, **_kwargs: Any) -> None:
        self.states.append((retry_state.attempt_number, retry_state.outcome.exception()))


@ways
@pytest.mark.parametrize("kind", [Listener, AsyncListener])
@pytest.mark.parametrize("streaming", [False, True], ids=["plain", "streaming"])
def test_handlers_hear_of_every_retry(way: str, kind: Any, *, streaming: bool) -> None:
    listener = kind()
    retry = RetryPolicy(3, base_delay_s=0, max_delay_s=0)
    llm = failing(500, 2).tamma(retry=retry, streaming=streaming)
    config: Any = {"callbacks": [listener]}
    ALL_WAYS[way](llm, "Hi", config=config if "batch" not in way else [config])
    assert [number for number, _error in listener.states] == [1, 2]
    assert all(isinstance(error, ServerError) for _number, error in listener.states)


@ways
def test_handlers_of_the_model_itself_hear_of_retries(way: str) -> None:
    listener = Listener()
    retry = RetryPolicy(2, base_delay_s=0, max_delay_s=0)
    ALL_WAYS[way](failing(500).tamma(retry=retry, callbacks=[listener]), "Hi")
    assert len(listener.states) == 1


# --- bad settings ---

BAD: list[tuple[dict[str, Any], str]] = [
    ({"circuit_breaker": "yes"}, "circuit_breaker"),
    ({"circuit_breaker": True}, "circuit_breaker"),
    ({"circuit_breaker": 5}, "circuit_breaker"),
    ({"quota_memory": True}, "quota_memory"),
    ({"quota_memory": 300}, "quota_memory"),
    ({"fallback_models": "gpt-6-sol"}, "fallback_models"),
    ({"fallback_models": [5]}, "fallback_models"),
    ({"fallback_models": [""]}, "fallback_models"),
    ({"fallback_models": 5}, "fallback_models"),
    ({"stream_recovery": "maybe"}, "stream_recovery"),
    ({"stream_recovery": None}, "stream_recovery"),
    ({"total_timeout_s": 0}, "total_timeout_s"),
    ({"total_timeout_s": -1}, "total_timeout_s"),
    ({"total_timeout_s": float("nan")}, "total_timeout_s"),
    ({"total_timeout_s": "soon"}, "total_timeout_s"),
    ({"retry": 3}, "retry"),
    ({"retry": "often"}, "retry"),
    ({"max_retries": -1}, "max_retries"),
    ({"rate_limiter": "fast"}, "rate_limiter"),
]

_EXPECTED = {"soon": "a valid number", "fast": "an instance of BaseRateLimiter"}


@pytest.mark.parametrize(("fields", "name"), BAD, ids=[str(fields) for fields, _name in BAD])
def test_a_bad_setting_is_one_clear_error(fields: dict[str, Any], name: str) -> None:
    with pytest.raises(ValueError, match=name) as caught:
        MockAPI().tamma(**fields)
    (value,) = fields.values()
    given = value[0] if isinstance(value, list) else value
    # What has the wrong type, pydantic does not show: it might be a secret.
    shown = _EXPECTED.get(str(given), repr(given))
    assert shown in str(caught.value)


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (lambda: RetryPolicy(max_attempts=0), "max_attempts"),
        (lambda: RetryPolicy(base_delay_s=-1), "base_delay_s"),
        (lambda: RetryPolicy(max_delay_s=float("inf")), "max_delay_s"),
        (lambda: RetryPolicy(multiplier=0.5), "multiplier"),
        (lambda: RetryPolicy(max_elapsed_s=0), "max_elapsed_s"),
        (lambda: langchain_tamma_openai.CircuitBreaker(failure_threshold=0), "failure_threshold"),
        (lambda: langchain_tamma_openai.CircuitBreaker(recovery_timeout_s=-1), "recovery_timeout"),
        (lambda: langchain_tamma_openai.CircuitBreaker(storage="etcd://x"), "storage"),
        (lambda: langchain_tamma_openai.QuotaMemory(remember_s=-1), "remember_s"),
        (lambda: langchain_tamma_openai.OpenAIRateLimiter(0), "requests_per_minute"),
        (lambda: langchain_tamma_openai.OpenAIRateLimiter(storage="etcd://x"), "storage"),
    ],
)
def test_a_bad_governor_is_one_clear_error(make: Any, name: str) -> None:
    with pytest.raises(ConfigurationError, match=name):
        make()
