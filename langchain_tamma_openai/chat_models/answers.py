"""What a structured answer says: refused, cut, filtered, broken, or the object asked for.

Pure functions from one finished message to a value or a typed error. The error classes load when
the first structured answer is read, not with the package.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any, NoReturn, TypeVar

from langchain_core.messages import (
    AIMessage,
    AIMessageChunk,
    BaseMessage,
    InvalidToolCall,
    ToolCall,
)
from langchain_core.messages.tool import tool_call
from pydantic import BaseModel

from langchain_tamma_openai.wire.arguments import ToolArgumentsError, parse_tool_arguments
from langchain_tamma_openai.wire.chunks import strict_tool_calls

ModelT = TypeVar("ModelT", bound=BaseModel)

_FENCED = re.compile(r"```(?:json)?\s*(.*?)\s*```", re.DOTALL)


def model_answer(message: BaseMessage, schema: type[ModelT]) -> ModelT | None:
    """Read an answer to a `json_schema` request as a pydantic object.

    Args:
        message: The finished answer.
        schema: The class asked for.

    Returns:
        The object, or None when the model called a tool instead of answering.

    Raises:
        RefusalError: The model declined.
        OutputTruncatedError: The answer was cut at the output limit.
        ContentFilterError: A content filter stopped the answer.
        MalformedResponseError: The answer does not fit the class; the cause says where.
    """
    answering = _is_answer(message)
    parsed = message.additional_kwargs.get("parsed")
    if isinstance(parsed, schema):
        return parsed
    if not answering:
        return None
    text = str(message.text)
    try:
        return schema.model_validate_json(text)
    except ValueError as error:
        unparsable(f"The answer does not fit {schema.__name__}: {error}", text, error)


def object_answer(message: BaseMessage) -> dict[str, Any] | None:
    """Read an answer as a JSON object; a Markdown fence around it is taken off.

    Args:
        message: The finished answer.

    Returns:
        The object, or None when the model called a tool instead of answering.

    Raises:
        RefusalError: The model declined.
        OutputTruncatedError: The answer was cut at the output limit.
        ContentFilterError: A content filter stopped the answer.
        MalformedResponseError: The answer is no JSON object.
    """
    if not _is_answer(message):
        return None
    text = str(message.text)
    try:
        return _json_object(text)
    except ValueError as error:
        unparsable(f"The answer is not a JSON object: {error}", text, error)


def called(message: BaseMessage) -> AIMessage:
    """Give the finished tool calls of an answer that was asked to call a tool.

    Args:
        message: The finished answer; it may be the merged chunks of a stream.

    Returns:
        A message whose `tool_calls` are strict JSON; none when the model called nothing.

    Raises:
        RefusalError: The model declined.
        OutputTruncatedError: The call was cut at the output limit.
        ContentFilterError: A content filter stopped the call.
        MalformedResponseError: The arguments of the call are not a JSON object.
    """
    answer = message if isinstance(message, AIMessage) else AIMessage(content=message.content)
    valid, broken = answer.tool_calls, answer.invalid_tool_calls
    if isinstance(answer, AIMessageChunk) and answer.tool_call_chunks:
        valid, broken = strict_tool_calls(answer.tool_call_chunks)
    # What does not fit the schema is for the caller's class to judge: it may convert values.
    valid = valid or [found for each in broken if (found := _as_json(each)) is not None]
    if valid:
        return AIMessage(content="", tool_calls=valid)
    _require_complete(answer)
    if broken:
        first = broken[0]
        reason = first["error"] or "not a JSON object"
        unparsable(f"The call of {first['name']!r} cannot be used: {reason}", first["args"] or "")
    return answer


def unparsable(message: str, output: str, cause: BaseException | None = None) -> NoReturn:
    """Raise the error of an answer that arrived whole and does not parse.

    Args:
        message: What is wrong with it.
        output: The text that does not parse.
        cause: What the parser said.

    Raises:
        UnparsableAnswerError: Always.
    """
    from langchain_tamma_openai.chat_models.problems import UnparsableAnswerError

    hint = "include_raw=True keeps the raw answer and its usage"
    raise UnparsableAnswerError(f"{message} ({hint})", llm_output=output) from cause


def _as_json(call: InvalidToolCall) -> ToolCall | None:
    try:
        args = parse_tool_arguments(call["args"] or "")
    except ToolArgumentsError:
        return None
    return tool_call(name=call["name"] or "", args=args, id=call["id"])


def _is_answer(message: BaseMessage) -> bool:
    """Tell an answer from a tool call; raise when it is neither whole nor willing."""
    _require_willing(message)
    if isinstance(message, AIMessage) and message.tool_calls:
        return False
    _require_complete(message)
    return True


def _require_complete(message: BaseMessage) -> None:
    _require_willing(message)
    reason = _stop_reason(message)
    if reason == "length":
        from langchain_tamma_openai.errors import OutputTruncatedError

        raise OutputTruncatedError(
            "The structured answer was cut at the output limit, so it cannot be parsed; raise "
            "max_tokens (max_completion_tokens), which counts reasoning tokens too, or ask for "
            "less. include_raw=True keeps the part that came and its usage",
            model=_model(message),
        )
    if reason == "content_filter":
        from langchain_tamma_openai.errors import ContentFilterError

        raise ContentFilterError(
            "A content filter stopped the structured answer, so it cannot be parsed",
            model=_model(message),
        )


def _require_willing(message: BaseMessage) -> None:
    if refusal := _refusal(message):
        from langchain_tamma_openai.errors import RefusalError

        raise RefusalError(refusal, model=_model(message))


def _refusal(message: BaseMessage) -> str | None:
    """Find a refusal: a field of Chat Completions, a content block in the other formats."""
    if refusal := message.additional_kwargs.get("refusal"):
        return str(refusal)
    content = message.content
    return next(_refusal_blocks(content), None) if isinstance(content, list) else None


def _refusal_blocks(content: Iterable[object]) -> Iterator[str]:
    for block in content:
        value = block.get("value", block) if isinstance(block, dict) else None
        if isinstance(value, dict) and value.get("refusal"):
            yield str(value["refusal"])


def _stop_reason(message: BaseMessage) -> str | None:
    """Why the model stopped, in the words of Chat Completions."""
    metadata = message.response_metadata
    if reason := metadata.get("finish_reason"):
        return str(reason)
    details = metadata.get("incomplete_details")
    reason = details.get("reason") if isinstance(details, dict) else None
    return "length" if reason == "max_output_tokens" else reason


def _model(message: BaseMessage) -> str | None:
    name = message.response_metadata.get("model_name")
    return name if isinstance(name, str) else None


def _json_object(text: str) -> dict[str, Any]:
    fenced = _FENCED.search(text)
    body = fenced[1] if fenced and not text.lstrip().startswith(("{", "[")) else text
    # Line breaks inside strings are accepted: servers without constrained decoding write them,
    # and they cannot hide a missing end.
    value = json.loads(body, strict=False, parse_constant=_no_constant)
    if not isinstance(value, dict):
        raise ValueError(f"it is a JSON {type(value).__name__}")  # noqa: TRY004 - bad value, not misuse
    return value


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")
