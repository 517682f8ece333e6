"""Tool arguments: one strict reading, no repair."""

from __future__ import annotations

import json
from typing import Any, NoReturn

NOT_OF_THE_SCHEMA = "The arguments do not fit the schema"
"""How the reason begins of a call that was refused for the schema of its tool."""


class ToolArgumentsError(ValueError):
    """The arguments of a tool call are not one strict JSON object; the message says why."""


def parse_tool_arguments(arguments: str) -> dict[str, Any]:
    """Read the arguments of a tool call.

    Args:
        arguments: The text the model wrote.

    Returns:
        The JSON object in it.

    Raises:
        ToolArgumentsError: It is empty, cut, followed by other text, not an object, or uses what
            JSON (RFC 8259) does not have: NaN, Infinity, raw control characters in strings.
    """
    if not arguments:
        raise ToolArgumentsError("The arguments are empty, not a JSON object.")
    try:
        parsed = json.loads(arguments, parse_constant=_refuse_constant)
    except RecursionError as error:
        raise ToolArgumentsError("The arguments are nested too deeply.") from error
    except ValueError as error:
        raise ToolArgumentsError(f"The arguments are not valid JSON: {error}.") from error
    if not isinstance(parsed, dict):
        kind = type(parsed).__name__
        raise ToolArgumentsError(f"The arguments are a JSON {kind}, not an object.")
    return parsed


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON value")
