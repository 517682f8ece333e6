"""The policies of `ParameterValidator`, and `ModelParameters` as a value."""

from __future__ import annotations

import pickle
import warnings
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from langchain_tamma_openai.errors import ConfigurationError, InvalidParameterError
from langchain_tamma_openai.parameters import (
    UNSET,
    Api,
    ModelParameters,
    ParameterAdjustedWarning,
    ParameterChange,
    ParameterPolicy,
    ParameterValidator,
    default_policy,
    output_limit_name,
    with_output_limit_name,
)

TOOLS = [{"type": "function", "function": {"name": "f"}}]
ADJUST = ParameterValidator("adjust")
KEY = "sk-" + "x" * 40


def changed(
    params: dict[str, Any], model: str = "gpt-4.1", api: Api = "chat_completions"
) -> dict[str, tuple[object, object]]:
    applied = ADJUST.decide(params, model, api)
    return {each.name: (each.old, each.new) for each in applied.changes}


# --- strict ----------------------------------------------------------------------------------


def test_strict_names_every_problem_with_its_value_and_its_remedy() -> None:
    params = {"temperature": 9, "n": 0, "stop": list("abcde"), "seed": 1}
    with pytest.raises(InvalidParameterError) as caught:
        ParameterValidator("strict").apply(params, "gpt-4.1")
    text = str(caught.value)
    for part in ("3 parameters", "temperature: got 9", "use 2", "n: got 0", "stop: got"):
        assert part in text
    assert "seed" not in text
    assert caught.value.model == "gpt-4.1"


def test_a_single_problem_names_its_parameter_in_the_error() -> None:
    with pytest.raises(InvalidParameterError) as caught:
        ParameterValidator().apply({"temperature": 9}, "gpt-4.1")
    assert caught.value.param == "temperature"
    assert isinstance(caught.value, ValueError)


def test_an_error_shows_no_secret() -> None:
    with pytest.raises(InvalidParameterError) as caught:
        ParameterValidator().apply({"service_tier": KEY}, "gpt-4.1")
    assert KEY not in str(caught.value)


# --- adjust ----------------------------------------------------------------------------------


def test_adjust_warns_once_and_names_old_and_new_values() -> None:
    params = {"temperature": 0.2, "max_completion_tokens": 200_000}
    with pytest.warns(ParameterAdjustedWarning) as caught:
        applied = ADJUST.apply(params, "gpt-6-luna")
    (warning,) = caught
    for part in ("temperature: 0.2 -> not sent", "max_completion_tokens: 200000 -> 128000"):
        assert part in str(warning.message)
    assert applied.params == {"max_completion_tokens": 128_000}
    assert params == {"temperature": 0.2, "max_completion_tokens": 200_000}
    assert [each.as_metadata()["new"] for each in applied.changes] == [None, 128_000]


@pytest.mark.parametrize(
    ("params", "model", "api", "expected"),
    [
        ({"temperature": 3}, "gpt-4.1", "chat_completions", {"temperature": (3, 2)}),
        ({"temperature": "0.5"}, "gpt-4.1", "responses", {"temperature": ("0.5", 0.5)}),
        ({"top_p": "-1"}, "gpt-4.1", "responses", {"top_p": ("-1", 0)}),
        ({"top_p": -1}, "gpt-4.1", "responses", {"top_p": (-1, 0)}),
        ({"max_tokens": 10.0}, "gpt-4.1", "chat_completions", {"max_tokens": (10.0, 10)}),
        ({"max_output_tokens": 5}, "gpt-4.1", "responses", {"max_output_tokens": (5, 16)}),
        (
            {"temperature": Decimal("0.5")},
            "gpt-4.1",
            "responses",
            {"temperature": (Decimal("0.5"), 0.5)},
        ),
        (
            {"reasoning_effort": "minimal"},
            "gpt-5.1",
            "chat_completions",
            {"reasoning_effort": ("minimal", "low")},
        ),
        (
            {"reasoning": {"effort": "none", "summary": "auto"}},
            "gpt-6.2-sol",
            "responses",
            {"reasoning.effort": ("none", "low")},
        ),
        (
            {"reasoning_effort": "max"},
            "gpt-5",
            "chat_completions",
            {"reasoning_effort": ("max", "high")},
        ),
        (
            {"reasoning_effort": "low"},
            "gpt-4o",
            "chat_completions",
            {"reasoning_effort": ("low", UNSET)},
        ),
        ({"verbosity": "High"}, "gpt-5", "chat_completions", {"verbosity": ("High", "high")}),
        (
            {"text": {"verbosity": "low"}},
            "gpt-4o",
            "responses",
            {"text.verbosity": ("low", UNSET)},
        ),
        (
            {"stop": ["a", "a", "b"] * 2},
            "gpt-4.1",
            "chat_completions",
            {"stop": (["a", "a", "b"] * 2, ["a", "b"])},
        ),
        ({"stop": "x"}, "gpt-4.1", "responses", {"stop": ("x", UNSET)}),
        (
            {"logit_bias": {1: 150, 2: -3}},
            "gpt-4.1",
            "chat_completions",
            {"logit_bias": ({1: 150, 2: -3}, {1: 100, 2: -3})},
        ),
        ({"top_logprobs": 2}, "gpt-4.1", "chat_completions", {"logprobs": (UNSET, True)}),
        (
            {"logprobs": True},
            "gpt-4.1",
            "responses",
            {"logprobs": (True, UNSET), "include": (UNSET, ["message.output_text.logprobs"])},
        ),
        (
            {"tools": TOOLS, "temperature": 0.2},
            "gpt-6-luna",
            "chat_completions",
            {"reasoning_effort": (UNSET, "none")},
        ),
    ],
)
def test_adjust_sends_the_nearest_thing_that_is_accepted(
    params: dict[str, Any], model: str, api: Api, expected: dict[str, tuple[object, object]]
) -> None:
    assert changed(params, model, api) == expected
    applied = ADJUST.decide(params, model, api)
    assert ADJUST.check(applied.params, model, api) == []


