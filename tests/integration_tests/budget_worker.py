"""A process of its own that spends from one shared budget until nothing is left."""

from __future__ import annotations

import asyncio
import json
import random
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

from langchain_tamma_openai.errors import BudgetExceededError
from langchain_tamma_openai.usage.budget import Budget, BudgetAlert

LABELS = {"organization_id": "o1", "user_id": "u1", "model": "m"}
MOST_USD = Decimal("0.0100")
MOST_TOKENS = 1000


def shared_budget(store: str, **settings: object) -> Budget:
    """Make the budget that all processes share."""
    options: dict[str, object] = {
        "limit_usd": Decimal(1),
        "limit_tokens": 10**9,
        "scope": ("organization_id",),
        "store": store,
        "wait_s": 60.0,
        **settings,
    }
    return Budget(**options)  # type: ignore[arg-type]  # the options of a test


class Spender:
    """Spends part of what it set aside, and remembers what it spent."""

    def __init__(self, budget: Budget, seed: int) -> None:
        self.budget = budget
        self.rng = random.Random(seed)  # noqa: S311 - no secret
        self.costs: list[Decimal] = []

    def cost(self) -> Decimal:
        """Choose what a call costs."""
        return MOST_USD * self.rng.randint(10, 100) / 100

    def spend(self) -> None:
        """Call until the budget is used up."""
        while True:
            try:
                reservation = self.budget.reserve(MOST_USD, MOST_TOKENS, LABELS)
            except BudgetExceededError:
                return
            with reservation:
                cost = self.cost()
                time.sleep(0.005)
                self.costs.append(cost)
                reservation.settle(cost, 1)

    async def aspend(self) -> None:
        """Call until the budget is used up."""
        while True:
            try:
                reservation = await self.budget.areserve(MOST_USD, MOST_TOKENS, LABELS)
            except BudgetExceededError:
                return
            async with reservation:
                cost = self.cost()
                await asyncio.sleep(0.005)
                self.costs.append(cost)
                await reservation.asettle(cost, 1)


async def _aspend_all(spenders: list[Spender]) -> None:
    await asyncio.gather(*(spender.aspend() for spender in spenders))


def spend(store: str, colour: str, number: int) -> None:
    """Spend with many calls at once and say what was spent."""
    alerts: list[BudgetAlert] = []
    budget = shared_budget(store, on_alert=alerts.append)
    spenders = [Spender(budget, seed) for seed in range(number)]
    sys.stdin.readline()
    if colour == "async":
        asyncio.run(_aspend_all(spenders))
    else:
        with ThreadPoolExecutor(number) as pool:
            for job in [pool.submit(spender.spend) for spender in spenders]:
                job.result()
    budget.close()
    costs = [cost for spender in spenders for cost in spender.costs]
    report = {
        "spent": str(sum(costs, Decimal(0))),
        "calls": len(costs),
        "alerts": [f"{alert.unit} {alert.threshold}" for alert in alerts],
    }
    sys.stdout.write(json.dumps(report) + "\n")


def hold(store: str, ttl_s: str, policy: str) -> None:
    """Set aside, half of it after a first settled call, and wait to be killed."""
    budget = shared_budget(store, reservation_ttl_s=float(ttl_s), on_abandoned=policy)
    budget.reserve(MOST_USD, MOST_TOKENS, LABELS).settle("0.001", 10)
    held = [budget.reserve(MOST_USD, MOST_TOKENS, LABELS) for _ in range(5)]
    sys.stdout.write("holding\n")
    sys.stdout.flush()
    sys.stdin.readline()
    assert held


if __name__ == "__main__":
    if sys.argv[1] == "spend":
        spend(sys.argv[2], sys.argv[3], int(sys.argv[4]))
    else:
        hold(sys.argv[2], sys.argv[3], sys.argv[4])
