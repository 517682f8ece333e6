"""A process of its own whose model calls a server until a shared budget is used up."""

from __future__ import annotations

import asyncio
import itertools
import sys
from concurrent.futures import ThreadPoolExecutor

from accounting import PRICES, PROMPT
from langchain_core.runnables import RunnableConfig

from langchain_tamma_openai import ChatTammaOpenAI
from langchain_tamma_openai.errors import BudgetExceededError
from langchain_tamma_openai.usage.budget import Budget

LIMIT_USD = "0.5"


def race_budget(store: str) -> Budget:
    """Make the budget that all processes share."""
    return Budget(
        LIMIT_USD, scope=("organization_id",), store=store, wait_s=60.0, reservation_ttl_s=3.0
    )


def racing_model(url: str, budget: Budget) -> ChatTammaOpenAI:
    """Make a model whose calls cost at most 0.6 cents each, and what its prompt costs."""
    return ChatTammaOpenAI(
        model="gpt-6-luna",
        api_key="sk-test",
        base_url=url,
        max_tokens=1000,
        max_retries=0,
        stream_usage=True,
        budget=budget,
        price_overrides=PRICES,
    )


CONFIG: RunnableConfig = {"metadata": {"organization_id": "o1"}}


async def _aspend(model: ChatTammaOpenAI) -> None:
    try:
        for number in itertools.count():
            if number % 2:
                async for _ in model.astream(PROMPT, CONFIG):
                    pass
            else:
                await model.ainvoke(PROMPT, CONFIG)
    except BudgetExceededError:
        return


async def _aspend_all(model: ChatTammaOpenAI, number: int) -> None:
    await asyncio.gather(*(_aspend(model) for _ in range(number)))
    await model.aclose()


def _spend(model: ChatTammaOpenAI) -> None:
    try:
        for number in itertools.count():
            if number % 2:
                list(model.stream(PROMPT, CONFIG))
            else:
                model.invoke(PROMPT, CONFIG)
    except BudgetExceededError:
        return


def main(store: str, url: str, colour: str, number: int) -> None:
    """Spend with many calls at once."""
    budget = race_budget(store)
    model = racing_model(url, budget)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.readline()
    if colour == "async":
        asyncio.run(_aspend_all(model, number))
    else:
        with ThreadPoolExecutor(number) as pool:
            for job in [pool.submit(_spend, model) for _ in range(number)]:
                job.result()
    budget.close()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]))
