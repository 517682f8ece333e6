"""A call that goes to Chat Completions."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, cast

from langchain_core.messages import AIMessage
from langchain_core.outputs import ChatGenerationChunk, ChatResult
from langchain_core.utils._gateway import GATEWAY_METADATA_RESPONSE_KEY
from pydantic import BaseModel

from langchain_tamma_openai.chat_models.calls import (
    Call,
    HeaderInfo,
    refuse_empty,
    refuse_unknown_parameters,
)
from langchain_tamma_openai.chat_models.settings import check_n
from langchain_tamma_openai.transport.send import WireRequest
from langchain_tamma_openai.wire.completions import AnswerFacts, completion_result
from langchain_tamma_openai.wire.response_format import response_format_to_wire

if TYPE_CHECKING:
    from langchain_tamma_openai.resilience.stream import StreamDecoder
    from langchain_tamma_openai.wire.completions_stream import CompletionsStreamDecoder

logger = logging.getLogger(__name__)

PATH = "/chat/completions"

_REFUSAL_STATUSES = (400, 404, 415, 422, 501)
# Which servers refused `stream_options`, by root URL: each is asked once in the life of a process.
_servers_without_usage: set[str | None] = set()

KNOWN_PARAMETERS = frozenset(
    {
        "audio", "extra_body", "extra_headers", "extra_query", "frequency_penalty",
        "function_call", "functions", "logit_bias", "logprobs", "max_completion_tokens",
        "max_tokens", "messages", "metadata", "modalities", "model", "n", "parallel_tool_calls",
        "prediction", "presence_penalty", "prompt_cache_key", "prompt_cache_options",
        "prompt_cache_retention", "reasoning_effort", "response_format", "safety_identifier",
        "seed", "service_tier", "stop", "store", "stream", "stream_options", "temperature",
        "timeout", "tool_choice", "tools", "top_logprobs", "top_p", "user", "verbosity",
        "web_search_options",
    }
)  # fmt: skip


@dataclass
class CompletionsCall(Call):
    """A request to Chat Completions.

    Attributes:
        response_format: The payload's response format, a pydantic class among others.
    """

    response_format: object = None
    _asked_by_default: bool = False

    api: ClassVar[str] = "chat_completions"

    @classmethod
    def prepare(cls, payload: dict[str, Any]) -> CompletionsCall:
        """Check a payload and make its request.

        Args:
            payload: The body, pydantic response formats and SDK options included.

        Raises:
            InvalidParameterError: No messages, a bad `n`, or an unknown parameter (then also a
                `TypeError`).
        """
        if not payload.get("messages"):
            refuse_empty()
        if unknown := payload.keys() - KNOWN_PARAMETERS:
            from openai.resources.chat.completions import Completions

            refuse_unknown_parameters(unknown, Completions.create, "Chat Completions")
        check_n(payload.get("n"), streaming=bool(payload.get("stream")))
        body = dict(payload)
        response_format = payload.get("response_format")
        if response_format is not None:
            body["response_format"] = response_format_to_wire(response_format)
        return cls(payload, WireRequest.from_payload(PATH, body), response_format=response_format)

    def result(
        self,
        body: Mapping[str, Any],
        info: HeaderInfo,
        output_version: str | None,  # noqa: ARG002 - plain content is the same in all versions
    ) -> tuple[ChatResult, AnswerFacts]:
        """Decode the body of a plain answer."""
        result, facts = completion_result(
            body,
            default_model=self.model,
            generation_info=_generation_info(info),
            takes_no_arguments=self.takes_no_arguments,
        )
        if self.response_format is not None:
            first = cast("AIMessage", result.generations[0].message)
            first.additional_kwargs["parsed"] = self._parsed(str(first.text))
        return result, facts

    def decoder(self, info: HeaderInfo, output_version: str | None) -> StreamDecoder:
        """Make the decoder of a streamed answer."""
        from langchain_tamma_openai.wire.completions_stream import CompletionsStreamDecoder

        return CompletionsStreamDecoder(
            default_model=self.model,
            output_version=output_version,
            first_generation_info=_generation_info(info),
            takes_no_arguments=self.takes_no_arguments,
        )

    def complete(self, last: ChatGenerationChunk, decoder: StreamDecoder) -> None:
        """Add the parsed answer, and what `ChatOpenAI` tells beside it, to the last chunk."""
        if self.response_format is None:
            return
        told = cast("CompletionsStreamDecoder", decoder)
        message = last.message
        message.additional_kwargs["parsed"] = self._parsed(told.text)
        if not told.refused:
            message.additional_kwargs["refusal"] = None
        message.response_metadata.update(told.closing_words)

    def _parsed(self, text: str) -> BaseModel | None:
        """Read the object of a pydantic response format.

        What does not parse stays text: the answer is paid for, and the parser that the caller put
        behind the model says what is wrong with it.
        """
        schema = self.response_format
        if not isinstance(schema, type) or not issubclass(schema, BaseModel) or not text:
            return None
        try:
            return schema.model_validate_json(text)
        except ValueError:
            return None

    def ask_for_usage(
        self, *, asked: bool | None, default: bool | None, server: str | None
    ) -> None:
        """Ask for the usage of a stream, unless the caller or the server does not want it."""
        given = self.request.body.get("stream_options") or {}
        explicit = asked if asked is not None else given.get("include_usage")
        if explicit is None and server in _servers_without_usage:
            return
        if explicit or (explicit is None and default):
            self.request.body["stream_options"] = {**given, "include_usage": True}
            self._asked_by_default = explicit is None

    def stop_asking_for_usage(self, error: Exception, *, server: str | None) -> bool:
        """Drop the question for usage if it is what the server refused, and remember the server."""
        if not self._asked_by_default or not _refuses_stream_options(error):
            return False
        logger.info("%s refuses stream_options; its streams come without usage.", server)
        _servers_without_usage.add(server)
        self._asked_by_default = False
        options = self.request.body.pop("stream_options")
        if rest := {name: value for name, value in options.items() if name != "include_usage"}:
            self.request.body["stream_options"] = rest
        return True


def _refuses_stream_options(error: Exception) -> bool:
    if getattr(error, "status_code", None) not in _REFUSAL_STATUSES:
        return False
    said = f"{getattr(error, 'param', '')} {error} {getattr(error, 'body', '')}"
    return "stream_options" in said or "include_usage" in said


def _generation_info(info: HeaderInfo) -> dict[str, Any] | None:
    entries = {"headers": info.headers, GATEWAY_METADATA_RESPONSE_KEY: info.gateway}
    return {name: value for name, value in entries.items() if value is not None} or None
