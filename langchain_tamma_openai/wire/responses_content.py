"""Content blocks of one message, LangChain to Responses API input parts.

A block first takes its Chat Completions form (`content.py` knows every LangChain block), then a
small renaming gives the part the Responses API wants. Blocks that only the Responses API takes have
encoders of their own here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NoReturn

from langchain_tamma_openai.wire.content import (
    TOOL_BLOCKS,
    USER_BLOCKS,
    Block,
    BlockEncoder,
)

_CACHE_MARK = "prompt_cache_breakpoint"


def input_part(block: str | Block) -> Block | None:
    """Give the input part for a text, image or file in Chat Completions form; None for others."""
    if isinstance(block, str):
        return {"type": "input_text", "text": block}
    encode = _PARTS.get(block.get("type", ""))
    return None if encode is None else encode(block)


def _same(block: Block) -> Block:
    return block


def _marked(block: Block, part: Block) -> Block:
    return {**part, _CACHE_MARK: block[_CACHE_MARK]} if _CACHE_MARK in block else part


def _text(block: Block) -> Block:
    return _marked(block, {"type": "input_text", "text": block.get("text") or ""})


def _image(block: Block) -> Block:
    image = block["image_url"]
    if isinstance(image, str):
        image = {"url": image}
    detail = {"detail": image["detail"]} if image.get("detail") else {}
    return _marked(block, {"type": "input_image", "image_url": image["url"], **detail})


def _file(block: Block) -> Block:
    return _marked(block, {"type": "input_file", **block["file"]})


_PARTS: Mapping[str, Callable[[Block], Block]] = {
    "text": _text,
    "image_url": _image,
    "file": _file,
    "input_text": _same,
    "input_image": _same,
    "input_file": _same,
}


# --- encoders of LangChain blocks that differ from Chat Completions ------------------------------


def _has_inline_data(block: Block) -> bool:
    return "base64" in block or block.get("source_type") == "base64"


def _image_or_id(block: Block) -> Block | None:
    if "file_id" in block and "url" not in block and not _has_inline_data(block):
        return _marked(block, {"type": "input_image", "file_id": block["file_id"]})
    return USER_BLOCKS["image"](block)


def _file_or_url(block: Block) -> Block | None:
    is_link = "url" in block and not _has_inline_data(block) and "file_id" not in block
    if not is_link or block.get("source_type") == "id":
        return USER_BLOCKS["file"](block)
    mark = block if _CACHE_MARK in block else (block.get("extras") or {})
    return _marked(mark, {"type": "input_file", "file_url": block["url"]})


def _text_file(block: Block) -> Block | None:
    if "text" in block:
        return USER_BLOCKS["text-plain"](block)
    return _file_or_url({**block, "type": "file"})


def _no_sound_or_film(block: Block) -> NoReturn:
    from langchain_tamma_openai.errors import InvalidParameterError

    raise InvalidParameterError(
        f"messages: the Responses API takes no {block['type']} input; send text, images or files, "
        "or set use_responses_api=False with a model that takes audio"
    )


_RESPONSES: dict[str, BlockEncoder] = {
    "image": _image_or_id,
    "file": _file_or_url,
    "text-plain": _text_file,
    "audio": _no_sound_or_film,
    "video": _no_sound_or_film,
}

USER_INPUT: Mapping[str, BlockEncoder] = {**USER_BLOCKS, **_RESPONSES}
TOOL_OUTPUT: Mapping[str, BlockEncoder] = {**TOOL_BLOCKS, **_RESPONSES}
SYSTEM_INPUT: Mapping[str, BlockEncoder] = {
    kind: encoder
    for kind, encoder in USER_INPUT.items()
    if kind not in ("additional_tools", "non_standard")
}
