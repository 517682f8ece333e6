"""The report says what the summary says, in every format, and nothing in it can break out."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import altair as alt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from report_records import FIRST, UNPRICED, varied_records
from usage_records import usage_record

from langchain_tamma_openai import (
    ConfigurationError,
    CostCalculator,
    InvalidParameterError,
    StorageError,
    UsageReport,
    UsageTracker,
    ausage_report,
    usage_report,
)
from langchain_tamma_openai.__main__ import main
from langchain_tamma_openai.pricing_cost import plain_decimal
from langchain_tamma_openai.usage.percentiles import COLUMNS
from langchain_tamma_openai.usage.report import bundle
from langchain_tamma_openai.usage.report.gather import ReportOptions, gather
from langchain_tamma_openai.usage.report.theme import DARK, LIGHT
from langchain_tamma_openai.usage.report.wording import labels, share, short_count, short_usd
from langchain_tamma_openai.usage.summary import OTHERS

EVIL = "</script><script>window.evil=1</script><img src=x onerror=evil=1>'\"&|`<!--"
NOW = FIRST + timedelta(days=30)


@pytest.fixture(scope="module", autouse=True)
def _cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Let Vega's script be put together once for all these tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(bundle.CACHE_VARIABLE, str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="module")
def tracker() -> Iterator[UsageTracker]:
    with UsageTracker("memory") as opened:
        for record in varied_records(1200):
            opened.record(record)
        evil = varied_records(40, first=FIRST + timedelta(hours=1), seed=2)
        for record in evil:
            changes: dict[str, Any] = {
                "model": EVIL,
                "user_id": EVIL,
                "organization_id": EVIL,
                "tags": (EVIL, "chat"),
            }
            if record.error_kind:
                changes["error_kind"] = EVIL
            opened.record(replace(record, **changes))
        yield opened


@pytest.fixture(scope="module")
def report(tracker: UsageTracker) -> UsageReport:
    options = ReportOptions(title=EVIL, budget_usd=Decimal(90), now=NOW)
    return gather(tracker, options, {})


class _Elements(HTMLParser):
    """Notes the elements of a page and what stands in them, as a browser would see it."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []
        self.figures: dict[str, str] = {}
        self.rows: list[list[str]] = []
        self.ids: list[str] = []
        self._in = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.tags.append((tag, given))
        self._in = tag
        if (name := given.get("id")) is not None:
            self.ids.append(name)
        if (figure := given.get("data-figure")) is not None:
            self.figures[figure] = given["data-value"] or ""
        if tag == "tr":
            self.rows.append([])
        if tag == "script":
            self.scripts.append("")

    def handle_data(self, data: str) -> None:
        if self._in == "script":
            self.scripts[-1] += data
        elif self._in in {"td", "th"}:
            self.rows[-1].append(data)

    def handle_endtag(self, tag: str) -> None:
        del tag
        self._in = ""


@pytest.fixture(scope="module")
def page(report: UsageReport) -> str:
    return report.html()


@pytest.fixture(scope="module")
def elements(page: str) -> _Elements:
    return _Elements(page)


def test_the_figures_are_those_of_the_summary(tracker: UsageTracker, elements: _Elements) -> None:
    total = tracker.summary()
    assert elements.figures["total_requests"] == str(total.total_requests)
    assert elements.figures["total_cost_usd"] == plain_decimal(total.total_cost_usd)
    assert elements.figures["total_tokens"] == str(total.total_tokens)
    rows = {row[0]: row[1:] for row in elements.rows if row}
    for name, value in total.as_dict().items():
        if isinstance(value, int):
            assert rows[name] == [f"{value:,}"]
    assert rows["total_cost_usd"] == [f"${plain_decimal(total.total_cost_usd)}"]


@pytest.mark.parametrize("dimension", ["model", "user_id", "organization_id", "tag"])
def test_tables_have_the_sums_of_each_value(
    tracker: UsageTracker, elements: _Elements, dimension: str
) -> None:
    rows = [row for row in elements.rows if len(row) == 9]
    groups = tracker.summary(group_by=dimension).groups
    largest = sorted(groups, key=lambda group: -group.known_total_usd)[:8]
    for group in largest:
        expected = [
            group.key[dimension] or "(none)",
            f"{group.total_requests:,}",
            f"{group.input_tokens:,}",
            f"{group.cached_tokens:,}",
            f"{group.output_tokens:,}",
            "unknown" if (usd := plain_decimal(group.total_cost_usd)) is None else f"${usd}",
        ]
        assert any(row[:6] == expected for row in rows), expected


