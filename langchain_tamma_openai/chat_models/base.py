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
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult, Generation
from langchain_core.utils._gateway import _parse_gateway_metadata
from pydantic import SecretStr

from langchain_tamma_openai._version import __version__
from langchain_tamma_openai.chat_models.batching import BatchingMixin
from langchain_tamma_openai.chat_models.counting import CountingMixin
from langchain_tamma_openai.chat_models.exchange import with_given_content
from langchain_tamma_openai.chat_models.fields import ChatFields
from langchain_tamma_openai.chat_models.governing import GoverningMixin
from langchain_tamma_openai.chat_models.identity import IdentityMixin
from langchain_tamma_openai.chat_models.linking import LINK, LinkingMixin
from langchain_tamma_openai.chat_models.preparing import PreparingMixin
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

if TYPE_CHECKING:
    import httpx2

    from langchain_tamma_openai.chat_models.calls import Call, HeaderInfo
    from langchain_tamma_openai.chat_models.run_link import RunLink
    from langchain_tamma_openai.config import TammaOpenAIConfig
    from langchain_tamma_openai.parameters.problems import Api
    from langchain_tamma_openai.pricing_cost import Cost
    from langchain_tamma_openai.wire.completions import AnswerFacts

_O_SERIES = re.compile(r"o\d")


