"""A report as one HTML page that holds everything it needs.

Everything that came from outside goes through `escape`, or through JSON whose `<`, `>` and `&` are
escaped. The page forbids itself any network, and scripts other than its own two, by their hashes.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from html import escape
from importlib import resources
from typing import TYPE_CHECKING, Final

from langchain_tamma_openai._version import __version__
from langchain_tamma_openai.usage.report.bundle import vega_script
from langchain_tamma_openai.usage.report.markdown import cell_text
from langchain_tamma_openai.usage.report.sections import Cell, Section, Table
from langchain_tamma_openai.usage.report.summary_part import facts, notices, tiles, totals
from langchain_tamma_openai.usage.report.theme import THEMES, Spec
from langchain_tamma_openai.usage.report.wording import clean

if TYPE_CHECKING:
    from langchain_tamma_openai.usage.report.data import UsageReport

_JSON_ESCAPES: Final = str.maketrans(
    {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}
)
_POLICY: Final = (
    "default-src 'none'; script-src {scripts}; style-src 'unsafe-inline'; img-src data:; "
    "connect-src {connect}; base-uri 'none'; form-action 'none'"
)


@dataclass(frozen=True, slots=True)
class Live:
    """Where a page that a server shows asks for news.

    Attributes:
        path: On the same server.
        interval_s: Seconds between two looks.
        tag: Of the state that the page shows.
    """

    path: str
    interval_s: float
    tag: str


def page_html(report: UsageReport, live: Live | None = None) -> str:
    """Write the page.

    Args:
        report: The report.
        live: Where the page asks for news; None for a page that stands alone.

    Raises:
        ConfigurationError: `vl-convert-python` is missing (extra `report`).
    """
    sections = report.sections()
    scripts = (vega_script(), _resource("page.js"))
    title = escape(clean(report.title))
    policy = _POLICY.format(
        scripts=" ".join(map(_hash, scripts)), connect="'self'" if live else "'none'"
    )
    body = _body(report, sections, title, is_live=live is not None)
    return (
        "<!DOCTYPE html>\n"
        '<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="referrer" content="no-referrer">\n'
        f'<link rel="icon" href="data:,">\n<title>{title}</title>\n'
        f"<style>{_resource('page.css')}</style>\n</head>\n<body>\n{body}\n"
        f'<script type="application/json" id="charts">{_charts_json(report, sections, live)}'
        f"</script>\n<script>{scripts[0]}</script>\n<script>{scripts[1]}</script>\n"
        "</body>\n</html>\n"
    )


def page_parts(report: UsageReport, sections: Iterable[Section]) -> dict[str, str]:
    """Give the parts of the page that change with the numbers, by the id of their element.

    Args:
        report: The report.
        sections: Its sections.
    """
    parts = {
        "facts": _facts(report),
        "notices": "".join(f"<li>{escape(text)}</li>" for text in notices(report)),
        "tiles": _tiles(report),
        "totals": _table(totals(report), "All totals"),
    }
    for section in sections:
        parts[f"text-{section.id}"] = escape(section.text)
        parts[f"table-{section.id}"] = _table(section.table, section.title)
        parts[f"note-{section.id}"] = escape(section.note)
    return parts


def charts_of(sections: Iterable[Section]) -> dict[str, Spec]:
    """Give the charts by the id of their section.

    Args:
        sections: The sections of a report.
    """
    return {section.id: section.chart for section in sections}


def notebook_html(report: UsageReport) -> str:
    """Show the page in a notebook, in a frame of its own.

    Args:
        report: The report.
    """
    page = escape(page_html(report))
    title = escape(clean(report.title))
    return (
        f'<iframe srcdoc="{page}" title="{title}" sandbox="allow-scripts" '
        'style="width:100%;height:720px;border:1px solid #8886;border-radius:8px"></iframe>'
    )


def _body(report: UsageReport, sections: list[Section], title: str, *, is_live: bool) -> str:
    parts = page_parts(report, sections)
    shown = "".join(_section(section, parts) for section in sections)
    nothing = '<p class="nothing">No runs in this range.</p>'
    has_runs = bool(report.figures.total.total_requests)
    live = '<p class="live" id="live" role="status">Live</p>' if is_live else ""
    return (
        '<a class="skip" href="#main">Skip to the charts</a>\n<div class="page">\n'
        f'<header>\n<div class="masthead"><h1>{title}</h1>'
        f'<div><button type="button" id="theme">Theme: auto</button>{live}</div></div>\n'
        f'<dl class="facts" id="facts">{parts["facts"]}</dl>\n'
        f'<ul class="notices" id="notices">{parts["notices"]}</ul>\n</header>\n'
        f'<dl class="tiles" id="tiles">{parts["tiles"]}</dl>\n'
        '<details class="totals"><summary>All totals, exactly</summary>'
        f'<div id="totals">{parts["totals"]}</div></details>\n'
        f'<main class="sections" id="main">{shown}{"" if has_runs else nothing}</main>\n'
        "<noscript><p>The charts need JavaScript; the tables hold their numbers.</p></noscript>\n"
        f"<footer>langchain-tamma-openai {escape(__version__)}. Costs are exact sums of known "
        "prices in US dollars; times are UTC.</footer>\n</div>\n"
        '<div class="tip" id="tip" hidden></div>'
    )


def _section(section: Section, parts: Mapping[str, str]) -> str:
    key, title = section.id, escape(section.title)
    note = parts[f"note-{key}"]
    note_line = f'<p class="note-line" id="note-{key}">{note}</p>' if note else ""
    return (
        f'<section class="w{section.width}" id="{key}" aria-labelledby="title-{key}">'
        f'<h2 id="title-{key}">{title}</h2>'
        f'<p class="text" id="text-{key}">{parts[f"text-{key}"]}</p>'
        f'<div class="chart" id="chart-{key}" role="img" aria-labelledby="title-{key}" '
        f'aria-describedby="text-{key}"></div>'
        f"<details><summary>Table: {title}</summary>"
        f'<div id="table-{key}">{parts[f"table-{key}"]}</div>{note_line}</details></section>'
    )


def _facts(report: UsageReport) -> str:
    return "".join(
        f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>"
        for name, value in facts(report)
    )


def _tiles(report: UsageReport) -> str:
    return "".join(
        f'<div class="tile"><dt>{escape(tile.title)}</dt>'
        f'<dd class="value" data-figure="{tile.name}" data-value="{escape(tile.exact)}">'
        f'{_joined(tile.value)}</dd><dd class="note">{_joined(tile.note)}</dd></div>'
        for tile in tiles(report)
    )


def _joined(text: str) -> str:
    """Keep a number and its unit on one line."""
    return re.sub(r"(?<=\d) (?=%|s\b)", "&nbsp;", escape(text))


def _table(table: Table, caption: str) -> str:
    heads = "".join(
        f'<th scope="col"{_name_class(place, table)} title="{escape(head)}">{escape(head)}</th>'
        for place, head in enumerate(table.heads)
    )
    rows = "".join(_row(row, table) for row in table.rows)
    foot = "" if table.total is None else f"<tfoot>{_row(table.total, table)}</tfoot>"
    named = escape(f"Table: {caption}")
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{named}">'
        f"<table><caption>{escape(caption)}</caption><thead><tr>{heads}</tr></thead>"
        f"<tbody>{rows}</tbody>{foot}</table></div>"
    )


def _row(row: tuple[Cell, ...], table: Table) -> str:
    names = "".join(
        f'<th scope="row" class="name" title="{escape(cell_text(cell))}">'
        f"{escape(cell_text(cell))}</th>"
        for cell in row[: table.names]
    )
    cells = "".join(f"<td>{escape(cell_text(cell))}</td>" for cell in row[table.names :])
    return f"<tr>{names}{cells}</tr>"


def _name_class(place: int, table: Table) -> str:
    return ' class="name"' if place < table.names else ""


def _charts_json(report: UsageReport, sections: list[Section], live: Live | None) -> str:
    held: dict[str, object] = {
        "charts": charts_of(sections),
        "themes": {
            name: {"params": theme.params(), "config": theme.config()}
            for name, theme in THEMES.items()
        },
    }
    if live is not None:
        held |= {
            "live": {"path": live.path, "interval_s": live.interval_s},
            "parts": page_parts(report, sections),
            "tag": live.tag,
        }
    return json.dumps(held, ensure_ascii=False, separators=(",", ":")).translate(_JSON_ESCAPES)


def _hash(script: str) -> str:
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return f"'sha256-{digest}'"


@cache
def _resource(name: str) -> str:
    return resources.files(__package__).joinpath(name).read_text(encoding="utf-8")
