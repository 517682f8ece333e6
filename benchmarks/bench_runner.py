"""Runs cases in worker processes, in interleaved rounds."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Final

from bench_cases import Case
from bench_results import Results, Series

HERE: Final = Path(__file__).parent
_ENCODINGS: Final = HERE.parent / "langchain_tamma_openai" / "data" / "encodings"

Pythons = Mapping[str, str]
"""Which Python runs a contestant, where it is not this one."""


def run_cases(
    cases: Sequence[Case], contestants: Sequence[str], rounds: int, pythons: Pythons
) -> Results:
    """Measure every case with every contestant, `rounds` times.

    Args:
        cases: What to measure.
        contestants: Who may take part; each case has its own list of who does.
        rounds: How often; slow cases have a limit of their own.
        pythons: The Python of contestants that need another environment.
    """
    results: Results = {
        case: {name: Series() for name in case.contestants if name in contestants} for case in cases
    }
    with _canned_server() as url:
        for group in dict.fromkeys(case.group for case in cases):
            chosen = {case: results[case] for case in cases if case.group == group}
            _Group(chosen, url, pythons).run(rounds)
    return results


class _Group:
    """Cases whose contestants stay in memory beside each other."""

    def __init__(self, results: Results, url: str, pythons: Pythons) -> None:
        self._results = results
        self._url = url
        self._pythons = pythons
        self._warm: dict[str, subprocess.Popen[str]] = {}

    def run(self, rounds: int) -> None:
        with ExitStack() as stack:
            for name in _warm_contestants(self._results):
                worker = _process("worker.py", name, self._url, python=self._pythons.get(name))
                self._warm[name] = stack.enter_context(worker)
            if any(not case.repeat for case in self._results):
                self._compile_modules()
            for number in range(rounds):
                self._run_round(number, rounds)
            _progress(rounds, rounds, None)

    def _compile_modules(self) -> None:
        """Let every library load once, so that Python keeps its bytecode as an installer would."""
        for name in {name for series in self._results.values() for name in series}:
            self._measure(Case("first-call", "", 0), name)

    def _run_round(self, number: int, rounds: int) -> None:
        for case, series in self._results.items():
            _progress(number, rounds, case)
            if number < case.max_rounds:
                for name in _rotated(list(series), number):
                    if series[name].unsupported is None:
                        series[name].add(self._measure(case, name))

    def _measure(self, case: Case, name: str) -> str:
        if case.repeat:
            order = json.dumps({"case": case.name, "repeat": case.repeat})
            return _ask(self._warm[name], order)
        python = self._pythons.get(name)
        with _process("worker.py", name, self._url, case.name, python=python) as fresh:
            return _read_line(fresh)


def _warm_contestants(results: Results) -> list[str]:
    names = [name for case, series in results.items() if case.repeat for name in series]
    return list(dict.fromkeys(names))


def _rotated(names: Sequence[str], by: int) -> list[str]:
    shift = by % len(names) if names else 0
    return [*names[shift:], *names[:shift]]


def _progress(done: int, rounds: int, case: Case | None) -> None:
    title = f"{case.title:<60}" if case else " " * 60 + "\n"
    print(f"\rround {done}/{rounds} {title}", end="", file=sys.stderr, flush=True)


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
def _process(
    script: str, *arguments: str, python: str | None = None
) -> Iterator[subprocess.Popen[str]]:
    command = [python or sys.executable, str(HERE / script), *arguments]
    with subprocess.Popen(  # noqa: S603 - our own script with our own arguments
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=_environment()
    ) as process:
        try:
            yield process
        finally:
            _pipe(process.stdin).close()
            process.wait(60)


def _environment() -> dict[str, str]:
    """Leave out what would change a library's work, and let tiktoken read without a network."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("OPENAI_", "LANGSMITH_", "LANGCHAIN_", "OTEL_", "PYTHON"))
    }
    return {
        **kept,
        "PYTHONPATH": str(HERE.parent),  # this copy of the package, not an installed one
        "TIKTOKEN_CACHE_DIR": str(_ENCODINGS),
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    }
