"""A dry account is remembered, so that calls fail at once and nobody hammers the server.

No credit left, or a spending limit reached: retrying never helps until somebody pays. The memory is
a circuit that opens at the first such error, for each key and base URL; `circuit_state.py` has the
machine.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from langchain_tamma_openai.checks import safe_url
from langchain_tamma_openai.keys import hash_api_key
from langchain_tamma_openai.kinds import ErrorKind
from langchain_tamma_openai.resilience.bounds import check_flag, check_seconds
from langchain_tamma_openai.resilience.circuit import DEFAULT_BASE_URL, CircuitKey
from langchain_tamma_openai.resilience.circuit_guard import Gate
from langchain_tamma_openai.resilience.circuit_state import CircuitRules, CircuitState, Step
from langchain_tamma_openai.resilience.circuit_storage import (
    MEMORY_URL,
    CircuitStorage,
    OnStorageError,
    open_storage,
)
from langchain_tamma_openai.resilience.classify import ErrorClassifier
from langchain_tamma_openai.resilience.quota_guard import QuotaGuard, Waiting

__all__ = ["QuotaInfo", "QuotaKey", "QuotaMemory", "quota_code"]

_CLASSIFIER = ErrorClassifier()
_MOST_GATES = 256
_UNNAMED = "insufficient_quota"
_BILLING_URL = "https://platform.openai.com/settings/organization/billing"
_LIMITS_URL = "https://platform.openai.com/settings/organization/limits"

_ADVICE = {
    "organization_spend_limit_exceeded": (
        "The organization has reached its spending limit. "
        f"Please ask your administrator to raise it ({_LIMITS_URL})."
    ),
    "project_spend_limit_exceeded": (
        "The project has reached its spending limit. Please ask your administrator to raise the "
        "project's limit or to use another project."
    ),
    "organization_usage_limit_exceeded": (
        "The organization has reached the usage limit that the AI service sets for it. "
        f"Please ask your administrator to request a higher one ({_LIMITS_URL})."
    ),
    "billing_hard_limit_reached": (
        "The account has reached the hard limit set in its billing settings. "
        f"Please ask your administrator to raise it ({_LIMITS_URL})."
    ),
    "billing_not_active": (
        "Billing is not active for this account. "
        f"Please ask your administrator to set up a payment method ({_BILLING_URL})."
    ),
}
_GENERAL_ADVICE = (
    "The account of the AI service has run out of credit. "
    f"Please ask your administrator to add credit ({_BILLING_URL})."
)


class QuotaKey(NamedTuple):
    """Whose quota it is.

    Attributes:
        api_key_hash: `hash_api_key` of the key; never the key itself.
        base_url: Root of the API; None for OpenAI's own.
    """

    api_key_hash: str
    base_url: str | None = None

    @classmethod
    def of(cls, api_key: object, base_url: str | None = None) -> QuotaKey:
        """Name the account of a key.

        Args:
            api_key: Text or a `SecretStr`.
            base_url: Root of the API; None for OpenAI's own.
        """
        return cls(hash_api_key(api_key), base_url)

    @property
    def url(self) -> str:
        """The base URL without anything secret."""
        return safe_url((self.base_url or DEFAULT_BASE_URL).rstrip("/"))

    @property
    def digest(self) -> str:
        """A short name for storages; the same for the same account on every machine."""
        return CircuitKey(self.base_url, self.api_key_hash).digest


@dataclass(frozen=True, slots=True)
class QuotaInfo:
    """What is known about an account that ran dry.

    Attributes:
        key: Whose quota it is.
        code: The server's error code, e.g. ``credit_balance_exhausted``.
        retry_after_s: Seconds until a call goes through to see whether the account is in credit
            again; 0 when the next one may.
        probing: Such a call is under way.
        advice: What to do about it, in plain English.
    """

    key: QuotaKey
    code: str
    retry_after_s: float
    probing: bool
    advice: str


class QuotaMemory:
    """Remembers which accounts ran dry, and fails their calls without a request.

    After ``remember_s`` one call goes through: its success clears the memory, another quota error
    renews it, and anything else leaves the try to the next call. `clear` does the same by hand.

    Examples:
        >>> memory = QuotaMemory(remember_s=300)
        >>> key = QuotaKey.of("sk-proj-1")
        >>> with memory.guard(key):
        ...     pass
        >>> memory.info(key) is None
        True
    """

    def __init__(
        self,
        remember_s: float = 300,
        *,
        wait: bool = False,
        max_wait_s: float | None = None,
        storage: str = MEMORY_URL,
        probe_timeout_s: float = 120,
        on_storage_error: OnStorageError = "open",
        key_prefix: str = "langchain-tamma-openai:quota",
        clock: Callable[[], float] | None = None,
    ) -> None:
        """Set it up; a Redis is asked once whether it is there.

        Args:
            remember_s: Seconds for which calls of a dry account fail at once.
            wait: Wait until the account is in credit again instead of failing. A waiting call ends
                with the cancellation of its task, `cancel_waiting`, or ``max_wait_s``.
            max_wait_s: Longest wait in seconds; None for no limit.
            storage: ``memory://`` for this process, ``redis://host:6379/0`` to share the memory.
            probe_timeout_s: Seconds after which a call that was let through and never heard of
                again gives its place away.
            on_storage_error: When Redis is lost: "open" lets calls out, each process remembering
                for itself; "closed" refuses them with a `StorageError`.
            key_prefix: First part of the keys in Redis.
            clock: Seconds on a clock that never goes back, for tests; None for the usual one.

        Raises:
            ConfigurationError: A setting is out of range, the storage's scheme is unknown, or
                Redis does not answer.
        """
        check_seconds(remember_s, "remember_s")
        check_flag(wait, "wait")
        if max_wait_s is not None:
            check_seconds(max_wait_s, "max_wait_s")
        self._settings = _Settings(
            _rules(remember_s, probe_timeout_s),
            max_wait_s if wait else 0.0,
            storage,
            on_storage_error,
            key_prefix,
            clock,
        )
        self._start()
        self._storage.check()

    def _start(self) -> None:
        self._storage = self._settings.open_storage()
        self._gates: dict[QuotaKey, Gate] = {}
        self._cancelled = threading.Event()

    def guard(self, key: QuotaKey, deadline_s: float | None = None) -> QuotaGuard:
        """Put one call under the memory: ``with memory.guard(key):``, or ``async with``.

        Args:
            key: Whose quota the call uses.
            deadline_s: Most seconds that it may wait, where it waits; None for ``max_wait_s``.

        Returns:
            A context manager. Entering it raises `QuotaExceededError`, with advice for the user,
            while the account is known to be dry.
        """
        gate = self._gates.get(key)
        if gate is None:
            if len(self._gates) >= _MOST_GATES:
                self._gates.clear()
            gate = self._gates[key] = self._new_gate(key)
        clock = self._settings.clock or time.monotonic
        limits = (self._settings.wait_limit_s, deadline_s)
        limit_s = min((limit for limit in limits if limit is not None), default=None)
        return QuotaGuard(gate, Waiting(limit_s, self._cancelled, clock))

    def _new_gate(self, key: QuotaKey) -> Gate:
        return Gate(
            self._storage,
            key.digest,
            failure=quota_code,
            refusal=lambda step: _refusal(_info(key, step)),
            tell=_tell_nobody,
        )

    @property
    def is_local(self) -> bool:
        """Whether what it remembers is kept in this process."""
        return not self._storage.is_remote

    def info(self, key: QuotaKey) -> QuotaInfo | None:
        """Say what is remembered about an account; None when nothing is.

        Args:
            key: Whose quota.
        """
        step = self._storage.look(key.digest)
        return None if step.state is CircuitState.CLOSED else _info(key, step)

    def clear(self, key: QuotaKey) -> None:
        """Forget that an account ran dry, because somebody paid.

        Args:
            key: Whose quota.
        """
        self._storage.forget(key.digest)

    def cancel_waiting(self) -> None:
        """End every wait of this process with a `QuotaExceededError`; later calls wait anew."""
        cancelled, self._cancelled = self._cancelled, threading.Event()
        cancelled.set()

    def __getstate__(self) -> _Settings:
        """Keep the settings and leave the memory behind."""
        return self._settings

    def __setstate__(self, settings: _Settings) -> None:
        """Start anew with the same settings; nothing is connected yet."""
        self._settings = settings
        self._start()


@dataclass(frozen=True, slots=True)
class _Settings:
    rules: CircuitRules
    wait_limit_s: float | None
    storage: str
    on_storage_error: OnStorageError
    key_prefix: str
    clock: Callable[[], float] | None

    def open_storage(self) -> CircuitStorage:
        return open_storage(
            self.storage,
            self.rules,
            key_prefix=self.key_prefix,
            on_error=self.on_storage_error,
            clock=self.clock,
        )


def _rules(remember_s: float, probe_timeout_s: float) -> CircuitRules:
    """A dry account is a circuit that opens at once and is tried by one call at a time."""
    return CircuitRules(
        failure_threshold=1,
        recovery_timeout_s=remember_s,
        window_s=remember_s,
        half_open_max_calls=1,
        probe_timeout_s=probe_timeout_s,
    )


def quota_code(error: BaseException) -> str | None:
    """Say which quota error an exception is, if it is one.

    Args:
        error: What ended a call.

    Returns:
        The server's code, ``insufficient_quota`` where it gave none; None for any other error.
    """
    if not isinstance(error, Exception):
        return None
    for link in (error, error.__cause__):
        # Inside a stream the quota error is the cause of the interruption.
        if isinstance(link, Exception) and _is_quota_error(link):
            return str(getattr(link, "code", None) or _UNNAMED)
    return None


def _is_quota_error(error: Exception) -> bool:
    return _CLASSIFIER.classify(error).kind is ErrorKind.INSUFFICIENT_QUOTA


def _info(key: QuotaKey, step: Step) -> QuotaInfo:
    return QuotaInfo(
        key=key,
        code=step.reason or _UNNAMED,
        retry_after_s=step.retry_after_s,
        probing=step.state is CircuitState.HALF_OPEN and step.retry_after_s > 0,
        advice=_ADVICE.get(step.reason, _GENERAL_ADVICE),
    )


def _refusal(info: QuotaInfo) -> Exception:
    from langchain_tamma_openai.errors import QuotaExceededError

    next_try = (
        "a call is finding out whether it is in credit again"
        if info.probing
        else f"the next call goes through in {info.retry_after_s:.0f} s"
    )
    return QuotaExceededError(
        f"The account of key {info.key.api_key_hash} at {info.key.url} ran dry, so nothing was "
        f"sent; {next_try}, or after QuotaMemory.clear(key)",
        code=info.code,
        retry_after_s=info.retry_after_s,
        user_message=info.advice,
    )


def _tell_nobody(step: Step) -> None:
    del step
