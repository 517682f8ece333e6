"""`AdaptiveParameters`: parameters that follow what is asked. Opt-in, and never over your own.

The last user message is read for its kind (code, creative, analytical, general) and complexity;
rules give parameters for them; only what the model takes, and what the caller has not set, is used.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from langchain_tamma_openai.adaptive_kinds import KINDS, Complexity, ContentKind, Reading, read_text
from langchain_tamma_openai.adaptive_text import last_user_text
from langchain_tamma_openai.models import ModelCatalog, ModelInfo
from langchain_tamma_openai.parameters.constraints import parameter_constraints
from langchain_tamma_openai.parameters.problems import Api, ParameterProblem
from langchain_tamma_openai.parameters.reading import canonical, flattened
from langchain_tamma_openai.parameters.validator import ParameterValidator
from langchain_tamma_openai.parameters.values import ModelParameters

Parameters: TypeAlias = Mapping[str, object] | ModelParameters

Rule: TypeAlias = Parameters | Callable[[Complexity], Parameters]
"""Parameters for a kind of content, or a function of its complexity that gives them."""

Rules: TypeAlias = Callable[[ContentKind, Complexity, str], Parameters]
"""Gives all parameters from the kind, the complexity and the text."""

# Several efforts are an order of preference: not every model can answer without reasoning.
_EFFORTS: Mapping[ContentKind, Mapping[Complexity, tuple[str, ...]]] = {
    "code": {"low": ("low",), "medium": ("medium",), "high": ("high",)},
    "analytical": {"low": ("low",), "medium": ("medium",), "high": ("high",)},
    "creative": {"low": ("none", "low"), "medium": ("low",), "high": ("medium",)},
    "general": {"low": ("none", "low"), "medium": ("low",), "high": ("medium",)},
}
_TEMPERATURES: Mapping[ContentKind, float] = {"code": 0.2, "analytical": 0.2, "creative": 1.0}
# What the others depend on comes first: a model that reasons takes no temperature.
_ORDER = ("reasoning_effort", "verbosity", "temperature", "top_p")


@dataclass(frozen=True, slots=True)
class AdaptiveChoice:
    """Parameters chosen for a call.

    Attributes:
        kind: What kind of answer is asked for.
        complexity: How much there is to think about.
        params: The chosen parameters, under LangChain's names; those the caller set are not in it.
        reasons: What was found and why each parameter was chosen or not, one sentence each.
    """

    kind: ContentKind
    complexity: Complexity
    params: dict[str, object]
    reasons: tuple[str, ...]

    def as_metadata(self) -> dict[str, object]:
        """Give the choice as JSON for `response_metadata`."""
        return {
            "kind": self.kind,
            "complexity": self.complexity,
            "params": self.params,
            "reasons": list(self.reasons),
        }


class AdaptiveParameters:
    """Chooses parameters for each call by what is asked.

    It does no I/O and holds no state between calls: one object serves all models and threads.

    Example:
        ```python
        AdaptiveParameters()                                  # built-in rules
        AdaptiveParameters(creative={"temperature": 1.2})     # your own for one kind
        AdaptiveParameters(code=lambda complexity: {"reasoning_effort": "high"})
        AdaptiveParameters(lambda kind, complexity, text: {"verbosity": "low"})
        ```
    """

    def __init__(
        self,
        rules: Rules | Mapping[ContentKind, Rule] | None = None,
        *,
        code: Rule | None = None,
        creative: Rule | None = None,
        analytical: Rule | None = None,
        general: Rule | None = None,
        classify: Callable[[str], tuple[ContentKind, Complexity]] | None = None,
    ) -> None:
        """Set the rules.

        Args:
            rules: A function of kind, complexity and text that gives all parameters, or rules by
                kind. Kinds that it does not name keep the built-in rule.
            code: Rule for code; takes the place of the built-in one, as do the next three.
            creative: Rule for creative writing.
            analytical: Rule for analysis and calculation.
            general: Rule for everything else.
            classify: A function of the text that tells kind and complexity, in place of the
                built-in one.

        Raises:
            ConfigurationError: A rule is neither a mapping nor a function, or names no kind.
        """
        own = {"code": code, "creative": creative, "analytical": analytical, "general": general}
        by_kind: dict[str, Rule] = {}
        if isinstance(rules, Mapping):
            by_kind.update({str(kind): rule for kind, rule in rules.items()})
        by_kind |= {kind: rule for kind, rule in own.items() if rule is not None}
        _check_rules(rules, by_kind, classify)
        self._rules = rules if callable(rules) else None
        self._by_kind = by_kind
        self._classify = classify
        self._validator = ParameterValidator("strict")

    def __repr__(self) -> str:
        """Show which rules are the user's own."""
        own = "a function" if self._rules else sorted(self._by_kind)
        return f"AdaptiveParameters(own_rules={own!r})"

    def choose(
        self,
        messages: object,
        explicit: Mapping[str, object] | None = None,
        model: str = "",
        api: Api = "chat_completions",
    ) -> AdaptiveChoice:
        """Choose parameters for a call.

        Args:
            messages: The conversation, in any form that LangChain takes; only the last user
                message is read.
            explicit: What the caller set: it always wins, and nothing is chosen that would not go
                with it. Other parts of the request, such as `tools`, may be in it.
            model: Any model id; for one that the catalogue does not know nothing is chosen that
                only some models take.
            api: The API that carries the call.
        """
        text = last_user_text(messages)
        reading = self._read(text)
        wanted = self._wanted(reading, text)
        params, reasons = self._fitting(wanted, dict(explicit or {}), model, api)
        return AdaptiveChoice(
            reading.kind, reading.complexity, params, (*reading.reasons, *reasons)
        )

    def _read(self, text: str) -> Reading:
        if self._classify is None:
            return read_text(text)
        kind, complexity = self._classify(text)
        return Reading(kind, complexity, (f"{kind}, {complexity} complexity: by your function",))

    def _wanted(self, reading: Reading, text: str) -> dict[str, object]:
        """Ask the rules: the user's function, else the rule of the kind."""
        if self._rules is not None:
            return _as_dict(self._rules(reading.kind, reading.complexity, text))
        rule = self._by_kind.get(reading.kind)
        if rule is None:
            return _built_in(reading.kind, reading.complexity)
        return _as_dict(rule(reading.complexity) if callable(rule) else rule)

    def _fitting(
        self, wanted: dict[str, object], explicit: dict[str, object], model: str, api: Api
    ) -> tuple[dict[str, object], list[str]]:
        """Keep what the caller has not set and the model takes beside what the caller set."""
        fit = _Fit(explicit, ModelCatalog().get(model), api, self._validator)
        for name in sorted(wanted, key=_place):
            if wanted[name] is not None:
                fit.add(name, wanted[name])
        return fit.chosen, fit.reasons


