"""LangSmith's tracer for runs that are past: their own times instead of the clock's."""

from __future__ import annotations

import sys
from functools import cache
from typing import TYPE_CHECKING, Any

from langchain_core.callbacks import BaseCallbackHandler, BaseCallbackManager

from langchain_tamma_openai.usage.past import PAST

if TYPE_CHECKING:
    from langchain_core.tracers.schemas import Run

_MODULE = "langchain_core.tracers.langchain"


def use_past_times(manager: BaseCallbackManager) -> None:
    """Replace LangSmith's tracers by ones that know the times of past runs.

    Args:
        manager: Whose handlers are replaced.
    """
    module = sys.modules.get(_MODULE)
    if module is None:  # nobody made a tracer
        return
    copies = {
        id(handler): _copied(handler, _past_tracer())
        for handler in manager.handlers
        if type(handler) is module.LangChainTracer
    }
    if copies:
        for handlers in (manager.handlers, manager.inheritable_handlers):
            handlers[:] = [copies.get(id(handler), handler) for handler in handlers]


def _copied(tracer: Any, kind: type[Any]) -> BaseCallbackHandler:
    copy: BaseCallbackHandler = kind(
        example_id=tracer.example_id,
        project_name=tracer.project_name,
        address=tracer.address,
        client=tracer.client,
        tags=tracer.tags,
        metadata=tracer.tracing_metadata,
        run_map=tracer.run_map,
        order_map=tracer.order_map,
        _external_run_ids=tracer._external_run_ids,
    )
    return copy


@cache
def _past_tracer() -> type[Any]:
    from langchain_core.tracers.langchain import LangChainTracer

    class PastTracer(LangChainTracer):
        def _start_trace(self, run: Run) -> None:
            if (span := PAST.get()) is not None:
                run.start_time = span.began_at
            super()._start_trace(run)

        def _update_run_single(self, run: Run) -> None:  # type: ignore[override]  # static there, called on the tracer
            if (span := PAST.get()) is not None:
                run.end_time = span.ended_at
            LangChainTracer._update_run_single(run)

    return PastTracer
