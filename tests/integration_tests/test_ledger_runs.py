"""A tracker hears of every run of a model, once, however the model is used, copied or wrapped."""

from __future__ import annotations

import asyncio
import copy
import os
import pickle
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from accounting import PRICES, PROMPT, Accountant, Plan
from langchain.agents import create_agent
from langchain_core.caches import InMemoryCache
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.messages import HumanMessage
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import Runnable, RunnableConfig, RunnableLambda
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from langgraph.graph import START, MessagesState, StateGraph
from loopback import LoopbackServer
from pydantic import BaseModel

from langchain_tamma_openai import ChatTammaOpenAI
from langchain_tamma_openai.errors import MalformedResponseError, TammaError
from langchain_tamma_openai.resilience.retry import no_waiting
from langchain_tamma_openai.usage.callbacks import AsyncUsageCallbackHandler, UsageCallbackHandler
from langchain_tamma_openai.usage.record import AttemptOutcome, RunStatus, UsageRecord
from langchain_tamma_openai.usage.tracker import UsageTracker

LABELS: RunnableConfig = {
    "run_name": "outermost",
    "tags": ["blue"],
    "metadata": {"user_id": "u-1", "organization_id": "o-1"},
}


class Roots(BaseCallbackHandler):
    """Sees which run is the outermost."""

    def __init__(self) -> None:
        self.root: object = None

    def on_chain_start(self, *_args: Any, run_id: object, **kwargs: Any) -> None:
        if kwargs.get("parent_run_id") is None:
            self.root = run_id


@tool
def forecast(city: str, days: int) -> str:
    """Tell the weather."""
    return f"{days} days of sun in {city}"


class Place(BaseModel):
    """A place."""

    name: str


class Shop:
    """A server, a tracker, and a model of both."""

    def __init__(
        self, server: LoopbackServer, accountant: Accountant, tracker: UsageTracker
    ) -> None:
        self.server, self.accountant, self.tracker = server, accountant, tracker

    def model(self, **fields: Any) -> ChatTammaOpenAI:
        given = {"usage_tracker": self.tracker, "price_overrides": PRICES, "stream_usage": True}
        return self.server.model(**{**given, **fields})

    @property
    def records(self) -> list[UsageRecord]:
        return list(self.tracker.records())

    def check(self, runs: int) -> list[UsageRecord]:
        """Compare the ledger with what the server knows."""
        records = self.records
        assert len(records) == runs
        entries = self.accountant.entries
        assert sum(record.attempts for record in records) == len(entries)
        summary = self.tracker.summary()
        assert summary.total_cost_usd == sum((entry.usd for entry in entries), Decimal(0))
        assert summary.total_tokens == sum(entry.usage["total_tokens"] for entry in entries)
        return records


@pytest.fixture(params=["memory", "sqlite"])
def shop(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Shop]:
    accountant = Accountant()
    store = "memory" if request.param == "memory" else tmp_path / "usage.db"
    with no_waiting(), LoopbackServer(accountant) as server, UsageTracker(store) as tracker:
        yield Shop(server, accountant, tracker)


def test_a_chain_is_the_root_of_its_model_run(shop: Shop) -> None:
    roots = Roots()
    chain = ChatPromptTemplate.from_template("{text}") | shop.model() | StrOutputParser()
    config: RunnableConfig = {**LABELS, "callbacks": [roots]}
    chain.invoke({"text": PROMPT}, config)
    first_root = roots.root
    list(chain.stream({"text": PROMPT}, config))
    second_root = roots.root
    first, second = shop.check(2)
    assert [first.parent_run_id, second.parent_run_id] == [first_root, second_root]
    assert [first.root_run_id, second.root_run_id] == [first_root, second_root]
    for record in (first, second):
        assert (record.user_id, record.organization_id) == ("u-1", "o-1")
        assert record.tags == ("blue",)


async def test_batches_leave_one_record_for_each_input(shop: Shop) -> None:
    model = shop.model()
    model.batch([PROMPT] * 5, LABELS)
    await model.abatch([PROMPT] * 5, LABELS)
    records = shop.check(10)
    assert {record.user_id for record in records} == {"u-1"}
    await model.aclose()


@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
def test_each_turn_of_an_agent_is_a_record(shop: Shop, *, is_async: bool) -> None:
    shop.accountant.plans = [Plan(kind="tool"), Plan()]
    model = shop.model()
    agent: Any = create_agent(model, [forecast])
    question = {"messages": [HumanMessage(PROMPT)]}

    async def main() -> None:
        await agent.ainvoke(question, LABELS)
        await model.aclose()

    if is_async:
        asyncio.run(main())
    else:
        agent.invoke(question, LABELS)
    records = shop.records
    assert len(records) == len(shop.accountant.entries) == 2
    assert {record.user_id for record in records} == {"u-1"}
    assert {record.organization_id for record in records} == {"o-1"}


def test_graphs_inside_graphs_record_as_well(shop: Shop) -> None:
    model = shop.model()

    def graph(step: Any) -> Any:
        made: Any = StateGraph(MessagesState)
        made.add_node("step", step)
        made.add_edge(START, "step")
        return made.compile()

    inner = graph(lambda state: {"messages": [model.invoke(state["messages"])]})
    outer = graph(inner)
    outer.invoke({"messages": [HumanMessage(PROMPT)]}, LABELS)
    list(outer.stream({"messages": [HumanMessage(PROMPT)]}, LABELS, stream_mode="messages"))
    records = shop.check(2)
    assert {record.user_id for record in records} == {"u-1"}
    assert [record.streamed for record in records] == [False, True]


