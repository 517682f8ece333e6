"""The script that decides in Redis, and the same arithmetic in Python."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from redis_places import URL, namespace

from langchain_tamma_openai.errors import RequestTooLargeError
from langchain_tamma_openai.resilience.limits_info import RateLimitInfo
from langchain_tamma_openai.resilience.limits_memory import MemoryStore
from langchain_tamma_openai.resilience.limits_meter import Limits
from langchain_tamma_openai.resilience.limits_redis import RedisStore
from langchain_tamma_openai.resilience.limits_store import (
    GiveBack,
    Note,
    Observe,
    Release,
    Settle,
    ThreadSignal,
    Ticket,
)

REAL_TIME = "tonumber(time[1]) + tonumber(time[2]) / 1e6"
TOLD_TIME = "tonumber(redis.call('GET', KEYS[1] .. ':now'))"


class Clocked(RedisStore):
    """The same script on a clock that the test moves."""

    @property
    def _script(self) -> str:
        told = super()._script.replace(REAL_TIME, TOLD_TIME)
        assert TOLD_TIME in told
        return told

    def move_to(self, now_s: float) -> None:
        with self._clients.sync() as client:
            client.set(f"{self._keys('m')[0]}:now", repr(now_s), ex=600)


class Both:
    """The script and the arithmetic in Python, asked the same questions."""

    def __init__(self, limits: Limits, place: str) -> None:
        self.now_s = 1_000_000.0
        self.shared = Clocked(URL, limits, place)
        self.local = MemoryStore(limits, lambda: self.now_s)
        self.tickets: list[tuple[Ticket, Ticket]] = []
        self.later(0)
        for store in (self.local, self.shared):
            store.tell(Observe("m", RateLimitInfo()))  # both begin now

    def later(self, seconds: float) -> None:
        self.now_s += seconds
        self.shared.move_to(self.now_s)

    def take(self, tokens: int) -> None:
        ident = f"t{self.now_s}-{len(self.tickets)}-{tokens}"
        mine, its = (
            Ticket(ident, "m", tokens, slot=True, waits=False, signal=ThreadSignal())
            for _ in range(2)
        )
        assert _taken(self.shared, its) == pytest.approx(_taken(self.local, mine), abs=1e-6)
        if mine.grant is not None:
            self.tickets.append((mine, its))

    def tell(self, make: Callable[[Ticket], Note], which: int) -> None:
        if self.tickets:
            mine, its = self.tickets[which % len(self.tickets)]
            self.local.tell(make(mine))
            self.shared.tell(make(its))

    def forget(self, which: int) -> None:
        if self.tickets:
            del self.tickets[which % len(self.tickets)]

    def compare(self) -> None:
        numbers, other = self.local.status("m").as_dict(), self.shared.status("m").as_dict()
        assert numbers.keys() == other.keys()
        for name, value in numbers.items():
            tolerance = 1 if name.startswith("remaining") else 1e-4
            assert other[name] == pytest.approx(value, rel=1e-6, abs=tolerance), name


def _taken(store: MemoryStore | RedisStore, ticket: Ticket) -> float:
    try:
        wait_s = store.take(ticket)
    except RequestTooLargeError:
        return -1.0
    return 0.0 if wait_s is None else min(wait_s, 1.0)


def _info(value: int) -> RateLimitInfo:
    """Make headers of all sorts from a number."""
    return RateLimitInfo(
        limit_requests=80 if value % 3 else None,
        remaining_requests=value % 80 if value % 3 and value % 2 else None,
        reset_requests_s=60.0,
        limit_tokens=6000,
        remaining_tokens=value if value % 5 else None,
        retry_after_s=value / 3000 if value % 4 == 0 else None,
    )


def _do(both: Both, name: str, value: int, which: int) -> None:
    match name:
        case "take":
            both.take(value)
        case "settle":
            both.tell(lambda ticket: Settle(ticket, value - 2000), which)
        case "release":
            both.tell(Release, which)
        case "give back":
            both.tell(GiveBack, which)
            both.forget(which)
        case "answer":
            both.tell(lambda ticket: Observe("m", _info(value), ticket=ticket), which)
        case "refusal":
            for store in (both.local, both.shared):
                store.tell(Observe("m", RateLimitInfo(), refused=True))
        case _:
            both.later(value / 700)


STEPS = st.lists(
    st.tuples(
        st.sampled_from(
            ["take", "take", "take", "settle", "release", "give back", "answer", "refusal", "later"]
        ),
        st.integers(0, 6000),
        st.integers(0, 5),
    ),
    max_size=25,
)
SETTINGS = st.builds(
    Limits,
    requests=st.one_of(st.none(), st.integers(1, 100)),
    tokens=st.one_of(st.none(), st.integers(1, 6000)),
    threshold=st.sampled_from([0.0, 0.5, 0.8, 1.0]),
)


@given(SETTINGS, STEPS)
@settings(max_examples=60, deadline=None)
def test_the_script_and_the_arithmetic_in_python_agree(
    limits: Limits, steps: list[tuple[str, int, int]]
) -> None:
    with namespace() as place:
        both = Both(limits, place)
        for name, value, which in steps:
            _do(both, name, value, which)
            both.compare()
        both.shared.close()
