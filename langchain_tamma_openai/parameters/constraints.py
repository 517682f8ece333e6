"""What values each parameter may have: the APIs' own ranges, narrowed by the model's facts.

The ranges are those of the API reference (openai-python 3.54.0); what a model takes is data of the
catalogue. A model that the catalogue does not know is judged by the ranges alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal

from langchain_tamma_openai.models import ModelInfo, Support
from langchain_tamma_openai.parameters.problems import Api

Kind = Literal["number", "integer", "boolean", "text", "choice", "stop", "logit_bias", "metadata"]

EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
"""All reasoning efforts, from least to most."""

LOGPROBS_INCLUDE = "message.output_text.logprobs"
"""What the Responses API is asked for instead of `logprobs`."""


@dataclass(frozen=True, slots=True)
class ParameterConstraint:
    """What one parameter may be.

    Attributes:
        name: Its name as LangChain has it (`max_tokens`, `reasoning_effort`).
        kind: The type of its value.
        minimum: Smallest number.
        maximum: Largest number, or the number of entries of a list or mapping.
        choices: The words that are allowed; empty for any.
        max_chars: Longest text.
        support: When the model takes it; None where that is not known.
        harmless: Values that mean what is done anyway, which every model takes.
        default: What the API assumes when it is left out; None where that is not known.
    """

    name: str
    kind: Kind
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[str, ...] = ()
    max_chars: int | None = None
    support: Support | None = "always"
    harmless: tuple[object, ...] = ()
    default: object = None


_C = ParameterConstraint
_SHARED = (
    _C("temperature", "number", 0, 2, harmless=(1,), default=1),
    _C("top_p", "number", 0, 1, harmless=(1,), default=1),
    _C("top_logprobs", "integer", 0, 20, harmless=(0,)),
    _C("reasoning_effort", "choice", choices=EFFORTS),
    _C("verbosity", "choice", choices=("low", "medium", "high"), harmless=("medium",)),
    _C("parallel_tool_calls", "boolean"),
    _C("store", "boolean"),
    _C("stream", "boolean", default=False),
    _C("metadata", "metadata", maximum=16),
    _C("user", "text", max_chars=64),
    _C("safety_identifier", "text", max_chars=128),
    _C("prompt_cache_key", "text", max_chars=64),
    _C("prompt_cache_options.mode", "choice", choices=("implicit", "explicit")),
    _C("prompt_cache_retention", "choice", choices=("in_memory", "24h")),
)
_CHAT = (
    _C("max_tokens", "integer", 1),
    _C("presence_penalty", "number", -2, 2, harmless=(0,), default=0),
    _C("frequency_penalty", "number", -2, 2, harmless=(0,), default=0),
    _C("logprobs", "boolean", harmless=(False,), default=False),
    _C("logit_bias", "logit_bias", -100, 100, harmless=({},)),
    _C("seed", "integer", -(2**63), 2**63 - 1),
    _C("n", "integer", 1, 128, default=1),
    _C("stop", "stop", maximum=4, harmless=((), [])),
    _C(
        "service_tier",
        "choice",
        choices=("auto", "default", "flex", "scale", "priority", "fast"),
        default="auto",
    ),
    _C("prompt_cache_options.ttl", "choice", choices=("30m",)),
)
_RESPONSES = (
    _C("max_tokens", "integer", 16),
    _C("max_tool_calls", "integer", 1),
    _C("truncation", "choice", choices=("auto", "disabled"), default="disabled"),
    _C("background", "boolean", default=False),
    _C("reasoning.summary", "choice", choices=("auto", "concise", "detailed")),
    _C("reasoning.context", "choice", choices=("auto", "current_turn", "all_turns")),
    _C(
        "service_tier",
        "choice",
        choices=("auto", "default", "flex", "scale", "priority", "fast", "ultrafast"),
        default="auto",
    ),
    _C("prompt_cache_options.ttl", "choice", choices=("30m", "12h")),
)
_GENERAL: Mapping[Api, Mapping[str, ParameterConstraint]] = {
    "chat_completions": {each.name: each for each in (*_SHARED, *_CHAT)},
    "responses": {each.name: each for each in (*_SHARED, *_RESPONSES)},
}

ALIASES: Mapping[str, str] = {
    "max_completion_tokens": "max_tokens",
    "max_output_tokens": "max_tokens",
    "stop_sequences": "stop",
    "reasoning.effort": "reasoning_effort",
    "text.verbosity": "verbosity",
}
"""Names on the wire, by the name that LangChain has for them."""


@lru_cache(maxsize=512)
def parameter_constraints(info: ModelInfo, api: Api) -> Mapping[str, ParameterConstraint]:
    """Say what a model takes on an API.

    Args:
        info: The model, as the catalogue describes it.
        api: The API that carries the call.

    Returns:
        Constraints by parameter; a parameter that the API does not have is not in it.
    """
    table = dict(_GENERAL[api])
    if not info.known:
        return table
    for name, changes in _model_facts(info).items():
        if name in table:
            table[name] = replace(table[name], **changes)  # type: ignore[arg-type]  # fields of the dataclass
    return table


def _model_facts(info: ModelInfo) -> dict[str, dict[str, object]]:
    """Give what the catalogue says about a model, as fields of its constraints."""
    penalties: dict[str, object] = {"support": info.supports_penalties}
    logprobs: dict[str, object] = {"support": info.supports_logprobs}
    efforts = info.reasoning_efforts
    facts: dict[str, dict[str, object]] = {
        "temperature": {"support": info.supports_temperature},
        "top_p": {"support": info.supports_top_p},
        "presence_penalty": penalties,
        "frequency_penalty": penalties,
        "logprobs": logprobs,
        "top_logprobs": logprobs,
        "logit_bias": {"support": _support(info.supports_logit_bias)},
        "stop": {"support": _support(info.supports_stop)},
        "verbosity": {"support": _support(info.supports_verbosity)},
        "parallel_tool_calls": {"support": _support(info.supports_parallel_tool_calls)},
        "max_tokens": {"maximum": info.max_output_tokens},
        "prompt_cache_options.mode": {"support": _support(info.supports_prompt_cache_options)},
        "prompt_cache_options.ttl": {"support": _support(info.supports_prompt_cache_options)},
        "reasoning_effort": {"support": None if efforts is None else _support(bool(efforts))},
    }
    if efforts:
        facts["reasoning_effort"] |= {"choices": efforts, "default": info.default_reasoning_effort}
    if info.supports_verbosity:
        facts["verbosity"]["default"] = "medium"
    if info.prompt_cache_retentions is not None:
        facts["prompt_cache_retention"] = {"choices": info.prompt_cache_retentions}
    return facts


def _support(value: bool | None) -> Support | None:  # noqa: FBT001 - a fact of the catalogue
    if value is None:
        return None
    return "always" if value else "never"
