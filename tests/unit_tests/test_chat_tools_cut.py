"""Tool calls cut anywhere: a call is made of strict JSON or of nothing, whatever the way."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, TypeAlias

import pytest
from langchain_core.messages import AIMessage
from mock_api import (
    PLAIN_WAYS,
    STREAM_WAYS,
    Json,
    MockAPI,
    Way,
    chunk,
    completion,
    merged,
    sse,
    stream_reply,
    usage_chunk,
)

from langchain_tamma_openai import ChatTammaOpenAI, StreamInterruptedError

ARGUMENTS = '{"to": "A\\u00e9 \\"x\\" {é😀}", "usd": -12.5e1, "tags": ["a", []], "ok": null}'
EXPECTED = json.loads(ARGUMENTS)
ENDS = ["length", "tool_calls", None]
NO_PARAMETERS: Json = {
    "type": "function",
    "function": {"name": "ping", "parameters": {"type": "object", "properties": {}}},
}
WITH_PARAMETERS: Json = {
    "type": "function",
    "function": {
        "name": "pay",
        "parameters": {"type": "object", "properties": {"usd": {"type": "number"}}},
    },
}

Ask: TypeAlias = Callable[..., AIMessage]


def events(arguments: str, end: str | None, name: str = "pay") -> list[Json]:
    """A stream as the API sends it: the name first, then the arguments in small pieces."""

    def delta(function: Json, **started: str) -> Json:
        return chunk({"tool_calls": [{"index": 0, **started, "function": function}]})

    pieces = [arguments[start : start + 5] for start in range(0, len(arguments), 5)]
    ending = [] if end is None else [chunk({}, end), usage_chunk()]
    return [
        chunk({"role": "assistant", "content": None}),
        delta({"name": name, "arguments": ""}, id="c1", type="function"),
        *(delta({"arguments": piece}) for piece in pieces),
        *ending,
    ]


def body(arguments: object, end: str | None = "tool_calls", name: str = "pay") -> Json:
    function = {"name": name, "arguments": arguments}
    call = {"id": "c1", "type": "function", "function": function}
    return completion({"content": None, "tool_calls": [call]}, end)  # type: ignore[arg-type]


def on_chat(api: MockAPI, **fields: Any) -> ChatTammaOpenAI:
    return api.tamma(use_responses_api=False, **fields)


def check(answer: AIMessage, text: str) -> None:
    """Only the whole text makes a call; anything less is handed on as it came."""
    if text == ARGUMENTS:
        assert answer.invalid_tool_calls == []
        assert [(call["name"], call["args"], call["id"]) for call in answer.tool_calls] == [
            ("pay", EXPECTED, "c1")
        ]
    else:
        assert answer.tool_calls == []
        assert [(call["name"], call["args"]) for call in answer.invalid_tool_calls] == [
            ("pay", text)
        ]
        assert answer.invalid_tool_calls[0]["error"]
    assert "tool_calls" not in answer.additional_kwargs
    blocks = [block for block in answer.content_blocks if block["type"] == "tool_call"]
    assert len(blocks) == len(answer.tool_calls)


async def in_one_loop(model: ChatTammaOpenAI, how: str) -> AIMessage:
    if how == "ainvoke":
        return await model.ainvoke("Hi")
    if how == "astream":
        total = merged([piece async for piece in model.astream("Hi")])
        return AIMessage(**{**dict(total), "type": "ai", "content": total.content})
    *_, last = [event async for event in model.astream_events("Hi", version="v2")]
    output: Any = last["data"].get("output")
    assert isinstance(output, AIMessage)
    return output


@pytest.mark.parametrize("end", ["length", "tool_calls"])
@pytest.mark.parametrize("output_version", [None, "v1"])
@pytest.mark.parametrize("how", ["stream", "streaming invoke", "invoke"])
def test_arguments_cut_at_every_character(how: str, end: str, output_version: str | None) -> None:
    cuts = [ARGUMENTS[:place] for place in range(len(ARGUMENTS) + 1)]
    plain = how == "invoke"
    replies = [body(cut, end) if plain else stream_reply(sse(events(cut, end))) for cut in cuts]
    options: Json = {} if plain else {"streaming": True}
    model = on_chat(MockAPI(*replies), output_version=output_version, **options)
    for cut in cuts:
        answer = STREAM_WAYS["stream"](model, "Hi") if how == "stream" else model.invoke("Hi")
        check(answer, cut)


@pytest.mark.parametrize("end", ["length", "tool_calls"])
@pytest.mark.parametrize("how", ["astream", "ainvoke", "astream_events"])
async def test_arguments_cut_at_every_character_in_async_calls(how: str, end: str) -> None:
    cuts = [ARGUMENTS[:place] for place in range(len(ARGUMENTS) + 1)]
    replies = [stream_reply(sse(events(cut, end))) for cut in cuts]
    model = on_chat(MockAPI(*replies), streaming=True)
    for cut in cuts:
        check(await in_one_loop(model, how), cut)


@pytest.mark.parametrize("how", ["stream", "streaming invoke"])
def test_stream_without_an_end_gives_no_call_at_all(how: str) -> None:
    cuts = [ARGUMENTS[:place] for place in range(len(ARGUMENTS) + 1)]
    replies = [
        stream_reply(sse(events(cut, None), done=done)) for cut in cuts for done in (False, True)
    ]
    model = on_chat(MockAPI(*replies), streaming=True)
    for cut in (cut for cut in cuts for _ in range(2)):
        with pytest.raises(StreamInterruptedError) as caught:
            STREAM_WAYS["stream"](model, "Hi") if how == "stream" else model.invoke("Hi")
        assert caught.value.partial is not None
        check(caught.value.partial, cut)


def test_body_cut_at_every_byte_never_makes_another_call() -> None:
    slim = [{"choices": event["choices"]} for event in events('{"usd": 1}', "tool_calls")]
    whole = sse(slim)
    model = on_chat(MockAPI(*(stream_reply(whole[:place]) for place in range(len(whole)))))
    for _ in range(len(whole)):
        try:
            answer = STREAM_WAYS["stream"](model, "Hi")
        except StreamInterruptedError as error:
            answer = error.partial or AIMessage("")
        else:
            assert answer.tool_calls
        assert answer.tool_calls in ([], [{**CALL, "args": {"usd": 1}}])


CALL = {"name": "pay", "id": "c1", "type": "tool_call"}
NOT_STRICT = [
    " ",
    "null",
    "[]",
    '"{}"',
    "12",
    "{'usd': 1}",
    "{usd: 1}",
    '{"usd": NaN}',
    '{"usd": Infinity}',
    '{"usd": -Infinity}',
    '{"usd": 01}',
    '{"usd": 1,}',
    '{"usd": 1} ',
    '{"usd": 1}{"usd": 1}',
    '{"usd": 1} and done',
    '```json\n{"usd": 1}\n```',
    '{"to": "a\nb"}',
    '{"to": "a\tb"}',
    '{"to": "a\x00b"}',
    '{"to": "\\x41"}',
    '{"to": "a',
    "\ufeff{}",
]


def two_ways(arguments: str, name: str = "pay") -> Callable[[Json], Any]:
    def reply(sent: Json) -> Any:
        if sent["stream"]:
            return events(arguments, "tool_calls", name)
        return body(arguments, name=name)

    return reply


ways = pytest.mark.parametrize(
    "way", [*PLAIN_WAYS.values(), *STREAM_WAYS.values()], ids=[*PLAIN_WAYS, *STREAM_WAYS]
)


@ways
@pytest.mark.parametrize("output_version", [None, "v1"])
@pytest.mark.parametrize("text", NOT_STRICT)
def test_what_is_not_strict_json_is_no_call(
    text: str, way: Way, output_version: str | None
) -> None:
    answer = way(on_chat(MockAPI(two_ways(text)), output_version=output_version), "Hi")
    if text.strip() == '{"usd": 1}':  # white space around an object is JSON's own
        assert answer.tool_calls[0]["args"] == {"usd": 1}
        return
    assert answer.tool_calls == []
    assert [call["args"] for call in answer.invalid_tool_calls] == [text]
    assert [block for block in answer.content_blocks if block["type"] == "tool_call"] == []


@ways
def test_empty_arguments_are_whole_for_an_offered_tool_without_parameters(way: Way) -> None:
    model = on_chat(MockAPI(two_ways("", "ping")))
    answer = way(model, "Hi", tools=[WITH_PARAMETERS, NO_PARAMETERS])
    assert answer.invalid_tool_calls == []
    assert answer.tool_calls == [{**CALL, "name": "ping", "args": {}}]


@ways
@pytest.mark.parametrize("name", ["pay", "unheard_of"])
def test_empty_arguments_are_not_whole_for_any_other_tool(way: Way, name: str) -> None:
    model = on_chat(MockAPI(two_ways("", name)))
    answer = way(model, "Hi", tools=[WITH_PARAMETERS, NO_PARAMETERS])
    assert answer.tool_calls == []
    assert [(call["name"], call["args"]) for call in answer.invalid_tool_calls] == [(name, "")]


@ways
def test_each_of_parallel_calls_stands_for_itself(way: Way) -> None:
    texts = ['{"usd": 1}', '{"usd": 2', ""]
    functions = [{"name": "pay", "arguments": text} for text in texts]
    calls = [
        {"index": index, "id": f"c{index}", "type": "function", "function": function}
        for index, function in enumerate(functions)
    ]

    def reply(sent: Json) -> Any:
        if sent["stream"]:
            return [chunk({"tool_calls": calls}), chunk({}, "length"), usage_chunk()]
        return completion({"content": None, "tool_calls": calls}, "length")

    answer = way(on_chat(MockAPI(reply)), "Hi")
    assert [(call["id"], call["args"]) for call in answer.tool_calls] == [("c0", {"usd": 1})]
    assert [(call["id"], call["args"]) for call in answer.invalid_tool_calls] == [
        ("c1", '{"usd": 2'),
        ("c2", ""),
    ]


@ways
def test_call_that_is_not_whole_goes_back_to_the_model_as_it_came(way: Way) -> None:
    answer = way(on_chat(MockAPI(two_ways('{"usd": 1'))), "Hi")
    api = MockAPI()
    on_chat(api).invoke([answer])
    (sent,) = api.bodies[0]["messages"]
    assert sent["tool_calls"][0]["function"] == {"name": "pay", "arguments": '{"usd": 1'}
