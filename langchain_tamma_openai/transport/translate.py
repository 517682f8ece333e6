"""Turns errors of the SDK and the HTTP libraries into errors of this package, at one boundary.

The classifier names the kind of failure, a table names the leaf for it, and the leaf is joined
with the SDK's own class where it is not already one. Nothing heavy is imported until an error
happens.
"""

from __future__ import annotations

from collections.abc import Iterator
from types import TracebackType
from typing import TYPE_CHECKING

from langchain_tamma_openai.kinds import ErrorKind
from langchain_tamma_openai.redact import redact_secrets
from langchain_tamma_openai.resilience.classify import ErrorClassifier, class_names

if TYPE_CHECKING:
    import httpx2

    from langchain_tamma_openai.error_base import ErrorDetails, TammaError
    from langchain_tamma_openai.resilience.classify import ClassifiedError
    from langchain_tamma_openai.resilience.limits_info import RateLimitInfo

LEAF_NAMES: dict[ErrorKind, str] = {
    ErrorKind.AUTHENTICATION: "AuthenticationError",
    ErrorKind.PERMISSION: "PermissionDeniedError",
    ErrorKind.NOT_FOUND: "NotFoundError",
    ErrorKind.INVALID_REQUEST: "InvalidRequestError",
    ErrorKind.UNSUPPORTED_PARAMETER: "InvalidRequestError",
    ErrorKind.CONTEXT_OVERFLOW: "ContextOverflowError",
    ErrorKind.CONTENT_FILTER: "ContentFilterError",
    ErrorKind.RATE_LIMIT: "RateLimitError",
    ErrorKind.RATE_LIMIT_REQUESTS: "RateLimitError",
    ErrorKind.RATE_LIMIT_TOKENS: "RateLimitError",
    ErrorKind.SLOW_DOWN: "RateLimitError",
    ErrorKind.REQUEST_TOO_LARGE: "RequestTooLargeError",
    ErrorKind.INSUFFICIENT_QUOTA: "QuotaExceededError",
    ErrorKind.CONFLICT: "ConflictError",
    ErrorKind.MODEL_OVERLOADED: "ModelOverloadedError",
    ErrorKind.SERVER_ERROR: "ServerError",
    ErrorKind.TIMEOUT: "RequestTimeoutError",
    ErrorKind.CONNECTION: "ConnectionFailedError",
    ErrorKind.MALFORMED_RESPONSE: "MalformedResponseError",
    ErrorKind.OUTPUT_TRUNCATED: "OutputTruncatedError",
    ErrorKind.CONFIGURATION: "ConfigurationError",
    ErrorKind.INVALID_PARAMETER: "InvalidParameterError",
    ErrorKind.UNKNOWN: "UnclassifiedError",
}
"""The leaf for each kind that the classifier finds in errors that are not ours."""

_CLASSIFIER = ErrorClassifier()
_DEEPEST_CHAIN = 20


def translating(model: str | None = None) -> _Translation:
    """Raise errors of the SDK and of HTTP libraries as errors of this package.

    A plain context manager for sync and async code alike, around the call and the iteration:
    errors of a stream come late. Errors of this package, cancellation and anything unknown pass
    through untouched.

    Args:
        model: Name of the model, to be named in the message for the user.

    Returns:
        The context manager; it keeps no state and may be reused.
    """
    return _Translation(model)


class _Translation:
    __slots__ = ("_model",)

    def __init__(self, model: str | None) -> None:
        self._model = model

    def __enter__(self) -> None:
        return None

    def __exit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if not isinstance(exc, Exception):
            return
        translated = translate(exc, self._model)
        if translated is not None:
            _scrub_chain(exc)
            raise translated from exc


