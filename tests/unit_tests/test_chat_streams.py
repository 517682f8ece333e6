"""Streamed answers: what they add up to, beside what `ChatOpenAI` makes of the same bytes."""

from __future__ import annotations

import copy
import json
import logging
from itertools import pairwise
from typing import Any

import httpx2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from langchain_core.messages import AIMessage, AIMessageChunk
from mock_api import (
    STREAM_WAYS,
    USAGE,
    Json,
    MockAPI,
    Way,
    chunk,
    completion,
    merged,
    sse,
    stream_once,
    stream_reply,
    text_events,
    usage_chunk,
)
from peer import pair, seen

LOGPROBS = {
    "content": [{"token": "Hi", "logprob": -0.25, "bytes": [72, 105], "top_logprobs": []}],
    "refusal": None,
}
ROLE = chunk({"role": "assistant", "content": "", "refusal": None})
TOOL_ROLE = chunk({"role": "assistant", "content": None})
HI = chunk({"content": "Hi"})


def end(reason: str = "stop", **fields: Any) -> Json:
    return chunk({}, reason, **fields)


def with_logprobs(event: Json) -> Json:
    event = copy.deepcopy(event)
    event["choices"][0]["logprobs"] = LOGPROBS
    return event


def call(index: int | None, call_id: str | None = None, **function: str) -> Json:
    started = {"id": call_id, "type": "function"} if call_id else {}
    place = {} if index is None else {"index": index}
    return {**place, **started, "function": function}


def calls(*deltas: Json) -> Json:
    return chunk({"tool_calls": list(deltas)})


INTERLEAVED = [
    TOOL_ROLE,
    calls(call(0, "c0", name="f", arguments="")),
    calls(call(0, arguments='{"a"')),
    calls(call(1, "c1", name="g", arguments="")),
    calls(call(0, arguments=": 1}")),
    calls(call(1, arguments='{"b": "è"}')),
    end("tool_calls"),
    usage_chunk(),
]
SAME: dict[str, list[Json]] = {
    "text": text_events("Hello you"),
    "role only": [ROLE, end(), usage_chunk()],
    "interleaved parallel tool calls": INTERLEAVED,
    "several tool deltas in one chunk": [
        TOOL_ROLE,
        calls(call(0, "c0", name="f", arguments=""), call(1, "c1", name="g", arguments="")),
        calls(call(0, arguments='{"a": 1}'), call(1, arguments='{"b": 2}')),
        end("tool_calls"),
        usage_chunk(),
    ],
    "text, then a tool call": [
        ROLE,
        HI,
        calls(call(0, "c0", name="f", arguments='{"a": 1}')),
        end("tool_calls"),
        usage_chunk(),
    ],
    "legacy function": [
        TOOL_ROLE,
        chunk({"function_call": {"name": "f", "arguments": ""}}),
        chunk({"function_call": {"arguments": '{"a"'}}),
        chunk({"function_call": {"name": None, "arguments": ": 1}"}}),
        end("function_call"),
        usage_chunk(),
    ],
    "logprobs": [with_logprobs(HI), with_logprobs(HI), end(), usage_chunk()],
    "logprobs with the finish reason": [ROLE, with_logprobs(chunk({"content": "Hi"}, "stop"))],
    "usage with the finish reason": [ROLE, HI, end(usage=USAGE)],
    "no usage": [ROLE, HI, end()],
    "length": text_events(finish_reason="length"),
    "content filter": [ROLE, end("content_filter"), usage_chunk()],
    "flex": [
        ROLE,
        HI,
        end(service_tier="flex"),
        usage_chunk(service_tier="flex"),
    ],
    "no fingerprint": [HI, end(system_fingerprint=None), usage_chunk()],
    "no choices between": [ROLE, chunk({}, choices=None), HI, end(), usage_chunk()],
    "a chunk without choices": [ROLE, {"object": "x"}, HI, end(), usage_chunk()],
    "filter results first": [chunk({}, choices=[], prompt_filter_results=[{}]), HI, end()],
    "null delta": [ROLE, chunk(None), HI, end(), usage_chunk()],  # type: ignore[arg-type]
    "text with the finish reason": [ROLE, chunk({"content": "Hi"}, "stop"), usage_chunk()],
    "message id": [chunk({"role": "assistant", "content": "Hi", "id": "msg_1"}), end()],
    "unknown fields": [chunk({"content": "Hi", "reasoning": "hm"}, x=1), end(obfuscation="ab")],
}


