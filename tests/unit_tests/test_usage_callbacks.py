"""Counting tokens and money of model runs, in one block, whatever threads and tasks it uses."""

# ruff: noqa: ARG002 - the fake models take LangChain's hook arguments and ignore them

from __future__ import annotations

import asyncio
import contextvars
import logging
import threading
import warnings
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import pytest
from langchain_core.caches import InMemoryCache
from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel, BaseLLM
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.messages.ai import UsageMetadata
from langchain_core.outputs import (
    ChatGeneration,
    ChatGenerationChunk,
    ChatResult,
    Generation,
    LLMResult,
)
from langchain_core.runnables import RunnableLambda
from langchain_core.tracers.context import _configure_hooks

from langchain_tamma_openai import pricing
from langchain_tamma_openai.errors import ServerError, StreamInterruptedError
from langchain_tamma_openai.usage import callbacks
from langchain_tamma_openai.usage.callbacks import (
    AsyncUsageCallbackHandler,
    UsageCallbackHandler,
    get_usage_callback,
    orphan_handlers,
)
from langchain_tamma_openai.usage.totals import RunUsage, UsageTotals
from langchain_tamma_openai.wire.usage import TokenUsage

USAGE: UsageMetadata = {
    "input_tokens": 1000,
    "output_tokens": 100,
    "total_tokens": 1100,
    "input_token_details": {"cache_read": 200, "cache_creation": 300},
    "output_token_details": {"reasoning": 40},
}
# gpt-6.1-sol: (500 x 2 + 200 x 0.10 + 300 x 2.50 + 100 x 10) / 1,000,000
COST = Decimal("0.00277")


class FakeModel(BaseChatModel):
    """A model of some other package: it reports usage the LangChain way and knows no cost."""

    metadata_out: Mapping[str, Any] = {"model_name": "gpt-6.1-sol", "service_tier": "default"}
    # Not typed as UsageMetadata: pydantic would drop the keys that LangChain does not declare.
    usage: Any = USAGE
    choices: int = 1
    error: Exception | None = None

    @property
    def _llm_type(self) -> str:
        return "fake"

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        if self.error is not None:
            raise self.error
        message = AIMessage(
            "hi", usage_metadata=self.usage, response_metadata={**self.metadata_out}
        )
        return ChatResult(
            generations=[ChatGeneration(message=message) for _ in range(self.choices)]
        )

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        yield ChatGenerationChunk(message=AIMessageChunk(content="h"))
        if self.error is not None:
            raise self.error
        last = AIMessageChunk(
            content="i", usage_metadata=self.usage, response_metadata={**self.metadata_out}
        )
        yield ChatGenerationChunk(message=last)


class FakeLLM(BaseLLM):
    """A text-completion model, which reports beside its generations."""

    @property
    def _llm_type(self) -> str:
        return "fake"

    def _generate(self, prompts: list[str], *args: Any, **kwargs: Any) -> LLMResult:
        usage = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}
        return LLMResult(
            generations=[[Generation(text="x")]],
            llm_output={"token_usage": usage, "model_name": "gpt-3.5-turbo-instruct"},
        )


@pytest.fixture(autouse=True)
def forget_warnings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pricing, "_warned_models", set())
    monkeypatch.setattr(callbacks, "_ambiguity_warned", threading.Event())


async def _astream(model: BaseChatModel) -> None:
    async for _ in model.astream("q"):
        pass


async def _astream_events(model: BaseChatModel) -> None:
    async for _ in model.astream_events("q", version="v2"):
        pass


async def _abatch(model: BaseChatModel) -> None:
    await model.abatch(["q"])


async def _ainvoke(model: BaseChatModel) -> None:
    await model.ainvoke("q")


WAYS: dict[str, Callable[[BaseChatModel], object]] = {
    "invoke": lambda model: model.invoke("q"),
    "stream": lambda model: list(model.stream("q")),
    "batch": lambda model: model.batch(["q"]),
    "ainvoke": lambda model: asyncio.run(_ainvoke(model)),
    "astream": lambda model: asyncio.run(_astream(model)),
    "abatch": lambda model: asyncio.run(_abatch(model)),
    "astream_events": lambda model: asyncio.run(_astream_events(model)),
}


