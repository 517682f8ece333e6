"""What became of a stream's tool calls at its end, told from the last chunk to the merged message.

Chunks are merged in code that knows nothing of schemas. The last chunk carries the verdict in its
`response_metadata`, and the merged message sorts its calls by it.
"""

from __future__ import annotations

from typing import Any, TypeAlias

from langchain_core.messages import AIMessage, InvalidToolCall, ToolCall
from langchain_core.messages.tool import invalid_tool_call, tool_call

VERDICTS_KEY = "tool_argument_verdicts"
REPAIRS_KEY = "tool_argument_repairs"

Verdict: TypeAlias = dict[str, Any]


def verdicts_of(given: AIMessage, judged: AIMessage) -> list[Verdict]:
    """Say how a judged message differs from the one that was given.

    Args:
        given: The message as merged.
        judged: The same after the argument policy.

    Returns:
        One entry for each call that moved: its id and name, and the reason why it must not be run
        or the arguments it was repaired to.
    """
    if judged is given:
        return []
    valid = {call["id"] for call in given.tool_calls}
    notes = {note["id"]: note for note in judged.response_metadata.get(REPAIRS_KEY, ())}
    refused = [
        {"id": call["id"], "name": call["name"], "error": call["error"]}
        for call in judged.invalid_tool_calls
        if call["id"] in valid
    ]
    repaired = [
        {"id": call["id"], "name": call["name"], "args": call["args"], **_note(notes, call)}
        for call in judged.tool_calls
        if call["id"] not in valid
    ]
    return [*refused, *repaired]


def sorted_by(
    verdicts: list[Verdict], valid: list[ToolCall], invalid: list[InvalidToolCall]
) -> tuple[list[ToolCall], list[InvalidToolCall]]:
    """Sort the calls of a merged message as the verdicts of its last chunk say.

    Args:
        verdicts: What `verdicts_of` returned.
        valid: Calls whose arguments are JSON.
        invalid: Calls whose arguments are not.
    """
    by_id = {verdict.get("id"): verdict for verdict in verdicts}
    kept = [call for call in valid if "error" not in by_id.get(call["id"], {})]
    refused = [
        invalid_tool_call(
            name=call["name"],
            args=_text(call["args"]),
            id=call["id"],
            error=by_id[call["id"]]["error"],
        )
        for call in valid
        if "error" in by_id.get(call["id"], {})
    ]
    repaired = [
        tool_call(name=call["name"] or "", args=by_id[call["id"]]["args"], id=call["id"])
        for call in invalid
        if "args" in by_id.get(call["id"], {})
    ]
    broken = [call for call in invalid if "args" not in by_id.get(call["id"], {})]
    return [*kept, *repaired], [*broken, *refused]


def _note(notes: dict[str | None, Verdict], call: ToolCall) -> Verdict:
    found = notes.get(call["id"])
    return {} if found is None else {"repairs": found["repairs"], "original": found["original"]}


def _text(args: dict[str, Any]) -> str:
    import json

    return json.dumps(args, ensure_ascii=False)
