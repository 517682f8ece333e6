"""A quick guess of a request's size, for rate limits: no tokenizer, no exactness."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_CHARS_PER_TOKEN = 4
_TOKENS_PER_BLOB = 1500
_BLOB_PREFIX = "data:"
_SPOKEN = ("messages", "input", "instructions", "tools", "functions", "response_format", "text")
_OUTPUT_LIMITS = ("max_completion_tokens", "max_output_tokens", "max_tokens")


def rough_tokens(payload: Mapping[str, Any]) -> int:
    """Guess the tokens of a request as OpenAI's rate limits count them.

    OpenAI charges a request's characters and `max_tokens`
    (https://platform.openai.com/docs/guides/rate-limits).

    Args:
        payload: The request body.
    """
    chars = output = 0
    for name in _SPOKEN:
        if name in payload:
            chars += _chars(payload[name])
    for name in _OUTPUT_LIMITS:
        limit = payload.get(name)
        if isinstance(limit, int) and limit > 0:
            output = limit
            break
    return chars // _CHARS_PER_TOKEN + 1 + output


def _chars(value: object) -> int:
    if isinstance(value, str):
        if value.startswith(_BLOB_PREFIX):
            return _TOKENS_PER_BLOB * _CHARS_PER_TOKEN
        return len(value)
    if isinstance(value, (list, tuple)):
        return sum([_chars(item) for item in value])
    # Asking for an abstract class takes long, and nearly all are plain.
    if isinstance(value, dict) or isinstance(value, Mapping):  # noqa: SIM101 - in this order
        return sum([_chars(item) for item in value.values()])
    return 0
