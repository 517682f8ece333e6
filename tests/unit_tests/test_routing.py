"""Which API carries a call: a table by model and need, beside the rule of `ChatOpenAI`."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from langchain_openai import ChatOpenAI
from mock_api import Json, MockAPI
from pydantic import BaseModel

from langchain_tamma_openai import ChatTammaOpenAI, ModelCatalog

pytestmark = pytest.mark.filterwarnings("ignore:OpenAI shut .* down:UserWarning")

FUNCTION: Json = {
    "type": "function",
    "function": {"name": "add", "description": "Add.", "parameters": {"type": "object"}},
}
WEB: Json = {"type": "web_search"}
CUSTOM: Json = {"type": "custom", "name": "code", "description": "Run code."}

NEEDS: dict[str, Json] = {
    "nothing": {},
    "effort none": {"reasoning_effort": "none"},
    "effort medium": {"reasoning_effort": "medium"},
    "function": {"tools": [FUNCTION]},
    "function, effort none": {"tools": [FUNCTION], "reasoning_effort": "none"},
    "function, effort medium": {"tools": [FUNCTION], "reasoning_effort": "medium"},
    "built-in": {"tools": [WEB]},
    "custom": {"tools": [FUNCTION, CUSTOM]},
}
MODELS = [info.name for info in ModelCatalog().list()]


def ours(name: str, call: Json | None = None, **fields: Any) -> bool:
    model = ChatTammaOpenAI(model=name, api_key="sk-test", **fields)
    return "input" in model._get_request_payload("hi", **(call or {}))


def theirs(name: str, call: Json | None = None, **fields: Any) -> bool:
    model = ChatOpenAI(model=name, api_key="sk-test", http_socket_options=(), **fields)
    return "input" in model._get_request_payload("hi", **(call or {}))


# Whether the Responses API carries a call with: nothing; a function; a function and effort none;
# a function and effort medium. Built-in tools always need it.
TABLE = {
    "gpt-6.2-astra": (False, True, True, True),
    "gpt-6.2-sol": (False, True, True, True),
    "gpt-6.1-sol": (False, True, True, True),
    "gpt-6.1-terra": (False, True, True, True),
    "gpt-6-astra": (False, True, True, True),
    "gpt-6-sol": (False, True, True, True),
    "gpt-6-luna": (False, True, True, True),
    "gpt-6-luna-2026-09-22": (False, True, True, True),
    "gpt-6.9-nova": (False, True, True, True),
    "gpt-5.6-sol": (True, True, True, True),
    "gpt-5.6": (True, True, True, True),
    "gpt-5.6-terra": (False, True, False, True),
    "gpt-5.6-luna": (False, True, False, True),
    "gpt-5.5": (False, True, False, True),
    "gpt-5.4": (False, False, False, True),
    "gpt-5.4-2026-03-05": (False, False, False, True),
    "gpt-5.4-mini": (False, False, False, True),
    "gpt-5.2": (False, False, False, False),
    "gpt-5.1": (False, False, False, False),
    "gpt-5": (False, False, False, False),
    "gpt-4.1": (False, False, False, False),
    "gpt-4o": (False, False, False, False),
    "gpt-3.5-turbo": (False, False, False, False),
    "ft:gpt-4o-2024-08-06:acme::1": (False, False, False, False),
    "o3": (False, False, False, False),
    "o3-pro": (True, True, True, True),
    "gpt-5-pro": (True, True, True, True),
    "gpt-5.5-pro": (True, True, True, True),
    "gpt-5.5-pro-2026-04-23": (True, True, True, True),
    "gpt-5.3-codex": (True, True, True, True),
    "gpt-9-codex": (True, True, True, True),
    "gpt-5.7-pro": (True, True, True, True),
    "computer-use-preview": (True, True, True, True),
    "llama-4": (False, False, False, False),
}


@pytest.mark.parametrize(("name", "expected"), TABLE.items())
def test_the_model_and_its_tools_choose(name: str, expected: tuple[bool, ...]) -> None:
    needs = ("nothing", "function", "function, effort none", "function, effort medium")
    assert tuple(ours(name, NEEDS[need]) for need in needs) == expected
    assert ours(name, NEEDS["built-in"])
    assert ours(name, NEEDS["custom"])


@pytest.mark.parametrize("need", NEEDS)
def test_the_catalogue_agrees_with_chat_openai_but_where_that_would_fail(need: str) -> None:
    info = ModelCatalog().get
    for name in MODELS:
        they, we = theirs(name, NEEDS[need]), ours(name, NEEDS[need])
        assert we or not they, name
        if we and not they:
            effort = NEEDS[need].get("reasoning_effort") or info(name).default_reasoning_effort
            refused = "tools" in NEEDS[need] and (
                info(name).tools_on_chat == "never" or effort != "none"
            )
            # The bare name is an alias of gpt-5.6-sol, which ChatOpenAI does move.
            assert info(name).responses_only or refused or name == "gpt-5.6", name


@pytest.mark.parametrize(
    "name",
    ["gpt-5.4-pro-x", "gpt-5.6-sol-fast", "gpt-5-pro-2027-01-01", "acme/gpt-5-codex", "gpt-6-next"],
)
@pytest.mark.parametrize("need", NEEDS)
def test_names_that_nobody_lists_go_where_chat_openai_sends_them(name: str, need: str) -> None:
    assert ours(name, NEEDS[need]) >= theirs(name, NEEDS[need])


SETTINGS: list[Json] = [
    {"output_version": "responses/v1"},
    {"use_previous_response_id": True},
    {"include": ["reasoning.encrypted_content"]},
    {"include": []},
    {"reasoning": {"effort": "low"}},
    {"truncation": "auto"},
    {"context_management": [{"type": "compaction", "compact_threshold": 1}]},
]
OTHER_SETTINGS: list[Json] = [
    {"output_version": "v1"},
    {"output_version": "v0"},
    {"reasoning_effort": "low"},
    {"verbosity": "low"},
    {"store": True},
    {"service_tier": "flex"},
    {"prompt_cache_options": {"mode": "auto"}},
    {"model_kwargs": {"safety_identifier": "u"}},
]


@pytest.mark.parametrize("fields", SETTINGS, ids=str)
def test_a_setting_that_exists_there_only_chooses(fields: Json) -> None:
    assert ours("gpt-4o", **fields) is theirs("gpt-4o", **fields) is True
    assert ChatTammaOpenAI(model="gpt-4o", api_key="sk-test", **fields).use_responses_api is True


@pytest.mark.parametrize("fields", OTHER_SETTINGS, ids=str)
def test_settings_of_both_apis_choose_nothing(fields: Json) -> None:
    assert ours("gpt-4o", **fields) is theirs("gpt-4o", **fields) is False
    assert ChatTammaOpenAI(model="gpt-4o", api_key="sk-test", **fields).use_responses_api is None


@pytest.mark.parametrize(
    "name",
    ["context_management", "include", "previous_response_id", "reasoning", "text", "truncation"],
)
@pytest.mark.parametrize("where", ["call", "model_kwargs"])
@pytest.mark.filterwarnings("ignore:.*should be specified explicitly:UserWarning")
def test_a_parameter_that_exists_there_only_chooses(name: str, where: str) -> None:
    value: Json = {name: {"effort": "low"} if name == "reasoning" else {}}
    if where == "call":
        assert ours("gpt-4o", value) is theirs("gpt-4o", value) is True
    elif name in ("previous_response_id", "text"):
        fields = {"model_kwargs": value}
        assert ours("gpt-4o", **fields) is theirs("gpt-4o", **fields) is True


@pytest.mark.parametrize("name", ["background", "conversation", "max_tool_calls", "prompt"])
def test_parameters_that_chat_openai_would_send_astray_choose_too(name: str) -> None:
    assert ours("gpt-4o", {name: "x"})
    assert not theirs("gpt-4o", {name: "x"})


@pytest.mark.parametrize("name", ["gpt-4o", "gpt-5-pro", "gpt-6-luna"])
@pytest.mark.parametrize("need", NEEDS)
def test_the_user_decides_where_the_user_says_so(name: str, need: str) -> None:
    assert ours(name, NEEDS[need], use_responses_api=True)
    assert not ours(name, NEEDS[need], use_responses_api=False)


@pytest.mark.parametrize("name", MODELS)
def test_what_a_model_always_does_shows_on_the_instance(name: str) -> None:
    model = ChatTammaOpenAI(model=name, api_key="sk-test")
    assert model.use_responses_api is (True if ours(name) else None)
    they = ChatOpenAI(model=name, api_key="sk-test", http_socket_options=())
    if they.use_responses_api:
        assert model.use_responses_api


def test_a_model_named_for_one_call_chooses_for_it() -> None:
    api = MockAPI({"id": "resp_1", "output": []})
    api.tamma(model="gpt-4o").invoke("hi", model="gpt-5.5-pro")
    assert api.requests[0].url.path == "/v1/responses"
    assert api.bodies[0]["model"] == "gpt-5.5-pro"


REASONS = [
    ("gpt-5.4", {}, NEEDS["function, effort medium"], "only with reasoning effort none"),
    ("gpt-6-luna", {}, NEEDS["function, effort none"], "takes tools best there"),
    ("gpt-5-pro", {}, {}, "gpt-5-pro is made for it"),
    ("gpt-4o", {"truncation": "auto"}, {}, "truncation is set"),
    ("gpt-4o", {"output_version": "responses/v1"}, {}, "output_version is 'responses/v1'"),
    ("gpt-4o", {"use_previous_response_id": True}, {}, "use_previous_response_id is set"),
    ("gpt-4o", {}, NEEDS["built-in"], "the tool 'web_search' exists there only"),
    ("gpt-4o", {}, {"background": True}, "background exists there only"),
    ("gpt-4o", {"use_responses_api": True}, {}, "use_responses_api is True"),
]


@pytest.mark.parametrize(("name", "fields", "call", "reason"), REASONS)
def test_the_reason_is_told_at_debug_level(
    name: str, fields: Json, call: Json, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    model = ChatTammaOpenAI(model=name, api_key="sk-test", **fields)
    caplog.clear()
    with caplog.at_level(logging.DEBUG, logger="langchain_tamma_openai.chat_models.routing"):
        model._get_request_payload("hi", **call)
    assert reason in caplog.text
    caplog.clear()
    with caplog.at_level(logging.INFO, logger="langchain_tamma_openai.chat_models.routing"):
        model._get_request_payload("hi", **call)
    assert caplog.records == []


def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


class Answer(BaseModel):
    """An answer."""

    text: str


def both(**fields: Any) -> list[Any]:
    fields = {"model": "gpt-6-luna", "api_key": "sk-test", **fields}
    return [ChatOpenAI(http_socket_options=(), **fields), ChatTammaOpenAI(**fields)]


APIS: list[Json] = [{"use_responses_api": value} for value in (True, False, None)]
STREAM: list[Json] = [{"stream": value} for value in (False, True)]
BINDINGS: list[Json] = [
    {"tools": [add]},
    {"tools": [add], "tool_choice": "any", "strict": True},
    {"tools": [add], "tool_choice": "add", "parallel_tool_calls": False},
    {"tools": [WEB, add], "tool_choice": "web_search"},
    {"tools": [CUSTOM], "tool_choice": "code"},
    {"tools": [add], "response_format": Answer},
    {"tools": [add], "response_format": Answer, "strict": False},
    {"tools": [{"type": "image_generation", "quality": "low"}]},
    {"tools": [{"type": "mcp", "server_label": "d", "server_url": "https://x"}]},
]


@pytest.mark.parametrize("stream", STREAM, ids=str)
@pytest.mark.parametrize("api", APIS, ids=str)
@pytest.mark.parametrize("binding", BINDINGS, ids=range(len(BINDINGS)))
def test_bound_tools_are_sent_as_chat_openai_sends_them(
    binding: Json, api: Json, stream: Json
) -> None:
    they, we = both(**api)
    payloads = [
        model._get_request_payload("hi", **model.bind_tools(**binding).kwargs, **stream)
        for model in (they, we)
    ]
    assert payloads[1] == payloads[0]


@pytest.mark.parametrize("stream", STREAM, ids=str)
@pytest.mark.parametrize("api", APIS, ids=str)
@pytest.mark.parametrize("schema", [Answer, Answer.model_json_schema()], ids=["class", "dict"])
@pytest.mark.parametrize("method", ["json_schema", "function_calling", "json_mode"])
def test_structured_answers_are_asked_for_as_chat_openai_does(
    method: str, schema: Any, api: Json, stream: Json
) -> None:
    payloads = []
    for model in both(**api):
        bound = model.with_structured_output(schema, method=method).first
        kwargs = {**bound.kwargs}
        kwargs.pop("ls_structured_output_format")
        payloads.append(model._get_request_payload("json", **kwargs, **stream))
    assert payloads[1] == payloads[0]
