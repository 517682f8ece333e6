"""What `bind_tools` and `with_structured_output` bind, beside `langchain_openai.ChatOpenAI`."""

from __future__ import annotations

import copy
import json
import warnings
from typing import Annotated, Any

import pydantic
import pydantic.v1
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from langchain.agents.structured_output import ProviderStrategy
from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.messages import BaseMessage
from langchain_core.outputs import ChatResult
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from openai import pydantic_function_tool
from openai.lib._parsing._completions import type_to_response_format_param
from typing_extensions import TypedDict

from langchain_tamma_openai.chat_models.fields import ChatFields
from langchain_tamma_openai.chat_models.structured import StructuredOutputMixin
from langchain_tamma_openai.errors import InvalidParameterError, InvalidToolError
from langchain_tamma_openai.wire.response_format import response_format_to_wire


class Binder(StructuredOutputMixin, ChatFields):
    """A model that is only bound, never called."""

    model_name: str = "gpt-4o"
    disabled_params: dict[str, Any] | None = None
    use_responses_api: bool | None = None

    @property
    def _llm_type(self) -> str:
        return "binder"

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        raise NotImplementedError


class Weather(pydantic.BaseModel):
    """Get the weather."""

    city: str = pydantic.Field(description="Where")
    days: int | None = None


class OldWeather(pydantic.v1.BaseModel):
    """Get the weather, the old way."""

    city: str


class WeatherDict(TypedDict):
    """Get the weather as a dict."""

    city: Annotated[str, ..., "Where"]


def weather(city: str, days: int = 1) -> str:
    """Get the weather.

    Args:
        city: Where.
        days: How many days.
    """
    return f"{city} {days}"


late_weather = tool("late", extras={"defer_loading": True, "other": 1})(weather)
SCHEMA = {
    "title": "Weather",
    "description": "Get the weather.",
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
}
FUNCTION = {"name": "f", "description": "Do f.", "parameters": {"type": "object", "properties": {}}}
TOOLS: list[Any] = [
    weather,
    Weather,
    OldWeather,
    WeatherDict,
    tool(weather),
    late_weather,
    SCHEMA,
    FUNCTION,
    {"type": "function", "function": FUNCTION},
    {"type": "function", **FUNCTION},
    pydantic_function_tool(Weather),
    {"name": "claude_tool", "description": "d", "input_schema": SCHEMA},
    {"toolSpec": {"name": "bedrock_tool", "inputSchema": {"json": SCHEMA}}},
    {"type": "web_search"},
    {"type": "web_search_preview_2025_03_11"},
    {"type": "mcp", "server_label": "s", "server_url": "https://example.com"},
]
CHOICES: list[Any] = [
    None,
    False,
    True,
    "",
    "auto",
    "none",
    "required",
    "any",
    "f",
    "weather",
    "Weather",
    "web_search",
    "code_interpreter",
    {"type": "web_search"},
    {"type": "function", "function": {"name": "f"}},
]
FORMATS: list[Any] = [
    None,
    Weather,
    WeatherDict,
    SCHEMA,
    SCHEMA | {"strict": True},
    FUNCTION,
    {"name": "wrapped", "schema": SCHEMA, "strict": True},
    {"type": "json_schema", "json_schema": {"name": "ready", "schema": SCHEMA}},
    {"type": "json_schema", "json_schema": {"name": "ready", "schema": SCHEMA, "strict": True}},
]


def pair(**fields: Any) -> tuple[Any, Any]:
    peer = ChatOpenAI(model=fields.pop("model_name", "gpt-4o"), api_key="sk-test", **fields)
    return Binder(model_name=peer.model_name, **fields), peer


