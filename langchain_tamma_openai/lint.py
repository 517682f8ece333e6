"""`lint_payload`: everything wrong with a request that can be told without sending it.

It joins the rules about parameters, messages, history and context window into one list of
`Problem`s. Rules about tools and schemas are those of the tools' own module.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cache
from typing import TYPE_CHECKING, Literal

from langchain_tamma_openai.checks import shown
from langchain_tamma_openai.history import HistoryProblem, check_history
from langchain_tamma_openai.models import ModelCatalog, ModelInfo, shutdown_warning
from langchain_tamma_openai.parameters.problems import API_NAMES, UNSET, Api, ParameterProblem
from langchain_tamma_openai.parameters.settings import is_openai
from langchain_tamma_openai.parameters.validator import ParameterValidator

if TYPE_CHECKING:
    from langchain_core.messages import BaseMessage

Severity = Literal["error", "warning"]
"""`error`: the API refuses the request. `warning`: it takes it, and something is amiss."""

_INPUTS = ("input", "previous_response_id", "conversation", "prompt")
_CONTENT = ("messages", "input")
# What the payload of a call may hold beside the API's own parameters, until it is sent.
_OURS = ("text_format", "reasoning_effort")


@dataclass(frozen=True, slots=True)
class Problem:
    """Something wrong with a request.

    Attributes:
        where: The parameter, message or tool (`temperature`, `messages[2]`, `tools[0]`).
        code: The kind of problem, as one stable word.
        message: What is wrong.
        remedy: The way out.
        severity: Whether the API refuses the request, or takes it and something is amiss.
    """

    where: str
    code: str
    message: str
    remedy: str
    severity: Severity = "error"

    def __str__(self) -> str:
        """Return place, what is wrong and the way out."""
        return f"{self.where}: {self.message}; {self.remedy}"

    @classmethod
    def from_parameter(cls, problem: ParameterProblem, severity: Severity = "error") -> Problem:
        """Convert a problem of a parameter."""
        given = "" if problem.value is UNSET else f"got {shown(problem.value)}, "
        message = f"{given}{problem.message}"
        return cls(problem.name, problem.code, message, problem.remedy, severity)

    @classmethod
    def from_history(cls, problem: HistoryProblem, container: str = "messages") -> Problem:
        """Convert a problem of a message."""
        where = f"{container}[{problem.index}]"
        return cls(where, problem.code, problem.message, problem.remedy, problem.severity)


def lint_payload(
    payload: Mapping[str, object],
    *,
    model: str | None = None,
    api: Api | None = None,
    messages: Sequence[BaseMessage] | None = None,
    base_url: str | None = None,
    context_window_tokens: int | None = None,
    today: date | None = None,
) -> list[Problem]:
    """Find everything wrong with a request, without sending it.

    Args:
        payload: The body of the request, as it would be sent.
        model: Any model id; the payload's own when left out.
        api: The API that carries the call; told from the payload when left out.
        messages: The LangChain messages the payload was made from, for places in messages.
        base_url: Root of the API; None for OpenAI's own. Parameters for other servers are judged
            by the API's general ranges only, as warnings.
        context_window_tokens: Size of the context window, for a model the catalogue does not know.
        today: The day for which models are looked up; today (UTC) when left out.

    Returns:
        All problems; empty when there are none.
    """
    name = str(model or payload.get("model") or "")
    carrier: Api = api or ("responses" if "messages" not in payload else "chat_completions")
    official = is_openai(base_url)
    request = LintRequest(payload, name, ModelCatalog().get(name), carrier, messages)
    problems = [
        *_parameters(request, official=official),
        *(_names(request) if official else ()),
        *_model(request, today, official=official),
        *_input(request),
        *_history(request),
    ]
    from langchain_tamma_openai.lint_context import context_problems
    from langchain_tamma_openai.lint_messages import message_problems

    problems += message_problems(request)
    problems += context_problems(request, context_window_tokens)
    return problems


@dataclass(frozen=True, slots=True)
class LintRequest:
    """A request under examination.

    Attributes:
        payload: Its body.
        model: The model's name.
        info: The model, as the catalogue describes it.
        api: The API that carries it.
        messages: The LangChain messages it was made from, where known.
    """

    payload: Mapping[str, object]
    model: str
    info: ModelInfo
    api: Api
    messages: Sequence[BaseMessage] | None

    @property
    def container(self) -> str:
        """Where messages stand in the payload."""
        return "messages" if self.api == "chat_completions" else "input"

    @property
    def entries(self) -> list[Mapping[str, object]]:
        """The messages or items of the payload that are dicts."""
        entries = self.payload.get(self.container)
        if not isinstance(entries, list | tuple):
            return []
        return [entry if isinstance(entry, Mapping) else {} for entry in entries]


def _parameters(request: LintRequest, *, official: bool) -> Iterator[Problem]:
    params = {key: value for key, value in request.payload.items() if key not in _CONTENT}
    model = request.model if official else ""
    for problem in ParameterValidator().check(params, model, request.api):
        yield Problem.from_parameter(problem, "error" if official else "warning")


def _names(request: LintRequest) -> Iterator[Problem]:
    """Find parameters that the API does not know, and the output limit under a wrong name."""
    both = request.payload.get("max_tokens"), request.payload.get("max_completion_tokens")
    if request.api == "chat_completions" and None not in both:
        yield Problem(
            "max_tokens",
            "conflict",
            "cannot be combined with max_completion_tokens",
            "pass max_completion_tokens only",
        )
    elif both[0] is not None and request.api == "chat_completions":
        yield from _old_limit_name(request)
    yield from _unknown_names(request)


def _old_limit_name(request: LintRequest) -> Iterator[Problem]:
    if request.info.output_limit_parameter == "max_completion_tokens":
        yield Problem(
            "max_tokens",
            "unsupported_parameter",
            f"{request.model} does not take it",
            "pass max_completion_tokens",
        )


def _unknown_names(request: LintRequest) -> Iterator[Problem]:
    from langchain_tamma_openai.parameters.combinations import ONLY_IN

    known = _sdk_parameters(request.api)
    for name in sorted(request.payload.keys() - known):
        elsewhere = name in ONLY_IN[request.api]  # said already, with its own remedy
        if elsewhere or name in _OURS or request.payload[name] is None:
            continue
        yield Problem(
            name,
            "unknown_parameter",
            f"{API_NAMES[request.api]} has no such parameter",
            f"check the spelling{_close(name, known)}, or pass it in extra_body for other servers",
        )


def _close(name: str, known: frozenset[str]) -> str:
    from difflib import get_close_matches

    match = get_close_matches(name, known, n=1)
    return f" (did you mean {match[0]!r}?)" if match else ""


@cache
def _sdk_parameters(api: Api) -> frozenset[str]:
    """Name what the SDK's method takes."""
    if api == "responses":
        from openai.resources.responses import Responses

        return frozenset(inspect.signature(Responses.create).parameters)
    from openai.resources.chat.completions import Completions

    return frozenset(inspect.signature(Completions.create).parameters)


def _model(request: LintRequest, today: date | None, *, official: bool) -> Iterator[Problem]:
    if not request.model:
        yield Problem("model", "missing", "no model is named", "pass model='gpt-6-luna'")
    message = shutdown_warning(request.model, today) if official else None
    if message is not None:
        successor = request.info.successor or "a current model"
        yield Problem("model", "model_shut_down", message, f"use {successor}", "warning")


def _input(request: LintRequest) -> Iterator[Problem]:
    if request.api == "chat_completions":
        found = bool(request.payload.get("messages"))
    else:
        found = any(request.payload.get(name) for name in _INPUTS)
    if not found:
        yield Problem(
            request.container, "empty", "there are no messages", "pass at least one message"
        )


def _history(request: LintRequest) -> Iterator[Problem]:
    stored = any(request.payload.get(name) for name in ("previous_response_id", "conversation"))
    messages = request.entries if request.messages is None else request.messages
    container = request.container if request.messages is None else "messages"
    for problem in check_history(
        messages, request.model, api=request.api, server_keeps_history=stored
    ):
        yield Problem.from_history(problem, container)
