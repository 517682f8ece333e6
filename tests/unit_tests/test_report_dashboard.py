"""The live report: what a server shows, and to whom."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from report_records import varied_records
from usage_records import usage_record

from langchain_tamma_openai import StorageError, UsageTracker
from langchain_tamma_openai.usage.filters import RecordFilters
from langchain_tamma_openai.usage.report import bundle
from langchain_tamma_openai.usage.report.dashboard import Dashboard
from langchain_tamma_openai.usage.report.gather import ReportOptions
from langchain_tamma_openai.usage.report.serving import dashboard_app


@pytest.fixture
def tracker(monkeypatch: pytest.MonkeyPatch) -> Iterator[UsageTracker]:
    monkeypatch.setattr("langchain_tamma_openai.usage.report.page.vega_script", lambda: "vega()")
    with UsageTracker("memory") as opened:
        for record in varied_records(40):
            opened.record(record)
        yield opened


def _dashboard(tracker: UsageTracker, interval_s: float = 0.0) -> Dashboard:
    return Dashboard(tracker, ReportOptions(), RecordFilters, interval_s)


def _client(shown: Dashboard, host: str = "127.0.0.1:8321", **settings: Any) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app=dashboard_app(shown, **settings))
    return httpx.AsyncClient(transport=transport, base_url=f"http://{host}")


async def test_it_answers_with_the_page_the_report_and_news(tracker: UsageTracker) -> None:
    async with _client(_dashboard(tracker)) as client:
        page = await client.get("/")
        assert page.headers["content-type"].startswith("text/html")
        assert page.headers["cache-control"] == "no-store"
        assert "connect-src 'self'" in page.text
        assert 'id="live"' in page.text
        report = (await client.get("/report.json")).json()
        assert report["total"]["total_requests"] == 40
        assert (await client.get("/healthz")).json() == {"status": "ok"}
        news = await client.get("/live.json")
        assert 'data-value="40"' in news.json()["parts"]["tiles"]
        assert (await client.get("/else")).status_code == 404


async def test_news_come_only_when_there_are_any(tracker: UsageTracker) -> None:
    async with _client(_dashboard(tracker)) as client:
        first = await client.get("/live.json")
        tag = {"If-None-Match": first.headers["etag"]}
        assert (await client.get("/live.json", headers=tag)).status_code == 304
        tracker.record(usage_record(7))
        second = await client.get("/live.json", headers=tag)
        assert second.status_code == 200
        assert 'data-value="41"' in second.json()["parts"]["tiles"]


def test_the_ledger_is_asked_once_in_an_interval(
    tracker: UsageTracker, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [100.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    shown = _dashboard(tracker, interval_s=5)
    first = shown.shown()
    tracker.record(usage_record(7))
    assert shown.shown() is first
    now[0] += 5
    second = shown.shown()
    assert second.report.figures.total.total_requests == 41
    now[0] += 5
    assert shown.shown() is second
    now[0] += 60
    assert shown.shown() is not second


async def test_only_names_of_this_machine_are_answered(tracker: UsageTracker) -> None:
    async with _client(_dashboard(tracker), "evil.example") as client:
        assert (await client.get("/report.json")).status_code == 400
    async with _client(_dashboard(tracker), "localhost:1") as client:
        assert (await client.get("/report.json")).status_code == 200


async def test_with_a_token_only_those_who_know_it_may_look(tracker: UsageTracker) -> None:
    async with _client(
        _dashboard(tracker), "machine.example", token="let-me-in", is_local=False
    ) as client:
        for path in ("/", "/report.json", "/live.json", "/?token=else", "/report.json?token=x"):
            answer = await client.get(path)
            assert answer.status_code == 401
            assert "let-me-in" not in answer.text
        assert (await client.get("/healthz")).status_code == 200
        bearer = {"Authorization": "Bearer let-me-in"}
        assert (await client.get("/report.json", headers=bearer)).status_code == 200
        entered = await client.get("/?token=let-me-in")
        assert (entered.status_code, entered.headers["location"]) == (303, "/")
        assert "HttpOnly" in entered.headers["set-cookie"]
        assert (await client.get("/")).status_code == 200
        assert "let-me-in" not in (await client.get("/")).text


async def test_a_ledger_that_fails_is_a_clear_answer(tracker: UsageTracker) -> None:
    shown = _dashboard(tracker)

    def failing() -> dict[str, Any]:
        raise StorageError("the disk is gone")

    shown._filters = failing  # type: ignore[assignment]
    async with _client(shown) as client:
        answer = await client.get("/healthz")
        assert answer.status_code == 503
        assert "the disk is gone" in answer.json()["error"]


def test_a_page_that_is_not_live_has_no_address_to_ask(tracker: UsageTracker) -> None:
    from langchain_tamma_openai import usage_report

    assert bundle.CACHE_VARIABLE.startswith("TAMMA")
    assert "live.json" not in usage_report(tracker).html()
