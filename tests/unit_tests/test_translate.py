"""Errors of the SDK and the HTTP libraries, raised by the real client over a mock transport."""

from __future__ import annotations

import asyncio
import json
import pickle
import ssl
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx
import httpx2
import openai
import pytest
from langchain_core import exceptions as lc
from langchain_core.language_models.chat_models import _generate_response_from_error

from langchain_tamma_openai import errors
from langchain_tamma_openai.kinds import ErrorKind
from langchain_tamma_openai.resilience.classify import (
    CLASS_KINDS,
    CODE_KINDS,
    ErrorClassifier,
    class_names,
)
from langchain_tamma_openai.transport.translate import LEAF_NAMES, translate, translating

KEY = "sk-proj-abcdefghijklmnopqrstuvwxyz012345"
DOCS = Path(__file__).parents[2] / "docs" / "errors.md"
MESSAGES: list[Any] = [{"role": "user", "content": "hi"}]


@dataclass(frozen=True)
class Row:
    """One line of the table "Every known code" in docs/errors.md."""

    http: str
    type: str | None
    code: str | None
    text: str | None
    kind: str
    error: str
    retried: bool

    @property
    def body(self) -> dict[str, object]:
        code: object = self.code
        if self.code and self.code.isdecimal():
            code = int(self.code)
        return {"message": self.text or "Something happened", "type": self.type, "code": code}


def given(cell: str) -> str | None:
    return None if cell == "-" else cell


def read_table() -> list[Row]:
    rows = []
    for line in DOCS.read_text().partition("## Every known code")[2].splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if not line.startswith("|") or cells[0] == "HTTP" or cells[0].startswith("---"):
            continue
        http, type_, code, text, kind, error, retried = cells
        rows.append(
            Row(http, given(type_), given(code), given(text), kind, error, retried == "yes")
        )
    return rows


ROWS = read_table()
Answer = Callable[[Any], Any]


def sync_client(answer: Answer, lib: ModuleType = httpx2) -> openai.OpenAI:
    transport = lib.MockTransport(answer)
    return openai.OpenAI(api_key=KEY, max_retries=0, http_client=lib.Client(transport=transport))


def async_client(answer: Answer, lib: ModuleType = httpx2) -> openai.AsyncOpenAI:
    transport = lib.MockTransport(answer)
    return openai.AsyncOpenAI(
        api_key=KEY, max_retries=0, http_client=lib.AsyncClient(transport=transport)
    )


def call(answer: Answer, *, stream: bool = False, lib: ModuleType = httpx2) -> None:
    with sync_client(answer, lib) as client, translating("gpt-6-luna"):
        result = client.chat.completions.create(
            model="gpt-6-luna", messages=MESSAGES, stream=stream
        )
        list(result)


async def acall(answer: Answer, *, stream: bool = False, lib: ModuleType = httpx2) -> None:
    async with async_client(answer, lib) as client:
        with translating("gpt-6-luna"):
            result: Any = await client.chat.completions.create(
                model="gpt-6-luna", messages=MESSAGES, stream=stream
            )
            async for _ in result:
                pass


def answering(row: Row, lib: ModuleType = httpx2) -> Answer:
    def answer(_: object) -> object:
        payload = {"error": row.body}
        if row.http == "stream":
            content = f"data: {json.dumps(payload)}\n\n".encode()
            return lib.Response(200, content=content, headers={"content-type": "text/event-stream"})
        return lib.Response(int(row.http), json=payload, headers={"x-request-id": "req_1"})

    return answer


def raised(run: Callable[[], None]) -> errors.TammaError:
    with pytest.raises(errors.TammaError) as caught:
        run()
    return caught.value


def both_colours(row: Row, lib: ModuleType = httpx2) -> list[errors.TammaError]:
    answer, stream = answering(row, lib), row.http == "stream"
    return [
        raised(lambda: call(answer, stream=stream, lib=lib)),
        raised(lambda: asyncio.run(acall(answer, stream=stream, lib=lib))),
    ]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.http}-{row.code}-{row.text}")
def test_the_documented_decision_is_the_one_made(row: Row) -> None:
    for error in both_colours(row):
        original = error.__cause__
        assert isinstance(original, openai.APIError)
        assert type(error).__name__ == row.error
        assert error.kind == row.kind
        assert error.retryable is error.is_retryable is row.retried
        assert isinstance(error, type(original))
        assert isinstance(error, lc.ModelError)
        again = ErrorClassifier().classify(original)
        assert (again.kind, again.retryable) == (row.kind, row.retried)
        assert ErrorClassifier().classify(error).kind == row.kind


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.http}-{row.code}-{row.text}")
def test_everything_the_sdk_knew_is_kept(row: Row) -> None:
    error = raised(lambda: call(answering(row), stream=row.http == "stream"))
    original = error.__cause__
    assert isinstance(original, openai.APIError)
    for name in ("type", "param", "body", "request"):
        assert getattr(error, name) == getattr(original, name), name
    assert error.code == (None if original.code is None else str(original.code))
    assert error.response is getattr(original, "response", None)
    assert error.status_code == getattr(original, "status_code", None)
    assert error.request_id == getattr(original, "request_id", None)
    assert "gpt-6-luna" in error.technical_message
    copy = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own bytes
    assert type(copy) is type(error)
    assert str(copy) == str(error)


