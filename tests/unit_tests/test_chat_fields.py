"""Constructor, environment, payload and request: beside `ChatOpenAI`, down to the HTTP request."""

from __future__ import annotations

import copy
import json
import logging
import os
import pickle
from typing import Any

import httpx2
import openai
import pytest
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.load import dumpd, dumps, load
from langchain_core.messages import BaseMessage, HumanMessage, SystemMessage
from langchain_core.outputs import LLMResult
from langchain_openai import ChatOpenAI
from mock_api import (
    ALL_WAYS,
    STREAM_WAYS,
    Json,
    MockAPI,
    Way,
    completion,
    sse,
    stream_reply,
    text_events,
)
from peer import pair

from langchain_tamma_openai import ChatTammaOpenAI, TammaOpenAIConfig
from langchain_tamma_openai.errors import InvalidParameterError, NotFoundError
from langchain_tamma_openai.transport.clients import SdkClients

MODELS: tuple[Any, Any] = (ChatOpenAI, ChatTammaOpenAI)
CLIENTS = ("client", "async_client", "root_client", "root_async_client")
OUR_OWN = {
    "background",
    "conversation",
    "max_tool_calls",
    "prompt_cache_key",
    "safety_identifier",
    *("admin_api_key", "allowed_models", "background_timeout_s", "data_residency"),
    *("openai_project", "price_overrides", "provider", "retry", "webhook_secret"),
    *("websocket_base_url", "workload_identity"),
    *("circuit_breaker", "fallback_models", "quota_memory", "stream_recovery", "total_timeout_s"),
    *("budget", "usage_tracker", "adaptive", "history_policy", "parameter_policy"),
    *("prompt_registry", "prompt_variables", "system_prompt", "system_prompt_rule"),
    "tool_argument_policy",
}

all_ways = pytest.mark.parametrize("way", ALL_WAYS.values(), ids=ALL_WAYS)


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith(("OPENAI_", "LANGSMITH_", "LANGCHAIN_", "LC_")):
            monkeypatch.delenv(name)


def build(model_class: Any, **fields: Any) -> Any:
    return model_class(**{"model": "gpt-4o", "api_key": "sk-test", **copy.deepcopy(fields)})


# --- fields ---


@pytest.mark.parametrize("name", ChatOpenAI.model_fields)
def test_every_field_of_chat_openai_is_here(name: str) -> None:
    theirs, ours = ChatOpenAI.model_fields[name], ChatTammaOpenAI.model_fields[name]
    assert ours.alias == theirs.alias
    assert ours.exclude == theirs.exclude
    if name != "model_name":  # the peer's default model has been shut down
        assert ours.get_default(call_default_factory=True) == theirs.get_default(
            call_default_factory=True
        )


def test_fields_beyond_chat_openai_are_the_documented_ones() -> None:
    assert set(ChatTammaOpenAI.model_fields) - set(ChatOpenAI.model_fields) == OUR_OWN


def test_built_models_hold_the_same_values() -> None:
    theirs, ours = (build(model_class) for model_class in MODELS)
    for name in sorted(set(ChatOpenAI.model_fields) - {*CLIENTS, "metadata", "profile"}):
        assert getattr(ours, name) == getattr(theirs, name), name


