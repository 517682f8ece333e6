"""Spans and metrics by the GenAI semantic conventions, made from the records of runs."""

from __future__ import annotations

import asyncio
import builtins
import json
from collections.abc import Iterator
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
from langchain_core.caches import InMemoryCache
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.messages import AIMessage, ToolMessage
from langchain_core.outputs import LLMResult
from langchain_core.runnables import RunnableConfig, RunnableLambda
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.semconv._incubating.attributes import (
    gen_ai_attributes,
    openai_attributes,
    user_attributes,
)
from opentelemetry.semconv._incubating.metrics import gen_ai_metrics
from opentelemetry.semconv.attributes import (
    error_attributes,
    http_attributes,
    server_attributes,
)
from opentelemetry.trace import SpanKind, StatusCode
from recording import Collector, OtherModel, attempt

from langchain_tamma_openai.errors import ConfigurationError, RateLimitError, StreamInterruptedError
from langchain_tamma_openai.pricing import Cost
from langchain_tamma_openai.usage.callbacks import UsageCallbackHandler
from langchain_tamma_openai.usage.otel import OpenTelemetryCallbackHandler
from langchain_tamma_openai.usage.record import AttemptOutcome
from langchain_tamma_openai.wire.usage import TokenUsage


class Telemetry:
    """A handler, and what came out of it."""

    def __init__(self, **settings: Any) -> None:
        self.exporter, self.reader = InMemorySpanExporter(), InMemoryMetricReader()
        self.tracers, self.meters = TracerProvider(), MeterProvider([self.reader])
        self.tracers.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.handler = OpenTelemetryCallbackHandler(
            tracer_provider=self.tracers, meter_provider=self.meters, **settings
        )
        self.config: RunnableConfig = {"callbacks": [self.handler]}

    @property
    def spans(self) -> list[ReadableSpan]:
        return list(self.exporter.get_finished_spans())

    @property
    def attributes(self) -> dict[str, Any]:
        (span,) = self.spans
        return dict(span.attributes or {})

    def points(self) -> dict[str, list[Any]]:
        data = self.reader.get_metrics_data()
        metrics = data.resource_metrics[0].scope_metrics[0].metrics if data else []
        return {metric.name: list(metric.data.data_points) for metric in metrics}


@pytest.fixture
def telemetry() -> Iterator[Telemetry]:
    made = Telemetry()
    yield made
    made.tracers.shutdown()
    made.meters.shutdown()


def test_a_run_is_a_client_span_with_the_conventions_attributes(telemetry: Telemetry) -> None:
    model = OtherModel().bind(temperature=0.5, max_completion_tokens=50, stop=["x"], seed=7)
    model.invoke("a secret question", {**telemetry.config, "metadata": {"user_id": "u-1"}})
    (span,) = telemetry.spans
    assert (span.name, span.kind) == ("chat gpt-6.1-sol", SpanKind.CLIENT)
    assert span.status.status_code is StatusCode.UNSET
    assert span.end_time is not None
    assert span.start_time is not None
    assert span.end_time > span.start_time
    expected = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-6.1-sol",
        "gen_ai.request.temperature": 0.5,
        "gen_ai.request.max_tokens": 50,
        "gen_ai.request.seed": 7,
        "gen_ai.request.stop_sequences": ("x",),
        "gen_ai.request.stream": False,
        "gen_ai.response.model": "gpt-6.1-sol-2026-08-01",
        "gen_ai.response.id": "chatcmpl-1",
        "gen_ai.usage.input_tokens": 1000,
        "gen_ai.usage.output_tokens": 100,
        "gen_ai.usage.cache_read.input_tokens": 200,
        "gen_ai.usage.cache_creation.input_tokens": 300,
        "gen_ai.usage.reasoning.output_tokens": 40,
        "gen_ai.usage.cost": 0.00277,
        "gen_ai.usage.cost_decimal": "0.00277",
        "gen_ai.usage.cost_currency": "USD",
        "openai.api.type": "chat_completions",
        "openai.response.service_tier": "default",
        "tamma.attempts": 1,
        "tamma.status": "ok",
        "user.id": "u-1",
    }
    found = telemetry.attributes
    assert {name: found.get(name) for name in expected} == expected
    assert "secret" not in str(found)


