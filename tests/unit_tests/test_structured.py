"""`bind_tools` and `with_structured_output` on a model that answers from memory."""

# ruff: noqa: ARG002 - the fake model has LangChain's hook signatures

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Iterator
from typing import Any, Literal, TypedDict

import openai
import pydantic.v1
import pytest
from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.exceptions import OutputParserException
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.runnables import Runnable
from pydantic import BaseModel, Field, ValidationError, field_validator

from langchain_tamma_openai.chat_models.fields import ChatFields
from langchain_tamma_openai.chat_models.structured import StructuredOutputMixin
from langchain_tamma_openai.errors import (
    ContentFilterError,
    InvalidParameterError,
    InvalidToolError,
    MalformedResponseError,
    OutputTruncatedError,
    RefusalError,
    TammaError,
)

Method = Literal["function_calling", "json_mode", "json_schema"]
METHODS: list[Method] = ["json_schema", "json_mode", "function_calling"]


class Person(BaseModel):
    """A person."""

    name: str
    age: int


class PersonDict(TypedDict):
    """A person."""

    name: str
    age: int


class OldPerson(pydantic.v1.BaseModel):
    """A person, the old way."""

    name: str
    age: int


SCHEMA = {
    "title": "Person",
    "description": "A person.",
    "type": "object",
    "properties": {"name": {"type": "string"}, "age": {"type": "integer"}},
    "required": ["name", "age"],
}
ANN: dict[str, Any] = {"name": "Ann", "age": 41}
TEXT = '{"name": "Ann", "age": 41}'


class FakeModel(StructuredOutputMixin, ChatFields):
    """Answers with one prepared message, whole or in pieces."""

    model_name: str = "gpt-6-luna"
    disabled_params: dict[str, Any] | None = None
    use_responses_api: bool | None = None
    answer: AIMessage = AIMessage("")
    pieces: list[AIMessageChunk] = Field(default_factory=list)

    @property
    def _llm_type(self) -> str:
        return "fake"

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        return ChatResult(generations=[ChatGeneration(message=self.answer)])

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        for piece in self.pieces:
            yield ChatGenerationChunk(message=piece)

    async def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        for piece in self.pieces:
            yield ChatGenerationChunk(message=piece)


def text_answer(text: str, finish_reason: str = "stop", **extra: Any) -> FakeModel:
    """A model that says `text`, streamed in pieces of four characters."""
    metadata = {"finish_reason": finish_reason, "model_name": "gpt-6-luna"}
    pieces = [AIMessageChunk(content=text[at : at + 4]) for at in range(0, len(text), 4)]
    pieces.append(AIMessageChunk(content="", response_metadata=metadata, additional_kwargs=extra))
    whole = AIMessage(text, response_metadata=metadata, additional_kwargs=extra)
    return FakeModel(answer=whole, pieces=pieces)


def call_answer(args: str, finish_reason: str = "tool_calls", name: str = "Person") -> FakeModel:
    """A model that calls `name` with the raw text `args`, streamed in pieces of four characters."""
    from langchain_tamma_openai.wire.chunks import strict_tool_calls

    first = {"name": name, "args": "", "id": "call_1", "index": 0}
    pieces = [AIMessageChunk(content="", tool_call_chunks=[first])]
    for at in range(0, len(args), 4):
        more = {"name": None, "args": args[at : at + 4], "id": None, "index": 0}
        pieces.append(AIMessageChunk(content="", tool_call_chunks=[more]))
    metadata = {"finish_reason": finish_reason}
    pieces.append(AIMessageChunk(content="", response_metadata=metadata))
    whole = {"name": name, "args": args, "id": "call_1", "index": 0, "type": "tool_call_chunk"}
    valid, broken = strict_tool_calls([whole])  # type: ignore[list-item]
    message = AIMessage("", tool_calls=valid, invalid_tool_calls=broken, response_metadata=metadata)
    return FakeModel(answer=message, pieces=pieces)


def answering(method: Method, text: str, finish_reason: str | None = None) -> FakeModel:
    if method == "function_calling":
        return call_answer(text, finish_reason or "tool_calls")
    return text_answer(text, finish_reason or "stop")


async def every_way(chain: Runnable[Any, Any]) -> list[Any]:
    """Last value of invoke, ainvoke, stream, astream and batch."""
    return [
        chain.invoke("who?"),
        await chain.ainvoke("who?"),
        list(chain.stream("who?"))[-1],
        [value async for value in chain.astream("who?")][-1],
        *chain.batch(["who?"]),
    ]


