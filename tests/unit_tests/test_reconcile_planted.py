"""Drifts planted into bills: each is found with its kind and sum, and nothing else is."""

from __future__ import annotations

import csv
import io
import json
import uuid
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import planted_bills
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from planted_bills import (
    DAY,
    DAYS,
    FIRST,
    Call,
    Planted,
    as_calls,
    as_costs,
    as_model_costs,
    as_nameless_calls,
    as_records,
    as_usage,
    dice,
    some_calls,
    unseen,
)

from langchain_tamma_openai import Cost, DriftKind, Measurement, Reconciliation, UsageTracker
from langchain_tamma_openai.usage.reconcile import reconcile
from langchain_tamma_openai.usage.record import UsageRecord

Export = Callable[[Sequence[Call]], Any]


def as_priced_usage(calls: Sequence[Call]) -> Any:
    """Give a table with tokens and dollars of each day and model."""
    rows = []
    for number in range(DAYS):
        day = FIRST + DAY * number
        for kind in sorted({(call.model, call.tier) for call in calls}):
            some = [c for c in calls if c.day == day and (c.model, c.tier) == kind]
            if some:
                row = {
                    "Date": f"{day:%Y-%m-%d}",
                    "Model": kind[0],
                    "Service tier": kind[1],
                    "Requests": len(some),
                    "Input tokens": sum(call.input_tokens for call in some),
                    "Cached tokens": sum(call.cached_tokens for call in some),
                    "Output tokens": sum(call.output_tokens for call in some),
                    "Cost (USD)": f"{sum((call.usd() for call in some), Decimal(0)):.9f}",
                }
                rows.append(row)
    return io.StringIO(_as_csv(rows)) if rows else []


FORMS: dict[str, Export] = {
    "calls": as_calls,
    "nameless": as_nameless_calls,
    "usage": as_usage,
    "priced_usage": as_priced_usage,
    "costs": as_costs,
    "model_costs": as_model_costs,
}
KINDS = ("missing_in_ledger", "missing_at_provider", "wrong_service_tier", "stale_price")
TINY = Decimal("1e-9")
RANGE: dict[str, Any] = {"start": FIRST, "end": FIRST + DAYS * DAY}
each_form = pytest.mark.parametrize("form", FORMS)


def _ledger(records: Iterable[UsageRecord]) -> UsageTracker:
    tracker = UsageTracker("memory")
    for record in records:
        tracker.record(record)
    return tracker


def _found(
    calls: Sequence[Call], billed: Sequence[Call], form: str, **options: Any
) -> Reconciliation:
    tracker = _ledger(as_records(calls, dice(1)))
    return reconcile(tracker, FORMS[form](billed), **{**RANGE, **options})


def _sums(found: Reconciliation) -> dict[str, Decimal]:
    sums: dict[str, Decimal] = defaultdict(Decimal)
    for drift in found.drifts:
        assert drift.difference_usd is not None
        sums[drift.kind] += drift.difference_usd
    return sums


def _kinds(found: Reconciliation) -> list[str]:
    return sorted(drift.kind.value for drift in found.drifts)


@each_form
@given(seed=st.integers(0, 10**9), number=st.integers(0, 60), drifts=st.integers(0, 3))
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_planted_drifts_are_found_with_their_sums_and_no_other(
    form: str, seed: int, number: int, drifts: int
) -> None:
    chance = dice(seed)
    calls = some_calls(chance, number)
    planted = Planted(calls, calls)
    # Only dollars cannot tell the Batch API from flex, which costs the same.
    kinds = KINDS if "costs" in form else (*KINDS, "batch_discount")
    for call in chance.sample(planted.billed, min(drifts, number)):
        if (call.day, call.model) not in planted.places:
            planted.plant(chance.choice(kinds), call)
    tracker = _ledger(as_records(planted.ledger, chance))
    found = reconcile(tracker, FORMS[form](planted.billed), **RANGE)
    sums = _sums(found)
    assert set(sums) == set(planted.sums)
    assert all(abs(sums[kind] - usd) < TINY for kind, usd in planted.sums.items())
    assert abs(found.unexplained_usd) < TINY
    if "costs" not in form:
        for kind, expected in planted.requests.items():
            assert sum(d.requests for d in found.drifts if d.kind == kind) == expected


