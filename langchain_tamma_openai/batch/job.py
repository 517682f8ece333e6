"""`BatchJob`: what users hold of requests that are with the Batch API."""

from __future__ import annotations

import asyncio
import json
import os
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self, cast

from langchain_core.messages import AIMessage

from langchain_tamma_openai.batch import plan as planning
from langchain_tamma_openai.batch import steps
from langchain_tamma_openai.batch.answers import Answered, Answers, not_answered
from langchain_tamma_openai.batch.driving import aask, adrive, ask, drive
from langchain_tamma_openai.batch.journal import Job, Journal, Part
from langchain_tamma_openai.batch.replay import Replay, messages_of, replaying
from langchain_tamma_openai.batch.status import BatchState, BatchStatus, read_status
from langchain_tamma_openai.batch.steps import Ask
from langchain_tamma_openai.errors import (
    InvalidParameterError,
    NotFoundError,
    RequestTimeoutError,
    TammaError,
)

if TYPE_CHECKING:
    from langchain_core.runnables import RunnableConfig

    from langchain_tamma_openai.batch.plan import Line, Pipeline
    from langchain_tamma_openai.chat_models.base import ChatTammaOpenAI

_FIRST_PAUSE_S = 5.0
_LONGEST_PAUSE_S = 60.0
_GROWTH = 1.5
_EXPIRED = "batch_expired"


@dataclass(frozen=True, slots=True)
class BatchResult:
    """What became of one request.

    Attributes:
        index: Place of its input.
        output: What `invoke` would have returned; None where there is an error.
        error: What `invoke` would have raised.
        message: The model's answer; None where there is none.
    """

    index: int
    output: object = None
    error: Exception | None = None
    message: AIMessage | None = None