@pytest.mark.parametrize(
    "params",
    [
        {"temperature": float("nan")},
        {"temperature": True},
        {"n": 0},
        {"n": 0.0},
        {"n": "1.5"},
        {"max_tokens": -1},
        {"service_tier": "slow"},
        {"reasoning_effort": "hard"},
        {"tool_choice": {"type": "function", "function": {"name": "g"}}, "tools": TOOLS},
        {"metadata": {"k": 1}},
    ],
)
def test_adjust_refuses_what_it_would_have_to_guess(params: dict[str, Any]) -> None:
    with pytest.raises(InvalidParameterError):
        ADJUST.apply(params, "gpt-5.1")


def test_other_options_beside_a_changed_one_stay() -> None:
    params = {"reasoning": {"effort": "none", "summary": "auto"}}
    applied = ADJUST.decide(params, "gpt-6.2-sol", "responses")
    assert applied.params == {"reasoning": {"effort": "low", "summary": "auto"}}
    assert params == {"reasoning": {"effort": "none", "summary": "auto"}}


def test_a_parameter_changed_twice_keeps_its_first_value() -> None:
    applied = ADJUST.decide(
        {"reasoning_effort": "minimal", "tools": TOOLS}, "gpt-6-luna", "chat_completions"
    )
    (change,) = applied.changes
    assert (change.old, change.new) == ("minimal", "none")


# --- all policies ----------------------------------------------------------------------------


@pytest.mark.parametrize("policy", ["strict", "adjust", "off"])
def test_good_parameters_pass_as_they_are_without_a_word(policy: ParameterPolicy) -> None:
    params: dict[str, Any] = {"temperature": 0.5, "stop": None, "tools": TOOLS, "model": "gpt-4.1"}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        applied = ParameterValidator(policy).apply(params, "gpt-4.1")
    assert applied.params == params
    assert applied.params is not params
    assert (applied.changes, applied.warning) == ((), None)


def test_off_sends_everything() -> None:
    params = {"temperature": 99, "n": "many"}
    assert ParameterValidator("off").apply(params, "gpt-5").params == params


def test_an_unknown_policy_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="parameter_policy"):
        ParameterValidator("fix")  # type: ignore[arg-type]  # bad input on purpose


def test_an_unknown_model_is_judged_by_the_apis_ranges_alone() -> None:
    params = {"temperature": 0.2, "stop": ["x"], "reasoning_effort": "max", "max_tokens": 10**7}
    assert ADJUST.check({**params, "tools": TOOLS}, "gpt-9") == []
    assert [each.name for each in ADJUST.check({"temperature": 3}, "gpt-9")] == ["temperature"]


_VALUE = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
_NAMES = ["temperature", "n", "stop", "logit_bias", "reasoning_effort", "metadata"]


@settings(deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(_NAMES),
        _VALUE
        | st.lists(_VALUE, max_size=6)
        | st.dictionaries(st.text(max_size=3), _VALUE, max_size=3),
    ),
    st.sampled_from(["gpt-4.1", "gpt-5", "gpt-6-luna", "gpt-9"]),
    st.sampled_from(["chat_completions", "responses"]),
)
def test_whatever_is_given_is_accepted_mended_or_refused_with_our_error(
    params: dict[str, object], model: str, api: Api
) -> None:
    stuck = [each for each in ADJUST.check(params, model, api) if each.fix is None]
    if stuck:
        with pytest.raises(InvalidParameterError, match=stuck[0].name):
            ADJUST.decide(params, model, api)
        return
    applied = ADJUST.decide(params, model, api)
    assert ADJUST.check(applied.params, model, api) == []
    assert bool(applied.changes) == (applied.warning is not None)


def test_huge_numbers_are_out_of_range_and_no_crash() -> None:
    assert changed({"temperature": 10**400}) == {"temperature": (10**400, 2)}
    assert changed({"seed": 2**70})["seed"][1] == 2**63 - 1


