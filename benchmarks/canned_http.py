"""HTTP responses and event streams as raw bytes."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Final

_WORDS: Final = ("token ", "model ", "price ", "count ")
MODEL: Final = "gpt-6-luna"
CREATED: Final = 1_790_000_000


def words_of(number: int) -> list[str]:
    """Give so many words; no two in a row are the same, which some libraries take for a loop."""
    return [_WORDS[at % len(_WORDS)] for at in range(number)]


def _head(content_type: bytes, framing: bytes) -> bytes:
    return (
        b"HTTP/1.1 200 OK\r\nContent-Type: " + content_type + b"\r\n"
        b"x-request-id: req_canned\r\nopenai-processing-ms: 5\r\n"
        b"x-ratelimit-remaining-requests: 9999\r\n" + framing + b"\r\n\r\n"
    )


def json_answer(answer: Mapping[str, object]) -> bytes:
    """Frame a JSON body."""
    body = json.dumps(answer).encode()
    return _head(b"application/json", b"Content-Length: %d" % len(body)) + body


def event(data: Mapping[str, object], name: str | None = None) -> bytes:
    """Write one server-sent event, with its name where the API gives it one."""
    named = b"event: " + name.encode() + b"\n" if name else b""
    return named + b"data: " + json.dumps(data, separators=(",", ":")).encode() + b"\n\n"


def stream_answer(events: Iterable[bytes]) -> bytes:
    """Frame events as one HTTP chunk each."""
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(each), each) for each in events)
    head = _head(b"text/event-stream; charset=utf-8", b"Transfer-Encoding: chunked")
    return head + chunks + b"0\r\n\r\n"


def argument_pieces(number: int) -> list[str]:
    """Cut JSON arguments into pieces of six letters between their opening and closing."""
    return ['{"text":"', *["tokens"] * number, '"}']
