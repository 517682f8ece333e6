"""Background streams survive cut connections: nothing is lost, nothing comes twice."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Callable, Iterator
from typing import Any

import httpx2
import pytest
from background_api import (
    BODY,
    EVENTS,
    RESPONSE_ID,
    BackgroundAPI,
    Cut,
    lost,
    numbered,
    plainly,
    response,
    written,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from langchain_core.messages import AIMessageChunk
from mock_api import STREAM_WAYS, Json, Way, merged
from responses_replay import events_of, recording, recordings

from langchain_tamma_openai import ChatTammaOpenAI, RetryPolicy
from langchain_tamma_openai.errors import (
    NotFoundError,
    ServerError,
    StreamInterruptedError,
    StreamStalledError,
)
from langchain_tamma_openai.resilience.retry import no_waiting

ENDS: list[Callable[[], Cut]] = [
    lost,
    lambda: httpx2.ReadTimeout("nothing came"),
    lambda: None,
]
BOUNDARIES = [len(b"".join(written(event) for event in EVENTS[:n])) for n in range(len(EVENTS) + 1)]
WHOLE = len(BODY)
TEXT = next(n for n, event in enumerate(EVENTS) if event["type"] == "response.output_text.delta")
IN_TEXT = BOUNDARIES[TEXT + 2]


@pytest.fixture(autouse=True)
def _no_waiting() -> Iterator[None]:
    with no_waiting():
        yield


def background(api: BackgroundAPI, **fields: Any) -> ChatTammaOpenAI:
    return api.tamma(use_responses_api=True, **fields)


def streamed(model: ChatTammaOpenAI, **kwargs: Any) -> list[AIMessageChunk]:
    return [*model.stream("hi", background=True, **kwargs)]


async def astreamed(model: ChatTammaOpenAI, **kwargs: Any) -> list[AIMessageChunk]:
    return [chunk async for chunk in model.astream("hi", background=True, **kwargs)]


REFERENCE = plainly(streamed(background(BackgroundAPI())))


def last_whole_event(position: int) -> int:
    return max(n for n, boundary in enumerate(BOUNDARIES) if boundary <= position) - 1


def checks_resumed(api: BackgroundAPI, chunks: list[AIMessageChunk], position: int) -> None:
    assert plainly(chunks) == REFERENCE
    assert api.resumed_after == [last_whole_event(position)]


def test_the_reference_says_everything() -> None:
    whole = merged(streamed(background(BackgroundAPI())))
    assert whole.text == 'Zürich "ß" \U0001f600'
    assert [call["args"] for call in whole.tool_calls] == [{"a": 1}]
    assert whole.usage_metadata
    assert whole.usage_metadata["total_tokens"] == 29
    assert whole.response_metadata["cost"]["total_usd"] is not None


@pytest.mark.parametrize("cut", ENDS)
@pytest.mark.parametrize("number", range(1, len(EVENTS)))
def test_a_stream_cut_after_any_event_goes_on(number: int, cut: Callable[[], Cut]) -> None:
    api = BackgroundAPI(first=BOUNDARIES[number], cut=cut)
    checks_resumed(api, streamed(background(api)), BOUNDARIES[number])
    api = BackgroundAPI(first=BOUNDARIES[number], cut=cut)
    checks_resumed(api, asyncio.run(astreamed(background(api))), BOUNDARIES[number])


ENDED: Json = {"id": RESPONSE_ID, "status": "completed", "output": [], "usage": {"input_tokens": 7}}
SHORT = numbered(
    [
        {"type": "response.created", "response": {"id": RESPONSE_ID}},
        *[
            {"type": "response.output_text.delta", "item_id": "msg_1", "delta": text}
            for text in ("Zü", 'rich "', "ß\U0001f600")
        ],
        {"type": "response.completed", "response": ENDED},
    ]
)
SHORT_BODY = b"".join(written(event) for event in SHORT)


def told(chunks: list[AIMessageChunk]) -> list[tuple[str, object]]:
    return [(chunk.text, chunk.usage_metadata) for chunk in chunks]


async def test_a_stream_cut_at_any_byte_goes_on() -> None:
    whole = told(streamed(background(BackgroundAPI(SHORT))))
    for position in range(len(written(SHORT[0])), len(SHORT_BODY) - 2):
        api = BackgroundAPI(SHORT, first=position)
        assert told(streamed(background(api))) == whole
        seen = SHORT_BODY[:position].count(b"\n\n")
        assert api.resumed_after == [seen - 1]
        api = BackgroundAPI(SHORT, first=position, cut=lambda: None)
        assert told(await astreamed(background(api))) == whole
        # The end of a message ends its last event too, if that is whole.
        assert api.resumed_after in ([seen - 1], [seen])


@pytest.mark.parametrize("way", STREAM_WAYS.values(), ids=STREAM_WAYS)
@pytest.mark.parametrize("position", [0, 1, BOUNDARIES[1] - 1])
@pytest.mark.parametrize("cut", ENDS[:2])
def test_a_stream_cut_before_its_id_was_told_is_an_error(
    way: Way, position: int, cut: Callable[[], Cut]
) -> None:
    api = BackgroundAPI(first=position, cut=cut)
    with pytest.raises(StreamInterruptedError) as caught:
        way(background(api), "hi", background=True)
    assert caught.value.partial is None
    assert len(api.requests) == 1


@pytest.mark.parametrize("way", STREAM_WAYS.values(), ids=STREAM_WAYS)
def test_nothing_is_asked_when_the_connection_breaks_behind_the_answer(way: Way) -> None:
    api = BackgroundAPI([*EVENTS, {"type": "later", "sequence_number": 999}], first=WHOLE)
    assert way(background(api), "hi", background=True).text == 'Zürich "ß" \U0001f600'
    assert len(api.requests) == 1


@pytest.mark.parametrize("colour", ["sync", "async"])
@pytest.mark.parametrize("overlap", [0, 1, 5, 99])
def test_a_connection_cut_after_every_event_still_gives_the_whole_answer(
    colour: str, overlap: int
) -> None:
    # Every connection brings one new event; some servers send earlier ones again.
    later = []
    for number in range(1, len(EVENTS)):
        again = EVENTS[max(0, number - overlap) : number + 1]
        later.append(sum(len(written(event)) for event in again))
    api = BackgroundAPI(first=BOUNDARIES[1], later=later, overlap=overlap)
    model = background(api)
    chunks = streamed(model) if colour == "sync" else asyncio.run(astreamed(model))
    assert plainly(chunks) == REFERENCE
    assert api.resumed_after == list(range(len(EVENTS) - 1))


@settings(max_examples=40, deadline=None)
@given(
    cuts=st.lists(st.integers(0, WHOLE), max_size=6),
    first=st.integers(BOUNDARIES[1], WHOLE),
    overlap=st.integers(0, 6),
)
def test_any_cuts_give_the_same_chunks_or_one_honest_error(
    first: int, cuts: list[int], overlap: int
) -> None:
    api = BackgroundAPI(first=first, later=cuts, overlap=overlap)
    got: list[AIMessageChunk] = []
    with contextlib.suppress(StreamInterruptedError):
        for chunk in background(api).stream("hi", background=True):
            got.append(chunk)  # noqa: PERF402 - what came before an error counts
    assert plainly(got) == REFERENCE[: len(got)]
    # Only a server that does not get further, three times in a row, is left.
    whole = bool(got) and got[-1].chunk_position == "last"
    assert whole or len(api.resumed_after) >= 3
    assert len(api.resumed_after) <= len(cuts) + 1


@pytest.mark.parametrize("way", STREAM_WAYS.values(), ids=STREAM_WAYS)
def test_a_server_that_never_gets_further_is_left(way: Way) -> None:
    api = BackgroundAPI(first=BOUNDARIES[10], later=[0] * 50)
    with pytest.raises(StreamInterruptedError) as caught:
        way(background(api), "hi", background=True)
    assert caught.value.partial is not None
    assert caught.value.partial.id == RESPONSE_ID
    assert caught.value.delivered
    assert api.resumed_after == [9, 9, 9]


def test_events_that_give_no_chunk_are_progress_too() -> None:
    # 9 to 12 tell how a web search goes on; no chunk comes of them.
    later = [len(written(EVENTS[number])) for number in range(9, 14)]
    api = BackgroundAPI(first=BOUNDARIES[9], later=later)
    assert plainly(streamed(background(api))) == REFERENCE
    assert api.resumed_after == [8, 9, 10, 11, 12, 13]


class Refusing(BackgroundAPI):
    """Answers what would continue a stream with an error."""

    def __init__(self, status: int, times: int, **options: Any) -> None:
        super().__init__(**options)
        self._status = status
        self._times = times

    def _handle(self, request: httpx2.Request) -> httpx2.Response:
        if request.method == "GET" and self._times:
            self._times -= 1
            self.requests.append(request)
            body = {"error": {"message": "no such response", "type": "x", "code": "gone"}}
            return httpx2.Response(self._status, json=body)
        return super()._handle(request)


@pytest.mark.parametrize("way", STREAM_WAYS.values(), ids=STREAM_WAYS)
@pytest.mark.parametrize(
    ("status", "attempts", "cause"), [(404, 1, NotFoundError), (500, 3, ServerError)]
)
def test_a_continuation_that_is_refused_ends_in_an_error_with_what_came(
    way: Way, status: int, attempts: int, cause: type[Exception]
) -> None:
    api = Refusing(status, 99, first=IN_TEXT)
    with pytest.raises(StreamInterruptedError) as caught:
        way(background(api, max_retries=2), "hi", background=True)
    assert caught.value.partial is not None
    assert caught.value.partial.text == 'Zürich "'
    assert isinstance(caught.value.__cause__, cause)
    assert len(api.resumed_after) == attempts
    assert api.cancels == []


@pytest.mark.parametrize("way", STREAM_WAYS.values(), ids=STREAM_WAYS)
def test_a_continuation_is_retried_as_any_request(way: Way) -> None:
    api = Refusing(503, 2, first=IN_TEXT)
    model = background(api, retry=RetryPolicy(max_attempts=3))
    assert way(model, "hi", background=True).text == 'Zürich "ß" \U0001f600'
    assert api.resumed_after == [TEXT + 1] * 3


@pytest.mark.parametrize("way", STREAM_WAYS.values(), ids=STREAM_WAYS)
def test_only_a_background_answer_is_continued(way: Way) -> None:
    api = BackgroundAPI(first=IN_TEXT)
    with pytest.raises(StreamInterruptedError) as caught:
        way(background(api), "hi")
    assert caught.value.partial is not None
    assert caught.value.partial.text == 'Zürich "'
    assert len(api.requests) == 1


def test_an_event_that_cannot_be_read_is_asked_for_again() -> None:
    class Garbling(BackgroundAPI):
        def _handle(self, request: httpx2.Request) -> httpx2.Response:
            answer = super()._handle(request)
            if request.method == "POST":
                body = answer.read().replace(b'"delta":"rich', b'"delta":"rich\n', 1)
                return httpx2.Response(200, content=body)
            return answer

    api = Garbling()
    assert plainly(streamed(background(api))) == REFERENCE
    assert api.resumed_after == [TEXT]


def test_a_continuation_takes_over_headers_query_and_what_to_include() -> None:
    api = BackgroundAPI(first=BOUNDARIES[5])
    model = background(api, include=["reasoning.encrypted_content"], default_query={"tenant": "7"})
    streamed(
        model,
        extra_headers={"x-team": "blue"},
        extra_query={"trace": "on"},
        extra_body={"odd": 1},
        stream_options={"include_obfuscation": False},
    )
    post, get = api.requests
    assert json.loads(post.content)["odd"] == 1
    assert get.url.path == f"/v1/responses/{RESPONSE_ID}"
    assert get.content == b""
    assert get.headers["x-team"] == "blue"
    assert dict(get.url.params) == {
        "tenant": "7",
        "trace": "on",
        "include[]": "reasoning.encrypted_content",
        "include_obfuscation": "false",
        "stream": "true",
        "starting_after": "4",
    }
    assert get.extensions["timeout"]["read"] == 120


def test_a_stream_without_a_limit_goes_on_too() -> None:
    api = BackgroundAPI(first=IN_TEXT)
    assert plainly(streamed(background(api, background_timeout_s=None))) == REFERENCE


def test_a_continued_stream_may_be_silent_no_longer_than_the_first() -> None:
    api = BackgroundAPI(first=BOUNDARIES[5])
    streamed(background(api, stream_chunk_timeout=7.0))
    assert [request.extensions["timeout"]["read"] for request in api.requests] == [7.0, 7.0]


@pytest.mark.parametrize("way", STREAM_WAYS.values(), ids=STREAM_WAYS)
def test_a_background_stream_ends_when_its_time_is_up(
    way: Way, monkeypatch: pytest.MonkeyPatch
) -> None:
    api = BackgroundAPI()
    model = background(api, background_timeout_s=60.0)
    moments = iter([0.0, 0.0, *[61.0] * 99])
    _clock(monkeypatch, moments)
    with pytest.raises(StreamStalledError, match="background_timeout_s") as caught:
        way(model, "hi", background=True)
    assert caught.value.code == "background_timeout"
    assert caught.value.retryable is True


@pytest.mark.parametrize("way", STREAM_WAYS.values(), ids=STREAM_WAYS)
def test_a_stream_that_breaks_when_its_time_is_up_is_called_off(
    way: Way, monkeypatch: pytest.MonkeyPatch
) -> None:
    api = BackgroundAPI(first=IN_TEXT)
    model = background(api, background_timeout_s=60.0)
    moments = iter([0.0, 0.0, 0.0, *[61.0] * 99])
    _clock(monkeypatch, moments)
    with pytest.raises(StreamInterruptedError) as caught:
        way(model, "hi", background=True)
    assert caught.value.partial is not None
    assert api.resumed_after == []
    assert api.cancels == [f"/v1/responses/{RESPONSE_ID}/cancel"]


def _clock(monkeypatch: pytest.MonkeyPatch, moments: Iterator[float]) -> None:
    from langchain_tamma_openai.chat_models import responses_call
    from langchain_tamma_openai.resilience.background import Patience

    def patient(limit_s: float | None) -> Patience:
        return Patience(limit_s, clock=lambda: next(moments))

    monkeypatch.setattr(responses_call, "Patience", patient)


def test_a_failed_background_answer_is_not_continued() -> None:
    failed = response("failed", error={"code": "server_error", "message": "It broke."})
    events = numbered([*EVENTS[: TEXT + 2], {"type": "response.failed", "response": failed}])
    api = BackgroundAPI(events)
    with pytest.raises(StreamInterruptedError, match="It broke") as caught:
        streamed(background(api))
    assert caught.value.code == "server_error"
    assert len(api.requests) == 1


RECORDED = [
    (name, number) for name, number in recordings() if recording(name)[number][0].get("stream")
]


@pytest.mark.parametrize(("name", "number"), RECORDED)
def test_recorded_streams_cut_often_give_the_same_chunks(name: str, number: int) -> None:
    events: list[Json] = events_of(recording(name)[number][1])
    whole = plainly(streamed(background(BackgroundAPI(events))))
    step = 1 + len(events) // 30
    ends = range(step, len(events), step)
    sizes = [sum(len(written(event)) for event in events[end - step : end]) for end in ends]
    api = BackgroundAPI(events, first=sizes[0], later=sizes[1:])
    assert plainly(streamed(background(api))) == whole
    assert api.resumed_after == [end - 1 for end in ends]
