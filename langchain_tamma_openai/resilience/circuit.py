"""Circuit breaker: a model whose server keeps failing is given a rest and then probed.

No lock is held while a call runs. Only the server's own failures count; whatever else ends a call
(a wrong request, a rate limit, a cancellation) decides nothing and gives a probe's place back.
"""

from __future__ import annotations

import hashlib
import logging
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import NamedTuple, Protocol

from langchain_tamma_openai.checks import safe_url
from langchain_tamma_openai.kinds import ErrorKind
from langchain_tamma_openai.resilience.bounds import refuse
from langchain_tamma_openai.resilience.circuit_guard import Gate, Guard
from langchain_tamma_openai.resilience.circuit_state import (
    CircuitRules,
    CircuitState,
    Step,
)
from langchain_tamma_openai.resilience.circuit_storage import (
    MEMORY_URL,
    CircuitStorage,
    OnStorageError,
    open_storage,
)
from langchain_tamma_openai.resilience.classify import ErrorClassifier, class_names

__all__ = [
    "CircuitBreaker",
    "CircuitEvent",
    "CircuitKey",
    "CircuitListener",
    "CircuitState",
    "server_failure",
]

logger = logging.getLogger(__name__)

DEFAULT_BASE_URL = "https://api.openai.com/v1"
_CLASSIFIER = ErrorClassifier()
_SERVER_KINDS = frozenset(
    {
        ErrorKind.MODEL_OVERLOADED,
        ErrorKind.SERVER_ERROR,
        ErrorKind.TIMEOUT,
        ErrorKind.CONNECTION,
        ErrorKind.STREAM_INTERRUPTED,
    }
)
_UNREADABLE = frozenset({ErrorKind.MALFORMED_RESPONSE, ErrorKind.UNKNOWN})
_REQUEST_TIMEOUT = 408
_MOST_GATES = 256
_HOOKS = {
    CircuitState.OPEN: "on_open",
    CircuitState.HALF_OPEN: "on_half_open",
    CircuitState.CLOSED: "on_close",
}


@lru_cache(maxsize=1024)
def _digest(root: str, model: str) -> str:
    return hashlib.sha256(f"{root}\n{model}".encode()).hexdigest()[:32]


class CircuitKey(NamedTuple):
    """What one circuit is about.

    Attributes:
        base_url: Root of the API; None for OpenAI's own.
        model: Name of the model.
    """

    base_url: str | None
    model: str

    @property
    def url(self) -> str:
        """The base URL without anything secret."""
        return safe_url((self.base_url or DEFAULT_BASE_URL).rstrip("/"))

    @property
    def digest(self) -> str:
        """A short name for storages; the same for the same key on every machine."""
        return _digest((self.base_url or DEFAULT_BASE_URL).rstrip("/"), self.model)


@dataclass(frozen=True, slots=True)
class CircuitEvent:
    """A circuit has changed its state.

    Attributes:
        key: Which one.
        state: Its state now.
        previous: Its state before.
        failures: Failures counted at that moment.
        reason: What the last failure was, as an `ErrorKind`'s value.
        retry_after_s: Seconds until the next probe, when it opened.
    """

    key: CircuitKey
    state: CircuitState
    previous: CircuitState
    failures: int
    reason: str
    retry_after_s: float


class CircuitListener(Protocol):
    """Told about changes of state, in the thread of the call that caused them.

    Inherit from it to hear only some of them. With a shared storage the process that caused the
    change is told, no other. What a listener raises is logged and does not touch the call.
    """

    def on_open(self, event: CircuitEvent) -> None:
        """Hear that calls are refused from now on."""
        del event

    def on_half_open(self, event: CircuitEvent) -> None:
        """Hear that probes go through."""
        del event

    def on_close(self, event: CircuitEvent) -> None:
        """Hear that calls go through again."""
        del event


