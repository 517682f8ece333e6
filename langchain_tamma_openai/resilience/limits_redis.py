"""Rate limits shared by processes and machines through Redis."""

from __future__ import annotations

import json
import os
import time
import weakref
from collections import defaultdict
from contextlib import suppress
from functools import cached_property
from importlib.resources import files
from typing import TYPE_CHECKING
from urllib.parse import quote

from langchain_tamma_openai.checks import safe_url
from langchain_tamma_openai.resilience import limits_bucket as bucket
from langchain_tamma_openai.resilience.headers import MAX_RETRY_AFTER_S
from langchain_tamma_openai.resilience.limits_clients import RedisClients
from langchain_tamma_openai.resilience.limits_info import (
    MINUTE_S,
    RateLimitInfo,
    Reading,
    readings,
)
from langchain_tamma_openai.resilience.limits_leases import LeaseKeeper
from langchain_tamma_openai.resilience.limits_meter import ARRIVED_S, Grant, Limits
from langchain_tamma_openai.resilience.limits_store import (
    RECHECK_PER_PLACE_S,
    RECHECK_S,
    GiveBack,
    Note,
    Observe,
    Release,
    Settle,
    Ticket,
    too_large,
)

if TYPE_CHECKING:
    from langchain_tamma_openai.errors import StorageError

WAIT_LEASE_S = 1.5
"""A waiting call that does not look again this long after it meant to has left the line."""
SLOT_LEASE_S = 10.0
"""A slot becomes free this long after the process that held it died."""
SLOT_RECHECK_S = 0.025
MOST_WALKED = 200
"""Calls ahead that are looked at one by one; who stands further back is not due anyway."""
EXPIRY_S = 3600
"""Keys that nobody uses are gone after this long; limits learned are learned anew."""

Argument = str | int | float | bool | list[str] | list[int | float | None] | None


class RedisStore:
    """Lines in Redis; see `limits.lua` for the decisions."""

    clock = staticmethod(time.monotonic)

    def __init__(self, url: str, limits: Limits, namespace: str) -> None:
        """Connect to nothing yet.

        Args:
            url: Where Redis is.
            limits: For each key.
            namespace: Beginning of the names of all keys in Redis.
        """
        self._clients = RedisClients(url)
        self._name = safe_url(url)
        self._namespace = namespace
        self._concurrency = limits.concurrency
        self._settings = json.dumps(
            {
                "requests": limits.requests,
                "tokens": limits.tokens,
                "concurrency": limits.concurrency,
                "threshold": limits.threshold,
                "minute": MINUTE_S,
                "slack": bucket.SLACK_S,
                "start": bucket.START_SHARE,
                "ramp_seconds": bucket.RAMP_S,
                "ease": bucket.EASE,
                "arrived": ARRIVED_S,
                "recheck": RECHECK_S,
                "recheck_per_place": RECHECK_PER_PLACE_S,
                "slot_recheck": SLOT_RECHECK_S,
                "most_walked": MOST_WALKED,
                "wait_lease": WAIT_LEASE_S,
                "slot_lease": SLOT_LEASE_S,
                "expiry": EXPIRY_S,
            }
        )
        self._failures = 0
        self._leases = LeaseKeeper(self._renew, SLOT_LEASE_S / 3)
        _stores.add(self)

    def after_fork(self) -> None:
        """Leave the slots of the parent process to it."""
        self._leases.after_fork()

    @cached_property
    def _script(self) -> str:
        return (files(__package__) / "limits.lua").read_text(encoding="utf-8")

    def _ask(self, operation: str, key: str, **arguments: Argument) -> list[str]:
        from redis.exceptions import RedisError

        before, source = self._failures, self._script
        try:
            with self._clients.sync() as client:
                self._fail_with_others(before)
                script = client.register_script(source)
                answer = script(self._keys(key), self._arguments(operation, arguments))
        except (RedisError, OSError) as exc:
            raise self._lost(exc) from exc
        return _texts(answer)

    async def _aask(self, operation: str, key: str, **arguments: Argument) -> list[str]:
        from redis.exceptions import RedisError

        before, source = self._failures, self._script
        try:
            async with self._clients.running() as client:
                self._fail_with_others(before)
                script = client.register_script(source)
                answer = await script(self._keys(key), self._arguments(operation, arguments))
        except (RedisError, OSError) as exc:
            raise self._lost(exc) from exc
        return _texts(answer)

    def _fail_with_others(self, failures_before: int) -> None:
        """Do not try what failed for others while this one waited for its turn."""
        if self._failures != failures_before:
            raise ConnectionError("it failed a moment ago")

    def _keys(self, key: str) -> list[str]:
        # The braces keep the keys of one line on one node of a cluster.
        base = f"{self._namespace}:{{{quote(key, safe='')}}}"
        return [f"{base}:{part}" for part in ("state", "line", "wants", "sent", "slots")]

    def _arguments(self, operation: str, arguments: dict[str, Argument]) -> list[str]:
        return [operation, self._settings, json.dumps(arguments)]

    def _lost(self, exc: Exception) -> StorageError:
        from langchain_tamma_openai.errors import StorageError

        self._failures += 1
        return StorageError(
            f"The rate limits at {self._name} cannot be reached ({type(exc).__name__}: {exc}); "
            "start Redis there, correct the URL in storage=, or use storage='memory://'"
        )

    def check(self) -> None:
        """Ask one harmless question.

        Raises:
            StorageError: Redis cannot be reached or does not run scripts.
        """
        self._ask("status", "check")

    def take(self, ticket: Ticket) -> float | None:
        """Let a call through or put it in line; see `Store.take`."""
        return self._taken(ticket, self._ask("take", ticket.key, **self._wish(ticket)))

    async def atake(self, ticket: Ticket) -> float | None:
        """Let a call through or put it in line; see `Store.take`."""
        return self._taken(ticket, await self._aask("take", ticket.key, **self._wish(ticket)))

    def _wish(self, ticket: Ticket) -> dict[str, Argument]:
        ticket.store = self
        return {
            "ident": ticket.ident,
            "tokens": ticket.tokens,
            "slot": ticket.slot,
            "waits": ticket.waits,
        }

    def _taken(self, ticket: Ticket, answer: list[str]) -> float | None:
        outcome, *values = answer
        if outcome == "wait":
            return float(values[0])
        if outcome == "large":
            raise too_large(ticket.tokens, float(values[0]), ticket.key)
        at_s, requests_mark, tokens_mark = map(float, values)
        ticket.grant = Grant(at_s, ticket.tokens, requests_mark, tokens_mark)
        if ticket.slot and self._concurrency is not None:
            self._leases.hold(ticket)
        return None

    def tell(self, note: Note) -> None:
        """Take note of what became of a call."""
        self.forget(note)
        if (message := self._message(note)) is not None:
            operation, key, arguments = message
            self._ask(operation, key, **arguments)

    async def atell(self, note: Note) -> None:
        """Take note of what became of a call."""
        self.forget(note)
        if (message := self._message(note)) is not None:
            operation, key, arguments = message
            await self._aask(operation, key, **arguments)

    def forget(self, note: Note) -> None:
        """Keep a slot no longer when its call is over; asks nothing."""
        if isinstance(note, GiveBack | Release):
            self._leases.drop(note.ticket.ident)

    def _message(self, note: Note) -> tuple[str, str, dict[str, Argument]] | None:
        """Say it for the script; None when the script has nothing to do."""
        match note:
            case GiveBack(ticket):
                return "give_back", ticket.key, _known(ticket)
            case Settle(ticket, excess_tokens):
                return "settle", ticket.key, {"excess": excess_tokens}
            case Release(ticket):
                holds_slot = ticket.slot and self._concurrency is not None
                if ticket.answered and not holds_slot:
                    return None
                return "release", ticket.key, _known(ticket)
            case Observe(key, info, refused, ticket):
                return "observe", key, {**_news(info, ticket), "refused": refused}

    def status(self, key: str) -> RateLimitInfo:
        """Describe the present."""
        return _description(self._ask("status", key))

    async def astatus(self, key: str) -> RateLimitInfo:
        """Describe the present."""
        return _description(await self._aask("status", key))

    def _renew(self, keys: dict[str, str]) -> None:
        from langchain_tamma_openai.errors import StorageError

        by_key: dict[str, list[str]] = defaultdict(list)
        for ident, key in keys.items():
            by_key[key].append(ident)
        for key, idents in by_key.items():
            with suppress(StorageError):  # the next round tries again
                self._ask("renew", key, idents=idents)

    def close(self) -> None:
        """Close the connections of threads."""
        self._clients.close()

    async def aclose(self) -> None:
        """Close the connections of this event loop, too."""
        await self._clients.aclose()


