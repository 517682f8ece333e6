"""Records as flat JSON objects and back, without losing a digit.

Amounts are plain decimal strings, times are ISO 8601 in UTC, ids are text. Tokens and cost are
flat keys of the record, None together when the record knows neither.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import fields
from datetime import UTC, datetime
from decimal import Decimal
from operator import attrgetter
from typing import Any, NoReturn, TypeAlias, TypeVar, cast
from uuid import UUID

from langchain_tamma_openai.pricing_cost import Cost, CostPart, plain_decimal
from langchain_tamma_openai.usage.record import (
    AttemptOutcome,
    AttemptRecord,
    Delivery,
    Measurement,
    RunStatus,
    UsageRecord,
)
from langchain_tamma_openai.wire.usage import TokenUsage

JSON: TypeAlias = dict[str, "JSON"] | list["JSON"] | str | int | float | bool | None
Value = TypeVar("Value")

TOKEN_FIELDS = tuple(field.name for field in fields(TokenUsage))
COST_FIELDS = (
    "input_cost_usd",
    "output_cost_usd",
    "total_cost_usd",
    "currency",
    "pricing_source",
    "cost_estimated",
    "cost_unknown_reason",
)
RUN_TEXTS = (
    "provider",
    "api",
    "requested_model",
    "model",
    "service_tier",
    "fallback",
    "error_kind",
    "error_code",
    "request_id",
    "response_id",
    "user_id",
    "organization_id",
    "prompt_id",
    "prompt_version",
)
RUN_PLAIN = (
    "latency_s",
    "time_to_first_token_s",
    "streamed",
    "cache_hit",
    "estimated",
    "attempts",
)
ATTEMPT_TEXTS = (
    "requested_model",
    "model",
    "base_url",
    "api",
    "service_tier",
    "error_kind",
    "error_code",
    "request_id",
    "response_id",
)
ATTEMPT_PLAIN = ("number", "latency_s", "time_to_first_token_s", "status_code")

_NO_TOKENS = (None,) * len(TOKEN_FIELDS)
_NO_COST = (None,) * len(COST_FIELDS)
_token_counts = attrgetter(*TOKEN_FIELDS)
run_text_values = attrgetter(*RUN_TEXTS)
_run_plain = attrgetter(*RUN_PLAIN)
attempt_text_values = attrgetter(*ATTEMPT_TEXTS)
_attempt_plain = attrgetter(*ATTEMPT_PLAIN)
_NOT_A_RECORD = (AttributeError, KeyError, TypeError, ValueError, ArithmeticError)


def record_to_dict(record: UsageRecord) -> dict[str, JSON]:
    """Write a record as a JSON object.

    Args:
        record: The record of one model run.

    Returns:
        A flat object but for `tags`, `metadata`, `cost_parts` and `attempt_records`. Metadata that
        JSON has no value for becomes text.
    """
    return {
        "run_id": str(record.run_id),
        "parent_run_id": _text_of_id(record.parent_run_id),
        "root_run_id": _text_of_id(record.root_run_id),
        "started_at": time_text(record.started_at),
        "status": record.status.value,
        **dict(zip(RUN_PLAIN, _run_plain(record), strict=True)),
        **dict(zip(RUN_TEXTS, run_texts(record), strict=True)),
        **_usage_to_dict(record.tokens, record.cost),
        "tags": [clean_text(tag) for tag in record.tags],
        "metadata": json_value(record.metadata),
        "attempt_records": [attempt_to_dict(attempt) for attempt in record.attempt_records],
    }


def attempt_to_dict(attempt: AttemptRecord) -> dict[str, JSON]:
    """Write the record of one HTTP attempt as a JSON object.

    Args:
        attempt: The record.
    """
    return {
        "run_id": str(attempt.run_id),
        "started_at": time_text(attempt.started_at),
        "outcome": attempt.outcome.value,
        "delivery": attempt.delivery.value,
        "measurement": attempt.measurement.value,
        **dict(zip(ATTEMPT_PLAIN, _attempt_plain(attempt), strict=True)),
        **dict(zip(ATTEMPT_TEXTS, attempt_texts(attempt), strict=True)),
        **_usage_to_dict(attempt.tokens, attempt.cost),
    }


def record_from_dict(raw: Mapping[str, object]) -> UsageRecord:
    """Read back what `record_to_dict` wrote. Keys that it does not know are left out.

    Args:
        raw: The JSON object.

    Raises:
        InvalidParameterError: It is no such object.
    """
    try:
        return UsageRecord(
            run_id=UUID(str(raw["run_id"])),
            parent_run_id=_read_id(raw.get("parent_run_id")),
            root_run_id=_read_id(raw.get("root_run_id")),
            started_at=read_time(raw["started_at"]),
            status=RunStatus(str(raw["status"])),
            tokens=_read_tokens(raw),
            cost=_read_cost(raw),
            tags=tuple(str(tag) for tag in cast("list[object]", raw.get("tags") or ())),
            metadata=dict(cast("Mapping[str, object]", raw.get("metadata") or {})),
            attempt_records=tuple(
                attempt_from_dict(attempt)
                for attempt in cast("list[Mapping[str, object]]", raw.get("attempt_records") or ())
            ),
            **_known(raw, RUN_PLAIN + RUN_TEXTS),
        )
    except _NOT_A_RECORD as exc:
        _refuse("record", exc)


def attempt_from_dict(raw: Mapping[str, object]) -> AttemptRecord:
    """Read back what `attempt_to_dict` wrote.

    Args:
        raw: The JSON object.

    Raises:
        InvalidParameterError: It is no such object.
    """
    try:
        return AttemptRecord(
            run_id=UUID(str(raw["run_id"])),
            started_at=read_time(raw["started_at"]),
            outcome=AttemptOutcome(str(raw["outcome"])),
            delivery=Delivery(str(raw["delivery"])),
            measurement=Measurement(str(raw["measurement"])),
            tokens=_read_tokens(raw),
            cost=_read_cost(raw),
            **_known(raw, ATTEMPT_PLAIN + ATTEMPT_TEXTS),
        )
    except _NOT_A_RECORD as exc:
        _refuse("attempt", exc)


def run_texts(record: UsageRecord) -> tuple[str | None, ...]:
    """Give the texts of a record in the order of `RUN_TEXTS`, storable everywhere."""
    return _clean_all(run_text_values(record))


def run_plain(record: UsageRecord) -> tuple[float | None, ...]:
    """Give the numbers and flags of a record in the order of `RUN_PLAIN`."""
    return cast("tuple[float | None, ...]", _run_plain(record))


def attempt_texts(attempt: AttemptRecord) -> tuple[str | None, ...]:
    """Give the texts of an attempt in the order of `ATTEMPT_TEXTS`, storable everywhere."""
    return _clean_all(attempt_text_values(attempt))


def attempt_plain(attempt: AttemptRecord) -> tuple[float | None, ...]:
    """Give the numbers of an attempt in the order of `ATTEMPT_PLAIN`."""
    return cast("tuple[float | None, ...]", _attempt_plain(attempt))


def token_values(tokens: TokenUsage | None) -> tuple[int | None, ...]:
    """Give the counts in the order of `TOKEN_FIELDS`; all None when nothing is known."""
    return _NO_TOKENS if tokens is None else cast("tuple[int, ...]", _token_counts(tokens))


def cost_values(cost: Cost | None) -> tuple[str | bool | None, ...]:
    """Give a cost in the order of `COST_FIELDS`; all None when nothing is known."""
    if cost is None:
        return _NO_COST
    return (
        plain_decimal(cost.input_usd),
        plain_decimal(cost.output_usd),
        plain_decimal(cost.total_usd),
        cost.currency,
        _clean(cost.pricing_source),
        cost.estimated,
        _clean(cost.unknown_reason),
    )


def parts_to_json(cost: Cost | None) -> list[JSON]:
    """Write the parts of a cost."""
    return [
        {
            "kind": part.kind,
            "tokens": part.tokens,
            "usd_per_mtok": plain_decimal(part.usd_per_mtok),
            "usd": plain_decimal(part.usd),
        }
        for part in (cost.parts if cost is not None else ())
    ]


def parts_from_json(raw: object) -> tuple[CostPart, ...]:
    """Read back what `parts_to_json` wrote."""
    return tuple(
        CostPart(
            kind=str(part["kind"]),
            tokens=int(str(part["tokens"])),
            usd_per_mtok=Decimal(str(part["usd_per_mtok"])),
            usd=Decimal(str(part["usd"])),
        )
        for part in cast("list[Mapping[str, object]]", raw or ())
    )


def time_text(moment: datetime) -> str:
    """Write a time as ISO 8601 in UTC, always with microseconds, so that texts sort as times do."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ").rjust(27, "0")


