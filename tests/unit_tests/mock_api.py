"""A mock API behind the real SDK client: bytes in, bytes out, no sockets."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import aclosing, closing, suppress
from itertools import islice
from typing import Any, TypeAlias, TypeVar

import httpx2
from langchain_core.language_models import BaseChatModel, LanguageModelInput
from langchain_core.messages import AIMessage, AIMessageChunk, message_chunk_to_message

from langchain_tamma_openai import ChatTammaOpenAI

Json: TypeAlias = dict[str, Any]
Reply: TypeAlias = httpx2.Response | Exception
Model = TypeVar("Model", bound=BaseChatModel)

USAGE: Json = {
    "prompt_tokens": 10,
    "completion_tokens": 5,
    "total_tokens": 15,
    "prompt_tokens_details": {"cached_tokens": 2, "audio_tokens": 0},
    "completion_tokens_details": {
        "reasoning_tokens": 1,
        "audio_tokens": 0,
        "accepted_prediction_tokens": 0,
        "rejected_prediction_tokens": 0,
    },
}
_HEAD: Json = {
    "id": "chatcmpl-1",
    "created": 1_790_000_000,
    "model": "gpt-6-luna-2026-09-22",
    "service_tier": "default",
    "system_fingerprint": "fp_1",
}


def completion(message: Json | None = None, finish_reason: str = "stop", **fields: Any) -> Json:
    """Body of a plain answer; `fields` replace its top-level entries."""
    message = {"role": "assistant", "content": "Hello", "refusal": None, **(message or {})}
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": finish_reason}
    body = {**_HEAD, "object": "chat.completion", "choices": [choice], "usage": USAGE}
    return {**body, **fields}


def chunk(delta: Json, finish_reason: str | None = None, **fields: Any) -> Json:
    """One event of a streamed answer."""
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
    event = {**_HEAD, "object": "chat.completion.chunk", "choices": [choice], "usage": None}
    return {**event, **fields}


def usage_chunk(usage: Json | None = None, **fields: Any) -> Json:
    """The event that carries the usage, after the finish reason."""
    return {**chunk({}), "choices": [], "usage": usage or USAGE, **fields}


def text_events(text: str = "Hello", finish_reason: str = "stop") -> list[Json]:
    """The events of a text answer, usage included."""
    return [
        chunk({"role": "assistant", "content": "", "refusal": None}),
        *(chunk({"content": letter}) for letter in text),
        chunk({}, finish_reason),
        usage_chunk(),
    ]


def sse(events: Sequence[Json | bytes], *, done: bool = True) -> bytes:
    """Write events as the API does."""
    payloads = [
        event if isinstance(event, bytes) else json.dumps(event).encode() for event in events
    ]
    if done:
        payloads.append(b"[DONE]")
    return b"".join(b"data: " + payload + b"\n\n" for payload in payloads)


class _Pieces(httpx2.SyncByteStream, httpx2.AsyncByteStream):
    """A body that arrives in pieces and may break off; knows whether it was closed."""

    def __init__(self, pieces: Sequence[bytes | Exception]) -> None:
        self.pieces = pieces
        self.closed = False

    def __iter__(self) -> Iterator[bytes]:
        for piece in self.pieces:
            if isinstance(piece, Exception):
                raise piece
            yield piece

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self:
            yield piece

    def close(self) -> None:
        self.closed = True

    async def aclose(self) -> None:
        self.closed = True


def stream_reply(
    *pieces: bytes | Exception, status: int = 200, headers: dict[str, str] | None = None
) -> httpx2.Response:
    """An answer whose body arrives in these pieces."""
    all_headers = {"content-type": "text/event-stream", **(headers or {})}
    body = _Pieces(pieces)
    return httpx2.Response(status, headers=all_headers, stream=body, extensions={"body": body})


def is_closed(response: httpx2.Response) -> bool:
    """Whether the client closed the body of a `stream_reply`."""
    body = response.extensions["body"]
    assert isinstance(body, _Pieces)
    return body.closed


class MockAPI:
    """Answers requests from a script and keeps them.

    Args:
        replies: One reply for each request in order, the last one for all that follow; or a
            function of the request's JSON body. A dict is a 200 with that JSON, a list of events a
            stream; by default a plain text answer, streamed when asked so.
    """

    def __init__(self, *replies: Any) -> None:
        self.replies = list(replies) or [self._default]
        self.requests: list[httpx2.Request] = []
        self.responses: list[httpx2.Response] = []

    @property
    def bodies(self) -> list[Json]:
        """The JSON bodies of the requests so far."""
        return [json.loads(request.content) for request in self.requests]

    def model(self, model_class: type[Model], **fields: Any) -> Model:
        """Build a chat model whose real SDK clients talk to this mock."""
        defaults: Json = {"model": "gpt-6-luna", "api_key": "sk-test", "max_retries": 0}
        clients: Json = {
            "http_client": httpx2.Client(transport=httpx2.MockTransport(self._handle)),
            "http_async_client": httpx2.AsyncClient(transport=httpx2.MockTransport(self._handle)),
        }
        return model_class(**{**defaults, **clients, **fields})

    def tamma(self, **fields: Any) -> ChatTammaOpenAI:
        """Build our chat model over this mock."""
        return self.model(ChatTammaOpenAI, **fields)

    def _handle(self, request: httpx2.Request) -> httpx2.Response:
        self.requests.append(request)
        reply = self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]
        if callable(reply):
            reply = reply(json.loads(request.content))
        if isinstance(reply, Exception):
            raise reply
        response = _response(reply)
        self.responses.append(response)
        return response

    @staticmethod
    def _default(body: Json) -> Any:
        return text_events() if body.get("stream") else completion()


def _response(reply: Any) -> httpx2.Response:
    if isinstance(reply, httpx2.Response):
        return reply
    if isinstance(reply, list):
        return stream_reply(sse(reply))
    return httpx2.Response(200, json=reply, headers={"x-request-id": "req_1"})


def merged(chunks: Sequence[AIMessageChunk]) -> AIMessageChunk:
    """Add up the chunks of a stream."""
    total = chunks[0]
    for other in chunks[1:]:
        total = total + other
    return total


def stream_once(model: BaseChatModel, given: LanguageModelInput, **kwargs: Any) -> AIMessage:
    """Stream an answer and add it up to a message."""
    return _whole(merged([*model.stream(given, **kwargs)]))


async def astream_once(model: BaseChatModel, given: LanguageModelInput, **kwargs: Any) -> AIMessage:
    """Stream an answer asynchronously and add it up to a message."""
    chunks = [chunk async for chunk in model.astream(given, **kwargs)]
    return _whole(merged(chunks))


def _whole(total: AIMessageChunk) -> AIMessage:
    message = message_chunk_to_message(total)
    assert isinstance(message, AIMessage)
    return message


Way: TypeAlias = Callable[..., AIMessage]


def _ainvoke(model: BaseChatModel, given: LanguageModelInput, **kwargs: Any) -> AIMessage:
    return asyncio.run(model.ainvoke(given, **kwargs))


def _invoke(model: BaseChatModel, given: LanguageModelInput, **kwargs: Any) -> AIMessage:
    return model.invoke(given, **kwargs)


def _batch(model: BaseChatModel, given: LanguageModelInput, **kwargs: Any) -> AIMessage:
    return model.batch([given], **kwargs)[0]


def _abatch(model: BaseChatModel, given: LanguageModelInput, **kwargs: Any) -> AIMessage:
    return asyncio.run(model.abatch([given], **kwargs))[0]


def _astream(model: BaseChatModel, given: LanguageModelInput, **kwargs: Any) -> AIMessage:
    return asyncio.run(astream_once(model, given, **kwargs))


PLAIN_WAYS: dict[str, Way] = {
    "invoke": _invoke,
    "ainvoke": _ainvoke,
    "batch": _batch,
    "abatch": _abatch,
}
STREAM_WAYS: dict[str, Way] = {"stream": stream_once, "astream": _astream}
ALL_WAYS: dict[str, Way] = {**PLAIN_WAYS, **STREAM_WAYS}
"""Every way to call a model, by name; each takes the model and the input, and gives the message."""


def take(source: Iterator[AIMessage], number: int, forgiven: type[Exception]) -> None:
    """Read so many chunks of a stream and leave it; some errors may end it before."""
    with closing(source), suppress(forgiven):  # type: ignore[type-var]  # a generator closes
        for _ in islice(source, number):
            pass


async def atake(source: AsyncIterator[AIMessage], number: int, forgiven: type[Exception]) -> None:
    """Read so many chunks of a stream and leave it; see `take`."""
    async with aclosing(source):  # type: ignore[type-var]  # a generator closes
        with suppress(forgiven):
            async for _ in source:
                number -= 1
                if not number:
                    return
