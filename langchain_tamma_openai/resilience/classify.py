"""Says what kind of failure an exception is, whether to retry it, and when.

One pure function over tables: class, then status and ``code``, then ``type``; message text only
refines what the fields leave open. The retry loop, the error translation and every governor ask
this function, so they cannot disagree. No table needs the library it speaks about to be imported.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeGuard

from langchain_tamma_openai.kinds import (
    PROFILES,
    ErrorKind,
    Severity,
    technical_text,
    user_message_for,
)
from langchain_tamma_openai.resilience.headers import MAX_RETRY_AFTER_S, parse_retry_after

if TYPE_CHECKING:
    from langchain_tamma_openai.errors import TammaError

__all__ = ["ClassifiedError", "ErrorClassifier", "ErrorKind", "class_names"]

_HTTP_CLASSES = {
    "TimeoutException": ErrorKind.TIMEOUT,
    "TransportError": ErrorKind.CONNECTION,
    "NetworkError": ErrorKind.CONNECTION,
    "ProtocolError": ErrorKind.CONNECTION,
    "TooManyRedirects": ErrorKind.CONNECTION,
    "StreamError": ErrorKind.CONNECTION,
    "DecodingError": ErrorKind.MALFORMED_RESPONSE,
    "UnsupportedProtocol": ErrorKind.CONFIGURATION,
    "LocalProtocolError": ErrorKind.CONFIGURATION,
    "InvalidURL": ErrorKind.CONFIGURATION,
}

CLASS_KINDS: dict[str, ErrorKind] = {
    "builtins.KeyboardInterrupt": ErrorKind.CANCELLED,
    "builtins.SystemExit": ErrorKind.CANCELLED,
    "builtins.GeneratorExit": ErrorKind.CANCELLED,
    "asyncio.CancelledError": ErrorKind.CANCELLED,
    "concurrent.CancelledError": ErrorKind.CANCELLED,
    "builtins.TimeoutError": ErrorKind.TIMEOUT,
    "builtins.ConnectionError": ErrorKind.CONNECTION,
    "builtins.UnicodeDecodeError": ErrorKind.MALFORMED_RESPONSE,
    "ssl.SSLError": ErrorKind.CONNECTION,
    "socket.gaierror": ErrorKind.CONNECTION,
    "anyio.BrokenResourceError": ErrorKind.CONNECTION,
    "anyio.ClosedResourceError": ErrorKind.CONNECTION,
    "anyio.EndOfStream": ErrorKind.CONNECTION,
    "json.JSONDecodeError": ErrorKind.MALFORMED_RESPONSE,
    "openai.APITimeoutError": ErrorKind.TIMEOUT,
    "openai.APIConnectionError": ErrorKind.CONNECTION,
    "openai.WebSocketConnectionClosedError": ErrorKind.CONNECTION,
    "openai.WebSocketQueueFullError": ErrorKind.CONNECTION,
    "openai.APIResponseValidationError": ErrorKind.MALFORMED_RESPONSE,
    "openai.LengthFinishReasonError": ErrorKind.OUTPUT_TRUNCATED,
    "openai.ContentFilterFinishReasonError": ErrorKind.CONTENT_FILTER,
    "openai.SubjectTokenProviderError": ErrorKind.AUTHENTICATION,
    "openai.InvalidWebhookSignatureError": ErrorKind.INVALID_PARAMETER,
    **{
        f"{library}.{name}": kind
        for library in ("httpx", "httpx2", "httpcore", "httpcore2")
        for name, kind in _HTTP_CLASSES.items()
    },
}
"""Exception classes that decide by themselves. The most specific class of an exception counts."""

FALLBACK_CLASS_KINDS: dict[str, ErrorKind] = {
    "openai.OpenAIError": ErrorKind.CONFIGURATION,
    "langchain_core.ModelAuthenticationError": ErrorKind.AUTHENTICATION,
    "langchain_core.ModelPermissionDeniedError": ErrorKind.PERMISSION,
    "langchain_core.ModelNotFoundError": ErrorKind.NOT_FOUND,
    "langchain_core.ModelInvalidRequestError": ErrorKind.INVALID_REQUEST,
    "langchain_core.ModelRateLimitError": ErrorKind.RATE_LIMIT,
    "langchain_core.ModelAPIError": ErrorKind.SERVER_ERROR,
    "langchain_core.ModelConnectionError": ErrorKind.CONNECTION,
    "langchain_core.ModelTimeoutError": ErrorKind.TIMEOUT,
    "langchain_core.ContextOverflowError": ErrorKind.CONTEXT_OVERFLOW,
}
"""Classes that count only when no field says more; the SDK's bare base class means bad setup."""

