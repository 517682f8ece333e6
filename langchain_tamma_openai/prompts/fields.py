"""Prompts as plain mappings, the form they have in files and in `PromptRegistry.to_dict`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Any

from langchain_tamma_openai.prompts.model import (
    DEFAULT_CATEGORY,
    Prompt,
    SystemPrompt,
    SystemPromptTemplate,
)
from langchain_tamma_openai.prompts.problems import InvalidPromptError, PromptProblem, located
from langchain_tamma_openai.prompts.references import is_prompt_id
from langchain_tamma_openai.prompts.values import kind_of
from langchain_tamma_openai.prompts.variables import PromptVariable

_COMMON = ("id", "name", "description", "category", "variables", "version")
_FIELDS = (*_COMMON, "content", "template", "template_format")
_DOCUMENT_FIELD = "prompts"


def prompt_from_fields(fields: Mapping[str, object]) -> Prompt:
    """Make a prompt from its fields.

    Args:
        fields: `id`, either `content` or `template`, and any of `name`, `description`,
            `category`, `variables`, `version` and (of a template) `template_format`. What is None
            counts as left out.

    Raises:
        InvalidPromptError: A field is missing, unknown or wrong; all are named.
    """
    given: dict[str, Any] = {name: value for name, value in fields.items() if value is not None}
    problems = list(_field_problems(given))
    if problems:
        label = given.get("id")
        raise InvalidPromptError(located(problems, prompt=label if is_prompt_id(label) else None))
    return SystemPrompt(**given) if "content" in given else SystemPromptTemplate(**given)


def fields_of(prompt: Prompt) -> dict[str, object]:
    """Give the fields of a prompt; those that have their default are left out.

    Args:
        prompt: The prompt.

    Returns:
        A mapping that `prompt_from_fields` makes an equal prompt of; JSON and YAML can hold it.
    """
    fields: dict[str, object] = {"id": prompt.id, "version": prompt.version}
    fields["name"] = prompt.name if prompt.name != prompt.id else None
    fields["description"] = prompt.description or None
    fields["category"] = prompt.category if prompt.category != DEFAULT_CATEGORY else None
    fields["variables"] = {name: _spec(one) for name, one in prompt.variables.items()} or None
    if isinstance(prompt, SystemPrompt):
        fields["content"] = prompt.content
    else:
        own_format = prompt.template_format
        fields["template_format"] = own_format if own_format != "double-brace" else None
        fields["template"] = prompt.template
    return {name: value for name, value in fields.items() if value is not None}


def prompts_of_document(
    document: object, file: str | None = None
) -> tuple[list[Prompt], list[PromptProblem]]:
    """Read all prompts of a document.

    Args:
        document: One prompt as a mapping, a list of such, a mapping `{"prompts": [...]}`, or a
            mapping of ids to the other fields.
        file: Where it comes from, for the problems.

    Returns:
        The prompts that can be read, and what is wrong with the others.
    """
    prompts: list[Prompt] = []
    problems: list[PromptProblem] = []
    for place, fields in _entries(document):
        try:
            prompts.append(prompt_from_fields(_as_fields(fields, place)))
        except InvalidPromptError as exc:
            problems.extend(located(exc.problems, prompt=place, file=file))
    return prompts, problems


def _entries(document: object) -> Iterator[tuple[str | None, object]]:
    if isinstance(document, Mapping):
        if document.keys() == {_DOCUMENT_FIELD}:
            yield from _entries_of_list(document[_DOCUMENT_FIELD])
        elif document and all(map(_lacks_id, document.values())):
            for prompt_id, fields in document.items():
                yield str(prompt_id), {"id": prompt_id, **fields}
        else:
            yield None, document
    else:
        yield from _entries_of_list(document)


def _lacks_id(fields: object) -> bool:
    return isinstance(fields, Mapping) and "id" not in fields


def _entries_of_list(entries: object) -> Iterator[tuple[str | None, object]]:
    if isinstance(entries, list | tuple):
        for index, entry in enumerate(entries):
            yield f"prompts[{index}]", entry
    else:
        yield None, entries


def _as_fields(entry: object, place: str | None) -> Mapping[str, object]:
    if isinstance(entry, Mapping):
        return entry
    message = f"is {kind_of(entry)}, must be a mapping with id and content (or template)"
    raise InvalidPromptError([PromptProblem(message, prompt=place)])


def _field_problems(given: Mapping[str, object]) -> Iterator[PromptProblem]:
    for name in given:
        if name not in _FIELDS:
            known = get_close_matches(str(name), _FIELDS, n=1)
            hint = f"did you mean {known[0]}?" if known else f"fields are: {', '.join(_FIELDS)}"
            yield PromptProblem(f"there is no such field; {hint}", str(name)[:60])
    if "id" not in given:
        yield PromptProblem("is missing", "id")
    texts = [name for name in ("content", "template") if name in given]
    if not texts:
        yield PromptProblem("one of content (fixed text) and template is missing", "content")
    elif len(texts) > 1:
        yield PromptProblem("content and template are both given; leave one out", "content")
    elif "template_format" in given and "content" in given:
        yield PromptProblem("belongs to template, not to content", "template_format")


def _spec(variable: PromptVariable) -> dict[str, str]:
    spec = {"description": variable.description or None, "default": variable.default}
    return {name: value for name, value in spec.items() if value is not None}
