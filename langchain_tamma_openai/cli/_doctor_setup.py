"""Checks of `doctor` that need no network: versions, key, address, proxies, tracing."""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib import metadata
from urllib.parse import urlsplit

from langchain_tamma_openai._version import __version__
from langchain_tamma_openai.checks import check_base_url, safe_url
from langchain_tamma_openai.cli._doctor_findings import (
    Finding,
    Findings,
    broken,
    note,
    ok,
    warning,
)
from langchain_tamma_openai.errors import ConfigurationError
from langchain_tamma_openai.keys import (
    api_key_problem,
    check_api_key,
    is_official_host,
    redact_api_key,
)
from langchain_tamma_openai.redact import redact_secrets

OFFICIAL_URL = "https://api.openai.com/v1"
_DISTRIBUTION = "langchain-tamma-openai"
_OPTIONAL = ("langchain", "langsmith", "sqlalchemy", "psycopg", "redis", "pyarrow", "httpx2")
_LOCAL_HOSTS = ("localhost", "127.0.0.1", "::1")
_ON = ("1", "true", "yes", "on")
_KEYS_PAGE = "https://platform.openai.com/api-keys"
_DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Place:
    """Where the API is.

    Attributes:
        url: Its root.
        shown: The same without what may be secret.
        scheme: "http" or "https".
        host: Its host.
        port: Its port.
        proxy: URL of the proxy on the way; None for a direct connection.
    """

    url: str
    shown: str
    scheme: str
    host: str
    port: int
    proxy: str | None = None


def versions() -> Findings:
    """Compare what is installed with what this package asks for."""
    yield ok(
        "python",
        f"{platform.python_version()} on {platform.system()} {platform.machine()}, "
        f"{_DISTRIBUTION} {__version__}",
    )
    for name, asked in _asked_for().items():
        yield _version(name, asked)
    extras = {name: _installed(name) for name in _OPTIONAL}
    there = ", ".join(f"{name} {number}" for name, number in extras.items() if number)
    missing = ", ".join(name for name, number in extras.items() if not number)
    yield note("optional", f"{there or 'none'}{f' (not installed: {missing})' if missing else ''}")


def _asked_for() -> dict[str, str]:
    """Give the packages that are needed always, with their ranges."""
    try:
        lines = metadata.requires(_DISTRIBUTION) or []
    except metadata.PackageNotFoundError:  # run from a folder of sources
        return {"openai": "", "langchain-core": ""}
    always = [line for line in lines if "extra ==" not in line]
    return {re.split(r"[^\w.-]", line, maxsplit=1)[0]: line for line in always}


