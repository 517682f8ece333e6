"""One call: from the payload to the request that is sent, and what decoding its answer needs."""

from __future__ import annotations

import inspect
import json
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, NoReturn

from langchain_core.messages import AIMessage
from pydantic import BaseModel

from langchain_tamma_openai.chat_models.settings import check_n
from langchain_tamma_openai.transport.send import (
    WireRequest,
    aopen_stream,
    asend,
    open_stream,
    send,
)
from langchain_tamma_openai.wire.response_format import response_format_to_wire

if TYPE_CHECKING:
    import httpx2
    import openai

logger = logging.getLogger(__name__)

_REFUSAL_STATUSES = (400, 404, 415, 422, 501)
# Which servers refused `stream_options`, by root URL: each is asked once in the life of a process.
_servers_without_usage: set[str | None] = set()

COMPLETIONS_PATH = "/chat/completions"

_KNOWN_PARAMETERS = frozenset(
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


@dataclass(slots=True)
class Call:
    """What sending a request and decoding its answer need to know.

    Attributes:
        payload: The body as `_get_request_payload` gave it.
        request: The same, ready to send.
        response_format: The payload's response format, a pydantic class among others.
    """

    payload: dict[str, Any]
    request: WireRequest
    response_format: object = None
    _asked_by_default: bool = False

    @property
    def model(self) -> str:
        """Name of the requested model."""
        return str(self.payload.get("model"))

    def send(self, client: openai.OpenAI) -> httpx2.Response:
        """Send the request once and read the whole answer."""
        with _naming_bad_values(self.request.body):
            return send(client, self.request)

    async def asend(self, client: openai.AsyncOpenAI) -> httpx2.Response:
        """Send the request once and read the whole answer."""
        with _naming_bad_values(self.request.body):
            return await asend(client, self.request)

    def open(self, client: openai.OpenAI) -> httpx2.Response:
        """Send the request once and return the answer at its headers."""
        with _naming_bad_values(self.request.body):
            return open_stream(client, self.request)

    async def aopen(self, client: openai.AsyncOpenAI) -> httpx2.Response:
        """Send the request once and return the answer at its headers."""
        with _naming_bad_values(self.request.body):
            return await aopen_stream(client, self.request)

    def takes_no_arguments(self, name: str) -> bool:
        """Whether a tool of that name was offered and has no parameters."""
        for tool in self.payload.get("tools") or ():
            function = tool.get("function") if isinstance(tool, Mapping) else None
            if isinstance(function, Mapping) and function.get("name") == name:
                return not (function.get("parameters") or {}).get("properties")
        return False

    def add_parsed(self, message: AIMessage, text: str) -> None:
        """Put the object of a pydantic response format beside the text it was read from.

        What does not parse stays text: the answer is paid for, and the parser that the caller put
        behind the model says what is wrong with it.

        Args:
            message: The answer, or the last chunk of a stream.
            text: The whole text of the answer.
        """
        schema = self.response_format
        if not isinstance(schema, type) or not issubclass(schema, BaseModel) or not text:
            return
        try:
            message.additional_kwargs["parsed"] = schema.model_validate_json(text)
        except ValueError:
            message.additional_kwargs["parsed"] = None

    def ask_for_usage(
        self, *, asked: bool | None, default: bool | None, server: str | None
    ) -> None:
        """Ask for the usage of a stream, unless the caller or the server does not want it.

        Args:
            asked: The argument of this call.
            default: The model's setting.
            server: Root of the API, which may have refused before.
        """
        given = self.request.body.get("stream_options") or {}
        explicit = asked if asked is not None else given.get("include_usage")
        if explicit is None and server in _servers_without_usage:
            return
        if explicit or (explicit is None and default):
            self.request.body["stream_options"] = {**given, "include_usage": True}
            self._asked_by_default = explicit is None

    def stop_asking_for_usage(self, error: Exception, *, server: str | None) -> bool:
        """Drop the question for usage if it is what the server refused, and remember the server.

        Args:
            error: What sending raised.
            server: Root of the API.

        Returns:
            Whether the request has changed and is worth sending again.
        """
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


def prepare(payload: dict[str, Any]) -> Call:
    """Check a payload and make its request.

    Args:
        payload: The body, pydantic response formats and SDK options included.

    Raises:
        InvalidParameterError: No messages, a value that is not JSON, or an unknown parameter (then
            also a `TypeError`).
    """
    if not payload.get("messages"):
        _refuse("messages: the list is empty; pass at least one message")
    if unknown := payload.keys() - _KNOWN_PARAMETERS:
        _check_unknown(unknown)
    check_n(payload.get("n"), streaming=bool(payload.get("stream")))
    body = dict(payload)
    response_format = payload.get("response_format")
    if response_format is not None:
        body["response_format"] = response_format_to_wire(response_format)
    request = WireRequest.from_payload(COMPLETIONS_PATH, body)
    return Call(payload, request, response_format)


@contextmanager
def _naming_bad_values(body: Mapping[str, Any]) -> Iterator[None]:
    """Name the parameter that the SDK's JSON encoder could not write."""
    try:
        yield
    except (TypeError, RecursionError) as error:
        from langchain_tamma_openai.errors import InvalidParameterError

        field = next((name for name, value in body.items() if not _is_json(value)), None)
        if field is None:
            raise
        raise InvalidParameterError(
            f"{field}: cannot be written as JSON ({error}); give plain dicts, lists, strings, "
            "numbers, booleans and None"
        ) from error


def _is_json(value: object) -> bool:
    try:
        json.dumps(value)
    except (TypeError, ValueError, RecursionError):
        return False
    return True


@cache
def _sdk_parameters() -> frozenset[str]:
    from openai.resources.chat.completions import Completions

    return frozenset(inspect.signature(Completions.create).parameters)


def _check_unknown(names: set[str]) -> None:
    unknown = sorted(names - _sdk_parameters())
    if not unknown:
        return
    from langchain_tamma_openai.errors import UnknownParameterError

    raise UnknownParameterError(
        f"{', '.join(unknown)}: unexpected keyword argument; Chat Completions has no such "
        "parameter. Check the spelling, or pass parameters of other servers as extra_body={...}"
    )


def _refuse(message: str) -> NoReturn:
    from langchain_tamma_openai.errors import InvalidParameterError

    raise InvalidParameterError(message)
