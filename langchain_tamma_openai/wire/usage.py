"""Token counts: OpenAI's `usage` objects, LangChain's `UsageMetadata`, and a flat form for pricing.

OpenAI reports totals plus overlapping details (cached tokens are part of the input, reasoning
tokens part of the output). `TokenUsage` keeps that meaning in plain integers, whichever API it
came from.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from operator import add, attrgetter
from typing import cast

from langchain_core.messages.ai import InputTokenDetails, OutputTokenDetails, UsageMetadata

_TIERS = ("flex", "priority")
_PREFIXES = ("", *(f"{tier}_" for tier in _TIERS))
# LangChain's Anthropic package splits cache writes by lifetime and then sets `cache_creation` to 0.
_CACHE_WRITE_KEYS = ("cache_creation", "ephemeral_5m_input_tokens", "ephemeral_1h_input_tokens")


def _count(value: object) -> int | None:
    """Read a token count that came from outside; None when it is absent or not a count."""
    if isinstance(value, bool):
        return None
    if isinstance(value, str):
        return int(value) if value.isascii() and value.isdigit() and len(value) < 19 else None  # noqa: PLR2004 - fits a 64-bit integer
    if isinstance(value, float):
        return int(value) if math.isfinite(value) and value >= 0 else None
    return value if isinstance(value, int) and value >= 0 else None


def _details(raw: Mapping[str, object], key: str) -> Mapping[str, object]:
    value = raw.get(key)
    return cast("Mapping[str, object]", value) if isinstance(value, Mapping) else {}


def _number(raw: Mapping[str, object], key: str) -> int:
    return _count(raw.get(key)) or 0


def _sum_of(details: Mapping[str, object], *names: str) -> int:
    return sum(_number(details, prefix + name) for prefix in _PREFIXES for name in names)


def _totals(raw: Mapping[str, object], input_key: str, output_key: str) -> tuple[int, int, int]:
    """Input, output and total tokens; the total is their sum when the server gave none."""
    input_tokens, output_tokens = _number(raw, input_key), _number(raw, output_key)
    total = _count(raw.get("total_tokens"))
    return input_tokens, output_tokens, input_tokens + output_tokens if total is None else total


@dataclass(frozen=True, slots=True)
class TokenUsage:
    """Tokens of one answer (or, added up, of several), by kind.

    `cached_tokens`, `cache_write_tokens`, `input_audio_tokens` and `input_image_tokens` are parts
    of `input_tokens`; `reasoning_tokens`, `output_audio_tokens` and the two prediction counts are
    parts of `output_tokens`; `cache_write_12h_tokens` is a part of `cache_write_tokens`. All are in
    tokens and 0 when not reported. Instances add with `+` and `sum()`.
    """

    input_tokens: int = 0
    output_tokens: int = 0
    total_tokens: int = 0
    cached_tokens: int = 0
    cache_write_tokens: int = 0
    cache_write_12h_tokens: int = 0
    input_audio_tokens: int = 0
    output_audio_tokens: int = 0
    input_image_tokens: int = 0
    reasoning_tokens: int = 0
    accepted_prediction_tokens: int = 0
    rejected_prediction_tokens: int = 0

    @classmethod
    def from_completions(cls, raw: Mapping[str, object]) -> TokenUsage:
        """Read the `usage` object of a Chat Completions answer. Odd values count as 0."""
        input_tokens, output_tokens, total = _totals(raw, "prompt_tokens", "completion_tokens")
        inputs = _details(raw, "prompt_tokens_details")
        outputs = _details(raw, "completion_tokens_details")
        return cls(
            input_tokens=input_tokens,
            output_tokens=output_tokens,
            total_tokens=total,
            cached_tokens=_number(inputs, "cached_tokens"),
            cache_write_tokens=_number(inputs, "cache_write_tokens"),
            input_audio_tokens=_number(inputs, "audio_tokens"),
            output_audio_tokens=_number(outputs, "audio_tokens"),
            input_image_tokens=_number(inputs, "image_tokens"),
            reasoning_tokens=_number(outputs, "reasoning_tokens"),
            accepted_prediction_tokens=_number(outputs, "accepted_prediction_tokens"),
            rejected_prediction_tokens=_number(outputs, "rejected_prediction_tokens"),
        )

    @classmethod
    def from_responses(cls, raw: Mapping[str, object]) -> TokenUsage:
        """Read the `usage` object of a Responses answer. Odd values count as 0."""
        input_tokens, output_tokens, total = _totals(raw, "input_tokens", "output_tokens")
        inputs = _details(raw, "input_tokens_details")
        writes = _details(inputs, "cache_write_tokens_details")
        return cls(
            input_tokens=input_tokens,
            output_tokens=output_tokens,
            total_tokens=total,
            cached_tokens=_number(inputs, "cached_tokens"),
            cache_write_tokens=_number(inputs, "cache_write_tokens"),
            cache_write_12h_tokens=_number(writes, "ttl_12h_tokens"),
            reasoning_tokens=_number(_details(raw, "output_tokens_details"), "reasoning_tokens"),
        )

    @classmethod
    def from_usage_metadata(cls, usage: UsageMetadata | Mapping[str, object]) -> TokenUsage:
        """Read LangChain's usage, of any provider.

        The `flex_` and `priority_` detail keys are folded back into the plain ones, and the
        `total_cost` that LangChain writes on a cache hit is not a token count and is left out.
        """
        raw: Mapping[str, object] = usage
        input_tokens, output_tokens, total = _totals(raw, "input_tokens", "output_tokens")
        inputs = _details(raw, "input_token_details")
        outputs = _details(raw, "output_token_details")
        return cls(
            input_tokens=input_tokens,
            output_tokens=output_tokens,
            total_tokens=total,
            cached_tokens=_sum_of(inputs, "cache_read"),
            cache_write_tokens=_sum_of(inputs, *_CACHE_WRITE_KEYS),
            input_audio_tokens=_number(inputs, "audio"),
            output_audio_tokens=_number(outputs, "audio"),
            reasoning_tokens=_sum_of(outputs, "reasoning"),
        )

    def __add__(self, other: TokenUsage) -> TokenUsage:
        """Add every count to that of `other`."""
        if not isinstance(other, TokenUsage):
            return NotImplemented
        return TokenUsage(*map(add, _counts_of(self), _counts_of(other)))

    def __radd__(self, other: int) -> TokenUsage:
        """Let `sum()` start at its usual 0."""
        return self if other == 0 else NotImplemented


_counts_of = attrgetter(*(field.name for field in fields(TokenUsage)))


def service_tier_of(usage: UsageMetadata | Mapping[str, object]) -> str | None:
    """Name the service tier that LangChain's detail keys betray: "flex", "priority" or None."""
    inputs = _details(usage, "input_token_details")
    found = [tier for tier in _TIERS if tier in inputs]
    return found[0] if len(found) == 1 else None


