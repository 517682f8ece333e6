"""ChunkBuffer: what it joins, when it hands it out, and that nothing is lost or left behind."""

from __future__ import annotations

import asyncio
import contextvars
import pickle
import threading
import time
from collections.abc import AsyncGenerator, AsyncIterator, Generator, Iterator, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.language_models import GenericFakeChatModel
from langchain_core.messages import AIMessage, AIMessageChunk
from langchain_core.messages.ai import UsageMetadata
from langchain_core.messages.tool import tool_call_chunk
from langchain_core.runnables import Runnable

from langchain_tamma_openai import errors
from langchain_tamma_openai.chunk_buffer import ChunkBuffer, ChunkJoiner
from langchain_tamma_openai.chunk_reading import AsyncPuller

PATIENT = ChunkBuffer(flush_interval_s=3600)
PROVIDER = {"model_provider": "openai"}
USAGE = UsageMetadata(input_tokens=1, output_tokens=2, total_tokens=3)


def chunks(*texts: str) -> list[AIMessageChunk]:
    return [AIMessageChunk(content=text) for text in texts]


def run_sync(buffer: ChunkBuffer, stream: Sequence[AIMessage]) -> list[AIMessage]:
    return list(buffer.transform(iter(stream)))


def run_direct(buffer: ChunkBuffer, stream: Sequence[AIMessage]) -> list[AIMessage]:
    return run_sync(ChunkBuffer(None, buffer.max_chars, sentences=buffer.sentences), stream)


def run_async(buffer: ChunkBuffer, stream: Sequence[AIMessage]) -> list[AIMessage]:
    async def source() -> AsyncIterator[AIMessage]:
        for chunk in stream:
            yield chunk

    async def collect() -> list[AIMessage]:
        return [piece async for piece in buffer.atransform(source())]

    return asyncio.run(collect())


every = pytest.mark.parametrize(
    "run", [run_sync, run_direct, run_async], ids=["sync", "direct", "async"]
)


@pytest.fixture(autouse=True)
def _no_thread_stays() -> Iterator[None]:
    yield
    deadline_s = time.monotonic() + 10
    while any(thread.name.startswith("chunk-buffer") for thread in threading.enumerate()):
        assert time.monotonic() < deadline_s, "a reading thread was left behind"
        time.sleep(0.005)


def close(pieces: object) -> None:
    assert isinstance(pieces, Generator)
    pieces.close()


async def aclose(pieces: object) -> None:
    assert isinstance(pieces, AsyncGenerator)
    await pieces.aclose()


def merged(stream: Sequence[AIMessage]) -> AIMessageChunk:
    total, *others = stream
    assert isinstance(total, AIMessageChunk)
    for other in others:
        assert isinstance(other, AIMessageChunk)
        total += other
    return total


# --- what is joined ---


@every
@pytest.mark.parametrize(
    ("stream", "pieces"),
    [
        (["Hel", "lo", " you"], ["Hello you"]),
        (["One", ".", " Two", "!", " Three", "?"], ["One.", " Two!", " Three?"]),
        (["Pi is 3", ".", "14", " or so", ".", " Yes"], ["Pi is 3.14 or so.", " Yes"]),
        (['He said "No', '."', " Then"], ['He said "No."', " Then"]),
        (["Well", "...", " maybe"], ["Well...", " maybe"]),
        (["A line", "\n", "B line"], ["A line\n", "B line"]),
        (["你好", "。", "再见", "！"], ["你好。", "再见！"]),  # noqa: RUF001 - Chinese marks
        (["One. Two. Th", "ree"], ["One. Two. Th", "ree"]),
        (["", "Hi"], ["Hi"]),
        ([], []),
        ([""], [""]),
    ],
)
def test_sentences(run: Any, stream: list[str], pieces: list[str]) -> None:
    assert [piece.content for piece in run(PATIENT, chunks(*stream))] == pieces


@every
def test_size(run: Any) -> None:
    buffer = ChunkBuffer(3600, 5, sentences=False)
    pieces = [piece.content for piece in run(buffer, chunks("ab.", " c", "def", "gh", "ijklmno"))]
    assert pieces == ["ab. c", "defgh", "ijklmno"]


@every
def test_without_sentences_only_size_counts(run: Any) -> None:
    buffer = ChunkBuffer(3600, sentences=False)
    assert [p.content for p in run(buffer, chunks("One.", " Two.\n", "x"))] == ["One. Two.\nx"]


