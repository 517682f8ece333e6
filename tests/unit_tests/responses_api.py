"""Answers of the Responses API, plain and streamed from one description."""

from __future__ import annotations

import json
from typing import Any

import httpx2
import pytest
from background_api import numbered, response
from mock_api import ALL_WAYS, PLAIN_WAYS, STREAM_WAYS, Json, MockAPI, stream_reply

from langchain_tamma_openai import ChatTammaOpenAI

every_way = pytest.mark.parametrize("way", ALL_WAYS.values(), ids=ALL_WAYS)
plain_ways = pytest.mark.parametrize("way", PLAIN_WAYS.values(), ids=PLAIN_WAYS)
stream_ways = pytest.mark.parametrize("way", STREAM_WAYS.values(), ids=STREAM_WAYS)


def text_message(text: str, item_id: str = "msg_1", **part: Any) -> Json:
    content = {"type": "output_text", "text": text, "annotations": [], **part}
    return {"id": item_id, "type": "message", "role": "assistant", "content": [content]}


def refusal_message(text: str) -> Json:
    content = [{"type": "refusal", "refusal": text}]
    return {"id": "msg_1", "type": "message", "role": "assistant", "content": content}


def function_call(name: str, arguments: str, number: int = 1) -> Json:
    return {
        "id": f"fc_{number}",
        "type": "function_call",
        "call_id": f"call_{number}",
        "name": name,
        "arguments": arguments,
        "status": "completed",
    }


def reasoning(number: int = 1, **fields: Any) -> Json:
    return {"id": f"rs_{number}", "type": "reasoning", "summary": [], **fields}


def answered(*output: Json, status: str = "completed", **fields: Any) -> Json:
    return response(status, output=list(output), **fields)


def streamed(whole: Json) -> list[Json]:
    """Write an answer as the server streams it."""
    events: list[Json] = [{"type": "response.created", "response": response("in_progress")}]
    for place, item in enumerate(whole["output"]):
        events += _item_events(item, {"output_index": place, "item_id": item["id"]}, place)
    kind = "incomplete" if whole["status"] == "incomplete" else "completed"
    events.append({"type": f"response.{kind}", "response": whole})
    return numbered(events)


def _item_events(item: Json, at: Json, place: int) -> list[Json]:
    opened = {**item, "content": [], "arguments": ""}
    body: list[Json] = []
    if item["type"] == "message":
        part = item["content"][0]
        at = {**at, "content_index": 0}
        if part["type"] == "refusal":
            body = [{"type": "response.refusal.done", **at, "refusal": part["refusal"]}]
        else:
            delta = {"type": "response.output_text.delta", **at}
            body = [{**delta, "delta": letter} for letter in part["text"]]
            body.append({"type": "response.output_text.done", **at, "text": part["text"]})
    elif item["type"] == "function_call":
        delta = {"type": "response.function_call_arguments.delta", **at}
        body = [{**delta, "delta": letter} for letter in item["arguments"]]
    return [
        {"type": "response.output_item.added", "output_index": place, "item": opened},
        *body,
        {"type": "response.output_item.done", "output_index": place, "item": item},
    ]


def serving(*answers: Json) -> MockAPI:
    """Answer each request with one response, streamed where asked so."""
    left = list(answers)

    def reply(body: Json) -> httpx2.Response:
        whole = left.pop(0) if len(left) > 1 else left[0]
        whole = {**whole, "text": body.get("text") or {}}
        if not body.get("stream"):
            return httpx2.Response(200, json=whole)
        return stream_reply(written_all(streamed(whole)))

    return MockAPI(reply)


def written_all(events: list[Json]) -> bytes:
    return b"".join(b"data: " + json.dumps(event).encode() + b"\n\n" for event in events)


def model_of(api: MockAPI, **fields: Any) -> ChatTammaOpenAI:
    return api.tamma(use_responses_api=True, **fields)
