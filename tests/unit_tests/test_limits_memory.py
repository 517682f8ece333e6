"""Lines of waiting calls in one process, on a clock that the test moves."""

from __future__ import annotations

import gc
import os
from itertools import count

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from langchain_tamma_openai.errors import RequestTooLargeError
from langchain_tamma_openai.resilience import limits_memory, limits_meter
from langchain_tamma_openai.resilience.limits_info import RateLimitInfo
from langchain_tamma_openai.resilience.limits_memory import MemoryStore
from langchain_tamma_openai.resilience.limits_meter import Limits
from langchain_tamma_openai.resilience.limits_store import (
    RECHECK_S,
    GiveBack,
    Observe,
    Release,
    Settle,
    ThreadSignal,
    Ticket,
)

_idents = count(1)


class Clock:
    """Seconds that pass when told to."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


class Desk:
    """A store with its clock, and short words for what tests do with it."""

    def __init__(self, **limits: float | None) -> None:
        self.clock = Clock()
        self.store = MemoryStore(Limits(**limits), self.clock)  # type: ignore[arg-type]  # by name

    def ticket(
        self, tokens: int = 0, *, key: str = "m", slot: bool = True, waits: bool = True
    ) -> Ticket:
        ident = f"t{next(_idents)}"
        return Ticket(ident, key, tokens, slot=slot, waits=waits, signal=ThreadSignal())

    def go(self, tokens: int = 0, key: str = "m") -> Ticket:
        """Take a ticket that goes at once."""
        ticket = self.ticket(tokens, key=key)
        assert self.store.take(ticket) is None
        return ticket

    def wait(self, tokens: int = 0) -> Ticket:
        """Take a ticket that has to wait."""
        ticket = self.ticket(tokens)
        assert self.store.take(ticket) is not None
        return ticket

    def drive(self, ticket: Ticket) -> float:
        """Move the clock until the ticket goes; returns the time."""
        for _ in range(10_000):
            wait_s = self.store.take(ticket)
            if wait_s is None:
                return self.clock.now_s
            self.clock.now_s += wait_s
        raise AssertionError(ticket)

    def remaining_tokens(self) -> int | None:
        return self.store.status("m").remaining_tokens


def was_woken(ticket: Ticket) -> bool:
    assert isinstance(ticket.signal, ThreadSignal)
    return not ticket.signal._calls.empty()


def exhausted(**limits: float | None) -> Desk:
    """Make a desk whose buckets are just empty."""
    desk = Desk(threshold=1.0, **limits)
    desk.go()
    desk.store.tell(Observe("m", RateLimitInfo(), refused=True))
    return desk


def test_calls_go_in_the_order_they_came() -> None:
    desk = exhausted(requests=600, tokens=60_000)
    large, *small = desk.wait(50_000), desk.wait(1), desk.wait(1)
    order = [large, *small]

    times = [desk.drive(ticket) for ticket in order]

    assert times == sorted(times)
    assert times[0] == pytest.approx(50.0)
    assert times[-1] < 51.0


def test_a_newcomer_does_not_pass_those_who_wait() -> None:
    desk = exhausted(tokens=60_000)
    large = desk.wait(30_000)

    assert desk.store.take(desk.ticket(1)) is not None
    assert desk.store.take(desk.ticket(1, waits=False)) is not None
    assert desk.store.take(large) is not None


def test_a_call_that_does_not_wait_leaves_nothing_behind() -> None:
    desk = exhausted(requests=60)

    assert desk.store.take(desk.ticket(waits=False)) is not None

    assert desk.store.status("m").waiting == 0


def test_a_waiting_call_that_leaves_frees_its_place() -> None:
    desk = exhausted(tokens=60_000)
    large, small = desk.wait(60_000), desk.wait(10)
    desk.clock.now_s += 0.5

    desk.store.tell(GiveBack(large))

    assert was_woken(small)
    assert desk.store.take(small) is None


def test_a_call_let_through_while_asleep_gives_everything_back_when_it_leaves() -> None:
    desk = exhausted(requests=60, tokens=6000, concurrency=3)
    asleep = desk.wait(300)
    desk.clock.now_s += 5.0
    before = desk.store.status("m")  # looking at it lets nobody through

    desk.store.tell(Release(desk.ticket()))  # anything that happens lets through who is due
    assert asleep.grant is not None
    desk.store.tell(GiveBack(asleep))

    after = desk.store.status("m")
    assert (after.remaining_requests, after.remaining_tokens, after.in_flight) == (
        before.remaining_requests,
        before.remaining_tokens,
        before.in_flight,
    )


def test_whoever_looks_lets_through_those_who_are_asleep() -> None:
    desk = exhausted(requests=600)
    first, second = desk.wait(), desk.wait()
    desk.clock.now_s += 10.0

    assert desk.store.take(second) is None

    assert first.grant is not None
    assert was_woken(first)
    assert desk.store.take(first) is None


def test_the_next_in_line_is_woken_to_look_at_the_time() -> None:
    desk = exhausted(requests=60)
    first, second = desk.wait(), desk.wait()
    desk.clock.now_s += 1.0

    assert desk.store.take(first) is None

    assert was_woken(second)


def test_only_the_head_of_the_line_knows_its_time() -> None:
    desk = exhausted(requests=6)
    head, next_one = desk.ticket(), desk.ticket()

    assert desk.store.take(head) == pytest.approx(10.0)
    assert desk.store.take(next_one) == pytest.approx(RECHECK_S, rel=0.1)


def test_a_dead_task_blocks_nobody() -> None:
    desk = exhausted(requests=600)
    dead, living = desk.wait(), desk.wait()
    dead.signal.alive = False  # type: ignore[misc]  # as a closed event loop makes it

    desk.drive(living)

    assert dead.grant is None


def test_slots_limit_calls_under_way() -> None:
    desk = Desk(concurrency=2)
    first, _second = desk.go(), desk.go()
    third, fourth = desk.wait(), desk.wait()

    desk.store.tell(Release(first))
    desk.store.tell(Release(first))

    assert desk.store.take(third) is None
    assert desk.store.take(fourth) == pytest.approx(RECHECK_S, rel=0.1)
    assert desk.store.status("m").in_flight == 2


def test_a_call_without_a_slot_needs_none() -> None:
    desk = Desk(concurrency=1)
    _held = desk.go()

    assert desk.store.take(desk.ticket(slot=False)) is None


def test_a_request_larger_than_the_limit_is_refused_at_once() -> None:
    desk = Desk(tokens=1000)

    with pytest.raises(RequestTooLargeError, match=r"about 1001 tokens.*'m' is 1000 per minute"):
        desk.store.take(desk.ticket(1001))

    assert desk.store.status("m").waiting == 0


def test_a_waiting_request_is_refused_when_the_limit_turns_out_lower() -> None:
    desk = exhausted(tokens=60_000)
    large, small = desk.wait(50_000), desk.wait(10)

    desk.store.tell(Observe("m", RateLimitInfo(limit_tokens=30_000, remaining_tokens=30_000)))

    assert was_woken(large)
    with pytest.raises(RequestTooLargeError):
        desk.store.take(large)
    assert desk.drive(small) < 1.0


def test_the_estimate_is_corrected_when_the_usage_arrives() -> None:
    desk = Desk(tokens=60_000)
    ticket = desk.go(1000)
    before = desk.remaining_tokens()

    desk.store.tell(Settle(ticket, -600))

    assert before is not None
    assert desk.remaining_tokens() == before + 600


def test_a_correction_lets_through_who_waits() -> None:
    desk = exhausted(tokens=60_000)
    ticket = desk.wait(5_000)

    desk.store.tell(Settle(ticket, -6_000))

    assert ticket.grant is not None


class TestServerSays:
    def test_limits_are_learned_from_nothing(self) -> None:
        desk = Desk()
        for _ in range(50):
            desk.go(100)
        last = desk.go(100)

        info = RateLimitInfo(
            limit_requests=60, remaining_requests=9, limit_tokens=6000, remaining_tokens=900
        )
        desk.store.tell(Observe("m", info, ticket=last))

        status = desk.store.status("m")
        assert (status.limit_requests, status.limit_tokens) == (60, 6000)
        assert status.remaining_requests == 0  # the 50 others may still be on their way
        assert status.retry_after_s is not None

    def test_answers_raise_the_level_to_what_is_sure(self) -> None:
        desk = exhausted(requests=600)
        desk.clock.now_s += 1.0
        ticket = desk.go()

        info = RateLimitInfo(limit_requests=600, remaining_requests=500)
        desk.store.tell(Observe("m", info, ticket=ticket))

        status = desk.store.status("m")
        assert status.remaining_requests == 500 - 1  # the first call was never answered

    def test_calls_of_a_minute_ago_have_arrived(self) -> None:
        desk = exhausted(requests=600)
        desk.clock.now_s += limits_meter.ARRIVED_S
        ticket = desk.go()

        info = RateLimitInfo(limit_requests=600, remaining_requests=500)
        desk.store.tell(Observe("m", info, ticket=ticket))

        assert desk.store.status("m").remaining_requests == 500

    def test_a_call_that_arrived_later_than_it_was_let_through_is_allowed_for(self) -> None:
        desk = exhausted(requests=600)
        desk.clock.now_s += 120.0
        early, late = desk.go(), desk.go()
        of_late = RateLimitInfo(limit_requests=600, remaining_requests=500)
        of_early = RateLimitInfo(limit_requests=600, remaining_requests=499)

        desk.store.tell(Observe("m", of_early, ticket=early))  # arrived after the other one
        desk.store.tell(Observe("m", of_late, ticket=late))

        remaining = desk.store.status("m").remaining_requests
        assert remaining is not None
        assert remaining <= 499

    def test_an_answer_to_an_unknown_call_raises_nothing(self) -> None:
        desk = exhausted(requests=600)

        desk.store.tell(Observe("m", RateLimitInfo(limit_requests=600, remaining_requests=600)))

        assert desk.store.status("m").remaining_requests == 20  # the slack

    def test_a_wait_asked_for_holds_all_calls_of_the_key(self) -> None:
        desk = Desk(requests=600)
        desk.go()

        desk.store.tell(Observe("m", RateLimitInfo(retry_after_s=7.0)))

        assert desk.store.take(desk.ticket()) == pytest.approx(7.0)
        assert desk.store.status("m").retry_after_s == pytest.approx(7.0)
        desk.go(key="another")

    def test_an_absurd_wait_is_left_to_the_retry_policy(self) -> None:
        desk = Desk(requests=600)

        desk.store.tell(Observe("m", RateLimitInfo(retry_after_s=3600.0)))

        assert desk.store.status("m").retry_after_s is None

    def test_a_refusal_without_numbers_empties_both_buckets(self) -> None:
        desk = exhausted(requests=600, tokens=6000)

        status = desk.store.status("m")

        assert status.retry_after_s == pytest.approx(0.1)
        assert desk.store.take(desk.ticket(100)) == pytest.approx(1.0)

    def test_a_refusal_with_numbers_goes_by_the_numbers(self) -> None:
        desk = Desk(requests=600)
        desk.go()
        info = RateLimitInfo(limit_requests=600, remaining_requests=300)

        desk.store.tell(Observe("m", info, refused=True))

        assert desk.store.status("m").remaining_requests == 300


def test_keys_have_limits_of_their_own() -> None:
    desk = exhausted(requests=60)

    assert desk.store.take(desk.ticket(key="m")) is not None
    assert desk.store.take(desk.ticket(key="n")) is None


def test_memory_is_bounded_by_the_number_of_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits_memory, "MOST_KEYS", 10)
    desk = Desk(requests=600)
    busy = desk.go(key="busy")

    for number in range(100):
        desk.store.tell(Release(desk.go(key=str(number))))

    assert len(desk.store._lines) == 10
    assert "busy" in desk.store._lines
    desk.store.tell(Release(busy))


def test_calls_never_released_are_forgotten() -> None:
    desk = Desk(requests=60_000)
    for _ in range(500):
        desk.clock.now_s += 1.0
        desk.go()

    assert len(desk.store._lines["m"].meter.under_way) <= limits_meter.ARRIVED_S


def test_ending_a_call_never_waits_for_the_lock() -> None:
    desk = Desk(concurrency=1)
    ticket = desk.go()

    with desk.store._lock:  # as when the garbage collector runs in the midst of a decision
        desk.store.tell(Release(ticket))

    assert desk.store.status("m").in_flight == 0


def test_what_was_noted_meanwhile_is_done_by_whoever_held_the_lock(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    desk = Desk(concurrency=1)
    ticket = desk.go()
    desk.store._line("m")

    def noted_meanwhile(*_: object) -> None:
        desk.store.tell(Release(ticket))

    monkeypatch.setattr(limits_memory.Line, "take", noted_meanwhile)
    desk.store.take(desk.ticket())

    assert not desk.store._notes


def test_a_forked_child_leaves_the_parents_calls_to_it() -> None:
    desk = Desk(requests=600, concurrency=1)
    _held = desk.go()
    desk.wait()

    limits_memory._after_fork()

    status = desk.store.status("m")
    assert (status.waiting, status.in_flight) == (0, 0)
    assert status.remaining_requests == 599


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_forked_child_starts_without_the_parents_calls() -> None:
    desk = Desk(concurrency=1)
    _held, _waiting = desk.go(), desk.wait()
    with desk.store._lock:  # held by some thread at the moment of the fork
        child = os.fork()
        if child == 0:
            status = desk.store.status("m")
            right = (status.waiting, status.in_flight) == (0, 0)
            os._exit(0 if right and desk.store.take(desk.ticket()) is None else 1)

    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert desk.store.status("m").waiting == 1


class Traffic:
    """Calls that come, leave and end; knows who waits and who is under way."""

    def __init__(self) -> None:
        self.desk = Desk(requests=120, tokens=6000, concurrency=5, threshold=0.8)
        self.waiting: list[Ticket] = []
        self.running: list[Ticket] = []
        self.went: list[tuple[float, int]] = []

    def come(self, tokens: int) -> None:
        ticket = self.desk.ticket(tokens)
        self.desk.store.take(ticket)
        self.waiting.append(ticket)
        self.see()

    def leave(self, place: float) -> None:
        if self.waiting:
            ticket = self.waiting.pop(int(place * (len(self.waiting) - 1)))
            self.desk.store.tell(GiveBack(ticket))
        self.see()

    def end(self) -> None:
        if self.running:
            self.desk.store.tell(Release(self.running.pop(0)))
        self.see()

    def see(self) -> None:
        """Move those let through, who must be the first in line."""
        for ticket in [*self.waiting]:
            if ticket.grant is not None:
                assert ticket is self.waiting.pop(0)
                self.went.append((ticket.grant.at_s, ticket.tokens))
                self.running.append(ticket)
        status = self.desk.store.status("m")
        assert status.waiting == len(self.waiting)
        assert status.in_flight == len(self.running) <= 5


EVENTS = st.one_of(
    st.tuples(st.just("come"), st.integers(0, 2000)),
    st.tuples(st.just("leave"), st.floats(0.0, 1.0)),
    st.tuples(st.just("end"), st.none()),
    st.tuples(st.just("pass"), st.floats(0.0, 3.0)),
)


@given(st.lists(EVENTS, max_size=60))
@settings(max_examples=60, deadline=None)
def test_in_any_order_of_events_nobody_is_lost_and_no_limit_is_passed(
    events: list[tuple[str, float]],
) -> None:
    traffic = Traffic()
    for name, value in events:
        match name:
            case "come":
                traffic.come(int(value))
            case "leave":
                traffic.leave(value)
            case "end":
                traffic.end()
            case _:
                traffic.desk.clock.now_s += value

    for place, (start_s, _) in enumerate(traffic.went):
        tokens = 0
        for number, (time_s, cost) in enumerate(traffic.went[place:], 1):
            tokens += cost
            assert number <= 120 + 2 * (time_s - start_s) + 1e-6
            assert tokens <= 6000 + 100 * (time_s - start_s) + 1e-6


def test_nothing_keeps_a_store_alive() -> None:
    desk = Desk(requests=60)
    before = len(limits_memory._stores)

    del desk
    gc.collect()

    assert len(limits_memory._stores) < before
