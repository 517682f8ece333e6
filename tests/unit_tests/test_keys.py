"""API keys: shown redacted, named by hash, judged by prefix and never by length."""

from __future__ import annotations

import openai
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from langchain_tamma_openai.errors import ConfigurationError, TammaError
from langchain_tamma_openai.keys import (
    api_key_problem,
    check_api_key,
    hash_api_key,
    is_official_host,
    redact_api_key,
)

BODY = "abcDEF0123456789_-abcDEF0123456789wxyz"
CUSTOM = "http://localhost:8000/v1"


@pytest.mark.parametrize(
    ("key", "shown"),
    [
        ("sk-proj-" + BODY, "sk-proj-***wxyz"),
        ("sk-svcacct-" + BODY, "sk-svcacct-***wxyz"),
        ("sk-admin-" + BODY, "sk-admin-***wxyz"),
        ("sk-None-" + BODY, "sk-None-***wxyz"),
        ("sk-" + BODY, "sk-***wxyz"),
        ("ek_" + BODY, "ek_***wxyz"),
        ("lsv2_pt_" + BODY, "lsv2_***wxyz"),
        (BODY, "***wxyz"),
        ("sk-short", "sk-***"),
        ("test", "***"),
        ("sk-" + BODY + "\n", "sk-***"),
        ("", "(empty)"),
        (" \n", "(empty)"),
        (None, "(not set)"),
        (lambda: "sk-secret", "(callable)"),
        (12345678, "(int)"),
    ],
)
def test_redacted_key_shows_kind_and_at_most_four_characters(key: object, shown: str) -> None:
    assert redact_api_key(key) == shown


def test_secret_str_is_redacted_like_its_text() -> None:
    assert redact_api_key(SecretStr("sk-proj-" + BODY)) == "sk-proj-***wxyz"


@settings(deadline=None)
@given(st.text(alphabet=st.characters(min_codepoint=33, max_codepoint=126), min_size=9))
def test_no_more_than_four_characters_of_a_body_survive(body: str) -> None:
    shown = redact_api_key("sk-proj-" + body)
    assert len(shown) <= len("sk-proj-***") + 4
    assert body not in shown


def test_hash_is_the_first_eight_hex_digits_of_sha256() -> None:
    # printf %s abc | sha256sum
    assert hash_api_key("abc") == "ba7816bf"
    assert hash_api_key(SecretStr("abc")) == "ba7816bf"


def test_hash_of_something_without_text_is_a_type_error() -> None:
    with pytest.raises(TypeError, match="not function"):
        hash_api_key(lambda: "sk-x")


@pytest.mark.parametrize(
    ("key", "word"),
    [
        ("", "blank"),
        ("   ", "blank"),
        ("\n", "blank"),
        ("sk-proj-abc\n", "line break"),
        ("sk-proj\r\n-abc", "line break"),
        (" sk-proj-abc", "whitespace"),
        ("sk-proj abc", "whitespace"),
        ("sk-proj\tabc", "whitespace"),
        ("sk-proj-\x00abc", "control"),
        ("sk-proj-\x7fabc", "control"),
        ("sk-proj-“abc”", "non-ASCII"),
    ],
)
@pytest.mark.parametrize("base_url", [None, CUSTOM])
def test_unsendable_key_is_refused_on_every_host(key: str, word: str, base_url: str | None) -> None:
    for value in (key, SecretStr(key)):
        with pytest.raises(ConfigurationError) as caught:
            check_api_key(value, base_url)
        text = str(caught.value)
        assert "api_key" in text
        assert "OPENAI_API_KEY" in text
        assert word in text
        assert not key.strip() or key.strip() not in text


def test_key_refusal_is_every_error_a_caller_may_expect() -> None:
    with pytest.raises(ConfigurationError) as caught:
        check_api_key("")
    assert isinstance(caught.value, TammaError)
    assert isinstance(caught.value, ValueError)
    assert isinstance(caught.value, openai.OpenAIError)


def test_remedy_depends_on_the_host() -> None:
    with pytest.raises(ConfigurationError, match=r"platform\.openai\.com"):
        check_api_key("", "https://eu.api.openai.com/v1")
    with pytest.raises(ConfigurationError, match="'unused'"):
        check_api_key("", CUSTOM)


@pytest.mark.parametrize("key", ["test", "foo", "sk-x", "a" * 500, None, lambda: "", 7])
def test_sendable_keys_and_unknown_providers_pass(key: object) -> None:
    check_api_key(key)
    check_api_key(key, CUSTOM, field="openai_api_key")


def test_field_name_is_the_callers() -> None:
    with pytest.raises(ConfigurationError, match=r"^openai_api_key"):
        check_api_key("", field="openai_api_key")


@pytest.mark.parametrize("length", [1, 20, 48, 51, 132, 164, 167, 500])
@pytest.mark.parametrize("prefix", ["sk-", "sk-proj-", "sk-svcacct-", "sk-None-", "ek_"])
def test_known_prefixes_are_fine_at_any_length(prefix: str, length: int) -> None:
    assert api_key_problem(prefix + "A" * length) is None


@pytest.mark.parametrize(
    ("key", "word"),
    [
        ("sk-admin-" + BODY, "admin key"),
        ("lsv2_pt_" + BODY, "LangSmith"),
        ("sk-ant-api03-" + BODY, "Anthropic"),
        ("sk-or-v1-" + BODY, "OpenRouter"),
        ("AIza" + BODY, "Google"),
        (BODY, "does not start like"),
    ],
)
def test_odd_prefix_is_a_finding_on_the_official_host_only(key: str, word: str) -> None:
    for host in (None, "", "https://api.openai.com/v1", "https://us.api.openai.com/v1"):
        finding = api_key_problem(key, host)
        assert finding is not None
        assert finding.startswith("api_key (OPENAI_API_KEY)")
        assert word in finding
        assert key not in finding
    assert api_key_problem(key, CUSTOM) is None


def test_there_is_no_finding_without_text() -> None:
    assert api_key_problem(None) is None
    assert api_key_problem(lambda: "foo") is None


@pytest.mark.parametrize(
    ("url", "official"),
    [
        ("https://api.openai.com/v1", True),
        ("https://API.OpenAI.com", True),
        ("https://eu.api.openai.com/v1/", True),
        ("https://api.openai.com.evil.example/v1", False),
        ("https://notapi.openai.com/v1", False),
        ("https://proxy/api.openai.com", False),
        ("http://[broken/v1", False),
    ],
)
def test_official_host_is_matched_by_host_name(url: str, official: bool) -> None:  # noqa: FBT001 - a parameter
    assert is_official_host(url) is official
