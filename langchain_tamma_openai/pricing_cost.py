"""The cost of an answer: amounts in exact decimals, None where unknown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Context, Decimal

# Wide enough that no product or sum of prices and token counts is ever rounded.
EXACT = Context(prec=100)
_NOT_A_COST = (AttributeError, KeyError, TypeError, ValueError, ArithmeticError)


@dataclass(frozen=True, slots=True)
class CostPart:
    """Cost of the tokens of one kind.

    The kinds are "input", "cached_input", "cache_write", "cache_write_12h", "input_audio",
    "output", "reasoning" and "output_audio".
    """

    kind: str
    tokens: int
    usd_per_mtok: Decimal
    usd: Decimal


@dataclass(frozen=True, slots=True)
class Cost:
    """Cost of one answer in US dollars, or of several added up.

    The three amounts are None together when the cost is not known, and `unknown_reason` then says
    why; unknown is never 0. `input_usd + output_usd == total_usd` exactly. Costs add with `+` and
    `sum()`: a sum with an unknown part is unknown.
    """

    input_usd: Decimal | None = None
    output_usd: Decimal | None = None
    total_usd: Decimal | None = None
    currency: str = "USD"
    pricing_source: str | None = None
    estimated: bool = False
    parts: tuple[CostPart, ...] = ()
    unknown_reason: str | None = None

    def __repr__(self) -> str:
        """Say what it comes to, in exact dollars."""
        if self.total_usd is None:
            reason = f": {self.unknown_reason}" if self.unknown_reason else ""
            return f"Cost(unknown{reason})"
        split = f"in ${plain_decimal(self.input_usd)}, out ${plain_decimal(self.output_usd)}"
        notes = "".join(f", {note}" for note in self._notes)
        return f"Cost(${plain_decimal(self.total_usd)} = {split}{notes})"

    @property
    def _notes(self) -> list[str]:
        notes = [] if self.currency == "USD" else [self.currency]
        notes += ["estimated"] if self.estimated else []
        return notes + ([self.pricing_source] if self.pricing_source else [])

    def _repr_html_(self) -> str:
        from langchain_tamma_openai.notebook import table_html

        rows = [
            (part.kind, part.tokens, plain_decimal(part.usd_per_mtok), plain_decimal(part.usd))
            for part in self.parts
        ]
        total = ("total", "", "", plain_decimal(self.total_usd) or "unknown")
        heads = ("tokens of", "number", "$ per million", "$")
        return table_html(heads, [*rows, total], repr(self))

    def as_metadata(self) -> dict[str, str | bool | None]:
        """Give the `response_metadata["cost"]` of an answer: plain decimal strings or None."""
        return {
            "input_usd": plain_decimal(self.input_usd),
            "output_usd": plain_decimal(self.output_usd),
            "total_usd": plain_decimal(self.total_usd),
            "currency": self.currency,
            "pricing_source": self.pricing_source,
            "estimated": self.estimated,
        }

    @classmethod
    def from_metadata(cls, raw: Mapping[str, object]) -> Cost | None:
        """Read `response_metadata["cost"]` back; None when it is not such a mapping."""
        try:
            source = raw.get("pricing_source")
            return cls(
                input_usd=_read_amount(raw["input_usd"]),
                output_usd=_read_amount(raw["output_usd"]),
                total_usd=_read_amount(raw["total_usd"]),
                currency=str(raw.get("currency", "USD")),
                pricing_source=None if source is None else str(source),
                estimated=raw.get("estimated") is True,
            )
        except _NOT_A_COST:
            return None

    def __add__(self, other: Cost) -> Cost:
        """Add two costs of the same currency."""
        if not isinstance(other, Cost) or other.currency != self.currency:
            return NotImplemented
        return Cost(
            add_usd(self.input_usd, other.input_usd),
            add_usd(self.output_usd, other.output_usd),
            add_usd(self.total_usd, other.total_usd),
            self.currency,
            _joined(self.pricing_source, other.pricing_source),
            self.estimated or other.estimated,
            _merged(self.parts + other.parts),
            self.unknown_reason or other.unknown_reason,
        )

    def __radd__(self, other: int) -> Cost:
        """Let `sum()` start at its usual 0."""
        return self if other == 0 else NotImplemented


def plain_decimal(amount: Decimal | None) -> str | None:
    """Write an amount without exponent and without trailing zeros: "0.0000125"."""
    if amount is None:
        return None
    text = format(amount, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def add_usd(left: Decimal | None, right: Decimal | None) -> Decimal | None:
    """Add exactly; unknown when either is."""
    return None if left is None or right is None else EXACT.add(left, right)


def _read_amount(value: object) -> Decimal | None:
    if value is None:
        return None
    amount = Decimal(str(value))
    if not amount.is_finite():
        raise ValueError(value)
    return amount


def _joined(left: str | None, right: str | None) -> str | None:
    names = [name for source in (left, right) if source for name in source.split("; ")]
    return "; ".join(dict.fromkeys(names)) or None


def _merged(parts: tuple[CostPart, ...]) -> tuple[CostPart, ...]:
    merged: dict[tuple[str, Decimal], CostPart] = {}
    for part in parts:
        key = (part.kind, part.usd_per_mtok)
        seen = merged.get(key)
        merged[key] = (
            part
            if seen is None
            else replace(part, tokens=seen.tokens + part.tokens, usd=EXACT.add(seen.usd, part.usd))
        )
    return tuple(merged.values())
