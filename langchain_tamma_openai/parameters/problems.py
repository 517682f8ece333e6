"""What is said about parameters: problems found, changes made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from langchain_tamma_openai.checks import shown

Api = Literal["chat_completions", "responses"]
"""Which of OpenAI's APIs carries a call."""

ParameterPolicy = Literal["strict", "adjust", "off"]
"""What to do about a bad parameter: raise, change it with a warning, or send it as it is."""

API_NAMES: Mapping[Api, str] = {
    "chat_completions": "Chat Completions",
    "responses": "the Responses API",
}


class _Unset:
    """The value of a parameter that is not sent."""

    def __repr__(self) -> str:
        return "not sent"

    def __reduce__(self) -> str:
        return "UNSET"


UNSET: Final = _Unset()
"""Stands for a parameter that is not sent, where None would be ambiguous."""


class ParameterAdjustedWarning(UserWarning):
    """Parameters were changed before sending, as `parameter_policy="adjust"` allows."""


@dataclass(frozen=True, slots=True)
class ParameterProblem:
    """One parameter that the API would refuse.

    Attributes:
        name: The parameter, nested ones with a dot (`reasoning.effort`).
        value: What was given.
        code: The kind of problem, as one stable word.
        message: What is wrong.
        remedy: The way out.
        fix: New values by name that make it acceptable, `UNSET` for leaving out; None where the
            intention cannot be guessed.
    """

    name: str
    value: object
    code: str
    message: str
    remedy: str
    fix: Mapping[str, object] | None = None

    def __str__(self) -> str:
        """Return name, value, what is wrong and the way out, without secrets."""
        given = "not given" if self.value is UNSET else f"got {shown(self.value)}"
        return f"{self.name}: {given}, {self.message}; {self.remedy}"


@dataclass(frozen=True, slots=True)
class ParameterChange:
    """One parameter that was changed before sending.

    Attributes:
        name: The parameter, nested ones with a dot.
        old: What was given; `UNSET` when nothing was.
        new: What is sent; `UNSET` when nothing is.
        reason: Why.
    """

    name: str
    old: object
    new: object
    reason: str

    def __str__(self) -> str:
        """Return both values and the reason, without secrets."""
        return f"{self.name}: {shown(self.old)} -> {shown(self.new)} ({self.reason})"

    def as_metadata(self) -> dict[str, object]:
        """Give the change as JSON for `response_metadata`; None where nothing was or is sent."""
        return {
            "name": self.name,
            "old": None if self.old is UNSET else self.old,
            "new": None if self.new is UNSET else self.new,
            "reason": self.reason,
        }


@dataclass(frozen=True, slots=True)
class AppliedParameters:
    """Parameters ready to send, and how they differ from those given.

    Attributes:
        params: What to send; the given mapping's own values where nothing was changed.
        changes: What was changed, in order; empty when nothing was.
        warning: The text that names all changes; None when there are none.
    """

    params: dict[str, object]
    changes: tuple[ParameterChange, ...] = ()
    warning: str | None = None


def changes_text(changes: Sequence[ParameterChange], model: str, api: Api) -> str | None:
    """Name all changes in one text; None when there are none."""
    if not changes:
        return None
    listed = "; ".join(str(change) for change in changes)
    return f"Parameters changed for {model or 'the model'} on {API_NAMES[api]}: {listed}"


def problems_text(problems: Sequence[ParameterProblem], model: str, api: Api) -> str:
    """Name all problems in one text, one a line when there are several."""
    if len(problems) == 1:
        return str(problems[0])
    lines = "\n".join(f"  {problem}" for problem in problems)
    where = f"{model or 'the model'} on {API_NAMES[api]}"
    return f"{len(problems)} parameters cannot be sent to {where}:\n{lines}"