@every
def test_tool_calls_usage_metadata_and_ids_are_kept(run: Any) -> None:
    stream = [
        AIMessageChunk(content="", id="run-1", response_metadata={"model_provider": "openai"}),
        AIMessageChunk(
            content="I look", id="run-1", response_metadata={"model_provider": "openai"}
        ),
        AIMessageChunk(
            content="", tool_call_chunks=[tool_call_chunk(name="f", args="", id="c1", index=0)]
        ),
        AIMessageChunk(content="", tool_call_chunks=[tool_call_chunk(args='{"a": ', index=0)]),
        AIMessageChunk(content="", tool_call_chunks=[tool_call_chunk(args="1}", index=0)]),
        AIMessageChunk(content="", response_metadata={"finish_reason": "tool_calls"}),
        AIMessageChunk(content="", usage_metadata=USAGE, chunk_position="last"),
    ]
    (piece,) = run(PATIENT, stream)
    assert piece == merged(stream)
    assert piece.tool_calls == [{"name": "f", "args": {"a": 1}, "id": "c1", "type": "tool_call"}]
    assert piece.usage_metadata["total_tokens"] == 3
    assert piece.id == "run-1"


@every
def test_long_tool_arguments_come_in_pieces_too(run: Any) -> None:
    stream = [
        AIMessageChunk(content="", tool_call_chunks=[tool_call_chunk(args="x" * 30, index=0)])
        for _ in range(4)
    ]
    pieces = run(ChunkBuffer(3600, 70), stream)
    assert [len(piece.tool_call_chunks[0]["args"]) for piece in pieces] == [60, 60]


@every
def test_whole_messages_pass_in_their_place(run: Any) -> None:
    whole = AIMessage("whole")
    pieces = run(PATIENT, [*chunks("a", "b"), whole, *chunks("c")])
    assert [piece.content for piece in pieces] == ["ab", "whole", "c"]
    assert pieces[1] is whole


WORDS = st.sampled_from(["", "a", ".", " B", "?", "!\n", '."', " ", "3.", "14", "c. D"])
TEXT = WORDS.map(lambda text: {"content": text})
BLOCK = st.tuples(WORDS, st.sampled_from([0, 1])).map(
    lambda found: {"content": [{"type": "text", "text": found[0], "index": found[1]}]}
)
TOOL = st.tuples(WORDS, st.sampled_from([0, 1])).map(
    lambda found: {
        "content": "",
        "tool_call_chunks": [tool_call_chunk(args=found[0], index=found[1])],
    }
)
OTHER = st.sampled_from(
    [
        {
            "content": "",
            "usage_metadata": {"input_tokens": 1, "output_tokens": 2, "total_tokens": 3},
        },
        {"content": "", "id": "msg_1"},
        {"content": "", "response_metadata": PROVIDER},
        {"content": "", "additional_kwargs": {"refusal": "no"}},
        {"content": [], "chunk_position": "last"},
    ]
)
STREAMS = st.lists(st.one_of(TEXT, BLOCK, TOOL, OTHER), min_size=1, max_size=12)


@given(
    stream=STREAMS,
    max_chars=st.integers(1, 12),
    sentences=st.booleans(),
    pauses=st.lists(st.sampled_from([0.0, 0.05, 0.2]), min_size=12, max_size=12),
)
def test_what_comes_out_merges_to_what_went_in(
    stream: list[dict[str, Any]], max_chars: int, pauses: list[float], *, sentences: bool
) -> None:
    items = [AIMessageChunk(**fields) for fields in stream]
    joiner = ChunkJoiner(flush_interval_s=0.1, max_chars=max_chars, sentences=sentences)
    pieces: list[AIMessageChunk] = []
    now_s = 0.0
    for item, pause_s in zip(items, pauses, strict=False):
        now_s += pause_s
        pieces += joiner.add(item, now_s)
    pieces += joiner.flush()
    assert merged(pieces) == merged([AIMessageChunk(**fields) for fields in stream])
    for piece in pieces:
        assert len(piece.text) <= max(max_chars, *(len(item.text) for item in items))


def test_a_held_chunk_is_due_after_the_interval_whatever_comes_later() -> None:
    joiner = ChunkJoiner(flush_interval_s=1.0, max_chars=200, sentences=True)
    assert joiner.wait_s(0.0) is None
    assert list(joiner.add(chunks("")[0], 0.0)) == []
    assert joiner.wait_s(0.0) is None  # an empty chunk makes nobody wait
    assert list(joiner.add(chunks("a")[0], 0.5)) == []
    assert list(joiner.add(chunks("b")[0], 1.0)) == []
    assert joiner.wait_s(1.0) == 0.5
    assert [piece.content for piece in joiner.add(chunks("c")[0], 1.5)] == ["abc"]
    assert joiner.wait_s(1.5) is None


# --- the timer ---


