"""The kept library behind every judgement: `jsonschema`, draft 2020-12, loaded at first use."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from langchain_tamma_openai.tools.problems import ToolProblem, pointer_to

if TYPE_CHECKING:
    from jsonschema.exceptions import ValidationError
    from jsonschema.protocols import Validator

_KEPT_SCHEMAS = 1024
_SHOWN_CHARS = 200
_TYPES = "array, boolean, integer, null, number, object, string"


def schema_text(schema: object) -> str:
    """Write a schema as the text under which what is known of it is kept.

    Args:
        schema: A schema.

    Raises:
        TypeError: It holds what JSON does not have.
        ValueError: The same, or it contains itself.
        RecursionError: It is nested too deeply.
    """
    return json.dumps(schema, allow_nan=False, default=_as_the_sdk_does)


def meta_problems(schema: object) -> Iterator[ToolProblem]:
    """Check a schema against its meta-schema.

    Args:
        schema: A schema; a `$schema` of its own chooses another draft than 2020-12.
    """
    meta = _meta_validator(schema.get("$schema") if isinstance(schema, Mapping) else None)
    checked: Any = schema
    try:
        errors = sorted(meta.iter_errors(checked), key=lambda found: _sortable(found.path))
    except RecursionError:
        yield ToolProblem(
            "",
            "the schema is broken somewhere and nested too deeply to say where",
            "invalid_schema",
            remedy="make it flatter",
        )
        return
    for error in errors:
        yield ToolProblem(
            pointer_to(error.absolute_path),
            _meta_message(error),
            "invalid_schema",
            remedy="correct it: it is no valid JSON Schema",
        )


def argument_errors(text: str, instance: Any) -> list[ValidationError]:
    """Check a value against a schema.

    Args:
        text: The schema, as `schema_text` writes it.
        instance: The value.

    Returns:
        Every reason against it, in the order of the value; none when it is valid.
    """
    found = _validator(text).iter_errors(instance)
    return sorted(found, key=lambda error: _sortable(error.absolute_path))


@lru_cache(maxsize=_KEPT_SCHEMAS)
def _validator(text: str) -> Validator:
    from jsonschema import Draft202012Validator
    from jsonschema.validators import extend, validator_for
    from referencing import Registry

    schema = json.loads(text)
    draft: Any = validator_for(schema, default=Draft202012Validator)
    # Without a registry of its own the library would fetch remote references over the network.
    reading: type[Validator] = extend(draft, {"pattern": _pattern})  # type: ignore[no-untyped-call]
    return reading(schema, registry=Registry())


@lru_cache(maxsize=8)
def _meta_validator(dialect: object) -> Validator:
    from jsonschema import Draft202012Validator
    from jsonschema.validators import validator_for

    draft = validator_for({"$schema": dialect}, default=Draft202012Validator)
    meta: Any = draft.META_SCHEMA
    return draft(meta)


def compiled_pattern(pattern: str) -> re.Pattern[str] | None:
    r"""Compile the regular expression of a schema; None when Python cannot read it.

    Args:
        pattern: ECMA 262; what Python's `re` lacks (`\p{L}`) is read by the `regex` package.
    """
    return _compiled(pattern)


@lru_cache(maxsize=_KEPT_SCHEMAS)
def _compiled(pattern: str) -> re.Pattern[str] | None:
    try:
        return re.compile(pattern)
    except (re.error, OverflowError, RecursionError):
        pass
    import regex  # type: ignore[import-untyped]  # comes with tiktoken

    try:
        return regex.compile(pattern)  # type: ignore[no-any-return]
    except (regex.error, OverflowError, RecursionError):
        return None


def _pattern(
    _validator: Validator, pattern: str, instance: object, _schema: Mapping[str, Any]
) -> Iterator[ValidationError]:
    """Judge `pattern` as the library does, but read more patterns and never fail on one."""
    from jsonschema.exceptions import ValidationError

    compiled = compiled_pattern(pattern) if isinstance(instance, str) else None
    if compiled is not None and not compiled.search(str(instance)):
        yield ValidationError(f"{instance!r} does not match {pattern!r}")


def _meta_message(error: ValidationError) -> str:
    if error.absolute_path and error.absolute_path[-1] == "type":
        return (
            f"{short(repr(error.instance))} is no type or list of types of JSON Schema ({_TYPES})"
        )
    return short(error.message)


def short(text: str, limit: int = _SHOWN_CHARS) -> str:
    """Cut a text that may be as long as the value it quotes."""
    return text if len(text) <= limit else f"{text[:limit]}..."


def _sortable(path: Iterable[str | int]) -> list[tuple[bool, int, str]]:
    return [
        (isinstance(step, str), 0 if isinstance(step, str) else step, str(step)) for step in path
    ]


def _as_the_sdk_does(value: object) -> object:
    from datetime import datetime

    from pydantic import BaseModel

    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json", by_alias=True)
    raise TypeError(f"{type(value).__name__} is not a JSON value")
