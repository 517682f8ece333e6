"""Messages and tools as users give them, in the JSON that counting works on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from langchain_core.messages import BaseMessage


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
