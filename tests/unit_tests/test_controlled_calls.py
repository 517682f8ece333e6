"""Prompts, parameters, histories and linting through the model, in every way to call it."""

from __future__ import annotations

import pickle
import warnings
from typing import Any

import pytest
from langchain_core.caches import InMemoryCache
from langchain_core.load import dumps, loads
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage
from langchain_core.messages.tool import tool_call
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import ConfigurableField
from mock_api import ALL_WAYS, Json, MockAPI, Way
from pydantic import BaseModel
from responses_api import answered, serving, text_message

from langchain_tamma_openai import (
    ChatTammaOpenAI,
    FallbackPolicy,
    InvalidParameterError,
    InvalidToolError,
    PromptError,
    PromptRegistry,
    SystemPrompt,
    SystemPromptTemplate,
)
from langchain_tamma_openai.parameters.problems import ParameterAdjustedWarning

every_way = pytest.mark.parametrize("way", ALL_WAYS.values(), ids=ALL_WAYS)
HOSTILE = [
    "{name}",
    "{{other}}",
    "{{name}}",
    "$& $1 \\1 \\g<0>",
    "<b>&amp; \"q\" 'a'</b>",
    "a\r\nb\u2028c\x00d",
    "\U0001f9d1\u200d\U0001f680 שלום",
    "%s %(x)s {% raw %}",
    "x" * 1_000_000,
]


class Weather(BaseModel):
    """Weather somewhere."""

    city: str


def lookup(city: str) -> str:
    """Look the weather up."""
    return city


def registry() -> PromptRegistry:
    shelf = PromptRegistry()
    shelf.add(SystemPromptTemplate("support", "Help {{name}}.", version=1))
    shelf.add(SystemPromptTemplate("support", "Assist {{name}} now.", version=2))
    shelf.add(SystemPrompt("brief", "Be brief."))
    return shelf


def chat(api: MockAPI, **fields: Any) -> ChatTammaOpenAI:
    return api.tamma(**{"use_responses_api": False, "model": "gpt-4.1", **fields})


def system_of(api: MockAPI) -> Any:
    first = api.bodies[-1]["messages"][0]
    return first["role"], first["content"]


# --- prompts ---------------------------------------------------------------------------------

GIVEN: dict[str, tuple[Json, str]] = {
    "latest": (
        {"system_prompt": "support", "prompt_variables": {"name": "Ann"}},
        "Assist Ann now.",
    ),
    "version": ({"system_prompt": "support@1", "prompt_variables": {"name": "Ann"}}, "Help Ann."),
    "text": ({"system_prompt": "Answer in {{language}}."}, "Answer in {{language}}."),
    "text with variables": (
        {"system_prompt": "Answer in {{language}}.", "prompt_variables": {"language": "Latin"}},
        "Answer in Latin.",
    ),
    "object": ({"system_prompt": SystemPrompt("own", "Be {kind}.")}, "Be {kind}."),
}


@every_way
@pytest.mark.parametrize(("fields", "text"), GIVEN.values(), ids=GIVEN)
def test_a_system_prompt_of_any_form_is_sent_first(way: Way, fields: Json, text: str) -> None:
    api = MockAPI()
    way(chat(api, prompt_registry=registry(), **fields), "Hi")
    assert system_of(api) == ("system", text)
    assert api.bodies[-1]["messages"][1]["content"] == "Hi"


@every_way
def test_it_is_sent_with_tools_structured_output_and_chains(way: Way) -> None:
    api = MockAPI()
    model = chat(api, system_prompt="brief", prompt_registry=registry())
    template = ChatPromptTemplate.from_messages([("human", "{question}")])
    for runnable, given in (
        (model.bind_tools([lookup]), "Hi"),
        (template | model, {"question": "Hi"}),
    ):
        way(runnable, given)
        assert system_of(api) == ("system", "Be brief.")
    model.with_structured_output(Weather, include_raw=True).invoke("Hi")
    assert system_of(api) == ("system", "Be brief.")


