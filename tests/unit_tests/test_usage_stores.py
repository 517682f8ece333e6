"""Every store gives the same answers as a plain sum over the records."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from usage_folding import check_answers, filters, group_bys
from usage_records import MODELS, NOON, usage_record, usage_records

from langchain_tamma_openai.errors import InvalidParameterError, UnknownParameterError
from langchain_tamma_openai.pricing_cost import Cost
from langchain_tamma_openai.usage.record import RunStatus, UsageRecord
from langchain_tamma_openai.usage.tracker import UsageTracker
from langchain_tamma_openai.wire.usage import TokenUsage


@pytest.fixture(params=["memory", "sqlite"])
def tracker(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[UsageTracker]:
    store = "memory" if request.param == "memory" else f"sqlite:///{tmp_path}/usage.db"
    with UsageTracker(store) as opened:
        yield opened


def _record_all(tracker: UsageTracker, records: Sequence[UsageRecord]) -> None:
    for record in records:
        tracker.record(record)


@settings(max_examples=30, deadline=None)
@given(st.lists(usage_records(), max_size=25), st.data())
def test_any_records_in_any_order_with_repeats_add_up_exactly(
    records: list[UsageRecord], data: st.DataObject
) -> None:
    repeated = data.draw(st.lists(st.sampled_from(records), max_size=5)) if records else []
    group_by = data.draw(group_bys)
    wanted = data.draw(filters(records))
    with tempfile.TemporaryDirectory() as directory:
        for store in ("memory", f"sqlite:///{directory}/usage.db"):
            with UsageTracker(store) as tracker:
                _record_all(tracker, [*records, *repeated])
                check_answers(tracker, [*records, *repeated], group_by)
                check_answers(tracker, [*records, *repeated], group_by, wanted)


@settings(max_examples=20, deadline=None)
@given(st.lists(usage_records(), max_size=25), st.data())
def test_answers_stay_exact_after_a_part_was_cleared(
    records: list[UsageRecord], data: st.DataObject
) -> None:
    before = data.draw(st.datetimes(datetime(2026, 2, 28), datetime(2026, 4, 3)))  # noqa: DTZ001 - read as UTC
    limit = before.replace(tzinfo=UTC)
    with tempfile.TemporaryDirectory() as directory:
        for store in ("memory", f"sqlite:///{directory}/usage.db"):
            with UsageTracker(store) as tracker:
                _record_all(tracker, records)
                first = {record.run_id: record for record in reversed(records)}
                gone = sum(record.started_at < limit for record in first.values())
                assert tracker.clear(before) == gone
                kept = [record for record in first.values() if record.started_at >= limit]
                check_answers(tracker, kept, ("day", "model"))


def test_records_come_back_in_order_of_their_start(tracker: UsageTracker) -> None:
    records = [usage_record(number, tags=("a",), metadata={"n": number}) for number in range(2500)]
    _record_all(tracker, records[::-1])

    assert list(tracker.records()) == records
    assert list(tracker.records(start=records[-1].started_at)) == records[-1:]
    assert [attempt.run_id for attempt in tracker.attempts()] == [run.run_id for run in records]


def test_filters_narrow_every_answer(tracker: UsageTracker) -> None:
    _record_all(
        tracker,
        [
            usage_record(1, user_id="ann", organization_id="acme", tags=("a", "b")),
            usage_record(2, user_id="ann", model=MODELS[1], tags=("a",), prompt_id="p"),
            usage_record(3, status=RunStatus.ERROR, model=None, service_tier="flex"),
        ],
    )

    def requests(**filters: Any) -> int:
        found = len(list(tracker.records(**filters)))
        assert tracker.summary(**filters).total_requests == found
        return found

    assert requests(user_id="ann") == 2
    assert requests(user_id="ann", organization_id="acme") == 1
    assert requests(model=MODELS[1]) == 1
    assert requests(requested_model=MODELS[0]) == 3
    assert requests(tags="a") == 2
    assert requests(tags=["a", "b"]) == 1
    assert requests(tags=["a", "c"]) == 0
    assert requests(tags=[]) == 3
    assert tracker.summary(tags="a", group_by="tag").group(tag="b").total_requests == 1
    assert requests(status="error") == requests(status=RunStatus.ERROR) == 1
    assert requests(service_tier="flex", status="ok") == 0
    assert requests(prompt_id="p") == 1
    assert requests(run_id=usage_record(2).run_id) == 1
    assert requests(run_id=str(usage_record(2).run_id)) == 1
    assert requests(provider="openai", api="responses") == 3


def test_ranges_begin_with_their_start_and_stop_before_their_end(tracker: UsageTracker) -> None:
    _record_all(tracker, [usage_record(number) for number in range(10)])
    east = NOON.astimezone(UTC) + timedelta(seconds=3)

    assert tracker.summary(NOON, east).total_requests == 3
    assert tracker.summary(NOON.replace(tzinfo=None), east).total_requests == 3
    assert tracker.summary(east).total_requests == 7
    assert tracker.summary(east, east).total_requests == 0
    assert tracker.summary(date(2026, 3, 1), date(2026, 3, 2)).total_requests == 10
    assert tracker.summary(date(2026, 3, 2)).total_requests == 0


@pytest.mark.parametrize("hours", range(0, 50, 7))
def test_ranges_that_cut_hours_are_exact(tracker: UsageTracker, hours: int) -> None:
    records = [
        usage_record(number, started_at=NOON + timedelta(minutes=17 * number))
        for number in range(200)
    ]
    _record_all(tracker, records)
    start, end = NOON + timedelta(minutes=31), NOON + timedelta(hours=hours, minutes=45)
    wanted = [record for record in records if start <= record.started_at < end]
    summary = tracker.summary(start, end, group_by=("hour", "model"))

    assert summary.total_requests == len(wanted)
    assert summary.total_tokens == sum(r.tokens.total_tokens for r in wanted if r.tokens)


def test_unknown_costs_are_counted_and_never_zero(tracker: UsageTracker) -> None:
    unknown = Cost(unknown_reason="no price")
    _record_all(
        tracker,
        [
            usage_record(1, cost=unknown),
            usage_record(2, cost=None, tokens=None, status=RunStatus.ERROR),
            usage_record(3, cost=None, tokens=None, status=RunStatus.ERROR, attempts=0),
        ],
    )
    summary = tracker.summary(user_id=None, group_by="status")

    assert (summary.unpriced_requests, summary.unmeasured_requests) == (2, 1)
    assert summary.total_requests == 3
    assert summary.group(status="ok").total_cost_usd is None
    assert summary.requests_by_status[RunStatus.ERROR] == summary.failed_requests == 2


def test_cache_hits_and_estimates_are_counted_apart(tracker: UsageTracker) -> None:
    estimate = Cost(Decimal(1), Decimal(2), Decimal(3), estimated=True)
    _record_all(
        tracker,
        [
            usage_record(1, cache_hit=True, attempts=0, attempt_records=()),
            usage_record(2, cost=estimate),
            usage_record(3, estimated=True, cost=Cost(Decimal(1), Decimal(1), Decimal(2))),
        ],
    )
    summary = tracker.summary()

    assert (summary.total_requests, summary.cache_hits, summary.total_runs) == (2, 1, 3)
    assert (summary.estimated_requests, summary.unpriced_requests) == (2, 0)
    assert summary.total_cost_usd == 5
    assert summary.total_tokens == 112 + 113


def test_amounts_of_any_size_add_up_to_the_last_digit(tracker: UsageTracker) -> None:
    amounts = [Decimal(text) for text in ("1E-30", "123456789012.5", "-0.1", "0.000000000001")]
    _record_all(
        tracker,
        [usage_record(n, cost=Cost(usd, usd, usd + usd)) for n, usd in enumerate(amounts)],
    )
    summary = tracker.summary(group_by="model")

    assert summary.input_cost_usd == Decimal("123456789012.400000000001000000000000000001")
    assert summary.groups[0].input_cost_usd == summary.input_cost_usd


def test_a_summary_of_nothing_is_zero(tracker: UsageTracker) -> None:
    summary = tracker.summary(group_by="model")

    assert (summary.total_requests, summary.total_tokens, summary.groups) == (0, 0, ())
    assert summary.total_cost_usd == Decimal(0)
    assert summary.mean_latency_s is None
    assert tracker.clear(date.max) == 0


def test_groups_are_named_and_ordered(tracker: UsageTracker) -> None:
    _record_all(
        tracker,
        [
            usage_record(1, tags=("b", "a", "b")),
            usage_record(2, tags=()),
            usage_record(3, tags=("a",), started_at=NOON + timedelta(days=40)),
        ],
    )
    summary = tracker.summary(group_by=("tag", "month"))

    assert [dict(group.key) for group in summary.groups] == [
        {"tag": None, "month": "2026-03"},
        {"tag": "a", "month": "2026-03"},
        {"tag": "a", "month": "2026-04"},
        {"tag": "b", "month": "2026-03"},
    ]
    assert summary.total_requests == 3
    assert summary.group(tag="z", month="2026-03").total_requests == 0
    assert tracker.summary(group_by="hour").groups[0].key == {"hour": "2026-03-01T12:00Z"}


def test_figures_of_time_are_means(tracker: UsageTracker) -> None:
    _record_all(
        tracker,
        [
            usage_record(1, latency_s=1.0, time_to_first_token_s=0.25),
            usage_record(2, latency_s=2.0),
        ],
    )
    summary = tracker.summary()

    assert summary.mean_latency_s == 1.5
    assert summary.mean_time_to_first_token_s == 0.25
    assert summary.as_dict()["total_cost_usd"] == "0.00045375"


def test_every_kind_of_token_is_added_up(tracker: UsageTracker) -> None:
    tokens = TokenUsage(*range(1, 13))
    _record_all(tracker, [usage_record(n, tokens=tokens) for n in range(3)])
    summary = tracker.summary()

    assert summary.tokens == tokens + tokens + tokens
    assert (summary.cached_tokens, summary.cache_write_tokens) == (12, 15)
    assert summary.reasoning_tokens == 30


@pytest.mark.parametrize(
    ("filters", "error"),
    [
        ({"colour": "red"}, UnknownParameterError),
        ({"start": "yesterday"}, InvalidParameterError),
        ({"start": NOON, "end": NOON - timedelta(1)}, InvalidParameterError),
        ({"user_id": 5}, InvalidParameterError),
        ({"tags": 5}, InvalidParameterError),
        ({"tags": [5]}, InvalidParameterError),
        ({"status": "fine"}, InvalidParameterError),
        ({"run_id": "x"}, InvalidParameterError),
    ],
)
def test_wrong_filters_are_refused(
    tracker: UsageTracker, filters: dict[str, Any], error: type[Exception]
) -> None:
    with pytest.raises(error, match=next(reversed(filters))):
        tracker.records(**filters)
    with pytest.raises(error):
        tracker.summary(**filters)


def test_unknown_groups_are_refused(tracker: UsageTracker) -> None:
    with pytest.raises(InvalidParameterError, match="group_by: got 'colour', must be"):
        tracker.summary(group_by=("day", "colour"))


def test_clear_needs_a_time(tracker: UsageTracker) -> None:
    tracker.record(usage_record())
    with pytest.raises(InvalidParameterError, match="before"):
        tracker.clear(None)  # type: ignore[arg-type]

    assert tracker.summary().total_requests == 1


def test_a_cleared_run_may_be_recorded_again(tracker: UsageTracker) -> None:
    tracker.record(usage_record())
    assert tracker.clear(date(2027, 1, 1)) == 1
    tracker.record(replace(usage_record(), model=MODELS[1]))

    assert [group.key for group in tracker.summary(group_by="model").groups] == [
        {"model": MODELS[1]}
    ]
