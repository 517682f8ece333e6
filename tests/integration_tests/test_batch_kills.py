"""A batch that is killed again and again: each line is answered once, and nothing is lost."""

from __future__ import annotations

import os
import random
from decimal import Decimal
from pathlib import Path

import pytest
from batches import LINE_USD, Batch, begin, pausing, read_lines, seen, spent, task, write_lines
from loopback import LoopbackServer

from langchain_tamma_openai import UsageTracker
from langchain_tamma_openai.batch_run.session import look

CONCURRENCY = 16
LINES = 2_000 if os.environ.get("TAMMA_BATCH_FULL") else 300
KILLS = 3


def killed(batch: Batch, answered_before: int, rng: random.Random) -> None:
    """Kill a batch at a random moment of the next quarter of its lines."""
    at = answered_before + rng.randint(1, LINES // (KILLS + 1))
    assert batch.kill_at(at, then_s=rng.random() * 0.05)


@pytest.mark.parametrize("seed", [1] if LINES == 300 else [1, 2])
def test_killed_three_times_each_line_is_answered_once(tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)  # noqa: S311 - no secret
    names = [f"line-{number}" for number in range(LINES)]
    source = write_lines(tmp_path / "in.jsonl", [task(name, max_tokens=100) for name in names])
    output, store = tmp_path / "out.jsonl", str(tmp_path / "usage.db")
    options = ("-c", str(CONCURRENCY), "--budget-usd", "0.5", "--store", store, "--json")
    unknown: list[str] = []
    with LoopbackServer(pausing(0.01, 0.03, 0.08)) as server:
        for _ in range(KILLS):
            with begin(source, output, server.url, *options) as batch:
                killed(batch, len(read_lines(output)), rng)
            plan = look(output)
            under_way = {line for line in plan.journal.unresolved if not plan.output.has(line)}
            assert len(under_way) <= CONCURRENCY
            unknown += [names[line - 1] for line in under_way]
        with begin(source, output, server.url, *options) as batch:
            assert batch.end() == 0, batch.told
            summary, told = batch.summary, batch.told
        asked = seen(server)
        cost = spent(server)
    results = read_lines(output)
    assert sorted(result["custom_id"] for result in results) == sorted(names)
    assert all(result["text"] == f"answer to {result['custom_id']}" for result in results)
    # Asked again is only what was under way at a kill; each is named, and its result says so.
    again = {name: times - 1 for name, times in asked.items() if times > 1}
    assert set(asked) == set(names)
    assert set(again) <= set(unknown)
    assert sum(again.values()) <= KILLS * CONCURRENCY
    marked = {result["custom_id"] for result in results if "asked_before" in result}
    assert marked == set(unknown)
    last = [each["custom_id"] for each in summary["unknown_outcome"]]
    assert set(last) <= set(unknown)
    assert bool(last) == ("sent, outcome unknown, asked again" in told)
    # The budget has charged at least what was spent; the ledger has every answer.
    charged = Decimal(summary["budget_spent_usd"])
    assert cost <= charged <= Decimal("0.5")
    assert Decimal(summary["cost_usd"]) == LINE_USD * LINES
    with UsageTracker(f"sqlite:///{store}") as tracker:
        recorded = tracker.summary().total_cost_usd
    assert recorded is not None
    assert LINE_USD * LINES <= recorded <= cost


def test_a_budget_holds_through_kills(tmp_path: Path) -> None:
    names = [f"line-{number}" for number in range(120)]
    source = write_lines(tmp_path / "in.jsonl", [task(name, max_tokens=3) for name in names])
    output, limit = tmp_path / "out.jsonl", LINE_USD * 80
    options = ("-c", "4", "--budget-usd", str(limit), "--json")
    with LoopbackServer(pausing(0.01, 0.05)) as server:
        for _ in range(2):
            with begin(source, output, server.url, *options) as batch:
                assert batch.kill_at(len(read_lines(output)) + 10)
        with begin(source, output, server.url, *options) as batch:
            assert batch.end() == 3, batch.told
            assert "the budget is used up" in batch.told
            assert Decimal(batch.summary["budget_spent_usd"]) <= limit
        assert spent(server) <= limit
        first = len(read_lines(output))
        assert 40 < first <= 80
        with begin(source, output, server.url, "-c", "4", "--budget-usd", "1") as batch:
            assert batch.end() == 0, batch.told
    assert sorted(result["custom_id"] for result in read_lines(output)) == sorted(names)


def test_what_was_in_flight_can_be_left(tmp_path: Path) -> None:
    source = write_lines(tmp_path / "in.jsonl", [task(f"line-{number}") for number in range(12)])
    output = tmp_path / "out.jsonl"
    with LoopbackServer(pausing(0.0, 0.0, 0.0, 30.0)) as server:
        with begin(source, output, server.url, "-c", "4") as batch:
            assert batch.kill_at(9)
        server.script = pausing(0)
        left = [name for name in seen(server) if name not in written(output)]
        with begin(source, output, server.url, "--in-flight", "skip", "--json") as batch:
            assert batch.end() == 1
            assert batch.summary["left"] == len(left) > 0
            unknown = batch.summary["unknown_outcome"]
            assert "left; --in-flight ask asks them again" in batch.told
        assert [each["asked_again"] for each in unknown] == [False] * len(left)
        assert {each["custom_id"] for each in unknown} == set(left)
        assert max(seen(server).values()) == 1
        with begin(source, output, server.url) as batch:
            assert batch.end() == 0
    assert len(written(output)) == 12


def written(output: Path) -> set[str]:
    """Ids of the lines that have a result."""
    return {result["custom_id"] for result in read_lines(output)}
