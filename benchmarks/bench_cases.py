"""What is measured, and between whom."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

OURS: Final = "tamma"
LIBRARIES: Final = (OURS, "chat_openai", "litellm", "sdk")
OFF: Final = "features:off"
ALL_ON: Final = "features:all"
FEATURES: Final = (
    OFF,
    "features:ledger",
    "features:sqlite",
    "features:budget",
    "features:limiter",
    "features:circuit",
    "features:otel",
    "features:langsmith",
    ALL_ON,
)

Group = Literal["libraries", "features"]


@dataclass(frozen=True, slots=True)
class Case:
    """One thing to measure.

    Args:
        name: What `--case` takes; also the name of the work in `workloads/`.
        title: Its row in the tables.
        repeat: Operations per measurement in a warm process; 0 for one operation in a process of
            its own, whose peak memory is measured too.
        max_rounds: Rounds at most, for slow cases.
        group: Who takes part: the libraries, or ours with features on and off.
    """

    name: str
    title: str
    repeat: int
    max_rounds: int = 1000
    group: Group = "libraries"

    @property
    def contestants(self) -> tuple[str, ...]:
        """Who takes part."""
        return LIBRARIES if self.group == "libraries" else FEATURES


STREAMS: Final = (
    Case("stream", "stream of 500 chunks", 4),
    Case("astream", "async stream of 500 chunks", 4),
    Case("responses-stream", "Responses stream of 500 chunks", 4),
    Case("responses-astream", "Responses async stream of 500 chunks", 4),
    Case("stream-5000", "stream of 5,000 chunks", 1, 3),
    Case("astream-5000", "async stream of 5,000 chunks", 1, 3),
    Case("responses-stream-5000", "Responses stream of 5,000 chunks", 1, 3),
    Case("responses-astream-5000", "Responses async stream of 5,000 chunks", 1, 3),
)
TOOL_STREAMS: Final = (
    Case("tool-stream", "stream of 4 parallel tool calls, 400 chunks", 4),
    Case("tool-astream", "async stream of 4 parallel tool calls, 400 chunks", 4),
    Case("responses-tool-stream", "Responses stream of 4 parallel tool calls, 400 chunks", 4),
    Case("responses-tool-astream", "Responses async stream of 4 tool calls, 400 chunks", 4),
)
CASES: Final = (
    Case("import", "import", 0),
    Case("first-call", "first call, import included", 0),
    Case("construct", "construction", 50),
    Case("bind-tools", "200 tools bound", 2),
    Case("invoke", "plain call", 40),
    Case("responses-invoke", "Responses plain call", 40),
    *STREAMS,
    *TOOL_STREAMS,
    Case("concurrent", "100 concurrent async calls", 2),
    Case("concurrent-1000", "1,000 concurrent async calls", 1, 3),
    Case("concurrent-streams", "200 concurrent streams of 100 chunks", 0, 3),
    Case("history", "call with 1,000 messages and 200 tools", 2),
    Case("count", "1 MB of text counted", 1),
    Case("image", "call with an image of 10 MB", 1),
    Case("features-invoke", "plain call", 40, group="features"),
    Case("features-stream", "stream of 500 chunks", 4, group="features"),
)
