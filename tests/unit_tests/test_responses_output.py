"""Answers of the Responses API to messages: as `ChatOpenAI` gives them, and where it differs."""

from __future__ import annotations

import json
from typing import Any, cast

import openai
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel
from pydantic.v1 import BaseModel as OldModel
from responses_replay import VERSIONS, Json, Wire, WireModel, facts, plain

from langchain_tamma_openai.errors import MalformedResponseError, TammaError
from langchain_tamma_openai.transport.translate import translate
from langchain_tamma_openai.wire.responses_items import without_nulls
from langchain_tamma_openai.wire.responses_output import responses_result

USAGE = {
    "input_tokens": 10,
    "input_tokens_details": {"cached_tokens": 4},
    "output_tokens": 7,
    "output_tokens_details": {"reasoning_tokens": 2},
    "total_tokens": 17,
}


def response(*output: Json, **fields: Any) -> Json:
    return {
        "id": "resp_1",
        "object": "response",
        "created_at": 1_700_000_000,
        "status": "completed",
        "error": None,
        "incomplete_details": None,
        "metadata": {},
        "model": "gpt-test",
        "output": list(output),
        "parallel_tool_calls": True,
        "service_tier": "default",
        "text": {"format": {"type": "text"}},
        "tool_choice": "auto",
        "tools": [],
        "usage": USAGE,
        "user": None,
        **fields,
    }


