"""What is written down about an answer: its cost, and who counts it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from langchain_core.messages import AIMessage
from langchain_core.outputs import ChatGeneration

from langchain_tamma_openai.transport.http_library import transport_errors
from langchain_tamma_openai.transport.translate import translate

if TYPE_CHECKING:
    from langchain_tamma_openai.chat_models.calls import Call
    from langchain_tamma_openai.errors import StreamInterruptedError
    from langchain_tamma_openai.pricing import CostCalculator
    from langchain_tamma_openai.resilience.stream import StreamReader
    from langchain_tamma_openai.wire.completions import AnswerFacts

CACHE_SOURCE = "cache"
_OLDEST_ANSWER_S = datetime(2022, 11, 1, tzinfo=UTC).timestamp()


def cost_metadata(
    facts: AnswerFacts, overrides: Mapping[str, Any] | None
) -> dict[str, str | bool | None]:
    """Return `response_metadata["cost"]` of an answer.

    Args:
        facts: Usage, served model and tier, and when.
        overrides: The user's own prices.
    """
    cost = calculator(overrides).cost(
        facts.tokens,
        facts.model or "",
        service_tier=facts.service_tier,
        at=_moment(facts.created_s),
    )
    return cost.as_metadata()


def calculator(overrides: Mapping[str, Any] | None) -> CostCalculator:
    """Return the calculator for a price table, made once for each table.

    Raises:
        ConfigurationError: The table is not valid.
    """
    from langchain_tamma_openai.pricing import CostCalculator, default_calculator

    if overrides is None:
        return default_calculator()
    return _calculators(_Table(overrides), CostCalculator)


class _Table:
    """A price table, told apart by identity: it is not hashable and not copied."""

    def __init__(self, prices: Mapping[str, Any]) -> None:
        self.prices = prices

    def __hash__(self) -> int:
        return id(self.prices)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Table) and other.prices is self.prices


@lru_cache(maxsize=64)
def _calculators(table: _Table, make: type[CostCalculator]) -> CostCalculator:
    return make(table.prices)


def _moment(created_s: object) -> datetime | None:
    """Read the server's time of an answer; odd values of odd servers count as now."""
    if not isinstance(created_s, int | float) or isinstance(created_s, bool):
        return None
    now = datetime.now(UTC)
    if not _OLDEST_ANSWER_S <= created_s <= now.timestamp():
        return None
    return datetime.fromtimestamp(created_s, UTC)


def observe_outside_context(message: AIMessage, facts: AnswerFacts) -> None:
    """Tell an open `get_usage_callback` block of an answer its context could not reach.

    Args:
        message: The answer or the last chunk of a stream, with usage and cost.
        facts: What served.
    """
    from langchain_tamma_openai.usage.callbacks import orphan_handlers

    if handlers := orphan_handlers():
        told = message.model_copy(
            update={
                "response_metadata": {
                    **message.response_metadata,
                    "model_name": facts.model,
                    "service_tier": facts.service_tier,
                }
            }
        )
        run_id = uuid4()
        for handler in handlers:
            handler.record_message(told, run_id)


def without_cost(hit: ChatGeneration) -> ChatGeneration:
    """Return a cached generation that says it cost nothing, leaving the cache's own untouched.

    Args:
        hit: What LangChain's cache gave.
    """
    message = hit.message
    free = dict.fromkeys(("input_usd", "output_usd", "total_usd"), "0")
    cost = {**free, "currency": "USD", "pricing_source": CACHE_SOURCE, "estimated": False}
    metadata = {**message.response_metadata, "cost": cost}
    copy = message.model_copy(update={"response_metadata": metadata})
    return hit.model_copy(update={"message": copy})


@contextmanager
def interruptions(reader: StreamReader, call: Call) -> Iterator[None]:
    """Turn whatever ends a stream early into one error that holds what had arrived.

    Where the call can be continued the error is kept in `reader.interruption` instead.

    Args:
        reader: Reads the stream.
        call: The call it answers.

    Raises:
        StreamInterruptedError: The connection broke, stalled or carried an error.
    """
    try:
        yield
    except Exception as error:
        lost = isinstance(error, transport_errors())
        if lost and reader.whole:
            return  # the answer is there: how the connection ends no longer matters
        interruption = _interruption(error, reader, call.model)
        if interruption is None:
            raise
        if (lost or interruption is error) and call.may_resume(reader.decoder):
            reader.interruption = interruption
        elif interruption is error:
            raise
        else:
            raise interruption from error


def _interruption(
    error: Exception, reader: StreamReader, model: str
) -> StreamInterruptedError | None:
    from langchain_tamma_openai.errors import StreamInterruptedError

    if isinstance(error, StreamInterruptedError):
        return error
    if not reader.started and not isinstance(error, transport_errors()):
        return None  # no stream ever began: what the server said stands for itself
    cause = translate(error, model)
    return None if cause is None or cause is error else reader.interrupted_by(cause)
