"""Messages to Responses API input: same JSON as `ChatOpenAI`, and where it differs on purpose."""

from __future__ import annotations

import json
import warnings
from copy import deepcopy
from typing import Any, cast

import pytest
from langchain_core.messages import (
    AIMessage,
    AIMessageChunk,
    BaseMessage,
    ChatMessage,
    FunctionMessage,
    HumanMessage,
    HumanMessageChunk,
    SystemMessage,
    ToolMessage,
)
from responses_replay import Json, Wire

from langchain_tamma_openai.errors import InvalidParameterError
from langchain_tamma_openai.wire.responses_input import responses_input

PEER = Wire(b"").peer()
PNG = "iVBORw0KGgo="
CALL = {"name": "f", "args": {"x": 1, "città": "è"}, "id": "call_1", "type": "tool_call"}
BROKEN = {"name": "f", "args": '{"x": ', "id": "call_2", "error": "cut"}
RESPONSE = {"id": "resp_1", "model_provider": "openai"}


def theirs(messages: list[BaseMessage], **params: Any) -> list[Json]:
    return cast("list[Json]", PEER._get_request_payload(deepcopy(messages), **params)["input"])


def ai(*blocks: Any, **fields: Any) -> AIMessage:
    return AIMessage(content=list(blocks), **fields)


def native(value: Json) -> Json:
    return {"type": "non_standard", "value": value}


