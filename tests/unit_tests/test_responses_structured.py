"""Structured answers on the Responses API: objects, tools beside them, and what goes wrong."""

from __future__ import annotations

from typing import Any

import pytest
from mock_api import Json, Way
from pydantic import BaseModel
from responses_api import (
    answered,
    every_way,
    function_call,
    model_of,
    reasoning,
    refusal_message,
    serving,
    text_message,
)

from langchain_tamma_openai.errors import (
    ContentFilterError,
    MalformedResponseError,
    OutputTruncatedError,
    RefusalError,
)


class Sum(BaseModel):
    """The sum of two numbers."""

    total: int


DICT = {"title": "Sum", "type": "object", "properties": {"total": {"type": "integer"}}}
GOOD = text_message('{"total": 3}')


@every_way
@pytest.mark.parametrize(("schema", "value"), [(Sum, Sum(total=3)), (DICT, {"total": 3})], ids=str)
@pytest.mark.parametrize("version", [None, "v0", "responses/v1", "v1"])
def test_a_structured_answer_is_an_object(
    schema: Any, value: object, version: str | None, way: Way
) -> None:
    api = serving(answered(reasoning(), GOOD))
    answer = way(model_of(api, output_version=version), "hi", response_format=schema)
    assert answer.additional_kwargs["parsed"] == value
    assert api.bodies[0]["text"]["format"]["name"] == "Sum"
    structured = model_of(api, output_version=version).with_structured_output(schema)
    assert structured.invoke("hi") == value
    assert [*structured.stream("hi")][-1] == value


def test_a_structured_answer_streams_its_growing_parts() -> None:
    api = serving(answered(GOOD))
    parts = [*model_of(api).with_structured_output(DICT).stream("hi")]
    assert parts == [{}, {"total": 3}]


@pytest.mark.parametrize("method", ["json_schema", "function_calling", "json_mode"])
@pytest.mark.parametrize("schema", [Sum, DICT], ids=["class", "dict"])
async def test_every_method_works(method: Any, schema: Any) -> None:
    call = function_call("Sum", '{"total": 3}')
    api = serving(answered(call if method == "function_calling" else GOOD))
    structured = model_of(api).with_structured_output(schema, method=method)
    expected = Sum(total=3) if schema is Sum else {"total": 3}
    assert structured.invoke("hi") == expected
    assert await structured.ainvoke("hi") == expected
    assert structured.batch(["hi"]) == [expected]
    assert [part async for part in structured.astream("hi")][-1] == expected


@pytest.mark.parametrize("schema", [Sum, DICT], ids=["class", "dict"])
def test_tools_stand_beside_a_structured_answer(schema: Any) -> None:
    api = serving(answered(function_call("add", '{"a": 1, "b": 2}')), answered(GOOD))
    model = model_of(api)
    structured = model.with_structured_output(schema, tools=[add], strict=True, include_raw=True)
    first = structured.invoke("hi")
    assert isinstance(first, dict)
    assert first["parsed"] is None
    assert first["parsing_error"] is None
    assert first["raw"].tool_calls[0]["args"] == {"a": 1, "b": 2}
    second = structured.invoke("hi")
    assert isinstance(second, dict)
    assert second["parsed"] == (Sum(total=3) if schema is Sum else {"total": 3})
    body = api.bodies[0]
    assert body["text"]["format"]["type"] == "json_schema"
    assert [tool["name"] for tool in body["tools"]] == ["add"]


def cut(reason: str) -> Json:
    text = text_message('{"total": ')
    return answered(text, status="incomplete", incomplete_details={"reason": reason})


TROUBLES = [
    (answered(refusal_message("I cannot do that.")), RefusalError, "I cannot do that"),
    (cut("max_output_tokens"), OutputTruncatedError, "output limit"),
    (cut("content_filter"), ContentFilterError, "content filter"),
    (answered(text_message('{"total": "many"}')), MalformedResponseError, "does not fit"),
    (answered(text_message("three")), MalformedResponseError, "does not fit"),
    (answered(), MalformedResponseError, "does not fit"),
]


@pytest.mark.parametrize(("whole", "error", "said"), TROUBLES)
@pytest.mark.parametrize("version", [None, "v0", "v1"])
async def test_an_answer_that_cannot_be_the_object_is_a_typed_error(
    whole: Json, error: type[Exception], said: str, version: str | None
) -> None:
    structured = model_of(serving(whole), output_version=version).with_structured_output(Sum)
    with pytest.raises(error, match=said):
        structured.invoke("hi")
    with pytest.raises(error, match=said):
        await structured.ainvoke("hi")
    with pytest.raises(error, match=said):
        list(structured.stream("hi"))


@pytest.mark.parametrize(("whole", "error", "said"), TROUBLES)
@pytest.mark.parametrize("schema", [Sum, DICT], ids=["class", "dict"])
def test_the_raw_answer_and_its_usage_survive_what_does_not_parse(
    whole: Json, error: type[Exception], said: str, schema: Any
) -> None:
    if schema is DICT and whole["output"] and '"many"' in str(whole["output"]):
        return  # a dict is checked by no validator
    structured = model_of(serving(whole)).with_structured_output(schema, include_raw=True)
    for kept in (structured.invoke("hi"), _merged([*structured.stream("hi")])):
        assert isinstance(kept, dict)
        assert kept["parsed"] is None
        assert isinstance(kept["parsing_error"], error)
        assert kept["raw"].usage_metadata["total_tokens"] == 29
        assert kept["raw"].response_metadata["cost"]["total_usd"] is not None
    assert said


def _merged(parts: list[Any]) -> Any:
    whole = parts[0]
    for part in parts[1:]:
        whole = whole + part
    return whole


def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b
