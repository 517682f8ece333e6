"""Numbers, times and names as a report writes them. What came from outside is made harmless."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from datetime import UTC, datetime
from decimal import ROUND_HALF_EVEN, Decimal

from langchain_tamma_openai.pricing_cost import plain_decimal
from langchain_tamma_openai.redact import redact_secrets
from langchain_tamma_openai.usage.summary import OTHERS

_MICROSECONDS = 10**6
_CENT = Decimal("0.01")
_SMALL_DIGITS = 3
_LOW_PERCENT, _HIGH_PERCENT = 10, 99
_LONG_S = 10
_THOUSAND = 999.5
_ROUNDS_UP = 0.9995
_UNITS = ((10**12, "T"), (10**9, "B"), (10**6, "M"), (10**3, "k"))
_NO_VALUE = "(none)"


def exact_usd(amount: Decimal | None) -> str:
    """Write an amount without rounding; unknown is said.

    Args:
        amount: US dollars.
    """
    text = plain_decimal(amount)
    return "unknown" if text is None else f"${text}"


def short_usd(amount: Decimal | float | None) -> str:
    """Write an amount to the cent, or with three digits where it is less.

    Args:
        amount: US dollars.
    """
    if amount is None:
        return "unknown"
    exact = Decimal(str(amount)) if isinstance(amount, float) else amount
    if exact == 0:
        return "$0.00"
    sign, size = ("-" if exact < 0 else ""), abs(exact)
    if size < 1:
        places = max(2, _SMALL_DIGITS - 1 - size.adjusted())
        return f"{sign}${size:.{min(places, 15)}f}"
    return f"{sign}${size.quantize(_CENT, ROUND_HALF_EVEN):,}"


def short_count(number: int) -> str:
    """Write a count with three digits and a unit.

    Args:
        number: Tokens, for example.
    """
    for size, unit in _UNITS:
        if abs(number) >= size * _ROUNDS_UP:
            value = number / size
            return f"{value:.3g}{unit}" if abs(value) < _THOUSAND else f"{value:,.0f}{unit}"
    return f"{number:,}"


def share(part: float, whole: float) -> str:
    """Write a part of a whole in percent.

    Args:
        part: The part.
        whole: All of it; nothing gives a dash.
    """
    if not whole:
        return "-"
    percent = 100 * part / whole
    is_extreme = 0 < percent < _LOW_PERCENT or percent > _HIGH_PERCENT
    return f"{percent:.1f} %" if is_extreme else f"{percent:.0f} %"


def seconds(us: float | None) -> str:
    """Write a time in seconds.

    Args:
        us: Microseconds.
    """
    if us is None:
        return "-"
    value = us / _MICROSECONDS
    return f"{value:.3f} s" if value < _LONG_S else f"{value:.1f} s"


def moment(at: datetime) -> str:
    """Write a time in UTC, to the minute.

    Args:
        at: The time.
    """
    utc = at.astimezone(UTC)
    return f"{utc.year:04}-{utc:%m-%d %H:%M}"


def day(at: datetime) -> str:
    """Write a date in UTC.

    Args:
        at: The time.
    """
    return moment(at)[:10]


def span(start: datetime | None, end: datetime | None) -> str:
    """Write a range; `end` is the first moment after it.

    Args:
        start: First moment; None for the beginning.
        end: None for now.
    """
    return f"{moment(start) if start else 'the beginning'} to {moment(end) if end else 'now'} UTC"


def step_start(label: str) -> datetime:
    """Read an hour, day or month that a summary names.

    Args:
        label: As in "2026-03-01T13:00Z", "2026-03-01" or "2026-03".
    """
    whole = label if len(label) > len("2026-03") else f"{label}-01"
    return datetime.fromisoformat(whole.removesuffix("Z")).replace(tzinfo=UTC)


def clean(text: object) -> str:
    """Take secrets and what commands a terminal or reorders a line out of a text.

    Args:
        text: Anything.
    """
    shown = redact_secrets(str(text))
    if shown.isprintable():
        return shown
    return "".join(_clean_char(char) for char in shown)


def _clean_char(char: str) -> str:
    if char.isspace():
        return " "
    return "\N{REPLACEMENT CHARACTER}" if unicodedata.category(char) in {"Cc", "Cf"} else char


def labels(values: Iterable[str | None], rest: int = 0) -> dict[str | None, str]:
    """Name the values of a dimension for people, each differently.

    Args:
        values: In order; None is for runs without one, `OTHERS` for all that are not listed.
        rest: How many are not listed.
    """
    named: dict[str | None, str] = {}
    for value in values:
        text = _label(value, rest)
        while text in named.values():
            text += "\N{PRIME}"
        named[value] = text
    return named


def _label(value: str | None, rest: int) -> str:
    if value is None:
        return _NO_VALUE
    if value == OTHERS:
        return "1 other" if rest == 1 else f"{rest:,} others"
    return clean(value).strip() or "(blank)"
