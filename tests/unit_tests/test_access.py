"""Asking the API about a key and a model: what is sent, what comes back, which errors rise."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Callable
from datetime import date
from typing import Any

import httpx2
import openai
import pytest

from langchain_tamma_openai.access import (
    AuthenticationCheck,
    ModelCheck,
    acheck_authentication,
    acheck_model,
    check_authentication,
    check_model,
    check_model_allowed,
)
from langchain_tamma_openai.errors import (
    AuthenticationError,
    ConnectionFailedError,
    InvalidParameterError,
    MalformedResponseError,
    NotFoundError,
    PermissionDeniedError,
    RequestTimeoutError,
    ServerError,
    TammaError,
)

KEY = "sk-proj-" + "Ab3_" * 30
OFFICIAL = "https://api.openai.com/v1"
CUSTOM = "http://user:pass@vllm.local:8000/v1"
Handler = Callable[[httpx2.Request], httpx2.Response]
Check = AuthenticationCheck | ModelCheck
LIST = {
    "object": "list",
    "data": [
        {"id": "gpt-4o", "object": "model", "created": 1, "owned_by": "system"},
        {"id": "Qwen/Qwen3-8B", "object": "model", "created": 1, "owned_by": "vllm"},
    ],
}


class Asker:
    """Asks the same question through the sync or the async client."""

    def __init__(self, colour: str, handler: Handler, base_url: str = OFFICIAL, key: Any = KEY):
        self.sent: list[httpx2.Request] = []
        self.colour = colour
        self._handler = handler
        self._base_url = base_url
        self._key = key

    def __call__(self, *args: Any) -> Any:
        if self.colour == "async":
            return asyncio.run(self._ask_async(*args))
        transport = httpx2.MockTransport(self._record)
        with httpx2.Client(transport=transport) as http:
            client = openai.OpenAI(
                api_key=self._key, base_url=self._base_url, http_client=http, max_retries=0
            )
            return check_model(client, *args) if args else check_authentication(client)

    async def _ask_async(self, *args: Any) -> Any:
        transport = httpx2.MockTransport(self._record)
        async with httpx2.AsyncClient(transport=transport) as http:
            client = openai.AsyncOpenAI(
                api_key=self._key, base_url=self._base_url, http_client=http, max_retries=0
            )
            if args:
                return await acheck_model(client, *args)
            return await acheck_authentication(client)

    def _record(self, request: httpx2.Request) -> httpx2.Response:
        self.sent.append(request)
        return self._handler(request)


@pytest.fixture(autouse=True)
def _no_organization(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_ORG_ID", raising=False)


@pytest.fixture(params=["sync", "async"])
def colour(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def answer(status: int = 200, json: Any = None, **headers: str) -> Handler:
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda _request: httpx2.Response(status, json=json, headers=names)


def failure(
    status: int, code: str | None, message: str, kind: str = "invalid_request_error"
) -> Handler:
    body = {"error": {"message": message, "type": kind, "param": None, "code": code}}
    return answer(status, body, x_request_id="req_1")


def test_a_working_key(colour: str) -> None:
    ask = Asker(colour, answer(json=LIST, openai_organization="org-1", x_request_id="req_1"))
    check = ask()
    assert isinstance(check, AuthenticationCheck)
    assert check.latency_ms >= 0
    assert dataclasses.replace(check, latency_ms=0) == AuthenticationCheck(
        ok=True,
        base_url=OFFICIAL + "/",
        key_hash="1c9bbf2d",
        organization="org-1",
        models=2,
        latency_ms=0,
        request_id="req_1",
        finding=None,
    )
    (request,) = ask.sent
    assert (request.method, str(request.url)) == ("GET", OFFICIAL + "/models")
    assert request.headers["authorization"] == f"Bearer {KEY}"
    assert KEY not in repr(check)


def test_a_key_from_a_callable_and_an_odd_server(colour: str) -> None:
    async def make_async() -> str:
        return KEY

    key = make_async if colour == "async" else lambda: KEY
    check = Asker(colour, answer(json={"object": "list"}), CUSTOM, key)()
    assert check.models is None
    assert check.organization is None
    assert check.request_id is None
    assert check.key_hash == "1c9bbf2d"
    assert check.base_url == "http://vllm.local:8000/v1/"


def test_a_key_that_works_but_looks_odd(colour: str) -> None:
    assert "does not start like" in Asker(colour, answer(json=LIST), key="foo")().finding
    assert Asker(colour, answer(json=LIST), CUSTOM, key="foo")().finding is None


def test_a_refused_key(colour: str) -> None:
    refuse = failure(401, "invalid_api_key", f"Incorrect API key provided: {KEY}.")
    with pytest.raises(AuthenticationError) as caught:
        Asker(colour, refuse)()
    assert isinstance(caught.value, openai.AuthenticationError)
    assert caught.value.status_code == 401
    assert caught.value.request_id == "req_1"
    assert KEY not in str(caught.value)
    assert not hasattr(caught.value, "__notes__")


def test_a_refused_key_with_an_odd_prefix_says_so(colour: str) -> None:
    with pytest.raises(AuthenticationError) as caught:
        Asker(colour, failure(401, "invalid_api_key", "no"), key="sk-ant-" + "a" * 40)()
    assert "looks like an Anthropic key" in caught.value.__notes__[0]


def test_a_model_that_is_served(colour: str) -> None:
    entry = {"id": "gpt-5.4", "object": "model", "created": 1, "owned_by": "system"}
    ask = Asker(colour, answer(json=entry, x_request_id="req_2"))
    check = ask("gpt-5.4", ["gpt-5.4", "gpt-4o"])
    assert isinstance(check, ModelCheck)
    assert dataclasses.replace(check, latency_ms=0) == ModelCheck(
        model="gpt-5.4",
        available=True,
        known=True,
        owned_by="system",
        shutdown_date=None,
        successor=None,
        latency_ms=0,
        request_id="req_2",
    )
    assert str(ask.sent[0].url) == OFFICIAL + "/models/gpt-5.4"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("2027-05-01", date(2027, 5, 1)),
        ("2027-05-01T00:00:00Z", date(2027, 5, 1)),
        (1_798_761_600, date(2027, 1, 1)),
        ("soon", None),
        (10**30, None),
        (None, None),
        ([], None),
    ],
)
def test_an_announced_end(colour: str, value: Any, expected: date | None) -> None:
    entry = {"id": "my-model", "owned_by": 5, "shutdown_date": value}
    check = Asker(colour, answer(json=entry))("my-model")
    assert check.shutdown_date == expected
    assert check.owned_by is None
    assert not check.known


def test_an_end_and_a_successor_that_only_the_catalogue_knows(colour: str) -> None:
    check = Asker(colour, answer(json={"id": "gpt-4o"}))("gpt-4o")
    assert check.shutdown_date == date(2027, 1, 14)
    assert check.successor


def test_an_unknown_model_of_openai(colour: str) -> None:
    ask = Asker(colour, failure(404, "model_not_found", "The model `nope` does not exist"))
    with pytest.raises(NotFoundError) as caught:
        ask("nope")
    assert isinstance(caught.value, openai.NotFoundError)
    assert caught.value.code == "model_not_found"
    assert len(ask.sent) == 1


def test_a_server_that_only_lists_its_models(colour: str) -> None:
    def handler(request: httpx2.Request) -> httpx2.Response:
        if request.url.path.endswith("/models"):
            return httpx2.Response(200, json=LIST)
        return httpx2.Response(404, json={"detail": "Not Found"})

    ask = Asker(colour, handler, CUSTOM)
    assert ask("Qwen/Qwen3-8B").owned_by == "vllm"
    assert len(ask.sent) == 2
    with pytest.raises(NotFoundError) as caught:
        ask("llama")
    assert "it serves Qwen/Qwen3-8B, gpt-4o" in str(caught.value)
    assert isinstance(caught.value, openai.NotFoundError)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ([], "it serves no model"),
        ([{"id": f"m{n}"} for n in range(20)], "m0, m1, m10"),
        ([5], "no"),
    ],
)
def test_long_and_empty_lists_are_shown_short(colour: str, data: list[Any], words: str) -> None:
    with pytest.raises(NotFoundError, match=words) as caught:
        Asker(colour, answer(json={"data": data}), CUSTOM)("llama")
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize(
    ("handler", "error"),
    [
        (failure(403, "model_not_found", "Project does not have access"), PermissionDeniedError),
        (failure(500, None, "The server had an error", "server_error"), ServerError),
        (answer(200, {"error": {"message": "no", "type": "server_error"}}), TammaError),
        (answer(200, ["not", "an", "object"]), MalformedResponseError),
        (lambda _: httpx2.Response(200, html="<html>login</html>"), MalformedResponseError),
    ],
)
def test_other_failures_are_typed(colour: str, handler: Handler, error: type[TammaError]) -> None:
    for args in ((), ("gpt-4o",)):
        with pytest.raises(error):
            Asker(colour, handler)(*args)


@pytest.mark.parametrize(
    ("raised", "error"),
    [
        (httpx2.ConnectError("no route"), ConnectionFailedError),
        (httpx2.ReadTimeout("slow"), RequestTimeoutError),
    ],
)
def test_transport_failures_are_typed(
    colour: str, raised: Exception, error: type[TammaError]
) -> None:
    def handler(_request: httpx2.Request) -> httpx2.Response:
        raise raised

    for args in ((), ("gpt-4o",)):
        with pytest.raises(error):
            Asker(colour, handler)(*args)


def test_a_model_that_is_not_allowed_sends_nothing(colour: str) -> None:
    ask = Asker(colour, answer(json={"id": "gpt-5"}))
    for model, allowed in (("gpt-5", ["gpt-4o", "o3"]), ("gpt-5", []), ("", None), (" ", None)):
        with pytest.raises(InvalidParameterError):
            ask(model, allowed)
    assert ask.sent == []


def test_the_refusal_names_the_allowed_models() -> None:
    with pytest.raises(InvalidParameterError) as caught:
        check_model_allowed("gpt-5", ["gpt-4o", "o3"], field="model_name")
    assert str(caught.value).startswith(
        "model_name: got 'gpt-5', which is not in allowed_models (gpt-4o, o3); "
        "choose one of them, or add it there"
    )
    assert caught.value.code == "model_not_allowed"
    assert isinstance(caught.value, ValueError)


def test_allowed_models_are_compared_exactly() -> None:
    check_model_allowed("gpt-4o", ("gpt-4o",))
    check_model_allowed("anything")
    with pytest.raises(InvalidParameterError):
        check_model_allowed("gpt-4o-2024-08-06", ("gpt-4o",))
