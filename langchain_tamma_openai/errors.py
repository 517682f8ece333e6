"""Every error this package raises.

Each leaf is a `TammaError`, the matching `langchain_core.exceptions` error and the matching
`openai` error, so an `except` written for either of them keeps working::

    TammaError
     |                              langchain_core.exceptions      openai
     +- AuthenticationError         ModelAuthenticationError       AuthenticationError (401)
     +- PermissionDeniedError       ModelPermissionDeniedError     PermissionDeniedError (403)
     +- NotFoundError               ModelNotFoundError             NotFoundError (404)
     +- InvalidRequestError         ModelInvalidRequestError       BadRequestError (400)
     +- ContextOverflowError        ContextOverflowError           BadRequestError
     +- ContentFilterError          ModelInvalidRequestError       BadRequestError,
     |                                                             ContentFilterFinishReasonError
     +- RateLimitError              ModelRateLimitError            RateLimitError (429)
     +- RequestTooLargeError        ModelRateLimitError            RateLimitError
     +- QuotaExceededError          ModelRateLimitError            RateLimitError
     +- ConflictError               ModelError                     ConflictError (409)
     +- ModelOverloadedError        ModelAPIError                  InternalServerError
     +- ServerError                 ModelAPIError                  InternalServerError (5xx)
     +- ConnectionFailedError       ModelConnectionError           APIConnectionError
     +- RequestTimeoutError         ModelTimeoutError              APITimeoutError
     +- StreamInterruptedError      ModelConnectionError           APIConnectionError
     |   +- StreamStalledError      ModelTimeoutError              APITimeoutError, TimeoutError
     +- MalformedResponseError      ModelError                     APIError, ValueError
     |   +- OutputTruncatedError    ModelError                     LengthFinishReasonError
     +- RefusalError                ModelError                     OpenAIError
     +- CircuitOpenError            ModelAPIError                  APIError
     +- BudgetExceededError         ModelError                     OpenAIError
     +- ConfigurationError          ModelError                     OpenAIError, ValueError
     +- InvalidParameterError       ModelInvalidRequestError       OpenAIError, ValueError
     |   +- UnknownParameterError   ModelInvalidRequestError       OpenAIError, TypeError
     +- InvalidToolError            ModelInvalidRequestError       OpenAIError, ValueError
     +- PromptError                 ModelInvalidRequestError       OpenAIError, ValueError
     +- StorageError                ModelError                     OpenAIError
     +- UnclassifiedError           ModelError                     APIError

An error that comes from the SDK is also an instance of the SDK's own class for it: a 422 is an
`InvalidRequestError` and an `openai.UnprocessableEntityError`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Self, TypedDict, Unpack, cast, overload

import openai
from langchain_core import exceptions as lc

from langchain_tamma_openai.kinds import (
    PROFILES,
    ErrorKind,
    Severity,
    technical_text,
    user_message_for,
)
from langchain_tamma_openai.redact import redact_secrets, redact_value

if TYPE_CHECKING:
    import httpx2
    from langchain_core.messages import AIMessage
    from langchain_core.messages.ai import UsageMetadata
    from openai.types.chat import ChatCompletion

__all__ = [
    "AuthenticationError",
    "BudgetExceededError",
    "CircuitOpenError",
    "ConfigurationError",
    "ConflictError",
    "ConnectionFailedError",
    "ContentFilterError",
    "ContextOverflowError",
    "InvalidParameterError",
    "InvalidRequestError",
    "InvalidToolError",
    "MalformedResponseError",
    "ModelOverloadedError",
    "NotFoundError",
    "OutputTruncatedError",
    "PermissionDeniedError",
    "PromptError",
    "QuotaExceededError",
    "RateLimitError",
    "RefusalError",
    "RequestTimeoutError",
    "RequestTooLargeError",
    "ServerError",
    "StorageError",
    "StreamInterruptedError",
    "StreamStalledError",
    "TammaError",
    "UnclassifiedError",
    "UnknownParameterError",
    "redact_secrets",
]


class ErrorDetails(TypedDict, total=False):
    """What may be said about an error besides its message; all of it optional."""

    code: str | None
    error_type: str | None
    param: str | None
    status_code: int | None
    request_id: str | None
    user_message: str | None
    severity: Severity | None
    retryable: bool | None
    retry_after_s: float | None
    model: str | None
    kind: ErrorKind | None
    response: httpx2.Response | None
    request: httpx2.Request | None
    body: object


class _Retryable:
    """`retryable` is our name for LangChain's `is_retryable`: one value, two names."""

    @overload
    def __get__(self, error: None, owner: type[TammaError]) -> bool: ...
    @overload
    def __get__(self, error: TammaError, owner: type[TammaError]) -> bool: ...
    def __get__(self, error: TammaError | None, owner: type[TammaError]) -> bool:
        return owner.is_retryable if error is None else error.is_retryable

    def __set__(self, error: TammaError, value: bool) -> None:  # noqa: FBT001 - descriptor protocol
        error.is_retryable = value


