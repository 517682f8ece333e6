"""Message chunks for streams: cheap to build, strict about tool arguments when the stream ends."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, Self, cast

from langchain_core.messages import AIMessage, AIMessageChunk, InvalidToolCall, ToolCall
from langchain_core.messages.tool import ToolCallChunk
from langchain_core.messages.tool import invalid_tool_call as make_invalid_tool_call
from langchain_core.messages.tool import tool_call as make_tool_call
from langchain_core.outputs import ChatGenerationChunk
from langchain_core.utils.json import parse_partial_json
from pydantic import model_validator

from langchain_tamma_openai.wire.verdicts import VERDICTS_KEY, judged_calls, sorted_calls


class _WholeMessage(AIMessage):
    """First of the chunk's bases: core turns a chunk into its first base, a plain message."""

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        if cls is _WholeMessage:
            return cast("Self", AIMessage(*args, **_without_verdicts(kwargs)))
        return super().__new__(cls)


def _without_verdicts(fields: dict[str, Any]) -> dict[str, Any]:
    """Leave out what only the merging of chunks needs: a whole message has sorted its calls."""
    metadata = fields.get("response_metadata")
    if not metadata or VERDICTS_KEY not in metadata:
        return fields
    rest = {key: value for key, value in metadata.items() if key != VERDICTS_KEY}
    return {**fields, "response_metadata": rest}


class StrictAIMessageChunk(_WholeMessage, AIMessageChunk):
    """An `AIMessageChunk` whose merged end never repairs tool arguments.

    While a stream runs, `tool_calls` of a merged chunk show the arguments so far, as every
    LangChain model does. Once the last chunk is merged in, arguments that are not strict JSON end
    in `invalid_tool_calls` with the text as it came. In every other respect (equality, `repr`,
    serialised form, pickling) it is an `AIMessageChunk`.
    """

    type: Literal["AIMessageChunk"] = "AIMessageChunk"  # type: ignore[assignment]

    @classmethod
    def lc_id(cls) -> list[str]:
        """Return the serialised identity of `AIMessageChunk`."""
        return AIMessageChunk.lc_id()

    def __eq__(self, other: object) -> bool:
        """Compare with any `AIMessageChunk` by what it holds."""
        if not isinstance(other, AIMessageChunk):
            return NotImplemented
        return self.__dict__ == other.__dict__ and self.model_extra == other.model_extra

    __hash__ = None  # type: ignore[assignment]

    def __repr_name__(self) -> str:
        """Print as the class it stands for."""
        return "AIMessageChunk"

    @model_validator(mode="after")
    def init_tool_calls(self) -> Self:
        """Derive `tool_calls` and `invalid_tool_calls` from the tool call chunks."""
        if not self.tool_call_chunks:
            # the validator of the same name in core, which a checker sees as a decorator object
            super().init_tool_calls()  # type: ignore[operator]
        elif self.chunk_position != "last":
            self.tool_calls, self.invalid_tool_calls = partial_tool_calls(self.tool_call_chunks)
        else:
            judged = judged_calls(
                self.tool_call_chunks, self.response_metadata.get(VERDICTS_KEY, ())
            )
            self.tool_calls, self.invalid_tool_calls = sorted_calls(judged)
            if isinstance(self.content, list):
                _replace_content_blocks(self.content, [each.call for each in judged])
        return self


def _replace_content_blocks(
    content: list[str | dict[Any, Any]], calls: Sequence[ToolCall | InvalidToolCall]
) -> None:
    """Say the same in LangChain's own content blocks as in the lists of calls."""
    places = [
        place
        for place, block in enumerate(content)
        if isinstance(block, dict) and block.get("type") == "tool_call_chunk"
    ]
    by_id = {call["id"]: call for call in calls}
    # Ids may be missing or be given twice; where each call has its block, their order tells.
    ordered = calls if len(calls) == len(places) else None
    for number, place in enumerate(places):
        block = cast("dict[Any, Any]", content[place])
        call = ordered[number] if ordered else by_id.get(block.get("id"))
        if call is not None:
            extras = {"extras": block["extras"]} if "extras" in block else {}
            content[place] = {**call, **extras}


def strict_tool_calls(
    chunks: list[ToolCallChunk],
) -> tuple[list[ToolCall], list[InvalidToolCall]]:
    """Sort finished tool call chunks into valid and invalid calls, by strict JSON alone."""
    return sorted_calls(judged_calls(chunks))