def test_nothing_that_was_named_from_outside_breaks_out(page: str, elements: _Elements) -> None:
    assert len(elements.scripts) == 3
    kinds = {tag for tag, _ in elements.tags}
    assert kinds.isdisjoint({"img", "iframe", "object", "form", "a href"})
    assert all(not name.startswith("on") for _, attrs in elements.tags for name in attrs)
    held = json.loads(elements.scripts[0])
    assert EVIL in json.dumps(held["charts"]["cost-by-user"], ensure_ascii=False).replace(
        '\\"', '"'
    )
    assert "window.evil" not in re.sub(r"\\u003c.*?\\u003e", "", elements.scripts[1])
    assert "<script>window" not in page


def test_ids_are_unique_and_labels_point_somewhere(elements: _Elements) -> None:
    assert len(elements.ids) == len(set(elements.ids))
    for _, attributes in elements.tags:
        for name in ("aria-labelledby", "aria-describedby"):
            if name in attributes:
                assert attributes[name] in elements.ids


def test_the_page_asks_no_network_and_runs_only_its_own_scripts(elements: _Elements) -> None:
    links = [has[n] for _, has in elements.tags for n in ("src", "href") if n in has]
    assert links == ["data:,", "#main"]
    (policy,) = [
        has["content"] or ""
        for tag, has in elements.tags
        if tag == "meta" and has.get("http-equiv") == "Content-Security-Policy"
    ]
    for script in elements.scripts[1:]:
        digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
        assert f"'sha256-{digest}'" in policy
    assert "connect-src 'none'" in policy
    assert "unsafe-eval" not in policy


def test_every_chart_has_words_and_a_table(report: UsageReport, elements: _Elements) -> None:
    sections = report.sections()
    assert {section.id for section in sections} >= {
        "budget",
        *(f"cost-over-time-by-{name}" for name in ("model", "user", "organization", "tag")),
        *(f"cost-by-{name}" for name in ("model", "user", "organization", "tag")),
        *("tokens", "cache", "latency", "first-token", "latency-by-model", "failures", "retries"),
    }
    for section in sections:
        assert len(section.text) > 30
        assert section.table.rows
        assert all(len(row) == len(section.table.heads) for row in section.table.rows)
        assert f"table-{section.id}" in elements.ids
        assert f"chart-{section.id}" in elements.ids


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_every_chart_is_valid_vega_lite(report: UsageReport) -> None:
    for section in report.sections():
        alt.Chart.from_dict({**section.chart, "params": LIGHT.params(), "config": DARK.config()})


def test_markdown_is_tables_and_no_markup(report: UsageReport) -> None:
    text = report.markdown()
    assert "<script" not in text.replace("\\<", "")
    rows = [line for line in text.splitlines() if line.startswith("| ") and EVIL[:3] in line]
    assert all(len(re.findall(r"(?<!\\)\|", row)) >= 3 for row in rows)
    assert "## Cost by model" in text


def test_images_are_images(report: UsageReport) -> None:
    svg = report.svg()
    assert svg.startswith("<svg")
    assert "<script" not in svg
    assert "<img" not in svg
    assert report.png(scale=0.2).startswith(b"\x89PNG\r\n")


def test_json_has_exact_amounts(tracker: UsageTracker, report: UsageReport) -> None:
    told = json.loads(report.json())
    total = tracker.summary()
    assert told["total"] == json.loads(json.dumps(total.as_dict()))
    cells = told["breakdowns"]["model"]["cells"]
    assert sum(Decimal(cell["total_cost_usd"] or 0) for cell in cells) == total.total_cost_usd
    assert told["budget"]["limit_usd"] == "90"
    assert len(told["budget"]["spent"]) == 30


@pytest.mark.parametrize("name", ["r.html", "r.htm", "r.md", "r.json", "r.markdown"])
def test_files_have_the_format_of_their_ending(
    report: UsageReport, name: str, tmp_path: Path
) -> None:
    assert report.save(tmp_path / name).stat().st_size > 1000
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_a_file_that_cannot_be_written_is_named(report: UsageReport, tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="cannot be written"):
        report.save(tmp_path / "no" / "r.json")
    with pytest.raises(InvalidParameterError, match=r"the ending of 'r\.xls' names no format"):
        report.save(tmp_path / "r.xls")


def test_a_report_says_what_it_is(report: UsageReport, page: str) -> None:
    assert "1,240 requests" in repr(report)
    frame = report._repr_html_()
    assert frame.startswith("<iframe srcdoc=")
    assert 'sandbox="allow-scripts"' in frame
    assert "<script" not in frame
    assert len(page) < 2_000_000


async def test_every_way_to_ask_gives_the_same(tracker: UsageTracker) -> None:
    wanted: dict[str, Any] = {"user_id": "user-1", "tags": ["chat"], "start": FIRST}
    whole = usage_report(tracker, title="Mine", **wanted)
    awaited = await ausage_report(tracker, title="Mine", **wanted)
    assert awaited.figures == whole.figures
    assert whole.filters == {"user": "user-1", "tags": "chat"}
    text = usage_report(tracker, title="Mine", format="md", **wanted)
    assert text.startswith("# Mine\n")
    assert usage_report(tracker, format="png", step="month", **wanted).startswith(b"\x89PNG")


