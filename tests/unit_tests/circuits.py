"""What tests of circuits share: a clock that stands still, and a storage that can be lost."""

from __future__ import annotations

from typing import Any

import pytest

from langchain_tamma_openai import errors
from langchain_tamma_openai.resilience.circuit import CircuitBreaker, CircuitKey
from langchain_tamma_openai.resilience.circuit_storage import MemoryStorage, WatchedStorage

KEY = CircuitKey("https://api.example/v1", "gpt-6-luna")


class Clock:
    """Time that moves only when told to."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


def call(breaker: CircuitBreaker, error: BaseException | None = None, key: Any = KEY) -> None:
    with breaker.guard(key):
        if error is not None:
            raise error


def call_that_succeeded(breaker: CircuitBreaker, late: BaseException) -> None:
    with breaker.guard(KEY) as guard:
        guard.succeeded()
        raise late


def fail(breaker: CircuitBreaker, times: int = 1) -> None:
    for _ in range(times):
        with pytest.raises(errors.ServerError):
            call(breaker, errors.ServerError("boom"))


def refused(breaker: CircuitBreaker) -> errors.CircuitOpenError:
    with pytest.raises(errors.CircuitOpenError) as caught:
        call(breaker)
    return caught.value


class Faulty:
    """A shared storage that can be lost."""

    is_remote = True

    def __init__(self, inner: MemoryStorage) -> None:
        self.inner = inner
        self.lost = False
        self.asked = 0

    def _inner(self) -> MemoryStorage:
        self.asked += 1
        if self.lost:
            raise errors.StorageError("Redis at redis://x cannot be used")
        return self.inner

    def admit(self, name: str) -> Any:
        return self._inner().admit(name)

    def settle(self, name: str, *rest: Any) -> Any:
        return self._inner().settle(name, *rest)

    def look(self, name: str) -> Any:
        return self._inner().look(name)

    def forget(self, name: str) -> None:
        self._inner().forget(name)

    def check(self) -> None:
        self._inner()


def share(breaker: CircuitBreaker, on_error: Any = "open") -> Faulty:
    rules, clock = breaker._settings.rules, breaker._settings.clock
    assert clock is not None
    faulty = Faulty(MemoryStorage(rules, clock))
    breaker._storage = WatchedStorage(faulty, MemoryStorage(rules, clock), on_error, clock)
    return faulty
