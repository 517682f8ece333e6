"""Amounts that a budget counts: dollars as exact decimals, tokens as whole numbers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal, InvalidOperation
from typing import Literal, NamedTuple, NoReturn

from langchain_tamma_openai.checks import shown
from langchain_tamma_openai.pricing_cost import EXACT

MOST_USD = Decimal(10) ** 18
MOST_TOKENS = 2**62
"""What a database's 64-bit integer holds, with room for sums."""
# Finer than any price per token; with `MOST_USD` it keeps every sum within `EXACT`.
_PLACES = 40
_FINEST = Decimal(1).scaleb(-_PLACES)
ZERO = Decimal(0)
_add, _subtract = EXACT.add, EXACT.subtract
KEEP: Literal["keep"] = "keep"
Keep = Literal["keep"]
Usd = Decimal | float | str

Refuse = Callable[[str, object, str], NoReturn]


@dataclass(slots=True, unsafe_hash=True)
class Amounts:
    """Dollars and tokens together, which never change."""

    usd: Decimal = ZERO
    tokens: int = 0

    def with_bound(self, bound: Bound) -> Amounts:
        """Add the known part of a bound, exactly."""
        return Amounts(_add(self.usd, bound.usd or ZERO), self.tokens + (bound.tokens or 0))

    def without_bound(self, bound: Bound) -> Amounts:
        """Subtract the known part of a bound, exactly."""
        return Amounts(_subtract(self.usd, bound.usd or ZERO), self.tokens - (bound.tokens or 0))


class Bound(NamedTuple):
    """The most that a call can use, or what it did use; None where nobody knows."""

    usd: Decimal | None = None
    tokens: int | None = None

    def or_else(self, other: Bound) -> Bound:
        """Fill what is unknown here from another bound."""
        return Bound(
            other.usd if self.usd is None else self.usd,
            other.tokens if self.tokens is None else self.tokens,
        )


class BudgetLimits(NamedTuple):
    """The limits of a budget; None where there is none.

    Attributes:
        usd: In US dollars.
        tokens: In tokens, input and output together.
    """

    usd: Decimal | None = None
    tokens: int | None = None


def read_usd(value: object, field: str, refuse: Refuse) -> Decimal | None:
    """Read an amount of dollars, exactly as it is written.

    Args:
        value: A `Decimal`, a whole number, a float (read as it prints: 0.1 is 0.1), a text such as
            "12.50", or None.
        field: Name of the argument, for the message.
        refuse: Raises the error for a wrong value.

    Returns:
        The amount; what is finer than 40 decimal places is rounded up.
    """
    expected = "an amount in dollars, 0 or more, such as Decimal('12.50')"
    if value is None:
        return None
    if type(value) is Decimal and value.is_finite() and ZERO < value <= MOST_USD:
        return value if _exponent(value) >= -_PLACES else _rounded(value)
    if isinstance(value, bool) or not isinstance(value, Decimal | int | float | str):
        refuse(field, value, expected)
    try:
        amount = Decimal(value) if isinstance(value, Decimal | int | str) else Decimal(repr(value))
    except InvalidOperation:
        refuse(field, value, expected)
    if not amount.is_finite() or amount < 0 or amount > MOST_USD:
        refuse(field, value, expected)
    if _exponent(amount) < -_PLACES:
        return _rounded(amount)
    return amount.copy_abs()  # a zero with a sign is 0; `abs` would round


def _exponent(amount: Decimal) -> int:
    return int(amount.as_tuple().exponent)


def _rounded(amount: Decimal) -> Decimal:
    return amount.quantize(_FINEST, ROUND_CEILING, EXACT)


def read_tokens(value: object, field: str, refuse: Refuse) -> int | None:
    """Read a number of tokens.

    Args:
        value: A whole number of at least 0, or None.
        field: Name of the argument, for the message.
        refuse: Raises the error for a wrong value.
    """
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= MOST_TOKENS:
        refuse(field, value, "a whole number of tokens, 0 or more")
    return value


def change_of_limits(
    limit_usd: Usd | Keep | None, limit_tokens: int | Keep | None
) -> Callable[[BudgetLimits], BudgetLimits]:
    """Read what is to become of limits.

    Args:
        limit_usd: Limit in dollars; None for no such limit, "keep" for the one that holds.
        limit_tokens: Limit in tokens; None and "keep" likewise.

    Returns:
        Makes the new limits of the old ones.

    Raises:
        InvalidParameterError: A wrong amount; also later, when no limit would be left.
    """
    usd = None if limit_usd == KEEP else read_usd(limit_usd, "limit_usd", refuse_argument)
    tokens = (
        None if limit_tokens == KEEP else read_tokens(limit_tokens, "limit_tokens", refuse_argument)
    )

    def change(old: BudgetLimits) -> BudgetLimits:
        new = BudgetLimits(
            old.usd if limit_usd == KEEP else usd, old.tokens if limit_tokens == KEEP else tokens
        )
        if new == BudgetLimits():
            refuse_argument("limit_usd", None, "an amount when there is no other limit")
        return new

    return change


def refuse_argument(field: str, value: object, expected: str) -> NoReturn:
    """Refuse an argument of a call.

    Args:
        field: Its name.
        value: What was given; shown without secrets.
        expected: What it must be.

    Raises:
        InvalidParameterError: Always.
    """
    from langchain_tamma_openai.errors import InvalidParameterError

    raise InvalidParameterError(f"{field}: got {shown(value)}, must be {expected}", param=field)
