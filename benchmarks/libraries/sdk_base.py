"""What the adapters of both APIs of the SDK share."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from libraries import UnsupportedError
from libraries.sdk import tiktoken_counter

if TYPE_CHECKING:
    from openai import AsyncOpenAI, OpenAI


class SdkClient:
    """A pair of clients."""

    def __init__(self, sync_client: OpenAI, async_client: AsyncOpenAI) -> None:
        """Keep both clients."""
        self._sync = sync_client
        self._async = async_client

    def binding(self, tools: int) -> Callable[[], object]:
        """Refuse: the SDK binds nothing."""
        raise UnsupportedError(f"binds no tools, be it {tools}")

    def long_history(self, messages: int, tools: int) -> Callable[[], object]:
        """Refuse: only measured on Chat Completions."""
        raise UnsupportedError(f"{messages} messages and {tools} tools: only Chat Completions")

    def picture(self, base64_data: str) -> Callable[[], object]:
        """Refuse: only measured on Chat Completions."""
        raise UnsupportedError(f"image of {len(base64_data)} bytes: only Chat Completions")

    def counter(self) -> Callable[[str], int]:
        """Count with tiktoken alone."""
        return tiktoken_counter()

    def settle(self) -> None:
        """Nothing runs in the background."""

    async def aclose(self) -> None:
        """Close both clients."""
        self._sync.close()
        await self._async.close()
