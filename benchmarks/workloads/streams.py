"""Streams of text, sync and async, on both APIs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from libraries import Api

from workloads import Bench, Operation, check_text


def _sync(api: Api, chunks: int) -> Callable[[Bench], Operation]:
    def prepared(bench: Bench) -> Operation:
        client = bench.client(api, f"chunks-{chunks}/")
        check_text(client.stream(), chunks)
        return client.stream

    return prepared


def _async(api: Api, chunks: int) -> Callable[[Bench], Operation]:
    def prepared(bench: Bench) -> Operation:
        client = bench.client(api, f"chunks-{chunks}/")
        check_text(str(bench.run(client.astream)), chunks)
        return lambda: bench.run(client.astream)

    return prepared


CASES: Final = {
    "stream": _sync("completions", 500),
    "astream": _async("completions", 500),
    "responses-stream": _sync("responses", 500),
    "responses-astream": _async("responses", 500),
    "stream-5000": _sync("completions", 5000),
    "astream-5000": _async("completions", 5000),
    "responses-stream-5000": _sync("responses", 5000),
    "responses-astream-5000": _async("responses", 5000),
    "features-stream": _sync("completions", 500),
}
