"""Messages and tools of the large cases, as the API's own JSON."""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]


def history(number: int) -> list[Json]:
    """Make a conversation: questions, tool calls, tool results and answers in turn."""
    turns: list[Json] = []
    for at in range(number // 4):
        call = {
            "id": f"call_{at:04}",
            "type": "function",
            "function": {"name": f"tool_{at % 200}", "arguments": '{"text":"tokens","limit":3}'},
        }
        turns += [
            {"role": "user", "content": f"Question {at}: how many tokens are left in the budget?"},
            {"role": "assistant", "content": None, "tool_calls": [call]},
            {"role": "tool", "tool_call_id": call["id"], "content": f"Tool {at} found: {at * 7}."},
            {"role": "assistant", "content": f"Answer {at}: there are {at * 7} tokens left."},
        ]
    return turns


def tools(number: int) -> list[Json]:
    """Make function tools with a small schema each."""
    return [
        {
            "type": "function",
            "function": {
                "name": f"tool_{at}",
                "description": f"Look something up in place {at}.",
                "parameters": {
                    "type": "object",
                    "properties": {
                        "text": {"type": "string", "description": "What to look for."},
                        "limit": {"type": "integer", "minimum": 1, "maximum": 100},
                        "kinds": {"type": "array", "items": {"type": "string"}},
                    },
                    "required": ["text"],
                },
            },
        }
        for at in range(number)
    ]


def image_content(base64_data: str) -> list[Json]:
    """Make the content of a user message with an image in it."""
    url = {"url": f"data:image/png;base64,{base64_data}"}
    return [{"type": "text", "text": "What is it?"}, {"type": "image_url", "image_url": url}]