class BatchJob:
    """Requests that are with the Batch API.

    Made by `llm.submit_batch(...)`, or found again by `BatchJob.load(id)` in any process.
    """

    def __init__(self, job: Job, pipeline: Pipeline, journal: Journal) -> None:
        """Hold a job; use `submit_batch` or `load`.

        Args:
            job: What is known of it.
            pipeline: The model, and what is done with its answers.
            journal: Where it is noted.
        """
        self._job = job
        self._pipeline = pipeline
        self._journal = journal
        self._batches: dict[str, Mapping[str, Any]] = {}
        self._results: list[BatchResult] | None = None

    @property
    def id(self) -> str:
        """Its name: pass it to `load`."""
        return self._job.id

    @property
    def batch_ids(self) -> tuple[str, ...]:
        """The provider's ids of its batches."""
        return tuple(part.batch_id for part in self._job.parts if part.batch_id)

    def __len__(self) -> int:
        """Count its requests."""
        return self._job.total

    def __repr__(self) -> str:
        """Name it."""
        return f"BatchJob(id={self.id!r}, requests={len(self)}, batch_ids={self.batch_ids!r})"

    # --- finding it again ---

    @classmethod
    def load(
        cls,
        job_id: str,
        runnable: object = None,
        *,
        journal: str | os.PathLike[str] | None = None,
    ) -> Self:
        """Find a job again, and bring to the provider what a kill kept from it.

        Args:
            job_id: The job's id, or the provider's id of a batch: with the latter on any machine.
            runnable: The model, or what was made of it, whose parsers are to read the answers; a
                model for the recorded name when left out.
            journal: The directory of notes, where another than the usual was given.

        Raises:
            NotFoundError: Neither the notes nor the provider know it.
            TammaError: The provider refuses, or cannot be reached.
        """
        notes = Journal(journal)
        found = notes.find(job_id)
        if found is None:
            pipeline = planning.pipeline(runnable or _model(None))
            return cls(_adopted(pipeline.model, job_id), pipeline, notes)
        job = cls(found, planning.pipeline(runnable or _model(found)), notes)
        drive(steps.submit(found, notes), job._model)
        return job

    @classmethod
    async def aload(
        cls,
        job_id: str,
        runnable: object = None,
        *,
        journal: str | os.PathLike[str] | None = None,
    ) -> Self:
        """Find a job again; see `load`."""
        notes = Journal(journal)
        found = await asyncio.to_thread(notes.find, job_id)
        if found is None:
            pipeline = planning.pipeline(runnable or _model(None))
            adopted = await asyncio.to_thread(_adopted, pipeline.model, job_id)
            return cls(adopted, pipeline, notes)
        job = cls(found, planning.pipeline(runnable or _model(found)), notes)
        await adrive(steps.submit(found, notes), job._model)
        return job

    @property
    def _model(self) -> ChatTammaOpenAI:
        return self._pipeline.model

    # --- how far it is ---

    def status(self) -> BatchStatus:
        """Ask the provider how far it is.

        Raises:
            TammaError: The provider refuses, or cannot be reached.
        """
        for batch_id in self._open_ids():
            self._batches[batch_id] = ask(self._model, _retrieval(batch_id))
        return self._status()

    async def astatus(self) -> BatchStatus:
        """Ask the provider how far it is; see `status`."""
        for batch_id in self._open_ids():
            self._batches[batch_id] = await aask(self._model, _retrieval(batch_id))
        return self._status()

    def _open_ids(self) -> list[str]:
        """Name the batches whose end is not known yet."""
        return [
            batch_id
            for batch_id in self.batch_ids
            if batch_id not in self._batches
            or not read_status([self._batches[batch_id]], 0, 0).done
        ]

    def _status(self) -> BatchStatus:
        known = [self._batches[batch_id] for batch_id in self.batch_ids]
        missing = sum(part.batch_id is None for part in self._job.parts)
        return read_status(known, self._job.total, missing)

    def wait(
        self,
        timeout_s: float | None = None,
        *,
        poll_interval_s: float | None = None,
        on_progress: Callable[[BatchStatus], object] | None = None,
    ) -> BatchStatus:
        """Wait until nothing more will happen.

        Args:
            timeout_s: Longest wait in seconds; None for as long as it takes, a day at most.
            poll_interval_s: Seconds between two questions; 5 to 60, growing, when left out.
            on_progress: Told of each status.

        Raises:
            RequestTimeoutError: The time is up; the job goes on, and can be waited for again.
            TammaError: The provider refuses, or cannot be reached.
        """
        pauses = _Pauses(timeout_s, poll_interval_s)
        while not (status := self.status()).done:
            _tell(on_progress, status)
            time.sleep(pauses.next(status))
        _tell(on_progress, status)
        return status

    async def await_(
        self,
        timeout_s: float | None = None,
        *,
        poll_interval_s: float | None = None,
        on_progress: Callable[[BatchStatus], object] | None = None,
    ) -> BatchStatus:
        """Wait until nothing more will happen; see `wait`. `awaiting` it is `await` itself."""
        pauses = _Pauses(timeout_s, poll_interval_s)
        while not (status := await self.astatus()).done:
            _tell(on_progress, status)
            await asyncio.sleep(pauses.next(status))
        _tell(on_progress, status)
        return status

    awaiting = await_
    await_done = await_

    def cancel(self) -> BatchStatus:
        """Stop it. What was answered until then is billed, and can be fetched.

        Raises:
            TammaError: The provider refuses, or cannot be reached.
        """
        self.status()
        for batch_id in self._open_ids():
            self._batches[batch_id] = ask(self._model, _cancellation(batch_id))
        return self._status()

    async def acancel(self) -> BatchStatus:
        """Stop it; see `cancel`."""
        await self.astatus()
        for batch_id in self._open_ids():
            self._batches[batch_id] = await aask(self._model, _cancellation(batch_id))
        return self._status()

    # --- what came of it ---

    def results(self, *, return_exceptions: bool = True) -> list[Any]:
        """Give what `invoke` would have returned for each input, in their order; waits for the end.

        Args:
            return_exceptions: Put the typed error of a request that failed into its place; False
                raises the first one.

        Raises:
            TammaError: A request failed and `return_exceptions` is False; or the provider refuses,
                or cannot be reached.
        """
        return _outputs(self.outcomes(), return_exceptions=return_exceptions)

    async def aresults(self, *, return_exceptions: bool = True) -> list[Any]:
        """Give what `invoke` would have returned for each input; see `results`."""
        return _outputs(await self.aoutcomes(), return_exceptions=return_exceptions)

    def outcomes(self) -> list[BatchResult]:
        """Give what became of each request, in the order of the inputs, with its raw answer.

        Every answer goes to the ledger, to callbacks and traces, under the same run id each time.

        Raises:
            TammaError: The provider refuses, or cannot be reached.
        """
        if self._results is None:
            self.wait()
            answers, requests = Answers(), {}
            for question in self._downloads():
                answers.read(ask(self._model, question))
            for part in self._job.parts:
                requests.update(self._requests(part))
            reader = _Reader(self, answers, requests)
            self._results = [reader.read(index) for index in range(self._job.total)]
        return self._results

    async def aoutcomes(self) -> list[BatchResult]:
        """Give what became of each request; see `outcomes`."""
        if self._results is None:
            await self.await_()
            answers, requests = Answers(), {}
            for question in self._downloads():
                answers.read(await aask(self._model, question))
            for part in self._job.parts:
                requests.update(await asyncio.to_thread(self._requests, part))
            reader = _Reader(self, answers, requests)
            self._results = [await reader.aread(index) for index in range(self._job.total)]
        return self._results

    def _downloads(self) -> Iterator[Ask]:
        for batch in self._batches.values():
            for name in ("output_file_id", "error_file_id"):
                if file_id := batch.get(name):
                    yield Ask("files.content", {"file_id": file_id}, raw=True)

    def _requests(self, part: Part) -> dict[int, Mapping[str, Any]]:
        """Give the bodies of a part's requests; from the provider where the notes are elsewhere."""
        path = self._journal.requests_path(self.id, part.number)
        if path.exists():
            content = path.read_bytes()
        elif part.file_id is not None:
            question = Ask("files.content", {"file_id": part.file_id}, raw=True)
            content = ask(self._model, question)
        else:
            return {}
        listed = [json.loads(line) for line in content.splitlines() if line.strip()]
        return {planning.index_of(str(line["custom_id"])): line["body"] for line in listed}

    def _state_of(self, index: int) -> str:
        for part in self._job.parts:
            if not part.indexes or index in part.indexes:
                batch = self._batches.get(part.batch_id or "", {})
                return str(batch.get("status") or BatchState.FAILED)
        return BatchState.FAILED

    def _labels(self, index: int) -> Mapping[str, Any]:
        return self._job.labels.get(str(index), {})