def message(*content: Json, **fields: Any) -> Json:
    base = {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed"}
    return {**base, "content": list(content), **fields}


def text(value: str, *annotations: Json) -> Json:
    return {"type": "output_text", "text": value, "annotations": list(annotations), "logprobs": []}


URL = {"type": "url_citation", "url": "u", "title": "t", "start_index": 0, "end_index": 3}
FILE = {"type": "file_citation", "file_id": "f", "filename": "n", "index": 4}
CONTAINER = {
    "type": "container_file_citation",
    "container_id": "c",
    "file_id": "f",
    "filename": "n",
    "start_index": 0,
    "end_index": 1,
}
ITEMS: dict[str, list[Json]] = {
    "text": [message(text("hi"))],
    "nothing": [],
    "two texts": [message(text("a"), text("b"))],
    "phases": [
        message(text("thinking"), phase="commentary"),
        message(text("done"), id="msg_2", phase="final_answer"),
    ],
    "annotations": [message(text("a", URL, FILE, CONTAINER))],
    "file path": [message(text("a", {"type": "file_path", "file_id": "f", "index": 0}))],
    "annotations null": [message({**text("a"), "annotations": None})],
    "refusal": [message({"type": "refusal", "refusal": "no"})],
    "refusal in phase": [message({"type": "refusal", "refusal": "no"}, phase="final_answer")],
    "reasoning": [
        {
            "type": "reasoning",
            "id": "rs_1",
            "summary": [{"type": "summary_text", "text": "s"}],
            "content": None,
            "encrypted_content": None,
            "status": None,
        },
        message(text("a")),
    ],
    "reasoning text": [
        {
            "type": "reasoning",
            "id": "rs_1",
            "summary": [],
            "content": [{"type": "reasoning_text", "text": "t"}],
            "encrypted_content": "gAAA",
        }
    ],
    "function call": [
        {
            "type": "function_call",
            "id": "fc_1",
            "call_id": "call_1",
            "name": "f",
            "arguments": '{"x": 1}',
            "status": "completed",
        }
    ],
    "async function call": [
        {
            "type": "function_call",
            "id": "fc_1",
            "call_id": "call_1",
            "name": "f",
            "arguments": "{}",
            "namespace": "n",
            "async": True,
            "caller": {"type": "direct"},
        }
    ],
    "custom call": [
        {"type": "custom_tool_call", "id": "c", "call_id": "call_1", "name": "f", "input": "x"}
    ],
    "web search": [
        {
            "type": "web_search_call",
            "id": "ws_1",
            "status": "completed",
            "action": {"type": "search", "query": "q", "sources": None, "queries": ["q"]},
        },
        {"type": "web_search_call", "id": "ws_2", "status": "failed"},
    ],
    "file search": [
        {
            "type": "file_search_call",
            "id": "fs_1",
            "queries": ["q"],
            "status": "completed",
            "results": [{"file_id": "f", "score": 0.5, "text": None, "attributes": {"a": "b"}}],
        },
        {"type": "file_search_call", "id": "fs_2", "queries": [], "status": "x", "results": None},
    ],
    "code": [
        {
            "type": "code_interpreter_call",
            "id": "ci_1",
            "code": "1",
            "container_id": "c",
            "outputs": [{"type": "logs", "logs": "1"}],
            "status": "completed",
        },
        {
            "type": "code_interpreter_call",
            "id": "ci_2",
            "code": None,
            "container_id": "c",
            "outputs": None,
            "status": "failed",
        },
    ],
    "image": [
        {
            "type": "image_generation_call",
            "id": "ig_1",
            "result": "iVBO",
            "status": "completed",
            "output_format": "png",
            "background": "opaque",
            "quality": "low",
            "revised_prompt": "p",
            "size": "1024x1024",
        },
        {"type": "image_generation_call", "id": "ig_2", "result": None, "status": "failed"},
    ],
    "computer": [
        {
            "type": "computer_call",
            "id": "cu_1",
            "call_id": "c",
            "action": {"type": "click", "button": "left", "x": 1, "y": 2},
            "pending_safety_checks": [{"id": "s", "code": None, "message": None}],
            "status": "completed",
        }
    ],
    "mcp": [
        {
            "type": "mcp_list_tools",
            "id": "mcpl_1",
            "server_label": "s",
            "error": None,
            "tools": [
                {
                    "name": "t",
                    "description": None,
                    "annotations": {"read_only": False, "title": None},
                    "input_schema": {"type": "object", "properties": {"a": {"default": None}}},
                }
            ],
        },
        {
            "type": "mcp_approval_request",
            "id": "r",
            "name": "t",
            "arguments": "{}",
            "server_label": "s",
        },
        {
            "type": "mcp_call",
            "id": "mcp_1",
            "name": "t",
            "arguments": '{"a": 1}',
            "server_label": "s",
            "output": "o",
            "error": None,
            "approval_request_id": None,
            "status": "completed",
        },
        {
            "type": "mcp_call",
            "id": "mcp_2",
            "name": "t",
            "arguments": "{",
            "server_label": "s",
            "output": None,
            "error": {
                "type": "mcp_tool_execution_error",
                "content": [{"type": "text", "text": "x", "annotations": None}],
            },
        },
    ],
    "tool search": [
        {
            "type": "tool_search_call",
            "id": "ts_1",
            "call_id": None,
            "execution": "server",
            "status": "completed",
            "arguments": {"paths": ["a"], "none": None},
        },
        {
            "type": "tool_search_output",
            "id": "to_1",
            "call_id": None,
            "execution": "server",
            "status": "completed",
            "tools": [
                {
                    "type": "function",
                    "name": "f",
                    "description": None,
                    "defer_loading": True,
                    "parameters": {"type": "object", "properties": {"a": {"default": None}}},
                    "strict": True,
                }
            ],
        },
    ],
    "patch": [
        {
            "type": "apply_patch_call",
            "id": "ap_1",
            "call_id": "c",
            "status": "completed",
            "operation": {"type": "create_file", "path": "p", "diff": "d"},
            "created_by": None,
        },
        {
            "type": "apply_patch_call_output",
            "id": "ao_1",
            "call_id": "c",
            "status": "completed",
            "output": None,
        },
    ],
    "compaction": [
        {"type": "compaction", "id": "cmp_1", "encrypted_content": "g", "created_by": None}
    ],
}
WHOLE: dict[str, Json] = {
    "incomplete": response(
        message(text("a"), status="incomplete"),
        status="incomplete",
        incomplete_details={"reason": "max_output_tokens"},
    ),
    "metadata": response(metadata={"a": "b"}, user="u", service_tier="flex"),
    "priority": response(service_tier="priority"),
    "no usage": response(usage=None),
    "queued": response(status="queued", usage=None),
    "sparse": {"id": "resp_1", "output": [message(text("a"))]},
}


def both(body: Json, version: str | None) -> tuple[Json, Json]:
    data = json.dumps(body).encode()
    ours = plain(WireModel(body=data, output_version=version), "q")
    theirs = plain(Wire(data).peer(output_version=version), "q")
    assert ours.content_blocks == theirs.content_blocks
    return facts(ours), facts(theirs)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", ITEMS)
def test_output_items_give_the_same_message(name: str, version: str | None) -> None:
    ours, theirs = both(response(*ITEMS[name]), version)
    assert ours == theirs


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", WHOLE)
def test_responses_give_the_same_metadata_and_usage(name: str, version: str | None) -> None:
    ours, theirs = both(WHOLE[name], version)
    assert ours == theirs


# --- facts, metadata -----------------------------------------------------------------------------


def test_facts_price_the_answer() -> None:
    _, priced = responses_result(response(service_tier="flex"), default_model="asked")
    assert (priced.model, priced.service_tier) == ("gpt-test", "flex")
    assert priced.created_s == 1_700_000_000
    assert priced.usage_metadata is not None
    assert priced.usage_metadata["total_tokens"] == 17
    assert responses_result(response(model=None), default_model="asked")[1].model == "asked"


def test_fees_of_built_in_tools_are_kept_apart() -> None:
    fees = {"web_search": {"num_requests": 2}}
    result, _ = responses_result(response(tool_usage=fees))
    assert result.generations[0].message.response_metadata["tool_usage"] == fees


def test_given_metadata_comes_on_top() -> None:
    result, _ = responses_result(response(), metadata={"headers": {"x": "y"}})
    metadata = result.generations[0].message.response_metadata
    assert metadata["headers"] == {"x": "y"}
    assert metadata["model_name"] == "gpt-test"


@given(
    st.recursive(
        st.none() | st.integers() | st.text(max_size=3),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.sampled_from(["a", "b", "parameters"]), inner, max_size=3)
        ),
        max_leaves=8,
    )
)
def test_nulls_go_everywhere_but_in_a_callers_own_json(value: Any) -> None:
    cleaned = without_nulls({"x": value, "parameters": value})
    assert cleaned.get("parameters") == value
    assert "null" not in json.dumps(_outside(cleaned.get("x")))


