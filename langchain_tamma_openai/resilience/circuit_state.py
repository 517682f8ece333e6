"""One circuit as a pure machine: closed, open, half-open. No clock, no lock, no storage.

`circuit_redis.py` holds the same machine in Lua; a test walks both through the same steps.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace
from enum import StrEnum

from langchain_tamma_openai.resilience.bounds import check_positive_count, check_seconds

OPEN_KEPT_S = 86_400.0
"""How long a circuit that nobody asks any more stays remembered past its recovery time."""


class CircuitState(StrEnum):
    """Whether calls go through."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


class Outcome(StrEnum):
    """How a call ended, as far as the circuit cares."""

    SUCCESS = "success"
    FAILURE = "failure"
    UNDECIDED = "undecided"


@dataclass(frozen=True, slots=True)
class CircuitRules:
    """When a circuit opens and how it closes again.

    Attributes:
        failure_threshold: Failures that open it.
        recovery_timeout_s: Seconds it stays open before a probe may go through.
        window_s: Seconds after which a failure is forgotten.
        half_open_max_calls: Probes at the same time.
        probe_timeout_s: Seconds after which a probe that was never heard of again gives its place
            away; its process may have died.
    """

    failure_threshold: int
    recovery_timeout_s: float
    window_s: float
    half_open_max_calls: int
    probe_timeout_s: float

    def __post_init__(self) -> None:
        """Refuse what cannot be meant.

        Raises:
            ConfigurationError: A count below 1, or a time that is not finite and above 0.
        """
        for field in ("failure_threshold", "half_open_max_calls"):
            check_positive_count(getattr(self, field), field)
        for field in ("recovery_timeout_s", "window_s", "probe_timeout_s"):
            check_seconds(getattr(self, field), field)

    @property
    def closed_kept_s(self) -> float:
        """How long a closed circuit stays remembered: until what began before it has ended."""
        return max(self.window_s, self.probe_timeout_s)


@dataclass(frozen=True, slots=True)
class Step:
    """What a circuit answered, and what it looks like now.

    Attributes:
        state: State after the step.
        previous: State before it.
        generation: Counts the changes of state; a call is judged only by the one it began in.
        failures: Failures counted at present.
        reason: What the last failure was.
        retry_after_s: Seconds until it is worth asking again; 0 when calls go through.
        allowed: Whether the call may go out.
        token: Names the probe's place; None for an ordinary call.
    """

    state: CircuitState = CircuitState.CLOSED
    previous: CircuitState = CircuitState.CLOSED
    generation: int = 0
    failures: int = 0
    reason: str = ""
    retry_after_s: float = 0.0
    allowed: bool = True
    token: str | None = None

    @property
    def changed(self) -> bool:
        """Whether the step changed the state."""
        return self.state is not self.previous


class Circuit:
    """The state of one key.

    A success takes one failure off the count, so a circuit opens when failures outweigh successes
    by the threshold: at once in an outage, and not for the odd failure of a busy server.
    """

    def __init__(self, rules: CircuitRules) -> None:
        """Start closed.

        Args:
            rules: When to open and close.
        """
        self._rules = rules
        self._state = CircuitState.CLOSED
        self._generation = 0
        self._failed_at_s: deque[float] = deque()
        self._open_until_s = 0.0
        self._probes: dict[str, float] = {}
        self._reason = ""
        self.kept_until_s = 0.0

    def admit(self, now_s: float, token: str) -> Step:
        """Decide whether a call may go out.

        Args:
            now_s: The present.
            token: Names the place of a probe.
        """
        before = self._state
        if before is CircuitState.OPEN and now_s >= self._open_until_s:
            self._change(CircuitState.HALF_OPEN, now_s)
        if self._state is not CircuitState.HALF_OPEN:
            return self._step(before, now_s, allowed=self._state is CircuitState.CLOSED)
        self._probes = {t: until_s for t, until_s in self._probes.items() if until_s > now_s}
        if len(self._probes) >= self._rules.half_open_max_calls:
            return self._step(before, now_s, allowed=False)
        self._probes[token] = now_s + self._rules.probe_timeout_s
        return self._step(before, now_s, token=token)

    def settle(self, now_s: float, permit: Step, outcome: Outcome, reason: str = "") -> Step:
        """Take note of how a call ended.

        Args:
            now_s: The present.
            permit: What `admit` answered for it.
            outcome: How it ended.
            reason: What the failure was.
        """
        before = self._state
        if permit.generation == self._generation:
            if before is CircuitState.CLOSED:
                self._count(now_s, outcome, reason)
            elif permit.token is not None and self._probes.pop(permit.token, None) is not None:
                self._judge(now_s, outcome, reason)
        return self._step(before, now_s)

    def look(self, now_s: float) -> Step:
        """Say what the next call would find, without changing anything."""
        step = self._step(self._state, now_s)
        is_due = step.state is CircuitState.OPEN and now_s >= self._open_until_s
        return replace(step, state=CircuitState.HALF_OPEN) if is_due else step

    def _count(self, now_s: float, outcome: Outcome, reason: str) -> None:
        self._forget_old_failures(now_s)
        if outcome is Outcome.SUCCESS and self._failed_at_s:
            self._failed_at_s.popleft()
        if outcome is Outcome.FAILURE:
            self._failed_at_s.append(now_s)
            self._reason = reason
            if len(self._failed_at_s) >= self._rules.failure_threshold:
                self._change(CircuitState.OPEN, now_s)
        self._keep(now_s)

    def _judge(self, now_s: float, outcome: Outcome, reason: str) -> None:
        if outcome is Outcome.SUCCESS:
            self._failed_at_s.clear()
            self._change(CircuitState.CLOSED, now_s)
        elif outcome is Outcome.FAILURE:
            self._reason = reason
            self._change(CircuitState.OPEN, now_s)

    def _change(self, state: CircuitState, now_s: float) -> None:
        self._state = state
        self._generation += 1
        self._probes.clear()
        if state is CircuitState.OPEN:
            self._open_until_s = now_s + self._rules.recovery_timeout_s
        self._keep(now_s)

    def _keep(self, now_s: float) -> None:
        if self._state is CircuitState.CLOSED:
            self.kept_until_s = now_s + self._rules.closed_kept_s
        else:
            self.kept_until_s = max(now_s, self._open_until_s) + OPEN_KEPT_S

    def _forget_old_failures(self, now_s: float) -> None:
        while self._failed_at_s and self._failed_at_s[0] <= now_s - self._rules.window_s:
            self._failed_at_s.popleft()

    def _step(
        self, before: CircuitState, now_s: float, *, allowed: bool = True, token: str | None = None
    ) -> Step:
        if self._state is CircuitState.CLOSED:
            self._forget_old_failures(now_s)
        return Step(
            state=self._state,
            previous=before,
            generation=self._generation,
            failures=len(self._failed_at_s),
            reason=self._reason,
            retry_after_s=self._wait_s(now_s),
            allowed=allowed,
            token=token,
        )

    def _wait_s(self, now_s: float) -> float:
        if self._state is CircuitState.OPEN:
            return max(0.0, self._open_until_s - now_s)
        if len(self._probes) < self._rules.half_open_max_calls:
            return 0.0
        first_s = min(self._probes.values()) - now_s
        return min(self._rules.recovery_timeout_s, max(0.0, first_s))
