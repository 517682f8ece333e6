"""What a budget tells: its state, its alerts, and what still fits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import ROUND_FLOOR, Decimal
from typing import Literal

from langchain_tamma_openai.pricing_cost import EXACT
from langchain_tamma_openai.usage.budget_amounts import ZERO, read_tokens, read_usd, refuse_argument

_MTOK = Decimal(1_000_000)


@dataclass(frozen=True, slots=True)
class BudgetStatus:
    """One line of a budget at one moment.

    Attributes:
        name: The budget's name.
        scope: The labels that the line belongs to, with their values as text; None for a label
            that the calls did not have.
        limit_usd: The limit in US dollars; None where there is none.
        spent_usd: What settled calls cost.
        reserved_usd: What calls under way may cost at most.
        limit_tokens: The limit in tokens; None where there is none.
        spent_tokens: What settled calls used.
        reserved_tokens: What calls under way may use at most.
        unpriced_calls: Settled calls whose price nobody knows; they are missing in `spent_usd`.
        starts_at: When the window began; None for a budget without a window.
        resets_at: When the window turns; None for a budget without a window.
    """

    name: str
    scope: Mapping[str, object] = field(default_factory=dict)
    limit_usd: Decimal | None = None
    spent_usd: Decimal = ZERO
    reserved_usd: Decimal = ZERO
    limit_tokens: int | None = None
    spent_tokens: int = 0
    reserved_tokens: int = 0
    unpriced_calls: int = 0
    starts_at: datetime | None = None
    resets_at: datetime | None = None

    @property
    def remaining_usd(self) -> Decimal | None:
        """Dollars neither spent nor reserved, 0 at least; None without a limit."""
        if self.limit_usd is None:
            return None
        taken = EXACT.add(self.spent_usd, self.reserved_usd)
        return max(ZERO, EXACT.subtract(self.limit_usd, taken))

    @property
    def remaining_tokens(self) -> int | None:
        """Tokens neither used nor reserved, 0 at least; None without a limit."""
        if self.limit_tokens is None:
            return None
        return max(0, self.limit_tokens - self.spent_tokens - self.reserved_tokens)


@dataclass(frozen=True, slots=True)
class BudgetAlert:
    """Spending reached a share of a limit.

    Attributes:
        threshold: The share, such as `Decimal("0.8")`.
        unit: Which limit it is: "usd" or "tokens".
        status: The line just after the call that reached it.
    """

    threshold: Decimal
    unit: Literal["usd", "tokens"]
    status: BudgetStatus


def affordable_output_tokens(
    status: BudgetStatus,
    *,
    input_usd: Decimal | None = None,
    output_usd_per_mtok: Decimal | None = None,
    input_tokens: int = 0,
) -> int | None:
    """Find the largest `max_tokens` with which a call still fits what is left.

    Args:
        status: The line that the call belongs to.
        input_usd: The most that the input can cost; None when its price is not known.
        output_usd_per_mtok: Price of a million output tokens; None when it is not known.
        input_tokens: Tokens of the input.

    Returns:
        Tokens, 0 when nothing fits; None when no limit, or no known price, bounds them.

    Raises:
        InvalidParameterError: A negative or otherwise wrong amount.
    """
    input_cost = read_usd(input_usd, "input_usd", refuse_argument)
    rate = read_usd(output_usd_per_mtok, "output_usd_per_mtok", refuse_argument)
    used = read_tokens(input_tokens, "input_tokens", refuse_argument) or 0
    bounds: list[int] = []
    if status.remaining_tokens is not None:
        bounds.append(max(0, status.remaining_tokens - used))
    if status.remaining_usd is not None and input_cost is not None and rate is not None:
        left = EXACT.subtract(status.remaining_usd, input_cost)
        if left < 0:
            bounds.append(0)
        elif rate:
            tokens = EXACT.divide(EXACT.multiply(left, _MTOK), rate)
            bounds.append(int(tokens.to_integral_value(ROUND_FLOOR)))
    return min(bounds, default=None)
