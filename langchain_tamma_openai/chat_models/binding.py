"""`bind_tools`: what a model is told about tools, on every call of the bound model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

from langchain_tamma_openai.chat_models.mixin import Mixin

if TYPE_CHECKING:
    from langchain_core.language_models import LanguageModelInput
    from langchain_core.messages import AIMessage
    from langchain_core.runnables import Runnable

    from langchain_tamma_openai.wire.response_format import ResponseFormat, Schema
    from langchain_tamma_openai.wire.tools import ToolChoice, ToolLike


class ToolBindingMixin(Mixin):
    """Adds `bind_tools` to the chat model."""

    def bind_tools(
        self,
        tools: Sequence[ToolLike],
        *,
        tool_choice: ToolChoice = None,
        strict: bool | None = None,
        parallel_tool_calls: bool | None = None,
        response_format: Schema | None = None,
        **kwargs: Any,
    ) -> Runnable[LanguageModelInput, AIMessage]:
        """Bind tools to this model.

        Args:
            tools: Functions, pydantic or TypedDict classes, LangChain tools, dicts, or OpenAI's
                built-in tools.
            tool_choice: Name of the tool to call, `"auto"`, `"none"`, `"any"`, `"required"` or
                `True` (some tool), a dict in OpenAI's form; `None` or `False` leaves it to the API.
            strict: Ask for arguments that match the schema exactly; None leaves it to the API,
                but is True beside a `response_format`, which OpenAI accepts only with strict tools.
            parallel_tool_calls: False allows one call at a time; None leaves it to the API.
            response_format: Schema of the answer when the model calls no tool.
            **kwargs: Sent with every call.

        Returns:
            The model with the tools bound.

        Raises:
            InvalidToolError: A tool or the tool choice cannot be sent; it says which and why.
            InvalidParameterError: The response format is no schema.
        """
        from langchain_tamma_openai.tools.definitions import check_tools
        from langchain_tamma_openai.wire.tools import tools_to_openai

        if parallel_tool_calls is not None:
            kwargs["parallel_tool_calls"] = parallel_tool_calls
        if response_format and strict is not False and not self.use_responses_api:
            strict = True
        converted = tools_to_openai(tools, strict=strict)
        if chosen := _choice(tool_choice, converted):
            kwargs["tool_choice"] = chosen
        check_tools(converted)
        if response_format:
            kwargs["response_format"] = _bound_format(response_format, strict=strict)
        bound = self.bind(tools=converted, **kwargs)
        return cast("Runnable[LanguageModelInput, AIMessage]", bound)

    def _filter_disabled_params(self, **kwargs: Any) -> dict[str, Any]:
        """Leave out parameters that the user disabled, altogether or for the given value."""
        disabled = self.disabled_params
        if not disabled:
            return kwargs
        return {key: value for key, value in kwargs.items() if not _is_off(disabled, key, value)}


def _is_off(disabled: dict[str, Any], key: str, value: object) -> bool:
    return key in disabled and (disabled[key] is None or value in disabled[key])


def _choice(tool_choice: ToolChoice, tools: list[dict[str, Any]]) -> str | dict[str, Any] | None:
    """Convert the choice; the types of bound built-in tools, dated ones too, can be chosen."""
    if not tool_choice:
        return None
    from langchain_tamma_openai.wire.tools import (
        BUILT_IN_TOOLS,
        tool_choice_to_openai,
        tool_names,
    )

    bound_types = {tool["type"] for tool in tools if "type" in tool} - {"function", "custom"}
    return tool_choice_to_openai(tool_choice, tool_names(tools), BUILT_IN_TOOLS | bound_types)


def _bound_format(response_format: Schema, *, strict: bool | None) -> ResponseFormat:
    """Convert a response format, or one as agents give it: a schema wrapped like OpenAI's form."""
    from langchain_tamma_openai.wire.response_format import response_format_to_openai

    inner = response_format.get("json_schema") if isinstance(response_format, dict) else None
    wrapped = isinstance(response_format, dict) and response_format.get("type") == "json_schema"
    if not wrapped or not isinstance(inner, dict) or "schema" not in inner:
        return response_format_to_openai(response_format, strict=strict)
    return response_format_to_openai(_titled(inner), strict=inner.get("strict"))


def _titled(wrapped: dict[str, Any]) -> dict[str, Any]:
    """Give a schema without a name of its own the name of its wrapper."""
    schema: dict[str, Any] = wrapped["schema"]
    if "name" in wrapped and isinstance(schema, dict) and not {"title", "name"} & schema.keys():
        return {"title": wrapped["name"], **schema}
    return schema