URL_CITATION = {"type": "url_citation", "url": "u", "title": "t", "start_index": 0, "end_index": 3}
FILE_CITATION = {"type": "file_citation", "file_id": "f", "filename": "n", "file_index": 4}
USER: dict[str, Any] = {
    "text": "hello",
    "empty": "",
    "text block": [{"type": "text", "text": "hello"}],
    "cached text": [{"type": "text", "text": "a", "prompt_cache_breakpoint": {"mode": "explicit"}}],
    "cached extras": [{"type": "text", "text": "a", "extras": {"prompt_cache_breakpoint": None}}],
    "image url part": [{"type": "image_url", "image_url": {"url": "https://x/y.png"}}],
    "image detail": [{"type": "image_url", "image_url": {"url": "u", "detail": "low"}}],
    "image v1 url": [{"type": "image", "url": "https://x/y.png"}],
    "image v1 base64": [{"type": "image", "base64": PNG, "mime_type": "image/png"}],
    "image v0 base64": [
        {"type": "image", "source_type": "base64", "data": PNG, "mime_type": "image/png"}
    ],
    "image v0 url": [{"type": "image", "source_type": "url", "url": "https://x/y.png"}],
    "image anthropic": [
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}}
    ],
    "image anthropic url": [{"type": "image", "source": {"type": "url", "url": "https://x"}}],
    "image cached": [
        {"type": "image", "url": "u", "extras": {"prompt_cache_breakpoint": {"mode": "explicit"}}}
    ],
    "image native": [{"type": "input_image", "file_id": "file_1"}],
    "file part": [{"type": "file", "file": {"file_id": "file_1"}}],
    "file part cached": [
        {"type": "file", "file": {"file_id": "f"}, "prompt_cache_breakpoint": {"mode": "explicit"}}
    ],
    "file native": [{"type": "input_file", "file_url": "https://x/y.pdf"}],
    "file v1": [
        {"type": "file", "base64": PNG, "mime_type": "application/pdf", "filename": "a.pdf"}
    ],
    "file v1 extras": [
        {"type": "file", "base64": PNG, "mime_type": "a/b", "extras": {"filename": "a.pdf"}}
    ],
    "file v0": [
        {
            "type": "file",
            "source_type": "base64",
            "data": PNG,
            "mime_type": "application/pdf",
            "metadata": {"filename": "a.pdf"},
        }
    ],
    "file id": [{"type": "file", "file_id": "file_1"}],
    "file v0 id": [{"type": "file", "source_type": "id", "id": "file_1"}],
    "file url": [{"type": "file", "url": "https://x/y.pdf"}],
    "file url cached": [
        {"type": "file", "url": "u", "extras": {"prompt_cache_breakpoint": {"mode": "explicit"}}}
    ],
    "file v0 url": [
        {"type": "file", "source_type": "url", "url": "https://x/y.pdf", "mime_type": "a/b"}
    ],
    "approval": [{"type": "mcp_approval_response", "approve": True, "approval_request_id": "m"}],
    "approval and text": [
        {"type": "text", "text": "yes"},
        {"type": "mcp_approval_response", "approve": True, "approval_request_id": "m"},
    ],
    "wrapped approval": [
        native({"type": "mcp_approval_response", "approve": False, "approval_request_id": "m"})
    ],
    "tool search output": [{"type": "tool_search_output", "call_id": "c", "tools": []}],
    "patch output": [{"type": "apply_patch_call_output", "call_id": "c", "status": "completed"}],
    "configuration": [{"type": "configuration_update", "reasoning": {"effort": "high"}}],
    "unknown": [{"type": "text", "text": "a"}, {"type": "something"}],
    "only unknown": [{"type": "something"}],
    "thinking": [{"type": "thinking", "thinking": "x"}, {"type": "text", "text": "a"}],
}
ASSISTANT: dict[str, AIMessage] = {
    "text": AIMessage("hello"),
    "empty": AIMessage(""),
    "calls": AIMessage("", tool_calls=[CALL]),
    "text and calls": AIMessage("a", tool_calls=[CALL], invalid_tool_calls=[BROKEN]),
    "raw calls": AIMessage(
        "",
        additional_kwargs={
            "tool_calls": [
                {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{"}}
            ]
        },
    ),
    "legacy function call": AIMessage(
        "", additional_kwargs={"function_call": {"name": "f", "arguments": "{}"}}
    ),
    "audio": AIMessage("", additional_kwargs={"audio": {"id": "a", "data": PNG}}),
    "text block": ai({"type": "text", "text": "a", "id": "msg_1", "annotations": [], "index": 0}),
    "two parts of a message": ai(
        {"type": "text", "text": "a", "id": "msg_1"},
        {"type": "text", "text": "b", "id": "msg_1", "phase": "final_answer"},
        {"type": "refusal", "refusal": "no", "id": "msg_1"},
        {"type": "text", "text": "c", "id": "msg_2", "phase": "commentary"},
        {"type": "text", "text": "d"},
        {"type": "text", "text": "e", "id": "lc_3"},
        {"type": "text", "text": "f", "id": "lc_3"},
    ),
    "output text": ai({"type": "output_text", "text": "a", "annotations": None}),
    "no text": ai({"type": "text", "text": None}, {"type": "text", "text": ""}),
    "untyped": ai({"id": "msg_1", "index": 0}, {"type": "text", "text": "a"}),
    "annotations": ai({"type": "text", "text": "a", "annotations": [URL_CITATION, FILE_CITATION]}),
    "v1 annotations": ai(
        {
            "type": "text",
            "text": "a",
            "annotations": [
                {"type": "citation", "url": "u", "title": "t", "start_index": 1, "end_index": 2},
                {"type": "citation", "url": "u", "extras": {"more": 1, "title": "T"}},
                {"type": "citation", "title": "n", "extras": {"file_id": "f", "file_index": 3}},
                {"type": "citation", "extras": {"file_id": "f"}, "cited_text": "x"},
                {"type": "non_standard_annotation", "value": {"type": "file_path", "index": 1}},
                {"type": "else", "x": 1},
            ],
        }
    ),
    "reasoning": ai(
        {
            "type": "reasoning",
            "id": "rs_1",
            "summary": [{"type": "summary_text", "text": "s", "index": 0}],
            "index": 0,
        },
        {"type": "reasoning", "id": "rs_2", "summary": [], "encrypted_content": "gAAA", "index": 1},
        {"type": "text", "text": "a"},
    ),
    "v1 reasoning": ai(
        {"type": "reasoning", "id": "rs_1", "reasoning": "a", "index": "lc_rs_1"},
        {"type": "reasoning", "id": "rs_1", "reasoning": "b", "extras": {"status": "x"}},
        {"type": "reasoning", "id": "rs_2", "reasoning": "c", "extras": {"encrypted_content": "g"}},
        {"type": "reasoning", "id": "rs_3"},
        {"type": "reasoning", "id": "rs_3", "extras": {"encrypted_content": "g", "status": "d"}},
        {"type": "reasoning", "reasoning": "d"},
        {"type": "text", "text": "a"},
    ),
    "function call": ai(
        {
            "type": "function_call",
            "name": "f",
            "arguments": "{}",
            "call_id": "call_1",
            "id": "fc_1",
            "status": "completed",
            "namespace": "n",
            "async": True,
            "index": 3,
        },
        tool_calls=[CALL],
    ),
    "v1 tool call": ai(
        {"type": "text", "text": "a"},
        {
            "type": "tool_call",
            "name": "f",
            "args": {"x": 1},
            "id": "call_1",
            "extras": {"item_id": "fc_1", "status": "completed", "namespace": "n", "async": False},
        },
        {"type": "tool_call", "id": "call_9", "name": "g", "extras": {"arguments": "raw"}},
        {"type": "invalid_tool_call", "id": "call_2", "name": "f", "args": "{", "error": None},
        tool_calls=[CALL],
        invalid_tool_calls=[BROKEN],
    ),
    "custom call": ai(
        {"type": "custom_tool_call", "call_id": "call_1", "input": "x", "name": "f", "id": "ctc_1"},
        tool_calls=[{**CALL, "args": {"__arg1": "x"}}],
    ),
    "wrapped custom call": ai(
        native({"type": "custom_tool_call", "call_id": "call_1", "input": "x", "name": "f"}),
        tool_calls=[{**CALL, "args": {"__arg1": "x"}}],
    ),
    "built-in items": ai(
        {"type": "web_search_call", "id": "ws_1", "status": "completed", "index": 0},
        {"type": "file_search_call", "id": "fs_1", "queries": ["q"], "results": None},
        {"type": "computer_call", "id": "cu_1", "call_id": "c", "action": {"type": "wait"}},
        {"type": "code_interpreter_call", "id": "ci_1", "code": "1", "container_id": "c"},
        {"type": "mcp_call", "id": "mcp_1", "name": "n", "arguments": "{}", "server_label": "s"},
        {"type": "mcp_list_tools", "id": "mcpl_1", "server_label": "s", "tools": []},
        {"type": "mcp_approval_request", "id": "mcpr_1", "name": "n", "arguments": "{}"},
        {"type": "tool_search_call", "id": "ts_1", "execution": "client", "arguments": {}},
        {"type": "tool_search_output", "id": "to_1", "execution": "server", "tools": []},
        {"type": "apply_patch_call", "id": "ap_1", "call_id": "c", "operation": {}},
        {"type": "apply_patch_call_output", "id": "ao_1", "call_id": "c", "status": "failed"},
        {"type": "compaction", "id": "cmp_1", "encrypted_content": "g"},
    ),
    "images": ai(
        {"type": "image_generation_call", "id": "ig_1", "result": PNG, "status": "completed"},
        {"type": "image_generation_call", "id": "ig_2", "index": 0},
        {"type": "image", "id": "ig_3", "base64": PNG, "extras": {"status": "completed"}},
        {"type": "image", "id": "ig_4", "base64": PNG, "status": "generating"},
        {"type": "image", "id": "other", "base64": PNG},
        {"type": "image", "url": "u"},
    ),
    "v1 built-in tools": ai(
        {"type": "server_tool_call", "name": "web_search", "id": "ws_1", "args": {"query": "q"}},
        {"type": "server_tool_result", "tool_call_id": "ws_1", "status": "success", "output": {}},
        {"type": "server_tool_call", "name": "web_search", "id": "ws_2"},
        {"type": "server_tool_result", "tool_call_id": "ws_2", "extras": {"status": "searching"}},
        {"type": "server_tool_call", "name": "file_search", "id": "fs_1", "args": {"queries": []}},
        {
            "type": "server_tool_result",
            "tool_call_id": "fs_1",
            "status": "error",
            "output": [{"file_id": "f"}],
        },
        {
            "type": "server_tool_call",
            "name": "code_interpreter",
            "id": "ci_1",
            "args": {"code": "1"},
            "extras": {"container_id": "c"},
        },
        {"type": "server_tool_result", "tool_call_id": "ci_1", "output": [], "status": "success"},
        {"type": "server_tool_call", "name": "code_interpreter", "id": "ci_2", "container_id": "d"},
        {"type": "server_tool_result", "tool_call_id": "ci_2", "status": "odd"},
        {
            "type": "server_tool_call",
            "name": "remote_mcp",
            "id": "mcp_1",
            "args": {"a": 1},
            "extras": {"tool_name": "t", "server_label": "s", "approval_request_id": "r", "x": 1},
        },
        {"type": "server_tool_result", "tool_call_id": "mcp_1", "output": "o", "status": "success"},
        {
            "type": "server_tool_call",
            "name": "remote_mcp",
            "id": "mcp_2",
            "extras": {"arguments": "{"},
        },
        {"type": "server_tool_result", "tool_call_id": "mcp_2", "extras": {"error": {"c": 1}}},
        {
            "type": "server_tool_call",
            "name": "mcp_list_tools",
            "id": "mcpl_1",
            "args": {},
            "extras": {"server_label": "s", "y": 2},
        },
        {
            "type": "server_tool_result",
            "tool_call_id": "mcpl_1",
            "output": [{"name": "t"}],
            "extras": {"error": "e"},
        },
        {
            "type": "server_tool_call",
            "name": "tool_search",
            "id": "ts_1",
            "args": {"q": 1},
            "extras": {"status": "completed", "execution": "server"},
        },
        {
            "type": "server_tool_result",
            "tool_call_id": "to_1",
            "status": "success",
            "output": {"tools": [{"type": "function"}]},
            "extras": {"name": "tool_search"},
        },
        {"type": "server_tool_call", "name": "tool_search", "id": "ts_2"},
        {"type": "server_tool_result", "status": "odd", "extras": {"name": "tool_search"}},
        {"type": "server_tool_call", "name": "web_search", "id": "alone"},
    ),
    "v0": ai(
        {"type": "text", "text": "a", "annotations": [URL_CITATION], "index": 0},
        id="msg_1",
        response_metadata=RESPONSE,
        tool_calls=[CALL, {**CALL, "id": "call_7"}],
        additional_kwargs={
            "reasoning": {"id": "rs_1", "summary": [], "type": "reasoning"},
            "refusal": "no",
            "tool_outputs": [
                {"type": "web_search_call", "id": "ws_1"},
                {"type": "mcp_call", "id": "mcp_1"},
                {"type": "computer_call", "id": "cu_1", "call_id": "x"},
                {"type": "image_generation_call", "id": "ig_1", "result": PNG},
            ],
            "__openai_function_call_ids__": {"call_1": "fc_1"},
        },
    ),
    "v0 by its ids": ai(
        {"type": "text", "text": "a"}, id="msg_1", response_metadata={"id": "resp_1"}
    ),
    "v0 reasoning without type": ai(additional_kwargs={"reasoning": {"summary": [], "id": "rs_1"}}),
    "v0 chunk": AIMessageChunk(
        content=[{"type": "text", "text": "a"}],
        additional_kwargs={"__openai_function_call_ids__": {"call_1": "fc_1"}},
        tool_call_chunks=[{"name": "f", "args": "{}", "id": "call_1", "index": 0}],
    ),
    "another provider": ai(
        {"type": "text", "text": "a"},
        {"type": "tool_use", "id": "call_1", "name": "f", "input": {}},
        {"type": "thinking", "thinking": "x", "signature": "s"},
        tool_calls=[CALL],
        response_metadata={"model_provider": "anthropic"},
    ),
}
TOOL: dict[str, Any] = {
    "text": "42",
    "empty": "",
    "no blocks": [],
    "strings": ["a", "b"],
    "text block": [{"type": "text", "text": "42", "id": "x", "annotations": []}],
    "cached": [{"type": "text", "text": "a", "prompt_cache_breakpoint": {"mode": "explicit"}}],
    "image": [{"type": "image", "base64": PNG, "mime_type": "image/png"}],
    "image part": [{"type": "image_url", "image_url": {"url": "u", "detail": "high"}}],
    "native image": [{"type": "input_image", "image_url": "u"}],
    "file": [{"type": "file", "base64": PNG, "mime_type": "application/pdf", "filename": "a.pdf"}],
    "native file": [{"type": "input_file", "file_id": "f"}, {"type": "input_text", "text": "t"}],
    "anything else": [{"type": "json", "json": {"città": 1}}],
    "wrapped": [native({"type": "input_text", "text": "t"})],
    "custom output": [{"type": "custom_tool_call_output", "output": "27"}],
    "custom output without output": [{"type": "custom_tool_call_output"}],
    "wrapped custom output": [
        native({"type": "custom_tool_call_output", "call_id": "z", "output": "27"})
    ],
    "wrapped screenshot": [
        native({"type": "computer_call_output", "call_id": "z", "output": {"type": "x"}})
    ],
}

CASES: dict[str, list[BaseMessage]] = {
    **{f"user {name}": [HumanMessage(content)] for name, content in USER.items()},
    **{f"ai {name}": [HumanMessage("q"), message] for name, message in ASSISTANT.items()},
    **{
        f"tool {name}": [AIMessage("", tool_calls=[CALL]), ToolMessage(c, tool_call_id="call_1")]
        for name, c in TOOL.items()
    },
    "named": [HumanMessage("a", name="bob"), AIMessage("b", name="al"), SystemMessage("c")],
    "developer": [SystemMessage("a", additional_kwargs={"__openai_role__": "developer"})],
    "system blocks": [
        SystemMessage([{"type": "text", "text": "a"}, {"type": "input_text", "text": "b"}])
    ],
    "system tools": [
        SystemMessage([{"type": "additional_tools", "role": "developer", "tools": []}])
    ],
    "system wrapped tools": [SystemMessage([native({"type": "additional_tools", "tools": []})])],
    "chat roles": [
        ChatMessage(content="a", role="user"),
        ChatMessage(content="b", role="assistant"),
        ChatMessage(content=[{"type": "text", "text": "b2", "id": "msg_1"}], role="assistant"),
        ChatMessage(content="c", role="developer"),
        ChatMessage(content="d", role="critic"),
        ChatMessage(content=[native({"type": "x"})], role="critic"),
    ],
    "function message": [FunctionMessage(content="r", name="f")],
    "chunk": [HumanMessageChunk(content="a")],
    "screenshot": [
        ToolMessage(
            [{"type": "input_image", "image_url": "data:x"}],
            tool_call_id="c",
            additional_kwargs={
                "type": "computer_call_output",
                "acknowledged_safety_checks": [{"id": "s"}],
            },
        )
    ],
    "screenshot text": [
        ToolMessage("data:x", tool_call_id="c", additional_kwargs={"type": "computer_call_output"})
    ],
    "same message id twice": [
        ai({"type": "text", "text": "a", "id": "msg_1"}),
        HumanMessage("b"),
        ai({"type": "text", "text": "c", "id": "msg_1", "phase": "final_answer"}),
    ],
}


@pytest.mark.parametrize("params", [{}, {"store": True}, {"store": False}])
@pytest.mark.parametrize("name", CASES)
def test_input_is_the_same_json(name: str, params: Json) -> None:
    messages = CASES[name]
    before = deepcopy(messages)
    assert responses_input(messages, **params) == theirs(messages, **params)
    assert messages == before


def test_a_whole_conversation_is_the_same_json() -> None:
    messages = [m for name in ("ai reasoning", "tool text", "ai v1 tool call") for m in CASES[name]]
    assert responses_input(messages[:-1]) == theirs(messages[:-1])


# --- on purpose different ------------------------------------------------------------------------


def test_plain_strings_among_blocks_are_text() -> None:
    assert responses_input([HumanMessage(["a"]), AIMessage(["b"])]) == [
        {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "a"}]},
        {
            "type": "message",
            "role": "assistant",
            "content": [{"type": "output_text", "text": "b", "annotations": []}],
        },
    ]