def test_an_empty_ledger_says_so() -> None:
    empty = usage_report(UsageTracker("memory"), budget_usd=5)
    page = _Elements(empty.html())
    assert page.figures["total_requests"] == "0"
    assert page.figures["total_cost_usd"] == "0"
    assert "No runs in this range." in usage_report(UsageTracker("memory")).markdown()
    assert empty.svg().startswith("<svg")
    assert empty.budget is not None
    assert empty.budget.forecast == ()


def test_unknown_is_not_nothing() -> None:
    tracker = UsageTracker("memory")
    tracker.record(replace(usage_record(1), cost=None, estimated=True))
    report = usage_report(tracker)
    text = report.markdown()
    assert "1 of 1 requests (100.0 %) have no known price" in text.replace("\\", "")
    assert "partly estimated" in text
    assert "| Cost | unknown |" in text
    assert _Elements(report.html()).figures["total_cost_usd"] == "unknown"


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        ({"top": 0}, "top: got 0, must be a whole number from 1 to 50"),
        ({"top": 51}, "top: got 51"),
        ({"step": "week"}, "step: got 'week', must be 'hour'"),
        ({"title": 3}, "title: got 3"),
        ({"budget_usd": 0}, "budget_usd: got '0', must be more than 0"),
        ({"budget_usd": -1}, "budget_usd: got '-1'"),
        ({"budget_usd": "much"}, "budget_usd: got 'much', must be an amount"),
        ({"budget_usd": float("nan")}, "budget_usd: got 'NaN'"),
        ({"format": "xls"}, "format: got 'xls', must be one of 'html'"),
        ({"colour": "red"}, "colour: there is no such filter"),
    ],
)
def test_a_wrong_argument_is_named(given: dict[str, Any], complaint: str) -> None:
    with pytest.raises((InvalidParameterError, ConfigurationError), match=re.escape(complaint)):
        usage_report(UsageTracker("memory"), **given)


def test_a_wrong_window_is_named() -> None:
    with pytest.raises(ConfigurationError, match="window"):
        usage_report(UsageTracker("memory"), budget_usd=1, budget_window="week")  # type: ignore[call-overload]


# --- what caches saved ---


def test_savings_are_the_difference_of_list_prices() -> None:
    prices = {
        "gpt-5.4-mini": {
            "input_usd_per_mtok": "1",
            "output_usd_per_mtok": "2",
            "cached_input_usd_per_mtok": "0.1",
            "cache_write_usd_per_mtok": "1.25",
        }
    }
    tracker = UsageTracker("memory")
    for number in range(4):
        record = usage_record(number, model="gpt-5.4-mini" if number < 3 else UNPRICED)
        assert record.tokens is not None
        tokens = replace(record.tokens, input_tokens=100, cached_tokens=80, cache_write_tokens=4)
        tracker.record(replace(record, tokens=tokens))
    saved = usage_report(tracker, calculator=CostCalculator(prices)).savings
    assert saved.saved_usd == Decimal("0.9e-6") * 240 - Decimal("0.25e-6") * 12
    assert (saved.priced_tokens, saved.unpriced_tokens) == (240, 80)


# --- the script ---


def test_the_script_is_kept_and_never_taken_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = bundle.vega_script()
    assert "</script" not in script
    assert "<!--" not in script
    monkeypatch.setenv(bundle.CACHE_VARIABLE, str(tmp_path))
    (kept,) = [bundle._kept_at(bundle.vl_convert())]
    assert kept is not None
    with bundle.prepared():
        assert not kept.exists()
    assert bundle._read(kept) == script
    kept.write_text(kept.read_text() + "alert(1)")
    assert bundle._read(kept) is None
    monkeypatch.setenv(bundle.CACHE_VARIABLE, "")
    assert bundle._kept_at(bundle.vl_convert()) is None


def test_a_missing_package_is_named(report: UsageReport, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "vl_convert", None)
    for write in (report.html, report.svg, report.png):
        with pytest.raises(ConfigurationError, match=r"langchain-tamma-openai\[report\]"):
            write()
    assert report.markdown()


# --- words ---


@pytest.mark.parametrize(
    ("amount", "expected"),
    [
        (Decimal("1234.565"), "$1,234.56"),
        (Decimal(0), "$0.00"),
        (Decimal("0.5"), "$0.500"),
        (Decimal("0.0000125"), "$0.0000125"),
        (Decimal("-3.1"), "-$3.10"),
        (None, "unknown"),
        (2.5, "$2.50"),
    ],
)
def test_amounts_are_short(amount: Decimal | float | None, expected: str) -> None:
    assert short_usd(amount) == expected


