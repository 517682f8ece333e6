"""The calls of any LangChain chat model."""

from __future__ import annotations

from typing import TYPE_CHECKING

from libraries import PROMPT

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel


class LangChainClient:
    """A chat model behind the four calls that are measured."""

    def __init__(self, model: BaseChatModel) -> None:
        """Keep the model."""
        self._model = model

    def invoke(self) -> str:
        """Make a plain call."""
        answer = self._model.invoke(PROMPT)
        assert answer.usage_metadata
        return str(answer.content)

    def stream(self) -> str:
        """Read a stream to its end."""
        return "".join([str(chunk.content) for chunk in self._model.stream(PROMPT)])

    async def ainvoke(self) -> str:
        """Make a plain async call."""
        answer = await self._model.ainvoke(PROMPT)
        assert answer.usage_metadata
        return str(answer.content)

    async def astream(self) -> str:
        """Read an async stream to its end."""
        return "".join([str(chunk.content) async for chunk in self._model.astream(PROMPT)])

    async def aclose(self) -> None:
        """Leave the sockets to the end of the process, as a LangChain program does."""
