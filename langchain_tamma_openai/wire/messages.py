"""LangChain messages to Chat Completions messages.

One encoder per message class, found by class. Nothing is copied deeply and nothing given is
changed: the result may share blocks and tool calls with the messages it was made from.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

from langchain_core.messages import (
    AIMessage,
    AIMessageChunk,
    BaseMessage,
    ChatMessage,
    ChatMessageChunk,
    FunctionMessage,
    FunctionMessageChunk,
    HumanMessage,
    HumanMessageChunk,
    InvalidToolCall,
    SystemMessage,
    SystemMessageChunk,
    ToolCall,
    ToolMessage,
    ToolMessageChunk,
)

from langchain_tamma_openai.wire.content import (
    ASSISTANT_BLOCKS,
    SYSTEM_BLOCKS,
    TOOL_BLOCKS,
    USER_BLOCKS,
    BlockEncoder,
    audio_reference,
    encode_content,
)

Json: TypeAlias = dict[str, Any]
_TOOL_CALL_KEYS = ("id", "type", "function")


def messages_to_completions(
    messages: Sequence[BaseMessage], *, developer_role: bool = False
) -> list[Json]:
    """Encode a conversation as the `messages` of a Chat Completions request.

    Args:
        messages: LangChain messages of any class, by any provider.
        developer_role: Send `system` messages as `developer`, which the o-series models expect.

    Returns:
        One JSON object per message, in order.

    Raises:
        InvalidParameterError: A message or one of its blocks has no form in Chat Completions; the
            error says what to send instead. For a message class without a role it is also a
            `TypeError`.
    """
    encoded = list(_encode_all(messages))
    if developer_role:
        for message in encoded:
            if message["role"] == "system":
                message["role"] = "developer"
    return encoded


def _encode_all(messages: Sequence[BaseMessage]) -> Iterator[Json]:
    for message in messages:
        encoder = _ENCODERS.get(type(message)) or _inherited_encoder(message)
        yield encoder(message)


def _inherited_encoder(message: object) -> MessageEncoder:
    """Find the encoder of a subclass made elsewhere."""
    for cls in type(message).__mro__:
        if cls in _ENCODERS:
            return _ENCODERS[cls]
    from langchain_tamma_openai.wire.problems import UnknownMessageTypeError

    raise UnknownMessageTypeError(
        f"messages: got a {type(message).__name__}, which has no role in Chat Completions; pass "
        "human, AI, system, tool, function or chat messages"
    )


def _base(message: BaseMessage, role: str, blocks: Mapping[str, BlockEncoder]) -> Json:
    """Encode what all messages have: role, content, name."""
    content = message.content
    if not isinstance(content, str):
        content = encode_content(content, blocks)
    name = message.name or message.additional_kwargs.get("name")
    if name is None:
        return {"role": role, "content": content}
    return {"role": role, "content": content, "name": name}


def _human(message: HumanMessage) -> Json:
    return _base(message, "user", USER_BLOCKS)


def _system(message: SystemMessage) -> Json:
    role = message.additional_kwargs.get("__openai_role__", "system")
    return _base(message, role, SYSTEM_BLOCKS)


def _chat(message: ChatMessage) -> Json:
    return _base(message, message.role, USER_BLOCKS)


def _function(message: FunctionMessage) -> Json:
    return _base(message, "function", USER_BLOCKS)


def _tool(message: ToolMessage) -> Json:
    """Encode a tool result, which unlike the others takes no name."""
    return {
        "role": "tool",
        "content": encode_content(message.content, TOOL_BLOCKS),
        "tool_call_id": message.tool_call_id,
    }


def _assistant(message: AIMessage) -> Json:
    encoded = _base(message, "assistant", ASSISTANT_BLOCKS)
    extra = message.additional_kwargs
    if message.tool_calls or message.invalid_tool_calls or extra:
        encoded.update(_calls(message))
        if "tool_calls" in encoded or "function_call" in encoded:
            # The API wants null, not an empty string, beside calls.
            encoded["content"] = encoded["content"] or None
    if extra or not isinstance(message.content, str):
        encoded.update(_audio(message))
    return encoded


def _calls(message: AIMessage) -> Json:
    """Give the calls of an assistant: LangChain's own first, else what a provider stored raw."""
    if message.tool_calls or message.invalid_tool_calls:
        valid = [_tool_call(call) for call in message.tool_calls]
        return {"tool_calls": valid + [_raw_call(call) for call in message.invalid_tool_calls]}
    extra = message.additional_kwargs
    if "tool_calls" in extra:
        return {"tool_calls": [_known_keys(call) for call in extra["tool_calls"]]}
    # Both fields in one message are a 400, so the older one only counts alone.
    return {"function_call": extra["function_call"]} if "function_call" in extra else {}


def _known_keys(call: Mapping[str, Any]) -> Json:
    return {key: call[key] for key in _TOOL_CALL_KEYS if key in call}


def _tool_call(call: ToolCall) -> Json:
    try:
        arguments = json.dumps(call["args"], ensure_ascii=False)
    except (TypeError, ValueError) as error:
        from langchain_tamma_openai.errors import InvalidParameterError

        raise InvalidParameterError(
            f"messages: the arguments of tool call {call['name']!r} cannot be written as JSON "
            f"({error}); give plain dicts, lists, strings, numbers, booleans and None"
        ) from error
    return _function_call(call, arguments)


def _raw_call(call: InvalidToolCall) -> Json:
    """Send back what the model wrote, character for character: it has to see its own mistake."""
    return _function_call(call, call["args"])


def _function_call(call: ToolCall | InvalidToolCall, arguments: str | None) -> Json:
    function = {"name": call["name"], "arguments": arguments}
    return {"type": "function", "id": call["id"], "function": function}


def _audio(message: AIMessage) -> Json:
    audio = audio_reference(message.content)
    if audio is None and "audio" in message.additional_kwargs:
        stored = message.additional_kwargs["audio"]
        audio = {"id": stored["id"]} if "id" in stored else stored
    return {"audio": audio} if audio else {}


MessageEncoder: TypeAlias = Callable[[Any], Json]

_ENCODERS: dict[type, MessageEncoder] = {
    HumanMessage: _human,
    HumanMessageChunk: _human,
    AIMessage: _assistant,
    AIMessageChunk: _assistant,
    SystemMessage: _system,
    SystemMessageChunk: _system,
    ToolMessage: _tool,
    ToolMessageChunk: _tool,
    FunctionMessage: _function,
    FunctionMessageChunk: _function,
    ChatMessage: _chat,
    ChatMessageChunk: _chat,
}
