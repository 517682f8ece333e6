"""`with_structured_output`: answers as objects, by schema, by tool call or by JSON mode."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any, Literal, NoReturn, TypeAlias, cast

from langchain_core.runnables import Runnable, RunnableMap
from pydantic import BaseModel

from langchain_tamma_openai.chat_models.binding import ToolBindingMixin

if TYPE_CHECKING:
    from langchain_core.language_models import LanguageModelInput

    from langchain_tamma_openai.wire.response_format import Schema
    from langchain_tamma_openai.wire.tools import ToolLike

Method: TypeAlias = Literal["function_calling", "json_mode", "json_schema"]

_METHODS = ("function_calling", "json_mode", "json_schema")


class StructuredOutputMixin(ToolBindingMixin):
    """Adds `with_structured_output` to a chat model that can bind tools."""

    def with_structured_output(
        self,
        schema: Schema | None = None,
        *,
        method: Method = "json_schema",
        include_raw: bool = False,
        strict: bool | None = None,
        tools: list[ToolLike] | None = None,
        **kwargs: Any,
    ) -> Runnable[LanguageModelInput, dict[str, Any] | BaseModel]:
        """Make a model that answers with objects of a schema.

        Args:
            schema: A pydantic class (answers are its instances), or a TypedDict class, JSON schema
                or OpenAI function (answers are dicts). May be left out with `method="json_mode"`.
            method: `"json_schema"` (OpenAI's structured outputs), `"function_calling"` (one forced
                tool call) or `"json_mode"` (any JSON object; the prompt has to describe it).
            include_raw: Answer `{"raw", "parsed", "parsing_error"}`. The raw answer and its usage
                are kept whatever happens: a cut, refused or broken answer is then no exception.
            strict: Ask for an exact match; not with `"json_mode"`.
            tools: Tools the model may call instead of answering (`"json_schema"` only); the parsed
                answer is then None.
            **kwargs: Sent with every call.

        Returns:
            The model with a parser behind it. Reading an answer raises `RefusalError`,
            `OutputTruncatedError`, `ContentFilterError`, or a `MalformedResponseError` that is
            also LangChain's `OutputParserException` (with the text as `llm_output`, and what the
            parser said as its cause).

        Raises:
            InvalidParameterError: A missing or unusable schema, an unknown method, or `strict`
                with `"json_mode"`.
            InvalidToolError: The schema or one of the tools cannot be made into a tool.
        """
        _check_request(schema, method, strict=strict)
        if method == "json_schema" and (obstacle := self._schema_obstacle(schema)):
            warnings.warn(
                f"{obstacle}; using method='function_calling' instead. Pass that method to say so "
                "without this warning.",
                stacklevel=2,
            )
            method = "function_calling"
        bound: Runnable[LanguageModelInput, Any]
        if method == "function_calling":
            arguments = {**_call_arguments(schema, strict=strict), **kwargs}
            arguments = self._filter_disabled_params(**arguments)
            bound = self.bind_tools([cast("Schema", schema)], **arguments)
        elif method == "json_schema":
            arguments = _schema_arguments(cast("Schema", schema), strict=strict, tools=tools)
            bound = self.bind(**{**arguments, **kwargs})
        else:
            traced = _traced(method, schema)
            bound = self.bind(**{"response_format": {"type": "json_object"}, **traced, **kwargs})
        return _with_parser(bound, _parser(schema, method), include_raw=include_raw)

    def _schema_obstacle(self, schema: object) -> str | None:
        """Say why this model or class cannot do `json_schema`, if so."""
        from langchain_tamma_openai.wire.response_format import is_pydantic_class

        if is_pydantic_class(schema) and not _is_model(schema):
            return f"{schema!r} is a pydantic version 1 class, which has no strict schema"
        name = self.model_name or ""
        if name == "gpt-4" or name.startswith(("gpt-3", "gpt-4-")):
            return f"{name} does not know OpenAI's structured outputs"
        return None


def _is_model(schema: object) -> bool:
    return isinstance(schema, type) and issubclass(schema, BaseModel)


def _check_request(schema: object, method: str, *, strict: bool | None) -> None:
    if method not in _METHODS:
        _refuse(f"method: got {method!r}, must be one of {', '.join(map(repr, _METHODS))}")
    if method == "json_mode" and strict is not None:
        _refuse("strict: not available with method='json_mode'; leave it out")
    if method != "json_mode" and schema is None:
        _refuse(f"schema: missing; method={method!r} needs one, only 'json_mode' does without")


def _call_arguments(schema: object, *, strict: bool | None) -> dict[str, Any]:
    return {
        "tool_choice": _tool_name(schema),
        "parallel_tool_calls": False,
        "strict": strict,
        **_traced("function_calling", schema, strict=strict),
    }


def _schema_arguments(
    schema: Schema, *, strict: bool | None, tools: list[ToolLike] | None
) -> dict[str, Any]:
    from langchain_tamma_openai.wire.response_format import response_format_to_openai
    from langchain_tamma_openai.wire.tools import tools_to_openai

    arguments = {
        "response_format": response_format_to_openai(schema, strict=strict),
        **_traced("json_schema", _as_tool(schema), strict=strict),
    }
    if tools:
        arguments["tools"] = tools_to_openai(tools, strict=strict)
    return arguments


def _traced(method: Method, schema: object, **options: Any) -> dict[str, Any]:
    """What LangSmith reads to show the schema of a structured answer."""
    described = {"kwargs": {"method": method, **options}, "schema": schema}
    return {"ls_structured_output_format": described}


def _tool_name(schema: object) -> str:
    from langchain_tamma_openai.wire.tools import tools_to_openai

    (tool,) = tools_to_openai([cast("Schema", schema)])
    if "function" not in tool:
        _refuse(
            f"schema: got a built-in tool ({tool.get('type')!r}), must be the schema of an answer"
        )
    return str(tool["function"]["name"])


def _as_tool(schema: Schema) -> dict[str, Any]:
    """Describe any schema that `response_format_to_openai` takes as a tool."""
    from langchain_core.utils.function_calling import convert_to_openai_tool

    wrapped = schema.get("json_schema") if isinstance(schema, dict) else None
    if not isinstance(wrapped, dict):
        return convert_to_openai_tool(cast("Any", schema))
    described = {key: wrapped[key] for key in ("name", "description") if key in wrapped}
    return {"type": "function", "function": {**described, "parameters": wrapped.get("schema")}}


def _parser(schema: object, method: Method) -> Runnable[Any, Any]:
    from langchain_tamma_openai.chat_models import parsers
    from langchain_tamma_openai.wire.response_format import is_pydantic_class

    if is_pydantic_class(schema):
        if method == "function_calling":
            return parsers.PydanticToolParser(tools=[cast("Any", schema)], first_tool_only=True)
        if method == "json_mode":
            return parsers.PydanticJsonAnswerParser(pydantic_object=cast("Any", schema))
        return parsers.ModelAnswerParser(pydantic_object=cast("type[BaseModel]", schema))
    if method == "function_calling":
        return parsers.ToolObjectParser(key_name=_tool_name(schema), first_tool_only=True)
    return parsers.JsonAnswerParser()


def _with_parser(
    bound: Runnable[LanguageModelInput, Any], parser: Runnable[Any, Any], *, include_raw: bool
) -> Runnable[LanguageModelInput, Any]:
    from langchain_tamma_openai.batches.bound import ModelWithParser

    if not include_raw:
        return ModelWithParser(first=bound, last=parser)
    from langchain_tamma_openai.chat_models.parsers import keeping_raw

    return ModelWithParser(first=RunnableMap(raw=bound), last=keeping_raw(parser))


def _refuse(message: str) -> NoReturn:
    from langchain_tamma_openai.errors import InvalidParameterError

    raise InvalidParameterError(message)
