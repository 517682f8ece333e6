"""Compare CPU and wall time of `ChatTammaOpenAI`, `ChatOpenAI` and the bare `openai` SDK.

    python benchmarks/run.py                    # all cases, table on the terminal
    python benchmarks/run.py --case stream      # one case
    python benchmarks/run.py --write            # also writes docs/benchmarks.md

Rounds are interleaved: every library runs each case once per round, in an order that rotates, so
that a busy moment of the machine hits all of them. Reported are medians over the rounds and the
spread of the middle half.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from bench_report import markdown_page, text_table
from bench_runner import CASES, run_cases
from libraries import NAMES

PAGE = Path(__file__).parent.parent / "docs" / "benchmarks.md"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--case", action="append", choices=[c.name for c in CASES], help="only this"
    )
    parser.add_argument("--library", action="append", choices=NAMES, help="only this")
    parser.add_argument("--rounds", type=int, default=11, help="rounds (default 11)")
    parser.add_argument("--write", action="store_true", help=f"write docs/{PAGE.name}")
    return parser.parse_args()


def main() -> None:
    """Run the chosen cases and print the table."""
    chosen = _arguments()
    cases = [case for case in CASES if not chosen.case or case.name in chosen.case]
    results = run_cases(cases, chosen.library or list(NAMES), chosen.rounds)
    print(text_table(results))
    if chosen.write:
        PAGE.write_text(markdown_page(results, chosen.rounds), encoding="utf-8")
        print(f"\nwritten: docs/{PAGE.name}")


if __name__ == "__main__":
    main()
