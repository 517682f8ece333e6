"""What is wrong with a tool or a schema: where, why, how bad, and the way out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

Severity: TypeAlias = Literal["error", "warning"]


@dataclass(frozen=True, slots=True)
class ToolProblem:
    """One thing that is wrong with a tool definition or a response format.

    Attributes:
        pointer: Where, as a JSON pointer (RFC 6901) into the tool as it is sent; empty for the
            tool as a whole.
        message: What is wrong.
        code: A stable word for it, such as `"dangling_ref"`.
        severity: `"error"` when the API refuses it, `"warning"` when it works but badly or not
            everywhere.
        remedy: What to do about it.
        tool: Name of the tool, where it has one.
    """

    pointer: str
    message: str
    code: str
    severity: Severity = "error"
    remedy: str = ""
    tool: str | None = None

    def __str__(self) -> str:
        """Say it in one line."""
        where = " ".join(part for part in (self.tool, self.pointer) if part)
        said = f"{where}: {self.message}" if where else self.message
        return f"{said}; {self.remedy}" if self.remedy else said

    def under(self, prefix: str) -> ToolProblem:
        """Give the same problem of a schema that stands at the pointer `prefix`."""
        return replace(self, pointer=prefix + self.pointer) if prefix else self


def pointer_to(path: Iterable[str | int]) -> str:
    """Write a path as a JSON pointer.

    Args:
        path: Keys and positions from the root on.
    """
    return "".join(f"/{_escaped(str(step))}" for step in path)


def errors_among(problems: Iterable[ToolProblem]) -> list[ToolProblem]:
    """Keep the problems that the API refuses."""
    return [problem for problem in problems if problem.severity == "error"]


def listed(problems: Sequence[ToolProblem]) -> str:
    """Write problems for the message of an error: all of them, one a line when there are many."""
    if len(problems) == 1:
        return str(problems[0])
    return f"{len(problems)} problems:\n" + "\n".join(f"- {problem}" for problem in problems)


def _escaped(step: str) -> str:
    return step.replace("~", "~0").replace("/", "~1")
