"""Leave to send one request."""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Self

from langchain_tamma_openai.resilience.limits_info import RateLimitInfo
from langchain_tamma_openai.resilience.limits_store import (
    GiveBack,
    Note,
    Observe,
    Release,
    Settle,
)

if TYPE_CHECKING:
    from langchain_tamma_openai.resilience.limits_store import Store, Ticket

TOO_MANY_REQUESTS = 429


class Permit:
    """Leave to send one request, from `OpenAIRateLimiter.reserve` or `areserve`.

    Release it when the request is over, or use it as a context manager (`with`, `async with`),
    which does so; a forgotten one frees its slot when it is garbage collected. The methods with an
    `a` in front are for event loops. None of them raises, and repeating one changes nothing.

    Attributes:
        key: What the limits belong to.
        tokens: Tokens reserved.
        waited_s: Seconds spent waiting for it.
    """

    def __init__(self, store: Store, ticket: Ticket, waited_s: float) -> None:
        """Wrap a ticket that was let through; made by the limiter."""
        self.key = ticket.key
        self.tokens = ticket.tokens
        self.waited_s = waited_s
        self._store = store
        self._ticket = ticket
        self._settled = False
        self._over = False

    def observe(self, headers: Mapping[str, str] | None, status_code: int = 200) -> RateLimitInfo:
        """Learn the true limits from the headers of the answer, be it good or an error.

        Args:
            headers: Headers of the response.
            status_code: Its status; 429 tells that nothing is left.

        Returns:
            What the headers say.
        """
        info = RateLimitInfo.from_headers(headers)
        self._store.tell(self._observed(info, status_code))
        return info

    async def aobserve(
        self, headers: Mapping[str, str] | None, status_code: int = 200
    ) -> RateLimitInfo:
        """Learn the true limits from the headers of the answer; see `observe`."""
        info = RateLimitInfo.from_headers(headers)
        await self._store.atell(self._observed(info, status_code))
        return info

    def _observed(self, info: RateLimitInfo, status_code: int) -> Note:
        return Observe(self.key, info, status_code == TOO_MANY_REQUESTS, self._ticket)

    def settle(self, actual_tokens: int | None) -> None:
        """Correct the estimate by what the request really used.

        Args:
            actual_tokens: Input and output tokens; None when unknown, which keeps the estimate.
        """
        if (note := self._settlement(actual_tokens)) is not None:
            self._store.tell(note)

    async def asettle(self, actual_tokens: int | None) -> None:
        """Correct the estimate by what the request really used; see `settle`."""
        if (note := self._settlement(actual_tokens)) is not None:
            await self._store.atell(note)

    def _settlement(self, actual_tokens: int | None) -> Settle | None:
        if actual_tokens is None or self._settled:
            return None
        self._settled = True
        excess = max(0, actual_tokens) - self.tokens
        return Settle(self._ticket, excess) if excess else None

    def release(self) -> None:
        """Say that the request is over."""
        if self._end():
            self._store.tell(Release(self._ticket))

    async def arelease(self) -> None:
        """Say that the request is over."""
        if self._end():
            await self._store.atell(Release(self._ticket))

    def finish(self, actual_tokens: int | None) -> None:
        """Correct the estimate and say that the request is over.

        Args:
            actual_tokens: As for `settle`.
        """
        note = self._settlement(actual_tokens)
        if not self._end():
            return
        if note is None:
            self._store.tell(Release(self._ticket))
        elif getattr(self._store, "joins_ends", False):
            self._store.tell(Release(self._ticket, note.excess_tokens))
        else:
            self._store.tell(note)
            self._store.tell(Release(self._ticket))

    async def afinish(self, actual_tokens: int | None) -> None:
        """Correct the estimate and say that the request is over; see `finish`."""
        note = self._settlement(actual_tokens)
        if self._end():
            if note is not None:
                await self._store.atell(note)
            await self._store.atell(Release(self._ticket))

    def cancel(self) -> None:
        """Say that the request was never sent; everything reserved is given back."""
        if self._end():
            self._store.tell(GiveBack(self._ticket))

    async def acancel(self) -> None:
        """Say that the request was never sent; everything reserved is given back."""
        if self._end():
            await self._store.atell(GiveBack(self._ticket))

    def _end(self) -> bool:
        was_over, self._over, self._settled = self._over, True, True
        return not was_over

    def __enter__(self) -> Self:
        """Use the permit for a block."""
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Release it."""
        self.release()

    async def __aenter__(self) -> Self:
        """Use the permit for a block."""
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Release it."""
        await self.arelease()
