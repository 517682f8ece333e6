"""Chat Completions streams: event payloads in, message chunks out, no I/O.

The decoder touches each event once and keeps only what the end of the stream needs, so that the
cost of an event does not depend on how many came before it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from langchain_core.messages import AIMessageChunk
from langchain_core.messages.tool import ToolCallChunk, tool_call_chunk
from langchain_core.outputs import ChatGenerationChunk
from pydantic_core import from_json

from langchain_tamma_openai.wire.chunks import (
    StrictAIMessageChunk,
    call_chunk,
    generation_chunk,
    text_chunk,
)
from langchain_tamma_openai.wire.completions import (
    CUSTOM_TOOL_ARGUMENT,
    AnswerFacts,
    complete_usage,
    raise_in_band_error,
    read_usage,
    text_or_none,
)

_DONE = b"[DONE]"


class CompletionsStreamDecoder:
    """Decodes one stream of chat completion chunks.

    Give it the payloads of events in order, then call `finish`. Only the first choice becomes the
    message: a LangChain stream is one message, and text of other choices must not run into it.

    Attributes:
        done: The terminating `[DONE]` event was seen.
        finish_reason: Why the model stopped, once it is known.
        chunks: Every chunk handed out, in order; whoever drives the decoder keeps this list.
    """

    def __init__(
        self,
        *,
        default_model: str,
        output_version: str | None = None,
        first_generation_info: Mapping[str, Any] | None = None,
        takes_no_arguments: Callable[[str], bool] = bool,
    ) -> None:
        """Start a stream.

        Args:
            default_model: The requested model, used where the server names none.
            output_version: LangChain's output version; `"v1"` is noted on every chunk.
            first_generation_info: Entries for the first chunk (response headers, say).
            takes_no_arguments: Tells whether a tool of that name was offered and has no
                parameters, so that empty arguments are whole.
        """
        self.done = False
        self.finish_reason: str | None = None
        self.chunks: list[ChatGenerationChunk] = []
        self._default_model = default_model
        self._metadata: dict[str, Any] = {"model_provider": "openai"}
        if output_version == "v1":
            self._metadata["output_version"] = "v1"
        self._first_generation_info = first_generation_info
        self._raw_usage: dict[str, Any] | None = None
        self._seen: dict[str, Any] = {}
        self._calls = _ToolCallDeltas(takes_no_arguments)

    @property
    def whole(self) -> bool:
        """Whether the model said why it stopped, so that the answer is complete."""
        return self.finish_reason is not None

    def decode(self, payload: bytes) -> ChatGenerationChunk | None:
        """Decode the payload of one event.

        Args:
            payload: One of what `SSEDecoder.feed` returned.

        Returns:
            The chunk it makes, or None where it makes none.

        Raises:
            openai.APIError: The server reported an error inside the stream.
            ValueError: The payload is not the JSON of a stream event.
        """
        if payload.startswith(_DONE):
            self.done = True
            return None
        return self._decode(from_json(payload))

    def resume(self) -> None:
        """Do nothing: Chat Completions cannot continue a stream."""

    def finish(self) -> ChatGenerationChunk:
        """Return the last chunk, which carries the usage and closes the message."""
        message = StrictAIMessageChunk(
            content="",
            response_metadata=self._late_metadata(),
            usage_metadata=self.facts.usage_metadata,
            tool_call_chunks=self._calls.closing_chunks(),
        )
        message.chunk_position = "last"
        return generation_chunk(message, "", None)

    @property
    def response_id(self) -> str | None:
        """The server's id of the answer, once it is known."""
        return text_or_none(self._seen.get("id"))

    @property
    def facts(self) -> AnswerFacts:
        """What pricing needs to know, as far as the stream has told."""
        tier = self._seen.get("service_tier")
        usage, tokens = read_usage(self._raw_usage, tier)
        model = self._seen.get("model") or self._default_model
        return AnswerFacts(usage, model, tier, self._seen.get("created"), tokens)

    @property
    def text(self) -> str:
        """The text of all chunks so far."""
        return "".join(chunk.text for chunk in self.chunks)

    @property
    def refused(self) -> bool:
        """Whether the model has declined."""
        return any("refusal" in chunk.message.additional_kwargs for chunk in self.chunks)

    @property
    def closing_words(self) -> dict[str, Any]:
        """The id and the raw usage of the answer, as a plain answer's metadata has them."""
        words = {"id": self._seen.get("id"), "token_usage": complete_usage(self._raw_usage)}
        return {name: value for name, value in words.items() if value is not None}

    def _decode(self, event: Any) -> ChatGenerationChunk | None:
        try:
            choice = event["choices"][0]
            delta = choice["delta"]
            (name,) = delta
        except (LookupError, TypeError, ValueError):
            return self._decode_other(event)
        if (
            delta.__class__ is not dict
            or choice.get("finish_reason")
            or choice.get("index")
            or choice.get("logprobs")
            or event.get("usage")
            or self._first_generation_info is not None
        ):
            return self._decode_other(event)
        if name == "content" and (content := delta[name]).__class__ is str:
            return text_chunk(content, self._metadata.copy())
        if name == "tool_calls" and _are_plain(deltas := delta[name]):
            return call_chunk(self._calls.read(deltas), self._metadata.copy())
        return self._decode_other(event)

    def _decode_other(self, event: Any) -> ChatGenerationChunk | None:
        if not isinstance(event, dict):
            raise ValueError(f"a stream event is a JSON {type(event).__name__}, not an object")  # noqa: TRY004 - a wrong value on the wire, not a wrong type in a call
        if error := event.get("error"):
            raise_in_band_error(error)
        self._note(event)
        choice = _first_choice(event.get("choices"))
        if choice is None:
            return None
        return self._choice_chunk(choice, event)

    def _note(self, event: dict[str, Any]) -> None:
        for key in ("id", "model", "service_tier"):
            if isinstance(value := event.get(key), str):
                self._seen[key] = value
        if (created := event.get("created")) is not None:
            self._seen["created"] = created
        if isinstance(usage := event.get("usage"), dict) and usage:
            self._raw_usage = usage

    def _choice_chunk(
        self, choice: dict[str, Any], event: dict[str, Any]
    ) -> ChatGenerationChunk | None:
        generation_info = dict(self._first_generation_info or {})
        self._first_generation_info = None
        if finish_reason := choice.get("finish_reason"):
            self.finish_reason = generation_info["finish_reason"] = str(finish_reason)
            generation_info |= self._served(event)
        if isinstance(logprobs := choice.get("logprobs"), dict) and logprobs:
            generation_info["logprobs"] = logprobs
        delta = choice.get("delta")
        if delta is None:
            # A server that does not stream sends its plain answer, which has a message instead.
            delta = choice.get("message")
        if delta is None and not generation_info:
            return None
        message = self._message(delta or {})
        return generation_chunk(message, str(message.text), generation_info or None)

    def _served(self, event: dict[str, Any]) -> dict[str, Any]:
        names = {"model": "model_name", "system_fingerprint": "", "service_tier": ""}
        served = {
            names[key] or key: value
            for key in names
            if (value := event.get(key)) and isinstance(value, str)
        }
        self._seen["told"] = frozenset(served)
        return served

    def _late_metadata(self) -> dict[str, Any]:
        """Return what came only after the finish reason, so that nothing is told twice."""
        tier = self._seen.get("service_tier")
        if tier and "service_tier" not in self._seen.get("told", ()):
            return {**self._metadata, "service_tier": tier}
        return self._metadata.copy()

    def _message(self, delta: dict[str, Any]) -> AIMessageChunk:
        return StrictAIMessageChunk(
            content=delta.get("content") or "",
            id=delta.get("id"),
            additional_kwargs=_additional_kwargs(delta),
            response_metadata=self._metadata.copy(),
            tool_call_chunks=self._calls.read(delta.get("tool_calls") or ()),
        )


