"""`llm.lint` itself over the requests that earn a 400 and over those that do not, unsent."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from lint_bad_requests import BAD, Json
from mock_api import MockAPI
from test_lint import QUESTION, VALID

from langchain_tamma_openai import Budget, ChatTammaOpenAI
from langchain_tamma_openai.lint import Problem

OPENAI = "https://api.openai.com/v1"


def linted(api: MockAPI, payload: Json) -> list[Problem]:
    """Ask with the parts of a request as a caller would give them."""
    rest = {key: value for key, value in payload.items() if key not in ("messages", "input")}
    name = rest.pop("model", None) or "gpt-4.1"
    model = api.tamma(model=name, base_url=OPENAI, use_responses_api="messages" not in payload)
    given: Any = payload.get("messages", payload.get("input"))
    return model.lint(given, **rest)


# What the model puts right by itself, or says when it is made, is no error of the call.
SETTLED = {
    "no content",
    "no parts",
    "max_tokens for o3",
    "max_tokens on Responses",
    "both limits",
    "a model that is shut down",
}


def test_nearly_all_requests_that_earn_a_400_are_caught_with_a_remedy_and_unsent() -> None:
    api = MockAPI()
    # A model always has a name, so that a request without one cannot be made with it.
    bad = {name: payload for name, (payload, _) in BAD.items() if payload.get("model")}
    missed = [
        name
        for name, payload in bad.items()
        if not any(each.severity == "error" and each.remedy for each in linted(api, payload))
    ]
    assert len(bad) >= 60
    assert set(missed) <= SETTLED
    assert api.requests == []


@pytest.mark.parametrize(("name", "messages", "kwargs"), VALID)
def test_a_valid_call_raises_no_alarm(name: str, messages: list[Any], kwargs: Json) -> None:
    kwargs = dict(kwargs)
    way = kwargs.pop("use_responses_api", None)
    api = MockAPI()
    model = api.tamma(model=name, base_url=OPENAI, use_responses_api=way)
    assert [each for each in model.lint(messages, **kwargs) if each.severity == "error"] == []
    assert api.requests == []


def test_what_a_call_may_cost_is_held_against_the_budget() -> None:
    api = MockAPI()
    budget = Budget(limit_usd=Decimal("0.000001"))
    model = api.tamma(model="gpt-4.1", base_url=OPENAI, budget=budget)
    found = model.lint(QUESTION, max_tokens=1_000)
    assert [each.code for each in found] == ["budget_exceeded"]
    assert api.requests == []


def test_parameters_and_tools_kept_in_model_kwargs_are_looked_at() -> None:
    broken = {"type": "function", "function": {"name": "a b", "parameters": {}}}
    model = ChatTammaOpenAI(
        model="gpt-4.1", api_key="sk-test", model_kwargs={"tools": [broken]}, top_p=3
    )
    wheres = {each.where for each in model.lint("Hi")}
    assert "top_p" in wheres
    assert any(where.startswith("tools/0") for where in wheres)


def test_the_parameters_of_a_bound_model_are_given_to_lint() -> None:
    bound: Any = MockAPI().tamma(model="gpt-4.1", base_url=OPENAI).bind(temperature=9)
    assert [each.where for each in bound.bound.lint("Hi", **bound.kwargs)] == ["temperature"]