@pytest.mark.parametrize("way", WAYS)
def test_a_block_counts_every_kind_of_call(way: str) -> None:
    with get_usage_callback() as usage:
        WAYS[way](FakeModel())
    assert (usage.requests, usage.input_tokens, usage.output_tokens) == (1, 1000, 100)
    assert (usage.total_tokens, usage.cached_tokens) == (1100, 200)
    assert (usage.cache_write_tokens, usage.reasoning_tokens) == (300, 40)
    assert usage.total_cost_usd == COST
    assert (usage.unpriced_requests, usage.cache_hits, usage.failed_requests) == (0, 0, 0)
    assert usage.by_model["gpt-6.1-sol"].total_cost_usd == COST
    assert usage.snapshot() == usage.by_model["gpt-6.1-sol"]
    assert usage.tokens == TokenUsage.from_usage_metadata(USAGE)


def test_calls_outside_the_block_are_not_counted() -> None:
    model = FakeModel()
    model.invoke("q")
    with get_usage_callback() as usage:
        pass
    model.invoke("q")
    assert usage.requests == 0
    assert usage.total_cost_usd == 0
    assert usage.by_model == {}


def test_models_are_told_apart() -> None:
    other = FakeModel(metadata_out={"model_name": "gpt-6-luna"})
    with get_usage_callback() as usage:
        FakeModel().batch(["a", "b"])
        other.invoke("c")
    assert {name: total.requests for name, total in usage.by_model.items()} == {
        "gpt-6.1-sol": 2,
        "gpt-6-luna": 1,
    }
    parts = [total.total_cost_usd for total in usage.by_model.values()]
    assert usage.total_cost_usd == sum(part for part in parts if part is not None)
    assert usage.input_tokens == 3000


def test_inner_blocks_count_in_outer_ones_once() -> None:
    model = FakeModel()

    def step(_: object) -> str:
        with get_usage_callback() as inner:
            model.invoke("q")
        assert inner.requests == 1
        return "done"

    with get_usage_callback() as outer:
        RunnableLambda(step).invoke("x")
        with get_usage_callback() as inner, get_usage_callback() as innermost:
            model.invoke("q")
        model.invoke("q")
    assert (outer.requests, inner.requests, innermost.requests) == (3, 1, 1)
    assert outer.total_cost_usd == 3 * COST


@pytest.mark.parametrize("handler_class", [UsageCallbackHandler, AsyncUsageCallbackHandler])
async def test_a_handler_can_be_passed_by_hand(
    handler_class: type[UsageCallbackHandler | AsyncUsageCallbackHandler],
) -> None:
    shared = UsageTotals()
    handler = handler_class(shared)
    await FakeModel().ainvoke("q", config={"callbacks": [handler, handler]})
    assert handler.totals.requests == shared.requests == 1
    with pytest.raises(ServerError):
        await FakeModel(error=ServerError("boom")).ainvoke("q", config={"callbacks": [handler]})
    assert handler.totals.failed_requests == 1


def test_handlers_run_inline_so_async_calls_do_not_change_threads() -> None:
    assert UsageCallbackHandler().run_inline
    assert AsyncUsageCallbackHandler().run_inline


def test_several_choices_are_one_request() -> None:
    with get_usage_callback() as usage:
        FakeModel(choices=3).generate([[AIMessage("q")]])
    assert (usage.requests, usage.total_tokens) == (1, 1100)


def test_cache_hits_cost_nothing() -> None:
    model = FakeModel(cache=InMemoryCache())
    with get_usage_callback() as usage:
        for _ in range(3):
            model.invoke("q")
    assert (usage.requests, usage.cache_hits, usage.total_tokens) == (1, 2, 1100)
    assert usage.total_cost_usd == COST


def test_an_answer_marked_as_cached_costs_nothing() -> None:
    cost = {"input_usd": "0", "output_usd": "0", "total_usd": "0", "pricing_source": "cache"}
    with get_usage_callback() as usage:
        FakeModel(metadata_out={"model_name": "gpt-6-luna", "cost": cost}).invoke("q")
    assert (usage.requests, usage.cache_hits) == (0, 1)


