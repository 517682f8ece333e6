"""JSON and YAML text into plain values: nothing is executed, expanded without bound or lost."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from langchain_tamma_openai.checks import shown
from langchain_tamma_openai.errors import ConfigurationError

if TYPE_CHECKING:
    import yaml

MAX_JSON_BYTES = 16 * 1024 * 1024
MAX_YAML_BYTES = 1024 * 1024
_MAX_NODES = 100_000
_TOO_DEEP = "is nested too deeply for a prompt"


class UnreadableTextError(ValueError):
    """A text that is not JSON or YAML as prompts need it; the message says where and why."""


def parse_json(text: str) -> object:
    """Read JSON.

    Args:
        text: The text.

    Raises:
        UnreadableTextError: It is not valid, or names a field twice.
    """
    try:
        return json.loads(text, object_pairs_hook=_mapping, parse_constant=_no_constant)
    except json.JSONDecodeError as exc:
        place = f"line {exc.lineno}, column {exc.colno}"
        raise UnreadableTextError(f"is not valid JSON ({place}: {exc.msg})") from None
    except RecursionError:
        raise UnreadableTextError(_TOO_DEEP) from None
    except UnreadableTextError:
        raise
    except ValueError as exc:  # a number with more digits than Python converts
        raise UnreadableTextError(f"is not valid JSON ({exc})") from None


def parse_yaml(text: str) -> object:
    """Read YAML with the safe loader of PyYAML.

    Args:
        text: The text.

    Raises:
        ConfigurationError: PyYAML is missing.
        UnreadableTextError: It is not valid, names a field twice, refers to itself, or would
            become very large when its aliases are written out.
    """
    library = import_yaml()
    try:
        return _load_yaml(library, text)
    except library.YAMLError as exc:
        raise UnreadableTextError(f"is not valid YAML{_yaml_place(exc)}") from None
    except RecursionError:
        raise UnreadableTextError(_TOO_DEEP) from None
    except UnreadableTextError:
        raise
    except (ValueError, OverflowError) as exc:  # dates and numbers that are none
        raise UnreadableTextError(f"has a value that cannot be read ({shown(str(exc))})") from None


def import_yaml() -> Any:
    """Load PyYAML.

    Raises:
        ConfigurationError: It is not installed.
    """
    try:
        import yaml
    except ImportError:
        raise ConfigurationError(
            "prompts in YAML files need PyYAML: pip install 'langchain-tamma-openai[yaml]'"
        ) from None
    return yaml


def _load_yaml(library: Any, text: str) -> object:
    loader = library.SafeLoader(text)
    try:
        node = loader.get_single_node()
        if node is None:
            return None
        _check_nodes(node)
        return loader.construct_document(node)
    finally:
        loader.dispose()


def _mapping(pairs: list[tuple[str, object]]) -> dict[str, object]:
    _refuse_twice(name for name, _ in pairs)
    return dict(pairs)


def _refuse_twice(names: Iterable[str], place: str = "") -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise UnreadableTextError(f"names the field {shown(name)} twice{place}")
        seen.add(name)


def _no_constant(name: str) -> object:
    raise UnreadableTextError(f"holds {name}, which is not JSON")


def _check_nodes(root: yaml.Node) -> None:
    """Refuse a tree of nodes that grows beyond bounds, before anything is built of it."""
    sizes: dict[int, int] = {}
    _size(root, sizes, set())
    if sizes[id(root)] > _MAX_NODES:
        raise UnreadableTextError(f"has more than {_MAX_NODES:,} values, aliases written out")


def _size(node: yaml.Node, sizes: dict[int, int], above: set[int]) -> int:
    if id(node) in above:
        raise UnreadableTextError(f"refers to itself (line {node.start_mark.line + 1})")
    if id(node) not in sizes:
        above.add(id(node))
        sizes[id(node)] = 1 + sum(_size(child, sizes, above) for child in _children(node))
        above.discard(id(node))
    return sizes[id(node)]


def _children(node: yaml.Node) -> list[yaml.Node]:
    import yaml

    if not isinstance(node, yaml.CollectionNode):
        return []
    if not isinstance(node, yaml.MappingNode):
        return list(node.value)
    keys = [str(key.value) for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
    _refuse_twice(keys, f" (line {node.start_mark.line + 1})")
    return [child for pair in node.value for child in pair]


def _yaml_place(exc: Exception) -> str:
    mark = getattr(exc, "problem_mark", None)
    what = getattr(exc, "problem", None) or ""
    if mark is None:
        return f" ({shown(str(exc))})"
    return f" (line {mark.line + 1}, column {mark.column + 1}: {what})"
