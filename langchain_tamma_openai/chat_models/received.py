"""What has arrived of an answer, whole or not, and what it must have used."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from langchain_core.messages import AIMessage, AIMessageChunk
from pydantic_core import from_json

from langchain_tamma_openai.wire.completions import AnswerFacts, text_or_none
from langchain_tamma_openai.wire.usage import TokenUsage

if TYPE_CHECKING:
    from langchain_core.outputs import ChatResult

    from langchain_tamma_openai.chat_models.calls import Call
    from langchain_tamma_openai.pricing_cost import Cost
    from langchain_tamma_openai.resilience.stream import StreamDecoder

_CONTENT_FILTER = "content_filter"


@dataclass(slots=True)
class Received:
    """What has arrived of one answer.

    Attributes:
        message: The answer of a plain call.
        answer_facts: What was read of its body.
        finish_reason: Why the model stopped, where the answer is not a stream.
        given_id: The server's id of the answer, where the message does not hold it.
        decoder: Decodes a stream; it holds the chunks and the facts so far.
        cost: What the whole answer cost, where that was worked out for the caller.
        body: Bytes of an answer that could not be read.
        counted: The last estimate, and how much had come then.
    """

    message: AIMessage | None = None
    answer_facts: AnswerFacts | None = None
    finish_reason: object = None
    given_id: object = None
    decoder: StreamDecoder | None = None
    cost: Cost | None = None
    body: bytes = b""
    counted: tuple[tuple[int, int], TokenUsage | None] | None = None

    def take(self, result: ChatResult, facts: AnswerFacts, cost: Cost) -> None:
        """Take a plain answer that was read.

        Args:
            result: The answer.
            facts: What was read beside it.
            cost: What it cost.
        """
        self.cost = cost
        first = result.generations[0]
        self.message = cast("AIMessage", first.message)
        self.finish_reason = (first.generation_info or {}).get("finish_reason")
        self.given_id = (result.llm_output or {}).get("id")
        self.answer_facts = facts
        self.body = b""

    @property
    def facts(self) -> AnswerFacts | None:
        """Usage, served model and tier, as far as the server has told."""
        if self.decoder is not None:
            return self.decoder.facts
        if self.answer_facts is None and self.body:
            self.answer_facts = _facts_of(self.body)
        return self.answer_facts

    @property
    def messages(self) -> list[AIMessage]:
        """The answer, or what came of it in pieces."""
        if self.decoder is not None:
            return [cast("AIMessage", chunk.message) for chunk in self.decoder.chunks]
        return [] if self.message is None else [self.message]

    @property
    def response_id(self) -> str | None:
        """The server's id of the answer."""
        if self.decoder is not None:
            return self.decoder.response_id
        if self.message is None:
            return None
        found = self.message.response_metadata.get("id") or self.given_id or self.message.id
        return found if isinstance(found, str) else None

    @property
    def is_refusal(self) -> bool:
        """Whether the model, or its content filter, declined to answer."""
        reason = self.finish_reason or getattr(self.decoder, "finish_reason", None)
        if reason == _CONTENT_FILTER:
            return True
        if self.decoder is None:
            return self.message is not None and _refuses(self.message)
        return any(_refusals(self.messages))

    def estimate(self, call: Call) -> TokenUsage | None:
        """Estimate what an answer has used of which the server gave no account.

        Args:
            call: What was sent.

        Returns:
            Input as sent and output as received; None when it cannot be told.
        """
        if self.counted is None or self.counted[0] != self._size:
            self.counted = self._size, self._estimate(call)
        return self.counted[1]

    @property
    def _size(self) -> tuple[int, int]:
        """Tell whether more has come."""
        withheld = getattr(self.decoder, "withheld", ())
        return len(self.body), len(self.messages) + len(withheld)

    def _estimate(self, call: Call) -> TokenUsage | None:
        from langchain_tamma_openai.tokens_estimate import estimate_usage

        messages = self.messages
        text = "".join(str(message.text) for message in messages)
        refusal = "".join([*_refusals(messages), *getattr(self.decoder, "withheld", ())])
        facts = self.facts
        return estimate_usage(
            call.payload,
            [text or self.body.decode(errors="replace"), refusal],
            _tool_texts(messages),
            "".join(_reasoning(messages)),
            model=call.model,
            served_model=None if facts is None else facts.model,
        )


def _facts_of(body: bytes) -> AnswerFacts | None:
    """Read the usage of an answer of which the rest makes no sense; it is billed all the same."""
    try:
        raw = from_json(body)
    except ValueError:
        return None
    usage = raw.get("usage") if isinstance(raw, dict) else None
    if not isinstance(usage, dict) or not usage:
        return None
    by_completions = "prompt_tokens" in usage
    tokens = (TokenUsage.from_completions if by_completions else TokenUsage.from_responses)(usage)
    model, tier = text_or_none(raw.get("model")), text_or_none(raw.get("service_tier"))
    return AnswerFacts(None, model, tier, raw.get("created") or raw.get("created_at"), tokens)


def _refuses(message: AIMessage) -> bool:
    if type(message.content) is str:
        return bool(message.additional_kwargs.get("refusal"))
    return any(_refusals([message]))


def _refusals(messages: Iterable[AIMessage]) -> Iterable[str]:
    for message in messages:
        if refusal := message.additional_kwargs.get("refusal"):
            yield str(refusal)
        for block in message.content if isinstance(message.content, list) else ():
            if isinstance(block, dict) and block.get("type") == "refusal":
                yield str(block.get("refusal") or "")


def _tool_texts(messages: Iterable[AIMessage]) -> list[str]:
    """Return the names and arguments of tool calls, whole or in pieces."""
    texts: dict[object, str] = {}
    for message in messages:
        if not isinstance(message, AIMessageChunk):
            return [
                text for call in message.tool_calls for text in (call["name"], str(call["args"]))
            ]
        for piece in message.tool_call_chunks:
            for part in ("name", "args"):
                key = piece.get("index"), part
                texts[key] = texts.get(key, "") + (piece.get(part) or "")  # type: ignore[operator]  # both are text
    return [text for text in texts.values() if text]


def _reasoning(messages: Iterable[AIMessage]) -> Iterable[str]:
    for message in messages:
        for block in message.content_blocks if isinstance(message.content, list) else ():
            if block["type"] == "reasoning":
                yield block.get("reasoning", "")
