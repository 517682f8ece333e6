"""Rules about the messages of a request as they stand on the wire: names, ids, parts, formats."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from langchain_tamma_openai.checks import shown

if TYPE_CHECKING:
    from langchain_tamma_openai.lint import LintRequest, Problem

_NAME = re.compile(r"[^\s<|\\/>]{1,64}")
_FUNCTION_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_IMAGE_URL = re.compile(r"https?://\S|data:image/(?:png|jpe?g|gif|webp);base64,[A-Za-z0-9+/]")
_DETAILS = ("auto", "low", "high", "original")
_AUDIO_FORMATS = ("wav", "mp3")
_MAX_ID_CHARS = {"messages": 40, "input": 64}
_CHAT_PARTS: Mapping[str, frozenset[str]] = {
    "user": frozenset({"text", "image_url", "input_audio", "file"}),
    "assistant": frozenset({"text", "refusal"}),
    "system": frozenset({"text"}),
    "developer": frozenset({"text"}),
    "tool": frozenset({"text"}),
}
_FORMATS = ("text", "json_object", "json_schema")


def message_problems(request: LintRequest) -> Iterator[Problem]:
    """Find what is wrong with the messages and the response format of a request."""
    for index, entry in enumerate(request.entries):
        where = f"{request.container}[{index}]"
        yield from _name(entry, where)
        yield from _ids(entry, where, _MAX_ID_CHARS[request.container])
        yield from _content(request, entry, where)
    yield from _response_format(request)


def _problem(where: str, code: str, message: str, remedy: str) -> Problem:
    from langchain_tamma_openai.lint import Problem

    return Problem(where, code, message, remedy)


# --- names and ids ---------------------------------------------------------------------------


def _name(entry: Mapping[str, object], where: str) -> Iterator[Problem]:
    name = entry.get("name")
    if name is None or "role" not in entry:
        return
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        yield _problem(
            f"{where}.name",
            "invalid_name",
            f"got {shown(name)}, must be 1 to 64 characters without spaces, '<', '|', '\\', '/', "
            "'>'",
            "rename the speaker, or leave the name out",
        )


def _ids(entry: Mapping[str, object], where: str, limit: int) -> Iterator[Problem]:
    calls = entry.get("tool_calls")
    for place, call in enumerate(calls if isinstance(calls, list | tuple) else ()):
        if isinstance(call, Mapping):
            inside = f"{where}.tool_calls[{place}]"
            yield from _too_long(call.get("id"), f"{inside}.id", limit)
            yield from _function_name(call.get("function"), f"{inside}.function.name")
    for name in ("tool_call_id", "call_id"):
        yield from _too_long(entry.get(name), f"{where}.{name}", limit)
    if entry.get("type") == "function_call":
        yield from _function_name(entry, f"{where}.name")


def _too_long(value: object, where: str, limit: int) -> Iterator[Problem]:
    if isinstance(value, str) and len(value) > limit:
        yield _problem(
            where,
            "too_long",
            f"the id has {len(value)} characters, at most {limit} are allowed",
            "give the call and its result a shorter id",
        )


def _function_name(function: object, where: str) -> Iterator[Problem]:
    name = function.get("name") if isinstance(function, Mapping) else None
    if name is not None and not (isinstance(name, str) and _FUNCTION_NAME.fullmatch(name)):
        yield _problem(
            where,
            "invalid_name",
            f"got {shown(name)}, must be 1 to 64 letters, digits, '_' or '-'",
            "correct the name of the call in the history",
        )


# --- content parts ---------------------------------------------------------------------------


def _content(request: LintRequest, entry: Mapping[str, object], where: str) -> Iterator[Problem]:
    content = entry.get("content")
    if not isinstance(content, list | tuple):
        return
    for place, part in enumerate(content):
        if not isinstance(part, Mapping):
            continue
        inside = f"{where}.content[{place}]"
        if request.api == "chat_completions":
            yield from _part_type(entry, part, inside)
        yield from _image(part, inside)
        yield from _audio(part, inside)
        yield from _file(part, inside)


def _part_type(
    entry: Mapping[str, object], part: Mapping[str, object], where: str
) -> Iterator[Problem]:
    allowed = _CHAT_PARTS.get(str(entry.get("role")))
    kind = part.get("type")
    if allowed is None or kind in allowed:
        return
    yield _problem(
        where,
        "invalid_part",
        f"a {entry.get('role')} message takes no part of type {kind!r}",
        f"use {', '.join(sorted(allowed))}; pictures, sound and files belong in user messages",
    )


def _image(part: Mapping[str, object], where: str) -> Iterator[Problem]:
    if part.get("type") not in ("image_url", "input_image"):
        return
    body = part.get("image_url")
    holder = body if isinstance(body, Mapping) else part
    url = body.get("url") if isinstance(body, Mapping) else body
    if url is None and part.get("file_id"):
        return
    if not isinstance(url, str) or not _IMAGE_URL.match(url):
        yield _problem(
            where,
            "invalid_image_url",
            f"got {shown(url)}, no http(s) URL and no base64 data URL of a PNG, JPEG, GIF or WebP",
            "pass such a URL, or an image block with base64 and mime_type",
        )
    detail = holder.get("detail")
    if detail is not None and detail not in _DETAILS:
        yield _problem(
            where,
            "unsupported_value",
            f"got detail {shown(detail)}, must be one of {', '.join(_DETAILS)}",
            "use 'auto', or leave it out",
        )


def _audio(part: Mapping[str, object], where: str) -> Iterator[Problem]:
    audio = part.get("input_audio")
    if part.get("type") != "input_audio" or not isinstance(audio, Mapping):
        return
    if audio.get("format") not in _AUDIO_FORMATS:
        yield _problem(
            where,
            "unsupported_value",
            f"got audio of format {shown(audio.get('format'))}, must be wav or mp3",
            "convert the sound",
        )


def _file(part: Mapping[str, object], where: str) -> Iterator[Problem]:
    file = part.get("file")
    if part.get("type") != "file" or not isinstance(file, Mapping):
        return
    if not file.get("file_id") and not file.get("file_data"):
        yield _problem(
            where, "missing", "the file has neither file_id nor file_data", "pass one of them"
        )


# --- response format -------------------------------------------------------------------------


def _response_format(request: LintRequest) -> Iterator[Problem]:
    where, wanted = _format(request)
    if not isinstance(wanted, Mapping):
        return
    kind = wanted.get("type")
    if kind not in _FORMATS:
        yield _problem(
            where,
            "unsupported_value",
            f"got type {shown(kind)}, must be one of {', '.join(_FORMATS)}",
            "use with_structured_output, which makes the format",
        )
    elif kind == "json_object":
        yield from _json_word(request, where)
    elif kind == "json_schema":
        holder = wanted.get("json_schema") if request.api == "chat_completions" else wanted
        yield from _schema(request, holder, where)


def _format(request: LintRequest) -> tuple[str, object]:
    if request.api == "chat_completions":
        return "response_format", request.payload.get("response_format")
    text = request.payload.get("text")
    return "text.format", text.get("format") if isinstance(text, Mapping) else None


def _json_word(request: LintRequest, where: str) -> Iterator[Problem]:
    from langchain_tamma_openai.lint_context import texts

    if any(request.payload.get(name) for name in ("previous_response_id", "conversation")):
        return
    if request.payload.get("prompt"):
        return
    said = [request.payload.get(request.container), request.payload.get("instructions")]
    if any("json" in text.lower() for text in texts(said)):
        return
    yield _problem(
        where,
        "json_word_missing",
        "JSON mode needs the word 'json' somewhere in the messages",
        "ask for JSON in a message, or use a JSON schema (with_structured_output)",
    )


def _schema(request: LintRequest, holder: object, where: str) -> Iterator[Problem]:
    info = request.info
    if info.known and "structured_output" not in info.capabilities:
        yield _problem(
            where,
            "unsupported_value",
            f"{request.model} takes no JSON schema",
            "use with_structured_output(method='function_calling'), or another model",
        )
    name = holder.get("name") if isinstance(holder, Mapping) else None
    if not isinstance(name, str) or not _FUNCTION_NAME.fullmatch(name):
        yield _problem(
            f"{where}.name",
            "invalid_name",
            f"got {shown(name)}, must be 1 to 64 letters, digits, '_' or '-'",
            "name the schema",
        )
    if not isinstance(holder, Mapping) or not isinstance(holder.get("schema"), Mapping):
        yield _problem(f"{where}.schema", "missing", "there is no schema", "pass a JSON schema")
