"""The snapshot says what the installed genai-prices says, and steps back where it might not."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, datetime
from typing import Any

import genai_prices
import genai_snapshot
import pytest
from genai_prices.data import providers
from hypothesis import given
from hypothesis import strategies as st

from langchain_tamma_openai.models import ModelCatalog
from langchain_tamma_openai.pricing_genai import GenaiPrices
from langchain_tamma_openai.pricing_snapshot import PriceSnapshot, UnsureError
from langchain_tamma_openai.pricing_tables import lookup_names

RAW: dict[str, Any] = json.loads(genai_snapshot.FILE.read_text(encoding="utf-8"))
SNAPSHOT = PriceSnapshot(RAW)
READER = GenaiPrices()
OPENAI = next(provider for provider in providers if provider.id == "openai")
TIERS = ("standard", "batch", "flex", "priority", "fast", "default", "ultrafast")

pytestmark = pytest.mark.skipif(
    SNAPSHOT.version != genai_prices.__version__,
    reason="another genai-prices is installed, so the snapshot is not used",
)


def _moments() -> list[datetime]:
    """Noon before, on and after each day on which a price begins."""
    days = {
        since
        for model in RAW["models"]
        for each in (*model["prices"], *model["variants"])
        if (since := each["since"]) is not None
    }
    firsts = [datetime.fromisoformat(day).replace(tzinfo=UTC) for day in sorted(days)]
    return [datetime(2020, 1, 1, tzinfo=UTC), *firsts, datetime(2030, 1, 1, tzinfo=UTC)]


MOMENTS = _moments()


def _names() -> set[str]:
    """Every name that a rule of OpenAI's entries speaks of, and every model of the catalogue."""
    found = {model.id for model in OPENAI.models}
    found |= {info.name for info in ModelCatalog().list(include_shut_down=True)}

    def walk(rule: list[Any]) -> None:
        kind, wanted = rule
        if kind in {"or", "and"}:
            for part in wanted:
                walk(part)
        else:
            found.add(str(wanted))

    for model in RAW["models"]:
        walk(model["match"])
    return found


NAMES = sorted(_names())
IDS = {model.id for model in OPENAI.models}


def test_the_file_is_of_the_installed_release() -> None:
    assert genai_snapshot.FILE.read_text(encoding="utf-8") == genai_snapshot.text()


def test_every_entry_has_the_prices_of_the_package_on_every_tier_and_day() -> None:
    wrong = [
        (name, tier, at)
        for name in NAMES
        for tier in TIERS
        for at in (MOMENTS if name in IDS else MOMENTS[-1:])
        if SNAPSHOT.find((name,), tier, at) != READER.find((name,), tier, at)
    ]
    assert wrong == []
    assert len(RAW["models"]) == len(OPENAI.models)


suffixes = st.sampled_from(
    ["", "-2025-08-07", "-mini", "-pro", ":org::id", "-preview", "x", "-latest", "-audio"]
)
wild = st.builds("".join, st.tuples(st.sampled_from(["", "ft:", "o", "x"]), st.sampled_from(NAMES)))


@given(name=st.builds(str.__add__, wild, suffixes), tier=st.sampled_from(TIERS))
def test_names_are_matched_as_the_package_matches_them(name: str, tier: str) -> None:
    names, at = lookup_names(name), MOMENTS[-1]
    assert SNAPSHOT.find(names, tier, at) == READER.find(names, tier, at)


def test_a_compact_date_is_left_to_the_package() -> None:
    with pytest.raises(UnsureError):
        SNAPSHOT.find(("gpt-5.2-20251211",), "standard", MOMENTS[-1])


def _in_a_fresh_process(code: str) -> str:
    done = subprocess.run(  # noqa: S603 - fixed commands
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


COST = """
import sys
from langchain_tamma_openai.pricing import CostCalculator
calculator = CostCalculator()
def usd(model):
    cost = calculator.cost({"input_tokens": 1000, "output_tokens": 0}, model)
    return None if cost.total_usd is None else float(cost.total_usd)
def loaded():
    return "genai_prices" in sys.modules
"""


def test_openai_models_are_priced_without_loading_the_package() -> None:
    code = 'print(usd("gpt-4o"), usd("gpt-4o-mini-2024-07-18"), usd("no-such"), loaded())'
    assert _in_a_fresh_process(COST + code) == "0.0025 0.00015 None False"


def test_another_release_than_that_of_the_snapshot_is_loaded() -> None:
    code = """
import importlib.metadata as metadata
real = metadata.version
metadata.version = lambda name: "0.2.99" if name == "genai-prices" else real(name)
print(usd("gpt-4o"), loaded())
"""
    assert _in_a_fresh_process(COST + code) == "0.0025 True"


def test_prices_that_the_user_puts_in_place_win_over_the_snapshot() -> None:
    code = """
print(usd("gpt-4o"), loaded(), end=" ")
from dataclasses import replace
from decimal import Decimal
from genai_prices.data_snapshot import DataSnapshot, get_snapshot, set_custom_snapshot
from genai_prices.types import ClauseEquals, ModelInfo, ModelPrice
dear = ModelPrice(input_mtok=Decimal(7), output_mtok=Decimal(70))
model = ModelInfo(id="gpt-4o", match=ClauseEquals("gpt-4o"), prices=dear)
openai = next(each for each in get_snapshot().providers if each.id == "openai")
provider = replace(openai, models=[model])
set_custom_snapshot(DataSnapshot(providers=[provider], from_auto_update=False))
print(usd("gpt-4o"))
"""
    assert _in_a_fresh_process(COST + code) == "0.0025 False 0.007"
