"""Records as CSV, JSON and JSON lines: pieces of text, one record at a time."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from datetime import datetime
from decimal import Decimal

from langchain_tamma_openai.pricing_cost import plain_decimal
from langchain_tamma_openai.usage.export_columns import (
    COLUMNS,
    Column,
    clean_text,
    json_text,
    json_value,
    time_text,
)
from langchain_tamma_openai.usage.record import UsageRecord

_LINE_END = "\r\n"
_NEEDS_QUOTES = re.compile('[,"\r\n]')
# What a spreadsheet takes for the beginning of a formula, in either width, and the mark itself, so
# that taking one mark away always gives the text as it was.
_DANGEROUS = tuple("=+-@\t\r\n\uff1d\uff0b\uff0d\uff20'")
_MARK = "'"


def csv_pieces(records: Iterable[UsageRecord]) -> Iterator[str]:
    """Write CSV as RFC 4180 has it: a heading, then a line for each record, ended by CR LF.

    Args:
        records: What to write.

    Yields:
        One line at a time.
    """
    yield ",".join(column.name for column in COLUMNS) + _LINE_END
    for record in records:
        yield ",".join(_csv_cell(column, record) for column in COLUMNS) + _LINE_END


def _csv_cell(column: Column, record: UsageRecord) -> str:
    value = column.value(record)
    if value is None:
        return ""
    if isinstance(value, str):
        return csv_text(value)
    if isinstance(value, int | float):
        return str(value).lower()  # true and false; a number has no capitals
    if isinstance(value, Decimal):
        return plain_decimal(value) or ""
    if isinstance(value, datetime):
        return time_text(value)
    return csv_text(json_text(value))


def csv_text(text: str) -> str:
    """Write a text as a cell that no spreadsheet takes for a formula.

    Args:
        text: Any text. An empty one is written as two quotes; an empty cell is a missing value.
    """
    safe = clean_text(text)
    if safe.startswith(_DANGEROUS):
        safe = _MARK + safe
    if safe and not _NEEDS_QUOTES.search(safe):
        return safe
    return '"' + safe.replace('"', '""') + '"'


def json_pieces(records: Iterable[UsageRecord]) -> Iterator[str]:
    """Write one JSON array with a line for each record.

    Args:
        records: What to write.

    Yields:
        A piece for each record, and one at the end.
    """
    before = "[\n"
    for record in records:
        yield before + _json_object(record)
        before = ",\n"
    yield "[]\n" if before == "[\n" else "\n]\n"


def jsonl_pieces(records: Iterable[UsageRecord]) -> Iterator[str]:
    """Write JSON lines: an object for each record.

    Args:
        records: What to write.

    Yields:
        One line at a time.
    """
    for record in records:
        yield _json_object(record) + "\n"


def _json_object(record: UsageRecord) -> str:
    row = {column.name: json_value(column.value(record)) for column in COLUMNS}
    return json.dumps(row, ensure_ascii=False, separators=(",", ":"))
