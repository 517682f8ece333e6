"""Exact sums of any decimals, and amounts split into integers that databases add exactly.

SQLite has no decimals. An amount that is a multiple of 1e-15 dollars, as every price per token
gives, is kept as whole micro-dollars and a rest of femto-dollars; 64-bit sums of both cannot
overflow for 900 million runs. Any other amount is "odd" and is added from its text.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Context, Decimal
from functools import reduce

MAX_EXPONENT = 1000
_WIDE = Context(prec=4 * MAX_EXPONENT, Emax=10 * MAX_EXPONENT, Emin=-10 * MAX_EXPONENT)
_FEMTO_DIGITS = 15
_FEMTO_PER_MICRO = 10**9
_MAX_MICRO = 10**10


def is_storable_usd(amount: Decimal) -> bool:
    """Tell whether an amount is finite and has an exponent that sums can hold."""
    if not amount.is_finite() or amount.adjusted() > MAX_EXPONENT:
        return False
    return int(amount.as_tuple().exponent) >= -MAX_EXPONENT


def add_exactly(left: Decimal, right: Decimal) -> Decimal:
    """Add two amounts without rounding."""
    return _WIDE.add(left, right)


def sum_exactly(amounts: Iterable[Decimal]) -> Decimal:
    """Add amounts without rounding."""
    return reduce(add_exactly, amounts, Decimal(0))


def split_usd(amount: Decimal) -> tuple[int, int] | None:
    """Split an amount into micro-dollars and the rest in femto-dollars; None when it is odd."""
    scaled = _WIDE.scaleb(amount, _FEMTO_DIGITS)
    femto = int(scaled)
    if femto != scaled:
        return None
    micro, rest = divmod(femto, _FEMTO_PER_MICRO)
    return (micro, rest) if -_MAX_MICRO < micro < _MAX_MICRO else None


def join_usd(micro: int, femto: int) -> Decimal:
    """Put together what `split_usd` split, or sums of it."""
    return _WIDE.scaleb(Decimal(micro * _FEMTO_PER_MICRO + femto), -_FEMTO_DIGITS)
