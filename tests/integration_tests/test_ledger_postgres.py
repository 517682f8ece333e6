"""A ledger in a real PostgreSQL, which may be absent, or drop its connections."""

from __future__ import annotations

import logging
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import date
from pathlib import Path

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from postgres_places import schema
from report_records import varied_records

from langchain_tamma_openai.errors import StorageError
from langchain_tamma_openai.usage.filters import RecordFilter
from langchain_tamma_openai.usage.percentiles import COLUMNS
from langchain_tamma_openai.usage.record import UsageRecord
from langchain_tamma_openai.usage.report.figures import ReportPlan, TimeStep
from langchain_tamma_openai.usage.tracker import UsageTracker

sys.path.insert(0, str(Path(__file__).parent.parent / "unit_tests"))
from usage_folding import check_answers, filters, group_bys
from usage_records import usage_record, usage_records


@pytest.fixture
def url() -> Iterator[str]:
    with schema() as given_url:
        yield given_url


@pytest.fixture
def tracker(url: str, tmp_path: Path) -> Iterator[UsageTracker]:
    with UsageTracker(url, "sync", spill_path=tmp_path) as opened:
        yield opened


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(records=st.lists(usage_records(), max_size=15), group_by=group_bys, data=st.data())
def test_any_records_add_up_exactly(
    url: str,
    tmp_path: Path,
    records: list[UsageRecord],
    group_by: tuple[str, ...],
    data: st.DataObject,
) -> None:
    with UsageTracker(url, spill_path=tmp_path) as tracker:
        tracker.clear(date.max)
        for record in [*records, *records[:3]]:
            tracker.record(record)
        check_answers(tracker, records, group_by)
        check_answers(tracker, records, group_by, data.draw(filters(records)))
        tracker.clear(date(2026, 3, 15))
        kept = {record.run_id: record for record in reversed(records)}.values()
        later = [run for run in kept if run.started_at.date() >= date(2026, 3, 15)]
        check_answers(tracker, later, group_by)


@pytest.mark.parametrize("step", ["hour", "day", "month"])
def test_reports_and_percentiles_are_those_of_the_memory(
    tracker: UsageTracker, step: TimeStep
) -> None:
    memory = UsageTracker("memory")
    for record in varied_records(150, days=70):
        memory.record(record)
        tracker.record(record)
    wanted, plan = RecordFilter.parse({}), ReportPlan(top=3, step=step)
    assert tracker.report_figures(wanted, plan) == memory.report_figures(wanted, plan)
    for group_by in ((), (step,), ("tag",), (step, "model")):
        for measure in COLUMNS:
            assert tracker.percentiles(measure, group_by=group_by) == memory.percentiles(
                measure, group_by=group_by
            )


def test_filters_and_pages_work_as_in_a_file(tracker: UsageTracker) -> None:
    for number in range(25):
        tracker.record(
            usage_record(number, user_id=f"u{number % 2}", tags=("a", "b")[: number % 3])
        )

    assert len(list(tracker.records(user_id="u1"))) == 12
    assert tracker.summary(tags=["a", "b"]).total_requests == 8
    assert tracker.summary(run_id=usage_record(3).run_id).total_requests == 1
    assert tracker.summary(group_by=("month", "tag")).group(month="2026-03", tag="b")
    assert len(list(tracker.attempts(tags="a"))) == 16


def test_amounts_and_ids_have_types_of_the_database(tracker: UsageTracker, url: str) -> None:
    tracker.record(usage_record())
    engine = sa.create_engine(url)
    with engine.connect() as connection:
        types = "SELECT pg_typeof(run_id)::text, pg_typeof(total_cost_usd)::text"
        row = connection.execute(sa.text(f"{types} FROM tamma_usage_runs")).one()
    engine.dispose()
    assert tuple(row) == ("uuid", "numeric")


def test_lost_connections_are_opened_again(url: str, tmp_path: Path) -> None:
    named = sa.make_url(url).update_query_dict({"application_name": "ledger-to-lose"})
    with UsageTracker(named.render_as_string(), "sync", spill_path=tmp_path) as tracker:
        tracker.record(usage_record(1))
        engine = sa.create_engine(url)
        with engine.connect() as connection:
            mine = "FROM pg_stat_activity WHERE application_name = 'ledger-to-lose'"
            lost = connection.execute(sa.text(f"SELECT pg_terminate_backend(pid) {mine}"))
            assert len(lost.all()) == 1
        engine.dispose()
        tracker.record(usage_record(2))

        assert tracker.summary().total_requests == 2
        assert list(tmp_path.iterdir()) == []


def test_a_missing_server_is_one_clear_error_without_the_password(tmp_path: Path) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(StorageError, match="failed: connection") as caught:
        UsageTracker(
            f"postgresql+psycopg://root:hunter2@127.0.0.1:{port}/test", spill_path=tmp_path
        )
    assert "hunter2" not in str(caught.value)
    assert caught.value.__cause__ is not None
    assert "hunter2" not in str(caught.value.__cause__)


def test_tables_that_are_away_fill_the_spill_and_come_back(
    url: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    engine = sa.create_engine(url)
    with (
        caplog.at_level(logging.WARNING),
        UsageTracker(url, "sync", spill_path=tmp_path) as tracker,
    ):
        with engine.begin() as connection:
            connection.execute(sa.text("ALTER TABLE tamma_usage_runs RENAME TO away"))
        tracker.record(usage_record(1))
        assert len(list(tmp_path.glob("usage-*.spill-*.jsonl"))) == 1
        with engine.begin() as connection:
            connection.execute(sa.text("ALTER TABLE away RENAME TO tamma_usage_runs"))
        number = 2
        while list(tmp_path.glob("usage-*.spill-*.jsonl")):
            tracker.record(usage_record(number))
            number += 1
            time.sleep(0.02)
        assert tracker.summary().total_requests == number - 1
    engine.dispose()
    assert "works again" in caplog.text


def test_a_later_version_is_refused(tracker: UsageTracker, url: str, tmp_path: Path) -> None:
    del tracker
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        connection.execute(sa.text("UPDATE tamma_usage_schema_version SET version = 99"))
    engine.dispose()
    with pytest.raises(StorageError, match="schema version 99"):
        UsageTracker(url, spill_path=tmp_path)
