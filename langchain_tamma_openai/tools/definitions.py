"""Tool definitions: every problem of a tool at once, before it is bound or sent."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeAlias, cast

from langchain_core.utils.function_calling import convert_to_openai_tool

from langchain_tamma_openai.fingerprints import fingerprint
from langchain_tamma_openai.tools.problems import ToolProblem, errors_among, listed, pointer_to
from langchain_tamma_openai.tools.schema_checks import schema_problems
from langchain_tamma_openai.tools.shapes import TYPES
from langchain_tamma_openai.tools.strict_rules import strict_problems
from langchain_tamma_openai.wire.tools import ToolLike

Problems: TypeAlias = Iterator[ToolProblem]

MAX_DESCRIPTION_CHARS = 1024
MAX_TOOLS = 128
_KEPT_TOOLS = 1024
_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_known_errors: dict[bytes, Sequence[ToolProblem]] = {}
_NO_FUNCTION = "a tool of type 'function' must have a name"


def validate_tool_definition(tool: ToolLike, *, strict: bool | None = None) -> list[ToolProblem]:
    """Find everything that is wrong with a tool.

    Args:
        tool: Anything `bind_tools` takes: a function, a pydantic or TypedDict class, a LangChain
            tool, a dict in the form of Chat Completions or of Responses, a JSON schema with a
            title. Built-in tools such as `{"type": "web_search"}` have no schema to check.
        strict: Whether it will be bound with `strict`; None means what the tool itself says.

    Returns:
        All problems, errors and warnings, in the order of the definition; none when it is fine.
        Pointers lead into the tool as it is sent.
    """
    try:
        sent = _as_sent(tool, strict=strict)
    except Exception as error:  # noqa: BLE001 - conversion runs annotations and validators of others
        return [_not_a_tool(tool, error)]
    return list(_tool_problems(sent, "", strict=strict))


def validate_tool_definitions(
    tools: Sequence[ToolLike], *, strict: bool | None = None
) -> list[ToolProblem]:
    """Find everything that is wrong with a list of tools, duplicates included.

    Args:
        tools: Tools as for `validate_tool_definition`.
        strict: As there.

    Returns:
        All problems; pointers start with the position in the list, as in `/3/function/name`.
    """
    found: list[ToolProblem] = []
    first_places: dict[str, int] = {}
    for index, tool in enumerate(tools):
        problems = validate_tool_definition(tool, strict=strict)
        found += [problem.under(f"/{index}") for problem in problems]
        name = _sent_name(tool, problems)
        if name is not None and first_places.setdefault(name, index) != index:
            found.append(_duplicate(name, index, first_places[name]))
    if len(tools) > MAX_TOOLS:
        found.append(
            ToolProblem(
                "",
                f"{len(tools)} tools; many models take at most {MAX_TOOLS}",
                "too_many_tools",
                severity="warning",
                remedy="offer fewer, or let the model search for them (tool_search)",
            )
        )
    return found


def check_tools(tools: Sequence[Mapping[str, Any]]) -> None:
    """Refuse converted tools with errors, all of them at once; warnings pass.

    So do two tools of one name, which every LangChain model lets one bind (its standard tests do).
    A tool is checked once in a process; again it costs the time to look it up by its content.

    Args:
        tools: Tools in OpenAI's form, as `tools_to_openai` gives them.

    Raises:
        InvalidToolError: At least one has an error.
    """
    problems = [
        problem.under(f"/{index}") for index, tool in enumerate(tools) for problem in _errors(tool)
    ]
    if problems:
        from langchain_tamma_openai.errors import InvalidToolError

        raise InvalidToolError(f"tools: {listed(problems)}")


def _errors(tool: Mapping[str, Any]) -> Sequence[ToolProblem]:
    content = fingerprint(tool)
    known = None if content is None else _known_errors.get(content)
    if known is None:
        known = errors_among(validate_tool_definition(_as_written(tool)))
        if content is not None:
            if len(_known_errors) >= _KEPT_TOOLS:
                _known_errors.clear()
            _known_errors[content] = known
    return known


def _as_written(tool: Mapping[str, Any]) -> dict[str, Any]:
    """Give a tool as the server will read it; as it is where it cannot be written."""
    from langchain_tamma_openai.tools.validators import schema_text

    try:
        return cast("dict[str, Any]", json.loads(schema_text(tool)))
    except (TypeError, ValueError, RecursionError):
        return dict(tool)


def validate_response_format(response_format: Mapping[str, Any]) -> list[ToolProblem]:
    """Find everything that is wrong with a response format as it is sent.

    Args:
        response_format: `{"type": "json_schema", "json_schema": {"name", "schema", "strict"}}` or
            its flat Responses form; other types have nothing to check.

    Returns:
        All problems; none when it is fine.
    """
    if response_format.get("type") != "json_schema":
        return []
    nested = isinstance(response_format.get("json_schema"), Mapping)
    holder = response_format["json_schema"] if nested else response_format
    prefix = "/json_schema" if nested else ""
    found = list(_name_problems(holder.get("name"), prefix))
    schema = holder.get("schema")
    if schema is not None:
        found += _schema_problems(schema, f"{prefix}/schema", strict=holder.get("strict") is True)
    return found


def tool_schemas(tools: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Give the schema of the arguments of each function among converted tools, by name.

    Args:
        tools: Tools in OpenAI's form, namespaces included; others have no schema.
    """
    found: dict[str, dict[str, Any]] = {}
    for tool in tools:
        found |= tool_schemas(tool.get("tools") or ())
        holder = tool.get("function", tool)
        if tool.get("type") == "function" and isinstance(holder, Mapping):
            name, schema = holder.get("name"), holder.get("parameters")
            if isinstance(name, str) and isinstance(schema, dict):
                found[name] = schema
    return found


