"""The budget of a batch: one purse for all processes that ever work on it."""

from __future__ import annotations

import time
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from langchain_tamma_openai.usage.budget import Budget, BudgetStatus

NAME = "batch"
_TTL_S = 60.0
_PATIENCE_S = 30 * 86_400.0
"""A call waits in turn while only others of the batch are in its way: they will end."""


def open_budget(limit_usd: Decimal, path: Path | None) -> Budget:
    """Open the budget of a batch, and charge what dead processes had reserved.

    Only the holder of the output's lock may do this: to it, every reservation found is one that a
    killed process left, of a request that may have been billed.

    Args:
        limit_usd: The limit, for all processes together.
        path: File that keeps it; None for the memory of this process.

    Raises:
        ConfigurationError: The limit is wrong, or SQLAlchemy is not installed.
        StorageError: The file cannot be used.
    """
    from langchain_tamma_openai.usage.budget import Budget

    store = None if path is None else f"sqlite:///{path}"
    if path is not None:
        later = Budget(
            limit_usd,
            store=store,
            name=NAME,
            reservation_ttl_s=_TTL_S,
            clock=lambda: time.time() + 2 * _TTL_S,
        )
        later.status()  # sees them expired
        later.close()
    return Budget(
        limit_usd, store=store, name=NAME, wait_s=_PATIENCE_S, reservation_ttl_s=_TTL_S,
        on_alert=lambda _alert: None,
    )  # fmt: skip


def charge_earlier(budget: Budget, cost_usd: Decimal) -> None:
    """Charge what the batch spent before it had a budget.

    Args:
        budget: Has charged nothing yet.
        cost_usd: What its results cost.

    Raises:
        BudgetExceededError: It is more than the limit.
    """
    status: BudgetStatus = budget.status()
    if cost_usd > status.spent_usd:
        missing = cost_usd - status.spent_usd
        budget.reserve(missing, 0).settle(missing, 0)