STATUS_CODE_KINDS: dict[tuple[int, str], ErrorKind] = {
    # The model exists, but not for this project.
    (403, "model_not_found"): ErrorKind.PERMISSION,
}

CODE_KINDS: dict[str, ErrorKind] = {
    "invalid_api_key": ErrorKind.AUTHENTICATION,
    "account_deactivated": ErrorKind.AUTHENTICATION,
    "unsupported_country_region_territory": ErrorKind.PERMISSION,
    "insufficient_permissions": ErrorKind.PERMISSION,
    "model_not_found": ErrorKind.NOT_FOUND,
    "deploymentnotfound": ErrorKind.NOT_FOUND,
    "context_length_exceeded": ErrorKind.CONTEXT_OVERFLOW,
    "unsupported_parameter": ErrorKind.UNSUPPORTED_PARAMETER,
    "unsupported_value": ErrorKind.UNSUPPORTED_PARAMETER,
    "unknown_parameter": ErrorKind.UNSUPPORTED_PARAMETER,
    "invalid_parameter": ErrorKind.UNSUPPORTED_PARAMETER,
    "content_filter": ErrorKind.CONTENT_FILTER,
    "content_policy_violation": ErrorKind.CONTENT_FILTER,
    "image_content_policy_violation": ErrorKind.CONTENT_FILTER,
    "invalid_prompt": ErrorKind.CONTENT_FILTER,
    "bio_policy": ErrorKind.CONTENT_FILTER,
    "cyber_policy": ErrorKind.CONTENT_FILTER,
    "misalignment_policy_violation": ErrorKind.CONTENT_FILTER,
    "slow_down": ErrorKind.SLOW_DOWN,
    "rate_limit_exceeded": ErrorKind.RATE_LIMIT,
    # A batch whose tokens do not fit beside those of the batches that wait already.
    "token_limit_exceeded": ErrorKind.RATE_LIMIT_TOKENS,
    "insufficient_quota": ErrorKind.INSUFFICIENT_QUOTA,
    "credit_balance_exhausted": ErrorKind.INSUFFICIENT_QUOTA,
    "organization_spend_limit_exceeded": ErrorKind.INSUFFICIENT_QUOTA,
    "project_spend_limit_exceeded": ErrorKind.INSUFFICIENT_QUOTA,
    "organization_usage_limit_exceeded": ErrorKind.INSUFFICIENT_QUOTA,
    "billing_hard_limit_reached": ErrorKind.INSUFFICIENT_QUOTA,
    "billing_not_active": ErrorKind.INSUFFICIENT_QUOTA,
    "conversation_locked": ErrorKind.CONFLICT,
    "websocket_connection_limit_reached": ErrorKind.CONNECTION,
    "server_is_overloaded": ErrorKind.MODEL_OVERLOADED,
    "model_overloaded": ErrorKind.MODEL_OVERLOADED,
    "resource_unavailable": ErrorKind.MODEL_OVERLOADED,
    "server_error": ErrorKind.SERVER_ERROR,
    "vector_store_timeout": ErrorKind.SERVER_ERROR,
    **dict.fromkeys(
        (
            "previous_response_not_found",
            "data_residency_mismatch",
            "invalid_image",
            "invalid_image_format",
            "invalid_base64_image",
            "invalid_image_url",
            "image_too_large",
            "image_too_small",
            "image_parse_error",
            "invalid_image_mode",
            "image_file_too_large",
            "unsupported_image_media_type",
            "empty_image_file",
            "failed_to_download_image",
            "image_file_not_found",
        ),
        ErrorKind.INVALID_REQUEST,
    ),
}
"""The server's error codes, in lower case."""

