"""What the chat model does with a system prompt: find it, render it, put it in front. No I/O."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypeAlias, get_args

from langchain_core.messages import BaseMessage, ChatMessage, SystemMessage

from langchain_tamma_openai.checks import shown
from langchain_tamma_openai.errors import PromptError
from langchain_tamma_openai.prompts.model import (
    RenderedPrompt,
    SystemPrompt,
    SystemPromptTemplate,
    checked_variables,
    literal_prompt_hash,
)
from langchain_tamma_openai.prompts.references import looks_like_reference
from langchain_tamma_openai.prompts.registry import PromptRegistry
from langchain_tamma_openai.prompts.values import kind_of

SystemPromptLike: TypeAlias = str | SystemPrompt | SystemPromptTemplate | RenderedPrompt
MergeRule = Literal["prepend", "replace", "keep_both", "error"]
MERGE_RULES: tuple[MergeRule, ...] = get_args(MergeRule)

_BLANK_LINE = "\n\n"
_SYSTEM_ROLES = frozenset({"system", "developer"})
_UNNAMED = "prompt"


def resolve_system_prompt(
    system_prompt: SystemPromptLike | None,
    prompt_variables: Mapping[str, object] | None = None,
    registry: PromptRegistry | None = None,
) -> RenderedPrompt | None:
    """Find and render the system prompt that a model was given.

    One word made of letters, digits, dots, hyphens and underscores, with or without `@version`, is
    a reference and must be in the registry. Any other text is the prompt itself: taken as it is,
    or as a ``{{name}}`` template when variables come with it.

    Args:
        system_prompt: A reference, a text, a prompt, or one that was rendered already.
        prompt_variables: A value for each variable.
        registry: Where references are looked up; the built-in prompts when left out.

    Returns:
        The rendered prompt, or None when there is none.

    Raises:
        PromptError: A reference is not known (close matches are named), variables are missing,
            not known or have unusable values, or there are variables and no prompt.
    """
    variables = checked_variables(prompt_variables)
    if system_prompt is None or isinstance(system_prompt, RenderedPrompt):
        if variables:
            names = ", ".join(map(str, variables))
            what = "no system_prompt" if system_prompt is None else "a prompt rendered already"
            raise PromptError(
                f"prompt_variables: got {names}, but there is {what}; leave them out",
                param="prompt_variables",
            )
        return system_prompt
    if isinstance(system_prompt, SystemPrompt | SystemPromptTemplate):
        return system_prompt.resolve(variables)
    if not isinstance(system_prompt, str):
        raise PromptError(
            f"system_prompt: got {kind_of(system_prompt)}, must be a reference such as "
            "'code-assistant', the text of a prompt, or a SystemPrompt",
            param="system_prompt",
        )
    if looks_like_reference(system_prompt):
        return _looked_up(system_prompt, variables, registry)
    return _literal(system_prompt, variables)


def apply_system_prompt(
    messages: Sequence[BaseMessage], rendered: RenderedPrompt, *, rule: MergeRule = "prepend"
) -> list[BaseMessage]:
    """Put a system prompt in front of a conversation.

    The conversation of a caller may begin with a system message of its own; one further down is a
    part of the conversation and stays where it is. Doing this twice changes nothing.

    Args:
        messages: The conversation; neither it nor its messages are changed.
        rendered: The prompt.
        rule: What happens when the conversation begins with a system (or developer) message.
            `prepend`: both become one message, the prompt first, then a blank line. `keep_both`:
            two messages, the prompt first. `replace`: the caller's takes the prompt's place.
            `error`: it is refused. Where the prompt is sent its text comes first, unchanged, so
            that prompt caching finds the same beginning again.

    Returns:
        A new list.

    Raises:
        PromptError: The rule is `error` and there is such a message, or the rule is not known.
    """
    if rule not in MERGE_RULES:
        choices = ", ".join(MERGE_RULES)
        raise PromptError(f"rule: got {shown(rule)}, must be one of {choices}", param="rule")
    if not rendered.text:
        return [*messages]
    if not messages or not _is_system(messages[0]):
        return [SystemMessage(content=rendered.text), *messages]
    return _merged(messages[0], messages[1:], rendered, rule)


def _merged(
    first: BaseMessage, rest: Sequence[BaseMessage], rendered: RenderedPrompt, rule: MergeRule
) -> list[BaseMessage]:
    if rule == "replace" or _begins_with(first, rendered.text):
        return [first, *rest]
    if rule == "keep_both":
        return [SystemMessage(content=rendered.text), first, *rest]
    if rule == "error":
        raise PromptError(
            f"system_prompt {rendered.id or 'text'}: the messages begin with a system message "
            "already; remove one of them, or choose the rule 'prepend', 'keep_both' or 'replace'",
            param="system_prompt",
        )
    return [_joined(rendered.text, first), *rest]


def _joined(text: str, message: BaseMessage) -> BaseMessage:
    """Put text in front of what a message holds; all else about the message stays."""
    content: str | list[Any]
    if isinstance(message.content, str):
        content = f"{text}{_BLANK_LINE}{message.content}" if message.content.strip() else text
    elif message.content:
        content = [{"type": "text", "text": text + _BLANK_LINE}, *message.content]
    else:
        content = text
    return message.model_copy(update={"content": content})


def _begins_with(message: BaseMessage, text: str) -> bool:
    """Whether a message holds the prompt already, alone or in front of more."""
    content: object = message.content
    if isinstance(content, list):
        first = content[0] if content else ""
        content = first.get("text") if isinstance(first, dict) else first
    return isinstance(content, str) and (content == text or content.startswith(text + _BLANK_LINE))


def _is_system(message: BaseMessage) -> bool:
    if isinstance(message, ChatMessage):
        return message.role in _SYSTEM_ROLES
    return isinstance(message, SystemMessage)


def _looked_up(
    text: str, variables: Mapping[str, object], registry: PromptRegistry | None
) -> RenderedPrompt:
    shelf = PromptRegistry() if registry is None else registry
    try:
        return shelf.get(text).resolve(variables)
    except PromptError as exc:
        if text in shelf:
            raise
        raise PromptError(
            f"system_prompt: {exc.message} (a single word is the id of a prompt; to use "
            f"{shown(text)} itself as the prompt, pass SystemPrompt({_UNNAMED!r}, {shown(text)}))",
            param="system_prompt",
            code=exc.code,
        ) from None


def _literal(text: str, variables: Mapping[str, object]) -> RenderedPrompt:
    if not text.strip():
        raise PromptError(
            "system_prompt: is empty; leave it out to send none", param="system_prompt"
        )
    if not variables:
        return RenderedPrompt(text, hash=literal_prompt_hash(text))
    rendered = SystemPromptTemplate(_UNNAMED, text).resolve(variables)
    return RenderedPrompt(rendered.text, hash=rendered.hash)


__all__ = [
    "MERGE_RULES",
    "MergeRule",
    "RenderedPrompt",
    "SystemPromptLike",
    "apply_system_prompt",
    "resolve_system_prompt",
]
