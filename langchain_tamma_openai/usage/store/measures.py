"""The figures of a run in SQL, once for queries and for the triggers that keep hourly sums.

Says the same as `Tally.of` in `usage/summary.py`, which the tests compare with it. The expressions
are valid in SQLite and PostgreSQL; `{row}` stands for the table's name or a trigger's NEW or OLD.
"""

from __future__ import annotations

from langchain_tamma_openai.usage.record import RunStatus
from langchain_tamma_openai.usage.record_codec import TOKEN_FIELDS
from langchain_tamma_openai.usage.summary import AMOUNT_NAMES, COUNT_NAMES

ODD = "odd_amounts"
SPLIT_NAMES = tuple(f"{name}_{part}" for name in AMOUNT_NAMES for part in ("micro", "femto"))
"""Columns of SQLite that amounts are split into, see `usage/money.py`."""


def _count_if(condition: str) -> str:
    return f"CASE WHEN NOT {{row}}.cache_hit AND {condition} THEN 1 ELSE 0 END"


def _sum_of(column: str) -> str:
    return f"CASE WHEN {{row}}.cache_hit THEN 0 ELSE COALESCE({{row}}.{column}, 0) END"


_COUNTS = {
    "total_requests": "CASE WHEN {row}.cache_hit THEN 0 ELSE 1 END",
    "cache_hits": "CASE WHEN {row}.cache_hit THEN 1 ELSE 0 END",
    **{f"{name}_requests": _count_if(f"{{row}}.status = '{name}'") for name in RunStatus},
    "unpriced_requests": _count_if("{row}.attempts > 0 AND {row}.total_cost_usd IS NULL"),
    "estimated_requests": _count_if("({row}.estimated OR COALESCE({row}.cost_estimated, {no}))"),
    "unmeasured_requests": _count_if("{row}.attempts > 0 AND {row}.total_tokens IS NULL"),
    "total_attempts": _sum_of("attempts"),
    "latency_us": _sum_of("latency_us"),
    "first_token_us": _sum_of("first_token_us"),
    "first_token_requests": _count_if("{row}.first_token_us IS NOT NULL"),
    **{name: _sum_of(name) for name in TOKEN_FIELDS},
}


def count_measures(row: str) -> dict[str, str]:
    """Give an expression for each of `COUNT_NAMES`, in their order."""
    return {name: _COUNTS[name].format(row=row, no="FALSE") for name in COUNT_NAMES}


def amount_measures(row: str, *, split: bool) -> dict[str, str]:
    """Give expressions whose sums are the amounts.

    Args:
        row: Name of the row.
        split: Whether amounts are split into integers; the number of odd ones comes then as well.
    """
    names = SPLIT_NAMES if split else AMOUNT_NAMES
    measures = {name: _sum_of(name).format(row=row) for name in names}
    if split:
        measures[ODD] = _count_if(f"{{row}}.{ODD}").format(row=row)
    return measures