def _texts(answer: object) -> list[str]:
    return [str(value) for value in answer] if isinstance(answer, list) else []


def _known(ticket: Ticket) -> dict[str, Argument]:
    return {
        "ident": ticket.ident,
        "tokens": ticket.tokens,
        "went": ticket.grant is not None,
    }


def _news(info: RateLimitInfo, ticket: Ticket | None) -> dict[str, Argument]:
    requests, tokens = readings(info)
    pause_s = info.retry_after_s
    news: dict[str, Argument] = {
        "went": False,
        "requests": _numbers(requests),
        "reading": _numbers(tokens),
        "pause": None if pause_s is None or pause_s > MAX_RETRY_AFTER_S else pause_s,
    }
    if ticket is not None and (grant := ticket.grant) is not None:
        ticket.answered = True
        news |= _known(ticket)
        news |= {
            "at": grant.at_s,
            "requests_mark": grant.requests_mark,
            "tokens_mark": grant.tokens_mark,
        }
    return news


def _numbers(reading: Reading) -> list[int | float | None]:
    return [reading.limit, reading.remaining, reading.period_s]


def _description(answer: list[str]) -> RateLimitInfo:
    wait, waiting, in_flight, *numbers = answer
    limit_requests, remaining_requests, reset_requests, limit_tokens, remaining_tokens, reset = (
        numbers
    )
    return RateLimitInfo(
        limit_requests=_whole(limit_requests),
        remaining_requests=_whole(remaining_requests),
        reset_requests_s=_number(reset_requests),
        limit_tokens=_whole(limit_tokens),
        remaining_tokens=_whole(remaining_tokens),
        reset_tokens_s=_number(reset),
        retry_after_s=_number(wait),
        waiting=_whole(waiting),
        in_flight=_whole(in_flight),
    )


def _number(text: str) -> float | None:
    return float(text) if text else None


def _whole(text: str) -> int | None:
    return int(float(text)) if text else None


_stores: weakref.WeakSet[RedisStore] = weakref.WeakSet()


def _after_fork() -> None:
    for store in list(_stores):
        store.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
