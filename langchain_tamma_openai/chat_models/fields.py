"""The constructor fields of `ChatTammaOpenAI`: those of `ChatOpenAI`, and ours.

Names, aliases, defaults and environment variables are the ones `langchain-openai` 1.7 documents.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any, Literal, Self

from langchain_core.language_models.chat_models import BaseChatModel
from langchain_core.language_models.model_profile import ModelProfile, _warn_unknown_profile_keys
from langchain_core.utils import from_env, get_pydantic_field_names
from langchain_core.utils.utils import _build_model_kwargs
from pydantic import (
    ConfigDict,
    Field,
    PrivateAttr,
    SecretStr,
    TypeAdapter,
    field_validator,
    model_validator,
)

if TYPE_CHECKING:
    from langchain_tamma_openai.resilience.retry import RetryPolicy
    from langchain_tamma_openai.transport.clients import SdkClients
else:
    # Loaded with the first value; until then pydantic has nothing to look at.
    RetryPolicy = Any

DEFAULT_MODEL = "gpt-6-luna"
_STREAM_CHUNK_TIMEOUT_ENV = "LANGCHAIN_OPENAI_STREAM_CHUNK_TIMEOUT_S"
_STREAM_CHUNK_TIMEOUT_S = 120.0
_RECOVERIES = ("resume", "regenerate", "raise")
_PARAMETERS_OF_OUR_OWN = frozenset(
    {"background", "conversation", "max_tool_calls", "prompt_cache_key", "safety_identifier"}
)

logger = logging.getLogger(__name__)


def _stream_chunk_timeout_s() -> float:
    raw = os.environ.get(_STREAM_CHUNK_TIMEOUT_ENV)
    if raw is None:
        return _STREAM_CHUNK_TIMEOUT_S
    try:
        value = float(raw)
    except ValueError:
        value = -1.0
    if value >= 0:
        return value
    logger.warning(
        "%s is %r, not a number of seconds of 0 or more; using %g.",
        _STREAM_CHUNK_TIMEOUT_ENV,
        raw,
        _STREAM_CHUNK_TIMEOUT_S,
    )
    return _STREAM_CHUNK_TIMEOUT_S


@lru_cache(maxsize=32)
def _names_of_arguments(cls: type[BaseChatModel]) -> frozenset[str]:
    return frozenset(get_pydantic_field_names(cls))


@cache
def _profile_keys() -> frozenset[str]:
    return ModelProfile.__required_keys__ | ModelProfile.__optional_keys__


class ChatFields(BaseChatModel):
    """Fields and their defaults; behaviour lives in `ChatTammaOpenAI`."""

    # defer_build: the validator is built with the first model, not at import.
    model_config = ConfigDict(populate_by_name=True, hide_input_in_errors=True, defer_build=True)

    _clients: SdkClients | None = PrivateAttr(default=None)
    _governors: Any = PrivateAttr(default=None)
    _is_warm: bool = PrivateAttr(default=False)
    _treasury: Any = PrivateAttr(default=None)
    _runs: Any = PrivateAttr(default=None)
    _fallback_policy: Any = PrivateAttr(default=None)
    _others: dict[Any, Any] = PrivateAttr(default_factory=dict)
    _rate_limits: dict[str, Any] = PrivateAttr(default_factory=dict)

    client: Any = Field(default=None, exclude=True)
    """The SDK's `chat.completions` resource; made at first use."""

    async_client: Any = Field(default=None, exclude=True)
    """The SDK's async `chat.completions` resource; made at first use."""

    root_client: Any = Field(default=None, exclude=True)
    """The SDK's `openai.OpenAI`; made at first use."""

    root_async_client: Any = Field(default=None, exclude=True)
    """The SDK's `openai.AsyncOpenAI`, good for every event loop; made at first use."""

    model_name: str = Field(
        default_factory=from_env("OPENAI_MODEL", default=DEFAULT_MODEL), alias="model"
    )
    """Name of the model. Default: the environment's `OPENAI_MODEL`, else `gpt-6-luna`."""

    temperature: float | None = None
    """Sampling temperature, 0 to 2."""

    model_kwargs: dict[str, Any] = Field(default_factory=dict)
    """Parameters of the API that have no field of their own."""

    openai_api_key: SecretStr | Callable[[], str] | Callable[[], Awaitable[str]] | None = Field(
        default=None, alias="api_key"
    )
    """API key, or a sync or async function that gives it. Default: `OPENAI_API_KEY`."""

    openai_api_base: str | None = Field(default=None, alias="base_url")
    """Root of the API. Default: `OPENAI_API_BASE`, then `OPENAI_BASE_URL`, then OpenAI's own."""

    openai_organization: str | None = Field(default=None, alias="organization")
    """Organization id. Default: `OPENAI_ORG_ID`, then `OPENAI_ORGANIZATION`."""

    openai_project: str | None = Field(default=None, alias="project")
    """Project id. Default: `OPENAI_PROJECT_ID`."""

    openai_proxy: str | None = Field(default_factory=from_env("OPENAI_PROXY", default=None))
    """URL of a proxy for every request. Default: `OPENAI_PROXY`."""

    request_timeout: float | tuple[float, float] | Any | None = Field(default=None, alias="timeout")
    """Seconds, `(connect, read)`, or the HTTP library's timeout. Default: 600 s, 5 s to connect."""

    stream_usage: bool | None = None
    """Ask for the token usage of streams. Default: yes, custom base URLs included."""

    max_retries: int | None = None
    """Retries after a failed attempt. Default: 2."""

    presence_penalty: float | None = None
    """Penalty for tokens that have appeared, -2 to 2."""

    frequency_penalty: float | None = None
    """Penalty for tokens by how often they have appeared, -2 to 2."""

    seed: int | None = None
    """Seed for sampling that is as repeatable as the API can make it."""

    logprobs: bool | None = None
    """Return log probabilities of the output tokens."""

    top_logprobs: int | None = None
    """How many likely tokens to return at each position; needs `logprobs`."""

    logit_bias: dict[int, int] | None = None
    """Token id to bias, -100 to 100."""

    streaming: bool = False
    """Stream even when the caller asked for a plain answer."""

    n: int | None = None
    """How many answers to generate; more than one cannot be streamed."""

    top_p: float | None = None
    """Nucleus sampling mass, 0 to 1."""

    max_tokens: int | None = Field(default=None, alias="max_completion_tokens")
    """Limit of output tokens, reasoning included."""

    reasoning_effort: str | None = None
    """How hard a reasoning model thinks: `"none"` to `"max"`, by model."""

    reasoning: dict[str, Any] | None = None
    """Reasoning options of the Responses API."""

    verbosity: str | None = None
    """Length of answers: `"low"`, `"medium"`, `"high"`."""

    tiktoken_model_name: str | None = None
    """Model whose token encoding counts, when it is not `model`."""

    default_headers: Mapping[str, str] | None = None
    """Headers of every request."""

    default_query: Mapping[str, object] | None = None
    """Query parameters of every request."""

    http_client: Any | None = Field(default=None, exclude=True)
    """Your own HTTP client for sync calls."""

    http_async_client: Any | None = Field(default=None, exclude=True)
    """Your own HTTP client for async calls."""

    http_socket_options: Sequence[tuple[int, int, int]] | None = Field(default=None, exclude=True)
    """Socket options of new connections. Default: TCP keep-alive; `()` for none."""

    stream_chunk_timeout: float | None = Field(
        default_factory=_stream_chunk_timeout_s, exclude=True
    )
    """Longest silence within a stream, in seconds, sync and async. None or 0 for no limit."""

    stop: list[str] | str | None = Field(default=None, alias="stop_sequences")
    """Where to stop generating."""

    extra_body: Mapping[str, Any] | None = None
    """Body parameters of OpenAI-compatible servers that OpenAI's API lacks."""

    include_response_headers: bool = False
    """Put the HTTP headers into `response_metadata["headers"]`."""

    disabled_params: dict[str, Any] | None = None
    """Parameters never to send of our own accord: name to None, or to the values to avoid."""

    context_management: list[dict[str, Any]] | None = None
    """Compaction settings of the Responses API."""

    include: list[str] | None = None
    """Further output of the Responses API."""

    prompt_cache_options: dict[str, Any] | None = None
    """Prompt caching: `{"mode": ..., "ttl": ...}`."""

    prompt_cache_key: str | None = None
    """Requests with the same key and prefix are sent where the prefix is cached."""

    safety_identifier: str | None = None
    """A stable name of the end user, hashed, for OpenAI's abuse detection."""

    service_tier: str | None = None
    """`"auto"`, `"default"`, `"flex"`, `"priority"` or `"fast"`; cost follows the served tier."""

    store: bool | None = None
    """Let OpenAI keep the answer."""

    truncation: str | None = None
    """Truncation strategy of the Responses API."""

    use_previous_response_id: bool = False
    """Send only what came after the last answer (Responses API)."""

    use_responses_api: bool | None = None
    """Choose the API; None lets the settings choose."""

    output_version: str | None = Field(default_factory=from_env("LC_OUTPUT_VERSION", default=None))
    """Form of message content: `"v0"`, `"responses/v1"` or `"v1"`."""

    workload_identity: Any | None = Field(default=None, exclude=True)
    """Workload identity for the SDK, instead of an API key."""

    provider: Any | None = Field(default=None, exclude=True)
    """A provider of the SDK (a cloud that serves OpenAI models), instead of an API key and URL."""

    data_residency: str | None = None
    """Region whose endpoint the SDK uses, instead of a base URL."""

    websocket_base_url: str | None = None
    """Root of the SDK's WebSocket endpoints."""

    admin_api_key: SecretStr | None = None
    """Admin key for the SDK's admin endpoints. Default: `OPENAI_ADMIN_KEY`."""

    webhook_secret: SecretStr | None = None
    """Secret for the SDK's webhook checks. Default: `OPENAI_WEBHOOK_SECRET`."""

    retry: RetryPolicy | None = Field(default=None, exclude=True)
    """Full control of retries; `max_retries` is the short form."""

    system_prompt: Any | None = None
    """Id of a registered system prompt (`"support@3"`), a text, or a `SystemPrompt`."""

    prompt_variables: dict[str, Any] | None = None
    """A value for each variable of the system prompt."""

    prompt_registry: Any | None = Field(default=None, exclude=True)
    """A `PromptRegistry`: where ids are looked up. Default: the built-in prompts."""

    system_prompt_rule: Literal["prepend", "replace", "keep_both", "error"] = Field(
        default="prepend", exclude=True
    )
    """What happens when the conversation begins with a system message of its own: `"prepend"` makes
    one message of both, the system prompt first, `"replace"` sends the conversation's in its place,
    `"keep_both"` sends two, `"error"` refuses the call."""

    parameter_policy: Literal["strict", "adjust", "off"] | None = Field(default=None, exclude=True)
    """What happens to a parameter that the model would refuse: `"strict"` raises before anything is
    sent, `"adjust"` sends the nearest value that is taken and warns, `"off"` sends it as it is.
    Default: `"adjust"` for OpenAI's own servers, `"off"` for others and for clients of your own."""

    history_policy: Literal["strict", "repair", "off"] = Field(default="off", exclude=True)
    """What happens to a conversation that the API would refuse (tool calls without results and the
    like): `"strict"` raises before anything is sent, `"repair"` sends a mended copy."""

    tool_argument_policy: Literal["strict", "repair", "off"] = Field(default="strict", exclude=True)
    """What happens to tool calls whose arguments do not fit the bound schema: `"strict"` makes them
    `invalid_tool_calls` with the reason, `"repair"` also reads broken JSON where only one reading
    is possible, `"off"` leaves them."""

    adaptive: Any | None = Field(default=None, exclude=True)
    """An `AdaptiveParameters`: chooses parameters that you did not set by what is asked."""

    usage_tracker: Any | None = Field(default=None, exclude=True)
    """A `UsageTracker`: keeps a record of every run of this model."""

    budget: Any | None = Field(default=None, exclude=True)
    """A `Budget`, or a list of them: no call is sent that could cost more than is left."""

    circuit_breaker: Any | None = Field(default=None, exclude=True)
    """A `CircuitBreaker`: gives a server that keeps failing a rest."""

    quota_memory: Any | None = Field(default=None, exclude=True)
    """A `QuotaMemory`: fails calls of a dry account without asking. Default: one of the model's
    own, made when its account first turns out to be dry. False for none."""

    fallback_models: Any | None = Field(default=None, exclude=True)
    """Who serves when the model cannot: names, `FallbackModel`s, or a `FallbackPolicy`."""

    stream_recovery: Literal["resume", "regenerate", "raise"] = Field(
        default="resume", exclude=True
    )
    """What to do when a stream breaks after the caller has seen a part of it: `"resume"` goes on
    where it was cut (background responses only), `"regenerate"` also asks again and goes on if the
    new answer begins like the old one, `"raise"` does neither. Before that, the call is repeated
    unseen in any case."""

    total_timeout_s: float | None = Field(default=None, exclude=True)
    """Longest time of one call in all, in seconds: waits, retries, fallbacks, and the whole answer,
    streamed or not. None for no limit beyond those of its parts."""

    background: bool | None = None
    """Have the server make the answer in the background (Responses API)."""

    conversation: str | dict[str, Any] | None = None
    """Conversation kept by the server that the call belongs to (Responses API)."""

    max_tool_calls: int | None = None
    """Limit of built-in tool calls in one answer (Responses API)."""

    background_timeout_s: float | None = Field(default=3600.0, exclude=True)
    """Longest wait for an answer in background mode, in seconds. None for no limit."""

    allowed_models: list[str] | None = None
    """Names of the only models this instance may call; None for any."""

    price_overrides: Mapping[str, Any] | None = Field(default=None, exclude=True)
    """Prices of your own, by model; they win over the built-in ones."""

    @model_validator(mode="before")
    @classmethod
    def _move_unknown_arguments(cls, values: dict[str, Any]) -> dict[str, Any]:
        values = dict(values)
        if "model_kwargs" in values:
            values["model_kwargs"] = dict(values["model_kwargs"])
        # Our own fields for the API's parameters may stay where ChatOpenAI has them.
        ours = _PARAMETERS_OF_OUR_OWN.intersection(values.get("model_kwargs", ()))
        names = _names_of_arguments(cls)
        if not values.get("model_kwargs") and values.keys() <= names:
            return {**values, "model_kwargs": {}}
        return _build_model_kwargs(values, {*names} - ours)

    @model_validator(mode="after")
    def _check_profile_keys(self) -> Self:
        """Warn of unknown keys of a profile as core does, which looks them all up each time."""
        profile = self.profile
        if isinstance(profile, dict) and not profile.keys() <= _profile_keys():
            _warn_unknown_profile_keys(profile)
        return self

    @model_validator(mode="before")
    @classmethod
    def _settle_temperature(cls, values: dict[str, Any]) -> dict[str, Any]:
        """Send o1 and gpt-5 models the one temperature they take, and say so."""
        model = str(values.get("model_name") or values.get("model") or "").lower()
        if model.startswith("o1") and "temperature" not in values:
            return {**values, "temperature": 1}
        temperature = values.get("temperature")
        if temperature in (None, 1) or not model.startswith("gpt-5") or "chat" in model:
            return values
        effort = values.get("reasoning_effort"), (values.get("reasoning") or {}).get("effort")
        if "none" in effort:
            return values
        logger.warning(
            "temperature=%r is not sent: %s takes only its default of 1 while it reasons; pass "
            "reasoning_effort='none' to use it.",
            temperature,
            model,
        )
        return {key: value for key, value in values.items() if key != "temperature"}

    @field_validator("retry", mode="before")
    @classmethod
    def _as_retry_policy(cls, value: object) -> object:
        """Read a policy, and refuse what pydantic would refuse without showing it."""
        if value is None:
            return None
        from langchain_tamma_openai.resilience.bounds import refuse
        from langchain_tamma_openai.resilience.retry import RetryPolicy

        if isinstance(value, RetryPolicy):
            return value
        if not isinstance(value, dict):
            refuse("retry", value, "a RetryPolicy; max_retries takes a number")
        return TypeAdapter(RetryPolicy).validate_python(value)

    @field_validator("stream_recovery", mode="before")
    @classmethod
    def _name_the_way_out(cls, value: object) -> object:
        """Refuse what pydantic would refuse without showing it."""
        if value not in _RECOVERIES:
            from langchain_tamma_openai.resilience.bounds import refuse

            refuse("stream_recovery", value, "'resume', 'regenerate' or 'raise'")
        return value

    @field_validator("stream_chunk_timeout", mode="after")
    @classmethod
    def _no_negative_chunk_timeout(cls, value: float | None) -> float | None:
        if value is None or value >= 0:
            return value
        fallback_s = _stream_chunk_timeout_s()
        logger.warning(
            "stream_chunk_timeout=%r is negative; using %g. Pass None or 0 for no limit.",
            value,
            fallback_s,
        )
        return fallback_s