class CircuitBreaker:
    """Stops calling a model whose server keeps failing, and probes whether it is back.

    One circuit for each base URL and model. It opens when ``failure_threshold`` failures have come
    together within ``window_s``, where each success takes one failure off the count: at once in an
    outage, and not for the odd failure of a busy server. After ``recovery_timeout_s`` it lets
    ``half_open_max_calls`` probes through; the first that succeeds closes it, one that fails opens
    it anew. One breaker may be shared by many models, threads and event loops. Pickled, it keeps
    its settings and forgets its state; so does a forked process.

    Examples:
        >>> breaker = CircuitBreaker(failure_threshold=1)
        >>> key = CircuitKey(None, "gpt-6-luna")
        >>> with breaker.guard(key):
        ...     pass
        >>> breaker.state(key).value
        'closed'
    """

    def __init__(
        self,
        failure_threshold: int = 5,
        recovery_timeout_s: float = 60,
        window_s: float = 60,
        half_open_max_calls: int = 1,
        storage: str = MEMORY_URL,
        *,
        listeners: Iterable[CircuitListener] = (),
        probe_timeout_s: float = 120,
        on_storage_error: OnStorageError = "open",
        key_prefix: str = "langchain-tamma-openai:circuit",
        clock: Callable[[], float] | None = None,
    ) -> None:
        """Set it up; a Redis is asked once whether it is there.

        Args:
            failure_threshold: Failures that open a circuit.
            recovery_timeout_s: Seconds a circuit stays open before it is probed.
            window_s: Seconds after which a failure is forgotten.
            half_open_max_calls: Probes at the same time.
            storage: ``memory://`` for this process, ``redis://host:6379/0`` to share the state.
            listeners: Told about changes of state.
            probe_timeout_s: Seconds after which a probe that was never heard of again gives its
                place away; choose it longer than your calls take.
            on_storage_error: When Redis is lost: "open" lets calls out, each process watching for
                itself; "closed" refuses them with a `StorageError`. (Not the circuit's state.)
            key_prefix: First part of the keys in Redis.
            clock: Seconds on a clock that never goes back, for tests; None for the usual one.

        Raises:
            ConfigurationError: A setting is out of range, the storage's scheme is unknown, or
                Redis does not answer.
        """
        self._settings = _Settings(
            CircuitRules(
                failure_threshold,
                recovery_timeout_s,
                window_s,
                half_open_max_calls,
                probe_timeout_s,
            ),
            storage,
            _checked(listeners),
            on_storage_error,
            key_prefix,
            clock,
        )
        self._start()
        self._storage.check()

    def _start(self) -> None:
        self._storage = self._settings.open_storage()
        self._gates: dict[CircuitKey, Gate] = {}

    def guard(self, key: tuple[str | None, str]) -> Guard:
        """Put one call under the breaker: ``with breaker.guard((base_url, model)):``.

        ``async with`` does the same without holding up the event loop for a shared storage. Put it
        around one attempt, inside the retries, so that a probe is one request.

        Args:
            key: Base URL (None for OpenAI's own) and model.

        Returns:
            A context manager. Entering it raises `CircuitOpenError`, with ``retry_after_s``, while
            calls are refused, and `StorageError` where ``on_storage_error`` says so.
        """
        named = CircuitKey(*key)
        gate = self._gates.get(named)
        if gate is None:
            if len(self._gates) >= _MOST_GATES:
                self._gates.clear()
            gate = self._gates[named] = self._new_gate(named)
        return Guard(gate)

    def _new_gate(self, key: CircuitKey) -> Gate:
        return Gate(
            self._storage,
            key.digest,
            failure=server_failure,
            refusal=partial(_refusal, key),
            tell=partial(self._tell, key),
        )

    @property
    def is_local(self) -> bool:
        """Whether its state is kept in this process."""
        return not self._storage.is_remote

    def state(self, key: tuple[str | None, str]) -> CircuitState:
        """Say what the next call would find.

        Args:
            key: Base URL (None for OpenAI's own) and model.

        Returns:
            ``half_open`` also when an open circuit is due for its first probe.
        """
        return self._storage.look(CircuitKey(*key).digest).state

    def reset(self, key: tuple[str | None, str]) -> None:
        """Close a circuit by hand; listeners are not told.

        Args:
            key: Base URL (None for OpenAI's own) and model.
        """
        self._storage.forget(CircuitKey(*key).digest)

    def __repr__(self) -> str:
        """Show the settings; never a password."""
        rules = self._settings.rules
        return (
            f"CircuitBreaker(failure_threshold={rules.failure_threshold}, "
            f"recovery_timeout_s={rules.recovery_timeout_s:g}, window_s={rules.window_s:g}, "
            f"half_open_max_calls={rules.half_open_max_calls}, "
            f"storage={safe_url(self._settings.storage)!r})"
        )

    def __getstate__(self) -> _Settings:
        """Keep the settings and leave the state behind."""
        return self._settings

    def __setstate__(self, settings: _Settings) -> None:
        """Start anew with the same settings; nothing is connected yet."""
        self._settings = settings
        self._start()

    def _tell(self, key: CircuitKey, step: Step) -> None:
        if not self._settings.listeners:
            return
        event = CircuitEvent(
            key, step.state, step.previous, step.failures, step.reason, step.retry_after_s
        )
        for listener in self._settings.listeners:
            try:
                getattr(listener, _HOOKS[step.state])(event)
            except Exception:
                logger.exception("A circuit listener failed; the call goes on.")


