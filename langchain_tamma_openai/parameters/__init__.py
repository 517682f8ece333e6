"""Sampling parameters: what each model and API takes, and what to do about what it does not."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from langchain_tamma_openai.parameters.constraints import (
        ParameterConstraint,
        parameter_constraints,
    )
    from langchain_tamma_openai.parameters.problems import (
        UNSET,
        Api,
        AppliedParameters,
        ParameterAdjustedWarning,
        ParameterChange,
        ParameterPolicy,
        ParameterProblem,
    )
    from langchain_tamma_openai.parameters.settings import (
        default_policy,
        output_limit_name,
        with_output_limit_name,
    )
    from langchain_tamma_openai.parameters.validator import ParameterValidator
    from langchain_tamma_openai.parameters.values import ModelParameters

_HOMES = {
    "constraints": ("ParameterConstraint", "parameter_constraints"),
    "problems": (
        "UNSET",
        "Api",
        "AppliedParameters",
        "ParameterAdjustedWarning",
        "ParameterChange",
        "ParameterPolicy",
        "ParameterProblem",
    ),
    "settings": ("default_policy", "output_limit_name", "with_output_limit_name"),
    "validator": ("ParameterValidator",),
    "values": ("ModelParameters",),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "UNSET",
    "Api",
    "AppliedParameters",
    "ModelParameters",
    "ParameterAdjustedWarning",
    "ParameterChange",
    "ParameterConstraint",
    "ParameterPolicy",
    "ParameterProblem",
    "ParameterValidator",
    "default_policy",
    "output_limit_name",
    "parameter_constraints",
    "with_output_limit_name",
]


def __getattr__(name: str) -> object:
    """Load a public name when it is first asked for."""
    if (home := _HOME_OF.get(name)) is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{home}"), name)
