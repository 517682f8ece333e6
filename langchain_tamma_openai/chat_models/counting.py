"""Token counting as LangChain's models offer it, over `TokenCounter`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from langchain_tamma_openai.chat_models.mixin import Mixin

if TYPE_CHECKING:
    import openai
    from langchain_core.messages import BaseMessage
    from langchain_core.tools import BaseTool


class CountingMixin(Mixin):
    """`get_token_ids`, `get_num_tokens` and `get_num_tokens_from_messages`."""

    if TYPE_CHECKING:

        def _sync_root(self) -> openai.OpenAI: ...

        def _async_root(self) -> openai.AsyncOpenAI: ...

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
        tool_choice: object = None,
        response_format: dict[str, Any] | type | None = None,
        exact: bool = False,
    ) -> int:
        """Count the input tokens of a conversation, without any network unless `exact`.

        Args:
            messages: The conversation.
            tools: Tools sent with it, in any form that `bind_tools` takes.
            allow_fetching_images: Has no effect: a remote image counts at its upper bound.
            tool_choice: The tool to call, in any form that `bind_tools` takes.
            response_format: A schema for structured output sent with it.
            exact: Ask the API's input-token endpoint.

        Returns:
            The count; a `TokenCount`, which says whether and why it is an estimate.

        Raises:
            TammaError: `exact`, and the API could not be asked.
        """
        from langchain_tamma_openai.tokens import TokenCounter

        return TokenCounter().count_messages(
            messages,
            self.model_name if exact else self._counting_model,
            tools,
            tool_choice=tool_choice,
            response_format=response_format,
            exact=exact,
            client=self._sync_root() if exact else None,
        )

    async def aget_num_tokens_from_messages(
        self,
        messages: list[BaseMessage],
        tools: Sequence[dict[str, Any] | type | Callable[..., Any] | BaseTool] | None = None,
        *,
        tool_choice: object = None,
        response_format: dict[str, Any] | type | None = None,
        exact: bool = False,
    ) -> int:
        """Count the input tokens of a conversation; see `get_num_tokens_from_messages`.

        Args:
            messages: The conversation.
            tools: Tools sent with it, in any form that `bind_tools` takes.
            tool_choice: The tool to call, in any form that `bind_tools` takes.
            response_format: A schema for structured output sent with it.
            exact: Ask the API's input-token endpoint.
        """
        from langchain_tamma_openai.tokens import TokenCounter

        return await TokenCounter().acount_messages(
            messages,
            self.model_name if exact else self._counting_model,
            tools,
            tool_choice=tool_choice,
            response_format=response_format,
            exact=exact,
            client=self._async_root() if exact else None,
        )
