"""Asks a model, runs the tools it calls, and asks again, until it answers or a limit is reached."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, TypeAlias, cast

from langchain_core.language_models import BaseChatModel, LanguageModelInput
from langchain_core.messages import (
    AIMessage,
    AIMessageChunk,
    BaseMessage,
    ToolCallChunk,
    ToolMessage,
    message_chunk_to_message,
)
from langchain_core.runnables import Runnable, RunnableConfig
from langchain_core.runnables.base import RunnableBindingBase
from langchain_core.tools import BaseTool

from langchain_tamma_openai.resilience.bounds import refuse
from langchain_tamma_openai.tools.executor import ToolExecutor
from langchain_tamma_openai.tools.handlers import HandlerLike
from langchain_tamma_openai.tools.loop_state import (
    LoopLimits,
    LoopState,
    Stopped,
    ToolLoopResult,
    conversation,
)
from langchain_tamma_openai.wire.chunks import StrictAIMessageChunk, strict_tool_calls
from langchain_tamma_openai.wire.tools import ToolLike, tool_names, tools_to_openai

Model: TypeAlias = "BaseChatModel | Runnable[LanguageModelInput, AIMessage]"
LoopEvent: TypeAlias = AIMessageChunk | ToolMessage | ToolLoopResult


def run_tool_loop(
    llm: Model,
    messages: LanguageModelInput,
    tools: Sequence[ToolLike] = (),
    max_iterations: int = 10,
    *,
    max_cost_usd: Decimal | float | None = None,
    timeout_s: float | None = None,
    executor: ToolExecutor | None = None,
    injected: Mapping[str, Any] | None = None,
    config: RunnableConfig | None = None,
) -> ToolLoopResult:
    """Let a model use tools until it answers.

    Invalid and unknown calls are answered with the reason, so that the model can correct itself.
    After the last allowed request the tools it called are still run, so that every call has its
    result; only when time is up they are not. No request is made beyond the limits.

    Args:
        llm: Any LangChain chat model, or one that tools are bound to already.
        messages: The conversation. One that ends with calls that were not run, such as the
            messages of an earlier result, is taken up there.
        tools: What the model may call: LangChain tools and functions; dicts and classes when
            `executor` has handlers for them; OpenAI's built-in tools.
        max_iterations: Most requests to make.
        max_cost_usd: No request is made once this much is spent, or when it is not known how much
            was. The last request may go beyond it.
        timeout_s: Seconds after which nothing more is started. A tool is given what is left of
            them; a request has the model's own timeout.
        executor: Runs the calls; its handlers are offered to the model when `tools` is empty.
        injected: Values for arguments that the model must not choose; see `ToolExecutor.run`.
        config: Callbacks, tags and metadata for all runs.

    Returns:
        The conversation, the answer, why it stopped, tokens and cost.

    Raises:
        ConfigurationError: A limit is wrong, or a function among the tools has no handler.
    """
    limits = LoopLimits(max_iterations, max_cost_usd, timeout_s)
    loop = _Loop.of(llm, messages, tools, executor, limits)
    state = loop.state
    while True:
        if calls := loop.due():
            left = state.time_left_s()
            state.messages += loop.executor.run(
                calls, config=config, injected=injected, timeout_s=left
            )
        if stopped := state.stop():
            return state.result(stopped)
        state.take(loop.model.invoke(state.messages, config))


async def arun_tool_loop(
    llm: Model,
    messages: LanguageModelInput,
    tools: Sequence[ToolLike] = (),
    max_iterations: int = 10,
    *,
    max_cost_usd: Decimal | float | None = None,
    timeout_s: float | None = None,
    executor: ToolExecutor | None = None,
    injected: Mapping[str, Any] | None = None,
    config: RunnableConfig | None = None,
) -> ToolLoopResult:
    """Let a model use tools until it answers; the async twin of `run_tool_loop`."""
    limits = LoopLimits(max_iterations, max_cost_usd, timeout_s)
    loop = _Loop.of(llm, messages, tools, executor, limits)
    state = loop.state
    while True:
        if calls := loop.due():
            left = state.time_left_s()
            state.messages += await loop.executor.arun(
                calls, config=config, injected=injected, timeout_s=left
            )
        if stopped := state.stop():
            return state.result(stopped)
        state.take(await loop.model.ainvoke(state.messages, config))


def stream_tool_loop(
    llm: Model,
    messages: LanguageModelInput,
    tools: Sequence[ToolLike] = (),
    max_iterations: int = 10,
    *,
    max_cost_usd: Decimal | float | None = None,
    timeout_s: float | None = None,
    executor: ToolExecutor | None = None,
    injected: Mapping[str, Any] | None = None,
    config: RunnableConfig | None = None,
) -> Iterator[LoopEvent]:
    """Let a model use tools until it answers, and show it as it happens; see `run_tool_loop`.

    Yields:
        The chunks of every answer, the result of every tool, and last of all the
        `ToolLoopResult`.
    """
    limits = LoopLimits(max_iterations, max_cost_usd, timeout_s)
    loop = _Loop.of(llm, messages, tools, executor, limits)
    state = loop.state
    while True:
        if calls := loop.due():
            left = state.time_left_s()
            results = loop.executor.run(calls, config=config, injected=injected, timeout_s=left)
            state.messages += results
            yield from results
        if stopped := state.stop():
            yield state.result(stopped)
            return
        answer = _Answer()
        for piece in loop.model.stream(state.messages, config):
            yield answer.add(piece)
        state.take(answer.whole())


async def astream_tool_loop(
    llm: Model,
    messages: LanguageModelInput,
    tools: Sequence[ToolLike] = (),
    max_iterations: int = 10,
    *,
    max_cost_usd: Decimal | float | None = None,
    timeout_s: float | None = None,
    executor: ToolExecutor | None = None,
    injected: Mapping[str, Any] | None = None,
    config: RunnableConfig | None = None,
) -> AsyncIterator[LoopEvent]:
    """Let a model use tools until it answers, and show it as it happens; see `stream_tool_loop`."""
    limits = LoopLimits(max_iterations, max_cost_usd, timeout_s)
    loop = _Loop.of(llm, messages, tools, executor, limits)
    state = loop.state
    while True:
        if calls := loop.due():
            left = state.time_left_s()
            results = await loop.executor.arun(
                calls, config=config, injected=injected, timeout_s=left
            )
            state.messages += results
            for result in results:
                yield result
        if stopped := state.stop():
            yield state.result(stopped)
            return
        answer = _Answer()
        pieces = cast("AsyncGenerator[AIMessage]", loop.model.astream(state.messages, config))
        async with aclosing(pieces):
            async for piece in pieces:
                yield answer.add(piece)
        state.take(answer.whole())


@dataclass(frozen=True, slots=True)
class _Loop:
    """What the four ways of running a loop share."""

    model: Runnable[LanguageModelInput, AIMessage]
    executor: ToolExecutor
    state: LoopState

    @classmethod
    def of(
        cls,
        llm: Model,
        messages: LanguageModelInput,
        tools: Sequence[ToolLike],
        executor: ToolExecutor | None,
        limits: LoopLimits,
    ) -> _Loop:
        executor = _executor_for(tools, executor)
        offered = list(tools) or list(executor.tools)
        return cls(_bound(llm, offered), executor, LoopState(conversation(messages), limits))

    def due(self) -> list[Any]:
        """List the calls to run now: none when time is up, so that they can be run later."""
        return [] if self.state.is_out_of_time() else self.state.pending()


class _Answer:
    """Puts the chunks of one answer together."""

    def __init__(self) -> None:
        self._merged: BaseMessage | None = None

    def add(self, piece: BaseMessage) -> AIMessageChunk:
        """Take a chunk and hand it on; a model without streaming gives its message in one."""
        chunk = piece if isinstance(piece, AIMessageChunk) else _as_chunk(piece)
        merged = self._merged
        self._merged = chunk if merged is None else cast("AIMessageChunk", merged) + chunk
        return chunk

    def whole(self) -> AIMessage:
        """Give the answer as one message."""
        if self._merged is None:
            return AIMessage(content="")
        whole = _strictly_read(cast("AIMessageChunk", self._merged))
        return cast("AIMessage", message_chunk_to_message(whole))


def _as_chunk(message: BaseMessage) -> AIMessageChunk:
    fields = message.model_dump(exclude={"type"})
    return AIMessageChunk(**fields, chunk_position="last")


def _strictly_read(chunk: AIMessageChunk) -> AIMessageChunk:
    """Undo what LangChain's core does to the chunks of other models: it completes cut JSON."""
    if isinstance(chunk, StrictAIMessageChunk) or not chunk.tool_call_chunks:
        return chunk
    written = [{**piece, "args": piece["args"] or "{}"} for piece in chunk.tool_call_chunks]
    valid, invalid = strict_tool_calls(cast("list[ToolCallChunk]", written))
    return chunk.model_copy(update={"tool_calls": valid, "invalid_tool_calls": invalid})