def _are_plain(deltas: Any) -> bool:
    """Whether tool call deltas hold nothing that has to be validated."""
    return (
        isinstance(deltas, list)
        and bool(deltas)
        and all(
            isinstance(delta, dict)
            and isinstance(delta.get("id"), str | None)
            and isinstance(delta.get("function"), dict)
            and "custom" not in delta
            for delta in deltas
        )
    )


def _first_choice(choices: object) -> dict[str, Any] | None:
    if not isinstance(choices, list):
        return None
    for choice in choices:
        if isinstance(choice, dict) and not choice.get("index"):
            return choice
    return None


def _additional_kwargs(delta: dict[str, Any]) -> dict[str, Any]:
    kwargs: dict[str, Any] = {}
    if isinstance(function_call := delta.get("function_call"), dict) and function_call:
        kwargs["function_call"] = {**function_call}
        if "name" in function_call and function_call["name"] is None:
            kwargs["function_call"]["name"] = ""
    if isinstance(refusal := delta.get("refusal"), str) and refusal:
        kwargs["refusal"] = refusal
    if isinstance(audio := delta.get("audio"), dict) and audio:
        kwargs["audio"] = audio
    return kwargs


class _ToolCallDeltas:
    """Reads tool call deltas; remembers one small fact a call, never its arguments."""

    def __init__(self, takes_no_arguments: Callable[[str], bool]) -> None:
        self._takes_no_arguments = takes_no_arguments
        self._names: dict[int, str] = {}
        self._with_arguments: set[int] = set()
        self._custom: set[int] = set()
        self._last_index = -1

    def read(self, deltas: Any) -> list[ToolCallChunk]:
        """Turn the deltas of one event into LangChain's chunks."""
        return [
            chunk
            for delta in deltas
            if isinstance(delta, dict) and (chunk := self._read_one(delta)) is not None
        ]

    def closing_chunks(self) -> list[ToolCallChunk]:
        """Return what makes the merged arguments whole: braces we opened, and `{}` for none."""
        closing = [tool_call_chunk(args='"}', index=index) for index in sorted(self._custom)]
        for index, name in self._names.items():
            if index not in self._with_arguments and self._takes_no_arguments(name):
                closing.append(tool_call_chunk(args="{}", index=index))
        return closing

    def _read_one(self, delta: dict[str, Any]) -> ToolCallChunk | None:
        index = self._index(delta)
        if isinstance(custom := delta.get("custom"), dict):
            return self._custom_chunk(index, delta, custom)
        if not isinstance(function := delta.get("function"), dict):
            return None
        name, args = text_or_none(function.get("name")), function.get("arguments")
        if args is not None and not isinstance(args, str):
            # Some servers send the object itself where the API has a string of JSON.
            args = json.dumps(args)
        if name:
            self._names.setdefault(index, name)
        if args:
            self._with_arguments.add(index)
        return tool_call_chunk(name=name, args=args, id=delta.get("id"), index=index)

    def _index(self, delta: dict[str, Any]) -> int:
        index = delta.get("index")
        if not isinstance(index, int):
            # Some servers leave the index out and send an id with each new call only.
            index = self._last_index + 1 if delta.get("id") else max(self._last_index, 0)
        self._last_index = index
        return index

    def _custom_chunk(
        self, index: int, delta: dict[str, Any], custom: dict[str, Any]
    ) -> ToolCallChunk:
        """Carry free-form input as the pieces of one JSON string, so that merging stays plain."""
        args = json.dumps(custom.get("input") or "")[1:-1]
        if index not in self._custom:
            self._custom.add(index)
            args = f'{{"{CUSTOM_TOOL_ARGUMENT}": "{args}'
        self._with_arguments.add(index)
        return tool_call_chunk(name=custom.get("name"), args=args, id=delta.get("id"), index=index)
