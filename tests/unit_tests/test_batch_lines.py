"""Lines of a batch's input: what each form asks, and what is wrong with the others."""

from __future__ import annotations

import json
from typing import Any

import pytest

from langchain_tamma_openai.batch_run.lines import BatchLine, Form, read_line
from langchain_tamma_openai.batch_run.problems import BadLine

USER = {"role": "user", "content": "Hello"}


def read(line: object) -> BatchLine | BadLine | None:
    return read_line(7, line if isinstance(line, bytes) else json.dumps(line).encode() + b"\n")


def task(**fields: Any) -> dict[str, Any]:
    """A line of the Batch API, with some fields replaced."""
    body = {"model": "gpt-6-luna", "messages": [USER]}
    given = {"custom_id": "a", "method": "POST", "url": "/v1/chat/completions", "body": body}
    return {name: value for name, value in {**given, **fields}.items() if value != "LEFT OUT"}


@pytest.mark.parametrize(
    ("line", "form", "content", "parameters"),
    [
        ("Hello", Form.MESSAGES, "Hello", {}),
        ({"input": "Hello"}, Form.MESSAGES, "Hello", {}),
        ({"input": "Hello", "temperature": 0}, Form.MESSAGES, "Hello", {"temperature": 0}),
        ({"messages": [USER]}, Form.MESSAGES, [USER], {}),
        (
            {"messages": [USER], "model": "gpt-6-sol", "stream": False},
            Form.MESSAGES,
            [USER],
            {"model": "gpt-6-sol"},
        ),
        ({"input": [USER], "new_parameter": 1}, Form.RESPONSES_BODY, [USER], {"new_parameter": 1}),
        (task(), Form.CHAT_BODY, [USER], {"model": "gpt-6-luna"}),
        (task(method="LEFT OUT"), Form.CHAT_BODY, [USER], {"model": "gpt-6-luna"}),
        (
            task(url="/v1/responses", body={"input": "Hello", "metadata": {"a": "b"}}),
            Form.RESPONSES_BODY,
            "Hello",
            {"metadata": {"a": "b"}},
        ),
        (task(url="/v1/responses", body={"input": [USER]}), Form.RESPONSES_BODY, [USER], {}),
    ],
)
def test_every_form_is_read(line: object, form: Form, content: object, parameters: object) -> None:
    found = read(line)
    assert isinstance(found, BatchLine)
    assert (found.line, found.form, found.content) == (7, form, content)
    assert found.parameters == parameters


@pytest.mark.parametrize("name", ["id", "custom_id"])
@pytest.mark.parametrize(("given", "read_as"), [("a-1", "a-1"), (12, "12"), (None, None)])
def test_an_id_may_have_either_name(name: str, given: object, read_as: str | None) -> None:
    found = read({"input": "Hello", name: given, "metadata": {"user_id": "ann"}})
    assert isinstance(found, BatchLine)
    assert (found.custom_id, found.metadata) == (read_as, {"user_id": "ann"})


def test_the_first_line_may_have_a_mark_of_its_encoding() -> None:
    found = read_line(1, '\ufeff"Grüße"\r\n'.encode())
    assert isinstance(found, BatchLine)
    assert found.content == "Grüße"


@pytest.mark.parametrize("raw", [b"\n", b"  \t\r\n", b""])
def test_blank_lines_are_none(raw: bytes) -> None:
    assert read(raw) is None


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b'{"input": "a"\n', "is not JSON: Expecting ',' delimiter (column 15)"),
        (b'{"input": NaN}', "NaN is no number"),
        (b'{"input": "\xff"}', "is not UTF-8 (byte 12)"),
        (b"[" * 100_000, "is not JSON"),
        (3, 'is 3; it must be a JSON text, {"input": "..."}'),
        (None, "is null"),
        ([USER], "is list of 1"),
        ({}, "has neither 'input' nor 'messages'"),
        ({"prompt": "Hello"}, "has neither 'input' nor 'messages'"),
        ({"input": "Hello", "messages": [USER]}, "has both 'messages' and 'input'"),
        ("  ", "the text: is empty"),
        ({"input": ""}, "input: is empty"),
        ({"input": 3}, "input: got 3, must be a text or a list of items"),
        ({"input": []}, "input: the list is empty"),
        ({"messages": "Hello"}, 'messages: got "Hello", must be a list of messages'),
        ({"messages": []}, "messages: the list is empty"),
        ({"messages": ["Hello"]}, 'messages[0]: got "Hello", must be an object with a role'),
        ({"messages": [{"content": "Hello"}]}, "messages[0].role: got null"),
        ({"messages": [USER, {"role": "user"}]}, "messages[1].content: got null"),
        ({"messages": [{"role": "user", "content": [3]}]}, "messages[0].content[0]: got 3"),
        ({"messages": [{"role": "wizard", "content": "Hello"}]}, "cannot be read as messages"),
        ({"messages": [USER], "temprature": 1}, "did you mean 'temperature'?"),
        ({"input": "Hello", "guided_json": 1}, "those of other servers go into extra_body"),
        ({"input": "Hello", "stream": True}, "answers of a batch are not streamed"),
        ({"input": "Hello", "model": ""}, 'model: got "", must be the name of a model'),
        ({"messages": [{"role": "tool", "content": "1"}]}, "a message lacks 'tool_call_id'"),
        ({"input": "Hello", "tools": {}}, "tools: got dict of 0, must be a list of objects"),
        ({"input": "Hello", "tools": ["x"]}, "tools: got list of 1, must be a list of objects"),
        ({"input": "Hello", "temperature": "hot"}, 'temperature: got "hot", must be a number'),
        ({"input": "Hello", "max_tokens": 0}, "max_tokens: got 0, must be a whole number"),
        ({"input": "Hello", "n": True}, "n: got true, must be a whole number"),
        ({"input": "Hello", "response_format": "json"}, "response_format: got"),
        ({"input": [USER], "user": 3}, "user: got 3, must be a text"),
        ({"input": "Hello", "id": ""}, 'id: got "", must be a text'),
        ({"input": "Hello", "id": True}, "id: got true"),
        ({"input": "Hello", "id": "a", "custom_id": "b"}, "a custom_id and another id"),
        ({"input": "Hello", "metadata": "ann"}, 'metadata: got "ann", must be an object'),
        (task(method="GET"), "method: got \"GET\", must be 'POST'"),
        (task(url="/v1/embeddings"), 'url: got "/v1/embeddings", must be'),
        (task(url="LEFT OUT"), "url: got null"),
        (task(custom_id="LEFT OUT"), "custom_id: is missing"),
        (task(body="LEFT OUT"), "body: got null, must be an object"),
        (task(body={}), "body: has no 'messages', which /v1/chat/completions needs"),
        (task(url="/v1/responses"), "body: has no 'input', which /v1/responses needs"),
        (task(body={"messages": [USER], "stream": True}), "not streamed"),
        (task(body={"messages": [{"role": 3}]}), "body.messages[0].role: got 3"),
        (task(messages=[USER]), "'messages' is not a part of a line of the Batch API"),
    ],
)
def test_bad_lines_say_what_is_wrong(line: object, reason: str) -> None:
    found = read(line)
    assert isinstance(found, BadLine)
    assert reason in found.reason
    assert found.line == 7
    assert len(found.reason) < 300


def test_a_bad_line_keeps_its_id() -> None:
    found = read({"id": "a-1", "input": 3})
    assert isinstance(found, BadLine)
    assert found.custom_id == "a-1"
