"""Message chunks: in all but repair they are what LangChain's own are."""

from __future__ import annotations

import copy
import json
import pickle
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.load import dumpd, dumps, load
from langchain_core.messages import (
    AIMessage,
    AIMessageChunk,
    BaseMessage,
    message_chunk_to_message,
    message_to_dict,
    messages_from_dict,
)
from langchain_core.messages.tool import ToolCallChunk, tool_call_chunk
from langchain_core.outputs import ChatGenerationChunk

from langchain_tamma_openai.wire.arguments import ToolArgumentsError, parse_tool_arguments
from langchain_tamma_openai.wire.chunks import (
    StrictAIMessageChunk,
    generation_chunk,
    partial_tool_calls,
    strict_tool_calls,
    text_chunk,
)


def call(args: str | None, index: int = 0, call_id: str | None = "c1") -> ToolCallChunk:
    return tool_call_chunk(name="f", args=args, id=call_id, index=index)


def both(**fields: Any) -> tuple[AIMessageChunk, AIMessageChunk]:
    """Build ours and LangChain's from the same fields."""
    return StrictAIMessageChunk(**copy.deepcopy(fields)), AIMessageChunk(**fields)


SAMPLES: list[dict[str, Any]] = [
    {"content": ""},
    {"content": "Hi", "response_metadata": {"a": 1}, "id": "x"},
    {"content": [{"type": "text", "text": "Hi", "index": 0}]},
    {"content": "Hi", "additional_kwargs": {"refusal": "no"}, "name": "bob"},
    {"content": "", "tool_call_chunks": [call('{"a": 1}')]},
    {"content": "", "tool_call_chunks": [call('{"a"')]},
    {"content": "", "tool_call_chunks": [call(None), call("[1]", 1, "c2")]},
    {"content": "", "usage_metadata": {"input_tokens": 1, "output_tokens": 2, "total_tokens": 3}},
    {"content": "", "chunk_position": "last"},
    {"content": "", "tool_calls": [{"name": "f", "args": {}, "id": "c1"}]},
]


@pytest.mark.parametrize("fields", SAMPLES)
def test_chunk_looks_like_an_ordinary_one(fields: dict[str, Any]) -> None:
    ours, theirs = both(**fields)
    assert ours == theirs
    assert theirs == ours
    assert repr(ours) == repr(theirs)
    assert str(ours) == str(theirs)
    assert ours.pretty_repr() == theirs.pretty_repr()
    assert dumpd(ours) == dumpd(theirs)
    assert ours.model_dump() == theirs.model_dump()
    assert ours.content_blocks == theirs.content_blocks
    assert isinstance(ours, AIMessageChunk)
    assert ours.type == theirs.type == "AIMessageChunk"


@pytest.mark.parametrize("fields", SAMPLES)
def test_chunk_survives_copies_and_pickles(fields: dict[str, Any]) -> None:
    ours = StrictAIMessageChunk(**fields)
    for twin in (copy.copy(ours), copy.deepcopy(ours), pickle.loads(pickle.dumps(ours))):  # noqa: S301 - our own bytes
        assert type(twin) is StrictAIMessageChunk
        assert twin == ours


@pytest.mark.parametrize("fields", SAMPLES)
def test_chunk_is_loaded_as_an_ordinary_one(fields: dict[str, Any]) -> None:
    ours, theirs = both(**fields)
    loaded = load(json.loads(dumps(ours)), allowed_objects="messages")
    assert type(loaded) is AIMessageChunk
    assert loaded == theirs
    (from_dict,) = messages_from_dict([message_to_dict(ours)])
    assert from_dict == messages_from_dict([message_to_dict(theirs)])[0]


@pytest.mark.parametrize("fields", SAMPLES)
def test_chunk_becomes_a_plain_message(fields: dict[str, Any]) -> None:
    ours, theirs = both(**fields)
    message = message_chunk_to_message(ours)
    assert type(message) is AIMessage
    assert message == message_chunk_to_message(theirs)


@pytest.mark.parametrize("first", SAMPLES)
@pytest.mark.parametrize("second", SAMPLES)
def test_sums_are_the_ordinary_ones_while_nothing_is_finished(
    first: dict[str, Any], second: dict[str, Any]
) -> None:
    if "last" in (first.get("chunk_position"), second.get("chunk_position")):
        first, second = ({**part, "chunk_position": None} for part in (first, second))
    ours = [StrictAIMessageChunk(**copy.deepcopy(part)) for part in (first, second)]
    theirs = [AIMessageChunk(**copy.deepcopy(part)) for part in (first, second)]
    total = ours[0] + ours[1]
    assert type(total) is StrictAIMessageChunk
    assert total == theirs[0] + theirs[1]
    # In a mixed sum the left side decides the class, never the content.
    assert theirs[0] + ours[1] == ours[0] + theirs[1] == total


def test_chunks_are_unequal_to_what_they_are_not() -> None:
    chunk = StrictAIMessageChunk(content="Hi")
    assert chunk != StrictAIMessageChunk(content="Ho")
    assert chunk != "Hi"
    others: list[BaseMessage] = [AIMessage(content="Hi")]
    assert chunk not in others
    with pytest.raises(TypeError, match="unhashable"):
        hash(chunk)


