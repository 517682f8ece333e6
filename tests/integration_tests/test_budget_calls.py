"""What a budget does to each kind of call, seen from the server."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator
from contextlib import suppress
from decimal import Decimal
from typing import Any

import pytest
from accounting import PRICES, PROMPT, Accountant, Plan
from langchain.agents import create_agent
from langchain_core.messages import HumanMessage
from langchain_core.runnables import RunnableConfig
from loopback import Act, LoopbackServer

from langchain_tamma_openai import ChatTammaOpenAI
from langchain_tamma_openai.errors import BudgetExceededError, ServerError, TammaError
from langchain_tamma_openai.models import ModelCatalog
from langchain_tamma_openai.resilience.retry import no_waiting
from langchain_tamma_openai.usage.budget import Budget
from langchain_tamma_openai.usage.record import RunStatus
from langchain_tamma_openai.usage.tracker import UsageTracker

Ask = Callable[[ChatTammaOpenAI, RunnableConfig], object]
LABELS: RunnableConfig = {
    "tags": ["blue"],
    "metadata": {"user_id": "u-1", "organization_id": "o-1"},
}


def _astream(model: ChatTammaOpenAI, config: RunnableConfig) -> None:
    async def main() -> None:
        try:
            async for _ in model.astream(PROMPT, config):
                pass
        finally:
            await model.aclose()

    asyncio.run(main())


def _ainvoke(model: ChatTammaOpenAI, config: RunnableConfig) -> None:
    async def main() -> None:
        try:
            await model.ainvoke(PROMPT, config)
        finally:
            await model.aclose()

    asyncio.run(main())


def _abatch(model: ChatTammaOpenAI, config: RunnableConfig) -> None:
    async def main() -> None:
        try:
            await model.abatch([PROMPT], config)
        finally:
            await model.aclose()

    asyncio.run(main())


def _agent(model: ChatTammaOpenAI, config: RunnableConfig) -> None:
    agent: Any = create_agent(model, [])
    agent.invoke({"messages": [HumanMessage(PROMPT)]}, config)


ASKS: dict[str, Ask] = {
    "invoke": lambda model, config: model.invoke(PROMPT, config),
    "ainvoke": _ainvoke,
    "stream": lambda model, config: list(model.stream(PROMPT, config)),
    "astream": _astream,
    "batch": lambda model, config: model.batch([PROMPT], config),
    "abatch": _abatch,
    "agent": _agent,
}
every_ask = pytest.mark.parametrize("ask", ASKS.values(), ids=ASKS)
every_api = pytest.mark.parametrize("api", ["chat_completions", "responses"])


def ask_often(ask: Callable[[], object]) -> None:
    for _ in range(9):
        ask()


class Shop:
    """A server, and models of it."""

    def __init__(self, server: LoopbackServer, accountant: Accountant) -> None:
        self.server = server
        self.accountant = accountant

    def model(self, *budgets: Budget, **fields: Any) -> ChatTammaOpenAI:
        given = {
            "budget": list(budgets),
            "max_tokens": 100,
            "price_overrides": PRICES,
            "stream_usage": True,
            **fields,
        }
        return self.server.model(**given)

    @property
    def usd(self) -> Decimal:
        return sum((entry.usd for entry in self.accountant.entries), Decimal(0))


@pytest.fixture
def shop() -> Iterator[Shop]:
    accountant = Accountant()
    with no_waiting(), LoopbackServer(accountant) as server:
        yield Shop(server, accountant)


@every_api
@every_ask
def test_a_call_that_does_not_fit_is_refused_before_anything_is_sent(
    shop: Shop, ask: Ask, api: str
) -> None:
    tracker, budget = UsageTracker(), Budget("0.0001", wait_s=0)
    model = shop.model(budget, usage_tracker=tracker, use_responses_api=api == "responses")
    with pytest.raises(BudgetExceededError) as caught:
        ask(model, LABELS)

    assert shop.server.requests == []
    assert caught.value.limit == Decimal("0.0001")
    assert caught.value.requested is not None
    assert caught.value.requested > Decimal("0.0006")
    (record,) = tracker.records()
    assert (record.status, record.attempts) == (RunStatus.ERROR, 0)
    assert record.error_kind == "budget_exceeded"
    assert record.cost is not None
    assert record.cost.total_usd == 0
    assert budget.status().reserved_usd == 0


@every_api
@every_ask
@pytest.mark.parametrize(
    "scope", ["user_id", "organization_id", "tags", ("organization_id", "user_id", "model")]
)
def test_a_call_is_charged_to_the_line_of_its_labels(
    shop: Shop, ask: Ask, api: str, scope: str | tuple[str, ...]
) -> None:
    budget = Budget(1, scope=scope)
    ask(shop.model(budget, use_responses_api=api == "responses"), LABELS)

    (line,) = budget.lines()
    labels = {"user_id": "u-1", "organization_id": "o-1", "tags": ["blue"], "model": "gpt-6-luna"}
    names = [scope] if isinstance(scope, str) else scope
    assert line.scope == {name: labels[name] for name in names}
    assert (line.spent_usd, line.reserved_usd) == (shop.usd, Decimal(0))


@every_api
@pytest.mark.parametrize("ask", [ASKS["invoke"], ASKS["astream"]], ids=["invoke", "astream"])
def test_the_user_argument_is_the_user_where_metadata_names_none(
    shop: Shop, ask: Ask, api: str
) -> None:
    budget = Budget(1, scope="user_id")
    model = shop.model(budget, use_responses_api=api == "responses", model_kwargs={"user": "u-7"})
    ask(model, {})
    ask(model, LABELS)
    assert {line.scope["user_id"]: line.spent_usd for line in budget.lines()} == {
        "u-7": shop.usd / 2,
        "u-1": shop.usd / 2,
    }


@every_ask
def test_tokens_are_limited_as_well(shop: Shop, ask: Ask) -> None:
    budget = Budget(limit_tokens=200, wait_s=0)
    model = shop.model(budget)
    ask(model, LABELS)
    spent = budget.status().spent_tokens
    ask(model, LABELS)
    with pytest.raises(BudgetExceededError) as caught:
        ask_often(lambda: ask(model, LABELS))
    entries = shop.accountant.entries
    assert spent == entries[0].input_tokens + entries[0].output_tokens
    assert caught.value.unit == "tokens"
    assert budget.status().reserved_tokens == 0
    assert budget.status().spent_tokens <= 200


def test_a_call_over_the_limit_may_go_with_a_warning(
    shop: Shop, caplog: pytest.LogCaptureFixture
) -> None:
    budget = Budget("0.000001", on_exceeded="warn", wait_s=0)
    model = shop.model(budget)
    with caplog.at_level(logging.WARNING, "langchain_tamma_openai"):
        model.invoke(PROMPT)
        list(model.stream(PROMPT))
    said = [entry.message for entry in caplog.records if "goes all the same" in entry.message]
    assert len(said) == 1
    assert budget.status().spent_usd == shop.usd


def test_several_budgets_hold_at_once(shop: Shop) -> None:
    wide, narrow = Budget(1, name="wide"), Budget("0.0008", name="narrow", wait_s=0)
    model = shop.model(wide, narrow)
    model.invoke(PROMPT)
    with pytest.raises(BudgetExceededError) as caught:
        ask_often(lambda: model.invoke(PROMPT))
    assert caught.value.budget == "narrow"
    assert wide.status().spent_usd == narrow.status().spent_usd == shop.usd
    assert wide.status().reserved_usd == narrow.status().reserved_usd == 0


def test_an_unknown_price_is_refused_or_allowed_as_asked(shop: Shop) -> None:
    strict = Budget(1, wait_s=0)
    with pytest.raises(BudgetExceededError, match="price_overrides"):
        shop.model(strict, model="acme-unheard-of", price_overrides=None).invoke(PROMPT)
    assert shop.server.requests == []
    mild = Budget(1, on_unknown_price="allow", wait_s=0)
    shop.model(mild, model="acme-unheard-of", price_overrides=None).invoke(PROMPT)
    assert len(shop.server.requests) == 1
    assert mild.status().reserved_usd == 0


@every_api
def test_an_unset_max_tokens_reserves_the_most_the_model_can_write(shop: Shop, api: str) -> None:
    most = ModelCatalog().get("gpt-6-luna").max_output_tokens
    assert most is not None
    with pytest.raises(BudgetExceededError) as caught:
        shop.model(
            Budget("0.01", wait_s=0), max_tokens=None, use_responses_api=api == "responses"
        ).invoke(PROMPT)
    assert caught.value.requested is not None
    over = caught.value.requested - most * Decimal(6) / 1_000_000
    assert 0 < over < Decimal("0.0001")


def test_a_fallback_reserves_at_its_own_price(shop: Shop) -> None:
    prices = {**PRICES, "dear": {"input_usd_per_mtok": "100", "output_usd_per_mtok": "600"}}
    shop.accountant.plans = [Plan(status=503)]
    budget = Budget("0.01", wait_s=0)
    model = shop.model(budget, price_overrides=prices, fallback_models=["dear"])
    with pytest.raises(ServerError) as caught:
        model.invoke(PROMPT)
    (note,) = caught.value.__notes__
    assert "BudgetExceeded" in note or "requested $0.06" in note
    assert len(shop.server.requests) == 1
    assert (budget.status().spent_usd, budget.status().reserved_usd) == (Decimal(0), Decimal(0))


@every_ask
def test_each_retry_reserves_and_a_failed_try_costs_nothing(shop: Shop, ask: Ask) -> None:
    shop.accountant.plans = [Plan(status=500), Plan(status=500), Plan()]
    budget = Budget("0.001", wait_s=0)  # room for one reservation at a time
    ask(shop.model(budget, max_retries=2), LABELS)
    assert len(shop.server.requests) == 3
    assert (budget.status().spent_usd, budget.status().reserved_usd) == (shop.usd, Decimal(0))


@pytest.mark.parametrize("ask", [ASKS["stream"], ASKS["astream"]], ids=["stream", "astream"])
def test_a_cut_stream_is_charged_for_what_came(shop: Shop, ask: Ask) -> None:
    shop.accountant.plans = [Plan(after=8, then=Act.DROP)]
    budget = Budget(1)
    with suppress(TammaError):
        ask(shop.model(budget), LABELS)
    status = budget.status()
    assert status.reserved_usd == 0
    assert abs(status.spent_usd - shop.usd) <= Decimal("0.00002")
    assert status.spent_usd > 0


def test_a_stream_that_is_left_is_charged_for_what_came(shop: Shop) -> None:
    shop.accountant.plans = [Plan(after=8, then=Act.HOLD)]
    budget = Budget(1)
    stream: Any = shop.model(budget).stream(PROMPT)
    while next(stream).text != " text":
        pass
    stream.close()
    status = budget.status()
    assert status.reserved_usd == 0
    assert abs(status.spent_usd - shop.usd) <= Decimal("0.00002")


def test_a_call_that_may_have_been_answered_is_charged_at_its_estimate(shop: Shop) -> None:
    """Nobody knows whether a request without an answer was billed: the upper bound stays spent."""
    shop.accountant.plans = [Plan(before_head=Act.DROP)]
    budget = Budget(1)
    with suppress(TammaError):
        shop.model(budget).invoke(PROMPT)
    assert budget.status().reserved_usd == 0
    assert budget.status().spent_usd > Decimal("0.0006")


async def test_a_cancelled_call_leaves_nothing_reserved(shop: Shop) -> None:
    shop.accountant.plans = [Plan(before_head=Act.HOLD)]
    budget = Budget(1)
    model = shop.model(budget)
    calls = [asyncio.create_task(model.ainvoke(PROMPT)) for _ in range(5)]
    for _ in range(500):
        if len(shop.server.requests) == 5:
            break
        await asyncio.sleep(0.01)
    for call in calls:
        call.cancel()
    await asyncio.gather(*calls, return_exceptions=True)
    assert budget.status().reserved_usd == 0
    assert budget.status().spent_usd > 0
    await model.aclose()
