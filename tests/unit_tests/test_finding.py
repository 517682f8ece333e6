"""`init_chat_model` of ours: our provider beside those of LangChain."""

from __future__ import annotations

import builtins
import copy
import importlib.metadata
import inspect
import sys
from collections.abc import Callable
from typing import Any, Literal, cast

import httpx2
import pytest
from langchain.agents import create_agent
from langchain.chat_models import init_chat_model as langchains
from langchain_core.language_models import BaseChatModel
from langchain_core.runnables import RunnableConfig
from langchain_openai import ChatOpenAI
from mock_api import MockAPI
from pydantic import BaseModel

from langchain_tamma_openai import ChatTammaOpenAI, ConfigurationError, init_chat_model
from langchain_tamma_openai.finding import ConfigurableChatModel

Fields = Literal["any"] | list[str]


class Capital(BaseModel):
    """A capital."""

    city: str


@pytest.fixture
def api() -> MockAPI:
    return MockAPI()


@pytest.fixture
def client(api: MockAPI) -> dict[str, Any]:
    """Arguments of a model that the mock answers, ours or ChatOpenAI."""
    transport = httpx2.MockTransport(api._handle)
    return {
        "api_key": "sk-test",
        "http_client": httpx2.Client(transport=transport),
        "http_async_client": httpx2.AsyncClient(transport=transport),
    }


@pytest.mark.parametrize(
    ("model", "provider"),
    [
        ("tamma_openai:gpt-6-luna", None),
        ("tamma-openai:gpt-6-luna", None),
        ("gpt-6-luna", "tamma_openai"),
        ("gpt-6-luna", "Tamma-OpenAI"),
    ],
)
def test_ours_is_made_by_name(model: str, provider: str | None) -> None:
    made = init_chat_model(model, model_provider=provider, temperature=0.5, api_key="sk-test")
    assert isinstance(made, ChatTammaOpenAI)
    assert (made.model_name, made.temperature) == ("gpt-6-luna", 0.5)


def test_names_of_fine_tuned_models_keep_their_colons() -> None:
    made = init_chat_model("tamma_openai:ft:gpt-4.1:acme::x", api_key="sk-test")
    assert isinstance(made, ChatTammaOpenAI)
    assert made.model_name == "ft:gpt-4.1:acme::x"


@pytest.mark.parametrize(
    ("model", "provider"), [("openai:gpt-4o", None), ("gpt-4o", None), ("gpt-4o", "openai")]
)
def test_every_other_provider_is_langchains(model: str, provider: str | None) -> None:
    made = init_chat_model(model, model_provider=provider, api_key="sk-test")
    assert isinstance(made, ChatOpenAI)


def test_unknown_provider_fails_as_with_langchain() -> None:
    with pytest.raises(ValueError, match="made-up") as ours:
        init_chat_model("made-up:model")
    with pytest.raises(ValueError, match="made-up") as theirs:
        langchains("made-up:model")
    assert str(ours.value) == str(theirs.value)


def test_signature_is_langchains() -> None:
    ours, theirs = (inspect.signature(f).parameters for f in (init_chat_model, langchains))
    assert list(ours) == list(theirs)
    assert [p.default for p in ours.values()] == [p.default for p in theirs.values()]
    assert [p.kind for p in ours.values()] == [p.kind for p in theirs.values()]


