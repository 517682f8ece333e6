"""Who serves a call that failed: the next model, a larger one, or another account.

`FallbackPolicy.plan` is the whole decision and a pure function of the error and of what was tried;
`Fallbacks` keeps that list for one call, and two tiny loops drive it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Literal, TypeVar

from pydantic import SecretStr

from langchain_tamma_openai.checks import check_base_url, safe_url
from langchain_tamma_openai.kinds import ErrorKind
from langchain_tamma_openai.models import ModelCatalog
from langchain_tamma_openai.resilience.bounds import check_choice, check_positive_count, refuse
from langchain_tamma_openai.resilience.classify import ErrorClassifier

__all__ = [
    "DEFAULT_ACTIONS",
    "FallbackAccount",
    "FallbackAction",
    "FallbackModel",
    "FallbackPolicy",
    "FallbackStep",
    "Fallbacks",
    "arun_with_fallbacks",
    "run_with_fallbacks",
]

T = TypeVar("T")

_CLASSIFIER = ErrorClassifier()


class FallbackAction(StrEnum):
    """What to do about a kind of failure."""

    NONE = "none"
    NEXT_MODEL = "next_model"
    LARGER_WINDOW = "larger_window"
    OTHER_ACCOUNT = "other_account"


DEFAULT_ACTIONS: Mapping[ErrorKind, FallbackAction] = {
    ErrorKind.MODEL_OVERLOADED: FallbackAction.NEXT_MODEL,
    ErrorKind.SERVER_ERROR: FallbackAction.NEXT_MODEL,
    ErrorKind.TIMEOUT: FallbackAction.NEXT_MODEL,
    ErrorKind.CONNECTION: FallbackAction.NEXT_MODEL,
    ErrorKind.STREAM_INTERRUPTED: FallbackAction.NEXT_MODEL,
    ErrorKind.CIRCUIT_OPEN: FallbackAction.NEXT_MODEL,
    ErrorKind.RATE_LIMIT: FallbackAction.NEXT_MODEL,
    ErrorKind.RATE_LIMIT_REQUESTS: FallbackAction.NEXT_MODEL,
    ErrorKind.RATE_LIMIT_TOKENS: FallbackAction.NEXT_MODEL,
    ErrorKind.SLOW_DOWN: FallbackAction.NEXT_MODEL,
    ErrorKind.REQUEST_TOO_LARGE: FallbackAction.NEXT_MODEL,
    ErrorKind.CONTEXT_OVERFLOW: FallbackAction.LARGER_WINDOW,
    ErrorKind.INSUFFICIENT_QUOTA: FallbackAction.OTHER_ACCOUNT,
    ErrorKind.AUTHENTICATION: FallbackAction.OTHER_ACCOUNT,
    ErrorKind.PERMISSION: FallbackAction.OTHER_ACCOUNT,
}
"""What follows from each kind of failure; nothing from those that are not here."""


@dataclass(frozen=True, slots=True)
class FallbackAccount:
    """Another way to the same models.

    Attributes:
        api_key: Its key; text is hidden in a `SecretStr`.
        base_url: Its root of the API; None for the model's own.
    """

    api_key: SecretStr | str
    base_url: str | None = None

    def __post_init__(self) -> None:
        """Hide the key and check the URL.

        Raises:
            ConfigurationError: One of them cannot be used.
        """
        object.__setattr__(self, "api_key", _secret(self.api_key))
        check_base_url(self.base_url)


@dataclass(frozen=True, slots=True)
class FallbackModel:
    """A model that may serve in another one's place.

    Attributes:
        model: Its name.
        api_key: Its key, hidden like an account's; None for the account of the call that failed.
        base_url: Its root of the API, which needs its key, so that no key goes to a server that
            it was not given for; None for the model's own where there is a key.
        context_window_tokens: Size of its window; None for what the model catalogue says.
    """

    model: str
    api_key: SecretStr | str | None = None
    base_url: str | None = None
    context_window_tokens: int | None = None

    def __post_init__(self) -> None:
        """Hide the key and check the rest.

        Raises:
            ConfigurationError: The name is empty, or something cannot be used.
        """
        if not isinstance(self.model, str) or not self.model.strip():
            refuse("fallback_models", self.model, "names of models")
        if self.api_key is not None:
            object.__setattr__(self, "api_key", _secret(self.api_key))
        elif self.base_url is not None:
            refuse("api_key", None, "the key that the server at base_url expects")
        check_base_url(self.base_url)
        if self.context_window_tokens is not None:
            check_positive_count(self.context_window_tokens, "context_window_tokens")


@dataclass(frozen=True, slots=True)
class FallbackStep:
    """One way to serve a call.

    Attributes:
        model: Name of the model.
        api_key: Key to use; None for the model's own.
        base_url: Root of the API to use; None for the model's own.
        action: How it came to be chosen; ``none`` for the call as it was asked for.
        reason: Kind of the failure before it; None for the call as it was asked for.
    """

    model: str
    api_key: SecretStr | None = None
    base_url: str | None = None
    action: FallbackAction = FallbackAction.NONE
    reason: ErrorKind | None = None

    @property
    def way(self) -> tuple[str, SecretStr | None, str | None]:
        """What tells it apart from other ways to serve the call."""
        return self.model, self.api_key, self.base_url


@dataclass(frozen=True, slots=True)
class FallbackPolicy:
    """Where to turn when a call has failed for good, by kind of failure.

    A request that is wrong in itself, a refusal or a cancelled call has no fallback, and neither
    has a stream of which the caller has seen something.

    Attributes:
        models: Models to turn to, in order; names or `FallbackModel`.
        accounts: Keys or base URLs to turn to when the account is the problem, in order.
        larger_window: After a context overflow, take the first of ``models`` with a larger
            window ("listed"), or else the smallest larger window of the model catalogue
            ("catalogue").
        actions: Changes to `DEFAULT_ACTIONS`, e.g. ``{"not_found": "next_model"}``.
    """

    models: Sequence[FallbackModel | str] = ()
    accounts: Sequence[FallbackAccount] = ()
    larger_window: Literal["listed", "catalogue"] = "listed"
    actions: Mapping[ErrorKind | str, FallbackAction | str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Give everything its type.

        Raises:
            ConfigurationError: A name, account or action cannot be used.
        """
        object.__setattr__(self, "models", tuple(_models(self.models)))
        object.__setattr__(self, "accounts", tuple(_accounts(self.accounts)))
        check_choice(self.larger_window, "larger_window", ("listed", "catalogue"))
        object.__setattr__(self, "actions", _actions(self.actions))

    @classmethod
    def of(cls, value: FallbackPolicy | Sequence[FallbackModel | str]) -> FallbackPolicy:
        """Read what a user gave as ``fallback_models``: a policy, or just the models.

        Args:
            value: The setting.

        Raises:
            ConfigurationError: It is neither.
        """
        return value if isinstance(value, FallbackPolicy) else cls(models=value)

    def without_keys(self) -> FallbackPolicy:
        """Return the part of it that tells no key, for places where keys do not belong."""
        models = tuple(model for model in self.listed if model.api_key is None)
        return replace(self, models=models, accounts=())

    def action(self, error: BaseException) -> FallbackAction:
        """Say what follows from an error.

        Args:
            error: What a call failed with.
        """
        if not isinstance(error, Exception) or getattr(error, "delivered", False) is True:
            return FallbackAction.NONE
        kind = _kind(error)
        changed = self.actions.get(kind)
        return FallbackAction(changed or DEFAULT_ACTIONS.get(kind, FallbackAction.NONE))

    def plan(
        self,
        error: Exception,
        tried: Sequence[FallbackStep],
        allowed: Sequence[str] | None = None,
    ) -> FallbackStep | None:
        """Choose who serves the call next.

        Args:
            error: What the last try failed with.
            tried: All tries so far, the call as it was asked for first.
            allowed: Names of the only models that may serve; None for any.

        Returns:
            The next try; None when there is none, and the error is to be raised.
        """
        action = self.action(error)
        ways = {step.way for step in tried}
        for candidate in self._candidates(action, tried[-1]):
            if candidate.way not in ways and (allowed is None or candidate.model in allowed):
                return replace(candidate, action=action, reason=_kind(error))
        return None

    def _candidates(self, action: FallbackAction, failed: FallbackStep) -> Iterator[FallbackStep]:
        if action is FallbackAction.NEXT_MODEL:
            yield from (_step(model, failed) for model in self.listed)
        elif action is FallbackAction.OTHER_ACCOUNT:
            yield from self._other_accounts(failed)
        elif action is FallbackAction.LARGER_WINDOW:
            yield from self._larger(failed)

    @property
    def listed(self) -> tuple[FallbackModel, ...]:
        """The models to turn to."""
        return tuple(model for model in self.models if isinstance(model, FallbackModel))

    def _other_accounts(self, failed: FallbackStep) -> Iterator[FallbackStep]:
        for account in self.accounts:
            yield FallbackStep(failed.model, _secret(account.api_key), account.base_url)
        for model in self.listed:
            # A model with a key of its own does not use the account that failed.
            if model.api_key is not None:
                yield _step(model, failed)

    def _larger(self, failed: FallbackStep) -> Iterator[FallbackStep]:
        window = self._window(failed.model)
        if window is None:
            return
        for model in self.listed:
            size = model.context_window_tokens or _catalogued_window(model.model)
            if size is not None and size > window:
                yield _step(model, failed)
        if self.larger_window == "catalogue":
            yield from (replace(failed, model=name) for name in _larger_models(failed.model))

    def _window(self, model: str) -> int | None:
        own = (m.context_window_tokens for m in self.listed if m.model == model)
        return next((size for size in own if size is not None), _catalogued_window(model))


