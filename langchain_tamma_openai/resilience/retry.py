"""The one owner of retries: how often, how long between, and when to give up.

Sync and async share one decision object without I/O; tenacity drives the loop and the sleeping.
The first attempt runs bare, so a call that succeeds costs nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import math
import random
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NoReturn, Self, TypeGuard, TypeVar

from langchain_tamma_openai.resilience.classify import ErrorClassifier
from langchain_tamma_openai.resilience.headers import MAX_RETRY_AFTER_S

if TYPE_CHECKING:
    from tenacity import RetryCallState

T = TypeVar("T")

_CLASSIFIER = ErrorClassifier()
_LONGEST_DELAY_S = 86_400.0


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often and how patiently to repeat a call that failed for a passing reason.

    What is worth repeating is decided by the error, not here. A wait that the server asks for is
    kept exactly, also beyond ``max_delay_s``; one over 120 s is refused and the error is raised.

    Attributes:
        max_attempts: Calls in all, the first one included; 1 means no retry.
        base_delay_s: Seconds before the second attempt.
        max_delay_s: Longest computed delay in seconds.
        multiplier: Growth of the delay from one attempt to the next.
        jitter: Draw each delay evenly between 0 and the computed one, so that clients spread out.
        max_elapsed_s: Seconds from the start after which no further attempt begins; None for no
            such limit.
    """

    max_attempts: int = 3
    base_delay_s: float = 0.5
    max_delay_s: float = 8.0
    multiplier: float = 2.0
    jitter: bool = True
    max_elapsed_s: float | None = None

    def __post_init__(self) -> None:
        """Refuse what cannot be meant.

        Raises:
            ConfigurationError: A field has the wrong type or is out of range.
        """
        _check_count("max_attempts", self.max_attempts, least=1)
        _check_number("base_delay_s", self.base_delay_s, least=0.0, most=_LONGEST_DELAY_S)
        _check_number("max_delay_s", self.max_delay_s, least=0.0, most=_LONGEST_DELAY_S)
        _check_number("multiplier", self.multiplier, least=1.0)
        if not isinstance(self.jitter, bool):
            _refuse("jitter", self.jitter, "True or False")
        if self.max_delay_s < self.base_delay_s:
            _refuse("max_delay_s", self.max_delay_s, f"at least base_delay_s ({self.base_delay_s})")
        if self.max_elapsed_s is not None:
            _check_number("max_elapsed_s", self.max_elapsed_s, least=0.0)
            if self.max_elapsed_s == 0:
                _refuse("max_elapsed_s", self.max_elapsed_s, "greater than 0, or None for no limit")

    @classmethod
    def from_max_retries(cls, max_retries: int) -> Self:
        """Build the policy that ``max_retries`` of the OpenAI SDK means.

        Args:
            max_retries: Retries after the first attempt; 0 for none.

        Returns:
            A policy of ``max_retries + 1`` attempts.

        Raises:
            ConfigurationError: Not an integer, or negative.
        """
        _check_count("max_retries", max_retries, least=0)
        return cls(max_attempts=max_retries + 1)

    def backoff_s(self, failed_attempts: int) -> float:
        """Compute the delay after a failure for which the server names none.

        Args:
            failed_attempts: Attempts that have failed so far, at least 1.

        Returns:
            Seconds to wait before the next attempt.
        """
        try:
            delay_s = self.base_delay_s * self.multiplier ** (failed_attempts - 1)
        except OverflowError:
            delay_s = self.max_delay_s
        delay_s = min(delay_s, self.max_delay_s)
        return random.uniform(0.0, delay_s) if self.jitter else delay_s  # noqa: S311 - no secret


@dataclass(frozen=True, slots=True)
class RetryEvent:
    """A failed attempt that is about to be repeated.

    Attributes:
        attempt: Number of the attempt that failed, from 1.
        delay_s: Seconds until the next one begins.
        error: What it failed with.
        elapsed_s: Seconds since the first attempt began.
        retry_state: tenacity's view of the same, which LangChain's `on_retry` callback takes.
    """

    attempt: int
    delay_s: float
    error: Exception
    elapsed_s: float
    retry_state: RetryCallState | None = field(default=None, repr=False, compare=False)


def run_with_retries(
    policy: RetryPolicy,
    attempt: Callable[[], T],
    on_retry: Callable[[RetryEvent], None] | None = None,
) -> T:
    """Call ``attempt`` until it succeeds or the policy gives up.

    Args:
        policy: How often and how patiently.
        attempt: Makes one call.
        on_retry: Told of each failure that will be repeated, before the wait.

    Returns:
        What the first successful attempt returned.

    Raises:
        Exception: The last attempt's own error, never wrapped.
    """
    started_s = time.monotonic()
    try:
        return attempt()
    except Exception as exc:
        decision = _Decision(policy, on_retry, started_s)
        if not decision.repeats(exc, 1):
            raise
        step = _replaying(exc, attempt)
    from tenacity import Retrying

    retrying = Retrying(
        retry=decision.repeats_state,
        wait=decision.delay_of_state,
        before_sleep=decision.report,
        sleep=pause,
        reraise=True,
    )
    return retrying(step)


