"""The command that holds a bill against the ledger."""

from __future__ import annotations

import io
import json
from decimal import Decimal
from pathlib import Path

import pytest
from provider_exports import as_calls, as_costs, as_usage, many, record_of

from langchain_tamma_openai import UsageTracker
from langchain_tamma_openai.__main__ import main

CALLS = many(40)


@pytest.fixture(autouse=True)
def _ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "usage.db"
    with UsageTracker(path) as tracker:
        for call in CALLS[1:]:
            tracker.record(record_of(call))
    monkeypatch.setenv("TAMMA_OPENAI_STORE", str(path))
    monkeypatch.chdir(tmp_path)


def _reconcile(content: object, *words: str) -> int:
    Path("export.json").write_text(json.dumps(content), encoding="utf-8")
    return main(["usage", "reconcile", "export.json", *words])


@pytest.mark.parametrize("export", [as_calls, as_usage, as_costs])
def test_agreement_is_said_and_exits_with_0(
    export: object, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _reconcile(export(CALLS[1:])) == 0  # type: ignore[operator]  # one of three functions
    assert "The two agree: 39 calls." in capsys.readouterr().out


@pytest.mark.parametrize("export", [as_calls, as_usage, as_costs])
def test_a_drift_has_its_cause_and_sum_and_exits_with_3(
    export: object, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _reconcile(export(CALLS), "--json") == 3  # type: ignore[operator]  # one of three functions
    found = json.loads(capsys.readouterr().out)
    assert found["agrees"] is False
    (cause,) = found["causes"]
    assert cause == "missing_in_ledger"
    sum_usd = Decimal(found["causes"][cause]["difference_usd"])
    assert abs(sum_usd - CALLS[0].usd) < Decimal("1e-9")
    assert found["drifts"][0]["remedy"].startswith("look for programs")


def test_drifts_are_tables(capsys: pytest.CaptureFixture[str]) -> None:
    assert _reconcile(as_calls(CALLS)) == 3
    printed = capsys.readouterr().out
    assert "Comparing calls one by one" in printed
    assert "missing_in_ledger: calls that no ledger wrote down; look for" in printed
    assert "resp_000000" in printed
    assert "unexplained" in printed


def test_long_lists_are_cut_and_counted(capsys: pytest.CaptureFixture[str]) -> None:
    assert _reconcile(as_calls([*CALLS, *many(60)[40:]]), "-n", "5") == 3
    assert "and 16 more; --json has all of them" in capsys.readouterr().out


def test_a_file_that_is_no_export_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert _reconcile([7]) == 1
    assert "export.json[0]: got int, not an object" in capsys.readouterr().err


def test_pages_come_from_several_files_and_standard_input(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    page = as_usage(CALLS[1:])
    for number, bucket in enumerate(page["data"][:2]):
        text = json.dumps({**page, "data": [bucket], "has_more": True})
        Path(f"page{number}.json").write_text(text, encoding="utf-8")
    last = json.dumps({**page, "data": page["data"][2:]})
    monkeypatch.setattr("sys.stdin", io.StringIO(last))
    assert main(["usage", "reconcile", "page0.json", "page1.json", "-"]) == 0
    assert "The two agree: 39 calls." in capsys.readouterr().out
    assert main(["usage", "reconcile", "page0.json"]) == 0
    assert "more pages follow" in capsys.readouterr().out


def test_prices_of_your_own_are_compared(capsys: pytest.CaptureFixture[str]) -> None:
    own = {
        "gpt-6-luna": {
            "input_usd_per_mtok": 0.2,
            "output_usd_per_mtok": 1,
            "cached_input_usd_per_mtok": 0.02,
        }
    }
    Path("prices.json").write_text(json.dumps(own), encoding="utf-8")
    assert _reconcile(as_usage(CALLS[1:]), "--prices", "prices.json", "--json") == 3
    assert list(json.loads(capsys.readouterr().out)["causes"]) == ["stale_price"]


@pytest.mark.parametrize(
    ("text", "problem"),
    [("[1]", "got list"), ("{", "it is no JSON"), ("[" * 100_000, "it is no JSON")],
)
def test_prices_that_are_none_are_one_line(
    text: str, problem: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("prices.json").write_text(text, encoding="utf-8")
    assert _reconcile(as_usage(CALLS), "--prices", "prices.json") == 1
    assert f"prices.json: {problem}" in capsys.readouterr().err