def test_another_providers_reasoning_and_tools_stay_out() -> None:
    message = ai(
        {"type": "reasoning", "reasoning": "hm", "extras": {"signature": "s"}},
        {"type": "server_tool_call", "name": "web_search", "id": "srvtoolu_1", "args": {}},
        {"type": "server_tool_result", "tool_call_id": "srvtoolu_1", "output": []},
        {"type": "text", "text": "a"},
        response_metadata={"model_provider": "anthropic"},
    )
    assert [item["type"] for item in responses_input([message])] == ["message"]


@pytest.mark.parametrize(
    "phase", [{"phase": "final_answer"}, {"extras": {"phase": "final_answer"}}]
)
def test_a_refusal_keeps_its_phase_in_every_form(phase: Json) -> None:
    block = {"type": "refusal", "refusal": "no", "id": "msg_1", **phase}
    assert responses_input([ai(block, {"type": "refusal", "refusal": ""})]) == [
        {
            "type": "message",
            "content": [{"type": "refusal", "refusal": "no"}],
            "role": "assistant",
            "id": "msg_1",
            "phase": "final_answer",
        }
    ]


def test_an_unknown_server_tool_is_left_out() -> None:
    message = ai(
        {"type": "server_tool_call", "name": "web_fetch", "id": "x", "args": {}},
        {"type": "server_tool_result", "tool_call_id": "x", "output": []},
        {"type": "text", "text": "a"},
    )
    assert [item["type"] for item in responses_input([message])] == ["message"]