class Fallbacks:
    """The fallbacks of one call.

    Attributes:
        tried: All tries so far, the call as it was asked for first.
    """

    def __init__(
        self,
        policy: FallbackPolicy,
        first: FallbackStep,
        allowed: Sequence[str] | None = None,
    ) -> None:
        """Begin with the call as it was asked for.

        Args:
            policy: Where to turn.
            first: The call as it was asked for.
            allowed: Names of the only models that may serve; None for any.
        """
        self._policy = policy
        self._allowed = allowed
        self.tried = [first]
        self._errors: list[Exception] = []

    @property
    def current(self) -> FallbackStep:
        """The try that is being made."""
        return self.tried[-1]

    def next(self, error: Exception) -> FallbackStep:
        """Turn to the next one.

        Args:
            error: What the current try failed with.

        Raises:
            Exception: There is none: the first try's error, which is about the call as it was
                asked for, with notes on the others; or this one, if the caller has seen a part of
                its answer.
        """
        self._errors.append(error)
        step = self._policy.plan(error, self.tried, self._allowed)
        if step is not None:
            self.tried.append(step)
            return step
        if getattr(error, "delivered", False) is True:
            raise error
        first = self._errors[0]
        for failed, reason in zip(self.tried[1:], self._errors[1:], strict=True):
            first.add_note(f"The fallback to {_described(failed)} failed too: {reason}")
        raise first

    def metadata(self) -> dict[str, object] | None:
        """Say which model served and why, for ``response_metadata["fallback"]``.

        Returns:
            The requested and the served model, and each try that failed with its reason; None when
            the call was served as it was asked for.
        """
        if len(self.tried) == 1:
            return None
        served = self.current
        return {
            "requested_model": self.tried[0].model,
            "served_model": served.model,
            "served_base_url": None if served.base_url is None else safe_url(served.base_url),
            "action": served.action.value,
            "reason": None if served.reason is None else served.reason.value,
            "failed": [
                {"model": step.model, "error": _kind(error).value, "code": _code(error)}
                for step, error in zip(self.tried, self._errors, strict=False)
            ],
        }


