"""Input that cannot work: a typed error that names field and remedy, before any byte is sent."""

from __future__ import annotations

import copy
import json
import logging
import pickle
import traceback
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import httpx2
import openai
import pydantic
import pytest
from langchain_core.load import dumpd, dumps
from langchain_openai import ChatOpenAI
from mock_api import ALL_WAYS, STREAM_WAYS, Json, MockAPI, Way

from langchain_tamma_openai import ChatTammaOpenAI, TammaError
from langchain_tamma_openai.errors import (
    ConfigurationError,
    InvalidParameterError,
    InvalidToolError,
    UnknownParameterError,
)

KEY = "sk-proj-abcdefghijklmnopqrstuvwxyz0123456789"
NAN = float("nan")

ways = pytest.mark.parametrize("way", ALL_WAYS.values(), ids=ALL_WAYS)
Words: TypeAlias = Sequence[str]


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "OPENAI_API_BASE", "LANGSMITH_GATEWAY"):
        monkeypatch.delenv(name, raising=False)


def cyclic() -> Json:
    value: Json = {}
    value["self"] = value
    return value


# --- the constructor ---

CONSTRUCTOR: dict[str, tuple[Json, type[TammaError], Words]] = {
    "missing key": (
        {"api_key": None},
        ConfigurationError,
        ["api_key: missing", "OPENAI_API_KEY"],
    ),
    "empty key": ({"api_key": ""}, ConfigurationError, ["api_key", "blank"]),
    "blank key": ({"api_key": " \t"}, ConfigurationError, ["api_key", "blank"]),
    "key with line end": ({"api_key": KEY + "\n"}, ConfigurationError, ["api_key", "line break"]),
    "key with line break": ({"api_key": f"{KEY}\n{KEY}"}, ConfigurationError, ["line break"]),
    "key with accents": ({"api_key": KEY + "é"}, ConfigurationError, ["non-ASCII"]),
    "URL without scheme": (
        {"base_url": "localhost:8000/v1"},
        ConfigurationError,
        ["base_url", "'localhost:8000/v1'", "http://"],
    ),
    "URL with another scheme": ({"base_url": "ftp://x/v1"}, ConfigurationError, ["base_url"]),
    "URL without host": ({"base_url": "http:///v1"}, ConfigurationError, ["has no host"]),
    "URL with bad port": ({"base_url": "http://x:123456"}, ConfigurationError, ["port"]),
    "URL with a password and a space": (
        {"base_url": f"https://me:{KEY}@x y/v1"},
        ConfigurationError,
        ["base_url", "whitespace"],
    ),
    "negative timeout": ({"timeout": -1}, ConfigurationError, ["timeout: got -1", "timeout=60"]),
    "zero timeout": ({"timeout": 0}, ConfigurationError, ["timeout: got 0"]),
    "NaN timeout": ({"timeout": NAN}, ConfigurationError, ["timeout: got nan"]),
    "infinite timeout": ({"timeout": float("inf")}, ConfigurationError, ["timeout: got inf"]),
    "text timeout": ({"timeout": "10"}, ConfigurationError, ["timeout: got '10'"]),
    "negative part": ({"timeout": (5, -1)}, ConfigurationError, ["timeout: got (5"]),
    "too many parts": ({"timeout": (1, 2, 3, 4, 5)}, ConfigurationError, ["timeout"]),
    "no parts": ({"timeout": ()}, ConfigurationError, ["timeout: got ()"]),
    "NaN in a timeout object": (
        {"timeout": openai.Timeout(5, read=NAN)},
        ConfigurationError,
        ["timeout"],
    ),
    "negative retries": ({"max_retries": -1}, ConfigurationError, ["max_retries: got -1"]),
    "n=0": ({"n": 0}, InvalidParameterError, ["n: got 0", "at least 1"]),
    "n=-1": ({"n": -1}, InvalidParameterError, ["n: got -1"]),
    "n=2 streaming": (
        {"n": 2, "streaming": True},
        InvalidParameterError,
        ["n: got 2", "streaming=False"],
    ),
    "price without output": (
        {"price_overrides": {"m": {"input_usd_per_mtok": "1"}}},
        ConfigurationError,
        ["price_overrides['m']", "output_usd_per_mtok"],
    ),
    "price that is no number": (
        {"price_overrides": {"m": {"input_usd_per_mtok": "x", "output_usd_per_mtok": 1}}},
        ConfigurationError,
        ["price_overrides['m']"],
    ),
    "model that is not allowed": (
        {"allowed_models": ["gpt-5.4"]},
        InvalidParameterError,
        ["'gpt-6-luna'", "allowed_models", "gpt-5.4"],
    ),
    "proxy beside a client": (
        {"openai_proxy": "http://x:1", "http_client": httpx2.Client()},
        ConfigurationError,
        ["openai_proxy", "http_client"],
    ),
}