def test_a_call_id_used_again_in_a_later_turn_is_sent_again() -> None:
    turn = [AIMessage("", tool_calls=[CALL]), ToolMessage("1", tool_call_id="call_1")]
    kinds = [item["type"] for item in responses_input([*turn, *turn])]
    assert kinds == ["function_call", "function_call_output"] * 2


def test_a_chat_completions_answer_in_v1_form_sends_its_call_once() -> None:
    message = ai(
        {"type": "tool_call", "name": "f", "args": {"x": 1}, "id": "call_1"},
        tool_calls=[CALL],
        additional_kwargs={"refusal": None},
    )
    assert [item["call_id"] for item in responses_input([message])] == ["call_1"]


def test_a_tool_call_block_alone_keeps_its_arguments() -> None:
    message = ai({"type": "tool_call", "name": "f", "args": {"x": 1}, "id": "call_1"})
    message.tool_calls = []
    assert responses_input([message])[0]["arguments"] == '{"x":1}'


@pytest.mark.parametrize(
    "block",
    [
        {"type": "shell_call_output", "output": []},
        {"type": "local_shell_call_output", "id": "x", "output": "ok"},
        native({"type": "shell_call_output", "output": []}),
    ],
)
def test_shell_outputs_are_items_of_their_own(block: Json) -> None:
    item = block.get("value", block)
    sent = responses_input([ToolMessage([block], tool_call_id="call_1")])
    assert sent == [{"call_id": "call_1", **item}]
    assert responses_input([HumanMessage([block])]) == [item]


