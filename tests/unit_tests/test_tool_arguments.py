"""Arguments of tool calls: judged, moved aside, repaired where only one reading is possible."""

from __future__ import annotations

import json
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.messages import (
    AIMessage,
    AIMessageChunk,
    ToolMessage,
    message_chunk_to_message,
)
from langchain_core.messages.tool import invalid_tool_call, tool_call, tool_call_chunk
from langgraph.prebuilt import ToolNode
from mock_api import ALL_WAYS, MockAPI, Way, completion

from langchain_tamma_openai import ConfigurationError
from langchain_tamma_openai.tools.arguments import (
    ArgumentPolicy,
    apply_argument_policy,
    check_tool_arguments,
    judge_call,
    tool_errors_as_messages,
)
from langchain_tamma_openai.tools.repair import repair_tool_arguments
from langchain_tamma_openai.wire.chunks import StrictAIMessageChunk

Json = dict[str, Any]

PAY: Json = {
    "type": "object",
    "properties": {
        "usd": {"type": "number", "exclusiveMinimum": 0},
        "to": {"type": "string"},
        "tags": {"type": "array", "items": {"type": "string"}},
    },
    "required": ["usd", "to"],
    "additionalProperties": False,
}
SCHEMAS: dict[str, Json] = {"pay": PAY, "ping": {"type": "object", "properties": {}}}
GOOD: Json = {"usd": 1.5, "to": "Ann"}
BAD: Json = {"usd": "1.5", "tags": ["a", 1]}
REASON = (
    "The arguments do not fit the schema of the tool 'pay': 'to' is a required property; "
    "/tags/1: 1 is not of type 'string'; /usd: '1.5' is not of type 'number'."
)


def answer(*calls: Any, **fields: Any) -> AIMessage:
    """A message with these calls, sorted into valid and invalid ones by their type."""
    return AIMessage(
        content=fields.pop("content", ""),
        tool_calls=[call for call in calls if call["type"] == "tool_call"],
        invalid_tool_calls=[call for call in calls if call["type"] == "invalid_tool_call"],
        response_metadata={"finish_reason": fields.pop("finish_reason", "tool_calls")},
        **fields,
    )


def pay(args: Json, call_id: str = "c1") -> Any:
    return tool_call(name="pay", args=args, id=call_id)


def broken(text: str, call_id: str = "c1") -> Any:
    return invalid_tool_call(name="pay", args=text, id=call_id, error="not JSON")


def test_arguments_that_fit_pass() -> None:
    assert check_tool_arguments(pay(GOOD), PAY) is None
    assert judge_call("pay", GOOD, SCHEMAS) is None


def test_arguments_that_do_not_fit_are_told_with_every_reason_and_place() -> None:
    assert check_tool_arguments(pay(BAD), PAY) == REASON


def test_a_call_of_an_unknown_tool_is_left_to_whoever_runs_the_tools() -> None:
    assert judge_call("other", BAD, SCHEMAS) is None
    assert judge_call(None, BAD, SCHEMAS) is None


def test_many_and_long_reasons_are_cut() -> None:
    schema = {"type": "object", "additionalProperties": {"type": "integer"}}
    reason = judge_call("t", {f"k{i}": "x" * 10_000 for i in range(30)}, {"t": schema})
    assert reason is not None
    assert len(reason) < 3000
    assert reason.endswith("; and 22 more.")


def test_a_reason_shows_no_key_the_model_was_told() -> None:
    reason = judge_call(
        "t", {"a": "sk-abcdefghijklmnop"}, {"t": {"properties": {"a": {"type": "null"}}}}
    )
    assert reason is not None
    assert "sk-***" in reason


def test_a_reason_names_the_closest_branch_of_a_union() -> None:
    schema = {
        "properties": {"a": {"anyOf": [{"type": "object", "required": ["id"]}, {"type": "null"}]}}
    }
    reason = judge_call("t", {"a": {}}, {"t": schema})
    assert reason is not None
    assert "'id' is a required property" in reason