TYPE_KINDS: dict[str, ErrorKind] = {
    "requests": ErrorKind.RATE_LIMIT_REQUESTS,
    "tokens": ErrorKind.RATE_LIMIT_TOKENS,
    "insufficient_quota": ErrorKind.INSUFFICIENT_QUOTA,
    "service_unavailable_error": ErrorKind.MODEL_OVERLOADED,
    "overloaded_error": ErrorKind.MODEL_OVERLOADED,
}
"""Error types that say more than the status."""

STATUS_KINDS: dict[int, ErrorKind] = {
    401: ErrorKind.AUTHENTICATION,
    402: ErrorKind.INSUFFICIENT_QUOTA,
    403: ErrorKind.PERMISSION,
    404: ErrorKind.NOT_FOUND,
    408: ErrorKind.TIMEOUT,
    409: ErrorKind.CONFLICT,
    429: ErrorKind.RATE_LIMIT,
    529: ErrorKind.MODEL_OVERLOADED,
}
"""HTTP statuses; any other 4xx is an invalid request, any other 5xx a server error."""

GENERAL_TYPE_KINDS: dict[str, ErrorKind] = {
    "invalid_request_error": ErrorKind.INVALID_REQUEST,
    "authentication_error": ErrorKind.AUTHENTICATION,
    "permission_error": ErrorKind.PERMISSION,
    "not_found_error": ErrorKind.NOT_FOUND,
    "rate_limit_error": ErrorKind.RATE_LIMIT,
    "server_error": ErrorKind.SERVER_ERROR,
    "api_error": ErrorKind.SERVER_ERROR,
}
"""Error types that say less than a status; they count where there is none, as inside a stream."""

_OPEN = frozenset({ErrorKind.INVALID_REQUEST, ErrorKind.SERVER_ERROR, ErrorKind.UNKNOWN})
_RATE_LIMITS = frozenset(
    {ErrorKind.RATE_LIMIT, ErrorKind.RATE_LIMIT_REQUESTS, ErrorKind.RATE_LIMIT_TOKENS}
)
_PLAIN_RATE_LIMIT = frozenset({ErrorKind.RATE_LIMIT})

TEXT_KINDS: tuple[tuple[frozenset[ErrorKind], re.Pattern[str], ErrorKind], ...] = tuple(
    (kinds, re.compile(pattern, re.IGNORECASE), refined)
    for kinds, pattern, refined in (
        (
            _OPEN,
            (
                r"maximum context length|exceeds? the context window|prompt is too long"
                r"|input tokens exceed the configured limit|ContextWindowExceededError"
            ),
            ErrorKind.CONTEXT_OVERFLOW,
        ),
        (_RATE_LIMITS, r"request too large", ErrorKind.REQUEST_TOO_LARGE),
        (_RATE_LIMITS, r"exceeded your current quota", ErrorKind.INSUFFICIENT_QUOTA),
        (_RATE_LIMITS, r"resource unavailable", ErrorKind.MODEL_OVERLOADED),
        (_PLAIN_RATE_LIMIT, r"\b(RPM|RPD)\b|requests per", ErrorKind.RATE_LIMIT_REQUESTS),
        (_PLAIN_RATE_LIMIT, r"\b(TPM|TPD)\b|tokens per", ErrorKind.RATE_LIMIT_TOKENS),
        (_OPEN, r"currently overloaded", ErrorKind.MODEL_OVERLOADED),
        (
            frozenset({ErrorKind.INVALID_REQUEST}),
            r"unsupported (parameter|value)|(is|are) not supported|must be verified to",
            ErrorKind.UNSUPPORTED_PARAMETER,
        ),
    )
)
"""The last resort: words that refine a kind which the fields leave open."""

