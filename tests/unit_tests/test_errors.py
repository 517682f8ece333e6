"""The error tree: what each leaf is, what it carries, and that it never prints a secret."""

from __future__ import annotations

import copy
import inspect
import multiprocessing
import pickle
import re
from pathlib import Path

import httpx2
import openai
import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain.agents.middleware._retry import default_retry_on
from langchain_core import exceptions as lc
from langchain_core.messages import AIMessage

from langchain_tamma_openai import errors
from langchain_tamma_openai.errors import TammaError
from langchain_tamma_openai.kinds import (
    PROFILES,
    ErrorKind,
    technical_text,
    user_message_for,
)
from langchain_tamma_openai.redact import redact_secrets, redact_value

KEY = "sk-proj-abcdefghijklmnopqrstuvwxyz012345"

LEAVES = sorted(
    (
        cls
        for _, cls in inspect.getmembers(errors, inspect.isclass)
        if issubclass(cls, TammaError)
        and cls is not TammaError
        and not cls.__name__.startswith("_")
    ),
    key=lambda cls: cls.__name__,
)

FAMILY: dict[str, tuple[type[Exception], ...]] = {
    "AuthenticationError": (lc.ModelAuthenticationError, openai.AuthenticationError),
    "PermissionDeniedError": (lc.ModelPermissionDeniedError, openai.PermissionDeniedError),
    "NotFoundError": (lc.ModelNotFoundError, openai.NotFoundError),
    "InvalidRequestError": (lc.ModelInvalidRequestError, openai.BadRequestError),
    "ContextOverflowError": (lc.ContextOverflowError, openai.BadRequestError),
    "ContentFilterError": (
        lc.ModelInvalidRequestError,
        openai.BadRequestError,
        openai.ContentFilterFinishReasonError,
    ),
    "RateLimitError": (lc.ModelRateLimitError, openai.RateLimitError),
    "RequestTooLargeError": (lc.ModelRateLimitError, openai.RateLimitError),
    "QuotaExceededError": (lc.ModelRateLimitError, openai.RateLimitError),
    "ConflictError": (lc.ModelError, openai.ConflictError),
    "ModelOverloadedError": (lc.ModelAPIError, openai.InternalServerError),
    "ServerError": (lc.ModelAPIError, openai.InternalServerError),
    "ConnectionFailedError": (lc.ModelConnectionError, openai.APIConnectionError),
    "RequestTimeoutError": (lc.ModelTimeoutError, openai.APITimeoutError),
    "StreamInterruptedError": (lc.ModelConnectionError, openai.APIConnectionError),
    "StreamStalledError": (
        errors.StreamInterruptedError,
        lc.ModelTimeoutError,
        openai.APITimeoutError,
        TimeoutError,
    ),
    "MalformedResponseError": (lc.ModelError, openai.APIError, ValueError),
    "OutputTruncatedError": (errors.MalformedResponseError, openai.LengthFinishReasonError),
    "RefusalError": (lc.ModelError, openai.OpenAIError),
    "CircuitOpenError": (lc.ModelAPIError, openai.APIError),
    "BudgetExceededError": (lc.ModelError, openai.OpenAIError),
    "ConfigurationError": (lc.ModelError, openai.OpenAIError, ValueError),
    "InvalidParameterError": (lc.ModelInvalidRequestError, openai.OpenAIError, ValueError),
    "UnknownParameterError": (errors.InvalidParameterError, TypeError, ValueError),
    "InvalidToolError": (lc.ModelInvalidRequestError, openai.OpenAIError, ValueError),
    "PromptError": (lc.ModelInvalidRequestError, openai.OpenAIError, ValueError),
    "StorageError": (lc.ModelError, openai.OpenAIError),
    "UnclassifiedError": (lc.ModelError, openai.APIError),
}

RETRYABLE = {
    "RateLimitError",
    "ConflictError",
    "ModelOverloadedError",
    "ServerError",
    "ConnectionFailedError",
    "RequestTimeoutError",
    "StreamInterruptedError",
    "StreamStalledError",
}

