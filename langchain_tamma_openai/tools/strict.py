"""Makes a schema strict where that is possible, and says what stands in the way where it is not."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Mapping
from typing import Any, NoReturn, TypeAlias

from langchain_tamma_openai.tools.problems import (
    ToolProblem,
    errors_among,
    listed,
    pointer_to,
)
from langchain_tamma_openai.tools.schema_checks import is_of_type, takes_null, types_of
from langchain_tamma_openai.tools.schema_walk import (
    Path,
    Schema,
    UnresolvedRefError,
    resolve,
)
from langchain_tamma_openai.tools.strict_merge import merged_objects
from langchain_tamma_openai.tools.strict_rules import DOUBTFUL, FORMATS, LOOKAROUND, is_object

_NULL = {"type": "null"}
_ANNOTATIONS = frozenset(
    {"$comment", "$schema", "deprecated", "discriminator", "examples", "readOnly", "writeOnly"}
)
_SAID_INSTEAD = (
    *sorted(DOUBTFUL),
    "uniqueItems",
    "minProperties",
    "maxProperties",
    "propertyNames",
    "contains",
    "minContains",
    "maxContains",
)
_IMPOSSIBLE = {
    "patternProperties": "property names given by a pattern",
    "prefixItems": "a list with a schema for each place; make it an object",
    "not": "a schema that excludes values",
    "if": "conditions",
    "dependentRequired": "properties that depend on others",
    "dependentSchemas": "schemas that depend on properties",
    "dependencies": "properties that depend on others",
    "unevaluatedItems": "rules for what other schemas leave open",
    "additionalItems": "a list with a schema for each place; make it an object",
}
_JSON_TYPES = ("null", "boolean", "integer", "number", "string", "array", "object")

Rewrite: TypeAlias = Callable[["_Strictness", Path, Schema], None]


def to_strict(schema: Mapping[str, Any] | type) -> dict[str, Any]:
    """Give the strict form of a schema, for `strict=True`.

    Every property becomes required; what was optional may be null instead, which the executor
    takes as "not given". Objects are closed, `oneOf` becomes `anyOf`, references stay. A
    constraint that strict mode lacks (`uniqueItems`, `minLength`, a default) goes into the
    description, where the model still reads it.

    Args:
        schema: A JSON schema of an object, a pydantic class, or a function tool in OpenAI's form,
            whose parameters are made strict and which gets `"strict": True`. It stays as it is.

    Returns:
        A new dict.

    Raises:
        InvalidToolError: Something has no strict form: objects with free keys such as
            `dict[str, int]`, values of any type, lists with a schema for each place, conditions.
            All of them are listed, each with its JSON pointer.
    """
    if isinstance(schema, type):
        return _strict_parameters(_schema_of_class(schema))
    if not isinstance(schema, Mapping):
        _refuse([_impossible((), f"a schema must be a dict or a pydantic class, got {schema!r}")])
    if schema.get("type") == "function":
        return _strict_tool(schema)
    return _strict_parameters(schema)


def _strict_tool(tool: Mapping[str, Any]) -> dict[str, Any]:
    if isinstance(tool.get("function"), Mapping):
        return {**copy.deepcopy(dict(tool)), "function": _strict_function(tool["function"])}
    return _strict_function(tool)


def _strict_function(function: Mapping[str, Any]) -> dict[str, Any]:
    parameters = function.get("parameters") or {"type": "object", "properties": {}}
    strict = _strict_parameters(parameters)
    return {**copy.deepcopy(dict(function)), "parameters": strict, "strict": True}


def _schema_of_class(schema: type) -> dict[str, Any]:
    from pydantic import BaseModel

    if not issubclass(schema, BaseModel):
        _refuse([_impossible((), f"{schema.__name__} is no pydantic class; pass its JSON schema")])
    return schema.model_json_schema()


def _strict_parameters(schema: Mapping[str, Any]) -> dict[str, Any]:
    from langchain_tamma_openai.tools.schema_checks import schema_problems
    from langchain_tamma_openai.tools.strict_rules import strict_problems
    from langchain_tamma_openai.tools.validators import schema_text

    try:
        text = schema_text(schema)
    except (TypeError, ValueError, RecursionError) as error:
        _refuse([_impossible((), f"the schema cannot be written as JSON: {error}")])
    broken = errors_among(schema_problems(text))
    if broken:
        _refuse(broken)
    root = json.loads(text)
    work = _Strictness(json.loads(text))
    try:
        work.make_strict((), root)
    except RecursionError:
        _refuse([_impossible((), "the schema is nested too deeply")])
    problems = work.problems or errors_among(strict_problems(schema_text(root)))
    if problems:
        _refuse(problems)
    return root  # type: ignore[no-any-return]


class _Strictness:
    """One conversion: the schema as it was, for references, and what could not be converted."""

    def __init__(self, original: Schema) -> None:
        self.original = original
        self.problems: list[ToolProblem] = []
        self._unfolding: list[str] = []

    def make_strict(self, path: Path, schema: Schema) -> None:
        """Rewrite a schema in place, the schemas inside it first seen from outside."""
        for keyword in _ANNOTATIONS & schema.keys():
            del schema[keyword]
        if "$ref" in schema and not self._unfold(path, schema):
            return
        self._combine(path, schema)
        self._name_types(path, schema)
        if is_object(schema):
            self._close(path, schema)
        self._say_constraints(schema)
        for keyword, why in _IMPOSSIBLE.items():
            if keyword in schema:
                self.problems.append(_impossible((*path, keyword), f"strict mode lacks {why}"))
        self._go_inside(path, schema)

    def _unfold(self, path: Path, schema: Schema) -> bool:
        """Put the target in the place of a `$ref` that has company or stands at the root."""
        ref = schema["$ref"]
        if path and len(schema) == 1:
            return False
        if ref in self._unfolding:  # recursive: the description beside it has to go
            for keyword in schema.keys() - {"$ref"}:
                del schema[keyword]
            return False
        target = copy.deepcopy(self._target(ref))
        del schema["$ref"]
        beside = dict(schema)
        schema.clear()
        schema.update(target | beside)
        self._unfolding.append(ref)
        self.make_strict(path, schema)
        self._unfolding.pop()
        return False

    def _target(self, ref: str) -> Schema:
        try:
            found = resolve(self.original, ref)
        except UnresolvedRefError:
            return {}
        return found if isinstance(found, dict) else {}

    def _combine(self, path: Path, schema: Schema) -> None:
        if "oneOf" in schema and "anyOf" not in schema:
            schema["anyOf"] = schema.pop("oneOf")
        if "oneOf" in schema:
            self.problems.append(_impossible((*path, "oneOf"), "strict mode has anyOf only"))
        if "allOf" not in schema:
            return
        merged = merged_objects(schema, self.original)
        if merged is None:
            why = "strict mode lacks allOf, and these schemas cannot be written as one"
            self.problems.append(_impossible((*path, "allOf"), why))
        else:
            schema.clear()
            schema.update(merged)

    def _name_types(self, path: Path, schema: Schema) -> None:
        is_empty_root = not path and "properties" not in schema
        if is_empty_root or {"type", "anyOf", "$ref"} & schema.keys():
            return
        values = schema.get("enum", [schema["const"]] if "const" in schema else [])
        if "properties" in schema:
            schema["type"] = "object"
        elif "items" in schema:
            schema["type"] = "array"
        elif values:
            schema["type"] = _types_of_values(values)
        elif not {"allOf", "oneOf", *_IMPOSSIBLE} & schema.keys():
            self.problems.append(_impossible(path, "a value of any type has no strict form"))

    def _close(self, path: Path, schema: Schema) -> None:
        extra = schema.get("additionalProperties")
        is_bare = extra is None and bool(path) and "properties" not in schema
        if is_bare or extra not in (None, False):
            at = path if is_bare else (*path, "additionalProperties")
            why = "an object with free keys has no strict form; make it a list of key and value"
            self.problems.append(_impossible(at, why))
        schema["additionalProperties"] = False
        if schema.get("unevaluatedProperties") is False:
            del schema["unevaluatedProperties"]
        properties: Schema = schema.setdefault("properties", {})
        required = schema.get("required", [])
        for name in properties:
            if name not in required:
                properties[name] = self._nullable(properties[name])
        self.problems += [
            _impossible((*path, "required", at), f"{name!r} is required but not defined")
            for at, name in enumerate(required)
            if name not in properties
        ]
        schema["required"] = list(properties)

    def _nullable(self, schema: object) -> object:
        """Let a value be null, which then means that it is not given."""
        if not isinstance(schema, dict):
            return schema
        if takes_null(schema, self.original):
            return schema
        default = schema.pop("default", None)
        if default is not None:
            _add_to_description(schema, f"null: the default, {json.dumps(default)}")
        types = types_of(schema)
        if types and not {"array", "object"} & set(types) and "const" not in schema:
            schema["type"] = [*types, "null"]
            if "enum" in schema:
                schema["enum"] = [*schema["enum"], None]
            return schema
        if "anyOf" in schema and not types:
            return {**schema, "anyOf": [*schema["anyOf"], _NULL]}
        outside = {key: schema.pop(key) for key in ("title", "description") if key in schema}
        return {"anyOf": [schema, dict(_NULL)], **outside}

    @staticmethod
    def _say_constraints(schema: Schema) -> None:
        said = [keyword for keyword in _SAID_INSTEAD if keyword in schema]
        if schema.get("format", "date") not in FORMATS:
            said.append("format")
        if LOOKAROUND.search(str(schema.get("pattern", ""))):
            said.append("pattern")
        for keyword in said:
            _add_to_description(schema, f"{keyword}: {json.dumps(schema.pop(keyword))}")
        default = schema.pop("default", None)
        if default is not None:
            _add_to_description(schema, f"default: {json.dumps(default)}")

    def _go_inside(self, path: Path, schema: Schema) -> None:
        for keyword in ("properties", "$defs", "definitions"):
            for name, child in schema.get(keyword, {}).items():
                self._enter((*path, keyword, name), child)
        for index, child in enumerate(schema.get("anyOf", ())):
            self._enter((*path, "anyOf", index), child)
        if "items" in schema:
            self._enter((*path, "items"), schema["items"])

    def _enter(self, path: Path, schema: object) -> None:
        if isinstance(schema, dict):
            self.make_strict(path, schema)
        else:
            self.problems.append(_impossible(path, "a value of any type has no strict form"))


def _types_of_values(values: list[object]) -> str | list[str]:
    names = [next(name for name in _JSON_TYPES if is_of_type(value, name)) for value in values]
    distinct = list(dict.fromkeys(names))
    return distinct[0] if len(distinct) == 1 else distinct


def _add_to_description(schema: Schema, fact: str) -> None:
    text = schema.get("description")
    schema["description"] = f"{text} ({fact})" if text else f"({fact})"


def _impossible(path: Path, message: str) -> ToolProblem:
    return ToolProblem(pointer_to(path), message, "no_strict_form")


def _refuse(problems: list[ToolProblem]) -> NoReturn:
    from langchain_tamma_openai.errors import InvalidToolError

    raise InvalidToolError(f"to_strict: {listed(problems)}; leave strict off for this schema")
