"""How a comparison looks: one line in a terminal, a table in a notebook."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from langchain_tamma_openai.notebook import table_html
from langchain_tamma_openai.pricing_cost import plain_decimal

if TYPE_CHECKING:
    from langchain_tamma_openai.usage.reconcile.result import Drift, Reconciliation

_HEADS = ("cause", "when", "model", "calls", "billed $", "recorded $", "difference $", "which")


def reconciliation_text(found: Reconciliation) -> str:
    """Say in a few words what was found.

    Args:
        found: The comparison.
    """
    amounts = (found.provider_usd, found.ledger_usd, found.unexplained_usd)
    billed, recorded, rest = map(_usd, amounts)
    kinds = ", ".join(f"{number} {kind}" for kind, (number, _, _) in found.by_kind().items())
    return (
        f"Reconciliation({found.form}: {kinds or 'no drifts'}; {found.matched_requests:,} calls "
        f"agree; ${billed} billed, ${recorded} recorded, ${rest} unexplained)"
    )


def reconciliation_html(found: Reconciliation) -> str:
    """Show a comparison as a table, one line for each drift.

    Args:
        found: The comparison.
    """
    return table_html(_HEADS, [_cells(drift) for drift in found.drifts], repr(found), 3)


def _cells(drift: Drift) -> list[object]:
    return [
        drift.kind.value,
        None if drift.start is None else f"{drift.start:%Y-%m-%d %H:%M}",
        drift.model,
        drift.requests or None,
        _usd(drift.provider_usd),
        _usd(drift.ledger_usd),
        _usd(drift.difference_usd),
        " ".join(filter(None, (", ".join(drift.calls[:2]), drift.detail))),
    ]


def _usd(amount: Decimal | None) -> str:
    return plain_decimal(amount) or "unknown"
