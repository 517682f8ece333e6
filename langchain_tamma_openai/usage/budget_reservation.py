"""What a call holds between its reservation and its end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from functools import partial
from types import TracebackType
from typing import Self

from langchain_tamma_openai.usage.budget_amounts import (
    Bound,
    read_tokens,
    read_usd,
    refuse_argument,
)
from langchain_tamma_openai.usage.budget_reserving import Claim
from langchain_tamma_openai.usage.budget_waiting import Work


class BudgetReservation:
    """The most that a call can use, set aside until the call is settled.

    Exactly one end counts: the first `settle` or `release`; later ones do nothing. As a context
    manager it settles at the estimate, on success and on errors alike, unless it was ended before:
    a request that failed may have been billed. Call `release()` when nothing was sent. Threads may
    share it. It stays valid for as long as the object lives; a process that dies leaves it to
    expire.
    """

    def __init__(
        self, claims: Sequence[Claim], bound: Bound, labels: Mapping[str, object] | None = None
    ) -> None:
        """Made by `Budget.reserve`; not by hand."""
        self._claims = tuple(claims)
        self._bound = bound
        self.labels = dict(labels or {})
        # Taken out by whoever ends it; a list's `pop` is atomic.
        self._open = [True]

    @property
    def upper_usd(self) -> Decimal | None:
        """Dollars set aside; None when nobody knew."""
        return self._bound.usd

    @property
    def upper_tokens(self) -> int | None:
        """Tokens set aside; None when nobody knew."""
        return self._bound.tokens

    @property
    def ended(self) -> bool:
        """Whether it was settled or released."""
        return not self._open

    def settle(
        self, cost_usd: Decimal | float | str | None = None, tokens: int | None = None
    ) -> None:
        """Charge what the call used, and give back the rest.

        More than was set aside is charged as well. A store that is lost at this moment does not
        fail the call: the charge is written later.

        Args:
            cost_usd: What it cost; None charges the estimate.
            tokens: What it used, input and output; None charges the estimate.

        Raises:
            InvalidParameterError: A negative or otherwise wrong amount; nothing was charged.
        """
        self._end(_used(cost_usd, tokens), sent=True)

    async def asettle(
        self, cost_usd: Decimal | float | str | None = None, tokens: int | None = None
    ) -> None:
        """Charge what the call used; see `settle`."""
        await self._aend(_used(cost_usd, tokens), sent=True)

    def release(self) -> None:
        """Give everything back: nothing was sent."""
        self._end(Bound(), sent=False)

    async def arelease(self) -> None:
        """Give everything back: nothing was sent."""
        await self._aend(Bound(), sent=False)

    def renew(self) -> None:
        """Put off its expiry. This happens by itself while the object lives.

        Raises:
            StorageError: The store cannot be reached.
        """
        for claim in () if self.ended else self._claims:
            claim.desk.accounts.renew(claim.hold)

    async def arenew(self) -> None:
        """Put off its expiry; see `renew`."""
        for claim in () if self.ended else self._claims:
            accounts = claim.desk.accounts
            await Work(partial(accounts.renew, claim.hold), accounts.store.is_local).arun()

    def detach(self) -> tuple[Claim, ...]:
        """End it without settling, for whoever keeps its claims in another form; empty if ended."""
        return self._claims if self._is_mine_to_end() else ()

    def _is_mine_to_end(self) -> bool:
        try:
            return self._open.pop()
        except IndexError:
            return False

    def _end(self, used: Bound, *, sent: bool) -> None:
        if self._is_mine_to_end():
            for claim in self._claims:
                claim.end(used, sent=sent)

    async def _aend(self, used: Bound, *, sent: bool) -> None:
        if not self._is_mine_to_end():
            return
        local = [claim for claim in self._claims if claim.desk.accounts.store.is_local]
        for claim in local:
            claim.end(used, sent=sent)
        if shared := [claim for claim in self._claims if claim not in local]:
            await Work(partial(_end_all, shared, used, sent=sent), is_local=False).arun()

    def __enter__(self) -> Self:
        """Return the reservation."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Settle at the estimate, unless it was ended."""
        self.settle()

    async def __aenter__(self) -> Self:
        """Return the reservation."""
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Settle at the estimate, unless it was ended."""
        await self.asettle()


def _end_all(claims: Sequence[Claim], used: Bound, *, sent: bool) -> None:
    """End all in one thread, to the last, even if nobody waits any more."""
    for claim in claims:
        claim.end(used, sent=sent)


def _used(cost_usd: object, tokens: object) -> Bound:
    return Bound(
        read_usd(cost_usd, "cost_usd", refuse_argument),
        read_tokens(tokens, "tokens", refuse_argument),
    )
