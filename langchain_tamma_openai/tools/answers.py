"""What a model is told when a call fails: enough to correct itself, and no secrets."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from typing import TypeAlias

from langchain_core.messages import ToolMessage
from langchain_core.tools import ToolException
from pydantic import ValidationError

from langchain_tamma_openai.redact import redact_secrets

ErrorText: TypeAlias = Callable[[Exception], str]

_SHOWN_CHARS = 1000
_SHOWN_NAMES = 50


def refusal(text: str, name: str | None, call_id: str | None) -> ToolMessage:
    """Answer a call that was not run or did not end well.

    Args:
        text: Why, in words for the model. Secrets are taken out.
        name: The tool.
        call_id: The id of the call.
    """
    safe = redact_secrets(text)
    shown = safe if len(safe) <= _SHOWN_CHARS else f"{safe[:_SHOWN_CHARS]}..."
    return ToolMessage(
        content=f"Error: {shown}", tool_call_id=call_id or "", name=name, status="error"
    )


def unknown_tool(name: str, known: Iterable[str]) -> str:
    """Say which tools there are instead of the one that was called."""
    names = sorted(known)
    more = f" and {len(names) - _SHOWN_NAMES} more" if len(names) > _SHOWN_NAMES else ""
    listed = ", ".join(names[:_SHOWN_NAMES]) or "none"
    return f"there is no tool named {name!r}. Tools: {listed}{more}."


def timed_out(name: str, timeout_s: float) -> str:
    """Say that a tool took too long."""
    return f"the tool {name!r} did not finish within {timeout_s:g} s."


def failure(error: Exception) -> str:
    """Say what went wrong in a tool, without a traceback.

    Args:
        error: What it raised.
    """
    if isinstance(error, ToolException):
        return str(error)
    if isinstance(error, ValidationError):
        details = error.errors(include_url=False, include_context=False, include_input=False)
        reasons = (
            f"{'.'.join(map(str, detail['loc'])) or 'arguments'}: {detail['msg']}"
            for detail in details
        )
        return f"the arguments are not valid: {'; '.join(reasons)}."
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


def steers_a_graph(error: BaseException) -> bool:
    """Tell LangGraph's own signals (an interrupt, for one) from errors of a tool."""
    module = sys.modules.get("langgraph.errors")
    signal = getattr(module, "GraphBubbleUp", None)
    return signal is not None and isinstance(error, signal)
