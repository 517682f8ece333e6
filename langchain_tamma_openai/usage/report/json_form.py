"""A report as JSON values: amounts are plain decimal strings, unknown is null."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from langchain_tamma_openai.pricing_cost import plain_decimal
from langchain_tamma_openai.usage.percentiles import QUANTILES, Quantiles
from langchain_tamma_openai.usage.report.figures import SLICE_COUNTS
from langchain_tamma_openai.usage.summary import OTHERS, UsageFigures

if TYPE_CHECKING:
    from langchain_tamma_openai.usage.report.burn_down import BurnDown
    from langchain_tamma_openai.usage.report.data import UsageReport
    from langchain_tamma_openai.usage.report.figures import Breakdown, Times

_QUANTILE_NAMES = tuple(f"p{100 * share:.0f}_us" for share in QUANTILES)


def report_dict(report: UsageReport) -> dict[str, object]:
    """Give all that a report says.

    Args:
        report: The report.
    """
    figures, saved = report.figures, report.savings
    return {
        "title": report.title,
        "ledger": report.ledger,
        "made_at": _moment(report.made_at),
        "start": _moment(report.start),
        "end": _moment(report.end),
        "filters": dict(report.filters),
        "first_run": _moment(figures.first),
        "last_run": _moment(figures.last),
        "step": figures.step,
        "total": figures.total.as_dict(),
        "by_time": [
            {figures.step: time, **used.as_dict()} for time, used in figures.by_time.items()
        ],
        "breakdowns": {name: _breakdown(found) for name, found in figures.breakdowns.items()},
        "cache": {
            "saved_usd": plain_decimal(saved.saved_usd),
            "priced_tokens": saved.priced_tokens,
            "unpriced_tokens": saved.unpriced_tokens,
        },
        "times": {name: _times(times) for name, times in figures.times.items()},
        "troubles": [
            {
                figures.step: trouble.time,
                "status": trouble.status,
                "error_kind": trouble.error_kind,
                "requests": trouble.requests,
                "repeated": trouble.repeated,
                "retries": trouble.retries,
            }
            for trouble in figures.troubles
        ],
        "budget": None if report.budget is None else _budget(report.budget),
    }


def _breakdown(breakdown: Breakdown) -> dict[str, object]:
    return {
        "distinct": breakdown.distinct,
        "names": list(breakdown.names),
        "cells": [
            {
                "time": time,
                "value": None if value == OTHERS else value,
                "others": value == OTHERS,
                **_slice(figures),
            }
            for (time, value), figures in breakdown.cells.items()
        ],
    }


def _slice(figures: UsageFigures) -> dict[str, object]:
    counts = {name: getattr(figures, name) for name in SLICE_COUNTS}
    return {**counts, "total_cost_usd": plain_decimal(figures.total_cost_usd)}


def _times(times: Times) -> dict[str, object]:
    models = [
        {
            "model": None if model == OTHERS else model,
            "others": model == OTHERS,
            **_quantiles(found),
        }
        for model, found in times.by_model.items()
    ]
    return {
        "overall": None if times.overall is None else _quantiles(times.overall),
        "by_time": [{"time": time, **_quantiles(found)} for time, found in times.by_time.items()],
        "by_model": models,
    }


def _quantiles(quantiles: Quantiles) -> dict[str, int]:
    return {
        "count": quantiles.count,
        **dict(zip(_QUANTILE_NAMES, quantiles.values_us, strict=True)),
    }


def _budget(budget: BurnDown) -> dict[str, object]:
    return {
        "limit_usd": plain_decimal(budget.limit_usd),
        "window": budget.window,
        "is_current": budget.is_current,
        "starts_at": _moment(budget.starts_at),
        "ends_at": _moment(budget.ends_at),
        "as_of": _moment(budget.as_of),
        "spent_usd": plain_decimal(budget.spent_usd),
        "remaining_usd": plain_decimal(budget.remaining_usd),
        "unpriced_requests": budget.unpriced_requests,
        "exceeded_at": _moment(budget.exceeded_at),
        "fitted_steps": budget.fitted_steps,
        "used_up_at": {
            "expected": _moment(budget.used_up_at("expected_usd")),
            "soonest": _moment(budget.used_up_at("high_usd")),
            "latest": _moment(budget.used_up_at("low_usd")),
        },
        "spent": [
            {"starts_at": _moment(step.starts_at), "usd": plain_decimal(step.usd)}
            for step in budget.spent
        ],
        "forecast": [
            {
                "at": _moment(point.at),
                "expected_usd": point.expected_usd,
                "low_usd": point.low_usd,
                "high_usd": point.high_usd,
            }
            for point in budget.forecast
        ],
    }


def _moment(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat()
