"""Processes of a test: started together, told to begin together, killed at the end."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

HERE = Path(__file__).parent
Process = subprocess.Popen[str]


@contextmanager
def workers(number: int, script: str, *arguments: object) -> Iterator[list[Process]]:
    """Start a script of this folder several times."""
    command = [sys.executable, str(HERE / script), *map(str, arguments)]
    # A script does not find the package of this tree by itself.
    environment = {**os.environ, "PYTHONPATH": str(HERE.parents[1])}
    with ExitStack() as stack:
        processes = [
            stack.enter_context(
                subprocess.Popen(  # noqa: S603 - our own script
                    command,
                    text=True,
                    env=environment,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                )
            )
            for _ in range(number)
        ]
        try:
            yield processes
        finally:
            for process in processes:
                process.kill()


def tell(processes: Sequence[Process]) -> None:
    """Have all of them begin."""
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()


@contextmanager
def workers_at_once(number: int, script: str, *arguments: object) -> Iterator[list[Process]]:
    """Start a script several times, and all of them at once when they are ready."""
    with workers(number, script, *arguments) as processes:
        for process in processes:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        tell(processes)
        yield processes