def _as_sent(tool: ToolLike, *, strict: bool | None) -> Mapping[str, Any]:
    kind = tool.get("type") if isinstance(tool, Mapping) else None
    if isinstance(kind, str) and kind not in TYPES:
        return cast("Mapping[str, Any]", tool)
    return convert_to_openai_tool(tool, strict=strict)


def _tool_problems(tool: Mapping[str, Any], prefix: str, *, strict: bool | None) -> Problems:
    kind = tool.get("type")
    if kind == "namespace":
        for index, inner in enumerate(tool.get("tools") or ()):
            yield from _tool_problems(inner, f"{prefix}/tools/{index}", strict=strict)
    elif kind == "function":
        nested = isinstance(tool.get("function"), Mapping)
        holder = tool["function"] if nested else tool
        yield from _function_problems(holder, f"{prefix}/function" if nested else prefix, strict)
    elif kind == "custom":
        nested = isinstance(tool.get("custom"), Mapping)
        holder = tool["custom"] if nested else tool
        yield from _name_problems(holder.get("name"), f"{prefix}/custom" if nested else prefix)
    elif not isinstance(kind, str):
        yield _not_a_tool(tool)


def _function_problems(
    function: Mapping[str, Any],
    prefix: str,
    strict: bool | None,  # noqa: FBT001 - private
) -> Problems:
    name = function.get("name")
    label = name if isinstance(name, str) else None
    stated = function.get("strict")
    is_strict = stated if isinstance(stated, bool) else strict is True
    found = [*_name_problems(name, prefix), *_description_problems(function, prefix)]
    if (parameters := function.get("parameters")) is not None:
        found += _schema_problems(parameters, f"{prefix}/parameters", strict=is_strict)
        found += _root_problems(parameters, f"{prefix}/parameters")
    for problem in found:
        yield ToolProblem(
            problem.pointer,
            problem.message,
            problem.code,
            problem.severity,
            problem.remedy,
            tool=label,
        )


def _name_problems(name: object, prefix: str) -> Problems:
    if name is None:
        yield ToolProblem(
            prefix, _NO_FUNCTION, "missing_name", remedy='add "name" next to its parameters'
        )
    elif not isinstance(name, str) or not _NAME.fullmatch(name):
        yield ToolProblem(
            f"{prefix}/name",
            f"got the name {_shown(name)}, must be 1 to 64 letters, digits, '_' or '-'",
            "invalid_name",
            remedy="rename it",
        )


