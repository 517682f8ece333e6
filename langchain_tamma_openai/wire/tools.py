"""Tools and tool choices, LangChain to OpenAI, refused here when the API could only refuse them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal, NoReturn, TypeAlias

from langchain_core.utils.function_calling import convert_to_openai_tool
from pydantic import BaseModel

from langchain_tamma_openai.fingerprints import fingerprint

if TYPE_CHECKING:
    from langchain_core.tools import BaseTool

ToolLike: TypeAlias = "dict[str, Any] | type | Callable[..., Any] | BaseTool"
ToolChoice: TypeAlias = dict[str, Any] | str | bool | None
Tool: TypeAlias = dict[str, Any]

BUILT_IN_TOOLS = frozenset(
    {
        "apply_patch",
        "code_interpreter",
        "computer_use_preview",
        "file_search",
        "image_generation",
        "mcp",
        "tool_search",
        "web_search",
        "web_search_preview",
    }
)
"""Tools that OpenAI runs itself; a choice of one is its type, not a function name."""

_MOST_WRITTEN = 4096
_written: set[bytes] = set()
"""Tools that were written as JSON before, by their content."""
_PASSED_EXTRAS = ("defer_loading", "async")
_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_OTHER_JSON_TYPES = frozenset({"string", "number", "integer", "boolean", "array", "null"})
_MODES = ("auto", "none", "required", "any")


def tools_to_openai(tools: Sequence[ToolLike], *, strict: bool | None = None) -> list[Tool]:
    """Convert tools to the `tools` of a request.

    Args:
        tools: Functions, pydantic or TypedDict classes, LangChain tools, dicts (OpenAI functions,
            JSON schemas with a title, Anthropic or Bedrock tools), or OpenAI's built-in and custom
            tools, which are passed on untouched.
        strict: Ask for answers that match the schema exactly; None leaves it to the API.

    Returns:
        One dict per tool, in order.

    Raises:
        InvalidToolError: A tool cannot be converted or written as JSON, its parameters are not an
            object schema, or its name is one the API refuses (letters, digits, `_` and `-`, at
            most 64: `FunctionDefinition.name` of the API reference). It says which tool.
    """
    _check_list(tools)
    return [_convert(tool, f"tools[{index}]", strict=strict) for index, tool in enumerate(tools)]


def tool_names(tools: Iterable[Tool]) -> list[str]:
    """List the names of converted tools, those inside a namespace included."""
    return list(_names(tools))


def tool_choice_to_openai(
    tool_choice: object,
    names: Collection[str],
    built_in: Collection[str] = BUILT_IN_TOOLS,
) -> str | dict[str, Any] | None:
    """Convert a tool choice to the `tool_choice` of a request.

    Args:
        tool_choice: `True`, `"any"` or `"required"` (some tool), `"auto"`, `"none"`, the name of a
            tool, the type of a built-in tool, a dict in OpenAI's own form, or `None` or `False`.
        names: Names of the bound tools.
        built_in: Types of built-in tools.

    Returns:
        What to send, or None when nothing was chosen.

    Raises:
        InvalidToolError: The choice is of a wrong type or names a tool that is not bound.
    """
    if not tool_choice:
        return None
    if isinstance(tool_choice, bool):
        return "required"
    if isinstance(tool_choice, str):
        return _chosen(tool_choice, names, built_in)
    if isinstance(tool_choice, dict):
        function = tool_choice.get("function")
        if tool_choice.get("type") == "function" and isinstance(function, Mapping):
            _check_bound(function.get("name"), names)
        return tool_choice
    return _refuse(
        f"tool_choice: got {type(tool_choice).__name__}, must be a tool name, 'auto', 'none', "
        "'required', 'any', True, False, None or a dict"
    )


def _names(tools: Iterable[Tool]) -> Iterator[str]:
    for tool in tools:
        holder = tool.get("function", tool)
        if "name" in holder:
            yield holder["name"]
        yield from _names(tool.get("tools") or ())


def _chosen(choice: str, names: Collection[str], built_in: Collection[str]) -> str | dict[str, Any]:
    if choice in names:
        return {"type": "function", "function": {"name": choice}}
    if choice in built_in:
        return {"type": choice}
    if choice in _MODES:
        # Other providers say "any" where OpenAI says "required".
        return "required" if choice == "any" else choice
    return _unknown(choice, names)


def _check_bound(name: object, names: Collection[str]) -> None:
    if name not in names:
        _unknown(name, names)


def _unknown(choice: object, names: Collection[str]) -> NoReturn:
    known = ", ".join([*_MODES, *sorted(names)])
    _refuse(f"tool_choice: got {choice!r}, which is no bound tool; choose one of: {known}")


def _check_list(tools: object) -> None:
    if isinstance(tools, (str, Mapping, BaseModel)) or not isinstance(tools, Iterable):
        _refuse(f"tools: got a {type(tools).__name__}, must be a list of tools; put it in a list")


def _convert(tool: ToolLike, where: str, *, strict: bool | None) -> Tool:
    _check_title_schema(tool, where)
    try:
        converted = convert_to_openai_tool(tool, strict=strict)
    except Exception as error:  # noqa: BLE001 - conversion runs annotations and validators of others
        _refuse(
            f"{where}: cannot make a tool of {_label(tool)}: {type(error).__name__}: {error}; "
            "pass a function with type hints and a docstring, a pydantic or TypedDict class, a "
            "LangChain tool, or a dict with a name and a JSON schema",
            error,
        )
    converted = {**converted, **_extras(tool)} if _extras(tool) else converted
    _check_json(converted, where)
    if converted.get("type") == "function":
        _check_function(converted.get("function", converted), where)
    return converted


def _extras(tool: object) -> dict[str, Any]:
    """Options of the request that a LangChain tool carries in `extras`."""
    from langchain_core.tools import BaseTool

    extras = tool.extras if isinstance(tool, BaseTool) else None
    return {key: extras[key] for key in _PASSED_EXTRAS if key in extras} if extras else {}


def _check_title_schema(tool: object, where: str) -> None:
    """Refuse a titled schema that is no object: LangChain would drop all of it but the name."""
    if isinstance(tool, dict) and "title" in tool and "name" not in tool:
        kind = tool.get("type")
        if isinstance(kind, str) and kind in _OTHER_JSON_TYPES:
            _check_object(tool, f"{where} ({tool['title']})")


def _check_function(function: object, where: str) -> None:
    if not isinstance(function, Mapping):
        _refuse(f"{where}: function must be a dict with a name, got {type(function).__name__}")
    name = function.get("name")
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        _refuse(
            f"{where}: got the name {name!r}, must be 1 to 64 letters, digits, '_' or '-'; rename "
            "the tool"
        )
    if (parameters := function.get("parameters")) is not None:
        _check_object(parameters, f"{where} ({name})")


def _check_object(schema: object, label: str) -> None:
    if not isinstance(schema, Mapping):
        got = type(schema).__name__
        _refuse(f"{label}: parameters must be a JSON schema of type 'object', got a {got}")
    kind = schema.get("type", "object")
    if kind != "object" and not (isinstance(kind, list) and "object" in kind):
        _refuse(
            f"{label}: the schema of a tool must be of type 'object', got {kind!r}; make the value "
            "a property of an object: {'type': 'object', 'properties': {'value': ...}}"
        )


def _check_json(tool: Tool, where: str) -> None:
    content = fingerprint(tool)
    if content in _written:
        return
    try:
        json.dumps(tool, allow_nan=False, default=_sdk_value)
    except (TypeError, ValueError, RecursionError) as error:
        _refuse(
            f"{where} ({_label(tool)}): cannot be written as JSON: {error}; use only dicts, lists, "
            "strings, finite numbers, booleans and None",
            error,
        )
    if content is not None:
        if len(_written) >= _MOST_WRITTEN:
            _written.clear()
        _written.add(content)


def _sdk_value(value: object) -> Literal[""]:
    """Accept what the SDK's own JSON encoder accepts besides plain JSON."""
    if isinstance(value, (datetime, BaseModel)):
        return ""
    raise TypeError(f"{type(value).__name__} is not a JSON value")


def _label(tool: object) -> str:
    """Name a tool in an error, without the text of its schema."""
    if isinstance(tool, dict):
        function = tool.get("function")
        names = function if isinstance(function, dict) else tool
        name = names.get("name") or names.get("title")
        return repr(name) if name else "a dict without a name"
    name = getattr(tool, "name", None) or getattr(tool, "__name__", None)
    return repr(name) if isinstance(name, str) else f"an instance of {type(tool).__name__}"


def _refuse(message: str, cause: BaseException | None = None) -> NoReturn:
    from langchain_tamma_openai.errors import InvalidToolError

    raise InvalidToolError(message) from cause
