"""Output parsers of `with_structured_output`.

They stream what LangChain's own parsers stream, and differ at the end: the finished answer is
checked, so that a cut, refused or broken one is an error and never a half-filled object.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias, cast

from langchain_core.exceptions import OutputParserException
from langchain_core.messages import AIMessage, BaseMessage, BaseMessageChunk
from langchain_core.output_parsers import (
    BaseOutputParser,
    JsonOutputKeyToolsParser,
    JsonOutputParser,
    PydanticOutputParser,
    PydanticToolsParser,
)
from langchain_core.output_parsers.transform import BaseCumulativeTransformOutputParser
from langchain_core.outputs import ChatGeneration, Generation
from langchain_core.runnables import Runnable, RunnableConfig, RunnableLambda
from langchain_core.runnables.utils import AddableDict
from pydantic import BaseModel, SkipValidation

from langchain_tamma_openai.chat_models.answers import (
    called,
    model_answer,
    object_answer,
    unparsable,
)

if TYPE_CHECKING:
    from langchain_core.utils.pydantic import TBaseModel  # noqa: F401 - mypy resolves fields with it

Answer: TypeAlias = dict[str, Any]


def keeping_raw(parser: Runnable[Any, Any]) -> Runnable[Answer, Answer]:
    """Make the last step of `include_raw=True`: a failed parse is a value, not an error.

    Args:
        parser: Parses the answer.

    Returns:
        A step from `{"raw"}` to `{"raw", "parsed", "parsing_error"}`.
    """

    def parse(given: Answer, config: RunnableConfig) -> Iterator[Answer]:
        yield AddableDict(given)
        try:
            parsed, error = parser.invoke(given["raw"], config), None
        except Exception as caught:  # noqa: BLE001 - validators of the caller's schema raise anything
            parsed, error = None, caught
        yield AddableDict(parsed=parsed)
        yield AddableDict(parsing_error=error)

    async def aparse(given: Answer, config: RunnableConfig) -> AsyncIterator[Answer]:
        yield AddableDict(given)
        try:
            parsed, error = await parser.ainvoke(given["raw"], config), None
        except Exception as caught:  # noqa: BLE001 - as above
            parsed, error = None, caught
        yield AddableDict(parsed=parsed)
        yield AddableDict(parsing_error=error)

    # LangChain accepts generators with a config, which its own annotations leave out.
    steps: tuple[Callable[..., Any], Callable[..., Any]] = (parse, aparse)
    return RunnableLambda(*steps, name="parse_keeping_raw")


class ModelAnswerParser(BaseOutputParser[Any]):
    """Answer to `json_schema` with a pydantic class: one object, when all of it is there."""

    pydantic_object: Annotated[type[BaseModel], SkipValidation()]

    def parse_result(self, result: list[Generation], *, partial: bool = False) -> Any:  # noqa: ARG002
        """Read the finished answer."""
        return model_answer(_message(result), self.pydantic_object)

    def parse(self, text: str) -> Any:
        """Read the text of an answer."""
        return self.parse_result([Generation(text=text)])

    @property
    def OutputType(self) -> type[BaseModel]:  # noqa: N802 - LangChain's name
        """The class asked for."""
        return self.pydantic_object


class _Progress:
    """What a stream has said so far, and the values already passed on."""

    def __init__(self, parser: _CheckedStream) -> None:
        self._parser = parser
        self._whole: Any = None
        self._shown: Any = None

    def feed(self, piece: str | BaseMessage) -> Iterator[Any]:
        self._whole = piece if self._whole is None else self._whole + piece
        if isinstance(self._whole, (str, BaseMessageChunk)):
            yield from self._news(partial=True)

    def finish(self) -> Iterator[Any]:
        if self._whole is not None:
            yield from self._news(partial=False)

    def _news(self, *, partial: bool) -> Iterator[Any]:
        value = self._parser.parse_result([_generation(self._whole)], partial=partial)
        if value is None or value == self._shown:
            return
        before, self._shown = self._shown, value
        yield self._parser._diff(before, value) if self._parser.diff else value


class _CheckedStream(BaseCumulativeTransformOutputParser[Any]):
    """Streams partial values, then reads the finished answer as strictly as `invoke` does."""

    def _transform(self, input: Iterator[str | BaseMessage]) -> Iterator[Any]:  # noqa: A002 - LangChain's name
        progress = _Progress(self)
        for piece in input:
            yield from progress.feed(piece)
        yield from progress.finish()

    async def _atransform(
        self,
        input: AsyncIterator[str | BaseMessage],  # noqa: A002 - LangChain's name
    ) -> AsyncIterator[Any]:
        progress = _Progress(self)
        async for piece in input:
            for value in progress.feed(piece):
                yield value
        for value in progress.finish():
            yield value


class JsonAnswerParser(_CheckedStream, JsonOutputParser):
    """JSON object in the text of an answer."""

    def parse_result(self, result: list[Generation], *, partial: bool = False) -> Any:
        """Read the answer, or what there is of it."""
        if not partial:
            return object_answer(_message(result))
        value = JsonOutputParser.parse_result(self, result, partial=True)
        return value if isinstance(value, dict) else None


class PydanticJsonAnswerParser(_CheckedStream, PydanticOutputParser[Any]):
    """JSON object in the text of an answer, as a pydantic object."""

    def parse_result(self, result: list[Generation], *, partial: bool = False) -> Any:
        """Read the answer, or what there is of it."""
        if partial:
            return PydanticOutputParser.parse_result(self, result, partial=True)
        message = _message(result)
        value = object_answer(message)
        if value is None:
            return None
        try:
            return self._parse_obj(value)
        except OutputParserException as error:
            name = self.pydantic_object.__name__
            reason = error.__cause__ or error
            unparsable(f"The answer does not fit {name}: {reason}", str(message.text), reason)


class ToolObjectParser(_CheckedStream, JsonOutputKeyToolsParser):
    """Arguments of the first call of one tool."""

    def parse_result(self, result: list[Generation], *, partial: bool = False) -> Any:
        """Read the call, or what there is of it."""
        if partial:
            return JsonOutputKeyToolsParser.parse_result(self, result, partial=True)
        settled = [ChatGeneration(message=called(_message(result)))]
        return JsonOutputKeyToolsParser.parse_result(self, cast("list[Generation]", settled))


class PydanticToolParser(_CheckedStream, PydanticToolsParser):
    """Arguments of the first tool call, as a pydantic object."""

    def parse_result(self, result: list[Generation], *, partial: bool = False) -> Any:
        """Read the call, or what there is of it."""
        if partial:
            return self._partial(result)
        answer = called(_message(result))
        try:
            return PydanticToolsParser.parse_result(self, [ChatGeneration(message=answer)])
        except (ValueError, OutputParserException) as error:
            arguments = str(answer.tool_calls[0]["args"])
            unparsable(f"The tool call does not fit the schema: {error}", arguments, error)

    def _partial(self, result: list[Generation]) -> Any:
        try:
            return PydanticToolsParser.parse_result(self, result, partial=True)
        except OutputParserException:  # the name of the tool has not come yet
            return None


def _message(result: list[Generation]) -> BaseMessage:
    generation = result[0]
    if isinstance(generation, ChatGeneration):
        return generation.message
    return AIMessage(content=generation.text)


def _generation(whole: str | BaseMessage) -> Generation:
    if isinstance(whole, str):
        return Generation(text=whole)
    return ChatGeneration(message=whole)
