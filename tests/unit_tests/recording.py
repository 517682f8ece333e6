"""A sink that keeps records, and a model of some other package to make them from."""

# ruff: noqa: ARG002 - the fake model takes LangChain's hook arguments and ignores them

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from typing import Any, ClassVar
from uuid import UUID, uuid4

from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.runnables import RunnableConfig
from pydantic import Field

from langchain_tamma_openai.usage.record import AttemptOutcome, AttemptRecord, UsageRecord

USAGE = {
    "input_tokens": 1000,
    "output_tokens": 100,
    "total_tokens": 1100,
    "input_token_details": {"cache_read": 200, "cache_creation": 300},
    "output_token_details": {"reasoning": 40},
}
PIECES = ("Tokens ", "are ", "pieces ", "of ", "text.")


class Collector:
    """Keeps every record."""

    accepts_usage_records: ClassVar[bool] = True

    def __init__(self) -> None:
        self.records: list[UsageRecord] = []

    def record(self, record: UsageRecord, /) -> None:
        self.records.append(record)

    @property
    def only(self) -> UsageRecord:
        (record,) = self.records
        return record


class OtherModel(BaseChatModel):
    """Answers in pieces; may fail before one of them or wait there."""

    model: str = "gpt-6.1-sol"
    usage: Any = Field(default_factory=lambda: USAGE)
    metadata_out: Mapping[str, Any] = Field(
        default_factory=lambda: {
            "model_name": "gpt-6.1-sol-2026-08-01",
            "model_provider": "openai",
            "service_tier": "default",
            "id": "chatcmpl-1",
        }
    )
    error: BaseException | None = None
    error_at: int = 0
    hangs_at: int | None = None
    hanging: Any = Field(default_factory=asyncio.Event)
    """Set as soon as the model hangs."""

    @property
    def _llm_type(self) -> str:
        return "other"

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
            "".join(PIECES), usage_metadata=self.usage, response_metadata={**self.metadata_out}
        )
        return ChatResult(generations=[ChatGeneration(message=message)])

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        if self.hangs_at is not None:
            await self._hang()
        return self._generate(messages, stop)

    async def _hang(self) -> None:
        self.hanging.set()
        await asyncio.Event().wait()

    def _chunks(self) -> Iterator[ChatGenerationChunk]:
        for number, piece in enumerate(PIECES):
            if self.error is not None and number == self.error_at:
                raise self.error
            yield ChatGenerationChunk(message=AIMessageChunk(content=piece))
        last = AIMessageChunk(
            content="", usage_metadata=self.usage, response_metadata={**self.metadata_out}
        )
        yield ChatGenerationChunk(message=last)

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        yield from self._chunks()

    async def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        for number, chunk in enumerate(self._chunks()):
            if number == self.hangs_at:
                await self._hang()
            yield chunk


def attempt(run_id: UUID | None = None, number: int = 1, **changes: Any) -> AttemptRecord:
    """Make the record of an attempt."""
    from datetime import UTC, datetime

    given: dict[str, Any] = {
        "run_id": run_id or uuid4(),
        "number": number,
        "started_at": datetime(2026, 11, 1, tzinfo=UTC),
        "latency_s": 0.25,
        "outcome": AttemptOutcome.SUCCESS,
        "requested_model": "gpt-6.1-sol",
        "model": "gpt-6.1-sol",
    }
    return AttemptRecord(**{**given, **changes})


async def call_astream(model: BaseChatModel, config: RunnableConfig) -> None:
    async for _ in model.astream("Hello", config):
        pass


async def call_ainvoke(model: BaseChatModel, config: RunnableConfig) -> None:
    await model.ainvoke("Hello", config)


async def _abatch(model: BaseChatModel, config: RunnableConfig) -> None:
    await model.abatch(["Hello"], config)


async def _events(model: BaseChatModel, config: RunnableConfig) -> None:
    async for _ in model.astream_events("Hello", config, version="v2"):
        pass


async def _events_v3(model: BaseChatModel, config: RunnableConfig) -> None:
    stream = await model.astream_events("Hello", config, version="v3")
    async for _ in stream:
        pass


WAYS: dict[str, Callable[[BaseChatModel, RunnableConfig], object]] = {
    "invoke": lambda model, config: model.invoke("Hello", config),
    "stream": lambda model, config: list(model.stream("Hello", config)),
    "batch": lambda model, config: model.batch(["Hello"], config),
    "stream_events": lambda model, config: list(model.stream_events("Hello", config, version="v3")),
    "ainvoke": lambda model, config: asyncio.run(call_ainvoke(model, config)),
    "astream": lambda model, config: asyncio.run(call_astream(model, config)),
    "abatch": lambda model, config: asyncio.run(_abatch(model, config)),
    "astream_events": lambda model, config: asyncio.run(_events(model, config)),
    "astream_events_v3": lambda model, config: asyncio.run(_events_v3(model, config)),
}
STREAMED = {"stream", "astream", "astream_events", "stream_events", "astream_events_v3"}
