"""The report says what the summary says, in every format, and nothing in it can break out."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from usage_records import usage_record

from langchain_tamma_openai import (
    ConfigurationError,
    InvalidParameterError,
    RunStatus,
    UsageReport,
    UsageTracker,
    usage_report,
)
from langchain_tamma_openai.__main__ import main
from langchain_tamma_openai.usage.percentiles import COLUMNS
from langchain_tamma_openai.usage.report import making
from langchain_tamma_openai.usage.report.data import ReportData
from langchain_tamma_openai.usage.report.forecast import forecast

FIRST = datetime(2026, 3, 1, tzinfo=UTC)
EVIL = "</script><img src=x onerror=alert(1)>'\""


def _records(number: int = 60) -> list[Any]:
    return [
        usage_record(
            each,
            started_at=FIRST + timedelta(hours=7 * each),
            model=EVIL if each % 3 == 0 else "gpt-4o",
            user_id=f"u-{each % 20}",
            tags=("a", EVIL) if each % 2 else (),
            latency_s=0.1 * (each + 1),
            time_to_first_token_s=0.01 * (each + 1),
            status=RunStatus.ERROR if each % 10 == 0 else RunStatus.OK,
            error_kind="rate_limit" if each % 10 == 0 else None,
        )
        for each in range(number)
    ]


@pytest.fixture(params=["memory", "sqlite"])
def tracker(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    with UsageTracker("memory" if request.param == "memory" else tmp_path / "usage.db") as made:
        for record in _records():
            made.record(record)
        made.flush()
        yield made


@pytest.fixture
def report(tracker: UsageTracker) -> UsageReport:
    return usage_report(tracker, title=EVIL, budget_usd=1)


def _own(page: str) -> str:
    """Leave the scripts out, Vega's among them."""
    return re.sub(r"<script>.*?</script>", "", page, flags=re.DOTALL)


def _figure(page: str, key: str) -> str:
    found = re.search(f"data-figure='{key}'>([^<]*)<", page)
    assert found
    return found[1]


def test_figures_are_those_of_the_summary(tracker: UsageTracker, report: UsageReport) -> None:
    total, page = tracker.summary(), report.html()
    assert _figure(page, "total_requests") == f"{total.total_requests:,}"
    assert _figure(page, "total_tokens") == f"{total.total_tokens:,}"
    told = json.loads(report.json())
    assert told["total"]["total_cost_usd"] == f"{total.total_cost_usd:f}"
    by_user = {g.key["user_id"]: g for g in tracker.summary(group_by=("user_id",)).groups}
    (ranked,) = [r for r in report.data.rankings if r.name == "user_id"]
    assert len(ranked.groups) == 15
    assert ranked.others == 5
    for group in ranked.groups:
        assert group == by_user[group.key["user_id"]]
    shown = sum((g.known_total_usd for g in ranked.groups), ranked.others_usd)
    assert shown == total.known_total_usd


def test_nothing_a_user_named_breaks_out_of_the_page(report: UsageReport) -> None:
    page = report.html()
    assert "<img" not in _own(page)
    assert page.count("<script") == page.count("</script>") == 3
    specs = re.search(r'id="specs">(.*?)</script>', page, re.DOTALL)
    assert specs
    assert set(json.loads(specs[1])) >= {"cost", "tokens", "by-user", "latency", "errors"}


def test_the_page_names_no_other_address(report: UsageReport) -> None:
    page = report.html()
    assert re.findall(r"(?:src|href)=[\"'](?!data:)", _own(page)) == []
    assert len(page) < 2_000_000


def test_charts_have_words_and_tables_behind_them(report: UsageReport) -> None:
    page = report.html()
    labels = re.findall(r"aria-label='([^']{20,})'", page)
    assert len(labels) >= 7
    for name in ("cost", "by-user", "by-tag", "latency", "errors"):
        assert f"data-table='{name}'" in page


def test_other_formats(report: UsageReport, tmp_path: Path) -> None:
    text = report.markdown()
    assert "<img" not in text
    assert "| user | requests |" in text
    assert report.svg().startswith("<svg")
    assert report.png().startswith(b"\x89PNG")
    for name in ("r.html", "r.md", "r.json"):
        assert report.save(tmp_path / name).stat().st_size > 1000
    assert [path.name for path in tmp_path.glob(".r*")] == []


def test_an_empty_ledger_gives_an_empty_report() -> None:
    report = usage_report(UsageTracker("memory"))
    assert "No run matches." in report.html()
    assert report.svg().startswith("<svg")
    assert report.data.forecast is None


