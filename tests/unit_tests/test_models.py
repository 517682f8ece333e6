"""The model catalogue: facts about known models, honesty about unknown ones."""

from __future__ import annotations

import logging
import pickle
import subprocess
import sys
import warnings
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from langchain_core.language_models import ModelProfile
from langchain_openai.data._profiles import _PROFILES

from langchain_tamma_openai import models
from langchain_tamma_openai.models import (
    ModelCatalog,
    ModelInfo,
    shutdown_warning,
    warn_if_shut_down,
)

CATALOG = ModelCatalog()
TODAY = date(2026, 11, 22)


@pytest.fixture(autouse=True)
def forget_warnings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(models, "_warned_models", set())


def test_the_default_model_is_fully_known() -> None:
    info = CATALOG.get("gpt-6-luna")
    assert (info.known, info.context_window_tokens, info.max_output_tokens) == (
        True,
        1_050_000,
        128_000,
    )
    assert info.max_input_tokens == 922_000
    assert info.encoding == "o200k_base"
    assert info.reasoning_efforts == ("none", "low", "medium", "high", "xhigh", "max")
    assert info.tools_on_chat == "with_effort_none"
    assert info.is_reasoning is True
    assert info.shutdown_date is None


@pytest.mark.parametrize(
    ("model", "window", "successor", "end"),
    [
        ("gpt-4", 8192, "gpt-5.6-sol", date(2026, 10, 23)),
        ("gpt-4-turbo-preview", 128_000, "gpt-5.6-sol", date(2026, 3, 26)),
        ("gpt-3.5-turbo", 16_385, "gpt-5.6-terra", date(2026, 10, 23)),
    ],
)
def test_the_models_of_the_first_design_are_known_and_name_a_successor(
    model: str, window: int, successor: str, end: date
) -> None:
    info = CATALOG.get(model)
    assert CATALOG.is_supported(model)
    assert (info.context_window_tokens, info.successor, info.shutdown_date) == (
        window,
        successor,
        end,
    )
    assert info.encoding == "cl100k_base"
    assert info.is_shut_down(end)
    assert not info.is_shut_down(date(2026, 3, 1))
    sheet = info.prices()
    assert sheet is not None
    assert sheet.for_input(1) is not None


def test_every_entry_is_complete_enough_to_use() -> None:
    for info in CATALOG.list():
        assert info.known
        assert info.context_window_tokens
        assert info.max_output_tokens
        assert info.encoding
        assert info.output_limit_parameter in {"max_tokens", "max_completion_tokens"}
        assert info.responses_only is not None
        if info.default_reasoning_effort is not None:
            assert info.default_reasoning_effort in (info.reasoning_efforts or ())
        if info.successor is not None:
            successor = CATALOG.get(info.successor)
            assert successor.known
            assert not successor.is_shut_down(TODAY)


def test_living_models_have_a_price() -> None:
    unpriced = {
        info.name
        for info in CATALOG.list(include_shut_down=False)
        if info.prices(datetime(2026, 11, 22, tzinfo=UTC)) is None
    }
    assert unpriced == {
        "gpt-5.3-codex-spark",
        "gpt-daybreak-blue-latest",
        "gpt-daybreak-red-latest",
        "gpt-oss-120b",
        "gpt-oss-20b",
    }


def test_prices_follow_the_date() -> None:
    info = CATALOG.get("gpt-5.6-terra")
    for day, expected in ((29, "2.5"), (30, "2")):
        sheet = info.prices(datetime(2026, 7, day, tzinfo=UTC))
        assert sheet is not None
        prices = sheet.for_input(1)
        assert prices is not None
        assert prices.input_usd_per_mtok == Decimal(expected)


@pytest.mark.parametrize(
    ("model", "base"),
    [
        ("gpt-4.1-2025-04-14", "gpt-4.1"),
        ("gpt-5.6-sol-2026-07-09", "gpt-5.6-sol"),
        ("gpt-5.2-20251211", "gpt-5.2"),
    ],
)
def test_dated_snapshots_are_described_by_their_model(model: str, base: str) -> None:
    info, expected = CATALOG.get(model), CATALOG.get(base)
    assert (info.name, info.base, info.known) == (model, base, True)
    assert info.context_window_tokens == expected.context_window_tokens
    assert info.shutdown_date == expected.shutdown_date


