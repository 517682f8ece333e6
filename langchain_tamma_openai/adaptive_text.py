"""The text of the last thing that a user said, whatever form the message has."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from langchain_core.messages import BaseMessage, ChatMessage, HumanMessage

_TEXT_KEYS = ("text", "input_text")
_USER_ROLES = ("user", "human")


def last_user_text(messages: object) -> str:
    """Give the text of the last user message; empty when there is none.

    Args:
        messages: A string, or messages as LangChain takes them: message objects, dicts with a
            role, and pairs `(role, content)`. Content may be text or any list of blocks.
    """
    if isinstance(messages, str):
        return messages
    if not isinstance(messages, Sequence):
        return ""
    for message in reversed(messages):
        content = _user_content(message)
        if content is not None:
            return "\n".join(_texts(content))
    return ""


def _user_content(message: object) -> object:
    """Give the content of a user's message; None for anything else."""
    role, content = _role_and_content(message)
    return content if role in _USER_ROLES else None


def _role_and_content(message: object) -> tuple[object, object]:
    if isinstance(message, BaseMessage):
        role = message.role if isinstance(message, ChatMessage) else message.type
        return ("user" if isinstance(message, HumanMessage) else role), message.content
    if isinstance(message, Mapping):
        return message.get("role", message.get("type")), message.get("content")
    if isinstance(message, tuple) and len(message) == 2:  # noqa: PLR2004 - (role, content)
        return message
    return "user", message if isinstance(message, str) else None


def _texts(content: object) -> Iterator[str]:
    if isinstance(content, str):
        yield content
    elif isinstance(content, Mapping):
        yield from _block_text(content)
    elif isinstance(content, Sequence):
        for block in content:
            yield from _texts(block)


def _block_text(block: Mapping[str, object]) -> Iterator[str]:
    """Give the text of a block: of any type that has one, and of blocks in a wrapper."""
    for key in _TEXT_KEYS:
        if isinstance(text := block.get(key), str):
            yield text
            return
    for key in ("content", "value"):
        if isinstance(inner := block.get(key), list | Mapping):
            yield from _texts(inner)
            return
