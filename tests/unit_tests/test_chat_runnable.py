"""The model as LangChain's runnable: cache, events, bindings, retries, fallbacks, counting."""

from __future__ import annotations

import asyncio
import copy
import warnings
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
from langchain_core.caches import InMemoryCache
from langchain_core.callbacks import (
    AsyncCallbackManagerForLLMRun,
    BaseCallbackHandler,
    CallbackManagerForLLMRun,
)
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage, HumanMessage
from langchain_core.rate_limiters import InMemoryRateLimiter
from langchain_core.runnables import ConfigurableField
from mock_api import (
    ALL_WAYS,
    PLAIN_WAYS,
    STREAM_WAYS,
    USAGE,
    Json,
    MockAPI,
    Way,
    completion,
    merged,
    stream_reply,
    text_events,
)
from peer import pair, seen

from langchain_tamma_openai import ServerError, TammaError, get_usage_callback

FREE = {
    "input_usd": "0",
    "output_usd": "0",
    "total_usd": "0",
    "currency": "USD",
    "pricing_source": "cache",
    "estimated": False,
}


# --- LangChain's cache ---


@pytest.mark.parametrize("way", PLAIN_WAYS.values(), ids=PLAIN_WAYS)
@pytest.mark.parametrize("streaming", [False, True])
def test_cached_answer_sends_nothing_and_costs_nothing(way: Way, *, streaming: bool) -> None:
    api = MockAPI()
    options: Json = {"streaming": True} if streaming else {}
    model = api.tamma(cache=InMemoryCache(), **options)
    paid = way(model, "Hi")
    cost = copy.deepcopy(paid.response_metadata["cost"])
    hits = [way(model, "Hi") for _ in range(2)]
    assert len(api.requests) == 1
    assert cost["total_usd"] not in (None, "0")
    for hit in hits:
        assert hit.response_metadata["cost"] == FREE
        assert hit.content == paid.content
        assert hit.response_metadata["finish_reason"] == "stop"
    assert paid.response_metadata["cost"] == cost


def test_cache_keeps_the_answer_as_it_was_paid_for() -> None:
    cache = InMemoryCache()
    model = MockAPI().tamma(cache=cache)
    paid = model.invoke("Hi")
    before = copy.deepcopy(cache._cache)
    model.invoke("Hi")
    assert cache._cache == before
    (generations,) = cache._cache.values()
    (generation,) = generations
    assert getattr(generation, "message", None) == paid


def test_cache_tells_settings_apart_but_not_keys() -> None:
    api, cache = MockAPI(), InMemoryCache()
    api.tamma(cache=cache, temperature=0.0).invoke("Hi")
    api.tamma(cache=cache, temperature=0.0, api_key="sk-other").invoke("Hi")
    assert len(api.requests) == 1
    api.tamma(cache=cache, temperature=1.0).invoke("Hi")
    assert len(api.requests) == 2


@pytest.mark.parametrize("name", ["invoke", "ainvoke"])
def test_cached_answer_counts_no_tokens_as_with_chat_openai(name: str) -> None:
    cached = []
    for position in range(2):
        model = pair(MockAPI(), cache=InMemoryCache())[position]
        PLAIN_WAYS[name](model, "Hi")
        cached.append(seen(PLAIN_WAYS[name](model, "Hi")))
    assert cached[1] == cached[0]


async def test_cached_answer_is_replayed_as_events() -> None:
    api = MockAPI()
    model = api.tamma(cache=InMemoryCache())
    await model.ainvoke("Hi")
    events = [event async for event in model.astream_events("Hi", version="v2")]
    # astream_events streams, which LangChain's cache does not serve: the answer is paid again.
    assert len(api.requests) == 2
    assert events[-1]["event"] == "on_chat_model_end"
    hit = await model.ainvoke("Hi")
    assert hit.response_metadata["cost"] == FREE
    assert len(api.requests) == 2


# --- events ---


async def test_events_v2_are_those_of_chat_openai() -> None:
    def told(event: Any) -> Any:
        data = {
            key: seen(value) if isinstance(value, AIMessage) else value
            for key, value in event["data"].items()
        }
        return event["event"], data

    theirs, ours = [
        [told(event) async for event in model.astream_events("Hi", version="v2")]
        for model in pair(MockAPI(text_events("Hey")))
    ]
    assert ours[0] == theirs[0]
    assert ours[-1] == theirs[-1]
    texts = [
        "".join(data["chunk"]["text"] for name, data in events if name == "on_chat_model_stream")
        for events in (theirs, ours)
    ]
    assert texts == ["Hey", "Hey"]