def test_a_snapshot_with_facts_of_its_own_keeps_them() -> None:
    info = CATALOG.get("gpt-4o-2024-05-13")
    assert (info.max_output_tokens, info.shutdown_date) == (4096, date(2026, 10, 23))
    assert info.base is None


def test_fine_tuned_models_are_described_by_their_base_model() -> None:
    info = CATALOG.get("ft:gpt-4.1-2025-04-14:acme::B123")
    assert (info.known, info.fine_tuned, info.base) == (True, True, "gpt-4.1")
    assert info.encoding == "o200k_base"
    assert CATALOG.get("ft:o4-mini-2025-04-16:acme::x").encoding == "o200k_base"
    assert not CATALOG.get("ft:own-model:acme::x").known
    assert not CATALOG.get("ft:").known


@pytest.mark.parametrize("model", ["llama-3.3-70b", "", "gpt-7", "gpt-4o-latest"])
def test_unknown_models_are_said_to_be_unknown(model: str) -> None:
    info = CATALOG.get(model)
    assert info == ModelInfo(model)
    assert not CATALOG.is_supported(model)
    assert info.is_reasoning is None
    assert not info.is_shut_down(date(2100, 1, 1))
    assert info.profile() == {}
    assert info.prices() is None


@pytest.mark.parametrize(
    ("model", "temperature", "tools", "stop", "responses_only"),
    [
        ("gpt-4o", "always", "always", True, False),
        ("o3", "never", "always", False, False),
        ("gpt-5", "never", "always", False, False),
        ("gpt-5.1", "with_effort_none", "always", False, False),
        ("gpt-5.4-mini", "with_effort_none", "with_effort_none", False, False),
        ("gpt-5.5", "never", "with_effort_none", False, False),
        ("gpt-6-sol", "with_effort_none", "with_effort_none", False, False),
        ("gpt-6-astra", "never", "never", False, False),
        ("gpt-6.2-sol", "never", "never", False, False),
        ("gpt-6.1-terra", None, None, False, False),
        ("gpt-5.4-pro", "never", "never", False, True),
        ("gpt-5.3-codex", "with_effort_none", "never", False, True),
    ],
)
def test_parameter_rules(
    model: str, temperature: str | None, tools: str | None, stop: object, responses_only: object
) -> None:
    info = CATALOG.get(model)
    assert info.supports_temperature == info.supports_top_p == info.supports_logprobs
    assert (info.supports_temperature, info.tools_on_chat) == (temperature, tools)
    assert (info.supports_stop, info.responses_only) == (stop, responses_only)


def test_shut_down_models_can_be_left_out_of_the_list() -> None:
    everything = {info.name for info in CATALOG.list()}
    living = {info.name for info in CATALOG.list(include_shut_down=False)}
    assert {"gpt-6.2-sol", "gpt-6-luna"} <= living
    assert "gpt-4" in everything - living


def test_facts_are_dated() -> None:
    assert CATALOG.as_of == TODAY


def test_a_shut_down_model_warns_with_its_successor() -> None:
    message = shutdown_warning("gpt-4", TODAY)
    assert message is not None
    assert "2026-10-23" in message
    assert "gpt-5.6-sol" in message
    assert shutdown_warning("gpt-4", date(2026, 10, 22)) is None
    assert shutdown_warning("gpt-4-0613", TODAY) is not None


def test_without_a_known_successor_the_warning_points_to_the_list() -> None:
    message = shutdown_warning("gpt-5.1", date(2027, 4, 1))
    assert message is not None
    assert "deprecations" in message


def test_the_warning_comes_once_per_model() -> None:
    with pytest.warns(UserWarning, match="gpt-5.6-terra") as first:
        warn_if_shut_down("gpt-3.5-turbo")
    assert len(first) == 1
    with warnings.catch_warnings(record=True) as second:
        warnings.simplefilter("always")
        warn_if_shut_down("gpt-3.5-turbo")
        warn_if_shut_down("gpt-6-luna")
        warn_if_shut_down("no-such-model")
    assert second == []


