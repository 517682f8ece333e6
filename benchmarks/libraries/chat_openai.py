"""Adapter: `langchain_openai.ChatOpenAI`, asked for usage on streams as ours always is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from libraries import API_KEY, MODEL, TIMEOUT_S

if TYPE_CHECKING:
    from langchain_openai import ChatOpenAI

    from libraries import Api, Client


def load() -> None:
    """Import the chat model."""
    from langchain_openai import ChatOpenAI  # noqa: F401 - loading is the point


def construct(base_url: str) -> None:
    """Build a chat model and drop it."""
    _model(base_url, MODEL)


def connect(base_url: str, api: Api) -> Client:
    """Build a chat model that is kept."""
    from libraries.langchain_client import LangChainClient

    model = _model(base_url, MODEL, uses_responses=api == "responses" or None)
    return LangChainClient(model, lambda: _model(base_url, "gpt-4o"))


def _model(base_url: str, name: str, *, uses_responses: bool | None = None) -> ChatOpenAI:
    from langchain_openai import ChatOpenAI
    from pydantic import SecretStr

    key = SecretStr(API_KEY)
    if uses_responses:
        return ChatOpenAI(
            model=name, api_key=key, base_url=base_url, timeout=TIMEOUT_S, use_responses_api=True
        )
    return ChatOpenAI(
        model=name, api_key=key, base_url=base_url, timeout=TIMEOUT_S, stream_usage=True
    )
