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

from typing import TYPE_CHECKING, Any, Literal, Self, Unpack

import openai
from langchain_core import exceptions as lc

from langchain_tamma_openai.error_base import ErrorDetails, TammaError, with_sdk_class
from langchain_tamma_openai.kinds import ErrorKind
from langchain_tamma_openai.redact import redact_secrets

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime
    from decimal import Decimal

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
    "with_sdk_class",
]

SafeToDo = Literal["retry", "resume", "regenerate", "nothing"]
"""What may be done about a broken stream without delivering anything twice."""


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
        safe_to_do: What the caller may do about it without seeing or paying anything twice unaware.
            "retry": nothing was delivered and the cause is a passing one, so ask again. "resume":
            the server goes on making the answer in the background and can be asked for the rest.
            "regenerate": a part was delivered; ask again, and go on only if the new answer begins
            with that part. "nothing": asking again would fail, or could not be compared.
    """

    kind = ErrorKind.STREAM_INTERRUPTED
    default_code = "stream_interrupted"
    partial: AIMessage | None
    delivered: bool
    _usage: UsageMetadata | Callable[[], UsageMetadata | None] | None
    _safe_to_do: SafeToDo | None

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
        self._safe_to_do = None

    @property
    def usage(self) -> UsageMetadata | None:
        """Tokens of the partial answer, usually an estimate; None when unknown."""
        if callable(self._usage):
            self._usage = self._usage()
        return self._usage

    @usage.setter
    def usage(self, usage: UsageMetadata | Callable[[], UsageMetadata | None] | None) -> None:
        # Counting takes a tokenizer, whose first use takes a second: not while a deadline passes.
        self._usage = usage

    @property
    def safe_to_do(self) -> SafeToDo:
        """What the caller may do about it; see the class."""
        if self._safe_to_do is not None:
            return self._safe_to_do
        return "retry" if self.is_retryable and not self.delivered else "nothing"

    @safe_to_do.setter
    def safe_to_do(self, safe_to_do: SafeToDo) -> None:
        self._safe_to_do = safe_to_do

    def __reduce__(self) -> tuple[object, ...]:
        """Pickle the usage itself, estimated by now."""
        self._usage = self.usage
        return super().__reduce__()

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
    """The request was not sent because a budget set by the application is used up.

    Attributes:
        budget: Name of the budget.
        scope: The labels it belongs to, such as the user.
        unit: What the amounts are: "usd" or "tokens".
        limit: The limit; None when unknown, as are the others.
        spent: What calls have used in this window.
        reserved: What calls under way may use.
        requested: The most that this call can use; None when nobody knows.
        resets_at: When the window turns; None for a budget that never turns.
    """

    kind = ErrorKind.BUDGET_EXCEEDED
    default_code = "budget_exceeded"
    budget: str | None
    scope: Mapping[str, object]
    unit: Literal["usd", "tokens"]
    limit: Decimal | int | None
    spent: Decimal | int | None
    reserved: Decimal | int | None
    requested: Decimal | int | None
    resets_at: datetime | None

    def __init__(
        self,
        message: str = "",
        *,
        budget: str | None = None,
        scope: Mapping[str, object] | None = None,
        unit: Literal["usd", "tokens"] = "usd",
        limit: Decimal | int | None = None,
        spent: Decimal | int | None = None,
        reserved: Decimal | int | None = None,
        requested: Decimal | int | None = None,
        resets_at: datetime | None = None,
        **details: Unpack[ErrorDetails],
    ) -> None:
        """Build the error with the amounts that led to it."""
        super().__init__(message, **details)
        self.budget = budget
        self.scope = dict(scope or {})
        self.unit = unit
        self.limit = limit
        self.spent = spent
        self.reserved = reserved
        self.requested = requested
        self.resets_at = resets_at


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
