"""How function tools are shown to a model: as TypeScript, whose tokens are what is billed.

OpenAI has not documented this. The rendering was inferred from billed token counts and checked
against the API for gpt-3.5-turbo, gpt-4, gpt-4o and gpt-4o-mini; for newer models it is an
assumption. A `const` beside a type is not shown; descriptions inside nested objects are (they were
not by the models of June 2023).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

Schema = Mapping[str, Any]

_SIMPLE = {
    "string": "string",
    "number": "number",
    "integer": "number",
    "boolean": "boolean",
    "null": "null",
}
_NESTED_INDENT = 2


def functions_prompt(functions: Sequence[Mapping[str, Any]]) -> str:
    """Render function definitions the way the model sees them.

    Args:
        functions: Definitions with `name`, and optionally `description` and `parameters`.
    """
    lines = ["namespace functions {", ""]
    for function in functions:
        lines += _function_lines(function)
    return "\n".join([*lines, "} // namespace functions"])


def _function_lines(function: Mapping[str, Any]) -> Iterator[str]:
    name = function.get("name", "")
    parameters = function.get("parameters") or {}
    if function.get("description"):
        yield f"// {function['description']}"
    if parameters.get("properties"):
        yield f"type {name} = (_: {{"
        yield _properties(parameters, 0)
        yield "}) => any;"
    else:
        yield f"type {name} = () => any;"
    yield ""


def _properties(schema: Schema, indent: int) -> str:
    required = schema.get("required") or ()
    lines = []
    for name, prop in (schema.get("properties") or {}).items():
        part = prop if isinstance(prop, Mapping) else {}
        if part.get("description"):
            lines.append(f"// {part['description']}")
        mark = "" if name in required else "?"
        lines.append(f"{name}{mark}: {_type(part, indent)},")
    return "\n".join(" " * indent + line for line in lines)


def _type(schema: Schema, indent: int) -> str:
    if "enum" in schema:
        return " | ".join(_literal(value) for value in schema["enum"])
    union = schema.get("anyOf") or schema.get("oneOf")
    if union:
        return _union(union, indent)
    if "const" in schema and "type" not in schema:
        return _literal(schema["const"])
    kind = schema.get("type", "object" if "properties" in schema else None)
    if isinstance(kind, list):
        return _union([{**schema, "type": each} for each in kind], indent)
    return _plain_type(str(kind), schema, indent)


def _plain_type(kind: str, schema: Schema, indent: int) -> str:
    if kind == "object":
        return f"{{\n{_properties(schema, indent + _NESTED_INDENT)}\n}}"
    if kind == "array":
        items = schema.get("items")
        return f"{_type(items, indent) if isinstance(items, Mapping) and items else 'any'}[]"
    return _SIMPLE.get(kind, "any")


def _union(schemas: Sequence[Schema], indent: int) -> str:
    return " | ".join(_type(schema, indent) for schema in schemas)


def _literal(value: object) -> str:
    return f'"{value}"' if isinstance(value, str) else json.dumps(value, default=str)
