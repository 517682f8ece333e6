"""The SDK's own calls of the Responses API."""

from __future__ import annotations

from collections.abc import Iterable

from openai.types.responses import ResponseStreamEvent

from libraries import MODEL, PROMPT
from libraries.sdk_base import SdkClient


class SdkResponsesClient(SdkClient):
    """`responses`."""

    def invoke(self) -> str:
        """Make a plain call."""
        return self._sync.responses.create(model=MODEL, input=PROMPT).output_text

    def stream(self) -> str:
        """Read a stream to its end."""
        events = self._sync.responses.create(model=MODEL, input=PROMPT, stream=True)
        return "".join([e.delta for e in events if e.type == "response.output_text.delta"])

    async def ainvoke(self) -> str:
        """Make a plain async call."""
        return (await self._async.responses.create(model=MODEL, input=PROMPT)).output_text

    async def astream(self) -> str:
        """Read an async stream to its end."""
        events = await self._async.responses.create(model=MODEL, input=PROMPT, stream=True)
        return "".join([e.delta async for e in events if e.type == "response.output_text.delta"])

    def stream_tools(self) -> list[str]:
        """Read a stream of tool calls."""
        return _arguments(self._sync.responses.create(model=MODEL, input=PROMPT, stream=True))

    async def astream_tools(self) -> list[str]:
        """Read an async stream of tool calls."""
        events = await self._async.responses.create(model=MODEL, input=PROMPT, stream=True)
        return _arguments([event async for event in events])


def _arguments(events: Iterable[ResponseStreamEvent]) -> list[str]:
    found: dict[str, list[str]] = {}
    for event in events:
        if event.type == "response.function_call_arguments.delta":
            found.setdefault(event.item_id, []).append(event.delta)
    return ["".join(pieces) for pieces in found.values()]
