"""`tamma-openai doctor`: what is wrong with key, network, model, ledger and versions."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from langchain_tamma_openai.cli import _options, _output
from langchain_tamma_openai.cli._errors import FAILED

if TYPE_CHECKING:
    from langchain_tamma_openai.cli._doctor_findings import Finding
    from langchain_tamma_openai.cli._doctor_setup import Place

_COLOURS = {"ok": "32", "note": "36", "warn": "33", "fail": "1;31", "skip": "2"}


def command(
    model: _options.Model = None,
    base_url: _options.BaseUrl = None,
    store: _options.Store = None,
    redis: Annotated[
        str | None,
        typer.Option(
            "--redis", envvar="REDIS_URL", metavar="URL", help="Redis of shared limits to check."
        ),
    ] = None,
    timeout_s: Annotated[
        float, typer.Option("--timeout", min=0.1, metavar="SECONDS", help="For each step.")
    ] = 10.0,
    offline: Annotated[
        bool, typer.Option("--offline", help="Ask nobody; look only at what is here.")
    ] = False,
    json: _options.Json = False,
) -> int:
    """Find what is wrong: versions, key, address, proxy, network, model, clock, ledger, tracing.

    Each finding says what to do about it. Nothing is billed: the API is asked for its list of
    models only. The exit code is 1 when something is broken.
    """
    findings = _findings(model, base_url, store, redis, timeout_s, offline=offline)
    if json:
        found = list(findings)
        _output.print_json({"ok": not _broken(found), "findings": found})
        return FAILED if _broken(found) else 0
    found = []
    for finding in findings:
        _print(finding)
        found.append(finding)
    count = len(_broken(found))
    print(f"\n{count or 'nothing'} {'is' if count < 2 else 'are'} broken")  # noqa: PLR2004 - plural
    return FAILED if count else 0


def _broken(findings: list[Finding]) -> list[Finding]:
    return [finding for finding in findings if finding.mark == "fail"]


def _findings(
    model: str | None,
    base_url: str | None,
    store: str | None,
    redis: str | None,
    timeout_s: float,
    *,
    offline: bool,
) -> Iterator[Finding]:
    from langchain_tamma_openai.cli import _doctor_network, _doctor_setup, _doctor_stores
    from langchain_tamma_openai.config import default_model_name

    yield from _doctor_setup.versions()
    place, findings = _doctor_setup.address(base_url, os.environ)
    yield from findings
    key = os.environ.get("OPENAI_API_KEY")
    about_key = _doctor_setup.key(key, None if place is None else place.url)
    yield about_key
    name = model or default_model_name()
    if place is None or offline:
        yield _doctor_network.known_model(name)
    else:
        place, about_proxy = _doctor_setup.proxy(place)
        yield about_proxy
        usable_key = None if about_key.mark == "fail" else key
        yield from _online(place, usable_key, name, timeout_s)
    if not offline or _doctor_stores.is_here(store):
        yield _doctor_stores.ledger(store)
    if not offline:
        yield _doctor_stores.redis(redis, timeout_s)
    yield from _doctor_setup.tracing(os.environ)


def _online(place: Place, key: str | None, model: str, timeout_s: float) -> Iterator[Finding]:
    from langchain_tamma_openai.cli import _doctor_network
    from langchain_tamma_openai.cli._doctor_findings import skipped

    answers, findings = _doctor_network.reach(place, timeout_s)
    yield from findings
    if not answers:
        yield skipped("access", "the API cannot be reached")
    elif key is None:
        yield skipped("access", "there is no key to ask with")
    else:
        llm = _options.chat_model(model, place.url, timeout=timeout_s, max_retries=0)
        yield from _doctor_network.access(llm.root_client, model)
        return
    yield _doctor_network.known_model(model)


def _print(finding: Finding) -> None:
    word = finding.mark.value
    mark = (word.upper() if word == "fail" else word).ljust(4)
    if sys.stdout.isatty() and not os.environ.get("NO_COLOR"):
        mark = f"\x1b[{_COLOURS[word]}m{mark}\x1b[0m"
    print(f"{mark}  {finding.check:<14} {_output.printable(finding.found)}", flush=True)
    if finding.fix:
        print(f"{'':20} -> {_output.printable(finding.fix)}", flush=True)