@pytest.mark.parametrize("output_version", [None, "v0", "v1"])
@pytest.mark.parametrize("way", STREAM_WAYS.values(), ids=STREAM_WAYS)
@pytest.mark.parametrize("name", SAME)
def test_stream_is_the_one_of_chat_openai(name: str, way: Way, output_version: str | None) -> None:
    api = MockAPI(SAME[name])
    theirs, ours = (way(model, "Hi") for model in pair(api, output_version=output_version))
    assert seen(ours) == seen(theirs)
    sent_by_them, sent_by_us = api.bodies
    assert sent_by_us == sent_by_them


@pytest.mark.parametrize("name", SAME)
def test_merged_chunks_are_those_of_chat_openai(name: str) -> None:
    api = MockAPI(SAME[name])
    theirs, ours = (merged([*model.stream("Hi")]) for model in pair(api))
    assert seen(ours) == seen(theirs)
    assert ours.tool_call_chunks == theirs.tool_call_chunks
    assert ours.chunk_position == theirs.chunk_position == "last"


@pytest.mark.parametrize("name", SAME)
def test_texts_arrive_as_with_chat_openai(name: str) -> None:
    api = MockAPI(SAME[name])
    theirs, ours = ([piece.text for piece in model.stream("Hi")] for model in pair(api))
    assert [text for text in ours if text] == [text for text in theirs if text]


@pytest.mark.parametrize("way", STREAM_WAYS.values(), ids=STREAM_WAYS)
def test_response_headers_come_once(way: Way) -> None:
    theirs, ours = (
        way(model, "Hi") for model in pair(MockAPI(text_events()), include_response_headers=True)
    )
    assert ours.response_metadata["headers"]["content-type"] == "text/event-stream"
    assert seen(ours) == seen(theirs)


# --- where a stream tells more than ChatOpenAI's ---


@pytest.mark.parametrize("way", STREAM_WAYS.values(), ids=STREAM_WAYS)
def test_refusal_is_kept(way: Way) -> None:
    events = [
        chunk({"role": "assistant", "content": None, "refusal": ""}),
        chunk({"refusal": "I "}),
        chunk({"refusal": "cannot."}),
        end(),
        usage_chunk(),
    ]
    answer = way(MockAPI(events).tamma(), "Hi")
    assert answer.additional_kwargs == {"refusal": "I cannot."}
    assert answer.content == ""


@pytest.mark.parametrize("way", STREAM_WAYS.values(), ids=STREAM_WAYS)
def test_audio_is_put_together(way: Way) -> None:
    pieces: list[Json] = [
        {"id": "audio_1", "transcript": "He"},
        {"transcript": "llo"},
        {"data": "AAAA"},
        {"data": "BBBB"},
        {"expires_at": 1_800_000_000},
    ]
    events = [TOOL_ROLE, *(chunk({"audio": piece}) for piece in pieces), end(), usage_chunk()]
    answer = way(MockAPI(events).tamma(), "Hi")
    assert answer.additional_kwargs["audio"] == {
        "id": "audio_1",
        "transcript": "Hello",
        "data": "AAAABBBB",
        "expires_at": 1_800_000_000,
    }


@pytest.mark.parametrize("way", STREAM_WAYS.values(), ids=STREAM_WAYS)
def test_running_usage_totals_are_not_added_up(way: Way) -> None:
    events = [
        chunk({"role": "assistant", "content": ""}, usage={**USAGE, "completion_tokens": 0}),
        chunk({"content": "Hello"}, usage={**USAGE, "completion_tokens": 3}),
        end(usage=USAGE),
        usage_chunk(),
    ]
    answer = way(MockAPI(events).tamma(), "Hi")
    plain = MockAPI().tamma().invoke("Hi")
    assert answer.usage_metadata == plain.usage_metadata
    assert answer.response_metadata["cost"] == plain.response_metadata["cost"]