def test_a_cost_on_the_answer_is_taken_over() -> None:
    cost = {
        "input_usd": "1.5",
        "output_usd": "0.25",
        "total_usd": "1.75",
        "currency": "USD",
        "pricing_source": "user",
        "estimated": True,
    }
    model = FakeModel(metadata_out={"model_name": "own-model", "cost": cost})
    with get_usage_callback() as usage:
        model.invoke("q")
    assert usage.input_cost_usd == Decimal("1.5")
    assert usage.output_cost_usd == Decimal("0.25")
    assert usage.total_cost_usd == Decimal("1.75")
    assert usage.estimated_requests == 1
    assert "total_cost_usd=1.75" in repr(usage)


def test_a_known_unknown_cost_is_not_priced_again() -> None:
    cost = dict.fromkeys(("input_usd", "output_usd", "total_usd"))
    model = FakeModel(metadata_out={"model_name": "gpt-6-luna", "cost": cost})
    with get_usage_callback() as usage:
        model.invoke("q")
    assert (usage.total_cost_usd, usage.unpriced_requests) == (None, 1)


@pytest.mark.parametrize("way", ["invoke", "ainvoke", "stream"])
def test_an_unknown_price_is_counted_as_missing_not_as_zero(way: str) -> None:
    with get_usage_callback() as usage:
        with pytest.warns(UserWarning, match="no-such-model"):
            WAYS[way](FakeModel(metadata_out={"model_name": "no-such-model"}))
        assert usage.total_cost_usd is None
        assert usage.input_cost_usd is None
        assert usage.output_cost_usd is None
        FakeModel().invoke("q")
    assert usage.total_cost_usd == COST
    assert (usage.requests, usage.unpriced_requests, usage.total_tokens) == (2, 1, 2200)


def test_answers_without_usage_or_model_are_counted_as_unpriced() -> None:
    with get_usage_callback() as usage:
        FakeModel(usage=None).invoke("q")
        FakeModel(metadata_out={}).invoke("q")
    assert (usage.requests, usage.unpriced_requests) == (2, 2)
    assert set(usage.by_model) == {"gpt-6.1-sol", "unknown"}


def test_the_tier_is_read_from_the_answer_or_from_the_usage() -> None:
    flex = {
        "input_tokens": 1000,
        "output_tokens": 100,
        "total_tokens": 1100,
        "input_token_details": {"flex_cache_read": 200, "flex_cache_creation": 300, "flex": 500},
    }
    named = {"model_name": "gpt-6.1-sol", "service_tier": "flex"}
    with get_usage_callback() as usage:
        FakeModel(usage=flex, metadata_out=named).invoke("q")
        FakeModel(usage=flex, metadata_out={"model_name": "gpt-6.1-sol"}).invoke("q")
    assert usage.total_cost_usd == COST  # twice the half price
    assert usage.cached_tokens == 400


def test_models_of_other_providers_are_priced_by_their_own_prices() -> None:
    metadata = {"model_name": "claude-sonnet-4-5", "model_provider": "anthropic"}
    usage_out: UsageMetadata = {"input_tokens": 1000, "output_tokens": 100, "total_tokens": 1100}
    with get_usage_callback() as usage:
        FakeModel(usage=usage_out, metadata_out=metadata).invoke("q")
    assert usage.total_cost_usd == Decimal("0.0045")  # 1000 x $3 + 100 x $15 per million


@pytest.mark.parametrize(
    ("provider", "details"),
    [("anthropic", {"ephemeral_1h_input_tokens": 10}), ("somewhere", {})],
)
def test_what_no_price_is_known_for_stays_unpriced(provider: str, details: dict[str, int]) -> None:
    usage_out: Any = {**USAGE, "input_token_details": details}
    metadata = {"model": "claude-sonnet-4-5", "model_provider": provider}
    with get_usage_callback() as usage:
        FakeModel(usage=usage_out, metadata_out=metadata).invoke("q")
    assert usage.unpriced_requests == usage.by_model["claude-sonnet-4-5"].requests == 1


def test_text_completion_models_are_counted() -> None:
    with get_usage_callback() as usage:
        FakeLLM().invoke("q")
    assert (usage.requests, usage.total_tokens) == (1, 15)
    assert usage.total_cost_usd == Decimal("0.000025")  # 10 x $1.50 + 5 x $2 per million


