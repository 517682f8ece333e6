"""Processes whose models share one limiter, against a server that charges and never refunds."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Iterator

import pytest
from llmock.pytest_plugin import LLMock
from redis_places import URL, namespace
from workers import Process, workers_at_once

WORKER = "limited_model_worker.py"
PROCESSES = 4
# Tokens that the server counts for one call of the worker: its prompt, and all of `max_tokens`.
CHARGED = 134
# Alone on a machine they use more than nine tenths; beside other tests they get less time.
ENOUGH = 0.5


@pytest.fixture
def place() -> Iterator[str]:
    with namespace() as name:
        yield name


def _counts(process: Process) -> tuple[int, int]:
    assert process.stdout is not None
    answers, errors = process.stdout.readline().split()
    return int(answers), int(errors)


@pytest.mark.parametrize(
    ("rpm", "tpm", "told"),
    [(600, 0, True), (0, 40_000, True), (600, 60_000, False)],
    ids=["rpm", "tpm", "both, untold"],
)
def test_four_processes_are_never_refused_and_use_what_they_may(
    llmock: LLMock, place: str, rpm: int, tpm: int, *, told: bool
) -> None:
    seconds = int(os.environ.get("LIMITED_SECONDS", "6"))
    llmock.limits(rpm=rpm or None, tpm=tpm or None).reply("Fine.", times=None)
    limits = (rpm, tpm) if told else (0, 0)
    arguments = [URL, place, f"{llmock.url}/v1", *limits, seconds]
    with workers_at_once(PROCESSES, WORKER, *arguments) as processes:
        assert [process.wait(90) for process in processes] == [0] * PROCESSES
        counts = [_counts(process) for process in processes]
    answers, errors = (sum(column) for column in zip(*counts, strict=True))
    assert errors == 0
    allowed = min(limit for limit in (rpm, tpm and tpm // CHARGED) if limit) * (1 + seconds / 60)
    print(f"{answers} answers, {answers / allowed:.0%} of what is allowed")  # noqa: T201 - with -s
    assert answers >= ENOUGH * allowed


def test_killing_a_process_blocks_none(llmock: LLMock, place: str) -> None:
    llmock.limits(rpm=600).reply("Fine.", times=None)
    arguments = [URL, place, f"{llmock.url}/v1", 600, 0, 6]
    with workers_at_once(PROCESSES, WORKER, *arguments) as processes:
        time.sleep(random.uniform(0.1, 4.0))  # noqa: S311 - no secret
        processes[0].kill()
        assert [process.wait(60) for process in processes[1:]] == [0] * (PROCESSES - 1)
        counts = [_counts(process) for process in processes[1:]]
    assert sum(errors for _answers, errors in counts) == 0
    assert all(answers > 0 for answers, _errors in counts)
