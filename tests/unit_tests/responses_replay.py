"""Replays bytes of the Responses API through this package's wire, and through `ChatOpenAI`."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any, cast

import httpx2
import yaml
from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.language_models.chat_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.outputs import ChatGenerationChunk, ChatResult
from langchain_openai import ChatOpenAI

from langchain_tamma_openai.wire.responses_output import responses_result
from langchain_tamma_openai.wire.responses_stream import ResponsesStreamDecoder
from langchain_tamma_openai.wire.sse import SSEDecoder

RECORDED = Path(__file__).parent / "recorded"
VERSIONS = (None, "v0", "responses/v1", "v1")
Json = dict[str, Any]


@cache
def recording(name: str) -> list[tuple[Json, bytes]]:
    """Return the request bodies and answer bytes of one recorded conversation."""
    raw = yaml.safe_load(gzip.decompress((RECORDED / f"{name}.yaml.gz").read_bytes()))
    return [
        (json.loads(request["body"]), _plain(response["body"]["string"]))
        for request, response in zip(raw["requests"], raw["responses"], strict=True)
    ]


def _plain(body: bytes) -> bytes:
    return gzip.decompress(body) if body.startswith(b"\x1f\x8b") else body


def recordings() -> Iterator[tuple[str, int]]:
    """List every recorded request as file name and number."""
    for path in sorted(RECORDED.glob("*.yaml.gz")):
        name = path.name.removesuffix(".yaml.gz")
        for number in range(len(recording(name))):
            yield name, number


def sse(*events: Json) -> bytes:
    """Write events as the server streams them."""
    lines = [f"event: {event['type']}\ndata: {json.dumps(event)}\n\n" for event in events]
    return "".join(lines).encode()


def events_of(body: bytes) -> list[Json]:
    """Read the events out of a streamed body."""
    splitter = SSEDecoder()
    return [json.loads(payload) for payload in (*splitter.feed(body), *splitter.finish())]


class WireModel(BaseChatModel):
    """The Responses wire behind LangChain's chat model interface; answers with given bytes."""

    body: bytes
    output_version: str | None = None
    schema_: Any = None

    @property
    def _llm_type(self) -> str:
        return "wire"

    def _generate(
        self,
        messages: list[BaseMessage],  # noqa: ARG002 - LangChain's hook
        stop: list[str] | None = None,  # noqa: ARG002 - LangChain's hook
        run_manager: CallbackManagerForLLMRun | None = None,  # noqa: ARG002 - LangChain's hook
        **_kwargs: Any,
    ) -> ChatResult:
        response = json.loads(self.body)
        return responses_result(response, output_version=self.output_version, schema=self.schema_)[
            0
        ]

    def _stream(
        self,
        messages: list[BaseMessage],  # noqa: ARG002 - LangChain's hook
        stop: list[str] | None = None,  # noqa: ARG002 - LangChain's hook
        run_manager: CallbackManagerForLLMRun | None = None,  # noqa: ARG002 - LangChain's hook
        **_kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        decoder = ResponsesStreamDecoder(
            output_version=self.output_version, schema=self.schema_, default_model="m"
        )
        for event in events_of(self.body):
            if (chunk := decoder.decode_event(event)) is not None:
                yield chunk
        yield decoder.finish()


class Wire:
    """A server that answers with given bytes and remembers what it was asked."""

    def __init__(self, body: bytes) -> None:
        self.body = body
        self.requests: list[Json] = []

    def answer(self, request: httpx2.Request) -> httpx2.Response:
        self.requests.append(json.loads(request.content))
        is_stream = self.requests[-1].get("stream")
        kind = "text/event-stream" if is_stream else "application/json"
        return httpx2.Response(200, content=self.body, headers={"content-type": kind})

    def peer(self, **fields: Any) -> ChatOpenAI:
        """Make a `ChatOpenAI` that talks to this server through the real SDK client."""
        client = httpx2.Client(transport=httpx2.MockTransport(self.answer))
        fields = {"model": "gpt-test", "use_responses_api": True, **fields}
        return ChatOpenAI(
            **fields,
            api_key=cast("Any", "sk-test"),
            http_client=cast("Any", client),
            max_retries=0,
            http_socket_options=(),
        )


def plain(model: BaseChatModel, messages: Sequence[BaseMessage] | str, **kwargs: Any) -> AIMessage:
    """Call a model."""
    return model.invoke(cast("Any", messages), **kwargs)


def merged(
    model: BaseChatModel, messages: Sequence[BaseMessage] | str, **kwargs: Any
) -> AIMessageChunk:
    """Stream from a model and merge the chunks."""
    first, *others = list(model.stream(cast("Any", messages), **kwargs))
    return first + others


def facts(message: AIMessage) -> Json:
    """Everything in a message, without what this package adds."""
    dumped = message.model_dump()
    dumped["response_metadata"].pop("tool_usage", None)
    if dumped["id"] is not None and dumped["id"].startswith("lc_run-"):
        dumped["id"] = "lc_run"
    return dumped
