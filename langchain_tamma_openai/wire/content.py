"""Content blocks of one message, LangChain to Chat Completions.

A message's content is a string, which is sent as it is, or a list of blocks. Each kind of block
has one small encoder; which kinds are treated specially depends on who speaks, so there is one
table per speaker. A kind without an entry is sent unchanged: the API knows more part types than
any client, and says clearly what it does not know.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from typing import Any, NoReturn, TypeAlias

Block: TypeAlias = dict[str, Any]
BlockEncoder: TypeAlias = Callable[[Block], Block | None]
"""Gives the part to send for a block, or None when the block is not sent at all."""

_DATA_KEYS = frozenset({"url", "base64", "file_id", "text"})
_V0_DATA_KEYS = {"base64": "data", "id": "id"}
_CACHE_MARK = "prompt_cache_breakpoint"


def encode_content(content: object, encoders: Mapping[str, BlockEncoder]) -> Any:
    """Encode the content of one message.

    Args:
        content: What `BaseMessage.content` holds: text or a list of text and blocks.
        encoders: One of this module's tables, by block type.

    Returns:
        The `content` of the Chat Completions message. The blocks inside may be the caller's own
        objects and must not be changed.

    Raises:
        InvalidParameterError: A block cannot be carried by Chat Completions.
    """
    if not isinstance(content, list):
        return content
    parts: list[object] = []
    for block in content:
        encoder = encoders.get(_kind(block))
        if encoder is None:
            parts.append(block)
        elif (part := encoder(block)) is not None:
            parts.append(part)
    return parts


def audio_reference(content: object) -> dict[str, Any] | None:
    """Find the id of spoken output in an assistant's content; the last one counts.

    The API takes its own audio back by id only, never as data (OpenAI audio guide, multi-turn
    conversations).
    """
    if not isinstance(content, list):
        return None
    ids = [block["id"] for block in content if _kind(block) == "audio" and block.get("id")]
    return {"id": ids[-1]} if ids else None


def _kind(block: object) -> str:
    """Type of a block, or an empty string for plain text and for blocks without a proper type."""
    kind = block.get("type") if isinstance(block, dict) else None
    return kind if isinstance(kind, str) else ""


def _reject(message: str) -> NoReturn:
    from langchain_tamma_openai.errors import InvalidParameterError

    raise InvalidParameterError(message)


def _dropped(_block: Block) -> None:
    """Leave out what another field carries (tool calls) or the API does not take (thinking)."""


def _marked(block: Block, part: Block) -> Block:
    """Carry a prompt-cache breakpoint over; one on the block itself wins over one in `extras`."""
    if _CACHE_MARK in block:
        part[_CACHE_MARK] = block[_CACHE_MARK]
    elif _CACHE_MARK in _extras(block):
        part[_CACHE_MARK] = block["extras"][_CACHE_MARK]
    return part


def _extras(block: Block) -> dict[str, Any]:
    extras = block.get("extras")
    return extras if isinstance(extras, dict) else {}


# --- text -------------------------------------------------------------------------------------


def _text(block: Block) -> Block:
    if "text" in block and _CACHE_MARK in _extras(block):
        return _marked(block, {"type": "text", "text": block["text"]})
    return block


def _tool_text(block: Block) -> Block:
    """Tool results may hold foreign keys (ids, annotations) that the API refuses."""
    if "text" not in block:
        return block
    return _marked(block, {"type": "text", "text": block["text"]})


def _assistant_text(block: Block) -> Block | None:
    """Bare text: annotations, ids and stream indexes of an answer are not sent back."""
    if "text" not in block:
        return None
    return {"type": "text", "text": block["text"]}


def _assistant_refusal(block: Block) -> Block | None:
    """Bare text; a refusal without any, as other providers report it, is not sent."""
    return {"type": "refusal", "refusal": text} if (text := block.get("refusal")) else None


# --- images, files, audio ---------------------------------------------------------------------


def _is_data(block: Block) -> bool:
    """Tell a LangChain data block (v0 or v1) from a provider's own block of the same type."""
    if not _DATA_KEYS.isdisjoint(block):
        return True
    source = block.get("source_type")
    return isinstance(source, str) and _V0_DATA_KEYS.get(source) in block


def _is_base64(block: Block) -> bool:
    return "base64" in block or block.get("source_type") == "base64"


def _is_file_id(block: Block) -> bool:
    return "file_id" in block or block.get("source_type") == "id"


def _data(block: Block) -> str:
    """Base64 text of a block: `data` in v0 blocks, `base64` in v1 blocks."""
    for key in ("data", "base64") if "source_type" in block else ("base64", "data"):
        if key in block:
            return str(block[key])
    return _reject(f"messages: {block['type']} block of source_type 'base64' lacks 'data'")


def _mime_type(block: Block) -> str:
    if not block.get("mime_type"):
        kind = block["type"]
        _reject(
            f"messages: {kind} block with base64 data has no mime_type; say what the data is, "
            f"e.g. {{'type': '{kind}', 'base64': ..., 'mime_type': '{_EXAMPLE_TYPES[kind]}'}}"
        )
    return str(block["mime_type"])


