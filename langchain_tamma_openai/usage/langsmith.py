"""Puts tokens, cost and attempts of a model run into its LangSmith trace.

LangSmith prices a run by a table of its own unless the run brings its cost, in
`metadata["usage_metadata"]`. LangChain's tracer writes the tokens there when the run ends; here the
cost is laid beside them before that.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from types import MappingProxyType
from typing import TYPE_CHECKING
from uuid import UUID

from langchain_core.callbacks import BaseCallbackHandler

from langchain_tamma_openai.pricing_cost import EXACT, Cost
from langchain_tamma_openai.usage.record import AttemptRecord, total_cost, total_tokens
from langchain_tamma_openai.usage.run_labels import json_value
from langchain_tamma_openai.wire.usage import TokenUsage

if TYPE_CHECKING:
    from langchain_core.tracers.schemas import Run

__all__ = ["enrich_trace", "trace_metadata", "trace_usage"]

logger = logging.getLogger(__name__)

_TRACER_MODULE = "langchain_core.tracers.langchain"
_USAGE = "usage_metadata"
_NO_FACTS: Mapping[str, object] = MappingProxyType({})
_FREE = Cost(Decimal(0), Decimal(0), Decimal(0))
_INPUT_KINDS = {
    "cached_input": "cache_read",
    "cache_write": "cache_creation",
    "cache_write_12h": "cache_creation",
    "input_audio": "audio",
}
_OUTPUT_KINDS = {"reasoning": "reasoning", "output_audio": "audio"}
_FACTS = ("fallback", "prompt_id", "prompt_version", "prompt_hash")


def enrich_trace(
    handlers: Iterable[BaseCallbackHandler],
    run_id: UUID,
    attempts: Sequence[AttemptRecord],
    facts: Mapping[str, object] = _NO_FACTS,
) -> None:
    """Lay cost and attempts of a run into its LangSmith trace, if it is traced; never raises.

    A model calls it once everything is known and before LangChain is told that the run ended.

    Args:
        handlers: The callback handlers of the run, LangSmith's tracer perhaps among them.
        run_id: The run.
        attempts: All its HTTP attempts; none for an answer out of a cache, which cost nothing.
        facts: "user", "fallback", "prompt_id", "prompt_version" and "prompt_hash", where known.
    """
    try:
        for run in _traced_runs(handlers, run_id):
            _enrich(run, attempts, facts)
    except Exception as error:  # noqa: BLE001 - a trace must never fail a call
        logger.warning(
            "The cost could not be laid into the LangSmith trace: %s", type(error).__name__
        )


def trace_usage(tokens: TokenUsage | None, cost: Cost | None) -> dict[str, object]:
    """Give tokens and cost under the names that LangSmith reads.

    Amounts are floats, as LangSmith wants them, each the one nearest to the exact amount.

    Args:
        tokens: Tokens of the run.
        cost: Its price.

    Returns:
        LangSmith's `usage_metadata`; empty when nothing is known.
    """
    if tokens is None:
        return {}
    usage: dict[str, object] = {
        "input_tokens": tokens.input_tokens,
        "output_tokens": tokens.output_tokens,
        "total_tokens": tokens.total_tokens,
        "input_token_details": _known(
            cache_read=tokens.cached_tokens,
            cache_creation=tokens.cache_write_tokens,
            audio=tokens.input_audio_tokens,
        ),
        "output_token_details": _known(
            reasoning=tokens.reasoning_tokens, audio=tokens.output_audio_tokens
        ),
    }
    if cost is not None and cost.input_usd is not None and cost.output_usd is not None:
        usage["input_cost"] = float(cost.input_usd)
        usage["output_cost"] = float(cost.output_usd)
        usage["total_cost"] = float(EXACT.add(cost.input_usd, cost.output_usd))
        usage["input_cost_details"] = _cost_details(cost, _INPUT_KINDS)
        usage["output_cost_details"] = _cost_details(cost, _OUTPUT_KINDS)
    return usage


def trace_metadata(
    attempts: Sequence[AttemptRecord], facts: Mapping[str, object] = _NO_FACTS
) -> dict[str, object]:
    """Give what a trace should say of a run besides tokens; nothing secret.

    Args:
        attempts: All HTTP attempts of the run.
        facts: As `enrich_trace` takes them.

    Returns:
        Metadata of the run: `attempts`, `attempt_outcomes`, `cost` with exact amounts, and, where
        known, `served_model`, `request_id`, `user_id`, `fallback` and the prompt.
    """
    cost = total_cost(attempts) if attempts else _FREE
    last = attempts[-1] if attempts else None
    given: dict[str, object] = {
        "attempts": len(attempts),
        "attempt_outcomes": [attempt.outcome.value for attempt in attempts],
        "cost": None if cost is None else cost.as_metadata(),
        "served_model": None if last is None else last.model,
        "request_id": None if last is None else last.request_id,
        "user_id": facts.get("user"),
        **{name: facts.get(name) for name in _FACTS},
    }
    return {name: json_value(value) for name, value in given.items() if value is not None}


class _PricedMetadata(dict[str, object]):
    """Metadata of a run whose usage keeps its cost when the tracer writes the bare tokens."""

    def __init__(self, metadata: Mapping[str, object], usage: Mapping[str, object]) -> None:
        super().__init__(metadata)
        self._usage = dict(usage)
        if usage:
            super().__setitem__(_USAGE, self._usage)

    def __setitem__(self, key: str, value: object) -> None:
        """Set an entry, but lay the tracer's usage under ours."""
        if key == _USAGE and self._usage and isinstance(value, Mapping):
            value = _joined(value, self._usage)
        super().__setitem__(key, value)


def _traced_runs(handlers: Iterable[BaseCallbackHandler], run_id: UUID) -> list[Run]:
    module = sys.modules.get(_TRACER_MODULE)
    if module is None:  # nobody made a tracer
        return []
    tracers = (each for each in handlers if isinstance(each, module.LangChainTracer))
    found = (tracer.run_map.get(str(run_id)) for tracer in tracers)
    return [run for run in found if run is not None]


def _enrich(run: Run, attempts: Sequence[AttemptRecord], facts: Mapping[str, object]) -> None:
    tokens = total_tokens(attempts) if attempts else TokenUsage()
    usage = trace_usage(tokens, total_cost(attempts) if attempts else _FREE)
    own = run.extra.get("metadata") or {}
    # LangChain may share one dict of metadata between runs: it is copied, never written to.
    run.extra["metadata"] = _PricedMetadata({**trace_metadata(attempts, facts), **own}, usage)


def _joined(bare: Mapping[str, object], ours: Mapping[str, object]) -> dict[str, object]:
    """Keep the details of the tracer's usage where it speaks of the same tokens as ours."""
    totals = ("input_tokens", "output_tokens", "total_tokens")
    if any(bare.get(name) != ours.get(name) for name in totals):
        return dict(ours)
    details = ("input_token_details", "output_token_details")
    return {**ours, **{name: bare[name] for name in details if bare.get(name)}}


def _cost_details(cost: Cost, names: Mapping[str, str]) -> dict[str, float]:
    sums: dict[str, Decimal] = {}
    for part in cost.parts:
        if (name := names.get(part.kind)) is not None:
            sums[name] = EXACT.add(sums.get(name, Decimal(0)), part.usd)
    return {name: float(usd) for name, usd in sums.items()}


def _known(**counts: int) -> dict[str, int]:
    return {name: count for name, count in counts.items() if count}
