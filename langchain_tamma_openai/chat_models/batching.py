"""The Batch API as methods of the model."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from langchain_tamma_openai.chat_models.mixin import Mixin

if TYPE_CHECKING:
    from langchain_core.runnables import RunnableConfig

    from langchain_tamma_openai.batch.job import BatchJob


class BatchingMixin(Mixin):
    """`submit_batch` and its async twin; bindings of a model have them, too."""

    def submit_batch(
        self,
        inputs: Iterable[Any],
        config: RunnableConfig | Sequence[RunnableConfig] | None = None,
        *,
        stop: list[str] | None = None,
        job_id: str | None = None,
        journal: str | os.PathLike[str] | None = None,
        **kwargs: Any,
    ) -> BatchJob:
        """Send requests to the Batch API: at half the price, answered within a day.

        For a model with something bound to it, or with a parser behind it, use the function
        `submit_batch(runnable, inputs)`, which takes the same arguments.

        Args:
            inputs: What `invoke` takes, one for each request.
            config: Configuration for all, or one for each; its metadata and tags go to the ledger.
            stop: Where to stop generating.
            job_id: A name of your own: submitting the same requests under the same name again
                gives the job that is there.
            journal: A directory for the notes, in place of the usual one.
            **kwargs: Parameters of all requests.

        Raises:
            InvalidParameterError: There are no inputs, or a request cannot be made.
            BudgetExceededError: The model's budget does not hold what the batch may cost.
            TammaError: The provider refuses, or cannot be reached; `BatchJob.load` goes on with it.
        """
        from langchain_tamma_openai.batch.submitting import submit_batch

        return submit_batch(
            self, inputs, config, stop=stop, job_id=job_id, journal=journal, **kwargs
        )

    async def asubmit_batch(
        self,
        inputs: Iterable[Any],
        config: RunnableConfig | Sequence[RunnableConfig] | None = None,
        *,
        stop: list[str] | None = None,
        job_id: str | None = None,
        journal: str | os.PathLike[str] | None = None,
        **kwargs: Any,
    ) -> BatchJob:
        """Send requests to the Batch API; see `submit_batch`."""
        from langchain_tamma_openai.batch.submitting import asubmit_batch

        return await asubmit_batch(
            self, inputs, config, stop=stop, job_id=job_id, journal=journal, **kwargs
        )
