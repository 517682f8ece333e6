"""Callback handlers that count tokens and money of any LangChain model, and a block around them."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
import warnings
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar, Token
from typing import TYPE_CHECKING, Any, cast
from uuid import UUID, uuid4

from langchain_core.callbacks import AsyncCallbackHandler
from langchain_core.messages import AIMessage
from langchain_core.outputs import ChatGeneration, LLMResult
from langchain_core.tracers.context import register_configure_hook

from langchain_tamma_openai.usage.drafts import OpenRunDraft, RecordDraft
from langchain_tamma_openai.usage.listening import RunListener, minds_only_the_first
from langchain_tamma_openai.usage.logs import log_run
from langchain_tamma_openai.usage.logs import logger as run_logger
from langchain_tamma_openai.usage.reading import read_failure, read_message, read_result
from langchain_tamma_openai.usage.run_records import (
    counted,
    record_of_failure,
    record_of_result,
)
from langchain_tamma_openai.usage.runs import EndedRun, OpenRun, RunBook
from langchain_tamma_openai.usage.sinks import UsageRecordSink, accepts_records
from langchain_tamma_openai.usage.totals import RunUsage, UsageSink, UsageTotals

if TYPE_CHECKING:
    from langchain_core.callbacks.manager import BaseRunManager


__all__ = [
    "AsyncUsageCallbackHandler",
    "UsageCallbackHandler",
    "get_usage_callback",
    "orphan_handlers",
]

logger = logging.getLogger(__name__)


class _UsageHandler(RunListener):
    """What the sync and the async handler share.

    Without a tracker that takes records they hear of the ends of runs only, and just count.
    """

    def __init__(self, tracker: UsageSink | UsageRecordSink | None = None) -> None:
        """Start counting.

        Args:
            tracker: Takes every run as well: a `UsageTracker` the full `UsageRecord`, a
                `UsageTotals` that several handlers share only the numbers.
        """
        takes_records = accepts_records(tracker)
        self._ledger = cast("UsageRecordSink", tracker) if takes_records else None
        self._tracker = None if takes_records else cast("UsageSink | None", tracker)
        super().__init__(RunBook() if takes_records else None)
        self.totals = UsageTotals()
        # In async code LangChain runs a handler that may block in a thread, and waits for it.
        self.run_inline = not self._may_block

    def __reduce__(self) -> tuple[object, ...]:
        """Pickle the tracker: another process counts anew."""
        return type(self), (self._ledger or self._tracker,)

    @property
    def _may_block(self) -> bool:
        return getattr(self._ledger, "durability", None) == "sync"

    def record(self, run: RunUsage) -> None:
        """Count one run; a run whose id was counted already is left out."""
        self.totals.record(run)
        if self._tracker is not None:
            self._tracker.record(run)

    def record_message(self, message: AIMessage, run_id: UUID | None = None) -> None:
        """Count an answer that did not come through LangChain's callbacks."""
        if self._book is None:
            self.record(read_message(message, run_id))
        else:
            generation = ChatGeneration(message=message)
            self._finish(run_id or uuid4(), LLMResult(generations=[[generation]]))

    def _run_ended(self, ended: EndedRun) -> None:
        self.totals.record(counted(ended.record))
        log_run(ended.record)
        if self._ledger is not None:
            self._ledger.record(ended.record)

    def _end(self, response: LLMResult, run_id: UUID) -> None:
        if self._book is None:
            self.record(read_result(response, run_id))
        else:
            self._finish(run_id, response)

    def _end_in_error(self, error: BaseException, run_id: UUID, response: LLMResult | None) -> None:
        if self._book is None:
            self.record(read_failure(response, error, run_id))
        else:
            self._fail(run_id, error, response)


class UsageCallbackHandler(_UsageHandler):
    """Counts the tokens and cost of every model run it hears of, in `totals`.

    Pass it in `config={"callbacks": [handler]}` of any LangChain model, chain or agent, called sync
    or async, streamed or not; it may be shared between threads. Answers that carry their cost
    (`response_metadata["cost"]`) are taken at it, others are priced by served model and tier.

    With a `UsageTracker`, one `UsageRecord` for each run goes into its ledger.
    """

    def on_llm_end(self, response: LLMResult, *, run_id: UUID, **_kwargs: Any) -> None:
        """Count a run that ended well."""
        self._end(response, run_id)

    def on_llm_error(self, error: BaseException, *, run_id: UUID, **kwargs: Any) -> None:
        """Count a run that failed, with the tokens it is known to have spent."""
        self._end_in_error(error, run_id, kwargs.get("response"))


