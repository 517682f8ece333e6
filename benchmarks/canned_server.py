"""A canned OpenAI server: raw bytes over a loopback socket, nothing computed per request.

`POST /v1/chat/completions` answers with one JSON body; with `"stream": true` in the request it
answers with a server-sent event stream, one event per HTTP chunk, as the real API frames it. The
number of content events stands in the path: `http://127.0.0.1:PORT/chunks-500/v1`.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
from functools import lru_cache
from typing import Final

WORD: Final = "token "
MODEL: Final = "gpt-6-luna"
_CHUNKS: Final = re.compile(rb"/chunks-(\d+)/")
_LENGTH: Final = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_STREAMS: Final = re.compile(rb'"stream": ?true')
_COMMON: Final[dict[str, object]] = {
    "id": "chatcmpl-CannedAnswer0000000000000",
    "created": 1_790_000_000,
    "model": MODEL,
    "service_tier": "default",
    "system_fingerprint": "fp_canned",
}


def _usage(output_tokens: int) -> dict[str, object]:
    return {
        "prompt_tokens": 20,
        "completion_tokens": output_tokens,
        "total_tokens": 20 + output_tokens,
        "prompt_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": 0,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }


def _http_head(content_type: bytes, framing: bytes) -> bytes:
    return (
        b"HTTP/1.1 200 OK\r\nContent-Type: " + content_type + b"\r\n"
        b"x-request-id: req_canned\r\nopenai-processing-ms: 5\r\n"
        b"x-ratelimit-remaining-requests: 9999\r\n" + framing + b"\r\n\r\n"
    )


@lru_cache
def plain_answer(words: int) -> bytes:
    """The whole HTTP response of a call that does not stream."""
    message: dict[str, object] = {
        "role": "assistant",
        "content": WORD * words,
        "refusal": None,
        "annotations": [],
    }
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
    answer = {**_COMMON, "object": "chat.completion", "choices": [choice], "usage": _usage(words)}
    body = json.dumps(answer).encode()
    return _http_head(b"application/json", b"Content-Length: %d" % len(body)) + body


def _event(choices: list[dict[str, object]], usage: dict[str, object] | None = None) -> bytes:
    chunk = {
        **_COMMON,
        "object": "chat.completion.chunk",
        "choices": choices,
        "usage": usage,
        "obfuscation": "a8Jx2",
    }
    return b"data: " + json.dumps(chunk, separators=(",", ":")).encode() + b"\n\n"


def _choice(delta: dict[str, object], finish_reason: str | None = None) -> dict[str, object]:
    return {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}


@lru_cache
def streamed_answer(words: int) -> bytes:
    """The whole HTTP response of a stream with `words` content events."""
    events = [
        _event([_choice({"role": "assistant", "content": "", "refusal": None})]),
        *[_event([_choice({"content": WORD})])] * words,
        _event([_choice({}, "stop")]),
        _event([], _usage(words)),
        b"data: [DONE]\n\n",
    ]
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(event), event) for event in events)
    head = _http_head(b"text/event-stream; charset=utf-8", b"Transfer-Encoding: chunked")
    return head + chunks + b"0\r\n\r\n"


class CannedConnection(asyncio.Protocol):
    """One keep-alive connection: reads whole requests, writes canned bytes."""

    def __init__(self) -> None:
        """Start with nothing read."""
        self._read = bytearray()
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport to answer on."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Answer every request that is complete by now."""
        self._read += data
        while (request := self._next_request()) is not None:
            assert self._transport is not None
            self._transport.write(_answer(request))

    def _next_request(self) -> bytes | None:
        head_end = self._read.find(b"\r\n\r\n")
        if head_end < 0:
            return None
        length = _LENGTH.search(self._read, 0, head_end + 2)
        end = head_end + 4 + (int(length[1]) if length else 0)
        if len(self._read) < end:
            return None
        request = bytes(self._read[:end])
        del self._read[:end]
        return request


def _answer(request: bytes) -> bytes:
    found = _CHUNKS.search(request, 0, request.find(b"\r\n"))
    words = int(found[1]) if found else 20
    return streamed_answer(words) if _STREAMS.search(request) else plain_answer(words)


async def _serve() -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(CannedConnection, "127.0.0.1", 0, backlog=2048)
    print(server.sockets[0].getsockname()[1], flush=True)
    # The parent holds our standard input open: when it ends, for whatever reason, so do we.
    await loop.run_in_executor(None, sys.stdin.read)
    server.close()


if __name__ == "__main__":
    asyncio.run(_serve())
