"""Processes that submit a job under a name, wait for it and say what it came to.

One process loads everything once, and forks for each that is wanted.
"""

from __future__ import annotations

import asyncio
import os
import sys
import traceback
from pathlib import Path
from typing import Any

from langchain_tamma_openai import (
    BatchJob,
    Budget,
    ChatTammaOpenAI,
    UsageTracker,
    no_waiting,
)

INPUTS = [f"n{number}" for number in range(5)]
NAME = "nightly"


def work(url: str, folder: str, way: str) -> str:
    """Do it all, whatever was done before."""
    tracker = UsageTracker(f"sqlite:///{folder}/usage.db")
    budget = Budget(limit_usd=10, name="b", store=f"sqlite:///{folder}/budget.db")
    llm = ChatTammaOpenAI(
        model="gpt-6-luna",
        api_key="sk-test",
        base_url=url,
        max_retries=0,
        max_tokens=50,
        usage_tracker=tracker,
        budget=budget,
    )
    with no_waiting():
        found = asyncio.run(_later(llm, folder)) if way == "async" else _now(llm, folder, way)
    tracker.close()
    return ",".join(answer.text for answer in found)


def _now(llm: ChatTammaOpenAI, folder: str, way: str) -> list[Any]:
    store = f"{folder}/jobs"
    if way == "load":
        job = BatchJob.load(NAME, llm, journal=store)
    else:
        job = llm.submit_batch(INPUTS, job_id=NAME, journal=store)
    job.wait()
    return job.results()


async def _later(llm: ChatTammaOpenAI, folder: str) -> list[Any]:
    job = await llm.asubmit_batch(INPUTS, job_id=NAME, journal=f"{folder}/jobs")
    await job.await_()
    return await job.aresults()


def _child(url: str, folder: str, way: str, report: str) -> None:
    try:
        told = work(url, folder, way)
    except BaseException:  # noqa: BLE001 - told to the test
        told = traceback.format_exc()
    Path(report).write_text(told, encoding="utf-8")
    os._exit(0)


def main() -> None:
    """Fork a process for each line of arguments, say its number, and later how it ended."""
    ChatTammaOpenAI(api_key="sk-test").get_num_tokens("load the encoding")
    import langchain_tamma_openai.batches.job
    import langchain_tamma_openai.usage.budget_sql
    import langchain_tamma_openai.usage.store.sql  # noqa: F401 - loaded once for all

    os.write(1, b"ready\n")
    for line in sys.stdin:
        if line == "wait\n":
            pid, status = os.wait()
            os.write(1, f"{pid} {os.waitstatus_to_exitcode(status)}\n".encode())
        elif pid := os.fork():
            os.write(1, f"{pid}\n".encode())
        else:
            _child(*line.split())


if __name__ == "__main__":
    main()
