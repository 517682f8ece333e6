"""The base of the classes that `ChatTammaOpenAI` is put together from.

To a type checker they are chat models with our fields. At run time they are plain classes: pydantic
would otherwise build the validator of some sixty fields for each of them at import.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from langchain_tamma_openai.chat_models.fields import ChatFields as Mixin
else:

    class Mixin:
        """A plain class."""


__all__ = ["Mixin"]