FIELDS: list[Json] = [
    {},
    {"temperature": 0.3},
    {"temperature": 0},
    {"max_tokens": 5},
    {"max_completion_tokens": 5},
    {"model_kwargs": {"max_tokens": 7}},
    {"model_kwargs": {"user": "u"}},
    {"model_kwargs": {"extra_headers": {"X": "1"}}},
    {"stop": ["a"]},
    {"stop": "a"},
    {"stop_sequences": ["a"]},
    {"stop": []},
    {"n": 2},
    {"logit_bias": {1: 2}},
    {"logprobs": True, "top_logprobs": 2},
    {"logprobs": False, "store": False, "seed": 0},
    {"top_p": 0.1, "presence_penalty": 0.1, "frequency_penalty": 0.2},
    {"reasoning_effort": "low", "verbosity": "low"},
    {"service_tier": "flex", "store": True},
    {"prompt_cache_options": {"mode": "explicit"}},
    {"extra_body": {"a": 1}},
    {"streaming": True},
    {"disabled_params": {"parallel_tool_calls": None}},
    {"model": "gpt-5", "temperature": 0.2},
    {"model": "gpt-5", "temperature": 0.2, "reasoning_effort": "none"},
    {"model": "gpt-5", "temperature": 0.2, "reasoning": None},
    {"model": "gpt-5", "temperature": 1},
    {"model": "gpt-5-chat", "temperature": 0.2},
    {"model": "o1"},
    {"model": "o1", "temperature": 0.5},
    {"model": "o3", "temperature": 0.2},
    {"model": "o4-mini-2025-04-16"},
    {"model": "gpt-4o", "use_responses_api": False, "tags": ["a"]},
    {"user": "u1", "prediction": {"type": "content", "content": "x"}},
]
KWARGS: list[Json] = [
    {},
    {"stop": ["z"]},
    {"max_tokens": 9},
    {"max_completion_tokens": 8},
    {"temperature": 0.9, "seed": 3},
    {"model": "o3"},
    {"n": 3},
    {"tools": [{"type": "function", "function": {"name": "f", "parameters": {}}}]},
    {"stream": True},
    {"extra_body": {"b": 2}, "extra_headers": {"A": "b"}, "timeout": 5},
    {"response_format": {"type": "json_object"}},
]
MESSAGES: list[BaseMessage] = [SystemMessage("Be brief."), HumanMessage("Hi")]


@pytest.mark.filterwarnings("ignore:OpenAI shut:UserWarning")
@pytest.mark.filterwarnings("ignore:WARNING! (user|prediction):UserWarning")
@pytest.mark.filterwarnings("ignore:Parameters .*explicitly:UserWarning")
@pytest.mark.parametrize("fields", FIELDS, ids=repr)
def test_payloads_and_parameters_are_those_of_chat_openai(fields: Json) -> None:
    theirs, ours = (build(model_class, **fields) for model_class in MODELS)
    for kwargs in KWARGS:
        payload = ours._get_request_payload(MESSAGES, **copy.deepcopy(kwargs))
        assert payload == theirs._get_request_payload(MESSAGES, **copy.deepcopy(kwargs))
        ours_invoked = ours._get_invocation_params(**kwargs)
        assert ours_invoked == theirs._get_invocation_params(**kwargs)
    assert ours._identifying_params == theirs._identifying_params
    assert ours._default_params == theirs._default_params
    assert ours._llm_type == theirs._llm_type
    assert ours.lc_attributes == theirs.lc_attributes


@pytest.mark.parametrize("stop", [None, ["y"]])
@pytest.mark.parametrize("fields", [{}, {"temperature": 0.5, "max_tokens": 3}, {"stop": ["a"]}])
def test_tracing_parameters_are_those_of_chat_openai(fields: Json, stop: list[str] | None) -> None:
    theirs, ours = (build(model_class, **fields) for model_class in MODELS)
    for kwargs in ({}, {"temperature": 1}, {"max_tokens": 9}, {"model": "gpt-5.4"}):
        assert ours._get_ls_params(stop, **kwargs) == theirs._get_ls_params(stop, **kwargs)
    assert ours._get_ls_params()["ls_provider"] == "openai"


def test_tracing_parameters_follow_the_call() -> None:
    model = build(ChatTammaOpenAI, max_tokens=5, stop="a")
    assert model._get_ls_params(max_completion_tokens=8)["ls_max_tokens"] == 8
    assert model._get_ls_params()["ls_stop"] == ["a"]


def test_secrets_of_mcp_tools_stay_out_of_traces() -> None:
    tool = {"type": "mcp", "server_label": "x", "headers": {"k": "s3cret"}, "authorization": "s3c"}
    theirs, ours = (
        build(model_class)._get_invocation_params(tools=[tool, "x"]) for model_class in MODELS
    )
    assert ours == theirs
    assert "s3c" not in repr(ours)


def test_system_messages_of_o_models_go_to_the_developer_role() -> None:
    api = MockAPI()
    for model in pair(api, model="o3"):
        model.invoke(MESSAGES)
    theirs, ours = api.bodies
    assert ours == theirs
    assert ours["messages"][0]["role"] == "developer"


