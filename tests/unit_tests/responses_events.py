"""Events of Responses API streams, as the server sends them."""

from __future__ import annotations

from typing import Any

from responses_replay import (
    Json,
)

USAGE = {
    "input_tokens": 10,
    "input_tokens_details": {"cached_tokens": 4},
    "output_tokens": 7,
    "output_tokens_details": {"reasoning_tokens": 2},
    "total_tokens": 17,
}


def response(output: list[Json] | None = None, **fields: Any) -> Json:
    return {
        "id": "resp_1",
        "object": "response",
        "created_at": 1_700_000_000,
        "status": "completed",
        "error": None,
        "incomplete_details": None,
        "metadata": {},
        "model": "gpt-test",
        "output": output or [],
        "parallel_tool_calls": True,
        "service_tier": "default",
        "text": {"format": {"type": "text"}},
        "tool_choice": "auto",
        "tools": [],
        "usage": USAGE,
        **fields,
    }


def event(kind: str, **fields: Any) -> Json:
    return {"type": f"response.{kind}", **fields}


def numbered(events: list[Json]) -> list[Json]:
    return [{**entry, "sequence_number": number} for number, entry in enumerate(events)]


def stream(*events: Json, end: Json | None = None) -> list[Json]:
    """Wrap events in those that open and close every stream."""
    opening = response(status="in_progress", usage=None)
    last = end or event("completed", response=response())
    return numbered(
        [
            event("created", response=opening),
            event("in_progress", response=opening),
            *events,
            last,
        ]
    )


# --- items as the server streams them ------------------------------------------------------------


def opened(at: int, item: Json) -> Json:
    return event("output_item.added", output_index=at, item=item)


def closed(at: int, item: Json) -> Json:
    return event("output_item.done", output_index=at, item=item)


def streamed_text(at: int, *parts: list[str], **fields: Any) -> list[Json]:
    item = {"type": "message", "id": f"msg_{at}", "role": "assistant", "content": [], **fields}
    events = [opened(at, {**item, "status": "in_progress"})]
    for number, pieces in enumerate(parts):
        where = {"item_id": item["id"], "output_index": at, "content_index": number}
        part = {"type": "output_text", "text": "", "annotations": []}
        events.append(event("content_part.added", **where, part=part))
        events += [
            event("output_text.delta", **where, delta=piece, logprobs=[]) for piece in pieces
        ]
        whole = "".join(pieces)
        events.append(event("output_text.done", **where, text=whole, logprobs=[]))
        events.append(event("content_part.done", **where, part={**part, "text": whole}))
    content = [{"type": "output_text", "text": "".join(p), "annotations": []} for p in parts]
    return [*events, closed(at, {**item, "status": "completed", "content": content})]


def streamed_call(at: int, *pieces: str, **fields: Any) -> list[Json]:
    item = {
        "type": "function_call",
        "id": f"fc_{at}",
        "call_id": f"call_{at}",
        "name": "f",
        "arguments": "",
        "status": "in_progress",
        **fields,
    }
    where = {"item_id": item["id"], "output_index": at}
    deltas = [event("function_call_arguments.delta", **where, delta=piece) for piece in pieces]
    whole = "".join(pieces)
    done = event("function_call_arguments.done", **where, arguments=whole)
    finished = {**item, "arguments": whole, "status": "completed"}
    return [opened(at, item), *deltas, done, closed(at, finished)]


def streamed_custom(at: int, *pieces: str) -> list[Json]:
    item: Json = {
        "type": "custom_tool_call",
        "id": f"ctc_{at}",
        "call_id": f"call_{at}",
        "name": "run",
        "input": "",
        "status": "in_progress",
    }
    where = {"item_id": item["id"], "output_index": at}
    deltas = [event("custom_tool_call_input.delta", **where, delta=piece) for piece in pieces]
    whole = "".join(pieces)
    done = event("custom_tool_call_input.done", **where, input=whole)
    return [
        opened(at, item),
        *deltas,
        done,
        closed(at, {**item, "input": whole, "status": "completed"}),
    ]


def streamed_reasoning(at: int, *parts: list[str], **fields: Any) -> list[Json]:
    item: Json = {"type": "reasoning", "id": f"rs_{at}", "summary": [], "encrypted_content": None}
    events = [opened(at, {**item, **({"encrypted_content": "g"} if fields else {})})]
    for number, pieces in enumerate(parts):
        where = {"item_id": item["id"], "output_index": at, "summary_index": number}
        part = {"type": "summary_text", "text": ""}
        events.append(event("reasoning_summary_part.added", **where, part=part))
        events += [event("reasoning_summary_text.delta", **where, delta=piece) for piece in pieces]
        whole = "".join(pieces)
        events.append(event("reasoning_summary_text.done", **where, text=whole))
        events.append(event("reasoning_summary_part.done", **where, part={**part, "text": whole}))
    summary = [{"type": "summary_text", "text": "".join(p)} for p in parts]
    return [*events, closed(at, {**item, "summary": summary, **fields})]


def streamed_native(at: int, item: Json, *between: Json) -> list[Json]:
    added: Json = {key: item[key] for key in ("type", "id") if key in item}
    return [opened(at, {**added, "status": "in_progress"}), *between, closed(at, item)]


def annotated(at: int, *annotations: Json) -> list[Json]:
    events = streamed_text(at, ["cited"])
    where = {"item_id": f"msg_{at}", "output_index": at, "content_index": 0}
    extra = [
        event("output_text.annotation.added", **where, annotation_index=n, annotation=entry)
        for n, entry in enumerate(annotations)
    ]
    return [*events[:3], *extra, *events[3:]]


IMAGE = {
    "type": "image_generation_call",
    "id": "ig_1",
    "result": "iVBO",
    "status": "completed",
    "output_format": "png",
}
DRAFT = event(
    "image_generation_call.partial_image",
    item_id="ig_1",
    output_index=0,
    partial_image_index=0,
    partial_image_b64="iVB",
)
ENDS = {
    "cut short": event(
        "incomplete",
        response=response(status="incomplete", incomplete_details={"reason": "max_output_tokens"}),
    )
}
