"""What the rules about histories need to know of each message, whatever form it has.

LangChain messages, messages of Chat Completions and input items of the Responses API are all read
into `Turn`s, so that there is one set of rules.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from langchain_core.messages import (
    AIMessage,
    BaseMessage,
    ChatMessage,
    FunctionMessage,
    HumanMessage,
    SystemMessage,
    ToolMessage,
)

MessageLike: TypeAlias = BaseMessage | Mapping[str, object]

Media = Literal["image", "audio", "file"]

ROLES = ("system", "developer", "user", "assistant", "tool", "function")
"""Roles that OpenAI's APIs know."""

_MEDIA: Mapping[str, Media] = {
    "image": "image",
    "image_url": "image",
    "input_image": "image",
    "audio": "audio",
    "input_audio": "audio",
    "file": "file",
    "input_file": "file",
}
# Items that the application or the server answers; whether a result has to follow is not known
# from the history alone.
_OTHER_CALLS = frozenset(
    {"apply_patch_call", "computer_call", "local_shell_call", "mcp_approval_request", "shell_call"}
)
_ITEM_CALLS = frozenset({"custom_tool_call", "function_call"})
_ITEM_RESULTS = frozenset(
    {
        "apply_patch_call_output",
        "computer_call_output",
        "custom_tool_call_output",
        "function_call_output",
        "local_shell_call_output",
        "shell_call_output",
    }
)
_TEXTS = ("text", "input_text", "output_text", "text-plain")


@dataclass(frozen=True, slots=True)
class Turn:
    """One message or item.

    Attributes:
        index: Its place in the list it was read from.
        role: Who speaks; `item` for items that are no message (reasoning, built-in tools).
        calls: Ids of the tool calls that need a result; None for a call without an id.
        other_calls: Ids of calls that may have a result.
        answers: The id of the call it is the result of, for results.
        is_result: Whether it is the result of a tool call.
        content: `full`, `blank` for an empty text, `missing` for no content at all.
        media: Kinds of content that not every model takes.
    """

    index: int
    role: str
    calls: tuple[str | None, ...] = ()
    other_calls: tuple[str, ...] = ()
    answers: str | None = None
    is_result: bool = False
    content: Literal["full", "blank", "missing"] = "full"
    media: frozenset[Media] = frozenset()


def read_turns(messages: Sequence[MessageLike]) -> list[Turn]:
    """Read messages or items.

    Args:
        messages: LangChain messages, JSON messages of Chat Completions, or input items of the
            Responses API; also mixed.
    """
    return [_turn(index, message) for index, message in enumerate(messages)]


def _turn(index: int, message: object) -> Turn:
    if isinstance(message, BaseMessage):
        return _langchain_turn(index, message)
    if isinstance(message, Mapping):
        return _json_turn(index, message)
    return Turn(index, f"a {type(message).__name__}")


def media_kind(block: object) -> Media | None:
    """Give the kind of a content block that is no text; None for all others."""
    kind = block.get("type") if isinstance(block, Mapping) else None
    return _MEDIA.get(kind) if isinstance(kind, str) else None


# --- LangChain messages ----------------------------------------------------------------------


def _langchain_turn(index: int, message: BaseMessage) -> Turn:
    role = _role(message)
    content = message.content
    if isinstance(message, ToolMessage):
        # Tools may return nothing, so their content is never looked at.
        answers = message.tool_call_id or None
        return Turn(index, role, answers=answers, is_result=True, media=_media(content))
    if isinstance(message, AIMessage):
        return _assistant_turn(index, message)
    return Turn(index, role, content=_state(content), media=_media(content))


def _role(message: BaseMessage) -> str:
    if isinstance(message, ChatMessage):
        return message.role
    for cls, role in _CLASS_ROLES.items():
        if isinstance(message, cls):
            return role
    return message.type


_CLASS_ROLES: Mapping[type[BaseMessage], str] = {
    HumanMessage: "user",
    AIMessage: "assistant",
    SystemMessage: "system",
    ToolMessage: "tool",
    FunctionMessage: "function",
}