@pytest.mark.parametrize("way", STREAM_WAYS.values(), ids=STREAM_WAYS)
def test_tier_that_comes_with_the_usage_is_told_and_priced(way: Way) -> None:
    events = [HI, end(service_tier=None), usage_chunk(service_tier="priority")]
    events[0] = {**HI, "service_tier": None}
    answer = way(MockAPI(events).tamma(), "Hi")
    plain = MockAPI(completion(service_tier="priority")).tamma().invoke("Hi")
    assert answer.response_metadata["service_tier"] == "priority"
    assert answer.usage_metadata == plain.usage_metadata
    assert answer.response_metadata["cost"] == plain.response_metadata["cost"]


@pytest.mark.parametrize(
    "last",
    [chunk(None, "stop"), chunk({}, choices=[{"index": 0, "finish_reason": "stop"}])],  # type: ignore[arg-type]
    ids=["null delta", "no delta"],
)
@pytest.mark.parametrize("way", STREAM_WAYS.values(), ids=STREAM_WAYS)
def test_finish_reason_without_a_delta_is_kept(way: Way, last: Json) -> None:
    answer = way(MockAPI([ROLE, HI, last, usage_chunk()]).tamma(), "Hi")
    assert answer.content == "Hi"
    assert answer.response_metadata["finish_reason"] == "stop"


@pytest.mark.parametrize("way", STREAM_WAYS.values(), ids=STREAM_WAYS)
def test_other_choices_do_not_run_into_the_text(way: Way) -> None:
    def other(event: Json, index: int = 1) -> Json:
        event = copy.deepcopy(event)
        event["choices"][0]["index"] = index
        return event

    mine = text_events("Hello")
    events = [both for event in mine[:-1] for both in (other(event), event)]
    together = {**HI, "choices": [other(HI)["choices"][0], HI["choices"][0]]}
    answer = way(MockAPI([*events[:-2], together, *events[-2:], mine[-1]]).tamma(), "Hi")
    assert answer.content == "HelloHi"
    assert answer.response_metadata["finish_reason"] == "stop"
    assert answer.usage_metadata is not None


def test_end_of_another_choice_is_not_the_end() -> None:
    ended = copy.deepcopy(end("length"))
    ended["choices"][0]["index"] = 1
    answer = stream_once(MockAPI([ROLE, ended, HI, end(), usage_chunk()]).tamma(), "Hi")
    assert (answer.content, answer.response_metadata["finish_reason"]) == ("Hi", "stop")


@pytest.mark.parametrize("way", STREAM_WAYS.values(), ids=STREAM_WAYS)
def test_tool_calls_without_index_are_told_apart_by_their_ids(way: Way) -> None:
    events = [
        calls(call(None, "c0", name="f", arguments='{"a"')),
        calls(call(None, arguments=": 1}")),
        calls(call(None, "c1", name="g", arguments='{"b": 2}')),
        end("tool_calls"),
        usage_chunk(),
    ]
    answer = way(MockAPI(events).tamma(), "Hi")
    assert [(item["name"], item["args"], item["id"]) for item in answer.tool_calls] == [
        ("f", {"a": 1}, "c0"),
        ("g", {"b": 2}, "c1"),
    ]


@pytest.mark.parametrize("way", STREAM_WAYS.values(), ids=STREAM_WAYS)
def test_custom_tool_input_is_the_one_of_a_plain_answer(way: Way) -> None:
    text = 'echo "a\\b"\n\té 😀'
    pieces = [text[index : index + 3] for index in range(0, len(text), 3)]
    first = {"index": 0, "id": "c0", "type": "custom", "custom": {"name": "shell", "input": ""}}
    events = [
        TOOL_ROLE,
        calls(first),
        *(calls({"index": 0, "custom": {"input": piece}}) for piece in pieces),
        end("tool_calls"),
        usage_chunk(),
    ]
    answer = way(MockAPI(events).tamma(), "Hi")
    custom = {"id": "c0", "type": "custom", "custom": {"name": "shell", "input": text}}
    plain = completion({"content": None, "tool_calls": [custom]}, "tool_calls")
    assert answer.tool_calls == MockAPI(plain).tamma().invoke("Hi").tool_calls
    assert answer.invalid_tool_calls == []