@pytest.mark.parametrize("lib", [httpx, httpx2])
@pytest.mark.parametrize("row", ROWS[:: len(ROWS) // 6], ids=lambda row: row.http)
def test_both_http_libraries_give_the_same_error(row: Row, lib: ModuleType) -> None:
    for error in both_colours(row, lib):
        assert (type(error).__name__, error.kind) == (row.error, row.kind)


def test_the_table_has_a_row_for_every_code_the_classifier_knows() -> None:
    documented = {row.code.lower() for row in ROWS if row.code}
    assert set(CODE_KINDS) - documented == set()


SDK_ERRORS = sorted(
    (
        value
        for value in (vars(openai) | vars(openai._exceptions)).values()
        if isinstance(value, type) and issubclass(value, Exception)
    ),
    key=lambda cls: cls.__name__,
)
REQUEST = httpx2.Request("POST", "https://api.openai.com/v1/chat/completions")


def make(cls: type[Exception]) -> Exception:
    """Build an SDK error without knowing its constructor."""
    exc = cls.__new__(cls)
    exc.args = ("it happened",)
    status = getattr(cls, "status_code", 500 if cls is openai.InternalServerError else None)
    if issubclass(cls, openai.APIError):
        vars(exc).update(message="it happened", request=REQUEST, body=None)
    if status or cls is openai.APIStatusError:
        response = httpx2.Response(status or 418, request=REQUEST)
        vars(exc).update(response=response, status_code=status or 418, request_id=None)
    return exc


@pytest.mark.parametrize("cls", SDK_ERRORS, ids=lambda cls: cls.__name__)
def test_every_exception_the_sdk_exports_is_mapped(cls: type[Exception]) -> None:
    exc = make(cls)
    error = translate(exc)
    assert isinstance(error, cls)
    assert isinstance(error, errors.TammaError)
    assert isinstance(error, lc.ModelError)
    assert error.kind is not ErrorKind.UNKNOWN


@pytest.mark.parametrize("cls", SDK_ERRORS, ids=lambda cls: cls.__name__)
def test_every_leaf_can_be_joined_with_every_sdk_class(cls: type[Exception]) -> None:
    for name in set(LEAF_NAMES.values()):
        joined = errors.with_sdk_class(getattr(errors, name), cls)
        error = joined("x")
        assert isinstance(error, (getattr(errors, name), cls))
        assert error.retryable is getattr(errors, name).retryable
        assert type(pickle.loads(pickle.dumps(error))) is joined  # noqa: S301 - our own bytes


@pytest.mark.parametrize(
    ("cls", "leaf"),
    [
        (openai.BadRequestError, errors.InvalidRequestError),
        (openai.AuthenticationError, errors.AuthenticationError),
        (openai.OAuthError, errors.AuthenticationError),
        (openai.PermissionDeniedError, errors.PermissionDeniedError),
        (openai.NotFoundError, errors.NotFoundError),
        (openai.ConflictError, errors.ConflictError),
        (openai.UnprocessableEntityError, errors.InvalidRequestError),
        (openai.RateLimitError, errors.RateLimitError),
        (openai.InternalServerError, errors.ServerError),
        (openai.APITimeoutError, errors.RequestTimeoutError),
        (openai.APIConnectionError, errors.ConnectionFailedError),
        (openai.APIResponseValidationError, errors.MalformedResponseError),
        (openai.LengthFinishReasonError, errors.OutputTruncatedError),
        (openai.ContentFilterFinishReasonError, errors.ContentFilterError),
        (openai.OpenAIError, errors.ConfigurationError),
    ],
)
def test_each_sdk_class_has_its_leaf(cls: type[Exception], leaf: type[errors.TammaError]) -> None:
    assert isinstance(translate(make(cls)), leaf)


def http_errors(lib: ModuleType) -> list[tuple[Exception, type[errors.TammaError]]]:
    request = lib.Request("GET", "https://api.openai.com")
    response = lib.Response(503, request=request)
    return [
        (lib.ConnectTimeout(""), errors.RequestTimeoutError),
        (lib.ReadTimeout("slow", request=request), errors.RequestTimeoutError),
        (lib.PoolTimeout("full"), errors.RequestTimeoutError),
        (lib.ConnectError("refused"), errors.ConnectionFailedError),
        (lib.ReadError("reset"), errors.ConnectionFailedError),
        (lib.RemoteProtocolError("peer closed"), errors.ConnectionFailedError),
        (lib.TooManyRedirects("20"), errors.ConnectionFailedError),
        (lib.StreamClosed(), errors.ConnectionFailedError),
        (lib.DecodingError("gzip"), errors.MalformedResponseError),
        (lib.UnsupportedProtocol("no scheme"), errors.ConfigurationError),
        (lib.InvalidURL("no host"), errors.ConfigurationError),
        (lib.HTTPStatusError("503", request=request, response=response), errors.ServerError),
    ]


@pytest.mark.parametrize("lib", [httpx, httpx2])
def test_errors_of_the_http_libraries_are_translated_by_the_most_specific_class(
    lib: ModuleType,
) -> None:
    for exc, leaf in http_errors(lib):
        error = translate(exc, "gpt-6-luna")
        assert type(error) is leaf, exc
        assert type(exc).__name__ in error.message


@pytest.mark.parametrize(
    ("exc", "leaf"),
    [
        (json.JSONDecodeError("Expecting value", "{", 1), errors.MalformedResponseError),
        (ConnectionResetError("reset"), errors.ConnectionFailedError),
        (TimeoutError(), errors.RequestTimeoutError),
        (ssl.SSLError("handshake"), errors.ConnectionFailedError),
        (UnicodeDecodeError("utf-8", b"\xff", 0, 1, "bad"), errors.MalformedResponseError),
    ],
)
def test_errors_of_the_standard_library_that_a_transport_raises_are_translated(
    exc: Exception, leaf: type[errors.TammaError]
) -> None:
    assert type(translate(exc)) is leaf


@pytest.mark.parametrize(
    "exc",
    [
        asyncio.CancelledError(),
        KeyboardInterrupt(),
        GeneratorExit(),
        errors.RateLimitError("ours"),
        ValueError("a bug"),
        KeyError("another"),
    ],
)
def test_what_is_not_the_providers_fault_passes_through_untouched(exc: BaseException) -> None:
    assert translate(exc) is None
    with pytest.raises(type(exc)) as caught, translating():
        raise exc
    assert caught.value is exc


def test_the_context_manager_does_nothing_when_nothing_fails() -> None:
    with translating("gpt-6-luna"):
        result = 1
    assert result == 1


def test_a_connection_error_names_its_reason() -> None:
    def refuse(_: object) -> httpx2.Response:
        reason = "[Errno 111] Connection refused"
        raise httpx2.ConnectError(reason)

    error = raised(lambda: call(refuse))
    assert type(error) is errors.ConnectionFailedError
    assert "Connection refused" in error.message
    assert error.code == "connection_failed"
    assert error.status_code is None
    assert error.retryable


def test_a_timeout_is_a_timeout_of_all_three_libraries() -> None:
    def wait(_: object) -> httpx2.Response:
        reason = "timed out"
        raise httpx2.ReadTimeout(reason)

    for error in (raised(lambda: call(wait)), raised(lambda: asyncio.run(acall(wait)))):
        assert isinstance(error, errors.RequestTimeoutError)
        assert isinstance(error, openai.APITimeoutError)
        assert isinstance(error, lc.ModelTimeoutError)


def test_a_base_url_without_a_scheme_is_a_matter_of_configuration_and_not_retried() -> None:
    client = openai.OpenAI(api_key=KEY, base_url="example.test/v1", max_retries=0)
    with client, pytest.raises(errors.ConfigurationError) as caught, translating():
        client.models.list()
    assert isinstance(caught.value, openai.APIConnectionError)
    assert not caught.value.retryable


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ("<html><body>currently overloaded</body></html>", "server_error"),
        ("upstream said no", "server_error"),
        (json.dumps({"error": "The engine is currently overloaded"}), "model_overloaded"),
        (json.dumps({"detail": "The engine is currently overloaded"}), "model_overloaded"),
        (json.dumps({"message": "oops", "code": 500}), "server_error"),
        (json.dumps(["oops"]), "server_error"),
        ("", "server_error"),
    ],
)
def test_bodies_of_gateways_are_understood(body: str, kind: str) -> None:
    error = raised(lambda: call(lambda _: httpx2.Response(502, text=body)))
    assert error.kind == kind
    assert isinstance(error, openai.InternalServerError)


