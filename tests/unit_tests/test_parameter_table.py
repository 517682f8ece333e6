"""The catalogue equals the table of facts, and the validator judges every value by it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from typing import Any

import pytest
from parameter_facts import ALWAYS, FACTS, NEVER, QUIET, Facts

from langchain_tamma_openai.models import ModelCatalog
from langchain_tamma_openai.parameters import Api, ModelParameters, ParameterValidator

TODAY = date(2026, 11, 22)
CURRENT = [info.name for info in ModelCatalog().list() if not info.is_shut_down(TODAY)]
EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
APIS: tuple[Api, Api] = ("chat_completions", "responses")


def test_the_table_names_every_current_model_and_no_other() -> None:
    assert set(CURRENT) == set(FACTS)


@pytest.mark.parametrize("model", FACTS)
def test_the_catalogue_equals_the_table(model: str) -> None:
    facts, info = FACTS[model], ModelCatalog().get(model)
    assert (
        Facts(
            window=info.context_window_tokens or 0,
            max_output=info.max_output_tokens or 0,
            efforts=info.reasoning_efforts,
            default_effort=info.default_reasoning_effort,
            sampling=info.supports_temperature,
            tools_on_chat=info.tools_on_chat,
            stop=info.supports_stop,
            verbosity=info.supports_verbosity,
            parallel_calls=info.supports_parallel_tool_calls,
            cache_options=bool(info.supports_prompt_cache_options),
            responses_only=bool(info.responses_only),
            images="image_input" in info.capabilities,
            audio="audio_input" in info.capabilities,
            limit=info.output_limit_parameter or "",
            retentions=info.prompt_cache_retentions,
        )
        == facts
    )
    sampling = {info.supports_top_p, info.supports_logprobs, info.supports_penalties}
    assert sampling == {facts.sampling}


# --- the sweep -------------------------------------------------------------------------------

TOOLS = [{"type": "function", "function": {"name": "f"}}]

# Values within and beyond the API's own range, for parameters that every model takes.
RANGES: dict[str, tuple[list[Any], list[Any]]] = {
    "n": ([1, 2, 128], [0, -1, 129, 1.5, True]),
    "seed": ([0, -1, 2**63 - 1], [2**63, 0.5, "x", True]),
    "service_tier": (["auto", "default", "flex", "priority", "fast"], ["slow", "", 1]),
    "user": (["u" * 64], ["u" * 65, 7]),
    "safety_identifier": (["s" * 128], ["s" * 129, 7]),
    "prompt_cache_key": (["k" * 64], ["k" * 65, 7]),
    "metadata": (
        [{}, {"k": "v"}],
        [{"k" * 65: "v"}, {"k": 1}, [], {str(k): "" for k in range(17)}],
    ),
    "store": ([True, False], ["yes", 1]),
}
CHAT_ONLY = {"n", "seed"}

# Values for the sampling parameters: harmless everywhere, within range, beyond it.
SAMPLING: dict[str, tuple[list[Any], list[Any], list[Any]]] = {
    "temperature": ([1, 1.0], [0, 0.3, 2], [-0.01, 2.01, float("nan"), float("inf"), True, "x"]),
    "top_p": ([1], [0, 0.5], [-0.1, 1.1, float("nan"), True]),
    "presence_penalty": ([0], [-2, 0.5, 2], [-2.1, 2.1, True]),
    "frequency_penalty": ([0], [-2, 0.5, 2], [-2.1, 2.1, True]),
    "logprobs": ([False], [True], ["yes", 1]),
}
SAMPLING_ON_CHAT_ONLY = {"presence_penalty", "frequency_penalty", "logprobs"}


def refused(model: str, api: Api, name: str, **params: Any) -> bool:
    """Whether the parameter in question is among the problems."""
    problems = ParameterValidator().check(params, model, api)
    return any(each.name.startswith(name) for each in problems)


def cases() -> Iterator[tuple[str, Api]]:
    for model, facts in FACTS.items():
        for api in APIS:
            if api == "responses" or not facts.responses_only:
                yield model, api


SWEEP = list(cases())


@pytest.mark.parametrize(("model", "api"), SWEEP)
def test_ranges_hold_for_every_model(model: str, api: Api) -> None:
    for name, (good, bad) in RANGES.items():
        if api == "responses" and name in CHAT_ONLY:
            continue
        assert [each for each in good if refused(model, api, name, **{name: each})] == []
        assert [each for each in bad if not refused(model, api, name, **{name: each})] == []


def sampling_is_taken(facts: Facts, effort: str | None) -> bool | None:
    """Whether the table says that a model samples at an effort; None where it does not say."""
    effort = effort or facts.default_effort
    if facts.sampling in (None, ALWAYS) or facts.sampling == NEVER:
        return facts.sampling != NEVER
    assert facts.sampling == QUIET
    return None if effort is None else effort == "none"


@pytest.mark.parametrize(("model", "api"), SWEEP)
def test_sampling_is_judged_by_model_and_effort(model: str, api: Api) -> None:
    facts = FACTS[model]
    for effort in (None, *(facts.efforts or ())):
        beside = {} if effort is None else {"reasoning_effort": effort}
        taken = sampling_is_taken(facts, effort)
        for name, (harmless, good, bad) in SAMPLING.items():
            if api == "responses" and name in SAMPLING_ON_CHAT_ONLY:
                continue
            for value in harmless:
                assert not refused(model, api, name, **{name: value}, **beside)
            for value in good:
                found = refused(model, api, name, **{name: value}, **beside)
                assert found == (taken is False), (name, value, effort)
            for value in bad:
                assert refused(model, api, name, **{name: value}, **beside), (name, value)


@pytest.mark.parametrize(("model", "api"), SWEEP)
def test_every_effort_is_judged_by_the_model(model: str, api: Api) -> None:
    efforts = FACTS[model].efforts
    for effort in EFFORTS:
        expected = efforts is not None and effort not in efforts
        assert refused(model, api, "reasoning_effort", reasoning_effort=effort) == expected
        nested = {"reasoning": {"effort": effort}}
        if api == "responses":
            assert refused(model, api, "reasoning.effort", **nested) == expected
    for bad in ("extreme", "", 3, True):
        assert refused(model, api, "reasoning_effort", reasoning_effort=bad)


@pytest.mark.parametrize(("model", "api"), SWEEP)
def test_output_limits_are_those_of_the_model(model: str, api: Api) -> None:
    limit = FACTS[model].max_output
    name = "max_completion_tokens" if api == "chat_completions" else "max_output_tokens"
    for spelling in (name, "max_tokens"):
        for good in (16, limit):
            assert not refused(model, api, spelling, **{spelling: good})
        for bad in (0, -1, limit + 1, 10.5, True, "many"):
            assert refused(model, api, spelling, **{spelling: bad})
        assert refused(model, api, spelling, **{spelling: 15}) == (api == "responses")


@pytest.mark.parametrize(("model", "api"), SWEEP)
def test_other_parameters_are_judged_by_the_model(model: str, api: Api) -> None:
    facts = FACTS[model]
    refuses = facts.verbosity is False
    assert refused(model, api, "verbosity", verbosity="low") == refuses
    assert not refused(model, api, "verbosity", verbosity="medium")
    if facts.verbosity:
        assert refused(model, api, "verbosity", verbosity="huge")
    calls = {"tools": TOOLS, "parallel_tool_calls": False}
    assert refused(model, api, "parallel", **calls) == (facts.parallel_calls is False)
    cache = {"prompt_cache_options": {"mode": "explicit", "ttl": "30m"}}
    assert refused(model, api, "prompt_cache_options", **cache) == (not facts.cache_options)
    late = refused(model, api, "prompt_cache_retention", prompt_cache_retention="in_memory")
    assert late == (facts.retentions == ("24h",))
    assert not refused(model, api, "prompt_cache_retention", prompt_cache_retention="24h")


@pytest.mark.parametrize("model", [model for model, facts in FACTS.items()])
def test_chat_completions_is_judged_by_the_model(model: str) -> None:
    facts, api = FACTS[model], APIS[0]
    assert refused(model, api, "model", temperature=1) == facts.responses_only
    if facts.responses_only:
        return
    assert refused(model, api, "stop", stop=["x"]) == (facts.stop is False)
    if facts.stop:
        assert not refused(model, api, "stop", stop=["a"] * 4)
        assert refused(model, api, "stop", stop=["a"] * 5)
    for effort in (None, *(facts.efforts or ())):
        beside = {} if effort is None else {"reasoning_effort": effort}
        quiet = (effort or facts.default_effort) in ("none", None)
        if facts.tools_on_chat == NEVER:
            assert refused(model, api, "tools", tools=TOOLS, **beside)
        else:
            loud = facts.tools_on_chat == QUIET and not quiet
            assert refused(model, api, "reasoning_effort", tools=TOOLS, **beside) == loud
    assert not refused(model, "responses", "", tools=TOOLS)


@pytest.mark.parametrize("name", ["stop", "seed", "n", "logit_bias", "presence_penalty"])
@pytest.mark.parametrize("model", FACTS)
def test_the_responses_api_lacks_some_parameters_for_all_models(model: str, name: str) -> None:
    value: Any = {"stop": ["x"], "logit_bias": {"1": 1}}.get(name, 1)
    assert refused(model, "responses", name, **{name: value})


@pytest.mark.parametrize(("model", "api"), SWEEP)
def test_the_defaults_of_a_model_are_values_that_it_takes(model: str, api: Api) -> None:
    defaults = ModelParameters.defaults(model, api)
    facts = FACTS[model]
    assert (defaults.max_tokens, defaults.reasoning_effort) == (
        facts.max_output,
        facts.default_effort,
    )
    assert defaults.check(model, api) == []
    assert (defaults.temperature == 1) == (facts.sampling in (ALWAYS, QUIET))


@pytest.mark.parametrize(("model", "api"), SWEEP)
def test_what_is_adjusted_is_accepted(model: str, api: Api) -> None:
    params: dict[str, Any] = {
        "temperature": 3,
        "top_p": -1,
        "presence_penalty": 9,
        "logprobs": True,
        "max_tokens": 10**9,
        "reasoning_effort": "minimal",
        "verbosity": "LOW",
        "stop": list("abcdef"),
        "seed": 1,
        "logit_bias": {1: 999},
        "prompt_cache_options": {"mode": "explicit"},
        "prompt_cache_retention": "in_memory",
        "stream_options": {},
    }
    if FACTS[model].tools_on_chat != NEVER:
        params |= {"tools": TOOLS, "parallel_tool_calls": True}
    applied = ParameterValidator("adjust").decide(params, model, api)
    assert ParameterValidator().check(applied.params, model, api) == []
    assert {each.name.split(".")[0] for each in applied.changes} >= {"max_tokens", "stream_options"}
    for change in applied.changes:
        assert change.old != change.new
        assert repr(change.old)[:20] in (applied.warning or "")
