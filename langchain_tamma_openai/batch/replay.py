"""Answers from a file take the way that answers from the network take.

The model is copied, with an HTTP client that hands out the recorded bodies: decoding, tool
verdicts, typed errors, cost, ledger and traces are those of `invoke`, because it is `invoke`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Self

from langchain_core.messages import BaseMessage, HumanMessage, SystemMessage, convert_to_messages

from langchain_tamma_openai.batch.answers import Answered
from langchain_tamma_openai.chat_models.settings import CLIENT_FIELDS
from langchain_tamma_openai.resilience.retry import RetryPolicy
from langchain_tamma_openai.transport.http_library import http_library

if TYPE_CHECKING:
    import httpx2

    from langchain_tamma_openai.chat_models.base import ChatTammaOpenAI

BATCH_TIER = "batch"
"""Tier that answers of a batch are recorded and priced at."""
_REFUSED = 400
_AS_IT_IS: Mapping[str, Any] = {
    "budget": None,
    "rate_limiter": None,
    "circuit_breaker": None,
    "quota_memory": False,
    "fallback_models": None,
    "total_timeout_s": None,
    "retry": RetryPolicy(max_attempts=1),
    "cache": False,
    "streaming": False,
    "background": None,
    "system_prompt": None,
    "prompt_variables": None,
    "parameter_policy": "off",
    "history_policy": "off",
    "adaptive": None,
    "use_previous_response_id": False,
}
"""Nobody is asked for leave, and nothing is changed: the answer is there already."""


class Replay:
    """An HTTP transport that hands out one recorded answer after the other."""

    def __init__(self) -> None:
        """Begin without an answer."""
        self._now: Answered | None = None

    def next(self, answered: Answered) -> Self:
        """Set the answer to the next request.

        Args:
            answered: What came back for it.
        """
        self._now = answered
        return self

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        """Answer a request."""
        return self._answer(request)

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Answer a request."""
        return self._answer(request)

    def close(self) -> None:
        """Hold nothing."""

    async def aclose(self) -> None:
        """Hold nothing."""

    def _answer(self, request: httpx2.Request) -> httpx2.Response:
        if self._now is None:
            raise LookupError("no answer was set")
        body = dict(self._now.body)
        if self._now.status_code < _REFUSED:
            body["service_tier"] = BATCH_TIER
        headers = {"content-type": "application/json"}
        if self._now.request_id:
            headers["x-request-id"] = self._now.request_id
        response: httpx2.Response = http_library().Response(
            self._now.status_code,
            headers=headers,
            content=json.dumps(body).encode(),
            request=request,
        )
        return response


def replaying(model: ChatTammaOpenAI, replay: Replay) -> ChatTammaOpenAI:
    """Copy a model so that its answers come from a recording.

    Args:
        model: The model; its ledger, callbacks and prices stay.
        replay: The recording.
    """
    library = http_library()
    clients = {
        "http_client": library.Client(transport=replay),
        "http_async_client": library.AsyncClient(transport=replay),
    }
    copy = model.model_copy(update={**_AS_IT_IS, **clients})
    for name in CLIENT_FIELDS:
        copy.__dict__.pop(name, None)
    copy._clients = None
    copy._settle_governors()
    return copy


def messages_of(body: Mapping[str, Any]) -> list[BaseMessage]:
    """Read the conversation back out of a request, for traces.

    Args:
        body: Of Chat Completions or Responses.
    """
    if "messages" in body:
        return convert_to_messages(body["messages"])
    found: list[BaseMessage] = []
    if instructions := body.get("instructions"):
        found.append(SystemMessage(str(instructions)))
    given = body.get("input")
    if isinstance(given, str):
        return [*found, HumanMessage(given)]
    for item in given or ():
        if isinstance(item, Mapping) and "role" in item:
            found += convert_to_messages([(str(item["role"]), _text(item.get("content")))])
    return found or [HumanMessage("")]


def _text(content: object) -> str:
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else ()
    return "".join(str(part.get("text") or "") for part in parts if isinstance(part, Mapping))