def test_dropped_temperature_is_told(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        assert build(ChatTammaOpenAI, model="gpt-5", temperature=0.2).temperature is None
    assert "temperature=0.2 is not sent" in caplog.text


def test_negative_chunk_timeout_falls_back_as_with_chat_openai(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.WARNING, logger="langchain_tamma_openai"):
        theirs, ours = (build(model_class, stream_chunk_timeout=-1) for model_class in MODELS)
    assert ours.stream_chunk_timeout == theirs.stream_chunk_timeout == 120
    assert "stream_chunk_timeout=-1.0 is negative" in caplog.text
    off = (build(model_class, stream_chunk_timeout=0) for model_class in MODELS)
    assert [model.stream_chunk_timeout for model in off] == [0, 0]


# --- arguments that are no fields ---


@pytest.fixture
def _no_probe(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep ChatOpenAI from trying out socket options, which the missing sockets would warn of."""
    monkeypatch.setenv("LANGCHAIN_OPENAI_TCP_KEEPALIVE", "0")


@pytest.mark.usefixtures("_no_probe")
@pytest.mark.parametrize("model_class", MODELS)
def test_unknown_arguments_move_with_the_same_warning(model_class: Any) -> None:
    with pytest.warns(UserWarning, match="foo is not default parameter") as caught:
        model = build(model_class, foo=1)
    assert model.model_kwargs == {"foo": 1}
    with pytest.warns(UserWarning, match="foo is not default parameter") as theirs:
        build(ChatOpenAI, foo=1)
    normal = [str(item.message).replace("ChatTammaOpenAI", "ChatOpenAI") for item in caught]
    assert normal == [str(item.message) for item in theirs]


@pytest.mark.usefixtures("_no_probe")
@pytest.mark.parametrize("model_class", MODELS)
def test_fields_inside_model_kwargs_become_fields_with_a_warning(model_class: Any) -> None:
    with pytest.warns(UserWarning, match="should be specified explicitly"):
        model = build(model_class, model_kwargs={"temperature": 0.5, "foo": 1})
    assert (model.temperature, model.model_kwargs) == (0.5, {"foo": 1})


@pytest.mark.parametrize("model_class", MODELS)
def test_arguments_given_twice_are_refused(model_class: Any) -> None:
    with pytest.raises(ValueError, match="foo supplied twice"):
        build(model_class, model_kwargs={"foo": 1}, foo=2)


def test_the_callers_dicts_are_not_changed() -> None:
    given = {"temperature": 0.5, "foo": 1}
    with pytest.warns(UserWarning, match="explicitly"):
        ChatTammaOpenAI(model="gpt-4o", api_key="sk-test", model_kwargs=given)
    assert given == {"temperature": 0.5, "foo": 1}


# --- the environment ---

ENVIRONMENTS: dict[str, dict[str, str]] = {
    "nothing": {},
    "base": {"OPENAI_API_BASE": "https://a.example/v1"},
    "the SDK's base": {"OPENAI_BASE_URL": "https://b.example/v1"},
    "both bases": {
        "OPENAI_API_BASE": "https://a.example/v1",
        "OPENAI_BASE_URL": "https://b.example/v1",
    },
    "organization": {"OPENAI_ORG_ID": "org-1"},
    "old organization": {"OPENAI_ORGANIZATION": "org-2"},
    "project": {"OPENAI_PROJECT_ID": "proj-1"},
    "gateway": {"LANGSMITH_GATEWAY": "true", "LANGSMITH_GATEWAY_API_KEY": "lsv2_gateway"},
    "gateway with the LangSmith key": {
        "LANGSMITH_GATEWAY": "true",
        "LANGSMITH_API_KEY": "lsv2_langsmith",
    },
    "own gateway": {"LANGSMITH_GATEWAY": "https://gw.example/", "LANGSMITH_API_KEY": "lsv2_x"},
    "gateway off": {"LANGSMITH_GATEWAY": "false", "LANGSMITH_API_KEY": "lsv2_x"},
    "gateway beside a base": {
        "LANGSMITH_GATEWAY": "true",
        "LANGSMITH_GATEWAY_API_KEY": "lsv2_gateway",
        "OPENAI_API_BASE": "https://a.example/v1",
    },
    "output version": {"LC_OUTPUT_VERSION": "v1"},
    "chunk timeout": {"LANGCHAIN_OPENAI_STREAM_CHUNK_TIMEOUT_S": "7.5"},
    "chunk timeout that is none": {"LANGCHAIN_OPENAI_STREAM_CHUNK_TIMEOUT_S": "soon"},
    "chunk timeout below zero": {"LANGCHAIN_OPENAI_STREAM_CHUNK_TIMEOUT_S": "-5"},
}


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_environment_is_read_as_chat_openai_reads_it(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-environment")
    for variable, value in ENVIRONMENTS[name].items():
        monkeypatch.setenv(variable, value)
    theirs, ours = (model_class(model="gpt-4o") for model_class in MODELS)
    for field in ("openai_api_base", "openai_organization", "output_version"):
        assert getattr(ours, field) == getattr(theirs, field)
    assert ours.stream_chunk_timeout == theirs.stream_chunk_timeout
    assert ours.openai_api_key.get_secret_value() == theirs.openai_api_key.get_secret_value()
    for client in ("base_url", "api_key", "organization", "project"):
        assert getattr(ours.root_client, client) == getattr(theirs.root_client, client)
        assert getattr(ours.root_async_client, client) == getattr(theirs.root_async_client, client)


def test_model_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    assert ChatTammaOpenAI(api_key="sk-test").model_name == "gpt-6-luna"
    monkeypatch.setenv("OPENAI_MODEL", "gpt-5.4")
    assert ChatTammaOpenAI(api_key="sk-test").model == "gpt-5.4"
    assert ChatTammaOpenAI(model="gpt-4o", api_key="sk-test").model_name == "gpt-4o"


def test_proxy_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_PROXY", "http://proxy.example:3128")
    assert build(ChatTammaOpenAI).openai_proxy == "http://proxy.example:3128"


class Ends(BaseCallbackHandler):
    """Keeps what LangChain tells its tracers at the end of a run."""

    def __init__(self) -> None:
        self.info: list[Json] = []

    def on_llm_end(self, response: LLMResult, **_kwargs: Any) -> None:
        self.info.append(response.generations[0][0].generation_info or {})


@all_ways
def test_what_the_gateway_says_reaches_the_tracer(way: Way) -> None:
    header = {"X-LangSmith-Gateway-Metadata": json.dumps({"provider": "openai"})}

    def reply(sent: Json) -> httpx2.Response:
        if sent["stream"]:
            return stream_reply(sse(text_events()), headers=header)
        return httpx2.Response(200, json=completion(), headers=header)

    ends = Ends()
    for model in pair(MockAPI(reply), api_key="lsv2_key", callbacks=[ends]):
        way(model, "Hi")
    theirs, ours = (info.get("lc_gateway_metadata") for info in ends.info)
    assert ours == theirs
    assert ours is not None


# --- what reaches the wire ---


@all_ways
@pytest.mark.parametrize(
    ("timeout", "expected"),
    [
        (None, {"connect": 5.0, "read": 600, "write": 600, "pool": 600}),
        (7, {"connect": 7, "read": 7, "write": 7, "pool": 7}),
        ((2, 30), {"connect": 2, "read": 30, "write": 30, "pool": 2}),
        (openai.Timeout(9, connect=1), {"connect": 1, "read": 9, "write": 9, "pool": 9}),
    ],
)
def test_timeouts_reach_the_request(way: Way, timeout: object, expected: Json) -> None:
    api = MockAPI()
    way(api.tamma(timeout=timeout, stream_chunk_timeout=None), "Hi")
    assert api.requests[0].extensions["timeout"] == expected
    way(api.tamma(timeout=60, stream_chunk_timeout=None), "Hi", timeout=timeout)
    last = api.requests[1].extensions["timeout"]
    assert last == (dict.fromkeys(expected, 60) if timeout is None else expected)


@all_ways
def test_request_is_the_one_of_chat_openai(way: Way) -> None:
    fields: Json = {
        "organization": "org-1",
        "default_headers": {"X-Team": "blue", "X-Both": "model"},
        "default_query": {"api-version": "1"},
        "extra_body": {"top_k": 5},
        "base_url": "https://host.example/openai/v1",
    }
    kwargs: Json = {
        "extra_headers": {"X-Call": "1", "X-Both": "call"},
        "extra_query": {"q": "2"},
        "extra_body": {"min_p": 0.5},
    }
    api = MockAPI()
    for model in pair(api, **fields):
        way(model, "Hi", **kwargs)
    theirs, ours = api.requests
    assert str(ours.url) == str(theirs.url)
    assert json.loads(ours.content) == json.loads(theirs.content)
    names = ("authorization", "openai-organization", "x-team", "x-call", "x-both", "content-type")
    assert {name: ours.headers.get(name) for name in names} == {
        name: theirs.headers.get(name) for name in names
    }
    assert ours.headers["x-both"] == "call"
    assert json.loads(ours.content)["min_p"] == 0.5


def test_project_reaches_the_request() -> None:
    api = MockAPI()
    api.tamma(project="proj-1").invoke("Hi")
    assert api.requests[0].headers["openai-project"] == "proj-1"


ASYNC_WAYS = [ALL_WAYS["ainvoke"], ALL_WAYS["abatch"], STREAM_WAYS["astream"]]


@pytest.mark.parametrize(
    ("kind", "way"),
    [*(("sync", way) for way in ALL_WAYS.values()), *(("async", way) for way in ASYNC_WAYS)],
)
def test_key_functions_are_asked_for_each_request(kind: str, way: Way) -> None:
    keys = iter(["sk-one", "sk-two"])

    def sync_key() -> str:
        return next(keys)

    async def async_key() -> str:
        return next(keys)

    api = MockAPI()
    model = api.tamma(api_key=sync_key if kind == "sync" else async_key)
    for _ in range(2):
        way(model, "Hi")
    sent = [request.headers["authorization"] for request in api.requests]
    assert sent == ["Bearer sk-one", "Bearer sk-two"]


# --- the SDK's clients ---


def test_clients_are_made_when_first_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []
    make_sync = SdkClients._make_sync

    def noting(clients: SdkClients) -> openai.OpenAI:
        made.append("sync")
        return make_sync(clients)

    monkeypatch.setattr(SdkClients, "_make_sync", noting)
    model = MockAPI().tamma()
    assert made == []
    assert type(model.root_client) is openai.OpenAI
    assert type(model.root_async_client) is openai.AsyncOpenAI
    assert model.client is model.root_client.chat.completions
    assert model.async_client is model.root_async_client.chat.completions
    assert made == ["sync"]


def test_clients_work_by_themselves() -> None:
    model = MockAPI().tamma()
    messages = [{"role": "user", "content": "Hi"}]
    answer = model.client.create(model="gpt-4o", messages=messages)
    assert answer.choices[0].message.content == "Hello"
    assert model.root_client.api_key == "sk-test"


@pytest.mark.parametrize("field", ["client", "root_client"])
def test_given_sync_client_is_used(field: str) -> None:
    ours, other = MockAPI(), MockAPI()
    sdk = other.tamma(api_key="sk-given").root_client
    given = sdk.chat.completions if field == "client" else sdk
    model = ours.tamma(**{field: given})
    assert getattr(model, field) is given
    assert model.invoke("Hi").content == "Hello"
    assert [request.headers["authorization"] for request in other.requests] == ["Bearer sk-given"]
    assert ours.requests == []


@pytest.mark.parametrize("field", ["async_client", "root_async_client"])
async def test_given_async_client_is_used(field: str) -> None:
    ours, other = MockAPI(), MockAPI()
    sdk = other.tamma(api_key="sk-given").root_async_client
    given = sdk.chat.completions if field == "async_client" else sdk
    assert (await ours.tamma(**{field: given}).ainvoke("Hi")).content == "Hello"
    assert (len(other.requests), len(ours.requests)) == (1, 0)


# --- identity ---


def test_profile_is_known_for_known_models() -> None:
    theirs, ours = (build(model_class, model="gpt-5.4").profile for model_class in MODELS)
    for name in ("max_input_tokens", "max_output_tokens", "tool_calling", "structured_output"):
        assert ours[name] == theirs[name]


def test_pickle_leaves_the_key_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    model = ChatTammaOpenAI(model="gpt-4o", api_key="sk-secret", temperature=0.5)
    assert model.root_client.api_key == "sk-secret"
    data = pickle.dumps(model)
    assert b"sk-secret" not in data
    monkeypatch.setenv("OPENAI_API_KEY", "sk-there")
    twin = pickle.loads(data)  # noqa: S301 - our own bytes
    assert (twin.temperature, twin.root_client.api_key) == (0.5, "sk-there")
    assert twin._identifying_params == model._identifying_params


def test_copies_work() -> None:
    api = MockAPI()
    model = api.tamma(temperature=0.5)
    for twin in (copy.copy(model), model.model_copy(), model.model_copy(update={"seed": 3})):
        assert twin.invoke("Hi").content == "Hello"
    assert [body.get("seed") for body in api.bodies] == [None, None, 3]
    deep = copy.deepcopy(ChatTammaOpenAI(model="gpt-4o", api_key="sk-test", temperature=0.5))
    assert deep.root_client.api_key == "sk-test"


def test_serialised_model_is_loaded_again() -> None:
    model = ChatTammaOpenAI(model="gpt-4o", api_key="sk-test", temperature=0.5, max_tokens=7)
    assert dumpd(model)["id"] == ["langchain_tamma_openai", "chat_models", "ChatTammaOpenAI"]
    twin = load(
        json.loads(dumps(model)),
        secrets_map={"OPENAI_API_KEY": "sk-there"},
        valid_namespaces=["langchain_tamma_openai"],
        allowed_objects="all",
    )
    assert type(twin) is ChatTammaOpenAI
    assert twin.root_client.api_key == "sk-there"
    assert twin._identifying_params == model._identifying_params


def test_model_from_a_configuration() -> None:
    config = TammaOpenAIConfig(
        api_key="sk-test",
        base_url="https://host.example/v1",
        default_model="gpt-4.1",
        allowed_models=["gpt-4.1", "gpt-4o"],
        max_retries=4,
        timeout=30,
    )
    model = ChatTammaOpenAI.from_config(config, temperature=0.5)
    assert (model.model_name, model.max_retries, model.temperature) == ("gpt-4.1", 4, 0.5)
    assert str(model.root_client.base_url) == "https://host.example/v1/"
    assert ChatTammaOpenAI.from_config(config, model="gpt-4o").model_name == "gpt-4o"
    with pytest.raises(InvalidParameterError, match="allowed_models"):
        ChatTammaOpenAI.from_config(config, model="gpt-6-luna")


def test_tokens_are_counted_offline() -> None:
    model = build(ChatTammaOpenAI)
    assert model.get_num_tokens("Hello you") == 2
    assert model.get_num_tokens_from_messages(MESSAGES) > model.get_num_tokens("Be brief. Hi")
    assert build(ChatTammaOpenAI, custom_get_token_ids=lambda text: [1] * len(text)).get_num_tokens(
        "four"
    ) == len("four")


class StaticAPI(MockAPI):
    """Answers every request, also those without a body, with one response."""

    def __init__(self, status: int, answer: Json) -> None:
        super().__init__()
        self.status, self.answer = status, answer

    def _handle(self, request: httpx2.Request) -> httpx2.Response:
        self.requests.append(request)
        return httpx2.Response(self.status, json=self.answer)


async def test_key_and_model_are_checked_with_the_api() -> None:
    def api_of(status: int) -> MockAPI:
        body: Json = {"id": "gpt-4o", "object": "model", "created": 1, "owned_by": "openai"}
        error: Json = {"error": {"message": "no such model", "code": "model_not_found"}}
        answer = body if status == 200 else error
        return StaticAPI(status, answer)

    assert api_of(200).tamma().validate_model("gpt-4o")
    assert await api_of(200).tamma().avalidate_model("gpt-4o")
    with pytest.raises(NotFoundError):
        api_of(404).tamma().validate_model("gpt-none")
    with pytest.raises(NotFoundError):
        await api_of(404).tamma().avalidate_model("gpt-none")
