"""Reads and changes parameters whatever spelling they have: LangChain's, or that of either API."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from langchain_tamma_openai.models import ModelInfo
from langchain_tamma_openai.parameters.constraints import ALIASES
from langchain_tamma_openai.parameters.problems import UNSET

_NESTED = ("reasoning", "text", "prompt_cache_options")


def flattened(params: Mapping[str, object]) -> Iterator[tuple[str, object]]:
    """Give every parameter that is set, with those inside `reasoning` and the like by a dot."""
    for name, value in params.items():
        if name in _NESTED and isinstance(value, Mapping):
            for key, inner in value.items():
                if inner is not None:
                    yield f"{name}.{key}", inner
        elif value is not None:
            yield name, value


def canonical(path: str) -> str:
    """Give LangChain's name of a parameter."""
    return ALIASES.get(path, path)


def lookup(params: Mapping[str, object], path: str) -> object:
    """Give the value at a dotted path; `UNSET` where there is none or it is None."""
    value: object = params
    for key in path.split("."):
        value = value.get(key) if isinstance(value, Mapping) else None
    return UNSET if value is None else value


def updated(params: Mapping[str, object], fix: Mapping[str, object]) -> dict[str, object]:
    """Copy parameters with new values by dotted path; `UNSET` leaves one out."""
    result = dict(params)
    for path, value in fix.items():
        name, _, key = path.partition(".")
        if not key:
            _set(result, name, value)
            continue
        holder = result.get(name)
        inner = dict(holder) if isinstance(holder, Mapping) else {}
        _set(inner, key, value)
        _set(result, name, inner or UNSET)
    return result


def given_effort(params: Mapping[str, object]) -> tuple[str, object]:
    """Find the reasoning effort: where it stands, and its value (`UNSET` when not given).

    What stands in `reasoning` wins, as it does on the wire.
    """
    nested = lookup(params, "reasoning.effort")
    if nested is not UNSET:
        return "reasoning.effort", nested
    return "reasoning_effort", lookup(params, "reasoning_effort")


def effective_effort(params: Mapping[str, object], info: ModelInfo) -> object:
    """Give the effort the model will use; None where neither request nor catalogue tells."""
    _, given = given_effort(params)
    return info.default_reasoning_effort if given is UNSET else given


def function_names(params: Mapping[str, object]) -> list[str]:
    """List the names of the functions and custom tools of a request, in either API's form."""
    names = []
    for tool in tools_of(params):
        for key in ("function", "custom"):
            holder = tool.get(key) if isinstance(tool.get(key), Mapping) else tool
            name = holder.get("name") if isinstance(holder, Mapping) else None
            if isinstance(name, str) and name not in names:
                names.append(name)
    return names


def tools_of(params: Mapping[str, object]) -> list[Mapping[str, object]]:
    """List the tools of a request that are dicts."""
    tools = params.get("tools")
    if not isinstance(tools, list | tuple):
        return []
    return [tool for tool in tools if isinstance(tool, Mapping)]


def _set(holder: dict[str, object], key: str, value: object) -> None:
    if value is UNSET:
        holder.pop(key, None)
    else:
        holder[key] = value
