"""`submit_batch`: from inputs to a job that is with the provider."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal

from langchain_tamma_openai.batch import plan as planning
from langchain_tamma_openai.batch import steps
from langchain_tamma_openai.batch.driving import adrive, drive
from langchain_tamma_openai.batch.job import BatchJob, new_job
from langchain_tamma_openai.batch.journal import Journal

if TYPE_CHECKING:
    from langchain_core.runnables import RunnableConfig

    from langchain_tamma_openai.batch.plan import Line, Pipeline
    from langchain_tamma_openai.usage.budget import BudgetReservation


def submit_batch(
    runnable: object,
    inputs: Iterable[Any],
    config: RunnableConfig | Sequence[RunnableConfig] | None = None,
    *,
    stop: list[str] | None = None,
    job_id: str | None = None,
    journal: str | os.PathLike[str] | None = None,
    **kwargs: Any,
) -> BatchJob:
    """Send requests to the Batch API: at half the price, answered within a day.

    Each request is what `invoke` would send. What is done is noted on the disk before it is done: a
    program that is killed finds the job again with `BatchJob.load`, and nothing is submitted twice.

    Args:
        runnable: A `ChatTammaOpenAI`, a binding of one (`bind_tools`, `with_structured_output`), or
            a sequence with exactly one in it.
        inputs: What `invoke` takes, one for each request.
        config: Configuration for all, or one for each; its metadata and tags go to the ledger.
        stop: Where to stop generating.
        job_id: A name of your own: submitting the same requests under the same name again gives
            the job that is there.
        journal: A directory for the notes, in place of the usual one.
        **kwargs: Parameters of all requests.

    Raises:
        InvalidParameterError: There are no inputs, or a request cannot be made; it names which.
        BudgetExceededError: The model's budget does not hold what the batch may cost.
        TammaError: The provider refuses, or cannot be reached; the job is noted, and
            `BatchJob.load` goes on with it.
    """
    plan = planning.pipeline(runnable)
    made = list(planning.lines(plan, inputs, config, stop, kwargs))
    notes = Journal(journal)
    with _budgeted(plan, made) as reservations:
        job, is_new = new_job(made, job_id, notes)
        if not is_new:
            _release(reservations)
        drive(steps.submit(job, notes), plan.model)
        _settle(reservations)
    return BatchJob(job, plan, notes)


async def asubmit_batch(
    runnable: object,
    inputs: Iterable[Any],
    config: RunnableConfig | Sequence[RunnableConfig] | None = None,
    *,
    stop: list[str] | None = None,
    job_id: str | None = None,
    journal: str | os.PathLike[str] | None = None,
    **kwargs: Any,
) -> BatchJob:
    """Send requests to the Batch API; see `submit_batch`."""
    import asyncio

    plan = planning.pipeline(runnable)
    notes = Journal(journal)
    made = await asyncio.to_thread(lambda: list(planning.lines(plan, inputs, config, stop, kwargs)))
    budgeted = await asyncio.to_thread(_budgeted, plan, made)
    with budgeted as reservations:
        job, is_new = await asyncio.to_thread(new_job, made, job_id, notes)
        if not is_new:
            await asyncio.to_thread(_release, reservations)
        await adrive(steps.submit(job, notes), plan.model)
        await asyncio.to_thread(_settle, reservations)
    return BatchJob(job, plan, notes)


_Reserved = list[tuple["BudgetReservation", Decimal | None, int | None]]


class _Held(ExitStack):
    """Reservations that are given back unless they are settled."""

    def __init__(self) -> None:
        super().__init__()
        self.reserved: _Reserved = []

    def __enter__(self) -> _Reserved:  # type: ignore[override]  # what is held, and not the stack
        return self.reserved

    def __exit__(self, *_exc: object) -> Literal[False]:
        _release(self.reserved)
        return False


def _budgeted(plan: Pipeline, made: Sequence[Line]) -> _Held:
    """Reserve the most that the requests can cost, for each whom they are for.

    Raises:
        BudgetExceededError: There is not enough left; nothing stays reserved.
    """
    held = _Held()
    treasury = plan.model._treasury
    if treasury is None:
        return held
    from langchain_tamma_openai.resilience.governors import Need

    try:
        for labels, lines in _by_labels(made):
            usd, tokens = _bounds(plan, lines)
            need = Need(
                model=lines[0].model, upper_usd=usd, upper_tokens=tokens, labels=labels, left_s=0
            )
            held.reserved.append((treasury.reserve(need), usd, tokens))
    except BaseException:
        _release(held.reserved)
        raise
    return held


def _by_labels(made: Sequence[Line]) -> list[tuple[dict[str, object], list[Line]]]:
    groups: dict[str, tuple[dict[str, object], list[Line]]] = {}
    for line in made:
        metadata: Mapping[str, Any] = line.labels.get("metadata") or {}
        labels: dict[str, object] = {**metadata, "tags": list(line.labels.get("tags") or ())}
        if labels.get("user_id") is None and (user := line.body.get("user")):
            labels["user_id"] = user
        labels["model"] = line.model
        groups.setdefault(repr(sorted(labels.items(), key=str)), (labels, []))[1].append(line)
    return list(groups.values())


def _bounds(plan: Pipeline, lines: Sequence[Line]) -> tuple[Decimal | None, int | None]:
    from langchain_tamma_openai.chat_models.observing import calculator

    prices = calculator(plan.model.price_overrides)
    bounds = [prices.upper_bound(line.body, line.model, batch=True) for line in lines]
    usd = [bound.usd for bound in bounds]
    tokens = [bound.tokens for bound in bounds]
    return (
        None if None in usd else sum((each for each in usd if each is not None), Decimal(0)),
        None if None in tokens else sum(each for each in tokens if each is not None),
    )


def _settle(reserved: _Reserved) -> None:
    """Count the most it can cost as spent: its answers come after any reservation has expired."""
    while reserved:
        reservation, usd, tokens = reserved.pop()
        reservation.settle(usd, tokens)


def _release(reserved: _Reserved) -> None:
    while reserved:
        reserved.pop()[0].release()
