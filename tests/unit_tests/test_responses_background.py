"""Background mode: polling to the end, bounds in time, and calling an answer off."""

from __future__ import annotations

import asyncio
import gc
import json
import logging
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import httpx2
import pytest
from background_api import EVENTS, RESPONSE_ID, BackgroundAPI, response
from langchain_core.messages import AIMessageChunk
from mock_api import ALL_WAYS, PLAIN_WAYS, STREAM_WAYS, Json, MockAPI, Way
from pydantic import BaseModel

from langchain_tamma_openai import ChatTammaOpenAI
from langchain_tamma_openai.chat_models import background as driving
from langchain_tamma_openai.errors import (
    InvalidParameterError,
    MalformedResponseError,
    RequestTimeoutError,
    ServerError,
    TammaError,
)
from langchain_tamma_openai.resilience.background import Patience
from langchain_tamma_openai.resilience.retry import no_waiting

CANCEL = f"/v1/responses/{RESPONSE_ID}/cancel"
ASK = f"/v1/responses/{RESPONSE_ID}"
PLAIN = pytest.mark.parametrize("way", PLAIN_WAYS.values(), ids=PLAIN_WAYS)


class Polled(MockAPI):
    """Answers each question with the next status; the last one stays."""

    def __init__(self, *answers: Any) -> None:
        super().__init__()
        self.answers = list(answers)
        self.on_cancel: Callable[[], httpx2.Response] = lambda: httpx2.Response(
            200, json=response("cancelled")
        )

    @property
    def asked(self) -> list[str]:
        """Method and path of each request."""
        return [f"{request.method} {request.url.path}" for request in self.requests]

    def _handle(self, request: httpx2.Request) -> httpx2.Response:
        self.requests.append(request)
        if request.url.path == CANCEL:
            return self.on_cancel()
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, BaseException):
            raise answer
        if isinstance(answer, httpx2.Response):
            return answer
        body = answer if isinstance(answer, dict) else response(answer)
        return httpx2.Response(200, json=body)


@pytest.fixture
def at_once() -> Iterator[None]:
    with no_waiting():
        yield


def model_of(api: MockAPI, **fields: Any) -> ChatTammaOpenAI:
    return api.tamma(use_responses_api=True, **fields)


@PLAIN
@pytest.mark.usefixtures("at_once")
def test_an_answer_is_asked_for_until_it_is_there(way: Way) -> None:
    api = Polled("queued", "queued", "in_progress", "completed")
    answer = way(model_of(api), "hi", background=True)
    assert answer.text == 'Zürich "ß" \U0001f600'
    assert answer.response_metadata["status"] == "completed"
    assert answer.response_metadata["cost"]["total_usd"] is not None
    assert api.asked == ["POST /v1/responses", *[f"GET {ASK}"] * 3]
    assert json.loads(api.requests[0].content)["background"] is True
    assert [request.content for request in api.requests[1:]] == [b""] * 3


@PLAIN
@pytest.mark.usefixtures("at_once")
def test_it_is_the_answer_that_a_plain_call_gives(way: Way) -> None:
    plain = way(model_of(Polled("completed")), "hi")
    asked = way(model_of(Polled("queued", "completed")), "hi", background=True)
    assert asked == plain


@PLAIN
@pytest.mark.usefixtures("at_once")
def test_a_failed_answer_is_an_error_with_the_code_of_the_server(way: Way) -> None:
    failed = response("failed", error={"code": "server_error", "message": "It broke."})
    api = Polled("queued", failed)
    with pytest.raises(ServerError, match="It broke") as caught:
        way(model_of(api), "hi", background=True)
    assert caught.value.code == "server_error"
    assert CANCEL not in api.asked


@PLAIN
@pytest.mark.usefixtures("at_once")
def test_a_cut_or_cancelled_answer_says_so_and_keeps_what_it_cost(way: Way) -> None:
    details = {"reason": "max_output_tokens"}
    cut = way(
        model_of(Polled("queued", response("incomplete", incomplete_details=details))),
        "hi",
        background=True,
    )
    assert cut.response_metadata["status"] == "incomplete"
    assert cut.response_metadata["incomplete_details"] == details
    api = Polled("in_progress", response("cancelled", output=[]))
    cancelled = way(model_of(api), "hi", background=True)
    assert cancelled.response_metadata["status"] == "cancelled"
    assert cancelled.content == []
    assert cancelled.usage_metadata
    assert cancelled.response_metadata["cost"]["total_usd"] is not None
    assert len(api.requests) == 2


@pytest.mark.usefixtures("at_once")
def test_a_cancelled_structured_answer_is_an_error() -> None:
    class Answer(BaseModel):
        n: int

    api = Polled("queued", response("cancelled", output=[]))
    structured = model_of(api).with_structured_output(Answer)
    with pytest.raises(MalformedResponseError):
        structured.invoke("hi", background=True)


