"""A provider's export against the ledger: every planted drift is found, and no other."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from provider_exports import (
    DAY,
    FIRST,
    Call,
    as_calls,
    as_costs,
    as_usage,
    ledger,
    many,
    record_of,
)

from langchain_tamma_openai import InvalidParameterError
from langchain_tamma_openai.usage.reconcile import Drift, DriftKind, Reconciliation, reconcile

Export = Callable[[Sequence[Call]], Any]
FORMS: dict[str, Export] = {"calls": as_calls, "usage": as_usage, "costs": as_costs}
each_form = pytest.mark.parametrize("form", FORMS)
TINY = Decimal("1e-9")


def _found(calls: Sequence[Call], billed: Sequence[Call], form: str, **options: Any) -> Any:
    return reconcile(ledger(map(record_of, calls)), FORMS[form](billed), **options)


def _kinds(found: Reconciliation) -> list[DriftKind]:
    return sorted(drift.kind for drift in found.drifts)


def _only(found: Reconciliation) -> Drift:
    (drift,) = found.drifts
    return drift


@each_form
def test_the_same_on_both_sides_is_no_drift(form: str) -> None:
    calls = many(60)
    found = _found(calls, calls, form)
    assert found.drifts == ()
    assert found.agrees
    assert found.form == form
    assert found.matched_requests == 60
    assert abs(found.unexplained_usd) < TINY
    assert abs(found.ledger_usd - sum(call.usd for call in calls)) < TINY


@each_form
def test_a_call_that_the_ledger_lacks_is_found_with_its_sum(form: str) -> None:
    calls = many(60)
    found = _found([call for call in calls if call.number != 17], calls, form)
    drift = _only(found)
    assert drift.kind is DriftKind.MISSING_IN_LEDGER
    assert drift.difference_usd is not None
    assert abs(drift.difference_usd - calls[17].usd) < TINY
    assert drift.model == calls[17].model
    assert abs(found.unexplained_usd) < TINY
    if form != "costs":
        assert (drift.requests, drift.input_tokens) == (1, calls[17].input_tokens)


@each_form
def test_a_call_that_the_provider_lacks_is_found_and_named(form: str) -> None:
    calls = many(60)
    drift = _only(_found(calls, [call for call in calls if call.number != 17], form))
    assert drift.kind is DriftKind.MISSING_AT_PROVIDER
    assert drift.calls == (calls[17].response_id,)
    assert drift.difference_usd is not None
    assert abs(drift.difference_usd + calls[17].usd) < TINY


@each_form
def test_a_wrong_tier_is_found_and_named(form: str) -> None:
    calls = many(60)
    assert calls[15].tier == "default"
    billed = [replace(c, tier="priority") if c.number == 15 else c for c in calls]
    drift = _only(_found(calls, billed, form))
    assert drift.kind is DriftKind.WRONG_SERVICE_TIER
    assert (drift.service_tier, drift.recorded_tier) == ("priority", "default")
    assert drift.calls == (calls[15].response_id,)
    assert drift.difference_usd is not None
    assert abs(drift.difference_usd - (billed[15].usd - calls[15].usd)) < TINY


@each_form
def test_a_stale_price_is_found_with_its_sum(form: str) -> None:
    calls = many(60)
    old = {7, 12}
    tracker = ledger(
        record_of(call, price_factor="0.8" if call.number in old else "1") for call in calls
    )
    found = reconcile(tracker, FORMS[form](calls))
    assert set(_kinds(found)) == {DriftKind.STALE_PRICE}
    assert {name for drift in found.drifts for name in drift.calls} == {
        calls[number].response_id for number in old
    }
    expected = sum((calls[number].usd for number in old), Decimal(0)) * Decimal("0.2")
    assert abs(found.explained_usd - expected) < TINY


@pytest.mark.parametrize("form", ["calls", "usage"])
def test_other_tokens_are_found(form: str) -> None:
    calls = many(60)
    billed = [replace(c, output_tokens=c.output_tokens + 50) if c.number == 9 else c for c in calls]
    drift = _only(_found(calls, billed, form))
    assert drift.kind is DriftKind.TOKEN_MISMATCH
    assert (drift.input_tokens, drift.output_tokens) == (0, 50)


@pytest.mark.parametrize("form", ["calls", "usage"])
def test_cached_tokens_that_the_ledger_counted_fresh_are_found(form: str) -> None:
    calls = many(60)
    billed = [replace(c, cached_tokens=512) if c.number == 8 else c for c in calls]
    drift = _only(_found(calls, billed, form))
    assert drift.kind is DriftKind.TOKEN_MISMATCH
    assert "cached_tokens" in drift.detail


@given(
    missing=st.sets(st.integers(0, 59), max_size=3),
    moved=st.sets(st.integers(0, 59), max_size=3),
    gone=st.sets(st.integers(0, 59), max_size=3),
)
@settings(max_examples=25, deadline=None)
def test_every_planted_drift_of_listed_calls_is_found_and_no_other(
    missing: set[int], moved: set[int], gone: set[int]
) -> None:
    calls = many(60)
    moved = {number for number in moved - missing - gone if calls[number].tier == "default"}
    gone -= missing
    billed = [
        replace(call, tier="priority") if call.number in moved else call
        for call in calls
        if call.number not in gone
    ]
    found = _found([call for call in calls if call.number not in missing], billed, "calls")
    planted = {
        DriftKind.MISSING_IN_LEDGER: missing,
        DriftKind.MISSING_AT_PROVIDER: gone,
        DriftKind.WRONG_SERVICE_TIER: moved,
    }
    for kind, numbers in planted.items():
        names = {name for drift in found.drifts if drift.kind is kind for name in drift.calls}
        assert names == {calls[number].response_id for number in numbers}
    assert len(found.drifts) == len(missing) + len(moved) + len(gone)
    assert found.unexplained_usd == 0


@given(numbers=st.lists(st.integers(0, 59), min_size=1, max_size=3, unique=True))
@settings(max_examples=20, deadline=None)
def test_drifts_of_different_days_and_models_do_not_hide_each_other(numbers: list[int]) -> None:
    calls = many(60)
    places = {(calls[number].day, calls[number].model) for number in numbers}
    if len(places) < len(numbers):
        return
    for form in ("usage", "costs"):
        found = _found([c for c in calls if c.number not in numbers], calls, form)
        assert _kinds(found) == [DriftKind.MISSING_IN_LEDGER] * len(numbers)
        assert abs(found.unexplained_usd) < TINY


@pytest.mark.parametrize("form", ["usage", "costs"])
def test_a_call_at_midnight_may_be_billed_on_either_day(form: str) -> None:
    late = Call(number=1, started_at=FIRST + DAY - timedelta(seconds=1), latency_s=5)
    others = [Call(number=n, started_at=FIRST + DAY * (n % 2)) for n in range(2, 6)]
    billed = [replace(late, started_at=FIRST + DAY), *others]
    found = _found([late, *others], billed, form)
    assert found.drifts == ()
    assert "1 call was under way" in found.notes[0]


def test_amounts_rounded_to_cents_are_no_drift() -> None:
    calls = [replace(call, input_tokens=call.input_tokens * 1000) for call in many(30)]
    page = as_costs(calls)
    for bucket in page["data"]:
        for result in bucket["results"]:
            result["amount"]["value"] = round(result["amount"]["value"], 2)
    assert reconcile(ledger(map(record_of, calls)), page).drifts == ()


def test_fees_beside_tokens_are_named_apart() -> None:
    calls = many(10)
    page = as_costs(calls)
    fee = {"amount": {"value": 0.25, "currency": "usd"}, "line_item": "web search tool calls"}
    page["data"][0]["results"].append(fee)
    drift = _only(reconcile(ledger(map(record_of, calls)), page))
    assert (drift.kind, drift.provider_usd) == (DriftKind.OTHER_SERVICE, Decimal("0.25"))
    assert reconcile(ledger(map(record_of, calls)), page, other_services=False).agrees


def test_retries_are_billed_and_cache_hits_are_not() -> None:
    call = Call(number=1)
    record = record_of(call)
    attempts = (
        replace(record.attempt_records[0], response_id="resp_lost"),
        replace(record.attempt_records[0], number=2),
    )
    cached = replace(record_of(Call(number=2)), cache_hit=True, attempts=0, attempt_records=())
    tracker = ledger([replace(record, attempt_records=attempts, attempts=2), cached])
    billed = as_calls([call])
    assert reconcile(tracker, [*billed, {**billed[0], "id": "resp_lost"}]).agrees


def test_the_same_call_twice_is_a_duplicate() -> None:
    calls = many(3)
    drift = _only(
        reconcile(ledger(map(record_of, calls)), [*as_calls(calls), *as_calls(calls[:1])])
    )
    assert (drift.kind, drift.calls) == (DriftKind.DUPLICATE, ("resp_000000",))


def test_another_model_is_found() -> None:
    calls = many(3)
    listed = as_calls(calls)
    listed[0]["model"] = "gpt-4o"
    found = reconcile(ledger(map(record_of, calls)), listed)
    assert _kinds(found) == [DriftKind.MODEL_MISMATCH]


def test_only_a_range_and_a_project_are_compared() -> None:
    calls = many(60)
    page = as_usage(calls)
    other = {**page["data"][1]["results"][0], "project_id": "proj_other"}
    page["data"][1]["results"].append(other)
    tracker = ledger(map(record_of, calls))
    assert not reconcile(tracker, page).agrees
    found = reconcile(tracker, page, start=FIRST + DAY, end=FIRST + 2 * DAY, project="proj_mine")
    assert found.agrees
    assert (found.start, found.end) == (FIRST + DAY, FIRST + 2 * DAY)


def test_sums_by_cause() -> None:
    calls = many(60)
    found = _found(calls[2:], calls, "calls")
    number, requests, usd = found.by_kind()[DriftKind.MISSING_IN_LEDGER]
    assert (number, requests) == (2, 2)
    assert usd == found.explained_usd == calls[0].usd + calls[1].usd


# --- files ---


def _csv(page: dict[str, Any], delimiter: str = ",") -> str:
    rows = [
        {
            "start_time": bucket["start_time"],
            "end_time": bucket["end_time"],
            **{
                key: value
                for key, value in result.items()
                if value is not None and not isinstance(value, dict)
            },
            **(
                {"amount_value": result["amount"]["value"], "amount_currency": "usd"}
                if "amount" in result
                else {}
            ),
        }
        for bucket in page["data"]
        for result in bucket["results"]
    ]
    out = io.StringIO()
    writer = csv.DictWriter(out, list(rows[0]), delimiter=delimiter)
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()


@pytest.mark.parametrize("form", ["usage", "costs"])
@pytest.mark.parametrize("delimiter", [",", "\t"])
def test_the_dashboards_tables_are_read(form: str, delimiter: str, tmp_path: Path) -> None:
    calls = many(60)
    path = tmp_path / "export.csv"
    path.write_text("\ufeff" + _csv(FORMS[form](calls), delimiter), encoding="utf-8")
    assert reconcile(ledger(map(record_of, calls)), path).agrees
    assert _kinds(reconcile(ledger(map(record_of, calls[1:])), path)) == [
        DriftKind.MISSING_IN_LEDGER
    ]


@each_form
def test_json_and_json_lines_are_read(form: str, tmp_path: Path) -> None:
    calls = many(60)
    export = FORMS[form](calls)
    lines = export if isinstance(export, list) else export["data"]
    texts = [json.dumps(export), json.dumps([export]), "\n".join(map(json.dumps, lines))]
    tracker = ledger(map(record_of, calls))
    for text in texts:
        path = tmp_path / "export.json"
        path.write_text(text, encoding="utf-8")
        assert reconcile(tracker, path).agrees
        assert reconcile(tracker, io.StringIO(text)).agrees


@pytest.mark.parametrize("ending", ["csv", "json", "jsonl"])
def test_our_own_exports_are_read(ending: Any, tmp_path: Path) -> None:
    calls = many(20)
    tracker = ledger(map(record_of, calls))
    tracker.export(ending, tmp_path / "export")
    assert reconcile(tracker, tmp_path / "export").agrees
    assert _kinds(reconcile(ledger(map(record_of, calls[1:])), tmp_path / "export")) == [
        DriftKind.MISSING_IN_LEDGER
    ]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "it is empty"),
        ("a,b\n1,2\n", "its columns a, b are not those of an export"),
        ('{"id": "x", "input_tokens": 5', "it is no JSON (Expecting"),
        ("[" * 100_000, "it is no JSON (maximum recursion depth"),
        ('[{"id": "x", "input_tokens": "many"}]', "input_tokens: got 'many', not a count"),
        ('[{"id": "x", "input_tokens": 1.5}]', "input_tokens: got 1.5, not a count"),
        ('[{"id": "x", "cost_usd": "cheap"}]', "cost_usd: got 'cheap', not an amount"),
        ('[{"id": "x", "cost_usd": 1, "currency": "eur"}]', "its amount is 1 EUR"),
        ('[{"input_tokens": 5}]', "it has no time"),
        ('[{"start_time": "soon", "input_tokens": 5}]', "start_time: got 'soon'"),
        ("[7]", "got int, not an object"),
        ('{"data": [{"start_time": 1, "end_time": 2, "results": ["x"]}]}', "got str, not an"),
        ('{"error": {"message": "Incorrect API key"}}', "it is an error of the API"),
        ('[{"start_time": 9, "end_time": 9, "input_tokens": 5}]', "which is not after its start"),
        ('[{"id": "x", "cost_usd": "1e999"}]', "cost_usd: got '1e999', not an amount"),
        ("id,cost_usd\nx,1,2\n", "line 2: it has more cells than there are columns (2)"),
        ('{"id": "x", "cost_usd": 1}\n{"id": "y"', "line 2: it is no JSON"),
        (
            '[{"date": "2026-10-01", "input_tokens": 5}, {"date": "2026-10-01", "cost": 1}]',
            "it holds costs, and export.txt[0] usage",
        ),
    ],
)
def test_what_is_no_export_is_refused_and_named(text: str, problem: str, tmp_path: Path) -> None:
    path = tmp_path / "export.txt"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InvalidParameterError) as caught:
        reconcile(ledger([]), path)
    assert problem in str(caught.value)
    assert "export.txt" in str(caught.value)


def test_a_file_of_bytes_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "export.parquet"
    path.write_bytes(b"PAR1\x00\xff\xfe")
    with pytest.raises(InvalidParameterError, match=r"export\.parquet: it is not UTF-8 text"):
        reconcile(ledger([]), path)


def test_an_export_without_usage_needs_a_range() -> None:
    tracker = ledger(map(record_of, many(3)))
    with pytest.raises(InvalidParameterError, match="it holds no usage"):
        reconcile(tracker, [])
    found = reconcile(tracker, [], start=FIRST, end=FIRST + 3 * DAY)
    assert set(_kinds(found)) == {DriftKind.MISSING_AT_PROVIDER}
    assert abs(found.explained_usd + found.ledger_usd) < TINY