class TammaError(Exception):
    """Base of every error this package raises.

    Attributes:
        kind: What went wrong, as one stable word.
        code: The server's error code where the server gave an answer; otherwise our own word.
        type: The server's error type.
        param: The request parameter the server names.
        status_code: HTTP status; None when there was no HTTP answer, or the error came inside one.
        request_id: The server's id of the request, to quote to its support.
        severity: How bad it is for whoever runs the application.
        retryable: Whether the same request may succeed later; always equal to `is_retryable`.
        retry_after_s: Seconds the server asks to wait; None when it does not say.
        model: Name of the model, where known.
        user_message: Plain English for an end user.
        message: What the server or this package said, for developers.
        response: The HTTP response; None where there is none, and after unpickling.
        request: The HTTP request; None where unknown, and after unpickling.
        body: The decoded error body, as the SDK gives it.
    """

    kind: ErrorKind = ErrorKind.UNKNOWN
    severity: Severity = PROFILES[ErrorKind.UNKNOWN].severity
    is_retryable: bool = PROFILES[ErrorKind.UNKNOWN].retryable
    retryable = _Retryable()
    default_code: ClassVar[str | None] = None
    _made_from: ClassVar[tuple[type[TammaError], type[Exception]] | None] = None

    code: str | None
    type: str | None
    param: str | None
    request_id: str | None
    message: str
    user_message: str
    retry_after_s: float | None
    model: str | None
    body: object | None
    # The SDK declares these three as always present, and `status_code` as e.g. `Literal[429]`.
    # An error in the middle of a stream has none of them; any closer type than this would make
    # type checkers believe that no error can be both ours and the SDK's.
    status_code: Any
    response: Any
    request: Any

    def __init_subclass__(cls) -> None:
        """Take severity and retryability from the kind, so that each is said once."""
        super().__init_subclass__()
        if "kind" in cls.__dict__:
            cls.severity = PROFILES[cls.kind].severity
            cls.is_retryable = PROFILES[cls.kind].retryable

    def __init__(
        self,
        message: str = "",
        *,
        code: str | None = None,
        error_type: str | None = None,
        param: str | None = None,
        status_code: int | None = None,
        request_id: str | None = None,
        user_message: str | None = None,
        severity: Severity | None = None,
        retryable: bool | None = None,
        retry_after_s: float | None = None,
        model: str | None = None,
        kind: ErrorKind | None = None,
        response: httpx2.Response | None = None,
        request: httpx2.Request | None = None,
        body: object = None,
    ) -> None:
        """Build the error; anything not given is taken from ``body``, ``response`` or the kind.

        Args:
            message: For developers: what was wrong and the way out.
            code: Error code.
            error_type: Error type; becomes `type`.
            param: The parameter at fault.
            status_code: HTTP status.
            request_id: The server's id of the request.
            user_message: For end users; a text fitting the kind when left out.
            severity: Overrides the kind's severity.
            retryable: Overrides the kind's retryability.
            retry_after_s: Seconds the server asks to wait.
            model: Name of the model.
            kind: Overrides the class's kind, e.g. a rate limit on tokens.
            response: The HTTP response.
            request: The HTTP request.
            body: The decoded error body.
        """
        self.message = redact_secrets(message)
        Exception.__init__(self, self.message)
        if kind is not None:
            self.kind = kind
        self.model = model
        self.retry_after_s = retry_after_s
        self._keep_http(response, request, status_code, request_id)
        self._keep_body(body, code, error_type, param)
        self.severity = severity or PROFILES[self.kind].severity
        self.is_retryable = PROFILES[self.kind].retryable if retryable is None else retryable
        self.user_message = redact_secrets(
            user_message or user_message_for(self.kind, model, retry_after_s)
        )

    def _keep_http(
        self,
        response: httpx2.Response | None,
        request: httpx2.Request | None,
        status_code: int | None,
        request_id: str | None,
    ) -> None:
        self.response = response
        self.request = request
        self.status_code = status_code
        self.request_id = request_id
        if response is not None:
            # A response built by hand may have no request; asking for it then raises.
            self.request = request or getattr(response, "_request", None)
            self.status_code = response.status_code if status_code is None else status_code
            self.request_id = request_id or response.headers.get("x-request-id")

    def _keep_body(
        self, body: object, code: str | None, error_type: str | None, param: str | None
    ) -> None:
        self.body = redact_value(body)
        fields = self.body if isinstance(self.body, Mapping) else {}
        own_code = self.default_code if body is None and self.response is None else None
        self.code = _text(code) or _text(fields.get("code")) or own_code
        self.type = _text(error_type) or _text(fields.get("type"))
        self.param = _text(param) or _text(fields.get("param"))

    @property
    def technical_message(self) -> str:
        """The message with everything known about where it came from; also ``str(error)``."""
        return technical_text(
            self.message or type(self).__name__,
            status=self.status_code,
            code=None if self.code == self.default_code else self.code,
            type=self.type,
            param=self.param,
            model=self.model,
            request_id=self.request_id,
        )

    def __str__(self) -> str:
        """Return the technical message."""
        return self.technical_message

    def __repr__(self) -> str:
        """Show class and technical message; never a secret."""
        return f"{type(self).__name__}({self.technical_message!r})"

    def __reduce__(self) -> tuple[object, ...]:
        """Pickle everything but the HTTP objects: a request carries the API key in its headers."""
        state = {k: v for k, v in self.__dict__.items() if k not in {"response", "request"}}
        return _rebuild, (self._made_from or (type(self), None), self.args, state)

    def __copy__(self) -> Self:
        """Copy within the process, where the HTTP objects may stay."""
        twin = cast("Self", _rebuild(self._made_from or (type(self), None), self.args, {}))
        twin.__dict__.update(self.__dict__)
        return twin


