"""Streams of parallel tool calls whose arguments arrive in pieces."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Final

from libraries import Api

from workloads import Bench, Operation

_CALLS: Final = 4
_PIECES: Final = 100
_ANSWER: Final = f"tools-{_CALLS}x{_PIECES}/"


def _check(arguments: object) -> None:
    assert isinstance(arguments, list)
    assert len(arguments) == _CALLS, arguments
    assert all(len(json.loads(text)["text"]) == 6 * _PIECES for text in arguments), arguments


def _sync(api: Api) -> Callable[[Bench], Operation]:
    def prepared(bench: Bench) -> Operation:
        client = bench.client(api, _ANSWER)
        _check(client.stream_tools())
        return client.stream_tools

    return prepared


def _async(api: Api) -> Callable[[Bench], Operation]:
    def prepared(bench: Bench) -> Operation:
        client = bench.client(api, _ANSWER)
        _check(bench.run(client.astream_tools))
        return lambda: bench.run(client.astream_tools)

    return prepared


CASES: Final = {
    "tool-stream": _sync("completions"),
    "tool-astream": _async("completions"),
    "responses-tool-stream": _sync("responses"),
    "responses-tool-astream": _async("responses"),
}
