"""A report as Markdown: its totals, sentences and tables."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from langchain_tamma_openai.usage.report.sections import Cell, Table
from langchain_tamma_openai.usage.report.summary_part import facts, notices, tiles, totals
from langchain_tamma_openai.usage.report.wording import clean

if TYPE_CHECKING:
    from collections.abc import Sequence

    from langchain_tamma_openai.usage.report.data import UsageReport

_SPECIAL = re.compile(r"([\\`*_{}\[\]<>()#+!|~$&-])")


def report_markdown(report: UsageReport) -> str:
    """Write it.

    Args:
        report: The report.
    """
    head = [f"- {name}: {_escaped(value)}" for name, value in facts(report)]
    numbers = [
        f"| {tile.title} | {_escaped(tile.value)} | {_escaped(tile.note)} |"
        for tile in tiles(report)
    ]
    parts = [
        f"# {_escaped(clean(report.title))}",
        "\n".join(head),
        *(f"> {_escaped(text)}" for text in notices(report)),
        "\n".join(["| | | |", "| --- | ---: | --- |", *numbers]),
    ]
    sections = report.sections()
    if not sections:
        parts.append("No runs in this range.")
    for section in sections:
        parts += [f"## {section.title}", _escaped(section.text), _table(section.table)]
        parts += [_escaped(section.note)] if section.note else []
    parts += ["## All totals", _table(totals(report))]
    return "\n\n".join(parts) + "\n"


def _table(table: Table) -> str:
    numbers = len(table.heads) - table.names
    lines = [
        _row(table.heads),
        "| " + " | ".join(["---"] * table.names + ["---:"] * numbers) + " |",
        *map(_row, table.rows),
    ]
    return "\n".join(lines if table.total is None else [*lines, _row(table.total)])


def _row(cells: Sequence[Cell]) -> str:
    return "| " + " | ".join(_escaped(cell_text(cell)) for cell in cells) + " |"


def cell_text(cell: Cell) -> str:
    """Write a cell of a table.

    Args:
        cell: A text, a count, or None.
    """
    if cell is None:
        return "-"
    return f"{cell:,}" if isinstance(cell, int) else cell


def _escaped(text: str) -> str:
    """Let Markdown take nothing of a text for its own; a plain dash between words stays."""
    if re.fullmatch(r"[\w .,:;%/$()-]*", text) and "_" not in text and not text.startswith("-"):
        return text.replace("$", "\\$")
    return _SPECIAL.sub(r"\\\1", text)
