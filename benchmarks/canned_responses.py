"""Answers of the Responses API."""

from __future__ import annotations

from collections.abc import Iterable

from canned_http import (
    CREATED,
    MODEL,
    argument_pieces,
    event,
    json_answer,
    stream_answer,
    words_of,
)

Json = dict[str, object]

_MESSAGE = "msg_CannedMessage00000000000000"


def _usage(output_tokens: int) -> Json:
    return {
        "input_tokens": 20,
        "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
        "output_tokens": output_tokens,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": 20 + output_tokens,
    }


def _response(status: str, output: list[Json], output_tokens: int | None = None) -> Json:
    return {
        "id": "resp_CannedAnswer0000000000000",
        "object": "response",
        "created_at": CREATED,
        "status": status,
        "background": False,
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "max_output_tokens": None,
        "metadata": {},
        "model": MODEL,
        "output": output,
        "parallel_tool_calls": True,
        "previous_response_id": None,
        "reasoning": {"effort": None, "summary": None},
        "service_tier": "default",
        "store": True,
        "temperature": 1.0,
        "text": {"format": {"type": "text"}, "verbosity": "medium"},
        "tool_choice": "auto",
        "tools": [],
        "top_p": 1.0,
        "truncation": "disabled",
        "usage": None if output_tokens is None else _usage(output_tokens),
    }


def _part(text: str) -> Json:
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


def _message(text: str | None) -> Json:
    status = "in_progress" if text is None else "completed"
    content = [] if text is None else [_part(text)]
    kind = {"id": _MESSAGE, "type": "message", "role": "assistant"}
    return {**kind, "status": status, "content": content}


def plain_response(words: int) -> bytes:
    """Give the whole HTTP response of a call that does not stream."""
    return json_answer(_response("completed", [_message("".join(words_of(words)))], words))


def _stream(events: Iterable[tuple[str, Json]], output: list[Json], output_tokens: int) -> bytes:
    opening = _response("in_progress", [])
    whole: list[tuple[str, Json]] = [
        ("created", {"response": opening}),
        ("in_progress", {"response": opening}),
        *events,
        ("completed", {"response": _response("completed", output, output_tokens)}),
    ]
    return stream_answer(
        event({"type": f"response.{kind}", "sequence_number": number, **data}, f"response.{kind}")
        for number, (kind, data) in enumerate(whole)
    )


def streamed_response(words: int) -> bytes:
    """Give the whole HTTP response of a stream with `words` events of text."""
    pieces = words_of(words)
    text = "".join(pieces)
    place: Json = {"output_index": 0}
    where: Json = {"item_id": _MESSAGE, "output_index": 0, "content_index": 0}
    common: Json = {**where, "logprobs": [], "obfuscation": "a8Jx2"}
    events: list[tuple[str, Json]] = [
        ("output_item.added", {**place, "item": _message(None)}),
        ("content_part.added", {**where, "part": _part("")}),
        *[("output_text.delta", {**common, "delta": piece}) for piece in pieces],
        ("output_text.done", {**where, "text": text, "logprobs": []}),
        ("content_part.done", {**where, "part": _part(text)}),
        ("output_item.done", {**place, "item": _message(text)}),
    ]
    return _stream(events, [_message(text)], words)


def _call(index: int, arguments: str, status: str) -> Json:
    return {
        "id": f"fc_Canned{index:020}",
        "type": "function_call",
        "status": status,
        "arguments": arguments,
        "call_id": f"call_Canned{index:018}",
        "name": f"tool_{index}",
    }


def streamed_response_calls(calls: int, pieces: int) -> bytes:
    """Give the response of a stream of parallel tool calls, arguments in so many pieces each."""
    events: list[tuple[str, Json]] = []
    arguments = "".join(argument_pieces(pieces))
    done = [_call(index, arguments, "completed") for index in range(calls)]
    for index in range(calls):
        where: Json = {"item_id": done[index]["id"], "output_index": index}
        place: Json = {"output_index": index}
        opened = _call(index, "", "in_progress")
        events.append(("output_item.added", {**place, "item": opened}))
        events += [
            ("function_call_arguments.delta", {**where, "delta": piece, "obfuscation": "a8"})
            for piece in argument_pieces(pieces)
        ]
        events.append(("function_call_arguments.done", {**where, "arguments": arguments}))
        events.append(("output_item.done", {**place, "item": done[index]}))
    return _stream(events, done, calls * pieces)
