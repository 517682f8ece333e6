"""One line of a batch's output. No I/O.

The shape is that of the Batch API's output files, with what is worth knowing beside it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from langchain_tamma_openai.pricing_cost import plain_decimal

if TYPE_CHECKING:
    from langchain_core.messages import AIMessage

    from langchain_tamma_openai.batch_run.lines import BatchLine
    from langchain_tamma_openai.batch_run.problems import BadLine
    from langchain_tamma_openai.usage.record import UsageRecord
    from langchain_tamma_openai.wire.usage import TokenUsage

_OK = 200
_USAGE = (
    "input_tokens",
    "output_tokens",
    "total_tokens",
    "cached_tokens",
    "cache_write_tokens",
    "reasoning_tokens",
)


@dataclass(frozen=True, slots=True)
class BatchResult:
    """What became of one line.

    Attributes:
        line: Its number in the input, from 1.
        custom_id: The user's name for it.
        response: `status_code`, `request_id` and `body` of the server's last answer; None where
            there was none.
        error: `code`, `message`, `kind` and `retryable`; None for an answer.
        text: Text of the answer.
        tokens: Tokens of all attempts; None when unknown.
        cost_usd: Price of all attempts in US dollars; None when unknown.
        model: The model that served it, else the one that was asked for.
        attempts: How many requests were made.
        asked_before: How often an earlier process sent it without hearing the outcome.
    """

    line: int
    custom_id: str | None = None
    response: Mapping[str, Any] | None = None
    error: Mapping[str, Any] | None = None
    text: str | None = None
    tokens: TokenUsage | None = None
    cost_usd: Decimal | None = None
    model: str | None = None
    attempts: int = 0
    asked_before: int = 0

    def to_json(self) -> bytes:
        """Write it as one line."""
        fields = {
            "line": self.line,
            "custom_id": self.custom_id,
            "response": self.response,
            "error": self.error,
            "text": self.text,
            "usage": _usage(self.tokens),
            "cost_usd": None if self.cost_usd is None else plain_decimal(self.cost_usd),
            "model": self.model,
            "attempts": self.attempts,
        }
        if self.asked_before:
            fields["asked_before"] = self.asked_before
        try:
            return json.dumps(fields, ensure_ascii=False).encode() + b"\n"
        except UnicodeEncodeError:  # half a surrogate pair, which JSON can escape
            return json.dumps(fields).encode() + b"\n"


def _usage(tokens: TokenUsage | None) -> dict[str, int] | None:
    return None if tokens is None else {name: getattr(tokens, name) for name in _USAGE}


def answer_result(
    answer: AIMessage, record: UsageRecord | None, body: Mapping[str, Any] | None, **facts: Any
) -> BatchResult:
    """Make the result of an answered line.

    Args:
        answer: The answer.
        record: What is known of its run.
        body: The server's body; None when a cache answered.
        **facts: `line`, `custom_id`, `asked_before`.
    """
    response = None
    if body is not None:
        request_id = None if record is None else record.request_id
        response = {"status_code": _OK, "request_id": request_id, "body": body}
    model = answer.response_metadata.get("model_name")
    return BatchResult(
        response=response,
        text=str(answer.text),
        model=model if record is None or record.model is None else record.model,
        **_spent(record),
        **facts,
    )


def error_result(
    error: Exception,
    record: UsageRecord | None,
    body: Mapping[str, Any] | None,
    model: str | None,
    **facts: Any,
) -> BatchResult:
    """Make the result of a line that failed.

    Args:
        error: What it failed with.
        record: What is known of its run.
        body: The server's body where it answered and the answer was refused.
        model: The model that was asked for.
        **facts: `line`, `custom_id`, `asked_before`.
    """
    from langchain_tamma_openai.redact import redact_secrets
    from langchain_tamma_openai.resilience.classify import ErrorClassifier

    classified = ErrorClassifier().classify(error)
    message = getattr(error, "message", None) or str(error) or type(error).__name__
    described = {
        "code": getattr(error, "code", None) or classified.kind.value,
        "message": redact_secrets(str(message)),
        "kind": classified.kind.value,
        "retryable": classified.retryable,
    }
    return BatchResult(
        response=_refusal(error) if body is None else _accepted(record, body),
        error=described,
        model=model,
        **_spent(record),
        **facts,
    )


def _spent(record: UsageRecord | None) -> dict[str, Any]:
    if record is None:
        return {}
    cost = record.cost
    return {
        "tokens": record.tokens,
        "cost_usd": None if cost is None else cost.total_usd,
        "attempts": record.attempts,
    }


def _accepted(record: UsageRecord | None, body: Mapping[str, Any]) -> dict[str, Any]:
    request_id = None if record is None else record.request_id
    return {"status_code": _OK, "request_id": request_id, "body": body}


def _refusal(error: Exception) -> dict[str, Any] | None:
    """Give the server's refusal as it came; None where it did not answer."""
    status = getattr(error, "status_code", None)
    if not isinstance(status, int):
        return None
    request_id, body = getattr(error, "request_id", None), getattr(error, "body", None)
    return {
        "status_code": status,
        "request_id": request_id,
        "body": {"error": body} if _is_json(body) else None,
    }


def _is_json(value: object) -> bool:
    try:
        json.dumps(value)
    except (TypeError, ValueError, RecursionError):
        return False
    return value is not None


def bad_line_result(bad: BadLine) -> BatchResult:
    """Make the result of a line that cannot be asked.

    Args:
        bad: What is wrong with it.
    """
    error = {"code": "bad_line", "message": bad.reason, "kind": "bad_line", "retryable": False}
    return BatchResult(bad.line, bad.custom_id, error=error)


def unasked_result(line: BatchLine, first: int) -> BatchResult:
    """Make the result of a line whose model is known not to be there.

    Args:
        line: The line.
        first: The line whose failure told.
    """
    error = {
        "code": "model_not_found",
        "message": f"not asked: the model {line.model!r} was not found, see line {first}",
        "kind": "not_found",
        "retryable": False,
    }
    return BatchResult(line.line, line.custom_id, error=error, model=line.model)
