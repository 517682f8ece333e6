"""A mock of the Responses API in background mode: it keeps working when a connection is cut."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeAlias

import httpx2
from langchain_core.messages import AIMessageChunk
from mock_api import Json, MockAPI, stream_reply

Cut: TypeAlias = Exception | None
"""How a connection ends early: with an error, or (None) as if all were well."""

RESPONSE_ID = "resp_1"
USAGE: Json = {
    "input_tokens": 20,
    "input_tokens_details": {"cached_tokens": 4},
    "output_tokens": 9,
    "output_tokens_details": {"reasoning_tokens": 3},
    "total_tokens": 29,
}


def lost() -> Exception:
    """Make the error of a connection that breaks."""
    return httpx2.RemoteProtocolError("peer closed connection")


def response(status: str = "completed", **fields: Any) -> Json:
    """Body of a response, with output and usage once it is over."""
    over = status not in ("queued", "in_progress")
    body: Json = {
        "id": RESPONSE_ID,
        "object": "response",
        "created_at": 1_790_000_000,
        "model": "gpt-6-luna-2026-09-22",
        "service_tier": "default",
        "status": status,
        "output": OUTPUT if over else [],
        "usage": USAGE if over else None,
    }
    return {**body, **fields}


OUTPUT: list[Json] = [
    {
        "id": "rs_1",
        "type": "reasoning",
        "summary": [{"type": "summary_text", "text": "Let me see."}],
        "encrypted_content": "gAAA",
    },
    {"id": "ws_1", "type": "web_search_call", "status": "completed"},
    {
        "id": "fc_1",
        "type": "function_call",
        "call_id": "call_1",
        "name": "add",
        "arguments": '{"a": 1}',
        "status": "completed",
    },
    {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "status": "completed",
        "content": [
            {
                "type": "output_text",
                "text": 'Zürich "ß" \U0001f600',
                "annotations": [],
                "logprobs": [],
            }
        ],
    },
]


def _started(item: Json, **fields: Any) -> Json:
    return {**item, "status": "in_progress", **fields}


def _events() -> Iterator[Json]:
    reasoning, search, call, message = OUTPUT
    yield {"type": "response.created", "response": response("queued")}
    yield {"type": "response.queued", "response": response("queued")}
    yield {"type": "response.in_progress", "response": response("in_progress")}
    opened = {"id": "rs_1", "type": "reasoning", "summary": []}
    yield {"type": "response.output_item.added", "output_index": 0, "item": opened}
    place = {"item_id": "rs_1", "output_index": 0, "summary_index": 0}
    part = {"type": "summary_text", "text": ""}
    yield {"type": "response.reasoning_summary_part.added", **place, "part": part}
    for piece in ("Let ", "me see."):
        yield {"type": "response.reasoning_summary_text.delta", **place, "delta": piece}
    yield {"type": "response.output_item.done", "output_index": 0, "item": reasoning}
    added = {"type": "response.output_item.added", "output_index": 1}
    yield {**added, "item": {"id": "ws_1", "type": "web_search_call", "status": "in_progress"}}
    for step in ("in_progress", "searching", "completed"):
        yield {"type": f"response.web_search_call.{step}", "item_id": "ws_1", "output_index": 1}
    yield {"type": "response.output_item.done", "output_index": 1, "item": search}
    added = {"type": "response.output_item.added", "output_index": 2}
    yield {**added, "item": _started(call, arguments="")}
    place = {"item_id": "fc_1", "output_index": 2}
    for piece in ('{"a":', " 1}"):
        yield {"type": "response.function_call_arguments.delta", **place, "delta": piece}
    yield {"type": "response.function_call_arguments.done", **place, "arguments": '{"a": 1}'}
    yield {"type": "response.output_item.done", "output_index": 2, "item": call}
    added = {"type": "response.output_item.added", "output_index": 3}
    yield {**added, "item": _started(message, content=[])}
    place = {"item_id": "msg_1", "output_index": 3, "content_index": 0}
    for piece in ("Zü", 'rich "', 'ß" \U0001f600'):
        yield {"type": "response.output_text.delta", **place, "delta": piece, "logprobs": []}
    yield {"type": "response.output_text.done", **place, "text": 'Zürich "ß" \U0001f600'}
    yield {"type": "response.output_item.done", "output_index": 3, "item": message}
    yield {"type": "response.completed", "response": response()}


def numbered(events: Sequence[Json]) -> list[Json]:
    """Number events as the server does."""
    return [{**event, "sequence_number": number} for number, event in enumerate(events)]


EVENTS = numbered(list(_events()))


def written(event: Json) -> bytes:
    """Write an event as the server streams it."""
    data = json.dumps(event, ensure_ascii=False, separators=(",", ":"))
    return f"event: {event['type']}\ndata: {data}\n\n".encode()


BODY = b"".join(written(event) for event in EVENTS)


class BackgroundAPI(MockAPI):
    """Streams the events of one background response over connections that may be cut.

    Args:
        events: What the whole answer consists of, numbered.
        first: How many bytes the first connection gives; None for all.
        later: How many bytes each connection after it gives, in order; then all.
        cut: Makes the end of a connection that is cut.
        overlap: How many events before `starting_after` the server sends again.
    """

    def __init__(
        self,
        events: Sequence[Json] = EVENTS,
        *,
        first: int | None = None,
        later: Sequence[int] = (),
        cut: Callable[[], Cut] = lost,
        overlap: int = 0,
    ) -> None:
        super().__init__()
        self._events = events
        self._limits = [first, *later]
        self._cut = cut
        self._overlap = overlap

    @property
    def resumed_after(self) -> list[int]:
        """The sequence numbers after which the stream was continued, in order."""
        return [
            int(request.url.params["starting_after"])
            for request in self.requests
            if request.method == "GET"
        ]

    @property
    def cancels(self) -> list[str]:
        """Paths of the requests that call the answer off."""
        return [r.url.path for r in self.requests if r.url.path.endswith("/cancel")]

    def _handle(self, request: httpx2.Request) -> httpx2.Response:
        self.requests.append(request)
        if request.url.path.endswith("/cancel"):
            return httpx2.Response(200, json=response("cancelled"))
        after = int(request.url.params.get("starting_after", "-1"))
        kept = self._events[max(0, after + 1 - self._overlap) :]
        body = b"".join(written(event) for event in kept)
        limit = self._limits.pop(0) if self._limits else None
        if limit is None or limit >= len(body):
            return stream_reply(body)
        end = self._cut()
        return stream_reply(body[:limit], *([] if end is None else [end]))


def plainly(chunks: Sequence[AIMessageChunk]) -> list[Json]:
    """What chunks say, without the id of the run."""
    told = []
    for chunk in chunks:
        dumped = chunk.model_dump()
        if str(dumped["id"]).startswith("lc_run-"):
            dumped["id"] = "lc_run"
        told.append(dumped)
    return told
