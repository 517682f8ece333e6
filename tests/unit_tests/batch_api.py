"""A provider's files and batches behind the real SDK client: bytes in, bytes out, no sockets."""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Callable
from typing import Any

import httpx2
from mock_api import MockAPI, completion

from langchain_tamma_openai import ChatTammaOpenAI

Json = dict[str, Any]
Answer = Callable[[Json], Json | None]
"""From a line of the input to a line of the output, or None for no line."""


def ok(line: Json, text: str | None = None, **fields: Any) -> Json:
    """Answer a request well, with its own last words unless told otherwise."""
    body = line["body"]
    words = text or str(body["messages"][-1]["content"]) if "messages" in body else "Hello"
    answer = completion({"content": words}, model=body["model"], **fields)
    return {
        "id": f"batch_req_{line['custom_id']}",
        "custom_id": line["custom_id"],
        "response": {"status_code": 200, "request_id": f"req_{line['custom_id']}", "body": answer},
        "error": None,
    }


def refused(line: Json, status: int = 400, **error: Any) -> Json:
    """Answer a request with an error of the API."""
    told = {"message": "No.", "type": "invalid_request_error", "code": None, **error}
    response = {"status_code": status, "request_id": "req_x", "body": {"error": told}}
    return {"custom_id": line["custom_id"], "response": response, "error": None}


class BatchAPI(MockAPI):
    """Speaks `/v1/files` and `/v1/batches`; batches are done when they are first looked at."""

    def __init__(self, answer: Answer = ok, state: str = "completed") -> None:
        super().__init__()
        self.answer = answer
        self.state = state
        self.pending = 0
        self.files: dict[str, bytes] = {}
        self.batches: dict[str, Json] = {}
        self.faults: list[tuple[str, Callable[[], None], bool]] = []
        """Path, what goes wrong there, and whether the request has its effect all the same."""
        self._numbers = itertools.count(1)

    def tamma(self, **fields: Any) -> ChatTammaOpenAI:
        """Build our chat model over this provider."""
        return super().tamma(**fields)

    @property
    def lines(self) -> list[Json]:
        """The lines of all files that belong to batches."""
        return [
            json.loads(line)
            for batch in self.batches.values()
            for line in self.files[batch["input_file_id"]].splitlines()
        ]

    def _handle(self, request: httpx2.Request) -> httpx2.Response:
        self.requests.append(request)
        path = request.url.path.removeprefix("/v1/")
        fault = next((each for each in self.faults if path == each[0]), None)
        if fault is not None:
            self.faults.remove(fault)
            if fault[2]:
                self._route(request, path)
            fault[1]()
        return self._route(request, path)

    def _route(self, request: httpx2.Request, path: str) -> httpx2.Response:
        parts = path.split("/")
        if request.method == "POST" and parts == ["files"]:
            return self._upload(request)
        if parts[0] == "files":
            return httpx2.Response(200, content=self.files[parts[1]])
        if request.method == "POST" and parts == ["batches"]:
            return self._create(json.loads(request.content))
        if parts == ["batches"]:
            listed = list(reversed(self.batches.values()))
            return _json({"object": "list", "data": listed, "has_more": False})
        if parts[1] not in self.batches:
            return _json({"error": {"message": "No such batch", "type": "invalid"}}, 404)
        if parts[-1] == "cancel":
            self.batches[parts[1]]["status"] = "cancelled"
        return self._retrieve(self.batches[parts[1]])

    def _upload(self, request: httpx2.Request) -> httpx2.Response:
        lines = [line for line in request.content.splitlines() if line.startswith(b'{"custom_id"')]
        file_id = f"file-{next(self._numbers)}"
        self.files[file_id] = b"\n".join(lines)
        return _json({"id": file_id, "object": "file", "purpose": "batch"})

    def _create(self, body: Json) -> httpx2.Response:
        batch_id = f"batch_{next(self._numbers)}"
        count = len(self.files[body["input_file_id"]].splitlines())
        self.batches[batch_id] = {
            "id": batch_id,
            "object": "batch",
            **body,
            "status": "validating",
            "created_at": int(time.time()),
            "expires_at": int(time.time()) + 86400,
            "request_counts": {"total": count, "completed": 0, "failed": 0},
        }
        return _json(self.batches[batch_id])

    def _retrieve(self, batch: Json) -> httpx2.Response:
        if self.pending > 0:
            self.pending -= 1
            batch["status"] = "in_progress"
        elif batch["status"] not in ("completed", "expired", "failed"):
            self._finish(batch)
        return _json(batch)

    def _finish(self, batch: Json) -> None:
        given = [json.loads(line) for line in self.files[batch["input_file_id"]].splitlines()]
        made = [line for line in map(self.answer, given) if line is not None]
        failed = [line for line in made if _failed(line)]
        good = [line for line in made if not _failed(line)]
        for name, lines in (("output_file_id", good), ("error_file_id", failed)):
            if lines:
                batch[name] = f"file-{next(self._numbers)}"
                # The provider's order is its own.
                self.files[batch[name]] = b"\n".join(
                    json.dumps(line).encode() for line in reversed(lines)
                )
        counts = {"total": len(given), "completed": len(good), "failed": len(failed)}
        if batch["status"] != "cancelled":
            batch["status"] = self.state
        batch["request_counts"] = counts


def _failed(line: Json) -> bool:
    return line.get("response") is None or line["response"]["status_code"] >= 400


def _json(body: Json, status: int = 200) -> httpx2.Response:
    return httpx2.Response(status, json=body)
