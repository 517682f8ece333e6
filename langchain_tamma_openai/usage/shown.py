"""How sums of usage look: one line in a terminal, a table in a notebook."""

from __future__ import annotations

from typing import TYPE_CHECKING

from langchain_tamma_openai.notebook import table_html
from langchain_tamma_openai.pricing_cost import plain_decimal

if TYPE_CHECKING:
    from langchain_tamma_openai.usage.summary import UsageFigures, UsageSummary

_HEADS = ("requests", "input tokens", "cached", "output tokens", "reasoning", "cost", "not ok")


def figures_text(figures: UsageFigures) -> str:
    """Say in a few words what was used.

    Args:
        figures: The sums.
    """
    parts = [
        f"{figures.total_requests:,} requests",
        f"{figures.input_tokens:,} tokens in, {figures.output_tokens:,} out",
        dollars(figures),
    ]
    beside = {
        "failed": figures.failed_requests,
        "estimated": figures.estimated_requests,
        "cache hits": figures.cache_hits,
    }
    return ", ".join([*parts, *(f"{number:,} {name}" for name, number in beside.items() if number)])


def dollars(figures: UsageFigures) -> str:
    """Give the cost, and how many requests are missing from it.

    Args:
        figures: The sums.
    """
    amount = plain_decimal(figures.total_cost_usd)
    text = "cost unknown" if amount is None else f"${amount}"
    missing = figures.unpriced_requests
    return f"{text} (+ {missing:,} without a price)" if missing and amount is not None else text


def summary_text(summary: UsageSummary) -> str:
    """Give a summary as its `repr`.

    Args:
        summary: The summary.
    """
    groups = ""
    if summary.group_by:
        groups = f"; {len(summary.groups):,} groups by {', '.join(summary.group_by)}"
    return f"UsageSummary({figures_text(summary)}{groups})"


def summary_html(summary: UsageSummary) -> str:
    """Show a summary as a table, one line for each group and one for all.

    Args:
        summary: The summary.
    """
    names = summary.group_by or ("",)
    rows = [
        [*(group.key[name] for name in summary.group_by), *_cells(group)]
        for group in summary.groups
    ]
    total = ["all", *[""] * (len(names) - 1), *_cells(summary)]
    return table_html((*names, *_HEADS), [*rows, total], _range_text(summary), len(names))


def _range_text(summary: UsageSummary) -> str:
    start, end = (
        None if m is None else f"{m:%Y-%m-%d %H:%M}" for m in (summary.start, summary.end)
    )
    if start is None and end is None:
        return "usage"
    return f"usage from {start or 'the beginning'} to {end or 'now'} (UTC)"


def _cells(figures: UsageFigures) -> list[object]:
    return [
        figures.total_requests,
        figures.input_tokens,
        figures.cached_tokens,
        figures.output_tokens,
        figures.reasoning_tokens,
        dollars(figures),
        figures.failed_requests,
    ]
