"""A real LangSmith client posts runs that carry the tokens and the cost of their records."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from decimal import Decimal
from typing import Any

import pytest
from langchain.agents import create_agent
from langchain_core.messages import AIMessage
from langchain_core.runnables import RunnableConfig
from langchain_core.tracers.langchain import LangChainTracer
from langsmith_receiver import Receiver, receiving, tracing_client
from llmock.pytest_plugin import LLMock

from langchain_tamma_openai import ChatTammaOpenAI
from langchain_tamma_openai.errors import ServerError, StreamInterruptedError
from langchain_tamma_openai.usage.callbacks import UsageCallbackHandler
from langchain_tamma_openai.usage.langsmith import enrich_trace
from langchain_tamma_openai.usage.record import RunStatus, UsageRecord
from langchain_tamma_openai.usage.totals import RunUsage

KEY = "sk-proj-thisisasecretkey0123456789"


class Ledger:
    accepts_usage_records = True

    def __init__(self) -> None:
        self.records: list[UsageRecord] = []

    def record(self, record: UsageRecord | RunUsage, /) -> None:
        assert isinstance(record, UsageRecord)
        self.records.append(record)


@pytest.fixture(autouse=True)
def mock(llmock: LLMock) -> LLMock:
    return llmock


@pytest.fixture
def ledger() -> Ledger:
    return Ledger()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as started:
        yield started


def model(mock: LLMock, **settings: Any) -> ChatTammaOpenAI:
    given = {"model": "gpt-6-luna", "api_key": KEY, "max_retries": 0, "stream_usage": True}
    return ChatTammaOpenAI(base_url=mock.base_url(), **{**given, **settings})


def config(client: Any, ledger: Ledger) -> RunnableConfig:
    return {
        "callbacks": [LangChainTracer(client=client), UsageCallbackHandler(ledger)],
        "metadata": {"user_id": "u-1", "organization_id": "o-1"},
    }


def assert_equal(receiver: Receiver, record: UsageRecord) -> None:
    """The posted run says what the record says, to the last digit."""
    metadata = receiver.metadata(record.run_id)
    usage = metadata["usage_metadata"]
    assert record.tokens is not None
    assert record.cost is not None
    assert (usage["input_tokens"], usage["output_tokens"], usage["total_tokens"]) == (
        record.tokens.input_tokens,
        record.tokens.output_tokens,
        record.tokens.total_tokens,
    )
    posted = [Decimal(str(usage[key])) for key in ("input_cost", "output_cost", "total_cost")]
    assert posted == [record.cost.input_usd, record.cost.output_usd, record.cost.total_usd]
    assert metadata["cost"] == record.cost.as_metadata()
    assert metadata["attempts"] == record.attempts
    assert metadata["attempt_outcomes"] == [each.outcome for each in record.attempt_records]
    assert (metadata["user_id"], metadata["organization_id"]) == ("u-1", "o-1")


@pytest.mark.parametrize("way", [{"multipart": True}, {"multipart": False}], ids=str)
def test_an_invoked_run_carries_tokens_and_cost(
    mock: LLMock, ledger: Ledger, way: dict[str, bool]
) -> None:
    with receiving(**way) as receiver:
        with tracing_client(receiver) as client:
            answer = model(mock).invoke("Hello", config(client, ledger))
        (record,) = ledger.records
        assert_equal(receiver, record)
        cost = answer.response_metadata["cost"]
        assert record.cost is not None
        assert record.cost.as_metadata() == cost
        assert "input_cost" not in (answer.usage_metadata or {})


def test_a_streamed_run_carries_tokens_and_cost(
    mock: LLMock, ledger: Ledger, receiver: Receiver
) -> None:
    with tracing_client(receiver) as client:
        list(model(mock).stream("Hello", config(client, ledger)))
    (record,) = ledger.records
    assert record.streamed
    assert_equal(receiver, record)


def test_every_model_run_of_a_batch_and_of_a_chain_carries_its_own(
    mock: LLMock, ledger: Ledger, receiver: Receiver
) -> None:
    questions: Any = ["Hello", "A much longer question about tokens and what they cost", "Why?"]
    with tracing_client(receiver) as client:
        (model(mock) | str).batch(questions, config(client, ledger))
    assert len(ledger.records) == 3
    for record in ledger.records:
        assert_equal(receiver, record)
        assert record.parent_run_id is not None
        assert "cost" not in receiver.metadata(record.parent_run_id)


def test_the_model_runs_of_an_agent_carry_tokens_and_cost(
    mock: LLMock, ledger: Ledger, receiver: Receiver
) -> None:
    def add(a: int, b: int) -> int:
        """Add two numbers."""
        return a + b

    mock.call_tool("add", {"a": 1, "b": 2})
    agent: Any = create_agent(model(mock), tools=[add])
    with tracing_client(receiver) as client:
        agent.invoke({"messages": [("user", "1 + 2?")]}, config(client, ledger))
    assert len(ledger.records) == 2
    for record in ledger.records:
        assert_equal(receiver, record)
    roots = [run["id"] for run in receiver.runs.values() if run.get("parent_run_id") is None]
    assert [str(record.root_run_id) for record in ledger.records] == roots * 2


def test_a_fallback_leaves_one_priced_run_and_one_failed_one(
    mock: LLMock, ledger: Ledger, receiver: Receiver
) -> None:
    mock.fail(500, times=1)
    chain = model(mock).with_fallbacks([model(mock, model="gpt-6.1-sol")])
    with tracing_client(receiver) as client:
        chain.invoke("Hello", config(client, ledger))
    failed, served = ledger.records
    assert (failed.status, served.status) == (RunStatus.ERROR, RunStatus.OK)
    assert_equal(receiver, served)
    assert receiver.metadata(failed.run_id)["usage_metadata"]["total_cost"] == 0
    assert receiver.metadata(failed.run_id)["attempt_outcomes"] == ["error"]
    assert receiver.runs[str(failed.run_id)]["error"]


def test_a_stream_that_broke_carries_what_it_had_used(
    mock: LLMock, ledger: Ledger, receiver: Receiver
) -> None:
    mock.disconnect(after_chunks=3)
    with tracing_client(receiver) as client, pytest.raises(StreamInterruptedError):
        list(model(mock).stream("Hello", config(client, ledger)))
    (record,) = ledger.records
    assert record.status is RunStatus.INTERRUPTED
    assert record.estimated
    assert_equal(receiver, record)


def test_nothing_secret_is_posted(mock: LLMock, receiver: Receiver) -> None:
    mock.fail(500, times=1)
    with tracing_client(receiver) as client, suppress(ServerError):
        model(mock, model_kwargs={"user": "sk-proj-anotherkey0123456789"}).invoke(
            "Hello", {"callbacks": [LangChainTracer(client=client)]}
        )
    (run,) = receiver.model_runs()
    assert run["extra"]["metadata"]["user_id"] == "sk-***"
    assert not any(KEY.encode() in body for body in receiver.bodies)


def test_a_trace_that_cannot_be_enriched_fails_no_call(
    mock: LLMock, receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    with tracing_client(receiver) as client:
        tracer = LangChainTracer(client=client)
        answer = model(mock).invoke("Hello", {"callbacks": [tracer]})
        assert isinstance(answer, AIMessage)
        tracer.run_map = None  # type: ignore[assignment]
        enrich_trace([tracer], answer.id, [])  # type: ignore[arg-type]
    assert "could not be laid into" in caplog.text


@pytest.mark.parametrize("streamed", [False, True])
def test_a_trace_and_a_record_name_the_system_prompt(
    mock: LLMock,
    ledger: Ledger,
    receiver: Receiver,
    streamed: bool,  # noqa: FBT001 - a case
) -> None:
    llm = model(mock, system_prompt="code-assistant")
    rendered = llm._rendered_prompt()
    assert rendered is not None
    with tracing_client(receiver) as client:
        if streamed:
            list(llm.stream("Hi", config=config(client, ledger)))
        else:
            llm.invoke("Hi", config=config(client, ledger))
    (record,) = ledger.records
    told = receiver.metadata(record.run_id)
    assert told["prompt_id"] == record.prompt_id == "code-assistant"
    assert str(told["prompt_version"]) == record.prompt_version == str(rendered.version)
    assert told["prompt_hash"] == rendered.hash
