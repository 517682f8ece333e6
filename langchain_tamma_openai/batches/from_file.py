"""Lines of a file as the inputs of a job, each with parameters and an API of its own."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from langchain_core.messages import BaseMessage
from langchain_core.runnables import RunnableConfig

from langchain_tamma_openai.batch_run import asking
from langchain_tamma_openai.batch_run.lines import BatchLine
from langchain_tamma_openai.batches.job import BatchJob, submit_wanted
from langchain_tamma_openai.batches.preparing import Wanted
from langchain_tamma_openai.batches.store import BatchStore
from langchain_tamma_openai.batches.targets import Target

if TYPE_CHECKING:
    from langchain_tamma_openai.chat_models.base import ChatTammaOpenAI
    from langchain_tamma_openai.chat_models.calls import Call
    from langchain_tamma_openai.chat_models.preparing import Prepared

_TAG = "batch"


class WantedLines(Wanted):
    """Lines that are to be asked."""

    __slots__ = ("_asker",)

    _asker: asking.Asker

    def __init__(
        self, llm: ChatTammaOpenAI, lines: list[BatchLine], api: asking.Api | None
    ) -> None:
        """Want them.

        Args:
            llm: Is asked.
            lines: The lines.
            api: The API for lines that do not name one; None lets the model choose.
        """
        configs: list[RunnableConfig] = [
            {"metadata": dict(line.metadata), "tags": [_TAG]} for line in lines
        ]
        super().__init__(Target(llm), lines, configs)
        object.__setattr__(self, "_asker", asking.Asker(llm, api))

    def made(
        self, given: BatchLine, config: RunnableConfig
    ) -> tuple[Call, Prepared, list[BaseMessage]]:
        """Make the call that asking the line at once would make."""
        del config
        model = self._asker._models[given.form]
        exchange = asking.LineExchange(asking.content_of(given), asking._never)
        messages = asking._messages(given)
        options = {**asking._parameters(given), "stream": False}
        stop = options.pop("stop", None)
        with asking._belonging_to(exchange):
            prepared = model._prepare(messages, options)
            call = model._call(prepared.messages, stop, dict(prepared.options))
        return call, prepared, messages

    def origin(self, given: BatchLine) -> list[Any]:
        """Give the number of the line, and its own name for itself."""
        return [given.line, given.custom_id]


def submit_lines(
    llm: ChatTammaOpenAI,
    lines: Iterable[BatchLine],
    *,
    api: asking.Api | None = None,
    job_id: str | None = None,
    journal: BatchStore | None = None,
) -> BatchJob:
    """Submit lines of a file to the Batch API; see `submit_batch`.

    Args:
        llm: Is asked.
        lines: The lines.
        api: The API for lines that do not name one; None lets the model choose.
        job_id: The caller's own name for the job; None for a new one.
        journal: Where it is written down.
    """
    wanted = WantedLines(llm, list(lines), api)
    return submit_wanted(wanted, job_id, BatchStore.of(journal))
