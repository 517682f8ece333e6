"""`tamma-openai models`: the catalogue as a list, filtered and ordered, and one model."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from langchain_tamma_openai import ModelCatalog
from langchain_tamma_openai.__main__ import main


def listed(capsys: pytest.CaptureFixture[str], *options: str) -> list[dict[str, Any]]:
    assert main(["models", *options, "--json"]) == 0
    found: list[dict[str, Any]] = json.loads(capsys.readouterr().out)
    return found


def price(model: dict[str, Any], kind: str = "input", tier: str = "standard") -> Decimal | None:
    rows = [row for row in model["prices"] if row["tier"] == tier]
    value = rows[0][f"{kind}_usd_per_mtok"] if rows else None
    return None if value is None else Decimal(value)


def test_a_pipe_gets_one_line_for_each_living_model(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models"]) == 0
    head, *lines = capsys.readouterr().out.splitlines()
    assert head.split()[:3] == ["model", "context", "output"]
    living = [info.name for info in ModelCatalog().list(include_shut_down=False)]
    assert [line.split()[0] for line in lines] == living
    luna = next(line for line in lines if line.startswith("gpt-6-luna "))
    assert luna.split()[1:6] == ["1,050,000", "128,000", "0.1", "0.01", "0.5"]


def test_shut_down_models_are_listed_when_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    every = {model["name"] for model in listed(capsys, "--all")}
    assert every == {info.name for info in ModelCatalog().list()}
    assert every > {model["name"] for model in listed(capsys)}
    past = {model["name"] for model in listed(capsys, "--at", "2025-01-01")}
    assert "gpt-4-32k" not in {model["name"] for model in listed(capsys)}
    assert past > {model["name"] for model in listed(capsys)}


def test_filters_hold_together(capsys: pytest.CaptureFixture[str]) -> None:
    models = listed(capsys, "-f", "MINI".lower(), "-c", "reasoning", "--min-context", "300000")
    assert models
    for model in models:
        assert "mini" in model["name"]
        assert "reasoning" in model["capabilities"]
        assert model["context_window_tokens"] >= 300_000


@pytest.mark.parametrize(("key", "kind"), [("input", "input"), ("output", "output")])
def test_prices_order_the_list_and_unknown_ones_come_last(
    key: str, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for reverse in (False, True):
        models = listed(capsys, "--sort", key, *(["-r"] if reverse else []))
        prices = [price(model, kind) for model in models]
        known = [amount for amount in prices if amount is not None]
        assert known == sorted(known, reverse=reverse)
        assert prices[len(known) :] == [None] * (len(prices) - len(known))


def test_a_tier_lists_only_models_that_have_it(capsys: pytest.CaptureFixture[str]) -> None:
    models = listed(capsys, "--tier", "priority")
    assert models
    assert all(any(row["tier"] == "priority" for row in model["prices"]) for model in models)


def test_one_model_is_shown_with_every_price(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "gpt-5.4"]) == 0
    told = capsys.readouterr().out
    for fact in ("context_window_tokens  ", "reasoning_efforts  ", "272,000", "priority"):
        assert fact in told
    assert main(["models", "gpt-4o-2024-08-06", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["shutdown_date"] == "2027-01-14"


def test_a_dated_or_fine_tuned_model_has_the_facts_and_prices_of_its_base(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["models", "ft:gpt-4.1-mini:acme::1", "--json"]) == 0
    model = json.loads(capsys.readouterr().out)
    assert (model["base"], model["fine_tuned"]) == ("gpt-4.1-mini", True)


def test_a_model_that_is_shut_down_names_its_successor(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "gpt-4.5-preview"]) == 0
    assert "was shut down on 2025-07-14; OpenAI names " in capsys.readouterr().err


def test_an_unknown_model_names_close_ones(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "gpt-6-lunar"]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("error: gpt-6-lunar: the catalogue has no such model; did you")
    assert "gpt-6-luna" in captured.err


@pytest.mark.parametrize(
    "options",
    [["--can", "fly"], ["--sort", "beauty"], ["--min-context", "-1"], ["--at", "soon"]],
    ids=lambda options: options[0],
)
def test_wrong_options_are_named(options: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", *options]) == 2
    assert options[0] in capsys.readouterr().err


def test_nothing_found_is_said_beside_the_output(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "--filter", "nothing-like-it"]) == 0
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("no model fits")
