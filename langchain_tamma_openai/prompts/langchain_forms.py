"""Prompts out of LangChain's prompt templates, with the same variables and the same text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

from langchain_core.messages import BaseMessage, ChatMessage, SystemMessage
from langchain_core.prompts import (
    ChatMessagePromptTemplate,
    ChatPromptTemplate,
    HumanMessagePromptTemplate,
    MessagesPlaceholder,
    PromptTemplate,
    SystemMessagePromptTemplate,
)
from langchain_core.prompts.structured import StructuredPrompt

from langchain_tamma_openai.prompts.fields import prompt_from_fields
from langchain_tamma_openai.prompts.model import Prompt
from langchain_tamma_openai.prompts.problems import InvalidPromptError, PromptProblem
from langchain_tamma_openai.prompts.syntax import TEMPLATE_FORMATS, parse
from langchain_tamma_openai.prompts.values import kind_of

_SYSTEM_ROLES = frozenset({"system", "developer"})


def from_langchain(form: object, fields: Mapping[str, Any]) -> Prompt:
    """Make a prompt of a template of LangChain.

    Args:
        form: A `PromptTemplate`, `SystemMessagePromptTemplate`, `SystemMessage`, or a
            `ChatPromptTemplate` with one system message. Messages of it that only carry what a
            caller says (a placeholder, or a human message that is one variable) are left out.
        fields: The other fields of the prompt; `id` is needed. `variables` may say more about
            the variables, and replaces the partial variables of the template.

    Raises:
        InvalidPromptError: The form holds more than one system prompt, is a jinja2 template, or
            cannot be kept whole for another reason.
    """
    return prompt_from_fields({**_text_fields(form, {}), **fields})


def _text_fields(form: object, partials: Mapping[str, Any]) -> dict[str, Any]:
    if isinstance(form, StructuredPrompt):
        _refuse("carries an output schema, which a system prompt cannot; pass its system message")
    if isinstance(form, PromptTemplate):
        return _template_fields(form, partials)
    if isinstance(form, ChatPromptTemplate):
        return _text_fields(_one_system_message(form), {**partials, **form.partial_variables})
    if isinstance(form, SystemMessagePromptTemplate | ChatMessagePromptTemplate):
        if isinstance(form.prompt, list):
            return _text_fields(_only(form.prompt, "parts in its message"), partials)
        return _text_fields(form.prompt, partials)
    if not isinstance(form, BaseMessage) or not _is_system(form):
        _refuse(f"is {kind_of(form)}, which is no system prompt; pass a PromptTemplate instead")
    return {"content": _message_text(form)}


def _template_fields(form: PromptTemplate, partials: Mapping[str, Any]) -> dict[str, Any]:
    template_format = form.template_format
    if template_format not in TEMPLATE_FORMATS:
        _refuse(
            f"is a {template_format} template, which can run code; "
            "write it with f-string, mustache or {{name}} variables"
        )
    names = parse(form.template, template_format)[0].names
    defaults = {key: value for key, value in partials.items() if key in names}
    defaults.update(form.partial_variables)
    computed = [name for name, value in defaults.items() if callable(value)]
    if computed:
        _refuse(
            f"computes partial variables at each use ({', '.join(computed)}); "
            "remove them and pass their values when rendering"
        )
    order = dict.fromkeys((*names, *defaults))
    variables = {name: {"default": defaults.get(name)} for name in order}
    return {"template": form.template, "template_format": template_format, "variables": variables}


def _one_system_message(form: ChatPromptTemplate) -> object:
    system = [message for message in form.messages if _is_system(message)]
    others = [message for message in form.messages if not _is_system(message)]
    lost = [message for message in others if not _is_input(message)]
    if lost:
        kinds = ", ".join(type(message).__name__ for message in lost)
        _refuse(
            f"has messages besides the system message that would be lost ({kinds}); "
            "pass the system message alone, and send the others with each call"
        )
    return _only(system, "system messages")


def _is_system(message: object) -> bool:
    if isinstance(message, ChatMessage | ChatMessagePromptTemplate):
        return message.role in _SYSTEM_ROLES
    return isinstance(message, SystemMessage | SystemMessagePromptTemplate)


def _is_input(message: object) -> bool:
    """Whether a message only holds the place of what a caller says."""
    if isinstance(message, MessagesPlaceholder):
        return True
    prompt = message.prompt if isinstance(message, HumanMessagePromptTemplate) else None
    if not isinstance(prompt, PromptTemplate) or prompt.template_format not in TEMPLATE_FORMATS:
        return False
    template, mistakes = parse(prompt.template.strip(), prompt.template_format)
    return not mistakes and len(template.pieces) == 1 and len(template.slots) == 1


def _message_text(message: BaseMessage) -> object:
    if isinstance(message.content, str):
        return message.content
    block = _only(message.content, "parts in its message")
    if isinstance(block, dict):
        return block.get("text") if block.get("type") == "text" else _refuse("has no text")
    return block


def _only(found: Sequence[object], what: str) -> object:
    if len(found) != 1:
        _refuse(f"has {len(found)} {what}, must have one")
    return found[0]


def _refuse(problem: str) -> NoReturn:
    raise InvalidPromptError([PromptProblem(problem, "template")])