_EXAMPLE_TYPES = {"image": "image/png", "file": "application/pdf", "audio": "audio/wav"}


def _data_url(block: Block) -> str:
    return f"data:{_mime_type(block)};base64,{_data(block)}"


def _file_by_id(block: Block) -> Block:
    file_id = block["id"] if block.get("source_type") == "id" else block["file_id"]
    return {"type": "file", "file": {"file_id": file_id}}


def _image(block: Block) -> Block | None:
    if _is_data(block):
        return _marked(block, _data_image(block))
    if isinstance(source := block.get("source"), dict) and source:
        return _anthropic_image(source)
    return block


def _data_image(block: Block) -> Block:
    if "url" in block:
        return {"type": "image_url", "image_url": {"url": block["url"]}}
    if _is_base64(block):
        return {"type": "image_url", "image_url": {"url": _data_url(block)}}
    if _is_file_id(block):
        return _file_by_id(block)
    return _reject("messages: image block needs one of the keys url, base64 or file_id")


def _anthropic_image(source: dict[str, Any]) -> Block | None:
    url = source.get("url") if source.get("type") == "url" else None
    if source.get("type") == "base64" and source.get("media_type") and source.get("data"):
        url = f"data:{source['media_type']};base64,{source['data']}"
    return {"type": "image_url", "image_url": {"url": url}} if url else None


def _file(block: Block) -> Block:
    if not _is_data(block):
        return block
    if _is_base64(block):
        file = {"file_data": _data_url(block), "filename": _filename(block)}
        return _marked(block, {"type": "file", "file": file})
    if _is_file_id(block):
        return _marked(block, _file_by_id(block))
    if "url" in block:
        _reject(
            "messages: Chat Completions does not take files by URL; send the file as base64 or "
            "upload it and send its file_id, or set use_responses_api=True"
        )
    return _reject("messages: file block needs one of the keys base64 or file_id")


def _filename(block: Block) -> str:
    if block.get("filename"):
        return str(block["filename"])
    for key in ("extras", "metadata"):
        holder = block.get(key)
        if isinstance(holder, dict) and "filename" in holder:
            return str(holder["filename"])
    warnings.warn(
        "A file block has no filename, which OpenAI may ask for; sending 'LC_AUTOGENERATED'. "
        "Add one: {'type': 'file', 'base64': ..., 'mime_type': ..., 'filename': 'report.pdf'}.",
        stacklevel=2,
    )
    return "LC_AUTOGENERATED"


def _audio(block: Block) -> Block:
    if not _is_data(block):
        return block
    if not _is_base64(block):
        _reject("messages: audio block needs the key base64: Chat Completions takes audio as data")
    audio = {"data": _data(block), "format": _mime_type(block).split("/")[-1]}
    return _marked(block, {"type": "input_audio", "input_audio": audio})


def _plain_text_document(block: Block) -> Block:
    if "text" in block:
        return _marked(block, {"type": "text", "text": block["text"]})
    if _is_data(block):
        _reject(
            "messages: Chat Completions takes a text-plain block only with the key text; for "
            "base64 data or a file id use a block of type file"
        )
    return block


def _video(block: Block) -> Block:
    if _is_data(block):
        _reject("messages: Chat Completions does not take blocks of type video")
    return block


# --- tools that join a conversation (a Responses API input item) ------------------------------


def _misplaced_tools(_block: Block) -> NoReturn:
    _reject(
        "messages: an additional_tools block must be carried by a SystemMessage, because OpenAI "
        "takes that item from the developer only"
    )


def _responses_only_tools(_block: Block) -> NoReturn:
    _reject(
        "messages: an additional_tools block needs the Responses API; set use_responses_api=True"
    )


def _non_standard(reject: Callable[[Block], NoReturn]) -> BlockEncoder:
    def encode(block: Block) -> Block:
        if _kind(block.get("value")) == "additional_tools":
            reject(block)
        return block

    return encode


_COMMON: dict[str, BlockEncoder] = {
    "tool_use": _dropped,
    "thinking": _dropped,
    "reasoning_content": _dropped,
    "function_call": _dropped,
    "code_interpreter_call": _dropped,
    "text": _text,
    "image": _image,
    "file": _file,
    "audio": _audio,
    "text-plain": _plain_text_document,
    "video": _video,
}

USER_BLOCKS: Mapping[str, BlockEncoder] = {
    **_COMMON,
    "additional_tools": _misplaced_tools,
    "non_standard": _non_standard(_misplaced_tools),
}
SYSTEM_BLOCKS: Mapping[str, BlockEncoder] = {
    **_COMMON,
    "additional_tools": _responses_only_tools,
    "non_standard": _non_standard(_responses_only_tools),
}
TOOL_BLOCKS: Mapping[str, BlockEncoder] = {**USER_BLOCKS, "text": _tool_text}
ASSISTANT_BLOCKS: Mapping[str, BlockEncoder] = {
    **_COMMON,
    "text": _assistant_text,
    "refusal": _assistant_refusal,
    "reasoning": _dropped,
    "tool_call": _dropped,
    "invalid_tool_call": _dropped,
}
