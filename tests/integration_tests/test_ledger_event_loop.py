"""A ledger or a budget that has to wait for its database never holds up the event loop."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from accounting import PRICES, PROMPT, Accountant, Plan
from loopback import Act, LoopbackServer

from langchain_tamma_openai import ChatTammaOpenAI
from langchain_tamma_openai.chat_models.received import Received
from langchain_tamma_openai.usage.budget import Budget
from langchain_tamma_openai.usage.tracker import Durability, UsageTracker

CALLS = 40
TURNS = 100


async def ask(model: ChatTammaOpenAI, number: int) -> None:
    if number % 2:
        await model.ainvoke(PROMPT)
    else:
        async for _ in model.astream(PROMPT):
            pass


async def turns_while_locked(file: Path, calls: list[asyncio.Task[None]]) -> int:
    """Count the turns of the event loop while another program keeps the database locked."""
    with closing(sqlite3.connect(file, timeout=30)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        turns = 0
        while turns < TURNS:
            await asyncio.sleep(0.005)
            turns += 1
        connection.rollback()
    await asyncio.gather(*calls)
    return turns


def model_at(server: LoopbackServer, **fields: Any) -> ChatTammaOpenAI:
    return server.model(
        max_tokens=100,
        stream_usage=True,
        price_overrides=PRICES,
        stream_chunk_timeout=0.3,
        **fields,
    )


@pytest.mark.parametrize("durability", ["sync", "batched"])
async def test_a_locked_ledger_lets_the_event_loop_turn(
    durability: Durability, tmp_path: Path
) -> None:
    file = tmp_path / "usage.db"
    with (
        LoopbackServer(Accountant()) as server,
        UsageTracker(file, durability, busy_timeout_s=60.0) as tracker,
    ):
        model = model_at(server, usage_tracker=tracker)
        calls = [asyncio.create_task(ask(model, number)) for number in range(CALLS)]
        assert await turns_while_locked(file, calls) == TURNS
        assert len([record async for record in tracker.arecords()]) == CALLS
        await model.aclose()
    assert not list(tmp_path.glob("*spill*"))  # noqa: ASYNC240 - the calls are over


async def test_a_locked_budget_lets_the_event_loop_turn(tmp_path: Path) -> None:
    file = tmp_path / "budget.db"
    accountant = Accountant()
    with LoopbackServer(accountant) as server:
        budget = Budget(1, store=f"sqlite:///{file}")
        model = model_at(server, budget=budget)
        calls = [asyncio.create_task(ask(model, number)) for number in range(CALLS)]
        assert await turns_while_locked(file, calls) == TURNS
        status = await budget.astatus()
        await model.aclose()
        await budget.aclose()
    assert status.spent_usd == sum(entry.usd for entry in accountant.entries)
    assert status.reserved_usd == 0


@pytest.mark.parametrize("is_watched", [True, False])
async def test_the_tokens_of_a_broken_stream_are_counted_in_a_thread(
    monkeypatch: pytest.MonkeyPatch, *, is_watched: bool
) -> None:
    counted_in: list[threading.Thread] = []
    count = Received._estimate

    def counting(received: Received, call: Any) -> Any:
        counted_in.append(threading.current_thread())
        return count(received, call)

    monkeypatch.setattr(Received, "_estimate", counting)
    with LoopbackServer(Accountant([Plan(after=4, then=Act.DROP)])) as server:
        model = model_at(server, usage_tracker=UsageTracker() if is_watched else None)
        with pytest.raises(Exception, match=r"broke off|ended|interrupted") as caught:
            await ask(model, 0)
        await model.aclose()
    assert getattr(caught.value, "usage")["output_tokens"] > 0  # noqa: B009 - of this kind of error only
    assert len(counted_in) == 1
    assert counted_in[0] is not threading.main_thread()