class ModelUsageHandler(UsageCallbackHandler):
    """The handler that a model has for its own tracker; it keeps no totals that nobody asks for."""

    def __init__(self, tracker: UsageSink | UsageRecordSink | None = None) -> None:
        """Start; see `UsageCallbackHandler`."""
        super().__init__(tracker)
        takes: Callable[[RecordDraft], None] | None = getattr(tracker, "record_draft", None)
        self._take_draft = None if self._may_block else takes

    def follow(self, manager: BaseRunManager) -> None:
        """Take note of a run that LangChain has begun without telling.

        Args:
            manager: LangChain's manager of the run.
        """
        given = {
            "parent_run_id": manager.parent_run_id,
            "tags": manager.tags,
            "metadata": manager.metadata,
        }
        self._start(manager.run_id, given)

    @minds_only_the_first
    def on_llm_new_token(
        self, token: str | list[Any] = "", *, run_id: UUID, **_kwargs: Any
    ) -> None:
        """Note when the first chunk came; what is in the others stands in the run's log."""
        del token
        run = None if self._book is None else self._book.find(run_id)
        if run is not None and run.first_token_s is None:
            run.first_token_s = time.perf_counter()

    def on_stream_event(self, event: Any, *, run_id: UUID, **_kwargs: Any) -> None:
        """Note when the first piece came, in LangChain's newer form."""
        del event
        self.on_llm_new_token(run_id=run_id)

    def root_of(self, parent_run_id: UUID) -> UUID | None:
        """Find the outermost run known around a run.

        Args:
            parent_run_id: The run around it.
        """
        return self._root_of(parent_run_id)

    @property
    def takes_drafts(self) -> bool:
        """Whether the records of runs that ended well may be made later."""
        return self._take_draft is not None and not run_logger.isEnabledFor(logging.INFO)

    def keep(self, draft: RecordDraft) -> None:
        """Keep a run whose record is made later; only where `takes_drafts`.

        Args:
            draft: The run.
        """
        try:
            if self._take_draft is not None:
                self._take_draft(draft)
        except Exception as error:  # noqa: BLE001 - a handler must never fail a call
            self._complain(error)

    def finish_run(self, run: OpenRun, response: LLMResult) -> None:
        """Record a run that ended well.

        Args:
            run: What is known of it.
            response: What it answered.
        """
        try:
            self._run_ended(EndedRun(run, record_of_result(run, response), response))
        except Exception as error:  # noqa: BLE001 - a handler must never fail a call
            self._complain(error)

    def fail_run(self, run: OpenRun, error: BaseException) -> None:
        """Record a run that ended otherwise.

        Args:
            run: What is known of it.
            error: What ended it.
        """
        try:
            self._run_ended(EndedRun(run, record_of_failure(run, error, None), None, error))
        except Exception as failure:  # noqa: BLE001 - a handler must never fail a call
            self._complain(failure)

    def _defer(self, run: OpenRun) -> bool:
        if run.log is None or run.log.answered is None or not self.takes_drafts:
            return False
        self.keep(OpenRunDraft(run, time.perf_counter()))
        return True

    def _run_ended(self, ended: EndedRun) -> None:
        log_run(ended.record)
        if self._ledger is not None:
            self._ledger.record(ended.record)


class AsyncUsageCallbackHandler(_UsageHandler, AsyncCallbackHandler):  # type: ignore[misc]
    """The async twin of `UsageCallbackHandler`, for code that takes async handlers only.

    With a tracker of `durability="sync"` it is the cheaper one in async code: only the end of a run
    changes threads, not every chunk.
    """

    def __init__(self, tracker: UsageSink | UsageRecordSink | None = None) -> None:
        """Start counting; see `UsageCallbackHandler`."""
        super().__init__(tracker)
        self.run_inline = True

    async def on_llm_end(self, response: LLMResult, *, run_id: UUID, **_kwargs: Any) -> None:
        """Count a run that ended well."""
        if self._may_block:
            await asyncio.to_thread(self._end, response, run_id)
        else:
            self._end(response, run_id)

    async def on_llm_error(self, error: BaseException, *, run_id: UUID, **kwargs: Any) -> None:
        """Count a run that failed, with the tokens it is known to have spent."""
        response = kwargs.get("response")
        if self._may_block:
            await asyncio.to_thread(self._end_in_error, error, run_id, response)
        else:
            self._end_in_error(error, run_id, response)


