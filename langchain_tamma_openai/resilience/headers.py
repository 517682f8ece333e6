"""Reads what a server says about time: rate-limit durations and how long to wait."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping

MAX_RETRY_AFTER_S = 120.0
"""A longer wait than this is refused; the SDK draws the line at the same place."""

_UNIT_S = {
    "h": 3600.0,
    "m": 60.0,
    "s": 1.0,
    "ms": 1e-3,
    "us": 1e-6,
    "µs": 1e-6,
    "μs": 1e-6,
    "ns": 1e-9,
}
_PART = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|us|µs|μs|ns|h|m|s)")
_NUMBER = re.compile(r"[0-9]+(?:\.[0-9]+)?")
_LONGEST_DURATION = 64
_IN_MESSAGE = (
    # SDK 2.x quotes the message inside the printed body, so a quote may end it too.
    re.compile(r"try again in (\S+?)\.?(?:[\s'\"]|$)", re.IGNORECASE),
    re.compile(r"retry after (\d+) seconds?", re.IGNORECASE),
)


def parse_duration_s(text: str | None) -> float | None:
    """Read a duration as Go writes it, the format of ``x-ratelimit-reset-*``.

    Args:
        text: E.g. ``6m0s``, ``7.66s``, ``12ms``, ``8h38m24s``; a number without a unit is seconds.

    Returns:
        Seconds, or None when the text is not a duration. Unknown is never 0.
    """
    value = (text or "").strip()
    if not value or len(value) > _LONGEST_DURATION:
        return None
    if _NUMBER.fullmatch(value):
        return float(value)
    parts = _PART.findall(value)
    if "".join(number + unit for number, unit in parts) != value:
        return None
    return math.fsum(float(number) * _UNIT_S[unit] for number, unit in parts)


def parse_retry_after(
    headers: Mapping[str, str] | None, message: str | None = None, now: float = 0.0
) -> float | None:
    """Find out how long the server asks to wait.

    ``retry-after-ms`` comes first, then ``Retry-After`` as seconds or as an HTTP date, then the
    words "Please try again in 1.146s." A wait of zero or less is no answer: the caller's own
    backoff is used then, as the SDK does.

    Args:
        headers: Response headers; a plain mapping must have lower-case names.
        message: The server's error message.
        now: The present as seconds since 1970, for dates.

    Returns:
        Seconds greater than 0 (infinite when the number is too large to hold), or None.
    """
    headers = headers or {}
    candidates = (
        _scaled(_number(headers.get("retry-after-ms")), 1e-3),
        _number(headers.get("retry-after")),
        _seconds_until(headers.get("retry-after"), now),
        _wait_in_message(message),
    )
    return next((seconds for seconds in candidates if seconds is not None and seconds > 0), None)


def _number(text: str | None) -> float | None:
    """Read a number; ``nan`` and a literal ``inf`` are not numbers of seconds."""
    if text is None or not any(character.isdigit() for character in text):
        return None
    try:
        return float(text)
    except ValueError:
        return None


def _scaled(value: float | None, factor: float) -> float | None:
    return None if value is None else value * factor


def _seconds_until(text: str | None, now: float) -> float | None:
    if not text:
        return None
    from email.utils import mktime_tz, parsedate_tz

    date = parsedate_tz(text)
    if date is None:
        return None
    try:
        return mktime_tz(date) - now
    except (ValueError, OverflowError):
        return None


def _wait_in_message(message: str | None) -> float | None:
    for pattern in _IN_MESSAGE:
        if found := pattern.search(message or ""):
            return parse_duration_s(found[1] if found[1][-1:].isalpha() else found[1] + "s")
    return None
