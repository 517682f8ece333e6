"""`TokenCounter`: tokens of text, messages, tools and images, counted here, or asked of the API.

Counts are exact where OpenAI's formulas are public and say so where they are not: every count is a
`TokenCount`, an `int` that knows whether it is an estimate and why.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self, TypeAlias

from langchain_tamma_openai.tokens_encodings import encode, encoding_for_model
from langchain_tamma_openai.tokens_images import DETAILS
from langchain_tamma_openai.tokens_langchain import (
    json_message,
    json_response_format,
    json_tool,
    json_tool_choice,
)
from langchain_tamma_openai.tokens_messages import add_request, add_tools
from langchain_tamma_openai.tokens_tally import Tally

if TYPE_CHECKING:
    from collections.abc import Callable

    from langchain_core.messages import MessageLikeRepresentation
    from langchain_core.tools import BaseTool

    ToolForms: TypeAlias = Mapping[str, Any] | type | Callable[..., Any] | BaseTool

__all__ = ["TokenCount", "TokenCounter"]


class TokenCount(int):
    """A number of tokens that says how far it can be trusted.

    It is an ordinary `int`; the result of arithmetic with it is a plain number.

    Attributes:
        notes: Why the number is an estimate, one sentence each; empty when it is exact.
    """

    notes: tuple[str, ...]

    def __new__(cls, tokens: int = 0, notes: Sequence[str] = ()) -> Self:
        """Make a count.

        Args:
            tokens: The number.
            notes: Why it is an estimate; none when it is exact.
        """
        count = super().__new__(cls, tokens)
        count.notes = tuple(notes)
        return count

    @property
    def estimated(self) -> bool:
        """Whether some part of the count rests on an assumption."""
        return bool(self.notes)


class TokenCounter:
    """Counts what a request costs in input tokens, without any network unless `exact` asks for it.

    It holds no state: one counter serves all models and threads. Vocabularies are part of the
    package and load once per process, at first use. A remote image is never fetched: it counts at
    its upper bound.
    """

    def token_ids(self, text: str, model: str) -> list[int]:
        """Encode a text; special-token text such as `<|endoftext|>` counts as text.

        Args:
            text: Any text.
            model: Any model id; unknown ones are assumed to use `o200k_base`.
        """
        return encode(text, encoding_for_model(model).name)

    def count_text(self, text: str, model: str) -> TokenCount:
        """Count the tokens of a text alone.

        Args:
            text: Any text.
            model: Any model id; unknown ones are assumed to use `o200k_base`.
        """
        tally = Tally(model)
        tally.add_text(text)
        return _total(tally)

    def count_messages(
        self,
        messages: Sequence[MessageLikeRepresentation | Mapping[str, Any]],
        model: str,
        tools: Sequence[ToolForms] | None = None,
        *,
        tool_choice: object = None,
        response_format: Mapping[str, Any] | type | None = None,
        exact: bool = False,
        client: object = None,
    ) -> TokenCount:
        """Count the input tokens of a request.

        Args:
            messages: LangChain messages, or JSON messages as the API takes them.
            model: Any model id; unknown ones are counted with assumptions that the result names.
            tools: Tools in any form that `bind_tools` takes.
            tool_choice: The tool to call, in any form that `bind_tools` takes.
            response_format: A schema for structured output, as the API takes it or as a class.
            exact: Ask the API's input-token endpoint. Nothing is asked without it.
            client: Whom to ask: a chat model, or an `openai.OpenAI`; a client made from the
                environment when left out.

        Raises:
            ConfigurationError: There is no client, and none can be made.
            InvalidParameterError: A message cannot be asked about.
            TammaError: The API could not be asked, by kind.
        """
        parts = _Request.of(messages, model, tools, tool_choice, response_format)
        if not exact:
            return parts.count()
        from langchain_tamma_openai.tokens_exact import count_exactly

        return TokenCount(count_exactly(parts.question(), client))

    async def acount_messages(
        self,
        messages: Sequence[MessageLikeRepresentation | Mapping[str, Any]],
        model: str,
        tools: Sequence[ToolForms] | None = None,
        *,
        tool_choice: object = None,
        response_format: Mapping[str, Any] | type | None = None,
        exact: bool = False,
        client: object = None,
    ) -> TokenCount:
        """Count the input tokens of a request; see `count_messages`.

        Args:
            messages: LangChain messages, or JSON messages as the API takes them.
            model: Any model id.
            tools: Tools in any form that `bind_tools` takes.
            tool_choice: The tool to call, in any form that `bind_tools` takes.
            response_format: A schema for structured output, as the API takes it or as a class.
            exact: Ask the API's input-token endpoint.
            client: Whom to ask: a chat model, or an `openai.AsyncOpenAI`.
        """
        parts = _Request.of(messages, model, tools, tool_choice, response_format)
        if not exact:
            return parts.count()
        from langchain_tamma_openai.tokens_exact import acount_exactly

        return TokenCount(await acount_exactly(parts.question(), client))

    def count_tools(
        self,
        tools: Sequence[ToolForms],
        model: str,
    ) -> TokenCount:
        """Count what tools add to a request without a system message.

        Args:
            tools: Tools in any form that `bind_tools` takes.
            model: Any model id.
        """
        tally = Tally(model)
        add_tools(tally, [json_tool(tool) for tool in tools])
        return _total(tally)

    def count_image(
        self, width: int, height: int, model: str, detail: str | None = None
    ) -> TokenCount:
        """Count the tokens of an image.

        Args:
            width: Width in pixels.
            height: Height in pixels.
            model: Any model id; unknown ones are counted as gpt-4o.
            detail: `low`, `high`, `original` or `auto`; `None` is `auto`.

        Raises:
            InvalidParameterError: A side is not a whole number of at least 1, or no such detail.
        """
        _check_image(width, height, detail)
        tally = Tally(model)
        tally.notes.clear()  # the tokenizer has no part in the count of an image
        tally.add_image((width, height), detail or "auto")
        return _total(tally)


@dataclass(frozen=True)
class _Request:
    """What of a request counts, in the API's JSON where that has one form."""

    messages: Sequence[MessageLikeRepresentation | Mapping[str, Any]]
    model: str
    tools: Sequence[Mapping[str, Any]]
    tool_choice: object
    response_format: Mapping[str, Any] | None

    @classmethod
    def of(
        cls,
        messages: Sequence[MessageLikeRepresentation | Mapping[str, Any]],
        model: str,
        tools: Sequence[ToolForms] | None,
        tool_choice: object,
        response_format: Mapping[str, Any] | type | None,
    ) -> Self:
        json_tools = [json_tool(tool) for tool in tools or ()]
        choice = json_tool_choice(tool_choice, json_tools)
        return cls(messages, model, json_tools, choice, json_response_format(response_format))

    def count(self) -> TokenCount:
        tally = Tally(self.model)
        messages = [json_message(each) for each in self.messages]
        add_request(tally, messages, self.tools, self.tool_choice, self.response_format)
        return _total(tally)

    def question(self) -> dict[str, Any]:
        from langchain_tamma_openai.tokens_exact import count_request

        return count_request(
            self.messages, self.model, self.tools, self.tool_choice, self.response_format
        )


def _total(tally: Tally) -> TokenCount:
    return TokenCount(tally.tokens, tuple(tally.notes))


def _check_image(width: object, height: object, detail: object) -> None:
    from langchain_tamma_openai.errors import InvalidParameterError

    for field, value in (("width", width), ("height", height)):
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise InvalidParameterError(
                f"{field}: got {value!r}, must be a whole number of pixels of at least 1"
            )
    if detail is not None and detail not in DETAILS:
        raise InvalidParameterError(f"detail: got {detail!r}, must be one of {', '.join(DETAILS)}")