def _text(value: object) -> str | None:
    return None if value is None or value == "" else str(value)


def _rebuild(
    made_from: tuple[type[TammaError], type[Exception] | None],
    args: tuple[object, ...],
    state: Mapping[str, object],
) -> TammaError:
    leaf, sdk_class = made_from
    cls = leaf if sdk_class is None else with_sdk_class(leaf, sdk_class)
    error = cls.__new__(cls)
    error.args = args
    error.__dict__.update({"response": None, "request": None, **state})
    return error


_joined: dict[tuple[type[TammaError], type[Exception]], type[TammaError]] = {}


def with_sdk_class(leaf: type[TammaError], sdk_class: type[Exception]) -> type[TammaError]:
    """Join a leaf with the SDK's class of an error, so that handlers of either catch it.

    Args:
        leaf: The leaf that fits what went wrong.
        sdk_class: The class the SDK raised.

    Returns:
        ``leaf`` itself when it already is an ``sdk_class``, else a class that is both.
    """
    if issubclass(leaf, sdk_class):
        return leaf
    pair = (leaf, sdk_class)
    if pair not in _joined:
        body = {"__module__": leaf.__module__, "__doc__": leaf.__doc__, "_made_from": pair}
        _joined.setdefault(pair, type(leaf.__name__, pair, body))
    return _joined[pair]


class AuthenticationError(TammaError, lc.ModelAuthenticationError, openai.AuthenticationError):
    """The API key, organization or project was not accepted (401)."""

    kind = ErrorKind.AUTHENTICATION


class PermissionDeniedError(
    TammaError, lc.ModelPermissionDeniedError, openai.PermissionDeniedError
):
    """The account may not do this: model, region or feature (403)."""

    kind = ErrorKind.PERMISSION


