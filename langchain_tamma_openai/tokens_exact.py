"""Exact counts: the API's own answer to how many input tokens a request has.

`POST /v1/responses/input_tokens` counts everything that a request shows to the model, formatting
included, and generates nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from langchain_tamma_openai.wire.responses_params import responses_body, responses_payload

if TYPE_CHECKING:
    import openai
    from langchain_core.messages import MessageLikeRepresentation

__all__ = ["acount_exactly", "count_exactly", "count_request"]

_PARTS = ("model", "input", "tools", "tool_choice", "text")


def count_request(
    messages: Sequence[MessageLikeRepresentation | Mapping[str, Any]],
    model: str,
    tools: Sequence[Mapping[str, Any]],
    tool_choice: object,
    response_format: Mapping[str, Any] | None,
) -> dict[str, Any]:
    """Write the question.

    Args:
        messages: LangChain messages, or JSON messages as the API takes them.
        model: The model.
        tools: JSON tools.
        tool_choice: As in the request.
        response_format: As in the request.

    Raises:
        InvalidParameterError: A message has no form in the Responses API.
    """
    from langchain_core.messages import convert_to_messages

    params: dict[str, Any] = {
        "model": model,
        "tools": [dict(tool) for tool in tools],
        "tool_choice": dict(tool_choice) if isinstance(tool_choice, Mapping) else tool_choice,
        "response_format": response_format and dict(response_format),
    }
    given = convert_to_messages(list(messages))  # type: ignore[arg-type]  # any mapping will do
    body = responses_body(responses_payload(given, {k: v for k, v in params.items() if v}))
    return {name: body[name] for name in _PARTS if name in body}


def count_exactly(request: Mapping[str, Any], client: object) -> int:
    """Ask the API.

    Args:
        request: What `count_request` wrote.
        client: A client of the OpenAI SDK, a chat model that has one, or None for one made from
            the environment.

    Raises:
        ConfigurationError: There is no such client, and none can be made.
        TammaError: The API could not be asked, or did not say.
    """
    import openai

    root, made = _root(client, "root_client", openai.OpenAI)
    try:
        with _asking(request):
            answer = root.responses.input_tokens.count(**request)
            return _tokens(answer)
    finally:
        if made:
            root.close()


async def acount_exactly(request: Mapping[str, Any], client: object) -> int:
    """Ask the API; see `count_exactly`."""
    import openai

    root, made = _root(client, "root_async_client", openai.AsyncOpenAI)
    try:
        with _asking(request):
            answer = await root.responses.input_tokens.count(**request)
            return _tokens(answer)
    finally:
        if made:
            await root.close()


@contextmanager
def _asking(request: Mapping[str, Any]) -> Iterator[None]:
    from langchain_tamma_openai.transport.translate import translating

    with translating(str(request.get("model"))):
        yield


def _root(
    client: object, attribute: str, made_of: type[openai.OpenAI | openai.AsyncOpenAI]
) -> tuple[Any, bool]:
    """Find the SDK client, or make one; the second value says that it was made here."""
    root = getattr(client, attribute, client)
    if isinstance(root, made_of):
        return root, False
    from langchain_tamma_openai.errors import ConfigurationError

    if client is not None:
        raise ConfigurationError(
            f"client: got a {type(client).__name__}, must be an openai.{made_of.__name__} or a "
            "chat model that has one; leave it out to make one from the environment"
        )
    import openai

    try:
        return made_of(), True
    except openai.OpenAIError as exc:
        raise ConfigurationError(
            f"exact: a client could not be made from the environment ({exc}); pass client=llm or "
            "client=openai.OpenAI(...), or count with exact=False"
        ) from exc


def _tokens(answer: object) -> int:
    tokens = getattr(answer, "input_tokens", None)
    if isinstance(tokens, int) and not isinstance(tokens, bool) and tokens >= 0:
        return tokens
    from langchain_tamma_openai.errors import MalformedResponseError

    raise MalformedResponseError("the server's answer does not say how many tokens it counted")
