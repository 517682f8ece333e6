"""The figures this package means to hold, and whether a run holds them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from bench_cases import ALL_ON, CASES, OFF, OURS, STREAMS, TOOL_STREAMS
from bench_results import Measure, Results, ratio

_STREAMING: Final = (*STREAMS, *TOOL_STREAMS)
_TITLES: Final = {case.name: case.title for case in CASES}


@dataclass(frozen=True, slots=True)
class Target:
    """The most that the ratio of two medians of one case may be."""

    case: str
    limit: float
    peer: str = "chat_openai"
    measure: Measure = "cpu"
    ours: str = OURS

    @property
    def title(self) -> str:
        """What it is about, in words."""
        measure = "peak memory" if self.measure == "peak" else "CPU"
        return f"{_TITLES[self.case]}: {measure} against {_PEERS[self.peer]}"


_PEERS: Final = {"chat_openai": "ChatOpenAI", "sdk": "the bare SDK", OFF: "all features off"}

TARGETS: Final = (
    Target("import", 0.55),
    Target("first-call", 0.9),
    Target("construct", 0.3),
    Target("invoke", 0.75),
    Target("responses-invoke", 0.5),
    *[Target(case.name, 0.16) for case in STREAMS],
    Target("concurrent", 0.4),
    Target("concurrent-streams", 0.2),
    Target("concurrent-streams", 0.7, measure="peak"),
    *[Target(case.name, 1.0, "sdk") for case in _STREAMING],
    Target("concurrent-streams", 1.0, "sdk"),
    Target("count", 1.1, "sdk"),
    Target("features-invoke", 1.1, OFF, ours=ALL_ON),
    Target("features-stream", 1.1, OFF, ours=ALL_ON),
)


@dataclass(frozen=True, slots=True)
class Verdict:
    """A target and what was measured; `ratio` is None where one side was not measured."""

    target: Target
    ratio: float | None

    @property
    def met(self) -> bool | None:
        """Whether the target is held; None where it was not measured."""
        return None if self.ratio is None else self.ratio <= self.target.limit

    def as_json(self) -> dict[str, object]:
        """Give the verdict as plain data."""
        target = self.target
        return {
            "case": target.case,
            "measure": target.measure,
            "against": target.peer,
            "limit": target.limit,
            "ratio": self.ratio,
            "met": self.met,
        }

    def __str__(self) -> str:
        """Say it in one line."""
        word = {True: "met", False: "MISSED", None: "not measured"}[self.met]
        figure = "-" if self.ratio is None else f"{self.ratio:.2f}"
        return f"{word:<12}  {figure:>5} of {self.target.limit:.2f}  {self.target.title}"


def verdicts(results: Results) -> list[Verdict]:
    """Compare a run with the targets of the cases in it."""
    measured = {case.name for case in results}
    return [
        Verdict(t, ratio(results, t.case, t.ours, t.peer, t.measure))
        for t in TARGETS
        if t.case in measured
    ]
