"""Responses API streams: event payloads in, message chunks out, no I/O.

One small function per kind of event. Each event is touched once, and only small facts about open
items are kept, so that the cost of an event does not depend on how many came before it. What
LangChain can only take whole (built-in tool calls, refusals, code, compaction) comes with the event
that ends it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

from langchain_core.messages.tool import ToolCallChunk, tool_call_chunk
from langchain_core.outputs import ChatGenerationChunk
from pydantic_core import from_json

from langchain_tamma_openai.wire.chunks import (
    StrictAIMessageChunk,
    generation_chunk,
    partial_tool_calls,
    text_chunk,
)
from langchain_tamma_openai.wire.completions import (
    CUSTOM_TOOL_ARGUMENT,
    AnswerFacts,
    raise_in_band_error,
)
from langchain_tamma_openai.wire.responses_items import (
    NATIVE_ITEMS,
    PROVIDER,
    Json,
    annotation_to_langchain,
    without_nulls,
)
from langchain_tamma_openai.wire.responses_output import (
    Schema,
    answer_facts,
    parsed_output,
    raise_if_failed,
    response_metadata,
)
from langchain_tamma_openai.wire.responses_v0 import split_v0

_DONE = b"[DONE]"
_CUSTOM_OPENING = f'{{"{CUSTOM_TOOL_ARGUMENT}": "'
_CUSTOM_CLOSING = '"}'


class ResponsesStreamDecoder:
    """Decodes one stream of Responses API events.

    Give it the events in order, then call `finish`. Chunks merge to the message that the plain call
    would have given, with LangChain's `index` on every block.

    Attributes:
        done: The server said that the stream is over.
        whole: The response came to its end, complete or marked incomplete.
        chunks: Chunks handed out; kept by whoever drives the decoder.
        response_id: Id of the response, once known.
        last_sequence_number: `sequence_number` of the last event, to resume after.
        withheld: Pieces that came of what is handed out whole: a refusal under way.
    """

    def __init__(
        self,
        *,
        default_model: str | None = None,
        output_version: str | None = None,
        schema: Schema | None = None,
        first_metadata: Mapping[str, Any] | None = None,
        first_generation_info: Mapping[str, Any] | None = None,
        takes_no_arguments: Callable[[str], bool] = bool,
        partial_images: bool = False,
    ) -> None:
        """Start a stream.

        Args:
            default_model: The requested model, used in the facts where the server names none.
            output_version: As for `responses_result`.
            schema: As for `responses_result`.
            first_metadata: Entries for the first chunk's `response_metadata` (headers, say).
            first_generation_info: Entries for the first chunk's `generation_info`.
            takes_no_arguments: Tells whether a tool of that name was offered and has no
                parameters, so that empty arguments are whole.
            partial_images: Hand out drafts of generated images, as blocks of type `partial_image`.
        """
        self.done = False
        self.whole = False
        self.chunks: list[ChatGenerationChunk] = []
        self.response_id: str | None = None
        self.last_sequence_number: int | None = None
        self.withheld: list[str] = []
        self._seen_through = -1
        self._default_model = default_model
        self._is_v0 = output_version == "v0"
        self._schema = schema
        self._first_metadata = first_metadata
        self._first_generation_info = first_generation_info
        self._takes_no_arguments = takes_no_arguments
        self._partial_images = partial_images
        self._after_reasoning = False
        self._response: Json = {}
        self._places: dict[str, int] = {}
        self._blocks: dict[tuple[int, int | None], int] = {}
        self._calls: dict[int, tuple[str, bool]] = {}

    def decode(self, payload: bytes) -> ChatGenerationChunk | None:
        """Decode the payload of one event; see `decode_event`.

        Raises:
            ValueError: It is not a JSON object.
        """
        if payload.startswith(_DONE):
            self.done = True
            return None
        event = from_json(payload)
        if not isinstance(event, dict):
            raise ValueError(f"a stream event is a JSON {type(event).__name__}, not an object")  # noqa: TRY004 - a wrong value on the wire, not a wrong type in a call
        return self.decode_event(event)

    def decode_event(self, event: Json) -> ChatGenerationChunk | None:
        """Decode one event.

        Returns:
            Its chunk, or None for an event that adds nothing, an unknown one included. The event
            that ends the response gives none: `done` is set and `finish` has the last chunk.

        Raises:
            openai.APIError: The server reported an error, or the response failed.
            ValueError: The event is not what the API sends.
        """
        sequence_number = event.get("sequence_number")
        if sequence_number is not None:
            if sequence_number <= self._seen_through:
                return None
            self.last_sequence_number = sequence_number
        kind = event.get("type", "")
        try:
            handle = _EVENTS.get(kind)
            return None if handle is None else handle(self, event)
        except (AttributeError, LookupError, TypeError) as error:
            raise ValueError(f"a {kind} event lacks what the API sends with it") from error

    def resume(self) -> None:
        """Expect the rest of the stream on a new connection; events seen before are left out."""
        if self.last_sequence_number is not None:
            self._seen_through = self.last_sequence_number

    def finish(self) -> ChatGenerationChunk:
        """Return the last chunk, which carries usage and metadata and closes the message.

        Raises:
            StreamInterruptedError: The stream ended before the response did.
        """
        if not self.whole:
            from langchain_tamma_openai.errors import StreamInterruptedError

            raise StreamInterruptedError(
                "The stream ended before the response did: no response.completed event came.",
                delivered=bool(self.chunks),
            )
        metadata = response_metadata(self._response, self._first_metadata)
        metadata.pop("id", None)
        unargued = self._calls_without_arguments()
        return self._built(
            [{"type": "function_call", "arguments": "{}", "index": block} for block in unargued],
            tool_call_chunks=[tool_call_chunk(args="{}", index=block) for block in unargued],
            response_metadata=metadata,
            additional_kwargs=parsed_output(self._response, self._schema),
            usage_metadata=self.facts.usage_metadata,
            chunk_position="last",
        )

    @property
    def facts(self) -> AnswerFacts:
        """What pricing needs to know, as far as the stream has told."""
        return answer_facts(self._response, default_model=self._default_model)

    # --- places: which content block an event belongs to ------------------------------------------

    def _place(self, event: Json, item_id: str | None) -> int:
        """Give the output position of an item: the first one said, as later events may differ."""
        position: int = event.get("output_index") or 0
        return position if item_id is None else self._places.setdefault(item_id, position)

    def _block(self, event: Json, part: int | None = None) -> int:
        """Give the stable index of the content block for an item or one of its parts."""
        item_id = event.get("item_id") or (event.get("item") or {}).get("id")
        key = (self._place(event, item_id), part)
        index = self._blocks.get(key)
        if index is None:
            index = self._blocks[key] = len(self._blocks)
        return index

    # --- chunks ----------------------------------------------------------------------------------

    def _metadata(self) -> Json:
        metadata = {"model_provider": PROVIDER}
        if self._first_metadata:
            metadata = {**self._first_metadata, **metadata}
            self._first_metadata = None
        return metadata

    def _delta(
        self, block: Json, text: str = "", pieces: list[ToolCallChunk] | None = None
    ) -> ChatGenerationChunk:
        """Build the chunk of a delta without validation: the hot path of every stream."""
        moves = self._is_v0 and (block["type"] != "text" or "id" in block)
        if moves or self._first_generation_info:
            return self._built([block], tool_call_chunks=pieces or [])
        chunk = text_chunk(text, self._metadata())
        fields = chunk.message.__dict__
        fields["content"] = [block]
        if pieces:
            fields["tool_call_chunks"] = pieces
            fields["tool_calls"], fields["invalid_tool_calls"] = partial_tool_calls(pieces)
            chunk.message.model_fields_set.add("tool_call_chunks")
        return chunk

    def _built(self, blocks: list[Json], **fields: Any) -> ChatGenerationChunk:
        """Build a chunk of any kind."""
        metadata = fields.pop("response_metadata", None) or self._metadata()
        content: Any = blocks
        if self._is_v0:
            content = self._moved_for_v0(blocks, fields)
        message = StrictAIMessageChunk(content=content, response_metadata=metadata, **fields)
        info = dict(self._first_generation_info) if self._first_generation_info else None
        self._first_generation_info = None
        return generation_chunk(message, str(message.text), info)

    def _moved_for_v0(self, blocks: list[Json], fields: Json) -> list[str | Json]:
        parts = split_v0(
            blocks,
            fields.get("id"),
            fields.get("additional_kwargs") or {},
            after_reasoning=self._after_reasoning,
        )
        self._after_reasoning |= "reasoning" in parts.additional_kwargs
        fields["id"], fields["additional_kwargs"] = parts.message_id, parts.additional_kwargs
        return parts.content

    # --- the response as a whole -----------------------------------------------------------------

    def note_response(self, event: Json) -> None:
        """Remember the response of a status event."""
        self._response = event.get("response") or self._response
        self.response_id = self._response.get("id", self.response_id)

    def created(self, event: Json) -> ChatGenerationChunk:
        """Open the message with the id of its response."""
        self.note_response(event)
        metadata = {**self._metadata(), "id": self.response_id}
        return self._built([], id=self.response_id, response_metadata=metadata)

    def ended(self, event: Json) -> None:
        """Note the end of the response, complete or cut short."""
        self.note_response(event)
        self.done = self.whole = True

    def failed(self, event: Json) -> NoReturn:
        """Raise the error of a failed response."""
        self.note_response(event)
        raise_if_failed({**self._response, "status": "failed"})
        raise AssertionError  # pragma: no cover - a failed response always raises

    # --- messages --------------------------------------------------------------------------------

    def text_delta(self, event: Json) -> ChatGenerationChunk:
        """Add a piece of text."""
        delta = event["delta"]
        block = self._block(event, event.get("content_index") or 0)
        return self._delta({"type": "text", "text": delta, "index": block}, delta)

    def text_done(self, event: Json) -> ChatGenerationChunk:
        """Add the item id of a finished text."""
        block = self._block(event, event.get("content_index") or 0)
        return self._delta({"type": "text", "text": "", "id": event.get("item_id"), "index": block})

    def annotation(self, event: Json) -> ChatGenerationChunk:
        """Add a citation to a text."""
        block = self._block(event, event.get("content_index") or 0)
        annotations = [annotation_to_langchain(event["annotation"])]
        return self._delta({"type": "text", "annotations": annotations, "index": block})

    def refusal_delta(self, event: Json) -> None:
        """Keep a piece of a refusal; LangChain has no refusal in pieces."""
        self.withheld.append(event["delta"])

    def refusal_done(self, event: Json) -> ChatGenerationChunk:
        """Add a refusal, whole."""
        self.withheld.clear()
        block = self._block(event, event.get("content_index") or 0)
        refusal = {"type": "refusal", "refusal": event.get("refusal") or ""}
        return self._built([{**refusal, "id": event.get("item_id"), "index": block}])

    def message_added(self, event: Json, item: Json) -> ChatGenerationChunk | None:
        """Name the phase of a message, and in v0 its id."""
        if self._is_v0:
            return self._built([], id=item.get("id"))
        if not item.get("phase"):
            return None
        block = {"type": "text", "text": "", "phase": item["phase"]}
        return self._delta({**block, "index": self._block(event, 0)})

    # --- reasoning -------------------------------------------------------------------------------

    def reasoning_added(self, event: Json, item: Json) -> ChatGenerationChunk:
        """Open a reasoning item; its encrypted content is whole only at its end."""
        block = without_nulls(item)
        block.pop("encrypted_content", None)
        return self._built([{**block, "index": self._block(event)}])

    def summary_part(self, event: Json) -> ChatGenerationChunk:
        """Open a part of a reasoning summary."""
        block = self._summary(event, "")
        return self._built([{**block, "id": event.get("item_id")}])

    def summary_delta(self, event: Json) -> ChatGenerationChunk:
        """Add a piece of a reasoning summary."""
        return self._delta(self._summary(event, event["delta"]))

    def _summary(self, event: Json, text: str) -> Json:
        part = {"index": event.get("summary_index") or 0, "type": "summary_text", "text": text}
        return {"type": "reasoning", "summary": [part], "index": self._block(event)}

    def reasoning_done(self, event: Json, item: Json) -> ChatGenerationChunk | None:
        """Add what a reasoning item only has whole: encrypted content, and open reasoning text."""
        whole = {name: item[name] for name in ("encrypted_content", "content") if item.get(name)}
        if not whole:
            return None
        block = {"type": "reasoning", "id": item.get("id"), "summary": [], **whole}
        return self._built([{**block, "index": self._block(event)}])

    # --- tools -----------------------------------------------------------------------------------

    def function_added(self, event: Json, item: Json) -> ChatGenerationChunk:
        """Open a function call."""
        block = self._block(event)
        name, arguments, call_id = item.get("name"), item.get("arguments"), item.get("call_id")
        content = {
            "type": "function_call",
            "name": name,
            "arguments": arguments,
            "call_id": call_id,
            "id": item.get("id"),
            "index": block,
        }
        kept = {key: item[key] for key in ("namespace", "async") if item.get(key) is not None}
        piece = tool_call_chunk(name=name, args=arguments, id=call_id, index=block)
        self._calls[block] = (name or "", bool(arguments))
        return self._built([{**content, **kept}], tool_call_chunks=[piece])

    def function_delta(self, event: Json) -> ChatGenerationChunk:
        """Add a piece of a function call's arguments."""
        return self._arguments(self._block(event), event["delta"])

    def function_done(self, event: Json, item: Json) -> ChatGenerationChunk | None:
        """Add the arguments of a call of which no piece came."""
        block = self._block(event)
        _, has_arguments = self._calls.get(block, ("", True))
        if has_arguments or not item.get("arguments"):
            return None
        return self._arguments(block, item["arguments"])

    def _arguments(self, block: int, text: str) -> ChatGenerationChunk:
        self._calls[block] = ("", True)
        content = {"type": "function_call", "arguments": text, "index": block}
        return self._delta(content, pieces=[tool_call_chunk(args=text, index=block)])

    def _calls_without_arguments(self) -> list[int]:
        """List the blocks of calls that came empty, of tools that have no parameters."""
        return [
            block
            for block, (name, has_arguments) in self._calls.items()
            if not has_arguments and name and self._takes_no_arguments(name)
        ]

    def custom_added(self, event: Json, item: Json) -> ChatGenerationChunk:
        """Open a custom tool call: its input becomes the one string argument of a tool call."""
        block = self._block(event)
        args = _CUSTOM_OPENING + _json_text(item.get("input") or "")
        piece = tool_call_chunk(
            name=item.get("name"), args=args, id=item.get("call_id"), index=block
        )
        self._calls[block] = ("", bool(item.get("input")))
        return self._built([], tool_call_chunks=[piece])

    def custom_delta(self, event: Json) -> ChatGenerationChunk:
        """Add a piece of a custom tool's input."""
        block = self._block(event)
        self._calls[block] = ("", True)
        piece = tool_call_chunk(args=_json_text(event["delta"]), index=block)
        return self._built([], tool_call_chunks=[piece])

    def custom_done(self, event: Json, item: Json) -> ChatGenerationChunk:
        """Close a custom tool call and add its item."""
        block = self._block(event)
        text = _json_text(item.get("input") or "") + _CUSTOM_CLOSING
        if block not in self._calls:
            name, call_id = item.get("name"), item.get("call_id")
            piece = tool_call_chunk(name=name, args=_CUSTOM_OPENING + text, id=call_id, index=block)
        else:
            args = _CUSTOM_CLOSING if self._calls[block][1] else text
            piece = tool_call_chunk(args=args, index=block)
        self._calls[block] = ("", True)
        return self._built([{**without_nulls(item), "index": block}], tool_call_chunks=[piece])

    def native_done(self, event: Json, item: Json) -> ChatGenerationChunk:
        """Add a finished item of a built-in tool, or a compaction."""
        return self._built([{**without_nulls(item), "index": self._block(event)}])

    def partial_image(self, event: Json) -> ChatGenerationChunk | None:
        """Hand out a draft of an image, as a block apart, where drafts are wanted."""
        if not self._partial_images:
            return None
        item_id, number = event.get("item_id"), event.get("partial_image_index")
        return self._built(
            [
                {
                    "type": "partial_image",
                    "item_id": item_id,
                    "partial_image_index": number,
                    "base64": event.get("partial_image_b64"),
                    "index": f"lc_draft_{item_id}_{number}",
                }
            ]
        )

    # --- items -----------------------------------------------------------------------------------

    def item_added(self, event: Json) -> ChatGenerationChunk | None:
        """Open an output item and fix its place."""
        item: Json = event.get("item") or {}
        self._place(event, item.get("id"))
        handle = _ITEMS_ADDED.get(item.get("type", ""))
        return None if handle is None else handle(self, event, item)

    def item_done(self, event: Json) -> ChatGenerationChunk | None:
        """Close an output item."""
        item: Json = event.get("item") or {}
        handle = _ITEMS_DONE.get(item.get("type", ""))
        return None if handle is None else handle(self, event, item)