def _description_problems(function: Mapping[str, Any], prefix: str) -> Problems:
    description = function.get("description")
    if description is None or (isinstance(description, str) and not description.strip()):
        yield ToolProblem(
            prefix,
            "it has no description, so the model can only guess from its name",
            "missing_description",
            severity="warning",
            remedy="say what it does and when to use it",
        )
    elif not isinstance(description, str):
        got = type(description).__name__
        yield ToolProblem(
            f"{prefix}/description",
            f"the description must be text, got a {got}",
            "invalid_description",
            remedy="write it as a string",
        )
    elif len(description) > MAX_DESCRIPTION_CHARS:
        yield ToolProblem(
            f"{prefix}/description",
            f"{len(description):,} characters; Azure and older servers take at most "
            f"{MAX_DESCRIPTION_CHARS:,}",
            "long_description",
            severity="warning",
            remedy="shorten it or move details into the descriptions of the parameters",
        )


def _schema_problems(schema: object, prefix: str, *, strict: bool) -> list[ToolProblem]:
    from langchain_tamma_openai.tools.validators import schema_text

    if not isinstance(schema, Mapping | bool):
        got = type(schema).__name__
        return [
            ToolProblem(
                prefix,
                f"the schema must be a dict, got a {got}",
                "invalid_schema",
                remedy='write {"type": "object", "properties": {...}}',
            )
        ]
    try:
        text = schema_text(schema)
    except (TypeError, ValueError, RecursionError) as error:
        return [
            ToolProblem(
                prefix,
                f"the schema cannot be written as JSON: {error}",
                "not_json",
                remedy="use only dicts, lists, strings, finite numbers, booleans and None",
            )
        ]
    found = list(schema_problems(text))
    if strict:
        ours = {(problem.pointer, problem.code) for problem in strict_problems(text)}
        found = [problem for problem in found if (problem.pointer, problem.code) not in ours]
        found += strict_problems(text)
    return [problem.under(prefix) for problem in found]


def _root_problems(schema: object, prefix: str) -> Problems:
    if not isinstance(schema, Mapping):
        return
    kind = schema.get("type")
    if kind != "object" and not (isinstance(kind, list) and "object" in kind):
        got = "none" if kind is None else _shown(kind)
        yield ToolProblem(
            f"{prefix}/type" if "type" in schema else prefix,
            f"the parameters of a tool must be of type 'object', got {got}",
            "not_an_object",
            remedy='make the value a property: {"type": "object", "properties": {"value": ...}}',
        )
    elif "properties" not in schema and "$ref" not in schema:
        yield ToolProblem(
            prefix,
            "an object without properties is refused",
            "missing_properties",
            remedy='add "properties": {} for a tool that takes no arguments',
        )


def _not_a_tool(tool: object, error: Exception | None = None) -> ToolProblem:
    # The rest of the text is the tool itself, which may be long and hold what should not be shown.
    why = f": {type(error).__name__}: {str(error).partition(chr(10))[0]}" if error else ""
    return ToolProblem(
        "",
        f"cannot make a tool of a {type(tool).__name__}{why}",
        "not_a_tool",
        remedy="pass a function with type hints and a docstring, a pydantic or TypedDict class, a "
        "LangChain tool, or a dict with a name and a JSON schema",
    )


def _sent_name(tool: ToolLike, problems: list[ToolProblem]) -> str | None:
    if any(problem.code == "not_a_tool" for problem in problems):
        return None
    sent = _as_sent(tool, strict=None) if isinstance(tool, Mapping) else None
    if sent is None:
        named = getattr(tool, "name", None) or getattr(tool, "__name__", None)
        return named if isinstance(named, str) else None
    holder = sent.get(str(sent.get("type")), sent)
    name = holder.get("name") if isinstance(holder, Mapping) else None
    return name if isinstance(name, str) and sent.get("type") in ("function", "custom") else None


def _duplicate(name: str, index: int, first: int) -> ToolProblem:
    return ToolProblem(
        pointer_to((index,)),
        f"a tool named {name!r} is already at position {first}",
        "duplicate_name",
        remedy="rename or remove one of them",
        tool=name,
    )


def _shown(value: object) -> str:
    from langchain_tamma_openai.checks import shown

    return shown(value)
