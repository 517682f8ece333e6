"""A tiny real HTTP/1.1 server on the loopback interface that counts what clients do to it.

It answers as the API does, echoing the last message, or as a script says: piece by piece, with
pauses, silence and cut connections. Requests in absolute form (`POST http://host/path`) are
answered as a forward proxy would, `CONNECT` is refused.
"""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import Enum, auto
from pathlib import Path
from typing import Any, Self, TypeAlias, TypeVar

from langchain_tamma_openai import ChatTammaOpenAI

Json: TypeAlias = dict[str, Any]
Result = TypeVar("Result")


class Act(Enum):
    """What a server can do between two pieces of a body."""

    HOLD = auto()
    """Send nothing more and keep the connection open until the client closes it."""
    DROP = auto()
    """Cut the connection."""


Step: TypeAlias = bytes | float | Act
"""Bytes to send, seconds to wait, or an act."""


@dataclass(frozen=True)
class Reply:
    """An answer: its head, unless the status is 0, then its body step by step."""

    steps: Sequence[Step]
    status: int = 200
    content_type: str = "application/json"
    headers: dict[str, str] = field(default_factory=dict)
    delay_s: float = 0.0
    """Seconds before the head."""


@dataclass(frozen=True)
class Request:
    """What came in, and on which connection."""

    method: str
    target: str
    headers: dict[str, str]
    content: bytes
    connection: int

    @property
    def body(self) -> Json:
        """The JSON body."""
        loaded: Json = json.loads(self.content)
        return loaded

    @property
    def text(self) -> str:
        """The content of the last message."""
        return str(self.body["messages"][-1]["content"])


Script: TypeAlias = Callable[[Request], Reply]


def json_reply(
    body: Json, status: int = 200, headers: dict[str, str] | None = None, delay_s: float = 0.0
) -> Reply:
    """A plain JSON answer."""
    return Reply([json.dumps(body).encode()], status, headers=headers or {}, delay_s=delay_s)


def stream_reply(*steps: Step) -> Reply:
    """A stream of server-sent events."""
    return Reply(steps, content_type="text/event-stream")


USAGE: Json = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
_HEAD: Json = {"id": "chatcmpl-1", "created": 1_790_000_000, "model": "gpt-6-luna"}
DONE = b"data: [DONE]\n\n"


def completion(text: str) -> Json:
    """The body of a plain answer."""
    message = {"role": "assistant", "content": text}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    return {**_HEAD, "object": "chat.completion", "choices": [choice], "usage": USAGE}


def event(delta: Json | None, finish_reason: str | None = None) -> bytes:
    """One event of a stream, with the usage in place of a choice when `delta` is None."""
    choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
    fields: Json = (
        {"choices": [], "usage": USAGE} if delta is None else {"choices": [choice], "usage": None}
    )
    payload = {**_HEAD, "object": "chat.completion.chunk", **fields}
    return b"data: " + json.dumps(payload).encode() + b"\n\n"


def text_events(text: str) -> list[bytes]:
    """The events of a text answer, before `DONE`."""
    words = [event({"content": word}) for word in text.split(" ")]
    return [event({"role": "assistant", "content": ""}), *words, event({}, "stop"), event(None)]


def echo(request: Request) -> Reply:
    """Answer with the last message, streamed when asked so."""
    if request.body.get("stream"):
        return stream_reply(*text_events(request.text), DONE)
    return json_reply(completion(request.text))


def model_at(url: str, **fields: Any) -> ChatTammaOpenAI:
    """Build a chat model that talks to a server and does not retry."""
    defaults: Json = {"model": "gpt-6-luna", "api_key": "sk-test", "max_retries": 0}
    return ChatTammaOpenAI(**{**defaults, "base_url": url, **fields})


