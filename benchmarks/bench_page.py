"""The page and the picture that go into the documentation."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from bench_litellm import litellm_versions
from bench_plot import write_plot
from bench_report import machine
from bench_results import Results
from bench_tables import Rows, tables
from bench_targets import Verdict, verdicts

_DOCS: Final = Path(__file__).parent.parent / "docs"
_PAGE: Final = _DOCS / "benchmarks.md"
_PICTURE: Final = _DOCS / "assets" / "benchmarks.svg"


def write_page(results: Results, rounds: int, litellm_python: str | None) -> str:
    """Write `docs/benchmarks.md` and its picture; return where they are.

    Args:
        results: What was measured.
        rounds: How often.
        litellm_python: The Python of the environment of `langchain-litellm`, if there is one.
    """
    _PICTURE.parent.mkdir(exist_ok=True)
    described = write_plot(results, _PICTURE)
    _PAGE.write_text(_page(results, rounds, litellm_python, described), encoding="utf-8")
    return f"docs/{_PAGE.name}, docs/assets/{_PICTURE.name}"


def _page(results: Results, rounds: int, litellm_python: str | None, described: str) -> str:
    versions = ", ".join(f"{name} {value}" for name, value in machine().items())
    other = litellm_versions(litellm_python)
    litellm = f"\nChatLiteLLM ran in an environment of its own: {other}." if other else ""
    measured = "\n\n".join(_markdown(rows) for rows in tables(results))
    return f"""# Benchmarks

Repeat them with `make bench`. Every library makes the same calls in its own process, against a
canned server in another process on the loopback interface: no network, no model, only the client's
own work. Rounds are interleaved. Numbers are medians over {rounds} rounds at most; "spread" is the
width of the middle half, in percent of the median; "wall ms" and "spread" stand in the order of the
libraries.

![{described}](assets/benchmarks.svg)

{measured}

## Targets

Ratios of the medians above.

{_markdown(_targets(verdicts(results)))}

## What is compared

- CPU time is that of the whole process: all threads, user and system, work in the background
  included. Peak memory is how much the peak of resident memory grew during the case, in a fresh
  process, after the import and one small call.
- `ChatOpenAI` and `ChatLiteLLM` are asked for usage on streams, as `ChatTammaOpenAI` always asks.
  `ChatTammaOpenAI` also works out the cost of each answer, which the others do not do.
- "import" and "first call" are measured in a fresh process each.
- "construction" of the SDK is one sync and one async client, which is what a chat model stands for.
- "1 MB of text counted" stands in the SDK's column for tiktoken alone, which has the vocabulary at
  hand, as all the others have.
- Features: all callbacks are given to the model. OpenTelemetry exports in batches to nowhere;
  LangSmith's own client posts its runs to a receiver on the loopback interface. The ledger and the
  exporters are flushed within the time that is measured.

Measured with {versions}.{litellm}
"""


def _markdown(rows: Rows) -> str:
    header, *others = rows
    rule = ["---", *["---:"] * (len(header) - 1)]
    return "\n".join(f"| {' | '.join(row)} |" for row in [header, rule, *others])


def _targets(found: list[Verdict]) -> Rows:
    word = {True: "yes", False: "**no**", None: "not measured"}
    rows = [
        [
            verdict.target.title,
            f"{verdict.target.limit:.2f}",
            "-" if verdict.ratio is None else f"{verdict.ratio:.2f}",
            word[verdict.met],
        ]
        for verdict in found
    ]
    return [["target", "at most", "measured", "held"], *rows]
