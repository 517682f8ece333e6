"""Broken streams: what to do about them, and that a second answer never repeats the first."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Literal

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from langchain_core.messages import AIMessageChunk
from langchain_core.messages.tool import tool_call_chunk
from langchain_core.outputs import ChatGenerationChunk

from langchain_tamma_openai import errors
from langchain_tamma_openai.resilience.recovery import (
    Recovery,
    Regeneration,
    can_regenerate,
    recovery_for,
)
from langchain_tamma_openai.wire.chunks import StrictAIMessageChunk, generation_chunk, text_chunk

Chunks = list[ChatGenerationChunk]
METADATA = {"model_provider": "openai"}


def cut() -> errors.StreamInterruptedError:
    return errors.StreamInterruptedError("cut", delivered=True)


def chunk(content: Any = "", **fields: Any) -> ChatGenerationChunk:
    fields.setdefault("response_metadata", dict(METADATA))
    message = StrictAIMessageChunk(content=content, **fields)
    return generation_chunk(message, str(message.text), None)


def last(**fields: Any) -> ChatGenerationChunk:
    usage = {"input_tokens": 3, "output_tokens": 5, "total_tokens": 8}
    return chunk(usage_metadata=usage, chunk_position="last", **fields)


def texts(*pieces: str) -> Chunks:
    return [text_chunk(piece, dict(METADATA)) for piece in pieces]


def regenerate(delivered: Chunks, new: Chunks) -> Chunks:
    """Run a second answer through to its end."""
    regeneration = Regeneration(delivered, cut())
    out = [piece for item in new for piece in regeneration.feed(item)]
    regeneration.finish()
    return out


def swallow(regeneration: Regeneration, new: Chunks) -> None:
    """Read a second answer that must not deliver anything."""
    for item in new:
        assert regeneration.feed(item) == []
    regeneration.finish()


def merged(chunks: Sequence[ChatGenerationChunk]) -> AIMessageChunk:
    total = chunks[0]
    for other in chunks[1:]:
        total += other
    assert isinstance(total.message, AIMessageChunk)
    return total.message


def body(message: AIMessageChunk) -> dict[str, Any]:
    return {
        "content": message.content,
        "calls": [(c["name"], c["args"], c["index"]) for c in message.tool_call_chunks],
        "valid": [(c["name"], c["args"]) for c in message.tool_calls],
        "kwargs": message.additional_kwargs,
        "usage": message.usage_metadata,
        "position": message.chunk_position,
    }


# --- the decision ---


@pytest.mark.parametrize(
    ("mode", "seen", "can_resume", "expected"),
    [
        ("resume", True, True, Recovery.RESUME),
        ("resume", False, True, Recovery.RESUME),
        ("resume", True, False, Recovery.RAISE),
        ("resume", False, False, Recovery.RESTART),
        ("regenerate", True, True, Recovery.RESUME),
        ("regenerate", True, False, Recovery.REGENERATE),
        ("regenerate", False, False, Recovery.RESTART),
        ("raise", True, True, Recovery.RAISE),
        ("raise", True, False, Recovery.RAISE),
        ("raise", False, False, Recovery.RESTART),
    ],
)
def test_what_to_do(
    mode: Literal["resume", "regenerate", "raise"],
    *,
    seen: bool,
    can_resume: bool,
    expected: Recovery,
) -> None:
    for tries_left, found in ((1, expected), (0, Recovery.RAISE)):
        decision = recovery_for(
            mode, cut(), seen=seen, can_resume=can_resume, tries_left=tries_left
        )
        assert decision is found


@pytest.mark.parametrize(
    ("cause", "expected"),
    [
        (errors.ServerError("x"), Recovery.REGENERATE),
        (errors.ConnectionFailedError("x"), Recovery.REGENERATE),
        (ValueError("not JSON"), Recovery.REGENERATE),
        (KeyboardInterrupt(), Recovery.REGENERATE),
        (errors.QuotaExceededError("x"), Recovery.RAISE),
        (errors.ContentFilterError("x"), Recovery.RAISE),
        (KeyError("a bug of ours"), Recovery.RAISE),
    ],
    ids=repr,
)
def test_a_lasting_cause_is_not_asked_again(cause: BaseException, expected: Recovery) -> None:
    error = cut()
    error.__cause__ = cause
    found = recovery_for("regenerate", error, seen=True, can_resume=False, tries_left=1)
    assert found is expected


def test_a_retryable_interruption_is_passing_whatever_its_cause() -> None:
    error = errors.StreamInterruptedError("cut")
    error.__cause__ = KeyError("x")
    found = recovery_for("raise", error, seen=False, can_resume=False, tries_left=1)
    assert found is Recovery.RESTART


@pytest.mark.parametrize(
    ("delivered", "expected"),
    [
        (chunk("text"), True),
        (chunk([]), True),
        (chunk([{"type": "text", "text": "a", "index": 0}]), True),
        (chunk([{"type": "refusal", "refusal": "no", "index": 0}]), True),
        (chunk(["plain"]), True),
        (chunk("", tool_call_chunks=[tool_call_chunk(name="f", args="", id="c", index=0)]), True),
        (chunk("", additional_kwargs={"refusal": "n"}), True),
        (chunk([{"type": "reasoning", "summary": [], "id": "rs_1", "index": 0}]), False),
        (chunk([{"type": "web_search_call", "id": "ws_1", "index": 0}]), False),
        (chunk("", additional_kwargs={"audio": {"id": "a", "data": "AA"}}), False),
    ],
    ids=lambda value: str(getattr(value, "message", value))[:40],
)
def test_what_can_be_regenerated(delivered: ChatGenerationChunk, *, expected: bool) -> None:
    assert can_regenerate([chunk("Hi"), delivered]) is expected


# --- text ---


def test_the_same_text_continues_where_it_broke() -> None:
    out = regenerate(texts("Hel", "lo"), [*texts("He", "llo wo", "rld"), last()])
    assert [piece.text for piece in out] == [" wo", "rld", ""]
    assert body(merged([*texts("Hel", "lo"), *out])) == body(merged([chunk("Hello world"), last()]))


def test_swallowed_chunks_are_swallowed_whole() -> None:
    regeneration = Regeneration(texts("Hello"), cut())
    assert regeneration.feed(texts("Hel")[0]) == []
    assert not regeneration.matched
    assert regeneration.feed(texts("lo")[0]) == []
    assert regeneration.matched


@pytest.mark.parametrize("new", [["Hex"], ["Hello", "!"], ["", "J"], ["H", "e", "l", "p"]])
def test_a_different_text_raises_before_anything_is_delivered(new: list[str]) -> None:
    interruption = cut()
    regeneration = Regeneration(texts("Hel", "lo, "), interruption)
    with pytest.raises(errors.StreamInterruptedError) as caught:
        swallow(regeneration, texts(*new))
    assert caught.value is interruption
    assert any("differs" in note for note in caught.value.__notes__)


def test_a_shorter_answer_raises() -> None:
    regeneration = Regeneration(texts("Hello"), cut())
    assert [regeneration.feed(item) for item in [*texts("Hell"), last()]] == [[], []]
    with pytest.raises(errors.StreamInterruptedError) as caught:
        regeneration.finish()
    assert any("shorter" in note for note in caught.value.__notes__)


def test_when_nothing_was_delivered_everything_is() -> None:
    new = [*texts("Hello", " you"), last()]
    assert regenerate([], new) == new
    assert regenerate(texts(""), new) == new


def test_message_chunks_come_back_as_message_chunks() -> None:
    old, new = AIMessageChunk(content="Hel"), AIMessageChunk(content="Hello")
    (rest,) = Regeneration([old], cut()).feed(new)
    assert isinstance(rest, AIMessageChunk)
    assert (old + rest).content == "Hello"


def cuts(text: str) -> st.SearchStrategy[list[str]]:
    """Split a text anywhere, also into empty pieces."""
    places = st.lists(st.integers(0, len(text)), max_size=6).map(sorted)
    return places.map(
        lambda found: [text[a:b] for a, b in zip([0, *found], [*found, len(text)], strict=True)]
    )


ANY_TEXT = st.text(alphabet="ab \n\u00e9\U0001f600", max_size=30)


@given(data=st.data(), text=ANY_TEXT)
def test_any_cut_of_any_text_joins_to_it_exactly_once(data: st.DataObject, text: str) -> None:
    broke_at = data.draw(st.integers(0, len(text)))
    delivered = texts(*data.draw(cuts(text[:broke_at])))
    out = regenerate(delivered, [*texts(*data.draw(cuts(text))), last()])
    assert merged([*delivered, *out]).content == text
    assert out[-1].message.usage_metadata["total_tokens"] == 8  # type: ignore[attr-defined]


@given(data=st.data(), old=ANY_TEXT, new=ANY_TEXT)
def test_any_divergence_is_found_before_a_differing_character(
    data: st.DataObject, old: str, new: str
) -> None:
    assume(not new.startswith(old))
    regeneration = Regeneration(texts(old), cut())
    pieces = texts(*data.draw(cuts(new)))
    with pytest.raises(errors.StreamInterruptedError):
        swallow(regeneration, pieces)


# --- tool calls ---

ARGUMENTS = json.dumps({"city": "Paris", "days": [1, 2]})


def opened(call_id: str, args: str = "", index: int = 0, name: str = "weather") -> Any:
    return chunk(tool_call_chunks=[tool_call_chunk(name=name, args=args, id=call_id, index=index)])


def more(args: str, index: int = 0) -> ChatGenerationChunk:
    return chunk(tool_call_chunks=[tool_call_chunk(args=args, index=index)])


@given(data=st.data())
def test_tool_arguments_are_continued_under_the_id_the_caller_knows(data: st.DataObject) -> None:
    broke_at = data.draw(st.integers(0, len(ARGUMENTS)))
    before = [opened("old"), *map(more, data.draw(cuts(ARGUMENTS[:broke_at])))]
    delivered = [*texts("Let me see."), *before]
    after = [opened("new"), *map(more, data.draw(cuts(ARGUMENTS)))]
    out = regenerate(delivered, [*texts("Let me ", "see."), *after, last()])
    message = merged([*delivered, *out])
    assert message.content == "Let me see."
    (call,) = message.tool_calls
    assert (call["name"], call["args"], call["id"]) == ("weather", json.loads(ARGUMENTS), "old")


def test_a_call_that_was_not_delivered_keeps_its_own_id() -> None:
    delivered = [opened("old", "{}")]
    new = [opened("new", "{}"), opened("second", "{}", 1, "time"), last()]
    message = merged([*delivered, *regenerate(delivered, new)])
    assert [(c["name"], c["id"]) for c in message.tool_calls] == [
        ("weather", "old"),
        ("time", "second"),
    ]


@pytest.mark.parametrize(
    "new", [opened("new", '{"city": "Rome'), opened("new", '{"city', name="time"), chunk("Hi")]
)
def test_another_call_raises(new: ChatGenerationChunk) -> None:
    regeneration = Regeneration([opened("old", '{"city": "P')], cut())
    with pytest.raises(errors.StreamInterruptedError):
        swallow(regeneration, [new, last()])


def test_text_that_runs_ahead_waits_for_the_tool_call() -> None:
    delivered = [*texts("Wait"), opened("old", '{"a"')]
    regeneration = Regeneration(delivered, cut())
    assert regeneration.feed(texts("Wait a minute")[0]) == []
    (rest,) = regeneration.feed(opened("new", '{"a": 1}'))
    message = merged([*delivered, rest, last()])
    assert message.content == "Wait a minute"
    assert message.tool_calls[0]["args"] == {"a": 1}


def test_ids_repeated_on_every_fragment_do_not_open_a_second_call() -> None:
    delivered = [opened("old", '{"a"')]
    new = [opened("new", '{"a": '), opened("new", "1}", name=""), last()]
    message = merged([*delivered, *regenerate(delivered, new)])
    assert [(c["args"], c["id"]) for c in message.tool_calls] == [({"a": 1}, "old")]


def test_a_refusal_is_continued() -> None:
    delivered = [chunk(additional_kwargs={"refusal": "I can"})]
    new = [chunk(additional_kwargs={"refusal": "I cannot"}), last()]
    message = merged([*delivered, *regenerate(delivered, new)])
    assert message.additional_kwargs == {"refusal": "I cannot"}


# --- blocks of the Responses API ---


def block(text: str, **fields: Any) -> ChatGenerationChunk:
    return chunk([{"type": "text", "text": text, "index": 0, **fields}])


def test_text_blocks_are_continued_in_their_place() -> None:
    delivered = [chunk([], id="resp_1"), block("Hel")]
    new = [
        chunk([], id="resp_2"),
        block("He"),
        block("llo"),
        block(" you"),
        block("", id="msg_2"),
        chunk([{"type": "text", "text": "Second", "index": 1}]),
        last(),
    ]
    message = merged([*delivered, *regenerate(delivered, new)])
    assert message.content == [
        {"type": "text", "text": "Hello you", "index": 0, "id": "msg_2"},
        {"type": "text", "text": "Second", "index": 1},
    ]
    assert message.id == "resp_1"


def test_function_call_blocks_keep_the_ids_the_caller_knows() -> None:
    def call(args: str, number: int, **fields: Any) -> ChatGenerationChunk:
        content = {"type": "function_call", "arguments": args, "index": 0, **fields}
        piece = tool_call_chunk(
            name=fields.get("name"), args=args, id=fields.get("call_id"), index=0
        )
        del number
        return chunk([content], tool_call_chunks=[piece])

    def start(number: int) -> ChatGenerationChunk:
        return call("", number, name="f", call_id=f"call_{number}", id=f"fc_{number}")

    delivered = [start(1), call('{"a"', 1)]
    new = [start(2), call('{"a": 1', 2), call("}", 2), last()]
    message = merged([*delivered, *regenerate(delivered, new)])
    assert message.content == [
        {
            "type": "function_call",
            "arguments": '{"a": 1}',
            "index": 0,
            "name": "f",
            "call_id": "call_1",
            "id": "fc_1",
        }
    ]
    assert message.tool_calls[0]["id"] == "call_1"


def test_the_item_of_a_custom_tool_takes_the_id_of_its_call() -> None:
    def piece(args: str, call_id: str | None = None) -> ChatGenerationChunk:
        return chunk([], tool_call_chunks=[tool_call_chunk(args=args, id=call_id, index=3)])

    delivered = [piece('{"__arg1": "x', "call_1")]
    item = {"type": "custom_tool_call", "call_id": "call_2", "input": "xy", "index": 3}
    new = [piece('{"__arg1": "x', "call_2"), piece('y"}'), chunk([item]), chunk(["plain"]), last()]
    message = merged([*delivered, *regenerate(delivered, new)])
    assert message.content == [{**item, "call_id": "call_1"}, "plain"]
    assert message.tool_calls[0]["id"] == "call_1"


def test_what_was_delivered_already_makes_no_empty_block() -> None:
    delivered = [chunk([{"type": "text", "text": "One", "index": n}]) for n in (0, 1)]
    regeneration = Regeneration(delivered, cut())
    assert [regeneration.feed(item) for item in delivered] == [[], []]
    assert regeneration.matched


def test_blocks_without_a_place_must_be_the_same() -> None:
    note = {"type": "text_annotation", "title": "A"}
    old = chunk([{"type": "text", "text": "x", "annotations": [note], "index": 0}])
    same = chunk([{"type": "text", "text": "xy", "annotations": [dict(note)], "index": 0}])
    (rest,) = Regeneration([old], cut()).feed(same)
    assert rest.message.content == [{"type": "text", "text": "y", "index": 0}]
    longer = chunk(
        [{"type": "text", "text": "x", "annotations": [{**note, "title": "AB"}], "index": 0}]
    )
    with pytest.raises(errors.StreamInterruptedError):
        Regeneration([old], cut()).feed(longer)


def test_blocks_and_plain_text_do_not_mix() -> None:
    with pytest.raises(errors.StreamInterruptedError):
        Regeneration([block("a")], cut()).feed(texts("a")[0])
    with pytest.raises(errors.StreamInterruptedError):
        Regeneration([chunk(["a"])], cut()).feed(chunk(["b"]))
    assert Regeneration([chunk(["a"])], cut()).feed(chunk(["a"])) == []


# --- metadata ---


def test_metadata_is_not_told_twice_with_another_value() -> None:
    first = chunk("Hel", response_metadata={**METADATA, "id": "resp_1"})
    first.generation_info = {"headers": {"x-request-id": "1"}}
    second = chunk("Hello", response_metadata={**METADATA, "id": "resp_2"})
    second.generation_info = {"headers": {"x-request-id": "2"}}
    closing = last(response_metadata={**METADATA, "id": "resp_2", "model_name": "m"})
    out = regenerate([first], [second, closing])
    assert out[0].generation_info is None
    message = merged([first, *out])
    assert message.response_metadata == {**METADATA, "id": "resp_1", "model_name": "m"}


def test_usage_is_that_of_the_second_answer() -> None:
    usage = {"input_tokens": 3, "output_tokens": 0, "total_tokens": 3}
    out = regenerate(texts("Hello"), [chunk("Hel", usage_metadata=usage), *texts("lo"), last()])
    message = merged([*texts("Hello"), *out])
    assert message.usage_metadata is not None
    assert message.usage_metadata["total_tokens"] == 11