@dataclass(frozen=True, slots=True)
class _Settings:
    rules: CircuitRules
    storage: str
    listeners: tuple[CircuitListener, ...]
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


def server_failure(error: BaseException) -> ErrorKind | None:
    """Say what kind of failure of the server's side an exception is, if it is one.

    Args:
        error: What ended a call.

    Returns:
        Overloaded, server error, timeout, connection or stream interrupted; None for everything
        that the request, the account, the caller or this process is to blame for.
    """
    if not isinstance(error, Exception):
        return None
    kind = _CLASSIFIER.classify(error).kind
    if kind not in _SERVER_KINDS or _is_refusal(error) or _is_local(error):
        return None
    cause = error.__cause__
    if kind is ErrorKind.STREAM_INTERRUPTED and isinstance(cause, Exception):
        # An error event inside the stream says more than that the stream has ended.
        inner = _CLASSIFIER.classify(cause).kind
        return kind if inner in _SERVER_KINDS | _UNREADABLE else None
    return kind


def _is_refusal(error: Exception) -> bool:
    status = getattr(error, "status_code", None)
    return isinstance(status, int) and 400 <= status < 500 and status != _REQUEST_TIMEOUT  # noqa: PLR2004 - the 4xx family


def _is_local(error: BaseException | None) -> bool:
    """Whether this process ran out of connections, which says nothing about the server."""
    while error is not None:
        if any(name.endswith(".PoolTimeout") for name in class_names(error)):
            return True
        error = error.__cause__
    return False


def _refusal(key: CircuitKey, step: Step) -> Exception:
    from langchain_tamma_openai.errors import CircuitOpenError

    last = f" (last: {step.reason})" if step.reason else ""
    if step.state is CircuitState.OPEN:
        state = f"open after failures of the server{last}"
        next_probe = f"the next probe is allowed in {step.retry_after_s:.1f} s"
    else:
        state = f"half-open{last}, with as many probes under way as are allowed"
        next_probe = "the next probe is allowed when one of them has ended"
    wait_s = max(1, math.ceil(step.retry_after_s))
    return CircuitOpenError(
        f"The circuit for {key.model} at {key.url} is {state}, so nothing was sent; {next_probe}.",
        model=key.model,
        retry_after_s=step.retry_after_s,
        user_message=(
            f"The model '{key.model}' has failed repeatedly and is being given a rest. "
            f"Please try again in {wait_s} second{'' if wait_s == 1 else 's'}."
        ),
    )


def _checked(listeners: Iterable[CircuitListener]) -> tuple[CircuitListener, ...]:
    found = tuple(listeners)
    for listener in found:
        if not all(callable(getattr(listener, hook, None)) for hook in _HOOKS.values()):
            refuse("listeners", listener, "objects with on_open, on_half_open and on_close")
    return found
