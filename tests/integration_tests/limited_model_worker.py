"""A process of its own whose real model shares one limiter with other processes."""

from __future__ import annotations

import asyncio
import sys
import time

from langchain_tamma_openai import ChatTammaOpenAI, OpenAIRateLimiter
from langchain_tamma_openai.errors import TammaError

TASKS = 6
ANSWER_TOKENS = 100


def main(storage: str, namespace: str, url: str, *, rpm: int, tpm: int, seconds: float) -> None:
    """Call until the time is over, and print how many answers and errors there were."""
    limiter = OpenAIRateLimiter(rpm or None, tpm or None, storage=storage, namespace=namespace)
    llm = ChatTammaOpenAI(
        model="gpt-6-luna",
        api_key="sk-test",
        base_url=url,
        rate_limiter=limiter,
        max_retries=0,
        max_tokens=ANSWER_TOKENS,
        use_responses_api=False,
        total_timeout_s=30,
    )
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.readline()
    answers, errors = asyncio.run(_work(llm, time.monotonic() + seconds))
    sys.stdout.write(f"{answers} {errors}\n")
    limiter.close()


async def _work(llm: ChatTammaOpenAI, until_s: float) -> tuple[int, int]:
    counts = {True: 0, False: 0}

    async def one() -> None:
        while time.monotonic() < until_s:
            try:
                await llm.ainvoke("Hello there, how are you today?")
                counts[True] += 1
            except TammaError as error:
                counts[False] += 1
                sys.stderr.write(f"{error!r}\n")

    await asyncio.gather(*(one() for _ in range(TASKS)))
    await llm.aclose()
    return counts[True], counts[False]


if __name__ == "__main__":
    _, storage, namespace, url, *numbers = sys.argv
    rpm, tpm, seconds = map(int, numbers)
    main(storage, namespace, url, rpm=rpm, tpm=tpm, seconds=seconds)
