"""`usage_report`: the report as a page, an image or text."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from datetime import datetime
from decimal import Decimal
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Unpack, cast

from langchain_tamma_openai.checks import shown
from langchain_tamma_openai.errors import ConfigurationError, InvalidParameterError
from langchain_tamma_openai.usage.filters import FieldFilters
from langchain_tamma_openai.usage.money import is_storable_usd
from langchain_tamma_openai.usage.report import page as pages
from langchain_tamma_openai.usage.report.data import ReportData
from langchain_tamma_openai.usage.report.gather import gather
from langchain_tamma_openai.usage.report.tables import Table, dollars, tables

if TYPE_CHECKING:
    from langchain_tamma_openai.usage.report.charts import Chart
    from langchain_tamma_openai.usage.tracker import UsageTracker

ReportFormat = Literal["html", "md", "svg", "png", "json"]
FORMATS: tuple[ReportFormat, ...] = ("html", "md", "svg", "png", "json")
_WIDTH = 760
_VEGA_LITE = "6.1"
_SCALE = 1.5


class UsageReport:
    """A report, ready to be shown, printed or sent.

    Attributes:
        data: What it says.
    """

    def __init__(self, data: ReportData) -> None:
        """Hold what it says; use `usage_report`.

        Args:
            data: What it says.
        """
        self.data = data

    def __repr__(self) -> str:
        """Say what it is about."""
        return f"UsageReport({self.data.title!r}, {self.data.total!r})"

    def _repr_html_(self) -> str:
        from langchain_tamma_openai.usage.shown import summary_html

        return summary_html(self.data.total)

    @cached_property
    def _charts(self) -> list[Chart]:
        _require_packages()
        from langchain_tamma_openai.usage.report.charts import charts

        return list(charts(self.data))

    @cached_property
    def _tables(self) -> list[Table]:
        return list(tables(self.data))

    def html(self) -> str:
        """Give one page that needs no network.

        Raises:
            ConfigurationError: The extra `report` is not installed.
        """
        charts = self._charts
        from langchain_tamma_openai.usage.report.bundle import vega_script

        return pages.page(self.data, charts, self._tables, vega_script())

    def markdown(self) -> str:
        """Give the figures and tables as Markdown, without charts."""
        figures = [(name, value) for name, value, _ in pages.cards(self.data)]
        parts = [f"# {_cell(self.data.title)}\n", _markdown_table(("figure", "value"), figures)]
        parts += [f"{note}\n" for note in pages.notes(self.data)]
        for table in self._tables:
            if table.rows:
                parts.append(f"## {_cell(table.title)}\n")
                parts.append(_markdown_table(table.heads, table.rows))
        return "\n".join(parts)

    def svg(self) -> str:
        """Give all charts as one SVG image.

        Raises:
            ConfigurationError: The extra `report` is not installed.
        """
        spec = self._all_charts()
        import vl_convert

        return vl_convert.vegalite_to_svg(spec, vl_version=_VEGA_LITE)

    def png(self) -> bytes:
        """Give all charts as one PNG image.

        Raises:
            ConfigurationError: The extra `report` is not installed.
        """
        spec = self._all_charts()
        import vl_convert

        return vl_convert.vegalite_to_png(spec, vl_version=_VEGA_LITE, scale=_SCALE)

    def json(self) -> str:
        """Give everything the report says as JSON, amounts as exact decimal strings."""
        raw = {
            **asdict(self.data),
            "total": self.data.total.as_dict(),
            "retries": self.data.retries,
        }
        raw["total"]["total_cost_usd"] = dollars(self.data.total.total_cost_usd).lstrip("$")
        return json.dumps(raw, default=_json_value, ensure_ascii=False, indent=1)

    def save(self, path: str | os.PathLike[str], format: ReportFormat | None = None) -> Path:  # noqa: A002 - the public name
        """Write it to a file, which is replaced only once the new one is complete.

        Args:
            path: The file.
            format: "html", "md", "svg", "png" or "json"; by the file's ending when left out.

        Raises:
            InvalidParameterError: The format is none of them.
            ConfigurationError: The extra `report` is not installed.
            OSError: The file cannot be written.
        """
        target = Path(path)
        content = self.content(check_format(format or _ending(target)))
        fresh = target.with_name(f".{target.name}.{os.getpid()}.new")
        try:
            fresh.write_bytes(content)
            fresh.replace(target)
        finally:
            fresh.unlink(missing_ok=True)
        return target

    def content(self, format: ReportFormat = "html") -> bytes:  # noqa: A002 - the public name
        """Give it in a format, as bytes.

        Args:
            format: "html", "md", "svg", "png" or "json".
        """
        makers = {"html": self.html, "md": self.markdown, "svg": self.svg, "json": self.json}
        return self.png() if format == "png" else makers[format]().encode()

    def _all_charts(self) -> dict[str, Any]:
        charts = self._charts
        import altair as alt

        shown: list[Any] = [
            chart.chart.properties(width=_WIDTH, title=chart.title) for chart in charts
        ]
        if not shown:
            nothing: Any = alt.Data(values=[])  # type: ignore[no-untyped-call]  # Altair's own
            shown = [alt.Chart(nothing).mark_point().properties(title="No run matches")]
        whole = alt.vconcat(*shown, title=self.data.title).resolve_scale(color="independent")
        whole = whole.configure(background="white").configure_view(stroke=None)
        return cast("dict[str, Any]", whole.to_dict())


def usage_report(
    tracker: UsageTracker,
    *,
    title: str = "Usage",
    start: datetime | None = None,
    end: datetime | None = None,
    budget_usd: Decimal | float | str | None = None,
    **filters: Unpack[FieldFilters],
) -> UsageReport:
    """Make a report of what a ledger holds.

    Args:
        tracker: The ledger.
        title: What it is called.
        start: First moment; None for the beginning. Without a zone it is UTC.
        end: First moment after it; None for now.
        budget_usd: What may be spent in the range, in US dollars, for burn-down and forecast.
        filters: Which runs: `user_id`, `organization_id`, `model`, `tags`, ...

    Raises:
        InvalidParameterError: An argument is wrong.
        StorageError: The ledger cannot be read.
    """
    limit = None if budget_usd is None else _usd(budget_usd)
    data = gather(tracker, title=title, start=start, end=end, budget_usd=limit, **filters)
    return UsageReport(data)


def check_format(format: str) -> ReportFormat:  # noqa: A002 - the public name
    """Check the name of a format.

    Args:
        format: What was given.

    Raises:
        InvalidParameterError: It is none.
    """
    if format not in FORMATS:
        raise InvalidParameterError(
            f"format: got {shown(format)}, must be one of {', '.join(FORMATS)}", param="format"
        )
    return format


def _ending(path: Path) -> str:
    ending = path.suffix.lstrip(".").lower()
    return {"htm": "html", "markdown": "md"}.get(ending, ending or "html")


def _usd(value: Decimal | float | str) -> Decimal:
    try:
        amount = Decimal(repr(value) if isinstance(value, float) else value)
    except (ArithmeticError, TypeError, ValueError):
        amount = Decimal("nan")
    if not is_storable_usd(amount) or amount <= 0:
        raise InvalidParameterError(
            f"budget_usd: got {shown(value)}, must be an amount above 0", param="budget_usd"
        )
    return amount


def _require_packages() -> None:
    try:
        import altair  # noqa: F401, ICN001 - only to see whether it is there
        import vl_convert  # noqa: F401 - the same
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            "format: charts need Altair and vl-convert; install with "
            "pip install 'langchain-tamma-openai[report]', or choose format 'md' or 'json'",
            code="missing_package",
            param="format",
        ) from error


def _markdown_table(heads: tuple[str, ...], rows: Any) -> str:
    lines = [f"| {' | '.join(map(_cell, heads))} |", f"|{'---|' * len(heads)}"]
    lines += [f"| {' | '.join(map(_cell, row))} |" for row in rows]
    return "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")


def _json_value(value: object) -> object:
    if isinstance(value, Decimal):
        return f"{value:f}"
    return value.isoformat() if isinstance(value, datetime) else str(value)
