"""The chat model."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from langchain_tamma_openai.chat_models.base import ChatTammaOpenAI

__all__ = ["ChatTammaOpenAI"]


def __getattr__(name: str) -> object:
    """Load the class when it is first asked for."""
    if name == "ChatTammaOpenAI":
        from langchain_tamma_openai.chat_models.base import ChatTammaOpenAI

        return ChatTammaOpenAI
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
