"""Recorded traffic of the real API: same requests and same messages as `ChatOpenAI`."""

from __future__ import annotations

import json
from typing import Any, cast

import pytest
from langchain_core.language_models.chat_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, ToolMessage
from pydantic import BaseModel
from responses_replay import (
    VERSIONS,
    Json,
    Wire,
    WireModel,
    facts,
    merged,
    plain,
    recording,
    recordings,
)

from langchain_tamma_openai.wire.responses_params import responses_body, responses_payload


class Foo(BaseModel):
    response: str


ANSWERS = list(recordings())
PLAIN = [(name, n) for name, n in ANSWERS if not recording(name)[n][0].get("stream")]
STREAMED = [(name, n) for name, n in ANSWERS if recording(name)[n][0].get("stream")]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(("name", "number"), PLAIN)
def test_a_plain_answer_gives_the_same_message(name: str, number: int, version: str | None) -> None:
    body = recording(name)[number][1]
    theirs = plain(Wire(body).peer(output_version=version), "hi")
    assert facts(plain(WireModel(body=body, output_version=version), "hi")) == facts(theirs)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(("name", "number"), STREAMED)
def test_a_streamed_answer_merges_to_the_same_message(
    name: str, number: int, version: str | None
) -> None:
    body = recording(name)[number][1]
    theirs = merged(Wire(body).peer(output_version=version), "hi")
    ours = merged(WireModel(body=body, output_version=version), "hi")
    assert facts(ours) == facts(theirs)
    assert ours.content_blocks == theirs.content_blocks


def telling(model: BaseChatModel) -> list[Json]:
    """Stream and list the chunks that say anything."""
    chunks = [facts(cast("AIMessage", chunk)) for chunk in model.stream("hi")]
    return [chunk for chunk in chunks if any(chunk[field] for field in SAYING)]


SAYING = ("content", "additional_kwargs", "tool_call_chunks", "chunk_position")


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    ("name", "number"),
    # A custom tool's input comes in pieces here, and whole there.
    [(name, n) for name, n in STREAMED if name != "test_custom_tool"],
)
def test_streamed_chunks_are_the_same_one_by_one(
    name: str, number: int, version: str | None
) -> None:
    body = recording(name)[number][1]
    theirs = telling(Wire(body).peer(output_version=version))
    assert telling(WireModel(body=body, output_version=version)) == theirs


@pytest.mark.parametrize("schema", [Foo, {"title": "Foo", "type": "object", "properties": {}}])
@pytest.mark.parametrize("version", VERSIONS)
def test_structured_output_is_parsed_the_same(schema: Any, version: str | None) -> None:
    (_, whole), (_, stream) = recording("test_parsed_pydantic_schema")
    theirs = plain(Wire(whole).peer(output_version=version), "hi", response_format=schema)
    ours = plain(WireModel(body=whole, output_version=version, schema_=schema), "hi")
    assert ours.additional_kwargs["parsed"]
    assert facts(ours) == facts(theirs)
    theirs = merged(Wire(stream).peer(output_version=version), "hi", response_format=schema)
    ours = merged(WireModel(body=stream, output_version=version, schema_=schema), "hi")
    assert ours.additional_kwargs["parsed"]
    assert facts(ours) == facts(theirs)


def answer(name: str, number: int, version: str | None) -> AIMessage:
    request, body = recording(name)[number]
    model = WireModel(body=body, output_version=version)
    return merged(model, "hi") if request.get("stream") else plain(model, "hi")


def first_question(name: str) -> HumanMessage:
    return HumanMessage(recording(name)[0][0]["input"][0]["content"])


def parameters(request: Json) -> Json:
    return {key: value for key, value in request.items() if key != "input"}


@pytest.mark.parametrize(
    ("name", "number"),
    [(name, n) for name, n in ANSWERS if len(recording(name)[n][0]["input"]) == 1],
)
def test_a_first_request_is_the_recorded_one(name: str, number: int) -> None:
    request = recording(name)[number][0]
    item = request["input"][0]
    block = item.get("content") or [item]
    payload = responses_payload([HumanMessage(block)], parameters(request))
    assert responses_body(payload) == request


def follow_up(name: str, answered: int, *last: BaseMessage) -> Any:
    return name, answered, last


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    ("name", "answered", "last"),
    [
        follow_up(
            "test_agent_loop_streaming",
            0,
            ToolMessage("It's sunny.", tool_call_id="call_i6xKhAibHFyhNK5A858ausTW"),
        ),
        follow_up(
            "test_code_interpreter", 1, HumanMessage("Please add more comments to the code.")
        ),
        follow_up(
            "test_custom_tool",
            0,
            ToolMessage(
                [{"type": "custom_tool_call_output", "output": "27"}],
                tool_call_id="call_NMTGnJ81JIANUjcp34Z0IILd",
            ),
        ),
        follow_up("test_stream_reasoning_summary", 0, HumanMessage("Thank you.")),
        follow_up("test_web_search", 1, HumanMessage("what about a negative one")),
        follow_up("test_mcp_builtin", 0, HumanMessage("go on")),
    ],
)
def test_the_next_request_carries_the_answer_as_theirs_does(
    name: str, answered: int, last: tuple[BaseMessage, ...], version: str | None
) -> None:
    messages = [first_question(name), answer(name, answered, version), *last]
    recorded = recording(name)[answered + 1][0]
    if (name, version) == ("test_custom_tool", "v0"):
        # There the call goes out twice, as a function call and as what it is.
        assert [item.get("type") for item in responses_payload(messages, {})["input"]] == [
            "message", "reasoning", "custom_tool_call", "custom_tool_call_output",
        ]  # fmt: skip
        return
    peer = Wire(b"").peer(output_version=version)
    for store in cast("list[Json]", [{}, {"store": False}]):
        theirs = peer._get_request_payload(messages, **store)
        assert responses_payload(messages, store)["input"] == theirs["input"]
    if version == "responses/v1" and len(recorded["input"]) > 1:
        assert responses_payload(messages, parameters(recorded)) == recorded


@pytest.mark.parametrize("name", ["test_web_search", "test_mcp_builtin"])
def test_only_what_follows_the_last_answer_is_sent_beside_its_id(name: str) -> None:
    request = recording(name)[2 if name == "test_web_search" else 1][0]
    item = request["input"][0]
    last = HumanMessage(item.get("content") or [item])
    messages = [first_question(name), answer(name, 0, "responses/v1"), last]
    params = {key: value for key, value in parameters(request).items() if "previous" not in key}
    assert responses_payload(messages, params, use_previous_response_id=True) == request


def test_a_pydantic_response_format_is_sent_as_recorded() -> None:
    whole, stream = (request for request, _ in recording("test_parsed_pydantic_schema"))
    question = [HumanMessage("how are ya")]
    params = {"model": "gpt-4o-mini", "stream": False, "response_format": Foo}
    assert responses_body(responses_payload(question, params)) == whole
    params["stream"] = True
    assert json.loads(json.dumps(responses_payload(question, params))) == stream
