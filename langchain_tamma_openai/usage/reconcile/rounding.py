"""How much the amounts of a file may be rounded, as far as they show it themselves."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from decimal import Decimal

_FLOAT = Decimal("1e-12")
_ENOUGH = 3
_HIDDEN = 4
"""A rounding may be this many times smaller than the cheapest call, and hides none then."""


class Rounding:
    """By how much the amounts of a provider may be off.

    A file may cut its amounts after some place, or keep some significant digits; the most digits
    that any of them has tell where. Amounts with few digits may as well be exact: a rounding that
    is large enough to hide a call is believed only where several amounts look rounded.
    """

    def __init__(
        self,
        amounts: Iterable[Decimal],
        pairs: Iterable[tuple[Decimal, Decimal]],
        smallest_usd: Decimal | None,
    ) -> None:
        """Look at all amounts of a file.

        Args:
            amounts: All of them.
            pairs: Those that stand alone, and what the ledger has for each.
            smallest_usd: What the cheapest call of the ledger cost; None where there is none.
        """
        listed = [amount for amount in amounts if amount]
        plain = [amount.normalize().as_tuple() for amount in listed]
        self._places = max((-int(each.exponent) for each in plain), default=0)
        self._digits = max((len(each.digits) for each in plain), default=0)
        known = [pair for pair in pairs if pair[0]]
        smallest = smallest_usd or Decimal(0)
        self._believed = [
            slack
            for slack in (self._after_place, self._of_digits)
            if _is_harmless(map(slack, listed), smallest) or _is_seen(known, slack)
        ]

    def slack(self, amount: Decimal) -> Decimal:
        """Say by how much an amount may be off.

        Args:
            amount: Of the file, in US dollars.
        """
        return _FLOAT + max(
            (slack(amount) for slack in self._believed), default=abs(amount) * _FLOAT
        )

    def same(self, billed: Decimal, expected: Decimal) -> bool:
        """Whether an amount of the file is one that is known exactly.

        Args:
            billed: Of the file, in US dollars.
            expected: In US dollars.
        """
        return abs(billed - expected) <= self.slack(billed)

    def _after_place(self, _amount: Decimal) -> Decimal:
        return Decimal(1).scaleb(-self._places) / 2

    def _of_digits(self, amount: Decimal) -> Decimal:
        return Decimal(1).scaleb(amount.adjusted() - self._digits + 1) / 2 if amount else _FLOAT


def _is_harmless(slacks: Iterable[Decimal], smallest: Decimal) -> bool:
    return all(slack * _HIDDEN <= smallest for slack in slacks)


def _is_seen(pairs: list[tuple[Decimal, Decimal]], slack: Callable[[Decimal], Decimal]) -> bool:
    """Whether more amounts look rounded than exact."""
    off = [(abs(billed - recorded), slack(billed)) for billed, recorded in pairs]
    exact = sum(by <= _FLOAT for by, _ in off)
    rounded = sum(_FLOAT < by <= most for by, most in off)
    return rounded >= _ENOUGH and rounded > exact
