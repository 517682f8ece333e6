"""The registry: prompts by id and version, from code, files, LangChain and the LangSmith hub."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeAlias, TypeVar, cast

from langchain_tamma_openai.errors import ConfigurationError, PromptError
from langchain_tamma_openai.prompts.builtin import builtin_shelf
from langchain_tamma_openai.prompts.fields import fields_of, prompt_from_fields, prompts_of_document
from langchain_tamma_openai.prompts.model import (
    Prompt,
    RenderedPrompt,
    SystemPrompt,
    SystemPromptTemplate,
)
from langchain_tamma_openai.prompts.problems import InvalidPromptError, PromptProblem
from langchain_tamma_openai.prompts.references import Reference, parse_reference
from langchain_tamma_openai.prompts.shelf import Shelf, filled

if TYPE_CHECKING:
    from langchain_core.messages import SystemMessage
    from langchain_core.prompts import BasePromptTemplate
    from langchain_core.prompts.message import BaseMessagePromptTemplate
    from langsmith import Client
    from pydantic import GetCoreSchemaHandler
    from pydantic_core import CoreSchema

    from langchain_tamma_openai.prompts.writing import FileFormat

    LangChainForm: TypeAlias = BasePromptTemplate[Any] | BaseMessagePromptTemplate | SystemMessage

StrPath: TypeAlias = str | os.PathLike[str]
Prompts: TypeAlias = list[Prompt]
Names: TypeAlias = list[str]
Problems: TypeAlias = list[PromptProblem]
Paths: TypeAlias = list[Path]
Result = TypeVar("Result")

_SHOWN_IDS = 8


@dataclass(frozen=True, slots=True)
class _Layer:
    """One thing that was put into the registry: prompts made in code, or a path that was loaded."""

    prompts: tuple[Prompt, ...] = ()
    path: str | None = None


@dataclass(frozen=True, slots=True)
class _State:
    """All a registry holds, as one value that is swapped as a whole."""

    shelf: Shelf
    layers: tuple[_Layer, ...]


class PromptRegistry:
    """System prompts by id, with versions.

    Threads may share a registry: reading never waits, and a change is seen as a whole or not at
    all. It can be copied and pickled. Two registries are equal when they hold the same prompts.
    """

    def __init__(
        self, source: StrPath | Mapping[str, object] | None = None, *, builtins: bool = True
    ) -> None:
        """Make a registry.

        Args:
            source: What to `load` at once.
            builtins: Whether it starts with the prompts of the package.

        Raises:
            PromptError: The source cannot be loaded; see `load`.
        """
        shelf = builtin_shelf() if builtins else Shelf()
        self._state = _State(shelf, (_Layer(tuple(shelf)),))
        self._lock = threading.Lock()
        if source is not None:
            self.load(source)

    @classmethod
    def from_dict(cls, source: Mapping[str, object], *, builtins: bool = True) -> Self:
        """Make a registry of plain values, such as `to_dict` gives.

        Args:
            source: See `load`.
            builtins: Whether it starts with the prompts of the package.

        Raises:
            PromptError: A prompt is wrong; all problems are named.
        """
        return cls(source, builtins=builtins)

    def add(
        self,
        prompt: Prompt | Mapping[str, object] | LangChainForm | str | None = None,
        /,
        **fields: Any,
    ) -> Prompt:
        """Add a prompt.

        Without a version it becomes the next one of its id. Adding what the latest version says
        already changes nothing, and so does adding an equal prompt with its version.

        Args:
            prompt: A prompt, its fields as a mapping, a prompt template of LangChain, or an id.
            **fields: Fields of the prompt, or such that replace those of `prompt`: `id`,
                `content` or `template`, `name`, `description`, `category`, `variables`,
                `version`, `template_format`.

        Returns:
            The prompt as it stands in the registry.

        Raises:
            PromptError: A field is wrong, or another prompt has this id and version.
        """
        made = _made(prompt, fields)
        return self._change(lambda state: _with_prompts(state, [made]))[0]

    def get(self, reference: str, version: int | None = None) -> Prompt:
        """Give a prompt.

        Args:
            reference: `id` or `id@latest` for the latest version, `id@3` for one version.
            version: The version, instead of in the reference.

        Raises:
            PromptError: There is no such prompt; close matches are named.
        """
        wanted = parse_reference(reference)
        if version is not None:
            wanted = parse_reference(f"{wanted.id}@{version}")
        return self._state.shelf.find(wanted)

    def resolve(
        self, reference: str, variables: Mapping[str, object] | None = None, /
    ) -> RenderedPrompt:
        """Render a prompt and keep its id, version and hash.

        Args:
            reference: See `get`.
            variables: A value for each variable; those with a default may be left out.

        Raises:
            PromptError: There is no such prompt, or its variables are missing, not known or have
                unusable values; all are named.
        """
        return self.get(reference).resolve(variables)

    def render(
        self, reference: str, variables: Mapping[str, object] | None = None, /, **more: object
    ) -> str:
        """Render a prompt; values come out as they are, in one pass.

        Args:
            reference: See `get`.
            variables: Values by name, for names that cannot be keyword arguments.
            **more: Values by name.

        Raises:
            PromptError: See `resolve`.
        """
        return self.get(reference).render(variables, **more)

    def list(self, category: str | None = None, *, all_versions: bool = False) -> Prompts:
        """List prompts by id.

        Args:
            category: Only this category.
            all_versions: Every version, not only the latest of each id.
        """
        shelf = self._state.shelf
        prompts = shelf if all_versions else (one[-1] for _, one in sorted(shelf.by_id.items()))
        return [one for one in prompts if category is None or one.category == category]

    def versions(self, prompt_id: str) -> Prompts:
        """List the versions of a prompt, oldest first.

        Args:
            prompt_id: Its id.

        Raises:
            PromptError: There is no such prompt.
        """
        shelf = self._state.shelf
        shelf.find(Reference(prompt_id))
        return [*shelf.by_id[prompt_id]]

    def categories(self) -> Names:
        """List the categories in use."""
        return sorted({prompt.category for prompt in self.list()})

    def delete(self, reference: str) -> Prompts:
        """Take a prompt out of the registry. Files stay as they are; `reload` reads them again.

        Args:
            reference: `id` for all versions, `id@3` for one, `id@latest` for the latest.

        Returns:
            What was taken out.

        Raises:
            PromptError: There is no such prompt.
        """
        wanted = parse_reference(reference)
        if reference.endswith("@latest"):
            wanted = replace(wanted, version=self.get(reference).version)
        return self._change(lambda state: _without(state, wanted))

    def load(
        self, source: StrPath | Mapping[str, object] | Iterable[Mapping[str, object]]
    ) -> Prompts:
        """Add all prompts of a file, a directory or plain values, or none of them.

        A file (`.json`, `.yaml`, `.yml`) holds one prompt, a list, a mapping with the one key
        `prompts`, or ids with the other fields. A directory is read with all below it. A path
        that is loaded again replaces what it gave before.

        Args:
            source: A path, or the same as plain values.

        Returns:
            The prompts as they stand in the registry.

        Raises:
            PromptError: Something cannot be read, is wrong or is taken; all problems are named
                with file and field.
            ConfigurationError: A file is YAML, and PyYAML is missing.
        """
        if isinstance(source, str | os.PathLike):
            path = str(Path(source).absolute())
            return self._change(lambda state: _with_path(state, path))
        document = source if isinstance(source, Mapping) else [*source]
        prompts, problems = prompts_of_document(document)
        if problems:
            raise InvalidPromptError(problems)
        return self._change(lambda state: _with_prompts(state, prompts))

    def reload(self) -> Prompts:
        """Read all loaded paths again and swap the prompts in at once.

        The registry is then as if it were made anew in the same steps: what is no longer in the
        files is gone, and prompts made in code stay.

        Returns:
            The latest version of each prompt.

        Raises:
            PromptError: A file is wrong; the registry stays as it was.
        """
        self._change(lambda state: _replayed(state.layers))
        return self.list()

    def check(self, path: StrPath | None = None) -> Problems:
        """Find what is wrong with the files, without changing the registry.

        Args:
            path: A file or directory to check as if it were loaded now; all loaded paths when
                left out.

        Returns:
            All problems; an empty list when everything can be loaded.
        """
        from langchain_tamma_openai.prompts.linting import lint

        state = self._state
        layers = state.layers if path is None else _layers_with(state, str(Path(path).absolute()))
        try:
            fresh, _ = _replayed(layers)
        except InvalidPromptError as exc:
            return [*exc.problems]
        except ConfigurationError as exc:  # PyYAML is missing
            return [PromptProblem(exc.message)]
        return lint(fresh.shelf)

    def save(self, path: StrPath, file_format: FileFormat = "json") -> Paths:
        """Write all prompts, every version, to files that load to an equal registry.

        Each file is replaced as a whole or not at all. In a directory, files that hold these
        prompts already stay as they are, and prompts that are not in the registry are removed.

        Args:
            path: A file that ends in `.json`, `.yaml` or `.yml`, or a directory, which gets a
                file for each prompt.
            file_format: `json` or `yaml`, for new files in a directory.

        Returns:
            The files that were written or removed.

        Raises:
            StorageError: A file cannot be written; all are as they were before.
            PromptError: The directory holds files that cannot be read; nothing was written.
            ConfigurationError: YAML is asked for, and PyYAML is missing.
        """
        from langchain_tamma_openai.prompts.writing import save_prompts

        return save_prompts(self._state.shelf, Path(path), file_format)

    def to_dict(self) -> dict[str, Any]:
        """Give all prompts, every version, as plain values that `load` and `from_dict` take."""
        return {"prompts": [fields_of(prompt) for prompt in self._state.shelf]}

    def pull(self, identifier: str, *, client: Client | None = None, **options: Any) -> Prompt:
        """Add a prompt of the LangSmith hub; it is fetched with LangSmith's own client.

        Args:
            identifier: `name`, `owner/name` or `owner/name:commit`.
            client: A `langsmith.Client`; one is made when left out.
            **options: `id`, `name`, `description`, `category` and `version` of the prompt here
                (the id is the name in the hub when left out). Others go to `Client.pull_prompt`,
                such as `dangerously_pull_public_prompt=True`, which other people's prompts need.

        Returns:
            The prompt as it stands in the registry.

        Raises:
            PromptError: It cannot be fetched, or is no system prompt.
        """
        from langchain_tamma_openai.prompts.hub import pull

        return self.add(pull(identifier, client, options))

    def __contains__(self, reference: object) -> bool:
        """Whether there is a prompt with this id, or this id and version."""
        try:
            self.get(cast("str", reference))
        except PromptError:
            return False
        return True

    def __len__(self) -> int:
        """Count the ids."""
        return len(self._state.shelf.by_id)

    def __iter__(self) -> Iterator[Prompt]:
        """Go through the latest version of each prompt, by id."""
        return iter(self.list())

    def __eq__(self, other: object) -> bool:
        """Whether both hold the same prompts."""
        if not isinstance(other, PromptRegistry):
            return NotImplemented
        return self._state.shelf == other._state.shelf

    __hash__ = None  # type: ignore[assignment]  # it changes

    def __repr__(self) -> str:
        """Show the ids."""
        return f"PromptRegistry({shown_ids(self)})"

    def _repr_html_(self) -> str:
        """Show a table in a notebook."""
        from langchain_tamma_openai.prompts.html import prompts_html

        return prompts_html(self.list())

    def __getstate__(self) -> dict[str, Any]:
        """Leave the lock out of copies and pickles."""
        return {"_state": self._state}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Take a lock of its own."""
        self._state = state["_state"]
        self._lock = threading.Lock()

    @classmethod
    def __get_pydantic_core_schema__(
        cls, source: object, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        """Let a pydantic field hold a registry, as it is."""
        from pydantic_core import core_schema

        return core_schema.is_instance_schema(cls)

    def _change(self, change: Callable[[_State], tuple[_State, Result]]) -> Result:
        """Swap in a new state; when it cannot be made, the old one stays."""
        with self._lock:
            self._state, result = change(self._state)
            return result


def shown_ids(prompts: Iterable[Prompt]) -> str:
    """Name prompts in one short line.

    Args:
        prompts: The prompts.
    """
    ids = [prompt.id for prompt in prompts]
    more = f", and {len(ids) - _SHOWN_IDS} more" if len(ids) > _SHOWN_IDS else ""
    return f"{len(ids)} prompts: {', '.join(ids[:_SHOWN_IDS])}{more}" if ids else "empty"


def _made(prompt: object, fields: dict[str, Any]) -> Prompt:
    """Make a prompt of any of the forms that `add` takes."""
    if isinstance(prompt, SystemPrompt | SystemPromptTemplate):
        return prompt_from_fields({**fields_of(prompt), **fields}) if fields else prompt
    if prompt is None:
        return prompt_from_fields(fields)
    if isinstance(prompt, str):
        return prompt_from_fields({"id": prompt, **fields})
    if isinstance(prompt, Mapping):
        return prompt_from_fields({**prompt, **fields})
    from langchain_tamma_openai.prompts.langchain_forms import from_langchain

    return from_langchain(prompt, fields)


def _with_prompts(state: _State, prompts: Iterable[Prompt]) -> tuple[_State, Prompts]:
    shelf, placed = filled(state.shelf, ((prompt, None) for prompt in prompts))
    # What was there already stays with where it came from, such as a file that may change.
    new = tuple(prompt for prompt in placed if not state.shelf.holds(prompt))
    return _State(shelf, (*state.layers, _Layer(new)) if new else state.layers), placed


def _with_path(state: _State, path: str) -> tuple[_State, Prompts]:
    layers = _layers_with(state, path)
    if len(layers) == len(state.layers):
        fresh, placed_by_path = _replayed(layers)
        return fresh, placed_by_path[path]
    shelf, placed = filled(state.shelf, _read(path))
    return _State(shelf, layers), placed


def _layers_with(state: _State, path: str) -> tuple[_Layer, ...]:
    if any(layer.path == path for layer in state.layers):
        return state.layers
    return (*state.layers, _Layer(path=path))


def _without(state: _State, wanted: Reference) -> tuple[_State, Prompts]:
    shelf, taken = state.shelf.without(wanted)
    layers = tuple(
        replace(layer, prompts=tuple(one for one in layer.prompts if one not in taken))
        for layer in state.layers
    )
    return _State(shelf, layers), [*taken]


def _replayed(layers: tuple[_Layer, ...]) -> tuple[_State, dict[str, Prompts]]:
    """Build the state anew, reading all paths again; say what each path gave."""
    shelf = Shelf()
    placed_by_path: dict[str, Prompts] = {}
    for layer in layers:
        if layer.path is None:
            shelf, _ = filled(shelf, ((prompt, None) for prompt in layer.prompts))
        else:
            shelf, placed_by_path[layer.path] = filled(shelf, _read(layer.path))
    return _State(shelf, layers), placed_by_path


def _read(path: str) -> list[tuple[Prompt, str | None]]:
    from langchain_tamma_openai.prompts.reading import read_prompts

    files, problems = read_prompts(Path(path))
    if problems:
        raise InvalidPromptError(problems)
    return [(prompt, str(file.path)) for file in files for prompt in file.prompts]
