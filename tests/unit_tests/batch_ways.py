"""Both colours of a batch job, so that every test of behaviour runs through each."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Any, TypeAlias

from langchain_tamma_openai import (
    BatchJob,
    BatchResult,
    BatchStatus,
    asubmit_batch,
    no_waiting,
    submit_batch,
)

Run: TypeAlias = Callable[..., Any]


class Sync:
    """Plain calls."""

    def __init__(self, store: object) -> None:
        self.store: Any = store

    def submit(self, runnable: Any, inputs: Iterable[Any], *args: Any, **kwargs: Any) -> BatchJob:
        return submit_batch(runnable, inputs, *args, **{"journal": self.store, **kwargs})

    def load(self, job_id: str, runnable: Any = None, **kwargs: Any) -> BatchJob:
        return BatchJob.load(job_id, runnable, **{"journal": self.store, **kwargs})

    def status(self, job: BatchJob) -> BatchStatus:
        return job.status()

    def wait(self, job: BatchJob, *args: Any, **kwargs: Any) -> BatchStatus:
        with no_waiting():
            return job.wait(*args, **kwargs)

    def cancel(self, job: BatchJob) -> BatchStatus:
        return job.cancel()

    def results(self, job: BatchJob, *args: Any, **kwargs: Any) -> list[Any]:
        with no_waiting():
            return job.results(*args, **kwargs)

    def outcomes(self, job: BatchJob, *args: Any, **kwargs: Any) -> list[BatchResult]:
        with no_waiting():
            return job.outcomes(*args, **kwargs)


class Async(Sync):
    """Their twins, each in an event loop of its own."""

    def submit(self, runnable: Any, inputs: Iterable[Any], *args: Any, **kwargs: Any) -> BatchJob:
        return asyncio.run(
            asubmit_batch(runnable, inputs, *args, **{"journal": self.store, **kwargs})
        )

    def load(self, job_id: str, runnable: Any = None, **kwargs: Any) -> BatchJob:
        return asyncio.run(BatchJob.aload(job_id, runnable, **{"journal": self.store, **kwargs}))

    def status(self, job: BatchJob) -> BatchStatus:
        return asyncio.run(job.astatus())

    def wait(self, job: BatchJob, *args: Any, **kwargs: Any) -> BatchStatus:
        with no_waiting():
            return asyncio.run(job.await_(*args, **kwargs))

    def cancel(self, job: BatchJob) -> BatchStatus:
        return asyncio.run(job.acancel())

    def results(self, job: BatchJob, *args: Any, **kwargs: Any) -> list[Any]:
        with no_waiting():
            return asyncio.run(job.aresults(*args, **kwargs))

    def outcomes(self, job: BatchJob, *args: Any, **kwargs: Any) -> list[BatchResult]:
        with no_waiting():
            return asyncio.run(job.aoutcomes(*args, **kwargs))


WAYS: dict[str, type[Sync]] = {"sync": Sync, "async": Async}
