"""Counting the input of a Chat Completions request: messages, tools and response format.

The formula for messages is OpenAI's own (cookbook, "How to count tokens with tiktoken"); the one
for tools was inferred from billed counts, see `tokens_tools`. What neither covers is estimated, and
the tally says so.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from langchain_tamma_openai.tokens_encodings import base_model_name, encode, encoding_for_model
from langchain_tamma_openai.tokens_images import DETAILS, count_image, image_bound
from langchain_tamma_openai.tokens_media import (
    audio_seconds,
    audio_tokens,
    decode_base64,
    file_tokens,
    image_size_px,
    split_data_url,
)
from langchain_tamma_openai.tokens_tools import functions_prompt

Json = Mapping[str, Any]

_REPLY_TOKENS = 3  # every reply is primed with the assistant's role
_MESSAGE_TOKENS = 3
_NAME_TOKENS = 1
_OLDEST_MODEL = "gpt-3.5-turbo-0301"  # one more for each message; a name replaces the role
_OLDEST_MESSAGE_TOKENS = 4
_OLDEST_NAME_TOKENS = -1
_FUNCTION_CALL_TOKENS = 3
_FUNCTION_ROLE_TOKENS = -2
_TOOL_CALL_ID_TOKENS = 3  # not documented
_TOOLS_TOKENS = 9
_TOOLS_BESIDE_SYSTEM_TOKENS = -4
_TOOL_CHOICE_NONE_TOKENS = 1
_FORCED_TOOL_TOKENS = 4
_RESPONSE_FORMAT_TOKENS = 12  # a guess: the schema comes with a heading
_SYSTEM_ROLES = ("system", "developer")
_TOOLS_KNOWN_FOR = re.compile(r"(gpt-3\.5-turbo|gpt-4|gpt-4o|gpt-4o-mini)(-[\d-]+)?$")
_MAX_BLOB_CHARS = 4_000


class Tally:
    """Adds up the tokens of one request and remembers what had to be estimated."""

    def __init__(self, model: str) -> None:
        """Start at zero.

        Args:
            model: Any model id.
        """
        choice = encoding_for_model(model)
        self.model = model
        self.tokens = 0
        self.notes: dict[str, None] = {}  # a set that keeps its order
        self._encoding_name = choice.name
        if choice.assumed:
            self.note(f"the tokenizer of {model} is not published: counted with {choice.name}")

    def add(self, tokens: int, note: str | None = None) -> None:
        """Add tokens, and say what they rest on when that is not certain."""
        self.tokens += tokens
        if note is not None:
            self.note(note)

    def note(self, text: str) -> None:
        """Remember a reason for which the number is an estimate."""
        self.notes[text] = None

    def text_tokens(self, text: str) -> int:
        """Count the tokens of a text without adding them."""
        return len(encode(text, self._encoding_name))

    def add_text(self, text: object) -> None:
        """Add the tokens of a text; what is no text counts as its JSON."""
        if text:
            written = text if isinstance(text, str) else json.dumps(text, default=str)
            self.tokens += self.text_tokens(written)

    def add_image(self, size_px: tuple[int, int] | None, detail: str) -> None:
        """Add an image, by its upper bound when its size is not known."""
        if size_px is None:
            self.note("an image of unknown size is counted at its upper bound; none is fetched")
            image = image_bound(self.model, detail)
        else:
            image = count_image(*size_px, self.model, detail)
        self.add(image.tokens, image.assumption)


def add_messages(tally: Tally, messages: Sequence[Json], *, beside_tools: bool = False) -> None:
    """Count messages in the form of Chat Completions, and the start of the reply.

    Args:
        tally: Where to add.
        messages: JSON messages.
        beside_tools: The request has tools; they change what the first system message costs.
    """
    padded = not beside_tools
    for message in messages:
        pad = not padded and message.get("role") in _SYSTEM_ROLES
        padded = padded or pad
        _add_message(tally, message, "\n" if pad else "")
    if beside_tools and any(message.get("role") in _SYSTEM_ROLES for message in messages):
        tally.add(_TOOLS_BESIDE_SYSTEM_TOKENS)
    tally.add(_REPLY_TOKENS)


def add_tools(tally: Tally, tools: Sequence[Json], tool_choice: object = None) -> None:
    """Count tools in the form of Chat Completions.

    Args:
        tally: Where to add.
        tools: JSON tools; anything but functions is counted by its JSON, as an estimate.
        tool_choice: As in the request: a word, or a dict that names the tool to call.
    """
    functions = [tool["function"] for tool in tools if isinstance(tool.get("function"), Mapping)]
    others = [tool for tool in tools if not isinstance(tool.get("function"), Mapping)]
    if functions:
        tally.add_text(functions_prompt(functions))
        tally.add(_TOOLS_TOKENS)
    for tool in others:
        tally.note("tools other than functions are counted by their JSON")
        tally.add_text(tool)
    if not _TOOLS_KNOWN_FOR.match(base_model_name(tally.model)):
        tally.note(f"how {tally.model} is shown its tools is not documented")
    _add_tool_choice(tally, tool_choice)


def add_response_format(tally: Tally, response_format: Json) -> None:
    """Estimate what a structured-output schema costs: its JSON and a heading.

    Args:
        tally: Where to add.
        response_format: As in the request; only `json_schema` costs anything.
    """
    schema = response_format.get("json_schema")
    if not isinstance(schema, Mapping):
        return
    tally.note("how a response format is shown to the model is not documented")
    tally.add_text(schema.get("name"))
    tally.add_text(schema.get("description"))
    tally.add_text(json.dumps(schema.get("schema", {}), separators=(",", ":"), default=str))
    tally.add(_RESPONSE_FORMAT_TOKENS)


def _add_tool_choice(tally: Tally, tool_choice: object) -> None:
    if tool_choice == "none":
        tally.add(_TOOL_CHOICE_NONE_TOKENS)
    elif isinstance(tool_choice, Mapping):
        function = tool_choice.get("function", tool_choice)
        name = function.get("name") if isinstance(function, Mapping) else None
        tally.add_text(name)
        tally.add(_FORCED_TOOL_TOKENS)


def _add_message(tally: Tally, message: Json, padding: str) -> None:
    oldest = tally.model.startswith(_OLDEST_MODEL)
    tally.add(_OLDEST_MESSAGE_TOKENS if oldest else _MESSAGE_TOKENS)
    tally.add_text(message.get("role"))
    _add_content(tally, message.get("content"), padding)
    tally.add_text(message.get("refusal"))
    if message.get("name"):
        tally.add_text(message["name"])
        tally.add(_OLDEST_NAME_TOKENS if oldest else _NAME_TOKENS)
    if message.get("role") == "function":
        tally.add(_FUNCTION_ROLE_TOKENS)
    if "tool_call_id" in message:
        tally.add(_TOOL_CALL_ID_TOKENS, "tokens of tool results are not documented")
    if message.get("audio"):
        tally.note("an earlier spoken answer is not counted: its length is not known here")
    _add_calls(tally, message)


def _add_calls(tally: Tally, message: Json) -> None:
    call = message.get("function_call")
    if isinstance(call, Mapping):
        tally.add(_FUNCTION_CALL_TOKENS)
        tally.add_text(call.get("name"))
        tally.add_text(call.get("arguments"))
    for tool_call in message.get("tool_calls") or ():
        body = tool_call.get(tool_call.get("type", "function")) or {}
        tally.note("tokens of tool calls are not documented")
        tally.add_text(body.get("name"))
        tally.add_text(body.get("arguments", body.get("input")))


def _add_content(tally: Tally, content: object, padding: str) -> None:
    if not isinstance(content, list):
        tally.add_text(f"{content}{padding}" if isinstance(content, str) else content)
        return
    for part in content:
        _add_part(tally, part, padding)
        padding = ""


def _add_part(tally: Tally, part: object, padding: str) -> None:
    """Count one content part; the padding belongs to the text of a system message."""
    if isinstance(part, str):
        tally.add_text(part + padding)
        return
    block: Json = part if isinstance(part, Mapping) else {}
    kind = str(block.get("type"))
    body = block.get(kind)
    if kind in {"text", "refusal"}:
        tally.add_text(f"{body or ''}{padding}")
    elif kind == "image_url":
        _add_image_url(tally, body)
    elif kind == "input_audio" and isinstance(body, Mapping):
        _add_audio(tally, body)
    elif kind == "file" and isinstance(body, Mapping):
        _add_file(tally, body)
    else:
        tally.note(f"content of type {kind} is counted by the text in it")
        tally.add_text(_without_blobs(part))


def _without_blobs(value: object) -> object:
    """Leave out what is surely data and not text: a long string without a space."""
    if isinstance(value, str):
        return "" if len(value) > _MAX_BLOB_CHARS and " " not in value else value
    if isinstance(value, Mapping):
        return {key: _without_blobs(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_without_blobs(item) for item in value]
    return value


def _add_image_url(tally: Tally, body: object) -> None:
    image: Json = body if isinstance(body, Mapping) else {"url": body}
    detail = image.get("detail")
    content = split_data_url(str(image.get("url", "")))
    size_px = None if content is None else image_size_px(content[1])
    tally.add_image(size_px, detail if detail in DETAILS else "auto")


def _add_audio(tally: Tally, body: Json) -> None:
    tally.note("tokens of audio in chat are assumed to be those of the Realtime API")
    data = decode_base64(str(body.get("data", ""))) or b""
    tally.add(audio_tokens(audio_seconds(data, str(body.get("format")))))


def _add_file(tally: Tally, body: Json) -> None:
    content = split_data_url(str(body.get("file_data", "")))
    if content is None:
        tally.note("a file given by its id is not counted: its content is not known here")
        return
    tally.note("tokens of files are not documented: text and pages are estimated")
    file = file_tokens(*content)
    tally.add_text(body.get("filename"))
    tally.add_text(file.text)
    tally.add(file.text_tokens + file.pages * image_bound(tally.model).tokens)