@pytest.mark.parametrize("name", CONSTRUCTOR)
def test_constructor_refuses(name: str) -> None:
    fields, kind, words = CONSTRUCTOR[name]
    with pytest.raises(kind) as caught:
        ChatTammaOpenAI(**{"model": "gpt-6-luna", "api_key": "sk-test", **fields})
    assert isinstance(caught.value, ValueError)
    assert isinstance(caught.value, openai.OpenAIError)
    assert all(word in str(caught.value) for word in words), str(caught.value)
    assert_secretless(caught.value)


PEER_RAISES = ["n=0", "n=-1", "n=2 streaming", "negative retries", "missing key", "empty key"]


@pytest.mark.parametrize("name", PEER_RAISES)
def test_constructor_refuses_with_an_error_that_catches_as_before(name: str) -> None:
    fields = {"model": "gpt-6-luna", "api_key": "sk-test", **CONSTRUCTOR[name][0]}
    with pytest.raises((ValueError, openai.OpenAIError)) as theirs:
        ChatOpenAI(**fields)
    with pytest.raises((ValueError, openai.OpenAIError)) as ours:
        ChatTammaOpenAI(**fields)
    kept = [kind for kind in (ValueError, openai.OpenAIError) if isinstance(theirs.value, kind)]
    assert all(isinstance(ours.value, kind) for kind in kept)


@pytest.mark.parametrize(
    "fields",
    [
        {"temperature": "hot"},
        {"max_retries": 1.5},
        {"api_key": 5},
        {"default_headers": {"X": 5}},
        {"model": None},
    ],
)
def test_values_of_the_wrong_type_are_told_without_showing_them(fields: Json) -> None:
    with pytest.raises(pydantic.ValidationError) as caught:
        ChatTammaOpenAI(**{"model": "gpt-6-luna", "api_key": KEY, **fields})
    (field,) = fields
    assert field in str(caught.value)
    assert_secretless(caught.value)


# --- calls ---

TOOL: Json = {
    "type": "function",
    "function": {"name": "f", "parameters": {"type": "object", "properties": {"x": object()}}},
}
PLAIN_TOOL: Json = {"type": "function", "function": {"name": "f", "parameters": {}}}
CALLS: dict[str, tuple[Json, Json, type[TammaError], Words]] = {
    "n=0": ({}, {"n": 0}, InvalidParameterError, ["n: got 0"]),
    "n as text": ({}, {"n": "2"}, InvalidParameterError, ["n: got '2'", "whole number"]),
    "tool that is no JSON": ({}, {"tools": [TOOL]}, InvalidParameterError, ["tools", "JSON"]),
    "NaN": ({}, {"temperature": NAN}, InvalidParameterError, ["temperature", "finite"]),
    "lone surrogate": ({}, {"user": "\ud800"}, InvalidParameterError, ["user"]),
    "cycle": (
        {},
        {"prediction": cyclic()},
        InvalidParameterError,
        ["prediction"],
    ),
    "bytes": ({"model_kwargs": {"user": b"x"}}, {}, InvalidParameterError, ["user"]),
    "extra body": ({"extra_body": {"a": {1, 2}}}, {}, InvalidParameterError, ["extra_body"]),
    "header": ({}, {"extra_headers": {"X": 5}}, InvalidParameterError, ["extra_headers"]),
    "unknown argument": ({}, {"temprature": 1}, UnknownParameterError, ["temprature", "spelling"]),
    "unknown model argument": (
        {"model_kwargs": {"foo": 1}},
        {},
        UnknownParameterError,
        ["foo", "extra_body"],
    ),
    "response format": (
        {},
        {"response_format": 5},
        InvalidParameterError,
        ["response_format", "dict"],
    ),
    "negative timeout": ({}, {"timeout": -1}, ConfigurationError, ["timeout: got -1"]),
    "NaN timeout": ({}, {"timeout": NAN}, ConfigurationError, ["timeout: got nan"]),
    "model that is not allowed": (
        {"allowed_models": ["gpt-6-luna"]},
        {"model": "gpt-5.4"},
        InvalidParameterError,
        ["'gpt-5.4'", "allowed_models"],
    ),
    "key function without a key": (
        {"api_key": lambda: None},
        {},
        ConfigurationError,
        ["api_key", "NoneType", "text"],
    ),
    "key function with a blank key": (
        {"api_key": lambda: ""},
        {},
        ConfigurationError,
        ["api_key", "blank"],
    ),
    "key function with a line break": (
        {"api_key": lambda: KEY + "\n"},
        {},
        ConfigurationError,
        ["api_key", "line break"],
    ),
}


