"""Measurements, their medians and spreads."""

from __future__ import annotations

import json
import statistics
from dataclasses import dataclass, field
from typing import Literal

from bench_cases import Case

Measure = Literal["cpu", "wall", "peak"]


@dataclass(slots=True)
class Series:
    """Every measurement of one case with one contestant, per operation.

    Args:
        cpu_ms: CPU time of the process, all threads, user and system.
        wall_ms: Time on the clock.
        peak_mb: How much the peak of resident memory grew, in MB of 10^6 bytes; only of cases that
            have a process of their own.
        unsupported: Why the contestant does not take part.
        failures: What went wrong in measurements that are left out.
    """

    cpu_ms: list[float] = field(default_factory=list)
    wall_ms: list[float] = field(default_factory=list)
    peak_mb: list[float] = field(default_factory=list)
    unsupported: str | None = None
    failures: list[str] = field(default_factory=list)

    def add(self, line: str) -> None:
        """Take one line of a worker."""
        measured = json.loads(line)
        if reason := measured.get("unsupported"):
            self.unsupported = reason
            return
        if failure := measured.get("failed"):
            self.failures.append(failure)
            return
        self.cpu_ms.append(measured["cpu_s"] * 1000)
        self.wall_ms.append(measured["wall_s"] * 1000)
        if measured.get("peak_bytes") is not None:
            self.peak_mb.append(measured["peak_bytes"] / 1e6)

    def median(self, measure: Measure) -> float | None:
        """Return the middle measurement, or None where there is none."""
        values = self._values(measure)
        return statistics.median(values) if values else None

    def spread_percent(self, measure: Measure = "cpu") -> float | None:
        """Return the width of the middle half of the measurements, in percent of the median."""
        values = self._values(measure)
        if not values:
            return None
        low, high = min(values), max(values)
        if len(values) >= 4:
            low, _, high = statistics.quantiles(values, n=4)
        return 100 * (high - low) / (statistics.median(values) or 1)

    def _values(self, measure: Measure) -> list[float]:
        return {"cpu": self.cpu_ms, "wall": self.wall_ms, "peak": self.peak_mb}[measure]


Results = dict[Case, dict[str, Series]]


def ratio(results: Results, case: str, ours: str, peer: str, measure: Measure) -> float | None:
    """Divide the median of one contestant by that of another, of the same case and run."""
    for found, series in results.items():
        if found.name == case and ours in series and peer in series:
            mine, theirs = series[ours].median(measure), series[peer].median(measure)
            return mine / theirs if mine is not None and theirs else None
    return None