def _outside(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _outside(entry) for key, entry in value.items() if key != "parameters"}
    if isinstance(value, list):
        return [_outside(entry) for entry in value if entry is not None]
    return 0 if value is None else value


# --- tool calls: on purpose stricter -------------------------------------------------------------


def call(arguments: str, name: str = "f") -> Json:
    return {"type": "function_call", "call_id": "c", "name": name, "arguments": arguments}


@pytest.mark.parametrize("arguments", ['{"x": ', "[1]", '{"x": NaN}', "", '{"x": "\n"}', "{} {}"])
def test_arguments_that_are_not_strict_json_are_an_invalid_call(arguments: str) -> None:
    result, _ = responses_result(response(call(arguments)), takes_no_arguments="g".__eq__)
    answer: Any = result.generations[0].message
    assert answer.tool_calls == []
    (invalid,) = answer.invalid_tool_calls
    assert (invalid["name"], invalid["args"], invalid["id"]) == ("f", arguments, "c")
    assert invalid["error"]


def test_empty_arguments_are_whole_where_a_tool_takes_none() -> None:
    body = response(call("", "no_args"), call("", "f"))
    result, _ = responses_result(body, takes_no_arguments="no_args".__eq__)
    answer: Any = result.generations[0].message
    assert [valid["args"] for valid in answer.tool_calls] == [{}]
    assert [invalid["name"] for invalid in answer.invalid_tool_calls] == ["f"]


def test_arguments_sent_as_an_object_are_taken() -> None:
    result, _ = responses_result(response(call(cast("Any", {"x": 1}))))
    assert cast("Any", result.generations[0].message).tool_calls[0]["args"] == {"x": 1}


def test_an_asynchronous_custom_call_keeps_the_wire_name() -> None:
    item = {"type": "custom_tool_call", "call_id": "c", "name": "f", "input": "x", "async": True}
    result, _ = responses_result(response(item))
    assert result.generations[0].message.content == [item]


