"""Bound models and models with structured output that can be submitted as a batch themselves."""

from __future__ import annotations

from typing import Any

from langchain_core.language_models.chat_models import _ChatModelBinding
from langchain_core.runnables import RunnableSequence

from langchain_tamma_openai.chat_models.batching import Submitting


class BoundModel(Submitting, _ChatModelBinding):  # type: ignore[no-redef]  # its field `kwargs`, in pydantic's plugin
    """A model with parameters or a configuration bound to it.

    LangChain's own class would hand `submit_batch` on to the model, without what is bound.
    """


class ModelWithParser(Submitting, RunnableSequence[Any, Any]):
    """A model with a parser behind it."""

    @classmethod
    def lc_id(cls) -> list[str]:
        """Serialise as LangChain's own class."""
        return RunnableSequence.lc_id()
