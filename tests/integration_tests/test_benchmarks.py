"""The benchmark runs, and every library in it reads the canned answers."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

RUN = Path(__file__).parent.parent.parent / "benchmarks" / "run.py"


def test_one_round_compares_three_libraries() -> None:
    cases = ["--case", "invoke", "--case", "stream"]
    done = subprocess.run(  # noqa: S603 - our own script
        [sys.executable, str(RUN), "--rounds", "1", *cases],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    header, *rows = done.stdout.strip().splitlines()
    assert re.split(r"  +", header)[1:4] == ["ChatTammaOpenAI", "ChatOpenAI", "openai SDK"]
    assert [re.split(r"  +", row)[0] for row in rows] == ["plain call", "stream of 500 chunks"]
