"""`ChatTammaOpenAI` with the calls to handlers and traces around each run, made in the open.

What a model owes its observers: one record for each HTTP attempt, the facts only it knows, and the
trace enriched, all before LangChain is told that the run ended.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, ClassVar, cast
from uuid import UUID

from langchain_core.callbacks import BaseCallbackHandler, CallbackManager, CallbackManagerForLLMRun
from langchain_core.language_models import LanguageModelInput
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.runnables import RunnableConfig
from langchain_core.runnables.config import ensure_config
from langchain_core.utils.uuid import uuid7

from langchain_tamma_openai import ChatTammaOpenAI
from langchain_tamma_openai.errors import StreamInterruptedError
from langchain_tamma_openai.pricing import default_calculator
from langchain_tamma_openai.usage.langsmith import enrich_trace
from langchain_tamma_openai.usage.record import AttemptOutcome, AttemptRecord, Measurement
from langchain_tamma_openai.wire.usage import TokenUsage


@dataclass
class Watch:
    """One run, from its start to the moment before its end."""

    run_id: UUID
    handlers: list[BaseCallbackHandler]
    model: str
    started_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    started_s: float = field(default_factory=time.perf_counter)

    def attempt(self, **known: Any) -> AttemptRecord:
        return AttemptRecord(
            run_id=self.run_id,
            number=1,
            started_at=self.started_at,
            latency_s=time.perf_counter() - self.started_s,
            requested_model=self.model,
            **known,
        )

    def succeeded(self, generation: ChatGeneration, output: dict[str, Any]) -> AttemptRecord:
        message = cast("AIMessage", generation.message)
        usage = message.usage_metadata
        metadata = {**output, **(generation.generation_info or {}), **message.response_metadata}
        tokens = None if usage is None else TokenUsage.from_usage_metadata(usage)
        cost = default_calculator().cost(tokens, str(metadata.get("model_name")))
        return self.attempt(
            outcome=AttemptOutcome.SUCCESS,
            model=metadata.get("model_name"),
            tokens=tokens,
            cost=cost,
            response_id=metadata.get("id"),
        )

    def failed(self, error: BaseException) -> AttemptRecord:
        cut = isinstance(error, StreamInterruptedError)
        tokens = TokenUsage(12, 7, 19) if cut else None
        return self.attempt(
            outcome=AttemptOutcome.CUT if cut else AttemptOutcome.ERROR,
            measurement=Measurement.ESTIMATED if cut else Measurement.UNKNOWN,
            model=self.model if cut else None,
            tokens=tokens,
            cost=default_calculator().cost(tokens, self.model, estimated=True) if cut else None,
            status_code=getattr(error, "status_code", None),
        )

    def tell(self, attempt: AttemptRecord, facts: dict[str, object]) -> None:
        for handler in self.handlers:
            if (on_run_facts := getattr(handler, "on_run_facts", None)) is not None:
                on_run_facts(self.run_id, facts)
            if (on_attempt := getattr(handler, "on_attempt", None)) is not None:
                on_attempt(attempt)
        enrich_trace(self.handlers, self.run_id, [attempt], facts)


_watched: ContextVar[Watch | None] = ContextVar("watched", default=None)


class TracedModel(ChatTammaOpenAI):
    """The sync half of the model, observed."""

    facts: ClassVar[dict[str, object]] = {"prompt_id": "greeting", "prompt_version": "3"}

    @contextmanager
    def _watching(self, watch: Watch) -> Iterator[list[tuple[ChatGeneration, dict[str, Any]]]]:
        answers: list[tuple[ChatGeneration, dict[str, Any]]] = []
        try:
            yield answers
        except BaseException as error:
            watch.tell(watch.failed(error), self.facts)
            raise
        watch.tell(watch.succeeded(*answers[-1]), self.facts)

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        assert run_manager is not None
        watch = Watch(run_manager.run_id, run_manager.handlers, self.model_name)
        with self._watching(watch) as answers:
            result = super()._generate(messages, stop, run_manager, **kwargs)
            answers.append((result.generations[0], result.llm_output or {}))
        return result

    def stream(
        self,
        input: LanguageModelInput,  # noqa: A002 - LangChain's name
        config: RunnableConfig | None = None,
        *,
        stop: list[str] | None = None,
        **kwargs: Any,
    ) -> Iterator[AIMessageChunk]:
        # Core does not hand the run to `_stream`: its id and handlers are settled before.
        config = ensure_config(config)
        manager = CallbackManager.configure(config.get("callbacks"), self.callbacks)
        run_id = config.get("run_id") or uuid7()
        settled: RunnableConfig = {**config, "callbacks": manager, "run_id": run_id}
        token = _watched.set(Watch(run_id, manager.handlers, self.model_name))
        try:
            yield from super().stream(input, settled, stop=stop, **kwargs)
        finally:
            _watched.reset(token)

    def _stream(self, *args: Any, **kwargs: Any) -> Iterator[ChatGenerationChunk]:
        watch = _watched.get()
        assert watch is not None
        with self._watching(watch) as answers:
            whole: Any = None
            for chunk in super()._stream(*args, **kwargs):
                whole = chunk if whole is None else whole + chunk
                answers.append((whole, {}))
                yield chunk
