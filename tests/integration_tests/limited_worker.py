"""A process of its own that sends as many requests as one shared limiter lets it."""

from __future__ import annotations

import http.client
import json
import random
import sys
import time
from concurrent.futures import ThreadPoolExecutor

from langchain_tamma_openai.errors import RateLimitError
from langchain_tamma_openai.resilience.limits import OpenAIRateLimiter

THREADS = 6


def main(storage: str, namespace: str, *, port: int, rpm: int, tpm: int, seconds: float) -> None:
    """Send until the time is over."""
    limiter = OpenAIRateLimiter(rpm, tpm, 40, storage=storage, namespace=namespace)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.readline()
    until_s = time.monotonic() + seconds
    with ThreadPoolExecutor(THREADS) as pool:
        for job in [pool.submit(work, limiter, port, tpm, until_s) for _ in range(THREADS)]:
            job.result()
    limiter.close()


def work(limiter: OpenAIRateLimiter, port: int, tpm: int, until_s: float) -> None:
    """Send one request after the other."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    rng = random.Random()  # noqa: S311 - no secret
    while (left_s := until_s - time.monotonic()) > 0:
        tokens = rng.randint(10, tpm // 500)
        try:
            permit = limiter.reserve(tokens, "m", deadline_s=left_s)
        except RateLimitError:
            break
        with permit:
            connection.request("POST", "/", json.dumps({"tokens": tokens}))
            response = connection.getresponse()
            response.read()
            permit.observe(dict(response.getheaders()), response.status)
    connection.close()


if __name__ == "__main__":
    _, storage, namespace, *numbers = sys.argv
    port, rpm, tpm, seconds = map(int, numbers)
    main(storage, namespace, port=port, rpm=rpm, tpm=tpm, seconds=seconds)