# --- several drifts in one bucket and model ---

LUNA = [
    Call(
        number=number,
        model="gpt-6-luna",
        tier="default",
        input_tokens=1000 + 137 * number,
        cached_tokens=64 * (number % 3),
        output_tokens=100 + 53 * number % 97,
        reasoning_tokens=0,
        started_at=FIRST + timedelta(hours=1, minutes=number),
    )
    for number in range(30)
]


def test_a_missing_call_a_wrong_tier_and_a_stale_price_in_one_bucket_are_told_apart() -> None:
    planted = Planted(LUNA, LUNA)
    planted.plant("missing_in_ledger", LUNA[3])
    planted.plant("wrong_service_tier", LUNA[8])
    planted.plant("stale_price", LUNA[20])
    for form in ("calls", "nameless", "usage"):
        found = _found(planted.ledger, planted.billed, form)
        assert _kinds(found) == sorted(planted.sums)
        assert all(abs(_sums(found)[k] - usd) < TINY for k, usd in planted.sums.items())
        named = {drift.kind: drift.calls for drift in found.drifts}
        assert named[DriftKind.WRONG_SERVICE_TIER] == (LUNA[8].response_id,)
        assert named[DriftKind.STALE_PRICE] == (LUNA[20].response_id,)


@pytest.mark.parametrize("form", ["costs", "model_costs"])
@pytest.mark.parametrize("other", ["missing_in_ledger", "missing_at_provider"])
def test_a_stale_price_does_not_hide_another_drift_of_a_cost(form: str, other: str) -> None:
    planted = Planted(LUNA, LUNA)
    planted.plant("stale_price", LUNA[20])
    planted.plant(other, LUNA[3])
    found = _found(planted.ledger, planted.billed, form)
    assert _kinds(found) == sorted(planted.sums)
    assert all(abs(_sums(found)[k] - usd) < TINY for k, usd in planted.sums.items())


def test_costs_missing_on_both_sides_are_told_by_their_sign() -> None:
    planted = Planted(LUNA, LUNA)
    large = replace(LUNA[4], number=99, input_tokens=9_000, output_tokens=1)
    planted.billed = [*planted.billed, large]
    planted.plant("missing_at_provider", LUNA[29])
    found = _found(planted.ledger, planted.billed, "costs")
    assert _kinds(found) == ["missing_at_provider", "missing_in_ledger"]
    assert abs(found.unexplained_usd) < TINY


@pytest.mark.parametrize("form", ["usage", "priced_usage"])
@pytest.mark.parametrize("number", [5, 12])
def test_more_calls_than_can_be_told_by_name_are_counted(form: str, number: int) -> None:
    some = LUNA[3 : 3 + number]
    for kind in ("wrong_service_tier", "missing_at_provider", "missing_in_ledger"):
        planted = Planted(LUNA, LUNA)
        for call in some:
            planted.plant(kind, call)
        found = _found(planted.ledger, planted.billed, form)
        assert _kinds(found) == [kind]
        assert found.drifts[0].requests == number
        assert abs(found.explained_usd - planted.sums[kind]) < TINY
        assert abs(found.unexplained_usd) < TINY


def test_many_missing_calls_do_not_hide_many_of_another_tier() -> None:
    planted = Planted(LUNA, LUNA)
    for call in LUNA[3:9]:
        planted.plant("wrong_service_tier", call)
    for call in LUNA[20:22]:
        planted.plant("missing_in_ledger", call)
    found = _found(planted.ledger, planted.billed, "usage")
    assert _kinds(found) == ["missing_in_ledger", "wrong_service_tier"]
    assert all(abs(_sums(found)[k] - usd) < TINY for k, usd in planted.sums.items())


# --- calls that are alike ---

ALIKE = [replace(LUNA[0], number=n, input_tokens=10, output_tokens=5) for n in range(20)]


@each_form
@pytest.mark.parametrize("number", [1, 3])
def test_missing_calls_that_are_like_all_others_are_missing(form: str, number: int) -> None:
    found = _found(ALIKE[number:], ALIKE, form)
    assert set(_kinds(found)) == {"missing_in_ledger"}
    assert abs(found.explained_usd - number * ALIKE[0].usd()) < TINY
    found = _found(ALIKE, ALIKE[number:], form)
    assert set(_kinds(found)) == {"missing_at_provider"}