class LoopbackServer:
    """The server, in a thread of its own while its `with` block lasts.

    Attributes:
        script: Answers each request; may be changed at any time.
        requests: All requests so far.
        connections: How many connections were ever accepted.
        open_connections: How many are open now.
    """

    def __init__(self, script: Script = echo) -> None:
        """Choose how to answer."""
        self.script = script
        self.requests: list[Request] = []
        self.connections = 0
        self.open_connections = 0
        self._started = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)

    def __enter__(self) -> Self:
        """Start listening on a free port."""
        self._thread.start()
        assert self._started.wait(10)
        return self

    def __exit__(self, *_exc: object) -> None:
        """Cut all connections and stop."""
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)

    @property
    def origin(self) -> str:
        """Scheme, host and port."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        """Base URL of the API."""
        return f"{self.origin}/v1"

    @property
    def texts(self) -> list[str]:
        """The last message of every request, sorted."""
        return sorted(request.text for request in self.requests)

    def model(self, **fields: Any) -> ChatTammaOpenAI:
        """Build a chat model that talks to this server and does not retry."""
        return model_at(self.url, **fields)

    def settles_at(self, open_connections: int, within_s: float = 5.0) -> bool:
        """Wait until that many connections are open."""
        return self.sees(lambda: self.open_connections == open_connections, within_s)

    def sees(self, happened: Callable[[], bool], within_s: float = 5.0) -> bool:
        """Wait until something is so, at most for a while."""
        end_s = time.monotonic() + within_s
        while not happened() and time.monotonic() < end_s:
            time.sleep(0.005)
        return happened()

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        self._writers: set[asyncio.StreamWriter] = set()
        server = await asyncio.start_server(self._connection, "127.0.0.1", 0, backlog=1024)
        self.port: int = server.sockets[0].getsockname()[1]
        self._started.set()
        await self._stop.wait()
        server.close()
        for writer in list(self._writers):
            writer.transport.abort()
        await asyncio.sleep(0.01)

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.open_connections += 1
        number = self.connections
        self._writers.add(writer)
        try:
            while (request := await _read(reader, number)) is not None:
                self.requests.append(request)
                if not await self._answer(request, reader, writer):
                    break
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            self.open_connections -= 1
            self._writers.discard(writer)
            writer.transport.abort()

    async def _answer(
        self, request: Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bool:
        if request.method == "CONNECT":
            writer.write(b"HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\n\r\n")
            await writer.drain()
            return False
        reply = self.script(request)
        if reply.delay_s and await _is_left(reader, reply.delay_s):
            return False
        if reply.status:
            writer.write(_head(reply))
        for step in reply.steps:
            if step is Act.DROP:
                return False
            if step is Act.HOLD:
                await reader.read()
                return False
            if isinstance(step, bytes):
                writer.write(b"%x\r\n%s\r\n" % (len(step), step))
                await writer.drain()
            elif not isinstance(step, Act):
                await asyncio.sleep(step)
        writer.write(b"0\r\n\r\n")
        await writer.drain()
        return True


async def _is_left(reader: asyncio.StreamReader, within_s: float) -> bool:
    """Whether the client closes the connection within that time."""
    try:
        return await asyncio.wait_for(reader.read(1), within_s) == b""
    except TimeoutError:
        return False


async def _read(reader: asyncio.StreamReader, connection: int) -> Request | None:
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError as error:
        if error.partial:
            raise
        return None
    first, *lines = head.decode().split("\r\n")
    method, target, _version = first.split(" ")
    pairs = (line.partition(": ") for line in lines if line)
    headers = {name.lower(): value for name, _colon, value in pairs}
    content = await reader.readexactly(int(headers.get("content-length", "0")))
    return Request(method, target, headers, content, connection)


def _head(reply: Reply) -> bytes:
    fields = {
        "content-type": reply.content_type,
        "transfer-encoding": "chunked",
        "x-request-id": "req_1",
        **reply.headers,
    }
    lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return f"HTTP/1.1 {reply.status} Whatever\r\n{lines}\r\n".encode()


def open_descriptors() -> int:
    """How many file descriptors this process has open."""
    return len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - the count only, once per test


def resident_mb() -> float:
    """How much memory this process holds, in MB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def in_new_process(work: Callable[[str], Result], argument: str) -> Result:
    """Run a function of a test module in a fresh interpreter."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as executor:
        return executor.submit(work, argument).result(240)


@contextmanager
def environment(**variables: str) -> Iterator[None]:
    """Set environment variables for a while."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
