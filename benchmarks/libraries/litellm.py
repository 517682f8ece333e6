"""Adapter: `langchain_litellm.ChatLiteLLM`, in an environment of its own."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, cast

from libraries import API_KEY, MODEL, TIMEOUT_S, UnsupportedError

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

    from libraries import Api, Client


def load() -> None:
    """Import the chat model."""
    importlib.import_module("langchain_litellm").ChatLiteLLM  # noqa: B018 - loading is the point


def construct(base_url: str) -> None:
    """Build a chat model and drop it."""
    _model(base_url)


def connect(base_url: str, api: Api) -> Client:
    """Build a chat model that is kept."""
    from libraries.langchain_client import LangChainClient

    if api == "responses":
        raise UnsupportedError("left out: another adapter of LiteLLM")
    return LangChainClient(_model(base_url))


def _model(base_url: str) -> BaseChatModel:
    # By name: this package is in an environment that the type checker does not see.
    made = importlib.import_module("langchain_litellm").ChatLiteLLM(
        model=f"openai/{MODEL}",
        api_key=API_KEY,
        api_base=base_url,
        request_timeout=TIMEOUT_S,
        stream_options={"include_usage": True},
    )
    return cast("BaseChatModel", made)