@ways
@pytest.mark.parametrize("name", CALLS)
def test_call_refuses(name: str, way: Way) -> None:
    fields, kwargs, kind, words = CALLS[name]
    api = MockAPI()
    model: Any = api.tamma(use_responses_api=False, **fields)
    with pytest.raises(kind) as caught:
        way(model.bind(**kwargs), "Hi")
    assert isinstance(caught.value, ValueError)
    assert all(word in str(caught.value) for word in words), str(caught.value)
    assert api.requests == []
    assert_secretless(caught.value)


@ways
def test_unknown_argument_is_a_type_error_as_with_chat_openai(way: Way) -> None:
    with pytest.raises(TypeError) as caught:
        way(MockAPI().tamma(), "Hi", temprature=1)
    assert isinstance(caught.value, TammaError)


@ways
def test_empty_conversation_is_refused(way: Way) -> None:
    api = MockAPI()
    with pytest.raises(InvalidParameterError, match="messages: the list is empty"):
        way(api.tamma(), [])
    assert api.requests == []


@pytest.mark.parametrize("way", STREAM_WAYS.values(), ids=STREAM_WAYS)
@pytest.mark.parametrize("given", ["constructor", "call", "bind"])
def test_several_answers_cannot_be_streamed(way: Way, given: str) -> None:
    api = MockAPI()
    model: Any = api.tamma(**({"n": 2} if given == "constructor" else {}))
    bound = model.bind(n=2) if given == "bind" else model
    with pytest.raises(InvalidParameterError, match="n must be 1 when streaming"):
        way(bound, "Hi", **({"n": 2} if given == "call" else {}))
    assert api.requests == []


@pytest.mark.parametrize(
    ("tools", "options", "words"),
    [
        ([PLAIN_TOOL], {"tool_choice": "g"}, ["tool_choice", "'g'", "f"]),
        ([PLAIN_TOOL], {"tool_choice": 5}, ["tool_choice"]),
        ([5], {}, ["tools[0]", "int"]),
        (
            [{"type": "function", "function": {"name": "f", "parameters": {"type": "array"}}}],
            {},
            ["tools[0] (f)", "'object'", "'array'"],
        ),
        (
            [{"type": "function", "function": {"name": "f", "parameters": "none"}}],
            {},
            ["tools[0]"],
        ),
    ],
)
def test_tools_that_cannot_be_sent_are_refused(tools: Any, options: Json, words: Words) -> None:
    with pytest.raises(InvalidToolError) as caught:
        MockAPI().tamma().bind_tools(tools, **options)
    assert isinstance(caught.value, ValueError)
    assert all(word in str(caught.value) for word in words), str(caught.value)


async def async_key() -> str:
    return KEY


@pytest.mark.parametrize("how", ["invoke", "batch", "stream"])
def test_async_key_function_is_refused_in_sync_calls(how: str) -> None:
    api = MockAPI()
    with pytest.raises(ConfigurationError, match="use ainvoke") as caught:
        ALL_WAYS[how](api.tamma(api_key=async_key), "Hi")
    assert isinstance(caught.value, ValueError)
    assert api.requests == []