@PLAIN
@pytest.mark.usefixtures("at_once")
def test_each_question_is_retried_as_any_request(way: Way) -> None:
    busy = httpx2.Response(503, json={"error": {"message": "busy"}})
    lost = httpx2.ConnectError("refused")
    api = Polled("queued", busy, lost, "completed")
    answer = way(model_of(api, max_retries=2), "hi", background=True)
    assert answer.response_metadata["status"] == "completed"
    assert len(api.requests) == 4


@PLAIN
@pytest.mark.usefixtures("at_once")
def test_questions_take_over_headers_query_and_what_to_include(way: Way) -> None:
    api = Polled("queued", "completed")
    way(
        model_of(api, include=["a", "b"]),
        "hi",
        background=True,
        extra_headers={"x-team": "blue"},
        extra_query={"trace": "on"},
        extra_body={"odd": 1},
        timeout=9,
    )
    get = api.requests[1]
    assert get.headers["x-team"] == "blue"
    assert get.url.params.multi_items() == [
        ("trace", "on"), ("include[]", "a"), ("include[]", "b"),
    ]  # fmt: skip
    assert set(get.extensions["timeout"].values()) == {9}


@pytest.mark.usefixtures("at_once")
def test_background_mode_may_be_asked_for_in_any_way() -> None:
    ways: list[tuple[Json, Json]] = [
        ({"model_kwargs": {"background": True}}, {}),
        ({}, {"background": True}),
        ({}, {"extra_body": {"background": True}}),
        ({"extra_body": {"background": True}}, {}),
    ]
    for fields, call in ways:
        api = Polled("queued", "completed")
        answer = model_of(api, **fields).invoke("hi", **call)
        assert answer.response_metadata["status"] == "completed"
        assert len(api.requests) == 2


@pytest.mark.usefixtures("at_once")
def test_background_mode_needs_the_responses_api_and_gets_it() -> None:
    api = Polled("queued", "completed")
    api.tamma().invoke("hi", background=True)
    assert api.asked[0] == "POST /v1/responses"


def test_an_answer_of_a_server_without_background_mode_is_final() -> None:
    api = Polled("completed")
    assert model_of(api).invoke("hi", background=True).text
    assert len(api.requests) == 1


@PLAIN
def test_an_unfinished_answer_without_an_id_is_an_error(way: Way) -> None:
    api = Polled({"object": "response", "status": "queued", "output": []})
    with pytest.raises(MalformedResponseError, match="no 'id'"):
        way(model_of(api), "hi", background=True)
    assert len(api.requests) == 1


@pytest.mark.parametrize("way", ALL_WAYS.values(), ids=ALL_WAYS)
@pytest.mark.parametrize("where", ["model", "call", "body"])
def test_a_background_answer_that_is_not_stored_is_refused_before_sending(
    way: Way, where: str
) -> None:
    api = Polled("queued")
    fields: Json = {"store": False} if where == "model" else {}
    calls: dict[str, Json] = {"call": {"store": False}, "body": {"extra_body": {"store": False}}}
    with pytest.raises(InvalidParameterError, match="store") as caught:
        way(model_of(api, **fields), "hi", background=True, **calls.get(where, {}))
    assert caught.value.param == "store"
    assert api.requests == []


# --- bounds in time ---