def test_the_warning_is_logged_where_warnings_are_errors(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with warnings.catch_warnings(), caplog.at_level(logging.WARNING):
        warnings.simplefilter("error")
        warn_if_shut_down("gpt-4")
    assert "gpt-5.6-sol" in caplog.text


# What ChatOpenAI 1.7.3's profiles say otherwise, and what they leave out that is known.
TOO_HIGH_MAX_INPUT = {
    *("gpt-5.3-codex", "gpt-5.4-mini", "gpt-5.4-nano"),
    *("gpt-5.6", "gpt-5.6-sol", "gpt-5.6-terra", "gpt-5.6-luna"),
    *("gpt-6-astra", "gpt-6-sol", "gpt-6-luna", "gpt-6.1-sol", "gpt-6.1-terra"),
}
GENERIC_EFFORTS = {
    *("gpt-5-pro", "gpt-5.2-pro", "gpt-5.4-pro", "gpt-5.5-pro"),
    *("gpt-5-chat-latest", "gpt-5.1-chat-latest", "gpt-5.2-chat-latest"),
    *("gpt-5-codex", "gpt-5.1-codex", "gpt-5.1-codex-max", "gpt-5.1-codex-mini"),
    *("gpt-5.2-codex", "gpt-5.3-codex", "gpt-5.3-codex-spark"),
}
# Marked as taking image URLs and PDF files although the same profile says: no image input.
CONTRADICTORY = {"gpt-4", "o3-mini"}
NOT_CHAT = ("image", "embedding", "realtime")


@pytest.mark.parametrize("written", ["GPT-4o", " gpt-4o ", "Gpt-4o-2030-01-01"])
def test_case_and_blanks_of_a_name_make_no_difference(written: str) -> None:
    info = ModelCatalog().get(written)
    assert info.known
    assert info.context_window_tokens == 128_000


def test_a_fine_tuned_model_keeps_its_name_as_written() -> None:
    written = "ft:gpt-4.1-2025-04-14:Org::AbC"
    assert ModelCatalog().get(written).name == written
    assert ModelCatalog().get(" My-Model ").name == " My-Model "


@pytest.mark.parametrize(
    "model", [name for name in _PROFILES if not any(word in name for word in NOT_CHAT)]
)
def test_profiles_equal_those_of_chat_openai_except_where_listed(model: str) -> None:
    theirs: dict[str, Any] = dict(_PROFILES[model])
    ours: dict[str, Any] = dict(CATALOG.get(model).profile())
    missing = theirs.keys() - ours.keys()
    different = {key for key in theirs.keys() & ours.keys() if theirs[key] != ours[key]}
    allowed: set[str] = set()
    if model in TOO_HIGH_MAX_INPUT:
        allowed |= {"max_input_tokens"}
    if model in GENERIC_EFFORTS:
        allowed |= {"reasoning_effort_levels"}
    if model in CONTRADICTORY:
        allowed |= {"image_url_inputs", "image_tool_message", "pdf_inputs", "pdf_tool_message"}
    if model == "gpt-6-astra":
        allowed |= {"release_date", "last_updated"}
    assert missing | different == allowed
    added = ours.keys() - theirs.keys()
    if "name" in theirs:
        assert added <= {"reasoning_effort_levels", "reasoning_effort_default"}


def test_profiles_use_only_keys_that_langchain_declares() -> None:
    # The peer's own extra keys, which LangChain does not declare, stay in for compatibility.
    declared = ModelProfile.__annotations__.keys() | {"temperature", "attachment"}
    for info in CATALOG.list():
        assert info.profile().keys() <= declared


def test_infos_are_shared_hashable_and_survive_pickling() -> None:
    info = CATALOG.get("gpt-4o")
    assert ModelCatalog().get("gpt-4o") is info
    assert hash(info) == hash(pickle.loads(pickle.dumps(info)))  # noqa: S301 - our own bytes
    assert pickle.loads(pickle.dumps(info)) == info  # noqa: S301 - our own bytes


def test_importing_the_module_reads_no_data() -> None:
    code = (
        "import sys, langchain_tamma_openai.models as m;"
        "assert m._catalogue.cache_info().currsize == 0;"
        "assert not {'genai_prices', 'openai', 'tiktoken'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)  # noqa: S603 - fixed command