def run_with_fallbacks(fallbacks: Fallbacks, attempt: Callable[[FallbackStep], T]) -> T:
    """Call ``attempt`` with one step after another until one of them serves.

    Args:
        fallbacks: Those of this call.
        attempt: Makes the call as a step says, its retries included.

    Raises:
        Exception: As `Fallbacks.next`.
    """
    step = fallbacks.current
    while True:
        try:
            return attempt(step)
        except Exception as error:  # noqa: BLE001 - the policy sorts them, and raises the rest
            step = fallbacks.next(error)


async def arun_with_fallbacks(
    fallbacks: Fallbacks, attempt: Callable[[FallbackStep], Awaitable[T]]
) -> T:
    """Await ``attempt`` with one step after another; see `run_with_fallbacks`."""
    step = fallbacks.current
    while True:
        try:
            return await attempt(step)
        except Exception as error:  # noqa: BLE001 - the policy sorts them, and raises the rest
            step = fallbacks.next(error)


def _step(model: FallbackModel, failed: FallbackStep) -> FallbackStep:
    """Use the model's own key and server, or both of the call that failed: never a mixture."""
    if model.api_key is None:
        return FallbackStep(model.model, failed.api_key, failed.base_url)
    return FallbackStep(model.model, _secret(model.api_key), model.base_url)