def test_fast_text_chunk_equals_a_validated_one() -> None:
    metadata = {"model_provider": "openai"}
    fast = text_chunk("Hi", metadata)
    slow = ChatGenerationChunk(
        message=StrictAIMessageChunk(content="Hi", response_metadata=metadata)
    )
    assert fast == slow
    assert repr(fast) == repr(slow)
    assert fast.model_dump() == slow.model_dump()
    assert fast.message.model_fields_set == slow.message.model_fields_set
    assert fast + fast == slow + slow
    assert pickle.loads(pickle.dumps(fast)) == slow  # noqa: S301 - our own bytes


def test_fast_text_chunks_share_nothing_that_can_change() -> None:
    first, second = text_chunk("a", {}), text_chunk("b", {})
    message = first.message
    assert isinstance(message, AIMessageChunk)
    message.additional_kwargs["x"] = 1
    message.response_metadata["x"] = 1
    message.tool_calls.append({"name": "f", "args": {}, "id": "c"})
    message.tool_call_chunks.append(call("{}"))
    message.invalid_tool_calls.append({"name": "f", "args": "", "id": "", "error": ""})  # type: ignore[typeddict-item]
    assert second == text_chunk("b", {})


def test_generation_chunk_equals_a_validated_one() -> None:
    message = StrictAIMessageChunk(content="Hi")
    fast = generation_chunk(message, "Hi", {"finish_reason": "stop"})
    slow = ChatGenerationChunk(message=message, generation_info={"finish_reason": "stop"})
    assert fast == slow
    assert fast.generation_info == {"finish_reason": "stop"}


# --- strict at the end ---


def test_arguments_so_far_are_shown_until_the_last_chunk() -> None:
    total = StrictAIMessageChunk(content="", tool_call_chunks=[call('{"a": [1, 2')])
    assert total.tool_calls[0]["args"] == {"a": [1, 2]}
    finished = total + StrictAIMessageChunk(content="", chunk_position="last")
    assert finished.tool_calls == []
    assert finished.invalid_tool_calls[0]["args"] == '{"a": [1, 2'


def test_finished_blocks_are_replaced_by_what_became_of_the_calls() -> None:
    blocks: list[Any] = [
        {"type": "text", "text": "Hi"},
        {**call('{"a": 1}', 1, "c1"), "extras": {"x": 1}},
        dict(call('{"b": ', 2, "c2")),
        dict(call("{}", 3, "other")),
    ]
    chunk = StrictAIMessageChunk(
        content=blocks,
        tool_call_chunks=[call('{"a": 1}', 1, "c1"), call('{"b": ', 2, "c2")],
        chunk_position="last",
    )
    assert [block["type"] for block in chunk.content if isinstance(block, dict)] == [
        "text",
        "tool_call",
        "invalid_tool_call",
        "tool_call_chunk",
    ]
    assert chunk.content[1] == {
        "type": "tool_call",
        "name": "f",
        "args": {"a": 1},
        "id": "c1",
        "extras": {"x": 1},
    }


@pytest.mark.parametrize("text", ["[1]", '"a"', "1", "x", "nul", " \t[", "}"])
def test_arguments_that_cannot_become_an_object_are_never_shown(text: str) -> None:
    valid, invalid = partial_tool_calls([call(text)])
    assert (valid, invalid[0]["args"]) == ([], text)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "empty"),
        (" ", "not valid JSON"),
        ("{", "not valid JSON"),
        ('{"a": 1', "not valid JSON"),
        ('{"a": 1}}', "not valid JSON"),
        ('{"a": 1} {"b": 2}', "not valid JSON"),
        ('{"a": 1,}', "not valid JSON"),
        ("{'a': 1}", "not valid JSON"),
        ('{"a": NaN}', "NaN"),
        ('{"a": Infinity}', "Infinity"),
        ('{"a": -Infinity}', "-Infinity"),
        ('{"a": "x\ny"}', "not valid JSON"),
        ('{"a": "x\ty"}', "not valid JSON"),
        ('{"a": "x\x00y"}', "not valid JSON"),
        ("[1]", "JSON list"),
        ('"a"', "JSON str"),
        ("1", "JSON int"),
        ("null", "JSON NoneType"),
        ("true", "JSON bool"),
        ('{"a":' * 100_000, "nested too deeply"),
        ("\ufeff{}", "not valid JSON"),
    ],
)
def test_arguments_that_are_not_strict_json_are_refused(text: str, reason: str) -> None:
    with pytest.raises(ToolArgumentsError, match=reason):
        parse_tool_arguments(text)
    valid, invalid = strict_tool_calls([call(text)])
    assert valid == []
    assert invalid[0]["args"] == text
    assert reason in (invalid[0]["error"] or "")


VALUES: Any = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    # A lone surrogate is no text that JSON could carry over the wire.
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=8,
)


@given(st.dictionaries(st.text(max_size=4), VALUES, max_size=4), st.booleans())
def test_every_json_object_is_read_exactly(value: dict[str, Any], ascii_only: bool) -> None:  # noqa: FBT001 - drawn by Hypothesis
    text = json.dumps(value, ensure_ascii=ascii_only)
    assert parse_tool_arguments(text) == value
    assert strict_tool_calls([call(text)])[0][0]["args"] == value


@given(st.dictionaries(st.text(max_size=4), VALUES, min_size=1, max_size=3), st.data())
def test_no_beginning_of_an_object_is_accepted(value: dict[str, Any], data: Any) -> None:
    text = json.dumps(value)
    cut = text[: data.draw(st.integers(0, len(text) - 1))]
    with pytest.raises(ToolArgumentsError):
        parse_tool_arguments(cut)
