"""Runs cases in worker processes, in interleaved rounds."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Final

HERE: Final = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Case:
    """One thing to measure: `repeat` operations at a time, or one in a fresh process for 0."""

    name: str
    title: str
    repeat: int


CASES: Final = (
    Case("import", "import", 0),
    Case("first-call", "first call, import included", 0),
    Case("construct", "construction", 20),
    Case("invoke", "plain call", 30),
    Case("stream", "stream of 500 chunks", 4),
    Case("astream", "async stream of 500 chunks", 4),
    Case("concurrent", "100 concurrent async calls", 2),
)


@dataclass(slots=True)
class Series:
    """Every measurement of one case with one library, in milliseconds per operation."""

    cpu_ms: list[float] = field(default_factory=list)
    wall_ms: list[float] = field(default_factory=list)

    def add(self, line: str) -> None:
        """Take one line of a worker."""
        measured = json.loads(line)
        self.cpu_ms.append(measured["cpu_s"] * 1000)
        self.wall_ms.append(measured["wall_s"] * 1000)

    @property
    def median_cpu_ms(self) -> float:
        """The middle measurement."""
        return statistics.median(self.cpu_ms)

    @property
    def median_wall_ms(self) -> float:
        """The middle measurement."""
        return statistics.median(self.wall_ms)

    @property
    def spread_percent(self) -> float:
        """Width of the middle half of the CPU times, in percent of the median."""
        if len(self.cpu_ms) < 4:
            return 100 * (max(self.cpu_ms) - min(self.cpu_ms)) / self.median_cpu_ms
        low, _, high = statistics.quantiles(self.cpu_ms, n=4)
        return 100 * (high - low) / self.median_cpu_ms


Results = dict[Case, dict[str, Series]]


def run_cases(cases: Sequence[Case], libraries: Sequence[str], rounds: int) -> Results:
    """Measure every case with every library, `rounds` times."""
    results: Results = {case: {library: Series() for library in libraries} for case in cases}
    with ExitStack() as stack:
        url = stack.enter_context(_canned_server())
        warm = {n: stack.enter_context(_worker(n, url)) for n in _warm_libraries(cases, libraries)}
        for number in range(rounds):
            _progress(number, rounds)
            for case in cases:
                for library in _rotated(libraries, number):
                    line = _measure(case, library, url, warm)
                    results[case][library].add(line)
    _progress(rounds, rounds)
    return results


def _warm_libraries(cases: Sequence[Case], libraries: Sequence[str]) -> Sequence[str]:
    return libraries if any(case.repeat for case in cases) else ()


def _rotated(libraries: Sequence[str], by: int) -> list[str]:
    shift = by % len(libraries)
    return [*libraries[shift:], *libraries[:shift]]


def _progress(done: int, rounds: int) -> None:
    end = "\n" if done == rounds else ""
    print(f"\rround {done}/{rounds}", end=end, file=sys.stderr, flush=True)


def _measure(case: Case, library: str, url: str, warm: dict[str, subprocess.Popen[str]]) -> str:
    if case.repeat:
        order = json.dumps({"case": case.name, "repeat": case.repeat})
        return _ask(warm[library], order)
    with _process("worker.py", library, url, case.name) as cold:
        return _read_line(cold)


def _ask(worker: subprocess.Popen[str], order: str) -> str:
    _pipe(worker.stdin).write(order + "\n")
    _pipe(worker.stdin).flush()
    return _read_line(worker)


def _read_line(process: subprocess.Popen[str]) -> str:
    line = _pipe(process.stdout).readline()
    if not line:
        message = f"{process.args!r} ended with status {process.wait()}"
        raise RuntimeError(message)
    return line


def _pipe(pipe: IO[str] | None) -> IO[str]:
    assert pipe is not None
    return pipe


@contextmanager
def _canned_server() -> Iterator[str]:
    with _process("canned_server.py") as server:
        yield f"http://127.0.0.1:{int(_read_line(server))}"


@contextmanager
def _worker(library: str, url: str) -> Iterator[subprocess.Popen[str]]:
    with _process("worker.py", library, url) as worker:
        yield worker


@contextmanager
def _process(script: str, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, str(HERE / script), *arguments]
    with subprocess.Popen(  # noqa: S603 - our own script with our own arguments
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            yield process
        finally:
            _pipe(process.stdin).close()
            process.wait(30)
