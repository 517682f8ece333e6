"""The v0 message format: reasoning, refusals and built-in tools beside the content, not in it.

It is the shape of `ChatOpenAI` 0.3 and what `output_version="v0"` asks for. `split_v0` makes it out
of content blocks, `join_v0` brings a message of that shape back into one list of blocks.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from langchain_core.messages import AIMessage, AIMessageChunk

from langchain_tamma_openai.wire.responses_items import (
    BUILT_IN_TOOL_ITEMS,
    FUNCTION_CALL_IDS,
    SHELL_ITEMS,
    Json,
)

_BESIDE = ("reasoning", "tool_outputs", "refusal", FUNCTION_CALL_IDS)

_CALL_BLOCKS = ("custom_tool_call", "function_call", "tool_call")

# In a v0 message the parts lie in different places; this is the order in which they are sent back.
# Built-in tool items that are not named here follow at the end.
_ORDER = (
    "reasoning",
    "code_interpreter_call",
    "mcp_call",
    "image_generation_call",
    "text",
    "refusal",
    "function_call",
    "computer_call",
    "mcp_list_tools",
    "mcp_approval_request",
)


@dataclass(slots=True)
class V0Parts:
    """One message (or stream chunk) in the v0 format."""

    content: list[str | Json] = field(default_factory=list)
    additional_kwargs: Json = field(default_factory=dict)
    message_id: str | None = None


def split_v0(
    blocks: Iterable[Json],
    message_id: str | None,
    additional_kwargs: Mapping[str, Any],
    *,
    after_reasoning: bool = False,
) -> V0Parts:
    """Move what v0 keeps beside the content out of `blocks`.

    Args:
        blocks: Content blocks in the `responses/v1` format.
        message_id: Id of the message so far; a response id is dropped, a text block's id wins.
        additional_kwargs: What the message already carries there.
        after_reasoning: An earlier chunk of the same stream carried reasoning, whose id and type
            must not be repeated, as LangChain would append them.
    """
    parts = V0Parts(additional_kwargs=dict(additional_kwargs), message_id=message_id)
    for block in blocks:
        _V0_PLACES.get(block.get("type", ""), _stay)(parts, block)
    reasoning = parts.additional_kwargs.get("reasoning")
    if after_reasoning and isinstance(reasoning, dict):
        parts.additional_kwargs["reasoning"] = _without(reasoning, "id", "type")
    if parts.message_id is not None and parts.message_id.startswith("resp_"):
        parts.message_id = None
    return parts


def _without(block: Json, *names: str) -> Json:
    return {key: value for key, value in block.items() if key not in names}


def _stay(parts: V0Parts, block: Json) -> None:
    parts.content.append(block)


def _place_text(parts: V0Parts, block: Json) -> None:
    parts.message_id = block.get("id", parts.message_id)
    parts.content.append(_without(block, "id"))


def _place_reasoning(parts: V0Parts, block: Json) -> None:
    parts.additional_kwargs["reasoning"] = _without(block, "index")


def _place_tool(parts: V0Parts, block: Json) -> None:
    parts.additional_kwargs.setdefault("tool_outputs", []).append(block)


def _place_refusal(parts: V0Parts, block: Json) -> None:
    parts.additional_kwargs["refusal"] = block.get("refusal", "")


def _place_function_call(parts: V0Parts, block: Json) -> None:
    ids = parts.additional_kwargs.setdefault(FUNCTION_CALL_IDS, {})
    if block.get("call_id") and block.get("id"):
        ids[block["call_id"]] = block["id"]


_V0_PLACES: dict[str, Callable[[V0Parts, Json], None]] = {
    "text": _place_text,
    "reasoning": _place_reasoning,
    "refusal": _place_refusal,
    "function_call": _place_function_call,
    **dict.fromkeys(BUILT_IN_TOOL_ITEMS | SHELL_ITEMS, _place_tool),
}


def join_v0(message: AIMessage) -> list[Json] | None:
    """Bring a v0 message back into one ordered list of blocks; None if it is not a v0 message."""
    if not _is_v0(message):
        return None
    buckets: dict[str, list[Json]] = {name: [] for name in _ORDER}
    rest: list[Json] = []
    for block in _v0_blocks(message):
        buckets.get(block.get("type", ""), rest).append(block)
    return [block for bucket in buckets.values() for block in bucket] + rest


def _is_v0(message: AIMessage) -> bool:
    content = message.content
    if not isinstance(content, list) or not all(isinstance(block, dict) for block in content):
        return False
    if any(name in message.additional_kwargs for name in _BESIDE):
        return True
    response_id = message.response_metadata.get("id")
    return (
        _starts(message.id, "msg_")
        and isinstance(response_id, str)
        and _starts(response_id, "resp_")
    )


def _starts(identifier: str | None, prefix: str) -> bool:
    return isinstance(identifier, str) and identifier.startswith(prefix)


def _v0_blocks(message: AIMessage) -> Iterator[Json]:
    beside = message.additional_kwargs
    if reasoning := beside.get("reasoning"):
        yield reasoning if "type" in reasoning else {**reasoning, "type": "reasoning"}
    if refusal := beside.get("refusal"):
        yield {"type": "refusal", "refusal": refusal}
    for block in cast("list[Json]", message.content):
        is_text = block.get("type") == "text" and _starts(message.id, "msg_")
        yield {**block, "id": message.id} if is_text else block
    yield from _function_calls(message, beside.get(FUNCTION_CALL_IDS) or {})
    yield from beside.get("tool_outputs", [])


def _function_calls(message: AIMessage, item_ids: Mapping[str, str]) -> Iterator[Json]:
    """Rebuild the function call items of the calls that the content does not hold already."""
    present = {
        block.get("call_id") or block.get("id")
        for block in cast("list[Json]", message.content)
        if block.get("type") in _CALL_BLOCKS
    }
    for call_id, name, arguments in _calls_of(message):
        if call_id in present:
            continue
        item = {"type": "function_call", "name": name, "arguments": arguments, "call_id": call_id}
        yield {**item, "id": item_ids[call_id]} if call_id in item_ids else item


def _calls_of(message: AIMessage) -> Iterator[tuple[Any, str | None, str | None]]:
    is_lone_chunk = (
        isinstance(message, AIMessageChunk)
        and message.chunk_position != "last"
        and len(message.tool_call_chunks) == 1
    )
    if is_lone_chunk:
        piece = cast("AIMessageChunk", message).tool_call_chunks[0]
        yield piece.get("id"), piece.get("name"), piece.get("args")
        return
    for call in message.tool_calls:
        yield call["id"], call["name"], json.dumps(call["args"], ensure_ascii=False)