@pytest.mark.parametrize("should_retry", ["true", "false"])
@pytest.mark.parametrize("status", [400, 429, 500])
def test_the_server_may_overrule_whether_to_retry(should_retry: str, status: int) -> None:
    headers = {"x-should-retry": should_retry}
    error = raised(lambda: call(lambda _: httpx2.Response(status, headers=headers)))
    assert error.retryable is (should_retry == "true")


def test_a_quota_error_is_not_retried_even_when_the_server_says_so() -> None:
    body = {"error": {"message": "no", "code": "insufficient_quota"}}
    headers = {"x-should-retry": "true"}
    error = raised(lambda: call(lambda _: httpx2.Response(429, json=body, headers=headers)))
    assert isinstance(error, lc.ModelRateLimitError)
    assert not error.is_retryable


def test_the_wait_the_server_asks_for_is_on_the_error_and_in_the_words_for_the_user() -> None:
    headers = {"retry-after": "12"}
    error = raised(lambda: call(lambda _: httpx2.Response(429, headers=headers)))
    assert error.retry_after_s == 12.0
    assert error.user_message == (
        "The model 'gpt-6-luna' is receiving too many requests. Please try again in 12 seconds."
    )


def test_an_absurd_wait_makes_the_error_not_retryable_and_says_when_to_come_back() -> None:
    headers = {"retry-after": "300", "x-should-retry": "true"}
    error = raised(lambda: call(lambda _: httpx2.Response(503, headers=headers)))
    assert not error.retryable
    assert error.retry_after_s == 300.0
    assert "about 5 minutes" in error.user_message


