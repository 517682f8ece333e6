"""The variables of a prompt: declared by name or with a default, and compared with its text."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias, cast

from langchain_tamma_openai.checks import shown
from langchain_tamma_openai.prompts.problems import PromptProblem
from langchain_tamma_openai.prompts.values import kind_of, text_of

_SPEC_FIELDS = frozenset({"description", "default", "required"})


@dataclass(frozen=True, slots=True)
class PromptVariable:
    """A variable of a prompt.

    Attributes:
        name: Its name.
        description: What it is for.
        default: Text used when it is not passed; None when it must be.
    """

    name: str
    description: str = ""
    default: str | None = None

    @property
    def required(self) -> bool:
        """Whether it must be passed."""
        return self.default is None


class Variables(Mapping[str, PromptVariable]):
    """The variables of a prompt by name, in the order they were declared; never changed."""

    __slots__ = ("_by_name", "defaults")

    def __init__(self, variables: Iterable[PromptVariable] = ()) -> None:
        """Keep variables.

        Args:
            variables: Variables with different names.
        """
        self._by_name = {variable.name: variable for variable in variables}
        self.defaults = {
            name: variable.default
            for name, variable in self._by_name.items()
            if variable.default is not None
        }

    def __getitem__(self, name: str) -> PromptVariable:
        """Give a variable."""
        return self._by_name[name]

    def __iter__(self) -> Iterator[str]:
        """Go through the names."""
        return iter(self._by_name)

    def __len__(self) -> int:
        """Count them."""
        return len(self._by_name)

    def __hash__(self) -> int:
        """Hash them, as the prompts that hold them can be hashed."""
        return hash(frozenset(self._by_name.values()))

    def __repr__(self) -> str:
        """Show them."""
        return f"Variables({list(self._by_name.values())})"


VariablesLike: TypeAlias = (
    Variables
    | Iterable[str | PromptVariable | Mapping[str, object]]
    | Mapping[str, PromptVariable | Mapping[str, object] | None]
)
"""Names, or names with `description`, `default` and `required`."""


def read_variables(declared: object) -> tuple[Variables, list[PromptProblem]]:
    """Read declared variables.

    Args:
        declared: What stands in the field `variables`; see `VariablesLike`.

    Returns:
        The variables that can be read, and what is wrong with the others.
    """
    if isinstance(declared, Variables):
        return declared, []
    problems: list[PromptProblem] = []
    variables: dict[str, PromptVariable] = {}
    for place, name, spec in _entries(declared, problems):
        variable = _read_one(place, name, spec, problems)
        if variable is not None and variable.name in variables:
            problems.append(PromptProblem("is declared twice", place))
        elif variable is not None:
            variables[variable.name] = variable
    return Variables(variables.values()), problems


def mismatches(declared: Variables, used: Sequence[str], text_field: str) -> list[PromptProblem]:
    """Compare the declared variables with those of the text.

    Args:
        declared: The declared ones.
        used: The names in the text.
        text_field: Name of the field that holds the text.
    """
    unused = [name for name in declared if name not in used]
    undeclared = [name for name in used if name not in declared]
    problems = []
    if unused:
        message = f"not used in {text_field}: {', '.join(unused)}; use them there or remove them"
        problems.append(PromptProblem(message, "variables"))
    if undeclared:
        message = f"used in {text_field} but not declared: {', '.join(undeclared)}"
        problems.append(PromptProblem(message, "variables"))
    return problems


def _entries(
    declared: object, problems: list[PromptProblem]
) -> Iterator[tuple[str, object, object]]:
    """Go through place, name and specification of each declared variable."""
    if isinstance(declared, Mapping):
        for name, spec in declared.items():
            yield f"variables.{name}", name, spec
    elif isinstance(declared, Iterable) and not isinstance(declared, str | bytes):
        for index, entry in enumerate(declared):
            yield from _listed_entry(f"variables[{index}]", entry)
    else:
        expected = "a list of names, or a mapping of names to description and default"
        problems.append(PromptProblem(f"is {kind_of(declared)}, must be {expected}", "variables"))


def _listed_entry(place: str, entry: object) -> Iterator[tuple[str, object, object]]:
    if isinstance(entry, PromptVariable):
        yield place, entry.name, entry
    elif isinstance(entry, Mapping) and "name" in entry:
        spec = {key: value for key, value in entry.items() if key != "name"}
        yield place, entry["name"], spec
    else:
        yield place, entry, None


def _read_one(
    place: str, name: object, spec: object, problems: list[PromptProblem]
) -> PromptVariable | None:
    if not isinstance(name, str) or not name.isidentifier():
        got = shown(name) if isinstance(name, str) else kind_of(name)
        message = f"is {got}, must be a name of letters, digits and underscores"
        problems.append(PromptProblem(message, place))
        return None
    if isinstance(spec, PromptVariable):
        if spec.name == name:
            return spec
        problems.append(PromptProblem(f"is called {spec.name!r} in itself", place))
        return None
    if spec is not None and not isinstance(spec, Mapping):
        message = f"is {kind_of(spec)}, must be a mapping such as {{default: ...}}"
        problems.append(PromptProblem(message, place))
        return None
    found = list(_spec_problems(place, spec or {}))
    problems.extend(found)
    return None if found else _from_spec(name, spec or {})


def _spec_problems(place: str, spec: Mapping[object, object]) -> Iterator[PromptProblem]:
    for key in spec:
        if key not in _SPEC_FIELDS:
            known = ", ".join(sorted(_SPEC_FIELDS))
            yield PromptProblem(f"there is no such field; known fields: {known}", f"{place}.{key}")
    if not isinstance(spec.get("description") or "", str):
        yield PromptProblem("must be text", f"{place}.description")
    required, default = spec.get("required"), spec.get("default")
    if not isinstance(required, bool | None):
        yield PromptProblem("must be true or false", f"{place}.required")
    elif required and default is not None:
        yield PromptProblem("is required and has a default; leave one out", place)
    if default is not None:
        try:
            text_of(default)
        except ValueError as exc:
            yield PromptProblem(str(exc), f"{place}.default")


def _from_spec(name: str, spec: Mapping[object, object]) -> PromptVariable:
    default = spec.get("default")
    if default is None and spec.get("required") is False:
        default = ""
    text = None if default is None else text_of(default)
    return PromptVariable(name, cast("str", spec.get("description") or ""), text)
