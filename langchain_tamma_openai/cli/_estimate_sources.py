"""What `estimate` counts: requests out of files, directories and standard input, one at a time."""

from __future__ import annotations

import codecs
import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from itertools import islice
from pathlib import Path
from typing import Any, Literal

from langchain_tamma_openai.cli._errors import CommandError

STDIN = Path("-")
_LINE_SUFFIXES = frozenset({".jsonl", ".ndjson"})
_ENDPOINTS = ("/v1/chat/completions", "/v1/responses")
_LOOKED_AT_LINES = 20
_LOOKED_AT_BYTES = 8192
_WIDE = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)

Json = Mapping[str, Any]
Kind = Literal["text", "requests"]


@dataclass(frozen=True, slots=True)
class Request:
    """One request to estimate.

    Attributes:
        path: Where it stands.
        kind: Whether the file is a text to send, or holds requests.
        payload: Its body.
        file_bytes: Size of what was read for it.
    """

    path: Path
    kind: Kind
    payload: Json
    file_bytes: int


@dataclass(frozen=True, slots=True)
class Skipped:
    """Something that is not counted.

    Attributes:
        path: Where it stands.
        reason: Why.
        line: Line of the file, from 1; None for the whole file.
        file_bytes: Size of what was passed over.
    """

    path: Path
    reason: str
    line: int | None = None
    file_bytes: int = 0

    def __str__(self) -> str:
        """Say it in one line."""
        return f"{self.path}{'' if self.line is None else f', line {self.line}'}: {self.reason}"


Item = Request | Skipped


def files_of(paths: Sequence[Path], pattern: str | None) -> list[Path]:
    """List the files under paths, in order and each once; hidden ones only where they are named.

    Args:
        paths: Files and directories; `-` for standard input.
        pattern: Names of files in directories must match it, such as `*.md`.

    Raises:
        CommandError: A path does not exist.
    """
    found: dict[Path, None] = {}
    for path in paths:
        if path != STDIN and not path.exists():
            raise CommandError(f"{path}: there is no such file or directory")
        for file in _below(path, pattern) if path.is_dir() else (path,):
            found[file] = None
    return list(found)


def _below(root: Path, pattern: str | None) -> Iterator[Path]:
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            if not name.startswith(".") and fnmatch(name, pattern or "*"):
                yield Path(folder) / name


def size_of(files: Sequence[Path]) -> int:
    """Add up the sizes of files, in bytes; those that cannot be asked count nothing.

    Args:
        files: The files.
    """
    return sum(path.stat().st_size for path in files if path.is_file())


def items_of(path: Path) -> Iterator[Item]:
    """Read the requests of a file.

    A file of JSON lines holds requests where one of its first lines is one, and a `.json` file
    where it is one or a list of them: bodies, or lines of the Batch API. Any other file is one
    text to send.

    Args:
        path: The file; `-` for standard input.
    """
    try:
        if path == STDIN:
            yield from _whole(path, sys.stdin.buffer.read())
        elif not path.is_file():
            yield Skipped(path, "is not a regular file")
        elif path.suffix.lower() in _LINE_SUFFIXES and _holds_requests(path):
            yield from _lines(path)
        else:
            yield from _whole(path, path.read_bytes())
    except OSError as error:
        yield Skipped(path, f"cannot be read ({error.strerror or error})")


def _holds_requests(path: Path) -> bool:
    with path.open("rb") as file:
        return any(_body(_parsed(line)) is not None for line in islice(file, _LOOKED_AT_LINES))


def _lines(path: Path) -> Iterator[Item]:
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if line.strip():
                yield _line(path, number, line)


def _line(path: Path, number: int, line: bytes) -> Item:
    parsed = _parsed(line)
    body = _body(parsed)
    if body is not None:
        return Request(path, "requests", body, len(line))
    return Skipped(path, _why_no_request(parsed), number, len(line))


def _why_no_request(parsed: object) -> str:
    if parsed is None:
        return "is no JSON"
    if isinstance(parsed, dict) and isinstance(parsed.get("url"), str) and "body" in parsed:
        return f"asks {parsed['url']}, and only {' and '.join(_ENDPOINTS)} are estimated"
    return (
        "is neither a request body (with `messages`, or `model` and `input`) nor a line of the "
        "Batch API"
    )


def _whole(path: Path, content: bytes) -> Iterator[Item]:
    if path.suffix.lower() == ".json" and (bodies := _bodies(_parsed(content))):
        for body in bodies:
            yield Request(path, "requests", body, len(content) // len(bodies))
        return
    text = _text(content)
    if text is None:
        yield Skipped(path, "is binary, or text in another encoding than UTF-8", None, len(content))
    elif not text.strip():
        yield Skipped(path, "is empty", None, len(content))
    else:
        payload = {"messages": [{"role": "user", "content": text}]}
        yield Request(path, "text", payload, len(content))


def _text(content: bytes) -> str | None:
    """Decode a text; None where it is none."""
    wide = content.startswith(_WIDE)
    if b"\0" in content[:_LOOKED_AT_BYTES] and not wide:
        return None
    try:
        return content.decode("utf-16" if wide else "utf-8-sig")
    except UnicodeDecodeError:
        return None


def _parsed(content: bytes) -> object:
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        return None


def _bodies(parsed: object) -> list[Json]:
    found = parsed if isinstance(parsed, list) else [parsed]
    bodies = [body for one in found if (body := _body(one)) is not None]
    return bodies if len(bodies) == len(found) else []


def _body(parsed: object) -> Json | None:
    """Find the body of a request, alone or in a line of the Batch API."""
    if not isinstance(parsed, dict):
        return None
    if "body" in parsed and ("custom_id" in parsed or "url" in parsed):
        inner = parsed["body"]
        return _body(inner) if parsed.get("url") in {None, *_ENDPOINTS} else None
    is_body = isinstance(parsed.get("messages"), list) or (
        "model" in parsed and isinstance(parsed.get("input"), str | list)
    )
    return parsed if is_body else None
