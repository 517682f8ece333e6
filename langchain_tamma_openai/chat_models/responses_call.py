"""A call that goes to the Responses API, background mode included."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn, cast
from urllib.parse import quote

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
_INPUTS = ("input", "previous_response_id", "conversation", "prompt")
KNOWN_PARAMETERS = frozenset(
    {
        "background", "background_options", "context_management", "conversation", "extra_body",
        "extra_headers", "extra_query", "include", "input", "instructions", "max_output_tokens",
        "max_tool_calls", "metadata", "model", "parallel_tool_calls", "previous_response_id",
        "prompt", "prompt_cache_key", "prompt_cache_options", "prompt_cache_retention", "reasoning",
        "reasoning_effort", "safety_identifier", "service_tier", "store", "stream",
        "stream_options", "temperature", "text", "text_format", "timeout", "tool_choice", "tools",
        "top_logprobs", "top_p", "truncation", "user",
    }
)  # fmt: skip


@dataclass
class ResponsesCall(Call):
    """A request to the Responses API.

    Attributes:
        schema: The `response_format` of the call, to parse the answer with.
        partial_images: The caller asked for drafts of generated images.
        background: The server works on the answer whether or not anyone is connected.
        follow_up_options: What the follow-ups of a background request take over from it.
    """

    schema: Any = None
    partial_images: bool = False
    background: bool = False
    follow_up_options: dict[str, Any] = field(default_factory=dict)

    api: ClassVar[str] = "responses"

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
            InvalidParameterError: No input, an unknown parameter (then also a `TypeError`), or
                background mode without storing.
        """
        if not any(payload.get(name) for name in _INPUTS):
            refuse_empty()
        if unknown := payload.keys() - KNOWN_PARAMETERS:
            from openai.resources.responses import Responses

            refuse_unknown_parameters(unknown, Responses.create, "the Responses API")
        request = WireRequest.from_payload(PATH, responses_body(payload))
        background = _in_background(payload)
        return cls(
            payload,
            request,
            Patience(background_timeout_s),
            schema=given.get("response_format"),
            partial_images=any("partial_images" in tool for tool in given.get("tools") or ()),
            background=background,
            follow_up_options=_follow_up_options(request) if background else {},
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
        """Make the request that asks for a background answer again, while it is unfinished.

        Raises:
            MalformedResponseError: The answer is unfinished and has no id to ask for.
        """
        if not self.background or body.get("status") not in _UNFINISHED:
            return None
        response_id = body.get("id")
        if not isinstance(response_id, str) or not response_id:
            _refuse_nameless(body)
        return self._follow_up("get", response_id)

    def resume_request(self, decoder: StreamDecoder) -> WireRequest | None:
        """Make the request that continues a broken stream after its last event.

        Only a background response that is kept can be continued, and only once its id is known.
        """
        read = cast("ResponsesStreamDecoder", decoder)
        if not self.background or read.response_id is None or read.last_sequence_number is None:
            return None
        query = {"stream": "true", "starting_after": str(read.last_sequence_number)}
        return self._follow_up("get", read.response_id, query={**self._obfuscation(), **query})

    def may_resume(self, decoder: StreamDecoder) -> bool:
        """Whether a stream that has just broken is worth continuing."""
        if self.resume_request(decoder) is None:
            return False
        read = cast("ResponsesStreamDecoder", decoder)
        return self.patience.bears_failure(read.last_sequence_number)

    def cancel_request(self, response_id: object) -> WireRequest | None:
        """Make the request that stops the server's work on a background answer."""
        if not self.background or not isinstance(response_id, str):
            return None
        return self._follow_up("post", response_id, "/cancel")

    def _follow_up(
        self, method: str, response_id: str, what: str = "", *, query: dict[str, str] | None = None
    ) -> WireRequest:
        options = dict(self.follow_up_options)
        asked = {"include": self.payload.get("include")} if method == "get" else {}
        params = {**(options.pop("params", None) or {}), **asked, **(query or {})}
        if given := {name: value for name, value in params.items() if value is not None}:
            options["params"] = given
        return WireRequest(f"{PATH}/{quote(response_id, safe='')}{what}", {}, options, method)

    def _obfuscation(self) -> dict[str, str]:
        """Ask for the events of a continued stream as those of the first were asked for."""
        wanted = (self.payload.get("stream_options") or {}).get("include_obfuscation")
        return {} if wanted is None else {"include_obfuscation": str(wanted).lower()}


def _in_background(payload: Mapping[str, Any]) -> bool:
    """Tell whether a request runs in background mode, which needs a stored answer.

    Raises:
        InvalidParameterError: It is not to be stored; the API would refuse it.
    """
    sent = {**payload, **(payload.get("extra_body") or {})}
    if sent.get("background") is not True:
        return False
    if sent.get("store") is False:
        from langchain_tamma_openai.errors import InvalidParameterError

        raise InvalidParameterError(
            "store: got False with background=True, but OpenAI has to store an answer that is "
            "asked for later; leave store out, or background",
            param="store",
        )
    return True


def _follow_up_options(request: WireRequest) -> dict[str, Any]:
    names = ("headers", "params", "timeout", "max_retries")
    return {name: request.options[name] for name in names if name in request.options}


def _refuse_nameless(body: Mapping[str, Any]) -> NoReturn:
    from langchain_tamma_openai.errors import MalformedResponseError

    raise MalformedResponseError(
        f"The server's answer is {body.get('status')!r} and has no 'id' to ask for it later; its "
        f"keys are {sorted(body)}. Check that `base_url` names a server with background mode."
    )


def _headers(info: HeaderInfo) -> dict[str, Any] | None:
    return None if info.headers is None else {"headers": info.headers}


def _gateway(info: HeaderInfo) -> dict[str, Any] | None:
    return None if info.gateway is None else {GATEWAY_METADATA_RESPONSE_KEY: info.gateway}