class Clock:
    """A clock that only waiting moves on."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, api: MockAPI) -> None:
        self.now_s = 0.0
        self.waits_s: list[float] = []
        from langchain_tamma_openai.chat_models import responses_call

        monkeypatch.setattr(driving, "pause", self._wait)
        monkeypatch.setattr(driving, "apause", self._await)
        patience = lambda limit_s: Patience(limit_s, clock=lambda: self.now_s)  # noqa: E731
        monkeypatch.setattr(responses_call, "Patience", patience)
        self._api = api

    def _wait(self, delay_s: float) -> None:
        self.waits_s.append(delay_s)
        self.now_s += delay_s

    async def _await(self, delay_s: float) -> None:
        self._wait(delay_s)


@PLAIN
def test_questions_become_rarer_and_end_at_the_limit(
    way: Way, monkeypatch: pytest.MonkeyPatch
) -> None:
    api = Polled("in_progress")
    clock = Clock(monkeypatch, api)
    with pytest.raises(RequestTimeoutError, match="background_timeout_s") as caught:
        way(model_of(api, background_timeout_s=60), "hi", background=True)
    assert caught.value.code == "background_timeout"
    assert clock.now_s == 60
    assert clock.waits_s[:3] == [0.5, 0.75, 1.125]
    assert max(clock.waits_s) == 10
    assert api.asked[-1] == f"POST {CANCEL}"
    assert api.asked.count(f"POST {CANCEL}") == 1


@PLAIN
def test_without_a_limit_it_goes_on(way: Way, monkeypatch: pytest.MonkeyPatch) -> None:
    api = Polled(*["in_progress"] * 500, "completed")
    clock = Clock(monkeypatch, api)
    answer = way(model_of(api, background_timeout_s=None), "hi", background=True)
    assert answer.response_metadata["status"] == "completed"
    assert clock.now_s > 4000


@PLAIN
def test_no_question_waits_longer_than_what_is_left(
    way: Way, monkeypatch: pytest.MonkeyPatch
) -> None:
    api = Polled("in_progress")
    Clock(monkeypatch, api)
    with pytest.raises(RequestTimeoutError):
        way(model_of(api, background_timeout_s=100), "hi", background=True)
    limits = [request.extensions["timeout"]["read"] for request in api.requests[1:-1]]
    assert limits[0] == 60
    assert limits[-1] == 1
    assert limits == sorted(limits, reverse=True)
    assert set(api.requests[-1].extensions["timeout"].values()) == {5}
    assert api.requests[1].extensions["timeout"]["connect"] == 5


def test_patience_counts_failures_without_progress_only() -> None:
    patience = Patience(None)
    assert [patience.bears_failure(1) for _ in range(4)] == [True, True, True, False]
    assert patience.bears_failure(2)
    assert patience.reconnect_delay_s == 0
    patience.bears_failure(2)
    assert patience.reconnect_delay_s == 0.5
    patience.bears_failure(2)
    assert patience.reconnect_delay_s == 0.75
    assert patience.left_s is None
    assert not patience.is_over


def test_patience_never_waits_beyond_its_limit() -> None:
    moments = iter([0.0, 9.9, 9.9, 9.9, 10.0, 11.0])
    patience = Patience(10, clock=lambda: next(moments))
    assert patience.next_delay_s() == pytest.approx(0.1)
    patience._failures = 2
    assert patience.reconnect_delay_s == pytest.approx(0.1)
    assert [patience.is_over, patience.is_over] == [False, True]
    assert patience.left_s == 0


# --- calling off ---


def test_ctrl_c_while_waiting_calls_the_answer_off_once(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(_delay_s: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(driving, "pause", interrupted)
    api = Polled("queued")
    with pytest.raises(KeyboardInterrupt):
        model_of(api).invoke("hi", background=True)
    assert api.asked == ["POST /v1/responses", f"POST {CANCEL}"]


async def test_cancelling_the_task_while_waiting_calls_the_answer_off_once() -> None:
    api = Polled("queued")
    task = asyncio.ensure_future(model_of(api).ainvoke("hi", background=True))
    await _until(lambda: bool(api.requests))
    await asyncio.sleep(0.02)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert api.asked == ["POST /v1/responses", f"POST {CANCEL}"]


async def test_a_caller_that_is_cancelled_again_and_again_still_calls_off() -> None:
    api = Polled("queued")
    task = asyncio.ensure_future(model_of(api).ainvoke("hi", background=True))
    await _until(lambda: bool(api.requests))
    await asyncio.sleep(0.02)
    while not task.done():
        task.cancel()
        await asyncio.sleep(0)
    await _until(lambda: len(api.requests) == 2)
    assert api.asked == ["POST /v1/responses", f"POST {CANCEL}"]


async def _until(happened: Callable[[], bool]) -> None:
    for _ in range(500):
        if happened():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it did not happen")


def opened(api: MockAPI, **kwargs: Any) -> Iterator[AIMessageChunk]:
    stream = model_of(api).stream("hi", background=True, **kwargs)
    for _ in range(5):
        next(stream)
    return stream


def test_closing_a_stream_calls_the_answer_off_once() -> None:
    api = BackgroundAPI()
    stream = opened(api)
    stream.close()  # type: ignore[attr-defined]  # LangChain's streams are generators
    gc.collect()
    assert api.cancels == [CANCEL]


def test_leaving_a_stream_behind_calls_the_answer_off_once() -> None:
    api = BackgroundAPI()
    for number, _ in enumerate(model_of(api).stream("hi", background=True)):
        if number == 3:
            break
    gc.collect()
    assert api.cancels == [CANCEL]


def test_ctrl_c_within_a_stream_calls_the_answer_off_once() -> None:
    class Interrupting(BackgroundAPI):
        def _handle(self, request: httpx2.Request) -> httpx2.Response:
            if request.method == "GET":
                raise KeyboardInterrupt
            return super()._handle(request)

    api = Interrupting(first=1500)
    with pytest.raises(KeyboardInterrupt):
        list(model_of(api).stream("hi", background=True))
    assert api.cancels == [CANCEL]


async def test_closing_an_async_stream_calls_the_answer_off_once() -> None:
    api = BackgroundAPI()
    stream = model_of(api).astream("hi", background=True)
    for _ in range(5):
        await anext(stream)
    await stream.aclose()  # type: ignore[attr-defined]
    gc.collect()
    await _until(lambda: bool(api.cancels))
    await asyncio.sleep(0.02)
    assert api.cancels == [CANCEL]


# The HTTP library itself begins a generator for every request; Python hides the warning by default.
@pytest.mark.filterwarnings("ignore:.*after loop.shutdown_asyncgens:ResourceWarning")
def test_an_async_stream_left_open_is_called_off_at_the_end_of_its_loop() -> None:
    api = BackgroundAPI()
    model = model_of(api)

    async def leave() -> AsyncIterator[AIMessageChunk]:
        stream = model.astream("hi", background=True)
        await anext(stream)
        return stream

    stream = asyncio.run(leave())
    assert api.cancels == [CANCEL]
    del stream


async def test_cancelling_the_task_of_a_stream_calls_the_answer_off_once() -> None:
    class Silent(httpx2.AsyncByteStream):
        async def __aiter__(self) -> AsyncIterator[bytes]:
            from background_api import written

            yield b"".join(written(event) for event in EVENTS[:6])
            await asyncio.sleep(60)

    class Stuck(BackgroundAPI):
        def _handle(self, request: httpx2.Request) -> httpx2.Response:
            if request.url.path.endswith("/cancel"):
                return super()._handle(request)
            self.requests.append(request)
            return httpx2.Response(200, stream=Silent())

    api = Stuck()
    got: list[AIMessageChunk] = []

    async def read() -> None:
        async for chunk in model_of(api).astream("hi", background=True):
            got.append(chunk)  # noqa: PERF401 - the list is watched from outside

    task = asyncio.ensure_future(read())
    await _until(lambda: len(got) > 2)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await asyncio.sleep(0.02)
    assert api.cancels == [CANCEL]


@pytest.mark.parametrize("way", STREAM_WAYS.values(), ids=STREAM_WAYS)
def test_an_answer_that_came_whole_is_not_called_off(way: Way) -> None:
    api = BackgroundAPI()
    way(model_of(api), "hi", background=True)
    assert api.cancels == []


def test_leaving_a_stream_after_its_last_chunk_calls_nothing_off() -> None:
    api = BackgroundAPI()
    stream = model_of(api).stream("hi", background=True)
    for chunk in stream:
        if chunk.usage_metadata:
            break
    stream.close()  # type: ignore[attr-defined]
    gc.collect()
    assert api.cancels == []


def test_a_stream_that_is_no_background_answer_is_only_closed() -> None:
    api = BackgroundAPI()
    stream = model_of(api).stream("hi")
    for _ in range(5):
        next(stream)
    stream.close()  # type: ignore[attr-defined]
    gc.collect()
    assert api.cancels == []
    assert len(api.requests) == 1


def test_a_cancellation_that_fails_does_not_hide_why_the_caller_left(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def interrupted(_delay_s: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(driving, "pause", interrupted)
    api = Polled("queued")
    api.on_cancel = lambda: httpx2.Response(500, json={"error": {"message": "no"}})
    with caplog.at_level(logging.WARNING), pytest.raises(KeyboardInterrupt):
        model_of(api).invoke("hi", background=True)
    assert f"/responses/{RESPONSE_ID}/cancel failed" in caplog.text
    assert api.asked.count(f"POST {CANCEL}") == 1


async def test_a_cancellation_that_hangs_is_given_up(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(driving, "_CANCEL_LIMIT_S", 0.05)

    class Hanging(httpx2.AsyncBaseTransport):
        def __init__(self) -> None:
            self.paths: list[str] = []

        async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
            self.paths.append(request.url.path)
            if request.url.path == CANCEL:
                await asyncio.sleep(60)
            return httpx2.Response(200, json=response("queued"))

    transport = Hanging()
    model = ChatTammaOpenAI(
        model="gpt-6-luna",
        api_key="sk-test",
        use_responses_api=True,
        http_async_client=httpx2.AsyncClient(transport=transport),
    )
    task = asyncio.ensure_future(model.ainvoke("hi", background=True))
    await _until(lambda: bool(transport.paths))
    await asyncio.sleep(0.02)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(asyncio.shield(task), 5)
    assert transport.paths.count(CANCEL) == 1
    assert f"/responses/{RESPONSE_ID}/cancel failed" in caplog.text


def test_an_error_of_the_caller_is_no_reason_to_call_off() -> None:
    api = Polled("queued", httpx2.Response(401, json={"error": {"message": "bad key"}}))
    with no_waiting(), pytest.raises(TammaError, match="bad key"):
        model_of(api).invoke("hi", background=True)
    assert f"POST {CANCEL}" not in api.asked