def _usage_metadata(
    totals: tuple[int, int, int],
    service_tier: str | None,
    inputs: dict[str, int | None],
    outputs: dict[str, int | None],
) -> UsageMetadata:
    """Assemble LangChain's usage, with ChatOpenAI's tier-prefixed detail keys.

    Under flex or priority the detail keys get the tier's prefix, and the tier's own key holds the
    rest of the tokens, so that no token is counted under two keys.
    """
    input_tokens, output_tokens, total_tokens = totals
    tier = service_tier if service_tier in _TIERS else None
    input_details = _labelled(inputs, tier)
    output_details = _labelled(outputs, tier)
    if tier is not None:
        taken = (inputs.get("cache_read") or 0) + (inputs.get("cache_creation") or 0)
        input_details[tier] = input_tokens - taken
        output_details[tier] = output_tokens - (outputs.get("reasoning") or 0)
    return UsageMetadata(
        input_tokens=input_tokens,
        output_tokens=output_tokens,
        total_tokens=total_tokens,
        input_token_details=cast("InputTokenDetails", input_details),
        output_token_details=cast("OutputTokenDetails", output_details),
    )


def _labelled(details: dict[str, int | None], tier: str | None) -> dict[str, int]:
    """Drop what was not reported and prefix the rest, except `audio`, which never has a prefix."""
    return {
        key if tier is None or key == "audio" else f"{tier}_{key}": value
        for key, value in details.items()
        if value is not None
    }


def completions_usage_metadata(
    raw: Mapping[str, object], service_tier: str | None = None
) -> UsageMetadata:
    """Turn the `usage` of a Chat Completions answer into LangChain's usage.

    Args:
        raw: The `usage` object as decoded JSON.
        service_tier: The tier the *response* names; "flex" and "priority" prefix the detail keys.

    Returns:
        The keys and values of ChatOpenAI 1.7.3, except that under a tier cache-write tokens are
        not counted a second time in the tier's own key. Counts that are not numbers are left out.
    """
    inputs = _details(raw, "prompt_tokens_details")
    outputs = _details(raw, "completion_tokens_details")
    return _usage_metadata(
        _totals(raw, "prompt_tokens", "completion_tokens"),
        service_tier,
        {
            "audio": _count(inputs.get("audio_tokens")),
            "cache_read": _count(inputs.get("cached_tokens")),
            "cache_creation": _count(inputs.get("cache_write_tokens")),
        },
        {
            "audio": _count(outputs.get("audio_tokens")),
            "reasoning": _count(outputs.get("reasoning_tokens")),
        },
    )


def responses_usage_metadata(
    raw: Mapping[str, object], service_tier: str | None = None
) -> UsageMetadata:
    """Turn the `usage` of a Responses answer into LangChain's usage.

    Args:
        raw: The `usage` object as decoded JSON.
        service_tier: The tier the *response* names; "flex" and "priority" prefix the detail keys.

    Returns:
        As `completions_usage_metadata`; the Responses API reports no audio.
    """
    inputs = _details(raw, "input_tokens_details")
    outputs = _details(raw, "output_tokens_details")
    return _usage_metadata(
        _totals(raw, "input_tokens", "output_tokens"),
        service_tier,
        {
            "cache_read": _count(inputs.get("cached_tokens")),
            "cache_creation": _count(inputs.get("cache_write_tokens")),
        },
        {"reasoning": _count(outputs.get("reasoning_tokens"))},
    )
