"""Turns results into a table for the terminal and a page for the documentation."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from importlib.metadata import version

from bench_runner import Case, Results, Series

from langchain_tamma_openai._version import __version__

LABELS = {"tamma": "ChatTammaOpenAI", "chat_openai": "ChatOpenAI", "sdk": "openai SDK"}
PACKAGES = ("langchain-openai", "openai", "langchain-core")


def text_table(results: Results) -> str:
    """Lay the rows out in aligned columns."""
    rows = [_header(results), *_rows(results)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(_aligned(row, widths) for row in rows)


def _aligned(row: Sequence[str], widths: Sequence[int]) -> str:
    first, *rest = zip(row, widths, strict=True)
    return "  ".join([first[0].ljust(first[1]), *[cell.rjust(width) for cell, width in rest]])


def _markdown_table(results: Results) -> str:
    header, *rows = [_header(results), *_rows(results)]
    rule = ["---", *["---:"] * (len(header) - 1)]
    return "\n".join(f"| {' | '.join(row)} |" for row in [header, rule, *rows])


def _header(results: Results) -> list[str]:
    libraries = _libraries(results)
    ratios = [f"ours / {LABELS[name]}" for name in libraries if name != "tamma"]
    return [
        "CPU ms per operation",
        *[LABELS[name] for name in libraries],
        *(ratios if "tamma" in libraries else []),
        "wall ms",
        "spread",
    ]


def _rows(results: Results) -> list[list[str]]:
    return [_row(case, series) for case, series in results.items()]


def _row(case: Case, series: dict[str, Series]) -> list[str]:
    ours = series.get("tamma")
    peers = [item for name, item in series.items() if name != "tamma"]
    return [
        case.title,
        *[_number(item.median_cpu_ms) for item in series.values()],
        *[f"{ours.median_cpu_ms / peer.median_cpu_ms:.2f}" for peer in peers if ours],
        " / ".join(_number(item.median_wall_ms) for item in series.values()),
        " / ".join(f"{item.spread_percent:.0f} %" for item in series.values()),
    ]


def _number(value_ms: float) -> str:
    return f"{value_ms:.3f}" if value_ms < 1 else f"{value_ms:.1f}"


def _libraries(results: Results) -> list[str]:
    return list(next(iter(results.values())))


def markdown_page(results: Results, rounds: int) -> str:
    """Write the page that goes into the documentation."""
    versions = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    return f"""# Benchmarks

Repeat them with `make bench`. Every library makes the same calls in its own process, against a
canned server in another process on the loopback interface: no network, no model, only the client's
own work. Rounds are interleaved. Numbers are medians over {rounds} rounds of CPU time (all threads,
user and system); "wall ms" and "spread" (the width of the middle half, in percent of the median)
stand in the same order as the libraries.

{_markdown_table(results)}

What is compared: `ChatOpenAI` is asked for usage on streams, as `ChatTammaOpenAI` always asks;
`ChatTammaOpenAI` also works out the cost of each answer, which the other two do not do.
"construction" of the SDK is one sync and one async client, which is what a chat model stands for.

Measured with Python {platform.python_version()} on {os.cpu_count()} cores,
langchain-tamma-openai {__version__}, {versions}.
"""
