"""LangChain messages to the `input` items of a Responses API request.

One method per kind of message and one per kind of assistant block. Nothing given is changed; items
may share parts with the messages they were made from.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, cast

from langchain_core.messages import (
    AIMessage,
    BaseMessage,
    ChatMessage,
    FunctionMessage,
    HumanMessage,
    SystemMessage,
    ToolCall,
    ToolMessage,
)
from langchain_core.utils.utils import LC_AUTO_PREFIX

from langchain_tamma_openai.wire.content import BlockEncoder, encode_content
from langchain_tamma_openai.wire.responses_content import (
    SYSTEM_INPUT,
    TOOL_OUTPUT,
    USER_INPUT,
    input_part,
)
from langchain_tamma_openai.wire.responses_items import (
    NATIVE_ITEMS,
    PROVIDER,
    REPLAYED_ITEMS,
    Json,
    annotation_from_langchain,
)
from langchain_tamma_openai.wire.responses_v0 import join_v0
from langchain_tamma_openai.wire.responses_v1 import blocks_to_items

# Blocks of user and system messages that are input items of their own.
_OWN_ITEMS = frozenset(
    {
        "apply_patch_call_output",
        "compaction_trigger",
        "configuration_update",
        "item_reference",
        "local_shell_call_output",
        "mcp_approval_response",
        "shell_call_output",
        "tool_search_output",
    }
)
_OUR_PROVIDERS = (None, PROVIDER, "azure")
_SYSTEM_ROLES = ("system", "developer")


def responses_input(messages: Sequence[BaseMessage], *, store: bool | None = None) -> list[Json]:
    """Encode a conversation as the `input` of a Responses API request.

    Args:
        messages: LangChain messages of any class, format (v0, `responses/v1`, v1) and provider.
        store: The request's `store`. When False the server keeps nothing, so ids of earlier
            messages are left out, and reasoning and images only go back when they carry their data.

    Returns:
        Input items, in order.

    Raises:
        InvalidParameterError: A message or block has no form in the Responses API.
    """
    items = _InputItems(store=store)
    for message in messages:
        items.add(message)
    return items.items


class _InputItems:
    """The items of one request, as they are added up."""

    def __init__(self, *, store: bool | None) -> None:
        self.items: list[Json] = []
        self._stored = store is not False
        self._messages: dict[str, Json] = {}

    def add(self, message: BaseMessage) -> None:
        for cls, encode in _ENCODERS.items():
            if isinstance(message, cls):
                encode(self, message)
                return
        from langchain_tamma_openai.wire.problems import UnknownMessageTypeError

        raise UnknownMessageTypeError(
            f"messages: got a {type(message).__name__}, which has no role in the Responses API; "
            "pass human, AI, system, tool, function or chat messages"
        )

    # --- user, system ----------------------------------------------------------------------------

    def human(self, message: HumanMessage) -> None:
        self._spoken(message, "user", USER_INPUT)

    def system(self, message: SystemMessage) -> None:
        role = message.additional_kwargs.get("__openai_role__", "system")
        self._spoken(message, role, SYSTEM_INPUT)

    def chat(self, message: ChatMessage) -> None:
        if message.role == "assistant":
            self._assistant_content(message.content, own=True)
        elif message.role in ("user", *_SYSTEM_ROLES):
            self._spoken(message, message.role, USER_INPUT)
        else:
            self.other(message, message.role)

    def function(self, message: FunctionMessage) -> None:
        self.other(message, "function")

    def other(self, message: BaseMessage, role: str) -> None:
        content = _unwrapped(encode_content(message.content, USER_INPUT))
        self.items.append({"content": content, "role": role})

    def _spoken(
        self, message: BaseMessage, role: str, encoders: Mapping[str, BlockEncoder]
    ) -> None:
        content = message.content
        if isinstance(content, list):
            blocks = _unwrapped(encode_content(content, encoders))
            content = [part for block in blocks if (part := self._part(block, message, role))]
            if not content:
                return
        self.items.append({"content": content, "role": role, "type": "message"})

    def _part(self, block: str | Json, message: BaseMessage, role: str) -> Json | None:
        """Give the input part for a block; blocks that are items of their own are added here."""
        if (part := input_part(block)) is not None:
            return part
        kind = _type_of(block)
        is_tools = kind == "additional_tools" and isinstance(message, SystemMessage)
        if isinstance(block, dict) and (kind in _OWN_ITEMS or is_tools):
            self.items.append(block)
        elif role in _SYSTEM_ROLES:
            warnings.warn(
                f"A {kind!r} block in a system message was left out: the Responses API has no "
                "such input.",
                stacklevel=2,
            )
        return None

    # --- tool results ----------------------------------------------------------------------------

    def tool(self, message: ToolMessage) -> None:
        self.items.append(
            _computer_output(message) or _own_tool_output(message) or _function_output(message)
        )

    # --- assistant -------------------------------------------------------------------------------

    def assistant(self, message: AIMessage) -> None:
        calls = list(_calls(message))
        content: object = message.content
        if isinstance(content, list):
            content = self._translated(message)
        elif calls or "function_call" in message.additional_kwargs:
            content = content or None
        own = message.response_metadata.get("model_provider") in _OUR_PROVIDERS
        start = len(self.items)
        self._assistant_content(content, own=own)
        present = {item["call_id"] for item in self.items[start:] if "call_id" in item}
        self.items.extend(call for call in calls if call["call_id"] not in present)

    def _translated(self, message: AIMessage) -> list[Json]:
        blocks: Sequence[Any] = join_v0(message) or message.content
        dicts = [{"type": "text", "text": b} if isinstance(b, str) else b for b in blocks]
        return blocks_to_items(dicts, message.tool_calls)

    def _assistant_content(self, content: object, *, own: bool) -> None:
        if isinstance(content, str):
            part = {"type": "output_text", "text": content, "annotations": []}
            self.items.append({"type": "message", "role": "assistant", "content": [part]})
        if not isinstance(content, list):
            return
        for block in content:
            if isinstance(block, dict) and (own or _is_portable(block)):
                _BLOCKS.get(block.get("type", ""), _InputItems.leave_out)(self, block)

    def leave_out(self, block: Json) -> None:
        """Drop a block the API has no input item for."""

    def text(self, block: Json) -> None:
        if block.get("text") is None:
            return
        annotations = [annotation_from_langchain(entry) for entry in block.get("annotations") or []]
        part = {"type": "output_text", "text": block["text"], "annotations": annotations}
        self._message_part(block, part)

    def refusal(self, block: Json) -> None:
        """Send a refusal; of one without text, as other providers report it, nothing."""
        if text := block.get("refusal"):
            self._message_part(block, {"type": "refusal", "refusal": text})

    def _message_part(self, block: Json, part: Json) -> None:
        """Add a part to the message item of the same id, or begin a new one."""
        message_id = block.get("id")
        item = self._messages.get(message_id) if message_id else None
        if item is not None:
            item["content"].append(part)
        else:
            item = {"type": "message", "content": [part], "role": "assistant"}
            self.items.append(item)
            # Ids LangChain made up itself mean nothing to the API, which refuses them.
            if message_id and self._stored and not message_id.startswith(LC_AUTO_PREFIX):
                item["id"] = message_id
                self._messages[message_id] = item
        if block.get("phase") is not None:
            item["phase"] = block["phase"]

    def reasoning(self, block: Json) -> None:
        if self._stored or block.get("encrypted_content"):
            self.replay(block)

    def image(self, block: Json) -> None:
        """Refer to a stored image by id; send it whole where nothing is stored."""
        if self._stored and "id" in block:
            self.items.append({"type": "image_generation_call", "id": block["id"]})
        elif set(block) - {"type", "id", "index"}:
            self.replay(block)

    def replay(self, block: Json) -> None:
        self.items.append(_without_index(block))


def _unwrapped(content: object) -> Any:
    """Take provider-native blocks out of their standard wrapper."""
    if not isinstance(content, list):
        return content
    return [_native(block) for block in content]


def _native(block: object) -> object:
    if isinstance(block, dict) and block.get("type") == "non_standard":
        return block["value"]
    return block


def _without_index(block: Json) -> Json:
    """Drop the `index` LangChain merges streamed blocks by; the API does not know it."""
    item = {key: value for key, value in block.items() if key != "index"}
    for name in ("summary", "content"):
        if isinstance(item.get(name), list):
            item[name] = [_plain_part(part) for part in item[name]]
    return item


def _plain_part(part: object) -> object:
    if not isinstance(part, dict):
        return part
    return {key: value for key, value in part.items() if key != "index"}


def _is_portable(block: Json) -> bool:
    """Tell what another provider's answer may carry here: not its reasoning, not its own tools."""
    return block.get("type") not in _PROVIDER_BOUND