each_leaf = pytest.mark.parametrize("leaf", LEAVES, ids=lambda leaf: leaf.__name__)


def unpickled(error: TammaError) -> TammaError:
    result = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own bytes
    assert isinstance(result, TammaError)
    return result


def test_the_tree_is_complete() -> None:
    assert {leaf.__name__ for leaf in LEAVES} == set(FAMILY)
    assert {leaf.__name__ for leaf in LEAVES} <= set(errors.__all__)


@each_leaf
def test_a_leaf_is_caught_by_handlers_of_langchain_and_of_the_sdk(leaf: type[TammaError]) -> None:
    error = leaf("what happened")
    for cls in (*FAMILY[leaf.__name__], TammaError, lc.ModelError, openai.OpenAIError):
        with pytest.raises(cls):
            raise error


@each_leaf
def test_a_leaf_needs_no_http_objects(leaf: type[TammaError]) -> None:
    error = leaf("what happened")
    for name in ("response", "request", "body", "status_code", "request_id", "param", "type"):
        assert getattr(error, name) is None, name
    assert error.message == str(error) == error.technical_message == "what happened"
    assert error.args == ("what happened",)
    assert repr(error) == f"{leaf.__name__}('what happened')"
    assert str(leaf()) == leaf.__name__


@each_leaf
def test_retryable_and_is_retryable_are_one(leaf: type[TammaError]) -> None:
    expected = leaf.__name__ in RETRYABLE
    assert leaf.retryable is leaf.is_retryable is expected
    error = leaf("x")
    assert error.retryable is error.is_retryable is expected
    assert default_retry_on(error) is expected
    error.retryable = not expected
    assert error.retryable is error.is_retryable is not expected
    error.is_retryable = expected
    assert error.retryable is expected
    turned = leaf("x", retryable=not expected)
    assert turned.retryable is turned.is_retryable is not expected


@each_leaf
def test_severity_and_words_follow_from_the_kind(leaf: type[TammaError]) -> None:
    error = leaf("technical details", model="gpt-6-luna")
    profile = PROFILES[error.kind]
    assert error.severity == leaf.severity == profile.severity
    assert error.user_message == user_message_for(error.kind, "gpt-6-luna")
    assert "technical" not in error.user_message
    assert leaf("x", severity="low", user_message="Sorry.").user_message == "Sorry."


@each_leaf
def test_errors_survive_pickle_and_copy(leaf: type[TammaError]) -> None:
    error = leaf("what happened", code="c", model="m", retry_after_s=1.5, body={"a": [1]})
    error.add_note("come back later")
    for twin in (unpickled(error), copy.copy(error), copy.deepcopy(error)):
        assert type(twin) is leaf
        assert twin is not error
        assert vars(twin) == vars(error)
        assert (twin.args, str(twin), repr(twin)) == (error.args, str(error), repr(error))


def _identity(error: TammaError) -> TammaError:
    return error


def test_an_error_crosses_to_another_process_and_back() -> None:
    error = errors.RateLimitError("slow", code="rate_limit_exceeded")
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        back = pool.apply(_identity, (error,))
    assert isinstance(back, errors.RateLimitError)
    assert back.code == "rate_limit_exceeded"


def test_http_objects_stay_in_the_process() -> None:
    request = httpx2.Request("POST", "https://x.test", headers={"authorization": f"Bearer {KEY}"})
    response = httpx2.Response(429, headers={"x-request-id": "req_1"}, request=request)
    error = errors.RateLimitError("slow", response=response)
    assert (error.status_code, error.request_id) == (429, "req_1")
    assert copy.copy(error).response is response
    assert copy.copy(error).request is request
    assert KEY.encode() not in pickle.dumps(error)
    twin = unpickled(error)
    assert (twin.response, twin.request) == (None, None)
    assert (twin.status_code, twin.request_id) == (429, "req_1")


