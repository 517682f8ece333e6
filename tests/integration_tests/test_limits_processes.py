"""Processes that share one limiter through a real Redis, against a server that enforces limits."""

from __future__ import annotations

import math
import multiprocessing
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from enforcing_server import EnforcingServer
from redis_places import URL, namespace
from workers import Process, workers_at_once

from langchain_tamma_openai.resilience.limits import OpenAIRateLimiter

HERE = Path(__file__).parent
# Alone on a machine the processes use more than nine tenths; beside other tests they get less time.
ENOUGH = 0.5


@pytest.fixture
def place() -> Iterator[str]:
    with namespace() as name:
        yield name


@contextmanager
def _workers(
    number: int, place: str, server: EnforcingServer, seconds: float
) -> Iterator[list[Process]]:
    """Start processes that send at once when they are told."""
    rpm, tpm = server.buckets.limits
    arguments = [URL, place, server.port, rpm, tpm, int(seconds)]
    with workers_at_once(number, "limited_worker.py", *arguments) as processes:
        yield processes


@pytest.mark.parametrize(
    ("rpm", "tpm", "seconds"), [(1500, 10_000_000, 6.0), (100_000, 90_000, 6.0)], ids=["rpm", "tpm"]
)
def test_four_processes_are_never_refused_and_use_what_they_may(
    place: str, rpm: int, tpm: int, seconds: float
) -> None:
    with EnforcingServer(rpm, tpm) as server, _workers(4, place, server, seconds) as processes:
        assert [process.wait(60) for process in processes] == [0] * 4

    assert server.buckets.counts[429] == 0
    assert server.buckets.use() >= ENOUGH


@pytest.mark.parametrize("moment_s", [0.3, 4.0])
def test_killing_a_process_blocks_none(place: str, moment_s: float) -> None:
    with EnforcingServer(400, 100_000_000) as server, _workers(4, place, server, 10.0) as processes:
        time.sleep(moment_s)
        processes[0].send_signal(signal.SIGKILL)

        assert [process.wait(60) for process in processes[1:]] == [0] * 3

    assert server.buckets.counts[429] == 0
    assert server.buckets.use() >= ENOUGH


def test_spawned_workers_share(place: str) -> None:
    shared = OpenAIRateLimiter(600, 10**6, storage=URL, namespace=place)
    shared.acquire()
    context = multiprocessing.get_context("spawn")
    pool = context.Pool(2)
    assert pool.map(_acquire, [shared] * 4) == [True] * 4
    pool.close()
    pool.join()

    remaining = shared.status().remaining_requests
    assert remaining is not None
    assert math.isclose(remaining, 595, abs_tol=50)


def _acquire(shared: OpenAIRateLimiter) -> bool:
    try:
        return shared.acquire()
    finally:
        shared.close()