def _installed(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _version(name: str, asked: str) -> Finding:
    from packaging.requirements import InvalidRequirement, Requirement

    number = _installed(name)
    if number is None:
        return broken(name, "is not installed", f"pip install '{asked or name}'")
    try:
        fits = not asked or Requirement(asked).specifier.contains(number, prereleases=True)
    except InvalidRequirement:
        fits = True
    if fits:
        return ok(name, number)
    return broken(name, f"{number}, which does not fit {asked}", f"pip install '{asked}'")


def key(given: str | None, base_url: str | None) -> Finding:
    """Look at the API key, without showing it.

    Args:
        given: The key; None when there is none.
        base_url: The server that it is for.
    """
    if given is None or not given.strip():
        way = f"set OPENAI_API_KEY to a key from {_KEYS_PAGE}"
        own = "set OPENAI_API_KEY to the key of the server, or to any word if it expects none"
        fix = way if is_official_host(base_url) else own
        return broken("key", "OPENAI_API_KEY is not set", fix)
    try:
        check_api_key(given, base_url)
    except ConfigurationError as error:
        found, _, fix = error.message.partition("; ")
        return broken("key", found, fix)
    problem = api_key_problem(given, base_url)
    if problem is not None:
        found, _, fix = problem.partition("; ")
        return warning("key", found, fix or f"use a key from {_KEYS_PAGE}")
    return ok("key", f"{redact_api_key(given)} ({len(given)} characters)")


def address(given: str | None, environ: Mapping[str, str]) -> tuple[Place | None, list[Finding]]:
    """Look at the address of the API.

    Args:
        given: What was typed; None for the environment's.
        environ: The environment.

    Returns:
        The place, None when there is none that can be used; and what was found.
    """
    variables = [name for name in ("OPENAI_API_BASE", "OPENAI_BASE_URL") if environ.get(name)]
    source = "--base-url" if given else (variables or ["the default"])[0]
    url = given or (environ[variables[0]] if variables else OFFICIAL_URL)
    try:
        check_base_url(url, source)
    except ConfigurationError as error:
        return None, [broken("address", error.message, "correct it there")]
    parts = urlsplit(url)
    port = parts.port or _DEFAULT_PORTS[parts.scheme.lower()]
    place = Place(url, safe_url(url), parts.scheme.lower(), parts.hostname or "", port)
    return place, [_address(place, source, variables, environ)]


def _address(
    place: Place, source: str, variables: list[str], environ: Mapping[str, str]
) -> Finding:
    found = f"{place.shown} ({source})"
    if len({environ[name] for name in variables}) > 1 and source != "--base-url":
        fix = f"{variables[0]} wins over {variables[1]}; unset one of them"
        return warning("address", f"{found}, and the other variable says otherwise", fix)
    if place.scheme == "http" and place.host not in _LOCAL_HOSTS:
        return warning("address", f"{found}: the key travels unencrypted", "use https://")
    if not urlsplit(place.url).path.strip("/"):
        return warning(
            "address", f"{found} has no path", "most servers expect one that ends in /v1"
        )
    return ok("address", found)


def proxy(place: Place) -> tuple[Place, Finding]:
    """Find the proxy on the way to the API.

    Args:
        place: Where the API is.

    Returns:
        The place with its proxy, and what was found.
    """
    from langchain_tamma_openai.transport.http_library import http_library
    from langchain_tamma_openai.transport.proxies import ProxyChoice, checked_proxy

    given = os.environ.get("OPENAI_PROXY")
    names = [name for name in sorted(os.environ) if name.lower() in _PROXY_VARIABLES]
    told = redact_secrets(", ".join(f"{name}={os.environ[name]}" for name in names))
    try:
        chosen = checked_proxy(given, "OPENAI_PROXY") if given else None
        chosen = chosen or ProxyChoice()(http_library().URL(place.url))
    except ConfigurationError as error:
        return place, broken("proxy", error.message, "correct the variable or unset it")
    if chosen is None:
        return place, ok("proxy", f"none for {place.host}{f' ({told})' if told else ''}")
    return replace(place, proxy=chosen), note(
        "proxy",
        f"{safe_url(chosen)} on the way to {place.host}",
        f"if it should not be, add {place.host} to NO_PROXY",
    )


_PROXY_VARIABLES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")


def tracing(environ: Mapping[str, str]) -> Findings:
    """Look at where traces go.

    Args:
        environ: The environment.
    """
    flags = ("LANGSMITH_TRACING", "LANGSMITH_TRACING_V2", "LANGCHAIN_TRACING_V2")
    on = [name for name in flags if environ.get(name, "").strip().lower() in _ON]
    secret = environ.get("LANGSMITH_API_KEY") or environ.get("LANGCHAIN_API_KEY")
    project = environ.get("LANGSMITH_PROJECT") or environ.get("LANGCHAIN_PROJECT") or "default"
    if on and not secret:
        yield warning(
            "tracing",
            f"{on[0]} is on, but there is no LANGSMITH_API_KEY",
            f"set it or unset {on[0]}",
        )
    elif on:
        where = environ.get("LANGSMITH_ENDPOINT") or "LangSmith"
        yield note("tracing", f"{on[0]} is on: runs go to {safe_url(where)}, project {project}")
    else:
        yield note("tracing", "LangSmith is off")
    collector = environ.get("OTEL_EXPORTER_OTLP_ENDPOINT")
    if collector:
        yield note("tracing", f"OpenTelemetry goes to {safe_url(collector)}")