def test_numbers_are_short() -> None:
    found = [short_count(n) for n in (0, 999, 1000, 12_345, 999_999, 10**7, 3 * 10**14)]
    assert found == ["0", "999", "1k", "12.3k", "1M", "10M", "300T"]
    assert [share(1, 3), share(1, 300), share(0, 4), share(999, 1000), share(1, 0)] == [
        "33 %",
        "0.3 %",
        "0 %",
        "99.9 %",
        "-",
    ]


def test_labels_are_different_and_harmless() -> None:
    names = labels(["(none)", None, OTHERS, "a\u202eb\n", "sk-aaaaaaaaaa", "sk-bbbbbbbbbb", ""], 4)
    assert len(set(names.values())) == 7
    assert names[OTHERS] == "4 others"
    assert names["a\u202eb\n"] == "a\ufffdb"
    assert "aaaaaaaaaa" not in "".join(names.values())


# --- percentiles ---


@given(times=st.lists(st.integers(1, 10**8), min_size=1, max_size=60))
@settings(max_examples=30, deadline=None)
def test_percentiles_are_the_run_at_that_rank(times: list[int]) -> None:
    tracker = UsageTracker("memory")
    for number, time_us in enumerate(times):
        tracker.record(usage_record(number, latency_s=time_us / 10**6))
    (found,) = tracker.percentiles()
    shown = usage_report(tracker).figures.times["latency_us"].overall
    assert shown is not None
    seconds = (found.p50_s, found.p90_s, found.p95_s, found.p99_s)
    assert shown.values_us == tuple(round(each * 10**6) for each in seconds)
    for percent, each in zip((50, 90, 95, 99), seconds, strict=True):
        at = round(each * 10**6)
        assert at in times
        assert sum(time <= at for time in times) * 100 >= percent * len(times)


def test_percentiles_of_the_database_are_those_of_the_memory(tmp_path: Path) -> None:
    with UsageTracker("memory") as memory, UsageTracker(tmp_path / "usage.db") as sqlite:
        for record in varied_records(60):
            memory.record(record)
            sqlite.record(record)
        for group_by in ((), ("model",), ("day", "model"), ("tag",), ("month",), ("month", "tag")):
            for measure in COLUMNS:
                assert sqlite.percentiles(measure, group_by=group_by) == memory.percentiles(
                    measure, group_by=group_by
                )
    assert UsageTracker("memory").percentiles() == ()


# --- the command ---


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    with UsageTracker("usage.db") as opened:
        for record in varied_records(50):
            opened.record(record)
    monkeypatch.setenv("TAMMA_OPENAI_STORE", f"sqlite:///{tmp_path}/usage.db")
    return tmp_path


def _run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    status = main(["usage", "report", *words])
    captured = capsys.readouterr()
    return status, captured.out, captured.err


@pytest.mark.usefixtures("store")
def test_the_command_writes_and_tells(capsys: pytest.CaptureFixture[str]) -> None:
    told = _run(capsys, "-o", "out.md", "--title", "Mine", "--budget-usd", "5")
    assert told == (0, "report of 50 requests written to out.md\n", "")
    assert Path("out.md").read_text(encoding="utf-8").startswith("# Mine\n")
    status, out, _ = _run(capsys, "out.html", "--json", "--budget-window", "7d", "--step", "hour")
    assert status == 0
    assert json.loads(out) == {"file": "out.html", "format": "html", "requests": 50}
    assert "<!DOCTYPE html>" in Path("out.html").read_text(encoding="utf-8")
    status, out, _ = _run(capsys, "--json", "--model", "o4-mini")
    told_json = json.loads(out)
    assert told_json["filters"] == {"model": "o4-mini"}
    assert {name["total_requests"] for name in [told_json["total"]]} != {50}
    status, out, _ = _run(capsys, "--format", "md", "-")
    assert out.startswith("# Usage and cost\n")


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("--format", "xls"), "--format: got 'xls', must be html, md, svg, png, json"),
        (("--budget-usd", "much"), "--budget-usd: got 'much'"),
        (("--budget-usd", "0"), "--budget-usd: got '0'"),
        (("--budget-usd", "1", "--budget-window", "week"), "--budget-window: got 'week'"),
        (("--step", "week"), "--step: got 'week', must be hour, day, month"),
        (("--top", "99"), "'--top'"),
        (("a.html", "-o", "b.html"), "FILE is 'a.html' and --output 'b.html': name one"),
    ],
)
def test_a_wrong_option_is_named(
    words: tuple[str, ...], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    status, out, error = _run(capsys, *words)
    assert (status, out) == (2, "")
    assert complaint in error


@pytest.mark.usefixtures("store")
def test_a_folder_that_is_not_there_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    status, _, error = _run(capsys, "no/r.md")
    assert status == 1
    assert "no/r.md cannot be written" in error
