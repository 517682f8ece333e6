"""A call that goes to the Responses API, background mode included."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

from langchain_core.outputs import ChatResult
from langchain_core.utils._gateway import GATEWAY_METADATA_RESPONSE_KEY

from langchain_tamma_openai.chat_models.calls import (
    Call,
    HeaderInfo,
    refuse_empty,
    refuse_unknown_parameters,
)
from langchain_tamma_openai.resilience.background import Patience
from langchain_tamma_openai.transport.send import WireRequest
from langchain_tamma_openai.wire.responses_params import responses_body

if TYPE_CHECKING:
    from langchain_tamma_openai.resilience.stream import StreamDecoder
    from langchain_tamma_openai.wire.completions import AnswerFacts
    from langchain_tamma_openai.wire.responses_stream import ResponsesStreamDecoder

PATH = "/responses"

_UNFINISHED = ("queued", "in_progress")
_KNOWN_PARAMETERS = frozenset(
    {
        "background", "context_management", "conversation", "extra_body", "extra_headers",
        "extra_query", "include", "input", "instructions", "max_output_tokens", "max_tool_calls",
        "metadata", "model", "parallel_tool_calls", "previous_response_id", "prompt",
        "prompt_cache_key", "prompt_cache_options", "prompt_cache_retention", "reasoning",
        "safety_identifier", "service_tier", "store", "stream", "stream_options", "temperature",
        "text", "text_format", "timeout", "tool_choice", "tools", "top_logprobs", "top_p",
        "truncation", "user",
    }
)  # fmt: skip


@dataclass
class ResponsesCall(Call):
    """A request to the Responses API.

    Attributes:
        schema: The `response_format` of the call, to parse the answer with.
        partial_images: The caller asked for drafts of generated images.
        background: The server works on the answer whether or not anyone is connected.
        follow_up_options: Headers and query of the request, which its follow-ups need as well.
    """

    schema: Any = None
    partial_images: bool = False
    background: bool = False
    follow_up_options: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def prepare(
        cls, payload: dict[str, Any], given: Mapping[str, Any], background_timeout_s: float | None
    ) -> ResponsesCall:
        """Check a payload and make its request.

        Args:
            payload: The body, pydantic formats and SDK options included.
            given: The parameters it was made from.
            background_timeout_s: Longest wait for a background answer, in seconds.

        Raises:
            InvalidParameterError: No input, or an unknown parameter (then also a `TypeError`).
        """
        if not payload.get("input") and not payload.get("previous_response_id"):
            refuse_empty()
        if unknown := payload.keys() - _KNOWN_PARAMETERS:
            from openai.resources.responses import Responses

            refuse_unknown_parameters(unknown, Responses.create, "the Responses API")
        request = WireRequest.from_payload(PATH, responses_body(payload))
        return cls(
            payload,
            request,
            Patience(background_timeout_s),
            schema=given.get("response_format"),
            partial_images=any("partial_images" in tool for tool in given.get("tools") or ()),
            background=payload.get("background") is True,
            follow_up_options={**request.options, "extra_json": None},
        )

    @property
    def runs_in_background(self) -> bool:
        """Whether the server works on the answer even when nobody is connected."""
        return self.background

    def result(
        self, body: Mapping[str, Any], info: HeaderInfo, output_version: str | None
    ) -> tuple[ChatResult, AnswerFacts]:
        """Decode the body of a plain answer."""
        from langchain_tamma_openai.wire.responses_output import responses_result

        result, facts = responses_result(
            body,
            output_version=output_version,
            schema=self.schema,
            metadata=_headers(info),
            default_model=self.model,
            takes_no_arguments=self.takes_no_arguments,
        )
        if (gateway := _gateway(info)) is not None:
            result.generations[0].generation_info = gateway
        return result, facts

    def decoder(self, info: HeaderInfo, output_version: str | None) -> StreamDecoder:
        """Make the decoder of a streamed answer."""
        from langchain_tamma_openai.wire.responses_stream import ResponsesStreamDecoder

        return ResponsesStreamDecoder(
            default_model=self.model,
            output_version=output_version,
            schema=self.schema,
            first_metadata=_headers(info),
            first_generation_info=_gateway(info),
            takes_no_arguments=self.takes_no_arguments,
            partial_images=self.partial_images,
        )

    def poll_request(self, body: Mapping[str, Any]) -> WireRequest | None:
        """Make the request that asks for a background answer again, while it is unfinished."""
        if not self.background or body.get("status") not in _UNFINISHED:
            return None
        return self._follow_up("get", f"{PATH}/{body.get('id')}")

    def resume_request(self, decoder: StreamDecoder) -> WireRequest | None:
        """Make the request that continues a broken stream after its last event.

        Only a background response that is kept can be continued, and only once its id is known.
        """
        read = cast("ResponsesStreamDecoder", decoder)
        if not self.background or read.response_id is None or read.last_sequence_number is None:
            return None
        query = {"stream": "true", "starting_after": str(read.last_sequence_number)}
        return self._follow_up("get", f"{PATH}/{read.response_id}", query)

    def cancel_request(self, response_id: object) -> WireRequest | None:
        """Make the request that stops the server's work on a background answer."""
        if not self.background or not isinstance(response_id, str):
            return None
        return self._follow_up("post", f"{PATH}/{response_id}/cancel")

    def _follow_up(
        self, method: str, path: str, query: dict[str, str] | None = None
    ) -> WireRequest:
        options = {key: value for key, value in self.follow_up_options.items() if value is not None}
        if query:
            options["params"] = {**(options.get("params") or {}), **query}
        return WireRequest(path, {}, options, method)


def _headers(info: HeaderInfo) -> dict[str, Any] | None:
    return None if info.headers is None else {"headers": info.headers}


def _gateway(info: HeaderInfo) -> dict[str, Any] | None:
    return None if info.gateway is None else {GATEWAY_METADATA_RESPONSE_KEY: info.gateway}