@every_way
def test_another_prompt_can_be_chosen_for_a_copy_or_for_a_call(way: Way) -> None:
    api = MockAPI()
    model = chat(api, system_prompt="brief", prompt_registry=registry())
    way(model.with_system_prompt("support", name="Bo"), "Hi")
    assert system_of(api) == ("system", "Assist Bo now.")
    switched = model.configurable_fields(
        system_prompt=ConfigurableField("prompt"), prompt_variables=ConfigurableField("values")
    )
    chosen = {"prompt": "support@1", "values": {"name": "Cy"}}
    way(switched.with_config(configurable=chosen), "Hi")
    assert system_of(api) == ("system", "Help Cy.")
    way(switched, "Hi")
    assert system_of(api) == ("system", "Be brief.")


@pytest.mark.parametrize("use_responses_api", [True, False])
@pytest.mark.parametrize("value", HOSTILE, ids=range(len(HOSTILE)))
def test_a_value_arrives_verbatim_in_the_body(value: str, *, use_responses_api: bool) -> None:
    api = serving(answered(text_message("Hello"))) if use_responses_api else MockAPI()
    text = "A {{name}} B {{name}}"
    fields: Json = {"system_prompt": text, "prompt_variables": {"name": value}}
    model = api.tamma(model="gpt-4.1", use_responses_api=use_responses_api, **fields)
    model.invoke("Hi")
    first = api.bodies[0]["input" if use_responses_api else "messages"][0]
    assert first["content"] == f"A {value} B {value}"


def test_the_role_is_the_one_that_the_called_model_wants() -> None:
    api = MockAPI()
    chat(api, model="o3", system_prompt="brief", prompt_registry=registry()).invoke("Hi")
    assert system_of(api) == ("developer", "Be brief.")


RULES = {
    "prepend": [("system", "Be brief.\n\nMine")],
    "replace": [("system", "Mine")],
    "keep_both": [("system", "Be brief."), ("system", "Mine")],
}


@every_way
@pytest.mark.parametrize(("rule", "expected"), RULES.items())
def test_a_rule_says_what_becomes_of_two_system_messages(
    way: Way, rule: Any, expected: list[tuple[str, str]]
) -> None:
    api = MockAPI()
    model = chat(api, system_prompt="brief", prompt_registry=registry(), system_prompt_rule=rule)
    conversation = [SystemMessage("Mine"), HumanMessage("Hi")]
    way(model, conversation)
    sent = [(each["role"], each["content"]) for each in api.bodies[-1]["messages"]]
    assert sent == [*expected, ("user", "Hi")]
    assert conversation == [SystemMessage("Mine"), HumanMessage("Hi")]


@every_way
def test_an_unknown_prompt_or_a_forbidden_merge_sends_nothing(way: Way) -> None:
    api = MockAPI()
    with pytest.raises(PromptError, match="brif"):
        way(chat(api, system_prompt="brif"), "Hi")
    strict = chat(
        api, system_prompt="brief", prompt_registry=registry(), system_prompt_rule="error"
    )
    with pytest.raises(PromptError, match="system message"):
        way(strict, [SystemMessage("Mine"), HumanMessage("Hi")])
    assert api.requests == []


def test_a_prompt_that_the_given_registry_does_not_have_fails_when_the_model_is_made() -> None:
    with pytest.raises(PromptError, match="suport"):
        chat(MockAPI(), system_prompt="suport", prompt_registry=registry())


def test_the_beginning_of_the_request_is_the_same_for_every_question() -> None:
    api = MockAPI()
    model = chat(api, system_prompt="brief", prompt_registry=registry())
    for question in ("One", [SystemMessage("Mine"), HumanMessage("Two")]):
        model.invoke(question)
    texts = [body["messages"][0]["content"] for body in api.bodies]
    assert all(text.startswith("Be brief.") for text in texts)