def test_arguments_nested_without_end_are_refused() -> None:
    deep: Any = {}
    for _ in range(5000):
        deep = {"a": deep}
    recursive = {"properties": {"a": {"$ref": "#"}}}
    assert "nested too deeply" in str(judge_call("t", deep, {"t": recursive}))


# --- the policy --------------------------------------------------------------------------------


def test_strict_moves_a_call_that_does_not_fit_with_its_reason() -> None:
    given_answer = answer(pay(GOOD, "c1"), pay(BAD, "c2"), pay(GOOD, "c3"), id="m1")
    sorted_answer = apply_argument_policy(given_answer, SCHEMAS)
    assert [call["id"] for call in sorted_answer.tool_calls] == ["c1", "c3"]
    [invalid] = sorted_answer.invalid_tool_calls
    assert (invalid["id"], invalid["name"], invalid["error"]) == ("c2", "pay", REASON)
    assert json.loads(invalid["args"] or "") == BAD
    assert sorted_answer.id == "m1"
    assert len(given_answer.tool_calls) == 3
    assert apply_argument_policy(sorted_answer, SCHEMAS) is sorted_answer


@pytest.mark.parametrize("policy", ["strict", "repair", "off"])
def test_a_message_that_is_fine_stays_the_same_object(policy: ArgumentPolicy) -> None:
    for message in (answer(pay(GOOD)), answer(), answer(broken("{"))):
        assert apply_argument_policy(message, SCHEMAS, policy) is message


def test_off_changes_nothing() -> None:
    message = answer(pay(BAD), broken('{"usd": 1, "to": "A",}'))
    assert apply_argument_policy(message, SCHEMAS, "off") is message


def test_an_unknown_policy_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"tool_argument_policy: got 'loose'"):
        apply_argument_policy(answer(pay(GOOD)), SCHEMAS, cast("ArgumentPolicy", "loose"))


def test_strict_repairs_nothing() -> None:
    message = answer(broken('{"usd": 1, "to": "A",}'))
    assert apply_argument_policy(message, SCHEMAS) is message


def test_repair_reads_what_has_one_reading_and_says_so() -> None:
    text = '```json\n{"usd": 1, "to": "A",}\n```'
    message = apply_argument_policy(answer(broken(text), pay(GOOD, "c2")), SCHEMAS, "repair")
    assert [(c["id"], c["args"]) for c in message.tool_calls] == [
        ("c2", GOOD),
        ("c1", {"usd": 1, "to": "A"}),
    ]
    assert message.invalid_tool_calls == []
    assert message.response_metadata["tool_argument_repairs"] == [
        {"id": "c1", "name": "pay", "repairs": ["code_fence", "trailing_comma"], "original": text}
    ]


def test_repaired_arguments_must_fit_the_schema_too() -> None:
    message = apply_argument_policy(answer(broken('{"usd": 1,}')), SCHEMAS, "repair")
    assert message.tool_calls == []
    [invalid] = message.invalid_tool_calls
    assert invalid["args"] == '{"usd": 1,}'
    assert "'to' is a required property" in str(invalid["error"])
    assert "tool_argument_repairs" not in message.response_metadata


@pytest.mark.parametrize(
    "metadata",
    [
        {"finish_reason": "length"},
        {"finish_reason": "content_filter"},
        {"status": "incomplete"},
        {"status": "failed", "finish_reason": "stop"},
    ],
)
def test_arguments_of_a_cut_answer_are_never_repaired(metadata: Json) -> None:
    message = answer(broken('{"usd": 1, "to": "A",}'))
    message.response_metadata = metadata
    assert apply_argument_policy(message, SCHEMAS, "repair").tool_calls == []


