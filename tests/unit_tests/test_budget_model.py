"""Any sequence of calls leaves a budget with the sums of a simple ledger."""

from __future__ import annotations

import gc
import tempfile
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path

import pytest
from budgets import Budgets, Clock
from hypothesis import given, settings
from hypothesis import strategies as st

from langchain_tamma_openai.errors import BudgetExceededError
from langchain_tamma_openai.usage.budget import Budget, BudgetReservation

LIMIT_USD, LIMIT_TOKENS = Decimal(1), 1000
WINDOW_S = 3600
USERS = ("a", None)

usd = st.decimals(0, 1, allow_nan=False, allow_infinity=False, places=9)
tokens = st.integers(0, 700)
moves = st.one_of(
    st.tuples(st.just("reserve"), st.sampled_from(USERS), usd, tokens),
    st.tuples(
        st.just("settle"), st.integers(0, 5), st.none() | usd | usd.map(lambda x: x * 3), tokens
    ),
    st.tuples(st.just("release"), st.integers(0, 5)),
    st.tuples(st.just("lose"), st.integers(0, 5)),
    st.tuples(st.just("pass"), st.sampled_from([61, 1800, 3600])),
    st.tuples(st.just("reset"), st.sampled_from(USERS)),
)


@dataclass
class Sums:
    """The ledger of one line."""

    spent_usd: Decimal = Decimal(0)
    spent_tokens: int = 0
    lost: list[tuple[Decimal, int]] = field(default_factory=list)


@dataclass
class Call:
    """A call under way."""

    reservation: BudgetReservation
    line: tuple[object, int]
    usd: Decimal
    tokens: int


class Model:
    """Does every move twice: with the budget, and with plain sums."""

    def __init__(self, budgets: Budgets, policy: str) -> None:
        self.clock = budgets.clock
        self.policy = policy
        self.budget: Budget = budgets.make(
            LIMIT_USD,
            limit_tokens=LIMIT_TOKENS,
            scope="user",
            window=_step(),
            on_abandoned=policy,
        )
        self.sums: dict[tuple[object, int], Sums] = {}
        self.calls: list[Call] = []

    def line(self, user: object) -> tuple[object, int]:
        """Name a line of the present window."""
        return user, int(self.clock.now_s // WINDOW_S)

    def reserved(self, line: tuple[object, int]) -> tuple[Decimal, int]:
        """Add up what is under way or lost but not expired."""
        pairs = [(call.usd, call.tokens) for call in self.calls if call.line == line]
        pairs += self.sums.setdefault(line, Sums()).lost
        return sum((pair[0] for pair in pairs), Decimal(0)), sum(pair[1] for pair in pairs)

    def reserve(self, user: object, usd: Decimal, tokens: int) -> None:
        """Reserve, if the sums say that it fits."""
        line = self.line(user)
        reserved_usd, reserved_tokens = self.reserved(line)
        sums = self.sums[line]
        fits = (
            sums.spent_usd + reserved_usd + usd <= LIMIT_USD
            and sums.spent_tokens + reserved_tokens + tokens <= LIMIT_TOKENS
        )
        labels = {} if user is None else {"user": user}
        if not fits:
            with pytest.raises(BudgetExceededError):
                self.budget.reserve(usd, tokens, labels)
            return
        self.calls.append(Call(self.budget.reserve(usd, tokens, labels), line, usd, tokens))

    def settle(self, index: int, usd: Decimal | None, tokens: int) -> None:
        """End a call at what it cost."""
        if index < len(self.calls):
            call = self.calls.pop(index)
            call.reservation.settle(usd, tokens)
            sums = self.sums[call.line]
            sums.spent_usd += call.usd if usd is None else usd
            sums.spent_tokens += tokens

    def release(self, index: int) -> None:
        """End a call that was not sent."""
        if index < len(self.calls):
            self.calls.pop(index).reservation.release()

    def lose(self, index: int) -> None:
        """Forget a call."""
        if index < len(self.calls):
            call = self.calls.pop(index)
            self.sums[call.line].lost.append((call.usd, call.tokens))
            del call
            gc.collect(0)

    def wait(self, seconds: int) -> None:
        """Let time pass, longer than a reservation lives that nobody has."""
        self.clock.advance(seconds)
        for sums in self.sums.values():
            if self.policy == "charge":
                sums.spent_usd += sum((pair[0] for pair in sums.lost), Decimal(0))
                sums.spent_tokens += sum(pair[1] for pair in sums.lost)
            sums.lost.clear()

    def reset(self, user: object) -> None:
        """Begin a line anew."""
        self.budget.reset(user=user)
        line = self.line(user)
        self.sums[line] = Sums(lost=self.sums.get(line, Sums()).lost)

    def check(self) -> None:
        """Compare."""
        for user in USERS:
            line = self.line(user)
            status = self.budget.status(user=user)
            reserved = self.reserved(line)
            sums = self.sums[line]
            assert (status.spent_usd, status.spent_tokens) == (sums.spent_usd, sums.spent_tokens)
            assert (status.reserved_usd, status.reserved_tokens) == reserved


def _step() -> object:
    from datetime import timedelta

    return timedelta(seconds=WINDOW_S)


def _play(store: str | None, policy: str, played: list[tuple[object, ...]]) -> None:
    budgets = Budgets(store, Clock())
    try:
        model = Model(budgets, policy)
        actions = {"pass": model.wait, "reserve": model.reserve, "settle": model.settle}
        actions |= {"release": model.release, "lose": model.lose, "reset": model.reset}
        for name, *arguments in played:
            actions[str(name)](*arguments)  # type: ignore[operator]  # each has its own arguments
            model.check()
    finally:
        budgets.close()


@settings(deadline=None, max_examples=150)
@given(st.sampled_from(["charge", "free"]), st.lists(moves, max_size=25))
def test_memory_keeps_the_sums(policy: str, played: list[tuple[object, ...]]) -> None:
    _play(None, policy, played)


@settings(deadline=None, max_examples=25)
@given(st.sampled_from(["charge", "free"]), st.lists(moves, max_size=20))
def test_a_file_keeps_the_sums(policy: str, played: list[tuple[object, ...]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        _play(f"sqlite:///{Path(folder) / 'budgets.db'}", policy, played)