def test_names_of_the_conventions_are_spelled_as_they_spell_them(telemetry: Telemetry) -> None:
    error = RateLimitError("slow", status_code=429)
    with pytest.raises(RateLimitError):
        OtherModel(error=error).invoke("q", telemetry.config)
    list(OtherModel().stream("q", telemetry.config))
    modules = (
        gen_ai_attributes,
        openai_attributes,
        user_attributes,
        error_attributes,
        http_attributes,
        server_attributes,
    )
    known = {
        value for module in modules for value in vars(module).values() if isinstance(value, str)
    }
    used = {name for span in telemetry.spans for name in span.attributes or {}}
    ours = {name for name in used if name.startswith("tamma.") or "cost" in name}
    assert used - ours <= known
    metrics = {value for value in vars(gen_ai_metrics).values() if isinstance(value, str)}
    assert set(telemetry.points()) - metrics == {"gen_ai.client.operation.cost"}


def test_a_streamed_run_tells_the_time_to_its_first_chunk(telemetry: Telemetry) -> None:
    list(OtherModel().stream("q", telemetry.config))
    found = telemetry.attributes
    assert found["gen_ai.request.stream"] is True
    assert found["gen_ai.response.time_to_first_chunk"] >= 0
    (point,) = telemetry.points()["gen_ai.client.operation.time_to_first_chunk"]
    assert point.sum == found["gen_ai.response.time_to_first_chunk"]


def test_metrics_count_tokens_time_and_money(telemetry: Telemetry) -> None:
    for _ in range(3):
        OtherModel().invoke("q", telemetry.config)
    points = telemetry.points()
    by_kind = {
        point.attributes["gen_ai.token.type"]: point.sum
        for point in points["gen_ai.client.token.usage"]
    }
    assert by_kind == {"input": 3000, "output": 300}
    (duration,) = points["gen_ai.client.operation.duration"]
    assert duration.count == 3
    assert dict(duration.attributes) == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-6.1-sol",
        "gen_ai.response.model": "gpt-6.1-sol-2026-08-01",
    }
    (cost,) = points["gen_ai.client.operation.cost"]
    assert cost.sum == pytest.approx(0.00831)


@pytest.mark.parametrize("is_async", [False, True])
def test_spans_nest_under_the_current_span(telemetry: Telemetry, *, is_async: bool) -> None:
    chain = RunnableLambda(str) | OtherModel()
    with telemetry.tracers.get_tracer("app").start_as_current_span("request") as outer:
        if is_async:
            asyncio.run(chain.ainvoke("q", telemetry.config))
        else:
            chain.batch(["a", "b"], telemetry.config)
    *inner, _ = telemetry.spans
    assert len(inner) == (1 if is_async else 2)
    for span in inner:
        assert span.parent is not None
        assert span.parent.span_id == outer.get_span_context().span_id


def test_failures_set_status_and_error_type_without_any_text(telemetry: Telemetry) -> None:
    error = RateLimitError("the prompt was: secret", code="rate_limit_exceeded", status_code=429)
    with pytest.raises(RateLimitError):
        OtherModel(error=error).invoke("q", telemetry.config)
    (span,) = telemetry.spans
    assert span.status.status_code is StatusCode.ERROR
    assert span.status.description == "rate_limit_exceeded"
    assert telemetry.attributes["error.type"] == "rate_limit"
    assert [event.name for event in span.events] == ["tamma.attempt"]
    assert "secret" not in span.to_json()
    (duration,) = telemetry.points()["gen_ai.client.operation.duration"]
    assert duration.attributes["error.type"] == "rate_limit"


def test_a_cut_stream_and_one_that_was_left_end_their_spans(telemetry: Telemetry) -> None:
    with pytest.raises(StreamInterruptedError):
        list(
            OtherModel(error=StreamInterruptedError("cut"), error_at=2).stream(
                "q", telemetry.config
            )
        )
    stream: Any = OtherModel().stream("q", telemetry.config)
    next(stream)
    stream.close()
    cut, left = telemetry.spans
    assert cut.status.status_code is StatusCode.ERROR
    assert left.status.status_code is StatusCode.UNSET
    assert left.attributes is not None
    assert left.attributes["error.type"] == "cancelled"
    assert left.attributes["tamma.estimated"] is True
    assert left.attributes["gen_ai.usage.input_tokens"]


