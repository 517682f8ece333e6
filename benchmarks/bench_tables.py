"""Results as rows of text: one table for the libraries, one for our features, one for memory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from bench_cases import OFF, OURS
from bench_results import Measure, Results, Series

LABELS: Final = {
    "tamma": "ChatTammaOpenAI",
    "chat_openai": "ChatOpenAI",
    "litellm": "ChatLiteLLM",
    "sdk": "openai SDK",
    "features:off": "all off",
    "features:ledger": "ledger in memory",
    "features:sqlite": "ledger in SQLite",
    "features:budget": "budget",
    "features:limiter": "rate limiter",
    "features:circuit": "circuit breaker",
    "features:otel": "OpenTelemetry",
    "features:langsmith": "LangSmith",
    "features:all": "all on, ledger in SQLite",
}
Rows = list[list[str]]
NOTHING: Final = "-"


def tables(results: Results) -> list[Rows]:
    """Lay out whatever a run has measured; the first row of each table is its header."""
    libraries = {case: series for case, series in results.items() if case.group == "libraries"}
    features = {case: series for case, series in results.items() if case.group == "features"}
    memory = {case: series for case, series in libraries.items() if _has_peaks(series)}
    made = []
    if libraries:
        made.append(_compared(libraries, "cpu", "CPU ms per operation"))
    if memory:
        made.append(_compared(memory, "peak", "growth of peak memory, MB"))
    if features:
        made.append(_features(features))
    return made


def _has_peaks(series: dict[str, Series]) -> bool:
    return any(each.peak_mb for each in series.values())


def _compared(results: Results, measure: Measure, title: str) -> Rows:
    names = _contestants(results)
    peers = [name for name in names if name != OURS] if OURS in names else []
    walls = ["wall ms"] if measure == "cpu" else []
    header = [title, *[LABELS[name] for name in names]]
    header += [*[f"ours / {LABELS[name]}" for name in peers], *walls, "spread"]
    return [header, *[_row(case.title, s, names, peers, measure) for case, s in results.items()]]


def _contestants(results: Results) -> list[str]:
    """Name those who were measured in at least one case."""
    found = [n for series in results.values() for n, each in series.items() if each.cpu_ms]
    order = list(LABELS)
    return sorted(set(found), key=order.index)


def _row(
    title: str,
    series: dict[str, Series],
    names: Sequence[str],
    peers: Sequence[str],
    measure: Measure,
) -> list[str]:
    each = [series.get(name, Series()) for name in names]
    walls = [" / ".join(_number(item.median("wall")) for item in each)] if measure == "cpu" else []
    return [
        title,
        *[_number(item.median(measure)) for item in each],
        *[_ratio(series.get(OURS), series.get(name), measure) for name in peers],
        *walls,
        " / ".join(_percent(item.spread_percent(measure)) for item in each),
    ]


def _features(results: Results) -> Rows:
    names = _contestants(results)
    header = ["ChatTammaOpenAI, CPU ms per operation"]
    for case in results:
        header += [case.title, "of all off", "wall ms", "spread"]
    rows: Rows = [header]
    for name in names:
        row = [LABELS[name]]
        for series in results.values():
            item = series.get(name, Series())
            row += [
                _number(item.median("cpu")),
                _ratio(item, series.get(OFF), "cpu"),
                _number(item.median("wall")),
                _percent(item.spread_percent()),
            ]
        rows.append(row)
    return rows


def _ratio(ours: Series | None, peer: Series | None, measure: Measure) -> str:
    mine = ours.median(measure) if ours else None
    theirs = peer.median(measure) if peer else None
    return f"{mine / theirs:.2f}" if mine is not None and theirs else NOTHING


def _number(value: float | None) -> str:
    if value is None:
        return NOTHING
    return f"{value:.3f}" if value < 1 else f"{value:.1f}"


def _percent(value: float | None) -> str:
    return NOTHING if value is None else f"{value:.0f} %"
