"""Reads what a provider exports: calls, usage by bucket, or costs by bucket.

The forms are those of OpenAI's Usage and Costs APIs (pages of buckets of results) as JSON, as JSON
lines, and as the CSV or TSV that its dashboard writes, with the same names flattened; and lists of
calls, such as our own exports and the logs of gateways, with an id for each.
"""

from __future__ import annotations

import csv
import io
import json
import math
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, Literal, NoReturn, cast

from langchain_tamma_openai.errors import InvalidParameterError
from langchain_tamma_openai.usage.reconcile.names import model_of, tier_of
from langchain_tamma_openai.wire.usage import TokenUsage

Form = Literal["calls", "usage", "costs"]
Raw = Mapping[str, Any]
Source = str | os.PathLike[str] | io.TextIOBase | Sequence[Raw] | Raw

_IDS = ("response_id", "id", "request_id", "call_id", "generation_id")
_TIMES = (
    "start_time",
    "start_time_iso",
    "started_at",
    "created_at",
    "created",
    "timestamp",
    "date",
)
_ENDS = ("end_time", "end_time_iso")
_MODELS = ("model", "model_name", "snapshot_id", "requested_model")
_REQUESTS = ("num_model_requests", "n_requests", "requests", "num_requests")
_AMOUNTS = ("amount_value", "total_cost_usd", "cost_usd", "cost", "amount", "total_usd")
_CURRENCIES = ("amount_currency", "currency")
_TOKENS: Mapping[str, tuple[str, ...]] = {
    "input_tokens": ("input_tokens", "prompt_tokens", "n_context_tokens_total"),
    "output_tokens": ("output_tokens", "completion_tokens", "n_generated_tokens_total"),
    "cached_tokens": ("input_cached_tokens", "cached_tokens", "n_cached_context_tokens_total"),
    "cache_write_tokens": ("input_cache_write_tokens", "cache_write_tokens"),
    "input_audio_tokens": ("input_audio_tokens",),
    "output_audio_tokens": ("output_audio_tokens",),
    "reasoning_tokens": ("reasoning_tokens",),
}
_NESTED = {
    "cached_tokens": ("prompt_tokens_details", "input_tokens_details"),
    "input_audio_tokens": ("prompt_tokens_details",),
    "reasoning_tokens": ("completion_tokens_details", "output_tokens_details"),
}


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a provider's file.

    Attributes:
        start: When; the first moment of a bucket.
        end: First moment after the bucket; None for a call.
        ids: The names of a call.
        model: Without its date; None where the file is not split by model.
        tier: None where the file is not split by tier.
        requests: How many calls.
        tokens: None where there are none in the file.
        counted: Which kinds of tokens the file has.
        usd: Amount in US dollars; None where there is none in the file.
        line_item: What a cost is for.
        project: The project's id.
        place: Where it stands, for messages.
    """

    start: datetime | None
    end: datetime | None = None
    ids: tuple[str, ...] = ()
    model: str | None = None
    tier: str | None = None
    requests: int = 1
    tokens: TokenUsage | None = None
    counted: frozenset[str] = frozenset()
    usd: Decimal | None = None
    line_item: str | None = None
    project: str | None = None
    place: str = ""


@dataclass(frozen=True, slots=True)
class Export:
    """A provider's file.

    Attributes:
        form: "calls", "usage" or "costs".
        rows: Its lines.
    """

    form: Form
    rows: tuple[Row, ...] = field(default=())

    @property
    def digits(self) -> int:
        """How many digits after the point its amounts have at most; roundings follow from it."""
        exponents = (row.usd.as_tuple().exponent for row in self.rows if row.usd is not None)
        return max((-int(each) for each in exponents), default=0)


def read_export(source: Source, project: str | None = None) -> Export:
    """Read a provider's file.

    Args:
        source: A path, an open text stream, or what `json.load` gives.
        project: Only this project's lines.

    Raises:
        InvalidParameterError: It is none of the known forms, or a value in it makes no sense.
        OSError: It cannot be read.
    """
    rows = [row for place, raw in _lines(source) if (row := _row(raw, place)) is not None]
    if project is not None:
        rows = [row for row in rows if row.project in (None, project)]
    return Export(_form(rows), tuple(rows))


def _form(rows: Sequence[Row]) -> Form:
    if any(row.end is None and row.ids for row in rows):
        return "calls"
    return "usage" if any(row.tokens is not None for row in rows) else "costs"


# --- files into flat lines ---


def _lines(source: Source) -> Iterator[tuple[str, Raw]]:
    if isinstance(source, str | os.PathLike):
        path = Path(source)
        with path.open(encoding="utf-8-sig", newline="") as stream:
            yield from _text_lines(stream.read(), path.name)
    elif isinstance(source, io.TextIOBase):
        yield from _text_lines(source.read().removeprefix("\ufeff"), "input")
    else:
        yield from _flat(source, "input")


def _text_lines(text: str, name: str) -> Iterator[tuple[str, Raw]]:
    start = text.lstrip()[:1]
    if not start:
        _refuse(name, "it is empty")
    if start not in "[{":
        yield from _table_lines(text, name)
        return
    try:
        whole = json.loads(text, parse_float=Decimal)
    except ValueError:
        yield from _json_lines(text, name)
    else:
        yield from _flat(whole, name)


def _json_lines(text: str, name: str) -> Iterator[tuple[str, Raw]]:
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        try:
            yield from _flat(json.loads(line, parse_float=Decimal), f"{name}, line {number}")
        except ValueError as error:
            _refuse(f"{name}, line {number}", f"it is no JSON ({error})")


def _table_lines(text: str, name: str) -> Iterator[tuple[str, Raw]]:
    head = text.splitlines()[0]
    reader = csv.DictReader(io.StringIO(text), delimiter="\t" if "\t" in head else ",")
    names = [(each or "").strip().lower() for each in reader.fieldnames or ()]
    if not set(names) & {*_TIMES, *_IDS, *_AMOUNTS, "line_item"}:
        _refuse(name, f"its columns {', '.join(names) or '(none)'} are not those of an export")
    reader.fieldnames = names
    for number, raw in enumerate(reader, start=2):
        yield f"{name}, line {number}", {k: v for k, v in raw.items() if k and v not in (None, "")}


def _flat(value: object, place: str) -> Iterator[tuple[str, Raw]]:
    """Give the results inside of pages and buckets, with the times of their bucket."""
    if isinstance(value, list | tuple):
        for number, each in enumerate(value):
            yield from _flat(each, f"{place}[{number}]")
    elif not isinstance(value, Mapping):
        _refuse(place, f"got {type(value).__name__}, not an object")
    elif isinstance(results := value.get("results", value.get("result")), list):
        times = {k: value[k] for k in (*_TIMES, *_ENDS) if k in value}
        for number, each in enumerate(results):
            if isinstance(each, Mapping):
                yield f"{place}.results[{number}]", {**times, **each}
    elif isinstance(value.get("data"), list):
        yield from _flat(value["data"], f"{place}.data")
    else:
        yield place, value


# --- lines into rows ---


def _row(raw: Raw, place: str) -> Row | None:
    tokens, counted = _tokens(raw, place)
    usd = _amount(raw, place)
    line_item = _text(raw, ("line_item",))
    if tokens is None and usd is None and line_item is None:
        return None  # a bucket in which nothing was used
    batch = _flag(raw.get("batch"))
    tier = _text(raw, ("service_tier",))
    is_split = tier is not None or batch is not None
    start = _time(raw, _TIMES, place)
    if start is None and not _ids(raw):
        _refuse(place, f"it has no time; one of {', '.join(_TIMES)} is needed")
    return Row(
        start=start,
        end=_time(raw, _ENDS, place),
        ids=_ids(raw),
        model=model_of(_text(raw, _MODELS)),
        tier=tier_of(tier, batch=batch) if is_split else None,
        requests=_count(raw, _REQUESTS, place) or (1 if _ids(raw) else 0),
        tokens=tokens,
        counted=counted,
        usd=usd,
        line_item=line_item,
        project=_text(raw, ("project_id", "project_name")),
        place=place,
    )


def _tokens(raw: Raw, place: str) -> tuple[TokenUsage | None, frozenset[str]]:
    usage = raw.get("usage")
    holder = cast("Raw", usage) if isinstance(usage, Mapping) else raw
    found: dict[str, int] = {}
    for kind, names in _TOKENS.items():
        count = _count(holder, names, place)
        if count is None:
            nested = (holder.get(name) for name in _NESTED.get(kind, ()))
            for details in nested:
                if isinstance(details, Mapping):
                    count = _count(details, (kind.removeprefix("input_"), kind), place)
        if count is not None:
            found[kind] = count
    if "input_tokens" not in found and "output_tokens" not in found:
        return None, frozenset()
    total = found.get("input_tokens", 0) + found.get("output_tokens", 0)
    return TokenUsage(**found, total_tokens=total), frozenset(found)


def _amount(raw: Raw, place: str) -> Decimal | None:
    nested = raw.get("amount")
    if isinstance(nested, Mapping):
        raw = {"amount_value": nested.get("value"), "amount_currency": nested.get("currency")}
    name = next((name for name in _AMOUNTS if raw.get(name) is not None), None)
    if name is None:
        return None
    currency = _text(raw, _CURRENCIES)
    if currency is not None and currency.upper() != "USD":
        _refuse(place, f"its currency is {currency}; only US dollars can be compared")
    value = raw[name]
    try:
        amount = Decimal(repr(value) if isinstance(value, float) else str(value).lstrip("$"))
    except InvalidOperation:
        _refuse(place, f"{name}: got {value!r}, not an amount")
    if not amount.is_finite():
        _refuse(place, f"{name}: got {value!r}, not an amount")
    return amount


def _ids(raw: Raw) -> tuple[str, ...]:
    found = (raw.get(name) for name in _IDS)
    return tuple(dict.fromkeys(str(each) for each in found if isinstance(each, str) and each))


def _text(raw: Raw, names: Iterable[str]) -> str | None:
    for name in names:
        value = raw.get(name)
        if isinstance(value, str) and value.strip():
            return value.strip()
    return None


def _flag(value: object) -> bool | None:
    if isinstance(value, bool) or value is None:
        return value
    return str(value).strip().lower() in ("true", "1", "yes")


def _count(raw: Raw, names: Iterable[str], place: str) -> int | None:
    for name in names:
        value = raw.get(name)
        if value is None or isinstance(value, Mapping):
            continue
        try:
            count = Decimal(str(value).replace(",", ""))
        except InvalidOperation:
            _refuse(place, f"{name}: got {value!r}, not a count")
        if count != count.to_integral_value() or count < 0:
            _refuse(place, f"{name}: got {value!r}, not a count")
        return int(count)
    return None


def _time(raw: Raw, names: Iterable[str], place: str) -> datetime | None:
    for name in names:
        value = raw.get(name)
        if value is None or value == "":
            continue
        try:
            return _moment(value)
        except (ValueError, OverflowError, OSError):
            _refuse(place, f"{name}: got {value!r}, neither seconds since 1970 nor ISO 8601")
    return None


def _moment(value: object) -> datetime:
    text = str(value).strip()
    try:
        seconds = float(text)
    except ValueError:
        moment = datetime.fromisoformat(text)
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    if not math.isfinite(seconds):
        raise ValueError(text)
    return datetime.fromtimestamp(seconds, UTC)


def _refuse(place: str, problem: str) -> NoReturn:
    raise InvalidParameterError(
        f"{place}: {problem}; pass the JSON of OpenAI's usage or costs API, the CSV of its "
        "dashboard, or a list of calls with ids",
        param="source",
    )
