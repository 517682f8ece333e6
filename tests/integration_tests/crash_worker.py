"""A process whose model is called from several threads until somebody kills it."""

from __future__ import annotations

import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import Any
from uuid import uuid4

from accounting import PROMPT
from langchain_core.runnables import RunnableConfig

from langchain_tamma_openai import ChatTammaOpenAI
from langchain_tamma_openai.usage.tracker import Durability, UsageTracker

THREADS = 4


def call(model: ChatTammaOpenAI, number: int) -> None:
    """Make one call in one of three ways, and say so when it has returned."""
    run_id = uuid4()
    config: RunnableConfig = {"run_id": run_id}
    if number % 3 == 0:
        model.invoke(PROMPT, config)
    elif number % 3 == 1:
        list(model.stream(PROMPT, config))
    else:
        stream: Any = model.stream(PROMPT, config)
        list(islice(stream, 3))
        stream.close()
    os.write(1, f"{run_id} {time.time()}\n".encode())


def main(store: str, durability: Durability, url: str, calls: int) -> None:
    """Call and call."""
    tracker = UsageTracker(store, durability, busy_timeout_s=1.0)
    model = ChatTammaOpenAI(
        model="gpt-6-luna",
        api_key="sk-test",
        base_url=url,
        max_retries=0,
        stream_usage=True,
        usage_tracker=tracker,
    )
    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(lambda number: call(model, number), range(calls)))
    tracker.close()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]))  # type: ignore[arg-type]  # as written in the test