@pytest.mark.parametrize("llm_output", [None, {"model_name": "m"}, {"token_usage": {}}])
def test_results_that_say_nothing_are_requests_all_the_same(llm_output: Any) -> None:
    handler = UsageCallbackHandler()
    handler.on_llm_end(LLMResult(generations=[], llm_output=llm_output), run_id=uuid4())
    assert (handler.totals.requests, handler.totals.unpriced_requests) == (1, 1)


@pytest.mark.parametrize("way", ["invoke", "ainvoke", "stream", "astream"])
def test_a_failure_without_usage_is_no_request(way: str) -> None:
    with get_usage_callback() as usage, pytest.raises(ServerError):
        WAYS[way](FakeModel(error=ServerError("boom")))
    assert (usage.requests, usage.failed_requests) == (0, 1)
    assert usage.total_cost_usd == 0


@pytest.mark.parametrize("way", ["stream", "astream"])
def test_a_stream_that_broke_counts_what_its_error_estimates(way: str) -> None:
    partial = AIMessage("h", response_metadata={"model_name": "gpt-6.1-sol"})
    error = StreamInterruptedError("cut", partial=partial, usage=USAGE, delivered=True)
    with get_usage_callback() as usage, pytest.raises(StreamInterruptedError):
        WAYS[way](FakeModel(error=error))
    assert (usage.requests, usage.failed_requests, usage.total_tokens) == (1, 1, 1100)


def test_an_estimate_is_priced_when_the_partial_answer_names_its_model() -> None:
    handler = UsageCallbackHandler()
    partial = AIMessage("h", response_metadata={"model_name": "gpt-6.1-sol"})
    error = StreamInterruptedError("cut", partial=partial, usage=USAGE)
    handler.on_llm_error(error, run_id=uuid4())
    assert handler.totals.total_cost_usd == COST
    assert handler.totals.estimated_requests == 1
    handler.on_llm_error(StreamInterruptedError("cut", usage=USAGE), run_id=uuid4())
    assert (handler.totals.requests, handler.totals.unpriced_requests) == (2, 1)


def test_a_failed_but_billed_answer_counts() -> None:
    handler = UsageCallbackHandler()
    message = AIMessage("x", usage_metadata=USAGE, response_metadata={"model_name": "gpt-6.1-sol"})
    response = LLMResult(generations=[[ChatGeneration(message=message)], []])
    handler.on_llm_error(ValueError("unparsable"), run_id=uuid4(), response=response)
    assert (handler.totals.requests, handler.totals.failed_requests) == (1, 1)
    assert handler.totals.total_cost_usd == COST


def test_a_run_is_counted_once_however_often_it_is_reported() -> None:
    handler = UsageCallbackHandler()
    message = AIMessage("x", usage_metadata=USAGE, response_metadata={"model_name": "gpt-6.1-sol"})
    run_id = uuid4()
    for _ in range(3):
        handler.record_message(message, run_id)
    assert handler.totals.requests == 1
    handler.record_message(message)
    handler.record_message(message)
    assert handler.totals.requests == 3


def test_remembered_run_ids_are_bounded() -> None:
    totals = UsageTotals()
    for number in range(5000):
        totals.record(RunUsage(run_id=UUID(int=number)))
    assert totals.requests == 5000
    assert len(totals._run_ids) == len(totals._run_order) == 4096


# Threads, tasks and contexts


def test_ten_thousand_blocks_leave_no_hook_behind() -> None:
    before = len(_configure_hooks)
    for _ in range(10_000):
        with get_usage_callback():
            pass
    assert len(_configure_hooks) == before
    assert callbacks._open_blocks == []


async def test_a_block_counts_its_tasks_and_only_its_own() -> None:
    async def block(calls: int) -> int:
        with get_usage_callback() as usage:
            await asyncio.gather(*(FakeModel().ainvoke("q") for _ in range(calls)))
            await asyncio.to_thread(FakeModel().invoke, "q")
        return usage.requests

    assert await asyncio.gather(*(block(n) for n in range(5))) == [1, 2, 3, 4, 5]


def test_totals_are_exact_with_many_threads() -> None:
    totals = UsageTotals()
    handler = UsageCallbackHandler(totals)
    model = FakeModel(callbacks=[handler])

    def work() -> None:
        for _ in range(50):
            model.invoke("q")

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert totals.requests == handler.totals.requests == 400
    assert totals.total_cost_usd == 400 * COST


