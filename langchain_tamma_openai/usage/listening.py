"""From LangChain's callbacks to records: what every handler of ours that wants records shares."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, TypeVar
from uuid import UUID

from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.messages import AIMessageChunk, BaseMessage
from langchain_core.outputs import ChatGenerationChunk, LLMResult

from langchain_tamma_openai.redact import redact_secrets
from langchain_tamma_openai.usage.record import AttemptRecord
from langchain_tamma_openai.usage.run_log import RunLog, unwatch, watch
from langchain_tamma_openai.usage.run_records import record_of_failure, record_of_result
from langchain_tamma_openai.usage.runs import EndedRun, OpenRun, RunBook

logger = logging.getLogger(__name__)

Hook = TypeVar("Hook", bound=Callable[..., object])


def minds_only_the_first(hook: Hook) -> Hook:
    """Say of an `on_llm_new_token` that a run of ours may leave out all chunks but the first.

    Args:
        hook: The method.
    """
    hook.minds_only_the_first = True  # type: ignore[attr-defined]  # a mark for `RunHandlers`
    return hook


class RunListener(BaseCallbackHandler):
    """A handler that hears of every model run and, if it has a book, makes records of them.

    `on_run_log`, `on_attempt`, `on_run_facts` and `on_run_abandoned` are ours: a model that knows
    its HTTP attempts calls them, before the run ends. Nothing that goes wrong in here reaches the
    call.
    """

    run_inline = True
    only_counts: ClassVar[bool] = True

    def __init__(self, book: RunBook | None) -> None:
        """Start listening.

        Args:
            book: Keeps the open runs; None to hear of the ends of runs only.
        """
        super().__init__()
        self._book = book
        self._complaints: set[str] = set()

    # --- what subclasses do with it ---

    def _run_started(self, run: OpenRun) -> None:
        """Look at a run that has begun."""

    def _run_ended(self, ended: EndedRun) -> None:
        """Take the record of a run that has ended."""

    def _defer(self, run: OpenRun) -> bool:  # noqa: ARG002 - for subclasses
        """Take a run that has ended well as it is, to make its record later; False to make it."""
        return False

    # --- the beginning of a run ---

    def on_chat_model_start(
        self,
        serialized: dict[str, Any],  # noqa: ARG002 - LangChain's hook
        messages: list[list[BaseMessage]],
        *,
        run_id: UUID,
        **kwargs: Any,
    ) -> None:
        """Note that a chat model was called."""
        self._start(run_id, kwargs, messages=messages[0] if messages else ())

    def on_llm_start(
        self,
        serialized: dict[str, Any],  # noqa: ARG002 - LangChain's hook
        prompts: list[str],
        *,
        run_id: UUID,
        **kwargs: Any,
    ) -> None:
        """Note that a text-completion model was called."""
        self._start(run_id, kwargs, prompts=prompts)

    def _start(
        self,
        run_id: UUID,
        given: Mapping[str, Any],
        *,
        messages: Sequence[BaseMessage] = (),
        prompts: Sequence[str] = (),
    ) -> None:
        if self._book is None:
            return
        try:
            parent = given.get("parent_run_id")
            run = OpenRun(
                run_id=run_id,
                parent_run_id=parent,
                root_run_id=None if parent is None else self._root_of(parent),
                tags=tuple(given.get("tags") or ()),
                metadata=dict(given.get("metadata") or ()),
                params=given.get("invocation_params") or {},
                messages=messages,
                prompts=prompts,
            )
            if self._book.open(run):
                watch(run_id, self)
                self._run_started(run)
        except Exception as error:  # noqa: BLE001 - a handler must never fail a call
            self._complain(error)

    def _root_of(self, parent_run_id: UUID | None) -> UUID | None:
        if self._book is None or parent_run_id is None:
            return None
        if self._book.knows_chain(parent_run_id):
            return self._book.root_of(parent_run_id)
        return _traced_root(parent_run_id) or parent_run_id

    # --- the middle ---

    @minds_only_the_first
    def on_llm_new_token(
        self,
        token: str | list[Any],
        *,
        chunk: object = None,
        run_id: UUID,
        **_kwargs: Any,
    ) -> None:
        """Note that a chunk has come."""
        if self._book is None or (run := self._book.find(run_id)) is None:
            return
        if run.log is None:
            run.note_token(_chunk_text(token, chunk))
        elif run.first_token_s is None:
            run.note_token("")  # what came stands in the log

    def on_stream_event(self, event: Any, *, run_id: UUID, **_kwargs: Any) -> None:
        """Note a piece of a stream in LangChain's newer form."""
        if self._book is not None and (run := self._book.find(run_id)) is not None:
            run.note_token(_event_text(event))

    def on_run_log(self, log: RunLog) -> None:
        """Take the log of a run that the model has begun; its attempts are read at the end.

        Args:
            log: The log, which goes on growing.
        """
        if self._book is not None and (run := self._book.find(log.run_id)) is not None:
            run.log = log

    def on_attempt(self, attempt: AttemptRecord) -> None:
        """Take one HTTP attempt of a run; the model calls this before the run ends.

        Args:
            attempt: The attempt.
        """
        if self._book is not None and (run := self._book.find_or_open(attempt.run_id)) is not None:
            run.attempts.append(attempt)

    def on_run_facts(self, run_id: UUID, facts: Mapping[str, object]) -> None:
        """Take what only the model knows of a run; it calls this before the run ends.

        Args:
            run_id: The run.
            facts: "user", "fallback", "prompt_id", "prompt_version", "requested_model", "api".
        """
        if self._book is not None and (run := self._book.find_or_open(run_id)) is not None:
            run.facts.update({key: value for key, value in facts.items() if value is not None})
            run.has_facts = True

    # --- the end ---

    def on_run_abandoned(self, run_id: UUID, error: BaseException) -> None:
        """End a run whose caller left; LangChain does not tell of a cancelled `ainvoke`.

        Args:
            run_id: The run.
            error: What ended it, such as `asyncio.CancelledError`.
        """
        self._fail(run_id, error, None)

    def _finish(self, run_id: UUID, response: LLMResult) -> None:
        if self._book is None:
            return
        try:
            run = self._close(run_id, None)
            if run is not None and not self._defer(run):
                run.take_log()
                record = record_of_result(run, response)
                self._run_ended(EndedRun(run, record, response))
        except Exception as error:  # noqa: BLE001 - a handler must never fail a call
            self._complain(error)

    def _fail(self, run_id: UUID, error: BaseException, response: LLMResult | None) -> None:
        if self._book is None:
            return
        try:
            if (run := self._close(run_id, error)) is not None:
                run.take_log()
                record = record_of_failure(run, error, response)
                self._run_ended(EndedRun(run, record, response, error))
        except Exception as failure:  # noqa: BLE001 - a handler must never fail a call
            self._complain(failure)

    def _close(self, run_id: UUID, error: BaseException | None) -> OpenRun | None:
        unwatch(run_id, self)
        run = None if self._book is None else self._book.close(run_id)
        if run is not None and run.log is not None:
            run.log.end(error)
            run.has_facts = True
        return run

    # --- the chains around it ---

    def _open_chain(self, *_args: Any, run_id: UUID, **kwargs: Any) -> None:
        if self._book is not None:
            self._book.open_chain(run_id, kwargs.get("parent_run_id"))

    def _close_chain(self, *_args: Any, run_id: UUID, **_kwargs: Any) -> None:
        if self._book is not None:
            self._book.close_chain(run_id)

    def _break_chain(self, error: BaseException, *, run_id: UUID, **_kwargs: Any) -> None:
        """End what a cancelled chain leaves open: its models were not told that they ended."""
        if self._book is None:
            return
        if _is_cancellation(error):
            for run in self._book.open_inside(run_id):
                self._fail(run.run_id, error, None)
        self._book.close_chain(run_id)

    on_chain_start = on_tool_start = on_retriever_start = _open_chain
    on_chain_end = on_tool_end = on_retriever_end = _close_chain
    on_chain_error = on_tool_error = on_retriever_error = _break_chain

    # --- what a handler without a book does not want to hear ---

    def _has_no_book(self) -> bool:
        return self._book is None

    # `ignore_chat_model` concerns the start of a run only; its end comes under `ignore_llm`.
    ignore_chat_model = property(_has_no_book)
    ignore_chain = property(_has_no_book)
    ignore_agent = property(_has_no_book)
    ignore_retriever = property(_has_no_book)
    ignore_retry = property(lambda _self: True)
    ignore_custom_event = property(lambda _self: True)

    def _complain(self, error: Exception) -> None:
        """Keep what goes wrong in a handler away from the call, and say it once."""
        name = type(error).__name__
        if name in self._complaints:
            return
        self._complaints.add(name)
        logger.error(
            "%s could not take note of a model run: %s. The call is not affected; "
            "further errors of this kind are not logged.",
            type(self).__name__,
            redact_secrets(f"{name}: {error}"),
        )


