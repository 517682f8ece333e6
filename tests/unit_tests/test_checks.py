"""The cheap checks of constructor values: what passes, what is refused, and what is said."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import httpx
import httpx2
import pytest

from langchain_tamma_openai.checks import check_base_url, check_count, check_timeout
from langchain_tamma_openai.errors import ConfigurationError, TammaError


@pytest.mark.parametrize(
    "url",
    [
        None,
        "",
        "https://api.openai.com/v1",
        "HTTP://localhost:8000/v1/",
        "http://127.0.0.1:1/v1",
        "http://[::1]:8080/v1",
        "https://user:pass@proxy.example/v1?tenant=a",
        httpx.URL("https://api.example/v1"),
    ],
)
def test_usable_base_urls_pass(url: object) -> None:
    check_base_url(url)


@pytest.mark.parametrize(
    ("url", "word"),
    [
        ("localhost:8000/v1", "http://"),
        ("api.openai.com/v1", "http://"),
        ("ftp://host/v1", "http://"),
        ("https:api.openai.com", "no host"),
        ("https:///v1", "no host"),
        ("http://:8000/v1", "no host"),
        ("https://host:port/v1", "cannot be read"),
        ("https://host:99999/v1", "cannot be read"),
        ("http://[::1/v1", "cannot be read"),
        ("https://host /v1", "whitespace"),
        ("https://host/v1\n", "whitespace"),
        (" ", "whitespace"),
        (42, "http://"),
    ],
)
def test_unusable_base_urls_name_field_problem_and_remedy(url: object, word: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        check_base_url(url, "openai_api_base")
    text = str(caught.value)
    assert text.startswith("openai_api_base: got ")
    assert word in text
    assert "https://host:8000/v1" in text
    assert isinstance(caught.value, TammaError)
    assert isinstance(caught.value, ValueError)


def test_secrets_in_a_bad_url_are_not_shown() -> None:
    with pytest.raises(ConfigurationError) as caught:
        check_base_url("ftp://me:hunter2@host/v1?key=s3cret#frag")
    text = str(caught.value)
    assert "ftp://host/v1" in text
    assert "hunter2" not in text
    assert "s3cret" not in text


def test_a_long_value_is_cut_in_the_message() -> None:
    with pytest.raises(ConfigurationError) as caught:
        check_base_url("host" * 200)
    assert len(str(caught.value)) < 250


@pytest.mark.parametrize(
    "timeout",
    [
        None,
        1,
        0.001,
        600.0,
        Fraction(1, 2),
        (5, 60),
        (5.0, None),
        (5, 60, 60),
        (5, 60, 60, 5),
        httpx.Timeout(5),
        httpx.Timeout(None),
        httpx2.Timeout(60, connect=5),
    ],
)
def test_usable_timeouts_pass(timeout: object) -> None:
    check_timeout(timeout)


@pytest.mark.parametrize(
    "timeout",
    [
        0,
        -1,
        -0.5,
        float("nan"),
        float("inf"),
        10**400,
        True,
        "60",
        Decimal(60),
        [5, 60],
        (),
        (5,),
        (5, 60, 60, 5, 5),
        (5, -1),
        (float("nan"), 5),
        ("5", 5),
        httpx.Timeout(-1),
        httpx2.Timeout(60, connect=0),
        object(),
    ],
)
def test_unusable_timeouts_name_field_and_remedy(timeout: object) -> None:
    with pytest.raises(ConfigurationError) as caught:
        check_timeout(timeout, "request_timeout")
    text = str(caught.value)
    assert text.startswith("request_timeout: got ")
    assert "greater than 0" in text
    assert "request_timeout=60" in text


@pytest.mark.parametrize(
    ("value", "minimum", "maximum"),
    [(None, 0, 10), (0, 0, 10), (10, 0, 10), (7, 1, None), (-5, None, 0), (3, None, None)],
)
def test_numbers_in_bounds_pass(
    value: int | None, minimum: int | None, maximum: int | None
) -> None:
    check_count(value, "n", minimum, maximum)


@pytest.mark.parametrize(
    ("value", "minimum", "maximum", "bounds"),
    [
        (-1, 0, 10, "a whole number from 0 to 10"),
        (11, 0, 10, "a whole number from 0 to 10"),
        (0, 1, None, "a whole number of at least 1"),
        (1, None, 0, "a whole number of at most 0"),
        (True, None, None, "a whole number;"),
        (1.0, 0, 10, "a whole number from 0 to 10"),
        ("2", 0, 10, "a whole number from 0 to 10"),
    ],
)
def test_numbers_out_of_bounds_say_the_bounds(
    value: object, minimum: int | None, maximum: int | None, bounds: str
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        check_count(value, "max_retries", minimum, maximum)
    assert str(caught.value).startswith(f"max_retries: got {value!r}, must be ")
    assert bounds in str(caught.value)
