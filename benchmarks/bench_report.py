"""Results for the terminal and as JSON."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Sequence
from importlib.metadata import version
from typing import Final

from bench_results import Results, Series
from bench_tables import LABELS, Rows, tables
from bench_targets import verdicts

from langchain_tamma_openai._version import __version__

PACKAGES: Final = ("langchain-openai", "openai", "langchain-core", "tiktoken")


def text_report(results: Results) -> str:
    """Lay out tables, what was left out, and a line per target."""
    parts = ["\n".join(_aligned(rows)) for rows in tables(results)]
    if failures := _failures(results):
        parts.append("\n".join(["failed, and left out", *failures]))
    lines = [str(verdict) for verdict in verdicts(results)]
    if lines:
        parts.append("\n".join(["targets (ratio of medians of this run)", *lines]))
    return "\n\n".join(parts)


def _failures(results: Results) -> list[str]:
    return [
        f"{case.title}, {LABELS[name]}: {failure}"
        for case, series in results.items()
        for name, each in series.items()
        for failure in each.failures
    ]


def _aligned(rows: Rows) -> list[str]:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return [_line(row, widths) for row in rows]


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    first, *rest = zip(row, widths, strict=True)
    return "  ".join([first[0].ljust(first[1]), *[cell.rjust(width) for cell, width in rest]])


def machine() -> dict[str, str]:
    """Name what was measured and on what."""
    return {
        "python": platform.python_version(),
        "cores": str(os.cpu_count()),
        "langchain-tamma-openai": __version__,
        **{name: version(name) for name in PACKAGES},
    }


def as_json(results: Results, rounds: int) -> str:
    """Give every measurement, its medians and spreads, and the targets."""
    cases = [
        {
            "name": case.name,
            "title": case.title,
            "contestants": {name: _series(each) for name, each in series.items()},
        }
        for case, series in results.items()
    ]
    targets = [verdict.as_json() for verdict in verdicts(results)]
    whole = {"machine": machine(), "rounds": rounds, "cases": cases, "targets": targets}
    return json.dumps(whole, indent=1) + "\n"


def _series(series: Series) -> dict[str, object]:
    if series.unsupported is not None:
        return {"unsupported": series.unsupported}
    return {
        "median_cpu_ms": series.median("cpu"),
        "median_wall_ms": series.median("wall"),
        "median_peak_mb": series.median("peak"),
        "failures": series.failures,
        "spread_cpu_percent": series.spread_percent(),
        "cpu_ms": series.cpu_ms,
        "wall_ms": series.wall_ms,
        "peak_mb": series.peak_mb,
    }
