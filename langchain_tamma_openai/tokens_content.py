"""Counting what stands in a message: text, images, audio and files, in the form of either API."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from langchain_tamma_openai.tokens_images import DETAILS, image_bound
from langchain_tamma_openai.tokens_media import (
    audio_bounds_s,
    audio_tokens,
    decode_base64,
    file_tokens,
    image_size_px,
    split_data_url,
)
from langchain_tamma_openai.tokens_tally import Tally

Json = Mapping[str, Any]

_TEXT_PARTS = frozenset({"text", "input_text", "output_text", "summary_text", "reasoning_text"})
_MAX_BLOB_CHARS = 4_000
_AUDIO_DOUBT = 2  # chat may count audio otherwise than the Realtime API does
_PDF_DOUBT = 4  # a page may hold several times the usual text
_FILE_NOTE = "tokens of files are not documented: text and pages are estimated"


def add_content(tally: Tally, content: object, padding: str = "") -> None:
    """Count the content of a message.

    Args:
        tally: Where to add.
        content: Text, or a list of parts of Chat Completions or of the Responses API.
        padding: Follows the first text; a system message beside tools has some.
    """
    if not isinstance(content, list | tuple):
        tally.add_text(f"{content}{padding}" if isinstance(content, str) else content or padding)
        return
    for part in content:
        _add_part(tally, part, padding)
        padding = ""


def add_unknown(tally: Tally, kind: str, value: object) -> None:
    """Count something without a rule of its own by the text in it."""
    tally.note(f"content of type {kind} is counted by the text in it")
    tally.add_text(_without_blobs(value))


def _add_part(tally: Tally, part: object, padding: str) -> None:
    if isinstance(part, str):
        tally.add_text(part + padding)
        return
    block: Json = part if isinstance(part, Mapping) else {}
    kind = str(block.get("type"))
    if kind in _TEXT_PARTS or kind == "refusal":
        text = block.get("refusal" if kind == "refusal" else "text")
        tally.add_text(f"{text or ''}{padding}")
        return
    count = _COUNTS.get(kind)
    body = block if kind in _FLAT_PARTS else block.get(kind)
    if kind == "image_url" and not isinstance(body, Mapping):
        body = {"url": body}
    if count is None or not isinstance(body, Mapping):
        add_unknown(tally, kind, part)
        return
    count(tally, body)


def _without_blobs(value: object) -> object:
    """Leave out what is surely data and not text: a long string without a space."""
    if isinstance(value, str):
        return "" if len(value) > _MAX_BLOB_CHARS and " " not in value else value
    if isinstance(value, Mapping):
        return {key: _without_blobs(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_without_blobs(item) for item in value]
    return value


def _add_image(tally: Tally, image: Json) -> None:
    detail = image.get("detail")
    url = image.get("image_url", image.get("url", ""))
    content = split_data_url(str(url))
    size_px = None if content is None else image_size_px(content[1])
    tally.add_image(size_px, detail if isinstance(detail, str) and detail in DETAILS else "auto")


def _add_audio(tally: Tally, body: Json) -> None:
    data = decode_base64(str(body.get("data", ""))) or b""
    shortest_s, longest_s = audio_bounds_s(data, str(body.get("format")))
    tokens = audio_tokens(longest_s)
    tally.add_audio(
        tokens,
        "tokens of audio in chat are assumed to be those of the Realtime API",
        low=audio_tokens(shortest_s) // _AUDIO_DOUBT,
        high=tokens * _AUDIO_DOUBT,
    )


def _add_file(tally: Tally, body: Json) -> None:
    content = split_data_url(str(body.get("file_data", "")))
    if content is None:
        tally.no_limit("a file given by its id or address is not counted: its content is not known")
        return
    tally.add_text(body.get("filename"))
    file = file_tokens(*content)
    tally.add_text(file.text)
    page, largest = (image_bound(tally.model, detail).tokens for detail in ("high", "auto"))
    tally.add(
        file.text_tokens + file.pages * page,
        _FILE_NOTE,
        low=0,
        high=file.text_tokens * _PDF_DOUBT + file.pages * largest,
    )
    if not file.limited:
        tally.no_limit("how much text a document holds cannot be told from its size")


_COUNTS = {
    "image_url": _add_image,
    "input_image": _add_image,
    "computer_screenshot": _add_image,
    "input_audio": _add_audio,
    "file": _add_file,
    "input_file": _add_file,
}
_FLAT_PARTS = frozenset({"input_image", "computer_screenshot", "input_file"})
