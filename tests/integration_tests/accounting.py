"""A server that keeps its own account of what it took and delivered, counted with tiktoken.

It speaks both APIs. Each request is answered as its plan says, in the order of the plans.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from loopback import DONE, Act, Json, Reply, Request, Step, json_reply

from langchain_tamma_openai.tokens_encodings import load_encoding

PROMPT = "Tell me, in a few words, what a token is and who pays for it."
PIECES = ("A", " token", " is", " a", " small", " piece", " of", " text", ",", " naïve", " or not.")
ARGUMENTS = ('{"city"', ': "Königs', 'berg", "days', '": 12}')
TOOL: Json = {
    "type": "function",
    "function": {
        "name": "forecast",
        "description": "Tell the weather.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    },
}
INPUT_USD, OUTPUT_USD = Decimal(1) / 1_000_000, Decimal(6) / 1_000_000
PRICES: Json = {"gpt-6-luna": {"input_usd_per_mtok": "1", "output_usd_per_mtok": "6"}}
"""Prices that do not change: dollars for a million tokens."""
REFUSED: Json = {"error": {"message": "No.", "type": "invalid_request_error", "code": "nope"}}
BUSY: Json = {"error": {"message": "Busy.", "type": "server_error", "code": None}}
_IDS = {"chat_completions": "chatcmpl-7", "responses": "resp_7"}


def count(text: str) -> int:
    """How many tokens a text has."""
    return len(load_encoding("o200k_base").encode_ordinary(text))


@dataclass(frozen=True)
class Plan:
    """How one request is answered.

    Attributes:
        status: HTTP status; an error has a JSON body.
        kind: What the model writes: "text", "tool", "reasoning" or "refusal".
        after: How many pieces of a stream are delivered before `then`; None for a whole answer.
        then: What follows: an act, seconds, or raw bytes.
        tells_usage: Whether usage comes with a whole answer.
        raw: Body of a plain answer instead of a good one.
        before_head: The connection ends, or hangs, before the head.
        refuses_stream_options: Say no to `stream_options`.
    """

    status: int = 200
    kind: str = "text"
    after: int | None = None
    then: Step | None = None
    tells_usage: bool = True
    raw: bytes | None = None
    before_head: Act | None = None
    refuses_stream_options: bool = False


@dataclass
class Entry:
    """What the server knows of one request."""

    api: str
    streamed: bool
    input_tokens: int
    output_tokens: int = 0
    status: int = 200

    @property
    def usage(self) -> Json:
        """The usage as the API gives it."""
        total = self.input_tokens + self.output_tokens
        names = ("prompt_tokens", "completion_tokens")
        if self.api == "responses":
            names = ("input_tokens", "output_tokens")
        return {names[0]: self.input_tokens, names[1]: self.output_tokens, "total_tokens": total}

    @property
    def usd(self) -> Decimal:
        """What it costs at `PRICES`."""
        return self.input_tokens * INPUT_USD + self.output_tokens * OUTPUT_USD


@dataclass
class Accountant:
    """Answers requests and writes each down.

    Attributes:
        plans: One for each request to come; the last one is for all that follow.
        entries: One for each request that came.
    """

    plans: Sequence[Plan] = (Plan(),)
    entries: list[Entry] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __call__(self, request: Request) -> Reply:
        """Answer one request."""
        with self._lock:
            plan = self.plans[min(len(self.entries), len(self.plans) - 1)]
            body = request.body
            api = "chat_completions" if "messages" in body else "responses"
            entry = Entry(api, bool(body.get("stream")), prompt_tokens(body))
            self.entries.append(entry)
        if plan.before_head is not None:
            return Reply([plan.before_head], status=0)
        if plan.refuses_stream_options and "stream_options" in body:
            entry.status, entry.input_tokens = 400, 0
            message = "Unknown parameter: 'stream_options'."
            error = {"message": message, "type": "invalid_request_error", "param": "stream_options"}
            return json_reply({"error": error}, 400)
        if plan.status >= 400:
            entry.status, entry.input_tokens = plan.status, 0
            return json_reply(BUSY if plan.status >= 500 else REFUSED, plan.status)
        return self._streamed(plan, entry) if entry.streamed else self._plain(plan, entry)

    def _plain(self, plan: Plan, entry: Entry) -> Reply:
        entry.output_tokens = delivered_tokens(plan.kind, None)
        raw = plan.raw
        if raw is not None:
            raw = raw.replace(b"USAGE", json.dumps(entry.usage).encode())
            return Reply([raw])
        body = plain_body(entry.api, plan.kind)
        if plan.then is not None:
            half = json.dumps(body).encode()[:60]
            return Reply([half, plan.then])
        return json_reply({**body, "usage": entry.usage} if plan.tells_usage else body)

    def _streamed(self, plan: Plan, entry: Entry) -> Reply:
        entry.output_tokens = delivered_tokens(plan.kind, plan.after)
        usage = entry.usage if plan.tells_usage else None
        events, end = stream_events(entry.api, plan.kind, usage)
        if plan.after is None:
            steps: list[Step] = [*events, *end]
        else:
            steps = [*events[: plan.after + 1], *([] if plan.then is None else [plan.then])]
        return Reply(steps, content_type="text/event-stream")


def prompt_tokens(body: Json) -> int:
    """Count a prompt of plain text as OpenAI's cookbook does."""
    messages = body.get("messages") or body.get("input")
    if isinstance(messages, str):
        messages = [{"role": "user", "content": messages}]
    assert isinstance(messages, list)
    texts = [
        content if isinstance(content, str) else "".join(part["text"] for part in content)
        for content in (message.get("content") or "" for message in messages)
    ]
    return 3 + sum(3 + 1 + count(text) for text in texts)


