"""One call, whatever the API: the request that is sent, and how its answer is decoded.

`CompletionsCall` and `ResponsesCall` are the two kinds; nothing else knows which API carries an
answer.
"""

from __future__ import annotations

import asyncio
import inspect
import json
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn

from langchain_core.outputs import ChatGenerationChunk, ChatResult

from langchain_tamma_openai.resilience.background import Patience
from langchain_tamma_openai.resilience.classify import class_names
from langchain_tamma_openai.transport.body import read_within, timeouts_of
from langchain_tamma_openai.transport.send import (
    WireRequest,
    aopen_stream,
    asend,
    limit_timeout,
    open_stream,
    send,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    import httpx2
    import openai

    from langchain_tamma_openai.resilience.deadline import Deadline
    from langchain_tamma_openai.resilience.stream import StreamDecoder
    from langchain_tamma_openai.wire.completions import AnswerFacts

_SHORTEST_LIMIT_S = 0.001


@dataclass(frozen=True, slots=True)
class HeaderInfo:
    """What of the HTTP headers goes into an answer.

    Attributes:
        headers: All of them, where the user asked for them.
        gateway: What the LangSmith gateway said, for its tracer.
    """

    headers: dict[str, str] | None = None
    gateway: dict[str, Any] | None = None


@dataclass
class Call(ABC):
    """A request and what decoding its answer needs to know.

    Attributes:
        payload: The body as `_get_request_payload` gave it.
        request: The same, ready to send.
        api: "chat_completions" or "responses".
    """

    api: ClassVar[str]

    payload: dict[str, Any]
    request: WireRequest
    patience: Patience = field(default_factory=lambda: Patience(None))
    """How long a background answer is waited for."""
    notes: dict[str, Any] = field(default_factory=dict, init=False)
    """What of the request the answer's `response_metadata` tells."""
    _given_timeout: tuple[Any] | None = field(default=None, init=False, repr=False)

    @property
    def runs_in_background(self) -> bool:
        """Whether the server works on the answer even when nobody is connected."""
        return False

    @property
    def model(self) -> str:
        """Name of the requested model."""
        return str(self.payload.get("model"))

    @abstractmethod
    def result(
        self, body: Mapping[str, Any], info: HeaderInfo, output_version: str | None
    ) -> tuple[ChatResult, AnswerFacts]:
        """Decode the body of a plain answer.

        Args:
            body: The parsed JSON object.
            info: What of the HTTP headers goes into the answer.
            output_version: LangChain's version of message content.
        """

    @abstractmethod
    def decoder(self, info: HeaderInfo, output_version: str | None) -> StreamDecoder:
        """Make the decoder of a streamed answer; see `result` for the arguments."""

    def complete(  # noqa: B027 - by default nothing
        self, last: ChatGenerationChunk, decoder: StreamDecoder
    ) -> None:
        """Add to the last chunk of a stream what only the whole answer tells."""

    def ask_for_usage(  # noqa: B027 - by default nothing: usage comes unasked
        self, *, asked: bool | None, default: bool | None, server: str | None
    ) -> None:
        """Ask for the usage of a stream where the API has to be asked.

        Args:
            asked: The argument of this call.
            default: The model's setting.
            server: Root of the API, which may have refused before.
        """

    def stop_asking_for_usage(self, error: Exception, *, server: str | None) -> bool:  # noqa: ARG002 - for the API that has to be asked
        """Drop the question for usage if it is what the server refused, and remember the server.

        Args:
            error: What sending raised.
            server: Root of the API.

        Returns:
            Whether the request has changed and is worth sending again.
        """
        return False

    def poll_request(self, body: Mapping[str, Any]) -> WireRequest | None:  # noqa: ARG002 - by default an answer is final
        """Make the request that asks for a background answer again, while it is unfinished."""
        return None

    def resume_request(self, decoder: StreamDecoder) -> WireRequest | None:  # noqa: ARG002 - by default a stream cannot be continued
        """Make the request that continues a broken stream after its last event."""
        return None

    def cancel_request(self, response_id: object) -> WireRequest | None:  # noqa: ARG002 - by default closing the connection cancels
        """Make the request that stops the server's work on a background answer."""
        return None

    def may_resume(self, decoder: StreamDecoder) -> bool:
        """Whether a stream that has just broken is worth continuing."""
        if self.resume_request(decoder) is None:
            return False
        return self.patience.bears_failure(len(decoder.chunks))

    def send(self, client: openai.OpenAI, deadline: Deadline) -> httpx2.Response:
        """Send the request once and read the whole answer.

        Args:
            client: The SDK's client.
            deadline: When the answer has to be there.
        """
        with _naming_bad_values(self.request):
            if deadline.left_s is None:
                return send(client, self.request)
            with _until(deadline, self.model):
                self._limit(client, deadline)
                return read_within(open_stream(client, self.request), deadline)

    async def asend(self, client: openai.AsyncOpenAI, deadline: Deadline) -> httpx2.Response:
        """Send the request once and read the whole answer; see `send`."""
        with _naming_bad_values(self.request):
            if deadline.left_s is None:
                return await asend(client, self.request)
            with _until(deadline, self.model):
                async with asyncio.timeout(deadline.left_s):
                    return await asend(client, self.request)

    def open(self, client: openai.OpenAI, deadline: Deadline) -> httpx2.Response:
        """Send the request once and return the answer at its headers.

        Args:
            client: The SDK's client.
            deadline: When the headers have to be there.
        """
        with _naming_bad_values(self.request):
            if deadline.left_s is None:
                return open_stream(client, self.request)
            with _until(deadline, self.model):
                self._limit(client, deadline)
                response = open_stream(client, self.request)
                self._free_reads(response)
                return response

    async def aopen(self, client: openai.AsyncOpenAI, deadline: Deadline) -> httpx2.Response:
        """Send the request once and return the answer at its headers; see `open`."""
        with _naming_bad_values(self.request):
            if deadline.left_s is None:
                return await aopen_stream(client, self.request)
            with _until(deadline, self.model):
                async with asyncio.timeout(deadline.left_s):
                    return await aopen_stream(client, self.request)

    def _limit(self, client: openai.OpenAI, deadline: Deadline) -> None:
        """Let no step wait longer than the time that is left, whatever earlier attempts had."""
        if self._given_timeout is None:
            self._given_timeout = (self.request.options.get("timeout", client.timeout),)
        self.request.options["timeout"] = self._given_timeout[0]
        limit_timeout(self.request, client, max(_SHORTEST_LIMIT_S, deadline.left_s or 0.0))

    def _free_reads(self, response: httpx2.Response) -> None:
        """Let the body be read as slowly as it could be without a deadline for the headers."""
        (given,) = self._given_timeout or (None,)
        if (timeouts := timeouts_of(response)) is not None:
            read_s = getattr(given, "read", given)
            timeouts["read"] = read_s if isinstance(read_s, int | float) else None

    def takes_no_arguments(self, name: str) -> bool:
        """Whether a tool of that name was offered and has no parameters."""
        for tool in self.payload.get("tools") or ():
            function = tool.get("function", tool) if isinstance(tool, Mapping) else None
            if isinstance(function, Mapping) and function.get("name") == name:
                return not (function.get("parameters") or {}).get("properties")
        return False


def refuse_unknown_parameters(names: set[str], create: Callable[..., object], api: str) -> None:
    """Refuse parameters that the SDK's method would not take either.

    Args:
        names: Parameters that are not among the known ones.
        create: The SDK's method, whose signature decides.
        api: Name of the API, for the message.

    Raises:
        UnknownParameterError: Naming them.
    """
    unknown = sorted(names - inspect.signature(create).parameters.keys())
    if not unknown:
        return
    from langchain_tamma_openai.errors import UnknownParameterError

    raise UnknownParameterError(
        f"{', '.join(unknown)}: unexpected keyword argument; {api} has no such parameter. Check "
        "the spelling, or pass parameters of other servers as extra_body={...}"
    )


def refuse_empty() -> NoReturn:
    """Refuse a request without messages.

    Raises:
        InvalidParameterError: Always.
    """
    from langchain_tamma_openai.errors import InvalidParameterError

    raise InvalidParameterError("messages: the list is empty; pass at least one message")


@contextmanager
def _until(deadline: Deadline, model: str) -> Iterator[None]:
    """Say which limit it was that a request ran into."""
    try:
        yield
    except Exception as error:
        if deadline.is_over and _is_timeout(error):
            raise deadline.error(model) from error
        raise


def _is_timeout(error: Exception) -> bool:
    import openai

    if isinstance(error, TimeoutError | openai.APITimeoutError):
        return True
    return any(name.endswith("Timeout") for name in class_names(error))


@contextmanager
def _naming_bad_values(request: WireRequest) -> Iterator[None]:
    """Name the parameter that the SDK's JSON encoder could not write."""
    try:
        yield
    except (TypeError, ValueError, RecursionError) as error:
        from langchain_tamma_openai.errors import InvalidParameterError

        field = _bad_field(request)
        if field is None:
            raise
        raise InvalidParameterError(
            f"{field}: cannot be written ({error}); give plain dicts, lists, strings, finite "
            "numbers, booleans and None, and only strings in headers"
        ) from error


def _bad_field(request: WireRequest) -> str | None:
    values = {**request.body, "extra_body": request.options.get("extra_json")}
    headers = request.options.get("headers") or {}
    if not all(isinstance(value, str) for value in headers.values()):
        return "extra_headers"
    return next((name for name, value in values.items() if not _is_json(value)), None)


def _is_json(value: object) -> bool:
    try:
        json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
    except (TypeError, ValueError, RecursionError):
        return False
    return True
