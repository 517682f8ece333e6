"""Submits a job so that a kill at any moment neither loses it nor submits it twice.

Each step is written down before the next begins. What was under way when a process died is looked
up at the API, where every batch carries the name of its job.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, NoReturn

from langchain_tamma_openai.batches.journal import (
    Entry,
    Part,
    PartStep,
    check_job_id,
    new_job_id,
)
from langchain_tamma_openai.batches.looking import delete_file, find_batch, find_file, read
from langchain_tamma_openai.batches.preparing import Draft, Wanted, budgets_of, prepare
from langchain_tamma_openai.batches.steps import Ask, Flow, Pause, Upload, Work
from langchain_tamma_openai.batches.store import BatchStore, JobLock
from langchain_tamma_openai.errors import InvalidParameterError, StorageError, TammaError
from langchain_tamma_openai.pricing_cost import add_usd
from langchain_tamma_openai.resilience.retry import Retries
from langchain_tamma_openai.usage.budget import reserve_all
from langchain_tamma_openai.usage.budget_tickets import settle_tickets, tickets_of

if TYPE_CHECKING:
    from langchain_tamma_openai.batches.answers import BatchResult
    from langchain_tamma_openai.batches.journal import Json
    from langchain_tamma_openai.chat_models.base import ChatTammaOpenAI

logger = logging.getLogger(__name__)

_LOOK_AT_LOCK_S = 0.1
_KEPT_RESERVED_S = 48 * 3600.0
"""A batch lives for a day; another one is left to fetch what it cost."""
_SERVER_FAILED = 500
_UNCLEAR = (408, 409, 425)
_WAY_BACK = (
    "The job is kept as {id!r}: BatchJob.load({id!r}) or submitting it again finds out what became "
    "of it, and goes on."
)


def submitting(wanted: Wanted, job_id: str | None, store: BatchStore) -> Flow[tuple[Entry, Draft]]:
    """Submit inputs as a job.

    Args:
        wanted: What to ask.
        job_id: The caller's own name for it, under which it is submitted once; None for a new one.
        store: Where journals are kept.

    Returns:
        The job, and its inputs as they were made ready.

    Raises:
        InvalidParameterError: The job id stands for other inputs, or an input cannot be sent.
        BudgetExceededError: A budget has not enough left; nothing was sent.
        TammaError: The API refused or could not be reached. Nothing is left of the job then, unless
            a note on the error says that it may have been submitted.
    """
    ident = new_job_id() if job_id is None else check_job_id(job_id)
    draft: Draft = yield Work(partial(prepare, wanted, ident, store))
    lock = store.lock(ident)
    try:
        entry, lock = yield from _entered(draft, lock, store, is_named=job_id is not None)
        if not entry.is_submitted:
            yield from completing(entry, store, wanted.target.model)
    finally:
        lock.give_back()
        draft.discard()
    return entry, draft


def resuming(entry: Entry, store: BatchStore, model: ChatTammaOpenAI) -> Flow[Entry]:
    """Go on with the submission of a job whose process died.

    Args:
        entry: The job.
        store: Where its journal is.
        model: Whose account it is for.

    Raises:
        InvalidParameterError: Its inputs were never written down whole.
        TammaError: The API refused or could not be reached.
    """
    lock = store.lock(entry.id)
    yield from _taken(lock)
    try:
        entry = (yield Work(partial(store.find, entry.id))) or entry
        if not entry.is_submitted:
            yield from completing(entry, store, model)
    finally:
        lock.give_back()
    return entry


def _entered(
    draft: Draft, lock: JobLock, store: BatchStore, *, is_named: bool
) -> Flow[tuple[Entry, JobLock]]:
    """Find the job that this is, or write it down as a new one; its lock is held afterwards."""
    if not is_named and (adopted := (yield Work(partial(_orphan, draft, store)))) is not None:
        found, held = adopted
        logger.warning("Going on with the job %s, whose submission was interrupted.", found.id)
        return found, held
    yield from _taken(lock)
    known: Entry | None = yield Work(partial(store.find, draft.entry.id))
    if known is None or not known.is_ready:
        yield Work(partial(draft.keep, store))
        return draft.entry, lock
    if known.fingerprint != draft.entry.fingerprint:
        lock.give_back()
        _refuse_other(known)
    return known, lock


def _orphan(draft: Draft, store: BatchStore) -> tuple[Entry, JobLock] | None:
    """Find a job of the same inputs whose process died while it was submitting it."""
    for entry in store.unsubmitted():
        same = (entry.fingerprint, entry.base_url) == (
            draft.entry.fingerprint,
            draft.entry.base_url,
        )
        if same and (lock := store.lock(entry.id)).take():
            found = store.find(entry.id)
            if found is not None and not found.is_submitted:
                return found, lock
            lock.give_back()
    return None


def _taken(lock: JobLock) -> Flow[None]:
    while not (yield Work(lock.take)):
        yield Pause(_LOOK_AT_LOCK_S)


def completing(entry: Entry, store: BatchStore, model: ChatTammaOpenAI) -> Flow[None]:
    """Do what is missing of a submission; the job's lock has to be held.

    Args:
        entry: The job; it is brought up to date.
        store: Where its journal is.
        model: Whose account it is for.
    """
    try:
        yield Work(partial(_reserve, entry, store, model))
        for part in entry.parts:
            if part.step is not PartStep.CREATED:
                yield from _create(entry, part, store, model)
    except Exception as error:
        if any(part.step in {PartStep.CREATING, PartStep.CREATED} for part in entry.parts):
            error.add_note(_WAY_BACK.format(id=entry.id))
        else:
            yield from _abandon(entry, store, model)
        raise
    entry.is_submitted = True
    yield Work(partial(_save_last, entry, store))


def _save_last(entry: Entry, store: BatchStore) -> None:
    store.save(entry)
    store.drop_spools(entry)


def _abandon(entry: Entry, store: BatchStore, model: ChatTammaOpenAI) -> Flow[None]:
    """Leave nothing of a job that the API does not have."""
    for part in entry.parts:
        yield from delete_file(part.file_id)
    yield Work(partial(_release, entry, model))
    yield Work(partial(store.delete, entry))


def _create(entry: Entry, part: Part, store: BatchStore, model: ChatTammaOpenAI) -> Flow[None]:
    """Bring one file to the API, and have a batch made of it."""
    if part.step is PartStep.CREATING:
        if (found := (yield from find_batch(entry, part))) is not None:
            yield from _created(entry, part, store, found)
            return
        part.step = PartStep.UPLOADED
    if part.step is not PartStep.UPLOADED:
        yield from _upload(entry, part, store)
    yield from _note(entry, part, store, PartStep.CREATING)
    retries = Retries(model._retry_policy)
    while True:
        retries.attempts += 1
        try:
            batch = read((yield _creation(entry, part)))
            break
        except Exception as error:
            found = yield from _found_after(error, entry, part)
            if found is not None:
                batch = found
                break
            if not retries.repeats(error):
                if not _is_unclear(error):
                    part.step = PartStep.UPLOADED
                raise
        yield Pause(retries.delay_s)
    yield from _created(entry, part, store, batch)


def _creation(entry: Entry, part: Part) -> Ask:
    body = {
        "input_file_id": part.file_id,
        "endpoint": part.endpoint,
        "completion_window": "24h",
        "metadata": entry.batch_metadata(part),
    }
    return Ask("post", "/batches", body, repeated=False)


def _found_after(error: Exception, entry: Entry, part: Part) -> Flow[Json | None]:
    """Look whether a request that seems to have failed was carried out all the same.

    Raises:
        Exception: The same error, when the API cannot be asked either: then it is not repeated.
    """
    if not _is_unclear(error):
        return None
    try:
        return (yield from find_batch(entry, part))
    except TammaError as other:
        raise error from other


def _is_unclear(error: Exception) -> bool:
    """Whether a batch may have been made in spite of an error."""
    status = getattr(error, "status_code", None)
    if not isinstance(status, int):
        return True
    return status >= _SERVER_FAILED or status in _UNCLEAR


def _created(entry: Entry, part: Part, store: BatchStore, batch: Json) -> Flow[None]:
    """Note the batch that was made of a file."""
    ident = batch.get("id")
    if not isinstance(ident, str) or not ident:
        from langchain_tamma_openai.errors import MalformedResponseError

        raise MalformedResponseError(f"The server made a batch without an id: {sorted(batch)}")
    used = batch.get("input_file_id")
    if part.file_id is not None and isinstance(used, str) and used != part.file_id:
        yield from delete_file(part.file_id)
    part.file_id = used if isinstance(used, str) else part.file_id
    part.batch_id = ident
    yield from _note(entry, part, store, PartStep.CREATED)


def _upload(entry: Entry, part: Part, store: BatchStore) -> Flow[None]:
    path = store.spool(entry, part)
    if part.step is PartStep.UPLOADING:
        part.file_id = yield from find_file(entry, part)
    if part.file_id is None:
        if not path.exists():
            raise StorageError(
                f"The requests of job {entry.id!r} are gone from {path}; submit it again under "
                "another job_id"
            )
        yield from _note(entry, part, store, PartStep.UPLOADING)
        file = read((yield Ask("post", "/files", upload=Upload(path, entry.file_name(part)))))
        part.file_id = str(file.get("id"))
    yield from _note(entry, part, store, PartStep.UPLOADED)


def _note(entry: Entry, part: Part, store: BatchStore, step: PartStep) -> Flow[None]:
    part.step = step
    yield Work(partial(store.save, entry))


# --- budgets ---


def _reserve(entry: Entry, store: BatchStore, model: ChatTammaOpenAI) -> None:
    """Set aside the most that the requests can cost, and write the tickets down."""
    budgets = budgets_of(model)
    if not budgets or all(group["tickets"] is not None for group in entry.groups):
        return
    with _all_or_nothing(entry, model):
        for group in entry.groups:
            if group["tickets"] is None:
                usd = None if group["usd"] is None else Decimal(group["usd"])
                reservation = reserve_all(budgets, usd, group["tokens"], group["labels"])
                group["tickets"] = tickets_of(reservation, time.time() + _KEPT_RESERVED_S)
        store.save(entry)


@contextmanager
def _all_or_nothing(entry: Entry, model: ChatTammaOpenAI) -> Iterator[None]:
    try:
        yield
    except BaseException:
        _release(entry, model)
        raise


def _release(entry: Entry, model: ChatTammaOpenAI) -> None:
    for group in entry.groups:
        settle_tickets(budgets_of(model), group["tickets"] or (), None, None, sent=False)
        group["tickets"] = None


def settle(entry: Entry, model: ChatTammaOpenAI, results: Mapping[int, BatchResult]) -> None:
    """Charge what a job cost in place of what was set aside for it.

    Args:
        entry: The job.
        model: Whose budgets they are.
        results: What became of each input, by its place.
    """
    for group in entry.groups:
        found = [results[position] for position in group["positions"]]
        used = [result.tokens for result in found]
        settle_tickets(
            budgets_of(model),
            group["tickets"] or (),
            _sum([result.cost_usd for result in found]),
            None if None in used else sum(each.total_tokens for each in used if each is not None),
        )


def _sum(amounts: Sequence[Decimal | None]) -> Decimal | None:
    total: Decimal | None = Decimal(0)
    for amount in amounts:
        total = add_usd(total, amount)
    return total


def _refuse_other(known: Entry) -> NoReturn:
    raise InvalidParameterError(
        f"job_id: {known.id!r} stands for other inputs ({known.requests} requests to {known.model})"
        "; load it with BatchJob.load, or choose another id",
        param="job_id",
    )