@pytest.mark.parametrize("form", ["calls", "usage"])
def test_a_tier_of_calls_that_are_alike_is_found_where_the_file_tells_it(form: str) -> None:
    billed = [replace(ALIKE[0], tier="priority"), *ALIKE[1:]]
    found = _found(ALIKE, billed, form)
    assert _kinds(found) == ["wrong_service_tier"]


def test_a_tier_of_calls_that_are_alike_is_found_by_its_price() -> None:
    alike = [replace(call, model="gpt-4o") for call in ALIKE]
    billed = [replace(alike[0], tier="priority"), *alike[1:]]
    assert _kinds(_found(alike, billed, "costs")) == ["wrong_service_tier"]


# --- what is no drift ---


@pytest.mark.parametrize("digits", [2, 4, 6, 8])
@pytest.mark.parametrize("form", ["calls", "costs", "model_costs"])
def test_rounded_amounts_are_no_drift(form: str, digits: int) -> None:
    calls = [replace(c, input_tokens=c.input_tokens * 300) for c in some_calls(dice(5), 60)]
    export = json.loads(
        json.dumps(FORMS[form](calls)), parse_float=lambda text: round(float(text), digits)
    )
    assert reconcile(_ledger(as_records(calls, dice(1))), export, **RANGE).agrees


def test_amounts_with_few_significant_digits_are_no_drift() -> None:
    calls = some_calls(dice(6), 60)
    export = json.loads(
        json.dumps(as_costs(calls)), parse_float=lambda text: float(f"{float(text):.4g}")
    )
    assert reconcile(_ledger(as_records(calls, dice(1))), export, **RANGE).agrees


@pytest.mark.parametrize("form", ["usage", "costs"])
def test_calls_across_the_ends_of_the_file_may_be_in_it_or_not(form: str) -> None:
    before = replace(LUNA[0], number=90, started_at=FIRST - timedelta(seconds=2), latency_s=5)
    after = replace(before, number=91, started_at=FIRST + 3 * DAY - timedelta(seconds=2))
    for billed in ([*LUNA, before], [*LUNA, after], [*LUNA, before, after], LUNA):
        export = FORMS[form](
            [
                replace(c, started_at=c.started_at + timedelta(seconds=2))
                if c is before
                else replace(c, latency_s=1)
                if c is after
                else c
                for c in billed
            ]
        )
        tracker = _ledger(as_records([*LUNA, before, after], dice(1)))
        assert reconcile(tracker, export).drifts == ()


def test_a_file_that_is_split_by_batch_alone_tells_no_tiers() -> None:
    calls = some_calls(dice(7), 60)
    export = as_usage(calls)
    for bucket in export["data"]:
        for result in bucket["results"]:
            result["service_tier"] = None
    assert reconcile(_ledger(as_records(calls, dice(1))), export, **RANGE).agrees


def test_a_file_that_is_not_split_by_batch_tells_no_batches() -> None:
    calls = some_calls(dice(8), 60)
    export = as_usage(calls)
    for bucket in export["data"]:
        for result in bucket["results"]:
            result["batch"] = None
    assert reconcile(_ledger(as_records(calls, dice(1))), export, **RANGE).agrees


def _at_a_region(records: Iterable[UsageRecord]) -> Iterable[UsageRecord]:
    """Write calls down as those of a regional address, which costs a tenth more."""
    for record in records:
        (attempt,) = record.attempt_records
        assert attempt.cost is not None
        parts = tuple(
            replace(p, usd=p.usd * Decimal("1.1"), usd_per_mtok=p.usd_per_mtok * Decimal("1.1"))
            for p in attempt.cost.parts
        )
        made = sum((p.usd for p in parts if p.kind == "output"), Decimal(0))
        total = sum((p.usd for p in parts), Decimal(0))
        cost = replace(
            attempt.cost, input_usd=total - made, output_usd=made, total_usd=total, parts=parts
        )
        attempt = replace(attempt, base_url="https://eu.api.openai.com/v1", cost=cost)
        yield replace(record, cost=cost, attempt_records=(attempt,))


