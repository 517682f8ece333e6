"""Errors that stand in for two of Python's own; imported only when there is one to raise."""

from __future__ import annotations

from langchain_tamma_openai.errors import InvalidParameterError


class UnknownMessageTypeError(InvalidParameterError, TypeError):
    """A message whose class has no role in Chat Completions."""
