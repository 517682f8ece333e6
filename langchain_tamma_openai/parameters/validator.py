"""`ParameterValidator`: judges the parameters of a call before it is sent, or mends them."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping

from langchain_tamma_openai.models import ModelCatalog, ModelInfo
from langchain_tamma_openai.parameters.combinations import Request, combination_problems
from langchain_tamma_openai.parameters.constraints import parameter_constraints
from langchain_tamma_openai.parameters.judging import Asked, judge
from langchain_tamma_openai.parameters.problems import (
    UNSET,
    Api,
    AppliedParameters,
    ParameterAdjustedWarning,
    ParameterChange,
    ParameterPolicy,
    ParameterProblem,
    changes_text,
    problems_text,
)
from langchain_tamma_openai.parameters.reading import (
    canonical,
    effective_effort,
    flattened,
    lookup,
    updated,
)

_MAX_FIXES = 64


class ParameterValidator:
    """Judges parameters by the API's ranges and by what the catalogue knows about the model.

    A model that the catalogue does not know is judged by the API's ranges alone. It does no I/O
    and holds no state: one validator serves all models and threads.
    """

    def __init__(
        self, policy: ParameterPolicy = "strict", catalogue: ModelCatalog | None = None
    ) -> None:
        """Choose what happens to a bad parameter.

        Args:
            policy: `"strict"` raises before anything is sent; `"adjust"` sends the nearest value
                that is accepted and warns; `"off"` sends everything as it is.
            catalogue: What is known about models; the built-in catalogue when left out.

        Raises:
            ConfigurationError: No such policy.
        """
        from langchain_tamma_openai.resilience.bounds import check_choice

        check_choice(policy, "parameter_policy", ("strict", "adjust", "off"))
        self.policy: ParameterPolicy = policy
        self._catalogue = catalogue or ModelCatalog()

    def __repr__(self) -> str:
        """Show the policy."""
        return f"ParameterValidator(policy={self.policy!r})"

    def check(
        self, params: Mapping[str, object], model: str, api: Api = "chat_completions"
    ) -> list[ParameterProblem]:
        """Find everything that the API would refuse, whatever the policy.

        Args:
            params: Parameters under LangChain's names or those of the API; a whole payload, too.
                A value of None is a parameter that is not given.
            model: Any model id.
            api: The API that carries the call.

        Returns:
            All problems; empty when there are none.
        """
        return list(self._problems(params, self._catalogue.get(model), api))

    def apply(
        self, params: Mapping[str, object], model: str, api: Api = "chat_completions"
    ) -> AppliedParameters:
        """Judge parameters as the policy says, and warn once about all that was changed.

        Args:
            params: As for `check`; never changed.
            model: Any model id.
            api: The API that carries the call.

        Returns:
            The parameters to send, and the changes.

        Raises:
            InvalidParameterError: Naming every problem: of any kind under `"strict"`, and of those
                without an obvious remedy under `"adjust"`.
        """
        applied = self.decide(params, model, api)
        if applied.warning is not None:
            warnings.warn(applied.warning, ParameterAdjustedWarning, stacklevel=2)
        return applied

    def decide(
        self, params: Mapping[str, object], model: str, api: Api = "chat_completions"
    ) -> AppliedParameters:
        """Do what `apply` does, but leave it to the caller to warn."""
        if self.policy == "off":
            return AppliedParameters(dict(params))
        info = self._catalogue.get(model)
        problems = list(self._problems(params, info, api))
        if not problems:
            return AppliedParameters(dict(params))
        if self.policy == "strict":
            raise_problems(problems, model, api)
        return self._adjusted(params, info, api)

    def _adjusted(
        self, params: Mapping[str, object], info: ModelInfo, api: Api
    ) -> AppliedParameters:
        """Mend one problem at a time: what is mended may settle or raise another one."""
        current = dict(params)
        changes: dict[str, ParameterChange] = {}
        for _ in range(_MAX_FIXES):
            problems = list(self._problems(current, info, api))
            stuck = [problem for problem in problems if problem.fix is None]
            if stuck:
                raise_problems(stuck, info.name, api)
            if not problems:
                break
            problem = min(problems, key=_order)
            _note(changes, problem, current)
            current = updated(current, problem.fix or {})
        made = tuple(changes.values())
        return AppliedParameters(current, made, changes_text(made, info.name, api))

    def _problems(
        self, params: Mapping[str, object], info: ModelInfo, api: Api
    ) -> Iterator[ParameterProblem]:
        table = parameter_constraints(info, api)
        effort = effective_effort(params, info)
        for path, value in flattened(params):
            constraint = table.get(canonical(path))
            if constraint is None:
                continue
            problem = judge(Asked(path, value, constraint, info, effort))
            if problem is not None:
                yield problem
        yield from combination_problems(Request(params, info, api))


def raise_problems(problems: list[ParameterProblem], model: str, api: Api) -> None:
    """Refuse parameters.

    Raises:
        InvalidParameterError: Naming every problem with its value and its remedy.
    """
    from langchain_tamma_openai.errors import InvalidParameterError

    param = problems[0].name if len(problems) == 1 else None
    raise InvalidParameterError(
        problems_text(problems, model, api), param=param, model=model or None
    )


def _order(problem: ParameterProblem) -> bool:
    """Sort the effort first: it decides what else the model takes."""
    return canonical(problem.name) != "reasoning_effort"


def _note(
    changes: dict[str, ParameterChange], problem: ParameterProblem, current: Mapping[str, object]
) -> None:
    """Remember what a fix changes; a parameter changed twice keeps its first value."""
    for name, new in (problem.fix or {}).items():
        earlier = changes.get(name)
        old = lookup(current, name) if earlier is None else earlier.old
        reason = problem.message if earlier is None else f"{earlier.reason}; {problem.message}"
        if old is UNSET and new is UNSET:
            continue
        changes[name] = ParameterChange(name, old, new, reason)