def test_a_cache_hit_has_a_span_and_counts_for_nothing(telemetry: Telemetry) -> None:
    model = OtherModel(cache=InMemoryCache())
    model.invoke("q", telemetry.config)
    model.invoke("q", telemetry.config)
    hit = telemetry.spans[1].attributes
    assert hit is not None
    assert (hit["tamma.cache_hit"], hit["gen_ai.usage.cost_decimal"]) == (True, "0")
    inputs, _ = telemetry.points()["gen_ai.client.token.usage"]
    assert inputs.count == 1


def test_attempts_are_events_and_their_sum_is_the_span(telemetry: Telemetry) -> None:
    run_id = uuid4()
    handler = telemetry.handler
    handler.on_chat_model_start({}, [[]], run_id=run_id)
    half = Cost(Decimal("0.1"), Decimal("0.2"), Decimal("0.3"))
    used = {"tokens": TokenUsage(1, 2, 3), "cost": half}
    handler.on_attempt(attempt(run_id, 1, outcome=AttemptOutcome.RETRY, status_code=500, **used))
    handler.on_attempt(
        attempt(run_id, 2, base_url="https://eu.example.com/v1", request_id="req-2", **used)
    )
    handler.on_llm_error(ValueError("x"), run_id=run_id)
    (span,) = telemetry.spans
    assert [dict(event.attributes or {})["tamma.attempt.outcome"] for event in span.events] == [
        "retry",
        "success",
    ]
    found = telemetry.attributes
    assert found["gen_ai.usage.cost_decimal"] == "0.6"
    assert (found["server.address"], found["server.port"]) == ("eu.example.com", 443)
    assert (found["tamma.attempts"], found["tamma.request_id"]) == (2, "req-2")


def test_openai_itself_is_named_when_the_model_tells_its_attempts(telemetry: Telemetry) -> None:
    run_id = uuid4()
    telemetry.handler.on_run_facts(run_id, {"prompt_id": "greeting"})
    telemetry.handler.on_attempt(attempt(run_id))
    telemetry.handler.on_llm_end(LLMResult(generations=[]), run_id=run_id)
    assert telemetry.attributes["server.address"] == "api.openai.com"
    assert telemetry.attributes["gen_ai.prompt.name"] == "greeting"


def test_content_is_taken_only_when_asked_for_and_without_keys() -> None:
    telemetry = Telemetry(capture_content=True)
    called = AIMessage("", tool_calls=[{"name": "add", "args": {"a": 1}, "id": "c1"}])
    messages: list[Any] = [
        ("user", "my key is sk-proj-abcdefghijk"),
        called,
        ToolMessage("3", tool_call_id="c1"),
    ]
    OtherModel().invoke(messages, telemetry.config)
    asked = json.loads(telemetry.attributes["gen_ai.input.messages"])
    assert asked[0] == {"role": "user", "parts": [{"type": "text", "content": "my key is sk-***"}]}
    assert asked[1]["parts"][0]["name"] == "add"
    assert asked[2]["parts"][0] == {"type": "tool_call_response", "id": "c1", "response": "3"}
    (answer,) = json.loads(telemetry.attributes["gen_ai.output.messages"])
    assert answer["role"] == "assistant"
    assert answer["parts"][0]["content"] == "Tokens are pieces of text."


def test_spans_and_records_agree_to_the_last_digit(telemetry: Telemetry) -> None:
    ledger = Collector()
    handlers: list[BaseCallbackHandler] = [telemetry.handler, UsageCallbackHandler(ledger)]
    for tokens in range(1, 60):
        usage = {"input_tokens": tokens, "output_tokens": 7, "total_tokens": tokens + 7}
        OtherModel(usage=usage).invoke("q", {"callbacks": handlers})
    recorded = sum(
        each.cost.total_usd for each in ledger.records if each.cost and each.cost.total_usd
    )
    spans = [dict(span.attributes or {}) for span in telemetry.spans]
    assert sum(Decimal(str(each["gen_ai.usage.cost_decimal"])) for each in spans) == recorded
    assert sum(Decimal(str(each["gen_ai.usage.cost"])) for each in spans) == recorded


def test_without_opentelemetry_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def refuse(name: str, *args: Any, **kwargs: Any) -> Any:
        if name.startswith("opentelemetry"):
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(ConfigurationError, match=r"langchain-tamma-openai\[otel\]"):
        OpenTelemetryCallbackHandler()