class NotFoundError(TammaError, lc.ModelNotFoundError, openai.NotFoundError):
    """The model or another thing named in the request does not exist, or no longer (404)."""

    kind = ErrorKind.NOT_FOUND


class InvalidRequestError(TammaError, lc.ModelInvalidRequestError, openai.BadRequestError):
    """The server rejects the request as it is (400, 413, 422)."""

    kind = ErrorKind.INVALID_REQUEST


class ContextOverflowError(TammaError, lc.ContextOverflowError, openai.BadRequestError):
    """Input and output together do not fit into the model's context window."""

    kind = ErrorKind.CONTEXT_OVERFLOW


class _CompletionError(TammaError):
    """Carries the completion that failed, for handlers written for the SDK's finish errors."""

    completion: Any  # a ChatCompletion or None; see `status_code` above for the type

    def __init__(
        self,
        message: str = "",
        *,
        completion: ChatCompletion | None = None,
        **details: Unpack[ErrorDetails],
    ) -> None:
        super().__init__(message, **details)
        self.completion = completion


class ContentFilterError(
    _CompletionError,
    lc.ModelInvalidRequestError,
    openai.BadRequestError,
    openai.ContentFilterFinishReasonError,
):
    """A content filter or usage policy stopped the request or the answer."""

    kind = ErrorKind.CONTENT_FILTER
    default_code = "content_filter"


class RateLimitError(TammaError, lc.ModelRateLimitError, openai.RateLimitError):
    """Too many requests or tokens for now; waiting helps (429)."""

    kind = ErrorKind.RATE_LIMIT


class RequestTooLargeError(TammaError, lc.ModelRateLimitError, openai.RateLimitError):
    """This one request is larger than the whole rate limit; waiting never helps (429)."""

    kind = ErrorKind.REQUEST_TOO_LARGE


class QuotaExceededError(TammaError, lc.ModelRateLimitError, openai.RateLimitError):
    """No credit left, or a spending limit reached; retrying never helps (429)."""

    kind = ErrorKind.INSUFFICIENT_QUOTA


class ConflictError(TammaError, lc.ModelError, openai.ConflictError):
    """Another request holds what this one needs; it is free again after seconds (409)."""

    kind = ErrorKind.CONFLICT


class ModelOverloadedError(TammaError, lc.ModelAPIError, openai.InternalServerError):
    """The model has no capacity right now (503, or a flex request refused)."""

    kind = ErrorKind.MODEL_OVERLOADED


class ServerError(TammaError, lc.ModelAPIError, openai.InternalServerError):
    """The server failed (5xx, or an error event in a stream)."""

    kind = ErrorKind.SERVER_ERROR


class ConnectionFailedError(TammaError, lc.ModelConnectionError, openai.APIConnectionError):
    """The server could not be reached, or the connection broke."""

    kind = ErrorKind.CONNECTION
    default_code = "connection_failed"


class RequestTimeoutError(TammaError, lc.ModelTimeoutError, openai.APITimeoutError):
    """No answer within the timeout (of the client, or a 408 of the server)."""

    kind = ErrorKind.TIMEOUT
    default_code = "timeout"


class StreamInterruptedError(TammaError, lc.ModelConnectionError, openai.APIConnectionError):
    """An answer began to stream and ended before its end.

    Attributes:
        partial: What had arrived; None when nothing had.
        usage: Tokens of the partial answer, usually an estimate; None when unknown.
        delivered: Whether any of it was handed to the caller, who would see it twice on a retry.
    """

    kind = ErrorKind.STREAM_INTERRUPTED
    default_code = "stream_interrupted"
    partial: AIMessage | None
    usage: UsageMetadata | None
    delivered: bool

    def __init__(
        self,
        message: str = "",
        *,
        partial: AIMessage | None = None,
        usage: UsageMetadata | None = None,
        delivered: bool = False,
        **details: Unpack[ErrorDetails],
    ) -> None:
        """Build the error; retryable unless something was delivered or ``retryable`` says else."""
        details.setdefault("retryable", not delivered)
        super().__init__(message, **details)
        self.partial = partial
        self.usage = usage
        self.delivered = delivered

    @classmethod
    def from_error(
        cls,
        cause: TammaError,
        *,
        partial: AIMessage | None = None,
        usage: UsageMetadata | None = None,
        delivered: bool = False,
    ) -> Self:
        """Say that ``cause`` cut a stream short; raise it ``from cause``.

        Args:
            cause: The failure that ended the stream.
            partial: What had arrived.
            usage: Tokens of the partial answer.
            delivered: Whether any of it reached the caller.

        Returns:
            An error with the facts of ``cause``, retryable only if ``cause`` is and nothing was
            delivered.
        """
        return cls(
            f"The stream broke off: {cause.message}",
            partial=partial,
            usage=usage,
            delivered=delivered,
            retryable=cause.is_retryable and not delivered,
            code=cause.code,
            error_type=cause.type,
            param=cause.param,
            status_code=cause.status_code,
            request_id=cause.request_id,
            retry_after_s=cause.retry_after_s,
            model=cause.model,
            response=cause.response,
            request=cause.request,
            body=cause.body,
        )


