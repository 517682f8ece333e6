"""What is written at once is safe at once, shares its flushes, and never in part."""

from __future__ import annotations

import asyncio
import json
import os
import resource
from decimal import Decimal
from pathlib import Path

import pytest

from langchain_tamma_openai import Budget
from langchain_tamma_openai.batch_run.journal import Event, begin_line, replay
from langchain_tamma_openai.batch_run.results import BatchResult
from langchain_tamma_openai.batch_run.scribe import FileSink, Scribe
from langchain_tamma_openai.batch_run.spending import budget_line, open_budget


class Pages:
    """Keeps pages; fails when told to."""

    def __init__(self, *, fails: bool = False) -> None:
        self.pages: list[tuple[bytes, bytes]] = []
        self._fails = fails

    def append(self, results: bytes, events: bytes) -> None:
        if self._fails:
            raise OSError(28, "No space left on device")
        self.pages.append((results, events))


async def test_what_waits_together_is_one_page() -> None:
    sink = Pages()
    scribe = Scribe(sink)
    await asyncio.gather(*(scribe.note(Event.SENT, line) for line in range(1, 51)))
    await scribe.keep(BatchResult(3, text="yes"))
    await scribe.close()
    assert len(sink.pages) <= 3
    results, events = (b"".join(parts) for parts in zip(*sink.pages, strict=True))
    assert json.loads(results)["text"] == "yes"
    state = replay([begin_line({}), *events.splitlines(keepends=True)])
    assert (len(state.unresolved), state.done) == (49, {3})


async def test_a_failure_meets_all_who_wait_and_nobody_else() -> None:
    scribe = Scribe(Pages(fails=True))
    notes = (scribe.note(Event.SENT, line) for line in (1, 2))
    failures = await asyncio.gather(*notes, return_exceptions=True)
    assert [type(failure) for failure in failures] == [OSError, OSError]
    with pytest.raises(OSError, match="No space"):
        await scribe.note(Event.SENT, 3)
    await scribe.close()


async def test_a_task_that_is_cancelled_does_not_take_the_page_along() -> None:
    sink = Pages()
    scribe = Scribe(sink)
    leaving = asyncio.create_task(scribe.note(Event.SENT, 1))
    staying = asyncio.create_task(scribe.note(Event.SENT, 2))
    await asyncio.sleep(0)
    leaving.cancel()
    await staying
    await scribe.close()
    assert b'{"sent": 1}' in sink.pages[0][1]
    assert leaving.cancelled()


async def test_every_page_begins_with_the_budget_of_its_moment() -> None:
    budget = open_budget(Decimal(5), Decimal("0.25"))
    sink = Pages()
    scribe = Scribe(sink, lambda: budget_line(budget))
    reservation = budget.reserve("1.5", 10)
    await scribe.note(Event.SENT, 1)
    reservation.settle("0.5", 5)
    await scribe.note_head()
    await scribe.close()
    spent = [
        replay([begin_line({}), *events.splitlines(keepends=True)]).spent_usd
        for _, events in sink.pages
    ]
    assert spent == [Decimal("1.75"), Decimal("0.75"), Decimal("0.75")]


def test_a_budget_may_begin_above_its_limit() -> None:
    budget: Budget = open_budget(Decimal(1), Decimal(3))
    status = budget.status()
    assert [status.spent_usd, status.remaining_usd] == [Decimal(3), Decimal(0)]


def test_a_write_that_fails_leaves_no_part_of_itself(tmp_path: Path) -> None:
    output, journal = (
        os.open(tmp_path / name, os.O_RDWR | os.O_CREAT | os.O_APPEND)
        for name in ("out", "journal")
    )
    sink = FileSink(output, journal, fsync=True)
    sink.append(b"one\n", b"{}\n")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, hard))
    try:
        with pytest.raises(OSError, match="File too large"):
            sink.append(b"two is too long\n", b"{}\n")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        os.close(output)
        os.close(journal)
    assert (tmp_path / "out").read_bytes() == b"one\n"
    assert (tmp_path / "journal").read_bytes() == b"{}\n"
