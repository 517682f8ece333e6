from __future__ import annotations

import json
import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from uuid import UUID

import pytest
from hypothesis import given
from usage_records import NOON, usage_record, usage_records

from langchain_tamma_openai.errors import InvalidParameterError
from langchain_tamma_openai.pricing_cost import Cost
from langchain_tamma_openai.usage.record import UsageRecord
from langchain_tamma_openai.usage.record_codec import clean_text, record_from_dict, record_to_dict
from langchain_tamma_openai.wire.usage import TokenUsage


def _through_json(record: UsageRecord) -> UsageRecord:
    return record_from_dict(json.loads(json.dumps(record_to_dict(record))))


def _storable(record: UsageRecord) -> UsageRecord:
    """Give the record with NUL characters replaced, as it comes back."""
    return record_from_dict(record_to_dict(record))


@given(usage_records())
def test_a_record_comes_back_from_json_as_it_was(record: UsageRecord) -> None:
    again = _through_json(record)

    assert again == _storable(record)
    assert again.tokens == record.tokens
    assert again.attempt_records[:0] == ()
    assert [attempt.tokens for attempt in again.attempt_records] == [
        attempt.tokens for attempt in record.attempt_records
    ]
    if "\x00" not in repr(record):
        assert repr(again).count("Decimal") == repr(record).count("Decimal")


def test_a_usual_record_comes_back_equal_in_every_field() -> None:
    record = usage_record(3, tags=("b", "a"), metadata={"k": [1, None, {"x": "ü"}]})

    assert _through_json(record) == record


def test_unknown_and_nothing_are_told_apart() -> None:
    known = usage_record(tokens=TokenUsage(), cost=Cost(), attempt_records=())
    unknown = replace(known, tokens=None, cost=None)

    assert _through_json(known) == known
    assert _through_json(unknown) == unknown


def test_amounts_are_plain_decimal_strings_and_times_are_utc() -> None:
    east = timezone(timedelta(hours=2))
    cost = Cost(Decimal("1E-12"), Decimal("0.10"), Decimal("0.100000000001"))
    raw = record_to_dict(usage_record(cost=cost, started_at=NOON.astimezone(east)))

    assert raw["input_cost_usd"] == "0.000000000001"
    assert raw["output_cost_usd"] == "0.1"
    assert raw["started_at"] == "2026-03-01T12:00:00.000000Z"


def test_early_years_have_four_digits() -> None:
    record = usage_record(started_at=datetime(999, 1, 1, tzinfo=UTC))

    assert record_to_dict(record)["started_at"] == "0999-01-01T00:00:00.000000Z"
    assert _through_json(record).started_at == record.started_at


def test_metadata_that_json_cannot_hold_becomes_text() -> None:
    metadata = {
        "when": NOON,
        "id": UUID(int=1),
        "nan": math.nan,
        "usd": Decimal("1E-3"),
        "several": ("a", frozenset({"b"})),
    }
    raw = record_to_dict(usage_record(metadata=metadata))

    assert raw["metadata"] == {
        "when": "2026-03-01T12:00:00.000000Z",
        "id": "00000000-0000-0000-0000-000000000001",
        "nan": "nan",
        "usd": "0.001",
        "several": ["a", ["b"]],
    }


@pytest.mark.parametrize(
    ("text", "clean"), [("ok", "ok"), ("a\x00b", "a\ufffdb"), ("ü\ud800", "ü\ufffd"), ("😀", "😀")]
)
def test_texts_are_made_storable(text: str, clean: str) -> None:
    assert clean_text(text) == clean


def test_keys_of_a_later_version_are_left_out() -> None:
    record = usage_record()

    assert record_from_dict({**record_to_dict(record), "colour": "blue"}) == record


@pytest.mark.parametrize(
    "raw", [{}, {"run_id": "x"}, {**record_to_dict(usage_record()), "total_cost_usd": "much"}]
)
def test_what_is_no_record_is_refused(raw: dict[str, object]) -> None:
    with pytest.raises(InvalidParameterError, match="not a usage record"):
        record_from_dict(raw)