def test_content_blocks_say_the_same_as_the_lists() -> None:
    content: list[str | Json] = [
        {"type": "text", "text": "Paying."},
        {**pay(BAD, "c1"), "extras": {"item_id": "fc_1"}},
        {**broken('{"usd": 1, "to": "A",}', "c2"), "index": 2},
    ]
    message = answer(pay(BAD, "c1"), broken('{"usd": 1, "to": "A",}', "c2"), content=content)
    sorted_answer = apply_argument_policy(message, SCHEMAS, "repair")
    text, first, second = cast("list[Json]", sorted_answer.content)
    assert text == {"type": "text", "text": "Paying."}
    assert (first["type"], first["extras"]) == ("invalid_tool_call", {"item_id": "fc_1"})
    assert (second["type"], second["args"], second["index"]) == (
        "tool_call",
        {"usd": 1, "to": "A"},
        2,
    )
    assert message.content == content


def test_the_merged_chunks_of_a_stream_are_sorted_too() -> None:
    pieces = [
        tool_call_chunk(name="pay", args='{"usd": ', id="c1", index=0),
        tool_call_chunk(args='"x", "to": "A"}', index=0),
        tool_call_chunk(name="pay", args='{"usd": 2, "to": "B"}', id="c2", index=1),
    ]
    merged: AIMessageChunk = StrictAIMessageChunk(content="")
    for piece in pieces:
        merged = merged + StrictAIMessageChunk(content="", tool_call_chunks=[piece])
    merged = merged + StrictAIMessageChunk(
        content="", chunk_position="last", response_metadata={"finish_reason": "tool_calls"}
    )
    whole = message_chunk_to_message(cast("AIMessageChunk", apply_argument_policy(merged, SCHEMAS)))
    assert isinstance(whole, AIMessage)
    assert [call["id"] for call in whole.tool_calls] == ["c2"]
    assert [call["id"] for call in whole.invalid_tool_calls] == ["c1"]


@pytest.mark.parametrize("way", ALL_WAYS.values(), ids=ALL_WAYS)
def test_an_answer_is_sorted_alike_whichever_way_it_came(way: Way) -> None:
    call = {
        "id": "c1",
        "type": "function",
        "function": {"name": "pay", "arguments": json.dumps(BAD)},
    }
    from test_chat_tools_cut import events

    def reply(body: Json) -> Any:
        if body.get("stream"):
            return events(json.dumps(BAD), "tool_calls")
        return completion({"content": None, "tool_calls": [call]}, "tool_calls")

    message = way(MockAPI(reply).tamma(use_responses_api=False), "Pay.")
    sorted_answer = apply_argument_policy(message, SCHEMAS)
    assert sorted_answer.tool_calls == []
    [invalid] = sorted_answer.invalid_tool_calls
    assert (invalid["id"], invalid["error"]) == ("c1", REASON)


# --- answers to invalid calls ------------------------------------------------------------------


def test_each_invalid_call_is_answered_with_its_reason() -> None:
    message = apply_argument_policy(
        answer(pay(GOOD, "c1"), pay(BAD, "c2"), broken("{", "c3")), SCHEMAS
    )
    assert tool_errors_as_messages(message) == [
        ToolMessage(
            f"Error: {REASON} Call the tool again with corrected arguments.",
            tool_call_id="c2",
            name="pay",
            status="error",
        ),
        ToolMessage(
            "Error: not JSON. Call the tool again with corrected arguments.",
            tool_call_id="c3",
            name="pay",
            status="error",
        ),
    ]


def test_a_sorted_message_runs_in_langgraphs_tool_node() -> None:
    ran: list[Json] = []

    def pay_tool(usd: float, to: str) -> str:
        """Pay."""
        ran.append({"usd": usd, "to": to})
        return "paid"

    pay_tool.__name__ = "pay"
    from langgraph.graph import START, MessagesState, StateGraph

    graph = StateGraph(MessagesState)
    graph.add_node("tools", ToolNode([pay_tool]))
    graph.add_edge(START, "tools")
    message = apply_argument_policy(answer(pay(GOOD, "c1"), pay(BAD, "c2")), SCHEMAS)
    result = graph.compile().invoke(MessagesState(messages=[message]))
    assert ran == [GOOD]
    assert [m.tool_call_id for m in result["messages"][1:]] == ["c1"]


