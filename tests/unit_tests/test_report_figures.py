"""What a report reads of a ledger: the same from every store, and equal to its summaries."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from report_records import varied_records
from usage_folding import filters
from usage_records import usage_record, usage_records

from langchain_tamma_openai.usage.filters import RecordFilter
from langchain_tamma_openai.usage.percentiles import QUANTILES
from langchain_tamma_openai.usage.record import RunStatus, UsageRecord
from langchain_tamma_openai.usage.report.figures import (
    DIMENSIONS,
    LedgerFigures,
    ReportPlan,
    choose_step,
)
from langchain_tamma_openai.usage.summary import OTHERS
from langchain_tamma_openai.usage.tracker import UsageTracker


@pytest.fixture(scope="module", params=["memory", "sqlite"])
def tracker(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[UsageTracker]:
    folder = tmp_path_factory.mktemp("ledger")
    store = "memory" if request.param == "memory" else f"sqlite:///{folder}/usage.db"
    with UsageTracker(store) as opened:
        for record in varied_records(1500):
            opened.record(record)
        opened.record(usage_record(1, cache_hit=True, user_id="only-cached"))
        yield opened


def _read(tracker: UsageTracker, plan: ReportPlan, **wanted: Any) -> LedgerFigures:
    return tracker.report_figures(RecordFilter.parse(wanted), plan)


@settings(max_examples=12, deadline=None)
@given(st.lists(usage_records(), max_size=20), st.data())
def test_every_store_reads_the_same(records: list[UsageRecord], data: st.DataObject) -> None:
    wanted = data.draw(filters(records))
    plan = ReportPlan(
        data.draw(st.integers(1, 4)), data.draw(st.sampled_from(["hour", "day", "month"]))
    )
    found = []
    with tempfile.TemporaryDirectory() as directory:
        for store in ("memory", f"sqlite:///{directory}/usage.db"):
            with UsageTracker(store) as tracker:
                for record in records:
                    tracker.record(record)
                found.append(_read(tracker, plan, **wanted))
    assert found[0] == found[1]


@pytest.mark.parametrize(
    "wanted", [{}, {"user_id": "user-1"}, {"tags": ["chat"]}, {"start": None, "model": "o4-mini"}]
)
def test_figures_equal_the_summaries(tracker: UsageTracker, wanted: dict[str, Any]) -> None:
    figures = _read(tracker, ReportPlan(top=3), **wanted)
    summary = tracker.summary(group_by=figures.step, **wanted)
    assert figures.total.as_dict() == summary.as_dict()
    assert [f.as_dict() for f in figures.by_time.values()] == [g.as_dict() for g in summary.groups]
    assert list(figures.by_time) == [group.key[figures.step] for group in summary.groups]


@pytest.mark.parametrize("dimension", DIMENSIONS)
def test_breakdowns_equal_the_summaries(tracker: UsageTracker, dimension: str) -> None:
    breakdown = _read(tracker, ReportPlan(top=3)).breakdowns[dimension]
    groups = {
        group.key[dimension]: group
        for group in tracker.summary(group_by=dimension).groups
        if group.total_requests
    }
    named = [name for name in groups if name is not None]
    by_cost = sorted(named, key=lambda name: (-groups[name].known_total_usd, name))
    assert list(breakdown.names) == by_cost[:3]
    assert breakdown.distinct == len(named)
    for name, group in groups.items():
        if name in breakdown.names or name is None:
            cells = [cell for (_, value), cell in breakdown.cells.items() if value == name]
            assert sum(cell.known_total_usd for cell in cells) == group.known_total_usd
            assert sum(cell.total_requests for cell in cells) == group.total_requests
            assert sum(cell.input_tokens for cell in cells) == group.input_tokens
    others = [cell for (_, value), cell in breakdown.cells.items() if value == OTHERS]
    rest = [groups[name] for name in by_cost[3:]]
    assert sum(cell.total_requests for cell in others) == sum(g.total_requests for g in rest)
    assert sum((cell.known_total_usd for cell in others), Decimal(0)) == sum(
        (g.known_total_usd for g in rest), Decimal(0)
    )


def test_quantiles_are_values_at_their_rank(tracker: UsageTracker) -> None:
    figures = _read(tracker, ReportPlan())
    records = [record for record in tracker.records() if not record.cache_hit]
    latencies = sorted(record.latency_s for record in records)
    found = figures.times["latency_us"].overall
    assert found is not None
    assert found.count == len(latencies)
    for share, us in zip(QUANTILES, found.values_us, strict=True):
        assert us == round(latencies[math.ceil(share * len(latencies)) - 1] * 10**6)
    first = [record for record in records if record.time_to_first_token_s is not None]
    by_model = figures.times["first_token_us"].by_model
    assert sum(quantiles.count for quantiles in by_model.values()) == len(first)
    nano = sorted(r.time_to_first_token_s or 0 for r in first if r.model == "gpt-5.4-nano")
    expected = round(nano[math.ceil(0.95 * len(nano)) - 1] * 10**6)
    assert by_model["gpt-5.4-nano"].values_us[2] == expected


def test_troubles_count_failures_and_retries(tracker: UsageTracker) -> None:
    figures = _read(tracker, ReportPlan())
    records = [record for record in tracker.records() if not record.cache_hit]
    failed = sum(trouble.requests for trouble in figures.troubles if trouble.status == "error")
    assert failed == sum(record.status is RunStatus.ERROR for record in records) > 0
    retries = sum(trouble.retries for trouble in figures.troubles)
    assert retries == sum(record.attempts - 1 for record in records) > 0
    kinds = {trouble.error_kind for trouble in figures.troubles}
    assert kinds == {None, "rate_limit", "server_error", "request_timeout", "stream_interrupted"}


def test_days_of_a_month_are_one_point(tmp_path: Path) -> None:
    with UsageTracker("memory") as memory, UsageTracker(tmp_path / "usage.db") as sqlite:
        for record in varied_records(400, days=70):
            memory.record(record)
            sqlite.record(record)
        found = _read(sqlite, ReportPlan(step="month"))
        assert found == _read(memory, ReportPlan(step="month"))
    assert list(found.by_time) == ["2026-03", "2026-04", "2026-05"]
    assert list(found.times["latency_us"].by_time) == list(found.by_time)
    counts = [quantiles.count for quantiles in found.times["latency_us"].by_time.values()]
    assert counts == [figures.total_requests for figures in found.by_time.values()]
    keys = [(trouble.time, trouble.status, trouble.error_kind) for trouble in found.troubles]
    assert len(keys) == len(set(keys))


def test_an_empty_ledger_reads_as_nothing(tmp_path: Path) -> None:
    with UsageTracker("memory") as memory, UsageTracker(tmp_path / "usage.db") as sqlite:
        assert _read(memory, ReportPlan()) == _read(sqlite, ReportPlan())
        assert _read(memory, ReportPlan()).first is None


def test_the_step_follows_the_range() -> None:
    start, end = (usage_record(number).started_at for number in (0, 3 * 86400))
    assert choose_step(start, end) == "hour"
    assert choose_step(start, end.replace(month=6)) == "day"
    assert choose_step(start, end.replace(year=2028)) == "month"
    assert choose_step(None, None) == "day"
