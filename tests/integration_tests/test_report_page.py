"""The report in a real browser, and live from `usage serve`."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

import command_line
import pytest
from chromium import PROGRAM, Chromium, Page, chromium, find_chromium
from postgres_places import schema
from report_records import FIRST, varied_records

from langchain_tamma_openai import UsageTracker, usage_report
from langchain_tamma_openai.__main__ import main
from langchain_tamma_openai.usage.report.gather import ReportOptions, gather

EVIL = "</script><script>window.evil=1</script><img src=x onerror='window.evil=2'>\"'"
DRAWN = "document.documentElement.dataset.drawn === 'yes'"


@pytest.fixture(scope="module")
def browser() -> Iterator[Chromium]:
    """A Chromium; where $CHROMIUM names one it must be there."""
    program = find_chromium()
    if program is None:
        if named := os.environ.get(PROGRAM):
            pytest.fail(f"${PROGRAM} names {named}, which is no program")
        pytest.skip(f"these tests need a Chromium; install one, or name it with ${PROGRAM}")
    with chromium(program) as opened:
        yield opened


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ledger in which somebody tries to break out of the page."""
    path = tmp_path_factory.mktemp("ledger") / "usage.db"
    with UsageTracker(path) as tracker:
        for number, record in enumerate(varied_records(700)):
            evil: dict[str, Any] = {"model": EVIL, "user_id": EVIL, "tags": (EVIL,)}
            tracker.record(replace(record, **evil) if number % 7 == 0 else record)
    return path


@pytest.fixture(scope="module")
def report_file(ledger: Path) -> Path:
    target = ledger.with_name("report.html")
    words = ["-o", str(target), "--title", EVIL, "--budget-usd", "3", "--end", "2026-03-20"]
    assert main(["usage", "report", "--store", str(ledger), *words]) == 0
    return target


@pytest.fixture
def page(browser: Chromium) -> Iterator[Page]:
    with browser.page() as opened:
        opened.resize(1240, 900)
        yield opened


def _figure(page: Page, name: str) -> str:
    return str(page.value(f"document.querySelector('[data-figure={name}]').dataset.value"))


def test_the_page_is_drawn_without_an_error_or_a_request(page: Page, report_file: Path) -> None:
    page.open(report_file.as_uri(), DRAWN)
    charts = page.value("document.querySelectorAll('.chart').length")
    assert page.value("document.querySelectorAll('.chart svg').length") == charts >= 15
    assert page.value("[...document.querySelectorAll('.chart svg')].every(s => s.clientWidth > 99)")
    assert page.value("typeof window.evil") == "undefined"
    assert page.value("document.querySelectorAll('img').length") == 0
    assert page.value("document.title") == EVIL
    assert page.seen.requests == [report_file.as_uri()]
    assert page.seen.problems == []