def test_headers_inside_an_error_event_are_read() -> None:
    body = {"error": {"code": "rate_limit_exceeded", "headers": {"Retry-After-Ms": "250"}}}
    content = f"data: {json.dumps(body)}\n\n"
    headers = {"content-type": "text/event-stream"}
    answer = httpx2.Response(200, text=content, headers=headers)
    error = raised(lambda: call(lambda _: answer, stream=True))
    assert error.retry_after_s == 0.25


def test_no_secret_gets_out_of_an_error_or_of_what_lies_under_it() -> None:
    body = {"error": {"message": f"Incorrect API key provided: {KEY}", "code": "invalid_api_key"}}
    error = raised(lambda: call(lambda _: httpx2.Response(401, json=body)))
    printed = "".join(traceback.format_exception(error))
    texts = [printed, repr(error), str(error), error.user_message, error.technical_message]
    texts += [repr(error.body), repr(error.args), repr(ErrorClassifier().classify(error))]
    assert all(KEY not in text for text in texts)
    assert KEY.encode() not in pickle.dumps(error)
    assert "Incorrect API key" in printed


@pytest.mark.parametrize(
    "exc", [make(openai.APITimeoutError), httpx2.ReadTimeout("slow")], ids=["sdk", "http"]
)
def test_notes_of_a_retry_loop_below_are_kept(exc: Exception) -> None:
    assert not hasattr(translate(exc), "__notes__")
    exc.add_note("Not tried again.")
    error = translate(exc)
    assert error is not None
    assert error.__notes__ == ["Not tried again."]
    error.add_note("only on the new one")
    assert exc.__notes__ == ["Not tried again."]


def test_what_the_sdk_hung_on_its_error_stays_on_it() -> None:
    exc = make(openai.LengthFinishReasonError)
    vars(exc)["completion"] = "the cut answer"
    error = translate(exc)
    assert isinstance(error, errors.OutputTruncatedError)
    assert str(error.completion) == "the cut answer"


def test_langchain_can_read_the_response_of_an_error() -> None:
    answered = raised(lambda: call(lambda _: httpx2.Response(500, json={"a": 1})))
    silent = errors.ConnectionFailedError("no answer")
    [generation] = _generate_response_from_error(answered)
    assert generation.message.response_metadata["status_code"] == 500
    assert generation.message.response_metadata["body"] == {"a": 1}
    assert len(_generate_response_from_error(silent)) == 1


def test_an_error_of_a_subclass_from_elsewhere_keeps_the_sdk_class() -> None:
    class Elsewhere(openai.RateLimitError):
        pass

    response = httpx2.Response(429, request=REQUEST)
    error = translate(Elsewhere("slow", response=response, body=None))
    assert type(error) is errors.RateLimitError


def test_a_chain_of_causes_without_end_is_walked_only_so_far() -> None:
    first, second = httpx2.ReadError(f"Bearer {KEY}"), httpx2.ReadError("b")
    first.__cause__, second.__cause__ = second, first
    with pytest.raises(errors.ConnectionFailedError) as caught, translating():
        raise first
    assert KEY not in repr(caught.value.__cause__)


def test_the_tables_name_only_classes_that_exist() -> None:
    known = {name for cls in SDK_ERRORS for name in class_names(make(cls))}
    named = {name for name in CLASS_KINDS if name.startswith("openai.")}
    assert named <= known
    for lib in ("httpx", "httpx2"):
        for name in (name for name in CLASS_KINDS if name.startswith(f"{lib}.")):
            cls_name = name.partition(".")[2]
            # Classes of the core library below have no twin above.
            assert hasattr(sys.modules[lib], cls_name), name
