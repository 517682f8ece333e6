"""What a finished LangChain model run says about its tokens and cost, whatever the provider."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast
from uuid import UUID

from langchain_core.messages import AIMessage
from langchain_core.outputs import ChatGeneration, LLMResult

from langchain_tamma_openai.pricing import Cost, default_calculator
from langchain_tamma_openai.usage.totals import RunUsage
from langchain_tamma_openai.wire.usage import TokenUsage, service_tier_of

CACHE_SOURCE = "cache"
"""The `pricing_source` of an answer that came out of LangChain's cache."""

# `model_provider` of LangChain's integrations, by the name of the provider in genai-prices.
_PROVIDERS = {
    "openai": "openai",
    "azure": "azure",
    "azure_openai": "azure",
    "anthropic": "anthropic",
    "google_genai": "google",
    "google_vertexai": "google",
    "groq": "groq",
    "mistralai": "mistral",
    "deepseek": "deepseek",
    "xai": "x-ai",
    "openrouter": "openrouter",
    "together": "together",
    "fireworks": "fireworks",
    "perplexity": "perplexity",
    "cohere": "cohere",
    "bedrock": "aws",
    "bedrock_converse": "aws",
}
_UNPRICED_KINDS = ("ephemeral_1h_input_tokens",)


def read_result(response: LLMResult, run_id: UUID | None = None) -> RunUsage:
    """Read a run that ended well.

    With `n > 1` every message of some integrations repeats the usage of the whole request, so the
    first message that has one speaks for all.
    """
    message = speaking_message(response)
    if message is not None:
        return read_message(message, run_id)
    return _read_llm_output(response.llm_output, run_id)


def read_message(message: AIMessage, run_id: UUID | None = None) -> RunUsage:
    """Read the usage and cost of one answer; price it when it does not carry its cost."""
    metadata = message.response_metadata
    model = _model_of(metadata)
    usage = cast("Mapping[str, object] | None", message.usage_metadata)
    cost = _carried_cost(metadata)
    if _is_cache_hit(usage, cost):
        return RunUsage(model, cache_hit=True, run_id=run_id)
    if usage is None:
        return RunUsage(model, cost=cost, run_id=run_id)
    tokens = TokenUsage.from_usage_metadata(usage)
    if cost is None:
        cost = _price(tokens, usage, metadata, model)
    return RunUsage(model, tokens, cost, run_id=run_id)


def read_failure(
    response: LLMResult | None, error: BaseException, run_id: UUID | None = None
) -> RunUsage:
    """Read a run that ended in an error.

    Usage stands in what was received before the error, or on the error itself (`usage`, an
    estimate, as `StreamInterruptedError` carries it).
    """
    received = None if response is None else speaking_message(response)
    partial = getattr(error, "partial", None)
    message = received or (partial if isinstance(partial, AIMessage) else None)
    run = RunUsage(run_id=run_id) if message is None else read_message(message, run_id)
    if run.usage is None:
        run = _estimated_run(run, message, getattr(error, "usage", None))
    return RunUsage(run.model, run.usage, run.cost, failed=True, run_id=run_id)


def _estimated_run(run: RunUsage, message: AIMessage | None, usage: object) -> RunUsage:
    if not isinstance(usage, Mapping) or not usage:
        return run
    metadata = {} if message is None else message.response_metadata
    tokens = TokenUsage.from_usage_metadata(usage)
    cost = _price(tokens, usage, metadata, run.model, estimated=True)
    return RunUsage(run.model, tokens, cost, run_id=run.run_id)


def speaking_message(response: LLMResult) -> AIMessage | None:
    """Find the first message with usage, else the first message.

    Args:
        response: What a model answered.
    """
    messages = [
        generation.message
        for prompt in response.generations
        for generation in prompt
        if isinstance(generation, ChatGeneration) and isinstance(generation.message, AIMessage)
    ]
    with_usage = (message for message in messages if message.usage_metadata is not None)
    return next(with_usage, messages[0] if messages else None)


def _read_llm_output(llm_output: object, run_id: UUID | None) -> RunUsage:
    """Read text-completion models and old integrations, which report beside the generations."""
    if not isinstance(llm_output, Mapping):
        return RunUsage(run_id=run_id)
    model = _model_of(llm_output)
    raw = llm_output.get("token_usage")
    if not isinstance(raw, Mapping) or not raw:
        return RunUsage(model, run_id=run_id)
    tokens = TokenUsage.from_completions(raw)
    return RunUsage(model, tokens, _price(tokens, {}, llm_output, model), run_id=run_id)


def _model_of(metadata: Mapping[str, object]) -> str | None:
    name = metadata.get("model_name") or metadata.get("model")
    return name if isinstance(name, str) else None


def _carried_cost(metadata: Mapping[str, object]) -> Cost | None:
    raw = metadata.get("cost")
    return Cost.from_metadata(raw) if isinstance(raw, Mapping) else None


def _is_cache_hit(usage: Mapping[str, object] | None, cost: Cost | None) -> bool:
    """Recognise a cached answer by our own mark or by the zero cost that langchain-core writes."""
    if cost is not None:
        return cost.pricing_source == CACHE_SOURCE
    return usage is not None and usage.get("total_cost") == 0


def priced(
    tokens: TokenUsage,
    metadata: Mapping[str, object],
    model: str | None,
    *,
    estimated: bool = False,
) -> Cost | None:
    """Price tokens that came without usage of LangChain's.

    Args:
        tokens: The tokens.
        metadata: `response_metadata` of the answer, which names provider and tier.
        model: The model that served.
        estimated: Whether the tokens are an estimate.

    Returns:
        The cost; None when the model or its provider is not known.
    """
    return _price(tokens, {}, metadata, model, estimated=estimated)


def _price(
    tokens: TokenUsage,
    usage: Mapping[str, object],
    metadata: Mapping[str, object],
    model: str | None,
    *,
    estimated: bool = False,
) -> Cost | None:
    provider = _PROVIDERS.get(str(metadata.get("model_provider") or "openai"))
    details = usage.get("input_token_details")
    has_unpriced = isinstance(details, Mapping) and any(details.get(k) for k in _UNPRICED_KINDS)
    if model is None or provider is None or has_unpriced:
        return None
    tier = metadata.get("service_tier") or service_tier_of(usage)
    return default_calculator().cost(
        tokens,
        model,
        service_tier=tier if isinstance(tier, str) and provider == "openai" else None,
        estimated=estimated,
        provider=provider,
    )
