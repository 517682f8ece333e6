"""What is laid into a LangSmith trace, and how it lives beside what LangChain writes there."""

from __future__ import annotations

import copy
import json
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

from hypothesis import given
from hypothesis import strategies as st
from langchain_core.callbacks import StdOutCallbackHandler
from langchain_core.messages import AIMessage
from langchain_core.outputs import ChatGeneration, LLMResult
from langchain_core.tracers.langchain import LangChainTracer
from langsmith import Client
from langsmith.run_trees import validate_extracted_usage_metadata
from recording import USAGE, attempt

from langchain_tamma_openai.pricing import Cost, default_calculator
from langchain_tamma_openai.usage.langsmith import enrich_trace, trace_metadata, trace_usage
from langchain_tamma_openai.usage.record import AttemptOutcome, AttemptRecord
from langchain_tamma_openai.wire.usage import TokenUsage

TOKENS = TokenUsage.from_usage_metadata(USAGE)
COST = default_calculator().cost(TOKENS, "gpt-6.1-sol")


class Tracer(LangChainTracer):
    """LangChain's tracer, which keeps to itself what it would post."""

    def __init__(self) -> None:
        super().__init__(client=Client(api_key="none", auto_batch_tracing=False))
        self.posted: list[dict[str, Any]] = []

    def _persist_run_single(self, run: Any) -> None:
        pass

    def _update_run_single(self, run: Any) -> None:  # type: ignore[override]
        self.posted.append(copy.deepcopy(run.extra["metadata"]))

    def start(self, metadata: dict[str, Any] | None = None) -> UUID:
        run_id = uuid4()
        self.on_chat_model_start({}, [[]], run_id=run_id, metadata=metadata or {})
        return run_id

    def end(self, run_id: UUID, usage: Any = USAGE, choices: int = 1) -> dict[str, Any]:
        message = AIMessage("Hi", usage_metadata=usage)
        generations = [ChatGeneration(message=message) for _ in range(choices)]
        self.on_llm_end(LLMResult(generations=[generations]), run_id=run_id)
        return self.posted[-1]


def priced(run_id: UUID, number: int = 1, **changes: Any) -> AttemptRecord:
    return attempt(run_id, number, **{"tokens": TOKENS, "cost": COST, **changes})


def test_usage_has_the_keys_that_langsmith_reads() -> None:
    usage: Any = trace_usage(TOKENS, COST)
    validate_extracted_usage_metadata(usage)
    assert usage == {
        "input_tokens": 1000,
        "output_tokens": 100,
        "total_tokens": 1100,
        "input_token_details": {"cache_read": 200, "cache_creation": 300},
        "output_token_details": {"reasoning": 40},
        "input_cost": 0.00177,
        "output_cost": 0.001,
        "total_cost": 0.00277,
        "input_cost_details": {"cache_read": 0.00002, "cache_creation": 0.00075},
        "output_cost_details": {"reasoning": 0.0004},
    }


@given(st.integers(0, 10_000_000), st.integers(0, 10_000_000), st.integers(1, 10**6))
def test_amounts_come_back_to_the_last_digit(inputs: int, outputs: int, price: int) -> None:
    unit = Decimal(price).scaleb(-4 - 6)
    amounts = (unit * inputs, unit * 4 * outputs)
    cost = Cost(*amounts, sum(amounts, Decimal(0)))
    usage = json.loads(json.dumps(trace_usage(TokenUsage(1, 1, 2), cost)))
    names = ("input_cost", "output_cost", "total_cost")
    sent = tuple(Decimal(repr(usage[name])) for name in names)
    digits = len(cost.total_usd.normalize().as_tuple().digits) if cost.total_usd else 1
    if digits <= 15:  # a double holds every decimal of that length
        assert sent == (cost.input_usd, cost.output_usd, cost.total_usd)
    assert Decimal(str(cost.as_metadata()["total_usd"])) == cost.total_usd