@pytest.mark.parametrize(
    ("days", "period"), [(1, "hour"), (3, "hour"), (20, "day"), (100, "day"), (400, "month")]
)
def test_periods_follow_the_length_of_the_range(days: int, period: str) -> None:
    tracker = UsageTracker("memory")
    for number in range(3):
        at = FIRST + timedelta(days=days) * number / 2
        tracker.record(usage_record(number, started_at=at))
    assert usage_report(tracker).data.period == period


@pytest.mark.parametrize("budget", [0, -1, "much", float("nan")])
def test_a_budget_is_an_amount(budget: Any) -> None:
    with pytest.raises(InvalidParameterError, match="budget_usd: got"):
        usage_report(UsageTracker("memory"), budget_usd=budget)


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> None:
        raise ConfigurationError("pip install 'langchain-tamma-openai[report]'")

    monkeypatch.setattr(making, "_require_packages", missing)
    report = usage_report(UsageTracker("memory"))
    with pytest.raises(ConfigurationError, match=r"\[report\]"):
        report.html()
    assert report.markdown()


def test_the_notes_say_what_is_not_in_the_sums() -> None:
    tracker = UsageTracker("memory")
    tracker.record(replace(usage_record(1), cost=None, estimated=True))
    text = usage_report(tracker).markdown()
    assert "1 requests have no known price" in text
    assert "1 requests are partly an estimate" in text


# --- percentiles ---


@given(times=st.lists(st.integers(1, 10**8), min_size=1, max_size=60))
@settings(max_examples=40, deadline=None)
def test_percentiles_are_the_run_at_that_rank(times: list[int]) -> None:
    tracker = UsageTracker("memory")
    for number, time_us in enumerate(times):
        tracker.record(usage_record(number, latency_s=time_us / 10**6))
    (found,) = tracker.percentiles()
    for share, seconds in ((50, found.p50_s), (90, found.p90_s), (99, found.p99_s)):
        at = round(seconds * 10**6)
        assert at in times
        assert sum(each <= at for each in times) * 100 >= share * len(times)
    assert found.number == len(times)


def test_percentiles_of_the_database_are_those_of_the_memory(tracker: UsageTracker) -> None:
    memory = UsageTracker("memory")
    for record in _records():
        memory.record(record)
    for group_by in ((), ("model",), ("day", "model"), ("tag",)):
        for measure in COLUMNS:
            assert tracker.percentiles(measure, group_by=group_by) == memory.percentiles(
                measure,
                group_by=group_by,
            )
    assert UsageTracker("memory").percentiles() == ()


# --- forecast ---


def test_a_straight_line_goes_on_and_a_budget_is_used_up() -> None:
    spent = [(FIRST + timedelta(days=day), Decimal(day + 1)) for day in range(5)]
    found = forecast(spent, timedelta(days=1), FIRST + timedelta(days=8), Decimal(25))
    assert found is not None
    assert [round(point.usd, 6) for point in found.points] == [21.0, 28.0, 36.0]
    assert all(point.low_usd <= point.usd <= point.high_usd for point in found.points)
    assert found.exhausted_at == FIRST + timedelta(days=7)


def test_too_little_is_no_forecast() -> None:
    spent = [(FIRST, Decimal(1)), (FIRST + timedelta(days=1), Decimal(1))]
    assert forecast(spent, timedelta(days=1), FIRST + timedelta(days=9)) is None
    longer = [*spent, (FIRST + timedelta(days=2), Decimal(1))]
    assert forecast(longer, timedelta(days=1), FIRST + timedelta(days=3)) is None


# --- the command ---


def test_the_command_writes_and_tells(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    with UsageTracker("usage.db") as tracker:
        for record in _records(10):
            tracker.record(record)
    words = ["usage", "report", "--store", "usage.db"]
    assert main([*words, "out.md", "--title", "Mine"]) == 0
    assert capsys.readouterr().err == "written: out.md\n"
    assert Path("out.md").read_text().startswith("# Mine\n")
    assert main([*words, "--json", "--model", "gpt-4o"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["filters"] == {"model": "gpt-4o"}
    assert told["total"]["total_requests"] == 6
    assert main([*words, "--format", "xls"]) == 2
    assert main([*words, "--budget-usd", "much"]) in {1, 2}
    assert main([*words, str(tmp_path / "no" / "x.md")]) == 1


def test_a_report_says_what_it_is() -> None:
    report = usage_report(UsageTracker("memory"))
    assert repr(report).startswith("UsageReport('Usage', UsageSummary(0 requests")
    assert isinstance(report.data, ReportData)
    assert "<table>" in report._repr_html_()