def test_missing_langchain_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "langchain.chat_models", None)
    real = builtins.__import__

    def refuse(name: str, *args: Any, **kwargs: Any) -> Any:
        if name.startswith("langchain.chat_models"):
            raise ModuleNotFoundError(name=name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", refuse)
    assert isinstance(init_chat_model("tamma_openai:gpt-4o", api_key="sk-test"), ChatTammaOpenAI)
    with pytest.raises(ConfigurationError, match=r"'openai:gpt-4o'.*pip install langchain"):
        init_chat_model("gpt-4o", model_provider="openai")


@pytest.mark.parametrize("fields", ["any", ["model", "model_provider", "temperature"]])
def test_a_configuration_chooses_across_providers(
    fields: Fields, api: MockAPI, client: dict[str, Any]
) -> None:
    llm = init_chat_model("tamma_openai:gpt-6-luna", configurable_fields=fields, **client)
    assert isinstance(llm, ConfigurableChatModel)
    llm.invoke("Hi")
    llm.invoke("Hi", {"configurable": {"model": "openai:gpt-4o", "temperature": 0.25}})
    llm.invoke("Hi", {"configurable": {"model": "gpt-4o-mini", "model_provider": "tamma_openai"}})
    assert [body["model"] for body in api.bodies] == ["gpt-6-luna", "gpt-4o", "gpt-4o-mini"]
    assert api.bodies[1]["temperature"] == 0.25


def test_without_a_model_the_configuration_has_to_name_one(
    api: MockAPI, client: dict[str, Any]
) -> None:
    llm = init_chat_model(**client)
    with pytest.raises(AttributeError, match="no model is chosen"):
        _ = llm.model_name
    llm.invoke("Hi", {"configurable": {"model": "tamma_openai:gpt-4o", "temperature": 2}})
    assert api.bodies[0]["model"] == "gpt-4o"
    assert "temperature" not in api.bodies[0]


def test_names_may_have_a_prefix(api: MockAPI, client: dict[str, Any]) -> None:
    llm = init_chat_model(
        "tamma_openai:gpt-4o",
        configurable_fields=["model", "model_provider"],
        config_prefix="first",
        **client,
    )
    llm.invoke("Hi", {"configurable": {"first_model": "tamma_openai:gpt-4.1", "model": "x"}})
    assert api.bodies[0]["model"] == "gpt-4.1"


def test_a_prefix_without_fields_warns() -> None:
    with pytest.warns(UserWarning, match="configurable_fields"):
        init_chat_model("tamma_openai:gpt-4o", config_prefix="first", api_key="sk-test")


WAYS: dict[str, Callable[[Any, RunnableConfig], Any]] = {
    "invoke": lambda llm, config: llm.invoke("Hi", config),
    "batch": lambda llm, config: llm.batch(["Hi"], config),
    "stream": lambda llm, config: list(llm.stream("Hi", config)),
    "transform": lambda llm, config: list(llm.transform(iter(["Hi"]), config)),
}


@pytest.mark.parametrize("way", WAYS)
def test_every_way_to_call_is_configured(way: str, api: MockAPI, client: dict[str, Any]) -> None:
    llm = init_chat_model("tamma_openai:gpt-4o", configurable_fields="any", **client)
    WAYS[way](llm, {"configurable": {"model": "tamma_openai:gpt-4.1"}})
    assert api.bodies[0]["model"] == "gpt-4.1"


async def test_every_async_way_to_call_is_configured(api: MockAPI, client: dict[str, Any]) -> None:
    llm = init_chat_model("tamma_openai:gpt-4o", configurable_fields="any", **client)
    config: RunnableConfig = {"configurable": {"model": "tamma_openai:gpt-4.1"}}
    await llm.ainvoke("Hi", config)
    await llm.abatch(["Hi"], config)
    assert [chunk.text async for chunk in llm.astream("Hi", config)]
    assert [event async for event in llm.astream_events("Hi", config, version="v2")]

    async def pieces() -> Any:
        yield "Hi"

    assert [chunk async for chunk in llm.atransform(pieces(), config)]
    assert {body["model"] for body in api.bodies} == {"gpt-4.1"}


def test_tools_and_form_are_bound_to_what_is_chosen(api: MockAPI, client: dict[str, Any]) -> None:
    def add(a: int, b: int) -> int:
        """Add."""
        return a + b

    llm = init_chat_model("tamma_openai:gpt-4o", configurable_fields="any", **client)
    llm.bind_tools([add]).invoke("Hi", {"configurable": {"model": "openai:gpt-4.1"}})
    llm.with_structured_output(Capital, include_raw=True).invoke("Hi")
    assert api.bodies[0]["model"] == "gpt-4.1"
    assert api.bodies[0]["tools"][0]["function"]["name"] == "add"
    assert api.bodies[1]["response_format"]["json_schema"]["name"] == "Capital"


def test_with_config_fixes_a_choice(api: MockAPI, client: dict[str, Any]) -> None:
    llm = init_chat_model("tamma_openai:gpt-4o", configurable_fields=["model"], **client)
    fixed = llm.with_config(
        {"configurable": {"model": "tamma_openai:gpt-4.1", "other": 1}, "tags": ["t"]}
    )
    fixed.invoke("Hi")
    assert api.bodies[0]["model"] == "gpt-4.1"


def test_the_default_model_shows_through_and_no_secret_does() -> None:
    llm = init_chat_model("tamma_openai:gpt-4o", configurable_fields="any", api_key="sk-secret")
    assert llm.model_name == "gpt-4o"
    assert llm.get_num_tokens("Hello") == 1
    assert "sk-secret" not in repr(llm)
    assert "tamma_openai:gpt-4o" in repr(llm)


def test_it_has_the_schema_and_the_names_that_langchain_asks_for() -> None:
    ours = init_chat_model("tamma_openai:gpt-4o", configurable_fields="any", api_key="sk-test")
    theirs = langchains("openai:gpt-4o", configurable_fields="any", api_key="sk-test")
    assert ours.get_input_jsonschema()["anyOf"] == theirs.get_input_jsonschema()["anyOf"]
    assert ours._llm_type == "openai-chat"
    assert not hasattr(ours, "_ipython_canary_method_should_not_exist_")
    assert copy.copy(ours).model_name == "gpt-4o"


async def test_an_agent_takes_a_model_that_its_configuration_chooses(
    api: MockAPI, client: dict[str, Any]
) -> None:
    def add(a: int, b: int) -> int:
        """Add."""
        return a + b

    llm = init_chat_model("tamma_openai:gpt-4o", configurable_fields=("model",), **client)
    agent: Any = create_agent(cast("BaseChatModel", llm), [add])
    config: RunnableConfig = {"configurable": {"model": "tamma_openai:gpt-4.1"}}
    agent.invoke({"messages": [("human", "Hi")]}, config)
    await agent.ainvoke({"messages": [("human", "Hi")]}, config)
    assert [body["model"] for body in api.bodies] == ["gpt-4.1", "gpt-4.1"]


def test_each_input_may_have_a_configuration(api: MockAPI, client: dict[str, Any]) -> None:
    llm = init_chat_model("tamma_openai:gpt-4o", configurable_fields="any", **client)
    configs: list[RunnableConfig] = [{"configurable": {"model": "openai:gpt-4.1"}}, {}]
    llm.batch(["a", "b"], configs)
    assert {body["model"] for body in api.bodies} == {"gpt-4.1", "gpt-4o"}


def test_frameworks_find_the_class_by_entry_point() -> None:
    (found,) = importlib.metadata.entry_points(group="langchain.chat_models", name="tamma_openai")
    assert found.load() is ChatTammaOpenAI
