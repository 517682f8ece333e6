"""A canned OpenAI server: raw bytes over a loopback socket, nothing computed per request.

`POST .../v1/chat/completions` and `POST .../v1/responses` answer with one JSON body, or with a
server-sent event stream when the request says `"stream": true`, one event per HTTP chunk, as the
real API frames it. What the answer holds stands in the path:

    http://127.0.0.1:PORT/v1                 20 words
    http://127.0.0.1:PORT/chunks-500/v1      500 words, a streamed event each
    http://127.0.0.1:PORT/tools-4x100/v1     4 parallel tool calls, 100 pieces of arguments each

`/langsmith` takes runs as LangSmith does and forgets them.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
from functools import lru_cache
from typing import Final

from canned_completions import plain_completion, streamed_completion, streamed_tool_calls
from canned_responses import plain_response, streamed_response, streamed_response_calls

_CHUNKS: Final = re.compile(rb"/chunks-(\d+)/")
_TOOLS: Final = re.compile(rb"/tools-(\d+)x(\d+)/")
_LENGTH: Final = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_CHUNKED: Final = re.compile(rb"\r\ntransfer-encoding: *chunked", re.IGNORECASE)
_STREAMS: Final = re.compile(rb'"stream": ?true')
_LAST_CHUNK: Final = b"0\r\n\r\n"
_LANGSMITH_INFO: Final = {
    "version": "0.15.0",
    "batch_ingest_config": {
        "use_multipart_endpoint": True,
        "scale_up_qsize_trigger": 1000,
        "scale_up_nthreads_limit": 16,
        "scale_down_nempty_trigger": 4,
        "size_limit": 100,
        "size_limit_bytes": 20_971_520,
    },
    "instance_flags": {"zstd_compression_enabled": True},
}


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
        end = self._end_of_request(head_end)
        if len(self._read) < end:
            return None
        request = bytes(self._read[:end])
        del self._read[:end]
        return request

    def _end_of_request(self, head_end: int) -> int:
        if _CHUNKED.search(self._read, 0, head_end + 2):
            last = self._read.find(_LAST_CHUNK, head_end + 2)
            return len(self._read) + 1 if last < 0 else last + len(_LAST_CHUNK)
        length = _LENGTH.search(self._read, 0, head_end + 2)
        return head_end + 4 + (int(length[1]) if length else 0)


def _answer(request: bytes) -> bytes:
    line = request[: request.find(b"\r\n")]
    if b"/langsmith/" in line:
        return _langsmith_answer()
    return canned(line, streams=_STREAMS.search(request) is not None)


@lru_cache
def canned(line: bytes, *, streams: bool) -> bytes:
    """Give the whole HTTP response to a request.

    Args:
        line: The request line.
        streams: Whether the request asks for a stream.
    """
    is_responses = b"/responses " in line
    if tools := _TOOLS.search(line):
        calls = streamed_response_calls if is_responses else streamed_tool_calls
        return calls(int(tools[1]), int(tools[2]))
    found = _CHUNKS.search(line)
    words = int(found[1]) if found else 20
    if streams:
        return streamed_response(words) if is_responses else streamed_completion(words)
    return plain_response(words) if is_responses else plain_completion(words)


@lru_cache
def _langsmith_answer() -> bytes:
    body = json.dumps(_LANGSMITH_INFO).encode()
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
    return head % len(body) + body


async def _serve() -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(CannedConnection, "127.0.0.1", 0, backlog=2048)
    print(server.sockets[0].getsockname()[1], flush=True)
    # The parent holds our standard input open: when it ends, for whatever reason, so do we.
    await loop.run_in_executor(None, sys.stdin.read)
    server.close()


if __name__ == "__main__":
    asyncio.run(_serve())
