"""What was found to be fine is remembered, and by nothing that could hide a problem."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lint_bad_requests import BAD
from mock_api import Json, MockAPI

from langchain_tamma_openai import InvalidParameterError
from langchain_tamma_openai.parameters.accepted import AcceptedParameters, key_of
from langchain_tamma_openai.parameters.problems import Api
from langchain_tamma_openai.parameters.validator import ParameterValidator

TOOL: Json = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
CHOICES: list[Any] = [
    None,
    "auto",
    "required",
    "any",
    {"type": "function", "function": {"name": "f"}},
    {"type": "function", "function": {"name": "g"}},
]
POOL: dict[str, list[Any]] = {
    "model": ["gpt-4.1", "gpt-5", "gpt-6-luna", "o3", "my-model", "gpt-5.5-pro"],
    "temperature": [None, 0.2, 1, 1.0, True, 9, "1"],
    "top_p": [None, 0.5, 2],
    "max_completion_tokens": [None, 1, 10**9],
    "stop": [None, [], ["a"], ["a"] * 5, "a"],
    "tools": [None, [], [TOOL], [TOOL] * 129, ["f"], "f"],
    "tool_choice": CHOICES,
    "parallel_tool_calls": [None, True, 1],
    "reasoning_effort": [None, "none", "high", "odd"],
    "reasoning": [None, {"effort": "none"}, {"effort": "high", "summary": "odd"}],
    "text": [None, {"verbosity": "low"}, {"verbosity": "odd", "format": {"type": "text"}}],
    "logit_bias": [None, {"1": 100}, {"1": 101}],
    "logprobs": [None, True, 1],
    "top_logprobs": [None, 3],
    "stream": [None, True, False],
    "stream_options": [None, {"include_usage": True}],
    "metadata": [None, {"a": "b"}, {"a": 1}],
    "n": [None, 1, 0, True],
    "input": [[], [{"type": "additional_tools", "tools": []}]],
}
payloads = st.fixed_dictionaries(
    {name: st.sampled_from(values) for name, values in POOL.items()}
).map(lambda drawn: {name: value for name, value in drawn.items() if value is not None})
VALIDATOR = ParameterValidator()
SEEN: dict[Any, tuple[Json, list[Any]]] = {}


@settings(max_examples=400, deadline=None)
@given(payloads, st.sampled_from(["chat_completions", "responses"]))
def test_sets_known_by_the_same_key_are_judged_the_same(payload: Json, api: Api) -> None:
    for name in (None, *payload):
        less = {key: value for key, value in payload.items() if key != name}
        found = VALIDATOR.check(less, str(less.get("model")), api)
        if (key := key_of(less, api)) is not None:
            other, before = SEEN.setdefault(key, (less, found))
            assert [each.code for each in before] == [each.code for each in found], other


def test_a_request_that_earns_a_400_is_refused_however_often_a_like_one_was_accepted() -> None:
    for payload, _ in BAD.values():
        for api in ("chat_completions", "responses"):
            found = VALIDATOR.check(payload, str(payload.get("model")), api)
            good = {"model": payload.get("model")}
            assert not found or key_of(payload, api) != key_of(good, api)


def test_equal_numbers_of_other_types_are_not_the_same() -> None:
    keys = {key_of({"temperature": value}, "responses") for value in (1, 1.0, True)}
    assert len(keys) == 3


def test_content_and_schemas_are_no_part_of_what_a_set_is_known_by() -> None:
    one = {"model": "gpt-4.1", "messages": [{"role": "user", "content": "a"}], "tools": [TOOL]}
    two = {**one, "messages": [], "tools": [{"type": "custom", "custom": {"name": "x"}}]}
    assert key_of(one, "chat_completions") == key_of(two, "chat_completions") is not None


def test_it_holds_a_bounded_number_of_sets() -> None:
    accepted = AcceptedParameters()
    for number in range(1_000):
        accepted.add(number)
    assert sum(number in accepted for number in range(1_000)) <= 256
    accepted.add(None)
    assert None not in accepted


@pytest.mark.parametrize("policy", ["strict", "adjust"])
def test_a_model_judges_a_bad_set_each_time(policy: Any) -> None:
    api = MockAPI()
    model = api.tamma(parameter_policy=policy, use_responses_api=False, model="gpt-4.1")
    for _ in range(2):
        model.invoke("Hi", temperature=0.5)
        with pytest.raises(InvalidParameterError, match="tool_choice"):
            model.invoke("Hi", temperature=0.5, tool_choice="required")
    assert len(api.requests) == 2