def test_its_numbers_are_those_of_usage_summary(
    page: Page, report_file: Path, ledger: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page.open(report_file.as_uri(), DRAWN)
    words = ["usage", "summary", "--store", str(ledger), "--end", "2026-03-20", "--json"]
    assert main(words) == 0
    told = json.loads(capsys.readouterr().out)
    for name in ("total_requests", "total_tokens", "cached_tokens", "total_cost_usd"):
        assert _figure(page, name) == str(told["total"][name])
    rows = page.value(
        "[...document.querySelectorAll('#table-cost-by-model tbody tr')]"
        ".map(row => [...row.cells].map(cell => cell.textContent))"
    )
    shown = {row[0]: row for row in rows}
    assert len(shown) == len(told["groups"]) == 6
    for group in told["groups"]:
        usd = group["total_cost_usd"]
        row = shown[group["key"]["model"]]
        assert row[1] == f"{group['total_requests']:,}"
        assert row[2] == f"{group['input_tokens']:,}"
        assert row[5] == ("unknown" if usd is None else f"${usd}")
    drawn = page.value(
        "JSON.parse(document.getElementById('charts').textContent)"
        ".charts['cost-over-time-by-model'].data.values.map(point => point.shown)"
    )
    known = sum(Decimal(text.removeprefix("$")) for text in drawn)
    assert known == Decimal(told["total"]["total_cost_usd"])


@pytest.mark.parametrize("width", [360, 768])
def test_it_fits_a_small_screen(page: Page, report_file: Path, width: int) -> None:
    page.resize(width, 740, mobile=True)
    page.open(report_file.as_uri(), DRAWN)
    assert page.value("document.documentElement.scrollWidth") <= width
    page.value("document.querySelectorAll('details').forEach(one => { one.open = true })")
    assert page.value("document.documentElement.scrollWidth") <= width
    assert page.seen.problems == []


def test_it_follows_the_theme_of_the_system_and_its_switch(page: Page, report_file: Path) -> None:
    label = "getComputedStyle(document.querySelector('.chart svg text')).fill"
    ground = "getComputedStyle(document.body).backgroundColor"
    found = []
    page.prefer("light")
    page.open(report_file.as_uri(), DRAWN)
    found.append((page.value(label), page.value(ground)))
    page.prefer("dark")
    page.wait(f"{DRAWN} && {label} !== {json.dumps(found[0][0])}")
    found.append((page.value(label), page.value(ground)))
    page.value("document.getElementById('theme').click()")
    page.wait(f"{DRAWN} && {label} === {json.dumps(found[0][0])}")
    assert page.value("document.getElementById('theme').textContent") == "Theme: light"
    assert (page.value(label), page.value(ground)) == found[0] != found[1]
    assert page.seen.problems == []


def test_everything_is_reached_by_keyboard_and_named(page: Page, report_file: Path) -> None:
    page.open(report_file.as_uri(), DRAWN)
    reached = []
    for _ in range(12):
        for kind in ("keyDown", "keyUp"):
            page.call(
                "Input.dispatchKeyEvent", type=kind, key="Tab", code="Tab", windowsVirtualKeyCode=9
            )
        reached.append(
            page.value("document.activeElement.tagName + ' ' + document.activeElement.textContent")
        )
    assert reached[:4] == [
        "A Skip to the charts",
        "BUTTON Theme: auto",
        "SUMMARY All totals, exactly",
        "SUMMARY Table: Budget",
    ]
    tree = page.call("Accessibility.getFullAXTree")["nodes"]
    charts = [node for node in tree if node["role"]["value"] in {"image", "graphics-document"}]
    assert len(charts) == page.value("document.querySelectorAll('.chart').length")
    assert all(node["name"]["value"] and node["description"]["value"] for node in charts)


def test_a_tooltip_shows_text_and_nothing_else(page: Page, report_file: Path) -> None:
    page.open(report_file.as_uri(), DRAWN)
    bar = "document.querySelector('#chart-cost-by-user .mark-rect path')"
    page.value(f"{bar}.scrollIntoView({{block: 'center'}})")
    page.value("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
    box = page.value(
        f"(({{x, y, width}}) => [x + width / 2, y + 8])({bar}.getBoundingClientRect())"
    )
    page.call("Input.dispatchMouseEvent", type="mouseMoved", x=box[0], y=box[1])
    page.wait("!document.getElementById('tip').hidden")
    assert "US dollars: $" in page.value("document.getElementById('tip').textContent")
    assert page.value("document.getElementById('tip').querySelectorAll('img,script').length") == 0
    assert page.value("typeof window.evil") == "undefined"


# --- usage serve ---


@contextmanager
def _serving(ledger: Path, *words: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    options = ["--store", str(ledger), "--port", "0", "--interval", "0.2", "--json", *words]
    with command_line.popen(["usage", "serve", *options]) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            assert line, process.stderr.read() if process.stderr else ""
            yield json.loads(line)["url"], process
        finally:
            if process.poll() is None:
                process.kill()


def test_a_served_page_stays_up_to_date_and_ends_cleanly(page: Page, tmp_path: Path) -> None:
    ledger = tmp_path / "usage.db"
    records = list(varied_records(60))
    with UsageTracker(ledger) as tracker:
        for record in records[:50]:
            tracker.record(record)
        tracker.flush()
        with _serving(ledger) as (url, process):
            page.open(url, DRAWN)
            assert _figure(page, "total_requests") == "50"
            page.value("window.same = true; document.querySelector('details').open = true")
            for record in records[50:]:
                tracker.record(record)
            tracker.flush()
            page.wait(
                "document.querySelector('[data-figure=total_requests]').dataset.value === '60'"
            )
            assert page.value("window.same && document.querySelector('details').open")
            expected = tracker.summary().total_cost_usd
            assert Decimal(_figure(page, "total_cost_usd")) == expected
            assert all(request.startswith(url) for request in page.seen.requests)
            assert page.seen.problems == []
            process.send_signal(signal.SIGINT)
            _, error = process.communicate(timeout=20)
    assert process.returncode == 130
    assert error.strip() == "stopped"


def test_what_cannot_be_served_is_one_clear_line(ledger: Path) -> None:
    with _serving(ledger, "--token", "abc") as (url, _):
        assert url.endswith("/?token=abc")
        address = url.partition("/?")[0]
        with urllib.request.urlopen(f"{address}/healthz") as answer:  # noqa: S310 - our own server
            assert json.load(answer) == {"status": "ok"}
        port = address.rpartition(":")[2]
        second = ["usage", "serve", "--store", str(ledger), "--port", port]
        with command_line.popen(second) as process:
            _, error = process.communicate(timeout=60)
        assert process.returncode == 1
        assert error == (
            f"error: port {port} on 127.0.0.1 is in use; name another with --port, or 0 for any "
            "that is free\n"
        )


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "machine.example"])  # noqa: S104 - refused
def test_other_machines_are_refused(
    host: str, ledger: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["usage", "serve", "--store", str(ledger), "--host", host]) == 2
    assert f"--host {host}: other machines could read the ledger" in capsys.readouterr().err


# --- PostgreSQL ---


@pytest.mark.parametrize("step", ["hour", "day", "month"])
def test_postgres_reads_the_same_as_memory(step: Literal["hour", "day", "month"]) -> None:
    records = [*varied_records(300), *varied_records(40, first=FIRST - timedelta(days=9), seed=3)]
    options = ReportOptions(top=3, step=step, budget_usd=Decimal(3), now=FIRST + timedelta(days=31))
    wanted: tuple[dict[str, Any], ...] = ({}, {"user_id": "user-1"}, {"tags": ["chat", "search"]})
    with schema() as url, UsageTracker(url) as postgres, UsageTracker("memory") as memory:
        for record in records:
            postgres.record(record)
            memory.record(record)
        for filters in wanted:
            found, expected = (gather(store, options, filters) for store in (postgres, memory))
            assert found.figures == expected.figures
            assert found.budget == expected.budget
        assert usage_report(postgres).figures.total.as_dict() == postgres.summary().as_dict()
