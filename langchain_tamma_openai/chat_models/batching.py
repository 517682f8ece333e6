"""`submit_batch`: the Batch API, for the model and for what is bound to it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from langchain_tamma_openai.chat_models.mixin import Mixin

if TYPE_CHECKING:
    from langchain_core.language_models import LanguageModelInput
    from langchain_core.runnables import RunnableConfig

    from langchain_tamma_openai.batches.bound import BoundModel
    from langchain_tamma_openai.batches.job import BatchJob, Store
    from langchain_tamma_openai.batches.preparing import Configs


class Submitting:
    """Adds `submit_batch` to a model, and to what has one in it."""

    def submit_batch(
        self,
        inputs: Iterable[LanguageModelInput],
        config: Configs = None,
        *,
        job_id: str | None = None,
        journal: Store = None,
        stop: list[str] | None = None,
        **kwargs: Any,
    ) -> BatchJob:
        """Submit inputs to the Batch API: half the price, answered within a day.

        Args:
            inputs: Prompts, messages or strings, any number; more than fit into one batch of the
                API make several.
            config: One for all, or a list with one for each: metadata such as `user_id`, tags,
                callbacks.
            job_id: A name of your own. Under it the same inputs are submitted once, whatever is
                killed and run again meanwhile.
            journal: Where the job is written down: a directory or a `BatchStore`; see
                `BatchJob.load`.
            stop: Where to stop generating.
            **kwargs: Parameters of every call, as for `invoke`.

        Returns:
            The job. The API has it, and its id finds it again from any process.

        Raises:
            InvalidParameterError: An input cannot be sent, or the job id stands for other inputs.
            BudgetExceededError: A budget has not enough left for all of them; nothing was sent.
            StorageError: The job cannot be written down; nothing was sent.
            TammaError: The API refused or could not be reached. Nothing is left of the job then,
                unless a note on the error says that it may have been submitted.
        """
        from langchain_tamma_openai.batches.job import submit_batch

        return submit_batch(
            self, inputs, config, job_id=job_id, journal=journal, stop=stop, **kwargs
        )

    async def asubmit_batch(
        self,
        inputs: Iterable[LanguageModelInput],
        config: Configs = None,
        *,
        job_id: str | None = None,
        journal: Store = None,
        stop: list[str] | None = None,
        **kwargs: Any,
    ) -> BatchJob:
        """Submit inputs to the Batch API; see `submit_batch`."""
        from langchain_tamma_openai.batches.job import asubmit_batch

        return await asubmit_batch(
            self, inputs, config, job_id=job_id, journal=journal, stop=stop, **kwargs
        )


class BatchingMixin(Submitting, Mixin):
    """Submits batches; what is bound to the model can submit them too."""

    def bind(self, **kwargs: Any) -> BoundModel:
        """Bind parameters; see LangChain's `Runnable.bind`."""
        from langchain_tamma_openai.batches.bound import BoundModel

        return BoundModel(bound=self, kwargs=kwargs, config={})

    def with_config(self, config: RunnableConfig | None = None, **kwargs: Any) -> BoundModel:
        """Bind a configuration; see LangChain's `Runnable.with_config`."""
        from langchain_tamma_openai.batches.bound import BoundModel

        return BoundModel(bound=self, kwargs={}, config={**(config or {}), **kwargs})
