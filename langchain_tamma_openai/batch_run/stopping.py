"""Which failures concern one line of a batch, and which would meet every line. No I/O."""

from __future__ import annotations

from enum import StrEnum

from langchain_tamma_openai.batch_run.lines import BatchLine, Form
from langchain_tamma_openai.kinds import ErrorKind


class StopReason(StrEnum):
    """Why a run ended."""

    DONE = "done"
    """Nothing is left to ask."""
    LIMIT = "limit"
    """As many lines were asked as were wanted this time."""
    BUDGET = "budget"
    """The next request could cost more than is left of the budget."""
    STOPPED = "stopped"
    """`stop` was called; what was under way was waited for."""
    ABORTED = "aborted"
    """`abort` was called; what was under way was left."""
    ERRORS = "errors"
    """More lines failed than were allowed."""
    ERROR = "error"
    """A failure that would meet every line."""


class Reach(StrEnum):
    """Whom a failure concerns."""

    LINE = "line"
    MODEL = "model"
    """All lines that ask the same model."""
    BUDGET = "budget"
    EVERYONE = "everyone"


_EVERYONE = frozenset(
    {
        ErrorKind.AUTHENTICATION,
        ErrorKind.INSUFFICIENT_QUOTA,
        ErrorKind.CONFIGURATION,
        ErrorKind.STORAGE,
    }
)
_OF_THE_MODEL = "model_not_found"


def reach_of(error: Exception, line: BatchLine) -> Reach:
    """Say whom a failure concerns.

    Args:
        error: What a line failed with.
        line: The line.
    """
    from langchain_tamma_openai.resilience.classify import ErrorClassifier

    kind = ErrorClassifier().classify(error).kind
    if kind is ErrorKind.BUDGET_EXCEEDED:
        return Reach.BUDGET
    if kind in _EVERYONE:
        return Reach.EVERYONE
    if kind in {ErrorKind.NOT_FOUND, ErrorKind.PERMISSION}:
        return _reach_of_refusal(error, line)
    return Reach.LINE


def _reach_of_refusal(error: Exception, line: BatchLine) -> Reach:
    code = getattr(error, "code", None)
    if code == _OF_THE_MODEL:
        return Reach.MODEL
    # The Responses API has further things that a request may name, such as earlier answers.
    if code is not None and line.form is Form.RESPONSES_BODY:
        return Reach.LINE
    return Reach.EVERYONE


def message_of(error: Exception) -> str:
    """Say in one line what stopped a run.

    Args:
        error: What a line failed with.
    """
    from langchain_tamma_openai.redact import redact_secrets
    from langchain_tamma_openai.resilience.classify import ErrorClassifier

    text = getattr(error, "message", None) or str(error) or type(error).__name__
    if ErrorClassifier().classify(error).kind is ErrorKind.CONNECTION:
        text = f"the server cannot be reached: {text}"
    return redact_secrets(" ".join(str(text).split()))