def test_running_tool_call_shows_the_arguments_so_far() -> None:
    shown: list[Any] = []
    total: AIMessageChunk | None = None
    for piece in MockAPI(INTERLEAVED).tamma().stream("Hi"):
        total = piece if total is None else total + piece
        shown.append([item["args"] for item in total.tool_calls])
    assert shown[:6] == [[], [{}], [{}], [{}, {}], [{"a": 1}, {}], [{"a": 1}, {"b": "è"}]]


# --- a stream gives what a plain answer gives ---


def as_stream(body: Json) -> list[Json]:
    """Events that say what a plain answer says."""
    (choice,) = body["choices"]
    message = choice["message"]
    tool_calls = [
        {"index": index, **item} for index, item in enumerate(message.get("tool_calls") or [])
    ]
    deltas: list[Json] = [
        {"role": "assistant", "content": ""},
        *({"content": letter} for letter in message["content"] or ""),
        *({"tool_calls": [item]} for item in tool_calls),
    ]
    return [*(chunk(delta) for delta in deltas), end(choice["finish_reason"]), usage_chunk()]


PLAIN: dict[str, Json] = {
    "text": completion({"content": "Hello you"}),
    "cut": completion(finish_reason="length"),
    "tools": completion(
        {
            "content": None,
            "tool_calls": [
                {
                    "id": f"c{index}",
                    "type": "function",
                    "function": {"name": "f", "arguments": json.dumps({"a": index})},
                }
                for index in range(3)
            ],
        },
        "tool_calls",
    ),
}


@pytest.mark.parametrize("way", STREAM_WAYS.values(), ids=STREAM_WAYS)
@pytest.mark.parametrize("name", PLAIN)
def test_stream_gives_the_message_of_the_plain_answer(name: str, way: Way) -> None:
    plain = MockAPI(PLAIN[name]).tamma().invoke("Hi")
    streamed = way(MockAPI(as_stream(PLAIN[name])).tamma(), "Hi")
    assert streamed.content == plain.content
    assert streamed.tool_calls == plain.tool_calls
    assert streamed.usage_metadata == plain.usage_metadata
    for key in ("cost", "finish_reason", "model_name", "service_tier", "system_fingerprint"):
        assert streamed.response_metadata[key] == plain.response_metadata[key]


# --- however the bytes arrive ---

EVENTS = [chunk({"content": "Hé\r\n"}), chunk({"content": "😀"}), *INTERLEAVED[1:6], end("length")]
BODY = sse([{"choices": event["choices"], "object": "x"} for event in EVENTS])


def read_in_pieces(pieces: list[bytes]) -> AIMessage:
    return stream_once(MockAPI(stream_reply(*pieces)).tamma(), "Hi")


WHOLE = read_in_pieces([BODY])


def test_a_cut_at_every_byte_gives_the_same_message() -> None:
    assert WHOLE.content == "Hé\r\n😀"
    cuts = [stream_reply(BODY[:place], BODY[place:]) for place in range(len(BODY) + 1)]
    model = MockAPI(*cuts).tamma()
    for _ in cuts:
        assert seen(stream_once(model, "Hi")) == seen(WHOLE)


def test_one_byte_at_a_time_gives_the_same_message() -> None:
    assert seen(read_in_pieces([bytes([byte]) for byte in BODY])) == seen(WHOLE)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, len(BODY)), max_size=12), st.sampled_from([b"\n", b"\r\n", b"\r"]))
def test_any_pieces_and_line_ends_give_the_same_message(cuts: list[int], line_end: bytes) -> None:
    body = BODY.replace(b"\n", line_end)
    places = [0, *sorted(cuts), len(body)]
    pieces = [body[start:stop] for start, stop in pairwise(places)]
    assert seen(read_in_pieces(pieces)) == seen(WHOLE)


NOISY = {
    "comments": BODY.replace(b"data: ", b": keep-alive\n\ndata: "),
    "comments inside events": BODY.replace(b"data: ", b": hm\ndata: "),
    "event names and ids": BODY.replace(b"data: ", b"event: message\nid: 1\nretry: 5\ndata: "),
    "byte order mark": b"\xef\xbb\xbf" + BODY,
    "no space after the colon": BODY.replace(b"data: ", b"data:"),
    "data of several lines": BODY.replace(b', "object": ', b',\ndata: "object": '),
    "empty events": BODY.replace(b"data: ", b"event: ping\ndata:\n\ndata: "),
    "blank lines": BODY.replace(b"\n\n", b"\n\n\n\n"),
    "nothing after done": BODY.removesuffix(b"\n\n"),
    "no done": BODY.removesuffix(b"data: [DONE]\n\n"),
    "no done and no last line end": BODY.removesuffix(b"\n\ndata: [DONE]\n\n"),
    "more after done": BODY + sse([HI]),
}


