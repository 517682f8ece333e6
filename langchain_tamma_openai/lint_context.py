"""Whether a request fits into the model's context window, counted here and offline."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from langchain_tamma_openai.history_turns import media_kind

if TYPE_CHECKING:
    from langchain_tamma_openai.lint import LintRequest, Problem
    from langchain_tamma_openai.tokens import TokenCount

_OUTPUT_LIMITS = ("max_output_tokens", "max_completion_tokens", "max_tokens")
_TOKENS_PER_MESSAGE = 16  # more than any message costs beside its text
_UNCERTAINTY = 0.05  # estimates within this share of the limit are warnings
_MAX_BLOB_CHARS = 4_000


def context_problems(
    request: LintRequest, context_window_tokens: int | None = None
) -> Iterator[Problem]:
    """Find out whether input and output fit; count only where they might not.

    Args:
        request: The request.
        context_window_tokens: Size of the window, where the catalogue does not know it.
    """
    window = request.info.context_window_tokens or context_window_tokens
    if window is None or request.payload.get("truncation") == "auto":
        return
    most = request.info.max_input_tokens or window
    output = _asked_output(request.payload)
    if _surely_fits(request, min(most, window - output)):
        return
    count = _count(request)
    if count > most:
        yield _overflow(count, most, "input", request)
    elif output and count + output > window:
        yield _overflow(count, window - output, f"input beside {output} tokens of output", request)


def _overflow(count: TokenCount, most: int, what: str, request: LintRequest) -> Problem:
    from langchain_tamma_openai.lint import Problem

    certain = not count.estimated or count * (1 - _UNCERTAINTY) > most
    about = "about " if count.estimated else ""
    return Problem(
        request.container,
        "context_overflow",
        f"{about}{count} tokens of input, and {request.model} takes {max(most, 0)} of {what}",
        "shorten the conversation (trim_messages), lower the output limit, or use a model with a "
        "larger window",
        "error" if certain else "warning",
    )


def _asked_output(payload: Mapping[str, object]) -> int:
    for name in _OUTPUT_LIMITS:
        value = payload.get(name)
        if isinstance(value, int) and not isinstance(value, bool) and value > 0:
            return value
    return 0


def _surely_fits(request: LintRequest, limit: int) -> bool:
    """Whether even one token a byte would fit; content that is no text has to be counted."""
    if any(media_kind(part) for entry in request.entries for part in _parts(entry)):
        return False
    size = len(json.dumps(_counted(request.payload), default=str).encode())
    return size + _TOKENS_PER_MESSAGE * (len(request.entries) + 1) <= limit


def _counted(payload: Mapping[str, object]) -> dict[str, object]:
    names = ("messages", "input", "instructions", "tools", "response_format", "text")
    return {name: payload[name] for name in names if name in payload}


def _parts(entry: Mapping[str, object]) -> list[object]:
    content = entry.get("content", entry.get("output"))
    return list(content) if isinstance(content, list | tuple) else []


def _count(request: LintRequest) -> TokenCount:
    from langchain_tamma_openai.tokens import TokenCounter

    payload: Mapping[str, Any] = request.payload
    counter = TokenCounter()
    if request.api == "chat_completions":
        response_format = payload.get("response_format")
        return counter.count_messages(
            request.entries,
            request.model,
            payload.get("tools"),
            tool_choice=payload.get("tool_choice"),
            response_format=response_format if isinstance(response_format, Mapping) else None,
        )
    return _count_items(counter, request)


def _count_items(counter: Any, request: LintRequest) -> TokenCount:
    """Count the text of a Responses request; pictures and files are not in it."""
    from langchain_tamma_openai.tokens import TokenCount

    text = "\n".join(texts(_counted(request.payload)))
    tokens = int(counter.count_text(text, request.model))
    return TokenCount(tokens, ("only the text of the request is counted",))


def texts(value: object) -> Iterator[str]:
    """Give every text inside a JSON value, without what is surely data."""
    if isinstance(value, str):
        if len(value) <= _MAX_BLOB_CHARS or " " in value:
            yield value
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from texts(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from texts(inner)