_PROVIDER_BOUND = NATIVE_ITEMS | {"reasoning"}


def _calls(message: AIMessage) -> Iterator[Json]:
    """Give the message's tool calls as items, invalid ones with the text the model wrote."""
    for call in message.tool_calls:
        yield _function_call(call["id"], call["name"], _arguments(call))
    for invalid in message.invalid_tool_calls:
        yield _function_call(invalid["id"], invalid["name"], invalid["args"])
    if not message.tool_calls and not message.invalid_tool_calls:
        for raw in message.additional_kwargs.get("tool_calls") or ():
            function = raw["function"]
            yield _function_call(raw["id"], function["name"], function["arguments"])


def _arguments(call: ToolCall) -> str:
    try:
        return json.dumps(call["args"], ensure_ascii=False)
    except (TypeError, ValueError) as error:
        from langchain_tamma_openai.errors import InvalidParameterError

        raise InvalidParameterError(
            f"messages: the arguments of tool call {call['name']!r} cannot be written as JSON "
            f"({error}); give plain dicts, lists, strings, numbers, booleans and None"
        ) from error


def _function_call(call_id: str | None, name: str | None, arguments: str | None) -> Json:
    return {"type": "function_call", "name": name, "arguments": arguments, "call_id": call_id}


# --- tool results --------------------------------------------------------------------------------