def test_the_body_gives_what_was_not_said() -> None:
    body = {"code": 429, "type": "tokens", "param": "model", "message": "m"}
    error = errors.RateLimitError("slow", body=body)
    assert (error.code, error.type, error.param) == ("429", "tokens", "model")
    assert errors.RateLimitError("slow", body=body, code="mine").code == "mine"


def test_our_own_code_stands_only_where_no_server_answered() -> None:
    assert errors.ConfigurationError("x").code == "configuration"
    assert errors.MalformedResponseError("x").code == "malformed_response"
    assert errors.MalformedResponseError("x", body={"a": 1}).code is None
    assert errors.ServerError("x").code is None


def test_a_response_without_a_request_is_no_problem() -> None:
    assert errors.ServerError("x", response=httpx2.Response(500)).request is None


def test_the_technical_message_says_where_it_came_from() -> None:
    error = errors.RateLimitError(
        "slow",
        code="slow_down",
        error_type="rate_limit_error",
        param="p",
        status_code=429,
        request_id="req_1",
        model="gpt-6-luna",
    )
    assert str(error) == (
        "slow [status=429, code=slow_down, type=rate_limit_error, param=p, model=gpt-6-luna, "
        "request_id=req_1]"
    )


def test_an_interrupted_stream_carries_what_had_arrived() -> None:
    partial = AIMessage("Once upon")
    cause = errors.ServerError("boom", code="server_error", model="m", request_id="req_1")
    error = errors.StreamInterruptedError.from_error(cause, partial=partial, delivered=True)
    assert error.partial is partial
    assert error.delivered
    assert not error.retryable
    assert (error.code, error.model, error.request_id) == ("server_error", "m", "req_1")
    twin = unpickled(error)
    assert isinstance(twin, errors.StreamInterruptedError)
    assert twin.partial == partial
    assert errors.StreamInterruptedError.from_error(cause).retryable
    final = errors.QuotaExceededError("dry")
    assert not errors.StreamInterruptedError.from_error(final).retryable
    assert errors.StreamInterruptedError("x", delivered=True, retryable=True).retryable


def test_a_refusal_keeps_the_models_words() -> None:
    assert errors.RefusalError("I cannot help.").refusal == "I cannot help."
    told = errors.RefusalError("The model refused.", refusal="No.")
    assert (told.message, told.refusal) == ("The model refused.", "No.")
    assert errors.RefusalError().refusal is None


@pytest.mark.parametrize("leaf", [errors.OutputTruncatedError, errors.ContentFilterError])
def test_finish_errors_have_a_completion_to_look_at(
    leaf: type[errors.OutputTruncatedError | errors.ContentFilterError],
) -> None:
    assert leaf("cut").completion is None


def test_a_leaf_that_is_one_already_is_not_joined() -> None:
    assert errors.with_sdk_class(errors.RateLimitError, openai.APIError) is errors.RateLimitError
    joined = errors.with_sdk_class(errors.ServerError, openai.ConflictError)
    assert joined is errors.with_sdk_class(errors.ServerError, openai.ConflictError)
    error = joined("x", retryable=False)
    for twin in (unpickled(error), copy.copy(error)):
        assert type(twin) is joined
        assert not twin.retryable


@each_leaf
def test_no_text_of_an_error_holds_a_secret(leaf: type[TammaError]) -> None:
    error = leaf(
        f"key {KEY}",
        code=KEY,
        param=KEY,
        request_id=KEY,
        user_message=f"your key {KEY}",
        body={"message": [KEY], KEY: 1},
    )
    texts = (str(error), repr(error), error.message, error.user_message, repr(error.args))
    assert all(KEY not in text for text in (*texts, error.technical_message, repr(error.body)))
    assert KEY.encode() not in pickle.dumps(leaf(f"key {KEY}", body={"message": KEY}))


def test_the_drawing_in_the_module_is_the_one_in_the_docs() -> None:
    docs = (Path(__file__).parents[2] / "docs" / "errors.md").read_text()
    drawn = [line.strip() for line in (errors.__doc__ or "").splitlines() if "+-" in line]
    assert len(drawn) == len(LEAVES)
    assert [line.strip() for line in docs.splitlines() if "+-" in line] == drawn


