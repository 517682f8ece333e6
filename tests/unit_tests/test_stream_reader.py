"""The reader of streams, byte by byte and second by second, without any model around it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
from langchain_core.outputs import ChatGenerationChunk
from mock_api import USAGE, Json, chunk, sse, text_events, usage_chunk

from langchain_tamma_openai import StreamInterruptedError
from langchain_tamma_openai.errors import ServerError, StreamStalledError
from langchain_tamma_openai.resilience.stream import StreamReader
from langchain_tamma_openai.wire.completions_stream import CompletionsStreamDecoder
from langchain_tamma_openai.wire.sse import SSEDecoder

HI = chunk({"content": "Hi"})
END = chunk({}, "stop")


class Clock:
    """A clock that stands still until it is told to move."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def reader_of(
    on_last: Callable[[ChatGenerationChunk], None] = lambda _last: None,
    stall_limit_s: float | None = None,
    clock: Clock | None = None,
) -> StreamReader:
    return StreamReader(
        CompletionsStreamDecoder(default_model="gpt-6-luna"),
        SSEDecoder(),
        model="gpt-6-luna",
        on_last=on_last,
        stall_limit_s=stall_limit_s,
        clock=clock or Clock(),
    )


def texts(chunks: Sequence[ChatGenerationChunk]) -> list[str]:
    return [str(piece.text) for piece in chunks]


def test_last_chunk_comes_with_the_done_event() -> None:
    lasts: list[ChatGenerationChunk] = []
    reader = reader_of(on_last=lasts.append)
    chunks = [*reader.feed(sse([HI, END, usage_chunk()]))]
    assert reader.finished
    assert chunks[-1:] == lasts
    assert [*reader.end()] == []
    assert [*reader.rest()] == []


def test_bytes_after_the_end_are_ignored() -> None:
    reader = reader_of()
    assert len([*reader.feed(sse([HI, END]))]) == 3
    assert [*reader.feed(sse([HI]) + b"data: {broken\n\n")] == []
    assert [*reader.end()] == []


def test_last_chunk_comes_with_the_end_of_the_body_when_nothing_says_done() -> None:
    reader = reader_of()
    assert texts([*reader.feed(sse([HI, END], done=False))]) == ["Hi", ""]
    assert not reader.finished
    assert len([*reader.end()]) == 1
    assert reader.finished


def test_a_whole_last_event_without_a_blank_line_counts() -> None:
    reader = reader_of()
    assert texts([*reader.feed(sse([HI, END], done=False).removesuffix(b"\n\n"))]) == ["Hi"]
    assert texts([*reader.end()]) == ["", ""]


@pytest.mark.parametrize("body", [b"", b": nothing\n\n", sse([HI], done=False), sse([HI])])
def test_body_that_ends_before_the_answer_does(body: bytes) -> None:
    reader = reader_of()
    with pytest.raises(StreamInterruptedError, match="before the model had said why it stopped"):
        [*reader.feed(body), *reader.end()]


def test_body_cut_at_every_byte_is_whole_only_after_the_finish_reason() -> None:
    body = sse(text_events("Hello"))
    finished_at = body.index(b'"finish_reason": "stop"')
    # The finishing event is whole without its blank line: only its closing braces have to be there.
    whole_from = body.index(b"\n\n", finished_at)
    for place in range(len(body)):
        reader = reader_of()
        if place < whole_from:
            with pytest.raises(StreamInterruptedError):
                [*reader.feed(body[:place]), *reader.end()]
        else:
            assert "".join(texts([*reader.feed(body[:place]), *reader.end()])) == "Hello"


@pytest.mark.parametrize("payload", [b"{broken", b"[]", b'"text"', b"5", b"null", b"<html>"])
def test_event_that_is_no_chunk_ends_the_stream_with_what_had_arrived(payload: bytes) -> None:
    reader = reader_of()
    with pytest.raises(StreamInterruptedError, match="an event cannot be read") as caught:
        [*reader.feed(sse([HI, payload, END]))]
    assert caught.value.partial is not None
    assert caught.value.partial.content == "Hi"
    assert caught.value.delivered
    assert not caught.value.retryable


def test_interruption_before_the_first_chunk_may_be_tried_again() -> None:
    error = reader_of().interrupted("the line is dead")
    assert (error.partial, error.usage, error.delivered) == (None, None, False)
    assert error.retryable


def test_interruption_knows_the_usage_that_had_arrived() -> None:
    reader = reader_of()
    [*reader.feed(sse([{**HI, "usage": USAGE}], done=False))]
    error = reader.interrupted_by(ServerError("down"))
    assert error.usage is not None
    assert error.usage["total_tokens"] == USAGE["total_tokens"]
    assert error.partial is not None
    assert error.partial.content == "Hi"


def test_cut_tool_call_of_a_partial_answer_is_not_callable() -> None:
    reader = reader_of()
    function: Json = {"name": "pay", "arguments": '{"usd": 1'}
    call: Json = {"index": 0, "id": "c1", "type": "function", "function": function}
    [*reader.feed(sse([chunk({"tool_calls": [call]})], done=False))]
    partial = reader.interrupted("cut").partial
    assert partial is not None
    assert partial.tool_calls == []
    assert [item["args"] for item in partial.invalid_tool_calls] == ['{"usd": 1']


def test_answer_that_was_whole_survives_a_broken_connection() -> None:
    reader = reader_of()
    assert [*reader.rest()] == []
    [*reader.feed(sse([HI, END], done=False))]
    assert reader.whole
    assert len([*reader.rest()]) == 1
    assert reader.finished


# --- silence ---


def test_comments_do_not_keep_a_silent_stream_alive() -> None:
    clock = Clock()
    reader = reader_of(stall_limit_s=10, clock=clock)
    [*reader.feed(sse([HI], done=False))]
    clock.now_s += 10
    assert [*reader.feed(b": keep-alive\n\n")] == []
    clock.now_s += 0.5
    with pytest.raises(StreamStalledError, match=r"no event came for 10 s .`stream_chunk_timeout`"):
        [*reader.feed(b": keep-alive\n\n")]


def test_events_keep_a_slow_stream_alive() -> None:
    clock = Clock()
    reader = reader_of(stall_limit_s=10, clock=clock)
    for _ in range(5):
        clock.now_s += 9
        assert texts([*reader.feed(sse([HI], done=False))]) == ["Hi"]


def test_first_event_may_not_take_longer_either() -> None:
    clock = Clock()
    reader = reader_of(stall_limit_s=10, clock=clock)
    clock.now_s += 11
    with pytest.raises(StreamStalledError):
        [*reader.feed(b": keep-alive\n\n")]


def test_slow_caller_is_not_taken_for_a_silent_server() -> None:
    clock = Clock()
    reader = reader_of(stall_limit_s=10, clock=clock)
    for _ in reader.feed(sse([HI, HI], done=False)):
        clock.now_s += 60
    half = sse([END], done=False)
    assert [*reader.feed(half[:20])] == []
    assert len([*reader.feed(half[20:])]) == 1


def test_without_a_limit_nothing_is_too_slow() -> None:
    clock = Clock()
    reader = reader_of(clock=clock)
    clock.now_s += 1e6
    assert [*reader.feed(b": keep-alive\n\n")] == []
