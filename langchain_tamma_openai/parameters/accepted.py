"""Remembers which sets of parameters were found to be fine, so that the next call asks no more."""

from __future__ import annotations

from collections.abc import Hashable, Mapping

from langchain_tamma_openai.parameters.combinations import chosen_name
from langchain_tamma_openai.parameters.problems import Api
from langchain_tamma_openai.parameters.reading import function_names

_KEPT = 256
# No rule is about what stands in these.
_CONTENT = frozenset(
    {
        "messages",
        "input",
        "instructions",
        "tools",
        "response_format",
        "text_format",
        "extra_body",
    }
)
_SCALARS = frozenset({bool, float, int, str, type(None)})


class AcceptedParameters:
    """Sets of parameters without a problem; whatever is not among them has to be judged.

    What a set is known by leaves the content of messages and the schemas of tools out: no rule
    about parameters reads them. It holds no more than 256 sets.
    """

    __slots__ = ("_keys",)

    def __init__(self) -> None:
        """Begin with none."""
        self._keys: set[Hashable] = set()

    def __contains__(self, key: Hashable) -> bool:
        """Whether that set was accepted before; None, no set, never was."""
        return key in self._keys

    def add(self, key: Hashable) -> None:
        """Remember a set.

        Args:
            key: What `key_of` gave for it; None is not kept.
        """
        if key is None:
            return
        if len(self._keys) >= _KEPT:
            self._keys.clear()
        self._keys.add(key)


ACCEPTED = AcceptedParameters()
"""What the built-in catalogue's rules accepted in this process."""


def key_of(params: Mapping[str, object], api: Api) -> Hashable | None:
    """Give what a set of parameters is known by.

    Args:
        params: The body of a request.
        api: The API that carries it.

    Returns:
        A key that is equal only for sets on which every rule says the same; None for one that has
        to be judged each time.
    """
    tools = params.get("tools")
    choice = params.get("tool_choice")
    if not _is_plain(tools) or (choice is not None and not tools):
        return None
    names: tuple[str, ...] = ()
    if isinstance(choice, Mapping):
        names = tuple(function_names(params))
        if chosen_name(choice) not in names:
            return None
    count = len(tools) if isinstance(tools, list | tuple) else None
    return api, count, names, tuple(map(_part, params.items()))


def _is_plain(tools: object) -> bool:
    """Whether nothing but the number of tools can matter."""
    return tools is None or (isinstance(tools, list) and all(type(tool) is dict for tool in tools))


def _part(item: tuple[str, object]) -> Hashable:
    name, value = item
    if name in _CONTENT:
        return name
    if type(value) in _SCALARS:
        # 1, 1.0 and True are equal, and not the same to a server.
        return name, type(value), value
    if name == "text" and isinstance(value, Mapping):
        value = {key: inner for key, inner in value.items() if key != "format"}
    return name, type(value), repr(value)
