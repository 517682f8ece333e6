"""What a report says. Data without I/O; `gather` reads it off a ledger, its methods tell it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeAlias, get_args

from langchain_tamma_openai.errors import InvalidParameterError
from langchain_tamma_openai.usage.report.burn_down import BurnDown
from langchain_tamma_openai.usage.report.figures import LedgerFigures
from langchain_tamma_openai.usage.report.savings import Savings
from langchain_tamma_openai.usage.report.wording import short_count, short_usd, span

if TYPE_CHECKING:
    import os

    from langchain_tamma_openai.usage.report.sections import Section

ReportFormat: TypeAlias = Literal["html", "md", "svg", "png", "json"]
FORMATS: tuple[str, ...] = get_args(ReportFormat)


@dataclass(frozen=True, slots=True, repr=False)
class UsageReport:
    """Usage of a ledger at one moment, to be shown as a page, an image, Markdown or JSON.

    Attributes:
        title: Of the page.
        ledger: Where the figures come from, without secrets.
        made_at: When they were read; UTC.
        start: First moment of the range; None without one.
        end: First moment after the range; None without one.
        filters: What restricts the runs, by name.
        figures: The figures.
        savings: What prompt caches saved.
        budget: A budget's state and forecast; None when none was asked for.
        top: How many values of a dimension are told apart.
    """

    title: str
    ledger: str
    made_at: datetime
    start: datetime | None = None
    end: datetime | None = None
    filters: Mapping[str, str] = field(default_factory=dict)
    figures: LedgerFigures = field(default_factory=LedgerFigures)
    savings: Savings = field(default_factory=Savings)
    budget: BurnDown | None = None
    top: int = 10

    def sections(self) -> list[Section]:
        """Give the charts of the report, each with a sentence and the table behind it."""
        from langchain_tamma_openai.usage.report.sections import sections_of

        return sections_of(self)

    def html(self) -> str:
        """Write one page that holds everything it needs and asks no network.

        Raises:
            ConfigurationError: `vl-convert-python` is missing (extra `report`).
        """
        from langchain_tamma_openai.usage.report.page import page_html

        return page_html(self)

    def markdown(self) -> str:
        """Write totals and tables as Markdown."""
        from langchain_tamma_openai.usage.report.markdown import report_markdown

        return report_markdown(self)

    def svg(self) -> str:
        """Draw all charts as one SVG image, on a light ground.

        Raises:
            ConfigurationError: `vl-convert-python` is missing (extra `report`).
        """
        from langchain_tamma_openai.usage.report.images import report_svg

        return report_svg(self)

    def png(self, scale: float = 1.2) -> bytes:
        """Draw all charts as one PNG image, on a light ground.

        Args:
            scale: Pixels for each unit of the SVG image, which is about 1,400 wide.

        Raises:
            ConfigurationError: `vl-convert-python` is missing (extra `report`).
        """
        from langchain_tamma_openai.usage.report.images import report_png

        return report_png(self, scale)

    def as_dict(self) -> dict[str, object]:
        """Give everything as JSON values; amounts are plain decimal strings."""
        from langchain_tamma_openai.usage.report.json_form import report_dict

        return report_dict(self)

    def json(self) -> str:
        """Write everything as JSON; see `as_dict`."""
        import json

        return json.dumps(self.as_dict(), ensure_ascii=False, indent=2) + "\n"

    def render(self, format: ReportFormat) -> str | bytes:  # noqa: A002 - the public name
        """Write the report in one of its formats.

        Args:
            format: "html", "md", "svg", "png" or "json".

        Raises:
            ConfigurationError: `vl-convert-python` is missing (extra `report`).
            InvalidParameterError: There is no such format.
        """
        writers: dict[str, Callable[[], str | bytes]] = {
            "html": self.html,
            "md": self.markdown,
            "svg": self.svg,
            "png": self.png,
            "json": self.json,
        }
        if format not in writers:
            raise _no_such_format(format)
        return writers[format]()

    def save(
        self,
        path: str | os.PathLike[str],
        format: ReportFormat | None = None,  # noqa: A002 - the public name
    ) -> Path:
        """Write the report to a file, which is replaced only once the new one is complete.

        Args:
            path: The file.
            format: See `render`; None takes the ending of the file.

        Returns:
            The path.

        Raises:
            ConfigurationError: `vl-convert-python` is missing (extra `report`).
            InvalidParameterError: There is no such format.
            StorageError: The file cannot be written.
        """
        from langchain_tamma_openai.usage.report.files import write_file

        target = Path(path)
        content = self.render(format or format_of(target))
        write_file(target, content.encode() if isinstance(content, str) else content)
        return target

    def __repr__(self) -> str:
        """Say in a line what it reports."""
        total = self.figures.total
        return (
            f"UsageReport({self.title!r}, {span(self.start, self.end)}: "
            f"{total.total_requests:,} requests, {short_count(total.total_tokens)} tokens, "
            f"{short_usd(total.total_cost_usd)})"
        )

    def _repr_html_(self) -> str:
        from langchain_tamma_openai.usage.report.page import notebook_html

        return notebook_html(self)


def format_of(path: Path) -> ReportFormat:
    """Tell a format by the ending of a file.

    Args:
        path: The file.

    Raises:
        InvalidParameterError: The ending says none.
    """
    ending = path.suffix.lstrip(".").lower()
    found = {"htm": "html", "markdown": "md"}.get(ending, ending)
    if found not in FORMATS:
        raise _no_such_format(found, f"the ending of {path.name!r} names no format")
    return found  # type: ignore[return-value]  # one of them


def _no_such_format(value: object, why: str = "") -> InvalidParameterError:
    words = ", ".join(map(repr, FORMATS))
    said = why or f"got {value!r}"
    return InvalidParameterError(f"format: {said}, must be one of {words}", param="format")
