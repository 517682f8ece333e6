"""Rules about parameters together, and about parameters that an API does not have."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from langchain_tamma_openai.models import ModelInfo
from langchain_tamma_openai.parameters.constraints import LOGPROBS_INCLUDE
from langchain_tamma_openai.parameters.problems import UNSET, Api, ParameterProblem
from langchain_tamma_openai.parameters.reading import (
    effective_effort,
    function_names,
    given_effort,
    lookup,
    tools_of,
)

_MAX_CHAT_TOOLS = 128
_DISCOUNTED_WINDOWS = ("2h", "8h")
# Kinds of tools that bring functions whose names are not in the request.
_TOOLS_OF_OTHERS = ("mcp", "namespace", "tool_search")
_CHAT_ONLY = {
    "stop": "cut the answer yourself",
    "seed": "answers there cannot be seeded",
    "n": "ask several times",
    "logit_bias": "use Chat Completions (use_responses_api=False)",
    "presence_penalty": "use Chat Completions (use_responses_api=False)",
    "frequency_penalty": "use Chat Completions (use_responses_api=False)",
    "logprobs": f"pass include=[{LOGPROBS_INCLUDE!r}]",
    "prediction": "use Chat Completions (use_responses_api=False)",
    "modalities": "use Chat Completions (use_responses_api=False)",
    "audio": "use Chat Completions (use_responses_api=False)",
    "functions": "pass tools",
    "function_call": "pass tool_choice",
    "web_search_options": "pass tools=[{'type': 'web_search'}]",
}
_CHAT_ONLY_WITH_A_MEANING = ("prediction", "modalities", "audio", "functions", "function_call")
_RESPONSES_ONLY = (
    "background",
    "background_options",
    "context_management",
    "conversation",
    "include",
    "instructions",
    "max_tool_calls",
    "previous_response_id",
    "prompt",
    "reasoning",
    "text",
    "truncation",
)

ONLY_IN: Mapping[Api, frozenset[str]] = {
    "chat_completions": frozenset(_RESPONSES_ONLY),
    "responses": frozenset(_CHAT_ONLY),
}
"""Parameters of the other API, on which there is a rule here."""


@dataclass(frozen=True, slots=True)
class Request:
    """The parameters of a call, and where they go."""

    params: Mapping[str, object]
    info: ModelInfo
    api: Api

    def get(self, path: str) -> object:
        """Give the value at a dotted path; `UNSET` where there is none."""
        return lookup(self.params, path)

    def problem(
        self, name: str, code: str, message: str, remedy: str, fix: Mapping[str, object] | None
    ) -> ParameterProblem:
        """Describe a problem of the parameter with that name."""
        return ParameterProblem(name, self.get(name), code, message, remedy, fix)


def combination_problems(request: Request) -> Iterator[ParameterProblem]:
    """Find every rule about parameters together that a request breaks."""
    for rule in _BOTH + (_CHAT if request.api == "chat_completions" else _RESPONSES):
        yield from rule(request)


# --- Chat Completions ------------------------------------------------------------------------


def _missing_on_chat(request: Request) -> Iterator[ParameterProblem]:
    for name in _RESPONSES_ONLY:
        if name not in request.params or request.get(name) in (UNSET, False):
            continue
        yield request.problem(
            name,
            "not_in_api",
            "Chat Completions has no such parameter",
            "use the Responses API (use_responses_api=True)",
            None,
        )


def _only_responses(request: Request) -> Iterator[ParameterProblem]:
    if request.info.responses_only:
        yield ParameterProblem(
            "model",
            request.info.name,
            "responses_only",
            "Chat Completions does not serve it",
            "use the Responses API (leave use_responses_api out, or set it to True)",
        )


def _tools_while_reasoning(request: Request) -> Iterator[ParameterProblem]:
    when = request.info.tools_on_chat
    if when in ("always", None) or request.info.responses_only or not _offers_functions(request):
        return
    path, effort = given_effort(request.params)
    if when == "never":
        yield request.problem(
            "tools",
            "tools_need_responses",
            f"{request.info.name} takes tools only on the Responses API",
            "leave use_responses_api out, or set it to True",
            None,
        )
    elif effective_effort(request.params, request.info) not in ("none", None):
        yield ParameterProblem(
            path,
            effort,
            "tools_while_reasoning",
            f"{request.info.name} takes tools on Chat Completions only with effort 'none'",
            "use the Responses API (leave use_responses_api out), or pass reasoning_effort='none'",
            {path: "none"},
        )


def _offers_functions(request: Request) -> bool:
    return bool(tools_of(request.params)) or bool(request.params.get("functions"))


def _top_logprobs_alone(request: Request) -> Iterator[ParameterProblem]:
    if request.get("top_logprobs") is not UNSET and request.get("logprobs") is not True:
        yield request.problem(
            "top_logprobs",
            "needs_other",
            "is only allowed beside logprobs=True",
            "pass logprobs=True",
            {"logprobs": True},
        )


def _tool_options_alone(request: Request) -> Iterator[ParameterProblem]:
    if request.params.get("tools"):
        return
    if request.get("parallel_tool_calls") is not UNSET:
        yield _needs_tools(request, "parallel_tool_calls", droppable=True)
    choice = request.get("tool_choice")
    if choice is not UNSET:
        yield _needs_tools(request, "tool_choice", droppable=choice in ("auto", "none"))
    if request.get("function_call") is not UNSET and not request.params.get("functions"):
        yield request.problem(
            "function_call", "needs_other", "is only allowed beside functions", "pass tools", None
        )


def _needs_tools(request: Request, name: str, *, droppable: bool) -> ParameterProblem:
    fix = {name: UNSET} if droppable else None
    return request.problem(
        name, "needs_other", "is only allowed beside tools", "bind tools, or leave it out", fix
    )


def _number_of_tools(request: Request) -> Iterator[ParameterProblem]:
    tools = request.get("tools")
    if not isinstance(tools, list | tuple):
        return
    if not tools:
        yield request.problem(
            "tools", "too_few", "the list is empty", "leave it out", {"tools": UNSET}
        )
    if len(tools) > _MAX_CHAT_TOOLS:
        message = f"{len(tools)} tools, at most {_MAX_CHAT_TOOLS} are allowed"
        yield ParameterProblem("tools", len(tools), "too_many", message, "bind fewer tools")


def _audio_output(request: Request) -> Iterator[ParameterProblem]:
    modalities = request.get("modalities")
    if not isinstance(modalities, list | tuple) or "audio" not in modalities:
        return
    if request.info.known and "audio_output" not in request.info.capabilities:
        yield request.problem(
            "modalities",
            "unsupported_value",
            f"{request.info.name} does not speak",
            "leave it out, or use a model such as gpt-audio",
            None,
        )
    elif request.get("audio") is UNSET:
        yield request.problem(
            "modalities",
            "needs_other",
            "spoken output needs the parameter audio",
            "pass audio={'voice': 'alloy', 'format': 'wav'}",
            None,
        )


def _only_some_models(request: Request) -> Iterator[ParameterProblem]:
    """Parameters that the catalogue's kinds of models refuse as a whole."""
    info = request.info
    if not info.known:
        return
    if info.is_reasoning and request.get("prediction") is not UNSET:
        message = f"{info.name} does not take it"
        fix = {"prediction": UNSET}
        yield request.problem("prediction", "unsupported_parameter", message, "leave it out", fix)
    if "search" not in info.name and request.get("web_search_options") is not UNSET:
        yield request.problem(
            "web_search_options",
            "unsupported_parameter",
            f"{info.name} does not search on Chat Completions",
            "bind the tool {'type': 'web_search'}, which needs the Responses API",
            None,
        )


