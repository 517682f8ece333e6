"""Token usage of an answer that broke off before the server said what it used."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from langchain_tamma_openai.tokens_encodings import encoding_for_model
from langchain_tamma_openai.tokens_payload import add_payload
from langchain_tamma_openai.tokens_tally import Tally
from langchain_tamma_openai.wire.usage import TokenUsage

__all__ = ["estimate_usage"]

_BYTES_PER_TOKEN = 4


def estimate_usage(
    payload: Mapping[str, Any],
    received_text: str | Sequence[str] = "",
    received_tool_arguments: str | Sequence[str] = "",
    reasoning_text: str | Sequence[str] = "",
    *,
    model: str,
    served_model: str | None = None,
) -> TokenUsage:
    """Estimate what a request used from what was sent and what arrived.

    The request is counted like any other, and of the answer what was received; what the model had
    written and was still on its way is not in it, nor reasoning that it does not show. Never
    raises, never asks the network.

    Args:
        payload: The body of the request, of Chat Completions or the Responses API.
        received_text: Text of the answer so far, refusals included; several texts for several
            choices or messages.
        received_tool_arguments: Arguments of tool calls so far, one text each; give names as texts
            of their own to have them counted.
        reasoning_text: Reasoning that was shown; its tokens are part of the output.
        model: The model that was asked for.
        served_model: The model that the answer names, where it came so far.

    Returns:
        The usage, without cached tokens: how many were cached is not known.
    """
    counted_as = _counting_model(model, served_model)
    inputs = _input_tokens(payload, counted_as)
    reasoning = _text_tokens(reasoning_text, counted_as)
    outputs = reasoning + sum(
        _text_tokens(texts, counted_as) for texts in (received_text, received_tool_arguments)
    )
    return TokenUsage(
        input_tokens=inputs,
        output_tokens=outputs,
        total_tokens=inputs + outputs,
        reasoning_tokens=reasoning,
    )


def _counting_model(model: object, served_model: object) -> str:
    """Choose the name whose tokenizer is known, that of the answer first."""
    names = [name for name in (served_model, model) if isinstance(name, str) and name]
    known = (name for name in names if not encoding_for_model(name).assumed)
    return next(known, names[0] if names else "")


def _input_tokens(payload: Mapping[str, Any], model: str) -> int:
    try:
        tally = Tally(model)
        add_payload(tally, payload)
    except Exception:  # noqa: BLE001 - an estimate must not fail a call that has broken off already
        return _by_size(payload)
    return max(0, tally.tokens)


def _text_tokens(texts: str | Sequence[str], model: str) -> int:
    try:
        tally = Tally(model)
        for text in [texts] if isinstance(texts, str) else texts:
            tally.add_text(text)
    except Exception:  # noqa: BLE001 - as above
        return _by_size(texts)
    return tally.tokens


def _by_size(value: object) -> int:
    """Guess by length where counting was not possible."""
    try:
        text = json.dumps(value, default=str, ensure_ascii=False)
        return len(text.encode("utf-8", "replace")) // _BYTES_PER_TOKEN
    except (TypeError, ValueError, RecursionError):
        return 0
