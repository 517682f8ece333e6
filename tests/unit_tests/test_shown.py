"""How values look in a terminal and in a notebook."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from usage_records import usage_record

from langchain_tamma_openai import (
    Budget,
    ChatTammaOpenAI,
    Cost,
    CostCalculator,
    UsageTracker,
    reconcile,
)
from langchain_tamma_openai.wire.usage import TokenUsage

EVIL = "<script>alert('&')</script>"


def _html(value: object) -> str:
    return str(value._repr_html_())  # type: ignore[attr-defined]  # what notebooks call


def test_a_cost_shows_exact_dollars() -> None:
    cost = CostCalculator().cost(TokenUsage(1000, 100, 1100), "gpt-4o")
    assert repr(cost) == "Cost($0.0035 = in $0.0025, out $0.001, genai-prices 0.2.3)"
    assert "<td" in _html(cost)
    assert "0.0035" in _html(cost)


def test_an_unknown_cost_says_so_and_why() -> None:
    assert repr(Cost()) == "Cost(unknown)"
    assert repr(Cost(unknown_reason="no price")) == "Cost(unknown: no price)"
    assert "unknown" in _html(Cost())


def test_an_estimate_and_another_currency_are_named() -> None:
    cost = Cost(Decimal(1), Decimal(2), Decimal(3), currency="EUR", estimated=True)
    assert repr(cost) == "Cost($3 = in $1, out $2, EUR, estimated)"


@pytest.fixture
def tracker() -> UsageTracker:
    tracker = UsageTracker("memory")
    tracker.record(usage_record(1, model=EVIL, user_id="u-1"))
    tracker.record(usage_record(2, model="gpt-4o", user_id="u-2"))
    return tracker


def test_a_summary_says_what_was_used(tracker: UsageTracker) -> None:
    assert repr(tracker.summary()).startswith("UsageSummary(2 requests, ")
    text = repr(tracker.summary(group_by=("day", "model")))
    assert text.endswith("; 2 groups by day, model)")


def test_a_group_shows_its_key(tracker: UsageTracker) -> None:
    group = tracker.summary(group_by=("user_id",)).groups[0]
    assert repr(group).startswith("UsageGroup({'user_id': 'u-1'}: 1 requests, ")


def test_a_summary_is_a_table_with_every_group_and_the_total(tracker: UsageTracker) -> None:
    summary = tracker.summary(datetime(2020, 1, 1, tzinfo=UTC), group_by=("model", "user_id"))
    html = _html(summary)
    assert html.count("<tr>") == 1 + 2 + 1
    assert "from 2020-01-01 00:00 to now (UTC)" in html
    assert "<script>" not in html
    assert "&lt;script&gt;" in html


def test_many_groups_are_cut_and_counted() -> None:
    tracker = UsageTracker("memory")
    for number in range(250):
        tracker.record(usage_record(number, user_id=f"u-{number}"))
    assert "and 51 more" in _html(tracker.summary(group_by=("user_id",)))


def test_a_model_shows_what_was_chosen_as_it_is_typed() -> None:
    llm = ChatTammaOpenAI(
        model="gpt-4o", temperature=0, api_key="sk-secret-secret", budget=Budget(limit_usd=1)
    )
    text = repr(llm)
    assert text.startswith("ChatTammaOpenAI(model='gpt-4o', ")
    assert "temperature=0.0" in text
    assert "api_key=SecretStr('**********')" in text
    assert "budget=Budget(" in text
    for noise in ("sk-secret", "profile", "lc_versions", "callbacks", "stream_usage"):
        assert noise not in text


def test_a_model_in_a_notebook_knows_its_price_and_hides_its_key() -> None:
    llm = ChatTammaOpenAI(
        model="gpt-4o", api_key="sk-secret-secret", base_url="https://u:pw@example.org/v1?k=v"
    )
    html = _html(llm)
    assert "$2.5 in, $10 out, per million tokens" in html
    assert "128,000 tokens" in html
    assert "https://example.org/v1" in html
    assert "sk-secret" not in html
    assert "pw@" not in html


def test_a_model_nobody_knows_shows_too() -> None:
    html = _html(ChatTammaOpenAI(model=EVIL, api_key="sk-test"))
    assert "unknown" in html
    assert "<script>" not in html


def test_a_comparison_says_what_it_found_and_escapes_the_file() -> None:
    export = [{"id": EVIL, "created": 1790900000, "model": EVIL, "cost_usd": "0.5"}]
    found = reconcile(UsageTracker("memory"), export)
    assert repr(found) == (
        "Reconciliation(calls: 1 missing_in_ledger; 0 calls agree; "
        "$0.5 billed, $0 recorded, $0 unexplained)"
    )
    html = _html(found)
    assert "missing_in_ledger" in html
    assert "<script>" not in html
    assert "&lt;script&gt;" in html