@each_leaf
def test_the_drawing_is_true(leaf: type[TammaError]) -> None:
    drawing = errors.__doc__ or ""
    match = re.search(rf"\+- {leaf.__name__} +(\w+) +(.+)", drawing)
    assert match is not None
    names = re.findall(r"[A-Z]\w+", match[2])
    assert issubclass(leaf, getattr(lc, match[1]))
    for name in names:
        cls = getattr(openai, name, None) or getattr(__import__("builtins"), name)
        assert issubclass(leaf, cls)


def test_every_kind_has_a_profile_and_a_leaf_or_a_reason() -> None:
    assert set(PROFILES) == set(ErrorKind)
    without_leaf = set(ErrorKind) - {leaf.kind for leaf in LEAVES}
    assert without_leaf == {
        ErrorKind.UNSUPPORTED_PARAMETER,
        ErrorKind.RATE_LIMIT_REQUESTS,
        ErrorKind.RATE_LIMIT_TOKENS,
        ErrorKind.SLOW_DOWN,
        ErrorKind.CANCELLED,
    }


@pytest.mark.parametrize("kind", ErrorKind)
def test_every_kind_speaks_to_the_user_with_and_without_a_model(kind: ErrorKind) -> None:
    for model in (None, "gpt-6-luna"):
        text = user_message_for(kind, model)
        assert text[0].isupper()
        assert text.endswith(".")
        assert "{" not in text


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.006, "1 second."),
        (1.0, "1 second."),
        (1.146, "2 seconds."),
        (60.0, "60 seconds."),
        (90.0, "about 2 minutes."),
        (7200.5, "about 3 hours."),
    ],
)
def test_waits_are_said_in_words(seconds: float, words: str) -> None:
    text = user_message_for(ErrorKind.RATE_LIMIT, None, seconds)
    assert text == f"The model is receiving too many requests. Please try again in {words}"


def test_technical_text_leaves_out_what_is_unknown() -> None:
    assert technical_text("m", status=None) == "m"
    assert technical_text("m", status=500, code=None) == "m [status=500]"


@pytest.mark.parametrize(
    ("text", "safe"),
    [
        (f"Incorrect API key provided: {KEY}.", "Incorrect API key provided: sk-***."),
        ("sk-test-key", "sk-***"),
        ("ek_0123456789abcdef0123", "ek_***"),
        ("lsv2_pt_0123456789abcdef", "lsv2_***"),
        ("Authorization: Bearer eyJhbGciOi.J9", "Authorization: Bearer ***"),
        ("{'api-key': '0123456789abcdef'}", "{'api-key': '***'}"),
        ("https://x.test/?api_key=0123456789abcdef&a=1", "https://x.test/?api_key=***&a=1"),
        ("http://user:pass@proxy:8080", "http://***:***@proxy:8080"),
        # Not secrets, and needed to understand the message.
        ("task-oriented disk-space-monitor risk-averse", None),
        ("the bearer certificate is missing", None),
        ("api_key: must be a string, a SecretStr or a callable", None),
        ("sk-proj-****************abcd", None),
        ("https://api.openai.com/v1", None),
    ],
)
def test_secrets_are_redacted_and_prose_is_not(text: str, safe: str | None) -> None:
    assert redact_secrets(text) == (text if safe is None else safe)


@given(st.text(), st.text(alphabet="abcXYZ019_-", min_size=20), st.text())
def test_a_key_is_redacted_whatever_stands_around_it(before: str, tail: str, after: str) -> None:
    key = f"sk-{tail}"
    assert key not in redact_secrets(f"{before} {key} {after}")


@given(st.text())
def test_redacting_twice_changes_nothing_more(text: str) -> None:
    assert redact_secrets(redact_secrets(text)) == redact_secrets(text)


def test_values_keep_their_shape() -> None:
    value = {"a": [1, None, True, ("x", KEY)], KEY: 2.5}
    assert redact_value(value) == {"a": [1, None, True, ["x", "sk-***"]], "sk-***": 2.5}
