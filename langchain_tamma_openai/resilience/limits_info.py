"""What a server says about its rate limits, read from the headers of an answer or an error."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, fields
from operator import attrgetter
from typing import NamedTuple, cast

from langchain_tamma_openai.resilience.headers import parse_duration_s, parse_retry_after

MINUTE_S = 60.0
DAY_S = 86_400.0
_ROUNDING = 0.05
_WHOLE = re.compile(r"[0-9]{1,15}")
_WAITS = ("retry-after-ms", "retry-after")
_RAW_PREFIXES = (b"x-ratelimit-", b"retry-after")


@dataclass(frozen=True, slots=True, kw_only=True)
class RateLimitInfo:
    """Rate limits as a server names them, or as a limiter sees them now. Unknown is None, never 0.

    Attributes:
        limit_requests: Requests the bucket holds when it is full.
        remaining_requests: Requests left in it.
        reset_requests_s: Seconds until it is full again; the next call may go much sooner.
        limit_tokens: Tokens the bucket holds when it is full.
        remaining_tokens: Tokens left in it.
        reset_tokens_s: Seconds until it is full again.
        limit_project_tokens: The same three for the project, where it has a limit of its own.
        remaining_project_tokens: Tokens left to the project.
        reset_project_tokens_s: Seconds until the project's bucket is full again.
        retry_after_s: Seconds to wait before the next call; None when there is nothing to wait for.
        waiting: Calls that wait in the limiter's line; None when the server is the source.
        in_flight: Calls that hold one of its slots; None without `max_concurrency`.
    """

    limit_requests: int | None = None
    remaining_requests: int | None = None
    reset_requests_s: float | None = None
    limit_tokens: int | None = None
    remaining_tokens: int | None = None
    reset_tokens_s: float | None = None
    limit_project_tokens: int | None = None
    remaining_project_tokens: int | None = None
    reset_project_tokens_s: float | None = None
    retry_after_s: float | None = None
    waiting: int | None = None
    in_flight: int | None = None

    @classmethod
    def from_headers(cls, headers: Mapping[str, str] | None) -> RateLimitInfo:
        """Read ``x-ratelimit-*``, ``retry-after-ms`` and ``Retry-After``; never raises.

        Values that make no sense (-1, a limit of 0, text, more left than the limit) are unknown,
        as if the header were missing. Names may have any case.

        Args:
            headers: Headers of a response; None for a failure without one.
        """
        memo: dict[type[object], object] | None = getattr(headers, "memo", None)
        if memo is None:
            return cls._of(_named(headers))
        if cls not in memo:  # the limiter and the answer both ask
            memo[cls] = cls._of(_named(headers))
        return cast("RateLimitInfo", memo[cls])

    @classmethod
    def _of(cls, given: Mapping[str, str]) -> RateLimitInfo:
        if not given:
            return cls()
        requests = _reading(given, "requests")
        tokens = _reading(given, "tokens")
        if tokens.limit is None:
            tokens = _reading(given, "tokens_usage_based")
        project = _reading(given, "project-tokens")
        asks_to_wait = any(name in given for name in _WAITS)
        return cls(
            limit_requests=requests.limit,
            remaining_requests=requests.remaining,
            reset_requests_s=requests.reset_s,
            limit_tokens=tokens.limit,
            remaining_tokens=tokens.remaining,
            reset_tokens_s=tokens.reset_s,
            limit_project_tokens=project.limit,
            remaining_project_tokens=project.remaining,
            reset_project_tokens_s=project.reset_s,
            retry_after_s=parse_retry_after(given, now=time.time()) if asks_to_wait else None,
        )

    def as_dict(self) -> dict[str, int | float]:
        """Give what is known as a plain dict, fit for JSON."""
        pairs = zip(_NAMES, _values(self), strict=True)
        return {name: value for name, value in pairs if value is not None}

    def __bool__(self) -> bool:
        """Tell whether anything is known."""
        return any(value is not None for value in _values(self))


_NAMES = tuple(field.name for field in fields(RateLimitInfo))
_values = attrgetter(*_NAMES)


class Reading(NamedTuple):
    """What one answer says about one bucket.

    Attributes:
        limit: What it holds when it is full.
        remaining: What is left.
        reset_s: Seconds until it is full.
    """

    limit: int | None = None
    remaining: int | None = None
    reset_s: float | None = None

    @property
    def period_s(self) -> float:
        """Seconds in which the bucket fills from empty: a minute, or a day where that is evident.

        Some accounts are told their requests per day. A bucket of 10,000 that lacks one request
        and is full again in 8.64s fills in a day. Other numbers are taken for a minute, which is
        what the limits are documented to be.
        """
        if self.limit is None or self.remaining is None or not self.reset_s:
            return MINUTE_S
        # `remaining` is rounded down, so the true deficit lies between missing - 1 and missing.
        missing = self.limit - self.remaining
        shortest_s = self.limit * self.reset_s / max(missing, 1) * (1 - _ROUNDING)
        longest_s = self.limit * self.reset_s / (missing - 1) if missing > 1 else DAY_S
        if shortest_s > MINUTE_S and shortest_s <= DAY_S <= longest_s * (1 + _ROUNDING):
            return DAY_S
        return MINUTE_S


_SILENT = Reading()


def readings(info: RateLimitInfo) -> tuple[Reading, Reading]:
    """Give what an answer says about requests and about tokens, the tighter of account and project.

    Args:
        info: The headers, read.
    """
    requests = Reading(info.limit_requests, info.remaining_requests, info.reset_requests_s)
    account = Reading(info.limit_tokens, info.remaining_tokens, info.reset_tokens_s)
    if info.limit_project_tokens is None:
        return requests, account
    project = Reading(
        info.limit_project_tokens, info.remaining_project_tokens, info.reset_project_tokens_s
    )
    if account.limit is None or project.limit is None:
        return requests, project
    left = [reading.remaining for reading in (account, project) if reading.remaining is not None]
    tighter = min(account.limit, project.limit)
    return requests, Reading(tighter, min(*left, tighter) if left else None)


def _named(headers: Mapping[str, str] | None) -> dict[str, str]:
    """Pick the headers that matter here, by lower-case name."""
    raw = getattr(headers, "raw", None)
    if raw is None:
        return {str(name).lower(): str(value) for name, value in (headers or {}).items()}
    # The HTTP library decodes and joins all headers when it is asked for them by name.
    given: dict[str, str] = {}
    for sent, value in raw:
        name = sent.lower()
        if name.startswith(_RAW_PREFIXES):
            key, text = _text(name), _text(value)
            given[key] = f"{given[key]}, {text}" if key in given else text
    return given


def _text(raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def _reading(headers: Mapping[str, str], kind: str) -> Reading:
    limit = _whole(headers.get(f"x-ratelimit-limit-{kind}"))
    if not limit:
        return _SILENT
    remaining = _whole(headers.get(f"x-ratelimit-remaining-{kind}"))
    if remaining is not None and remaining > limit:
        remaining = None
    return Reading(limit, remaining, parse_duration_s(headers.get(f"x-ratelimit-reset-{kind}")))


def _whole(text: str | None) -> int | None:
    if not text:
        return None
    value = text.strip()
    return int(value) if _WHOLE.fullmatch(value) else None
