"""Compare CPU time, wall time and peak memory of `ChatTammaOpenAI` with what else there is.

    python benchmarks/run.py                    # all cases, tables on the terminal
    python benchmarks/run.py --case stream      # one case
    python benchmarks/run.py --litellm          # langchain-litellm too, in its own environment
    python benchmarks/run.py --json FILE        # every measurement, as JSON
    python benchmarks/run.py --write            # writes docs/benchmarks.md and its picture
    python benchmarks/run.py --target-check     # ends with status 1 when a target is missed

Against `ChatOpenAI`, `ChatLiteLLM` and the bare `openai` SDK. Rounds are interleaved: everyone runs
each case once per round, in an order that rotates, so that a busy moment of the machine hits all of
them. Reported are medians over the rounds and the spread of the middle half.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))
sys.path.insert(0, str(Path(__file__).parent))

from bench_cases import CASES, FEATURES, LIBRARIES
from bench_litellm import litellm_python
from bench_report import as_json, text_report
from bench_runner import run_cases
from bench_targets import verdicts


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    add = parser.add_argument
    add("--case", action="append", choices=[c.name for c in CASES], help="only this")
    add("--library", action="append", choices=[*LIBRARIES, *FEATURES], help="only this")
    add("--rounds", type=int, default=7, help="rounds (default 7); slow cases take fewer")
    add("--litellm", action="store_true", help="make .venv-litellm, once, and compare with it")
    add("--json", type=Path, metavar="FILE", help="write every measurement to a file")
    add("--write", action="store_true", help="write docs/benchmarks.md and its picture")
    add("--target-check", action="store_true", help="status 1 when a target is missed")
    return parser.parse_args()


def main() -> int:
    """Run the chosen cases and report."""
    chosen = _arguments()
    cases = [case for case in CASES if not chosen.case or case.name in chosen.case]
    names = chosen.library or [*LIBRARIES, *FEATURES]
    python = litellm_python(build=chosen.litellm) if "litellm" in names else None
    pythons = {"litellm": python} if python else {}
    names = [name for name in names if name != "litellm" or python]
    results = run_cases(cases, names, chosen.rounds, pythons)
    print(text_report(results))
    if chosen.json:
        chosen.json.write_text(as_json(results, chosen.rounds), encoding="utf-8")
    if chosen.write:
        from bench_page import write_page

        print(f"\nwritten: {write_page(results, chosen.rounds, python)}")
    missed = [verdict for verdict in verdicts(results) if verdict.met is False]
    return 1 if chosen.target_check and missed else 0


if __name__ == "__main__":
    sys.exit(main())
