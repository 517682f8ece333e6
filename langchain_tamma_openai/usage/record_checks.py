"""What a record must be so that every store can take it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import NoneType
from typing import NoReturn, cast
from uuid import UUID

from langchain_tamma_openai.checks import shown
from langchain_tamma_openai.errors import InvalidParameterError
from langchain_tamma_openai.pricing_cost import Cost
from langchain_tamma_openai.usage.money import MAX_EXPONENT, is_storable_usd
from langchain_tamma_openai.usage.record import (
    AttemptOutcome,
    AttemptRecord,
    Delivery,
    Measurement,
    RunStatus,
    UsageRecord,
)
from langchain_tamma_openai.usage.record_codec import (
    ATTEMPT_TEXTS,
    RUN_TEXTS,
    TOKEN_FIELDS,
    attempt_text_values,
    run_text_values,
    token_values,
)
from langchain_tamma_openai.wire.usage import TokenUsage

# Sums of 900 million runs fit into 64 bits.
_MAX_COUNT = 10**10
_MAX_SECONDS = 10**9
_INT = {int}
_TEXT = {str, NoneType}
_RUN_KINDS: Mapping[str, type | tuple[type, ...]] = {
    "run_id": UUID,
    "parent_run_id": (UUID, NoneType),
    "root_run_id": UUID,
    "status": RunStatus,
    "streamed": bool,
    "cache_hit": bool,
    "estimated": bool,
    "tokens": (TokenUsage, NoneType),
    "cost": (Cost, NoneType),
    "tags": tuple,
    "metadata": Mapping,
    "attempt_records": tuple,
}
_ATTEMPT_KINDS: Mapping[str, type | tuple[type, ...]] = {
    "outcome": AttemptOutcome,
    "delivery": Delivery,
    "measurement": Measurement,
    "tokens": (TokenUsage, NoneType),
    "cost": (Cost, NoneType),
}


def check_record(record: object) -> None:
    """Check a record before it is taken; cheap, for it happens at every call.

    Args:
        record: What a caller passed.

    Raises:
        InvalidParameterError: It is no record, or has a value that no store could keep.
    """
    if not isinstance(record, UsageRecord):
        _refuse("record", record, "a UsageRecord")
    _check_kinds(record, _RUN_KINDS)
    _check_texts(RUN_TEXTS, run_text_values(record))
    for tag in record.tags:
        if not isinstance(tag, str):
            _refuse("tags", tag, "texts")
    _check_seconds(record.latency_s, "latency_s")
    _check_seconds(record.time_to_first_token_s or 0.0, "time_to_first_token_s")
    _check_count(record.attempts, "attempts")
    _check_usage(record.tokens, record.cost)
    for attempt in record.attempt_records:
        _check_attempt(attempt, record)


def check_amounts(record: UsageRecord) -> None:
    """Check the numbers of a record that we made ourselves: they come from a server.

    Args:
        record: The record.

    Raises:
        InvalidParameterError: It has a number that no store could keep.
    """
    _check_usage(record.tokens, record.cost)
    for attempt in record.attempt_records:
        if attempt.tokens is not record.tokens or attempt.cost is not record.cost:
            _check_usage(attempt.tokens, attempt.cost)


def _check_attempt(attempt: AttemptRecord, record: UsageRecord) -> None:
    _check_kinds(attempt, _ATTEMPT_KINDS)
    if attempt.run_id != record.run_id:
        _refuse("attempt_records", attempt.run_id, f"attempts of the run {record.run_id}")
    _check_texts(ATTEMPT_TEXTS, attempt_text_values(attempt))
    _check_seconds(attempt.latency_s, "latency_s")
    _check_seconds(attempt.time_to_first_token_s or 0.0, "time_to_first_token_s")
    _check_count(attempt.number, "number")
    if attempt.status_code is not None:
        _check_count(attempt.status_code, "status_code")
    if attempt.tokens is not record.tokens or attempt.cost is not record.cost:
        _check_usage(attempt.tokens, attempt.cost)


def _check_kinds(record: object, kinds: Mapping[str, type | tuple[type, ...]]) -> None:
    for name, kind in kinds.items():
        value: object = getattr(record, name)
        if not isinstance(value, kind):
            kinds_of_value = kind if isinstance(kind, tuple) else (kind,)
            _refuse(name, value, " or ".join(each.__name__ for each in kinds_of_value))


def _check_usage(tokens: TokenUsage | None, cost: Cost | None) -> None:
    if tokens is not None:
        counts = cast("tuple[int, ...]", token_values(tokens))
        # One glance suffices nearly always.
        if set(map(type, counts)) != _INT or not 0 <= min(counts) <= max(counts) <= _MAX_COUNT:
            for name, count in zip(TOKEN_FIELDS, counts, strict=True):
                _check_count(count, name)
    if cost is None:
        return
    for amount in (cost.input_usd, cost.output_usd, cost.total_usd):
        if amount is not None and not is_storable_usd(amount):
            _refuse("cost", amount, f"finite amounts with exponents within {MAX_EXPONENT}")


def _check_texts(names: tuple[str, ...], values: tuple[object, ...]) -> None:
    if set(map(type, values)) <= _TEXT:
        return
    for name, value in zip(names, values, strict=True):
        if value is not None and not isinstance(value, str):
            _refuse(name, value, "a text or None")


def _check_seconds(value: object, name: str) -> None:
    if not isinstance(value, int | float) or not math.isfinite(value) or abs(value) > _MAX_SECONDS:
        _refuse(name, value, "a finite number of seconds")


def _check_count(value: object, name: str) -> None:
    if not isinstance(value, int) or not 0 <= value <= _MAX_COUNT:
        _refuse(name, value, f"a whole number from 0 to {_MAX_COUNT}")


def _refuse(name: str, value: object, expected: str) -> NoReturn:
    raise InvalidParameterError(f"{name}: got {shown(value)}, must be {expected}", param=name)