@pytest.mark.parametrize("field", ["client", "root_client"])
def test_client_that_is_none_is_named(field: str) -> None:
    with pytest.raises(ConfigurationError, match="no client of the OpenAI SDK"):
        MockAPI().tamma(**{field: object()}).invoke("Hi")


# --- nothing secret is shown anywhere ---


def assert_secretless(error: BaseException) -> None:
    text = "".join(traceback.format_exception(error))
    shown = [text.split('File "')[0], str(error), repr(error), repr(vars(error))]
    assert all(KEY not in part and KEY[8:] not in part for part in shown)


SECRETIVE: Json = {
    "api_key": KEY,
    "default_headers": {"Authorization": f"Bearer {KEY}", "X-Api-Key": KEY, "X-Team": "blue"},
    "default_query": {"api-key": KEY},
    "admin_api_key": KEY,
    "webhook_secret": KEY,
    "base_url": f"https://me:{KEY}@proxy.example/v1",
}
SHOWN: dict[str, Callable[[Any], str]] = {
    "repr": repr,
    "str": str,
    "pickle": lambda model: repr(pickle.dumps(model)),
    "lc_secrets": lambda model: json.dumps(model.lc_secrets),
    "identifying parameters": lambda model: repr(model._identifying_params),
    "tracing parameters": lambda model: repr(model._get_ls_params()),
    "cache key": lambda model: model._get_llm_string(),
    "dict": lambda model: repr(model.asdict()),
}


@pytest.mark.parametrize("name", SHOWN)
def test_model_shows_no_key(name: str) -> None:
    plain = ChatTammaOpenAI(model="gpt-6-luna", api_key=KEY, admin_api_key=KEY)
    assert KEY not in SHOWN[name](plain)


@pytest.mark.parametrize("name", ["repr", "str"])
def test_printed_model_masks_secrets_wherever_they_are(name: str) -> None:
    shown = SHOWN[name](ChatTammaOpenAI(model="gpt-6-luna", **SECRETIVE))
    assert KEY not in shown
    assert "X-Team" in shown
    assert "blue" in shown


def test_serialised_model_holds_no_key() -> None:
    model = ChatTammaOpenAI(model="gpt-6-luna", api_key=KEY, admin_api_key=KEY)
    assert KEY not in dumps(model)
    assert dumpd(model)["kwargs"]["openai_api_key"] == {
        "lc": 1,
        "type": "secret",
        "id": ["OPENAI_API_KEY"],
    }
    assert KEY not in repr(model.model_dump())
    assert KEY not in model.model_dump_json()


def failing(status: int) -> httpx2.Response:
    message = f"Incorrect API key provided: {KEY}."
    error = {"message": message, "type": "invalid_request_error", "code": "invalid_api_key"}
    return httpx2.Response(status, json={"error": error}, headers={"x-echo": f"Bearer {KEY}"})


@ways
@pytest.mark.parametrize("reply", [failing(401), httpx2.ConnectError(f"no route, key {KEY}")])
def test_errors_and_logs_hold_no_key(
    way: Way, reply: httpx2.Response | Exception, caplog: pytest.LogCaptureFixture
) -> None:
    api = MockAPI(lambda _body: copy.copy(reply) if isinstance(reply, Exception) else failing(401))
    with caplog.at_level(logging.DEBUG), pytest.raises(TammaError) as caught:
        way(api.tamma(api_key=KEY), "Hi")
    for text in (str(caught.value), repr(caught.value), caught.value.user_message):
        assert KEY not in text
    assert KEY not in "".join(traceback.format_exception(caught.value))
    ours = [record for record in caplog.records if record.name.startswith("langchain_tamma")]
    assert all(KEY not in record.getMessage() for record in ours)
    assert len(api.requests) == 1
    assert api.requests[0].headers["authorization"] == f"Bearer {KEY}"


async def test_traces_hold_no_key() -> None:
    model = MockAPI().tamma(api_key=KEY)
    events = [event async for event in model.astream_events("Hi", version="v2")]
    assert events
    assert KEY not in repr(events)
