"""Leave to send one request, from everyone who has a say in it, and their share in how it ends.

In this order: the budgets, the rate limiter, the memory of dry accounts, the circuit breaker.
Whoever was asked before one that refuses gets everything back. Sync and async differ in the words
`await`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import AsyncExitStack, ExitStack
from dataclasses import dataclass, field
from decimal import Decimal
from types import MappingProxyType, TracebackType
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

if TYPE_CHECKING:
    from langchain_tamma_openai.resilience.circuit import CircuitBreaker
    from langchain_tamma_openai.resilience.circuit_guard import Guard
    from langchain_tamma_openai.resilience.limits import OpenAIRateLimiter
    from langchain_tamma_openai.resilience.limits_permit import Permit
    from langchain_tamma_openai.resilience.quota import QuotaKey, QuotaMemory


class Reservation(Protocol):
    """A part of one or several budgets, kept for one request."""

    def settle(self, cost_usd: Decimal | None, tokens: int | None) -> None:
        """Charge what the request really cost; unknown keeps the reserved amount."""

    def release(self) -> None:
        """Give everything back: nothing was spent."""

    async def asettle(self, cost_usd: Decimal | None, tokens: int | None) -> None:
        """Charge what the request really cost; see `settle`."""

    async def arelease(self) -> None:
        """Give everything back; see `release`."""


class Treasury(Protocol):
    """Keeps budgets, and reserves a part of all of them or of none."""

    def reserve(self, need: Need) -> Reservation:
        """Reserve the most that a request can cost.

        Raises:
            BudgetExceededError: There is not enough left.
        """

    async def areserve(self, need: Need) -> Reservation:
        """Reserve the most that a request can cost; see `reserve`."""


class Need(NamedTuple):
    """What one request asks of the governors.

    Attributes:
        model: Name of the requested model.
        base_url: Root of the API; None for OpenAI's own.
        limit_key: What the rate limits belong to.
        quota_key: Whose quota it uses; None where the account has no name.
        tokens: Its tokens as the server will count them against the rate limit.
        upper_usd: The most it can cost; None when unknown.
        upper_tokens: The most tokens it can use; None when unknown.
        labels: Whom it is for: user, organization and the like.
        left_s: Most seconds to wait for leave; None for any.
    """

    model: str
    base_url: str | None = None
    limit_key: str = "default"
    quota_key: QuotaKey | None = None
    tokens: int = 0
    upper_usd: Decimal | None = None
    upper_tokens: int | None = None
    labels: Mapping[str, object] = MappingProxyType({})
    left_s: float | None = None


@dataclass(frozen=True, slots=True)
class Governors:
    """Everyone who has a say in whether and when a request goes out.

    Attributes:
        treasury: Keeps the budgets.
        limiter: Keeps to the server's rate limits.
        quota: Remembers accounts that ran dry.
        breaker: Gives a failing server a rest.
        accounts: What a model calls the accounts it has asked for, kept here for it.
        are_local: Whether everyone keeps what they know in this process, so that nobody is waited
            for.
        is_scoped: Whether a budget asks whom a call is for.
    """

    treasury: Treasury | None = None
    limiter: OpenAIRateLimiter | None = None
    quota: QuotaMemory | None = None
    breaker: CircuitBreaker | None = None
    accounts: dict[Any, Any] = field(default_factory=dict, compare=False)
    are_local: bool = field(init=False)
    is_scoped: bool = field(init=False)

    def __post_init__(self) -> None:
        """Look at everyone once."""
        members = (self.treasury, self.limiter, self.quota, self.breaker)
        are_local = all(
            member is None or getattr(member, "is_local", False) is True for member in members
        )
        object.__setattr__(self, "are_local", are_local)
        object.__setattr__(self, "is_scoped", getattr(self.treasury, "is_scoped", True))

    def __bool__(self) -> bool:
        """Tell whether anyone is to be asked."""
        members = (self.treasury, self.limiter, self.quota, self.breaker)
        return any(member is not None for member in members)


class Passage:
    """Leave to send one request: `enter` before it, `leave` when it is over.

    `enter` raises what a governor refuses with, and then nothing is held.
    """

    def __init__(self, governors: Governors, need: Need) -> None:
        """Prepare; nobody is asked yet.

        Args:
            governors: Whom to ask.
            need: What the request asks of them.
        """
        self._governors = governors
        self._need = need
        self._reservation: Reservation | None = None
        self._permit: Permit | None = None
        self._guards: list[Guard] = []
        self._over = False

    def enter(self) -> None:
        """Ask everyone, waiting where that is their way.

        Raises:
            BudgetExceededError: A budget is used up.
            RateLimitError: The time is up before the limits let it through.
            RequestTooLargeError: It is larger than a whole limit.
            QuotaExceededError: The account is known to be dry.
            CircuitOpenError: The server is given a rest.
            StorageError: A shared storage is lost, and its owner chose to stop then.
        """
        ask, need = self._governors, self._need
        try:
            if ask.treasury is not None:
                self._reservation = ask.treasury.reserve(need)
            if ask.limiter is not None:
                self._permit = ask.limiter.reserve(need.tokens, need.limit_key, need.left_s)
            for guard in self._new_guards():
                guard.__enter__()
                self._guards.append(guard)
        except BaseException:
            self._give_back()
            raise

    async def aenter(self) -> None:
        """Ask everyone; see `enter`."""
        ask, need = self._governors, self._need
        try:
            if ask.treasury is not None:
                self._reservation = await ask.treasury.areserve(need)
            if ask.limiter is not None:
                self._permit = await ask.limiter.areserve(need.tokens, need.limit_key, need.left_s)
            for guard in self._new_guards():
                await guard.__aenter__()
                self._guards.append(guard)
        except BaseException:
            await self._agive_back()
            raise

    def _give_back(self) -> None:
        """Give back what was got before somebody refused, the last first."""
        with ExitStack() as undo:
            if self._reservation is not None:
                undo.callback(self._reservation.release)
            if self._permit is not None:
                undo.callback(self._permit.cancel)
            for guard in self._guards:
                undo.callback(guard.__exit__, _Undecided, _Undecided(), None)

    async def _agive_back(self) -> None:
        async with AsyncExitStack() as undo:
            if self._reservation is not None:
                undo.push_async_callback(self._reservation.arelease)
            if self._permit is not None:
                undo.push_async_callback(self._permit.acancel)
            for guard in self._guards:
                undo.push_async_callback(guard.__aexit__, _Undecided, _Undecided(), None)

    def observe(self, headers: Mapping[str, str] | None, status_code: int) -> None:
        """Let the limiter learn from an answer's headers.

        Args:
            headers: Those of the answer, be it good or an error.
            status_code: Its status.
        """
        if self._permit is not None:
            self._permit.observe(headers, status_code)

    async def aobserve(self, headers: Mapping[str, str] | None, status_code: int) -> None:
        """Let the limiter learn from an answer's headers; see `observe`."""
        if self._permit is not None:
            await self._permit.aobserve(headers, status_code)

    def leave(self, end: Ending) -> None:
        """Tell everyone how the request ended; repeating it changes nothing.

        Args:
            end: How it ended.
        """
        if self._over:
            return
        self._over = True
        try:
            self._leave_guards(len(self._guards), end)
        finally:
            try:
                if self._permit is not None:
                    self._close_permit(self._permit, end)
            finally:
                if self._reservation is not None:
                    self._close_reservation(self._reservation, end)

    def _leave_guards(self, number: int, end: Ending) -> None:
        """Tell the last of so many guards, and then those before it whatever comes of that."""
        if number:
            try:
                self._guards[number - 1].__exit__(*end.exc_info)
            finally:
                self._leave_guards(number - 1, end)

    async def aleave(self, end: Ending) -> None:
        """Tell everyone how the request ended; see `leave`.

        It is finished even where the task is cancelled meanwhile, so that nothing stays held.
        """
        if self._over:
            return
        if self._governors.are_local:
            self.leave(end)
            return
        self._over = True
        await finished(self._aleave(end))

    async def _aleave(self, end: Ending) -> None:
        async with AsyncExitStack() as everyone:
            if self._reservation is not None:
                everyone.push_async_callback(self._aclose_reservation, self._reservation, end)
            if self._permit is not None:
                everyone.push_async_callback(self._aclose_permit, self._permit, end)
            for guard in self._guards:
                everyone.push_async_callback(guard.__aexit__, *end.exc_info)

    def _new_guards(self) -> list[Guard]:
        ask, need = self._governors, self._need
        guards: list[Guard] = []
        if ask.quota is not None and need.quota_key is not None:
            guards.append(ask.quota.guard(need.quota_key, self._need.left_s))
        if ask.breaker is not None:
            guards.append(ask.breaker.guard((need.base_url, need.model)))
        return guards

    @staticmethod
    def _close_reservation(reservation: Reservation, end: Ending) -> None:
        if end.sent:
            reservation.settle(end.cost_usd, end.tokens)
        else:
            reservation.release()

    @staticmethod
    async def _aclose_reservation(reservation: Reservation, end: Ending) -> None:
        if end.sent:
            await reservation.asettle(end.cost_usd, end.tokens)
        else:
            await reservation.arelease()

    @staticmethod
    def _close_permit(permit: Permit, end: Ending) -> None:
        if end.sent:
            permit.finish(end.tokens)
        else:
            permit.cancel()

    @staticmethod
    async def _aclose_permit(permit: Permit, end: Ending) -> None:
        if end.sent:
            await permit.afinish(end.tokens)
        else:
            await permit.acancel()


class Ending(NamedTuple):
    """How a request ended.

    Attributes:
        error: What ended it; None for a success.
        sent: Whether the server may have had it.
        cost_usd: What it cost; None when unknown.
        tokens: What it used; None when unknown.
    """

    error: BaseException | None = None
    sent: bool = True
    cost_usd: Decimal | None = None
    tokens: int | None = None

    @property
    def exc_info(
        self,
    ) -> tuple[type[BaseException] | None, BaseException | None, TracebackType | None]:
        """The three arguments of an `__exit__`."""
        error = self.error
        return (None, None, None) if error is None else (type(error), error, None)


async def finished(work: object) -> None:
    """Await a coroutine to its end, even where the caller is cancelled meanwhile.

    Args:
        work: A coroutine.
    """
    task = asyncio.ensure_future(work)  # type: ignore[call-overload]  # any awaitable
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        if not task.done():
            await asyncio.wait([task])
        raise


class _Undecided(Exception):  # noqa: N818 - says that nothing is known, and is raised nowhere
    """Another governor refused: says nothing about the server or the account."""
