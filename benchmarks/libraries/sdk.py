"""Adapter: the bare `openai` SDK, the floor both chat models stand on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from libraries import API_KEY, PROMPT

if TYPE_CHECKING:
    from openai import AsyncOpenAI, OpenAI

    from libraries import Client


def load() -> None:
    """Import both clients."""
    from openai import AsyncOpenAI, OpenAI  # noqa: F401 - loading is the point


def construct(base_url: str) -> None:
    """Build a sync and an async client and drop them."""
    from openai import AsyncOpenAI, OpenAI

    OpenAI(api_key=API_KEY, base_url=base_url).close()
    AsyncOpenAI(api_key=API_KEY, base_url=base_url)


def connect(base_url: str) -> Client:
    """Build a pair of clients that is kept."""
    from openai import AsyncOpenAI, OpenAI

    return SdkClient(
        OpenAI(api_key=API_KEY, base_url=base_url), AsyncOpenAI(api_key=API_KEY, base_url=base_url)
    )


class SdkClient:
    """The SDK's own calls, with usage asked for on streams."""

    def __init__(self, sync_client: OpenAI, async_client: AsyncOpenAI) -> None:
        """Keep both clients."""
        self._sync = sync_client
        self._async = async_client

    def invoke(self) -> str:
        """Make a plain call."""
        answer = self._sync.chat.completions.create(
            model="gpt-6-luna", messages=[{"role": "user", "content": PROMPT}]
        )
        return answer.choices[0].message.content or ""

    def stream(self) -> str:
        """Read a stream to its end."""
        chunks = self._sync.chat.completions.create(
            model="gpt-6-luna",
            messages=[{"role": "user", "content": PROMPT}],
            stream=True,
            stream_options={"include_usage": True},
        )
        return "".join([c.choices[0].delta.content or "" for c in chunks if c.choices])

    async def ainvoke(self) -> str:
        """Make a plain async call."""
        answer = await self._async.chat.completions.create(
            model="gpt-6-luna", messages=[{"role": "user", "content": PROMPT}]
        )
        return answer.choices[0].message.content or ""

    async def astream(self) -> str:
        """Read an async stream to its end."""
        chunks = await self._async.chat.completions.create(
            model="gpt-6-luna",
            messages=[{"role": "user", "content": PROMPT}],
            stream=True,
            stream_options={"include_usage": True},
        )
        return "".join([c.choices[0].delta.content or "" async for c in chunks if c.choices])

    async def aclose(self) -> None:
        """Close both clients."""
        self._sync.close()
        await self._async.close()
