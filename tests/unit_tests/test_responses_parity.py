"""Recorded traffic through the real client: every way of calling, beside `ChatOpenAI`."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx2
import pytest
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, HumanMessage
from langchain_core.outputs import ChatGenerationChunk
from langchain_openai import ChatOpenAI
from mock_api import ALL_WAYS, PLAIN_WAYS, STREAM_WAYS, Json, MockAPI, Way, stream_reply
from peer import seen
from responses_replay import VERSIONS, events_of, recording, recordings

from langchain_tamma_openai import ChatTammaOpenAI, get_usage_callback

ANSWERS = list(recordings())
STREAMED = [(name, n) for name, n in ANSWERS if recording(name)[n][0].get("stream")]
PLAIN = [answer for answer in ANSWERS if answer not in STREAMED]
ENDS = ("response.completed", "response.incomplete")

versions = pytest.mark.parametrize("version", VERSIONS)
streamed = pytest.mark.parametrize(("name", "number"), STREAMED)
plain_ways = pytest.mark.parametrize("way", PLAIN_WAYS.values(), ids=PLAIN_WAYS)
stream_ways = pytest.mark.parametrize("way", STREAM_WAYS.values(), ids=STREAM_WAYS)


def final(stream: bytes) -> Json:
    """Return the whole response that a stream ends with: the body of a plain answer."""
    found: Json = next(e["response"] for e in events_of(stream) if e["type"] in ENDS)
    return found


def server(name: str, number: int) -> MockAPI:
    """Serve a recorded answer both ways."""
    request, recorded = recording(name)[number]
    whole = final(recorded) if request.get("stream") else json.loads(recorded)

    def answer(body: Json) -> httpx2.Response:
        return stream_reply(recorded) if body.get("stream") else httpx2.Response(200, json=whole)

    return MockAPI(answer)


def model_of(api: MockAPI, version: str | None, **fields: Any) -> ChatTammaOpenAI:
    return api.tamma(use_responses_api=True, output_version=version, **fields)


def peer_of(api: MockAPI, version: str | None) -> ChatOpenAI:
    return api.model(ChatOpenAI, use_responses_api=True, output_version=version)


def told(message: AIMessage) -> Json:
    """What both models tell; the fees of built-in tools are ours alone."""
    everything = seen(message)
    everything["response_metadata"].pop("tool_usage", None)
    return everything


@plain_ways
@versions
@pytest.mark.parametrize(("name", "number"), PLAIN)
def test_a_plain_answer_is_the_message_of_chat_openai(
    name: str, number: int, version: str | None, way: Way
) -> None:
    api = server(name, number)
    assert told(way(model_of(api, version), "hi")) == told(way(peer_of(api, version), "hi"))
    assert api.bodies[0] == api.bodies[1]


@stream_ways
@versions
@streamed
def test_a_streamed_answer_is_the_message_of_chat_openai(
    name: str, number: int, version: str | None, way: Way
) -> None:
    api = server(name, number)
    assert told(way(model_of(api, version), "hi")) == told(way(peer_of(api, version), "hi"))
    assert api.bodies[0] == api.bodies[1]


# --- four ways, one answer ---


def without_marks(block: Any) -> Any:
    """Take off what LangChain has in one kind of answer only: places and states of pieces."""
    if isinstance(block, list):
        return [without_marks(part) for part in block]
    if not isinstance(block, dict):
        return block
    kept = {key: without_marks(value) for key, value in block.items() if key != "index"}
    if not kept.get("annotations", True):
        del kept["annotations"]
    if block.get("type") in ("function_call", "tool_call", "server_tool_result"):
        kept.pop("status", None)
    if isinstance(extras := kept.get("extras"), dict):
        extras.pop("status", None)
    return kept


def essence(message: AIMessage, version: str | None) -> Json:
    metadata = {key: value for key, value in message.response_metadata.items() if key != "headers"}
    answer = {
        "text": str(message.text),
        "tool_calls": message.tool_calls,
        "invalid_tool_calls": message.invalid_tool_calls,
        "usage": message.usage_metadata,
        "metadata": metadata,
    }
    if version == "v0":  # there LangChain merges pieces into other shapes
        return answer
    return {
        **answer,
        "id": message.id,
        "content": without_marks(message.content),
        "content_blocks": without_marks(message.content_blocks),
    }


@versions
@streamed
def test_every_way_gives_the_same_answer_usage_and_cost(
    name: str, number: int, version: str | None
) -> None:
    model = model_of(server(name, number), version)
    answers = {way: essence(call(model, "hi"), version) for way, call in ALL_WAYS.items()}
    first = answers.pop("invoke")
    assert set(first["metadata"]["cost"]) >= {"input_usd", "output_usd", "total_usd"}
    for way, answer in answers.items():
        assert answer == first, way


@streamed
def test_a_block_of_code_costs_the_same_in_every_way(name: str, number: int) -> None:
    model = model_of(server(name, number), None)
    totals = []
    for call in ALL_WAYS.values():
        with get_usage_callback() as usage:
            call(model, "hi")
        totals.append((usage.requests, usage.total_tokens, usage.total_cost_usd))
    assert totals[0][0] == 1
    assert totals[0][1] == final(recording(name)[number][1])["usage"]["total_tokens"]
    assert len(set(totals)) == 1


def test_fees_of_tools_are_told_apart_and_never_priced() -> None:
    name, number = "test_web_search", 1
    recorded = recording(name)[number][1]
    fees = {"web_search": {"num_requests": 3}, "image_gen": {"input_tokens": 5}}
    whole = {**final(recorded), "tool_usage": fees}
    events = [
        {**event, "response": whole} if event["type"] in ENDS else event
        for event in events_of(recorded)
    ]
    body = b"".join(b"data: " + json.dumps(event).encode() + b"\n\n" for event in events)
    api = MockAPI(lambda b: stream_reply(body) if b.get("stream") else whole)
    model, unpriced = model_of(api, None), model_of(server(name, number), None)
    for call in ALL_WAYS.values():
        answer, without = call(model, "hi"), call(unpriced, "hi")
        assert answer.response_metadata["tool_usage"] == fees
        assert answer.response_metadata["cost"] == without.response_metadata["cost"]
        assert answer.usage_metadata == without.usage_metadata


# --- pieces of every size ---


class Collecting:
    """Streams one answer and keeps every chunk."""

    def __init__(self, version: str | None) -> None:
        self.pieces: list[bytes] = []
        self._model = model_of(MockAPI(lambda _body: stream_reply(*self.pieces)), version)

    def chunks(self, *pieces: bytes) -> list[Json]:
        self.pieces = list(pieces)
        return [plainly(chunk) for chunk in self._model._stream([HumanMessage("hi")])]

    async def achunks(self, *pieces: bytes) -> list[Json]:
        self.pieces = list(pieces)
        return [plainly(chunk) async for chunk in self._model._astream([HumanMessage("hi")])]


def plainly(chunk: ChatGenerationChunk) -> Json:
    message = chunk.message
    assert isinstance(message, AIMessageChunk)
    return dict(message.__dict__)


def every(size: int, data: bytes) -> list[bytes]:
    return [data[at : at + size] for at in range(0, len(data), size)]


@pytest.mark.parametrize("size", [1, 5, 64])
@streamed
def test_recorded_streams_in_pieces_of_any_size_give_the_same_chunks(
    name: str, number: int, size: int
) -> None:
    body = recording(name)[number][1]
    collecting = Collecting("responses/v1")
    whole = collecting.chunks(body)
    assert collecting.chunks(*every(size, body)) == whole
    assert asyncio.run(collecting.achunks(*every(size, body))) == whole


def test_a_recorded_stream_split_once_anywhere_gives_the_same_chunks() -> None:
    body = min((recording(name)[n][1] for name, n in STREAMED), key=len)
    collecting = Collecting(None)
    whole = collecting.chunks(body)
    # A prime step visits every kind of place; pieces of one byte, above, split at each.
    for at in range(1, len(body), 7):
        assert collecting.chunks(body[:at], body[at:]) == whole


@pytest.mark.parametrize("newline", [b"\r\n", b"\r"])
@streamed
def test_other_line_ends_give_the_same_chunks(name: str, number: int, newline: bytes) -> None:
    body = recording(name)[number][1]
    collecting = Collecting(None)
    odd = body.replace(b"\r\n", b"\n").replace(b"\n", newline)
    assert collecting.chunks(*every(5, odd)) == collecting.chunks(body)


def test_comments_unknown_events_and_unknown_fields_change_nothing() -> None:
    body = recording("test_agent_loop_streaming")[0][1]
    collecting = Collecting(None)
    events = events_of(body)
    odd = b": keep-alive\n\n"
    for event in events:
        odd += b"event: ping\ndata:\n\n"
        odd += b'data: {"type": "response.novelty.delta", "delta": {"x": [1]}}\n\n'
        odd += b"data: " + json.dumps({**event, "obfuscation": "xx", "new": {}}).encode() + b"\n\n"
    assert collecting.chunks(odd) == collecting.chunks(body)


def test_a_model_of_the_user_s_own_class_is_the_same_model() -> None:
    class Mine(ChatTammaOpenAI):
        pass

    api = server("test_reasoning", 0)
    mine: BaseChatModel = api.model(Mine, use_responses_api=True)
    assert seen(mine.invoke("hi")) == seen(model_of(api, None).invoke("hi"))
