"""The SDK's own calls of Chat Completions, with usage asked for on streams."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final, cast

from openai.types.chat import (
    ChatCompletionChunk,
    ChatCompletionMessageParam,
    ChatCompletionStreamOptionsParam,
    ChatCompletionToolParam,
)

from libraries import MODEL, PROMPT, payloads
from libraries.sdk_base import SdkClient

_MESSAGES: Final[list[ChatCompletionMessageParam]] = [{"role": "user", "content": PROMPT}]
_OPTIONS: Final[ChatCompletionStreamOptionsParam] = {"include_usage": True}


class SdkCompletionsClient(SdkClient):
    """`chat.completions`."""

    def invoke(self) -> str:
        """Make a plain call."""
        answer = self._sync.chat.completions.create(model=MODEL, messages=_MESSAGES)
        return answer.choices[0].message.content or ""

    def stream(self) -> str:
        """Read a stream to its end."""
        chunks = self._sync.chat.completions.create(
            model=MODEL, messages=_MESSAGES, stream=True, stream_options=_OPTIONS
        )
        return "".join([c.choices[0].delta.content or "" for c in chunks if c.choices])

    async def ainvoke(self) -> str:
        """Make a plain async call."""
        answer = await self._async.chat.completions.create(model=MODEL, messages=_MESSAGES)
        return answer.choices[0].message.content or ""

    async def astream(self) -> str:
        """Read an async stream to its end."""
        chunks = await self._async.chat.completions.create(
            model=MODEL, messages=_MESSAGES, stream=True, stream_options=_OPTIONS
        )
        return "".join([c.choices[0].delta.content or "" async for c in chunks if c.choices])

    def stream_tools(self) -> list[str]:
        """Read a stream of tool calls."""
        return _arguments(
            self._sync.chat.completions.create(
                model=MODEL, messages=_MESSAGES, stream=True, stream_options=_OPTIONS
            )
        )

    async def astream_tools(self) -> list[str]:
        """Read an async stream of tool calls."""
        chunks = await self._async.chat.completions.create(
            model=MODEL, messages=_MESSAGES, stream=True, stream_options=_OPTIONS
        )
        return _arguments([chunk async for chunk in chunks])

    def long_history(self, messages: int, tools: int) -> Callable[[], object]:
        """Call with a long history and many tools, both given as the API's own JSON."""
        history = cast("list[ChatCompletionMessageParam]", payloads.history(messages))
        schemas = cast("list[ChatCompletionToolParam]", payloads.tools(tools))
        create = self._sync.chat.completions.create
        return lambda: create(model=MODEL, messages=history, tools=schemas)

    def picture(self, base64_data: str) -> Callable[[], object]:
        """Call with an image."""
        message = {"role": "user", "content": payloads.image_content(base64_data)}
        messages = [cast("ChatCompletionMessageParam", message)]
        return lambda: self._sync.chat.completions.create(model=MODEL, messages=messages)


def _arguments(chunks: Iterable[ChatCompletionChunk]) -> list[str]:
    found: dict[int, list[str]] = {}
    for chunk in chunks:
        for choice in chunk.choices:
            for call in choice.delta.tool_calls or ():
                pieces = found.setdefault(call.index, [])
                pieces.append((call.function and call.function.arguments) or "")
    return ["".join(pieces) for pieces in found.values()]