# --- where a request goes --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("base_url", "policy"),
    [
        (None, "adjust"),
        ("", "adjust"),
        ("https://api.openai.com/v1", "adjust"),
        ("https://eu.api.openai.com/v1/", "adjust"),
        ("http://localhost:8000/v1", "off"),
        ("https://acme.openai.azure.com/openai/v1", "off"),
        ("https://api.openai.com.evil.example/v1", "off"),
        ("http://[", "off"),
    ],
)
def test_only_openais_own_servers_are_judged_by_default(base_url: str | None, policy: str) -> None:
    assert default_policy(base_url) == policy


@pytest.mark.parametrize(
    ("model", "api", "base_url", "name"),
    [
        ("gpt-4o", "chat_completions", None, "max_completion_tokens"),
        ("gpt-5", "chat_completions", None, "max_completion_tokens"),
        ("gpt-5", "responses", None, "max_output_tokens"),
        ("llama", "chat_completions", "http://localhost/v1", "max_tokens"),
        ("gpt-oss-20b", "chat_completions", "http://localhost/v1", "max_tokens"),
        ("gpt-5", "chat_completions", "http://localhost/v1", "max_completion_tokens"),
        ("llama", "responses", "http://localhost/v1", "max_output_tokens"),
    ],
)
def test_the_output_limit_goes_under_the_name_that_is_wanted(
    model: str, api: Api, base_url: str | None, name: str
) -> None:
    assert output_limit_name(model, api, base_url) == name
    for given_name in ("max_tokens", "max_completion_tokens", "max_output_tokens"):
        params = {given_name: 5, "seed": 1}
        assert with_output_limit_name(params, model, api, base_url) == {"seed": 1, name: 5}
    assert with_output_limit_name({"max_tokens": None}, model, api, base_url) == {}


# --- ModelParameters -------------------------------------------------------------------------


def test_merging_keeps_what_the_other_does_not_set() -> None:
    merged = ModelParameters(temperature=0.2, seed=1) | ModelParameters(temperature=0.7, n=2)
    assert merged == ModelParameters(temperature=0.7, seed=1, n=2)
    assert merged.as_kwargs() == {"temperature": 0.7, "seed": 1, "n": 2}


def test_zero_and_false_are_values() -> None:
    params = ModelParameters(temperature=0, logprobs=False)
    assert (ModelParameters(temperature=1, logprobs=True) | params) == params


def test_any_spelling_is_read() -> None:
    chat = {"max_completion_tokens": 5, "reasoning_effort": "low", "stop": ["x"], "model": "m"}
    items = {"max_output_tokens": 5, "reasoning": {"effort": "low"}, "text": {"verbosity": "low"}}
    assert ModelParameters.from_params(chat) == ModelParameters(
        max_tokens=5, reasoning_effort="low", stop=["x"]
    )
    assert ModelParameters.from_params(items) == ModelParameters(
        max_tokens=5, reasoning_effort="low", verbosity="low"
    )


def test_the_payload_of_each_api() -> None:
    params = ModelParameters(
        max_tokens=20, reasoning_effort="none", verbosity="low", logprobs=True, top_logprobs=2
    )
    assert params.as_payload("chat_completions") == {
        "max_completion_tokens": 20,
        "reasoning_effort": "none",
        "verbosity": "low",
        "logprobs": True,
        "top_logprobs": 2,
    }
    assert params.as_payload("responses") == {
        "max_output_tokens": 20,
        "reasoning": {"effort": "none"},
        "text": {"verbosity": "low"},
        "include": ["message.output_text.logprobs"],
        "top_logprobs": 2,
    }


def test_the_payload_of_responses_drops_nothing_silently() -> None:
    with pytest.raises(InvalidParameterError, match="seed"):
        ModelParameters(seed=1).as_payload("responses")


def test_parameters_adapt_to_a_model() -> None:
    params = ModelParameters(temperature=0.2, stop=("x",), max_tokens=10**6)
    with pytest.warns(ParameterAdjustedWarning):
        assert params.for_model("gpt-5") == ModelParameters(max_tokens=128_000)
    with pytest.raises(InvalidParameterError):
        params.for_model("gpt-5", policy="strict")
    assert ModelParameters(temperature=0.2).for_model("gpt-4.1").temperature == 0.2


def test_parameters_are_values() -> None:
    params = ModelParameters(temperature=0.2, logit_bias={1: 2})
    assert pickle.loads(pickle.dumps(params)) == params  # noqa: S301 - our own bytes
    with pytest.raises(AttributeError):
        params.temperature = 1  # type: ignore[misc]  # frozen
    with pytest.raises(TypeError):
        ModelParameters(temprature=0.2)  # type: ignore[call-arg]  # a misspelt name


def test_what_is_not_sent_has_one_object_even_after_pickling() -> None:
    change = ParameterChange("stop", ["x"], UNSET, "why")
    copied = pickle.loads(pickle.dumps(change))  # noqa: S301 - our own bytes
    assert copied.new is UNSET
    assert str(copied) == "stop: ['x'] -> not sent (why)"