def test_cached_answers_differ_by_the_text_behind_an_id_and_by_policies() -> None:
    api, cache = MockAPI(), InMemoryCache()
    one, two = registry(), registry()
    two.add(SystemPrompt("brief", "Be very brief.", version=2))
    tools: Json = {"tools": [{"type": "function", "function": {"name": "f", "parameters": {}}}]}
    for fields, options in (
        ({"prompt_registry": one, "system_prompt": "brief"}, {}),
        ({"prompt_registry": two, "system_prompt": "brief"}, {}),
        ({"prompt_registry": two, "system_prompt": "brief", "system_prompt_rule": "replace"}, {}),
        ({}, tools),
        ({"tool_argument_policy": "off"}, tools),
    ):
        for _ in range(2):
            chat(api, cache=cache, **fields).invoke("Hi", **options)
    assert len(api.requests) == 5


def test_a_model_with_a_prompt_can_be_pickled_and_stored(monkeypatch: Any) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
    made: Json = {"model": "gpt-4.1", "api_key": "sk-test"}
    model = ChatTammaOpenAI(**made, system_prompt="Help {{n}}", prompt_variables={"n": "Ann"})
    own = ChatTammaOpenAI(**made, system_prompt=SystemPrompt("own", "Be kind."))
    for original, text in ((model, "Help Ann"), (own, "Be kind.")):
        copy = pickle.loads(pickle.dumps(original))  # noqa: S301 - our own bytes
        assert copy._rendered_prompt().text == text
        stored = loads(
            dumps(original),
            secrets_from_env=True,
            allowed_objects=[ChatTammaOpenAI],
            valid_namespaces=["langchain_tamma_openai"],
        )
        assert stored._rendered_prompt().text == text


# --- parameters ------------------------------------------------------------------------------


@every_way
def test_a_changed_parameter_is_warned_of_once_and_told_on_the_answer(way: Way) -> None:
    api = MockAPI()
    model = chat(api, parameter_policy="adjust", max_tokens=10**9, temperature=3)
    with pytest.warns(ParameterAdjustedWarning) as caught:
        message = way(model, "Hi")
    (warning,) = [each for each in caught if each.category is ParameterAdjustedWarning]
    assert "temperature: 3.0 -> 2" in str(warning.message)
    changes = {each["name"]: each for each in message.response_metadata["parameter_changes"]}
    assert changes["temperature"]["old"] == 3
    assert changes["temperature"]["new"] == api.bodies[0]["temperature"] == 2
    assert api.bodies[0]["max_completion_tokens"] == 32_768


@every_way
@pytest.mark.parametrize("given", ["field", "bind", "call"])
def test_strict_refuses_before_anything_is_sent_and_off_sends_it(way: Way, given: str) -> None:
    api = MockAPI()
    for policy in ("strict", "off"):
        fields = {"temperature": 3} if given == "field" else {}
        model: Any = chat(api, parameter_policy=policy, **fields)
        model = model.bind(temperature=3) if given == "bind" else model
        options = {"temperature": 3} if given == "call" else {}
        if policy == "strict":
            with pytest.raises(InvalidParameterError, match="temperature"):
                way(model, "Hi", **options)
            assert api.requests == []
        else:
            assert "parameter_changes" not in way(model, "Hi", **options).response_metadata
            assert api.bodies[0]["temperature"] == 3


def test_the_policy_depends_on_where_requests_go() -> None:
    made: Json = {"model": "gpt-4.1", "api_key": "sk-test"}
    assert ChatTammaOpenAI(**made)._policy_of_parameters == "adjust"
    regional = ChatTammaOpenAI(**made, base_url="https://eu.api.openai.com/v1")
    assert regional._policy_of_parameters == "adjust"
    elsewhere = ChatTammaOpenAI(**made, base_url="http://localhost:8000/v1")
    assert elsewhere._policy_of_parameters == "off"
    assert MockAPI().tamma()._policy_of_parameters == "off"
    chosen = ChatTammaOpenAI(**made, base_url="http://localhost:8000/v1", parameter_policy="strict")
    assert chosen._policy_of_parameters == "strict"


