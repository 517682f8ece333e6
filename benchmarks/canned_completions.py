"""Answers of the Chat Completions API."""

from __future__ import annotations

from typing import Final

from canned_http import (
    CREATED,
    MODEL,
    argument_pieces,
    event,
    json_answer,
    stream_answer,
    words_of,
)

_COMMON: Final[dict[str, object]] = {
    "id": "chatcmpl-CannedAnswer0000000000000",
    "created": CREATED,
    "model": MODEL,
    "service_tier": "default",
    "system_fingerprint": "fp_canned",
}


def _usage(output_tokens: int) -> dict[str, object]:
    return {
        "prompt_tokens": 20,
        "completion_tokens": output_tokens,
        "total_tokens": 20 + output_tokens,
        "prompt_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": 0,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }


def plain_completion(words: int) -> bytes:
    """Give the whole HTTP response of a call that does not stream."""
    message: dict[str, object] = {
        "role": "assistant",
        "content": "".join(words_of(words)),
        "refusal": None,
        "annotations": [],
    }
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
    answer = {**_COMMON, "object": "chat.completion", "choices": [choice], "usage": _usage(words)}
    return json_answer(answer)


def _chunk(choices: list[dict[str, object]], usage: dict[str, object] | None = None) -> bytes:
    kind = "chat.completion.chunk"
    return event(
        {**_COMMON, "object": kind, "choices": choices, "usage": usage, "obfuscation": "a8Jx2"}
    )


def _delta(delta: dict[str, object], finish_reason: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
    return _chunk([choice])


def _stream(deltas: list[bytes], finish_reason: str, output_tokens: int) -> bytes:
    return stream_answer(
        [
            _delta({"role": "assistant", "content": "", "refusal": None}),
            *deltas,
            _delta({}, finish_reason),
            _chunk([], _usage(output_tokens)),
            b"data: [DONE]\n\n",
        ]
    )


def streamed_completion(words: int) -> bytes:
    """Give the whole HTTP response of a stream with `words` content events."""
    return _stream([_delta({"content": word}) for word in words_of(words)], "stop", words)


def streamed_tool_calls(calls: int, pieces: int) -> bytes:
    """Give the response of a stream of parallel tool calls, arguments in so many pieces each."""
    deltas: list[bytes] = []
    for index in range(calls):
        opened = {
            "index": index,
            "id": f"call_Canned{index:018}",
            "type": "function",
            "function": {"name": f"tool_{index}", "arguments": ""},
        }
        deltas.append(_delta({"tool_calls": [opened]}))
        deltas += [
            _delta({"tool_calls": [{"index": index, "function": {"arguments": piece}}]})
            for piece in argument_pieces(pieces)
        ]
    return _stream(deltas, "tool_calls", calls * pieces)
