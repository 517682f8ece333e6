"""Reads from amounts and tokens at which prices a provider billed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from langchain_tamma_openai.usage.money import sum_exactly
from langchain_tamma_openai.usage.reconcile.result import Drift, DriftKind

if TYPE_CHECKING:
    from langchain_tamma_openai.usage.reconcile.amounts import Account

_DIGITS = 3
"""Prices per million tokens have so many significant digits at most."""
_BY_CHANCE = 0.001
_MILLION = Decimal(1_000_000)


@dataclass(frozen=True, slots=True)
class _Price:
    """The price of one kind of token, in dollars per million.

    Attributes:
        kind: The kind.
        tokens: How many of it.
        recorded: As the ledger has it.
        billed: As the provider must have it.
        chance: How likely it looks like a price by chance.
    """

    kind: str
    tokens: int
    recorded: Decimal
    billed: Decimal
    chance: float


def implied_prices(account: Account) -> list[Drift]:
    """Take another price for the cause, where amount and tokens give one that looks like a price.

    Missing calls would change an amount by any number of tokens, which hardly ever comes out at a
    round price per million tokens.

    Args:
        account: Its calls have costs by kind of token.
    """
    prices = list(_prices(account))
    found = [price for price in prices if price is not None]
    chance = 1.0
    for price in found:
        chance *= price.chance
    changed = [price for price in found if price.billed != price.recorded]
    if not changed or len(found) < len(prices) or chance > _BY_CHANCE:
        return []
    return [
        Drift(
            DriftKind.STALE_PRICE,
            provider_usd=sum_exactly(account.billed.values()),
            ledger_usd=sum_exactly(account.recorded.values()),
            requests=len(account.calls),
            model=account.model,
            recorded_tier=account.tier,
            start=account.span[0],
            end=account.span[1],
            calls=tuple(call.name for call in account.calls),
            detail="; ".join(
                f"{price.kind} billed at ${price.billed:f} a million tokens, "
                f"recorded at ${price.recorded:f}"
                for price in changed
            ),
        )
    ]


def _prices(account: Account) -> Iterator[_Price | None]:
    """Give the price of each kind; None where there is no single one."""
    tokens, recorded = _tokens(account)
    for kind in account.kinds:
        billed = account.billed.get(kind, Decimal(0))
        if kind not in tokens and abs(billed) <= account.tolerance(kind):
            continue
        if len(recorded[kind]) != 1 or not tokens.get(kind):
            yield None
            return
        yield _price(account, kind, tokens[kind], next(iter(recorded[kind])))


def _price(account: Account, kind: str, tokens: int, recorded: Decimal) -> _Price | None:
    implied = account.billed.get(kind, Decimal(0)) * _MILLION / tokens
    off = account.tolerance(kind) * _MILLION / tokens
    if abs(implied - recorded) <= off:
        return _Price(kind, tokens, recorded, recorded, 1 / tokens)
    if implied <= 0:
        return None
    step = Decimal(1).scaleb(implied.adjusted() - _DIGITS + 1)
    nearest = (implied / step).to_integral_value() * step
    # A missing call could give any multiple of one token's share; or any value within the rounding.
    chance = max(float(recorded / tokens), float(off)) / float(step)
    if abs(implied - nearest) > off or chance >= 1:
        return None
    return _Price(kind, tokens, recorded.normalize(), nearest.normalize(), chance)


def _tokens(account: Account) -> tuple[dict[str, int], dict[str, set[Decimal]]]:
    """Count tokens by kind, and collect the prices at which they were recorded."""
    counts: dict[str, int] = defaultdict(int)
    prices: dict[str, set[Decimal]] = defaultdict(set)
    for call in account.calls:
        for part in () if call.cost is None else call.cost.parts:
            kind = account.place(part.kind)
            counts[kind] += part.tokens
            prices[kind].add(part.usd_per_mtok)
    return dict(counts), prices
