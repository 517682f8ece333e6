"""Responses API answers to LangChain results: the body of a plain call, and the end of a stream."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NoReturn

from langchain_core.messages import AIMessage, InvalidToolCall, ToolCall
from langchain_core.messages.tool import invalid_tool_call, tool_call
from langchain_core.outputs import ChatGeneration, ChatResult

from langchain_tamma_openai.wire.arguments import ToolArgumentsError, parse_tool_arguments
from langchain_tamma_openai.wire.completions import (
    CUSTOM_TOOL_ARGUMENT,
    AnswerFacts,
    raise_in_band_error,
)
from langchain_tamma_openai.wire.response_format import is_pydantic_class
from langchain_tamma_openai.wire.responses_items import (
    NATIVE_ITEMS,
    PROVIDER,
    Json,
    annotation_to_langchain,
    without_nulls,
)
from langchain_tamma_openai.wire.responses_v0 import split_v0
from langchain_tamma_openai.wire.usage import TokenUsage, responses_usage_metadata

if TYPE_CHECKING:
    from langchain_core.messages.ai import UsageMetadata

Schema = type | Mapping[str, Any]
"""What structured output is parsed to: a pydantic class, or any schema (then a plain dict)."""

_METADATA_FIELDS = (
    "created_at",
    "id",
    "incomplete_details",
    "metadata",
    "model",
    "object",
    "service_tier",
    "status",
    "tool_usage",
    "user",
)
_FINAL_PHASES = (None, "final_answer")


def responses_result(
    response: Mapping[str, Any],
    *,
    output_version: str | None = None,
    schema: Schema | None = None,
    metadata: Mapping[str, Any] | None = None,
    default_model: str | None = None,
    takes_no_arguments: Callable[[str], bool] = bool,
) -> tuple[ChatResult, AnswerFacts]:
    """Turn the body of a response into LangChain's result.

    Args:
        response: The parsed JSON object.
        output_version: `"v0"` for the old message format; anything else gives `responses/v1`
            content, out of which LangChain's core makes `"v1"`.
        schema: The `response_format` of the call; text is then parsed into
            `additional_kwargs["parsed"]`.
        metadata: Entries for `response_metadata` (response headers, say).
        default_model: The requested model, used in the facts where the server names none.
        takes_no_arguments: Tells whether a tool of that name was offered and has no parameters, so
            that empty arguments are whole.

    Returns:
        The result and the facts that price it.

    Raises:
        openai.APIError: The response failed, with the server's `code`.
        MalformedResponseError: The body is not a response.
    """
    raise_if_failed(response)
    answer = _read_output(response, takes_no_arguments)
    facts = answer_facts(response, default_model=default_model)
    additional_kwargs = parsed_output(response, schema)
    content: Any = answer.blocks
    message_id = response.get("id")
    if output_version == "v0":
        parts = split_v0(answer.blocks, message_id, additional_kwargs)
        content, additional_kwargs = parts.content, parts.additional_kwargs
        message_id = parts.message_id
    message = AIMessage(
        content=content,
        id=message_id,
        usage_metadata=facts.usage_metadata,
        response_metadata=response_metadata(response, metadata),
        additional_kwargs=additional_kwargs,
        tool_calls=answer.tool_calls,
        invalid_tool_calls=answer.invalid_tool_calls,
    )
    return ChatResult(generations=[ChatGeneration(message=message)]), facts


def raise_if_failed(response: Mapping[str, Any]) -> None:
    """Raise the error of a failed response.

    Raises:
        openai.APIError: With the server's `code` and `message`.
    """
    if error := response.get("error"):
        raise_in_band_error(error)
    if response.get("status") == "failed":
        raise_in_band_error(
            {
                "code": "server_error",
                "message": f"Response {response.get('id')} failed; the server gave no reason.",
            }
        )


def response_metadata(response: Mapping[str, Any], extra: Mapping[str, Any] | None = None) -> Json:
    """Pick what LangChain users read in `response_metadata`; `extra` comes on top."""
    picked = {name: response[name] for name in _METADATA_FIELDS if name in response}
    picked = {**without_nulls(picked), **(extra or {})}
    if type(picked.get("created_at")) is int:
        picked["created_at"] = float(picked["created_at"])
    return {**picked, "model_provider": PROVIDER, "model_name": picked.get("model")}


def answer_facts(response: Mapping[str, Any], *, default_model: str | None = None) -> AnswerFacts:
    """Gather what pricing needs to know."""
    tier = response.get("service_tier")
    raw_usage = response.get("usage")
    usage: UsageMetadata | None = None
    tokens: TokenUsage | None = None
    if isinstance(raw_usage, dict) and raw_usage:
        usage = responses_usage_metadata(raw_usage, tier)
        tokens = TokenUsage.from_responses(raw_usage)
    model = response.get("model") or default_model
    return AnswerFacts(usage, model, tier, response.get("created_at"), tokens)


# --- output items --------------------------------------------------------------------------------


@dataclass(slots=True)
class _Answer:
    takes_no_arguments: Callable[[str], bool]
    blocks: list[Json] = field(default_factory=list)
    tool_calls: list[ToolCall] = field(default_factory=list)
    invalid_tool_calls: list[InvalidToolCall] = field(default_factory=list)


def _read_output(response: Mapping[str, Any], takes_no_arguments: Callable[[str], bool]) -> _Answer:
    answer = _Answer(takes_no_arguments)
    for item in _output_items(response):
        try:
            reader = _READERS.get(item.get("type", ""))
            if reader is not None:
                reader(answer, item)
        except (AttributeError, LookupError, TypeError) as error:
            _malformed(f"an output item it cannot mean, {item!r:.80}", response, error)
    return answer


def _output_items(response: Mapping[str, Any]) -> Sequence[Json]:
    output = response.get("output")
    if isinstance(output, list) and all(isinstance(item, dict) for item in output):
        return output
    found = "no 'output'" if "output" not in response else f"'output': {output!r:.80}"
    return _malformed(found, response)


def _malformed(found: str, response: Mapping[str, Any], cause: Exception | None = None) -> NoReturn:
    from langchain_tamma_openai.errors import MalformedResponseError

    raise MalformedResponseError(
        f"The server answered 200 with {found}; its keys are {sorted(response)}. Check that "
        "`base_url` names a server with a Responses API, or set use_responses_api=False."
    ) from cause


def _read_message(answer: _Answer, item: Json) -> None:
    for part in item.get("content") or ():
        make_block = _PARTS.get(part.get("type"))
        if make_block is None:
            continue
        block = {**make_block(part), "id": item.get("id")}
        if item.get("phase") is not None:
            block["phase"] = item["phase"]
        answer.blocks.append(block)


def _text_block(part: Json) -> Json:
    annotations = part.get("annotations")
    return {
        "type": "text",
        "text": part.get("text") or "",
        "annotations": [annotation_to_langchain(entry) for entry in annotations or ()],
    }


def _refusal_block(part: Json) -> Json:
    return {"type": "refusal", "refusal": part.get("refusal") or ""}


_PARTS: dict[Any, Callable[[Json], Json]] = {
    "output_text": _text_block,
    "refusal": _refusal_block,
}


def _read_function_call(answer: _Answer, item: Json) -> None:
    answer.blocks.append(without_nulls(item))
    name, call_id = item.get("name") or "", item.get("call_id")
    text = item.get("arguments") or ""
    if isinstance(text, dict):
        # Some servers send the object itself where the API has a string of JSON.
        answer.tool_calls.append(tool_call(name=name, args=text, id=call_id))
        return
    try:
        whole = not text and answer.takes_no_arguments(name)
        args = {} if whole else parse_tool_arguments(text)
    except ToolArgumentsError as error:
        answer.invalid_tool_calls.append(
            invalid_tool_call(name=name, args=text, id=call_id, error=str(error))
        )
    else:
        answer.tool_calls.append(tool_call(name=name, args=args, id=call_id))


def _read_custom_call(answer: _Answer, item: Json) -> None:
    answer.blocks.append(without_nulls(item))
    args = {CUSTOM_TOOL_ARGUMENT: item.get("input") or ""}
    call = tool_call(name=item.get("name") or "", args=args, id=item.get("call_id"))
    answer.tool_calls.append(call)


def _read_native(answer: _Answer, item: Json) -> None:
    answer.blocks.append(without_nulls(item))


_READERS: dict[str, Callable[[_Answer, Json], None]] = {
    "message": _read_message,
    "function_call": _read_function_call,
    "custom_tool_call": _read_custom_call,
    **dict.fromkeys(NATIVE_ITEMS | {"reasoning"}, _read_native),
}


# --- structured output ---------------------------------------------------------------------------


def parsed_output(response: Mapping[str, Any], schema: Schema | None) -> Json:
    """Parse the answer's text where structured output was asked for.

    Only final text counts: what a model says in its commentary phase is not the answer.

    What does not parse stays text: the answer is paid for, and the parser that the caller put
    behind the model says what is wrong with it.

    Returns:
        `{"parsed": ...}`, with None for text that does not fit a pydantic class; an empty dict when
        there is nothing to parse or, for any other schema, the text is not JSON.
    """
    text_format = (response.get("text") or {}).get("format") or {}
    if schema is None or text_format.get("type") != "json_schema":
        return {}
    text = "".join(_final_texts(response))
    if not text:
        return {}
    if is_pydantic_class(schema):
        return {"parsed": _validated(schema, text)}
    try:
        return {"parsed": json.loads(text)}
    except ValueError:
        return {}


def _validated(model: Any, text: str) -> object:
    # `parse_raw` is the way of pydantic 1 classes.
    validate = getattr(model, "model_validate_json", None) or model.parse_raw
    try:
        return validate(text)
    except ValueError:
        return None


def _final_texts(response: Mapping[str, Any]) -> Iterator[str]:
    for item in _output_items(response):
        if item.get("type") == "message" and item.get("phase") in _FINAL_PHASES:
            for part in item.get("content") or ():
                if part.get("type") == "output_text":
                    yield part.get("text") or ""