# --- repairs -----------------------------------------------------------------------------------

REPAIRED: dict[str, tuple[str, Json, list[str]]] = {
    "trailing comma": ('{"a": 1,}', {"a": 1}, ["trailing_comma"]),
    "commas at every level": (
        '{"a": [1, 2 ,\n], "b": {"c": 2,},}',
        {"a": [1, 2], "b": {"c": 2}},
        ["trailing_comma"],
    ),
    "comma after a string": ('{"a": "x" , }', {"a": "x"}, ["trailing_comma"]),
    "comma in a string": ('{"a": "x,}", "b": ",]",}', {"a": "x,}", "b": ",]"}, ["trailing_comma"]),
    "quote in a string": ('{"a": "\\",}",}', {"a": '",}'}, ["trailing_comma"]),
    "code fence": ('```json\n{"a": 1}\n```', {"a": 1}, ["code_fence"]),
    "plain fence": ('  ```\r\n{"a": 1}\r\n```\n', {"a": 1}, ["code_fence"]),
    "fence in a string": ('```json\n{"a": "```"}\n```', {"a": "```"}, ["code_fence"]),
    "raw line break": ('{"a": "x\ny\t"}', {"a": "x\ny\t"}, ["control_characters"]),
    "encoded twice": ('"{\\"a\\": 1}"', {"a": 1}, ["encoded_twice"]),
    "everything": (
        '```\n"{\\"a\\": \\"x\\\\ny\\",}"\n```',
        {"a": "x\ny"},
        ["code_fence", "encoded_twice", "trailing_comma"],
    ),
}


@pytest.mark.parametrize("name", REPAIRED)
def test_a_text_with_one_reading_is_read(name: str) -> None:
    text, args, repairs = REPAIRED[name]
    assert repair_tool_arguments(text) == (args, repairs)


HOPELESS = [
    "",
    " ",
    "{",
    '{"a": 1',
    '{"a": 1,',
    '{"a": "x',
    '{"a": "x,}',
    '{"a": [1,',
    '{"a": [1,]',
    '```json\n{"a": 1}',
    '```json\n{"a": 1,\n```',
    '"{\\"a\\": 1',
    '"{\\"a\\": 1"',
    "{,}",
    '{"a": [,]}',
    '{"a": [1,,]}',
    '{"a": 1,,}',
    '{"a":,}',
    '{"a": 1},',
    '{"a": 1}}',
    '{"a": 1} {"b": 2}',
    '{"a": 1} and so on',
    "{'a': 1}",
    "{a: 1}",
    '{"a": NaN,}',
    '{"a": "b\\\nc"}',
    '["a",]',
    "null",
    "// x\n{}",
]


@pytest.mark.parametrize("text", HOPELESS)
def test_a_text_that_is_cut_or_has_more_readings_stays_broken(text: str) -> None:
    assert repair_tool_arguments(text) is None


_JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=6,
)


@given(st.dictionaries(st.text(max_size=4), _JSON, min_size=1, max_size=3), st.data())
def test_nothing_cut_is_ever_completed(args: Json, data: st.DataObject) -> None:
    text = json.dumps(args, ensure_ascii=False)
    cut = data.draw(st.integers(0, len(text) - 1))
    assert repair_tool_arguments(text[:cut]) is None
    assert repair_tool_arguments(f"```json\n{text[:cut]}\n```") is None


@given(st.dictionaries(st.text(max_size=4), _JSON, min_size=1, max_size=3))
def test_a_repair_never_changes_a_value(args: Json) -> None:
    text = json.dumps(args, ensure_ascii=False)
    repaired = repair_tool_arguments(f"```json\n{text[:-1]},}}\n```")
    assert repaired == (args, ["code_fence", "trailing_comma"])
