"""The windows of a budget: from when until when spending adds up. All in UTC."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

from langchain_tamma_openai.resilience.bounds import refuse

BudgetWindow = Literal["day", "month"] | timedelta | None
"""How long spending adds up: a day or month of the UTC calendar, steps of a fixed length counted
from 1970-01-01T00:00:00Z, or None for ever."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SHORTEST = timedelta(milliseconds=1)
_LONGEST = timedelta(days=36525)
_DECEMBER = 12


@dataclass(frozen=True, slots=True)
class Span:
    """One window: `starts_at` belongs to it, `ends_at` to the next one; None means never."""

    starts_at: datetime | None = None
    ends_at: datetime | None = None


def check_window(window: object) -> None:
    """Check the length of a window.

    Args:
        window: See `BudgetWindow`.

    Raises:
        ConfigurationError: It is none of these.
    """
    if window is None or (isinstance(window, str) and window in {"day", "month"}):
        return
    if not isinstance(window, timedelta) or not _SHORTEST <= window <= _LONGEST:
        refuse(
            "window", window, "'day', 'month', a timedelta from 1 ms to 100 years, or None for ever"
        )


def window_name(window: BudgetWindow) -> str:
    """Name a kind of window so that equal ones have equal names.

    Args:
        window: A checked window.
    """
    if isinstance(window, timedelta):
        return f"{window / timedelta(seconds=1):.15g}s"
    return window or "ever"


def read_window(name: str) -> BudgetWindow:
    """Read what `window_name` wrote.

    Args:
        name: "day", "month", "ever", or seconds as in "3600s".

    Raises:
        ConfigurationError: It is none of these.
    """
    if name in {"day", "month"}:
        return "day" if name == "day" else "month"
    if name == "ever":
        return None
    try:
        window: BudgetWindow = timedelta(seconds=float(name.removesuffix("s")))
    except (ValueError, OverflowError):
        refuse("window", name, "'day', 'month', 'ever' or seconds such as '3600s'")
    check_window(window)
    return window


def span_at(window: BudgetWindow, now_s: float) -> Span:
    """Find the window that a moment belongs to.

    Args:
        window: A checked window.
        now_s: Seconds since 1970-01-01T00:00:00Z.
    """
    if window is None:
        return Span()
    now = _EPOCH + timedelta(seconds=now_s)
    if isinstance(window, timedelta):
        starts_at = _EPOCH + (now - _EPOCH) // window * window
        return Span(starts_at, starts_at + window)
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    if window == "day":
        return Span(midnight, midnight + timedelta(days=1))
    first = midnight.replace(day=1)
    if first.month == _DECEMBER:
        return Span(first, first.replace(year=first.year + 1, month=1))
    return Span(first, first.replace(month=first.month + 1))


def moment_of(text: str | None) -> datetime | None:
    """Read an end of a window as a store keeps it.

    Args:
        text: ISO 8601; None for never.
    """
    return None if text is None else datetime.fromisoformat(text).astimezone(UTC)