def bound(model: Any, hook: str, /, *args: Any, **kwargs: Any) -> Any:
    """What a call binds, or the kind of error it raises."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            chain = getattr(model, hook)(*copy.deepcopy(args), **kwargs)
        except Exception as error:  # noqa: BLE001 - the kinds of errors are compared
            return error
    return (chain.first if hasattr(chain, "first") else chain).kwargs


def agree(ours: Any, theirs: Any) -> bool:
    """Equal arguments; or both refuse, ours with a typed error."""
    if isinstance(theirs, Exception):
        return isinstance(ours, (InvalidToolError, InvalidParameterError))
    return bool(ours == theirs)


@pytest.mark.parametrize("strict", [None, True, False])
@pytest.mark.parametrize("index", range(len(TOOLS)))
def test_each_tool_is_bound_as_the_peer_binds_it(index: int, *, strict: bool | None) -> None:
    model, peer = pair()
    ours = bound(model, "bind_tools", [TOOLS[index]], strict=strict)
    assert agree(ours, bound(peer, "bind_tools", [TOOLS[index]], strict=strict))


@pytest.mark.parametrize("choice", CHOICES)
@pytest.mark.parametrize("parallel", [None, True, False])
def test_each_choice_is_bound_as_the_peer_binds_it(choice: Any, *, parallel: bool | None) -> None:
    model, peer = pair()
    tools = [weather, Weather, FUNCTION, {"type": "web_search"}]
    arguments = {"tool_choice": choice, "parallel_tool_calls": parallel, "temperature": 0.5}
    ours = bound(model, "bind_tools", tools, **arguments)
    assert ours == bound(peer, "bind_tools", tools, **arguments)


def test_a_dated_built_in_tool_can_be_chosen_by_its_type() -> None:
    kind = "web_search_preview_2025_03_11"
    chosen = Binder().bind_tools([{"type": kind}], tool_choice=kind)
    assert chosen.kwargs["tool_choice"] == {"type": kind}  # type: ignore[attr-defined]


@pytest.mark.parametrize("responses", [None, False, True])
@pytest.mark.parametrize("strict", [None, True, False])
@pytest.mark.parametrize("index", range(len(FORMATS)))
def test_each_response_format_is_bound_beside_tools_as_the_peer_binds_it(
    index: int, *, strict: bool | None, responses: bool | None
) -> None:
    model, peer = pair(use_responses_api=responses)
    arguments = {"response_format": FORMATS[index], "strict": strict}
    ours = bound(model, "bind_tools", [weather], **arguments)
    assert agree(ours, bound(peer, "bind_tools", [weather], **copy.deepcopy(arguments)))


@pytest.mark.parametrize("schema", [Weather, WeatherDict, SCHEMA])
@pytest.mark.parametrize("strict", [None, True])
def test_agents_ask_for_structured_answers_as_with_the_peer(
    schema: Any, *, strict: bool | None
) -> None:
    model, peer = pair()
    strategy: Any = ProviderStrategy(schema, strict=strict).to_model_kwargs()
    ours = bound(model, "bind_tools", [weather], **strategy)
    assert ours == bound(peer, "bind_tools", [weather], **strategy)


def test_a_wrapped_schema_without_a_title_takes_the_name_of_its_wrapper() -> None:
    schema = {key: value for key, value in SCHEMA.items() if key != "title"}
    wrapped = {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema}}
    ours = bound(Binder(), "bind_tools", [], response_format=wrapped)
    assert ours["response_format"]["json_schema"]["name"] == "answer"


STRUCTURED: list[Any] = [
    Weather,
    OldWeather,
    WeatherDict,
    SCHEMA,
    SCHEMA | {"strict": True},
    FUNCTION,
    {"name": "wrapped", "schema": SCHEMA},
    None,
    {"type": "object", "properties": {}},
]


@pytest.mark.parametrize("method", ["json_schema", "function_calling", "json_mode", "other"])
@pytest.mark.parametrize("strict", [None, True, False])
@pytest.mark.parametrize("model_name", ["gpt-4o", "gpt-4", "gpt-3.5-turbo"])
def test_structured_output_binds_what_the_peer_binds(
    method: str, model_name: str, *, strict: bool | None
) -> None:
    model, peer = pair(model_name=model_name)
    for schema in STRUCTURED:
        arguments = {"method": method, "strict": strict, "seed": 1}
        ours = bound(model, "with_structured_output", schema, **arguments)
        assert agree(ours, bound(peer, "with_structured_output", schema, **arguments)), schema


@pytest.mark.parametrize("strict", [None, True])
def test_tools_beside_a_schema_are_bound_as_the_peer_binds_them(*, strict: bool | None) -> None:
    model, peer = pair()
    arguments = {"tools": [weather, Weather], "strict": strict}
    ours = bound(model, "with_structured_output", SCHEMA, **arguments)
    assert ours == bound(peer, "with_structured_output", SCHEMA, **arguments)


@pytest.mark.parametrize(
    "disabled",
    [None, {}, {"parallel_tool_calls": None}, {"parallel_tool_calls": [True]}, {"strict": None}],
)
def test_disabled_parameters_are_left_out_as_by_the_peer(disabled: Any) -> None:
    model, peer = pair(disabled_params=disabled)
    ours = bound(model, "with_structured_output", Weather, method="function_calling")
    assert ours == bound(peer, "with_structured_output", Weather, method="function_calling")


def test_a_ready_response_format_can_be_the_schema() -> None:
    inner = {"name": "ready", "description": "d", "schema": SCHEMA}
    ready = {"type": "json_schema", "json_schema": inner}
    ours = bound(Binder(), "with_structured_output", ready)
    assert ours["response_format"] == ready
    described = {"name": "ready", "description": "d", "parameters": SCHEMA}
    assert ours["ls_structured_output_format"]["schema"]["function"] == described


def test_the_schema_of_a_bound_class_is_what_the_sdk_sends() -> None:
    sent = response_format_to_wire(
        bound(Binder(), "with_structured_output", Weather)["response_format"]
    )
    assert sent == type_to_response_format_param(Weather)


json_schemas = st.recursive(
    st.sampled_from([{"type": "string"}, {"type": "integer"}, {"enum": ["a", None]}, {}]),
    lambda inner: (
        st.builds(
            lambda properties: {"type": "object", "properties": properties},
            st.dictionaries(st.text("abc_", min_size=1, max_size=4), inner, max_size=3),
        )
        | st.builds(lambda items: {"type": "array", "items": items}, inner)
    ),
    max_leaves=5,
)
functions = st.builds(
    lambda name, properties, description: {
        "name": name,
        "description": description,
        "parameters": {"type": "object", "properties": properties},
    },
    st.text("abcXYZ019_-", min_size=1, max_size=64),
    st.dictionaries(st.text(max_size=5), json_schemas, max_size=3),
    st.text(max_size=9),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(functions, max_size=4), st.sampled_from([None, True, False]))
def test_any_function_is_bound_as_the_peer_binds_it(
    tools: list[Any],
    strict: bool | None,  # noqa: FBT001 - Hypothesis passes by position
) -> None:
    model, peer = pair()
    before = json.dumps(tools)
    ours = bound(model, "bind_tools", tools, strict=strict)
    theirs = bound(peer, "bind_tools", tools, strict=strict)
    if strict and _breaks_strict_rules(theirs):
        assert isinstance(ours, InvalidToolError)  # the API refuses what the peer would send
    else:
        assert ours == theirs
    assert json.dumps(tools) == before


def _breaks_strict_rules(binding: Any) -> bool:
    return any(_has_untyped(tool["function"]["parameters"]) for tool in binding["tools"])


def _has_untyped(schema: Any) -> bool:
    """Whether a schema has a value without a type, which strict mode refuses."""
    inner = [*schema.get("properties", {}).values()]
    inner += [schema["items"]] if "items" in schema else []
    return "type" not in schema or any(map(_has_untyped, inner))
