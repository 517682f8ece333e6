"""Many mixed calls: records, LangSmith's runs and OpenTelemetry's spans add up to the same."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from decimal import Decimal
from typing import Any, ClassVar

import pytest
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.runnables import RunnableConfig
from langchain_core.tracers.langchain import LangChainTracer
from langsmith_receiver import Receiver, receiving, tracing_client
from llmock.pytest_plugin import LLMock
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from langchain_tamma_openai import ChatTammaOpenAI
from langchain_tamma_openai.errors import TammaError
from langchain_tamma_openai.usage.callbacks import UsageCallbackHandler
from langchain_tamma_openai.usage.otel import OpenTelemetryCallbackHandler
from langchain_tamma_openai.usage.record import RunStatus, UsageRecord

CALLS = 840
WORDS = [
    "what",
    "a",
    "token",
    "costs",
    "and",
    "who",
    "pays",
    "for",
    "it",
    "when",
    "the",
    "stream",
    "breaks",
    "off",
]
MODELS = ("gpt-6-luna", "gpt-6.1-sol", "gpt-4o-mini")
Call = Callable[[str, RunnableConfig], object]


class Ledger:
    accepts_usage_records: ClassVar[bool] = True

    def __init__(self) -> None:
        self.records: list[UsageRecord] = []

    def record(self, record: UsageRecord, /) -> None:
        self.records.append(record)


class Telemetry:
    def __init__(self) -> None:
        self.spans, self.reader = InMemorySpanExporter(), InMemoryMetricReader()
        self.tracers, self.meters = TracerProvider(), MeterProvider([self.reader])
        self.tracers.add_span_processor(SimpleSpanProcessor(self.spans))
        self.handler = OpenTelemetryCallbackHandler(
            tracer_provider=self.tracers, meter_provider=self.meters
        )

    def attributes(self) -> list[dict[str, Any]]:
        return [dict(span.attributes or {}) for span in self.spans.get_finished_spans()]

    def metric(self, name: str) -> list[Any]:
        data = self.reader.get_metrics_data()
        assert data is not None
        metrics = data.resource_metrics[0].scope_metrics[0].metrics
        return next(list(each.data.data_points) for each in metrics if each.name == name)


@pytest.fixture
def telemetry() -> Iterator[Telemetry]:
    made = Telemetry()
    yield made
    made.tracers.shutdown()
    made.meters.shutdown()


@contextmanager
def everyone(telemetry: Telemetry, ledger: Ledger, receiver: Receiver) -> Iterator[RunnableConfig]:
    with tracing_client(receiver) as client:
        handlers: list[BaseCallbackHandler] = [
            LangChainTracer(client=client),
            UsageCallbackHandler(ledger),
            telemetry.handler,
        ]
        yield {"callbacks": handlers, "metadata": {"user_id": "u-1"}}


def calls(mock: LLMock) -> list[Call]:
    models = [
        ChatTammaOpenAI(
            model=name,
            base_url=mock.base_url(),
            api_key="sk-none-000000",
            max_retries=0,
            stream_usage=True,
        )
        for name in MODELS
    ]
    first, second, third = models

    def failing(text: str, config: RunnableConfig) -> None:
        mock.fail(503, times=1)
        with suppress(TammaError):
            first.invoke(text, config)

    def cut(text: str, config: RunnableConfig) -> None:
        mock.disconnect(after_chunks=2, times=1)
        with suppress(TammaError):
            list(second.stream(text, config))

    def left(text: str, config: RunnableConfig) -> None:
        stream: Any = third.stream(text, config)
        next(stream)
        stream.close()

    def falling_back(text: str, config: RunnableConfig) -> None:
        mock.fail(500, times=1)
        first.with_fallbacks([second]).invoke(text, config)

    return [
        first.invoke,
        second.invoke,
        third.invoke,
        lambda text, config: list(first.stream(text, config)),
        lambda text, config: list(third.stream(text, config)),
        lambda text, config: (second | str).batch([text, text + "?"], config),
        failing,
        cut,
        left,
        falling_back,
    ]


def test_three_sums_agree_to_the_last_digit(llmock: LLMock, telemetry: Telemetry) -> None:
    ledger, choose = Ledger(), random.Random(5)  # noqa: S311 - no secret is drawn
    ways = calls(llmock)
    with receiving() as receiver, everyone(telemetry, ledger, receiver) as config:
        for number in range(CALLS):
            text = " ".join(choose.choices(WORDS, k=choose.randint(1, 30)))
            ways[number % len(ways)](text, config)
    records = ledger.records
    runs = [run["extra"]["metadata"] for run in receiver.model_runs()]
    spans = telemetry.attributes()
    assert len(records) == len(runs) == len(spans) == CALLS + CALLS // 10 * 2
    statuses = {record.status for record in records}
    assert statuses == {RunStatus.OK, RunStatus.ERROR, RunStatus.INTERRUPTED, RunStatus.CANCELLED}

    tokens = sum(record.tokens.total_tokens for record in records if record.tokens)
    assert tokens == sum(run.get("usage_metadata", {}).get("total_tokens", 0) for run in runs)
    assert tokens == sum(point.sum for point in telemetry.metric("gen_ai.client.token.usage"))

    exact = sum(
        (record.cost.total_usd for record in records if record.cost and record.cost.total_usd),
        Decimal(0),
    )
    usages = [run["usage_metadata"] for run in runs if "usage_metadata" in run]
    assert exact > 0
    assert exact == sum(Decimal(str(usage["total_cost"])) for usage in usages)
    assert exact == sum(
        Decimal(str(usage["input_cost"])) + Decimal(str(usage["output_cost"])) for usage in usages
    )
    assert exact == sum(Decimal(run["cost"]["total_usd"]) for run in runs if "cost" in run)
    decimals = [span["gen_ai.usage.cost_decimal"] for span in spans if "gen_ai.usage.cost" in span]
    assert exact == sum(Decimal(each) for each in decimals)
    doubles = sum(point.sum for point in telemetry.metric("gen_ai.client.operation.cost"))
    assert round(Decimal(doubles), 12) == exact