@pytest.mark.parametrize("name", NOISY)
def test_the_grammar_of_event_streams_is_followed(name: str) -> None:
    assert seen(read_in_pieces([NOISY[name]])) == seen(WHOLE)


# --- asking for the usage ---


@pytest.mark.parametrize(
    ("fields", "kwargs", "expected"),
    [
        ({}, {}, {"include_usage": True}),
        ({"stream_usage": False}, {}, None),
        ({"stream_usage": False}, {"stream_usage": True}, {"include_usage": True}),
        ({"stream_usage": True}, {"stream_usage": False}, None),
        ({"base_url": "http://localhost:8000/v1"}, {}, {"include_usage": True}),
        (
            {"stream_usage": True},
            {"stream_options": {"include_usage": False}},
            {"include_usage": False},
        ),
        (
            {"stream_usage": False},
            {"stream_options": {"include_usage": True}},
            {"include_usage": True},
        ),
        (
            {"model_kwargs": {"stream_options": {"include_usage": False}}},
            {},
            {"include_usage": False},
        ),
        (
            {},
            {"stream_options": {"include_obfuscation": False}},
            {"include_obfuscation": False, "include_usage": True},
        ),
        (
            {"stream_usage": False},
            {"stream_options": {"include_obfuscation": False}},
            {"include_obfuscation": False},
        ),
    ],
)
@pytest.mark.parametrize("way", STREAM_WAYS.values(), ids=STREAM_WAYS)
def test_who_decides_whether_usage_is_asked_for(
    way: Way, fields: Json, kwargs: Json, expected: Json | None
) -> None:
    api = MockAPI()
    way(api.tamma(**fields), "Hi", **kwargs)
    assert api.bodies[0].get("stream_options") == expected


def refusing(body: Json) -> httpx2.Response | list[Json]:
    """Answer as a server that does not know `stream_options`."""
    if "include_usage" not in (body.get("stream_options") or {}):
        return [ROLE, HI, end()]
    message = "Unrecognized request argument supplied: stream_options"
    error = {"message": message, "type": "invalid_request_error", "param": None, "code": None}
    return httpx2.Response(400, json={"error": error})


@pytest.mark.parametrize("way", STREAM_WAYS.values(), ids=STREAM_WAYS)
def test_server_that_refuses_the_option_is_asked_once(
    way: Way, caplog: pytest.LogCaptureFixture, request: pytest.FixtureRequest
) -> None:
    url = f"http://refuses-{request.node.callspec.id}.example/v1"
    api = MockAPI(refusing)
    model = api.tamma(base_url=url)
    with caplog.at_level(logging.INFO, logger="langchain_tamma_openai"):
        answers = [way(model, "Hi") for _ in range(2)]
    answers.append(way(api.tamma(base_url=url), "Hi", stream_options={"include_obfuscation": True}))
    assert [answer.content for answer in answers] == ["Hi"] * 3
    assert [answer.usage_metadata for answer in answers] == [None] * 3
    asked = ["include_usage" in (body.get("stream_options") or {}) for body in api.bodies]
    assert asked == [True, False, False, False]
    assert url in caplog.text


def test_other_options_survive_the_fallback() -> None:
    api = MockAPI(refusing)
    options = {"include_obfuscation": False}
    model = api.tamma(base_url="http://refuses-once.example/v1")
    assert stream_once(model, "Hi", stream_options=options).content == "Hi"
    assert [body["stream_options"] for body in api.bodies] == [
        {**options, "include_usage": True},
        options,
    ]


def test_an_option_the_caller_asked_for_is_not_dropped() -> None:
    from langchain_tamma_openai import InvalidRequestError

    api = MockAPI(refusing)
    model = api.tamma(base_url="http://refuses-explicit.example/v1")
    with pytest.raises(InvalidRequestError, match="stream_options"):
        stream_once(model, "Hi", stream_usage=True)
    assert len(api.requests) == 1
