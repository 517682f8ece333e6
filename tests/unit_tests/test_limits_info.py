"""What the headers of an answer say about rate limits."""

from __future__ import annotations

import time
from email.utils import formatdate

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from langchain_tamma_openai.resilience.limits_info import (
    DAY_S,
    MINUTE_S,
    RateLimitInfo,
    Reading,
    readings,
)

DOCUMENTED = {
    "x-ratelimit-limit-requests": "60",
    "x-ratelimit-limit-tokens": "150000",
    "x-ratelimit-remaining-requests": "59",
    "x-ratelimit-remaining-tokens": "149984",
    "x-ratelimit-reset-requests": "1s",
    "x-ratelimit-reset-tokens": "6m0s",
}
PROJECT = {
    "x-ratelimit-limit-project-tokens": "60000",
    "x-ratelimit-remaining-project-tokens": "57000",
    "x-ratelimit-reset-project-tokens": "3s",
}


def test_the_documented_headers_are_read() -> None:
    info = RateLimitInfo.from_headers(DOCUMENTED | PROJECT | {"retry-after": "56"})

    assert info == RateLimitInfo(
        limit_requests=60,
        remaining_requests=59,
        reset_requests_s=1.0,
        limit_tokens=150_000,
        remaining_tokens=149_984,
        reset_tokens_s=360.0,
        limit_project_tokens=60_000,
        remaining_project_tokens=57_000,
        reset_project_tokens_s=3.0,
        retry_after_s=56.0,
    )


@pytest.mark.parametrize("make", [dict, httpx2.Headers])
def test_names_may_have_any_case(make: type[dict[str, str]]) -> None:
    shouting = {name.upper(): value for name, value in DOCUMENTED.items()}

    assert RateLimitInfo.from_headers(make(shouting)) == RateLimitInfo.from_headers(DOCUMENTED)


@pytest.mark.parametrize("headers", [None, {}, {"content-type": "application/json"}])
def test_nothing_said_is_nothing_known(headers: dict[str, str] | None) -> None:
    info = RateLimitInfo.from_headers(headers)

    assert info == RateLimitInfo()
    assert not info
    assert info.as_dict() == {}


@pytest.mark.parametrize("limit", ["-1", "0", "", "many", "1e3", "9" * 16, "60.5", "٦٠"])
def test_an_odd_limit_makes_its_bucket_unknown(limit: str) -> None:
    info = RateLimitInfo.from_headers(DOCUMENTED | {"x-ratelimit-limit-requests": limit})

    assert info.limit_requests is None
    assert info.remaining_requests is None
    assert info.limit_tokens == 150_000


@pytest.mark.parametrize("remaining", ["-1", "61", "", "later"])
def test_an_odd_remainder_is_unknown(remaining: str) -> None:
    info = RateLimitInfo.from_headers(DOCUMENTED | {"x-ratelimit-remaining-requests": remaining})

    assert info.limit_requests == 60
    assert info.remaining_requests is None


def test_nothing_left_is_known() -> None:
    info = RateLimitInfo.from_headers(DOCUMENTED | {"x-ratelimit-remaining-requests": "0"})

    assert info.remaining_requests == 0


@pytest.mark.parametrize(
    ("reset", "seconds"), [("", None), ("later", None), ("12ms", 0.012), ("8h38m24s", 31_104.0)]
)
def test_reset_times_are_durations(reset: str, seconds: float | None) -> None:
    info = RateLimitInfo.from_headers(DOCUMENTED | {"x-ratelimit-reset-tokens": reset})

    assert info.reset_tokens_s == seconds


def test_usage_based_tokens_stand_in_for_missing_ones() -> None:
    headers = {
        "x-ratelimit-limit-tokens_usage_based": "1000",
        "x-ratelimit-remaining-tokens_usage_based": "900",
    }

    info = RateLimitInfo.from_headers(headers)

    assert (info.limit_tokens, info.remaining_tokens) == (1000, 900)


def test_a_date_to_come_back_at_is_a_wait() -> None:
    info = RateLimitInfo.from_headers({"retry-after": formatdate(time.time() + 100, usegmt=True)})

    assert info.retry_after_s is not None
    assert 90 < info.retry_after_s <= 100


def test_as_dict_is_fit_for_json() -> None:
    info = RateLimitInfo.from_headers({"retry-after-ms": "250"})

    assert info
    assert info.as_dict() == {"retry_after_s": 0.25}


@given(st.dictionaries(st.sampled_from([*DOCUMENTED, *PROJECT, "retry-after"]), st.text()))
def test_no_header_makes_it_raise(headers: dict[str, str]) -> None:
    info = RateLimitInfo.from_headers(headers)

    assert all(value >= 0 for value in info.as_dict().values())


def test_the_tighter_of_account_and_project_counts() -> None:
    requests, tokens = readings(RateLimitInfo.from_headers(DOCUMENTED | PROJECT))

    assert requests == Reading(60, 59, 1.0)
    assert (tokens.limit, tokens.remaining) == (60_000, 57_000)


def test_a_project_with_less_left_than_the_account_counts() -> None:
    rich_project = {
        "x-ratelimit-limit-project-tokens": "900000",
        "x-ratelimit-remaining-project-tokens": "7",
    }

    _, tokens = readings(RateLimitInfo.from_headers(DOCUMENTED | rich_project))

    assert (tokens.limit, tokens.remaining) == (150_000, 7)


def test_a_project_alone_counts() -> None:
    _, tokens = readings(RateLimitInfo.from_headers(PROJECT))

    assert tokens == Reading(60_000, 57_000, 3.0)


def test_two_limits_without_remainders_stay_without() -> None:
    _, tokens = readings(RateLimitInfo(limit_tokens=10, limit_project_tokens=5))

    assert tokens == Reading(5, None)


@pytest.mark.parametrize(
    ("reading", "period_s"),
    [
        (Reading(60, 59, 1.0), MINUTE_S),
        (Reading(3, 2, 20.0), MINUTE_S),
        (Reading(10_000, 9_999, 8.64), DAY_S),
        (Reading(10_000, 9_000, 8_635.0), DAY_S),
        (Reading(200, 0, 86_400.0), DAY_S),
        (Reading(150_000, 149_984, 360.0), MINUTE_S),  # OpenAI's own sample; it fits no period
        (Reading(5_000, 5_000, 0.0), MINUTE_S),
        (Reading(5_000, 4_000, None), MINUTE_S),
        (Reading(5_000, None, 8.0), MINUTE_S),
        (Reading(600, 300, 30.05), MINUTE_S),
    ],
)
def test_a_day_is_taken_only_where_it_is_evident(reading: Reading, period_s: float) -> None:
    assert reading.period_s == period_s
