"""Token counting as LangChain's models offer it, over `TokenCounter`: offline, tools included."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from langchain_core.messages import BaseMessage
from langchain_core.tools import BaseTool

from langchain_tamma_openai.chat_models.mixin import Mixin


class CountingMixin(Mixin):
    """`get_token_ids`, `get_num_tokens` and `get_num_tokens_from_messages`."""

    @property
    def _counting_model(self) -> str:
        return self.tiktoken_model_name or self.model_name

    def get_token_ids(self, text: str) -> list[int]:
        """Encode a text with the model's encoding; text that looks like a special token is text.

        Args:
            text: Any text.
        """
        if self.custom_get_token_ids is not None:
            return self.custom_get_token_ids(text)
        from langchain_tamma_openai.tokens import TokenCounter

        return TokenCounter().token_ids(text, self._counting_model)

    def get_num_tokens_from_messages(
        self,
        messages: list[BaseMessage],
        tools: Sequence[dict[str, Any] | type | Callable[..., Any] | BaseTool] | None = None,
        *,
        allow_fetching_images: bool = True,  # noqa: ARG002 - LangChain's signature; images are never fetched
    ) -> int:
        """Count the input tokens of a conversation, without any network.

        Args:
            messages: The conversation.
            tools: Tools sent with it, in any form that `bind_tools` takes.
            allow_fetching_images: Has no effect: a remote image counts at its upper bound.

        Returns:
            The count; a `TokenCount`, which says whether and why it is an estimate.
        """
        from langchain_tamma_openai.tokens import TokenCounter

        return TokenCounter().count_messages(messages, self._counting_model, tools)
