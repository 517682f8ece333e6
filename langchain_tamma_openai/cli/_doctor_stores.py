"""Checks of `doctor` on where records, budgets and limits are kept."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from langchain_tamma_openai.checks import safe_url
from langchain_tamma_openai.cli._doctor_findings import Finding, broken, note, ok, warning
from langchain_tamma_openai.cli._options import may_hold_ledger
from langchain_tamma_openai.errors import ConfigurationError, TammaError
from langchain_tamma_openai.redact import redact_secrets

if TYPE_CHECKING:
    from pathlib import Path


def ledger(store: str | None) -> Finding:
    """Look whether the ledger can be used.

    Args:
        store: Where it is; None when none is configured.
    """
    from langchain_tamma_openai.usage.store.location import parse_store

    if not store:
        return note("ledger", "none is named", "check one with --store or TAMMA_OPENAI_STORE")
    try:
        location = parse_store(store)
    except ConfigurationError as error:
        return broken("ledger", error.message, "correct --store or TAMMA_OPENAI_STORE")
    if location.path is not None and not location.path.exists():
        return _new_file(location.path)
    if not may_hold_ledger(location):
        fix = "the first program that uses it makes one there; correct --store if it is another's"
        return note("ledger", f"{location.path or location.shown} holds no ledger yet", fix)
    return _opened(location.url, location.shown, location.path)


def is_here(store: str | None) -> bool:
    """Tell whether a ledger can be looked at without asking anybody.

    Args:
        store: Where it is; None when none is configured.
    """
    return bool(store) and not str(store).startswith("postgresql")


def _new_file(path: Path) -> Finding:
    if os.access(path.parent, os.W_OK):
        return note(
            "ledger", f"{path} does not exist yet", "the first program that uses it makes it"
        )
    return broken("ledger", f"{path} cannot be made", f"allow writing to {path.parent}")


def _opened(url: str, shown: str, path: Path | None) -> Finding:
    from langchain_tamma_openai import UsageTracker

    started_s = time.perf_counter()
    try:
        with UsageTracker(url) as tracker:
            requests = tracker.summary().total_requests
    except TammaError as error:
        fix = "see that the database runs, or correct --store"
        return broken("ledger", error.message, fix)
    if path is not None and not os.access(path, os.W_OK):
        return warning("ledger", f"{shown} can only be read", f"allow writing to {path}")
    return ok("ledger", f"{shown}: {requests:,} requests ({_since_ms(started_s)})")


def redis(url: str | None, timeout_s: float) -> Finding:
    """Look whether the Redis of shared limits and circuits answers.

    Args:
        url: Where it is; None when none is configured.
        timeout_s: Seconds to wait.
    """
    if not url:
        return note("redis", "none is named", "check one with --redis or REDIS_URL")
    try:
        from redis import Redis
        from redis.exceptions import RedisError
    except ModuleNotFoundError:
        return broken("redis", "the package is not installed", _EXTRA)
    started_s = time.perf_counter()
    try:
        with Redis.from_url(
            url, socket_timeout=timeout_s, socket_connect_timeout=timeout_s
        ) as client:
            version = client.info("server").get("redis_version")
    except (RedisError, OSError, ValueError) as error:
        reason = redact_secrets(" ".join(str(error).split()))
        return broken(
            "redis", f"{safe_url(url)} does not answer ({reason})", "start it, or correct the URL"
        )
    return ok("redis", f"{safe_url(url)}: Redis {version} ({_since_ms(started_s)})")


_EXTRA = "pip install 'langchain-tamma-openai[redis]'"


def _since_ms(started_s: float) -> str:
    return f"{(time.perf_counter() - started_s) * 1000:.0f} ms"
