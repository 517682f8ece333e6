"""Prompts as values: checked when they are made, never changed, equal when they say the same."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, NoReturn, TypeAlias, cast

from langchain_tamma_openai.checks import shown
from langchain_tamma_openai.errors import PromptError
from langchain_tamma_openai.prompts.problems import InvalidPromptError, PromptProblem, located
from langchain_tamma_openai.prompts.references import ID_RULE, MAX_VERSION, is_prompt_id
from langchain_tamma_openai.prompts.syntax import TEMPLATE_FORMATS, Template, TemplateFormat, parse
from langchain_tamma_openai.prompts.values import kind_of, value_problem
from langchain_tamma_openai.prompts.variables import (
    PromptVariable,
    Variables,
    VariablesLike,
    mismatches,
    read_variables,
)

if TYPE_CHECKING:
    from pydantic import GetCoreSchemaHandler
    from pydantic_core import CoreSchema

DEFAULT_CATEGORY = "general"
MAX_TEXT_CHARS = 1_000_000
_SHOWN_TEXT_CHARS = 40


@dataclass(frozen=True, slots=True)
class RenderedPrompt:
    """A prompt ready to be sent, and where it comes from.

    Attributes:
        text: The text.
        id: Id of the prompt; None for text that stands in no registry.
        version: Its version; None for a prompt that stands in no registry.
        hash: Hash of the prompt before its variables were filled in, so that all its uses share
            it; see `SystemPrompt.hash`.
    """

    text: str
    id: str | None = None
    version: int | None = None
    hash: str | None = None

    def trace_metadata(self) -> dict[str, str | int]:
        """Give what a trace needs to find the prompt again; what is not known is left out.

        Returns:
            `prompt_id`, `prompt_version` and `prompt_hash`.
        """
        known = {
            "prompt_id": self.id,
            "prompt_version": self.version,
            "prompt_hash": self.hash,
        }
        return {key: value for key, value in known.items() if value is not None}

    def __repr__(self) -> str:
        """Show where it comes from and how it begins."""
        label = _label(self.id, self.version)
        return f"RenderedPrompt({f'{label}, ' if label else ''}{_opening(self.text)})"


@dataclass(frozen=True, init=False, repr=False)
class _Prompt:
    """What a fixed prompt and a template share."""

    id: str
    name: str
    description: str
    category: str
    variables: Variables
    version: int | None
    _template: Template = field(init=False, compare=False)

    def _settle(self, text_field: str, read_as: TemplateFormat | None, /, **fields: object) -> None:
        """Check all fields together and keep them, or keep nothing.

        Raises:
            InvalidPromptError: A field is wrong.
        """
        problems = [*_field_problems(fields), *_text_problems(text_field, fields[text_field])]
        variables, template = Variables(), Template((), ())
        if not problems:
            text = cast("str", fields[text_field])
            template, variables = _read_text(
                text_field, text, read_as, fields["variables"], problems
            )
        if problems:
            label = fields["id"] if is_prompt_id(fields["id"]) else None
            raise InvalidPromptError(located(problems, prompt=cast("str | None", label)))
        fields["name"] = fields["name"] or fields["id"]
        for name, value in {**fields, "variables": variables, "_template": template}.items():
            object.__setattr__(self, name, value)

    @property
    def text(self) -> str:
        """The text as it was written, variables not filled in."""
        raise NotImplementedError

    @property
    def reference(self) -> str:
        """Id and version, as `PromptRegistry.get` takes them."""
        return self.id if self.version is None else f"{self.id}@{self.version}"

    @cached_property
    def hash(self) -> str:
        """SHA-256 of what decides the rendered text, the same on every machine.

        These are the text, its format, and the names and defaults of the variables. Id, version,
        name, description and category are not among them.
        """
        defaults = sorted((name, spec.default) for name, spec in self.variables.items())
        canonical = json.dumps([self._kind, self.text, defaults], separators=(",", ":"))
        return hashlib.sha256(canonical.encode("ascii")).hexdigest()

    @property
    def _kind(self) -> str:
        return "double-brace" if self.variables else "content"

    def resolve(self, variables: Mapping[str, object] | None = None, /) -> RenderedPrompt:
        """Fill in the variables and keep where the text comes from.

        Args:
            variables: A value for each variable; those with a default may be left out.

        Raises:
            PromptError: Variables are missing, not known or have unusable values; all are named.
        """
        given = checked_variables(variables)
        if given.keys() != self.variables.keys():
            given = self._completed(given)
        try:
            text = self._template.render(given)
        except ValueError:
            self._refuse(given)
        return RenderedPrompt(text, self.id, self.version, self.hash)

    def render(self, variables: Mapping[str, object] | None = None, /, **more: object) -> str:
        """Fill in the variables, verbatim and in one pass.

        Args:
            variables: Values by name, for names that cannot be keyword arguments.
            **more: Values by name.

        Raises:
            PromptError: Variables are missing, not known or have unusable values; all are named.
        """
        given = {**checked_variables(variables), **more} if variables else more
        return self.resolve(given).text

    def _completed(self, given: Mapping[str, object]) -> Mapping[str, object]:
        defaults = self.variables.defaults
        values = {**defaults, **given}
        if values.keys() != self.variables.keys():
            self._refuse(given)
        return values

    def _refuse(self, given: Mapping[str, object]) -> NoReturn:
        problems = list(self._value_problems(given))
        label = _label(self.id, self.version)
        raise PromptError(f"prompt {label}: {'; '.join(problems)}", param="prompt_variables")

    def _value_problems(self, given: Mapping[str, object]) -> Iterator[str]:
        known = self.variables
        missing = [name for name, spec in known.items() if spec.required and name not in given]
        unknown = [name for name in given if name not in known]
        if missing:
            yield f"missing variables: {', '.join(missing)}; pass a value for each"
        if unknown:
            yield f"unknown variables: {', '.join(map(_word, unknown))}; {self._known_text()}"
        for name, value in given.items():
            problem = value_problem(value) if name in known else None
            if problem is not None:
                yield f"variable {name} {problem}"
        yield from self._format_problems(given)

    def _format_problems(self, given: Mapping[str, object]) -> Iterator[str]:
        for _, slot in self._template.slots:
            if slot.name in given and slot.spec and value_problem(given[slot.name]) is None:
                try:
                    slot.fill(given[slot.name])
                except ValueError as exc:
                    yield f"variable {slot.name} cannot be written as {slot.spec!r} ({exc})"

    def _known_text(self) -> str:
        if self.variables:
            return f"it has: {', '.join(self.variables)}"
        if "{{" in self.text:
            return "its content is fixed text; use SystemPromptTemplate, or declare its variables"
        return "it has none"

    def __repr__(self) -> str:
        """Show id, version, variables and how the text begins."""
        names = f", variables={list(self.variables)}" if self.variables else ""
        opening = _opening(self.text)
        return f"{type(self).__name__}({_label(self.id, self.version)}, {opening}{names})"

    def _repr_html_(self) -> str:
        """Show the prompt in a notebook."""
        from langchain_tamma_openai.prompts.html import prompt_html

        return prompt_html(self)

    @classmethod
    def __get_pydantic_core_schema__(
        cls, source: object, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        """Let a pydantic field hold a prompt: it is checked already, and kept as it is."""
        from pydantic_core import core_schema

        return core_schema.is_instance_schema(cls)


@dataclass(frozen=True, init=False, repr=False)
class SystemPrompt(_Prompt):
    """A system prompt of fixed text.

    The content is taken as it is, braces included, unless variables are declared: then each must
    stand in it as ``{{name}}``.

    Attributes:
        id: Id of the prompt.
        content: The text.
        name: Name for people; the id when left out.
        description: What it is for.
        category: What it is listed under.
        variables: Variables by name.
        version: A whole number of at least 1; None until a registry gives the next one.
    """

    content: str

    def __init__(
        self,
        id: str,  # noqa: A002 - the fixed public name
        content: str,
        *,
        name: str | None = None,
        description: str = "",
        category: str = DEFAULT_CATEGORY,
        variables: VariablesLike | None = None,
        version: int | None = None,
    ) -> None:
        """Make a prompt.

        Raises:
            PromptError: Anything about it is wrong; all problems are named with their fields.
        """
        self._settle(
            "content",
            "double-brace" if variables else None,
            id=id,
            content=content,
            name=name,
            description=description,
            category=category,
            variables=variables or (),
            version=version,
        )

    @property
    def text(self) -> str:
        """The content."""
        return self.content


@dataclass(frozen=True, init=False, repr=False)
class SystemPromptTemplate(_Prompt):
    """A system prompt with variables.

    Attributes:
        id: Id of the prompt.
        template: The text, with ``{{name}}`` for a variable; ``{{'{{'}}`` shows ``{{`` itself.
        template_format: `double-brace`, or `f-string` or `mustache` as LangChain has them.
        name: Name for people; the id when left out.
        description: What it is for.
        category: What it is listed under.
        variables: Variables by name. When left out they are those of the template, all required;
            when given they must be exactly those.
        version: A whole number of at least 1; None until a registry gives the next one.
    """

    template: str
    template_format: TemplateFormat

    def __init__(
        self,
        id: str,  # noqa: A002 - the fixed public name
        template: str,
        *,
        name: str | None = None,
        description: str = "",
        category: str = DEFAULT_CATEGORY,
        variables: VariablesLike | None = None,
        version: int | None = None,
        template_format: TemplateFormat = "double-brace",
    ) -> None:
        """Make a template.

        Raises:
            PromptError: Anything about it is wrong; all problems are named with their fields.
        """
        self._settle(
            "template",
            template_format,
            id=id,
            template=template,
            name=name,
            description=description,
            category=category,
            variables=variables,
            version=version,
            template_format=template_format,
        )

    @property
    def text(self) -> str:
        """The template."""
        return self.template

    @property
    def _kind(self) -> str:
        return self.template_format


Prompt: TypeAlias = SystemPrompt | SystemPromptTemplate


def literal_prompt_hash(text: str) -> str:
    """Hash a text as a `SystemPrompt` with this content has it.

    Args:
        text: The text, of any length.
    """
    canonical = json.dumps(["content", text, []], separators=(",", ":"))
    return hashlib.sha256(canonical.encode("ascii")).hexdigest()


def checked_variables(variables: object) -> Mapping[str, object]:
    """Check that values come by name.

    Args:
        variables: What a caller passed; None for none.

    Raises:
        PromptError: It is no mapping.
    """
    if variables is None:
        return {}
    if isinstance(variables, Mapping):
        return variables
    raise PromptError(
        f"prompt_variables: got {kind_of(variables)}, must be a mapping of names to values",
        param="prompt_variables",
    )


def _field_problems(fields: Mapping[str, object]) -> Iterator[PromptProblem]:
    if not is_prompt_id(fields["id"]):
        yield PromptProblem(f"got {_got(fields['id'])}, must be {ID_RULE}", "id")
    for name in ("name", "description", "category"):
        value = fields[name]
        if value is None and name == "name":
            continue
        if not isinstance(value, str):
            yield PromptProblem(f"is {kind_of(value)}, must be text; put it in quotes", name)
        else:
            yield from _unsendable(name, value)
    if fields["category"] == "":
        yield PromptProblem(f"is empty; leave it out for {DEFAULT_CATEGORY!r}", "category")
    yield from _version_problems(fields["version"])
    if fields.get("template_format", TEMPLATE_FORMATS[0]) not in TEMPLATE_FORMATS:
        choices = ", ".join(TEMPLATE_FORMATS)
        got = _got(fields["template_format"])
        yield PromptProblem(f"got {got}, must be one of {choices}", "template_format")


def _version_problems(version: object) -> Iterator[PromptProblem]:
    whole = isinstance(version, int) and not isinstance(version, bool)
    if version is not None and not (whole and 1 <= cast("int", version) <= MAX_VERSION):
        message = (
            f"got {_got(version)}, must be a whole number of at least 1; leave it out for the next"
        )
        yield PromptProblem(message, "version")


def _text_problems(text_field: str, text: object) -> Iterator[PromptProblem]:
    if not isinstance(text, str):
        yield PromptProblem(f"is {kind_of(text)}, must be text", text_field)
    elif not text.strip():
        yield PromptProblem("is empty", text_field)
    elif len(text) > MAX_TEXT_CHARS:
        message = f"has {len(text):,} characters, at most {MAX_TEXT_CHARS:,} are allowed"
        yield PromptProblem(message, text_field)
    else:
        yield from _unsendable(text_field, text)


def _unsendable(field_name: str, text: str) -> Iterator[PromptProblem]:
    try:
        text.encode()
    except UnicodeEncodeError as exc:
        message = f"has half of a surrogate pair at character {exc.start + 1}, which is no text"
        yield PromptProblem(message, field_name)


def _read_text(
    text_field: str,
    text: str,
    template_format: TemplateFormat | None,
    declared: object,
    problems: list[PromptProblem],
) -> tuple[Template, Variables]:
    """Read the template, and its variables against the declared ones."""
    if template_format is None:
        return Template((text,), ()), Variables()
    template, mistakes = parse(text, template_format)
    problems.extend(PromptProblem(mistake, text_field) for mistake in mistakes)
    if declared is None:
        return template, Variables(map(PromptVariable, template.names))
    variables, wrong = read_variables(declared)
    problems.extend(wrong)
    if not problems:
        problems.extend(mismatches(variables, template.names, text_field))
        problems.extend(_default_problems(template, variables))
    return template, variables


def _default_problems(template: Template, variables: Variables) -> Iterator[PromptProblem]:
    for _, slot in template.slots:
        default = variables.defaults.get(slot.name)
        if default is not None:
            try:
                slot.fill(default)
            except ValueError as exc:
                message = f"cannot be written as {slot.spec!r} ({exc}); a default is text"
                yield PromptProblem(message, f"variables.{slot.name}.default")


def _label(prompt_id: str | None, version: int | None) -> str:
    return f"{prompt_id or ''}{'' if version is None else f'@{version}'}"


def _opening(text: str) -> str:
    return shown(text[:_SHOWN_TEXT_CHARS]) + ("..." if len(text) > _SHOWN_TEXT_CHARS else "")


def _got(value: object) -> str:
    return shown(value) if isinstance(value, str | int | float) else kind_of(value)


def _word(name: object) -> str:
    return name if isinstance(name, str) and name.isidentifier() else shown(name)
