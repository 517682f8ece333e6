"""OpenTelemetry: a span and metrics for every model run, by the GenAI semantic conventions.

Made from the same records as the ledger's. The conventions have no attribute for money yet; ours
stand beside their token counts, each amount as a double and as its exact decimal text.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from functools import lru_cache
from types import ModuleType
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit
from uuid import UUID

from langchain_core.outputs import LLMResult

from langchain_tamma_openai.pricing_cost import Cost, plain_decimal
from langchain_tamma_openai.usage.listening import RunListener
from langchain_tamma_openai.usage.otel_content import content_attributes, finish_reasons
from langchain_tamma_openai.usage.record import AttemptRecord, RunStatus, UsageRecord
from langchain_tamma_openai.usage.runs import EndedRun, OpenRun, RunBook
from langchain_tamma_openai.wire.usage import TokenUsage

if TYPE_CHECKING:
    from opentelemetry.metrics import Histogram, Meter, MeterProvider
    from opentelemetry.trace import Span, TracerProvider

__all__ = ["OpenTelemetryCallbackHandler"]

Attribute = str | int | float | bool | list[str]
Attributes = dict[str, Attribute]

_SCOPE = "langchain_tamma_openai"
_OPENAI_HOST = "api.openai.com"
_NANOSECONDS = 1_000_000_000

# LangChain's names of providers that the conventions call otherwise.
_PROVIDERS = {
    "amazon_bedrock": "aws.bedrock",
    "azure": "azure.ai.openai",
    "azure_openai": "azure.ai.openai",
    "bedrock": "aws.bedrock",
    "bedrock_converse": "aws.bedrock",
    "google_genai": "gcp.gemini",
    "google_vertexai": "gcp.vertex_ai",
    "mistral": "mistral_ai",
    "mistralai": "mistral_ai",
    "xai": "x_ai",
}
_REQUEST_NUMBERS = {
    "temperature": "gen_ai.request.temperature",
    "top_p": "gen_ai.request.top_p",
    "top_k": "gen_ai.request.top_k",
    "max_completion_tokens": "gen_ai.request.max_tokens",
    "max_tokens": "gen_ai.request.max_tokens",
    "frequency_penalty": "gen_ai.request.frequency_penalty",
    "presence_penalty": "gen_ai.request.presence_penalty",
    "seed": "gen_ai.request.seed",
    "n": "gen_ai.request.choice.count",
}

# The conventions' advice, so that percentiles are worth something without any configuration.
_TOKEN_BUCKETS = tuple(4**power for power in range(14))
_SECOND_BUCKETS = tuple(0.01 * 2**power for power in range(14))
_FIRST_CHUNK_BUCKETS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0, 30.0)
_USD_BUCKETS = tuple(10.0**power * part for power in range(-6, 2) for part in (1, 3))


class OpenTelemetryCallbackHandler(RunListener):
    """Gives every model run a span under the current one, and counts tokens, time and money.

    Pass it in `config={"callbacks": [handler]}` of any LangChain model, chain or agent; it may be
    shared between threads and event loops. No text of prompts or answers is taken.
    """

    def __init__(
        self,
        *,
        tracer_provider: TracerProvider | None = None,
        meter_provider: MeterProvider | None = None,
        capture_content: bool = False,
    ) -> None:
        """Start tracing.

        Args:
            tracer_provider: Where spans go; the global one when left out.
            meter_provider: Where metrics go; the global one when left out.
            capture_content: Whether spans carry the text of prompts and answers.

        Raises:
            ConfigurationError: OpenTelemetry is not installed.
        """
        super().__init__(RunBook())
        self._trace, metrics = _opentelemetry()
        self._tracer = self._trace.get_tracer(_SCOPE, tracer_provider=tracer_provider)
        self._metrics = _Metrics(metrics.get_meter(_SCOPE, meter_provider=meter_provider))
        self._capture_content = capture_content

    def on_llm_end(self, response: LLMResult, *, run_id: UUID, **_kwargs: Any) -> None:
        """End the span of a run that ended well."""
        self._finish(run_id, response)

    def on_llm_error(self, error: BaseException, *, run_id: UUID, **kwargs: Any) -> None:
        """End the span of a run that failed."""
        self._fail(run_id, error, kwargs.get("response"))

    def _run_started(self, run: OpenRun) -> None:
        operation = _operation(run)
        name = f"{operation} {run.requested_model}" if run.requested_model else operation
        run.companion = self._tracer.start_span(
            name,
            kind=self._trace.SpanKind.CLIENT,
            attributes=_request_attributes(run),
            start_time=_nanoseconds(run.started_at),
        )

    def _run_ended(self, ended: EndedRun) -> None:
        run, record = ended.run, ended.record
        if run.companion is None:  # its beginning was missed
            self._run_started(run)
        span = cast("Span", run.companion)
        common = _common_attributes(run, record)
        self._metrics.record(record, common)
        if span.is_recording():
            self._describe(span, ended, common)
        span.end(end_time=_nanoseconds(record.started_at, record.latency_s))

    def _describe(self, span: Span, ended: EndedRun, common: Attributes) -> None:
        """Say on a span that somebody will read what the run came to."""
        run, record = ended.run, ended.record
        span.set_attributes({**common, **_response_attributes(record), **_own_attributes(record)})
        if reasons := finish_reasons(ended.response):
            span.set_attribute("gen_ai.response.finish_reasons", reasons)
        if self._capture_content:
            span.set_attributes(content_attributes(run, ended.response))
        for attempt in record.attempt_records:
            end = _nanoseconds(attempt.started_at, attempt.latency_s)
            span.add_event("tamma.attempt", _attempt_attributes(attempt), timestamp=end)
        if record.status in {RunStatus.ERROR, RunStatus.INTERRUPTED}:
            span.set_status(self._trace.StatusCode.ERROR, record.error_code or record.error_kind)


class _Metrics:
    """The four histograms."""

    def __init__(self, meter: Meter) -> None:
        self._tokens = _histogram(
            meter,
            "gen_ai.client.token.usage",
            "{token}",
            "Number of input and output tokens used.",
            _TOKEN_BUCKETS,
        )
        self._duration = _histogram(
            meter,
            "gen_ai.client.operation.duration",
            "s",
            "Time that a model run took.",
            _SECOND_BUCKETS,
        )
        self._first_chunk = _histogram(
            meter,
            "gen_ai.client.operation.time_to_first_chunk",
            "s",
            "Time until the first chunk of a stream.",
            _FIRST_CHUNK_BUCKETS,
        )
        self._cost = _histogram(
            meter,
            "gen_ai.client.operation.cost",
            "{USD}",
            "Price of a model run in US dollars, where it is known.",
            _USD_BUCKETS,
        )

    def record(self, record: UsageRecord, common: Attributes) -> None:
        self._duration.record(record.latency_s, common)
        if record.time_to_first_token_s is not None:
            self._first_chunk.record(record.time_to_first_token_s, common)
        if not record.attempts:  # nothing was sent
            return
        if record.tokens is not None:
            for kind, count in (
                ("input", record.tokens.input_tokens),
                ("output", record.tokens.output_tokens),
            ):
                self._tokens.record(count, {**common, "gen_ai.token.type": kind})
        if record.cost is not None and record.cost.total_usd is not None:
            self._cost.record(float(record.cost.total_usd), common)


def _histogram(
    meter: Meter, name: str, unit: str, description: str, buckets: Iterable[float]
) -> Histogram:
    try:
        return meter.create_histogram(
            name, unit, description, explicit_bucket_boundaries_advisory=list(buckets)
        )
    except TypeError:  # before OpenTelemetry 1.30
        return meter.create_histogram(name, unit, description)


def _request_attributes(run: OpenRun) -> Attributes:
    params = run.params
    found: Attributes = {
        "gen_ai.operation.name": _operation(run),
        "gen_ai.provider.name": _provider(run.provider),
    }
    if run.requested_model:
        found["gen_ai.request.model"] = run.requested_model
    for name, attribute in _REQUEST_NUMBERS.items():
        value = params.get(name)
        if isinstance(value, int | float) and not isinstance(value, bool):
            found[attribute] = value
    if isinstance(stop := params.get("stop"), list | tuple) and stop:
        found["gen_ai.request.stop_sequences"] = [str(each) for each in stop]
    return found


def _common_attributes(run: OpenRun, record: UsageRecord) -> Attributes:
    """Say what spans and metrics both say; few values each, or metrics would explode."""
    found: dict[str, Attribute | None] = {
        "gen_ai.operation.name": _operation(run),
        "gen_ai.provider.name": _provider(record.provider),
        "gen_ai.request.model": record.requested_model,
        "gen_ai.response.model": record.model,
        "error.type": record.error_kind,
        **_server(run, record),
    }
    return _given(found)


def _response_attributes(record: UsageRecord) -> Attributes:
    tokens = record.tokens
    found: dict[str, Attribute | None] = {
        "gen_ai.request.stream": record.streamed,
        "gen_ai.response.id": record.response_id,
        "gen_ai.response.time_to_first_chunk": record.time_to_first_token_s,
        "openai.api.type": record.api,
        "openai.response.service_tier": record.service_tier,
        "gen_ai.prompt.name": record.prompt_id,
        **({} if tokens is None else _token_attributes(tokens)),
        **_cost_attributes(record.cost),
    }
    return _given(found)


def _token_attributes(tokens: TokenUsage) -> dict[str, Attribute | None]:
    return {
        "gen_ai.usage.input_tokens": tokens.input_tokens,
        "gen_ai.usage.output_tokens": tokens.output_tokens,
        "gen_ai.usage.cache_read.input_tokens": tokens.cached_tokens,
        "gen_ai.usage.cache_creation.input_tokens": tokens.cache_write_tokens,
        "gen_ai.usage.reasoning.output_tokens": tokens.reasoning_tokens,
    }


def _cost_attributes(cost: Cost | None) -> dict[str, Attribute | None]:
    if cost is None or cost.total_usd is None:
        return {}
    amounts = {
        "cost": cost.total_usd,
        "input_cost": cost.input_usd,
        "output_cost": cost.output_usd,
    }
    found: dict[str, Attribute | None] = {"gen_ai.usage.cost_currency": cost.currency}
    for name, amount in amounts.items():
        found[f"gen_ai.usage.{name}"] = None if amount is None else float(amount)
        found[f"gen_ai.usage.{name}_decimal"] = plain_decimal(amount)
    return found


def _own_attributes(record: UsageRecord) -> Attributes:
    found: dict[str, Attribute | None] = {
        "tamma.run_id": str(record.run_id),
        "tamma.root_run_id": str(record.root_run_id),
        "tamma.status": record.status.value,
        "tamma.attempts": record.attempts,
        "tamma.estimated": record.estimated,
        "tamma.cache_hit": record.cache_hit,
        "tamma.fallback": record.fallback,
        "tamma.error_code": record.error_code,
        "tamma.request_id": record.request_id,
        "tamma.organization_id": record.organization_id,
        "tamma.prompt_version": record.prompt_version,
        "tamma.tags": list(record.tags) or None,
        "user.id": record.user_id,
    }
    return _given(found)


def _attempt_attributes(attempt: AttemptRecord) -> Attributes:
    tokens = attempt.tokens
    found: dict[str, Attribute | None] = {
        "tamma.attempt.number": attempt.number,
        "tamma.attempt.outcome": attempt.outcome.value,
        "tamma.attempt.delivery": attempt.delivery.value,
        "tamma.attempt.measurement": attempt.measurement.value,
        "tamma.attempt.latency_s": attempt.latency_s,
        "tamma.request_id": attempt.request_id,
        "gen_ai.request.model": attempt.requested_model,
        "gen_ai.response.model": attempt.model,
        "http.response.status_code": attempt.status_code,
        "error.type": attempt.error_kind,
        **({} if tokens is None else _token_attributes(tokens)),
        **_cost_attributes(attempt.cost),
    }
    return _given(found)


def _given(found: Mapping[str, Attribute | None]) -> Attributes:
    return {name: value for name, value in found.items() if value is not None}


def _operation(run: OpenRun) -> str:
    return "text_completion" if run.prompts else "chat"


def _provider(name: str | None) -> str:
    return _PROVIDERS.get(name, name) if name else "unknown"


def _server(run: OpenRun, record: UsageRecord) -> dict[str, Attribute | None]:
    """Name the server; a model that tells of its attempts leaves OpenAI's own out."""
    last = record.attempt_records[-1] if record.attempt_records else None
    if last is None or (last.base_url is None and not run.has_facts):
        return {}
    if last.base_url is None:
        return {"server.address": _OPENAI_HOST, "server.port": 443}
    host, port = _address(last.base_url)
    return {"server.address": host, "server.port": port}


@lru_cache(maxsize=64)
def _address(base_url: str) -> tuple[str | None, int | None]:
    parts = urlsplit(base_url)
    return parts.hostname, parts.port or {"https": 443, "http": 80}.get(parts.scheme)


def _nanoseconds(moment: datetime, later_s: float = 0.0) -> int:
    return int(moment.timestamp() * _NANOSECONDS) + int(later_s * _NANOSECONDS)


def _opentelemetry() -> tuple[ModuleType, ModuleType]:
    try:
        from opentelemetry import metrics, trace
    except ImportError as error:
        from langchain_tamma_openai.errors import ConfigurationError

        raise ConfigurationError(
            "OpenTelemetry is not installed; install it with "
            "pip install 'langchain-tamma-openai[otel]'"
        ) from error
    return trace, metrics
