"""The request body of the Responses API: LangChain's parameters, renamed, and the input items."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from langchain_core.messages import AIMessage, BaseMessage

from langchain_tamma_openai.wire.response_format import (
    is_pydantic_class,
    response_format_to_openai,
    response_format_to_wire,
)
from langchain_tamma_openai.wire.responses_input import responses_input
from langchain_tamma_openai.wire.responses_items import Json


def responses_payload(
    messages: Sequence[BaseMessage],
    params: Mapping[str, Any],
    *,
    use_previous_response_id: bool = False,
) -> Json:
    """Build the request, still with Python objects where the SDK takes them.

    Args:
        messages: The conversation.
        params: Request parameters under their Chat Completions or Responses names; not changed.
        use_previous_response_id: Send only what follows the last stored answer, and its id.

    Returns:
        The request. A pydantic class as `response_format` of a plain call stays one, under
        `text_format`; `responses_body` turns it into JSON.

    Raises:
        InvalidParameterError: A message has no form in the Responses API, or the response format
            cannot be converted.
    """
    body = dict(params)
    if use_previous_response_id:
        messages, response_id = _after_last_answer(messages)
        if response_id is not None:
            body["previous_response_id"] = response_id
    _rename_parameters(body)
    _drop_unsupported(body)
    body["input"] = responses_input(messages, store=body.get("store"))
    _convert_tools(body)
    _convert_text(body)
    return body


def responses_body(payload: Mapping[str, Any]) -> Json:
    """Give the JSON form of a payload: a pydantic `text_format` becomes `text.format`.

    A `reasoning_effort` beside other `reasoning` options joins them.

    Raises:
        InvalidParameterError: Both `text_format` and `text.format` are set.
    """
    body = dict(payload)
    if effort := body.pop("reasoning_effort", None):
        body["reasoning"] = {"effort": effort, **(body.get("reasoning") or {})}
    text_format = body.pop("text_format", None)
    if text_format is None:
        return body
    if "format" in (body.get("text") or {}):
        from langchain_tamma_openai.errors import InvalidParameterError

        raise InvalidParameterError(
            "text: got a format both there and as response_format; give one of them"
        )
    wire = response_format_to_wire(text_format)
    body["text"] = {**(body.get("text") or {}), "format": _flat_format(wire)}
    return body


def _after_last_answer(
    messages: Sequence[BaseMessage],
) -> tuple[Sequence[BaseMessage], str | None]:
    """Cut the conversation after the last answer that the server can still know by id."""
    for position in range(len(messages) - 1, -1, -1):
        message = messages[position]
        if isinstance(message, AIMessage):
            response_id = message.response_metadata.get("id")
            if isinstance(response_id, str) and response_id.startswith("resp_"):
                return messages[position + 1 :], response_id
    return messages, None


def _rename_parameters(body: Json) -> None:
    for legacy in ("max_tokens", "max_completion_tokens"):
        if legacy in body:
            body["max_output_tokens"] = body.pop(legacy)
    if "reasoning_effort" in body and "reasoning" not in body:
        body["reasoning"] = {"effort": body.pop("reasoning_effort")}


def _drop_unsupported(body: Json) -> None:
    """Leave out what the Responses API, or this model there, refuses."""
    body.pop("stop", None)
    model = body.get("model") or ""
    effort = (body.get("reasoning") or {}).get("effort")
    if model.startswith("gpt-5") and "chat" not in model and effort != "none":
        body.pop("temperature", None)


def _convert_tools(body: Json) -> None:
    streams = bool(body.get("stream"))
    if tools := body.pop("tools", None):
        body["tools"] = [_tool(tool, streams=streams) for tool in tools]
    if choice := body.pop("tool_choice", None):
        body["tool_choice"] = _flat_function(choice) if isinstance(choice, dict) else choice


def _tool(tool: Json, *, streams: bool) -> Json:
    if streams and tool.get("type") == "image_generation" and "partial_images" not in tool:
        # Streaming an image asks for at least one draft; the decoder leaves it out again.
        return {**tool, "partial_images": 1}
    return _flat_function(tool)


def _flat_function(tool: Json) -> Json:
    """Lift the `function` object of Chat Completions to the level of its `type`."""
    if tool.get("type") != "function" or "function" not in tool:
        return tool
    rest = {key: value for key, value in tool.items() if key not in ("type", "function")}
    return {"type": "function", **tool["function"], **rest}


def _convert_text(body: Json) -> None:
    """Gather output format and verbosity under `text`."""
    text: Json = dict(body["text"]) if isinstance(body.get("text"), dict) else {}
    if schema := body.pop("response_format", None):
        strict = body.pop("strict", None)
        if is_pydantic_class(schema) and not body.get("stream"):
            body["text_format"] = schema
        else:
            text["format"] = _text_format(schema, strict=strict)
    if (verbosity := body.pop("verbosity", None)) is not None:
        text["verbosity"] = verbosity
    if text:
        body["text"] = text


def _text_format(schema: Any, *, strict: bool | None) -> Json:
    if is_pydantic_class(schema):
        schema, strict = schema.model_json_schema(), True
    elif schema in ({"type": "json_object"}, {"type": "text"}):
        return dict(schema)
    return _flat_format(cast("Json", response_format_to_openai(schema, strict=strict)))


def _flat_format(response_format: Json) -> Json:
    return {"type": "json_schema", **response_format["json_schema"]}
