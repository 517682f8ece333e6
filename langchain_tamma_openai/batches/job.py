"""What users hold of a batch: its state, its results, and the way back to it."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, Self

from langchain_core.runnables import RunnableConfig

from langchain_tamma_openai.batches.answers import BatchResult
from langchain_tamma_openai.batches.fetching import Inputs, fetching
from langchain_tamma_openai.batches.hearing import Audience
from langchain_tamma_openai.batches.journal import Entry
from langchain_tamma_openai.batches.looking import entry_of
from langchain_tamma_openai.batches.parsers import restore
from langchain_tamma_openai.batches.polling import (
    Known,
    OnProgress,
    cancelling,
    polling,
    waiting,
)
from langchain_tamma_openai.batches.preparing import Configs, Wanted
from langchain_tamma_openai.batches.status import BatchStatus
from langchain_tamma_openai.batches.steps import Door, Flow, Pause, Work, adrive, drive
from langchain_tamma_openai.batches.store import BatchStore
from langchain_tamma_openai.batches.submitting import resuming, settle, submitting
from langchain_tamma_openai.batches.targets import Target, find_target
from langchain_tamma_openai.batches.telling import Teller
from langchain_tamma_openai.resilience.bounds import check_seconds

if TYPE_CHECKING:
    from langchain_tamma_openai.chat_models.base import ChatTammaOpenAI

Store = BatchStore | str | Path | None

_POLL_S = 5.0
_LOOK_AGAIN_S = 0.05


class BatchJob:
    """Inputs that were submitted to the Batch API.

    Made by `llm.submit_batch`, `submit_batch` and `BatchJob.load`. Threads may share it.

    Attributes:
        id: Its id: yours if you gave one. Any process finds the job by it.
        keeps_responses: Whether `outcomes` holds the API's own answers as well, which takes memory;
            to be set before they are fetched.
    """

    def __init__(  # noqa: PLR0917 - made in two places, both of this module
        self,
        entry: Entry,
        store: BatchStore,
        model: ChatTammaOpenAI,
        target: Target | None,
        wanted: Wanted | None = None,
        inputs: Inputs | None = None,
    ) -> None:
        """Made by `submit_batch` and `BatchJob.load`; not by hand."""
        self.id = entry.id
        self.keeps_responses = False
        self._entry = entry
        self._store = store
        self._model = model
        self._target = target
        self._wanted = wanted
        self._inputs = inputs or Inputs(entry)
        self._known = Known(entry)
        self._results: list[BatchResult] | None = None
        self._turn = threading.Lock()

    def __repr__(self) -> str:
        """Name it and its batches."""
        batches = ", ".join(self.batch_ids)
        return f"BatchJob({self.id!r}, {len(self)} requests, batches: {batches})"

    @property
    def origins(self) -> list[list[Any]]:
        """Where its inputs come from: for lines of a file their numbers and names."""
        return self._entry.origins

    def __len__(self) -> int:
        """Count its inputs."""
        return self._entry.requests

    @property
    def batch_ids(self) -> tuple[str, ...]:
        """The API's ids of its batches: more than one where the inputs do not fit into one."""
        return tuple(part.batch_id for part in self._entry.parts if part.batch_id is not None)

    # --- the way back ---

    @classmethod
    def load(cls, job_id: str, runnable: Any = None, *, journal: Store = None) -> Self:
        """Find a job that this or another process submitted, here or on another machine.

        A submission that was interrupted is brought to its end first.

        Args:
            job_id: The job's id, or the API's id of one of its batches.
            runnable: What it was submitted with: the model, also bound or with structured output,
                or a chain. Left out, a model of the same name is made with the key from the
                environment, and structured output is read as it was asked for.
            journal: Where the job's journal is: a directory or a `BatchStore`. Default: the
                environment's `TAMMA_OPENAI_BATCH_DIR`, else the user's directory for state.

        Raises:
            NotFoundError: Neither the journal nor the API knows it.
            ConfigurationError: It has answers that can only be read with the runnable.
            StorageError: The journal cannot be read.
            TammaError: The API refused, or could not be reached.
        """
        place = BatchStore.of(journal)
        entry = _from_store(job_id, place)
        target, model = _reader(runnable, entry)
        entry = drive(_loading(job_id, entry, place, model), Door(model))
        return cls(entry, place, model, target)

    @classmethod
    async def aload(cls, job_id: str, runnable: Any = None, *, journal: Store = None) -> Self:
        """Find a job; see `load`."""
        place = BatchStore.of(journal)
        entry = _from_store(job_id, place)
        target, model = _reader(runnable, entry)
        entry = await adrive(_loading(job_id, entry, place, model), Door(model))
        return cls(entry, place, model, target)

    @classmethod
    def ids(cls, *, journal: Store = None) -> list[str]:
        """List the jobs that are known on this machine, the newest first.

        Args:
            journal: Where the journals are; see `load`.
        """
        return [entry.id for entry in BatchStore.of(journal).entries() if entry.is_ready]

    # --- how far it is ---

    def status(self) -> BatchStatus:
        """Ask how far it is. What has ended is not asked about again.

        Raises:
            TammaError: The API refused, or could not be reached.
        """
        return drive(polling(self._known), self._door)

    async def astatus(self) -> BatchStatus:
        """Ask how far it is; see `status`."""
        return await adrive(polling(self._known), self._door)

    def wait(
        self,
        timeout_s: float | None = None,
        *,
        poll_interval_s: float = _POLL_S,
        on_progress: OnProgress | None = None,
    ) -> BatchStatus:
        """Wait until it has ended.

        Args:
            timeout_s: Longest wait in seconds; None for no limit.
            poll_interval_s: Seconds between the first two looks; the pauses grow to a minute, and
                the API may ask for longer ones.
            on_progress: Called with each `BatchStatus`, to show progress.

        Returns:
            How it ended.

        Raises:
            RequestTimeoutError: It has not ended by then. The job goes on.
            TammaError: The API refused, or could not be reached for long.
        """
        return drive(self._waiting(timeout_s, poll_interval_s, on_progress), self._door)

    async def await_(
        self,
        timeout_s: float | None = None,
        *,
        poll_interval_s: float = _POLL_S,
        on_progress: OnProgress | None = None,
    ) -> BatchStatus:
        """Wait until it has ended; see `wait`."""
        return await adrive(self._waiting(timeout_s, poll_interval_s, on_progress), self._door)

    def cancel(self) -> BatchStatus:
        """Have the API stop. What is answered by then can be fetched, and is billed.

        Raises:
            TammaError: The API refused, or could not be reached.
        """
        return drive(cancelling(self._known), self._door)

    async def acancel(self) -> BatchStatus:
        """Have the API stop; see `cancel`."""
        return await adrive(cancelling(self._known), self._door)

    # --- what it came to ---

    def results(
        self,
        config: RunnableConfig | None = None,
        *,
        return_exceptions: bool = False,
        timeout_s: float | None = None,
        poll_interval_s: float = _POLL_S,
    ) -> list[Any]:
        """Give the results in the order of the inputs, waiting for the end of the job if need be.

        Answers are the messages that `invoke` gives, with what they cost at the batch's price; with
        structured output, or as a part of a chain, they are what that makes of them. They are told
        to callbacks, ledger and traces once, with the times of the batch, and charged to budgets.

        Args:
            config: Callbacks to tell, and labels of the run around the answers.
            return_exceptions: Give the error of an input in place of its result; otherwise the
                first one is raised, and `outcomes` has them all.
            timeout_s: Longest wait in seconds; None for no limit.
            poll_interval_s: Seconds between the first two looks.

        Raises:
            RequestTimeoutError: The job has not ended by then. It goes on.
            TammaError: An input failed (`BatchExpiredError`, `BatchCancelledError`,
                `BatchAnswerMissingError`, or what `invoke` raises), or the API did.
        """
        found = self.outcomes(config, timeout_s=timeout_s, poll_interval_s=poll_interval_s)
        return _values(found, return_exceptions=return_exceptions)

    async def aresults(
        self,
        config: RunnableConfig | None = None,
        *,
        return_exceptions: bool = False,
        timeout_s: float | None = None,
        poll_interval_s: float = _POLL_S,
    ) -> list[Any]:
        """Give the results in the order of the inputs; see `results`."""
        found = await self.aoutcomes(config, timeout_s=timeout_s, poll_interval_s=poll_interval_s)
        return _values(found, return_exceptions=return_exceptions)

    def outcomes(
        self,
        config: RunnableConfig | None = None,
        *,
        timeout_s: float | None = None,
        poll_interval_s: float = _POLL_S,
    ) -> list[BatchResult]:
        """Give what became of each input, in their order: result, message, error and cost.

        Args:
            config: Callbacks to tell, and labels of the run around the answers.
            timeout_s: Longest wait in seconds; None for no limit.
            poll_interval_s: Seconds between the first two looks.

        Raises:
            RequestTimeoutError: The job has not ended by then. It goes on.
            TammaError: The API refused, or could not be reached.
        """
        return drive(self._outcomes(config, timeout_s, poll_interval_s), self._door)

    async def aoutcomes(
        self,
        config: RunnableConfig | None = None,
        *,
        timeout_s: float | None = None,
        poll_interval_s: float = _POLL_S,
    ) -> list[BatchResult]:
        """Give what became of each input; see `outcomes`."""
        return await adrive(self._outcomes(config, timeout_s, poll_interval_s), self._door)

    # --- how ---

    @property
    def _door(self) -> Door:
        return Door(self._model)

    def _waiting(
        self, timeout_s: float | None, interval_s: float, on_progress: OnProgress | None
    ) -> Flow[BatchStatus]:
        check_seconds(interval_s, "poll_interval_s")
        if timeout_s is not None:
            check_seconds(timeout_s, "timeout_s")
        return waiting(self._known, timeout_s, interval_s, on_progress)

    def _outcomes(
        self, config: RunnableConfig | None, timeout_s: float | None, interval_s: float
    ) -> Flow[list[BatchResult]]:
        while not self._turn.acquire(blocking=False):
            yield Pause(_LOOK_AGAIN_S)
        try:
            if self._results is None:
                if not self._known.is_ended:
                    yield from self._waiting(timeout_s, interval_s, None)
                self._results = yield from self._fetching(config)
        finally:
            self._turn.release()
        return list(self._results)

    def _fetching(self, config: RunnableConfig | None) -> Flow[list[BatchResult]]:
        after = restore(self._entry.parser) if self._target is None else self._target.after
        entry = (yield Work(partial(self._store.find, self.id))) or self._entry
        self._entry.is_accounted = entry.is_accounted
        options = {} if self._wanted is None else self._wanted.options
        audience = Audience(self._entry, self._model, options, config, self._inputs.lines)
        fetched = yield from fetching(
            self._entry, self._known.parts, self._inputs, with_messages=audience.wants_messages
        )
        teller = Teller(
            self._entry, self._model, audience, after, keeps_responses=self.keeps_responses
        )
        yield Work(lambda: fetched.tell_all(teller, self._known.status()))
        yield Work(lambda: self._account(teller))
        return [result for _position, result in sorted(teller.results.items())]

    def _account(self, teller: Teller) -> None:
        """Note that everybody has heard, once the ledger has it on its disk."""
        flush = getattr(self._model.usage_tracker, "flush", None)
        if flush is not None:
            flush()
        settle(self._entry, self._model, teller.results)
        if not self._entry.is_accounted:
            self._entry.is_accounted = True
            self._store.save(self._entry)


