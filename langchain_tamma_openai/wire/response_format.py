"""Response formats: from a schema in any form to the `response_format` of a request."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NoReturn, TypeAlias, cast

from langchain_core.utils.function_calling import convert_to_openai_function
from langchain_core.utils.pydantic import is_basemodel_subclass
from pydantic import BaseModel, RootModel, create_model

Schema: TypeAlias = dict[str, Any] | type
ResponseFormat: TypeAlias = dict[str, Any] | type[BaseModel]


def is_pydantic_class(schema: object) -> bool:
    """Tell whether a schema is a pydantic class, of version 2 or of the old `pydantic.v1`."""
    return isinstance(schema, type) and is_basemodel_subclass(schema)


def response_format_to_openai(schema: Schema, *, strict: bool | None = None) -> ResponseFormat:
    """Convert a schema to the `response_format` that is bound to a model.

    Args:
        schema: A pydantic class (bound as it is; see `response_format_to_wire`), a TypedDict
            class, a JSON schema with a title, `{"name", "schema"}`, an OpenAI function, or a
            ready `{"type": "json_schema", "json_schema": {...}}`.
        strict: Ask for an answer that matches the schema exactly. None means what the schema
            says, else False.

    Returns:
        The class or the dict to bind.

    Raises:
        InvalidParameterError: The schema has no usable form, or contradicts `strict`.
    """
    if is_pydantic_class(schema):
        return cast("type[BaseModel]", schema)
    if isinstance(schema, dict) and isinstance(schema.get("function"), dict):
        schema = schema["function"]
    ready = _ready(schema)
    if ready is None:
        return {"type": "json_schema", "json_schema": _function_schema(schema, strict=strict)}
    _check_strict(schema, strict=strict)
    return ready


def response_format_to_wire(response_format: object) -> dict[str, Any]:
    """Give the JSON that is sent for a bound `response_format`.

    Args:
        response_format: A dict, sent as it is, or a pydantic (version 2) class or dataclass.

    Returns:
        The dict to send. A class becomes the strict schema that the SDK's `parse` helper sends.

    Raises:
        InvalidParameterError: It is neither, or the class has no JSON schema.
    """
    if isinstance(response_format, dict):
        return response_format
    model = _as_model(response_format)
    schema = {"schema": _strict_schema(model), "name": model.__name__, "strict": True}
    return {"type": "json_schema", "json_schema": schema}


def _as_model(schema: object) -> type[BaseModel]:
    if isinstance(schema, type) and issubclass(schema, BaseModel):
        return schema
    if isinstance(schema, type) and hasattr(schema, "__pydantic_config__"):
        return create_model(schema.__name__, __base__=RootModel[schema])  # type: ignore[valid-type]
    return _refuse(
        f"response_format: got {_name(schema)}, must be a dict or a pydantic (version 2) class; "
        "for other classes use with_structured_output(method='function_calling')"
    )


def _strict_schema(model: type[BaseModel]) -> dict[str, object]:
    from openai import pydantic_function_tool

    try:
        # The SDK's public way to its strict schema; a tool has the same one as a response format.
        return pydantic_function_tool(model)["function"]["parameters"]
    except Exception as error:  # noqa: BLE001 - runs schema hooks of the caller's class
        _refuse(f"response_format: {_name(model)} has no JSON schema: {error}", error)


def _ready(schema: object) -> dict[str, Any] | None:
    """Recognise a schema that already is, or only needs wrapping to be, a response format."""
    if not isinstance(schema, dict):
        return None
    if schema.get("type") == "json_schema" and "json_schema" in schema:
        return schema
    if "name" in schema and "schema" in schema:
        return {"type": "json_schema", "json_schema": schema}
    return None


def _check_strict(schema: Schema, *, strict: bool | None) -> None:
    inner = schema.get("json_schema") if isinstance(schema, dict) else None
    if strict is None or not isinstance(inner, Mapping) or "strict" not in inner:
        return
    if inner["strict"] is not strict:
        _refuse(
            f"strict: the schema says {inner['strict']} and the argument says {strict}; say it in "
            "one place only"
        )


def _function_schema(schema: Schema, *, strict: bool | None) -> dict[str, Any]:
    if strict is None:
        stated = schema.get("strict") if isinstance(schema, dict) else None
        strict = stated if isinstance(stated, bool) else False
    try:
        function = convert_to_openai_function(schema, strict=strict)
        function["schema"] = function.pop("parameters")
    except Exception as error:  # noqa: BLE001 - conversion runs annotations of the caller's class
        _refuse(
            f"response_format: no JSON schema of an object in {_name(schema)}: "
            f"{type(error).__name__}: {error}; pass a pydantic or TypedDict class, or a JSON "
            "schema of type 'object' with a top-level 'title'",
            error,
        )
    return function


def _name(schema: object) -> str:
    if isinstance(schema, type):
        return f"class {schema.__name__}"
    return f"a {type(schema).__name__}"


def _refuse(message: str, cause: BaseException | None = None) -> NoReturn:
    from langchain_tamma_openai.errors import InvalidParameterError

    raise InvalidParameterError(message) from cause
