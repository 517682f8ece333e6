"""Streams of the Responses API: merged chunks equal `ChatOpenAI`'s and the plain call."""

from __future__ import annotations

import json
from typing import Any

import pytest
from responses_events import (
    DRAFT,
    ENDS,
    IMAGE,
    annotated,
    event,
    response,
    stream,
    streamed_call,
    streamed_custom,
    streamed_native,
    streamed_reasoning,
    streamed_text,
)
from responses_replay import (
    VERSIONS,
    Json,
    Wire,
    WireModel,
    facts,
    merged,
    plain,
    sse,
)

URL = {"type": "url_citation", "url": "u", "title": "t", "start_index": 0, "end_index": 3}
FILE = {"type": "file_citation", "file_id": "f", "filename": "n", "index": 4}
SEARCH = {
    "type": "web_search_call",
    "id": "ws_1",
    "status": "completed",
    "action": {"type": "search", "query": "q", "sources": None},
}
CODE = {
    "type": "code_interpreter_call",
    "id": "ci_1",
    "code": "1",
    "container_id": "c",
    "outputs": None,
    "status": "completed",
}
CODE_AT = {"item_id": "ci_1", "output_index": 0}

CASES: dict[str, list[Json]] = {
    "nothing": [],
    "text": streamed_text(0, ["Hel", "lo", ""]),
    "two parts": streamed_text(0, ["a", "b"], ["c"]),
    "two messages": [*streamed_text(0, ["a"]), *streamed_text(1, ["b"])],
    "phases": [
        *streamed_text(0, ["hm"], phase="commentary"),
        *streamed_text(1, ["a", "b"], phase="final_answer"),
    ],
    "annotations": annotated(0, URL, FILE),
    "reasoning": [*streamed_reasoning(0), *streamed_text(1, ["a"])],
    "reasoning summary": [*streamed_reasoning(0, ["a", "b"], ["c"]), *streamed_text(1, ["d"])],
    "encrypted reasoning": streamed_reasoning(0, ["a"], encrypted_content="gAAA"),
    "encrypted without summary": streamed_reasoning(0, encrypted_content="gAAA"),
    "two reasonings": [*streamed_reasoning(0, ["a"]), *streamed_reasoning(1, ["b"])],
    "call": streamed_call(0, '{"x"', ": 1}"),
    "call without arguments": streamed_call(0, "{}"),
    "two calls": [*streamed_call(0, '{"x": 1}'), *streamed_call(1, '{"y"', ": 2}")],
    "asynchronous call": streamed_call(0, "{}", **{"async": True, "namespace": "n"}),
    "reasoning, text, call": [
        *streamed_reasoning(0, ["a"]),
        *streamed_text(1, ["b"]),
        *streamed_call(2, "{}"),
    ],
    "custom call": streamed_custom(0, 'print("è', '\n")'),
    "search": [
        *streamed_native(
            0,
            SEARCH,
            event("web_search_call.in_progress", item_id="ws_1", output_index=0),
            event("web_search_call.searching", item_id="ws_1", output_index=0),
            event("web_search_call.completed", item_id="ws_1", output_index=0),
        ),
        *annotated(1, URL),
    ],
    "code": streamed_native(
        0,
        CODE,
        event("code_interpreter_call_code.delta", **CODE_AT, delta="1"),
        event("code_interpreter_call_code.done", **CODE_AT, code="1"),
        event("code_interpreter_call.completed", **CODE_AT),
    ),
    "image": streamed_native(0, IMAGE, DRAFT),
    "mcp": [
        *streamed_native(
            0, {"type": "mcp_list_tools", "id": "l", "server_label": "s", "tools": []}
        ),
        *streamed_native(
            1,
            {"type": "mcp_call", "id": "m", "name": "t", "server_label": "s", "arguments": "{}"},
            event("mcp_call_arguments.delta", item_id="m", output_index=1, delta="{}"),
            event("mcp_call_arguments.done", item_id="m", output_index=1, arguments="{}"),
        ),
        *streamed_native(
            2,
            {
                "type": "mcp_approval_request",
                "id": "r",
                "name": "t",
                "arguments": "{}",
                "server_label": "s",
            },
        ),
    ],
    "file search": streamed_native(
        0, {"type": "file_search_call", "id": "fs", "queries": ["q"], "status": "completed"}
    ),
    "computer": streamed_native(
        0,
        {
            "type": "computer_call",
            "id": "cu",
            "call_id": "c",
            "action": {"type": "wait"},
            "pending_safety_checks": [],
            "status": "completed",
        },
    ),
    "tool search": [
        *streamed_native(
            0,
            {
                "type": "tool_search_call",
                "id": "ts",
                "execution": "server",
                "arguments": {"a": None},
                "status": "completed",
            },
        ),
        *streamed_native(
            1,
            {
                "type": "tool_search_output",
                "id": "to",
                "execution": "server",
                "tools": [],
                "status": "completed",
            },
        ),
    ],
    "patch": streamed_native(
        0,
        {
            "type": "apply_patch_call",
            "id": "ap",
            "call_id": "c",
            "status": "completed",
            "operation": {"type": "delete_file", "path": "p"},
        },
    ),
    "compaction": [
        *streamed_native(0, {"type": "compaction", "id": "cmp", "encrypted_content": "g"}),
        *streamed_text(1, ["a"]),
    ],
    "done events that report another place": [
        *streamed_native(0, SEARCH),
        *streamed_text(1, ["a", "b"])[:-3],
        event(
            "output_text.done",
            item_id="msg_1",
            output_index=3,
            content_index=0,
            text="",
            logprobs=[],
        ),
    ],
    "events without use": [
        event("queued", response=response(status="queued")),
        event("audio.delta", delta="x"),
        event("audio.done"),
        event("audio.transcript.delta", delta="x"),
        event("audio.transcript.done"),
        event("reasoning_text.delta", item_id="r", output_index=0, content_index=0, delta="x"),
        event("reasoning_text.done", item_id="r", output_index=0, content_index=0, text="x"),
        event("refusal.delta", item_id="r", output_index=0, content_index=0, delta="x"),
        event("file_search_call.searching", item_id="f", output_index=0),
        event("mcp_list_tools.failed", item_id="f", output_index=0),
        event("compaction.compacting", item_id="f", output_index=0),
        event("shell_call_command.delta", output_index=0, command_index=0, delta="l"),
        event("brand_new", anything=1),
    ],
    "cut short": [],
}


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", CASES)
def test_a_stream_merges_to_the_same_message(name: str, version: str | None) -> None:
    body = sse(*stream(*CASES[name], end=ENDS.get(name)))
    theirs = merged(Wire(body).peer(output_version=version), "q")
    ours = merged(WireModel(body=body, output_version=version), "q")
    assert facts(ours) == facts(theirs)
    assert ours.content_blocks == theirs.content_blocks