async def test_cost_is_in_the_events_of_a_run() -> None:
    model = MockAPI(text_events()).tamma()
    events = [event async for event in model.astream_events("Hi", version="v2")]
    output: Any = events[-1]["data"].get("output")
    assert output.usage_metadata["total_tokens"] == 15
    assert output.response_metadata["cost"]["total_usd"] is not None


def test_stream_events_v3_give_the_message_of_invoke() -> None:
    model = MockAPI().tamma()
    stream = model.stream_events("Hi", version="v3")
    assert "".join(stream.text) == "Hello"
    message = stream.output
    assert message.text == "Hello"
    assert message.usage_metadata == model.invoke("Hi").usage_metadata
    assert message.response_metadata["cost"] == model.invoke("Hi").response_metadata["cost"]


async def test_astream_events_v3_give_the_message_of_invoke() -> None:
    model = MockAPI().tamma()
    stream = await model.astream_events("Hi", version="v3")
    message = await stream.output
    plain = await model.ainvoke("Hi")
    assert message.text == "Hello"
    assert message.usage_metadata == plain.usage_metadata
    assert message.response_metadata["cost"] == plain.response_metadata["cost"]
    assert message.response_metadata["finish_reason"] == "stop"


# --- streaming switches ---


@pytest.mark.parametrize("way", PLAIN_WAYS.values(), ids=PLAIN_WAYS)
def test_streaming_model_streams_plain_calls(way: Way) -> None:
    api = MockAPI()
    streamed, plain = way(api.tamma(streaming=True), "Hi"), way(api.tamma(), "Hi")
    assert [body["stream"] for body in api.bodies] == [True, False]
    assert streamed.content == plain.content
    assert streamed.usage_metadata == plain.usage_metadata
    assert streamed.response_metadata["cost"] == plain.response_metadata["cost"]
    assert type(streamed) is AIMessage


@pytest.mark.parametrize("way", ALL_WAYS.values(), ids=ALL_WAYS)
@pytest.mark.parametrize("disable_streaming", [True, "tool_calling"])
def test_disabled_streaming_sends_plain_requests(way: Way, disable_streaming: bool | str) -> None:  # noqa: FBT001 - a field of LangChain's
    api = MockAPI()
    model = api.tamma(disable_streaming=disable_streaming, use_responses_api=False)
    tools: list[Json] = [{"type": "function", "function": {"name": "f", "parameters": {}}}]
    answer = way(model, "Hi", tools=tools)
    assert api.bodies[0]["stream"] is False
    assert answer.content == "Hello"
    assert answer.response_metadata["cost"]["total_usd"] is not None


@pytest.mark.parametrize("way", ALL_WAYS.values(), ids=ALL_WAYS)
def test_rate_limiter_is_asked_once_for_each_call(way: Way) -> None:
    class Limiter(InMemoryRateLimiter):
        asked = 0

        def acquire(self, *, blocking: bool = True) -> bool:
            self.asked += 1
            return blocking

        async def aacquire(self, *, blocking: bool = True) -> bool:
            return self.acquire(blocking=blocking)

    limiter = Limiter()
    assert way(MockAPI().tamma(rate_limiter=limiter), "Hi").content == "Hello"
    assert limiter.asked == 1


# --- bindings and configuration ---


@pytest.mark.parametrize("way", ALL_WAYS.values(), ids=ALL_WAYS)
def test_bound_arguments_are_sent_as_chat_openai_sends_them(way: Way) -> None:
    api = MockAPI()
    for model in pair(api, temperature=0.5):
        way(model.bind(stop=["x"], max_tokens=5, seed=7), "Hi")
    theirs, ours = api.bodies
    assert ours == theirs
    assert (ours["stop"], ours["max_completion_tokens"]) == (["x"], 5)


@pytest.mark.parametrize("way", ALL_WAYS.values(), ids=ALL_WAYS)
def test_configurable_fields_and_alternatives(way: Way) -> None:
    api = MockAPI()
    model: Any = (
        api.tamma()
        .configurable_fields(temperature=ConfigurableField(id="heat"))
        .configurable_alternatives(ConfigurableField(id="which"), other=api.tamma(model="gpt-5.4"))
    )
    way(model, "Hi", config={"configurable": {"heat": 0.25}})
    way(model, "Hi", config={"configurable": {"which": "other"}})
    assert [body.get("temperature") for body in api.bodies] == [0.25, None]
    assert [body["model"] for body in api.bodies] == ["gpt-6-luna", "gpt-5.4"]


async def test_config_reaches_the_run() -> None:
    model = MockAPI().tamma().with_config(tags=["mine"], metadata={"user_id": "u1"})
    events = [event async for event in model.astream_events("Hi", version="v2")]
    assert "mine" in (events[0].get("tags") or [])
    assert (events[0].get("metadata") or {})["user_id"] == "u1"
    assert (events[0].get("metadata") or {})["ls_provider"] == "openai"


