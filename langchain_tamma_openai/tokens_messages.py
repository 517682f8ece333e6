"""Counting the input of a request: messages, tools and response format.

The formula for messages is OpenAI's own (cookbook, "How to count tokens with tiktoken"); the one
for tools was inferred from billed counts, see `tokens_tools`. What neither covers is estimated, and
the tally says so.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from langchain_tamma_openai.tokens_content import add_content
from langchain_tamma_openai.tokens_encodings import base_model_name
from langchain_tamma_openai.tokens_tally import Tally
from langchain_tamma_openai.tokens_tools import functions_prompt

Json = Mapping[str, Any]

_REPLY_TOKENS = 3  # every reply is primed with the assistant's role
_MESSAGE_TOKENS = 3
_NAME_TOKENS = 1
_OLDEST_MODEL = "gpt-3.5-turbo-0301"  # one more for each message; a name replaces the role
_OLDEST_MESSAGE_TOKENS = 4
_OLDEST_NAME_TOKENS = -1
_FUNCTION_CALL_TOKENS = 3
_FUNCTION_ROLE_TOKENS = -2
_TOOL_CALL_ID_TOKENS = 3  # not documented
_TOOLS_TOKENS = 9
_TOOLS_BESIDE_SYSTEM_TOKENS = -4
_TOOL_CHOICE_NONE_TOKENS = 1
_FORCED_FUNCTION_TOKENS = 4  # `function_call`
_FORCED_TOOL_TOKENS = 7  # `tool_choice`
_RESPONSE_FORMAT_TOKENS = 12  # a guess: the schema comes with a heading
_PLAIN_KEYS = 2
_SYSTEM_ROLES = ("system", "developer")
_TOOLS_KNOWN_FOR = re.compile(r"(gpt-3\.5-turbo|gpt-4|gpt-4o|gpt-4o-mini)(-[\d-]+)?$")

# What upper bounds add where the formula is a guess.
_TOOL_CALL_DOUBT_TOKENS = 16
_TOOL_RESULT_DOUBT_TOKENS = 6
_TOOL_DOUBT_TOKENS = 16
_RESPONSE_FORMAT_DOUBT = 2


def add_request(
    tally: Tally,
    messages: Sequence[Json],
    tools: Sequence[Json] = (),
    tool_choice: object = None,
    response_format: object = None,
) -> None:
    """Count everything that a request shows to the model, and the start of the reply.

    Args:
        tally: Where to add.
        messages: JSON messages in the form of Chat Completions.
        tools: JSON tools of either API; anything but functions is counted by its JSON.
        tool_choice: As in the request: a word, or a dict that names the tool to call.
        response_format: As in the request, of either API; only `json_schema` costs anything.
    """
    functions = [function for tool in tools if (function := _function_of(tool)) is not None]
    add_messages(tally, messages, beside_functions=bool(functions))
    add_tools(tally, tools)
    if tools:
        _add_tool_choice(tally, tool_choice)
    if isinstance(response_format, Mapping) and response_format.get("type") == "json_schema":
        _add_schema(tally, response_format)


def add_messages(tally: Tally, messages: Sequence[Json], *, beside_functions: bool = False) -> None:
    """Count messages, and the start of the reply.

    Args:
        tally: Where to add.
        messages: JSON messages in the form of Chat Completions.
        beside_functions: Whether functions are shown beside them.
    """
    padded = not beside_functions
    for message in messages:
        pad = not padded and message.get("role") in _SYSTEM_ROLES
        padded = padded or pad
        _add_message(tally, message, "\n" if pad else "")
    if beside_functions and padded:
        tally.add(_TOOLS_BESIDE_SYSTEM_TOKENS)
    tally.add(_REPLY_TOKENS)


def message_tokens(model: str) -> tuple[int, int]:
    """Give the tokens around each message, and those of the start of the reply.

    Args:
        model: Any model id.
    """
    oldest = model.startswith(_OLDEST_MODEL)
    return (_OLDEST_MESSAGE_TOKENS if oldest else _MESSAGE_TOKENS), _REPLY_TOKENS


def add_tools(tally: Tally, tools: Sequence[Json]) -> None:
    """Count tools.

    Args:
        tally: Where to add.
        tools: JSON tools of either API; anything but functions is counted by its JSON.
    """
    if not tools:
        return
    before = tally.tokens
    functions = [function for tool in tools if (function := _function_of(tool)) is not None]
    if functions:
        tally.add_text(functions_prompt(functions))
        tally.add(_TOOLS_TOKENS)
    for tool in tools:
        if _function_of(tool) is None:
            tally.note("tools other than functions are counted by their JSON")
            tally.add_text(tool)
    if len(functions) < len(tools) or not _TOOLS_KNOWN_FOR.match(base_model_name(tally.model)):
        doubt = (tally.tokens - before) // 4 + _TOOL_DOUBT_TOKENS * len(tools)
        tally.add(0, f"how {tally.model} is shown its tools is not documented", high=doubt)


def _function_of(tool: Json) -> Json | None:
    """Find the definition of a function in a tool of either API; None for another kind of tool."""
    function = tool.get("function")
    if isinstance(function, Mapping):
        return function
    return tool if tool.get("type") == "function" and "name" in tool else None


def _add_schema(tally: Tally, response_format: Json) -> None:
    """Estimate what a structured-output schema costs: its JSON and a heading."""
    schema = response_format.get("json_schema", response_format)
    if not isinstance(schema, Mapping):
        return
    before = tally.tokens
    tally.add_text(schema.get("name"))
    tally.add_text(schema.get("description"))
    tally.add_text(json.dumps(schema.get("schema") or {}, separators=(",", ":"), default=str))
    tally.add(_RESPONSE_FORMAT_TOKENS)
    doubt = (tally.tokens - before) * (_RESPONSE_FORMAT_DOUBT - 1)
    note = "how a response format is shown to the model is not documented"
    tally.add(0, note, high=doubt)


def _add_tool_choice(tally: Tally, tool_choice: object) -> None:
    if tool_choice == "none":
        tally.add(_TOOL_CHOICE_NONE_TOKENS)
    elif isinstance(tool_choice, Mapping):
        function = tool_choice.get("function", tool_choice)
        name = function.get("name") if isinstance(function, Mapping) else None
        tally.add_text(name)
        tally.add(_FORCED_TOOL_TOKENS if "type" in tool_choice else _FORCED_FUNCTION_TOKENS)


def _add_message(tally: Tally, message: Json, padding: str) -> None:
    oldest = tally.model.startswith(_OLDEST_MODEL)
    tally.add(_OLDEST_MESSAGE_TOKENS if oldest else _MESSAGE_TOKENS)
    role = message.get("role")
    tally.add_text(role)
    add_content(tally, message.get("content"), padding)
    if role == "function":
        tally.add(_FUNCTION_ROLE_TOKENS)
    if len(message) == _PLAIN_KEYS and "role" in message and "content" in message:
        return  # nothing but these two, as in nearly all messages
    tally.add_text(message.get("refusal"))
    if message.get("name"):
        tally.add_text(message["name"])
        tally.add(_OLDEST_NAME_TOKENS if oldest else _NAME_TOKENS)
    if "tool_call_id" in message:
        most = _TOOL_CALL_ID_TOKENS + _TOOL_RESULT_DOUBT_TOKENS
        tally.add(
            _TOOL_CALL_ID_TOKENS, "tokens of tool results are not documented", low=0, high=most
        )
    if message.get("audio"):
        tally.no_limit("an earlier spoken answer is not counted: its length is not known here")
    _add_calls(tally, message)


def _add_calls(tally: Tally, message: Json) -> None:
    call = message.get("function_call")
    if isinstance(call, Mapping):
        tally.add(_FUNCTION_CALL_TOKENS)
        tally.add_text(call.get("name"))
        tally.add_text(call.get("arguments"))
    for tool_call in message.get("tool_calls") or ():
        body = tool_call.get(tool_call.get("type", "function")) or {}
        tally.add(0, "tokens of tool calls are not documented", high=_TOOL_CALL_DOUBT_TOKENS)
        tally.add_text(body.get("name"))
        tally.add_text(body.get("arguments", body.get("input")))