class _Reader:
    """Reads answers with the model itself; sync and async."""

    def __init__(
        self, job: BatchJob, answers: Answers, requests: Mapping[int, Mapping[str, Any]]
    ) -> None:
        self._job = job
        self._answers = answers
        self._requests = requests
        self._replay = Replay()
        self._model = replaying(job._model, self._replay)

    def read(self, index: int) -> BatchResult:
        answered = self._answered(index)
        if isinstance(answered, Exception):
            return BatchResult(index, error=answered)
        self._replay.next(answered)
        try:
            message = self._model.invoke(*self._given(index), **self._kwargs(index))
        except TammaError as error:
            return BatchResult(index, error=error)
        return self._finished(index, message)

    async def aread(self, index: int) -> BatchResult:
        answered = self._answered(index)
        if isinstance(answered, Exception):
            return BatchResult(index, error=answered)
        self._replay.next(answered)
        try:
            message = await self._model.ainvoke(*self._given(index), **self._kwargs(index))
        except TammaError as error:
            return BatchResult(index, error=error)
        return self._finished(index, message)

    def _answered(self, index: int) -> Answered | Exception:
        answered = self._answers.found.get(index)
        if answered is None:
            answered = not_answered(index, self._job._state_of(index))
        error = answered.body.get("error") if isinstance(answered.body, Mapping) else None
        if isinstance(error, Mapping) and error.get("code") == _EXPIRED:
            return RequestTimeoutError(
                str(error.get("message") or "The batch expired before this request was answered."),
                code=_EXPIRED,
                body=answered.body,
                retryable=True,
            )
        return answered

    def _given(self, index: int) -> tuple[Any, RunnableConfig]:
        labels = self._job._labels(index)
        config: RunnableConfig = {
            "run_id": uuid.uuid5(uuid.NAMESPACE_URL, f"tamma-batch:{self._job.id}/{index}"),
            "run_name": "batch request",
            "metadata": {**(labels.get("metadata") or {}), "batch_job": self._job.id},
            "tags": list(labels.get("tags") or ()),
        }
        given = {**(self._job._pipeline.config or {}), **config}
        return messages_of(self._requests.get(index, {})), cast("RunnableConfig", given)

    def _kwargs(self, index: int) -> dict[str, Any]:
        """Give what decoding needs to know: what was bound, or else what was sent."""
        bound = self._job._pipeline.kwargs
        body = self._requests.get(index, {})
        sent = {name: body[name] for name in ("tools", "tool_choice") if name in body}
        kept = {name: value for name, value in bound.items() if name != "stop"}
        return {**sent, **kept, "model": body.get("model", self._model.model_name)}

    def _finished(self, index: int, message: AIMessage) -> BatchResult:
        output = self._job._pipeline.hand_on(message)
        try:
            for step in self._job._pipeline.after:
                output = step.invoke(output)
        except Exception as error:  # noqa: BLE001 - whatever a parser raises belongs to its request
            return BatchResult(index, error=error, message=message)
        return BatchResult(index, output, message=message)


