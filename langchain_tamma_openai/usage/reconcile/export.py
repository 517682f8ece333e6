"""What a provider exports: calls, usage by bucket, or costs by bucket.

The forms are those of OpenAI's Usage and Costs APIs and of its dashboard, with the same names
flattened, and lists of calls: our own exports, the logs of gateways, and answers of the Batch API.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Literal

from langchain_tamma_openai.usage.reconcile.files import Lines, Raw, Source, refuse, shown
from langchain_tamma_openai.usage.reconcile.names import BATCH, model_of, tier_of
from langchain_tamma_openai.wire.usage import TokenUsage

Form = Literal["calls", "usage", "costs"]

_IDS = ("response_id", "id", "request_id", "call_id", "generation_id", "completion_id", "run_id")
_TIMES = (
    "start_time",
    "start_time_iso",
    "started_at",
    "created_at",
    "created",
    "timestamp",
    "time",
    "datetime",
    "date",
    "day",
    "aggregation_timestamp",
)
_ENDS = ("end_time", "end_time_iso")
_MODELS = ("model", "model_name", "model_id", "snapshot_id", "snapshot", "requested_model")
_REQUESTS = ("num_model_requests", "n_requests", "requests", "num_requests", "request_count")
_AMOUNTS = (
    "amount_value",
    "total_cost_usd",
    "cost_usd",
    "amount_usd",
    "cost_in_usd",
    "cost_in_major",
    "total_cost",
    "cost",
    "amount",
    "total_usd",
    "spend",
)
_CURRENCIES = ("amount_currency", "currency")
_LINE_ITEMS = ("line_item", "line_item_name")
_TOKENS: Mapping[str, tuple[str, ...]] = {
    "input_tokens": ("input_tokens", "prompt_tokens", "n_context_tokens_total"),
    "output_tokens": ("output_tokens", "completion_tokens", "n_generated_tokens_total"),
    "cached_tokens": (
        "input_cached_tokens",
        "cached_tokens",
        "cached_input_tokens",
        "n_cached_context_tokens_total",
    ),
    "cache_write_tokens": ("input_cache_write_tokens", "cache_write_tokens"),
    "input_audio_tokens": ("input_audio_tokens",),
    "output_audio_tokens": ("output_audio_tokens",),
    "reasoning_tokens": ("reasoning_tokens", "output_reasoning_tokens"),
}
_INPUT_DETAILS = ("prompt_tokens_details", "input_tokens_details", "input_token_details")
_OUTPUT_DETAILS = ("completion_tokens_details", "output_tokens_details", "output_token_details")
_NESTED: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "cached_tokens": (_INPUT_DETAILS, ("cached_tokens", "cache_read")),
    "cache_write_tokens": (_INPUT_DETAILS, ("cache_write_tokens", "cache_creation")),
    "input_audio_tokens": (_INPUT_DETAILS, ("audio_tokens", "audio")),
    "output_audio_tokens": (_OUTPUT_DETAILS, ("audio_tokens", "audio")),
    "reasoning_tokens": (_OUTPUT_DETAILS, ("reasoning_tokens", "reasoning")),
}
KNOWN_COLUMNS = frozenset(
    {*_TIMES, *_IDS, *_AMOUNTS, *_LINE_ITEMS, *(name for n in _TOKENS.values() for name in n)}
)
"""Names of columns by which a table is known to be an export."""

_MILLISECONDS_FROM = 1e11
_MOST_DIGITS = 100


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a provider's file.

    Attributes:
        start: When; the first moment of a bucket.
        end: First moment after the bucket; None for a call.
        ids: The names of a call.
        model: Without its date; None where the file is not split by model.
        tier: None where the file does not tell it.
        batch: Whether it went through the Batch API; None where the file does not tell it.
        requests: How many calls; None where the file does not count them.
        tokens: None where there are none in the file.
        counted: Which kinds of tokens the file has.
        usd: Amount in US dollars; None where there is none in the file.
        foreign: Amount in another currency, with its name.
        line_item: What a cost is for.
        projects: Id and name of the project.
        place: Where it stands, for messages.
    """

    start: datetime | None
    end: datetime | None = None
    ids: tuple[str, ...] = ()
    model: str | None = None
    tier: str | None = None
    batch: bool | None = None
    requests: int | None = None
    tokens: TokenUsage | None = None
    counted: frozenset[str] = frozenset()
    usd: Decimal | None = None
    foreign: str | None = None
    line_item: str | None = None
    projects: tuple[str, ...] = ()
    place: str = ""


