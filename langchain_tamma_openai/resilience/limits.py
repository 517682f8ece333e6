"""Rate limits: as many requests and tokens as the server allows, and no 429."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import partial
from numbers import Real
from typing import TYPE_CHECKING, Literal, NoReturn, Self

from langchain_core.rate_limiters import BaseRateLimiter

from langchain_tamma_openai.checks import check_count, safe_url, shown
from langchain_tamma_openai.resilience.limits_info import RateLimitInfo
from langchain_tamma_openai.resilience.limits_memory import MemoryStore
from langchain_tamma_openai.resilience.limits_meter import Limits
from langchain_tamma_openai.resilience.limits_permit import TOO_MANY_REQUESTS, Permit
from langchain_tamma_openai.resilience.limits_store import (
    GiveBack,
    Observe,
    Store,
    TaskSignal,
    ThreadSignal,
    Ticket,
)
from langchain_tamma_openai.unique_names import unique_name

if TYPE_CHECKING:
    from langchain_tamma_openai.resilience.limits_outage import GuardedStore

__all__ = ["OpenAIRateLimiter", "Permit", "RateLimitInfo"]

_MOST = 10**12
_REDIS_SCHEMES = ("redis://", "rediss://", "unix://")


class OpenAIRateLimiter(BaseRateLimiter):
    """Lets requests through at the rate the server allows, in the order they came.

    Counts requests and tokens, for threads and event loops alike, in this process
    (``memory://``) or for all that share a Redis. Learns the true limits from the
    ``x-ratelimit-*`` headers; the tighter of those and the ones given here holds. Both buckets
    refill all the time, as OpenAI's do, and calls are spaced out before they are empty.

    It fits the ``rate_limiter`` field of any LangChain model, where it counts requests only.
    """

    def __init__(
        self,
        requests_per_minute: int | None = None,
        tokens_per_minute: int | None = None,
        max_concurrency: int | None = None,
        storage: str | Store = "memory://",
        *,
        throttle_threshold: float = 0.8,
        on_storage_error: Literal["open", "closed"] = "open",
        namespace: str = "tamma-openai:limits",
    ) -> None:
        """Set the limits. One limiter serves any number of models, each under its own key.

        Args:
            requests_per_minute: At least 1; None to go by what the server says.
            tokens_per_minute: At least 1; None to go by what the server says.
            max_concurrency: Requests under way at once, at least 1; None for no limit.
            storage: ``memory://``, or ``redis://host:6379/0`` (also ``rediss://``, ``unix://``).
            throttle_threshold: Share of a bucket, 0 to 1, that may go at full speed; the rest is
                spaced out. 1 spaces nothing out.
            on_storage_error: When Redis is lost at run time: "open" goes on with the same limits
                in each process, "closed" raises `StorageError`.
            namespace: Beginning of all names in Redis; programs that share it share the limits.

        Raises:
            ConfigurationError: A value is wrong, or the Redis client is not installed.
            StorageError: Redis cannot be reached.
        """
        check_count(requests_per_minute, "requests_per_minute", 1, _MOST)
        check_count(tokens_per_minute, "tokens_per_minute", 1, _MOST)
        check_count(max_concurrency, "max_concurrency", 1, _MOST)
        _check_threshold(throttle_threshold)
        if on_storage_error not in {"open", "closed"}:
            _refuse("on_storage_error", shown(on_storage_error), "must be 'open' or 'closed'")
        if not isinstance(namespace, str) or not namespace:
            _refuse("namespace", shown(namespace), "must be a text that is not empty")
        limits = Limits(
            requests_per_minute, tokens_per_minute, max_concurrency, float(throttle_threshold)
        )
        self.limits = limits
        self._counts_runs = True
        self._made_from = (storage, on_storage_error, namespace)
        self._store = (
            _open_store(storage, limits, on_storage_error, namespace)
            if isinstance(storage, str)
            else storage
        )

    def acquire(self, *, blocking: bool = True) -> bool:
        """Count one request of unknown size, waiting until it may go. LangChain's own hook.

        It cannot tell when the request ends, so `max_concurrency` does not count it.

        Args:
            blocking: Whether to wait.

        Returns:
            Whether it may go now.

        Raises:
            StorageError: Redis was lost and ``on_storage_error`` is "closed".
        """
        if not self._counts_runs:
            return True
        signal = ThreadSignal()
        ticket = Ticket(unique_name(), "default", 0, slot=False, waits=blocking, signal=signal)
        return self._wait(ticket, signal)

    async def aacquire(self, *, blocking: bool = True) -> bool:
        """Count one request of unknown size; see `acquire`."""
        if not self._counts_runs:
            return True
        signal = TaskSignal()
        ticket = Ticket(unique_name(), "default", 0, slot=False, waits=blocking, signal=signal)
        return await self._await(ticket, signal)

    def reserve(
        self, tokens: int = 0, key: str = "default", deadline_s: float | None = None
    ) -> Permit:
        """Wait until a request may go, and take what it needs.

        Args:
            tokens: Its tokens as the server will count them: the input, plus `max_tokens` if set.
            key: What the limits belong to, e.g. the model and a hash of the API key.
            deadline_s: Most seconds to wait; None for any.

        Returns:
            Leave to send it. Use it as a context manager, or release it.

        Raises:
            RequestTooLargeError: It is larger than the whole limit; it was not put in line.
            RateLimitError: The deadline came first.
            InvalidParameterError: An argument is wrong.
            StorageError: Redis was lost and ``on_storage_error`` is "closed".
        """
        _check_wish(tokens, deadline_s)
        started_s = self._store.clock()
        signal = ThreadSignal()
        ticket = Ticket(unique_name(), key, tokens, slot=True, waits=True, signal=signal)
        if not self._wait(ticket, signal, deadline_s):
            raise _late(key, deadline_s, self._store.clock() - started_s)
        return Permit(self._store, ticket, self._store.clock() - started_s)

    async def areserve(
        self, tokens: int = 0, key: str = "default", deadline_s: float | None = None
    ) -> Permit:
        """Wait until a request may go, and take what it needs; see `reserve`.

        A task that is cancelled while it waits leaves the line.
        """
        _check_wish(tokens, deadline_s)
        started_s = self._store.clock()
        signal = TaskSignal()
        ticket = Ticket(unique_name(), key, tokens, slot=True, waits=True, signal=signal)
        if not await self._await(ticket, signal, deadline_s):
            raise _late(key, deadline_s, self._store.clock() - started_s)
        return Permit(self._store, ticket, self._store.clock() - started_s)

    def observe(
        self, headers: Mapping[str, str] | None, key: str = "default", status_code: int = 200
    ) -> RateLimitInfo:
        """Learn from headers when the permit of the request is not at hand.

        `Permit.observe` knows which request they answer, and so learns more from them.

        Args:
            headers: Headers of a response.
            key: What the limits belong to.
            status_code: Status of the response; 429 tells that nothing is left.

        Returns:
            What the headers say.
        """
        info = RateLimitInfo.from_headers(headers)
        self._store.tell(Observe(key, info, status_code == TOO_MANY_REQUESTS))
        return info

    async def aobserve(
        self, headers: Mapping[str, str] | None, key: str = "default", status_code: int = 200
    ) -> RateLimitInfo:
        """Learn from headers when the permit of the request is not at hand; see `observe`."""
        info = RateLimitInfo.from_headers(headers)
        await self._store.atell(Observe(key, info, status_code == TOO_MANY_REQUESTS))
        return info

    def status(self, key: str = "default") -> RateLimitInfo:
        """Describe the limits of a key as this limiter sees them now.

        Args:
            key: What the limits belong to.

        Raises:
            StorageError: Redis was lost and ``on_storage_error`` is "closed".
        """
        return self._store.status(key)

    async def astatus(self, key: str = "default") -> RateLimitInfo:
        """Describe the limits of a key as this limiter sees them now; see `status`."""
        return await self._store.astatus(key)

    @property
    def is_local(self) -> bool:
        """Whether it counts in this process alone."""
        return isinstance(self._store, MemoryStore)

    def per_attempt(self) -> Self:
        """Give a view for a model that reserves each attempt by itself.

        Everything is shared, but `acquire` and `aacquire`, which LangChain calls once per run,
        count nothing, so that no request is counted twice.
        """
        view = object.__new__(type(self))
        view.__dict__.update(self.__dict__, _counts_runs=False)
        return view

    def close(self) -> None:
        """Close connections to Redis that threads opened; the next use opens new ones."""
        self._store.close()

    async def aclose(self) -> None:
        """Close connections to Redis of the running event loop, too."""
        await self._store.aclose()

    def _wait(self, ticket: Ticket, signal: ThreadSignal, deadline_s: float | None = None) -> bool:
        """Drive a ticket until it may go; its twin differs in the words `await`."""
        until_s = self._until_s(deadline_s)
        try:
            while (pause_s := self._store.take(ticket)) is not None:
                left_s = until_s - self._store.clock()
                if left_s <= 0 or not ticket.waits:
                    self._store.tell(GiveBack(ticket))
                    return False
                signal.pause(min(pause_s, left_s))
        except BaseException:
            self._store.tell(GiveBack(ticket))
            raise
        return True

    async def _await(
        self, ticket: Ticket, signal: TaskSignal, deadline_s: float | None = None
    ) -> bool:
        until_s = self._until_s(deadline_s)
        try:
            while (pause_s := await self._store.atake(ticket)) is not None:
                left_s = until_s - self._store.clock()
                if left_s <= 0 or not ticket.waits:
                    await self._store.atell(GiveBack(ticket))
                    return False
                await signal.pause(min(pause_s, left_s))
        except BaseException:
            await self._store.atell(GiveBack(ticket))
            raise
        return True

    def _until_s(self, deadline_s: float | None) -> float:
        return math.inf if deadline_s is None else self._store.clock() + deadline_s

    def __reduce__(self) -> tuple[object, ...]:
        """Pickle the settings: another process starts a limiter of its own, or joins the Redis."""
        storage, on_storage_error, namespace = self._made_from
        limits = self.limits
        positional = (limits.requests, limits.tokens, limits.concurrency, storage)
        make = partial(
            type(self),
            throttle_threshold=limits.threshold,
            on_storage_error=on_storage_error,
            namespace=namespace,
        )
        return make, positional

    def __repr__(self) -> str:
        """Show the limits; never a password."""
        storage = self._made_from[0]
        name = safe_url(storage) if isinstance(storage, str) else type(storage).__name__
        return (
            f"{type(self).__name__}(requests_per_minute={self.limits.requests}, "
            f"tokens_per_minute={self.limits.tokens}, "
            f"max_concurrency={self.limits.concurrency}, storage={name!r})"
        )


def _open_store(
    storage: str, limits: Limits, policy: Literal["open", "closed"], namespace: str
) -> Store:
    if storage == "memory://":
        return MemoryStore(limits)
    if not storage.startswith(_REDIS_SCHEMES):
        _refuse(
            "storage",
            shown(safe_url(storage)),
            "must be 'memory://' or a URL such as redis://localhost:6379/0",
        )
    return _open_redis(storage, limits, policy, namespace)


def _open_redis(
    url: str, limits: Limits, policy: Literal["open", "closed"], namespace: str
) -> GuardedStore:
    from langchain_tamma_openai.resilience.limits_outage import GuardedStore
    from langchain_tamma_openai.resilience.limits_redis import RedisStore

    try:
        shared = RedisStore(url, limits, namespace)
        shared.check()
    except ImportError:
        _refuse(
            "storage",
            shown(safe_url(url)),
            "needs the Redis client; install it with pip install 'langchain-tamma-openai[redis]'",
        )
    except (ValueError, TypeError) as exc:
        _refuse("storage", shown(safe_url(url)), f"cannot be read as a Redis URL: {exc}")
    return GuardedStore(shared, MemoryStore(limits), policy)


def _check_threshold(value: object) -> None:
    is_number = isinstance(value, (int, float, Real)) and not isinstance(value, bool)
    if not is_number or not 0 <= float(value) <= 1:  # type: ignore[arg-type]  # a number by now
        _refuse("throttle_threshold", shown(value), "must be a number from 0 to 1, e.g. 0.8")


def _check_wish(tokens: object, deadline_s: object) -> None:
    if not isinstance(tokens, int) or isinstance(tokens, bool) or not 0 <= tokens <= _MOST:
        _refuse_wish(
            f"tokens: got {shown(tokens)}, must be a whole number of at least 0; "
            "pass an estimate of the request's tokens"
        )
    if deadline_s is None:
        return
    is_number = isinstance(deadline_s, (int, float)) and not isinstance(deadline_s, bool)
    if not is_number or not deadline_s >= 0:  # type: ignore[operator]  # a number by now
        _refuse_wish(
            f"deadline_s: got {shown(deadline_s)}, must be a number of seconds of at least 0, "
            "or None to wait as long as it takes"
        )


def _refuse_wish(message: str) -> NoReturn:
    from langchain_tamma_openai.errors import InvalidParameterError

    raise InvalidParameterError(message)


def _late(key: str, deadline_s: float | None, waited_s: float) -> Exception:
    from langchain_tamma_openai.errors import RateLimitError

    return RateLimitError(
        f"The rate limiter of {key!r} could not let this request through within its deadline of "
        f"{deadline_s} s (waited {waited_s:.1f} s); raise the deadline or the limits, or send less",
        code="rate_limiter_deadline",
    )


def _refuse(field: str, value_text: str, remedy: str) -> NoReturn:
    from langchain_tamma_openai.errors import ConfigurationError

    raise ConfigurationError(f"{field}: got {value_text}, {remedy}")
