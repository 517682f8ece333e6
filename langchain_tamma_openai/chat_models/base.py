"""`ChatTammaOpenAI`: wires the rooms together; every algorithm lives in one of them."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Self, cast

from langchain_core.callbacks import (
    AsyncCallbackManagerForLLMRun,
    CallbackManagerForLLMRun,
)
from langchain_core.language_models import LanguageModelInput
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult, Generation
from langchain_core.utils._gateway import _parse_gateway_metadata
from pydantic import SecretStr

from langchain_tamma_openai._version import __version__
from langchain_tamma_openai.chat_models.background import (
    acancelling,
    aresume,
    await_answer,
    cancelling,
    resume,
    wait_for_answer,
)
from langchain_tamma_openai.chat_models.calls import Call, HeaderInfo
from langchain_tamma_openai.chat_models.completions_call import CompletionsCall
from langchain_tamma_openai.chat_models.counting import CountingMixin
from langchain_tamma_openai.chat_models.fields import ChatFields
from langchain_tamma_openai.chat_models.identity import IdentityMixin
from langchain_tamma_openai.chat_models.observing import (
    calculator,
    cost_metadata,
    interruptions,
    observe_outside_context,
    without_cost,
)
from langchain_tamma_openai.chat_models.routing import uses_responses_api
from langchain_tamma_openai.chat_models.sdk_access import SdkAccessMixin
from langchain_tamma_openai.chat_models.settings import (
    CLIENT_FIELDS,
    GATEWAY_KEY_PREFIX,
    base_url,
    check_allowed,
    settle,
)
from langchain_tamma_openai.chat_models.structured import StructuredOutputMixin
from langchain_tamma_openai.models import warn_if_shut_down
from langchain_tamma_openai.resilience.retry import (
    RetryPolicy,
    arun_with_retries,
    run_with_retries,
)
from langchain_tamma_openai.resilience.stream import StreamReader
from langchain_tamma_openai.transport.body import AsyncReading, Reading, limit_read
from langchain_tamma_openai.transport.translate import translating
from langchain_tamma_openai.wire.completions import AnswerFacts, parse_body, refusing_odd_answers
from langchain_tamma_openai.wire.messages import messages_to_completions
from langchain_tamma_openai.wire.responses_params import responses_payload

if TYPE_CHECKING:
    import httpx2
    import openai

    from langchain_tamma_openai.config import TammaOpenAIConfig

_O_SERIES = re.compile(r"o\d")
_DEFAULT_MAX_RETRIES = 2


class ChatTammaOpenAI(
    StructuredOutputMixin, IdentityMixin, CountingMixin, SdkAccessMixin, ChatFields
):
    """OpenAI chat models for production: a drop-in for `ChatOpenAI` with the cost on every answer.

    Every constructor argument, alias, environment variable and method of `ChatOpenAI` keeps its
    name and meaning; `docs/migrating.md` lists the differences. One instance may be used from many
    threads, from several event loops one after another, and from forked workers.

    Examples:
        >>> from langchain_tamma_openai import ChatTammaOpenAI
        >>> llm = ChatTammaOpenAI(model="gpt-6-luna")
        >>> answer = llm.invoke("Say hello.")  # doctest: +SKIP
        >>> answer.response_metadata["cost"]["total_usd"]  # doctest: +SKIP
        '0.0000064'
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Build the model; no connection is opened and the SDK is not loaded yet.

        Args:
            *args: None; LangChain's signature.
            **kwargs: The fields of `ChatFields`, by name or alias; unknown ones go to
                `model_kwargs` with a warning.

        Raises:
            ConfigurationError: The API key is missing or cannot be one, or a URL, timeout, count or
                price cannot be used; the message names the field and the way out.
            InvalidParameterError: `n` is below 1, or above 1 with streaming.
            pydantic.ValidationError: A value has the wrong type.
        """
        super().__init__(*args, **kwargs)
        for name in CLIENT_FIELDS:
            if self.__dict__.get(name) is None:
                self.__dict__.pop(name, None)
        settle(self)
        warn_if_shut_down(self.model_name)
        if self.price_overrides is not None:
            calculator(self.price_overrides)
        self._add_version("langchain-tamma-openai", __version__)

    @classmethod
    def from_config(cls, config: TammaOpenAIConfig, **overrides: Any) -> Self:
        """Build a model from a configuration.

        Args:
            config: Key, endpoint, limits and default model.
            **overrides: Constructor arguments that win over it.

        Raises:
            InvalidParameterError: The model is not among the configuration's allowed models.
        """
        names = {field.alias: name for name, field in cls.model_fields.items() if field.alias}
        given = (
            {names.get(key, key): value for key, value in source.items()}
            for source in (config.to_model_kwargs(), overrides)
        )
        return cls(**{**next(given), **next(given)})

    # --- parameters and payload ---

    @property
    def _default_params(self) -> dict[str, Any]:
        optional = {
            "presence_penalty": self.presence_penalty,
            "frequency_penalty": self.frequency_penalty,
            "seed": self.seed,
            "top_p": self.top_p,
            "logprobs": self.logprobs,
            "top_logprobs": self.top_logprobs,
            "logit_bias": self.logit_bias,
            "stop": self.stop or None,
            "max_completion_tokens": self.max_tokens,
            "extra_body": self.extra_body,
            "n": self.n,
            "temperature": self.temperature,
            "reasoning_effort": self.reasoning_effort,
            "reasoning": self.reasoning,
            "verbosity": self.verbosity,
            "context_management": self.context_management,
            "include": self.include,
            "prompt_cache_options": self.prompt_cache_options,
            "prompt_cache_key": self.prompt_cache_key,
            "safety_identifier": self.safety_identifier,
            "background": self.background,
            "conversation": self.conversation,
            "max_tool_calls": self.max_tool_calls,
            "service_tier": self.service_tier,
            "truncation": self.truncation,
            "store": self.store,
        }
        given = {name: value for name, value in optional.items() if value is not None}
        params = {"model": self.model_name, "stream": self.streaming, **given, **self.model_kwargs}
        return _with_current_names(params)

    def _get_request_payload(
        self, input_: LanguageModelInput, *, stop: list[str] | None = None, **kwargs: Any
    ) -> dict[str, Any]:
        """Return the request body for an input.

        Args:
            input_: A prompt, messages or a string.
            stop: Where to stop generating.
            **kwargs: Parameters of this call; they win over the model's own.

        Raises:
            InvalidParameterError: A message has no form in the API.
        """
        messages = self._convert_input(input_).to_messages()
        if stop is not None:
            kwargs["stop"] = stop
        payload = _with_current_names({**self._default_params, **kwargs})
        if self._use_responses_api(payload):
            return responses_payload(
                messages, payload, use_previous_response_id=self.use_previous_response_id
            )
        developer_role = _O_SERIES.match(self.model_name) is not None
        payload["messages"] = messages_to_completions(messages, developer_role=developer_role)
        return payload

    def _use_responses_api(self, payload: dict[str, Any]) -> bool:
        return uses_responses_api(self, payload)

    def _call(
        self, messages: list[BaseMessage], stop: list[str] | None, kwargs: dict[str, Any]
    ) -> Call:
        payload = self._get_request_payload(messages, stop=stop, **kwargs)
        check_allowed(self, str(payload.get("model")))
        if "messages" in payload:
            return CompletionsCall.prepare(payload)
        from langchain_tamma_openai.chat_models.responses_call import ResponsesCall

        given = {**self.model_kwargs, **kwargs}
        return ResponsesCall.prepare(payload, given, self.background_timeout_s)

    @property
    def _retry_policy(self) -> RetryPolicy:
        if self.retry is not None:
            return self.retry
        retries = _DEFAULT_MAX_RETRIES if self.max_retries is None else self.max_retries
        return RetryPolicy.from_max_retries(retries)

    # --- plain calls ---

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,  # noqa: ARG002 - LangChain's hook
        **kwargs: Any,
    ) -> ChatResult:
        call = self._call(messages, stop, {**kwargs, "stream": False})
        root = self._sync_root()
        with translating(call.model):
            response = run_with_retries(self._retry_policy, lambda: call.send(root))
            if call.runs_in_background:
                response = wait_for_answer(call, root, response, self._retry_policy)
            return self._result(call, response)

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,  # noqa: ARG002 - LangChain's hook
        **kwargs: Any,
    ) -> ChatResult:
        call = self._call(messages, stop, {**kwargs, "stream": False})
        root = self._async_root()
        with translating(call.model):
            response = await arun_with_retries(self._retry_policy, lambda: call.asend(root))
            if call.runs_in_background:
                response = await await_answer(call, root, response, self._retry_policy)
            return self._result(call, response)

    def _result(
        self,
        call: Call,
        response: httpx2.Response,
    ) -> ChatResult:
        body = parse_body(response.content, response.headers.get("content-type"))
        info = self._header_info(response.headers, gateway=True)
        with refusing_odd_answers(body):
            result, facts = call.result(body, info, self.output_version)
        self._add_cost(cast("AIMessage", result.generations[0].message), facts)
        return result

    # --- streams ---

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        *,
        stream_usage: bool | None = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        call = self._stream_call(messages, stop, kwargs, stream_usage=stream_usage)
        root = self._sync_root()
        with translating(call.model):
            response = self._open(call, root)
            reader = self._reader(call, response)
            with cancelling(call, root, lambda: reader.response_id):
                while True:
                    with Reading(response) as pieces, interruptions(reader, call):
                        for piece in pieces:
                            for chunk in reader.feed(piece):
                                if run_manager is not None:
                                    run_manager.on_llm_new_token(chunk.text, chunk=chunk)
                                yield chunk
                            if reader.finished:
                                break
                        yield from reader.end()
                    yield from reader.rest()
                    if reader.finished:
                        return
                    response = resume(call, root, reader, self._retry_policy)
                    self._limit_reads(call, response)

    async def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        *,
        stream_usage: bool | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        call = self._stream_call(messages, stop, kwargs, stream_usage=stream_usage)
        root = self._async_root()
        with translating(call.model):
            response = await self._aopen(call, root)
            reader = self._reader(call, response)
            async with acancelling(call, root, lambda: reader.response_id):
                while True:
                    async with AsyncReading(response) as pieces:
                        with interruptions(reader, call):
                            async for piece in pieces:
                                for chunk in reader.feed(piece):
                                    if run_manager is not None:
                                        await run_manager.on_llm_new_token(chunk.text, chunk=chunk)
                                    yield chunk
                                if reader.finished:
                                    break
                            for chunk in reader.end():
                                yield chunk
                    for chunk in reader.rest():
                        yield chunk
                    if reader.finished:
                        return
                    response = await aresume(call, root, reader, self._retry_policy)
                    self._limit_reads(call, response)

    def _stream_call(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None,
        kwargs: dict[str, Any],
        *,
        stream_usage: bool | None,
    ) -> Call:
        call = self._call(messages, stop, {**kwargs, "stream": True})
        call.ask_for_usage(asked=stream_usage, default=self.stream_usage, server=base_url(self))
        return call

    def _open(self, call: Call, root: openai.OpenAI) -> httpx2.Response:
        try:
            return run_with_retries(self._retry_policy, lambda: call.open(root))
        except Exception as error:
            if not call.stop_asking_for_usage(error, server=base_url(self)):
                raise
        return run_with_retries(self._retry_policy, lambda: call.open(root))

    async def _aopen(self, call: Call, root: openai.AsyncOpenAI) -> httpx2.Response:
        try:
            return await arun_with_retries(self._retry_policy, lambda: call.aopen(root))
        except Exception as error:
            if not call.stop_asking_for_usage(error, server=base_url(self)):
                raise
        return await arun_with_retries(self._retry_policy, lambda: call.aopen(root))

    def _reader(self, call: Call, response: httpx2.Response) -> StreamReader:
        from langchain_tamma_openai.wire.sse import SSEDecoder

        self._limit_reads(call, response)
        info = self._header_info(response.headers, gateway=self._uses_gateway)
        decoder = call.decoder(info, self.output_version)

        def complete(last: ChatGenerationChunk) -> None:
            call.complete(last, decoder)
            self._add_cost(cast("AIMessageChunk", last.message), decoder.facts)

        return StreamReader(
            decoder,
            SSEDecoder(),
            model=call.model,
            on_last=complete,
            stall_limit_s=self.stream_chunk_timeout or None,
            patience=call.patience if call.runs_in_background else None,
        )

    def _limit_reads(self, call: Call, response: httpx2.Response) -> None:
        limit_read(response, self.stream_chunk_timeout or None)
        if call.runs_in_background:
            limit_read(response, call.patience.left_s)

    # --- what every answer carries ---

    @property
    def _uses_gateway(self) -> bool:
        key = self.openai_api_key
        return isinstance(key, SecretStr) and key.get_secret_value().startswith(GATEWAY_KEY_PREFIX)

    def _header_info(self, headers: Mapping[str, str], *, gateway: bool) -> HeaderInfo:
        return HeaderInfo(
            headers=dict(headers) if self.include_response_headers else None,
            gateway=_parse_gateway_metadata(headers) if gateway else None,
        )

    def _add_cost(self, message: AIMessage, facts: AnswerFacts) -> None:
        message.response_metadata["cost"] = cost_metadata(facts, self.price_overrides)
        observe_outside_context(message, facts)

    def _convert_cached_generations(self, cache_val: list[Generation]) -> list[ChatGeneration]:
        # Core writes into what it converts, and the cache may hand out its own objects.
        copies = [hit.model_copy() for hit in cache_val]
        return [without_cost(hit) for hit in super()._convert_cached_generations(copies)]


def _with_current_names(params: dict[str, Any]) -> dict[str, Any]:
    """Send the output limit under its current name; `max_tokens` is the deprecated one."""
    if "max_tokens" in params:
        params["max_completion_tokens"] = params.pop("max_tokens")
    return params
