"""The report as one HTML page that needs nothing else: no network, no fonts, no server."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from decimal import Decimal
from html import escape
from importlib.resources import files

from langchain_tamma_openai.pricing_cost import plain_decimal
from langchain_tamma_openai.redact import redact_secrets
from langchain_tamma_openai.usage.report.charts import Chart
from langchain_tamma_openai.usage.report.data import ReportData
from langchain_tamma_openai.usage.report.tables import Table, dollars

_PARTS = files("langchain_tamma_openai") / "data" / "report"
_CENTS = Decimal("0.01")


def page(data: ReportData, charts: Sequence[Chart], tables: Sequence[Table], script: str) -> str:
    """Put the page together.

    Args:
        data: What the report says.
        charts: Its charts.
        tables: The tables behind them.
        script: Vega's own.
    """
    by_name = {table.name: table for table in tables}
    shown = {chart.name for chart in charts}
    sections = [_section(chart, _behind(chart, by_name)) for chart in charts]
    rest = [table for table in tables if table.name not in shown and not _is_behind(table, shown)]
    specs = {chart.name: chart.chart.to_dict() for chart in charts}
    return _part("page.html").format(
        title=_safe(data.title),
        style=_part("style.css"),
        head=_head(data),
        cards="".join(_card(name, value, key) for name, value, key in cards(data)),
        notes="".join(f"<p class='note'>{_safe(note)}</p>" for note in notes(data)),
        sections="".join(sections) or "<p class='note'>No run matches.</p>",
        tables="".join(_details(table) for table in rest if table.rows),
        specs=_json(specs),
        script=script,
        draw=_part("draw.js"),
    )


def cards(data: ReportData) -> list[tuple[str, str, str]]:
    """Give the figures at the top: name, value, and a stable key.

    Args:
        data: What the report says.
    """
    total = data.total
    requests = total.total_requests
    failed = f"{total.failed_requests / requests:.2%}" if requests else "-"
    listed = [
        ("requests", f"{requests:,}", "total_requests"),
        ("cost", _rounded(total.total_cost_usd), "total_cost_usd"),
        ("tokens", f"{total.total_tokens:,}", "total_tokens"),
        ("input", f"{total.input_tokens:,}", "input_tokens"),
        ("output", f"{total.output_tokens:,}", "output_tokens"),
        ("cached input", f"{total.cached_tokens:,}", "cached_tokens"),
        ("not ok", failed, "failed_share"),
        ("retries", f"{data.retries:,}", "retries"),
    ]
    if data.cache_saving_usd is not None:
        listed.append(("saved by caching", _rounded(data.cache_saving_usd), "cache_saving_usd"))
    if data.forecast is not None:
        per_period = _rounded(Decimal(repr(data.forecast.per_period_usd)))
        listed.append((f"next {data.period}", f"about {per_period}", "forecast_usd"))
    return listed


def notes(data: ReportData) -> list[str]:
    """Say what the figures do not hold.

    Args:
        data: What the report says.
    """
    total = data.total
    found = {
        "requests have no known price and are not in the cost: that is not 0": (
            total.unpriced_requests
        ),
        "requests are partly an estimate": total.estimated_requests,
        "requests have unknown tokens": total.unmeasured_requests,
        "runs were answered by LangChain's cache, at no cost, and are counted nowhere else": (
            total.cache_hits
        ),
    }
    said = [f"{number:,} {text}." for text, number in found.items() if number]
    if data.forecast is not None:
        said.append(
            "The forecast continues a straight line through the whole periods (least squares); the "
            "band is twice the error of prediction."
        )
    return [*said, *data.notes]


def _head(data: ReportData) -> str:
    start = "the beginning" if data.start is None else f"{data.start:%Y-%m-%d %H:%M}"
    end = "now" if data.end is None else f"{data.end:%Y-%m-%d %H:%M}"
    parts = [f"{start} to {end} (UTC)", f"ledger {data.store}"]
    parts += [f"{name} {value}" for name, value in data.filters.items()]
    parts.append(f"made {data.made_at:%Y-%m-%d %H:%M} UTC")
    return " · ".join(_safe(part) for part in parts)


def _card(name: str, value: str, key: str) -> str:
    return (
        f"<div class='card'><dt>{_safe(name)}</dt><dd data-figure='{key}'>{_safe(value)}</dd></div>"
    )


def _section(chart: Chart, behind: Iterable[Table]) -> str:
    wide = " wide" if chart.is_wide else ""
    details = "".join(_details(table) for table in behind if table.rows)
    return (
        f"<section class='chart{wide}' id='{chart.name}'><h2>{_safe(chart.title)}</h2>"
        f"<div class='drawing' data-chart='{chart.name}' role='img' tabindex='0' "
        f"aria-label='{_safe(chart.description)}'></div>{details}</section>"
    )


def _behind(chart: Chart, by_name: dict[str, Table]) -> list[Table]:
    names = {
        "cost": ("cost", "cost-by-model-and-time"),
        "latency": ("latency", "latency-by-model"),
        "budget": ("cost",),
        "tokens": ("cost",),
    }.get(chart.name, (chart.name,))
    return [by_name[name] for name in names if name in by_name]


def _is_behind(table: Table, shown: set[str]) -> bool:
    return (table.name == "cost-by-model-and-time" and "cost" in shown) or (
        table.name == "latency-by-model" and "latency" in shown
    )


def _details(table: Table) -> str:
    head = "".join(
        f"<th scope='col'{_number(place >= table.texts)}>{_safe(text)}</th>"
        for place, text in enumerate(table.heads)
    )
    body = "".join(_row(row, table.texts) for row in table.rows)
    return (
        f"<details data-table='{table.name}'><summary>{_safe(table.title)} as a table</summary>"
        f"<div class='scroll' tabindex='0'><table><thead><tr>{head}</tr></thead>"
        f"<tbody>{body}</tbody></table></div></details>"
    )


def _row(row: Sequence[str], texts: int) -> str:
    cells = "".join(
        f"<td{_number(place >= texts)}>{_safe(text)}</td>" for place, text in enumerate(row)
    )
    return f"<tr>{cells}</tr>"


def _number(is_number: bool) -> str:  # noqa: FBT001 - reads well where it is called
    return " class='n'" if is_number else ""


def _rounded(amount: Decimal | None) -> str:
    """Write an amount for a card: cents for what is more than a few of them, else exactly."""
    if amount is None:
        return "unknown"
    if amount >= 1:
        return f"${amount.quantize(_CENTS):,}"
    exact = plain_decimal(amount) or "0"
    return dollars(amount) if len(exact) < 10 else f"${amount:.6f}"  # noqa: PLR2004 - what fits a card


def _safe(text: object) -> str:
    return escape(redact_secrets(str(text)), quote=True)


def _json(value: object) -> str:
    """Write JSON that no text in it can lead out of a script element."""
    text = json.dumps(value, separators=(",", ":"), default=str)
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def _part(name: str) -> str:
    return (_PARTS / name).read_text(encoding="utf-8")