async def error_of_every_way(chain: Runnable[Any, Any], kind: type[BaseException]) -> list[Any]:
    caught = []
    with pytest.raises(kind) as info:
        chain.invoke("who?")
    caught.append(info.value)
    with pytest.raises(kind) as info:
        await chain.ainvoke("who?")
    caught.append(info.value)
    with pytest.raises(kind) as info:
        list(chain.stream("who?"))
    caught.append(info.value)
    with pytest.raises(kind) as info:
        [_ async for _ in chain.astream("who?")]
    caught.append(info.value)
    with pytest.raises(kind) as info:
        chain.batch(["who?"])
    caught.append(info.value)
    return caught


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("schema", [Person, PersonDict, SCHEMA])
async def test_answers_become_objects(method: Method, schema: Any) -> None:
    model = answering(method, TEXT)
    if schema is PersonDict and method == "function_calling":
        model = call_answer(TEXT, name="PersonDict")
    chain = model.with_structured_output(schema, method=method)
    expected = Person(**ANN) if schema is Person else ANN
    assert await every_way(chain) == [expected] * 5


async def test_old_pydantic_classes_are_asked_by_tool_call() -> None:
    model = call_answer(TEXT, name="OldPerson")
    with pytest.warns(UserWarning, match="function_calling"):
        chain = model.with_structured_output(OldPerson)
    assert await every_way(chain) == [OldPerson(**ANN)] * 5
    chain = text_answer(TEXT).with_structured_output(OldPerson, method="json_mode")
    assert chain.invoke("who?") == OldPerson(**ANN)


@pytest.mark.parametrize("model_name", ["gpt-4", "gpt-4-turbo", "gpt-3.5-turbo"])
def test_old_models_are_asked_by_tool_call(model_name: str) -> None:
    model = call_answer(TEXT).model_copy(update={"model_name": model_name})
    with pytest.warns(UserWarning, match=model_name):
        chain = model.with_structured_output(Person)
    assert chain.invoke("who?") == Person(**ANN)


@pytest.mark.parametrize("method", METHODS)
def test_dicts_stream_as_they_grow(method: Method) -> None:
    values = list(answering(method, TEXT).with_structured_output(SCHEMA, method=method).stream("?"))
    assert values[0] == {}
    assert values[-1] == ANN
    assert {"name": "Ann"} in values
    assert all(a != b for a, b in itertools.pairwise(values))


def test_a_schema_answer_streams_only_whole_objects() -> None:
    chain = text_answer(TEXT).with_structured_output(Person)
    assert list(chain.stream("who?")) == [Person(**ANN)]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("schema", [Person, SCHEMA])
@pytest.mark.parametrize("cut", range(len(TEXT)))
def test_an_answer_cut_anywhere_is_never_an_object(method: Method, schema: Any, cut: int) -> None:
    chain = answering(method, TEXT[:cut], "length").with_structured_output(schema, method=method)
    with pytest.raises(OutputTruncatedError, match="max_tokens") as caught:
        chain.invoke("who?")
    assert isinstance(caught.value, openai.LengthFinishReasonError)
    with pytest.raises(OutputTruncatedError):
        list(chain.stream("who?"))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("schema", [Person, SCHEMA])
@pytest.mark.parametrize("cut", range(1, len(TEXT)))
def test_a_broken_answer_without_a_reason_is_never_an_object(
    method: Method, schema: Any, cut: int
) -> None:
    chain = answering(method, TEXT[:cut]).with_structured_output(schema, method=method)
    with pytest.raises(MalformedResponseError) as caught:
        chain.invoke("who?")
    assert caught.value.llm_output == TEXT[:cut]  # type: ignore[attr-defined]
    with pytest.raises(MalformedResponseError):
        list(chain.stream("who?"))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("schema", [Person, SCHEMA])
async def test_a_refusal_is_an_error_of_its_own(method: Method, schema: Any) -> None:
    model = text_answer("", refusal="I can't do that.")
    chain = model.with_structured_output(schema, method=method)
    for error in await error_of_every_way(chain, RefusalError):
        assert error.refusal == "I can't do that."
        assert error.model == "gpt-6-luna"


@pytest.mark.parametrize(
    "content",
    [
        [{"type": "refusal", "refusal": "no"}],
        [{"type": "non_standard", "value": {"type": "refusal", "refusal": "no"}}],
        [{"type": "text", "text": ""}, "text", {"type": "refusal", "refusal": "no"}],
    ],
)
def test_a_refusal_in_content_blocks_is_found(content: Any) -> None:
    model = FakeModel(answer=AIMessage(content=content))
    with pytest.raises(RefusalError, match="no"):
        model.with_structured_output(Person).invoke("who?")


