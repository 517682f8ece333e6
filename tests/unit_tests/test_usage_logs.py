"""One log line for each run, with its facts as fields, and nothing when nobody listens."""

from __future__ import annotations

import logging
from uuid import uuid4

import pytest
from recording import Collector, OtherModel, attempt

from langchain_tamma_openai.errors import RateLimitError
from langchain_tamma_openai.usage import logs
from langchain_tamma_openai.usage.callbacks import UsageCallbackHandler
from langchain_tamma_openai.usage.logs import UsageLog
from langchain_tamma_openai.usage.record import AttemptOutcome

LOGGER = "langchain_tamma_openai.usage"


def fields(entry: logging.LogRecord, *names: str) -> tuple[object, ...]:
    return tuple(getattr(entry, name) for name in names)


def test_a_run_is_one_line_with_fields(caplog: pytest.LogCaptureFixture) -> None:
    handler = UsageCallbackHandler(UsageLog())
    metadata = {"user_id": "u-1", "organization_id": "o-1"}
    with caplog.at_level(logging.INFO, LOGGER):
        OtherModel().invoke("Hello", {"callbacks": [handler], "metadata": metadata})
    (entry,) = caplog.records
    assert (entry.name, entry.levelno) == (LOGGER, logging.INFO)
    text = "gpt-6.1-sol-2026-08-01: ok, 1100 tokens, $0.00277, 1 attempt, "
    assert entry.getMessage().startswith(text)
    assert fields(entry, "model", "status", "attempts", "total_tokens", "cost_usd") == (
        "gpt-6.1-sol-2026-08-01",
        "ok",
        1,
        1100,
        "0.00277",
    )
    assert fields(entry, "user_id", "organization_id") == ("u-1", "o-1")
    assert isinstance(entry.__dict__["latency_s"], float)
    assert entry.__dict__["run_id"]


def test_a_failure_is_a_warning_with_its_code_and_no_secret(
    caplog: pytest.LogCaptureFixture,
) -> None:
    handler = UsageCallbackHandler(Collector())
    error = RateLimitError("slow", code="rate_limit_exceeded", status_code=429)
    config = {"callbacks": [handler], "metadata": {"user_id": "sk-proj-abcdefghijk"}}
    with caplog.at_level(logging.WARNING, LOGGER), pytest.raises(RateLimitError):
        OtherModel(error=error).invoke("Hello", config)  # type: ignore[arg-type]
    (entry,) = caplog.records
    assert entry.levelno == logging.WARNING
    assert entry.getMessage().endswith("rate_limit (rate_limit_exceeded)")
    assert fields(entry, "error_code", "error_kind", "cost_usd", "user_id") == (
        "rate_limit_exceeded",
        "rate_limit",
        None,
        "sk-***",
    )


def test_attempts_are_logged_at_debug(caplog: pytest.LogCaptureFixture) -> None:
    handler = UsageCallbackHandler(UsageLog())
    run_id = uuid4()
    handler.on_attempt(attempt(run_id, 1, outcome=AttemptOutcome.RETRY, status_code=500))
    handler.on_attempt(attempt(run_id, 2))
    with caplog.at_level(logging.DEBUG, LOGGER):
        handler.on_run_abandoned(run_id, KeyboardInterrupt())
    run, first, second = caplog.records
    assert (run.levelno, first.levelno) == (logging.INFO, logging.DEBUG)
    assert fields(first, "attempt", "outcome", "status_code") == (1, "retry", 500)
    assert fields(second, "attempt", "outcome") == (2, "success")


def test_nothing_is_put_together_when_the_level_is_off(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(logs, "_run_fields")
    monkeypatch.delattr(logs, "_attempt_fields")
    with caplog.at_level(logging.WARNING, LOGGER):
        handler = UsageCallbackHandler(UsageLog())
        OtherModel().invoke("Hello", {"callbacks": [handler]})
    assert caplog.records == []
    assert handler.totals.requests == 1
