"""What an application can do about an error, for those that want to decide themselves."""

from __future__ import annotations

from dataclasses import dataclass, field

from langchain_tamma_openai.kinds import ErrorKind, Severity
from langchain_tamma_openai.resilience.classify import ClassifiedError, ErrorClassifier
from langchain_tamma_openai.resilience.fallback import FallbackAction, FallbackPolicy
from langchain_tamma_openai.resilience.headers import MAX_RETRY_AFTER_S
from langchain_tamma_openai.resilience.retry import RetryPolicy

__all__ = ["ErrorAdvice", "advise"]

_CLASSIFIER = ErrorClassifier()
_NO_FALLBACKS = FallbackPolicy()


@dataclass(frozen=True, slots=True)
class ErrorAdvice:
    """What to do about one error.

    Attributes:
        should_retry: Whether to send the same request again.
        delay_s: Seconds to wait first; None when there is no point in waiting.
        fallback: Where else to turn.
        user_message: Plain English for the end user; names the model and the operation.
        kind: What went wrong.
        severity: How bad it is for whoever runs the application.
        technical_details: For logs: the message, status, code, request id and what this advice is
            about. Never contains a secret.
    """

    should_retry: bool
    delay_s: float | None
    fallback: FallbackAction
    user_message: str
    kind: ErrorKind
    severity: Severity
    technical_details: dict[str, str | int | float | None] = field(default_factory=dict)


def advise(
    error: BaseException,
    *,
    model: str | None = None,
    operation: str = "the request",
    policy: RetryPolicy | None = None,
    attempt: int = 1,
    fallback: FallbackPolicy | None = None,
) -> ErrorAdvice:
    """Say what to do about an error; the same rules decide as inside the model.

    Args:
        error: An error of this package, of the SDK, of an HTTP library, or any other.
        model: Name of the model; the error's own when left out.
        operation: What was being done, as a noun: "the summary".
        policy: How often and how patiently to retry.
        attempt: Number of the attempt that failed, from 1.
        fallback: Where else to turn; the kind of failure alone decides when left out.

    Returns:
        The advice; pure, nothing waits and nothing is sent.
    """
    model = model or getattr(error, "model", None)
    found = _CLASSIFIER.classify(error, model=model)
    delay_s = _delay_s(found, policy or RetryPolicy(), attempt)
    return ErrorAdvice(
        should_retry=delay_s is not None,
        delay_s=delay_s,
        fallback=(fallback or _NO_FALLBACKS).action(error),
        user_message=_for_the_user(found.user_message, model, operation),
        kind=found.kind,
        severity=found.severity,
        technical_details={
            "message": found.technical_message,
            "error": type(error).__name__,
            "status_code": getattr(error, "status_code", None),
            "code": getattr(error, "code", None),
            "request_id": getattr(error, "request_id", None),
            "retry_after_s": found.retry_after_s,
            "model": model,
            "operation": operation,
            "attempt": attempt,
        },
    )


def _delay_s(found: ClassifiedError, policy: RetryPolicy, attempt: int) -> float | None:
    hint_s = found.retry_after_s
    if not found.retryable or attempt >= policy.max_attempts:
        return None
    if hint_s is None:
        return policy.backoff_s(attempt)
    return hint_s if hint_s <= MAX_RETRY_AFTER_S else None


def _for_the_user(message: str, model: str | None, operation: str) -> str:
    what = operation[:1].upper() + operation[1:] or "The request"
    named = "" if model is None or model in message else f" with the model '{model}'"
    return f"{what}{named} did not succeed. {message}"