@pytest.mark.parametrize("way", PLAIN_WAYS.values(), ids=PLAIN_WAYS)
def test_with_retry_and_with_fallbacks(way: Way) -> None:
    failing = MockAPI(stream_reply(b"{}", status=500), completion())
    retried: Any = failing.tamma().with_retry(
        retry_if_exception_type=(ServerError,), wait_exponential_jitter=False, stop_after_attempt=2
    )
    assert way(retried, "Hi").content == "Hello"
    broken = MockAPI(lambda _body: stream_reply(b"{}", status=500))
    fallback: Any = broken.tamma().with_fallbacks(
        [MockAPI().tamma()], exceptions_to_handle=(TammaError,)
    )
    assert way(fallback, "Hi").content == "Hello"
    assert (len(failing.requests), len(broken.requests)) == (2, 1)


@pytest.mark.parametrize("way", ALL_WAYS.values(), ids=ALL_WAYS)
@pytest.mark.parametrize("streaming", [False, True])
def test_usage_callback_counts_each_answer_once(way: Way, *, streaming: bool) -> None:
    model = MockAPI().tamma(**({"streaming": True} if streaming else {}))
    with get_usage_callback() as totals:
        answers = [way(model, "Hi") for _ in range(2)]
    assert totals.requests == 2
    assert totals.total_tokens == 2 * USAGE["total_tokens"]
    costs = {answer.response_metadata["cost"]["total_usd"] for answer in answers}
    assert {totals.total_cost_usd} == {Decimal(cost) * 2 for cost in costs}


def test_one_request_for_each_input_of_a_batch() -> None:
    api = MockAPI()
    answers = api.tamma().batch([f"Hi {index}" for index in range(5)], {"max_concurrency": 2})
    assert len(answers) == len(api.requests) == 5
    sent = {body["messages"][0]["content"] for body in api.bodies}
    assert sent == {f"Hi {index}" for index in range(5)}


def test_batch_returns_the_errors_of_single_inputs() -> None:
    def reply(body: Json) -> Any:
        bad = body["messages"][0]["content"] == "bad"
        return stream_reply(b"{}", status=500) if bad else completion()

    answers: list[Any] = MockAPI(reply).tamma().batch(["good", "bad"], return_exceptions=True)
    assert isinstance(answers[0], AIMessage)
    assert isinstance(answers[1], ServerError)


def test_chunks_of_a_stream_add_up_in_any_grouping() -> None:
    chunks = [*MockAPI(text_events("Hello you")).tamma().stream("Hi")]
    whole = merged(chunks)
    halves = merged([merged(chunks[:4]), merged(chunks[4:])])
    assert seen(halves) == seen(whole)
    assert all(isinstance(chunk, AIMessageChunk) for chunk in chunks)
    assert [chunk.chunk_position for chunk in chunks].index("last") == len(chunks) - 1


def test_one_instance_serves_several_event_loops() -> None:
    api = MockAPI()
    model: BaseChatModel = api.tamma()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        answers = [asyncio.run(model.ainvoke("Hi")) for _ in range(3)]
    assert len(answers) == len(api.requests) == 3


class Tokens(BaseCallbackHandler):
    """Keeps the tokens that a run tells."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def on_llm_new_token(self, token: str | list[Any], **_kwargs: Any) -> None:
        self.texts.append(str(token))


@pytest.mark.parametrize("way", STREAM_WAYS.values(), ids=STREAM_WAYS)
def test_tokens_are_told_to_callbacks_once(way: Way) -> None:
    tokens = Tokens()
    way(MockAPI().tamma(callbacks=[tokens]), "Hi")
    assert "".join(tokens.texts) == "Hello"


async def test_hooks_that_subclasses_call_tell_tokens_too() -> None:
    told: dict[str, Any] = {"run_id": uuid4(), "inheritable_handlers": []}
    messages: list[BaseMessage] = [HumanMessage("Hi")]
    sync_tokens, async_tokens = Tokens(), Tokens()
    manager = CallbackManagerForLLMRun(handlers=[sync_tokens], **told)
    async_manager = AsyncCallbackManagerForLLMRun(handlers=[async_tokens], **told)
    model = MockAPI().tamma()
    chunks = [*model._stream(messages, run_manager=manager)]
    async_chunks = [item async for item in model._astream(messages, run_manager=async_manager)]
    assert "".join(sync_tokens.texts) == "".join(async_tokens.texts) == "Hello"
    assert [item.text for item in chunks] == [item.text for item in async_chunks]
