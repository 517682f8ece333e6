"""Calls against a server that fails at random: how all of them ended, and what they left behind.

Run it by hand as `python tests/integration_tests/chaos.py 20000`.
"""

from __future__ import annotations

import asyncio
import gc
import json
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from chaos_server import TEXT
from loopback import open_descriptors, resident_mb

from langchain_tamma_openai import ChatTammaOpenAI, RetryPolicy, TammaError, TokenCounter

LIMIT_S = 10.0
MOST_ATTEMPTS = 3
_THREADS = 6
_TASKS = 24
_ROUND = 500
_WAYS = ("invoke", "stream", "streaming invoke")


@dataclass
class Report:
    """How all calls ended."""

    calls: int = 0
    wrong: list[str] = field(default_factory=list)
    outcomes: Counter[str] = field(default_factory=Counter)
    longest_s: float = 0.0
    most_attempts: int = 0
    requests: int = 0
    mb_before: float = 0.0
    mb_after: float = 0.0
    descriptors_before: int = 0
    descriptors_after: int = 0
    wall_s: float = 0.0

    @property
    def growth(self) -> float:
        """Share by which memory grew."""
        return self.mb_after / self.mb_before - 1


class Chaos:
    """Calls by every way, from threads and from an event loop at once."""

    def __init__(self, url: str) -> None:
        """Make the models."""
        self.report = Report()
        self._models = [
            ChatTammaOpenAI(
                model="gpt-6-luna",
                api_key="sk-test",
                base_url=f"{url}/v1",
                use_responses_api=by_responses,
                streaming=streaming,
                retry=RetryPolicy(MOST_ATTEMPTS, base_delay_s=0.004, max_delay_s=0.02),
                stream_recovery="regenerate",
                total_timeout_s=LIMIT_S,
            )
            for by_responses in (False, True)
            for streaming in (False, True)
        ]

    async def run(self, first: int, calls: int) -> None:
        """Make some calls, half from threads."""
        numbers = range(first, first + calls)
        gate = asyncio.Semaphore(_TASKS)

        async def one(number: int) -> None:
            async with gate:
                await self._acall(number)

        loop = asyncio.get_running_loop()
        with ThreadPoolExecutor(_THREADS) as pool:
            sync = [loop.run_in_executor(pool, self._call, number) for number in numbers[::2]]
            await asyncio.gather(*sync, *(one(number) for number in numbers[1::2]))

    def _choose(self, number: int) -> tuple[ChatTammaOpenAI, str, str]:
        way = _WAYS[number // 2 % 3]
        by_responses = number // 6 % 2
        return self._models[2 * by_responses + (way == _WAYS[2])], way, f"call {number}: go on"

    def _call(self, number: int) -> None:
        llm, way, prompt = self._choose(number)
        began_s = time.monotonic()
        seen: list[str] = []
        try:
            if way == "stream":
                seen.extend(chunk.text for chunk in llm.stream(prompt))
            else:
                seen.append(llm.invoke(prompt).text)
        except Exception as error:  # noqa: BLE001 - counted
            self._note(number, way, seen, error, began_s)
        else:
            self._note(number, way, seen, None, began_s)

    async def _acall(self, number: int) -> None:
        llm, way, prompt = self._choose(number)
        began_s = time.monotonic()
        seen: list[str] = []
        try:
            if way == "stream":
                async for chunk in llm.astream(prompt):
                    seen.append(chunk.text)  # noqa: PERF401 - what came before an error counts
            else:
                seen.append((await llm.ainvoke(prompt)).text)
        except Exception as error:  # noqa: BLE001 - counted
            self._note(number, way, seen, error, began_s)
        else:
            self._note(number, way, seen, None, began_s)

    def _note(
        self, number: int, way: str, seen: list[str], error: Exception | None, began_s: float
    ) -> None:
        report, text = self.report, "".join(seen)
        report.calls += 1
        report.longest_s = max(report.longest_s, time.monotonic() - began_s)
        report.outcomes["answer" if error is None else type(error).__name__] += 1
        fits = text == TEXT if error is None else TEXT.startswith(text)
        if not fits or not (error is None or isinstance(error, TammaError)):
            report.wrong.append(f"{number} {way}: {text!r} {error!r}")

    async def close(self) -> None:
        """Close every model."""
        for model in self._models:
            await model.aclose()


@contextmanager
def _server(seed: int) -> Iterator[str]:
    command = [sys.executable, str(Path(__file__).with_name("chaos_server.py")), str(seed)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, text=True, **pipes) as process:  # type: ignore[call-overload]  # noqa: S603 - our own script
        try:
            yield f"http://127.0.0.1:{process.stdout.readline().strip()}"
        finally:
            process.kill()


def run_chaos(calls: int, seed: int = 1) -> Report:
    """Make that many calls, after a fourth of them (at least 1,000) to warm up.

    Args:
        calls: How many count.
        seed: Of the server's faults.
    """
    with _server(seed) as url:
        report = asyncio.run(_run(url, calls))
        with urllib.request.urlopen(f"{url}/counts") as answer:  # noqa: S310 - our own server
            counts = json.load(answer).values()
    report.most_attempts, report.requests = max(counts), sum(counts)
    return report


async def _run(url: str, calls: int) -> Report:
    descriptors = open_descriptors()
    chaos = Chaos(url)
    TokenCounter().count_text("what a broken stream has used is counted", "gpt-6-luna")
    warm = max(1000, calls // 4)
    await chaos.run(0, warm)
    gc.collect()
    chaos.report.mb_before = resident_mb()
    chaos.report.descriptors_before = descriptors
    began_s = time.monotonic()
    for first in range(warm, warm + calls, _ROUND):
        await chaos.run(first, min(_ROUND, warm + calls - first))
    chaos.report.wall_s = time.monotonic() - began_s
    gc.collect()
    chaos.report.mb_after = resident_mb()
    await chaos.close()
    gc.collect()
    chaos.report.descriptors_after = open_descriptors()
    chaos.report.calls -= warm
    return chaos.report


if __name__ == "__main__":
    found = run_chaos(int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 1)
    sys.stdout.write(f"{found}\nmemory {found.growth:+.1%}\n")
