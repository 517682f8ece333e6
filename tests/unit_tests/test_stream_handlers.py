"""Handlers that look at no chunk but the first are left out of a stream, and hear its end."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable
from typing import Any
from unittest.mock import MagicMock
from uuid import UUID

import httpx2
import pytest
from langchain_core.callbacks import AsyncCallbackHandler, BaseCallbackHandler, CallbackManager
from langchain_core.runnables import RunnableConfig, RunnableLambda
from langchain_core.tracers import LangChainTracer
from langsmith import Client
from mock_api import MockAPI, Reply, atake, sse, stream_reply, take, text_events

from langchain_tamma_openai import ChatTammaOpenAI, get_usage_callback
from langchain_tamma_openai.chat_models.run_handlers import hears_every_chunk
from langchain_tamma_openai.usage.callbacks import AsyncUsageCallbackHandler, UsageCallbackHandler
from langchain_tamma_openai.usage.listening import minds_only_the_first
from langchain_tamma_openai.usage.otel import OpenTelemetryCallbackHandler

TEXT = "one two three four five six"


class Ends(BaseCallbackHandler):
    """Wants to know of ends alone."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.runs: set[UUID] = set()

    def on_llm_end(self, *_args: Any, run_id: UUID, **_kwargs: Any) -> None:
        self.told.append("end")
        self.runs.add(run_id)

    def on_llm_error(self, error: BaseException, *, run_id: UUID, **_kwargs: Any) -> None:
        self.told.append(type(error).__name__)
        self.runs.add(run_id)

    def on_retry(self, *_args: Any, **_kwargs: Any) -> None:
        self.told.append("retry")


class First(Ends):
    """Minds only the first chunk."""

    chunks = 0

    @minds_only_the_first
    def on_llm_new_token(self, *_args: Any, **_kwargs: Any) -> None:
        self.chunks += 1


class Every(Ends):
    """Looks at all chunks."""

    chunks = 0

    def on_llm_new_token(self, *_args: Any, **_kwargs: Any) -> None:
        self.chunks += 1


class AsyncEnds(AsyncCallbackHandler):
    """Wants to know of ends alone, in async code."""

    run_inline = False

    def __init__(self) -> None:
        self.told: list[str] = []

    async def on_llm_end(self, *_args: Any, **_kwargs: Any) -> None:
        await asyncio.sleep(0)
        self.told.append("end")

    async def on_llm_error(self, error: BaseException, **_kwargs: Any) -> None:
        await asyncio.sleep(0)
        self.told.append(type(error).__name__)


class Objects(Every):
    """Stops a stream at its third chunk."""

    raise_error = True

    def on_llm_new_token(self, *_args: Any, **_kwargs: Any) -> None:
        self.chunks += 1
        if self.chunks == 3:
            raise LookupError("enough")


def _run(
    llm: ChatTammaOpenAI, config: RunnableConfig | None, number: int, *, is_async: bool
) -> None:
    if is_async:
        asyncio.run(atake(llm.astream("Hello", config), number, Exception))
    else:
        take(llm.stream("Hello", config), number, Exception)


def _whole() -> Reply:
    return stream_reply(sse(text_events(TEXT)))


def _by_list(handlers: list[BaseCallbackHandler]) -> dict[str, Any]:
    return {"config": {"callbacks": handlers}}


def _by_manager(handlers: list[BaseCallbackHandler]) -> dict[str, Any]:
    return {"config": {"callbacks": CallbackManager(handlers)}}


def _by_model(handlers: list[BaseCallbackHandler]) -> dict[str, Any]:
    return {"model": handlers}


@pytest.mark.parametrize("is_async", [False, True])
@pytest.mark.parametrize("give", [_by_list, _by_manager, _by_model])
def test_who_looks_at_no_chunk_but_the_first_is_told_of_no_other(
    give: Callable[[list[BaseCallbackHandler]], dict[str, Any]], *, is_async: bool
) -> None:
    ends, first, every = Ends(), First(), Every()
    given = give([ends, first, every])
    llm = MockAPI(_whole()).tamma(callbacks=given.get("model"))
    _run(llm, given.get("config"), 1000, is_async=is_async)
    assert first.chunks == 1
    assert every.chunks > 3
    assert [ends.told, first.told, every.told] == [["end"]] * 3


OUTCOMES: dict[str, tuple[Callable[[], Reply], int, str | None]] = {
    "whole": (_whole, 1000, "end"),
    "left": (_whole, 3, "GeneratorExit"),
    "broken": (
        lambda: stream_reply(sse(text_events(TEXT)[:5], done=False), httpx2.ReadError("reset")),
        1000,
        "StreamInterruptedError",
    ),
    "refused": (
        lambda: httpx2.Response(400, json={"error": {"message": "no", "type": "x"}}),
        1000,
        None,
    ),
}


@pytest.mark.parametrize("is_async", [False, True])
@pytest.mark.parametrize("outcome", OUTCOMES)
def test_everyone_hears_once_how_a_stream_ended(outcome: str, *, is_async: bool) -> None:
    reply, number, told = OUTCOMES[outcome]
    ends, every, slow = Ends(), Every(), AsyncEnds()
    handlers: list[BaseCallbackHandler] = [ends, First(), every, *([slow] if is_async else [])]
    llm = MockAPI(reply()).tamma(stream_recovery="raise")
    _run(llm, {"callbacks": handlers}, number, is_async=is_async)
    assert len(ends.told) == 1
    assert told in (None, *ends.told)
    assert every.told == ends.told
    if is_async:
        assert slow.told == ends.told


