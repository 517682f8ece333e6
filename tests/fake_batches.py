"""The files and batches of the API, in memory: what a request does and what comes back.

Knows no transport: unit tests put it behind the SDK's client, integration tests behind a server.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import httpx2

from langchain_tamma_openai import ChatTammaOpenAI

Json: TypeAlias = dict[str, Any]
Answer: TypeAlias = Callable[[str, Json], Json]
_ID = re.compile(r"(file|batch)_\d+")
_ENDS = ("completed", "expired", "cancelled", "failed")


def chat_answer(text: str, **fields: Any) -> Json:
    """The body of an answer of Chat Completions."""
    message = {"role": "assistant", "content": text, "refusal": None}
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
    usage = {"prompt_tokens": 1000, "completion_tokens": 100, "total_tokens": 1100}
    head = {"id": f"chatcmpl-{text}"[:40], "created": 1_790_000_000, "model": "gpt-6-luna"}
    return {**head, "object": "chat.completion", "choices": [choice], "usage": usage, **fields}


def response_answer(text: str, **fields: Any) -> Json:
    """The body of an answer of the Responses API."""
    content = [{"type": "output_text", "text": text, "annotations": []}]
    item = {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed"}
    usage = {"input_tokens": 1000, "output_tokens": 100, "total_tokens": 1100}
    head = {"id": "resp_1", "object": "response", "created_at": 1_790_000_000}
    body = {"model": "gpt-6-luna", "status": "completed", "output": [{**item, "content": content}]}
    return {**head, **body, "usage": usage, **fields}


def answered(custom_id: str, body: Any, status: int = 200) -> Json:
    """A line of an output or error file."""
    response = {"status_code": status, "request_id": f"req_{custom_id}", "body": body}
    return {"id": f"breq_{custom_id}", "custom_id": custom_id, "response": response, "error": None}


def unanswered(custom_id: str, code: str) -> Json:
    """A line about a request that was not made."""
    error = {"code": code, "message": f"This request was not executed: {code}."}
    return {"id": f"breq_{custom_id}", "custom_id": custom_id, "response": None, "error": error}


def question(body: Json) -> str:
    """The last text that a body asks."""
    items = body.get("messages") or body["input"]
    return items if isinstance(items, str) else str(items[-1]["content"])


def echo(custom_id: str, body: Json) -> Json:
    """Answer with what was asked."""
    make = chat_answer if "messages" in body else response_answer
    return answered(custom_id, make(question(body)))


@dataclass
class Reply:
    """What comes back."""

    body: Any = None
    status: int = 200
    content: bytes | None = None
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def data(self) -> bytes:
        """The bytes."""
        return json.dumps(self.body).encode() if self.content is None else self.content


@dataclass
class Fault:
    """Something that goes wrong, once or more often.

    Attributes:
        match: Method and path that it happens to, as in "POST /batches".
        reply: What comes back instead; an exception breaks the connection.
        is_done: Whether the request is carried out all the same.
        times: How often.
    """

    match: str
    reply: Reply | BaseException
    is_done: bool = False
    times: int = 1


class FakeBatches:
    """The API.

    Attributes:
        answer: Makes the line of the answer to a request; None leaves it out.
        polls: How often a batch is asked for before it ends.
        end: How batches end.
        files: Content by file id.
        batches: All batches, the oldest first.
        requests: Every request, as "POST /batches".
        faults: What goes wrong.
        arrange: Changes the lines of a finished batch.
    """

    def __init__(self, answer: Answer = echo, polls: int = 1, end: str = "completed") -> None:
        self.answer = answer
        self.polls = polls
        self.end = end
        self.files: dict[str, bytes] = {}
        self.names: dict[str, str] = {}
        self.batches: list[Json] = []
        self.requests: list[str] = []
        self.faults: list[Fault] = []
        self.arrange: Callable[[list[Json]], list[Json]] = list
        self.page = 100
        self.retry_after: str | None = None
        self._asked: dict[str, int] = {}
        self._serial = 0

    def count(self, request: str) -> int:
        """How often a request came."""
        return self.requests.count(request)

    @property
    def lines(self) -> list[Json]:
        """Every line of every batch's input, in the order of creation."""
        return [line for batch in self.batches for line in self.lines_of(batch)]

    def lines_of(self, batch: Json) -> list[Json]:
        """The lines of one batch's input."""
        return [json.loads(line) for line in self.files[batch["input_file_id"]].splitlines()]

    # --- requests ---

    @staticmethod
    def path_of(url: str) -> str:
        """Give a path as tests name it, without ids."""
        return _ID.sub("*", re.sub(r"^.*/v1", "", url.partition("?")[0]))

    def handle(self, method: str, url: str, headers: dict[str, str], content: bytes) -> Reply:
        """Do what a request asks.

        Raises:
            BaseException: The connection breaks, or the client is killed.
        """
        path, _, query = url.partition("?")
        path = re.sub(r"^.*/v1", "", path)
        request = f"{method} {self.path_of(url)}"
        self.requests.append(request)
        fault = next((each for each in self.faults if each.match == request and each.times), None)
        if fault is None:
            return self._do(method, path, query, headers, content)
        fault.times -= 1
        if fault.is_done:
            self._do(method, path, query, headers, content)
        if isinstance(fault.reply, BaseException):
            raise fault.reply
        return fault.reply

    def _do(
        self, method: str, path: str, query: str, headers: dict[str, str], content: bytes
    ) -> Reply:
        parts = path.strip("/").split("/")
        asked = dict(item.split("=", 1) for item in query.split("&") if "=" in item)
        if parts[0] == "files":
            return self._file(method, parts[1:], asked, headers, content)
        if method == "POST" and len(parts) == 1:
            return Reply(self._create(json.loads(content)))
        if len(parts) == 1:
            return self._listed(self.batches[::-1], asked)
        batch = next((each for each in self.batches if each["id"] == parts[1]), None)
        if batch is None:
            return _missing("batch", parts[1])
        if parts[2:] == ["cancel"]:
            return self._cancel(batch)
        self._asked[batch["id"]] = self._asked.get(batch["id"], 0) + 1
        if batch["status"] not in _ENDS and self._asked[batch["id"]] >= self.polls:
            self.finish(batch, "cancelled" if batch["status"] == "cancelling" else self.end)
        extra = {} if self.retry_after is None else {"retry-after": self.retry_after}
        return Reply(batch, headers=extra)

    def _file(
        self,
        method: str,
        rest: list[str],
        asked: Json,
        headers: dict[str, str],
        content: bytes,
    ) -> Reply:
        if method == "POST":
            found = re.search(rb'filename="([^"]+)"\r\n.*?\r\n\r\n(.*)\r\n--', content, re.DOTALL)
            assert found is not None
            assert b'name="purpose"\r\n\r\nbatch' in content
            return Reply(
                self._described(self.store(found[2].split(b"\r\n--")[0], found[1].decode()))
            )
        if not rest:
            return self._listed([self._described(ident) for ident in [*self.files][::-1]], asked)
        if rest[0] not in self.files:
            return _missing("file", rest[0])
        if method == "DELETE":
            del self.files[rest[0]]
            return Reply({"id": rest[0], "deleted": True})
        data = self.files[rest[0]]
        if (start := headers.get("range", "").removeprefix("bytes=").rstrip("-")) and rest[1:]:
            return Reply(content=data[int(start) :], status=206)
        return Reply(content=data) if rest[1:] else Reply(self._described(rest[0]))

    def store(self, data: bytes, name: str = "output.jsonl") -> str:
        """Keep a file."""
        self._serial += 1
        ident = f"file_{self._serial}"
        self.files[ident], self.names[ident] = data, name
        return ident

    def _described(self, ident: str) -> Json:
        return {
            "id": ident,
            "object": "file",
            "bytes": len(self.files[ident]),
            "created_at": int(time.time()),
            "filename": self.names[ident],
            "purpose": "batch",
        }

    def _listed(self, things: list[Json], asked: Json) -> Reply:
        ids = [thing["id"] for thing in things]
        start = ids.index(asked["after"]) + 1 if "after" in asked else 0
        page = things[start : start + self.page]
        more = start + self.page < len(things)
        return Reply({"object": "list", "data": page, "has_more": more})

    def _create(self, body: Json) -> Json:
        assert body["input_file_id"] in self.files
        assert body["completion_window"] == "24h"
        self._serial += 1
        now = int(time.time())
        total = len(self.files[body["input_file_id"]].splitlines())
        batch = {
            **body,
            "id": f"batch_{self._serial}",
            "object": "batch",
            "status": "validating",
            "created_at": now,
            "expires_at": now + 86_400,
            "output_file_id": None,
            "error_file_id": None,
            "errors": None,
            "request_counts": {"total": total, "completed": 0, "failed": 0},
        }
        self.batches.append(batch)
        return batch

    def _cancel(self, batch: Json) -> Reply:
        if batch["status"] in _ENDS:
            error = {"message": "Batch has already ended.", "type": "invalid_request_error"}
            return Reply({"error": error}, 409)
        batch["status"] = "cancelling"
        return Reply(batch)

    def finish(self, batch: Json, how: str) -> None:
        """End a batch."""
        batch["status"] = how
        batch[f"{how}_at"] = batch["created_at"] + 60
        if how == "failed":
            return
        made = list(self._made(batch))
        good = [line for line in made if (line["response"] or {}).get("status_code") == 200]
        bad = [line for line in made if (line["response"] or {}).get("status_code") != 200]
        counts = batch["request_counts"]
        counts["completed"], counts["failed"] = len(good), len(bad)
        for name, lines in (("output_file_id", good), ("error_file_id", bad)):
            if lines:
                text = b"".join(json.dumps(line).encode() + b"\n" for line in self.arrange(lines))
                batch[name] = self.store(text)

    def _made(self, batch: Json) -> Iterator[Json]:
        for line in self.lines_of(batch):
            assert line["method"] == "POST"
            assert line["url"] == batch["endpoint"]
            made = self.answer(line["custom_id"], line["body"])
            if made:
                yield made

    # --- behind the SDK's client ---

    def model(self, **fields: Any) -> ChatTammaOpenAI:
        """Build a chat model whose real SDK clients talk to this API."""
        transport = httpx2.MockTransport(self._respond)
        clients: Json = {
            "http_client": httpx2.Client(transport=transport),
            "http_async_client": httpx2.AsyncClient(transport=httpx2.MockTransport(self._arespond)),
        }
        defaults: Json = {"model": "gpt-6-luna", "api_key": "sk-test", "max_retries": 2}
        return ChatTammaOpenAI(**{**defaults, **clients, **fields})

    def _respond(self, request: httpx2.Request) -> httpx2.Response:
        return self._answered(request, request.read())

    async def _arespond(self, request: httpx2.Request) -> httpx2.Response:
        return self._answered(request, await request.aread())

    def _answered(self, request: httpx2.Request, content: bytes) -> httpx2.Response:
        headers = {name.lower(): value for name, value in request.headers.items()}
        reply = self.handle(request.method, str(request.url), headers, content)
        return httpx2.Response(reply.status, headers=reply.headers, content=reply.data)


def _missing(kind: str, ident: str) -> Reply:
    error = {"message": f"No such {kind}: {ident}", "type": "invalid_request_error", "code": None}
    return Reply({"error": error}, 404)
