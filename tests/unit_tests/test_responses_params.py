"""Request parameters of the Responses API: same JSON as `ChatOpenAI`."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest
from langchain_core.messages import AIMessage, HumanMessage
from pydantic import BaseModel
from responses_replay import Json, Wire
from typing_extensions import TypedDict

from langchain_tamma_openai.errors import InvalidParameterError
from langchain_tamma_openai.wire.responses_params import responses_body, responses_payload

QUESTION = [HumanMessage("q")]
PEER = Wire(b"").peer(model="gpt-test")


class Point(BaseModel):
    """A point."""

    x: int
    label: str = "p"


class Shape(TypedDict):
    """A shape."""

    sides: int


FUNCTION = {
    "type": "function",
    "function": {"name": "f", "parameters": {"type": "object", "properties": {}}, "strict": True},
}
FORMAT = {
    "type": "json_schema",
    "json_schema": {"name": "n", "schema": {"type": "object"}, "strict": True},
}

CASES: dict[str, Json] = {
    "nothing": {},
    "max tokens": {"max_tokens": 5},
    "max completion tokens": {"max_completion_tokens": 6},
    "both limits": {"max_tokens": 5, "max_completion_tokens": 6, "max_output_tokens": 7},
    "effort": {"reasoning_effort": "low"},
    "effort beside reasoning": {"reasoning_effort": "low", "reasoning": {"summary": "auto"}},
    "stop": {"stop": ["x"]},
    "temperature": {"temperature": 0.5},
    "temperature of gpt-5": {"model": "gpt-5.1", "temperature": 0.5},
    "temperature of gpt-5 chat": {"model": "gpt-5-chat-latest", "temperature": 0.5},
    "temperature without effort": {
        "model": "gpt-5.1",
        "temperature": 0.5,
        "reasoning": {"effort": "none"},
    },
    "temperature with effort": {
        "model": "gpt-5.1",
        "temperature": 0.5,
        "reasoning_effort": "none",
        "top_p": 1,
    },
    "tools": {
        "tools": [
            FUNCTION,
            {**FUNCTION, "defer_loading": True},
            {"type": "function", "name": "flat", "parameters": {}},
            {"type": "web_search"},
            {"type": "custom", "name": "c", "format": {"type": "grammar"}},
        ]
    },
    "no tools": {"tools": []},
    "image tool": {"tools": [{"type": "image_generation"}]},
    "image tool streamed": {"tools": [{"type": "image_generation"}], "stream": True},
    "choice": {"tool_choice": {"type": "function", "function": {"name": "f"}}},
    "flat choice": {"tool_choice": {"type": "function", "name": "f"}},
    "built-in choice": {"tool_choice": {"type": "web_search"}},
    "word choice": {"tool_choice": "required"},
    "no choice": {"tool_choice": None},
    "verbosity": {"verbosity": "low"},
    "verbosity beside text": {"verbosity": "low", "text": {"format": {"type": "text"}}},
    "text as it is": {"text": {"verbosity": "high"}},
    "text odd": {"text": None},
    "json mode": {"response_format": {"type": "json_object"}, "text": {"verbosity": "low"}},
    "json schema": {"response_format": FORMAT, "verbosity": "low"},
    "json schema strict": {"response_format": FORMAT, "strict": True},
    "named schema": {"response_format": {"name": "n", "schema": {"type": "object"}}},
    "bare schema": {
        "response_format": {"title": "T", "type": "object", "properties": {}},
        "strict": True,
    },
    "typed dict": {"response_format": Shape},
    "class": {"response_format": Point},
    "class streamed": {"response_format": Point, "stream": True},
    "class beside text": {"response_format": Point, "verbosity": "low"},
    "no format": {"response_format": None, "strict": True},
    "the rest": {
        "include": ["reasoning.encrypted_content"],
        "store": False,
        "truncation": "auto",
        "previous_response_id": "resp_0",
        "parallel_tool_calls": False,
        "context_management": [{"type": "compaction"}],
        "conversation": "conv_1",
        "prompt_cache_key": "k",
        "background": True,
        "safety_identifier": "s",
        "metadata": {"a": "b"},
        "max_tool_calls": 3,
        "service_tier": "flex",
    },
}


@pytest.mark.parametrize("name", CASES)
def test_parameters_become_the_same_json(name: str) -> None:
    params = {"model": "gpt-test", **CASES[name]}
    before = deepcopy({k: v for k, v in params.items() if not isinstance(v, type)})
    ours = responses_payload(QUESTION, params)
    theirs = PEER._get_request_payload(QUESTION, **deepcopy(params))
    if params.get("stream") is None:
        theirs.pop("stream", None)
    assert ours == theirs
    assert {k: v for k, v in params.items() if not isinstance(v, type)} == before


def test_a_class_becomes_the_strict_schema_of_the_sdk() -> None:
    wire = Wire(b'{"id": "resp_1", "output": []}')
    wire.peer(model="gpt-test").invoke("q", response_format=Point, verbosity="low")
    params = {"model": "gpt-test", "stream": False, "response_format": Point, "verbosity": "low"}
    assert responses_body(responses_payload(QUESTION, params)) == wire.requests[0]


def test_a_body_without_a_class_is_the_payload() -> None:
    payload = responses_payload(QUESTION, {"model": "m"})
    assert responses_body(payload) == payload


def test_two_formats_are_refused() -> None:
    params = {"response_format": Point, "text": {"format": {"type": "json_object"}}}
    with pytest.raises(InvalidParameterError, match="response_format"):
        responses_body(responses_payload(QUESTION, params))


def test_drafts_of_images_may_be_asked_for() -> None:
    tool = {"type": "image_generation", "partial_images": 2}
    assert responses_payload(QUESTION, {"tools": [tool], "stream": True})["tools"] == [tool]


def test_plain_text_is_a_format_too() -> None:
    sent = responses_payload(QUESTION, {"response_format": {"type": "text"}})
    assert sent["text"] == {"format": {"type": "text"}}


@pytest.mark.parametrize(
    ("metadata", "sent", "previous"),
    [
        ({"id": "resp_1"}, 1, "resp_1"),
        ({"id": "chatcmpl-1"}, 3, None),
        ({"id": 7}, 3, None),
        ({}, 3, None),
    ],
)
def test_history_the_server_has_is_not_sent_again(
    metadata: Any, sent: int, previous: str | None
) -> None:
    messages = [*QUESTION, AIMessage("a", response_metadata=metadata), HumanMessage("b")]
    payload = responses_payload(messages, {}, use_previous_response_id=True)
    assert len(payload["input"]) == sent
    assert payload.get("previous_response_id") == previous
