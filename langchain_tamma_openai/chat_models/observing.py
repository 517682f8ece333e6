"""What is written down about an answer: its cost, and who counts it."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from langchain_core.messages import AIMessage
from langchain_core.outputs import ChatGeneration

from langchain_tamma_openai.transport.http_library import transport_errors
from langchain_tamma_openai.transport.translate import translate

if TYPE_CHECKING:
    from types import ModuleType

    from langchain_tamma_openai.errors import StreamInterruptedError
    from langchain_tamma_openai.pricing import Cost, CostCalculator
    from langchain_tamma_openai.resilience.stream import StreamReader
    from langchain_tamma_openai.wire.completions import AnswerFacts
    from langchain_tamma_openai.wire.usage import TokenUsage

_CALLBACKS_MODULE = "langchain_tamma_openai.usage.callbacks"
CACHE_SOURCE = "cache"
_OLDEST_ANSWER_S = datetime(2022, 11, 1, tzinfo=UTC).timestamp()


def answer_cost(
    tokens: TokenUsage | None,
    facts: AnswerFacts | None,
    requested_model: str,
    overrides: Mapping[str, Any] | None,
    *,
    estimated: bool = False,
    base_url: str | None = None,
) -> Cost:
    """Price what an answer used, or the part of it that came.

    Args:
        tokens: What it used.
        facts: Served model and tier, and when; None where nothing of an answer came.
        requested_model: The model that was asked for, where none is known to have served.
        overrides: The user's own prices.
        estimated: Whether the tokens are an estimate.
        base_url: Root of the API; OpenAI's regional ones cost more.
    """
    return calculator(overrides).cost(
        tokens,
        (facts.model if facts is not None else None) or requested_model,
        service_tier=None if facts is None else facts.service_tier,
        at=None if facts is None else answered_at(facts),
        estimated=estimated,
        regional=base_url is not None and is_regional(base_url),
    )


@lru_cache(maxsize=64)
def is_regional(base_url: str) -> bool:
    """Tell whether an address is one of OpenAI's regional ones, once for each.

    Args:
        base_url: Root of the API.
    """
    from langchain_tamma_openai import pricing_region

    return pricing_region.is_regional(base_url)


def calculator(overrides: Mapping[str, Any] | None) -> CostCalculator:
    """Return the calculator for a price table, made once for each table.

    Raises:
        ConfigurationError: The table is not valid.
    """
    pricing = _pricing()
    if overrides is None:
        usual: CostCalculator = pricing.default_calculator()
        return usual
    return _calculators(_Table(overrides), pricing.CostCalculator)


@cache
def _pricing() -> ModuleType:
    """Load the prices, with the first answer."""
    from langchain_tamma_openai import pricing

    return pricing


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


def answered_at(facts: AnswerFacts) -> datetime | None:
    """Read the server's time of an answer; odd values of odd servers count as now.

    Args:
        facts: What was read of the answer.
    """
    created_s = facts.created_s
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
    callbacks = sys.modules.get(_CALLBACKS_MODULE)
    if callbacks is None:  # nobody has opened a block
        return
    if handlers := callbacks.orphan_handlers():
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


def is_in_block() -> bool:
    """Whether this context is inside a `get_usage_callback` block."""
    callbacks = sys.modules.get(_CALLBACKS_MODULE)
    return callbacks is not None and callbacks.is_in_block()


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


def is_transport_error(error: Exception) -> bool:
    """Whether an error is the HTTP library's: the connection failed or stalled.

    Args:
        error: What happened.
    """
    return isinstance(error, transport_errors())


def as_interruption(
    error: Exception, reader: StreamReader, model: str
) -> StreamInterruptedError | None:
    """Find the one error for whatever ends a stream early; it holds what had arrived.

    Args:
        error: What happened while the stream was read.
        reader: Reads the stream.
        model: Name of the model.

    Returns:
        The error, which may be the given one; None where the given one is about something else.
    """
    from langchain_tamma_openai.errors import StreamInterruptedError

    if isinstance(error, StreamInterruptedError):
        return error
    if not reader.started and not is_transport_error(error):
        return None  # no stream ever began: what the server said stands for itself
    cause = translate(error, model)
    return None if cause is None or cause is error else reader.interrupted_by(cause)