@every_way
def test_a_fallback_is_judged_by_its_own_rules(way: Way) -> None:
    def reply(body: Json) -> Any:
        if body["model"] == "gpt-4.1":
            import httpx2

            return httpx2.Response(503, json={"error": {"message": "busy"}})
        return MockAPI._default(body)

    api = MockAPI(reply)
    model = chat(
        api,
        parameter_policy="adjust",
        fallback_models=FallbackPolicy(["gpt-5"]),
        temperature=0.3,
        stop=["END"],
    )
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        message = way(model, "Hi")
    told = [str(each.message) for each in caught if each.category is ParameterAdjustedWarning]
    assert len(told) == 1
    assert "gpt-5" in told[0]
    assert api.bodies[0]["temperature"] == 0.3
    assert "temperature" not in api.bodies[-1]
    names = {each["name"] for each in message.response_metadata["parameter_changes"]}
    assert {"temperature", "stop"} <= names


def test_a_stop_that_the_api_lacks_is_not_left_out_silently() -> None:
    api = serving(answered(text_message("Hello")))
    adjusting = api.tamma(use_responses_api=True, stop=["END"], parameter_policy="adjust")
    with pytest.warns(ParameterAdjustedWarning, match="stop"):
        message = adjusting.invoke("Hi")
    assert [each["name"] for each in message.response_metadata["parameter_changes"]] == ["stop"]
    assert "stop" not in api.bodies[0]
    strict = api.tamma(use_responses_api=True, parameter_policy="strict")
    with pytest.raises(InvalidParameterError, match="stop"):
        strict.invoke("Hi", stop=["END"])
    api.tamma(use_responses_api=True, stop=["END"], parameter_policy="off").invoke("Hi")
    assert len(api.requests) == 2


# --- histories -------------------------------------------------------------------------------

ORPHAN = [
    HumanMessage("Hi"),
    AIMessage("", tool_calls=[tool_call(name="f", args={}, id="c1")]),
    HumanMessage("And?"),
    ToolMessage("late", tool_call_id="c9"),
]


@every_way
def test_a_history_is_refused_mended_or_sent_as_it_is(way: Way) -> None:
    api = MockAPI()
    with pytest.raises(InvalidParameterError, match="c1"):
        way(chat(api, history_policy="strict"), ORPHAN)
    assert api.requests == []
    mended = way(chat(api, history_policy="repair"), ORPHAN)
    assert len(mended.response_metadata["history_repairs"]) >= 2
    sent = way(chat(api, history_policy="off"), ORPHAN)
    assert "history_repairs" not in sent.response_metadata
    assert len(api.bodies[1]["messages"]) == len(ORPHAN)
    assert len(ORPHAN) == 4


# --- linting ---------------------------------------------------------------------------------


@pytest.mark.parametrize("use_responses_api", [True, False])
def test_lint_finds_everything_in_any_form_and_sends_nothing(*, use_responses_api: bool) -> None:
    api = MockAPI()
    broken = {"type": "function", "function": {"name": "a b", "parameters": {"type": "object"}}}
    model = chat(api, use_responses_api=use_responses_api, base_url="https://api.openai.com/v1")
    assert model.lint("Hi") == []
    assert model.lint([("human", "Hi")], tools=[lookup, Weather]) == []
    assert model.lint([{"role": "user", "content": "Hi"}], response_format=Weather) == []
    assert model.lint(ChatPromptTemplate.from_messages([("human", "Hi")]).invoke({})) == []
    wheres = {
        each.where.split("/")[0].split("[")[0]
        for each in model.lint(
            ORPHAN,
            tools=[broken, lookup],
            temperature=9,
            response_format={
                "type": "json_schema",
                "json_schema": {"name": "a b", "schema": {"type": "x"}},
            },
        )
    }
    assert {"tools", "response_format", "temperature"} <= wheres
    assert wheres & {"messages", "input"}
    assert model.lint(42)[0].where == "request"  # type: ignore[arg-type]  # no input at all
    assert model.lint([])
    assert api.requests == []


def test_a_broken_tool_is_refused_when_it_is_bound() -> None:
    with pytest.raises(InvalidToolError, match="a b"):
        chat(MockAPI()).bind_tools([{"name": "a b", "description": "x", "parameters": {}}])
