"""The calls of any LangChain chat model."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from libraries import PROMPT, UnsupportedError, payloads

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel
    from langchain_core.messages import AIMessageChunk


class LangChainClient:
    """A chat model behind the calls that are measured."""

    def __init__(
        self, model: BaseChatModel, counting_model: Callable[[], BaseChatModel] | None = None
    ) -> None:
        """Keep the model.

        Args:
            model: Makes the calls.
            counting_model: Gives the model that counts; None where counting is not supported.
        """
        self._model = model
        self._counting_model = counting_model

    def invoke(self) -> str:
        """Make a plain call."""
        answer = self._model.invoke(PROMPT)
        assert answer.usage_metadata
        return str(answer.text)

    def stream(self) -> str:
        """Read a stream to its end."""
        return "".join([str(chunk.text) for chunk in self._model.stream(PROMPT)])

    async def ainvoke(self) -> str:
        """Make a plain async call."""
        answer = await self._model.ainvoke(PROMPT)
        assert answer.usage_metadata
        return str(answer.text)

    async def astream(self) -> str:
        """Read an async stream to its end."""
        return "".join([str(chunk.text) async for chunk in self._model.astream(PROMPT)])

    def stream_tools(self) -> list[str]:
        """Read a stream of tool calls."""
        return _arguments(self._model.stream(PROMPT))

    async def astream_tools(self) -> list[str]:
        """Read an async stream of tool calls."""
        return _arguments([chunk async for chunk in self._model.astream(PROMPT)])

    def binding(self, tools: int) -> Callable[[], object]:
        """Bind tools."""
        schemas = payloads.tools(tools)
        return lambda: self._model.bind_tools(schemas)

    def long_history(self, messages: int, tools: int) -> Callable[[], object]:
        """Call with a long history and many tools."""
        from langchain_core.messages.utils import convert_to_messages

        history = convert_to_messages(payloads.history(messages))
        bound = self._model.bind_tools(payloads.tools(tools))
        return lambda: bound.invoke(history)

    def picture(self, base64_data: str) -> Callable[[], object]:
        """Call with an image."""
        from langchain_core.messages import HumanMessage

        message = HumanMessage(content=list(payloads.image_content(base64_data)))
        return lambda: self._model.invoke([message])

    def counter(self) -> Callable[[str], int]:
        """Count with LangChain's method."""
        if self._counting_model is None:
            raise UnsupportedError("counts by a tokenizer of another family")
        return self._counting_model().get_num_tokens

    def settle(self) -> None:
        """Nothing runs in the background."""

    async def aclose(self) -> None:
        """Leave the sockets to the end of the process, as a LangChain program does."""


def _arguments(chunks: Iterable[AIMessageChunk]) -> list[str]:
    found: dict[object, list[str]] = {}
    for chunk in chunks:
        for piece in chunk.tool_call_chunks:
            found.setdefault(piece["index"], []).append(piece["args"] or "")
    return ["".join(pieces) for pieces in found.values()]