@dataclass(frozen=True, slots=True)
class Export:
    """A provider's file.

    Attributes:
        form: "calls", "usage" or "costs".
        rows: Its lines.
        is_partial: Whether a page of the file says that more follow it.
    """

    form: Form
    rows: tuple[Row, ...] = field(default=())
    is_partial: bool = False


def read_export(source: Source, project: str | None = None) -> Export:
    """Read a provider's file.

    Args:
        source: A path, an open text stream, or what `json.load` gives; or several of them.
        project: Only this project's lines, by id or name.

    Raises:
        InvalidParameterError: It is none of the known forms, or a value in it makes no sense.
        OSError: It cannot be read.
    """
    lines = Lines(source)
    rows = [row for place, raw in lines if (row := _row(raw, place)) is not None]
    if project is not None:
        rows = [row for row in rows if not row.projects or project in row.projects]
    if rows and all(row.foreign is not None for row in rows):
        refuse(rows[0].place, f"its amount is {rows[0].foreign}; only US dollars can be compared")
    return Export(_form(rows), tuple(rows), lines.is_partial)


def _form(rows: Sequence[Row]) -> Form:
    """Tell calls from buckets: they have ids, or at least moments to the second."""
    if any(row.end is None and row.ids for row in rows):
        return "calls"
    usage = next((row for row in rows if row.tokens is not None), None)
    costs = next((row for row in rows if row.tokens is None and row.usd is not None), None)
    if usage is not None and costs is not None:
        refuse(costs.place, f"it holds costs, and {usage.place} usage; compare one after the other")
    if costs is not None:
        return "costs"
    is_bucket = any(row.end is not None or row.requests is not None for row in rows)
    moments = [row.start for row in rows if row.start is not None]
    if not is_bucket and any((moment.minute, moment.second) != (0, 0) for moment in moments):
        return "calls"
    return "usage"


def _row(raw: Raw, place: str) -> Row | None:
    batch = _flag(raw.get("batch"))
    if (answer := _batch_answer(raw)) is not None:
        raw, batch = answer, True
    if _flag(raw.get("cache_hit")) or str(raw.get("attempts")) == "0":
        return None  # of our own exports: nothing was sent
    tokens, counted = _tokens(raw, place)
    usd, foreign = _amount(raw, place)
    line_item = _text(raw, _LINE_ITEMS)
    ids = _ids(raw)
    end = _time(raw, _ENDS, place)
    if usd is None and foreign is None and (tokens is None or (ids and not tokens.total_tokens)):
        if end is None:
            return None  # a call that was refused
        tokens = None  # a bucket in which nothing was used
    start = _time(raw, _TIMES, place)
    if start is None and not ids:
        refuse(place, f"it has no time; one of {', '.join(_TIMES)} is needed")
    if start is not None and end is not None and end <= start:
        refuse(place, f"it ends at {end:%Y-%m-%d %H:%M:%S}, which is not after its start")
    tier = _text(raw, ("service_tier", "tier"))
    is_batch_tier = tier is not None and tier_of(tier) == BATCH
    return Row(
        start=start,
        end=end,
        ids=ids,
        model=model_of(_text(raw, _MODELS)),
        tier=None if tier is None or is_batch_tier else tier_of(tier),
        batch=True if is_batch_tier else batch,
        requests=_count(raw, _REQUESTS, place),
        tokens=tokens,
        counted=counted,
        usd=usd,
        foreign=foreign,
        line_item=line_item,
        projects=_texts(raw, ("project_id", "project_name")),
        place=place,
    )


def _batch_answer(raw: Raw) -> Raw | None:
    """Give the answer inside a line of the Batch API's output; None when it is no such line."""
    response = raw.get("response")
    body = response.get("body") if isinstance(response, Mapping) else None
    return body if isinstance(body, Mapping) else None