def pieces_of(kind: str) -> Sequence[str]:
    """What the model writes, piece by piece."""
    return ARGUMENTS if kind == "tool" else PIECES


def delivered_tokens(kind: str, after: int | None) -> int:
    """Count what was delivered."""
    tokens = count("".join(pieces_of(kind)[:after]))
    return tokens + count("forecast") if kind == "tool" else tokens


# --- bodies ---------------------------------------------------------------------------------------


def plain_body(api: str, kind: str) -> Json:
    """A whole answer."""
    return _plain_completion(kind) if api == "chat_completions" else _plain_response(kind)


def _plain_completion(kind: str) -> Json:
    whole = "".join(pieces_of(kind))
    message: Json = {"role": "assistant", "content": whole}
    reason = "stop"
    if kind == "refusal":
        message = {"role": "assistant", "content": None, "refusal": whole}
    if kind == "tool":
        function = {"name": "forecast", "arguments": whole}
        calls = [{"id": "call_1", "type": "function", "function": function}]
        message, reason = {"role": "assistant", "content": None, "tool_calls": calls}, "tool_calls"
    choice = {"index": 0, "message": message, "finish_reason": reason}
    return {**_head(), "object": "chat.completion", "choices": [choice]}


def _plain_response(kind: str) -> Json:
    return _response("completed", [_item(kind, "".join(pieces_of(kind)))])


def _item(kind: str, whole: str) -> Json:
    if kind == "tool":
        fields = {"call_id": "call_1", "name": "forecast", "arguments": whole}
        return {"type": "function_call", "id": "fc_1", "status": "completed", **fields}
    if kind == "reasoning":
        summary = [{"type": "summary_text", "text": whole}] if whole else []
        return {"type": "reasoning", "id": "rs_1", "summary": summary}
    part: Json = {"type": "output_text", "text": whole, "annotations": []}
    if kind == "refusal":
        part = {"type": "refusal", "refusal": whole}
    content = [part] if whole else []
    return {"type": "message", "id": "msg_1", "role": "assistant", "content": content}


def _response(status: str, output: list[Json]) -> Json:
    fields = {"id": _IDS["responses"], "object": "response", "created_at": 1_790_000_000}
    return {**fields, "model": "gpt-6-luna", "status": status, "output": output}


