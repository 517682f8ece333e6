"""Streams of the Responses API: merged chunks equal `ChatOpenAI`'s and the plain call."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any, cast

import openai
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from langchain_core.messages import AIMessage, AIMessageChunk
from langchain_core.outputs import ChatGenerationChunk
from pydantic import BaseModel
from responses_replay import (
    VERSIONS,
    Json,
    Wire,
    WireModel,
    events_of,
    facts,
    merged,
    plain,
    recording,
    sse,
)

from langchain_tamma_openai.errors import (
    QuotaExceededError,
    RateLimitError,
    StreamInterruptedError,
)
from langchain_tamma_openai.transport.translate import translate
from langchain_tamma_openai.wire.responses_stream import ResponsesStreamDecoder
from langchain_tamma_openai.wire.sse import SSEDecoder

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
ENDS = {
    "cut short": event(
        "incomplete",
        response=response(status="incomplete", incomplete_details={"reason": "max_output_tokens"}),
    )
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


# --- beyond ChatOpenAI ---------------------------------------------------------------------------


def decoded(events: list[Json], **options: Any) -> list[ChatGenerationChunk]:
    decoder = ResponsesStreamDecoder(**options)
    chunks = [chunk for entry in events if (chunk := decoder.decode_event(entry)) is not None]
    return [*chunks, decoder.finish()]


def whole_message(events: list[Json], **options: Any) -> AIMessageChunk:
    first, *others = [chunk.message for chunk in decoded(events, **options)]
    return cast("AIMessageChunk", cast("AIMessageChunk", first) + others)


def test_a_refusal_merges_to_the_plain_answer() -> None:
    where = {"item_id": "msg_0", "output_index": 0, "content_index": 0}
    events = stream(
        opened(0, {"type": "message", "id": "msg_0", "role": "assistant", "content": []}),
        event("refusal.delta", **where, delta="n"),
        event("refusal.delta", **where, delta="o"),
        event("refusal.done", **where, refusal="no"),
    )
    block = {"type": "refusal", "refusal": "no", "id": "msg_0", "index": 0}
    assert whole_message(events).content == [block]
    assert whole_message(events, output_version="v0").additional_kwargs == {"refusal": "no"}


def test_open_reasoning_text_comes_with_its_item() -> None:
    content = [{"type": "reasoning_text", "text": "hm"}]
    assert whole_message(stream(*streamed_reasoning(0, content=content))).content == [
        {"type": "reasoning", "id": "rs_0", "summary": [], "content": content, "index": 0}
    ]


def test_interleaved_items_keep_their_blocks() -> None:
    one, two = streamed_call(0, '{"x"', ": 1}"), streamed_call(1, '{"y"', ": 2}")
    mixed = [entry for pair in zip(one, two, strict=True) for entry in pair]
    message = whole_message(stream(*mixed))
    assert [call["args"] for call in message.tool_calls] == [{"x": 1}, {"y": 2}]
    assert [cast("Json", block)["index"] for block in message.content] == [0, 1]


def test_arguments_that_come_whole_are_not_lost() -> None:
    added, closing = streamed_call(0, '{"x": 1}')[0], streamed_call(0, '{"x": 1}')[-1]
    message = whole_message(stream(added, closing))
    assert message.tool_calls[0]["args"] == {"x": 1}
    assert cast("Json", message.content[0])["arguments"] == '{"x": 1}'


def test_empty_arguments_are_whole_where_a_tool_takes_none() -> None:
    events = stream(*streamed_call(0), *streamed_call(1, name="g"))
    message = whole_message(events, takes_no_arguments="f".__eq__)
    assert [call["args"] for call in message.tool_calls] == [{}]
    assert [call["name"] for call in message.invalid_tool_calls] == ["g"]


@pytest.mark.parametrize("cut", [1, 2])
def test_a_call_cut_short_is_invalid(cut: int) -> None:
    pieces = ['{"x"', ": 1", "}"][:cut]
    message = whole_message(stream(*streamed_call(0, *pieces), end=ENDS["cut short"]))
    assert message.tool_calls == []
    assert message.invalid_tool_calls[0]["args"] == "".join(pieces)


def test_a_custom_tools_input_streams_in_pieces() -> None:
    chunks = decoded(stream(*streamed_custom(0, "pr", "int")))
    pieces = [piece for chunk in chunks for piece in _pieces(chunk)]
    assert [piece["args"] for piece in pieces] == ['{"__arg1": "', "pr", "int", '"}']


def _pieces(chunk: ChatGenerationChunk) -> list[Any]:
    return list(cast("AIMessageChunk", chunk.message).tool_call_chunks)


@pytest.mark.parametrize("keep", [slice(0, None, 3), slice(3, None)])
def test_a_custom_tools_input_that_comes_whole_is_not_lost(keep: slice) -> None:
    events = streamed_custom(0, 'a"b')[keep]
    message = whole_message(stream(*events))
    assert message.tool_calls[0]["args"] == {"__arg1": 'a"b'}
    assert message.tool_calls[0]["name"] == "run"


def test_shell_items_are_kept() -> None:
    item = {"type": "shell_call", "id": "sh", "call_id": "c", "action": {"commands": ["ls"]}}
    assert whole_message(stream(*streamed_native(0, item))).content == [{**item, "index": 0}]


@pytest.mark.parametrize("version", ["v0", "responses/v1", "v1"])
def test_drafts_of_an_image_are_handed_out_where_wanted(version: str) -> None:
    second = {**DRAFT, "partial_image_index": 1, "partial_image_b64": "iVBO"}
    events = stream(*streamed_native(0, IMAGE, DRAFT, second))
    chunks = decoded(events, partial_images=True, output_version=version)
    drafts = [
        block["base64"]
        for chunk in chunks
        for block in cast("list[Json]", chunk.message.content)
        if block["type"] == "partial_image"
    ]
    assert drafts == ["iVB", "iVBO"]
    together = whole_message(events, partial_images=True, output_version=version)
    kinds = [block["type"] for block in together.content_blocks]
    assert kinds.count("non_standard") == 2
    assert kinds.count("image") == 1


class Point(BaseModel):
    x: int


@pytest.mark.parametrize(
    ("schema", "text", "expected"),
    [
        (Point, '{"x": 1}', {"parsed": Point(x=1)}),
        ({"title": "Point"}, '{"x": 1}', {"parsed": {"x": 1}}),
        (Point, '{"x": ', {"parsed": None}),
        (None, '{"x": 1}', {}),
    ],
)
def test_structured_output_is_parsed_at_the_end(schema: Any, text: str, expected: Json) -> None:
    output = [{"type": "message", "id": "m", "content": [{"type": "output_text", "text": text}]}]
    config = {"format": {"type": "json_schema"}}
    last = event("completed", response=response(output, text=config))
    message = whole_message(stream(*streamed_text(0, [text]), end=last), schema=schema)
    assert message.additional_kwargs == expected


def test_headers_and_gateway_facts_ride_on_the_first_chunk() -> None:
    headers = {"headers": {"x": "y"}}
    chunks = decoded(
        stream(*streamed_text(0, ["a"])),
        first_metadata=headers,
        first_generation_info={"gateway": 1},
    )
    assert chunks[0].message.response_metadata["headers"] == {"x": "y"}
    assert chunks[0].generation_info == {"gateway": 1}
    assert all("headers" not in chunk.message.response_metadata for chunk in chunks[1:])
    assert all(chunk.generation_info is None for chunk in chunks[1:])


def test_a_stream_joined_late_still_gives_its_first_facts() -> None:
    late = stream(*streamed_text(0, ["a"]))[4:]
    chunks = decoded(late, first_metadata={"h": 1}, first_generation_info={"gateway": 1})
    assert chunks[0].generation_info == {"gateway": 1}
    assert chunks[0].message.response_metadata == {"h": 1, "model_provider": "openai"}


def test_facts_and_place_are_known() -> None:
    decoder = ResponsesStreamDecoder(default_model="asked")
    assert decoder.facts.model == "asked"
    events = stream(*streamed_text(0, ["a"]))
    for entry in events[:3]:
        decoder.decode(json.dumps(entry).encode())
    assert (decoder.response_id, decoder.last_sequence_number) == ("resp_1", 2)
    assert (decoder.done, decoder.whole) == (False, False)
    for entry in events[3:]:
        decoder.decode(json.dumps(entry).encode())
    assert (decoder.done, decoder.whole) == (True, True)
    assert decoder.facts.model == "gpt-test"
    assert decoder.facts.usage_metadata == decoder.finish().message.usage_metadata  # type: ignore[attr-defined]
    assert decoder.last_sequence_number == len(events) - 1


def test_the_text_of_a_chunk_is_its_text() -> None:
    chunks = decoded(stream(*streamed_text(0, ["a", "b"]), *streamed_call(1, "{}")))
    for chunk in chunks:
        assert chunk.text == chunk.message.text
    assert "".join(chunk.text for chunk in chunks) == "ab"


def test_a_built_chunk_and_a_validated_one_are_alike() -> None:
    for chunk in decoded(stream(*streamed_text(0, ["a"]), *streamed_call(1, '{"x":', "1}"))):
        message = cast("AIMessageChunk", chunk.message)
        again = AIMessageChunk.model_validate(message.model_dump())
        assert message == again


# --- endings and errors --------------------------------------------------------------------------


def test_a_stream_that_just_ends_is_an_error() -> None:
    decoder = ResponsesStreamDecoder()
    for entry in stream(*streamed_text(0, ["a"]))[:-1]:
        decoder.decode_event(entry)
    with pytest.raises(StreamInterruptedError, match=r"response\.completed"):
        decoder.finish()


def test_a_done_mark_alone_does_not_make_a_stream_whole() -> None:
    decoder = ResponsesStreamDecoder()
    assert decoder.decode(b"[DONE]") is None
    assert (decoder.done, decoder.whole) == (True, False)


@pytest.mark.parametrize("payload", [b"[1]", b"{", b'"x"'])
def test_a_payload_that_is_no_object_is_an_error(payload: bytes) -> None:
    with pytest.raises(ValueError, match=r"JSON|EOF"):
        ResponsesStreamDecoder().decode(payload)


@pytest.mark.parametrize(
    "entry",
    [
        event("output_text.delta", output_index=0, content_index=0),
        event("output_item.done", output_index=0, item="x"),
        event("completed", response=[1]),
        {"type": ["x"]},
    ],
)
def test_an_event_that_cannot_be_meant_is_an_error(entry: Json) -> None:
    with pytest.raises(ValueError, match="lacks what the API sends"):
        ResponsesStreamDecoder().decode_event(entry)


NESTED = {
    "type": "error",
    "sequence_number": 2,
    "error": {
        "type": "insufficient_quota",
        "code": "credit_balance_exhausted",
        "message": "No credit",
        "param": None,
    },
}
FLAT = {"type": "error", "code": "rate_limit_exceeded", "message": "Slow down", "param": None}


@pytest.mark.parametrize(
    ("entry", "leaf", "code"),
    [
        (NESTED, QuotaExceededError, "credit_balance_exhausted"),
        (FLAT, RateLimitError, "rate_limit_exceeded"),
        (
            event(
                "failed",
                response=response(
                    status="failed", error={"code": "rate_limit_exceeded", "message": "Slow down"}
                ),
            ),
            RateLimitError,
            "rate_limit_exceeded",
        ),
        (event("failed", response={"id": "resp_1"}), openai.InternalServerError, "server_error"),
    ],
)
def test_an_error_in_the_stream_is_raised_with_its_code(
    entry: Json, leaf: type[Exception], code: str
) -> None:
    decoder = ResponsesStreamDecoder()
    with pytest.raises(openai.APIError) as caught:
        decoder.decode_event(entry)
    error = translate(caught.value)
    assert isinstance(error, leaf)
    assert cast("Any", error).code == code


# --- bytes, wherever they are cut ----------------------------------------------------------------


@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_a_recorded_stream_decodes_alike_wherever_its_bytes_are_cut(data: st.DataObject) -> None:
    body = recording("test_code_interpreter")[1][1]
    cuts = sorted(data.draw(st.lists(st.integers(0, len(body)), max_size=12)))
    splitter, decoder = SSEDecoder(), ResponsesStreamDecoder()
    edges = [0, *cuts, len(body)]
    payloads = [entry for cut in pairwise(edges) for entry in splitter.feed(body[slice(*cut)])]
    chunks = [chunk.message for entry in payloads if (chunk := decoder.decode(entry)) is not None]
    chunks.append(decoder.finish().message)
    assert chunks == [chunk.message for chunk in decoded(events_of(body))]


@given(st.lists(st.text(max_size=4), max_size=6))
def test_text_in_any_pieces_is_the_same_text(pieces: list[str]) -> None:
    message = whole_message(stream(*streamed_text(0, pieces)))
    assert message.text == "".join(pieces)


@given(st.text(max_size=12), st.lists(st.integers(0, 12), max_size=4))
def test_custom_input_in_any_pieces_is_the_same_input(text: str, cuts: list[int]) -> None:
    edges = sorted({0, len(text), *(min(cut, len(text)) for cut in cuts)})
    pieces = [text[start:end] for start, end in pairwise(edges)]
    message = whole_message(stream(*streamed_custom(0, *pieces)))
    assert message.tool_calls[0]["args"] == {"__arg1": text}
    block = cast("Json", cast("AIMessage", message).content[0])
    assert block["input"] == text
