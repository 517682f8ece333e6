"""Connections that wait: which is taken, which is given up, and at what cost."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from langchain_tamma_openai.transport.idle import IdleConnections, Origin

A: Origin = ("http", "a", 80)
B: Origin = ("http", "b", 80)


class Waiting:
    """A connection that may be lost while it waits."""

    def __init__(self, origin: Origin = A, *, usable: bool = True) -> None:
        self.origin = origin
        self.usable = usable
        self.asked = 0

    def is_usable(self) -> bool:
        self.asked += 1
        return self.usable


def test_the_last_one_used_is_taken_first() -> None:
    idle: IdleConnections[Waiting] = IdleConnections(10, 5.0)
    first, second = Waiting(), Waiting()
    assert idle.put(first, 0.0) == idle.put(second, 1.0) == []
    assert idle.take(A, 2.0) == (second, [])
    assert idle.take(A, 2.0) == (first, [])
    assert idle.take(A, 2.0) == (None, [])


def test_each_origin_has_its_own() -> None:
    idle: IdleConnections[Waiting] = IdleConnections(10, 5.0)
    idle.put(one := Waiting(B), 0.0)
    assert idle.take(A, 0.0) == (None, [])
    assert idle.take(B, 0.0) == (one, [])


def test_lost_ones_are_given_up_on_the_way() -> None:
    idle: IdleConnections[Waiting] = IdleConnections(10, 5.0)
    good, lost = Waiting(), Waiting(usable=False)
    idle.put(good, 0.0)
    idle.put(lost, 0.0)
    assert idle.take(A, 1.0) == (good, [lost])


def test_waiting_ends() -> None:
    idle: IdleConnections[Waiting] = IdleConnections(10, 5.0)
    old, young = Waiting(), Waiting()
    idle.put(old, 0.0)
    idle.put(young, 3.0)
    assert idle.expired(4.9) == []
    assert idle.take(A, 5.0) == (young, [old])


def test_the_longest_waiting_makes_room() -> None:
    idle: IdleConnections[Waiting] = IdleConnections(2, 5.0)
    three = [Waiting(), Waiting(B), Waiting()]
    assert [idle.put(one, 0.0) for one in three] == [[], [], [three[0]]]
    assert idle.oldest() is three[1]
    assert idle.oldest() is three[2]
    assert idle.oldest() is None


def test_forgetting() -> None:
    idle: IdleConnections[Waiting] = IdleConnections(2, 5.0)
    idle.put(one := Waiting(), 0.0)
    assert idle.forget(one)
    assert not idle.forget(one)
    idle.put(one, 0.0)
    assert idle.clear() == [one]
    assert len(idle) == 0


def test_a_thousand_cost_no_more_than_one() -> None:
    idle: IdleConnections[Waiting] = IdleConnections(1000, 5.0)
    many = [Waiting() for _ in range(1000)]
    for one in many:
        idle.put(one, 0.0)
    for _ in range(100):
        taken, _ = idle.take(A, 1.0)
        assert taken is not None
        idle.put(taken, 1.0)
    assert sum(one.asked for one in many) == 100


class Machine(RuleBasedStateMachine):
    """Compares with a plain list, longest waiting first."""

    def __init__(self) -> None:
        super().__init__()
        self.idle: IdleConnections[Waiting] = IdleConnections(3, 10.0)
        self.model: list[tuple[Waiting, float]] = []
        self.now_s = 0.0

    def _expire(self) -> list[Waiting]:
        gone = [one for one, at_s in self.model if at_s + 10.0 <= self.now_s]
        self.model = [(one, at_s) for one, at_s in self.model if one not in gone]
        return gone

    @rule(seconds=st.floats(0, 6))
    def wait(self, seconds: float) -> None:
        self.now_s += seconds

    @rule(origin=st.sampled_from([A, B]), usable=st.booleans())
    def put(self, origin: Origin, usable: bool) -> None:  # noqa: FBT001 - hypothesis passes names
        one = Waiting(origin, usable=usable)
        given_up = self.idle.put(one, self.now_s)
        expected = self._expire()
        self.model.append((one, self.now_s))
        while len(self.model) > 3:
            expected.append(self.model.pop(0)[0])
        assert given_up == expected

    @rule(origin=st.sampled_from([A, B]))
    def take(self, origin: Origin) -> None:
        taken, given_up = self.idle.take(origin, self.now_s)
        expected = self._expire()
        found = None
        for one in [one for one, _ in reversed(self.model) if one.origin == origin]:
            self.model = [item for item in self.model if item[0] is not one]
            if one.usable:
                found = one
                break
            expected.append(one)
        assert (taken, given_up) == (found, expected)

    @invariant()
    def same_number(self) -> None:
        assert len(self.idle) == len(self.model)


TestMachine = Machine.TestCase