def _function_output(message: ToolMessage) -> Json:
    blocks = _unwrapped(encode_content(message.content, TOOL_OUTPUT))
    output = {"type": "function_call_output", "output": _tool_output(blocks)}
    return {**output, "call_id": message.tool_call_id}


def _tool_output(content: object) -> object:
    """Give text, images and files as parts, text as it is, and anything else as JSON text."""
    if isinstance(content, str):
        return content
    if isinstance(content, list) and all(isinstance(block, dict) for block in content):
        parts = [input_part(block) for block in content]
        if None not in parts:
            return parts
    try:
        return json.dumps(content, ensure_ascii=False)
    except (TypeError, ValueError):
        return str(content)


def _computer_output(message: ToolMessage) -> Json | None:
    """Recognise a screenshot that answers a computer call."""
    item = _screenshot(message)
    checks = "acknowledged_safety_checks"
    if item is None or checks not in message.additional_kwargs:
        return item
    return {**item, checks: message.additional_kwargs[checks]}


def _screenshot(message: ToolMessage) -> Json | None:
    is_declared = message.additional_kwargs.get("type") == "computer_call_output"
    if isinstance(message.content, str):
        picture = {"type": "input_image", "image_url": message.content}
        return _computer_item(message, picture) if is_declared else None
    for block in message.content:
        if is_declared and _type_of(block) == "input_image":
            return _computer_item(message, cast("Json", block))
        if _type_of(_wrapped(block)) == "computer_call_output":
            return cast("Json", _wrapped(block))
    return None


def _computer_item(message: ToolMessage, picture: Json) -> Json:
    return {"call_id": message.tool_call_id, "type": "computer_call_output", "output": picture}


def _own_tool_output(message: ToolMessage) -> Json | None:
    """Find a block that is the output item itself: of a custom tool, a shell or a patch."""
    for block in () if isinstance(message.content, str) else message.content:
        if _type_of(block) == "custom_tool_call_output":
            output = cast("Json", block).get("output") or ""
            kind = {"type": "custom_tool_call_output", "call_id": message.tool_call_id}
            return {**kind, "output": output}
        if _type_of(_wrapped(block)) == "custom_tool_call_output":
            return cast("Json", _wrapped(block))
        if _type_of(_native(block)) in _SHELL_OUTPUTS:
            return {"call_id": message.tool_call_id, **cast("Json", _native(block))}
    return None


_SHELL_OUTPUTS = ("apply_patch_call_output", "local_shell_call_output", "shell_call_output")


def _type_of(block: object) -> object:
    return block.get("type") if isinstance(block, dict) else None


def _wrapped(block: object) -> object:
    return _native(block) if _type_of(block) == "non_standard" else None


_ENCODERS: dict[type[BaseMessage], Callable[[_InputItems, Any], None]] = {
    HumanMessage: _InputItems.human,
    AIMessage: _InputItems.assistant,
    ToolMessage: _InputItems.tool,
    SystemMessage: _InputItems.system,
    ChatMessage: _InputItems.chat,
    FunctionMessage: _InputItems.function,
}

_BLOCKS: dict[str, Callable[[_InputItems, Json], None]] = {
    "text": _InputItems.text,
    "output_text": _InputItems.text,
    "refusal": _InputItems.refusal,
    "reasoning": _InputItems.reasoning,
    "image_generation_call": _InputItems.image,
    **dict.fromkeys(REPLAYED_ITEMS, _InputItems.replay),
}