def _head() -> Json:
    return {"id": _IDS["chat_completions"], "created": 1_790_000_000, "model": "gpt-6-luna"}


# --- streams --------------------------------------------------------------------------------------


def stream_events(api: str, kind: str, usage: Json | None) -> tuple[list[bytes], list[bytes]]:
    """An opening and one event for each piece; and the events that end the stream."""
    made = _completion_events if api == "chat_completions" else _response_events
    return made(kind, usage)


def _completion_events(kind: str, usage: Json | None) -> tuple[list[bytes], list[bytes]]:
    first: Json = {"role": "assistant", "content": ""}
    deltas: list[Json] = [{"content": piece} for piece in pieces_of(kind)]
    reason = "stop"
    if kind == "refusal":
        deltas = [{"refusal": piece} for piece in pieces_of(kind)]
    if kind == "tool":
        reason = "tool_calls"
        function = {"name": "forecast", "arguments": ""}
        opening = {"index": 0, "id": "call_1", "type": "function", "function": function}
        first = {"role": "assistant", "content": None, "tool_calls": [opening]}
        deltas = [
            {"tool_calls": [{"index": 0, "function": {"arguments": piece}}]}
            for piece in pieces_of(kind)
        ]
    events = [_completion_event(delta) for delta in (first, *deltas)]
    end = [_completion_event({}, reason)]
    if usage is not None:
        end.append(
            _sse({**_head(), "object": "chat.completion.chunk", "choices": [], "usage": usage})
        )
    return events, [*end, DONE]


def _completion_event(delta: Json, reason: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": reason}
    return _sse({**_head(), "object": "chat.completion.chunk", "choices": [choice]})


_DELTAS = {
    "text": ("response.output_text.delta", {"content_index": 0}),
    "refusal": ("response.refusal.delta", {"content_index": 0}),
    "tool": ("response.function_call_arguments.delta", {}),
    "reasoning": ("response.reasoning_summary_text.delta", {"summary_index": 0}),
}


def _response_events(kind: str, usage: Json | None) -> tuple[list[bytes], list[bytes]]:
    whole, item = "".join(pieces_of(kind)), _item(kind, "")
    where: Json = {"item_id": item["id"], "output_index": 0}
    opening: list[Json] = [
        {"type": "response.created", "response": _response("in_progress", [])},
        {"type": "response.output_item.added", "output_index": 0, "item": item},
    ]
    name, index = _DELTAS[kind]
    if kind == "text":
        part: Json = {"type": "output_text", "text": "", "annotations": []}
        opening.append({"type": "response.content_part.added", **where, **index, "part": part})
    if kind == "reasoning":
        part = {"type": "summary_text", "text": ""}
        opening.append(
            {"type": "response.reasoning_summary_part.added", **where, **index, "part": part}
        )
    deltas = [{"type": name, **where, **index, "delta": piece} for piece in pieces_of(kind)]
    finished = _response("completed", [_item(kind, whole)])
    if usage is not None:
        finished["usage"] = usage
    closing: list[Json] = []
    if kind == "refusal":
        closing.append({"type": "response.refusal.done", **where, **index, "refusal": whole})
    closing += [
        {"type": "response.output_item.done", "output_index": 0, "item": _item(kind, whole)},
        {"type": "response.completed", "response": finished},
    ]
    numbers = iter(range(1000))
    first, *middle = [
        b"".join(_numbered(event, next(numbers)) for event in group)
        for group in (opening, *([delta] for delta in deltas))
    ]
    return [first, *middle], [_numbered(event, next(numbers)) for event in closing]


def _numbered(event: Json, number: int) -> bytes:
    name = str(event["type"]).encode()
    return b"event: " + name + b"\n" + _sse({**event, "sequence_number": number})


def _sse(payload: Json) -> bytes:
    return b"data: " + json.dumps(payload).encode() + b"\n\n"