def test_structured_output_that_does_not_parse_was_paid_for(shop: Shop) -> None:
    structured = shop.model().with_structured_output(Place)
    with pytest.raises(MalformedResponseError):
        structured.invoke(PROMPT, LABELS)
    (record,) = shop.check(1)
    assert record.status is RunStatus.OK
    assert record.attempt_records[0].outcome is AttemptOutcome.SUCCESS


def test_langchains_retries_are_runs_of_their_own(shop: Shop) -> None:
    shop.accountant.plans = [Plan(status=500), Plan()]
    model = shop.model().with_retry(
        retry_if_exception_type=(TammaError,), wait_exponential_jitter=False
    )
    model.invoke(PROMPT, LABELS)
    first, second = shop.check(2)
    assert [first.status, second.status] == [RunStatus.ERROR, RunStatus.OK]


def test_langchains_fallbacks_are_runs_of_their_own(shop: Shop) -> None:
    shop.accountant.plans = [Plan(status=500), Plan()]
    shop.model().with_fallbacks([shop.model(model="gpt-6.1-sol")]).invoke(PROMPT, LABELS)
    first, second = shop.check(2)
    assert [first.status, second.status] == [RunStatus.ERROR, RunStatus.OK]
    assert second.requested_model == "gpt-6.1-sol"


def test_an_answer_of_the_cache_costs_nothing_and_asked_nobody(shop: Shop) -> None:
    model = shop.model(cache=InMemoryCache())
    model.invoke(PROMPT, LABELS)
    model.invoke(PROMPT, LABELS)
    first, second = shop.check(2)
    assert [first.cache_hit, second.cache_hit] == [False, True]
    assert second.attempts == 0
    assert second.cost is not None
    assert second.cost.total_usd == 0


def test_the_same_tracker_twice_records_once_and_another_one_as_well(shop: Shop) -> None:
    other = UsageTracker()
    handlers: list[BaseCallbackHandler] = [
        UsageCallbackHandler(shop.tracker),
        AsyncUsageCallbackHandler(shop.tracker),
        UsageCallbackHandler(other),
    ]
    model = shop.model()
    config: RunnableConfig = {**LABELS, "callbacks": handlers}
    model.invoke(PROMPT, config)
    list(model.stream(PROMPT, config))
    records = shop.check(2)
    assert [record.run_id for record in other.records()] == [record.run_id for record in records]
    assert [record.cost for record in other.records()] == [record.cost for record in records]


@pytest.mark.parametrize(
    "duplicate", [copy.copy, copy.deepcopy, lambda m: m.model_copy(update={"temperature": 0.5})]
)
def test_a_copied_model_records_to_the_same_ledger(shop: Shop, duplicate: Any) -> None:
    copied = duplicate(shop.model())
    copied.invoke(PROMPT, LABELS)
    list(copied.stream(PROMPT, LABELS))
    copied.bind(stop=["x"]).invoke(PROMPT, LABELS)
    shop.check(3)


def test_a_pickled_model_records_to_the_same_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test")  # a pickle holds no key
    with LoopbackServer(Accountant()) as server, UsageTracker(tmp_path / "usage.db") as tracker:
        model = server.model(usage_tracker=tracker)
        model.invoke(PROMPT, LABELS)
        copied = pickle.loads(pickle.dumps(model))  # noqa: S301 - our own
        copied.invoke(PROMPT, LABELS)
        list(copied.stream(PROMPT, LABELS))
        copied.usage_tracker.close()
        assert len(list(tracker.records())) == 3


def test_a_forked_process_records_to_the_same_file(tmp_path: Path) -> None:
    with (
        LoopbackServer(Accountant()) as server,
        UsageTracker(tmp_path / "usage.db") as tracker,
    ):
        model = server.model(usage_tracker=tracker)
        model.invoke(PROMPT, LABELS)
        pid = os.fork()
        if pid == 0:
            model.invoke(PROMPT, LABELS)
            list(model.stream(PROMPT, LABELS))
            tracker.close()
            os._exit(0)
        assert os.waitpid(pid, 0)[1] == 0
        model.invoke(PROMPT, LABELS)
        assert len(list(tracker.records())) == 4


def test_a_model_inside_a_lambda_is_recorded(shop: Shop) -> None:
    model = shop.model()
    inside: Runnable[str, Any] = RunnableLambda(model.invoke)
    inside.invoke(PROMPT, LABELS)
    (record,) = shop.check(1)
    assert (record.user_id, record.tags) == ("u-1", ("blue",))
    assert record.parent_run_id is not None


@pytest.mark.parametrize("handler_class", [UsageCallbackHandler, AsyncUsageCallbackHandler])
@pytest.mark.parametrize("way", ["plain", "streamed"])
async def test_models_of_another_package_are_recorded_too(
    shop: Shop, handler_class: type[UsageCallbackHandler | AsyncUsageCallbackHandler], way: str
) -> None:
    other = ChatOpenAI(
        model="gpt-6-luna", api_key="sk-test", base_url=shop.server.url, stream_usage=True
    )
    config: RunnableConfig = {**LABELS, "callbacks": [handler_class(shop.tracker)]}
    if way == "plain":
        await other.ainvoke(PROMPT, config)
    else:
        async for _ in other.astream(PROMPT, config):
            pass
    (record,) = shop.records
    (entry,) = shop.accountant.entries
    assert record.tokens is not None
    assert record.tokens.total_tokens == entry.usage["total_tokens"]
    assert record.cost is not None
    assert record.cost.total_usd is not None
    assert (record.status, record.attempts, record.user_id) == (RunStatus.OK, 1, "u-1")
    assert record.streamed == (way == "streamed")
    assert record.model == "gpt-6-luna"
