"""Cost and attempts of a run for its LangSmith trace, whichever way LangChain runs the model.

A plain run knows its handlers, and the tracer among them. A streamed one does not: there the call's
handlers are settled before LangChain does so, and a witness in front of the tracer is told first.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any
from uuid import UUID

from langchain_core.callbacks import BaseCallbackHandler, BaseCallbackManager
from langchain_core.outputs import LLMResult
from langchain_core.runnables import RunnableConfig

from langchain_tamma_openai.usage.run_log import RunLog, unwatch, watch

if TYPE_CHECKING:
    from langchain_core.callbacks.base import Callbacks

_TRACER_MODULE = "langchain_core.tracers.langchain"


def is_traced(handlers: Iterable[BaseCallbackHandler]) -> bool:
    """Whether a LangSmith tracer is among handlers.

    Args:
        handlers: Those of a run.
    """
    module = sys.modules.get(_TRACER_MODULE)
    return module is not None and any(
        isinstance(handler, module.LangChainTracer) for handler in handlers
    )


def witnessed(
    config: RunnableConfig, given: Callbacks, own_callbacks: Callbacks, run_id: UUID
) -> RunnableConfig:
    """Put a witness in front of a call's handlers, if the call is traced.

    Args:
        config: The caller's configuration.
        given: The callbacks of the call, those of what is around it included.
        own_callbacks: The model's own callbacks.
        run_id: LangChain's id of the run that begins.

    Returns:
        The configuration, with all its handlers settled where there is a witness.
    """
    from langchain_core.tracers.context import _tracing_v2_is_enabled

    if not (_tracing_v2_is_enabled() or is_traced(_handlers(given))):
        return config
    from langchain_core.callbacks import CallbackManager

    manager = CallbackManager.configure(given, own_callbacks)
    if is_traced(manager.handlers):
        manager.handlers.insert(0, TraceWitness(run_id, list(manager.handlers)))
    return {**config, "callbacks": manager}


def _handlers(callbacks: Callbacks) -> Iterable[BaseCallbackHandler]:
    if isinstance(callbacks, BaseCallbackManager):
        return callbacks.handlers
    return callbacks or ()


class TraceWitness(BaseCallbackHandler):
    """Watches one streamed run, and completes its trace before the tracer sends it."""

    run_inline = True
    only_counts = True

    def __init__(self, run_id: UUID, handlers: list[BaseCallbackHandler]) -> None:
        """Watch a run.

        Args:
            run_id: LangChain's id.
            handlers: The run's, the tracer among them.
        """
        super().__init__()
        self._run_id = run_id
        self._beside = handlers
        self._log: RunLog | None = None

    def on_chat_model_start(self, *_args: Any, run_id: UUID, **_kwargs: Any) -> None:
        """Ask for the run's log."""
        if run_id == self._run_id:
            watch(run_id, self)

    def on_run_log(self, log: RunLog) -> None:
        """Take the log of the run.

        Args:
            log: The log, which goes on growing.
        """
        self._log = log

    def on_llm_end(self, response: LLMResult, *, run_id: UUID, **_kwargs: Any) -> None:
        """Complete the trace of a run that ended well."""
        del response
        self._complete(run_id, None)

    def on_llm_error(self, error: BaseException, *, run_id: UUID, **_kwargs: Any) -> None:
        """Complete the trace of a run that failed."""
        self._complete(run_id, error)

    def _complete(self, run_id: UUID, error: BaseException | None) -> None:
        if run_id != self._run_id:
            return
        unwatch(run_id, self)
        if self._log is None:
            return
        from langchain_tamma_openai.usage.langsmith import enrich_trace

        enrich_trace(self._beside, run_id, self._log.finish(error), self._log.facts)

    # A copy of the callbacks for runs inside has nothing to watch there.
    ignore_chain = ignore_agent = ignore_retriever = ignore_retry = ignore_custom_event = property(
        lambda _self: True
    )
