"""How long each step of a request may take, and the HTTP library's errors for what goes wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from langchain_tamma_openai.transport.http_library import http_library

if TYPE_CHECKING:
    from langchain_tamma_openai.transport.http1 import WireFormatError

Timeouts = dict[str, float | None]
"""Seconds for "connect", "read", "write" and "pool"; None for no limit."""


def timeout_error(step: str, cause: object = "") -> Exception:
    """Make the error of a step that took too long.

    Args:
        step: "connect", "read", "write" or "pool".
        cause: What says so.
    """
    return _error(f"{step.capitalize()}Timeout", cause)


def network_error(step: str, cause: object = "") -> Exception:
    """Make the error of a step that failed.

    Args:
        step: "connect", "read" or "write".
        cause: What says so.
    """
    return _error(f"{step.capitalize()}Error", cause)


def protocol_error(cause: WireFormatError) -> Exception:
    """Make the error of an answer that is no HTTP, or not all of it.

    Args:
        cause: What says so.
    """
    return _error("RemoteProtocolError", cause)


def _error(name: str, cause: object) -> Exception:
    error: Any = getattr(http_library(), name)
    made: Exception = error(str(cause))
    return made