def translate(exc: BaseException, model: str | None = None) -> TammaError | None:
    """Find the error of this package for an error of the SDK or of an HTTP library.

    Args:
        exc: Any exception.
        model: Name of the model, to be named in the message for the user.

    Returns:
        An error that is also an instance of the SDK's class of ``exc``, with its response, body,
        code, type, param and request id; None when ``exc`` is already ours, is a cancellation, or
        is nothing that this boundary knows.
    """
    names = list(class_names(exc))
    if "langchain_tamma_openai.TammaError" in names:
        return None
    classified = _CLASSIFIER.classify(exc, model=model)
    if classified.kind is ErrorKind.CANCELLED:
        return None
    sdk_class = _sdk_class(exc)
    if sdk_class is None and classified.kind is ErrorKind.UNKNOWN:
        return None
    return _build(exc, classified, sdk_class, model)


def _sdk_class(exc: BaseException) -> type[Exception] | None:
    for cls, name in zip(type(exc).__mro__, class_names(exc), strict=True):
        if name.startswith("openai.") and issubclass(cls, Exception):
            return cls
    return None


def _build(
    exc: BaseException,
    classified: ClassifiedError,
    sdk_class: type[Exception] | None,
    model: str | None,
) -> TammaError:
    from langchain_tamma_openai import errors

    leaf: type[TammaError] = getattr(errors, LEAF_NAMES[classified.kind])
    cls = leaf if sdk_class is None else errors.with_sdk_class(leaf, sdk_class)
    error = cls(_message_of(exc, sdk_class), **_details(exc, classified, model))
    if sdk_class is not None:
        _keep_the_rest(exc, error)
    error.rate_limit = _rate_limit(error.response)
    # A retry loop below this boundary notes why it gave up.
    if notes := getattr(exc, "__notes__", None):
        error.__notes__ = list(notes)
    return error


def _details(exc: BaseException, classified: ClassifiedError, model: str | None) -> ErrorDetails:
    return {
        "kind": classified.kind,
        "model": model,
        "retryable": classified.retryable,
        "retry_after_s": classified.retry_after_s,
        "user_message": classified.user_message,
        "response": getattr(exc, "response", None),
        "request": _request_of(exc),
        "body": getattr(exc, "body", None),
    }


def _rate_limit(response: httpx2.Response | None) -> RateLimitInfo | None:
    if response is None:
        return None
    from langchain_tamma_openai.resilience.limits_info import RateLimitInfo

    return RateLimitInfo.from_headers(response.headers) or None


def _message_of(exc: BaseException, sdk_class: type[Exception] | None) -> str:
    message = getattr(exc, "message", None)
    if sdk_class is None:
        # HTTP libraries often say nothing at all: then the class is the message.
        return f"{type(exc).__name__}: {exc}".removesuffix(": ")
    text = message if isinstance(message, str) else str(exc)
    cause = exc.__cause__
    # "Connection error." hides the reason, e.g. a name that does not resolve.
    return text if cause is None else f"{text} ({type(cause).__name__}: {cause})"


def _request_of(exc: BaseException) -> httpx2.Request | None:
    try:
        request: httpx2.Request | None = getattr(exc, "request", None)
    except RuntimeError:
        # The HTTP libraries raise this when asked for a request that was never set.
        return None
    return request


def _keep_the_rest(exc: BaseException, error: TammaError) -> None:
    """Keep what the SDK hung on its error that ours has no value for, e.g. `completion`."""
    for name, value in vars(exc).items():
        if getattr(error, name, None) is None:
            setattr(error, name, value)


def _scrub_chain(exc: BaseException) -> None:
    """Take secrets out of the errors below ours, which every traceback prints as well."""
    for link in _chain(exc):
        if any(isinstance(arg, str) and redact_secrets(arg) != arg for arg in link.args):
            link.args = tuple(
                redact_secrets(arg) if isinstance(arg, str) else arg for arg in link.args
            )


def _chain(exc: BaseException) -> Iterator[BaseException]:
    link: BaseException | None = exc
    for _ in range(_DEEPEST_CHAIN):
        if link is None:
            return
        yield link
        link = link.__cause__ or link.__context__
