"""What every error of this package is made of: its facts, its texts, its pickled form."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Self, TypedDict, cast, overload

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

    from langchain_tamma_openai.resilience.limits_info import RateLimitInfo


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
        rate_limit: What the answer's headers say about rate limits; None where they say nothing.
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
    rate_limit: RateLimitInfo | None = None
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
