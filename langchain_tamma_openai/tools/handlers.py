"""What runs when a model calls a tool: any kind of handler, brought into one form."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, TypeAlias

from langchain_core.tools import BaseTool, InjectedToolCallId, StructuredTool, Tool
from langchain_core.tools.base import _is_injected_arg_type, get_all_basemodel_annotations
from pydantic import BaseModel

from langchain_tamma_openai.tools.arguments import judge_call
from langchain_tamma_openai.tools.nulls import without_strict_nulls
from langchain_tamma_openai.tools.schema_walk import Schema

HandlerLike: TypeAlias = "BaseTool | Callable[..., Any]"
Kind: TypeAlias = Literal["sync", "async", "both"]

_ANYTHING: Schema = {"type": "object", "properties": {}, "additionalProperties": True}


@dataclass(frozen=True, slots=True)
class HandlerInfo:
    """One entry of `ToolExecutor.list_handlers()`.

    Attributes:
        name: The name under which a model calls it.
        description: What the tool says of itself.
        kind: Whether it can run in a thread, in an event loop, or both.
        timeout_s: Its own limit in seconds; None when the executor's applies.
    """

    name: str
    description: str
    kind: Kind
    timeout_s: float | None


@dataclass(frozen=True)
class Handler:
    """A tool under the name by which models call it."""

    name: str
    tool: BaseTool
    timeout_s: float | None = None

    @property
    def is_sync(self) -> bool:
        """Whether it has a form that runs in a thread."""
        return not isinstance(self.tool, StructuredTool | Tool) or self.tool.func is not None

    @property
    def is_async(self) -> bool:
        """Whether it has a form of its own that runs in an event loop."""
        if isinstance(self.tool, StructuredTool | Tool):
            return self.tool.coroutine is not None
        return type(self.tool)._arun is not BaseTool._arun  # noqa: SLF001 - the method tools override

    @property
    def info(self) -> HandlerInfo:
        """Describe it."""
        kind: Kind = "sync" if not self.is_async else "both" if self.is_sync else "async"
        return HandlerInfo(self.name, self.tool.description, kind, self.timeout_s)

    @cached_property
    def hidden(self) -> dict[str, bool]:
        """Arguments that the model must not choose, each with whether it must be injected."""
        annotations: Mapping[str, Any] = _annotations(self.tool)
        names = {name for name, kind in annotations.items() if _is_injected_arg_type(kind)}
        names |= self.tool._injected_args_keys  # noqa: SLF001 - no public name says which these are
        return {name: _must_be_given(self.tool, name) for name in sorted(names)}

    @cached_property
    def _schema(self) -> Schema:
        """The schema of what the model may say."""
        schema = self.tool.tool_call_schema
        if isinstance(schema, dict):
            return schema
        return schema.model_json_schema() if issubclass(schema, BaseModel) else schema.schema()

    def arguments(self, said: Mapping[str, Any], injected: Mapping[str, Any]) -> dict[str, Any]:
        """Give the arguments to run with.

        Args:
            said: What the model wrote. Values for hidden arguments are dropped.
            injected: Values by name for hidden arguments.

        Raises:
            ConfigurationError: A hidden argument has neither a value nor a default.
        """
        visible = {name: value for name, value in said.items() if name not in self.hidden}
        given = {name: injected[name] for name in self.hidden if name in injected}
        missing = [name for name, needed in self.hidden.items() if needed and name not in given]
        if missing:
            self._refuse_missing(missing)
        return without_strict_nulls(visible, self._schema) | given

    def reason_against(self, said: Mapping[str, Any]) -> str | None:
        """Judge the arguments of a tool with a plain JSON schema, which LangChain does not."""
        if not isinstance(self.tool.args_schema, dict):
            return None
        args = without_strict_nulls(dict(said), self._schema)
        return judge_call(self.name, args, {self.name: self._schema})

    def _refuse_missing(self, missing: list[str]) -> None:
        from langchain_tamma_openai.errors import ConfigurationError

        names = ", ".join(repr(name) for name in missing)
        example = ", ".join(f'"{name}": ...' for name in missing)
        raise ConfigurationError(
            f"injected: the tool {self.name!r} needs {names}, which the model must not choose; "
            f"pass injected={{{example}}}"
        )


def handler_of(
    handler: HandlerLike, name: str | None, description: str | None, timeout_s: float | None
) -> Handler:
    """Bring a handler into the one form.

    Args:
        handler: A LangChain tool or a function, sync or async.
        name: The name models call; the handler's own when None.
        description: What it does; the handler's own when None.
        timeout_s: Its limit in seconds.

    Raises:
        ConfigurationError: It is neither.
    """
    if isinstance(handler, BaseTool):
        told = {"name": name, "description": description}
        changed = {key: value for key, value in told.items() if value is not None}
        tool = handler.model_copy(update=changed) if changed else handler
        return Handler(tool.name, tool, timeout_s)
    if isinstance(handler, type) or not callable(handler):
        from langchain_tamma_openai.resilience.bounds import refuse

        refuse("handler", handler, "a LangChain tool or a function")
    tool = _tool_of(handler, name, description)
    return Handler(tool.name, tool, timeout_s)


def _tool_of(function: Callable[..., Any], name: str | None, description: str | None) -> BaseTool:
    named = name or getattr(function, "__name__", None) or type(function).__name__
    told = description or inspect.getdoc(function) or named
    is_async = inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(
        getattr(function, "__call__", None)  # noqa: B004 - an object may have an async __call__
    )
    form: dict[str, Any] = {"coroutine": function} if is_async else {"func": function}
    form |= {"name": named, "description": told}
    try:
        if not _takes_any_name(function):
            return StructuredTool.from_function(**form)
    except Exception:  # noqa: BLE001 - a built-in, or annotations that pydantic cannot read
        return StructuredTool(args_schema=_ANYTHING, **form)
    return StructuredTool(args_schema=_ANYTHING, **form)


def _takes_any_name(function: Callable[..., Any]) -> bool:
    parameters = inspect.signature(function).parameters.values()
    return any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in parameters)


def _annotations(tool: BaseTool) -> Mapping[str, object]:
    schema = tool.args_schema
    if schema is None or isinstance(schema, dict):
        return {}
    return get_all_basemodel_annotations(schema)


def _must_be_given(tool: BaseTool, name: str) -> bool:
    """Tell whether a hidden argument lacks a default; the id of the call is always there."""
    annotation: Any = _annotations(tool).get(name)
    if name == "tool_call_id":
        return False
    if annotation is not None and _is_injected_arg_type(annotation, InjectedToolCallId):
        return False
    parameter = _parameters(tool).get(name)
    return parameter is None or parameter.default is inspect.Parameter.empty


def _parameters(tool: BaseTool) -> Mapping[str, inspect.Parameter]:
    function: Any = tool._run  # noqa: SLF001 - the method tools override
    if isinstance(tool, StructuredTool | Tool):
        function = tool.func or tool.coroutine
    return inspect.signature(function).parameters
