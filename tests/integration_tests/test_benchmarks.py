"""The benchmark runs, and everyone in it reads the canned answers."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

RUN = Path(__file__).parent.parent.parent / "benchmarks" / "run.py"


def _run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603 - our own script
        [sys.executable, str(RUN), "--rounds", "1", *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def test_one_round_compares_three_libraries_over_both_apis(tmp_path: Path) -> None:
    libraries = [part for name in ("tamma", "chat_openai", "sdk") for part in ("--library", name)]
    names = ("invoke", "responses-stream", "tool-astream")
    cases = [part for name in names for part in ("--case", name)]
    done = _run(*libraries, *cases, "--json", str(tmp_path / "results.json"))
    assert done.returncode == 0, done.stderr
    header, *rows = done.stdout.partition("\n\n")[0].splitlines()
    assert re.split(r"  +", header)[1:4] == ["ChatTammaOpenAI", "ChatOpenAI", "openai SDK"]
    assert [re.split(r"  +", row)[0] for row in rows] == [
        "plain call",
        "Responses stream of 500 chunks",
        "async stream of 4 parallel tool calls, 400 chunks",
    ]
    written = json.loads((tmp_path / "results.json").read_text())
    assert [case["name"] for case in written["cases"]] == list(names)
    for case in written["cases"]:
        assert all(each["cpu_ms"][0] > 0 for each in case["contestants"].values())
    assert {target["case"] for target in written["targets"]} == set(names)


def test_features_run_and_missed_targets_end_with_status_1() -> None:
    chosen = ["--library", "features:off", "--library", "features:all"]
    done = _run(*chosen, "--case", "features-invoke", "--target-check")
    assert done.returncode == (1 if "MISSED" in done.stdout else 0), done.stderr
    assert re.search(r"(met|MISSED) +\d+\.\d\d of 1\.10  plain call", done.stdout)


PLOT = """
import sys
from pathlib import Path

import pytest
from bench_cases import CASES
from bench_plot import write_plot
from bench_results import Series
results = {case: {name: Series() for name in case.contestants} for case in CASES}
for series in results.values():
    for number, each in enumerate(series.values()):
        each.add('{"cpu_s": %d, "wall_s": 1}' % (number + 1))
print(write_plot(results, Path(sys.argv[1])))
"""


def test_the_picture_shows_every_case_and_says_in_words_what_it_shows(tmp_path: Path) -> None:
    pytest.importorskip("altair")
    picture = tmp_path / "benchmarks.svg"
    done = subprocess.run(  # noqa: S603 - fixed command
        [sys.executable, "-c", PLOT, str(picture)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(RUN.parent)},
    )
    assert done.returncode == 0, done.stderr
    assert "plain call 0.50; Responses plain call 0.50" in done.stdout
    drawn = picture.read_text(encoding="utf-8")
    assert all(text in drawn for text in ("ChatTammaOpenAI", "openai SDK", "1 MB of text counted"))
