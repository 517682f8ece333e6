"""Driving answers that the server makes in the background: wait for them, or call them off."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from langchain_tamma_openai.redact import redact_secrets
from langchain_tamma_openai.resilience.retry import (
    RetryPolicy,
    apause,
    arun_with_retries,
    pause,
    run_with_retries,
)
from langchain_tamma_openai.transport.send import (
    WireRequest,
    aopen_stream,
    asend,
    limit_timeout,
    open_stream,
    send,
)
from langchain_tamma_openai.transport.translate import translating
from langchain_tamma_openai.wire.completions import parse_body
from langchain_tamma_openai.wire.sse import SSEDecoder

if TYPE_CHECKING:
    import httpx2
    import openai

    from langchain_tamma_openai.chat_models.calls import Call
    from langchain_tamma_openai.resilience.stream import StreamReader

logger = logging.getLogger(__name__)

_CANCEL_LIMIT_S = 5.0
_QUESTION_LIMIT_S = 60.0
_SHORTEST_LIMIT_S = 1.0
_TIMED_OUT = "background_timeout"
# The event loop itself keeps no task alive.
_stopping: set[asyncio.Task[None]] = set()


def wait_for_answer(
    call: Call, root: openai.OpenAI, response: httpx2.Response, policy: RetryPolicy
) -> httpx2.Response:
    """Ask for a background answer until it is there.

    Args:
        call: The call that began it.
        root: The SDK's client.
        response: What the server answered last.
        policy: Retries of each question.

    Raises:
        RequestTimeoutError: It took longer than the call may; the server is told to stop.
    """
    with cancelling(call, root, lambda: _id(response)):
        while (request := _next_question(call, response)) is not None:
            pause(_delay_s(call))
            _hurry(call, request, root)
            response = run_with_retries(policy, lambda ask=request: send(root, ask))  # type: ignore[misc]
    return response


async def await_answer(
    call: Call, root: openai.AsyncOpenAI, response: httpx2.Response, policy: RetryPolicy
) -> httpx2.Response:
    """Ask for a background answer until it is there; see `wait_for_answer`."""
    async with acancelling(call, root, lambda: _id(response)):
        while (request := _next_question(call, response)) is not None:
            await apause(_delay_s(call))
            _hurry(call, request, root)
            response = await arun_with_retries(policy, lambda ask=request: asend(root, ask))  # type: ignore[misc]
    return response


@contextmanager
def cancelling(
    call: Call, root: openai.OpenAI, response_id: Callable[[], object]
) -> Iterator[None]:
    """Tell the server to stop when the caller leaves before the answer is whole.

    Args:
        call: The call that began it.
        root: The SDK's client.
        response_id: Gives the id of the answer, once it is known.
    """
    try:
        yield
    except BaseException as error:
        request = _request_to_stop(call, error, response_id)
        if request is not None:
            try:
                send(root, request)
            except Exception as failure:  # noqa: BLE001 - what the caller left for is told, not this
                _warn(request, failure)
        raise


class acancelling:  # noqa: N801 - used like the function that is its sync twin
    """Tell the server to stop when the caller leaves; see `cancelling`.

    A class and not a generator: at its end a loop closes all generators at once, and one that waits
    for another to close would fail.
    """

    def __init__(
        self, call: Call, root: openai.AsyncOpenAI, response_id: Callable[[], object]
    ) -> None:
        """Keep whom to tell; see `cancelling`."""
        self._call = call
        self._root = root
        self._response_id = response_id

    async def __aenter__(self) -> None:
        """Do nothing yet."""

    async def __aexit__(
        self, _kind: object, error: BaseException | None, _traceback: object
    ) -> None:
        """Tell the server, if the caller leaves."""
        if error is None:
            return
        request = _request_to_stop(self._call, error, self._response_id)
        if request is not None:
            # A task of its own: whoever cancelled the caller may do so again and again.
            stopping = asyncio.create_task(self._stop(request))
            _stopping.add(stopping)
            stopping.add_done_callback(_stopping.discard)
            await asyncio.shield(stopping)

    async def _stop(self, request: WireRequest) -> None:
        try:
            async with asyncio.timeout(_CANCEL_LIMIT_S):
                await asend(self._root, request)
        except Exception as failure:  # noqa: BLE001 - what the caller left for is told, not this
            _warn(request, failure)


def resume(
    call: Call, root: openai.OpenAI, reader: StreamReader, policy: RetryPolicy
) -> httpx2.Response:
    """Open the rest of a broken background stream.

    Args:
        call: The call it answers.
        root: The SDK's client.
        reader: Reads the stream, and goes on with the new connection.
        policy: Retries of opening it.

    Raises:
        StreamInterruptedError: It could not be opened.
    """
    request = _request_to_resume(call, root, reader)
    try:
        with translating(call.model):
            pause(call.patience.reconnect_delay_s)
            return run_with_retries(policy, lambda: open_stream(root, request))
    except Exception as error:
        raise reader.given_up() from error


async def aresume(
    call: Call, root: openai.AsyncOpenAI, reader: StreamReader, policy: RetryPolicy
) -> httpx2.Response:
    """Open the rest of a broken background stream; see `resume`."""
    request = _request_to_resume(call, root, reader)
    try:
        with translating(call.model):
            await apause(call.patience.reconnect_delay_s)
            return await arun_with_retries(policy, lambda: aopen_stream(root, request))
    except Exception as error:
        raise reader.given_up() from error


def _request_to_resume(
    call: Call, root: openai.OpenAI | openai.AsyncOpenAI, reader: StreamReader
) -> WireRequest:
    request = call.resume_request(reader.decoder)
    if request is None:
        raise reader.given_up()
    logger.info("%s continues after %s.", reader.response_id, reader.interruption)
    reader.restart(SSEDecoder())
    if (left_s := call.patience.left_s) is not None:
        limit_timeout(request, root, max(_SHORTEST_LIMIT_S, left_s))
    return request


def _request_to_stop(
    call: Call, error: BaseException, response_id: Callable[[], object]
) -> WireRequest | None:
    leaves = not isinstance(error, Exception) or call.patience.is_over
    request = call.cancel_request(response_id()) if leaves else None
    if request is not None:
        request.options["timeout"] = _CANCEL_LIMIT_S
    return request


def _next_question(call: Call, response: httpx2.Response) -> WireRequest | None:
    return call.poll_request(_body(response))


def _delay_s(call: Call) -> float:
    if not call.patience.is_over:
        return call.patience.next_delay_s()
    from langchain_tamma_openai.errors import RequestTimeoutError

    raise RequestTimeoutError(
        f"The background answer of {call.model} was not there after "
        f"{call.patience.limit_s:g} s (`background_timeout_s`); the server was told to stop.",
        code=_TIMED_OUT,
        model=call.model,
    )


def _warn(request: WireRequest, failure: Exception) -> None:
    reason = redact_secrets(f"{type(failure).__name__}: {failure}")
    logger.warning("%s failed, so the answer is still being made (%s).", request.path, reason)


def _hurry(call: Call, question: WireRequest, root: openai.OpenAI | openai.AsyncOpenAI) -> None:
    """Let no single question wait longer than the answer to it can need."""
    left_s = call.patience.left_s
    limit_s = _QUESTION_LIMIT_S if left_s is None else min(left_s, _QUESTION_LIMIT_S)
    limit_timeout(question, root, max(_SHORTEST_LIMIT_S, limit_s))


def _body(response: httpx2.Response) -> dict[str, object]:
    return parse_body(response.content, response.headers.get("content-type"))


def _id(response: httpx2.Response) -> object:
    return _body(response).get("id")
