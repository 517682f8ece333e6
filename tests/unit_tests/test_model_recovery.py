"""After a stream of a model broke, nothing is delivered twice, and nothing is lost unsaid."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.messages import AIMessageChunk
from mock_api import Json, MockAPI, chunk, merged, sse, stream_reply, text_events, usage_chunk
from responses_api import answered, function_call, streamed, text_message

from langchain_tamma_openai import RetryPolicy, StreamInterruptedError
from langchain_tamma_openai.errors import TammaError

AT_ONCE = RetryPolicy(max_attempts=3, base_delay_s=0, max_delay_s=0)
APIS = ("chat_completions", "responses")
apis = pytest.mark.parametrize("api", APIS)
quick = settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))


def written(api: str, text: str) -> list[bytes]:
    """The events of a text answer, one piece each."""
    if api == "responses":
        return [sse([event], done=False) for event in streamed(answered(text_message(text)))]
    return [*(sse([event], done=False) for event in text_events(text)), b"data: [DONE]\n\n"]


def spoken(api: str, text: str) -> list[bytes]:
    """The same, a letter at a time in both APIs."""
    if api == "chat_completions":
        return written(api, text)
    events = streamed(answered(text_message(text)))
    out: list[Json] = []
    for event in events:
        if event["type"] != "response.output_text.delta":
            out.append(event)
            continue
        out += [{**event, "delta": letter} for letter in event["delta"]]
    numbered = [{**event, "sequence_number": number} for number, event in enumerate(out)]
    return [sse([event], done=False) for event in numbered]


def broken(pieces: list[bytes], cut: int, how: str) -> httpx2.Response:
    sent: list[Any] = pieces[: max(0, min(cut, len(pieces) - 2))]
    if how == "reset":
        sent = [*sent, httpx2.ReadError("reset")]
    if how == "corrupt":
        sent = [*sent, b'data: {"bro\n\n']
    return stream_reply(*sent)


class Calls:
    """A model whose streams are these, one after the other."""

    def __init__(self, api: str, *streams: httpx2.Response, **fields: Any) -> None:
        self.api = MockAPI(*streams)
        fields = {"stream_recovery": "regenerate", "retry": AT_ONCE, **fields}
        self.llm = self.api.tamma(use_responses_api=api == "responses", **fields)
        self.seen: list[AIMessageChunk] = []

    def read(self, *, by_loop: bool, **kwargs: Any) -> Exception | None:
        """Read to the end; what came stays in `seen`."""
        try:
            if by_loop:
                asyncio.run(self._aread(**kwargs))
            else:
                for piece in self.llm.stream("Hi", **kwargs):
                    self.seen.append(piece)
        except TammaError as error:
            return error
        return None

    async def _aread(self, **kwargs: Any) -> None:
        async for piece in self.llm.astream("Hi", **kwargs):
            self.seen.append(piece)

    @property
    def text(self) -> str:
        """All text that was delivered."""
        return "".join(piece.text for piece in self.seen)


HOW = st.sampled_from(["truncate", "reset", "corrupt"])
TEXTS = st.text("ab ", min_size=1, max_size=8)


@quick
@given(
    api=st.sampled_from(APIS),
    by_loop=st.booleans(),
    first=TEXTS,
    other=TEXTS,
    same=st.booleans(),
    cuts=st.lists(st.tuples(st.integers(0, 12), HOW), min_size=1, max_size=3),
)
def test_nothing_is_delivered_twice(
    api: str,
    first: str,
    other: str,
    cuts: list[tuple[int, str]],
    *,
    by_loop: bool,
    same: bool,
) -> None:
    second = first if same else other
    texts = [first, second, second]
    streams = [broken(spoken(api, t), *cut) for t, cut in zip(texts, cuts, strict=False)]
    calls = Calls(api, *streams, stream_reply(*spoken(api, second)))
    error = calls.read(by_loop=by_loop)
    assert len(calls.api.requests) <= AT_ONCE.max_attempts
    if error is None:
        assert calls.text in (first, second)
        whole = merged(calls.seen)
        assert whole.text == calls.text
        assert whole.chunk_position == "last"
        return
    assert isinstance(error, StreamInterruptedError)
    assert first.startswith(calls.text) or second.startswith(calls.text)
    assert error.delivered == bool(calls.seen)
    if same:
        assert len(cuts) == AT_ONCE.max_attempts


@apis
@pytest.mark.parametrize("by_loop", [False, True], ids=["sync", "async"])
def test_a_second_answer_that_differs_raises_the_first_break(api: str, *, by_loop: bool) -> None:
    first = broken(spoken(api, "Hello there"), 9, "reset")
    calls = Calls(api, first, stream_reply(*spoken(api, "Goodbye")))
    error = calls.read(by_loop=by_loop)
    assert isinstance(error, StreamInterruptedError)
    assert "differs from what was delivered" in "".join(error.__notes__)
    assert error.safe_to_do == "nothing"
    assert error.partial is not None
    assert error.partial.text == calls.text != ""
    assert len(calls.api.requests) == 2


@apis
@pytest.mark.parametrize("by_loop", [False, True], ids=["sync", "async"])
def test_a_second_break_while_catching_up_is_asked_for_again(api: str, *, by_loop: bool) -> None:
    pieces = spoken(api, "Hello there")
    streams = [broken(pieces, 10, "reset"), broken(pieces, 5, "truncate"), stream_reply(*pieces)]
    calls = Calls(api, *streams)
    assert calls.read(by_loop=by_loop) is None
    assert calls.text == "Hello there"
    assert len(calls.api.requests) == 3


@apis
@pytest.mark.parametrize("by_loop", [False, True], ids=["sync", "async"])
def test_breaks_end_with_the_attempts(api: str, *, by_loop: bool) -> None:
    pieces = spoken(api, "Hello there")
    calls = Calls(api, *(broken(pieces, 6 + number, "reset") for number in range(3)))
    error = calls.read(by_loop=by_loop)
    assert isinstance(error, StreamInterruptedError)
    assert "Hello there".startswith(calls.text)
    assert error.safe_to_do == "regenerate"
    assert len(calls.api.requests) == 3


def _tool_events(api: str, arguments: str, number: int) -> list[bytes]:
    if api == "responses":
        events = streamed(answered(function_call("add", arguments, number)))
        return [sse([event], done=False) for event in events]
    call = {"index": 0, "id": f"call_{number}", "type": "function"}
    named = {**call, "function": {"name": "add", "arguments": ""}}
    parts = [{"index": 0, "function": {"arguments": letter}} for letter in arguments]
    deltas = [{"tool_calls": [part]} for part in (named, *parts)]
    events = [*map(chunk, deltas), chunk({}, "tool_calls"), usage_chunk()]
    return [*(sse([event], done=False) for event in events), b"data: [DONE]\n\n"]


@apis
@pytest.mark.parametrize("by_loop", [False, True], ids=["sync", "async"])
@pytest.mark.parametrize("cut", range(1, 7))
def test_tool_arguments_come_once_and_under_one_id(api: str, cut: int, *, by_loop: bool) -> None:
    arguments = '{"a": 1, "b": 22}'
    first = broken(_tool_events(api, arguments, 1), cut, "reset")
    calls = Calls(api, first, stream_reply(*_tool_events(api, arguments, 2)))
    assert calls.read(by_loop=by_loop) is None
    (call,) = merged(calls.seen).tool_calls
    assert (call["name"], call["args"]) == ("add", {"a": 1, "b": 22})
    assert call["id"] in {"call_1", "call_2"}


class Watcher(BaseCallbackHandler):
    """Sees tokens, as a user interface would."""

    def __init__(self) -> None:
        self.text = ""

    def on_llm_new_token(self, token: Any, *, chunk: Any = None, **_kwargs: Any) -> None:
        del token  # blocks, in the Responses API
        self.text += chunk.text


@apis
@pytest.mark.parametrize("recovery", ["raise", "resume", "regenerate"])
@pytest.mark.parametrize("by_loop", [False, True], ids=["sync", "async"])
@pytest.mark.parametrize("cut", [0, 3, 7])
def test_a_handler_of_a_streaming_invoke_sees_no_text_twice(
    api: str, recovery: str, cut: int, *, by_loop: bool
) -> None:
    pieces = spoken(api, "Hello")
    fields: Json = {"stream_recovery": recovery, "streaming": True}
    calls = Calls(api, broken(pieces, cut, "reset"), stream_reply(*pieces), **fields)
    watcher = Watcher()
    config: Any = {"callbacks": [watcher]}
    try:
        if by_loop:
            answer = asyncio.run(calls.llm.ainvoke("Hi", config=config))
        else:
            answer = calls.llm.invoke("Hi", config=config)
    except StreamInterruptedError as error:
        outcome = ("delivered", error.delivered)
    else:
        outcome = ("text", answer.text == "Hello" == watcher.text)
    assert outcome[1]
    assert "Hello".startswith(watcher.text)
    assert outcome[0] == "text" or recovery != "regenerate"


@apis
@pytest.mark.parametrize("recovery", ["raise", "resume", "regenerate"])
def test_a_streaming_invoke_that_nobody_watches_recovers_unseen(api: str, recovery: str) -> None:
    pieces = spoken(api, "Hello")
    fields: Json = {"stream_recovery": recovery, "streaming": True}
    calls = Calls(api, broken(pieces, 6, "reset"), stream_reply(*pieces), **fields)
    answer = calls.llm.invoke("Hi")
    assert answer.text == "Hello"
    assert answer.usage_metadata is not None


@pytest.mark.parametrize("recovery", ["raise", "resume", "regenerate"])
@pytest.mark.parametrize("by_loop", [False, True], ids=["sync", "async"])
@pytest.mark.parametrize("said", ["", "He"])
@pytest.mark.parametrize("code", ["insufficient_quota", "invalid_value"])
def test_an_error_inside_a_stream_that_would_come_again_is_not_repeated(
    code: str, said: str, recovery: str, *, by_loop: bool
) -> None:
    event = {"error": {"message": "No.", "type": "invalid_request_error", "code": code}}
    events = [chunk({"content": said}), event]
    streams = [stream_reply(sse(events, done=False)) for _ in range(3)]
    calls = Calls("chat_completions", *streams, stream_recovery=recovery)
    error = calls.read(by_loop=by_loop)
    assert isinstance(error, StreamInterruptedError)
    assert error.code == code
    assert error.safe_to_do == "nothing"
    assert len(calls.api.requests) == 1


# --- what is safe to do ---


def _error(api: str, cut: int, how: str = "reset", **fields: Any) -> StreamInterruptedError:
    fields = {"stream_recovery": "raise", "retry": RetryPolicy(max_attempts=1), **fields}
    calls = Calls(api, broken(spoken(api, "Hello there"), cut, how), **fields)
    error = calls.read(by_loop=False)
    assert isinstance(error, StreamInterruptedError)
    return error


@apis
def test_asking_again_is_safe_when_nothing_was_delivered(api: str) -> None:
    assert _error(api, 1).safe_to_do == "retry"


@apis
@pytest.mark.parametrize("how", ["reset", "truncate", "corrupt"])
def test_comparing_is_safe_when_a_part_was_delivered(api: str, how: str) -> None:
    error = _error(api, 7, how)
    assert error.delivered
    assert error.safe_to_do == "regenerate"
    assert not error.is_retryable


def test_nothing_is_safe_after_an_error_that_would_come_again() -> None:
    event = {"error": {"message": "No.", "type": "invalid_request_error", "code": "x"}}
    stream = stream_reply(sse([chunk({"content": "He"}), event], done=False))
    error = Calls("chat_completions", stream, stream_recovery="raise").read(by_loop=False)
    assert isinstance(error, StreamInterruptedError)
    assert error.safe_to_do == "nothing"


def test_nothing_is_safe_after_reasoning_was_delivered() -> None:
    from responses_api import reasoning

    whole = answered(
        reasoning(summary=[{"type": "summary_text", "text": "Hm"}]), text_message("Hi")
    )
    pieces = [sse([event], done=False) for event in streamed(whole)]
    stream = stream_reply(*pieces[:-2], httpx2.ReadError("reset"))
    error = Calls("responses", stream, stream_recovery="raise").read(by_loop=False)
    assert isinstance(error, StreamInterruptedError)
    assert error.safe_to_do == "nothing"


def test_a_background_answer_can_be_resumed() -> None:
    events = streamed(answered(text_message("Hello"), background=True))
    events[0]["response"] = {**events[0]["response"], "background": True}
    pieces = [sse([event], done=False) for event in events]
    stream = stream_reply(*pieces[:5], httpx2.ReadError("reset"))
    calls = Calls("responses", stream, stream_recovery="raise", background=True, store=True)
    error = calls.read(by_loop=False)
    assert isinstance(error, StreamInterruptedError)
    assert error.safe_to_do == "resume"


def test_the_estimate_survives_pickling_and_copying() -> None:
    import copy
    import pickle

    error = _error("chat_completions", 4)
    for twin in (copy.copy(error), pickle.loads(pickle.dumps(error))):  # noqa: S301 - our own bytes
        assert twin.usage == error.usage
        assert twin.usage is not None
        assert twin.usage["output_tokens"] > 0
        assert twin.safe_to_do == error.safe_to_do
