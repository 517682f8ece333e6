"""Tokens by kind, and what prompt caches took over."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from langchain_tamma_openai.usage.report.charts import Axis, Point, Series, lines, stacked_bars
from langchain_tamma_openai.usage.report.sections import Cell, Section, Table
from langchain_tamma_openai.usage.report.theme import Spec
from langchain_tamma_openai.usage.report.wording import (
    share,
    short_count,
    short_usd,
    step_start,
)

if TYPE_CHECKING:
    from langchain_tamma_openai.usage.report.data import UsageReport
    from langchain_tamma_openai.usage.summary import UsageFigures

_KINDS: Final = (
    ("input", "plain input"),
    ("cached", "cached input"),
    ("written", "cache writes"),
    ("output", "output"),
    ("reasoning", "reasoning"),
)
_COLORS: Final = {"input": 0, "cached": 4, "written": 5, "output": 1, "reasoning": 6}


def sections(report: UsageReport) -> list[Section]:
    """Give the sections of tokens.

    Args:
        report: The report.
    """
    if not report.figures.total.total_tokens:
        return []
    by_kind = Section(
        "tokens",
        "Tokens by kind",
        _text(report.figures.total),
        _kinds_chart(report),
        _table(report),
        3,
        "Cached input and cache writes are part of the input, reasoning is part of the output.",
    )
    cached = Section(
        "cache",
        "Input from the prompt cache",
        savings_text(report),
        _share_chart(report),
        _cache_table(report),
        3,
        "Saved: cached tokens at the list price of plain input, less their own price and less what "
        "writing to the cache cost more; prices of short requests, by month.",
    )
    return [by_kind, cached] if report.figures.total.cached_tokens else [by_kind]


def savings_text(report: UsageReport) -> str:
    """Say what prompt caches saved.

    Args:
        report: The report.
    """
    total, saved = report.figures.total, report.savings
    part = share(total.cached_tokens, total.input_tokens)
    text = f"{part} of all input came from the cache: {short_count(total.cached_tokens)} tokens."
    if saved.saved_usd is None:
        return f"{text} What that saved is not known: the models have no known list price."
    text += f" That saved about {short_usd(saved.saved_usd)} at list prices."
    if saved.unpriced_tokens:
        number = short_count(saved.unpriced_tokens)
        text += f" {number} cached tokens of models without a known price are not in it."
    return text


def _parts(figures: UsageFigures) -> dict[str, int]:
    """Split tokens into kinds that do not overlap."""
    tokens = figures.tokens
    cached, written = tokens.cached_tokens, tokens.cache_write_tokens
    return {
        "input": max(0, tokens.input_tokens - cached - written),
        "cached": cached,
        "written": written,
        "output": max(0, tokens.output_tokens - tokens.reasoning_tokens),
        "reasoning": tokens.reasoning_tokens,
    }


def _text(total: UsageFigures) -> str:
    said = (
        f"{short_count(total.input_tokens)} input and {short_count(total.output_tokens)} output "
        "tokens"
    )
    if total.reasoning_tokens:
        part = share(total.reasoning_tokens, total.output_tokens)
        said += f"; {part} of the output was reasoning"
    return f"{said}."


def _kinds_chart(report: UsageReport) -> Spec:
    figures = report.figures
    kinds = [(kind, label) for kind, label in _KINDS if _parts(figures.total)[kind]]
    points = [
        Point(step_start(time), label, number, f"{number:,}", place)
        for time, used in figures.by_time.items()
        for place, (kind, label) in enumerate(kinds)
        if (number := _parts(used)[kind])
    ]
    series = [Series(label, _COLORS[kind]) for kind, label in kinds]
    return stacked_bars(points, series, figures.step, Axis(f"tokens per {figures.step}", "~s"))


def _share_chart(report: UsageReport) -> Spec:
    figures = report.figures
    points = [
        Point(
            step_start(time),
            "cached share",
            used.cached_tokens / used.input_tokens,
            share(used.cached_tokens, used.input_tokens),
        )
        for time, used in figures.by_time.items()
        if used.input_tokens
    ]
    axis = Axis("cached share of input tokens", "%")
    return lines(points, [Series("cached share", _COLORS["cached"])], figures.step, axis)


def _table(report: UsageReport) -> Table:
    figures = report.figures
    heads = (
        f"{figures.step} (UTC)",
        "requests",
        "input",
        "cached",
        "cache writes",
        "output",
        "reasoning",
        "all tokens",
    )
    rows: tuple[tuple[Cell, ...], ...] = tuple(
        (time, *_cells(used)) for time, used in figures.by_time.items()
    )
    return Table(heads, rows, ("all", *_cells(figures.total)))


def _cells(figures: UsageFigures) -> tuple[int, ...]:
    return (
        figures.total_requests,
        figures.input_tokens,
        figures.cached_tokens,
        figures.cache_write_tokens,
        figures.output_tokens,
        figures.reasoning_tokens,
        figures.total_tokens,
    )


def _cache_table(report: UsageReport) -> Table:
    figures = report.figures
    rows: list[tuple[Cell, ...]] = [
        (
            time,
            used.input_tokens,
            used.cached_tokens,
            share(used.cached_tokens, used.input_tokens),
        )
        for time, used in [*figures.by_time.items(), ("all", figures.total)]
    ]
    return Table((f"{figures.step} (UTC)", "input", "cached", "share"), tuple(rows[:-1]), rows[-1])