def _assistant_turn(index: int, message: AIMessage) -> Turn:
    calls = _langchain_calls(message)
    extra = message.additional_kwargs
    items = _blocks(message.content)
    carried = any(extra.get(name) for name in _CARRIED_BY_EXTRAS)
    others = tuple(_item_ids(items, _OTHER_CALLS))
    state = "full" if calls or carried else _state(message.content)
    # Pictures in an answer are the model's own; the API takes them back as references.
    return Turn(index, "assistant", calls=calls, other_calls=others, content=state)


_CARRIED_BY_EXTRAS = ("audio", "function_call", "reasoning", "refusal", "tool_outputs")


def _langchain_calls(message: AIMessage) -> tuple[str | None, ...]:
    """List the ids of calls once each, wherever the message keeps them."""
    known = [call["id"] for call in message.tool_calls]
    known += [call["id"] for call in message.invalid_tool_calls]
    if not known:
        raw = message.additional_kwargs.get("tool_calls") or ()
        known = [call.get("id") for call in raw if isinstance(call, Mapping)]
    for call_id in _item_ids(_blocks(message.content), _ITEM_CALLS):
        if call_id not in known:
            known.append(call_id)
    return tuple(call_id or None for call_id in known)


# --- JSON messages and items -----------------------------------------------------------------


def _json_turn(index: int, message: Mapping[str, object]) -> Turn:
    kind = message.get("type")
    if "role" not in message and isinstance(kind, str):
        return _item_turn(index, message, kind)
    role = message.get("role")
    content = message.get("content")
    if role == "tool":
        call_id = message.get("tool_call_id")
        answers = call_id if isinstance(call_id, str) and call_id else None
        return Turn(index, "tool", answers=answers, is_result=True, media=_media(content))
    if role == "assistant":
        return _json_assistant(index, message)
    name = role if isinstance(role, str) else repr(role)
    return Turn(index, name, content=_state(content), media=_media(content))


def _json_assistant(index: int, message: Mapping[str, object]) -> Turn:
    raw = message.get("tool_calls")
    calls = tuple(
        str(call["id"]) if call.get("id") else None
        for call in (raw if isinstance(raw, list | tuple) else ())
        if isinstance(call, Mapping)
    )
    carried = calls or any(message.get(name) for name in ("audio", "function_call", "refusal"))
    state = "full" if carried else _state(message.get("content"))
    return Turn(index, "assistant", calls=calls, content=state)


def _item_turn(index: int, item: Mapping[str, object], kind: str) -> Turn:
    call_id = item.get("call_id")
    known = call_id if isinstance(call_id, str) and call_id else None
    if kind in _ITEM_CALLS:
        return Turn(index, "item", calls=(known,))
    if kind in _ITEM_RESULTS:
        return Turn(index, "item", answers=known, is_result=True, media=_media(item.get("output")))
    others = (known,) if known and kind in _OTHER_CALLS else ()
    return Turn(index, "item", other_calls=others)


# --- content ---------------------------------------------------------------------------------


def _blocks(content: object) -> list[Mapping[str, object]]:
    if not isinstance(content, list | tuple):
        return []
    blocks = [block for block in content if isinstance(block, Mapping)]
    return [_unwrapped(block) for block in blocks]


def _unwrapped(block: Mapping[str, object]) -> Mapping[str, object]:
    """Take a provider's own block out of LangChain's standard wrapper."""
    inner = block.get("value") if block.get("type") == "non_standard" else None
    return inner if isinstance(inner, Mapping) else block


def _item_ids(blocks: Sequence[Mapping[str, object]], kinds: frozenset[str]) -> Iterator[str]:
    for block in blocks:
        call_id = block.get("call_id")
        if block.get("type") in kinds and isinstance(call_id, str):
            yield call_id


def _media(content: object) -> frozenset[Media]:
    kinds = (media_kind(block) for block in _blocks(content))
    return frozenset(kind for kind in kinds if kind is not None)


def _state(content: object) -> Literal["full", "blank", "missing"]:
    if isinstance(content, str):
        return "full" if content else "blank"
    if not isinstance(content, list | tuple) or not content:
        return "missing"
    return "full" if any(_says_something(block) for block in content) else "blank"


def _says_something(block: object) -> bool:
    if isinstance(block, str):
        return bool(block)
    if not isinstance(block, Mapping):
        return False
    return block.get("type") not in _TEXTS or bool(block.get("text")) or "url" in block
