"""Counting a request as it goes over the wire, whichever API it is for.

Items of the Responses API are read as the messages of Chat Completions that they stand for, so that
one conversation counts the same on both.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from langchain_tamma_openai.tokens_messages import add_messages, add_request
from langchain_tamma_openai.tokens_tally import Tally

Json = Mapping[str, Any]

_STORED = ("previous_response_id", "conversation", "prompt")
BESIDE_MESSAGES = frozenset(
    {
        "tools",
        "functions",
        "tool_choice",
        "function_call",
        "text",
        "response_format",
        "web_search_options",
        *_STORED,
    }
)
"""What else in a request the model is shown."""
_ENCRYPTED_CHARS_PER_TOKEN = 6  # base64 of some four bytes


def add_payload(tally: Tally, payload: Json) -> None:
    """Count the body of a request to Chat Completions or to the Responses API.

    Args:
        tally: Where to add.
        payload: The body.
    """
    if BESIDE_MESSAGES.isdisjoint(payload) and "messages" in payload:
        add_messages(tally, _mappings(payload["messages"]))
        return
    tools = _mappings(payload.get("tools"))
    tools += [
        {"type": "function", "function": function}
        for function in _mappings(payload.get("functions"))
    ]
    choice = payload.get("tool_choice", payload.get("function_call"))
    text = payload.get("text")
    schema = text.get("format") if isinstance(text, Mapping) else payload.get("response_format")
    add_request(tally, _messages(tally, payload), tools, choice, schema)
    for name in _STORED:
        if payload.get(name):
            tally.no_limit(f"what {name} adds is stored by the API and not known here")
    hosted = tools and any(tool.get("type") not in _OWN_TOOLS for tool in tools)
    if hosted or "web_search_options" in payload:
        tally.no_limit("what tools that OpenAI runs add to the input is not known beforehand")


def _messages(tally: Tally, payload: Json) -> list[Json]:
    if "messages" in payload:
        return _mappings(payload["messages"])
    messages: list[Json] = []
    if payload.get("instructions"):
        messages.append({"role": "system", "content": payload["instructions"]})
    given = payload.get("input")
    if isinstance(given, str):
        return [*messages, {"role": "user", "content": given}]
    return [*messages, *_joined(_message(tally, item) for item in _mappings(given))]


def _message(tally: Tally, item: Json) -> Json:
    """Give the message that an input item stands for."""
    kind = item.get("type") or "message"
    read = _ITEMS.get(str(kind))
    if read is not None:
        return read(tally, item)
    if kind == "message" or "role" in item:
        return {"role": item.get("role"), "content": item.get("content")}
    return {"role": "assistant", "content": [item]}


def _call(_: Tally, item: Json) -> Json:
    body = {"name": item.get("name"), "arguments": item.get("arguments", item.get("input"))}
    return {"role": "assistant", "tool_calls": [{"type": "function", "function": body}]}


def _result(_: Tally, item: Json) -> Json:
    return {"role": "tool", "tool_call_id": item.get("call_id"), "content": _parts(item)}


def _parts(item: Json) -> object:
    output = item.get("output")
    return [output] if isinstance(output, Mapping) else output


def _reasoning(tally: Tally, item: Json) -> Json:
    """Read earlier thoughts: their summary, or the size of what is encrypted."""
    secret = item.get("encrypted_content")
    size = len(secret) if isinstance(secret, str) else 0
    tally.add(
        size // _ENCRYPTED_CHARS_PER_TOKEN,
        "earlier reasoning is estimated by its size",
        low=0,
        high=size,
    )
    return {"role": "assistant", "content": None if size else item.get("summary")}


def _reference(tally: Tally, _: Json) -> Json:
    tally.no_limit("an item given by its id is not counted: its content is not known")
    return {"role": "assistant", "content": None}


def _joined(messages: Iterator[Json]) -> Iterator[Json]:
    """Put calls that follow an answer into one message with it, as Chat Completions has them."""
    held: Json | None = None
    for message in messages:
        if held is not None and "tool_calls" in message and held["role"] == "assistant":
            calls = [*held.get("tool_calls", ()), *message["tool_calls"]]
            held = {**held, "tool_calls": calls}
            continue
        if held is not None:
            yield held
        held = message
    if held is not None:
        yield held


def _mappings(value: object) -> list[Json]:
    """Keep what can be read of a list from outside."""
    if not value or not isinstance(value, list | tuple):
        return []
    return [item for item in value if isinstance(item, Mapping)]


_ITEMS: Mapping[str, Callable[[Tally, Json], Json]] = {
    "function_call": _call,
    "custom_tool_call": _call,
    "function_call_output": _result,
    "custom_tool_call_output": _result,
    "computer_call_output": _result,
    "reasoning": _reasoning,
    "item_reference": _reference,
}
_OWN_TOOLS = frozenset({"function", "custom"})
