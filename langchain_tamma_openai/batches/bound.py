"""Bound models and models with structured output that can be submitted as a batch themselves."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from langchain_core.language_models.chat_models import _ChatModelBinding
from langchain_core.runnables import RunnableSequence

if TYPE_CHECKING:
    from langchain_tamma_openai.batches.job import BatchJob, Store
    from langchain_tamma_openai.batches.preparing import Configs


class _Submitting:
    """Adds `submit_batch` to something that has a model in it."""

    def submit_batch(
        self,
        inputs: Iterable[Any],
        config: Configs = None,
        *,
        job_id: str | None = None,
        journal: Store = None,
        stop: list[str] | None = None,
        **kwargs: Any,
    ) -> BatchJob:
        """Submit inputs to the Batch API; see `submit_batch`."""
        from langchain_tamma_openai.batches.job import submit_batch

        return submit_batch(
            self, inputs, config, job_id=job_id, journal=journal, stop=stop, **kwargs
        )

    async def asubmit_batch(
        self,
        inputs: Iterable[Any],
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


class BoundModel(_Submitting, _ChatModelBinding):  # type: ignore[no-redef]  # its field `kwargs`, in pydantic's plugin
    """A model with parameters or a configuration bound to it.

    LangChain's own class would hand `submit_batch` on to the model, without what is bound.
    """


class ModelWithParser(_Submitting, RunnableSequence[Any, Any]):
    """A model with a parser behind it."""

    @classmethod
    def lc_id(cls) -> list[str]:
        """Serialise as LangChain's own class."""
        return RunnableSequence.lc_id()
