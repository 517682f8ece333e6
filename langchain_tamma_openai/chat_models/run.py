"""One model run: who serves it, how often it is tried, who has a say, and what is written down.

No I/O: `answering.py` and `streaming.py` drive it, each in both colours.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Self, cast

from langchain_tamma_openai.chat_models.attempts import Attempt
from langchain_tamma_openai.chat_models.settings import base_url
from langchain_tamma_openai.chat_models.tracing import is_traced
from langchain_tamma_openai.checks import safe_url
from langchain_tamma_openai.error_base import TammaError
from langchain_tamma_openai.resilience.deadline import Deadline
from langchain_tamma_openai.resilience.retry import Retries
from langchain_tamma_openai.usage.run_log import RunLog, watchers

if TYPE_CHECKING:
    from langchain_core.messages import AIMessage, BaseMessage
    from langchain_core.outputs import ChatResult

    from langchain_tamma_openai.chat_models.base import ChatTammaOpenAI
    from langchain_tamma_openai.chat_models.calls import Call
    from langchain_tamma_openai.chat_models.run_link import RunLink
    from langchain_tamma_openai.resilience.fallback import Fallbacks


class Run:
    """One run of a model.

    Attributes:
        target: The model that serves it now: the one that was asked, or a fallback.
        call: What is sent.
        retries: The attempts at it; a fallback has its own.
        log: The attempts as they are written down; None where nobody watches.
    """

    def __init__(
        self,
        model: ChatTammaOpenAI,
        messages: list[BaseMessage],
        stop: list[str] | None,
        options: dict[str, Any],
        link: RunLink | None,
        *,
        streamed: bool,
        is_async: bool,
    ) -> None:
        """Prepare the request; nothing is sent.

        Args:
            model: The model that was asked.
            messages: The conversation.
            stop: Where to stop generating.
            options: Parameters of the call.
            link: Ties the run to its callbacks.
            streamed: Whether the answer comes in chunks.
            is_async: Whether it is driven by an event loop.

        Raises:
            InvalidParameterError: The request cannot be made.
        """
        self._model = model
        self._prepared = model._prepare(messages, {**options, "stream": streamed})
        self._options = self._prepared.options
        self._stop = stop
        self._link = link
        self._is_async = is_async
        self._fallbacks: Fallbacks | None = None
        self._total = Deadline(model.total_timeout_s)
        self.target = model
        self.call = self._new_call(self._options)
        self.retries = self._new_retries()
        self.log = self._new_log()

    @property
    def total(self) -> Deadline:
        """When the whole run has to be over, its stream included."""
        return self._total

    # --- who serves ---

    def fall_back(self, error: Exception) -> None:
        """Turn to the next model or account for a call that has failed for good.

        Args:
            error: What it failed with.

        Raises:
            Exception: There is none: the error of the call as it was asked for.
        """
        self.target._note_failure(error)
        policy = self._model._fallback_policy
        if policy is None or self._total.is_over:
            raise error
        if self._fallbacks is None:
            from langchain_tamma_openai.resilience.fallback import Fallbacks, FallbackStep

            first = FallbackStep(self.call.model)
            self._fallbacks = Fallbacks(policy, first, self._model.allowed_models)
        self._turn_to_next(self._fallbacks, error)
        self.retries = self._new_retries()

    def _turn_to_next(self, fallbacks: Fallbacks, error: Exception) -> None:
        step = fallbacks.next(error)
        if self.log is not None:
            self.log.relabel("fallback_loser")
            self.log.facts["fallback"] = None if step.reason is None else step.reason.value
        self.target = self._model._serving(step)
        try:
            self.call = self._new_call({**self._options, "model": step.model})
        except TammaError as refusal:
            # The next model cannot take this request: what the first one said is raised.
            self._turn_to_next(fallbacks, refusal)

    def _new_call(self, options: Mapping[str, Any]) -> Call:
        return self.target._call(self._prepared.messages, self._stop, dict(options))

    def _new_retries(self) -> Retries:
        policy = self._model._retry_policy
        limit = self._total
        if policy.max_elapsed_s is not None:
            limit = Deadline(policy.max_elapsed_s, "max_elapsed_s").earlier(limit)
        on_retry = None
        if self._link is not None:
            on_retry = self._link.aon_retry if self._is_async else self._link.on_retry
        return Retries(policy, on_retry, limit)

    # --- attempts ---

    def attempt(self) -> Attempt:
        """Prepare one attempt; it has to be entered before anything is sent."""
        if self.log is not None and self.retries.attempts > 1:
            self.log.relabel("retry")
        governed, log = self.target._governors is not None, self.log
        if not governed and log is None:
            return Attempt(self.call)
        root = base_url(self.target)
        passage = None
        if governed:
            passage = self.target._passage(self.call, self.retries.deadline, self._link, root)
        return Attempt(
            self.call,
            passage=passage,
            log=log,
            base_url=None if root is None else safe_url(root),
            prices=self.target.price_overrides,
        )

    @property
    def shows_only_the_end(self) -> bool:
        """Whether nobody sees a part of the answer before it is whole."""
        return self._link is not None and self._link.shows_only_the_end

    # --- what is written down ---

    def __enter__(self) -> Self:
        """Use the run for a block, at whose end its trace is completed."""
        return self

    def __exit__(self, _kind: object, error: BaseException | None, _traceback: object) -> None:
        """Complete the trace."""
        self.trace(error)

    def trace(self, error: BaseException | None = None) -> None:
        """Lay cost and attempts into the run's LangSmith trace, where its tracer is known.

        Args:
            error: What ended the run; None for a success.
        """
        if self.log is None or self._link is None or not is_traced(self._link.handlers):
            return
        from langchain_tamma_openai.usage.langsmith import enrich_trace

        enrich_trace(self._link.handlers, self.log.run_id, self.log.finish(error), self.log.facts)

    def mark_result(self, result: ChatResult) -> ChatResult:
        """Say on a plain answer what was changed for it, and who served it in another one's place.

        Args:
            result: The answer.
        """
        mark(cast("AIMessage", result.generations[0].message), self.notes, self._fallbacks)
        return result

    @property
    def notes(self) -> dict[str, Any]:
        """What of the call the answer's `response_metadata` tells."""
        return {**self._prepared.notes, **self.call.notes}

    def _new_log(self) -> RunLog | None:
        link = self._link
        if link is None or link.run_id is None:
            return None
        found = watchers(link.run_id)
        if link.watcher is not None:
            found = [link.watcher, *found]
        if not found and not is_traced(link.handlers):
            return None
        call = self.call
        facts: dict[str, object] = {"requested_model": call.model, "api": call.api}
        if user := call.payload.get("user"):
            facts["user"] = user
        facts |= self._prepared.facts
        log = RunLog(link.run_id, facts)
        for watcher in found:
            watcher.on_run_log(log)
        return log


def mark(message: AIMessage, notes: Mapping[str, Any], fallbacks: Fallbacks | None) -> None:
    """Say on an answer what was changed for it, and who served it in another one's place.

    Args:
        message: The answer, or the last chunk of a stream.
        notes: What was changed.
        fallbacks: Those of the run; None where none was needed.
    """
    message.response_metadata.update(notes)
    if fallbacks is not None and (told := fallbacks.metadata()) is not None:
        message.response_metadata["fallback"] = told
