"""Which handlers look at the chunks of a stream, and a stream that leaves out those that do not.

LangChain calls every handler for every chunk, the many that only want to know of the first one, or
of none, among them.
"""

from __future__ import annotations

from collections.abc import Hashable
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeAlias, cast

from langchain_core.callbacks import (
    AsyncCallbackHandler,
    AsyncCallbackManagerForLLMRun,
    BaseCallbackHandler,
    CallbackManagerForLLMRun,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from langchain_core.messages import AIMessageChunk

    RunManager: TypeAlias = CallbackManagerForLLMRun | AsyncCallbackManagerForLLMRun
    Stream: TypeAlias = Iterator[AIMessageChunk] | AsyncIterator[AIMessageChunk]

_SILENT = (BaseCallbackHandler.on_llm_new_token, AsyncCallbackHandler.on_llm_new_token)


def manager_of(stream: Stream) -> RunManager | None:
    """Find LangChain's manager of a run that is streamed.

    Args:
        stream: LangChain's generator, whose first chunk has come. It gives the manager to nobody,
            so that it is taken from the generator's frame.
    """
    frame = getattr(stream, "gi_frame", None) or getattr(stream, "ag_frame", None)
    found = None if frame is None else frame.f_locals.get("run_manager")
    known = CallbackManagerForLLMRun | AsyncCallbackManagerForLLMRun
    return found if isinstance(found, known) else None


def leave_out(manager: RunManager | None) -> None:
    """Tell of the further chunks of a run only those who look at more than the first.

    Args:
        manager: LangChain's manager of the run, which has told all of the first chunk; None where
            it is not known, and all go on hearing.
    """
    if manager is None:
        return
    heard = [each for each in manager.handlers if hears_every_chunk(each)]
    if len(heard) < len(manager.handlers):
        # Of this run alone: its end is told to all, as ever.
        manager.on_llm_new_token = _telling(manager, heard)  # type: ignore[method-assign]


def _telling(manager: RunManager, handlers: list[BaseCallbackHandler]) -> Any:
    """Give a manager's `on_llm_new_token` for some of its handlers."""
    if not handlers:
        return _silence if isinstance(manager, CallbackManagerForLLMRun) else _asilence
    return type(manager)(
        run_id=manager.run_id,
        handlers=handlers,
        inheritable_handlers=[],
        parent_run_id=manager.parent_run_id,
        tags=manager.tags,
        metadata=manager.metadata,
    ).on_llm_new_token


def _silence(token: object, *, chunk: object = None) -> None:
    """Tell nobody."""


async def _asilence(token: object, *, chunk: object = None) -> None:
    """Tell nobody."""


@lru_cache(maxsize=256)
def sees_tokens(kind: type[Any]) -> bool:
    """Whether handlers of a class show an answer while it grows; tracers only write it down.

    Args:
        kind: The class.
    """
    from langchain_core.tracers._streaming import (
        _StreamingCallbackHandler,
        _V2StreamingCallbackHandler,
    )
    from langchain_core.tracers.base import AsyncBaseTracer, BaseTracer

    if issubclass(kind, _StreamingCallbackHandler | _V2StreamingCallbackHandler):
        return True
    if issubclass(kind, BaseTracer | AsyncBaseTracer) or getattr(kind, "only_counts", False):
        return False
    return getattr(kind, "on_llm_new_token", None) not in _SILENT


def hears_every_chunk(handler: BaseCallbackHandler) -> bool:
    """Whether chunks after the first one mean anything to a handler.

    Args:
        handler: The handler.
    """
    if "on_llm_new_token" in getattr(handler, "__dict__", ()):
        return True  # one of its own, whatever its class does
    return _kind_hears(cast("Hashable", type(handler)))


@lru_cache(maxsize=256)
def _kind_hears(kind: type[Any]) -> bool:
    hook = getattr(kind, "on_llm_new_token", None)
    if hook in _SILENT or getattr(hook, "minds_only_the_first", False):
        return False
    return not _is_langsmith(kind)


def _is_langsmith(kind: type[Any]) -> bool:
    """Whether a class is LangSmith's tracer, which writes down the first chunk alone."""
    from langchain_core.tracers.base import BaseTracer
    from langchain_core.tracers.langchain import LangChainTracer

    if not issubclass(kind, LangChainTracer):
        return False
    same = ("_llm_run_with_token_event", "_on_llm_new_token", "on_llm_new_token")
    is_changed = any(getattr(kind, name) is not getattr(LangChainTracer, name) for name in same)
    notes_the_first = "_llm_run_with_token_event" in vars(LangChainTracer)
    hears = LangChainTracer.on_llm_new_token is not BaseTracer.on_llm_new_token
    return notes_the_first and not hears and not is_changed