@pytest.mark.parametrize("method", METHODS)
async def test_a_content_filter_is_an_error_of_its_own(method: Method) -> None:
    model = answering(method, '{"name": "A', "content_filter")
    await error_of_every_way(
        model.with_structured_output(Person, method=method), ContentFilterError
    )


@pytest.mark.parametrize(
    ("reason", "error"),
    [("max_output_tokens", OutputTruncatedError), ("content_filter", ContentFilterError)],
)
def test_the_responses_api_says_the_same_in_other_words(
    reason: str, error: type[TammaError]
) -> None:
    metadata = {"status": "incomplete", "incomplete_details": {"reason": reason}}
    model = FakeModel(answer=AIMessage('{"na', response_metadata=metadata))
    with pytest.raises(error):
        model.with_structured_output(Person).invoke("who?")


@pytest.mark.parametrize("method", METHODS)
def test_an_answer_that_does_not_fit_keeps_the_reason(method: Method) -> None:
    model = answering(method, '{"name": "Ann", "age": "old"}')
    with pytest.raises(MalformedResponseError, match="age") as caught:
        model.with_structured_output(Person, method=method).invoke("who?")
    assert isinstance(caught.value, ValueError)
    assert isinstance(caught.value, OutputParserException)
    assert isinstance(caught.value.__cause__, ValidationError)
    assert caught.value.code == "unparsable_answer"


@pytest.mark.parametrize("method", ["json_schema", "json_mode"])
@pytest.mark.parametrize("text", ["[1]", "4", "null", '"a"', '{"name": NaN}', TEXT + "}", "no"])
def test_text_that_is_no_json_object(method: Method, text: str) -> None:
    for schema in (Person, SCHEMA):
        with pytest.raises(MalformedResponseError):
            text_answer(text).with_structured_output(schema, method=method).invoke("who?")


@pytest.mark.parametrize("text", [f"```json\n{TEXT}\n```", f"Sure:\n```\n{TEXT}\n```\nDone.", TEXT])
async def test_a_markdown_fence_is_taken_off(text: str) -> None:
    chain = text_answer(text).with_structured_output(SCHEMA, method="json_mode")
    assert await every_way(chain) == [ANN] * 5


def test_a_fence_inside_a_string_is_text() -> None:
    text = '{"name": "```json\\n{}\\n```"}'
    chain = text_answer(text).with_structured_output(SCHEMA, method="json_mode")
    assert chain.invoke("who?") == {"name": "```json\n{}\n```"}


@pytest.mark.parametrize("schema", [Person, SCHEMA])
def test_calling_a_tool_instead_of_answering_gives_none(schema: Any) -> None:
    call = {"name": "search", "args": {}, "id": "call_1"}
    model = FakeModel(answer=AIMessage("", tool_calls=[call]))
    assert model.with_structured_output(schema).invoke("who?") is None
    assert model.with_structured_output(schema, method="json_mode").invoke("who?") is None


@pytest.mark.parametrize("schema", [Person, SCHEMA])
def test_not_calling_the_tool_gives_none(schema: Any) -> None:
    model = text_answer("I'd rather chat.")
    chain = model.with_structured_output(schema, method="function_calling")
    assert chain.invoke("who?") is None
    assert list(chain.stream("who?")) == []


def test_a_call_of_another_tool() -> None:
    model = call_answer(TEXT, name="Other")
    as_dict = model.with_structured_output(SCHEMA, method="function_calling")
    assert as_dict.invoke("who?") is None
    as_object = model.with_structured_output(Person, method="function_calling")
    with pytest.raises(MalformedResponseError, match="Other"):
        as_object.invoke("who?")
    with pytest.raises(MalformedResponseError, match="Other"):
        list(as_object.stream("who?"))


def test_a_parsed_object_on_the_message_is_used() -> None:
    parsed = Person(**ANN)
    model = FakeModel(answer=AIMessage("", additional_kwargs={"parsed": parsed}))
    assert model.with_structured_output(Person).invoke("who?") is parsed


@pytest.mark.parametrize("schema", [Person, SCHEMA])
def test_a_cut_answer_is_an_error_even_when_what_came_parses(schema: Any) -> None:
    model = text_answer(TEXT, "length", parsed=Person(**ANN))
    with pytest.raises(OutputTruncatedError):
        model.with_structured_output(schema).invoke("who?")


RAW_CASES = [
    (text_answer('{"name": "A', "length"), OutputTruncatedError),
    (text_answer("no"), MalformedResponseError),
    (text_answer("", refusal="no"), RefusalError),
    (text_answer("{}", "content_filter"), ContentFilterError),
]