# --- the Responses API -----------------------------------------------------------------------


def _missing_on_responses(request: Request) -> Iterator[ParameterProblem]:
    for name, remedy in _CHAT_ONLY.items():
        if name not in request.params or request.get(name) is UNSET:
            continue
        fix: dict[str, object] | None = {name: UNSET}
        if name in _CHAT_ONLY_WITH_A_MEANING or (name == "n" and request.get("n") != 1):
            fix = None
        if name == "logprobs" and request.get("logprobs") is True:
            fix = {name: UNSET, "include": _with_logprobs(request.params)}
        yield request.problem(
            name,
            "not_in_api",
            "the Responses API has no such parameter",
            f"leave it out: {remedy}",
            fix,
        )


def _with_logprobs(params: Mapping[str, object]) -> list[object]:
    given = params.get("include")
    include = list(given) if isinstance(given, list | tuple) else []
    return include if LOGPROBS_INCLUDE in include else [*include, LOGPROBS_INCLUDE]


def _logprobs_while_reasoning(request: Request) -> Iterator[ParameterProblem]:
    include, info = request.get("include"), request.info
    if not isinstance(include, list | tuple) or LOGPROBS_INCLUDE not in include:
        return
    effort = effective_effort(request.params, info)
    reasons = info.supports_logprobs == "with_effort_none" and effort not in (None, "none")
    if info.supports_logprobs == "never" or reasons:
        rest = [each for each in include if each != LOGPROBS_INCLUDE]
        yield request.problem(
            "include",
            "unsupported_value",
            f"{info.name} gives no log probabilities{' while it reasons' if reasons else ''}",
            f"leave {LOGPROBS_INCLUDE!r} out",
            {"include": rest or UNSET},
        )


