"""How prompts look in a notebook. Everything that comes from a prompt is escaped."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from typing import TYPE_CHECKING

from langchain_tamma_openai.redact import redact_secrets

if TYPE_CHECKING:
    from langchain_tamma_openai.prompts.model import _Prompt

_SHOWN_CHARS = 2_000
_SHOWN_PROMPTS = 200


def prompt_html(prompt: _Prompt) -> str:
    """Show one prompt with its text.

    Args:
        prompt: The prompt.
    """
    about = " · ".join(filter(None, [prompt.category, prompt.description]))
    names = ", ".join(prompt.variables) or "none"
    return (
        f"<div><b>{_safe(prompt.reference)}</b> {_safe(prompt.name)}<br>{_safe(about)}<br>"
        f"variables: {_safe(names)}<pre>{_safe(_cut(prompt.text))}</pre></div>"
    )


def prompts_html(prompts: Iterable[_Prompt]) -> str:
    """Show prompts as a table, one line each.

    Args:
        prompts: The prompts.
    """
    shelf = list(prompts)
    rows = "".join(map(_row, shelf[:_SHOWN_PROMPTS]))
    more = len(shelf) - _SHOWN_PROMPTS
    head = "".join(f"<th>{title}</th>" for title in ("prompt", "category", "variables", "for"))
    note = f"<p>and {more} more</p>" if more > 0 else ""
    return f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>{note}"


def _row(prompt: _Prompt) -> str:
    cells = (prompt.reference, prompt.category, ", ".join(prompt.variables), prompt.description)
    return f"<tr>{''.join(f'<td>{_safe(cell)}</td>' for cell in cells)}</tr>"


def _safe(text: str) -> str:
    return escape(redact_secrets(text))


def _cut(text: str) -> str:
    return text if len(text) <= _SHOWN_CHARS else f"{text[:_SHOWN_CHARS]}..."
