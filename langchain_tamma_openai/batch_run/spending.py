"""The budget of a batch: one purse for all processes that ever work on it, kept in the journal.

Before a request is sent, the journal has what was spent and what was reserved at that moment, the
request's own upper bound included. So whenever a process is killed, the two together are no less
than what it can have spent, and the next process begins with that.
"""

from __future__ import annotations

import json
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING

from langchain_tamma_openai.pricing_cost import plain_decimal

if TYPE_CHECKING:
    from langchain_tamma_openai.usage.budget import Budget

NAME = "batch"
_PATIENCE_S = 30 * 86_400.0
"""A call waits in turn while only others of the batch are in its way: they will end."""


def open_budget(limit_usd: Decimal, spent_usd: Decimal) -> Budget:
    """Open the budget of a batch.

    Args:
        limit_usd: The limit, for all processes together.
        spent_usd: What processes before this one may have spent.
    """
    from langchain_tamma_openai.usage.budget import Budget

    budget = Budget(limit_usd, name=NAME, wait_s=_PATIENCE_S, alert_thresholds=())
    # Charged even if it is more than the limit: then nothing else fits.
    budget.reserve(0, 0).settle(spent_usd, 0)
    return budget


def budget_line(budget: Budget) -> bytes:
    """Write down what a budget has charged and reserved now.

    Args:
        budget: The budget.
    """
    status = budget.status()
    amounts = [plain_decimal(status.spent_usd), plain_decimal(status.reserved_usd)]
    return json.dumps({"budget": amounts}).encode() + b"\n"


def possibly_spent(amounts: object) -> Decimal:
    """Read what a process may have spent.

    Args:
        amounts: What it charged and what it had reserved, as in the journal.

    Raises:
        ValueError: They cannot be read.
        TypeError: They are not amounts.
    """
    if not isinstance(amounts, list):
        raise TypeError(amounts)
    try:
        return sum((Decimal(amount) for amount in amounts), Decimal(0))
    except InvalidOperation as error:
        raise ValueError(amounts) from error
