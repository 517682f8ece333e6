"""Adapter: `ChatTammaOpenAI` with one of its features on, all, or none."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from libraries import API_KEY, MODEL, TIMEOUT_S
from libraries.langchain_client import LangChainClient
from libraries.tamma import load

if TYPE_CHECKING:
    from libraries import Api, Client

__all__ = ["load", "with_feature"]

_PLENTY: Final = 1_000_000_000


@dataclass(slots=True)
class _Setup:
    """Arguments of a model, and how to wait for what its features do in the background."""

    server: str
    arguments: dict[str, Any] = field(default_factory=dict)
    callbacks: list[Any] = field(default_factory=list)
    settlers: list[Callable[[], object]] = field(default_factory=list)

    def settle(self) -> None:
        """Wait for all of them."""
        for settler in self.settlers:
            settler()


def _ledger(setup: _Setup) -> None:
    from langchain_tamma_openai import UsageTracker

    tracker = UsageTracker()
    setup.arguments["usage_tracker"] = tracker
    setup.settlers.append(tracker.flush)


def _sqlite(setup: _Setup) -> None:
    from langchain_tamma_openai import UsageTracker

    directory = tempfile.TemporaryDirectory()
    tracker = UsageTracker(Path(directory.name, "usage.db"))

    def flush(_kept: object = directory) -> None:
        tracker.flush()

    setup.arguments["usage_tracker"] = tracker
    setup.settlers.append(flush)


def _budget(setup: _Setup) -> None:
    from langchain_tamma_openai import Budget

    setup.arguments["budget"] = Budget(limit_usd=_PLENTY)


def _limiter(setup: _Setup) -> None:
    from langchain_tamma_openai import OpenAIRateLimiter

    setup.arguments["rate_limiter"] = OpenAIRateLimiter(_PLENTY, _PLENTY, 10_000)


def _circuit(setup: _Setup) -> None:
    from langchain_tamma_openai import CircuitBreaker

    setup.arguments["circuit_breaker"] = CircuitBreaker()


def _otel(setup: _Setup) -> None:
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import InMemoryMetricReader
    from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

    from langchain_tamma_openai.usage.otel import OpenTelemetryCallbackHandler

    class Nowhere(SpanExporter):
        def export(self, _spans: tuple[ReadableSpan, ...]) -> SpanExportResult:  # type: ignore[override]
            return SpanExportResult.SUCCESS

    tracers = TracerProvider()
    tracers.add_span_processor(BatchSpanProcessor(Nowhere()))
    meters = MeterProvider([InMemoryMetricReader()])
    handler = OpenTelemetryCallbackHandler(tracer_provider=tracers, meter_provider=meters)
    setup.callbacks.append(handler)
    setup.settlers.append(tracers.force_flush)


def _langsmith(setup: _Setup) -> None:
    from langchain_core.tracers.langchain import LangChainTracer
    from langsmith import Client

    client = Client(api_url=f"{setup.server}/langsmith", api_key="ls-benchmark")
    setup.callbacks.append(LangChainTracer(client=client))
    setup.settlers.append(client.flush)


_FEATURES: Final[dict[str, tuple[Callable[[_Setup], None], ...]]] = {
    "off": (),
    "ledger": (_ledger,),
    "sqlite": (_sqlite,),
    "budget": (_budget,),
    "limiter": (_limiter,),
    "circuit": (_circuit,),
    "otel": (_otel,),
    "langsmith": (_langsmith,),
    "all": (_sqlite, _budget, _limiter, _circuit, _otel, _langsmith),
}


class _Featured(LangChainClient):
    def __init__(self, setup: _Setup, base_url: str) -> None:
        from langchain_tamma_openai import ChatTammaOpenAI

        given = {"callbacks": setup.callbacks or None, "timeout": TIMEOUT_S, **setup.arguments}
        super().__init__(ChatTammaOpenAI(model=MODEL, api_key=API_KEY, base_url=base_url, **given))
        self._setup = setup

    def settle(self) -> None:
        """Wait for writers and exporters."""
        self._setup.settle()


@dataclass(frozen=True, slots=True)
class _Library:
    feature: str

    def load(self) -> None:
        load()

    def construct(self, base_url: str) -> None:
        self.connect(base_url, "completions")

    def connect(self, base_url: str, _api: Api) -> Client:
        server = "/".join(base_url.split("/")[:3])
        setup = _Setup(server)
        for switch_on in _FEATURES[self.feature]:
            switch_on(setup)
        return _Featured(setup, base_url)


def with_feature(feature: str) -> _Library:
    """Give the adapter of a feature, `off` or `all`."""
    return _Library(feature)