def _two_histories(request: Request) -> Iterator[ParameterProblem]:
    if UNSET not in (request.get("previous_response_id"), request.get("conversation")):
        yield request.problem(
            "previous_response_id",
            "conflict",
            "cannot be combined with conversation",
            "give one of them",
            None,
        )


def _background(request: Request) -> Iterator[ParameterProblem]:
    in_background = request.get("background") is True
    if in_background and request.get("store") is False:
        yield request.problem(
            "background",
            "conflict",
            "an answer made in the background has to be stored",
            "leave store out, or set it to True",
            None,
        )
    window = request.get("background_options.completion_window")
    waits = in_background and request.get("stream") is not True
    if window in _DISCOUNTED_WINDOWS and not waits:
        yield request.problem(
            "background_options",
            "conflict",
            f"a completion window of {window!r} needs background=True and no stream",
            "set background=True and call invoke, or use 'soonest'",
            None,
        )


def _choice_without_tools(request: Request) -> Iterator[ParameterProblem]:
    choice = request.get("tool_choice")
    needs = choice == "required" or (isinstance(choice, Mapping) and bool(choice))
    if needs and not request.params.get("tools") and not _may_have_tools(request):
        yield _needs_tools(request, "tool_choice", droppable=False)


def _may_have_tools(request: Request) -> bool:
    """Whether tools may come from elsewhere: a stored prompt, or messages that bring some."""
    return request.get("prompt") is not UNSET or "additional_tools" in str(
        request.params.get("input", "")
    )


# --- both ------------------------------------------------------------------------------------


def _stream_options_alone(request: Request) -> Iterator[ParameterProblem]:
    if request.get("stream_options") is not UNSET and request.params.get("stream") is not True:
        yield request.problem(
            "stream_options",
            "needs_other",
            "is only allowed in a stream",
            "call stream, or leave it out",
            {"stream_options": UNSET},
        )


def _unknown_choice(request: Request) -> Iterator[ParameterProblem]:
    choice = request.get("tool_choice")
    if isinstance(choice, str):
        yield from _unknown_mode(request, choice)
        return
    tools = tools_of(request.params)
    brought = any(tool.get("type") in _TOOLS_OF_OTHERS for tool in tools)
    name = chosen_name(choice)
    if name is None or not tools or brought or _may_have_tools(request):
        return
    names = function_names(request.params)
    if name not in names:
        listed = ", ".join(names) or "none has a name"
        yield request.problem(
            "tool_choice",
            "unknown_tool",
            f"no tool is named {name!r}",
            f"choose one of: {listed}",
            None,
        )


def _unknown_mode(request: Request, choice: str) -> Iterator[ParameterProblem]:
    if choice not in ("auto", "none", "required"):
        yield request.problem(
            "tool_choice",
            "unsupported_value",
            "must be 'auto', 'none', 'required' or a dict that names a tool",
            "use one of them; bind_tools(tool_choice=name) makes the dict",
            None,
        )


def chosen_name(choice: object) -> str | None:
    """Give the name of the function or custom tool that a tool choice asks for."""
    if not isinstance(choice, Mapping) or choice.get("type") not in ("function", "custom"):
        return None
    inner = choice.get(str(choice["type"]))
    name = (inner if isinstance(inner, Mapping) else choice).get("name")
    return name if isinstance(name, str) else None


Rule = Callable[[Request], Iterator[ParameterProblem]]
_BOTH: tuple[Rule, ...] = (_stream_options_alone, _unknown_choice)
_CHAT: tuple[Rule, ...] = (
    _only_responses,
    _missing_on_chat,
    _tools_while_reasoning,
    _top_logprobs_alone,
    _tool_options_alone,
    _number_of_tools,
    _audio_output,
    _only_some_models,
)
_RESPONSES: tuple[Rule, ...] = (
    _missing_on_responses,
    _logprobs_while_reasoning,
    _two_histories,
    _background,
    _choice_without_tools,
)
