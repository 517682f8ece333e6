"""The JSON that is sent, beside what `langchain_openai.ChatOpenAI` sends for the same input."""

from __future__ import annotations

import copy
import json
import warnings
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from langchain_core.messages import (
    AIMessage,
    AIMessageChunk,
    BaseMessage,
    ChatMessage,
    ChatMessageChunk,
    FunctionMessage,
    FunctionMessageChunk,
    HumanMessage,
    HumanMessageChunk,
    SystemMessage,
    SystemMessageChunk,
    ToolMessage,
    ToolMessageChunk,
)
from langchain_openai import ChatOpenAI

from langchain_tamma_openai.wire.messages import messages_to_completions

DATA = "aGVsbG8="
MARK = {"prompt_cache_breakpoint": {"mode": "explicit"}}

INPUT_BLOCKS: list[str | dict[str, Any]] = [
    "plain text in a list",
    "",
    {"type": "text", "text": "hello"},
    {"type": "text", "text": ""},
    {"type": "text", "text": "marked", **MARK},
    {"type": "text", "text": "marked in extras", "extras": MARK},
    {"type": "text", "text": "both", "extras": MARK, "prompt_cache_breakpoint": None},
    {"type": "text", "text": "other extras", "extras": {"a": 1}, "id": "x", "annotations": []},
    {"type": "text", "text": "odd extras", "extras": None},
    {"type": "text", "text": "v0", "source_type": "text"},
    {"type": "image_url", "image_url": {"url": "https://example.com/a.png", "detail": "low"}},
    {"type": "image_url", "image_url": "https://example.com/a.png"},
    {"type": "image", "url": "https://example.com/a.png"},
    {"type": "image", "url": "https://example.com/a.png", "extras": {"detail": "high", **MARK}},
    {"type": "image", "base64": DATA, "mime_type": "image/png"},
    {"type": "image", "base64": DATA, "mime_type": "image/png", **MARK},
    {"type": "image", "source_type": "url", "url": "https://example.com/a.png"},
    {"type": "image", "source_type": "base64", "data": DATA, "mime_type": "image/jpeg"},
    {"type": "image", "source_type": "base64", "base64": DATA, "mime_type": "image/jpeg"},
    {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": DATA}},
    {"type": "image", "source": {"type": "url", "url": "https://example.com/a.png"}},
    {"type": "image", "source": {"type": "file", "file_id": "file_1"}},
    {"type": "image", "source": {"type": "base64", "data": DATA}},
    {"type": "image", "source": {}},
    {"type": "image", "source": "somewhere"},
    {"type": "image"},
    {"type": "file", "file": {"file_id": "file_1"}},
    {
        "type": "file",
        "file": {"filename": "a.pdf", "file_data": f"data:application/pdf;base64,{DATA}"},
    },
    {"type": "file", "file_id": "file_1"},
    {"type": "file", "file_id": "file_1", "extras": MARK},
    {"type": "file", "source_type": "id", "id": "file_1"},
    {"type": "file", "base64": DATA, "mime_type": "application/pdf", "filename": "a.pdf"},
    {
        "type": "file",
        "base64": DATA,
        "mime_type": "application/pdf",
        "extras": {"filename": "b.pdf"},
    },
    {
        "type": "file",
        "source_type": "base64",
        "data": DATA,
        "mime_type": "application/pdf",
        "metadata": {"filename": "c.pdf"},
    },
    {"type": "file", "base64": DATA, "mime_type": "application/pdf"},
    {"type": "file"},
    {"type": "audio", "base64": DATA, "mime_type": "audio/wav"},
    {"type": "audio", "source_type": "base64", "data": DATA, "mime_type": "audio/mp3"},
    {"type": "audio", "id": "audio_1"},
    {"type": "audio", "id": "audio_2", "base64": DATA, "mime_type": "audio/wav", "transcript": "t"},
    {"type": "input_audio", "input_audio": {"data": DATA, "format": "wav"}},
    {"type": "video"},
    {"type": "text-plain"},
    {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {"a": 1}},
    {"type": "thinking", "thinking": "hm", "signature": "sig"},
    {"type": "redacted_thinking", "data": "xyz"},
    {"type": "reasoning_content", "reasoning_content": {"text": "hm"}},
    {"type": "reasoning", "reasoning": "hm"},
    {"type": "reasoning", "id": "rs_1", "summary": []},
    {"type": "function_call", "name": "f", "arguments": "{}", "call_id": "c", "id": "fc_1"},
    {"type": "code_interpreter_call", "id": "ci_1"},
    {"type": "web_search_call", "id": "ws_1"},
    {"type": "tool_call", "id": "call_1", "name": "f", "args": {}},
    {"type": "invalid_tool_call", "id": "call_1", "name": "f", "args": "{"},
    {"type": "refusal", "refusal": "no"},
    {"type": "non_standard", "value": {"type": "redacted", "x": 1}},
    {"type": "non_standard", "value": "text"},
    {"type": "executable_code", "executable_code": "print(1)", "language": "PYTHON"},
    {"type": "cachePoint"},
    {"cachePoint": {"type": "default"}},
    {"type": None, "text": "untyped"},
    {"type": 7},
    {"text": "no type"},
    {},
]
CALL = {"name": "f", "args": {"città": [1, None, True], "b": {"c": 1.5}}, "id": "call_1"}
BAD_CALL = {"name": "f", "args": '{"a": ', "id": "call_2", "error": "cut"}
RAW_CALL = {
    "index": 0,
    "id": "call_3",
    "type": "function",
    "function": {"name": "g", "arguments": "{}"},
}
EXTRAS: list[dict[str, Any]] = [
    {},
    {"name": "given"},
    {"tool_calls": [RAW_CALL, {"id": "x", "type": "custom", "custom": {"name": "n"}}]},
    {"tool_calls": []},
    {"function_call": {"name": "g", "arguments": "{}"}},
    {"audio": {"id": "audio_9", "data": DATA, "transcript": "t"}},
    {"audio": {"transcript": "t"}},
    {"refusal": "no", "parsed": None},
    {"__openai_role__": "developer"},
    {"reasoning": {"id": "rs_1", "summary": []}},
]


@pytest.fixture(scope="module")
def peer() -> ChatOpenAI:
    return ChatOpenAI(model="gpt-4o", api_key="sk-test")


def peer_messages(peer: ChatOpenAI, messages: list[BaseMessage]) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return peer._get_request_payload(messages)["messages"]


def our_messages(messages: list[BaseMessage], *, developer_role: bool = False) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return messages_to_completions(messages, developer_role=developer_role)


def as_json(value: object) -> str:
    return json.dumps(value, sort_keys=True)


def same(peer: ChatOpenAI, message: BaseMessage) -> bool:
    before = copy.deepcopy(message)
    ours = our_messages([message])
    assert message == before, "the caller's message was changed"
    return as_json(ours) == as_json(peer_messages(peer, [copy.deepcopy(message)]))


def make(kind: str, content: Any, extra: dict[str, Any]) -> BaseMessage:
    common: dict[str, Any] = {"content": content, "additional_kwargs": extra}
    makers: dict[str, Any] = {
        "human": HumanMessage,
        "human_chunk": HumanMessageChunk,
        "system": SystemMessage,
        "system_chunk": SystemMessageChunk,
        "ai": AIMessage,
        "ai_chunk": AIMessageChunk,
    }
    if kind in makers:
        made: BaseMessage = makers[kind](**common)
        return made
    if kind in {"tool", "tool_chunk"}:
        tool = ToolMessage if kind == "tool" else ToolMessageChunk
        return tool(tool_call_id="call_1", name="f", **common)
    if kind in {"function", "function_chunk"}:
        function = FunctionMessage if kind == "function" else FunctionMessageChunk
        return function(name="f", **common)
    chat = ChatMessage if kind == "chat" else ChatMessageChunk
    return chat(role="critic", **common)


KINDS = [
    base + suffix
    for base in ("human", "system", "ai", "tool", "function", "chat")
    for suffix in ("", "_chunk")
]


@pytest.mark.parametrize("kind", KINDS)
def test_every_block_in_every_message_is_sent_as_the_peer_sends_it(
    peer: ChatOpenAI, kind: str
) -> None:
    for block in INPUT_BLOCKS:
        assert same(peer, make(kind, [copy.deepcopy(block)], {})), block


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("content", ["", "text", []])
def test_extra_fields_are_sent_as_the_peer_sends_them(
    peer: ChatOpenAI, kind: str, content: Any
) -> None:
    for extra in EXTRAS:
        assert same(peer, make(kind, content, copy.deepcopy(extra))), extra


@pytest.mark.parametrize("cls", [AIMessage, AIMessageChunk])
@pytest.mark.parametrize("content", ["", "text", [], ["a", {"type": "text", "text": "b"}]])
@pytest.mark.parametrize("calls", [[], [CALL], [CALL, {**CALL, "id": None}]])
@pytest.mark.parametrize("bad_calls", [[], [BAD_CALL]])
def test_calls_of_an_assistant(
    peer: ChatOpenAI, cls: type[AIMessage], content: Any, calls: Any, bad_calls: Any
) -> None:
    for extra in EXTRAS:
        message = cls(
            content=content,
            tool_calls=calls,
            invalid_tool_calls=bad_calls,
            additional_kwargs=copy.deepcopy(extra),
            name="assistant_1",
        )
        assert same(peer, message), extra


def test_a_merged_stream_is_sent_back_as_the_peer_sends_it(peer: ChatOpenAI) -> None:
    chunks = [
        AIMessageChunk(content=[{"type": "text", "text": "Hel", "index": 0}]),
        AIMessageChunk(content=[{"type": "text", "text": "lo", "index": 0}]),
        AIMessageChunk(
            content="",
            tool_call_chunks=[{"name": "f", "args": '{"a":', "id": "call_1", "index": 1}],
        ),
        AIMessageChunk(
            content="",
            tool_call_chunks=[{"name": None, "args": " 1}", "id": None, "index": 1}],
        ),
    ]
    merged = chunks[0] + chunks[1] + chunks[2] + chunks[3]
    assert isinstance(merged, AIMessageChunk)
    assert same(peer, merged)


V1_ANSWER = AIMessage(
    content_blocks=[
        {"type": "reasoning", "reasoning": "thinking it over"},
        {"type": "text", "text": "Hi", "annotations": [{"type": "citation", "url": "https://a.b"}]},
        {"type": "tool_call", "id": "call_1", "name": "f", "args": {"a": 1}},
    ],
    response_metadata={"output_version": "v1", "model_provider": "openai"},
)
ANTHROPIC_ANSWER = AIMessage(
    content=[
        {"type": "thinking", "thinking": "hm", "signature": "sig"},
        {"type": "text", "text": "Let me look", "citations": [{"type": "char_location"}]},
        {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {"a": 1}},
    ],
    tool_calls=[{"name": "f", "args": {"a": 1}, "id": "toolu_1"}],
    response_metadata={"model_provider": "anthropic"},
)
GOOGLE_ANSWER = AIMessage(
    content=["part one", {"type": "executable_code", "executable_code": "1", "language": "PYTHON"}],
    additional_kwargs={"function_call": {"name": "f", "arguments": "{}"}},
    response_metadata={"model_provider": "google_genai"},
)
BEDROCK_ANSWER = AIMessage(
    content=[
        {"type": "reasoning_content", "reasoning_content": {"text": "hm", "signature": "s"}},
        {"type": "text", "text": "ok"},
        {"type": "tool_use", "name": "f", "input": {}, "id": "tooluse_1"},
    ],
    tool_calls=[{"name": "f", "args": {}, "id": "tooluse_1"}],
    response_metadata={"model_provider": "bedrock_converse"},
)


@pytest.mark.parametrize("answer", [V1_ANSWER, ANTHROPIC_ANSWER, GOOGLE_ANSWER, BEDROCK_ANSWER])
def test_answers_of_other_providers_and_versions(peer: ChatOpenAI, answer: AIMessage) -> None:
    assert same(peer, answer)
    (sent,) = our_messages([answer])
    assert not {"thinking", "tool_use", "reasoning", "reasoning_content", "tool_call"} & {
        part["type"] for part in sent["content"] or [] if isinstance(part, dict)
    }


@pytest.mark.parametrize("model", ["o1", "o3-mini", "o4-mini", "gpt-4o"])
def test_the_o_series_gets_a_developer_instead_of_a_system(model: str) -> None:
    peer = ChatOpenAI(model=model, api_key="sk-test")
    conversation: list[BaseMessage] = [
        SystemMessage("be brief"),
        SystemMessage("rules", additional_kwargs={"__openai_role__": "developer"}),
        ChatMessage(role="system", content="more"),
        HumanMessage("hi", name="ann"),
    ]
    ours = our_messages(conversation, developer_role=model.startswith("o"))
    assert ours == peer_messages(peer, conversation)


texts = st.text(max_size=12)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
contents = texts | st.lists(st.sampled_from(INPUT_BLOCKS), max_size=5)
calls = st.builds(
    lambda name, args, call_id: {"name": name, "args": args, "id": call_id},
    texts,
    st.dictionaries(texts, json_values, max_size=3),
    st.none() | texts,
)
plain_messages = st.builds(make, st.sampled_from(KINDS), contents, st.sampled_from(EXTRAS))
assistant_messages = st.builds(
    lambda content, tool_calls, extra, name: AIMessage(
        content=content, tool_calls=tool_calls, additional_kwargs=extra, name=name
    ),
    contents,
    st.lists(calls, max_size=3),
    st.sampled_from(EXTRAS),
    st.none() | texts,
)


@settings(max_examples=150, deadline=None)
@given(st.lists(plain_messages | assistant_messages, max_size=5))
def test_any_conversation_is_sent_as_the_peer_sends_it(conversation: list[BaseMessage]) -> None:
    peer = ChatOpenAI(model="gpt-4o", api_key="sk-test")
    conversation = copy.deepcopy(conversation)
    before = copy.deepcopy(conversation)
    ours = our_messages(conversation)
    assert conversation == before
    assert as_json(ours) == as_json(peer_messages(peer, conversation))