def partial_tool_calls(
    chunks: list[ToolCallChunk],
) -> tuple[list[ToolCall], list[InvalidToolCall]]:
    """Show the calls of a running stream with the arguments so far, as LangChain's core does."""
    valid: list[ToolCall] = []
    invalid: list[InvalidToolCall] = []
    for chunk in chunks:
        args = _partial_arguments(chunk["args"])
        if args is None:
            invalid.append(_invalid(chunk, None))
        else:
            valid.append(make_tool_call(name=chunk["name"] or "", args=args, id=chunk["id"]))
    return valid, invalid


def _partial_arguments(text: str | None) -> dict[str, Any] | None:
    if not text:
        return {}
    # Only an object can become arguments, and core's partial parser tries every prefix of the rest.
    if not text.lstrip().startswith("{"):
        return None
    try:
        parsed = parse_partial_json(text)
    except ValueError:
        return None
    return parsed if isinstance(parsed, dict) else None


def _invalid(chunk: ToolCallChunk, reason: str | None) -> InvalidToolCall:
    return make_invalid_tool_call(
        name=chunk["name"], args=chunk["args"], id=chunk["id"], error=reason
    )


_MESSAGE_FIELDS = dict(StrictAIMessageChunk(content="").__dict__)
_GENERATION_FIELDS = dict(ChatGenerationChunk(message=StrictAIMessageChunk(content="")).__dict__)
_CALL_FIELDS_SET = StrictAIMessageChunk(
    content="",
    id=None,
    additional_kwargs={},
    response_metadata={},
    tool_call_chunks=[ToolCallChunk(name="a", args=None, id=None, index=0)],
).__pydantic_fields_set__
_set = object.__setattr__


def text_chunk(text: str, response_metadata: dict[str, Any]) -> ChatGenerationChunk:
    """Build the chunk of one text delta without validation: the hot path of every stream.

    Args:
        text: The delta's text.
        response_metadata: A dict of its own for this chunk; it is not copied.
    """
    fields = _MESSAGE_FIELDS.copy()
    fields["content"] = text
    fields["response_metadata"] = response_metadata
    fields["additional_kwargs"] = {}
    fields["tool_calls"] = []
    fields["invalid_tool_calls"] = []
    fields["tool_call_chunks"] = []
    message = _message(fields, {"content", "response_metadata"})
    return generation_chunk(message, text, None)


def call_chunk(
    chunks: list[ToolCallChunk], response_metadata: dict[str, Any], content: Any = ""
) -> ChatGenerationChunk:
    """Build the chunk of tool call deltas without validation: the hot path of streamed calls.

    Args:
        chunks: The deltas, with a name, arguments and an id that are text or None.
        response_metadata: A dict of its own for this chunk; it is not copied.
        content: Text, or content blocks.
    """
    fields = _MESSAGE_FIELDS.copy()
    fields["content"] = content
    fields["response_metadata"] = response_metadata
    fields["additional_kwargs"] = {}
    fields["tool_call_chunks"] = chunks
    fields["tool_calls"], fields["invalid_tool_calls"] = partial_tool_calls(chunks)
    message = _message(fields, set(_CALL_FIELDS_SET))
    return generation_chunk(message, "", None)


def _message(fields: dict[str, Any], fields_set: set[str]) -> StrictAIMessageChunk:
    message = StrictAIMessageChunk.__new__(StrictAIMessageChunk)
    _set(message, "__dict__", fields)
    _set(message, "__pydantic_fields_set__", fields_set)
    _set(message, "__pydantic_extra__", {})
    _set(message, "__pydantic_private__", None)
    return message


def generation_chunk(
    message: AIMessageChunk, text: str, generation_info: dict[str, Any] | None
) -> ChatGenerationChunk:
    """Wrap a message chunk for LangChain's core without validating it a second time."""
    fields = _GENERATION_FIELDS.copy()
    fields["text"] = text
    fields["message"] = message
    fields["generation_info"] = generation_info
    generation = ChatGenerationChunk.__new__(ChatGenerationChunk)
    _set(generation, "__dict__", fields)
    _set(generation, "__pydantic_fields_set__", {"message", "text", "generation_info"})
    _set(generation, "__pydantic_extra__", None)
    _set(generation, "__pydantic_private__", None)
    return generation