@pytest.mark.parametrize("kind", ["shell_call", "local_shell_call", "program", "shell_call_output"])
def test_shell_items_are_kept(kind: str) -> None:
    item = {"type": kind, "id": "x", "call_id": "c"}
    result, _ = responses_result(response(item))
    assert result.generations[0].message.content == [item]
    result, _ = responses_result(response(item), output_version="v0")
    assert result.generations[0].message.additional_kwargs == {"tool_outputs": [item]}


def test_unknown_items_parts_and_fields_are_ignored() -> None:
    body = response({"type": "new"}, message({"type": "new"}, text("a")), new={"x": 1})
    result, _ = responses_result(body)
    assert result.generations[0].text == "a"
    assert parsed({}, message({"type": "new"}, text("[1]"))) == {"parsed": [1]}


# --- structured output ---------------------------------------------------------------------------


class Point(BaseModel):
    x: int


class OldPoint(OldModel):
    x: int


POINT_FORMAT = {"format": {"type": "json_schema", "name": "Point", "schema": {}}}


def parsed(schema: Any, *output: Json, text_config: Json | None = POINT_FORMAT) -> Json:
    body = response(*output, text=text_config)
    return responses_result(body, schema=schema)[0].generations[0].message.additional_kwargs


@pytest.mark.parametrize("schema", [Point, {"title": "Point", "type": "object", "properties": {}}])
def test_parsed_output_is_the_same(schema: Any) -> None:
    data = json.dumps(response(message(text('{"x": 1}')), text=POINT_FORMAT)).encode()
    theirs = plain(Wire(data).peer(), "q", response_format=schema)
    ours = plain(WireModel(body=data, schema_=schema), "q")
    assert facts(ours) == facts(theirs)
    assert "parsed" in ours.additional_kwargs


def test_commentary_is_no_part_of_the_parsed_answer() -> None:
    output = [
        message(text("let me see"), phase="commentary"),
        message(text('{"x": 1}'), phase="final_answer"),
    ]
    assert parsed(Point, *output) == {"parsed": Point(x=1)}
    assert parsed({}, *output) == {"parsed": {"x": 1}}


def test_an_old_pydantic_class_parses_too() -> None:
    assert parsed(OldPoint, message(text('{"x": 1}')))["parsed"].x == 1


@pytest.mark.parametrize(
    ("schema", "value", "expected"),
    [
        (Point, '{"x": "no"}', {"parsed": None}),
        (Point, '{"x": ', {"parsed": None}),
        ({}, '{"x": ', {}),
        (Point, "", {}),
        (None, '{"x": 1}', {}),
    ],
)
def test_what_does_not_parse_stays_text(schema: Any, value: str, expected: Json) -> None:
    assert parsed(schema, message(text(value))) == expected


@pytest.mark.parametrize("config", [None, {}, {"format": None}, {"format": {"type": "text"}}])
def test_nothing_is_parsed_where_no_schema_was_sent(config: Any) -> None:
    assert parsed({}, message(text('{"x": 1}')), text_config=config) == {}


# --- errors --------------------------------------------------------------------------------------


def test_an_error_in_the_body_is_raised_with_its_code() -> None:
    body = response(status="failed", error={"code": "server_error", "message": "Sorry"})
    with pytest.raises(openai.APIError, match="Sorry") as caught:
        responses_result(body)
    error = translate(caught.value)
    assert isinstance(error, TammaError)
    assert (error.code, error.retryable) == ("server_error", True)


def test_a_failure_without_a_reason_is_an_error_too() -> None:
    with pytest.raises(openai.APIError, match="resp_1 failed"):
        responses_result(response(status="failed"))


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"output": None},
        {"output": ["x"]},
        {"choices": []},
        response(message(cast("Any", "x"))),
        response({"type": ["message"]}),
        response(call(cast("Any", 3))),
    ],
)
def test_a_body_that_is_no_response_is_malformed(body: Json) -> None:
    with pytest.raises(MalformedResponseError, match="Responses API"):
        responses_result(body)
