"""Where schemas stand inside a schema, and what a `$ref` means; nothing here judges."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias
from urllib.parse import unquote

Schema: TypeAlias = dict[str, Any]
Path: TypeAlias = tuple[str | int, ...]

ONE_SCHEMA = frozenset(
    {
        "additionalItems",
        "additionalProperties",
        "contains",
        "contentSchema",
        "else",
        "if",
        "items",
        "not",
        "propertyNames",
        "then",
        "unevaluatedItems",
        "unevaluatedProperties",
    }
)
SCHEMA_LISTS = frozenset({"allOf", "anyOf", "items", "oneOf", "prefixItems"})
SCHEMA_MAPS = frozenset(
    {"$defs", "definitions", "dependentSchemas", "patternProperties", "properties"}
)


class UnresolvedRefError(LookupError):
    """A `$ref` leads nowhere."""


def subschemas(schema: object) -> Iterator[tuple[Path, object]]:
    """Give every schema inside a schema with its path, itself first, in document order.

    Args:
        schema: A schema of any depth; what stands where a schema should is given as it is.
    """
    waiting: list[tuple[Path, object]] = [((), schema)]
    while waiting:
        path, found = waiting.pop()
        yield path, found
        if isinstance(found, Mapping):
            waiting.extend(reversed([(path + step, child) for step, child in children(found)]))


def children(schema: Mapping[str, Any]) -> Iterator[tuple[Path, object]]:
    """Give the schemas directly inside a schema, each with the steps that lead to it."""
    for keyword, value in schema.items():
        if keyword in SCHEMA_MAPS and isinstance(value, Mapping):
            for name, child in value.items():
                yield (keyword, name), child
        elif keyword in SCHEMA_LISTS and isinstance(value, list):
            for index, child in enumerate(value):
                yield (keyword, index), child
        elif keyword in ONE_SCHEMA:
            yield (keyword,), value


def resolve(root: Schema, ref: str) -> object:
    """Find the schema that a `$ref` inside `root` names.

    Args:
        root: The whole schema.
        ref: A fragment such as `"#/$defs/Point"`, an anchor, or the address of a meta-schema.

    Returns:
        What the pointer leads to.

    Raises:
        UnresolvedRefError: Nothing is there. Nothing is ever fetched.
    """
    if ref == "#":
        return root
    if ref.startswith("#/"):
        return _at_pointer(root, unquote(ref[2:]))
    return _looked_up(root, ref)


def has_own_addresses(root: Schema) -> bool:
    """Tell whether a schema renames parts of itself (`$id`), so that `#` may mean a part."""
    found = subschemas(root)
    return any(path and isinstance(sub, Mapping) and "$id" in sub for path, sub in found)


def _at_pointer(root: object, pointer: str) -> object:
    found = root
    for step in pointer.split("/"):
        name = step.replace("~1", "/").replace("~0", "~")
        if isinstance(found, Mapping) and name in found:
            found = found[name]
        elif isinstance(found, list) and name.isdecimal() and int(name) < len(found):
            found = found[int(name)]
        else:
            raise UnresolvedRefError(pointer)
    return found


def _looked_up(root: Schema, ref: str) -> object:
    from jsonschema_specifications import REGISTRY  # type: ignore[import-untyped]
    from referencing.exceptions import Unresolvable
    from referencing.jsonschema import DRAFT202012

    resource = DRAFT202012.create_resource(root)
    address = resource.id() or ""
    try:
        resolver = REGISTRY.with_resource(address, resource).resolver(address)
        found: object = resolver.lookup(ref).contents
    except (Unresolvable, ValueError) as error:
        raise UnresolvedRefError(ref) from error
    return found
