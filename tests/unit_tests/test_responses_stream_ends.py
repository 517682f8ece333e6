"""Streams of the Responses API: what `ChatOpenAI` has not, endings, errors and cut bytes."""

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
from responses_events import (
    DRAFT,
    ENDS,
    IMAGE,
    event,
    opened,
    response,
    stream,
    streamed_call,
    streamed_custom,
    streamed_native,
    streamed_reasoning,
    streamed_text,
)
from responses_replay import (
    Json,
    events_of,
    recording,
)

from langchain_tamma_openai.errors import (
    QuotaExceededError,
    RateLimitError,
    StreamInterruptedError,
)
from langchain_tamma_openai.transport.translate import translate
from langchain_tamma_openai.wire.responses_stream import ResponsesStreamDecoder
from langchain_tamma_openai.wire.sse import SSEDecoder

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