def submit_batch(
    runnable: Any,
    inputs: Iterable[Any],
    config: Configs = None,
    *,
    job_id: str | None = None,
    journal: Store = None,
    stop: list[str] | None = None,
    **kwargs: Any,
) -> BatchJob:
    """Submit inputs to the Batch API: half the price, answered within a day.

    Args:
        runnable: A `ChatTammaOpenAI`, also bound, with structured output, or in a chain: what comes
            before the model runs now, what comes after it runs on the answers.
        inputs: What `runnable.invoke` takes, any number; more than fit into one batch make several.
        config: One for all, or a list with one for each: metadata such as `user_id`, tags,
            callbacks.
        job_id: A name of your own. Under it the same inputs are submitted once, whatever is killed
            and run again meanwhile.
        journal: Where the job is written down: a directory or a `BatchStore`; see `BatchJob.load`.
        stop: Where to stop generating.
        **kwargs: Parameters of every call, as for `invoke`.

    Returns:
        The job. The API has it, and its id finds it again from any process.

    Raises:
        InvalidParameterError: An input cannot be sent; the job id stands for other inputs; or there
            is no model in the runnable. A note names the input.
        BudgetExceededError: A budget has not enough left for all of them; nothing was sent.
        StorageError: The job cannot be written down; nothing was sent.
        TammaError: The API refused or could not be reached. Nothing is left of the job then, unless
            a note on the error says that it may have been submitted.
    """
    wanted = Wanted(find_target(runnable, _one(config)), inputs, config, stop, kwargs)
    return submit_wanted(wanted, job_id, BatchStore.of(journal))


