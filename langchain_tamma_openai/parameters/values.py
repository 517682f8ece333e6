"""`ModelParameters`: sampling parameters as one typed value that can be merged and adapted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Self

from langchain_tamma_openai.models import ModelCatalog
from langchain_tamma_openai.parameters.constraints import LOGPROBS_INCLUDE, parameter_constraints
from langchain_tamma_openai.parameters.problems import Api, ParameterPolicy, ParameterProblem
from langchain_tamma_openai.parameters.reading import canonical, flattened
from langchain_tamma_openai.parameters.settings import with_output_limit_name
from langchain_tamma_openai.parameters.validator import ParameterValidator, raise_problems


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelParameters:
    """Sampling parameters; None means that the API's own default holds.

    `a | b` merges two: what `b` sets wins. The names are those of `ChatTammaOpenAI`, so
    `ChatTammaOpenAI(**params.as_kwargs())` takes them.

    Attributes:
        temperature: Randomness, 0 to 2.
        top_p: Share of the probability mass to sample from, 0 to 1.
        presence_penalty: Penalty for tokens that have appeared, -2 to 2.
        frequency_penalty: Penalty for tokens by how often they have appeared, -2 to 2.
        max_tokens: Limit of output tokens, reasoning included.
        stop: Where to stop generating, at most four texts.
        seed: Seed for sampling that is as repeatable as the API can make it.
        n: How many answers.
        logprobs: Ask for log probabilities.
        top_logprobs: How many likely tokens at each position, 0 to 20.
        logit_bias: Token id to bias, -100 to 100.
        reasoning_effort: How hard a reasoning model thinks.
        verbosity: Length of answers: `"low"`, `"medium"`, `"high"`.
        parallel_tool_calls: Allow several tool calls at once.
        service_tier: How the request is processed, and at which price.
    """

    temperature: float | None = None
    top_p: float | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    max_tokens: int | None = None
    stop: str | tuple[str, ...] | list[str] | None = None
    seed: int | None = None
    n: int | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = None
    logit_bias: Mapping[int, int] | None = None
    reasoning_effort: str | None = None
    verbosity: str | None = None
    parallel_tool_calls: bool | None = None
    service_tier: str | None = None

    @classmethod
    def defaults(cls, model: str, api: Api = "chat_completions") -> Self:
        """Give what an API assumes for a model when nothing is sent.

        Args:
            model: Any model id; for one that the catalogue does not know only the API's own
                defaults are given.
            api: The API that carries the call.

        Returns:
            The defaults; None where the model does not take the parameter or its default is not
            known. `max_tokens` is the most that the model can answer with.
        """
        info = ModelCatalog().get(model)
        names = cls.names()
        table = parameter_constraints(info, api)
        given: dict[str, Any] = {
            name: constraint.default
            for name, constraint in table.items()
            if name in names and constraint.support in ("always", "with_effort_none")
        }
        return cls(**{**given, "max_tokens": info.max_output_tokens})

    @classmethod
    def names(cls) -> tuple[str, ...]:
        """List the names of all parameters."""
        return tuple(each.name for each in fields(cls))

    @classmethod
    def from_params(cls, params: Mapping[str, object]) -> Self:
        """Read parameters under the names of LangChain or of either API; others are passed over.

        Args:
            params: Keyword arguments, or a payload.
        """
        names = cls.names()
        found: dict[str, Any] = {
            canonical(path): value for path, value in flattened(params) if canonical(path) in names
        }
        return cls(**found)

    def __or__(self, other: Self) -> Self:
        """Merge: what the other one sets wins."""
        return type(self)(**{**self.as_kwargs(), **other.as_kwargs()})

    def as_kwargs(self) -> dict[str, Any]:
        """Give what is set, under the names of `ChatTammaOpenAI`."""
        values = {name: getattr(self, name) for name in self.names()}
        return {name: value for name, value in values.items() if value is not None}

    def check(self, model: str, api: Api = "chat_completions") -> list[ParameterProblem]:
        """Find what a model or an API would refuse; see `ParameterValidator.check`."""
        return ParameterValidator().check(self.as_kwargs(), model, api)

    def for_model(
        self,
        model: str,
        api: Api = "chat_completions",
        policy: ParameterPolicy = "adjust",
    ) -> Self:
        """Adapt to what a model and an API take.

        Args:
            model: Any model id.
            api: The API that carries the call.
            policy: `"adjust"` changes what would be refused, with one warning; `"strict"` raises.

        Raises:
            InvalidParameterError: See `ParameterValidator.apply`.
        """
        return self.from_params(
            ParameterValidator(policy).apply(self.as_kwargs(), model, api).params
        )

    def as_payload(
        self, api: Api = "chat_completions", model: str = "", base_url: str | None = None
    ) -> dict[str, Any]:
        """Give what is set as the API's JSON.

        Args:
            api: The API that carries the call.
            model: The model, which may want `max_tokens` under its old name.
            base_url: Root of the API; None for OpenAI's own.

        Raises:
            InvalidParameterError: The Responses API has no such parameter.
        """
        payload: dict[str, Any] = with_output_limit_name(self.as_kwargs(), model, api, base_url)
        for name in ("stop", "logit_bias"):
            if isinstance(payload.get(name), tuple | Mapping):
                payload[name] = _plain(payload[name])
        return payload if api == "chat_completions" else _as_responses(payload, model)


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else dict(value)


def _as_responses(payload: dict[str, Any], model: str) -> dict[str, Any]:
    if payload.pop("logprobs", None):
        payload["include"] = [LOGPROBS_INCLUDE]
    if (effort := payload.pop("reasoning_effort", None)) is not None:
        payload["reasoning"] = {"effort": effort}
    if (verbosity := payload.pop("verbosity", None)) is not None:
        payload["text"] = {"verbosity": verbosity}
    missing = [
        problem
        for problem in ParameterValidator().check(payload, model, "responses")
        if problem.code == "not_in_api"
    ]
    if missing:
        raise_problems(missing, model, "responses")
    return payload