def _traced_root(parent_run_id: UUID) -> UUID | None:
    """Ask the tracer of the chain around a run, which knows the whole tree."""
    from langchain_core.runnables.config import var_child_runnable_config

    config = var_child_runnable_config.get()
    manager = config.get("callbacks") if config else None
    for handler in getattr(manager, "handlers", None) or ():
        order = getattr(handler, "order_map", None)
        if order and (known := order.get(parent_run_id)):
            root = known[0]
            return root if isinstance(root, UUID) else None
    return None


def _chunk_text(token: str | list[Any], chunk: object) -> str:
    """Read the text of a chunk, tool calls included."""
    message = chunk.message if isinstance(chunk, ChatGenerationChunk) else None
    if not isinstance(message, AIMessageChunk):
        return token if isinstance(token, str) else ""
    text = token if isinstance(token, str) else str(message.text)
    if not message.tool_call_chunks:
        return text
    calls = (f"{call['name'] or ''}{call['args'] or ''}" for call in message.tool_call_chunks)
    return "".join((text, *calls))


def _event_text(event: object) -> str:
    """Read the text of a protocol event; only deltas have one."""
    delta = event.get("delta") if isinstance(event, Mapping) else None
    if not isinstance(delta, Mapping):
        return ""
    text = delta.get("text") or delta.get("args") or ""
    return text if isinstance(text, str) else ""


def _is_cancellation(error: BaseException) -> bool:
    import asyncio

    return isinstance(error, asyncio.CancelledError)
