"""Tool calls judged in streams as in plain answers, over both APIs and all forms of content."""

from __future__ import annotations

import asyncio
import itertools
import json
import pickle
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from langchain_core.load import dumps, loads
from langchain_core.messages import AIMessage, AIMessageChunk
from mock_api import ALL_WAYS, Json, MockAPI, chunk, completion, merged, usage_chunk
from pydantic import BaseModel
from responses_api import answered, function_call, serving, text_message

from langchain_tamma_openai import ChatTammaOpenAI

SCHEMA: Json = {
    "type": "object",
    "properties": {"usd": {"type": "number"}, "to": {"type": "string"}},
    "required": ["usd", "to"],
    "additionalProperties": False,
}
TOOLS = [{"type": "function", "function": {"name": "pay", "parameters": SCHEMA}}]
GOOD = '{"usd": 1, "to": "Ann"}'
MISFIT = '{"usd": "1"}'
BROKEN = '{"usd": 1, "to": "Ann",}'
CUT = '{"usd": 1, "t'
BOTH = '{"usd": "1",}'
TEXTS = (GOOD, MISFIT, BROKEN, CUT, BOTH)
PAIRS = [*itertools.combinations_with_replacement(TEXTS, 2), (MISFIT, GOOD), (BROKEN, GOOD)]
POLICIES = ("strict", "repair", "off")
CUT_SHORT: Json = {"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}}


def plain(texts: tuple[str, ...], ids: tuple[str | None, ...], reason: str) -> Json:
    calls = [
        {"id": call_id, "type": "function", "function": {"name": "pay", "arguments": text}}
        for text, call_id in zip(texts, ids, strict=True)
    ]
    return completion({"content": None, "tool_calls": calls}, reason)


def events(texts: tuple[str, ...], ids: tuple[str | None, ...], reason: str) -> list[Json]:
    deltas: list[Json] = []
    for index, (text, call_id) in enumerate(zip(texts, ids, strict=True)):
        function = {"name": "pay", "arguments": text[:5]}
        deltas.append({"index": index, "id": call_id, "type": "function", "function": function})
        deltas.append({"index": index, "function": {"arguments": text[5:]}})
    opened = chunk({"role": "assistant", "content": None})
    return [
        opened,
        *(chunk({"tool_calls": [each]}) for each in deltas),
        chunk({}, reason),
        usage_chunk(),
    ]


def chat(
    *texts: str, ids: tuple[str | None, ...] | None = None, cut: bool = False, **fields: Any
) -> ChatTammaOpenAI:
    """A model whose answers on Chat Completions are these calls."""
    given_ids = ids or tuple(f"call_{number}" for number, _ in enumerate(texts, 1))
    reason = "length" if cut else "tool_calls"

    def reply(body: Json) -> Any:
        write = events if body.get("stream") else plain
        return write(texts, given_ids, reason)

    return MockAPI(reply).tamma(use_responses_api=False, **fields)


def responses(*texts: str, cut: bool = False, **fields: Any) -> ChatTammaOpenAI:
    """A model whose answers on the Responses API are a text and these calls."""
    calls = [function_call("pay", text, number) for number, text in enumerate(texts, 1)]
    whole = answered(text_message("Well"), *calls, **(CUT_SHORT if cut else {}))
    return serving(whole).tamma(use_responses_api=True, **fields)


def streaming(model: ChatTammaOpenAI, given_input: Any, **kwargs: Any) -> AIMessage:
    return model.model_copy(update={"streaming": True}).invoke(given_input, **kwargs)


async def last_event(model: ChatTammaOpenAI, **kwargs: Any) -> AIMessage:
    stream = model.astream_events("Pay", version="v2", **kwargs)
    found = [each async for each in stream if each["event"] == "on_chat_model_end"]
    output = found[-1]["data"]["output"]
    assert isinstance(output, AIMessage)
    return output


def _events(model: ChatTammaOpenAI, _: Any, **kwargs: Any) -> AIMessage:
    return asyncio.run(last_event(model, **kwargs))


WAYS: dict[str, Any] = {**ALL_WAYS, "streaming=True": streaming, "astream_events": _events}


def judged(message: AIMessage) -> Json:
    return {
        "valid": message.tool_calls,
        "invalid": message.invalid_tool_calls,
        "repairs": message.response_metadata.get("tool_argument_repairs"),
        "content": call_blocks(message.content),
        "blocks": call_blocks(message.content_blocks),
    }


def call_blocks(blocks: Any) -> list[Any]:
    """The calls among content blocks; their order is not that of the stream in plain answers."""
    keys = ("type", "id", "call_id", "name", "args", "arguments", "error")
    calls = [block for block in blocks if isinstance(block, dict) and "call" in block["type"]]
    return sorted((tuple(repr(call.get(key)) for key in keys) for call in calls), key=str)


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("version", [None, "v0", "responses/v1", "v1"])
def test_streams_of_responses_sort_calls_as_plain_answers_do(
    policy: str, version: str | None
) -> None:
    for texts, cut in itertools.product(PAIRS, sorted({False, policy == "repair"})):
        model = responses(*texts, cut=cut, tool_argument_policy=policy, output_version=version)
        expected = judged(model.invoke("Pay", tools=TOOLS))
        assert judged(WAYS["stream"](model, "Pay", tools=TOOLS)) == expected, (texts, cut)


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("version", [None, "v1"])
@pytest.mark.parametrize("ids", [("a", "b"), (None, None), ("a", "a")], ids=str)
def test_streams_of_chat_completions_sort_calls_as_plain_answers_do(
    policy: str, version: str | None, ids: tuple[str | None, ...]
) -> None:
    for texts, cut in itertools.product(PAIRS, sorted({False, policy == "repair"})):
        model = chat(*texts, ids=ids, cut=cut, tool_argument_policy=policy, output_version=version)
        expected = judged(model.invoke("Pay", tools=TOOLS))
        streamed = judged(WAYS["stream"](model, "Pay", tools=TOOLS))
        if version == "v1":
            # Blocks of plain answers are those of ChatOpenAI, without calls that are no JSON.
            for name in ("content", "blocks"):
                assert set(expected.pop(name)) <= set(streamed.pop(name))
        assert streamed == expected, (texts, cut)


@pytest.mark.parametrize("make", [chat, responses])
@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_every_way_names_the_reason_and_keeps_no_verdict(way: Any, make: Any) -> None:
    message = way(make(GOOD, MISFIT), "Pay", tools=TOOLS)
    assert [call["id"] for call in message.tool_calls] == ["call_1"]
    (invalid,) = message.invalid_tool_calls
    assert (invalid["id"], invalid["args"]) == ("call_2", MISFIT)
    assert "'to' is a required property" in invalid["error"]
    is_whole = not isinstance(message, AIMessageChunk)
    assert not (is_whole and "tool_argument_verdicts" in message.response_metadata)


@pytest.mark.parametrize("make", [chat, responses])
@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_a_repair_is_recorded_and_a_cut_answer_is_never_repaired(way: Any, make: Any) -> None:
    message = way(make(BROKEN, tool_argument_policy="repair"), "Pay", tools=TOOLS)
    assert [call["args"] for call in message.tool_calls] == [{"usd": 1, "to": "Ann"}]
    (note,) = message.response_metadata["tool_argument_repairs"]
    assert (note["id"], note["original"]) == ("call_1", BROKEN)
    assert note["repairs"] == ["trailing_comma"]
    cut = way(make(BROKEN, cut=True, tool_argument_policy="repair"), "Pay", tools=TOOLS)
    assert cut.tool_calls == []
    assert "tool_argument_repairs" not in cut.response_metadata


@pytest.mark.parametrize("make", [chat, responses])
def test_many_parallel_calls_each_get_their_own_verdict(make: Any) -> None:
    texts = [TEXTS[number % len(TEXTS)] for number in range(30)]
    model = make(*texts, tool_argument_policy="repair")
    expected = judged(model.invoke("Pay", tools=TOOLS))
    assert judged(WAYS["stream"](model, "Pay", tools=TOOLS)) == expected
    assert [len(expected["valid"]), len(expected["invalid"])] == [12, 18]


def test_a_tool_that_was_not_bound_is_left_to_whoever_runs_the_tools() -> None:
    other = [{"type": "function", "function": {"name": "other", "parameters": SCHEMA}}]
    for way in WAYS.values():
        assert len(way(chat(MISFIT), "Pay", tools=other).tool_calls) == 1
        assert len(way(chat(MISFIT), "Pay").tool_calls) == 1


@pytest.mark.parametrize("make", [chat, responses])
@pytest.mark.parametrize("version", [None, "v1"])
@settings(max_examples=12, deadline=None, phases=[Phase.explicit, Phase.generate])
@given(st.data())
def test_chunks_may_be_merged_in_any_grouping(make: Any, version: str | None, data: Any) -> None:
    texts = data.draw(st.lists(st.sampled_from(TEXTS), min_size=1, max_size=3))
    model = make(*texts, tool_argument_policy="repair", output_version=version)
    pieces = [*model.stream("Pay", tools=TOOLS)]
    expected = merged(pieces)
    while len(pieces) > 1:
        place = data.draw(st.integers(0, len(pieces) - 2))
        pieces[place : place + 2] = [pieces[place] + pieces[place + 1]]
    for key in ("valid", "invalid", "repairs"):
        assert judged(pieces[0])[key] == judged(expected)[key]


def test_a_merged_stream_keeps_its_verdict_when_it_is_copied_stored_or_added_to() -> None:
    whole = merged([*chat(GOOD, MISFIT).stream("Pay", tools=TOOLS)])
    copies = [
        whole.model_copy(deep=True),
        pickle.loads(pickle.dumps(whole)),  # noqa: S301 - our own bytes
        whole + AIMessageChunk(content=""),
        type(whole).model_validate(whole.model_dump()),
    ]
    for copy in copies:
        assert (copy.tool_calls, copy.invalid_tool_calls) == (
            whole.tool_calls,
            whole.invalid_tool_calls,
        )
    message = chat(GOOD, MISFIT).invoke("Pay", tools=TOOLS)
    stored = loads(dumps(message), allowed_objects="messages")
    assert stored.invalid_tool_calls == whole.invalid_tool_calls


def test_a_class_that_was_asked_for_judges_the_values_itself() -> None:
    class Pay(BaseModel):
        """Pay somebody."""

        usd: float
        to: str

    def reply(body: Json) -> Any:
        write = events if body.get("stream") else plain
        made = write(('{"usd": "1.5", "to": "Ann"}',), ("c",), "stop")
        return _renamed(made)

    model = MockAPI(reply).tamma(use_responses_api=False)
    structured = model.with_structured_output(Pay, method="function_calling")
    assert structured.invoke("Pay") == Pay(usd=1.5, to="Ann")
    assert [*structured.stream("Pay")][-1] == Pay(usd=1.5, to="Ann")


def _renamed(body: Any) -> Any:
    """Call the tool as the class is called."""
    return json.loads(json.dumps(body).replace('"pay"', '"Pay"'))
