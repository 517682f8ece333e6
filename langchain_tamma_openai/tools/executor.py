"""Runs the tool calls of a model: in parallel, each within its time, every one answered."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias, cast

from langchain_core.messages import AIMessage, InvalidToolCall, ToolCall, ToolMessage
from langchain_core.runnables import RunnableConfig
from langchain_core.runnables.config import ensure_config
from langchain_core.tools import BaseTool

from langchain_tamma_openai.resilience.bounds import check_positive_count, check_seconds, refuse
from langchain_tamma_openai.tools.answers import (
    ErrorText,
    failure,
    refusal,
    steers_a_graph,
    timed_out,
    unknown_tool,
)
from langchain_tamma_openai.tools.arguments import error_message
from langchain_tamma_openai.tools.handlers import Handler, HandlerInfo, HandlerLike, handler_of
from langchain_tamma_openai.tools.threads import in_thread, run_here

AnyCall: TypeAlias = ToolCall | InvalidToolCall
Calls: TypeAlias = "AIMessage | AnyCall | Sequence[AnyCall]"

_OF_ONE_RUN = ("run_id", "run_name")


class ToolExecutor:
    """A set of handlers and the way to run calls of them.

    Safe to share between threads. A call is always answered: with the tool's result, or with
    `status="error"` and a short text for the model when the tool is unknown, its arguments are
    invalid, it raises, or it takes too long. Only `KeyboardInterrupt`, cancellation, LangGraph's
    interrupts and mistakes in the program itself (a missing injected argument) are raised.
    """

    def __init__(
        self,
        tools: Iterable[HandlerLike] | Mapping[str, HandlerLike] = (),
        *,
        timeout_s: float | None = None,
        max_concurrency: int = 10,
        handle_errors: bool | ErrorText = True,
    ) -> None:
        """Make an executor.

        Args:
            tools: LangChain tools and functions, sync or async; a mapping gives them names.
            timeout_s: Limit for each call in seconds; None is no limit. A sync tool cannot be
                stopped: it is answered for, and its thread runs on.
            max_concurrency: How many calls run at the same time. A smaller `max_concurrency` of
                the config counts.
            handle_errors: True answers an exception with its type and message, without secrets;
                a function gives the text itself; False raises the first exception, after the
                other calls were cancelled.

        Raises:
            ConfigurationError: A value is wrong, or two handlers have the same name.
        """
        if timeout_s is not None:
            check_seconds(timeout_s, "timeout_s")
        check_positive_count(max_concurrency, "max_concurrency")
        if not isinstance(handle_errors, bool) and not callable(handle_errors):
            refuse("handle_errors", handle_errors, "True, False or a function")
        self.timeout_s = timeout_s
        self.max_concurrency = max_concurrency
        self.handle_errors = handle_errors
        self._lock = threading.Lock()
        self._handlers: dict[str, Handler] = {}
        named = tools.items() if isinstance(tools, Mapping) else ((None, tool) for tool in tools)
        for name, tool in named:
            self._add(handler_of(tool, name, None, None))

    def register(
        self,
        name: str | HandlerLike,
        handler: HandlerLike | None = None,
        *,
        description: str | None = None,
        timeout_s: float | None = None,
        replace: bool = False,
    ) -> None:
        """Add a handler: `register(tool)`, or `register("name", function)`.

        Args:
            name: The name models call, or the handler itself, which then has a name of its own.
            handler: A LangChain tool or a function, sync or async.
            description: What it does; its docstring when left out.
            timeout_s: Its own limit in seconds, in place of the executor's.
            replace: Whether it may take the place of a handler with the same name.

        Raises:
            ConfigurationError: A value is wrong, or the name is taken.
        """
        if timeout_s is not None:
            check_seconds(timeout_s, "timeout_s")
        if isinstance(name, str):
            kept = handler_of(cast("HandlerLike", handler), name, description, timeout_s)
        else:
            kept = handler_of(name, None, description, timeout_s)
        self._add(kept, replace=replace)

    def extended(self, tools: Iterable[HandlerLike]) -> ToolExecutor:
        """Give an executor with the same settings and more handlers; this one stays as it is.

        Args:
            tools: LangChain tools and functions; one whose name is taken changes nothing.
        """
        twin = ToolExecutor(
            timeout_s=self.timeout_s,
            max_concurrency=self.max_concurrency,
            handle_errors=self.handle_errors,
        )
        added = [handler_of(tool, None, None, None) for tool in tools]
        twin._handlers = {handler.name: handler for handler in added} | self._handlers
        return twin

    def unregister(self, name: str) -> None:
        """Take a handler out; calls that are running go on.

        Args:
            name: The name models call.

        Raises:
            ConfigurationError: There is no handler of that name.
        """
        with self._lock:
            if name not in self._handlers:
                refuse("name", name, f"one of {', '.join(sorted(self._handlers)) or 'none'}")
            self._handlers = {key: kept for key, kept in self._handlers.items() if key != name}

    def list_handlers(self) -> list[HandlerInfo]:
        """Describe the handlers, in the order they were added."""
        return [handler.info for handler in self._handlers.values()]

    @property
    def tools(self) -> list[BaseTool]:
        """The handlers as LangChain tools, ready for `bind_tools`."""
        return [handler.tool for handler in self._handlers.values()]

    def run(
        self,
        calls: Calls,
        *,
        config: RunnableConfig | None = None,
        injected: Mapping[str, Any] | None = None,
        timeout_s: float | None = None,
    ) -> list[ToolMessage]:
        """Run calls from sync code, in parallel.

        Sync tools run in threads with the caller's context variables, tools that are only async
        in an event loop made for this call.

        Args:
            calls: A message of a model, or tool calls, valid and invalid ones.
            config: Callbacks, tags, metadata and `max_concurrency` for the tools' runs.
            injected: Values by name for arguments the model must not choose (`InjectedToolArg`,
                `InjectedState`, `InjectedStore`, `ToolRuntime`). A tool gets those it declares.
            timeout_s: Upper bound for each call on top of the limits of executor and tool.

        Returns:
            One message for each call, in the order of the calls.

        Raises:
            ConfigurationError: A tool needs an injected argument that was not given.
            InvalidToolError: A tool returned a LangGraph `Command`.
        """
        config = ensure_config(config)
        batch = self._batch(calls, config, injected or {}, timeout_s, prefer_sync=True)
        return run_here(batch.run)

    async def arun(
        self,
        calls: Calls,
        *,
        config: RunnableConfig | None = None,
        injected: Mapping[str, Any] | None = None,
        timeout_s: float | None = None,
    ) -> list[ToolMessage]:
        """Run calls in the running event loop, in parallel; see `run`.

        Cancelling it cancels the async tools and leaves the sync ones behind.
        """
        config = ensure_config(config)
        batch = self._batch(calls, config, injected or {}, timeout_s, prefer_sync=False)
        return await batch.run()

    def _batch(
        self,
        calls: Calls,
        config: RunnableConfig,
        injected: Mapping[str, Any],
        timeout_s: float | None,
        *,
        prefer_sync: bool,
    ) -> _Batch:
        if timeout_s is not None:
            check_seconds(timeout_s, "timeout_s")
        handlers = self._handlers
        jobs = [self._job(call, handlers, injected, timeout_s) for call in _listed(calls)]
        limits = [limit for limit in (self.max_concurrency, config.get("max_concurrency")) if limit]
        shared = {key: value for key, value in config.items() if key not in _OF_ONE_RUN}
        return _Batch(
            jobs, cast("RunnableConfig", shared), min(limits), self.handle_errors, prefer_sync
        )

    def _job(
        self,
        call: AnyCall,
        handlers: Mapping[str, Handler],
        injected: Mapping[str, Any],
        timeout_s: float | None,
    ) -> _Job | ToolMessage:
        name = call["name"] or ""
        if not isinstance(call["args"], dict):
            return error_message(cast("InvalidToolCall", {"error": None, **call}))
        handler = handlers.get(name)
        if handler is None:
            return refusal(unknown_tool(name, handlers), name, call["id"])
        reason = handler.reason_against(call["args"])
        if reason is not None:
            return refusal(reason, name, call["id"])
        own = self.timeout_s if handler.timeout_s is None else handler.timeout_s
        limits = [limit for limit in (own, timeout_s) if limit is not None]
        args = handler.arguments(call["args"], injected)
        return _Job(handler, args, call["id"] or "", min(limits, default=None))

    def _add(self, handler: Handler, *, replace: bool = False) -> None:
        with self._lock:
            if handler.name in self._handlers and not replace:
                refuse("name", handler.name, "a name that no other handler has (or replace=True)")
            self._handlers = {**self._handlers, handler.name: handler}


@dataclass(frozen=True, slots=True)
class _Job:
    """One call, ready to run."""

    handler: Handler
    args: dict[str, Any]
    call_id: str
    timeout_s: float | None

    def request(self) -> ToolCall:
        """Give what a LangChain tool is invoked with."""
        return ToolCall(
            name=self.handler.name, args=dict(self.args), id=self.call_id, type="tool_call"
        )


@dataclass(frozen=True, slots=True)
class _Batch:
    """Calls that run together."""

    jobs: list[_Job | ToolMessage]
    config: RunnableConfig
    max_concurrency: int
    handle_errors: bool | ErrorText
    prefer_sync: bool

    async def run(self) -> list[ToolMessage]:
        """Run all of them; when one raises, the others are cancelled first."""
        gate = asyncio.Semaphore(self.max_concurrency)
        tasks = [asyncio.create_task(self._answer(job, gate)) for job in self.jobs]
        try:
            return await asyncio.gather(*tasks)
        except BaseException:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            raise

    async def _answer(self, job: _Job | ToolMessage, gate: asyncio.Semaphore) -> ToolMessage:
        if isinstance(job, ToolMessage):
            return job
        async with gate:
            return _checked(await self._output(job), job)

    async def _output(self, job: _Job) -> object:
        try:
            return await self._within_time(job)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            return self._failed(job, RuntimeError("the tool was cancelled"))
        except Exception as error:
            if self.handle_errors is False or steers_a_graph(error):
                raise
            return self._failed(job, error)

    async def _within_time(self, job: _Job) -> object:
        try:
            async with asyncio.timeout(job.timeout_s) as limit:
                return await self._invoked(job)
        except TimeoutError:
            if job.timeout_s is None or not limit.expired():
                raise
            text = timed_out(job.handler.name, job.timeout_s)
            return refusal(text, job.handler.name, job.call_id)

    async def _invoked(self, job: _Job) -> object:
        handler, request = job.handler, job.request()
        in_a_thread = handler.is_sync and (self.prefer_sync or not handler.is_async)
        if not in_a_thread:
            return await handler.tool.ainvoke(request, self.config)
        return await in_thread(
            lambda: handler.tool.invoke(request, self.config), f"tool-{handler.name}"
        )

    def _failed(self, job: _Job, error: Exception) -> ToolMessage:
        text = self.handle_errors(error) if callable(self.handle_errors) else failure(error)
        return refusal(text, job.handler.name, job.call_id)


def _listed(calls: Calls) -> list[AnyCall]:
    if isinstance(calls, AIMessage):
        return [*calls.tool_calls, *calls.invalid_tool_calls]
    if isinstance(calls, Mapping):
        return [calls]
    return list(calls)


def _checked(output: object, job: _Job) -> ToolMessage:
    """Take what answers the call; refuse what only a graph could use."""
    if isinstance(output, ToolMessage):
        return output if output.name else output.model_copy(update={"name": job.handler.name})
    from langchain_tamma_openai.errors import InvalidToolError

    raise InvalidToolError(
        f"tool {job.handler.name!r}: it returned a {type(output).__name__}, which only a LangGraph "
        "graph can apply; run the tool in LangGraph's ToolNode, or return its text"
    )
