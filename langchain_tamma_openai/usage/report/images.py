"""A report as one image: its charts below each other, drawn without a browser."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Final, cast

from langchain_tamma_openai.usage.report.bundle import vl_convert
from langchain_tamma_openai.usage.report.charts import WIDTH_RULES
from langchain_tamma_openai.usage.report.summary_part import facts, notices, tiles
from langchain_tamma_openai.usage.report.theme import IMAGE_FONT, LIGHT, Spec
from langchain_tamma_openai.usage.report.wording import clean

if TYPE_CHECKING:
    from langchain_tamma_openai.usage.report.data import UsageReport
    from langchain_tamma_openai.usage.report.sections import Section

_WIDTH: Final = 1200
_BESIDE: Final = 90
_SIXTHS: Final = 6
_LINE: Final = 150
_OWN_COLORS: Final[Spec] = {
    "scale": {"color": "independent"},
    "legend": {"color": "independent"},
}


def report_svg(report: UsageReport) -> str:
    """Draw it as SVG.

    Args:
        report: The report.

    Raises:
        ConfigurationError: `vl-convert-python` is missing (extra `report`).
    """
    return cast("str", vl_convert().vegalite_to_svg(image_spec(report)))


def report_png(report: UsageReport, scale: float) -> bytes:
    """Draw it as PNG.

    Args:
        report: The report.
        scale: Pixels for each unit of the SVG.

    Raises:
        ConfigurationError: `vl-convert-python` is missing (extra `report`).
    """
    return cast("bytes", vl_convert().vegalite_to_png(image_spec(report), scale=scale))


def image_spec(report: UsageReport) -> Spec:
    """Put all charts into one specification.

    Args:
        report: The report.
    """
    numbers = [f"{tile.title}: {tile.value}" for tile in tiles(report)]
    about = [f"{name}: {value}" for name, value in facts(report)]
    lines = ["    ".join(numbers), *textwrap.wrap("    ".join(about), _LINE), *notices(report)]
    config: Spec = {
        **LIGHT.config(IMAGE_FONT),
        "background": LIGHT.ground,
        "concat": {"spacing": 44},
    }
    return {
        "title": {
            "text": clean(report.title),
            "fontSize": 22,
            "subtitle": lines,
            "subtitleFontSize": 12,
            "subtitlePadding": 8,
            "subtitleLineHeight": 18,
            "subtitleColor": LIGHT.text,
            "anchor": "start",
            "offset": 24,
        },
        "padding": 24,
        "params": LIGHT.params(),
        "config": config,
        "vconcat": _rows(report.sections()) or [_nothing()],
        "resolve": _OWN_COLORS,
    }


def _rows(sections: list[Section]) -> list[Spec]:
    """Put charts beside each other as the page does on a large screen."""
    rows: list[list[Section]] = [[]]
    for section in sections:
        if sum(one.width for one in rows[-1]) + section.width > _SIXTHS:
            rows.append([])
        rows[-1].append(section)
    return [
        {"hconcat": [_titled(section) for section in row], "resolve": _OWN_COLORS}
        for row in rows
        if row
    ]


def _titled(section: Section) -> Spec:
    width = section.width * (_WIDTH + _BESIDE) // _SIXTHS - _BESIDE
    title: Spec = {
        "text": section.title,
        "subtitle": textwrap.wrap(section.text, width // 6) or [""],
        "subtitleColor": LIGHT.text,
        "subtitlePadding": 5,
    }
    chart = {name: value for name, value in section.chart.items() if name != "autosize"}
    return {**cast("Spec", _fixed(chart, width)), "width": width, "title": title}


def _fixed(value: object, width: int) -> object:
    """Put numbers where a chart depends on its width: a part of a drawing does not know its own."""
    if isinstance(value, list):
        return [_fixed(part, width) for part in value]
    if not isinstance(value, dict):
        return value
    found = WIDTH_RULES.get(str(value.get("expr")))
    if found is not None:
        return found(width)
    return {name: _fixed(part, width) for name, part in value.items()}


def _nothing() -> Spec:
    mark: Spec = {"type": "text", "text": "No runs in this range.", "fontSize": 16}
    return {"data": {"values": [{}]}, "width": _WIDTH, "height": 60, "mark": mark}