def test_the_timer_fires_without_a_new_chunk() -> None:
    go_on = threading.Event()

    def source() -> Iterator[AIMessage]:
        yield from chunks("Wait", " for")
        go_on.wait(10)
        yield from chunks(" it")

    pieces = ChunkBuffer(0.02).transform(source())
    assert next(pieces).content == "Wait for"
    go_on.set()
    assert [piece.content for piece in pieces] == [" it"]


async def test_the_timer_fires_without_a_new_chunk_in_async_code() -> None:
    go_on = asyncio.Event()

    async def source() -> AsyncIterator[AIMessage]:
        for chunk in chunks("Wait", " for"):
            yield chunk
        await go_on.wait()
        yield chunks(" it")[0]

    pieces = ChunkBuffer(0.02).atransform(source())
    assert (await anext(pieces)).content == "Wait for"
    go_on.set()
    assert [piece.content async for piece in pieces] == [" it"]


# --- errors ---


@pytest.mark.parametrize("buffer", [PATIENT, ChunkBuffer(None)], ids=["thread", "direct"])
@pytest.mark.parametrize("error", [errors.StreamStalledError("still"), TimeoutError("t")], ids=repr)
def test_an_error_comes_after_what_was_held(buffer: ChunkBuffer, error: Exception) -> None:
    def source() -> Iterator[AIMessage]:
        yield from chunks("Half", " a")
        raise error

    pieces = buffer.transform(source())
    assert next(pieces).content == "Half a"
    with pytest.raises(type(error)) as caught:
        next(pieces)
    assert caught.value is error


@pytest.mark.parametrize("error", [errors.StreamStalledError("still"), TimeoutError("t")], ids=repr)
async def test_an_error_comes_after_what_was_held_in_async_code(error: Exception) -> None:
    async def source() -> AsyncIterator[AIMessage]:
        for chunk in chunks("Half", " a"):
            yield chunk
        raise error

    pieces = PATIENT.atransform(source())
    assert (await anext(pieces)).content == "Half a"
    with pytest.raises(type(error)) as caught:
        await anext(pieces)
    assert caught.value is error


async def test_a_stream_that_cancels_itself_does_not_hang() -> None:
    async def source() -> AsyncIterator[AIMessage]:
        yield chunks("Half")[0]
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        async with asyncio.timeout(10):
            [piece async for piece in PATIENT.atransform(source())]


# --- closing early ---


class Source:
    """A stream that knows whether it was closed, and where it ran."""

    def __init__(self) -> None:
        self.closed = threading.Event()
        self.go_on = threading.Event()
        self.read = 0

    def stream(self) -> Iterator[AIMessage]:
        try:
            for text in ("One.", " Two.", " Three.", " Four."):
                self.read += 1
                yield chunks(text)[0]
            self.go_on.wait(10)
            yield chunks("late")[0]
        finally:
            self.closed.set()


@pytest.mark.parametrize("buffer", [PATIENT, ChunkBuffer(None)], ids=["thread", "direct"])
def test_closing_early_closes_the_model_and_reads_no_further(buffer: ChunkBuffer) -> None:
    source = Source()
    pieces = buffer.transform(source.stream())
    assert next(pieces).content == "One."
    close(pieces)
    assert source.closed.is_set()
    assert source.read == 2


def test_closing_during_a_wait_returns_at_once_and_the_thread_ends_by_itself() -> None:
    source = Source()
    pieces = ChunkBuffer(0.01).transform(source.stream())
    assert [next(pieces).content for _ in range(4)] == ["One.", " Two.", " Three.", " Four."]
    close(pieces)
    assert not source.closed.is_set()
    source.go_on.set()
    assert source.closed.wait(10)


async def test_closing_early_in_async_code_stops_a_wait_that_is_going_on() -> None:
    closed = asyncio.Event()

    async def source() -> AsyncIterator[AIMessage]:
        try:
            yield chunks("One")[0]
            await asyncio.Event().wait()
        finally:
            closed.set()

    pieces = ChunkBuffer(0.01).atransform(source())
    assert (await anext(pieces)).content == "One"
    await aclose(pieces)
    assert closed.is_set()
    assert len(asyncio.all_tasks()) == 1


async def test_cancelling_the_reader_closes_the_model() -> None:
    closed, started = asyncio.Event(), asyncio.Event()

    async def source() -> AsyncIterator[AIMessage]:
        try:
            started.set()
            await asyncio.Event().wait()
            yield chunks("never")[0]
        finally:
            closed.set()

    async def read() -> list[AIMessage]:
        return [piece async for piece in PATIENT.atransform(source())]

    task = asyncio.create_task(read())
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert closed.is_set()