def test_threads_that_carry_the_context_are_counted() -> None:
    with get_usage_callback() as usage, ThreadPoolExecutor() as pool:
        contexts = [contextvars.copy_context() for _ in range(4)]
        list(pool.map(lambda context: context.run(FakeModel().invoke, "q"), contexts))
    assert usage.requests == 4


async def test_an_async_generator_closed_elsewhere_does_not_break() -> None:
    async def answers() -> AsyncGenerator[int, None]:
        with get_usage_callback() as usage:
            await FakeModel().ainvoke("q")
            yield usage.requests

    generator = answers()

    async def first() -> int:
        return await anext(generator)

    # A task runs in a copy of this context; the generator is then closed in this one.
    assert await asyncio.create_task(first()) == 1
    await generator.aclose()
    assert callbacks._open_blocks == []


def found_in_thread() -> list[UsageCallbackHandler]:
    """Ask for the block of a thread that is started now, without a context."""
    found: list[UsageCallbackHandler] = []
    thread = threading.Thread(target=lambda: found.extend(orphan_handlers()))
    thread.start()
    thread.join()
    return found


def test_a_plain_thread_belongs_to_the_only_open_block() -> None:
    assert orphan_handlers() == found_in_thread() == []
    with get_usage_callback() as usage:
        assert orphan_handlers() == []  # this context has the block already
        (handler,) = found_in_thread()
        assert handler.totals is usage
    assert found_in_thread() == []


def test_a_plain_thread_belongs_to_the_innermost_open_block() -> None:
    with get_usage_callback() as outer, get_usage_callback() as inner:
        (handler,) = found_in_thread()
        handler.record(RunUsage(run_id=uuid4()))
    assert (outer.requests, inner.requests) == (1, 1)


def test_a_thread_that_is_older_than_the_block_does_not_belong_to_it() -> None:
    go, found = threading.Event(), list[UsageCallbackHandler]()

    def work() -> None:
        go.wait()
        found.extend(orphan_handlers())

    thread = threading.Thread(target=work)
    thread.start()
    with get_usage_callback():
        go.set()
        thread.join()
    assert found == []


def test_a_thread_between_two_blocks_belongs_to_the_outer_one() -> None:
    go, found = threading.Event(), list[UsageCallbackHandler]()

    def work() -> None:
        go.wait()
        found.extend(orphan_handlers())

    with get_usage_callback() as outer:
        thread = threading.Thread(target=work)
        thread.start()
        with get_usage_callback():
            go.set()
            thread.join()
    assert [handler.totals for handler in found] == [outer]


def open_independent_block() -> contextvars.Context:
    """Open a block that no other block contains, in a context of its own."""
    context = contextvars.Context()
    context.run(lambda: context_blocks.append(get_usage_callback()))
    context.run(context_blocks[-1].__enter__)
    return context


context_blocks: list[Any] = []


@pytest.fixture
def two_independent_blocks() -> Iterator[None]:
    contexts = [open_independent_block(), open_independent_block()]
    yield
    for context in reversed(contexts):
        context.run(context_blocks.pop().__exit__, None, None, None)


@pytest.mark.usefixtures("two_independent_blocks")
def test_a_thread_that_two_blocks_could_claim_belongs_to_none_and_says_so_once() -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert found_in_thread() == []
        assert found_in_thread() == []
    assert len(caught) == 1
    assert "copy_context" in str(caught[0].message)


@pytest.mark.usefixtures("two_independent_blocks")
def test_the_ambiguity_is_logged_where_warnings_are_errors(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.WARNING):
        assert found_in_thread() == []
    assert "copy_context" in caplog.text


def test_forked_inner_blocks_leave_a_thread_to_the_outer_block() -> None:
    with get_usage_callback() as outer:
        forks = [contextvars.copy_context(), contextvars.copy_context()]
        blocks = [fork.run(get_usage_callback) for fork in forks]
        for fork, block in zip(forks, blocks, strict=True):
            fork.run(block.__enter__)
        (handler,) = found_in_thread()
        for fork, block in zip(forks, blocks, strict=True):
            fork.run(block.__exit__, None, None, None)
    assert handler.totals is outer