class _Fit:
    """Adds wanted parameters to a request, one by one, as long as they fit."""

    def __init__(
        self,
        explicit: dict[str, object],
        info: ModelInfo,
        api: Api,
        validator: ParameterValidator,
    ) -> None:
        self.chosen: dict[str, object] = {}
        self.reasons: list[str] = []
        self._explicit = explicit
        self._given = {canonical(path) for path, _ in flattened(explicit)}
        self._info = info
        self._api: Api = api
        self._validator = validator
        self._table = parameter_constraints(info, api)
        self._old_faults = {_fault(each) for each in self._check({})}

    def add(self, name: str, value: object) -> None:
        options = value if name == "reasoning_effort" and isinstance(value, tuple) else (value,)
        constraint = self._table.get(canonical(name))
        refusal = self._refusal(name)
        for option in options if refusal is None else ():
            if constraint is not None and option == constraint.default:
                refusal = f"{option!r} is what the model does anyway"
                break
            refusal = self._misfit(name, option)
            if refusal is None:
                self.chosen[name] = option
                self.reasons.append(f"{name}: {option!r} chosen")
                return
        self.reasons.append(f"{name}: {refusal}")

    def _refusal(self, name: str) -> str | None:
        """Say why a parameter cannot be chosen, whatever its value."""
        if canonical(name) in self._given:
            return "yours is kept"
        constraint = self._table.get(canonical(name))
        if name in _BY_MODEL and not self._info.known:
            return "not chosen, the model is not known"
        if constraint is not None and constraint.support is None:
            return f"not chosen, it is not known whether {self._info.name} takes it"
        return None

    def _misfit(self, name: str, value: object) -> str | None:
        """Say why a value cannot be chosen; the first problem that it would bring."""
        for problem in self._check({**self.chosen, name: value}):
            if _fault(problem) not in self._old_faults:
                return f"not chosen, {problem.message}"
        return None

    def _check(self, more: Mapping[str, object]) -> list[ParameterProblem]:
        return self._validator.check({**self._explicit, **more}, self._info.name, self._api)


_BY_MODEL = ("reasoning_effort", "verbosity")


def _built_in(kind: ContentKind, complexity: Complexity) -> dict[str, object]:
    params: dict[str, object] = {"reasoning_effort": _EFFORTS[kind][complexity]}
    if kind in _TEMPERATURES:
        params["temperature"] = _TEMPERATURES[kind]
    return params


def _as_dict(params: Parameters) -> dict[str, object]:
    return params.as_kwargs() if isinstance(params, ModelParameters) else dict(params)


def _place(name: str) -> int:
    return _ORDER.index(name) if name in _ORDER else len(_ORDER)


def _fault(problem: ParameterProblem) -> tuple[str, str]:
    return problem.name, problem.code


def _check_rules(rules: object, by_kind: Mapping[str, object], classify: object) -> None:
    from langchain_tamma_openai.resilience.bounds import check_choice, refuse

    if rules is not None and not callable(rules) and not isinstance(rules, Mapping):
        refuse("rules", rules, "a function or a mapping of kinds to rules")
    for kind, rule in by_kind.items():
        check_choice(kind, "rules", KINDS)
        if not callable(rule) and not isinstance(rule, Mapping | ModelParameters):
            refuse(kind, rule, "a mapping of parameters, ModelParameters or a function")
    if classify is not None and not callable(classify):
        refuse("classify", classify, "a function")
