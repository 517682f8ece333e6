"""The circuit breaker of a model, whichever way it is called."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx2
import pytest
from circuits import Clock
from mock_api import ALL_WAYS, MockAPI, chunk, completion, sse, stream_reply, text_events

from langchain_tamma_openai import CircuitBreaker, CircuitOpenError, RetryPolicy
from langchain_tamma_openai.errors import ServerError, StreamInterruptedError, TammaError
from langchain_tamma_openai.resilience.circuit_state import CircuitState

ways = pytest.mark.parametrize("way", ALL_WAYS)
KEY = (None, "gpt-6-luna")


def down() -> httpx2.Response:
    return httpx2.Response(500, json={"error": {"message": "No.", "type": "server_error"}})


def answer(body: dict[str, Any]) -> Any:
    return text_events() if body.get("stream") else completion()


class FailingAPI(MockAPI):
    """Fails while `is_down`."""

    def __init__(self) -> None:
        self.is_down = True
        super().__init__(lambda body: down() if self.is_down else answer(body))


@ways
def test_it_opens_within_its_threshold_and_sends_nothing_more(way: str) -> None:
    api, breaker = FailingAPI(), CircuitBreaker(failure_threshold=3)
    llm = api.tamma(circuit_breaker=breaker)
    for _ in range(3):
        with pytest.raises(ServerError):
            ALL_WAYS[way](llm, "Hi")
    for _ in range(5):
        with pytest.raises(CircuitOpenError) as caught:
            ALL_WAYS[way](llm, "Hi")
        assert not caught.value.is_retryable
    assert len(api.requests) == 3


@ways
def test_each_attempt_counts(way: str) -> None:
    api, breaker = FailingAPI(), CircuitBreaker(failure_threshold=3)
    retry = RetryPolicy(max_attempts=10, base_delay_s=0, max_delay_s=0)
    with pytest.raises(TammaError):
        ALL_WAYS[way](api.tamma(circuit_breaker=breaker, retry=retry), "Hi")
    assert len(api.requests) == 3


@ways
def test_it_closes_after_recovery(way: str) -> None:
    clock, api = Clock(), FailingAPI()
    breaker = CircuitBreaker(failure_threshold=1, recovery_timeout_s=60, clock=clock)
    llm = api.tamma(circuit_breaker=breaker)
    with pytest.raises(ServerError):
        ALL_WAYS[way](llm, "Hi")
    clock.now_s += 61
    with pytest.raises(ServerError):
        ALL_WAYS[way](llm, "Hi")
    with pytest.raises(CircuitOpenError):
        ALL_WAYS[way](llm, "Hi")
    api.is_down = False
    clock.now_s += 61
    assert ALL_WAYS[way](llm, "Hi").text == "Hello"
    assert breaker.state(KEY) is CircuitState.CLOSED
    assert len(api.requests) == 3


@pytest.mark.parametrize("probes", [1, 3])
def test_of_fifty_tasks_exactly_the_configured_probes_go_out(probes: int) -> None:
    clock = Clock()
    breaker = CircuitBreaker(
        failure_threshold=1, recovery_timeout_s=60, half_open_max_calls=probes, clock=clock
    )

    async def main() -> None:
        released, sent = asyncio.Event(), 0

        async def handle(_request: httpx2.Request) -> httpx2.Response:
            nonlocal sent
            sent += 1
            if sent > 1:
                await released.wait()
            return down()

        client = httpx2.AsyncClient(transport=httpx2.MockTransport(handle))
        llm = MockAPI().tamma(circuit_breaker=breaker, http_async_client=client)
        with pytest.raises(ServerError):
            await llm.ainvoke("Hi")
        clock.now_s += 61
        calls = [asyncio.create_task(llm.ainvoke("Hi")) for _ in range(50)]
        await asyncio.sleep(0.2)
        assert sent == 1 + probes
        released.set()
        ends = await asyncio.gather(*calls, return_exceptions=True)
        assert sum(isinstance(end, CircuitOpenError) for end in ends) == 50 - probes
        assert sum(isinstance(end, ServerError) for end in ends) == probes

    asyncio.run(main())


def _half_open(clock: Clock) -> CircuitBreaker:
    breaker = CircuitBreaker(failure_threshold=1, recovery_timeout_s=60, clock=clock)
    with pytest.raises(ServerError):
        FailingAPI().tamma(circuit_breaker=breaker).invoke("Hi")
    clock.now_s += 61
    return breaker


def test_a_cancelled_probe_decides_nothing() -> None:
    breaker = _half_open(Clock())

    async def main() -> None:
        async def never(_request: httpx2.Request) -> httpx2.Response:
            await asyncio.sleep(60)
            raise AssertionError

        client = httpx2.AsyncClient(transport=httpx2.MockTransport(never))
        llm = MockAPI().tamma(circuit_breaker=breaker, http_async_client=client)
        for call in (llm.ainvoke("Hi"), _read(llm)):
            task = asyncio.create_task(call)
            await asyncio.sleep(0.05)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    asyncio.run(main())
    assert breaker.state(KEY) is CircuitState.HALF_OPEN
    assert MockAPI().tamma(circuit_breaker=breaker).invoke("Hi").text == "Hello"
    assert breaker.state(KEY) is CircuitState.CLOSED


async def _read(llm: Any) -> None:
    async for _ in llm.astream("Hi"):
        pass


def test_a_stream_that_is_left_early_decides_nothing() -> None:
    breaker = _half_open(Clock())
    stream = MockAPI().tamma(circuit_breaker=breaker).stream("Hi")
    next(stream)
    stream.close()  # type: ignore[attr-defined]  # a generator
    assert breaker.state(KEY) is CircuitState.HALF_OPEN


def test_an_async_stream_that_is_left_early_decides_nothing() -> None:
    breaker = _half_open(Clock())

    async def main() -> None:
        stream: Any = MockAPI().tamma(circuit_breaker=breaker).astream("Hi")
        await anext(stream)
        await stream.aclose()

    asyncio.run(main())
    assert breaker.state(KEY) is CircuitState.HALF_OPEN


@pytest.mark.parametrize("api", ["chat_completions", "responses"])
def test_a_stream_that_is_left_once_it_is_whole_is_a_success(api: str) -> None:
    from responses_api import answered, streamed, text_message

    breaker = _half_open(Clock())
    events = streamed(answered(text_message("Hello"))) if api == "responses" else text_events()
    llm = MockAPI(events).tamma(circuit_breaker=breaker, use_responses_api=api == "responses")
    stream = llm.stream("Hi")
    for piece in stream:
        if piece.response_metadata.get("cost") is not None:
            break
    stream.close()  # type: ignore[attr-defined]  # a generator
    assert breaker.state(KEY) is CircuitState.CLOSED


@pytest.mark.parametrize("way", ["stream", "astream"])
def test_a_stream_that_breaks_counts_as_a_failure(way: str) -> None:
    breaker = CircuitBreaker(failure_threshold=2)
    piece = sse([chunk({"content": "Hel"})], done=False)
    llm = MockAPI(lambda _body: stream_reply(piece)).tamma(circuit_breaker=breaker)
    for _ in range(2):
        with pytest.raises(StreamInterruptedError):
            ALL_WAYS[way](llm, "Hi")
    with pytest.raises(CircuitOpenError):
        ALL_WAYS[way](llm, "Hi")


@ways
def test_wrong_requests_do_not_count(way: str) -> None:
    wrong = {"error": {"message": "No.", "type": "invalid_request_error", "code": "x"}}
    api, breaker = MockAPI(lambda _body: httpx2.Response(400, json=wrong)), CircuitBreaker(1)
    for _ in range(3):
        with pytest.raises(TammaError):
            ALL_WAYS[way](api.tamma(circuit_breaker=breaker), "Hi")
    assert len(api.requests) == 3


def test_it_is_shared_by_models_and_by_sync_and_async_calls() -> None:
    api, breaker = FailingAPI(), CircuitBreaker(failure_threshold=4)
    first = api.tamma(circuit_breaker=breaker)
    second = api.tamma(circuit_breaker=breaker, temperature=0.5)
    for way, llm in zip(
        ("invoke", "ainvoke", "stream", "astream"), (first, second) * 2, strict=True
    ):
        with pytest.raises(ServerError):
            ALL_WAYS[way](llm, "Hi")
    for llm in (first, second):
        with pytest.raises(CircuitOpenError):
            llm.invoke("Hi")


@ways
def test_an_open_circuit_turns_to_the_next_model(way: str) -> None:
    api = MockAPI(lambda body: down() if body["model"] == "gpt-6-luna" else answer(body))
    llm = api.tamma(circuit_breaker=CircuitBreaker(1), fallback_models=["gpt-6-sol"])
    for reason in ("server_error", "circuit_open"):
        found = ALL_WAYS[way](llm, "Hi")
        assert found.response_metadata["fallback"]["reason"] == reason
    assert [body["model"] for body in api.bodies].count("gpt-6-luna") == 1
