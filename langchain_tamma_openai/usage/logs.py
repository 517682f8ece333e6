"""One log line for each model run, with its facts as fields of the log record.

Logger `langchain_tamma_openai.usage`: runs at INFO, failed ones at WARNING, their HTTP attempts at
DEBUG. A level that is off costs one comparison.
"""

from __future__ import annotations

import logging
from typing import ClassVar

from langchain_tamma_openai.pricing_cost import Cost, plain_decimal
from langchain_tamma_openai.redact import redact_value
from langchain_tamma_openai.usage.record import AttemptRecord, RunStatus, UsageRecord
from langchain_tamma_openai.wire.usage import TokenUsage

__all__ = ["UsageLog", "log_run", "logger"]

logger = logging.getLogger("langchain_tamma_openai.usage")
# Without logging set up, Python would print each failed run to stderr.
logger.addHandler(logging.NullHandler())

_TROUBLE = frozenset({RunStatus.ERROR, RunStatus.INTERRUPTED})


class UsageLog:
    """A tracker that only logs: `UsageCallbackHandler(UsageLog())` needs no ledger."""

    accepts_usage_records: ClassVar[bool] = True

    def record(self, record: UsageRecord, /) -> None:
        """Do nothing more: the handler that made the record has logged it.

        Args:
            record: The record of a run.
        """


def log_run(record: UsageRecord) -> None:
    """Write down a run that has ended, if anyone listens.

    Args:
        record: Its record.
    """
    level = _level(record.status)
    if logger.isEnabledFor(level):
        fields = _run_fields(record)
        logger.log(level, _run_text(record, fields), extra=fields)
    if logger.isEnabledFor(logging.DEBUG):
        for attempt in record.attempt_records:
            fields = _attempt_fields(attempt)
            logger.debug(_attempt_text(attempt), extra=fields)


def _level(status: RunStatus) -> int:
    return logging.WARNING if status in _TROUBLE else logging.INFO


def _run_fields(record: UsageRecord) -> dict[str, object]:
    fields = {
        "run_id": str(record.run_id),
        "parent_run_id": None if record.parent_run_id is None else str(record.parent_run_id),
        "root_run_id": str(record.root_run_id),
        "status": record.status.value,
        "provider": record.provider,
        "requested_model": record.requested_model,
        "model": record.model,
        "service_tier": record.service_tier,
        **_token_fields(record.tokens),
        **_cost_fields(record.cost),
        "estimated": record.estimated,
        "cache_hit": record.cache_hit,
        "streamed": record.streamed,
        "attempts": record.attempts,
        "fallback": record.fallback,
        "latency_s": round(record.latency_s, 6),
        "time_to_first_token_s": _rounded(record.time_to_first_token_s),
        "error_kind": record.error_kind,
        "error_code": record.error_code,
        "request_id": record.request_id,
        "response_id": record.response_id,
        "user_id": record.user_id,
        "organization_id": record.organization_id,
        "run_tags": list(record.tags),
        "prompt_id": record.prompt_id,
        "prompt_version": record.prompt_version,
    }
    return {key: redact_value(value) for key, value in fields.items()}


def _attempt_fields(attempt: AttemptRecord) -> dict[str, object]:
    fields = {
        "run_id": str(attempt.run_id),
        "attempt": attempt.number,
        "outcome": attempt.outcome.value,
        "delivery": attempt.delivery.value,
        "measurement": attempt.measurement.value,
        "requested_model": attempt.requested_model,
        "model": attempt.model,
        **_token_fields(attempt.tokens),
        **_cost_fields(attempt.cost),
        "latency_s": round(attempt.latency_s, 6),
        "status_code": attempt.status_code,
        "error_kind": attempt.error_kind,
        "error_code": attempt.error_code,
        "request_id": attempt.request_id,
        "response_id": attempt.response_id,
    }
    return {key: redact_value(value) for key, value in fields.items()}


def _token_fields(tokens: TokenUsage | None) -> dict[str, int | None]:
    return {
        "input_tokens": None if tokens is None else tokens.input_tokens,
        "output_tokens": None if tokens is None else tokens.output_tokens,
        "total_tokens": None if tokens is None else tokens.total_tokens,
        "cached_tokens": None if tokens is None else tokens.cached_tokens,
        "reasoning_tokens": None if tokens is None else tokens.reasoning_tokens,
    }


def _cost_fields(cost: Cost | None) -> dict[str, str | None]:
    return {"cost_usd": None if cost is None else plain_decimal(cost.total_usd)}


def _run_text(record: UsageRecord, fields: dict[str, object]) -> str:
    tokens = "unknown" if record.tokens is None else str(record.tokens.total_tokens)
    cost = "unknown" if fields["cost_usd"] is None else f"${fields['cost_usd']}"
    text = (
        f"{fields['model'] or fields['requested_model'] or 'unknown model'}: {record.status}, "
        f"{tokens} tokens, {cost}{' (estimated)' if record.estimated else ''}, "
        f"{record.attempts} attempt{'' if record.attempts == 1 else 's'}, {record.latency_s:.3f} s"
    )
    if record.error_kind is None:
        return text
    code = f" ({fields['error_code']})" if fields["error_code"] else ""
    return f"{text}, {record.error_kind}{code}"


def _attempt_text(attempt: AttemptRecord) -> str:
    return f"attempt {attempt.number}: {attempt.outcome}, {attempt.latency_s:.3f} s"


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 6)
