"""Chat Completions answers to LangChain results: the body of a plain call.

The shape of `llm_output` and of `generation_info` is the one users of `ChatOpenAI` read, absent
details filled with `None` as the OpenAI SDK's models do.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from langchain_core.messages import AIMessage, InvalidToolCall, ToolCall
from langchain_core.messages.tool import invalid_tool_call, tool_call
from langchain_core.outputs import ChatGeneration, ChatResult
from pydantic_core import from_json

from langchain_tamma_openai.wire.arguments import ToolArgumentsError, parse_tool_arguments
from langchain_tamma_openai.wire.usage import TokenUsage, completions_usage_metadata

if TYPE_CHECKING:
    from langchain_core.messages.ai import UsageMetadata

CUSTOM_TOOL_ARGUMENT = "__arg1"
"""The one argument under which LangChain hands a custom tool its free-form input."""

_USAGE_DETAILS: Mapping[str, tuple[str, ...]] = {
    "completion_tokens_details": (
        "accepted_prediction_tokens",
        "audio_tokens",
        "reasoning_tokens",
        "rejected_prediction_tokens",
        "text_tokens",
    ),
    "prompt_tokens_details": (
        "audio_tokens",
        "cache_write_tokens",
        "cached_tokens",
        "image_tokens",
        "text_tokens",
    ),
}
_PREVIEW_CHARS = 200


@dataclass(frozen=True, slots=True)
class AnswerFacts:
    """What pricing and records need to know of an answer, whatever API carried it.

    Attributes:
        usage_metadata: Tokens in LangChain's form, or None where the server sent none.
        tokens: The same tokens, kind by kind, with what LangChain's form has no place for.
        model: The model that served, as the server names it.
        service_tier: The tier that served, as the server names it.
        created_s: When the server made the answer, in seconds since the epoch.
    """

    usage_metadata: UsageMetadata | None
    model: str | None
    service_tier: str | None
    created_s: float | None
    tokens: TokenUsage | None = None


def parse_body(body: bytes, content_type: str | None = None) -> dict[str, Any]:
    """Read the JSON object of a successful HTTP answer.

    Args:
        body: The answer's bytes.
        content_type: Its Content-Type header, for the message of the error.

    Raises:
        MalformedResponseError: The body is not a JSON object (a proxy's HTML page, say).
    """
    from langchain_tamma_openai.errors import MalformedResponseError

    try:
        parsed = from_json(body)
    except ValueError as error:
        raise MalformedResponseError(
            f"The server answered 200 with a body that is not JSON (content type "
            f"{content_type or 'not given'}): {_preview(body)}. Check `base_url`: it should name "
            "an OpenAI-compatible API, usually ending in /v1."
        ) from error
    if not isinstance(parsed, dict):
        raise MalformedResponseError(
            f"The server answered 200 with a JSON {type(parsed).__name__} where an object was "
            f"expected: {_preview(body)}. Check `base_url`."
        )
    return parsed


def raise_in_band_error(error: object) -> None:
    """Raise the error that a server put into a body or a stream it had begun with status 200.

    Raises:
        openai.APIError: As the OpenAI SDK raises it, with `code`, `type` and `param`.
    """
    import openai

    from langchain_tamma_openai.transport.http_library import http_library

    message = error.get("message") if isinstance(error, Mapping) else error
    request = http_library().Request("POST", "https://api.openai.com/v1/chat/completions")
    raise openai.APIError(
        str(message or "The server reported an error without a message."),
        request=request,
        body=error if isinstance(error, Mapping) else None,
    )


@contextmanager
def refusing_odd_answers(body: Mapping[str, Any]) -> Iterator[None]:
    """Say what answer it was that could not be read, whatever stumbled over it.

    Args:
        body: The parsed JSON object.

    Raises:
        MalformedResponseError: A part of it is not of the type that the API documents.
    """
    try:
        yield
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        from langchain_tamma_openai.errors import MalformedResponseError, TammaError

        if isinstance(error, TammaError):
            raise
        what = f"{type(error).__name__}: {error}".splitlines()[0]
        raise MalformedResponseError(
            f"The server answered 200 with a body that cannot be read ({what}); its keys are "
            f"{sorted(body)}. A part of it is not of the type that OpenAI's API documents."
        ) from error


def completion_result(
    body: Mapping[str, Any],
    *,
    default_model: str,
    generation_info: Mapping[str, Any] | None = None,
    takes_no_arguments: Callable[[str], bool] = bool,
) -> tuple[ChatResult, AnswerFacts]:
    """Turn the body of a chat completion into LangChain's result.

    Args:
        body: The parsed JSON object.
        default_model: The requested model, used where the server names none.
        generation_info: Entries for every generation (response headers, say).
        takes_no_arguments: Tells whether a tool of that name was offered and has no parameters, so
            that empty arguments are whole.

    Returns:
        The result, usage on its first generation alone, and the facts that price it.

    Raises:
        openai.APIError: The body carries an error.
        MalformedResponseError: It has no list of choices.
    """
    if error := body.get("error"):
        raise_in_band_error(error)
    choices = _choices(body)
    tier = text_or_none(body.get("service_tier"))
    raw_usage = body.get("usage")
    usage, tokens = read_usage(raw_usage, tier)
    generations = [
        _generation(choice, dict(generation_info or {}), takes_no_arguments) for choice in choices
    ]
    if generations and isinstance(generations[0].message, AIMessage):
        generations[0].message.usage_metadata = usage
    result = ChatResult(generations=generations, llm_output=_llm_output(body, default_model))
    model = text_or_none(body.get("model")) or default_model
    facts = AnswerFacts(usage, model, tier, body.get("created"), tokens)
    return result, facts


def read_usage(
    raw: object, service_tier: str | None
) -> tuple[UsageMetadata | None, TokenUsage | None]:
    """Read a `usage` object of Chat Completions in both forms; None for what is none."""
    if not isinstance(raw, dict) or not raw:
        return None, None
    return completions_usage_metadata(raw, service_tier), TokenUsage.from_completions(raw)


def text_or_none(value: object) -> str | None:
    """Return what a server should have sent as text, and None for anything else it sent."""
    return value if isinstance(value, str) else None


def _choices(body: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    choices = body.get("choices")
    if isinstance(choices, list) and choices and all(isinstance(item, dict) for item in choices):
        return choices
    from langchain_tamma_openai.errors import MalformedResponseError

    found = "no 'choices'" if "choices" not in body else f"'choices': {choices!r:.80}"
    raise MalformedResponseError(
        f"The server answered 200 with {found}; its keys are {sorted(body)}. Some servers that "
        "call themselves OpenAI-compatible answer so when they fail: look at the server's own log."
    )


def _generation(
    choice: Mapping[str, Any],
    generation_info: dict[str, Any],
    takes_no_arguments: Callable[[str], bool],
) -> ChatGeneration:
    message = _message(choice.get("message") or {}, takes_no_arguments)
    generation_info["finish_reason"] = choice.get("finish_reason")
    generation_info["logprobs"] = choice.get("logprobs")
    return ChatGeneration(message=message, generation_info=generation_info)


def _message(raw: Mapping[str, Any], takes_no_arguments: Callable[[str], bool]) -> AIMessage:
    additional_kwargs: dict[str, Any] = {}
    if function_call := raw.get("function_call"):
        additional_kwargs["function_call"] = dict(function_call)
    if audio := raw.get("audio"):
        additional_kwargs["audio"] = audio
    additional_kwargs["refusal"] = raw.get("refusal")
    valid: list[ToolCall] = []
    invalid: list[InvalidToolCall] = []
    for call in raw.get("tool_calls") or ():
        _sort_tool_call(call, valid, invalid, takes_no_arguments)
    return AIMessage(
        content=raw.get("content") or "",
        additional_kwargs=additional_kwargs,
        name=raw.get("name"),
        id=raw.get("id"),
        tool_calls=valid,
        invalid_tool_calls=invalid,
    )


def _sort_tool_call(
    call: Mapping[str, Any],
    valid: list[ToolCall],
    invalid: list[InvalidToolCall],
    takes_no_arguments: Callable[[str], bool],
) -> None:
    if custom := call.get("custom"):
        args = {CUSTOM_TOOL_ARGUMENT: custom.get("input") or ""}
        valid.append(tool_call(name=custom.get("name") or "", args=args, id=call.get("id")))
        return
    function = call.get("function") or {}
    name, text = function.get("name") or "", function.get("arguments")
    if not isinstance(text, str):
        # Some servers send the object itself where the API has a string of JSON.
        text = "" if text is None else json.dumps(text)
    try:
        args = {} if not text and takes_no_arguments(name) else parse_tool_arguments(text)
    except ToolArgumentsError as error:
        invalid.append(invalid_tool_call(name=name, args=text, id=call.get("id"), error=str(error)))
    else:
        valid.append(tool_call(name=name, args=args, id=call.get("id")))


def _llm_output(body: Mapping[str, Any], default_model: str) -> dict[str, Any]:
    output: dict[str, Any] = {
        "token_usage": complete_usage(body.get("usage")),
        "model_provider": "openai",
        "model_name": body.get("model") or default_model,
        "system_fingerprint": body.get("system_fingerprint"),
    }
    if "id" in body:
        output["id"] = body["id"]
    if tier := body.get("service_tier"):
        output["service_tier"] = tier
    return output


def complete_usage(usage: object) -> dict[str, Any] | None:
    """Fill the details a server left out with `None`, as the OpenAI SDK's usage model does."""
    if not isinstance(usage, Mapping):
        return None
    complete = dict(usage)
    for group, names in _USAGE_DETAILS.items():
        details = complete.get(group)
        complete[group] = (
            {**dict.fromkeys(names), **details} if isinstance(details, Mapping) else None
        )
    return complete


def _preview(body: bytes) -> str:
    from langchain_tamma_openai.redact import redact_secrets

    text = body[: _PREVIEW_CHARS * 4].decode("utf-8", errors="replace")
    shown = text if len(text) <= _PREVIEW_CHARS else f"{text[:_PREVIEW_CHARS]}..."
    return redact_secrets(repr(shown))
