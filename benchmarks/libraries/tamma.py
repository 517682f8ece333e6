"""Adapter: `langchain_tamma_openai.ChatTammaOpenAI`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from libraries import API_KEY

if TYPE_CHECKING:
    from libraries import Client


def load() -> None:
    """Import the chat model."""
    from langchain_tamma_openai import ChatTammaOpenAI  # noqa: F401 - loading is the point


def construct(base_url: str) -> None:
    """Build a chat model and drop it."""
    from langchain_tamma_openai import ChatTammaOpenAI

    ChatTammaOpenAI(model="gpt-6-luna", api_key=API_KEY, base_url=base_url)


def connect(base_url: str) -> Client:
    """Build a chat model that is kept."""
    from langchain_tamma_openai import ChatTammaOpenAI
    from libraries.langchain_client import LangChainClient

    return LangChainClient(ChatTammaOpenAI(model="gpt-6-luna", api_key=API_KEY, base_url=base_url))