class StreamStalledError(
    StreamInterruptedError, lc.ModelTimeoutError, openai.APITimeoutError, TimeoutError
):
    """A stream stayed open but sent nothing for longer than the chunk timeout."""

    default_code = "stream_stalled"


class MalformedResponseError(TammaError, ValueError, lc.ModelError, openai.APIError):
    """The server answered, but not with what its API promises."""

    kind = ErrorKind.MALFORMED_RESPONSE
    default_code = "malformed_response"


class OutputTruncatedError(
    _CompletionError, MalformedResponseError, openai.LengthFinishReasonError
):
    """A structured answer was cut at the output limit, so it cannot be parsed."""

    kind = ErrorKind.OUTPUT_TRUNCATED
    default_code = "output_truncated"


class RefusalError(TammaError, lc.ModelError, openai.OpenAIError):
    """The model declined to give the structured answer asked for.

    Attributes:
        refusal: The model's own words.
    """

    kind = ErrorKind.REFUSAL
    default_code = "refusal"
    refusal: str | None

    def __init__(
        self, message: str = "", *, refusal: str | None = None, **details: Unpack[ErrorDetails]
    ) -> None:
        """Build the error; ``refusal`` is the message unless given apart."""
        super().__init__(message or refusal or "", **details)
        self.refusal = redact_secrets(refusal or message) or None


class CircuitOpenError(TammaError, lc.ModelAPIError, openai.APIError):
    """The model failed repeatedly, so this request was not sent."""

    kind = ErrorKind.CIRCUIT_OPEN
    default_code = "circuit_open"


class BudgetExceededError(TammaError, lc.ModelError, openai.OpenAIError):
    """The request was not sent because a budget set by the application is used up."""

    kind = ErrorKind.BUDGET_EXCEEDED
    default_code = "budget_exceeded"


class ConfigurationError(TammaError, lc.ModelError, openai.OpenAIError, ValueError):
    """A setting of the model, its client or its environment is missing or wrong."""

    kind = ErrorKind.CONFIGURATION
    default_code = "configuration"


class InvalidParameterError(
    TammaError, lc.ModelInvalidRequestError, openai.OpenAIError, ValueError
):
    """An argument of the call is wrong; nothing was sent."""

    kind = ErrorKind.INVALID_PARAMETER
    default_code = "invalid_parameter"


class UnknownParameterError(InvalidParameterError, TypeError):
    """A call was given a keyword argument that the API does not have."""

    default_code = "unknown_parameter"


class InvalidToolError(TammaError, lc.ModelInvalidRequestError, openai.OpenAIError, ValueError):
    """A tool definition, tool choice or tool schema is wrong; nothing was sent."""

    kind = ErrorKind.INVALID_TOOL
    default_code = "invalid_tool"


class PromptError(TammaError, lc.ModelInvalidRequestError, openai.OpenAIError, ValueError):
    """A prompt could not be found or rendered; nothing was sent."""

    kind = ErrorKind.PROMPT
    default_code = "prompt"


class StorageError(TammaError, lc.ModelError, openai.OpenAIError):
    """A record could not be stored or read."""

    kind = ErrorKind.STORAGE
    default_code = "storage"


class UnclassifiedError(TammaError, lc.ModelError, openai.APIError):
    """The provider failed in a way that no rule names."""
