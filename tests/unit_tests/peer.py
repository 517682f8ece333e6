"""Our model beside `langchain_openai.ChatOpenAI`, over one mock API."""

from __future__ import annotations

from typing import Any

from langchain_core.messages import AIMessage, BaseMessage
from langchain_openai import ChatOpenAI
from mock_api import Json, MockAPI

from langchain_tamma_openai import ChatTammaOpenAI


def pair(api: MockAPI, **fields: Any) -> tuple[ChatOpenAI, ChatTammaOpenAI]:
    """Build both models over one mock; both ask for the usage of streams."""
    fields = {"stream_usage": True, **fields}
    return api.model(ChatOpenAI, **fields), api.model(ChatTammaOpenAI, **fields)


def seen(message: BaseMessage) -> Json:
    """What a program reads from a message, without what differs by design.

    The cost is ours alone; the words of an invalid call's error are ours; a run's id is random.
    """
    assert isinstance(message, AIMessage)
    metadata = {key: value for key, value in message.response_metadata.items() if key != "cost"}
    run_id = message.id or ""
    return {
        "class": type(message).__name__.removeprefix("Strict"),
        "content": message.content,
        "text": str(message.text),
        "additional_kwargs": message.additional_kwargs,
        "tool_calls": message.tool_calls,
        "invalid_tool_calls": [_without_error(call) for call in message.invalid_tool_calls],
        "usage_metadata": message.usage_metadata,
        "response_metadata": metadata,
        "name": message.name,
        "id": "lc_run" if run_id.startswith("lc_run--") else run_id,
        "content_blocks": message.content_blocks,
    }


def _without_error(call: Any) -> Json:
    return {**call, "error": None}