def _plain(calls: Sequence[Call]) -> list[UsageRecord]:
    """Write calls down with nothing in between."""
    records = as_records(calls, dice(1))
    kept = [record for record in records if not record.cache_hit]
    return [replace(r, attempts=1, attempt_records=r.attempt_records[-1:]) for r in kept]


@each_form
def test_the_surcharge_of_a_region_is_no_drift_where_the_ledger_knows_it(form: str) -> None:
    if form == "priced_usage":
        return  # it holds amounts as text
    export = FORMS[form](LUNA)
    text = json.dumps(export)
    dearer = json.loads(text, parse_float=lambda each: float(Decimal(each) * Decimal("1.1")))
    for number in range(len(dearer) if isinstance(dearer, list) else 0):
        dearer[number]["usage"] = export[number]["usage"]
    tracker = _ledger(_at_a_region(_plain(LUNA)))
    assert reconcile(tracker, dearer, **RANGE).drifts == ()
    found = reconcile(_ledger(_plain(LUNA)), dearer, **RANGE)
    assert set(_kinds(found)) == (set() if form == "usage" else {"regional_uplift"})


@each_form
def test_calls_of_other_servers_are_nothing_that_openai_bills(form: str) -> None:
    records = _plain(LUNA)
    tracker = _ledger(
        [*records[:20], *(_at_a_proxy(each, "llama-3.3-70b") for each in records[20:])]
    )
    found = reconcile(tracker, FORMS[form](LUNA[:20]), **RANGE)
    assert found.drifts == ()
    assert found.matched_requests == 20
    others = [_at_a_proxy(each, "gpt-6-luna") for each in records[20:]]
    tracker = _ledger([*records[:20], *others])
    assert reconcile(tracker, FORMS[form](LUNA), **RANGE).drifts == ()


def _at_a_proxy(record: UsageRecord, model: str) -> UsageRecord:
    (attempt,) = record.attempt_records
    attempt = replace(attempt, base_url="https://proxy.example/v1", model=model)
    return replace(record, model=model, attempt_records=(attempt,))


# --- prices ---