@pytest.mark.parametrize("schema", [Person, SCHEMA])
@pytest.mark.parametrize(("model", "error"), RAW_CASES)
async def test_the_raw_answer_is_kept_whatever_happens(
    schema: Any, model: FakeModel, error: type[TammaError]
) -> None:
    chain = model.with_structured_output(schema, include_raw=True)
    for answer in (chain.invoke("who?"), await chain.ainvoke("who?"), *chain.batch(["who?"])):
        assert isinstance(answer, dict)
        assert list(answer) == ["raw", "parsed", "parsing_error"]
        assert answer["raw"].content == model.answer.content
        assert answer["parsed"] is None
        assert isinstance(answer["parsing_error"], error)


@pytest.mark.parametrize("text", [TEXT, "no"])
async def test_raw_and_parsed_stream_apart(text: str) -> None:
    chain = text_answer(text).with_structured_output(Person, include_raw=True)
    pieces: list[Any] = list(chain.stream("who?"))
    assert [list(piece) for piece in pieces] == [["raw"], ["parsed"], ["parsing_error"]]
    again: list[Any] = [piece async for piece in chain.astream("who?")]
    assert [list(piece) for piece in again] == [["raw"], ["parsed"], ["parsing_error"]]
    assert pieces[0]["raw"].content == again[0]["raw"].content == text
    assert pieces[1]["parsed"] == (Person(**ANN) if text == TEXT else None)


def test_a_validator_that_breaks_does_not_lose_the_raw_answer() -> None:
    class Odd(BaseModel):
        """A class with a bug."""

        name: str

        @field_validator("name")
        @classmethod
        def _broken(cls, value: str) -> str:
            raise RuntimeError(value)

    answer = (
        text_answer('{"name": "Ann"}').with_structured_output(Odd, include_raw=True).invoke("?")
    )
    assert isinstance(answer, dict)
    assert answer["raw"].content == '{"name": "Ann"}'
    assert isinstance(answer["parsing_error"], RuntimeError)


def test_parsers_read_plain_text_too() -> None:
    chain = FakeModel().with_structured_output(SCHEMA)
    parser = chain.last  # type: ignore[attr-defined]
    assert parser.invoke(TEXT) == ANN
    assert list(parser.transform(iter([TEXT[:9], TEXT[9:]])))[-1] == ANN
    assert list(parser.transform(iter([]))) == []
    whole = FakeModel().with_structured_output(Person).last  # type: ignore[attr-defined]
    assert whole.parse(TEXT) == Person(**ANN)
    assert whole.OutputType is Person
    called = FakeModel().with_structured_output(SCHEMA, method="function_calling").last  # type: ignore[attr-defined]
    assert called.invoke("text") is None


def test_a_parser_can_stream_differences() -> None:
    from langchain_tamma_openai.chat_models.parsers import JsonAnswerParser

    patches = list(JsonAnswerParser(diff=True).transform(iter(["{", '"a": 1}'])))
    assert patches[-1] == [{"op": "add", "path": "/a", "value": 1}]


async def test_a_model_that_cannot_stream_is_parsed_once() -> None:
    class Whole(FakeModel):
        disable_streaming: bool = True

    model = Whole(answer=text_answer(TEXT).answer)
    chain = model.with_structured_output(SCHEMA)
    assert list(chain.stream("who?")) == [ANN]
    assert [value async for value in chain.astream("who?")] == [ANN]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"schema": None}, "schema"),
        ({"schema": None, "method": "function_calling"}, "schema"),
        ({"schema": Person, "method": "json_mode", "strict": True}, "strict"),
        ({"schema": Person, "method": "xml"}, "method"),
        ({"schema": {"type": "object", "properties": {}}}, "title"),
        ({"schema": {"title": "a", "type": "array", "items": {}}}, "object"),
        ({"schema": object()}, "response_format"),
        ({"schema": {"type": "web_search"}, "method": "function_calling"}, "web_search"),
    ],
)
def test_bad_requests_are_refused_before_any_call(arguments: Any, message: str) -> None:
    with pytest.raises(InvalidParameterError, match=message) as caught:
        FakeModel().with_structured_output(**arguments)
    assert isinstance(caught.value, ValueError)


def test_a_bad_tool_beside_a_schema_is_refused() -> None:
    with pytest.raises(InvalidToolError, match=r"tools\[0\]"):
        FakeModel().with_structured_output(Person, tools=[object()])  # type: ignore[list-item]