async def asubmit_batch(
    runnable: Any,
    inputs: Iterable[Any],
    config: Configs = None,
    *,
    job_id: str | None = None,
    journal: Store = None,
    stop: list[str] | None = None,
    **kwargs: Any,
) -> BatchJob:
    """Submit inputs to the Batch API; see `submit_batch`."""
    wanted = Wanted(find_target(runnable, _one(config)), inputs, config, stop, kwargs)
    place = BatchStore.of(journal)
    model = wanted.target.model
    entry, draft = await adrive(submitting(wanted, job_id, place), Door(model))
    inputs_of = Inputs(entry, draft.lines)
    return BatchJob(entry, place, model, wanted.target, wanted, inputs_of)


def submit_wanted(wanted: Wanted, job_id: str | None, store: BatchStore) -> BatchJob:
    """Submit what was asked for.

    Args:
        wanted: What to ask.
        job_id: The caller's own name for it; None for a new one.
        store: Where it is written down.
    """
    model = wanted.target.model
    entry, draft = drive(submitting(wanted, job_id, store), Door(model))
    inputs = Inputs(entry, draft.lines)
    return BatchJob(entry, store, model, wanted.target, wanted, inputs)


def _one(config: Configs) -> RunnableConfig | None:
    return config if isinstance(config, dict) else None


