"""The columns of an export: each field of a record, flat, in a fixed order."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Literal

from langchain_tamma_openai.pricing_cost import plain_decimal
from langchain_tamma_openai.usage.record import UsageRecord
from langchain_tamma_openai.wire.usage import TokenUsage

Kind = Literal["text", "count", "number", "usd", "flag", "time", "tags", "json"]
Value = str | int | float | bool | Decimal | datetime | Sequence[str] | Mapping[str, object] | None
_NO_LISTS = (str, bytes, bytearray, memoryview)


@dataclass(frozen=True, slots=True)
class Column:
    """One column.

    Attributes:
        name: Its heading.
        kind: What its values are.
        value: Reads it from a record; None is "not known", or "there is none".
    """

    name: str
    kind: Kind
    value: Callable[[UsageRecord], Value]


def _field(name: str, kind: Kind = "text") -> Column:
    return Column(name, kind, lambda record: _plain(getattr(record, name)))


def _tokens(name: str) -> Column:
    def value(record: UsageRecord) -> Value:
        count: int | None = None if record.tokens is None else getattr(record.tokens, name)
        return count

    return Column(name, "count", value)


def _cost(heading: str, name: str, kind: Kind) -> Column:
    def value(record: UsageRecord) -> Value:
        found: Decimal | str | None = None if record.cost is None else getattr(record.cost, name)
        return found

    return Column(heading, kind, value)


COLUMNS: tuple[Column, ...] = (
    _field("run_id"),
    _field("parent_run_id"),
    _field("root_run_id"),
    _field("started_at", "time"),
    _field("latency_s", "number"),
    _field("time_to_first_token_s", "number"),
    _field("status"),
    _field("streamed", "flag"),
    _field("cache_hit", "flag"),
    _field("provider"),
    _field("api"),
    _field("requested_model"),
    _field("model"),
    _field("service_tier"),
    *(_tokens(name) for name in TokenUsage.__slots__),
    _cost("input_cost_usd", "input_usd", "usd"),
    _cost("output_cost_usd", "output_usd", "usd"),
    _cost("total_cost_usd", "total_usd", "usd"),
    _cost("currency", "currency", "text"),
    _cost("pricing_source", "pricing_source", "text"),
    _cost("cost_unknown_reason", "unknown_reason", "text"),
    _field("estimated", "flag"),
    _field("attempts", "count"),
    _field("fallback"),
    _field("error_kind"),
    _field("error_code"),
    _field("request_id"),
    _field("response_id"),
    _field("user_id"),
    _field("organization_id"),
    _field("tags", "tags"),
    _field("metadata", "json"),
    _field("prompt_id"),
    _field("prompt_version"),
)


def _plain(value: object) -> Value:
    if value is None or isinstance(value, bool | int | float | Decimal | datetime | Mapping):
        return value
    if isinstance(value, tuple):
        return [str(item) for item in value]
    return str(value)


def time_text(moment: datetime) -> str:
    """Write a time in UTC, always with six places: "2026-11-24T12:00:00.000000Z".

    Args:
        moment: A time with a zone.
    """
    text = moment.astimezone(UTC).isoformat(timespec="microseconds")
    return text.removesuffix("+00:00") + "Z"


def clean_text(text: str) -> str:
    """Replace what UTF-8 cannot hold, halves of surrogate pairs, by U+FFFD.

    Args:
        text: Any text.
    """
    if text.isascii():
        return text
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text


def json_value(value: object) -> object:
    """Turn any value into one that JSON has, the same each time.

    Args:
        value: JSON values pass; a decimal becomes its text, a time its text in UTC, a set a sorted
            list, a number that JSON lacks (NaN, infinity) its name, anything else its `str`. The
            keys of objects are texts, sorted.
    """
    if isinstance(value, Mapping):
        pairs = {clean_text(str(key)): json_value(item) for key, item in value.items()}
        return dict(sorted(pairs.items()))
    if isinstance(value, set | frozenset):
        return sorted((json_value(item) for item in value), key=json_text)
    if isinstance(value, Collection) and not isinstance(value, _NO_LISTS):
        return [json_value(item) for item in value]
    return _json_scalar(value)


def _json_scalar(value: object) -> object:
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float) and math.isfinite(value):
        return value
    if isinstance(value, Decimal) and value.is_finite():
        return plain_decimal(value)
    return time_text(value) if isinstance(value, datetime) else clean_text(str(value))


def json_text(value: object) -> str:
    """Write a value as JSON on one line, keys sorted.

    Args:
        value: Anything; see `json_value`.
    """
    return json.dumps(json_value(value), ensure_ascii=False, separators=(",", ":"))
