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
from collections.abc import Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NoReturn, Self, TypeGuard, TypeVar

from langchain_tamma_openai.kinds import ErrorKind
from langchain_tamma_openai.resilience.classify import ClassifiedError, ErrorClassifier
from langchain_tamma_openai.resilience.deadline import Deadline
from langchain_tamma_openai.resilience.headers import MAX_RETRY_AFTER_S

if TYPE_CHECKING:
    from tenacity import RetryCallState

T = TypeVar("T")

RetryOn = Callable[[Exception], bool] | Iterable[ErrorKind | str | type[Exception]]
"""What to retry instead of what the classifier says: a function, or kinds and exception classes."""

_CLASSIFIER = ErrorClassifier()
_LONGEST_DELAY_S = 86_400.0


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often and how patiently to repeat a call that failed for a passing reason.

    What is worth repeating is decided by the error, unless ``retry_on`` says otherwise. A wait that
    the server asks for is kept exactly, also beyond ``max_delay_s``; one over 120 s is refused and
    the error is raised.

    Attributes:
        max_attempts: Calls in all, the first one included; 1 means no retry.
        base_delay_s: Seconds before the second attempt.
        max_delay_s: Longest computed delay in seconds.
        multiplier: Growth of the delay from one attempt to the next.
        jitter: Draw each delay evenly between 0 and the computed one, so that clients spread out.
        max_elapsed_s: Seconds for the whole of it, waits included: no attempt begins later, and one
            that is under way then ends as a timeout. Of a stream only the beginning counts. None
            for no such limit.
        retry_on: Retry these instead: a function of the error, or error kinds and exception
            classes. A dry account is tried again only where its kind itself is named.
    """

    max_attempts: int = 3
    base_delay_s: float = 0.5
    max_delay_s: float = 8.0
    multiplier: float = 2.0
    jitter: bool = True
    max_elapsed_s: float | None = None
    retry_on: RetryOn | None = None

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
        if self.retry_on is not None and not callable(self.retry_on):
            object.__setattr__(self, "retry_on", _checked_reasons(self.retry_on))

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

    def repeats(self, error: Exception, classified: ClassifiedError) -> bool:
        """Say whether an error is worth another attempt.

        Args:
            error: What the attempt failed with.
            classified: The same, classified.
        """
        if self.retry_on is None:
            return classified.retryable
        if not isinstance(self.retry_on, tuple):
            return bool(self.retry_on(error))  # type: ignore[operator]  # checked when made
        if classified.kind in self.retry_on:
            return True
        classes = tuple(reason for reason in self.retry_on if isinstance(reason, type))
        return isinstance(error, classes) and classified.kind is not ErrorKind.INSUFFICIENT_QUOTA

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
    return Retries(policy, on_retry).run(attempt)


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
    return await Retries(policy, on_retry).arun(attempt)


class Retries:
    """The attempts at one call: what follows each failure; sync and async ask the same object.

    A stream that broke may come back for more: the attempts made so far and the time stay counted.

    Attributes:
        policy: How often and how patiently.
        attempts: Attempts begun so far.
        deadline: When all of it has to be over.
    """

    def __init__(
        self,
        policy: RetryPolicy,
        on_retry: Callable[[RetryEvent], Awaitable[None] | None] | None = None,
        deadline: Deadline | None = None,
    ) -> None:
        """Start the clock.

        Args:
            policy: How often and how patiently.
            on_retry: Told of each failure that will be repeated, before the wait.
            deadline: When the call began, and when it has to be over; None for the policy's own
                limit from now on.
        """
        self.policy = policy
        self.attempts = 0
        self.deadline = deadline or Deadline(policy.max_elapsed_s, "max_elapsed_s")
        self._on_retry = on_retry
        self._started_s = time.monotonic()
        self._delay_s = 0.0

    @property
    def attempts_left(self) -> int:
        """Attempts that may still be made."""
        return self.policy.max_attempts - self.attempts

    @property
    def delay_s(self) -> float:
        """Seconds to wait before the attempt that was granted last."""
        return self._delay_s

    def run(self, attempt: Callable[[], T], after: Exception | None = None) -> T:
        """Call ``attempt`` until it succeeds or the policy gives up.

        Args:
            attempt: Makes one call.
            after: The failure that `grants` has just granted another attempt.

        Raises:
            Exception: The last attempt's own error, never wrapped.
        """
        if after is None:
            try:
                self.attempts += 1
                return attempt()
            except Exception as exc:
                if not self.repeats(exc):
                    raise
                after = exc
        from tenacity import Retrying

        retrying = Retrying(
            retry=self._repeats_state,
            wait=self._delay_of_state,
            before_sleep=self._report,
            sleep=pause,
            reraise=True,
        )
        return retrying(self._replaying(after, attempt))

    async def arun(self, attempt: Callable[[], Awaitable[T]], after: Exception | None = None) -> T:
        """Await ``attempt`` until it succeeds or the policy gives up; see `run`."""
        if after is None:
            try:
                self.attempts += 1
                return await attempt()
            except Exception as exc:
                if not self.repeats(exc):
                    raise
                after = exc
        from tenacity import AsyncRetrying

        retrying = AsyncRetrying(
            retry=self._repeats_state,
            wait=self._delay_of_state,
            before_sleep=self._areport,
            sleep=apause,
            reraise=True,
        )
        return await retrying(self._areplaying(after, attempt))

    def repeats(self, exc: BaseException | None) -> bool:
        """Decide whether to try again, and remember after which delay.

        Args:
            exc: What the last attempt failed with.
        """
        if not isinstance(exc, Exception):
            return False
        classified = _CLASSIFIER.classify(exc)
        return self._grants(
            exc, classified.retry_after_s, worth=self.policy.repeats(exc, classified)
        )

    def grants(self, exc: Exception) -> bool:
        """Decide whether there is another attempt for a failure already found worth one.

        Args:
            exc: What the last attempt failed with.
        """
        return self._grants(exc, _CLASSIFIER.classify(exc).retry_after_s, worth=True)

    def _grants(self, exc: Exception, hint_s: float | None, *, worth: bool) -> bool:
        if hint_s is not None and hint_s > MAX_RETRY_AFTER_S:
            _note(exc, f"The server asks to wait {hint_s:g} s; come back then.")
            return False
        if not worth or self.attempts_left < 1:
            return False
        self._delay_s = self.policy.backoff_s(self.attempts) if hint_s is None else hint_s
        return self._is_in_time(exc)

    def _is_in_time(self, exc: Exception) -> bool:
        left_s, limit_s = self.deadline.left_s, self.deadline.limit_s
        if left_s is None or self._delay_s < left_s:
            return True
        _note(exc, f"Not tried again: {self._delay_s:g} s more would pass the {limit_s:g} s limit.")
        return False

    def _elapsed_s(self) -> float:
        return time.monotonic() - self._started_s

    def _repeats_state(self, state: RetryCallState) -> bool:
        # The first failure was decided before tenacity was asked.
        return state.attempt_number == 1 or self.repeats(_error_of(state))

    def _delay_of_state(self, state: RetryCallState) -> float:
        del state
        return self._delay_s

    def _report(self, state: RetryCallState) -> None:
        self._tell(state)

    async def _areport(self, state: RetryCallState) -> None:
        told = self._tell(state)
        if inspect.isawaitable(told):
            await told

    def _tell(self, state: RetryCallState) -> Awaitable[None] | None:
        error = _error_of(state)
        if self._on_retry is None or not isinstance(error, Exception):
            return None
        event = RetryEvent(
            attempt=self.attempts,
            delay_s=self._delay_s,
            error=error,
            elapsed_s=self._elapsed_s(),
            retry_state=state,
        )
        return self._on_retry(event)

    def _replaying(self, first: Exception, attempt: Callable[[], T]) -> Callable[[], T]:
        """Give tenacity the failure that has already happened, then the real attempts."""
        pending = [first]

        def step() -> T:
            if pending:
                raise pending.pop()
            self.attempts += 1
            return attempt()

        return step

    def _areplaying(
        self, first: Exception, attempt: Callable[[], Awaitable[T]]
    ) -> Callable[[], Awaitable[T]]:
        pending = [first]

        async def step() -> T:
            if pending:
                raise pending.pop()
            self.attempts += 1
            return await attempt()

        return step


def _error_of(state: RetryCallState) -> BaseException | None:
    return None if state.outcome is None else state.outcome.exception()


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


def _checked_reasons(reasons: object) -> tuple[ErrorKind | type[Exception], ...]:
    if isinstance(reasons, str) or not isinstance(reasons, Iterable):
        _refuse("retry_on", reasons, "a function, or a list of error kinds and exception classes")
    return tuple(_checked_reason(reason) for reason in reasons)


def _checked_reason(reason: object) -> ErrorKind | type[Exception]:
    if isinstance(reason, type) and issubclass(reason, Exception):
        return reason
    if isinstance(reason, str) and reason in set(ErrorKind):
        return ErrorKind(reason)
    return _refuse("retry_on", reason, f"an exception class or one of {', '.join(ErrorKind)}")


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