def _bound(llm: Model, tools: Sequence[ToolLike]) -> Runnable[LanguageModelInput, AIMessage]:
    if not tools or (isinstance(llm, RunnableBindingBase) and "tools" in llm.kwargs):
        return llm
    bind_tools = getattr(llm, "bind_tools", None)
    if bind_tools is None:
        refuse("llm", llm, "a chat model, or one that tools are bound to")
    return cast("Runnable[LanguageModelInput, AIMessage]", bind_tools(tools))


def _executor_for(tools: Sequence[ToolLike], executor: ToolExecutor | None) -> ToolExecutor:
    """Give an executor with a handler for every function among the tools."""
    runnable = [tool for tool in tools if _is_handler(tool)]
    executor = (executor or ToolExecutor()).extended(cast("list[HandlerLike]", runnable))
    declared = tools_to_openai([tool for tool in tools if not _is_handler(tool)])
    ours = [tool for tool in declared if tool.get("type") in ("function", "custom")]
    known = {info.name for info in executor.list_handlers()}
    missing = [name for name in tool_names(ours) if name not in known]
    if missing:
        refuse("tools", missing, "functions or LangChain tools, or have handlers in `executor`")
    return executor


def _is_handler(tool: ToolLike) -> bool:
    return isinstance(tool, BaseTool) or (callable(tool) and not isinstance(tool, type))


__all__ = [
    "LoopEvent",
    "Stopped",
    "ToolLoopResult",
    "arun_tool_loop",
    "astream_tool_loop",
    "run_tool_loop",
    "stream_tool_loop",
]
