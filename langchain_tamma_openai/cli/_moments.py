"""Times as people type them."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from langchain_tamma_openai.cli._errors import wrong_argument

_AGO = re.compile(r"(\d{1,6})([mhdw])")
_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_EXPECTED = "a date, a time in ISO 8601, `7d`, `12h` or `30m` ago, `today`, `yesterday` or `month`"


def parse_moment(text: str, name: str, now: datetime | None = None) -> datetime:
    """Read a time.

    Args:
        text: ISO 8601 (without a zone it is UTC), `7d`, `12h`, `30m` or `2w` ago, `now`, or the
            beginning of `today`, `yesterday` or this `month`, in UTC.
        name: The option it was typed for.
        now: For tests.

    Raises:
        CommandError: It is no time.
    """
    present = now or datetime.now(UTC)
    midnight = present.replace(hour=0, minute=0, second=0, microsecond=0)
    words = {
        "now": present,
        "today": midnight,
        "yesterday": midnight - timedelta(days=1),
        "month": midnight.replace(day=1),
    }
    if (word := words.get(text.lower())) is not None:
        return word
    try:
        if ago := _AGO.fullmatch(text.lower()):
            return present - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
        moment = datetime.fromisoformat(text)
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        raise wrong_argument(name, text, _EXPECTED) from None