def test_unknown_tokens_and_unknown_prices_are_left_out() -> None:
    assert trace_usage(None, COST) == {}
    assert "total_cost" not in trace_usage(TOKENS, None)
    assert "total_cost" not in trace_usage(TOKENS, Cost())


def test_the_tracers_own_usage_is_laid_under_the_cost() -> None:
    tracer = Tracer()
    run_id = tracer.start()
    enrich_trace([StdOutCallbackHandler(), tracer], run_id, [priced(run_id)])
    posted = tracer.end(run_id)
    assert posted["usage_metadata"] == trace_usage(TOKENS, COST)
    assert posted["cost"] == COST.as_metadata()


def test_tier_details_of_the_answer_are_kept() -> None:
    tracer = Tracer()
    run_id = tracer.start()
    enrich_trace([tracer], run_id, [priced(run_id)])
    flex = {**USAGE, "input_token_details": {"flex": 500, "flex_cache_read": 500}}
    posted = tracer.end(run_id, flex)
    assert posted["usage_metadata"]["input_token_details"] == flex["input_token_details"]
    assert posted["usage_metadata"]["total_cost"] == 0.00277


def test_several_attempts_and_choices_are_counted_as_the_server_bills_them() -> None:
    tracer = Tracer()
    run_id = tracer.start()
    attempts = [priced(run_id, 1, outcome=AttemptOutcome.RETRY), priced(run_id, 2)]
    enrich_trace([tracer], run_id, attempts)
    posted = tracer.end(run_id, choices=3)
    assert posted["usage_metadata"]["total_tokens"] == 2200
    assert posted["usage_metadata"]["total_cost"] == 0.00554
    assert (posted["attempts"], posted["attempt_outcomes"]) == (2, ["retry", "success"])


def test_an_answer_from_a_cache_costs_nothing_in_the_trace() -> None:
    tracer = Tracer()
    run_id = tracer.start()
    enrich_trace([tracer], run_id, [])
    posted = tracer.end(run_id, {**USAGE, "total_cost": 0})
    assert (posted["usage_metadata"]["total_tokens"], posted["usage_metadata"]["total_cost"]) == (
        0,
        0,
    )
    assert posted["attempts"] == 0


def test_a_failed_run_keeps_what_it_used() -> None:
    tracer = Tracer()
    run_id = tracer.start()
    enrich_trace([tracer], run_id, [priced(run_id, outcome=AttemptOutcome.CUT)])
    tracer.on_llm_error(ValueError("cut"), run_id=run_id)
    assert tracer.posted[-1]["usage_metadata"] == trace_usage(TOKENS, COST)


def test_the_users_metadata_wins_and_is_never_written_to() -> None:
    tracer = Tracer()
    shared = {"user_id": "u-1", "attempts": "mine"}
    first, second = tracer.start(shared), tracer.start(shared)
    enrich_trace([tracer], first, [priced(first)], {"user": "u-2", "fallback": "rate_limit"})
    posted = tracer.end(first)
    assert (posted["user_id"], posted["attempts"], posted["fallback"]) == (
        "u-1",
        "mine",
        "rate_limit",
    )
    assert "usage_metadata" not in shared
    assert tracer.run_map[str(second)].extra["metadata"] == shared


def test_facts_are_in_the_metadata_without_secrets() -> None:
    facts = {
        "user": "sk-proj-abcdefghijk",
        "prompt_id": "greeting",
        "prompt_version": "3",
        "prompt_hash": "ab12",
        "other": "left out",
    }
    assert trace_metadata([attempt(request_id="req-1")], facts) == {
        "attempts": 1,
        "attempt_outcomes": ["success"],
        "served_model": "gpt-6.1-sol",
        "request_id": "req-1",
        "user_id": "sk-***",
        "prompt_id": "greeting",
        "prompt_version": "3",
        "prompt_hash": "ab12",
    }


def test_a_run_that_is_not_traced_is_left_alone() -> None:
    enrich_trace([StdOutCallbackHandler()], uuid4(), [])
    enrich_trace([Tracer()], uuid4(), [])
