"""Answers to a `response_format`, beside those of `ChatOpenAI`: request, text and object."""

from __future__ import annotations

from typing import Any

import pytest
from mock_api import ALL_WAYS, Json, MockAPI, Way, chunk, completion, usage_chunk
from peer import pair, seen
from pydantic import BaseModel


class Person(BaseModel):
    """A person."""

    name: str
    age: int


SCHEMA: Json = {
    "title": "Person",
    "type": "object",
    "properties": {"name": {"type": "string"}, "age": {"type": "integer"}},
    "required": ["name", "age"],
    "additionalProperties": False,
}
FORMATS: dict[str, Any] = {
    "class": Person,
    "schema": {
        "type": "json_schema",
        "json_schema": {"name": "Person", "schema": SCHEMA, "strict": True},
    },
    "object": {"type": "json_object"},
    "text": {"type": "text"},
}
WHOLE = '{"name": "Ada", "age": 36}'

all_ways = pytest.mark.parametrize("way", ALL_WAYS.values(), ids=ALL_WAYS)


def api_with(text: str, finish_reason: str = "stop", refusal: str | None = None) -> MockAPI:
    def reply(sent: Json) -> Any:
        if not sent.get("stream"):
            return completion({"content": text, "refusal": refusal}, finish_reason)
        declined = [chunk({"refusal": piece}) for piece in refusal or ""]
        pieces = [chunk({"content": piece}) for piece in text]
        begun = chunk({"role": "assistant", "content": ""})
        return [begun, *pieces, *declined, chunk({}, finish_reason), usage_chunk()]

    return MockAPI(reply)


@all_ways
@pytest.mark.filterwarnings("ignore:Pydantic serializer warnings:UserWarning")  # ChatOpenAI's
@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize(("text", "refusal"), [(WHOLE, None), ("", None), ("", "I cannot.")])
def test_answer_is_the_one_of_chat_openai(
    name: str, text: str, refusal: str | None, way: Way
) -> None:
    api = api_with(text, refusal=refusal)
    theirs, ours = (way(model.bind(response_format=FORMATS[name]), "Hi") for model in pair(api))
    assert seen(ours) == seen(theirs)
    sent_by_them, sent_by_us = api.bodies
    assert sent_by_us == sent_by_them
    if (name, text) == ("class", WHOLE):
        assert ours.additional_kwargs["parsed"] == Person(name="Ada", age=36)


@all_ways
@pytest.mark.parametrize(
    ("text", "finish_reason"),
    [
        ('{"name": "Ada", "age": "old"}', "stop"),
        ("no JSON", "stop"),
        ('{"name": "Ad', "length"),
        ("", "content_filter"),
    ],
)
def test_answer_that_does_not_fit_is_kept_with_its_cost(
    text: str, finish_reason: str, way: Way
) -> None:
    model: Any = api_with(text, finish_reason).tamma().bind(response_format=Person)
    answer = way(model, "Hi")
    assert answer.content == text
    assert answer.additional_kwargs["parsed"] is None
    assert answer.response_metadata["finish_reason"] == finish_reason
    assert answer.response_metadata["cost"]["total_usd"] is not None
    assert answer.usage_metadata is not None
