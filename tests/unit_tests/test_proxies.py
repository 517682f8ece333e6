"""Which proxy a request takes, beside what the HTTP library decides."""

from __future__ import annotations

import importlib.util
import itertools
import ssl
from functools import cache

import httpx2
import pytest

from langchain_tamma_openai import ChatTammaOpenAI
from langchain_tamma_openai.errors import ConfigurationError
from langchain_tamma_openai.transport import proxies
from langchain_tamma_openai.transport.proxies import ProxyChoice

PROXY = "http://proxy:3128"
VARIABLES = [f"{name}_PROXY" for name in ("HTTP", "HTTPS", "ALL", "NO")]


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


def _choose(url: str, proxy: str | None = None) -> str | None:
    return ProxyChoice(proxy)(httpx2.URL(url))


@cache
def _tls() -> ssl.SSLContext:
    return httpx2.create_ssl_context()


def test_none() -> None:
    assert _choose("https://api.openai.com/v1") is None


def test_a_given_proxy_takes_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.setenv("HTTPS_PROXY", "http://other:1")
    assert _choose("https://api.openai.com/v1", PROXY) == PROXY
    assert _choose("http://localhost/v1", "proxy:3128") == PROXY


def test_the_environment_by_scheme(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "plain:1")
    monkeypatch.setenv("HTTPS_PROXY", "https://secure:2")
    assert _choose("http://host/v1") == "http://plain:1"
    assert _choose("https://host/v1") == "https://secure:2"


def test_one_for_all_schemes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALL_PROXY", PROXY)
    monkeypatch.setenv("HTTP_PROXY", "http://plain:1")
    assert _choose("http://host/v1") == "http://plain:1"
    assert _choose("https://host/v1") == PROXY


def test_only_the_other_scheme_has_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", PROXY)
    assert _choose("https://host/v1") is None


ENTRIES = [
    "example.com",
    ".example.com",
    "*.example.com",
    " EXAMPLE.com ",
    "example.com:8080",
    "localhost",
    "127.0.0.1",
    "10.0.0.0/8",
    "::1",
    "[::1]",
    "[::1]:8080",
    "fe80::/10",
    "a,b.com,example.com",
    "*",
    "other.com,*",
    "192.168.1.0/33",
    "",
    "exam ple",
]
HOSTS = ["example.com", "www.example.com", "notexample.com", "localhost", "127.0.0.1", "10.1.2.3"]
HOSTS += ["[::1]", "[fe80::1]"]


@pytest.mark.parametrize("no_proxy", ENTRIES)
def test_exceptions_are_those_of_the_library(
    monkeypatch: pytest.MonkeyPatch, no_proxy: str
) -> None:
    monkeypatch.setenv("ALL_PROXY", PROXY)
    monkeypatch.setenv("NO_PROXY", no_proxy)
    ours = ProxyChoice()
    with httpx2.Client(verify=_tls()) as library:
        for parts in itertools.product(("http://", "https://"), HOSTS, ("", ":8080", ":443")):
            url = httpx2.URL("".join(parts))
            theirs = library._transport_for_url(url) is not library._transport
            assert (ours(url) is not None) == theirs, url


@pytest.mark.parametrize(
    ("url", "direct"),
    [("http://a.com/v1", True), ("https://a.com/v1", False), ("http://b.com/v1", False)],
)
def test_an_exception_for_one_scheme(
    monkeypatch: pytest.MonkeyPatch, url: str, *, direct: bool
) -> None:
    monkeypatch.setenv("ALL_PROXY", PROXY)
    monkeypatch.setenv("NO_PROXY", "http://a.com,b.com::1")
    assert (_choose(url) is None) == direct


@pytest.mark.parametrize("proxy", ["ftp://h:1", "http://", "http://h:port", "http://[h", "://h"])
def test_a_proxy_that_cannot_be_used(proxy: str) -> None:
    with pytest.raises(ConfigurationError, match=r"openai_proxy: got .*http://host:3128"):
        ChatTammaOpenAI(model="gpt-6-luna", api_key="sk-test", openai_proxy=proxy)
    with pytest.raises(ConfigurationError):
        ProxyChoice(proxy)


def test_a_password_is_not_shown() -> None:
    with pytest.raises(ConfigurationError) as caught:
        ProxyChoice("ftp://user:hunter2@h:1")
    assert "hunter2" not in str(caught.value)


def test_a_socks_proxy_needs_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proxies, "find_spec", lambda _name: None)
    with pytest.raises(ConfigurationError, match="pip install socksio"):
        ProxyChoice("socks5://h:1")
    monkeypatch.setattr(proxies, "find_spec", lambda _name: importlib.util.find_spec("json"))
    assert _choose("https://host/v1", "socks5h://h:1") == "socks5h://h:1"
    llm = ChatTammaOpenAI(model="gpt-6-luna", api_key="sk-test", openai_proxy="socks5://h:1")
    assert llm.openai_proxy == "socks5://h:1"