def _kind(error: Exception) -> ErrorKind:
    kind = _CLASSIFIER.classify(error).kind
    if kind is ErrorKind.STREAM_INTERRUPTED and isinstance(error.__cause__, Exception):
        # What the server said inside the stream, a dry account for example.
        inner = _CLASSIFIER.classify(error.__cause__).kind
        return kind if inner in {ErrorKind.UNKNOWN, ErrorKind.MALFORMED_RESPONSE} else inner
    return kind


def _code(error: Exception) -> str | None:
    code = getattr(error, "code", None)
    return None if code is None else str(code)


def _described(step: FallbackStep) -> str:
    where = "" if step.base_url is None else f" at {safe_url(step.base_url)}"
    account = "" if step.api_key is None else " with another key"
    return f"{step.model}{where}{account}"


def _catalogued_window(model: str) -> int | None:
    return ModelCatalog().get(model).context_window_tokens


def _larger_models(model: str) -> list[str]:
    """Name the models that can do the same with more room, the smallest step first."""
    catalogue = ModelCatalog()
    failed = catalogue.get(model)
    found = [
        info
        for info in catalogue.list(include_shut_down=False)
        if (info.context_window_tokens or 0) > (failed.context_window_tokens or 0)
        and info.capabilities >= failed.capabilities
        and (failed.responses_only or not info.responses_only)
    ]
    return [info.name for info in sorted(found, key=lambda info: info.context_window_tokens or 0)]


def _secret(value: object) -> SecretStr:
    if isinstance(value, SecretStr):
        return value
    if isinstance(value, str) and value.strip():
        return SecretStr(value)
    return refuse("api_key", type(value).__name__, "a text or a SecretStr")


def _models(values: object) -> Iterator[FallbackModel]:
    if isinstance(values, str) or not isinstance(values, Iterable):
        refuse("fallback_models", values, "a list of model names or a FallbackPolicy")
    for value in values:
        yield value if isinstance(value, FallbackModel) else FallbackModel(value)


def _accounts(values: object) -> Iterator[FallbackAccount]:
    if isinstance(values, str) or not isinstance(values, Iterable):
        refuse("accounts", type(values).__name__, "a list of FallbackAccount")
    for value in values:
        if not isinstance(value, FallbackAccount):
            refuse("accounts", type(value).__name__, "a list of FallbackAccount")
        yield value


def _actions(values: object) -> dict[ErrorKind, FallbackAction]:
    if not isinstance(values, Mapping):
        refuse("actions", values, "a dict of error kinds and actions")
    for kind, action in values.items():
        check_choice(kind, "actions", tuple(ErrorKind))
        check_choice(action, "actions", tuple(FallbackAction))
    return {ErrorKind(kind): FallbackAction(action) for kind, action in values.items()}
