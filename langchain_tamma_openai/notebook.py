"""How values look in a notebook: small tables that follow its light or dark colours.

Everything that came from outside is escaped, and searched for secrets first.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape

from langchain_tamma_openai.redact import redact_secrets

_SHOWN_ROWS = 200
_NUMBER = ' style="text-align:right;font-variant-numeric:tabular-nums"'
_TEXT = ' style="text-align:left"'


def safe(value: object) -> str:
    """Give a value as text that is safe in HTML and holds no secret.

    Args:
        value: Anything; None shows as a dash.
    """
    return escape(redact_secrets("-" if value is None else str(value)))


def table_html(
    heads: Sequence[str], rows: Iterable[Sequence[object]], caption: str, numbers_from: int = 1
) -> str:
    """Make a table.

    Args:
        heads: Of the columns.
        rows: Cells; whole numbers get thousands separators.
        caption: Above it.
        numbers_from: First column of numbers.
    """
    listed = list(rows)
    head = "".join(
        f"<th{_align(place >= numbers_from)}>{safe(text)}</th>" for place, text in enumerate(heads)
    )
    body = "".join(_row(row, numbers_from) for row in listed[:_SHOWN_ROWS])
    more = len(listed) - _SHOWN_ROWS
    note = f"<p>and {more:,} more</p>" if more > 0 else ""
    return (
        f'<table><caption style="text-align:left">{safe(caption)}</caption>'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{note}"
    )


def fields_html(caption: str, fields: Mapping[str, object]) -> str:
    """Make a table of names and values.

    Args:
        caption: Above it.
        fields: The values by name.
    """
    return table_html(("", ""), fields.items(), caption, numbers_from=2)


def _row(row: Sequence[object], numbers_from: int) -> str:
    cells = (
        f"<td{_align(place >= numbers_from)}>{safe(_shown(value))}</td>"
        for place, value in enumerate(row)
    )
    return f"<tr>{''.join(cells)}</tr>"


def _align(is_number: bool) -> str:  # noqa: FBT001 - reads well where it is called
    return _NUMBER if is_number else _TEXT


def _shown(value: object) -> object:
    is_whole = isinstance(value, int) and not isinstance(value, bool)
    return f"{value:,}" if is_whole else value