_NEVER_RETRIED = frozenset(
    {ErrorKind.INSUFFICIENT_QUOTA, ErrorKind.REQUEST_TOO_LARGE, ErrorKind.CANCELLED}
)
_LONGEST_TEXT = 4000


@dataclass(frozen=True, slots=True)
class ClassifiedError:
    """What an exception means.

    Attributes:
        kind: What went wrong.
        severity: How bad it is for whoever runs the application.
        retryable: Whether to send the same request again.
        retry_after_s: Seconds the server asks to wait first; None when it does not say.
        user_message: Plain English for the end user.
        technical_message: For developers and logs; never contains a secret.
        original: The exception itself.
    """

    kind: ErrorKind
    severity: Severity
    retryable: bool
    retry_after_s: float | None
    user_message: str
    technical_message: str
    original: BaseException


class ErrorClassifier:
    """Turns any exception into a decision; holds no state."""

    def __init__(self, now: Callable[[], float] = time.time) -> None:
        """Build the classifier.

        Args:
            now: Gives the present as seconds since 1970; only dates in ``Retry-After`` need it.
        """
        self._now = now

    def classify(self, exc: BaseException, *, model: str | None = None) -> ClassifiedError:
        """Decide what an exception means.

        Args:
            exc: An error of this package, of the SDK, of an HTTP library, or any other.
            model: Name of the model, to be named in the message for the user.

        Returns:
            The decision. An exception that no rule knows is ``unknown`` and not retryable.
        """
        if _is_ours(exc):
            return _own_decision(exc)
        facts = _Facts.of(exc)
        kind = _kind_of(exc, facts)
        retry_after_s = parse_retry_after(facts.headers, facts.text, self._now())
        return ClassifiedError(
            kind=kind,
            severity=PROFILES[kind].severity,
            retryable=_is_retryable(kind, retry_after_s, facts.headers.get("x-should-retry")),
            retry_after_s=retry_after_s,
            user_message=user_message_for(kind, model, retry_after_s),
            technical_message=facts.technical_message(type(exc).__name__),
            original=exc,
        )


@dataclass(frozen=True, slots=True)
class _Facts:
    """What can be read off an exception without knowing its class."""

    status: int | None
    code: str | None
    type: str | None
    param: str | None
    request_id: str | None
    text: str
    headers: Mapping[str, str]

    @classmethod
    def of(cls, exc: BaseException) -> _Facts:
        response = getattr(exc, "response", None)
        body = getattr(exc, "body", None)
        fields = body if isinstance(body, Mapping) else {}
        status = _integer(getattr(exc, "status_code", None))
        status = status or _integer(getattr(response, "status_code", None))
        code = _word(getattr(exc, "code", None) or fields.get("code"))
        if code is not None and code.isdecimal():
            # Gateways put the HTTP status there, which inside a stream is the only one there is.
            status, code = status or int(code[:4]), None
        return cls(
            status=status,
            code=code,
            type=_word(getattr(exc, "type", None) or fields.get("type")),
            param=_word(getattr(exc, "param", None)),
            request_id=_word(getattr(exc, "request_id", None)),
            text=_text_of(exc, body),
            headers=_headers_of(response, fields),
        )

    def technical_message(self, class_name: str) -> str:
        return technical_text(
            f"{class_name}: {self.text}" if self.text else class_name,
            status=self.status,
            code=self.code,
            type=self.type,
            param=self.param,
            request_id=self.request_id,
        )


def _is_ours(exc: BaseException) -> TypeGuard[TammaError]:
    return any(name == "langchain_tamma_openai.TammaError" for name in class_names(exc))


def _own_decision(exc: TammaError) -> ClassifiedError:
    return ClassifiedError(
        kind=exc.kind,
        severity=exc.severity,
        retryable=exc.is_retryable,
        retry_after_s=exc.retry_after_s,
        user_message=exc.user_message,
        technical_message=exc.technical_message,
        original=exc,
    )


