"""Reservations that outlive their process: kept as tickets, and settled by whoever has them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from langchain_tamma_openai.usage.budget_amounts import Bound
from langchain_tamma_openai.usage.budget_reserving import label_value
from langchain_tamma_openai.usage.budget_state import LineKey, Settle
from langchain_tamma_openai.usage.budget_windows import Span

if TYPE_CHECKING:
    from langchain_tamma_openai.usage.budget import Budget, BudgetReservation

Ticket = dict[str, Any]
"""One reservation with one budget, as JSON values."""


def tickets_of(reservation: BudgetReservation, expires_at_s: float) -> list[Ticket]:
    """Let a reservation live on without its process.

    The reservation itself ends with this; only its tickets can settle it now.

    Args:
        reservation: One that is open.
        expires_at_s: When it counts as abandoned, in seconds since 1970.

    Raises:
        StorageError: A store cannot be reached.
    """
    tickets = []
    for claim in reservation.detach():
        claim.desk.accounts.keep_until(claim.hold, expires_at_s)
        span = claim.hold.key.span
        tickets.append(
            {
                "place": claim.desk.place,
                "budget": claim.hold.key.budget,
                "scope": claim.hold.key.scope,
                "starts_at": None if span.starts_at is None else span.starts_at.isoformat(),
                "ends_at": None if span.ends_at is None else span.ends_at.isoformat(),
                "hold": claim.hold.ident,
            }
        )
    return tickets


def settle_tickets(
    budgets: Iterable[Budget],
    tickets: Iterable[Mapping[str, Any]],
    cost_usd: Decimal | None,
    tokens: int | None,
    *,
    sent: bool = True,
) -> None:
    """Charge what was used in place of what was set aside; repeating it changes nothing.

    Args:
        budgets: Those that are known; tickets of others are left alone.
        tickets: From `tickets_of`.
        cost_usd: What it cost; None charges the estimate.
        tokens: What it used; None charges the estimate.
        sent: False gives everything back.
    """
    every = (budget._desk for budget in budgets)  # noqa: SLF001 - of the same room
    desks = {(desk.place, desk.ident): desk for desk in every}
    for ticket in tickets:
        desk = desks.get((ticket["place"], ticket["budget"]))
        if desk is not None:
            key = LineKey(ticket["budget"], ticket["scope"], _span(ticket))
            desk.accounts.settle(Settle(key, ticket["hold"], Bound(cost_usd, tokens), sent))


def line_names(budgets: Sequence[Budget], labels: Mapping[str, object]) -> tuple[str, ...]:
    """Name the lines of budgets that calls with these labels belong on.

    Args:
        budgets: The budgets.
        labels: Whose call it is.
    """
    return tuple(
        json.dumps([label_value(labels.get(name)) for name in budget.scope]) for budget in budgets
    )


def _span(ticket: Mapping[str, Any]) -> Span:
    ends = (ticket["starts_at"], ticket["ends_at"])
    return Span(*(None if moment is None else datetime.fromisoformat(moment) for moment in ends))
