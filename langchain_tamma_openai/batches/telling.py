"""Reads the answers of a job and tells of each as if it had been invoked.

LangChain's own code makes the messages; the answer comes from the file instead of from the network,
and the times are those of the batch. The ids of the runs are the same whenever and wherever it is
told, so that whoever keeps runs keeps each once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, cast

from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatResult, LLMResult
from langchain_core.runnables import Runnable
from pydantic import PrivateAttr

from langchain_tamma_openai.batches.answers import BatchResult, Reading
from langchain_tamma_openai.batches.hearing import Audience
from langchain_tamma_openai.batches.journal import Entry, Json, custom_id
from langchain_tamma_openai.batches.preparing import Line
from langchain_tamma_openai.batches.status import BatchStatus
from langchain_tamma_openai.chat_models.attempt_rows import outcome_of
from langchain_tamma_openai.chat_models.linking import with_all_calls_in_blocks
from langchain_tamma_openai.chat_models.observing import observe_outside_context
from langchain_tamma_openai.chat_models.received import Received
from langchain_tamma_openai.chat_models.settings import base_url
from langchain_tamma_openai.chat_models.tracing import is_traced
from langchain_tamma_openai.checks import safe_url
from langchain_tamma_openai.resilience.classify import ErrorClassifier
from langchain_tamma_openai.usage.past import Span, telling_of
from langchain_tamma_openai.usage.record import AttemptRecord, Delivery, Measurement
from langchain_tamma_openai.usage.run_log import RunLog, watchers

if TYPE_CHECKING:
    from langchain_tamma_openai.chat_models.base import ChatTammaOpenAI

_CLASSIFIER = ErrorClassifier()
BATCH_TIER = "batch"
"""The tier in messages and records: prices are looked up by it, and the API names none."""


class ReplayedModel(BaseChatModel):
    """Lets LangChain make the message of an answer that is already there."""

    _read: Callable[[], ChatResult] = PrivateAttr()

    def read_from(self, read: Callable[[], ChatResult]) -> None:
        """Say where the next answer comes from.

        Args:
            read: Reads it.
        """
        self._read = read

    def _generate(self, *_args: Any, **_kwargs: Any) -> ChatResult:
        return self._read()

    @property
    def _llm_type(self) -> str:
        return "openai-chat"


class Teller:
    """Tells of one job.

    Attributes:
        results: What became of each input that was told of, by its place.
    """

    def __init__(
        self,
        entry: Entry,
        model: ChatTammaOpenAI,
        audience: Audience,
        after: Runnable[Any, Any] | None,
        *,
        keeps_responses: bool = False,
    ) -> None:
        """Prepare; nothing is told yet.

        Args:
            entry: The job.
            model: Says how answers are read and priced.
            audience: Who hears of them.
            after: Makes the result of an answer; None where the answer is the result.
            keeps_responses: Whether results hold the API's own answers too.
        """
        self._keeps_responses = keeps_responses
        self._entry = entry
        self._model = model
        self._runs = model._runs
        self._audience = audience
        self._after = after
        self._replayed = ReplayedModel(output_version=model.output_version, cache=False)
        self.results: dict[int, BatchResult] = {}

    @contextmanager
    def telling(self, status: BatchStatus) -> Iterator[None]:
        """Tell of the inputs inside the block, as children of one run.

        Args:
            status: When the job began and ended.
        """
        with telling_of(_span(status)):
            self._audience.begin(status.state.value)
            error: BaseException | None = None
            try:
                yield
            except BaseException as caught:
                error = caught
                raise
            finally:
                failed = sum(1 for result in self.results.values() if not result.is_ok)
                self._audience.end({"requests": len(self.results), "failed": failed}, error)

    def tell(self, position: int, raw: Json | None, part: BatchStatus, line: Line) -> None:
        """Tell what became of an input.

        Args:
            position: Its place.
            raw: Its line in the batch's files; None where there is none.
            part: The batch.
            line: The input.
        """
        reading = Reading(raw, line.shape, part, Received())
        with telling_of(_span(part)):
            message, error = self._run(position, reading, line)
        cost, tokens = reading.cost(self._model), reading.tokens()
        result = BatchResult(
            position,
            message,
            message,
            error,
            None if cost is None else cost.total_usd,
            _name(raw, position),
            part.id,
            reading.status_code,
            reading.request_id,
            tokens,
            reading.response if self._keeps_responses else None,
        )
        self.results[position] = self._finished(result)

    def _finished(self, result: BatchResult) -> BatchResult:
        """Make the result of an answer; what goes wrong with it is the input's error."""
        if self._after is None or result.message is None:
            return result
        try:
            output = self._after.invoke(result.message, self._audience.child())
        except Exception as error:  # noqa: BLE001 - parsers and what callers put behind them
            return replace(result, output=None, error=error)
        return replace(result, output=output)

    def _run(
        self, position: int, reading: Reading, line: Line
    ) -> tuple[AIMessage | None, Exception | None]:
        run = self._audience.start(position, line)
        log = self._log(run, line)
        self._replayed.read_from(lambda: self._read(reading, position))
        try:
            made = self._replayed._generate_with_cache(line.messages, run_manager=run)
            result = with_all_calls_in_blocks(made)
        except Exception as error:  # noqa: BLE001 - it belongs to this input
            nothing = LLMResult(generations=[[]])
            self._write_down(run, log, reading, nothing, error)
            run.on_llm_error(error, response=nothing)
            return None, error
        response = LLMResult(generations=[result.generations], llm_output=result.llm_output)
        self._write_down(run, log, reading, response, None)
        run.on_llm_end(response)
        message = cast("AIMessage", result.generations[0].message)
        facts = reading.received.facts
        if not self._audience.is_repeated and facts is not None:
            observe_outside_context(message, facts)
        return message, None

    def _read(self, reading: Reading, position: int) -> ChatResult:
        result = reading.result(self._model)
        message = cast("AIMessage", result.generations[0].message)
        message.response_metadata["service_tier"] = BATCH_TIER
        message.response_metadata["batch"] = {
            "job_id": self._entry.id,
            "batch_id": reading.part.id,
            "custom_id": _name(reading.raw, position),
        }
        return result

    # --- what is written down ---

    def _log(self, run: CallbackManagerForLLMRun, line: Line) -> RunLog | None:
        found = watchers(run.run_id)
        if not (found or self._runs is not None or is_traced(run.handlers)):
            return None
        facts = {"requested_model": line.shape.model, "api": line.shape.api, **line.shape.facts}
        if line.shape.user:
            facts["user"] = line.shape.user
        log = RunLog(run.run_id, facts)
        for watcher in found:
            watcher.on_run_log(log)
        return log

    def _write_down(
        self,
        run: CallbackManagerForLLMRun,
        log: RunLog | None,
        reading: Reading,
        response: LLMResult,
        error: Exception | None,
    ) -> None:
        if log is None:
            return
        log.add(self._attempt(run, reading, error))
        if self._runs is not None:
            self._runs.record_past(run, log, response, error)
        if is_traced(run.handlers):
            from langchain_tamma_openai.usage.langsmith import enrich_trace

            enrich_trace(run.handlers, run.run_id, log.finish(error), log.facts)

    def _attempt(
        self, run: CallbackManagerForLLMRun, reading: Reading, error: Exception | None
    ) -> AttemptRecord:
        """Describe the request inside the batch as the one attempt that it is."""
        received, tokens, root = reading.received, reading.tokens(), base_url(self._model)
        kind = None if error is None else _CLASSIFIER.classify(error).kind
        is_answered, is_refusal = reading.is_answered, received.is_refusal
        span = _span(reading.part)
        code = getattr(error, "code", None)
        return AttemptRecord(
            run_id=run.run_id,
            number=1,
            started_at=span.began_at,
            latency_s=span.latency_s,
            outcome=outcome_of(kind, is_answered=is_answered, is_refusal=is_refusal),
            delivery=Delivery.ANSWERED if reading.status_code else Delivery.NEVER_SENT,
            measurement=Measurement.UNKNOWN if tokens is None else Measurement.MEASURED,
            requested_model=reading.shape.model,
            model=None if received.facts is None else received.facts.model,
            base_url=None if root is None else safe_url(root),
            api=reading.shape.api,
            service_tier=BATCH_TIER if is_answered else None,
            status_code=reading.status_code,
            error_kind=None if kind is None else kind.value,
            error_code=code if isinstance(code, str) else None,
            request_id=reading.request_id,
            response_id=received.response_id,
            tokens=tokens,
            cost=reading.cost(self._model),
        )


def messages_of(body: Mapping[str, Any]) -> list[BaseMessage]:
    """Read the conversation of a body that was sent, for traces; what has no form is left out.

    Args:
        body: Of Chat Completions or Responses.
    """
    from langchain_core.messages import HumanMessage, convert_to_messages

    given = body.get("messages") or body.get("input") or []
    if isinstance(given, str):
        return [HumanMessage(given)]
    found: list[BaseMessage] = []
    for each in given:
        with suppress(Exception):
            found += convert_to_messages([each])
    return found


def _name(raw: Json | None, position: int) -> str:
    given = (raw or {}).get("custom_id")
    return given if isinstance(given, str) else custom_id(position)


def _span(status: BatchStatus) -> Span:
    now = datetime.now(UTC)
    began = min(status.created_at or now, now)
    return Span(began, max(status.ended_at or now, began))