class _BlockHandler(UsageCallbackHandler):
    """The handler of one `get_usage_callback` block; blocks around it count its runs too."""

    def __init__(self, outer: _BlockHandler | None) -> None:
        super().__init__(outer)
        self.outer = outer
        self._earlier_threads = weakref.WeakSet(threading.enumerate())

    def may_have_started(self, thread: threading.Thread) -> bool:
        """Whether the thread began after the block was opened."""
        return thread not in self._earlier_threads


_current: ContextVar[_BlockHandler | None] = ContextVar("tamma_usage_block", default=None)
register_configure_hook(_current, inheritable=True)

_open_blocks: list[_BlockHandler] = []
_open_blocks_lock = threading.Lock()
_ambiguity_warned = threading.Event()


@contextmanager
def get_usage_callback() -> Iterator[UsageTotals]:
    """Sum the tokens and cost of all model runs inside a `with` block.

    Runs of any LangChain model count: invoked, batched or streamed, in the same task, in tasks
    started inside the block, and in threads of LangChain's executors and `asyncio.to_thread`,
    which carry the context along. Blocks nest: an inner block's runs count in both. LangChain
    cache hits are counted as `cache_hits` and cost nothing.

    A plain `threading.Thread` or `ThreadPoolExecutor` does not carry the context. Runs of
    `ChatTammaOpenAI` in a thread that was started while the block was open are counted all the
    same, as long as no other independent block could claim that thread; to be sure, or with other
    models, start the thread's work with `contextvars.copy_context().run(...)`.

    Example:
        ```python
        with get_usage_callback() as usage:
            llm.invoke("Hello")
        print(usage.total_tokens, usage.total_cost_usd)
        ```

    Yields:
        Totals that can be read at any time, also after the block.
    """
    block = _BlockHandler(_current.get())
    with _open_blocks_lock:
        _open_blocks.append(block)
    token = _current.set(block)
    try:
        yield block.totals
    finally:
        _leave(token)
        with _open_blocks_lock:
            _open_blocks.remove(block)


def _leave(token: Token[_BlockHandler | None]) -> None:
    try:
        _current.reset(token)
    except ValueError:
        # An async generator was closed from another context; the one with the block is gone.
        return


def is_in_block() -> bool:
    """Whether this context is inside a block."""
    return _current.get() is not None


def orphan_handlers() -> list[UsageCallbackHandler]:
    """Find the block that a thread without a context of its own belongs to.

    A thread started by hand does not inherit context variables, so LangChain does not tell the
    block around it of the runs inside. When exactly one outermost block was open as the thread
    started, the thread is taken to be part of it (and of inner blocks, as long as there is one at
    each depth).

    Returns:
        At most one handler; the caller reports its runs to it with `record_message`. None when the
        context has a block, or when several blocks could claim the thread: that is said once.
    """
    if not _open_blocks or _current.get() is not None:
        return []
    thread = threading.current_thread()
    with _open_blocks_lock:
        blocks = [block for block in _open_blocks if block.may_have_started(thread)]
    outermost = [block for block in blocks if block.outer not in blocks]
    if len(outermost) > 1:
        _warn_of_ambiguity()
        return []
    return [_innermost(outermost[0], blocks)] if outermost else []


def _innermost(block: _BlockHandler, blocks: list[_BlockHandler]) -> _BlockHandler:
    inner = [other for other in blocks if other.outer is block]
    return _innermost(inner[0], blocks) if len(inner) == 1 else block


def _warn_of_ambiguity() -> None:
    if _ambiguity_warned.is_set():
        return
    _ambiguity_warned.set()
    message = (
        "A model ran in a thread without context while several get_usage_callback blocks were "
        "open; it is counted in none of them. Start the thread's work with "
        "contextvars.copy_context().run(...) to say which block it belongs to."
    )
    try:
        warnings.warn(message, UserWarning, stacklevel=3)
    except UserWarning:
        # Warnings are errors here, and counting must not fail a call.
        logger.warning(message)