class ChatTammaOpenAI(
    StructuredOutputMixin,
    BatchingMixin,
    LinkingMixin,
    PreparingMixin,
    IdentityMixin,
    CountingMixin,
    GoverningMixin,
    SdkAccessMixin,
    ChatFields,
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
        self._settle_governors()
        self._settle_preparations()
        from langchain_tamma_openai.models import warn_if_shut_down

        warn_if_shut_down(self.model_name)
        if self.price_overrides is not None:
            from langchain_tamma_openai.chat_models.observing import calculator

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
        params = self._merged_params(stop, kwargs)
        return self._payload(messages, params, self._api(params))

    def _merged_params(self, stop: list[str] | None, kwargs: dict[str, Any]) -> dict[str, Any]:
        """Put the parameters of a call on top of the model's own."""
        if stop is not None:
            kwargs = {**kwargs, "stop": stop}
        return _with_current_names({**self._default_params, **kwargs})

    def _payload(
        self, messages: list[BaseMessage], params: dict[str, Any], api: Api
    ) -> dict[str, Any]:
        if api == "responses":
            from langchain_tamma_openai.wire.responses_params import responses_payload

            return with_given_content(
                responses_payload(
                    messages, params, use_previous_response_id=self.use_previous_response_id
                )
            )
        from langchain_tamma_openai.wire.messages import messages_to_completions

        developer_role = _O_SERIES.match(self.model_name) is not None
        wire = messages_to_completions(messages, developer_role=developer_role)
        return with_given_content({**params, "messages": wire})

    def _use_responses_api(self, payload: dict[str, Any]) -> bool:
        return uses_responses_api(self, payload)

    def _call(
        self, messages: list[BaseMessage], stop: list[str] | None, kwargs: dict[str, Any]
    ) -> Call:
        payload, notes = self._judged_payload(messages, stop, kwargs)
        check_allowed(self, str(payload.get("model")))
        if "messages" in payload:
            from langchain_tamma_openai.chat_models.completions_call import CompletionsCall

            plain = CompletionsCall.prepare(payload)
            plain.notes.update(notes)
            return plain
        from langchain_tamma_openai.chat_models.responses_call import ResponsesCall

        given = {**self.model_kwargs, **kwargs}
        call: Call = ResponsesCall.prepare(payload, given, self.background_timeout_s)
        call.notes.update(notes)
        return call

    def _judged_payload(
        self, messages: list[BaseMessage], stop: list[str] | None, kwargs: dict[str, Any]
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return the request body with its parameters judged, and notes of what was changed."""
        policy = self._policy_of_parameters
        if policy != "off":
            params = self._merged_params(stop, kwargs)
            api = self._api(params)
            params, notes = self._judged(params, api, policy)
            if notes:
                return self._payload(messages, params, api), notes
        return self._get_request_payload(messages, stop=stop, **kwargs), {}

    # --- answers ---

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,  # noqa: ARG002 - comes with the link
        **kwargs: Any,
    ) -> ChatResult:
        from langchain_tamma_openai.chat_models.answering import answer
        from langchain_tamma_openai.chat_models.run import Run

        link = kwargs.pop(LINK, None)
        return answer(Run(self, messages, stop, kwargs, link, streamed=False, is_async=False))

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,  # noqa: ARG002 - comes with the link
        **kwargs: Any,
    ) -> ChatResult:
        from langchain_tamma_openai.chat_models.answering import aanswer
        from langchain_tamma_openai.chat_models.run import Run

        link = kwargs.pop(LINK, None)
        run = Run(self, messages, stop, kwargs, link, streamed=False, is_async=True)
        return await aanswer(run)

    def _result(
        self, call: Call, response: httpx2.Response
    ) -> tuple[ChatResult, AnswerFacts, Cost]:
        from langchain_tamma_openai.wire.completions import parse_body, refusing_odd_answers

        body = parse_body(response.content, response.headers.get("content-type"))
        info = self._header_info(response.headers, gateway=True)
        with refusing_odd_answers(body):
            result, facts = call.result(body, info, self.output_version)
        self._judge_tools(result, call)
        first = cast("AIMessage", result.generations[0].message)
        return result, facts, self._complete(first, facts, response, call.model)

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        *,
        stream_usage: bool | None = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        from langchain_tamma_openai.chat_models.stream_run import StreamRun
        from langchain_tamma_openai.chat_models.streaming import stream_answer

        link: RunLink | None = kwargs.pop(LINK, None)
        if link is not None:
            link.has_begun = True
        run = StreamRun(
            self, messages, stop, kwargs, link, stream_usage=stream_usage, is_async=False
        )
        return stream_answer(run, run_manager)

    def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        *,
        stream_usage: bool | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        from langchain_tamma_openai.chat_models.stream_run import StreamRun
        from langchain_tamma_openai.chat_models.streaming import astream_answer

        link: RunLink | None = kwargs.pop(LINK, None)
        if link is not None:
            link.has_begun = True
        run = StreamRun(
            self, messages, stop, kwargs, link, stream_usage=stream_usage, is_async=True
        )
        return astream_answer(run, run_manager)

    # --- what every answer carries ---

    @property
    def _uses_gateway(self) -> bool:
        key = self.openai_api_key
        return isinstance(key, SecretStr) and key.get_secret_value().startswith(GATEWAY_KEY_PREFIX)

    def _header_info(self, headers: Mapping[str, str], *, gateway: bool) -> HeaderInfo:
        from langchain_tamma_openai.chat_models.calls import HeaderInfo

        return HeaderInfo(
            headers=dict(headers) if self.include_response_headers else None,
            gateway=_parse_gateway_metadata(headers) if gateway else None,
        )

    def _stream_header_info(self, response: httpx2.Response) -> HeaderInfo:
        return self._header_info(response.headers, gateway=self._uses_gateway)

    def _complete(
        self, message: AIMessage, facts: AnswerFacts, response: httpx2.Response, requested: str
    ) -> Cost:
        """Say on an answer, or the last chunk of one, what it cost and how much is left."""
        from langchain_tamma_openai.chat_models.observing import (
            answer_cost,
            observe_outside_context,
        )

        root = base_url(self)
        cost = answer_cost(facts.tokens, facts, "", self.price_overrides, base_url=root)
        message.response_metadata["cost"] = cost.as_metadata()
        if (info := self._read_rate_limit(response, requested)) is not None:
            message.response_metadata["rate_limit"] = info.as_dict()
        observe_outside_context(message, facts)
        return cost

    def _convert_cached_generations(self, cache_val: list[Generation]) -> list[ChatGeneration]:
        from langchain_tamma_openai.chat_models.observing import without_cost

        # Core writes into what it converts, and the cache may hand out its own objects.
        copies = [hit.model_copy() for hit in cache_val]
        return [without_cost(hit) for hit in super()._convert_cached_generations(copies)]


def _with_current_names(params: dict[str, Any]) -> dict[str, Any]:
    """Send the output limit under its current name; `max_tokens` is the deprecated one."""
    if "max_tokens" in params:
        params["max_completion_tokens"] = params.pop("max_tokens")
    return params