@pytest.mark.parametrize("is_async", [False, True])
def test_who_was_left_out_hears_of_an_end_that_another_handler_made(*, is_async: bool) -> None:
    ends, first = Ends(), First()
    llm = MockAPI(_whole()).tamma()
    _run(llm, {"callbacks": [ends, first, Objects()]}, 1000, is_async=is_async)
    assert ends.told == first.told == ["LookupError"]


def test_who_was_left_out_hears_of_streams_that_the_end_of_a_loop_closes() -> None:
    ends, kept = Ends(), []
    llm = MockAPI().tamma()

    async def leave() -> None:
        for _ in range(20):
            stream = llm.astream("Hello", {"callbacks": [ends]})
            await anext(stream)
            kept.append(stream)

    asyncio.run(leave())
    assert len(ends.runs) == len(ends.told) == 20


def test_who_was_left_out_hears_that_a_broken_stream_is_made_anew() -> None:
    ends, first = Ends(), First()
    broken = stream_reply(sse(text_events(TEXT)[:5], done=False), httpx2.ReadError("reset"))
    llm = MockAPI(broken, _whole()).tamma(stream_recovery="regenerate", max_retries=2)
    list(llm.stream("Hello", {"callbacks": [ends, first]}))
    assert ends.told == first.told
    assert ends.told[-1] == "end"


def test_streams_inside_a_chain_leave_out_the_handlers_of_the_chain() -> None:
    first, every = First(), Every()
    llm = MockAPI(_whole()).tamma()
    chain: RunnableLambda[str, str] = RunnableLambda(
        lambda text: "".join(str(c.content) for c in llm.stream(text))
    )
    assert chain.invoke("Hello", {"callbacks": [first, every]})
    assert first.chunks == 1
    assert every.chunks > 3


def test_streams_side_by_side_leave_handlers_out_each_for_itself() -> None:
    first = First()
    llm = MockAPI(_whole(), _whole()).tamma()
    one, other = (llm.stream("Hello", {"callbacks": [first]}) for _ in range(2))
    next(one)
    list(other)
    list(one)
    assert first.chunks == 2
    assert first.told == ["end", "end"]


def test_a_block_counts_the_streams_inside() -> None:
    with get_usage_callback() as usage:
        list(MockAPI().tamma().stream("Hello"))
    assert usage.total_tokens > 0


def test_a_stream_with_handlers_needs_no_collector() -> None:
    ends = Ends()
    llm = MockAPI(_whole()).tamma()
    gc.collect()
    gc.disable()
    try:
        stream = llm.stream("Hello", {"callbacks": [ends]})
        next(stream)
        del stream
        assert ends.told == ["GeneratorExit"]
    finally:
        gc.enable()


class ListeningTracer(LangChainTracer):
    """A tracer that looks at chunks."""

    def _on_llm_new_token(self, *_args: Any, **_kwargs: Any) -> None:
        """Look."""


class ListeningCounter(UsageCallbackHandler):
    """A counter that looks at chunks."""

    def on_llm_new_token(self, *_args: Any, **_kwargs: Any) -> None:
        """Look."""


def _client() -> Client:
    return Client(api_url="http://127.0.0.1:9", api_key="ls-test", auto_batch_tracing=False)


def _with_a_hook_of_its_own() -> BaseCallbackHandler:
    handler = Ends()
    handler.on_llm_new_token = lambda *_args, **_kwargs: None  # type: ignore[method-assign]
    return handler


@pytest.mark.parametrize(
    ("make", "hears"),
    [
        (BaseCallbackHandler, False),
        (AsyncCallbackHandler, False),
        (lambda: LangChainTracer(client=_client()), False),
        (UsageCallbackHandler, False),
        (AsyncUsageCallbackHandler, False),
        (OpenTelemetryCallbackHandler, False),
        (lambda: ListeningTracer(client=_client()), True),
        (ListeningCounter, True),
        (Every, True),
        (lambda: MagicMock(spec=BaseCallbackHandler), True),
        (_with_a_hook_of_its_own, True),
    ],
)
def test_who_hears_every_chunk(make: Callable[[], BaseCallbackHandler], *, hears: bool) -> None:
    assert hears_every_chunk(make()) is hears


def test_a_stand_in_for_a_handler_does_no_harm() -> None:
    stand_in = MagicMock(spec=BaseCallbackHandler)
    stand_in.ignore_llm = stand_in.ignore_chat_model = False
    chunks = list(MockAPI(_whole()).tamma().stream("Hello", {"callbacks": [stand_in]}))
    assert stand_in.on_llm_new_token.call_count >= len(chunks) - 1


@pytest.mark.parametrize("is_async", [False, True])
def test_a_plain_call_that_is_streamed_for_others_leaves_handlers_out_too(
    *, is_async: bool
) -> None:
    ends, first, every = Ends(), First(), Every()
    llm = MockAPI(_whole()).tamma(streaming=True)
    config: RunnableConfig = {"callbacks": [ends, first, every]}
    if is_async:
        asyncio.run(llm.ainvoke("Hello", config))
    else:
        llm.invoke("Hello", config)
    assert first.chunks == 1
    assert every.chunks > 3
    assert [ends.told, first.told, every.told] == [["end"]] * 3