def test_shell_calls_go_back() -> None:
    call = {"type": "shell_call", "id": "sh_1", "call_id": "c", "action": {"commands": ["ls"]}}
    assert responses_input([ai({**call, "index": 0})]) == [call]


def test_reasoning_text_goes_back_without_stream_indexes() -> None:
    part = {"type": "reasoning_text", "text": "t"}
    block = {"type": "reasoning", "id": "rs", "summary": [], "content": [{**part, "index": 0}, "x"]}
    assert responses_input([ai(block)]) == [{**block, "content": [part, "x"]}]


def test_images_by_file_id_and_files_of_text_are_accepted() -> None:
    message = HumanMessage(
        [
            {"type": "image", "file_id": "file_1"},
            {"type": "text-plain", "text": "t", "mime_type": "text/plain"},
            {"type": "text-plain", "file_id": "file_2", "mime_type": "text/plain"},
            {"type": "image_url", "image_url": "https://x"},
        ]
    )
    assert responses_input([message])[0]["content"] == [
        {"type": "input_image", "file_id": "file_1"},
        {"type": "input_text", "text": "t"},
        {"type": "input_file", "file_id": "file_2"},
        {"type": "input_image", "image_url": "https://x"},
    ]


@pytest.mark.parametrize("kind", ["audio", "video"])
def test_sound_and_film_are_refused(kind: str) -> None:
    block = {"type": kind, "base64": PNG, "mime_type": f"{kind}/x"}
    with pytest.raises(InvalidParameterError, match=f"no {kind} input"):
        responses_input([HumanMessage([block])])