PARITY = [
    name
    for name in CASES
    # A streamed call lacks the status of its item: it came to its end, or the stream failed.
    if "call" not in name
    and name not in ("events without use", "done events that report another place", "cut short")
] + ["custom call"]


@pytest.mark.parametrize("name", PARITY)
def test_a_stream_merges_to_the_plain_answer(name: str) -> None:
    # In v0 both lose items of a kind after the first, and not the same ones.
    output = [
        entry["item"] for entry in CASES[name] if entry["type"] == "response.output_item.done"
    ]
    for at in {"annotations": [0], "search": [1]}.get(name, []):
        output[at]["content"][0]["annotations"] = [URL, FILE] if at == 0 else [URL]
    whole = json.dumps(response(output)).encode()
    body = sse(*stream(*CASES[name], end=event("completed", response=response(output))))
    together = merged(WireModel(body=body), "q")
    at_once = plain(WireModel(body=whole), "q")
    for field in ("tool_calls", "usage_metadata", "id", "response_metadata", "additional_kwargs"):
        assert getattr(together, field) == getattr(at_once, field)
    assert bare(together.content) == bare(at_once.content)


def bare(value: Any) -> Any:
    """Leave out what LangChain needs only while it merges, and empty annotations."""
    if isinstance(value, list):
        return [bare(entry) for entry in value]
    if not isinstance(value, dict):
        return value
    return {
        key: bare(entry)
        for key, entry in value.items()
        if key != "index" and not (key == "annotations" and not entry)
    }