@pytest.mark.parametrize("prices", [("0.12", "0.012", "0.60"), ("0.10", "0.01", "0.45")])
def test_a_price_that_nobody_told_us_is_read_from_the_bill(
    prices: tuple[str, str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = [replace(c, input_tokens=c.input_tokens * 7, tier="default") for c in LUNA]
    records = as_records(calls, dice(1))
    monkeypatch.setitem(planted_bills.PRICES, ("gpt-6-luna", "default"), prices)
    for form in ("calls", "costs"):
        found = reconcile(_ledger(records), FORMS[form](calls), **RANGE)
        assert set(_kinds(found)) == {"stale_price"}
        assert abs(found.unexplained_usd) < TINY
    (drift,) = found.drifts
    assert f"output billed at ${Decimal(prices[2]).normalize()} a million tokens" in drift.detail


@each_form
def test_prices_of_your_own_are_compared_as_well(form: str) -> None:
    old = [replace(call, factor="0.8") for call in LUNA[:3]]
    own = [
        replace(r, attempt_records=tuple(_as_own(a) for a in r.attempt_records))
        for r in _plain([*old, *LUNA[3:]])
    ]
    found = reconcile(_ledger(own), FORMS[form](LUNA), **RANGE)
    assert set(_kinds(found)) == {"stale_price"}
    expected = sum((call.usd() for call in LUNA[:3]), Decimal(0)) * Decimal("0.2")
    assert abs(found.explained_usd - expected) < TINY


def _as_own(attempt: Any) -> Any:
    return replace(attempt, cost=replace(attempt.cost, pricing_source="user"))


def test_own_prices_that_the_provider_bills_are_no_drift() -> None:
    ours = [replace(call, factor="0.8") for call in LUNA]
    export = json.loads(
        json.dumps(as_costs(LUNA)), parse_float=lambda each: float(Decimal(each) * Decimal("0.8"))
    )
    assert reconcile(_ledger(_plain(ours)), export, **RANGE).agrees


@each_form
def test_a_call_without_a_price_is_named(form: str) -> None:
    records = _plain(LUNA)
    attempt = replace(records[4].attempt_records[0], cost=Cost())
    records[4] = replace(records[4], cost=Cost(), attempt_records=(attempt,))
    found = reconcile(_ledger(records), FORMS[form](LUNA), **RANGE)
    assert _kinds(found) == ["no_price"]
    assert abs(found.explained_usd - LUNA[4].usd()) < TINY


# --- calls that broke off ---


@each_form
def test_a_billed_call_whose_answer_was_never_seen_is_explained(form: str) -> None:
    records = [*_plain(LUNA[1:]), unseen(LUNA[0])]
    export = FORMS[form](LUNA)
    if form == "calls":
        export[0]["request_id"] = "req_0"
    found = reconcile(_ledger(records), export, **RANGE)
    if form == "nameless":
        return
    assert _kinds(found) == ["estimated_record"]
    assert found.drifts[0].calls == ("req_0",)
    assert abs(found.explained_usd - LUNA[0].usd()) < TINY
    assert reconcile(_ledger(records), FORMS[form](LUNA[1:]), **RANGE).agrees


@pytest.mark.parametrize("form", ["calls", "usage", "costs"])
def test_an_estimate_that_was_off_is_explained(form: str) -> None:
    records = _plain(LUNA)
    attempt = replace(records[5].attempt_records[0], measurement=Measurement.ESTIMATED)
    records[5] = replace(records[5], estimated=True, attempt_records=(attempt,))
    billed = [replace(c, output_tokens=c.output_tokens + 7) if c.number == 5 else c for c in LUNA]
    found = reconcile(_ledger(records), FORMS[form](billed), **RANGE)
    assert _kinds(found) == ["estimated_record"]
    assert found.drifts[0].calls == (LUNA[5].response_id,)


@pytest.mark.parametrize("form", ["calls", "usage", "costs"])
def test_other_output_tokens_are_a_mismatch_in_every_form(form: str) -> None:
    billed = [replace(c, output_tokens=c.output_tokens + 77) if c.number == 5 else c for c in LUNA]
    found = _found(LUNA, billed, form)
    assert _kinds(found) == ["token_mismatch"]
    assert abs(found.explained_usd - Decimal("77e-6") / 2) < TINY


@pytest.mark.parametrize("form", ["calls", "usage", "costs"])
def test_cached_tokens_that_were_counted_fresh_are_a_mismatch(form: str) -> None:
    billed = [replace(c, cached_tokens=512) if c.number == 6 else c for c in LUNA]
    found = _found(LUNA, billed, form)
    assert _kinds(found) == ["token_mismatch"]
    assert abs(found.explained_usd - (billed[6].usd() - LUNA[6].usd())) < TINY


# --- one call, or several ---


@pytest.mark.parametrize("form", ["calls", "usage", "costs", "model_costs", "priced_usage"])
def test_a_call_that_was_billed_for_another_model_is_one_drift(form: str) -> None:
    billed = [replace(c, model="gpt-4o-mini") if c.number == 9 else c for c in LUNA]
    others = [replace(c, number=c.number + 500, model="gpt-4o-mini") for c in LUNA[:5]]
    found = _found([*LUNA, *others], [*billed, *others], form)
    assert _kinds(found) == ["model_mismatch"]
    assert found.drifts[0].calls == (LUNA[9].response_id,)
    assert abs(found.explained_usd - (billed[9].usd() - LUNA[9].usd())) < TINY


@pytest.mark.parametrize("form", ["calls", "usage", "costs"])
def test_a_call_that_the_ledger_has_twice_is_a_duplicate(form: str) -> None:
    first = _plain(LUNA)[0]
    run_id = uuid.uuid5(uuid.NAMESPACE_OID, "twin")
    attempt = replace(first.attempt_records[0], run_id=run_id)
    twin = replace(first, run_id=run_id, root_run_id=None, attempt_records=(attempt,))
    found = reconcile(_ledger([*_plain(LUNA), twin]), FORMS[form](LUNA), **RANGE)
    assert _kinds(found) == ["duplicate"]
    assert abs(found.explained_usd + LUNA[0].usd()) < TINY


@each_form
def test_attempts_are_billed_and_not_runs(form: str) -> None:
    records = _plain(LUNA)
    first, second = records[0], records[1]
    both = (
        *first.attempt_records,
        replace(second.attempt_records[0], run_id=first.run_id, number=2),
    )
    run = replace(first, attempts=2, attempt_records=both)
    tracker = _ledger([run, *records[2:]])
    assert reconcile(tracker, FORMS[form](LUNA), **RANGE).drifts == ()


def test_our_own_export_lists_runs_of_several_attempts(tmp_path: Path) -> None:
    records = _plain(LUNA)
    first, second = records[0], records[1]
    both = (
        *first.attempt_records,
        replace(second.attempt_records[0], run_id=first.run_id, number=2),
    )
    assert first.cost is not None
    assert second.cost is not None
    assert first.tokens is not None
    assert second.tokens is not None
    run = replace(
        first,
        attempts=2,
        attempt_records=both,
        tokens=first.tokens + second.tokens,
        cost=first.cost + second.cost,
    )
    tracker = _ledger([run, *records[2:]])
    tracker.export("csv", tmp_path / "runs.csv")
    assert reconcile(tracker, tmp_path / "runs.csv").drifts == ()


# --- files ---


def _as_csv(rows: list[dict[str, Any]], delimiter: str = ",") -> str:
    names = list(dict.fromkeys(name for row in rows for name in row))
    out = io.StringIO()
    writer = csv.DictWriter(out, names, delimiter=delimiter)
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()


def _dashboard_costs(calls: Sequence[Call]) -> str:
    return _as_csv(
        [
            {
                "start_time": bucket["start_time"],
                "end_time": bucket["end_time"],
                "start_time_iso": f"{FIRST + DAY * number:%Y-%m-%dT%H:%M:%S}+00:00",
                "amount_value": result["amount"]["value"],
                "amount_currency": "usd",
                "line_item": result["line_item"],
                "project_id": "proj_1",
                "project_name": "Default project",
                "organization_id": "org-1",
            }
            for number, bucket in enumerate(as_costs(calls)["data"])
            for result in bucket["results"]
        ]
    )


def _log_of_calls(calls: Sequence[Call]) -> str:
    return _as_csv(
        [
            {
                "Timestamp": call.started_at.isoformat(),
                "Request ID": f"req_{call.number}",
                "Model": call.dated,
                "Service Tier": call.tier,
                "Input Tokens": f"{call.input_tokens:,}",
                "Cached Tokens": call.cached_tokens,
                "Output Tokens": call.output_tokens,
                "Cost (USD)": f"${call.usd():f}",
            }
            for call in calls
        ],
        ";",
    )


@pytest.mark.parametrize("write", [_dashboard_costs, _log_of_calls])
def test_tables_of_many_kinds_are_read(
    write: Callable[[Sequence[Call]], str], tmp_path: Path
) -> None:
    calls = some_calls(dice(9), 50)
    path = tmp_path / "export.csv"
    path.write_text(write(calls), encoding="utf-8")
    assert reconcile(_ledger(as_records(calls, dice(1))), path, **RANGE).agrees
    found = reconcile(_ledger(as_records(calls[1:], dice(1))), path, **RANGE)
    assert _kinds(found) == ["missing_in_ledger"]
    assert abs(found.explained_usd - calls[0].usd()) < TINY


@pytest.mark.parametrize(
    "item",
    ["{}, {}", "{} | {}", "{}, {} tokens", "{}, {}, default"],
)
def test_line_items_are_written_in_many_ways(item: str) -> None:
    export = as_costs(LUNA)
    for bucket in export["data"]:
        for result in bucket["results"]:
            result["line_item"] = item.format(*result["line_item"].title().split(", "))
    assert reconcile(_ledger(_plain(LUNA)), export, **RANGE).drifts == ()


def test_line_items_may_name_tiers() -> None:
    calls = some_calls(dice(10), 60)
    export = as_costs(calls)
    for number, bucket in enumerate(export["data"]):
        some = [call for call in calls if call.day == FIRST + DAY * number]
        sums: dict[str, Decimal] = defaultdict(Decimal)
        for call in some:
            tier = "" if call.tier == "default" else f"{call.tier} "
            for kind, usd in call.dollars().items():
                sums[f"{call.dated}, {tier}{kind.replace('_', ' ')}"] += usd
        bucket["results"] = [
            {"amount": {"value": float(usd), "currency": "usd"}, "line_item": text}
            for text, usd in sums.items()
        ]
    assert reconcile(_ledger(as_records(calls, dice(1))), export, **RANGE).agrees


def test_fees_and_other_currencies_are_named_apart() -> None:
    export = as_costs(LUNA)
    fees = ("web search tool calls", "gpt-6-luna, web search", "code interpreter sessions")
    for item in fees:
        fee = {"amount": {"value": 0.25, "currency": "usd"}, "line_item": item}
        export["data"][0]["results"].append(fee)
    euros = {"amount": {"value": 3, "currency": "eur"}, "line_item": "gpt-6-luna, input"}
    export["data"][1]["results"].append(euros)
    found = reconcile(_ledger(_plain(LUNA)), export, **RANGE)
    assert _kinds(found) == ["currency", *["other_service"] * 3]
    assert {drift.detail for drift in found.drifts} == {*fees, "3 EUR gpt-6-luna, input"}


def test_a_project_is_chosen_by_id_or_name(tmp_path: Path) -> None:
    mine, other = _dashboard_costs(LUNA), _dashboard_costs(LUNA[:9])
    others = other.replace("proj_1,Default project", "proj_2,Other").splitlines()[1:]
    path = tmp_path / "costs.csv"
    path.write_text("\n".join([*mine.splitlines(), *others]), encoding="utf-8")
    tracker = _ledger(_plain(LUNA))
    assert not reconcile(tracker, path).agrees
    for name in ("proj_1", "Default project"):
        assert reconcile(tracker, path, project=name).agrees


def test_pages_are_read_together_and_one_that_is_not_the_last_says_so(tmp_path: Path) -> None:
    export = as_usage(LUNA)
    paths = [tmp_path / f"page{number}.json" for number in range(DAYS)]
    for number, path in enumerate(paths):
        page = {**export, "data": [export["data"][number]], "has_more": number < DAYS - 1}
        path.write_text(json.dumps(page), encoding="utf-8")
    tracker = _ledger(_plain(LUNA))
    assert reconcile(tracker, paths).agrees
    assert reconcile(tracker, paths).notes == ()
    assert "more pages follow" in reconcile(tracker, paths[0]).notes[0]


def test_a_day_that_the_file_leaves_out_is_a_day_without_usage() -> None:
    lonely = replace(LUNA[0], number=77, started_at=FIRST + DAY + timedelta(hours=5))
    late = replace(LUNA[0], number=78, started_at=FIRST + 2 * DAY + timedelta(hours=5))
    for form in ("usage", "costs"):
        export = FORMS[form]([*LUNA, late])
        export["data"] = [bucket for bucket in export["data"] if bucket["results"]]
        found = reconcile(_ledger(_plain([*LUNA, lonely, late])), export)
        assert _kinds(found) == ["missing_at_provider"]
        assert found.drifts[0].calls == (lonely.response_id,)


def test_the_answers_of_a_batch_are_a_list_of_calls() -> None:
    calls = [replace(call, tier="batch") for call in LUNA]
    lines = [
        {
            "id": f"batch_req_{call.number}",
            "custom_id": str(call.number),
            "response": {
                "status_code": 200,
                "request_id": f"b-{call.number}",
                "body": {
                    "id": call.response_id,
                    "model": call.dated,
                    "usage": row["usage"],
                    "service_tier": "default",
                },
            },
            "error": None,
        }
        for call, row in zip(calls, as_calls(calls), strict=True)
    ]
    assert reconcile(_ledger(_plain(calls)), lines).drifts == ()
    found = reconcile(_ledger(_plain([LUNA[0], *calls[1:]])), lines)
    assert _kinds(found) == ["batch_discount"]


def test_a_gateway_with_ids_of_its_own_is_compared_by_what_was_used() -> None:
    export = [{**row, "id": f"gw-{number}"} for number, row in enumerate(as_calls(LUNA))]
    assert reconcile(_ledger(_plain(LUNA)), export, **RANGE).drifts == ()
    found = reconcile(_ledger(_plain(LUNA[1:])), export, **RANGE)
    assert _kinds(found) == ["missing_in_ledger"]
