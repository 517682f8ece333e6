"""Messages and tools as users give them, in the JSON that counting works on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from langchain_core.messages import BaseMessage

_FORMATS = ("json_schema", "json_object", "text")


def json_message(message: object) -> Mapping[str, Any]:
    """Turn a message into the API's JSON; a JSON message of plain text is taken as it is.

    Args:
        message: Whatever LangChain takes as a message, or a message as the API takes it.

    Raises:
        ValueError: It is neither.
    """
    if isinstance(message, Mapping) and not isinstance(message.get("content"), list):
        return message
    from langchain_core.messages import BaseMessage, convert_to_messages

    if isinstance(message, BaseMessage):
        return _encoded(message)
    try:
        return _encoded(convert_to_messages([message])[0])  # type: ignore[list-item]
    except ValueError:
        if isinstance(message, Mapping):  # no message to LangChain; count what text it has
            return message
        raise


def _encoded(message: BaseMessage) -> Mapping[str, Any]:
    from langchain_tamma_openai.errors import InvalidParameterError
    from langchain_tamma_openai.wire.messages import messages_to_completions

    try:
        return messages_to_completions([message])[0]
    except InvalidParameterError:  # has no form in Chat Completions: an estimate beats no count
        return {"role": message.type, "content": [{"type": "other", "other": message.content}]}


def json_tool(tool: object) -> Mapping[str, Any]:
    """Turn a tool into the API's JSON.

    Args:
        tool: A tool in any form that `bind_tools` takes.
    """
    from langchain_core.utils.function_calling import convert_to_openai_tool

    return convert_to_openai_tool(tool)  # type: ignore[arg-type]


def json_tool_choice(tool_choice: object, tools: Sequence[Mapping[str, Any]]) -> object:
    """Turn a tool choice into the API's JSON.

    Args:
        tool_choice: The choice in any form that `bind_tools` takes.
        tools: The JSON tools of the request.

    Raises:
        InvalidToolError: It names a tool that is not there.
    """
    if not isinstance(tool_choice, str | bool):
        return tool_choice
    from langchain_tamma_openai.wire.tools import tool_choice_to_openai, tool_names

    return tool_choice_to_openai(tool_choice, tool_names(dict(tool) for tool in tools))


def json_response_format(response_format: object) -> Mapping[str, Any] | None:
    """Turn a schema for structured output into the API's JSON.

    Args:
        response_format: A `response_format` of the API, a JSON schema, or a class.

    Raises:
        InvalidParameterError: It has no JSON schema.
    """
    if response_format is None:
        return None
    if isinstance(response_format, Mapping) and response_format.get("type") in _FORMATS:
        return response_format
    from langchain_tamma_openai.wire.response_format import (
        response_format_to_openai,
        response_format_to_wire,
    )

    schema = dict(response_format) if isinstance(response_format, Mapping) else response_format
    return response_format_to_wire(response_format_to_openai(schema))  # type: ignore[arg-type]  # it refuses others
