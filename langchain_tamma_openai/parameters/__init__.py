"""Sampling parameters: what each model and API takes, and what to do about what it does not."""

from __future__ import annotations

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
