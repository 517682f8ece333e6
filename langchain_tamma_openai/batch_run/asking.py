"""Asks the model one line of a batch, and tells what became of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal
from uuid import UUID, uuid4

from langchain_core.messages import BaseMessage, HumanMessage, convert_to_messages

from langchain_tamma_openai.batch_run.lines import BatchLine, Form
from langchain_tamma_openai.batch_run.results import BatchResult, answer_result, error_result
from langchain_tamma_openai.chat_models.exchange import EXCHANGE
from langchain_tamma_openai.usage.callbacks import UsageCallbackHandler

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    import httpx2
    from langchain_core.runnables import RunnableConfig

    from langchain_tamma_openai.chat_models.base import ChatTammaOpenAI
    from langchain_tamma_openai.usage.record import UsageRecord
    from langchain_tamma_openai.usage.runs import EndedRun

Api = Literal["responses", "chat"]

_USES_RESPONSES: Mapping[Form, bool] = {Form.CHAT_BODY: False, Form.RESPONSES_BODY: True}
_TAG = "batch"


class _Kept:
    """Keeps the record of each run until it is asked for."""

    accepts_usage_records: ClassVar[bool] = True

    def __init__(self) -> None:
        self._kept: dict[UUID, UsageRecord] = {}

    def record(self, record: UsageRecord, /) -> None:
        """Keep a record."""
        self._kept[record.run_id] = record

    def take(self, run_id: UUID) -> UsageRecord | None:
        """Give a record away."""
        return self._kept.pop(run_id, None)


class _Listener(UsageCallbackHandler):
    """Hears of the runs of lines; unlike others it logs none, since each has its result."""

    def __init__(self, kept: _Kept) -> None:
        super().__init__(kept)
        self._kept = kept

    def _run_ended(self, ended: EndedRun) -> None:
        self._kept.record(ended.record)


class LineExchange:
    """What happens to the request of one line.

    Attributes:
        content: Sent as it is; None where the model makes the request.
        is_sent: Whether a request went out, or is about to.
        is_noted: Whether that is noted.
        body: The server's last answer.
        failure: What kept it from being noted; then nothing is sent.
    """

    def __init__(
        self,
        content: Mapping[str, Any] | None,
        note_sent: Callable[[bool], Awaitable[None]],
    ) -> None:
        """Prepare for a line.

        Args:
            content: Sent as it is.
            note_sent: Notes durably that a request of the line is about to be sent; is told
                whether it is the first.
        """
        self.content = content
        self.is_sent = False
        self.body: Any = None
        self.failure: Exception | None = None
        self._note_sent = note_sent
        self.is_noted = False

    async def sending(self) -> None:
        """Note each request of the line, before it is sent."""
        self.is_sent = True
        try:
            await self._note_sent(not self.is_noted)
        except Exception as error:
            self.failure = error
            raise
        self.is_noted = True

    def received(self, response: httpx2.Response) -> None:
        """Keep the body of an answer."""
        try:
            self.body = json.loads(response.content)
        except ValueError:
            self.body = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a line.

    Attributes:
        result: For the output.
        error: What it failed with; None for an answer.
        never_arrived: Whether it failed because nobody took the connection, each time.
    """

    result: BatchResult
    error: Exception | None = None
    never_arrived: bool = False


class Asker:
    """Asks one model after another line."""

    def __init__(self, llm: ChatTammaOpenAI, api: Api | None) -> None:
        """Prepare the model for each form of line.

        Args:
            llm: The model.
            api: The API for lines that do not name one; None lets the model choose.
        """
        self._records = _Kept()
        self._handler = _Listener(self._records)
        chosen = llm.use_responses_api if api is None else api == "responses"
        plain = {"streaming": False, "use_responses_api": chosen}
        self._models = {Form.MESSAGES: llm.model_copy(update=plain)}
        for form, uses_responses in _USES_RESPONSES.items():
            self._models[form] = llm.model_copy(
                update={**_AS_IT_IS, "use_responses_api": uses_responses}
            )

    async def ask(self, line: BatchLine, exchange: LineExchange, asked_before: int = 0) -> Outcome:
        """Ask a line.

        Args:
            line: The line.
            exchange: Is told what happens to its request.
            asked_before: For the result.
        """
        llm, run_id = self._models[line.form], uuid4()
        config: RunnableConfig = {
            "callbacks": [self._handler],
            "run_id": run_id,
            "metadata": dict(line.metadata),
            "tags": [_TAG],
        }
        facts = {"line": line.line, "custom_id": line.custom_id, "asked_before": asked_before}
        try:
            with _belonging_to(exchange):
                answer = await llm.ainvoke(_messages(line), config, **_parameters(line))
        except Exception as error:  # noqa: BLE001 - whatever it is, it is the line's result
            record = self._records.take(run_id)
            model = line.model or llm.model_name
            result = error_result(error, record, exchange.body, model, **facts)
            return Outcome(result, error, never_arrived=_never_arrived(record))
        record = self._records.take(run_id)
        return Outcome(answer_result(answer, record, exchange.body, **facts))

    def payload(self, line: BatchLine) -> dict[str, Any]:
        """Make the request of a line without sending it.

        Args:
            line: The line.

        Raises:
            InvalidParameterError: It cannot be made.
        """
        llm = self._models[line.form]
        with _belonging_to(LineExchange(content_of(line), _never)):
            return llm._get_request_payload(_messages(line), **_parameters(line))  # noqa: SLF001 - LangChain's hook


async def _never(is_first: bool) -> None:  # noqa: FBT001 - as `LineExchange` wants it
    """Note nothing: nothing is sent."""


def _never_arrived(record: UsageRecord | None) -> bool:
    attempts = () if record is None else record.attempt_records
    return bool(attempts) and all(each.delivery == "never_sent" for each in attempts)


_AS_IT_IS: Mapping[str, Any] = {
    "streaming": False,
    "system_prompt": None,
    "prompt_variables": None,
    "history_policy": "off",
    "parameter_policy": "off",
    "tool_argument_policy": "off",
    "adaptive": None,
}


@contextmanager
def _belonging_to(exchange: LineExchange) -> Iterator[None]:
    token = EXCHANGE.set(exchange)
    try:
        yield
    finally:
        EXCHANGE.reset(token)


def content_of(line: BatchLine) -> Mapping[str, Any] | None:
    """Give the part of a body that is sent as it is; None where the model makes the request.

    Args:
        line: The line.
    """
    if line.form is Form.MESSAGES:
        return None
    return {"messages" if line.form is Form.CHAT_BODY else "input": line.content}


def _messages(line: BatchLine) -> list[BaseMessage]:
    """Give the messages to send, or those that stand for a body in traces."""
    if isinstance(line.content, str):
        return [HumanMessage(line.content)]
    if line.form is Form.MESSAGES:
        return convert_to_messages(line.content)
    return [HumanMessage(json.dumps(line.content, ensure_ascii=False))]


def _parameters(line: BatchLine) -> dict[str, Any]:
    """Give the parameters of a line; those of a body that the SDK does not know go as they are."""
    if line.form is Form.MESSAGES:
        return dict(line.parameters)
    from langchain_tamma_openai.chat_models import completions_call, responses_call

    module = completions_call if line.form is Form.CHAT_BODY else responses_call
    # LangChain has a `metadata` of its own in the place where parameters are passed.
    names = module.KNOWN_PARAMETERS - {"metadata"}
    known = {key: value for key, value in line.parameters.items() if key in names}
    others = {key: value for key, value in line.parameters.items() if key not in known}
    if others:
        known["extra_body"] = {**(known.get("extra_body") or {}), **others}
    return known