async def test_closing_before_reading_closes_the_source() -> None:
    class Closable:
        closed = False

        def __aiter__(self) -> Closable:
            return self

        async def __anext__(self) -> AIMessage:
            raise StopAsyncIteration

        async def aclose(self) -> None:
            self.closed = True

    source = Closable()
    await AsyncPuller(source).aclose()
    assert source.closed


async def test_what_closing_raises_is_not_swallowed() -> None:
    async def source() -> AsyncIterator[AIMessage]:
        try:
            yield chunks("One.")[0]
            yield chunks(" Two")[0]
        finally:
            raise RuntimeError("cannot close")

    pieces = PATIENT.atransform(source())
    await anext(pieces)
    with pytest.raises(RuntimeError, match="cannot close"):
        await aclose(pieces)


@every
def test_sources_that_cannot_be_closed_are_fine(run: Any) -> None:
    assert [piece.content for piece in run(PATIENT, chunks("a", "b"))] == ["ab"]


async def test_an_async_source_that_cannot_be_closed_is_fine() -> None:
    class Bare:
        def __init__(self) -> None:
            self.left = chunks("a", "b")

        def __aiter__(self) -> Bare:
            return self

        async def __anext__(self) -> AIMessage:
            if not self.left:
                raise StopAsyncIteration
            return self.left.pop(0)

    assert [piece.content async for piece in PATIENT.atransform(Bare())] == ["ab"]


# --- contexts ---

USER: contextvars.ContextVar[str] = contextvars.ContextVar("USER", default="nobody")


def test_the_stream_sees_the_readers_context_and_keeps_its_own() -> None:
    seen: list[str] = []

    def source() -> Iterator[AIMessage]:
        token = USER.set(USER.get() + "!")
        for chunk in chunks("a.", " b.", " c."):
            seen.append(USER.get())
            yield chunk
        USER.reset(token)
        seen.append(USER.get())

    token = USER.set("ann")
    list(PATIENT.transform(source()))
    USER.reset(token)
    assert seen == ["ann!", "ann!", "ann!", "ann"]


async def test_the_async_stream_stays_in_one_task() -> None:
    seen: list[str] = []

    async def source() -> AsyncIterator[AIMessage]:
        token = USER.set(USER.get() + "!")
        async with asyncio.timeout(10):  # may not be left in another task
            for chunk in chunks("a.", " b.", " c."):
                seen.append(USER.get())
                yield chunk
        USER.reset(token)

    USER.set("ann")
    assert len([piece async for piece in PATIENT.atransform(source())]) == 3
    assert seen == ["ann!", "ann!", "ann!"]


# --- as a LangChain runnable ---


def chain() -> Runnable[Any, AIMessage]:
    model = GenericFakeChatModel(messages=iter([AIMessage("One two. Three four. Five")] * 2))
    return model | ChunkBuffer(flush_interval_s=3600)


def test_in_a_chain() -> None:
    pieces = [piece.content for piece in chain().stream("hi")]
    assert [piece for piece in pieces if piece] == ["One two.", " Three four.", " Five"]


async def test_in_an_async_chain() -> None:
    pieces = [piece.content async for piece in chain().astream("hi")]
    assert [piece for piece in pieces if piece] == ["One two.", " Three four.", " Five"]


async def test_a_plain_call_comes_through_as_it_is() -> None:
    assert chain().invoke("hi").content == "One two. Three four. Five"
    assert (await chain().ainvoke("hi")).content == "One two. Three four. Five"


def test_closing_a_chain_closes_the_model() -> None:
    source = Source()

    class Model(Runnable[str, AIMessage]):
        def invoke(self, *args: Any, **kwargs: Any) -> AIMessage:
            raise NotImplementedError

        def stream(self, *args: Any, **kwargs: Any) -> Iterator[AIMessage]:
            del args, kwargs
            return source.stream()

    stream = (Model() | PATIENT).stream("hi")
    next(stream)
    close(stream)
    assert source.closed.wait(10)


def test_settings_survive_pickling() -> None:
    twin = pickle.loads(pickle.dumps(ChunkBuffer(0.5, 7, sentences=False)))  # noqa: S301 - our own bytes
    assert (twin.flush_interval_s, twin.max_chars, twin.sentences) == (0.5, 7, False)


@pytest.mark.parametrize(
    ("settings", "field"),
    [
        ({"flush_interval_s": 0}, "flush_interval_s"),
        ({"flush_interval_s": -1}, "flush_interval_s"),
        ({"max_chars": 0}, "max_chars"),
        ({"max_chars": None}, "max_chars"),
        ({"sentences": 1}, "sentences"),
    ],
)
def test_bad_settings_are_refused_by_name(settings: dict[str, Any], field: str) -> None:
    with pytest.raises(errors.ConfigurationError, match=f"^{field}: got "):
        ChunkBuffer(**settings)
