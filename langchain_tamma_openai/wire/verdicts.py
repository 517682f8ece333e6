"""What became of a stream's tool calls at its end, told from the last chunk to the merged message.

Chunks are merged in code that knows nothing of schemas. The last chunk carries the verdict in its
`response_metadata`, and the merged message sorts its calls by it.

A verdict names a call by its place among the merged calls: servers leave ids out, or give one id
to several calls.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from langchain_core.messages import AIMessage, InvalidToolCall, ToolCall
from langchain_core.messages.tool import ToolCallChunk, invalid_tool_call, tool_call

from langchain_tamma_openai.wire.arguments import ToolArgumentsError, parse_tool_arguments

VERDICTS_KEY = "tool_argument_verdicts"
REPAIRS_KEY = "tool_argument_repairs"

Verdict: TypeAlias = dict[str, Any]


def numbered(chunks: Sequence[ToolCallChunk]) -> list[ToolCallChunk]:
    """Copy merged tool call chunks with their places for ids, so that each can be told apart.

    Args:
        chunks: The merged chunks of a whole stream.
    """
    return [{**chunk, "id": str(place)} for place, chunk in enumerate(chunks)]


def verdicts_of(
    chunks: Sequence[ToolCallChunk], given: AIMessage, judged: AIMessage
) -> tuple[list[Verdict], list[dict[str, Any]]]:
    """Say how a judged message differs from the one that was given.

    Args:
        chunks: The merged chunks of the stream.
        given: The message made of them, numbered.
        judged: The same after the argument policy.

    Returns:
        One verdict for each call that was judged otherwise: its place, id and name, and the reason
        why it must not be run or the arguments it was repaired to. Then the notes about repairs,
        with the ids as they came.
    """
    if judged is given:
        return [], []
    valid = {call["id"] for call in given.tool_calls}
    reasons = {call["id"]: call["error"] for call in given.invalid_tool_calls}
    refused = [
        {**_named(chunks, call["id"]), "error": call["error"]}
        for call in judged.invalid_tool_calls
        if reasons.get(call["id"]) != call["error"]
    ]
    repaired = [
        {**_named(chunks, call["id"]), "args": call["args"]}
        for call in judged.tool_calls
        if call["id"] not in valid
    ]
    notes = [
        {**note, "id": chunks[int(note["id"])]["id"]}
        for note in judged.response_metadata.get(REPAIRS_KEY, ())
    ]
    return [*refused, *repaired], notes


@dataclass(frozen=True, slots=True)
class JudgedCall:
    """A finished call of a stream.

    Attributes:
        call: The call, valid or not.
        is_json: Whether its arguments came as strict JSON.
    """

    call: ToolCall | InvalidToolCall
    is_json: bool


def judged_calls(
    chunks: Sequence[ToolCallChunk], verdicts: Sequence[Verdict] = ()
) -> list[JudgedCall]:
    """Make a call of each finished tool call chunk.

    Args:
        chunks: The merged chunks.
        verdicts: What `verdicts_of` returned; without them strict JSON alone decides.
    """
    by_place = {verdict["place"]: verdict for verdict in verdicts}
    return [
        _judged(chunk, _fitting(by_place.get(place), chunk)) for place, chunk in enumerate(chunks)
    ]


def sorted_calls(judged: Sequence[JudgedCall]) -> tuple[list[ToolCall], list[InvalidToolCall]]:
    """Sort calls into valid and invalid ones, each list in the order of a plain answer.

    There a call that was no JSON comes after those that were, repaired or not.

    Args:
        judged: The calls in the order of the stream.
    """
    ordered = [each.call for each in sorted(judged, key=lambda each: not each.is_json)]
    valid = [call for call in ordered if call["type"] == "tool_call"]
    invalid = [call for call in ordered if call["type"] == "invalid_tool_call"]
    return valid, invalid


def _judged(chunk: ToolCallChunk, verdict: Verdict) -> JudgedCall:
    name, call_id = chunk["name"], chunk["id"]
    call: ToolCall | InvalidToolCall
    try:
        args = parse_tool_arguments(chunk["args"] or "")
    except ToolArgumentsError as error:
        if "args" in verdict:
            call = tool_call(name=name or "", args=verdict["args"], id=call_id)
        else:
            reason = verdict.get("error", str(error))
            call = invalid_tool_call(name=name, args=chunk["args"], id=call_id, error=reason)
        return JudgedCall(call, is_json=False)
    call = tool_call(name=name or "", args=args, id=call_id)
    if reason := verdict.get("error"):
        text = json.dumps(args, ensure_ascii=False)
        call = invalid_tool_call(name=name or "", args=text, id=call_id, error=reason)
    return JudgedCall(call, is_json=True)


def _named(chunks: Sequence[ToolCallChunk], number: str | None) -> Verdict:
    place = int(number or 0)
    return {"place": place, "id": chunks[place]["id"], "name": chunks[place]["name"]}


def _fitting(verdict: Verdict | None, chunk: ToolCallChunk) -> Verdict:
    """Give the verdict on a call, unless it was meant for another one of a longer list."""
    if verdict is None or (verdict["id"], verdict["name"]) != (chunk["id"], chunk["name"]):
        return {}
    return verdict