def read_time(value: object) -> datetime:
    """Read a time as ISO 8601; without a zone it is UTC."""
    moment = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def clean_text(text: str) -> str:
    """Replace what no database and no UTF-8 file can hold: NUL and half surrogate pairs."""
    if text.isascii():
        return text if "\x00" not in text else text.replace("\x00", "\ufffd")
    text = text.replace("\x00", "\ufffd")
    try:
        text.encode()
    except UnicodeEncodeError:
        return "".join("\ufffd" if "\ud800" <= char <= "\udfff" else char for char in text)
    return text


def _clean_all(texts: tuple[str | None, ...]) -> tuple[str | None, ...]:
    """Clean texts; nearly all are plain ASCII, which a glance tells."""
    joined = "".join(text for text in texts if text is not None)
    if joined.isascii() and "\x00" not in joined:
        return texts
    return tuple(map(_clean, texts))


def _clean(text: str | None) -> str | None:
    return None if text is None else clean_text(text)


def json_value(value: object) -> JSON:
    """Turn any value into one that JSON has; what JSON has no value for becomes text.

    Args:
        value: Metadata of a run, for example.
    """
    if isinstance(value, Mapping):
        return {clean_text(str(key)): json_value(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [json_value(item) for item in value]
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float) and math.isfinite(value):
        return value
    if isinstance(value, Decimal) and value.is_finite():
        return plain_decimal(value)
    return clean_text(time_text(value) if isinstance(value, datetime) else str(value))


def _usage_to_dict(tokens: TokenUsage | None, cost: Cost | None) -> dict[str, JSON]:
    return {
        **dict(zip(TOKEN_FIELDS, token_values(tokens), strict=True)),
        **dict(zip(COST_FIELDS, cost_values(cost), strict=True)),
        "cost_parts": parts_to_json(cost),
    }


def _read_tokens(raw: Mapping[str, object]) -> TokenUsage | None:
    if raw.get("total_tokens") is None:
        return None
    return TokenUsage(*[int(str(raw.get(name) or 0)) for name in TOKEN_FIELDS])


def _read_cost(raw: Mapping[str, object]) -> Cost | None:
    if raw.get("currency") is None:
        return None
    return Cost(
        input_usd=_read(Decimal, raw.get("input_cost_usd")),
        output_usd=_read(Decimal, raw.get("output_cost_usd")),
        total_usd=_read(Decimal, raw.get("total_cost_usd")),
        currency=str(raw["currency"]),
        pricing_source=_read(str, raw.get("pricing_source")),
        estimated=bool(raw.get("cost_estimated")),
        parts=parts_from_json(raw.get("cost_parts")),
        unknown_reason=_read(str, raw.get("cost_unknown_reason")),
    )


def _read(make: Callable[[str], Value], value: object) -> Value | None:
    return None if value is None else make(str(value))


def _read_id(value: object) -> UUID | None:
    return _read(UUID, value)


def _text_of_id(value: UUID | None) -> str | None:
    return None if value is None else str(value)


def _known(raw: Mapping[str, object], names: tuple[str, ...]) -> dict[str, Any]:
    return {name: raw[name] for name in names if name in raw}


def _refuse(kind: str, cause: Exception) -> NoReturn:
    from langchain_tamma_openai.errors import InvalidParameterError

    raise InvalidParameterError(
        f"{kind}: this is not a usage {kind} ({type(cause).__name__}: {cause}); "
        f"pass an object that `{kind}_to_dict` made",
        param=kind,
    ) from cause