def _tokens(raw: Raw, place: str) -> tuple[TokenUsage | None, frozenset[str]]:
    usage = raw.get("usage")
    holder: Raw = usage if isinstance(usage, Mapping) else raw
    found = {
        kind: count
        for kind, names in _TOKENS.items()
        if (count := _count_of(kind, names, holder, place)) is not None
    }
    if "input_tokens" not in found:
        fresh = _count(holder, ("input_uncached_tokens", "uncached_input_tokens"), place)
        if fresh is not None:
            found["input_tokens"] = fresh + found.get("cached_tokens", 0)
    if "input_tokens" not in found and "output_tokens" not in found:
        return None, frozenset()
    total = found.get("input_tokens", 0) + found.get("output_tokens", 0)
    return TokenUsage(**found, total_tokens=total), frozenset(found)


def _count_of(kind: str, names: Iterable[str], holder: Raw, place: str) -> int | None:
    count = _count(holder, names, place)
    if count is not None or kind not in _NESTED:
        return count
    places, keys = _NESTED[kind]
    for details in map(holder.get, places):
        if isinstance(details, Mapping) and (count := _count(details, keys, place)) is not None:
            return count
    return None


def _amount(raw: Raw, place: str) -> tuple[Decimal | None, str | None]:
    """Give the amount in US dollars, or in words where it is in another currency."""
    for name in ("amount", "cost"):
        if isinstance(nested := raw.get(name), Mapping):
            value = nested.get("value", nested.get("total_usd", nested.get("total_cost")))
            raw = {"amount_value": value, "amount_currency": nested.get("currency")}
    found = next((each for each in _AMOUNTS if raw.get(each) is not None), None)
    if found is None:
        return None, None
    amount = _decimal(raw[found], found, place)
    currency = (_text(raw, _CURRENCIES) or "usd").upper()
    return (amount, None) if currency == "USD" else (None, f"{amount:f} {currency}")


def _decimal(value: object, name: str, place: str) -> Decimal:
    text = repr(value) if isinstance(value, float) else str(value)
    try:
        amount = Decimal(text.strip().lstrip("$").replace(",", ""))
    except InvalidOperation:
        refuse(place, f"{name}: got {shown(value)}, not an amount")
    if not amount.is_finite() or abs(amount.adjusted()) > _MOST_DIGITS:
        refuse(place, f"{name}: got {shown(value)}, not an amount")
    return amount


def _ids(raw: Raw) -> tuple[str, ...]:
    return tuple(dict.fromkeys(_texts(raw, _IDS)))


def _text(raw: Raw, names: Iterable[str]) -> str | None:
    return next(iter(_texts(raw, names)), None)


def _texts(raw: Raw, names: Iterable[str]) -> tuple[str, ...]:
    values = (raw.get(name) for name in names)
    return tuple(value.strip() for value in values if isinstance(value, str) and value.strip())


def _flag(value: object) -> bool | None:
    if isinstance(value, bool) or value is None:
        return value
    return str(value).strip().lower() in {"true", "1", "yes"}


def _count(raw: Raw, names: Iterable[str], place: str) -> int | None:
    for name in names:
        value = raw.get(name)
        if value is None or isinstance(value, Mapping | list):
            continue
        count = _whole(value)
        if count is None:
            refuse(place, f"{name}: got {shown(value)}, not a count")
        return count
    return None


def _whole(value: object) -> int | None:
    try:
        count = Decimal(str(value).replace(",", ""))
        return int(count) if count == count.to_integral_value() and count >= 0 else None
    except (InvalidOperation, ValueError, OverflowError):
        return None


def _time(raw: Raw, names: Iterable[str], place: str) -> datetime | None:
    for name in names:
        value = raw.get(name)
        if value is None or value == "":
            continue
        try:
            return _moment(value)
        except (ValueError, OverflowError, OSError):
            refuse(place, f"{name}: got {shown(value)}, neither seconds since 1970 nor ISO 8601")
    return None


def _moment(value: object) -> datetime:
    text = str(value).strip()
    try:
        seconds = float(text)
    except ValueError:
        moment = datetime.fromisoformat(text.removesuffix(" UTC"))
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    if not math.isfinite(seconds):
        raise ValueError(text)
    scale = 1000 if abs(seconds) > _MILLISECONDS_FROM else 1
    return datetime.fromtimestamp(seconds / scale, UTC)
