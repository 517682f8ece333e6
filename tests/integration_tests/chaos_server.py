"""A fast server that fails at random, the same way for the same seed; a process of its own.

Every prompt begins with the number of its call. What happens to the n-th request of a call depends
on the seed, the call and n alone, so that a run can be repeated. `GET /counts` tells how many
requests each call has made.
"""

from __future__ import annotations

import asyncio
import json
import random
import re
import socket
import struct
import sys
from collections import Counter

ERRORS = 0.20
BREAKS = 0.05
_CALL = re.compile(rb"call (\d+):")
_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
_HEAD = {"id": "c1", "created": 1_790_000_000, "model": "gpt-6-luna"}
_PLAIN_ERRORS = ("429", "500", "502", "503", "504", "408", "409", "reset", "garbage")
_BREAKS = ("truncate", "reset", "corrupt", "error event")
WORDS = ("The ", "sea ", "is ", "wide ", "and ", "deep, ", "and ", "nobody ", "knows ")
TEXT = "".join(WORDS)


def _response(status: int, body: bytes, *headers: str, kind: str = "application/json") -> bytes:
    lines = [f"HTTP/1.1 {status} X", f"content-type: {kind}", f"content-length: {len(body)}"]
    return "\r\n".join([*lines, *headers, "", ""]).encode() + body


def _error(status: int) -> bytes:
    error = {"message": "No.", "type": "server_error", "code": None, "param": None}
    headers = ("retry-after-ms: 4",) if status == 429 else ()
    return _response(status, json.dumps({"error": error}).encode(), *headers)


def _plain(*, by_responses: bool) -> bytes:
    if by_responses:
        return _response(200, json.dumps(_whole("completed")).encode())
    message = {"role": "assistant", "content": TEXT}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    usage = {"prompt_tokens": 9, "completion_tokens": 9, "total_tokens": 18}
    body = {**_HEAD, "object": "chat.completion", "choices": [choice], "usage": usage}
    return _response(200, json.dumps(body).encode())


def _whole(status: str) -> dict[str, object]:
    part = {"type": "output_text", "text": TEXT, "annotations": []}
    item = {"id": "m1", "type": "message", "role": "assistant", "status": status, "content": [part]}
    usage = {"input_tokens": 9, "output_tokens": 9, "total_tokens": 18}
    output = [item] if status == "completed" else []
    whole = {"id": "r1", "object": "response", "created_at": 1_790_000_000, "model": "gpt-6-luna"}
    return {**whole, "status": status, "output": output, "usage": usage, "error": None}


def _event(body: dict[str, object]) -> bytes:
    return b"data: " + json.dumps(body).encode() + b"\n\n"


def _completions_events() -> list[bytes]:
    def event(delta: dict[str, str], reason: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "finish_reason": reason}
        return _event({**_HEAD, "object": "chat.completion.chunk", "choices": [choice]})

    words = [event({"content": word}) for word in WORDS]
    return [event({"role": "assistant", "content": ""}), *words, event({}, "stop")]


def _responses_events() -> list[bytes]:
    at = {"output_index": 0, "content_index": 0, "item_id": "m1"}
    item = {"id": "m1", "type": "message", "role": "assistant", "content": []}
    bodies: list[dict[str, object]] = [
        {"type": "response.created", "response": _whole("in_progress")},
        {"type": "response.output_item.added", "output_index": 0, "item": item},
        *({"type": "response.output_text.delta", "delta": word, **at} for word in WORDS),
        {"type": "response.completed", "response": _whole("completed")},
    ]
    return [_event({**body, "sequence_number": number}) for number, body in enumerate(bodies)]


_DONE = b"data: [DONE]\n\n"
_STREAM_HEAD = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
)


def _chunked(events: list[bytes]) -> bytes:
    return b"".join(b"%x\r\n%s\r\n" % (len(event), event) for event in events)


_EVENTS = {False: [*_completions_events(), _DONE], True: _responses_events()}
_END = b"0\r\n\r\n"


class _Connection(asyncio.Protocol):
    """Answers the requests of one connection, one after the other."""

    def __init__(self, seed: int, counts: Counter[int]) -> None:
        self._seed = seed
        self._counts = counts
        self._data = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._data += data
        while (end := self._data.find(b"\r\n\r\n")) >= 0:
            head = self._data[:end]
            length = _LENGTH.search(head)
            whole = end + 4 + (int(length[1]) if length else 0)
            if len(self._data) < whole:
                return
            body, self._data = self._data[end + 4 : whole], self._data[whole:]
            self._answer(head, body)

    def _answer(self, head: bytes, body: bytes) -> None:
        if head.startswith(b"GET /counts"):
            self._transport.write(_response(200, json.dumps(self._counts).encode()))
            return
        found = _CALL.search(body)
        assert found is not None
        number = int(found[1])
        self._counts[number] += 1
        by_responses = b"/responses " in head
        chance = random.Random(f"{self._seed} {number} {self._counts[number]}")  # noqa: S311
        if chance.random() < ERRORS:
            self._fail(chance.choice(_PLAIN_ERRORS))
        elif b'"stream":true' not in body:
            self._transport.write(_plain(by_responses=by_responses))
        elif chance.random() < BREAKS:
            self._break(chance, _EVENTS[by_responses])
        else:
            events = _chunked(_EVENTS[by_responses])
            self._transport.write(_STREAM_HEAD + events + _END)

    def _fail(self, kind: str) -> None:
        if kind == "reset":
            self._reset()
        elif kind == "garbage":
            self._transport.write(_response(200, b"<html>oops</html>", kind="text/html"))
        else:
            self._transport.write(_error(int(kind)))

    def _break(self, chance: random.Random, events: list[bytes]) -> None:
        sent = events[: chance.randint(0, len(events) - 2)]
        self._transport.write(_STREAM_HEAD + _chunked(sent))
        match chance.choice(_BREAKS):
            case "truncate":
                self._transport.write(_END)
            case "corrupt":
                self._transport.write(_chunked([b'data: {"broken\n\n']) + _END)
            case "error event":
                event = _event({"error": {"message": "Oops.", "type": "server_error"}})
                self._transport.write(_chunked([event]) + _END)
            case _:
                self._reset()

    def _reset(self) -> None:
        """Hang up hard, once what was written is on its way."""
        sock = self._transport.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        asyncio.get_running_loop().call_later(0.001, self._transport.abort)


async def _serve(seed: int) -> None:
    counts: Counter[int] = Counter()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: _Connection(seed, counts), "127.0.0.1", 0)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await loop.run_in_executor(None, sys.stdin.readline)
    server.close()


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1])))
