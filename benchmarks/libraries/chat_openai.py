"""Adapter: `langchain_openai.ChatOpenAI`, asked for usage on streams as ours always is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from libraries import API_KEY

if TYPE_CHECKING:
    from libraries import Client


def load() -> None:
    """Import the chat model."""
    from langchain_openai import ChatOpenAI  # noqa: F401 - loading is the point


def construct(base_url: str) -> None:
    """Build a chat model and drop it."""
    from langchain_openai import ChatOpenAI
    from pydantic import SecretStr

    key = SecretStr(API_KEY)
    ChatOpenAI(model="gpt-6-luna", api_key=key, base_url=base_url, stream_usage=True)


def connect(base_url: str) -> Client:
    """Build a chat model that is kept."""
    from langchain_openai import ChatOpenAI
    from pydantic import SecretStr

    from libraries.langchain_client import LangChainClient

    key = SecretStr(API_KEY)
    return LangChainClient(
        ChatOpenAI(model="gpt-6-luna", api_key=key, base_url=base_url, stream_usage=True)
    )