def _json_text(text: str) -> str:
    """Write text as the inside of a JSON string, so that pieces of it can be joined."""
    return json.dumps(text)[1:-1]


def _raise_error_event(_decoder: ResponsesStreamDecoder, event: Json) -> NoReturn:
    """Raise an `error` event, in the documented flat form or in the nested one seen on the wire."""
    nested = event.get("error")
    if nested:
        raise_in_band_error(nested)
    raise_in_band_error({name: event.get(name) for name in ("code", "message", "param")})
    raise AssertionError  # pragma: no cover - the line before always raises


_EventHandler = Callable[[ResponsesStreamDecoder, Json], ChatGenerationChunk | None]
_ItemHandler = Callable[[ResponsesStreamDecoder, Json, Json], ChatGenerationChunk | None]

_EVENTS: dict[str, _EventHandler] = {
    "error": _raise_error_event,
    "response.completed": ResponsesStreamDecoder.ended,
    "response.created": ResponsesStreamDecoder.created,
    "response.custom_tool_call_input.delta": ResponsesStreamDecoder.custom_delta,
    "response.failed": ResponsesStreamDecoder.failed,
    "response.function_call_arguments.delta": ResponsesStreamDecoder.function_delta,
    "response.image_generation_call.partial_image": ResponsesStreamDecoder.partial_image,
    "response.in_progress": ResponsesStreamDecoder.note_response,
    "response.incomplete": ResponsesStreamDecoder.ended,
    "response.output_item.added": ResponsesStreamDecoder.item_added,
    "response.output_item.done": ResponsesStreamDecoder.item_done,
    "response.output_text.annotation.added": ResponsesStreamDecoder.annotation,
    "response.output_text.delta": ResponsesStreamDecoder.text_delta,
    "response.output_text.done": ResponsesStreamDecoder.text_done,
    "response.queued": ResponsesStreamDecoder.note_response,
    "response.reasoning_summary_part.added": ResponsesStreamDecoder.summary_part,
    "response.reasoning_summary_text.delta": ResponsesStreamDecoder.summary_delta,
    "response.refusal.delta": ResponsesStreamDecoder.refusal_delta,
    "response.refusal.done": ResponsesStreamDecoder.refusal_done,
}

_ITEMS_ADDED: dict[str, _ItemHandler] = {
    "custom_tool_call": ResponsesStreamDecoder.custom_added,
    "function_call": ResponsesStreamDecoder.function_added,
    "message": ResponsesStreamDecoder.message_added,
    "reasoning": ResponsesStreamDecoder.reasoning_added,
}

_ITEMS_DONE: dict[str, _ItemHandler] = {
    "custom_tool_call": ResponsesStreamDecoder.custom_done,
    "function_call": ResponsesStreamDecoder.function_done,
    "reasoning": ResponsesStreamDecoder.reasoning_done,
    **dict.fromkeys(NATIVE_ITEMS, ResponsesStreamDecoder.native_done),
}