def test_tools_that_join_later_are_for_the_system_message_only() -> None:
    with pytest.raises(ValueError, match="SystemMessage"):
        responses_input([HumanMessage([{"type": "additional_tools", "tools": []}])])


def test_a_block_dropped_from_a_system_message_is_warned_about() -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        sent = responses_input([SystemMessage([{"type": "odd"}, {"type": "text", "text": "a"}])])
    assert "'odd' block" in str(caught[0].message)
    assert sent[0]["content"] == [{"type": "input_text", "text": "a"}]


def test_arguments_that_are_not_json_are_named() -> None:
    call = {**CALL, "args": {"x": object()}}
    with pytest.raises(InvalidParameterError, match="tool call 'f'"):
        responses_input([AIMessage("", tool_calls=[call])])


def test_a_message_without_a_role_is_refused() -> None:
    class Odd(BaseMessage):
        type: str = "odd"

    with pytest.raises(TypeError, match="Odd"):
        responses_input([Odd(content="a")])


def test_a_tool_result_json_cannot_write_is_sent_as_text() -> None:
    value = object()
    message = ToolMessage([{"type": "x", "value": value}], tool_call_id="c")
    assert str(value) in responses_input([message])[0]["output"]


def test_a_generated_image_without_an_id_goes_back_whole() -> None:
    block = {"type": "image_generation_call", "result": PNG}
    assert responses_input([ai(block)]) == [block]
    assert json.dumps(responses_input([ai(block)], store=False))


def test_calls_another_library_stored_raw_go_back() -> None:
    message = AIMessage("")
    function = {"name": "f", "arguments": "{}"}
    message.additional_kwargs["tool_calls"] = [
        {"id": "c", "type": "function", "function": function}
    ]
    assert responses_input([message]) == [{"type": "function_call", "call_id": "c", **function}]


def test_a_reference_to_a_stored_item_is_an_item() -> None:
    reference = {"type": "item_reference", "id": "msg_1"}
    assert responses_input([HumanMessage([reference])]) == [reference]


def test_sparse_standard_blocks_become_sparse_items() -> None:
    message = ai(
        {"type": "tool_call", "id": "call_1"},
        {"type": "image", "id": "ig_1", "base64": PNG},
        {"type": "non_standard"},
    )
    assert responses_input([message], store=False) == [
        {"type": "function_call", "call_id": "call_1"},
        {"type": "image_generation_call", "id": "ig_1", "result": PNG},
    ]