def class_names(exc: BaseException) -> Iterator[str]:
    """Name the classes of an exception, most specific first.

    Args:
        exc: Any exception.

    Yields:
        ``package.Class``, e.g. ``httpx2.ReadTimeout``, whichever module it is defined in.
    """
    for cls in type(exc).__mro__:
        yield f"{cls.__module__.partition('.')[0]}.{cls.__name__}"


def _kind_of(exc: BaseException, facts: _Facts) -> ErrorKind:
    kind = _kind_by_class(exc, CLASS_KINDS)
    if kind is ErrorKind.CONNECTION:
        # The SDK wraps whatever the HTTP library raised, a URL without a scheme included.
        cause = exc.__cause__
        wrapped = _kind_by_class(cause, CLASS_KINDS) if cause is not None else None
        return ErrorKind.CONFIGURATION if wrapped is ErrorKind.CONFIGURATION else kind
    if kind is not None:
        return kind
    return _refined(_kind_by_fields(exc, facts), facts.text)


def _kind_by_class(exc: BaseException, table: Mapping[str, ErrorKind]) -> ErrorKind | None:
    return next((table[name] for name in class_names(exc) if name in table), None)


def _kind_by_fields(exc: BaseException, facts: _Facts) -> ErrorKind:
    code, type_, status = (facts.code or "").lower(), (facts.type or "").lower(), facts.status or 0
    return (
        STATUS_CODE_KINDS.get((status, code))
        or _rate_limit_by_type(code, type_)
        or CODE_KINDS.get(code)
        or TYPE_KINDS.get(type_)
        or _kind_by_status(status)
        or GENERAL_TYPE_KINDS.get(type_)
        or _kind_of_unnamed(exc, facts)
    )


def _rate_limit_by_type(code: str, type_: str) -> ErrorKind | None:
    return TYPE_KINDS.get(type_) if code == "rate_limit_exceeded" else None


def _kind_by_status(status: int) -> ErrorKind | None:
    if status in STATUS_KINDS:
        return STATUS_KINDS[status]
    families = {4: ErrorKind.INVALID_REQUEST, 5: ErrorKind.SERVER_ERROR}
    return families.get(status // 100)


def _kind_of_unnamed(exc: BaseException, facts: _Facts) -> ErrorKind:
    if "openai.APIError" not in class_names(exc):
        return _kind_by_class(exc, FALLBACK_CLASS_KINDS) or ErrorKind.UNKNOWN
    # An error event in a stream that gives no reason at all is a failure of the server.
    has_reason = facts.code or facts.type or facts.status
    return ErrorKind.UNKNOWN if has_reason else ErrorKind.SERVER_ERROR


def _refined(kind: ErrorKind, text: str) -> ErrorKind:
    for kinds, pattern, refined in TEXT_KINDS:
        if kind in kinds and pattern.search(text):
            return refined
    return kind


def _is_retryable(kind: ErrorKind, retry_after_s: float | None, directive: str | None) -> bool:
    if kind in _NEVER_RETRIED or (retry_after_s or 0.0) > MAX_RETRY_AFTER_S:
        return False
    if directive in {"true", "false"}:
        return directive == "true"
    return PROFILES[kind].retryable


def _text_of(exc: BaseException, body: object) -> str:
    message = getattr(exc, "message", None)
    message = message if isinstance(message, str) else str(exc)
    detail = body
    if isinstance(body, Mapping):
        detail = body.get("message") or body.get("detail")
    texts = [message]
    if isinstance(detail, str) and detail not in message:
        texts.append(detail)
    # A page of HTML comes from something in between and describes itself, not the failure.
    plain = [text for text in texts if text and not text.lstrip().startswith("<")]
    return " - ".join(plain)[:_LONGEST_TEXT]


def _headers_of(response: object, fields: Mapping[str, object]) -> Mapping[str, str]:
    headers = getattr(response, "headers", None) or fields.get("headers")
    if not isinstance(headers, Mapping):
        return {}
    return {str(name).lower(): str(value) for name, value in headers.items()}


def _integer(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _word(value: object) -> str | None:
    if isinstance(value, str) or (isinstance(value, int) and not isinstance(value, bool)):
        return str(value) or None
    return None
