"""Texts for OpenTelemetry spans: why answers ended and, where asked for, what was said."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from langchain_core.messages import BaseMessage
from langchain_core.outputs import ChatGeneration, LLMResult

from langchain_tamma_openai.usage.run_labels import json_value
from langchain_tamma_openai.usage.runs import OpenRun

_ROLES = {"human": "user", "ai": "assistant", "AIMessageChunk": "assistant"}


def finish_reasons(response: LLMResult | None) -> list[str]:
    """Say why each answer ended.

    Args:
        response: What the model answered, if anything.
    """
    found: list[str] = []
    for generation in (each for prompt in _generations(response) for each in prompt):
        info = generation.generation_info or {}
        if isinstance(generation, ChatGeneration):
            info = {**info, **generation.message.response_metadata}
        reason = info.get("finish_reason") or info.get("stop_reason") or info.get("status")
        if isinstance(reason, str):
            found.append(reason)
    return found


def content_attributes(run: OpenRun, response: LLMResult | None) -> dict[str, str]:
    """Write down prompt and answer, as JSON and without anything that looks like a key.

    Args:
        run: The run, which has the prompt.
        response: What the model answered, if anything.
    """
    asked = [_message(message) for message in run.messages]
    asked += [_text_message("user", prompt) for prompt in run.prompts]
    answered = [
        _message(each.message)
        if isinstance(each, ChatGeneration)
        else _text_message("assistant", each.text)
        for prompt in _generations(response)
        for each in prompt
    ]
    return {
        "gen_ai.input.messages": _json(asked),
        "gen_ai.output.messages": _json(answered),
    }


def _generations(response: LLMResult | None) -> Iterable[list[Any]]:
    return [] if response is None else response.generations


def _message(message: BaseMessage) -> dict[str, object]:
    text = str(message.text)
    if message.type == "tool":
        answered = getattr(message, "tool_call_id", None)
        parts = [{"type": "tool_call_response", "id": answered, "response": text}]
    else:
        parts = [{"type": "text", "content": text}] if text else []
        parts += [
            {
                "type": "tool_call",
                "id": call.get("id"),
                "name": call["name"],
                "arguments": call["args"],
            }
            for call in getattr(message, "tool_calls", None) or ()
        ]
    return {"role": _ROLES.get(message.type, message.type), "parts": parts}


def _text_message(role: str, text: str) -> dict[str, object]:
    return {"role": role, "parts": [{"type": "text", "content": text}]}


def _json(value: object) -> str:
    return json.dumps(json_value(value), ensure_ascii=False)
