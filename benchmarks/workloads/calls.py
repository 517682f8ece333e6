"""Constructing, binding tools and plain calls."""

from __future__ import annotations

from typing import Final

from workloads import Bench, Operation, check_text


def _construct(bench: Bench) -> Operation:
    url = f"{bench.url}/v1"
    return lambda: bench.library.construct(url)


def _bind_tools(bench: Bench) -> Operation:
    return bench.client().binding(200)


def _invoke(bench: Bench) -> Operation:
    client = bench.client()
    check_text(client.invoke(), 20)
    return client.invoke


def _responses_invoke(bench: Bench) -> Operation:
    client = bench.client("responses")
    check_text(client.invoke(), 20)
    return client.invoke


CASES: Final = {
    "construct": _construct,
    "bind-tools": _bind_tools,
    "invoke": _invoke,
    "responses-invoke": _responses_invoke,
    "features-invoke": _invoke,
}
