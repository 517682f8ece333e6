"""Reads tool arguments that are not quite JSON, where only one reading is possible.

Nothing is ever completed: a text without its end stays broken.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from langchain_tamma_openai.wire.arguments import ToolArgumentsError, parse_tool_arguments

_FENCE = re.compile(r"\s*```[A-Za-z]*[ \t]*\r?\n(?P<inside>.*?)\r?\n?```\s*", re.DOTALL)
# A whole string, or a comma that only white space separates from a closing bracket.
_STRING_OR_COMMA = re.compile(
    r'"(?:[^"\\]|\\.)*"|(?<=[^\s,\[{:])(?P<comma>,)(?=\s*[}\]])|(?P<spaced>\s+),(?=\s*[}\]])',
    re.DOTALL,
)
_STRING = re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL)
# An escape is kept whole: a raw line break after a backslash has more than one reading.
_ESCAPE_OR_CONTROL = re.compile(r"\\.|(?P<control>[\x00-\x1f])", re.DOTALL)


def repair_tool_arguments(text: str) -> tuple[dict[str, Any], list[str]] | None:
    """Read broken arguments.

    Repaired are a code fence around the object, a comma before a closing bracket, raw control
    characters such as line breaks in a string, and an object written as a string of JSON.

    Args:
        text: Arguments that are not one strict JSON object.

    Returns:
        The object and the names of the repairs (`"code_fence"`, `"trailing_comma"`,
        `"control_characters"`, `"encoded_twice"`), or None when it stays broken.
    """
    repairs: list[str] = []
    for name, changed in _steps(text):
        if name is not None:
            repairs.append(name)
        try:
            return parse_tool_arguments(changed), repairs
        except ToolArgumentsError:
            continue
    return None


def _steps(text: str) -> Iterator[tuple[str | None, str]]:
    """Give the text after each repair that changes it, one upon the other."""
    yield None, text
    fenced = _FENCE.fullmatch(text)
    if fenced:
        text = fenced["inside"]
        yield "code_fence", text
    inner = _encoded_object(text)
    if inner is not None:
        text = inner
        yield "encoded_twice", text
    escaped = _STRING.sub(lambda found: _ESCAPE_OR_CONTROL.sub(_escape, found[0]), text)
    if escaped != text:
        text = escaped
        yield "control_characters", text
    without_commas = _STRING_OR_COMMA.sub(_without_comma, text)
    if without_commas != text:
        yield "trailing_comma", without_commas


def _encoded_object(text: str) -> str | None:
    try:
        inner = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return inner if isinstance(inner, str) and inner.lstrip().startswith("{") else None


def _escape(found: re.Match[str]) -> str:
    return json.dumps(found[0])[1:-1] if found["control"] else found[0]


def _without_comma(found: re.Match[str]) -> str:
    if found["comma"]:
        return ""
    if found["spaced"]:
        before = found.string[: found.start()][-1:]
        return found["spaced"] if before not in ("", ",", "[", "{", ":") else found[0]
    return found[0]
