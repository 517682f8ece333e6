"""How much the amounts of a file may be rounded, as far as they show it themselves."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

_MOST_DIGITS = 12
_FLOAT = Decimal("1e-12")


class Rounding:
    """The digits that a provider's amounts have.

    A file may cut its amounts after some place, or keep some significant digits. The most digits
    that any of its amounts has tell both.
    """

    def __init__(self, amounts: Iterable[Decimal]) -> None:
        """Look at all amounts of a file.

        Args:
            amounts: US dollars.
        """
        self._places = self._significant = 0
        for amount in amounts:
            plain = amount.normalize()
            exponent = int(plain.as_tuple().exponent)
            self._places = max(self._places, -exponent)
            self._significant = max(self._significant, len(plain.as_tuple().digits))

    def slack(self, amount: Decimal) -> Decimal:
        """Say by how much an amount may be off.

        Args:
            amount: Of the file, in US dollars.
        """
        place = -min(self._places, _MOST_DIGITS)
        if amount:
            place = max(place, amount.adjusted() - self._significant + 1)
        return Decimal(1).scaleb(place) / 2 + _FLOAT

    def same(self, billed: Decimal, expected: Decimal) -> bool:
        """Whether an amount of the file is one that is known exactly.

        Args:
            billed: Of the file, in US dollars.
            expected: In US dollars.
        """
        return abs(billed - expected) <= self.slack(billed)
