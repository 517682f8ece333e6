"""The kinds of failure, and what follows from each: how bad, worth repeating, what to tell users.

One vocabulary for the error tree (`errors.py`) and the classifier (`resilience/classify.py`), so
that the two cannot disagree.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from langchain_tamma_openai.redact import redact_secrets

Severity = Literal["low", "medium", "high", "critical"]
"""How bad it is for whoever runs the application.

``low``: pass it on to the user. ``medium``: watch it. ``high``: someone should look.
``critical``: nothing works until it is fixed.
"""


class ErrorKind(StrEnum):
    """What went wrong, as one stable word."""

    AUTHENTICATION = "authentication"
    PERMISSION = "permission"
    NOT_FOUND = "not_found"
    INVALID_REQUEST = "invalid_request"
    UNSUPPORTED_PARAMETER = "unsupported_parameter"
    CONTEXT_OVERFLOW = "context_overflow"
    CONTENT_FILTER = "content_filter"
    REFUSAL = "refusal"
    RATE_LIMIT = "rate_limit"
    RATE_LIMIT_REQUESTS = "rate_limit_requests"
    RATE_LIMIT_TOKENS = "rate_limit_tokens"
    SLOW_DOWN = "slow_down"
    REQUEST_TOO_LARGE = "request_too_large"
    INSUFFICIENT_QUOTA = "insufficient_quota"
    CONFLICT = "conflict"
    MODEL_OVERLOADED = "model_overloaded"
    SERVER_ERROR = "server_error"
    TIMEOUT = "timeout"
    CONNECTION = "connection"
    STREAM_INTERRUPTED = "stream_interrupted"
    MALFORMED_RESPONSE = "malformed_response"
    OUTPUT_TRUNCATED = "output_truncated"
    CIRCUIT_OPEN = "circuit_open"
    BUDGET_EXCEEDED = "budget_exceeded"
    CONFIGURATION = "configuration"
    INVALID_PARAMETER = "invalid_parameter"
    INVALID_TOOL = "invalid_tool"
    PROMPT = "prompt"
    STORAGE = "storage"
    CANCELLED = "cancelled"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class KindProfile:
    """What follows from a kind of failure.

    Attributes:
        severity: How bad it is for whoever runs the application.
        retryable: Whether the same request may succeed later without a change.
        user_message: Plain English for the end user; ``{model}`` stands for the model.
    """

    severity: Severity
    retryable: bool
    user_message: str


def _lasting(severity: Severity, user_message: str) -> KindProfile:
    return KindProfile(severity, retryable=False, user_message=user_message)


def _passing(severity: Severity, user_message: str) -> KindProfile:
    return KindProfile(severity, retryable=True, user_message=user_message)


_WAIT = "Please wait a moment and try again."

PROFILES: dict[ErrorKind, KindProfile] = {
    ErrorKind.AUTHENTICATION: _lasting(
        "critical",
        "The AI service did not accept our credentials for {model}. "
        "Please ask your administrator to check the API key.",
    ),
    ErrorKind.PERMISSION: _lasting(
        "high",
        "This account may not use {model} in this way. Please ask your administrator for access.",
    ),
    ErrorKind.NOT_FOUND: _lasting(
        "high",
        "The AI service does not have {model}, or no longer has it. Please choose another model.",
    ),
    ErrorKind.INVALID_REQUEST: _lasting(
        "medium", "{Model} could not accept this request. Please change it and try again."
    ),
    ErrorKind.UNSUPPORTED_PARAMETER: _lasting(
        "medium",
        "{Model} does not support one of the settings used. "
        "Please change the setting and try again.",
    ),
    ErrorKind.CONTEXT_OVERFLOW: _lasting(
        "low", "The conversation is too long for {model}. Please shorten it or start a new one."
    ),
    ErrorKind.CONTENT_FILTER: _lasting(
        "low",
        "The content filter of the AI service stopped this request to {model}. Please rephrase it.",
    ),
    ErrorKind.REFUSAL: _lasting(
        "low", "{Model} declined to answer this request. Please rephrase it."
    ),
    ErrorKind.RATE_LIMIT: _passing("medium", f"{{Model}} is receiving too many requests. {_WAIT}"),
    ErrorKind.RATE_LIMIT_REQUESTS: _passing(
        "medium", f"{{Model}} is receiving too many requests. {_WAIT}"
    ),
    ErrorKind.RATE_LIMIT_TOKENS: _passing(
        "medium", f"{{Model}} is receiving too much text at once. {_WAIT}"
    ),
    ErrorKind.SLOW_DOWN: _passing(
        "medium", f"The use of {{model}} has risen faster than the AI service allows. {_WAIT}"
    ),
    ErrorKind.REQUEST_TOO_LARGE: _lasting(
        "medium",
        "This request alone is larger than the limit of this account for {model}. "
        "Please make it shorter.",
    ),
    ErrorKind.INSUFFICIENT_QUOTA: _lasting(
        "critical",
        "The account of the AI service has run out of credit or reached its spending limit, "
        "so {model} cannot answer. "
        "Please ask your administrator to check its billing.",
    ),
    ErrorKind.CONFLICT: _passing(
        "low", f"Another request to {{model}} is using the same resource. {_WAIT}"
    ),
    ErrorKind.MODEL_OVERLOADED: _passing("medium", f"{{Model}} is overloaded right now. {_WAIT}"),
    ErrorKind.SERVER_ERROR: _passing(
        "high", f"The AI service had a problem while {{model}} was working. {_WAIT}"
    ),
    ErrorKind.TIMEOUT: _passing("medium", f"{{Model}} took too long to answer. {_WAIT}"),
    ErrorKind.CONNECTION: _passing(
        "high",
        "The AI service with {model} could not be reached. "
        "Please check the network connection and try again.",
    ),
    ErrorKind.STREAM_INTERRUPTED: _passing(
        "medium", "The answer of {model} broke off before its end. Please try again."
    ),
    ErrorKind.MALFORMED_RESPONSE: _lasting(
        "high", "{Model} sent an answer that could not be understood. Please try again."
    ),
    ErrorKind.OUTPUT_TRUNCATED: _lasting(
        "low",
        "The answer of {model} was cut off because it grew too long. Please ask for a shorter one.",
    ),
    ErrorKind.CIRCUIT_OPEN: _lasting(
        "high",
        "{Model} has failed repeatedly and is being given a rest. Please try again in a minute.",
    ),
    ErrorKind.BUDGET_EXCEEDED: _lasting(
        "medium", "The budget for {model} is used up. Please ask your administrator to raise it."
    ),
    ErrorKind.CONFIGURATION: _lasting(
        "critical",
        "The AI service is not set up correctly. "
        "Please ask your administrator to check its settings.",
    ),
    ErrorKind.INVALID_PARAMETER: _lasting(
        "medium", "One of the settings for {model} is not valid. Please change it and try again."
    ),
    ErrorKind.INVALID_TOOL: _lasting(
        "medium",
        "One of the tools given to {model} is not valid. "
        "Please ask your administrator to correct it.",
    ),
    ErrorKind.PROMPT: _lasting(
        "medium",
        "The prompt for {model} could not be put together. "
        "Please ask your administrator to correct it.",
    ),
    ErrorKind.STORAGE: _lasting(
        "high", "The record of this request could not be stored. Please tell your administrator."
    ),
    ErrorKind.CANCELLED: _lasting("low", "The request was cancelled."),
    ErrorKind.UNKNOWN: _lasting(
        "high", "Something unexpected went wrong while {model} was working. Please try again later."
    ),
}
"""What follows from each kind; complete, as a test makes sure."""


def user_message_for(
    kind: ErrorKind, model: str | None = None, retry_after_s: float | None = None
) -> str:
    """Say in plain English what happened and what to do.

    Args:
        kind: The kind of failure.
        model: Name of the model, where known.
        retry_after_s: Seconds the server asks to wait, where it does.

    Returns:
        One or two sentences for an end user, without any technical detail.
    """
    name = f"the model '{model}'" if model else "the model"
    text = PROFILES[kind].user_message
    if retry_after_s is not None:
        text = text.replace(_WAIT, f"Please try again in {_duration(retry_after_s)}.")
    return text.format(model=name, Model="T" + name[1:])


def _duration(seconds: float) -> str:
    for length, unit in ((3600, "hour"), (60, "minute")):
        if seconds > length:
            return f"about {math.ceil(seconds / length)} {unit}s"
    count = math.ceil(seconds)
    return "1 second" if count <= 1 else f"{count} seconds"


def technical_text(message: str, **facts: object) -> str:
    """Join a message and what is known about it into one line for developers and logs.

    Args:
        message: What was said.
        facts: Status, code, request id and the like; those that are None are left out.

    Returns:
        ``message [name=value, ...]``, without secrets.
    """
    known = ", ".join(f"{name}={value}" for name, value in facts.items() if value is not None)
    return redact_secrets(f"{message} [{known}]" if known else message)
