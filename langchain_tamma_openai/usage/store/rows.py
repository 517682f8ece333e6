"""Records as rows of the tables, and rows as records."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TypeAlias, cast

from pydantic_core import to_json

from langchain_tamma_openai.pricing_cost import Cost, plain_decimal
from langchain_tamma_openai.usage.money import split_usd
from langchain_tamma_openai.usage.record import AttemptRecord, UsageRecord
from langchain_tamma_openai.usage.record_codec import (
    ATTEMPT_PLAIN,
    ATTEMPT_TEXTS,
    COST_FIELDS,
    RUN_PLAIN,
    RUN_TEXTS,
    TOKEN_FIELDS,
    attempt_plain,
    attempt_texts,
    clean_text,
    cost_values,
    json_value,
    parts_to_json,
    record_from_dict,
    run_plain,
    run_texts,
    token_values,
)
from langchain_tamma_openai.usage.store.measures import ODD, SPLIT_NAMES
from langchain_tamma_openai.usage.summary import AMOUNT_NAMES, microseconds
from langchain_tamma_openai.wire.usage import TokenUsage

SqlValue: TypeAlias = str | float | Decimal | None
Row: TypeAlias = tuple[SqlValue, ...]
NamedRow: TypeAlias = dict[str, object]

ATTEMPT_STATES = ("outcome", "delivery", "measurement")
_USAGE_COLUMNS = (*TOKEN_FIELDS, *COST_FIELDS, "cost_parts")
ATTEMPT_COLUMNS = (
    "seq",
    "position",
    "started_us",
    *ATTEMPT_STATES,
    *ATTEMPT_PLAIN,
    *ATTEMPT_TEXTS,
    *_USAGE_COLUMNS,
)
TAG_COLUMNS = ("seq", "tag")

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_NO_SPLIT: Row = (None,) * len(SPLIT_NAMES)


def run_columns(*, has_decimals: bool) -> tuple[str, ...]:
    """Name the columns of a run's row in their order.

    Args:
        has_decimals: Whether the database has exact decimals.
    """
    split = () if has_decimals else (*SPLIT_NAMES, ODD)
    head = ("seq", "run_id", "parent_run_id", "root_run_id", "started_us", "status")
    times = ("latency_us", "first_token_us")
    return (*head, *times, *RUN_PLAIN, *RUN_TEXTS, *_USAGE_COLUMNS, "tags", "metadata", *split)


@dataclass(frozen=True, slots=True)
class RunRows:
    """A run as rows in the order of their columns, but without `seq`."""

    run: Row
    attempts: list[Row]
    tags: tuple[str, ...]


def encode_run(record: UsageRecord, *, has_decimals: bool) -> RunRows:
    """Write a run as rows."""
    tags = tuple(map(clean_text, record.tags))
    usage = _usage_columns(record.tokens, record.cost, has_decimals=has_decimals)
    first_token_s = record.time_to_first_token_s
    run_id = str(record.run_id)
    is_root = record.root_run_id is record.run_id
    row = (
        run_id,
        None if record.parent_run_id is None else str(record.parent_run_id),
        run_id if is_root else str(record.root_run_id),
        to_us(record.started_at),
        record.status.value,
        microseconds(record.latency_s),
        None if first_token_s is None else microseconds(first_token_s),
        *run_plain(record),
        *run_texts(record),
        *usage,
        _encode(tags) if tags else "[]",
        _encode(json_value(record.metadata)) if record.metadata else "{}",
        *(() if has_decimals else _split_columns(record.cost)),
    )
    attempts: list[Row] = []
    for position, attempt in enumerate(record.attempt_records):
        # Most runs are one attempt, whose sums are the attempt's own objects.
        is_same = attempt.tokens is record.tokens and attempt.cost is record.cost
        own = (
            usage
            if is_same
            else _usage_columns(attempt.tokens, attempt.cost, has_decimals=has_decimals)
        )
        attempts.append(_attempt_row(attempt, position, own))
    return RunRows(row, attempts, tuple(dict.fromkeys(tags)))


def _attempt_row(attempt: AttemptRecord, position: int, usage: Row) -> Row:
    return (
        position,
        to_us(attempt.started_at),
        attempt.outcome.value,
        attempt.delivery.value,
        attempt.measurement.value,
        *attempt_plain(attempt),
        *attempt_texts(attempt),
        *usage,
    )


def read_run(row: NamedRow, attempts: Sequence[NamedRow]) -> UsageRecord:
    """Read a run and its attempts back."""
    raw = _readable(row)
    raw["tags"] = _loads(row["tags"])
    raw["metadata"] = _loads(row["metadata"])
    raw["attempt_records"] = [
        _readable(attempt) | {"run_id": row["run_id"]} for attempt in attempts
    ]
    return record_from_dict(raw)


def to_us(moment: datetime) -> int:
    """Count the microseconds since 1970."""
    return (moment - _EPOCH) // _MICROSECOND


def from_us(microseconds_: int) -> datetime:
    """Give the time that is so many microseconds after 1970."""
    return _EPOCH + timedelta(microseconds=microseconds_)


def _usage_columns(tokens: TokenUsage | None, cost: Cost | None, *, has_decimals: bool) -> Row:
    values: Row = cost_values(cost)
    if cost is None:
        return (*token_values(tokens), *values, None)
    if has_decimals:
        values = (cost.input_usd, cost.output_usd, cost.total_usd, *values[len(AMOUNT_NAMES) :])
    return (*token_values(tokens), *values, _parts_text(cost) if cost.parts else None)


def _parts_text(cost: Cost) -> str:
    """Write parts as JSON; nothing in them but the kind is a text that could need escapes."""
    if not all(part.kind.isidentifier() for part in cost.parts):
        return _encode(parts_to_json(cost))
    parts = [
        f'{{"kind":"{part.kind}","tokens":{part.tokens:d},'
        f'"usd_per_mtok":"{plain_decimal(part.usd_per_mtok)}","usd":"{plain_decimal(part.usd)}"}}'
        for part in cost.parts
    ]
    return f"[{','.join(parts)}]"


def _split_columns(cost: Cost | None) -> Row:
    """Split the amounts; when one of them is odd, none is split."""
    if cost is None:
        return (*_NO_SPLIT, False)
    split: list[int | None] = []
    for amount in (cost.input_usd, cost.output_usd, cost.total_usd):
        pair = (None, None) if amount is None else split_usd(amount)
        if pair is None:
            return (*_NO_SPLIT, True)
        split += pair
    return (*split, False)


def _encode(value: object) -> str:
    return to_json(value).decode()


def _readable(row: NamedRow) -> dict[str, object]:
    """Give a row the form that the codec reads."""
    return row | {
        "started_at": from_us(cast("int", row["started_us"])),
        "cost_parts": _loads(row["cost_parts"]),
    }


def _loads(text: object) -> object:
    return json.loads(str(text)) if text not in {None, "[]", "{}"} else None