class _Pauses:
    """How long to wait between two questions."""

    def __init__(self, timeout_s: float | None, interval_s: float | None) -> None:
        self._timeout_s = timeout_s
        self._end = None if timeout_s is None else time.monotonic() + timeout_s
        self._pause_s = _FIRST_PAUSE_S if interval_s is None else interval_s
        self._is_fixed = interval_s is not None

    def next(self, status: BatchStatus) -> float:
        pause_s = self._pause_s
        if not self._is_fixed:
            self._pause_s = min(self._pause_s * _GROWTH, _LONGEST_PAUSE_S)
        if self._end is None:
            return pause_s
        left_s = self._end - time.monotonic()
        if left_s <= 0:
            raise RequestTimeoutError(
                f"timeout_s: the batch was not done after {self._timeout_s:g} seconds "
                f"({status.completed} of {status.total}); it goes on, wait again",
                code="timeout",
                param="timeout_s",
            )
        return min(pause_s, left_s)


def _tell(on_progress: Callable[[BatchStatus], object] | None, status: BatchStatus) -> None:
    if on_progress is not None:
        on_progress(status)


def _retrieval(batch_id: str) -> Ask:
    return Ask("batches.retrieve", {"batch_id": batch_id})


def _cancellation(batch_id: str) -> Ask:
    return Ask("batches.cancel", {"batch_id": batch_id})


def _outputs(results: Sequence[BatchResult], *, return_exceptions: bool) -> list[Any]:
    if not return_exceptions:
        for result in results:
            if result.error is not None:
                raise result.error
    return [result.output if result.error is None else result.error for result in results]


def _model(job: Job | None) -> ChatTammaOpenAI:
    from langchain_tamma_openai.chat_models.base import ChatTammaOpenAI

    if job is None or not job.parts:
        return ChatTammaOpenAI()
    return ChatTammaOpenAI(model=job.parts[0].model)


def _adopted(model: ChatTammaOpenAI, batch_id: str) -> Job:
    """Make the notes of a job that was submitted elsewhere out of what the provider knows."""
    batch = ask(model, _retrieval(batch_id))
    metadata = batch.get("metadata") or {}
    job_id = metadata.get(steps.JOB_KEY)
    if job_id is None:
        raise NotFoundError(
            f"job_id: the batch {batch_id!r} was not submitted by this package; its files can be "
            "read with the SDK",
            code="unknown_batch",
            param="job_id",
        )
    listed = ask(model, Ask("batches.list", {"limit": 100})).get("data") or ()
    own = {each["id"]: each for each in [*listed, batch] if steps.is_part(each, str(job_id))}
    parts = [
        Part(
            number=int(each["metadata"][steps.PART_KEY]),
            endpoint=str(each["endpoint"]),
            model="",
            indexes=[],
            file_id=each.get("input_file_id"),
            batch_id=each["id"],
            is_asked_for=True,
        )
        for each in own.values()
    ]
    total = int(metadata.get(steps.TOTAL_KEY) or 0)
    return Job(str(job_id), time.time(), "", total, sorted(parts, key=lambda part: part.number))


def new_job(made: Sequence[Line], job_id: str | None, journal: Journal) -> tuple[Job, bool]:
    """Write a new job down, or find the one of the same name and requests.

    Args:
        made: The requests.
        job_id: Its name; made up when None.
        journal: Where.

    Returns:
        The job, and whether it is new.

    Raises:
        InvalidParameterError: There are no requests, or another job has that name.
    """
    if not made:
        raise InvalidParameterError("inputs: the list is empty; pass at least one", param="inputs")
    name = job_id or f"job-{uuid.uuid4().hex[:24]}"
    mark = planning.fingerprint(made)
    known = journal.find(name) if job_id is not None else None
    if known is not None:
        if known.fingerprint != mark:
            raise InvalidParameterError(
                f"job_id: {name!r} is a job with other requests; choose another name",
                param="job_id",
            )
        return known, False
    split = list(planning.parts(made, name))
    job = Job(name, time.time(), mark, len(made))
    job.parts = [
        Part(number, listed[0].endpoint, listed[0].model, [line.index for line in listed])
        for number, listed in enumerate(split)
    ]
    job.labels = {
        str(line.index): line.labels
        for line in made
        if line.labels.get("metadata") or line.labels.get("tags")
    }
    journal.begin(job, split)
    return job, True
