"""The classifier and the readers of durations and waits, without any HTTP."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import math
from email.utils import formatdate
from typing import Any

import httpx2
import openai
import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core import exceptions as lc

from langchain_tamma_openai import errors
from langchain_tamma_openai.resilience.classify import (
    ClassifiedError,
    ErrorClassifier,
    ErrorKind,
)
from langchain_tamma_openai.resilience.headers import parse_duration_s, parse_retry_after

KEY = "sk-proj-abcdefghijklmnopqrstuvwxyz012345"
NOW_S = 1_800_000_000.0
REQUEST = httpx2.Request("POST", "https://api.openai.com/v1/chat/completions")


def classify(exc: BaseException) -> ClassifiedError:
    return ErrorClassifier(now=lambda: NOW_S).classify(exc)


def rate_limited(message: str = "slow", **headers: str) -> openai.RateLimitError:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    response = httpx2.Response(429, headers=named, request=REQUEST)
    return openai.RateLimitError(message, response=response, body=None)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("6m0s", 360),
        ("1s", 1),
        ("7.66s", 7.66),
        ("6ms", 0.006),
        ("12ms", 0.012),
        ("120ms", 0.12),
        ("1m30s", 90),
        ("50.529s", 50.529),
        ("8h38m24s", 31104),
        ("5us", 5e-6),
        ("5µs", 5e-6),
        ("5μs", 5e-6),
        ("5ns", 5e-9),
        ("3", 3),
        ("1.5", 1.5),
        (" 2s ", 2),
        ("0s", 0),
        ("", None),
        (None, None),
        ("later", None),
        ("1s later", None),
        ("-1s", None),
        ("1x", None),
        ("s", None),
        ("1 s", None),
        ("٣s", None),
        ("9" * 400, None),
    ],
)
def test_durations_are_read_as_go_writes_them(text: str | None, seconds: float | None) -> None:
    parsed = parse_duration_s(text)
    assert parsed == (None if seconds is None else pytest.approx(seconds))


@given(st.integers(0, 99), st.integers(0, 59), st.integers(0, 59), st.integers(0, 999))
def test_a_duration_is_the_sum_of_its_parts(h: int, m: int, s: int, ms: int) -> None:
    expected = h * 3600 + m * 60 + s + ms / 1000
    assert parse_duration_s(f"{h}h{m}m{s}s{ms}ms") == pytest.approx(expected)


@given(st.text())
def test_any_text_gives_a_finite_duration_or_nothing(text: str) -> None:
    parsed = parse_duration_s(text)
    assert parsed is None or (math.isfinite(parsed) and parsed >= 0)


@pytest.mark.parametrize(
    ("headers", "message", "seconds"),
    [
        ({"retry-after": "3"}, None, 3.0),
        ({"retry-after": "1.5"}, None, 1.5),
        ({"retry-after-ms": "250"}, None, 0.25),
        ({"retry-after-ms": "250", "retry-after": "9"}, None, 0.25),
        ({"retry-after-ms": "soon", "retry-after": "9"}, None, 9.0),
        ({"retry-after-ms": "0", "retry-after": "9"}, None, 9.0),
        ({"retry-after": formatdate(NOW_S + 20, usegmt=True)}, None, 20.0),
        ({"retry-after": formatdate(NOW_S - 20, usegmt=True)}, None, None),
        ({"retry-after": "0"}, None, None),
        ({"retry-after": "-5"}, None, None),
        ({"retry-after": "nan"}, None, None),
        ({"retry-after": "inf"}, None, None),
        ({"retry-after": "1e999"}, None, math.inf),
        ({"retry-after": "121"}, None, 121.0),
        ({"retry-after": ""}, None, None),
        ({"retry-after": "Fri, 99 Foo 9999999999 00:00:00 GMT"}, None, None),
        ({"retry-after": "1, 2"}, None, None),
        ({"retry-after": "Fri, 31 Dec 99999 23:59:59 GMT"}, None, None),
        ({}, "Rate limit reached. Please try again in 1.146s.", 1.146),
        ({}, "Please try again in 6ms. Visit https://x.test.", 0.006),
        ({}, "Please try again in 1m30s. Then", 90.0),
        ({}, "{'message': 'Please try again in 2s.'}", 2.0),
        ({}, "Please retry after 6 seconds.", 6.0),
        ({}, "Please try again in a while.", None),
        ({"retry-after": "0"}, "Please try again in 2s.", 2.0),
        ({"retry-after": "4"}, "Please try again in 2s.", 4.0),
        (None, None, None),
    ],
)
def test_the_wait_the_server_asks_for(
    headers: dict[str, str] | None, message: str | None, seconds: float | None
) -> None:
    parsed = parse_retry_after(headers, message, NOW_S)
    assert parsed == (None if seconds is None else pytest.approx(seconds))


@given(st.text(), st.text())
def test_a_wait_is_positive_or_unknown_whatever_the_server_sends(value: str, text: str) -> None:
    parsed = parse_retry_after({"retry-after": value, "retry-after-ms": value}, text, NOW_S)
    assert parsed is None or parsed > 0


@pytest.mark.parametrize(
    "exc",
    [asyncio.CancelledError(), KeyboardInterrupt(), SystemExit(), GeneratorExit()],
    ids=lambda exc: type(exc).__name__,
)
def test_a_cancellation_is_never_retried(exc: BaseException) -> None:
    classified = classify(exc)
    assert (classified.kind, classified.retryable) == (ErrorKind.CANCELLED, False)


@pytest.mark.parametrize("name", [name for name in errors.__all__ if name.endswith("Error")])
def test_our_own_errors_classify_as_themselves(name: str) -> None:
    error: errors.TammaError = getattr(errors, name)("x", retry_after_s=2.0)
    for retryable in (True, False):
        error.retryable = retryable
        classified = classify(error)
        assert classified == ClassifiedError(
            kind=error.kind,
            severity=error.severity,
            retryable=retryable,
            retry_after_s=2.0,
            user_message=error.user_message,
            technical_message="x",
            original=error,
        )


@pytest.mark.parametrize(
    ("exc", "kind", "retryable"),
    [
        (json.JSONDecodeError("Expecting value", "{", 1), ErrorKind.MALFORMED_RESPONSE, False),
        (httpx2.ReadTimeout("slow"), ErrorKind.TIMEOUT, True),
        (httpx2.RemoteProtocolError("closed"), ErrorKind.CONNECTION, True),
        (lc.ModelRateLimitError("another provider"), ErrorKind.RATE_LIMIT, True),
        (lc.ContextOverflowError("another provider"), ErrorKind.CONTEXT_OVERFLOW, False),
        (openai.OpenAIError("no key"), ErrorKind.CONFIGURATION, False),
        (ValueError("a bug"), ErrorKind.UNKNOWN, False),
        (RuntimeError("maximum context length"), ErrorKind.CONTEXT_OVERFLOW, False),
    ],
)
def test_errors_from_elsewhere(exc: Exception, kind: ErrorKind, *, retryable: bool) -> None:
    classified = classify(exc)
    assert (classified.kind, classified.retryable) == (kind, retryable)
    assert classified.original is exc


@pytest.mark.parametrize("exc", [OSError("disk"), KeyError("x"), Exception()])
def test_what_no_rule_knows_is_unknown_and_not_retried(exc: Exception) -> None:
    classified = classify(exc)
    assert (classified.kind, classified.retryable) == (ErrorKind.UNKNOWN, False)
    assert classified.technical_message.startswith(type(exc).__name__)


def test_a_date_is_measured_from_the_given_clock() -> None:
    exc = rate_limited(retry_after=formatdate(NOW_S + 30, usegmt=True))
    assert classify(exc).retry_after_s == pytest.approx(30.0)


@pytest.mark.parametrize(
    ("headers", "retryable"),
    [
        ({}, True),
        ({"retry_after": "120"}, True),
        ({"retry_after": "121"}, False),
        ({"retry_after": "121", "x_should_retry": "true"}, False),
        ({"x_should_retry": "false"}, False),
        ({"x_should_retry": "maybe"}, True),
    ],
)
def test_the_servers_word_counts(headers: dict[str, str], *, retryable: bool) -> None:
    assert classify(rate_limited(**headers)).retryable is retryable


def test_quota_in_the_words_of_a_gateway_is_never_retried() -> None:
    exc = rate_limited("You exceeded your current quota", x_should_retry="true")
    classified = classify(exc)
    assert (classified.kind, classified.retryable) == (ErrorKind.INSUFFICIENT_QUOTA, False)


def test_text_is_the_last_resort() -> None:
    """A code decides even if the words say something else."""
    body = {"code": "slow_down", "message": "Request too large", "type": "rate_limit_error"}
    response = httpx2.Response(429, request=REQUEST)
    exc = openai.RateLimitError("Request too large", response=response, body=body)
    assert classify(exc).kind is ErrorKind.SLOW_DOWN


@pytest.mark.parametrize("code", [True, 1.5, ["x"], {}, ""])
def test_fields_of_the_wrong_type_are_ignored(code: Any) -> None:
    exc = openai.APIError("odd", REQUEST, body=None)
    vars(exc).update(code=code, type=code, param=code, status_code=True)
    assert classify(exc).kind is ErrorKind.SERVER_ERROR


def test_a_number_that_is_no_status_says_nothing() -> None:
    exc = openai.APIError("odd", REQUEST, body={"code": 20012})
    assert classify(exc).kind is ErrorKind.UNKNOWN


def test_a_decision_names_the_model_and_hides_secrets() -> None:
    exc = rate_limited(f"slow for {KEY}")
    classified = ErrorClassifier().classify(exc, model="gpt-6-luna")
    assert "gpt-6-luna" in classified.user_message
    assert KEY not in classified.technical_message
    assert classified.technical_message == "RateLimitError: slow for sk-*** [status=429]"


def test_a_decision_cannot_be_changed() -> None:
    classified = classify(ValueError("x"))
    with pytest.raises(dataclasses.FrozenInstanceError):
        classified.retryable = True  # type: ignore[misc]


@given(
    st.sampled_from([400, 401, 403, 404, 408, 409, 422, 429, 500, 502, 503, 504]),
    st.one_of(st.none(), st.text()),
    st.one_of(st.none(), st.text()),
    st.text(),
)
def test_any_answer_gets_a_decision(
    status: int, code: str | None, type_: str | None, text: str
) -> None:
    response = httpx2.Response(status, request=REQUEST)
    exc = openai.APIStatusError(text, response=response, body={"code": code, "type": type_})
    classified = classify(exc)
    assert classified.kind is not ErrorKind.UNKNOWN
    assert classified.user_message
