"""Adapter: the bare `openai` SDK, the floor both chat models stand on."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from libraries import API_KEY, TIMEOUT_S

if TYPE_CHECKING:
    from libraries import Api, Client


def load() -> None:
    """Import both clients."""
    from openai import AsyncOpenAI, OpenAI  # noqa: F401 - loading is the point


def construct(base_url: str) -> None:
    """Build a sync and an async client and drop them."""
    from openai import AsyncOpenAI, OpenAI

    OpenAI(api_key=API_KEY, base_url=base_url).close()
    AsyncOpenAI(api_key=API_KEY, base_url=base_url)


def connect(base_url: str, api: Api) -> Client:
    """Build a pair of clients that is kept."""
    from openai import AsyncOpenAI, OpenAI

    pair = (
        OpenAI(api_key=API_KEY, base_url=base_url, timeout=TIMEOUT_S),
        AsyncOpenAI(api_key=API_KEY, base_url=base_url, timeout=TIMEOUT_S),
    )
    if api == "responses":
        from libraries.sdk_responses import SdkResponsesClient

        return SdkResponsesClient(*pair)
    from libraries.sdk_completions import SdkCompletionsClient

    return SdkCompletionsClient(*pair)


def tiktoken_counter() -> Callable[[str], int]:
    """Count as a program without a library would: with tiktoken."""
    import tiktoken

    encoding = tiktoken.encoding_for_model("gpt-4o")
    return lambda text: len(encoding.encode(text))
