"""After a stream broke: continue it, ask again, or raise; and no text is ever delivered twice.

`recovery_for` is the decision. `Regeneration` reads the second answer: it keeps back what the
caller has already seen, hands out what comes after, and raises where the two answers differ.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Literal, TypeVar, cast

from langchain_core.messages import AIMessageChunk
from langchain_core.messages.ai import UsageMetadata, add_usage
from langchain_core.messages.base import merge_content
from langchain_core.messages.tool import ToolCallChunk, tool_call_chunk
from langchain_core.outputs import ChatGenerationChunk
from langchain_core.utils._merge import merge_dicts, merge_lists

from langchain_tamma_openai.resilience.classify import ErrorClassifier
from langchain_tamma_openai.wire.chunks import StrictAIMessageChunk, generation_chunk

if TYPE_CHECKING:
    from langchain_tamma_openai.errors import StreamInterruptedError

__all__ = [
    "Recovery",
    "Regeneration",
    "StreamRecovery",
    "can_regenerate",
    "is_passing",
    "recovery_for",
]

Chunk = TypeVar("Chunk", ChatGenerationChunk, AIMessageChunk)
_Json = dict[str, Any]

StreamRecovery = Literal["resume", "regenerate", "raise"]
"""What to do when a stream breaks after the caller has seen something of it."""

_CLASSIFIER = ErrorClassifier()
_IDENTITIES = frozenset({"id", "call_id"})
# Everything else (reasoning, built-in tools) is known to the server by an id that the next turn
# sends back, and cannot be put together from two answers.
_REPEATABLE_BLOCKS = frozenset({"text", "refusal", "function_call"})
_REPEATABLE_KWARGS = frozenset({"refusal", "function_call"})


class Recovery(StrEnum):
    """What to do about a broken stream."""

    RESUME = "resume"
    RESTART = "restart"
    REGENERATE = "regenerate"
    RAISE = "raise"


def recovery_for(
    mode: StreamRecovery,
    error: StreamInterruptedError,
    *,
    seen: bool,
    can_resume: bool,
    tries_left: int,
) -> Recovery:
    """Decide what to do about a broken stream.

    Args:
        mode: What the user wants.
        error: How it broke.
        seen: Whether the caller has seen something of it; never so where only the whole message
            is handed out.
        can_resume: Whether the server can continue it after its last event.
        tries_left: Requests that the retry policy still allows.

    Returns:
        ``resume`` and ``restart`` are invisible to the caller. ``regenerate`` needs a
        `Regeneration` over the new stream, and `can_regenerate` of what was delivered.
    """
    if tries_left < 1 or not is_passing(error):
        return Recovery.RAISE
    if can_resume and mode != "raise":
        return Recovery.RESUME
    if not seen:
        return Recovery.RESTART
    return Recovery.REGENERATE if mode == "regenerate" else Recovery.RAISE


def is_passing(error: StreamInterruptedError) -> bool:
    """Whether the same request may succeed now, apart from what was delivered.

    Args:
        error: How a stream broke.
    """
    cause = error.__cause__
    if not isinstance(cause, Exception) or error.is_retryable:
        return True
    # An event that could not be read says nothing about the request.
    return isinstance(cause, ValueError) or _CLASSIFIER.classify(cause).retryable


def can_regenerate(delivered: Iterable[ChatGenerationChunk | AIMessageChunk]) -> bool:
    """Whether a second answer could continue what was delivered.

    Args:
        delivered: The chunks that the caller has seen.

    Returns:
        True for text, refusals and function calls; False once reasoning, an item of a built-in
        tool or audio was among them.
    """
    for chunk in delivered:
        message = _message(chunk)
        if message.additional_kwargs.keys() - _REPEATABLE_KWARGS:
            return False
        for block in message.content:
            if isinstance(block, dict) and block.get("type") not in _REPEATABLE_BLOCKS:
                return False
    return True


class Regeneration:
    """Reads the stream of a second answer to a call whose first one broke off.

    Feed it every chunk in order, then call `finish`. It holds everything back until the new answer
    has caught up with all that was delivered, tool arguments included; ids of the new answer give
    way to those that the caller knows.
    """

    def __init__(
        self,
        delivered: Iterable[ChatGenerationChunk | AIMessageChunk],
        interruption: StreamInterruptedError,
    ) -> None:
        """Remember what must not be delivered again.

        Args:
            delivered: The chunks that the caller has seen, in order.
            interruption: How the first answer broke; raised if the second one differs.
        """
        self._old = _Parts()
        for chunk in delivered:
            self._old = self._old.plus(_Parts.of(chunk))
        self._interruption = interruption
        self._new: _Parts | None = _Parts()
        self._tool_ids = _known_ids(self._old.tools)
        self._block_ids = _known_ids(self._old.content)
        for index, ids in self._tool_ids.items():
            self._block_ids[index] = {"call_id": ids.get("id"), **self._block_ids.get(index, {})}

    @property
    def matched(self) -> bool:
        """Whether the new answer has caught up with what was delivered."""
        return self._new is None

    def feed(self, chunk: Chunk) -> list[Chunk]:
        """Take one chunk of the new answer.

        Args:
            chunk: The next one.

        Returns:
            What the caller has not seen yet: nothing, or one chunk.

        Raises:
            StreamInterruptedError: The new answer differs from what was delivered.
        """
        parts = _Parts.of(chunk)
        if self._new is None:
            adopted = self._adopted(parts)
            return [chunk if adopted == parts else adopted.build(chunk)]
        self._new = self._new.plus(parts)
        try:
            if _lacks(self._old.body(), self._new.body()):
                return []
            rest = self._new.beyond(self._old)
        except _DifferentError:
            self._give_up("the new answer differs from what was delivered")
        self._new = None
        rest = self._adopted(rest)
        return [rest.build(chunk)] if rest.says_something else []

    def finish(self) -> None:
        """Make sure that the new answer reached the end of what was delivered.

        Raises:
            StreamInterruptedError: It ended before.
        """
        if self._new is not None:
            self._give_up("the new answer is shorter than what was delivered")

    def _give_up(self, reason: str) -> None:
        self._interruption.add_note(f"Asked again, but {reason}.")
        raise self._interruption

    def _adopted(self, parts: _Parts) -> _Parts:
        """Use the ids that the caller knows, and tell no metadata twice with another value."""
        content = parts.content
        if isinstance(content, list):
            content = [_with_known_ids(block, self._block_ids) for block in content]
        return replace(
            parts,
            content=content,
            tools=[_with_known_ids(tool, self._tool_ids) for tool in parts.tools],
            metadata=_not_contradicting(parts.metadata, self._old.metadata),
            info=_not_contradicting(parts.info, self._old.info),
        )


@dataclass(frozen=True, slots=True)
class _Parts:
    """A chunk taken apart, or several chunks together."""

    content: str | list[Any] = ""
    kwargs: _Json = field(default_factory=dict)
    tools: list[Any] = field(default_factory=list)
    metadata: _Json = field(default_factory=dict)
    info: _Json = field(default_factory=dict)
    usage: UsageMetadata | None = None
    id: str | None = None
    is_last: bool = False

    @classmethod
    def of(cls, chunk: ChatGenerationChunk | AIMessageChunk) -> _Parts:
        message = _message(chunk)
        info = chunk.generation_info if isinstance(chunk, ChatGenerationChunk) else None
        return cls(
            message.content,
            message.additional_kwargs,
            list(message.tool_call_chunks),
            message.response_metadata,
            info or {},
            message.usage_metadata,
            message.id,
            message.chunk_position == "last",
        )

    def plus(self, other: _Parts) -> _Parts:
        return _Parts(
            # Nothing said yet takes the form of what comes.
            merge_content(self.content, other.content) if self.content else other.content,
            merge_dicts(self.kwargs, other.kwargs),
            merge_lists(self.tools, other.tools) or [],
            merge_dicts(self.metadata, other.metadata),
            merge_dicts(self.info, other.info),
            add_usage(self.usage, other.usage) if self.usage or other.usage else None,
            self.id or other.id,
            self.is_last or other.is_last,
        )

    def body(self) -> _Json:
        """Return what the caller reads, and may not read twice."""
        return {"content": self.content, "kwargs": self.kwargs, "tools": self.tools}

    def beyond(self, old: _Parts) -> _Parts:
        """Return what this has and ``old``, which it starts with, has not."""
        return replace(
            self,
            content=_rest(old.content, self.content)
            or ("" if isinstance(self.content, str) else []),
            kwargs=_rest(old.kwargs, self.kwargs) or {},
            tools=_rest(old.tools, self.tools) or [],
        )

    @property
    def says_something(self) -> bool:
        return bool(self.content or self.kwargs or self.tools or self.usage or self.is_last)

    def build(self, like: Chunk) -> Chunk:
        message = StrictAIMessageChunk(
            content=self.content,
            additional_kwargs=self.kwargs,
            tool_call_chunks=[_tool_chunk(tool) for tool in self.tools],
            response_metadata=self.metadata,
            usage_metadata=self.usage,
            id=self.id,
            chunk_position="last" if self.is_last else None,
        )
        if isinstance(like, AIMessageChunk):
            return message
        return generation_chunk(message, str(message.text), self.info or None)


class _DifferentError(Exception):
    """Two answers do not start with the same words."""


def _lacks(old: Any, new: Any) -> bool:
    """Whether ``new``, still growing, does not have all of ``old`` yet.

    Raises:
        _DifferentError: It never will.
    """
    if not old or old == new:
        return False
    if not new:
        return True
    if isinstance(old, str) and isinstance(new, str):
        if not new.startswith(old) and not old.startswith(new):
            raise _DifferentError
        return len(new) < len(old)
    if isinstance(old, dict) and isinstance(new, dict):
        lacking = [_lacks(old[name], new.get(name)) for name in old.keys() - _IDENTITIES]
        return any(lacking)
    if isinstance(old, list) and isinstance(new, list):
        lacking = [_lacks(one, other) for one, other in zip(old, new, strict=False)]
        return any(lacking) or len(new) < len(old)
    raise _DifferentError


def _rest(old: Any, new: Any) -> Any:
    """Return what merges with ``old`` to ``new``, which starts with it; None for nothing."""
    if old == new:
        return None
    if not old:
        return new
    if isinstance(new, str):
        return new[len(old) :]
    if isinstance(new, dict):
        return _rest_of_dict(old, new)
    common = [_rest_of_item(one, other) for one, other in zip(old, new, strict=False)]
    return [item for item in common if item is not None] + new[len(old) :]


def _rest_of_dict(old: _Json, new: _Json) -> _Json | None:
    names = [name for name in new if not (name in _IDENTITIES and old.get(name))]
    rest = {name: _rest(old.get(name), new[name]) for name in names}
    return {name: value for name, value in rest.items() if value not in (None, "", [], {})} or None


def _rest_of_item(old: Any, new: Any) -> Any:
    """Return the rest of one item of a list, which is merged by its index or not at all."""
    rest = _rest(old, new)
    if rest is None:
        return None
    if not isinstance(new, dict) or new.get("index") is None:
        raise _DifferentError
    place = {name: new[name] for name in ("type", "index") if name in new}
    return {**rest, **place}


def _known_ids(items: str | list[Any]) -> dict[object, _Json]:
    """Map the index of each block or tool call to the ids that the caller knows it by."""
    return {
        item.get("index"): {name: item[name] for name in _IDENTITIES if item.get(name)}
        for item in items
        if isinstance(item, dict)
    }


def _with_known_ids(item: Any, known: dict[object, _Json]) -> Any:
    if not isinstance(item, dict):
        return item
    ids = known.get(item.get("index"), {})
    return {name: ids.get(name) or value for name, value in item.items()}


def _not_contradicting(new: _Json, old: _Json) -> _Json:
    return {name: value for name, value in new.items() if name not in old or old[name] == value}


def _tool_chunk(tool: _Json) -> ToolCallChunk:
    return tool_call_chunk(
        name=tool.get("name"), args=tool.get("args"), id=tool.get("id"), index=tool.get("index")
    )


def _message(chunk: ChatGenerationChunk | AIMessageChunk) -> AIMessageChunk:
    found = chunk.message if isinstance(chunk, ChatGenerationChunk) else chunk
    return cast("AIMessageChunk", found)