def _values(found: list[BatchResult], *, return_exceptions: bool) -> list[Any]:
    failed = [result for result in found if result.error is not None]
    if failed and not return_exceptions:
        error = failed[0].error
        assert error is not None  # noqa: S101 - as chosen
        text = f"{len(failed)} of {len(found)} inputs failed, this is input {failed[0].index}; "
        note = text + "results(return_exceptions=True) and outcomes() give the others"
        if note not in getattr(error, "__notes__", ()):
            error.add_note(note)
        raise error
    return [result.output if result.error is None else result.error for result in found]


# --- loading ---


def _from_store(job_id: str, store: BatchStore) -> Entry | None:
    """Find a job in the journal, by its own id or by that of one of its batches."""
    from langchain_tamma_openai.errors import InvalidParameterError

    try:
        return store.find(job_id) or store.find_batch(job_id)
    except InvalidParameterError:
        return store.find_batch(job_id)


def _reader(runnable: Any, entry: Entry | None) -> tuple[Target | None, ChatTammaOpenAI]:
    """Find who reads the answers: what the caller gave, or a model like the one that was asked."""
    if runnable is not None:
        target = find_target(runnable)
        return target, target.model
    from langchain_tamma_openai.chat_models.base import ChatTammaOpenAI

    if entry is None:
        return None, ChatTammaOpenAI()
    return None, ChatTammaOpenAI(model=entry.model, base_url=entry.base_url)


def _loading(
    job_id: str, entry: Entry | None, store: BatchStore, model: ChatTammaOpenAI
) -> Flow[Entry]:
    if entry is None:
        entry = yield from entry_of(job_id)
        if entry is None:
            _refuse_unknown(job_id, store)
        # Known here under its own name all the same?
        entry = (yield Work(partial(_from_store, entry.id, store))) or entry
    if not entry.is_ready:
        _refuse_unready(entry)
    if not entry.is_submitted:
        entry = yield from resuming(entry, store, model)
    yield Work(partial(store.drop_spools, entry))
    return entry


def _refuse_unknown(job_id: str, store: BatchStore) -> NoReturn:
    from langchain_tamma_openai.errors import NotFoundError

    raise NotFoundError(
        f"There is no job or batch {job_id!r}, neither in {store.path} nor at the API. Check "
        "the id, the account of the API key, and the store"
    )


def _refuse_unready(entry: Entry) -> NoReturn:
    from langchain_tamma_openai.errors import InvalidParameterError

    raise InvalidParameterError(
        f"job_id: the submission of {entry.id!r} was interrupted before its inputs were written "
        "down, and nothing was sent; submit them again",
        param="job_id",
    )
