"""`lint`: everything that is wrong with a call, joined from the rooms that know, unsent."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from langchain_tamma_openai.chat_models.observing import calculator
from langchain_tamma_openai.chat_models.settings import base_url
from langchain_tamma_openai.error_base import TammaError
from langchain_tamma_openai.lint import Problem, lint_payload
from langchain_tamma_openai.pricing_cost import plain_decimal
from langchain_tamma_openai.tools.definitions import (
    validate_response_format,
    validate_tool_definitions,
)
from langchain_tamma_openai.wire.response_format import response_format_to_wire
from langchain_tamma_openai.wire.tools import tools_to_openai

if TYPE_CHECKING:
    from langchain_core.language_models import LanguageModelInput

    from langchain_tamma_openai.chat_models.base import ChatTammaOpenAI
    from langchain_tamma_openai.tools.problems import ToolProblem


# What conversion of messages and tools that are broken in any way ends with.
_UNUSABLE = (TammaError, AttributeError, LookupError, TypeError, ValueError)


def lint_call(
    model: ChatTammaOpenAI,
    input_: LanguageModelInput,
    stop: list[str] | None,
    kwargs: dict[str, Any],
) -> list[Problem]:
    """Find everything wrong with a call; see `ChatTammaOpenAI.lint`.

    Args:
        model: The model.
        input_: A prompt, messages or a string.
        stop: Where to stop generating.
        kwargs: Parameters of the call.
    """
    problems: list[Problem] = []
    given = _in_wire_form(kwargs, problems)
    problems += _of_tools({**model.model_kwargs, **given})
    given = _convertible(given, problems)
    try:
        messages = model._convert_input(input_).to_messages()
        rendered = model._rendered_prompt()
        if rendered is not None:
            from langchain_tamma_openai.prompts.merge import apply_system_prompt

            messages = apply_system_prompt(messages, rendered, rule=model.system_prompt_rule)
        payload = model._get_request_payload(messages, stop=stop, **given)
    except _UNUSABLE as error:
        return [*problems, _of_error(error)]
    payload |= model._left_out(payload, stop, given)
    problems += lint_payload(payload, messages=messages, base_url=base_url(model))
    problems += _of_budget(model, payload)
    return problems


def _of_tools(kwargs: Mapping[str, Any]) -> Iterator[Problem]:
    if tools := kwargs.get("tools"):
        for problem in validate_tool_definitions(tools):
            yield _of_tool(problem, "tools")
    if (response_format := kwargs.get("response_format")) is not None:
        for problem in validate_response_format(response_format):
            yield _of_tool(problem, "response_format")


def _of_tool(problem: ToolProblem, container: str) -> Problem:
    where = f"{container}{problem.pointer}"
    return Problem(where, problem.code, problem.message, problem.remedy, problem.severity)


def _in_wire_form(kwargs: dict[str, Any], problems: list[Problem]) -> dict[str, Any]:
    """Write a response format given as a class as it is sent."""
    response_format = kwargs.get("response_format")
    if response_format is None or isinstance(response_format, Mapping):
        return kwargs
    try:
        return {**kwargs, "response_format": response_format_to_wire(response_format)}
    except _UNUSABLE as error:
        problems.append(_of_error(error))
        return {name: value for name, value in kwargs.items() if name != "response_format"}


def _convertible(kwargs: dict[str, Any], problems: list[Problem]) -> dict[str, Any]:
    """Put tools into the form they are sent in; those that have none were named already."""
    tools = kwargs.get("tools")
    if not tools or all(isinstance(tool, dict) for tool in tools):
        return kwargs
    try:
        return {**kwargs, "tools": tools_to_openai(tools)}
    except _UNUSABLE as error:
        if not problems:
            problems.append(_of_error(error))
        return {name: value for name, value in kwargs.items() if name != "tools"}


def _of_error(error: Exception) -> Problem:
    where = getattr(error, "param", None) or "request"
    code = getattr(error, "code", None) or "invalid_request"
    return Problem(str(where), str(code), str(error), "correct it as the message says")


def _of_budget(model: ChatTammaOpenAI, payload: Mapping[str, Any]) -> Iterator[Problem]:
    if model._treasury is None:
        return
    bound = calculator(model.price_overrides).upper_bound(payload, str(payload.get("model")))
    for status in model._treasury.statuses():
        left: Decimal | None = status.remaining_usd
        if bound.usd is not None and left is not None and bound.usd > left:
            yield Problem(
                "budget",
                "budget_exceeded",
                f"the call may cost up to ${plain_decimal(bound.usd)}, and the budget "
                f"{status.name!r} has ${plain_decimal(left)} left",
                "set or lower max_tokens, or raise the budget",
            )
