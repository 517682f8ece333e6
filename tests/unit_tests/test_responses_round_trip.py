"""What an answer said goes back in the next request as `ChatOpenAI` would send it."""

from __future__ import annotations

import json
from copy import deepcopy
from typing import cast

import pytest
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage
from responses_events import stream
from responses_replay import VERSIONS, Json, Wire, WireModel, merged, plain, sse
from test_responses_output import ITEMS, response
from test_responses_stream import CASES

from langchain_tamma_openai.wire.responses_input import responses_input

PEER = Wire(b"").peer()
STORES = cast("list[Json]", [{}, {"store": False}])


def check(answer: AIMessage) -> None:
    messages: list[BaseMessage] = [HumanMessage("q"), answer, HumanMessage("and?")]
    for store in STORES:
        theirs = PEER._get_request_payload(deepcopy(messages), **store)["input"]
        assert responses_input(messages, **store) == theirs


def twice_in_v0(name: str, version: str | None) -> bool:
    """ChatOpenAI sends a custom call of a v0 message a second time, as a function call."""
    return name == "custom call" and version == "v0"


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", ITEMS)
def test_a_plain_answer_goes_back_the_same(name: str, version: str | None) -> None:
    body = json.dumps(response(*ITEMS[name])).encode()
    if not twice_in_v0(name, version):
        check(plain(WireModel(body=body, output_version=version), "q"))


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", CASES)
def test_a_streamed_answer_goes_back_the_same(name: str, version: str | None) -> None:
    body = sse(*stream(*CASES[name]))
    if not twice_in_v0(name, version):
        check(merged(WireModel(body=body, output_version=version), "q"))
