"""`TokenCounter`: tokens of text, messages, tools and images, counted here and offline.

Counts are exact where OpenAI's formulas are public and say so where they are not: every count is a
`TokenCount`, an `int` that knows whether it is an estimate and why.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

from langchain_tamma_openai.tokens_encodings import encode, encoding_for_model
from langchain_tamma_openai.tokens_images import DETAILS
from langchain_tamma_openai.tokens_langchain import json_message, json_tool
from langchain_tamma_openai.tokens_messages import add_request, add_tools
from langchain_tamma_openai.tokens_tally import Tally

if TYPE_CHECKING:
    from collections.abc import Callable

    from langchain_core.messages import MessageLikeRepresentation
    from langchain_core.tools import BaseTool

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
    """Counts what a request costs in input tokens, without any network.

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
        tools: Sequence[Mapping[str, Any] | type | Callable[..., Any] | BaseTool] | None = None,
        *,
        tool_choice: object = None,
        response_format: Mapping[str, Any] | None = None,
    ) -> TokenCount:
        """Count the input tokens of a Chat Completions request.

        Args:
            messages: LangChain messages, or JSON messages as the API takes them.
            model: Any model id; unknown ones are counted with assumptions that the result names.
            tools: Tools in any form that `bind_tools` takes.
            tool_choice: `none`, or a dict that names the tool to call, as the API takes it.
            response_format: `{"type": "json_schema", ...}`, as the API takes it.
        """
        tally = Tally(model)
        json_messages = [json_message(each) for each in messages]
        json_tools = [json_tool(tool) for tool in tools or ()]
        add_request(tally, json_messages, json_tools, tool_choice, response_format)
        return _total(tally)

    def count_tools(
        self,
        tools: Sequence[Mapping[str, Any] | type | Callable[..., Any] | BaseTool],
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