async def arun_with_retries(
    policy: RetryPolicy,
    attempt: Callable[[], Awaitable[T]],
    on_retry: Callable[[RetryEvent], Awaitable[None] | None] | None = None,
) -> T:
    """Await ``attempt`` until it succeeds or the policy gives up.

    Args:
        policy: How often and how patiently.
        attempt: Makes one call.
        on_retry: Told of each failure that will be repeated, before the wait; awaited when it
            returns an awaitable.

    Returns:
        What the first successful attempt returned.

    Raises:
        Exception: The last attempt's own error, never wrapped.
    """
    started_s = time.monotonic()
    try:
        return await attempt()
    except Exception as exc:
        decision = _Decision(policy, on_retry, started_s)
        if not decision.repeats(exc, 1):
            raise
        step = _areplaying(exc, attempt)
    from tenacity import AsyncRetrying

    retrying = AsyncRetrying(
        retry=decision.repeats_state,
        wait=decision.delay_of_state,
        before_sleep=decision.areport,
        sleep=apause,
        reraise=True,
    )
    return await retrying(step)


class _Decision:
    """What one call does after each failure; sync and async ask the same object."""

    def __init__(
        self,
        policy: RetryPolicy,
        on_retry: Callable[[RetryEvent], Awaitable[None] | None] | None,
        started_s: float,
    ) -> None:
        self._policy = policy
        self._on_retry = on_retry
        self._started_s = started_s
        self._delay_s = 0.0

    def repeats(self, exc: BaseException | None, failed_attempts: int) -> bool:
        """Decide whether to try again, and remember after which delay."""
        if not isinstance(exc, Exception):
            return False
        classified = _CLASSIFIER.classify(exc)
        hint_s = classified.retry_after_s
        if hint_s is not None and hint_s > MAX_RETRY_AFTER_S:
            _note(exc, f"The server asks to wait {hint_s:g} s; come back then.")
            return False
        if not classified.retryable or failed_attempts >= self._policy.max_attempts:
            return False
        self._delay_s = self._policy.backoff_s(failed_attempts) if hint_s is None else hint_s
        return self._is_in_time(exc)

    def _is_in_time(self, exc: Exception) -> bool:
        limit_s = self._policy.max_elapsed_s
        if limit_s is None or self._elapsed_s() + self._delay_s <= limit_s:
            return True
        _note(exc, f"Not tried again: {self._delay_s:g} s more would pass the {limit_s:g} s limit.")
        return False

    def _elapsed_s(self) -> float:
        return time.monotonic() - self._started_s

    def repeats_state(self, state: RetryCallState) -> bool:
        # The first failure was decided before tenacity was asked.
        return state.attempt_number == 1 or self.repeats(_error_of(state), state.attempt_number)

    def delay_of_state(self, state: RetryCallState) -> float:
        del state
        return self._delay_s

    def report(self, state: RetryCallState) -> None:
        self._tell(state)

    async def areport(self, state: RetryCallState) -> None:
        told = self._tell(state)
        if inspect.isawaitable(told):
            await told

    def _tell(self, state: RetryCallState) -> Awaitable[None] | None:
        error = _error_of(state)
        if self._on_retry is None or not isinstance(error, Exception):
            return None
        event = RetryEvent(
            attempt=state.attempt_number,
            delay_s=self._delay_s,
            error=error,
            elapsed_s=self._elapsed_s(),
            retry_state=state,
        )
        return self._on_retry(event)


def _error_of(state: RetryCallState) -> BaseException | None:
    return None if state.outcome is None else state.outcome.exception()


def _replaying(first: Exception, attempt: Callable[[], T]) -> Callable[[], T]:
    """Give tenacity the failure that has already happened, then the real attempts."""
    pending = [first]

    def step() -> T:
        if pending:
            raise pending.pop()
        return attempt()

    return step


def _areplaying(
    first: Exception, attempt: Callable[[], Awaitable[T]]
) -> Callable[[], Awaitable[T]]:
    pending = [first]

    async def step() -> T:
        if pending:
            raise pending.pop()
        return await attempt()

    return step


def _note(exc: Exception, text: str) -> None:
    if text not in getattr(exc, "__notes__", ()):
        exc.add_note(text)


class _Waiting:
    """Whether retries really wait; a count, so that switches may nest."""

    suspended = 0


@contextlib.contextmanager
def no_waiting() -> Iterator[None]:
    """Let retries follow each other at once inside the block; for tests.

    Everything else stays as it is: the number of attempts, the delays reported, the deadline.

    Yields:
        Nothing; waiting is back when the block ends, however it ends.
    """
    _Waiting.suspended += 1
    try:
        yield
    finally:
        _Waiting.suspended -= 1


def pause(delay_s: float) -> None:
    """Wait, unless `no_waiting` is in force."""
    if not _Waiting.suspended:
        time.sleep(delay_s)


async def apause(delay_s: float) -> None:
    """Wait without holding up the event loop, unless `no_waiting` is in force."""
    await asyncio.sleep(0.0 if _Waiting.suspended else delay_s)


def _check_count(name: str, value: object, *, least: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        _refuse(name, value, f"a whole number, at least {least}")


def _check_number(name: str, value: object, *, least: float, most: float = math.inf) -> None:
    if not _is_finite(value) or not least <= value <= most:
        bound = f"at least {least:g}" if most == math.inf else f"from {least:g} to {most:g}"
        _refuse(name, value, f"a finite number {bound}")


def _is_finite(value: object) -> TypeGuard[float]:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:
        return False


def _refuse(name: str, value: object, expected: str) -> NoReturn:
    from langchain_tamma_openai.errors import ConfigurationError

    raise ConfigurationError(
        f"{name}: got {value!r}, must be {expected}; correct it or leave it out", param=name
    )
